"""The footer of a Parquet file, read within hard limits before any other reader sees the file.

By the published format, a file is ``PAR1``, pages, a footer, the length of the footer as a
little-endian 32-bit number, ``PAR1``. The footer, and the header before each page, are structs in
Thrift's compact protocol. Nothing is decompressed here.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from linnet.errors import DataError

MAGIC, ENCRYPTED = b"PAR1", b"PARE"

SMALLEST = 12
"""The size of the smallest possible file, with no pages and an empty footer."""

MAX_FOOTER = 64 << 20
"""A file with a longer footer is refused: checking it would take minutes."""

MAX_PAGE_HEADER = 1 << 20
"""The header of a page can be this large, because it may hold a minimum and a maximum."""

MAX_DEPTH = 16
"""The deepest nesting of structs; the format needs seven levels."""

TYPES = (
    "BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY",
)  # fmt: skip
CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW")
MEANINGS = {
    1: "STRING", 2: "MAP", 3: "LIST", 4: "ENUM", 5: "DECIMAL", 6: "DATE", 7: "TIME",
    8: "TIMESTAMP", 10: "INTEGER", 11: "UNKNOWN", 12: "JSON", 13: "BSON", 14: "UUID", 15: "FLOAT16",
    16: "VARIANT", 17: "GEOMETRY", 18: "GEOGRAPHY",
}  # fmt: skip
CONVERTED = (
    "STRING", "MAP", "MAP_KEY_VALUE", "LIST", "ENUM", "DECIMAL", "DATE", "TIME_MILLIS",
    "TIME_MICROS", "TIMESTAMP_MILLIS", "TIMESTAMP_MICROS", "UINT_8", "UINT_16", "UINT_32",
    "UINT_64", "INT_8", "INT_16", "INT_32", "INT_64", "JSON", "BSON", "INTERVAL",
)  # fmt: skip
REPEATED = 2
DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, DATA_PAGE_2 = range(4)
EXTENSION = b"ARROW:extension:name"

MAX_STEPS = 100_000
"""The most columns and metadata entries searched for the name of an extension type."""


@dataclass(frozen=True)
class Leaf:
    """A top-level column of the schema; ``kind`` is its type in words, "" if it is nested."""

    name: str
    kind: str
    nested: str = ""


@dataclass(frozen=True)
class Chunk:
    """The pages of one column in one row group: ``size`` bytes in the file from ``start``."""

    column: int
    group: int
    values: int
    codec: str
    start: int
    size: int
    unpacked: int


@dataclass(frozen=True)
class Footer:
    """``rows`` of the file; its columns; its chunks; the keys of its metadata."""

    rows: int
    groups: int
    columns: tuple[Leaf, ...]
    chunks: tuple[Chunk, ...]
    keys: tuple[str, ...]


class Broken(Exception):
    """Bytes that violate the format."""


def locate(head: bytes, tail: bytes, size: int, path: str) -> int:
    """The length of the footer of a file of ``size`` bytes, from its first 4 and last 8 bytes."""
    if head[:4] == ENCRYPTED or tail[-4:] == ENCRYPTED:
        raise _encrypted(path)
    if head[:4] != MAGIC:
        found = f"{head[:4]!r}" if head else "it is empty"
        raise DataError(
            f"{path}: its first bytes are not those of a Parquet file (expected {MAGIC!r}, found "
            f"{found}); if it is text, name it .csv"
        )
    if size < SMALLEST or tail[-4:] != MAGIC:
        raise DataError(
            f"{path}: cut short: {size:,} bytes that do not end with {MAGIC!r}; fetch or copy it "
            "again"
        )
    length = int.from_bytes(tail[-8:-4], "little")
    if length > size - SMALLEST:
        raise DataError(
            f"{path}: declares a footer of {length:,} bytes, more than the file's {size:,}; fetch "
            "or copy it again"
        )
    if length > MAX_FOOTER:
        raise DataError(
            f"{path}: declares a footer of {length:,} bytes; at most {MAX_FOOTER:,} (MAX_FOOTER): "
            "write it with larger row groups, or as several files"
        )
    return length


def parse(content: bytes, end: int, path: str) -> Footer:
    """Parse the footer ``content``, which begins at byte ``end`` of the file.

    Raises ``DataError`` if it is invalid, or if it cannot be true for this file.
    """
    try:
        return _footer(Compact(content).struct(WANTED), end, path)
    except (Broken, UnicodeDecodeError) as error:
        raise DataError(f"{path}: its footer is broken: {error}; fetch or copy it again") from error


def check_pages(file: memoryview, footer: Footer, wanted: Collection[str], path: str) -> int:
    """Walk the headers of every page of the columns ``wanted``; no page is decompressed.

    Returns the number of unpacked bytes that the pages declare. ``file`` is the whole file. Raises
    ``DataError`` if a page leaves its chunk, holds more than its chunk declares, or does not match
    its checksum.
    """
    total = 0
    for chunk in footer.chunks:
        name = footer.columns[chunk.column].name
        if name in wanted:
            try:
                total += _walk(file[chunk.start : chunk.start + chunk.size], chunk)
            except Broken as error:
                raise DataError(
                    f'{path}: column "{name}", row group {chunk.group}: {error}; fetch or copy it '
                    "again"
                ) from error
    return total


def _walk(pages: memoryview, chunk: Chunk) -> int:
    total = values = at = number = 0
    while at < len(pages):
        reader = Compact(pages[at : at + MAX_PAGE_HEADER])
        where = f"page {number}"
        try:
            header = reader.struct(PAGE)
            kind, unpacked, packed = (_whole(header, key) for key in (1, 2, 3))
        except Broken as error:
            raise Broken(f"the header of {where} is broken: {error}") from error
        at += reader.at
        if packed > len(pages) - at:
            raise Broken(f"{where} declares {packed:,} bytes, and {len(pages) - at:,} are left")
        if unpacked > chunk.unpacked:
            raise Broken(
                f"{where} declares {unpacked:,} bytes once unpacked, its chunk {chunk.unpacked:,}"
            )
        if chunk.codec == "UNCOMPRESSED" and packed != unpacked:
            raise Broken(f"{where} is not compressed, yet declares {packed:,} and {unpacked:,}")
        if 4 in header and zlib.crc32(pages[at : at + packed]) != header[4] & 0xFFFFFFFF:
            raise Broken(f"{where} is damaged: its bytes do not have the checksum (CRC) declared")
        at += packed
        total += unpacked
        detail = header.get({DATA_PAGE: 5, DICTIONARY_PAGE: 7, DATA_PAGE_2: 8}.get(kind, 6), {})
        if kind == DICTIONARY_PAGE:
            if _whole(detail, 1) > unpacked:
                raise Broken(f"{where} declares {detail[1]:,} values in {unpacked:,} bytes")
        elif kind in (DATA_PAGE, DATA_PAGE_2):
            values += _whole(detail, 1)
        elif kind != INDEX_PAGE:
            raise Broken(f"{where} is of the unknown kind {kind}")
        number += 1
    if values != chunk.values:
        raise Broken(f"its pages hold {values:,} values, and {chunk.values:,} are declared")
    return total


def _footer(content: dict[int, Any], end: int, path: str) -> Footer:
    if 8 in content:
        raise _encrypted(path)
    rows = _whole(content, 3)
    columns, leaves = _columns(content.get(2, []))
    keys = [entry.get(1, b"").decode() for entry in content.get(5, [])]
    for entry in content.get(5, []):
        if entry.get(1) == b"ARROW:schema":
            _refuse_extensions(entry.get(2, b""), path)
    groups = content.get(4, [])
    if not groups or not rows:
        raise DataError(f"{path}: no rows ({len(groups)} row groups); expected at least one")
    chunks: list[Chunk] = []
    taken = counted = 0
    for group, declared in enumerate(groups):
        count = _whole(declared, 3)
        counted += count
        parts = declared.get(1, [])
        if len(parts) != len(leaves):
            raise Broken(
                f"row group {group} has {len(parts)} columns, and the schema {len(leaves)}"
            )
        for part, leaf in zip(parts, leaves, strict=True):
            chunk = _chunk(part, leaf, group, path)
            name = columns[leaf].name
            if chunk.start < len(MAGIC) or chunk.start + chunk.size > end:
                raise Broken(
                    f'column "{name}", row group {group}, lies at bytes {chunk.start:,} to '
                    f"{chunk.start + chunk.size:,}, outside the file's {end:,} of pages"
                )
            if not columns[leaf].nested and chunk.values != count:
                raise Broken(
                    f'column "{name}", row group {group}, has {chunk.values:,} values for '
                    f"{count:,} rows"
                )
            taken += chunk.size
            chunks.append(chunk)
    if counted != rows:
        raise Broken(f"it declares {rows:,} rows, and its row groups {counted:,}")
    if taken > end:
        raise Broken(f"its columns take {taken:,} bytes, and the file has {end:,}: they overlap")
    return Footer(rows, len(groups), tuple(columns), tuple(chunks), tuple(keys))


def _columns(elements: list[dict[int, Any]]) -> tuple[list[Leaf], list[int]]:
    """The top-level columns, and for each leaf of the schema the column that it belongs to."""
    if not elements:
        raise Broken("no schema")
    columns: list[Leaf] = []
    leaves: list[int] = []
    at = 1
    for _ in range(_whole(elements[0], 5)):
        element = _element(elements, at)
        name = element.get(4, b"").decode()
        open_ = 1  # elements that still follow below this column
        while open_:
            below = _element(elements, at)
            at += 1
            open_ += _whole(below, 5, 0) - 1
            if not below.get(5):
                leaves.append(len(columns))
        nested = ""
        if element.get(5) or element.get(3) == REPEATED:
            nested = _meaning(element)
            nested = nested if nested in ("MAP", "LIST", "VARIANT") else "STRUCT"
            nested = "LIST" if element.get(3) == REPEATED and not element.get(5) else nested
        elif 1 not in element:
            raise Broken(f'column "{name}" has no type')
        kind = "" if nested else _kind(element)
        columns.append(Leaf(name, kind, nested))
    if at != len(elements):
        raise Broken(f"the schema has {len(elements)} elements, and {at} are used")
    return columns, leaves


def _element(elements: list[dict[int, Any]], at: int) -> dict[int, Any]:
    if at >= len(elements):
        raise Broken("the schema ends within a column")
    return elements[at]


def _kind(element: dict[int, Any]) -> str:
    """A leaf's type in words, such as "INT64 TIMESTAMP (us, UTC)"."""
    number = _whole(element, 1)
    if number >= len(TYPES):
        raise Broken(f"the unknown type {number}")
    words = [TYPES[number]]
    if number == TYPES.index("FIXED_LEN_BYTE_ARRAY"):
        words.append(f"of {_whole(element, 2)}")
    words.append(_meaning(element))
    if words[-1] == "DECIMAL":
        words.append(f"({element.get(8)}, {element.get(7, 0)})")
    elif words[-1] in ("INTEGER", "TIMESTAMP", "TIME"):
        words.append(_detail(element[10]))
    return " ".join(filter(None, words))


def _meaning(element: dict[int, Any]) -> str:
    logical = element.get(10, {})
    if len(logical) > 1:
        raise Broken("a column has several logical types")
    if logical:
        return MEANINGS[next(iter(logical))]
    if 6 in element:
        number = _whole(element, 6)
        return CONVERTED[number] if number < len(CONVERTED) else f"unknown type {number}"
    return ""


def _detail(meaning: dict[int, Any]) -> str:
    (inner,) = meaning.values()
    if 10 in meaning:
        return f"({'' if inner.get(2) else 'un'}signed, {inner.get(1)} bits)"
    unit = next(iter(inner.get(2, {})), 0)
    unit = {1: "ms", 2: "us", 3: "ns"}.get(unit, "?")
    return f"({unit}, {'UTC' if inner.get(1) else 'local'})"


def _chunk(part: dict[int, Any], column: int, group: int, path: str) -> Chunk:
    if 8 in part or 9 in part:
        raise _encrypted(path)
    if part.get(1):
        raise DataError(
            f"{path}: its columns lie in another file ({part[1][:60]!r}), which is not opened; "
            "give the file that holds them"
        )
    if 3 not in part:
        raise Broken(f"row group {group} does not say where its columns lie")
    about = part[3]
    codec, values, unpacked, size, start = (_whole(about, key) for key in (4, 5, 6, 7, 9))
    if codec >= len(CODECS):
        raise Broken(f"the unknown compression {codec}")
    dictionary = _whole(about, 11, 0)
    start = min(start, dictionary) if dictionary else start
    return Chunk(column, group, values, CODECS[codec], start, size, unpacked)


def _whole(content: dict[int, Any], key: int, default: int | None = None) -> int:
    """A field that is a count: it must exist and not be negative."""
    value = content.get(key, default)
    if type(value) is not int or value < 0:
        raise Broken(f"field {key} is {value!r}; expected a count")
    return value


def _encrypted(path: str) -> DataError:
    return DataError(f"{path}: is encrypted; write it again without encryption")


def _refuse_extensions(value: bytes, path: str) -> None:
    """Raise for extension types of other programs: reading them may run foreign code."""
    try:
        schema = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise Broken("its ARROW:schema is not base64") from error
    if EXTENSION not in schema:
        return
    try:
        found = _extension(schema) or "one of its columns"
    except (struct.error, IndexError):
        found = "one of its columns"
    raise DataError(
        f"{path}: {found} is of an extension type, which is not read; write it again with that "
        "column as plain numbers or text, or without it"
    )


def _extension(schema: bytes) -> str | None:
    """The first column of an extension type, in Arrow's schema message; None if it is nested or
    not within the first ``MAX_STEPS`` places."""
    steps = count(1)
    top = Flat(schema, 8 if schema[:4] == b"\xff\xff\xff\xff" else 4).follow().field(2)
    columns = top.follow().field(1) if top else None
    for column in columns.tables() if columns else ():
        name, entries = column.field(0), column.field(6)
        for entry in entries.tables() if entries else ():
            key, value = entry.field(0), entry.field(1)
            if name and key and value and key.text() == EXTENSION.decode():
                return f'column "{name.text()}" ({value.text()})'
            if next(steps) >= MAX_STEPS:
                return None
        if next(steps) >= MAX_STEPS:
            return None
    return None


@dataclass(frozen=True)
class Flat:
    """A position in a FlatBuffer, the format of Arrow's messages; ``struct`` checks that every
    access is inside."""

    content: bytes
    at: int

    def number(self, form: str, at: int) -> int:
        if at < 0:
            raise IndexError(at)
        (value,) = struct.unpack_from(form, self.content, at)
        return int(value)

    def follow(self) -> Flat:
        return Flat(self.content, self.at + self.number("<I", self.at))

    def field(self, index: int) -> Flat | None:
        """The position of a table's field; None if the table does not have it."""
        directory = self.at - self.number("<i", self.at)
        if 4 + 2 * index >= self.number("<H", directory):
            return None
        offset = self.number("<H", directory + 4 + 2 * index)
        return Flat(self.content, self.at + offset) if offset else None

    def tables(self) -> Iterator[Flat]:
        start = self.follow().at
        for index in range(self.number("<I", start)):
            yield Flat(self.content, start + 4 + 4 * index).follow()

    def text(self) -> str:
        start = self.follow().at
        size = min(self.number("<I", start), 1000)
        return self.content[start + 4 : start + 4 + size].decode(errors="replace")


class Compact:
    """A reader of Thrift's compact protocol that keeps only the wanted fields.

    Every step consumes at least one byte, also in lists, so the size of the input bounds time and
    memory; the depth of structs is limited.
    """

    def __init__(self, content: bytes | memoryview) -> None:
        self.content = content
        self.at = 0

    def struct(self, wanted: dict[int, Any], depth: int = 0) -> dict[int, Any]:
        """The fields of a struct by their numbers.

        ``wanted`` maps a number to a dict (for a struct), to a list with one dict (for a list of
        structs), or to the type of the value. All other fields are skipped.
        """
        found: dict[int, Any] = {}
        number = 0
        while True:
            head = self._byte()
            kind = head & 15
            if not kind:
                return found
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            if number not in wanted:
                self._skip(kind, depth)
            elif number in found:
                raise Broken(f"field {number} occurs twice, before byte {self.at:,}")
            else:
                found[number] = self._value(kind, wanted[number], depth)

    def _value(self, kind: int, wanted: Any, depth: int) -> Any:
        if kind == 12 and isinstance(wanted, dict):
            return self.struct(wanted, self._deeper(depth))
        if kind == 9 and isinstance(wanted, list):
            inner, count = self._list()
            depth = self._deeper(depth)
            if inner == 12 or not count:
                return [self.struct(wanted[0], depth) for _ in range(count)]
        if kind in (1, 2) and wanted is bool:
            return kind == 1
        if kind == 3 and wanted is int:
            return self._byte()
        if kind in (4, 5, 6) and wanted is int:
            return self._zigzag()
        if kind == 8 and wanted is bytes:
            return bytes(self._bytes(self._varint()))
        raise Broken(f"a value of the wrong kind {kind} before byte {self.at:,}")

    def _skip(self, kind: int, depth: int) -> None:
        if kind in (1, 2):
            return
        if kind == 3:
            self._byte()
        elif kind in (4, 5, 6):
            self._varint()
        elif kind == 7:
            self._bytes(8)
        elif kind == 8:
            self._bytes(self._varint())
        elif kind in (9, 10):
            inner, count = self._list()
            self._skip_many(inner, count, self._deeper(depth))
        elif kind == 11:
            count = self._varint()
            if count:
                kinds = self._byte()
                self._count(count)
                for _ in range(count):
                    self._skip_many(kinds >> 4, 1, self._deeper(depth))
                    self._skip_many(kinds & 15, 1, self._deeper(depth))
        elif kind == 12:
            self.struct({}, self._deeper(depth))
        else:
            raise Broken(f"the unknown kind {kind} before byte {self.at:,}")

    def _skip_many(self, kind: int, count: int, depth: int) -> None:
        """Skip the elements of a list or map, in which a boolean takes a whole byte."""
        kind = 3 if kind in (1, 2) else kind
        for _ in range(count):
            self._skip(kind, depth)

    def _list(self) -> tuple[int, int]:
        head = self._byte()
        count = head >> 4 if head >> 4 != 15 else self._varint()
        self._count(count)
        return head & 15, count

    def _count(self, count: int) -> None:
        if count > len(self.content) - self.at:
            raise Broken(f"a list of {count:,} before byte {self.at:,}, longer than what is left")

    def _deeper(self, depth: int) -> int:
        if depth >= MAX_DEPTH:
            raise Broken(f"nested deeper than {MAX_DEPTH} (MAX_DEPTH)")
        return depth + 1

    def _byte(self) -> int:
        if self.at >= len(self.content):
            raise Broken(f"it ends within a value, after {self.at:,} bytes")
        self.at += 1
        return self.content[self.at - 1]

    def _bytes(self, count: int) -> bytes | memoryview:
        if count > len(self.content) - self.at:
            raise Broken(f"a text of {count:,} bytes at byte {self.at:,}, longer than what is left")
        self.at += count
        return self.content[self.at - count : self.at]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise Broken(f"a number of more than 64 bits before byte {self.at:,}")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


UNIT: dict[int, Any] = {1: {}, 2: {}, 3: {}}
LOGICAL: dict[int, Any] = {number: {} for number in MEANINGS} | {
    7: {1: bool, 2: UNIT}, 8: {1: bool, 2: UNIT}, 10: {1: int, 2: bool},
}  # fmt: skip
ELEMENT: dict[int, Any] = {
    1: int, 2: int, 3: int, 4: bytes, 5: int, 6: int, 7: int, 8: int, 10: LOGICAL,
}  # fmt: skip
ABOUT = {4: int, 5: int, 6: int, 7: int, 9: int, 11: int}
PART = {1: bytes, 3: ABOUT, 8: {}, 9: bytes}
WANTED: dict[int, Any] = {
    2: [ELEMENT], 3: int, 4: [{1: [PART], 3: int}], 5: [{1: bytes, 2: bytes}], 8: {},
}  # fmt: skip
PAGE: dict[int, Any] = {1: int, 2: int, 3: int, 4: int, 5: {1: int}, 7: {1: int}, 8: {1: int}}
"""The fields that are read from the footer and from page headers, by the format's numbers."""

"""What an Arrow file declares, checked before polars reads it.

From Arrow's format: ``format/File.fbs``, ``Message.fbs`` and ``Schema.fbs``, and FlatBuffers'
internals (tables, vtables, vectors). A file is ``ARROW1``, messages, a footer that says where they
are, its length, ``ARROW1``. Only what decides how much memory is taken is looked at; polars checks
the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from linnet.errors import DataError

MAGIC = b"ARROW1"
LEAST_BYTES = 8 + 4 + 4 + 6
BLOCK, NODE, BUFFER = 24, 16, 16
"""The bytes of the structs ``Block``, ``FieldNode`` and ``Buffer``."""

VIEW_BYTES = 16
"""The most bytes that a value takes in polars, without its text."""

TYPES = {
    1: "null", 2: "whole numbers", 3: "numbers", 4: "binary", 5: "text", 6: "booleans",
    7: "decimals", 8: "dates", 9: "times of day", 10: "date-times", 11: "intervals", 12: "lists",
    13: "structs", 14: "unions", 15: "binary", 16: "lists", 17: "maps", 18: "durations",
    19: "binary", 20: "text", 21: "lists", 22: "runs", 23: "binary", 24: "text",
}  # fmt: skip
"""The kinds of columns, by their number in ``Schema.fbs``."""

READ = frozenset((1, 2, 3, 5, 6, 7, 8, 10, 20, 24))
"""Those that a table can hold."""

MAX_FIELDS = 100_000


@dataclass(frozen=True)
class Declared:
    """The columns of a file (name, kind by number), and the bytes that its values take."""

    columns: tuple[tuple[str, int], ...]
    need: int


class _Wrong(Exception):
    """What is wrong with the structure."""


class _Flat:
    """Some bytes as FlatBuffers; nothing outside them is read."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def number(self, at: int, size: int, *, signed: bool = False) -> int:
        if at < 0 or at + size > len(self.data):
            raise _Wrong("it points outside itself")
        return int.from_bytes(self.data[at : at + size], "little", signed=signed)

    def root(self) -> int:
        """Where the root table is."""
        return self.number(0, 4)

    def field(self, table: int, index: int) -> int | None:
        """Where a field of a table is; None if the table does not have it."""
        vtable = table - self.number(table, 4, signed=True)
        place = 4 + 2 * index
        if place + 2 > self.number(vtable, 2):
            return None
        offset = self.number(vtable + place, 2)
        return table + offset if offset else None

    def inner(self, table: int, index: int) -> int | None:
        """Where a table, vector or text that a field refers to is."""
        at = self.field(table, index)
        return None if at is None else at + self.number(at, 4)

    def items(self, table: int, index: int, size: int) -> range:
        """The places of a vector's items."""
        at = self.inner(table, index)
        if at is None:
            return range(0)
        count = self.number(at, 4)
        if at + 4 + count * size > len(self.data):
            raise _Wrong("a list runs over its end")
        return range(at + 4, at + 4 + count * size, size)

    def text(self, table: int, index: int) -> str:
        at = self.inner(table, index)
        if at is None:
            return ""
        stop = at + 4 + self.number(at, 4)
        if stop > len(self.data):
            raise _Wrong("a name runs over its end")
        return self.data[at + 4 : stop].decode(errors="replace")


def declared(content: bytes, source: str) -> Declared:
    """What the file ``content`` declares; raises DataError if it is no whole Arrow file."""
    try:
        return _declared(content)
    except _Wrong as error:
        raise DataError(
            f"{source}: a damaged Arrow file: {error}; fetch or copy it again"
        ) from error


def _declared(content: bytes) -> Declared:
    if len(content) < LEAST_BYTES or not content.startswith(MAGIC):
        raise _Wrong("it does not begin with ARROW1")
    if not content.endswith(MAGIC):
        raise _Wrong("its end is missing")
    end = len(content) - 10
    length = int.from_bytes(content[end : end + 4], "little", signed=True)
    if not 0 < length <= end - 8:
        raise _Wrong(f"its footer declares {length:,} bytes")
    footer = _Flat(content[end - length : end])
    root = footer.root()
    schema = footer.inner(root, 1)
    if schema is None:
        raise _Wrong("it has no schema")
    columns: list[tuple[str, int]] = []
    for at in footer.items(schema, 1, 4):
        if len(columns) == MAX_FIELDS:
            raise _Wrong(f"more than {MAX_FIELDS:,} columns (MAX_FIELDS)")
        field = at + footer.number(at, 4)
        place = footer.field(field, 2)
        columns.append((footer.text(field, 0), 0 if place is None else footer.number(place, 1)))
    blocks = (*footer.items(root, 2, BLOCK), *footer.items(root, 3, BLOCK))
    need = sum(_need(content, *_block(footer, at)) for at in blocks)
    return Declared(tuple(columns), need)


def _block(footer: _Flat, at: int) -> tuple[int, int, int]:
    """The offset, the bytes of metadata and of the body of a message."""
    return (
        footer.number(at, 8, signed=True),
        footer.number(at + 8, 4, signed=True),
        footer.number(at + 16, 8, signed=True),
    )


def _need(content: bytes, offset: int, metadata: int, body: int) -> int:
    """The bytes that the values of a message take."""
    if min(offset, metadata, body) < 0 or offset + metadata + body > len(content):
        raise _Wrong("a message lies outside the file")
    start = offset + 8 if content[offset : offset + 4] == b"\xff\xff\xff\xff" else offset + 4
    message = _Flat(content[start : offset + metadata])
    root = message.root()
    batch = message.inner(root, 2)
    kind = message.field(root, 1)
    if batch is None or kind is None:
        raise _Wrong("a message is empty")
    if message.number(kind, 1) == 2:  # a dictionary: its values are a batch of their own
        batch = message.inner(batch, 1)
        if batch is None:
            raise _Wrong("a dictionary is empty")
    lengths = [_length(message, message.field(batch, 0))]
    lengths += [_length(message, at) for at in message.items(batch, 1, NODE)]
    need = VIEW_BYTES * sum(lengths)
    packed = message.inner(batch, 3) is not None
    for first, size in _buffers(message, batch):
        if first + size > body:
            raise _Wrong("values lie outside their message")
        need += size
        if packed and size >= 8:
            at = offset + metadata + first
            need += max(0, int.from_bytes(content[at : at + 8], "little", signed=True))
    return need


def _length(message: _Flat, at: int | None) -> int:
    found = 0 if at is None else message.number(at, 8, signed=True)
    if found < 0:
        raise _Wrong("a column of fewer than no values")
    return found


def _buffers(message: _Flat, batch: int) -> Iterator[tuple[int, int]]:
    for at in message.items(batch, 2, BUFFER):
        first, size = (message.number(at + skip, 8, signed=True) for skip in (0, 8))
        if min(first, size) < 0:
            raise _Wrong("values lie before their message")
        yield first, size

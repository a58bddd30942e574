"""Parquet: what is read, and each fault told by file, column and what to do."""

import base64
import datetime as dt
import decimal
import io
import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import assert_same_tables, refusal
from linnet.data.memory.frames import Frames
from linnet.data.parquet import parquet
from linnet.data.parquet.footer import Broken, Compact, locate, parse
from linnet.data.parquet.parquet import Parquet
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.errors import DataError

ROWS = 200
CONTENT = {
    "i": list(range(ROWS)),
    "f": [row * 0.37 if row % 7 else None for row in range(ROWS)],
    "s": [f"name {row % 13}" if row % 5 else None for row in range(ROWS)],
    "b": [row % 3 == 0 for row in range(ROWS)],
    "t": [dt.datetime(2020, 1, 1) + dt.timedelta(hours=row) for row in range(ROWS)],
    "d": [dt.date(2020, 1, 1)] * ROWS,
}
PLAIN: dict[str, Any] = {"compression": "none", "use_dictionary": False}

Fields = list[tuple[int, int, Any]]
"""A struct of Thrift: number, kind and value of each field; a list's value is (kind, values)."""


def decode(content: bytes) -> tuple[Fields, int]:
    """A struct of the compact protocol in full, and the bytes it takes: a second, naive reader."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def value_of(kind: int) -> Any:
        nonlocal at
        if kind in (1, 2):
            return kind == 1
        if kind in (3, 4, 5, 6):
            return varint()
        if kind == 7:
            at += 8
            return content[at - 8 : at]
        if kind == 8:
            size = varint()
            at += size
            return content[at - size : at]
        if kind == 9:
            head = content[at]
            at += 1
            count = head >> 4 if head >> 4 < 15 else varint()
            return head & 15, [value_of(3 if head & 15 < 3 else head & 15) for _ in range(count)]
        return struct()

    def struct() -> Fields:
        nonlocal at
        fields: Fields = []
        number = 0
        while content[at]:
            head = content[at]
            at += 1
            number += head >> 4
            fields.append((number, head & 15, value_of(head & 15)))
        at += 1
        return fields

    found = struct()
    return found, at


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def encode(fields: Fields) -> bytes:
    def value_of(kind: int, value: Any) -> bytes:
        if kind in (3, 4, 5, 6):
            return varint(value)
        if kind == 7:
            return bytes(value)
        if kind == 8:
            return varint(len(value)) + bytes(value)
        if kind == 9:
            inner, values = value
            head = bytes((0xF0 | inner,)) + varint(len(values))
            return head + b"".join(value_of(inner, one) for one in values)
        return encode(value) if kind == 12 else b""

    out = b""
    last = 0
    for number, kind, value in fields:
        kind = kind if kind > 2 else 1 if value else 2
        out += bytes(((number - last) << 4 | kind,)) + value_of(kind, value)
        last = number
    return out + b"\0"


class Edit:
    """A path of field numbers and list places in a footer, to change what is there."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields

    def at(self, *path: int) -> "Edit":
        inner = self
        for number, place in zip(path[::2], path[1::2], strict=True):
            value = next(value for key, _, value in inner.fields if key == number)
            inner = Edit(value[1][place] if isinstance(value, tuple) else value)
        return inner

    def get(self, number: int) -> Any:
        return next(value for key, _, value in self.fields if key == number)

    def set(self, number: int, kind: int, value: Any) -> None:
        self.drop(number)
        self.fields.append((number, kind, value))
        self.fields.sort(key=lambda field: field[0])

    def drop(self, number: int) -> None:
        self.fields[:] = [field for field in self.fields if field[0] != number]


def zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def written(path: Path, content: Any = None, **options: Any) -> Path:
    table = content if isinstance(content, pa.Table) else pa.table(content or CONTENT)
    pq.write_table(table, path, **options)
    return path


def with_footer(path: Path, change: Callable[[Edit], None]) -> Path:
    content = path.read_bytes()
    end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    fields, _ = decode(content[end:])
    change(Edit(fields))
    footer = encode(fields)
    path.write_bytes(content[:end] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


def with_page(path: Path, change: Callable[[Edit], None]) -> Path:
    """The first page's header changed; it must keep its length."""
    content = path.read_bytes()
    fields, size = decode(content[4:])
    change(Edit(fields))
    header = encode(fields)
    assert len(header) == size
    path.write_bytes(content[:4] + header + content[4 + size :])
    return path


def read(place: Path, **settings: Any) -> Table:
    source = Parquet()
    assert source.matches(place)
    return source.read(place, Reading(**settings))


@pytest.mark.parametrize(
    "options",
    [
        PLAIN,
        {"compression": "snappy"},
        {"compression": "gzip", "data_page_version": "2.0"},
        {"compression": "zstd", "row_group_size": 50},
        {"compression": "brotli", "write_page_checksum": True},
        {"compression": "lz4", "data_page_size": 100},
        {"store_schema": False, "write_page_index": True},
        PLAIN | {"column_encoding": {"i": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY"}},
    ],
)
def test_a_file_gives_the_same_table_however_it_is_packed(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = written(tmp_path / "a.parquet", **options)
    table = read(path)
    assert_same_tables(table, Frames().read(pa.table(CONTENT), Reading()))
    assert table.name == "a.parquet" and len(table) == ROWS and not table.notes


def test_a_file_of_polars(tmp_path: Path) -> None:
    frame = pl.DataFrame(CONTENT).with_columns(
        kind=pl.Series(["x", "y"] * (ROWS // 2), dtype=pl.Enum(["x", "y"])),
        group=pl.Series(["p", "q"] * (ROWS // 2), dtype=pl.Categorical),
    )
    frame.write_parquet(tmp_path / "a.parquet")
    assert_same_tables(read(tmp_path / "a.parquet"), Frames().read(frame, Reading()))


def test_every_type_that_a_table_has(tmp_path: Path) -> None:
    moment = dt.datetime(2020, 1, 1, 12)
    columns: dict[str, tuple[pa.Array, Any, pl.DataType]] = {
        "u": (pa.array([1, None], pa.uint16()), [1.0, None], pl.Float64()),
        "big": (pa.array([2**60, None]), [str(2**60), None], pl.String()),
        "half": (pa.array([1.5, None], pa.float16()), [1.5, None], pl.Float64()),
        "nan": (pa.array([float("nan"), 1.0]), [None, 1.0], pl.Float64()),
        "money": (pa.array([decimal.Decimal("1.25"), None]), [1.25, None], pl.Float64()),
        "text": (pa.array([" a", "?"]), ["a", None], pl.String()),
        "cat": (pa.array(["x", None]).dictionary_encode(), ["x", None], pl.String()),
        "flag": (pa.array([True, None]), [True, None], pl.Boolean()),
        "day": (pa.array([moment.date(), None]), [moment.date(), None], pl.Date()),
        "none": (pa.nulls(2), [None, None], pl.String()),
    }
    for unit in ("ms", "us", "ns"):
        kind = pa.timestamp(unit, "America/New_York")
        columns[unit] = pa.array([moment, None], kind), [moment, None], pl.Datetime("us")
    table = pa.table({name: array for name, (array, _, _) in columns.items()})
    found = read(written(tmp_path / "a.pq", table)).columns
    for name, (_, values, dtype) in columns.items():
        assert found[name].to_list() == values and found[name].dtype == dtype, name


def test_a_file_is_told_by_its_ending_or_its_first_bytes(tmp_path: Path) -> None:
    source = Parquet()
    for name in ("a.parquet", "A.PARQUET", "a.pq", "no ending", "a[*].parquet", "s3:x.parquet"):
        assert len(read(written(tmp_path / name))) == ROWS
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "short").write_bytes(b"PA")
    (tmp_path / "folder").mkdir()
    for place in ("a.csv", "short", "folder", "nowhere.parquet"):
        assert not source.matches(tmp_path / place)
    assert not source.matches(str(tmp_path / "a.parquet")) and not source.matches(3)


def test_only_the_columns_asked_for_are_unpacked(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", **PLAIN)
    with open(path, "r+b") as file:  # the first page of "i" is ruined
        file.seek(4)
        file.write(bytes(40))
    assert 'column "i", row group 0: the header of page 0 is broken' in refusal(read, path)
    assert list(read(path, drop=("i", "t")).columns) == ["f", "s", "b", "d"]


def test_names_that_are_not_there(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", {"age": [1], "sex": [2]})
    assert refusal(read, path, drop="aeg") == (
        f'{path}: there is no column "aeg", named in drop; did you mean "age"?'
    )


def test_the_index_of_pandas_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", {"a": [1], "__index_level_0__": [7]})
    table = read(path)
    assert list(table.columns) == ["a"]
    assert table.notes == ("the index of pandas was left out: __index_level_0__",)
    asked = read(path, columns={"__index_level_0__": "identifier"})
    assert list(asked.columns) == ["a", "__index_level_0__"]


def test_an_infinite_number_names_file_column_and_row(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", {"a": [1.0, float("inf")]})
    assert refusal(read, path).startswith(
        f'{path}: column "a", row 1: inf; expected a finite number'
    )


# folders


def test_a_folder_comes_in_the_order_of_names(tmp_path: Path) -> None:
    written(tmp_path / "part-10.parquet", {"a": [3], "b": ["z"]})
    written(tmp_path / "part-02.PQ", pa.table({"b": ["x", "y"], "a": [1, 2]}))
    for name in (".hidden.parquet", "_metadata.parquet", "notes.txt"):
        (tmp_path / name).write_bytes(b"anything")
    (tmp_path / "more.parquet").mkdir()
    table = read(tmp_path)
    assert table.columns["a"].to_list() == [1.0, 2.0, 3.0]
    assert table.columns["b"].to_list() == ["x", "y", "z"]
    assert table.name == tmp_path.name


def test_a_folder_names_the_file_of_a_row(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", {"a": [1.0, 2.0]})
    written(tmp_path / "b.parquet", {"a": [1.0, float("inf")]})
    assert f'{tmp_path}: column "a", row 1 of b.parquet: inf' in refusal(read, tmp_path)


def test_categories_of_a_folder_may_differ(tmp_path: Path) -> None:
    for name, value in (("a", "x"), ("b", "y")):
        column = pl.Series("k", [value], dtype=pl.Enum([value]))
        pl.DataFrame([column]).write_parquet(tmp_path / f"{name}.parquet")
    written(tmp_path / "c.parquet", {"k": ["z"]})
    assert read(tmp_path).columns["k"].to_list() == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"a": [1.0], "b": [1]}, 'column "a" is DOUBLE, and in a.parquet it is INT64; expected'),
        ({"a": [1]}, 'column "b" is not there, and in a.parquet it is INT64'),
        ({"a": [1], "b": [1], "c": [1]}, 'column "c" is INT64, and in a.parquet it is not there'),
        ({"a": [1], "b": [[1]]}, 'column "b" is LIST, and in a.parquet it is INT64'),
        (
            {"a": [1], "b": pa.array([1], pa.uint64())},
            'column "b" is INT64 INTEGER (unsigned, 64 bits), and in a.parquet it is INT64',
        ),
    ],
)
def test_files_of_a_folder_with_other_columns(tmp_path: Path, other: Any, message: str) -> None:
    written(tmp_path / "a.parquet", {"a": [1], "b": [1]})
    path = written(tmp_path / "b.parquet", other)
    assert refusal(read, tmp_path).startswith(f"{path}: {message}")


def test_files_of_a_folder_with_other_zones(tmp_path: Path) -> None:
    for name, zone in (("a", "UTC"), ("b", "Europe/Berlin")):
        array = pa.array([dt.datetime(2020, 1, 1)], pa.timestamp("us", zone))
        written(tmp_path / f"{name}.parquet", {"t": array})
    message = refusal(read, tmp_path)
    assert 'b.parquet: column "t" is Datetime' in message and "Europe/Berlin" in message


# types that no table has


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (pa.array([[1], [2]]), "nested (LIST)"),
        (pa.array([{"x": 1}, {"x": 2}]), "nested (STRUCT)"),
        (pa.array([{"x": {"y": [1]}, "z": 2}] * 2), "nested (STRUCT)"),
        (pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())), "nested (MAP)"),
        (pa.array([b"a", b"b"]), "is Binary"),
        (pa.array([1, 2], pa.time32("ms")), "is Time"),
        (pa.array([decimal.Decimal(1)] * 2, pa.decimal256(60, 0)), ""),
    ],
)
def test_a_column_that_no_table_has_is_named(tmp_path: Path, array: pa.Array, word: str) -> None:
    path = written(tmp_path / "a.parquet", {"x": [1, 2], "odd": array, "y": [3, 4]})
    message = refusal(read, path)
    if word:
        assert f'{path}: column "odd" ' in message and word in message
        assert "leave it out (drop=odd)" in message
    assert read(path, drop="odd").columns["y"].to_list() == [3.0, 4.0]


def test_an_extension_type_never_reaches_polars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = pa.array([1, 2])
    odd = pa.ExtensionArray.from_storage(pa.opaque(pa.int64(), "t", "v"), numbers)
    path = written(tmp_path / "a.parquet", {"x": numbers, "odd": odd})
    monkeypatch.setattr(pl, "read_parquet", lambda *_, **__: pytest.fail("polars saw it"))
    expected = (
        f'{path}: column "odd" (arrow.opaque) is of an extension type, which is not read; write '
        "it again with that column as plain numbers or text, or without it"
    )
    assert refusal(read, path) == expected and refusal(read, path, drop="odd") == expected


def test_an_extension_type_that_cannot_be_placed(tmp_path: Path) -> None:
    def change(footer: Edit) -> None:
        entry = footer.at(5, 0)
        assert entry.get(1) == b"ARROW:schema"
        entry.set(2, 8, base64.b64encode(b"\xff" * 50 + b"ARROW:extension:name"))

    path = with_footer(written(tmp_path / "a.parquet"), change)
    assert f"{path}: one of its columns is of an extension type" in refusal(read, path)
    path = with_footer(path, lambda footer: footer.at(5, 0).set(2, 8, b"not base64!"))
    assert "its ARROW:schema is not base64" in refusal(read, path)


# files that are not what they should be


def test_text_named_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("a,b\n1,2\n")
    assert refusal(read, path) == (
        f"{path}: its first bytes are not those of a Parquet file (expected b'PAR1', found "
        "b'a,b\\n'); if it is text, name it .csv"
    )
    path.write_bytes(b"")
    assert "it is empty" in refusal(read, path)


@pytest.mark.parametrize("left", [4, 8, 11, 12, 100, -1, -5])
def test_a_file_cut_short(tmp_path: Path, left: int) -> None:
    path = written(tmp_path / "a.parquet")
    path.write_bytes(path.read_bytes()[:left])
    message = refusal(read, path)
    assert message.startswith(f"{path}: cut short: ") and "fetch or copy it again" in message


def test_a_footer_longer_than_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:-8] + (2**32 - 1).to_bytes(4, "little") + b"PAR1")
    assert "declares a footer of 4,294,967,295 bytes, more than the file's" in refusal(read, path)


def test_a_footer_too_long_to_look_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linnet.data.parquet.footer.MAX_FOOTER", 100)
    assert "at most 100 (MAX_FOOTER)" in refusal(read, written(tmp_path / "a.parquet"))


def test_a_footer_that_is_none(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet")
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[: -8 - length] + b"\xff" * length + content[-8:])
    assert f"{path}: its footer is broken: " in refusal(read, path)
    path.write_bytes(b"PAR1" + b"\0" + (1).to_bytes(4, "little") + b"PAR1")
    assert "its footer is broken: field 3 is None" in refusal(read, path)


def test_encrypted_files(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet")
    content = path.read_bytes()
    path.write_bytes(b"PARE" + content[4:-4] + b"PARE")
    message = f"{path}: is encrypted; write it again without encryption"
    assert refusal(read, path) == message
    path.write_bytes(content)
    with_footer(path, lambda footer: footer.set(8, 12, []))
    assert refusal(read, path) == message
    path.write_bytes(content)
    with_footer(path, lambda footer: footer.at(4, 0, 1, 2).set(8, 12, []))
    assert refusal(read, path) == message


def test_no_rows_and_no_row_groups(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", {"a": pa.array([], pa.int64())})
    assert refusal(read, path).startswith(f"{path}: no rows (")
    pq.ParquetWriter(path, pa.schema([("a", pa.int64())])).close()
    assert refusal(read, path) == f"{path}: no rows (0 row groups); expected at least one"


def test_names_twice_or_none(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", pa.table([[1], [2]], names=["a", "a"]))
    assert refusal(read, path) == f'{path}: columns 0 and 1 are both named "a"; rename one'
    path = written(tmp_path / "b.parquet", pa.table([[1]], names=[""]))
    assert refusal(read, path) == f"{path}: column 0 has no name (''); give it one"


def test_columns_in_another_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet")
    with_footer(path, lambda footer: footer.at(4, 0, 1, 0).set(1, 8, b"../other.parquet"))
    assert "its columns lie in another file (b'../other.parquet'), which is not opened" in (
        refusal(read, path)
    )


def overlap(footer: Edit) -> None:
    """Every column lies where the first does."""
    first = footer.at(4, 0, 1, 0, 3, 0)
    for column in range(1, len(CONTENT)):
        for field in (7, 9):
            footer.at(4, 0, 1, column, 3, 0).set(field, 6, first.get(field))


LIES: dict[str, tuple[Callable[[Edit], None], str]] = {
    "beyond": (
        lambda f: f.at(4, 0, 1, 0, 3, 0).set(9, 6, zigzag(2**40)),
        "outside the file's",
    ),
    "before": (lambda f: f.at(4, 0, 1, 0, 3, 0).set(9, 6, zigzag(2)), 'column "i", row group 0,'),
    "negative": (lambda f: f.at(4, 0, 1, 0, 3, 0).set(9, 6, zigzag(-9)), "field 9 is -9"),
    "size": (lambda f: f.at(4, 0, 1, 0, 3, 0).set(7, 6, zigzag(2**62)), "outside the file's"),
    "overlap": (overlap, "they overlap"),
    "values": (
        lambda f: f.at(4, 0, 1, 0, 3, 0).set(5, 6, zigzag(ROWS + 1)),
        "has 201 values for 200 rows",
    ),
    "rows": (lambda f: f.set(3, 6, zigzag(10**12)), "declares 1,000,000,000,000 rows, and its row"),
    "group": (
        lambda f: f.at(4, 0).set(3, 6, zigzag(ROWS + 1)),
        "has 200 values for 201 rows",
    ),
    "codec": (lambda f: f.at(4, 0, 1, 0, 3, 0).set(4, 5, zigzag(99)), "unknown compression 99"),
    "type": (lambda f: f.at(2, 1).set(1, 5, zigzag(99)), "the unknown type 99"),
    "untyped": (lambda f: f.at(2, 1).drop(1), 'column "i" has no type'),
    "children": (lambda f: f.at(2, 0).set(5, 5, zigzag(9)), "the schema ends within a column"),
    "unused": (lambda f: f.at(2, 0).set(5, 5, zigzag(5)), "the schema has 7 elements, and 6"),
    "schema": (lambda f: f.drop(2), "no schema"),
    "columns": (
        lambda f: f.at(4, 0).set(1, 9, (12, f.at(4, 0).get(1)[1][:5])),
        "row group 0 has 5 columns, and the schema 6",
    ),
    "nowhere": (
        lambda f: f.at(4, 0, 1, 0).drop(3),
        "row group 0 does not say where its columns lie",
    ),
    "name": (lambda f: f.at(2, 1).set(4, 8, b"\xff\xfe"), "can't decode byte"),
    "number": (lambda f: f.at(2, 1).set(4, 5, 3), "a value of the wrong kind 5"),
    "logical": (
        lambda f: f.at(2, 1).set(10, 12, [(1, 12, []), (4, 12, [])]),
        "several logical types",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_footer_that_cannot_be_true(tmp_path: Path, lie: str) -> None:
    change, message = LIES[lie]
    path = with_footer(written(tmp_path / "a.parquet", **PLAIN), change)
    found = refusal(read, path)
    assert found.startswith(f"{path}: its footer is broken: ") and message in found
    assert "fetch or copy it again" in found


def test_a_footer_written_again_is_read(tmp_path: Path) -> None:
    path = with_footer(written(tmp_path / "a.parquet"), lambda footer: None)
    assert len(read(path)) == ROWS


def test_more_values_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.parquet", {"a": list(range(2_000_000))})
    monkeypatch.setattr("linnet.core.memory.available", lambda: 10_000_000)
    assert f"{path} needs about 0.0" in refusal(read, path)
    assert "are free; give fewer rows" in refusal(read, path)


def test_far_more_values_than_a_file_of_its_size_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linnet.core.memory.available", lambda: None)
    path = written(tmp_path / "a.parquet", {"a": [1], "b": [2]})
    whole = path.read_bytes()
    with_footer(path, lambda f: f.at(4, 0, 1, 0, 3, 0).set(6, 6, zigzag(2 * 10**9)))
    assert "at most 10,000 times its size (MAX_RATIO)" in refusal(read, path)
    assert list(read(path, drop="a").columns) == ["b"]
    path.write_bytes(whole)

    def many(footer: Edit) -> None:
        for setting in (footer, footer.at(4, 0)):
            setting.set(3, 6, zigzag(10**12))
        for column in range(2):
            footer.at(4, 0, 1, column, 3, 0).set(5, 6, zigzag(10**12))

    with_footer(path, many)
    assert "declares 16,000,000,000,000 bytes of values" in refusal(read, path)


def test_a_real_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"a": pa.chunked_array([pa.array([0] * 1_000_000)] * 20)})
    path = written(tmp_path / "a.parquet", table, compression="zstd", use_dictionary=False)
    monkeypatch.setattr(parquet, "RATIO_FROM", 100_000_000)
    monkeypatch.setattr(parquet, "MAX_RATIO", 1_000)
    assert "declares 160," in refusal(read, path)


def test_a_page_with_a_wrong_checksum(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", {"a": list(range(1000))}, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    message = refusal(read, path)
    assert f'{path}: column "a", row group 0: page 0 is damaged: ' in message
    assert "checksum (CRC) declared; fetch or copy it again" in message


PAGES: dict[str, tuple[Callable[[Edit], None], str]] = {
    "unpacked": (lambda p: p.set(2, 5, p.get(2) + 140), "bytes once unpacked, its chunk"),
    "packed": (lambda p: p.set(3, 5, p.get(3) + 128), "bytes, and"),
    "differ": (lambda p: p.set(3, 5, p.get(3) - 2), "is not compressed, yet declares"),
    "values": (lambda p: p.at(5, 0).set(1, 5, zigzag(1001)), "hold 1,001 values, and 1,000"),
    "kind": (lambda p: p.set(1, 5, zigzag(9)), "page 0 is of the unknown kind 9"),
    "negative": (lambda p: p.set(2, 5, p.get(2) | 1), "the header of page 0 is broken: field 2"),
}


@pytest.mark.parametrize("lie", PAGES)
def test_a_page_that_cannot_be_true(tmp_path: Path, lie: str) -> None:
    change, message = PAGES[lie]
    path = with_page(written(tmp_path / "a.parquet", {"a": list(range(1000))}, **PLAIN), change)
    found = refusal(read, path)
    assert found.startswith(f'{path}: column "a", row group 0: ') and message in found


def test_a_dictionary_of_more_values_than_bytes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", {"a": list(range(100)) * 10}, compression="none")
    with_page(path, lambda page: page.at(7, 0).set(1, 5, zigzag(8000)))
    assert "page 0 declares 8,000 values in 800 bytes" in refusal(read, path)


def test_a_page_that_does_not_unpack(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", {"a": list(range(1000))}, compression="zstd")
    content = bytearray(path.read_bytes())
    content[60:100] = bytes(40)
    path.write_bytes(content)
    message = refusal(read, path)
    assert message.startswith(f"{path}: polars cannot read it: ") and "\n" not in message


def test_a_panic_of_polars_is_told_as_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def panic(*_: Any, **__: Any) -> None:
        raise pl.exceptions.PanicException("index out of bounds")

    path = written(tmp_path / "a.parquet")
    monkeypatch.setattr(pl, "read_parquet", panic)
    assert f"{path}: polars cannot read it: index out of bounds; fetch" in refusal(read, path)
    monkeypatch.setattr(pl, "read_parquet", lambda *_, **__: pl.DataFrame({"i": [1]}))
    assert "polars reads 1 rows and 1 columns of 200 and 6" in refusal(read, path)


@pytest.mark.parametrize("how", ["longer", "touched", "other"])
def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path = written(tmp_path / "a.parquet")
    weigh = parquet._weigh

    def meanwhile(*given: Any) -> None:
        weigh(*given)
        content = path.read_bytes()
        status = path.stat()
        if how == "longer":
            path.write_bytes(content + b"more")
        elif how == "other":
            with_footer(path, lambda footer: footer.at(2, 1).set(4, 8, b"j"))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + (how == "touched")))

    monkeypatch.setattr(parquet, "_weigh", meanwhile)
    assert refusal(read, path) == f"{path}: changed while it was read; read it again"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.parquet")

    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    assert refusal(read, path) == f"{path}: cannot read: Permission denied"


# the reader of footers


def test_the_footer_tells_what_pyarrow_tells(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", compression="zstd", row_group_size=70)
    content = path.read_bytes()
    size = len(content)
    length = locate(content[:4], content[-8:], size, "x")
    footer = parse(content[size - 8 - length : -8], size - 8 - length, "x")
    theirs = pq.read_metadata(path)
    assert footer.rows == theirs.num_rows and footer.groups == theirs.num_row_groups == 3
    assert [column.name for column in footer.columns] == list(CONTENT)
    assert footer.keys == ("ARROW:schema",)
    for chunk in footer.chunks:
        other = theirs.row_group(chunk.group).column(chunk.column)
        assert chunk.values == other.num_values and chunk.codec == other.compression == "ZSTD"
        assert chunk.size == other.total_compressed_size
        assert chunk.unpacked == other.total_uncompressed_size
        start = other.dictionary_page_offset or other.data_page_offset
        assert chunk.start == min(start, other.data_page_offset)
    assert sum(chunk.size for chunk in footer.chunks) <= size
    assert zlib.crc32(content) == zlib.crc32(path.read_bytes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1c" * 40, "nested deeper than 16"),
        (b"\x19\x5c", "a list of 5"),
        (b"\x19\xf3\xff\xff\xff\xff\x0f", "a list of 4,294,967,295"),
        (b"\x18\xff\xff\xff\xff\x0f", "a text of 4,294,967,295 bytes"),
        (b"\x16" + b"\xff" * 10 + b"\0", "more than 64 bits"),
        (b"\x1b\x7f\x55", "a list of 127"),
        (b"\x1f", "the unknown kind 15"),
        (b"\x06\x02\x02\x06\x02\x02\0", "the field 1 twice"),
        (b"\x15", "it ends within a value"),
        (b"", "it ends within a value, after 0 bytes"),
    ],
)
def test_the_compact_protocol_is_read_within_bounds(content: bytes, message: str) -> None:
    wanted: dict[int, Any] = {}
    if message == "the field 1 twice":
        wanted, message = {1: int}, "field 1 occurs twice"
    with pytest.raises(Broken, match=message):
        Compact(content).struct(wanted)


def test_the_compact_protocol_passes_over_every_kind() -> None:
    fields: Fields = [
        (1, 1, True), (2, 2, False), (3, 3, 7), (4, 4, 300), (5, 7, bytes(8)), (6, 8, b"text"),
        (7, 9, (5, [1, 2])), (8, 12, [(1, 5, 1)]), (9, 9, (3, [1, 0])), (10, 6, zigzag(-300)),
    ]  # fmt: skip
    maps = b"\x1b\x01\x58\x02\x01x"  # field 11, from number to text
    content = encode(fields)[:-1] + maps + b"\x16\x04\0"
    reader = Compact(content)
    assert reader.struct({1: bool, 2: bool, 6: bytes, 10: int, 12: int}) == {
        1: True, 2: False, 6: b"text", 10: -300, 12: 2,
    }  # fmt: skip
    assert reader.at == len(content)


# damage at random


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Bytes cut off, or one to five of them changed, one time in two within the footer."""
    if chance.random() < 0.1:
        return content[: chance.randrange(len(content))]
    changed = bytearray(content)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        at = chance.randrange(footer if chance.random() < 0.5 else 0, len(changed))
        changed[at] = chance.choice([chance.randrange(256), changed[at] ^ 1 << chance.randrange(8)])
    return bytes(changed)


def survive(tmp_path: Path, count: int, seed: int, **options: Any) -> None:
    content = io.BytesIO()
    pq.write_table(pa.table(CONTENT), content, **options)
    chance = random.Random(seed)
    path = tmp_path / "a.parquet"
    for _ in range(count):
        path.write_bytes(damaged(content.getvalue(), chance))
        try:
            assert isinstance(read(path), Table)
        except DataError as error:
            assert str(error).startswith(f"{path}: ")


def test_a_damaged_file_is_read_or_refused(tmp_path: Path) -> None:
    survive(tmp_path, 150, 0, **PLAIN)
    survive(tmp_path, 150, 1, compression="snappy")

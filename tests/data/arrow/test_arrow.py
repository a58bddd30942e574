"""Arrow files (Feather): what is read, and what is refused before polars reads it."""

import io
import struct
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather

import linnet
from helpers import refusal
from linnet.core import memory
from linnet.data.arrow import arrow, check
from linnet.data.read import read_raw
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.errors import DataError

Packing = Literal["uncompressed", "lz4", "zstd"]
PACKINGS: tuple[Packing, ...] = ("uncompressed", "lz4", "zstd")

FRAME = pl.DataFrame(
    {
        "n": [1.5, None, 3.0],
        "i": pl.Series([1, 2, 2**60], dtype=pl.Int64),
        "s": ["a", "x" * 40, None],
        "c": pl.Series(["u", "v", "u"], dtype=pl.Categorical),
        "d": [date(2024, 1, day) for day in (1, 2, 3)],
        "t": [datetime(2024, 1, 1, hour) for hour in (1, 2, 3)],
        "b": [True, None, False],
    }
)


def load(path: Path, **settings: Any) -> Table:
    found = read_raw(path, Reading(**settings))
    assert isinstance(found, Table)
    return found


def content(packing: Packing = "uncompressed", frame: pl.DataFrame = FRAME) -> bytes:
    packed = io.BytesIO()
    frame.write_ipc(packed, compression=packing)
    return packed.getvalue()


def put(folder: Path, data: bytes, name: str = "t.arrow") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", ["t.arrow", "t.feather", "t.bin"])
def test_columns_are_those_of_the_same_table_in_parquet(
    tmp_path: Path, packing: Packing, name: str
) -> None:
    FRAME.write_parquet(tmp_path / "t.parquet")
    expected, found = load(tmp_path / "t.parquet"), load(put(tmp_path, content(packing), name))
    assert {k: v.dtype for k, v in found.columns.items()} == {
        k: v.dtype for k, v in expected.columns.items()
    }
    assert {k: v.to_list() for k, v in found.columns.items()} == {
        k: v.to_list() for k, v in expected.columns.items()
    }
    assert (found.name, found.words) == ("t", expected.words)


def test_several_batches_and_dictionaries_of_pyarrow(tmp_path: Path) -> None:
    words = pa.array(["u", "v", None]).dictionary_encode()
    table = pa.table(
        {"x": [1, 2, 3], "c": words, "l": pa.array(["a", "b", "c"], pa.large_string())}
    )
    whole = pa.concat_tables([table, table])
    with (
        pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as to,
    ):
        to.write_table(table)
        to.write_table(table)
    found = load(tmp_path / "t.arrow")
    assert {k: v.to_list() for k, v in found.columns.items()} == whole.to_pydict()


def test_feather_of_pandas_leaves_its_index_out(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0, 2.0], "__index_level_0__": ["a", "b"]})
    feather.write_feather(table, str(tmp_path / "t.feather"))
    found = load(tmp_path / "t.feather")
    assert list(found.columns) == ["x"] and "the index of pandas was left out" in found.notes[0]


def test_other_kinds_are_refused_by_name_or_left_out(tmp_path: Path) -> None:
    frame = FRAME.with_columns(l=pl.lit([[1]]), y=pl.duration(hours=1))
    path = put(tmp_path, content(frame=frame))
    assert 'column "l" is lists' in refusal(load, path)
    assert 'column "y" is durations' in refusal(load, path, drop=("l",))
    assert "l" not in load(path, drop=("l", "y")).columns
    assert 'no column "z"' in refusal(load, path, drop=("z",))
    assert "version 1" in refusal(load, put(tmp_path, b"FEA1....FEA1", "t.feather"))


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    whole = content("zstd")
    for data in (
        b"",
        b"ARROW1",
        whole[:-1],
        whole[:100] + whole[-100:],
        whole[:-10] + b"\xff" * 10,
    ):
        assert "a damaged Arrow file" in refusal(load, put(tmp_path, data))
    for length in (0, -1, 2**31 - 1):
        data = whole[:-10] + struct.pack("<i", length) + b"ARROW1"
        assert "its footer declares" in refusal(load, put(tmp_path, data))


def test_more_values_than_a_file_can_hold_are_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows without a buffer, and values that declare to become large, cost nothing in the file."""

    def decode(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(arrow, "careful", decode)
    for packing in PACKINGS:
        whole = content(packing, pl.DataFrame({"x": [None] * 12_345, "y": ["abc"] * 12_345}))
        rows = struct.pack("<q", 12_345)
        assert rows in whole
        data = whole.replace(rows, struct.pack("<q", 2**50))
        assert "MAX_RATIO" in refusal(load, put(tmp_path, data))
        monkeypatch.setattr(memory, "available", lambda: 10_000)
        assert "needs about" in refusal(load, put(tmp_path, whole))
        monkeypatch.undo()
        monkeypatch.setattr(arrow, "careful", decode)


def test_what_values_need_is_counted(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [0.0] * 100_000})
    plain, packed = (check.declared(content(kind, frame), "t") for kind in ("uncompressed", "zstd"))
    assert plain.columns == packed.columns == (("x", 3),)
    assert 800_000 <= plain.need < 5_000_000 and 800_000 <= packed.need < 5_000_000


def test_every_cut_and_every_changed_byte_of_the_metadata_is_read_or_refused(
    tmp_path: Path,
) -> None:
    whole = content("uncompressed", FRAME.select("n", "s"))
    start = len(whole) - 10 - int.from_bytes(whole[-10:-6], "little")
    for at in range(start, len(whole) - 6, 3):
        for value in (0, 255):
            data = bytearray(whole)
            data[at] = value
            try:
                check.declared(bytes(data), "t")
            except DataError as error:
                assert "a damaged Arrow file" in str(error)


def test_a_feather_file_trains(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [k / 7 for k in range(50)], "y": ["a", "b"] * 25})
    found = linnet.read(put(tmp_path, content("lz4", frame)), "y")
    assert found.schema.classes == ("a", "b") and len(found) == 50

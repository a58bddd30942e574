"""Parquet by blocks: the same columns as a whole, whatever the blocks, and the same refusals."""

from pathlib import Path

import polars as pl
import pytest

from linnet.data.parquet.blocks import Files
from linnet.data.parquet.parquet import Parquet
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.errors import DataError


def folder(place: Path, frames: list[pl.DataFrame], **settings: object) -> Path:
    place.mkdir()
    for number, frame in enumerate(frames):
        frame.write_parquet(place / f"{number}.parquet", **settings)  # type: ignore[arg-type]
    return place


def some(rows: int, start: int = 0) -> pl.DataFrame:
    numbers = range(start, start + rows)
    return pl.DataFrame(
        {
            "i": list(numbers),
            "f": [n * 0.37 if n % 7 else None for n in numbers],
            "s": [f" name {n % 13} " if n % 5 else "NA" for n in numbers],
            "b": [n % 3 == 0 for n in numbers],
        }
    ).with_columns(c=pl.col("s").cast(pl.Categorical))


@pytest.mark.parametrize("rows", [1, 7, 100, 1000])
def test_blocks_are_the_rows_of_the_whole(tmp_path: Path, rows: int) -> None:
    place = folder(tmp_path / "a", [some(100), some(1, 100), some(57, 101)], row_group_size=30)
    whole = Parquet().read(place, Reading(drop=("b",)))
    files = Files(place, Reading(drop=("b",)))
    assert len(files) == len(whole) == 158
    tables = [files.table(block) for block in files.blocks(rows)]
    assert max(map(len, tables)) <= rows
    for name, series in whole.columns.items():
        assert pl.concat([table.columns[name] for table in tables]).equals(series), name
    assert tables[0].words == whole.words
    one = Files(place / "0.parquet", Reading())
    assert one.words == Parquet().read(place / "0.parquet", Reading()).words == {"c"}
    told = [files.where(row) for row in (0, 100, 157)]
    assert told == ["row 0 of 0.parquet", "row 0 of 1.parquet", "row 56 of 2.parquet"]


def test_a_file_that_changes_between_two_blocks_is_refused(tmp_path: Path) -> None:
    place = folder(tmp_path / "a", [some(100)])
    files = Files(place, Reading())
    blocks = files.blocks(50)
    files.table(next(blocks))
    some(101).write_parquet(place / "0.parquet")
    with pytest.raises(DataError, match=r"0\.parquet: changed while it was read"):
        files.table(next(blocks))


def test_a_bad_number_is_named_by_file_and_row(tmp_path: Path) -> None:
    bad = some(100).with_columns(f=pl.when(pl.col("i") == 77).then(float("inf")).otherwise(1.0))
    place = folder(tmp_path / "a", [some(40), bad])
    told = set()
    for read in (
        lambda: Parquet().read(place, Reading()),
        lambda: [files.table(block) for files in [Files(place, Reading())]
                 for block in files.blocks(10)],
    ):  # fmt: skip
        with pytest.raises(DataError) as caught:
            read()
        told.add(str(caught.value))
    assert len(told) == 1
    assert "row 77 of 1.parquet" in told.pop()


def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    table = pa.table({"a": list(range(1000))})
    pq.write_table(table, path, compression="none", use_dictionary=False,
                   write_page_checksum=True)  # fmt: skip
    content = bytearray(path.read_bytes())
    content[500] ^= 255
    path.write_bytes(content)
    files = Files(path, Reading())
    with pytest.raises(DataError, match="checksum"):
        files.table(next(files.blocks()))


def test_files_of_other_types_are_refused(tmp_path: Path) -> None:
    other = some(10).with_columns(f=pl.col("i"))
    place = folder(tmp_path / "a", [some(10), other])
    with pytest.raises(DataError, match='column "f"'):
        Files(place, Reading())


def test_names_of_files_say_the_part(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    some(10).write_parquet(tmp_path / "a" / "train.parquet")
    some(5).write_parquet(tmp_path / "a" / "test.parquet")
    whole: Table = Parquet().read(tmp_path / "a", Reading())
    files = Files(tmp_path / "a", Reading())
    assert files.part == whole.given["split"]
    assert files.whole(["part"])["part"].equals(whole.columns["part"])

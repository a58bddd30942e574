"""Text files by pieces: the table, the notes and the errors of the same files in memory."""

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from linnet.core import files
from linnet.data import store
from linnet.data.dataset import Dataset
from linnet.data.draft import draft, outline
from linnet.data.large import Large
from linnet.data.parquet.blocks import Files
from linnet.data.read import read_raw
from linnet.data.reading import Reading
from linnet.data.split import Split
from linnet.data.table import Table
from linnet.data.text import lines, reader
from linnet.data.text.pieces import Pieces
from linnet.errors import DataError, WorkError

LONG = "\n".join(f"{n},{n % 7}.5,word {n % 3}" for n in range(400))

PLACES: dict[str, dict[str, str | bytes]] = {
    "numbers": {"t.csv": f"a,b,c\n{LONG}\n"},
    "text at the end": {"t.csv": f"a,b,c\n{LONG}\n400,word,word 1\n"},
    "codes at the end": {"t.csv": "a,b\n" + "12,1\n" * 300 + "012,1\n"},
    "missing at the beginning": {"t.csv": "a,b\n" + "NA,1\n" * 300 + "x,1\n"},
    "records over lines": {"t.csv": "a,b\n" + '"one\ntwo",1\n' * 200 + "three,2\n"},
    "the index of pandas": {"t.csv": ",a\n" + "".join(f"{n},{n * 2}\n" for n in range(300))},
    "an empty column": {"t.csv": "a,b,\n" + "1,2,\n" * 300},
    "no value at the end": {"t.csv": "a,b\n" + "1,2\n" * 300 + ",\n,\n"},
    "decimal commas": {"t.csv": "a;b\n" + "1,5;1.234\n" * 200 + "2,5;12.345\n"},
    "points that are none": {"t.csv": "a;b\n" + "1,5;1.234\n" * 200 + "2,5;12.3\n"},
    "Chinese": {"t.csv": ("城市,年\n" + "北京上海,1\n" * 300).encode("gb18030")},
    "packed": {"t.csv.gz": gzip.compress(f"a,b,c\n{LONG}\n".encode(), mtime=0)},
    "two files": {"s/1.csv": f"a,b,c\n{LONG}\n", "s/2.csv": "c,b,a\nx,1,2\ny,3,4\n"},
    "text in one of two": {"s/1.csv": f"a,b,c\n{LONG}\n", "s/2.csv": "a,b,c\n1,no,x\n2,3,\n"},
    "nothing in one of two": {"s/1.csv": f"a,b,c\n{LONG}\n", "s/2.csv": "a,b,c\n1,2,\n2,3,NA\n"},
    "parts by name": {"s/train.csv": f"a,b,c\n{LONG}\n", "s/test.csv": "a,b,c\n1,2,x\n"},
    "folders of Hive": {"s/k=1/m=01/a.csv": "x\n1\n2\n", "s/k=2/m=02/a.csv": "x\n3\n"},
    "others beside": {"s/1.csv": "a\n1\n", "s/2.csv": "a\n2\n", "s/x.md": "words"},
}

WRONG: dict[str, dict[str, str | bytes]] = {
    "a field too many": {"t.csv": f"a,b,c\n{LONG}\n1,2,3,4\n"},
    "beyond float64": {"t.csv": f"a,b,c\n{LONG}\n1e999,1,x\n"},
    "no index": {"t.csv": ",a\n" + "x,1\n" * 300},
    "a blank line": {"t.csv": f"a,b,c\n{LONG}\n\n1,2,x\n"},
    "no text": {"t.csv": f"a,b,c\n{LONG}\n1,2,".encode() + b"\xff\xfe\n"},
    "no rows": {"t.csv": "a,b\n"},
    "other columns": {"s/1.csv": "a,b\n1,2\n", "s/2.csv": "a,c\n1,2\n"},
    "a fault in the second": {"s/1.csv": "a,b\n1,2\n", "s/2.csv": "a,b\n1,2\n3\n"},
}


@pytest.fixture(params=[40, 4 << 20])
def chunked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of few bytes, so that each file has many."""
    monkeypatch.setattr(lines, "CHUNK_BYTES", request.param)
    monkeypatch.setattr(reader, "BYTES_A_COLUMN", 0)


def lay(folder: Path, contents: dict[str, str | bytes]) -> Path:
    """The files; returns the one, or the folder of several."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / next(iter(contents)).partition("/")[0]


@pytest.mark.usefixtures("chunked")
@pytest.mark.parametrize("name", PLACES)
def test_the_table_is_that_of_the_files_in_memory(name: str, tmp_path: Path) -> None:
    place, reading = lay(tmp_path, PLACES[name]), Reading()
    whole = read_raw(place, reading)
    assert isinstance(whole, Table)
    found = Pieces(place, reading)
    assert Pieces.matches(place)
    with found.ready(tmp_path / "store"):
        table = Large.of(found, reading)
        for column in whole.columns:
            assert table.columns[column].equals(whole.columns[column], check_dtypes=True), column
        assert list(table.columns) == list(whole.columns)
        assert (table.name, len(table), table.given) == (whole.name, len(whole), whole.given)
        assert table.notes == whole.notes
        assert list(map(type, table.notes)) == list(map(type, whole.notes))
        for row in {0, 1, len(whole) // 2, len(whole) - 1}:
            assert table.where(row) == whole.where(row)
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.usefixtures("chunked")
@pytest.mark.parametrize("name", WRONG)
def test_an_error_is_that_of_the_files_in_memory(name: str, tmp_path: Path) -> None:
    place, reading = lay(tmp_path, WRONG[name]), Reading()
    with pytest.raises(DataError) as whole:
        read_raw(place, reading)
    with (
        pytest.raises(DataError) as found,
        Pieces(place, reading).ready(tmp_path / "store"),
    ):
        pass
    assert str(found.value) == str(whole.value)
    assert list((tmp_path / "store").iterdir()) == []


DATA = {
    "titanic": ("titanic.csv", "survived"),
    "adult": ("adult.data", "column_14"),
    "diamonds": ("diamonds.csv", "price"),
}


def divide(data: Dataset) -> Split:
    return data.split(test=0.2, valid=None, seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA)
def test_known_tables_have_one_schema_by_all_paths(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target = DATA[name]
    path = Path(os.environ.get("LINNET_DATA", "")) / file
    if not path.is_file():
        pytest.skip(f"LINNET_DATA does not point at a folder with {file}")
    frame = pl.read_csv(path, has_header=name != "adult")
    target = next(column for column in frame.columns if column.lower() == target)
    parts = np.resize(["train", "train", "valid", "test"], len(frame))
    place = tmp_path / f"{name}.csv"
    frame.with_columns(part=pl.Series(parts)).write_csv(place)
    reading = Reading(target=(target,), split="part")
    table = read_raw(place, reading)
    assert isinstance(table, Table)
    one = draft(table, reading)
    split = divide(one)
    whole = one.learn(split.train, 100, 3)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 100_000)
    settings = {"seed": 3, "max_categories": 100}
    source = Pieces(place, reading)
    found = store.stored(source, reading, tmp_path / "s", divide, settings)
    with source.ready(tmp_path / "s"):
        other = outline(Large.of(source, reading), reading)
    assert other.schema == one.schema and other.notes == one.notes and other.y.equal(one.y)
    assert found.data.schema == whole.schema
    for mine, theirs in list(zip(found.split, split, strict=True))[1:]:
        assert found.data.take(mine).fingerprint() == whole.take(theirs).fingerprint()


def test_a_store_of_text_is_that_of_parquet(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    frame = pl.DataFrame({"x": draws.normal(size=3000), "w": [f"w{n % 4}" for n in range(3000)]})
    frame = frame.with_columns(y=2.0 * pl.col("x") + 1)
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    reading, settings = Reading(target=("y",)), {"seed": 3, "max_categories": 100}
    one, other = (
        store.stored(source, reading, tmp_path / "s", divide, settings).data
        for source in (
            Files(tmp_path / "t.parquet", reading),
            Pieces(tmp_path / "t.csv", reading),
        )
    )
    assert other.fingerprint() == one.fingerprint()


def test_what_fits_follows_from_the_first_values(tmp_path: Path) -> None:
    place = lay(tmp_path, {"t.csv": "a,b\n" + "0.123456789,12345\n" * 50_000})
    found = Pieces(place, Reading())
    need = 2 * 50_000 * (8 + 2 * 8)
    assert found.fits(24 * place.stat().st_size + 1)  # without a look
    assert found.fits(int(1.1 * need))
    assert not found.fits(int(0.9 * need))
    wrong = lay(tmp_path / "w", {"t.csv": b"a\n\xff" * 50_000})
    assert not Pieces(wrong, Reading()).fits(1000)


def test_a_full_disk_is_told_before_the_text_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free", lambda _: 1000)
    place = lay(tmp_path, PLACES["numbers"])
    with (
        pytest.raises(
            WorkError, match=r"for a time, and 0\.0 GB are free there; give another disk"
        ),
        Pieces(place, Reading()).ready(tmp_path / "store"),
    ):
        pass
    assert not (tmp_path / "store").exists()


def test_a_folder_of_other_files_is_not_read_by_pieces(tmp_path: Path) -> None:
    contents: dict[str, Any] = {"s/1.jsonl": '{"a":1}\n', "s/2.jsonl": '{"a":2}\n'}
    assert not Pieces.matches(lay(tmp_path, contents))

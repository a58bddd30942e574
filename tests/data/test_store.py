"""The store: the rows of the data in memory, in shuffled order, whole or not at all."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from linnet.core import files
from linnet.data import columns, store
from linnet.data.coded import Coded
from linnet.data.dataset import Dataset
from linnet.data.draft import draft
from linnet.data.parquet.blocks import Files
from linnet.data.parquet.parquet import Parquet
from linnet.data.reading import Reading
from linnet.data.split import Split
from linnet.data.store import Stored
from linnet.errors import DataError, WorkError

ROWS = 3_000
SETTINGS = {"seed": 3, "max_categories": 100}


def frame(words: int = 5) -> pl.DataFrame:
    draws = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "n": draws.normal(size=ROWS),
            "w": [None if n % 11 == 0 else f"word {n % words}" for n in range(ROWS)],
            "d": [f"2024-01-{n % 28 + 1:02}" for n in range(ROWS)],
            "row": np.arange(ROWS) + 0.5,
            "y": [None if n % 100 == 99 else float(n % 2) for n in range(ROWS)],
        }
    )


def shards(place: Path, data: pl.DataFrame, number: int = 3) -> Path:
    place.mkdir()
    for k in range(number):
        data[k * ROWS // number : (k + 1) * ROWS // number].write_parquet(place / f"{k}.parquet")
    return place


def divide(data: Dataset) -> Split:
    return data.split(test=0.2, valid=None, seed=3)


READING = Reading(target=("y",))


def both(place: Path, out: Path, reading: Reading = READING) -> tuple[Dataset, Split, Stored]:
    """The data in memory with its split, and the store."""
    drafted = draft(Parquet().read(place, reading), reading)
    drafted = drafted.select(reading.classes, reading.positive)
    split = divide(drafted)
    whole = drafted.learn(split.train, 100, 3)
    return whole, split, store.stored(Files(place, reading), reading, out, divide, SETTINGS)


def in_order(rows: Dataset) -> list[Any]:
    """The rows as lists of numbers, sorted."""
    x = rows.x.dense() if isinstance(rows.x, Coded) else rows.x
    return sorted(torch.cat([x.double(), rows.y.double().reshape(len(x), -1)], 1).tolist())


@pytest.mark.parametrize("words", [5, 60])
@pytest.mark.parametrize("bucket", [1 << 12, 1 << 27])
def test_the_parts_hold_the_rows_of_the_data_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: int, words: int
) -> None:
    monkeypatch.setattr(store, "BUCKET", bucket)
    monkeypatch.setattr(columns, "WIDE", 50)
    whole, split, found = both(shards(tmp_path / "a", frame(words)), tmp_path / "s")
    assert found.data.schema == whole.schema
    notes = [note.replace(" of 0.parquet", "") for note in found.data.notes]
    assert notes == list(whole.notes)
    assert list(map(type, found.data.notes)) == list(map(type, whole.notes))
    assert isinstance(found.data.x, Coded) == isinstance(whole.x, Coded) == (words > 50)
    for part, rows in zip(found.split, split, strict=True):
        mine, theirs = found.data.take(part), whole.take(rows)
        assert in_order(mine) == in_order(theirs)
    for part, rows in zip(found.split[1:], split[1:], strict=True):
        mine, theirs = found.data.take(part), whole.take(rows)
        assert mine.fingerprint() == theirs.fingerprint()


def test_training_rows_are_shuffled_and_taken_without_a_copy(tmp_path: Path) -> None:
    whole, split, found = both(shards(tmp_path / "a", frame()), tmp_path / "s")
    place = found.data.schema.columns.index("row")
    order = found.data.take(found.split.train).x[:, place]
    assert not order.equal(whole.x[split.train, place])
    assert abs(np.corrcoef(order.numpy(), np.arange(len(order)))[0, 1]) < 0.1
    part = found.data.take(found.split.valid)
    start = found.data.x[len(split.train)]
    assert part.x.data_ptr() == start.data_ptr()
    assert found.data.take(torch.tensor([5, 3])).x.equal(found.data.x[[5, 3]])


def test_classes_are_kept_and_rows_are_seen(tmp_path: Path) -> None:
    reading = Reading(target=("w",), classes=("word 1", "word 3"), positive="word 3")
    whole, split, found = both(shards(tmp_path / "a", frame()), tmp_path / "s", reading)
    assert found.data.schema == whole.schema
    assert in_order(found.data.take(found.split.train)) == in_order(whole.take(split.train))
    assert len(found.seen) == len(whole)  # fewer rows than SEEN are all seen
    assert found.seen.schema.example == "record"
    assert [len(part) for part in found.seen_split] == [len(part) for part in split]


def test_a_store_is_found_again_by_files_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = shards(tmp_path / "a", frame())
    _, _, found = both(place, tmp_path / "s")
    with monkeypatch.context() as patch:
        patch.setattr(store, "_make", lambda *_: pytest.fail("it is made twice"))
        again = store.stored(Files(place, READING), READING, tmp_path / "s", divide, SETTINGS)
    assert again.data.fingerprint() == found.data.fingerprint()
    other = {**SETTINGS, "seed": 4}
    store.stored(Files(place, READING), READING, tmp_path / "s", divide, other)
    assert len(list((tmp_path / "s").iterdir())) == 2
    frame().head(10).write_parquet(place / "9.parquet")
    store.stored(Files(place, READING), READING, tmp_path / "s", divide, SETTINGS)
    assert len(list((tmp_path / "s").iterdir())) == 3


def test_nothing_is_left_of_a_store_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = shards(tmp_path / "a", frame())
    monkeypatch.setattr(files, "flush", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(WorkError, match="cannot write the store"):
        both(place, tmp_path / "s")
    assert list((tmp_path / "s").iterdir()) == []


def test_too_little_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free", lambda _: 1000)
    with pytest.raises(WorkError, match=r"take about .* GB are free there; give another disk"):
        both(shards(tmp_path / "a", frame()), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    place = shards(tmp_path / "a", frame())
    both(place, tmp_path / "s")
    (folder,) = (tmp_path / "s").iterdir()
    with open(folder / "x.bin", "ab") as file:
        file.write(b"0")
    with pytest.raises(DataError, match="the store is damaged"):
        store.opened(folder)
    shutil.rmtree(folder)
    both(place, tmp_path / "s")

"""One contract for both paths: data in memory, and the same data in shards that are read by
blocks, have the same kinds, categories, notes, targets and splits."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from linnet.data.draft import draft, outline
from linnet.data.kinds import inferred, surveyed
from linnet.data.large import Large
from linnet.data.parquet.blocks import Files
from linnet.data.parquet.parquet import Parquet
from linnet.data.reading import Reading
from linnet.data.survey import MAX_CATEGORIES, Merged, Summary, Whole
from linnet.data.table import Table

DATA = {"titanic": "titanic.csv", "adult": "adult.data", "diamonds": "diamonds.csv"}


def shards(frame: pl.DataFrame, place: Path, number: int = 3) -> Path:
    """The rows in files of unlike size."""
    place.mkdir()
    cuts = [0, *(len(frame) * (k + 1) ** 2 // number**2 for k in range(number))]
    for k, (start, end) in enumerate(pairwise(cuts)):
        frame[start:end].write_parquet(place / f"{k}.parquet")
    return place


def known(name: str) -> pl.DataFrame:
    root = os.environ.get("LINNET_DATA")
    if not root or not (Path(root) / DATA[name]).exists():
        pytest.skip(f"LINNET_DATA does not point at a folder with {DATA[name]}")
    path = Path(root) / DATA[name]
    if name == "adult":
        return pl.read_csv(path, has_header=False)
    return pl.read_csv(path)


TARGETS = {"titanic": "Survived", "adult": "column_14", "diamonds": "price"}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("texts", [False, True])
def test_both_paths_draft_the_same(
    name: str, texts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Files.blocks, "__defaults__", (5_000,))
    frame = known(name)
    if texts:  # all as text, so that forms of numbers and dates are decided too
        frame = frame.cast(pl.String)
    target = next((c for c in frame.columns if c.lower() == TARGETS[name].lower()), "")
    frame = frame.with_columns(
        part=pl.Series(np.resize(["train", "train", "valid", "test"], len(frame)))
    )
    reading = Reading(target=target, split="part")
    place = shards(frame, tmp_path / "shards")
    one = draft(Parquet().read(place, reading), reading)
    other = outline(Large.of(Files(place, reading), reading), reading)
    assert other.schema == one.schema
    assert other.notes == one.notes
    assert other.y.equal(one.y)
    assert other.division is not None
    assert one.division is not None
    assert other.division.values.equal(one.division.values)


def merged(series: pl.Series, size: int) -> Merged:
    parts = [series[at : at + size] for at in range(0, len(series), size)]
    summary = Summary.of(parts[0])
    for part in parts[1:]:
        summary = summary + Summary.of(part)
    return Merged(series.name, summary, lambda: iter(parts), lambda: series)


ROWS = 45_000
DRAWS = np.random.default_rng(0)
COLUMNS = {
    "id": np.arange(ROWS, dtype=float),
    "key": DRAWS.permutation(ROWS).astype(float),
    "uuid": np.where(np.arange(ROWS) == 44_000, 7.0, np.arange(ROWS)),
    "codes": DRAWS.integers(0, 4, ROWS).astype(float),
    "constant": np.full(ROWS, 3.0),
    "fractions": np.where(np.arange(ROWS) == 40_000, 0.5, 1.0 * (np.arange(ROWS) % 3)),
    "days": 20_240_101.0 + DRAWS.integers(0, 28, ROWS),
    "many": np.array([f"word {n % (MAX_CATEGORIES + 1)}" for n in range(ROWS)]),
    "most": np.array([f"word {n % MAX_CATEGORIES}" for n in range(ROWS)]),
    "all": np.array([f"w{n}" for n in range(ROWS)]),
    "yes": np.where(np.arange(ROWS) % 2 == 0, "Yes", "no"),
    "alike": np.array(["New York", "new  york", "Rome"])[np.arange(ROWS) % 3],
    "prices": np.array([f"$1,{n % 1000:03}.50" for n in range(ROWS)]),
    "dates": np.array([f"2024-01-{n % 28 + 1:02} 10:00" for n in range(ROWS)]),
    "lone": np.where(np.arange(ROWS) == 44_999, "12", "word"),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("holes", [False, True])
def test_a_survey_of_parts_decides_as_one_of_the_whole(name: str, holes: bool) -> None:
    series = pl.Series(name, COLUMNS[name])
    if holes:
        series = series.set(pl.Series(np.arange(ROWS) % 10 == 3), None)
    table = Table({name: series}, "t")
    whole = inferred(series, None, table, Reading())
    for size in (7_001, 20_000, ROWS):
        survey = merged(series, size)
        assert surveyed(survey, None, table, Reading()) == whole
        assert survey.sample(1000).equals(Whole(series).sample(1000))
        assert survey.head(1000).equals(Whole(series).head(1000))


def test_dates_and_booleans_are_surveyed_too() -> None:
    days = pl.Series("d", pl.date_range(pl.date(2020, 1, 1), pl.date(2024, 1, 1), eager=True))
    columns = [
        days, days.cast(pl.Datetime("us")), days.cast(pl.Datetime("us")).dt.offset_by("1h"),
        pl.Series("b", [True, None] * 500), pl.Series("c", [True] * 500),
        pl.Series("n", [None] * 50, dtype=pl.Float64),
    ]  # fmt: skip
    found = []
    for series in columns:
        table = Table({series.name: series}, "t")
        one = inferred(series, None, table, Reading())
        assert surveyed(merged(series, 100), None, table, Reading()) == one
        found.append((one[0].kind, one[0].timed))
    assert found == [("date", False), ("date", False), ("date", True),
                     ("boolean", False), ("constant", False), ("constant", False)]  # fmt: skip


def test_a_number_too_large_for_float64_makes_its_column_text(tmp_path: Path) -> None:
    frame = pl.DataFrame({"y": [0.5, 1.5] * 50, "n": [*range(99), 2**60], "x": range(100)})
    place = shards(frame, tmp_path / "a")
    reading = Reading(target=("y",))
    one = draft(Parquet().read(place, reading), reading)
    assert outline(Large.of(Files(place, reading), reading), reading).schema == one.schema
    assert [field.kind for field in one.schema.fields] == ["identifier", "number"]

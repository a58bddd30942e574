"""What stands beside a prediction: its interval or set, and columns of the data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import linnet
from helpers import command
from linnet.errors import InputError
from linnet.experiment.few import few
from linnet.fit.artifact import load
from linnet.insight.conformal import FOLDS, TIME

ROWS = 240


def table(seed: int = 0) -> pl.DataFrame:
    numbers = np.random.default_rng(seed)
    x = numbers.normal(size=ROWS)
    size = x + numbers.normal(size=ROWS)
    return pl.DataFrame(
        {
            "id": [f"{number:05}" for number in range(ROWS)],
            "name": ["=1+1, a"] + [f"n {number}" for number in range(1, ROWS)],
            "x": x.round(3),
            "size": size,
            "kind": np.array(["a", "b", "c"])[np.digitize(size, [-0.5, 1.2])],
        }
    )


LINE: dict[str, Any] = {"model": "linear", "penalty": 0.1, "yardstick": "none", "echo": False}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, and runs on it: numbers, and classes."""
    folder = tmp_path_factory.mktemp("rows")
    table().write_csv(folder / "t.csv")
    for target, other in (("size", "kind"), ("kind", "size")):
        linnet.train(
            str(folder / "t.csv"), target=target, drop=[other, "name"], out=folder / target, **LINE
        )
    table(1).drop("size", "kind").write_csv(folder / "new.csv")
    return folder


def test_numbers_have_intervals(place: Path) -> None:
    run = linnet.Run(place / "size")
    assert run.model.calibration == run.intervals()
    found = linnet.predict(run.path, table(1), interval=0.9)
    assert found.interval is not None and list(found.columns())[-3:] == [
        "prediction",
        "low",
        "high",
    ]
    low, high = run.intervals().interval(found.prediction, 0.9)
    assert np.array_equal(found.interval[0], low) and np.array_equal(found.interval[1], high)
    inside = (low <= table(1)["size"].to_numpy()) & (table(1)["size"].to_numpy() <= high)
    assert 0.8 < inside.mean() < 0.99
    alone = load(place / "size" / "linear.safetensors").predict_interval(table(1), 0.9)
    assert np.array_equal(alone, found.interval)
    assert any("48 test rows, which taught and chose nothing" in note for note in found.notes)
    quick = few(run.path, str(place / "new.csv"), interval=0.9)
    assert quick is not None and quick.interval is not None
    assert np.allclose(quick.interval, found.interval, atol=1e-5)
    with pytest.raises(InputError, match="needs 99 rows to calibrate it, and there are 48"):
        linnet.predict(run.path, table(1), interval=0.99)
    with pytest.raises(InputError, match="a level is between 0 and 1"):
        few(run.path, str(place / "new.csv"), interval=90)


def test_classes_have_sets(place: Path) -> None:
    run = linnet.Run(place / "kind")
    assert run.model.calibration == run.intervals()
    found = linnet.predict(run.path, table(1), interval=0.8)
    sets = run.model.predict_set(table(1), 0.8)
    assert found.sets is not None and np.array_equal(found.sets, sets.inside)
    members = found.columns()["set"].tolist()
    assert members == [
        [name for name, at in zip("abc", row, strict=True) if at] for row in sets.inside
    ]
    loose = linnet.predict(run.path, table(1), interval=0.5)  # a set is never empty without a word
    assert loose.sets is not None
    empty = int((~loose.sets.any(1)).sum())
    assert empty and any(note.startswith(f"{empty:,} sets are empty") for note in loose.notes)
    for name in ("p.csv", "p.json", "p.parquet"):
        words = ["predict", run.path, place / "new.csv", "--interval", "0.8", "--out", place / name]
        assert command(*words).returncode == 0
    texts = pl.read_csv(place / "p.csv")["set"].fill_null("").to_list()
    assert texts == ["; ".join(each) for each in members]
    assert pl.read_parquet(place / "p.parquet")["set"].to_list() == members
    assert [row["set"] for row in json.loads((place / "p.json").read_text())["rows"]] == members
    shown = command("predict", run.path, place / "new.csv", "--interval", "0.8", "--keep", "id")
    assert "80.00 % of rows like those that calibrate" in shown.stderr and "; " in shown.stdout


def test_what_does_not_hold_is_said(place: Path, tmp_path: Path) -> None:
    frame = table().with_columns(pl.int_range(ROWS).alias("day"))
    timed = linnet.train(
        frame, target="size", time="day", drop=["kind", "name"], out=tmp_path / "t", **LINE
    )
    assert TIME in linnet.predict(timed.path, frame, interval=0.9).notes
    folds = linnet.train(
        table(), target="size", test="folds", drop=["kind", "name"], out=tmp_path / "f", **LINE
    )
    found = linnet.predict(folds.path, frame, interval=0.9)
    assert FOLDS in found.notes and any("240 rows out of fold" in note for note in found.notes)
    assert folds.model.calibration == folds.intervals()


def test_without_test_rows_there_is_no_interval(tmp_path: Path) -> None:
    few_rows = table().head(10).select("x", "size")
    run = linnet.train(few_rows, target="size", out=tmp_path / "r", **LINE)
    assert run.model.manifest.calibration is None
    with pytest.raises(InputError, match="no calibration of intervals: it was tested on no rows"):
        linnet.predict(run.path, table(1), interval=0.9)


def test_columns_are_kept_as_they_are_written(place: Path) -> None:
    ids, names = table(1)["id"].to_list(), table(1)["name"].to_list()
    for data, rows in ((place / "new.csv", "0,7,239"), (place / "t.csv", "0,7,239")):
        out = place / "kept.json"
        done = command(
            "predict", place / "size", data, "--keep", "name,id,x", "--rows", rows, "--out", out
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(out.read_text())["rows"]
        assert list(found[0])[:4] == ["name", "id", "x", "row"]
        assert [row["id"] for row in found] == [ids[0], ids[7], ids[239]]
        assert [row["name"] for row in found] == [names[0], names[7], names[239]]
    written = (place / "t.csv").read_text().splitlines()[8].split(",")[2]
    assert found[1]["x"] == written  # a column of the model too, as text
    assert command(
        "predict", place / "size", place / "new.csv", "--keep", "name", "--out", place / "k.csv"
    ).returncode == 0  # fmt: skip
    assert pl.read_csv(place / "k.csv")["name"][0] == "'=1+1, a"  # no formula of a spreadsheet
    frame = table(1).with_columns(pl.int_range(ROWS).alias("number"), pl.lit(None).alias("gone"))
    kept = linnet.predict(place / "size", frame, part="all", keep=["number", "gone"]).kept
    assert kept["number"].tolist() == list(range(ROWS)) and set(kept["gone"]) == {None}
    test = linnet.predict(linnet.Run(place / "size"), place / "t.csv", part="test", keep=["id"])
    assert test.kept["id"].tolist() == [table()["id"][row] for row in test.row.tolist()]


def test_rows_without_a_target_leave_no_gap(place: Path) -> None:
    """Of a part the rows without a target are left out, and their kept columns too."""
    frame = table(1).with_columns(
        pl.when(pl.int_range(ROWS) % 3 == 0).then(None).otherwise(pl.col("size")).alias("size")
    )
    found = linnet.predict(place / "size", frame, part="auto", keep=["id"])
    left = frame.filter(pl.col("size").is_not_null())
    assert found.kept["id"].tolist() == left["id"].to_list()
    assert found.y is not None and found.y.tolist() == left["size"].to_list()


@pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")  # of the picture
def test_what_cannot_be_kept_is_refused_by_name(place: Path, tmp_path: Path) -> None:
    for data in ("new.csv", "t.csv"):
        with pytest.raises(InputError, match='has no column "idd"; did you mean "id"'):
            few_or_all(place / "size", str(place / data), keep=["idd"])
    strange = table(1).rename({"name": "prediction"})
    with pytest.raises(InputError, match='"prediction" cannot be kept'):
        linnet.predict(place / "size", strange, keep=["prediction"])
    pictures = linnet.train("digits", model="linear", penalty=1.0, out=tmp_path / "d", echo=False)
    with pytest.raises(InputError, match="it is no table"):
        linnet.predict(pictures.path, "digits", keep=["id"])
    from PIL import Image

    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "a.png")
    for give in (few, linnet.predict):
        with pytest.raises(InputError, match="the name of the file stands beside"):
            give(pictures.path, [str(tmp_path / "a.png")], keep=["id"])


def few_or_all(run: Path, data: str, **more: Any) -> Any:
    """What the command predicts."""
    found = few(run, data, **more)
    return linnet.predict(run, data, **more) if found is None else found

"""Scores on rows that the models were trained on are told from scores on others."""

import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import linnet
from helpers import command
from linnet.errors import InputError, LinnetWarning
from linnet.experiment.evaluate import evaluate
from linnet.insight.slices import Slices
from linnet.runs import archive

ROWS = 200


def table() -> polars.DataFrame:
    random = np.random.default_rng(0)
    return polars.DataFrame(
        {
            "size": [None if row % 9 == 0 else row / 7 for row in range(ROWS)],
            "width": random.normal(size=ROWS),
            "kind": random.choice(["a", "b", "c"], ROWS),
            "y": random.choice(["no", "yes"], ROWS),
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    folder = tmp_path_factory.mktemp("evaluate")
    table().write_csv(folder / "all.csv")
    archived = linnet.train(
        str(folder / "all.csv"), target="y", model="linear", penalty=[0.1], folds=1,
        out=folder / "r", echo=False,
    )  # fmt: skip
    archive.pack(archived.path, folder / "moved.zip")
    shutil.copy(archived.path / "linear.safetensors", folder / "alone.safetensors")
    return archived


def told(place: Path, data: object, **more: Any) -> tuple[dict[str, Any], list[str]]:
    """What is said of the data, and the warnings."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        about = evaluate(place, data, **more)["data"]
    return about, [str(w.message) for w in found if issubclass(w.category, LinnetWarning)]


Made = Callable[[polars.DataFrame, linnet.Run], polars.DataFrame]
KNOWN: dict[str, Made] = {
    "permuted": lambda frame, run: frame.sample(fraction=1, shuffle=True, seed=1),
    "some": lambda frame, run: frame[run.split()["train"][::3].tolist()],
    "twice": lambda frame, run: polars.concat([frame[run.split()["train"].tolist()]] * 2),
    "other columns": lambda frame, run: frame.select(
        "y", polars.lit(3).alias("more"), "kind", "size", "width"
    )[run.split()["train"].tolist()],
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("place", ["r", "moved.zip", "r/linear.safetensors"])
def test_rows_that_trained_the_models_are_counted(
    run: linnet.Run, tmp_path: Path, name: str, place: str
) -> None:
    frame = KNOWN[name](table(), run)
    frame.write_csv(tmp_path / "other.csv")
    about, words = told(run.path.parent / place, str(tmp_path / "other.csv"))
    assert about["part"] == "all" and len(frame) == about["rows"]
    whole = name == "permuted"
    assert about["known"]["train"] == (128 if whole else len(frame))
    assert about["known"]["valid"] == (32 if whole else 0)
    assert any(f"{about['known']['train']} trained the models" in text for text in words)


def test_other_rows_and_the_runs_own_test_rows_are_no_reason_to_warn(
    run: linnet.Run, tmp_path: Path
) -> None:
    table()[run.split()["test"].tolist()].write_csv(tmp_path / "held.csv")
    new = table().with_columns(size=polars.col("size").fill_null(0) + 0.01)
    new.write_csv(tmp_path / "new.csv")
    for data in (run.path.parent / "all.csv", tmp_path / "held.csv", tmp_path / "new.csv"):
        about, words = told(run.path, str(data))
        assert about["known"] == {"train": 0, "valid": 0} and not words
    about, words = told(run.path, str(run.path.parent / "all.csv"), part="train")
    assert about["known"]["train"] == about["rows"] and not words  # it was asked for by name


def test_a_model_file_alone_says_what_it_does_not_know(run: linnet.Run, tmp_path: Path) -> None:
    alone, whole = run.path.parent / "alone.safetensors", run.path.parent / "all.csv"
    about, words = told(alone, str(whole))
    assert about["known"] is None and "128 of its rows trained it" in words[0]
    table()[:50].write_csv(tmp_path / "some.csv")
    about, words = told(alone, str(tmp_path / "some.csv"))
    assert about["known"] is None and not words
    assert "does not say which rows trained it" in about["notes"][-1]


@pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")
def test_slices_by_columns_that_the_model_knows_or_not(tmp_path: Path) -> None:
    """The rows of a slice are those of the raw column, also where rows without a target are left
    out, and of a column that was dropped."""
    numbers = np.random.default_rng(0)
    rows = 400
    frame = polars.DataFrame(
        {
            "x": numbers.normal(size=rows),
            "sex": np.array(["f", "m"])[numbers.integers(0, 2, rows)],
            "age": numbers.integers(20, 60, rows),
            "town": [None if row % 7 == 0 else f"t{row % 3}" for row in range(rows)],
        }
    ).with_columns((polars.col("x") + polars.Series(numbers.normal(size=rows)) > 0).alias("up"))
    labels = ["yes" if up else "no" for up in frame["up"]]
    y = polars.Series([None if row % 10 == 0 else value for row, value in enumerate(labels)])
    frame = frame.drop("up").with_columns(y.alias("y"))
    run = linnet.train(
        frame, target="y", model="linear", drop=["sex", "age"], out=tmp_path / "run",
        echo=False, yardstick="none", penalty=0.1,
    )  # fmt: skip
    by = ("sex", "town", "age", "y")
    scores = evaluate(run.path, frame, part="all", by=by)["models"]["linear"]
    known = frame.filter(polars.col("y").is_not_null())
    right = run.model.predict(known) == known["y"].to_numpy()
    found = {(each.column, each.value): each for each in Slices.parse(scores["slices"])}
    assert {column for column, _ in found} == set(by)
    for column, value, inside in (
        ("sex", "f", known["sex"] == "f"),
        ("town", "t1", known["town"] == "t1"),
        ("town", "(missing)", known["town"].is_null()),
        ("y", "yes", known["y"] == "yes"),
    ):
        told = found[column, value]
        assert told.rows == inside.sum()
        assert told.score == pytest.approx(right[inside.to_numpy().astype(bool)].mean())
    quarters = [each for (column, _), each in found.items() if column == "age"]
    assert len(quarters) == 4 and sum(each.rows for each in quarters) == len(known)
    with pytest.raises(InputError, match='has no column "sexx"; did you mean "sex"'):
        evaluate(run.path, frame, by=["sexx"])
    done = command("evaluate", run.path, frame_csv(frame, tmp_path), "--by", "sex")
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert re.search(r"sex +rows +linear", out) and re.search(r"\n(f|m) +\d+ +\d+\.\d\d % \(", out)


def frame_csv(frame: polars.DataFrame, folder: Path) -> Path:
    path = folder / "table.csv"
    frame.write_csv(path)
    return path


def test_pictures_have_no_slices(tmp_path: Path) -> None:
    run = linnet.train(
        "digits", model="linear", out=tmp_path / "run", echo=False, penalty=1.0, yardstick="none"
    )
    with pytest.raises(InputError, match="takes pictures; importance, dependence and slices"):
        evaluate(run.path, "digits", by=["x"])

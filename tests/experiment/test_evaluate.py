"""Scores on rows that the models were trained on are told from scores on others."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import linnet
from linnet.errors import LinnetWarning
from linnet.experiment.evaluate import evaluate
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

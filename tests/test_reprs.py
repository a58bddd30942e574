"""What Python shows of linnet's objects: one line, and words."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import linnet
from linnet.core.closed import Closed
from linnet.data.read import read_raw
from linnet.data.reading import Reading
from linnet.experiment.predict import predict
from linnet.experiment.sweep import sweep
from linnet.fit.recipe import Recipe
from linnet.runs.curve import LearningCurve

MOST = 300


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    return linnet.train("digits", epochs=2, out=tmp_path_factory.mktemp("reprs") / "digits")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 400 columns, one with an odd name."""
    path = tmp_path_factory.mktemp("wide") / "wide.csv"
    random = np.random.default_rng(0)
    names = ["a\x1b[31m\u202e", *(f"column number {index}" for index in range(398)), "price"]
    pl.DataFrame(dict(zip(names, random.normal(size=(400, 60)), strict=True))).write_csv(path)
    return path


def one_line(value: Any, most: int = MOST) -> str:
    for text in (repr(value), str(value)):
        assert len(text) <= most and text.isprintable(), text
    return repr(value)


def test_a_model_is_a_line(run: linnet.Run) -> None:
    told = one_line(run.model)
    test = run.scores.models[run.chosen].test
    assert test is not None and test.accuracy is not None
    for word in (run.chosen, "digits", "1 x 8 x 8", "10 classes", f"{100 * test.accuracy:.2f} %"):
        assert word in told
    assert "360 test rows" in told
    assert one_line(run.models, 3 * MOST).count("Artifact(") == 3
    file = run.path / "linear.safetensors"
    assert repr(linnet.load(file)) == repr(run.models["linear"])


def test_records_of_a_run_are_lines(run: linnet.Run) -> None:
    for value in (run.scores, run.model.manifest, run.model.schema, run.scores.models["mlp"].test):
        one_line(value, 600)
    assert "model='linear'" in repr(run.models["linear"].manifest)
    one_line(predict(run.path, "digits"))
    for trial in sweep("iris", model="linear", seed=[0, 1], out=run.path.parent / "s"):
        one_line(trial)
    told = one_line(run)
    assert str(run.path) in told and f", {run.chosen}: accuracy " in told and "test rows" in told


def test_data_is_a_line(wide: Path) -> None:
    assert repr(linnet.read("iris")) == "Dataset('iris', 150 rows x 4, 3 classes)"
    data = linnet.read(str(wide), target="price")
    assert "60 rows" in one_line(data) and "target price" in repr(data)
    one_line(data.schema, 800)
    one_line(data.learn(data.split(test=0.2, valid=0.2, seed=0).train))
    assert "60 rows" in one_line(read_raw(str(wide), Reading(target=("price",))))


def test_a_recipe_shows_what_is_not_usual() -> None:
    assert repr(Recipe()) == "Recipe()"
    assert (
        one_line(Recipe.make({"lr": 0.1, "model": "linear"})) == "Recipe(lr=0.1, model=('linear',))"
    )
    named = Recipe.make({"columns": {f"column {index}": "number" for index in range(1000)}})
    assert one_line(named).startswith("Recipe(columns={'column 0': 'number'")


def test_reasons_are_sentences(run: linnet.Run, capsys: pytest.CaptureFixture[str]) -> None:
    short = linnet.train("diabetes", epochs=5, widths=8, out=run.path.parent / "short")
    reasons = short.reasons()
    assert isinstance(reasons, list) and len(reasons)
    print(reasons)
    told = capsys.readouterr().out
    assert told == repr(reasons) + "\n" and "Claim(" not in told
    assert told.splitlines() == [f"- {claim.text}; {claim.remedy}" for claim in reasons]
    one_line(reasons[:1], 10_000)
    for claim in reasons:
        assert len(repr(claim)) <= MOST and repr(claim).startswith("Claim(")
    assert str(type(reasons)()) == "no reason found"


def test_no_closed_record_shows_a_long_value() -> None:
    class Long(Closed):
        name: str
        values: tuple[float, ...] = ()
        usual: int = 3

    long = Long(name="x" * 1000, values=tuple(range(1000)))
    assert one_line(long).count("...") == 2 and "usual" not in repr(long)
    assert issubclass(LearningCurve, Closed)

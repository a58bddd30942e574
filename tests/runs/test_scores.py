"""``run.metrics`` is plain JSON; ``run.scores`` are the same scores with typed attributes."""

import json
from typing import Any

import pytest

import linnet
from linnet.errors import InputError
from linnet.runs import validation
from linnet.runs.run import Run

FIT = {"reason": "done", "seconds": 1.0, "steps": 3, "best_step": 2}


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return linnet.train("iris", epochs=2, out=tmp_path_factory.mktemp("scores") / "r")


def test_scores_are_those_of_the_metrics(iris: Run) -> None:
    plain, scores = iris.metrics, iris.scores
    assert type(plain) is dict and json.loads(json.dumps(plain)) == plain
    assert (scores.chosen, scores.verdict) == (plain["chosen"], plain["verdict"])
    assert [*scores.models] == [*plain["models"]] and len(scores.comparisons) == 3
    for name, model in scores.models.items():
        given = plain["models"][name]
        assert model.test is not None and model.valid is not None
        for part in ("fit", "valid", "test"):
            typed: Any = getattr(model, part)
            for key, value in given[part].items():
                found = getattr(typed, key)
                assert (list(found) if isinstance(found, tuple) else found) == value, (part, key)
    assert scores.models["mlp"].fit.gap is None and scores.models["linear"].fit.gap is not None


def test_of_no_rows_there_are_no_scores() -> None:
    held = {"format": 1, "chosen": "mlp", "verdict": "-"}
    found = validation.metrics({**held, "models": {"mlp": {"fit": FIT, "valid": {}}}}, "m.json")
    assert found.models["mlp"].valid is None and found.models["mlp"].test is None
    assert found.models["mlp"].fit.steps == 3 and found.comparisons == []


@pytest.mark.parametrize("part", ["valid", "test"])
def test_null_is_not_none(part: str) -> None:
    plain = {"format": 1, "chosen": "m", "verdict": "-", "models": {"m": {"fit": FIT, part: None}}}
    with pytest.raises(InputError) as caught:
        validation.metrics(plain, "m.json")
    assert f'm.json: "models.m.{part}" is None: Input should be an object' in str(caught.value)

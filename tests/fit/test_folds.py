"""Folds of the training rows: who chooses, who is scored, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
from sklearn.datasets import load_diabetes, load_iris, make_friedman1
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

import linnet
from linnet.data.dataset import Dataset
from linnet.errors import RecipeError
from linnet.fit.fit import fit
from linnet.fit.folds import FEW
from linnet.fit.prepare import Prepared, prepare
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only
from linnet.insight.evaluation import measure_raw, predict_raw
from linnet.networks.mean import Mean
from linnet.runs import directory
from linnet.runs.resume import recipe_of

QUICK: dict[str, Any] = {"epochs": 3, "widths": (8,), "yardstick": "none"}


def ready(data: Any, **settings: Any) -> Prepared:
    return prepare(data, Recipe.make(settings))


def fitted(found: Prepared, name: str, data: Dataset | None = None) -> linnet.Artifact:
    assert found.fold is not None
    train = (data or found.data).take(found.parts["train"])
    return fit(only(found.recipe, name), train, found.fold)


def friedman(rows: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    x, y = make_friedman1(rows, random_state=0)
    return x.astype(np.float32), y.astype(np.float32)


@pytest.mark.parametrize(
    ("data", "settings", "folds"),
    [
        (friedman(400), {}, 5),
        (friedman(400), {"folds": 3}, 3),
        (friedman(400), {"valid": 0.2}, 1),
        (friedman(400), {"valid": 0}, 1),
        (friedman(400), {"patience": 3}, 1),
        (friedman(19), {}, 1),
        (friedman(FEW), {}, 5),
        (friedman(2 * FEW), {}, 1),
        (friedman(2 * FEW), {"folds": 2}, 2),
        ("digits", {}, 1),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_few_rows_of_a_table_are_divided_into_folds(
    data: Any, settings: dict[str, Any], folds: int
) -> None:
    found = ready(data, **settings)
    assert found.recipe.folds == folds
    assert (found.fold is None) == (folds == 1)
    if found.fold is not None:
        assert not len(found.parts["valid"])
        assert found.fold.dtype == torch.int8
        sizes = found.fold.bincount()
        assert len(sizes) == folds and sizes.max() - sizes.min() <= 1
        assert len(found.fold) == len(found.parts["train"])


@pytest.mark.parametrize(
    ("data", "settings", "words"),
    [
        ("digits", {}, "pictures"),
        (friedman(100), {"valid": 0.2}, "validation part"),
    ],
)
def test_folds_that_cannot_be_are_refused(data: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        ready(data, folds=4, **settings)


def test_time_has_no_folds_and_groups_stay_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = polars.DataFrame(
        {
            "day": [f"2024-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(200)],
            "who": [f"p{i // 4}" for i in range(200)],
            "a": rng.normal(size=200),
            "y": rng.normal(size=200),
        }
    )
    timed = ready(frame, target="y", time="day")
    assert timed.recipe.folds == 1 and len(timed.parts["valid"])
    with pytest.raises(RecipeError, match="time"):
        ready(frame, target="y", time="day", folds=5)
    grouped = ready(frame, target="y", group="who")
    assert grouped.fold is not None
    units = grouped.data.take(grouped.parts["train"]).units()
    assert units is not None
    for code in np.unique(units.codes):
        assert len(grouped.fold[units.codes == code].unique()) == 1
    few = ready(frame[:12].vstack(frame[:12]), target="y", group="who")
    assert few.recipe.folds == 1  # three groups
    twice = {name: np.repeat(rng.normal(size=100), 2) for name in "abcy"}
    copied = ready(polars.DataFrame(twice), target="y")
    assert copied.fold is not None
    x = copied.data.take(copied.parts["train"]).x[:, 0]
    for value in x.unique():
        assert len(copied.fold[x == value].unique()) == 1


def test_the_lines_penalty_is_the_one_of_the_lowest_out_of_fold_loss() -> None:
    """Against scikit-learn: the same penalties, folds and scaling."""
    x, y = load_iris(return_X_y=True)
    found = ready((x, y), model="linear", tol=1e-9, dtype="float64")
    assert found.fold is not None and isinstance(found.recipe.penalty, tuple)
    rows = found.parts["train"].numpy()
    model = fitted(found, "linear")
    x, y, fold = x[rows], y[rows], found.fold.numpy()
    losses, more, raws = {}, {}, {}
    for alpha in sorted(found.recipe.penalty, reverse=True):
        p = np.zeros((len(x), 3))
        for number in range(5):
            own = fold == number
            scaler = StandardScaler().fit(x[~own])
            line = LogisticRegression(C=1 / (alpha * len(x)), tol=1e-10, max_iter=10_000)
            line.fit(scaler.transform(x[~own]), y[~own])
            p[own] = line.predict_proba(scaler.transform(x[own]))
        losses[alpha], raws[alpha] = -np.log(p[np.arange(len(x)), y]), p
        more[alpha] = -np.log(np.sort(p, 1)[:, -2]).mean()  # a row more, which is wrong
        sums = [losses[each].sum() + more[each] for each in losses]
        if len(sums) > 1 and sums[-1] > min(sums):
            break
    best = min(losses, key=lambda alpha: losses[alpha].sum() + more[alpha])
    assert model.manifest.fit["penalty"] == best
    honest = np.zeros((len(x), 3))
    for number in range(5):
        own = fold == number
        chosen = min(losses, key=lambda alpha: losses[alpha][~own].sum() + more[alpha])
        honest[own] = raws[chosen][own]
    scores: Any = model.manifest.scores["valid"]
    assert scores["by"] == "folds" and scores["rows"] == len(x)
    assert scores["loss"] == pytest.approx(log_loss(y, honest), rel=1e-3)
    assert model.held is not None
    np.testing.assert_allclose(model.held.softmax(1).numpy(), honest, atol=1e-3)
    # what is kept is the line of all rows
    scaler = StandardScaler().fit(x)
    whole = LogisticRegression(C=1 / (best * len(x)), tol=1e-10, max_iter=10_000)
    whole.fit(scaler.transform(x), y)
    np.testing.assert_allclose(
        model.predict_proba(x), whole.predict_proba(scaler.transform(x)), atol=1e-5
    )
    assert model.manifest.fit["gap"] < 1e-9  # type: ignore[operator]


def test_a_line_of_numbers_by_folds_agrees_with_ridge() -> None:
    x, y = load_diabetes(return_X_y=True)
    found = ready((x, y), model="linear", penalty=0.01)
    assert found.fold is not None
    rows = found.parts["train"].numpy()
    model = fitted(found, "linear")
    x, y, fold = x[rows], y[rows], found.fold.numpy()
    held = np.zeros(len(x))
    for number in range(5):
        own = fold == number
        scaler = StandardScaler().fit(x[~own])
        line = Ridge(alpha=0.01 * len(x)).fit(scaler.transform(x[~own]), y[~own])
        held[own] = line.predict(scaler.transform(x[own]))
    assert model.held is not None
    np.testing.assert_allclose(model.held[:, 0].numpy(), held, rtol=1e-5)
    scores: Any = model.manifest.scores["valid"]
    assert scores["rmse"] == pytest.approx(np.sqrt(np.mean((held - y) ** 2)), rel=1e-6)


def test_no_row_teaches_the_members_that_score_it() -> None:
    """Other targets in one fold change no prediction of that fold."""
    x, y = friedman(200)
    found = ready((x, y), penalty=0.01, **QUICK)
    assert found.fold is not None
    own = found.parts["train"][found.fold == 2]
    spoiled = found.data.y.clone()
    spoiled[own] += 5.0
    other = Dataset(found.data.x, spoiled, found.data.schema)
    for name in ("constant", "linear", "mlp"):
        one, two = fitted(found, name), fitted(found, name, other)
        assert one.held is not None and two.held is not None
        inside = found.fold == 2
        assert torch.equal(one.held[inside], two.held[inside])
        assert not torch.equal(one.held[~inside], two.held[~inside])


def test_a_net_is_the_mean_of_its_members_and_its_scores_are_theirs() -> None:
    found = ready(load_iris(return_X_y=True), **QUICK)
    model = fitted(found, "mlp")
    net, fold = model.module, found.fold
    assert isinstance(net, Mean) and len(net.each) == 5 and fold is not None
    train = found.data.take(found.parts["train"])
    raw = sum(predict_raw(member, train.x) for member in net.each) / 5
    assert torch.allclose(predict_raw(net, train.x), torch.as_tensor(raw), atol=1e-6)
    held = torch.zeros_like(torch.as_tensor(raw))
    for number, member in enumerate(net.each):
        own = fold == number
        held[own] = predict_raw(member, train.x[own])
    assert model.held is not None and torch.equal(held, model.held)
    scores: Any = dict(model.manifest.scores["valid"])  # type: ignore[arg-type]
    assert (scores.pop("by"), scores.pop("rows")) == ("folds", len(train))
    assert scores == measure_raw(model.objective, held, train)
    # each member has begun from weights, and learned from batches, of its own
    first = [member.state_dict()["hidden.0.weight"] for member in net.each]
    assert all(not torch.equal(first[0], other) for other in first[1:])


def test_rows_of_weight_0_teach_nothing_and_score_nothing() -> None:
    x, y = load_iris(return_X_y=True)
    found = ready((x, y), class_weight=[1, 0, 2], **QUICK)
    train = found.data.take(found.parts["train"])
    for name in ("linear", "mlp"):
        model = fitted(found, name)
        assert model.held is not None
        assert model.held[train.y == 1].isnan().all()
        assert not model.held[train.y != 1].isnan().any()
        scores: Any = model.manifest.scores["valid"]
        assert scores["rows"] == int((train.y != 1).sum())


def test_a_run_by_folds_says_so_in_its_files(tmp_path: Path) -> None:
    run = linnet.train("iris", out=tmp_path / "r", echo=False, **QUICK)
    fold, parts = directory.read_fold(run.path), run.split()
    assert len(fold) == len(parts["train"]) and not len(parts["valid"])
    assert run.info["data"]["folds"] == 5
    for name in ("constant", "linear", "mlp"):
        assert run.metrics["models"][name]["valid"]["by"] == "folds"
    assert run.metrics["models"]["mlp"]["fit"]["members"] == 5
    events = [line for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert any('"member":4' in line for line in events)
    again = linnet.Run(run.path)
    assert isinstance(again.models["mlp"].module, Mean)
    curves = again.history().series()["mlp"]["valid"]
    assert curves["epoch"] == [0, 1, 2, 3]  # the mean of the members, by their own steps
    assert curves["members"] == [1, 5, 5, 5]


def test_what_starts_from_a_run_by_folds_has_its_members_and_no_folds(tmp_path: Path) -> None:
    run = linnet.train("iris", out=tmp_path / "r", echo=False, **QUICK)
    later = linnet.train(parent=run.path, out=tmp_path / "s", echo=False, epochs=1)
    assert recipe_of(later.path).folds == 1
    net = later.models["mlp"].module
    assert isinstance(net, Mean) and len(net.each) == 5
    with pytest.raises(RecipeError, match="every fold"):
        linnet.train(parent=run.path, out=tmp_path / "t", echo=False, folds=5)

"""Few rows: what a fit makes on demand is what the general way makes."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris

import linnet
from linnet.estimators import _few

IRIS: Any = load_iris(return_X_y=True)
DIABETES: Any = load_diabetes(return_X_y=True)
CASES = [
    (linnet.LogisticRegression(), IRIS),
    (linnet.LogisticRegression(C=10, fit_intercept=False), IRIS),
    (linnet.LogisticRegression(), (IRIS[0][:100], IRIS[1][:100])),
    (linnet.LinearRegression(), DIABETES),
    (linnet.Ridge(alpha=3.0), DIABETES),
    (linnet.Ridge(alpha=[1.0, 5.0]), (DIABETES[0], np.stack([DIABETES[1], DIABETES[1] ** 2], 1))),
]
GENERAL = ("objective_", "gradient_max_", "gap_", "converged_", "n_iter_", "stop_reason_")


@pytest.mark.parametrize(("model", "data"), CASES)
def test_it_is_the_answer_of_the_general_way(
    model: Any, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = np.random.default_rng(0).uniform(0, 2, len(data[0])).round(1)
    few = clone(model).fit(*data, sample_weight=weight)
    assert few._few is not None or isinstance(model.get_params().get("alpha"), list)
    monkeypatch.setattr(_few, "fit", lambda *given: None)
    general = clone(model).fit(*data, sample_weight=weight)
    assert np.allclose(few.coef_, general.coef_, rtol=1e-7, atol=1e-9)
    assert np.allclose(few.intercept_, general.intercept_, rtol=1e-7, atol=1e-9)
    assert few.objective_ == pytest.approx(general.objective_, rel=1e-12)
    assert 0 <= few.gap_ < 1e-10 * max(1, few.objective_)
    assert few.converged_ and few.gradient_max_ < 1e-6
    assert set(few.artifact_.manifest.fit) == set(general.artifact_.manifest.fit)
    for name in ("rank_", "condition_"):
        if hasattr(general, name):
            assert getattr(few, name) == pytest.approx(getattr(general, name), rel=1e-9)
    kept = ("event", "model", "step", "epoch", "loss", "objective", "gradient_max", "penalty")
    for line, other in zip(few.history_[:1], general.history_[:1], strict=True):
        assert list(line) == list(kept) and set(kept) <= set(other)
        assert line["objective"] == pytest.approx(other["objective"], rel=1e-9)


@pytest.mark.parametrize(("model", "data"), CASES[:5])
def test_what_is_made_later_changes_no_answer(model: Any, data: Any) -> None:
    model = clone(model).fit(*data)
    answers = model.predict(data[0][:7]), model.coef_, model.intercept_
    assert "artifact_" not in vars(model)
    module = model.module_
    assert "artifact_" in vars(model) and model.module_ is module
    again = model.predict(data[0][:7]), model.coef_, model.intercept_
    for one, other in zip(answers, again, strict=True):
        assert (one == other).all()
    assert (module.state_dict()["linear.weight"].numpy() == np.atleast_2d(model.coef_)).all()


@pytest.mark.parametrize(("model", "data"), CASES[:5])
def test_rows_that_change_after_the_fit_change_no_certificate(model: Any, data: Any) -> None:
    X, y = data[0].copy(), data[1].copy()
    right = clone(model).fit(*data).gap_
    model = clone(model).fit(X, y)
    X[:] = 7.0
    y[:] = 1
    assert model.gap_ == right


def test_a_fit_forgets_the_one_before() -> None:
    model = linnet.Ridge().fit(*DIABETES)
    first: Any = model.objective_
    model.fit(DIABETES[0][:100], DIABETES[1][:100])
    assert model.objective_ != first and model.module_ is model.artifact_.module
    model.fit(np.tile(DIABETES[0], (60, 1)), np.tile(DIABETES[1], 60))  # the general way
    assert model._few is None and model.objective_ < first
    model.fit(DIABETES[0][:100], DIABETES[1][:100])
    assert model._few is not None


def test_a_pickle_is_whole() -> None:
    model = linnet.LogisticRegression().fit(*IRIS)
    other = pickle.loads(pickle.dumps(model))
    assert other.gap_ == model.gap_ and (other.predict(IRIS[0]) == model.predict(IRIS[0])).all()


def test_before_a_fit_there_is_nothing() -> None:
    model = linnet.LinearRegression()
    for name in ("artifact_", "module_", "history_", "objective_", "rank_", "coef_"):
        assert not hasattr(model, name)

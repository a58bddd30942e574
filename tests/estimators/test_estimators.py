"""scikit-learn's estimators: what they promise, against scikit-learn, statsmodels and numpy."""

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import sklearn.datasets
import sklearn.linear_model
import torch
from scipy.special import log_softmax
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import linnet
from linnet.errors import ModelError
from linnet.insight.inference import NoInference

NETS: dict[str, Any] = {  # a loss never falls by 10, so they stop soon, and count as converged
    "hidden_layer_sizes": (8,), "tol": 10.0, "n_iter_no_change": 4, "random_state": 0,
}  # fmt: skip
EVERY: dict[str, Any] = {
    "LinearRegression": linnet.LinearRegression(),
    "Ridge": linnet.Ridge(alpha=2.0),
    "LogisticRegression": linnet.LogisticRegression(),
    "MLPClassifier": linnet.MLPClassifier(**NETS),
    "MLPRegressor": linnet.MLPRegressor(**NETS),
}
SETS: list[tuple[str, str]] = [("LinearRegression", "diabetes"), ("Ridge", "diabetes")]
SETS += [("LogisticRegression", "breast_cancer"), ("LogisticRegression", "iris")]
NAMES = list("abcd")

every = pytest.mark.parametrize("name", EVERY)
lines = pytest.mark.parametrize("name", list(EVERY)[:3])
nets = pytest.mark.parametrize("name", list(EVERY)[3:])
classifiers = pytest.mark.parametrize("name", ["LogisticRegression", "MLPClassifier"])
weighted = pytest.mark.parametrize("weighted", [False, True])


def new(name: str, **settings: Any) -> Any:
    return clone(EVERY[name]).set_params(**settings)


def data(name: str) -> Any:
    return getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)


def rows(name: str, count: int = 60, seed: int = 0) -> Any:
    """Features and what the estimator of this name predicts: numbers, or three classes as text."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(count, 4))
    y = X @ [1, 2, 0, -1] + 0.5 * random.normal(size=count) + 3
    return X, np.array(list("rst"))[np.digitize(y, [2, 4])] if is_classifier(EVERY[name]) else y


def overlapping(classes: int) -> Any:
    """Rows of classes that nothing separates."""
    random = np.random.default_rng(classes)
    X = random.normal(size=(300, 3))
    signal = X @ random.normal(size=(3, classes)) + random.gumbel(size=(300, classes))
    return X, signal.argmax(1)


def weights(count: int) -> Any:
    return np.random.default_rng(1).uniform(0.5, 2, count)


def answer(model: Any, X: Any) -> Any:
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


def close(a: Any, b: Any, tol: float) -> bool:
    """Equal within ``tol``, relative to those of ``b`` that are above 1."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool((np.abs(a - b) <= tol * np.maximum(1, np.abs(b))).all())


def peer(X: Any, y: Any, weight: Any = None, **settings: Any) -> Any:
    home = sklearn.linear_model.LogisticRegression
    model = home(solver="newton-cholesky", tol=1e-12, max_iter=1000, **settings)
    return model.fit(X, y, sample_weight=weight)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * ("MLP" in n)) for n in EVERY]
)
def test_scikit_learns_own_checks_pass(name: str) -> None:
    check_estimator(getattr(linnet, name)(), expected_failed_checks={})


@every
@pytest.mark.parametrize("wide", [False, True])
def test_rows_that_are_not_finite_are_refused(name: str, wide: bool) -> None:
    X, y = rows(name)
    X = np.hstack([X, np.random.default_rng(1).normal(size=(60, 76))]) if wide else X
    model = new(name).fit(X, y)
    for X[7, 2] in (np.nan, np.inf):
        for call in ("fit", "predict", "partial_fit"):
            if hasattr(model, call):
                given = [X] if call == "predict" else [X, y, np.arange(60) != 7]
                with pytest.raises(ValueError, match=r"NaN|infinit"):
                    getattr(model, call)(*given)


@every
def test_the_layout_of_arrays_does_not_matter_and_they_are_only_read(name: str) -> None:
    X, y = rows(name)
    given = X.copy(), y.copy(), weights(60)
    expected = answer(new(name).fit(*given), X)
    assert np.array_equal(given[0], X) and np.array_equal(given[1], y)
    y, w = (array[::-1].copy()[::-1] for array in given[1:])
    fortran, wide, backwards = np.asfortranarray(X), np.repeat(X, 2, 1), X[::-1].copy()[::-1]
    for other in (X, fortran, wide[:, ::2], backwards):
        for array in (other, y, w):
            array.setflags(write=False)
        model = new(name).fit(other, y, w)
        assert np.array_equal(answer(model, other), expected)
        if name in ("LinearRegression", "Ridge"):
            assert close(new(name).partial_fit(other, y, w).predict(other), expected, 1e-9)


KINDS: dict[str, Any] = {
    "lists": (lambda X: X.tolist(), np.float64),
    "lists of ints": (lambda X: X.astype(int).tolist(), int),
    "int8": (lambda X: X.astype(np.int8), int),
    "bool": (lambda X: X.astype(bool), int),
    "float32": (lambda X: X.astype(np.float32), np.float32),
    "pandas": (lambda X: pandas.DataFrame(X, columns=NAMES), np.float64),
    "pandas, mixed": (lambda X: pandas.DataFrame(X).astype({0: bool, 1: int}), np.float64),
    "pandas, nullable": (lambda X: pandas.DataFrame(X).astype("Int64"), int),
    "polars": (lambda X: polars.DataFrame(X, NAMES), np.float64),
    "polars of ints": (lambda X: polars.DataFrame(X.astype(int), NAMES), int),
}


@every
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_any_kind(name: str, kind: str) -> None:
    """Numbers are computed in their own dtype, integers by the lines in float64, else float32."""
    X, y = rows(name)
    X = (X > 0).astype(np.float64)
    convert, dtype = KINDS[kind]
    if dtype is int:
        dtype = np.float32 if "MLP" in name else np.float64
    target = y.tolist() if kind == "lists" else pandas.Series(y) if "pandas" in kind else y
    model = new(name).fit(convert(X), target)
    found = answer(model, convert(X))
    assert found.dtype == next(model.module_.parameters()).detach().numpy().dtype == dtype
    assert np.array_equal(found, answer(new(name).fit(X.astype(dtype), y), X.astype(dtype)))


@every
@pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame])
def test_feature_names_are_checked(name: str, frame: Any) -> None:
    X, y = rows(name)
    model = new(name).fit(frame(dict(zip(NAMES, X.T, strict=True))), y)
    assert model.feature_names_in_.tolist() == NAMES and model.n_features_in_ == 4
    with pytest.raises(ValueError, match="same order"):
        model.predict(frame(dict(zip(NAMES[::-1], X.T[::-1], strict=True))))
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(X)


@every
def test_takes_part_in_scikit_learns_tools(name: str) -> None:
    X, y = rows(name)
    line = make_pipeline(StandardScaler(), new(name)).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    model = new(name).fit(scaled, y)
    assert np.array_equal(answer(line, X), answer(model, scaled))
    setting = {"LinearRegression": "fit_intercept", "LogisticRegression": "C"}.get(name, "alpha")
    values: list[Any] = [False, True] if setting == "fit_intercept" else [0.001, 1.0]
    search = GridSearchCV(line, {f"{name.lower()}__{setting}": values}, cv=3).fit(X, y)
    scores = cross_val_score(search.best_estimator_, X, y, cv=3)
    assert search.best_score_ == pytest.approx(scores.mean())
    with config_context(transform_output="pandas"):
        line = clone(line).fit(pandas.DataFrame(X, columns=NAMES), y)
    assert line[-1].feature_names_in_.tolist() == NAMES
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(answer(again, scaled), answer(model, scaled))
    assert again.get_params() == clone(model).get_params() == model.get_params()
    if is_classifier(model):
        calibrated = CalibratedClassifierCV(new(name), cv=3).fit(X, y, sample_weight=weights(60))
        assert calibrated.score(X, y) > 0.4


@pytest.mark.parametrize(("name", "place"), SETS)
def test_rows_of_weight_two_count_twice(name: str, place: str) -> None:
    X, y = data(place)
    times = np.random.default_rng(0).integers(0, 4, len(X))
    model = new(name).fit(X, y, sample_weight=times)
    other = new(name).fit(X.repeat(times, 0), y.repeat(times))
    assert close(model.coef_, other.coef_, 1e-9)
    assert close(model.intercept_, other.intercept_, 1e-9)
    assert model.objective_ == pytest.approx(other.objective_, rel=1e-9)


@nets
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_rows_of_weight_two_count_twice_for_nets(name: str, solver: str) -> None:
    X, y = rows(name)
    times = np.random.default_rng(0).integers(1, 3, len(X))
    model = new(name, batch_size=1000, solver=solver, learning_rate_init=0.01, alpha=0.1)
    expected = answer(clone(model).fit(X.repeat(times, 0), y.repeat(times)), X)
    assert close(answer(clone(model).fit(X, y, times), X), expected, 1e-6)
    assert not close(answer(clone(model).fit(X, y), X), expected, 1e-6)


SETTINGS: list[dict[str, Any]] = [
    {}, {"class_weight": "balanced"}, {"class_weight": {0: 2.0, 1: 0.5}}, {"fit_intercept": False},
]  # fmt: skip
SOLVED = [(n, s) for n in ("breast_cancer", "iris", "wine", "digits") for s in SETTINGS]
SOLVED += [(n, {"C": C}) for n in ("iris", "wine") for C in (0.01, 100.0)]


@weighted
@pytest.mark.parametrize(("place", "settings"), SOLVED)
def test_logistic_equals_newton_cholesky(place: str, settings: Any, weighted: bool) -> None:
    X, y = data(place)
    weight = weights(len(X)) if weighted else None
    mine = linnet.LogisticRegression(**settings).fit(X, y, weight)
    theirs = peer(X, y, weight, **settings)
    free = len(mine.coef_) > 1  # softmax does not change with the intercepts' mean
    starts = [model.intercept_ - model.intercept_.mean() * free for model in (mine, theirs)]
    assert mine.converged_ and close(mine.coef_, theirs.coef_, 1e-6)
    assert close(starts[0], starts[1], 1e-6)
    assert np.array_equal(mine.predict(X), theirs.predict(X))
    assert close(mine.predict_proba(X), theirs.predict_proba(X), 1e-6)
    assert np.exp(mine.predict_log_proba(X)) == pytest.approx(mine.predict_proba(X), rel=1e-9)
    by_hand = (X @ mine.coef_.T + mine.intercept_).squeeze()
    assert mine.decision_function(X) == pytest.approx(by_hand)


@weighted
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("targets", [None, 1, 3])
@pytest.mark.parametrize("alpha", [None, 0.0, 0.01, 1.0, 100.0])
def test_least_squares_equals_scikit_learn(
    alpha: float | None, targets: int | None, bias: bool, weighted: bool
) -> None:
    X, y = data("diabetes")
    if targets:
        y = np.column_stack([y, X[:, 0] + y / 100, np.sin(y)][:targets])
    weight = weights(len(X)) if weighted else None
    name, settings = ("LinearRegression", {}) if alpha is None else ("Ridge", {"alpha": alpha})
    mine, theirs = (
        getattr(home, name)(fit_intercept=bias, **settings).fit(X, y, sample_weight=weight)
        for home in (linnet, sklearn.linear_model)
    )
    assert mine.converged_ and close(mine.coef_, theirs.coef_, 1e-9)
    assert np.shape(mine.intercept_) == ((targets,) if targets else ())
    assert np.all(mine.intercept_ == pytest.approx(theirs.intercept_, rel=1e-9, abs=1e-9))
    expected = theirs.predict(X)
    assert close(mine.predict(X), expected, 1e-9)
    scores = r2_score(y, expected, sample_weight=weight, multioutput="raw_values")
    assert mine.score(X, y, weight, multioutput="raw_values") == pytest.approx(scores)
    assert mine.score(X, y, weight) == pytest.approx(scores.mean())


@classifiers
def test_one_hot_targets_equal_codes(name: str) -> None:
    X, y = overlapping(3)
    model = new(name).fit(X, np.eye(3)[y])
    expected = new(name).fit(X, y)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.score(X, np.eye(3)[y]) == expected.score(X, y)
    assert close(model.predict_proba(X), expected.predict_proba(X), 1e-9)


@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("classes", [2, 3])
def test_soft_targets_are_rows_of_every_class(classes: int, C: float) -> None:
    X, _ = overlapping(classes)
    soft, weight = np.random.default_rng(0).dirichlet(np.ones(classes), len(X)), weights(len(X))
    codes, shares = np.arange(classes).repeat(len(X)), (soft * weight[:, None]).T.ravel()
    hard = linnet.LogisticRegression(C).fit(np.tile(X, (classes, 1)), codes, shares)
    model = linnet.LogisticRegression(C).fit(X, soft, weight)
    assert close(model.predict_proba(X), hard.predict_proba(X), 1e-8)


@classifiers
@pytest.mark.parametrize(
    "row", [[0.5, 0.4, 0.0], [1.5, -0.5, 0.0], [np.nan, 0.5, 0.5], [0, 1, 0], [True, False, False]]
)
def test_targets_that_are_no_probabilities_are_refused(name: str, row: list[Any]) -> None:
    X, _ = rows(name)
    with pytest.raises(ValueError, match="y has"):
        new(name).fit(X, np.array([row] * len(X)))


@weighted
@pytest.mark.parametrize("targets", [None, 2])
@pytest.mark.parametrize("name", ["LinearRegression", "Ridge"])
def test_partial_fit_equals_fit(name: str, targets: int | None, weighted: bool) -> None:
    X, y = data("diabetes")
    X, y = X + 10, y if targets is None else np.column_stack([y, np.sqrt(y)])
    weight = weights(len(X)) if weighted else np.ones(len(X))
    whole, parts = new(name).fit(X, y, weight), new(name)
    for part in np.split(np.arange(len(X)), [3, 4, 100, 300]):
        parts.partial_fit(X[part], y[part], weight[part] if weighted else None)
    after_fit = new(name).fit(X[:50], -y[:50]).partial_fit(X, y, weight)
    for model in (parts, after_fit):
        assert close(model.coef_, whole.coef_, 1e-9)
        assert close(model.intercept_, whole.intercept_, 1e-9)
        assert close(model.predict(X), whole.predict(X), 1e-9)
    with pytest.raises(ValueError, match="targets"):
        parts.partial_fit(X, np.column_stack([y, y]))
    assert close(parts.fit(X[:50], y[:50]).coef_, new(name).fit(X[:50], y[:50]).coef_, 1e-12)
    assert close(parts.partial_fit(X, y, weight).coef_, whole.coef_, 1e-9)


NORMAL = np.random.default_rng(0).normal(size=(40, 4))
NASTY = {
    "duplicate": NORMAL[:, [0, 1, 2, 0]],
    "wide": NORMAL.reshape(8, 20),
    "wide, a row twice": NORMAL.reshape(8, 20)[[0, 1, 2, 3, 4, 5, 6, 7, 0]],
    "one to nine": np.arange(1.0, 10).reshape(3, 3),
    "constant": np.column_stack([NORMAL, np.full(40, 5.1)]),
    "condition 1e8": np.column_stack([NORMAL, NORMAL[:, 0] + 1e-8 * NORMAL[:, 1] ** 2]),
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_columns(name: str) -> None:
    X = NASTY[name]
    y = np.random.default_rng(1).normal(size=len(X))
    model = linnet.LinearRegression().fit(X, y)
    centred = X - X.mean(0)
    expected, _, rank, _ = np.linalg.lstsq(centred, y - y.mean(), rcond=1e-10)
    assert model.converged_ and model.rank_ == rank
    assert np.abs(model.coef_ - expected).max() <= 1e-6 * np.abs(expected).max()
    assert close(model.predict(X), centred @ expected + y.mean(), 1e-7)
    condition = np.linalg.cond(centred / np.linalg.norm(centred, axis=0).clip(1e-9))
    condition = np.inf if rank < X.shape[1] else pytest.approx(condition, rel=1e-4)
    assert model.condition_ == condition
    ridge = sklearn.linear_model.Ridge(0.1, solver="svd").fit(X, y)
    assert close(linnet.Ridge(0.1).fit(X, y).coef_, ridge.coef_, 1e-8)
    codes = (y > np.median(y)).astype(int)
    assert close(linnet.LogisticRegression().fit(X, codes).coef_, peer(X, codes).coef_, 1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_columns_of_any_scale(classes: int) -> None:
    X, y = overlapping(classes)
    wild, tame = X * [1e-4, 1, 1e4] + [0, 0, 1e4], StandardScaler().fit_transform(X)
    model = linnet.LogisticRegression(C=np.inf).fit(wild, y)
    assert model.converged_
    assert close(model.predict_proba(wild), peer(tame, y, C=1e12).predict_proba(tame), 1e-7)


@every
def test_numbers_too_large_are_refused_or_right(name: str) -> None:
    X, y = overlapping(3) if is_classifier(EVERY[name]) else rows(name)
    free = {"LinearRegression": {}, "LogisticRegression": {"C": np.inf}}.get(name, {"alpha": 0})
    large = X * np.where(np.arange(X.shape[1]) == 2, 1e300, 1)
    try:
        model = new(name, **free).fit(large, y)
    except ValueError as error:
        assert "column 2" in str(error)
    else:
        assert close(answer(model, large), answer(new(name, **free).fit(X, y), X), 1e-6)


CLEAR = np.arange(12.0)[:, None] * [1, 0.5] + [[0, 1], [1, 0]] * 6
HINT = np.random.default_rng(0).random(200) < 0.2  # who has it, has y
NOISE = np.random.default_rng(1).normal(size=(2, 200))
SEPARATED: dict[str, Any] = {
    "two classes": (CLEAR, np.arange(12) // 6),
    "three classes": (CLEAR, np.arange(12) // 4),
    "quasi": (np.column_stack([HINT, NOISE[0]]), HINT | (NOISE.sum(0) > 0)),
    "quasi, three": (np.column_stack([HINT, NOISE[0]]), HINT + (HINT | (NOISE.sum(0) > 0))),
}


@pytest.mark.parametrize("name", SEPARATED)
def test_separation_is_named(name: str) -> None:
    model = linnet.LogisticRegression(C=np.inf)
    with pytest.warns(ConvergenceWarning, match="separation"):
        model.fit(*SEPARATED[name])
    assert model.converged_ is False and "separation" in model.stop_reason_
    assert clone(model).set_params(C=1.0).fit(*SEPARATED[name]).converged_ is True


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-8])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_rough_tolerance_is_no_separation(classes: int, tol: float) -> None:
    model = new("LogisticRegression", C=np.inf, tol=tol).fit(*overlapping(classes))
    assert model.converged_ is True and model.gradient_max_ <= tol * 10


def objective(model: Any, X: Any, y: Any, w: Any) -> tuple[float, float]:
    """The objective of the docstrings and the largest entry of its gradient."""
    coef = np.atleast_2d(model.coef_)
    raw = X @ coef.T + model.intercept_
    if is_classifier(model):
        logs = log_softmax(raw if len(coef) > 1 else np.hstack([0 * raw, raw]), 1)
        loss = -logs[np.arange(len(y)), y]
        residual = (np.exp(logs) - np.eye(logs.shape[1])[y])[:, -len(coef) :]
        penalty = 1 / model.C / w.sum()
    else:
        residual = raw - y[:, None]
        loss, penalty = residual[:, 0] ** 2 / 2, getattr(model, "alpha", 0) / w.sum()
    gradient = (residual * w[:, None] / w.sum()).T @ np.column_stack([X, np.ones(len(X))])
    gradient[:, :-1] += penalty * coef
    return w @ loss / w.sum() + penalty / 2 * (coef**2).sum(), np.abs(gradient).max()


@pytest.mark.parametrize(("name", "place"), SETS)
@pytest.mark.parametrize("C", [1.0, 100.0])
def test_the_certificate_is_true(name: str, place: str, C: float) -> None:
    X, y = data(place)
    weight = w = weights(len(X))
    model = new(name)
    if name == "LogisticRegression":
        model.set_params(C=C, tol=0.01, class_weight={1: 3})
        theirs, w = peer(X, y, weight, C=C, class_weight={1: 3}), weight * np.where(y == 1, 3, 1)
    else:
        settings = {"alpha": C} if name == "Ridge" else {}
        theirs = getattr(sklearn.linear_model, name)(**settings).fit(X, y, weight)
        model.set_params(**settings)
    value, slope = objective(model.fit(X, y, weight), X, y, w)
    best, _ = objective(theirs, X, y, w)
    assert model.converged_ is True and model.stop_reason_.startswith("converged")
    assert model.objective_ == pytest.approx(value, rel=1e-12)
    assert model.gradient_max_ == pytest.approx(slope, rel=1e-6, abs=1e-10)
    rounding = 1e-12 * best
    assert model.objective_ - model.gap_ - rounding <= best <= model.objective_ + rounding


@classifiers
def test_running_out_of_iterations_warns(name: str) -> None:
    X, y = data("breast_cancer")
    model = new(name, max_iter=2)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model.fit(X, y)
    assert model.converged_ is False and model.n_iter_ == 2


UNUSUAL: dict[str, dict[str, Any]] = {
    "LinearRegression": {"fit_intercept": False},
    "Ridge": {"alpha": 0.5},
    "LogisticRegression": {"C": np.inf, "tol": 1e-7, "random_state": 1},
    "MLPClassifier": {"hidden_layer_sizes": (5, 4), "activation": "tanh"},
    "MLPRegressor": {"alpha": 0, "batch_size": 16},
}


@every
@pytest.mark.parametrize("kind", [0, 1, 2])
def test_saves_and_loads(name: str, kind: int, tmp_path: Path) -> None:
    """Classes that are text, int and bool; targets of shape (rows,), (rows, 1) and (rows, 2)."""
    X, y = rows(name)
    if is_classifier(EVERY[name]):
        y = [y, np.searchsorted(list("rst"), y) * 3 - 1, y == "s"][kind]
    else:
        y = [y, y[:, None], np.column_stack([y, -y])][kind]
    frame = pandas.DataFrame(X, columns=NAMES) if kind else X
    weight = {"class_weight": {y[0]: 2.0}} if name == "LogisticRegression" else {}
    model = new(name, **UNUSUAL[name], **weight).fit(frame, y)
    model.save(path := tmp_path / "model.safetensors")
    again = type(model).load(path)
    assert again.get_params() == model.get_params()
    for fact in ("classes_", "feature_names_in_", "n_features_in_", "coef_", "stop_reason_"):
        assert hasattr(again, fact) == hasattr(model, fact)
        assert np.array_equal(getattr(again, fact, 0), getattr(model, fact, 0))
    predicted = model.predict(frame)
    assert np.array_equal(linnet.load(path).predict(X).reshape(predicted.shape), predicted)
    for other in EVERY.keys() - {name}:
        if {name, other} != {"LinearRegression", "Ridge"}:
            with pytest.raises(ModelError, match=f"which {other} cannot load"):
                type(EVERY[other]).load(path)
    assert np.array_equal(again.predict(frame), predicted) and predicted.dtype == y.dtype
    assert np.array_equal(answer(again, frame), answer(model, frame))
    path.write_bytes(pickle.dumps(model))
    with pytest.raises(ModelError, match="pickle"):
        type(model).load(path)


@pytest.mark.parametrize("name", ["LogisticRegression", "LinearRegression"])
def test_loads_models_of_the_command_line(name: str, tmp_path: Path) -> None:
    X, y = rows(name, 200)
    X = X * [1, 10, 100, 1000] + 5
    run = linnet.train((X, y), model="linear", out=tmp_path / "run", penalty=[0.01])
    model = getattr(linnet, name).load(tmp_path / "run" / "linear.safetensors")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        assert np.array_equal(model.predict(X), run.models["linear"].predict(X))
        by_hand = X @ model.coef_.T + model.intercept_
        raw = model.decision_function(X) if is_classifier(model) else model.predict(X)
    assert close(raw, by_hand, 1e-4)
    model.predict(X)  # arrays had no names, so none are missed


@pytest.fixture(scope="module")
def statsmodels() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("statsmodels.api")


def same_figures(mine: Any, theirs: Any) -> None:
    """``coef_table`` has the figures of statsmodels, which are (terms, equations) there."""
    for column, figure in [("estimate", "params"), ("standard_error", "bse"), ("p", "pvalues")]:
        expected = np.asarray(getattr(theirs, figure)).ravel(order="F")
        assert mine[column].to_numpy() == pytest.approx(expected, rel=1e-6, abs=1e-12)
    bounds = np.asarray(theirs.conf_int()).reshape(-1, 2)
    assert mine[["low", "high"]].to_numpy() == pytest.approx(bounds, rel=1e-6)


@weighted
@pytest.mark.parametrize("robust", [None, "HC3"])
def test_summary_equals_ols(statsmodels: Any, weighted: bool, robust: str | None) -> None:
    X, y = data("diabetes")
    weight = weights(len(X)) if weighted else np.ones(len(X))
    frame = pandas.DataFrame(X[:, :4], columns=NAMES)
    model = linnet.LinearRegression().fit(frame, y, weight if weighted else None)
    theirs = statsmodels.WLS(y, statsmodels.add_constant(X[:, :4]), weight)
    theirs = theirs.fit(cov_type=robust, use_t=True) if robust else theirs.fit()
    table, summary = model.coef_table(robust=robust), model.summary(robust=robust)
    same_figures(table, theirs)
    assert table["term"].tolist() == ["(intercept)", *NAMES]
    assert (summary.r2, summary.aic) == pytest.approx((theirs.rsquared, theirs.aic))
    assert all(part in str(summary) for part in ["(intercept)", "R2", robust or "classical"])


@pytest.mark.parametrize(("classes", "weighted"), [(2, False), (2, True), (3, False)])
def test_summary_equals_logit(statsmodels: Any, classes: int, weighted: bool) -> None:
    X, y = overlapping(classes)
    one, weight = statsmodels.add_constant(X), weights(len(X)) if weighted else None
    if weighted:
        binomial = statsmodels.families.Binomial()
        theirs = statsmodels.GLM(y, one, binomial, freq_weights=weight).fit(tol=1e-14)
    else:
        home = statsmodels.Logit if classes == 2 else statsmodels.MNLogit
        theirs = home(y, one).fit(disp=False, method="newton", tol=1e-14)
    model = linnet.LogisticRegression(C=np.inf).fit(X, np.array(list("rst"))[y], weight)
    same_figures(model.coef_table(), theirs)
    assert model.summary().log_likelihood == pytest.approx(theirs.llf)


@lines
def test_no_summary_where_it_would_be_invalid(name: str) -> None:
    X, y = rows(name) if name != "LogisticRegression" else overlapping(2)
    double = np.column_stack([X, X[:, 0]])
    with pytest.raises(NoInference, match="dependent" if name[0:2] == "Li" else "penalised"):
        new(name).fit(double, y).summary()
    free: Any = {"Ridge": {"alpha": 0}, "LogisticRegression": {"C": np.inf}}.get(name, {})
    model = new(name, **free).fit(X, y)
    with pytest.raises(NoInference, match="dependent"):
        clone(model).fit(double, y).summary()
    again = pickle.loads(pickle.dumps(model))
    with pytest.raises(ValueError, match=r"summary\(X, y\)"):
        again.summary()
    assert str(again.summary(X, y)) == str(model.summary())
    with pytest.raises(NoInference, match="not at the optimum"):
        again.summary(X[::2], y[::2])


@nets
def test_the_best_epoch_on_validation_rows_is_kept(name: str) -> None:
    (X, y), (V, v) = rows(name), rows(name, seed=1)
    model = new(name, learning_rate_init=0.1, max_iter=100).fit(X, y, X_val=V, y_val=v)
    losses = [event["valid"]["loss"] for event in model.history_ if event["event"] == "evaluate"]
    best = int(np.argmin(losses))
    assert model.converged_ and model.n_iter_ == best + 4 == len(losses) - 1 < 100
    if is_classifier(model):
        codes = np.searchsorted(model.classes_, v)
        loss = -model.predict_log_proba(V)[np.arange(60), codes].mean()
    else:
        loss = ((model.predict(V) - v) ** 2).mean() / 2
    assert loss == pytest.approx(losses[best], rel=1e-9)


def test_warm_start_takes_fewer_iterations() -> None:
    X, y = data("wine")
    model = linnet.LogisticRegression(warm_start=True).fit(X, y)
    cold, coef = model.n_iter_[0], model.coef_
    assert model.fit(X, y).n_iter_[0] < cold / 2 and close(model.coef_, coef, 1e-8)
    assert model.set_params(C=1.01).fit(X, y).n_iter_[0] < cold
    assert model.fit(X[:, :5], y > 0).coef_.shape == (1, 5)  # nothing to go on from
    assert close(model.set_params(C=1.0).fit(X, y).coef_, coef, 1e-8)
    expected = peer(X, y, fit_intercept=False)
    assert close(model.set_params(fit_intercept=False).fit(X, y).coef_, expected.coef_, 1e-6)


@nets
def test_random_state_decides_every_bit(name: str) -> None:
    X, y = rows(name)
    one, same, other = (
        answer(new(name, random_state=seed, batch_size=16).fit(X, y), X)
        for seed in (3, np.int64(3), 4)
    )
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize("targets", [None, 2])
def test_nets_fit_targets_of_any_scale(targets: int | None) -> None:
    X, y = rows("MLPRegressor", 300)
    y = 1e6 * y if targets is None else np.column_stack([1e6 * y, X[:, 1] + 7])
    model = linnet.MLPRegressor((20,), learning_rate_init=0.01, random_state=0).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert np.min(model.score(X, y, multioutput="raw_values")) > 0.9


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("LogisticRegression", {"C": 0}, "'C' .* Got 0"),
    ("LogisticRegression", {"class_weight": "balance"}, "balanced"),
    ("LogisticRegression", {"max_iter": 0}, "max_iter"),
    ("LogisticRegression", {"tol": -1.0}, "tol"),
    ("Ridge", {"alpha": -1.0}, "'alpha' .* Got -1"),
    ("Ridge", {"alpha": np.nan}, "'alpha' .* Got nan"),
    ("MLPClassifier", {"solver": "foo"}, "'solver' .*adam.* Got 'foo'"),
    ("MLPRegressor", {"activation": "foo"}, "activation.*foo"),
    ("MLPRegressor", {"alpha": -1.0}, "alpha"),
    ("MLPRegressor", {"learning_rate_init": 0.0}, "learning_rate_init"),
    ("MLPClassifier", {"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
    ("MLPClassifier", {"batch_size": 0}, "batch_size"),
    ("MLPClassifier", {"max_iter": 0}, "max_iter"),
]


@pytest.mark.parametrize(("name", "settings", "message"), WRONG)
def test_impossible_settings_are_named(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        new(name, **settings).fit(*rows(name))


@classifiers
def test_unknown_classes_to_validate_with_are_named(name: str) -> None:
    X, y = rows(name)
    with pytest.raises(ValueError, match=r"u.*not among the classes of y"):
        new(name).fit(X, y, X_val=X[:2], y_val=["r", "u"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@every
def test_a_gpu_gives_what_a_cpu_gives(name: str) -> None:
    X, y = data("iris" if name in ("LogisticRegression", "MLPClassifier") else "diabetes")
    here, there = (new(name, device=device).fit(X, y) for device in ("cpu", "cuda"))
    answer = "decision_function" if hasattr(here, "decision_function") else "predict"
    mine, theirs = getattr(here, answer)(X), getattr(there, answer)(X)
    assert np.abs(mine - theirs).max() <= 1e-6 * max(1.0, np.abs(mine).max())


@pytest.mark.slow
def test_memory_stays_within_one_and_a_half_times_the_data() -> None:
    """Peak above the start, in a process of its own: at most 1.5 times X, plus 100 MB."""
    script = """
import numpy as np, resource, linnet
random = np.random.default_rng(0)
X = random.normal(size=(400_000, 40))
y = (X[:, :7] + random.gumbel(size=(400_000, 7))).argmax(1)
for model in (linnet.LogisticRegression(), linnet.Ridge()):
    model.fit(X[:500], y[:500])
    open("/proc/self/clear_refs", "w").write("5")
    before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
    model.fit(X, y)
    high = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    print((int(high[0].split()[1]) * 1024 - before) <= 1.5 * X.nbytes + 100e6)
"""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("the system does not tell a process its peak memory")
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]

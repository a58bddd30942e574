"""scikit-learn's estimators: what they promise, against scikit-learn, statsmodels and numpy."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import sklearn.datasets
import sklearn.linear_model
from scipy import sparse
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
from linnet.inference import NoInference

LINES: dict[str, Any] = {
    "LinearRegression": linnet.LinearRegression(),
    "Ridge": linnet.Ridge(alpha=2.0),
    "LogisticRegression": linnet.LogisticRegression(),
}
QUICK: dict[str, Any] = {  # so large a tol is never met, and counts as converged
    "hidden_layer_sizes": (8,), "tol": 10.0, "n_iter_no_change": 4, "random_state": 0,
}  # fmt: skip
EVERY = LINES | {
    "MLPClassifier": linnet.MLPClassifier(**QUICK),
    "MLPRegressor": linnet.MLPRegressor(**QUICK),
}
NAMES = list("abcd")

every = pytest.mark.parametrize("name", EVERY)
lines = pytest.mark.parametrize("name", LINES)
squares = pytest.mark.parametrize("name", ["LinearRegression", "Ridge"])
classifiers = pytest.mark.parametrize("name", ["LogisticRegression", "MLPClassifier"])
nets = pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
weighted = pytest.mark.parametrize("weighted", [False, True])


def new(name: str, **settings: Any) -> Any:
    return clone(EVERY[name]).set_params(**settings)


def data(name: str) -> tuple[Any, Any]:
    X, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return X, y


def rows(name: str, count: int = 60, seed: int = 0) -> tuple[Any, Any]:
    """Features and what the estimator of this name predicts: numbers, or three classes as text."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(count, 4))
    y = X @ [1, 2, 0, -1] + 0.5 * random.normal(size=count) + 3
    return X, np.array(list("rst"))[np.digitize(y, [2, 4])] if is_classifier(EVERY[name]) else y


def weights(count: int) -> Any:
    return np.random.default_rng(1).uniform(0.5, 2, count)


def answer(model: Any, X: Any) -> Any:
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


def close(a: Any, b: Any, tol: float) -> bool:
    """Equal within ``tol``, relative to those of ``b`` that are above 1."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool((np.abs(a - b) <= tol * np.maximum(1, np.abs(b))).all())


def starts(model: Any) -> Any:
    """Intercepts; those of softmax up to what changes no probability."""
    return model.intercept_ - (model.intercept_.mean() if len(model.coef_) > 1 else 0)


def generated(classes: int, count: int = 300) -> tuple[Any, Any]:
    """Rows of classes that overlap."""
    random = np.random.default_rng(classes)
    X = random.normal(size=(count, 3))
    signal = X @ random.normal(size=(3, classes)) + random.gumbel(size=(count, classes))
    return X, signal.argmax(1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * ("MLP" in n)) for n in EVERY]
)
def test_scikit_learns_own_checks_pass(name: str) -> None:
    check_estimator(getattr(linnet, name)(), expected_failed_checks={})


@every
def test_sparse_rows_are_refused_with_the_remedy(name: str) -> None:
    X, y = rows(name)
    with pytest.raises(TypeError, match=r"\.toarray\(\)"):
        new(name).fit(sparse.csr_array(X), y)
    with pytest.raises(TypeError, match=r"\.toarray\(\)"):
        new(name).fit(X, y).predict(sparse.csr_array(X))


@every
def test_arrays_are_only_read(name: str) -> None:
    X, y = rows(name)
    given = X.copy(), y.copy(), weights(60)
    expected = answer(new(name).fit(*given), given[0])
    assert np.array_equal(given[0], X) and np.array_equal(given[1], y)
    for array in given:
        array.setflags(write=False)
    model = new(name).fit(*given)
    assert np.array_equal(answer(model, given[0]), expected)
    if hasattr(model, "partial_fit"):
        assert close(model.partial_fit(*given).predict(given[0]), expected, 1e-9)


@every
def test_the_layout_of_arrays_does_not_matter(name: str) -> None:
    X, y = rows(name)
    wide = np.repeat(X, 2, 1)
    expected = answer(new(name).fit(X, y, weights(60)), X)
    same_backwards = y[::-1].copy()[::-1], weights(60)[::-1].copy()[::-1]
    for other in (np.asfortranarray(X), wide[:, ::2], X[::-1].copy()[::-1]):
        assert not other.flags.c_contiguous
        model = new(name).fit(other, *same_backwards)
        assert np.array_equal(answer(model, X), expected)
        assert np.array_equal(answer(model, other), expected)


KINDS: dict[str, Any] = {
    "lists": (lambda X: X.tolist(), np.float64),
    "lists of ints": (lambda X: X.astype(int).tolist(), int),
    "int8": (lambda X: X.astype(np.int8), int),
    "bool": (lambda X: X.astype(bool), int),
    "float32": (lambda X: X.astype(np.float32), np.float32),
    "pandas": (lambda X: pandas.DataFrame(X, columns=NAMES), np.float64),
    "pandas, mixed": (lambda X: pandas.DataFrame(X).astype({0: bool, 1: int}), np.float64),
    "pandas, nullable": (lambda X: pandas.DataFrame(X).astype("Int64"), np.float64),
    "polars": (lambda X: polars.DataFrame(X, NAMES), np.float64),
    "polars of ints": (lambda X: polars.DataFrame(X.astype(int), NAMES), int),
}


@every
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:X has feature names")
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
    turned = frame(dict(zip(NAMES[::-1], X.T[::-1], strict=True)))
    with pytest.raises(ValueError, match="same order"):
        model.predict(turned)
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(X)


@every
def test_takes_part_in_scikit_learns_tools(name: str) -> None:
    X, y = rows(name)
    line = make_pipeline(StandardScaler(), new(name)).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    assert np.array_equal(answer(line[-1], scaled), answer(new(name).fit(scaled, y), scaled))
    setting = {"LinearRegression": "fit_intercept", "Ridge": "alpha", "LogisticRegression": "C"}
    grid = {f"{name.lower()}__{setting.get(name, 'alpha')}": [0.001, 1.0]}
    search = GridSearchCV(line, grid, cv=3).fit(X, y)
    assert (search.cv_results_["rank_test_score"] > 0).all() and search.best_score_ <= 1
    assert search.best_estimator_.score(X, y) == search.score(X, y)
    assert len(cross_val_score(line, X, y, cv=3)) == 3
    with config_context(transform_output="pandas"):
        line = clone(line).fit(pandas.DataFrame(X, columns=NAMES), y)
    assert line[-1].feature_names_in_.tolist() == NAMES


@every
def test_clones_and_pickles(name: str) -> None:
    X, y = rows(name)
    model = new(name).fit(X, y)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "module_")
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(answer(again, X), answer(model, X))
    assert again.score(X, y) == model.score(X, y)
    assert again.get_params() == model.get_params()


@classifiers
def test_can_be_calibrated(name: str) -> None:
    X, y = rows(name)
    model = CalibratedClassifierCV(new(name), cv=3).fit(X, y, sample_weight=weights(60))
    assert model.predict_proba(X).sum(1) == pytest.approx(np.ones(60))


WEIGHTED = [("LinearRegression", "diabetes"), ("Ridge", "diabetes")]
WEIGHTED += [("LogisticRegression", "breast_cancer"), ("LogisticRegression", "iris")]


@pytest.mark.parametrize(("name", "place"), WEIGHTED)
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


def peer(X: Any, y: Any, weight: Any = None, **settings: Any) -> Any:
    model = sklearn.linear_model.LogisticRegression(
        solver="newton-cholesky", tol=1e-12, max_iter=1000, **settings
    )
    return model.fit(X, y, sample_weight=weight)


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    (name, settings)
    for name in ("breast_cancer", "iris", "wine", "digits")
    for settings in (
        {}, {"class_weight": "balanced"}, {"class_weight": {0: 2.0, 1: 0.5}},
        {"fit_intercept": False}, {"C": 0.01}, {"C": 100.0},
    )
    if "C" not in settings or name in ("iris", "wine")
]  # fmt: skip


@weighted
@pytest.mark.parametrize(("place", "settings"), SETTINGS)
def test_logistic_equals_newton_cholesky(
    place: str, settings: dict[str, Any], weighted: bool
) -> None:
    X, y = data(place)
    weight = weights(len(X)) if weighted else None
    model = linnet.LogisticRegression(**settings).fit(X, y, weight)
    expected = peer(X, y, weight, **settings)
    assert model.converged_ and close(model.coef_, expected.coef_, 1e-6)
    assert close(starts(model), starts(expected), 1e-6)
    assert np.array_equal(model.predict(X), expected.predict(X))
    decided = expected.decision_function(X)
    decided -= decided.mean(1, keepdims=True) if decided.ndim == 2 else 0
    mine = model.decision_function(X)
    mine -= mine.mean(1, keepdims=True) if mine.ndim == 2 else 0
    assert close(mine, decided, 1e-5)
    probabilities = model.predict_proba(X)
    assert close(probabilities, expected.predict_proba(X), 1e-6)
    assert np.exp(model.predict_log_proba(X)) == pytest.approx(probabilities, rel=1e-9)


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
    assert mine.converged_ and mine.coef_.shape == ((targets, 10) if targets else (10,))
    assert np.shape(mine.intercept_) == ((targets,) if targets else ())
    assert mine.predict(X).shape == y.shape
    assert close(mine.coef_.ravel(), np.ravel(theirs.coef_), 1e-9)
    assert np.all(mine.intercept_ == pytest.approx(theirs.intercept_, rel=1e-9, abs=1e-12))
    assert close(mine.predict(X).ravel(), theirs.predict(X).ravel(), 1e-9)
    scores = mine.score(X, y, weight, multioutput="raw_values")
    assert scores == pytest.approx(
        r2_score(y, theirs.predict(X), sample_weight=weight, multioutput="raw_values")
    )
    assert mine.score(X, y, weight) == pytest.approx(scores.mean())


@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("classes", [2, 3])
def test_soft_targets_are_rows_of_every_class(classes: int, C: float) -> None:
    X, y = generated(classes)
    hard = linnet.LogisticRegression(C).fit(X, y)
    model = linnet.LogisticRegression(C).fit(X, np.eye(classes)[y])
    assert model.classes_.tolist() == list(range(classes)) and model.score(X, np.eye(classes)[y])
    assert close(model.predict_proba(X), hard.predict_proba(X), 1e-8)
    assert classes == 2 or close(model.coef_, hard.coef_, 1e-8)
    soft = np.random.default_rng(0).dirichlet(np.ones(classes), len(X))
    weight = weights(len(X))
    repeated = np.tile(X, (classes, 1)), np.arange(classes).repeat(len(X))
    hard.fit(*repeated, (soft * weight[:, None]).T.ravel())
    model.fit(X, soft, weight)
    assert close(model.predict_proba(X), hard.predict_proba(X), 1e-8)


@pytest.mark.parametrize("classes", [2, 3])
def test_soft_targets_for_nets(classes: int) -> None:
    X, y = generated(classes)
    model = new("MLPClassifier").fit(X, np.eye(classes)[y])
    proba = model.predict_proba(X)
    assert proba.shape == (300, classes) and proba.sum(1) == pytest.approx(np.ones(300))
    assert classes == 2 or close(proba, new("MLPClassifier").fit(X, y).predict_proba(X), 1e-9)


@classifiers
@pytest.mark.parametrize(
    "row", [[0.5, 0.4, 0.0], [1.5, -0.5, 0.0], [np.nan, 0.5, 0.5], [0, 1, 0], [True, False, False]]
)
def test_targets_that_are_no_probabilities_are_refused(name: str, row: list[Any]) -> None:
    X, _ = rows(name)
    with pytest.raises(ValueError, match="y"):
        new(name).fit(X, np.array([row] * len(X)))


@squares
@weighted
@pytest.mark.parametrize("targets", [None, 2])
def test_partial_fit_equals_fit(name: str, weighted: bool, targets: int | None) -> None:
    X, y = data("diabetes")
    X, y = X + 10, y if targets is None else np.column_stack([y, np.sqrt(y)])
    weight = weights(len(X)) if weighted else None
    whole, parts = new(name).fit(X, y, weight), new(name)
    for part in np.split(np.arange(len(X)), [3, 4, 100, 300]):
        parts.partial_fit(X[part], y[part], None if weight is None else weight[part])
    for model in (parts, new(name).fit(X[:50], y[:50]).partial_fit(X, y, weight)):
        assert close(model.coef_, whole.coef_, 1e-9)
        assert close(model.intercept_, whole.intercept_, 1e-9)
        assert model.predict(X).shape == y.shape
    with pytest.raises(ValueError, match="targets"):
        parts.partial_fit(X, np.column_stack([y, y]))
    again = parts.fit(X[:50], y[:50])
    assert close(again.coef_, new(name).fit(X[:50], y[:50]).coef_, 1e-9)
    assert close(again.partial_fit(X, y, weight).coef_, whole.coef_, 1e-9)


def nasty(name: str) -> Any:
    X = np.random.default_rng(0).normal(size=(5, 12) if name == "wide" else (40, 4))
    if name == "one to nine":
        return np.arange(1.0, 10).reshape(3, 3)
    if name == "constant":
        X[:, 1] = 5.1
    if name == "duplicate":
        X[:, 3] = X[:, 0]
    if name == "condition 1e8":
        X[:, 3] = X[:, 0] + 1e-8 * X[:, 3]
    return X


@pytest.mark.parametrize("name", ["duplicate", "wide", "one to nine", "constant", "condition 1e8"])
def test_nasty_columns(name: str) -> None:
    X = nasty(name)
    y = np.random.default_rng(1).normal(size=len(X))
    model = linnet.LinearRegression().fit(X, y)
    centred = X - X.mean(0)
    expected = np.linalg.lstsq(centred, y - y.mean(), rcond=1e-10)[0]
    assert model.converged_
    assert np.abs(model.coef_ - expected).max() <= 1e-6 * np.abs(expected).max()
    assert close(model.predict(X), centred @ expected + y.mean(), 1e-7)
    rank = np.linalg.matrix_rank(centred, rtol=1e-10)
    assert model.rank_ == rank
    if rank < X.shape[1]:
        assert model.condition_ == np.inf
    else:
        scaled = centred / np.linalg.norm(centred, axis=0)
        assert model.condition_ == pytest.approx(np.linalg.cond(scaled), rel=1e-4)
    ridge = sklearn.linear_model.Ridge(0.1, solver="svd").fit(X, y)
    assert close(linnet.Ridge(0.1).fit(X, y).coef_, ridge.coef_, 1e-8)
    codes = (y > np.median(y)).astype(int)
    assert close(linnet.LogisticRegression().fit(X, codes).coef_, peer(X, codes).coef_, 1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_columns_of_any_scale(classes: int) -> None:
    X, y = generated(classes)
    model = linnet.LogisticRegression(C=np.inf).fit(X * [1e-4, 1, 1e4] + [0, 0, 1e4], y)
    expected = peer((X - X.mean(0)) / X.std(0), y, C=1e12)
    found = model.predict_proba(X * [1e-4, 1, 1e4] + [0, 0, 1e4])
    assert model.converged_
    assert close(found, expected.predict_proba((X - X.mean(0)) / X.std(0)), 1e-7)


@lines
def test_numbers_too_large_are_refused_or_right(name: str) -> None:
    X, y = rows(name)
    free = {"LogisticRegression": {"C": np.inf}, "Ridge": {"alpha": 0}}.get(name, {})
    X, y = (X, y) if name != "LogisticRegression" else generated(3)
    large = X * np.where(np.arange(X.shape[1]) == 2, 1e300, 1)
    try:
        model = new(name, **free).fit(large, y)
    except ValueError as error:
        assert "column 2" in str(error)
    else:
        assert close(answer(model, large), answer(new(name, **free).fit(X, y), X), 1e-6)


@every
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("wide", [False, True])
def test_what_is_not_finite_is_refused(name: str, value: float, wide: bool) -> None:
    X, y = rows(name)
    model, X = new(name).fit(X, y), np.tile(X, 20 if wide else 1)
    X[7, 2] = value
    with pytest.raises(ValueError, match="NaN|infinit"):
        new(name).fit(X, y, np.arange(60) != 7)
    with pytest.raises(ValueError, match="NaN|infinit"):
        model.predict(X[:, :4])
    if hasattr(model, "partial_fit"):
        with pytest.raises(ValueError, match="NaN|infinit"):
            new(name).partial_fit(X, y)


CLEAR = np.arange(12.0)[:, None] * [1, 0.5] + [[0, 1], [1, 0]] * 6
SEPARATED = {
    "two classes": (CLEAR, np.arange(12) // 6),
    "three classes": (CLEAR, np.arange(12) // 4),
    "quasi": (np.array([[0, 0], [0, 1], [0, 3], [0, 2], [1, 2], [1, 1.0]]), [0, 1, 0, 1, 1, 1]),
    "quasi, three": (np.eye(3)[[0, 0, 1, 1, 2, 2, 0, 0]], [0, 1, 1, 0, 2, 2, 0, 1]),
}


@pytest.mark.parametrize("name", SEPARATED)
def test_separation_is_named(name: str) -> None:
    model = linnet.LogisticRegression(C=np.inf)
    with pytest.warns(ConvergenceWarning, match="separation"):
        model.fit(*SEPARATED[name])
    assert model.converged_ is False and "separation" in model.stop_reason_
    assert clone(model).set_params(C=1.0).fit(*SEPARATED[name]).converged_ is True


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
    value = w @ loss / w.sum() + penalty / 2 * (coef**2).sum()
    return value, np.abs(gradient).max()


@pytest.mark.parametrize(("name", "place"), WEIGHTED)
@pytest.mark.parametrize("C", [1.0, 100.0])
def test_the_certificate_is_true(name: str, place: str, C: float) -> None:
    X, y = data(place)
    weight = weights(len(X))
    model, theirs = new(name), getattr(sklearn.linear_model, name)()
    if name == "LogisticRegression":
        model.set_params(C=C, tol=0.01, class_weight={1: 3})
        theirs = peer(X, y, weight, C=C, class_weight={1: 3})
    elif name == "Ridge":
        model.set_params(alpha=C), theirs.set_params(alpha=C)
    model.fit(X, y, weight), theirs.fit(X, y, weight)
    assert model.converged_ is True and model.stop_reason_.startswith("converged")
    w = weight * np.where(y == 1, 3, 1) if is_classifier(model) else weight
    value, slope = objective(model, X, y, w)
    best, _ = objective(theirs, X, y, w)
    assert model.objective_ == pytest.approx(value, rel=1e-12)
    assert model.gradient_max_ == pytest.approx(slope, rel=1e-6, abs=1e-10)
    rounding = 1e-12 * best
    assert model.objective_ - model.gap_ - rounding <= best <= model.objective_ + rounding


def test_running_out_of_iterations_warns() -> None:
    X, y = data("breast_cancer")
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = linnet.LogisticRegression(max_iter=2).fit(X, y)
    assert model.converged_ is False and model.n_iter_.tolist() == [2]
    with pytest.warns(ConvergenceWarning, match="2 epochs.*max_iter"):
        net = linnet.MLPClassifier(max_iter=2).fit(X, y)
    assert net.converged_ is False and net.n_iter_ == 2


SETS: dict[str, dict[str, Any]] = {
    "LinearRegression": {"fit_intercept": False},
    "Ridge": {"alpha": 0.5},
    "LogisticRegression": {"C": np.inf, "tol": 0.01, "random_state": 1},
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
    model = new(name, **SETS[name]).fit(frame, y)
    model.save(path := tmp_path / "model.safetensors")
    again = type(model).load(path)
    assert again.get_params() == model.get_params()
    assert np.array_equal(answer(again, frame), answer(model, frame))
    predicted = again.predict(frame)
    assert predicted.dtype == y.dtype and np.array_equal(predicted, model.predict(frame))
    assert np.array_equal(linnet.load(path).predict(X).ravel(), predicted.ravel())
    for fact in ("classes_", "feature_names_in_", "n_features_in_", "coef_", "stop_reason_"):
        assert hasattr(again, fact) == hasattr(model, fact)
        assert np.array_equal(getattr(again, fact, 0), getattr(model, fact, 0))
    for other in EVERY.keys() - {name}:
        if {name, other} != {"LinearRegression", "Ridge"}:
            with pytest.raises(ModelError, match=f"no {other}"):
                type(EVERY[other]).load(path)


@every
def test_files_of_other_kinds_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(EVERY[name]))
    with pytest.raises(ModelError, match="pickle"):
        type(EVERY[name]).load(path)


@pytest.mark.parametrize("name", ["LogisticRegression", "LinearRegression"])
def test_loads_models_of_the_command_line(name: str, tmp_path: Path) -> None:
    X, y = rows(name, 200)
    X = X * [1, 10, 100, 1000] + 5
    run = linnet.train((X, y), model="linear", out=tmp_path / "run", penalty=[0.01])
    model = getattr(linnet, name).load(tmp_path / "run" / "linear.safetensors")
    assert np.array_equal(model.predict(X), run.models["linear"].predict(X))
    by_hand = X @ model.coef_.T + model.intercept_
    assert close((model.decision_function if "Log" in name else model.predict)(X), by_hand, 1e-4)


@pytest.fixture(scope="module")
def statsmodels() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("statsmodels.api")


def same_figures(mine: Any, theirs: Any) -> None:
    """An equation's rows of ``coef_table`` are what statsmodels has (terms, equations) of."""
    for column, theirs_too in [("estimate", "params"), ("standard_error", "bse"), ("p", "pvalues")]:
        expected = np.asarray(getattr(theirs, theirs_too)).ravel(order="F")
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
    theirs = theirs.fit(cov_type=robust) if robust else theirs.fit()
    table = model.coef_table(robust=robust)
    same_figures(table, theirs)
    assert table["term"].tolist() == ["(intercept)", *NAMES]
    summary = model.summary(robust=robust)
    assert (summary.r2, summary.aic) == pytest.approx((theirs.rsquared, theirs.aic))
    for part in [*NAMES, "R2", robust or "classical"]:
        assert part in str(summary)


@pytest.mark.parametrize(("classes", "weighted"), [(2, False), (2, True), (3, False)])
def test_summary_equals_logit(statsmodels: Any, classes: int, weighted: bool) -> None:
    X, y = generated(classes)
    one, weight = statsmodels.add_constant(X), weights(len(X)) if weighted else None
    if weighted:
        binomial = statsmodels.families.Binomial()
        theirs = statsmodels.GLM(y, one, binomial, freq_weights=weight).fit(tol=1e-14)
    else:
        theirs = (statsmodels.Logit if classes == 2 else statsmodels.MNLogit)(y, one)
        theirs = theirs.fit(disp=False, method="newton", tol=1e-14)
    labels = np.array(["no", "maybe", "yes"])[:classes]
    model = linnet.LogisticRegression(C=np.inf).fit(X, labels[np.argsort(labels)][y], weight)
    same_figures(model.coef_table(), theirs)
    assert model.summary().log_likelihood == pytest.approx(theirs.llf)


@lines
def test_no_summary_where_it_would_be_invalid(name: str) -> None:
    X, y = rows(name) if name != "LogisticRegression" else generated(2)
    with pytest.raises(NoInference, match="dependent|penalised"):
        new(name).fit(np.column_stack([X, X[:, 0]]), y).summary()
    if name == "Ridge":
        assert new(name, alpha=0).fit(X, y).summary().rows == len(X)
        return
    model = new(name, **({"C": np.inf} if name == "LogisticRegression" else {})).fit(X, y)
    with pytest.raises(NoInference, match="dependent"):
        clone(model).fit(np.column_stack([X, X[:, 0]]), y).summary()
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
    losses = [e["valid"]["loss"] for e in model.history_ if e["event"] == "evaluate"]
    best = int(np.argmin(losses))
    assert model.converged_ and model.n_iter_ == best + 4 == len(losses) - 1 < 100
    if name == "MLPClassifier":
        codes = np.searchsorted(model.classes_, v)
        loss = -model.predict_log_proba(V)[np.arange(60), codes].mean()
    else:
        loss = ((model.predict(V) - v) ** 2).mean() / 2
    assert loss == pytest.approx(losses[best], rel=1e-9)


@lines
def test_validation_rows_are_only_scored(name: str) -> None:
    (X, y), (V, v) = rows(name), rows(name, seed=1)
    model = new(name).fit(X, y, X_val=V, y_val=v)
    assert np.array_equal(model.coef_, new(name).fit(X, y).coef_)
    assert model.predict(V).shape == (60,)
    last = [e["valid"] for e in model.history_ if e["event"] == "evaluate"][-1]
    score = last["accuracy"] if name == "LogisticRegression" else last["r2"]
    assert score == pytest.approx(model.score(V, v))


@nets
def test_early_stopping_holds_out_rows(name: str) -> None:
    X, y = rows(name, 200)
    model = new(name, early_stopping=True, max_iter=150, learning_rate_init=0.05).fit(X, y)
    scored = [event for event in model.history_ if event["event"] == "evaluate"]
    assert model.converged_ and len(scored) == model.n_iter_ + 1 < 150
    assert model.score(X, y) > 0.7
    assert model.artifact_.manifest.data == {"train_rows": 180, "valid_rows": 20}


@nets
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_goes_on_for_nets(name: str) -> None:
    X, y = rows(name)
    model = new(name, max_iter=5, n_iter_no_change=9, warm_start=True).fit(X, y)
    first = model.loss_curve_
    assert len(first) == model.n_iter_ == 5 and first[-1] == model.loss_
    second = model.fit(X, y).loss_curve_
    assert first[0] > first[-1] > second[0] > second[-1]
    assert clone(model).set_params(warm_start=False).fit(X, y).loss_curve_ == first


def test_warm_start_takes_fewer_iterations() -> None:
    X, y = data("wine")
    model = linnet.LogisticRegression(warm_start=True).fit(X, y)
    cold, coef = model.n_iter_[0], model.coef_
    assert model.fit(X, y).n_iter_[0] < cold / 2 and close(model.coef_, coef, 1e-8)
    assert model.set_params(C=1.1).fit(X, y).n_iter_[0] < cold
    assert model.set_params(fit_intercept=False).fit(X, y).intercept_.tolist() == [0, 0, 0]
    assert model.fit(X[:, :5], y > 0).coef_.shape == (1, 5)  # nothing to go on from


@nets
def test_random_state_decides_every_bit(name: str) -> None:
    X, y = rows(name)
    one, same, other = (
        answer(new(name, random_state=seed, batch_size=16).fit(X, y), X)
        for seed in (3, np.int64(3), 4)
    )
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize("targets", [None, 2])
def test_nets_fit_targets_of_any_size(targets: int | None) -> None:
    X, y = rows("MLPRegressor", 300)
    y = 1e6 * y if targets is None else np.column_stack([1e6 * y, 1e-3 * X[:, 1] + 7])
    model = linnet.MLPRegressor((20,), learning_rate_init=0.01, random_state=0).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert np.min(model.score(X, y, multioutput="raw_values")) > 0.9
    assert len(model.loss_curve_) == model.n_iter_


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("LogisticRegression", {"C": 0}, "C is 0"),
    ("LogisticRegression", {"C": -1.0}, "C is -1"),
    ("LogisticRegression", {"class_weight": "balance"}, "class_weight|balanced"),
    ("LogisticRegression", {"max_iter": 0}, "max_iter"),
    ("LogisticRegression", {"tol": -1.0}, "tol"),
    ("Ridge", {"alpha": -1.0}, "alpha is -1"),
    ("Ridge", {"alpha": np.nan}, "alpha is nan"),
    ("MLPClassifier", {"solver": "foo"}, 'solver is "foo".*adam'),
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
    with pytest.raises(ValueError, match="'u', which is no class of y"):
        new(name).fit(X, y, X_val=X[:2], y_val=["r", "u"])

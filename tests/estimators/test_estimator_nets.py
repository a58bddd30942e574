"""The perceptrons: what scikit-learn's have, and the same meaning of its words."""

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score

import linnet
from linnet.errors import Diverged, InputError

EVERY: dict[str, Any] = {
    "MLPClassifier": linnet.MLPClassifier((8,), random_state=0, max_iter=15),
    "MLPRegressor": linnet.MLPRegressor((8,), random_state=0, max_iter=15),
}
nets = pytest.mark.parametrize("name", EVERY)
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def new(name: str, **settings: Any) -> Any:
    return clone(EVERY[name]).set_params(**settings)


def rows(name: str, count: int = 90) -> Any:
    random = np.random.default_rng(0)
    X = random.normal(size=(count, 4))
    y = X @ [1, 2, 0, -1] + 0.5 * random.normal(size=count) + 3
    return X, np.array(list("rst"))[np.digitize(y, [2, 4])] if name == "MLPClassifier" else y


def answer(model: Any, X: Any) -> Any:
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


@nets
@quiet
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_is_one_epoch_of_fit(name: str, solver: str) -> None:
    """To the bit, also through a pickle: optimiser, order of batches and weights go on."""
    X, y = rows(name)
    whole = new(name, tol=0, batch_size=32, solver=solver, n_iter_no_change=99).fit(X, y)
    model = new(name, batch_size=32, solver=solver)
    classes = {"classes": list("rst")} if is_classifier(model) else {}
    for _ in range(15):
        model = pickle.loads(pickle.dumps(model)).partial_fit(X, y, **classes)
    assert np.array_equal(answer(model, X), answer(whole, X))
    assert model.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-12)
    assert model.t_ == whole.t_ == 15 * 90 and model.n_iter_ == 1 and model.converged_ is None
    before = answer(whole, X)
    assert not np.array_equal(answer(whole.partial_fit(X, y), X), before)
    again = new(name, batch_size=32, solver=solver, tol=0, n_iter_no_change=99)
    assert np.array_equal(answer(again.fit(X, y), X), before)


def test_partial_fit_knows_its_classes_and_its_targets() -> None:
    X, y = rows("MLPClassifier")
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        new("MLPClassifier").partial_fit(X, y)
    model = new("MLPClassifier").partial_fit(X[:5], ["r"] * 5, classes=list("rstu"))
    assert model.classes_.tolist() == list("rstu")
    assert model.partial_fit(X, y).predict_proba(X).shape == (90, 4)
    with pytest.raises(InputError, match="'v', which is not among the classes"):
        model.partial_fit(X[:2], ["r", "v"])
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X, y, classes=list("rst"))
    X, y = rows("MLPRegressor")
    numbers = new("MLPRegressor").partial_fit(X, y)
    with pytest.raises(InputError, match="2 targets, earlier rows 1"):
        numbers.partial_fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="4 features"):
        numbers.partial_fit(X[:, :2], y)
    with pytest.raises(InputError, match="early_stopping"):
        numbers.set_params(early_stopping=True).partial_fit(X, y)
    assert not hasattr(new("MLPRegressor", solver="lbfgs"), "partial_fit")
    with pytest.raises(Diverged, match="learning_rate_init"):
        new("MLPRegressor", solver="sgd", learning_rate_init=1e300).partial_fit(X, y).partial_fit(
            X, y
        )


@nets
@quiet
def test_the_layers_as_arrays_give_the_predictions(name: str) -> None:
    X, y = rows(name)
    model = new(name, hidden_layer_sizes=(8, 5), activation="tanh").fit(X, y)
    values = X
    for weight, bias in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        values = np.tanh(values @ weight + bias)
    values = values @ model.coefs_[-1] + model.intercepts_[-1]
    expected = model.decision_function(X) if is_classifier(model) else model.predict(X)[:, None]
    assert values == pytest.approx(expected, rel=1e-9)
    assert [w.shape for w in model.coefs_] == [(4, 8), (8, 5), (5, values.shape[1])]
    assert model.n_layers_ == 4 and model.n_outputs_ == values.shape[1]
    with pytest.raises(ValueError, match="read-only"):
        model.coefs_[0][0, 0] = 1
    with pytest.raises(AttributeError):
        model.coefs_ = []
    assert not hasattr(clone(model), "coefs_")


@nets
@quiet
@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping_goes_by_the_score(name: str, weighted: bool) -> None:
    """As scikit-learn's: the epoch of the best score is kept, and ``tol`` counts."""
    X, y = rows(name, 200)
    weight = np.random.default_rng(1).uniform(0.5, 2, 200) if weighted else None
    settings: dict[str, Any] = {"early_stopping": True, "learning_rate_init": 0.02}
    settings |= {"n_iter_no_change": 6, "tol": 1e-3, "max_iter": 300}
    model = new(name, **settings).fit(X, y, weight)
    scores = model.validation_scores_
    assert model.converged_ and len(scores) == model.n_iter_ < 300 and model.best_loss_ is None
    assert model.best_validation_score_ == max(scores)
    best, stale = -np.inf, 0
    for score in scores:  # scikit-learn's rule
        stale = stale + 1 if score < best + 1e-3 else 0
        best = max(best, score)
    assert stale == 7 and model.artifact_.manifest.data == {"train_rows": 180, "valid_rows": 20}
    held = new(name, **settings)._held_out(*_targets(model, y))[1]
    measure = accuracy_score if is_classifier(model) else r2_score
    share = None if weight is None else weight[held]
    kept = measure(y[held], model.predict(X[held]), sample_weight=share)
    assert kept == pytest.approx(max(scores), abs=1e-12)
    plain = new(name).fit(X, y)
    assert plain.validation_scores_ is plain.best_validation_score_ is None
    assert plain.best_loss_ == min(plain.loss_curve_)


def _targets(model: Any, y: Any) -> Any:
    import torch

    codes = np.searchsorted(model.classes_, y) if is_classifier(model) else y
    task = "classification" if is_classifier(model) else "regression"
    return torch.from_numpy(np.asarray(codes)), task, 0


def test_early_stopping_ends_as_soon_as_scikit_learns() -> None:
    X, y = load_iris(return_X_y=True)
    model = linnet.MLPClassifier(early_stopping=True, random_state=0, max_iter=1000).fit(X, y)
    assert model.n_iter_ < 100  # by the loss it took 897 epochs


@nets
@quiet
def test_float32_and_float64_begin_from_the_same_weights(name: str) -> None:
    X, y = rows(name)
    settings: dict[str, Any] = {"learning_rate_init": 1e-30, "max_iter": 1, "random_state": 7}
    wide, narrow = (new(name, **settings).fit(X.astype(dtype), y) for dtype in ("f8", "f4"))
    for one, other in zip(wide.coefs_[:-1], narrow.coefs_[:-1], strict=True):
        assert one.dtype == np.float64 and other.dtype == np.float32
        assert np.array_equal(one, other.astype(np.float64))


@nets
@pytest.mark.parametrize("weighted", [False, True])
def test_lbfgs_reaches_the_optimum_of_the_objective(name: str, weighted: bool) -> None:
    """The objective of the docstring, computed by hand, has no gradient left."""
    X, y = rows(name)
    weight = np.random.default_rng(1).integers(1, 3, 90) if weighted else None
    settings: dict[str, Any] = {"activation": "identity", "alpha": 1.0, "tol": 1e-7}
    model = new(name, solver="lbfgs", max_iter=2000, **settings)
    model.fit(X, y, weight)
    assert model.converged_ and len(model.loss_curve_) == model.n_iter_ > 5
    if weight is not None:  # rows of weight two count twice
        twice = clone(model).fit(X.repeat(weight, 0), y.repeat(weight))
        assert answer(model, X) == pytest.approx(answer(twice, X), abs=1e-4)
    w = np.ones(90) if weight is None else weight
    first, last = (weight.astype(float) for weight in model.coefs_)
    raw = (X @ first + model.intercepts_[0]) @ last + model.intercepts_[1]
    if is_classifier(model):
        codes = np.eye(3)[np.searchsorted(model.classes_, y)]
        residual, unit = np.exp(raw - np.log(np.exp(raw).sum(1, keepdims=True))) - codes, 1.0
    else:
        mean = np.average(y, weights=w)
        unit = float(np.average((y - mean) ** 2, weights=w) ** 0.5)
        residual = (raw - y[:, None]) / unit
    hidden = X @ first + model.intercepts_[0]
    gradient = hidden.T @ (residual * w[:, None]) / w.sum() + model.alpha / w.sum() * last / unit
    assert np.abs(gradient).max() < 1e-4
    clone(model).set_params(shuffle=False).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="max_fun"):
        clone(model).set_params(max_fun=3).fit(X, y)
    with pytest.raises(InputError, match="X_val"):
        model.fit(X, y, X_val=X, y_val=y)


@quiet
def test_learning_rates_of_sgd() -> None:
    X, y = rows("MLPClassifier")
    settings: dict[str, Any] = {"solver": "sgd", "learning_rate_init": 0.5, "momentum": 0.0}
    settings |= {"batch_size": 90, "tol": 0}
    rate = {}
    for kind in ("constant", "invscaling"):
        model = new("MLPClassifier", learning_rate=kind, power_t=0.25, max_iter=3, **settings)
        model.fit(X, y)
        rate[kind] = [event["lr"] for event in model.history_ if "lr" in event]
    assert rate["constant"] == [0.5] * 3
    assert rate["invscaling"] == pytest.approx([0.5 / (1 + 90 * k) ** 0.25 for k in range(3)])
    slow = {**settings, "tol": 0.5, "learning_rate": "adaptive"}
    model = new("MLPClassifier", max_iter=3000, n_iter_no_change=2, **slow).fit(X, y)
    rates = [event["lr"] for event in model.history_ if "lr" in event]
    assert model.converged_ and model.n_iter_ < 200 and rates[-1] <= 1e-6 < rates[-1] * 5
    assert {round(np.log(0.5 / rate) / np.log(5), 6) for rate in rates} == set(range(10))
    with pytest.raises(InputError, match="one of them"):
        model.set_params(early_stopping=True).fit(X, y)


@nets
def test_order_of_the_rows_is_refused_where_it_would_matter(name: str) -> None:
    X, y = rows(name)
    with pytest.raises(InputError, match="batch_size=90"):
        new(name, shuffle=False, batch_size=10).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        new(name, shuffle=False, n_iter_no_change=np.inf).fit(X, y)


@nets
@quiet
def test_warm_start_goes_on(name: str) -> None:
    """``max_iter`` is that of one fit, and the lists go on, as scikit-learn's."""
    X, y = rows(name, 200)
    model = new(name, max_iter=5, n_iter_no_change=9, warm_start=True)
    first = list(model.fit(X, y).loss_curve_)
    assert len(first) == model.n_iter_ == 5
    second = model.fit(X, y).loss_curve_
    assert second[:5] == first and model.n_iter_ == 5 and second[-1] == model.loss_
    assert first[0] > first[-1] > second[5] > second[-1]
    held = new(name, max_iter=5, n_iter_no_change=9, warm_start=True, early_stopping=True)
    assert len(held.fit(X, y).fit(X, y).validation_scores_) == 10
    assert clone(model).set_params(warm_start=False).fit(X, y).loss_curve_ == first
    if is_classifier(model):
        with pytest.raises(InputError, match="same classes as in the previous call"):
            model.fit(X, np.char.upper(y))
        assert model.classes_.tolist() == list("rst")

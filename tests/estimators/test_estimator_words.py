"""Settings: which are taken, which are refused, and with what words; one truth for coefficients."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
from scipy.special import expit
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

import linnet
from linnet.errors import InputError, LinnetWarning

NAMES = ["LinearRegression", "Ridge", "LogisticRegression", "MLPClassifier", "MLPRegressor"]
every = pytest.mark.parametrize("name", NAMES)
lines = pytest.mark.parametrize("name", NAMES[:3])

random = np.random.default_rng(0)
X = random.normal(size=(60, 4))
Y = X @ [1, 2, 0, -1] + 0.5 * random.normal(size=60) + 3


def new(name: str, **settings: Any) -> Any:
    return getattr(linnet, name)(**settings)


def target(name: str) -> Any:
    return (Y > 3).astype(int) if is_classifier(new(name)) else Y


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("LogisticRegression", {"C": "1"}),
    ("LogisticRegression", {"C": np.nan}),
    ("LogisticRegression", {"fit_intercept": "no"}),
    ("LogisticRegression", {"max_iter": 2.5}),
    ("LogisticRegression", {"n_jobs": "all"}),
    ("LogisticRegression", {"solver": "newton"}),
    ("LogisticRegression", {"penalty": "L2"}),
    ("LogisticRegression", {"class_weight": [1, 2]}),
    ("LogisticRegression", {"warm_start": "yes"}),
    ("LogisticRegression", {"random_state": "seed"}),
    ("Ridge", {"alpha": None}),
    ("Ridge", {"alpha": np.inf}),
    ("Ridge", {"solver": "qr"}),
    ("LinearRegression", {"fit_intercept": 1.0}),
    ("LinearRegression", {"device": None}),
    ("LinearRegression", {"device": "tpu"}),
    ("MLPRegressor", {"n_iter_no_change": "10"}),
    ("MLPRegressor", {"learning_rate": "fast"}),
    ("MLPClassifier", {"validation_fraction": 1.0}),
    ("MLPClassifier", {"batch_size": 2.5}),
    ("MLPClassifier", {"momentum": 1.5}),
    ("MLPClassifier", {"early_stopping": 1}),
]


@pytest.mark.parametrize(("name", "settings"), WRONG)
def test_settings_of_a_wrong_type_or_range_are_refused_in_scikit_learns_words(
    name: str, settings: dict[str, Any]
) -> None:
    (setting,) = settings
    for method in ("fit", "partial_fit"):
        model = new(name, **settings)
        if hasattr(model, method):
            with pytest.raises(
                InvalidParameterError, match=f"'{setting}' parameter of {name}"
            ) as e:
                getattr(model, method)(X, target(name))
            assert isinstance(e.value, InputError)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("LinearRegression", {"positive": True}, "positive=True"),
    ("Ridge", {"positive": True}, "positive=True"),
    ("Ridge", {"solver": "lbfgs"}, "positive=True"),
    ("Ridge", {"alpha": [1.0, -2.0]}, "alpha"),
    ("Ridge", {"alpha": [1.0, 2.0]}, "number of penalties do not correspond: 2 != 1"),
    ("Ridge", {"alpha": "ab"}, "alpha"),
    ("LogisticRegression", {"penalty": "l1"}, 'penalty="l1" is not offered'),
    ("LogisticRegression", {"penalty": "elasticnet", "l1_ratio": 0.5}, "l1_ratio=0.5"),
    ("LogisticRegression", {"penalty": "elasticnet"}, "elasticnet"),
    ("LogisticRegression", {"dual": True}, "dual=False"),
    ("LogisticRegression", {"class_weight": {0: -1.0}}, "class 0 is -1; expected a number from 0"),
    ("LogisticRegression", {"class_weight": {1: np.nan}}, "class 1 is nan"),
]


@pytest.mark.parametrize(("name", "settings", "message"), REFUSED)
def test_what_is_not_offered_is_refused_by_name(
    name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        new(name, **settings).fit(X, target(name))


SAME: dict[str, list[dict[str, Any]]] = {
    "LinearRegression": [{"copy_X": False}, {"tol": 1e-3}, {"n_jobs": -1}],
    "Ridge": [
        *({"solver": solver} for solver in ("svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga")),
        {"max_iter": 7, "tol": 0.1, "copy_X": False, "random_state": 3},
        {"alpha": [1.0]},
    ],
    "LogisticRegression": [
        *({"solver": solver} for solver in ("newton-cg", "newton-cholesky", "sag", "saga")),
        {"penalty": "elasticnet", "l1_ratio": 0},
        {"n_jobs": 2, "random_state": 3, "intercept_scaling": 7.0},
    ],
}


@lines
def test_words_that_change_no_answer_are_taken_in_silence(name: str) -> None:
    expected = new(name).fit(X, target(name))
    for settings in SAME[name]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = clone(new(name, **settings)).fit(X, target(name))
        assert np.array_equal(model.coef_, expected.coef_)
        assert np.array_equal(model.intercept_, expected.intercept_)


def test_words_whose_meaning_is_lost_warn() -> None:
    y = target("LogisticRegression")
    with pytest.warns(LinnetWarning, match="liblinear"):
        new("LogisticRegression", solver="liblinear").fit(X, y)
    with pytest.warns(LinnetWarning, match="C=3"):
        model = new("LogisticRegression", penalty=None, C=3.0).fit(X, y)
    free = new("LogisticRegression", C=np.inf).fit(X, y)
    assert np.array_equal(model.coef_, free.coef_)
    assert str(model.summary()) == str(free.summary())


def test_grids_of_scikit_learn_run() -> None:
    grid = {"logisticregression__solver": ["lbfgs", "saga"], "logisticregression__C": [0.1, 10.0]}
    line = make_pipeline(StandardScaler(), new("LogisticRegression", max_iter=100, tol=1e-4))
    search = GridSearchCV(line, grid, cv=3).fit(X, target("LogisticRegression"))
    assert search.best_score_ > 0.8
    assert pickle.loads(pickle.dumps(search)).score(X, target("LogisticRegression")) > 0.8


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_penalty_for_each_target(weighted: bool, bias: bool, tmp_path: Path) -> None:
    y = np.column_stack([Y, Y**2, -Y])
    weight = random.uniform(0.5, 2, 60) if weighted else None
    alpha = np.array([0.1, 30.0, 2.0])
    settings: dict[str, Any] = {"alpha": alpha, "fit_intercept": bias}
    mine = linnet.Ridge(**settings).fit(X, y, weight)
    theirs = sklearn.linear_model.Ridge(**settings).fit(X, y, weight)
    assert mine.coef_ == pytest.approx(theirs.coef_, rel=1e-9)
    assert mine.intercept_ == pytest.approx(theirs.intercept_, rel=1e-9, abs=1e-12)
    w = np.ones(60) if weight is None else weight
    residual = y - X @ theirs.coef_.T - theirs.intercept_
    value = (w @ residual**2 + alpha * (theirs.coef_**2).sum(1)).sum() / 2 / w.sum()
    assert mine.converged_ and mine.objective_ == pytest.approx(value, rel=1e-12)
    assert mine.gap_ <= 1e-12 * value and mine.rank_ == 4
    mine.save(path := tmp_path / "model.safetensors")
    again = linnet.Ridge.load(path)
    assert again.alpha == (0.1, 30.0, 2.0) and np.array_equal(again.predict(X), mine.predict(X))


@pytest.mark.parametrize("name", ["LinearRegression", "Ridge"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_target_of_one_column_has_the_shapes_of_scikit_learn(name: str, bias: bool) -> None:
    mine, theirs = (
        getattr(home, name)(fit_intercept=bias).fit(X, Y[:, None])
        for home in (linnet, sklearn.linear_model)
    )
    assert mine.coef_.shape == theirs.coef_.shape
    assert mine.predict(X).shape == theirs.predict(X).shape
    assert not bias or np.shape(mine.intercept_) == np.shape(theirs.intercept_)


@every
def test_faults_of_the_data_are_named_in_scikit_learns_words(name: str) -> None:
    y, holed = target(name), X.copy()
    for value, word in [(np.nan, "NaN"), (np.inf, "infinity")]:
        holed[3, 1] = value
        with pytest.raises(ValueError, match=f"Input X contains {word}"):
            new(name).fit(holed, y)
        wrong = y.astype(float)
        wrong[5] = value
        with pytest.raises(ValueError, match=f"Input y contains {word}"):
            new(name).fit(X, wrong)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 59\]"):
        new(name).fit(X, y[:-1])
    for method in ("summary", "coef_table", "predict", "get_feature_names_out"):
        if hasattr(new(name), method):
            with pytest.raises(NotFittedError):
                getattr(new(name), method)(*[X] * (method == "predict"))
    assert not hasattr(new(name), "coef_") and not hasattr(new(name), "intercept_")


@lines
@pytest.mark.parametrize("several", [False, True])
def test_coefficients_have_one_truth(name: str, several: bool, tmp_path: Path) -> None:
    y = target(name)
    if several:
        y = np.digitize(Y, [2, 4]) if name == "LogisticRegression" else np.column_stack([Y, -Y])
    model = new(name).fit(X, y)
    coef, intercept = 2 * model.coef_, model.intercept_ + 1
    model.coef_, model.intercept_ = coef, intercept
    raw = X @ np.atleast_2d(coef).T + intercept

    def check(model: Any) -> None:
        assert np.array_equal(model.coef_, coef) and np.array_equal(model.intercept_, intercept)
        if name != "LogisticRegression":
            assert model.predict(X) == pytest.approx(raw.reshape(y.shape))
        elif several:
            assert model.decision_function(X) == pytest.approx(raw)
        else:
            assert model.predict_proba(X)[:, 1] == pytest.approx(expit(raw[:, 0]))
        assert model.converged_ is model.gap_ is model.objective_ is None
        assert "by hand" in model.stop_reason_

    check(model)
    check(pickle.loads(pickle.dumps(model)))
    model.save(path := tmp_path / "model.safetensors")
    check(type(model).load(path))
    with pytest.raises(ValueError, match="read-only"):
        model.coef_[..., 0] = 1
    for wrong in (coef[..., :2], np.full_like(coef, np.nan)):
        with pytest.raises(InputError, match="coef_ has the shape"):
            model.coef_ = wrong
    with pytest.raises(NotFittedError):
        new(name).coef_ = coef
    assert model.fit(X, y).converged_

"""Sparse rows in the three lines."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.compose
import sklearn.feature_extraction.text
import sklearn.linear_model
import sklearn.pipeline
from sklearn.preprocessing import OneHotEncoder

import linnet
from linnet.errors import InputError
from linnet.estimators import _sparse

FORMS = (sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array, sp.coo_matrix)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rows are small enough to be made dense."""
    monkeypatch.setattr(_sparse, "FEW", 0)
    monkeypatch.setattr(_sparse, "MOST", 0)


def rows(seed: int = 0, *, rows: int = 200, columns: int = 30) -> Any:
    random = np.random.default_rng(seed)
    return sp.random_array((rows, columns), density=0.2, rng=random, format="csr") * 3


MODELS = (
    lambda: linnet.LogisticRegression(),
    lambda: linnet.LogisticRegression(C=0.1, fit_intercept=False),
    lambda: linnet.Ridge(2.0),
    lambda: linnet.Ridge(0.5, fit_intercept=False),
    lambda: linnet.LinearRegression(),
)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("new", MODELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_rows_have_the_answer_of_dense_ones(new: Any, weighted: bool) -> None:
    X, random = rows(), np.random.default_rng(1)
    y = X @ random.normal(size=30) + random.normal(size=200)
    y = np.digitize(y, [-1, 1]) if isinstance(new(), linnet.LogisticRegression) else y
    weight = random.integers(0, 3, 200).astype(float) if weighted else None
    one, two = new().fit(X, y, weight), new().fit(X.toarray(), y, weight)
    assert one.converged_ and one.coef_ == pytest.approx(two.coef_, rel=1e-4, abs=1e-6)
    assert one.predict(X) == pytest.approx(two.predict(X.toarray()), abs=1e-4)
    assert one.objective_ == pytest.approx(two.objective_, rel=1e-8)
    if one._penalty():
        assert one.gap_ is not None and 0 <= one.gap_ < 1e-6 * one.objective_


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_every_form_is_the_same(form: Any, dtype: Any) -> None:
    X = sp.csr_matrix(np.round(rows().toarray() * 2).astype(dtype))
    y = (np.asarray(X.sum(1)).ravel() > np.median(np.asarray(X.sum(1)))).astype(int)
    expected = linnet.LogisticRegression(tol=1e-6).fit(X, y)
    found = linnet.LogisticRegression(tol=1e-6).fit(form(X), y)
    assert np.array_equal(found.coef_, expected.coef_)
    assert np.array_equal(found.predict_proba(form(X)), expected.predict_proba(X))


def test_large_sparse_rows_are_solved_by_products() -> None:
    X, random = rows(rows=3000, columns=9000), np.random.default_rng(0)
    X = X.multiply(random.random(X.shape[1]) < 0.05).tocsr()
    y = (X @ random.normal(size=9000) > 0).astype(int)
    model = linnet.LogisticRegression().fit(X, y)
    assert model.artifact_.manifest.recipe["solver"] == "newton_cg"
    assert model.artifact_.manifest.schema_.columns == ()
    theirs = sklearn.linear_model.LogisticRegression(solver="newton-cg", tol=1e-9, max_iter=500)
    assert model.coef_ == pytest.approx(theirs.fit(X, y).coef_, abs=1e-4)
    assert model.gap_ is not None and model.gap_ < 1e-9
    again = type(model)()
    again.__setstate__(model.__getstate__())
    assert np.array_equal(again.predict(X), model.predict(X))


def test_sparse_rows_can_be_saved(tmp_path: Any) -> None:
    X = rows(rows=300, columns=1200)
    y = np.asarray(X[:, :3].sum(1)).ravel()
    model = linnet.Ridge(1.0).fit(X, y)
    model.save(tmp_path / "m.safetensors")
    again = linnet.Ridge.load(tmp_path / "m.safetensors")
    assert np.array_equal(again.predict(X), model.predict(X))


def test_least_squares_of_least_norm() -> None:
    X = rows(rows=40, columns=200_000)
    y = np.random.default_rng(0).normal(size=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = linnet.LinearRegression(fit_intercept=False).fit(X, y)
    assert X @ model.coef_ == pytest.approx(y, abs=1e-5)
    gram = (X @ X.T).toarray()
    assert model.coef_ @ model.coef_ == pytest.approx(y @ np.linalg.solve(gram, y), rel=1e-4)


def test_the_standard_pipelines_run() -> None:
    texts = ["the cat sat", "the dog ran", "a cat ran", "a dog sat"] * 10
    y = [0, 1, 0, 1] * 10
    words = sklearn.feature_extraction.text.TfidfVectorizer()
    model = sklearn.pipeline.make_pipeline(words, linnet.LogisticRegression())
    assert model.fit(texts, y).score(texts, y) == 1.0
    table = np.array([["a", "x"], ["b", "x"], ["a", "z"], ["b", "z"]] * 10, dtype=object)
    columns = sklearn.compose.ColumnTransformer([("kinds", OneHotEncoder(), [0, 1])])
    line = sklearn.pipeline.make_pipeline(columns, linnet.Ridge(1e-6))
    assert line.fit(table, y).score(table, y) > 0.999


def test_nets_refuse_sparse_rows_by_name() -> None:
    X = rows()
    for net in (linnet.MLPClassifier(), linnet.MLPRegressor()):
        with pytest.raises(InputError, match=r"takes dense rows.*toarray"):
            net.fit(X, np.arange(200) % 2)


@pytest.mark.usefixtures("tiny")
def test_faults_of_sparse_rows_are_told() -> None:
    X = rows()
    X.data[7] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        linnet.Ridge().fit(X, np.arange(200.0))
    with pytest.raises(InputError, match="CPU"):
        linnet.Ridge(device="cuda").fit(rows(), np.arange(200.0))
    with pytest.raises(ValueError, match="features"):
        linnet.Ridge().fit(rows(), np.arange(200.0)).predict(rows(columns=31))
    with pytest.raises(InputError, match="partial_fit"):
        linnet.Ridge().partial_fit(rows(), np.arange(200.0))

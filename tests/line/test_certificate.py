"""The certificate against the truth, in arithmetic of sixty digits."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from exact import Exact, exact
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import linnet
from linnet.line.certificate import certify
from linnet.line.problem import LinearProblem
from linnet.objectives import find

Array = np.ndarray[Any, Any]


class Case(NamedTuple):
    kind: str
    x: Array
    y: Array
    weight: Array | None
    alpha: float
    intercept: bool


@st.composite
def cases(draw: Any) -> Case:
    """At most 30 rows of 5 columns: of any scale, far from zero, constant or nearly so, copies of
    each other, indicators; classes that are separated, or have one row; weights of any size."""

    def some(share: float) -> bool:
        return bool(random.random() < share)

    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["squared", "logistic", "softmax"]))
    rows, columns = int(random.integers(4, 31)), int(random.integers(1, 6))
    x = random.normal(size=(rows, columns))
    x = np.round(2 * x) if some(0.3) else x
    if some(0.2) and columns > 2:
        x = np.eye(columns)[random.integers(0, columns, rows)]
    if some(0.25) and columns > 1:
        x[:, 1] = x[:, 0] * 2.0 ** int(random.integers(-3, 4))
    if some(0.15) and columns > 1:
        x[:, 1] = x[:, 0] * (1 + 1e-9 * random.normal(size=rows))
    if some(0.2):
        x[:, -1] = 1 + 10.0 ** random.integers(-13, -5) * random.normal(size=rows)
    if some(0.15):
        x[:, -1] = random.normal()
    x = x * 2.0 ** random.integers(-40, 41, columns) if some(0.4) else x
    x = x + 10.0 ** random.integers(0, 9) if some(0.3) else x
    if some(0.1):
        x[0, 0] = 1e8
    x = x.astype(np.float32) if some(0.3) else x
    weight = None
    if some(0.6):
        weight = random.exponential(size=rows) * 2.0 ** (random.integers(-60, 61, rows) * some(0.3))
        weight[some(0.4) * (random.random(rows) > 0.7)] = 0.0
        x[weight == 0] = 1e9
    alpha = 10.0 ** float(random.integers(-12, 4))
    if kind == "squared":
        y = x[:, 0] / (np.abs(x[:, 0]).max() + 1e-30) + 0.3 * random.normal(size=rows) * some(0.9)
        y = y.astype(np.float64) + 10.0 ** random.integers(0, 8) * some(0.2)
        alpha *= some(0.5)
    else:
        classes = 2 if kind == "logistic" else int(random.integers(3, 5))
        y = random.integers(0, classes, rows)
        if some(0.3):
            y = np.argsort(np.argsort(x[:, 0])) * classes // rows
        if some(0.2):
            y = np.zeros(rows, dtype=np.int64)
        y[:classes] = np.arange(classes)
    if weight is not None:
        weight[:4] = np.maximum(weight[:4], 1e-3)
    return Case(kind, x, y, weight, alpha, not some(0.25))


def estimator(case: Case) -> Any:
    if case.kind != "squared":
        return linnet.LogisticRegression(C=1 / case.alpha, fit_intercept=case.intercept)
    if case.alpha:
        return linnet.Ridge(case.alpha, fit_intercept=case.intercept)
    return linnet.LinearRegression(fit_intercept=case.intercept)


def check(case: Case) -> None:
    """The gap is never smaller than the true one, never larger than the objective."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = estimator(case).fit(case.x, case.y, case.weight)
    alpha = float(model.artifact_.manifest.fit["penalty"])
    coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    theta = np.concatenate([coef.T, intercept[None]]).astype(np.float64)
    weight = np.ones(len(case.x)) if case.weight is None else case.weight
    truth = Exact(case.kind, case.x, case.y, weight, alpha, case.intercept)
    value, best = truth.value(exact(theta)), truth.best(theta)
    assert model.gap_ is not None
    assert model.gap_ >= float(value - best) * (1 - 1e-9) - 1e-40
    kept = weight > 0
    terms = np.abs(case.x[kept].astype(np.float64)) @ np.abs(theta[:-1]) + np.abs(theta[-1])
    rounding = 2e-15 * (1 + float(terms.max()))
    tiny = rounding * (rounding + float(2 * value) ** 0.5) + 1e-15
    assert model.gap_ <= model.objective_ == pytest.approx(float(value), rel=1e-4, abs=tiny)


@given(cases())
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_gap_is_never_below_the_truth_nor_above_the_objective(case: Case) -> None:
    check(case)


@pytest.mark.slow
@given(cases())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_gap_holds_for_two_hundred(case: Case) -> None:
    check(case)


@pytest.mark.soak
@given(cases())
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_gap_holds_many_times(case: Case) -> None:
    check(case)


@pytest.mark.slow
@given(cases(), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_gap_of_any_coefficients_holds(case: Case, seed: int) -> None:
    """Not only of those that a solver finds."""
    random = np.random.default_rng(seed)
    outputs = 1 if case.kind != "softmax" else int(case.y.max()) + 1
    x = torch.tensor(case.x.astype(np.float64))
    scale = 1 / (np.abs(case.x.astype(np.float64)).max(0) + 1e-30)
    theta = random.normal(size=(x.shape[1] + 1, outputs)) * 10.0 ** random.integers(-3, 2)
    theta[:-1] *= scale[:, None]
    theta[-1] *= case.intercept
    problem = LinearProblem(
        find(case.kind), x, torch.tensor(case.y),
        None if case.weight is None else torch.tensor(case.weight),
        outputs=outputs, alpha=case.alpha, intercept=case.intercept,
    )  # fmt: skip
    found = certify(problem, torch.tensor(theta))
    weight = np.ones(len(x)) if case.weight is None else case.weight
    truth = Exact(case.kind, case.x, case.y, weight, case.alpha, case.intercept)
    gap = float(truth.value(exact(theta)) - truth.best(np.zeros_like(theta)))
    assert found is not None and found.gap is not None
    assert found.gap >= gap * (1 - 1e-9) - 1e-40


# one case for each kind of mistake that there was


def noisy(rows: int = 240, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3))
    return x, x @ [1.0, -2.0, 0.5] + 0.1 * random.normal(size=rows)


@pytest.mark.parametrize("huge", [1e9, 1e15, -1e12])
def test_rows_of_weight_zero_steer_nothing(huge: float) -> None:
    x, y = noisy()
    weight = np.ones(len(x))
    weight[::5] = 0
    kept = weight > 0
    expected = linnet.LinearRegression().fit(x[kept], y[kept])
    x[::5, 0] = huge
    found = linnet.LinearRegression().fit(x, y, weight)
    assert found.coef_ == pytest.approx(expected.coef_, rel=1e-12)
    assert found.gap_ is not None and found.gap_ < 1e-25
    classes = (y > 0).astype(int)
    one = linnet.LogisticRegression().fit(x, classes, weight)
    two = linnet.LogisticRegression().fit(x[kept], classes[kept])
    assert one.coef_ == pytest.approx(two.coef_, rel=1e-9)
    parts = linnet.LinearRegression()
    for rows in (slice(0, 100), slice(100, 240)):
        parts.partial_fit(x[rows], y[rows], weight[rows])
    assert parts.coef_ == pytest.approx(expected.coef_, rel=1e-10)


def test_a_column_that_is_constant_among_the_rows_that_count_is_no_column() -> None:
    """Bootstraps come as weights; rare indicators are then constant."""
    random = np.random.default_rng(1)
    x = np.column_stack(
        [random.normal(size=300) * 1e6 + 1e8, *np.eye(60)[random.integers(0, 60, 300)].T]
    )
    y = x[:, 0] / 1e6 + 0.1 * random.normal(size=300)
    for seed in range(40):
        counts = np.bincount(np.random.default_rng(seed).integers(0, 300, 300), minlength=300)
        model = linnet.LinearRegression().fit(x, y, counts.astype(float))
        assert model.score(x, y) > 0.9 and np.abs(model.coef_).max() < 1e4


def test_a_column_that_is_nearly_constant_is_a_column() -> None:
    random = np.random.default_rng(2)
    x = random.normal(size=(200, 2))
    x[:, 1] = 1 + 1e-12 * random.normal(size=200)
    y = (x[:, 0] + random.logistic(size=200) > 0).astype(int)
    model = linnet.LogisticRegression(C=np.inf).fit(x, y)
    z = np.column_stack([x[:, 0], (x[:, 1] - 1) * 1e12])
    expected = linnet.LogisticRegression(C=np.inf).fit(z, y)
    assert model.coef_[0, 1] == pytest.approx(1e12 * expected.coef_[0, 1], rel=1e-2)
    assert model.predict_proba(x) == pytest.approx(expected.predict_proba(z), abs=1e-3)


@pytest.mark.parametrize("parts", [2, 30])
def test_parts_are_as_right_as_the_whole(parts: int) -> None:
    random = np.random.default_rng(3)
    rows = 300
    kinds = np.eye(4)[random.integers(0, 4, rows)]
    turnover = 1e8 * random.lognormal(size=rows)
    year = random.integers(1990, 2025, rows).astype(float)
    y = turnover / 1e8 + kinds @ [1, 2, 3, 4] + 0.05 * random.normal(size=rows)
    for x in (
        np.column_stack([turnover, kinds]),
        np.column_stack([year, year**2, year**3, year**4]),
    ):
        whole = linnet.LinearRegression().fit(x, y)
        model = linnet.LinearRegression()
        for rows_ in np.array_split(np.arange(rows), parts):
            model.partial_fit(x[rows_], y[rows_])
        assert model.rank_ == whole.rank_
        assert model.score(x, y) == pytest.approx(whole.score(x, y), abs=1e-7)
        assert model.gap_ is not None and model.gap_ >= 0
    no = linnet.LinearRegression(fit_intercept=False)
    for rows_ in np.array_split(np.arange(rows), parts):
        no.partial_fit(kinds[rows_] + 1e3, y[rows_])
    residual = y - (kinds + 1e3) @ no.coef_
    assert no.objective_ == pytest.approx(np.mean(residual**2) / 2, rel=1e-6)


def test_the_rank_and_the_solution_are_judged_on_the_same_columns() -> None:
    random = np.random.default_rng(4)
    kinds = np.eye(3)[random.integers(0, 3, 200)]
    when = 1.7e18 + 1e16 * random.random(200)
    x = np.column_stack([when, kinds])
    y = (when - 1.7e18) / 1e16 + kinds @ [1.0, 2, 3] + 0.01 * random.normal(size=200)
    model = linnet.LinearRegression().fit(x, y)
    assert model.score(x, y) > 0.99 and model.rank_ == 3


def test_wide_rows_far_from_zero_in_float32() -> None:
    random = np.random.default_rng(5)
    x = (random.normal(size=(80, 1200)) + 1000).astype(np.float32)
    y = x[:, :3].sum(1).astype(np.float64)
    model = linnet.Ridge(1e-3).fit(x, y)
    assert model.score(x, y) > 0.999 and model.rank_ == 79
    few = (random.normal(size=(8, 30)) * 3 + 10.0 ** random.uniform(0, 6, 30)).astype(np.float32)
    classes = np.arange(8) % 2
    one = linnet.LogisticRegression(fit_intercept=False).fit(few, classes)
    two = linnet.LogisticRegression(fit_intercept=False).fit(few.astype(np.float64), classes)
    assert one.objective_ == pytest.approx(two.objective_, abs=1e-4)


def test_filip_has_a_gap_that_is_nothing() -> None:
    """NIST's worst polynomial, of degree ten, in spirit: columns from 1 to 1e10 of one variable."""
    variable = np.linspace(-9, -3, 82)
    x = np.vander(variable, 11, increasing=True)[:, 1:]
    y = np.sin(variable) + 0.01 * np.cos(50 * variable)
    model = linnet.LinearRegression().fit(x, y)
    assert model.converged_ and model.gap_ is not None and model.objective_ is not None
    assert model.gap_ < 1e-3 * model.objective_


def test_one_huge_cell_is_no_separation_and_no_optimum() -> None:
    random = np.random.default_rng(6)
    x = random.normal(size=(60, 2))
    x[0, 0] = 1e8
    y = (x[:, 1] + random.logistic(size=60) > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = linnet.LogisticRegression(C=np.inf).fit(x, y)
    assert "separation" not in model.stop_reason_
    narrow = linnet.LogisticRegression(C=1e6).fit(x.astype(np.float32), y)
    wide = linnet.LogisticRegression(C=1e6).fit(x, y)
    assert narrow.objective_ == pytest.approx(wide.objective_, abs=1e-5)


@pytest.mark.parametrize("model", [linnet.Ridge(), linnet.LinearRegression()])
def test_columns_of_nothing_but_zeros(model: Any) -> None:
    y = np.array([1.0, 2, 4])
    found = model.fit(np.zeros((3, 5)), y)
    assert found.predict(np.zeros((1, 5)))[0] == pytest.approx(y.mean())
    classes = linnet.LogisticRegression().fit(np.zeros((4, 9)), [0, 1, 1, 1])
    assert classes.predict_proba(np.zeros((1, 9)))[0, 1] == pytest.approx(0.75)


def test_one_row_of_weight() -> None:
    x, y = noisy(5)
    model = linnet.LinearRegression().fit(x, y, [0, 0, 3.0, 0, 0])
    assert model.predict(x)[2] == pytest.approx(y[2])


def test_targets_far_from_zero_are_fitted_in_float64() -> None:
    x, y = noisy()
    for away in (1e9, 1.7e12):
        model = linnet.LinearRegression().fit(x.astype(np.float32), y + away)
        assert model.score(x.astype(np.float32), y + away) > 0.99


def test_weights_of_any_size_are_ratios() -> None:
    x, y = noisy(50)
    weight = np.random.default_rng(0).random(50)
    for unit in (1e-200, 1e-40, 1e30, 1e140):
        for kind, targets in ((linnet.Ridge(0.0), y), (linnet.LinearRegression(), y)):
            found = kind.fit(x.astype(np.float32), targets, weight * unit).coef_
            assert found == pytest.approx(kind.fit(x.astype(np.float32), targets, weight).coef_)


def test_few_rows_of_many_columns_make_no_matrix_of_columns() -> None:
    random = np.random.default_rng(7)
    x = random.normal(size=(72, 20_000))
    model = linnet.LinearRegression().fit(x, random.normal(size=72))
    assert model.rank_ == 71 and model.objective_ is not None and model.objective_ < 1e-20


def test_a_tiny_column_beside_dependent_ones_keeps_its_coefficient() -> None:
    random = np.random.default_rng(8)
    x = random.normal(size=(50, 4))
    x[:, 1] = 3.0
    x[:, 3] = x[:, 0]
    x[:, 2] *= 1e-22
    y = x[:, 0] + 1e22 * x[:, 2] + 0.01 * random.normal(size=50)
    model = linnet.LinearRegression().fit(x, y)
    assert model.converged_ and model.score(x, y) > 0.999 and model.rank_ == 2

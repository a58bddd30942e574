"""The line in NumPy: right in arithmetic of sixty digits, and None where it cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from exact import Exact
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet.line.few import FEW, classes, squares

Array = np.ndarray[Any, Any]


def rows(seed: int, shape: tuple[int, int], far: float = 0.0) -> Array:
    random = np.random.default_rng(seed)
    units = 10.0 ** random.integers(-3, 4, shape[1])
    found: Array = (random.normal(size=shape) + far * random.normal(size=shape[1])) * units
    return found


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000),
    st.integers(3, 16),
    st.integers(1, 20),
    st.sampled_from([0.0, 1e-3, 1.0]),
    st.booleans(),
    st.booleans(),
)
def test_squares_are_the_optimum(
    seed: int, count: int, inputs: int, alpha: float, intercept: bool, weighted: bool
) -> None:
    random = np.random.default_rng(seed)
    x = rows(seed, (count, inputs), far=random.choice([0, 3]))
    y = random.normal(size=(count, 2))
    weight = random.uniform(0.1, 2, count) if weighted else None
    found = squares(x, y, weight, alpha=alpha, intercept=intercept, tol=1e-6)
    if found is None:
        return
    problem = Exact("squared", x, y, np.ones(count) if weight is None else weight, alpha, intercept)
    value, optimum = problem.value(found.theta), problem.best(found.theta)
    assert float(value - optimum) <= 1e-14 * float(problem.value(0 * found.theta)) + 1e-25


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000),
    st.integers(6, 14),
    st.integers(1, 4),
    st.integers(2, 4),
    st.sampled_from([1e-2, 1.0]),
    st.booleans(),
)
def test_classes_are_the_optimum(
    seed: int, count: int, inputs: int, kinds: int, alpha: float, intercept: bool
) -> None:
    random = np.random.default_rng(seed)
    x, y = rows(seed, (count, inputs)), random.integers(0, kinds, count)
    y[:kinds] = np.arange(kinds)
    weight = random.uniform(0.1, 2, count)
    outputs = 1 if kinds == 2 else kinds
    found = classes(x, y, weight, outputs=outputs, alpha=alpha, intercept=intercept, tol=1e-11)
    if found is None:
        return
    assert found.largest <= 1e-11
    kind = "logistic" if kinds == 2 else "softmax"
    problem = Exact(kind, x, y, weight, alpha, intercept)
    assert float(problem.value(found.theta) - problem.best(found.theta)) < 1e-14


def test_most_of_these_are_solved_here() -> None:
    """Else the tests above would say nothing."""
    solved = [
        squares(
            rows(seed, (12, 5)), np.ones((12, 1)) * np.arange(12)[:, None], None,
            alpha=0.0, intercept=True, tol=1e-6,
        )
        for seed in range(50)
    ]  # fmt: skip
    assert sum(one is not None for one in solved) == 50
    found = [
        classes(
            rows(seed, (14, 3)), np.arange(14) % 3, None,
            outputs=3, alpha=0.01, intercept=True, tol=1e-11,
        )
        for seed in range(50)
    ]  # fmt: skip
    assert sum(one is not None for one in found) == 50


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_fewer_rows_than_inputs(alpha: float, intercept: bool) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(20, 60)) + 5, random.normal(size=(20, 1))
    found = squares(x, y, None, alpha=alpha, intercept=intercept, tol=1e-6)
    assert found is not None
    shift = x.mean(0) if intercept else np.zeros(60)
    inside = np.linalg.lstsq((x - shift).T, found.theta[:-1], rcond=None)[0]
    assert np.allclose((x - shift).T @ inside, found.theta[:-1], atol=1e-12)  # of least norm
    if not alpha:
        assert np.abs(x @ found.theta[:-1] + found.theta[-1] - y).max() < 1e-12


def test_many_classes_in_a_basis_of_the_rows() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 200)), np.arange(60) % 7
    found = classes(x, y, None, outputs=7, alpha=1 / 60, intercept=True, tol=1e-11)
    assert found is not None
    raw = x @ found.theta[:-1] + found.theta[-1]
    p = np.exp(raw - raw.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    residual = (p - np.eye(7)[y]) / 60
    assert np.abs(x.T @ residual + found.theta[:-1] / 60).max() < 1e-10
    assert np.abs(residual.sum(0)).max() < 1e-11


def test_what_is_not_accurate_here_is_left_to_the_general_solvers() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 3)), random.normal(size=(30, 1))
    usual: dict[str, Any] = {"alpha": 0.0, "intercept": True, "tol": 1e-6}
    assert squares(x, y, None, **usual) is not None
    for wrong in (np.nan, np.inf, 1e200):
        other = x.copy()
        other[3, 1] = wrong
        assert squares(other, y, None, **usual) is None
        assert classes(
            other, (y[:, 0] > 0).astype(int), None, outputs=1, alpha=0.1, intercept=True, tol=1e-9
        ) is None or wrong == 1e200  # fmt: skip
    twice = np.hstack([x, x[:, :1]])
    assert squares(twice, y, None, **usual) is None
    assert squares(twice, y, None, **{**usual, "alpha": 0.1}) is not None
    nearly = np.hstack([x, x[:, :1] + 1e-9 * random.normal(size=(30, 1))])
    assert squares(nearly, y, None, **usual) is None
    tiny = np.hstack([x, 1e-170 * random.normal(size=(30, 1))])
    assert squares(tiny, y, None, **usual) is None
    unequal = np.ones(30)
    unequal[0] = 1e-12
    assert squares(x, y, unequal, **usual) is None
    codes = (y[:, 0] > 0).astype(int)
    assert classes(x, codes, None, outputs=1, alpha=0.0, intercept=True, tol=1e-9) is None


def test_a_constant_column_counts_nothing() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 2)), random.normal(size=(30, 1))
    more = np.hstack([x, np.full((30, 1), 0.1)])
    one = squares(x, y, None, alpha=0.0, intercept=True, tol=1e-6)
    two = squares(more, y, None, alpha=0.0, intercept=True, tol=1e-6)
    assert one is not None and two is not None
    assert two.theta[2, 0] == 0 and np.allclose(one.theta[:2], two.theta[:2], rtol=1e-13)


def test_few_is_a_bound_on_memory() -> None:
    assert FEW * 8 <= 2 << 20

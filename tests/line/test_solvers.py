"""Every solver, on every convex problem it takes, against independent answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import sklearn.datasets
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from torch import Tensor

from linnet import line
from linnet.core.record import Step
from linnet.core.registry import lookup
from linnet.line import SOLVERS
from linnet.line.lbfgs import LBFGS, Search
from linnet.line.moments import Moments
from linnet.line.problem import LinearProblem
from linnet.line.solve import Solve
from linnet.networks.linear import Linear
from linnet.objectives import OBJECTIVES
from linnet.objectives.softmax import Softmax

TARGETS = {"diabetes": "squared", "breast_cancer": "logistic", "iris": "softmax", "wine": "softmax"}


@dataclass
class Case:
    problem: LinearProblem
    x: np.ndarray
    y: np.ndarray
    network: Linear

    def solve(self, solver: str, alpha: float, tol: float = 1e-11, max_iter: int = 5000) -> Step:
        *_, last = self.steps(solver, alpha, tol, max_iter)
        return last

    def steps(
        self, solver: str, alpha: float, tol: float = 1e-11, max_iter: int = 5000
    ) -> Iterator[Step]:
        return iter(
            Solve(
                self.network,
                self.problem,
                lookup(SOLVERS, solver, "solver")(),
                penalties=[alpha],
                tol=tol,
                max_iter=max_iter,
            )
        )

    def raw(self) -> Tensor:
        with torch.no_grad():
            result: Tensor = self.network(self.problem.x.block(slice(None))).double()
        return result


def case(
    x: np.ndarray, y: np.ndarray, objective: str, outputs: int, weight: np.ndarray | None = None
) -> Case:
    network = Linear(Linear.Spec(inputs=x.shape[1:], outputs=outputs, scale="none"))
    problem = LinearProblem(
        lookup(OBJECTIVES, objective, "objective")(),
        torch.tensor(x),
        torch.tensor(y),
        None if weight is None else torch.tensor(weight),
        outputs=outputs,
    )
    return Case(problem, x, y, network.double())


def builtin(name: str, weight: np.ndarray | None = None, scaled: bool = True) -> Case:
    bunch = getattr(sklearn.datasets, f"load_{name}")()
    x, y = bunch.data, bunch.target
    if scaled:
        x = (x - x.mean(0)) / x.std(0)
    outputs = len(np.unique(y)) if TARGETS[name] == "softmax" else 1
    return case(x, y, TARGETS[name], outputs, weight)


def pairs() -> list[tuple[str, str]]:
    result = []
    for solver in SOLVERS:
        needs = lookup(SOLVERS, solver, "solver")().needs()
        for name, objective in TARGETS.items():
            if needs is None or getattr(lookup(OBJECTIVES, objective, "o"), needs):
                result.append((solver, name))
    return result


def peer(
    name: str, x: np.ndarray, y: np.ndarray, alpha: float, weight: np.ndarray | None
) -> Tensor:
    """scikit-learn's raw predictions for the same objective."""
    total = len(x) if weight is None else weight.sum()
    if TARGETS[name] == "squared":
        model = Ridge(alpha=alpha * total, solver="svd").fit(x, y, sample_weight=weight)
        return torch.tensor(model.predict(x))[:, None]
    model = LogisticRegression(C=1 / (alpha * total), tol=1e-12, solver="newton-cholesky")
    raw = torch.tensor(model.fit(x, y, sample_weight=weight).decision_function(x))
    return raw[:, None] if raw.dim() == 1 else raw


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("solver", "name"), pairs())
def test_reaches_scikit_learns_optimum(solver: str, name: str, weighted: bool) -> None:
    rows = len(builtin(name).x)
    weight = np.random.default_rng(0).uniform(0.5, 2, rows) if weighted else None
    one = builtin(name, weight)
    last = one.solve(solver, alpha=0.01)
    assert last.values["converged"] and last.reason and last.reason.startswith("converged")
    expected = peer(name, one.x, one.y, 0.01, weight)
    mine = one.raw()
    if TARGETS[name] == "softmax":  # free intercepts: compare up to a constant per row
        mine, expected = (raw - raw.mean(1, keepdim=True) for raw in (mine, expected))
    scale = one.problem.unit**0.5
    assert (mine - expected).abs().max() < 1e-6 * scale * max(
        1.0, expected.abs().max().item() / scale
    )


@pytest.mark.parametrize(("solver", "name"), pairs())
def test_the_objective_never_grows(solver: str, name: str) -> None:
    one = builtin(name)
    values = [float(step.values["objective"]) for step in one.steps(solver, 1e-4)]
    assert all(b <= a + 1e-12 * abs(a) for a, b in pairwise(values))
    assert len(values) > 1


@pytest.mark.parametrize("solver", ["lbfgs"])
@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_columns_of_any_scale_need_nothing(solver: str, name: str) -> None:
    one = builtin(name)
    scales = np.logspace(-4, 4, one.x.shape[1])
    penalty_free = 1e-9
    wild = case(one.x * scales, one.y, TARGETS[name], one.problem.outputs)
    plain_steps = one.solve(solver, penalty_free, tol=1e-5).index
    last = wild.solve(solver, penalty_free, tol=1e-5)
    assert last.values["converged"]
    assert last.index < 20 * plain_steps


@pytest.mark.parametrize(("solver", "name"), pairs())
def test_the_gap_bounds_the_distance_from_the_optimum(solver: str, name: str) -> None:
    one = builtin(name)
    best = float(one.solve(solver, 0.01, tol=1e-12).values["objective"])
    rough = one.solve(solver, 0.01, tol=1e-2)
    distance = float(rough.values["objective"]) - best
    assert distance <= float(rough.values["gap"]) * (1 + 1e-6) + 1e-12 * best
    if TARGETS[name] != "squared":
        assert 0 < float(rough.values["gap"]) < 1


@pytest.mark.parametrize(("solver", "name"), pairs())
def test_a_weight_of_two_is_the_row_twice(solver: str, name: str) -> None:
    base = builtin(name)
    twice = np.arange(len(base.x)) % 3 == 0
    weighted = builtin(name, np.where(twice, 2.0, 1.0))
    x, y = (np.concatenate([a, a[twice]]) for a in (base.x, base.y))
    repeated = case(x, y, TARGETS[name], base.problem.outputs)
    for one in (weighted, repeated):
        one.solve(solver, 0.01, tol=1e-13)
    raw = weighted.raw()
    assert (raw - repeated.raw()[: len(raw)]).abs().max() <= 1e-8 * max(1.0, raw.abs().max().item())


NASTY = {
    "duplicate column": np.array([[1, 1, 3], [2, 2, 1], [4, 4, 0], [5, 5, 2], [7, 7, 7.0]]),
    "more columns than rows": np.random.default_rng(0).normal(size=(5, 12)),
    "one to nine": np.arange(1.0, 10).reshape(3, 3),
    "constant column": np.array([[1, 5], [2, 5], [4, 5], [7, 5.0]]),
}


@pytest.mark.parametrize("name", NASTY)
def test_singular_inputs_give_the_least_norm(name: str) -> None:
    x = NASTY[name]
    y = np.random.default_rng(1).normal(size=len(x))
    one = case(x, y, "squared", 1)
    last = one.solve("least_squares", 0.0)
    assert last.values["converged"]
    expected = np.linalg.lstsq(x - x.mean(0), y - y.mean(), rcond=1e-10)[0]
    mine = one.network.linear.weight.detach().numpy()[0]
    assert mine == pytest.approx(expected, abs=1e-8)


def test_least_squares_equals_linear_regression() -> None:
    one = builtin("diabetes", scaled=False)
    one.solve("least_squares", 0.0)
    expected = LinearRegression().fit(one.x, one.y).predict(one.x)
    assert one.raw().numpy()[:, 0] == pytest.approx(expected, rel=1e-9)


def test_running_out_of_steps_is_told() -> None:
    last = builtin("breast_cancer").solve("lbfgs", 1e-4, max_iter=5)
    assert last.index == 5 and last.complete and not last.values["converged"]
    assert last.reason and "max_iter" in last.reason and last.reason.startswith("not converged")


def test_rounding_stops_with_a_remedy() -> None:
    bunch = sklearn.datasets.load_diabetes()
    one = case(bunch.data, bunch.target, "squared", 1)
    last = one.solve("least_squares", 0.0, tol=1e-25)
    assert last.reason and "rounding" in last.reason and "scale the columns" in last.reason


def test_value_and_gradient_equal_autograds() -> None:
    one = builtin("iris")
    problem = one.problem.at(0.1)
    theta = torch.randn(5, 3, dtype=torch.float64)
    theta.requires_grad_()
    value = problem.value(problem.raw(theta)) + problem.penalty(theta)
    (expected,) = torch.autograd.grad(value, theta)
    found, gradient = problem.value_and_gradient(theta.detach())
    assert found.item() == pytest.approx(value.item(), rel=1e-14)
    assert torch.allclose(gradient, expected, atol=1e-12)


def test_the_gram_matrix_keeps_its_digits_in_float32() -> None:
    random = np.random.default_rng(0)
    x = (random.normal(size=(10_000, 6)) + 1e4).astype(np.float32)
    problem = case(x, x[:, 0].astype(np.float64), "squared", 1).problem
    centred = x.astype(np.float64) - x.astype(np.float64).mean(0)
    expected = centred.T @ centred / len(x)
    moments = problem.moments
    assert np.abs(moments.xx.numpy() / len(x) - expected).max() < 1e-5
    assert moments.mean_x.numpy() == pytest.approx(x.astype(np.float64).mean(0), rel=1e-9)


def test_moments_of_chunks_are_those_of_the_whole() -> None:
    random = np.random.default_rng(0)
    x, y = torch.tensor(random.normal(5, 1, (100, 4))), torch.tensor(random.normal(size=(100, 2)))
    weight = torch.tensor(random.uniform(0, 2, 100))
    home = torch.device("cpu")
    whole = Moments.of(x, y, weight, intercept=True, home=home)
    parts = [
        Moments.of(x[rows], y[rows], weight[rows], intercept=True, home=home)
        for rows in (slice(0, 3), slice(3, 60), slice(60, 100))
    ]
    merged = parts[0] + parts[1] + parts[2]
    for name in ("mean_x", "mean_y", "xx", "xy", "yy"):
        assert torch.allclose(getattr(merged, name), getattr(whole, name), rtol=1e-12, atol=1e-12)
    for alpha in (0.0, 0.1, 0.2, 10.0):  # the first by Cholesky, the others by eigenvectors
        one, two = merged.solve(alpha).theta, whole.solve(alpha).theta
        assert torch.allclose(one, two, rtol=1e-10, atol=1e-12)
        value, gradient = whole.value_and_gradient(two, alpha)
        assert gradient.abs().max() < 1e-12
        short = (weight[:, None] * (x @ two[:-1] + two[-1] - y).square()).sum() / 2 / weight.sum()
        assert value.item() == pytest.approx((short + alpha / 2 * two[:-1].square().sum()).item())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dependent_columns_are_right_at_any_condition(dtype: type) -> None:
    random = np.random.default_rng(0)
    for size in (1e-2, 1e-5, 1e-7):
        x = random.normal(size=(300, 3))
        x[:, 1] = x[:, 0] + size * x[:, 1]
        x = (x + 3).astype(dtype)
        y = x.sum(1) + random.normal(size=300)
        one = case(x, y, "squared", 1)
        last = one.solve("least_squares", 0.0, tol=1e-6)
        exact = x.astype(np.float64)
        expected = np.linalg.lstsq(exact - exact.mean(0), y - y.mean(), rcond=None)[0]
        found = one.network.linear.weight.detach().numpy()[0]
        assert last.values["converged"] and last.values["rank"] == 3
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
def test_samples_and_sampled_curvature_reach_the_same_optimum(classes: int) -> None:
    """Rare columns, far from scaled: what a sample of the rows knows least about."""
    random = np.random.default_rng(classes)
    x = random.normal(size=(20_000, 12)) * np.logspace(-3, 3, 12)
    x[:, :3] = random.random((20_000, 3)) < [0.5, 0.01, 2e-4]
    y = (x[:, 4:5] / x[:, 4].std() + random.gumbel(size=(20_000, classes))).argmax(1)
    y[:classes] = np.arange(classes)
    one = case(x, y, "softmax" if classes > 2 else "logistic", classes if classes > 2 else 1)
    last = one.solve("lbfgs", 1e-6, tol=1e-9, max_iter=300)
    assert last.values["converged"] and last.index < 60
    theirs = LogisticRegression(C=1 / (1e-6 * len(x)), tol=1e-12, solver="newton-cholesky")
    expected = theirs.fit(x / x.std(0), y)  # it cannot do without; so compare the objective
    raw = torch.tensor(expected.decision_function(x / x.std(0)))
    raw = raw[:, None] if classes == 2 else raw
    coef = torch.tensor(expected.coef_ / x.std(0))
    bound = one.problem.value(raw) + 1e-6 / 2 * coef.square().sum()
    assert float(last.values["objective"]) <= bound.item() * (1 + 1e-12)


def test_more_columns_than_rows_is_the_same_problem() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 50)), np.arange(30) % 3
    x[7] = x[3]  # and a row that is a copy
    one = case(x, y, "softmax", 3)
    last = one.solve("lbfgs", 0.01, tol=1e-10)
    with torch.no_grad():
        linear = one.network.linear
        theta = torch.cat([linear.weight.T, linear.bias[None]])
    problem = LinearProblem(
        one.problem.objective, one.problem.x, one.problem.y, outputs=3, alpha=0.01
    )
    value, gradient = problem.value_and_gradient(theta)
    assert gradient.abs().max() < 1e-9
    assert value.item() == pytest.approx(float(last.values["objective"]), rel=1e-12)


def test_two_fits_take_the_same_steps() -> None:
    """Costs are counted, not measured: nothing depends on a clock."""
    runs = [
        [float(step.values["objective"]) for step in builtin("wine").steps("lbfgs", 1e-3)]
        for _ in range(2)
    ]
    assert runs[0] == runs[1] and len(runs[0]) > 3


def test_separation_of_one_class_is_named_at_any_tolerance() -> None:
    """Of iris, one class is told apart by a line, the two others are not."""
    for tol in (1e-6, 1e-9, 1e-11):
        last = builtin("iris", scaled=False).solve("lbfgs", 0.0, tol=tol, max_iter=1000)
        assert not last.values["converged"] and "separation" in str(last.reason)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_a_step_length_is_found_along_directions_of_any_length(factor: float) -> None:
    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    problem = case(x, y, "logistic", 1).problem.at(1e-3)
    state = LBFGS().start(problem, problem.constant)
    direction = -factor * state.gradient
    search = Search(problem, state, direction)
    assert search.run()
    there = problem.value_and_gradient(state.theta + search.length * direction)
    slope = (there[1] * direction).sum().item()
    assert abs(slope) <= 0.5 * abs(search.first) and there[0] < state.value


def test_one_block_serves_all_classes_where_one_for_each_would_be_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = sklearn.datasets.load_digits()
    x, y = torch.tensor(data.data), torch.tensor(data.target)
    found = []
    for most in (line.MATRIX, 65**2):
        monkeypatch.setattr(line, "MATRIX", most)
        assert line.choose(False, 1797, 64, 10) == "lbfgs"
        problem = LinearProblem(Softmax(), x, y, outputs=10, alpha=1e-2)
        assert problem.compact == (most > 65**2)
        network = Linear(Linear.Spec(inputs=(64,), outputs=10, scale="none")).double()
        method = Solve(network, problem, LBFGS(), penalties=[1e-2], tol=1e-9, max_iter=500)
        *_, last = method
        assert last.values["converged"] and last.index < 200
        found.append(network.linear.weight.detach().clone())
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert line.choose(False, 1797, 65, 10) == "newton_cg"

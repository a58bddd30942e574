"""The line in shares of its rows: the same bits on any number of ranks."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor

from linnet.core.parallel import World
from linnet.errors import ColumnError, RecipeError
from linnet.line import solve as solving
from linnet.line.base import Solver
from linnet.line.certificate import certify
from linnet.line.lbfgs import LBFGS
from linnet.line.least_squares import LeastSquares
from linnet.line.newton import NewtonCG
from linnet.line.problem import LinearProblem
from linnet.line.rows import Rows, Sparse
from linnet.networks.linear import Linear
from linnet.objectives.logistic import Logistic
from linnet.objectives.softmax import Softmax
from linnet.objectives.squared import Squared
from ranks import one_thread, sampling, together

CASES = [
    "squares", "narrow", "weights", "logistic", "softmax", "newton", "wide", "few", "constant",
    "sparse", "sampled",
]  # fmt: skip


def case(name: str) -> tuple[Any, Solver, Any, Tensor, Tensor | None, dict[str, Any]]:
    """The objective, the solver, the rows, the targets and the weights of a small problem."""
    random = np.random.default_rng(0)
    rows, inputs = {"wide": (40, 90), "few": (5, 3), "sampled": (1_900, 7)}.get(name, (997, 7))
    x = random.normal(size=(rows, inputs)) @ np.diag(1.0 + np.arange(inputs)) + 1
    true = random.normal(size=(inputs, 3))
    raw = x @ true / np.sqrt(inputs) + random.gumbel(size=(rows, 3))
    weight = None
    if name == "constant":
        x[:, 2] = 0.1
    if name == "weights":
        weight = torch.from_numpy(random.uniform(0.1, 2, rows))
    held: Any = torch.from_numpy(x)
    if name == "narrow":
        held = held.float()
    if name == "sparse":
        held = Sparse(scipy.sparse.csr_array(np.where(random.random(x.shape) < 0.3, x, 0.0)))
    settings = {"outputs": 1, "alpha": 0.01}
    if name in ("logistic", "newton", "wide"):
        y = torch.from_numpy((raw[:, 0] > raw[:, 1]).astype(int))
        solver: Solver = NewtonCG() if name == "newton" else LBFGS()
        return Logistic(), solver, held, y, weight, settings
    if name in ("softmax", "sparse", "sampled"):
        return Softmax(), LBFGS(), held, torch.from_numpy(raw.argmax(1)), weight, {
            "outputs": 3, "alpha": 0.001,
        }  # fmt: skip
    return Squared(), LeastSquares(), held, torch.from_numpy(raw[:, :1]), weight, settings


def method_of(world: World, name: str, count: int, penalties: list[float]) -> solving.Solve:
    """The fit of a case with so many shares; this rank has its rows alone."""
    objective, solver, x, y, weight, settings = case(name)
    shares = world.shares(len(y), count)
    own = slice(shares[0].start, shares[-1].stop)
    held = x.part(own) if isinstance(x, Rows) else x[own]
    problem = LinearProblem(
        objective, held, y[own], None if weight is None else weight[own], world=world,
        lengths=[part.stop - part.start for part in shares], count=count, **settings,
    )  # fmt: skip
    network = Linear(Linear.Spec(inputs=(x.shape[1],), outputs=settings["outputs"], scale="none"))
    return solving.Solve(
        network.double(), problem, solver, penalties=penalties, tol=1e-9, max_iter=500
    )


def solved(world: World, name: str, count: int) -> dict[str, Any]:
    """The fit of a case with so many shares; this rank has its rows alone."""
    with sampling(400 if name == "sampled" else solving.SAMPLE):
        method = method_of(world, name, count, [case(name)[-1]["alpha"]])
        network, problem = method.network, method.whole
        *_, last = method
    assert last.reason is not None and last.reason.converged
    found = torch.cat([network.linear.weight.T, network.linear.bias[None]]).detach()
    known = certify(problem, found)
    assert known is not None
    return {
        "theta": found, "steps": last.index, "gap": known.gap, "objective": known.objective,
        "rank": last.values.get("rank"),
    }  # fmt: skip


def every(world: World, count: int) -> dict[str, dict[str, Any]]:
    warnings.simplefilter("ignore")
    return {name: solved(world, name, count) for name in CASES}


def both(world: World) -> dict[str, Any]:
    """What the tests of two ranks want to know, in one start of them."""
    return {
        "every": every(world, 8),
        "resumed": resumed(world, 8),
        "ill": ill(world, 2),
        "separable": separable(world),
        "broken": broken(world),
    }


@pytest.fixture(scope="module")
def pair() -> list[dict[str, Any]]:
    """What each of two ranks has found."""
    return together(2, both)


@pytest.mark.slow
@pytest.mark.multiprocess
def test_the_same_shares_give_the_same_bits_on_one_two_three_and_four_ranks(
    pair: list[dict[str, Any]],
) -> None:
    with one_thread():
        one, plain = every(World(), 8), every(World(), 1)
    for name, found in one.items():
        close = 1e-12 if plain[name]["rank"] is not None and name != "narrow" else 1e-7
        assert torch.allclose(found["theta"], plain[name]["theta"], rtol=close, atol=close), name
        assert found["gap"] is not None and plain[name]["gap"] is not None, name
    for size in (2, 3, 4):
        many = together(size, every, 8) if size > 2 else [found["every"] for found in pair]
        for rank, found in enumerate(many):
            for name in CASES:
                assert torch.equal(found[name]["theta"], one[name]["theta"]), (name, size, rank)
                assert found[name] | {"theta": 0} == one[name] | {"theta": 0}, (name, size, rank)


def resumed(world: World, count: int) -> dict[str, list[Tensor]]:
    """The coefficients at the end of a path of penalties: without a stop, and from the states after
    some steps, in the midst of a penalty and at its end."""
    found = {}
    for name in ("logistic", "softmax", "newton"):
        whole = method_of(world, name, count, [1.0, 0.01])
        states = [whole.state() for _ in whole]
        found[name] = [whole.network.linear.weight.detach()]
        for number in (1, 2, len(states) // 2, len(states) - 2):
            again = method_of(world, name, count, [1.0, 0.01])
            again.restore(states[number])
            list(again)
            found[name].append(again.network.linear.weight.detach())
    return found


@pytest.mark.multiprocess
def test_a_line_on_ranks_goes_on_to_the_same_bits(pair: list[dict[str, Any]]) -> None:
    """A checkpoint then holds the coefficients at the start of a penalty."""
    with one_thread():
        one = resumed(World(), 8)
    for found in (one, *(each["resumed"] for each in pair)):
        for name, (whole, *again) in found.items():
            assert torch.equal(whole, one[name][0]), name
            assert all(torch.equal(each, whole) for each in again), name


def ill(world: World, count: int) -> list[tuple[float, float, float]]:
    """For inputs of some conditions: the error of least squares, the rank that it finds, and the
    largest difference of the coefficients from those of rank 0."""
    results = []
    for off in (1e-6, 1e-8, 0.0):
        random = torch.Generator().manual_seed(1)
        x = torch.randn((4_000, 20), generator=random, dtype=torch.float64)
        x[:, -1] = x[:, 0] + off * torch.randn(4_000, generator=random, dtype=torch.float64)
        true = torch.ones((20, 1), dtype=torch.float64)
        if not off:
            true[[0, -1]] = 0.5
        y = x @ true + 3
        shares = world.shares(4_000, count)
        own = slice(shares[0].start, shares[-1].stop)
        problem = LinearProblem(
            Squared(), x[own], y[own], outputs=1, world=world, count=count,
            lengths=[part.stop - part.start for part in shares],
        )  # fmt: skip
        solver = LeastSquares()
        state = solver.step(problem, solver.start(problem, problem.constant))
        assert state.solution is not None
        error = (state.theta[:-1] - true).abs().max().item()
        apart = (state.theta - world.same(state.theta)).abs().max().item()
        results.append((error, float(state.solution.rank), apart))
    return results


@pytest.mark.multiprocess
def test_ill_conditioned_least_squares_is_as_accurate_on_two_ranks(
    pair: list[dict[str, Any]],
) -> None:
    """Each rank's triangle, gathered, is factorised once more; second moments alone were off by
    9e-3 and by 1e3."""
    plain = ill(World(), 1)
    assert [rank for _, rank, _ in plain] == [20, 20, 19]
    for found in (each["ill"] for each in pair):
        for (error, rank, apart), (before, known, _) in zip(found, plain, strict=True):
            assert error <= max(10 * before, 1e-12) and rank == known and apart == 0.0


def unlike(world: World) -> dict[str, Any]:
    """Fits on ranks that have 1 and 2 threads."""
    assert torch.get_num_threads() == world.rank + 1
    random = torch.Generator().manual_seed(2)
    x = torch.randn((3_000, 150), generator=random, dtype=torch.float64)
    y = (x[:, :3] + torch.randn((3_000, 3), generator=random)).argmax(1)
    found: dict[str, Any] = {}
    for name, solver, objective, target, outputs in (
        ("softmax", LBFGS(), Softmax(), y, 3),
        ("newton", NewtonCG(), Logistic(), y.clamp(max=1), 1),
        ("squares", LeastSquares(), Squared(), x[:, :1] + y[:, None], 1),
    ):
        own = world.shares(3_000, 2)[0]
        problem = LinearProblem(
            objective, x[own], target[own], outputs=outputs, alpha=1e-3, world=world
        )
        state = solver.start(problem, problem.constant)
        for _ in range(4):
            state = solver.step(problem, state)
        found[name] = state.theta
    return found


@pytest.mark.multiprocess
def test_ranks_with_unlike_threads_hold_the_same_coefficients() -> None:
    first, second = together(2, unlike, threads=0)
    for name, theta in first.items():
        assert torch.equal(theta, second[name]), name


def separable(world: World) -> list[str]:
    """Why fits without a penalty stop, to classes that a line separates in part."""
    reasons: list[str] = []
    for apart in (True, False):
        random = torch.Generator().manual_seed(3)
        x = torch.randn((300, 3), generator=random, dtype=torch.float64)
        y = (x[:, 0] + torch.randn(300, generator=random) > 0).long()
        if apart:  # a category that only one class has
            x[:, 2] = (torch.arange(300) % 10 == 0).double()
            y[x[:, 2] > 0] = 1
        own = world.shares(300, 2)[0] if world.size > 1 else slice(0, 300)
        problem = LinearProblem(Logistic(), x[own], y[own], outputs=1, world=world)
        network = Linear(Linear.Spec(inputs=(3,), outputs=1, scale="none")).double()
        *_, last = solving.Solve(network, problem, LBFGS(), penalties=[0.0], tol=1e-9, max_iter=500)
        assert last.reason is not None
        reasons.append(last.reason.kind)
    return reasons


@pytest.mark.multiprocess
def test_separation_of_some_rows_is_found_on_two_ranks(pair: list[dict[str, Any]]) -> None:
    assert separable(World()) == ["separation", "converged"]
    assert [each["separable"] for each in pair] == [["separation", "converged"]] * 2


def broken(world: World) -> str:
    x = torch.ones((64, 2), dtype=torch.float64)
    x[:, 0] = torch.arange(64)
    x[50, 1] = torch.nan  # a row of the last rank
    own = world.shares(64, 2)[0]
    try:
        LinearProblem(Squared(), x[own], x[own, :1], outputs=1, world=world).check()
    except ColumnError as error:
        return str(error)
    return ""


@pytest.mark.multiprocess
def test_a_number_that_one_rank_has_is_an_error_on_all(pair: list[dict[str, Any]]) -> None:
    first, second = (each["broken"] for each in pair)
    assert "column 1: a number is missing" in first and first == second


def test_shares_cover_all_rows_in_order_and_are_dealt_out_to_the_ranks() -> None:
    for rows in (0, 5, 150, 10_007):
        for size, held in ((1, [8]), (2, [4, 4]), (3, [3, 3, 2]), (8, [1] * 8)):
            shares = [World(rank, size).shares(rows, 8) for rank in range(size)]
            assert [len(each) for each in shares] == held
            flat = [share for each in shares for share in each]
            assert [n for share in flat for n in range(rows)[share]] == list(range(rows))
            assert all(share.start % 16 == 0 for share in flat)
    with pytest.raises(RecipeError, match="9 ranks are more than the 8 shares"):
        World(0, 9).shares(100, 8)

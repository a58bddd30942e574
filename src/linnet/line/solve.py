"""The loop of all convex fits. It decides about convergence; the solvers do not."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from linnet.core.parallel import ALIGNED, World
from linnet.core.randomness import generator
from linnet.core.record import Reason, Step
from linnet.core.registry import lookup
from linnet.data.coded import Coded
from linnet.data.dataset import Dataset
from linnet.data.store import scratch
from linnet.line import GROUP, SOLVERS, rows
from linnet.line.base import Solver, State
from linnet.line.certificate import Certificate, certify
from linnet.line.problem import LinearProblem
from linnet.line.separation import separated
from linnet.line.settings import LineSettings
from linnet.networks.constant import Constant
from linnet.networks.linear import Linear
from linnet.networks.method import Method
from linnet.objectives.base import Objective

SAMPLE = 6_000
"""The rows of the first sample of a fit; with fewer than three times as many there is none."""

MISLED = 3.5
"""A sample is useless if its own rows are fitted this many times better than others."""

GROWTH = 4.0
"""Each sample is at most this many times the one before."""


def begin(
    network: Linear,
    objective: Objective,
    train: Dataset,
    settings: LineSettings,
    *,
    seed: int,
    world: World,
    start: Mapping[str, Tensor] | None = None,
) -> Solve:
    """The fit of a line to the rows ``train``; with ``start``, from the coefficients that
    ``network`` has been given. The settings leave nothing to "auto"; nothing depends on ``seed``.
    Of several ranks each has all rows, and computes with its shares of them.
    """
    assert settings.penalty != "auto" and settings.tol != "auto"
    coded = isinstance(train.x, Coded)
    device = torch.device("cpu") if coded else world.device  # products with codes are SciPy's
    network.to(device)
    own, lengths = _own(train, settings, world)
    train = train.to(device)
    inputs = (
        network.features(train.x[own])
        if train.mapped is None
        else scratch(train.mapped, train.x[own], network.features)
    )
    problem = LinearProblem(
        objective, rows.Coded.of(inputs) if isinstance(inputs, Coded) else inputs,
        train.y[own], None if train.weight is None else train.weight[own],
        outputs=network.spec.outputs, intercept=settings.intercept, world=world,
        lengths=lengths, count=settings.shares,
    )  # fmt: skip
    theta = None
    if start is not None:
        weights = network.linear.weight.detach().T, network.linear.bias.detach()[None]
        theta = torch.cat(weights).to(problem.home).double()
    return Solve(
        network,
        problem,
        lookup(SOLVERS, settings.solver, "solver", GROUP)(),
        penalties=sorted(settings.penalty, reverse=True),
        tol=settings.tol,
        max_iter=settings.max_iter,
        theta=theta,
    )


def begin_constant(
    network: Constant,
    objective: Objective,
    train: Dataset,
    settings: LineSettings,
    *,
    seed: int,
    world: World,
    start: Mapping[str, Tensor] | None = None,
) -> SolveConstant:
    """The fit of the best constant: a problem without inputs."""
    own, lengths = _own(train, settings, world)
    none = torch.zeros((sum(lengths), 0), dtype=torch.float64)
    problem = LinearProblem(
        objective, none, train.y[own], None if train.weight is None else train.weight[own],
        outputs=network.spec.outputs, world=world, lengths=lengths, count=settings.shares,
    )  # fmt: skip
    return SolveConstant(network, problem)


def _own(train: Dataset, settings: LineSettings, world: World) -> tuple[slice, list[int]]:
    """The rows of this rank among ``train``, and how many are in each of its shares."""
    shares = world.shares(len(train), settings.shares)
    lengths = [share.stop - share.start for share in shares]
    return slice(shares[0].start, shares[-1].stop), lengths


class Solve(Method):
    """A fit of a ``Linear`` along a path of penalties; each starts at the solution before it.

    An iterator of steps. The last step of each penalty is ``complete``: the network then has the
    solution, and the step has the certificate. That is ``gradient_max``, the largest entry of the
    gradient of ``objective``, and ``gap``, an upper bound on the distance from the optimum. A
    penalty is solved when the largest entry in the scale of the columns
    (``LinearProblem.scaled``) is within ``tol``, in units of the target's deviation.

    The first penalty starts at ``theta``. Without it, the fit starts at the best constant and
    solves samples of the rows first: the optimum of each is a good start for the next, larger one.
    """

    steps: int | None = None  # the number of steps is not known
    patience = 1
    """The path ends after this many penalties in a row without a better score."""

    def __init__(
        self,
        network: Linear,
        problem: LinearProblem,
        solver: Solver,
        *,
        penalties: Sequence[float],
        tol: float,
        max_iter: int,
        theta: Tensor | None = None,
    ) -> None:
        self.network = self.scored = network
        self.solver = solver
        self.penalties = penalties
        self.max_iter = max_iter
        self.theta = theta
        self.whole = problem
        self.widened = False
        self.problem, self.coordinates = problem.posed()
        self.tol = tol * self.problem.unit**0.5
        self._stand: Callable[[], dict[str, Any]] = dict
        self._restored: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        return {**self._stand(), "widened": self.widened}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._restored = dict(state)

    @torch.inference_mode()
    def __iter__(self) -> Iterator[Step]:
        restored = self._restored or {}
        if restored.get("widened"):
            self._widen()
        self.problem.check()
        problem = self.problem.at(self.penalties[0])
        theta = self._first(problem)
        packed = restored.get("state")
        if self._restored is None:
            yield self._begin(problem, theta)
        if "theta" in restored:
            theta = restored["theta"].to(problem.home)
        elif self.theta is None and packed is None:
            theta = self._by_samples(problem, theta)
        index, first = restored.get("index", 0), restored.get("place", 0)
        for place in range(first, len(self.penalties)):
            start = {"index": index, "place": place, "theta": theta}
            held = None if packed is None else (packed, restored["last"])
            state, index, reason = yield from self._solve(start, held)
            theta, packed = state.theta, None
            self._stand = partial(dict, index=index, place=place + 1, theta=theta)
            problem = self.problem.at(self.penalties[place])
            yield self._step(index, problem, state, reason=reason)

    def _solve(
        self, start: dict[str, Any], held: tuple[dict[str, Any], int] | None
    ) -> Generator[Step, None, tuple[State, int, Reason]]:
        """Solve for one penalty, from its ``start`` or from a state that is ``held`` with the index
        of its last step. Returns the last state, its index, and why it is the last."""
        index, alpha = start["index"], self.penalties[start["place"]]
        problem = self.problem.at(alpha)
        last = index + self.max_iter if held is None else held[1]
        if held is None:
            state = self.solver.start(problem, start["theta"])
        else:
            state = self.solver.step(problem, self.solver.unpack(problem, held[0]))
            index += not state.stuck
        while True:
            largest = problem.scaled(state.gradient)
            if largest <= self.tol and state.steps:  # check with new raw predictions
                state = self.solver.certify(problem, state)
                largest = problem.scaled(state.gradient)
            narrow = problem.x.dtype == torch.float32 and not problem.bulky
            if state.stuck and largest > self.tol and narrow:
                self._widen()
                problem = self.problem.at(alpha)
                state = self.solver.start(problem, state.theta)
                continue
            reason = self._reason(problem, state, largest, index == last)
            if reason is not None:
                return state, index, reason
            if state.steps:
                self._stand = partial(self._amid, start, index, last, state)
                yield self._step(index, problem, state)
            state = self.solver.step(problem, state)
            index += not state.stuck

    def _widen(self) -> None:
        """Go on in float64: in float32, rounding prevents any further decrease."""
        self.problem, self.widened = self.problem.widened(), True

    def _first(self, problem: LinearProblem) -> Tensor:
        """The best constant, or the ``theta`` that was given if its value is lower."""
        theta = problem.constant
        if self.theta is None:
            return theta
        given = self.coordinates.inward(self.theta.to(problem.home)).clone()
        given[-1] *= problem.intercept
        values = [problem.value_and_gradient(one)[0] for one in (given, theta)]
        return given if values[0] < values[1] else theta  # it may come from other data

    def _amid(self, start: dict[str, Any], index: int, last: int, state: State) -> dict[str, Any]:
        """The state for a checkpoint within a penalty; or at its start if that is not possible."""
        several = self.problem.count > 1  # each rank has the predictions of its own rows alone
        packed = None if several else self.solver.pack(state)
        if packed is None:
            return start
        return {"index": index, "place": start["place"], "last": last, "state": packed}

    def _by_samples(self, problem: LinearProblem, theta: Tensor) -> Tensor:
        """The approximate optimum of the largest sample; each sample starts at the one before.

        A sample with few rows for many coefficients over-fits; its fit stops where the loss of
        other rows is lowest. If larger samples do not help against that, none is used.
        """
        if self.solver.needs() == "quadratic" or problem.rows < 3 * SAMPLE:
            return theta
        stages = math.ceil(math.log(problem.rows / SAMPLE) / math.log(GROWTH))
        ratio = (problem.rows / SAMPLE) ** (1 / stages)
        orders = _orders(problem)
        probe = problem.take([order[len(order) - some :] for order, some in orders(SAMPLE)], SAMPLE)
        before = math.inf
        for stage in range(stages):
            rows = round(SAMPLE * ratio**stage)
            part = problem.take([order[:some] for order, some in orders(rows)], rows)
            state = self.solver.start(part, theta)
            best, stale = math.inf, 0
            while stale < 3 and state.steps < 50 and not state.stuck:
                state = self.solver.step(part, state)
                loss = probe.value(probe.raw(state.theta)).item()
                stale += 1
                if loss < best:
                    theta, best, stale = state.theta, loss, 0
                if loss > MISLED * state.value.item():
                    return problem.constant
                if state.decrement <= 0.01 * SAMPLE / rows * state.value.item():
                    break
            if best > max(0.97 * before, 1.2 * part.value(part.raw(theta)).item()):
                return problem.constant
            before = best
        return theta

    def _reason(
        self, problem: LinearProblem, state: State, largest: float, last: bool
    ) -> Reason | None:
        """Why the fit of a penalty stops at this state; None: it goes on."""
        done = largest <= self.tol or state.stuck or last
        if problem.objective.classifies and not problem.alpha and state.raw is not None:
            tol = max(self.tol, largest)
            if problem.separates(state.raw) or (done and separated(problem, state.raw, tol)):
                return Reason(
                    "not converged: separation: a linear model separates all rows, or some, "
                    "without error, so without a penalty its coefficients grow without limit; "
                    "set a penalty",
                    "separation",
                )
        if largest <= self.tol:
            words = f"the largest gradient entry, {largest:.1e}, is within {self.tol:.1e}"
            return Reason(f"converged: {words}", "converged")
        if state.stuck:
            eps = torch.finfo(problem.x.dtype).eps
            if state.decrement <= eps * abs(state.value.item()):
                words = f"as far as {str(problem.x.dtype).removeprefix('torch.')} can tell"
                left = f"with a gradient of {largest:.1e} left by rounding"
                return Reason(f"converged: {words}, {left}", "rounding")
        short = f"a gradient of {largest:.1e}, above {self.tol:.1e}"
        if state.stuck:
            wide = problem.x.dtype == torch.float64
            remedy = "scale the columns" if wide else 'dtype="float64" reaches further'
            words = f"rounding stops progress at {short}; {remedy}"
            return Reason(f"not converged: {words}", "stuck")
        if last:
            words = f"{self.max_iter} steps (max_iter) were not enough at {short}; raise max_iter"
            return Reason(f"not converged: {words}", "max_iter")
        return None

    def _begin(self, problem: LinearProblem, theta: Tensor) -> Step:
        if problem.objective.quadratic and problem.compact:
            value, gradient = problem.moments.value_and_gradient(theta, problem.alpha)
        else:
            value, gradient = problem.value_and_gradient(theta)
        state = State(theta, value, gradient)
        return self._step(0, problem, state, complete=True)

    def _step(
        self,
        index: int,
        problem: LinearProblem,
        state: State,
        *,
        complete: bool = False,
        reason: Reason | None = None,
    ) -> Step:
        if complete or reason is not None:
            theta = self.coordinates.outward(state.theta)
            with torch.no_grad():
                self.network.linear.weight.copy_(theta[:-1].T)
                self.network.linear.bias.copy_(theta[-1])
        values: dict[str, Tensor | float] = {
            "loss": state.value - problem.penalty(state.theta),
            "objective": state.value,
            "gradient_max": self.coordinates.gradient(state.gradient).abs().max(),
            "penalty": problem.alpha,
        }
        if reason is not None:
            values["converged"] = float(reason.converged)
            found = self._certificate(problem.alpha) if self.certify else None
            if found is not None:
                values["objective"] = found.objective
                values |= {} if found.gap is None else {"gap": found.gap}
            if state.solution is not None:
                rank, inputs = state.solution.rank, self.whole.x.shape[1]
                full = rank == inputs or problem.alpha > 0
                condition = state.solution.condition if full else math.inf
                values |= {"rank": float(rank), "condition": condition}
        return Step(index, values, complete=complete or reason is not None, reason=reason)

    def _certificate(self, alpha: float) -> Certificate | None:
        """The certificate of the coefficients that the network now holds."""
        linear = self.network.linear
        stored = torch.cat([linear.weight.detach().T, linear.bias.detach()[None]])
        return certify(self.whole.at(alpha), stored.to(self.whole.home).double())


def _orders(problem: LinearProblem) -> Callable[[int], list[tuple[Tensor, int]]]:
    """A function that gives, for a sample of some rows of all, a random order of the rows of each
    share of this rank, and how many of them to take. The orders are functions of the share."""
    several = problem.count > 1
    orders = [
        torch.randperm(len(x), generator=generator(0, "sample", *([number] if several else [])))
        for number, x in zip(problem.world.held(problem.count), problem.held, strict=True)
    ]

    def parts(rows: int) -> list[tuple[Tensor, int]]:
        each = [round(rows * (len(order) / problem.rows)) for order in orders]
        if several:
            each = [max(some // ALIGNED, 1) * ALIGNED for some in each]
            each = [min(some, len(order)) for some, order in zip(each, orders, strict=True)]
        return list(zip(orders, each, strict=True))

    return parts


class SolveConstant(Method):
    """The fit of a ``Constant``, in one step."""

    steps = 1
    patience = 1

    def __init__(self, network: Constant, problem: LinearProblem) -> None:
        self.network = self.scored = network
        self.problem = problem

    def __iter__(self) -> Iterator[Step]:
        theta = self.problem.constant
        with torch.no_grad():
            self.network.bias.copy_(theta[-1])
        parts = [piece.value_and_gradient(theta) for _, piece in self.problem.pieces()]
        value = self.problem.over_pieces([part[0] for part in parts])
        gradient = self.problem.over_pieces([part[1] for part in parts])
        values = {"loss": value, "objective": value, "gradient_max": gradient[-1].abs().max()}
        reason = Reason("exact (the mean, or the share of each class)", "converged")
        yield Step(0, {**values, "converged": 1.0, "gap": 0.0}, complete=True, reason=reason)

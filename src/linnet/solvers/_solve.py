"""The loop that all convex fits share; it judges convergence, the solvers do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from linnet.networks.constant import Constant
from linnet.networks.linear import Linear
from linnet.record import Step
from linnet.solvers._base import Solver, State
from linnet.solvers.problem import LinearProblem


class Solve:
    """A fit of a ``Linear`` along a path of penalties, each started from the one before.

    An iterator of steps. Each leaves the network as it stands; the last step of each penalty is
    ``complete`` and carries the certificate: ``gradient_max``, the largest entry of the gradient of
    ``objective``, and ``gap``, an upper bound on the distance from the optimum. A penalty counts as
    solved when ``gradient_max <= tol``, in units of the target's deviation.
    """

    steps: int | None = None  # how many there will be is not known
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
    ) -> None:
        self.network = network
        self.problem = problem
        self.solver = solver
        self.penalties = penalties
        self.tol = tol * problem.unit**0.5
        self.max_iter = max_iter

    def __iter__(self) -> Iterator[Step]:
        theta = self.problem.constant
        index = 0
        for alpha in self.penalties:
            problem = self.problem.at(alpha)
            state = self.solver.start(problem, theta)
            if index == 0:
                yield self._step(0, problem, state, complete=True)
            last = index + self.max_iter
            while True:
                state = self.solver.step(problem, state)
                index += not state.stuck
                if self._largest(state) <= self.tol:  # judged by predictions computed afresh
                    raw = problem.raw(state.theta)
                    value, gradient = problem.value_and_gradient(state.theta, raw)
                    state = replace(state, raw=raw, value=value, gradient=gradient)
                reason = self._reason(state, index == last)
                if reason is not None:
                    break
                yield self._step(index, problem, state)
            theta = state.theta
            yield self._step(index, problem, state, complete=True, reason=reason)

    def _reason(self, state: State, last: bool) -> str | None:
        largest = self._largest(state)
        if largest <= self.tol:
            return f"converged: the largest gradient entry, {largest:.1e}, is within {self.tol:.1e}"
        if state.stuck or last:
            why, remedy = (
                ("rounding stops progress", 'dtype="float64" reaches further')
                if state.stuck
                else (f"{self.max_iter} steps (max_iter) were not enough", "raise max_iter")
            )
            short = f"a gradient of {largest:.1e}, above {self.tol:.1e}"
            return f"not converged: {why} at {short}; {remedy}"
        return None

    @staticmethod
    def _largest(state: State) -> float:
        return state.gradient.abs().max().item()

    def _step(
        self,
        index: int,
        problem: LinearProblem,
        state: State,
        *,
        complete: bool = False,
        reason: str | None = None,
    ) -> Step:
        with torch.no_grad():
            self.network.linear.weight.copy_(state.theta[:-1].T)
            self.network.linear.bias.copy_(state.theta[-1])
        penalty = problem.alpha / 2 * state.theta[:-1].square().sum()
        values: dict[str, Tensor | float] = {
            "loss": state.value - penalty,
            "objective": state.value,
            "gradient_max": state.gradient.abs().max(),
            "penalty": problem.alpha,
        }
        if reason is not None:
            gap = problem.gap(state.theta)
            values["converged"] = float(self._largest(state) <= self.tol)
            values |= {} if gap is None else {"gap": gap}
        return Step(index, values, complete=complete, reason=reason)


class SolveConstant:
    """The fit of a ``Constant``: its one step is the answer."""

    steps = 1
    patience = 1

    def __init__(self, network: Constant, problem: LinearProblem) -> None:
        self.network = network
        self.problem = problem

    def __iter__(self) -> Iterator[Step]:
        theta = self.problem.constant
        with torch.no_grad():
            self.network.bias.copy_(theta[-1])
        value, gradient = self.problem.value_and_gradient(theta)
        values = {"loss": value, "objective": value, "gradient_max": gradient[-1].abs().max()}
        reason = "converged: the best constant has a closed form"
        yield Step(0, {**values, "converged": 1.0, "gap": 0.0}, complete=True, reason=reason)

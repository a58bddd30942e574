"""Limited-memory BFGS, preconditioned by a bound on the Hessian."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from linnet.solvers._base import Solver, State
from linnet.solvers.problem import LinearProblem


@dataclass(frozen=True)
class LBFGS(Solver):
    """Liu and Nocedal (1989), Mathematical Programming 45, 503-528, for any convex objective.

    Its first matrix is the inverse of ``bound * X'X / n + alpha I``, which lies above the Hessian
    everywhere: inputs of any scale cost the same number of steps. The line search works on raw
    predictions, so a step costs two products with the data however many lengths it tries.
    """

    memory: int = 20
    refresh: int = 25
    """Raw predictions are carried along the steps and computed afresh this often."""

    def needs(self) -> str | None:
        return None

    def step(self, problem: LinearProblem, state: State) -> State:
        direction = -self._inverse_hessian(problem, state)
        move = problem.raw(direction)
        length = self._length(problem, state, direction, move)
        if length == 0:
            return replace(state, stuck=True)
        theta = state.theta + length * direction
        fresh = state.steps % self.refresh == self.refresh - 1
        raw = problem.raw(theta) if fresh else state.raw + length * move
        value, gradient = problem.value_and_gradient(theta, raw)
        s, y = theta - state.theta, gradient - state.gradient
        bent = (s * y).sum()
        memory = state.memory
        if bent > 0:
            memory = (*memory, (s, y, 1 / bent))[-self.memory :]
        return State(theta, raw, value, gradient, state.steps + 1, memory=memory)

    def _inverse_hessian(self, problem: LinearProblem, state: State) -> Tensor:
        """The two-loop recursion: an estimate of the inverse Hessian, times the gradient."""
        vector = state.gradient
        factors = []
        for s, y, rho in reversed(state.memory):
            a = rho * (s * vector).sum()
            vector = vector - a * y
            factors.append(a)
        vector = self._precondition(problem, vector)
        if state.memory:  # the newest pair tells how far above the Hessian the bound lies
            _, y, rho = state.memory[-1]
            vector = vector / (rho * (y * self._precondition(problem, y)).sum())
        for (s, y, rho), a in zip(state.memory, reversed(factors), strict=True):
            vector = vector + (a - rho * (y * vector).sum()) * s
        return vector

    def _precondition(self, problem: LinearProblem, gradient: Tensor) -> Tensor:
        return problem.centred(
            gradient,
            lambda inputs: torch.cholesky_solve(inputs, problem.factor),
            problem.objective.bound,
        )

    def _length(
        self, problem: LinearProblem, state: State, direction: Tensor, move: Tensor
    ) -> float:
        """A step length where the slope along ``direction`` has fallen to a tenth.

        Newton's method on the slope, kept between the lengths known to be too short and too long;
        0 if the direction does not lead down.
        """
        penalty = problem.alpha * (direction[:-1] * state.theta[:-1]).sum().item()
        square = problem.alpha * direction[:-1].square().sum().item()
        first = (state.gradient * direction).sum().item()
        if not first < 0:
            return 0.0
        start = problem.value(state.raw).item()
        short, long, length = 0.0, float("inf"), 1.0
        for _ in range(30):
            raw = state.raw + length * move
            slope, bend = (value.item() for value in problem.slope_and_curvature(raw, move))
            slope += penalty + length * square
            bend += square
            if -0.1 * -first <= slope <= 0:
                break
            if 0 < slope <= 0.1 * -first:
                change = problem.value(raw).item() - start
                change += length * penalty + length**2 / 2 * square
                if change <= 1e-14 * abs(start):
                    break
            if slope < 0:
                short = length
            else:
                long = length
            guess = length - slope / bend if bend > 0 else 2 * length
            if not short < guess < long:
                guess = (short + long) / 2 if long < float("inf") else 4 * length
            length = min(guess, 10 * length)
        return length

"""Quasi-Newton: limited-memory BFGS on an estimate of the Hessian."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from linnet.line import cost
from linnet.line.base import Solver, State
from linnet.line.curvature import Curvature
from linnet.line.problem import LinearProblem


@dataclass(frozen=True)
class Memory:
    """Changes of theta, of the gradient and of the preconditioned gradient, (pairs, unknowns)."""

    s: Tensor
    y: Tensor
    z: Tensor

    def add(self, s: Tensor, y: Tensor, z: Tensor, pairs: int) -> Memory:
        """The memory with one more pair; the oldest is dropped."""
        return Memory(
            *(
                torch.cat([old[-(pairs - 1) :] if pairs > 1 else old[:0], new.reshape(1, -1)])
                for old, new in ((self.s, s), (self.y, y), (self.z, z))
            )
        )

    def direction(self, gradient: Tensor, steep: Tensor) -> Tensor:
        """The inverse Hessian times ``gradient``; ``steep`` is the first estimate of it.

        Byrd, Nocedal and Schnabel (1994), Mathematical Programming 63, 129-156, equation 3.1; the
        initial matrix is scaled by the newest pair.
        """
        s, y, z = self.s, self.y, self.z
        scale = (s[-1] @ y[-1]) / (y[-1] @ z[-1])
        upper = (s @ y.T).triu()
        g = gradient.reshape(-1)
        u = torch.linalg.solve_triangular(upper, (s @ g)[:, None], upper=True)
        middle = scale * (y @ z.T)
        middle.diagonal().add_(upper.diagonal())
        right = middle @ u - scale * (z @ g)[:, None]
        v = torch.linalg.solve_triangular(upper.T, right, upper=False)
        rest: Tensor = v[:, 0] @ s - scale * (u[:, 0] @ z)
        return scale * steep + rest.reshape(steep.shape)


@dataclass(frozen=True)
class Own:
    """The data that this solver keeps between steps."""

    curvature: Curvature
    there: Tensor | None  # the raw predictions at which the curvature was computed; None: too many
    steep: Tensor  # the curvature's inverse times the gradient
    memory: Memory | None
    trail: tuple[float, ...]  # the decrements since the curvature was estimated, oldest first
    builds: int


@dataclass(frozen=True)
class LBFGS(Solver):
    """Liu and Nocedal (1989), Mathematical Programming 45, 503-528, for any convex objective.

    Its initial matrix is the inverse of an estimate of the Hessian (``Curvature``); for one output
    the estimate is complete. So inputs of any scale need the same number of steps. A new estimate,
    from twice as many rows, replaces it as soon as the last steps gain less for their cost than
    the average since the estimate, including its cost (Charnov 1976, Theor. Popul. Biol. 9,
    129-136: when a forager should leave). The line search works on raw predictions, so a step costs
    two products with the data, however many lengths it tries.
    """

    memory: int = 20
    refresh: int = 25
    """Steps update the raw predictions; after this many steps they are computed again."""

    def needs(self) -> str | None:
        return None

    def start(self, problem: LinearProblem, theta: Tensor) -> State:
        if problem.objective.free:  # the direction that changes nothing
            theta = theta - theta.mean(1, keepdim=True)
        raw = problem.raw(theta)
        value, residual = problem.value_and_residual(raw)
        gradient = problem.gradient(theta, residual)
        value = value + problem.penalty(theta)
        return self._anew(problem, State(theta, value, gradient, raw=raw), 0)

    def _anew(self, problem: LinearProblem, state: State, builds: int) -> State:
        """The same state, with a new curvature at this point."""
        assert state.raw is not None
        curvature = self._curvature(problem, state.raw, builds)
        steep, decrement = _steep(problem, curvature, state.gradient)
        there = None if problem.bulky else state.raw
        own = Own(curvature, there, steep, None, (decrement,), builds + 1)
        return replace(state, decrement=decrement, own=own)

    @staticmethod
    def _curvature(problem: LinearProblem, raw: Tensor, builds: int) -> Curvature:
        return Curvature(problem, raw, builds, 2.0 ** min(builds, MOST_BUILDS))

    def pack(self, state: State) -> dict[str, Any] | None:
        own: Own = state.own
        memory = own.memory
        if own.there is None:
            return None
        return {
            "theta": state.theta,
            "value": state.value,
            "gradient": state.gradient,
            "steps": state.steps,
            "raw": state.raw,
            "decrement": state.decrement,
            "there": own.there,
            "steep": own.steep,
            "memory": None if memory is None else [memory.s, memory.y, memory.z],
            "trail": list(own.trail),
            "builds": own.builds,
        }

    def unpack(self, problem: LinearProblem, packed: dict[str, Any]) -> State:
        given = {name: _there(value, problem) for name, value in packed.items()}
        builds, memory = given["builds"], given["memory"]
        own = Own(
            self._curvature(problem, given["there"], builds - 1),
            given["there"],
            given["steep"],
            None if memory is None else Memory(*memory),
            tuple(given["trail"]),
            builds,
        )
        return State(
            given["theta"],
            given["value"],
            given["gradient"],
            given["steps"],
            raw=given["raw"],
            decrement=given["decrement"],
            own=own,
        )

    def step(self, problem: LinearProblem, state: State) -> State:
        own: Own = state.own
        assert state.raw is not None
        if self._tired(problem, own):
            state = self._anew(problem, state, own.builds)
            own = state.own
        if own.memory is None:
            direction = -own.steep
        else:
            direction = -own.memory.direction(state.gradient, own.steep)
        search = Search(problem, state, direction)
        if not search.run():
            if len(own.trail) == 1:  # the estimate is for this very point
                return replace(state, stuck=True)
            # its memory may be only rounding errors
            return self.step(problem, self._anew(problem, state, own.builds))
        theta = state.theta + search.length * search.direction
        raw, value, residual = search.raw, search.value, search.residual
        penalty = search.penalty(search.length)
        del search  # it holds as many numbers as there are raw predictions, twice
        if state.steps % self.refresh == self.refresh - 1:
            del raw
            raw = problem.raw(theta)
            value, residual = problem.value_and_residual(raw, residual)
        value = value + penalty
        gradient = problem.gradient(theta, residual)
        steep, decrement = _steep(problem, own.curvature, gradient)
        memory = own.memory
        s, y = theta - state.theta, gradient - state.gradient
        if (s * y).sum() > 0:
            z = steep - own.steep
            if memory is None:
                memory = Memory(*(part.reshape(1, -1) for part in (s, y, z)))
            else:
                memory = memory.add(s, y, z, self.memory)
        own = replace(own, steep=steep, memory=memory, trail=(*own.trail, decrement))
        return State(
            theta,
            value,
            gradient,
            state.steps + 1,
            raw=raw,
            decrement=decrement,
            own=own,
        )

    @staticmethod
    def _tired(problem: LinearProblem, own: Own) -> bool:
        """Whether the last steps gain less for their cost than the average since the estimate."""
        steps = len(own.trail) - 1
        last = min(2, steps)
        first, before, now = own.trail[0], own.trail[-1 - last], own.trail[-1]
        if not steps or not min(first, before, now) > 0:
            return False
        each = cost.step(problem) + own.curvature.price
        build = 2.0 ** min(own.builds - 1, MOST_BUILDS) * Curvature.cost(problem)
        if steps * each < build / 2:  # decrements are estimates and may rise for a while
            return False
        return math.log(before / now) / (last * each) < math.log(first / now) / (
            build + steps * each
        )


def _steep(problem: LinearProblem, curvature: Curvature, gradient: Tensor) -> tuple[Tensor, float]:
    """The curvature's inverse times the gradient, and an estimate of the distance from the optimum,
    as rank 0 computes them."""
    steep = curvature.solve(gradient)
    steep, product = problem.world.same(steep, (gradient * steep).sum())
    return steep, float(product) / 2


def _there(value: Any, problem: LinearProblem) -> Any:
    """Move the content of a checkpoint to the problem's devices: rows to that of its rows, all
    else to its home."""
    if isinstance(value, list):
        return [_there(item, problem) for item in value]
    if not isinstance(value, Tensor):
        return value
    rows = value.dtype == problem.x.dtype and value.dim() == 2 and len(value) == len(problem.x)
    return value.to(problem.x.device if rows else problem.home)


MOST_BUILDS = 60
"""Later estimates do not use more rows: all rows have been in use for long."""

TRIALS = 40
"""The step lengths that the line search tries before it gives up a direction."""


class Search:
    """A line search: find a step length with a slope that is small compared to the first slope.

    It uses Newton's method on the slope. If Newton's length is outside the lengths known to be too
    short and too long, it takes the secant between these two, and every third time their middle. If
    a direction is a thousand times too long, neither Newton nor halving alone is quick.
    """

    def __init__(self, problem: LinearProblem, state: State, direction: Tensor) -> None:
        assert state.raw is not None
        products = torch.stack(
            [
                problem.penalty_product(state.theta, state.theta) / 2,
                problem.penalty_product(direction, state.theta),
                problem.penalty_product(direction, direction),
                (state.gradient * direction).sum(),
            ]
        )
        if problem.world.size > 1:
            direction, products = problem.world.same(direction, products)
        found: list[float] = products.tolist()
        self.start_penalty, self.linear, self.square, self.first = found
        self.direction = direction
        self.problem, self.start, self.move = problem, state.raw, problem.raw(direction)
        self.before = state.value.item() - self.start_penalty
        self.length = 1.0
        self.raw = self.residual = state.raw
        self.value = state.value

    def penalty(self, length: float) -> float:
        """The penalty at a step length."""
        return self.start_penalty + length * self.linear + length**2 / 2 * self.square

    def run(self) -> bool:
        """Search; False if no step decreases the objective. Else ``length`` and the values at that
        length are set."""
        if not self.first < 0:
            return False
        short, long = (0.0, self.first), (math.inf, math.inf)  # lengths, with their slopes
        rounding = torch.finfo(self.start.dtype).eps * abs(self.before)
        for trial in range(TRIALS):
            length = self.length
            first = self.raw is self.start  # which must stay as it is; later ones are written over
            out = self.problem.like(self.start) if first else self.raw
            self.raw = torch.add(self.start, self.move, alpha=length, out=out)
            self.value, self.residual, slope = self.problem.value_and_slope(
                self.raw, self.move, None if first else self.residual
            )
            slope += self.linear + length * self.square
            if 0.5 * self.first <= slope <= 0:
                return True
            if 0 < slope <= -0.5 * self.first:
                change = self.value.item() - self.before
                change += self.penalty(length) - self.start_penalty
                if change <= 0.1 * rounding:
                    return True
            if -self.first < 1e-3 * rounding:
                return False  # the possible gain is smaller than rounding errors
            if slope < 0:
                short = length, slope
            else:
                long = length, slope
            bend = self.problem.bend(self.raw, self.move) + self.square
            guess = length - slope / bend if bend > 0 else math.inf
            if not short[0] < guess < long[0]:
                if long[0] == math.inf:
                    guess = 4 * length
                else:
                    share = 0.5 if trial % 3 == 2 else short[1] / (short[1] - long[1])
                    guess = short[0] + share * (long[0] - short[0])
            self.length = min(guess, 10 * length)
        return False

"""Newton's method with products of the data alone: for many inputs, sparse ones among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from linnet.line.base import Solver, State
from linnet.line.lbfgs import Search
from linnet.line.problem import LinearProblem
from linnet.line.rows import BULKY


@dataclass(frozen=True)
class NewtonCG(Solver):
    """Truncated Newton: each direction by conjugate gradients on the Hessian (Dembo and Steihaug
    1983, Mathematical Programming 26, 190-212).

    A product with the Hessian costs two products with the data; no matrix (inputs, inputs) is made.
    The conjugate gradients are preconditioned by the diagonal of the Hessian, so that units hardly
    matter; a squared error without a penalty is not, so that a start at zero leads to the
    coefficients of least norm. They end when the residual is small beside the gradient, the smaller
    the nearer the optimum is.
    """

    inner: int = 500
    """The most products with the Hessian for one direction."""
    refresh: int = 25
    """Steps update the raw predictions; after this many steps they are computed again."""

    def needs(self) -> str | None:
        return None

    def start(self, problem: LinearProblem, theta: Tensor) -> State:
        if problem.objective.free:  # the direction that changes nothing
            theta = theta - theta.mean(1, keepdim=True)
        raw = problem.raw(theta)
        value, gradient = problem.value_and_gradient(theta, raw)
        return State(theta, value, gradient, raw=raw)

    def pack(self, state: State) -> dict[str, Any] | None:
        if state.raw is not None and state.raw.numel() > BULKY:
            return None
        return {
            name: getattr(state, name)
            for name in ("theta", "value", "gradient", "steps", "raw", "decrement")
        }

    def unpack(self, problem: LinearProblem, packed: dict[str, Any]) -> State:
        home, there = problem.home, problem.x.device
        moved: dict[str, Any] = {
            name: value.to(there if name == "raw" else home) if isinstance(value, Tensor) else value
            for name, value in packed.items()
        }
        return State(**moved)

    def step(self, problem: LinearProblem, state: State) -> State:
        assert state.raw is not None
        direction = self._direction(problem, state)
        search = Search(problem, state, direction)
        decrement = -search.first / 2
        if not search.run():
            return replace(state, stuck=True, decrement=decrement)
        theta = state.theta + search.length * search.direction
        raw, value, residual = search.raw, search.value, search.residual
        if state.steps % self.refresh == self.refresh - 1:
            raw = problem.raw(theta)
            value, residual = problem.value_and_residual(raw)
        value = value + problem.penalty(theta)
        gradient = problem.gradient(theta, residual)
        return State(theta, value, gradient, state.steps + 1, raw=raw, decrement=decrement)

    def _direction(self, problem: LinearProblem, state: State) -> Tensor:
        """The Newton direction (inputs + 1, outputs), as far as it pays to know it."""
        assert state.raw is not None
        inverse = self._inverse(problem, state.raw)
        size = problem.scaled(state.gradient)
        same = problem.world.same
        least = same(min(0.1, size) * _norm(state.gradient, inverse))
        step = torch.zeros_like(state.theta)
        left = -state.gradient
        steep = inverse * left
        along, now = steep, same((left * steep).sum())
        for _ in range(self.inner):
            if now.sqrt() <= least or not now > 0:
                break
            bent = self._hessian(problem, state.raw, along)
            curved = same((along * bent).sum())
            if not curved > 0:
                break
            length = now / curved
            step = step + length * along
            left = left - length * bent
            steep = inverse * left
            before, now = now, same((left * steep).sum())
            along = steep + (now / before) * along
        step = step if step.any() else -inverse * state.gradient
        return step - step.mean(1, keepdim=True) if problem.objective.free else step

    @staticmethod
    def _hessian(problem: LinearProblem, raw: Tensor, along: Tensor) -> Tensor:
        move = problem.raw(along)
        bent = torch.empty_like(raw)
        for rows, y, weight in problem.parts():
            curved = problem.objective.curvature(raw[rows], y, move[rows])
            bent[rows] = curved if weight is None else curved * weight[:, None]
        result = problem.transpose(bent)
        result[:-1] += problem.ridge * along[:-1]
        return result

    @staticmethod
    def _inverse(problem: LinearProblem, raw: Tensor) -> Tensor:
        """The inverse of the Hessian's diagonal, inputs centred (inputs + 1, outputs)."""
        one = torch.ones((), dtype=torch.float64, device=problem.home)
        if problem.objective.quadratic and not problem.alpha:
            return one.expand(problem.x.shape[1] + 1, problem.outputs)
        bends = problem.bends(raw)
        squares = problem.summed(lambda x, rows: x.squares(bends[rows])) / problem.total
        heavy = bends.to(problem.home).double()
        bias = problem.summed(lambda x, rows: heavy[rows].sum(0)) / problem.total
        diagonal = squares + problem.ridge
        whole = torch.cat(
            [diagonal, bias[None] if problem.intercept else one.expand_as(bias[None])]
        )
        return torch.where(whole > 0, 1 / whole, 1.0)


def _norm(gradient: Tensor, inverse: Tensor) -> Tensor:
    return (gradient * inverse * gradient).sum().sqrt()

"""Linear and ridge regression in one step."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from linnet.line.base import Solver, State
from linnet.line.moments import WELL
from linnet.line.problem import LinearProblem
from linnet.line.triangle import Triangle


@dataclass(frozen=True)
class LeastSquares(Solver):
    """The exact solution from second moments, refined with the rows if rounding requires it.

    Well-conditioned inputs are read once. Ill-conditioned ones, and float32 rows, are read again to
    correct the solution with its residuals. Inputs that are singular up to rounding are factorised
    directly, and get the solution of least norm.
    """

    def needs(self) -> str | None:
        return "quadratic"

    def start(self, problem: LinearProblem, theta: Tensor) -> State:
        value, gradient = problem.moments.value_and_gradient(theta, problem.alpha)
        return State(theta, value, gradient)

    def step(self, problem: LinearProblem, state: State) -> State:
        if state.steps:
            return replace(state, stuck=True)
        moments, alpha, dtype = problem.moments, problem.alpha, problem.x.dtype
        solution = moments.solve(alpha)
        condition = problem.world.number(solution.condition**2)
        factor, scale = None, moments.mean_x
        # moments from float32 blocks are accurate to about 1e-7
        well = condition < WELL and condition * torch.finfo(dtype).eps < 1e-6
        if not well:
            factor, scale = moments.factor(alpha)
            if dtype == torch.float32 and condition > 1e4:
                factor = None  # residuals in float32 would correct too little
        if well:
            value, gradient = moments.value_and_gradient(solution.theta, alpha)
        elif factor is None:
            solution, value, gradient = self._triangle(problem).solve(alpha)
        else:
            theta = problem.world.same(solution.theta)
            for _ in range(3):
                theta = theta.to(dtype).double()  # the coefficients that the products use
                value, gradient = problem.value_and_gradient(theta)
                right = gradient[:-1] - torch.outer(moments.mean_x, gradient[-1])
                w = problem.world.same(moments.apply(factor, scale, right))
                theta = theta - torch.cat([w, (gradient[-1] - moments.mean_x @ w)[None]])
            solution = solution._replace(theta=theta, rank=len(scale))
        if problem.world.size > 1:
            theta, value, gradient = problem.world.same(solution.theta, value, gradient)
            solution = solution._replace(theta=theta)
        return State(solution.theta, value, gradient, 1, solution=solution)

    @staticmethod
    def _triangle(problem: LinearProblem) -> Triangle:
        moments = problem.moments
        y = problem.y.reshape(len(problem.x), problem.outputs)
        shift = torch.cat([moments.mean_x, moments.mean_y])
        return problem.triangle(y, shift)

    def certify(self, problem: LinearProblem, state: State) -> State:
        return state

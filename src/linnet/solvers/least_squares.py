"""Linear and ridge regression in one step."""

from dataclasses import dataclass, replace

from linnet.solvers._base import Solver, State
from linnet.solvers.problem import LinearProblem


@dataclass(frozen=True)
class LeastSquares(Solver):
    """Newton's step with the eigenvectors of the Gram matrix: exact, and further steps refine.

    One decomposition serves every penalty. Singular inputs get the solution of least norm.
    """

    def needs(self) -> str | None:
        return "quadratic"

    def step(self, problem: LinearProblem, state: State) -> State:
        theta = state.theta - problem.newton(state.gradient)
        raw = problem.raw(theta)
        value, gradient = problem.value_and_gradient(theta, raw)
        if gradient.abs().max() >= state.gradient.abs().max():
            return replace(state, stuck=True)
        return State(theta, raw, value, gradient, state.steps + 1)

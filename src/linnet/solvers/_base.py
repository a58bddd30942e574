"""The contract of a solver."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from linnet.solvers.problem import LinearProblem


@dataclass(frozen=True)
class State:
    """Where a solver stands. ``stuck`` says that rounding leaves it no way down."""

    theta: Tensor  # (inputs + 1, outputs), float64
    raw: Tensor  # (rows, outputs), float64
    value: Tensor
    gradient: Tensor  # (inputs + 1, outputs)
    steps: int = 0
    stuck: bool = False
    memory: tuple[tuple[Tensor, Tensor, Tensor], ...] = ()
    """Moves of theta and of the gradient, and one over their product; the newest last."""


class Solver(ABC):
    """Frozen hyperparameters and one step; no loop, no printing, no stopping rule."""

    def start(self, problem: LinearProblem, theta: Tensor) -> State:
        """The state at ``theta``, before any step."""
        raw = problem.raw(theta)
        return State(theta, raw, *problem.value_and_gradient(theta, raw))

    @abstractmethod
    def step(self, problem: LinearProblem, state: State) -> State:
        """The next state; its objective is no larger."""

    @abstractmethod
    def needs(self) -> str | None:
        """Which property of the objective ("quadratic") this solver relies on, if any."""

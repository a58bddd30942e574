"""The contract of a solver."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from linnet.line.moments import Solution
from linnet.line.problem import LinearProblem


@dataclass(frozen=True)
class State:
    """The state of a solver. ``stuck``: rounding prevents any further decrease."""

    theta: Tensor  # (inputs + 1, outputs), float64
    value: Tensor
    gradient: Tensor  # (inputs + 1, outputs)
    steps: int = 0
    stuck: bool = False
    raw: Tensor | None = None  # (rows, outputs)
    decrement: float = float("inf")
    """An estimate of how far the objective is above its optimum."""
    solution: Solution | None = None
    own: Any = None
    """Data that a solver keeps for itself between steps."""


class Solver(ABC):
    """Frozen hyperparameters and one step; no loop, no printing, no stopping rule."""

    @abstractmethod
    def start(self, problem: LinearProblem, theta: Tensor) -> State:
        """The state at ``theta``, before any step."""

    @abstractmethod
    def step(self, problem: LinearProblem, state: State) -> State:
        """The next state; its objective is not larger."""

    def pack(self, state: State) -> dict[str, Any] | None:
        """All of a state, for a checkpoint. None if it is simpler to start the penalty again: a fit
        takes only one step, or the raw predictions are too many to store."""
        return None

    def unpack(self, problem: LinearProblem, packed: dict[str, Any]) -> State:
        """The state that ``pack`` packed."""
        raise NotImplementedError

    def certify(self, problem: LinearProblem, state: State) -> State:
        """The same state, with value and gradient from newly computed raw predictions."""
        raw = problem.raw(state.theta)
        value, gradient = problem.value_and_gradient(state.theta, raw)
        return replace(state, raw=raw, value=value, gradient=gradient)

    @abstractmethod
    def needs(self) -> str | None:
        """The property of the objective ("quadratic") that this solver requires, or None."""

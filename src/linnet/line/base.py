"""The contract of a solver."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from linnet.line.moments import Solution
from linnet.line.problem import LinearProblem


@dataclass(frozen=True)
class State:
    """Where a solver stands. ``stuck`` says that rounding leaves it no way down."""

    theta: Tensor  # (inputs + 1, outputs), float64
    value: Tensor
    gradient: Tensor  # (inputs + 1, outputs)
    steps: int = 0
    stuck: bool = False
    raw: Tensor | None = None  # (rows, outputs)
    decrement: float = float("inf")
    """An estimate of how far the objective lies above its optimum."""
    solution: Solution | None = None
    own: Any = None
    """What a solver carries along for itself."""


class Solver(ABC):
    """Frozen hyperparameters and one step; no loop, no printing, no stopping rule."""

    @abstractmethod
    def start(self, problem: LinearProblem, theta: Tensor) -> State:
        """The state at ``theta``, before any step."""

    @abstractmethod
    def step(self, problem: LinearProblem, state: State) -> State:
        """The next state; its objective is no larger."""

    def pack(self, state: State) -> dict[str, Any] | None:
        """All of a state, to go on from it another time; None where a fit had better start anew, as
        it takes but a step."""
        return None

    def unpack(self, problem: LinearProblem, packed: dict[str, Any]) -> State:
        """The state that ``pack`` was given."""
        raise NotImplementedError

    def certify(self, problem: LinearProblem, state: State) -> State:
        """The same state, judged by raw predictions computed afresh."""
        raw = problem.raw(state.theta)
        value, gradient = problem.value_and_gradient(state.theta, raw)
        return replace(state, raw=raw, value=value, gradient=gradient)

    @abstractmethod
    def needs(self) -> str | None:
        """Which property of the objective ("quadratic") this solver relies on, if any."""

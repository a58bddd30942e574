"""The contract of an objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from torch import Tensor

Array = np.ndarray[Any, Any]


class Target(Protocol):
    """What is predicted: ``linnet.data.schema.Schema`` is one."""

    @property
    def task(self) -> str:
        """ "classification" or "regression"."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of what is predicted."""

    @property
    def classes(self) -> tuple[Any, ...]:
        """The classes; none of numbers."""


@dataclass(frozen=True)
class Score:
    """A score of an objective's own, and which way it is better.

    ``function`` takes the targets, class codes (rows,) or numbers (rows, outputs), and the means
    that the objective predicts, (rows, outputs).
    """

    function: Callable[[Array, Array], float]
    better: Literal["lower", "higher"]


class Objective(ABC):
    """Pure functions of ``raw`` (rows, outputs) and ``y``, row by row, without parameters.

    ``y`` is (rows,) class codes or numbers, or (rows, outputs): probabilities for softmax, numbers
    for squared. The objective owns the link: ``mean`` turns raw predictions into what is predicted.
    """

    classifies: bool
    quadratic: bool
    free: bool = False
    """Whether adding one number to all raw predictions of a row leaves its loss unchanged."""
    scores: ClassVar[Mapping[str, Score]] = {}
    """What it is scored by beside the scores that all of its task have."""

    @classmethod
    @abstractmethod
    def suits(cls, target: Target) -> bool:
        """Whether it can be fitted to such a target."""

    @classmethod
    @abstractmethod
    def outputs(cls, target: Target) -> int:
        """How many raw predictions a row has."""

    @abstractmethod
    def loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """The loss of each row, (rows,)."""

    @abstractmethod
    def gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """The derivative of each row's loss by its raw predictions, (rows, outputs)."""

    def loss_and_gradient(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Both; overridden where they share work."""
        return self.loss(raw, y), self.gradient(raw, y)

    @abstractmethod
    def curvature(self, raw: Tensor, y: Tensor, direction: Tensor) -> Tensor:
        """Each row's Hessian by its raw predictions, times ``direction``, (rows, outputs)."""

    @abstractmethod
    def diagonal(self, raw: Tensor) -> Tensor:
        """The diagonal of each row's Hessian by its raw predictions, (rows, outputs)."""

    @abstractmethod
    def total_curvature(self, raw: Tensor, weight: Tensor | None) -> Tensor:
        """The weighted sum of all rows' Hessians by their raw predictions, (outputs, outputs)."""

    @abstractmethod
    def mean(self, raw: Tensor) -> Tensor:
        """The inverse link: what ``raw`` predicts, (rows, outputs)."""

    @abstractmethod
    def probabilities(self, raw: Tensor) -> Tensor:
        """The probability of each class, (rows, classes); only where it ``classifies``."""

    @abstractmethod
    def link(self, mean: Tensor) -> Tensor:
        """The raw prediction (outputs,) whose ``mean`` this is, the inverse of ``mean``.

        Of the mean target of all rows it is the best constant. A probability counts as 1e-12 at
        least.
        """

"""The interface of an objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from torch import Tensor

Array = np.ndarray[Any, Any]


class Target(Protocol):
    """A description of the target; ``linnet.data.schema.Schema`` is one."""

    @property
    def task(self) -> str:
        """ "classification" or "regression"."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the target columns."""

    @property
    def classes(self) -> tuple[Any, ...]:
        """The classes; empty for regression."""


@dataclass(frozen=True)
class Score:
    """An additional score of an objective, and whether lower or higher is better.

    ``function`` takes the targets, class codes (rows,) or numbers (rows, outputs), and the
    predicted means (rows, outputs).
    """

    function: Callable[[Array, Array], float]
    better: Literal["lower", "higher"]


class Objective(ABC):
    """Pure functions of ``raw`` (rows, outputs) and ``y``, row by row, without parameters.

    ``y`` is (rows,) class codes or numbers, or (rows, outputs): probabilities for softmax, numbers
    for squared. The objective defines the link: ``mean`` turns raw predictions into probabilities
    or numbers.
    """

    classifies: bool
    quadratic: bool
    free: bool = False
    """Whether adding one number to all raw predictions of a row leaves its loss unchanged."""
    scores: ClassVar[Mapping[str, Score]] = {}
    """Additional scores, by name; the scores of the task are always computed."""

    @classmethod
    @abstractmethod
    def suits(cls, target: Target) -> bool:
        """Whether it can be fitted to this target."""

    @classmethod
    @abstractmethod
    def outputs(cls, target: Target) -> int:
        """The number of raw predictions for each row."""

    @abstractmethod
    def loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """The loss of each row, (rows,)."""

    @abstractmethod
    def gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """The derivative of each row's loss by its raw predictions, (rows, outputs)."""

    def loss_and_gradient(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Both at once; a subclass overrides it if the two share work."""
        return self.loss(raw, y), self.gradient(raw, y)

    @abstractmethod
    def curvature(self, raw: Tensor, y: Tensor, direction: Tensor) -> Tensor:
        """Each row's Hessian in its raw predictions, times ``direction``, (rows, outputs)."""

    @abstractmethod
    def diagonal(self, raw: Tensor) -> Tensor:
        """The diagonal of each row's Hessian in its raw predictions, (rows, outputs)."""

    def dual(
        self,
        raw: Tensor,
        y: Tensor,
        weight: Tensor | None,
        everywhere: Callable[[Tensor], Tensor],
        change: Tensor | None = None,
    ) -> tuple[Tensor, Tensor] | None:
        """A feasible dual point near the gradient at ``raw`` plus ``change`` (rows, outputs), for
        the certificate of a line; None if the objective knows none.

        Returns residuals (rows, outputs) that are derivatives of the loss at some raw predictions,
        and whose weighted sums over the rows of all ranks (``everywhere``) are zero if ``weight``
        (rows,) is given; and for each
        row (rows,) the sum of the loss and its convex conjugate less the product of both points,
        which is not negative (Fenchel and Young).
        """
        return None

    @abstractmethod
    def mean(self, raw: Tensor) -> Tensor:
        """The inverse link: the means that ``raw`` predicts, (rows, outputs)."""

    @abstractmethod
    def probabilities(self, raw: Tensor) -> Tensor:
        """The probability of each class, (rows, classes); only if it ``classifies``."""

    @abstractmethod
    def link(self, mean: Tensor) -> Tensor:
        """The inverse of ``mean``: the raw prediction (outputs,) for a mean (outputs,).

        The link of the mean target of all rows is the best constant. A probability counts as at
        least 1e-12.
        """

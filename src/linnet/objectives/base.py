"""The contract of an objective."""

from abc import ABC, abstractmethod

from torch import Tensor


class Objective(ABC):
    """Pure functions of ``raw`` (rows, outputs) and ``y``, row by row, without parameters.

    ``y`` is (rows,) class codes or numbers, or (rows, outputs): probabilities for softmax, numbers
    for squared. The objective owns the link: ``mean`` turns raw predictions into what is predicted.
    """

    classifies: bool
    quadratic: bool
    free: bool = False
    """Whether adding one number to all raw predictions of a row leaves its loss unchanged."""
    bound: float
    """No row's Hessian by its raw predictions has a larger eigenvalue."""

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

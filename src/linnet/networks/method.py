"""The contract of a fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from linnet.core.record import Step
from linnet.networks.base import Network


class Method(ABC):
    """A fit: an iterator of steps, with methods to call between the steps.

    ``network`` is the network that is fitted, and ``scored`` the one that is scored. ``steps`` is
    the number of steps, if it is known. ``patience`` is for early stopping: the number of complete
    steps in a row without a better score.
    """

    network: Any
    steps: int | None
    patience: int
    scored: Network
    facts: Mapping[str, Any] = {}
    """Facts from before the first step that belong into the results of the fit."""
    certify: bool = True
    """Whether a convex fit computes its certificate, at the cost of reading the rows once more."""

    chooses: bool = True
    """Whether scores on the way choose the weights to keep; else the last ones are kept."""
    member: int | None = None
    """Of a fit by folds of the rows, the member that is being fitted: the number of its fold."""

    @abstractmethod
    def __iter__(self) -> Iterator[Step]:
        """Go."""

    def state(self) -> dict[str, Any]:
        """The complete state after the last step: numbers, text, lists, mappings, tensors."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Restore ``state`` before the first step: the next step is the one that follows it."""

    def observe(self, loss: float) -> None:  # noqa: B027
        """Receive the validation loss of a complete step; most methods ignore it."""

    def watch(self) -> dict[str, float]:
        """More numbers about a step for the record; may wait for the device."""
        return {}

    def held(self) -> Tensor | None:
        """Of a fit by folds, the raw predictions (rows, outputs) of all training rows after a
        complete step, each by weights that the row's fold has not taught; None if the scores are
        those of ``scored``."""
        return None

    def coefficients(self) -> Tensor | None:
        """Of a convex fit along a path of penalties, the coefficients (outputs, columns) after a
        complete step; None of other fits, and where the step is at no penalty of the path."""
        return None

    def steps_of(self, rows: int) -> int | None:
        """The number of steps of the same fit to so many rows, if it is known."""
        return None

    def batch(self, step: int) -> Sequence[int]:
        """The training rows of a step, as positions; empty if it uses all."""
        return ()

    def finish(self, network: Network) -> bool:
        """Change the final ``network`` once more if necessary; True if it was changed."""
        return False


Member = Callable[..., Method]
"""``member(number, network, **settings)``: the method that fits ``network`` to the training rows of
all folds but ``number``; to all rows if it is None. ``settings`` replace those of the recipe."""

"""The contract of a fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from linnet.core.record import Step
from linnet.networks.base import Network


class Method(ABC):
    """A fit: an iterator of steps, with methods to call between the steps.

    ``steps`` is the number of steps, if it is known. ``patience`` is for early stopping: the number
    of complete steps in a row without a better score. ``scored`` is the network that is scored.
    """

    steps: int | None
    patience: int
    scored: Network
    facts: Mapping[str, Any] = {}
    """Facts from before the first step that belong into the results of the fit."""
    certify: bool = True
    """Whether a convex fit computes its certificate, at the cost of reading the rows once more."""

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

    def batch(self, step: int) -> Sequence[int]:
        """The training rows of a step, as positions; empty if it uses all."""
        return ()

    def finish(self, network: Network) -> bool:
        """Change the final ``network`` once more if necessary; True if it was changed."""
        return False

"""The contract of a fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from linnet.core.record import Step
from linnet.networks.base import Network


class Method(ABC):
    """A fit: an iterator of steps, and what it is told and asked between them.

    ``steps`` is their number where it is known, ``patience`` how many complete steps in a row may
    be scored no better before it ends, ``scored`` the network whose score counts.
    """

    steps: int | None
    patience: int
    scored: Network
    facts: Mapping[str, Any] = {}
    """What was settled before the first step and belongs to the account of the fit."""

    @abstractmethod
    def __iter__(self) -> Iterator[Step]:
        """Go."""

    def state(self) -> dict[str, Any]:
        """All that moves, after the last step: numbers, text, lists, mappings, tensors."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Stand as ``state`` says, before the first step: the next one is the one after it."""

    def observe(self, loss: float) -> None:  # noqa: B027
        """Take in the validation loss of a complete step; most have no use for it."""

    def watch(self) -> dict[str, float]:
        """What else is written of a step; may wait for the device."""
        return {}

    def batch(self, step: int) -> Sequence[int]:
        """The training rows that a step has taken, by their places; none where it takes all."""
        return ()

    def finish(self, network: Network) -> bool:
        """The last touch to the ``network`` that is kept; whether there was one."""
        return False

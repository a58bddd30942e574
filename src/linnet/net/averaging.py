"""The average of the weights during training; it is scored and kept instead of the last weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)

SHARE = 0.75
""""mean" averages the weights at the ends of epochs after this share of training: Izmailov et al.
(2018)."""


class Average(Generic[Module]):
    """A second network, whose weights are an average of the weights of the first one.

    "ema" is an exponential average over all steps, with ``decay``. "mean" is a plain average over
    the ends of the last quarter of the epochs. Both are as in ``torch.optim.swa_utils``. Buffers
    are copied from the first network.
    """

    def __init__(self, network: Module, kind: str, decay: float) -> None:
        self.live = network
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.kind = kind
        self.decay = decay
        self.count = 0

    @torch.no_grad()
    def step(self, done: float, epochs: int, *, complete: bool) -> None:
        """Add the weights after a step; ``done`` of the ``epochs`` are over. After a ``complete``
        step the average is scored."""
        due = self.kind == "ema" or (done > SHARE * epochs and done == int(done))
        mine, theirs = self._weights(self.network), self._weights(self.live)
        if self.count and due:
            share = 1 - self.decay if self.kind == "ema" else 1 / (self.count + 1)
            torch._foreach_lerp_(mine, theirs, share)
        elif not self.count and (due or complete):  # no average yet: use the weights themselves
            torch._foreach_copy_(mine, theirs)
        self.count += due
        if complete:  # buffers are not trained, such as the running statistics of a norm
            for one, two in zip(self.network.buffers(), self.live.buffers(), strict=True):
                one.copy_(two)

    @staticmethod
    def _weights(network: nn.Module) -> list[Tensor]:
        return [parameter.detach() for parameter in network.parameters()]

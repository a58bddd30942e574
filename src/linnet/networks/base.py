"""The contract of a network and of its specification."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from linnet.core.closed import Closed

MAX_PARAMETERS = 1 << 31
"""A specification with more parameters is refused."""


class NetworkSpec(Closed):
    """Everything that is needed to build a network, except its weights."""

    inputs: tuple[int, ...] = Field(min_length=1, max_length=3)
    outputs: int = Field(ge=1, le=100_000)

    @field_validator("inputs")
    @classmethod
    def _sizes(cls, inputs: tuple[int, ...]) -> tuple[int, ...]:
        if any(size < 1 for size in inputs) or prod(inputs) > MAX_PARAMETERS:
            raise ValueError(f"every size must be at least 1, their product {MAX_PARAMETERS:,}")
        return inputs


class Network(nn.Module, ABC):
    """``x`` (rows, *inputs) in its original dtype -> ``raw`` (rows, outputs).

    Scaling is the first layer, so prediction uses the same scaling as training. A new network has
    zeros or ones as weights; ``start`` sets them.
    """

    Spec: ClassVar[type[NetworkSpec]]

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        """Compute the scaling from the training rows ``x`` (and for regression from the targets
        ``y`` (rows, outputs)), weighted by ``weight`` (rows,); draw initial weights from
        ``generator``."""

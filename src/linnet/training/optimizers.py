"""PyTorch's optimisers with the settings of a recipe, in their fused form where there is one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Settings:
    """What an optimiser may be told; each takes what it knows."""

    lr: float
    momentum: float
    weight_decay: float


def sgd(parameters: Iterable[nn.Parameter], settings: Settings) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum and L2 decay."""
    parameters = list(parameters)
    return torch.optim.SGD(
        parameters,
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=_fused(parameters),
    )


def adamw(parameters: Iterable[nn.Parameter], settings: Settings) -> torch.optim.Optimizer:
    """Loshchilov and Hutter (2019), Decoupled weight decay regularization."""
    parameters = list(parameters)
    return torch.optim.AdamW(
        parameters,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        fused=_fused(parameters),
    )


def _fused(parameters: list[nn.Parameter]) -> bool:
    return all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)

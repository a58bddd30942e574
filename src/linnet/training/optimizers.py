"""PyTorch's optimisers with the settings of a recipe, in their fused form where there is one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Settings:
    """What an optimiser may be told; each takes what it knows."""

    lr: float
    momentum: float
    weight_decay: float
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8


def sgd(parameters: Iterable[nn.Parameter], settings: Settings) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum and L2 decay."""
    groups, fused = _groups(parameters, settings)
    return torch.optim.SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov and settings.momentum > 0,
        fused=fused,
    )


def adam(parameters: Iterable[nn.Parameter], settings: Settings) -> torch.optim.Optimizer:
    """Kingma and Ba (2015), Adam, with L2 decay."""
    groups, fused = _groups(parameters, settings)
    return torch.optim.Adam(
        groups, lr=settings.lr, betas=settings.betas, eps=settings.eps, fused=fused
    )


def adamw(parameters: Iterable[nn.Parameter], settings: Settings) -> torch.optim.Optimizer:
    """Loshchilov and Hutter (2019), Decoupled weight decay regularization."""
    groups, fused = _groups(parameters, settings)
    return torch.optim.AdamW(
        groups, lr=settings.lr, betas=settings.betas, eps=settings.eps, fused=fused
    )


def _groups(
    parameters: Iterable[nn.Parameter], settings: Settings
) -> tuple[list[dict[str, Any]], bool]:
    """Weights decay, biases do not; and whether there is a fused kernel for them all."""
    every = list(parameters)
    groups = [
        {"params": [p for p in every if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0},
    ]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in every)
    return [group for group in groups if group["params"]], fused

"""Batch norms: which there are, and their statistics over all rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

ROWS = 1024
"""Rows that go through the network at once, about."""


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """The layers whose statistics come from batches."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


@torch.no_grad()
def recompute_norms(network: nn.Module, x: Tensor) -> None:
    """Replace the running statistics by those over all rows ``x``, in equal parts.

    As ``torch.optim.swa_utils.update_bn``; everything else is in evaluation mode meanwhile, and all
    modes and momenta are restored.
    """
    norms = [norm for norm in batch_norms(network) if norm.track_running_stats]
    if not norms:
        return
    modes = {module: module.training for module in network.modules()}
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the parts
        norm.train()
    for part in x.chunk(-(-len(x) // ROWS)):
        network(part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for module, mode in modes.items():
        module.training = mode

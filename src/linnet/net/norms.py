"""Batch norms: find them in a network, and compute their statistics over all rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

ROWS = 1024
"""About how many rows go through the network at once."""


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch-norm layers of a network."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


@torch.no_grad()
def recompute_norms(network: nn.Module, x: Tensor) -> None:
    """Replace the running statistics by those of all rows ``x``, computed in equal parts.

    This is ``torch.optim.swa_utils.update_bn``, but all other layers are in evaluation mode
    meanwhile. All modes and momenta are restored afterwards.
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

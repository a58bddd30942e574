"""The activations between linear layers, each with initial weights that suit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Kind:
    """A module of PyTorch; the weights before it have variance ``gain**2 / fan``.

    ``fan`` is "in" (He et al. 2015: the forward signal keeps its size) or "mean", of inputs and
    outputs (Glorot and Bengio 2010).
    """

    module: type[nn.Module]
    gain: float
    fan: Literal["in", "mean"]
    dropout: type[nn.Module] = nn.Dropout


ACTIVATIONS: dict[str, Kind] = {
    "relu": Kind(nn.ReLU, 2**0.5, "in"),
    "leaky_relu": Kind(nn.LeakyReLU, (2 / (1 + 0.01**2)) ** 0.5, "in"),
    "tanh": Kind(nn.Tanh, 5 / 3, "mean"),
    "sigmoid": Kind(nn.Sigmoid, 4.0, "mean"),  # Glorot and Bengio's tanh is 4 times as steep
    "selu": Kind(nn.SELU, 1.0, "in", nn.AlphaDropout),  # Klambauer et al. (2017)
    "gelu": Kind(nn.GELU, 2**0.5, "in"),
    "silu": Kind(nn.SiLU, 2**0.5, "in"),
    "softplus": Kind(nn.Softplus, 1.0, "mean"),
    "identity": Kind(nn.Identity, 1.0, "mean"),
}


def draw(weight: Tensor, activation: Kind, generator: torch.Generator) -> None:
    """Normal initial weights for the layer before ``activation``, drawn in float32, so that a net
    in float64 begins where one in float32 does."""
    if weight.dtype == torch.float64:
        narrow = torch.empty_like(weight, dtype=torch.float32)
        draw(narrow, activation, generator)
        with torch.no_grad():
            weight.copy_(narrow)
        return
    if activation.fan == "in":
        nn.init.kaiming_normal_(weight, nonlinearity="linear", generator=generator)
        with torch.no_grad():
            weight.mul_(activation.gain)
    else:
        nn.init.xavier_normal_(weight, activation.gain, generator=generator)


def draw_all(
    hidden: nn.Sequential,
    output: nn.Linear,
    name: str,
    generator: torch.Generator,
    added: int = 0,
) -> None:
    """Draw initial weights: hidden layers for the activation ``name``, and the output layer; set
    biases to zero.

    The last ``added`` inputs of the first layer are those of an embedding. Their weights are drawn
    after all others, as those of a layer of their own; so the others are what they are without it.
    """
    for module in (*hidden, output):
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            weight, kind = module.weight, ACTIVATIONS["identity" if module is output else name]
            if added and module is hidden[0]:
                _draw_columns(weight, slice(None, -added), kind, generator)
            else:
                draw(weight, kind, generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if added:
        first = hidden[0].weight
        assert isinstance(first, Tensor)
        _draw_columns(first, slice(-added, None), ACTIVATIONS[name], generator)


@torch.no_grad()
def _draw_columns(
    weight: Tensor, columns: slice, activation: Kind, generator: torch.Generator
) -> None:
    """Draw some columns of ``weight`` as a matrix of their own."""
    part = torch.empty_like(weight[:, columns], memory_format=torch.contiguous_format)
    draw(part, activation, generator)
    weight[:, columns] = part

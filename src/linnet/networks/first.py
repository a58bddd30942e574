"""The first linear layer of a network: for ``Coded`` rows without products with their zeros."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from linnet.data.coded import Coded


def affine(layer: nn.Linear, x: Tensor, added: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias`` (rows, outputs); of ``Coded`` rows on a CPU, the sum of the columns
    of the weight that their codes name. An accelerator is quick with the dense rows of a batch.

    ``added`` are more inputs (rows, more), which stand behind those of ``x``.
    """
    if not isinstance(x, Coded) or x.device.type != "cpu":
        raw: Tensor = layer(x if added is None else joined(x, added))
        return raw
    return product(layer.weight, layer.bias, x, added)


def joined(x: Tensor, added: Tensor) -> Tensor:
    """All inputs of a layer: those of ``x``, and behind them those ``added``."""
    return torch.cat([x.dense() if isinstance(x, Coded) else x, added], 1)


def _plain(x: Coded, added: Tensor | None, width: int) -> tuple[Tensor, Tensor]:
    """The inputs that are no codes, and their places among all ``width`` inputs."""
    if added is None:
        return x.numbers, x.places
    behind = torch.arange(x.width, width, device=x.places.device)
    return torch.cat([x.numbers, added], 1), torch.cat([x.places, behind])


def product(weight: Tensor, bias: Tensor | None, x: Coded, added: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias`` from the columns of the weight."""
    numbers, places = _plain(x, added, weight.shape[1])
    raw = nn.functional.linear(numbers, weight[:, places], bias)
    for codes in x.codes.unbind(1):
        known = (codes < x.width).to(raw.dtype)
        raw = raw + weight.index_select(1, codes.clamp(max=x.width - 1)).T * known[:, None]
    return raw


def gradient(x: Coded, g: Tensor, out: Tensor, added: Tensor | None = None) -> None:
    """Write ``g.T @ x`` (outputs, width), the gradient of the weight by that of the outputs, into
    ``out``; rows are added one after the other, so the sums have the same bits each time."""
    out.zero_()
    numbers, places = _plain(x, added, out.shape[1])
    out[:, places] = g.T @ numbers
    for codes in x.codes.unbind(1):
        known = (codes < x.width).to(g.dtype)
        out.index_add_(1, codes.clamp(max=x.width - 1), (g * known[:, None]).T)


def passed(x: Tensor, g: Tensor, weight: Tensor, added: int) -> Tensor:
    """The gradient (rows, added) of the last ``added`` inputs of a layer, which stand behind those
    of ``x``, by that of its outputs ``g`` (rows, outputs)."""
    if isinstance(x, Coded):
        behind = torch.arange(x.width, weight.shape[1], device=x.places.device)
        weight = weight[:, torch.cat([x.places, behind])]
    return torch.mm(g, weight)[:, -added:]

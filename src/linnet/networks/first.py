"""The first linear layer of a network: for ``Coded`` rows without products with their zeros."""

from __future__ import annotations

from torch import Tensor, nn

from linnet.data.coded import Coded


def affine(layer: nn.Linear, x: Tensor) -> Tensor:
    """``x @ weight.T + bias`` (rows, outputs); of ``Coded`` rows on a CPU, the sum of the columns
    of the weight that their codes name. An accelerator is quick with the dense rows of a batch."""
    if not isinstance(x, Coded) or x.device.type != "cpu":
        raw: Tensor = layer(x)
        return raw
    return product(layer.weight, layer.bias, x)


def product(weight: Tensor, bias: Tensor | None, x: Coded) -> Tensor:
    """``x @ weight.T + bias`` from the columns of the weight."""
    raw = nn.functional.linear(x.numbers, weight[:, x.places], bias)
    for codes in x.codes.unbind(1):
        known = (codes < x.width).to(raw.dtype)
        raw = raw + weight.index_select(1, codes.clamp(max=x.width - 1)).T * known[:, None]
    return raw


def gradient(x: Coded, g: Tensor, out: Tensor) -> None:
    """Write ``g.T @ x`` (outputs, width), the gradient of the weight by that of the outputs, into
    ``out``; rows are added one after the other, so the sums have the same bits each time."""
    out.zero_()
    out[:, x.places] = g.T @ x.numbers
    for codes in x.codes.unbind(1):
        known = (codes < x.width).to(g.dtype)
        out.index_add_(1, codes.clamp(max=x.width - 1), (g * known[:, None]).T)

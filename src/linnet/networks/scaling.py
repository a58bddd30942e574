"""The first layer: it standardises raw numbers to mean 0 and deviation 1."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from linnet.data.coded import Coded
from linnet.data.dataset import moments
from linnet.errors import DataError
from linnet.networks.specs import Scale

__all__ = ["Bounds", "Rescaling", "Scale", "Scaling"]

BLOCK = 1 << 22
"""The number of values that are converted to float64 at once."""


class Scaling(nn.Module):
    """``(x - shift) * factor``.

    "standard" standardises each input with its own mean and deviation, but not inputs of zeros and
    ones: a rare category would become a very large number, and the penalty would hardly act on it.
    "pixel" uses one mean and deviation for all inputs, so neighbouring pixels keep their relation.
    "none" only converts the dtype.
    """

    shift: Tensor
    factor: Tensor

    def __init__(self, scale: Scale, inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.scale = scale
        shape = inputs if scale == "standard" else (1,)
        self.register_buffer("shift", torch.zeros(shape))
        self.register_buffer("factor", torch.ones(shape))

    def fit(self, x: Tensor) -> None:
        """Compute mean and deviation from the training rows ``x``; 1 for a constant input."""
        if self.scale == "pixel":
            mean, deviation = (torch.tensor([value], dtype=torch.float64) for value in moments(x))
        elif self.scale == "standard":
            mean, deviation = _columns(x)
        else:
            return
        constant = deviation <= 1e-12 * mean.abs()
        factor = torch.where(constant, 1.0, 1 / deviation)
        huge = (factor > torch.finfo(self.factor.dtype).max).nonzero()
        if len(huge):
            place = "" if self.scale == "pixel" else f"column {int(huge[0, 0])}: "
            raise DataError(
                f"{place}the numbers have a deviation of {deviation.flatten()[huge[0, 0]]:.1g}, "
                f"too small for {str(self.factor.dtype).removeprefix('torch.')}; give them another "
                "unit: multiply them"
            )
        self.shift.copy_(mean.reshape(self.shift.shape))
        self.factor.copy_(factor.reshape(self.factor.shape))

    def set(self, mean: float, deviation: float, *, bytes: bool) -> None:
        """Use this mean and deviation; for ``bytes`` they are those of pixels / 255."""
        unit = 255.0 if bytes else 1.0
        self.shift.fill_(mean * unit)
        self.factor.fill_(1 / (deviation * unit))

    def describe(self, *, bytes: bool) -> dict[str, str | float]:
        """The kind of scaling and, if they are single numbers, ``mean`` and ``deviation``; for
        ``bytes`` those of pixels / 255."""
        if self.scale != "pixel":
            return {"kind": self.scale}
        unit = 255.0 if bytes else 1.0
        mean, deviation = self.shift.item() / unit, 1 / (self.factor.item() * unit)
        return {"kind": self.scale, "mean": mean, "deviation": deviation}

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(x, Coded) and self.scale != "pixel":
            return self._coded(x)
        if self.scale == "none":
            return x.to(self.factor.dtype)
        if x.dtype == torch.uint8:  # the same result as below, in half the time
            return x.to(self.factor.dtype).sub_(self.shift).mul_(self.factor)
        return (x - self.shift).mul_(self.factor).to(self.factor.dtype)

    def _coded(self, x: Coded) -> Coded:
        """The same for codes: their columns hold zeros and ones, which stay as they are."""
        numbers = x.numbers
        if self.scale == "standard":
            numbers = (numbers - self.shift[x.places]).mul_(self.factor[x.places])
        return x.changed(numbers.to(self.factor.dtype))


FARTHEST = 10.0
"""No input of a net is further from its mean than this many deviations. On diamonds one training
row is 23 deviations away and one test row 46; without this limit the prediction for that row alone
took the RMSE of the test rows, by the net's other settings, from 558 to 690, with it 545 to 553."""


class Bounds(nn.Module):
    """Clips each standardised input to the range of the training rows, and to ``FARTHEST``: outside
    of it the output of a net is arbitrary, and one wrong value would outweigh all other rows."""

    low: Tensor
    high: Tensor

    def __init__(self, inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(inputs))
        self.register_buffer("high", torch.ones(inputs))

    def fit(self, x: Tensor, scaling: Scaling) -> None:
        """Compute the smallest and the largest value of each input from the training rows ``x``,
        after ``scaling``, up to ``FARTHEST``."""
        low, high = x.ends() if isinstance(x, Coded) else (x.amin(0), x.amax(0))
        self.low.copy_(scaling(low[None])[0].clamp(-FARTHEST, FARTHEST))
        self.high.copy_(scaling(high[None])[0].clamp(-FARTHEST, FARTHEST))

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(x, Coded) and not self.low.index_fill(0, x.places, 0.0).any():
            return self._coded(x)
        return x.clamp(self.low, self.high)

    def _coded(self, x: Coded) -> Coded:
        """The same for codes, if no category is in all training rows: a category that is in none of
        them counts as none."""
        numbers = x.numbers.clamp(self.low[x.places], self.high[x.places])
        high = torch.cat([self.high, self.high.new_zeros(1)])
        return x.changed(numbers, torch.where(high[x.codes.long()] > 0, x.codes, x.width))


class Rescaling(nn.Module):
    """``x * factor + shift``: the last layer of a regression, back to the target's unit."""

    shift: Tensor
    factor: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(outputs))
        self.register_buffer("factor", torch.ones(outputs))

    def fit(self, y: Tensor, weight: Tensor | None = None) -> None:
        """Compute mean and deviation of the training targets ``y`` (rows, outputs)."""
        weight = torch.ones(len(y)) if weight is None else weight
        share = (weight.double() / weight.double().sum())[:, None].to(y.device)
        mean = (share * y.double()).sum(0)
        deviation = (share * (y.double() - mean).square()).sum(0).sqrt()
        self.shift.copy_(mean)
        self.factor.copy_(torch.where(deviation > 0, deviation, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.shift


def _columns(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each input, in float64, block by block, shifted by the first row; for
    an input of zeros and ones 0 and 1."""
    if isinstance(x, Coded):
        found = torch.zeros(x.width, dtype=torch.float64), torch.ones(x.width, dtype=torch.float64)
        for whole, some in zip(found, _columns(x.numbers), strict=True):
            whole[x.places] = some
        return found
    origin = x[:1].double()
    total = torch.zeros(origin.shape[1:], dtype=torch.float64, device=x.device)
    squares = torch.zeros_like(total)
    binary = torch.ones_like(total, dtype=torch.bool)
    for part in x.split(max(1, BLOCK // max(1, prod(x.shape[1:])))):
        binary &= ((part == 0) | (part == 1)).all(0)
        centred = part.double() - origin
        total += centred.sum(0)
        squares += centred.square().sum(0)
    mean = total / len(x)
    variance = (squares / len(x) - mean.square()).clamp(min=0)
    return torch.where(binary, 0.0, mean + origin[0]), torch.where(binary, 1.0, variance.sqrt())

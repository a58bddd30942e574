"""Augmentation: small random changes of pictures, a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from linnet.core.randomness import generator


@dataclass(frozen=True)
class Augment:
    """Shift, mirror or cut a hole into each picture, at random by (seed, step).

    ``shift``: up to this many pixels in each direction; the edge is repeated. ``flip``: mirror left
    to right with probability 1/2. ``cutout``: a square of this side at a random place, possibly
    over the edge, takes the value ``fill`` (DeVries and Taylor 2017).
    """

    shift: int = 0
    flip: bool = False
    cutout: int = 0
    fill: float = 0.0

    def __bool__(self) -> bool:
        """Whether it changes pictures at all."""
        return bool(self.shift or self.flip or self.cutout)

    def __call__(self, x: Tensor, seed: int, step: int) -> Tensor:
        """A changed copy of ``x`` (rows, channels, height, width), in the same dtype."""
        random = generator(seed, "augment", step)
        rows, device = len(x), x.device
        height, width = x.shape[-2:]

        def draw(low: int, high: int, *shape: int) -> Tensor:
            return torch.randint(low, high, (*shape, rows), generator=random).to(device)

        if self.shift:
            down, right = draw(-self.shift, self.shift + 1, 2)
            h = (torch.arange(height, device=device) + down[:, None]).clamp_(0, height - 1)
            w = (torch.arange(width, device=device) + right[:, None]).clamp_(0, width - 1)
            place = (h[:, :, None] * width + w[:, None, :]).reshape(rows, 1, height * width)
            flat = x.reshape(rows, -1, height * width)
            x = flat.gather(2, place.expand(flat.shape)).reshape(x.shape)
        if self.flip:
            x = torch.where(draw(0, 2).bool()[:, None, None, None], x.flip(-1), x)
        if self.cutout:
            top = draw(0, height)[:, None] - self.cutout // 2
            left = draw(0, width)[:, None] - self.cutout // 2
            h, w = torch.arange(height, device=device), torch.arange(width, device=device)
            tall = (h >= top) & (h < top + self.cutout)
            wide = (w >= left) & (w < left + self.cutout)
            x = x.masked_fill((tall[:, :, None] & wide[:, None, :])[:, None], self.fill)
        return x

"""The ground of pictures: how bright their edges are, where all pictures of a model are alike.

A drawing in black on white means nothing to a model that was trained on white on black, as MNIST
is, and no number that it gives tells so. The edge of a picture does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

NEAR = 1 / 3
"""An edge is as the ground if it is within this share of the way from the ground to the ink, ..."""

FAR = 2 / 3
"""... and as the ink from this share of the way on."""

ALIKE = 0.98
"""Training pictures have one ground if the edges of at least this share of them are near it."""


def edges(x: Tensor) -> np.ndarray[Any, Any]:
    """The median brightness of the outermost pixels of each picture of ``x`` (rows, channels,
    height, width); that of a pixel is the mean of its channels."""
    sides = x[:, :, 0], x[:, :, -1], x[:, :, :, 0], x[:, :, :, -1]
    pixels = np.concatenate([side.numpy().mean(1, dtype=np.float32) for side in sides], 1)
    found: np.ndarray[Any, Any] = np.median(pixels, axis=1)
    return found


def ground_of(x: Tensor) -> tuple[int, int] | None:
    """The brightness of the ground of training pictures ``x``, the median of their edges, and that
    of its opposite, which is as far from the other end of the range; None if their edges differ."""
    if not len(x):
        return None
    low, high = int(x.min()), int(x.max())
    found = edges(x)
    ground = int(np.median(found))
    opposite = low + high - ground
    share = np.abs(found - ground) <= NEAR * abs(opposite - ground)
    far = abs(opposite - ground) >= NEAR * (high - low)
    return (ground, opposite) if far and high > low and share.mean() >= ALIKE else None


def inverted(x: Tensor, ground: tuple[int, int]) -> int:
    """How many of the pictures ``x`` have the opposite of the ``ground`` on their edges."""
    own, opposite = ground
    way = (edges(x) - own) / (opposite - own)
    return int((way >= FAR).sum())

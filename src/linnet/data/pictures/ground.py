"""The ground of pictures: how bright their edges are, where all pictures of a model are alike.

A drawing in black on white means nothing to a model that was trained on white on black, as MNIST
is, and no number that it gives tells so. The edge of a picture does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from linnet.core.closed import Closed
from linnet.core.text import counted
from linnet.data.table import Warned

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Array = np.ndarray[Any, Any]

BLOCK = 1 << 14
"""The pictures whose edges are in memory at once."""

NEAR = 1 / 3
"""An edge is as the ground if it is within this share of the way from the ground to the ink, ..."""

FAR = 2 / 3
"""... and as the ink from this share of the way on."""

ALIKE = 0.98
"""Training pictures have one ground if the edges of at least this share of them are near it."""


INK = 0.1
"""A pixel belongs to the ink from this share of the way from the ground to the ink on."""

LOOKED_AT = 1 << 22
"""The layout is learnt from training pictures of this many pixels, evenly taken."""

NEARBY = 1.0
"""Ink lies in the middle if its centre is at most this many pixels away, by the median."""


class Layout(Closed):
    """How the ink lies in training pictures of one ground, for those who lay out new ones alike.

    ``side`` is the median of the larger side of the box around the ink, in pixels. ``centre`` is
    what lies in the middle of the picture to within ``NEARBY``: the centre of mass of the ink, or
    that of its box; None if neither does.
    """

    side: int = Field(ge=1)
    centre: Literal["mass", "box"] | None


def edges(x: Tensor | Array) -> Array:
    """The median brightness of the outermost pixels of each picture of ``x`` (rows, channels,
    height, width); that of a pixel is the mean of its channels."""
    import numpy as np

    x = np.asarray(x)
    found = [_edges(x[start : start + BLOCK]) for start in range(0, len(x), BLOCK)]
    return np.concatenate(found) if found else np.empty(0, np.float32)


def _edges(x: Array) -> Array:
    import numpy as np

    sides = x[:, :, 0], x[:, :, -1], x[:, :, :, 0], x[:, :, :, -1]
    pixels = np.concatenate([side.mean(1, dtype=np.float32) for side in sides], 1)
    pixels.sort(1)  # ``np.median`` takes ten times as long for one picture
    middle = pixels.shape[1] // 2  # their number is even
    found: Array = (pixels[:, middle - 1] + pixels[:, middle]) / 2
    return found


def layout_of(x: Tensor | Array, ground: tuple[int, int]) -> Layout | None:
    """How the ink lies in training pictures ``x`` (rows, channels, height, width) of uint8 that
    have one ``ground``; None if there is hardly any."""
    import numpy as np

    x = np.asarray(x)
    some = x[:: -(-x.size // LOOKED_AT)]
    own, opposite = ground
    way = (some.mean(1, dtype=np.float32) - own) / (opposite - own)
    ink = way >= INK
    drawn = ink.any((1, 2))
    if 2 * drawn.sum() < len(some):
        return None
    way, ink = np.where(ink, way, 0)[drawn], ink[drawn]
    sides, boxes, masses = [], [], []
    for axis in (1, 2):  # along the height, then the width
        there, length = ink.any(3 - axis), ink.shape[axis]
        first, last = there.argmax(1), length - 1 - there[:, ::-1].argmax(1)
        mass = way.sum(3 - axis)
        middle = (length - 1) / 2
        sides.append(last - first + 1)
        boxes.append(np.abs((first + last) / 2 - middle))
        masses.append(np.abs(mass @ np.arange(length) / mass.sum(1) - middle))
    off = {
        "mass": float(np.median(np.maximum(*masses))),
        "box": float(np.median(np.maximum(*boxes))),
    }
    nearest = min(off, key=lambda centre: off[centre])
    centre = nearest if off[nearest] <= NEARBY else None
    return Layout(side=round(float(np.median(np.maximum(*sides)))), centre=centre)


def ground_of(x: Tensor) -> tuple[int, int] | None:
    """The brightness of the ground of training pictures ``x``, the median of their edges, and that
    of its opposite, which is as far from the other end of the range; None if their edges differ."""
    import numpy as np

    if not len(x):
        return None
    low, high = int(x.min()), int(x.max())
    found = edges(x)
    ground = int(np.median(found))
    opposite = low + high - ground
    share = np.abs(found - ground) <= NEAR * abs(opposite - ground)
    far = abs(opposite - ground) >= NEAR * (high - low)
    return (ground, opposite) if far and high > low and share.mean() >= ALIKE else None


def inverted(x: Tensor | Array, ground: tuple[int, int]) -> int:
    """How many of the pictures ``x`` have the opposite of the ``ground`` on their edges."""
    own, opposite = ground
    way = (edges(x) - own) / (opposite - own)
    return int((way >= FAR).sum())


def blank(x: Array, where: Callable[[int], str]) -> tuple[str, ...]:
    """A warning if pictures (rows, channels, height, width) show one colour everywhere."""
    import numpy as np

    flat = x.reshape(*x.shape[:2], -1)
    if flat.shape[2] == 1:
        return ()
    some = flat[:, :, :: max(1, flat.shape[2] // 16)]
    rows = np.flatnonzero((some == some[:, :, :1]).all((1, 2)))
    rows = rows[(flat[rows] == flat[rows, :, :1]).all((1, 2))]
    if not len(rows):
        return ()
    of = f"of {len(x):,} the first is " if len(x) > 1 else ""
    each = of + where(int(rows[0]))
    return (
        Warned(
            f"{counted(len(rows), 'picture')} with one colour everywhere: {each}",
            "nothing can be seen there: look at the files, and at their transparency",
        ),
    )

"""Whether a picture may be mirrored in training: whether its mirror image is of the same class.

A mirrored cat is a cat, and a net learns more from both. A mirrored 3 is none, and an arrow to the
left becomes one to the right. The training rows tell: among the pictures that are most like the
mirror image, as many must be of its class as among those most like the picture itself.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

BLOCK = 256
"""So many pictures are made small at once."""

SIDE = 8
"""Pictures are compared at this size, ..."""

ASKED = 1_500
"""... of so many of them, ..."""

AMONG = 6_000
"""... the nearest of so many others is found, ..."""

SURE = 2.5
"""... and a count is more than chance if it is so many standard deviations away."""

MANY = 0.1
"""A smaller share of pictures may lie otherwise by how they were taken, and not by their class."""


def symmetric(x: Tensor, codes: Tensor, classes: int) -> bool:
    """Whether mirror images of pictures ``x`` (rows, channels, height, width) are known to be of
    the same class, of ``codes`` (rows,).

    Nearest neighbours must tell the classes better than chance, and those of the mirror images must
    do so not much worse, in all classes together and in each.
    """
    rows = torch.linspace(0, len(x) - 1, min(len(x), AMONG)).long()
    picked = torch.linspace(0, len(rows) - 1, min(len(rows), ASKED)).long()
    among, known = _features(x, rows), codes[rows]
    right = known[picked]
    mirror = _features(x, rows[picked], mirrored=True)
    plain, mirrored = (
        known[_nearest(asked, among, picked)] == right for asked in (among[picked], mirror)
    )
    shares = torch.bincount(known, minlength=classes) / len(known)
    chance = float(shares[right].mean())
    hits, count = int(plain.sum()), len(right)
    if hits - chance * count <= SURE * sqrt(chance * (1 - chance) * count):
        return False  # nothing is known
    lost, won = plain & ~mirrored, mirrored & ~plain
    groups = [torch.ones_like(lost), *(right == code for code in range(classes))]
    return not any(
        _worse(int((lost & one).sum()), int((won & one).sum()), int(one.sum())) for one in groups
    )


def _worse(lost: int, won: int, count: int) -> bool:
    """Whether more of ``count`` were lost than won: many, and beyond chance by the sign test, in
    its normal form."""
    return lost - won > max(SURE * sqrt(lost + won), MANY * count)


def _features(x: Tensor, rows: Tensor, *, mirrored: bool = False) -> Tensor:
    """Small pictures of these ``rows``, without their mean, of length 1: (rows, numbers)."""
    small = torch.cat(
        [adaptive_avg_pool2d(x[part].float(), SIDE).flatten(2) for part in rows.split(BLOCK)]
    )
    if mirrored:
        small = small.unflatten(2, (SIDE, SIDE)).flip(-1)
    small = small.flatten(1) - small.flatten(1).mean(1, keepdim=True)
    return normalize(small, dim=1)


def _nearest(asked: Tensor, among: Tensor, own: Tensor) -> Tensor:
    """The row of ``among`` that is nearest to each row of ``asked``, other than its ``own``."""
    likeness = asked @ among.T
    likeness[torch.arange(len(asked)), own] = -2.0
    return likeness.argmax(1)

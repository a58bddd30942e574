"""One size for pictures of many: the one they have, or the one that is proposed."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from math import prod, sqrt
from pathlib import Path
from statistics import median

from linnet.core import memory
from linnet.core.text import counted, of_path
from linnet.data.pictures.picture import Held
from linnet.data.schema import MAX_INPUTS
from linnet.errors import DataError

Sides = tuple[int, int]

MOST = 64
"""The longest side of a square that is proposed: four times the pixels take four times as long."""

STEP = 8
"""Sides that are proposed are multiples of this."""

SQUARE = 1.5
"""If the longer side is at most this many times the shorter one, a square is proposed."""

MAX_FOLDER_BYTES = 64 << 30
"""A folder whose pictures would take more bytes in memory is refused."""


def proposed(sizes: Sequence[Sides]) -> str:
    """A size, as the setting ``size`` takes it, for pictures of these ``sizes``, width and height.

    It is the size of at least half of them, if that is small. Else it is the median width and
    height, shrunk to the area of a square of ``MOST``, in steps of ``STEP``.
    """
    (usual, count), *_ = Counter(sizes).most_common(1)
    if 2 * count >= len(sizes) and max(usual) <= MOST:
        return _text(usual)
    width, height = (median(each) for each in zip(*sizes, strict=True))
    area = sqrt(width * height)
    shrunk = min(1, MOST / area)
    if max(width, height) <= SQUARE * min(width, height):
        width = height = area
    return _text((_rounded(width * shrunk), _rounded(height * shrunk)))


def _text(size: Sides) -> str:
    width, height = size
    return f"{height}" if width == height else f"{height}x{width}"


def _rounded(side: float) -> int:
    return max(STEP, STEP * round(side / STEP))


def one_size(paths: Sequence[Path | Held], sizes: Sequence[Sides], place: str | Path) -> Sides:
    """Height and width of pictures of these ``sizes`` (width and height each); raises ``DataError``
    if they differ."""
    if len(kinds := set(sizes)) == 1:
        return sizes[0][1], sizes[0][0]
    order = sorted(range(len(sizes)), key=lambda index: prod(sizes[index]))
    least, most = (
        f"{sizes[index][0]} x {sizes[index][1]} ({of_path(os.path.relpath(paths[index], place))})"
        for index in (order[0], order[-1])
    )
    raise DataError(
        f"{of_path(place)}: its pictures have {counted(len(kinds), 'size')}, from {least} to "
        f"{most}, width x height. {_remedy(place, sizes)}"
    )


def check_inputs(place: str | Path, shape: Sequence[int], sizes: Sequence[Sides]) -> None:
    """Raise ``DataError`` if pictures of this shape are too large."""
    if prod(shape) > MAX_INPUTS:
        raise DataError(
            f"{of_path(place)}: its pictures have {prod(shape):,} numbers each; at most "
            f"{MAX_INPUTS:,} (MAX_INPUTS). {_remedy(place, sizes)}"
        )


def check_room(place: str | Path, rows: int, shape: Sequence[int], sizes: Sequence[Sides]) -> None:
    """Raise ``DataError`` if ``rows`` pictures of this shape do not fit into memory."""
    need = rows * prod(shape)
    if need > MAX_FOLDER_BYTES:
        raise DataError(
            f"{of_path(place)}: its pictures take {need:,} bytes; at most "
            f"{MAX_FOLDER_BYTES:,} (MAX_FOLDER_BYTES). {_remedy(place, sizes)}"
        )
    told = f"{of_path(place)}: {counted(rows, 'picture')} of {shape[2]} x {shape[1]} pixels"
    memory.require(need, told, f"a smaller size (size={proposed(sizes)})")


def _remedy(place: str | Path, sizes: Sequence[Sides]) -> str:
    size = proposed(sizes)
    width, height = (round(median(each)) for each in zip(*sizes, strict=True))
    return (
        f"Give one size for all: linnet train {shlex.quote(of_path(place))} --set size={size} "
        f"(the median is {width} x {height}). Each is then scaled to fit in, and its edges are "
        "repeated beside it; with --set fit=crop it is scaled to fill the size, and cut"
    )

"""Pictures in tables: a row is a picture, a column a pixel, as in Kaggle's form of MNIST.

They are read as pictures if ``pictures=28x28`` says so. Where the names of columns say so, linnet
offers it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from math import isqrt, prod
from typing import Any

import numpy as np

from linnet.core import memory
from linnet.core.later import polars as pl
from linnet.core.text import listed
from linnet.data.table import Table, Warned
from linnet.errors import DataError

NAMED = re.compile(r"(?:pixel|px|pix|p|x)[_ .-]?\d+|\d+x\d+", re.IGNORECASE)
"""Names of columns that are pixels."""

FEWEST = 64
"""Fewer columns are not offered as pictures."""


def layout(table: Table, form: str, left: Collection[str]) -> tuple[list[str], tuple[int, ...]]:
    """The columns that are pixels, row by row, and the shape of the pictures of a table.

    ``form`` is "28x28" or "3x32x32"; ``left`` are columns that are no pixels. Raises ``DataError``
    if the number of the others is wrong.
    """
    sizes = [int(size) for size in form.split("x")]
    shape = (1, *sizes) if len(sizes) == 2 else tuple(sizes)
    if shape[0] not in (1, 3):
        raise DataError(f"pictures={form}: {shape[0]} channels; expected 1 or 3")
    names = [name for name in table.columns if name not in left]
    if len(names) != prod(shape):
        raise DataError(
            f"{table.name}: pictures={form} needs {prod(shape):,} columns of pixels, and there are "
            f"{len(names):,} beside the target: {listed(names, 8)}; leave out what is no pixel "
            "(drop=NAME)"
        )
    return names, shape


def encode(table: Table, names: Sequence[str], shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """The columns ``names`` as pictures (rows, *shape) of uint8; this empties the table."""
    rows = len(table)
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise DataError(
            f"{table.name}: the columns of pixels {listed(list(map(repr, absent)), 8)} are missing"
        )
    memory.require(rows * len(names), "the pictures of the table")
    x = np.empty((rows, len(names)), np.uint8)
    for index, name in enumerate(names):
        series = table.columns.pop(name)
        good = _are_pixels(series)
        if not good.all():
            row = int((~good).arg_max() or 0)
            raise DataError(
                f"{table.name}, {table.where(row)}, column {name!r}: {series[row]!r} is no pixel; "
                "expected a whole number from 0 to 255"
            )
        x[:, index] = series.to_numpy()
    return x.reshape(rows, *shape)


def offer(table: Table) -> tuple[str, ...]:
    """A warning that the columns of a table look like the pixels of pictures."""
    names = [name for name in table.columns if NAMED.fullmatch(name)]
    form = form_of(len(names))
    if not form or not all(_are_pixels(table.columns[name]).all() for name in names):
        return ()
    others = [name for name in table.columns if name not in set(names)]
    drop = f" and drop={','.join(others)}" if others else ""
    return (
        Warned(
            f"the {len(names):,} columns {names[0]} to {names[-1]} look like the pixels of "
            f"pictures ({form}), and are read as columns without a place",
            f"set pictures={form}{drop} to read them as pictures, which the cnn needs",
        ),
    )


def form_of(count: int) -> str:
    """The form of square pictures of so many pixels, "28x28" or "3x32x32"; "" if there is none."""
    for channels, start in ((1, ""), (3, "3x")):
        side = isqrt(count // channels)
        if count == channels * side * side and count >= FEWEST:
            return f"{start}{side}x{side}"
    return ""


def _are_pixels(series: pl.Series) -> pl.Series:
    """Which values are whole numbers from 0 to 255."""
    if series.dtype != pl.Float64:
        return pl.Series([False] * len(series), dtype=pl.Boolean)
    good = (series >= 0) & (series <= 255) & (series % 1 == 0)
    return good.fill_null(False)

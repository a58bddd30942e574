"""Least squares from rows that come in parts, each of which is read once and forgotten.

Rows that are numbers alone need no store: the sums of their products are all that the coefficients
depend on, and the sums of parts add up to those of all (``Moments``). What is in memory is one part
and (inputs, inputs) numbers, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from linnet.errors import DataError
from linnet.line.moments import ILL, Moments, Solution


def moments_of(parts: Iterable[tuple[Tensor, Tensor]], *, intercept: bool = True) -> Moments:
    """The moments of all parts ``x`` (rows, inputs) and ``y`` (rows, outputs) together."""
    total: Moments | None = None
    home = torch.device("cpu")
    for x, y in parts:
        found = Moments.of(x, y, None, intercept=intercept, home=home)
        total = found if total is None else total + found
    if total is None:
        raise DataError("least squares of no rows; expected at least one")
    return total


def least_squares(
    parts: Iterable[tuple[Tensor, Tensor]], *, alpha: float = 0.0, intercept: bool = True
) -> Solution:
    """The coefficients (inputs + 1, outputs) of all parts together, the bias last, from one pass.

    Raises ``DataError`` if the inputs are so nearly dependent that sums do not determine them: then
    the rows themselves are needed, and a store (``linnet.data.store``) or a penalty.
    """
    found = moments_of(parts, intercept=intercept).solve(alpha)
    if found.condition**2 >= ILL:
        raise DataError(
            f"the columns have a condition number of {found.condition:.1e}: they are nearly "
            "dependent, and sums of products do not tell them apart; drop columns, set a penalty, "
            "or train from a store"
        )
    return found

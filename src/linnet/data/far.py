"""Numbers of a column that are far from all others, such as those that lost their decimal point.

As numbers they would outweigh all others: the column would have one standardised value for nearly
all rows, and teach a line or a net nothing. They count as missing instead: the median is imputed,
and a 0/1 column marks them. Of a column with a few far numbers alone nothing changes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from linnet.core.randomness import drawn

Array = np.ndarray[Any, Any]

RANGES = 30
"""A number is far if it is this many interquartile ranges away from the median; and, in a column
without a sign, also ``LOGS`` of them on a logarithmic scale, as a crooked column such as of incomes
has large numbers without a gap. For a logarithmic normal distribution, 7 of 10,000 are beyond that.
"""

LOGS = 2.5

KEPT = 10
"""In a column with far numbers, those this many interquartile ranges away count as missing, too."""

SHARE = 0.003
"""At least this share of the numbers of a column with far ones is far, and at least ``FEWEST``."""

FEWEST = 3


def ends(values: Array, seed: int, name: str) -> tuple[float, float, float] | None:
    """The least and the largest number of a column ``name`` that are not far, and its median, from
    its numbers ``values`` (rows,) in training rows; None if it has no far ones, or too few."""
    some = values[drawn(len(values), seed, "far", name)]
    if len(some) < FEWEST:
        return None
    with np.errstate(all="ignore"):
        centre, spread = _quartiles(some)
        least = largest = centre
        if some.min() >= 0 or some.max() <= 0:  # also on a logarithmic scale
            middle, width = _quartiles(np.log(np.abs(some[some != 0])))
            logs = np.exp([middle - LOGS * width, middle + LOGS * width])
            least, largest = logs if some.max() > 0 else -logs[::-1]

        def reach(ranges: float) -> tuple[float, float]:
            low, high = centre - ranges * spread, centre + ranges * spread
            return float(np.minimum(low, least)), float(np.maximum(high, largest))

        low, high = reach(RANGES)
        far = int(((some < low) | (some > high)).sum())
        low, high = reach(KEPT)
    if far < max(FEWEST, SHARE * len(some)) or not np.isfinite([low, high]).all():
        return None
    return low, high, centre


def _quartiles(values: Array) -> tuple[float, float]:
    """The median and the interquartile range, NaN if it is 0."""
    if not len(values):
        return math.nan, math.nan
    first, centre, third = np.quantile(values, [0.25, 0.5, 0.75])
    return float(centre), float(third - first) if third > first else math.nan

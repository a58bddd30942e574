"""Confidence intervals of proportions and means."""

from __future__ import annotations

from typing import Any

import numpy as np

from linnet.core.randomness import derive

CONFIDENCE = 0.95
Z = 1.959963984540054
"""The quantile of the normal distribution for a two-sided interval with this confidence."""

RESAMPLES = 2000
MOST_DRAWN = 4_000_000
"""The most row numbers that a bootstrap draws at once."""

Array = np.ndarray[Any, Any]


def wilson(hits: Any, rows: Any) -> tuple[Any, Any]:
    """Wilson's (1927) confidence interval of the proportion ``hits / rows``, of numbers or arrays.

    J. Am. Stat. Assoc. 22, 209-212; ``scipy.stats.binomtest`` gives the same numbers.
    """
    share = hits / rows
    whole = 2 * (rows + Z**2)
    centre = (2 * rows * share + Z**2) / whole
    half = Z / whole * np.sqrt(4 * rows * share * (1 - share) + Z**2)
    low = np.where(np.asarray(hits) == 0, 0.0, centre - half)
    high = np.where(np.asarray(hits) == rows, 1.0, centre + half)
    return (low, high) if low.ndim else (float(low), float(high))


def bootstrap(values: Array, seed: int) -> tuple[float, float]:
    """The bootstrap percentile interval of the mean of ``values`` (rows,), from ``RESAMPLES``
    samples."""
    random = np.random.default_rng(derive(seed, "bootstrap"))
    size = max(1, MOST_DRAWN // len(values))
    means = [
        values[random.integers(0, len(values), (min(size, RESAMPLES - done), len(values)))].mean(1)
        for done in range(0, RESAMPLES, size)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)

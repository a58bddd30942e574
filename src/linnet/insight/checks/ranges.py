"""Values far from all others: codes for missing values, and huge outliers."""

from __future__ import annotations

import numpy as np

from linnet.core.text import counted
from linnet.data.dataset import Dataset
from linnet.data.split import Split
from linnet.insight.checks._look import Array, Feature, features, number, sample
from linnet.insight.checks.finding import Finding

STAND_INS = tuple(sign * (10**digits - 1) for digits in (2, 3, 4, 5, 6) for sign in (1, -1))
"""99, -99, 999, ...: codes that people write for a missing value."""

FAR = 100
"""An outlier is this many times the range of all other values away from them."""

MOST = 4
"""The most values that are reported for one column, the outermost first."""

ZEROS = 0.05
"""If the share of zeros is larger, they are not a code for missing values."""

AWAY = 0.25
"""Zeros are far from the rest if the next value is above this share of the median."""

ROWS = 20
"""With fewer rows nothing is far from the rest."""

DIFFERENT = 20
"""Small counts begin with 0: columns with at most this many values are not checked for zeros."""


def ranges(data: Dataset, split: Split | None) -> list[Finding]:
    """Codes for missing values and outliers are warnings, far-off zeros are notes; categories and
    dates are not checked."""
    found = []
    for feature in features(data):
        if feature.kind == "number":
            values = feature.values
            values = values[~np.isnan(values)]
            if len(values) >= ROWS:
                with np.errstate(all="ignore"):
                    found += [*_alone(data, feature, values), *_zeros(data, feature, values)]
    return found


def _alone(data: Dataset, feature: Feature, values: Array) -> list[Finding]:
    found: list[Finding] = []
    aside: list[str] = []
    while len(found) < MOST:
        low, high = float(values.min()), float(values.max())
        for value, bound in ((high, low), (low, high)):
            here = values == value
            rest = values[~here]
            if not len(rest):
                continue
            nearest = float(rest.max() if value == high else rest.min())
            count = int(here.sum())
            gap, width = abs(value - nearest), abs(nearest - bound)
            stands_in = value in STAND_INS and count > 1
            stands_in &= gap > max(width, abs(nearest)) or value < 0 <= nearest
            if stands_in or (gap > FAR * width > 0 and len(rest) >= ROWS):
                but = f" but {', '.join(aside)}" if aside else ""
                first, last = map(number, sorted((nearest, bound)))
                others = f"all others{but} are from {first} to {last}"
                found.append(_far(data, feature, value, count, others, stands_in))
                aside.append(number(value))
                values = rest
                break
        else:
            break
    return found


def _far(
    data: Dataset, feature: Feature, value: float, count: int, others: str, stands_in: bool
) -> Finding:
    seems = ", as if it means 'missing' or 'more'" if stands_in else ""
    table = data.schema.example == "record"
    remedy = (
        "if it means missing, leave it empty in the data"
        + (f", or for a text file set missing={number(value)}" if table else "")
        if stands_in
        else "correct it, or remove the row"
    )
    return Finding(
        f"the column {feature.name!r} has {number(value)} in {counted(count, 'row')}, but "
        f"{others}{seems}",
        remedy,
        where=f"column {feature.name!r}",
        count=count,
        why="as a number it outweighs all others",
    )


def _zeros(data: Dataset, feature: Feature, values: Array) -> list[Finding]:
    if values.min() != 0 or len(np.unique(values[sample(len(values))])) <= DIFFERENT:
        return []
    positive = values[values > 0]
    count = len(values) - len(positive)
    nearest, median = float(positive.min()), float(np.median(positive))
    if count > ZEROS * len(values) or nearest <= AWAY * median:
        return []
    return [
        Finding(
            f"the column {feature.name!r} has 0 in {counted(count, 'row')}, but all others are "
            f"from {number(nearest)} to {number(values.max())}",
            "check whether 0 means a missing value there",
            "note",
            where=f"column {feature.name!r}",
            count=count,
            why="a 0 that was not measured is a wrong number",
        )
    ]

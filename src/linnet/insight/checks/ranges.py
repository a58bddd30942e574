"""Values far from all others: codes for missing values, huge outliers, groups in another unit."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np

from linnet.core.text import counted
from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.data.split import Split
from linnet.insight.checks._look import Array, Feature, features, number, sample, targets
from linnet.insight.checks.finding import Finding

STAND_INS = tuple(sign * (10**digits - 1) for digits in (2, 3, 4, 5, 6) for sign in (1, -1))
"""99, -99, 999, ...: codes that people write for a missing value."""

FAR = 100
"""An outlier is this many times the range of all other values away from them."""

FEWEST = 4
"""A group of values far from the rest has at least this many: fewer are the tail of the rest."""

MINORITY = 0.1
"""A larger share of the values is a part of what the column measures."""

WIDE = 10
"""A group is at least this many times the range of the rest away from it; or, among positive
numbers, ``RATIO`` times as large, and ``DEVIATIONS`` away on a logarithmic scale."""

RATIO = 3
DEVIATIONS = 3

SURE = 16.0
"""The tail of a distribution has gaps too. If it falls as 1/x, a gap of c times the range before
its k last values has the probability (1 + c)^-k (Renyi 1953, On the theory of order statistics); a
group is reported if that is below e^-16. On a logarithmic scale, if the tail falls as a power, the
median distance from the median is 0.69 of the mean distance: a gap of c medians before the k last
values has a probability of about e^(-0.69 c k), and must be below e^-22."""

UNITS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
"""By so much are numbers wrong that have lost their decimal point, or are in another unit."""

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
    """Codes for missing values, outliers and groups of values in another unit are warnings, far-off
    zeros are notes; categories and dates are not checked. Targets of numbers are."""
    found = []
    measured = targets(data) if data.schema.task == "regression" else []
    columns = (Feature(target.name, "number", target.values) for target in measured)
    for feature in chain(features(data), columns):
        if feature.kind == "number":
            values = feature.values
            values = values[~np.isnan(values)]
            if len(values) >= ROWS:
                with np.errstate(all="ignore"):
                    alone, rest = _alone(data, feature, values)
                    found += [*alone, *_group(feature, rest), *_zeros(data, feature, values)]
    return found


def aside(schema: Schema) -> list[Finding]:
    """Notes on the columns of which numbers far from all others count as missing."""
    return [
        Finding(
            f"the column {field.name!r} has numbers far from all others: those below "
            f"{number(field.ends[0])} or above {number(field.ends[1])} count as missing",
            "correct them; if they are right, give the column's logarithm",
            "note",
            where=f"column {field.name!r}",
        )
        for field in schema.fields
        if field.ends is not None
    ]


def _group(feature: Feature, values: Array) -> list[Finding]:
    """A group of values, at most ``MINORITY`` of them, far above or below all others."""
    positive = values[values > 0]
    if values.min() == 0 and 2 * len(positive) > len(values):
        values = positive
    found = []
    for sign in (1.0, -1.0):
        count = _apart(sign * values)
        if count:
            ordered = sign * np.sort(sign * values)
            values = ordered[:-count]
            found.append(_grouped(feature, values, ordered[-count:]))
    return found


def _apart(values: Array) -> int:
    """How many of the largest values are a group far from the rest; 0 if none is."""
    tail = int(MINORITY * len(values))
    if tail < FEWEST:
        return 0
    some = values[sample(len(values))]
    centre, high = float(np.median(some)), float(values.max())
    spread = float(np.median(np.abs(some - centre)))
    if not (high < 0 or high - centre > WIDE * spread > 0):
        return 0  # most columns, without sorting
    top = np.sort(np.partition(values, len(values) - tail - 1)[len(values) - tail - 1 :])
    counts = np.arange(tail, 0, -1)  # of the values after each gap
    gaps = np.diff(top) / (2 * (top[:-1] - centre))
    far = (gaps >= WIDE) & (counts * np.log1p(gaps) >= SURE) & (spread > 0)
    if values.min() > 0 or high < 0:
        distances = np.abs(np.log(some[some >= centre] / centre))  # on this side of the median
        deviation = float(np.median(distances))
        steps = np.abs(np.diff(np.log(np.abs(top))))
        clear = steps >= max(math.log(RATIO), DEVIATIONS * deviation)
        far |= clear & (counts * steps >= 2 * SURE * deviation) & (deviation > 0)
    found = np.flatnonzero(far & (counts >= FEWEST) & np.isfinite(gaps))
    return int(counts[found[0]]) if len(found) else 0


def _grouped(feature: Feature, rest: Array, group: Array) -> Finding:
    count = counted(len(group), "value")
    share = 100 * len(group) / (len(group) + len(rest))
    ranges = [f"{number(part.min())} to {number(part.max())}" for part in (group, rest)]
    how = _unit(rest, group)
    lost = ", as if they had lost their decimal point or were in another unit"
    seems = f"{lost}: {how} they are like the others" if how else ""
    return Finding(
        f"the column {feature.name!r} has {count} from {ranges[0]} ({share:.2g} % of them), but "
        f"all others are from {ranges[1]}{seems}",
        "look at these rows, whether a decimal point is lost or the unit is another; correct them",
        where=f"column {feature.name!r}",
        count=len(group),
        why="as numbers they outweigh all others",
    )


def _unit(rest: Array, group: Array) -> str:
    """How the group becomes like the rest, in words; empty if by no power of ten."""
    low, high = np.quantile(rest, [0.05, 0.95])
    middle = float(np.median(group))
    for unit in UNITS:
        for word, value in (("divided", middle / unit), ("multiplied", middle * unit)):
            if low <= value <= high:
                return f"{word} by {unit:,}"
    return ""


def _alone(data: Dataset, feature: Feature, values: Array) -> tuple[list[Finding], Array]:
    """The findings of single values, and the other values."""
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
    return found, values


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

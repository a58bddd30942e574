"""Leakage: columns that are copies of the target, or that alone decide it."""

from __future__ import annotations

import math

import numpy as np

from linnet.core.text import figure
from linnet.data.dataset import Dataset
from linnet.data.split import Split
from linnet.insight.checks._look import (
    CHANCE,
    Array,
    Feature,
    Target,
    features,
    leave_out,
    log_chance,
    pairs,
    sample,
    targets,
)
from linnet.insight.checks.finding import Finding

FEW = 10
"""A column of numbers with at most this many different values, or at most as many as there are
classes, may encode classes. With more values it may be a measurement that separates classes."""

DECIDED = 0.999
"""A column decides the class if it gives the class of at least this share of the rows."""

UNDECIDED = 0.01
"""Of the rows outside the largest class, at most this share may be wrong: if one class is rare, any
column is right for nearly all rows."""

EXACT = 1e-5
"""A linear relation is exact if all rows are within this share of the target's interquartile range:
the accuracy of float32 and of numbers with seven digits."""

ALIKE = 0.9999
"""A larger correlation means a rounded copy."""

WHY = "a model would copy the answer from it, but in real use the answer is not known"


def leakage(data: Dataset, split: Split | None) -> list[Finding]:
    """At most one finding for each column.

    It uses all rows. Results that a shuffled target would also show are not reported
    (``log_chance``), so a small table gives no finding. A copy stops the training only if at least
    half of its rows have a value, and if there are other columns.
    """
    several = targets(data)
    limit = math.log(CHANCE / max(1, len(data.schema.columns) * len(several)))
    found = []
    for feature in features(data):
        known = ~np.isnan(feature.values)
        for target in several:
            with np.errstate(all="ignore"):
                leak = _leak(feature, known, target, limit)
            if leak is None:
                continue
            what, copy = leak
            stops = copy and 2 * int(known.sum()) >= len(data) and len(data.schema.columns) > 1
            found.append(
                Finding(
                    what + ("" if known.all() or not copy else ", where it is not missing"),
                    leave_out(data, feature.name)
                    + ("" if copy else ", unless it is really known before the target"),
                    "stop" if stops else "warning",
                    where=f"column {feature.name!r}",
                    count=int(known.sum()),
                    why=WHY,
                )
            )
            break
    return found


def _leak(feature: Feature, known: Array, target: Target, limit: float) -> tuple[str, bool] | None:
    """How the column reveals the target, in words, and whether it is a copy; else None."""
    values = _few(feature, known, max(FEW, len(target.classes)))
    if values is not None:
        different, codes = values
        found = _by_codes(feature, different, codes, target, limit)
    else:
        found = _by_absence(feature, known, target, limit)
    if found is not None or target.classes or feature.kind == "category":
        return found
    x, y = feature.values, target.values
    if not known.all():
        x, y = x[known], y[known]
    if len(x) < 2:
        return None
    found = _by_line(feature, x, target, y) if values is None else None
    return found or _by_order(feature, x, target, y, limit)


def _few(feature: Feature, known: Array, most: int) -> tuple[Array, Array] | None:
    """The different values, and the code (rows,) of each row; missing rows have the next code. None
    for a column of numbers with more than ``most`` values."""
    values = feature.values
    if feature.kind == "category":
        count = len(feature.categories)
        codes = np.where(known, values, count).astype(np.int64)
        return np.arange(count, dtype=np.float64), codes
    present = values if known.all() else values[known]
    different = np.unique(present[sample(len(present))])
    if len(different) <= most:
        others = present[~np.isin(present, different)]
        different = np.union1d(different, others)
    if not 0 < len(different) <= most:
        return None
    return different, np.searchsorted(different, values)  # NaN comes last


def _by_codes(
    feature: Feature, different: Array, codes: Array, target: Target, limit: float
) -> tuple[str, bool] | None:
    if not target.classes and 2 * target.count > len(codes):
        return None  # numbers that hardly repeat: few values cannot decide them
    rows, columns, counts = pairs(codes, target.codes, len(different) + 1, target.count)
    there = rows < len(different)
    one, other = rows[there], columns[there]
    if len(one) > 1 and _once(one) and _once(other):
        ways = math.lgamma(len(one) + 1)  # the number of ways to rename
        if log_chance(one, other, counts[there]) + ways < limit:
            return _renamed(feature, different[one], target, other), True
    right = _decided(rows, columns, counts, target, limit)
    if right is None:
        return None
    return f"the column {feature.name!r} alone gives the target {target.name!r} {right}", False


def _renamed(feature: Feature, values: Array, target: Target, codes: Array) -> str:
    names = [(feature.label(v), target.label(c)) for v, c in zip(values, codes, strict=True)]
    what = f"the column {feature.name!r} is the target {target.name!r}"
    if all(mine == theirs for mine, theirs in names):
        return f"{what} once more"
    shown = ", ".join(f"{mine!r} is {theirs!r}" for mine, theirs in names[:3])
    return f"{what} under another name: {shown}{', ...' if len(names) > 3 else ''}"


def _by_absence(
    feature: Feature, known: Array, target: Target, limit: float
) -> tuple[str, bool] | None:
    """Whether it decides the target that the value is missing."""
    if known.all() or not target.classes:
        return None
    table = pairs((~known).astype(np.int64), target.codes, 2, target.count)
    right = _decided(*table, target, limit)
    if right is None:
        return None
    what = f"whether the column {feature.name!r} is missing gives the target {target.name!r}"
    return f"{what} {right}", False


def _once(codes: Array) -> bool:
    return len(np.unique(codes)) == len(codes)


def _decided(
    rows: Array, columns: Array, counts: Array, target: Target, limit: float
) -> str | None:
    """In words: for how many rows the code in ``rows`` decides the target; None unless for nearly
    all.

    A code with a single row does not count. The probability by chance is that of all tables with so
    few errors: one class for each code, and any other class for each wrong row.
    """
    sizes = np.bincount(rows, weights=counts)
    best = np.zeros(len(sizes))
    np.maximum.at(best, rows, counts)
    total = int(counts.sum())
    wrong = total - int(best[sizes > 1].sum())
    rest = total - int(np.bincount(columns, weights=counts).max())
    if not rest or wrong > (1 - DECIDED) * total or wrong > UNDECIDED * rest:
        return None
    ways = np.count_nonzero(sizes) * math.log(target.count)
    ways += wrong * math.log(total * target.count)
    if log_chance(rows, columns, counts) + ways >= limit:
        return None
    return f"in {total - wrong:,} of {total:,} rows"


def _by_line(feature: Feature, x: Array, target: Target, y: Array) -> tuple[str, bool] | None:
    """A column that is a linear function of the target, exactly or nearly."""
    some = sample(len(x))
    if not abs(_line(x[some], y[some])[0]) > ALIKE - 1e-3:
        return None
    correlation, slope, left = _line(x, y)
    low, high = np.quantile(y, (0.25, 0.75))
    scale = float(high - low) or float(y.std())
    what = f"the column {feature.name!r} is"
    if np.abs(left).max() <= EXACT * scale:
        start = float(y.mean() - slope * x.mean())
        start = 0.0 if abs(start) <= EXACT * scale else start
        if abs(slope - 1) <= EXACT and not start:
            return f"{what} the target {target.name!r} once more", True
        sign = "-" if start < 0 else "+"
        formula = f"{figure(slope, 6)} times it" + (
            f" {sign} {figure(abs(start), 6)}" if start else ""
        )
        return f"{what} the target {target.name!r} in another unit (the target is {formula})", True
    if abs(correlation) > ALIKE:
        return f"{what} nearly the target {target.name!r} (correlation {correlation:.6f})", False
    return None


def _line(x: Array, y: Array) -> tuple[float, float, Array]:
    """The correlation, and the slope and residuals of the least-squares line from x to y."""
    x, y = x - x.mean(), y - y.mean()
    xx, xy, yy = float(x @ x), float(x @ y), float(y @ y)
    if not (0 < xx < math.inf and 0 < yy < math.inf):
        return 0.0, 0.0, y
    return xy / math.sqrt(xx) / math.sqrt(yy), xy / xx, y - xy / xx * x


def _by_order(
    feature: Feature, x: Array, target: Target, y: Array, limit: float
) -> tuple[str, bool] | None:
    """A column in the order of the target: such as its logarithm, its square, or its bin."""
    for sign in (1, -1):
        some = sample(len(x))
        if not (_ordered(x[some], sign * y[some]) and _ordered(x, sign * y)):
            continue
        one, two = (np.unique(each, return_inverse=True)[1] for each in (x, y))
        table = pairs(one, two, len(x), len(x))
        if log_chance(*table) + math.log(2) < limit:
            order = "same order" if sign > 0 else "opposite order"
            return (
                f"the column {feature.name!r} has the {order} of all rows as the target "
                f"{target.name!r}",
                False,
            )
    return None


def _ordered(x: Array, y: Array) -> bool:
    """Whether the rows can be ordered so that neither array ever decreases."""
    return bool((np.diff(y[np.lexsort((y, x))]) >= 0).all())

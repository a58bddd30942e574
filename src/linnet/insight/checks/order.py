"""Rows whose order depends on the target."""

from __future__ import annotations

import math

import numpy as np

from linnet.data.dataset import Dataset
from linnet.data.split import Split
from linnet.insight.checks._look import CHANCE, Array, Target, log_chance, pairs, targets
from linnet.insight.checks.finding import Finding

PAIRS = 50
"""With fewer pairs of neighbours, only sorted rows are reported."""

GAIN = 0.1
"""A note if the neighbour predicts this much larger a share of the rows correctly."""

ALIKE = 0.5
"""A note if the correlation of neighbours is larger."""

SURE = 5
"""The required distance from chance, in standard deviations."""

MAX_CLASSES = 1_000
"""With more classes the table of neighbours would be too large."""


def order(data: Dataset, split: Split | None) -> list[Finding]:
    """At most one note: rows are shuffled before a fit, so the order alone does no harm.

    The data's own test part is not checked. Pictures sorted by class are normal for a folder.
    """
    if data.division is not None and data.division.kind == "time":
        return []
    rows = len(data) - data.test_rows
    for target in targets(data):
        values = target.values[:rows]
        with np.errstate(all="ignore"):
            if target.classes:
                what = _blocks(target, values, pictures=data.schema.example == "picture")
            else:
                what = _slope(target, values)
        if what:
            remedy = "nothing to do, because rows are shuffled"
            if data.schema.example == "record":
                remedy += ", unless they are ordered by time or groups (time=COLUMN, group=COLUMN)"
            return [
                Finding(
                    what,
                    remedy,
                    "note",
                    where="the order of rows",
                    count=rows,
                    why="a part cut off at the end would differ from the rest",
                )
            ]
    return []


def _blocks(target: Target, codes: Array, *, pictures: bool) -> str:
    if len(codes) < 2:
        return ""
    changes = np.count_nonzero(np.diff(codes))
    classes = len(np.unique(codes))
    if classes > 1 and changes == classes - 1:
        ways = math.lgamma(classes + 1)
        if _shuffled(codes) + ways < math.log(CHANCE):
            what = f"the rows are sorted by the target {target.name!r}, class by class"
            return "" if pictures else what
    count = target.count
    if len(codes) // 2 < PAIRS or count > MAX_CLASSES:
        return ""
    before, after = codes[:-1], codes[1:]
    table = np.bincount(before[::2] * count + after[::2], minlength=count**2)
    guesses = table.reshape(count, count).argmax(axis=1)[before[1::2]]
    right = float((guesses == after[1::2]).mean())
    base = float(np.bincount(after[1::2]).max()) / len(guesses)
    if right - base <= GAIN or (right - base) * 2 * math.sqrt(len(guesses)) <= SURE:
        return ""
    return (
        f"the class of a row predicts that of the next in {100 * right:.1f} % of the rows; the "
        f"most frequent class alone gives {100 * base:.1f} %"
    )


def _slope(target: Target, y: Array) -> str:
    if len(y) < 2:
        return ""
    steps = np.diff(y)
    if ((steps >= 0).all() or (steps <= 0).all()) and y[0] != y[-1]:
        codes = np.unique(y, return_inverse=True)[1]
        if _shuffled(codes) + math.log(2) < math.log(CHANCE):
            return f"the rows are sorted by the target {target.name!r}"
    if len(y) < PAIRS:
        return ""
    one, two = y[:-1] - y[:-1].mean(), y[1:] - y[1:].mean()
    alike = float(one @ two) / math.sqrt(float(one @ one) or math.inf)
    alike /= math.sqrt(float(two @ two) or math.inf)
    if not (alike > ALIKE and alike * math.sqrt(len(y)) > SURE):
        return ""
    return (
        f"the target {target.name!r} of a row is similar to that of the row before (correlation "
        f"{alike:.2f})"
    )


def _shuffled(codes: Array) -> float:
    """The log of the probability that shuffled rows have this order."""
    rows = np.arange(len(codes))
    return log_chance(*pairs(rows, codes, len(codes), int(codes.max()) + 1))

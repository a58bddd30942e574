"""Drift: a test part that differs from training, column by column."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from linnet.core.text import figure, listed
from linnet.data.dataset import Dataset
from linnet.data.reading import Kind
from linnet.data.split import Split
from linnet.insight.checks._look import CHANCE, Array, Feature, features, sample, targets
from linnet.insight.checks.finding import Finding

ROWS = 5_000
"""The most rows of each part that are compared, evenly spread."""

PICTURES = 1_000
"""The most pictures of each part whose brightness is compared."""

STRONG = 0.25
"""A larger distance is a warning. It is that of two normal distributions whose means differ by 0.64
standard deviations: their Kolmogorov-Smirnov distance is 2 Phi(d / 2) - 1."""

WORTH = 0.1
"""A larger distance is a note: 0.25 standard deviations."""


def drift(data: Dataset, split: Split | None) -> list[Finding]:
    """The distance between training and test for each column, for the target, for brightness.

    The distance is the largest difference between the shares of rows up to a value
    (Kolmogorov-Smirnov); for categories, between the shares of any set of categories (total
    variation). Missing counts as a value. With probability p, two random parts of one whole differ
    by more than sqrt(log(2 / p) (1/n + 1/m) / 2) (Smirnov 1948; for k categories with log(2^k / p),
    Weissman and others 2003). Smaller distances are not reported.
    """
    if split is None or not len(split.train) or not len(split.test):
        return []
    log_p = math.log(CHANCE / (len(data.schema.columns) + len(data.schema.targets)))
    apart: list[tuple[float, str]] = []
    for what, feature, train, test in _compared(data, split):
        far, shown, ways = _distance(feature, train, test)
        spread = (1 / len(train) + 1 / len(test)) / 2
        if far > max(WORTH, math.sqrt((ways - log_p) * spread)):
            apart.append((far, f"{what}{shown}"))
    apart.sort(key=lambda pair: -pair[0])
    found = []
    for severity, some in (
        ("warning", [pair for pair in apart if pair[0] >= STRONG]),
        ("note", [pair for pair in apart if pair[0] < STRONG]),
    ):
        if some:
            others = f", and {len(some) - 1:,} more" if len(some) > 1 else ""
            found.append(
                Finding(
                    f"the test part is not like training in {some[0][1]}{others}",
                    "check how the parts were made: a score is valid only for rows like those of "
                    "the test part",
                    "warning" if severity == "warning" else "note",
                    where="test part; distance (0 to 1): "
                    + listed([f"{far:.2f} in {what.split(' (')[0]}" for far, what in some], 8),
                    count=len(some),
                    why="a pattern of the training rows may not hold there",
                )
            )
    return found


def _compared(data: Dataset, split: Split) -> Iterator[tuple[str, Feature, Array, Array]]:
    """Each compared quantity: its name, and its values in training and in test."""
    most = PICTURES if data.schema.example == "picture" else ROWS
    train, test = (rows.numpy()[sample(len(rows), most)] for rows in (split.train, split.test))
    timed = data.division if data.division and data.division.kind == "time" else None
    for feature in features(data):
        if not (
            timed and (feature.kind == "date" or feature.name == timed.column)
        ):  # time moves on
            column = f"the column {feature.name!r}"
            yield column, feature, feature.values[train], feature.values[test]
    for target in targets(data):
        kind: Kind = "category" if target.classes else "number"
        feature = Feature(target.name, kind, target.values, target.classes)
        what = f"the target {target.name!r}"
        yield what, feature, target.values[train], target.values[test]
    if data.schema.example == "picture":
        x = data.x.numpy()
        bright = [np.array([x[row].mean() for row in rows]) for rows in (train, test)]
        yield "brightness", Feature("brightness", "number", bright[0]), bright[0], bright[1]


def _distance(feature: Feature, train: Array, test: Array) -> tuple[float, str, float]:
    """The distance, an example in words, and the log of the number of possible comparisons."""
    if feature.kind == "category":
        count = len(feature.categories) + 1
        one, two = (
            np.bincount(np.where(np.isnan(v), count - 1, v).astype(np.int64), minlength=count)
            / len(v)
            for v in (train, test)
        )
        most = int(np.abs(one - two).argmax())
        label = "missing" if most == count - 1 else repr(feature.label(most))
        shown = f" ({label}: {100 * one[most]:.3g} % and {100 * two[most]:.3g} % of the rows)"
        return float(np.abs(one - two).sum()) / 2, shown, np.count_nonzero(one + two) * math.log(2)
    train, test = (np.sort(np.where(np.isnan(v), np.inf, v)) for v in (train, test))
    values = np.concatenate([train, test])
    shares = [np.searchsorted(v, values, "right") / len(v) for v in (train, test)]
    middles = [float(v[len(v) // 2]) for v in (train, test)]
    shown = ""
    if feature.kind == "number" and middles[0] != middles[1] and np.isfinite(middles).all():
        shown = f" (median {figure(middles[0])} and {figure(middles[1])})"
    return float(np.abs(shares[0] - shares[1]).max()), shown, math.log(2)

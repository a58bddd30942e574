"""Which model of a run predicts: the simplest of those that are as good as the best.

The rule is that of one standard error (Breiman, Friedman, Olshen and Stone 1984, "Classification
and Regression Trees", section 3.4.3), for paired losses: a simpler model is chosen if its mean loss
is above the lowest one by at most one standard error of the mean difference. The losses are those
of rows from which no model learned: the validation rows, or with folds each training row by the
models of the other folds. Test rows have no part in it.

``benchmarks/tables/rule.py`` counts how often the rule errs. If line and net are equally good, the
net is chosen in 16 of 100 cases; by the lowest loss alone, in 49. A net that is better by one, two
or three standard errors is chosen in 51, 86 and 98 of 100, one that is worse by one in 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from linnet.core.language import tr
from linnet.core.statistics import of_error

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

ERRORS = 1.0
"""The standard errors by which a simpler model may be behind."""


class Choice(NamedTuple):
    """The chosen model, the one with the lowest loss, and by how much the chosen one is ``behind``
    it, with the standard ``error`` of this difference."""

    model: str
    lowest: str
    behind: float
    error: float

    def plain(self) -> dict[str, Any]:
        """The choice as a part of ``metrics.json``."""
        return {"lowest": self.lowest, "behind": self.behind, "standard_error": self.error}


def choose(
    losses: Mapping[str, Array], groups: Array | None = None, weight: Array | None = None
) -> Choice:
    """The choice by the ``losses`` of each model, (rows,) of the same rows, the simplest model
    first. ``groups`` (rows,) are the codes of rows that may depend on each other, ``weight``
    (rows,) the weights of the rows.

    A model whose mean loss is not finite is not chosen, unless none is finite: then it is the
    first.
    """
    means = {name: _mean(each, weight) for name, each in losses.items()}
    lowest = min(means, key=lambda name: means[name])
    if not math.isfinite(means[lowest]):
        return Choice(next(iter(losses)), next(iter(losses)), 0.0, 0.0)
    for name, each in losses.items():
        if name == lowest:
            break
        if not math.isfinite(means[name]):
            continue
        error = of_error(each - losses[lowest], groups, weight)
        if means[name] - means[lowest] <= ERRORS * error:
            return Choice(name, lowest, means[name] - means[lowest], error)
    return Choice(lowest, lowest, 0.0, 0.0)


def _mean(losses: Array, weight: Array | None) -> float:
    """The mean loss; infinite if it is not a number."""
    mean = float(np.average(losses, weights=weight))
    return mean if math.isfinite(mean) else math.inf


def simplest(models: Sequence[str], line: str) -> list[str]:
    """The models, the simplest first: the line, then the others as they are."""
    return sorted(models, key=lambda name: name != line)


def by_folds(metrics: Mapping[str, Any]) -> bool:
    """Whether the validation scores in ``metrics.json`` are of training rows, out of fold."""
    every = metrics["models"].values()
    return any((each.get("valid") or {}).get("by") == "folds" for each in every)


def words(choice: Mapping[str, Any]) -> str:
    """How a model was chosen, by ``metrics.json``: "chosen by validation loss"."""
    if choice.get("by") == "folds":
        return tr("chosen by out-of-fold loss")
    if choice.get("by") == "validation":
        return tr("chosen by validation loss")
    return tr("chosen as the first model")

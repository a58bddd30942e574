"""Where to cut: for two classes, what each threshold of the probability costs.

A row is called positive, the second class, if its probability is at least the threshold. The curves
are scikit-learn's: ROC (share of the negative rows called positive, share of the positive rows
called so) and precision against recall; the area under the ROC curve is the probability that a
positive row has the higher probability (Hanley and McNeil 1982, Radiology 143, 29-36), and the
average precision is the step-wise area under the other one.

A threshold is *chosen* on rows that taught no model (validation rows, or out of fold), and scored
once on test rows. Probabilities stay as they are: a cost has its own threshold even where they are
right, cost(false positive) / (cost(false positive) + cost(false negative)) (Elkan 2001, "The
foundations of cost-sensitive learning", IJCAI).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from linnet.core.statistics import of_mean
from linnet.core.text import percent
from linnet.errors import InputError

Array = np.ndarray[Any, Any]

By = Literal["f1", "cost"]

GRID = tuple(number / 20 for number in range(1, 20))
"""The thresholds of the table."""

MOST_POINTS = 400
"""The most points of a curve that is stored: evenly taken along it, with both ends."""


class Costs(NamedTuple):
    """What one wrong row costs: a negative row called positive, and a positive one called
    negative."""

    false_positive: float = 1.0
    false_negative: float = 1.0

    def checked(self) -> Costs:
        """Itself; raises ``InputError`` for costs that are negative, not finite, or both 0."""
        if not all(np.isfinite(cost) and cost >= 0 for cost in self) or not any(self):
            raise InputError(
                f"costs are numbers from 0, one of them above; these are {self[0]}, {self[1]}"
            )
        return self


EQUAL = Costs()


class Cut(NamedTuple):
    """What one threshold does: counts of rows, and scores, 0 to 1. ``precision`` is 0 if no row is
    called positive, ``recall`` if none is; ``cost`` is the mean cost of a row."""

    threshold: float
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    cost: float

    @property
    def precision(self) -> float:
        """The share of the rows called positive that are."""
        called = self.true_positive + self.false_positive
        return self.true_positive / called if called else 0.0

    @property
    def recall(self) -> float:
        """The share of the positive rows that are called so."""
        positive = self.true_positive + self.false_negative
        return self.true_positive / positive if positive else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN)."""
        whole = 2 * self.true_positive + self.false_positive + self.false_negative
        return 2 * self.true_positive / whole if whole else 0.0

    @property
    def accuracy(self) -> float:
        """The share of rows that are called right."""
        return (self.true_positive + self.true_negative) / sum(self[1:5])

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON, with the scores."""
        more = {key: getattr(self, key) for key in ("precision", "recall", "f1", "accuracy")}
        return {**self._asdict(), **more}


def cut_at(y: Array, p: Array, threshold: float | Array, costs: Costs = EQUAL) -> Cut:
    """What a threshold does to rows: ``y`` (rows,) is true or 1 for positive rows, ``p`` (rows,)
    their probability of it. Of a threshold for each row, (rows,), the mean is named."""
    y, p = _checked(y, p)
    called = p >= threshold
    right, wrong = int((called & y).sum()), int((called & ~y).sum())
    missed = int((~called & y).sum())
    cost = (costs.false_positive * wrong + costs.false_negative * missed) / len(y)
    at = float(np.mean(threshold))
    return Cut(at, right, wrong, missed, len(y) - right - wrong - missed, cost)


def table(
    y: Array, p: Array, costs: Costs = EQUAL, thresholds: tuple[float, ...] = GRID
) -> list[Cut]:
    """What each of some thresholds does; ``y`` and ``p`` are (rows,)."""
    return [cut_at(y, p, threshold, costs) for threshold in thresholds]


@dataclass(frozen=True)
class Choice:
    """A chosen threshold: ``by`` F1 or cost, and what it does to the rows by which it was
    chosen; ``half`` is what 0.5 does to them."""

    by: By
    costs: Costs
    chosen: Cut
    half: Cut
    rows: int

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON."""
        return {
            "by": self.by, "costs": list(self.costs), "rows": self.rows,
            "chosen": self.chosen.plain(), "half": self.half.plain(),
        }  # fmt: skip


def choose(y: Array, p: Array, by: By = "f1", costs: Costs = EQUAL) -> Choice:
    """The threshold with the largest F1, or the smallest cost, of rows that taught no model: ``y``
    (rows,) is true for positive rows, ``p`` (rows,) their probability of it.

    All thresholds between two neighbouring probabilities do the same; the one in the middle is
    taken. Of several that are equally good it is the one nearest to 0.5. Raises ``InputError`` if
    the rows are of one class.
    """
    y, p = _checked(y, p)
    if by not in ("f1", "cost"):
        raise InputError(f'a threshold is chosen by "f1" or "cost", not by "{by}"')
    costs = costs.checked()
    if y.all() or not y.any():
        raise InputError("a threshold needs rows of both classes to be chosen by")
    order = np.argsort(-p, kind="stable")
    values = p[order]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)  # of equal ones
    right = np.concatenate([[0], y[order].cumsum()[last]])
    called = np.concatenate([[0], last + 1])
    wrong, missed = called - right, y.sum() - right
    if by == "f1":
        good = 2 * right / (2 * right + wrong + missed)
    else:
        good = -(costs.false_positive * wrong + costs.false_negative * missed)
    lowest = np.concatenate([[np.inf], values[last]])  # the least probability called positive
    below = np.append(lowest[1:], -np.inf)  # the largest one that is not
    middle = _between(lowest, below)
    best = np.flatnonzero(good >= good.max() - 1e-12 * max(1.0, float(np.abs(good).max())))
    threshold = float(middle[best[np.abs(middle[best] - 0.5).argmin()]])
    half = cut_at(y, p, 0.5, costs)
    return Choice(by, costs, cut_at(y, p, threshold, costs), half, len(y))


def _between(lowest: Array, below: Array) -> Array:
    """A threshold for each place between two probabilities, (places,): 0.5 if it lies there, else
    the middle; above the first and below the last one 1 or 0, or a little outside of them."""
    low = np.where(np.isfinite(below), below, np.minimum(lowest, 0.0))
    high = np.where(np.isfinite(lowest), lowest, np.maximum(np.nextafter(below, 2), 1.0))
    middle = low + (high - low) / 2
    middle = np.where(middle > low, middle, high)
    return np.where((low < 0.5) & (high >= 0.5), 0.5, np.where(np.isfinite(below), middle, low))


class Tested(NamedTuple):
    """What a chosen threshold does to test rows, with the 95 % interval of its F1 and of its mean
    cost; and what 0.5 does."""

    chosen: Cut
    f1_interval: tuple[float, float]
    cost_interval: tuple[float, float]
    half: Cut

    def words(self, by: By) -> str:
        """The test score of the threshold beside that of 0.5."""
        at = f"at {self.chosen.threshold:.3g}"
        if by == "f1":
            low, high = self.f1_interval
            return (
                f"F1 {percent(self.chosen.f1)} ({100 * low:.2f} to {100 * high:.2f}) {at}, "
                f"{percent(self.half.f1)} at 0.5"
            )
        low, high = self.cost_interval
        return (
            f"mean cost {self.chosen.cost:.4g} ({low:.4g} to {high:.4g}) {at}, "
            f"{self.half.cost:.4g} at 0.5"
        )

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON."""
        return {
            "chosen": self.chosen.plain(), "half": self.half.plain(),
            "f1_interval": list(self.f1_interval), "cost_interval": list(self.cost_interval),
        }  # fmt: skip


def score(
    y: Array,
    p: Array,
    threshold: float | Array,
    costs: Costs = EQUAL,
    groups: Array | None = None,
    spread: float = 1.0,
) -> Tested:
    """The scores of a threshold, one or one for each row, on rows that did not choose it, (rows,)
    each.

    F1 is a ratio of two sums over rows, 2 TP and 2 TP + FP + FN; its interval is that of such a
    ratio (``linnet.core.statistics``), over ``groups`` (rows,) if rows depend on each other.
    """
    y, p = _checked(y, p)
    called = p >= threshold
    right, wrong, missed = called & y, called & ~y, ~called & y
    weight = 2.0 * right + wrong + missed
    low, high = of_mean(right.astype(np.float64), groups, weight, spread)
    cost = costs.false_positive * wrong + costs.false_negative * missed
    ends = of_mean(cost.astype(np.float64), groups, None, spread)
    return Tested(
        cut_at(y, p, threshold, costs), (max(0.0, float(low)), min(1.0, float(high))),
        (max(0.0, float(ends[0])), float(ends[1])), cut_at(y, p, 0.5, costs),
    )  # fmt: skip


@dataclass(frozen=True)
class Curves:
    """The ROC curve and the curve of precision against recall, (points,) each, with the thresholds
    at their points; ``area`` is that under the ROC curve, ``average`` the average precision, and
    ``positive`` the share of positive rows."""

    false_positive_rate: Array
    true_positive_rate: Array
    roc_thresholds: Array
    precision: Array
    recall: Array
    thresholds: Array
    area: float
    average: float
    positive: float
    rows: int

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON; ``Curves.parse`` is the inverse."""
        return {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in self.__dict__.items()
        }

    @classmethod
    def parse(cls, plain: Mapping[str, Any]) -> Curves:
        """From ``plain``."""
        told: dict[str, Any] = {
            key: np.array(plain[key], np.float64) if isinstance(plain[key], list) else plain[key]
            for key in cls.__dataclass_fields__
        }
        return cls(**told)


def curves(y: Array, p: Array, most: int = MOST_POINTS) -> Curves:
    """Both curves of rows (rows,), with at most ``most`` points. Raises ``InputError`` if the rows
    are of one class."""
    from sklearn import metrics

    y, p = _checked(y, p)
    if y.all() or not y.any():
        raise InputError("the ROC curve needs rows of both classes")
    wrong, right, at = metrics.roc_curve(y, p)
    precision, recall, cuts = metrics.precision_recall_curve(y, p)
    cuts = np.append(cuts, 1.0)  # the last point has recall 0
    at[0] = max(1.0, float(p.max()))  # scikit-learn has infinity there
    roc, pr = _places(wrong, right, most), _places(recall, precision, most)
    return Curves(
        wrong[roc], right[roc], at[roc], precision[pr], recall[pr], cuts[pr],
        float(metrics.roc_auc_score(y, p)), float(metrics.average_precision_score(y, p)),
        float(y.mean()), len(y),
    )  # fmt: skip


def _places(x: Array, y: Array, most: int) -> Array:
    """At most ``most`` points of a curve, evenly along its length, with both ends."""
    if len(x) <= most:
        return np.arange(len(x))
    along = np.concatenate([[0], (np.abs(np.diff(x)) + np.abs(np.diff(y))).cumsum()])
    return np.unique(np.searchsorted(along, np.linspace(0, along[-1], most)))


def _checked(y: Array, p: Array) -> tuple[Array, Array]:
    y, p = np.asarray(y).astype(bool), np.asarray(p, np.float64)
    if y.ndim != 1 or y.shape != p.shape or not len(y) or not np.isfinite(p).all():
        raise InputError(
            f"y is {y.shape} and p {p.shape}; expected both (rows,), and probabilities that are "
            "finite"
        )
    return y, p

"""Paired tests between models: all pairs of them, with Holm's correction.

The chance that one of several tests finds a difference where there is none is larger than that of
a single test. Holm's correction keeps it at 5 % over all pairs: the smallest of m p-values is
multiplied by m, the next by m - 1, and so on, and none is below one before it (Holm 1979, "A simple
sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 65-70).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from linnet.core.events import number
from linnet.core.language import marked, tr
from linnet.core.statistics import CONFIDENCE
from linnet.insight.claims import Chance, Comparisons, within
from linnet.insight.task import CHANCE, Predicted, Scores, Task, Told, claimed, task_of

if TYPE_CHECKING:
    from torch import Tensor

    from linnet.data.dataset import Dataset

YARDSTICK, YARDSTICK_TITLE = "trees", marked("boosted trees")
"""The name and the title of the yardstick (``linnet.insight.yardstick``), which is compared with
the models and is none of them."""

YARDSTICK_ABOUT = marked(
    "boosted trees of scikit-learn on the same training rows; never chosen, not saved"
)


def compare(
    data: Dataset, predictions: Mapping[str, Predicted], fold: Tensor | None = None
) -> list[Scores]:
    """The paired test of each pair of models on the rows of ``data``.

    ``predictions`` are by model, the simplest first. ``pair`` are two models, the simpler one
    second; ``better`` is the one with the better score, and missing if both are equal. ``p_value``
    is that of the pair alone, ``p_adjusted`` Holm's for all of them, on which ``significant``
    rests. ``why`` says why a difference is not significant: it may be chance, there are too few
    rows (groups, blocks) for any claim, or it rests on one of them alone. ``fold`` (rows,) are the
    folds of out-of-fold predictions.
    """
    found = []
    for simple, model in combinations(predictions, 2):
        one, other = predictions[model], predictions[simple]
        tested = task_of(one.objective).compare(data, one, other, fold)
        better = {1: {"better": model}, -1: {"better": simple}}.get(tested.pop("sign"), {})
        found.append({"pair": [model, simple], **better, **tested})
    for each, p in zip(found, holm([each["p_value"] for each in found]), strict=True):
        each["p_adjusted"] = p
        why = each.pop("why", None)
        each.pop("significant")
        each |= claimed(CHANCE if why is None and p >= 1 - CONFIDENCE else why)
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's p-values, in the same order."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def between(
    comparisons: Sequence[Mapping[str, Any]], one: str, other: str
) -> Mapping[str, Any] | None:
    """The comparison of two models; None if there is none."""
    return next((each for each in comparisons if {one, other} == set(each.get("pair", ()))), None)


def gain(comparison: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    """The comparison, with the ``difference`` above 0 where ``model`` is the better one."""
    if comparison["pair"][0] == model or "difference" not in comparison:
        return comparison
    ends = [-number(end) for end in comparison.get("difference_interval") or ()][::-1]
    return {
        **comparison,
        "difference": -number(comparison["difference"]),
        "difference_interval": ends,
    }


def certainty(task: Task, comparison: Mapping[str, Any], count: int, *, first: bool) -> Told:
    """How large and how certain a difference is, as figures of a sentence; ``count`` is the number
    of comparisons of the run. The ``first`` sentence that has a p-value says that it is Holm's."""
    size = task.change(comparison)
    p = Chance.of(comparison.get("p_adjusted" if count > 1 else "p_value"))
    if p is None or (size.form and count < 2):
        return size
    form = "{figure}" if size.form else tested(comparison)
    told = Told.of(form, "p", p)
    if count > 1 and first:
        many = {"comparisons": Comparisons(count)}
        form = within(tr("{p_value} after Holm's correction for {comparisons}"), p_value=told.form)
        told = Told(form, {**told.figures, **many})
    return size.and_(told)


def tested(comparison: Mapping[str, Any]) -> str:
    """The form of a p-value with the name of its test."""
    if comparison.get("test", "McNemar") == "McNemar":
        return tr("McNemar {figure}")
    return tr("paired t {figure}")


def correction(comparisons: Sequence[Any]) -> str:
    """What the p-values of a run are, in words; empty if there is no more than one."""
    if len(comparisons) < 2:
        return ""
    return tr("p-values after Holm's correction for {count} comparisons", count=len(comparisons))

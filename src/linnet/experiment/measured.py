"""What a run does once its models are fitted: the choice, thresholds, calibration, and the
yardstick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.data.weights import weigh, weighty
from linnet.fit.artifact import Artifact
from linnet.fit.prepare import Prepared
from linnet.insight import conformal, evaluation, yardstick
from linnet.insight.choice import Choice, choose, simplest
from linnet.insight.decision import ARGMAX, Decision
from linnet.insight.decision import choose as threshold
from linnet.insight.pairs import YARDSTICK
from linnet.insight.shares import MANY, by_rows
from linnet.networks import BASELINE, LINE
from linnet.objectives.base import Objective


def chosen(models: Mapping[str, Artifact], ready: Prepared) -> tuple[str, dict[str, Any]]:
    """The model that predicts, by the rule of ``linnet.insight.choice``, and how it was chosen, for
    ``metrics.json``: ``by`` "validation" or "folds" and the number of ``rows``. Without rows to
    choose by it is the first model after the baseline, and nothing is said."""
    names = simplest([name for name in models if name != BASELINE], LINE)
    held = {name: models[name].held for name in names}
    folds = all(raw is not None for raw in held.values())
    rows, valid = (ready.data.take(ready.parts[name]) for name in ("train", "valid"))
    if not folds and not len(valid):
        return next(name for name in models if name != BASELINE), {}
    train, valid = weigh(ready.recipe.class_weight, rows, valid)
    data = train if folds else valid
    if not len(data):
        return names[0], {}
    losses = {}
    for name in names:
        raw = held[name] if folds else evaluation.predict_raw(models[name].module, data.x)
        assert raw is not None
        if folds:  # rows of weight 0 are left out
            raw = raw[weighty(ready.recipe.class_weight, rows)]
        losses[name] = _losses(models[name], raw, data)
    units = data.units()
    found: Choice = choose(
        losses,
        None if units is None else units.codes,
        None if data.weight is None else data.weight.double().numpy(),
    )
    by = "folds" if folds else "validation"
    return found.model, {"by": by, "rows": len(data), **found.plain()}


def _losses(model: Artifact, raw: Tensor, data: Dataset) -> Any:
    """The loss of each row, (rows,)."""
    y = data.y.double() if data.y.is_floating_point() else data.y
    return by_rows(model.objective.loss, raw.double(), y).numpy()


class Measured(NamedTuple):
    """The yardstick of a run: the trees, their raw predictions of the test rows, and their scores;
    or why there is none."""

    trees: yardstick.Trees | None
    raw: Tensor | None
    scores: dict[str, Any]


def measured(ready: Prepared) -> Measured:
    """Fit and score the yardstick that the recipe names; ``scores`` are empty if it names none."""
    if ready.recipe.yardstick != YARDSTICK:
        return Measured(None, None, {})
    train, valid, test = (ready.data.take(ready.parts[n]) for n in ("train", "valid", "test"))
    if not len(test):
        return Measured(None, None, {})
    why = yardstick.why_not(train)
    if why is None:
        train, valid = weigh(ready.recipe.class_weight, train, valid)
        why = yardstick.why_not(train)
    if why is not None:
        return Measured(None, None, {"why": why})
    trees = yardstick.fit(train, ready.recipe.seed)
    raw = trees.predict_raw(test)
    scores: dict[str, Any] = {"test": evaluation.score(trees.objective, raw, test)}
    if len(valid):
        scores["valid"] = trees.measure(valid)
    scores["fit"] = {"seconds": round(trees.seconds, 3), "threads": trees.threads}
    return Measured(trees, raw, scores)


def decision(model: Artifact, ready: Prepared) -> Decision | None:
    """The rule by which a fitted model calls one of two classes, by the rows that chose it:
    validation rows, or training rows out of fold; None if it is the more probable one."""
    by = ready.recipe.decide
    if by == ARGMAX:
        return None
    folds = ready.fold is not None
    data = ready.data.take(ready.parts["train" if folds else "valid"])
    raw = model.held if folds else evaluation.predict_raw(model.module, data.x)
    assert raw is not None
    return threshold(by, ready.recipe.costs, model.objective, raw, data, folds=folds)


def calibration(
    schema: Schema, objective: Objective, raw: Tensor, test: Dataset, fold: Tensor | None
) -> dict[str, Any] | None:
    """What makes intervals or sets of a model's predictions, by raw predictions (rows, outputs) of
    the rows that test it, which chose nothing; as ``Run.intervals`` makes it. None of very many
    classes, and of predictions that are not finite."""
    if len(schema.classes) > MANY or not raw.isfinite().all():
        return None
    units = test.units()
    by = None if units is None else units.by
    folds = None if fold is None else fold.numpy()
    if objective.classifies:
        p = objective.probabilities(raw).numpy()
        found = conformal.classes(test.codes.numpy(), p, schema.names, by=by, fold=folds)
    else:
        numbers = objective.mean(raw).numpy()
        y = test.y.double().reshape(numbers.shape).numpy()
        found = conformal.numbers(y, numbers, schema.targets, by=by, fold=folds)
    return found.plain()

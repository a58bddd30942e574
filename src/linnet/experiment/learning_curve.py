"""Learning curve: would more data help? A run's models are fitted again on fewer training rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from linnet.core import files
from linnet.core.every import Every
from linnet.core.limits import MAX_CURVE
from linnet.core.parallel import World, choose_device
from linnet.core.randomness import generator
from linnet.core.record import Event, Record
from linnet.core.statistics import of_mean, of_share, of_size
from linnet.data.dataset import Dataset
from linnet.data.weights import weigh
from linnet.errors import InputError, LinnetError, LinnetWarning
from linnet.fit.artifact import Artifact
from linnet.fit.fit import fit
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only
from linnet.insight import evaluation
from linnet.insight.task import task_named
from linnet.networks import BASELINE
from linnet.networks import find as find_network
from linnet.runs import directory
from linnet.runs.curve import Change, Interval, LearningCurve, Point, Rests, belongs, read
from linnet.runs.resume import recipe_of
from linnet.runs.run import Run
from linnet.show import progress

PARTS = (8, 4, 2)
"""An eighth, a quarter and a half of the training rows."""

MIN_ROWS = 20
"""Parts with fewer rows are not fitted."""


def learning_curve(
    run: Run, *, data: Any = None, echo: Callable[[Event], None] | bool | None = None
) -> LearningCurve:
    """The scores of a run's models as a function of the number of training rows; saved in the run.

    Each model of the recipe is fitted on an eighth, a quarter and a half of the run's own training
    rows; each part contains the one before. The model for all rows is the run's. All are scored on
    the run's validation rows; the test rows are not used. Of a run by folds, one fold scores; the
    parts, and all rows, are those of the other folds, which choose. For each part, the columns, the
    scaling and the penalty are learned from its own rows. If the run has a learning curve already,
    it is returned.

    The data is read again from the run's source, or is ``data``; other data is refused. ``echo`` is
    as in ``linnet.train``: True shows progress; a function is called with every event of the fits.
    """
    found = read(run.place)
    if found is not None:
        if data is not None:
            run.draft(data)  # refuses other data
        return found
    if run.place != run.path:
        raise InputError(f"{run.path}: a zip is only read; unpack it and name its folder")
    recipe = recipe_of(run.place)
    _check(run, recipe, data)
    with progress.shown(echo) as heard:
        curve = _measure(run, recipe, data, heard)
    files.write_json(run.path / directory.LEARNING, curve.plain(), MAX_CURVE)
    return curve


def _check(run: Run, recipe: Recipe, data: Any) -> None:
    """Refuse a run that cannot have a learning curve."""
    if any(find_network(name).own for name in recipe.model):
        raise InputError(
            f"{run.path}: no learning curve for a module of your own: it cannot be fitted again, "
            "because a run does not keep its initial weights; for a learning curve of the line or "
            "of linnet's own nets, train with model=linear or model=mlp"
        )
    if "valid" not in run.metrics["models"][BASELINE]:
        raise InputError(
            f"{run.path}: a learning curve is scored on validation rows, and this run has none; "
            "train with valid=0.2 or more rows"
        )
    if _folds(run) == 2:
        raise InputError(
            f"{run.path}: a learning curve of a run by folds keeps one fold to score on and "
            "chooses by the others, and this run has two; train with folds=3 or more"
        )
    if data is None and run.info.get("data", {}).get("place") is None:
        raise InputError(
            f"{run.path}: it was trained on data in memory, which is needed again; in Python: "
            "linnet.experiment.learning_curve.learning_curve(linnet.Run(path), data=...)"
        )


def _folds(run: Run) -> int:
    """The number of folds of the training rows of a run; 1 if it has validation rows."""
    fold = directory.read_fold(run.place)
    return 1 if fold is None else int(fold.max()) + 1


def _rows(run: Run) -> tuple[Tensor, Tensor, Tensor | None]:
    """The rows to train on, those that score, and the fold of each row to train on. Of a run by
    folds the first fold scores, and the others choose, as the folds of the run did."""
    split, fold = run.split(), directory.read_fold(run.place)
    if fold is None:
        return split["train"], split["valid"], None
    return split["train"][fold > 0], split["train"][fold == 0], fold[fold > 0]


class _Scored(NamedTuple):
    """A point, and the loss of each validation row, (rows,)."""

    point: Point
    losses: Tensor


def _measure(
    run: Run, recipe: Recipe, data: Any, echo: Callable[[Event], None] | None
) -> LearningCurve:
    draft, (taught, scoring, fold) = run.draft(data), _rows(run)
    world = World(device=choose_device(recipe.device))
    train, valid = _encode(draft, taught, scoring, recipe)
    _, valid = weigh(recipe.class_weight, train, valid)
    models = (BASELINE, *recipe.model)
    task = task_named(train.schema.task)
    scored: dict[str, list[_Scored]] = {name: [] for name in models}
    notes = []
    drawn, parts = nested(train, recipe.seed)
    if fold is not None:  # no model of the run was fitted to these rows
        parts = [*parts, torch.arange(len(train))]
    units = valid.units()
    for rows in parts:
        missing = _missing(train, rows)
        if missing:
            notes.append(f"not fitted on {len(rows):,} rows: {missing}")
            continue
        own, held = _encode(draft, taught[rows], scoring, recipe)
        for name in models:
            each = same_steps(only(recipe, name), len(rows), len(train))
            record = Record(echo=None if echo is None else _named(echo, f"{name} on {len(rows):,}"))
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", LinnetWarning)  # the run has warned already
                    chooses = held if fold is None else fold[rows]
                    model = fit(each, own, chooses, world=world, record=record)
            except LinnetError as error:
                notes.append(f"{name} was not fitted on {len(rows):,} rows: {error}")
                continue
            scored[name].append(_score(model, held.x, valid, len(rows)))
    for name in models if fold is None else ():
        whole = _score(run.models[name], valid.x, valid, len(train))
        kept = run.metrics["models"][name]["valid"]
        score = task.of(kept)
        point = whole.point.model_copy(update={"loss": kept["loss"], "score": score})
        scored[name].append(_Scored(point, whole.losses))
    several = units is None or units.facts()["units"] > 1
    if not several:
        notes.append("no intervals: all validation rows are of one group, or of one time")
    return LearningCurve(
        of=belongs(run.place),
        score=task.score,
        valid_rows=len(valid),
        drawn=drawn,
        interval=None if units is None else Rests(**units.facts()),
        points={name: tuple(each.point for each in found) for name, found in scored.items()},
        changes={
            name: tuple(_change(before, found[-1], valid) for before in found[:-1] if several)
            for name, found in scored.items()
        },
        notes=tuple(notes),
    )


def _encode(
    draft: Dataset, train: Tensor, valid: Tensor, recipe: Recipe
) -> tuple[Dataset, Dataset]:
    """The rows ``train`` and ``valid``, encoded by what ``train`` alone teaches."""
    rows = draft.take(torch.cat([train, valid]))
    every = torch.arange(len(rows))
    encoded = rows.learn(every[: len(train)], recipe.max_categories, recipe.seed)
    return encoded.take(every[: len(train)]), encoded.take(every[len(train) :])


def nested(train: Dataset, seed: int) -> tuple[str, list[Tensor]]:
    """How parts of the rows of ``train`` are drawn, and for each part its sorted positions (rows,).
    The smallest part comes first; each part contains the one before.

    Classes keep their proportions, and each class has a row in every part that is large enough. If
    the rows were split by group, whole groups are drawn. If they were split by time, a part is the
    latest rows: then the time between training and validation rows is the same for all parts, and
    the curve shows the effect of more rows, not of older ones.
    """
    rows, division = len(train), train.division
    draws = generator(seed, "learning curve")
    if division is not None and division.kind != "split":
        values, place, sizes = division.values.unique(return_inverse=True, return_counts=True)
        latest = division.kind == "time"
        order = (
            torch.arange(len(values)).flip(0)
            if latest
            else torch.randperm(len(values), generator=draws)
        )
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(values))
        reached = sizes[order].cumsum(0)
        cuts = [int((reached - rows / part).abs().argmin()) for part in PARTS]
        parts = [torch.nonzero(rank[place] <= cut).flatten() for cut in cuts]
        drawn = "latest" if latest else "groups"
    else:
        order, drawn = torch.randperm(rows, generator=draws), "random"
        if train.schema.task == "classification":
            order, drawn = order[_by_class(train.codes[order])], "classes"
        parts = [order[: rows // part].sort().values for part in PARTS]
    sizes_of = {len(part): part for part in parts if len(part) < rows}
    return drawn, [part for size, part in sizes_of.items() if size]


def _by_class(codes: Tensor) -> Tensor:
    """An order of rows with class codes (rows,), such that the first k rows, for any k, have the
    classes in proportion: row i of the n rows of a class stands at i/n of the order."""
    by_class = codes.argsort(stable=True)
    sizes = codes.bincount()
    starts = sizes.cumsum(0) - sizes
    among = torch.arange(len(codes)) - starts[codes[by_class]]
    return by_class[(among.double() / sizes[codes[by_class]]).argsort(stable=True)]


def _missing(train: Dataset, rows: Tensor) -> str | None:
    """Why a part of the rows is too small to fit; None if it is not."""
    if len(rows) < MIN_ROWS:
        return f"fewer than {MIN_ROWS}"
    if train.schema.task == "classification":
        absent = set(train.codes.tolist()) - set(train.codes[rows].tolist())
        if absent:
            names = ", ".join(train.schema.names[code] for code in sorted(absent)[:5])
            return f"{len(absent)} classes have no row among them ({names})"
    return None


def same_steps(recipe: Recipe, rows: int, whole: int) -> Recipe:
    """The recipe of one model, changed so that training on ``rows`` rows has as many steps, and as
    many between evaluations, as on ``whole`` rows. So the curve shows the effect of more rows, not
    of longer training."""
    if find_network(recipe.model[0]).convex:
        return recipe
    assert isinstance(recipe.batch_size, int) and isinstance(recipe.epochs, int)
    before, now = (math.ceil(n / min(recipe.batch_size, n)) for n in (whole, rows))
    longer: dict[str, Any] = {
        "epochs": max(1, round(recipe.epochs * before / now)),
        "evaluate_every": Every(recipe.evaluate_every.steps(before), "steps"),
        "warmup": recipe.warmup * before / now,
    }
    if recipe.schedule == "step":
        longer["step_size"] = max(1, round(recipe.step_size * before / now))
    elif recipe.schedule == "exponential":
        longer["gamma"] = recipe.gamma ** (now / before)
    return recipe.model_copy(update=longer)


def _named(echo: Callable[[Event], None], name: str) -> Callable[[Event], None]:
    """``echo`` for the events of a fit under the model name ``name``. Findings are left out: the
    run has them already."""
    return lambda event: None if event["event"] == "finding" else echo({**event, "model": name})


def _score(model: Artifact, x: Tensor, valid: Dataset, rows: int) -> _Scored:
    """Score a model that was fitted on ``rows`` rows: ``x`` are the validation rows in the model's
    encoding, ``valid`` has their targets and weights."""
    objective = model.objective
    raw = evaluation.predict_raw(model.module, x)
    losses = objective.loss(raw, valid.y.double() if valid.y.is_floating_point() else valid.y)
    groups = _groups(valid)
    if objective.classifies:
        right = objective.probabilities(raw).argmax(1) == valid.codes
        score, interval = float(right.double().mean()), of_share(right.numpy(), groups)
    else:
        errors = (objective.mean(raw) - valid.y.double().reshape(raw.shape)).square().mean(1)
        low, high = of_size(errors.numpy(), groups)
        score, interval = float(errors.mean().sqrt()), (math.sqrt(low), math.sqrt(high))
    loss, loss_interval = _mean(losses, valid, sized=bool((losses >= 0).all()))
    point = Point(
        rows=rows,
        loss=loss,
        loss_interval=_known(loss_interval),
        score=score,
        score_interval=_known(interval),
        penalty=model.manifest.fit.get("penalty"),
    )
    return _Scored(point, losses)


def _change(before: _Scored, after: _Scored, valid: Dataset) -> Change:
    """The decrease of the loss between two points, on the same validation rows."""
    fall, interval = _mean(before.losses - after.losses, valid)
    return Change(
        before=before.point.rows,
        rows=after.point.rows,
        loss_before=before.point.loss,
        loss=after.point.loss,
        fall=fall,
        fall_interval=interval,
    )


def _mean(values: Tensor, valid: Dataset, sized: bool = False) -> tuple[float, Interval]:
    """The mean of ``values`` (rows,) of the validation rows by their weights, and its interval;
    ``sized`` if they are never below 0."""
    weight = None if valid.weight is None else valid.weight.double()
    mean = values.mean() if weight is None else values @ weight / weight.sum()
    weights = None if weight is None else weight.numpy()
    of = of_size if sized else of_mean
    return float(mean), of(values.numpy(), _groups(valid), weights)


def _known(interval: Interval) -> Interval | None:
    return interval if math.isfinite(interval[0] + interval[1]) else None


def _groups(valid: Dataset) -> Any:
    units = valid.units()
    return None if units is None else units.codes

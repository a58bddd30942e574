"""What a run's models look at, for whom they fail, where to cut, how wide their predictions are:
``insight/`` on the run's test rows, and the file that keeps it when the data is gone."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from linnet.core import files
from linnet.core.files import Place
from linnet.core.language import tr
from linnet.core.limits import MAX_FOLDS, Limit
from linnet.errors import DataError, InputError, LinnetError
from linnet.networks import LINE
from linnet.runs import directory
from linnet.runs.curve import belongs

if TYPE_CHECKING:
    from linnet.core.events import Coefficients
    from linnet.core.history import History
    from linnet.data.dataset import Dataset
    from linnet.data.split import Split
    from linnet.fit.artifact import Artifact, Manifest
    from linnet.insight.conformal import Calibration, Coverage, CrossCalibration, Sets
    from linnet.insight.dependence import Dependence
    from linnet.insight.importance import Importances, Part
    from linnet.insight.slices import Slices
    from linnet.insight.thresholds import Choice, Costs, Curves, Tested
    from linnet.runs.validation import Metrics, Test

Array = np.ndarray[Any, Any]


class Run(Protocol):
    """What is needed of a run: ``linnet.runs.run.Run`` is one."""

    path: Path
    place: Place

    @property
    def chosen(self) -> str: ...

    @property
    def scores(self) -> Metrics: ...

    @property
    def model(self) -> Artifact: ...

    @property
    def models(self) -> dict[str, Artifact]: ...

    def split(self) -> dict[str, Any]: ...

    def draft(self, data: Any = None, model: str | None = None) -> Dataset: ...

    def seen(self, data: Any = None) -> tuple[Dataset, Split] | None: ...

    def history(self) -> History: ...

    def _tested(self, model: str, call: str, key: str | None = None) -> Test: ...

    def _manifest(self, model: str) -> Manifest: ...

    def _predictions(self, model: str, folder: str = directory.PREDICTIONS) -> dict[str, Array]: ...


FORMAT = 1
FILE = "insight.json"

MAX_INSIGHT = Limit("MAX_INSIGHT", 16 << 20, 500_000)
"""``insight.json``: a dozen numbers for each column and for each shown slice of each model."""

SHOWN = 3
"""The most important columns whose dependence is kept."""

MOST_SLICES = 100

MOST_COEFFICIENTS = 100
"""The most coefficients of a path of penalties that are shown."""

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def models_of(run: Run) -> list[str]:
    """The models that are looked at: the line, and the chosen one last."""
    chosen = run.chosen
    names = [name for name in (LINE,) if name in run.scores.models and name != chosen]
    return [*names, chosen]


def test_rows(run: Run, data: Any = None) -> Dataset:
    """The rows that test the run, encoded by the chosen model, read again from the run's source or
    from ``data``: its test rows, or with ``test=folds`` all rows; of a run from a store those among
    the rows that the store kept as they were read (``seen``). Raises ``InputError`` if the run has
    none, ``DataError`` if it is not its data."""
    seen = run.seen(data)
    rows = run.split()["test"] if seen is None else seen[1].test
    if not len(rows) and _fold(run, run.chosen) is None:
        raise InputError(
            f"{run.path} has no test rows, and rows that taught the models say little of them: "
            "train with test=0.2"
        )
    draft = run.draft(data) if seen is None else seen[0]
    return (draft.take(rows) if len(rows) else draft).conform(run.model.schema)


def _fold(run: Run, model: str) -> Array | None:
    """The fold of each row of a run with ``test=folds``; None of other runs."""
    if not (run.place / directory.PREDICTIONS / f"{model}.parquet").is_file():
        return None
    fold = run._predictions(model).get("fold")
    return None if fold is None else _checked(fold)


def _checked(fold: Array) -> Array:
    """Folds (rows,) that are whole numbers from 0, without a gap."""
    if fold.dtype.kind not in "iu" or not len(fold) or int(fold.max()) >= MAX_FOLDS:
        raise InputError(f"the column fold does not hold whole numbers from 0 to {MAX_FOLDS - 1}")
    if not np.array_equal(np.unique(fold), np.arange(int(fold.max()) + 1)):
        raise InputError("the column fold does not name each fold from 0 to the last")
    return fold.astype(np.int64)


def fold_models(run: Run, model: str, folds: int) -> list[Artifact]:
    """The model of each fold of a run with ``test=folds``, fitted without it. Raises ``InputError``
    if the run has not kept them, as one of an earlier linnet."""
    from linnet.fit import artifact

    every = [run.place / directory.FOLDS / directory.model_of(k, model) for k in range(folds)]
    if not all(place.is_file() for place in every):
        raise InputError(
            f"{run.path}: its {directory.FOLDS}/ does not hold the model of each fold, which alone "
            "has not seen its rows: train it again with test=folds"
        )
    return [artifact.load(place) for place in every]


def _parts(run: Run, model: str, rows: Dataset, data: Any) -> list[Part]:
    """The rows that test a model, each by the model that it has not taught: all by one, or with
    ``test=folds`` each fold by its own."""
    from linnet.insight.importance import Part

    fold = _fold(run, model)
    if fold is None or len(run.split()["test"]):
        found = run.models[model]
        return [Part(found.module, rows.conform(found.schema), np.arange(len(rows)))]
    if len(fold) != len(rows):
        raise DataError(f"{run.path}: its predictions are of {len(fold):,} rows, not {len(rows):,}")
    import torch

    draft, parts = run.draft(data), []
    for number, found in enumerate(fold_models(run, model, int(fold.max()) + 1)):
        own = np.flatnonzero(fold == number)
        part = draft.take(torch.from_numpy(own)).conform(found.schema)
        parts.append(Part(found.module, part, own))
    return parts


def importance(run: Run, model: str, rows: Dataset, data: Any = None) -> Importances:
    """The permutation importance of a model's columns. With ``test=folds`` each fold exchanges
    values among its own rows, and the model that has not seen it predicts them."""
    from linnet.insight.importance import importance as work
    from linnet.insight.importance import over_folds

    found = run.models[model]
    seed = found.manifest.recipe.get("seed")
    seed = seed if isinstance(seed, int) else 0
    parts = _parts(run, model, rows, data)
    if len(parts) == 1:
        return work(found.module, found.objective, rows, seed=seed)
    return over_folds(parts, found.objective, rows, seed=seed)


def dependence(run: Run, columns: Sequence[str], rows: Dataset) -> Dependence:
    """The partial dependence of line and chosen model on one column, or on two."""
    from linnet.insight.dependence import Model, grid
    from linnet.insight.dependence import dependence as work

    if len(columns) not in (1, 2):
        raise InputError(f"dependence is on one column or on two, not on {len(columns)}")
    schema = run.model.schema
    points = 20 if len(columns) == 1 else 8
    grids = [grid(rows.x, schema, column, points) for column in columns]
    models = {
        name: Model(run.models[name].module, run.models[name].objective) for name in models_of(run)
    }
    return work(models, rows.x, schema, grids)


def slices(run: Run, model: str, rows: Dataset, data: Any = None) -> Slices:
    """The scores of a model by slice of the test rows, the worst first; with ``test=folds`` of all
    rows, each predicted by the model that has not seen its fold."""
    from linnet.core.statistics import out_of_fold
    from linnet.insight.importance import predicted
    from linnet.insight.slices import cuts_of
    from linnet.insight.slices import slices as work

    found, parts = run.models[model], _parts(run, model, rows, data)
    raw = predicted(parts, len(rows))
    folds = len(parts) if len(parts) > 1 else 0
    spread = out_of_fold(folds) if folds else 1.0
    told = work(found.objective, raw, rows, cuts_of(rows.x, found.schema), spread)
    return replace(told, folds=folds)


@dataclass(frozen=True)
class Threshold:
    """A threshold that was chosen on ``by_rows`` ("validation" or "out-of-fold") rows, and what it
    does to the test rows."""

    by_rows: str
    choice: Choice
    test: Tested

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON."""
        told = {"by_rows": self.by_rows, "choice": self.choice.plain(), "test": self.test.plain()}
        return {**told, "words": self.test.words(self.choice.by)}


def positive(run: Run, model: str) -> tuple[Array, Array, Array | None, str]:
    """Whether each test row is of the second of two classes, its probability, its group if rows
    depend on each other, and the name of this class. Raises ``InputError`` for other tasks."""
    classes = run._tested(model, "a threshold", "accuracy").classes or []
    if len(classes) != 2:
        raise InputError(f"a threshold is for two classes, and this run has {len(classes)}")
    found = run._predictions(model)
    p = _probabilities(run, found, 2)
    return found["y"] == classes[1], p[:, 1], found.get("group"), str(classes[1])


def _probabilities(run: Run, found: Mapping[str, Array], classes: int) -> Array:
    """The probabilities (rows, classes) among predictions."""
    if "top" in found:
        raise InputError(
            f"{classes:,} classes: a run keeps the largest probabilities alone, and a set needs "
            "all of them"
        )
    p = found.get("p")
    if p is None or p.shape[1] != classes:
        raise InputError(f"{run.path}: its predictions do not hold {classes} probabilities a row")
    return p


def roc(run: Run) -> dict[str, Curves]:
    """The ROC curve and precision against recall, by model."""
    from linnet.insight.thresholds import curves

    return {name: curves(*positive(run, name)[:2]) for name in models_of(run)}


def threshold(
    run: Run, model: str, by: Literal["f1", "cost"], costs: Costs, data: Any = None
) -> Threshold:
    """The threshold that validation rows choose, or training rows out of fold, and its scores on
    the test rows."""
    from linnet.core.statistics import out_of_fold
    from linnet.insight.thresholds import choose, score

    y, p, groups, name = positive(run, model)
    if (run.place / directory.HELD / f"{model}.parquet").is_file():
        held = run._predictions(model, directory.HELD)
        if "p" not in held or held["p"].shape[1] != 2:
            raise InputError(f"{run.path}: {directory.HELD} does not hold two probabilities a row")
        word = "out-of-fold" if "fold" in held else "validation"
        choice = choose(
            np.array([str(label) == name for label in held["y"]]), held["p"][:, 1], by, costs
        )
    else:
        word, choice = "validation", choose(*_valid(run, model, data), by, costs)
    fold = run._predictions(model).get("fold")
    spread = 1.0 if fold is None else out_of_fold(int(fold.max()) + 1)
    tested = score(y, p, choice.chosen.threshold, costs, groups, spread)
    return Threshold(word, choice, tested)


def _valid(run: Run, model: str, data: Any) -> tuple[Array, Array]:
    """Whether each validation row is of the second class, and its probability, from the data."""
    from linnet.insight.evaluation import predict_raw

    rows = run.split()["valid"]
    if not len(rows):
        raise InputError(
            f"{run.path} keeps no predictions of validation rows, or out of fold, to choose a "
            "threshold by: train it again"
        )
    found = run.models[model]
    held = run.draft(data).take(rows).conform(found.schema)
    own = found.objective.probabilities(predict_raw(found.module, held.x))[:, 1]
    return held.codes.numpy() == 1, own.numpy()


def calibration(run: Run, model: str, *, scaled: bool) -> Calibration:
    """The calibration of a model's intervals, or sets, by its predictions of the test rows; with
    ``test=folds`` by its out-of-fold predictions."""
    from linnet.insight import conformal

    y, told, names, by, fold = _told(run, model)
    if names is not None:
        return conformal.classes(y, told, names, by=by, fold=fold)
    targets = run._manifest(model).schema_.targets
    return conformal.numbers(y, told, targets, scaled=scaled, by=by, fold=fold)


@dataclass(frozen=True)
class CvPlus:
    """CV+ intervals, or sets, of new examples by the model of each fold; see
    ``linnet.insight.conformal.CrossCalibration``, which says how often they hold."""

    calibration: CrossCalibration
    models: tuple[Artifact, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What does not hold."""
        return self.calibration.notes

    def _told(self, x: Any) -> Array:
        """What each model says of new examples, (folds, rows, outputs)."""
        if self.calibration.classifies:
            return np.stack([model.predict_proba(x) for model in self.models])
        every = np.stack([np.asarray(model.predict(x)) for model in self.models])
        return every.reshape(*every.shape[:2], -1)

    def interval(self, x: Any, level: float) -> tuple[Array, Array]:
        """The lower and the upper end for examples such as a model's ``predict`` takes, (rows,) or
        (rows, targets)."""
        low, high = self.calibration.interval(self._told(x), level)
        return (low[:, 0], high[:, 0]) if low.shape[1] == 1 else (low, high)

    def sets(self, x: Any, level: float, *, by_class: bool = True) -> Sets:
        """The sets of classes for examples such as a model's ``predict`` takes."""
        return self.calibration.sets(self._told(x), level, by_class=by_class)


def cv_plus(run: Run, model: str) -> CvPlus:
    """The CV+ of a model: with ``test=folds`` by the models that test the run, else by the members
    of a net that was fitted by folds. Raises ``InputError`` where these are not kept."""
    from linnet.insight.conformal import CrossCalibration

    fold, test = _fold(run, model), run.scores.models[model].test
    if fold is not None and not len(run.split()["test"]):
        found = run._predictions(model)
        models = fold_models(run, model, int(fold.max()) + 1)
    else:
        found, models = _members(run, model)
        fold = _checked(found["fold"])
    schema = models[0].schema
    classifies = schema.task == "classification"
    if len(models) != int(fold.max()) + 1:
        raise InputError(f"{run.path}: {len(models)} models for {int(fold.max()) + 1} folds")
    names = schema.names if classifies else schema.targets
    if classifies:
        places = {str(label): code for code, label in enumerate(schema.classes)}
        y = np.array([places.get(str(label), -1) for label in found["y"].tolist()])
        held = _probabilities(run, found, len(names))
    else:
        y, held = (_numbers(run, found[name]) for name in ("y", "prediction"))
    by = None if test is None or test.interval is None else test.interval.by
    return CvPlus(CrossCalibration(y, held, fold, tuple(names), classifies, by), tuple(models))


def _numbers(run: Run, values: Array) -> Array:
    """Numbers (rows,) or (rows, targets) as (rows, targets)."""
    if values.dtype.kind not in "iuf" or values.ndim > 2:
        raise InputError(f"{run.path}: the columns y and prediction do not hold numbers")
    return np.asarray(values, np.float64).reshape(len(values), -1)


def _members(run: Run, model: str) -> tuple[dict[str, Array], list[Artifact]]:
    """The out-of-fold predictions of a net that was fitted by folds, and its members."""
    from linnet.networks.mean import Mean

    kept = (run.place / directory.HELD / f"{model}.parquet").is_file()
    found = run._predictions(model, directory.HELD) if kept else {}
    network = run.models[model].module
    if not isinstance(network, Mean) or "fold" not in found:
        raise InputError(
            f'{run.path}: CV+ needs the models of all folds, and those of "{model}" are not kept: '
            "intervals() has what test rows calibrate; or train with test=folds"
        )
    return found, [replace(run.models[model], module=each) for each in network.each]


def coverage(run: Run, model: str, *, scaled: bool) -> list[Coverage]:
    """How often such intervals, calibrated by half of the rows, hold on the other half, for each
    of ``LEVELS`` that has rows enough."""
    from linnet.insight import conformal

    y, told, names, _, _ = _told(run, model)
    targets = run._manifest(model).schema_.targets
    if names is None and y.ndim > 1:
        raise InputError(f"{y.shape[1]} targets: each has intervals of its own")
    found = []
    for level in LEVELS if names is None else LEVELS[3:]:
        with contextlib.suppress(InputError):  # too few rows for this level
            found.append(
                conformal.crossed(
                    y, told, names or targets, level, classifies=names is not None, scaled=scaled
                )[1]
            )
    if not found:
        raise InputError(f"{len(y)} rows are too few to calibrate intervals by half of them")
    return found


def _told(
    run: Run, model: str
) -> tuple[Array, Array, list[Any] | None, Literal["group", "time"] | None, Array | None]:
    """The test rows' class codes and probabilities, or numbers and predictions, as the run keeps
    them; the classes, how rows depend on each other, and the folds of out-of-fold predictions."""
    test = run._tested(model, "intervals()")
    found = run._predictions(model)
    by = None if test.interval is None else test.interval.by
    fold = found.get("fold")
    if test.classes is None:
        return found["y"], found["prediction"], None, by, fold
    places = {label: code for code, label in enumerate(test.classes)}
    y = np.array([places.get(label, -1) for label in found["y"].tolist()])
    return y, _probabilities(run, found, len(test.classes)), list(test.classes), by, fold


@dataclass(frozen=True)
class Penalties:
    """The path of penalties of a line: each ``penalty`` with the mean ``loss`` of validation rows,
    or with ``folds`` that of training rows out of fold, and the ``chosen`` penalty.

    ``coefficients`` (penalties, coefficients) have the ``names`` of their columns, of several
    outputs "column (output)"; with folds they are the means over the folds' fits. The ``unit`` is
    that of one coefficient. Of many coefficients those of the largest amounts are kept, and NaN is
    in place of the others. They are None if the run has not recorded them.
    """

    penalty: tuple[float, ...]
    loss: tuple[float, ...]
    chosen: float | None
    folds: bool
    coefficients: Array | None = None
    names: tuple[str, ...] = ()
    unit: str = ""


def penalties(run: Run) -> Penalties:
    """The path of penalties of the line. Raises ``InputError`` without a path."""
    fit = run.history().models.get(LINE)
    if fit is None:
        raise InputError(f"{run.path} has no line")
    steps, held = fit.table("step"), fit.table("valid")
    at = dict(zip(steps.get("step", []), steps.get("penalty", []), strict=True))
    at |= {each.step: penalty for penalty, each in fit.path.items()}
    path: dict[float, float] = {}
    for step, loss in zip(held.get("step", []), held.get("loss", []), strict=True):
        penalty = at.get(step)
        if step and isinstance(penalty, float) and penalty > 0 and isinstance(loss, float):
            path.setdefault(penalty, loss)
    if len(path) < 2:
        raise InputError("the line has no path of penalties: one alone was fitted")
    chosen = run.scores.models[LINE].fit.penalty
    near = None
    if isinstance(chosen, float):
        near = min(path, key=lambda each: abs(np.log(each / chosen)) if chosen > 0 else each)
    found = Penalties(tuple(path), tuple(path.values()), near, fit.folded)
    try:
        return _with_coefficients(run, found, [fit.path.get(each) for each in path])
    except (LinnetError, OSError):  # the names are in the model's file: without it the loss alone
        return found


def _with_coefficients(
    run: Run, found: Penalties, every: Sequence[Coefficients | None]
) -> Penalties:
    """The path with its coefficients, as far as the record has them; those of another number than
    the model's are passed over."""
    from math import prod

    manifest = run._manifest(LINE)
    schema = manifest.schema_
    outputs, columns = schema.outputs, prod(schema.shape)
    if len(schema.columns) != columns:
        return found
    kept = {
        row: dict(zip(each.places or (), each.coefficients or (), strict=True))
        for row, each in enumerate(every)
        if each is not None
        and each.total == len(outputs) * columns == len(outputs) * len(schema.columns)
    }
    if not kept:
        return found
    largest: dict[int, float] = {}
    for own in kept.values():
        for place, value in own.items():
            largest[place] = max(abs(value), largest.get(place, 0.0))
    places = sorted(sorted(largest, key=lambda place: -largest[place])[:MOST_COEFFICIENTS])
    values = np.array(
        [[kept.get(row, {}).get(place, np.nan) for place in places] for row in range(len(every))]
    )
    several = len(outputs) > 1
    names = tuple(
        schema.columns[place % columns] + (f" ({outputs[place // columns]})" if several else "")
        for place in places
    )
    scaled = manifest.network.get("scale") != "none"
    unit = tr("unit of the target per deviation") if scaled else tr("unit of the target")
    if schema.task == "classification":
        unit = tr("log-odds per deviation") if scaled else tr("log-odds")
    return replace(found, coefficients=values, names=names, unit=unit)


# the file


def collect(run: Run, data: Any = None) -> dict[str, Any]:
    """The content of ``insight.json``: all that needs the rows themselves. What there cannot be is
    left out, and ``why`` says so, by its name."""
    from linnet.insight.dependence import Model, strongest_pair
    from linnet.insight.thresholds import EQUAL, Costs

    chosen = run.chosen
    told: dict[str, Any] = {"format": FORMAT, "of": belongs(run.place), "why": {}}
    try:
        rows = test_rows(run, data)
        found = {name: importance(run, name, rows, data) for name in models_of(run)}
    except LinnetError as error:
        return {**told, "why": {"importance": str(error)}}
    told["importance"] = {name: each.plain() for name, each in found.items()}
    top = [each.columns[0] for each in found[chosen] if each.loss > 0]
    kinds = {column.name: column.kind for column in run.model.schema.fields}
    top = [name for name in top if kinds.get(name) != "date"]
    if top:
        shown = [dependence(run, [name], rows).plain() for name in top[:SHOWN]]
        told["dependence"] = shown
        model = Model(run.models[chosen].module, run.models[chosen].objective)
        pair = strongest_pair(model, rows.x, run.model.schema, top)
        if pair is not None:
            told["pair"] = dependence(run, pair.columns, rows).plain()
            told["strength"] = pair.strength
    told["slices"] = {
        name: slices(run, name, rows, data).plain(MOST_SLICES) for name in models_of(run)
    }
    try:
        rule = run.model.decision
        by: Literal["f1", "cost"] = "f1" if rule is None else rule.by
        costs = EQUAL if rule is None else Costs(*rule.costs)
        told["threshold"] = threshold(run, chosen, by, costs, data).plain()
    except LinnetError as error:
        told["why"]["threshold"] = str(error)
    return told


def read(place: Place) -> dict[str, Any] | None:
    """The content of ``insight.json``, made of objects; None if there is none, or if it belongs to
    another recipe, split or result. Raises ``InputError`` for a file that is damaged."""
    path = place / FILE
    if not path.is_file():
        return None
    plain = files.read_json(path, MAX_INSIGHT)
    files.check_format(plain, FORMAT, path)
    if plain.get("of") != belongs(place):
        return None
    try:
        return parsed(plain)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path}: expected what linnet report writes ({error!r}); remove it, and it is made "
            "again"
        ) from None


def parsed(plain: Mapping[str, Any]) -> dict[str, Any]:
    """``collect``'s content with objects in place of dicts."""
    from linnet.insight.dependence import Dependence
    from linnet.insight.importance import Importances
    from linnet.insight.plain import count, real, word
    from linnet.insight.slices import Slices

    told = plain.get("threshold")
    if told is not None:
        choice = told["choice"]
        told = {
            "choice": {
                "by": word(choice["by"], "f1", "cost"),
                "rows": count(choice["rows"]),
                "chosen": {"threshold": real(choice["chosen"]["threshold"])},
            },
            "by_rows": word(told["by_rows"], "validation", "out-of-fold"),
            "words": word(told["words"]),
        }
    return {
        "why": {name: word(words) for name, words in plain.get("why", {}).items()},
        "threshold": told,
        "importance": {k: Importances.parse(v) for k, v in plain.get("importance", {}).items()},
        "dependence": [Dependence.parse(each) for each in plain.get("dependence", [])],
        "pair": Dependence.parse(plain["pair"]) if plain.get("pair") else None,
        "slices": {k: Slices.parse(v) for k, v in plain.get("slices", {}).items()},
    }


def keep(run: Run) -> None:
    """Write ``insight.json`` if there is none yet, and the run is a folder that can be written."""
    if run.path.is_dir() and read(run.place) is None:
        plain = collect(run)
        if "importance" in plain:
            files.write_json(run.path / FILE, plain, MAX_INSIGHT)


def found(run: Run) -> dict[str, Any]:
    """What ``insight.json`` keeps; if there is none, it is computed."""
    kept = read(run.place)
    if kept is None:
        return parsed(collect(run))
    if run.chosen not in kept["importance"]:
        raise InputError(f"{run.path / FILE} is of other models than the run; remove it")
    return kept

"""What a run's models look at, for whom they fail, where to cut, how wide their predictions are:
``insight/`` on the run's test rows, and the file that keeps it when the data is gone."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from linnet.core import files
from linnet.core.files import Place
from linnet.core.limits import Limit
from linnet.errors import InputError, LinnetError
from linnet.networks import LINE
from linnet.runs import directory
from linnet.runs.curve import belongs

if TYPE_CHECKING:
    from linnet.core.history import History
    from linnet.data.dataset import Dataset
    from linnet.fit.artifact import Artifact, Manifest
    from linnet.insight.conformal import Calibration, Coverage
    from linnet.insight.dependence import Dependence
    from linnet.insight.importance import Importances
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

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def models_of(run: Run) -> list[str]:
    """The models that are looked at: the line, and the chosen one last."""
    chosen = run.chosen
    names = [name for name in (LINE,) if name in run.scores.models and name != chosen]
    return [*names, chosen]


def test_rows(run: Run, data: Any = None) -> Dataset:
    """The run's test rows, encoded by the chosen model, read again from the run's source or from
    ``data``. Raises ``InputError`` if the run has none, ``DataError`` if it is not its data."""
    rows = run.split()["test"]
    if not len(rows):
        raise InputError(
            f"{run.path} has no test rows, and rows that taught the models say little of them: "
            "train with test=0.2"
        )
    return run.draft(data).take(rows).conform(run.model.schema)


def importance(run: Run, model: str, rows: Dataset) -> Importances:
    """The permutation importance of a model's columns."""
    from linnet.insight.importance import importance as work

    found = run.models[model]
    seed = found.manifest.recipe.get("seed")
    return work(found.module, found.objective, rows, seed=seed if isinstance(seed, int) else 0)


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


def slices(run: Run, model: str, rows: Dataset) -> Slices:
    """The scores of a model by slice of the test rows, the worst first."""
    from linnet.insight.evaluation import predict_raw
    from linnet.insight.slices import cuts_of
    from linnet.insight.slices import slices as work

    found = run.models[model]
    raw = predict_raw(found.module, rows.x)
    return work(found.objective, raw, rows, cuts_of(rows.x, found.schema))


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
    return found["y"] == classes[1], found["p"][:, 1], found.get("group"), str(classes[1])


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
    if "top" in found:
        raise InputError(
            f"{len(test.classes):,} classes: a run keeps the largest probabilities alone, and a "
            "set needs all of them"
        )
    places = {label: code for code, label in enumerate(test.classes)}
    y = np.array([places.get(label, -1) for label in found["y"].tolist()])
    return y, found["p"], list(test.classes), by, fold


def penalties(run: Run) -> tuple[list[float], list[float], float | None, bool]:
    """The path of penalties of the line: each penalty with its validation loss (or that of the
    folds), the chosen one, and whether it was chosen by folds. Raises ``InputError`` without a
    path."""
    fit = run.history().models.get(LINE)
    if fit is None:
        raise InputError(f"{run.path} has no line")
    steps, held = fit.table("step"), fit.table("valid")
    at = dict(zip(steps.get("step", []), steps.get("penalty", []), strict=True))
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
    return list(path), list(path.values()), near, fit.folded


# the file


def collect(run: Run, data: Any = None) -> dict[str, Any]:
    """The content of ``insight.json``: all that needs the rows themselves. What there cannot be is
    left out, and ``why`` says so, by its name."""
    from linnet.insight.dependence import Model, strongest_pair
    from linnet.insight.thresholds import EQUAL

    chosen = run.chosen
    told: dict[str, Any] = {"format": FORMAT, "of": belongs(run.place), "why": {}}
    try:
        rows = test_rows(run, data)
        found = {name: importance(run, name, rows) for name in models_of(run)}
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
    told["slices"] = {name: slices(run, name, rows).plain(MOST_SLICES) for name in models_of(run)}
    try:
        told["threshold"] = threshold(run, chosen, "f1", EQUAL, data).plain()
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
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: expected what linnet report writes ({error!r}); remove it, and it is made "
            "again"
        ) from None


def parsed(plain: Mapping[str, Any]) -> dict[str, Any]:
    """``collect``'s content with objects in place of dicts."""
    from linnet.insight.dependence import Dependence
    from linnet.insight.importance import Importances
    from linnet.insight.slices import Slices

    told = plain.get("threshold")
    if told is not None:
        choice = told["choice"]
        told = {
            "choice": {
                "rows": int(choice["rows"]),
                "chosen": {"threshold": float(choice["chosen"]["threshold"])},
            },
            "by_rows": str(told["by_rows"]),
            "words": str(told["words"]),
        }
    return {
        "why": {str(name): str(words) for name, words in plain.get("why", {}).items()},
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
    return parsed(collect(run)) if kept is None else kept

"""Score a trained model on data."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from linnet.core.later import polars as pl
from linnet.core.text import counted
from linnet.data import kinds
from linnet.data.dataset import Dataset
from linnet.errors import LinnetWarning
from linnet.experiment.predict import for_model, is_run, part_rows, raw_columns
from linnet.fit import artifact
from linnet.fit.artifact import Artifact
from linnet.insight import evaluation
from linnet.insight.slices import Cut, by_numbers, by_texts, cuts_of, slices
from linnet.insight.task import basis
from linnet.networks import OWN
from linnet.runs import archive, directory
from linnet.runs.lineage import PARTS, Rows
from linnet.runs.run import Run


def evaluate(
    place: str | os.PathLike[str],
    data: Any,
    *,
    model: str | None = None,
    part: str = "auto",
    by: Sequence[str] = (),
) -> dict[str, Any]:
    """The scores of every model of a run, or of one model, on rows of ``data``.

    ``part="auto"`` is the test part that the data came with. If it came without one, it is the
    run's test rows if this is the run's own data, else all rows.

    Warns if some of the rows are those that the models were trained on, or that chose among them:
    whatever their order and their file, such scores say little of new rows. ``data["known"]`` has
    their numbers. A model file outside of its run does not know its rows; then only its own data as
    a whole is known again, and ``known`` is None.

    ``by`` names columns of a table, also such that the models do not know: ``slices`` of each model
    has then the score of each of their categories, or quarters of numbers, in the form of
    ``linnet.insight.slices.Slices.plain``, the worst first.
    """
    path = Path(place)
    models, notes = _models(path, model)
    first = next(iter(models.values()))
    dataset = for_model(first, data)
    rows, named = part_rows(dataset, path, first, part)
    chosen = dataset.take(rows)
    notes += _alone(first, chosen)
    cuts = _cuts(by, data, first, dataset, rows)
    known = None if (kept := _rows(path)) is None else _count(kept.among(chosen))
    drawn = named == "test" and not dataset.test_rows  # the run's own test rows
    told = None if drawn or part == "train" else _told(known, dataset, chosen, first)
    if told is not None:
        warnings.warn(told, LinnetWarning, stacklevel=2)
    if told is not None or known is None:
        notes.append(told or "the model file alone does not say which rows trained it")
    result: dict[str, Any] = {
        "format": directory.FORMAT,
        "data": {
            "name": dataset.name,
            "part": named,
            "rows": len(rows),
            "known": known,
            "notes": [*dataset.notes, *notes],
        },
        "models": {},
    }
    for name, each in models.items():
        raw = evaluation.predict_raw(each.module, chosen.x)
        tested = evaluation.score(each.objective, raw, chosen, decision=each.decision)
        scores = {"test": tested}
        if by:
            scores["slices"] = slices(each.objective, raw, chosen, cuts).plain()
        result["models"][name] = scores
    rests = basis(next(iter(result["models"].values()))["test"])
    result["data"]["notes"] += [] if rests is None else [rests]
    return result


def _cuts(
    by: Sequence[str], data: Any, model: Artifact, dataset: Dataset, rows: Tensor
) -> list[Cut]:
    """The cuts of some ``rows`` of a data set by the columns ``by``, each once."""
    if not by:
        return []
    own = {cut.column: cut for cut in cuts_of(dataset.x[rows], model.schema)}
    others = {name for name in by if name not in own}
    read = raw_columns(sorted(others), data, model, dataset) if others else {}
    found = []
    for name in dict.fromkeys(by):
        if name in own:
            found.append(own[name])
            continue
        series = read[name].gather(rows.numpy())
        if series.dtype == pl.Float64:
            values = series.to_numpy().astype(np.float64)
            found.append(by_numbers(name, values))
        else:
            words = kinds.labels(series)
            if series.dtype == pl.Boolean:
                words = [word.lower() for word in words]
            absent = series.is_null().to_list()
            texts = [None if gone else word for word, gone in zip(words, absent, strict=True)]
            found.append(by_texts(name, texts))
    return found


def _alone(model: Artifact, data: Dataset) -> list[str]:
    """A note, if the model's training rows had groups or times and these rows have none."""
    recipe = model.manifest.recipe
    column = recipe.get("group") or recipe.get("time")
    if column is None or data.division is not None:
        return []
    return [
        f"the column {column!r}, by which training rows were divided, is missing or has gaps: the "
        "intervals take the rows as independent, and are too narrow if they are not"
    ]


def _rows(place: Path) -> Rows | None:
    """The rows of the run in ``place``, or of the run in whose folder the model file lies; None if
    nothing tells them."""
    if is_run(place):
        return Rows.read(archive.run_place(place))
    folder = place.parent
    return Rows.read(folder) if (folder / directory.RUN).is_file() else None


def _count(known: Tensor) -> dict[str, int]:
    """How many rows are among those of each part; ``known`` is their part, (rows,)."""
    return {part: int((known == number).sum()) for number, part in enumerate(PARTS[:2])}


def _told(
    known: dict[str, int] | None, data: Dataset, chosen: Dataset, model: Artifact
) -> str | None:
    """What to say of rows that the models have seen."""
    if known is None:
        about = model.manifest.data
        if data.fingerprint() != about.get("fingerprint"):
            return None
        return (
            f"{data.name} is the data that the model was trained and tested on, and "
            f"{about.get('train_rows')} of its rows trained it; the file alone does not say which: "
            "give the run, or other rows"
        )
    words = [f"{known['train']:,} trained the models"] if known["train"] else []
    words += [f"{known['valid']:,} chose among them"] if known["valid"] else []
    if not words:
        return None
    return (
        f"of the {counted(len(chosen), 'row')}, {' and '.join(words)}: their scores say little of "
        "new rows; leave them out"
    )


def _models(place: Path, model: str | None) -> tuple[dict[str, Artifact], list[str]]:
    """The models to score: the one named ``model``, or all of the run except the user's own module;
    and notes on models that are left out."""
    if model is None and is_run(place):
        run = Run(place)
        names = [name for name in run.metrics["models"] if name != OWN]
        left = f"{OWN} is left out: it is a module of your own, and no file holds its code"
        found = {name: artifact.load(run.place / f"{name}.safetensors") for name in names}
        return found, [left] if OWN in run.metrics["models"] else []
    one = artifact.load(archive.model_place(place, model))
    return {one.manifest.model: one}, []

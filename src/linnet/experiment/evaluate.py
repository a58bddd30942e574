"""Score a trained model on data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from linnet.data.dataset import Dataset
from linnet.experiment.predict import for_model, is_run, part_rows
from linnet.fit import artifact
from linnet.fit.artifact import Artifact
from linnet.insight import evaluation
from linnet.insight.task import basis
from linnet.networks import OWN
from linnet.runs import archive, directory
from linnet.runs.run import Run


def evaluate(
    place: str | os.PathLike[str], data: Any, *, model: str | None = None, part: str = "auto"
) -> dict[str, Any]:
    """The scores of every model of a run, or of one model, on rows of ``data``.

    ``part="auto"`` is the test part that the data came with. If it came without one, it is the
    run's test rows if this is the run's own data, else all rows.
    """
    models, notes = _models(Path(place), model)
    first = next(iter(models.values()))
    dataset = for_model(first, data)
    rows, part = part_rows(dataset, Path(place), first, part)
    chosen = dataset.take(rows)
    notes += _alone(first, chosen)
    result: dict[str, Any] = {
        "format": directory.FORMAT,
        "data": {
            "name": dataset.name,
            "part": part,
            "rows": len(rows),
            "notes": [*dataset.notes, *notes],
        },
        "models": {},
    }
    for name, each in models.items():
        raw = evaluation.predict_raw(each.module, chosen.x)
        result["models"][name] = {"test": evaluation.score(each.objective, raw, chosen)}
    rests = basis(next(iter(result["models"].values()))["test"])
    result["data"]["notes"] += [] if rests is None else [rests]
    return result


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

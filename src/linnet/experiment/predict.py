"""Predict with a trained model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from linnet.data.dataset import Dataset
from linnet.data.draft import conform
from linnet.data.read import read_draft, read_raw
from linnet.data.reading import Again, Reading
from linnet.data.table import warn_of
from linnet.errors import DataError, InputError
from linnet.fit.artifact import Artifact
from linnet.insight import evaluation
from linnet.insight.shares import MANY, top
from linnet.runs import archive
from linnet.runs.run import Run, load

PARTS = ("auto", "all", "train", "test")

PLACES = ("second", "third", "fourth", "fifth")
"""The columns of the most probable classes after the prediction, where classes are many."""


@dataclass(frozen=True)
class Predictions:
    """Predictions for some rows of a data set; ``row`` are the row numbers, from 0."""

    row: Tensor  # (rows,) int64
    y: np.ndarray[Any, Any] | None  # labels (rows,), or numbers (rows,) or (rows, targets)
    prediction: np.ndarray[Any, Any]
    p: np.ndarray[Any, Any] | None  # (rows, classes); of many classes the largest, (rows, TOP)
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    top: np.ndarray[Any, Any] | None = None  # of many classes the most probable ones, (rows, TOP)

    def columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """``row, y, prediction`` and ``p_<class>``, each (rows,). Of more than ``MANY`` classes
        ``p``, the probability of the prediction, and ``second``, ``p_second`` to ``fifth``,
        ``p_fifth``: the most probable other classes."""
        columns: dict[str, np.ndarray[Any, Any]] = {"row": self.row.numpy()}
        for name, values in (("y", self.y), ("prediction", self.prediction)):
            if values is None:
                continue
            if values.ndim == 1:
                columns[name] = values
            else:
                columns |= {f"{name}_{index}": column for index, column in enumerate(values.T)}
        if self.top is not None and self.p is not None:
            columns["p"] = self.p[:, 0]
            for place, word in enumerate(PLACES, start=1):
                columns |= {word: self.top[:, place], f"p_{word}": self.p[:, place]}
        elif self.p is not None:
            columns |= {f"p_{name}": self.p[:, i] for i, name in enumerate(self.classes)}
        return columns


def predict(
    place: str | os.PathLike[str],
    data: Any,
    *,
    model: str | None = None,
    part: str = "all",
    rows: tuple[int, ...] | None = None,
) -> Predictions:
    """The chosen model's predictions for the rows of a data set; ``rows`` are numbers within
    ``part``."""
    each = load(place, model)
    dataset = for_model(each, data, labelled=part != "all")
    numbers, part = part_rows(dataset, Path(place), each, part)
    if rows is not None:
        for row in rows:
            if not 0 <= row < len(numbers):
                raise InputError(
                    f"there is no row {row}: {part} of {dataset.name} has the rows 0 to "
                    f"{len(numbers) - 1}"
                )
        numbers = numbers[torch.tensor(rows, dtype=torch.int64)]
    chosen = dataset.take(numbers)
    facts = (each.schema.names, dataset.notes)
    if len(each.schema.classes) > MANY:
        found = [top(each.objective, raw) for _, raw in evaluation.raw_parts(each.module, chosen.x)]
        codes, p = (np.concatenate(part) for part in zip(*found, strict=True))
        best = each.schema.decode(torch.from_numpy(codes))
        return Predictions(numbers, _labels(each, chosen), best[:, 0], p, *facts, top=best)
    raw = evaluation.predict_raw(each.module, chosen.x)
    shares = each.objective.probabilities(raw).numpy() if each.objective.classifies else None
    return Predictions(numbers, _labels(each, chosen), each.decide(raw), shares, *facts)


def for_model(model: Artifact, data: Any, *, labelled: bool = True) -> Dataset:
    """Read ``data`` as the model's training data was read: the same target, classes and encoding.

    ``labelled`` leaves out the rows of a table that have no target; else all rows stay. The
    targets are classes or numbers as the model's are. Warns of what the source warns of.
    """
    recipe, schema = model.manifest.recipe, model.schema
    reading = Again.parse({k: recipe[k] for k in Reading.model_fields if k in recipe}, "recipe")
    labels = schema.classes if reading.positive is None and reading.classes is None else ()
    channels = schema.shape[0] if schema.example == "picture" else None
    known = {"labels": labels, "task": schema.task, "channels": channels}
    reading = reading.model_copy(update=known)
    if not schema.tabular:
        dataset = read_draft(data, reading).conform(schema)
        warn_of(dataset.notes)
        return dataset
    table = read_raw(data, schema.reading(reading.model_copy(update={"target": schema.targets})))
    if isinstance(table, Dataset):
        if schema.example != "picture":
            raise DataError(f"{table.name} is not a table, but the model was trained on a table")
        dataset = table.select(reading.classes, reading.positive).conform(schema)
        warn_of(dataset.notes)
        return dataset
    dataset = conform(table, schema, reading, labelled=labelled)
    warn_of(dataset.notes)
    return dataset


def part_rows(dataset: Dataset, place: Path, model: Artifact, part: str) -> tuple[Tensor, str]:
    """The row numbers of a part of the data, and the part's name; for "auto" the name of the part
    that it means."""
    if part not in PARTS:
        raise InputError(f'unknown part "{part}"; known: {", ".join(PARTS)}')
    rows = torch.arange(len(dataset))
    cut = len(dataset) - dataset.test_rows
    if part == "all":
        return rows, part
    if dataset.test_rows:
        return (rows[:cut], part) if part == "train" else (rows[cut:], "test")
    own = dataset.fingerprint() == model.manifest.data.get("fingerprint")
    if own and is_run(place):
        name = "train" if part == "train" else "test"
        found: Tensor = Run(place).split()[name]
        if len(found):
            return found, name
    if part == "auto":
        return rows, "all"
    raise InputError(
        f'{dataset.name}: the part "{part}" is not known: the data came without a test part, and '
        "it is not the data of this run"
    )


def _labels(model: Artifact, data: Dataset) -> np.ndarray[Any, Any] | None:
    """The targets of ``data``, with None for a row without a target; None if no row has one."""
    if data.y.dim() == 2 and not data.y.shape[1]:
        return None
    if not model.objective.classifies:
        return data.y.numpy()
    known = data.codes >= 0
    if not known.any():
        return None
    labels = model.schema.decode(data.codes.clamp(min=0))
    if not known.all():
        labels = labels.astype(object)
        labels[~known.numpy()] = None
    return labels


def is_run(place: Path) -> bool:
    """Whether ``place`` is a run's folder or zip, not a model file."""
    inside = archive.run_place(place)
    return inside != place or place.is_dir()

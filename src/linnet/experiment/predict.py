"""Predict with a trained model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from linnet.core.later import polars as pl
from linnet.core.text import listed, of_path
from linnet.data import BUILTIN, zipped
from linnet.data.dataset import Dataset
from linnet.data.draft import conform
from linnet.data.known import KNOWN
from linnet.data.pictures import folder
from linnet.data.pictures.files import read_files, takes_files
from linnet.data.pictures.ground import blank
from linnet.data.read import read_draft, read_raw
from linnet.data.reading import Again, Reading
from linnet.data.schema import Schema
from linnet.data.table import Table, warn_of
from linnet.errors import DataError, InputError
from linnet.experiment.kept import as_text, as_written, check_columns
from linnet.experiment.predictions import Predictions
from linnet.fit.artifact import Artifact, reading_of
from linnet.insight import evaluation
from linnet.insight.shares import MANY, top
from linnet.runs import archive
from linnet.runs.run import Run, load

PARTS = ("auto", "all", "train", "test")
PATH = (str, os.PathLike)


def predict(
    run: Run | str | os.PathLike[str],
    data: Any,
    *,
    model: str | None = None,
    part: str = "all",
    rows: Sequence[int] | None = None,
    invert: bool = False,
    interval: float | None = None,
    keep: Sequence[str] = (),
) -> Predictions:
    """The predictions of the chosen model of a run, or of ``model``, or of that in a file, for the
    rows of a data set.

    ``part`` is "all", or "train" or "test" of the run's own data or of data that names its parts;
    ``rows`` are numbers within it. ``data`` may also be a list of paths of pictures, or a folder or
    a zip of pictures that are in no folders of classes, or in others than the model's. ``invert``
    swaps dark and light in all pictures.

    ``interval`` is a level such as 0.9: predictions then have intervals, or sets of classes, that
    hold with this probability (``linnet.insight.conformal``), calibrated by the rows that tested
    the model; raises ``InputError`` if these are too few. ``keep`` names columns of a table that go
    with the predictions, as they are written in the data.
    """
    place = run.path if isinstance(run, Run) else run
    each = load(place, model)
    dataset = for_model(each, data, labelled=part != "all", invert=invert)
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
    facts = (each.schema.names, dataset.notes, chosen.files)
    calibration = None if interval is None else each.calibration
    kept = {}
    if keep:
        read = raw_columns(keep, data, each, dataset, text=True)
        kept = {name: as_written(series.gather(numbers.numpy())) for name, series in read.items()}
    if len(each.schema.classes) > MANY:
        found = [top(each.objective, raw) for _, raw in evaluation.raw_parts(each.module, chosen.x)]
        codes, p = (np.concatenate(part) for part in zip(*found, strict=True))
        best = each.schema.decode(torch.from_numpy(codes))
        labels = _labels(each, chosen)
        return Predictions(numbers, labels, best[:, 0], p, *facts, top=best).keeping(kept)
    raw = evaluation.predict_raw(each.module, chosen.x)
    shares = each.objective.probabilities(raw).numpy() if each.objective.classifies else None
    made = Predictions(numbers, _labels(each, chosen), each.decide(raw), shares, *facts)
    if calibration is not None and interval is not None:
        made = made.within(calibration, interval)
    return made.keeping(kept)


def raw_columns(
    names: Sequence[str], data: Any, model: Artifact, dataset: Dataset, *, text: bool = False
) -> dict[str, pl.Series]:
    """Columns of the table ``data``, also such that the model does not know, for the rows of
    ``dataset``: as they are read, or as ``text``. Raises ``InputError`` if there is no such
    column."""
    recipe = model.manifest.recipe
    reading = Again.parse({k: recipe[k] for k in Reading.model_fields if k in recipe}, "recipe")
    table: Dataset | Table = dataset
    if model.schema.tabular:
        table = read_raw(data, as_text(reading, names if text else ()))
    if not isinstance(table, Table):
        check_columns(names, model.schema.columns, dataset.name, dataset.files)
        raise InputError(f"{dataset.name} is no table, whose columns could be taken")
    check_columns(names, table.columns, dataset.name)
    kept = torch.arange(len(table))
    if len(table) != len(dataset):  # rows without a target are left out
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = for_model(model, data, labelled=False).y
        lost = y.reshape(len(y), -1).isnan().any(1) if y.is_floating_point() else y < 0
        kept = (~lost).nonzero().flatten()
    return {name: table.columns[name].gather(kept.numpy()) for name in names}


def for_model(
    model: Artifact, data: Any, *, labelled: bool = True, invert: bool = False
) -> Dataset:
    """Read ``data`` as the model's training data was read: the same target, classes and encoding.

    ``labelled`` leaves out the rows of a table that have no target; else all rows stay, and also
    pictures without a class. The targets are classes or numbers as the model's are. ``invert``
    swaps dark and light in pictures. Warns of what the source warns of.
    """
    schema, reading = model.schema, reading_of(model.manifest)
    if not labelled and (found := _unlabelled(model, data, reading, invert)) is not None:
        warn_of(found.notes)
        return found
    dataset = _labelled(schema, data, reading, labelled=labelled, invert=invert)
    warn_of(dataset.notes)
    return dataset


def _labelled(
    schema: Schema, data: Any, reading: Again, *, labelled: bool, invert: bool
) -> Dataset:
    """A data set for a model's ``schema``."""
    if not schema.tabular:
        return _inverted(read_draft(data, reading), invert).conform(schema)
    table = read_raw(data, schema.reading(reading.model_copy(update={"target": schema.targets})))
    if isinstance(table, Dataset):
        if schema.example != "picture":
            raise DataError(f"{table.name} is not a table, but the model was trained on a table")
        chosen = table.select(reading.classes, reading.positive)
        return _inverted(chosen, invert).conform(schema)
    return _inverted(conform(table, schema, reading, labelled=labelled), invert)


def _inverted(data: Dataset, invert: bool) -> Dataset:
    """The same pictures, with dark and light swapped if ``invert``."""
    if not invert:
        return data
    if data.x.dtype != torch.uint8:
        raise InputError(f"{data.name}: only pictures of whole numbers 0 to 255 can be inverted")
    return replace(data, x=255 - data.x)


def _unlabelled(model: Artifact, data: Any, reading: Again, invert: bool) -> Dataset | None:
    """Pictures in files without classes that the model knows, by their names; None if ``data`` is
    something else."""
    if model.schema.example == "picture" and zipped.is_zip(data):
        with zipped.unpacked(Path(data)) as unpacked:
            found = _unlabelled(model, unpacked.inside, reading, invert)
            named = None if found is None else unpacked.named(found)
            assert not isinstance(named, Table)
            return named
    pictures = _pictures(model.schema, data, reading)
    if pictures is None:
        return None
    _check_files(model.schema, pictures)
    files = read_files(pictures.paths, pictures.place, reading)
    kept = [row for row, read in enumerate(files.read.tolist()) if read]
    labels = [pictures.labels[row] for row in kept]
    x = model.schema.encode(255 - files.pictures if invert else files.pictures)
    codes = {name: code for code, name in enumerate(model.schema.names)}
    y = torch.tensor([codes.get(label or "", -1) for label in labels])
    unknown = sorted({label for label in labels if label} - set(codes))
    notes = (*pictures.notes, *files.notes)
    notes += blank(files.pictures, lambda row: of_path(pictures.paths[kept[row]]))
    if unknown and codes:
        names = listed(list(map(repr, unknown)), 8)
        what = "is the name of a folder" if len(unknown) == 1 else "are names of folders"
        notes += (f"{names} {what}, but of no class of the model: told in file, and not as y",)
    return Dataset(
        x,
        y if codes else torch.empty(len(x), 0),
        model.schema,
        name=of_path(pictures.place.name),
        notes=notes,
        files=tuple(pictures.names[row] for row in kept),
    )


def _pictures(schema: Schema, data: Any, reading: Again) -> folder.Unlabelled | None:
    """The files of pictures that ``data`` names, alone or by a folder."""
    if isinstance(data, (list, tuple)) and data and all(isinstance(each, PATH) for each in data):
        return folder.Unlabelled.of([Path(each) for each in data])
    if not isinstance(data, PATH) or data in (*BUILTIN, *KNOWN):
        return None
    place = Path(data)
    if place.is_dir() and schema.example != "picture":
        return None
    known = schema.names if reading.labels or schema.task == "regression" else None
    return folder.unlabelled(place, known)


def _check_files(schema: Schema, pictures: folder.Unlabelled) -> None:
    """Raise ``InputError`` if the model cannot be given files of pictures."""
    gone = next((path for path in pictures.paths if not path.is_file()), None)
    if gone is not None:
        raise InputError(f"there is no picture {of_path(gone)}; give pictures, or one data set")
    takes_files(schema)


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

"""Predictions for a few pictures, or the rows of a small text file, without PyTorch: importing it
takes most of the time of such a command."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from linnet.core import registry
from linnet.core.text import of_path
from linnet.data import BUILTIN, GROUP
from linnet.data.columns import strangers
from linnet.data.known import KNOWN
from linnet.data.pictures.files import read_files, takes_files
from linnet.data.pictures.ground import blank
from linnet.data.pictures.picture import ENDINGS
from linnet.data.schema import Schema
from linnet.data.table import warn_of
from linnet.data.text.csv import Csv
from linnet.data.text.reader import read_text
from linnet.errors import InputError, LinnetWarning
from linnet.experiment.kept import as_text, as_written, check_columns
from linnet.experiment.predictions import Predictions
from linnet.fit import runtime
from linnet.fit.artifact import reading_of
from linnet.fit.runtime import Encoded, Runtime
from linnet.insight.shares import MANY
from linnet.runs import archive

MOST_PICTURES = 100
MOST_BYTES = 1 << 20


def few(
    place: str | os.PathLike[str],
    data: str | list[str],
    *,
    model: str | None = None,
    rows: Sequence[int] | None = None,
    invert: bool = False,
    interval: float | None = None,
    keep: Sequence[str] = (),
) -> Predictions | None:
    """What ``linnet.experiment.predict.predict`` gives for files of pictures, or for a small text
    file without the target, of a model that NumPy computes; None for anything else.

    Probabilities may differ from those of PyTorch in the last digit of float32.
    """
    pictures, table = _pictures(data), _table(data)
    if (pictures is None and table is None) or registry.allowed(GROUP):
        return None
    loaded = runtime.quick(archive.model_place(Path(place), model))
    if loaded is None or len(loaded.schema.classes) > MANY:
        return None
    calibration = None if interval is None else loaded.calibration
    if pictures is not None:
        found: Predictions | None = _of_pictures(loaded, pictures, rows, invert)
        check_columns(keep, (), "the data", [path.name for path in pictures])
    else:
        assert table is not None
        found = None if invert else _of_table(loaded, table, rows)
    if found is None:
        return None
    if calibration is not None and interval is not None:
        found = found.within(calibration, interval)
    return found if table is None or not keep else _keeping(found, loaded, table, keep)


def _keeping(found: Predictions, model: Runtime, path: Path, keep: Sequence[str]) -> Predictions:
    """The predictions with columns of the table, which is read once more, as text."""
    table = read_text(path, as_text(reading_of(model.manifest), keep))
    check_columns(keep, table.columns, table.name)
    rows = np.asarray(found.row)
    return found.keeping({name: as_written(table.columns[name].gather(rows)) for name in keep})


def _pictures(data: str | list[str]) -> list[Path] | None:
    """The files of a few pictures."""
    paths = [Path(each) for each in ([data] if isinstance(data, str) else data)]
    good = len(paths) <= MOST_PICTURES and all(
        path.suffix.lower() in ENDINGS and path.is_file() for path in paths
    )
    return paths if good else None


def _table(data: str | list[str]) -> Path | None:
    """A small text file of a table."""
    if not isinstance(data, str) or data in (*BUILTIN, *KNOWN):
        return None
    path = Path(data)
    return path if Csv().matches(path) and path.stat().st_size <= MOST_BYTES else None


def _of_pictures(
    model: Runtime, paths: list[Path], rows: Sequence[int] | None, invert: bool
) -> Predictions:
    takes_files(model.schema)
    found = read_files(paths, paths[0].parent, reading_of(model.manifest))
    names = [of_path(path) for path, read in zip(paths, found.read.tolist(), strict=True) if read]
    x = model.schema.encode_array(255 - found.pictures if invert else found.pictures)
    if (told := model.schema.look(x)) is not None:
        warnings.warn(told, LinnetWarning, stacklevel=2)
    notes = (*found.notes, *blank(found.pictures, lambda row: names[row]))
    warn_of(notes)
    return _predictions(model, x, of_path(paths[0].parent.name), rows, notes, names)


def _of_table(model: Runtime, path: Path, rows: Sequence[int] | None) -> Predictions | None:
    schema = model.schema
    if not schema.tabular:
        return None
    reading = reading_of(model.manifest).model_copy(update={"target": schema.targets})
    table = read_text(path, schema.reading(reading))
    if any(name in table.columns for name in schema.targets):
        return None
    notes = (*table.notes, *strangers(table.columns, known(schema)))
    name = table.name
    x, told = schema.table_arrays(table)
    for text in told:
        warnings.warn(f"{name}: {text}", LinnetWarning, stacklevel=2)
    warn_of(notes)
    return _predictions(model, x, name, rows, notes, [])


def known(schema: Schema) -> list[str]:
    """The columns that a table may have."""
    fields = [field.name for field in schema.fields] or list(schema.columns)
    return [*fields, *schema.targets]


def _predictions(
    model: Runtime, x: Any, name: str, rows: Sequence[int] | None, notes: Any, names: list[str]
) -> Predictions:
    """The predictions of some rows; ``name`` is that of the data."""
    numbers = np.arange(len(x))
    if rows is not None:
        for row in rows:
            if not 0 <= row < len(numbers):
                raise InputError(
                    f"there is no row {row}: all of {name} has the rows 0 to {len(numbers) - 1}"
                )
        numbers = np.array(rows)
    answers = model.answers(Encoded(x))
    prediction = np.array(answers.prediction)[numbers]
    p = None if answers.p is None else answers.p[numbers]
    files = tuple(names[row] for row in numbers.tolist()) if names else ()
    return Predictions(numbers, None, prediction, p, model.schema.names, notes, files)

"""From a table to a data set: choose the target, the column that splits the rows, the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from linnet.core.registry import suggest
from linnet.core.text import listed
from linnet.data import columns, kinds
from linnet.data.column import Column
from linnet.data.dataset import Dataset
from linnet.data.reading import Label, Reading
from linnet.data.schema import MAX_CLASSES, Schema
from linnet.data.split import Division
from linnet.data.table import LeftOut, Table
from linnet.errors import DataError

PARTS = {
    "train": 0, "training": 0, "valid": 1, "validation": 1, "val": 1, "dev": 1, "test": 2,
    "testing": 2,
}  # fmt: skip
"""The values of a split column, in upper or lower case."""


def draft(table: Table, reading: Reading) -> Dataset:
    """Turn the table into a data set of records, which ``learn`` encodes; this empties the table.

    Rows without a target are left out and counted.
    """
    _declared(table, reading)
    targets = _targets(table, reading)
    found = [columns.without(table.columns.pop(name), reading.missing) for name in targets]
    dividing = _dividing(table, reading, targets)
    labelled = np.logical_and.reduce([series.is_not_null().to_numpy() for series in found])
    if not labelled.any():
        raise DataError(f"{table.name}: the target {', '.join(targets)} is missing in every row")
    notes = list(table.notes)
    kept = None
    if not labelled.all():
        kept = torch.from_numpy(np.nonzero(labelled)[0])
        lost = int((~labelled).sum())
        first = table.where(int(np.argmin(labelled)))
        notes.append(f"{lost:,} rows have no target and are left out, the first at {first}")
        found = [series.filter(labelled) for series in found]
    fields, records = _features(table, reading, kept, dividing)
    about, y, noted = _target(table, reading, found)
    division = None
    if dividing is not None:
        kind, series = dividing
        division = _division(kind, series, table)
        division = division if kept is None else division.take(kept)
        fields = tuple(f for f in fields if f.name != series.name or kind == "time")
        if kind != "time":
            notes.append(f"{series.name!r} splits the rows, and is left out of the examples")
    notes += _left_out(fields)
    used = tuple(field.name for field in fields if field.used)
    if not used:
        kinds = ", ".join(f"{field.name} ({field.kind})" for field in fields[:8])
        raise DataError(
            f"{table.name}: no column is left to learn from{': ' + kinds if kinds else ''}; "
            "declare the kind of a column (such as columns.NAME=category)"
        )
    schema = Schema.parse(
        {"example": "record", "shape": [len(used)], "dtype": "float64", "columns": used, **about},
        table.name,
        DataError,
    )
    return Dataset(
        x=torch.from_numpy(records.T),
        y=y,
        schema=schema.model_copy(update={"fields": fields, "missing": reading.missing}),
        name=table.name,
        notes=(*notes, *noted),
        division=division,
    )


def overview(table: Table, reading: Reading) -> list[dict[str, Any]]:
    """The kind and the facts of each column, for people; see ``columns.describe``."""
    _declared(table, reading)
    return [
        columns.describe(series, kinds.infer(series, reading.columns.get(name), table))
        for name, series in (
            (name, columns.without(series, reading.missing))
            for name, series in table.columns.items()
        )
    ]


def features(table: Table, reading: Reading) -> tuple[tuple[Column, ...], Tensor]:
    """The columns of a table without a target, and its records (rows, used columns)."""
    fields, records = _features(table, reading, None, None)
    if not len(records):
        raise DataError(f"{table.name}: no column is left to learn from")
    return fields, torch.from_numpy(records.T)


def conform(table: Table, schema: Schema, reading: Reading, *, labelled: bool) -> Dataset:
    """Encode a table by the ``schema`` of a model that was trained with the settings ``reading``;
    this empties the table.

    ``labelled`` needs the target column, and leaves out the rows without a target of the model.
    Otherwise all rows stay; a missing target has the class code -1 or the number NaN. Rows keep
    their group or time, if the table has this column, and a value in every row.
    """
    notes = list(table.notes)
    names = [field.name for field in schema.fields]
    division = _regrouped(table, reading) if labelled else None
    known_too = (*names, *schema.targets, *([] if division is None else [division.column]))
    extra = [name for name in table.columns if name not in known_too]
    if extra:
        notes.append(f"columns that the model does not know: {', '.join(map(repr, extra[:8]))}")
    absent = [name for name in schema.targets if name not in table.columns]
    if absent and labelled:
        raise DataError(
            f"{table.name}: the target {', '.join(map(repr, absent))} is missing; "
            f"{suggest(absent[0], table.columns)}"
        )
    rows = len(table)
    y = torch.empty((rows, 0))
    if not absent:
        found = [
            columns.without(table.columns.pop(name), schema.missing) for name in schema.targets
        ]
        y = (
            _numbers(found, table)
            if schema.task == "regression"
            else torch.from_numpy(_codes(found[0], schema, reading, table, strict=labelled))
        )
    x = schema.encode_table(table)
    if labelled:
        known = y >= 0 if schema.task == "classification" else ~y.reshape(rows, -1).isnan().any(1)
        if not known.all():
            lost = int((~known).sum())
            notes.append(f"{lost:,} rows have no target that the model knows, and are left out")
            x, y = x[known], y[known]
            division = None if division is None else division.take(known)
        if not len(x):
            raise DataError(f"{table.name}: no row has a target that the model knows")
    return Dataset(x, y, schema, name=table.name, notes=tuple(notes), division=division)


def _declared(table: Table, reading: Reading) -> None:
    """Raise if a column that does not exist is declared."""
    for name in reading.columns:
        if name not in table.columns:
            raise DataError(
                f'{table.name}: there is no column "{name}", named in columns; '
                f"{suggest(name, table.columns)}"
            )


def _features(
    table: Table, reading: Reading, kept: Tensor | None, dividing: tuple[str, pl.Series] | None
) -> tuple[tuple[Column, ...], np.ndarray[Any, Any]]:
    """The remaining columns, and the records of those that are used, (used columns, rows)."""
    names = list(table.columns)

    def kind(name: str) -> Column:
        left = dividing is not None and dividing[1].name == name and dividing[0] != "time"
        declared = "identifier" if left else reading.columns.get(name)
        series = columns.without(table.columns[name], reading.missing)
        return kinds.infer(series, declared, table)

    fields = tuple(columns.in_threads(kind, names))
    used = [field for field in fields if field.used]
    rows = len(table) if kept is None else len(kept)
    records = np.empty((len(used), rows))  # memory is allocated as it is written

    def fill(index: int) -> None:
        series = columns.without(table.columns.pop(used[index].name), reading.missing)
        record = columns.record(used[index], series, table)
        records[index] = record if kept is None else record[kept.numpy()]

    columns.in_threads(fill, range(len(used)))
    return fields, records


def _left_out(fields: Sequence[Column]) -> list[str]:
    notes: list[str] = []
    for kind in ("text", "identifier", "constant"):
        names = [repr(field.name) for field in fields if field.kind == kind]
        if names:
            what = {"text": "text", "identifier": "identifiers", "constant": "constant"}[kind]
            notes.append(LeftOut(f"left out, as they are {what}: {listed(names, 8)}"))
    return notes


def _targets(table: Table, reading: Reading) -> tuple[str, ...]:
    """The names of the columns to predict."""
    names = list(table.columns)
    known = listed(names, 20)
    if not reading.target:
        raise DataError(
            f"{table.name}: which column is to be predicted? name it: --target COLUMN; there are "
            f"{known}"
        )
    for name in reading.target:
        if name not in table.columns:
            noted = "".join(f"; {note}" for note in table.notes)
            raise DataError(f'{table.name} has no column "{name}"; {suggest(name, names)}{noted}')
        if reading.columns.get(name) in ("text", "identifier", "date"):
            raise DataError(
                f"{table.name}: the target {name!r} cannot be {reading.columns[name]}; expected a "
                "number or classes"
            )
    if len(set(reading.target)) < len(reading.target):
        raise DataError(f"{table.name}: a target is named twice: {', '.join(reading.target)}")
    return reading.target


def _dividing(
    table: Table, reading: Reading, targets: Sequence[str]
) -> tuple[str, pl.Series] | None:
    """The column that splits the rows, if one is named."""
    given = [(kind, getattr(reading, kind)) for kind in ("split", "group", "time")]
    given = [(kind, name) for kind, name in given if name is not None]
    if not given:
        return None
    if len(given) > 1:
        raise DataError(
            f"only one column can split the rows; given are "
            f"{' and '.join(f'{kind}={name}' for kind, name in given)}"
        )
    ((kind, name),) = given
    if name in targets:
        raise DataError(f"{table.name}: {name!r} is the target, and cannot split the rows too")
    if name not in table.columns:
        raise DataError(f'{table.name} has no column "{name}"; {suggest(name, table.columns)}')
    series = table.columns[name]
    if series.null_count():
        where = table.where(int(series.is_null().arg_max() or 0))
        raise DataError(
            f"{table.name}, {where}: {name!r} is missing; a column that splits the rows needs a "
            "value in every row"
        )
    return kind, series


def _regrouped(table: Table, reading: Reading) -> Division | None:
    """The groups or times of rows to score, if the table has this column without a gap."""
    for kind, name in (("group", reading.group), ("time", reading.time)):
        if name is not None and name in table.columns and not table.columns[name].null_count():
            return _division(kind, table.columns[name], table)
    return None


def _division(kind: Any, series: pl.Series, table: Table) -> Division:
    """The split that a column defines."""
    if kind == "group":
        values = series.rank("dense").cast(pl.Int64)
        return Division(kind, series.name, torch.from_numpy(values.to_numpy().copy()))
    if kind == "time":
        column = kinds.infer(series, "date" if series.dtype == pl.String else None, table)
        if column.kind not in ("number", "date"):  # codes or an identifier: use their numbers
            column = kinds.infer(series, "number", table)
        record = columns.record(column, series, table)
        return Division(kind, series.name, torch.from_numpy(record.copy()))
    texts = pl.Series(kinds.labels(series)) if series.dtype != pl.String else series
    parts = texts.str.to_lowercase().replace_strict(PARTS, default=None, return_dtype=pl.Int64)
    if parts.null_count():
        row = int(parts.is_null().arg_max() or 0)
        raise DataError(
            f"{table.name}: {series.name!r} has {texts[row]!r} at {table.where(row)}; expected "
            "train, valid or test"
        )
    if not (parts == 0).any():
        raise DataError(f"{table.name}: {series.name!r} puts no row into train")
    return Division(kind, series.name, torch.from_numpy(parts.to_numpy().copy()))


def _target(
    table: Table, reading: Reading, found: Sequence[pl.Series]
) -> tuple[dict[str, Any], Tensor, list[str]]:
    """The target's part of a schema, ``y``, and notes about it."""
    names = [series.name for series in found]
    task = reading.task if reading.task != "auto" else kinds.task_of(found, reading)
    if task == "regression":
        y = _numbers(found, table)
        for name, column in zip(names, y.reshape(len(y), -1).T, strict=True):
            if len(column) > 1 and (column == column[0]).all():
                raise DataError(
                    f"{table.name}: the target {name!r} is {column[0]:g} in every row: there is "
                    "nothing to predict"
                )
        return {"task": task, "targets": names}, y, []
    if len(found) > 1:
        raise DataError(
            f"{table.name}: {len(found)} targets with classes; expected one, or numbers"
        )
    (series,) = found
    if series.dtype == pl.Float64 and not (series % 1 == 0).all():
        raise DataError(
            f"{table.name}: the target {series.name!r} holds fractions, such as "
            f"{series.filter(series % 1 != 0)[0]}: no classes; say --task regression"
        )
    if series.dtype.is_temporal():
        raise DataError(f"{table.name}: the target {series.name!r} holds dates; expected classes")
    counts = series.value_counts().sort(series.name)
    values = counts[series.name]
    if len(values) < 2:
        raise DataError(
            f"{table.name}: the target {series.name!r} has one class, "
            f"{kinds.labels(values)[0]!r}; expected two or more"
        )
    if len(values) > MAX_CLASSES:
        raise DataError(
            f"{table.name}: the target {series.name!r} has {len(values):,} classes; at most "
            f"{MAX_CLASSES:,} (MAX_CLASSES)"
        )
    single = int((counts["count"] == 1).sum())
    if single * 2 > len(values) and len(values) > 2:
        raise DataError(
            f"{table.name}: {single:,} of the {len(values):,} classes of {series.name!r} have one "
            "row; expected several rows for each class: is it the right column, or is the task "
            "regression?"
        )
    labels, kind = _labels(values)
    codes = series.replace_strict(values, list(range(len(values))), return_dtype=pl.Int64)
    notes = []
    if single:
        notes.append(f"{single:,} of {len(values):,} classes have one row, kept for training")
    if reading.task == "auto" and series.dtype == pl.Float64 and len(values) > 2:
        notes.append(
            f"{series.name!r} has {len(values)} different whole numbers: treated as classes (to "
            "predict a number: --task regression)"
        )
    about = {"task": task, "targets": names, "classes": labels, "class_kind": kind}
    return about, torch.from_numpy(codes.to_numpy().copy()), notes


def _labels(values: pl.Series) -> tuple[list[Label], str]:
    """Sorted values as class labels, and their kind."""
    if values.dtype == pl.Float64:
        return [int(value) for value in values], "int"
    if values.dtype == pl.Boolean:
        return values.to_list(), "bool"
    return values.to_list(), "text"


def _numbers(found: Sequence[pl.Series], table: Table) -> Tensor:
    """Targets as numbers, (rows,) or (rows, targets), NaN where one is missing."""
    for series in found:
        if series.dtype not in (pl.Float64, pl.Boolean):
            value = series.drop_nulls().first()
            raise DataError(
                f"{table.name}: the target {series.name!r} holds {value!r}, which is not a number; "
                "expected numbers for regression, or one target of classes"
            )
    columns_ = [series.cast(pl.Float64).to_numpy() for series in found]
    return torch.from_numpy(np.stack(columns_, 1) if len(found) > 1 else columns_[0].copy())


def _codes(
    series: pl.Series, schema: Schema, reading: Reading, table: Table, *, strict: bool
) -> np.ndarray[Any, Any]:
    """Labels (rows,) as codes of the model's classes, -1 where missing. An unknown label raises
    DataError if ``strict`` and the model uses all classes, else it is -1 too."""
    values = series.unique().drop_nulls()
    texts = kinds.labels(values)
    if reading.positive is not None:
        codes = [int(text == schema.names[1]) for text in texts]
    else:
        place = {name: code for code, name in enumerate(schema.names)}
        codes = [place.get(text, -1) for text in texts]
        for value, text, code in zip(values, texts, codes, strict=True):
            if code < 0 and strict and reading.classes is None:
                row = int((series == value).arg_max() or 0)
                raise DataError(
                    f"{table.name}, {table.where(row)}: the label {text!r} is not among the "
                    f"classes; {suggest(text, schema.names)}"
                )
    if not len(values):
        return np.full(len(series), -1)
    mapped = series.replace_strict(values, codes, default=None, return_dtype=pl.Int64)
    array: np.ndarray[Any, Any] = mapped.fill_null(-1).to_numpy().copy()
    return array

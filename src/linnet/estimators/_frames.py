"""How estimators take data frames: one rule, which never depends on what these rows miss.

The type of a column decides. A column of numbers or booleans is one column, whatever it holds; a
missing number is filled with the mean of the rows of the fit. Text is a category, one 0/1 column
for each value, and a missing one is none of them; it is yes or no, a date, or left out (with a
warning) where ``linnet train`` would say so from its values. Dates become their parts. No column
marks what is missing, so one missing cell changes no number of columns, and all folds of a
cross-validation agree.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from linnet.core.later import polars as pl
from linnet.data import columns, kinds
from linnet.data.column import Column
from linnet.data.draft import features
from linnet.data.memory.frames import Frames
from linnet.data.reading import Kind, Reading
from linnet.data.schema import Schema
from linnet.data.table import warn_of
from linnet.errors import LinnetWarning

Array = np.ndarray[Any, Any]


def of_polars(X: Any) -> Any:
    """A table of pyarrow as a frame of polars, which scikit-learn knows; others as they are."""
    if type(X).__module__.startswith("pyarrow"):
        return pl.DataFrame(Frames().read(X, Reading()).columns)
    return X


def names(table: Schema) -> list[str]:
    """The columns of the frame."""
    return [field.name for field in table.fields]


def plain(table: Schema) -> bool:
    """Whether all columns are numbers, not text that is read as such, without a mark for missing
    ones: so rows are arrays."""
    return all(
        field.kind == "number" and not field.missing and not field.format for field in table.fields
    )


def all_numbers(X: Any) -> bool:
    """Whether all columns of a data frame are numbers or booleans."""
    dtypes = _dtypes(X)
    return dtypes is None or all(dtype.is_numeric() or _boolean(dtype) for dtype in dtypes)


def whole(X: Any) -> bool:
    """Whether all columns of a data frame are integers or booleans."""
    dtypes = _dtypes(X)
    return dtypes is not None and all(dtype.is_integer() or _boolean(dtype) for dtype in dtypes)


def numbers(X: Any, rows: Array, weight: Any) -> Schema | None:
    """The schema of a frame of numbers, with the mean of each column of ``rows`` (rows, columns);
    None if its columns have no different names."""
    listed = [str(name) for name in X.columns]
    if len(set(listed)) < len(listed):
        return None
    kept = _weighty(weight, len(rows))
    means = [_mean(rows[kept, index]) for index in range(len(listed))]
    fields = [
        Column(name=name, kind="number", fill=(mean,))
        for name, mean in zip(listed, means, strict=True)
    ]
    return _schema(tuple(fields), str(rows.dtype))


def fill(rows: Array, table: Schema) -> Array:
    """``rows`` of numbers with the missing ones filled."""
    absent = np.isnan(rows)
    if not absent.any():
        return rows
    means = np.array([field.fill[0] for field in table.fields])
    filled: Array = np.where(absent, means.astype(rows.dtype), rows)
    return filled


def learn(X: Any, weight: Any, integers: Any) -> tuple[Schema, Array]:
    """The schema of a frame of any columns, and its rows; warns of columns that are left out."""
    table = Frames().read(X, Reading())
    found = {name: _kind(series, table) for name, series in table.columns.items()}
    declared = {name: kind for name, (kind, _) in found.items()}
    warn_of(tuple(note for _, notes in found.values() for note in notes))
    most = Reading().max_categories
    fields, records = features(table, Reading(columns=declared))
    left = [f"{field.name!r} ({field.kind})" for field in fields if not field.used]
    if left:
        warnings.warn(
            f"columns left out of the examples: {', '.join(left)}; encode a column before the fit "
            "to use it",
            LinnetWarning,
            stacklevel=4,
        )
    rows, kept = records.numpy(), _weighty(weight, len(records))
    used = [field for field in fields if field.used]
    learnt = {
        field.name: columns.learn(field, rows[kept, index], most)[0]
        for index, field in enumerate(used)
    }
    unmarked = tuple(
        learnt.get(field.name, field).model_copy(update={"missing": False}) for field in fields
    )
    schema = _schema(unmarked, _width(X, integers))
    return schema, columns.expand(schema.fields, rows, schema.dtype, fields)


def encode(X: Any, table: Schema) -> Array:
    """The rows of a frame, matched by the names of its columns; warns of unknown categories."""
    read = Frames().read(X, Reading(missing=table.missing))
    records = columns.records(table.fields, read, table.missing)
    for text in columns.unknown(table.fields, np.nan_to_num(records)):
        warnings.warn(f"{read.name}: the column {text}", LinnetWarning, stacklevel=4)
    return columns.expand(table.fields, records, table.dtype, table.fields)


def _kind(series: pl.Series, table: Any) -> tuple[Kind, tuple[str, ...]]:
    """The kind of a column, from its type and from the values that are there, and notes."""
    if series.dtype == pl.Float64:
        return "number", ()
    if series.dtype == pl.Boolean:
        return "boolean", ()
    if series.dtype.is_temporal():
        return "date", ()
    column, notes = kinds.inferred(series.drop_nulls(), None, table, Reading())
    return column.kind, notes


def _schema(fields: tuple[Column, ...], dtype: str) -> Schema:
    encoded = tuple(name for field in fields if field.used for name in field.names)
    return Schema(
        example="row",
        shape=(len(encoded),),
        dtype="float32" if dtype == "float32" else "float64",
        columns=encoded,
        fields=fields,
        task="regression",
        targets=("target",),
    )


def _width(X: Any, integers: Any) -> str:
    """The dtype of the rows of a frame: that of its columns of numbers."""
    import narwhals

    narrow = (narwhals.Float32, getattr(narwhals, "Float16", narwhals.Float32))
    found = []
    for dtype in _dtypes(X) or []:
        if dtype.is_numeric() and not dtype.is_integer():
            found.append(np.float32 if dtype in narrow else np.float64)
    return str(np.result_type(*found) if found else np.dtype(integers))


def _dtypes(X: Any) -> list[Any] | None:
    """The types of the columns; None for a frame that narwhals refuses, such as one with two
    columns of a name: reading it raises the error."""
    import narwhals

    try:
        frame = narwhals.from_native(X, eager_only=True)
    except (TypeError, ValueError):
        return None
    return list(frame.schema.values())


def _boolean(dtype: Any) -> bool:
    import narwhals

    return bool(dtype == narwhals.Boolean)


def _weighty(weight: Any, rows: int) -> Any:
    """The rows that have a weight above 0."""
    if weight is None:
        return slice(None)
    known = np.asarray(weight)
    if known.dtype.kind not in "buif" or known.shape != (rows,) or not (known > 0).any():
        return slice(None)  # the fit refuses such weights
    return known > 0


def _mean(values: Array) -> float:
    """The mean of the numbers that are there; 0 if there are none, or one is infinite."""
    there = values[~np.isnan(values)].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(there.mean()) if len(there) else 0.0
        mean = mean if np.isfinite(mean) else float((there / len(there)).sum())
    return mean if np.isfinite(mean) else 0.0

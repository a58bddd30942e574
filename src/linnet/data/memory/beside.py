"""A data frame with its target beside it: ``(X, y)`` where ``X`` is a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from linnet.core.later import polars as pl
from linnet.data.memory.frames import Frames
from linnet.data.memory.values import as_array
from linnet.data.reading import Reading
from linnet.data.table import Table, Warned
from linnet.errors import DataError


def beside(given: Mapping[str, Any], reading: Reading) -> Table:
    """The frame ``x`` and its target ``y`` as one table; or those of ``x_train``, ``y_train``,
    ``x_test``, ``y_test``, with a column that names the part."""
    given = {str(key).lower(): value for key, value in given.items()}
    pairs = [("x", "y")] if "x" in given else [("x_train", "y_train"), ("x_test", "y_test")]
    tables = []
    for x, y in pairs:
        if x not in given or y not in given:
            raise DataError(f"{x if x not in given else y} is not there; expected {x} and {y}")
        tables.append(_joined(given[x], given[y], x, y, reading))
    if len(tables) == 1:
        return tables[0]
    train, test = tables
    if list(train.columns) != list(test.columns) or any(
        train.columns[name].dtype != series.dtype for name, series in test.columns.items()
    ):
        raise DataError("x_train and x_test, with their targets, do not have the same columns")
    part = "part"
    while part in train.columns:
        part += "_"
    words = ["train"] * len(train) + ["test"] * len(test)
    columns = {
        name: pl.concat([series, test.columns[name]]) for name, series in train.columns.items()
    }
    columns[part] = pl.Series(part, words)
    return Table(
        columns,
        train.name,
        notes=train.notes + test.notes,
        given={**train.given, "split": part},
        words=train.words | test.words,
    )


def _joined(x: Any, y: Any, what: str, of: str, reading: Reading) -> Table:
    """The columns of ``x``, and those of its target."""
    if not Frames().matches(x):
        raise DataError(f"{what} is a {type(x).__name__}, not a data frame as the other part is")
    table = Frames().read(x, reading)
    targets = Frames().read(_framed(y, of), Reading(missing=reading.missing))
    if reading.target and len(reading.target) == len(targets.columns):  # those of a model
        named = zip(reading.target, targets.columns.values(), strict=True)
        targets = replace(targets, columns={name: each.alias(name) for name, each in named})
    if len(table) != len(targets):
        raise DataError(f"{len(table)} examples, but {len(targets)} targets")
    for name in targets.columns:
        if name in table.columns:
            raise DataError(
                f"the target {name!r} is a column of {what} too; leave it out of {what}, or give "
                "the frame alone, and target="
            )
    return replace(
        table,
        columns={**table.columns, **targets.columns},
        notes=table.notes + _unaligned(x, y),
        given={"target": tuple(targets.columns)},
        words=table.words | targets.words,
    )


def _framed(y: Any, of: str) -> Any:
    """A target as a data frame."""
    import narwhals

    if Frames().matches(y):
        return y
    series = narwhals.from_native(y, series_only=True, pass_through=True)
    if isinstance(series, narwhals.Series):
        named = isinstance(series.name, str) and series.name
        return (series if named else series.alias("y")).to_frame()
    array = as_array(y, of)
    if array.ndim == 2 and array.shape[1] > 1:
        return pl.DataFrame({f"y{index}": column for index, column in enumerate(array.T)})
    return pl.DataFrame({"y": array.reshape(len(array), -1)[:, 0] if array.ndim else array})


def _unaligned(x: Any, y: Any) -> tuple[str, ...]:
    """A warning if the rows of two frames of pandas have the same labels in another order."""
    labels: Any = getattr(x, "index", None)
    others: Any = getattr(y, "index", None)
    if not hasattr(labels, "equals") or not hasattr(others, "equals") or labels.equals(others):
        return ()
    if set(labels) != set(others):
        return ()
    return (
        Warned(
            "the frame and its target have the same index in another order: rows are paired by "
            "position",
            "sort both alike first, such as y.loc[X.index]",
        ),
    )

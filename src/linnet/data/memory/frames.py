"""Data frames in memory: pandas, polars, pyarrow, and all others that narwhals supports."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np

from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.errors import DataError

LIBRARIES = frozenset(
    {"cudf", "dask", "duckdb", "ibis", "modin", "narwhals", "pandas", "polars", "pyarrow"}
    | {"pyspark", "sqlframe"}
)
"""The libraries of data frames: narwhals is imported only for objects of these."""

SOURCE = "frame"


class Frames:
    """Any data frame that narwhals supports; the index of pandas is ignored.

    Column names that are whole numbers become text. Only narwhals is imported; it reads the frame
    with the frame's own library.
    """

    def matches(self, place: object) -> bool:
        """Whether ``place`` is a data frame, also a lazy one."""
        return _known(place) and _wrapped(place) is not None

    def read(self, place: Any, reading: Reading) -> Table:
        """The columns of the frame; ``DataError`` names the column and the row of a bad value."""
        from linnet.data.text.columns import from_narwhals, to_table  # polars is slow to load

        wrapped = _wrapped(place)
        if wrapped is None:
            raise DataError(f"a {type(place).__name__} is not a data frame")
        import narwhals

        if isinstance(wrapped, narwhals.LazyFrame):
            raise DataError(
                f"{SOURCE}: a {type(place).__module__.partition('.')[0]} {type(place).__name__} is "
                "not computed yet; collect() it first"
            )
        native = wrapped
        if isinstance(native, narwhals.DataFrame):
            native = native.to_native()
        names, columns = _taken_apart(native)
        rows = int(native.shape[0])
        if not rows:
            raise DataError(f"{SOURCE}: no rows; expected at least one")

        def converted() -> Iterator[tuple[str, Any]]:
            for index, name in enumerate(names):
                if name not in reading.drop:
                    yield str(name), from_narwhals(columns(index), str(name), SOURCE)

        return to_table(converted(), SOURCE, reading, names=names)


def _known(place: object) -> bool:
    kinds = type(place).__mro__
    return any(kind.__module__.partition(".")[0] in LIBRARIES for kind in kinds) or any(
        hasattr(type(place), f"__narwhals_{what}__") for what in ("dataframe", "lazyframe")
    )


def _wrapped(place: object) -> Any:
    """``place`` wrapped by narwhals; None if it is not a data frame.

    A frame of pandas or a similar library is returned as it is: it may have column names that
    narwhals would refuse with its own message.
    """
    import narwhals

    if isinstance(place, (narwhals.DataFrame, narwhals.LazyFrame)):
        return place
    if narwhals.dependencies.is_pandas_like_dataframe(place):
        return place
    if narwhals.dependencies.is_pyarrow_table(place):
        return place
    wrapped = narwhals.from_native(place, pass_through=True)
    return wrapped if isinstance(wrapped, (narwhals.DataFrame, narwhals.LazyFrame)) else None


def _taken_apart(native: Any) -> tuple[list[object], Any]:
    """The column names of a frame, and a function that returns a column by its position.

    It uses positions because pandas and pyarrow allow duplicate names.
    """
    import narwhals

    def series(column: Any) -> Any:
        return narwhals.from_native(column, series_only=True)

    if narwhals.dependencies.is_pandas_like_dataframe(native):
        if native.columns.nlevels > 1:
            raise DataError(
                f"{SOURCE}: its columns have {native.columns.nlevels} levels of names (MultiIndex);"
                " expected one: flatten them"
            )
        return [_name(name) for name in native.columns], lambda i: series(native.iloc[:, i])
    if narwhals.dependencies.is_pyarrow_table(native):
        return list(native.column_names), lambda i: series(native.column(i))
    wrapped = narwhals.from_native(native, eager_only=True)
    return list(wrapped.columns), lambda i: wrapped[:, i]


def _name(name: object) -> object:
    whole = isinstance(name, Integral) and not isinstance(name, (bool, np.bool_))
    return str(name) if whole else name

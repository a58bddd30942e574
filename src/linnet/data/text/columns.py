"""From the typed columns of Parquet files and data frames to a ``Table``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Any
from unicodedata import normalize

import numpy as np

from linnet.core import memory
from linnet.core.later import polars as pl
from linnet.core.registry import suggest
from linnet.core.text import literal
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.errors import DataError

MAX_WHOLE = 2**53
"""Above this, Float64 does not hold every whole number."""

LARGE_TEXT = 1 << 28
"""For a column with more bytes of text, the free memory is checked."""

MICROSECONDS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""The first and the last microsecond of the years 1 to 9999, counted from 1970."""

DAYS = (-719_162, 2_932_896)
"""The first and the last day of the years 1 to 9999, counted from 1970."""


def to_table(
    columns: Iterable[tuple[str, pl.Series]] | pl.DataFrame,
    name: str,
    reading: Reading,
    *,
    names: Sequence[object] | None = None,
    source: str | None = None,
    where: Callable[[int], str] | None = None,
    notes: tuple[str, ...] = (),
) -> Table:
    """Typed columns as a ``Table`` called ``name``, without those that ``reading`` drops.

    Numbers become Float64. If a whole number of the column is beyond 2**53 and the column is not
    declared a number, they become String. Text is stripped, and text that means missing becomes
    null. Date-times become microseconds in UTC, without a zone.

    ``columns`` may create each column on demand; then ``names`` are all names, which are checked
    before the first column is created. In messages, ``source`` names the data and ``where`` a row:
    by default ``name``, and the row's number from 0.

    Raises ``DataError`` for names that are not text, empty or duplicate; for unknown names in
    ``reading``; for columns of other types; for infinite numbers; and if no row or column is left.
    """
    source = name if source is None else source
    where = _row if where is None else where
    pairs: Iterable[tuple[str, pl.Series]]
    if isinstance(columns, pl.DataFrame):
        pairs = ((column.name, column) for column in columns.iter_columns())
        names = columns.columns
    elif names is None:
        pairs = list(columns)
        names = [column for column, _ in pairs]
    else:
        pairs = columns
    check_names(names, source, reading)
    found: dict[str, pl.Series] = {}
    words: set[str] = set()
    rows = None
    for column, values in pairs:
        if column in reading.drop:
            continue
        if rows is not None and len(values) != rows:
            raise DataError(
                f'{source}: column "{column}" has {len(values):,} rows, the first {rows:,}; '
                "expected as many in each"
            )
        rows = len(values)
        if not rows:
            raise DataError(f"{source}: no rows; expected at least one")
        if isinstance(values.dtype, (pl.Categorical, pl.Enum)):
            words.add(column)
        found[column] = to_column(values.rename(column), source, reading, where)
    if not found:
        raise DataError(f"{source}: no columns are left; expected at least one")
    return Table(columns=found, name=name, notes=notes, words=frozenset(words))


def check_names(names: Sequence[object], source: str, reading: Reading) -> None:
    """Raise for names that are not text, empty or duplicate, and for unknown names to drop."""
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise DataError(
                f"{source}: column {index} is named {name!r}, a {type(name).__name__}; expected "
                "text: rename it"
            )
        if not name.strip():
            raise DataError(f"{source}: column {index} has no name ({name!r}); give it one")
        first = seen.setdefault(normalize("NFC", name), index)
        if first != index:
            same = "" if names[first] == name else ", spelled with other code points"
            raise DataError(
                f'{source}: columns {first} and {index} are both named "{name}"{same}; rename one'
            )
    known = [str(name) for name in names]
    for name in reading.drop:
        if name not in known:
            raise DataError(
                f'{source}: there is no column "{name}", named in drop; {suggest(name, known)}'
            )


def refused(source: str, column: str, kind: object) -> DataError:
    """The error for a column of a type that a table cannot hold."""
    return DataError(
        f'{source}: column "{column}" is {kind}; expected numbers, text, booleans, dates or '
        f"date-times: convert it, or leave it out (drop={column})"
    )


def to_column(
    values: pl.Series, source: str, reading: Reading, where: Callable[[int], str] | None = None
) -> pl.Series:
    """One column in the form that ``Table`` requires; raises ``DataError`` if impossible."""
    where = _row if where is None else where
    name, kind = values.name, values.dtype
    if kind == pl.Null:
        return values.cast(pl.String)
    if kind == pl.Boolean:
        return values
    if isinstance(kind, (pl.String, pl.Categorical, pl.Enum)):
        return _text(values, source, reading)
    if kind == pl.Date:
        _in_years(values.to_physical(), DAYS, 1, source, where)
        return values
    if isinstance(kind, pl.Datetime):
        return _microseconds(values, kind, source, where)
    if isinstance(kind, pl.Decimal):
        if kind.scale == 0:
            return _whole(values.cast(pl.Int128), reading)
        return values.cast(pl.Float64)
    if kind.is_integer():
        return _whole(values, reading)
    if kind.is_float():
        return _finite(values.cast(pl.Float64), source, where)
    raise refused(source, name, kind)


def _row(row: int) -> str:
    return f"row {row}"


def _whole(values: pl.Series, reading: Reading) -> pl.Series:
    if reading.columns.get(values.name) != "number":
        least, most = values.min(), values.max()
        for bound in (least, most):
            if isinstance(bound, int) and abs(bound) > MAX_WHOLE:
                return values.cast(pl.String)
    return values.cast(pl.Float64)


def _finite(values: pl.Series, source: str, where: Callable[[int], str]) -> pl.Series:
    values = values.fill_nan(None)
    row = _first(values.is_infinite())
    if row is not None:
        raise DataError(
            f'{source}: column "{values.name}", {where(row)}: {values[row]}; expected a finite '
            "number: correct it, or make it missing"
        )
    return values


def _text(values: pl.Series, source: str, reading: Reading) -> pl.Series:
    values = values.cast(pl.String)
    total = int(values.str.len_bytes().sum())
    if total > LARGE_TEXT:  # until now a repeated long value is stored only once
        memory.require(2 * total, f'{source}: column "{values.name}"')
    values = values.str.strip_chars()
    missing = values.is_in(list(reading.empty))
    if missing.any():
        values = values.set(missing, None)
    return values


def _microseconds(
    values: pl.Series, kind: pl.Datetime, source: str, where: Callable[[int], str]
) -> pl.Series:
    """Microseconds in UTC (polars counts in UTC for every zone); nanoseconds are cut off."""
    counts = values.to_physical()
    scale = {"ms": 1000, "us": 1, "ns": 1}[kind.time_unit]
    if kind.time_unit == "ns":
        counts = counts // 1000
    _in_years(counts, MICROSECONDS, scale, source, where)
    return (counts * scale).cast(pl.Datetime("us"))


def _in_years(
    counts: pl.Series,
    bounds: tuple[int, int],
    scale: int,
    source: str,
    where: Callable[[int], str],
) -> None:
    row = _first((counts < bounds[0] // scale) | (counts > bounds[1] // scale))
    if row is not None:
        raise DataError(
            f'{source}: column "{counts.name}", {where(row)}: a date outside the years 1 to 9999; '
            "correct it, or make it missing"
        )


def _first(wrong: pl.Series) -> int | None:
    """The first row where ``wrong`` is true."""
    return wrong.fill_null(False).arg_max() if wrong.any() else None


def from_narwhals(column: Any, name: str, source: str) -> pl.Series:
    """A narwhals ``Series`` as a polars one; the type does not depend on the library."""
    import narwhals

    native, kind = column.to_native(), column.dtype
    if isinstance(native, pl.Series):
        return native
    shown = str(getattr(native, "dtype", getattr(native, "type", kind)))
    categories = isinstance(kind, (narwhals.Categorical, narwhals.Enum))
    others = (narwhals.String, narwhals.Boolean, narwhals.Datetime, narwhals.Date)
    plain = categories or kind.is_numeric() or isinstance(kind, others)
    if narwhals.dependencies.is_pyarrow_chunked_array(native):
        return _from_arrow(native, name, shown, plain, categories, source)
    if not plain and shown not in ("object", "null[pyarrow]"):
        raise refused(source, name, shown)
    missing = column.is_null().to_numpy().astype(bool)
    if shown == "object":
        return of_objects(column.to_list(), missing, name, source)
    if isinstance(kind, narwhals.String):
        return _strings(column.to_numpy(), missing, name)
    if categories and shown == "category":
        return _categories(native, name, shown, source)
    if categories:  # pyarrow's, inside pandas
        return _as_text(of_objects(column.to_list(), missing, name, source), shown, source)
    if isinstance(kind, narwhals.Boolean):
        return _masked(column.fill_null(False).to_numpy().astype(bool), missing, name)
    if kind.is_integer() or kind.is_float():
        filled = column.fill_null(0) if missing.any() else column
        return _masked(filled.to_numpy(), missing, name)
    if isinstance(kind, narwhals.Datetime):
        if kind.time_zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return pl.Series(name, _date_times(column.to_numpy()))
    return of_objects(column.to_list(), missing, name, source)  # such as dates and decimals


def _from_arrow(
    native: Any, name: str, shown: str, plain: bool, categories: bool, source: str
) -> pl.Series:
    """A chunked array of pyarrow, whose type is ``shown``, as a polars ``Series``."""
    if categories:
        return _as_text(pl.Series(name, native.cast(native.type.value_type)), shown, source)
    if not plain and shown not in ("null", "date64[ms]"):
        raise refused(source, name, shown)  # extension types among them
    values = pl.Series(name, native)
    return values.cast(pl.Date) if shown == "date64[ms]" else values


def _date_times(values: Any) -> Any:
    """As microseconds; a value that does not fit becomes a year that is refused later."""
    if values.dtype.kind != "M":
        return np.asarray(values, dtype="datetime64[us]")
    if np.datetime_data(values.dtype)[0] in ("s", "ms"):
        least, most = (np.datetime64(f"{year}-01-01", "s") for year in ("0000", "10000"))
        values = np.clip(values, least, most)
    return values.astype("datetime64[us]")


def _masked(values: Any, missing: Any, name: str) -> pl.Series:
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        values = values.astype(np.float64)  # such as longdouble
    found = pl.Series(name, values)
    return found.set(pl.Series(missing), None) if missing.any() else found


def _strings(values: Any, missing: Any, name: str) -> pl.Series:
    values = np.array(values, dtype=object)
    values[missing] = None
    return pl.Series(name, values.tolist(), dtype=pl.String)


def _categories(native: Any, name: str, shown: str, source: str) -> pl.Series:
    """Categories as text: each is converted once, then its code selects it in every row."""
    categories = native.cat.categories
    codes = native.cat.codes.to_numpy()
    values = np.array(categories.to_numpy(), dtype=object).tolist()
    if not values:
        return pl.Series(name, [None] * len(codes), dtype=pl.String)
    if len({_kind(value) for value in values}) > 1:
        raise refused(source, name, f"{shown} of several types")
    kinds = of_objects(values, np.zeros(len(values), bool), name, source)
    texts = _as_text(kinds, shown, source)
    picks = pl.Series(codes.astype(np.int64))
    return texts.gather(picks.set(picks < 0, None)).rename(name)


def _as_text(values: pl.Series, shown: str, source: str) -> pl.Series:
    """Categories (text, numbers or booleans) as categories of text."""
    kind = values.dtype
    if kind == pl.Null or kind == pl.Boolean or kind == pl.String or kind.is_numeric():
        return values.cast(pl.String).cast(pl.Categorical)
    raise refused(source, values.name, f"{shown} of {kind}")


def of_objects(values: list[Any], missing: Any, name: str, source: str) -> pl.Series:
    """A column of Python objects: all of one kind, or numbers of several kinds."""
    first = None
    for row, (value, gone) in enumerate(zip(values, missing.tolist(), strict=True)):
        if gone:
            values[row] = None
            continue
        kind = _kind(value)
        if kind is None:
            raise refused(source, name, f"of Python objects, at row {row} a {_type(value)}")
        if first is None:
            first = row, kind
        elif kind != first[1]:
            raise DataError(
                f'{source}: column "{name}" mixes types: row {first[0]} has '
                f"{literal(values[first[0]])} ({_type(values[first[0]])}), row {row} has "
                f"{literal(value)} ({_type(value)}); expected one: convert it"
            )
    if first is None:
        return pl.Series(name, values, dtype=pl.Null)
    kind = first[1]
    if kind == "text":
        return pl.Series(name, [None if v is None else str(v) for v in values])
    if kind == "boolean":
        return pl.Series(name, [None if v is None else bool(v) for v in values])
    if kind == "date":
        return pl.Series(name, values, dtype=pl.Date)
    if kind in ("date-time", "date-time with a zone"):
        return pl.Series(name, np.array([_in_utc(v) for v in values], "datetime64[us]"))
    return _numbers(values, name)


def _numbers(values: list[Any], name: str) -> pl.Series:
    """Numbers of any type; if all are whole, they keep all their digits."""
    present = [value for value in values if value is not None]
    if all(isinstance(value, Integral) or _is_whole(value) for value in present):
        whole = [None if value is None else int(value) for value in values]
        if all(abs(value) < 2**127 for value in whole if value is not None):
            return pl.Series(name, whole, dtype=pl.Int128)
        return pl.Series(name, [None if value is None else str(value) for value in whole])
    return pl.Series(name, [None if value is None else float(value) for value in values])


def _is_whole(value: object) -> bool:
    """Whether it is a whole number, also a decimal without decimal places."""
    exponent = value.as_tuple().exponent if isinstance(value, Decimal) else None
    return isinstance(exponent, int) and 0 <= exponent < 40


def _kind(value: object) -> str | None:
    if isinstance(value, str):
        return "text"
    if isinstance(value, (bool, np.bool_)):
        return "boolean"
    if isinstance(value, (Real, Decimal)):
        return "number"
    if isinstance(value, datetime):
        return "date-time" if value.tzinfo is None else "date-time with a zone"
    return "date" if isinstance(value, date) else None


def _in_utc(value: datetime | None) -> datetime | None:
    if value is None or value.tzinfo is None:
        return value
    return value.astimezone(UTC).replace(tzinfo=None)


def _type(value: object) -> str:
    return type(value).__name__

"""The columns of a table, and how each is encoded.

A column has three forms. A source returns it as a polars ``Series`` (see ``Table``). As a *record*
it is one float64 number for each row: the number itself, the index of the category in
``categories``, or seconds since 1970; NaN if it is missing. *Encoded* it is one or more numbers:

- a number, or a boolean as 0 or 1; missing ones are imputed with the mean. If some numbers are far
  from all others, these count as missing, and the median is imputed (``linnet.data.far``);
- a category, one-hot: a 0/1 column for each category;
- a date as year, month, day, weekday (Monday is 0) and, if it has times of day, the hour;
- if training rows have missing values, one more 0/1 column that marks them.

Means, medians, categories and the marks of missing values are learnt from training rows alone. A
category that was not in training counts as one of the rare ones, if those share a column; else it
is none of the categories (all zeros).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from linnet.core import memory
from linnet.core.later import polars as pl
from linnet.core.randomness import drawn
from linnet.core.text import counted, literal
from linnet.data import far, forms, written
from linnet.data.codes import WIDE, Codes
from linnet.data.column import Column
from linnet.data.kinds import SAMPLE, as_boolean, as_date, labels
from linnet.data.table import Table
from linnet.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray[Any, Any]
Item = TypeVar("Item")
Result = TypeVar("Result")

BLOCK = 1 << 15
"""The number of rows that are encoded at once."""

DIGITS = 1e-4


def record(column: Column, series: pl.Series, table: Table) -> Array:
    """The record (rows,) of a column as read; -1 is an unknown category.

    Raises DataError for a value that is not of the column's kind.
    """
    if column.kind == "category":
        return _codes(column, series)
    found, good = _typed(column, series)
    kept = series if not good and series.dtype != pl.Null else found
    lost = kept.is_null() & series.is_not_null() if good else series.is_not_null()
    if series.dtype == pl.String and column.kind in ("number", "date"):
        lost &= ~written.absent(series).fill_null(False)
    if lost.any():
        row = int(lost.arg_max() or 0)
        raise DataError(
            f"{table.name}, {table.where(row)}: the column {column.name!r} has "
            f"{literal(series[row])}, expected {EXPECTED[column.kind]}; change it, or name a "
            f"value that means missing (missing=...)"
        )
    if column.kind == "date" and good:
        return _floats(found.cast(pl.Datetime("us")).dt.epoch("us")) / 1e6
    return _floats(found) if good else np.full(len(series), np.nan)


def _codes(column: Column, series: pl.Series) -> Array:
    """The codes (rows,) of a column of categories; -1 is an unknown one."""
    strange = None
    if column.numeric and series.dtype == pl.String:
        found = forms.read(series, column.format)
        strange = (found.is_null() & series.is_not_null() & ~written.absent(series)).to_numpy()
        series = found
    known = {value: float(code) for code, value in enumerate(column.categories)}
    values = series.unique().drop_nulls()
    codes = pl.Series([known.get(text, -1.0) for text in labels(values)], dtype=pl.Float64)
    result = _floats(series.replace_strict(values, codes, default=None))
    return result if strange is None else np.where(strange, -1.0, result)


def _typed(column: Column, series: pl.Series) -> tuple[pl.Series, bool]:
    """A column in the type of its kind, and whether it has that type."""
    if column.kind == "number":
        found = series.cast(pl.Float64) if series.dtype == pl.Boolean else series
        found = forms.read(found, column.format) if found.dtype == pl.String else found
        return found, found.dtype == pl.Float64
    if column.kind == "boolean":
        found = series if series.dtype != pl.String else as_boolean(series)
        if found.dtype == pl.Float64:
            found = found.replace_strict([0.0, 1.0], [0.0, 1.0], default=None)
        return found, found.dtype in (pl.Boolean, pl.Float64)
    written_ = series.dtype == pl.String or (series.dtype == pl.Float64 and column.format == "ymd")
    found = as_date(series, column.format) if written_ else series
    return found, found.dtype.is_temporal()


def learn(column: Column, values: Array, most: int, seed: int | None = None) -> tuple[Column, bool]:
    """The column with its mean or categories, its range and a typical value, learnt from the record
    ``values`` (rows,) of its training rows; and whether float32 is enough: it keeps each number to
    within ``DIGITS`` of the column's deviation. If there are more than ``most`` categories, the
    rarest share a column. With a ``seed``, numbers far from all others are looked for."""
    absent = np.isnan(values)
    centre = None
    if seed is not None and column.kind == "number":
        found = far.ends(values[~absent], seed, column.name)
        if found is not None:
            *ends, centre = found
            column = column.model_copy(update={"ends": tuple(ends)})
            absent = _absent(column, values)
    missing = bool(absent.any())
    present = values[~absent] if missing else values
    if column.kind != "category":
        parts = _split(column, present)
        fill = tuple(_mean(part) if len(part) else 0.0 for part in parts)
        fill = fill if centre is None else (centre,)
        narrow = True
        if column.kind == "number" and len(present):
            largest = max(-present.min(), present.max())
            with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest float
                narrow = not largest * np.finfo(np.float32).eps > DIGITS * present.std() > 0
            narrow &= bool(largest <= np.finfo(np.float32).max)
        update = {"fill": fill, "missing": missing, **_about(column, present, seed or 0)}
        return column.model_copy(update=update), narrow
    counts = np.bincount(present.astype(np.int64), minlength=len(column.categories))
    kept = np.nonzero(counts)[0]
    other = len(kept) > most
    if other:
        kept = np.sort(np.argsort(-counts, kind="stable")[: most - 1])
    categories = tuple(column.categories[code] for code in kept)
    typical = float(counts[kept].argmax()) if len(kept) else None
    update = {"categories": categories, "missing": missing, "other": other, "typical": typical}
    return column.model_copy(update=update), True


def _about(column: Column, present: Array, seed: int) -> dict[str, Any]:
    """The range and a typical value of numbers, dates or booleans that are not missing, for
    people; of very many the typical one is that of some of them."""
    if not len(present):
        return {}
    if column.kind == "boolean":
        return {"typical": float(2 * present.sum() > len(present))}
    some = present[drawn(len(present), seed, "typical", column.name)]
    middle = (len(some) - 1) // 2  # a value of the column: no mean of two
    typical = float(np.partition(some, middle)[middle])
    return {"range": (float(present.min()), float(present.max())), "typical": typical}


def _absent(column: Column, values: Array) -> Array:
    """Which numbers (rows,) are missing, or count as missing."""
    absent = np.isnan(values)
    if column.ends is None:
        return absent
    found: Array = absent | (values < column.ends[0]) | (values > column.ends[1])
    return found


def _mean(part: Array) -> float:
    """The mean of numbers, also if their sum overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(part.mean())
    return mean if np.isfinite(mean) else float((part / len(part)).sum())


def recode(column: Column, values: Array, before: Column) -> Array:
    """A record in the categories of ``before``, converted to the categories of ``column``."""
    if column.kind != "category" or before.categories == column.categories:
        return values
    place = {category: float(code) for code, category in enumerate(column.categories)}
    places = np.array([place.get(category, -1.0) for category in before.categories] + [-1.0])
    absent = np.isnan(values)
    return np.where(absent, np.nan, places[np.where(absent, -1, values).astype(np.int64)])


def encode(column: Column, values: Array, out: Array) -> None:
    """Write the encoded ``values`` (rows,) into ``out`` (rows, columns), which holds zeros."""
    if column.kind == "category":
        places = hot(column, values)
        rows = np.nonzero(places >= 0)[0]
        out[rows, places[rows]] = 1
        return
    absent = _absent(column, values)
    parts = _split(column, values)
    for index, (part, fill) in enumerate(zip(parts, column.fill, strict=True)):
        filled = np.where(absent, fill, part)
        if out.dtype == np.float32 and len(filled):
            largest = max(-filled.min(), filled.max())
            if largest > np.finfo(np.float32).max:
                raise DataError(
                    f"the column {column.name!r} holds a number of the size {largest:.4g}, too "
                    "large for float32, the type of the training rows; correct it"
                )
        out[:, index] = filled
    if column.missing:
        out[:, len(parts)] = absent


def hot(column: Column, values: Array) -> Array:
    """Which of the 0/1 columns of a category is 1, int64 (rows,); -1 if none is."""
    absent, count = np.isnan(values), len(column.categories)
    places = np.where(values < 0, count if column.other else -1, values)
    places = np.where(absent, count + column.other if column.missing else -1, places)
    found: Array = places.astype(np.int64)
    return found


def _split(column: Column, values: Array) -> list[Array]:
    """The parts of a record: one, or several for a date; arbitrary where it is missing."""
    if column.kind != "date":
        return [values]
    seconds = np.where(np.isnan(values), 0.0, values)
    moments = (seconds * 1e6).round().astype(np.int64).astype("datetime64[us]")
    years, months, days = (moments.astype(f"datetime64[{unit}]") for unit in "YMD")
    parts = [
        years.astype(np.int64) + 1970,
        months.astype(np.int64) % 12 + 1,
        (days - months).astype(np.int64) + 1,
        (days.astype(np.int64) + 3) % 7,  # 1970 began on a Thursday
    ]
    if column.timed:
        parts.append((moments - days).astype(np.int64) / 3_600e6)
    return [part.astype(np.float64) for part in parts]


EXPECTED = {
    "number": "a number, as in training",
    "boolean": "yes or no, true or false, 1 or 0",
    "date": "a date, written as in training",
}


def without(series: pl.Series, missing: Sequence[str]) -> pl.Series:
    """A column of numbers, with the numbers that mean missing set to null."""
    if series.dtype != pl.Float64 or not missing:
        return series
    numbers = pl.Series(missing, dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls()
    return series.replace_strict(numbers, None, default=series) if len(numbers) else series


def _floats(series: pl.Series) -> Array:
    """Numbers (rows,) as float64, NaN where there is none."""
    array: Array = series.cast(pl.Float64).to_numpy()
    return array


def describe(series: pl.Series, column: Column) -> dict[str, Any]:
    """The facts that ``linnet data show`` prints about a column."""
    values = series.drop_nulls()
    timed = values.dtype != pl.Datetime or (values != values.dt.truncate("1d")).any()
    shown = values if timed else values.cast(pl.Date)
    facts: dict[str, Any] = {
        "name": column.name,
        "kind": column.kind,
        "rows": len(series),
        "missing": series.null_count(),
        "distinct": values.n_unique(),
        "range": None,
        "examples": [
            str(value) for value in labels(shown.head(SAMPLE).unique(maintain_order=True).head(3))
        ],
    }
    if len(values) and (series.dtype == pl.Float64 or series.dtype.is_temporal()):
        low, high = shown.min(), shown.max()
        numbers = series.dtype == pl.Float64
        facts["range"] = [low, high] if numbers else [str(low), str(high)]
    return facts


def records(columns: Sequence[Column], table: Table, missing: Sequence[str]) -> Array:
    """The records (rows, used columns) of a table that has these columns in any order; the values
    in ``missing`` mean that a value is missing."""
    used = [column for column in columns if column.used]
    absent = [column.name for column in used if column.name not in table.columns]
    if absent:
        raise DataError(
            f"{table.name}: the columns {', '.join(map(repr, absent[:8]))} are missing; it has "
            f"{', '.join(map(repr, list(table.columns)[:20]))}"
        )
    result = np.empty((len(used), len(table)))

    def fill(index: int) -> None:
        series = without(table.columns.pop(used[index].name), missing)
        result[index] = record(used[index], series, table)

    in_threads(fill, range(len(used)))
    return result.T


def coded(columns: Sequence[Column]) -> list[bool]:
    """Which of the used columns are kept as codes: if they make more than ``WIDE`` 0/1 columns, the
    categories with two columns or more."""
    widths = [
        len(column.names) if column.kind == "category" else 0 for column in columns if column.used
    ]
    many = sum(widths) > WIDE
    return [many and width > 1 for width in widths]


def encoded(columns: Sequence[Column], rows: Array, dtype: str, before: Sequence[Column]) -> Tensor:
    """Records (rows, used columns), in the categories of ``before``, as encoded rows; of very many
    categories (``WIDE``) as ``Coded`` ones."""
    import torch

    from linnet.data.coded import coded

    found = as_arrays(columns, rows, dtype, before)
    return coded(found) if isinstance(found, Codes) else torch.from_numpy(found)


def as_arrays(
    columns: Sequence[Column], rows: Array, dtype: str, before: Sequence[Column]
) -> Array | Codes:
    """The same as NumPy arrays."""
    used = [column for column in columns if column.used]
    several = coded(used)
    if not any(several):
        return expand(columns, rows, dtype, before)
    starts = np.cumsum([0, *(len(column.names) for column in used)])
    plain = [index for index, many in enumerate(several) if not many]
    earlier = [column for column in before if column.used]
    numbers = expand(
        [used[index] for index in plain], rows[:, plain], dtype, [earlier[index] for index in plain]
    )
    places = [place for index in plain for place in range(starts[index], starts[index + 1])]
    fields = np.flatnonzero(several)
    codes = np.empty((len(rows), len(fields)), np.int32)

    def fill(place: int) -> None:
        index = fields[place]
        found = hot(used[index], recode(used[index], rows[:, index], earlier[index]))
        codes[:, place] = np.where(found < 0, starts[-1], starts[index] + found)

    in_threads(fill, range(len(fields))) if len(rows) > BLOCK else list(
        map(fill, range(len(fields)))
    )
    return Codes(numbers, codes, np.array(places, np.int64), int(starts[-1]))


def expand(columns: Sequence[Column], rows: Array, dtype: str, before: Sequence[Column]) -> Array:
    """Records (rows, used columns), in the categories of ``before``, as encoded rows (rows,
    columns)."""
    used = [column for column in columns if column.used]
    earlier = [column for column in before if column.used]
    widths = [len(column.names) for column in used]
    places = np.cumsum([0, *widths])
    memory.require(len(rows) * int(places[-1]) * np.dtype(dtype).itemsize, "the encoded table")
    result = np.zeros((len(rows), places[-1]), dtype)

    def fill(start: int) -> None:
        part, out = rows[start : start + BLOCK], result[start : start + BLOCK]
        for index, column in enumerate(used):
            values = recode(column, part[:, index], earlier[index])
            encode(column, values, out[:, places[index] : places[index + 1]])

    in_threads(fill, range(0, len(rows), BLOCK))
    return result


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply ``work`` to each item, in as many threads as polars uses; raise the first error.

    This pays off for long calls of NumPy and polars, which release the interpreter lock. A single
    item needs no thread.
    """
    items = list(items)
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        return list(threads.map(work, items))


def strangers(names: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """In words: the columns, by name, that a model does not know."""
    extra = [name for name in names if name not in known]
    if not extra:
        return ()
    return (f"columns that the model does not know: {', '.join(map(repr, extra[:8]))}",)


def unknown(columns: Sequence[Column], rows: Array) -> list[str]:
    """In words: the values in records (rows, used columns) that training rows did not have."""
    found = []
    for index, column in enumerate(column for column in columns if column.used):
        values = rows[:, index]
        unseen = int((values < 0).sum()) if column.kind == "category" else 0
        absent = 0 if column.missing else int(np.isnan(values).sum())
        if unseen:
            rule = "treated as rare ones" if column.other else "treated as no category (all zeros)"
            these = counted(unseen, "row")
            found.append(f"{column.name!r} has {these} of unknown categories, {rule}")
        if absent:
            rule = "treated as no category (all zeros)"
            if column.kind != "category":
                rule = "mean" if column.ends is None else "median"
                rule = f"imputed with the {rule} of training"
            found.append(
                f"{column.name!r} has {counted(absent, 'missing value')} where training had none: "
                f"{rule}"
            )
    return found

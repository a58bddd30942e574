"""The kind of a column, and of the target, decided from the values."""

from __future__ import annotations

import re

import polars as pl

from linnet.core.text import literal
from linnet.data.column import AMBIGUOUS, DAY_FORMATS, TIME_FORMATS, Column
from linnet.data.reading import Kind
from linnet.data.table import Table
from linnet.errors import DataError

MAX_CATEGORIES = 10_000
"""A text column with more different values than this is not a category."""

MAX_CODES = 5
"""Whole numbers with 3 to this many different values, each frequent, are categories."""

ROWS_A_CODE = 20
"""Whole numbers are categories only with this many rows on average for each value."""

DIFFERENT = 0.5
"""Text is no category if the share of different values is larger than this."""

MANY = 2 * MAX_CATEGORIES
"""The first text values: if more than ``MAX_CATEGORIES`` of them differ, it is no category."""

SAMPLE = 1_000
"""The number of values that are checked first."""

NEARLY = 0.9
"""If at least this share of the values are dates, the others are errors."""

BOOLEANS = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))

IDENTIFIERS = re.compile(
    r"(|unnamed: ?\d+|id|uuid|guid|index|idx|key|rownum(ber)?|row_?(id|number)|.*[_ .-](id|uuid))",
    re.IGNORECASE,
)
"""Column names of identifiers: whole numbers, all different, that number the rows."""


def infer(series: pl.Series, declared: Kind | None, table: Table) -> Column:
    """The kind of a column, decided from its values unless it is ``declared``."""
    name = series.name
    kind: Kind = declared or _kind(series)
    column = Column(name=name, kind=kind)
    if kind == "category":
        values = series.unique().drop_nulls().sort()
        if len(values) > MAX_CATEGORIES:
            raise DataError(
                f"{table.name}: the column {name!r} has {len(values):,} different values; a "
                f"category has at most {MAX_CATEGORIES:,} (MAX_CATEGORIES): declare it text "
                f"(columns.{name}=text), or drop it"
            )
        numeric = series.dtype == pl.Float64
        column = column.model_copy(update={"categories": tuple(labels(values)), "numeric": numeric})
    if kind == "date":
        if series.dtype == pl.String:
            form = date_format(series, table)
            if not form:
                raise DataError(
                    f"{table.name}: the column {name!r} holds "
                    f"{literal(series.drop_nulls().first())}, expected dates in one format, such "
                    "as 2024-12-31 or 2024-12-31 23:59; or declare it otherwise "
                    f"(columns.{name}=text)"
                )
            column = column.model_copy(update={"format": form})
            series = as_date(series, form)
        timed = series.dtype == pl.Datetime and not (series.dt.truncate("1d") == series).all()
        column = column.model_copy(update={"timed": timed})
    return column


def _kind(series: pl.Series) -> Kind:
    """The kind of a column, decided from its values."""
    values = series.drop_nulls()
    count = len(values)
    if not count:
        return "constant"
    if series.dtype == pl.Boolean or series.dtype.is_temporal():
        constant = values.n_unique() == 1 and count == len(series)
        return "constant" if constant else "boolean" if series.dtype == pl.Boolean else "date"
    numbers = series.dtype == pl.Float64
    if (
        numbers
        and not IDENTIFIERS.fullmatch(series.name)
        and values.head(SAMPLE).n_unique() > MAX_CODES
    ):
        return "number"  # the usual case, decided without all of the values
    different = values.head(MANY).n_unique()
    if numbers or different <= MAX_CATEGORIES:  # else there are too many in any case
        different = values.n_unique()
    if different == 1:
        if count == len(series):
            return "constant"
        return "number" if numbers else "category"
    if numbers:
        whole = bool((values % 1 == 0).all())
        if whole and different == len(series) and IDENTIFIERS.fullmatch(series.name):
            return "identifier"
        codes = 2 < different <= MAX_CODES and count >= ROWS_A_CODE * different
        return "category" if whole and codes else "number"
    if different == 2 and as_boolean(values).null_count() == 0:
        return "boolean"
    if _looks_dated(values):
        return "date"
    if different <= MAX_CATEGORIES and (
        different <= DIFFERENT * count or (different < count and different <= 10)
    ):
        return "category"
    spaces = values.head(SAMPLE).str.count_matches(" ", literal=True).mean()
    return "text" if float(spaces or 0) >= 1 else "identifier"  # type: ignore[arg-type]


def labels(values: pl.Series) -> list[str]:
    """Values as text; whole numbers have no point, so 1 and 1.0 are equal."""
    if values.dtype == pl.Float64:
        return [
            str(int(value)) if value is not None and value % 1 == 0 else str(value)
            for value in values
        ]
    return [str(value) for value in values]


def as_boolean(series: pl.Series) -> pl.Series:
    """Text as booleans, null for other words; all values must use one pair of words."""
    lower = series.str.to_lowercase()
    found = lower.unique().drop_nulls().to_list()
    for pair in BOOLEANS:
        if any(word in pair for word in found):
            return lower.replace_strict(pair, (True, False), default=None, return_dtype=pl.Boolean)
    return pl.Series(series.name, [None] * len(series), dtype=pl.Boolean)


def _looks_dated(values: pl.Series) -> bool:
    """Whether the first values are dates."""
    sample = values.head(100)
    return any(
        float(as_date(sample, form).is_not_null().mean() or 0) >= NEARLY  # type: ignore[arg-type]
        for form in (*DAY_FORMATS, *TIME_FORMATS, *AMBIGUOUS)
    ) and bool(date_format(values, None))


def date_format(series: pl.Series, table: Table | None) -> str:
    """The format in which all of ``series`` are dates, or "".

    With ``table``, raises DataError if only nearly all are dates, if days and months are ambiguous,
    or if time zones differ.
    """
    values = series.drop_nulls()
    best, most = "", 0
    for form in (*DAY_FORMATS, *TIME_FORMATS, *AMBIGUOUS):
        good = int(as_date(values, form).is_not_null().sum())
        if good > most:
            best, most = form, good
    if not most:
        return ""
    if NEARLY * len(values) <= most < len(values):
        bad = series.is_not_null() & as_date(series, best).is_null()
        row = int(bad.arg_max() or 0)
        where = f"row {row}" if table is None else f"{table.name}, {table.where(row)}"
        raise DataError(
            f"{where}: the column {series.name!r} has {literal(series[row])}, where "
            f"{most:,} of {len(values):,} values are dates; correct it, or declare the column text "
            f"(columns.{series.name}=text)"
        )
    if best in AMBIGUOUS and all(as_date(values, form).null_count() == 0 for form in AMBIGUOUS):
        if table is None:
            return ""
        raise DataError(
            f"{table.name}: {literal(values[0])} in the column {series.name!r} may have the day or "
            "the month first; write dates as 2024-12-31"
        )
    if best.endswith("z"):
        zones = values.str.extract(r"(Z|[+-]\d\d:?\d\d)$").n_unique()
        if zones > 1:
            raise DataError(
                f"{series.name!r} has times of {zones} zones; convert them to one, or leave the "
                f"column out (drop={series.name})"
            )
    return best if most == len(values) else ""


def as_date(series: pl.Series, form: str) -> pl.Series:
    """Text as dates, null for text in another format. Times with a zone become UTC."""
    if "%H" not in form:
        return series.str.to_date(form, strict=False)
    found = series.str.to_datetime(form, strict=False, time_unit="us")
    return found.dt.replace_time_zone(None) if form.endswith("z") else found

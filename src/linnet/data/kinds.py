"""The kind of a column, and of the target, decided from the values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from unicodedata import normalize

from linnet.core.later import polars as pl
from linnet.data import dates, forms
from linnet.data.column import Column
from linnet.data.forms import MAX_CODES
from linnet.data.reading import Kind, Reading
from linnet.data.survey import FIRST, MAX_CATEGORIES, Survey, Whole
from linnet.data.table import Table, Warned
from linnet.errors import DataError

ROWS_A_CODE = 20
"""Whole numbers are categories only with this many rows on average for each value."""

ALIKE = 100
"""With this many columns of whole numbers, none of them is taken for categories."""

DIFFERENT = 0.5
"""Text is no category if the share of different values is larger than this."""

SAMPLE = 1_000
"""The number of values that are checked first."""

BOOLEANS = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))

IDENTIFIERS = re.compile(
    r"(|unnamed: ?\d+|id|uuid|guid|index|idx|key|rownum(ber)?|row_?(id|number)|.*[_ .-](id|uuid))",
    re.IGNORECASE,
)
"""Column names of identifiers: whole numbers, all different, that number the rows."""


def infer(
    series: pl.Series, declared: Kind | None, table: Table, reading: Reading | None = None
) -> Column:
    """The kind of a column, decided from its values unless it is ``declared``."""
    return inferred(series, declared, table, reading or Reading())[0]


def inferred(
    series: pl.Series, declared: Kind | None, table: Table, reading: Reading
) -> tuple[Column, tuple[str, ...]]:
    """The kind of a column, as ``infer``, and notes about how it is read."""
    return surveyed(Whole(series), declared, table, reading)


def surveyed(
    survey: Survey, declared: Kind | None, table: Table, reading: Reading
) -> tuple[Column, tuple[str, ...]]:
    """The same, from a survey of the column. ``table`` names the rows."""
    name = survey.name
    found = None
    may = declared in ("number", "date") or (declared is None and name not in table.words)
    if survey.dtype == pl.String and may:
        found = forms.form_of(survey, declared, table, reading)
    typed = survey
    if found is not None:
        typed = Whole(forms.read(survey.series, found.form))
    elif declared == "date" and survey.dtype == pl.Float64:
        typed = Whole(as_date(survey.series, "ymd"))
    kind: Kind = declared or _kind(typed)
    notes = () if found is None else found.notes
    if found is None and declared is None and survey.dtype == pl.String:
        notes += () if name in table.words else forms.suspect(survey, kind, name)
    suits = found is not None and (found.kind == "date") == (kind == "date")  # not of a constant
    column = Column(name=name, kind=kind, format=found.form if found and suits else "")
    if kind == "category":
        notes += alike(typed.unique, f"the column {name!r}")
        column = _categories(column, typed, table)
    if kind == "date":
        if survey.dtype == pl.Float64:
            column = column.model_copy(update={"format": "ymd"})
        column = column.model_copy(update={"timed": typed.timed})
    if declared is None and kind == "number" and typed.dtype == pl.Float64:
        notes += _dated(typed)
    return column, notes


def _categories(column: Column, survey: Survey, table: Table) -> Column:
    """The column with its categories."""
    values = survey.unique
    if len(values) > MAX_CATEGORIES:
        raise DataError(
            f"{table.name}: the column {column.name!r} has {len(values):,} different values; a "
            f"category has at most {MAX_CATEGORIES:,} (MAX_CATEGORIES): declare it text "
            f"(columns.{column.name}=text), or drop it"
        )
    numeric = survey.dtype == pl.Float64
    return column.model_copy(update={"categories": tuple(labels(values)), "numeric": numeric})


def alike(series: pl.Series, what: str) -> tuple[str, ...]:
    """A warning if categories of text differ only in case or spaces."""
    found = same_but_case(series)
    if not found:
        return ()
    shown = " and ".join(repr(one) for one in found[:3])
    return (
        Warned(
            f"{what} has {shown}, which differ at most in case or spaces, as different categories",
            "write each in one way, if they are the same",
        ),
    )


def same_but_case(series: pl.Series) -> list[str]:
    """Values of text that differ at most in case or spaces: the first such group."""
    if series.dtype not in (pl.String, pl.Enum):
        return []
    values = series.unique().drop_nulls().cast(pl.String).sort()
    if len(values) > MAX_CATEGORIES:
        return []
    folded: dict[str, list[str]] = {}
    for value in values:
        folded.setdefault(" ".join(normalize("NFKC", value).casefold().split()), []).append(value)
    return next((group for group in folded.values() if len(group) > 1), [])


def _dated(survey: Survey) -> tuple[str, ...]:
    """A warning if numbers look like dates written as 20240131."""
    low, high = survey.ends
    if low is None or not 19_000_101 <= float(low) <= float(high) <= 20_991_231:
        return ()
    if survey.different < 3 or as_date(survey.series.drop_nulls(), "ymd").null_count():
        return ()
    return (
        Warned(
            f"the column {survey.name!r} has numbers such as {survey.head(1)[0]:.0f}, which may be "
            "dates, and is read as numbers",
            f"set columns.{survey.name}=date if they are dates, or columns.{survey.name}=number",
        ),
    )


def _kind(survey: Survey) -> Kind:
    """The kind of a column, decided from its values."""
    count, dtype = survey.count, survey.dtype
    if not count:
        return "constant"
    if dtype == pl.Boolean or dtype.is_temporal():
        low, high = survey.ends
        constant = low == high and count == survey.rows
        return "constant" if constant else "boolean" if dtype == pl.Boolean else "date"
    numbers, numbered = dtype == pl.Float64, IDENTIFIERS.fullmatch(survey.name)
    if numbers and not numbered and survey.head(SAMPLE).n_unique() > MAX_CODES:
        return "number"  # the usual case, decided without all of the values
    different = survey.head(FIRST).n_unique()
    if numbers or different <= MAX_CATEGORIES:  # else there are too many in any case
        different = survey.different
    if different == 1:
        if count == survey.rows:
            return "constant"
        return "number" if numbers else "category"
    if numbers:
        if numbered and survey.whole and survey.distinct:
            return "identifier"
        codes = 2 < different <= MAX_CODES and count >= ROWS_A_CODE * different
        return "category" if codes and survey.whole else "number"
    if different == 2 and as_boolean(survey.unique).null_count() == 0:
        return "boolean"
    if different <= MAX_CATEGORIES and (
        different <= DIFFERENT * count or (different < count and different <= 10)
    ):
        return "category"
    spaces = survey.head(SAMPLE).str.count_matches(" ", literal=True).mean()
    return "text" if float(spaces or 0) >= 1 else "identifier"  # type: ignore[arg-type]


def not_codes(
    found: Sequence[Column], reading: Reading, whole: Callable[[str], bool]
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """The columns, with no whole numbers as categories if there are ``ALIKE`` columns of whole
    numbers: such columns are alike, and one by one would become categories or numbers by chance.
    ``whole`` says whether a column is of whole numbers."""

    codes = {
        column.name for column in found if column.numeric and column.name not in reading.columns
    }
    if not codes or len(found) < ALIKE or sum(whole(each.name) for each in found) < ALIKE:
        return tuple(found), ()
    fields = tuple(
        Column(name=column.name, kind="number", format=column.format)
        if column.name in codes
        else column
        for column in found
    )
    note = (
        f"{len(codes):,} columns of few whole numbers are numbers, not categories, as the table "
        f"has {ALIKE} or more columns of whole numbers (columns.NAME=category for others)"
    )
    return fields, (note,)


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


def as_date(series: pl.Series, form: str) -> pl.Series:
    """Text, or numbers such as 20240131, as date-times; null for what is none."""
    if series.dtype == pl.Float64:
        whole = pl.select(pl.when(series % 1 == 0).then(series)).to_series()
        series = whole.cast(pl.Int64, strict=False).cast(pl.String).alias(series.name)
    return dates.dates(series, form or "ymd")

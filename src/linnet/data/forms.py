"""Whether a column of text holds numbers or dates, and how they are written.

One rule for files, data frames and columns of every use. A column is numbers or dates if all of its
values are, in one form, except for words that mean missing (``ABSENT``). Where nearly all are, or
where the form is ambiguous, it is an error that names a value and the setting that decides.
"""

from __future__ import annotations

import shlex
from typing import NamedTuple

from linnet.core.later import polars as pl
from linnet.core.text import counted, literal
from linnet.data import dates, written
from linnet.data.reading import Kind, Reading
from linnet.data.survey import Survey
from linnet.data.table import Table, Warned
from linnet.errors import DataError

MAX_CODES = 5
"""Whole numbers with 3 to this many different values, each frequent, are categories; text with as
few different numbers may stay text."""

SAMPLE = 1_000
"""The number of values that are looked at first, ..."""

LIKELY = 0.2
"""... and the share of them that must be numbers or dates for the others to be looked at."""

NEARLY = 0.9
"""A column is meant to be numbers or dates if at least this share of its values are, ..."""

LEADING = 100
"""... or if it begins with this many numbers, ..."""

FEWEST = 5
"""... and if it has at least this many."""

MEANT = 1 / 3
"""Text of which this share looks like numbers or dates is not left out without a warning."""

MANY_ABSENT = 0.1
"""From this share on, words that mean missing are a warning."""

LETTERS_AND_DIGITS = r"\p{L}.*\d|\d.*\p{L}"
MOSTLY = 0.5
"""Whole numbers are codes if this share of the other values has letters and digits."""

TWO_NUMBERS = r"\d[^\d]+\d|\d{8}"
"""What every date has."""

CLOCK = ":"
"""The form of times of day and durations, which are numbers of hours."""

WORDS = frozenset(written.CURRENCIES.values()) | {"", "%", "‰", "+"}
"""Units that are no words: numbers with a word after them may be names, such as 2WD and 4WD."""


class Form(NamedTuple):
    """How the numbers or dates of a column are written, as a model stores it; and the notes."""

    kind: Kind
    form: str
    notes: tuple[str, ...] = ()


def form_of(survey: Survey, declared: Kind | None, table: Table, reading: Reading) -> Form | None:
    """The form of a column of text; None if it does not hold numbers or dates.

    ``declared`` is "number" or "date" if the column was declared so, else None. Raises
    ``DataError`` where the values contradict that, or are ambiguous.
    """
    if declared == "number":
        column = _Column(survey.series, table, reading)
        return column.clock() or column.declared_number(written.look(column.series))
    if declared == "date":
        return _Column(survey.series, table, reading).date(declared=True)
    some = survey.sample(SAMPLE)
    if _share(some, r"\d") < LIKELY and not _leads(survey.head(LEADING)):
        return None
    found = written.look(some)
    numeric = found.count(found.like | found.values["limit"])
    timed = _share(some, CLOCK) and int(dates.hours(some).is_not_null().sum())
    dated = 0
    if max(numeric, timed) < found.present and _share(some, TWO_NUMBERS) >= LIKELY:
        dated = max(int(dates.dates(some, order).is_not_null().sum()) for order in dates.ORDERS)
    few = max(numeric, dated, timed) < LIKELY * max(1, found.present)
    if few and not _leads(survey.head(LEADING)):
        return None
    column = _Column(survey.series, table, reading)
    whole = found if len(some) == survey.count else written.look(column.series)
    form = (column.clock() if timed else None) or column.number(whole)
    return form or (column.date() if dated else None)


def _leads(head: pl.Series) -> bool:
    """Whether ``head``, the first values of a column, are ``LEADING`` numbers."""
    numbers = len(head) == LEADING and _share(head, r"\d") == 1
    return numbers and bool(written.look(head).like.all())


def _setting(key: str, value: str) -> str:
    """A setting as it is typed in a shell."""
    return f"--set {shlex.quote(f'{key}={value}')}"


def _share(values: pl.Series, pattern: str) -> float:
    """The share of text that has the pattern."""
    return float(values.str.contains(pattern).mean() or 0)  # type: ignore[arg-type]


def read(series: pl.Series, form: str) -> pl.Series:
    """Text as Float64 or, if ``form`` is an order of dates, as Datetime; null for other text."""
    if form in dates.ORDERS:
        return dates.dates(series, form)
    return dates.hours(series) if form == CLOCK else written.numbers(series, form)


def suspect(survey: Survey, kind: Kind, name: str) -> tuple[str, ...]:
    """A warning if a column of text that is left out, or is many categories, looks like numbers or
    dates."""
    some = survey.sample(SAMPLE)
    if not len(some) or _share(some, r"\d") < MEANT:
        return ()
    found = written.look(some)
    texts = found.values["text"]
    number = found.like | found.values["limit"] | texts.str.contains(written.LOOSE)
    if _are_codes(found, number):
        number &= False
    date = texts.str.contains(dates.LOOSE) & (texts.str.len_chars() <= 40)
    what, which = (
        ("numbers", number) if found.count(number) >= found.count(date) else ("dates", date)
    )
    count, present = found.count(which), found.present
    few = kind == "category" and int(which.sum()) <= 2 * MAX_CODES
    if not present or count < MEANT * present or few:
        return ()
    fate = (
        "becomes a category"
        if kind == "category"
        else f"is left out as {'text' if kind == 'text' else 'an identifier'}"
    )
    others = ~which & ~found.values["absent"]
    not_so = f", and others do not, such as {literal(found.some(others))}" if others.any() else ""
    declare = f"columns.{name}={'number' if what == 'numbers' else 'date'}"
    return (
        Warned(
            f"the column {name!r} {fate}, though {100 * count / present:.0f} % of its values look "
            f"like {what}, such as {literal(found.some(which))}{not_so}",
            f"write them in one way; or set {declare}, which names the first value that is none, "
            f"and missing=... for those that mean missing; or drop={name} if it is not needed",
        ),
    )


def _are_codes(found: written.Look, number: pl.Series) -> bool:
    """Whether the numbers are plain digits among codes: 349909 beside A/5 21171, or 90210 beside
    01234."""
    values = found.values
    whole = values["plain"] & ~values["marked"]
    if (number & ~whole).any():
        return False
    others = found.values["text"].filter(~number & ~values["absent"] & ~values["code"])
    return bool(values["code"].any()) or _share(others, LETTERS_AND_DIGITS) >= MOSTLY


class _Column:
    """A column of text, with what its errors name."""

    def __init__(self, series: pl.Series, table: Table, reading: Reading) -> None:
        self.series, self.table, self.reading = series, table, reading
        self.name = series.name

    # Numbers

    def number(self, found: written.Look) -> Form | None:
        """The form of a column that may hold numbers."""
        values, like = found.values, found.like
        if not like.any() or (values["code"] & ~values["absent"]).any():
            return None
        limits = values["limit"] & ~like
        strays = found.others & ~limits
        varied = int(like.sum()) > MAX_CODES
        units = found.units()
        if len(units) > 2 and not WORDS.issuperset(units):
            return None  # a list: "1. < HS Grad", "2. HS Grad", "3. Some College"
        if strays.any():
            self._refuse_strays(found, strays)
            return None
        if limits.any():
            if varied:
                raise self._error(
                    found.some(limits),
                    "is a limit, and other values of the column are numbers; write a number, or "
                    f"--set columns.{self.name}=number to read the limit as the number, "
                    f"or {_setting('missing', found.some(limits))} if it means a missing value",
                )
            return None
        known = values["text"].filter(like)
        if units[-1] not in WORDS and not varied and 2 * len(known) <= found.count(like):
            return None  # a few frequent names
        if len(units) > 1 and not (
            units[0] == "" and len(units) == 2 and units[1] in written.CURRENCIES.values()
        ):
            if varied and WORDS.issuperset(units):
                raise self._several_units(found, units)
            return None
        if (values["plain"] | values["absent"]).all():
            return Form("number", written.PLAIN, self._absent(found))
        decimal = self._decimal(found, varied)
        if decimal is None:
            return None
        return Form("number", decimal + units[-1], self._told(found, decimal, units))

    def declared_number(self, found: written.Look) -> Form:
        """The form of a column that is declared a number: any unit, and limits as numbers."""
        values = found.values
        some = values["point"].is_not_null() | values["comma"].is_not_null()
        wrong = ~some & ~values["absent"]
        if wrong.any():
            raise self._error(
                self._first(values["text"].filter(wrong)),
                "is not a number, but the column is declared a number; correct it, or --set "
                "missing=... if it means a missing value, or declare another kind",
            )
        if (values["plain"] | values["absent"]).all():
            return Form("number", written.PLAIN, self._absent(found))
        decimal = self._decimal(found, True)
        units, notes = found.units(), self._told(found, decimal or ".", [""])
        limits = values["limit"] & ~values["absent"]
        if limits.any():
            notes += (
                Warned(
                    f"{self.name!r} has {counted(found.count(limits), 'limit')} such as "
                    f"{literal(found.some(limits))}, read as the number itself",
                    "nothing to do, if this is intended",
                ),
            )
        if len(units) > 1:
            shown = ", ".join(repr(unit) if unit else "none" for unit in units[:6])
            notes += (
                Warned(
                    f"{self.name!r} has several units ({shown}), and its numbers are read as they "
                    "stand",
                    "convert them to one unit, unless they mean the same",
                ),
            )
        return Form("number", f"{decimal}{written.ANY}", notes)

    def clock(self) -> Form | None:
        """The form of a column of times of day or durations."""
        values = self.series.drop_nulls()
        found = dates.hours(values)
        if found.is_null().all() or (found.is_null() & ~written.absent(values)).any():
            return None
        row = int(found.is_not_null().arg_max() or 0)
        note = f"{self.name!r} is times, read as hours: {values[row]} is {found[row]:g}"
        return Form("number", CLOCK, (note,))

    def _decimal(self, found: written.Look, varied: bool) -> str | None:
        """The decimal mark that fits all values; None if none does, and they are few."""
        values = found.values.filter(~found.values["absent"])
        fits = {".": values["point"].is_not_null(), ",": values["comma"].is_not_null()}
        good = [mark for mark, fit in fits.items() if fit.all()]
        asked = self.reading.decimal
        if asked != "auto":
            if asked in good:
                return asked
            raise self._error(
                self._first(values["text"].filter(~fits[asked])),
                f"is not a number with the decimal mark {asked!r}, which decimal= sets; correct "
                f"it, or --set columns.{self.name}=category if the column does not hold numbers",
            )
        doubtful = values.filter(values["marked"] & ~values["plain"])
        if len(good) == 2 and len(doubtful):
            value = self._first(doubtful["text"])
            raise self._error(
                value,
                "may have a decimal mark, or a mark between thousands, as may all other values of "
                "the column; --set decimal=. if the point is the decimal mark and commas separate "
                "thousands, --set decimal=, if it is the other way round",
            )
        if good:
            return good[0]
        if not varied:
            return None
        point = self._first(values["text"].filter(~fits[","]))
        comma = self._first(values["text"].filter(~fits["."]))
        raise self._error(
            comma,
            f"has a decimal comma and {literal(point)} a decimal point; use one of them in all, or "
            f"--set columns.{self.name}=category if the column does not hold numbers",
        )

    def _refuse_strays(self, found: written.Look, strays: pl.Series) -> None:
        """Raise if the column is meant to be numbers, but some values are none."""
        numbers = found.count(found.like)
        if numbers < FEWEST or not (
            numbers >= NEARLY * found.present or _leads(self.series.drop_nulls().head(LEADING))
        ):
            return
        few = found.count(strays)
        value = self._first(found.values["text"].filter(strays))
        raise self._error(
            value,
            f"is not a number, but {numbers:,} of the column's {found.present:,} values are; "
            f"correct the {few:,} that {'is' if few == 1 else 'are'} not, or "
            f"{_setting('missing', value)} if it means a missing value, or "
            f"--set columns.{self.name}=category if the column does not hold numbers",
        )

    def _several_units(self, found: written.Look, units: list[str]) -> DataError:
        some = found.like & (found.values["point"] != 0).fill_null(True)
        texts = [found.some(some & (found.values["unit"] == unit)) for unit in units[:2]]
        return self._error(
            texts[-1],
            f"and {literal(texts[0])} have different units; write all in one, or --set "
            f"columns.{self.name}=number to read the numbers as they stand, or --set "
            f"columns.{self.name}=category if the column does not hold numbers",
        )

    def _told(self, found: written.Look, decimal: str, units: list[str]) -> tuple[str, ...]:
        """The notes about numbers that are not plain."""
        values = found.values.filter(found.like)
        odd = values.filter(~values["plain"])
        notes = self._absent(found)
        if len(odd):
            text = str(odd["text"][int(odd["text"].str.len_chars().arg_max() or 0)])
            value = odd.filter(odd["text"] == text)["point" if decimal == "." else "comma"][0]
            if value is not None:
                notes += (f"{self.name!r} is read as numbers: {text} is {value:.12g}",)
        if len(units) == 2:
            bare = found.like & (found.values["unit"] == "")
            notes += (
                Warned(
                    f"{self.name!r} has {counted(found.count(bare), 'value')} without a currency, "
                    f"such as {literal(found.some(bare))}, read as if in that of the others",
                    "nothing to do, if this is so",
                ),
            )
        return notes

    def _absent(self, found: written.Look) -> tuple[str, ...]:
        return self._missing(
            found.values["text"], found.values["count"], found.values["absent"], "numbers"
        )

    def _missing(
        self, texts: pl.Series, weights: pl.Series, gone: pl.Series, what: str
    ) -> tuple[str, ...]:
        """The note on words that mean missing; a warning if they are many."""
        if not gone.any():
            return ()
        count = int(weights.filter(gone).sum())
        words = ", ".join(map(literal, texts.filter(gone).sort().head(4)))
        note = (
            f"{self.name!r} has {counted(count, 'value')} that mean missing among {what}: {words}"
        )
        if count < MANY_ABSENT * int(weights.sum()):
            return (note,)
        return (Warned(note, f"set columns.{self.name}=category, if they mean something else"),)

    # Dates

    def date(self, *, declared: bool = False) -> Form | None:
        """The form of a column that may hold dates."""
        counts = written.counted(self.series)
        texts, weights = counts["text"], counts["count"]
        gone = written.absent(texts)
        asked = self.reading.dates
        tried = dates.ORDERS if asked == "auto" else (asked,)
        looks = {order: dates.look(texts, order, short=asked != "auto") for order in tried}
        good = {
            order: int(weights.filter(found["moment"].is_not_null()).sum())
            for order, found in looks.items()
        }
        present = int(weights.filter(~gone).sum())
        best = max(good, key=lambda order: good[order])
        if not good[best]:
            if declared:
                raise self._no_date(texts.filter(~gone))
            return None
        if good[best] < present:
            bad = looks[best]["moment"].is_null() & ~gone
            if declared or good[best] >= NEARLY * present:
                raise self._odd_date(self._first(texts.filter(bad)), good[best], present)
            return None
        fit = [order for order in tried if good[order] == present]
        self._one_order(fit, looks, texts, gone)
        order = fit[0]
        return Form("date", order, self._about(looks[order], texts, weights, gone))

    def _one_order(
        self, fit: list[str], looks: dict[str, pl.DataFrame], texts: pl.Series, gone: pl.Series
    ) -> None:
        """Raise if the dates differ by the order."""
        for order in fit[1:]:
            differ = (looks[order]["moment"] != looks[fit[0]]["moment"]).fill_null(False)
            if (differ & ~gone).any():
                names = {"ymd": "the year", "dmy": "the day", "mdy": "the month"}
                raise self._error(
                    self._first(texts.filter(differ)),
                    f"may have {' or '.join(names[order] for order in fit)} first, as may all "
                    "other values of the column; "
                    f"{' or '.join(f'--set dates={order}' for order in fit)}, "
                    f"or --set columns.{self.name}=category if it is not a date",
                )

    def _about(
        self, found: pl.DataFrame, texts: pl.Series, weights: pl.Series, gone: pl.Series
    ) -> tuple[str, ...]:
        """The notes about dates: years of two digits, offsets, words that mean missing."""
        notes: tuple[str, ...] = ()
        real = found["moment"].is_not_null()
        if found["brief"].filter(real).any():
            text = texts.filter(real & found["brief"])[0]
            year = found["moment"].filter(real & found["brief"])[0].year
            notes += (
                Warned(
                    f"{self.name!r} has years of two digits: 69 to 99 are read as 1969 to 1999, "
                    f"00 to 68 as 2000 to 2068 ({text} is in {year})",
                    "write years with four digits, if this is wrong",
                ),
            )
        offsets = found["offset"].filter(real)
        if offsets.null_count() and offsets.null_count() < len(offsets):
            bare = int(weights.filter(real & found["offset"].is_null()).sum())
            notes += (
                Warned(
                    f"{self.name!r} has {counted(bare, 'time')} without an offset, taken as UTC, "
                    "and others with one",
                    "write the offset of all, if this is wrong",
                ),
            )
        elif offsets.n_unique() > 1:
            notes += (f"{self.name!r} has times of {offsets.n_unique()} offsets, converted to UTC",)
        return notes + self._missing(texts, weights, gone, "dates")

    def _no_date(self, texts: pl.Series) -> DataError:
        return self._error(
            self._first(texts),
            "is not a date, but the column is declared a date; expected dates such as 2024-12-31, "
            "31.12.2024 23:59 or Dec 31, 2024; correct it, or declare the column otherwise "
            f"(columns.{self.name}=text)",
        )

    def _odd_date(self, value: str, good: int, present: int) -> DataError:
        return self._error(
            value,
            f"is not a date like the others, but {good:,} of the column's {present:,} values are; "
            "correct it, or declare the column text "
            f"(columns.{self.name}=text)",
        )

    # Errors

    def _first(self, texts: pl.Series) -> str:
        """The one of these values that comes first in the column."""
        return str(self.series.filter(self.series.is_in(texts.implode()).fill_null(False))[0])

    def _error(self, value: str, text: str) -> DataError:
        row = int((self.series == value).fill_null(False).arg_max() or 0)
        where = self.table.where(row)
        return DataError(
            f"{self.table.name}, {where}, column {self.name!r}: {literal(value)} {text}"
        )

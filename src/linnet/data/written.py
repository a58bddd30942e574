"""Numbers as people write them: ``1,234.50``, ``1.234,5``, ``$91.70``, ``36.1 %``, ``(45)``.

A number has one of two decimal marks. With a decimal point, groups of three digits are separated by
commas, spaces or apostrophes; with a decimal comma, by points, spaces or apostrophes; the Indian
groups of two are known too. A number may have a sign before or after it, or parentheses, which
mean minus. It may have a currency before it, and a currency, a percent sign or a unit after it. A
column has one decimal mark and one unit. ``36.1 %`` is 36.1: a unit does not change the number.

A *form* is the decimal mark and the unit of a column, such as ``.``, ``,EUR`` or ``.%``; ``.*``
takes any unit. It is stored in the model, so that new rows are read in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from linnet.core.later import polars as pl
from linnet.data.reading import ABSENT

PLAIN = ""
"""The form of a column of plain numbers."""

ANY = "*"
"""The unit of a column that is declared a number: whatever stands beside the number."""

SPELLED = {
    **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d", "-"), "\uff0b": "+",
    **dict.fromkeys("\u00a0\u202f\u2009\u2007\u2002\u2003\u2005\u3000", " "),
    **dict.fromkeys("\u2019\u2018\u02bc\u00b4\u066c", "'"),
    "\uff0e": ".", "\u066b": ".", "\uff0c": ",", "\uff05": "%", "\u066a": "%", "\uff04": "$",
    "\uffe5": "\u00a5", "\uffe1": "\u00a3", "\uff08": "(", "\uff09": ")",
    **{chr(first + digit): str(digit) for first in (0xFF10, 0x660, 0x6F0) for digit in range(10)},
}  # fmt: skip
"""Signs, spaces, apostrophes and digits of other scripts, and what they are read as."""

SIGNS = """
    AED ARS AUD BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR JPY KRW MXN MYR NGN
    NOK NZD PHP PKR PLN RON RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR RS. KR. FR. RS KR FR RMB
    K\u010c FT Z\u0141 R$ A$ C$ HK$ NZ$ S$ \u00a5 \u20a9 \u20bd \u20ba \u20aa \u0e3f \u20ab
    \u20b4 \u20a6 \u20b1
"""
CURRENCIES = {
    **{name: name.lower() for name in SIGNS.split()},
    "$": "usd", "US$": "usd", "\u20ac": "eur", "EURO": "eur", "EUROS": "eur", "\u00a3": "gbp",
    "\u20b9": "inr", "SFR.": "chf", "SFR": "chf", "DOLLARS": "usd",
}  # fmt: skip
"""Currencies, in capital letters, and the name of each: signs and codes of one are the same."""


def _either(words: Any) -> str:
    escaped = sorted(words, key=len, reverse=True)
    return "|".join("".join(f"\\{c}" if c in "$." else c for c in word) for word in escaped)


CURRENCY = f"(?i:{_either(CURRENCIES)})"
UNIT = r"[%‰+]|[\p{L}°µ″\x22%][\p{L}°µ²³/%·]{0,11}(?: [\p{L}²³/%]{1,11})?"
PARENTHESES = rf"^(?:{CURRENCY})?\s*\([^()]*\)\s*(?:{CURRENCY}|{UNIT})?$"
QUOTED = r"""^(?:'(.*)|="(.*)")$"""
"""A value that a spreadsheet holds as text: ``'12`` or ``="12"``. (And ``5,-`` is a whole 5.)"""

VALUE = (
    r"^(?<limit>(?:[<>]=?|[≤≥≈~])\s*)?"
    rf"(?<sign>[+-])?\s*(?<before>{CURRENCY})?\s*(?<inner>[+-])?\s*"
    r"(?<body>[0-9.,](?:[0-9., ']*[0-9.,])?)(?<power>[eE][+-]?[0-9]{1,3})?"
    rf"(?<minus>-)?\s*(?<after>{CURRENCY}|{UNIT})?(?<last>-)?$"
)
"""What is tried as a number: group names say what each part is."""


def _body(decimal: str, group: str) -> str:
    """A pattern of digits with the mark ``decimal`` and ``group`` between groups of digits."""
    rest = f"(?:[{decimal}][0-9]*)?"
    return (
        f"^(?:[0-9]+{rest}|[{decimal}][0-9]+|[1-9][0-9]{{0,2}}(?:[{group}][0-9]{{3}})+{rest}"
        f"|[1-9][0-9]{{0,2}}(?: [0-9]{{3}})+{rest}|[1-9][0-9]{{0,2}}(?:'[0-9]{{3}})+{rest}"
        f"|[1-9][0-9]?(?:[{group}][0-9]{{2}})+[{group}][0-9]{{3}}{rest})$"
    )


POINT, COMMA = _body(".", ","), _body(",", ".")

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""A plain number."""

CODE = r"^[+-]?(0[0-9]+|[1-9][0-9]{14,}[1-9]0*)$"
"""Digits that are a code, not a number: a leading zero, or more digits than a number holds."""

LOOSE = r"^[^0-9]{0,16}[0-9]{1,3}(?:(?:[., '][0-9]{3})*|[0-9]*)[.,][0-9]+[^0-9]{0,16}$"
"""Text that may be meant as a number: one number with a decimal mark, and some other letters."""


@dataclass(frozen=True)
class Look:
    """The different values of a column of text, and what each may be.

    ``values`` has one row for each different value: the ``text``, its ``count``, the number that it
    is with a decimal ``point`` and with a decimal ``comma`` (null if it is none), and whether it is
    ``plain`` (as computers write), ``marked`` (with a point or a comma), a ``limit`` (as ``<5``), a
    ``code``, or ``absent`` (among numbers it means missing); and its ``unit``.
    """

    values: pl.DataFrame

    @cached_property
    def like(self) -> pl.Series:
        """Which values are numbers, with a point or a comma."""
        values = self.values
        some = values["point"].is_not_null() | values["comma"].is_not_null()
        return some & ~values["limit"] & ~values["code"]

    @cached_property
    def others(self) -> pl.Series:
        """Which values are neither numbers nor mean missing."""
        return ~self.like & ~self.values["absent"]

    @cached_property
    def present(self) -> int:
        """The number of rows whose value does not mean missing."""
        return self.count(~self.values["absent"])

    def count(self, which: pl.Series) -> int:
        """The number of rows whose value is among ``which``."""
        return int(self.values["count"].filter(which).sum())

    def some(self, which: pl.Series) -> str:
        """The most frequent value among ``which``, the first of such."""
        found = self.values.filter(which)
        return str(found["text"][int(found["count"].arg_max() or 0)])

    def units(self) -> list[str]:
        """The units of the numbers, "" where there is none; zero has every unit."""
        zero = (self.values["point"] == 0).fill_null(False)
        return sorted(self.values["unit"].filter(self.like & ~zero).unique().to_list()) or [""]


def look(series: pl.Series) -> Look:
    """What the values of a column of text may be."""
    counts = counted(series)
    return Look(pl.concat([counts, _parts(counts["text"])], how="horizontal"))


def counted(series: pl.Series) -> pl.DataFrame:
    """The different values of a column of text, in the order of the column, and their ``count``."""
    values = series.drop_nulls().alias("text").to_frame()
    return values.group_by("text", maintain_order=True).len("count")


def numbers(series: pl.Series, form: str) -> pl.Series:
    """Text as Float64, read by ``form``; null for what is no such number, or means missing."""
    different = series.unique().drop_nulls()
    parts = _parts(different)
    decimal, unit = form[:1], form[1:]
    good = parts["plain"]
    if form != PLAIN:
        good = pl.Series([True]) if unit == ANY else ~parts["limit"] & _unit_is(parts, unit)
    values = parts.select(pl.when(good).then(pl.col("comma" if decimal == "," else "point")))
    found = values.to_series()
    return series.replace_strict(different, found, default=None, return_dtype=pl.Float64)


def absent(series: pl.Series) -> pl.Series:
    """Which values of a column of text mean missing, if they are among numbers or dates."""
    return spelled(series).str.to_lowercase().is_in(list(ABSENT))


def spelled(series: pl.Series) -> pl.Series:
    """Text with signs, spaces, apostrophes and digits of one script."""
    return series.to_frame("text").select(_spelled(pl.col("text"))).to_series()


def _spelled(text: pl.Expr) -> pl.Expr:
    return text.str.replace_many(list(SPELLED), list(SPELLED.values())).str.strip_chars()


def _unit_is(parts: pl.DataFrame, unit: str) -> pl.Series:
    """Whether values have this unit, or a currency that is left out, or are zero."""
    bare = parts["unit"] == ""
    if unit not in CURRENCIES.values():
        bare &= (parts["point"] == 0).fill_null(False) | (unit == "")
    return (parts["unit"] == unit) | bare


def _parts(texts: pl.Series) -> pl.DataFrame:
    """The columns of ``Look`` for different texts."""
    text = pl.col("text")
    names = ("limit", "sign", "before", "inner", "body", "power", "minus", "after", "last")
    group = pl.col("groups").struct.field
    signs = ("sign", "inner", "minus", "last")
    found = (
        texts.alias("given").to_frame().lazy()
        .with_columns(text=_spelled(pl.col("given")))
        .with_columns(spelled=text)
        .with_columns(text=text.str.replace(QUOTED, "$1$2").str.replace("([0-9])[,.]-+", "$1"))
        .with_columns(closed=text.str.contains(PARENTHESES))
        .with_columns(text=pl.when("closed").then(text.str.replace_all("[()]", "")).otherwise(text))
        .with_columns(groups=text.str.extract_groups(VALUE))
        .with_columns(**{name: group(name).fill_null("") for name in names if name != "body"})
        .with_columns(body=group("body").str.strip_chars())
        .with_columns(
            unit=pl.concat_str(_currency(pl.col("before")), _currency(pl.col("after"))),
            signs=pl.sum_horizontal(*(pl.col(name) != "" for name in signs), "closed"),
            minus=pl.concat_str(*signs).str.contains("-", literal=True) | pl.col("closed"),
            code=pl.col("body").str.contains(CODE).fill_null(False),
        )
    )  # fmt: skip

    def value(pattern: str, decimal: str, group: str) -> pl.Expr:
        digits = pl.col("body").str.replace_all(f"[{group} ']", "").str.replace(decimal, ".")
        signed = pl.concat_str(
            pl.when("minus").then(pl.lit("-")).otherwise(pl.lit("")), digits, "power"
        )
        fits = (pl.col("signs") <= 1) & pl.col("body").str.contains(pattern)
        number = signed.cast(pl.Float64, strict=False)
        return pl.when(fits & number.is_finite()).then(number)

    return found.select(
        point=value(POINT, "x", ","),
        comma=value(COMMA, ",", "."),
        plain=pl.col("given").str.contains(NUMBER),
        marked=pl.col("body").str.contains("[.,]").fill_null(False),
        limit=pl.col("limit") != "",
        unit="unit",
        code="code",
        absent=pl.col("spelled").str.to_lowercase().is_in(list(ABSENT)),
    ).collect()


def _currency(unit: pl.Expr) -> pl.Expr:
    """The name of a currency, or the unit as it is written."""
    return unit.str.to_uppercase().replace_strict(CURRENCIES, default=unit)

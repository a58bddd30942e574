"""Dates and times as people write them: ``2024-01-03``, ``Jan 03, 2024``, ``3.1.24 10:30 pm``.

A date is year, month and day; day, month and year; or month, day and year. The month may be a name
(English, German, French, Spanish, Italian, Portuguese or Dutch, also cut short), and a day of the
week may stand before. With only numbers, all values of a column have one *order*: "ymd", "dmy" or
"mdy". It is found where only one order fits all values, and stored in the model.

A year of two digits is 1969 to 1999 for 69 to 99, and 2000 to 2068 for 00 to 68 (the rule of POSIX,
``strptime``'s %y). A time may follow: hours and minutes, seconds with a fraction, am or pm, ``Z``,
``UTC`` or an offset (``+05:30``, ``UTC+2``), with the name of the zone in parentheses or without.
Times with an offset become UTC.
"""

from __future__ import annotations

from linnet.core.later import polars as pl
from linnet.data.written import spelled

ORDERS = ("ymd", "dmy", "mdy")

CENTURY = 69
"""Years of two digits: from this on they are in the 20th century, below it in the 21st (POSIX)."""

NAMES = (
    "january jan januar jänner janvier janv enero ene gennaio gen janeiro januari",
    "february feb februar feber février févr fév febrero febbraio fevereiro fev februari",
    "march mar märz mrz mär mars marzo março maart mrt",
    "april apr avril avr abril abr aprile",
    "may mai mayo maggio mag maio mei",
    "june jun juni juin junio giugno giu junho",
    "july jul juli juillet juil julio luglio lug julho",
    "august aug août aou aoû agosto ago augustus",
    "september sep sept septembre septiembre settembre set setembro",
    "october oct oktober okt octobre octubre ottobre ott outubro out",
    "november nov novembre noviembre novembro",
    "december dec dezember dez décembre déc diciembre dic dicembre dezembro",
)
MONTHS = {name: str(month) for month, names in enumerate(NAMES, 1) for name in names.split()}

WEEKDAY = r"(?:\p{L}{2,10}\.?,?\s+)?"
TIME = (
    r"(?:(?:T|,?\s+|,\s*)(?<hour>[0-9]{1,2})(?::(?<minute>[0-9]{2})(?::(?<second>[0-9]{2})"
    r"(?:[.,](?<part>[0-9]{1,9}))?)?)?\s*(?<half>[aApP]\.?[mM]\.?)?"
    r"\s*(?<zone>[zZ]|(?:UTC|GMT)(?:[+-][0-9]{1,2}(?::?[0-9]{2})?)?|[+-][0-9]{2}(?::?[0-9]{2})?)?"
    r"(?:\s*\(\p{L}[\p{L} ]*\))?)?$"
)
YEAR, DAY = r"(?<year>[0-9]{4}|'?[0-9]{2})", r"(?<day>[0-9]{1,2})(?:st|nd|rd|th|º|er)?"
NAME = r"(?<month>\p{L}{3,10})\.?"
BETWEEN = r"(?:\s*[-/.,]\s*|\s+(?:de\s+|of\s+)?|)"
NAMED = (
    rf"^{WEEKDAY}{DAY}\.?{BETWEEN}{NAME}{BETWEEN}{YEAR}{TIME}",
    rf"^{WEEKDAY}{NAME}{BETWEEN}{DAY}(?:\s*[-/.,]\s*|\s+){YEAR}{TIME}",
    rf"^(?<year>[0-9]{{4}}){BETWEEN}{NAME}{BETWEEN}{DAY}{TIME}",
    rf"^{NAME}{BETWEEN}(?<year>[0-9]{{4}})(?<day>){TIME}",
)
"""Patterns of dates with the name of a month; the last is a month without a day."""

NUMERIC = (
    r"^(?:\p{L}{2,10}\.?,?\s+)?(?<a>[0-9]{1,4})(?<one>[-/.])(?<b>[0-9]{1,2})(?<two>[-/.])"
    rf"(?<c>[0-9]{{1,4}}){TIME}"
)
MONTH_ONLY = (
    r"^(?<year>[0-9]{4})[-/](?<month>[0-9]{1,2})(?<day>)$",
    r"^(?<month>[0-9]{1,2})[-/.](?<year>[0-9]{4})(?<day>)$",
)
COMPACT = r"^(?<year>(?:1[89]|20)[0-9]{2})(?<month>[0-9]{2})(?<day>[0-9]{2})$"

LOOSE = (
    r"(?:^|[^0-9])(?:(?:19|20)[0-9]{2}[^0-9]{1,12}[0-9]{1,2}|[0-9]{1,2}[^0-9]{1,12}(?:19|20)[0-9]{2}"
    r"|[0-9]{1,2}:[0-9]{2})(?:[^0-9]|$)"
)
"""Text that may be meant as a date: a year of four digits near another number, or a time."""

CLOCK = (
    r"^(?<sign>-)?(?<hour>[0-9]{1,3}):(?<minute>[0-5][0-9])(?::(?<second>[0-5][0-9])"
    r"(?:[.,](?<part>[0-9]{1,9}))?)?\s*(?<half>[aApP]\.?[mM]\.?)?$"
)
PARTS = ("hour", "minute", "second", "part", "half", "zone")


def dates(series: pl.Series, order: str) -> pl.Series:
    """Text as date-times in UTC, null for what is no date in this order, or means missing."""
    different = series.unique().drop_nulls()
    found = look(different, order)["moment"]
    return series.replace_strict(different, found, default=None, return_dtype=pl.Datetime("us"))


def hours(series: pl.Series) -> pl.Series:
    """Times of day or durations, such as ``1:30``, as hours (Float64); null for other text."""
    text = spelled(series)
    found = text.str.extract_groups(CLOCK).struct.unnest()
    parts = [pl.col(name).cast(pl.Float64).fill_null(0) for name in ("minute", "second")]
    part = ("0." + pl.col("part")).cast(pl.Float64).fill_null(0)
    hour = _day_hour()
    size = hour + parts[0] / 60 + (parts[1] + part) / 3600
    return found.select(pl.when(pl.col("sign").is_null()).then(size).otherwise(-size)).to_series()


def look(texts: pl.Series, order: str, *, short: bool = True) -> pl.DataFrame:
    """What different texts are as dates in ``order``: the ``moment`` in UTC, null for no date; the
    ``offset`` from UTC in minutes, null without one; and whether the year is ``brief``, of two
    digits.

    Without ``short``, a date that begins with a year of two digits needs hyphens.
    """
    text = spelled(texts).str.replace_many({"\u5e74": "-", "\u6708": "-", "\u65e5": ""})
    found = [_numeric(text, order, short)]
    for pattern in (*NAMED, *MONTH_ONLY, COMPACT):
        parts = text.str.extract_groups(pattern).struct.unnest()
        month = pl.col("month").str.to_lowercase()
        named = month.replace_strict(MONTHS, default=None, return_dtype=pl.String)
        found.append(
            _columns(parts).with_columns(
                month=named if pattern in NAMED else month,
                day=pl.when(pl.col("day") == "").then(pl.lit("1")).otherwise("day"),
            )
        )
    known = [frame["year"].is_not_null() & frame["month"].is_not_null() for frame in found]
    merged = [
        pl.coalesce(
            pl.when(good).then(frame[name]) for good, frame in zip(known, found, strict=True)
        ).alias(name)
        for name in ("year", "month", "day", *PARTS)
    ]
    return _moments(pl.select(merged))


def _columns(parts: pl.DataFrame) -> pl.DataFrame:
    """The groups of a pattern, and null for those that it does not have."""
    names = ("year", "month", "day", *PARTS)
    lacking = [pl.lit(None, pl.String).alias(name) for name in names if name not in parts.columns]
    return parts.with_columns(lacking).select(names)


def _numeric(text: pl.Series, order: str, short: bool) -> pl.DataFrame:
    """The parts of dates of three numbers."""
    parts = text.str.extract_groups(NUMERIC).struct.unnest()
    a, b, c = (pl.col(name) for name in "abc")
    first = a.str.len_bytes()
    full = (first == 4) & (c.str.len_bytes() <= 2)
    brief = (first <= 2) & c.str.len_bytes().is_in([2, 4])
    if order == "ymd":
        brief = (first == 2) & (c.str.len_bytes() == 2)
        if not short:
            brief &= pl.col("one") == "-"
    year, month, day = {"ymd": (a, b, c), "dmy": (c, b, a), "mdy": (c, a, b)}[order]
    same = pl.col("one") == pl.col("two")

    def part(whole: pl.Expr, other: pl.Expr) -> pl.Expr:
        return pl.when(same & full).then(whole).when(same & brief).then(other)

    return _columns(parts.with_columns(year=part(a, year), month=part(b, month), day=part(c, day)))


def _day_hour() -> pl.Expr:
    """The hour of the day as a number; null for am and pm beyond 12."""
    hour, half = pl.col("hour").cast(pl.Int64), pl.col("half").str.to_lowercase().str.head(1)
    twelve = pl.when(hour.is_between(1, 12)).then(hour % 12 + 12 * (half == "p").cast(pl.Int64))
    return pl.when(half.is_null()).then(hour).otherwise(twelve)


def _moments(parts: pl.DataFrame) -> pl.DataFrame:
    """The moments of dates taken apart."""
    year = pl.col("year").str.strip_prefix("'").cast(pl.Int64)
    brief = pl.col("year").str.strip_prefix("'").str.len_bytes() == 2
    whole = pl.when(brief).then(year + pl.when(year >= CENTURY).then(1900).otherwise(2000))
    bare = pl.col("hour").is_not_null() & pl.col("minute").is_null() & pl.col("half").is_null()
    hour = pl.when(pl.col("hour").is_null()).then(0).otherwise(_day_hour())

    def padded(value: pl.Expr, length: int) -> pl.Expr:
        return value.cast(pl.String).str.zfill(length)

    text = pl.concat_str(
        padded(whole.otherwise(year), 4), padded(pl.col("month"), 2), padded(pl.col("day"), 2),
        padded(hour, 2), pl.col("minute").fill_null("00"), pl.col("second").fill_null("00"),
        separator="-",
    )  # fmt: skip
    text = pl.concat_str(text, pl.lit("."), pl.col("part").fill_null("0"))
    zone = (
        pl.col("zone")
        .str.to_uppercase()
        .str.extract_groups(
            r"^(?:Z|UTC|GMT)?(?:(?<sign>[+-])(?<hours>[0-9]{1,2}):?(?<minutes>[0-9]{2})?)?$"
        )
        .struct
    )
    size = zone.field("hours").cast(pl.Int64).fill_null(0) * 60 + zone.field("minutes").cast(
        pl.Int64
    ).fill_null(0)
    offset = pl.when(zone.field("sign") == "-").then(-size).otherwise(size)
    moment = text.str.to_datetime("%Y-%m-%d-%H-%M-%S%.f", strict=False, time_unit="us")
    return parts.select(
        moment=pl.when(~bare).then(moment),
        offset=pl.when(pl.col("zone").is_not_null()).then(offset),
        brief=brief.fill_null(False),
    ).with_columns(moment=pl.col("moment") - pl.duration(minutes=pl.col("offset").fill_null(0)))

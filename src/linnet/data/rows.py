"""Rows of a table as JSON has them, encoded one by one: for servers, and a few rows.

A data frame is read by columns, with polars and threads, which takes milliseconds for one row. Here
each value is read by itself, to the same bits. Python reads what it surely reads as polars does:
numbers, plain numbers in text, categories, truth values, dates such as 2024-12-31, and what means
missing. Any other value goes the way of a data frame of one row, so that numbers and dates have all
their forms; what text was read as is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import numpy as np

from linnet.core.registry import suggest
from linnet.data import columns
from linnet.data.codes import Codes
from linnet.data.column import Column
from linnet.data.kinds import BOOLEANS
from linnet.data.reading import ABSENT, Reading
from linnet.data.written import CURRENCIES
from linnet.errors import MISSING, CellError, DataError

Array = np.ndarray[Any, Any]
Row = Mapping[str, Any]
Read = Callable[[Any], float | None]
"""A value as a record, NaN if it is missing; None if the way of a data frame decides."""

FEW = 16
"""More rows than this are encoded column by column."""

KEPT = 4_096
"""How many texts of a column, read as a data frame reads them, are kept."""

NAN = math.nan
MAX_WHOLE = 1 << 53
NUMBERS = (float, int, bool)
MAX_FLOAT32 = float(np.finfo(np.float32).max)

WHITE = (
    " \t\n\x0b\x0c\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What polars takes off both ends of text: Python's own ``strip`` takes more."""

PLAIN = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?")
"""Text that is the same number to Python and to polars, and never a number that is too large."""

COMMA = re.compile(r"[+-]?[0-9]{1,15},[0-9]{1,20}")
"""The same with a decimal comma."""

MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?Z?)?"
)
"""A date, or a moment in UTC, that is the same in every order of dates."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
GONE = frozenset(ABSENT)
WORDS = {word: 1.0 - place for pair in BOOLEANS for place, word in enumerate(pair)}
FINITE = "a finite number, or null if it is missing"
EXPECTED = {"category": "a text, a number, or true or false", **columns.EXPECTED}


class Form(Protocol):
    """What rows are encoded by; ``linnet.data.schema.Schema`` is one, and says what each means."""

    @property
    def example(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def fields(self) -> tuple[Column, ...]: ...
    @property
    def missing(self) -> tuple[str, ...]: ...
    @property
    def targets(self) -> tuple[str, ...]: ...
    @property
    def coded(self) -> bool: ...


class Rows(NamedTuple):
    """Encoded rows, and what is to be said of them: the words of ``linnet predict``."""

    x: Array | Codes
    notes: tuple[str, ...]


class Encoder:
    """Encodes rows for one schema; keep it, as it prepares all that does not depend on rows."""

    def __init__(self, schema: Form) -> None:
        self._schema = schema
        self._fields = [field for field in schema.fields if field.used]
        self._known = {*schema.targets, *(field.name for field in schema.fields)}
        if self._fields:
            self._names = [field.name for field in self._fields]
            self._reads = [reader(field, schema) for field in self._fields]
            gone = _numbers_of(schema.missing)
            plain = [field.kind == "number" and not gone for field in self._fields]
            self._quick = [numbers if each else _nothing for each in plain]
        else:
            self._names = list(schema.columns) or [str(i) for i in range(schema.shape[0])]
            pixel = schema.example == "picture"
            self._reads = [read_pixel if pixel else read_plain] * len(self._names)
            self._known |= set(self._names)
        self._slow = [Slow(field, schema) for field in self._fields]
        self._puts = _puts(self._fields) if self._fields and not schema.coded else []

    def encode(self, rows: Sequence[Row]) -> Rows:
        """``rows`` as the network takes them; raises ``CellError`` for the first wrong value.

        Each row needs each column of the model: a value that is missing is None (null), as a name
        that is misspelt would else be a missing value. Each row is read by itself, so no answer
        depends on the others.
        """
        if not rows:
            raise DataError("no rows; expected at least one")
        for number, row in enumerate(rows):
            if type(row) is not dict and not isinstance(row, Mapping):
                raise DataError(
                    f"row {number} is a {type(row).__name__}; expected names and values"
                )
        extra = self._strangers(rows)
        if not self._fields:
            return Rows(self._numbers(rows), extra)
        x, notes = self._few(rows) if len(rows) <= FEW else self._many(rows)
        return Rows(x, (*extra, *(f"the column {note}" for note in notes)))

    def _few(self, rows: Sequence[Row]) -> tuple[Array | Codes, Sequence[str]]:
        """Row by row."""
        records = [self._record(row, number) for number, row in enumerate(rows)]
        odd = any(map(self._odd, records))
        notes = columns.unknown(self._fields, np.array(records)) if odd else ()
        if not self._puts:
            return self._as_arrays(np.array(records)), notes
        width = self._schema.shape[0]
        out = []
        for record in records:
            encoded = [0.0] * width
            for put, value in zip(self._puts, record, strict=True):
                put(value, encoded)
            out.append(encoded)
        return np.array(out, self._schema.dtype), notes

    def _odd(self, record: list[float]) -> bool:
        """Whether a record has a value that training rows did not have."""
        for place, value in enumerate(record):
            if value != value:
                if not self._fields[place].missing:
                    return True
            elif value < 0 and self._fields[place].kind == "category":
                return True
        return False

    def _record(self, row: Row, number: int) -> list[float]:
        """The record of one row."""
        record = []
        for place, (name, read) in enumerate(zip(self._names, self._reads, strict=True)):
            try:
                given = row[name]
            except KeyError:
                raise self._missing(name, row, number) from None
            value = read(given)
            record.append(self._slow[place].one(given, number) if value is None else value)
        if self._schema.dtype == "float32":
            for place, value in enumerate(record):
                if value > MAX_FLOAT32 or value < -MAX_FLOAT32:
                    self._check(place, value, number)
        return record

    def _check(self, place: int, value: float, number: int) -> None:
        """Raise for a number that is too large for the type of the training rows."""
        field = self._fields[place]
        if field.ends is None or field.ends[0] <= value <= field.ends[1]:
            most = "a number whose size is at most 3.4e38, as float32 holds"
            raise CellError(number, field.name, value, most, "correct it")

    def _many(self, rows: Sequence[Row]) -> tuple[Array | Codes, Sequence[str]]:
        """Column by column; a wrong value is looked for row by row."""
        records = np.empty((len(self._fields), len(rows)))
        try:
            for place, (name, read) in enumerate(zip(self._names, self._reads, strict=True)):
                given = [row[name] for row in rows]
                quick = self._quick[place](given)
                if quick is not None:
                    records[place] = quick
                    continue
                found = _each(read, given)
                if None in found:
                    self._slow[place].several(given, found)
                records[place] = found
            return self._as_arrays(records.T), columns.unknown(self._fields, records.T)
        except (KeyError, DataError):
            for number, row in enumerate(rows):
                self._record(row, number)
            raise

    def _as_arrays(self, records: Array) -> Array | Codes:
        """Records as encoded rows, so many at a time that no thread is needed."""
        parts = [
            columns.as_arrays(
                self._fields,
                records[start : start + columns.BLOCK],
                self._schema.dtype,
                self._fields,
            )
            for start in range(0, len(records), columns.BLOCK)
        ]
        first = parts[0]
        if len(parts) == 1:
            return first
        if not isinstance(first, Codes):
            return np.concatenate(parts)  # type: ignore[arg-type]
        numbers, codes = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("numbers", "codes")
        )
        return Codes(numbers, codes, first.places, first.width)

    def _numbers(self, rows: Sequence[Row]) -> Array:
        """Pictures whose pixels are columns, or plain rows of numbers."""
        values = np.empty((len(rows), len(self._names)))
        for number, row in enumerate(rows):
            try:
                found = [
                    read(row[name]) for read, name in zip(self._reads, self._names, strict=True)
                ]
            except KeyError as error:
                raise self._missing(error.args[0], row, number) from None
            if None in found:
                name = self._names[found.index(None)]
                expected = FINITE.split(",")[0]
                if self._schema.example == "picture":
                    expected = "a whole number from 0 to 255"
                raise CellError(number, name, row[name], expected)
            values[number] = found
        with np.errstate(over="ignore"):
            x = values.astype(self._schema.dtype).reshape(len(rows), *self._schema.shape)
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            number, place = (int(i[0]) for i in np.nonzero(~np.isfinite(x)))
            most = "a number whose size is at most 3.4e38, as float32 holds"
            raise CellError(number, self._names[place], values[number, place], most)
        return x

    def _missing(self, name: str, row: Row, number: int) -> CellError:
        """The error for a row without a column."""
        others = [str(other) for other in row if other not in self._known]
        near = f"{suggest(name, others)}; " if others else ""
        remedy = f"{near}give null if it is unknown" if self._fields else f"{near}give it"
        return CellError(number, name, MISSING, "every column of the model", remedy)

    def _strangers(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """A note on columns that the model does not know."""
        if all(row.keys() <= self._known for row in rows):
            return ()
        return columns.strangers(
            dict.fromkeys(str(name) for row in rows for name in row), self._known
        )


QUICK: ContextVar[bool] = ContextVar("quick", default=False)
"""Where this is set, values that need the way of a data frame raise ``NotQuick``: that way takes
milliseconds, and at first a second, in which an event loop would answer nobody."""


class NotQuick(Exception):
    """A value needs the way of a data frame, and the caller has set ``QUICK``."""


class Slow:
    """The way of a data frame, for the values of one column."""

    def __init__(self, field: Column, schema: Form) -> None:
        self._field = field
        self._reading = Reading(missing=schema.missing)
        self._kept: dict[str, float] = {}

    def one(self, given: Any, number: int) -> float:
        """The record of one value; raises ``CellError``."""
        found = self._kept.get(given) if type(given) is str else None
        if found is not None:
            return found
        if QUICK.get():
            raise NotQuick
        try:
            found = float(self._records([given])[0])
        except Exception as error:  # whatever polars says of an object of somebody else's
            raise self._wrong(given, number) from error
        self._keep([given], [found])
        return found

    def several(self, given: Sequence[Any], found: list[float | None]) -> None:
        """Replace each None in ``found``, the records of the values ``given``."""
        left = [place for place, value in enumerate(found) if value is None]
        texts = {given[place] for place in left if type(given[place]) is str}
        new = [text for text in texts if text not in self._kept]
        known = dict(self._kept)
        if new and QUICK.get():
            raise NotQuick
        if len(new) > 1 and self._field.kind != "boolean":  # truth values are read one by one
            try:
                records = self._records(new).tolist()
            except Exception as error:  # the first wrong value is looked for by itself
                raise DataError(str(error)) from error
            known.update(zip(new, records, strict=True))
            self._keep(new, records)
        for place in left:
            value = given[place]
            kept = known.get(value) if type(value) is str else None
            found[place] = self.one(value, place) if kept is None else kept

    def _records(self, given: list[Any]) -> Array:
        import polars as pl

        from linnet.data.table import Table
        from linnet.data.text.columns import to_column

        series = to_column(pl.Series(self._field.name, given), "rows", self._reading)
        series = columns.without(series, self._reading.missing)
        return columns.record(self._field, series, Table({}, "rows"))

    def _keep(self, given: Iterable[Any], found: Iterable[float]) -> None:
        if len(self._kept) > KEPT:
            self._kept = {}
        self._kept.update(
            (text, value)
            for text, value in zip(given, found, strict=True)
            if type(text) is str and len(text) < 100
        )

    def _wrong(self, given: Any, number: int) -> CellError:
        expected = EXPECTED[self._field.kind]
        if isinstance(given, float) and not math.isfinite(given):
            expected = FINITE
        return CellError(number, self._field.name, given, expected, "correct it, or give null")


def numbers(given: list[Any]) -> Array | None:
    """Numbers that Python's ``float`` gives the same way, None as NaN; None if others are there."""
    kinds = set(map(type, given))
    if not kinds <= {int, float, type(None)}:
        return None
    try:
        values = np.array(given, np.float64)
    except OverflowError:
        return None
    most = float(MAX_WHOLE) if int in kinds else math.inf
    return None if (np.abs(values) >= most).any() else values


def _nothing(given: list[Any]) -> None:
    """Not all values of the column are as plain as ``numbers``."""


def _each(read: Read, given: list[Any]) -> list[float | None]:
    """``read`` of each value; values of one kind that occur often are read once. (1, 1.0 and True
    are equal, and so are 0.0 and -0.0.)"""
    kinds = set(map(type, given)) - {type(None)}
    if kinds not in ({str}, {int}, {bool}):
        return list(map(read, given))
    known = {value: read(value) for value in set(given)}
    return list(map(known.__getitem__, given))


def reader(field: Column, schema: Form) -> Read:
    """How Python reads the values of a column."""
    empty = frozenset(Reading(missing=schema.missing).empty)
    gone = _numbers_of(schema.missing)
    make = {"number": _number, "category": _category, "boolean": _boolean, "date": _date}
    return make[field.kind](field, empty, gone)


def _numbers_of(missing: Iterable[str]) -> frozenset[float]:
    """The numbers among the texts that mean missing."""
    found: set[float] = set()
    for text in missing:
        if PLAIN.fullmatch(text):
            found.add(float(text))
        elif not text.isalpha() or text.lower() in ("nan", "inf", "infinity"):
            import polars as pl

            number = pl.Series([text]).cast(pl.Float64, strict=False)[0]
            found |= set() if number is None else {float(number)}
    return frozenset(found)


def _float(given: Any, gone: frozenset[float]) -> float | None:
    """A number, or a whole number that float64 holds; NaN if it means missing."""
    kind = type(given)
    if kind is int:
        if not -MAX_WHOLE <= given <= MAX_WHOLE:
            return None
        value = float(given)
    elif kind is float:
        value = given
        if value - value != 0:  # NaN is missing; infinite ones are refused
            return NAN if value != value else None
    else:
        return None
    return NAN if value in gone else value


def _text_reader(field: Column, empty: frozenset[str]) -> Callable[[str], float | None]:
    """How text is read in a column of numbers, or of categories that are numbers."""
    decimal, unit = field.format[:1], field.format[1:]
    bare = unit in ("", "*") or unit in CURRENCIES.values()
    plain = decimal in ("", ".") and bare
    comma = decimal == "," and bare

    def read(given: str) -> float | None:
        text = given.strip(WHITE)
        if text in empty or text.lower() in GONE:
            return NAN
        if plain and PLAIN.fullmatch(text):
            return float(text)
        if comma and COMMA.fullmatch(text):
            return float(text.replace(",", "."))
        return None

    return read


def _number(field: Column, empty: frozenset[str], gone: frozenset[float]) -> Read:
    read_text = _text_reader(field, empty)

    def read(given: Any) -> float | None:
        kind = type(given)
        if kind is float or kind is int:
            return _float(given, gone)
        if kind is str:
            return read_text(given)
        if given is None:
            return NAN
        return float(given) if kind is bool else None

    return read


def _category(field: Column, empty: frozenset[str], gone: frozenset[float]) -> Read:
    known = {text: float(code) for code, text in enumerate(field.categories)}
    numeric = _text_reader(field, empty) if field.numeric else None

    def of_number(value: float) -> float:
        if value != value:
            return NAN
        return known.get(str(int(value)) if value % 1 == 0 else str(value), -1.0)

    def read(given: Any) -> float | None:
        kind = type(given)
        if kind is str:
            if numeric is not None:
                value = numeric(given)
                return None if value is None else of_number(value)
            text = given.strip(WHITE)
            if text in empty:
                return NAN
            return known[text] if text in known else -1.0 if _writable(text) else None
        if given is None:
            return NAN
        if kind is bool:
            return known.get(str(given), -1.0)
        value = _float(given, gone)
        return None if value is None else of_number(value)

    return read


def _writable(text: str) -> bool:
    """Whether text has no half characters, which no data frame holds."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _boolean(field: Column, empty: frozenset[str], gone: frozenset[float]) -> Read:
    def read(given: Any) -> float | None:
        kind = type(given)
        if kind is bool:
            return float(given)
        if kind is str:
            text = given.strip(WHITE)
            return NAN if text in empty else WORDS.get(text.lower()) if text.isascii() else None
        if given is None:
            return NAN
        value = _float(given, gone)
        if value is None or value != value:
            return value
        return value + 0.0 if value in (0.0, 1.0) else None  # no -0.0

    return read


def _date(field: Column, empty: frozenset[str], gone: frozenset[float]) -> Read:
    def read(given: Any) -> float | None:
        if type(given) is str:
            text = given.strip(WHITE)
            if text in empty or text.lower() in GONE:
                return NAN
            found = MOMENT.fullmatch(text)
            return None if found is None else _seconds(*found.groups())
        return NAN if given is None else None

    return read


def _seconds(
    year: str, month: str, day: str, hour: str | None, minute: str | None, second: str | None,
    part: str | None,
) -> float | None:  # fmt: skip
    """A moment as seconds since 1970; None if there is no such one."""
    micro = int((part or "0").ljust(6, "0"))
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            micro, UTC,
        )  # fmt: skip
    except ValueError:
        return None
    return ((moment - EPOCH) // MICROSECOND) / 1e6


def read_plain(given: Any) -> float | None:
    """A number of a plain row."""
    if type(given) not in NUMBERS and not isinstance(given, (np.integer, np.floating)):
        return None
    try:
        value = float(given)
    except OverflowError:
        return None
    return value if value - value == 0 else None


def read_pixel(given: Any) -> float | None:
    """A pixel: a whole number from 0 to 255."""
    if type(given) not in (int, float) and not isinstance(given, (np.integer, np.floating)):
        return None
    return float(given) if 0 <= given <= 255 and given % 1 == 0 else None


Put = Callable[[float, list[float]], None]


def _puts(fields: Sequence[Column]) -> list[Put]:
    """For each column how a record is written into an encoded row of zeros: what
    ``columns.encode`` does for many rows."""
    found: list[Put] = []
    start = 0
    for field in fields:
        make = {"category": _put_category, "date": _put_date}.get(field.kind, _put_number)
        found.append(make(field, start))
        start += len(field.names)
    return found


def _put_category(field: Column, start: int) -> Put:
    count = len(field.categories)
    unknown = start + count if field.other else None
    absent = start + count + field.other if field.missing else None

    def put(value: float, out: list[float]) -> None:
        if value >= 0:
            out[start + int(value)] = 1.0
        elif value < 0:
            if unknown is not None:
                out[unknown] = 1.0
        elif absent is not None:
            out[absent] = 1.0

    return put


def _put_number(field: Column, start: int) -> Put:
    (fill,) = field.fill
    missing = field.missing
    low, high = field.ends or (-math.inf, math.inf)

    def put(value: float, out: list[float]) -> None:
        if low <= value <= high:
            out[start] = value
        else:  # also NaN
            out[start] = fill
            if missing:
                out[start + 1] = 1.0

    return put


def _put_date(field: Column, start: int) -> Put:
    stop = start + len(field.names)

    def put(value: float, out: list[float]) -> None:
        encoded = np.zeros((1, stop - start))
        columns.encode(field, np.array([value]), encoded)
        out[start:stop] = encoded[0].tolist()

    return put

"""What decides the kind of a column: a few facts about its values.

``kinds`` and ``forms`` ask a ``Survey``, so a column gets the same kind and the same categories
whether it lies in memory or is read by blocks. ``Whole`` takes the facts from a column in memory,
when they are asked for. ``Summary`` holds them for some of the rows; the summaries of all blocks
add up to those of the column. Where that is not enough, as for dates that are written as text,
``Merged`` reads the column alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from linnet.core.later import polars as pl

MAX_CATEGORIES = 10_000
"""A text column with more different values than this is not a category."""

FIRST = 2 * MAX_CATEGORIES
"""The number of first values that a summary holds."""


class Survey(ABC):
    """The facts about a column in the form that ``Table`` requires. Values are those that are not
    missing."""

    name: str
    dtype: pl.DataType
    rows: int
    count: int
    """The number of values."""

    @abstractmethod
    def head(self, count: int) -> pl.Series:
        """The first values, at most ``FIRST``."""

    @abstractmethod
    def sample(self, count: int) -> pl.Series:
        """About ``count`` values, at equal distances; all if they are fewer."""

    @property
    @abstractmethod
    def different(self) -> int:
        """How many values differ; beyond ``MAX_CATEGORIES`` any larger number."""

    @property
    @abstractmethod
    def unique(self) -> pl.Series:
        """The different values, sorted."""

    @property
    @abstractmethod
    def distinct(self) -> bool:
        """Whether no row is without a value, and no two have the same."""

    @property
    @abstractmethod
    def whole(self) -> bool:
        """Whether the values are whole numbers."""

    @property
    @abstractmethod
    def ends(self) -> tuple[Any, Any]:
        """The least and the largest value, of text or none None."""

    @property
    @abstractmethod
    def timed(self) -> bool:
        """Whether some are date-times that are not midnight."""

    @property
    @abstractmethod
    def series(self) -> pl.Series:
        """The column itself, in memory."""


class Whole(Survey):
    """The facts about a column in memory."""

    def __init__(self, series: pl.Series) -> None:
        self._series, self.name, self.dtype = series, series.name, series.dtype
        self.rows = len(series)
        self.values = series.drop_nulls()
        self.count = len(self.values)

    def head(self, count: int) -> pl.Series:
        return self.values.head(count)

    def sample(self, count: int) -> pl.Series:
        return self.values.gather_every(max(1, self.count // count))

    @cached_property
    def different(self) -> int:
        return self.values.n_unique()

    @cached_property
    def unique(self) -> pl.Series:
        return self._series.unique().drop_nulls().sort()

    @property
    def distinct(self) -> bool:
        return self.different == self.rows

    @cached_property
    def whole(self) -> bool:
        return self.dtype == pl.Float64 and bool((self.values % 1 == 0).all())

    @property
    def ends(self) -> tuple[Any, Any]:
        return _ends(self.values)

    @property
    def timed(self) -> bool:
        return _timed(self._series)

    @property
    def series(self) -> pl.Series:
        return self._series


@dataclass(frozen=True)
class Summary:
    """The facts about some consecutive rows of a column. ``a + b`` are those of both, ``b`` being
    the rows after ``a``.

    ``first`` are the first ``FIRST`` values. ``unique`` are the different values, sorted; None if
    they are more than ``MAX_CATEGORIES``. ``rising`` says whether each value is larger than the
    one before it.
    """

    rows: int
    count: int
    first: pl.Series
    unique: pl.Series | None
    whole: bool
    timed: bool
    rising: bool
    ends: tuple[Any, Any]
    last: Any

    @classmethod
    def of(cls, series: pl.Series) -> Summary:
        """The facts about a column, or a part of it."""
        values = series.drop_nulls()
        numbers = values.dtype == pl.Float64
        unique: pl.Series | None = values.unique().sort()
        return cls(
            rows=len(series),
            count=len(values),
            first=values.head(FIRST),
            unique=None if len(unique) > MAX_CATEGORIES else unique,  # type: ignore[arg-type]
            whole=numbers and bool((values % 1 == 0).all()),
            timed=_timed(series),
            rising=numbers and bool((values.diff() > 0).all()),
            ends=_ends(values),
            last=values[-1] if len(values) else None,
        )

    def __add__(self, other: Summary) -> Summary:
        if not (self.count and other.count):
            kept = self if self.count else other
            facts = {name: getattr(kept, name) for name in self.__dataclass_fields__}
            return Summary(**{**facts, "rows": self.rows + other.rows})
        unique = None
        if self.unique is not None and other.unique is not None:
            both = pl.concat([self.unique, other.unique]).unique().sort()
            unique = None if len(both) > MAX_CATEGORIES else both
        first = self.first
        if len(first) < FIRST:
            first = pl.concat([first, other.first]).head(FIRST)
        (low, high), (least, largest) = self.ends, other.ends
        joined = self.rising and other.rising and self.last < other.first[0]
        return Summary(
            rows=self.rows + other.rows,
            count=self.count + other.count,
            first=first,
            unique=unique,
            whole=self.whole and other.whole,
            timed=self.timed or other.timed,
            rising=joined,
            ends=(None, None) if low is None else (min(low, least), max(high, largest)),
            last=other.last,
        )


class Merged(Survey):
    """The facts about a column that is read by blocks. ``parts`` reads its rows once more, block by
    block; ``column`` reads all of them into memory."""

    def __init__(
        self,
        name: str,
        summary: Summary,
        parts: Callable[[], Iterator[pl.Series]],
        column: Callable[[], pl.Series],
    ) -> None:
        self.name, self.dtype = name, summary.first.dtype
        self.rows, self.count = summary.rows, summary.count
        self._summary, self._parts, self._column = summary, parts, column

    def head(self, count: int) -> pl.Series:
        return self._summary.first.head(count)

    def sample(self, count: int) -> pl.Series:
        if self.count <= FIRST:
            return self._summary.first.gather_every(max(1, self.count // count))
        step, passed, found = max(1, self.count // count), 0, []
        for part in self._parts():
            values = part.drop_nulls()
            found.append(values.gather_every(step, -passed % step))
            passed += len(values)
        return pl.concat(found)

    @property
    def different(self) -> int:
        unique = self._summary.unique
        return MAX_CATEGORIES + 1 if unique is None else len(unique)

    @cached_property
    def unique(self) -> pl.Series:
        known = self._summary.unique
        return self.series.unique().drop_nulls().sort() if known is None else known

    @property
    def distinct(self) -> bool:
        if self.count < self.rows or self._summary.rising:
            return self.count == self.rows
        return self.different == self.rows or (
            self.different > MAX_CATEGORIES and self.series.n_unique() == self.rows
        )

    @property
    def whole(self) -> bool:
        return self._summary.whole if self.count else self.dtype == pl.Float64

    @property
    def ends(self) -> tuple[Any, Any]:
        return self._summary.ends

    @property
    def timed(self) -> bool:
        return self._summary.timed

    @property
    def series(self) -> pl.Series:
        return self._column()


def _ends(values: pl.Series) -> tuple[Any, Any]:
    return (None, None) if values.dtype == pl.String else (values.min(), values.max())


def _timed(series: pl.Series) -> bool:
    if series.dtype != pl.Datetime:
        return False
    return not (series.dt.truncate("1d") == series).all()

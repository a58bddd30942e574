"""How one column of a table is encoded; a model file stores this."""

from __future__ import annotations

from pydantic import model_validator

from linnet.core.closed import Closed
from linnet.data.reading import Kind

PARTS = ("year", "month", "day", "weekday", "hour")
LEFT_OUT = ("text", "identifier", "constant")
MISSING, OTHER = "(missing)", "(other)"

ORDERS = ("ymd", "dmy", "mdy")
NUMBERS = (".", ",", ":")
"""The first character of the form of numbers; the unit follows."""

MAX_FORM = 40


class Column(Closed):
    """One column of a table.

    ``numeric``: the categories are numbers as text. ``timed``: a date with times of day.
    ``format``: how numbers or dates are written in text: "" for plain numbers and typed columns,
    the form of numbers (see ``linnet.data.written``), or the order of dates. ``fill``: the values
    that impute missing numbers, one for each part of a date. ``missing``: a 0/1 column marks
    missing values. ``other``: all rare categories share one 0/1 column. ``ends``: numbers below the
    first or above the second are far from all others, and count as missing; see
    ``linnet.data.far``. ``range`` and ``typical`` describe the training rows to people, and change
    no prediction: the least and the largest number, of dates in seconds since 1970; and the median
    of numbers and dates, the place of the most frequent category in ``categories``, or the more
    frequent one of 0 and 1 for a boolean. They are None for columns that are not used or without a
    value in training, and in models of before.
    """

    name: str
    kind: Kind
    numeric: bool = False
    timed: bool = False
    format: str = ""
    categories: tuple[str, ...] = ()
    fill: tuple[float, ...] = ()
    missing: bool = False
    other: bool = False
    ends: tuple[float, float] | None = None
    range: tuple[float, float] | None = None
    typical: float | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Column:
        known = (*ORDERS, "") if self.kind == "date" else ("", *NUMBERS)
        start = self.format if self.kind == "date" else self.format[:1]
        if start not in known or len(self.format) > MAX_FORM:
            raise ValueError(f"unknown format {self.format[:40]!r} of a {self.kind}")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("a category is listed twice")
        if self.kind == "category" and self.fill:
            raise ValueError("a category cannot have values to impute")
        if self.ends is not None and (self.kind != "number" or not self.ends[0] < self.ends[1]):
            raise ValueError("ends that rise go with numbers")
        ranged = self.kind in ("number", "date")
        if self.range is not None and not (ranged and self.range[0] <= self.range[1]):
            raise ValueError("a range that rises goes with numbers and dates")
        if self.typical is not None:
            self._check_typical(self.typical)
        return self

    def _check_typical(self, typical: float) -> None:
        """Raise if the typical value is none that the column can have."""
        most = {"category": len(self.categories) - 1, "boolean": 1}.get(self.kind)
        if most is not None and not (typical.is_integer() and 0 <= typical <= most):
            raise ValueError(f"a typical value of {typical:g}; expected 0 to {most}")

    @property
    def used(self) -> bool:
        """Whether the column is part of the examples."""
        return self.kind not in LEFT_OUT

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the encoded columns."""
        if self.kind == "category":
            names = [f"{self.name}={category}" for category in self.categories]
            names += [f"{self.name}={OTHER}"] * self.other
            return (*names, *([f"{self.name}={MISSING}"] * self.missing))
        parts = self.parts
        names = [f"{self.name}.{part}" for part in parts] if parts else [self.name]
        return (*names, *([f"{self.name} {MISSING}"] * self.missing))

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a date."""
        if self.kind != "date":
            return ()
        return PARTS if self.timed else PARTS[:-1]

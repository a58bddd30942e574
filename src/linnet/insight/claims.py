"""Claims: sentences about a run, made of figures that are possible.

A sentence is a form with names in braces, and what stands there: figures, and names that users
chose. Each kind of figure states which values are possible; a figure that is not possible cannot be
made. So no sentence has a share above 1, an interval out of order or an RMSE below 0. A number that
is not known is left out of a sentence, or the sentence is not said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from linnet.core import language
from linnet.core.events import number
from linnet.core.language import tr, trn
from linnet.core.text import figure, percent, up

ROUNDING = 1e-9
"""A value may be outside its interval by this share of it: the two are sums in another order."""


class Impossible(ValueError):
    """A figure that no run can have."""


@dataclass(frozen=True)
class Figure:
    """A finite number of a claim, which writes itself."""

    value: float
    least: ClassVar[float] = -math.inf
    most: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.least <= self.value <= self.most):
            raise Impossible(f"{type(self).__name__} {self.value}")
        object.__setattr__(self, "value", float(self.value))

    @classmethod
    def of(cls, value: object) -> Self | None:
        """The figure of a value from a file; None if it is not known or not possible."""
        try:
            return cls(number(value))
        except Impossible:
            return None

    @property
    def bare(self) -> str:
        """The figure without its unit."""
        return figure(self.value)

    def __str__(self) -> str:
        return self.bare

    def plain(self, name: str) -> dict[str, float]:
        """The number, or numbers, by name."""
        return {name: self.value}


class Number(Figure):
    """Any number, such as a loss or an R2."""


class Size(Figure):
    """A number from 0, such as an RMSE or a learning rate."""

    least = 0.0


class Plain(Size):
    """A setting, such as a penalty."""

    @property
    def bare(self) -> str:
        return f"{self.value:g}"


class Rough(Size):
    """A size of which three digits matter."""

    @property
    def bare(self) -> str:
        return figure(self.value, 3)


class Bound(Size):
    """A bound, such as an optimality gap."""

    @property
    def bare(self) -> str:
        return figure(self.value, 2)


class R2(Figure):
    """The share of the variance that is explained: at most 1. Below 0, the mean is better."""

    most = 1.0

    @property
    def bare(self) -> str:
        return f"{up(self.value):z.3f}"


class Count(Figure):
    """A whole number from 0."""

    least = 0.0
    most = 2.0**53

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.value % 1:
            raise Impossible(f"{type(self).__name__} {self.value}")

    @property
    def bare(self) -> str:
        return f"{self.value:,.0f}"


class Rows(Count):
    """A number of rows of which something is said: at least one."""

    least = 1.0

    def __str__(self) -> str:
        return self.counted(int(self.value))

    def counted(self, n: int) -> str:
        """The number with what is counted."""
        return trn("{n} row", "{n} rows", n)


class Columns(Rows):
    """Columns of a table."""

    def counted(self, n: int) -> str:
        return trn("{n} column", "{n} columns", n)


class ValidRows(Rows):
    """Validation rows."""

    def counted(self, n: int) -> str:
        return trn("{n} validation row", "{n} validation rows", n)


class TestRows(Rows):
    """Test rows."""

    def counted(self, n: int) -> str:
        return trn("{n} test row", "{n} test rows", n)


class Folds(Rows):
    """Folds of a cross-validation."""

    def counted(self, n: int) -> str:
        return trn("{n} fold", "{n} folds", n)


class Groups(Rows):
    """Groups of rows."""

    def counted(self, n: int) -> str:
        return trn("{n} group", "{n} groups", n)


class Blocks(Rows):
    """Blocks of time."""

    def counted(self, n: int) -> str:
        return trn("{n} block", "{n} blocks", n)


class Comparisons(Rows):
    """Comparisons of two models."""

    def counted(self, n: int) -> str:
        return trn("{n} comparison", "{n} comparisons", n)


class Change(Figure):
    """How much higher a number is than another one."""

    @property
    def bare(self) -> str:
        return figure(abs(self.value), 3)

    def __str__(self) -> str:
        if not self.value:
            return tr("equal")
        if self.value > 0:
            return tr("higher by {number}", number=self.bare)
        return tr("lower by {number}", number=self.bare)


class Share(Figure):
    """A share: from 0 to 1, but for rounding."""

    least, most = 0.0, 1.0

    def __post_init__(self) -> None:
        if -ROUNDING <= self.value <= 1 + ROUNDING:
            object.__setattr__(self, "value", min(max(self.value, 0.0), 1.0))
        super().__post_init__()

    @property
    def bare(self) -> str:
        return f"{up(100 * self.value):z.2f}"

    def __str__(self) -> str:
        return percent(self.value)


class Points(Figure):
    """The distance of two percentages."""

    least, most = 0.0, 100.0

    @property
    def bare(self) -> str:
        return f"{self.value:.1f}"

    def __str__(self) -> str:
        return tr("{number} points", number=self.bare)


class Fall(Figure):
    """By which share a loss fell: at most all of it. Below 0 it rose."""

    most = 1.0

    @property
    def bare(self) -> str:
        percents = 100 * abs(self.value)
        return f"{percents:.1f} %" if percents < 1000 else f"{figure(percents, 3)} %"

    def __str__(self) -> str:
        if self.value >= 0:
            return tr("fell by {number}", number=self.bare)
        return tr("rose by {number}", number=self.bare)


class Chance(Share):
    """A p-value."""

    @property
    def bare(self) -> str:
        """With so many digits that it stays on its side of 0.05."""
        if self.value < 0.001:
            return "< 0.001"
        for digits in (2, 3, 4):
            text = f"{up(self.value):.{digits}g}"
            if (float(text) < 0.05) == (self.value < 0.05):
                break
        return f"= {text}"

    def __str__(self) -> str:
        return f"p {self.bare}"


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval, which contains it."""

    value: Figure
    low: Figure
    high: Figure

    def __post_init__(self) -> None:
        low, value, high = self.low.value, self.value.value, self.high.value
        slack = ROUNDING * max(abs(low), abs(high))
        if not low - slack <= value <= high + slack or low > high:
            raise Impossible(f"{value} with the interval {low} to {high}")
        if len({type(self.value), type(self.low), type(self.high)}) > 1:
            raise Impossible("an interval in other units than its value")

    @classmethod
    def of(cls, kind: type[Figure], value: object, interval: object) -> Self | Figure | None:
        """The estimate of values from a file; the figure alone if its interval is not known or not
        possible, and None if the value is not."""
        found = kind.of(value)
        ends = interval if isinstance(interval, (list, tuple)) and len(interval) == 2 else ()
        low, high = map(kind.of, ends) if ends else (None, None)
        if found is None or low is None or high is None:
            return found
        try:
            return cls(found, low, high)
        except Impossible:
            return found

    def __str__(self) -> str:
        low, high = self.low.bare, self.high.bare
        return tr("{value} ({low} to {high})", value=self.value, low=low, high=high)

    def plain(self, name: str) -> dict[str, float]:
        """The three numbers, by name."""
        return {
            name: self.value.value,
            f"{name} low": self.low.value,
            f"{name} high": self.high.value,
        }


class Difference(Estimate):
    """A ``Change`` with its interval."""

    def __str__(self) -> str:
        low, high = self.low, self.high
        if low.value < 0 < high.value:
            ends = str(low), str(high)
        else:
            least, most = sorted((low, high), key=lambda end: abs(end.value))
            ends = least.bare, most.bare
        return tr(
            "{value}, 95 % interval {low} to {high}", value=self.value, low=ends[0], high=ends[1]
        )


class Falls(Estimate):
    """A ``Fall`` with its interval."""

    def __str__(self) -> str:
        low, high = (
            tr("a fall of {number}", number=end.bare)
            if end.value >= 0
            else tr("a rise of {number}", number=end.bare)
            for end in (self.low, self.high)
        )
        return tr("{value} (95 % interval: {low} to {high})", value=self.value, low=low, high=high)


def within(form: str, /, **parts: str) -> str:
    """``form`` with ``parts`` of it, which may be forms too, put at their names in braces."""
    for name, part in parts.items():
        form = form.replace(f"{{{name}}}", part)
    return form


@dataclass(frozen=True)
class Sentence:
    """A sentence about ``model``.

    ``form`` has names in braces; they stand for the figures ``evidence`` and the texts ``names``.
    ``evidence`` may hold further figures on which the claim rests. ``text`` can hold names of
    classes and models that users chose: escape it in HTML. A sentence stays in the ``language``
    that was in force when it was made.
    """

    model: str
    form: str
    evidence: Mapping[str, Figure | Estimate] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    language: str = field(default_factory=language.current, kw_only=True)

    def __post_init__(self) -> None:
        if any(not isinstance(each, (Figure, Estimate)) for each in self.evidence.values()):
            raise Impossible("evidence that is no figure")
        _ = self.text  # every name in the form is there

    @property
    def text(self) -> str:
        """The sentence."""
        with language.language(self.language):
            text = self.form.format_map({**self.evidence, **self.names})
        return text[0].upper() + text[1:]

    @property
    def figures(self) -> dict[str, float]:
        """The numbers behind the claim, by name."""
        every = (figure.plain(name) for name, figure in self.evidence.items())
        return {name: value for each in every for name, value in each.items()}

    def __str__(self) -> str:
        return self.text

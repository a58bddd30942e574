"""Named columns as a source reads them, before they are encoded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from linnet.core.text import listed
from linnet.errors import LinnetWarning, printable

if TYPE_CHECKING:
    import polars


class LeftOut(str):
    """A note on columns that are left out; a check reports the same columns, with the reason."""


class Warned(str):
    """A note on something that may change the results: what it is, and the remedy. The doctor makes
    a warning of it; ``linnet.read`` and ``linnet.predict`` warn."""

    what: str
    remedy: str

    def __new__(cls, what: str, remedy: str) -> Warned:
        """``what; remedy`` as text."""
        note = super().__new__(cls, f"{what}; {remedy}")
        note.what, note.remedy = what, remedy
        return note


def warn_of(notes: Iterable[str]) -> None:
    """Warn of the notes that are warnings."""
    for note in notes:
        if isinstance(note, Warned):
            warnings.warn(note, LinnetWarning, stacklevel=4)


@dataclass(frozen=True)
class Table:
    """Columns of equal length, by name, in the order of the source.

    Each is a polars ``Series`` of Float64 (finite), String (no spaces around), Boolean, Date, or
    Datetime in microseconds without a zone. A missing value is null, never NaN or "NA". ``line``
    gives the line of a text file on which a row begins, or the place of the row in words. Rows
    count from 0, lines from 1. ``given`` are the settings of reading that the place itself decides,
    such as the target of ``(X, y)``. ``words`` are the columns of text whose source says that they
    are categories: never numbers or dates.
    """

    columns: dict[str, polars.Series]
    name: str
    line: Callable[[int], int | str] | None = None
    notes: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    words: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def __repr__(self) -> str:
        shown = f"Table({self.name!r}, {len(self):,} rows: {listed(self.columns, 10)})"
        return printable(shown)

    def where(self, row: int) -> str:
        """The place of a row, for messages: its line, or its number."""
        line = None if self.line is None else self.line(row)
        if isinstance(line, str):
            return line
        return f"row {row}" if line is None else f"line {line}"

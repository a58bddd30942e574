"""Decide whether a column of a text file is plain numbers or text, when all of it is known.

Text that is numbers or dates as people write them stays text here; ``linnet.data.forms`` reads it,
for all sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from linnet.core.later import polars as pl
from linnet.data.text.lines import shown
from linnet.data.text.values import Tally
from linnet.errors import DataError

TEXTUAL = frozenset(("category", "text", "identifier", "date", "boolean"))
"""A column that is declared as one of these kinds stays text."""

Type = Literal["number", "text"]


@dataclass
class Column:
    """A column while it is read: ``parts`` are Float64 or String, one for each chunk. ``filled``:
    there is a value; ``numeric``: some parts are numbers; ``thousands``: points in its text
    separate thousands."""

    name: str
    declared: str | None
    parts: Sequence[pl.Series]
    tally: Tally = field(default_factory=Tally)
    filled: bool = False
    numeric: bool = False
    thousands: bool = False

    def add(self, part: pl.Series, tally: Tally, row: int) -> None:
        """Note the facts of a part, which begins with this row."""
        self.tally.add(tally, row)
        filled = part.null_count() < len(part)
        self.filled |= filled
        self.numeric |= filled and part.dtype == pl.Float64

    @property
    def textual(self) -> bool:
        return self.declared in TEXTUAL


class Judge:
    """Decides the type of columns; its errors name the line."""

    def __init__(self, path: Path, line: Callable[[int], int]) -> None:
        self._path = path
        self._line = line

    def type_of(self, column: Column) -> Type:
        """Whether a column is plain numbers, or text."""
        tally = column.tally
        coded = tally.codes and column.declared != "number"
        if column.textual or coded or tally.others:
            return "text"
        if tally.huge is not None:
            raise self._beyond(column, *tally.huge)
        return "number"

    def changed(self, column: Column, type_: Type) -> bool:
        """Whether a column needs text for a chunk that was kept as numbers."""
        return type_ == "text" and column.numeric

    def finish(self, column: Column, type_: Type) -> pl.Series:
        """The whole column as one series; this releases its parts."""
        parts, column.parts = list(column.parts), []
        row = 0
        for index, part in enumerate(parts):
            parts[index] = self.typed(column, type_, part, row)
            row += len(part)
        return pl.concat(parts, rechunk=type_ == "number").alias(column.name)

    def typed(self, column: Column, type_: Type, part: pl.Series, row: int) -> pl.Series:
        """A part of the column, which begins with this row, in the type of the column."""
        if type_ == "text":
            return part.cast(pl.String)
        if part.dtype == pl.Float64:
            return part
        text = part.str.replace_all(".", "", literal=True) if column.thousands else part
        found = text.cast(pl.Float64)
        beyond = (~found.is_finite()).arg_true()
        if len(beyond):
            raise self._beyond(column, row + int(beyond[0]), str(part[beyond[0]]))
        return found

    def _beyond(self, column: Column, row: int, value: str) -> DataError:
        return DataError(
            f'{self._path}: line {self._line(row)}, column "{shown(column.name)}": '
            f'"{shown(value)}" is beyond the range of 64-bit numbers (1.8e308); correct it, or '
            f"--set missing={shown(value)} if it means a missing value"
        )

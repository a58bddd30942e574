"""Decide whether a column of a text file is plain numbers or text, when all of it is known.

Text that is numbers or dates as people write them stays text here; ``linnet.data.forms`` reads it,
for all sources.
"""

from __future__ import annotations

from collections.abc import Callable
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
    """A column while it is read: ``parts`` are Float64 or String, one for each chunk."""

    name: str
    declared: str | None
    parts: list[pl.Series] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

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
        return type_ == "text" and any(
            part.dtype == pl.Float64 and part.null_count() < len(part) for part in column.parts
        )

    def finish(self, column: Column, type_: Type) -> pl.Series:
        """The whole column as one series; this releases its parts."""
        parts, column.parts = column.parts, []
        if type_ == "text":
            whole = pl.concat([part.cast(pl.String) for part in parts])
            return whole.alias(column.name)
        row = 0
        for index, part in enumerate(parts):
            if part.dtype == pl.String:
                parts[index] = part.cast(pl.Float64)
                beyond = (~parts[index].is_finite()).arg_true()
                if len(beyond):
                    raise self._beyond(column, row + int(beyond[0]), str(part[beyond[0]]))
            row += len(part)
        return pl.concat(parts, rechunk=True).alias(column.name)

    def _beyond(self, column: Column, row: int, value: str) -> DataError:
        return DataError(
            f'{self._path}: line {self._line(row)}, column "{shown(column.name)}": '
            f'"{shown(value)}" is beyond the range of 64-bit numbers (1.8e308); correct it, or '
            f"--set missing={shown(value)} if it means a missing value"
        )

"""Decide whether a column of a text file is numbers or text, when all of it is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from linnet.data.text.lines import shown
from linnet.data.text.values import Tally
from linnet.errors import DataError

NEARLY = 0.9
"""A column is meant to be numbers if at least this share of its values are numbers, ..."""

LEADING = 100
"""... or if it begins with this many numbers, ..."""

FEWEST = 5
"""... and if it has at least this many numbers."""

TEXTUAL = frozenset(("category", "text", "identifier", "date", "boolean"))
"""A column that is declared as one of these kinds stays text."""

Form = Literal["number", "comma", "text"]


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
    """Decides the form of columns; its errors name the line."""

    def __init__(self, path: Path, line: Callable[[int], int], decimal: str) -> None:
        self._path = path
        self._line = line
        self._decimal = decimal

    def form(self, column: Column) -> Form:
        """The form of a column: numbers, numbers with some decimal commas, or text."""
        tally = column.tally
        if column.textual:
            return "text"
        meant = column.declared == "number"
        if tally.codes and not meant:
            return "text"
        if tally.others and tally.commas == tally.others:
            self._one_reading(column)
            return "comma"
        if meant and tally.plain is not None:
            raise self._error(
                column,
                *tally.plain,
                f"is not a number, but columns.{shown(column.name)}=number is set; correct it, or "
                f"--set missing={shown(tally.plain[1])} if it means a missing value",
            )
        if tally.other is not None:
            enough = tally.numbers >= NEARLY * (tally.numbers + tally.others)
            if tally.numbers >= FEWEST and (enough or tally.lead >= LEADING):
                raise self._mixed(column, tally.other)
            return "text"
        if tally.huge is not None:
            raise self._beyond(column, *tally.huge)
        return "number"

    def changed(self, column: Column, form: Form) -> bool:
        """Whether a column needs text for a chunk that was kept as numbers."""
        return form != "number" and any(
            part.dtype == pl.Float64 and part.null_count() < len(part) for part in column.parts
        )

    def finish(self, column: Column, form: Form) -> pl.Series:
        """The whole column as one series; this releases its parts."""
        parts, column.parts = column.parts, []
        if form == "text":
            whole = pl.concat([part.cast(pl.String) for part in parts])
            return whole.alias(column.name)
        if form == "comma":
            self._no_points(column, parts)
        row = 0
        for index, part in enumerate(parts):
            if part.dtype == pl.String:
                text = part.str.replace(",", ".", literal=True) if form == "comma" else part
                parts[index] = text.cast(pl.Float64)
                beyond = (~parts[index].is_finite()).arg_true()
                if len(beyond):
                    raise self._beyond(column, row + int(beyond[0]), str(part[beyond[0]]))
            row += len(part)
        return pl.concat(parts, rechunk=True).alias(column.name)

    def _error(self, column: Column, row: int, value: str, text: str) -> DataError:
        return DataError(
            f'{self._path}: line {self._line(row)}, column "{shown(column.name)}": '
            f'"{shown(value)}" {text}'
        )

    def _mixed(self, column: Column, first: tuple[int, str]) -> DataError:
        tally = column.tally
        total = tally.numbers + tally.others
        return self._error(
            column,
            *first,
            f"is not a number, but {tally.numbers:,} of the column's {total:,} values are; correct "
            f"the {tally.others:,} that {'is' if tally.others == 1 else 'are'} not, or --set "
            f"missing={shown(first[1])} if it means a missing value, or --set "
            f"columns.{shown(column.name)}=category if the column does not hold numbers",
        )

    def _beyond(self, column: Column, row: int, value: str) -> DataError:
        return self._error(
            column,
            row,
            value,
            "is beyond the range of 64-bit numbers (1.8e308); correct it, or --set "
            f"missing={shown(value)} if it means a missing value",
        )

    def _one_reading(self, column: Column) -> None:
        tally = column.tally
        if self._decimal == "auto" and tally.thousands == tally.commas and tally.other:
            raise self._error(
                column,
                *tally.other,
                "has a comma that may mark decimals or thousands; for decimals --set decimal=, ; "
                "else write numbers without commas, or --set decimal=. to read the column as text",
            )

    def _no_points(self, column: Column, parts: list[pl.Series]) -> None:
        row = 0
        for part in parts:
            if part.dtype == pl.String:
                found = part.str.contains(".", literal=True).arg_true()
                if len(found):
                    raise self._error(
                        column,
                        row + int(found[0]),
                        str(part[found[0]]),
                        "has a point, but other values of the column have a decimal comma; use one "
                        f"of them in all, or --set columns.{shown(column.name)}=category",
                    )
            row += len(part)

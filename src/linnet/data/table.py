"""Named columns as a place has them, before any of them is encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class Table:
    """Columns of equal length, by name, in the order of the place.

    Each is a polars ``Series`` of Float64 (finite), String (no spaces around), Boolean, Date, or
    Datetime in microseconds without a zone. What is missing is null: never NaN, nor "NA". ``line``
    gives the line of a text file on which a row begins, both counted as people do where they look
    it up: rows from 0, lines from 1.
    """

    columns: dict[str, polars.Series]
    name: str
    line: Callable[[int], int] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def where(self, row: int) -> str:
        """Where a row is found: its line, or its number."""
        return f"row {row}" if self.line is None else f"line {self.line(row)}"

"""Columns of a text file without a name: the index of a data frame, and empty columns."""

from __future__ import annotations

from collections.abc import Callable

from linnet.core.later import polars as pl
from linnet.core.text import counted, literal
from linnet.data.table import Warned
from linnet.data.text.header import Layout
from linnet.data.text.lines import shown
from linnet.errors import DataError


class Aside:
    """Decides which columns of ``layout`` are left out because they have no name.

    The first one is the index of a data frame, as pandas and R write it: its values are different,
    or count the rows. Any other has no value, as where each line ends with a separator.
    """

    def __init__(self, source: str, layout: Layout, line: Callable[[int], int]) -> None:
        self._source = source
        self._layout = layout
        self._line = line
        self._void: list[int] = []
        self._notes: list[str] = []

    def concerns(self, place: int) -> bool:
        """Whether the column ``place`` has no name."""
        return place == self._layout.index or not self._layout.names[place]

    def take(self, place: int, series: pl.Series) -> None:
        """Leave out the column ``place``, which has no name; raises DataError if it cannot be."""
        if place == self._layout.index:
            self._index(series)
            return
        if series.null_count() < len(series):
            row = int(series.is_not_null().arg_max() or 0)
            raise DataError(
                f"{self._source}: the column {place + 1} of {len(self._layout.names)} has no name, "
                f"and line {self._line(row)} has {literal(series[row])} there; give the column a "
                "name in the first line, or leave its values empty in every line"
            )
        self._void.append(place + 1)

    def notes(self) -> list[str]:
        """What was left out, in words."""
        if not self._void:
            return self._notes
        what = f"the column {self._void[0]} has no name and no value, and is left out"
        if len(self._void) > 1:
            what = (
                f"{counted(len(self._void), 'column')} have no name and no value, and are left out"
            )
        return [*self._notes, what]

    def _index(self, series: pl.Series) -> None:
        """Note that the index is left out; raise if it is none."""
        whole = series.cast(pl.Int64, strict=False)
        steps = whole.diff().drop_nulls()
        counts = not whole.null_count() and bool(((steps == 1) | (whole[1:] == 0)).all())
        if self._layout.counted and not (counts and whole[0] in (0, 1) and (steps == 1).all()):
            raise DataError(
                f"{self._source}: the first line has {len(self._layout.names) - 1} names, and the "
                f"others {len(self._layout.names)} fields, of which the first does not count the "
                "rows, as R's row names do; give every column a name"
            )
        like = "R's row names" if self._layout.counted else "the index of pandas"
        what = f"the first column has no name, as {like}, and is left out"
        if counts or (not series.null_count() and series.n_unique() == len(series)):
            self._notes.append(what)
            return
        name = shown(self._layout.names[self._layout.index or 0])
        drop = f'--set "drop={name}" leaves it out'
        if not whole.null_count() and bool((whole >= 0).all()):
            twice = f"{what}, though some of its whole numbers repeat"
            self._notes.append(Warned(twice, "give it a name if it is data"))
            return
        row = int((series.is_null() | series.is_duplicated()).arg_max() or 0)
        value = "no value" if series[row] is None else f"{literal(series[row])}, which repeats"
        raise DataError(
            f"{self._source}: the first column has no name, and is no index: line "
            f"{self._line(row)} has {value}; give it a name in the first line, or {drop}"
        )

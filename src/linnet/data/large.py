"""A table that does not fit into memory: it is surveyed by blocks, and its columns are read one by
one when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from linnet.core import memory
from linnet.core.later import polars as pl
from linnet.data.columns import without
from linnet.data.named import PARTED
from linnet.data.parquet.blocks import ROWS, Files
from linnet.data.reading import Reading
from linnet.data.survey import Merged, Summary, Survey
from linnet.data.table import Table

if TYPE_CHECKING:
    import polars

NUMBERS = 1 << 20
"""About how many numbers of a few columns are read at once."""

TOGETHER = 16
"""Summaries are merged when there are this many, as each merging sorts the values of all; at once
if the values are too many to be kept."""


@dataclass(frozen=True, repr=False)
class Large(Table):
    """The table of ``files``. ``columns`` reads a column each time it is asked for one, and holds
    none. ``survey`` has the facts that decide the kind of a column."""

    files: Files = field(kw_only=True)
    reading: Reading = field(kw_only=True)
    texts: frozenset[str] = frozenset()
    """The columns of whole numbers that are text, as some are too large for Float64."""
    summaries: dict[str, Summary] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Files, reading: Reading) -> Large:
        """The table, after one pass over all rows."""
        summaries, large = _summaries(files, files.columns, reading, frozenset())
        if large:
            summaries |= _summaries(files, large, reading, frozenset(large))[0]
        texts = frozenset(large)
        given = {"split": files.part} if files.part else {}
        notes = (*files.notes, *([PARTED] if files.part else []))
        return cls(
            columns=_Columns(files.columns, lambda name: read(files, name, texts)),
            name=files.name,
            line=files.where,
            notes=notes,
            given=given,
            words=files.words,
            files=files,
            reading=reading,
            texts=texts,
            summaries=summaries,
        )

    def __len__(self) -> int:
        return len(self.files)

    def survey(self, name: str) -> Survey:
        """The facts about a column, without the numbers that mean missing."""
        missing = self.reading.missing

        def parts() -> Iterator[polars.Series]:
            for block in self.files.blocks():
                column = self.files.table(block, [name], self.texts).columns[name]
                yield without(column, missing)

        def column() -> polars.Series:
            return without(read(self.files, name, self.texts), missing)

        return Merged(name, self.summaries[name], parts, column)

    def coded(self, name: str) -> polars.Series:
        """All rows of a column; text of few different values as an Enum of them, in their order,
        which takes a tenth of the memory."""
        words = self.summaries[name].unique
        if words is None or words.dtype != pl.String:
            return self.columns[name]
        few = pl.Enum(words)
        parts = (self.files.table(block, [name], self.texts) for block in self.files.blocks())
        return pl.concat([part.columns[name].cast(few) for part in parts])

    def blocks(self, names: Sequence[str]) -> Iterator[tuple[int, Table]]:
        """Some columns of all rows, block by block, and the number of each block's first row. Of
        few columns the blocks are longer."""
        for block in self.files.blocks(max(ROWS, NUMBERS // max(1, len(names)))):
            yield block.start, self.files.table(block, names, self.texts)


class _Columns(dict[str, Any]):
    """Columns by name, each read when it is asked for."""

    def __init__(self, names: Sequence[str], read: Callable[[str], polars.Series]) -> None:
        super().__init__(dict.fromkeys(names))
        self._read = read

    def __getitem__(self, name: str) -> polars.Series:
        super().__getitem__(name)
        return self._read(name)

    def pop(self, name: str, *default: Any) -> Any:
        super().pop(name)
        return self._read(name)


def read(files: Files, name: str, texts: frozenset[str]) -> polars.Series:
    """All rows of a column; raises ``DataError`` if they do not fit into memory."""
    memory.require(3 * 8 * len(files), f'{files.source}: the column "{name}"', "fewer rows")
    return files.whole([name], texts)[name]


def _summaries(
    files: Files, names: Sequence[str], reading: Reading, texts: frozenset[str]
) -> tuple[dict[str, Summary], list[str]]:
    """The summary of each column, and the columns that turn out to be text, as they have whole
    numbers too large for Float64: these are to be read once more."""
    found: dict[str, list[Summary]] = {name: [] for name in names}
    large: list[str] = []
    for block in files.blocks():
        left = [name for name in names if name not in large]
        for name, series in files.table(block, left, texts).columns.items():
            if series.dtype == pl.String and name in files.numeric and name not in texts:
                large.append(name)
                continue
            found[name].append(Summary.of(without(series, reading.missing)))
            if len(found[name]) == TOGETHER or found[name][0].unique is None:
                found[name] = [reduce(add, found[name])]
    return {name: reduce(add, found[name]) for name in names if name not in large}, large

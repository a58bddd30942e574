"""Text files by pieces, for tables that do not fit into memory.

A text file is not read from the middle: where a record begins, and whether a column is numbers,
follows from what is before and from all that is after. So the files are read once from the
beginning, by the reader of text files itself, which keeps the values of each chunk in a file of
its own instead of in memory. Kinds, notes and errors are therefore those of a table in memory.
"""

from __future__ import annotations

import shutil
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.core import files
from linnet.core.later import polars as pl
from linnet.core.text import of_path
from linnet.data import several
from linnet.data.named import WORDS, part_names
from linnet.data.parquet import parquet
from linnet.data.parquet.blocks import ROWS, Block, Files
from linnet.data.reading import Reading
from linnet.data.several import Part
from linnet.data.table import Table
from linnet.data.text.keep import Spill, Spilled
from linnet.data.text.packed import ENDINGS as PACKED
from linnet.data.text.reader import Scan, scan_text, weighed
from linnet.errors import DataError, WorkError

if TYPE_CHECKING:
    import polars

NUMBERS = 24
"""Where a file is small for the free memory, it is not looked into: a value of a byte and its
separator takes at most this many bytes for each of its own, as it is read and encoded."""

SWELLS = 20
"""The bytes of text that a byte of a packed file becomes, at most, of an ordinary table."""


KEPT = 3
"""The bytes that the values of a packed file take in files of columns, for each of its own."""


class Pieces(Files):
    """A text file of a table, or a folder of such files, read by pieces.

    ``blocks`` and what follows work in the block of ``ready``, which reads the files once.
    """

    def __init__(self, place: Path, reading: Reading) -> None:
        self.place, self.reading = place, reading
        self.source = of_path(place)
        self._alone = place.is_file()
        self._parts = [Part(place, place.name, "csv")]
        self._others: list[str] = []
        self.name = of_path(place.name)
        if not self._alone:
            self._parts, self._others = several.found(place)
            self.name = of_path(place.resolve().name)
        self.paths = self._local = [part.path for part in self._parts]
        self.stamps = [parquet.stamp_of(path) for path in self._local]
        self.columns, self.words, self.numeric, self.notes = [], frozenset(), set(), ()
        self.part = ""

    @staticmethod
    def matches(place: Path) -> bool:
        """Whether the files of a place that ``Csv`` or ``Several`` reads are all text."""
        return place.is_file() or {part.kind for part in several.found(place)[0]} == {"csv"}

    @property
    def facts(self) -> list[object]:
        return [[part.name for part in self._parts], self.stamps]

    def fits(self, have: int) -> bool:
        """Whether the rows fit into ``have`` bytes: by the first values of the first file."""
        if NUMBERS * sum(self._sizes(SWELLS)) < have:
            return True
        try:
            held, values = weighed(self._local[0], several.without(self.reading, self._parts))
        except DataError:  # of a file that is read as text of another encoding, or not at all
            held, values = NUMBERS / 3, NUMBERS / 24
        return sum(self._sizes(1)) * (held + 2 * 8 * values) < have

    def _sizes(self, swells: int) -> list[int]:
        """The bytes of each file, ``swells`` times as many where it is packed."""
        packed = [path.name.lower().endswith((*PACKED, ".zip")) for path in self._local]
        return [
            size * (swells if each else 1)
            for (size, _), each in zip(self.stamps, packed, strict=True)
        ]

    @contextmanager
    def ready(self, folder: Path) -> Iterator[Files]:
        self._check_disk(folder)
        files.make_folders(folder)
        with files.folder_for_a_time(folder) as top:
            self._read(top)
            yield self

    def _check_disk(self, folder: Path) -> None:
        """Raise ``WorkError`` if the values would not fit on the disk."""
        need, free = sum(self._sizes(KEPT)), files.free(folder)
        if free is not None and need > free:
            raise WorkError(
                f"{self.source}: its values take about {need / 1e9:,.1f} GB in {folder} for a "
                f"time, and {free / 1e9:,.1f} GB are free there; give another disk (store=DIR)"
            )

    def _read(self, top: Path) -> None:
        """Read all files; a column that is text in one of them is text in all."""
        own = several.without(self.reading, self._parts)
        read = [
            _File.of(part.path, own, top / str(index)) for index, part in enumerate(self._parts)
        ]
        several.compare(self.place, self._parts, [each.scan.columns for each in read])
        texts = {name for each in read for name in each.holding("text")}
        mixed = {name for each in read for name in texts & each.holding("number")}
        declared = {**own.columns, **dict.fromkeys(mixed, "text")}
        for index, each in enumerate(read):
            if mixed & each.holding("number"):
                shutil.rmtree(each.folder)
                again = own.model_copy(update={"columns": declared})
                read[index] = _File.of(each.scan.path, again, each.folder)
        self._files, self._texts = read, texts
        self._told = several.told(self._parts)
        names = [*read[0].scan.columns, *self._told]
        self.columns = [name for name in names if name not in self.reading.drop]
        if not self.columns:
            raise DataError(f"{self.source}: no columns are left; expected at least one")
        self.counts = [each.scan.rows for each in read]
        self.starts = list(accumulate(self.counts, initial=0))
        notes = [each.scan.notes for each in read]
        self.notes = notes[0] if self._alone else several.noted(self._parts, notes, self._others)
        self.part = "" if self._alone else self._part()
        if self._alone:
            self.name = read[0].scan.name

    def where(self, row: int) -> str:
        file = bisect_right(self.starts, row) - 1
        line = f"line {self._files[file].scan.lines(row - self.starts[file])}"
        return line if self._alone else f"{line} of {self._parts[file].name}"

    def blocks(self, rows: int = ROWS) -> Iterator[Block]:
        """All rows, a chunk of a file at a time, in the order of the files."""
        for file, each in enumerate(self._files):
            for at, count in each.chunks():
                yield Block(file, at, count, self.starts[file] + at)

    def table(
        self, block: Block, names: Sequence[str] | None = None, texts: Collection[str] = ()
    ) -> Table:
        names = self.columns if names is None else names
        found = self._files[block.file].read(block, names, self._texts)
        for name in names:
            if name in self._told:
                found[name] = self._told[name][[block.file]].new_from_index(0, block.rows)
            elif name == self.part:
                part = part_names([self.paths[block.file].name])[0]
                found[name] = pl.Series(name, [WORDS[part or 0]] * block.rows, dtype=pl.String)

        def where(row: int) -> str:
            return self.where(block.start + row)

        columns = {name: found[name] for name in names}
        return Table(columns, self.name, line=where, notes=self.notes)


@dataclass(frozen=True)
class _File:
    """A file that was read, and the folder of its chunks."""

    scan: Scan
    folder: Path

    @classmethod
    def of(cls, path: Path, reading: Reading, folder: Path) -> _File:
        """Read the file into a new ``folder``."""
        folder.mkdir()
        return cls(scan_text(path, reading, Spill(folder)), folder)

    def holding(self, kind: str) -> set[str]:
        """The columns of this type that have values."""
        found = self.scan.columns.items()
        return {name for name, (column, each) in found if each == kind and column.filled}

    def chunks(self) -> Iterator[tuple[int, int]]:
        """The first row of each chunk, and how many it has."""
        for start, end in zip(self._starts, self._starts[1:], strict=False):
            if (count := min(end, self.scan.rows) - start) > 0:
                yield start, count

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate(self.scan.sizes, initial=0))

    def read(
        self, block: Block, names: Sequence[str], texts: Collection[str]
    ) -> dict[str, polars.Series]:
        """Those of the columns of a block that the file has; ``texts`` are text in some file."""
        chunk = bisect_right(self._starts, block.at) - 1
        together: dict[tuple[Spill, int], dict[str, int]] = {}
        for name in names:
            if name in self.scan.columns:
                held = self.scan.columns[name][0].parts
                assert isinstance(held, Spilled)
                together.setdefault((held.spill, held.begun), {})[name] = held.place
        found = {}
        for (spill, begun), places in together.items():
            parts = spill.read(begun, chunk, list(places.values()))
            for name, part in zip(places, parts, strict=True):
                column, kind = self.scan.columns[name]
                series = self.scan.judge.typed(column, kind, part, block.at)
                series = series.cast(pl.String) if name in texts else series
                found[name] = series.head(block.rows).alias(name)
        return found

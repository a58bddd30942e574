"""Where the values of a text file are while it is read: in memory, or in files of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

from linnet.core import files
from linnet.core.later import polars as pl


class Keep:
    """Keeps the columns of chunks in memory. ``sizes`` are the rows of each chunk."""

    in_memory = True

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._held: list[list[pl.Series]] = []

    def begin(self, count: int) -> list[Sequence[pl.Series]]:
        """Begin anew with ``count`` columns; returns the parts of each, which grow."""
        self.sizes, self._held = [], [[] for _ in range(count)]
        return list(self._held)

    def end(self) -> None:
        """Hold nothing any more: the parts are with who has asked for them."""
        self._held = []

    def add(self, values: Sequence[pl.Series], rows: int) -> None:
        """Keep the columns of the next chunk, which has this many rows."""
        self.sizes.append(rows)
        for held, series in zip(self._held, values, strict=True):
            held.append(series)


class Spill(Keep):
    """Keeps each chunk as a Parquet file in ``folder``; a column that begins anew stays what it
    was."""

    in_memory = False

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self._begun = folder, -1

    def begin(self, count: int) -> list[Sequence[pl.Series]]:
        self.sizes, self._begun = [], self._begun + 1
        return [Spilled(self, self._begun, index, self.sizes) for index in range(count)]

    def add(self, values: Sequence[pl.Series], rows: int) -> None:
        frame = pl.DataFrame([each.alias(str(index)) for index, each in enumerate(values)])
        if values:
            with files.fresh(self._path(self._begun, len(self.sizes))) as file:
                frame.write_parquet(file, compression="lz4", statistics=False)
        self.sizes.append(rows)

    def read(self, begun: int, chunk: int, indices: Sequence[int]) -> list[pl.Series]:
        """Some columns of a chunk, of those that began together."""
        names = list(map(str, indices))
        frame = pl.read_parquet(self._path(begun, chunk), columns=names, use_statistics=False)
        return [frame[name] for name in names]

    def _path(self, begun: int, chunk: int) -> Path:
        return self.folder / f"{begun}-{chunk}.parquet"


class Spilled(Sequence[pl.Series]):
    """The parts of a column in files, each read when it is asked for."""

    def __init__(self, spill: Spill, begun: int, place: int, sizes: list[int]) -> None:
        self.spill, self.begun, self.place, self._sizes = spill, begun, place, sizes

    def __len__(self) -> int:
        return len(self._sizes)

    @overload
    def __getitem__(self, chunk: int) -> pl.Series: ...
    @overload
    def __getitem__(self, chunk: slice) -> list[pl.Series]: ...
    def __getitem__(self, chunk: int | slice) -> pl.Series | list[pl.Series]:
        if isinstance(chunk, slice):
            return [self[each] for each in range(*chunk.indices(len(self)))]
        if not -len(self) <= chunk < len(self):
            raise IndexError(chunk)
        return self.spill.read(self.begun, chunk % len(self), [self.place])[0]

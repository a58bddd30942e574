"""Parquet by blocks of rows, for data that does not fit into memory.

polars slices a file: what is in memory is one block of the columns in use, whatever the row groups
(measured: 0.44 GB for any number of files of 0.2 GB, of which 0.25 GB are PyTorch).
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from linnet.core.later import polars as pl
from linnet.core.text import of_path
from linnet.data.named import WORDS, part_names
from linnet.data.parquet import parquet
from linnet.data.parquet.footer import Footer, check_pages
from linnet.data.reading import Again, Reading
from linnet.data.table import Table
from linnet.errors import DataError

if TYPE_CHECKING:
    import polars

ROWS = 1 << 16
"""The rows of a block."""


TOGETHER = 1 << 22
"""The numbers that are read at once where few columns are read whole."""


class Block(NamedTuple):
    """``rows`` rows of the file with the number ``file``, from its row ``at`` on; ``start`` is the
    number of its first row among those of all files."""

    file: int
    at: int
    rows: int
    start: int


class Files:
    """A Parquet file, or a folder of such files, that is read by blocks.

    What is read, and what is refused, is as for ``Parquet``; but the whole is never in memory. The
    pages of a file are checked when its first block is read, and its stamp before and after each
    block. ``table`` gives some columns as a source gives them, in the form that ``Table`` requires.
    Whole numbers beyond 2**53 become text in all rows if there is one: name such columns in
    ``texts``.
    """

    words: frozenset[str]
    numeric: set[str]
    paths: Sequence[PurePath]
    notes: tuple[str, ...]

    def __init__(self, place: Path, reading: Reading) -> None:
        paths, looks, _, kept, index = parquet.opened(place, reading)
        self.name, self.source = of_path(place.name), of_path(place)
        self.reading = reading
        self.paths, self._local = paths, paths
        self.footers: list[Footer] = [footer for footer, _ in looks]
        self.counts = [footer.rows for footer in self.footers]
        self.stamps = [stamp for _, stamp in looks]
        self.columns = [column.name for column in kept]
        self.starts = list(accumulate(self.counts, initial=0))
        self.notes = (f"the index of pandas was left out: {', '.join(index)}",) if index else ()
        self.part = self._part()
        self._checked: set[int] = set()
        if not self.columns:
            raise DataError(f"{self.source}: no columns are left; expected at least one")
        if not len(self):
            raise DataError(f"{self.source}: no rows; expected at least one")
        self._same_types()

    def __len__(self) -> int:
        """The rows of all files."""
        return self.starts[-1]

    @property
    def facts(self) -> list[Any]:
        """What tells these files from others: names, sizes, times of change, and columns."""
        return [[path.name for path in self.paths], self.stamps, self.columns]

    def fits(self, have: int) -> bool:
        """Whether the rows fit into ``have`` bytes, as they are read and encoded."""
        return self.size + 2 * 8 * len(self) * len(self.columns) < have

    @contextmanager
    def ready(self, folder: Path) -> Iterator[Files]:
        """A block in which the rows can be read by blocks; what that needs of a disk is in
        ``folder``."""
        yield self

    @property
    def size(self) -> int:
        """About how many bytes all columns take in memory."""
        return sum(
            max(chunk.unpacked, 8 * chunk.values)
            for footer in self.footers
            for chunk in footer.chunks
            if footer.columns[chunk.column].name in self.columns
        )

    def where(self, row: int) -> str:
        """A row of all files in words."""
        if len(self.paths) == 1:
            return f"row {row}"
        file = bisect_right(self.starts, row) - 1
        return f"row {row - self.starts[file]} of {of_path(self.paths[file].name)}"

    def blocks(self, rows: int = ROWS) -> Iterator[Block]:
        """All rows, at most ``rows`` of one file at a time, in the order of the files."""
        for file, count in enumerate(self.counts):
            for at in range(0, count, rows):
                yield Block(file, at, min(rows, count - at), self.starts[file] + at)

    def frame(self, block: Block, names: Sequence[str]) -> polars.DataFrame:
        """Some columns of a block, as polars reads them."""
        path = self._place(block.file)
        self._stamped(block.file)
        self._check(block.file)
        scan = pl.scan_parquet(path, use_statistics=False, hive_partitioning=False, glob=False)
        source = of_path(self.paths[block.file])
        frame = parquet.careful(
            lambda: scan.select(list(names)).slice(block.at, block.rows).collect(), source
        )
        self._stamped(block.file)
        if frame.columns != list(names) or len(frame) != block.rows:
            raise DataError(
                f"{source}: polars reads {len(frame):,} rows of the {block.rows:,} from row "
                f"{block.at:,} of {self.counts[block.file]:,}; fetch or copy it again"
            )
        return frame

    def table(
        self, block: Block, names: Sequence[str] | None = None, texts: Collection[str] = ()
    ) -> Table:
        """Some columns, or all, of a block as a source gives them."""
        from linnet.data.text.columns import to_column

        names = list(self.columns if names is None else names)
        stored = [name for name in names if name != self.part]

        def where(row: int) -> str:
            return self.where(block.start + row)

        found: dict[str, polars.Series] = {}
        for values in self.frame(block, stored).iter_columns() if stored else ():
            series = values.cast(pl.String) if values.name in texts else values
            found[values.name] = to_column(series, self.source, self.reading, where)
        if self.part in names:
            word = part_names([self.paths[block.file].name])[0]
            found[self.part] = pl.Series(
                self.part, [WORDS[word or 0]] * block.rows, dtype=pl.String
            )
        columns = {name: found[name] for name in names}
        return Table(columns, self.name, line=where, notes=self.notes, words=self.words)

    def whole(self, names: Sequence[str], texts: Collection[str] = ()) -> dict[str, polars.Series]:
        """All rows of some columns, which must fit into memory."""
        parts: dict[str, list[polars.Series]] = {name: [] for name in names}
        for block in self.blocks(max(ROWS, TOGETHER // max(1, len(names)))):
            for name, series in self.table(block, names, texts).columns.items():
                parts[name].append(series)
        return {name: pl.concat(parts.pop(name), rechunk=True) for name in names}

    def _part(self) -> str:
        """The column that says the part of each row, if the names of the files do; else ""."""
        reading, parts = self.reading, part_names([path.name for path in self.paths])
        asked = reading.split or reading.group or reading.time
        if asked or isinstance(reading, Again) or None in parts or not {0, 2} <= set(parts):
            return ""
        column = "part"
        while column in self.columns:
            column += "_"
        self.columns.append(column)
        return column

    def _same_types(self) -> None:
        """Raise if polars finds other types in the files, such as other time zones; find out which
        columns are numbers, and which are text that the source says are categories."""
        stored = [name for name in self.columns if name != self.part]
        frames = [parquet.careful(_schema(path, stored), of_path(path)) for path in self._local]
        self._typed(frames)

    def _typed(self, frames: list[polars.DataFrame]) -> None:
        parquet.compare_types(frames, self.paths)
        self.numeric = {name for name, kind in frames[0].schema.items() if kind.is_numeric()}
        kinds = (pl.Categorical, pl.Enum)
        self.words = frozenset()
        if len(frames) == 1:  # those of several files are text, as each may have other categories
            types = frames[0].schema.items()
            self.words = frozenset(name for name, kind in types if isinstance(kind, kinds))

    def _place(self, file: int) -> str:
        """The file as polars opens it."""
        return str(self.paths[file])

    def _check(self, file: int) -> None:
        """Check the pages of a file, without reading it into memory."""
        if file in self._checked:
            return
        path = self._local[file]
        with open(path, "rb") as opened:
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        check_pages(memoryview(mapped), self.footers[file], set(self.columns), of_path(path))
        self._checked.add(file)

    def _stamped(self, file: int) -> None:
        path = self._local[file]
        if parquet.stamp_of(path) != self.stamps[file]:
            raise parquet.changed(path)


FAR = ("s3://", "gs://")
"""How the addresses of object stores begin."""

PLACE = "__linnet_object__"
"""The column in which polars gives the object of each row."""


def is_far(place: object) -> bool:
    """Whether ``place`` is the address of objects in an object store."""
    return isinstance(place, str) and place.startswith(FAR)


class Far(Files):
    """Parquet objects of an object store: one, or all directly below an address.

    polars reads them, with the access that the environment gives (``AWS_ACCESS_KEY_ID``,
    ``AWS_ENDPOINT_URL``, ``GOOGLE_SERVICE_ACCOUNT`` and so on). Pages are not looked over before
    polars decodes them, and there are no stamps: what is checked is that each block has its rows.
    """

    def __init__(self, place: str, reading: Reading) -> None:
        from linnet.data.text.columns import check_names

        single = place.lower().endswith(parquet.ENDINGS)
        self.source, self.reading = place, reading
        self.name = place.rstrip("/").rpartition("/")[2]
        glob = place if single else f"{place.rstrip('/')}/*.parquet"
        every = parquet.careful(
            lambda: pl.scan_parquet(glob, hive_partitioning=False, include_file_paths=PLACE)
            .group_by(PLACE).agg(pl.len()).sort(PLACE).collect(), place
        )  # fmt: skip
        self.objects = every[PLACE].to_list()
        self.paths = [PurePosixPath(each) for each in self.objects]
        counts = every["len"].to_list()
        self.stamps = [(rows, 0) for rows in counts]
        self.counts = counts
        self.starts = list(accumulate(counts, initial=0))
        self.notes, self.part = (), ""
        types = [parquet.careful(_schema(each, None), each) for each in self.objects]
        if not types or not len(self):
            raise DataError(f"{place}: no rows; expected at least one")
        names = types[0].columns
        check_names(names, place, reading)
        for path, frame in zip(self.paths, types, strict=True):
            if set(frame.columns) != set(names):
                raise DataError(
                    f"{path}: other columns than in {self.paths[0].name}; expected the same in "
                    "every object"
                )
        self.columns = [name for name in names if name not in reading.drop]
        self._typed([frame.select(self.columns) for frame in types])

    @property
    def size(self) -> int:
        return 8 * len(self) * len(self.columns)

    def _place(self, file: int) -> str:
        return str(self.objects[file])

    def _stamped(self, file: int) -> None:
        """There is nothing to compare."""

    def _check(self, file: int) -> None:
        """The pages are far away."""


def _schema(path: Path | str, names: list[str] | None) -> Callable[[], polars.DataFrame]:
    """What reads no row of a file, only the types of its columns: those named, or all."""
    scan = pl.scan_parquet(path, hive_partitioning=False, glob=False).head(0)
    return lambda: (scan if names is None else scan.select(names)).collect()

"""Parquet: one file, or a folder of files with the same columns."""

from __future__ import annotations

import io
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from linnet.core import memory
from linnet.core.text import of_path
from linnet.data.named import divided
from linnet.data.parquet.footer import MAGIC, Footer, Leaf, check_pages, locate, parse
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.errors import DataError

if TYPE_CHECKING:
    import polars

ENDINGS = (".parquet", ".pq")

MAX_RATIO = 10_000
"""A file is refused if it needs more than this many times its size in memory, and more than
``RATIO_FROM`` bytes: no real data are that repetitive."""

RATIO_FROM = 1_000_000_000

INDEX = re.compile(r"__index_level_\d+__")
"""The column name that pandas gives an index without a name."""


class Parquet:
    """A Parquet file, recognised by its ending or its first bytes, or a folder of such files.

    The files of a folder are ordered by the bytes of their names and must have the same columns.
    Hidden files, files whose names begin with ``_``, and sub-folders are skipped. If the names of
    all files tell a part (``train.parquet``, ``test.parquet``), the rows are split so. linnet
    checks a file before polars reads it: the footer, the positions and sizes of all pages, and
    their checksums if it has them. Only the columns in use are unpacked; the whole packed file is
    in memory together with them. A pandas index without a name is left out.
    """

    def matches(self, place: object) -> bool:
        """Whether ``place`` is such a file or folder."""
        if not isinstance(place, Path):
            return False
        try:
            if place.is_dir():
                return bool(_files(place))
            if not place.is_file():
                return False
            if place.name.lower().endswith(ENDINGS):
                return True
            with open(place, "rb") as file:
                return file.read(4) == MAGIC
        except OSError:
            return False

    def read(self, place: Path, reading: Reading) -> Table:
        """The columns of all files, concatenated; ``DataError`` names file and column."""
        from linnet.data.text.columns import to_table  # polars is slow to load

        source = of_path(place)
        paths, looks, names, kept, index = opened(place, reading)
        _weigh(paths, looks, {column.name for column in kept}, source)
        frames = [
            _read(path, footer, stamp, [column.name for column in kept])
            for path, (footer, stamp) in zip(paths, looks, strict=True)
        ]
        compare_types(frames, paths)
        starts = list(accumulate((len(frame) for frame in frames), initial=0))

        def where(row: int) -> str:
            file = bisect_right(starts, row) - 1
            return f"row {row - starts[file]} of {of_path(paths[file].name)}"

        notes: tuple[str, ...] = ()
        if index:
            notes = (f"the index of pandas was left out: {', '.join(index)}",)
        sizes = [len(frame) for frame in frames]
        table = to_table(
            _columns(frames),
            of_path(place.name),
            reading,
            names=names,
            source=source,
            where=where if len(paths) > 1 else None,
            notes=notes,
        )
        return divided(table, [path.name for path in paths], sizes, reading)


class Opened(NamedTuple):
    """Files whose footers are checked: their paths, their footers and stamps, the names of all
    columns, those to be read, and those that are left out as an index of pandas."""

    paths: list[Path]
    looks: list[tuple[Footer, Stamp]]
    names: list[str]
    kept: list[Leaf]
    aside: list[str]


def opened(place: Path, reading: Reading) -> Opened:
    """Look at a file, or at all files of a folder; raises ``DataError`` if they do not go together,
    or hold what a table cannot hold."""
    from linnet.data.text.columns import check_names  # polars is slow to load

    source = of_path(place)
    try:
        paths = _files(place) if place.is_dir() else [place]
        looks = [_look(path) for path in paths]
    except OSError as error:
        raise DataError(f"{source}: cannot read: {error.strerror or error}") from error
    if not paths:
        raise DataError(f"{source}: a folder without a Parquet file; expected at least one")
    for path, (footer, _) in zip(paths, looks, strict=True):
        _compare(looks[0][0], paths[0], footer, path)
    columns = looks[0][0].columns
    names = [column.name for column in columns]
    check_names(names, source, reading)
    kept = [column for column in columns if column.name not in reading.drop]
    index = [
        column.name
        for column in kept
        if INDEX.fullmatch(column.name) and column.name not in reading.columns
    ]
    kept = [column for column in kept if column.name not in index]
    _refuse_nested(kept, source)
    return Opened(paths, looks, names, kept, index)


Stamp = tuple[int, int]
"""The size in bytes, and the time of the last change in nanoseconds."""


def _files(folder: Path) -> list[Path]:
    """The Parquet files directly in a folder, ordered by the bytes of their names."""
    with os.scandir(folder) as entries:
        found = [
            entry.name
            for entry in entries
            if entry.name.lower().endswith(ENDINGS)
            and not entry.name.startswith((".", "_"))
            and entry.is_file()
        ]
    return [folder / name for name in sorted(found, key=os.fsencode)]


def _look(path: Path) -> tuple[Footer, Stamp]:
    """The footer of the file, without reading its pages."""
    with open(path, "rb") as file:
        stamp = _stamp(file)
        size = stamp[0]
        head = file.read(4)
        file.seek(max(0, size - 8))
        length = locate(head, file.read(8), size, of_path(path))
        file.seek(size - 8 - length)
        content = file.read(length)
    if len(content) != length:
        raise changed(path)
    return parse(content, size - 8 - length, of_path(path)), stamp


def _read(path: Path, footer: Footer, stamp: Stamp, names: list[str]) -> polars.DataFrame:
    """The columns ``names``; polars reads the same bytes that were checked."""
    source = of_path(path)
    content = read_whole(path, stamp)
    size = len(content)
    length = locate(content[:4], content[-8:], size, source)
    if parse(content[size - 8 - length : size - 8], size - 8 - length, source) != footer:
        raise changed(path)
    frame = _decode(content, footer, names, source)
    if frame.columns != names or len(frame) != footer.rows:
        raise DataError(
            f"{source}: polars reads {len(frame):,} rows and {frame.width:,} columns of "
            f"{footer.rows:,} and {len(names):,}; fetch or copy it again"
        )
    return frame


def read_whole(path: Path, stamp: Stamp | None = None) -> bytes:
    """The bytes of a file; raises DataError if it changed meanwhile, or since ``stamp``."""
    try:
        with open(path, "rb") as file:
            before = _stamp(file)
            content = file.read()
            after = _stamp(file)
    except OSError as error:
        raise DataError(f"{of_path(path)}: cannot read: {error.strerror or error}") from error
    if not before == after == (stamp or before) or len(content) != before[0]:
        raise changed(path)
    return content


def read_content(content: bytes, source: str) -> polars.DataFrame:
    """Check a Parquet file in memory, then read all its columns, also nested ones."""
    length = locate(content[:4], content[-8:], len(content), source)
    begin = len(content) - 8 - length
    footer = parse(content[begin:-8], begin, source)
    need = sum(max(chunk.unpacked, 8 * chunk.values) for chunk in footer.chunks)
    if need > RATIO_FROM and need > MAX_RATIO * len(content):
        raise _too_dense(source, need, len(content))
    memory.require(need, source)
    return _decode(content, footer, [column.name for column in footer.columns], source)


def _decode(content: bytes, footer: Footer, names: list[str], source: str) -> polars.DataFrame:
    """The columns ``names``, after a check of the headers of all their pages."""
    import polars

    memory.require(check_pages(memoryview(content), footer, names, source), source)

    def decode() -> polars.DataFrame:
        return polars.read_parquet(
            io.BytesIO(content),
            columns=names,
            use_statistics=False,
            hive_partitioning=False,
            glob=False,
        )

    return careful(decode, source)


def careful(decode: Callable[[], polars.DataFrame], source: str) -> polars.DataFrame:
    """What a decoder of polars makes of checked bytes; its errors and panics as DataError."""
    import polars

    try:
        with _quiet():
            return decode()
    except MemoryError:
        raise
    except (Exception, polars.exceptions.PanicException) as error:  # its decoders raise many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{source}: polars cannot read it: {reason}; fetch or copy it again"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what polars prints on standard error about its own panics; they become errors."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        os.close(nothing)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _too_dense(source: str, need: int, size: int) -> DataError:
    return DataError(
        f"{source}: declares {need:,} bytes of values in a file of {size:,}; at most "
        f"{MAX_RATIO:,} times its size (MAX_RATIO): fetch it again from one you trust"
    )


def _columns(frames: list[polars.DataFrame]) -> Iterator[tuple[str, polars.Series]]:
    """Each column of all frames; it is removed from them, so that memory holds it once."""
    import polars

    for name in list(frames[0].columns):
        parts = [frame.drop_in_place(name) for frame in frames]
        if len(parts) > 1 and isinstance(parts[0].dtype, (polars.Categorical, polars.Enum)):
            parts = [part.cast(polars.String) for part in parts]
        yield name, parts[0] if len(parts) == 1 else polars.concat(parts, rechunk=True)


def _compare(first: Footer, path: Path, other: Footer, here: Path) -> None:
    """Raise if a file has other columns than the first; their order does not matter."""
    mine = {column.name: column for column in first.columns}
    theirs = {column.name: column for column in other.columns}
    for name in (*mine, *theirs):
        a, b = mine.get(name), theirs.get(name)
        if a != b:
            raise _different(path, _kind(a), here, _kind(b), name)


def compare_types(frames: list[polars.DataFrame], paths: Sequence[PurePath]) -> None:
    """Raise if polars finds different types in the files, such as other time zones."""
    import polars

    for path, frame in zip(paths, frames, strict=True):
        for name, one in frames[0].schema.items():
            other = frame.schema[name]
            texts = isinstance(one, (polars.String, polars.Categorical, polars.Enum))
            if one != other and not (
                texts and isinstance(other, (polars.String, polars.Categorical, polars.Enum))
            ):
                raise _different(paths[0], str(one), path, str(other), name)


def _different(path: PurePath, kind: str, other: PurePath, found: str, name: str) -> DataError:
    return DataError(
        f'{of_path(other)}: column "{name}" is {found}, and in {of_path(path.name)} it is {kind}; '
        "expected the same columns in every file of a folder"
    )


def _kind(column: Leaf | None) -> str:
    return "not there" if column is None else column.nested or column.kind


def _refuse_nested(columns: list[Leaf], source: str) -> None:
    for column in columns:
        if column.nested:
            raise DataError(
                f'{source}: column "{column.name}" is nested ({column.nested}); expected one value '
                f"a row: take it apart into columns, or leave it out (drop={column.name})"
            )


def _weigh(
    paths: list[Path], looks: list[tuple[Footer, Stamp]], names: set[str], source: str
) -> None:
    """Raise, before any page is read, if the values would not fit, or are far too many for the
    size of the file."""
    total = 0
    for path, (footer, (size, _)) in zip(paths, looks, strict=True):
        need = sum(
            max(chunk.unpacked, 8 * chunk.values)
            for chunk in footer.chunks
            if footer.columns[chunk.column].name in names
        )
        if need > RATIO_FROM and need > MAX_RATIO * size:
            raise _too_dense(of_path(path), need, size)
        total += need
    memory.require(total + max(size for _, (size, _) in looks), source)


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file; raises DataError if it cannot be read."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise DataError(f"{of_path(path)}: cannot read: {error.strerror or error}") from error
    return status.st_size, status.st_mtime_ns


def _stamp(file: BinaryIO) -> Stamp:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def changed(path: Path) -> DataError:
    """The error for a file that changed while it was read."""
    return DataError(f"{of_path(path)}: changed while it was read; read it again")

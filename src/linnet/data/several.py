"""A folder of files that are one table together: the same columns in each, also partitioned as Hive
does it (``year=2024/month=1/part.csv``)."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.core.text import counted, listed, of_path
from linnet.data.named import divided
from linnet.data.parquet.parquet import ENDINGS as PARQUET
from linnet.data.parquet.parquet import Parquet
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.data.text.csv import ENDINGS as TEXT
from linnet.data.text.csv import Csv
from linnet.data.text.jsonl import ENDINGS as JSON
from linnet.data.text.jsonl import JsonLines
from linnet.data.text.packed import ENDINGS as PACKED
from linnet.errors import DataError

if TYPE_CHECKING:
    import polars

KEY = re.compile(r"([^=]+)=(.*)")
"""The name of a folder of Hive: a column, and its value in all rows within."""

NOTHING = "__HIVE_DEFAULT_PARTITION__"
"""What Hive writes for a missing value."""

MAX_FILES, MAX_DEPTH = 10_000, 16
"""A folder with more files, or folders that are nested deeper, is refused."""

SOURCES: dict[str, Any] = {"csv": Csv, "jsonl": JsonLines, "parquet": Parquet}

DOUBTFUL = (".txt", ".json")
"""Files with these endings are tables only if a folder holds no other ones."""


@dataclass(frozen=True)
class Part:
    """One file, its name within the folder, its kind, and the values that its folders tell."""

    path: Path
    name: str
    kind: str
    keys: tuple[tuple[str, str | None], ...] = ()


class Several:
    """A folder of text files, of JSON lines, or of Parquet files in folders named ``column=value``.

    Its files are read in the order of their names. A single folder around it is opened. Other
    folders, and pictures, must not be in it.
    Links to folders are not followed. Hidden files, and those whose names begin with ``_``, are
    passed over; others are named in a note. If the names of all files tell a part (``train.csv``,
    ``test.csv``), the rows are split so. A column that is text in one file is text in all.
    """

    def matches(self, place: object) -> bool:
        if not isinstance(place, Path) or not place.is_dir():
            return False
        try:
            return bool(_found(place)[0])
        except OSError:
            return False

    def read(self, place: Path, reading: Reading) -> Table:
        parts, others = found(place)
        own = without(reading, parts)
        tables = [SOURCES[part.kind]().read(part.path, own) for part in parts]
        compare(place, parts, [table.columns for table in tables])
        tables = _of_one_type(place, parts, tables, own)
        sizes = [len(table) for table in tables]
        whole = _joined(place, parts, tables, others)
        kept = {name: whole.columns[name] for name in whole.columns if name not in reading.drop}
        files = [part.path.name for part in parts]
        return divided(replace(whole, columns=kept), files, sizes, reading)


def found(place: Path) -> tuple[list[Part], list[str]]:
    """The files of tables in a folder that are read together, all of one kind, and the names of
    others; raises ``DataError`` if they do not go together."""
    try:
        parts, others = _found(place)
    except OSError as error:
        raise DataError(f"{place}: cannot read: {error.strerror or error}") from error
    if len(parts) > MAX_FILES:
        raise DataError(f"{place}: more than {MAX_FILES:,} files (MAX_FILES); join some")
    kinds = {part.kind: part.name for part in reversed(parts)}  # the first of each
    if len(kinds) > 1:
        names = listed(sorted(kinds.values()), 3)
        raise DataError(
            f"{place}: holds files of several kinds: {names}; expected one kind in a folder: "
            "give one file, or move the others elsewhere"
        )
    return parts, others


def _found(folder: Path) -> tuple[list[Part], list[str]]:
    """The files of tables in a folder, and the names of others; none if it is no such folder.

    A folder around it, with nothing else in it, is opened.
    """
    folder = _opened(folder)
    parts: list[Part] = []
    others: list[str] = []
    for part, name in _walk(folder, ()):
        if part is None and name is None:
            return [], []
        if part is not None:
            parts.append(part)
        else:
            others.append(str(name))
        if len(parts) > MAX_FILES:
            break
    sure = [part for part in parts if not _inner(part.path.name).endswith(DOUBTFUL)]
    if sure:
        others += [part.name for part in parts if part not in sure]
        parts = sure
    if all(part.kind == "parquet" and not part.keys for part in parts):
        return [], []  # a folder of Parquet files is read by its own source
    return parts, others


def _opened(folder: Path) -> Path:
    """The first folder within that holds more than one other folder."""
    for _ in range(MAX_DEPTH):
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not entry.name.startswith((".", "_"))]
        alone = found[0] if len(found) == 1 else None
        if alone is None or not alone.is_dir(follow_symlinks=False) or KEY.fullmatch(alone.name):
            break
        folder = folder / alone.name
    return folder


def _walk(
    folder: Path, keys: tuple[tuple[str, str | None], ...], above: str = ""
) -> Iterator[tuple[Part | None, str | None]]:
    """Each file: as a part, or the name of another one; (None, None) if it is no such folder."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        if entry.name.startswith((".", "_")):
            continue
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            match = KEY.fullmatch(entry.name)
            if match is None or len(keys) == MAX_DEPTH:
                yield None, None
                return
            value = None if match[2] == NOTHING else unquote(match[2])
            inner = f"{above}{entry.name}/"
            yield from _walk(path, (*keys, (unquote(match[1]), value)), inner)
        else:
            kind = _kind(entry.name) if entry.is_file() else None  # a pipe would never end
            if kind == "picture":
                yield None, None
                return
            if kind is None:
                yield None, above + entry.name
            else:
                yield Part(path, of_path(above + entry.name), kind, keys), None


def unquote(text: str) -> str:
    """Text with the bytes that are written ``%20`` and so on."""
    parts = re.split("%([0-9A-Fa-f]{2})", text)
    content = b"".join(
        bytes.fromhex(part) if index % 2 else part.encode(errors="replace")
        for index, part in enumerate(parts)
    )
    return content.decode(errors="replace")


def _inner(name: str) -> str:
    """The name without the ending of a packed file, in small letters."""
    lower = name.lower()
    for ending in PACKED:
        lower = lower.removesuffix(ending)
    return lower


def _kind(name: str) -> str | None:
    """What a file is by its name."""
    from linnet.data.pictures.picture import ENDINGS as PICTURES

    inner = _inner(name)
    if inner.endswith(TEXT):
        return "csv"
    if inner.endswith(JSON):
        return "jsonl"
    if name.lower().endswith(PARQUET):
        return "parquet"
    return "picture" if name.lower().endswith(tuple(PICTURES)) else None


def without(reading: Reading, parts: Sequence[Part]) -> Reading:
    """The settings for each file: without those that are about the columns of its folders."""
    keys = [key for key, _ in parts[0].keys]
    return reading.model_copy(
        update={
            "drop": tuple(name for name in reading.drop if name not in keys),
            "columns": {k: v for k, v in reading.columns.items() if k not in keys},
        }
    )


def compare(place: Path, parts: Sequence[Part], columns: Sequence[Collection[str]]) -> None:
    """Raise if a file has other columns than the first, or other folders."""
    one, first = parts[0], columns[0]
    end = "expected the same columns in every file of a folder: give one file, or correct it"
    there = f"{of_path(place)}: {one.name}"
    for part, names in zip(parts, columns, strict=True):
        here = f"{of_path(place)}: {part.name}"
        for name in (*first, *names):
            if (name in first) != (name in names):
                lacks, has = (here, one) if name in first else (there, part)
                raise DataError(f'{lacks} has no column "{name}", which {has.name} has; {end}')
        if [key for key, _ in part.keys] != [key for key, _ in one.keys]:
            raise DataError(
                f"{here}: its folders name other columns than those of {one.name}; {end}"
            )
        for key, _ in part.keys:
            if key in names:
                raise DataError(
                    f'{here}: "{key}" is a column of the file, and its folder names it too; '
                    "rename one"
                )


def _of_one_type(
    place: Path, parts: Sequence[Part], tables: list[Table], reading: Reading
) -> list[Table]:
    """The tables, with columns that are numbers in some text files, and text in others, as text."""
    import polars

    types = {
        name: {
            table.columns[name].dtype
            for table in tables
            if table.columns[name].null_count() < len(table)
        }
        for name in tables[0].columns
    }
    mixed = {name for name, found in types.items() if len(found) > 1}
    texts = dict.fromkeys(mixed, "text")
    read = []
    for part, table in zip(parts, tables, strict=True):
        again = [n for n in mixed if table.columns[n].dtype != polars.String]
        if again and part.kind != "csv":
            kind = table.columns[again[0]].dtype
            other = next(one for one in types[again[0]] if one != kind)
            raise DataError(
                f'{of_path(place)}: {part.name}: column "{again[0]}" is {kind}, and in another '
                f"file {other}; expected one type in all"
            )
        if again:
            columns = {**reading.columns, **texts}
            table = Csv().read(part.path, reading.model_copy(update={"columns": columns}))
        read.append(table)
    return read


def _joined(
    place: Path, parts: Sequence[Part], tables: Sequence[Table], others: Sequence[str]
) -> Table:
    """The rows of all tables, with the columns that folders tell."""
    import polars

    sizes = [len(table) for table in tables]
    starts = list(accumulate(sizes, initial=0))
    columns: dict[str, polars.Series] = {}
    for name in list(tables[0].columns):
        series = [table.columns.pop(name) for table in tables]
        kinds = [each.dtype for each in series if each.null_count() < len(each)]
        kind = kinds[0] if kinds else series[0].dtype
        columns[name] = polars.concat([each.cast(kind) for each in series], rechunk=True)
    for name, values in told(parts).items():
        each = [values[[file]].new_from_index(0, size) for file, size in enumerate(sizes)]
        columns[name] = polars.concat(each, rechunk=True)

    def line(row: int) -> str:
        file = bisect_right(starts, row) - 1
        return f"{tables[file].where(row - starts[file])} of {parts[file].name}"

    words = frozenset().union(*(table.words for table in tables))
    notes = noted(parts, [table.notes for table in tables], others)
    return Table(columns, of_path(place.resolve().name), line, notes, words=words)


def told(parts: Sequence[Part]) -> dict[str, polars.Series]:
    """The columns that folders tell, with one value for each file."""
    import polars

    return {
        name: _typed(polars.Series(name, [part.keys[index][1] for part in parts], polars.String))
        for index, (name, _) in enumerate(parts[0].keys)
    }


def noted(
    parts: Sequence[Part], notes: Sequence[Sequence[str]], others: Sequence[str]
) -> tuple[str, ...]:
    """What is to be said of all files, from the notes on each; ``others`` are passed over."""
    told: dict[str, list[str]] = {}
    for part, each in zip(parts, notes, strict=True):
        for note in each:
            told.setdefault(note, []).append(part.name)
    found = [note for note, names in told.items() if len(names) == len(parts)]
    found += [
        f"{listed(names, 3)}: {note}" for note, names in told.items() if len(names) < len(parts)
    ]
    whole = (
        f"{counted(len(parts), 'file')} as one table: {listed([part.name for part in parts], 5)}"
    )
    if others:
        whole += f"; passed over: {listed(others, 5)}"
    return (whole, *found)


def _typed(values: polars.Series) -> polars.Series:
    """The values of a folder's column: numbers if all are, and none has leading zeros."""
    import polars

    from linnet.data.written import CODE, NUMBER

    present = values.drop_nulls().unique()
    plain = present.str.contains(NUMBER) & ~present.str.contains(CODE)
    return values.cast(polars.Float64) if len(present) and plain.all() else values

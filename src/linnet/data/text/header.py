"""The layout of a text file, from its first records: the separator and the column names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linnet.core.registry import suggest
from linnet.core.text import counted
from linnet.data.reading import Reading
from linnet.data.table import Warned
from linnet.data.text.lines import (
    LINE,
    RETURN,
    Fault,
    line_ends,
    outside,
    quotes_in,
    record_ends,
    shown,
    split,
    trimmed,
)
from linnet.errors import DataError

MAX_COLUMNS = 100_000
"""A file whose first record has more fields is refused."""

SEPARATORS = ",;\t|"
"""The possible separators, ..."""

SOUGHT_RECORDS, SOUGHT_BYTES = 100, 1 << 20
"""... decided from at most this many of the first records, and bytes."""

NUMERAL = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?")

INDEX = "Unnamed: 0"
"""The name for a first column without a name: pandas calls it so."""

HEADLESS = "if the first line holds values, not names: --no-header"


@dataclass(frozen=True)
class Layout:
    """The separator of a file and the columns in use.

    The column names take the first ``head`` bytes and ``lines`` lines.
    """

    separator: int | None
    names: tuple[str, ...]
    use: tuple[int, ...]
    head: int
    lines: int
    notes: tuple[str, ...]


def find_layout(data: bytes, path: Path, reading: Reading) -> Layout:
    """The layout of a file whose first records are ``data``; raises ``Fault`` for wrong ones."""
    head = len(data) - len(data.lstrip())
    head = max(data.rfind(b"\n", 0, head), data.rfind(b"\r", 0, head)) + 1  # blank lines
    if head == len(data):
        raise DataError(f"{path}: holds nothing but spaces; expected a table with one row per line")
    if head and reading.on_bad != "skip":
        raise Fault(
            0,
            f" is blank; expected {'the names of the columns' if reading.header else 'a row'}; "
            "remove it, or leave such lines out (--set on_bad=skip)",
        )
    notes: tuple[str, ...] = ()
    if head:
        blank = line_ends(data, head)
        notes = (f"left out: {counted(blank, 'blank line')} at the beginning",)
    separator = _given(reading.separator) if reading.separator != "auto" else None
    if reading.separator == "auto":
        separator = _sought(data[head:], path)
    first, size = _cells(data[head:], separator, line_ends(data, head))
    if len(first) > MAX_COLUMNS:
        raise DataError(
            f"{path}: line {1 + line_ends(data, head)} has {len(first):,} fields; at most "
            f"{MAX_COLUMNS:,} (MAX_COLUMNS) columns are read"
        )
    names, index = tuple(f"c{number}" for number in range(len(first))), False
    if reading.header:
        names, index, noted = _named(first, f"{path}: line {1 + line_ends(data, head)}")
        notes += noted
        head += size
    if len(names) == 1 and reading.separator == "auto":
        notes += (
            "one column: no comma, semicolon, tab or bar separates values; --set separator=... "
            "names another separator",
        )
    for name in reading.drop:
        if name not in names:
            hint = suggest(name, names)
            raise DataError(
                f'{path}: there is no column "{shown(name)}", named in drop; '
                f"{hint if len(hint) <= 400 else hint[:400] + '...'}"
            )
    use = tuple(i for i, name in enumerate(names) if name not in reading.drop and (i or not index))
    if not use:
        raise DataError(f"{path}: drop names every column; leave some")
    return Layout(separator, names, use, head, line_ends(data, head), notes)


def _given(separator: str) -> int:
    if not separator.isascii() or separator in '"\r\n\0':
        raise DataError(
            f'separator="{shown(separator)}" cannot separate values; expected one ASCII character '
            "that is neither a quote nor a line end"
        )
    return ord(separator)


def _sought(data: bytes, path: Path) -> int | None:
    """The separator that cuts the first records into equal numbers of fields."""
    sample = data[:SOUGHT_BYTES]
    stops = record_ends(sample)
    if not len(stops):
        sample = data
        stops = record_ends(sample)
    if not len(stops):  # a quote is wrong: the error follows later
        stops = np.array([len(sample) - 1])
    b = np.frombuffer(sample, np.uint8)
    starts = np.concatenate(([0], stops[:-1] + 1))
    filled = stops > starts
    filled[1:] &= ~((b[stops[1:]] == LINE) & (b[stops[:-1]] == RETURN) & (stops[1:] == starts[1:]))
    starts, stops = starts[filled][:SOUGHT_RECORDS], stops[filled][:SOUGHT_RECORDS]
    quotes = quotes_in(b)
    alike: list[tuple[float, int, str]] = []
    best: tuple[float, str | None] = (0.0, None)
    for separator in SEPARATORS:
        at = outside(np.flatnonzero(b == ord(separator)), quotes)
        counts = np.searchsorted(at, stops) - np.searchsorted(at, starts)
        if not len(counts) or not counts.any():
            continue
        kinds, times = np.unique(counts, return_counts=True)
        usual, share = int(kinds[times == times.max()][-1]), float(times.max()) / len(counts)
        if share == 1:
            spans = zip(starts[:20].tolist(), stops[:20].tolist(), strict=True)
            numeric = _numeric(sample, spans, separator)
            alike.append((numeric, usual, separator))
        elif usual and share > best[0]:
            best = share, separator
    tabs = path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab"))
    if tabs and any(separator == "\t" for *_, separator in alike):
        return ord("\t")
    chosen = max(alike)[-1] if alike else best[1]
    return None if chosen is None else ord(chosen)


def _numeric(sample: bytes, spans: Iterable[tuple[int, int]], separator: str) -> float:
    """The share of values that are numbers if ``separator`` cuts the records.

    If two characters are possible, this separates the separator from the decimal mark.
    """
    fields = [
        field.strip()
        for start, stop in spans
        for field in sample[start:stop].decode(errors="replace").split(separator)
    ]
    return sum(map(bool, map(NUMERAL.fullmatch, fields))) / len(fields)


def _cells(data: bytes, separator: int | None, line: int) -> tuple[list[str], int]:
    """The values of the first record, and its bytes with its line end."""
    ends = record_ends(data)
    size = int(ends[0]) + 1 if len(ends) else len(data)
    size += data[size - 1 : size + 1] == b"\r\n"
    try:
        records = trimmed(split(data[:size], separator, None, last=True), separator)
    except Fault as fault:
        raise Fault(line + fault.line, fault.text, fault.byte) from fault
    cells: list[str] = []
    start = 0
    for end in records.ends.tolist():
        cell = records.data[start:end].decode().strip()
        if cell[:1] == '"':
            cell = cell[1:-1].replace('""', '"').strip()
        cells.append(cell)
        start = end + 1
    return cells, size


def _named(first: Sequence[str], where: str) -> tuple[tuple[str, ...], bool, tuple[str, ...]]:
    """The names in the first record, whether the first column is an index, and notes."""
    names = tuple(first)
    notes: tuple[str, ...] = ()
    data_like = any(map(NUMERAL.fullmatch, names)) and names != tuple(map(str, range(len(names))))
    index = len(names) > 1 and not names[0] and all(names[1:])
    if index:
        names = (INDEX, *names[1:])
        notes += ("the first column has no name, as the index of pandas, and is left out",)
    _check_names(names, where, f"; {HEADLESS}" if data_like else "")
    if data_like:
        notes += (Warned("the first line looks like data", "--no-header reads it as data"),)
    return names, index, notes


def _check_names(names: Sequence[str], where: str, hint: str) -> None:
    known: dict[str, int] = {}
    for index, name in enumerate(names):
        if not name:
            what = f"{where}: the column {index + 1} of {len(names)} has no name"
            raise DataError(f"{what}; give it one{hint}")
        same = known.setdefault(unicodedata.normalize("NFC", name), index)
        if same != index:
            alike = "" if names[same] == name else ", in two forms of Unicode"
            raise DataError(
                f"{where}: the columns {same + 1} and {index + 1} are both called "
                f'"{shown(name)}"{alike}; rename one{hint}'
            )

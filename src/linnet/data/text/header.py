"""The layout of a text file, from its first records: the separator and the column names."""

from __future__ import annotations

import re
import shlex
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
    MARK,
    RETURN,
    Array,
    Fault,
    line_ends,
    outside,
    quotes_in,
    record_ends,
    shown,
    split,
    trimmed,
)
from linnet.data.text.packed import Inside, inside
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


SEPARATOR_LINE = re.compile(rb'"?sep=([ -~\t])"?[ \t]*(?:\r\n|\n|\r)')
"""Excel's first line that names the separator."""

COMMENTS = "#%!;*/"
"""Characters that lines of comments may begin with."""

MOSTLY = 0.9
"""The share of lines with one number of fields, among those after the lines before a table."""


@dataclass(frozen=True)
class Layout:
    """The separator of a file and the columns in use.

    The column names take the first ``head`` bytes and ``lines`` lines. Columns without a name have
    the name "". ``index`` is the number of the column that should be the index of a data frame;
    ``counted`` says that it must count the rows.
    """

    separator: int | None
    names: tuple[str, ...]
    use: tuple[int, ...]
    head: int
    lines: int
    notes: tuple[str, ...]
    index: int | None = None
    counted: bool = False


def find_layout(data: bytes, path: Path, reading: Reading) -> Layout:
    """The layout of a file whose first records are ``data``; raises ``Fault`` for wrong ones."""
    head, notes = _before(data, path, reading)
    separator = _given(reading.separator) if reading.separator != "auto" else None
    if (found := SEPARATOR_LINE.match(data, head)) is not None:
        head = found.end()
        if reading.separator == "auto":
            separator = found[1][0]
            reading = reading.model_copy(update={"separator": chr(separator)})
    marked = [] if reading.comment else _marked(data, head)
    sample = _Sample(data[marked[-1] if marked else head :])
    if reading.separator == "auto":
        separator = sample.separator(path)
    begin = _after_comments(data, head, marked, sample, separator)
    if begin > head:
        comments = counted(line_ends(data[head:], begin - head), "line")
        notes += (f"left out: {comments} of comments at the beginning",)
    if marked:
        head = begin
        sample = _Sample(data[head:])
    before = line_ends(data, head)
    first, size = _cells(data[head:], separator, before)
    if len(first) > MAX_COLUMNS:
        raise DataError(
            f"{path}: line {1 + before} has {len(first):,} fields; at most "
            f"{MAX_COLUMNS:,} (MAX_COLUMNS) columns are read"
        )
    sample.check(first, separator, before, reading)
    names, index, is_counted = tuple(f"c{number}" for number in range(len(first))), None, False
    if reading.header:
        first, is_counted = sample.fitted(first, separator, before)
        names, index, noted = _named(first, f"{path}: line {1 + before}", reading)
        notes += noted
        head += size
    if len(names) == 1 and reading.separator == "auto":
        notes += (
            "one column: no comma, semicolon, tab or bar separates values; --set separator=... "
            "names another separator",
        )
    for name in reading.drop:
        if name not in names:
            hint = suggest(name, [name for name in names if name])
            raise DataError(
                f'{path}: there is no column "{shown(name)}", named in drop; '
                f"{hint if len(hint) <= 400 else hint[:400] + '...'}"
            )
    use = tuple(i for i, name in enumerate(names) if name not in reading.drop)
    if not any(names[i] and i != index for i in use):
        raise DataError(f"{path}: drop names every column; leave some")
    index = index if index in use else None
    return Layout(
        separator, names, use, head, line_ends(data, head), notes, index, is_counted
    )  # fmt: skip


def _before(data: bytes, path: Path, reading: Reading) -> tuple[int, tuple[str, ...]]:
    """The bytes of the lines before a table that are blank, or left out by settings; and notes."""
    left_out = b" \t\n\r\v\f" + reading.comment.encode()
    head, at = 0, 0
    while at < len(data):
        at = _line(data, at)
        line = data[head:at].strip()
        if line and line != reading.comment.encode():
            break
        head = at
    if head == len(data):
        what = "spaces" if left_out == b" \t\n\r\v\f" else "spaces and comments"
        raise DataError(f"{path}: holds nothing but {what}; expected a table with one row per line")
    if not head:
        return 0, ()
    told = reading.skip or reading.comment
    if not told and reading.on_bad != "skip":
        raise Fault(
            0,
            f" is blank; expected {'the names of the columns' if reading.header else 'a row'}; "
            "remove it, or leave such lines out (--set on_bad=skip)",
        )
    lines = line_ends(data, head)
    return head, (f"left out: {counted(lines, 'line' if told else 'blank line')} at the beginning",)


def _line(data: bytes, start: int) -> int:
    """The end of the line that begins at ``start``."""
    ends = (data.find(b"\n", start), data.find(b"\r", start))
    return 1 + min((end for end in ends if end >= 0), default=len(data) - 1)


def _marked(data: bytes, head: int) -> list[int]:
    """The ends of the lines from ``head`` on that begin with ``#``, and of blank lines after one of
    them."""
    found: list[int] = []
    while head < len(data) and (data[head] == MARK or (found and data[head] in (LINE, RETURN))):
        head = _line(data, head)
        found.append(head)
    return [] if head == len(data) else found


def _after_comments(
    data: bytes, head: int, marked: Sequence[int], sample: _Sample, separator: int | None
) -> int:
    """Where the comments end: the lines that end at ``marked`` are comments up to the first that
    has as many fields as the records in ``sample``, which follow."""
    usual, share = sample.usual(separator, 0)
    if usual < 2 or share < 1:
        return head
    for end in marked:
        if _Sample(data[head:end]).usual(separator, 0)[0] == usual:
            break
        head = end
    return head


def _given(separator: str) -> int:
    if not separator.isascii() or separator in '"\r\n\0':
        raise DataError(
            f'separator="{shown(separator)}" cannot separate values; expected one ASCII character '
            "that is neither a quote nor a line end"
        )
    return ord(separator)


class _Sample:
    """The first records of a file, and how characters would cut them."""

    def __init__(self, data: bytes) -> None:
        self.data = data[:SOUGHT_BYTES]
        stops = record_ends(self.data)
        if not len(stops):
            self.data = data
            stops = record_ends(self.data)
        if not len(stops):  # a quote is wrong: the error follows later
            stops = np.array([len(self.data) - 1])
        b = self._b = np.frombuffer(self.data, np.uint8)
        starts = np.concatenate(([0], stops[:-1] + 1))
        filled = stops > starts
        filled[1:] &= ~(
            (b[stops[1:]] == LINE) & (b[stops[:-1]] == RETURN) & (stops[1:] == starts[1:])
        )
        self.starts = starts[filled][:SOUGHT_RECORDS]
        self.stops = stops[filled][:SOUGHT_RECORDS]
        self._quotes = quotes_in(b)

    def fields(self, separator: int | None) -> Array:
        """The number of fields of each record."""
        if separator is None:
            return np.ones(len(self.starts), np.int64)
        at = outside(np.flatnonzero(self._b == separator), self._quotes)
        return np.searchsorted(at, self.stops) - np.searchsorted(at, self.starts) + 1

    def usual(self, separator: int | None, start: int) -> tuple[int, float]:
        """The most frequent number of fields from record ``start`` on, and its share; (0, 0)
        without records."""
        counts = self.fields(separator)[start:]
        if not len(counts):
            return 0, 0.0
        kinds, times = np.unique(counts, return_counts=True)
        return int(kinds[times == times.max()][-1]), float(times.max()) / len(counts)

    def cells(self, record: int, separator: int | None) -> list[str]:
        """The values of a record, without what quotes may hold."""
        text = self.data[self.starts[record] : self.stops[record]].decode(errors="replace")
        cells = [text] if separator is None else text.split(chr(separator))
        return [cell.strip().strip('"') for cell in cells]

    def separator(self, path: Path) -> int | None:
        """The separator that cuts the first records into equal numbers of fields."""
        alike: list[tuple[float, int, str]] = []
        best: tuple[float, str | None] = (0.0, None)
        for separator in SEPARATORS:
            if not (self.fields(ord(separator)) > 1).any():
                continue
            usual, share = self.usual(ord(separator), 0)
            if share == 1:
                spans = zip(self.starts[:20].tolist(), self.stops[:20].tolist(), strict=True)
                alike.append((_numeric(self.data, spans, separator), usual, separator))
            elif usual > 1 and share > best[0]:
                best = share, separator
        name = (inside(path) or Inside(path.name)).name
        tabs = name.lower().endswith((".tsv", ".tab"))
        if tabs and any(separator == "\t" for *_, separator in alike):
            return ord("\t")
        chosen = max(alike)[-1] if alike else best[1]
        return None if chosen is None else ord(chosen)

    def check(
        self, first: Sequence[str], separator: int | None, before: int, reading: Reading
    ) -> None:
        """Raise if the table seems to begin some lines further on."""
        counts = self.fields(separator)
        usual, _ = self.usual(separator, 1)
        begin = int(np.argmax(counts == usual)) if usual > len(first) else 0
        if begin < 1 or len(counts) < begin + 2 or np.mean(counts[begin:] == usual) < MOSTLY:
            return
        names = self.cells(begin, separator)
        while names and not names[-1]:
            names.pop()
        numbers = list(map(NUMERAL.fullmatch, names))
        named = all(names) and len(set(names)) == len(names) and not all(numbers)
        lines = line_ends(self.data, int(self.starts[begin]))
        if reading.header and not (named and not any(numbers if lines == 1 else numbers[:1])):
            return
        skip = before + lines
        raise Fault(
            before,
            f" has {counted(len(first), 'field')}, and the lines from line {skip + 1} on have "
            f"{usual}; if the table begins there, leave out the lines before it (--set "
            f"skip={skip}){_or_comments(first[0])}; else correct it",
        )

    def fitted(
        self, names: list[str], separator: int | None, before: int
    ) -> tuple[list[str], bool]:
        """The names of a head whose lines have another number of fields, where it is sure why: a
        separator at the end of the head, or of every line, or R's row names without a name in the
        head. And whether they are these."""
        usual, share = self.usual(separator, 1)
        more = usual - len(names)
        if share < 1 or separator is None or not more or (more > 0 and len(self.starts) < 3):
            return names, False
        if more < 0:
            return (names if any(names[usual:]) else names[:usual]), False
        ends = [
            self.data[start:stop].rstrip(b" \r\n").endswith(bytes([separator]) * more)
            for start, stop in zip(self.starts[1:].tolist(), self.stops[1:].tolist(), strict=True)
        ]
        if all(ends):
            return [*names, *[""] * more], False
        rows = [self.cells(record, separator)[0] for record in range(1, len(self.starts))]
        counts = ([str(row + start) for row in range(len(rows))] for start in (0, 1))
        if more == 1 and all(names) and rows in counts:
            return ["", *names], True
        raise Fault(
            before,
            f" has {counted(len(names), 'name')}, and each line after it {usual} values; give each "
            "column a name",
        )


def _or_comments(text: str) -> str:
    """The setting for comments, if a line begins as they do."""
    mark = text[:1]
    if mark not in tuple(COMMENTS):
        return ""
    return f", or all lines that begin so (--set {shlex.quote(f'comment={mark}')})"


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
        raise type(fault)(line + fault.line, fault.text, fault.byte) from fault
    cells: list[str] = []
    start = 0
    for end in records.ends.tolist():
        cell = records.data[start:end].decode().strip()
        if cell[:1] == '"':
            cell = cell[1:-1].replace('""', '"').strip()
        cells.append(cell)
        start = end + 1
    return cells, size


def _named(
    first: Sequence[str], where: str, reading: Reading
) -> tuple[tuple[str, ...], int | None, tuple[str, ...]]:
    """The names in the first record, the number of the column that may be an index, and notes."""
    names = tuple(first)
    notes: tuple[str, ...] = ()
    if not any(names):
        raise DataError(f"{where}: none of the {len(names)} columns has a name; {HEADLESS}")
    data_like = any(map(NUMERAL.fullmatch, names)) and names != tuple(map(str, range(len(names))))
    index = None
    if not names[0]:
        name = INDEX
        while name in names:
            name += ".1"
        names = (name, *names[1:])
        asked = (*(reading.target or ()), *reading.columns, reading.split, reading.group)
        index = None if name in (*asked, reading.time) else 0
    _check_names(names, where, f"; {HEADLESS}" if data_like else "")
    if data_like:
        notes += (Warned("the first line looks like data", "--no-header reads it as data"),)
    return names, index, notes


def _check_names(names: Sequence[str], where: str, hint: str) -> None:
    known: dict[str, int] = {}
    for index, name in enumerate(names):
        if not name:
            continue
        same = known.setdefault(unicodedata.normalize("NFC", name), index)
        if same != index:
            alike = "" if names[same] == name else ", in two forms of Unicode"
            raise DataError(
                f"{where}: the columns {same + 1} and {index + 1} are both called "
                f'"{shown(name)}"{alike}; rename one{hint}'
            )

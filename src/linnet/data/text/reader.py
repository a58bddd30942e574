"""Read a table from a text file into columns, chunk by chunk, in threads."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from linnet.core import memory
from linnet.core.later import polars as pl
from linnet.core.text import counted
from linnet.data.reading import Reading
from linnet.data.table import Table, Warned
from linnet.data.text.aside import Aside
from linnet.data.text.chinese import ENCODING, is_chinese
from linnet.data.text.header import Layout, find_layout
from linnet.data.text.keep import Keep
from linnet.data.text.kinds import Column, Judge, Type
from linnet.data.text.lines import (
    BLANK_LINE,
    MAX_NAMED,
    MAX_RECORD_BYTES,
    Array,
    Chunks,
    Cleared,
    Fault,
    NoText,
    Records,
    Stream,
    shown,
    split,
    trimmed,
)
from linnet.data.text.packed import Inside, inside
from linnet.data.text.values import BLANK, NUMERIC, Look, Tally, examine, text_of
from linnet.data.written import look
from linnet.errors import DataError

THOUSANDS = r"^[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+$"
"""Numbers in which points may separate thousands."""

SAMPLE = 100
"""The number of values by which decimal commas are found in a column."""

STRING_BYTES = 16
"""The bytes that polars uses for each string, however short."""

MAX_CHUNK_BYTES, BYTES_A_COLUMN = 32 << 20, 1_600
"""Chunks are larger for tables of many columns (up to the first number), as each column costs
time in each chunk."""


def read_text(path: Path, reading: Reading) -> Table:
    """The table in the text file ``path``."""
    return scan_text(path, reading).table()


def scan_text(path: Path, reading: Reading, keep: Keep | None = None) -> Scan:
    """The text file ``path`` after it was read; ``keep`` holds the values of its chunks, by default
    in memory."""
    try:
        with open(path, "rb") as file:
            try:
                return _Reader(file, path, reading, keep).scan()
            except DataError as error:
                if reading.encoding != "auto" or not isinstance(error.__cause__, NoText):
                    raise
                if (found := _in_chinese(file, path, reading, keep)) is None:
                    raise
                return found
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror or error}") from error


def weighed(path: Path, reading: Reading) -> tuple[float, float]:
    """How many bytes of memory the columns take for each byte of a text file, and how many values
    it has for each, by its first chunk; raises ``DataError`` if that cannot be read."""
    try:
        with open(path, "rb") as file:
            return _Reader(file, path, reading, None).weighed()
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror or error}") from error


PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PK")
"""The first bytes of compressed files."""


def read_bytes(content: bytes, name: str, reading: Reading) -> Table:
    """The table in the ``content`` of a text file, which is called ``name`` in messages; it is
    never unpacked, as a few bytes may unpack to very many."""
    if content.startswith(PACKED):
        raise DataError(f"{name}: is compressed; expected text")
    file, path = BytesIO(content), Path(name)
    try:
        return _Reader(file, path, reading, None).scan().table()
    except DataError:
        if (found := _in_chinese(file, path, reading, None)) is None:
            raise
        return found.table()


def _in_chinese(file: BinaryIO, path: Path, reading: Reading, keep: Keep | None) -> Scan | None:
    """A file that is not UTF-8, if it is Chinese in GB18030; else None."""
    if not is_chinese(file, path):
        return None
    try:
        found = _Reader(file, path, reading.model_copy(update={"encoding": ENCODING}), keep).scan()
    except DataError as error:
        if isinstance(error.__cause__, NoText):
            return None
        raise
    note = f"the text is not UTF-8, and is read as Chinese in {ENCODING} (GBK), which it fits"
    return replace(found, notes=(note, *found.notes))


@dataclass(frozen=True)
class _Part:
    """The result of a chunk of ``size`` bytes: its records without their bytes, and its values by
    column."""

    size: int
    records: Records
    values: list[pl.Series]
    tallies: list[Tally]


class _Lines:
    """The line of each row."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._lines: list[int] = []
        self._at: list[Array | None] = []

    def add(self, row: int, line: int, at: Array | None) -> None:
        """The rows from ``row`` on are on the lines from ``line`` on, or on ``line + at``."""
        self._rows.append(row)
        self._lines.append(line)
        self._at.append(None if at is None else at.astype(np.int32))

    def __call__(self, row: int) -> int:
        chunk = bisect_right(self._rows, row) - 1
        within, at = row - self._rows[chunk], self._at[chunk]
        return self._lines[chunk] + (within if at is None else int(at[within]))


@dataclass(frozen=True)
class Scan:
    """A text file that was read: its ``columns`` with the type of each, ``rows`` rows, and notes.
    ``lines`` gives the line of a row, ``sizes`` the rows of each chunk; those beyond ``rows`` are
    left out."""

    path: Path
    columns: dict[str, tuple[Column, Type]]
    judge: Judge
    lines: Callable[[int], int]
    sizes: tuple[int, ...]
    rows: int
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the table is called: the name of the file without its ending."""
        return (inside(self.path) or Inside(self.path.name)).stem

    def table(self) -> Table:
        """The table in memory; this releases what the columns hold."""
        columns = {
            name: self.judge.finish(column, kind).head(self.rows)
            for name, (column, kind) in self.columns.items()
        }
        return Table(columns, self.name, self.lines, self.notes)


def _state(file: BinaryIO) -> tuple[int, int]:
    """The size of a file, and when it was changed; what is held in memory never is."""
    if isinstance(file, BytesIO):
        return file.getbuffer().nbytes, 0
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


class _Reader:
    """Reads one file once."""

    def __init__(self, file: BinaryIO, path: Path, reading: Reading, keep: Keep | None) -> None:
        self._file = file
        self._keep = Keep() if keep is None else keep
        self._path = path
        self._reading = reading
        self._skip = reading.on_bad == "skip"
        self._comment = ord(reading.comment) if reading.comment else None
        self._empty = sorted({word.strip() for word in reading.empty})
        self._look = Look(reading.empty)
        self._stream = Stream(file, path, reading.encoding)
        self._layout: Layout | None = None
        self._schema: dict[str, type[pl.String]] = {}
        self._blanks = False  # whether some chunk has blanks around values
        self._columns: list[Column] = []
        self._more: set[int] = set()  # columns known to hold more than numbers
        self._left_out = 0
        self._named: list[str] = []

    def scan(self) -> Scan:
        """Read the whole file."""
        before = _state(self._file)
        try:
            return self._scan(before)
        except DataError as error:
            if self._changed(before):
                raise self._moved() from error
            raise

    def weighed(self) -> tuple[float, float]:
        """The bytes and the values of the first chunk, for each byte of the file."""
        with closing(self._parts(self._examined)) as parts:
            _, part = next(parts, (0, None))
        if part is None or not part.size:
            return 0.0, 0.0
        each = self._stream.made / self._stream.taken / part.size
        return each * _bytes(part.values), each * part.records.rows * len(part.values)

    def _scan(self, before: tuple[int, int]) -> Scan:
        lines, rows, asked, void = _Lines(), 0, 0, 0
        with closing(self._parts(self._examined)) as parts:
            for line, part in parts:
                lines.add(rows, line, part.records.at)
                self._keep.add(part.values, part.records.rows)
                for index, values in enumerate(part.values):
                    column = self._columns[index]
                    column.add(values, part.tallies[index], rows)
                    if column.tally.others or column.tally.codes:
                        self._more.add(index)
                rows += part.records.rows
                void = part.records.void + void * (part.records.void == part.records.rows)
                asked = self._require(part, asked, before[0])
        if self._layout is None:
            raise DataError(f"{self._path}: is empty; expected a table with one row per line")
        if not rows:
            what = "the names of the columns, and no rows" if self._reading.header else "no rows"
            raise DataError(f"{self._path}: holds {what}; expected one row per line")
        judge = Judge(self._path, lines)
        types = [judge.type_of(column) for column in self._columns]
        sizes = tuple(self._keep.sizes)
        again = [i for i, found in enumerate(types) if judge.changed(self._columns[i], found)]
        if again:
            self._read_again(again)
        notes = [*self._layout.notes, *self._thousands(types)]
        if self._changed(before):
            raise self._moved()
        columns = {}
        aside = Aside(str(self._path), self._layout, lines)
        for place, column, found in zip(self._layout.use, self._columns, types, strict=True):
            if aside.concerns(place):
                aside.take(place, judge.finish(column, found))
            else:
                columns[column.name] = column, found
        notes += aside.notes()
        if 0 < void < rows:
            rows -= void
            notes.append(f"left out: {counted(void, 'row')} without any value at the end")
        if self._left_out:
            more = ", ..." if self._left_out > len(self._named) else ""
            notes.append(
                f"left out: {counted(self._left_out, 'row')} without "
                f"{len(self._layout.names)} fields: {', '.join(self._named)}{more}"
            )
        file = inside(self._path) or Inside(self._path.name)
        self._keep.end()
        return Scan(self._path, columns, judge, lines, sizes, rows, (*file.notes(), *notes))

    def _thousands(self, types: Sequence[str]) -> list[str]:
        """Read points as marks between thousands, where a column has them nowhere else and the file
        has decimal commas; return warnings."""
        mark = self._reading.decimal
        why = "decimal=, is set"
        if mark == "auto":
            texts = [c for c, kind in zip(self._columns, types, strict=True) if kind == "text"]
            with_comma = next((c.name for c in texts if not c.textual and _has_commas(c)), None)
            why = f'"{shown(with_comma or "")}" has decimal commas'
            mark = "." if with_comma is None else ","
        numbers = [
            index
            for index, kind in enumerate(types)
            if kind == "number" and all(map(_short, self._columns[index].parts))
        ]
        if mark != "," or not numbers:
            return []
        self._read_again(numbers)
        notes: list[str] = []
        for column in (self._columns[index] for index in numbers):
            value = _in_thousands(column)
            if value is None:
                continue
            column.thousands = True
            notes.append(
                Warned(
                    f'"{shown(column.name)}" has points only before groups of three digits: '
                    f"{value} is read as {value.replace('.', '')}, as {why}",
                    "write decimals with a comma in all columns, if this is wrong",
                )
            )
        return notes

    # The work on each chunk

    def _parts(self, work: Callable[[bytes, bool], _Part]) -> Generator[tuple[int, _Part]]:
        """The result of ``work``, run in threads, for each chunk with rows; and its first line.

        If there are several errors, the one with the smallest line is raised.
        """
        at: tuple[int, int] | None = None  # the line and the byte of the next chunk
        blank: tuple[int, int] | None = None  # the first line and the number of blank ones before
        with closing(self._futures(work)) as futures:
            try:
                for size, future in futures:
                    line, byte = at or self._start()
                    try:
                        part = future.result()
                    except Fault as fault:
                        if blank and not self._skip:
                            raise self._blank(blank[0]) from None
                        raise self._told(fault, line, byte) from fault
                    blank = self._count(part.records, line, blank)
                    if part.records.rows:
                        yield line, part
                    at = line + part.records.lines, byte + size
            except Fault as fault:  # of the stream
                line, _ = at or self._start()
                raise self._told(fault, line, None) from fault

    def _futures(
        self, work: Callable[[bytes, bool], _Part]
    ) -> Generator[tuple[int, Future[_Part]]]:
        """The size and the future result of each chunk; some chunks are read ahead.

        An error in reading is raised after all results.
        """
        workers = min(_cores(), pl.thread_pool_size())
        pending: deque[tuple[int, Future[_Part]]] = deque()
        failure: Fault | DataError | None = None
        with ThreadPoolExecutor(workers) as pool:
            try:
                try:
                    for data, last in self._chunks():
                        pending.append((len(data), pool.submit(work, data, last)))
                        if len(pending) >= max(1, min(workers + 1, MAX_CHUNK_BYTES // len(data))):
                            yield pending.popleft()
                except (Fault, DataError) as error:
                    failure = error
                while pending:
                    yield pending.popleft()
            finally:
                pool.shutdown(cancel_futures=True)
        if failure is not None:
            raise failure

    def _start(self) -> tuple[int, int]:
        """The line and the byte of the first row; (1, 0) if the layout is not known."""
        return (1, 0) if self._layout is None else (1 + self._layout.lines, self._layout.head)

    def _count(
        self, records: Records, line: int, blank: tuple[int, int] | None
    ) -> tuple[int, int] | None:
        """Note the rows that are left out of a chunk; return the blank lines at its end.

        Its first line is ``line``; ``blank`` are the blank lines before it. Raises for blank lines
        between rows if they must not be left out.
        """
        if blank and (records.rows or records.left_out):
            if not self._skip:
                raise self._blank(blank[0])
            first, count = blank
            some = range(first, first + min(count, MAX_NAMED))
            self._leave_out(count, [(at, "is blank") for at in some])
            blank = None
        self._leave_out(records.left_out, [(line + at, what) for at, what in records.named])
        if records.blank is None:
            return blank
        at, count = records.blank
        return (blank[0], blank[1] + count) if blank else (line + at, count)

    def _chunks(self) -> Iterator[tuple[bytes, bool]]:
        """The chunks of records after the line of column names."""
        self._stream = Stream(self._file, self._path, self._reading.encoding)
        text: Stream | Cleared = self._stream
        if self._reading.skip or self._comment is not None:
            text = Cleared(self._stream, self._reading.skip, self._comment)
        chunks = Chunks(text)
        begun, blank = False, b""
        left_out = b" \t\n\r\v\f" + self._reading.comment.encode()
        for data, last in chunks:
            if not begun:
                data = blank + data
                if not data.strip(left_out) and len(data) <= MAX_RECORD_BYTES:
                    blank = data
                    continue
                begun = True
                if self._layout is None:
                    self._begin(data)
                layout = self._known
                chunks.separator = layout.separator
                size = BYTES_A_COLUMN * len(layout.names)
                chunks.size = max(chunks.size, min(MAX_CHUNK_BYTES, size))
                data = data[layout.head :]
            if data:
                yield data, last

    def _begin(self, data: bytes) -> None:
        """Find the layout of the file from the first chunk."""
        try:
            self._layout = form = find_layout(data, self._path, self._reading)
        except Fault as fault:
            raise self._told(fault, 1, 0) from fault
        self._schema = {str(index): pl.String for index in range(len(form.names))}
        declared = {**self._reading.columns, "": "text"}
        if form.index is not None:
            declared[form.names[form.index]] = "text"
        names = [form.names[index] for index in form.use]
        self._columns = [
            Column(name, declared.get(name), parts)
            for name, parts in zip(names, self._keep.begin(len(names)), strict=True)
        ]

    def _examined(self, data: bytes, last: bool) -> _Part:
        """All columns in use; as numbers if all values are numbers."""
        layout = self._known
        records, frame, flags = self._split(data, last, layout.use, typed=True)
        values, tallies = [], []
        columns = self._columns if records.rows else []
        for index, (column, series) in enumerate(zip(columns, frame, strict=True)):
            if series.dtype == pl.Float64:
                tally = Tally()
            elif column.textual:
                series, tally = text_of(series, int(flags[index]), self._empty), Tally()
            else:
                as_text = index in self._more
                series, tally = examine(series, int(flags[index]), self._empty, as_text)
            values.append(series)
            tallies.append(tally)
        return _Part(len(data), records, values, tallies)

    def _read_again(self, again: Sequence[int]) -> None:
        """Read these columns again, as text."""
        layout = self._known
        use = tuple(layout.use[index] for index in again)

        def work(data: bytes, last: bool) -> _Part:
            records, frame, flags = self._split(data, last, use, typed=False)
            texts = [
                text_of(series, int(flag), self._empty)
                for series, flag in zip(frame, flags, strict=True)
            ]
            return _Part(len(data), records, texts, [])

        left_out, named = self._left_out, list(self._named)
        sizes = self._keep.sizes
        for index, held in zip(again, self._keep.begin(len(again)), strict=True):
            self._columns[index].parts = held
        with closing(self._parts(work)) as parts:
            for _, part in parts:
                self._keep.add(part.values, part.records.rows)
        self._left_out, self._named = left_out, named
        if sizes != self._keep.sizes:
            raise self._moved()

    def _split(
        self, data: bytes, last: bool, use: tuple[int, ...], *, typed: bool
    ) -> tuple[Records, list[pl.Series], Array]:
        """The records of a chunk, and their columns as text with their flags.

        If ``typed``, columns whose bytes can only be numbers, and are, are returned as numbers.
        """
        layout = self._known
        width = len(layout.names)
        records = split(
            data, layout.separator, width, last=last, skip=self._skip, comment=self._comment
        )
        if not records.rows:
            return records.emptied(width), [], np.zeros(0, np.uint8)
        part = None if len(use) == width else list(use)
        which = None if part is None else np.array(part)
        flags = None if records.spaced or self._blanks else self._look(records, width, which)
        if flags is None or (flags & BLANK).any():
            self._blanks = True
            records = trimmed(records, layout.separator)
            flags = self._look(records, width, which)
        frame = None
        if typed:
            numbers = [
                place
                for index, place in enumerate(use)
                if flags[index] == NUMERIC
                and index not in self._more
                and not self._columns[index].textual
            ]
            frame = self._numbers(records, part, numbers)
        if frame is None:
            try:
                frame = self._cut(records, part, self._schema)
            except pl.exceptions.PolarsError as error:
                raise DataError(f"{self._path}: polars cannot split it: {error}") from error
        if frame.height != records.rows:  # an error is better than wrong rows
            raise DataError(
                f"{self._path}: polars finds {frame.height:,} rows, expected {records.rows:,}"
            )
        return records.emptied(width), frame.get_columns(), flags

    def _numbers(
        self, records: Records, part: list[int] | None, numbers: list[int]
    ) -> pl.DataFrame | None:
        """The columns ``numbers`` (positions) as numbers; None if one holds other values."""
        try:
            types = dict.fromkeys(map(str, numbers), pl.Float64)
            frame = self._cut(records, part, {**self._schema, **types})
        except pl.exceptions.PolarsError:
            return None
        for series in frame:
            if series.dtype == pl.Float64 and (
                series.null_count() or not isfinite(float(series.sum()))
            ):
                return None
        return frame

    def _cut(
        self, records: Records, part: list[int] | None, schema: dict[str, Any]
    ) -> pl.DataFrame:
        return pl.read_csv(
            records.data,
            has_header=False,
            schema=schema,
            columns=part,
            separator="\x01" if self._known.separator is None else chr(self._known.separator),
        )

    # Errors and notes

    @property
    def _known(self) -> Layout:
        assert self._layout is not None
        return self._layout

    def _told(self, fault: Fault, line: int, byte: int | None) -> DataError:
        """The error for a fault in the chunk at this line and byte, or in the stream itself."""
        at, whole = "", not self._reading.skip and self._comment is None
        if fault.byte is not None and byte is None:
            at = f", byte {fault.byte}"
        elif fault.byte is not None and byte is not None and self._stream.plain and whole:
            at = f", byte {self._stream.mark + byte + fault.byte}"
        return DataError(f"{self._path}: line {line + fault.line}{at}{fault.text}")

    def _blank(self, line: int) -> DataError:
        return DataError(f"{self._path}: line {line}{BLANK_LINE}")

    def _leave_out(self, count: int, named: Sequence[tuple[int, str]]) -> None:
        self._left_out += count
        room = MAX_NAMED - len(self._named)
        self._named += [f"line {line} {what}" for line, what in named][: max(0, room)]

    def _changed(self, before: tuple[int, int]) -> bool:
        return before != _state(self._file)

    def _moved(self) -> DataError:
        return DataError(
            f"{self._path}: changed while it was read; read it again when nothing writes to it"
        )

    def _require(self, part: _Part, asked: int, size: int) -> int:
        """Raise if the table will not fit, by its first part or by the growing unpacked file."""
        if not self._keep.in_memory:
            return asked
        made, taken = self._stream.made, self._stream.taken
        if not self._stream.packed and not asked:
            whole = size * made / taken
            memory.require(int(self._bytes() * (whole / part.size)), str(self._path))
        if self._stream.packed and made >= 2 * asked:
            memory.require(self._bytes(), f"{self._path}, of which {made:,} bytes are unpacked,")
            return made
        return asked or 1

    def _bytes(self) -> int:
        return _bytes(part for column in self._columns for part in column.parts)


def _bytes(parts: Iterable[pl.Series]) -> int:
    """The bytes that columns take in memory."""
    views = STRING_BYTES  # polars does not count them
    return sum(
        int(part.estimated_size()) + views * len(part) * (part.dtype == pl.String) for part in parts
    )


def _in_thousands(column: Column) -> str | None:
    """The first value with a point, if each that has one has it between thousands; else None."""
    first = None
    for part in column.parts:
        marked = part.filter(part.str.contains(".", literal=True))
        if not marked.str.contains(THOUSANDS).all():
            return None
        if first is None and len(marked):
            first = str(marked[0])
    return first


def _short(part: pl.Series) -> bool:
    """Whether numbers may have points between thousands: none has more than three decimals, or
    three digits before them."""
    if part.dtype != pl.Float64:
        return part.null_count() == len(part)
    return bool(((part.abs() < 1000) & ((part * 1000).round(6) % 1 == 0)).fill_null(True).all())


def _has_commas(column: Column) -> bool:
    """Whether a column of text is numbers with decimal commas, by its first values."""
    some = next((part.drop_nulls() for part in column.parts if part.null_count() < len(part)), None)
    if some is None or some.dtype != pl.String:
        return False
    values = look(some.head(SAMPLE)).values
    commas = values["comma"].is_not_null() & values["point"].is_null()
    return bool(commas.any() and (values["comma"].is_not_null() | values["absent"]).all())


def _cores() -> int:
    """The number of threads that can run at once."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1

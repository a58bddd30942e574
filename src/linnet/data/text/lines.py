"""The bytes of a text file: decode them, cut them into chunks of whole records, check the form.

The checks run on many records at once, from the positions of separators, line ends and quotes. Each
record must have the right number of fields, and each quote must be at an allowed place.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from linnet.core.text import counted, plural
from linnet.data.text.packed import Unpacked
from linnet.errors import DataError

Array = np.ndarray[Any, Any]

CHUNK_BYTES = 4 << 20
"""The approximate number of bytes in a chunk."""

MAX_RECORD_BYTES = 16 << 20
"""A longer record is refused, and so is a quote that is not closed within this many bytes."""

MAX_GZIP_RATIO = 200
"""The most bytes of text that a byte of a packed file may become, beyond ``SMALL_TEXT_BYTES``:
tables become 3 to 10, of zeros alone 100. So the cost of a small file is bounded."""

SMALL_TEXT_BYTES = 32 << 20

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""The byte-order mark of each encoding; that of UTF-32 begins with that of UTF-16."""

NONE = np.zeros(0, np.int64)

LINE, RETURN, QUOTE, SPACE, TAB, MARK = b'\n\r" \t#'

VALUE_ENDS = (b",", b";", b"\t", b"\n", b"\r", b'"')

STEPS = 16
"""Up to this many blanks around a value are removed one by one, more in one operation."""

BLANK_LINE = " is blank, and rows follow; remove it, or leave such lines out (--set on_bad=skip)"

MAX_NAMED = 3
"""The most rows that a note names as left out."""


class Fault(Exception):
    """An error ``line`` lines after the start of a chunk, at byte ``byte`` of it if given."""

    def __init__(self, line: int, text: str, byte: int | None = None) -> None:
        super().__init__(text)
        self.line = line
        self.text = text
        self.byte = byte


class NoText(Fault):
    """Bytes that are not text in the encoding of the file."""


def shown(text: str) -> str:
    """A name or value for a message: on one line, and cut if it is long."""
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:80])
    return plain if len(text) <= 80 else f"{plain[:60]}..."


def line_ends(data: bytes, stop: int | None = None) -> int:
    """The number of line ends (``\\n``, ``\\r\\n`` or ``\\r``) in ``data`` before ``stop``."""
    stop = len(data) if stop is None else stop
    lines = int(np.count_nonzero(np.frombuffer(data, np.uint8, stop) == LINE))
    if returns := data.count(b"\r", 0, stop):
        lines += returns - data.count(b"\r\n", 0, stop + 1)
    return lines


class Stream:
    """The text of an open file as UTF-8, without its byte-order mark.

    ``taken`` unpacked bytes gave ``made`` bytes of text so far. A packed file is unpacked.
    """

    def __init__(self, file: BinaryIO, path: Path, encoding: str) -> None:
        self.taken = self.made = 0
        self._path = path
        self._fault: Fault | None = None
        self._file = Unpacked(file, path)
        self.packed = bool(self._file.kind)
        head = self._take(4)
        mark, marked = next(((m, name) for m, name in MARKS if head.startswith(m)), (b"", None))
        self._head = head[len(mark) :]
        self.mark = len(mark)
        encoding = self._chosen(encoding, marked)
        self.encoding = "utf-8" if encoding == "utf-8-sig" else encoding
        self.plain = self.encoding == "utf-8"
        self._decoder = None if self.plain else codecs.getincrementaldecoder(self.encoding)()

    def _chosen(self, given: str, marked: str | None) -> str:
        if given == "auto":
            return marked or "utf-8"
        try:
            "".encode(given)  # raises for codecs that do not encode text
            name = codecs.lookup(given).name
        except (LookupError, ValueError) as error:
            raise DataError(
                f'{self._path}: unknown encoding "{shown(given)}"; expected one such as utf-8, '
                "utf-16, latin-1 or cp1252; or leave encoding=auto"
            ) from error
        if marked is not None and not marked.startswith(name.removesuffix("-sig")):
            raise DataError(
                f"{self._path}: begins with the byte-order mark of {marked}, but "
                f"encoding={shown(given)} is set; leave encoding=auto"
            )
        return marked or name

    def read(self, size: int) -> bytes:
        """About ``size`` bytes at most; empty only at the end of the file."""
        while True:
            if self._fault is not None:
                raise self._fault
            raw, self._head = self._head + self._take(size), b""
            data = raw if self._decoder is None else self._decoded(raw)
            self.made += len(data)
            if data or not (raw or self._fault):
                return data

    def _take(self, size: int) -> bytes:
        raw = self._file.read(size)
        self.taken += len(raw)
        if self.packed and self.taken > SMALL_TEXT_BYTES:
            given = self._file.given
            if self.taken > MAX_GZIP_RATIO * given:
                raise DataError(
                    f"{self._path}: {given:,} bytes of {self._file.kind} became {self.taken:,} "
                    f"bytes of text, more than {MAX_GZIP_RATIO} times as many (MAX_GZIP_RATIO); if "
                    "you trust the file, unpack it yourself and give the text"
                )
        return raw

    def _decoded(self, raw: bytes) -> bytes:
        """``raw`` as UTF-8; an error is raised only after the text before it was returned."""
        assert self._decoder is not None
        try:
            text: str = self._decoder.decode(raw, not raw)
            first = not (self.made or self.mark)
            return (text.removeprefix("\ufeff") if first else text).encode()
        except UnicodeError as error:
            good, byte = "", None
            if isinstance(error, UnicodeDecodeError):
                good = error.object[: error.start].decode(self.encoding, "ignore")
                byte = self.taken - len(error.object) + error.start
            self._fault = NoText(
                0,
                f": not valid {self.encoding}: {getattr(error, 'reason', error)}; name the right "
                "encoding (such as --set encoding=latin-1), or save the file as UTF-8",
                byte,
            )
            return good.encode(errors="ignore")


class Cleared:
    """The text of ``stream`` without the content of some lines, whose line ends stay: the first
    ``skip`` lines, and those that begin with the byte ``comment`` outside quotes. Of a comment its
    first byte stays too."""

    def __init__(self, stream: Stream, skip: int, comment: int | None) -> None:
        self._stream = stream
        self._skip = skip
        self._comment = comment
        self._rest = b""
        self._odd = 0  # whether a quote is open

    def read(self, size: int) -> bytes:
        """About ``size`` bytes at most; empty only at the end of the text."""
        while True:
            block = self._stream.read(size)
            data = self._rest + block
            stop = len(data)
            if block:
                stop -= data.endswith(b"\r")
                stop = max(data.rfind(b"\n", 0, stop), data.rfind(b"\r", 0, stop)) + 1
                if not stop and len(data) > MAX_RECORD_BYTES:  # refused later
                    stop = len(data)
            text, self._rest = self._cleared(data[:stop]), data[stop:]
            if text or not block:
                return text

    def _cleared(self, data: bytes) -> bytes:
        """Whole lines without what is left out of them."""
        if not data:
            return data
        b = np.frombuffer(data, np.uint8)
        ends = _line_ends_at(data)
        if not data.endswith((b"\n", b"\r")):
            ends = np.append(ends, len(data))
        starts = np.concatenate(([0], ends[:-1] + 1))[: len(ends)]
        skipped = min(self._skip, len(ends))
        self._skip -= skipped
        quotes = quotes_in(b)
        if skipped:
            quotes = quotes[quotes > ends[skipped - 1]]
        which = self._comments(b, starts[skipped:], ends[skipped:], quotes) + skipped
        change = np.zeros(len(data) + 2, np.int8)
        for begin, end in (
            (starts[:skipped], ends[:skipped]),
            (starts[which] + 1, ends[which]),
        ):
            np.add.at(change, begin, 1)
            np.add.at(change, end, -1)
        kept: bytes = b[np.cumsum(change[: len(data)], dtype=np.int8) == 0].tobytes()
        return kept

    def _comments(self, b: Array, starts: Array, ends: Array, quotes: Array) -> Array:
        """Which of these lines are comments."""
        if self._comment is None or not len(starts):
            return NONE
        may = np.flatnonzero((b[starts] == self._comment) & (ends > starts))
        if not len(quotes) and not self._odd:
            return may
        before = np.searchsorted(quotes, starts[may]).tolist()
        after = np.searchsorted(quotes, ends[may]).tolist()
        left_out, found = 0, []
        for line, first, last in zip(may.tolist(), before, after, strict=True):
            if not (self._odd + first - left_out) % 2:  # outside quotes
                found.append(line)
                left_out += last - first
        self._odd = (self._odd + len(quotes) - left_out) % 2
        return np.array(found, np.int64)


class Chunks:
    """Cut a stream into chunks of whole records of about ``size`` bytes: (chunk, is it the last).

    A ``Fault`` of the stream itself counts from the end of the text so far. Set ``separator`` as
    soon as it is known.
    """

    def __init__(self, stream: Stream | Cleared) -> None:
        self.size = CHUNK_BYTES
        self.separator: int | None = -1
        self._stream = stream

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        rest = b""
        while True:
            try:
                block = self._stream.read(max(self.size, len(rest)))
            except Fault as fault:
                raise type(fault)(fault.line + line_ends(rest), fault.text, fault.byte) from fault
            if not block:
                break
            rest += block
            cut = _last_end(rest)
            if cut:
                data, rest = rest[:cut], rest[cut:]
                yield data, False
            elif len(rest) > MAX_RECORD_BYTES:
                if self.separator != -1:
                    try:
                        split(rest + b"\n", self.separator, None, last=True)
                    except Fault as fault:  # a wrong quote, or a record that is too long
                        raise Fault(fault.line, fault.text) from fault
                raise _too_long(0, len(rest))
        if rest:
            yield rest if rest.endswith((b"\n", b"\r")) else rest + b"\n", True


def _last_end(data: bytes) -> int:
    """The end of the last whole record, 0 if there is none.

    A ``\\r`` at the very end may be the first half of ``\\r\\n``.
    """
    stop = len(data) - data.endswith(b"\r")
    end = max(data.rfind(b"\n", 0, stop), data.rfind(b"\r", 0, stop))
    if end < 0 or b'"' not in data:
        return end + 1
    if data.count(b'"', 0, end) % 2 == 0:
        return end + 1
    ends = record_ends(data[:stop])
    return int(ends[-1]) + 1 if len(ends) else 0


def record_ends(data: bytes) -> Array:
    """The positions of line ends outside quotes; for ``\\r\\n`` both bytes."""
    b = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero((b == LINE) | (b == RETURN))
    return outside(ends, quotes_in(b))


@dataclass(frozen=True)
class Records:
    """Records of ``width`` fields each, as bytes that polars splits correctly.

    ``ends`` are the ends of the fields, row by row. If ``spaced``, there are spaces around quotes,
    which must be trimmed first. The chunk had ``lines`` lines. Row r is r lines after its first
    line, or ``at[r]`` lines after it. ``left_out`` rows were left out; ``named`` are the first of
    them. ``blank`` is (first line, number) of blank lines after the last row, an error if more rows
    follow in a later chunk.
    """

    data: bytes
    rows: int
    ends: Array
    lines: int
    quoted: bool
    spaced: bool = False
    at: Array | None = None
    blank: tuple[int, int] | None = None
    left_out: int = 0
    named: tuple[tuple[int, str], ...] = ()


def split(
    data: bytes,
    separator: int | None,
    width: int | None,
    *,
    last: bool,
    skip: bool = False,
    comment: int | None = None,
) -> Records:
    """The records in ``data``, which ends with a line end; raises ``Fault`` for a wrong one.

    Without ``width`` any number of fields is allowed. ``skip`` leaves out records of another width.
    Lines of the byte ``comment`` alone are no records (see ``Cleared``).
    """
    if (wrong := _text_fault(data)) is not None:
        before = data[: _last_end(data[: wrong.byte] + b"x")]
        if before:  # these may have an earlier fault
            records = split(before, separator, width, last=False, skip=skip, comment=comment)
            if records.blank and not skip:
                raise Fault(records.blank[0], BLANK_LINE)
        raise wrong
    cut = _cut(data, separator, last)
    if width is not None and cut.fault is None and _regular(cut, width, comment):
        return Records(cut.data, cut.rows, cut.ends, cut.lines, cut.quoted, cut.spaced)
    rows = _Rows(cut, comment)
    most, bad = rows.most, rows.blank
    if width is not None:
        bad = bad | (rows.counts != width)
    bad &= ~rows.comment
    misfits = np.flatnonzero(bad[:most])
    if len(misfits) and not skip:
        raise rows.misfit(int(misfits[0]), width, separator)
    if cut.fault is not None:
        raise cut.fault[1]
    rows.check_lengths()
    good = ~(bad | rows.comment)
    good[most:] = False
    after = most + np.flatnonzero(rows.blank[most:])
    tail = (rows.line(int(after[0])), len(after)) if len(after) else None
    named = tuple((rows.line(int(row)), rows.form(int(row))) for row in misfits[:MAX_NAMED])
    return rows.only(good, separator, blank=tail, left_out=len(misfits), named=named)


@dataclass(frozen=True)
class _Cut:
    """A chunk whose fields are known, but whose records are not checked yet.

    ``data`` (also as ``b``) is ``original`` with ``\\n`` at the end of each line. ``closes`` says
    which of the ``ends`` of fields end a record. ``fault`` is the first wrong quote: its position
    and the error.
    """

    original: bytes
    data: bytes
    b: Array
    ends: Array
    closes: Array
    rows: int
    lines: int
    quoted: bool
    spaced: bool
    fault: tuple[int, Fault] | None


def _cut(data: bytes, separator: int | None, last: bool) -> _Cut:
    original, quoted = data, b'"' in data
    b = np.frombuffer(data, np.uint8)
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        b = _with_line_ends(b, quotes_in(b) if quoted else NONE)
        data = b.tobytes()
    ends, quotes = _marks(b, quoted, separator)
    pairs = _Quotes(b, quotes, ends, separator) if quoted else None
    fault = pairs.fault(original, last) if pairs else None
    spaced = pairs is not None and pairs.spaced
    closes = b.take(ends) == LINE
    rows = int(np.count_nonzero(closes))
    lines = line_ends(original) if quoted else rows
    return _Cut(original, data, b, ends, closes, rows, lines, quoted, spaced, fault)


def _regular(cut: _Cut, width: int, comment: int | None) -> bool:
    """Whether each record is one line of ``width`` fields; false also for a chunk that is large."""
    rows, ends = cut.rows, cut.ends
    if len(ends) != rows * width or not cut.closes[width - 1 :: width].all():
        return False
    if width == 1 and rows:  # a blank line has one field too
        firsts = np.concatenate(([0], ends[:-1] + 1))
        if int(cut.b[firsts].min()) <= SPACE or (cut.b[firsts] == comment).any():
            return False
    return rows == cut.lines and len(cut.data) <= MAX_RECORD_BYTES


class _Rows:
    """The records of a chunk one by one, up to its first wrong quote.

    Their first and last bytes are at ``starts`` and ``stops``; they have ``counts`` fields. After
    the first ``most`` of them all are blank, or left out as a ``comment``.
    """

    def __init__(self, cut: _Cut, comment: int | None) -> None:
        self._cut = cut
        index = np.flatnonzero(cut.closes)
        stops = cut.ends[index]
        starts = np.concatenate(([0], stops[:-1] + 1))
        sane = None if cut.fault is None else int(np.searchsorted(stops, cut.fault[0]))
        self._starts, self._stops = starts[:sane], stops[:sane]
        self.counts = np.diff(index, prepend=-1)[:sane]
        self._at = None
        if cut.rows != cut.lines:
            self._at = np.searchsorted(_line_ends_at(cut.original), self._starts)
        self.blank = _blank(cut.b, self._starts, self._stops, self.counts)
        self.comment = np.zeros(len(self.blank), np.bool_)
        if comment is not None:
            self.comment = (cut.b[self._starts] == comment) & (self._stops == self._starts + 1)
        self.most = len(self.blank)
        if cut.fault is None:
            filled = np.flatnonzero(~(self.blank | self.comment))
            self.most = int(filled[-1]) + 1 if len(filled) else 0

    def line(self, row: int) -> int:
        """The number of lines before the row."""
        return row if self._at is None else int(self._at[row])

    def form(self, row: int) -> str:
        """The form of the row, for a message."""
        count = int(self.counts[row])
        return "is blank" if self.blank[row] else f"has {count} {plural(count, 'field')}"

    def misfit(self, row: int, width: int | None, separator: int | None) -> Fault:
        """The error for a row that is blank or of another width."""
        line = self.line(row)
        if self.blank[row]:
            return Fault(line, BLANK_LINE)
        runs = line_ends(self._cut.original, int(self._stops[row])) - line
        count = int(self.counts[row])
        marked = self._cut.b[self._starts[row]] == MARK
        return Fault(line, _misfit(self.form(row), count, width, separator, runs, marked))

    def check_lengths(self) -> None:
        """Raise for a record that is too long."""
        lengths = self._stops - self._starts
        if len(lengths) and int(lengths.max()) > MAX_RECORD_BYTES:
            row = int(np.argmax(lengths > MAX_RECORD_BYTES))
            raise _too_long(self.line(row), int(lengths[row]))

    def only(
        self,
        good: Array,
        separator: int | None,
        *,
        blank: tuple[int, int] | None,
        left_out: int,
        named: tuple[tuple[int, str], ...],
    ) -> Records:
        """The rows where ``good`` is true; the other arguments are those of ``Records``."""
        cut, at = self._cut, self._at
        data, ends = cut.data, cut.ends
        kept = int(np.count_nonzero(good))
        if kept < len(good):
            b = cut.b[np.repeat(good, self._stops - self._starts + 1)]
            data = b.tobytes()
            ends, _ = _marks(b, cut.quoted, separator)
            if at is not None:
                at = at[good]
            elif kept < self.most:
                at = np.flatnonzero(good)
        return Records(
            data, kept, ends, cut.lines, cut.quoted, cut.spaced, at, blank, left_out, named
        )


def trimmed(records: Records, separator: int | None) -> Records:
    """The records without blanks around their values."""
    b = np.frombuffer(records.data, np.uint8)
    blank = np.zeros(256, np.bool_)
    blank[[code for code in (SPACE, TAB) if code != separator]] = True
    meant = np.ones(len(b), np.bool_)
    starts = np.concatenate(([0], records.ends[:-1] + 1))
    stops = records.ends - (b[records.ends - 1] == RETURN)
    # The byte at an end is never a blank: it is a value, a separator, or a line end.
    for at, step in ((starts, 1), (stops - 1, -1)):
        for _ in range(STEPS):
            at = at[blank[b[at]]]
            meant[at] = False
            at = at + step
            if not len(at):
                break
        else:
            filled = np.flatnonzero(~blank[b])
            change = np.zeros(len(b) + 1, np.int8)
            if step == 1:
                change[at] = 1
                change[filled[np.searchsorted(filled, at)]] = -1
            else:
                before = np.searchsorted(filled, at, side="right") - 1
                change[np.where(before < 0, -1, filled[before]) + 1] = 1
                change[at + 1] -= 1
            meant &= np.cumsum(change[:-1], dtype=np.int8) == 0
    b = b[meant]
    ends, _ = _marks(b, records.quoted, separator)
    return replace(records, data=b.tobytes(), ends=ends, spaced=False)


def _too_long(line: int, length: int) -> Fault:
    return Fault(
        line,
        f": a record of {length:,} bytes or more; at most {MAX_RECORD_BYTES:,} (MAX_RECORD_BYTES): "
        "is a quote or a line end missing?",
    )


def _misfit(
    found: str, count: int, width: int | None, separator: int | None, runs: int, marked: bool
) -> str:
    cut = "" if separator is None else f', cut at "{shown(chr(separator))}"'
    hint = "correct it"
    if runs:
        hint = f"it runs over {runs + 1:,} lines, so a quote may be missing: correct it"
    elif width is not None and count > width > 1:
        hint = "put a value that holds the separator in quotes"
    if marked:
        hint = "if it is a comment, --set comment=# leaves such lines out; else correct it"
    return (
        f" {found}; expected {width} as in the first record{cut}; {hint}, or leave such rows out "
        "(--set on_bad=skip)"
    )


def _text_fault(data: bytes) -> Fault | None:
    """The first byte that is not valid UTF-8, or NUL; None if there is none."""
    null = data.find(b"\0")
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            if not 0 <= null < error.start:
                return NoText(
                    line_ends(data, error.start),
                    f": 0x{data[error.start]:02x} is not valid UTF-8 ({error.reason})"
                    f"{_readings(data, error.start)}; name the file's encoding (--set "
                    "encoding=cp1252, or latin-1, gb18030, ...), or save it as UTF-8",
                    error.start,
                )
    if null < 0:
        return None
    return Fault(
        line_ends(data, null),
        ": a NUL byte, which text cannot hold; remove it, or name the encoding if this is UTF-16 "
        "without a byte-order mark (--set encoding=utf-16-le)",
        null,
    )


def _readings(data: bytes, at: int) -> str:
    """The value at a byte that is not UTF-8, as other encodings read it."""
    first = max(data.rfind(mark, max(0, at - 60), at) for mark in VALUE_ENDS) + 1
    ends = (data.find(mark, at, at + 60) for mark in VALUE_ENDS)
    value = data[first or max(0, at - 20) : min((end for end in ends if end >= 0), default=at + 20)]
    found = []
    for encoding in ("cp1252", "gb18030"):
        try:
            found.append(f'"{shown(value.decode(encoding))}" in {encoding}')
        except UnicodeDecodeError:
            continue
    return f": the value is {', '.join(found)}" if found else ""


def quotes_in(b: Array) -> Array:
    """The positions of quotes."""
    return np.flatnonzero(b == QUOTE)


def outside(at: Array, quotes: Array) -> Array:
    """The positions in ``at`` that are outside quotes; the quotes are at ``quotes``."""
    if not len(quotes):
        return at
    bounds = np.searchsorted(at, quotes)
    begin, end = bounds[0::2], bounds[1::2]
    if len(begin) > len(end):
        end = np.append(end, len(at))
    some = np.flatnonzero(begin < end)
    if not len(some):
        return at
    change = np.zeros(len(at) + 1, np.int8)
    change[begin[some]] += 1
    change[end[some]] -= 1
    kept: Array = at[np.cumsum(change[:-1], dtype=np.int8) == 0]
    return kept


def _with_line_ends(b: Array, quotes: Array) -> Array:
    """``b`` with ``\\n`` in place of each single ``\\r`` at the end of a line."""
    returns = np.flatnonzero(b == RETURN)
    lone = returns[b[np.minimum(returns + 1, len(b) - 1)] != LINE]
    b = b.copy()
    b[outside(lone, quotes)] = LINE
    return b


def _line_ends_at(data: bytes) -> Array:
    """The positions of line ends, also inside quotes; for ``\\r\\n`` that of ``\\n``."""
    b = np.frombuffer(data, np.uint8)
    ends = b == LINE
    if b"\r" in data:
        lone = b == RETURN
        lone[:-1] &= ~ends[1:]
        ends |= lone
    return np.flatnonzero(ends)


def _marks(b: Array, quoted: bool, separator: int | None) -> tuple[Array, Array]:
    """The ends of fields (separators and line ends outside quotes), and the quotes."""
    mask = b == LINE
    if separator is not None:
        mask |= b == separator
    if not quoted:
        return np.flatnonzero(mask), NONE
    mask |= b == QUOTE
    at = np.flatnonzero(mask)
    quote = b.take(at) == QUOTE
    odd = np.cumsum(quote, dtype=np.uint8) & 1
    return at[~quote & (odd == 0)], at[quote]


def _blank(b: Array, starts: Array, stops: Array, counts: Array) -> Array:
    """Whether each record is blank."""
    spaces = np.zeros(256, np.bool_)
    spaces[list(b" \t\n\r\v\f")] = True
    blank: Array = (counts == 1) & spaces[b[starts]]
    at = np.flatnonzero(blank & (stops > starts))
    if len(at):
        filled = _before(~spaces[b])
        blank[at] = filled[starts[at]] == filled[stops[at]]
    return blank


def _before(mask: Array) -> Array:
    """The number of set values in ``mask`` before each position."""
    return np.concatenate(([0], np.cumsum(mask, dtype=np.int32)))


class _Quotes:
    """The quotes of a chunk: opening and closing ones in turn.

    A doubled quote closes and opens again. Spaces are allowed before the first quote of a field and
    after its last; ``spaced`` says whether there are any.
    """

    def __init__(self, b: Array, quotes: Array, ends: Array, separator: int | None) -> None:
        self._ends = ends
        self.opens, self.closes = quotes[0::2], quotes[1::2]
        before = b[self.opens - 1]
        if self.opens[0] == 0:
            before[0] = LINE
        after = b[self.closes + 1]
        limits = [LINE] if separator is None else [LINE, separator]
        blanks = [blank for blank in (SPACE, TAB) if blank != separator]
        self.first = before != QUOTE  # a field begins here, it does not continue
        self._good_open = np.isin(before, [*limits, QUOTE])
        self._good_close = np.isin(after, [*limits, QUOTE, RETURN])
        spaced_open = np.flatnonzero(np.isin(before, blanks))
        spaced_close = np.flatnonzero(np.isin(after, blanks))
        self.spaced = bool(len(spaced_open) or len(spaced_close))
        if not self.spaced:
            return
        filled = _before(~np.isin(b, [*blanks, RETURN]))
        opens, closes = self.opens[spaced_open], self.closes[spaced_close]
        left = np.concatenate(([-1], ends))[np.searchsorted(ends, opens)] + 1
        right = np.append(ends, len(b))[np.searchsorted(ends, closes)]
        self._good_open[spaced_open] = filled[left] == filled[opens]
        self._good_close[spaced_close] = filled[closes + 1] == filled[right]

    def fault(self, data: bytes, last: bool) -> tuple[int, Fault] | None:
        """The first quote that is misplaced or not closed: its position and the error."""
        wrong: list[tuple[int, Fault]] = []
        for k in np.flatnonzero(~self._good_open)[:1]:
            at = int(self.opens[k])
            field = data[self._field_start(at) : at + 40].splitlines()[0].decode(errors="replace")
            text = (
                f": a quote within a value that does not begin with one: {shown(field)}; put the "
                "whole value in quotes, and double those within"
            )
            wrong.append((at, Fault(line_ends(data, at), text)))
        for k in np.flatnonzero(~self._good_close)[:1]:
            at = int(self.closes[k])
            line, opened = line_ends(data, at), line_ends(data, self._opening(int(k)))
            lines = line - opened
            since = f" that opened {counted(lines, 'line')} before" if lines else ""
            rest = data[at + 1 : at + 40].splitlines()[0].decode(errors="replace")
            text = (
                f": text after the closing quote of a value{since}: {shown(rest)}; double the "
                "quotes within a value, or close the one that was left open"
            )
            wrong.append((at, Fault(line, text)))
        if last and len(self.opens) > len(self.closes):
            at = self._opening(len(self.opens) - 1)
            text = (
                ": a quote opens here and is not closed within "
                + ("the file" if len(data) <= MAX_RECORD_BYTES else f"{MAX_RECORD_BYTES:,} bytes "
                   "(MAX_RECORD_BYTES)")
                + "; close it, or double it if it is part of the value"
            )  # fmt: skip
            wrong.append((at, Fault(line_ends(data, at), text)))
        return min(wrong, key=lambda pair: pair[0]) if wrong else None

    def _field_start(self, at: int) -> int:
        before = int(np.searchsorted(self._ends, at))
        return int(self._ends[before - 1]) + 1 if before else 0

    def _opening(self, index: int) -> int:
        """The quote that begins the field of the opening quote ``index``."""
        return int(self.opens[np.flatnonzero(self.first[: index + 1])[-1]])

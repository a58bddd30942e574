"""The values of a text file's columns: which of them are numbers.

Each chunk is examined alone, in threads, but the kind of a column depends on all chunks. A chunk
whose values are all numbers is kept as numbers, else as text. If a column is text in the end, but
some chunk was kept as numbers, the column is read a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from linnet.core.later import polars as pl
from linnet.data.text.lines import QUOTE, RETURN, SPACE, TAB, Array, Records
from linnet.data.written import CODE, NUMBER

MAX_DIGITS = 15
"""float64 holds every whole number of up to this many digits exactly."""

SPACED, NUMERIC, CODED, EMPTY, BLANK, WIDE = 1, 2, 4, 8, 16, 32
"""Flags for what the values of a column may be, by their bytes: with spaces around them; numbers;
codes; missing; with spaces that can be trimmed; with spaces that are not ASCII."""

ZERO, NINE, PLUS, MINUS, POINT = b"09+-."

BLOCK = 1 << 17
"""The approximate number of values examined at once."""


class Look:
    """Decides from the bytes of values which columns must be examined as text."""

    def __init__(self, empty: frozenset[str]) -> None:
        words = {word.strip().encode() for word in empty}
        self._longest = max(map(len, words), default=0)
        self._empty = np.zeros((self._longest + 1, 256), np.bool_)
        for word in words - {b""}:
            self._empty[len(word), word[0]] = True
        edge = np.zeros(256, np.uint8)
        edge[: SPACE + 1] = SPACED
        edge[[SPACE, TAB]] |= BLANK
        edge[128:] = WIDE
        self._last = edge.tobytes()
        edge[[*range(ZERO, NINE + 1), PLUS, MINUS, POINT]] |= NUMERIC
        edge[[PLUS, MINUS, ZERO]] |= CODED  # possibly
        edge[np.flatnonzero(self._empty.any(axis=0))] |= EMPTY  # possibly
        self._first = edge.tobytes()

    def __call__(self, records: Records, width: int, use: Array | None) -> Array:
        """The flags of each column, or of each column in ``use``."""
        b = np.frombuffer(records.data, np.uint8)
        returns = b"\r" in records.data
        flags = np.zeros(width if use is None else len(use), np.uint8)
        step = max(1, BLOCK // width) * width
        for start in range(0, len(records.ends), step):  # few at a time, to stay in the cache
            end = records.ends[start : start + step].copy()
            first = int(records.ends[start - 1]) + 1 if start else 0
            flags |= self._block(b, first, end, width, use, returns, records.quoted)
        return flags

    def _block(
        self,
        b: Array,
        start: int,
        end: Array,
        width: int,
        use: Array | None,
        returns: bool,
        quotes: bool,
    ) -> Array:
        """The flags of the columns in records with field ends ``end``, from ``start`` on."""
        begin = np.empty_like(end)
        begin[:1] = start
        np.add(end[:-1], 1, out=begin[1:])
        if returns:
            end[width - 1 :: width] -= b.take(end[width - 1 :: width] - 1) == RETURN
        if use is not None:
            begin = begin.reshape(-1, width)[:, use].reshape(-1)
            end = end.reshape(-1, width)[:, use].reshape(-1)
        first = b.take(begin)
        if quotes:
            quoted = first == QUOTE
            begin += quoted
            end -= quoted
            first = b.take(begin)
        length = end - begin
        end -= 1
        flags: Array = _mapped(first, self._first)
        flags |= _mapped(b.take(end), self._last)
        void = np.flatnonzero(length <= 0)
        flags[void] = 0
        there = np.bitwise_or.reduce(flags) if len(flags) else 0
        if there & EMPTY:
            _settle(flags, EMPTY, lambda at: self._are_empty(length[at], first[at]))
        if there & CODED:
            _settle(flags, CODED, lambda at: _zeros(b, begin[at], first[at]))
        if there & WIDE:
            _settle(flags, WIDE, lambda at: _wide_spaces(b, begin[at], end[at]))
            flags[np.flatnonzero(flags & WIDE)] |= SPACED
        some = np.flatnonzero(length > MAX_DIGITS)
        for step in (1, 2, 3):  # a point there: not a code
            some = some[b.take(begin[some] + step) != POINT]
        flags[some] |= CODED
        if quotes:
            flags[quoted] &= ~np.uint8(BLANK)
            flags[void] = EMPTY  # polars has null for what is between separators, "" if quoted
        return _columns_of(flags, width if use is None else len(use))

    def _are_empty(self, length: Array, first: Array) -> Array:
        known: Array = self._empty[np.minimum(length, self._longest), first]
        return known & (length <= self._longest)


def _mapped(values: Array, table: bytes) -> Array:
    return np.frombuffer(bytearray(values.tobytes().translate(table)), np.uint8)


def _settle(flags: Array, flag: int, judge: Callable[[Array], Array]) -> None:
    """Remove a flag that the first byte set wrongly."""
    some = np.flatnonzero((flags & flag) != 0)
    flags[some[~judge(some)]] &= ~np.uint8(flag)


def _zeros(b: Array, begin: Array, first: Array) -> Array:
    """Whether values begin with a zero and another digit, after an optional sign."""
    after = b.take(begin + 1)  # at least a line end follows
    zeros: Array = (first == ZERO) & (after >= ZERO) & (after <= NINE)
    signed = np.flatnonzero((first != ZERO) & (after == ZERO))
    after = b.take(begin[signed] + 2)
    zeros[signed[(after >= ZERO) & (after <= NINE)]] = True
    return zeros


def _wide_spaces(b: Array, begin: Array, last: Array) -> Array:
    """Whether values may begin or end with a space that is not ASCII."""
    found = np.zeros(len(begin), np.bool_)
    for one, two in ((b[begin], b[begin + 1]), (b[last - 1], b[last])):
        found |= (one == 0xC2) & ((two == 0x85) | (two == 0xA0))
    for one, two in ((b[begin], b[begin + 1]), (b[last - 2], b[last - 1])):
        found |= (one == 0xE1) & (two == 0x9A)
        found |= (one == 0xE2) & ((two == 0x80) | (two == 0x81))
        found |= (one == 0xE3) & (two == 0x80)
    return found


def _columns_of(flags: Array, width: int) -> Array:
    """Combine the flags of all rows for each column; several rows at once, because NumPy is slow
    for short rows."""
    fold = max(1, 1024 // width)
    whole = len(flags) // (width * fold) * width * fold
    most = np.bitwise_or.reduce(flags[:whole].reshape(-1, width * fold), axis=0)
    rest = flags[whole:].reshape(-1, width)
    joined: Array = np.bitwise_or.reduce(np.concatenate((most.reshape(-1, width), rest)), axis=0)
    return joined


@dataclass(slots=True)
class Tally:
    """Counts of the kinds of values in a column: ``codes``, and ``others`` that are neither numbers
    nor codes. ``huge`` is the first (row, value) of a number that float64 cannot hold."""

    codes: int = 0
    others: int = 0
    huge: tuple[int, str] | None = None

    def add(self, later: Tally, row: int) -> None:
        """Add the counts of a later chunk, which begins ``row`` rows further on."""
        self.codes += later.codes
        self.others += later.others
        if self.huge is None and later.huge is not None:
            self.huge = later.huge[0] + row, later.huge[1]


def text_of(values: pl.Series, flags: int, empty: Sequence[str]) -> pl.Series:
    """Values without spaces around them, null where they mean missing."""
    if flags & SPACED:
        values = values.str.strip_chars()
    if flags & (SPACED | EMPTY):
        missing = values.is_in(empty)
        if missing.any():
            values = pl.select(pl.when(~missing).then(values)).to_series()
    return values


def examine(
    values: pl.Series, flags: int, empty: Sequence[str], as_text: bool
) -> tuple[pl.Series, Tally]:
    """``values`` as numbers if all are and not ``as_text``, else as text; and their tally."""
    text = text_of(values, flags, empty)
    present = len(text) - text.null_count()
    if not flags & (NUMERIC | SPACED):
        if not present:
            return (text if as_text else text.cast(pl.Float64)), Tally()
        return text, Tally(others=present)
    numbers = text.cast(pl.Float64, strict=False)
    failed = numbers.null_count() - (len(text) - present)
    if not failed and not flags & CODED and isfinite(float(numbers.sum())):
        return (text if as_text else numbers), Tally()
    tally = Tally()
    if flags & (CODED | SPACED):
        likely = text.filter(~text.str.contains(".", literal=True))
        tally.codes = int(likely.str.contains(CODE).sum())
    # No pattern over all values: polars reads what NUMBER matches, and also inf and nan.
    odd = (numbers.is_null() & text.is_not_null()) | ~numbers.is_finite().fill_null(True)
    rows = odd.arg_true()
    if len(rows):
        words = text.gather(rows)
        beyond = ~numbers.gather(rows).is_finite().fill_null(True)
        huge = beyond & words.str.contains(NUMBER)
        codes = huge & words.str.contains(CODE)  # digits beyond float64 are codes
        huge &= ~codes
        tally.huge = _first(rows, words, huge)
        tally.others = int((~(huge | codes)).sum())
    keep = as_text or bool(tally.codes or tally.others or tally.huge)
    return (text if keep else numbers), tally


def _first(rows: pl.Series, words: pl.Series, which: pl.Series) -> tuple[int, str] | None:
    found = which.arg_true()
    return (int(rows[found[0]]), str(words[found[0]])) if len(found) else None

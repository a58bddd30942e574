"""Read JSON lines into columns, block by block."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from linnet.core import memory
from linnet.core.later import polars as pl
from linnet.core.text import counted, literal
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.data.text.columns import to_table
from linnet.data.text.header import MAX_COLUMNS
from linnet.data.text.lines import MAX_NAMED, MAX_RECORD_BYTES, Fault, Stream, shown
from linnet.data.text.packed import Inside, inside
from linnet.errors import DataError

BLOCK_BYTES = 4 << 20
"""The approximate number of bytes that are turned into columns at once."""

MOST_WHOLE = 2**63

KINDS = {str: "text", bool: "a truth value", int: "a number", float: "a number"}

AS_LINES = (
    "expected one object a line: in pandas frame.to_json(path, orient='records', lines=True), "
    "with jq: jq -c '.[]'"
)


def read_lines(path: Path, reading: Reading) -> Table:
    """The table in the JSON lines ``path``."""
    try:
        with open(path, "rb") as file:
            return _Objects(Stream(file, path, reading.encoding), path, reading).table()
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror or error}") from error


class _Wrong(Exception):
    """What is wrong with a line."""


class _Column:
    """One column while it is read: whole blocks as ``parts``, and the values of this block."""

    def __init__(self, rows: int, before: int) -> None:
        self.parts = [pl.Series([None] * rows, dtype=pl.Null)] if rows else []
        self.values: list[Any] = [None] * before
        self.kind: str | None = None
        self.lacking = rows + before

    def close(self) -> None:
        """Turn the values of this block into a part."""
        kinds = set(map(type, self.values)) - {type(None)}
        dtype: Any = pl.Null
        if kinds:
            dtype = {str: pl.String, bool: pl.Boolean}.get(next(iter(kinds)), pl.Float64)
        if kinds == {int}:
            dtype = pl.Int64
        self.parts.append(pl.Series(self.values, dtype=dtype, strict=dtype != pl.Float64))
        self.values = []

    def whole(self, name: str) -> pl.Series:
        """All parts, as numbers with a point if some are."""
        dtypes = {part.dtype for part in self.parts} - {pl.Null()}
        dtype = pl.Float64() if len(dtypes) > 1 else next(iter(dtypes), pl.Null())
        parts = [part.cast(dtype) for part in self.parts]
        self.parts = []
        return pl.concat(parts).alias(name)


class _Objects:
    """Reads one file."""

    def __init__(self, stream: Stream, path: Path, reading: Reading) -> None:
        self._stream = stream
        self._path = path
        self._reading = reading
        self._columns: dict[str, _Column] = {}
        self._lines = array("q")
        self._closed = 0  # rows in whole blocks
        self._left_out: list[tuple[int, str]] = []
        self._decode = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant).decode

    def table(self) -> Table:
        number = 0
        blank = 0
        asked = 0
        for block in self._blocks():
            for line in block:
                number += 1
                if not line.strip():
                    blank = blank or number
                    continue
                if blank:
                    self._bad(blank, "is blank, and rows follow")
                    blank = 0
                self._line(number, line)
            self._close()
            if self._stream.made >= 2 * asked:
                asked = self._stream.made
                size = sum(int(p.estimated_size()) for c in self._columns.values() for p in c.parts)
                memory.require(2 * size, str(self._path))
        rows = len(self._lines)
        if not rows or not self._columns:
            raise DataError(f"{self._path}: holds no rows; {AS_LINES}")
        lines = self._lines

        def where(row: int) -> str:
            return f"line {lines[row]}"

        found = inside(self._path) or Inside(self._path.name)
        names = list(self._columns)
        table = to_table(
            ((name, self._columns.pop(name).whole(name)) for name in names),
            found.stem, self._reading, names=names, source=str(self._path), where=where,
            notes=(*found.notes(), *self._notes(rows)),
        )  # fmt: skip
        return Table(table.columns, table.name, lines.__getitem__, table.notes)

    def _blocks(self) -> Iterator[list[bytes]]:
        """The lines of each block."""
        rest = b""
        try:
            while data := self._stream.read(BLOCK_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                if len(rest) > MAX_RECORD_BYTES:
                    raise DataError(
                        f"{self._path}: a line of more than {MAX_RECORD_BYTES:,} bytes "
                        f"(MAX_RECORD_BYTES); {AS_LINES}"
                    )
                yield lines
        except Fault as fault:
            raise DataError(f"{self._path}{fault.text}") from fault
        if rest:
            yield [rest]

    def _line(self, number: int, line: bytes) -> None:
        """Add the object of a line."""
        try:
            row = self._object(line)
            taken = {key: self._value(key, value) for key, value in row.items()}
        except _Wrong as error:
            self._bad(number, str(error))
            return
        block = len(self._lines) - self._closed
        for key, value in taken.items():
            column = self._columns.get(key)
            if column is None:
                column = self._columns[key] = _Column(self._closed, block)
                if len(self._columns) > MAX_COLUMNS:
                    raise DataError(
                        f"{self._path}: line {number}: more than {MAX_COLUMNS:,} different keys "
                        "(MAX_COLUMNS)"
                    )
            column.values.append(value)
            if column.kind is None and value is not None:
                column.kind = KINDS[type(value)]
        self._lines.append(number)
        if len(taken) < len(self._columns):
            for column in self._columns.values():
                if len(column.values) == block:
                    column.values.append(None)
                    column.lacking += 1

    def _object(self, line: bytes) -> dict[str, Any]:
        if line.lstrip()[:1] == b"[":
            raise _Wrong(f"is a JSON array; {AS_LINES}")
        try:
            row = self._decode(line.decode())
        except UnicodeDecodeError as error:
            raise _Wrong(
                f"is not valid UTF-8 ({error.reason}); name the encoding (--set encoding=gb18030, "
                "cp1252, ...)"
            ) from error
        except RecursionError as error:
            raise _Wrong("is nested too deeply") from error
        except ValueError as error:
            raise _Wrong(f"is not JSON: {str(error)[:200]}; {AS_LINES}") from error
        if not isinstance(row, dict):
            raise _Wrong(f"holds {literal(row)}; {AS_LINES}")
        return row

    def _value(self, key: str, value: Any) -> Any:
        """A value as a column can hold it."""
        if key in self._reading.drop or value is None:
            return None
        if isinstance(value, float) and value != value:
            return None
        if isinstance(value, str):
            if value.strip() in self._reading.empty:
                return None
            _check_text(key, value)
        kind = KINDS.get(type(value))
        if kind is None:
            what = "an object" if isinstance(value, dict) else "a list"
            raise _Wrong(
                f'has {what} in "{shown(key)}"; expected one value: take it apart into columns '
                f"(in pandas json_normalize), or leave it out (drop={shown(key)})"
            )
        if kind == "a number" and abs(value) >= MOST_WHOLE and isinstance(value, int):
            raise _Wrong(f'has a whole number beyond 64 bits in "{shown(key)}"; write it as text')
        column = self._columns.get(key)
        if column is None:
            _check_text(key, key)
        else:
            column.kind = column.kind or kind
            if column.kind != kind:
                raise _Wrong(
                    f'has {literal(value)}, {kind}, in "{shown(key)}", where lines before have '
                    f"{column.kind}; write one kind in all"
                )
        return value

    def _bad(self, number: int, what: str) -> None:
        """Note a line that is left out; raise if none may be."""
        if self._reading.on_bad != "skip":
            raise DataError(
                f"{self._path}: line {number} {what}; or leave such lines out (--set on_bad=skip)"
            )
        self._left_out.append((number, what.partition(";")[0]))

    def _close(self) -> None:
        for column in self._columns.values():
            column.close()
        self._closed = len(self._lines)

    def _notes(self, rows: int) -> list[str]:
        notes = []
        lacking = {name: c.lacking for name, c in self._columns.items() if c.lacking}
        for name, count in list(lacking.items())[:5]:
            notes.append(
                f'"{shown(name)}" is not there in {counted(count, "line")}: missing values'
            )
        if len(lacking) > 5:
            notes.append(f"{len(lacking):,} keys are not there in all lines")
        if self._left_out:
            named = ", ".join(f"line {n} {what}" for n, what in self._left_out[:MAX_NAMED])
            more = ", ..." if len(self._left_out) > MAX_NAMED else ""
            notes.append(f"left out: {counted(len(self._left_out), 'line')}: {named}{more}")
        return notes


def _check_text(key: str, text: str) -> None:
    """Raise for halves of characters, which JSON can write and no text can hold."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _Wrong(f"has half a character in {literal(key)}; correct it") from None


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(items)
    if len(row) != len(items):
        keys = [key for key, _ in items]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {literal(twice)} is there twice")
    return row


def _constant(text: str) -> float:
    """NaN as pandas and NumPy write a missing value; infinities are refused later, by column."""
    return float(text.replace("Infinity", "inf"))

"""Excel workbooks (.xlsx), read with openpyxl if it is installed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linnet.core import memory
from linnet.core.text import counted, listed, of_path
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.data.text.packed import is_small
from linnet.errors import DataError, WorkError

if TYPE_CHECKING:
    import polars

ENDINGS = (".xlsx", ".xlsm")
OTHERS = (".xls", ".xlsb", ".ods")

MAX_RATIO, SMALL_BYTES = 200, 32 << 20
"""A workbook of more than ``SMALL_BYTES``, unpacked, is refused if it is more than this many times
its size: the XML of sheets becomes 10 to 20 times."""

CELL_BYTES = 100
"""The memory of a cell while a sheet is read."""

ERRORS = ("#N/A", "#VALUE!", "#DIV/0!", "#REF!", "#NUM!", "#NAME?", "#NULL!")
"""What formulas give that have no value: missing."""


class Excel:
    """The first sheet of a workbook whose name ends in ``.xlsx`` or ``.xlsm``.

    Its first row holds the names of the columns. The values of formulas are those that Excel saved.
    Empty rows at the end, and empty columns without a name, are left out. Needs openpyxl.
    """

    def matches(self, place: object) -> bool:
        if not isinstance(place, Path) or not place.is_file():
            return False
        return place.name.lower().endswith((*ENDINGS, *OTHERS))

    def read(self, place: Path, reading: Reading) -> Table:
        source = of_path(place)
        if not place.name.lower().endswith(ENDINGS):
            raise DataError(
                f"{source}: of workbooks only .xlsx is read; save it as .xlsx, or as CSV (UTF-8)"
            )
        _check(place, source)
        try:
            import openpyxl
        except ImportError as error:
            raise WorkError(
                f"{source}: to read Excel workbooks, install openpyxl (pip install openpyxl); or "
                "save the sheet as CSV (UTF-8)"
            ) from error
        try:
            book = openpyxl.load_workbook(place, read_only=True, data_only=True, keep_links=False)
            sheets = list(book.sheetnames)
            rows = list(_rows(book.worksheets[0].iter_rows(values_only=True), source))
            book.close()
        except (DataError, MemoryError):
            raise
        except Exception as error:  # whatever it raises for damaged files
            raise DataError(
                f"{source}: openpyxl cannot read it: {type(error).__name__}: {str(error)[:200]}; "
                "save it again, or as CSV (UTF-8)"
            ) from error
        return _table(place, source, rows, sheets, reading)


def _check(place: Path, source: str) -> None:
    """Raise, before anything is unpacked, if a workbook would become far larger than it is."""
    try:
        with open(place, "rb") as file:
            if not is_small(file):
                raise zipfile.BadZipFile("its list of members is missing, or too long")
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(
            f"{source}: no whole workbook: {error}; save it again, or as CSV (UTF-8)"
        ) from error
    size = place.stat().st_size
    whole = sum(member.file_size for member in members)
    if whole > SMALL_BYTES and whole > MAX_RATIO * size:
        raise DataError(
            f"{source}: {size:,} bytes that become {whole:,} when unpacked, more than {MAX_RATIO} "
            "times as many (MAX_RATIO); save the sheet as CSV (UTF-8) if you trust it"
        )
    memory.require(whole, source)


def _rows(found: Iterator[tuple[Any, ...]], source: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a sheet; raises if they would not fit into memory."""
    cells = asked = 0
    for row in found:
        cells += len(row)
        if cells >= asked:
            memory.require(CELL_BYTES * cells, f"{source}, of which {cells:,} cells are read,")
            asked = max(1 << 16, 2 * cells)
        yield row


def _table(
    place: Path, source: str, rows: list[tuple[Any, ...]], sheets: list[str], reading: Reading
) -> Table:
    """The table in the rows of a sheet."""
    from linnet.data.text.columns import to_table

    while rows and all(value is None for value in rows[-1]):
        rows.pop()
    if reading.skip:
        del rows[: reading.skip]
    if len(rows) < 1 + reading.header:
        raise DataError(
            f"{source}: its first sheet {sheets[0]!r} has no rows; expected a table there"
        )
    width = max(map(len, rows))
    first = [*rows[0], *[None] * (width - len(rows[0]))]
    names = [f"c{index}" for index in range(width)]
    if reading.header:
        names = ["" if name is None else str(name).strip() for name in first]
    body = rows[reading.header :]
    first_line = 1 + reading.skip + reading.header
    columns: list[tuple[str, polars.Series]] = []
    void = 0
    for index, name in enumerate(names):
        values = [_plain(row[index]) if index < len(row) else None for row in body]
        row = next((row for row, value in enumerate(values) if value is not None), None)
        if not name and row is not None:
            begin = next((at for at, each in enumerate(rows) if _names(each, width)), 0)
            skip = f", or skip the rows before the table (--set skip={reading.skip + begin})"
            raise DataError(
                f"{source}: the column {index + 1} of the sheet {sheets[0]!r} has no name, and row "
                f"{first_line + row} has a value there; give it a name{skip if begin else ''}"
            )
        void += not name
        if name and name not in reading.drop:
            columns.append((name, _series(values, name, source)))
    notes = [f"{counted(void, 'column')} without a name and a value: left out"] if void else []
    if len(sheets) > 1:
        notes.append(
            f"the first sheet {sheets[0]!r} is read, and left out: {listed(sheets[1:], 5)}"
        )

    def where(row: int) -> str:
        return f"row {first_line + row}"

    table = to_table(
        columns, of_path(place.stem), reading, names=[name for name in names if name],
        source=source, where=where, notes=tuple(notes),
    )  # fmt: skip
    return Table(table.columns, table.name, where, table.notes)


def _names(row: tuple[Any, ...], width: int) -> bool:
    """Whether a row may be the names of columns."""
    return len(row) == width and all(isinstance(value, str) for value in row)


def _plain(value: Any) -> Any:
    """A cell as a table holds it: without errors, and times of day as text."""
    if isinstance(value, str) and value in ERRORS:
        return None
    return value.isoformat() if isinstance(value, time) else value


def _series(values: list[Any], name: str, source: str) -> polars.Series:
    """The values of a column as one type: as text, as in a text file, if they are of several."""
    from linnet.data.text.columns import of_objects

    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 and not kinds <= {int, float}:
        values = [None if value is None else _text(value) for value in values]
    return of_objects(values, np.array([value is None for value in values]), name, source)


def _text(value: Any) -> str:
    """A cell as a text file would have it."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)

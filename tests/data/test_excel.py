"""Excel workbooks: read with openpyxl if it is installed, else told what to install."""

import io
import sys
import zipfile
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pytest

from helpers import refusal
from linnet.core import memory
from linnet.data.read import read_raw
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.errors import DataError, WorkError

ROWS: list[tuple[Any, ...]] = [
    ("x", "s", "day", "mixed", "at", "yes", None),
    (1, "a", datetime(2024, 1, 2), 1.5, time(10, 30), True),
    (2.5, "b ", datetime(2024, 1, 3), "k7", time(11, 0), False),
    (None, "#N/A", None, 3.0, None, None, None),
    (None, None, None),
]


class Sheet:
    """A sheet as openpyxl gives it."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self.rows = rows

    def iter_rows(self, values_only: bool) -> Any:
        return iter(self.rows)


class Book:
    """A workbook, and the module that reads it."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self.worksheets, self.sheetnames = [Sheet(rows)], ["Data", "Notes"]

    def load_workbook(self, *_: object, **__: object) -> "Book":
        return self

    def close(self) -> None:
        pass


def workbook(folder: Path, size: int = 10) -> Path:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "x" * size)
    (folder / "t.xlsx").write_bytes(content.getvalue())
    return folder / "t.xlsx"


def load(path: Path, **settings: Any) -> Table:
    found = read_raw(path, Reading(**settings))
    assert isinstance(found, Table)
    return found


def put(monkeypatch: pytest.MonkeyPatch, rows: list[tuple[Any, ...]]) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", Book(rows))


def test_without_openpyxl_its_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    said = refusal(load, workbook(tmp_path), error=WorkError)
    assert "pip install openpyxl" in said and "save the sheet as CSV" in said


def test_the_first_sheet_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, ROWS)
    table = load(workbook(tmp_path))
    assert {name: column.to_list() for name, column in table.columns.items()} == {
        "x": [1, 2.5, None], "s": ["a", "b", None],
        "day": [datetime(2024, 1, 2), datetime(2024, 1, 3), None],
        "mixed": ["1.5", "k7", "3"], "at": ["10:30:00", "11:00:00", None],
        "yes": [True, False, None],
    }  # fmt: skip
    assert table.where(1) == "row 3" and table.name == "t"
    assert table.notes == (
        "1 column without a name and a value: left out",
        "the first sheet 'Data' is read, and left out: Notes",
    )
    assert "s" not in load(workbook(tmp_path), drop=("s",)).columns


def test_rows_before_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, [("Report", None), (None, None), ("a", "b"), (1, 2), (3, 4)])
    said = refusal(load, workbook(tmp_path))
    assert "the column 2 of the sheet 'Data' has no name, and row 3 has a value" in said
    assert "--set skip=2" in said
    table = load(workbook(tmp_path), skip=2)
    assert list(table.columns) == ["a", "b"] and table.where(1) == "row 5"
    assert list(load(workbook(tmp_path), skip=3, header=False).columns) == ["c0", "c1"]


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, [("a", "b")])
    assert "its first sheet 'Data' has no rows" in refusal(load, workbook(tmp_path))
    (tmp_path / "t.xlsx").write_bytes(b"a,b\n1,2\n")
    assert "no whole workbook" in refusal(load, tmp_path / "t.xlsx")
    (tmp_path / "t.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    assert "save it as .xlsx, or as CSV" in refusal(load, tmp_path / "t.xls")

    def fails(*_: object, **__: object) -> None:
        raise KeyError("no sheet")

    monkeypatch.setattr(sys.modules["openpyxl"], "load_workbook", fails)
    assert "openpyxl cannot read it: KeyError" in refusal(load, workbook(tmp_path))


def test_a_workbook_that_swells_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, ROWS)
    path = workbook(tmp_path, 40 << 20)
    assert path.stat().st_size < 1 << 17
    assert "MAX_RATIO" in refusal(load, path)
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(DataError, match="needs about"):
        load(workbook(tmp_path, 2000))

"""Text files of tables: what is read from them, and each fault told with file and line."""

import csv
import gzip
import io
import math
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import refusal
from linnet.core import memory
from linnet.data import forms
from linnet.data.kinds import infer
from linnet.data.reading import MISSING, Reading
from linnet.data.table import Table, Warned
from linnet.data.text import header, lines, reader
from linnet.data.text.csv import Csv
from linnet.errors import DataError

SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


@pytest.fixture(params=[1, 7, 40, 4 << 20])
def chunked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Chunks of few bytes, so that their bounds are everywhere."""
    monkeypatch.setattr(lines, "CHUNK_BYTES", request.param)
    monkeypatch.setattr(reader, "BYTES_A_COLUMN", 0)
    return int(request.param)


def put(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def load(path: Path, **settings: Any) -> Table:
    assert Csv().matches(path)
    return Csv().read(path, Reading(**settings))


def values(table: Table) -> dict[str, list[Any]]:
    return {name: column.to_list() for name, column in table.columns.items()}


def read(path: Path, **settings: Any) -> dict[str, list[Any]]:
    """The values as a data set takes them: numbers as people write them are numbers."""
    reading = Reading(**settings)
    table = load(path, **settings)
    found = {}
    for name, series in table.columns.items():
        column = infer(series, reading.columns.get(name), table, reading)
        typed = column.format and series.dtype == pl.String
        found[name] = (forms.read(series, column.format) if typed else series).to_list()
    return found


def told(path: Path, **settings: Any) -> str:
    """The error of a value that is not what the others of its column are."""
    said = refusal(read, path, **settings)
    assert said.startswith(f"{path.stem}, line ") and len(said) < 1000
    return said


def refused(path: Path, **settings: Any) -> str:
    said = refusal(load, path, **settings)
    assert str(path) in said and len(said) < 1000
    return said


def test_numbers_and_text_come_by_name_in_order(tmp_path: Path, chunked: int) -> None:
    path = put(tmp_path, "a,b,c\n1,x,\n-2.5e3,?,NA\n.5,y y,7\n")
    table = load(path)
    assert values(table) == {"a": [1, -2500, 0.5], "b": ["x", None, "y y"], "c": [None, None, 7]}
    assert [column.dtype for column in table.columns.values()] == [
        pl.Float64,
        pl.String,
        pl.Float64,
    ]
    assert [column.name for column in table.columns.values()] == ["a", "b", "c"]
    assert table.name == "t" and table.notes == () and len(table) == 3
    assert [table.where(row) for row in range(3)] == ["line 2", "line 3", "line 4"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_of_every_kind(end: str, last: bool, tmp_path: Path, chunked: int) -> None:
    rows = ["a,b", '1,"x\r\ny"', '2,"x\ry"', '3,"x\ny"', "4,"]
    table = load(put(tmp_path, end.join(rows) + end * last))
    assert values(table) == {"a": [1, 2, 3, 4], "b": ["x\r\ny", "x\ry", "x\ny", None]}
    assert table.line is not None and [table.line(row) for row in range(4)] == [2, 4, 6, 8]


def test_line_ends_mixed(tmp_path: Path, chunked: int) -> None:
    table = load(put(tmp_path, "a,b\r\n1,2\r3,4\n5,6\r\n7,8\r9,10\r\n\n\r\r\n"))
    assert values(table) == {"a": [1, 3, 5, 7, 9], "b": [2, 4, 6, 8, 10]}
    assert table.where(4) == "line 6"


def test_spaces_around_values_do_not_matter(tmp_path: Path, chunked: int) -> None:
    rows = ['a , "b, c",  d', '39, "State, gov"  , x ', ' 40,"  y  " ,\t z\u3000', "  ? , NA,\xa0"]
    table = load(put(tmp_path, "\n".join(rows)))
    assert values(table) == {
        "a": [39, 40, None],
        "b, c": ["State, gov", "y", None],
        "d": ["x", "z", None],
    }
    many = " " * 1000
    table = load(put(tmp_path, f'a,b\n{many}1{many},{many}"x"{many}\n{many},2{many}\n'))
    assert values(table) == {"a": [1, None], "b": ["x", "2"]}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separator_is_found(separator: str, tmp_path: Path, chunked: int) -> None:
    rows = [["a,", "b", "c"], ["1", 'x"y', "p|q;"], ["2", "\t", "r,s"]]
    with open(tmp_path / "t.csv", "w", newline="") as file:
        csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(rows)
    assert values(load(tmp_path / "t.csv")) == {
        "a,": [1, 2],
        "b": ['x"y', None],
        "c": ["p|q;", "r,s"],
    }


def test_separator_that_fits_better_is_taken(tmp_path: Path) -> None:
    path = put(tmp_path, "1,5;2,5;x\n3,5;4,5;y\n")
    assert read(path, header=False) == {
        "c0": [1.5, 3.5],
        "c1": [2.5, 4.5],
        "c2": ["x", "y"],
    }
    path = put(tmp_path, "1,2,A|B\n3,4,C|D\n")
    assert list(values(load(path, header=False))) == ["c0", "c1", "c2"]
    path = put(tmp_path, "a\tb,c\n1\t2,3\n", "t.tsv")  # both fit, the name says which
    assert read(path, decimal=",") == {"a": [1], "b,c": [2.3]}
    path = put(tmp_path, "a\tb,c\n1\t2,3\n", "t.TAB")
    assert list(values(load(path, separator=","))) == ["a\tb", "c"]


def test_separator_may_be_given(tmp_path: Path, chunked: int) -> None:
    assert values(load(put(tmp_path, 'a b\n1 "x y"\n'), separator=" ")) == {"a": [1], "b": ["x y"]}
    path = put(tmp_path, "a,b\n1,2\n")
    for separator in ("§", '"', "\n", "\0"):
        with pytest.raises(DataError, match="expected one ASCII character"):
            load(path, separator=separator)


def test_one_column(tmp_path: Path, chunked: int) -> None:
    table = load(put(tmp_path, 'a\nx\n"y, z"\n""\nw\n\n'))
    assert values(table) == {"a": ["x", "y, z", None, "w"]}
    assert len(table.notes) == 1 and "--set separator=" in table.notes[0]
    said = refused(put(tmp_path, "a\nx\n\ny\n"))
    assert "line 3 is blank" in said
    assert "line 3 is blank" in refused(put(tmp_path, "a\nx\n  \ny\n"))


def test_short_and_long_rows_are_told(tmp_path: Path, chunked: int) -> None:
    path = put(tmp_path, "a,b,c\n1,2,3\n4,5\n6,7,8\n9,1\n")
    said = refused(path)
    assert f"{path}: line 3 has 2 fields; expected 3" in said and "--set on_bad=skip" in said
    said = refused(put(tmp_path, "a,b,c\r\n1,2,3\r\n4,5,6,7\r\n"))
    assert "line 3 has 4 fields; expected 3" in said and "in quotes" in said
    said = refused(put(tmp_path, 'a,b\n1,"x\n2,y"\n3,"x\n4"\n5\n'))
    assert "line 6 has 1 field; expected 2" in said
    said = refused(put(tmp_path, 'a,b\n1,2\n"x\n\n\n",2,3\n'))
    assert "line 3 has 3 fields" in said and "runs over 4 lines" in said


def test_blank_rows_are_told_unless_at_the_end(tmp_path: Path, chunked: int) -> None:
    assert "line 3 is blank" in refused(put(tmp_path, "a,b\n1,2\n\n\n3,4\n"))
    assert "line 3 is blank" in refused(put(tmp_path, "a,b\r\n1,2\r\n\r\n3\r\n"))
    assert "line 1 is blank" in refused(put(tmp_path, "\n\na,b\n1,2\n"))
    assert values(load(put(tmp_path, "a,b\n1,2\n\n \n\r\n"))) == {"a": [1], "b": [2]}


def test_bad_rows_can_be_left_out_and_are_counted(tmp_path: Path, chunked: int) -> None:
    rows = ["", "a,b", "1,x", "2", "3,y", "", "4,x,5", '6,"z\nz"', "", " ", "7,w", "8,9,", "", ""]
    table = load(put(tmp_path, "\n".join(rows)), on_bad="skip")
    assert values(table) == {"a": [1, 3, 6, 7], "b": ["x", "y", "z\nz", "w"]}
    assert [table.where(row) for row in range(4)] == ["line 3", "line 5", "line 8", "line 12"]
    assert any("1 blank line" in note for note in table.notes)
    (note,) = [note for note in table.notes if "rows" in note]
    assert "6 rows" in note and "line 4 has 1 field, line 6 is blank, line 7 has 3" in note
    assert "no rows" in refused(put(tmp_path, "a,b\n1\n2,3,4\n\n"), on_bad="skip")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('5" disc,1', 'line 4: a quote within a value that does not begin with one: 5" disc'),
        ('x,y"z"', 'line 4: a quote within a value that does not begin with one: y"z"'),
        ('"x"y,1', "line 4: text after the closing quote of a value: y,1"),
        ('"x" "y",1', 'line 4: text after the closing quote of a value:  "y",1'),
        ('"x\n"y,1', "line 5: text after the closing quote of a value that opened 1 line before"),
        ('1,"never', "line 4: a quote opens here and is not closed within the file"),
        ('1,"ne""v', "line 4: a quote opens here and is not closed within the file"),
        ('1,"ne\n""', "line 4: a quote opens here and is not closed within the file"),
    ],
)
def test_quotes_amiss(row: str, message: str, tmp_path: Path, chunked: int) -> None:
    good = 'a,b\n1,"x\n""y"""\n'
    closing = "" if "opens here" in message else "2,3\n" * 5
    said = refused(put(tmp_path, f"{good}{row}\n{closing}"))
    assert message in said
    assert "double" in said
    assert refused(put(tmp_path, f"{good}{row}\n{closing}"), on_bad="skip") == said


def test_first_fault_is_told_even_before_a_quote_amiss(tmp_path: Path, chunked: int) -> None:
    assert "line 3 has 1 field" in refused(put(tmp_path, 'a,b\n1,2\n3\n4,x"y\n5,"6\n'))
    assert "line 3: a quote" in refused(put(tmp_path, 'a,b\n1,2\n4,x"y\n3\n'))
    assert "line 3 is blank" in refused(put(tmp_path, 'a,b\n1,2\n\n\n4,x"y\n'))


def test_quote_that_is_never_closed_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", 50)
    monkeypatch.setattr(lines, "MAX_RECORD_BYTES", 400)
    path = put(tmp_path, 'a,b\n1,2\n3,"' + "x,y\n" * 10_000)
    said = refused(path)
    assert "line 3: a quote opens here and is not closed within 400 bytes" in said
    assert "MAX_RECORD_BYTES" in said
    said = refused(put(tmp_path, "a,b\n1,2\n3," + "x" * 10_000 + "\n"))
    assert "line 3: a record of" in said and "at most 400 (MAX_RECORD_BYTES)" in said
    packed = gzip.compress(b"a,b\n1,2\n3," + b"x" * 10_000_000)
    said = refused(put(tmp_path, packed))
    assert "line 3: a record of" in said
    long = "y" * 350
    assert values(load(put(tmp_path, f"a,b\n1,{long}\n")))["b"] == [long]


def test_nul_is_told(tmp_path: Path, chunked: int) -> None:
    said = refused(put(tmp_path, b"a,b\n1,2\n3,\x004\n"))
    assert "line 3, byte 10: a NUL" in said and "--set encoding=utf-16-le" in said
    assert "line 1" in refused(put(tmp_path, b"a,\0b\n1,2\n"))
    assert "a NUL" in refused(put(tmp_path, "a,b\n1,2\n".encode("utf-16-le")))


def test_bytes_that_are_no_utf8_are_told(tmp_path: Path, chunked: int) -> None:
    content = "a,b\nü,2\ncafé,3\n".encode()
    path = put(tmp_path, content[:9] + "caf\xe9,3\n".encode("latin-1"))
    said = refused(path)
    assert (
        "line 3, byte 12: 0xe9 is not valid UTF-8" in said
        and "--set encoding=cp1252, or latin-1" in said
    )
    path = put(tmp_path, "a,b\ncaf\xe9,3\n".encode("latin-1"))
    assert values(load(path, encoding="latin-1")) == {"a": ["café"], "b": [3]}
    path = put(tmp_path, b"\xef\xbb\xbfa,b\nx\xff,2\n")
    assert "line 2, byte 8: 0xff" in refused(path)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"],
)
def test_encodings_with_a_mark_are_found(encoding: str, tmp_path: Path, chunked: int) -> None:
    text = "ä,b\n1,ß😀\n2,x\n"
    path = put(tmp_path, (("\ufeff" * encoding.endswith("e")) + text).encode(encoding))
    expected = {"ä": [1, 2], "b": ["ß😀", "x"]}
    assert values(load(path)) == expected
    assert values(load(path, encoding=encoding)) == expected
    if encoding != "utf-8":
        assert "begins with the byte-order mark of" in refused(path, encoding="cp1252")


def test_encodings_that_are_none(tmp_path: Path) -> None:
    path = put(tmp_path, "a,b\n1,2\n")
    for name in ("klingon", "rot13", "base64", "a\0b", "../x"):
        assert "unknown encoding" in refused(path, encoding=name)
    said = refused(put(tmp_path, "a,b\n1,2\nx,é\n"), encoding="ascii")
    assert "line 3, byte 10: not valid ascii" in said and "--set encoding=" in said
    broken = "a,b\n1,2\n3,".encode("utf-16") + b"\x00\xd8" + "4\n".encode("utf-16-le")
    assert "line 3" in refused(put(tmp_path, broken))
    assert "line 3" in refused(put(tmp_path, "a,b\n1,2\n3,4".encode("utf-16")[:-1]))
    assert "line 2 has 1 field" in refused(put(tmp_path, "a,b\n1\n3,4".encode("utf-16")[:-1]))


def test_gzip_is_told_by_its_first_bytes(tmp_path: Path, chunked: int) -> None:
    content = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(500))
    packed = gzip.compress(content)
    for name, data in [("t.csv.gz", packed), ("t.tsv", packed), ("t.CSV.GZ", content)]:
        table = load(put(tmp_path, data, name))
        assert table.name == "t" and values(table)["a"] == list(range(500))
    said = refused(put(tmp_path, packed[:-20], "t.csv.gz"))
    assert "broken gzip" in said and "fetch or copy it again" in said
    wrong = packed[:-8] + bytes(4) + packed[-4:]
    assert "broken gzip" in refused(put(tmp_path, wrong, "t.csv.gz"))


def test_files_that_are_read_and_that_are_not(tmp_path: Path) -> None:
    for name in ("a.csv", "a.TSV", "a.tab", "a.txt", "a.data", "a.dat", "a.Csv.Gz"):
        assert Csv().matches(put(tmp_path, "a\n1\n", name))
    for name in ("a.parquet", "a.npz", "a", "a.gz", "csv"):
        assert not Csv().matches(put(tmp_path, "a\n1\n", name))
    assert not Csv().matches(put(tmp_path, b"PAR1....PAR1"))
    assert not Csv().matches(tmp_path) and not Csv().matches(tmp_path / "none.csv")
    assert not Csv().matches("a.csv") and not Csv().matches(None)


def test_names_twice_there_are_refused(tmp_path: Path) -> None:
    said = refused(put(tmp_path, "a,b, a \n1,2,3\n"))
    assert 'line 1: the columns 1 and 3 are both called "a"; rename one' in said
    said = refused(put(tmp_path, "é,e\u0301\n1,2\n"))
    assert "columns 1 and 2" in said and "forms of Unicode" in said
    assert "--no-header" in refused(put(tmp_path, "1,1\n2,3\n"))


def test_names_that_are_empty_are_refused(tmp_path: Path) -> None:
    said = refused(put(tmp_path, "a,,c\n1,,3\n1,2,3\n"))
    assert "the column 2 of 3 has no name, and line 3 has '2' there; give the column a name" in said
    assert "none of the 2 columns has a name" in refused(put(tmp_path, ",\n1,2\n"))


def test_an_index_without_a_name_is_left_out(tmp_path: Path, chunked: int) -> None:
    table = load(put(tmp_path, ",b,c\n0,2,3\n0,4,x\n"))
    assert values(table) == {"b": [2, 4], "c": ["3", "x"]}
    assert table.notes == ("the first column has no name, as the index of pandas, and is left out",)


def test_names_are_kept_as_they_are(tmp_path: Path, chunked: int) -> None:
    names = ["a b", "é", "e\u0301x", "x" * 4096, "__proto__", "<b>&amp;</b>", 'q"q', "l\nl", "=1+1"]
    with open(tmp_path / "t.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, range(len(names))])
    table = load(tmp_path / "t.csv")
    assert list(table.columns) == names
    assert [column.to_list() for column in table.columns.values()] == [[n] for n in range(9)]
    assert table.where(0) == "line 3"


def test_no_header(tmp_path: Path, chunked: int) -> None:
    table = load(put(tmp_path, "1,x\n2,y\n"), header=False)
    assert values(table) == {"c0": [1, 2], "c1": ["x", "y"]} and table.where(1) == "line 2"
    table = load(put(tmp_path, "1,x\n2,y\n"))
    assert table.notes == ("the first line looks like data; --no-header reads it as data",)
    assert load(put(tmp_path, "0,1\n2,y\n")).notes == ()


def test_nothing_to_read_is_told(tmp_path: Path) -> None:
    assert "is empty" in refused(put(tmp_path, ""))
    assert "is empty" in refused(put(tmp_path, b"\xef\xbb\xbf"))
    assert "is empty" in refused(put(tmp_path, "\n \r\n\n"))
    assert "no rows" in refused(put(tmp_path, "a,b"))
    assert "no rows" in refused(put(tmp_path, "a,b\n\n\n"))
    assert len(load(put(tmp_path, "a,b\n1,2"))) == 1


def test_columns_are_left_out_and_unknown_ones_told(tmp_path: Path, chunked: int) -> None:
    path = put(tmp_path, "age,b,c\n1,0x,3\n2,02,4\n")
    assert values(load(path, drop="b")) == {"age": [1, 2], "c": [3, 4]}
    assert values(load(path, drop=["age", "c"])) == {"b": ["0x", "02"]}
    assert 'no column "aeg", named in drop; did you mean "age"?' in refused(path, drop="aeg")
    assert 'no column "x", named in drop; known: age, b, c' in refused(path, drop=["b", "x"])
    assert "drop names every column" in refused(path, drop=["age", "b", "c"])


def test_too_many_columns_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = ",".join(f"c{n}" for n in range(header.MAX_COLUMNS + 1))
    said = refused(put(tmp_path, wide + "\n" + "1," * header.MAX_COLUMNS + "1\n"))
    assert "100,001 fields; at most 100,000 (MAX_COLUMNS)" in said


def test_thousands_of_columns(tmp_path: Path) -> None:
    rows = [
        [f"c{n}" for n in range(3000)],
        *([str(row * n) for n in range(3000)] for row in (1, 2)),
    ]
    table = load(put(tmp_path, "\n".join(map(",".join, rows))))
    assert len(table.columns) == 3000 and table.columns["c2999"].to_list() == [2999, 5998]


def test_one_number_amiss_late_is_told(tmp_path: Path, chunked: int) -> None:
    rows = [f"{n},{n % 3}" for n in range(500)]
    rows[399] = "x,2"
    rows[450] = "y,?"
    path = put(tmp_path, "\n".join(["a,b", *rows]))
    said = told(path)
    assert "t, line 401, column 'a': 'x' is not a number, but 498 of the column's 500" in said
    assert "the 2 that are not" in said
    assert "--set missing=x" in said and "--set columns.a=category" in said
    assert values(load(path, missing=["x", "y"]))["a"][398:400] == [398, None]
    table = load(path, columns={"a": "category"})
    assert values(table)["a"][398:400] == ["398", "x"] and table.columns["b"].dtype == pl.Float64


def test_columns_of_many_numbers_and_much_else_are_text(tmp_path: Path, chunked: int) -> None:
    cells = ["1"] * 20 + ["A/5 21"] * 5
    assert values(load(put(tmp_path, "\n".join(["a,b", *(c + ",1" for c in cells)]))))["a"] == cells
    cells = ["1"] * 4 + ["x"]  # of so few nothing is known
    assert values(load(put(tmp_path, "\n".join(["a,b", *(c + ",1" for c in cells)]))))["a"] == cells
    cells = ["1"] * 100 + ["x"] * 100
    said = told(put(tmp_path, "\n".join(["a,b", *(c + ",1" for c in cells)])))
    assert "line 102" in said and "100 of the column's 200" in said


@pytest.mark.parametrize(
    "word", ["inf", "-Infinity", "+nan", "0x1F", "1_000", "--1", "1 2", "5'11"]
)
def test_what_is_no_number(word: str, tmp_path: Path) -> None:
    table = load(put(tmp_path, f"a,b\n1,2\n{word},3\n"))
    assert values(table)["a"] == ["1", word]
    said = told(put(tmp_path, f"a,b\n1,2\n{word},3\n"), columns={"a": "number"})
    assert f"line 3, column 'a': {word!r} is not a number" in said


def test_codes_stay_text(tmp_path: Path, chunked: int) -> None:
    head = ["1", "22", "333"] * 9
    for code in ("01234", "-007", "00", "1234567890123456", "-12345678901234567", "9" * 400):
        path = put(tmp_path, "\n".join(["a,b", *(cell + ",1" for cell in [*head, code])]))
        table = load(path)
        assert values(table)["a"] == [*head, code] and table.columns["b"].dtype == pl.Float64
        table = load(path, drop="b")
        assert values(table)["a"] == [*head, code]
    for number in (
        "0",
        "-0",
        "0.5",
        "-0.5",
        "00.5",
        "123456789012345",
        "1000000000000000000",
        "0e1",
    ):
        path = put(tmp_path, "\n".join(["a,b", *(cell + ",1" for cell in [*head, number])]))
        assert values(load(path))["a"][-1] == float(number)
    path = put(tmp_path, "a,b\n007,1\n1234567890123456789,2\n3,?\n")
    assert values(load(path, columns={"a": "number"}))["a"] == [7, 1234567890123456789.0, 3]


def test_numbers_beyond_range_are_told(tmp_path: Path, chunked: int) -> None:
    path = put(tmp_path, "a,b\n1,2\n1e308,1\n-1e999,3\n4,4\n")
    said = refused(path)
    assert 'line 4, column "a": "-1e999" is beyond the range' in said and "missing=-1e999" in said
    assert values(load(path, missing="-1e999"))["a"] == [1, 1e308, None, 4]
    assert values(load(path, columns={"a": "text"}))["a"][2] == "-1e999"
    path = put(tmp_path, "a,b\n1e308,1\n1e308,1\n1e308,1\n")  # only their sum is
    assert values(load(path))["a"] == [1e308] * 3
    path = put(tmp_path, "a,b\n1,1\n" + "9" * 400 + ",1\n")
    assert "line 3" in refused(path, columns={"a": "number"})


def test_missing_values(tmp_path: Path, chunked: int) -> None:
    cells = [f" {word} " for word in MISSING] + ['""', '" "', "-999", "1", "none", '"NA"']
    content = "\n".join(["a,b,c", *(f"{cell},2,{cell}" for cell in cells)])
    table = load(put(tmp_path, content), missing=[" -999", "none"])
    gone = [None] * len(MISSING)
    expected = [*gone, None, None, None, 1, None, None]
    assert values(table) == {"a": expected, "b": [2] * len(cells), "c": expected}
    table = load(put(tmp_path, content), columns={"a": "text"}, missing="none")
    assert values(table)["a"] == [*gone, None, None, "-999", "1", None, None]
    assert values(table)["c"] == [*gone, None, None, -999, 1, None, None]


def test_column_without_a_value(tmp_path: Path, chunked: int) -> None:
    table = load(put(tmp_path, "a,b,c\n,1,?\nNA,2,\n"), columns={"c": "text"})
    assert values(table) == {"a": [None, None], "b": [1, 2], "c": [None, None]}
    assert table.columns["a"].dtype == pl.Float64 and table.columns["c"].dtype == pl.String


def test_decimal_commas(tmp_path: Path, chunked: int) -> None:
    path = put(tmp_path, "a;b;c\n1,5;x,1;1\n2;y;2\n-0,25e1;z;3\n")
    assert read(path) == {"a": [1.5, 2, -2.5], "b": ["x,1", "y", "z"], "c": [1, 2, 3]}
    assert "decimal mark '.'" in told(path, decimal=".")
    quoted = put(tmp_path, 'a,b\n"1,5",1\n2,2\n')
    assert read(quoted)["a"] == read(quoted, decimal=",")["a"] == [1.5, 2]
    rows = [f"{n}.5;{n}" for n in range(9)]
    both = put(tmp_path, "\n".join(["a;b", *rows, "2,5;2"]))
    said = told(both)
    assert "line 11, column 'a': '2,5' has a decimal comma and '0.5' a decimal point" in said
    assert "columns.a=category" in said
    code = put(tmp_path, "a;b\n01;1\n2,5;2\n")
    assert read(code)["a"] == ["01", "2,5"]


def test_marks_that_may_be_of_decimals_or_thousands_are_told(tmp_path: Path, chunked: int) -> None:
    path = put(tmp_path, "a;b\n1;1\n1,234;2\n-12,500;3\n")
    said = told(path)
    assert "line 3, column 'a': '1,234' may have a decimal mark, or a mark between" in said
    assert "--set decimal=," in said and "--set decimal=." in said
    assert read(path, decimal=",")["a"] == [1, 1.234, -12.5]
    assert read(path, decimal=".")["a"] == [1, 1234, -12500]
    assert read(path, columns={"a": "text"})["a"] == ["1", "1,234", "-12,500"]
    assert read(put(tmp_path, "a;b\n0,234;2\n12,500;3\n"))["a"] == [0.234, 12.5]


def test_points_in_a_file_with_decimal_commas(tmp_path: Path, chunked: int) -> None:
    path = put(tmp_path, "a;b;c\n1.234;2,50;0.5\n12.000;3,75;1.234\n950;-;2\n")
    table = load(path)
    assert values(table)["a"] == [1234, 12000, 950] and values(table)["c"] == [0.5, 1.234, 2]
    (note,) = table.notes
    assert isinstance(note, Warned)
    assert note.startswith('"a" has points only before groups of three digits: 1.234 is read as')
    assert '"b" has decimal commas' in note
    plain = put(tmp_path, "a;b\n1.234;x\n12.000;y\n")
    assert values(load(plain))["a"] == [1.234, 12]
    assert values(load(plain, decimal=","))["a"] == [1234, 12000]
    assert values(load(plain, decimal="."))["a"] == [1.234, 12]


def test_a_column_that_turns_out_text_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", 100)
    monkeypatch.setattr(reader, "BYTES_A_COLUMN", 0)
    zips = [f"{n}" for n in range(10000, 10999)] + ["01234"]
    rows = [f'{code},{n},"{n}\n,"' for n, code in enumerate(zips)]
    for name, data in (("t.csv", "\n".join(["a,b,c", *rows]).encode()),):
        for packed in (data, gzip.compress(data)):
            table = load(put(tmp_path, packed, name))
            assert values(table)["a"] == zips and values(table)["b"] == list(range(1000))
            assert table.columns["c"][999] == "999\n," and table.where(999) == "line 2000"


def test_what_does_not_fit_in_memory_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(reader, "BYTES_A_COLUMN", 0)
    content = b"a,b\n" + b"1,2\n" * 10_000  # 160 kB as numbers
    for data, free, fits in [
        (content, 200_000, True),
        (content, 120_000, False),
        (gzip.compress(content), 200_000, True),
        (gzip.compress(content), 60_000, False),
        (content.decode().encode("utf-16"), 120_000, False),
    ]:
        monkeypatch.setattr(memory, "available", lambda free=free: free)
        path = put(tmp_path, data)
        if fits:
            assert len(load(path)) == 10_000
        else:
            said = refused(path)
            assert "needs about" in said and "are free" in said and "drop=" in said


@pytest.mark.parametrize("what", ["grown", "written", "cut"])
def test_file_that_changes_while_it_is_read(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(reader, "BYTES_A_COLUMN", 0)
    path = put(tmp_path, "a,b\n" + "1,2\n" * 1000)
    real = lines.split

    def split(*args: Any, **kwargs: Any) -> Any:
        if what == "grown":
            with open(path, "a") as file:
                file.write("3,4\n")
        elif what == "cut":
            os.truncate(path, 2001)
        else:
            os.utime(path, ns=(1, 1))
        return real(*args, **kwargs)

    monkeypatch.setattr(reader, "split", split)
    assert "changed while it was read; read it again" in refused(path)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        Csv().read(tmp_path / "none.csv", Reading())


TEXT = st.text(
    st.one_of(
        st.sampled_from('",;|\t\n\r  abé\xa0\u3000x01.-'),
        st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]),
    ),
    max_size=8,
)
CELLS = st.one_of(
    TEXT,
    st.sampled_from(
        ["", "NA", "?", "0", "7", "-1.5", "1e3", "007", "1,5", "1.234", "inf", "1e999"]
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**17), 10**17).map(str),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], str, str, int]:
    """Cells, a separator, a line's end, and a seed for how they are written."""
    width = draw(st.integers(1, 4))
    columns = [
        draw(st.sampled_from([TEXT, CELLS, st.integers(-5, 5).map(str)])) for _ in range(width)
    ]
    rows = draw(st.lists(st.tuples(*columns).map(list), min_size=1, max_size=12))
    separator = draw(st.sampled_from(",;\t|"))
    return rows, separator, draw(st.sampled_from(["\n", "\r\n", "\r"])), draw(st.integers(0, 999))


def written(rows: list[list[str]], separator: str, end: str, seed: int, spaces: bool) -> str:
    draw = random.Random(seed)

    def cell(value: str) -> str:
        must = any(c in value for c in f'"\n\r{separator}')
        if must or not value.strip(SPACES) or draw.random() < 0.3:
            value = '"' + value.replace('"', '""') + '"'
        if spaces:
            value = " " * draw.choice([0, 0, 1, 30]) + value + " " * draw.choice([0, 0, 1, 2])
        return value

    lines = [separator.join(map(cell, row)) for row in rows]
    return end.join(lines) + end * draw.randrange(3)


def kept(value: str) -> str | None:
    value = value.strip(SPACES)
    return None if value in MISSING else value


def lines_of(text: str) -> int:
    return len(re.findall("\r\n|\r|\n", text))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("tables")


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(tables(), st.booleans(), st.sampled_from([1, 5, 30, 1 << 20]), st.booleans())
def test_text_is_what_the_csv_module_reads(
    folder: Path, made: tuple[list[list[str]], str, str, int], spaces: bool, size: int, utf16: bool
) -> None:
    rows, separator, end, seed = made
    text = written(rows, separator, end, seed, spaces)
    if not spaces:
        plain = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        assert [row for row in plain if row] == rows
    path = put(folder, text.encode("utf-16" if utf16 else "utf-8"))
    names = {f"c{n}": "text" for n in range(len(rows[0]))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK_BYTES", size)
        patch.setattr(reader, "BYTES_A_COLUMN", 0)
        table = load(path, separator=separator, header=False, columns=names)
    found = list(zip(*(column.to_list() for column in table.columns.values()), strict=True))
    assert found == [tuple(map(kept, row)) for row in rows]
    line = 1
    for row, cells in enumerate(rows):
        assert table.where(row) == f"line {line}"
        line += 1 + sum(map(lines_of, cells))


def kind(column: list[str | None]) -> str:
    """What a column is, told value by value: "error", "text" or "number"."""
    number = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
    present = [value for value in column if value is not None]
    codes = [
        value
        for value in present
        if re.fullmatch(r"[+-]?0[0-9]+", value)
        or (re.fullmatch(r"[+-]?[0-9]+", value) and len(value.lstrip("+-").rstrip("0")) > 15)
    ]
    if codes or not all(number.fullmatch(value) for value in present):
        return "text"
    return "error" if any(abs(float(value)) == math.inf for value in present) else "number"


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(tables(), st.sampled_from([1, 5, 30, 1 << 20]), st.booleans())
def test_kinds_are_what_each_value_says(
    folder: Path, made: tuple[list[list[str]], str, str, int], size: int, many: bool
) -> None:
    rows, separator, end, seed = made
    if many:
        rows = [["1"] * len(rows[0])] * 120 + rows
    path = put(folder, written(rows, separator, end, seed, False))
    columns = [list(map(kept, column)) for column in zip(*rows, strict=True)]
    kinds = [kind(column) for column in columns]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK_BYTES", size)
        patch.setattr(reader, "BYTES_A_COLUMN", 0)
        if "error" in kinds:
            assert (
                f'column "c{kinds.index("error")}"'
                in refused(path, separator=separator, header=False)
                or kinds.count("error") > 1
            )
            return
        table = load(path, separator=separator, header=False)
    for found, expected, form in zip(table.columns.values(), columns, kinds, strict=True):
        if form != "text":
            assert found.dtype == pl.Float64
            assert found.to_list() == [
                value if value is None else float(value) for value in expected
            ]
        else:
            assert found.to_list() == expected


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(['"', ",", "\n", "\r", " ", "a", "1", "\0", "é", "\t"]), max_size=30),
    st.sampled_from([1, 4, 1 << 20]),
    st.sampled_from(["fail", "skip"]),
)
def test_any_text_is_read_or_refused_alike_in_chunks_of_any_size(
    folder: Path, pieces: list[str], size: int, on_bad: str
) -> None:
    path = put(folder, "a,b\n" + "".join(pieces))

    def outcome(size: int) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lines, "CHUNK_BYTES", size)
            patch.setattr(reader, "BYTES_A_COLUMN", 0)
            try:
                table = load(path, on_bad=on_bad, separator=",")
            except DataError as error:
                return str(error)
            return values(table), [table.where(row) for row in range(len(table))], table.notes

    whole = outcome(1 << 20)
    assert outcome(size) == whole
    if on_bad == "fail" and isinstance(whole, tuple):
        text = path.read_bytes().decode()
        assert len(whole[1]) <= lines_of(text)


def real(name: str) -> Path:
    path = Path(os.environ.get("LINNET_DATA", "")) / name
    if not os.environ.get("LINNET_DATA") or not path.is_file():
        pytest.skip(f"LINNET_DATA does not point at a folder with {name}")
    return path


def test_adult_is_read() -> None:
    table = load(real("adult.data"), header=False)
    assert len(table) == 32_561
    numbers = {f"c{n}" for n in (0, 2, 4, 10, 11, 12)}
    for name, column in table.columns.items():
        assert column.dtype == (pl.Float64 if name in numbers else pl.String)
    assert table.columns["c14"].unique().sort().to_list() == ["<=50K", ">50K"]
    assert table.columns["c1"].null_count() == 1836 and table.columns["c0"][0] == 39


def test_titanic_is_read() -> None:
    table = load(real("titanic.csv"))
    assert len(table) == 891 and table.columns["ticket"].dtype == pl.String
    assert table.columns["age"].null_count() == 177
    assert table.columns["name"][0] == "Braund, Mr. Owen Harris" and table.where(890) == "line 892"


def test_diamonds_is_read() -> None:
    table = load(real("diamonds.csv"))
    assert len(table) == 53_940
    text = {name for name, column in table.columns.items() if column.dtype == pl.String}
    assert text == {"cut", "color", "clarity"}
    assert table.columns["price"].sum() == 212_135_217


PEAK = """
import resource, sys
from pathlib import Path
import polars, numpy
from linnet.data.reading import Reading
from linnet.data.text.csv import Csv
Csv().read(Path(sys.argv[2]), Reading())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
table = Csv().read(Path(sys.argv[1]), Reading())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10, len(table))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", ["{0},{1:.6f},{2},alpha,some words {0}\n", "{0:d}\n", "{1:.3f},x\n"]
)
def test_memory_is_bounded_by_the_file(row: str, tmp_path: Path) -> None:
    draw = random.Random(0)
    lines = [row.format(n, draw.random(), n % 7) for n in range(100_000)]
    content = "".join(lines).encode()
    times = 60_000_000 // len(content) + 1
    head = ",".join(f"c{n}" for n in range(row.count(",") + 1)).encode() + b"\n"
    path = put(tmp_path, head + content * times)
    small = put(tmp_path, head + lines[0].encode(), "small.csv")
    out = subprocess.run(
        [sys.executable, "-c", PEAK, str(path), str(small)], capture_output=True, check=True
    )
    peak, rows = map(int, out.stdout.split())
    assert rows == 100_000 * times
    assert peak <= 3 * max(path.stat().st_size, 8 * rows * (row.count(",") + 1)) + (100 << 20)

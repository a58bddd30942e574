"""What stands around a table in a text file: an index, empty columns, comments, titles."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import linnet
from helpers import refusal
from linnet.data.reading import Reading
from linnet.data.table import Table, Warned
from linnet.data.text import lines
from linnet.data.text.csv import Csv
from linnet.errors import DataError, LinnetWarning
from linnet.experiment.predict import predict

VALUES = {"a": [1, 3, 5], "b": [2, 4, 6]}


def put(folder: Path, content: str) -> Path:
    path = folder / "t.csv"
    path.write_bytes(content.encode())
    return path


def load(path: Path, **settings: Any) -> Table:
    return Csv().read(path, Reading(**settings))


def values(table: Table) -> dict[str, list[Any]]:
    return {name: column.to_list() for name, column in table.columns.items()}


def rows(table: Table) -> list[str]:
    return [table.where(row) for row in range(len(table))]


def refused(folder: Path, content: str, **settings: Any) -> str:
    return refusal(load, put(folder, content), **settings)


FRAME = pd.DataFrame({"a": [1, 3, 5], "b": [2, 4, 6]})


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.set_index(pd.Index(["x", "y", "z"])),
        FRAME.set_index(pd.date_range("2024-01-01", periods=3)),
        FRAME.set_index(pd.Index([0, 1, 0])),  # pandas.concat
    ],
)
def test_the_index_that_pandas_writes_is_left_out(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(tmp_path / "t.csv")
    table = load(tmp_path / "t.csv")
    assert values(table) == VALUES
    assert table.notes == ("the first column has no name, as the index of pandas, and is left out",)


def test_an_index_is_told_from_data(tmp_path: Path) -> None:
    said = refused(tmp_path, ",a\nNorth,1\nSouth,2\nNorth,3\n")
    assert "is no index: line 2 has 'North', which repeats; give it a name" in said
    assert '--set "drop=Unnamed: 0" leaves it out' in said
    assert "line 3 has no value" in refused(tmp_path, ",a\nNorth,1\n,2\nEast,3\n")
    drawn = load(put(tmp_path, ",a\n5,1\n5,2\n0,3\n"))  # a sample with replacement
    assert list(drawn.columns) == ["a"] and isinstance(drawn.notes[0], Warned)
    left = load(put(tmp_path, ",a\nNorth,1\nNorth,2\n"), drop=("Unnamed: 0",))
    assert values(left) == {"a": [1, 2]}


def test_an_index_that_is_asked_for_is_read(tmp_path: Path) -> None:
    path = put(tmp_path, ",a\n2024-01-01,1\n2024-01-02,2\n")
    assert list(load(path, time="Unnamed: 0").columns) == ["Unnamed: 0", "a"]


def test_an_index_beside_an_older_one(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "t.csv")
    pd.read_csv(tmp_path / "t.csv").to_csv(tmp_path / "t.csv")
    assert list(load(tmp_path / "t.csv").columns) == ["Unnamed: 0", "a", "b"]


def test_a_model_predicts_with_and_without_the_index(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": range(40), "y": ["a", "b"] * 20})
    frame.to_csv(tmp_path / "t.csv")
    run = linnet.train(
        tmp_path / "t.csv", target="y", model="linear", out=tmp_path / "run", echo=False
    )
    indexed = predict(run.path, tmp_path / "t.csv").prediction
    frame.drop(columns="y").to_csv(tmp_path / "new.csv", index=False)
    assert (predict(run.path, tmp_path / "new.csv").prediction == indexed).all()


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("a;b;;\n1;2;;\n3;4;;\n5;6;;\n", "2 columns have no name and no value"),
        ("a,b,\n1,2,\n3,4,\n5,6,\n", "the column 3 has no name and no value"),
        ("a,b\n1,2,\n3,4,\n5,6,\n", "the column 3 has no name and no value"),
        ("a\tb\n1\t2\t\n3\t4\t\n5\t6\t\n", "the column 3 has no name and no value"),
        ("a,,b\n1,,2\n3,,4\n5,,6\n", "the column 2 has no name and no value"),
        ("a,b,\n1,2\n3,4\n5,6\n", ""),
        ("sep=;\na;b\n1;2\n3;4\n5;6\n", ""),
        ('"sep=|"\r\na|b\r\n1|2\r\n3|4\r\n5|6\r\n', ""),
        ('"a","b"\n"1",1,2\n"2",3,4\n"3",5,6\n', "as R's row names, and is left out"),
        ("a,b\n0,1,2\n1,3,4\n2,5,6\n", "as R's row names, and is left out"),  # index_label=False
        ("# made on Monday\n#\n\na,b\n1,2\n3,4\n5,6\n", "left out: 3 lines of comments"),
        ("# 5\" of rain, it's said\na,b\n1,2\n3,4\n5,6\n", "left out: 1 line of comments"),
    ],
)
def test_what_surely_is_no_part_of_the_table_is_left_out(
    tmp_path: Path, content: str, note: str
) -> None:
    table = load(put(tmp_path, content))
    assert values(table) == VALUES
    assert (note in table.notes[0]) if note else not table.notes
    before = content.count("\n") - 3
    assert rows(table) == [f"line {before + row}" for row in (1, 2, 3)]


def test_a_head_that_begins_as_a_comment_is_the_head(tmp_path: Path) -> None:
    table = load(put(tmp_path, "##made=2024\n#a\tb\n1\t2\n3\t4\n"))
    assert values(table) == {"#a": [1, 3], "b": [2, 4]}


def test_a_value_in_a_column_without_a_name_is_told(tmp_path: Path) -> None:
    said = refused(tmp_path, "a;b;;\n1;2;;\n3;4;;x\n")
    assert "the column 4 of 4 has no name, and line 3 has 'x' there" in said
    said = refused(tmp_path, "a,b\n1,2,\n3,4,\n5,6,7\n")
    assert "line 1 has 2 names, and each line after it 3 values" in said


@pytest.mark.parametrize(
    ("content", "setting"),
    [
        ("Sales report\n\na,b\n1,2\n3,4\n5,6\n", "skip=2"),
        ("Sales, all regions\na,b,c\n1,2,3\n3,4,5\n", "skip=1"),
        ('"Source","World",\n\n"a","b","2001","2002",\n"x","y",1,2,\n"z","w",3,4,\n', "skip=2"),
        ("% made on Monday\na,b\n1,2\n3,4\n5,6\n", "comment=%"),
        ("a,b\n1,2\n# checked\n3,4\n5,6\n", "comment=#"),
    ],
)
def test_the_error_names_the_setting_that_reads_the_file(
    tmp_path: Path, content: str, setting: str
) -> None:
    assert f"--set {setting}" in refused(tmp_path, content)
    key, value = setting.split("=")
    found = load(put(tmp_path, content), **{key: int(value) if key == "skip" else value})
    assert list(found.columns)[:2] == ["a", "b"] and len(found) >= 2


@pytest.mark.parametrize("size", [1, 7, 40, 4 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_are_left_out_everywhere_but_in_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, end: str
) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", size)
    content = (
        '#one "\n#\na,b\n1,"x\n# no comment ""#"" \n#"\n#two, three\n'
        '"#3",4\n#"five"\n7,8\n#end\n\n#\n'
    )
    table = load(put(tmp_path, content.replace("\n", end)), comment="#")
    inner = 'x\n# no comment "#" \n#'
    assert values(table) == {
        "a": ["1", "#3", "7"], "b": [inner.replace("\n", end), "4", "8"],
    }  # fmt: skip
    assert rows(table) == ["line 4", "line 8", "line 10"]


def test_skipped_lines_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'\x00 "\r\n\xff,\r\n\r\na,b\r\n1,2\r\n3,4,5\r\n')
    with pytest.raises(DataError, match="line 6 has 3 fields"):
        load(path, skip=3)
    assert values(load(path, skip=3, on_bad="skip")) == {"a": [1], "b": [2]}
    with pytest.raises(DataError, match="is empty"):
        load(path, skip=300)


def test_a_warning_of_a_doubtful_index_reaches_the_user(tmp_path: Path) -> None:
    path = put(tmp_path, ",a,y\n" + "5,1.5,2\n5,2.5,3\n0,3.5,1.5\n" * 10)
    with pytest.warns(LinnetWarning, match="some of its whole numbers repeat"):
        assert linnet.read(path, "y").schema.columns == ("a",)


def test_rows_without_a_value_at_the_end_are_left_out(tmp_path: Path) -> None:
    table = load(put(tmp_path, "a;b;c\n1;2;x\n;;\n3;4;\n;;\n;;\n"))
    assert values(table) == {"a": [1, None, 3], "b": [2, None, 4], "c": ["x", None, None]}
    assert table.notes == ("left out: 2 rows without any value at the end",)
    assert values(load(put(tmp_path, "a\n1\nNA\n"))) == {"a": [1, None]}
    assert len(load(put(tmp_path, "a,b\n,\n,\n"))) == 2

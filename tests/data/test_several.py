"""A folder of files that are one table: the same columns in each, or refused by the file's name."""

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import linnet
from helpers import refusal
from linnet.data import several
from linnet.data.read import read_raw
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.experiment.predict import predict


def lay(folder: Path, files: dict[str, str | pl.DataFrame]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_bytes(content.encode())
        else:
            content.write_parquet(path)
    return folder


def load(folder: Path, **settings: Any) -> Table:
    found = read_raw(folder, Reading(**settings))
    assert isinstance(found, Table)
    return found


def values(table: Table) -> dict[str, list[Any]]:
    return {name: column.to_list() for name, column in table.columns.items()}


def test_files_of_one_kind_are_one_table(tmp_path: Path) -> None:
    files: dict[str, Any] = {"2.csv": "y,x\n2,3\n4,5\n", "1.csv": "x,y\n1,2\n"}
    folder = lay(tmp_path / "parts", {**files, "README.txt": "about", "_SUCCESS": "", ".x.crc": ""})
    table = load(folder)
    assert values(table) == {"x": [1, 3, 5], "y": [2, 2, 4]} and table.name == "parts"
    assert table.notes == ("2 files as one table: 1.csv, 2.csv; passed over: README.txt",)
    assert [table.where(row) for row in range(3)] == [
        "line 2 of 1.csv", "line 2 of 2.csv", "line 3 of 2.csv",
    ]  # fmt: skip


def test_a_folder_around_it_is_opened(tmp_path: Path) -> None:
    folder = lay(tmp_path / "t", {"archive/data/1.csv": "x\n1\n", "__MACOSX/x": ""})
    assert values(load(folder)) == {"x": [1]} and load(folder).name == "t"
    folder = lay(tmp_path / "u", {"data/k=1/1.csv": "x\n1\n"})
    assert values(load(folder)) == {"x": [1], "k": [1]}


def test_json_lines_and_texts_in_folders(tmp_path: Path) -> None:
    lines = lay(tmp_path / "a", {"1.jsonl": '{"x":1}\n', "2.jsonl": '{"x":2.5}\n'})
    assert values(load(lines)) == {"x": [1, 2.5]}
    texts = lay(tmp_path / "b", {"1.txt": "x\n1\n", "2.txt": "x\n2\n"})
    assert values(load(texts)) == {"x": [1, 2]}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_folders_of_hive_are_columns(tmp_path: Path, kind: str) -> None:
    contents: dict[str, Any] = {
        "csv": "x\n1\n", "jsonl": '{"x":1}\n', "parquet": pl.DataFrame({"x": [1.0]}),
    }  # fmt: skip
    names = (
        "year=2023/city=New%20York/part",
        "year=2024/city=Aachen/part",
        "year=2024/city=__HIVE_DEFAULT_PARTITION__/part",
    )
    folder = lay(tmp_path / "t", {f"{name}.{kind}": contents[kind] for name in names})
    table = load(folder)
    assert table.columns["year"].to_list() == [2023, 2024, 2024]
    assert sorted(map(str, table.columns["city"])) == ["Aachen", "New York", "None"]
    assert table.where(0).endswith(f"of {names[0]}.{kind}")
    assert list(load(folder, drop=("city",)).columns) == ["x", "year"]


def test_months_with_leading_zeros_stay_codes(tmp_path: Path) -> None:
    folder = lay(tmp_path / "t", {f"month=0{k}/p.csv": "x\n1\n" for k in (1, 2)})
    assert load(folder).columns["month"].to_list() == ["01", "02"]


def test_a_column_that_is_text_in_one_file_is_text_in_all(tmp_path: Path) -> None:
    folder = lay(
        tmp_path / "t", {"1.csv": "x,y\n1.0,2\n", "2.csv": "x,y\nk,3\n", "3.csv": "x,y\n,4\n"}
    )
    assert values(load(folder)) == {"x": ["1.0", "k", None], "y": [2, 3, 4]}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"1.csv": "x,y\n1,2\n", "2.csv": "x\n1\n"}, '2.csv has no column "y", which 1.csv has'),
        ({"train.csv": "x\n1\n", "test.csv": "y,x\n1,2\n"}, 'train.csv has no column "y"'),
        ({"1.csv": "x\n1\n", "2.jsonl": '{"x":1}\n'}, "files of several kinds: 1.csv, 2.jsonl"),
        (
            {"a=1/1.csv": "x\n1\n", "b=1/1.csv": "x\n1\n"},
            "name other columns than those of a=1/1.csv",
        ),
        ({"a=1/1.csv": "a\n1\n"}, '"a" is a column of the file, and its folder names it too'),
        ({"1.jsonl": '{"x":1}\n', "2.jsonl": '{"x":"a"}\n'}, '1.jsonl: column "x" is Float64'),
        ({"1.csv": "x,y\n1,2\n", "2.csv": "x,y\n1\n"}, "2.csv: line 2 has 1 field"),
    ],
)
def test_a_file_that_does_not_fit_is_named(
    tmp_path: Path, files: dict[str, Any], told: str
) -> None:
    said = refusal(load, lay(tmp_path / "t", files))
    assert told in said and str(tmp_path / "t") in said


def test_other_folders_are_not_taken_for_tables(tmp_path: Path) -> None:
    source = several.Several()
    assert not source.matches(lay(tmp_path / "a", {"labels.csv": "x\n1\n", "cat/1.png": "x"}))
    assert not source.matches(lay(tmp_path / "b", {"labels.csv": "x\n1\n", "1.png": "x"}))
    assert not source.matches(lay(tmp_path / "c", {"README.md": "x"}))
    assert not source.matches(lay(tmp_path / "d", {"1.parquet": pl.DataFrame({"x": [1]})}))
    (tmp_path / "e").mkdir()
    os.mkfifo(tmp_path / "e" / "1.csv")
    os.symlink(tmp_path / "e", tmp_path / "e" / "a=1")
    assert not source.matches(tmp_path / "e")


def test_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "MAX_FILES", 2)
    folder = lay(tmp_path / "t", {f"{k}.csv": "x\n1\n" for k in range(4)})
    assert "MAX_FILES" in refusal(load, folder)


def test_a_folder_trains_as_its_files_together_do(tmp_path: Path) -> None:
    rows = [f"{k / 7},{'ab'[k % 2]},{k * 2}\n" for k in range(60)]
    whole = tmp_path / "whole.csv"
    whole.write_text("x,c,y\n" + "".join(rows))
    parts = {f"{n}.csv": "x,c,y\n" + "".join(rows[20 * n : 20 * n + 20]) for n in range(3)}
    one, other = (linnet.read(place, "y") for place in (whole, lay(tmp_path / "t", dict(parts))))
    assert one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    "names", [("train", "test"), ("shop_training", "shop-test"), ("TRAIN-0-of-1", "Test-0-of-1")]
)
def test_files_that_name_their_part_are_the_parts(
    tmp_path: Path, kind: str, names: tuple[str, str]
) -> None:
    x = [k * 7 % 10 / 7 for k in range(60)]
    frame = pl.DataFrame({"x": x, "y": ["ab"[k * k % 7 % 2] for k in range(60)]})
    parts = {names[0]: frame.head(40), names[1]: frame.tail(20)}
    contents: dict[str, Any] = {
        f"{name}.{kind}": each.write_csv() if kind == "csv" else each
        for name, each in parts.items()
    }
    folder = lay(tmp_path / "t", contents)
    run = linnet.train(folder, target="y", model="linear", out=tmp_path / "run", echo=False)
    split = run.split()
    first = names[0] + f".{kind}" == sorted(contents)[0]
    assert sorted(split["test"].tolist()) == list(range(40, 60) if first else range(20))
    assert run.model.schema.columns == ("x",)
    again = predict(run.path, folder)
    assert len(again.row) == 60 and not any("does not know" in note for note in again.notes)
    grouped = load(folder, group="x")
    assert list(grouped.columns) == ["x", "y"]


def test_names_that_tell_no_parts_split_nothing(tmp_path: Path) -> None:
    for number, names in enumerate((("train", "more"), ("train_1", "train_2"), ("a", "b"))):
        folder = lay(tmp_path / str(number), {f"{name}.csv": "x\n1\n" for name in names})
        assert list(load(folder).columns) == ["x"]

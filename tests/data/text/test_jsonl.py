"""JSON lines: what is read from them, and each fault told with file and line."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import linnet
from helpers import refusal
from linnet.data.read import read_raw
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.data.text import objects


@pytest.fixture(params=[1, 50, 4 << 20])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(objects, "BLOCK_BYTES", request.param)
    return int(request.param)


def load(folder: Path, content: str | bytes, **settings: Any) -> Table:
    path = folder / "t.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = read_raw(path, Reading(**settings))
    assert isinstance(found, Table)
    return found


def values(table: Table) -> dict[str, list[Any]]:
    return {name: column.to_list() for name, column in table.columns.items()}


def test_each_kind_of_value(tmp_path: Path, blocks: int) -> None:
    table = load(
        tmp_path,
        '{"n":1,"s":"a","b":true,"big":9007199254740993}\n'
        '{"n":2.5,"s":null,"b":false,"big":1}\r\n'
        '  {"s":"NA","n":NaN,"b":null,"big":2}\n{"n":3,"s":"é","b":true,"big":3}',
    )
    assert values(table) == {
        "n": [1, 2.5, None, 3], "s": ["a", None, None, "é"], "b": [True, False, None, True],
        "big": ["9007199254740993", "1", "2", "3"],
    }  # fmt: skip
    assert table.name == "t" and table.notes == () and table.where(2) == "line 3"


def test_a_key_that_a_line_lacks_is_missing_and_told(tmp_path: Path, blocks: int) -> None:
    table = load(tmp_path, '{"a":1}\n{"b":"x","a":3}\n{"a":4}\n\n')
    assert values(table) == {"a": [1, 3, 4], "b": [None, "x", None]}
    assert table.notes == ('"b" is not there in 2 lines: missing values',)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            '{"a":1}\n{"a":"x"}',
            """line 2 has 'x', text, in "a", where lines before have a number""",
        ),
        ('{"a":1}\n{"a":true}', "line 2 has True, a truth value"),
        (
            '{"a":1}\n{"a":{"b":2}}',
            'line 2 has an object in "a"; expected one value: take it apart',
        ),
        ('{"a":[1,2]}', 'line 1 has a list in "a"'),
        ('{"a":1}\n\n{"a":2}', "line 2 is blank, and rows follow"),
        ('[{"a":1},{"a":2}]', "line 1 is a JSON array; expected one object a line: in pandas"),
        ('{\n  "a": 1\n}', "line 1 is not JSON"),
        ('{"a":1}\n{"a":1,"a":2}', "line 2 is not JSON: the key 'a' is there twice"),
        ('{"a":1}\n{"a":1e999}', 'column "a", line 2: inf; expected a finite number'),
        ('{"a":-Infinity}', "-inf; expected a finite number"),
        ('{"a":' + "[" * 100_000, "line 1 is nested too deeply"),
        ('{"a":123456789012345678901}', "line 1 has a whole number beyond 64 bits"),
        ('{"a":"\\ud800"}', "line 1 has half a character in 'a'"),
        ('{"\\ud800":1}', "line 1 has half a character"),
        (b'{"a":"\xff"}', "line 1 is not valid UTF-8"),
        ("3\n", "line 1 holds 3; expected one object a line"),
        ("", "holds no rows"),
        ("{}\n{}\n", "holds no rows"),
        ('{" ":1}', "column 0 has no name"),
    ],
)
def test_what_is_wrong_is_told_by_line(tmp_path: Path, content: str | bytes, told: str) -> None:
    said = refusal(load, tmp_path, content)
    assert told in said and str(tmp_path / "t.jsonl") in said and len(said) < 1000


def test_wrong_lines_are_left_out_and_counted(tmp_path: Path, blocks: int) -> None:
    table = load(tmp_path, '{"a":1}\nx\n\n{"a":{}}\n{"a":2}\n', on_bad="skip")
    assert values(table) == {"a": [1, 2]} and table.where(1) == "line 5"
    assert table.notes[0].startswith("left out: 3 lines: line 2 is not JSON")


def test_a_nested_column_can_be_left_out(tmp_path: Path) -> None:
    assert values(load(tmp_path, '{"a":1,"b":{"c":2}}\n', drop=("b",))) == {"a": [1]}
    assert 'no column "x"' in refusal(load, tmp_path, '{"a":1}\n', drop=("x",))


def test_a_long_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(objects, "BLOCK_BYTES", 100)
    said = refusal(load, tmp_path, json.dumps({"a": "x" * 3000}))
    assert "MAX_RECORD_BYTES" in said


def test_a_model_from_json_lines_predicts_the_same_from_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"x": [k / 10 for k in range(60)], "day": [f"2024-01-{k % 28 + 1:02}" for k in range(60)]}
    )
    frame["y"] = [["no", "yes"][k > 30] for k in range(60)]
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = [linnet.read(tmp_path / name, "y") for name in ("t.jsonl", "t.csv")]
    assert found[0].fingerprint() == found[1].fingerprint()
    assert found[0].schema == found[1].schema

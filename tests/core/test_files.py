"""Strict JSON, and writing that leaves the old or the new."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.core import files
from linnet.errors import InputError, WorkError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_strict_json_comes_back(value: files.Json) -> None:
    assert files.loads(files.canonical(value), "x") == value
    assert files.loads(files.pretty(value), "x") == value
    assert files.canonical(value) == files.canonical(files.loads(files.dumps(value), "x"))


def test_numbers_that_are_not_finite_become_strings() -> None:
    infinity = float("inf")
    assert files.dumps([float("nan"), {"a": infinity}, (-infinity,)]) == (
        '["NaN",{"a":"Infinity"},["-Infinity"]]'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":1,"a":2}', "'a' occurs twice"),
        ("[NaN]", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("[1e999]", "out of range"),
        ("[" * 5000 + "]" * 5000, "MAX_JSON_DEPTH"),
        ('{"a":' * 101 + "1" + "}" * 101, "MAX_JSON_DEPTH"),
        (b"\xff", "not JSON"),
        ("", "not JSON"),
        ("[1] x", "not JSON"),
    ],
)
def test_what_is_not_strict_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        files.loads(text, "file.json")
    assert str(caught.value).startswith("file.json: ")


def test_brackets_inside_strings_are_no_depth() -> None:
    assert files.loads('["' + "[" * 500 + '\\""]', "x") == ["[" * 500 + '"']


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failed_write_leaves_what_was_there(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    files.write(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(WorkError, match=r"a\.json: cannot write 3 bytes: No space left"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_writing_where_there_is_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="No such file"):
        files.write(tmp_path / "none" / "a", b"x")
    with pytest.raises(InputError, match="cannot read"):
        files.read_json(tmp_path / "none")


def test_a_temporary_file_is_new_and_has_a_name_that_nobody_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"kept")
    names = []
    replace = os.replace

    def renamed(source: Path, target: Path) -> None:
        names.append(source.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", renamed)
    for _ in range(2):
        files.write(tmp_path / "a.json", b"new")
    assert len(set(names)) == 2 and not any(str(os.getpid()) in name for name in names)
    monkeypatch.setattr("secrets.token_hex", lambda _: "known")
    (tmp_path / ".known.tmp").symlink_to(victim)
    with pytest.raises(WorkError, match="File exists"):
        files.write(tmp_path / "b.json", b"new")
    assert victim.read_bytes() == b"kept" and not (tmp_path / "b.json").exists()
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert (tmp_path / "a.json").stat().st_mode == plain.stat().st_mode

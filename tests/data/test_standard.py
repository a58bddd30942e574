"""Standard input as a place: ``-``."""

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

import linnet
from helpers import refusal
from linnet.core import memory
from linnet.data import standard
from linnet.data.read import read_raw
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.errors import DataError
from linnet.fit.checkpoint import Stop

CONTENT = b"x,y\n" + b"".join(b"%d.5,%d\n" % (k % 9, k % 2) for k in range(80))


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    standard._kept.cache_clear()
    yield
    standard._kept.cache_clear()


def give(monkeypatch: pytest.MonkeyPatch, content: bytes, *, terminal: bool = False) -> None:
    stream: Any = io.BytesIO(content)
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))


def load() -> Table:
    found = read_raw("-", Reading())
    assert isinstance(found, Table)
    return found


def packed(kind: str) -> bytes:
    frame, content = pl.DataFrame({"x": [1.0, 2.0]}), io.BytesIO()
    frame.write_parquet(content) if kind == "parquet" else frame.write_ipc(content)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"x\n1\n2\n", b'{"x":1}\n{"x":2}\n', gzip.compress(b"x\n1\n2\n"),
        gzip.compress(b' {"x":1}\n{"x":2}\n'), packed("parquet"), packed("arrow"),
    ],
    ids=["csv", "jsonl", "csv.gz", "jsonl.gz", "parquet", "arrow"],
)  # fmt: skip
def test_what_comes_is_told_by_its_first_bytes(
    monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    give(monkeypatch, content)
    table = load()
    assert table.columns["x"].to_list() == [1, 2] and table.name == "stdin"
    assert load().columns["x"].to_list() == [1, 2]  # again in the same process


def test_errors_name_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, b"a,b\n1\n")
    assert refusal(load).startswith("standard input: line 2 has 1 field")
    standard._kept.cache_clear()
    give(monkeypatch, b"")
    assert "standard input is empty" in refusal(load)
    give(monkeypatch, CONTENT)
    assert "standard input is empty" in refusal(load)  # a second look sees the same
    standard._kept.cache_clear()
    give(monkeypatch, b"", terminal=True)
    assert "standard input is a terminal; give a file, or: cat" in refusal(load)
    standard._kept.cache_clear()
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input is a terminal" in refusal(load)


def test_what_never_ends_is_refused_when_memory_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"1,2\n" * (size // 4)

    endless: Any = Endless()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=endless))
    monkeypatch.setattr(memory, "available", lambda: 10_000_000)
    assert "standard input, of which 16,777,216 bytes are read, needs about" in refusal(load)


class Asked(Stop):
    """A request to stop that comes after some looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def signal(self) -> int | None:
        self.looks -= 1
        return 15 if self.looks < 0 else None

    @signal.setter
    def signal(self, value: int | None) -> None:
        pass


def test_a_run_of_standard_input_goes_on_with_the_same_data_as_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    give(monkeypatch, CONTENT)
    settings: dict[str, Any] = {"target": "y", "model": ["linear", "mlp"], "epochs": 3}
    whole = linnet.train("-", out=tmp_path / "whole", echo=False, **settings)
    path = tmp_path / "run"
    with pytest.raises(linnet.LinnetError):
        linnet.train("-", out=path, echo=False, stop=Asked(12), **settings)
    info = json.loads((path / "run.json").read_bytes())
    assert info["data"]["place"] == "-" and info["data"]["name"] == "stdin"
    with pytest.raises(DataError, match="standard input, which is not to be found again"):
        linnet.train(resume=path, echo=False)
    (tmp_path / "same.csv").write_bytes(CONTENT)
    (tmp_path / "other.csv").write_bytes(CONTENT.replace(b"1.5", b"7.5"))
    with pytest.raises(linnet.LinnetError, match="fingerprint"):
        linnet.train(tmp_path / "other.csv", resume=path, echo=False)
    run = linnet.train(tmp_path / "same.csv", resume=path, echo=False)
    assert run.metrics["models"]["mlp"]["test"] == whole.metrics["models"]["mlp"]["test"]


@pytest.mark.slow
def test_a_pipe_goes_through_the_commands(tmp_path: Path) -> None:
    def run(*words: str, content: bytes = CONTENT) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "linnet", *words], input=content, cwd=tmp_path,
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    assert "stdin: 80 rows" in run("data", "show", "-")
    assert "stdin: 80 rows checked" in run("doctor", "-", "--target", "y")
    assert "runs/stdin-linear-1" in run(
        "train", "-", "--target", "y", "--model", "linear", "--no-report"
    )
    found = json.loads(run("predict", "runs/stdin-linear-1", "-", "--json", content=CONTENT[:34]))
    assert len(found["rows"]) == 5
    assert "80 rows" in run("evaluate", "runs/stdin-linear-1", "-", "--part", "all")

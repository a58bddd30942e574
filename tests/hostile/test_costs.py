"""What a small file costs: the memory of a reader is bounded by the bytes of what it is given."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest

import linnet
from costs import MEGABYTE, peak, texts
from linnet.core import files, limits
from linnet.core.history import MAX_FINDINGS, MAX_FITS, MAX_NAMES
from linnet.errors import InputError, WorkError
from linnet.fit.artifact import read_header
from linnet.runs import archive, events
from linnet.runs.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("costs") / "run"
    linnet.train("iris", model="linear", out=path)
    return path


READERS = """
import sys
from costs import texts
from linnet.core import files, limits
from linnet.errors import InputError
from linnet.fit.artifact import Manifest
from linnet.runs import curve, validation
reads = (
    lambda v: Manifest.parse(v, "x"), lambda v: validation.metrics(v, "x"),
    lambda v: validation.info(v, "x"), lambda v: curve.LearningCurve.parse(v, "x"),
)
begin()
told = {}
for name, text in texts(int(sys.argv[1])):
    try:
        value = files.loads(text, "x", limits.MAX_MANIFEST)
    except InputError as error:
        told[name] = str(error)
        continue
    told[name] = "read"
    for read in reads:
        try:
            read(value)
        except InputError as error:
            assert len(str(error)) < 1000, name
print(told)
"""


@pytest.mark.parametrize(
    "size", [MEGABYTE // 2, pytest.param(15 * MEGABYTE, marks=pytest.mark.slow)]
)
def test_json_of_every_hostile_shape_costs_bounded_memory(size: int) -> None:
    """Of two megabytes and more: parsed, then checked as each of linnet's files."""
    assert peak(READERS, str(size)) < (150 if size < MEGABYTE else 450) * MEGABYTE


def test_texts_beyond_a_limit_are_refused_before_they_are_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def parse(*_: object, **__: object) -> None:
        raise AssertionError

    limit = limits.Limit("MAX_HERE", 10_000, 100)
    monkeypatch.setattr(json, "loads", parse)
    for text, told in (
        (" " * 10_001, "more than 10,000 bytes (MAX_HERE_BYTES)"),
        (b" " * 10_001, "more than 10,000 bytes (MAX_HERE_BYTES)"),
        ("[" + "1," * 101 + "1]", "more than 100 values (MAX_HERE_VALUES)"),
        (b"[" + b"[]," * 60 + b"1]", "more than 100 values (MAX_HERE_VALUES)"),
    ):
        with pytest.raises(InputError) as caught:
            files.loads(text, "a.json", limit)
        assert str(caught.value) == f"a.json: {told}"


def test_the_depth_is_that_of_brackets_outside_of_texts() -> None:
    for text, depth in (
        ("[" * 200 + "]" * 200, 200),
        ('{"[[[[": [{}, [1], "]]"]}' + " []" * 101, 3),
        (r'["\"[[[[", "\\", [[1]]]' + " []" * 101, 3),
        ('["' + "[" * 300, 1),
    ):
        assert files._depth(text) == depth, text


def test_what_would_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    limit = limits.Limit("MAX_HERE", 100, 10)
    with pytest.raises(WorkError, match=r"not written.*MAX_HERE_VALUES"):
        files.write_json(tmp_path / "a.json", [0] * 11, limit)
    assert list(tmp_path.iterdir()) == []
    assert len({limit.name for limit in vars(limits).values() if isinstance(limit, limits.Limit)})


def hostile_model(run: Path, path: Path, change: dict[str, object]) -> Path:
    """A model file whose manifest has other values at some keys of its schema or at its top."""
    content = (run / "linear.safetensors").read_bytes()
    plain, _, begin, _ = read_header(run / "linear.safetensors")
    head = json.loads(content[8:begin])
    schema = {key: value for key, value in change.items() if key in plain["schema"]}
    plain["schema"].update(schema)
    plain.update({key: value for key, value in change.items() if key not in schema})
    head["__metadata__"]["linnet"] = json.dumps(plain, separators=(",", ":"))
    raw = json.dumps(head).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + content[begin:])
    return path


CHANGES: dict[str, dict[str, object]] = {
    "layers": {"layers": [{"x": 1}] * 100_000},
    "columns": {"columns": [[]] * 100_000},
    "classes": {"classes": [{}] * 100_000},
    "fields": {"fields": [{}] * 100_000},
    "keys of a field": {"fields": [{f"k{i}": 0 for i in range(40_000)}] * 3},
    "keys": {f"k{i}": 0 for i in range(40_000)},
    "network": {"network": {f"k{i}": [[]] for i in range(40_000)}},
    "shape": {"shape": [1] * 100_000},
}

LOAD = """
import sys
import linnet.runs.run
from pathlib import Path
from typing import BinaryIO
from linnet.errors import ModelError
from linnet.fit.artifact import load, read_manifest
import torch
begin()
for path in sorted(Path(sys.argv[1]).iterdir()):
    for read in (read_manifest, load):
        try:
            read(path)
        except ModelError as error:
            assert len(str(error)) < 1000
"""


@pytest.mark.slow
def test_a_hostile_manifest_costs_bounded_memory(run: Path, tmp_path: Path) -> None:
    for name, change in CHANGES.items():
        path = hostile_model(run, tmp_path / f"{name}.safetensors", change)
        assert path.stat().st_size < 2 * MEGABYTE
    assert peak(LOAD, str(tmp_path)) < 150 * MEGABYTE


def zipped(run: Path, path: Path, **members: str) -> Path:
    """A zip of a run in which some members are others."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for each in sorted(run.rglob("*")):
            name = each.relative_to(run).as_posix()
            if each.is_file():
                changed = members.get(name.replace(".", "_"))
                out.writestr(name, each.read_bytes() if changed is None else changed)
    return path


ZIPS = """
import sys
from pathlib import Path
from typing import BinaryIO
from typer.testing import CliRunner
from linnet.cli import app
import linnet.show.report.page
import linnet.insight.diagnosis
import matplotlib, numpy, torch, plotly
begin()
for path in sorted(Path(sys.argv[1]).glob("*.zip")):
    result = CliRunner().invoke(app, ["runs", "show", str(path)])
    assert result.exit_code in (0, 2), (path, result.exception)
    print(path.name, result.stderr[-150:])
"""


@pytest.mark.slow
def test_a_small_zip_of_a_run_costs_bounded_memory(run: Path, tmp_path: Path) -> None:
    """Whatever its JSON files are: each is small in the zip, and large or wide when unpacked."""
    for size in (MEGABYTE, 20 * MEGABYTE):
        for name, text in texts(size):
            if name in ("keys", "objects of one", "numbers"):
                for file in ("metrics_json", "run_json"):
                    path = tmp_path / f"{name} {size} {file}.zip"
                    zipped(run, path, **{file: text})
    assert peak(ZIPS, str(tmp_path)) < 200 * MEGABYTE


def test_a_zip_that_swells_is_refused_and_none_is_written(run: Path, tmp_path: Path) -> None:
    line = '{"event":"step","model":"linear","step":1,"time":1.0,"loss":1.0}\n'
    path = zipped(run, tmp_path / "a.zip", events_jsonl=line * 100_000)
    with pytest.raises(InputError, match=r"'events.jsonl' in this zip swells .*MAX_RATIO"):
        Run(path)
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "events.jsonl").write_text(line * 100_000)
    archive.pack(copy, tmp_path / "b.zip")
    assert len(Run(tmp_path / "b.zip").events()) == 100_000


# ------------------------------------------------------------------------------------ records


def test_a_record_is_kept_in_few_numbers(tmp_path: Path) -> None:
    """Names, fits and findings that a record makes up are bounded; what linnet writes is not."""
    path = tmp_path / "events.jsonl"
    lines = [
        {"event": "step", "model": "a", "step": i, "time": 1.0, f"v{i}": 1.0} for i in range(2000)
    ]
    lines += [{"event": "begin", "model": f"m{i}", "time": 1.0} for i in range(3000)]
    lines += [{"event": "finding", "text": "x"} for _ in range(MAX_FINDINGS + 10)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = events.history(path)
    assert len(found.fits) == MAX_FITS and len(found.findings) == MAX_FINDINGS
    series = found.series()["a"]["train"]
    assert len(series) == MAX_NAMES and len(series["step"]) == 2000


RECORD = """
import sys
from linnet.runs.run import Run
from linnet.show.report.page import write
import matplotlib, numpy, torch, plotly, sklearn.metrics, scipy.stats
from pathlib import Path
from typing import BinaryIO
from linnet.insight import diagnosis
begin()
run = Run(sys.argv[1])
run.history().series(), run.reasons()
write([Path(sys.argv[1])], Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_report_takes_few_times_the_bytes_of_the_record(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    start = {"event": "begin", "model": "mlp", "time": 0.5, "title": "the perceptron"}
    with open(copy / "events.jsonl", "a") as out:
        out.write(json.dumps(start) + "\n")
        for step in range(60_000):
            out.write(
                f'{{"event":"step","time":{step / 7:.6f},"model":"mlp","step":{step},"epoch":1,'
                f'"loss":{1 / (step + 1):.12f},"lr":{0.001 + step * 1e-9:.12f}}}\n'
            )
    size = (copy / "events.jsonl").stat().st_size
    assert peak(RECORD, str(copy), str(tmp_path / "r.html")) < 70 * MEGABYTE + 6 * size


def test_a_record_in_a_zip_is_unpacked_once(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.pack(run, tmp_path / "a.zip")
    monkeypatch.setattr(events, "PART_BYTES", 100)
    found = Run(tmp_path / "a.zip")
    opened, names = files.opened, []

    def counted(place: files.Place) -> BinaryIO:
        names.append(place.name)
        return opened(place)

    monkeypatch.setattr(files, "opened", counted)
    assert found.history() is found.history() and found.history().fits
    assert names == ["events.jsonl"] * 2  # once to look for a resume, once to read


def test_events_are_undone_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    def step(number: int) -> dict[str, object]:
        return {"event": "step", "model": "a", "step": number, "epoch": 0, "time": 1.0, "loss": 1.0}

    record = [*map(step, range(6)), {"event": "resume", "events": 4}, step(10), step(11),
              {"event": "resume", "events": 5}, {"event": "resume", "events": 99},
              step(12)]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in record))
    for size in (events.PART_BYTES, 200):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(events, "PART_BYTES", size)
            assert [event.step for event in events.read_all(path)] == [0, 1, 2, 3, 10, 12]  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------- tables

TABLES = """
import sys
from pathlib import Path
from typing import BinaryIO
from linnet.data.read import read_raw
from linnet.errors import DataError
from linnet.fit.recipe import Recipe
import polars, torch, linnet.data.text.csv
begin()
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_raw(str(path), Recipe.make({"target": ["y"]}))
    except DataError as error:
        print(path.name, error)
"""


@pytest.mark.slow
def test_a_small_packed_table_costs_bounded_memory(tmp_path: Path) -> None:
    import gzip

    for name, row in (("numbers", b"0,1\n"), ("texts", b"x,y\n"), ("empty", b",\n")):
        body = b"a,y\n" + row * (90_000_000 // len(row))
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(body))
        assert (tmp_path / f"{name}.csv.gz").stat().st_size < MEGABYTE // 2
        with pytest.raises(InputError, match="MAX_GZIP_RATIO"):
            linnet.read(tmp_path / f"{name}.csv.gz", "y")
    assert peak(TABLES, str(tmp_path)) < 450 * MEGABYTE


@pytest.mark.slow
def test_a_text_of_quotes_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,y\n" + b'"' * 60_000_000)
    with pytest.raises(InputError, match="MAX_RECORD_BYTES"):
        linnet.read(tmp_path / "a.csv", "y")
    assert peak(TABLES, str(tmp_path)) < 700 * MEGABYTE

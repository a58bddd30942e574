"""The run directory: what it says of where it was made, and how a run is known to have ended."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import linnet
from helpers import append_events
from linnet.cli import app
from linnet.core import files
from linnet.core.events import Other
from linnet.core.history import History
from linnet.errors import InputError, WorkError
from linnet.experiment.train import repeat
from linnet.runs import archive, directory, events, provenance, query, writer
from linnet.runs.lineage import Rows
from linnet.runs.repeat import agreement


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, check=True,
        capture_output=True,
    )  # fmt: skip


def test_a_run_tells_where_it_was_made(tmp_path: Path) -> None:
    run = linnet.train("iris", model="linear", out=tmp_path / "r")
    assert run.info["versions"]["linnet"] == linnet.__version__
    assert {"torch", "numpy", "polars", "scikit-learn"} <= set(run.info["versions"])
    assert run.info["hardware"]["cores"] == os.cpu_count()
    assert run.info["hardware"]["memory"] > 1 << 28
    assert {"command", "seed", "git", "directory", "created"} <= set(run.info)


def test_the_state_of_the_code_is_told(tmp_path: Path) -> None:
    assert provenance.repository(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert provenance.repository(tmp_path) is None  # nothing committed yet
    (tmp_path / "a.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a")
    clean = provenance.repository(tmp_path)
    assert clean is not None and len(clean["commit"]) == 40
    assert clean["dirty"] is False and clean["changes"] is None
    seen = set()
    for name, text in (("a.py", "2"), ("a.py", "3"), ("b.py", "1"), ("b.py", "2")):
        (tmp_path / name).write_text(text)
        found = provenance.repository(tmp_path)
        assert found is not None and found["dirty"] and found["commit"] == clean["commit"]
        seen.add(found["changes"])
    assert len(seen) == 4


def test_no_program_of_a_repository_is_run(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("1")
    (tmp_path / ".gitattributes").write_text("*.py diff=evil filter=evil\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a")
    canary = tmp_path.parent / "canary"
    program = tmp_path.parent / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {canary}\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "diff.evil.command", "diff.evil.textconv"):
        git(tmp_path, "config", key, str(program))
    (tmp_path / "a.py").write_text("2")
    found = provenance.repository(tmp_path)
    assert found is not None and found["dirty"] and not canary.exists()


TRAINER = """
import sys, time
from linnet.runs import directory
from pathlib import Path
with directory.Heartbeat(Path(sys.argv[1])):
    print("on", flush=True)
    time.sleep(60)
"""


def test_a_killed_run_has_crashed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", TRAINER, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert directory.state_of(tmp_path) == ("running", None)
    process.send_signal(signal.SIGKILL)
    while directory.state_of(tmp_path)[0] == "running":  # also before anyone has asked for it
        time.sleep(0.01)
    assert directory.state_of(tmp_path) == ("crashed", None)
    process.wait()
    process.stdout.close()
    assert directory.state_of(tmp_path) == ("crashed", None)


@pytest.mark.parametrize(
    ("beat", "state"),
    [("now", "running"), ("2020-01-01T00:00:00+00:00", "crashed"), ("soon", "crashed")],
)
def test_a_run_elsewhere_is_judged_by_its_heartbeat(beat: str, state: str, tmp_path: Path) -> None:
    directory.write_status(tmp_path, "running")
    status = files.read_json(tmp_path / directory.STATUS)
    beat = directory.now() if beat == "now" else beat
    files.write_json(tmp_path / directory.STATUS, {**status, "host": "far", "heartbeat": beat})
    assert directory.state_of(tmp_path)[0] == state


def test_the_heartbeat_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "HEARTBEAT_SECONDS", 0.01)
    written = []
    monkeypatch.setattr(directory, "write_status", lambda *words: written.append(words[1]))
    with directory.Heartbeat(tmp_path):
        while len(written) < 3:
            time.sleep(0.01)
    assert set(written[:-1]) == {"running"} and written[-1] == "finished"


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), directory.Heartbeat(tmp_path):
        raise ValueError("no")
    assert directory.state_of(tmp_path) == ("failed", "ValueError: no")
    with pytest.raises(KeyboardInterrupt), directory.Heartbeat(tmp_path):
        raise KeyboardInterrupt
    assert directory.state_of(tmp_path)[0] == "stopped"


def test_events_are_read_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert events.read_new(path) == ([], 0)
    append_events(tmp_path, {"event": "a"}, [1], {"b": 1}, {"event": 3})
    with open(path, "a") as file:
        file.write('not json\n{"event": "c"}\n{"event": "to')
    found, offset = events.read_new(path)
    assert [event.kind for event in found] == ["a", "c"]
    assert events.read_new(path, offset) == ([], offset)
    with open(path, "a") as file:
        file.write('rn"}\n')
    found, offset = events.read_new(path, offset)
    assert found == [Other(event="torn")] and offset == path.stat().st_size
    path.unlink()
    append_events(tmp_path, {"event": "new"})
    assert events.read_new(path, offset)[0] == [Other(event="new")]  # another file in its place


def test_a_resume_takes_back_what_came_after_its_step(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    append_events(
        tmp_path,
        {"event": "begin", "model": "mlp"},
        {"event": "step", "model": "linear", "step": 9, "loss": 1.0},
        *({"event": "step", "model": "mlp", "step": step, "loss": step / 8} for step in range(6)),
        {"event": "resume", "model": "mlp", "step": 3},
        *({"event": "step", "model": "mlp", "step": step, "loss": step / 4} for step in (4, 5)),
        {"event": "evaluate", "model": "mlp", "step": 5, "epoch": 1, "valid": {"loss": 2.0}},
    )
    found = History.of(events.read_all(path)).series()
    assert found["mlp"]["train"]["step"] == [0, 1, 2, 3, 4, 5]
    assert found["mlp"]["train"]["loss"] == [0, 0.125, 0.25, 0.375, 1.0, 1.25]
    assert found["mlp"]["valid"] == {"step": [5], "epoch": [1], "loss": [2.0]}
    assert found["linear"]["train"]["step"] == [9] and found["linear"]["valid"] == {}


# Asking, comparing, packing, repeating


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        linnet.train("iris", model="linear", seed=seed, out=root / f"iris-{seed}")
    linnet.train("wine", model="linear", scaling="none", out=root / "wine")
    return root


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("seed=1", ["iris-1"]),
        ("data=iris and seed < 1", ["iris-0"]),
        ("data='wine'", ["wine"]),
        ('name="iris-0"', ["iris-0"]),
        ("model = linear and scaling != standard", ["wine"]),
        ("model=mlp", []),
        ("test.accuracy>0.5 and linear.test.accuracy<=1", ["iris-0", "iris-1", "wine"]),
        ("intercept=true and seed==0", ["iris-0", "wine"]),
        ("state=finished and seed>=1.0", ["iris-1"]),
    ],
)  # fmt: skip
def test_runs_are_chosen_by_what_they_say(where: str, names: list[str], runs: Path) -> None:
    found = query.select(sorted(runs.iterdir()), where)
    assert [path.name for path, _ in found] == names


def test_a_score_is_that_of_the_model_that_is_asked_for(tmp_path: Path) -> None:
    """A run of a good line and of a net that is as good as the constant."""
    run = linnet.train("iris", model=["linear", "mlp"], epochs=1, lr=1e-6, out=tmp_path / "r")
    scores = run.scores.models
    line, net = scores["linear"].test, scores["mlp"].test
    assert run.chosen == "linear" and line is not None and net is not None
    assert line.accuracy is not None and net.accuracy is not None and line.accuracy > net.accuracy
    between = (line.accuracy + net.accuracy) / 2

    def found(where: str, sort: str | None = None) -> bool:
        return bool(query.select([run.path], where.format(between), sort))

    assert found("test.accuracy>{}") and found("chosen=linear and test.accuracy>{}")
    assert found("model=linear and test.accuracy>{}") and found("model=mlp and test.accuracy<{}")
    assert not found("model=mlp and test.accuracy>{}") and not found("mlp.test.accuracy>{}")
    assert not found("valid.accuracy>=0 and model==mlp and test.accuracy>{}")
    assert not found("chosen=mlp") and found("model!=cnn and test.accuracy>{}")
    assert found("model=linear and model=mlp and test.accuracy>{}")  # the chosen one's
    (_, facts), *_ = query.select([run.path], "model=mlp", "test.accuracy")
    assert facts["test.accuracy"] == facts["mlp.test.accuracy"] == net.accuracy


@pytest.mark.parametrize(
    "text",
    ["", "seed", "seed=", "=1", "seed=1 or seed=2", "seed=1 and", "seed=1 seed=2", "seed=(1)=2",
     "seed==1==2", "'seed'=1", "seed=\"1", "and and and", "seed=__import__('os')"],
)  # fmt: skip
def test_a_question_that_is_none_is_refused(text: str, runs: Path) -> None:
    with pytest.raises(InputError, match=r"--where|no run has"):
        query.select(sorted(runs.iterdir()), text or " ")


def test_runs_are_sorted(runs: Path) -> None:
    paths = sorted(runs.iterdir())
    assert [p.name for p, _ in query.select(paths, sort="-seed,name")] == [
        "iris-1",
        "iris-0",
        "wine",
    ]
    assert [p.name for p, _ in query.select(paths, sort="data,-seed")] == [
        "iris-1",
        "iris-0",
        "wine",
    ]
    with pytest.raises(InputError, match='no run has "sead"; did you mean "seed"'):
        query.select(paths, sort="sead")


@pytest.mark.parametrize(
    ("found", "where"),
    [
        (True, "key=true"), (False, "key=false"), (True, "key!=1"), (9, "key='9'"),
        (9, "key<text"), ("10", "key<9"), (10, "key>9"), ([1, True], "key=true"),
    ],
)  # fmt: skip
def test_numbers_are_compared_as_numbers_and_all_else_as_text(found: object, where: str) -> None:
    (comparison,) = query.parse(where)
    assert comparison.holds({"key": found})


def test_only_what_differs_is_compared(runs: Path) -> None:
    rows = linnet.compare(runs / "iris-0", runs / "iris-1")
    assert rows["seed"] == [0, 1] and "data" not in rows and "scaling" not in rows
    assert len(rows["test.accuracy"]) == 2
    rows = linnet.compare(*sorted(runs.iterdir()))
    assert rows["data"] == ["iris", "iris", "wine"] and rows["scaling"][2] == "none"


def test_a_run_is_packed_alike_twice(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "n.ipynb").write_text("{}")
    os.symlink("/etc/passwd", runs / "wine" / "link")
    count = archive.pack(runs / "wine", tmp_path / "a.zip", tmp_path / "n.ipynb")
    archive.pack(runs / "wine", tmp_path / "b.zip", tmp_path / "n.ipynb")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as content:
        names = content.namelist()
        assert len(names) == count and "link" not in names
        assert {"recipe.toml", "linear.safetensors", "events.jsonl", "notebook/n.ipynb"} <= set(
            names
        )
        assert content.read("recipe.toml") == (runs / "wine" / "recipe.toml").read_bytes()
        assert f"linnet=={linnet.__version__}\n" in content.read("requirements.txt").decode()
    (runs / "wine" / "link").unlink()
    with pytest.raises(InputError):
        archive.pack(tmp_path, tmp_path / "c.zip")


def test_a_repeated_run_agrees_and_another_does_not(runs: Path, tmp_path: Path) -> None:
    again = repeat(runs / "iris-0", out=tmp_path / "r")
    found = agreement(runs / "iris-0", again.path)
    assert found["agrees"] and "to the last bit" in found["verdict"]
    found = agreement(runs / "iris-0", runs / "iris-1")
    assert not found["agrees"] and "numbers differ; so do data.split" in found["verdict"]
    assert any(line.startswith("linear.test.log_loss: ") for line in found["differences"])


def test_data_in_memory_is_asked_for(tmp_path: Path) -> None:
    iris = linnet.read("iris")
    linnet.train((iris.x.numpy(), iris.y.numpy()), model="linear", out=tmp_path / "r")
    with pytest.raises(InputError, match="trained on data in memory; give it"):
        repeat(tmp_path / "r")
    repeat(tmp_path / "r", data=(iris.x.numpy(), iris.y.numpy()), out=tmp_path / "s")
    assert agreement(tmp_path / "r", tmp_path / "s")["agrees"]


def test_the_commands_of_runs(runs: Path, tmp_path: Path) -> None:
    def told(*words: str) -> str:
        done = CliRunner().invoke(app, ["runs", *words])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "iris-1" in told("list", str(runs), "--where", "seed=1")
    assert "no runs in" in told("list", str(runs), "--where", "seed=7 and seed=8")
    assert "seed" in told("compare", str(runs / "iris-0"), str(runs / "iris-1"))
    assert "bytes" in told("zip", str(runs / "iris-0"), "--out", str(tmp_path / "z.zip"))
    again = ["repeat", str(runs / "iris-0"), "--out", str(tmp_path / "again")]
    assert "to the last bit" in told(*again)


def test_a_run_without_scores_is_shown_as_it_is_and_not_repeated(tmp_path: Path) -> None:
    run = linnet.train("iris", epochs=2, widths=[4], out=tmp_path / "<b>r")
    whole = run._repr_html_()
    (run.path / "metrics.json").unlink()
    for state, error, told in (
        ("running", None, "running</p>"),
        ("failed", "<i>no memory", "failed: &lt;i&gt;no memory; it has no scores"),
    ):
        directory.write_status(run.path, state, error)
        shown = linnet.Run(run.path)._repr_html_()
        assert told in shown and "&lt;b&gt;r" in shown and "<b>r" not in shown
        assert shown.count("<svg") == whole.count("<svg") > 0
        again = ["runs", "repeat", str(run.path), "--out", str(tmp_path / "again")]
        done = CliRunner().invoke(app, again)
        assert done.exit_code == 2 and "no scores to compare with" in done.stderr
        assert not (tmp_path / "again").exists()
    assert f"linnet train --resume '{run.path}'" in done.stderr
    (run.path / "events.jsonl").write_text("")
    assert "<table" not in linnet.Run(run.path)._repr_html_()


def test_a_run_that_goes_on_can_be_looked_at(tmp_path: Path) -> None:
    run = linnet.train("iris", model="linear", out=tmp_path / "r")
    (tmp_path / "r" / "metrics.json").rename(tmp_path / "metrics.json")
    directory.write_status(tmp_path / "r", "running")
    live = linnet.Run(tmp_path / "r")
    assert live.state == "running"
    assert live.events() == run.events()
    assert live.curves().plain() == run.curves().plain()
    with pytest.raises(InputError, match=r"is running, and has no metrics\.json yet"):
        _ = live.chosen
    (tmp_path / "metrics.json").rename(tmp_path / "r" / "metrics.json")
    assert live.metrics == run.metrics
    with pytest.raises(InputError, match="not a run of linnet"):
        linnet.Run(tmp_path)


# files of a later linnet


def later(path: Path) -> None:
    """Write a number in a file as if a later linnet had."""
    content = path.read_bytes()
    changed = content
    for mark in (b'"format": 1', b'"format":1', b'\\"format\\":1'):
        changed = changed.replace(mark, mark[:-1] + b"7")
    assert changed != content and len(changed) == len(content)
    path.write_bytes(changed)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "r"
    linnet.train("iris", model="linear", penalty=[0.1], out=folder, echo=False)
    return folder


READERS: dict[str, Callable[[Path], object]] = {
    "run.json": lambda path: linnet.Run(path).info,
    "metrics.json": lambda path: linnet.Run(path).metrics,
    "split.safetensors": lambda path: linnet.Run(path).split(),
    "rows.safetensors": Rows.read,
    "linear.safetensors": lambda path: linnet.load(path),
    "status.json": directory.check_free,
    "events.jsonl": lambda path: linnet.Run(path).history(),
}


@pytest.mark.parametrize("name", READERS)
def test_files_of_a_later_linnet_are_refused_with_both_numbers(
    finished: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "r"
    shutil.copytree(finished, path)
    READERS[name](path)
    later(path / name)
    with pytest.raises(InputError, match="written in format 7; this linnet reads up to 1") as told:
        READERS[name](path)
    assert name in str(told.value)


def test_the_state_of_a_later_run_is_not_guessed(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "r"
    shutil.copytree(finished, path)
    later(path / "status.json")
    state, error = directory.state_of(path)
    assert state == "newer" and "format 7" in str(error)


# who writes a run


def running(path: Path, **changes: object) -> str | None:
    """The state of a run whose status says running, with these changes."""
    directory.write_status(path, "running")
    status = files.read_json(path / directory.STATUS)
    files.write_json(path / directory.STATUS, {**status, **changes})
    return directory.state_of(path)[0]


OLD = "2020-01-01T00:00:00+00:00"


def test_a_process_id_that_is_used_again_is_not_the_writer(tmp_path: Path) -> None:
    """As in a container, where every run has the process id 1: this process has the id that the
    status names, but started at another time, or in another space of ids."""
    assert running(tmp_path) == "running"
    assert running(tmp_path, heartbeat=OLD) == "running"  # it was suspended, say
    assert running(tmp_path, started="12345") == "crashed"
    directory.check_free(tmp_path)
    assert running(tmp_path, namespace="pid:[1]", heartbeat=OLD) == "crashed"
    assert running(tmp_path, namespace="pid:[1]") == "running"  # it may live there


@pytest.mark.parametrize("started", [None, "unknown"])
def test_where_no_start_is_known_the_heartbeat_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: str | None
) -> None:
    """As on systems without /proc, or of a status that an older linnet wrote."""
    monkeypatch.setattr(writer, "started", lambda pid: None)
    assert running(tmp_path, started=started) == "running"
    assert running(tmp_path, started=started, heartbeat=OLD) == "crashed"


def test_a_system_without_proc_asks_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    pid = os.getpid()
    assert writer.started(pid) == writer.started(pid) != writer.started(1)

    def refuse(path: Path) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", refuse)
    if shutil.which("ps") is not None:
        assert writer.started(pid) == writer.started(pid) is not None
    monkeypatch.setenv("PATH", "")
    assert writer.started(pid) is None


# where runs go


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.symlink_to("nowhere/at/all"), "runs is a link to nothing"),
        (lambda path: path.write_text("x"), "runs is a file"),
    ],
)
def test_a_folder_of_runs_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "runs")
    with pytest.raises(WorkError, match=message):
        directory.create(None, "iris", "auto")


def test_a_long_name_is_cut_in_its_message(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="cannot") as told:
        directory.create(tmp_path / ("x" * 300), "iris", "auto")
    assert "x" * 250 not in str(told.value)

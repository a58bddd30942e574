"""The run directory: what it says of where it was made, and how a run is known to have ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import linnet
from linnet import files
from linnet.runs import about, directory, events


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
    assert about.repository(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert about.repository(tmp_path) is None  # nothing committed yet
    (tmp_path / "a.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a")
    clean = about.repository(tmp_path)
    assert clean is not None and len(clean["commit"]) == 40
    assert clean["dirty"] is False and clean["changes"] is None
    seen = set()
    for name, text in (("a.py", "2"), ("a.py", "3"), ("b.py", "1"), ("b.py", "2")):
        (tmp_path / name).write_text(text)
        found = about.repository(tmp_path)
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
    found = about.repository(tmp_path)
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
    [(directory.now(), "running"), ("2020-01-01T00:00:00+00:00", "crashed"), ("soon", "crashed")],
)
def test_a_run_elsewhere_is_judged_by_its_heartbeat(beat: str, state: str, tmp_path: Path) -> None:
    directory.write_status(tmp_path, "running")
    status = files.read_json(tmp_path / directory.STATUS)
    files.write_json(tmp_path / directory.STATUS, {**status, "host": "far", "heartbeat": beat})
    if state == "running":
        beat = directory.now()
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


def write(path: Path, *lines: object) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_events_are_read_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert events.read_new(path) == ([], 0)
    write(path, {"event": "a"}, [1], {"b": 1}, {"event": 3})
    with open(path, "a") as file:
        file.write('not json\n{"event": "c"}\n{"event": "to')
    found, offset = events.read_new(path)
    assert [event["event"] for event in found] == ["a", "c"]
    assert events.read_new(path, offset) == ([], offset)
    with open(path, "a") as file:
        file.write('rn"}\n')
    found, offset = events.read_new(path, offset)
    assert found == [{"event": "torn"}] and offset == path.stat().st_size
    write(path, {"event": "new"})
    assert events.read_new(path, offset)[0] == [{"event": "new"}]  # another file in its place


def test_a_resume_takes_back_what_came_after_its_step(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write(
        path,
        {"event": "begin", "model": "mlp"},
        {"event": "step", "model": "linear", "step": 9, "loss": 1.0},
        *({"event": "step", "model": "mlp", "step": step, "loss": step / 8} for step in range(6)),
        {"event": "resume", "model": "mlp", "step": 3},
        *({"event": "step", "model": "mlp", "step": step, "loss": step / 4} for step in (4, 5)),
        {"event": "evaluate", "model": "mlp", "step": 5, "epoch": 1, "valid": {"loss": 2.0}},
    )
    found = events.series(events.read_all(path))
    assert found["mlp"]["train"]["step"] == [0, 1, 2, 3, 4, 5]
    assert found["mlp"]["train"]["loss"] == [0, 0.125, 0.25, 0.375, 1.0, 1.25]
    assert found["mlp"]["valid"] == {"step": [5], "epoch": [1], "loss": [2.0]}
    assert found["linear"]["train"]["step"] == [9] and found["linear"]["valid"] == {}

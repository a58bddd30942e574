"""A run that is asked to stop: what is saved and told, and who may go on with it."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import linnet
from helpers import (
    ONE_LINE,
    ONE_THREAD,
    SMALL_NET,
    at_event,
    command,
    in_process,
    posix,
    state_of,
    weights_of,
)
from linnet.runs import directory


@pytest.mark.slow
@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_says_how_to_go_on_and_loses_no_bit(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with monkeypatch.context() as patch:
        at_event(patch, 100, "step", lambda: os.kill(os.getpid(), number))
        done = command("train", "digits", *SMALL_NET, "--out", "my run", cwd=tmp_path)
    assert done.returncode == 128 + number and done.stdout == ""
    assert "\nstopped and saved. Continue with: linnet train --resume 'my run'" in done.stderr
    assert state_of(tmp_path / "my run") == "stopped"
    again = command("train", "--resume", "my run", "--no-report", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert weights_of(tmp_path / "my run") == weights_of(undisturbed)
    once_more = command("train", "--resume", "my run", "--no-report", cwd=tmp_path)
    assert once_more.returncode == 0
    assert "my run has finished: there is nothing to continue" in once_more.stderr


@posix
def test_a_signal_before_there_is_a_run_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "linnet.experiment.train.prepare", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)
    )
    done = command("train", "digits", *SMALL_NET, "--out", "r", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (143, "stopped\n")
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_signal_before_the_first_step_is_a_new_start_later(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        at_event(patch, 1, "start", lambda: os.kill(os.getpid(), signal.SIGINT))
        done = command("train", "digits", *SMALL_NET, "--out", "r", cwd=tmp_path)
    assert done.returncode == 130 and state_of(tmp_path / "r") == "stopped"
    assert command("train", "--resume", "r", "--no-report", cwd=tmp_path).returncode == 0
    assert weights_of(tmp_path / "r") == weights_of(undisturbed)


STUCK = """
import sys, time
from linnet.core import files
from linnet.cli import main

whole = files.write

def write(path, content):
    if path.parent.name == "checkpoints":
        print("stuck", flush=True)
        time.sleep(60)
    whole(path, content)

files.write = write
main()
"""


def ask(process: "subprocess.Popen[str]", number: int, words: str) -> None:
    """Send a signal, and wait until standard error has the words."""
    process.send_signal(number)
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(words)


def restored() -> None:
    """A child must not inherit that somebody ignores SIGINT, as a shell does in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@posix
@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_second_signal_ends_even_a_save_that_hangs(undisturbed: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", STUCK, "train", "digits", *SMALL_NET, "--out", "r"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, **ONE_THREAD}, preexec_fn=restored,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "stuck\n"
    ask(process, signal.SIGINT, "saving, then stopping; Ctrl-C again stops at once")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert state_of(tmp_path / "r") == "crashed"
    done = in_process("train", "--resume", "r", "--no-report", "--allow", "threads", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert state_of(tmp_path / "r") == "finished"


@posix
def test_a_signal_that_is_ignored_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        at_event(monkeypatch, 2, "step", lambda: os.kill(os.getpid(), signal.SIGINT))
        done = command("train", "iris", *ONE_LINE, "--out", "r", cwd=tmp_path)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 0, done.stderr


def test_training_in_a_thread_needs_no_signals(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor(2) as pool:
        paths = list(
            pool.map(
                lambda name: linnet.train("iris", model="linear", out=tmp_path / name).path, "ab"
            )
        )
    assert [state_of(path) for path in paths] == ["finished"] * 2
    assert signal.getsignal(signal.SIGINT) == before


def elsewhere(path: Path, beat: str) -> None:
    """As if a process of another machine wrote the run, last heard of at ``beat``."""
    status = json.loads((path / "status.json").read_text())
    status |= {"state": "running", "host": "another", "boot_id": "another", "heartbeat": beat}
    (path / "status.json").write_text(json.dumps(status))


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was asked to stop amid its net."""
    with monkeypatch.context() as patch:
        at_event(patch, 100, "step", lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert command("train", "digits", *SMALL_NET, "--out", "r", cwd=tmp_path).returncode == 143
    return tmp_path / "r"


@posix
def test_a_run_of_another_machine_is_left_alone_until_it_is_silent(
    undisturbed: Path, stopped: Path
) -> None:
    words = ["train", "--resume", stopped, "--no-report"]
    for beat in (directory.now(), "2999-01-01T00:00:00+00:00"):  # a clock of the future, too
        elsewhere(stopped, beat)
        done = command(*words, cwd=stopped.parent)
        assert done.returncode == 2
        assert f"{stopped} is being written by process" in done.stderr
        assert f"on another; wait for its end, or stop it first; if it has ended for certain, " \
            f"remove {stopped}/status.json" in done.stderr  # fmt: skip
    elsewhere(stopped, "2020-01-01T00:00:00+00:00")
    assert command(*words, cwd=stopped.parent).returncode == 0
    assert weights_of(stopped) == weights_of(undisturbed)


@posix
def test_clocks_and_times_of_files_decide_nothing(
    undisturbed: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in sorted((stopped / "checkpoints").iterdir()):
        os.utime(path, (1e9, 1e9))
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(directory, "now", lambda: "1999-01-01T00:00:00+00:00")
    done = command("train", "--resume", stopped, "--no-report", cwd=stopped.parent)
    assert done.returncode == 0, done.stderr
    assert weights_of(stopped) == weights_of(undisturbed)
    times = [event["time"] for event in linnet.Run(stopped).events()]
    assert times == sorted(times)


@posix
def test_another_device_is_refused_and_allowed_by_name(stopped: Path) -> None:
    recipe = stopped / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('device = "cpu"', 'device = "cuda:7"'))
    words = ["train", "--resume", stopped, "--no-report"]
    done = command(*words, cwd=stopped.parent)
    assert done.returncode == 1 and "device cuda:7 was asked for, but PyTorch" in done.stderr
    done = command(*words, "--device", "cpu", cwd=stopped.parent)
    assert done.returncode == 2
    assert "device is cpu, and was cuda:7" in done.stderr and "--allow device" in done.stderr
    done = command(*words, "--device", "cpu", "--allow", "device", cwd=stopped.parent)
    assert done.returncode == 0, done.stderr
    (again,) = linnet.Run(stopped).info["resumed"]
    assert again["changed"] == {"device": "cpu, and was cuda:7"}

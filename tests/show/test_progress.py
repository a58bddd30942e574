"""Progress in a terminal: its words and its width, and that of a run that goes on."""

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import linnet
from helpers import Screen, at_event, command, seen
from linnet.core.events import of
from linnet.core.history import History
from linnet.show import progress

NET = ("--set", "epochs=12", "--set", "widths=8", "--set", "checkpoint_every=1", "--no-report")


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run of 12 epochs that was stopped after the first."""
    with pytest.MonkeyPatch.context() as patch:
        at_event(patch, 4, "spent", lambda: os.kill(os.getpid(), signal.SIGINT))
        done = command(
            "train", "digits", *NET, "--model", "mlp", "--no-view", "--out", tmp_path / "r"
        )
    assert done.returncode == 130 and "Continue with" in done.stderr
    return tmp_path / "r"


def draw(monkeypatch: pytest.MonkeyPatch, columns: int, *lines: Any, past: Any = ()) -> list[str]:
    """What a terminal of so many columns shows of the events."""
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with progress.shown(True, past=[of(line) for line in past]) as heard:
        assert heard is not None
        for line in lines:
            heard(line)
    return seen(screen.getvalue())


def step(number: int, epoch: int, **values: float) -> dict[str, Any]:
    line = {"event": "step", "time": number / 100, "model": "mlp", "step": number, "epoch": epoch}
    return line | (values or {"loss": 2.5})


def scores(number: int, epoch: int, **valid: float) -> dict[str, Any]:
    return {**step(number, epoch), "event": "evaluate", "valid": valid}


BEGIN = {"event": "begin", "time": 0.0, "model": "mlp", "steps": 120}


@pytest.mark.parametrize("columns", [40, 60, 72, 80, 120])
@pytest.mark.parametrize(
    ("name", "valid", "told"),
    [
        ("mlp", {"loss": 0.1, "accuracy": 0.9683}, "epoch 4 of 12 · val 96.83 %"),
        ("constant", {"loss": 7.85e6, "rmse": 18574.3}, "epoch 4 of 12 · val RMSE 18,574"),
        ("custom", {"loss": float("nan")}, "epoch 4 of 12"),
    ],
)
def test_name_clock_and_words_fit_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, name: str, valid: dict[str, float], told: str
) -> None:
    lines = [BEGIN, step(10, 1), scores(10, 1, **valid), step(40, 4), scores(40, 4, **valid)]
    shown = draw(monkeypatch, columns, *({**line, "model": name} for line in lines))
    assert all(len(line) <= columns for line in shown)
    last = shown[-1] or shown[-2]
    assert last.startswith(name) and "0:00" in last
    assert told[: columns - 20] in last
    assert ("━" in last) == (columns >= 80)


def test_a_line_and_an_end_are_told_in_few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    valid = {"loss": 0.1, "accuracy": 0.875}
    end = {"event": "fit", "time": 2.0, "model": "mlp", "steps": 180}
    why = "no better validation loss 10 times in a row; best at epoch 8 of 18"
    net = [BEGIN, step(80, 8), scores(80, 8, **valid), {**end, "reason": why, "converged": False}]
    assert " best at epoch 8 · val 87.50 %" in " ".join(draw(monkeypatch, 80, *net))
    line = [{**BEGIN, "steps": None}, step(3, 0, penalty=0.1, gradient_max=1.5e-7)]
    assert " step 3 · gradient 1.5e-07" in " ".join(draw(monkeypatch, 80, *line))
    done = {**end, "reason": "converged: " + "words " * 30, "converged": True}
    last = draw(monkeypatch, 80, *line, scores(3, 0, **valid), done)
    assert " converged · val 87.50 %" in " ".join(last) and max(map(len, last)) <= 80


def test_a_fit_by_folds_tells_the_member(monkeypatch: pytest.MonkeyPatch) -> None:
    valid = {"loss": 0.25, "accuracy": 0.875}
    own = {"member": 1}  # the second; 2 members of 6 epochs of 10 steps
    lines = [
        {**BEGIN, "members": 2}, step(10, 1), {**scores(10, 1, **valid), "member": 0},
        {**step(80, 2), **own}, {**scores(80, 2, **valid), **own},
    ]  # fmt: skip
    assert " 2 of 2, epoch 2 · val 87.50 %" in " ".join(draw(monkeypatch, 80, *lines))
    history = History.of(map(of, lines))
    assert history.now is not None
    assert progress.words_of(history.now, of(lines[-1])) == (
        "member 2 of 2, epoch 2: training loss 2.5000, validation loss 0.2500, accuracy 87.50 %"
    )


def test_a_script_tells_one_line_for_each_model(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, echo in enumerate((None, False)):
        linnet.train("iris", model="linear", echo=echo, out=tmp_path / str(number))
        out, err = capfd.readouterr()
        lines = [line for line in err.splitlines() if " of 5: " not in line]  # told every 5 s
        assert out == "" and len(lines) == (2 if echo is None else 0)
        if lines:
            assert re.fullmatch(r"constant: converged · val 33\.33 % · \d\.\d s", lines[0])
            assert lines[1].startswith("linear: converged · val 9")
    linnet.cross_validate("iris", model="linear")
    assert capfd.readouterr().err.endswith("fold 5 of 5: linear\n")


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [True, False])
def test_a_resumed_run_shows_its_progress(stopped: Path, terminal: bool) -> None:
    done = command("train", "--resume", stopped, "--no-view", terminal=terminal, columns=80)
    assert done.returncode == 0, done.stderr
    lines = seen(done.stderr)
    assert any(re.fullmatch(r"mlp: resumed at epoch \d of 12", line) for line in lines)
    assert any(line.startswith("mlp") and ("best at" if terminal else "epochs done") in line
               for line in lines)  # fmt: skip
    assert not terminal or all(len(line) <= 80 for line in lines)


def test_events_of_a_fit_whose_begin_is_unknown_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = draw(monkeypatch, 80, step(40, 4), scores(50, 5, loss=1.0, accuracy=0.5))
    assert "epoch 5 · val 50.00 %" in " ".join(shown)
    resume = {"event": "resume", "time": 1.0, "events": 2, "model": "mlp", "step": 10}
    past = [BEGIN, step(10, 1), step(20, 2)]
    shown = draw(monkeypatch, 80, resume, step(30, 3), past=past)
    assert "mlp: resumed at epoch 1 of 12" in shown and "epoch 3 of 12" in " ".join(shown)


def test_progress_is_seen_where_somebody_can_see_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    linnet.train("iris", model="linear", echo=False, out=tmp_path / "piped")
    assert capfd.readouterr() == ("", "")
    for echo, told in ((None, True), (False, False)):
        screen = Screen()
        monkeypatch.setattr(sys, "stderr", screen)
        linnet.train("iris", model="linear", out=tmp_path / f"echo {echo}", echo=echo)
        assert ("linear" in screen.getvalue()) == told

"""Trainers killed at random moments: what they wrote is there; the page says that they crashed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import linnet
from helpers import (
    LINNET,
    ONE_THREAD,
    Site,
    in_process,
    open_browser,
    wait_until,
    weights_of,
    without_clock,
)
from linnet.core.record import Event
from linnet.runs import directory, events

KILLS = 20
SECONDS = 10
"""Within which the page has to tell of a killed trainer."""

MOMENTS = [
    ("start", None), ("begin", "linear"), ("step", "linear"), ("evaluate", "linear"),
    ("fit", "linear"), ("begin", "mlp"), ("step", "mlp"), ("evaluate", "mlp"), ("fit", "mlp"),
    ("test", "constant"),
]  # fmt: skip
"""Events after which a trainer is killed: before and in the solve, in the net, where a model is
scored, and where files are written."""

context = get_context("forkserver")


class Moment(NamedTuple):
    """The kill: so many seconds after the ``nth`` event of a kind and model."""

    event: str
    model: str | None
    nth: int
    seconds: float
    data: str


class Killed(NamedTuple):
    """A run whose trainer was killed: its folder, the events that the trainer knew to be written,
    and when the trainer was dead."""

    path: Path
    told: list[Event]
    at: float


def moments() -> list[Moment]:
    """The same at every call; every fourth of them in a run on MNIST, where it is there."""
    draws = random.Random(0)
    mnist = (Path(os.environ.get("LINNET_DATA", "")) / "mnist").is_dir()
    found = []
    for number in range(KILLS):
        event, model = MOMENTS[number % len(MOMENTS)]
        large = mnist and number % 4 == 2
        count = draws.randint(1, 40 if (event, model) == ("step", "mlp") else 2)
        if event in ("start", "begin", "fit", "test"):
            count = 1
        seconds = draws.uniform(0, 0.2 if large else 0.02)
        found.append(Moment(event, model, count, seconds, "mnist" if large else "digits"))
    return found


def trainer(data: str, out: Path, pipe: Connection) -> None:
    """A process that trains, and tells of every event once it is written."""
    torch.set_num_threads(1)
    epochs = 1 if data == "mnist" else 60
    linnet.train(data, out=out, echo=pipe.send, penalty=[0.1, 0.01], epochs=epochs)


def kill(path: Path, moment: Moment) -> Killed:
    """Start a trainer and kill it at that moment."""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=trainer, args=(moment.data, path, theirs))
    process.start()
    theirs.close()
    told: list[Event] = []
    left = moment.nth
    try:
        while left:
            told.append(ours.recv())
            event = told[-1]
            left -= (event["event"], event.get("model")) == (moment.event, moment.model)
        time.sleep(moment.seconds)
    finally:
        process.kill()
    try:
        while True:
            told.append(ours.recv())
    except (EOFError, OSError):
        pass
    process.join()
    assert process.exitcode == -signal.SIGKILL, moment
    return Killed(path, told, time.monotonic())


class Told:
    """What a page is told of the states of runs, and when."""

    def __init__(self, site: Site) -> None:
        self.states: dict[str, list[str]] = {}
        self.crashed: dict[str, float] = {}
        threading.Thread(target=self._listen, args=(site,), daemon=True).start()

    def _listen(self, site: Site) -> None:
        for event in site.stream():
            if event["event"] == "run":
                name, state = event["data"]["name"], event["data"]["state"]
                self.states.setdefault(name, []).append(state)
                if state == "crashed":
                    self.crashed.setdefault(name, time.monotonic())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "runs").mkdir()
    opened = Site(tmp_path / "runs")
    yield opened
    opened.close()


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_killed_trainer_loses_nothing_and_the_page_says_crashed(
    site: Site, tmp_path: Path
) -> None:
    context.set_forkserver_preload(["linnet.experiment.train", "linnet.insight.checks.doctor"])
    told = Told(site)
    every = moments()
    paths = [site.page.folder.root / f"run{number:02}" for number in range(KILLS)]
    with ThreadPoolExecutor(2) as pool:
        killed = list(pool.map(kill, paths, every))
    wait_until(lambda: len(told.crashed) == KILLS, SECONDS)
    for (path, known, dead), moment in zip(killed, every, strict=True):
        assert directory.state_of(path)[0] == "crashed"
        assert told.states[path.name][-1] == "crashed", moment
        assert told.crashed[path.name] - dead < SECONDS
        found = [event.plain() for event in events.read_all(path / directory.EVENTS)]
        whole, _, torn = (path / directory.EVENTS).read_bytes().rpartition(b"\n")
        assert [json.loads(line) for line in whole.splitlines()] == found
        assert found[: len(known)] == known, moment  # of what the trainer knew, nothing is lost
        assert len(found) + bool(torn) <= len(known) + 1


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_browser_says_crashed_of_a_killed_command(site: Site) -> None:
    path = site.page.folder.root / "command"
    words = [
        "train",
        "digits",
        "--out",
        str(path),
        "--set",
        "epochs=5000",
        "--set",
        "patience=5000",
    ]
    command = subprocess.Popen(
        [sys.executable, "-P", "-m", "linnet", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        with open_browser() as browser:
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{site.port}/?token={site.token}")
            row = page.locator("#table tr", has_text="command")
            row.filter(has_text="running").wait_for(timeout=60_000)
            wait_until(lambda: (path / directory.EVENTS).stat().st_size > 10_000, 60)
            command.kill()
            command.wait()
            row.filter(has_text="crashed").wait_for(timeout=SECONDS * 1000)
            assert row.filter(has_text="running").count() == 0
    finally:
        command.kill()
        command.wait()
    assert events.read_all(path / directory.EVENTS)


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    "runs", [pytest.param(1, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.soak)]
)
def test_mnist_killed_at_random_moments_goes_on_to_the_bit(
    runs: int, mnist_folder: Path, tmp_path: Path
) -> None:
    """Runs, each killed five times; a moment is counted from the first event on, and lies in
    reading, solving, training, testing, writing, or in what goes on anew."""
    # a whole run lasts longer than the moments together, so each of them finds it going on
    words = ["--model", "mlp", "--set", "widths=16", "--set", "epochs=20", "--set", "patience=20"]
    words += ["--set", "checkpoint_every=37", "--no-report", "--no-view"]
    whole = in_process("train", "mnist", *words, "--out", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    draws = random.Random(7)
    moments = [[draws.uniform(0, 1) for _ in range(5)] for _ in range(runs)]

    def killed(number: int) -> int:
        path, kills = tmp_path / str(number), 0
        for moment in moments[number]:
            start = ["mnist", *words, "--out", path]
            if (path / "recipe.toml").is_file():
                start = ["--resume", path, "--no-report", "--no-view"]
            elif path.exists():
                shutil.rmtree(path)
            record = path / "events.jsonl"
            size = record.stat().st_size if record.exists() else 0
            process = subprocess.Popen(
                [*LINNET, "train", *map(str, start)], cwd=tmp_path,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, **ONE_THREAD},
            )  # fmt: skip
            wait_until(lambda: record.exists() and record.stat().st_size > size)  # noqa: B023
            time.sleep(moment)
            process.kill()
            kills += process.wait() == -signal.SIGKILL
        done = in_process("train", "--resume", path, "--no-report", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert weights_of(path) == weights_of(tmp_path / "whole"), moments[number]
        assert without_clock(linnet.Run(path).events()) == without_clock(
            linnet.Run(tmp_path / "whole").events()
        ), moments[number]
        return kills

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(killed, range(runs))) == 5 * runs

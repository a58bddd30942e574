"""Ranks that are killed, that stand, and whose launcher is gone: what is told, and what goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars
import pytest
import torch

import linnet
from helpers import LINNET, posix, wait_until
from linnet.runs import directory

pytestmark = [pytest.mark.multiprocess, posix]

SITE = Path(__file__).parent / "site"

WORDS = [
    "table.csv", "--target", "y", "--model", "linear,mlp", "--set", "epochs=4",
    "--set", "penalty=0.1,0.01", "--set", "widths=4", "--set", "checkpoint_every=1",
    "--set", "yardstick=none", "--no-report", "--no-view",
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    random = torch.Generator().manual_seed(0)
    x = torch.randn((240, 3), generator=random)
    y = (x[:, 0] + torch.randn(240, generator=random) > 0).int()
    columns = {name: x[:, number].numpy() for number, name in enumerate("abc")}
    polars.DataFrame({**columns, "y": y.numpy()}).write_csv(tmp_path / "table.csv")
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    """That of a command; ``DIE`` ends a rank at a collective."""
    path = os.pathsep.join([str(SITE), str(Path(linnet.__file__).parents[1])])
    one = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    return {**os.environ, **one, "PYTHONPATH": path, **more}


def train(place: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LINNET, "train", *words, "--ranks", "2"],
        cwd=place, env=environment(**more), capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What it printed about its end: the lines that are not progress."""
    progress = ("converged", "exact", "epoch", "step", "all 4 epochs")
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return [
        line
        for line in lines
        if line.startswith("error") or not any(word in line for word in progress)
    ]


def weights(path: Path) -> dict[str, Any]:
    return {
        f"{name}.{key}": tensor
        for name, model in linnet.Run(path).models.items()
        for key, tensor in model.module.state_dict().items()
    }


def check_same(one: Path, two: Path) -> None:
    mine, theirs = weights(one), weights(two)
    assert mine.keys() == theirs.keys()
    for key, tensor in mine.items():
        assert torch.equal(tensor, theirs[key]), key


@pytest.mark.slow
def test_a_killed_rank_is_named_and_the_run_goes_on_to_the_same_bits(place: Path) -> None:
    whole = train(place, *WORDS, "--out", "whole", DIE="1:0:9", COUNT=str(place / "count"))
    assert whole.returncode == 0, whole.stderr
    count = int((place / "count").read_text())
    # after reading, within the fits, and where the test rows are predicted
    for rank, at in ((1, 4), (0, count // 2), (1, count - 1)):
        path = place / f"{rank}-{at}"
        done = train(place, *WORDS, "--out", path.name, DIE=f"{rank}:{at}:{signal.SIGKILL.value}")
        assert done.returncode == 2, (rank, at, done.stderr)
        (line,) = told(done)
        assert line.startswith(f"error: rank {rank} of 2 (host "), (rank, at, done.stderr)
        assert "was lost: killed by signal 9" in line and "Traceback" not in done.stderr
        assert ("linear stopped after step" in line or "mlp stopped after step" in line) == (
            at == count // 2
        )
        if not (path / directory.RECIPE).is_file():
            continue
        assert f"continue with: linnet train --resume {path.name} --ranks 2" in line
        again = train(place, "--resume", path.name, "--no-report", "--no-view")
        assert again.returncode == 0, (rank, at, again.stderr)
        check_same(place / "whole", path)


@pytest.mark.slow
def test_torchrun_restarts_a_run_that_lost_a_rank(place: Path) -> None:
    whole = train(place, *WORDS, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "--max-restarts", "1", "-m", "linnet", "train", *WORDS, "--out", "run",
        ],
        cwd=place, env=environment(DIE="1:150:9"), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "error: rank 1 of 2 (host " in done.stderr
    assert '"event":"resume"' in (place / "run" / directory.EVENTS).read_text()
    check_same(place / "whole", place / "run")


@pytest.mark.soak
def test_a_rank_that_stands_is_named(place: Path) -> None:
    """The rank is stopped; 30 of the seconds that this takes are torch's, until it kills it."""
    stop = f"1:60:{signal.SIGSTOP.value}"
    done = train(place, *WORDS, "--out", "run", DIE=stop, LINNET_TIMEOUT="5")
    assert done.returncode == 2, done.stderr
    (line,) = told(done)
    assert line.startswith("error: rank 1 of 2 (host ") and "has not answered for 5 s" in line


def begun(place: Path) -> subprocess.Popen[str]:
    """A run of many epochs, in the midst of its net."""
    process = subprocess.Popen(
        [*LINNET, "train", *WORDS, "--out", "run", "--ranks", "2", "--set", "epochs=100000",
         "--set", "patience=100000"],
        cwd=place, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    record = place / "run" / directory.EVENTS
    try:
        wait_until(lambda: record.is_file() and '"model":"mlp"' in record.read_text(), 240)
    except AssertionError:
        process.kill()
        print(process.communicate())
        raise
    return process


def ranks_of(launcher: int) -> list[int]:
    """The processes that a launcher has started."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(launcher)], capture_output=True, text=True
    )
    return [int(line) for line in found.stdout.split()]


def heard_at(pids: list[int]) -> set[str]:
    """The addresses at which processes listen, as Linux tells them."""
    found = set()
    for pid in pids:
        sockets = set()
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                sockets.add(os.readlink(each))
        for name in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                _, at, _, state, *_, inode = line.split()[:10]
                if state == "0A" and f"socket:[{inode}]" in sockets:
                    found.add(at.split(":")[0])
    return found


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_ctrl_c_saves_and_stops_all_ranks(place: Path) -> None:
    process = begun(place)
    every = ranks_of(process.pid)
    if sys.platform == "linux":  # no other machine reaches them
        assert heard_at([process.pid, *every]) == {"0100007F"}
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err.count("saving, then stopping") == 1
    assert err.count("Continue with: linnet train --resume run --ranks 2") == 1
    assert "Traceback" not in err
    assert directory.state_of(place / "run")[0] == "stopped"
    assert len(every) >= 2 and not any(lives(pid) for pid in every)


@pytest.mark.slow
def test_no_rank_outlives_its_launcher(place: Path) -> None:
    process = begun(place)
    every = ranks_of(process.pid)
    assert len(every) >= 2
    process.kill()
    process.communicate()
    wait_until(lambda: not any(lives(pid) for pid in every), 60)
    assert directory.state_of(place / "run")[0] in ("stopped", "crashed", "failed")
    directory.check_free(place / "run")


def test_words_that_do_not_go_with_ranks(place: Path) -> None:
    for words, said in (
        (["--set", "lr=0.1,0.2"], "ranks train one run"),
        (["--model", "tree"], "unknown"),
    ):
        done = train(place, "table.csv", "--target", "y", *words)
        assert done.returncode == 2 and said in done.stderr, done.stderr

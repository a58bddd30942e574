"""Whatever happens to the disk at whatever moment: what was saved stays, and goes on to the bit."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import ONE_THREAD, TESTS, python_path

PROGRAM = Path(__file__).with_name("crashing.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of fsyncs take their time on a disk."""
    memory = Path("/dev/shm")
    place = str(memory) if os.access(memory, os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="linnet-", dir=place))
    yield path
    shutil.rmtree(path)


def crashed(root: Path, *tasks: tuple[str, int, int]) -> list[dict[str, object]]:
    """The outcome of each (kind, first, stride); the processes run side by side."""
    processes = []
    for index, (kind, first, stride) in enumerate(tasks):
        folder = root / str(index)
        folder.mkdir()
        words = [sys.executable, "-P", str(PROGRAM), str(folder), kind, str(first), str(stride)]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": python_path(TESTS)}
        processes.append(
            subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
        )
    return [json.loads(process.communicate()[0]) for process in processes]


def check(found: list[dict[str, object]], tried: int) -> None:
    for one in found:
        assert one["wrong"] == []
        assert isinstance(one["points"], int) and one["points"] > 200
    assert sum(int(str(one["tried"])) for one in found) >= tried


def test_a_run_killed_at_some_touches_of_the_disk_goes_on_to_the_bit(root: Path) -> None:
    check(crashed(root, ("kill", 3, 37)), 6)


def test_a_disk_that_refuses_now_and_then_loses_nothing(root: Path) -> None:
    found = crashed(root, ("fail", 4, 41))
    check(found, 8)
    assert found[0]["refused"]


@pytest.mark.slow
def test_a_power_cut_loses_nothing_that_was_saved(root: Path) -> None:
    check(crashed(root, ("power", 5, 53)), 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "tried"), [("kill", 25), ("fail", 50), ("power", 50)], ids=lambda value: str(value)
)
def test_at_every_eighth_touch_of_the_disk_nothing_is_lost(
    kind: str, tried: int, root: Path
) -> None:
    check(crashed(root, (kind, 2, 8)), tried)


@pytest.mark.soak
def test_a_power_cut_at_any_touch_loses_nothing_that_was_saved(root: Path) -> None:
    check(crashed(root, ("power", 1, 2), ("power", 2, 2)), 400)


@pytest.mark.soak
def test_a_run_killed_at_every_touch_of_the_disk_goes_on_to_the_bit(root: Path) -> None:
    check(crashed(root, ("kill", 1, 2), ("kill", 2, 2)), 200)


@pytest.mark.soak
def test_a_disk_that_refuses_any_touch_loses_nothing(root: Path) -> None:
    found = crashed(root, ("fail", 1, 2), ("fail", 2, 2))
    check(found, 400)
    assert sum(int(str(one["refused"])) for one in found) > 100

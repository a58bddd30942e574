"""How tests are shared out among processes, and fixtures of several rooms."""

import os
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import SMALL_NET, command

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
torch.set_num_threads(2 if WORKERS == 1 else 1)
if WORKERS > 1:  # children too
    os.environ.setdefault("OMP_NUM_THREADS", "1")


LONG = (
    "tests/test_lessons.py::test_a_lesson_runs",
    "tests/dying/test_crash.py::",
    "tests/dying/test_kills.py::",
)
"""How the names of tests begin that are each as long as a whole file of others."""


def share(nodeid: str) -> str:
    """What one worker takes whole: a file, whose tests share fixtures, or one long test."""
    return nodeid if nodeid.startswith(LONG) else nodeid.split("::", 1)[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side the long tests go first, then the files with the most tests."""
    if WORKERS > 1:
        sizes = Counter(share(item.nodeid) for item in items)
        items.sort(key=lambda i: (not i.nodeid.startswith(LONG), -sizes[share(i.nodeid)]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """``--dist loadfile``, by ``share``. (Groups, ``--dist loadgroup``, are not heeded by xdist 3.8
    with pytest 9.2: it names them in a place that pytest no longer reads.)"""
    if config.getvalue("dist") != "loadfile":
        return None
    scheduler = import_module("xdist.scheduler").LoadFileScheduling(config, log)
    scheduler._split_scope = share
    return scheduler


@pytest.fixture
def mnist_folder() -> Path:
    """The folder with the four real MNIST files; skips where there is none."""
    root = os.environ.get("LINNET_DATA")
    if not root or not (Path(root) / "mnist").is_dir():
        pytest.skip("LINNET_DATA does not point at a folder with mnist/")
    return Path(root) / "mnist"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ``SMALL_NET`` on the digits that nothing interrupted."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert command("train", "digits", *SMALL_NET, "--out", "r", cwd=folder).returncode == 0
    return folder / "r"

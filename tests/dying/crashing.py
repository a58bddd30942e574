"""Runs a small training again and again, each time with its k-th touch of the disk gone wrong.

A program of its own: its children are forked from a process that has imported everything, has run
no operation of PyTorch and has no threads. ``python crashing.py FOLDER KIND FIRST STRIDE`` prints
one line of JSON: how many points there were, how many were tried, and what was wrong. The kinds:
``kill`` ends the process at a touch; ``fail`` refuses it, for want of room or by an error of the
disk; ``power`` ends the process, and the disk forgets what nobody made it keep.
"""

from __future__ import annotations

import builtins
import errno
import importlib
import json
import os
import pickle
import pkgutil
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars  # noqa: F401
import safetensors.torch  # noqa: F401
import sklearn.metrics  # noqa: F401
import torch

import linnet
from helpers import without_clock
from linnet.core import files
from linnet.errors import LinnetError, LinnetWarning
from linnet.experiment.train import train

PARTS = ("data", "insight", "line", "net", "networks", "objectives", "runs")

for part in PARTS:
    package = importlib.import_module(f"linnet.{part}")
    for found in pkgutil.walk_packages(package.__path__, f"linnet.{part}."):
        importlib.import_module(found.name)

SETTINGS: dict[str, Any] = {
    "model": ["linear", "mlp"], "epochs": 3, "batch_size": 16, "widths": [4], "dropout": 0.2,
    "averaging": "ema", "checkpoint_every": 2, "penalty": [0.1, 0.01], "log_every": 1,
    "yardstick": "none",
}  # fmt: skip


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    y = np.arange(60) % 3
    return (random.normal(size=(60, 3)) + y[:, None]).astype(np.float32), y


Then = Callable[["Disk"], None]


class Disk:
    """Counts what is done to the disk; at the ``at``-th time it does ``then`` instead."""

    def __init__(self, at: int | None, then: Callable[[], None]) -> None:
        self.count, self.at, self.then = 0, at, then
        self.files: dict[int, tuple[str, int]] = {}
        """By inode: where a file that was written is, and how much of it will last."""
        self.renamed: dict[str, bytes | None] = {}
        """What stood where something was renamed to, in folders that were not fsynced since."""

    def touch(self, half: Callable[[], None] | None = None) -> None:
        self.count += 1
        if self.count == self.at:
            if half is not None:
                half()
            self.then()

    def note(self, path: str, *, anew: bool) -> None:
        """A file is opened to be written."""
        number = os.stat(path).st_ino
        _, kept = self.files.get(number, (path, None))
        if kept is None:
            kept = 0 if anew else os.stat(path).st_size
        self.files[number] = path, kept

    def keep(self, descriptor: int) -> None:
        """A file, or a folder, is fsynced: what was written to it so far will last."""
        about = os.fstat(descriptor)
        if about.st_ino in self.files:
            self.files[about.st_ino] = self.files[about.st_ino][0], about.st_size
        for name in [n for n in self.renamed if os.stat(os.path.dirname(n)).st_ino == about.st_ino]:
            del self.renamed[name]

    def move(self, one: str, two: str) -> None:
        """A file is about to be renamed; until its folder is fsynced that may be undone."""
        number = os.stat(one).st_ino
        if number in self.files:
            self.files[number] = two, self.files[number][1]
        if two not in self.renamed:
            before = None
            if os.path.exists(two):
                _, kept = self.files.get(os.stat(two).st_ino, ("", None))
                with builtins.open(two, "rb") as file:
                    before = file.read(-1 if kept is None else kept)
            self.renamed[two] = before

    def forget(self, *, undo: bool) -> None:
        """The power fails: files lose what was written since their last fsync, and renames, with
        ``undo``, are as if they had not been."""
        for path, kept in self.files.values():
            if os.path.exists(path) and os.stat(path).st_size > kept:
                os.truncate(path, kept)
        for path, before in self.renamed.items() if undo else ():
            if not os.path.exists(path):
                continue
            os.rename(path, f"{path}.undone.tmp")
            if before is not None:
                with builtins.open(path, "wb") as file:
                    file.write(before)

    def wrap(self) -> None:
        touch, fsync, replace = self.touch, os.fsync, os.replace
        note, keep, move = self.note, self.keep, self.move

        class File:
            def __init__(self, file: Any) -> None:
                self.file = file

            def __getattr__(self, name: str) -> Any:
                return getattr(self.file, name)

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                self.file.close()

            def write(self, content: bytes) -> int:
                def half() -> None:
                    self.file.write(content[: len(content) // 2])
                    self.file.flush()

                touch(half)
                return int(self.file.write(content))

            def flush(self) -> None:
                touch()
                self.file.flush()

        def opened(path: Any, mode: str = "r", **more: Any) -> Any:
            file = builtins.open(path, mode, **more)  # noqa: SIM115
            if "r" in mode:
                return file
            note(str(path), anew="w" in mode)
            return File(file)

        def synced(descriptor: int) -> None:
            touch()
            fsync(descriptor)
            keep(descriptor)

        def replaced(one: Any, two: Any) -> None:
            touch()
            move(str(one), str(two))
            replace(one, two)

        files.open = opened  # type: ignore[attr-defined]
        os.fsync, os.replace = synced, replaced  # type: ignore[assignment]


def child(work: Callable[[], Any], out: Path) -> int:
    """Do ``work`` in a forked process; its result is pickled to ``out``."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        warnings.simplefilter("ignore", LinnetWarning)
        torch.set_num_threads(1)
        result = work()
        with builtins.open(out, "wb") as file:
            pickle.dump(result, file)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def told(run: linnet.Run) -> dict[str, Any]:
    """What must be the same however a run came to its end."""
    weights = {
        name: {key: tensor.numpy() for key, tensor in model.module.state_dict().items()}
        for name, model in run.models.items()
    }
    events = [
        event
        for event in without_clock(run.events())
        if not str(event.get("text")).startswith("not saved")
    ]
    metrics = json.loads(json.dumps(run.metrics))
    for scores in metrics["models"].values():
        scores["fit"].pop("seconds")
    return {"weights": weights, "events": events, "metrics": metrics}


def same(one: Any, two: Any) -> bool:
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, two))
    return bool(one == two)


def trained(**more: Any) -> linnet.Run:
    return train(data(), linnet.Recipe.make(SETTINGS), echo=False, **more)


def once(folder: Path, at: int | None, then: Then) -> dict[str, Any]:
    disk = Disk(at, lambda: then(disk))
    disk.wrap()
    try:
        found: dict[str, Any] = told(trained(out=folder))
    except LinnetError as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    return {**found, "count": disk.count}


def go_on(folder: Path) -> dict[str, Any]:
    if not (folder / "recipe.toml").is_file():  # it ended before it began
        return told(trained(out=folder.with_name(folder.name + "-anew")))
    return told(trained(resume=folder))


def leave(disk: Disk) -> None:
    os._exit(77)


def fade(disk: Disk, *, undo: bool) -> None:
    disk.forget(undo=undo)
    os._exit(77)


def refuse(disk: Disk, number: int) -> None:
    raise OSError(number, os.strerror(number))


KINDS: dict[str, dict[str, Then]] = {
    "kill": {"": leave},
    "power": {"": partial(fade, undo=False), "undone": partial(fade, undo=True)},
    "fail": {
        errno.errorcode[number]: partial(refuse, number=number)
        for number in (errno.ENOSPC, errno.EIO)
    },
}
"""What happens at a touch, in each way that a kind has."""


def main() -> None:
    root, kind, first, stride = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:5])
    out = root / "out.pickle"

    def result() -> Any:
        with builtins.open(out, "rb") as file:
            return pickle.load(file)

    assert child(partial(once, root / "whole", None, leave), out) == 0
    whole = result()
    total = whole.pop("count")
    wrong: list[str] = []
    tried = said = 0
    for at in range(first, total + 1, stride):
        for way, then in KINDS[kind].items():
            tried += 1
            folder = root / f"{kind}-{at}-{way}"
            code = child(partial(once, folder, at, then), out)
            if kind != "fail" and code != 77:
                wrong.append(f"{at}, {way}: not killed but {code}")
                continue
            if kind == "fail":
                if code:
                    wrong.append(f"{at}, {way}: a traceback")
                    continue
                found = result()
                found.pop("count")
                if "error" not in found:  # it went on without a checkpoint
                    if not same(whole, found):
                        wrong.append(f"{at}, {way}: other numbers")
                    continue
                said += 1
                if str(folder) not in found["error"] or not found["error"].startswith("WorkError"):
                    wrong.append(f"{at}, {way}: {found['error']}")
            if child(partial(go_on, folder), out):
                wrong.append(f"{at}, {way}: could not go on")
            elif not same(whole, result()):
                wrong.append(f"{at}, {way}: goes on to other numbers")
    print(json.dumps({"points": total, "tried": tried, "refused": said, "wrong": wrong}))


if __name__ == "__main__":
    main()

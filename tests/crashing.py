"""Runs a small training again and again, each time with its k-th touch of the disk gone wrong.

A program of its own: its children are forked from a process that has imported everything, has run
no operation of PyTorch and has no threads. ``python crashing.py FOLDER kill|fail FIRST STRIDE``
prints one line of JSON: how many points there were, how many were tried, and what was wrong.
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
from linnet import files, spine
from linnet.errors import LinnetError, LinnetWarning

PARTS = ("checks", "data", "networks", "objectives", "runs", "solvers", "training")

for part in PARTS:
    package = importlib.import_module(f"linnet.{part}")
    for found in pkgutil.walk_packages(package.__path__, f"linnet.{part}."):
        importlib.import_module(found.name)

SETTINGS: dict[str, Any] = {
    "model": ["linear", "mlp"], "epochs": 3, "batch_size": 16, "widths": [4], "dropout": 0.2,
    "averaging": "ema", "checkpoint_every": 2, "penalty": [0.1, 0.01], "log_every": 1,
}  # fmt: skip


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    y = np.arange(60) % 3
    return (random.normal(size=(60, 3)) + y[:, None]).astype(np.float32), y


class Disk:
    """Counts what is done to the disk; at the ``at``-th time it does ``then`` instead."""

    def __init__(self, at: int | None, then: Callable[[], None]) -> None:
        self.count, self.at, self.then = 0, at, then

    def touch(self, half: Callable[[], None] | None = None) -> None:
        self.count += 1
        if self.count == self.at:
            if half is not None:
                half()
            self.then()

    def wrap(self) -> None:
        touch, fsync, replace = self.touch, os.fsync, os.replace

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
            return file if "r" in mode else File(file)

        def synced(descriptor: int) -> None:
            touch()
            fsync(descriptor)

        def replaced(one: Any, two: Any) -> None:
            touch()
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
        {key: value for key, value in event.items() if key not in ("time", "wall")}
        for event in run.events()
        if event["event"] != "spent"  # seconds
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
    return spine.train(data(), linnet.Recipe.make(SETTINGS), echo=False, **more)


def once(folder: Path, at: int | None, then: Callable[[], None]) -> dict[str, Any]:
    disk = Disk(at, then)
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


def leave() -> None:
    os._exit(77)


def refuse(number: int) -> Callable[[], None]:
    def raised() -> None:
        raise OSError(number, os.strerror(number))

    return raised


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
        for number in (None,) if kind == "kill" else (errno.ENOSPC, errno.EIO):
            tried += 1
            folder = root / f"{kind}-{at}-{number}"
            then = leave if number is None else refuse(number)
            code = child(partial(once, folder, at, then), out)
            if number is None and code != 77:
                wrong.append(f"{at}: not killed but {code}")
                continue
            if number is not None:
                if code:
                    wrong.append(f"{at}, {errno.errorcode[number]}: a traceback")
                    continue
                found = result()
                found.pop("count")
                if "error" not in found:  # it went on without a checkpoint
                    if not same(whole, found):
                        wrong.append(f"{at}, {errno.errorcode[number]}: other numbers")
                    continue
                said += 1
                if str(folder) not in found["error"] or not found["error"].startswith("WorkError"):
                    wrong.append(f"{at}, {errno.errorcode[number]}: {found['error']}")
            if child(partial(go_on, folder), out):
                wrong.append(f"{at}, {number}: could not go on")
            elif not same(whole, result()):
                wrong.append(f"{at}, {number}: goes on to other numbers")
    print(json.dumps({"points": total, "tried": tried, "refused": said, "wrong": wrong}))


if __name__ == "__main__":
    main()

"""The data and the recipe that all share, and the interface of a rival.

A rival is a function ``train(task, tick, ...) -> predict``: it fits ``task.epochs`` epochs, calls
``tick`` after each, and returns what predicts. Whatever lies between two ticks is the epoch. Each
rival is a file in ``rivals/`` that imports its own library, for a process of its own.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

MEAN, SD = 0.1307, 0.3081
WIDTHS = (512, 256, 128, 64)
LR, MOMENTUM, BATCH = 0.01, 0.5, 64

LIBRARIES = ("linnet", "torch", "scikit-learn", "skorch", "lightning", "keras", "jax", "numpy")

Predict = Callable[[np.ndarray], np.ndarray]
"""Pictures (rows, 28, 28) in uint8 -> class codes (rows,)."""

Tick = Callable[[Predict | None], None]
"""Called after each epoch, with what predicts then, where it is at hand."""


@dataclass(frozen=True)
class Task:
    """Pictures (rows, 28, 28) in uint8 and class codes, and how long to train."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    epochs: int
    seed: int = 0

    def accuracy(self, predict: Predict) -> float:
        """Of the test rows."""
        return float((predict(self.x_test) == self.y_test).mean())


def unit(x: np.ndarray) -> np.ndarray:
    """Pictures as rows of 784 numbers from 0 to 1, float32."""
    return x.reshape(len(x), -1).astype(np.float32) / np.float32(255)


def scaled(x: np.ndarray) -> np.ndarray:
    """Pictures as normalised rows, float32."""
    return (unit(x) - np.float32(MEAN)) / np.float32(SD)


def present() -> bool:
    """Whether MNIST lies below LINNET_DATA."""
    return (Path(os.environ.get("LINNET_DATA", "")) / "mnist").is_dir()


def mnist(epochs: int, seed: int = 0, rows: int | None = None) -> Task:
    """MNIST from its four files, or the first ``rows`` of its training part."""
    folder = Path(os.environ["LINNET_DATA"]) / "mnist"

    def part(name: str) -> tuple[np.ndarray, np.ndarray]:
        with gzip.open(folder / f"{name}-images-idx3-ubyte.gz") as file:
            x = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
        with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz") as file:
            y = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
        return x.copy(), y

    (x, y), (x_test, y_test) = part("train"), part("t10k")
    return Task(x[:rows], y[:rows], x_test, y_test, epochs, seed)


def drawn(epochs: int, rows: int) -> Task:
    """Ten pictures under noise, where MNIST is not at hand: the time is the same."""
    random = np.random.default_rng(0)
    means = random.integers(0, 256, (10, 28, 28))
    y = random.integers(0, 10, rows + 1000)
    x = np.clip(means[y] + random.normal(0, 200, (len(y), 28, 28)), 0, 255).astype(np.uint8)
    return Task(x[:rows], y[:rows], x[rows:], y[rows:], epochs)


def environment(threads: int) -> dict[str, str]:
    """What tells every library its number of threads."""
    names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
    found = {f"{name}_NUM_THREADS": str(threads) for name in names}
    if threads == 1:  # else JAX goes by the cores it is bound to
        found["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return found


def pin(threads: int) -> None:
    """Bind this process, and all it starts, to ``threads`` cores and as many threads."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    if len(cores) < threads:
        raise SystemExit(f"{threads} threads, but only {len(cores)} cores")
    os.sched_setaffinity(0, cores)
    os.environ.update(environment(threads), JAX_PLATFORMS="cpu")
    os.environ.setdefault("KERAS_BACKEND", "torch")


def about() -> str:
    """The machine, its load and the versions, in a line."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    threads, cores = os.environ["OMP_NUM_THREADS"], len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return f"{threads} threads on {cores} cores, load {load:.1f} before; {', '.join(found)}"

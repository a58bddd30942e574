"""Seconds per epoch of one network and one recipe, linnet's loop beside everybody's.

    python benchmarks/training/epochs.py [rivals] [--repeats 5] [--threads 4] [--rows N] [--quick]

MNIST's 60,000 rows, 784-512-256-128-64-10 with ReLU, SGD at 0.01 with momentum 0.5, batches of 64,
cross entropy, pixels normalised by 0.1307 and 0.3081. Each rival lives in a process of its own and
makes one fit of 1 + repeats epochs; it stops at the end of each epoch until it is told to go on, so
that all take their epochs in turn, on the same cores with as many threads. The first epoch, with
all setting up, warms and is not counted. An epoch of linnet is one of ``linnet.fit.fit.fit`` as
``linnet train`` calls it, every step recorded, looked at for divergence and some written to a file.
R is the rival's time over linnet's, the medians. Test accuracy is that after all the epochs.

Needs ``requirements.txt``; a rival that is not installed is listed as such. ``--quick`` takes 6,000
rows and the rivals that need nothing but linnet's own environment.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import problem

PAUSE = 0.5
"""Seconds before each epoch: until the threads of the one before no longer spin."""


@dataclass(frozen=True)
class Rival:
    """A file in ``rivals/``, what its ``train`` is told, and the R to reach."""

    file: str
    options: dict[str, Any] = field(default_factory=dict)
    demand: float | None = None


RIVALS = {
    "linnet": Rival("linnet"),
    "batches without a network": Rival("batches"),
    "eager": Rival("eager", demand=1.3),
    "loader": Rival("loader", demand=10),
    "loader, 2 workers": Rival("loader", {"workers": 2}),
    "lightning": Rival("lightning", demand=2),
    "skorch": Rival("skorch", demand=2.5),
    "sklearn": Rival("sklearn", demand=2.5),
    "keras": Rival("keras", demand=2.5),
    "jax": Rival("jax", demand=1),
    "jax, compiled each time": Rival("jax", {"anew": True}),
}
QUICK = ("linnet", "eager", "sklearn")


def work(pipe: Connection, name: str, epochs: int, rows: int | None) -> None:
    """A process: sends the seconds of an epoch, waits to be told to go on; last the accuracy."""
    rival = RIVALS[name]
    try:
        module = import_module(f"rivals.{rival.file}")
    except ImportError as error:
        pipe.send(f"not installed: {error.name}")
        return
    warnings.simplefilter("ignore")
    here = problem.present()
    task = problem.mnist(epochs, rows=rows) if here else problem.drawn(epochs, rows or 60_000)
    start = time.perf_counter()

    def tick(predict: problem.Predict | None) -> None:
        nonlocal start
        pipe.send(time.perf_counter() - start)
        pipe.recv()
        start = time.perf_counter()

    pipe.send(task.accuracy(module.train(task, tick, **rival.options)))


class Worker:
    """A rival in a process of its own."""

    def __init__(self, name: str, epochs: int, rows: int | None) -> None:
        self.name = name
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, name, epochs, rows))
        self.process.start()  # not a daemon: those may have no workers of their own
        theirs.close()
        self.times: list[float] = []
        self.first = self.recv()

    def recv(self) -> float | str:
        try:
            result: float | str = self.pipe.recv()
        except EOFError:
            result = "failed"
        return result

    def go(self) -> float | str:
        """What follows: the next epoch's seconds, or the accuracy."""
        time.sleep(PAUSE)
        self.pipe.send(None)
        return self.recv()


def compare(names: list[str], repeats: int, rows: int | None) -> None:
    """Warm all, take the rounds, print the table."""
    workers: list[Worker] = []
    try:
        for name in names:  # one after another: each warms alone
            workers.append(Worker(name, 1 + repeats, rows))
        able = [worker for worker in workers if isinstance(worker.first, float)]
        for _ in range(repeats):
            for worker in able:
                seconds = worker.go()
                if isinstance(seconds, str):
                    raise SystemExit(f"{worker.name}: {seconds}")
                worker.times.append(seconds)
        accuracies = {worker.name: worker.go() for worker in able}
    finally:
        for worker in workers:
            worker.process.kill()
    ours = median(able[0].times)
    print("\n| | seconds per epoch (least to most) | test accuracy | R | to reach |")
    print("|---|--:|--:|--:|--:|")
    for worker in workers:
        demand = RIVALS[worker.name].demand
        wanted = "" if demand is None else f"{demand:g}"
        if isinstance(worker.first, str):
            print(f"| {worker.name} | {worker.first} | | | {wanted} |")
            continue
        middle = median(worker.times)
        spread = f"{middle:.3g} ({min(worker.times):.3g} to {max(worker.times):.3g})"
        accuracy = accuracies[worker.name]
        right = f"{accuracy:.2%}" if isinstance(accuracy, float) and accuracy else ""
        print(f"| {worker.name} | {spread} | {right} | {middle / ours:.2f} | {wanted} |")
    print(f"\ntest accuracy after {1 + repeats} epochs; each with its own initial weights")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rivals", nargs="*", help=f"by default all: {', '.join(RIVALS)}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--rows", type=int, help="the first so many training rows")
    parser.add_argument("--quick", action="store_true", help=f"6,000 rows; {', '.join(QUICK)}")
    given = parser.parse_args()
    unknown = set(given.rivals) - set(RIVALS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(RIVALS)}")
    if not problem.present() and not given.quick:
        parser.error("set LINNET_DATA to the folder above mnist/")
    names = given.rivals or list(QUICK if given.quick else RIVALS)
    names = ["linnet", *(name for name in names if name != "linnet")]
    rows = given.rows or (6_000 if given.quick else None)
    problem.pin(given.threads)
    what = "MNIST" if problem.present() else "drawn pictures, MNIST is not here"
    print(f"## seconds per epoch\n\n{what}, {rows or 60_000:,} rows; {problem.about()}")
    compare(names, given.repeats, rows)


if __name__ == "__main__":
    main()

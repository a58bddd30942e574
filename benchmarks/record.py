"""What the record of a run costs the training that writes it.

    python benchmarks/record.py [--repeats 5] [--threads 2] [--folder FOLDER] [--quick]

1. Microseconds a record: the steps of a real fit, written again by the same `Record` to a file in
   FOLDER (by default that of temporary files), each with the system before the call returns. At
   most 50 on average.
2. Whether it slows down: the cost of a record, and of a `line(update="append")` of
   `linnet.compat.visdom`, after 100,000 of them over that after 100; the two files take turns.
3. The share of an epoch of the perceptron of `linnet train mnist` (10 made pictures under noise
   where LINNET_DATA holds no mnist) that goes to logging at the default interval: at most 0.5 %.
   Counted inside the fit, in the calls that only logging needs: the largest gradient, the mean loss
   since the last record, the record. Beside it, whole epochs with and without logging, in turn;
   that ratio is only as fine as the machine is quiet.

4. The share of that training that goes to checkpoints at the default interval: each is
   flushed and fsynced in FOLDER, which should be on a disk. At most 2 %.

``--quick``: 2 repeats of 2 epochs, and 20,000 points for 100,000.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import linnet
from linnet.compat.visdom import Visdom
from linnet.core.events import Plain, Step, of
from linnet.core.record import Record
from linnet.data.dataset import Dataset
from linnet.experiment.train import prepare
from linnet.fit import fit as fits
from linnet.fit.checkpoint import Checkpoints
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only
from linnet.net.loop import Train

MOST_MICROSECONDS, MOST_PERCENT, MOST_SAVING = 50, 0.5, 2
BATCH = 500
"""Records timed at a time."""

NONE = torch.zeros(0, dtype=torch.int64)
"""No validation rows."""


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def spread(values: list[float], form: str = ".3g") -> str:
    """The median, and from least to most."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def problem(epochs: int) -> tuple[Dataset, Recipe]:
    """MNIST's training rows, or made ones, and the recipe of its perceptron for some epochs."""
    if (Path(os.environ.get("LINNET_DATA", "")) / "mnist").is_dir():
        data: Any = "mnist"
    else:
        random = np.random.default_rng(0)
        means, y = random.integers(0, 256, (10, 28, 28)), random.integers(0, 10, 60_000)
        x = np.clip(means[y] + random.normal(0, 200, (len(y), 28, 28)), 0, 255).astype(np.uint8)
        data = (x, y)
    ready = prepare(data, Recipe().override({"model": "mlp"}))
    train = ready.data.take(ready.parts["train"])
    return train, only(ready.recipe, "mlp").override({"epochs": epochs})


def steps_of(train: Dataset, recipe: Recipe) -> list[Step]:
    """The steps that a fit writes."""
    found: list[Plain] = []
    record = Record(echo=found.append)
    fits.fit(recipe, train, train.take(NONE), record=record)
    return [event for event in map(of, found) if isinstance(event, Step)]


def write(record: Record, steps: list[Step], count: int) -> None:
    """``count`` records, as `linnet.fit.fit` writes them."""
    for number in range(count):
        record.write(steps[number % len(steps)])


def append(viz: Visdom, count: int) -> None:
    """``count`` points on a curve."""
    for number in range(count):
        viz.line([0.25], [number], win="loss", update="append")


def growth(one: Callable[[], Callable[[int], None]], most: int, repeats: int) -> list[float]:
    """What a call costs after ``most`` of them over after 100; ``one`` opens a new file."""
    long = one()
    long(most)
    ratios = []
    for _ in range(repeats):
        short = one()
        short(100)
        after_few = timed(partial(short, BATCH))
        ratios.append(timed(partial(long, BATCH)) / after_few)
    return ratios


@contextmanager
def counted(places: list[tuple[Any, str]]) -> Iterator[list[float]]:
    """The seconds spent in some methods, meanwhile."""
    spent = [0.0]
    kept = [(owner, name, getattr(owner, name)) for owner, name in places]

    def count(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            start = time.perf_counter()
            result = work(*given, **more)
            spent[0] += time.perf_counter() - start
            return result

        return call

    for owner, name, work in kept:
        setattr(owner, name, count(work))
    try:
        yield spent
    finally:
        for owner, name, work in kept:
            setattr(owner, name, work)


def fitted(recipe: Recipe, train: Dataset, path: Path | None) -> float:
    """The seconds of a fit, with its record."""
    record = Record(path)
    try:
        return timed(lambda: fits.fit(recipe, train, train.take(NONE), record=record))
    finally:
        record.close()


Shares = list[tuple[float, float, float]]
"""Of each epoch: the shares of its time that go to writing records and to all of logging, and its
seconds."""


def shares(train: Dataset, recipe: Recipe, path: Path) -> tuple[Shares, float]:
    """Of a fit: its epochs, and the microseconds a record, which finds nothing in the caches."""
    ends: list[tuple[float, float, float]] = []
    steps = -(-len(train) // int(recipe.batch_size))

    def echo(line: Plain) -> None:
        event = of(line)
        if isinstance(event, Step) and event.step % steps == 0:
            ends.append((written[0], written[0] + looked[0], time.perf_counter()))

    record = Record(path, echo)
    looks = [(fits.Losses, "take"), (Train, "watch")]
    with counted([(Record, "write")]) as written, counted(looks) as looked:
        ends.append((0.0, 0.0, time.perf_counter()))
        fits.fit(recipe, train, train.take(NONE), record=record)
    record.close()
    found = []
    for before, after in itertools.pairwise(ends):
        write, every, seconds = (b - a for a, b in zip(before, after, strict=True))
        found.append((write / seconds, every / seconds, seconds))
    return found, 1e6 * written[0] / path.read_text().count("\n")


def saving(train: Dataset, recipe: Recipe, folder: Path) -> tuple[float, float]:
    """Of a fit: the percentage of its time that goes to checkpoints, and how many there were."""
    saves = Checkpoints(folder)
    with counted([(Checkpoints, "save")]) as spent:
        empty = train.take(NONE)
        seconds = timed(lambda: fits.fit(recipe, train, empty, checkpoints=saves))
    made = max((int(path.stem) for path in folder.glob("*.safetensors")), default=0)
    return 100 * spent[0] / seconds, made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    most = 20_000 if given.quick else 100_000
    repeats = 2 if given.quick else given.repeats
    train, recipe = problem(epochs=2 if given.quick else 3)
    print(
        f"linnet {linnet.__version__}, torch {torch.__version__}, {given.threads} threads, "
        f"{len(train):,} rows, files in {given.folder}, {repeats} repeats\n"
    )
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder, number = Path(place), iter(range(10**6))
        steps = steps_of(train, recipe)

        def new_record() -> Callable[[int], None]:
            record = Record(folder / f"{next(number)}.jsonl")
            return lambda count: write(record, steps, count)

        def new_curve() -> Callable[[int], None]:
            (run := folder / str(next(number))).mkdir()
            viz = Visdom(run=run)
            return lambda count: append(viz, count)

        print("| | median (least to most) | wanted |\n|---|--:|--:|")
        calls = (("a record", new_record), ('a `line(update="append")`', new_curve))
        for what, one in calls:
            work, costs = one(), []
            for _ in range(repeats):
                costs.append(1e6 * timed(partial(work, 10 * BATCH)) / (10 * BATCH))
            print(f"| microseconds {what} | {spread(costs)} | {MOST_MICROSECONDS} |", flush=True)
        for what, one in calls:
            ratios = growth(one, most, repeats)
            print(f"| {what} after {most:,} over after 100 | {spread(ratios)} | 1 |", flush=True)

        found, costs = [], []
        for _ in range(repeats):
            each, cost = shares(train, recipe, folder / f"{next(number)}.jsonl")
            found.append(each)
            costs.append(cost)
        print(f"| microseconds a record between the steps of a fit | {spread(costs)} | |")
        first = [100 * each[0][1] for each in found]
        later = [x for each in found for x in each[1:]]
        print(f"| logging, % of the first epoch, with the first 100 steps | {spread(first)} | |")
        print(
            f"| logging, % of a later epoch | {spread([100 * x[1] for x in later])} | "
            f"{MOST_PERCENT} |"
        )
        print(f"| of which writing the records | {spread([100 * x[0] for x in later])} | |")
        print(f"| seconds of a later epoch | {spread([x[2] for x in later])} | |", flush=True)

        silent = recipe.override({"log_every": 10**9})
        ratios = []
        for _ in range(repeats):
            with_it = fitted(recipe, train, folder / f"{next(number)}.jsonl")
            ratios.append(with_it / fitted(silent, train, None))
        print(f"| a fit with logging over one without | {spread(ratios, '.4f')} | 1.005 |")

        longer = recipe.override({"epochs": 8})
        tried = [saving(train, longer, folder / f"saves{each}") for each in range(repeats)]
        print(
            f"| checkpoints, % of {longer.epochs} epochs, {min(n for _, n in tried):g} to "
            f"{max(n for _, n in tried):g} of them | {spread([x for x, _ in tried])} | "
            f"{MOST_SAVING} |"
        )


if __name__ == "__main__":
    main()

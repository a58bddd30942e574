"""What ranks cost, and what they agree on: the line and the net on 1, 2 and 4 processes.

    python benchmarks/scale/ranks.py            # fits of several seconds
    python benchmarks/scale/ranks.py --small

CPU seconds of all ranks are added, so other work on the machine counts little (with ``--repeats``
the least of them count): the efficiency of W ranks is those of one process without shares, divided
by theirs. The difference is the largest one
between coefficients or weights and those of one process with the same shares. One thread a rank.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from linnet import Recipe
from linnet.core.parallel import World
from linnet.fit.fit import fit
from linnet.fit.prepare import prepare
from linnet.fit.resolve import only

LINE: dict[str, Any] = {"model": "linear", "penalty": 1e-4, "folds": 1, "dtype": "float64"}
NET: dict[str, Any] = {
    "model": "mlp", "folds": 1, "batch_size": 2_048, "embedding": "none", "widths": (256, 128),
}  # fmt: skip

CASES: dict[str, tuple[int, int, int, dict[str, Any]]] = {
    "squares": (500_000, 250, 0, LINE),
    "logistic": (600_000, 150, 2, LINE),
    "softmax": (600_000, 150, 8, LINE),
    "net": (120_000, 60, 5, {**NET, "epochs": 15, "patience": 15, "dropout": 0.0}),
    "dropout": (120_000, 60, 5, {**NET, "epochs": 10, "patience": 10, "dropout": 0.2}),
}
"""Rows, inputs, classes (0: a number), and the recipe."""


def made(name: str, small: bool) -> tuple[Any, Any]:
    rows, inputs, classes, _ = CASES[name]
    rows = rows // 20 if small else rows
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, inputs)).astype(np.float32)
    raw = x @ random.normal(size=(inputs, max(1, classes))).astype(np.float32) / inputs**0.5
    if not classes:
        return x, (raw[:, 0] + random.normal(size=rows)).astype(np.float32)
    return x, (raw + random.gumbel(size=raw.shape)).argmax(1)


def fitted(world: World, name: str, shares: int, small: bool) -> tuple[float, float, Any]:
    """CPU seconds, wall seconds, and the state of the network."""
    warnings.simplefilter("ignore")
    settings = CASES[name][3]
    ready = prepare(made(name, small), Recipe.make({**settings, "shares": shares}), look=False)
    train, valid = (ready.data.take(ready.parts[part]) for part in ("train", "valid"))
    (model,) = ready.recipe.model
    few = train.take(torch.arange(0, len(train), len(train) // 300))
    fit(only(ready.recipe, model), few, few)  # whatever is imported on the way
    world.agree()
    cpu, wall = time.process_time(), time.perf_counter()
    found = fit(only(ready.recipe, model), train, valid, world=world)
    spent = time.process_time() - cpu, time.perf_counter() - wall
    return *spent, found.module.state_dict()


def rank(number: int, folder: str, size: int, name: str, small: bool) -> None:
    torch.set_num_threads(1)
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", meet, rank=number, world_size=size)
    torch.save(fitted(World(number, size), name, 8, small), f"{folder}/{number}.pt")
    dist.destroy_process_group()


def together(size: int, name: str, small: bool) -> list[tuple[float, float, Any]]:
    if size == 1:
        return [fitted(World(), name, 8, small)]
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(rank, (folder, size, name, small), nprocs=size)
        return [torch.load(Path(folder) / f"{number}.pt") for number in range(size)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--repeats", type=int, default=1, help="the least CPU seconds count")
    parser.add_argument("--ranks", type=int, nargs="*", default=[1, 2])
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| case | ranks | CPU s of all | wall s | efficiency | largest difference |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in given.cases:
        spent: dict[int, list[tuple[float, float]]] = {size: [] for size in [0, *given.ranks]}
        states: dict[int, Any] = {}
        for _ in range(given.repeats):
            for size, every in spent.items():
                found = together(size, name, given.small) if size else [plain(name, given.small)]
                every.append((sum(each[0] for each in found), max(each[1] for each in found)))
                states[size] = found[0][2]
        alone = min(spent[0])[0]
        for size, every in spent.items():
            cpu, wall = min(every)
            first = states[given.ranks[0]]
            apart = max((states[size][k] - first[k]).abs().max().item() for k in first)
            title = f"{size} | {cpu:.2f} | {wall:.2f} | {alone / cpu:.2f} | {apart:.1e}"
            if not size:
                title = f"1, no shares | {cpu:.2f} | {wall:.2f} | 1 | "
            print(f"| {name} | {title} |", flush=True)


def plain(name: str, small: bool) -> tuple[float, float, Any]:
    """One process without shares."""
    return fitted(World(), name, 1, small)


if __name__ == "__main__":
    main()

"""Time to an accuracy on MNIST: from the start of a process to its exit.

    python benchmarks/training/accuracy.py [tasks] [--seeds 5] [--threads 4] [--entries A,B]
    python benchmarks/training/accuracy.py [tasks] --search [--most 40]

``mlp``: 98 % on the test rows, linnet's perceptron beside the MNIST example of each library, with
its own network and optimizer. ``cnn``: 99 %, linnet's beside PyTorch's basic example. Everything
counts: imports, reading the four gzip files, training, one scoring of the test rows at the end; for
linnet also the baseline, intervals, predictions and all else that ``linnet train`` leaves. Each
rival trains for the fewest epochs at which 4 of 5 seeds hold the accuracy, which ``--search``
finds (not timed, a thread for each seed). Where an example as shipped does not get there, the same
with the least that it takes changed stands below it. Seeds are interleaved over all entries, after
a run of each, of one epoch, that is not counted. R is the rival's time over linnet's, the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import IO, Any

import problem

PAUSE = 0.5
HOLD = 0.8
"""The share of seeds that must reach the accuracy."""


@dataclass(frozen=True)
class Example:
    """A function in a file of ``rivals/``, what it is told, and its epochs by ``--search``.

    ``epochs`` None: the accuracy was not reached within those searched, so it is not timed.
    """

    file: str
    function: str
    epochs: int | None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contest:
    """An accuracy, linnet's model and settings for it, and the rivals."""

    goal: float
    model: str
    settings: tuple[str, ...]
    rivals: dict[str, Example]


# The settings are tuned by hand; every ``epochs`` of a rival comes from --search.
CONTESTS = {
    "mlp": Contest(
        0.98,
        "mlp",
        (
            "epochs=4",
            "widths=512,256",
            "batch_size=256",
            "lr=8e-3",
            "dropout=0",
            "shift=0",
            "valid=0",
        ),
        {
            "sklearn": Example("sklearn", "example", None, {"hidden": 100}),
            "sklearn 256": Example("sklearn", "example", 25, {"hidden": 256}),
            "keras": Example("keras", "example", 5),
            "skorch": Example("skorch", "example", None, {"hidden": 98, "dropout": 0.5}),
            "skorch 512": Example("skorch", "example", 20, {"hidden": 512, "dropout": 0.5}),
            "lightning": Example("lightning", "example", None, {"hidden": 64, "lr": 2e-4}),
            "lightning 256": Example("lightning", "example", 10, {"hidden": 256, "lr": 1e-3}),
        },
    ),
    "cnn": Contest(
        0.99,
        "cnn",
        ("epochs=2", "valid=0", "dropout=0"),
        {"pytorch's example": Example("loader", "cnn", 4)},
    ),
}


def one(contest: str, name: str, seed: int, epochs: int, rows: int | None, every: bool) -> None:
    """A rival's whole process; prints its accuracy, or with ``every`` that of each epoch."""
    example = CONTESTS[contest].rivals[name]
    task = problem.mnist(epochs, seed, rows)
    module = import_module(f"rivals.{example.file}")
    warnings.simplefilter("ignore")

    def tick(predict: problem.Predict | None) -> None:
        if every and predict is not None:
            torch = sys.modules.get("torch")
            state = torch.get_rng_state() if torch else None
            print(task.accuracy(predict), flush=True)
            if torch:
                torch.set_rng_state(state)  # training goes on as if nothing had been scored

    predict = getattr(module, example.function)(task, tick, **example.options)
    if not every:
        print(task.accuracy(predict))


def command(contest: str, name: str, seed: int, epochs: int, rows: int | None) -> list[str]:
    """The process of a rival."""
    own = [sys.executable, __file__, contest, "--one", name, str(seed), str(epochs)]
    return own if rows is None else [*own, "--rows", str(rows)]


def timed(
    contest: str, name: str, seed: int, rows: int | None, *, warm: bool = False
) -> tuple[float, float]:
    """Seconds of the process, and its accuracy; to ``warm`` it takes one epoch."""
    chosen = CONTESTS[contest]
    with tempfile.TemporaryDirectory() as folder:
        if name == "linnet":
            full = [sys.executable, "-m", "linnet", "train", "mnist", "--json"]
            full += ["--model", chosen.model, "--seed", str(seed), "--out", f"{folder}/run"]
            for setting in (*chosen.settings, *(["epochs=1"] if warm else [])):
                full += ["--set", setting]
        else:
            epochs = chosen.rivals[name].epochs
            assert epochs is not None
            full = command(contest, name, seed, 1 if warm else epochs, rows)
        with open(Path(folder) / "err", "w") as errors:
            time.sleep(PAUSE)
            start = time.perf_counter()
            done = subprocess.run(full, stdout=subprocess.PIPE, stderr=errors, text=True)
            seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"{name}: {(Path(folder) / 'err').read_text()}")
    if name == "linnet":
        scores = json.loads(done.stdout)["models"][chosen.model]
        return seconds, float(scores["test"]["accuracy"])
    return seconds, float(done.stdout.split()[-1])


def compare(contest: str, wanted: Sequence[str], seeds: int, rows: int | None) -> None:
    """All entries, seed by seed, and the table."""
    chosen = CONTESTS[contest]
    rivals = {name: each for name, each in chosen.rivals.items() if name in wanted or not wanted}
    names = ["linnet", *(name for name, each in rivals.items() if each.epochs is not None)]
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for name in names:
        timed(contest, name, 0, rows, warm=True)
    for seed in range(seeds):
        for name in names:
            results[name].append(timed(contest, name, seed, rows))
            print(f"  {name}, seed {seed}: {results[name][-1]}", file=sys.stderr, flush=True)
    settings = " ".join(chosen.settings)
    print(f"\n## {chosen.model} to {chosen.goal:.0%}\n\nlinnet: {settings}\n")
    print("| | epochs | seconds (least to most) | test accuracy | hold it | R |")
    print("|---|--:|--:|---|--:|--:|")
    ours = median(seconds for seconds, _ in results["linnet"])
    for name in ("linnet", *rivals):
        if name not in results:
            print(f"| {name} | | not reached in the search | | | |")
            continue
        times, right = zip(*results[name], strict=True)
        middle = median(times)
        spread = f"{middle:.3g} ({min(times):.3g} to {max(times):.3g})"
        hold = sum(value >= chosen.goal for value in right)
        epochs = "" if name == "linnet" else rivals[name].epochs
        shown = ", ".join(f"{value:.2%}" for value in right)
        print(
            f"| {name} | {epochs} | {spread} | {shown} | {hold} of {seeds} | {middle / ours:.2f} |"
        )
        if hold < HOLD * seeds:
            print(f"{name} does not hold {chosen.goal:.0%}: search again", file=sys.stderr)
    print(flush=True)


def search(contest: str, wanted: Sequence[str], seeds: int, most: int, rows: int | None) -> None:
    """The fewest epochs of each rival, its seeds side by side with a thread each."""
    chosen = CONTESTS[contest]
    alone = {**os.environ, **problem.environment(1)}
    for name in chosen.rivals:
        if wanted and name not in wanted:
            continue
        processes = []
        for seed in range(seeds):
            full = [*command(contest, name, seed, most, rows), "--every"]
            processes.append(
                subprocess.Popen(
                    full, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=alone
                )
            )
        found, right = None, [0.0]
        try:
            for epoch in range(1, most + 1):
                right = [next_line(process.stdout) for process in processes]
                print(f"  {name}, epoch {epoch}: {right}", file=sys.stderr, flush=True)
                if sum(value >= chosen.goal for value in right) >= HOLD * seeds:
                    found = epoch
                    break
        finally:
            for process in processes:
                process.kill()
        shown = ", ".join(f"{value:.2%}" for value in right)
        print(f"{contest}: {name}: epochs {found}, at the last {shown}", flush=True)


def next_line(pipe: IO[str] | None) -> float:
    """The next accuracy that a process prints."""
    assert pipe is not None
    line = pipe.readline()
    if not line:
        raise SystemExit("a rival failed; run it with --one to see why")
    return float(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", help=f"by default all: {', '.join(CONTESTS)}")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--entries", default="", help="only these rivals")
    parser.add_argument("--search", action="store_true", help="find each rival's epochs")
    parser.add_argument("--most", type=int, default=40, help="epochs to search within")
    parser.add_argument("--rows", type=int, help="rivals take so many training rows, to try it out")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--every", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = set(given.tasks) - set(CONTESTS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(CONTESTS)}")
    if not problem.present():
        parser.error("set LINNET_DATA to the folder above mnist/")
    if given.one:
        name, seed, epochs = given.one
        return one(given.tasks[0], name, int(seed), int(epochs), given.rows, given.every)
    problem.pin(given.threads)
    wanted = [name for name in given.entries.split(",") if name]
    print(problem.about(), flush=True)
    for contest in given.tasks or CONTESTS:
        if given.search:
            search(contest, wanted, given.seeds, given.most, given.rows)
        else:
            compare(contest, wanted, given.seeds, given.rows)


if __name__ == "__main__":
    main()

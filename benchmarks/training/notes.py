"""The learning notes' own programs on MNIST beside linnet.

    python benchmarks/training/notes.py [line] [nets] [--seeds 5] [--threads 4]

``line``: softmax regression as the notes train it, single pictures through transforms and a
DataLoader, beside ``linnet train mnist --model linear``, which solves it: minutes from the start of
the process to its exit, and test accuracy. ``nets``: the notes' two perceptrons by hand, with
PyTorch's initial weights, beside the same recipe in linnet, on all 60,000 rows without a validation
part: test accuracy over the seeds. The nets run in this process and are not timed; rows by hand lie
in memory, which changes the time alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from statistics import mean, stdev

import problem

EPOCHS = 10
SOFTMAX = {"batch": 200, "lr": 0.01, "momentum": 0.5}
NETS = {
    "784-512-256-128-64-10, ReLU": ((512, 256, 128, 64), "relu"),
    "784-200-200-10, LeakyReLU": ((200, 200), "leaky_relu"),
}


def line(seed: int, epochs: int, rows: int | None) -> None:
    """Both programs, one after the other."""
    print(f"\n## softmax regression: the notes' {epochs} epochs beside the optimum\n")
    print("| | minutes | test accuracy |\n|---|--:|--:|", flush=True)
    own = [sys.executable, __file__, "--one", str(seed), "--epochs", str(epochs)]
    own += [] if rows is None else ["--rows", str(rows)]
    with tempfile.TemporaryDirectory() as folder:
        full = [sys.executable, "-m", "linnet", "train", "mnist", "--model", "linear", "--json"]
        full += ["--seed", str(seed), "--out", f"{folder}/run"]
        for name, command in (("the notes' program", own), ("linnet", full)):
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True)
            minutes = (time.perf_counter() - start) / 60
            if done.returncode:
                raise SystemExit(f"{name}: {done.stderr}")
            result = json.loads(done.stdout)
            if name == "linnet":
                result = result["models"]["linear"]["test"]["accuracy"]
            print(f"| {name} | {minutes:.2f} | {result:.2%} |", flush=True)


def nets(seeds: int, epochs: int, rows: int | None) -> None:
    """Each recipe by hand and in linnet, seed by seed."""
    from rivals import eager, linnet
    from torch import nn

    modules = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}
    print(f"\n## the notes' perceptrons, {epochs} epochs, {seeds} seeds\n")
    print("| | | test accuracy, mean | deviation | least to most |\n|---|---|--:|--:|--:|")
    for name, (widths, activation) in NETS.items():
        found: dict[str, list[float]] = {"by hand": [], "linnet": []}
        for seed in range(seeds):
            task = problem.mnist(epochs, seed, rows)
            by_hand = eager.train(task, lambda _: None, widths, modules[activation])
            found["by hand"].append(task.accuracy(by_hand))
            settings = {"widths": list(widths), "activation": activation}
            found["linnet"].append(task.accuracy(linnet.fitted(task, settings)))
            print(f"  {name}, seed {seed}: {found}", file=sys.stderr, flush=True)
        for who, right in found.items():
            spread = f"{stdev(right):.2%}" if len(right) > 1 else ""
            ends = f"{min(right):.2%} to {max(right):.2%}"
            print(f"| {name} | {who} | {mean(right):.2%} | {spread} | {ends} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="line, nets; by default both")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rows", type=int, help="the first so many training rows, to try it out")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if set(given.parts) - {"line", "nets"}:
        parser.error("known: line, nets")
    if not problem.present():
        parser.error("set LINNET_DATA to the folder above mnist/")
    if given.one is not None:
        from rivals import loader

        task = problem.mnist(given.epochs, given.one, given.rows)
        print(task.accuracy(loader.softmax(task, lambda _: None, **SOFTMAX)))
        return
    problem.pin(given.threads)
    print(problem.about())
    parts = given.parts or ["line", "nets"]
    if "line" in parts:
        line(0, given.epochs, given.rows)
    if "nets" in parts:
        nets(given.seeds, given.epochs, given.rows)


if __name__ == "__main__":
    main()

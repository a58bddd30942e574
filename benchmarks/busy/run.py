"""A busy machine: the same runs on a quiet one, and beside as many spinning processes as cores.

    LINNET_DATA=... python -P benchmarks/busy/run.py [CASE ...] [--repeats 5] [--every-thread]

Prints, for each case, the median wall time of ``linnet train`` in both, and their ratio. All runs
of a case are made in turn, quiet and busy. ``--every-thread`` also runs the quiet case with as many
threads as the process may use for all work, however little (what linnet did before the number
followed the work), so the quiet speed can be compared. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(os.environ.get("LINNET_DATA", "data"))
CASES = {
    "iris": ["iris"],
    "digits": ["digits"],
    "adult": [
        str(DATA / "adult.data"), "--target", "c14", "--set", "header=false", "--set", "missing=?",
        "--set", "epochs=5",
    ],
    "mnist line": ["mnist", "--model", "linear"],
    "mnist net": ["mnist", "--model", "mlp", "--set", "epochs=3"],
}  # fmt: skip
LIMIT = 6.0
USUAL = "from linnet.cli import main; main()"
EVERY = "import linnet.core.parallel as p; p.ENOUGH = 0; " + USUAL


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def timed(words: list[str], code: str) -> float:
    """The wall seconds of a run of linnet."""
    folder = tempfile.mkdtemp()
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    try:
        start = time.monotonic()
        subprocess.run(
            [sys.executable, "-P", "-c", code, "train", *words, "--out", f"{folder}/run"],
            check=True, capture_output=True, env=environment,
        )  # fmt: skip
        return time.monotonic() - start
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def beside(words: list[str]) -> float:
    """The same, beside as many spinning processes as cores."""
    spinning = [
        subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(cores())
    ]
    try:
        return timed(words, USUAL)
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--every-thread", action="store_true")
    given = parser.parse_args()
    print(f"{cores()} cores; seconds, median of {given.repeats}")
    print(f"{'':12s} {'quiet':>8s} {'busy':>8s} {'ratio':>6s} {'all threads, quiet':>20s}")
    for name in given.cases:
        quiet, busy, every = [], [], []
        for _ in range(given.repeats):
            quiet.append(timed(CASES[name], USUAL))
            if given.every_thread:
                every.append(timed(CASES[name], EVERY))
            busy.append(beside(CASES[name]))
        one, two = statistics.median(quiet), statistics.median(busy)
        last = f"{statistics.median(every):20.2f}" if every else ""
        print(f"{name:12s} {one:8.2f} {two:8.2f} {two / one:6.2f} {last}", flush=True)


if __name__ == "__main__":
    main()

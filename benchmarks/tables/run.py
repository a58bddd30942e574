"""What reading a CSV costs, beside polars and pandas, on one made file.

    python benchmarks/tables/run.py [--gigabytes 1] [--quick] [--repeats 3] [--folder FOLDER]

The file has 12 columns of numbers, 4 of categories, 1 of text and a target of two classes, "y". It
is made once, in FOLDER (a temporary one by default), where a later call finds it again. Each
reading is a process of its own, in turn, and the best of its repeats is printed: the seconds of the
call alone, its imports aside; the ratio to polars' seconds; and how much further the process's
memory rose at its peak, divided by the bytes of the file. polars and pandas split and cast; linnet
also refuses what they let pass, and decides what a column is from all of its values.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BLOCK = 100_000
"""Rows made at a time."""

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")


def make(path: Path, size: int) -> None:
    """Rows until the file has ``size`` bytes."""
    import numpy as np
    import polars

    random = np.random.default_rng(0)
    words = np.array(WORDS)
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        while file.tell() < size:
            columns: dict[str, Any] = {}
            for index in range(4):
                columns[f"price{index}"] = random.normal(size=BLOCK).round(4) * 10.0**index
                columns[f"reading{index}"] = random.normal(size=BLOCK)
                columns[f"count{index}"] = random.integers(0, 10 ** (1 + 2 * index), BLOCK)
            for index in range(4):
                columns[f"kind{index}"] = words[random.integers(0, 3 + 2 * index, BLOCK)]
            number = random.integers(0, 10**9, BLOCK).astype(str)
            some = words[random.integers(0, len(words), BLOCK)]
            columns["text"] = np.char.add(np.char.add(some, " and some more words, no. "), number)
            columns["y"] = random.integers(0, 2, BLOCK)
            polars.DataFrame(columns).write_csv(file, include_header=not file.tell())
    part.rename(path)


def by_polars() -> Callable[[Path], object]:
    import polars

    return lambda path: polars.read_csv(path)


def by_pandas() -> Callable[[Path], object]:
    import pandas

    return lambda path: pandas.read_csv(path)


def by_reader() -> Callable[[Path], object]:
    import polars  # noqa: F401  imported when it is first needed, and so not timed elsewhere

    from linnet.data.reading import Reading
    from linnet.data.text.csv import Csv

    return lambda path: Csv().read(path, Reading())


def by_linnet() -> Callable[[Path], object]:
    import polars  # noqa: F401

    import linnet

    return lambda path: linnet.read(path, target="y")


READERS = {
    "polars read_csv": by_polars,
    "pandas read_csv": by_pandas,
    "linnet, the reader alone": by_reader,
    "linnet to encoded tensor": by_linnet,
}


def one(name: str, path: Path) -> None:
    """Read once, and print seconds and bytes as JSON."""
    read = READERS[name]()
    with tempfile.TemporaryDirectory() as folder:  # the first call of each costs more
        small = Path(folder) / "small.csv"
        with open(path, "rb") as file:
            small.write_bytes(b"".join(file.readline() for _ in range(1000)))
        read(small)
    before = peak()
    start = time.perf_counter()
    result = read(path)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "bytes": peak() - before}))
    del result


def peak() -> int:
    """The most bytes that this process has held so far."""
    try:  # getrusage would count what the parent held before it became this process
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--quick", action="store_true", help="0.05 GB")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one[0], Path(options.one[1]))
        return
    import pandas
    import polars

    import linnet

    size = int((0.05 if options.quick else options.gigabytes) * 1e9)
    path = options.folder / f"linnet-table-{size}.csv"
    if not path.exists():
        make(path, size)
    size = path.stat().st_size
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(
        f"{path.name}: {size / 1e9:.2f} GB; {cores} cores; linnet {linnet.__version__}, polars "
        f"{polars.__version__}, pandas {pandas.__version__}, {platform.machine()}\n"
    )
    print("| | seconds | polars' times | peak memory / file |\n|---|--:|--:|--:|", flush=True)
    best: dict[str, dict[str, float]] = {}
    for _ in range(options.repeats):
        for name in READERS:
            command = [sys.executable, __file__, "--one", name, str(path)]
            found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            if name not in best or found["seconds"] < best[name]["seconds"]:
                best[name] = found
    base = best["polars read_csv"]["seconds"]
    for name, found in best.items():
        seconds = found["seconds"]
        print(
            f"| {name} | {seconds:.2f} | {seconds / base:.1f} | {found['bytes'] / size:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Data larger than memory: bytes of memory, seconds of processor time, distance from one copy.

``python benchmarks/scale/beyond_memory.py [GB] [WHAT...]`` makes six Parquet files in a
temporary folder and hard links to them until the folder has so many GB (default 0.1; 20 for
``RECORDS.md``, which needs 1.1 GB of disk for the files, and 25 GB more for the store). Each
measurement is a process of its own. Prints one JSON object a line: ``peak`` is the largest resident
memory, ``anonymous`` that
without mapped files, in GB.

``parts``: least squares by one pass over blocks; ``off`` is the largest distance of a coefficient
from that of the six files alone. ``squares`` and ``logistic``: ``linnet.train`` of the line through
the store.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

COLUMNS, FILES = 100, 6


def make(folder: Path, size: float) -> int:
    """Write six files, and links to them; returns how often each row occurs."""
    import numpy as np
    import polars as pl

    total = size * 1e9
    rows = max(2_000, min(500_000, int(total / FILES / COLUMNS / 4)))
    draws = np.random.default_rng(0)
    theta = draws.normal(size=COLUMNS)
    for number in range(FILES):
        x = draws.normal(size=(rows, COLUMNS)).astype(np.float32)
        y = x @ theta + draws.normal(size=rows)
        table = pl.DataFrame({f"x{k}": x[:, k] for k in range(COLUMNS)}).with_columns(
            y=pl.Series(y), label=pl.Series(np.where(y > 0, "high", "low"))
        )
        table.write_parquet(folder / f"0-{number}.parquet", row_group_size=65_536)
    each = sum(path.stat().st_size for path in folder.iterdir())
    times = max(1, round(total / each))
    for copy in range(1, times):
        for number in range(FILES):
            os.link(folder / f"0-{number}.parquet", folder / f"{copy}-{number}.parquet")
    return times


class Watch(threading.Thread):
    """The largest anonymous memory of this process, looked at ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0

    def run(self) -> None:
        while True:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    self.most = max(self.most, int(line.split()[1]) << 10)
            time.sleep(0.1)


def parts(folder: Path) -> dict[str, float]:
    """Least squares by one pass, and its distance from the solution for one copy of the files."""
    import torch

    from linnet.data.parquet.blocks import Files
    from linnet.data.reading import Reading
    from linnet.line.stream import least_squares

    def theta(source: Files) -> torch.Tensor:
        names = [f"x{k}" for k in range(COLUMNS)]

        def read() -> object:
            for block in source.blocks():
                frame = source.frame(block, [*names, "y"])
                x = torch.from_numpy(frame.select(names).to_numpy())
                yield x.double(), torch.from_numpy(frame["y"].to_numpy().copy())[:, None]

        return least_squares(read()).theta  # type: ignore[arg-type]

    found = theta(Files(folder, Reading()))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        for path in folder.glob("0-*.parquet"):
            os.link(path, Path(place) / path.name)
        one = theta(Files(Path(place), Reading()))
    return {"off": (found - one).abs().max().item(), "cpu": round(seconds, 1)}


def train(folder: Path, target: str) -> dict[str, float]:
    """The line through the store."""
    import linnet

    drop = "label" if target == "y" else "y"
    run = linnet.train(
        folder, target=target, drop=drop, model="linear", out=folder.parent / f"run-{target}",
        store=str(folder.parent / "store"), yardstick="none", echo=False,
    )  # fmt: skip
    scores = run.metrics["models"]["linear"]
    return {"test": scores["test"].get("accuracy", scores["test"].get("rmse", 0.0))}


WORK: dict[str, Callable[[Path], dict[str, float]]] = {
    "parts": parts,
    "squares": lambda folder: train(folder, "y"),
    "logistic": lambda folder: train(folder, "label"),
}


def one(name: str, folder: Path) -> None:
    """Measure in this process, and print it."""
    watch = Watch()
    watch.start()
    found = WORK[name](folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    facts = {
        "what": name,
        "peak": round(used.ru_maxrss * 1024 / 1e9, 3),
        "anonymous": round(watch.most / 1e9, 3),
        "cpu": round(used.ru_utime + used.ru_stime, 1),
        **found,
    }
    print(json.dumps(facts), flush=True)


def main() -> None:
    """Make the files, and measure each work in a process of its own."""
    size = float(sys.argv[1]) if len(sys.argv) > 1 else 0.1
    with tempfile.TemporaryDirectory(prefix="linnet-scale-") as place:
        folder = Path(place) / "rows"
        folder.mkdir()
        times = make(folder, size)
        held = sum(path.stat().st_size for path in folder.iterdir())
        print(json.dumps({"bytes": held, "copies": times}), flush=True)
        for name in sys.argv[2:] or WORK:
            subprocess.run([sys.executable, __file__, "--one", name, str(folder)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]))
    else:
        main()

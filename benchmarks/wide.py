"""Thousands of categories, thousands of classes: peak memory and processor time of `linnet train`.

    python benchmarks/wide.py [CASE...]

Each case trains in a process of its own, with one thread, on data that is drawn here. The peak is
`ru_maxrss` of that process, with the 0.4 GB that PyTorch takes to be there; what must hold is at
most 2 GB (`RECORDS.md`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

CHILD = """
import json, resource, sys
import linnet
data, out, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
run = linnet.train(data, out=out, target="y", **settings)
used = resource.getrusage(resource.RUSAGE_SELF)
tests = {name: scores["test"] for name, scores in run.metrics["models"].items()}
told = {name: test.get("accuracy", test.get("rmse")) for name, test in tests.items()}
print(json.dumps([used.ru_maxrss / 1e6, used.ru_utime + used.ru_stime, told]))
"""
CATEGORIES = {"max_categories": 10_000, "columns": {"town": "category"}}
CASES = {
    "categories, classes": ("town", "yes", {**CATEGORIES, "model": "linear"}),
    "categories, numbers": ("town", "number", {**CATEGORIES, "model": "linear"}),
    "categories, perceptron": ("town", "yes", CATEGORIES),
    "5,000 classes": ("classes", "class", {"model": "linear"}),
}


def towns(place: Path, target: str) -> None:
    """200,000 rows: 9,000 towns, three kinds, five numbers."""
    draw = np.random.default_rng(0)
    rows, count = 200_000, 9_000
    town = draw.permutation(np.arange(rows) % count)
    x = draw.normal(size=(rows, 5))
    z = draw.normal(size=count)[town] + x @ np.array([1.0, -1.0, 0.5, 0.0, 0.0])
    noisy = z + draw.logistic(size=rows)
    frame = {f"x{i}": x[:, i] for i in range(5)}
    frame["town"] = np.array([f"t{code:05d}" for code in town])
    frame["kind"] = draw.choice(["a", "b", "c"], rows)
    frame["y"] = np.where(noisy > 0, "yes", "no") if target == "yes" else noisy
    pl.DataFrame(frame).write_parquet(place)


def classes(place: Path, target: str) -> None:
    """20,000 rows of 5,000 classes: 20 numbers, four rows around each class's centre."""
    draw = np.random.default_rng(0)
    rows, count = 20_000, 5_000
    code = np.arange(rows) % count
    x = draw.normal(size=(count, 20))[code] + 0.5 * draw.normal(size=(rows, 20))
    frame = {f"x{i}": x[:, i] for i in range(20)}
    frame["y"] = np.array([f"c{each:04d}" for each in code])
    pl.DataFrame(frame).write_parquet(place)


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in names or CASES:
            kind, target, settings = CASES[name]
            data = Path(folder) / f"{kind}-{target}.parquet"
            if not data.exists():
                (towns if kind == "town" else classes)(data, target)
            words = [sys.executable, "-c", CHILD, data, Path(folder) / name, json.dumps(settings)]
            done = subprocess.run(
                [str(word) for word in words], capture_output=True, text=True, check=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            peak, seconds, told = json.loads(done.stdout.splitlines()[-1])
            size = sum(each.stat().st_size for each in (Path(folder) / name).rglob("*"))
            scores = ", ".join(f"{model} {score:.4g}" for model, score in told.items())
            print(
                f"{name}: peak {peak:.2f} GB, {seconds:.0f} CPU s, run folder "
                f"{size / 1e6:.1f} MB; {scores}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])

"""How often conformal intervals and sets hold, on real predictions: benchmarks/conformal.py RUN...

The test rows of each run, which chose nothing, are divided at random into halves, 200 times: one
calibrates, the other is judged. The model is that of the run, fitted once; so what varies is who
calibrates, and not what was learned. Printed are the mean share that held, its deviation over the
divisions, the mean width or number of classes, and for classes of at least 100 test rows how far
the mean share of one is from what was asked, at most.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from linnet.insight import conformal
from linnet.runs import insights
from linnet.runs.run import Run

SPLITS, LEVEL, LARGE = 200, 0.9, 100


def judge(run: Run) -> None:
    y, told, names, _, _ = insights._told(run, run.chosen)
    targets = names or list(run._manifest(run.chosen).schema_.targets)
    counts = np.bincount(y) if names else np.zeros(0)
    for way in ("by class", "classes") if names else ("absolute", "scaled"):
        found = []
        for seed in range(SPLITS):
            order = np.random.default_rng(seed).permutation(len(y))
            one, other = order[: len(y) // 2], order[len(y) // 2 :]
            made = (
                conformal.classes(y[one], told[one], targets, by_class=way == "by class")
                if names
                else conformal.numbers(y[one], told[one], targets, scaled=way == "scaled")
            )
            found.append(conformal.coverage(made, y[other], told[other], LEVEL))
        shares = np.array([each.share for each in found])
        size = np.mean([each.width if each.size is None else each.size for each in found])
        line = (
            f"{run.name:12} {way:9} {len(y):6,} rows  {shares.mean():.4f} "
            f"(deviation {shares.std():.4f})  {'classes' if names else 'width'} {size:.4g}"
        )
        if names:
            each = np.nanmean([one.each for one in found], axis=0)
            far = np.abs(each - LEVEL)[counts >= LARGE]
            line += f"  farthest class {far.max():.4f}" if len(far) else ""
        print(line, flush=True)


if __name__ == "__main__":
    for path in sys.argv[1:]:
        judge(Run(Path(path)))

"""How often conformal intervals and sets hold, on real data.

benchmarks/conformal.py RUN...: the test rows of each run, which chose nothing, are divided at
random into halves, 200 times: one calibrates, the other is judged. The model is that of the run,
fitted once; so what varies is who calibrates, and not what was learned.

benchmarks/conformal.py --fits DATA[:TARGET]...: 200 divisions of all rows at random, and a line
fitted for each: 60 % of the rows teach (at most 6,000 of them), 20 % calibrate, 20 % judge. The
columns are encoded once, by all rows; no target takes part in that.

Printed are the mean share that held, its deviation over the divisions, the mean width or number of
classes, and for classes of at least 100 rows (of those that calibrate and judge) how far the mean
share of one is from what was asked, at most.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from linnet.insight import conformal
from linnet.runs import insights
from linnet.runs.run import Run

SPLITS, LEVEL, LARGE, MOST = 200, 0.9, 100, 6_000


def judge(run: Run) -> None:
    y, told, names, _, _ = insights._told(run, run.chosen)
    targets = names or list(run._manifest(run.chosen).schema_.targets)
    for way in ("by class", "classes") if names else ("absolute", "scaled"):
        found = []
        for seed in range(SPLITS):
            order = np.random.default_rng(seed).permutation(len(y))
            one, other = order[: len(y) // 2], order[len(y) // 2 :]
            parts = (y[one], told[one]), (y[other], told[other])
            found.append(_one(way, targets, *parts))
        tell(run.name, way, found, np.bincount(y) if names else None, len(y))


def fits(place: str) -> None:
    import linnet

    name, _, target = place.partition(":")
    data = linnet.read(
        name, target=target or None, **({"header": False} if ".data" in name else {})
    )
    x = data.x.flatten(1).double().numpy()
    classifies = data.schema.task == "classification"
    y = data.codes.numpy() if classifies else data.y.double().numpy().ravel()
    targets = list(data.schema.classes) if classifies else list(data.schema.targets)
    ways = ("by class", "classes") if classifies else ("absolute", "scaled")
    found: dict[str, list[conformal.Coverage]] = {way: [] for way in ways}
    warnings.simplefilter("ignore")
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(y))
        ends = [int(0.6 * len(y)), int(0.8 * len(y))]
        teach, one, other = np.split(order, ends)
        teach = teach[:MOST]
        line = linnet.LogisticRegression() if classifies else linnet.Ridge()
        scale = x[teach].std(0)
        scale[scale == 0] = 1.0
        line.fit(x[teach] / scale, y[teach])
        tell_of = line.predict_proba if classifies else line.predict
        parts = [(y[rows], tell_of(x[rows] / scale)) for rows in (one, other)]
        for way in ways:
            found[way].append(_one(way, targets, *parts))
    counts = np.bincount(y) * 0.4 if classifies else None
    for way in ways:
        tell(Path(name).stem, way, found[way], counts, len(y))


def _one(way: str, targets: list[Any], one: Any, other: Any) -> conformal.Coverage:
    made = (
        conformal.classes(*one, targets, by_class=way == "by class")
        if way in ("by class", "classes")
        else conformal.numbers(*one, targets, scaled=way == "scaled")
    )
    return conformal.coverage(made, *other, LEVEL)


def tell(name: str, way: str, found: list[conformal.Coverage], counts: Any, rows: int) -> None:
    shares = np.array([each.share for each in found])
    size = np.mean([each.width if each.size is None else each.size for each in found])
    line = (
        f"{name:12} {way:9} {rows:6,} rows  {shares.mean():.4f} "
        f"(deviation {shares.std():.4f})  {'width' if counts is None else 'classes'} {size:.4g}"
    )
    if counts is not None:
        each = np.nanmean([one.each for one in found], axis=0)
        far = np.abs(each - LEVEL)[counts >= LARGE]
        line += f"  farthest class {far.max():.4f} of {len(far)}" if len(far) else ""
    print(line, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fits"]:
        for place in sys.argv[2:]:
            fits(place)
    else:
        for path in sys.argv[1:]:
            judge(Run(Path(path)))

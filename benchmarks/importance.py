"""How often intervals of permutation importance hold it: python benchmarks/importance.py [REPEATS]

A line w x predicts y = b x + noise; with squared errors and a deviation of 1 the importance of x is
2 b w. Shown is how often 95 % intervals hold it, those over the predicted rows alone ("one role")
and linnet's ("both"), and how wide they are on average; and of columns of noise, b = 0, how often
the interval lies above 0 (2.5 % wanted).
"""

from __future__ import annotations

import sys

import numpy as np

from linnet.core.statistics import of_mean
from linnet.insight.importance import _roles, permutations


def trial(b: float, w: float, rows: int, repeats: int, skewed: bool, times: int) -> None:
    numbers = np.random.default_rng(0)
    held, wide, above = np.zeros(2), np.zeros(2), 0
    for seed in range(times):
        x = numbers.exponential(size=rows) - 1 if skewed else numbers.normal(size=rows)
        y = b * x + numbers.normal(size=rows)
        orders = permutations(rows, repeats, seed)
        growth = np.stack([(y - w * x[order]) ** 2 - (y - w * x) ** 2 for order in orders])
        values, spread = _roles(growth, orders)
        for way, (each, factor) in enumerate([(growth.mean(0), 1.0), (values, spread)]):
            low, high = of_mean(each, spread=factor)
            held[way] += low <= 2 * b * w <= high
            wide[way] += high - low
        above += low > 2 * b * w
    print(
        f"b {b:.1f}  w {w:.1f}  {rows} rows  {repeats:2} repeats  "
        f"{'skewed' if skewed else 'normal'}  one role {held[0] / times:.3f}  "
        f"both {held[1] / times:.3f}  width {wide[1] / wide[0]:.2f} times  "
        f"above {above / times:.3f}",
        flush=True,
    )


if __name__ == "__main__":
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    for repeats in (1, 5, 20):
        for b, w in ((1.0, 1.0), (1.0, 0.2), (0.3, 0.3), (0.0, 0.1)):
            for skewed in (False, True):
                trial(b, w, 200, repeats, skewed, times)

"""How often intervals of permutation importance hold it: python benchmarks/importance.py [TIMES]

A line w x predicts y = b x + noise; with squared errors and a deviation of 1 the importance of x is
2 b w. Shown is how often 95 % intervals hold it, those over the predicted rows alone ("one role")
and linnet's ("both"), and how wide they are on average; and of columns of noise, b = 0, how often
the interval lies above 0 (2.5 % wanted).

python benchmarks/importance.py folds [TIMES]: the same over five folds, each predicted by a line
that is fitted to the other rows; with five columns, of which the first has an effect b. Shown is
for some factors of the standard error how often the interval holds the importance for the line that
is fitted to all rows, and for a column without an effect how often it lies above 0.
"""

from __future__ import annotations

import sys

import numpy as np

from linnet.core.statistics import OUT_OF_FOLD_PAIR, of_mean
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


def folds(rows: int, b: float, times: int) -> None:
    factors = (1.0, 1.118, OUT_OF_FOLD_PAIR, 1.5)
    numbers = np.random.default_rng(1)
    held, above = np.zeros(len(factors)), np.zeros(len(factors))
    column = 0 if b else 1
    for _ in range(times):
        x = numbers.normal(size=(rows, 5))
        y = b * x[:, 0] + numbers.normal(size=rows)
        fold = numbers.permutation(rows) % 5
        growth, orders = np.zeros((5, rows)), np.zeros((5, rows), int)
        for number in range(5):
            own, rest = np.flatnonzero(fold == number), fold != number
            w = np.linalg.lstsq(x[rest], y[rest])[0]
            left = y[own] - x[own] @ w
            for repeat in range(5):
                order = numbers.permutation(own)
                orders[repeat, own] = order
                moved = (x[order, column] - x[own, column]) * w[column]
                growth[repeat, own] = (left - moved) ** 2 - left**2
        whole = 2 * (b if b else 0.0) * np.linalg.lstsq(x, y)[0][column]
        values, spread = _roles(growth, orders)
        for place, factor in enumerate(factors):
            low, high = of_mean(values, spread=spread * factor)
            held[place] += low <= whole <= high
            above[place] += low > 0
    told = "  ".join(
        f"{factor}: holds {h / times:.3f}" + ("" if b else f", above 0 {a / times:.3f}")
        for factor, h, a in zip(factors, held, above, strict=True)
    )
    print(f"folds  b {b:.1f}  {rows} rows  {told}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["folds"]:
        for rows in (50, 200):
            for b in (0.0, 0.3, 1.0):
                folds(rows, b, int(sys.argv[2]) if len(sys.argv) > 2 else 1_500)
        sys.exit()
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    for repeats in (1, 5, 20):
        for b, w in ((1.0, 1.0), (1.0, 0.2), (0.3, 0.3), (0.0, 0.1)):
            for skewed in (False, True):
                trial(b, w, 200, repeats, skewed, times)

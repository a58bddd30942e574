"""How often do the 95 % intervals hold the true value, and how often does chance look significant?

    python benchmarks/coverage.py [REPETITIONS]

Rows are drawn from known distributions, and the intervals of accuracy and RMSE, and the paired
test, are those of linnet. Prints the tables of docs/intervals.md, as Markdown, in per cent; with
2,000 repetitions (the default) a number is uncertain by 1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from linnet.core.statistics import blocks, of_share, of_size, paired

Array = np.ndarray[Any, Any]
Draw = Callable[[np.random.Generator, Any], Array]

ERRORS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda r, n: r.standard_normal(n), 1.0),
    "uniform": (lambda r, n: r.uniform(-1, 1, n), 1 / 3),
    "Laplace": (lambda r, n: r.laplace(size=n), 2.0),
    "Student's t, 5 df": (lambda r, n: r.standard_t(5, n), 5 / 3),
    "Student's t, 3 df": (lambda r, n: r.standard_t(3, n), 3.0),
    "4 of 5 are 0": (lambda r, n: r.standard_normal(n) * (r.random(n) < 0.2), 0.2),
    "lognormal": (lambda r, n: np.exp(r.standard_normal(n)), np.exp(2)),
    "lognormal, less its mean": (
        lambda r, n: np.exp(r.standard_normal(n)) - np.exp(0.5),
        np.exp(2) - np.exp(1),
    ),
}
"""Errors, and their mean square."""

ROWS = (4, 10, 20, 30, 100, 1000)

DIFFERENCES: dict[str, Draw] = {
    "normal": lambda r, n: r.standard_normal(n),
    "Student's t, 3 df": lambda r, n: r.standard_t(3, n),
    "Student's t, 1 df": lambda r, n: r.standard_t(1, n),
    "of squared normal errors": lambda r, n: r.standard_normal(n) ** 2 - r.standard_normal(n) ** 2,
    "of squared lognormal errors": (
        lambda r, n: np.exp(2 * r.standard_normal(n)) - np.exp(2 * r.standard_normal(n))
    ),
    "4 of 5 are 0": lambda r, n: r.standard_normal(n) * (r.random(n) < 0.2),
    "exponential, less its mean": lambda r, n: r.exponential(size=n) - 1,
    "lognormal, less its mean": lambda r, n: np.exp(r.standard_normal(n)) - np.exp(0.5),
}
"""Differences with the mean 0, or the median 0 where there is no mean."""


def share(found: Iterable[bool]) -> str:
    """A share in per cent."""
    return f"{100 * float(np.mean(list(found))):.0f}"


def table(head: list[str], rows: Iterable[list[str]]) -> None:
    """Print a table as Markdown."""
    print("| " + " | ".join(head) + " |\n|---|" + "--:|" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()


def squares(name: str, rows: int, times: int) -> str:
    """The coverage of the interval of RMSE on independent rows."""
    random, (draw, true) = np.random.default_rng(0), ERRORS[name]
    found = (of_size(draw(random, rows) ** 2) for _ in range(times))
    return share(low <= true <= high for low, high in found)


def sizes(random: np.random.Generator, groups: int, alike: bool) -> Array:
    """Rows of each group: 40, or lognormal with the mean 40."""
    if alike:
        return np.full(groups, 40)
    return np.maximum(1, np.round(40 * np.exp(random.standard_normal(groups) - 0.5))).astype(int)


def grouped(groups: int, within: float, true: float, alike: bool, times: int) -> str:
    """The coverage of the interval of accuracy. ``within`` is the correlation of rows of a group,
    whose accuracy has a beta distribution; ``true`` is the mean of accuracies."""
    random, found = np.random.default_rng(1), []
    for _ in range(times):
        counts = sizes(random, groups, alike)
        code = np.repeat(np.arange(groups), counts)
        spread = (1 - within) / max(within, 1e-9)
        each = random.beta(true * spread, (1 - true) * spread, groups) if within else true
        right = random.random(len(code)) < np.broadcast_to(each, groups)[code]
        found.append(of_share(right, code))
    return share(low <= true <= high for low, high in found)


def offset(groups: int, deviation: float, alike: bool, times: int) -> str:
    """The coverage of the interval of RMSE: errors are normal, with a normal offset per group."""
    random, found = np.random.default_rng(2), []
    for _ in range(times):
        code = np.repeat(np.arange(groups), sizes(random, groups, alike))
        errors = random.standard_normal(len(code))
        errors += deviation * random.standard_normal(groups)[code]
        found.append(of_size(errors**2, code))
    return share(low <= 1 + deviation**2 <= high for low, high in found)


def series(random: np.random.Generator, rows: int, memory: float) -> Array:
    """Normal errors with the correlation ``memory`` from row to row."""
    from scipy.signal import lfilter

    new = random.standard_normal(rows + 200) * np.sqrt(1 - memory**2)
    result: Array = lfilter([1], [1, -memory], new)[200:]
    return result


def timed(what: str, memory: float, rows: int, times: int) -> str:
    """The coverage of the intervals by time; of "false" how often chance is significant."""
    random, code, found = np.random.default_rng(3), blocks(np.arange(rows)), []
    for _ in range(times):
        errors = series(random, rows, memory)
        if what == "RMSE":
            low, high = of_size(errors**2, code)
            found.append(low <= 1 <= high)
        elif what == "accuracy 80 %":
            low, high = of_share(errors < 0.8416212335729143, code)
            found.append(low <= 0.8 <= high)
        else:
            other = series(random, rows, memory)
            found.append(paired(errors**2 - other**2, code, "block").why is None)
    return share(found)


def false(name: str, rows: int, times: int) -> str:
    """How often the paired test calls a difference significant where there is none."""
    random, draw = np.random.default_rng(4), DIFFERENCES[name]
    found = [paired(draw(random, rows)).why is None for _ in range(times)]
    return f"{100 * np.mean(found):.1f}"


def main(times: int) -> None:
    """Print all tables."""
    print("RMSE, independent rows\n")
    rows = [f"{n:,} rows" for n in ROWS]
    table(["errors", *rows], ([name, *(squares(name, n, times) for n in ROWS)] for name in ERRORS))

    several = (3, 5, 8, 12, 30)
    head = [f"{n} groups" for n in several]
    kinds = [(w, p, a) for a in (True, False) for w in (0.0, 0.1, 0.3) for p in (0.6, 0.8, 0.9)]
    print("Accuracy by groups\n")
    table(
        ["accuracy, correlation within groups, rows of a group", *head],
        (
            [
                f"{100 * p:.0f} %, {w:g}, {'40' if a else '1 to 200'}",
                *(grouped(n, w, p, a, times) for n in several),
            ]
            for w, p, a in kinds
        ),
    )
    print("RMSE by groups\n")
    table(
        ["deviation between groups (within: 1), rows of a group", *head],
        (
            [
                f"{d:g}, {'40' if a else '1 to 200'}",
                *(offset(n, d, a, times) for n in several),
            ]
            for a in (True, False)
            for d in (0.0, 1.0, 3.0)
        ),
    )
    lengths = (50, 100, 200, 1000, 4000)
    print("By time\n")
    table(
        ["score, correlation from row to row", *(f"{n:,} rows" for n in lengths)],
        (
            [f"{what}, {m:g}", *(timed(what, m, n, times) for n in lengths)]
            for what in ("RMSE", "accuracy 80 %", "false differences")
            for m in (0.0, 0.5, 0.9)
        ),
    )
    some = (10, 15, 20, 30, 100, 1000)
    print("Chance called significant, independent rows\n")
    table(
        ["differences", *(f"{n:,} rows" for n in some)],
        ([name, *(false(name, n, times) for n in some)] for name in DIFFERENCES),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)

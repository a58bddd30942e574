"""How often do the 95 % intervals of a cross-validation hold the true error, and how often does its
paired test call chance significant?

    python benchmarks/tables/coverage.py [--tables 500] [--rows 150 600] [--net]

Each table is drawn from a kind that its number fixes: how many columns, how the target depends on
them, how strong and how heavy-tailed the noise is, how rare the second class. It has two halves of
columns that are drawn alike and weigh alike. The model that is scored sees the first half; the one
it is compared with, in every second table, sees the second half, so neither is better.

- The error that an interval should hold is that of the model fitted to all rows of the table, which
  a run saves: on 20,000 fresh rows.
- ``spread`` multiplies the standard error of as many independent rows (a run takes ``out_of_fold``,
  and for its test ``OUT_OF_FOLD_PAIR``): 1 is the usual interval, which takes out-of-fold rows for
  test rows; 1.5 is that of Nadeau and Bengio (2003) for five folds, by rows.
- "inner" are the out-of-fold scores by which a run chooses (``valid`` in ``metrics.json``): honest,
  and as they would be if the row's own fold took part in the choice of its penalty.

Prints tables as Markdown, in per cent. "too high by" is by how much the score is above the true one
(accuracy, or mean squared error), relative to it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from linnet.core.statistics import OUT_OF_FOLD_PAIR, of_share, of_size, out_of_fold, paired
from linnet.data.read import read
from linnet.experiment.outer import OUTER, Outer
from linnet.fit.artifact import Artifact
from linnet.fit.fit import fit
from linnet.fit.prepare import Prepared, prepare
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only
from linnet.insight import evaluation
from linnet.insight.shares import decided
from linnet.line import folds

Array = np.ndarray[Any, Any]

FRESH = 20_000
BLOCK, NET_BLOCK = 100, 10
SPREADS = (1.0, out_of_fold(OUTER), 1.2, OUT_OF_FOLD_PAIR, 1.5)

NET = {"widths": (32,), "epochs": 40, "batch_size": 32}
"""A small net, trained for a short time, so that there is time for many tables."""


@dataclass
class Kind:
    """How the rows of a table are drawn."""

    classes: bool
    random: np.random.Generator
    half: int = 0
    curved: bool = False
    noise: float = 1.0
    heavy: bool = False
    shift: float = 0.0

    def __post_init__(self) -> None:
        draw = self.random
        self.half = int(draw.choice([3, 6, 12]))
        self.curved, self.heavy = bool(draw.random() < 0.5), bool(draw.random() < 0.3)
        self.noise, self.shift = float(draw.choice([0.5, 1.0, 2.0])), float(draw.choice([0, 1]))

    def rows(self, count: int) -> tuple[Array, Array]:
        """``count`` rows (rows, 2 half) and their targets (rows,)."""
        draw = self.random
        x = draw.standard_normal((count, 2 * self.half))
        signal = self._signal(x[:, : self.half]) + self._signal(x[:, self.half :])
        if self.classes:
            odds = 1.5 / self.noise * (signal - self.shift)
            return x, (draw.random(count) < 1 / (1 + np.exp(-odds))).astype(int)
        errors = draw.standard_t(5, count) * 0.6**0.5 if self.heavy else draw.standard_normal(count)
        return x, signal + self.noise * errors

    def _signal(self, x: Array) -> Array:
        if self.curved:
            found: Array = np.sin(1.5 * x[:, 0]) + (x[:, 1] > 0) - 0.5 + 0.5 * x[:, 1] * x[:, 2]
            return found
        return np.asarray(x.sum(1) / self.half**0.5)


def errors(model: Artifact | Any, raw: Tensor, y: Array) -> Array:
    """Of each row whether it is right, or its squared error (rows,)."""
    if model.classifies:
        return np.asarray(decided(model, raw).numpy() == y)
    return np.asarray((model.mean(raw)[:, 0].numpy() - y) ** 2)


def interval(found: Array, spread: float) -> tuple[float, float]:
    """The interval of the accuracy, or of the mean squared error: its root is that of the RMSE."""
    return of_share(found, spread=spread) if found.dtype == bool else of_size(found, spread=spread)


@contextmanager
def optimistic() -> Iterator[None]:
    """A block in which the out-of-fold predictions of a line are those of one penalty, which the
    row's own fold helped to choose."""

    least = folds._least
    with mock.patch.object(folds, "_least", lambda losses, rows=None: least(losses)):
        yield


LINE = {"tol": 1e-4}
"""The optimum to four digits: a fit in half the time, and the same intervals."""


def whole(ready: Prepared, name: str) -> Artifact:
    """The model of a run: fitted to all rows, with inner folds."""
    assert ready.fold is not None
    train = ready.data.take(ready.parts["train"])
    return fit(only(ready.recipe, name), train, ready.fold)


@dataclass
class Counts:
    """What was found in the tables so far, by a name."""

    found: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.found.setdefault(name, []).append(value)

    def share(self, name: str) -> float:
        return 100 * float(np.mean(self.found[name]))


def measure(counts: Counts, number: int, rows: int, classes: bool, net: bool) -> None:
    """Add one table."""
    kind = Kind(classes, np.random.default_rng([number, rows, classes]))
    (x, y), (fresh, truth) = kind.rows(rows), kind.rows(FRESH)
    name = "mlp" if net else "linear"
    recipe = Recipe(
        model=(name,), test="folds", yardstick="none", seed=number, **(NET if net else LINE)
    )
    halves = [slice(0, kind.half), slice(kind.half, None)]
    halves = halves[: 1 if number % 2 else 2]
    every = []
    for half in halves:
        ready = prepare((x[:, half], y), recipe)
        assert ready.draft is not None
        outer = Outer.of(ready.draft, ready.recipe, OUTER)
        raw = outer.tested().raws[name]
        if half is halves[0]:
            model = whole(ready, name)
            schema, objective = model.schema, model.objective
            there = read((fresh[:, half], truth), task=schema.task).conform(schema)
            codes = there.y.numpy()
            true = errors(objective, evaluation.predict_raw(model.module, there.x), codes).mean()
            assert model.held is not None
            inner = {"honest": model.held}
            if not net:
                with optimistic():
                    inner["optimistic"] = whole(ready, name).held  # type: ignore[assignment]
        every.append(errors(objective, raw, ready.data.y.numpy()))
    first = every[0]
    for spread in SPREADS:
        low, high = interval(first, spread)
        counts.add(f"holds {spread:.2f}", low <= true <= high)
        for second in every[1:]:
            why = paired(first * 1.0 - second * 1.0, spread=spread).why
            counts.add(f"false {spread:.2f}", why is None)
    for which, held in inner.items():
        found = errors(objective, held, ready.data.y.numpy())
        low, high = interval(found, out_of_fold(OUTER))
        counts.add(which, low <= true <= high)
        counts.add(f"{which} bias", float(found.mean() - true) / true)
    counts.add("outer bias", float(first.mean() - true) / true)


def table(rows: list[int], tables: int, net: bool) -> None:
    """Measure a block of tables of each kind in turn; print what is known after each block."""
    cases = [(size, classes) for size in rows for classes in (True, False)]
    found = {case: Counts() for case in cases}
    known = ["honest"] if net else ["honest", "optimistic"]
    head = ["model, target, rows", "tables", *(f"{spread:.2f}" for spread in SPREADS)]
    head += [f"inner, {which}" for which in known]
    head += [f"{which} too high by" for which in ("outer", *known)]
    head += [f"false, {spread:.2f}" for spread in SPREADS]
    begun, block = time.process_time(), NET_BLOCK if net else BLOCK
    for start in range(0, tables, block):
        end = min(start + block, tables)
        print("| " + " | ".join(head) + " |\n|---|" + "--:|" * (len(head) - 1))
        for case, counts in found.items():
            for number in range(start, end):
                measure(counts, number, *case, net)
            name = f"{'net' if net else 'line'}, {'classes' if case[1] else 'numbers'}, {case[0]}"
            cells = [name, str(end)]
            cells += [f"{counts.share(f'holds {spread:.2f}'):.1f}" for spread in SPREADS]
            cells += [f"{counts.share(which):.1f}" for which in known]
            cells += [f"{counts.share(f'{which} bias'):+.2f}" for which in ("outer", *known)]
            cells += [f"{counts.share(f'false {spread:.2f}'):.1f}" for spread in SPREADS]
            print("| " + " | ".join(cells) + " |", flush=True)
        print(f"\n{time.process_time() - begun:.0f} s\n", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=500)
    parser.add_argument("--rows", type=int, nargs="+", default=[150, 600])
    parser.add_argument("--net", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    table(given.rows, given.tables, given.net)

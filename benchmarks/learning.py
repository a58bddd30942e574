"""Is what a learning curve says of more rows true? Asked of data of which there are more.

    python benchmarks/learning.py [CASES] [FIRST SEED]

Every case is a run of `linnet.train` on a few hundred or thousand rows of data of which there are
many more: generated tables, and mnist, adult and diamonds where LINNET_DATA holds them. Its
learning curve says of the line and the net whether more rows would help. Then both are fitted on
twice the rows, as many steps, and scored on thousands of rows that nothing has seen: the share by
which that loss is lower is the truth; of nets by the means of three fits. More rows help where it
is WORTH or more. The limits in `linnet.insight.diagnosis` were set on seeds from 1,000 on.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch

import linnet
from linnet.data.dataset import Dataset
from linnet.errors import LinnetWarning
from linnet.experiment.learning_curve import learning_curve, same_steps
from linnet.fit.artifact import Artifact
from linnet.fit.fit import fit
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only
from linnet.fit.settings import read_recipe
from linnet.insight import evaluation
from linnet.insight.diagnosis import WORTH, Prospect

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
UNSEEN = 20_000
"""At most so many rows judge."""

AGAIN = 3
"""Fits of a net, of other seeds and other further rows, that the truth is the mean of."""

NEAR = 0.025
"""This near to ``WORTH`` either answer is right."""


class Told(NamedTuple):
    """What was said of a model, and the share by which twice the rows lower its loss."""

    case: str
    model: str
    said: str
    truth: float

    @property
    def right(self) -> bool | None:
        """Whether it is so; None where nothing was said."""
        if self.said == "more rows unclear":
            return None
        helps = self.said == "more rows help"
        return self.truth >= WORTH - NEAR if helps else self.truth < WORTH + NEAR


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", LinnetWarning)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 48
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    began = time.perf_counter()
    told = []
    print(f"{'':24}{'':8}{'said':24}twice the rows: loss lower by")
    for number in range(count):
        for each in judge(number, first + number):
            told.append(each)
            mark = "  wrong" if each.right is False else ""
            share = f"{100 * each.truth:8.1f} %{mark}"
            print(f"{each.case:24}{each.model:8}{each.said:24}{share}", flush=True)
    for said in get_args(Prospect):
        mine = [each for each in told if each.said == said]
        right = Counter(each.right for each in mine)
        print(f"{said:24}{len(mine):4} times, {right[True]} rightly, {right[False]} wrongly")
    spoke = [each.right for each in told if each.right is not None]
    print(
        f"of {len(told)} models it spoke of {len(spoke)} and was right in "
        f"{100 * sum(spoke) / max(len(spoke), 1):.0f} %; {time.perf_counter() - began:.0f} s"
    )


def judge(number: int, seed: int) -> list[Told]:
    """One run, what its learning curve says, and how it is."""
    random = np.random.default_rng([seed, 17])
    kinds = [kind for kind in KINDS if kind not in REAL or (root() / REAL[kind]).exists()]
    kind = kinds[number % len(kinds)]
    rows = int(random.choice(KINDS[kind]))
    x, y = pool(kind, random)
    order = random.permutation(len(x))
    x, y = x[order], y[order]
    with tempfile.TemporaryDirectory() as folder:
        run = linnet.train(
            (x[:rows], y[:rows]), model=["linear", "mlp"], widths=[64], seed=seed,
            out=Path(folder) / "run",
        )  # fmt: skip
        learning_curve(run, data=(x[:rows], y[:rows]))
        said = {c.model: c.cause for c in run.reasons() if c.cause in get_args(Prospect)}
        recipe = Recipe.make(read_recipe(run.path / "recipe.toml"))
        parts = run.split()
        data = linnet.read((x, y))
        unseen = data.take(torch.arange(len(data) - min(UNSEEN, len(data) - 3 * rows), len(data)))
        mine, valid = len(parts["train"]), data.take(parts["valid"])
        truths = {}
        for name in said:
            before, after = [loss(run.models[name], unseen)], []
            for again in range(AGAIN):
                each = only(recipe, name).model_copy(update={"seed": seed + again})
                if again:
                    before.append(loss(fit(each, data.take(parts["train"]), valid), unseen))
                more = random.permutation(np.arange(rows, len(data) - len(unseen)))[:mine]
                twice = data.take(torch.cat([parts["train"], torch.from_numpy(more)]))
                after.append(loss(fit(same_steps(each, 2 * mine, mine), twice, valid), unseen))
                if name == "linear":
                    break
            truths[name] = 1 - float(np.mean(after) / np.mean(before))
    return [Told(f"{kind}, {rows:,} rows", name, said[name], truths[name]) for name in said]


def loss(model: Artifact, data: Dataset) -> float:
    """The mean loss of ``data``."""
    return evaluation.measure(model.module, model.objective, data)["loss"]


# data


def root() -> Path:
    """Where the real data sets are."""
    return Path(os.environ.get("LINNET_DATA", "/nowhere"))


def pool(kind: str, random: np.random.Generator) -> Arrays:
    """All there is of some data."""
    return whole(kind) if kind in REAL else MAKERS[kind](random)


@cache
def whole(kind: str) -> Arrays:
    """A real data set, encoded once: a table's columns by all of its rows."""
    place: Any = "mnist" if kind == "mnist" else str(root() / REAL[kind])
    settings: dict[str, Any] = {
        "adult": {"target": "c14", "header": False},
        "diamonds": {"target": "price"},
    }.get(kind, {})
    data = linnet.read(place, **settings)
    x = data.x.numpy()
    return (x[:, 0] if kind == "mnist" else x), data.y.numpy()


def plane(random: np.random.Generator, columns: int = 10) -> Arrays:
    """A number that is a line of the columns, and half of its deviation noise."""
    x = random.normal(size=(30_000, columns))
    clean = x @ random.normal(size=columns)
    return x, clean + clean.std() / 2 * random.normal(size=len(x))


def wide(random: np.random.Generator) -> Arrays:
    """The same with 150 columns."""
    return plane(random, 150)


def blobs(random: np.random.Generator) -> Arrays:
    """Five classes, a normal distribution each, the same around different centres."""
    centres = 1.2 * random.normal(size=(5, 6))
    y = random.integers(5, size=30_000)
    return centres[y] + random.normal(size=(len(y), 6)), y


def wave(random: np.random.Generator) -> Arrays:
    """A number that is a smooth function of five columns (Friedman 1991), and a little noise."""
    x = random.uniform(size=(30_000, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    return x, y + 10 * x[:, 3] + 5 * x[:, 4] + random.normal(size=len(x))


MAKERS = {"plane": plane, "wide": wide, "blobs": blobs, "wave": wave}
REAL = {"mnist": "mnist", "adult": "adult.data", "diamonds": "diamonds.csv"}
KINDS: dict[str, tuple[int, ...]] = {
    "plane": (500, 1500, 4000),
    "mnist": (1000, 2000, 4000),
    "blobs": (500, 2000, 5000),
    "wide": (400, 1000, 4000),
    "wave": (300, 1000, 4000),
    "adult": (1000, 3000, 8000),
    "diamonds": (1000, 3000, 8000),
}
"""The rows that a run of each kind may have."""


if __name__ == "__main__":
    main()

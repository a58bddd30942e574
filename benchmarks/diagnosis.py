"""What `linnet.insight.diagnosis` tells of runs whose trouble is known, and of healthy ones.

    python benchmarks/diagnosis.py [CASES] [FIRST SEED]

Every case is a whole run of `linnet.train` with one thing wrong, the same on several data sets:
digits, breast_cancer, wine and diabetes as scikit-learn ships them, generated tables, and 2,500
rows of mnist, titanic and adult where LINNET_DATA holds them. A case is told rightly where the
first claim names its cause; of a healthy run nothing must be told. The thresholds of
`linnet.insight.diagnosis` were set on seeds from 1,000 on; the test, and this benchmark unless told
otherwise, use seeds from 0 on.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars
import torch
from sklearn import datasets
from torch import nn

import linnet
from linnet.core.history import History
from linnet.errors import Diverged, LinnetWarning
from linnet.insight.diagnosis import CAUSES, Claim, Predictions, diagnose
from linnet.runs import directory, events

HEALTHY = "healthy"
CASES = {**dict.fromkeys(CAUSES, 24), HEALTHY: 60}
Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


class Case(NamedTuple):
    """One run to make: data for ``linnet.train``, settings, and whether the net is a line too."""

    cause: str
    name: str
    data: Any
    settings: dict[str, Any]
    line: bool = False


class Told(NamedTuple):
    """All that ``diagnose`` is given of a run."""

    history: History
    metrics: dict[str, Any] | None
    predictions: dict[str, Predictions]
    valid_rows: int | None
    error: str | None

    def claims(self) -> list[Claim]:
        return diagnose(
            self.history,
            self.metrics,
            self.predictions,
            valid_rows=self.valid_rows,
            error=self.error,
        )


def main() -> None:
    torch.set_num_threads(1)
    share = int(sys.argv[1]) if len(sys.argv) > 1 else None
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    began = time.perf_counter()
    table: dict[str, Counter[str]] = {}
    for cause, count in CASES.items():
        for case in cases(cause, share or count, first):
            claims = run(case).claims()
            told = claims[0].cause if claims else HEALTHY
            table.setdefault(cause, Counter())[told] += 1
            if told != cause:
                print(f"{cause} on {case.name} {case.settings}: {claims[0] if claims else '-'}")
    print_table(table)
    print(f"{sum(map(Counter.total, table.values()))} runs, {time.perf_counter() - began:.0f} s")


def print_table(table: dict[str, Counter[str]]) -> None:
    """Causes down, what is told first across."""
    names = [*CAUSES, HEALTHY]
    print(f"{'':16}" + "".join(f"{name[:11]:>12}" for name in names) + f"{'rightly':>10}")
    for cause, told in table.items():
        right = told[cause] / told.total()
        counts = "".join(f"{told[name] or '':>12}" for name in names)
        print(f"{cause:16}{counts}{100 * right:8.0f} %")


def run(case: Case) -> Told:
    """Train one case."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "run"
        network = flat(case.data) if case.line else None
        with contextlib.suppress(Diverged):
            usual: dict[str, Any] = {"yardstick": "none", "folds": 1}
            linnet.train(case.data, network=network, out=path, **{**usual, **case.settings})
        return read(path)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of the doctor: the data is meant to be as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinnetWarning)
        yield


def read(path: Path) -> Told:
    """What the directory of a run holds of it."""
    finished = (path / directory.METRICS).is_file()
    return Told(
        History.of(events.read_all(path / directory.EVENTS)),
        directory.read_metrics(path) if finished else None,
        dict(predictions(path)),
        json.loads((path / directory.RUN).read_text())["data"]["valid_rows"],
        directory.state_of(path)[1],
    )


def predictions(path: Path) -> Iterator[tuple[str, Predictions]]:
    """The classes' probabilities for the test rows, by model."""
    for file in sorted((path / "predictions").glob("*.parquet")):
        frame = polars.read_parquet(file)
        if "p" in frame.columns:
            classes = directory.read_metrics(path)["models"][file.stem]["test"]["classes"]
            codes = {label: code for code, label in enumerate(classes)}
            y = np.array([codes[label] for label in frame["y"]])
            yield file.stem, Predictions(frame["row"].to_numpy(), y, np.stack(frame["p"]))


def flat(data: Any) -> nn.Module:
    """A network that is a line, for such data."""
    x, y = (data["x_train"], data["y_train"]) if isinstance(data, dict) else data
    classes = 1 if y.dtype.kind == "f" else len(np.unique(y))
    torch.manual_seed(0)
    outputs = 1 if classes == 2 else classes
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(x.shape[1:])), outputs))


# data


def load(name: str, random: np.random.Generator) -> Arrays:
    """The arrays of a data set, generated ones and shares by ``random``."""
    if name in ("blobs", "plane"):
        return blobs(random) if name == "blobs" else plane(random)
    x, y = whole(name)
    if len(x) > 2500:
        rows = random.permutation(len(x))[:2500]
        x, y = x[rows], y[rows]
    return x, y


@cache
def whole(name: str) -> Arrays:
    """A real data set."""
    if name == "mnist":
        data = linnet.read("mnist")
        return data.x.numpy()[:, 0], data.y.numpy()
    if name in ("titanic", "adult"):
        place = Path(os.environ["LINNET_DATA"])
        if name == "titanic":
            data = linnet.read(str(place / "titanic.csv"), target="survived")
        else:
            data = linnet.read(str(place / "adult.data"), target="c14", header=False)
        return data.x.numpy(), data.y.numpy()
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return x, y


def blobs(
    random: np.random.Generator,
    rows: int = 1500,
    classes: int = 8,
    columns: int = 12,
    apart: float = 3.0,
) -> Arrays:
    """A normal distribution of deviation 1 for each class, around centres ``apart``."""
    centres = random.normal(size=(classes, columns))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    y = random.integers(classes, size=rows)
    return centres[y] + random.normal(size=(rows, columns)), y


def plane(random: np.random.Generator, rows: int = 800, columns: int = 10) -> Arrays:
    """A number that is a line of the columns, and a third of its deviation noise."""
    x = random.normal(size=(rows, columns))
    clean = x @ random.normal(size=columns)
    return x, clean + clean.std() / 3 * random.normal(size=rows)


def rings(random: np.random.Generator, rows: int = 1200, columns: int = 4) -> Arrays:
    """Two classes: within a sphere, and around it; no line parts them."""
    x = random.normal(size=(rows, columns))
    far = np.linalg.norm(x, axis=1)
    return x, (far > np.median(far)).astype(int)


def quadrants(random: np.random.Generator, rows: int = 1200) -> Arrays:
    """Two classes in opposite quadrants, and two columns of noise."""
    x = random.uniform(-1, 1, size=(rows, 4))
    return x, (x[:, 0] * x[:, 1] > 0).astype(int)


def bowl(random: np.random.Generator, rows: int = 1200) -> Arrays:
    """A number that is a sum of squares, and a little noise."""
    x = random.normal(size=(rows, 3))
    return x, (x**2).sum(axis=1) + 0.3 * random.normal(size=rows)


def parity(name: str, random: np.random.Generator) -> Arrays:
    """Pictures of digits, even or odd."""
    x, y = load(name, random)
    return x, y % 2


# cases


def real(*names: str) -> list[str]:
    """Those of ``names`` that are here."""
    root = Path(os.environ.get("LINNET_DATA", "/nowhere"))
    places = {"mnist": "mnist", "titanic": "titanic.csv", "adult": "adult.data"}
    return [name for name in names if name not in places or (root / places[name]).exists()]


def cases(cause: str, count: int, first: int = 0) -> Iterator[Case]:
    """``count`` cases of ``cause``, each of a seed of its own from ``first`` on."""
    make: Callable[[int, np.random.Generator], tuple[Any, ...]] = MAKERS[cause]
    for number in range(count):
        seed = first + number
        random = np.random.default_rng([seed, [*MAKERS].index(cause)])
        name, data, settings, *line = make(number, random)
        yield Case(cause, name, data, {"seed": seed, **settings}, *line)


SMALL: dict[str, Any] = {"model": ["linear", "mlp"], "widths": [64]}
SGD: dict[str, Any] = {"optimizer": "sgd", "schedule": "constant"}


def pick(random: np.random.Generator, *values: Any) -> Any:
    """One of ``values``."""
    return values[int(random.integers(len(values)))]


def in_turn(number: int, random: np.random.Generator, *names: str) -> tuple[str, Arrays]:
    """The data sets in turn."""
    there = real(*names)
    name = there[number % len(there)]
    return name, load(name, random)


def rate_too_high(number: int, random: np.random.Generator) -> tuple[Any, ...]:
    name, data = in_turn(number, random, "digits", "breast_cancer", "blobs", "plane", "mnist")
    if number % 2:
        rate = pick(random, 10.0, 100.0, 1000.0) * (10 if name == "breast_cancer" else 1)
        return name, data, {**SGD, "lr": rate, "batch_size": 50, "epochs": 15}, True
    if number % 4:
        return name, data, {**SMALL, "lr": pick(random, 0.3, 1.0, 3.0), "epochs": 20}
    return name, data, {**SMALL, **SGD, "lr": pick(random, 3.0, 10.0, 30.0), "epochs": 15}


def rate_too_low(number: int, random: np.random.Generator) -> tuple[Any, ...]:
    name, data = in_turn(number, random, "digits", "breast_cancer", "blobs", "plane", "mnist")
    if number % 2:
        return name, data, {**SGD, "lr": pick(random, 1e-6, 1e-5), "epochs": 12}, True
    if number % 4:
        return name, data, {**SMALL, "lr": pick(random, 3e-7, 1e-6, 3e-6), "epochs": 12}
    return name, data, {**SMALL, **SGD, "lr": pick(random, 1e-6, 1e-5, 3e-5), "epochs": 12}


def stopped_short(number: int, random: np.random.Generator) -> tuple[Any, ...]:
    name, data = in_turn(number, random, "digits", "breast_cancer", "blobs", "mnist")
    rate = {"digits": 2e-3, "breast_cancer": 3e-3, "blobs": 3e-3, "mnist": 1e-3}[name]
    rate *= random.uniform(0.6, 1.6)
    if number % 3:
        settings = {"batch_size": 50, "epochs": int(random.integers(12, 25))}
        return name, data, {**SGD, "lr": rate, **settings}, True
    rate *= 3  # a hidden layer starts with smaller gradients
    settings = {"batch_size": 50, "epochs": int(random.integers(10, 16)), "dropout": 0.0}
    return name, data, {**SMALL, **SGD, "lr": rate, **settings}


def under_fitting(number: int, random: np.random.Generator) -> tuple[Any, ...]:
    name, data = in_turn(number, random, "digits", "blobs", "wine", "mnist")
    if number % 3 == 0:
        return name, data, {"model": "linear", "penalty": pick(random, 1.0, 3.0, 10.0)}
    if number % 3 == 1 and name != "wine":  # a neuron parts three classes
        return name, data, {**SMALL, "widths": [1], "lr": 0.01, "epochs": 40, "dropout": 0.0}
    return name, data, {**SMALL, "weight_decay": pick(random, 50.0, 100.0), "epochs": 30}


def over_fitting(number: int, random: np.random.Generator) -> tuple[Any, ...]:
    names = ["blobs", "wine", "digits", "diabetes", *real("titanic", "mnist")]
    name = names[number % len(names)]
    if name == "blobs":
        x, y = blobs(random, rows=300, classes=4, columns=30, apart=2.0)
    elif name == "diabetes":
        x, y = load(name, random)
        x = np.hstack([x, random.normal(size=(len(x), 150))])
    else:
        x, y = load(name, random)
        rows = random.permutation(len(x))[:300]
        noise = random.normal(size=(len(rows), 30))
        x = x[rows].reshape(len(rows), -1)
        x, y = np.hstack([x + x.std(axis=0) * random.normal(size=x.shape), noise]), y[rows]
    if number % 4 == 3:
        return name, (x, y), {"model": "linear", "penalty": 1e-7}
    settings = {"widths": [128], "dropout": 0.0, "patience": 1000, "epochs": 80}
    return name, (x, y), {**SMALL, **settings, "lr": 0.003, "schedule": "constant"}


def line_at_optimum(number: int, random: np.random.Generator) -> tuple[Any, ...]:
    kinds = ["rings", "quadrants", "bowl", "parity", "alone"]
    kind = kinds[number % len(kinds)]
    if kind == "alone":
        name = pick(random, *real("diabetes", "titanic", "rings"))
        data = rings(random) if name == "rings" else load(name, random)
        return name, data, {"model": "linear"}
    data = {
        "rings": rings, "quadrants": quadrants, "bowl": bowl,
        "parity": lambda r: parity("digits", r),
    }[kind](random)  # fmt: skip
    return kind, data, SMALL


def few_classes(number: int, random: np.random.Generator) -> tuple[Any, ...]:
    name, (x, y) = in_turn(number, random, "digits", "blobs", "mnist")
    if name == "blobs":
        x, y = blobs(random, apart=6.0)
    classes = len(np.unique(y))
    one, two = random.choice(classes, 2, replace=False)
    kept = y != two  # what was ``one`` is now either of them, by chance
    x, y = x[kept], y[kept].copy()
    rows = np.flatnonzero(y == one)
    y[rows[random.random(len(rows)) < 0.5]] = two
    return name, (x, y), SMALL


def wrong_labels(number: int, random: np.random.Generator) -> tuple[Any, ...]:
    names = real("digits", "parity", "blobs", "mnist")
    name = names[number % len(names)]
    x, y = parity("digits", random) if name == "parity" else load(name, random)
    if name == "blobs":
        x, y = blobs(random, apart=6.0)
    classes, y = len(np.unique(y)), y.copy()
    wrong = random.random(len(y)) < random.uniform(0.08, 0.2)
    y[wrong] = (y[wrong] + random.integers(1, classes, wrong.sum())) % classes
    return name, (x, y), SMALL


def parts_differ(number: int, random: np.random.Generator) -> tuple[Any, ...]:
    name, (x, y) = in_turn(number, random, "digits", "breast_cancer", "blobs", "plane")
    rows = random.permutation(len(x))
    train, test = rows[: len(x) * 2 // 3], rows[len(x) * 2 // 3 :]
    moved = x[test] + random.uniform(3.0, 4.0) * x.std(axis=0) * random.normal(size=x[test].shape)
    return (
        name,
        {"x_train": x[train], "y_train": y[train], "x_test": moved, "y_test": y[test]},
        SMALL,
    )


def healthy(number: int, random: np.random.Generator) -> tuple[Any, ...]:
    names = ("digits", "wine", "breast_cancer", "blobs", "plane", "titanic", "adult")
    name, data = in_turn(number, random, *names, "mnist")
    if number % 4 == 3:
        rate = 0.01 if name == "mnist" else 0.1
        return name, data, {**SGD, "lr": rate, "batch_size": 16, "epochs": 40}, True
    kinds = [{}, {"widths": [64]}, {"widths": [64], "schedule": "constant", "lr": 0.001}]
    return name, data, {"model": ["linear", "mlp"], **kinds[number % 3]}


MAKERS: dict[str, Callable[[int, np.random.Generator], tuple[Any, ...]]] = {
    "rate too high": rate_too_high,
    "rate too low": rate_too_low,
    "stopped short": stopped_short,
    "under-fitting": under_fitting,
    "over-fitting": over_fitting,
    "line at its optimum": line_at_optimum,
    "few classes": few_classes,
    "wrong labels": wrong_labels,
    "parts differ": parts_differ,
    HEALTHY: healthy,
}


if __name__ == "__main__":
    main()

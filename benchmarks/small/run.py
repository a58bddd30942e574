"""Few rows: CPU time of fits, of one prediction and of grid searches, beside scikit-learn.

    OMP_NUM_THREADS=1 python -P benchmarks/small/run.py [--repeats 200] [--grids] [--memory]

All in one process, in turn, so that other work on the machine hits both. A figure is the least CPU
time of the repeats (``time.process_time``), in milliseconds. For classes, scikit-learn's column is
the least of its solvers that end within 1e-8 of the optimum (``tol=1e-8`` and, if that is not
enough, 1e-10), and the last one is its default fit, which ends where it ends.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn.linear_model as rivals
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import linnet

warnings.simplefilter("ignore", ConvergenceWarning)
warnings.simplefilter("ignore", FutureWarning)

SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky")
CLOSE = 1e-8


def least(work: Callable[[], Any], repeats: int) -> float:
    """The least CPU time in milliseconds."""
    best = float("inf")
    work()
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return 1e3 * best


def wide(classes: int | None) -> tuple[Any, Any]:
    """100 rows of 1,000 normal columns."""
    random = np.random.default_rng(0)
    x = random.normal(size=(100, 1000))
    if classes is None:
        return x, x[:, :20].sum(1) + random.normal(size=100)
    return x, np.arange(100) % classes


def objective(model: Any, x: Any, y: Any) -> float:
    """The mean loss plus ``|coef|^2 / (2 C rows)`` of a fitted logistic regression."""
    logs = np.log(np.clip(model.predict_proba(x), 1e-300, 1))
    if len(model.classes_) > 2 or not isinstance(model, BaseEstimator):
        right = logs[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    else:
        raw = model.decision_function(x)
        right = -np.logaddexp(0, np.where(y == model.classes_[1], -raw, raw))
    return float(-right.mean() + (model.coef_**2).sum() / (2 * model.C * len(y)))


def numbers(repeats: int) -> list[tuple[str, float, float, float | None, float]]:
    """Linear and ridge regression."""
    made = {
        "iris": load_iris(return_X_y=True),
        "diabetes": load_diabetes(return_X_y=True),
        "breast_cancer": load_breast_cancer(return_X_y=True),
        "100 x 1000": wide(None),
    }
    rows = []
    for name, (x, y) in made.items():
        y = y.astype(float)
        for kind in ("LinearRegression", "Ridge"):
            ours, theirs = getattr(linnet, kind)(), getattr(rivals, kind)()
            mine = least(lambda ours=ours, x=x, y=y: ours.fit(x, y), repeats)
            peer = least(lambda theirs=theirs, x=x, y=y: theirs.fit(x, y), repeats)
            rows.append((f"{name} {kind}", mine, peer, None, 1.5))
    return rows


def classes(repeats: int) -> list[tuple[str, float, float, float | None, float]]:
    """Logistic regression."""
    made = {
        "iris": load_iris(return_X_y=True),
        "breast_cancer": load_breast_cancer(return_X_y=True),
        "digits": load_digits(return_X_y=True),
        "100 x 1000, 10 classes": wide(10),
    }
    rows = []
    for name, (x, y) in made.items():
        few = max(5, repeats // 10) if name not in ("iris", "breast_cancer") else repeats
        ours = linnet.LogisticRegression()
        mine = least(lambda ours=ours, x=x, y=y: ours.fit(x, y), few)
        best = objective(ours, x, y)
        fast, found = float("inf"), "none"
        wanted = ("newton-cg",) if name.startswith("100") else SOLVERS
        for solver in wanted:
            for tol in (1e-4, 1e-6, 1e-8, 1e-10):
                model = rivals.LogisticRegression(solver=solver, tol=tol, max_iter=100_000)
                start = time.process_time()
                model.fit(x, y)
                if time.process_time() - start > 20:
                    break
                if objective(model, x, y) <= best + CLOSE:
                    took = least(lambda model=model, x=x, y=y: model.fit(x, y), few)
                    if took < fast:
                        fast, found = took, f"{solver} tol={tol:g}"
                    break
        default = rivals.LogisticRegression()
        usual = least(lambda d=default, x=x, y=y: d.fit(x, y), few)
        limit = 1.0 if name.startswith("100") else 1.5
        rows.append((f"{name} LogisticRegression ({found})", mine, fast, usual, limit))
    return rows


def single(repeats: int) -> list[tuple[str, float, float, float | None, float]]:
    """``predict`` of one row."""
    rows = []
    x, y = load_iris(return_X_y=True)
    for kind in ("LogisticRegression", "Ridge"):
        ours, theirs = getattr(linnet, kind)().fit(x, y), getattr(rivals, kind)().fit(x, y)
        one = x[:1]
        mine = least(lambda ours=ours, one=one: ours.predict(one), 10 * repeats)
        peer = least(lambda theirs=theirs, one=one: theirs.predict(one), 10 * repeats)
        rows.append((f"predict one row, {kind}", mine, peer, None, 1.5))
    return rows


def grids() -> list[tuple[str, float, float, float | None, float]]:
    """Grid searches of 100 fits, one process."""
    rows = []
    made = {
        "iris": ("LogisticRegression", load_iris, "C"),
        "breast_cancer": ("LogisticRegression", load_breast_cancer, "C"),
        "diabetes": ("Ridge", load_diabetes, "alpha"),
    }
    for name, (kind, load, key) in made.items():
        x, y = load(return_X_y=True)
        grid = {key: np.logspace(-3, 3, 20)}
        took = {}
        for who, home in (("linnet", linnet), ("sklearn", rivals)):
            search = GridSearchCV(getattr(home, kind)(), grid, cv=5)
            took[who] = least(lambda search=search, x=x, y=y: search.fit(x, y), 3)
        rows.append(
            (f"grid of 100 fits, {name} {kind}", took["linnet"], took["sklearn"], None, 1.2)
        )
    return rows


def imports() -> None:
    """CPU seconds of the import of an estimator beside those of torch and scikit-learn."""
    lines = {
        "linnet": "import linnet; linnet.LogisticRegression",
        "torch + sklearn": "import torch, sklearn.linear_model",
    }
    found = {}
    for name, line in lines.items():
        code = f"{line}\nimport time; print(time.process_time())"
        every = [
            float(subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True,
                                 check=True).stdout)
            for _ in range(5)
        ]  # fmt: skip
        found[name] = min(every)
    ratio = found["linnet"] / found["torch + sklearn"]
    print(f"import: {found['linnet']:.2f} s, torch + sklearn {found['torch + sklearn']:.2f} s,"
          f" ratio {ratio:.2f}")  # fmt: skip


def memory() -> None:
    """The memory of least squares on 72 x 10,000, above that of the process before."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(72, 10_000)), random.normal(size=72)
    linnet.LinearRegression().fit(x[:, :50], y)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    linnet.LinearRegression().fit(x, y)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"72 x 10,000: {more:.0f} MB more; allowed {1.5 * x.nbytes / 2**20 + 100:.0f} MB")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--grids", action="store_true")
    parser.add_argument("--imports", action="store_true")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    if given.memory:
        memory()
        return
    print(f"{'':55s} {'linnet':>8s} {'sklearn':>8s} {'ratio':>6s} {'limit':>6s} {'default':>8s}")
    found = [*numbers(given.repeats), *classes(given.repeats), *single(given.repeats)]
    for name, mine, peer, usual, limit in [*found, *(grids() if given.grids else [])]:
        last = "" if usual is None else f"{usual:8.2f}"
        print(f"{name:55s} {mine:8.2f} {peer:8.2f} {mine / peer:6.2f} {limit:6.1f} {last}")
    if given.imports:
        imports()


if __name__ == "__main__":
    main()

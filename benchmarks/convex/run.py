"""linnet's line beside every solver of scikit-learn that takes the problem.

    python benchmarks/convex/run.py [problems] [--repeats 5] [--limit 60] [--quick]

A rival is a solver in float32 or float64. For each gap it gets the loosest ``tol`` (a power of ten)
that brings its objective within that gap of the optimum, linnet likewise; then all run in turn,
round after round, on the same threads. R is the rival's time over linnet's, the medians. A rival
that does not reach a gap within ``--limit`` seconds for one fit (or 50 times linnet's, but three
seconds at least) is listed with that bound. Each
solver lives in a process of its own that has the data and has fitted once.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import numpy as np
import problems

SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")
TOLS = [10.0**-power for power in range(1, 13)]

PAUSE = 0.5
"""Seconds before each fit: until the threads of the one before no longer spin."""


@dataclass(frozen=True)
class Problem:
    """One task, the gaps to reach on it, and what is demanded: (rival, gap) -> R."""

    make: Callable[[], tuple[np.ndarray, np.ndarray]]
    gaps: tuple[float, ...]
    exact: float = 1e-9
    """The tolerance of the fit that is taken for the optimum."""
    demands: dict[str, float] = field(default_factory=dict)


PROBLEMS = {
    "mnist": Problem(
        problems.mnist,
        (1e-4, 1e-6),
        demands={"the best to 1e-04": 3, "the best to 1e-06": 2.5, "the default": 10},
    ),
    "mnist-raw": Problem(lambda: problems.mnist(1.0), (), 1e-6, {"the default": 10}),
    "forest": Problem(problems.forest, (1e-6,), demands={"newton-cholesky": 1.5, "lbfgs": 5}),
    "adult": Problem(problems.adult, (1e-6,), demands={"newton-cholesky": 1, "lbfgs": 5}),
    "wide": Problem(lambda: problems.gaussian(100, 1000, 10), (1e-6,), demands={"newton-cg": 1}),
}


def objective(x: np.ndarray, y: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> float:
    """Mean loss plus penalty at C = 1, in float64, by blocks of rows."""
    total = 0.0
    for start in range(0, len(x), 8192):
        rows = slice(start, start + 8192)
        raw = x[rows].astype(np.float64) @ coef.T.astype(np.float64) + intercept
        if raw.shape[1] == 1:
            total += np.logaddexp(0, np.where(y[rows] == 1, -raw[:, 0], raw[:, 0])).sum()
        else:
            high = raw.max(1)
            total += (np.log(np.exp(raw - high[:, None]).sum(1)) + high).sum()
            total -= raw[np.arange(len(raw)), y[rows]].sum()
    return float(total / len(x) + (coef.astype(np.float64) ** 2).sum() / (2 * len(x)))


def work(pipe: Connection, name: str, solver: str, dtype: str) -> None:
    """A process: answers each ``tol`` (None: the default) with seconds and objective."""
    import torch
    from sklearn.linear_model import LogisticRegression

    import linnet

    warnings.simplefilter("ignore")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    x, y = PROBLEMS[name].make()
    x, y = np.ascontiguousarray(x, dtype=dtype), np.asarray(y).astype(np.int64)

    def fit(tol: float | None, few: int | None = None) -> Any:
        rows = slice(few)
        if solver == "linnet":
            return linnet.LogisticRegression(tol=tol).fit(x[rows], y[rows])
        settings: dict[str, Any] = {} if tol is None else {"tol": tol, "max_iter": 100_000}
        return LogisticRegression(solver=solver, **settings).fit(x[rows], y[rows])

    fit(1.0, 500)  # warm
    pipe.send("ready")
    while True:
        tol = pipe.recv()
        start = time.perf_counter()
        model = fit(tol)
        seconds = time.perf_counter() - start
        value = objective(x, y, model.coef_, model.intercept_)
        pipe.send((seconds, value))


class Worker:
    """One solver in a process of its own."""

    def __init__(self, name: str, solver: str, dtype: str) -> None:
        self.label = f"{solver} {dtype}"
        self.arguments = (name, solver, dtype)
        self.known: dict[float, tuple[float, float] | None] = {}
        self.start()

    def start(self) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, *self.arguments), daemon=True)
        self.process.start()
        self.pipe.recv()

    def fit(self, tol: float | None, limit: float) -> tuple[float, float] | None:
        """Seconds and objective, or None where it took longer than ``limit``."""
        time.sleep(PAUSE)
        self.pipe.send(tol)
        if self.pipe.poll(limit):
            result: tuple[float, float] = self.pipe.recv()
            return result if result[0] <= limit else None
        self.process.kill()
        self.process.join()
        return None

    def close(self) -> None:
        self.process.kill()


def compare(name: str, repeats: int, limit: float) -> None:
    """One problem: search the tolerances, then rounds, then the table."""
    problem = PROBLEMS[name]
    print(f"\n## {name}\n", flush=True)
    dtypes = ("float32", "float64")
    ours = [Worker(name, "linnet", dtype) for dtype in dtypes]
    exact = ours[1].fit(problem.exact, 3600)
    assert exact is not None
    best = exact[1]
    limit = min(limit, max(3.0, 50 * exact[0]))
    print(f"optimum {best:.10f} (linnet float64 in {exact[0]:.1f} s)", flush=True)
    rivals = [Worker(name, solver, dtype) for solver in SOLVERS for dtype in dtypes]
    entries: list[tuple[str, Worker, float | None, float, float]] = []  # what, who, tol, time, gap

    # the default of scikit-learn, and linnet at the gap that it reaches
    if "the default" in problem.demands:
        default = next(worker for worker in rivals if worker.label == "lbfgs float32")
        found = default.fit(None, 3600)
        assert found is not None
        gap = (found[1] - best) / best
        entries.append(("default", default, None, found[0], gap))
        entries += search(ours, "default", gap, best, limit)
    for gap in problem.gaps:
        what = f"{gap:.0e}"
        entries += search(ours, what, gap, best, limit)
        entries += search(rivals, what, gap, best, limit)
    for worker in (*ours, *rivals):
        runs = any(entry[1] is worker and np.isfinite(entry[3]) for entry in entries)
        if runs and not worker.process.is_alive():
            worker.start()
    times: dict[int, list[float]] = {index: [] for index in range(len(entries))}
    for turn in range(repeats):
        for index, (_, worker, tol, first, _) in enumerate(entries):
            if np.isfinite(first) and (turn < 2 or first <= 60):
                again = worker.fit(tol, 10 * first + 60)
                assert again is not None
                times[index].append(again[0])
    print("\n| to the gap | solver | tol | seconds (least to most) | gap reached | repeats | R |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for what in dict.fromkeys(entry[0] for entry in entries):
        mine = min(
            median(times[i])
            for i, entry in enumerate(entries)
            if entry[0] == what and entry[1] in ours and times[i]
        )
        for i, (of, worker, tol, _, reached) in enumerate(entries):
            if of != what:
                continue
            if times[i]:
                low, middle, high = min(times[i]), median(times[i]), max(times[i])
                seconds = f"{middle:.3g} ({low:.3g} to {high:.3g})"
                ratio = f"{middle / mine:.2f}"
            else:
                seconds, ratio = f"> {limit:.0f}", f"> {limit / mine:.0f}"
            setting = "default" if tol is None else f"{tol:.0e}"
            print(
                f"| {what} | {worker.label} | {setting} | {seconds} | {reached:.1e} | "
                f"{len(times[i])} | {ratio} |"
            )
    for key, value in problem.demands.items():
        print(f"\nto reach: R >= {value:g} against {key}", end="")
    print(flush=True)
    for worker in (*ours, *rivals):
        worker.close()


def search(
    workers: list[Worker], what: str, gap: float, best: float, limit: float
) -> list[tuple[str, Worker, float | None, float, float]]:
    """For each worker the loosest tolerance that reaches the gap, or that it takes too long."""
    entries: list[tuple[str, Worker, float | None, float, float]] = []
    for worker in workers:
        reached = float("inf")
        for tol in TOLS:
            if tol not in worker.known:
                if not worker.process.is_alive():
                    worker.start()
                worker.known[tol] = worker.fit(tol, limit)
            found = worker.known[tol]
            if found is None:
                entries.append((what, worker, tol, float("inf"), reached))
                break
            reached = (found[1] - best) / best
            if reached <= gap:
                entries.append((what, worker, tol, found[0], reached))
                break
        else:
            entries.append((what, worker, TOLS[-1], float("inf"), reached))
        print(f"  {what} {worker.label}: {entries[-1][2:]}", file=sys.stderr, flush=True)
    return entries


def rounds(
    title: str, methods: dict[str, Callable[[], Any]], repeats: int, demands: str
) -> dict[str, float]:
    """Methods in turn, the first is ours; prints medians and R."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(repeats):
        for name, method in methods.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            method()
            times[name].append(time.perf_counter() - start)
    middle = {name: median(every) for name, every in times.items()}
    ours = next(iter(middle.values()))
    print(f"\n## {title}\n\n| | seconds (least to most) | repeats | R |\n|---|--:|--:|--:|")
    for name, every in times.items():
        spread = f"{middle[name]:.3g} ({min(every):.3g} to {max(every):.3g})"
        print(f"| {name} | {spread} | {len(every)} | {middle[name] / ours:.2f} |")
    print(f"\nto reach: {demands}", flush=True)
    return middle


def squares(repeats: int) -> None:
    """Least squares, 1,000,000 x 100 in float32."""
    import torch
    from sklearn.linear_model import LinearRegression, Ridge

    import linnet

    x, y = problems.numbers(1_000_000, 100)
    rows, targets = torch.from_numpy(x), torch.from_numpy(y)[:, None]
    rounds(
        "least squares, 1,000,000 x 100, float32",
        {
            "linnet LinearRegression": lambda: linnet.LinearRegression().fit(x, y),
            "linnet Ridge": lambda: linnet.Ridge().fit(x, y),
            "LinearRegression": lambda: LinearRegression().fit(x, y),
            'Ridge(solver="cholesky")': lambda: Ridge(solver="cholesky").fit(x, y),
            "the products X'X and X'y alone": lambda: (rows.T @ rows, rows.T @ targets),
        },
        repeats,
        "R >= 10 against LinearRegression, >= 1.2 against Ridge, >= 0.5 against the products",
    )


def path(repeats: int) -> None:
    """Ridge with 50 penalties, each scored by leaving out one row at a time."""
    import torch
    from sklearn.linear_model import RidgeCV

    from linnet.line.moments import Moments

    x, y = problems.numbers(100_000, 100)
    x, y = x.astype(np.float64), y.astype(np.float64)
    alphas = np.logspace(-3, 6, 50)
    chosen: dict[str, float] = {}

    def ours() -> None:
        rows, targets = torch.from_numpy(x), torch.from_numpy(y)[:, None]
        moments = Moments.of(rows, targets, None, intercept=True, home=torch.device("cpu"))
        theta = torch.cat([moments.solve(alpha / len(x)).theta for alpha in alphas], 1)
        residual = targets - rows @ theta[:-1] - theta[-1]
        values, vectors = torch.linalg.eigh(moments.xx)
        inside = ((rows - moments.mean_x) @ vectors).square_()
        shrink = 1 / (values[:, None] + torch.from_numpy(alphas))
        leverage = inside @ shrink + 1 / len(x)
        score = (residual / (1 - leverage)).square().mean(0)
        chosen["ours"] = float(alphas[int(score.argmin())])

    def theirs() -> None:
        chosen["theirs"] = float(RidgeCV(alphas).fit(x, y).alpha_)

    title = "ridge, 50 penalties, 100,000 x 100, float64"
    rounds(title, {"linnet": ours, "RidgeCV": theirs}, repeats, "R >= 2 against RidgeCV")
    print(f"penalty chosen: {chosen['ours']:.3g} and {chosen['theirs']:.3g}")


def shapes(repeats: int) -> None:
    """The way the solver starts, chosen by the number of rows, against each way alone."""
    import torch

    from linnet.line import solve
    from linnet.line.lbfgs import LBFGS
    from linnet.line.problem import LinearProblem
    from linnet.networks.linear import Linear
    from linnet.objectives.logistic import Logistic
    from linnet.objectives.softmax import Softmax

    sizes = [(10**n, 10) for n in (2, 3, 4, 5)] + [(10**n, 100) for n in (2, 3, 4, 5)]
    sizes += [(10_000, 1000), (100_000, 1000)]
    least = solve.SAMPLE
    ways = {"chosen": least, "samples": 600, "all rows": 10**9}
    print("\n## 30 shapes, seconds to a gap of 1e-6 (float32)\n")
    print("| rows | columns | classes | chosen | samples | all rows | chosen / best |")
    print("|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    worst = 0.0
    for rows, columns in sizes:
        for classes in (2, 10, 50):
            x, y = problems.gaussian(rows, columns, classes)
            data, codes = torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y)
            outputs = classes if classes > 2 else 1
            times: dict[str, list[float]] = {way: [] for way in ways}
            for turn in range(repeats if rows * columns * classes < 10**9 else 2):
                curves = {}
                for way, sample in ways.items():
                    solve.SAMPLE = sample
                    start = time.perf_counter()
                    kind = Softmax() if classes > 2 else Logistic()
                    problem = LinearProblem(kind, data, codes, outputs=outputs)
                    spec = Linear.Spec(inputs=(columns,), outputs=outputs, scale="none")
                    curves[way] = [
                        (time.perf_counter() - start, float(step.values["objective"]))
                        for step in solve.Solve(
                            Linear(spec), problem, LBFGS(), penalties=[1 / rows], tol=1e-6,
                            max_iter=1000,
                        )
                    ]  # fmt: skip
                best = min(value for curve in curves.values() for _, value in curve)
                for way, curve in curves.items():
                    if turn or repeats == 1:  # the first round is a warm-up
                        near = best + 1e-6 * abs(best)
                        times[way].append(next(t for t, value in curve if value <= near))
            middle = {way: median(every) for way, every in times.items()}
            ratio = middle["chosen"] / min(middle.values())
            worst = max(worst, ratio)
            cells = " | ".join(f"{middle[way]:.3g}" for way in ways)
            print(f"| {rows} | {columns} | {classes} | {cells} | {ratio:.2f} |", flush=True)
    solve.SAMPLE = least
    print(f"\nworst ratio {worst:.2f}; to reach: never more than 2")


def memory() -> None:
    """Peak memory above what the process had before the fit, each in a process of its own."""
    print("\n## memory\n\n| problem | dtype | X, MB | peak above the start, MB | allowed, MB |")
    print("|---|---|--:|--:|--:|")
    for name, dtype in [("mnist", "float32"), ("mnist", "float64"), ("forest", "float64")]:
        command = [sys.executable, __file__, "--peak", name, dtype]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        size, peak = map(float, out[-2:])
        allowed = 1.5 * size + 100
        print(f"| {name} | {dtype} | {size:.0f} | {peak:.0f} | {allowed:.0f} |", flush=True)


def peak(name: str, dtype: str) -> None:
    """Megabytes of X, and of memory at most above the start of the fit."""
    import linnet

    x, y = PROBLEMS[name].make()
    x, y = np.ascontiguousarray(x, dtype=dtype), np.asarray(y).astype(np.int64)
    linnet.LogisticRegression(tol=1.0).fit(x[:500], y[:500])
    # the peak so far, of making the data, must not hide the fit's: clear it
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    with open("/proc/self/statm") as file:
        before = int(file.read().split()[1]) * resource.getpagesize()
    linnet.LogisticRegression(tol=1e-6).fit(x, y)
    with open("/proc/self/status") as file:
        high = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    print(x.nbytes / 1e6, (high - before) / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [*PROBLEMS, "squares", "path", "shapes", "memory"]
    parser.add_argument("problems", nargs="*", help=f"by default all: {', '.join(known)}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for a rival's fit")
    parser.add_argument("--quick", action="store_true", help="the small problems, twice")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak:
        return peak(*given.peak)
    small = ["wide", "path", *(["adult"] if "LINNET_DATA" in os.environ else [])]
    names = given.problems or (small if given.quick else known)
    unknown = set(names) - set(known)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    threads = os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
    repeats = 2 if given.quick else given.repeats
    print(f"{threads} threads, {repeats} repeats, limit {given.limit:g} s")
    for name in names:
        if name in PROBLEMS:
            compare(name, repeats, given.limit)
        elif name == "squares":
            squares(repeats)
        elif name == "path":
            path(repeats)
        elif name == "shapes":
            shapes(repeats)
        else:
            memory()


if __name__ == "__main__":
    main()

"""What linnet's defaults for tables bring and cost, beside other libraries.

    python benchmarks/tables/quality.py run OUT.jsonl --competitors linnet lightgbm --seeds 0 1 2
    python benchmarks/tables/quality.py run OUT.jsonl --name silu --set activation=silu --seeds 0 1
    python benchmarks/tables/quality.py report OUT.jsonl --against today
    python benchmarks/tables/quality.py ranks OUT.jsonl linnet lightgbm sklearn_trees

``run`` appends one line of JSON for each task, seed and competitor to a file; what is there already
is not run again. A competitor is linnet with its defaults ("linnet"), linnet with other settings
(``--name`` and ``--set``), or one of ``peers.PEERS``. All are tested on the same rows; each has one
thread, and its CPU seconds are those of its fit alone.

``report`` compares linnet's variants with one of them. Decisions are made on *validation* rows, or
out of fold: ``skill`` is the share of the constant's loss (log loss, or the mean square) that is
gone. A variant hurts on a task if its skill is lower by more than two standard errors over the
seeds. ``ranks`` compares competitors on test rows, which decide nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEERS
from peers import run as run_peer
from tasks import SPLIT, TASKS, Task, divided

Line = dict[str, Any]
DEFAULT = "linnet"
NET, LINE, CONSTANT = "mlp", "linear", "constant"
TREES = "trees"
"""The yardstick of linnet's runs: on the models' training rows, without the validation rows."""


def run_linnet(task: Task, seed: int, settings: Mapping[str, Any]) -> Line:
    """Linnet's models and its yardstick: validation and test scores, CPU seconds, which model is
    chosen, and how they differ on test rows."""
    import linnet

    kind = "classification" if task.classes else "regression"
    frame = divided(task.name, seed)
    clock: dict[str, list[float]] = {}
    last: dict[str, Any] = {}

    def heard(event: Any) -> None:
        if event["event"] in ("test", "yardstick"):  # the trees are fitted between these
            clock[TREES] = [*clock.get(TREES, []), time.process_time()][-2:]
        if event["event"] in ("begin", "fit"):
            clock.setdefault(event["model"], []).append(time.process_time())
        if event["event"] == "evaluate" and event.get("valid"):
            last[event["model"]] = event["valid"]["loss"]

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        start = time.process_time()
        linnet.train(
            frame, target=task.target, task=kind, split=SPLIT, seed=seed, out=out, echo=heard,
            **settings,
        )  # fmt: skip
        whole = time.process_time() - start
        metrics = json.loads((out / "metrics.json").read_text())
        trees = {
            name: found for name, found in metrics.get("yardstick", {}).items() if "test" in found
        }
        every = {**metrics["models"], **trees}
        losses = {name: _losses(out, name) for name in every}
    models: dict[str, Line] = {}
    constant = metrics["models"][CONSTANT]
    for name, found in every.items():
        valid, test = found.get("valid"), found["test"]
        keys = ("accuracy", "log_loss", "rmse", "r2")
        models[name] = {
            "test": {key: test[key] for key in keys if key in test}
            | {"skill": 1 - losses[name].mean() / losses[CONSTANT].mean()},
            "fit": {
                key: found["fit"].get(key) for key in ("stopped", "steps", "best_epoch", "penalty")
            },
        }
        if name in clock:
            models[name]["cpu"] = clock[name][-1] - clock[name][0]
        if valid:
            base = constant["valid"]["loss"]
            models[name]["valid"] = valid | {"skill": 1 - valid["loss"] / base}
            if name in last:
                models[name]["last"] = 1 - last[name] / base
    pairs = {}
    for one in losses:
        for other in losses:
            if one < other:
                off = losses[one] - losses[other]
                error = off.std(ddof=1) / len(off) ** 0.5
                pairs[f"{one} {other}"] = [float(off.mean()), float(error)]
    return {
        "chosen": metrics["chosen"], "choice": metrics.get("choice"), "models": models,
        "pairs": pairs, "cpu": whole, "comparisons": metrics["comparisons"],
    }  # fmt: skip


def _losses(out: Path, name: str) -> np.ndarray[Any, Any]:
    """The loss of each test row: its log loss, or its squared error."""
    import polars

    frame = polars.read_parquet(out / "predictions" / f"{name}.parquet")
    y = frame["y"].to_numpy()
    if "p" not in frame.columns:
        return np.asarray((frame["prediction"].to_numpy() - y) ** 2)
    metrics = json.loads((out / "metrics.json").read_text())
    classes = metrics["models"][CONSTANT]["test"]["classes"]
    code = {str(each): place for place, each in enumerate(classes)}
    p = frame["p"].to_numpy()[np.arange(len(y)), [code[str(each)] for each in y]]
    return np.asarray(-np.log(np.clip(p, 1e-15, 1)))


def read(path: Path) -> list[Line]:
    """The lines of the file of results."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(options: argparse.Namespace) -> None:
    import warnings

    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
    warnings.simplefilter("ignore")
    path: Path = options.out
    done = {
        (each["task"], each["seed"], each["name"]) for each in read(path) if "failed" not in each
    }
    settings = dict(pair.split("=", 1) for pair in options.set)
    settings = {key: _value(value) for key, value in settings.items()}
    names = [options.name] if options.name else options.competitors
    for seed in options.seeds:
        for task in chosen(options.tasks):
            for name in names:
                if (task.name, seed, name) in done:
                    continue
                line: Line = {"task": task.name, "seed": seed, "name": name}
                start = time.perf_counter()
                try:
                    if name in PEERS:
                        line["models"] = {name: run_peer(name, task, seed)}
                        line["chosen"] = name
                    else:
                        line["set"] = settings
                        line |= run_linnet(task, seed, settings)
                except Exception as error:  # another library's; the other tasks still run
                    line["failed"] = f"{type(error).__name__}: {error}"
                wall = time.perf_counter() - start
                with path.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(f"{task.name} {seed} {name}: {shown(line)} ({wall:.1f} s)", flush=True)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def shown(line: Line) -> str:
    """The scores of a line, in a line."""
    if "failed" in line:
        return str(line["failed"])
    return "; ".join(
        f"{name} {each['test']['skill']:.4f}"
        + (f" (valid {each['valid']['skill']:.4f})" if "valid" in each else "")
        + f" {each.get('cpu', 0):.1f} s"
        for name, each in line["models"].items()
        if name != CONSTANT
    )


def chosen(names: Sequence[str]) -> list[Task]:
    """Tasks by name, or by kind: small, large, classes, numbers, all."""
    kinds = {
        "all": lambda task: True,
        "small": lambda task: task.small,
        "large": lambda task: not task.small,
        "classes": lambda task: task.classes,
        "numbers": lambda task: not task.classes,
    }
    found: list[Task] = []
    for name in names:
        parts = name.split("-")  # small-numbers
        if all(part in kinds for part in parts):
            found += [task for task in TASKS.values() if all(kinds[part](task) for part in parts)]
        else:
            found.append(TASKS[name])
    return list({task.name: task for task in found}.values())


Runs = dict[tuple[str, int], Line]


def by_name(lines: Iterable[Line]) -> dict[str, Runs]:
    """The lines that did not fail: by name, then by task and seed."""
    found: dict[str, Runs] = {}
    for line in lines:
        if "failed" not in line:
            found.setdefault(line["name"], {})[line["task"], line["seed"]] = line
    return found


def value(line: Line, model: str, part: str, key: str) -> float:
    """A score of a model; "chosen" is the one that the run predicts with."""
    each = line["models"][line["chosen"] if model == "chosen" else model]
    if part == "last":
        return float(each["last"])
    return float(each[part][key])


def gains(runs: Runs, base: Runs, model: str, part: str) -> dict[str, list[float]]:
    """What a variant's skill gains over the base: by task, for each seed of both."""
    found: dict[str, list[float]] = {}
    for (task, seed), line in runs.items():
        if (task, seed) in base and model in (*line["models"], "chosen"):
            off = value(line, model, part, "skill") - value(base[task, seed], model, part, "skill")
            found.setdefault(task, []).append(off)
    return found


def clear(values: Sequence[float]) -> int:
    """1 or -1 for a mean above or below 0 by more than two standard errors; else 0."""
    if len(values) < 2:
        return 0
    mean, error = statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5
    return (mean > 2 * error) - (mean < -2 * error)


def report(options: argparse.Namespace) -> None:
    """Gains over a variant and their costs, by group of tasks."""
    runs = by_name(line for path in options.out for line in read(path))
    base = runs[options.against]
    names = options.names or [
        name for name in runs if name not in PEERS and name != options.against
    ]
    model, part = options.model, options.part
    print(f"{model}: gain of skill over {options.against} by {part}, and CPU seconds\n")
    print("| variant | tasks | n | mean | median | better | worse | CPU | where it hurts |")
    print("|---|---|--:|--:|--:|--:|--:|--:|---|")
    for group in options.groups:
        tasks = [task.name for task in chosen([group])]
        for name in names:
            found = gains(runs[name], base, model, part)
            found = {task: values for task, values in found.items() if task in tasks}
            if not found:
                continue
            means = {task: statistics.fmean(values) for task, values in found.items()}
            hurt = {task: means[task] for task in found if clear(found[task]) < 0}
            better = sum(clear(values) > 0 for values in found.values())
            both = [key for key in runs[name] if key in base and key[0] in found]
            cost = [
                sum(each[key]["models"].get(model, each[key]).get("cpu", 0) for key in both)
                for each in (runs[name], base)
            ]
            worst = ", ".join(f"{task} {off:+.3f}" for task, off in sorted(hurt.items()))
            ranked = [off for task, off in means.items() if TASKS[task].ranked]
            print(
                f"| {name} | {group} | {len(found)} | {statistics.fmean(ranked):+.4f} | "
                f"{statistics.median(ranked):+.4f} | {better} | {len(hurt)} | "
                f"{cost[0]:.0f} ({cost[0] / max(cost[1], 1e-9):.2f}) | {worst} |"
            )
    if options.each:
        print("\n| task | " + " | ".join(names) + " |\n|---|" + "--:|" * len(names))
        for task in chosen(options.groups):
            row = []
            for name in names:
                off = gains(runs[name], base, model, part).get(task.name)
                row.append(
                    "" if not off else f"{statistics.fmean(off):+.4f}" + " *"[bool(clear(off))]
                )
            print(f"| {task.name} | " + " | ".join(row) + " |")


def ranks(options: argparse.Namespace) -> None:
    """Test scores, and mean ranks over tasks. A competitor may name one of linnet's models, as
    today:mlp; else it is the chosen one."""
    runs = by_name(line for path in options.out for line in read(path))
    for group in options.groups:
        for key in ("skill", "accuracy or R2"):
            table: dict[str, list[float]] = {}
            for task in chosen([group]):
                score = key if key == "skill" else "accuracy" if task.classes else "r2"
                sides = [_of(runs, name) for name in options.competitors]
                seeds = set.intersection(
                    *({seed for name, seed in each if name == task.name} for each, _ in sides)
                )
                if seeds:
                    table[task.name] = [
                        statistics.fmean(
                            value(each[task.name, seed], model, "test", score) for seed in seeds
                        )
                        for each, model in sides
                    ]
            if not table:
                continue
            print(f"\n{group}, test rows, {key}\n")
            print("| task | " + " | ".join(options.competitors) + " |")
            print("|---|" + "--:|" * len(options.competitors))
            total = np.zeros(len(options.competitors))
            ranked = [name for name in table if TASKS[name].ranked]
            for name, row in table.items():
                print(f"| {name} | " + " | ".join(f"{each:.4f}" for each in row) + " |")
                if name in ranked:
                    total += _ranks(row)
            mean = total / max(1, len(ranked))
            print(f"| mean rank of {len(ranked)} | " + " | ".join(f"{e:.2f}" for e in mean) + " |")


def _of(runs: Mapping[str, Runs], name: str) -> tuple[Runs, str]:
    name, _, model = name.partition(":")
    return runs[name], model or "chosen"


def _ranks(scores: Sequence[float]) -> np.ndarray[Any, Any]:
    """1 for the highest; the mean rank where scores are equal."""
    from scipy.stats import rankdata

    return np.asarray(rankdata([-round(each, 6) for each in scores]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_subparsers(required=True)
    running = what.add_parser("run")
    running.add_argument("out", type=Path)
    running.add_argument("--competitors", nargs="+", default=[DEFAULT])
    running.add_argument("--name", help="the name of a variant of linnet, with --set")
    running.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE")
    running.add_argument("--tasks", nargs="+", default=["all"])
    running.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    running.set_defaults(do=run)
    reporting = what.add_parser("report")
    reporting.add_argument("out", type=Path, nargs="+")
    reporting.add_argument("--against", default="today")
    reporting.add_argument("--names", nargs="+")
    reporting.add_argument("--model", default=NET)
    reporting.add_argument("--part", default="valid", choices=["valid", "test", "last"])
    reporting.add_argument("--groups", nargs="+", default=["small", "large"])
    reporting.add_argument("--each", action="store_true", help="a table of all tasks too")
    reporting.set_defaults(do=report)
    ranking = what.add_parser("ranks")
    ranking.add_argument("out", type=Path)
    ranking.add_argument("competitors", nargs="+")
    ranking.add_argument("--groups", nargs="+", default=["all", "small"])
    ranking.set_defaults(do=lambda options: ranks(_listed(options)))
    options = parser.parse_args()
    options.do(options)


def _listed(options: argparse.Namespace) -> argparse.Namespace:
    options.out = [options.out]
    return options


if __name__ == "__main__":
    sys.exit(main())

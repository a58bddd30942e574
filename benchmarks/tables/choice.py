"""How often does a run choose the model that is best on test rows?

    python benchmarks/tables/choice.py OUT.jsonl [--name linnet] [--groups all small large]

It reads what ``quality.py run`` wrote. A run is right if the chosen model is the best one on test
rows, or behind it by no more than chance: 1.96 standard errors of the paired difference of their
losses. The constant counts as a model. ``lost`` is the skill on test rows (the share of the
constant's loss that is gone) that the best model has and the chosen one has not, the mean of all
runs.

The first row is what the runs chose. The others are rules that leave the line for the net if the
net's mean loss on held-out rows is lower by more than some standard errors of the difference: 0 is
the lowest loss, 1 is the rule of one standard error. For them the standard error on the held-out
rows is that on the test rows, for the number of held-out rows. ``rule.py`` simulates the rules on
tables where it is known which model is better.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from quality import CONSTANT, LINE, NET, Runs, by_name, chosen, read
from tasks import TASKS

RULES = (0.0, 0.5, 1.0, 2.0)
"""The standard errors by which the net must be ahead."""

CHANCE = 1.96
"""The standard errors within which two models are equally good on test rows."""

VALID = 0.2
"""The share of the validation rows among those that are not test rows, without folds."""

MODELS = (CONSTANT, LINE, NET)

Line = Mapping[str, Any]


def row(name: str, runs: Runs, choose: Callable[[str, Line], str]) -> str:
    """A row of the table: what ``choose`` chooses for a task and its line of results, against what
    is best on test rows."""
    best = right = nets = 0
    lost, wrong = [], []
    for (task, seed), line in runs.items():
        here = choose(task, line)
        skill = {each: line["models"][each]["test"]["skill"] for each in MODELS}
        there = max(skill, key=lambda each: skill[each])
        nets += here == NET
        best += here == there
        lost.append(skill[there] - skill[here])
        if here == there or behind(line, here, there) <= CHANCE:
            right += 1
        else:
            wrong.append(f"{task} {seed}")
    return (
        f"| {name} | {len(runs)} | {best} | {right} | {100 * right / len(runs):.0f} | {nets} | "
        f"{statistics.fmean(lost):.4f} | {', '.join(wrong)} |"
    )


def behind(line: Line, here: str, there: str) -> float:
    """By how many standard errors a model is behind another one on test rows."""
    off, error = line["pairs"][" ".join(sorted((here, there)))]  # of the first minus the second
    return float((off if here < there else -off) / error) if error else 0.0


def ahead(task: str, line: Line) -> float:
    """By how many standard errors the net is ahead of the line on the held-out rows."""
    line_valid, net_valid = (line["models"][name]["valid"] for name in (LINE, NET))
    train = TASKS[task].train_rows
    held = train if net_valid.get("by") == "folds" else VALID * train
    error = line["pairs"][f"{LINE} {NET}"][1] * ((TASKS[task].rows - train) / held) ** 0.5
    off = line_valid["loss"] - net_valid["loss"]
    if not TASKS[task].classes:
        off *= 2  # a loss is half the squared error, and "pairs" are of squared errors
    return float(off / error)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, nargs="+")
    parser.add_argument("--name", default="linnet")
    parser.add_argument("--groups", nargs="+", default=["all", "small", "large"])
    options = parser.parse_args()
    every = by_name(line for path in options.out for line in read(path))[options.name]
    print("| tasks, rule | runs | best | right | in % | net | lost | wrong: task, seed |")
    print("|---|--:|--:|--:|--:|--:|--:|---|")
    for group in options.groups:
        tasks = {task.name for task in chosen([group])}
        runs = {key: line for key, line in every.items() if key[0] in tasks}
        if not runs:
            continue
        print(row(f"{group}, as chosen", runs, lambda _, line: str(line["chosen"])))
        for rule in RULES:
            print(
                row(
                    f"{group}, {rule:g}", runs,
                    lambda task, line, rule=rule: NET if ahead(task, line) > rule else LINE,
                )
            )  # fmt: skip


if __name__ == "__main__":
    main()

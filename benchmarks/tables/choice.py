"""How often does a run choose the model that is best on test rows?

    python benchmarks/tables/choice.py OUT.jsonl [--name linnet] [--groups all small large]

It reads what ``quality.py run`` wrote. A run is right if the chosen model is the best one on test
rows, or behind it by no more than chance: 1.96 standard errors of the paired difference of their
losses. The constant counts as a model. ``lost`` is the skill on test rows (the share of the
constant's loss that is gone) that the best model has and the chosen one has not, the mean of all
runs. Beside the model that the run chose stands the one with the lowest loss on held-out rows.

``rule.py`` simulates the rule, and others, where it is known which model is better.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from quality import CONSTANT, LINE, NET, Runs, by_name, chosen, read

CHANCE = 1.96
"""The standard errors within which two models are equally good on test rows."""

MODELS = (CONSTANT, LINE, NET)

RULES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "the run's": lambda line: str(line["chosen"]),
    "lowest loss": lambda line: str(line["choice"]["lowest"]),
}
"""The model that a rule chooses, by a line of results."""


def row(name: str, rule: str, runs: Runs) -> str:
    """A row of the table: what a rule chooses, against what is best on test rows."""
    best = right = nets = 0
    lost, wrong = [], []
    for (task, seed), line in runs.items():
        here = RULES[rule](line)
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
        f"| {name} | {rule} | {len(runs)} | {best} | {right} | {100 * right / len(runs):.0f} | "
        f"{nets} | {statistics.fmean(lost):.4f} | {', '.join(wrong)} |"
    )


def behind(line: Mapping[str, Any], here: str, there: str) -> float:
    """By how many standard errors a model is behind another one on test rows."""
    off, error = line["pairs"][" ".join(sorted((here, there)))]  # of the first minus the second
    return float((off if here < there else -off) / error) if error else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, nargs="+")
    parser.add_argument("--name", default="linnet")
    parser.add_argument("--groups", nargs="+", default=["all", "small", "large"])
    options = parser.parse_args()
    runs = by_name(line for path in options.out for line in read(path))[options.name]
    print("| tasks | rule | runs | best | right | in % | net | lost | wrong: task, seed |")
    print("|---|---|--:|--:|--:|--:|--:|--:|---|")
    for group in options.groups:
        tasks = {task.name for task in chosen([group])}
        found = {key: line for key, line in runs.items() if key[0] in tasks}
        for rule in RULES if found else ():
            print(row(group, rule, found))


if __name__ == "__main__":
    main()

"""How often does the rule by which a run chooses its model choose a worse one?

    python benchmarks/tables/rule.py [--tables 20000]

A rule leaves the line for the net if the net's mean loss on held-out rows is lower by more than
some standard errors of the difference: 0 is the lowest loss, 1 is the rule of one standard error.

It draws paired differences of losses, line minus net, for tables where the true mean of the
difference is known, as a number of standard errors: 0 for models that are equally good, 2 for a net
that is clearly better, -2 for one that is clearly worse. It prints how often each rule chooses the
net, in per cent. ``choice.py`` counts how often real runs choose rightly.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from quality import LINE, NET

from linnet.insight.choice import choose

Array = np.ndarray[Any, Any]

RULES = (0.0, 0.5, 1.0, 2.0)
"""The standard errors by which the net must be ahead."""

ROWS = (100, 450, 2_000)
AHEAD = (-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0)

SHAPES: Mapping[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "heavy tails (t, 3 degrees)": lambda random, shape: random.standard_t(3, shape),
    "skewed (log-normal)": lambda random, shape: random.lognormal(0, 1.0, shape),
    "few large (1 row in 20 counts)": lambda random, shape: (
        random.standard_normal(shape) * (random.random(shape) < 0.05)
    ),
}
"""The differences' shapes, (tables, rows); ``drawn`` gives them the mean 0 and the deviation 1."""

MOMENTS = {
    "normal": (0.0, 1.0),
    "heavy tails (t, 3 degrees)": (0.0, 3**0.5),
    "skewed (log-normal)": (np.exp(0.5), ((np.e - 1) * np.e) ** 0.5),
    "few large (1 row in 20 counts)": (0.0, 0.05**0.5),
}
"""The true mean and deviation of each shape."""


def drawn(options: argparse.Namespace) -> None:
    """Prints how often each rule chooses the net, by shape, rows, and how far it is ahead."""
    print("| differences | rows | rule | " + " | ".join(f"{each:+g}" for each in AHEAD) + " |")
    print("|---|--:|--:|" + "--:|" * len(AHEAD))
    random = np.random.default_rng(options.seed)
    total = {rule: np.zeros(len(AHEAD)) for rule in RULES}
    for shape, draw in SHAPES.items():
        mean, deviation = MOMENTS[shape]
        for rows in ROWS:
            means, errors = [], []
            for start in range(0, options.tables, 500):
                count = min(500, options.tables - start)
                values = (draw(random, (count, rows)) - mean) / deviation
                means.append(values.mean(1))
                errors.append(values.std(1, ddof=1) / rows**0.5)
            off, error = np.concatenate(means), np.concatenate(errors)
            for rule in RULES:
                net = [100 * np.mean(off + each / rows**0.5 > rule * error) for each in AHEAD]
                total[rule] += np.array(net) / (len(SHAPES) * len(ROWS))
                cells = " | ".join(f"{each:.0f}" for each in net)
                print(f"| {shape} | {rows} | {rule:g} | {cells} |")
    for rule, net in total.items():
        print(f"| mean | | {rule:g} | " + " | ".join(f"{each:.0f}" for each in net) + " |")
    _same_as_linnet(random)


def _same_as_linnet(random: np.random.Generator) -> None:
    """Fails if linnet's own rule is none of ``RULES``."""
    from linnet.insight.choice import ERRORS

    assert ERRORS in RULES
    for off in random.normal(0.1, 1, (200, 100)):
        error = off.std(ddof=1) / len(off) ** 0.5
        found = choose({LINE: 5 + off, NET: np.full(len(off), 5.0)}).model
        assert (found == NET) == (off.mean() > ERRORS * error)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    drawn(parser.parse_args())


if __name__ == "__main__":
    main()

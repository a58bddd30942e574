"""What a run tells of its rows may come from anyone: it is drawn, or refused by name."""

import json
import random
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from fuzzing import _insight
from linnet.core import files
from linnet.errors import InputError
from linnet.figures import Figure, dependence, dependence_pair, importance, slices
from linnet.insight.importance import Importances
from linnet.insight.slices import Slices
from linnet.runs import insights
from mutation import change


def draw(kept: dict[str, Any]) -> None:
    """What a report shows of it."""
    figures: list[Callable[[], Figure]] = [
        partial(importance, kept["importance"]),
        partial(dependence, kept["dependence"]),
        *(partial(slices, each, "m") for each in kept["slices"].values()),
    ]
    figures += [partial(dependence_pair, kept["pair"])] if kept["pair"] else []
    for figure in figures:
        try:
            made = figure()
            files.canonical(made.plain())
            made.csv()
        except InputError:
            continue
    every: list[Importances] = list(kept["importance"].values())
    assert all(found.cells(each) for found in every for each in found)
    told: list[Slices] = list(kept["slices"].values())
    assert all(found.words(each) for found in told for each in found)


@pytest.mark.parametrize("seed", range(2))
def test_insights_of_odd_values_are_drawn_or_refused(seed: int) -> None:
    rng, drawn = random.Random(seed), 0
    draw(insights.parsed(_insight()))
    for _ in range(400):
        other = change(rng, json.loads(json.dumps(_insight())))
        try:
            kept = insights.parsed(other)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            continue  # ``insights.read`` refuses the file by name
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            draw(kept)
        drawn += 1
    assert drawn > 20

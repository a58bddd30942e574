"""Prepare data for a fit: read it, split the rows, check them, encode them."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from linnet.core.parallel import choose_device
from linnet.data.dataset import Dataset
from linnet.data.read import read_draft
from linnet.errors import RecipeError
from linnet.fit import room
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import resolve
from linnet.insight.checks.doctor import examine
from linnet.insight.checks.finding import Finding


class Prepared(NamedTuple):
    """The data, its resolved recipe, the row numbers of each part, and the doctor's findings."""

    data: Dataset
    recipe: Recipe
    parts: dict[str, Tensor]
    findings: list[Finding]


def prepare(place: Any, recipe: Recipe) -> Prepared:
    """Read, split, check and encode the data: everything before the first fit."""
    if place is None:
        raise RecipeError("no data: name a data set, a file or a folder")
    device = str(choose_device(recipe.device))
    draft = read_draft(place, recipe)
    valid = None if recipe.valid == "auto" else recipe.valid
    split = draft.split(test=recipe.test, valid=valid, seed=recipe.seed)
    findings = examine(draft, split)
    dataset = draft.learn(split.train, recipe.max_categories)
    recipe = resolve(recipe, dataset, split).override({"device": device})
    parts = split._asdict()
    room.check(dataset, recipe, {name: len(rows) for name, rows in parts.items()})
    return Prepared(dataset, recipe, parts, findings)

"""Prepare data for a fit: read it, split the rows, check them, encode them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from linnet.core.parallel import choose_device
from linnet.data.dataset import Dataset
from linnet.data.read import read_draft
from linnet.data.split import Split
from linnet.errors import RecipeError
from linnet.fit import folds, room
from linnet.fit.recipe import FOLDS, Recipe
from linnet.fit.resolve import resolve
from linnet.insight.checks import ranges
from linnet.insight.checks.doctor import examine
from linnet.insight.checks.finding import Finding


class Divided(NamedTuple):
    """Data as read, its parts, its rows encoded (None: by what the training rows teach), findings
    about the division, and the fold of each training row (None: to be drawn)."""

    draft: Dataset
    split: Split
    data: Dataset | None = None
    findings: tuple[Finding, ...] = ()
    fold: Tensor | None = None


class Prepared(NamedTuple):
    """The data, its resolved recipe, the row numbers of each part, the findings (those of the
    division first, then the doctor's), and the fold of each training row, int8, if the recipe has
    more than one. With ``test=folds`` also the data as read, from which each fold is encoded."""

    data: Dataset
    recipe: Recipe
    parts: dict[str, Tensor]
    findings: list[Finding]
    fold: Tensor | None = None
    draft: Dataset | None = None


def divide(place: Any, recipe: Recipe) -> Divided:
    """Read the data, and split its rows by the recipe."""
    draft = read_draft(place, recipe)
    return Divided(draft, drawn(draft, recipe))


def drawn(draft: Dataset, recipe: Recipe) -> Split:
    """The split of the rows by the recipe; with folds there are no validation rows."""
    split = draft.split(test=recipe.test_rows, valid=0, seed=recipe.seed)
    if folds.number(recipe, draft, split) > 1:
        return split
    valid = None if recipe.valid == "auto" else recipe.valid
    return draft.split(test=recipe.test_rows, valid=valid, seed=recipe.seed)


def prepare(
    place: Any,
    recipe: Recipe,
    divide: Callable[[Any, Recipe], Divided] = divide,
    *,
    look: bool = True,
) -> Prepared:
    """Read, split, check and encode the data: everything before the first fit. Without ``look``
    the doctor is not asked; of several ranks one asks it.

    ``divide`` reads and splits; a run that goes on, or starts from another one, does not draw its
    parts anew (``linnet.runs.lineage``).
    """
    if place is None:
        raise RecipeError("no data: name a data set, a file or a folder")
    device = str(choose_device(recipe.device))
    draft, split, dataset, found, fold = divide(place, recipe)
    findings = examine(draft, split) if look else []
    if dataset is None:
        dataset = draft.learn(split.train, recipe.max_categories, recipe.seed)
    recipe = recipe.override({"folds": folds.number(recipe, draft, split)})
    recipe = resolve(recipe, dataset, split).override({"device": device})
    parts = split._asdict()
    by_folds = recipe.test == FOLDS
    sizes = {name: len(rows) for name, rows in parts.items()}
    room.check(dataset, recipe, {**sizes, "test": len(dataset)} if by_folds else sizes)
    if fold is None and recipe.folds != 1:
        fold = folds.drawn(dataset.take(split.train), recipe)
    findings = [*found, *findings, *ranges.aside(dataset.schema)]
    return Prepared(dataset, recipe, parts, findings, fold, draft if by_folds else None)

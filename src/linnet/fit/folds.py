"""Whether the training rows are divided into folds, and how.

Few rows cannot spare a validation part: what 22 to 85 rows choose is a lottery. With folds each
training row is held out once, and every choice rests on all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from linnet.data.dataset import Dataset
from linnet.data.fingerprints import copies
from linnet.data.split import MIN_ROWS_TO_HOLD_OUT, Split
from linnet.data.split import folds as divide
from linnet.errors import RecipeError
from linnet.fit.recipe import AUTO, Recipe
from linnet.networks import find as find_network

FEW = 5_000
"""A table with fewer training rows is divided into ``FOLDS`` folds by default."""

FOLDS = 5


def number(recipe: Recipe, data: Dataset, split: Split) -> int:
    """The number of folds of the training rows of ``split``, which has no validation rows but the
    data's own; 1 is one validation part. Raises ``RecipeError`` for folds that are not possible."""
    why = _hindrance(recipe, data, split)
    if recipe.folds == "auto":
        enough = len(data) - data.test_rows >= MIN_ROWS_TO_HOLD_OUT
        return FOLDS if why is None and enough and len(split.train) < FEW else 1
    if recipe.folds > 1 and why is not None:
        raise RecipeError(f"folds={recipe.folds}: {why}; leave folds out, or set folds=1")
    return recipe.folds


def _hindrance(recipe: Recipe, data: Dataset, split: Split) -> str | None:
    """Why there can be no folds, in words."""
    division = data.division
    if recipe.valid != "auto" and recipe.valid != 0:
        return "with folds every training row is held out once, so there is no validation part"
    if recipe.folds == "auto" and recipe.patience != "auto":
        return "patience is for validation rows"
    if data.schema.example == "picture":
        return "folds are for tables, and these are pictures"
    if recipe.model != (AUTO,) and any(find_network(name).own for name in recipe.model):
        return "a module of your own is trained once, in place"
    if len(split.valid):
        return "the data names its own validation rows"
    if division is not None and division.kind == "time":
        return "with time the rows that choose must be later than those that are trained on"
    if division is not None and division.kind == "group":
        groups = len(division.values[split.train].unique())
        least = FOLDS if recipe.folds == "auto" else recipe.folds
        if groups < least:
            return f"there are only {groups} groups to train on"
    if recipe.folds == "auto" and recipe.valid == 0:
        return "no rows are to be held out"
    return None


def drawn(train: Dataset, recipe: Recipe) -> Tensor:
    """The fold of each training row, int8 (rows,): stratified by class; a group is in one fold, and
    so are the copies of a row."""
    assert isinstance(recipe.folds, int)
    codes = train.codes if train.schema.task == "classification" else None
    units = train.units()
    return divide(
        codes, len(train), units=None if units is None else torch.from_numpy(units.codes),
        copies=copies(train), k=recipe.folds, seed=recipe.seed, purpose="train",
    )  # fmt: skip

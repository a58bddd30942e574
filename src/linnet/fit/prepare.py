"""Prepare data for a fit: read it, split the rows, check them, encode them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from linnet.core.parallel import choose_device
from linnet.data import known, store
from linnet.data.dataset import Dataset
from linnet.data.parquet.blocks import Far, Files, is_far
from linnet.data.read import read_draft, source_of
from linnet.data.reading import Reading
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
    about the division, and the fold of each training row (None: to be drawn). ``looked`` are the
    rows that checks look at, and their parts, if not all (None)."""

    draft: Dataset
    split: Split
    data: Dataset | None = None
    findings: tuple[Finding, ...] = ()
    fold: Tensor | None = None
    looked: tuple[Dataset, Split] | None = None


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
    """Read the data, and split its rows by the recipe; those of a store (``beyond``) are encoded
    already."""
    found = beyond(place, recipe)
    return in_memory(place, recipe) if found is None else found


def in_memory(place: Any, recipe: Recipe) -> Divided:
    """Read the data into memory, and split its rows by the recipe."""
    draft = read_draft(place, recipe)
    return Divided(draft, drawn(draft, recipe))


def beyond(place: Any, recipe: Recipe, *, make: bool = True) -> Divided | None:
    """The rows in a store, if the recipe names one or they do not fit into memory; else None.

    A store is made of Parquet files, local or in an object store, of text files, or of pictures.
    Checks look at some of its rows. It is tested on test rows, not by folds. Without ``make`` one
    that is not there is refused.
    """
    source = _source(place, recipe)
    if source is None:
        if recipe.store is not None:
            raise RecipeError(
                f"store={recipe.store}: a store is made of files of Parquet or CSV, or of a folder "
                "of pictures; write the data so, or leave store out"
            )
        return None
    if recipe.store is None and not isinstance(source, Far) and store.fits(source):
        return None
    if recipe.size and isinstance(source, Files):
        raise RecipeError(f"size={recipe.size} is for pictures, and {source.name} is a table")
    if recipe.test == FOLDS or recipe.folds not in ("auto", 1):
        raise RecipeError(
            f"{source.name}: folds are for rows in memory, and these are in a store, encoded once; "
            "leave test=folds and folds out"
        )
    names = [*Reading.model_fields, "test", "valid", "seed"]
    settings = {key: value for key, value in recipe.plain().items() if key in names}
    folder = known.cache() / "store" if recipe.store is None else Path(recipe.store)
    reading = recipe.model_copy(update={"folds": 1})
    found = store.stored(
        source, recipe, folder, lambda data: drawn(data, reading), settings, make=make
    )
    looked = (found.seen, found.seen_split)
    return Divided(found.data, found.split, found.data, looked=looked)


def made(place: Any, recipe: Recipe) -> str | None:
    """The folder of the store of this data, which is made if it is not there; None if the rows are
    to be in memory."""
    found = beyond(place, recipe)
    return None if found is None or found.draft.mapped is None else str(found.draft.mapped.parent)


def _source(place: Any, recipe: Recipe) -> store.Source | None:
    """What reads ``place`` by blocks; None if it can only be read into memory."""
    if is_far(place):
        return Far(place, recipe)
    if not isinstance(place, (str, os.PathLike)) or place in known.KNOWN:
        return None
    path = Path(place)
    if not path.exists():  # a data set that comes with scikit-learn, or standard input
        return None
    kind = (source_of(path) or ("",))[0]
    if kind == "parquet":
        return Files(path, recipe)
    if kind in ("csv", "several"):
        from linnet.data.text.pieces import Pieces  # polars, only when a table is read

        return Pieces(path, recipe) if Pieces.matches(path) else None
    if kind == "folder" or path.suffix.lower() == ".zip":
        from linnet.data.pictures.pieces import Pictures  # Pillow, only for this

        return Pictures(path, recipe) if Pictures.matches(path) else None
    return None


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
    draft, split, dataset, found, fold, looked = divide(place, recipe)
    findings = examine(*(looked or (draft, split))) if look else []
    if draft.mapped is not None:
        findings += _told(looked, len(draft))
        recipe = recipe.override({"folds": 1, "store": str(draft.mapped.parent)})
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


def _told(looked: tuple[Dataset, Split] | None, rows: int) -> list[Finding]:
    """The note that checks have not looked at all ``rows``."""
    if looked is None or len(looked[0]) == rows:
        return []
    words = f"the checks looked at {len(looked[0]):,} rows, drawn by their numbers"
    return [Finding(words, "nothing to do: the rows are more than memory holds", "note")]

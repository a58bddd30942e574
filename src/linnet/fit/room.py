"""Is there room for the work and for what it writes? Asked before the first fit."""

from __future__ import annotations

from math import prod

from linnet.core import files, memory
from linnet.core.limits import MAX_MANIFEST
from linnet.core.text import counted
from linnet.data.dataset import Dataset
from linnet.errors import DataError, InputError
from linnet.fit.recipe import Recipe

MAX_PREDICTIONS = 50_000_000
"""The most predictions of a model that a run stores: test rows times classes, or times targets. In
float64 they take 400 MB."""

COPIES = 24
"""Of a line's weights: itself, its gradient, ten pairs of steps and gradients of L-BFGS, its
curvature and the best one."""

FACTS = 4
"""A manifest holds the schema, and beside it settings, scores and facts: of its bytes and values
the schema and the recipe may take all but a part of this size."""

ASKED_BYTES = 64 << 20
"""Before less than this is allocated, the system is not asked what is free."""


def check(data: Dataset, recipe: Recipe, parts: dict[str, int]) -> None:
    """Raise ``DataError`` if the models of ``data`` would not fit into memory, or into files that
    linnet reads again. ``parts`` are the numbers of rows of each part."""
    schema = data.schema
    outputs = len(schema.classes) or len(schema.targets)
    what = f"{counted(outputs, 'class' if schema.classes else 'target')}"
    if parts["test"] * outputs > MAX_PREDICTIONS:
        raise DataError(
            f"{data.name}: predictions of {parts['test']:,} test rows for {what} are "
            f"{parts['test'] * outputs:,} numbers; a run stores at most {MAX_PREDICTIONS:,} "
            f"(MAX_PREDICTIONS): give fewer test rows (test={MAX_PREDICTIONS // outputs}), or "
            "fewer classes"
        )
    features = prod(schema.shape)
    models = 1 + len(recipe.model)
    held = max(parts["train"], parts["valid"], models * parts["test"])
    need = 8 * outputs * (COPIES * (features + 1) + 2 * held)
    if need > ASKED_BYTES:
        told = f"{data.name}: a line of {what} and {counted(features, 'column')}"
        memory.require(need, told, "fewer classes, columns (drop=...) or rows")
    _readable(data, recipe)


def _readable(data: Dataset, recipe: Recipe) -> None:
    """Raise ``DataError`` if the manifest of a model would be larger than its reader allows."""
    text = files.canonical({"schema": data.schema.plain(), "recipe": recipe.plain()})
    limit = MAX_MANIFEST._replace(
        bytes=MAX_MANIFEST.bytes - MAX_MANIFEST.bytes // FACTS,
        values=MAX_MANIFEST.values - MAX_MANIFEST.values // FACTS,
    )
    try:
        files.loads(text, data.name, limit)
    except InputError as error:
        raise DataError(
            f"{error}: what a model file says of its columns and classes would be too long to be "
            "read again; give fewer columns (drop=...), categories or classes"
        ) from None

"""Is there room for the work and for what it writes? Asked before the first fit."""

from __future__ import annotations

from math import prod

from linnet.core import files, memory
from linnet.core.limits import MAX_MANIFEST
from linnet.core.text import counted
from linnet.data.coded import Coded
from linnet.data.dataset import Dataset
from linnet.errors import DataError, InputError
from linnet.fit.recipe import Recipe
from linnet.insight.shares import MANY, STORED
from linnet.line import compact

MAX_PREDICTIONS = 50_000_000
"""The most predictions of a model that a run stores: test rows times classes, or times targets. In
float64 they take 400 MB."""

VECTORS = {"least_squares": 8, "lbfgs": 70, "newton_cg": 12}
"""How often a solver holds the weights of the line, all in float64: L-BFGS has twenty pairs of
changes of weights, gradients and directions."""

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
    stored = STORED if len(schema.classes) > MANY else outputs
    if parts["test"] * stored > MAX_PREDICTIONS:
        raise DataError(
            f"{data.name}: predictions of {parts['test']:,} test rows for {what} are "
            f"{parts['test'] * stored:,} numbers; a run stores at most {MAX_PREDICTIONS:,} "
            f"(MAX_PREDICTIONS): give fewer test rows (test={MAX_PREDICTIONS // stored}), or "
            "fewer classes"
        )
    need = _needed(data, recipe, parts, outputs)
    if need > ASKED_BYTES:
        told = f"{data.name}: a line of {what} and {counted(prod(schema.shape), 'column')}"
        memory.require(need, told, "fewer classes, columns (drop=...) or rows")
    _readable(data, recipe)


def _needed(data: Dataset, recipe: Recipe, parts: dict[str, int], outputs: int) -> int:
    """About how many bytes a fit of the line takes, and what it is tested with, beside ``data``
    itself: each part of its rows, the training rows scaled, the solver's weights and matrices, and
    the raw predictions."""
    x, number = data.x, 8 if recipe.dtype == "float64" else 4
    held = sum(part[:1].numel() for part in x.parts()) if isinstance(x, Coded) else x[:1].numel()
    tables = (
        0
        if data.mapped
        else sum(parts.values()) * held * x.dtype.itemsize + parts["train"] * held * number
    )
    weights = outputs * (prod(data.schema.shape) + 1)
    vectors = 8 * weights * VECTORS.get(recipe.solver, max(VECTORS.values()))
    matrices = 0
    if recipe.solver in ("least_squares", "lbfgs"):
        width = min(prod(data.schema.shape), parts["train"]) + 1
        several = recipe.solver == "lbfgs" and compact(False, width - 1, outputs)
        matrices = 2 * 8 * (outputs if several else 1) * width**2
    models = 1 + len(recipe.model)
    rows = max(2 * parts["train"], 2 * parts["valid"], models * parts["test"])
    return tables + vectors + matrices + 8 * outputs * rows


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

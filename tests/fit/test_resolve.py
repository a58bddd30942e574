"""What "auto" means for a net: by the kind of the examples, the number of rows, and the target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import linnet
from linnet.data.dataset import Dataset
from linnet.data.split import Split
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import MOST, only, resolve

KEYS = (
    "widths", "activation", "embedding", "dropout", "weight_decay", "batch_size", "epochs",
    "patience",
)  # fmt: skip
PICTURES = ((512, 256), "relu", "none", 0.2, 0.01)


def table(rows: int, *, classes: bool, columns: int = 3) -> Dataset:
    draws = np.random.default_rng(0)
    x = draws.normal(size=(rows, columns))
    return linnet.read((x, draws.integers(0, 2, rows) if classes else draws.normal(size=rows)))


def settled(data: Dataset, valid: int = 0, **settings: Any) -> Recipe:
    """The recipe of a net, where the last rows validate; without them there are five folds."""
    rows = torch.arange(len(data))
    train, held = rows[: len(data) - valid], rows[len(data) - valid :]
    folds = {"folds": 1 if valid or data.schema.example == "picture" else 5}
    settings = {"model": "mlp", **folds, **settings}
    recipe = resolve(Recipe.make(settings), data, Split(train, held, rows[:0]))
    return only(recipe, recipe.model[0])


def values(recipe: Recipe) -> tuple[Any, ...]:
    return tuple(getattr(recipe, key) for key in KEYS)


@pytest.mark.parametrize("classes", [True, False])
@pytest.mark.parametrize(("rows", "size"), [(100, 32), (1_000, 50), (4_999, 128)])
def test_a_net_on_a_table_of_few_rows(classes: bool, rows: int, size: int) -> None:
    found = settled(table(rows, classes=classes))
    assert values(found)[:6] == ((256, 128), "silu", "piecewise", 0.3, 1.0, size)
    member = rows - rows // 5
    assert found.epochs == found.patience == max(12, 400 // (member // size))
    held = settled(table(rows, classes=classes), valid=rows // 5)
    assert values(held) == values(found)  # validation rows instead of folds change none of it


@pytest.mark.parametrize(
    ("rows", "classes", "embedding", "dropout", "epochs"),
    [
        (11_999, True, "piecewise", 0.3, 25),
        (11_999, False, "piecewise", 0.0, 25),
        (12_000, True, "periodic", 0.5, 25),
        (12_000, False, "periodic", 0.0, 25),
    ],
)
def test_a_net_on_a_table_of_more_rows(
    rows: int, classes: bool, embedding: str, dropout: float, epochs: int
) -> None:
    found = settled(table(rows, classes=classes), valid=2_000)
    widths, size = (512, 256), 128
    assert values(found) == (widths, "silu", embedding, dropout, 0.01, size, epochs, epochs)


def test_pictures_and_modules_of_ones_own_have_their_own_defaults() -> None:
    draws = np.random.default_rng(0)
    pictures = draws.integers(0, 256, (400, 1, 8, 8), dtype=np.uint8)
    found = settled(linnet.read((pictures, draws.integers(0, 3, 400))), valid=80)
    assert values(found) == (*PICTURES, 16, 150, 10)
    own = settled(table(400, classes=True), valid=80, model="custom")
    assert values(own) == (*PICTURES, 16, 150, 10)


@pytest.mark.parametrize("rows", [400, 10_000])
def test_only_standardised_columns_are_embedded_and_not_too_many(rows: int) -> None:
    for settings in ({"scaling": "none"}, {"scaling": (0.0, 2.0)}):
        found = settled(table(rows, classes=True), valid=80, **settings)
        assert found.embedding == "none"
    assert settled(table(400, classes=True, columns=MOST)).embedding == "piecewise"
    assert settled(table(400, classes=True, columns=MOST + 1)).embedding == "none"


def test_patience_waits_for_the_end_of_a_schedule_that_falls_to_zero() -> None:
    data = table(400, classes=True)
    for schedule in ("one_cycle", "cosine"):
        assert settled(data, valid=80, epochs=77, schedule=schedule).patience == 77
    for settings in ({"schedule": "constant"}, {"schedule": "plateau"}, {"min_delta": 1e-4}):
        assert settled(data, valid=80, epochs=77, **settings).patience == 10
    assert settled(data, valid=80, epochs=77, patience=5).patience == 5


def test_weight_decay_by_default_goes_with_adamw_alone() -> None:
    data = table(400, classes=True)
    assert settled(data, optimizer="adam").weight_decay == 0
    assert settled(data, weight_decay=0.2).weight_decay == 0.2

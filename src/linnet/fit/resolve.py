"""What "auto" means in a recipe, for this data and its split."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from linnet.core.registry import lookup
from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.data.split import Split
from linnet.errors import RecipeError
from linnet.fit.recipe import Recipe
from linnet.line import GROUP, SOLVERS
from linnet.line import choose as choose_solver
from linnet.net import OPTIMIZERS
from linnet.net.optimizers import Choice
from linnet.networks import LINE
from linnet.networks import find as find_network
from linnet.objectives import choose
from linnet.objectives import find as find_objective
from linnet.objectives.base import Objective

PENALTIES = tuple(10.0**power for power in range(1, -8, -1))
"""The L2 penalties among which the line's is chosen, for standardised features."""

FAR = 1e4
"""If the mean of a target is this many deviations away from zero, float32 would round its
predictions to more than a thousandth of a deviation, so "auto" takes float64."""

STEPS = 3_000
"""A net on few rows gets more epochs: enough for about this many steps, but at most 200."""


@dataclass(frozen=True)
class Case:
    """Everything on which the meaning of "auto" depends."""

    recipe: Recipe
    schema: Schema
    split: Split
    objective: Objective
    optimizer: Choice
    far: bool = False
    """Whether the target is far from zero (``FAR``)."""

    @property
    def rows(self) -> int:
        """Training rows."""
        return len(self.split.train)

    @property
    def wide(self) -> bool:
        """Whether the data is float64, or its target needs it, and the device can compute with
        it."""
        wanted = self.schema.dtype == "float64" or self.far
        return wanted and not self.recipe.device.startswith("mps")

    @property
    def picture(self) -> bool:
        return self.schema.example == "picture"

    @property
    def size(self) -> int:
        """The number of rows in a batch."""
        size = self.recipe.batch_size
        if size == "auto" and not self.optimizer.whole:
            return min(128, max(16, self.rows // 32))
        return self.rows if isinstance(size, str) else size


def _penalty(case: Case) -> tuple[float, ...]:
    if len(case.split.valid):
        return PENALTIES
    # without validation rows: no penalty, or that of scikit-learn's C=1
    return (0.0 if case.objective.quadratic else 1 / case.rows,)


def _tol(case: Case) -> float:
    dtype = case.recipe.dtype
    return 1e-9 if (case.wide if dtype == "auto" else dtype == "float64") else 1e-6


AUTO: Mapping[str, Callable[[Case], Any]] = {
    "valid": lambda case: len(case.split.valid),
    "task": lambda case: case.schema.task,
    "objective": lambda case: choose(case.schema),
    "dtype": lambda case: "float64" if case.wide else "float32",
    "scaling": lambda case: "pixel" if case.picture else "standard",
    "solver": lambda case: choose_solver(
        case.objective.quadratic,
        case.rows,
        math.prod(case.schema.shape),
        case.objective.outputs(case.schema),
        coded=case.schema.coded,
    ),
    "penalty": _penalty,
    "tol": _tol,
    "weight_decay": lambda case: case.optimizer.weight_decay,
    # dropout adds noise to predictions, which a squared error punishes
    "dropout": lambda case: 0.0 if case.objective.quadratic else 0.2,
    "batch_size": lambda case: case.size,
    "shift": lambda case: min(case.schema.shape[1:]) // 28 if case.picture else 0,
    "epochs": lambda case: min(200, max(12, STEPS // max(1, case.rows // case.size))),
}
"""What "auto" means, by key. A network gives those values that depend on the network."""


def resolve(recipe: Recipe, data: Dataset, split: Split) -> Recipe:
    """The recipe with a value for every "auto", for this data and its split; raises ``RecipeError``
    if the recipe does not suit the data.

    If there are several nets, settings that depend on the net stay "auto".
    """
    name = choose(data.schema, recipe.objective)
    optimizer = lookup(OPTIMIZERS, recipe.optimizer, "optimizer")
    numbers = data.y[split.train] if data.schema.task == "regression" else None
    away = numbers is not None and far(numbers)
    case = Case(recipe, data.schema, split, find_objective(name), optimizer, away)
    check(case)
    found = {key: auto(case) for key, auto in AUTO.items() if getattr(recipe, key) == "auto"}
    found["batch_size"] = case.size
    if not len(split.valid) and not len(split.test) and LINE in recipe.model:
        found["model"] = (LINE,)  # no rows could show that a net is better
    resolved = recipe.override(found)
    nets = resolved.nets
    return resolved.override(_of(resolved, nets[0])) if len(nets) == 1 else resolved


def far(y: Tensor) -> bool:
    """Whether some target of ``y`` (rows,) or (rows, targets) is too far from zero for float32."""
    if not len(y):
        return False
    y = y.double().reshape(len(y), -1)
    away = y.mean(0).abs() > FAR * y.std(0, correction=0)
    return bool((away & (y != y[:1]).any(0)).any())


def only(recipe: Recipe, name: str) -> Recipe:
    """The same recipe for one of its models, without any "auto"."""
    return recipe.model_copy(update={"model": (name,), **_of(recipe, name)})


def _of(recipe: Recipe, name: str) -> dict[str, Any]:
    """The values of "auto" that depend on the network."""
    network = find_network(name)
    optimizer: Choice = lookup(OPTIMIZERS, recipe.optimizer, "optimizer")
    rate = optimizer.lr * (network.norm_rate if recipe.batch_norm else 1)
    auto = {**network.defaults, "lr": rate}
    return {key: value for key, value in auto.items() if getattr(recipe, key) == "auto"}


def check(case: Case) -> None:
    """Refuse settings that do not suit the data."""
    recipe, schema = case.recipe, case.schema
    if recipe.solver != "auto":
        needs = lookup(SOLVERS, recipe.solver, "solver", GROUP)().needs()
        if needs and not getattr(case.objective, needs):
            raise RecipeError(
                f'solver "{recipe.solver}" needs a {needs} objective; use "lbfgs" here'
            )
    if not case.picture:
        for name in recipe.model:
            if find_network(name).takes == "picture":
                from linnet.data import pixels  # polars, only for this error

                form = pixels.form_of(len(schema.fields) or len(schema.columns))
                hint = f", or pictures={form} if its columns are pixels" if form else ""
                raise RecipeError(f"a {name} takes pictures, and this is a table; use mlp{hint}")
        for key in ("shift", "flip", "cutout"):
            if getattr(recipe, key) not in ("auto", 0, False):
                raise RecipeError(f"{key} goes with pictures; this is a table")
    if schema.task == "regression":
        for key in ("label_smoothing", "class_weight"):
            if getattr(recipe, key):
                raise RecipeError(f"{key} goes with classes; this is regression")

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
from linnet.fit.folds import FEW
from linnet.fit.recipe import AUTO as ANY
from linnet.fit.recipe import FOLDS, Recipe
from linnet.insight import yardstick
from linnet.insight.decision import ARGMAX
from linnet.insight.pairs import YARDSTICK
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

FINE = tuple(10.0 ** (power / 2) for power in range(2, -15, -1))
"""The same where folds choose: what all training rows say is worth a finer choice."""

FAR = 1e4
"""If the mean of a target is this many deviations away from zero, float32 would round its
predictions to more than a thousandth of a deviation, so "auto" takes float64."""

STEPS = 3_000
"""A net on few rows gets more epochs: enough for about this many steps, but at most 200."""

TABLE_STEPS = 2_000
"""The same for tables, whose nets embed numbers. adult (seed 0, 12 epochs): validation skill, the
share of the constant's loss that is gone, 0.471 instead of 0.436, for 1.9 times the CPU seconds;
2,400 steps have the same skill."""

FEW_STEPS = 400
"""The same for tables of fewer than ``FEW`` rows. Out-of-fold skill, mean of 14 tables, before the
parts below: 0.569 with 200 steps a member, 0.579 with 400; with 1,000 they overfit."""

FEW_WIDTHS = (256, 128)
"""The widths there; (128, 128) have 0.575 instead of 0.579."""

FEW_DROPOUT = 0.3
"""The dropout there, for numbers too: 0.609 on 13 tables, with all the parts; 0.1 has 0.603."""

FEW_DECAY = 1.0
"""The weight decay of AdamW there: 0.609 instead of 0.592 with 0.01, on 13 tables."""

MANY = 10_000
"""From this many training rows of a fit a table has many. hastie with 7,680 and default with 6,400
have a validation skill, mean of three seeds, of 0.903 and 0.474 with piecewise embeddings and
``FEW_DROPOUT``, of 0.878 and 0.469 with periodic ones and ``DROPOUT``."""

DROPOUT = 0.5
"""The dropout for classes on tables of many rows: adult 0.470, with 0.3 0.469, with 0.2 0.467."""

COLOUR_STEPS = 1_500
"""The same for pictures in colour, whose steps take several times as long."""

SMALL = 32
"""Grey pictures with a shorter side are small: a perceptron is quick, and often does well."""

LEAST = 8
"""No convolutional net is chosen for pictures with a shorter side."""

FALLING = ("one_cycle", "cosine")
"""Schedules that fall to 0 at the end of the last epoch."""

MOST = 200
"""With more columns of numbers than this, none is embedded: the first layer would grow too much."""

CHANNELS = (32, 64, 128, 128, 128, 128)
"""The channels for pictures in colour: as many of them as leave a map of 4 x 4 or more."""


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
    symmetric: bool = False
    """Whether pictures may be mirrored (``linnet.data.pictures.mirror``)."""

    @property
    def folds(self) -> int:
        """The folds of the training rows; 1 is one validation part."""
        return self.recipe.folds if isinstance(self.recipe.folds, int) else 1

    @property
    def tested(self) -> int:
        """The rows that test the models."""
        by_folds = self.recipe.test == FOLDS
        return len(self.split.train) + len(self.split.valid) if by_folds else len(self.split.test)

    @property
    def rows(self) -> int:
        """Training rows of a fit; of a member, if there are folds."""
        rows = len(self.split.train)
        return rows - rows // self.folds if self.folds > 1 else rows

    @property
    def table(self) -> bool:
        """Whether linnet's own nets see a table; pictures, and a module of the user's own, have
        other defaults."""
        return not self.picture and not any(find_network(one).own for one in self.recipe.model)

    @property
    def few(self) -> bool:
        """Whether it is a table of so few rows that they are divided into folds by default."""
        return self.table and len(self.split.train) + len(self.split.valid) < FEW

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
    def colour(self) -> bool:
        return self.picture and self.schema.shape[0] == 3

    @property
    def side(self) -> int:
        """The shorter side of pictures."""
        return min(self.schema.shape[1:]) if self.picture else 0

    @property
    def size(self) -> int:
        """The number of rows in a batch."""
        size = self.recipe.batch_size
        if size == "auto" and not self.optimizer.whole:
            most = max(32, self.rows // 16) if self.few else max(16, self.rows // 32)
            return min(128, most)
        return len(self.split.train) if isinstance(size, str) else size  # of a member all it has


def _penalty(case: Case) -> tuple[float, ...]:
    if case.folds > 1:
        return FINE
    if len(case.split.valid):
        return PENALTIES
    # without held-out rows: no penalty, or that of scikit-learn's C=1
    return (0.0 if case.objective.quadratic else 1 / case.rows,)


def _channels(case: Case) -> tuple[int, ...]:
    if not case.colour:
        return (16, 32, 64)
    depth = max(2, case.side.bit_length() - 3)
    return CHANNELS[: min(depth, case.side.bit_length() - 1)]


def _epochs(case: Case) -> int:
    if case.table:
        steps = FEW_STEPS if case.few else TABLE_STEPS
    else:
        steps = COLOUR_STEPS if case.colour else STEPS
    return min(200, max(12, steps // max(1, case.rows // case.size)))


def _patience(case: Case) -> int:
    """On a table a schedule that falls to 0 is carried out: the best weights often come at its
    end (on adult at epoch 9 or 14 of 14), and those of the best epoch are kept."""
    recipe = case.recipe
    if not case.table or recipe.schedule not in FALLING or recipe.min_delta is not None:
        return 10
    return _epochs(case) if recipe.epochs == "auto" else recipe.epochs


def _embedding(case: Case) -> str:
    standard = case.recipe.scaling in ("auto", "standard")
    suits = case.table and standard and 0 < len(case.schema.numbers) <= MOST
    if not suits:
        return "none"
    # validation skill of periodic and of piecewise ones on many rows: adult 0.470 and 0.449,
    # diamonds 0.9834 and 0.9821, randhie 0.122 and 0.105, for 1.0 to 1.2 times the CPU seconds;
    # on 14 tables of few rows periodic ones are worse than none
    return "piecewise" if case.rows < MANY else "periodic"


def _dropout(case: Case) -> float:
    if case.few:
        return FEW_DROPOUT
    if case.objective.quadratic:
        return 0.0
    if not case.table:
        return 0.2
    return FEW_DROPOUT if case.rows < MANY else DROPOUT


def _weight_decay(case: Case) -> float:
    usual = case.optimizer.weight_decay
    return FEW_DECAY if case.few and usual else usual


def _tol(case: Case) -> float:
    dtype = case.recipe.dtype
    return 1e-9 if (case.wide if dtype == "auto" else dtype == "float64") else 1e-6


AUTO: Mapping[str, Callable[[Case], Any]] = {
    "valid": lambda case: len(case.split.valid),
    "folds": lambda case: case.folds,
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
    "weight_decay": _weight_decay,
    "dropout": _dropout,
    "batch_size": lambda case: case.size,
    "widths": lambda case: FEW_WIDTHS if case.few else (512, 256),
    "channels": _channels,
    # SiLU: 0.599 instead of 0.579 with ReLU, out of fold, 14 tables of few rows
    "activation": lambda case: "silu" if case.table else "relu",
    "embedding": _embedding,
    "patience": _patience,
    "shift": lambda case: case.side // (8 if case.colour else 28),
    "flip": lambda case: case.symmetric,
    "yardstick": lambda case: yardstick.auto(case.schema, case.rows, case.tested),
    "epochs": _epochs,
}
"""What "auto" means, by key. A network gives those values that depend on the network."""


def resolve(recipe: Recipe, data: Dataset, split: Split) -> Recipe:
    """The recipe with a value for every "auto", for this data and its split; raises ``RecipeError``
    if the recipe does not suit the data.

    If there are several nets, settings that depend on the net stay "auto".
    """
    if recipe.model == (ANY,):
        recipe = recipe.override({"model": models(data.schema)})
    name = choose(data.schema, recipe.objective)
    optimizer = lookup(OPTIMIZERS, recipe.optimizer, "optimizer")
    numbers = data.y[split.train] if data.schema.task == "regression" else None
    away = numbers is not None and far(numbers)
    mirror = recipe.flip == "auto" and bool(recipe.nets) and _symmetric(data, split.train)
    case = Case(recipe, data.schema, split, find_objective(name), optimizer, away, mirror)
    check(case)
    found = {key: auto(case) for key, auto in AUTO.items() if getattr(recipe, key) == "auto"}
    found["batch_size"] = case.size
    if recipe.decide != ARGMAX:
        _check_decision(case, data)
    held = len(split.valid) or case.folds > 1 or case.tested
    if not held and LINE in recipe.model:
        found["model"] = (LINE,)  # no rows could show that a net is better
    resolved = recipe.override(found)
    nets = resolved.nets
    return resolved.override(_of(resolved, nets[0])) if len(nets) == 1 else resolved


def models(schema: Schema) -> tuple[str, ...]:
    """The line, and the net that suits the examples."""
    channels, side = schema.shape[0], min(schema.shape[1:], default=0)
    picture = schema.example == "picture" and side >= LEAST
    return (LINE, "cnn" if picture and (channels == 3 or side >= SMALL) else "mlp")


def _symmetric(data: Dataset, train: Tensor) -> bool:
    """Whether the training pictures are in colour, and may be mirrored."""
    schema = data.schema
    if schema.example != "picture" or schema.shape[0] != 3 or data.soft or not schema.classes:
        return False
    from linnet.data.pictures.mirror import symmetric

    return symmetric(data.x[train], data.y[train], len(schema.classes))


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
    if case.picture:
        if recipe.embedding not in ("auto", "none"):
            raise RecipeError("embedding goes with the columns of tables; these are pictures")
        if recipe.yardstick == YARDSTICK:
            raise RecipeError(f"yardstick={recipe.yardstick} goes with tables; these are pictures")
    else:
        _check_table(case)
    if schema.task == "regression":
        for key in ("label_smoothing", "class_weight"):
            if getattr(recipe, key):
                raise RecipeError(f"{key} goes with classes; this is regression")


def _check_decision(case: Case, data: Dataset) -> None:
    """Refuse a threshold where there are not two classes, or no rows to choose it by."""
    recipe, schema, split = case.recipe, case.schema, case.split
    asked = f"decide={recipe.decide}"
    if len(schema.classes) != 2 or data.soft:
        what = "numbers" if schema.task == "regression" else f"{len(schema.classes):,} classes"
        what = "probabilities as targets" if data.soft else what
        raise RecipeError(f"{asked} is a threshold between two classes, and this data has {what}")
    if not len(split.valid) and case.folds < 2:
        raise RecipeError(
            f"{asked} needs rows to choose a threshold by: give valid=0.2, or decide=argmax"
        )
    rows = split.train if case.folds > 1 else split.valid
    if len(data.codes[rows].unique()) < 2:
        raise RecipeError(f"{asked}: all rows to choose a threshold by are of one class")
    if isinstance(recipe.class_weight, tuple) and 0 in recipe.class_weight:
        raise RecipeError(f"{asked} needs rows of both classes: a class_weight of 0 leaves one out")


def _check_table(case: Case) -> None:
    """Refuse settings that do not suit a table."""
    recipe, schema = case.recipe, case.schema
    for name in recipe.model:
        if find_network(name).takes == "picture":
            from linnet.data import pixels  # polars, only for this error

            form = pixels.form_of(len(schema.fields) or len(schema.columns))
            hint = f", or pictures={form} if its columns are pixels" if form else ""
            raise RecipeError(f"a {name} takes pictures, and this is a table; use mlp{hint}")
    for key in ("shift", "flip", "cutout"):
        if getattr(recipe, key) not in ("auto", 0, False):
            raise RecipeError(f"{key} goes with pictures; this is a table")
    if recipe.embedding not in ("auto", "none") and recipe.scaling not in ("auto", "standard"):
        raise RecipeError(
            f"embedding={recipe.embedding} takes standardised columns; use scaling=standard"
        )

"""What to fit and how: a run is reproducible from its recipe and its data."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from linnet.closed import Closed
from linnet.data.schema import Label, Schema
from linnet.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from linnet.data.dataset import Dataset, Split
    from linnet.networks._base import Network
    from linnet.objectives._base import Objective
    from linnet.parallel import World
    from linnet.solvers._solve import Solve, SolveConstant
    from linnet.training.loop import Train

    Method = Solve | SolveConstant | Train

PENALTIES = tuple(10.0**power for power in range(1, -8, -1))
"""The path the line's penalty is chosen from, in the scale of standardised features."""

STEPS = 3_000
"""A net on few rows gets more epochs: enough for about this many steps, but at most 200."""


def _many(value: object) -> object:
    """A single value where several may stand."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return value if value in ("auto", None) else (value,)


def _every(value: object) -> object:
    if isinstance(value, str) and value != "auto" and not re.fullmatch(r"[1-9]\d* ?epochs?", value):
        raise ValueError('expected a number of steps, "3 epochs", or "auto"')
    return value


Every = Annotated[Annotated[int, Field(ge=1)] | str, BeforeValidator(_every)]


class Recipe(Closed):
    """Every setting that changes a result. Frozen; TOML and JSON both ways.

    "auto" is filled in by ``resolve`` from the data, so a resolved recipe says all.
    """

    # data
    data: str | None = None
    target: str | None = None
    classes: Annotated[tuple[Label, ...] | None, BeforeValidator(_many)] = None
    positive: Label | None = None
    test: Annotated[int | float, Field(gt=0)] = 0.2
    valid: Literal["auto"] | Annotated[int | float, Field(ge=0)] = "auto"
    # all models
    model: Annotated[tuple[str, ...], BeforeValidator(_many), Field(min_length=1)] = (
        "linear",
        "mlp",
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: str = "auto"
    dtype: Literal["auto", "float32", "float64"] = "auto"
    scaling: Literal["auto", "none", "pixel", "standard"] = "auto"
    # the line
    intercept: bool = True
    penalty: Annotated[
        Literal["auto"] | tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(_many)
    ] = "auto"
    solver: str = "auto"
    tol: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    max_iter: Annotated[int, Field(ge=1)] = 5_000
    # the net
    widths: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_many), Field(min_length=1)
    ] = (512, 256)
    activation: Literal["relu", "tanh", "logistic", "identity"] = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    optimizer: str = "adamw"
    lr: Annotated[float, Field(gt=0)] = 2e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.999,
    )
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Literal["auto"] | Annotated[float, Field(ge=0)] = "auto"
    schedule: str = "one_cycle"
    batch_size: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    epochs: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    patience: Annotated[int, Field(ge=1)] = 10
    plateau: Annotated[float, Field(ge=0)] | None = None
    # the record
    log_every: Every = "auto"

    @model_validator(mode="after")
    def _known(self) -> Recipe:
        from linnet.networks import NETWORKS
        from linnet.registry import suggest
        from linnet.solvers import SOLVERS
        from linnet.training import OPTIMIZERS, SCHEDULES

        tables: list[tuple[str, tuple[str, ...], set[str]]] = [
            ("model", self.model, {*NETWORKS} - {"constant"}),
            ("solver", (self.solver,), {*SOLVERS, "auto"}),
            ("optimizer", (self.optimizer,), {*OPTIMIZERS}),
            ("schedule", (self.schedule,), {*SCHEDULES}),
        ]
        for key, names, table in tables:
            for name in names:
                if name not in table:
                    raise ValueError(f'unknown {key} "{name}"; {suggest(name, table)}')
        if len(set(self.model)) != len(self.model):
            raise ValueError("a model is named twice")
        if (self.momentum or self.nesterov) and self.optimizer != "sgd":
            raise ValueError(f'momentum goes with optimizer "sgd"; {self.optimizer} has its own')
        return self

    # reading and writing

    @classmethod
    def make(cls, settings: dict[str, Any], source: str = "recipe") -> Recipe:
        """A recipe from plain values; ``source`` is named in errors."""
        if settings.get("model") == "auto":
            settings = {key: value for key, value in settings.items() if key != "model"}
        return cls.parse(settings, source, RecipeError)

    def override(self, settings: dict[str, Any], source: str = "recipe") -> Recipe:
        """This recipe with some settings replaced."""
        return Recipe.make({**self.plain(), **settings}, source)

    def toml(self) -> str:
        """The recipe as TOML; keys without a value are left out."""
        import tomli_w

        return tomli_w.dumps({k: v for k, v in self.plain().items() if v is not None})

    # what it means for data

    def resolve(self, data: Dataset, split: Split) -> Recipe:
        """The recipe with every "auto" filled in for this data and this division of it."""
        rows = len(split.train)
        auto: dict[str, Any] = {"valid": len(split.valid)}
        wide = data.schema.dtype == "float64" and not self.device.startswith("mps")
        auto["dtype"] = "float64" if wide else "float32"
        auto["scaling"] = "pixel" if data.schema.example == "picture" else "standard"
        quadratic = data.schema.task == "regression"
        auto["solver"] = "least_squares" if quadratic else "lbfgs"
        alone = 0.0 if quadratic else 1 / rows  # no rows to choose by: none, or scikit-learn's C=1
        auto["penalty"] = PENALTIES if len(split.valid) else (alone,)
        auto["tol"] = 1e-9 if (wide if self.dtype == "auto" else self.dtype == "float64") else 1e-6
        size = min(128, max(16, rows // 32)) if self.batch_size == "auto" else self.batch_size
        auto["batch_size"] = size
        auto["weight_decay"] = 0.01 if self.optimizer == "adamw" else 0.0  # as in PyTorch
        auto["epochs"] = min(200, max(12, STEPS // max(1, rows // size)))
        found = {key: value for key, value in auto.items() if getattr(self, key) == "auto"}
        if not len(split.valid) and not len(split.test) and "linear" in self.model:
            found["model"] = ("linear",)  # nothing could show that a net is better
        return self.override(found)

    def check(self, schema: Schema) -> None:
        """Refuse what cannot be done with such data."""
        from linnet.objectives import OBJECTIVES
        from linnet.registry import lookup
        from linnet.solvers import SOLVERS

        if self.solver != "auto":
            needs = lookup(SOLVERS, self.solver, "solver")().needs()
            objective = lookup(OBJECTIVES, objective_name(schema), "objective")()
            if needs and not getattr(objective, needs):
                raise RecipeError(
                    f'solver "{self.solver}" needs a {needs} objective; use "lbfgs" here'
                )

    def only(self, name: str) -> Recipe:
        """The same recipe for one of its models."""
        return self.model_copy(update={"model": (name,)})

    def build(self, schema: Schema) -> tuple[Network, Objective]:
        """The network of a recipe for one model, without its numbers, and its objective."""
        from linnet.networks import NETWORKS
        from linnet.networks.build import build
        from linnet.objectives import OBJECTIVES
        from linnet.registry import lookup

        (name,) = self.model
        given = {
            "inputs": schema.shape,
            "outputs": outputs(schema),
            "scale": self.scaling,
            "rescale": schema.task == "regression",
            **{key: getattr(self, key) for key in ("widths", "activation", "dropout")},
        }
        known = lookup(NETWORKS, name, "model").Spec.model_fields
        spec = {key: value for key, value in given.items() if key in known}
        objective = lookup(OBJECTIVES, objective_name(schema), "objective")()
        return build(name, spec, self.dtype, "recipe"), objective

    def begin(
        self,
        network: Network,
        objective: Objective,
        train: Dataset,
        world: World,
        start: Mapping[str, Tensor] | None = None,
    ) -> Method:
        """The method that fits ``network``: an iterator of steps.

        Draws the initial weights, unless ``start`` is the state of such a network to go on from.
        """
        import torch

        from linnet.data.batches import Batches
        from linnet.networks.constant import Constant
        from linnet.networks.linear import Linear
        from linnet.randomness import generator
        from linnet.registry import lookup
        from linnet.solvers import SOLVERS
        from linnet.solvers._solve import Solve, SolveConstant
        from linnet.solvers.problem import LinearProblem
        from linnet.training.loop import Train
        from linnet.training.optimizers import Settings

        (name,) = self.model
        y = None if objective.classifies else train.y.double().reshape(len(train), -1)
        network.start(train.x, y, train.weight, generator(self.seed, "weights", name))
        if start is not None:
            network.load_state_dict(start)
        count = network.spec.outputs
        dtype = next(network.parameters()).dtype
        bare = LinearProblem(
            objective, torch.zeros((len(train), 0), dtype=torch.float64), train.y, train.weight,
            outputs=count, world=world,
        )  # fmt: skip
        if isinstance(network, Constant):
            return SolveConstant(network, bare)
        network.to(world.device)
        train = train.to(world.device)
        if isinstance(network, Linear):
            penalties = self.penalty
            assert penalties != "auto" and self.tol != "auto"
            problem = LinearProblem(
                objective, network.features(train.x), train.y, train.weight,
                outputs=count, intercept=self.intercept, world=world,
            )  # fmt: skip
            theta = None
            if start is not None:
                weights = network.linear.weight.detach().T, network.linear.bias.detach()[None]
                theta = torch.cat(weights).to(problem.home).double()
            return Solve(
                network,
                problem,
                lookup(SOLVERS, self.solver, "solver")(),
                penalties=sorted(penalties, reverse=True),
                tol=self.tol,
                max_iter=self.max_iter,
                theta=theta,
            )
        assert self.batch_size != "auto" and self.epochs != "auto" and self.weight_decay != "auto"
        return Train(
            network,
            objective,
            Batches(train, self.batch_size, self.seed),
            optimizer=self.optimizer,
            settings=Settings(
                self.lr, self.momentum, self.weight_decay, self.nesterov, self.betas, self.eps
            ),
            schedule=self.schedule,
            epochs=self.epochs,
            patience=self.patience,
            seed=self.seed,
            units=None if objective.classifies else bare.moments.deviations.to(world.device, dtype),
            plateau=self.plateau,
        )

    def log_due(self, index: int, epoch: int, complete: bool) -> bool:
        """Whether a step is written: by default each of the first hundred, then every tenth."""
        if self.log_every == "auto":
            return index <= 100 or index % 10 == 0 or complete
        if isinstance(self.log_every, int):
            return index % self.log_every == 0
        return complete and epoch % int(self.log_every.split("e")[0]) == 0


def objective_name(schema: Schema) -> str:
    """The objective that suits the target."""
    if schema.task == "regression":
        return "squared"
    return "logistic" if len(schema.classes) == 2 else "softmax"


def outputs(schema: Schema) -> int:
    """How many raw predictions a row has."""
    name = objective_name(schema)
    return {"squared": len(schema.targets), "logistic": 1, "softmax": len(schema.classes)}[name]


def read_recipe(path: Path) -> dict[str, Any]:
    """The settings in a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot read: {error.strerror}") from error
    except ValueError as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error


def read_setting(text: str) -> tuple[str, Any]:
    """``key=value`` as on the command line; commas make a list, numbers and booleans are read."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise RecipeError(f'--set {text}: expected key=value, such as "epochs=10"')
    parts = [_scalar(part) for part in value.split(",") if part]
    return key, parts if "," in value else _scalar(value)


def _scalar(text: str) -> bool | int | float | str:
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

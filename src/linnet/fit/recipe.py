"""What to fit and how: a run is reproducible from its recipe and its data."""

from __future__ import annotations

import re
import tomllib
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from linnet.core import files, memory
from linnet.core.files import Place
from linnet.data.reading import Reading, many
from linnet.data.schema import Schema
from linnet.errors import RecipeError
from linnet.networks import Activation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from linnet.core.parallel import World
    from linnet.core.record import Step
    from linnet.data.dataset import Dataset
    from linnet.data.split import Split
    from linnet.insight.checks.finding import Finding
    from linnet.net.loop import Train
    from linnet.networks.base import Network
    from linnet.networks.method import Method
    from linnet.objectives.base import Objective

PENALTIES = tuple(10.0**power for power in range(1, -8, -1))
"""The path the line's penalty is chosen from, in the scale of standardised features."""

TEXTS = {
    "data", "target", "drop", "missing", "split", "group", "time", "separator", "decimal",
    "encoding",
}  # fmt: skip
"""Keys whose values are text even where they look like numbers."""

MAX_RECIPE_BYTES = 1 << 20
"""Of a file of TOML; recipes have a few hundred."""

STEPS = 3_000
"""A net on few rows gets more epochs: enough for about this many steps, but at most 200."""


def _several(value: object) -> object:
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _every(value: object) -> object:
    if isinstance(value, str) and value != "auto" and not re.fullmatch(r"[1-9]\d* ?epochs?", value):
        raise ValueError('expected a number of steps, "3 epochs", or "auto"')
    return value


def _interval(value: Any) -> Any:
    """``500`` steps, or ``30s``."""
    if isinstance(value, str) and value != "auto" and not re.fullmatch(r"\d+(\.\d+)?s", value):
        if value.isascii() and value.isdigit():
            return int(value)
        raise ValueError("expected steps, such as 500, or a time, such as 30s")
    return value


Interval = Annotated[Annotated[int, Field(ge=1)] | str, BeforeValidator(_interval)]
Every = Annotated[Annotated[int, Field(ge=1)] | str, BeforeValidator(_every)]


class Recipe(Reading):
    """Every setting that changes a result. Frozen; TOML and JSON both ways. How data is read stands
    in ``Reading``.

    "auto" is filled in by ``resolve`` from the data, so a resolved recipe says all.
    """

    # data
    data: str | None = None
    test: Annotated[int | float, Field(gt=0)] = 0.2
    valid: Literal["auto"] | Annotated[int | float, Field(ge=0)] = "auto"
    # all models
    model: Annotated[tuple[str, ...], BeforeValidator(many), Field(min_length=1)] = (
        "linear",
        "mlp",
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: str = "auto"
    dtype: Literal["auto", "float32", "float64"] = "auto"
    precision: Literal["full", "bfloat16"] = "full"
    scaling: (
        Literal["auto", "none", "pixel", "standard"] | tuple[float, Annotated[float, Field(gt=0)]]
    ) = "auto"
    class_weight: Annotated[
        Literal["balanced"] | tuple[Annotated[float, Field(ge=0)], ...] | None,
        BeforeValidator(_several),
    ] = None
    # the line
    intercept: bool = True
    penalty: Annotated[
        Literal["auto"] | tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(many)
    ] = "auto"
    solver: str = "auto"
    tol: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    max_iter: Annotated[int, Field(ge=1)] = 5_000
    # the nets
    widths: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(many), Field(min_length=1)
    ] = (512, 256)
    channels: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(many), Field(min_length=1)
    ] = (16, 32, 64)
    activation: Activation = "relu"
    dropout: Literal["auto"] | Annotated[float, Field(ge=0, lt=1)] = "auto"
    batch_norm: Literal["auto"] | bool = "auto"
    recompute_norm: bool = False
    # what a batch is
    batch_size: Literal["auto", "all"] | Annotated[int, Field(ge=1)] = "auto"
    shift: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"
    flip: bool = False
    cutout: Annotated[int, Field(ge=0)] = 0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    reduction: Literal["mean", "sum"] = "mean"
    # how its gradient is used; None is PyTorch's own default
    optimizer: str = "adamw"
    lr: Literal["auto", "find"] | Annotated[float, Field(gt=0)] = "auto"
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    dampening: Annotated[float, Field(ge=0, le=1)] | None = None
    nesterov: bool | None = None
    betas: (
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] | None
    ) = None
    eps: Annotated[float, Field(gt=0)] | None = None
    alpha: Annotated[float, Field(ge=0, lt=1)] | None = None
    weight_decay: Literal["auto"] | Annotated[float, Field(ge=0)] = "auto"
    clip: Annotated[float, Field(gt=0)] | None = None
    # how long, and how the rate goes
    epochs: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    schedule: str = "one_cycle"
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    step_size: Annotated[int, Field(ge=1)] = 5
    warmup: Annotated[float, Field(ge=0)] = 0.0
    averaging: Literal["none", "ema", "mean"] = "none"
    average_decay: Annotated[float, Field(gt=0, lt=1)] = 0.999
    evaluate_every: Every = "1 epoch"
    patience: Annotated[int, Field(ge=1)] = 10
    min_delta: Annotated[float, Field(ge=0)] | None = None
    # the record
    log_every: Every = "auto"
    checkpoint_every: Interval = "auto"
    """Steps, or a time such as "30s", between checkpoints; "auto": the end of an epoch, but not
    more often than every 5 seconds, and at least every 30."""

    @model_validator(mode="after")
    def _known(self) -> Recipe:
        from linnet.core.registry import suggest
        from linnet.line import SOLVERS
        from linnet.net import OPTIMIZERS, OPTIONS, SCHEDULES
        from linnet.networks import NETWORKS

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
        for key, takers in OPTIONS.items():
            given = getattr(self, key) not in (None, "auto", 0.0)
            if given and self.optimizer not in takers:
                raise ValueError(
                    f"{key} goes with optimizer {' or '.join(takers)}; {self.optimizer} has none"
                )
        if self.nesterov and (not self.momentum or self.dampening):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")
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

        plain = {"data": self.data, **self.plain()}
        return tomli_w.dumps({k: v for k, v in plain.items() if v not in (None, [], {})})

    # what it means for data

    def resolve(self, data: Dataset, split: Split) -> Recipe:
        """The recipe with every "auto" filled in for this data and this division of it.

        What differs from net to net stays "auto" where there are several.
        """
        from linnet.core.registry import lookup
        from linnet.net import OPTIMIZERS

        rows = len(split.train)
        auto: dict[str, Any] = {"valid": len(split.valid), "task": data.schema.task}
        wide = data.schema.dtype == "float64" and not self.device.startswith("mps")
        auto["dtype"] = "float64" if wide else "float32"
        auto["scaling"] = "pixel" if data.schema.example == "picture" else "standard"
        quadratic = data.schema.task == "regression"
        auto["solver"] = "least_squares" if quadratic else "lbfgs"
        alone = 0.0 if quadratic else 1 / rows  # no rows to choose by: none, or scikit-learn's C=1
        auto["penalty"] = PENALTIES if len(split.valid) else (alone,)
        auto["tol"] = 1e-9 if (wide if self.dtype == "auto" else self.dtype == "float64") else 1e-6
        optimizer = lookup(OPTIMIZERS, self.optimizer, "optimizer")
        auto["weight_decay"] = optimizer.weight_decay
        auto["dropout"] = 0.0 if quadratic else 0.2  # a noise that a sum of squares pays for
        size: int | str = self.batch_size
        if size == "auto" and not optimizer.whole:
            size = min(128, max(16, rows // 32))
        size = rows if isinstance(size, str) else size
        picture = data.schema.example == "picture"
        auto["shift"] = min(data.schema.shape[1:]) // 28 if picture else 0
        auto["epochs"] = min(200, max(12, STEPS // max(1, rows // size)))
        found = {key: value for key, value in auto.items() if getattr(self, key) == "auto"}
        found["batch_size"] = size
        if not len(split.valid) and not len(split.test) and "linear" in self.model:
            found["model"] = ("linear",)  # nothing could show that a net is better
        resolved = self.override(found)
        nets = [name for name in resolved.model if name != "linear"]
        return resolved.override(resolved._of(nets[0])) if len(nets) == 1 else resolved

    def _of(self, name: str) -> dict[str, Any]:
        """What "auto" means for one of the nets."""
        from linnet.core.registry import lookup
        from linnet.net import OPTIMIZERS

        rate = lookup(OPTIMIZERS, self.optimizer, "optimizer").lr
        auto = {
            "batch_norm": name == "cnn",
            "lr": 5 * rate if name == "cnn" and self.batch_norm else rate,  # a norm bears more
        }
        return {key: value for key, value in auto.items() if getattr(self, key) == "auto"}

    def check(self, schema: Schema) -> None:
        """Refuse what cannot be done with such data."""
        from linnet.core.registry import lookup
        from linnet.line import SOLVERS
        from linnet.objectives import OBJECTIVES

        if self.solver != "auto":
            needs = lookup(SOLVERS, self.solver, "solver")().needs()
            objective = lookup(OBJECTIVES, objective_name(schema), "objective")()
            if needs and not getattr(objective, needs):
                raise RecipeError(
                    f'solver "{self.solver}" needs a {needs} objective; use "lbfgs" here'
                )
        if schema.example != "picture":
            if "cnn" in self.model:
                raise RecipeError("a cnn takes pictures, and this is a table; use mlp")
            for key in ("shift", "flip", "cutout"):
                if getattr(self, key) not in ("auto", 0, False):
                    raise RecipeError(f"{key} goes with pictures; this is a table")
        if schema.task == "regression":
            for key in ("label_smoothing", "class_weight"):
                if getattr(self, key):
                    raise RecipeError(f"{key} goes with classes; this is regression")

    def findings(self, network: Network, objective: Objective, train: Dataset) -> list[Finding]:
        """What can be done, but is hardly meant, before a net of this recipe is trained."""
        import torch

        from linnet.core.registry import lookup
        from linnet.insight.checks.finding import Finding
        from linnet.insight.checks.module import check_module
        from linnet.net import OPTIMIZERS
        from linnet.networks.custom import Custom

        found: list[Finding] = []
        if self.model[0] in ("constant", "linear"):
            return found
        if self.optimizer == "sgd" and isinstance(self.lr, float) and self.lr > 10:
            what = f"lr={self.lr:g} for sgd is far above what trains, 0.001 to 1 as a rule"
            found.append(Finding(what, "try lr=find"))
        whole = lookup(OPTIMIZERS, self.optimizer, "optimizer").whole
        if whole and isinstance(self.batch_size, int) and self.batch_size < len(train):
            found.append(
                Finding(
                    f"{self.optimizer} compares the gradients of steps in a row, and with "
                    f"batch_size={self.batch_size} they come from different rows",
                    "use batch_size=all, or another optimizer",
                )
            )
        if isinstance(network, Custom):
            rows = torch.linspace(0, len(train) - 1, min(64, len(train))).long()
            batch = train.take(rows).to(next(network.parameters()).device)
            found += check_module(network, objective, batch.x, batch.y)
        return found

    def only(self, name: str) -> Recipe:
        """The same recipe for one of its models, with nothing left open."""
        return self.model_copy(update={"model": (name,), **self._of(name)})

    def build(self, schema: Schema, module: nn.Module | None = None) -> tuple[Network, Objective]:
        """The network of a recipe for one model, without its numbers, and its objective.

        ``module`` is the user's own, for the model "custom".
        """
        from linnet.core.registry import lookup
        from linnet.networks import NETWORKS
        from linnet.networks.build import build
        from linnet.objectives import OBJECTIVES

        (name,) = self.model
        given = {
            "inputs": schema.shape,
            "outputs": outputs(schema),
            "scale": self.scaling if isinstance(self.scaling, str) else "pixel",
            "rescale": schema.task == "regression",
            "module": type(module).__qualname__,
            **{
                key: getattr(self, key)
                for key in ("widths", "channels", "activation", "dropout", "batch_norm")
            },
        }
        known = lookup(NETWORKS, name, "model").Spec.model_fields
        spec = {key: value for key, value in given.items() if key in known}
        objective = lookup(OBJECTIVES, objective_name(schema), "objective")()
        return build(name, spec, self.dtype, "recipe", module), objective

    def weigh(self, *parts: Dataset) -> list[Dataset]:
        """The parts, weighted as ``class_weight`` says; "balanced" is by the first one's counts:
        rows / (classes * rows of the class), as scikit-learn has it."""
        from dataclasses import replace

        import torch

        if self.class_weight is None:
            return list(parts)
        first = parts[0]
        classes = len(first.schema.classes)
        if isinstance(self.class_weight, str):
            counts = torch.bincount(first.codes, minlength=classes).double()
            by_class = len(first) / (classes * counts.clamp(min=1))
        elif len(self.class_weight) == classes:
            by_class = torch.tensor(self.class_weight, dtype=torch.float64)
        else:
            raise RecipeError(
                f"class_weight has {len(self.class_weight)} weights for {classes} classes: "
                f"{', '.join(first.schema.names[:10])}"
            )
        weighted = []
        for part in parts:
            weight = part.y.double() @ by_class if part.soft else by_class[part.y]
            if part.weight is not None:
                weight = weight * part.weight
            weighted.append(replace(part, weight=weight))
        if not weighted[0].weight.sum() > 0:  # type: ignore[union-attr]
            raise RecipeError("class_weight leaves no row with a weight above 0")
        return weighted

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

        from linnet.core.randomness import generator
        from linnet.core.registry import lookup
        from linnet.line import SOLVERS
        from linnet.line.problem import LinearProblem
        from linnet.line.solve import Solve, SolveConstant
        from linnet.networks.constant import Constant
        from linnet.networks.linear import Linear
        from linnet.networks.scaling import Scaling

        (name,) = self.model
        y = None if objective.classifies else train.y.double().reshape(len(train), -1)
        network.start(train.x, y, train.weight, generator(self.seed, "weights", name))
        if not isinstance(self.scaling, str):
            for layer in network.children():
                if isinstance(layer, Scaling):
                    layer.set(*self.scaling, bytes=train.schema.example == "picture")
        if start is not None:
            network.load_state_dict(start)
        count = network.spec.outputs
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
        return self._training(network, objective, train)

    def _training(self, network: Network, objective: Objective, train: Dataset) -> Train:
        """A net's fit by mini-batches of ``train``, which lies where the network does."""
        from dataclasses import replace

        from linnet.data.augment import Augment
        from linnet.data.batches import Batches
        from linnet.net.finder import find_rate
        from linnet.net.loop import Plan, Train
        from linnet.net.norms import batch_norms
        from linnet.net.optimizers import Settings
        from linnet.net.schedules import Pace
        from linnet.networks.scaling import Rescaling

        assert isinstance(self.batch_size, int) and isinstance(self.epochs, int)
        assert isinstance(self.weight_decay, float) and isinstance(self.shift, int)
        parameter = next(network.parameters())
        if parameter.device.type == "cpu":
            need = sum(each.numel() * each.element_size() for each in network.parameters())
            what = "training (a gradient, two moments and the best weights beside the weights)"
            memory.require(4 * need, what, "smaller widths")
        last = network.get_submodule("rescaling")
        units = last.factor if isinstance(last, Rescaling) else None
        augment = Augment(
            self.shift, self.flip, self.cutout, train.x[:1000].float().mean().item()
        )  # fmt: skip
        if self.label_smoothing:
            train = replace(train, y=smooth(train, self.label_smoothing).to(parameter.dtype))
        batches = Batches(train, self.batch_size, self.seed, pairs=bool(batch_norms(network)))
        if isinstance(self.evaluate_every, int):
            every = self.evaluate_every
        else:
            epochs = self.evaluate_every.split("e")[0]
            every = (1 if epochs == "auto" else int(epochs)) * len(batches)
        settings = {
            key: getattr(self, key)
            for key in ("momentum", "dampening", "nesterov", "betas", "eps", "alpha")
        }
        assert self.lr != "auto"
        plan = Plan(
            self.optimizer,
            Settings(
                1.0 if self.lr == "find" else self.lr, weight_decay=self.weight_decay, **settings
            ),
            self.epochs,
            schedule=self.schedule,
            pace=Pace(self.gamma, self.step_size, self.warmup),
            evaluate_every=every,
            patience=self.patience,
            min_delta=self.min_delta,
            clip=self.clip,
            mean=self.reduction == "mean",
            averaging=self.averaging,
            average_decay=self.average_decay,
            recompute_norm=self.recompute_norm,
            precision=self.precision,
        )

        def make(network: Network, plan: Plan) -> Train:
            return Train(
                network, objective, batches, plan, seed=self.seed, units=units,
                augment=augment or None,
            )  # fmt: skip

        if self.lr != "find":
            return make(network, plan)
        rate = find_rate(make, network, plan)
        method = make(network, replace(plan, settings=replace(plan.settings, lr=rate)))
        method.facts = {"lr_found": rate}
        return method

    def log_due(self, step: Step, *, ended: bool) -> bool:
        """Whether a step is written: by default each of the first hundred, then every tenth.

        ``ended`` says that it is an epoch's last one.
        """
        if self.log_every == "auto":
            return step.index <= 100 or step.index % 10 == 0 or step.complete
        if isinstance(self.log_every, int):
            return step.index % self.log_every == 0
        return ended and step.epoch % int(self.log_every.split("e")[0]) == 0


def objective_name(schema: Schema) -> str:
    """The objective that suits the target."""
    if schema.task == "regression":
        return "squared"
    return "logistic" if len(schema.classes) == 2 else "softmax"


def smooth(data: Dataset, share: float) -> Tensor:
    """The targets of ``data`` with ``share`` of each row spread evenly over all classes: the
    probability of the second of two (rows,), or (rows, classes); Szegedy et al. (2016)."""
    from torch.nn.functional import one_hot

    classes = len(data.schema.classes)
    y = data.y.double() if data.soft else one_hot(data.y, classes).double()
    y = (1 - share) * y + share / classes
    return y[:, 1] if classes == 2 else y


def outputs(schema: Schema) -> int:
    """How many raw predictions a row has."""
    name = objective_name(schema)
    return {"squared": len(schema.targets), "logistic": 1, "softmax": len(schema.classes)}[name]


def read_recipe(path: Place) -> dict[str, Any]:
    """The settings in a TOML file."""
    try:
        with files.opened(path) as file:
            content = file.read(MAX_RECIPE_BYTES + 1)
        if len(content) > MAX_RECIPE_BYTES:
            raise RecipeError(f"{path}: more than {MAX_RECIPE_BYTES:,} bytes (MAX_RECIPE_BYTES)")
        return tomllib.loads(content.decode())
    except RecipeError:
        raise
    except RecursionError as error:
        raise RecipeError(f"{path}: not TOML of a recipe: nested too deeply") from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot read: {error.strerror}") from error
    except ValueError as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error


def sweep(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """One set of settings for each combination of the values of keys that take a single one."""
    many = {
        key: value
        for key, value in settings.items()
        if isinstance(value, list)
        and key in Recipe.model_fields
        and "tuple[" not in str(Recipe.model_fields[key].annotation)
    }
    return [settings | dict(zip(many, values, strict=True)) for values in product(*many.values())]


def read_settings(texts: Sequence[str]) -> dict[str, Any]:
    """``key=value`` as on the command line: commas make a list, numbers and booleans are read;
    ``columns.NAME=kind`` declares a column."""
    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if key.startswith("columns."):
            key, equals, value = text.rpartition("=")
            settings.setdefault("columns", {})[key.removeprefix("columns.")] = value.strip()
            continue
        if not equals or not key:
            raise RecipeError(f'--set {text}: expected key=value, such as "epochs=10"')
        parts = [part for part in value.split(",") if part]
        if key in TEXTS:
            several = key in ("target", "drop", "missing") and len(parts) > 1
            settings[key] = parts if several else value
        else:
            settings[key] = [_scalar(part) for part in parts] if "," in value else _scalar(value)
    return settings


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

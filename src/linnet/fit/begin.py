"""Build the network, the objective and the method of one model from its resolved recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from linnet.core.parallel import World
from linnet.core.randomness import derive, generator
from linnet.core.registry import load, lookup
from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.errors import RecipeError
from linnet.fit.recipe import Recipe
from linnet.insight.checks.finding import Finding
from linnet.insight.checks.module import check_module
from linnet.net import OPTIMIZERS
from linnet.networks import find as find_network
from linnet.networks.base import Network
from linnet.networks.build import build as build_network
from linnet.networks.custom import Custom, unwrapped
from linnet.networks.embedding import described
from linnet.networks.mean import spec_of
from linnet.networks.method import Method
from linnet.networks.scaling import Scaling
from linnet.objectives import choose
from linnet.objectives import find as find_objective
from linnet.objectives.base import Objective

LOOKED_AT = 64
"""A module of the user's own is checked with at most this many training rows."""


def build(
    recipe: Recipe, schema: Schema, module: nn.Module | None = None, members: int = 1
) -> tuple[Network, Objective]:
    """The network of a recipe for one model, before its weights are set, and its objective.

    For the model "custom", ``module`` is the user's own module. Of several ``members`` it is the
    mean.
    """
    (name,) = recipe.model
    objective = find_objective(choose(schema, recipe.objective))
    given = {
        **recipe.plain(),
        "inputs": schema.shape,
        "outputs": objective.outputs(schema),
        "scale": recipe.scaling if isinstance(recipe.scaling, str) else "pixel",
        "rescale": objective.quadratic,
        "embedding": described(
            recipe.embedding,
            schema.numbers,
            size=recipe.embedding_size,
            bins=recipe.bins,
            frequencies=recipe.frequencies,
            sigma=recipe.sigma,
        ),
        "module": type(module if module is None else unwrapped(module)).__qualname__,
    }
    known = find_network(name).Spec.model_fields
    spec = {key: value for key, value in given.items() if key in known}
    spec = spec_of(spec, members) if members > 1 else spec
    return build_network(name, spec, recipe.dtype, "recipe", module), objective


def begin(
    recipe: Recipe,
    network: Network,
    objective: Objective,
    train: Dataset,
    world: World,
    start: Mapping[str, Tensor] | None = None,
) -> Method:
    """The method that fits ``network`` to the rows ``train``: an iterator of steps.

    The initial weights are drawn at random; if ``start``, the state of such a network, is given,
    training continues from it.
    """
    (name,) = recipe.model
    if world.lead:  # the others are told
        y = None if objective.classifies else train.y.double().reshape(len(train), -1)
        network.start(train.x, y, train.weight, generator(recipe.seed, "weights", name))
    if not isinstance(recipe.scaling, str):
        for layer in network.children():
            if isinstance(layer, Scaling):
                layer.set(*recipe.scaling, bytes=train.schema.example == "picture")
    if start is not None:
        _take_over(name, network, start)
    for tensor in network.state_dict().values() if world.size > 1 else ():
        tensor.copy_(world.same(tensor))
    make: Any = load(network.method)
    method: Method = make(
        network, objective, train, recipe, seed=recipe.seed, world=world, start=start
    )
    return method


def begin_folds(
    recipe: Recipe,
    network: Network,
    objective: Objective,
    train: Dataset,
    fold: Tensor,
    world: World,
) -> Method:
    """The method that fits ``network`` by folds of the rows ``train``: ``fold`` (rows,) is the
    number of each row's fold, from 0. Each member has a seed of its own."""

    def member(number: int | None, network: Network, **settings: Any) -> Method:
        if number is None:
            changed = recipe.model_copy(update=settings)
            return begin(changed, network, objective, train, world)
        seed = derive(recipe.seed, "member", number)
        rows = (fold != number).nonzero().flatten()
        changed = recipe.model_copy(update={"seed": seed, **settings})
        return begin(changed, network, objective, train.take(rows), world)

    make: Any = load(network.folded)
    method: Method = make(network, objective, train, fold, member, recipe)
    return method


def _take_over(name: str, network: Network, start: Mapping[str, Tensor]) -> None:
    """Set the weights; raises ``RecipeError`` if they are those of another network."""
    mine = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    theirs = {key: tuple(tensor.shape) for key, tensor in start.items()}
    for key in dict.fromkeys([*mine, *theirs]):
        if mine.get(key) != theirs.get(key):
            raise RecipeError(
                f'{name}: the weights to start from are those of another network: "{key}" has the '
                f"shape {theirs.get(key, 'of nothing')}, and the recipe makes it "
                f"{mine.get(key, 'nothing')}; leave out the settings that change the network "
                "(widths, channels, batch_norm, ...), or train without a parent"
            )
    network.load_state_dict(start)


def findings(
    recipe: Recipe, network: Network, objective: Objective, train: Dataset
) -> list[Finding]:
    """Settings of a net that are allowed but are probably a mistake, found before training."""
    found: list[Finding] = []
    if network.convex:
        return found
    if recipe.optimizer == "sgd" and isinstance(recipe.lr, float) and recipe.lr > 10:
        what = f"lr={recipe.lr:g} for sgd is far above what trains, 0.001 to 1 as a rule"
        found.append(Finding(what, "try lr=find"))
    whole = lookup(OPTIMIZERS, recipe.optimizer, "optimizer").whole
    if whole and isinstance(recipe.batch_size, int) and recipe.batch_size < len(train):
        found.append(
            Finding(
                f"{recipe.optimizer} compares the gradients of steps in a row, and with "
                f"batch_size={recipe.batch_size} they come from different rows",
                "use batch_size=all, or another optimizer",
            )
        )
    if isinstance(network, Custom):
        rows = torch.linspace(0, len(train) - 1, min(LOOKED_AT, len(train))).long()
        batch = train.take(rows).to(next(network.parameters()).device)
        found += check_module(network, objective, batch.x, batch.y)
    return found

"""Two ways to train a perceptron that are no fit by epochs: one epoch more, and L-BFGS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.optimize
import torch
from torch import Tensor, nn

from linnet.core.parallel import World, choose_device, threads_for
from linnet.core.randomness import generator
from linnet.data.dataset import Dataset
from linnet.errors import Diverged
from linnet.estimators._base import Array, _tensor
from linnet.fit.begin import begin, build
from linnet.fit.fit import rows_of_step, wrap
from linnet.fit.recipe import Recipe
from linnet.net.loop import Train
from linnet.net.update import Loss
from linnet.networks.scaling import Rescaling

ROWS = 8192
"""How many rows L-BFGS takes at once, to bound memory."""


def epoch(
    model: Any,
    settings: dict[str, Any],
    X: Array,
    y: Tensor,
    weight: Array | None,
    target: dict[str, Any],
    start: dict[str, Tensor] | None,
    more: dict[str, Any],
) -> dict[str, Any]:
    """Train ``model`` for one epoch from ``start``; returns what the next one goes on from."""
    recipe, data = _rows(model, settings, X, y, weight, target)
    network, objective = build(recipe, data.schema)
    world = World(device=choose_device(model._device))
    total = rows = 0.0
    with threads_for(network.multiplications * rows_of_step(recipe, network, data)):
        method = begin(recipe, network, objective, data, world, start)
        assert isinstance(method, Train)
        state = method.state()
        state["index"] = more["epochs"] * len(method.batches)
        state["optimizer"] = more.get("optimizer", state["optimizer"])
        method.restore(state)
        for step in method:
            total += float(step.values["loss_sum"])
            rows += float(step.values["rows"])
    finite = all(bool(parameter.isfinite().all()) for parameter in network.parameters())
    if not math.isfinite(total) or not finite:
        raise Diverged(
            "the training losses or the weights are no longer finite; try a smaller "
            "learning_rate_init, and a StandardScaler in front"
        )
    done = more["epochs"] + 1
    facts = _facts(f"one more epoch, the {done}th" if done > 1 else "one epoch", None, 1)
    _taken(model, recipe, network, objective, data, facts)
    model.converged_ = None
    model.history_ = [_event(done, total / rows)]
    return {"seed": more["seed"], "epochs": done, "optimizer": method.optimizer.state_dict()}


def fit(
    model: Any,
    settings: dict[str, Any],
    X: Array,
    y: Tensor,
    weight: Array | None,
    target: dict[str, Any],
    start: dict[str, Tensor] | None,
) -> None:
    """Train ``model`` with SciPy's L-BFGS-B on all rows: Byrd, Lu, Nocedal and Zhu (1995)."""
    recipe, data = _rows(model, settings, X, y, weight, target)
    network, objective = build(recipe, data.schema)
    targets = None if objective.classifies else data.y.double().reshape(len(data), -1)
    network.start(data.x, targets, data.weight, generator(recipe.seed, "weights", "mlp"))
    if start is not None:
        network.load_state_dict(start)
    data = data.to(choose_device(model._device))
    network.to(data.x.device)
    total = float(len(data)) if data.weight is None else float(data.weight.sum())
    goal = Goal(network, _loss(network, objective), data, total, model.alpha / total)
    history: list[dict[str, Any]] = []
    with threads_for(network.multiplications * min(ROWS, len(data))):
        found = scipy.optimize.minimize(
            goal,
            goal.theta(),
            jac=True,
            method="L-BFGS-B",
            callback=lambda theta: history.append(_event(len(history) + 1, goal.shown)),
            options={"maxiter": model.max_iter, "maxfun": model.max_fun, "gtol": model.tol},
        )
    goal.set(found.x)
    if not np.isfinite(found.x).all() or not math.isfinite(found.fun):
        raise Diverged("the loss is no longer finite; put a StandardScaler in front")
    ended = found.status != 0  # the limits of max_iter and max_fun, or a search that failed
    words = f"after {found.nit} steps and {found.nfev} evaluations: {found.message}"
    facts = _facts(f"lbfgs {words}", "epochs" if ended else "converged", int(found.nit))
    _taken(model, recipe, network, objective, data, facts)
    model.history_ = history or [_event(0, goal.shown)]
    model._warn()


class Goal:
    """The mean loss over all rows plus the penalty, as SciPy takes it: float64 in and out."""

    def __init__(
        self, network: nn.Module, loss: Loss, data: Dataset, total: float, penalty: float
    ) -> None:
        self.network, self.loss, self.data, self.total = network, loss, data, total
        self.parameters = list(network.parameters())
        self.penalty = penalty
        self.shown = math.inf
        """The loss of the last evaluation, in the target's unit, without the penalty."""

    def theta(self) -> Array:
        """All parameters as one vector."""
        found: Array = (
            nn.utils.parameters_to_vector(self.parameters).detach().cpu().double().numpy()
        )
        return found

    def set(self, theta: Array) -> None:
        """Write a vector into the parameters."""
        with torch.no_grad():
            own = self.parameters[0]
            nn.utils.vector_to_parameters(torch.from_numpy(theta).to(own), self.parameters)

    def __call__(self, theta: Array) -> tuple[float, Array]:
        self.set(theta)
        self.network.zero_grad(set_to_none=True)
        data, value, shown = self.data, 0.0, 0.0
        for begun in range(0, len(data), ROWS):
            rows = slice(begun, begun + ROWS)
            weight = None if data.weight is None else data.weight[rows]
            seen, part, _, goal = self.loss(self.network(data.x[rows]), data.y[rows], weight)
            (goal / self.total).backward()
            value, shown = value + float(part) / self.total, shown + float(seen) / self.total
        gradients = []
        for parameter in self.parameters:
            assert parameter.grad is not None
            gradient = parameter.grad.double()
            if parameter.dim() > 1:  # biases are not penalised
                wide = parameter.detach().double()
                value += self.penalty / 2 * float(wide.square().sum())
                gradient = gradient + self.penalty * wide
            gradients.append(gradient.reshape(-1).cpu())
        self.shown = shown
        return value, torch.cat(gradients).numpy()


def _rows(
    model: Any,
    settings: dict[str, Any],
    X: Array,
    y: Tensor,
    weight: Array | None,
    target: dict[str, Any],
) -> tuple[Recipe, Dataset]:
    described = model.described(X, target)
    given = {"scaling": "none", "dtype": described.dtype, "device": model.device}
    recipe = Recipe().override({**given, **settings})
    heavy = None if weight is None else _tensor(weight)
    return recipe, Dataset(_tensor(X), y, described, heavy)


def _loss(network: nn.Module, objective: Any) -> Loss:
    """The summed loss, in units of the targets' deviations."""
    last = network.get_submodule("rescaling")
    return Loss(objective, False, last.factor if isinstance(last, Rescaling) else None)


def _facts(reason: str, stopped: str | None, steps: int) -> dict[str, Any]:
    facts = {"converged": None, "reason": reason, "stopped": stopped}
    return facts | {"steps": steps, "best_step": steps, "best_epoch": steps, "epochs": steps}


def _event(epoch: int, loss: float) -> dict[str, Any]:
    return {"event": "step", "model": "mlp", "step": epoch, "epoch": epoch, "loss": loss}


def _taken(
    model: Any, recipe: Recipe, network: Any, objective: Any, data: Dataset, facts: dict[str, Any]
) -> None:
    """Make the fitted network the model's."""
    network.eval().cpu()
    for parameter in network.parameters():
        parameter.grad = None
    none = Dataset(data.x[:0].cpu(), data.y[:0].cpu(), data.schema)
    counts = {"train_rows": len(data), "valid_rows": 0}
    model._take(wrap(recipe, network, objective, none, facts, {}, counts, {}))

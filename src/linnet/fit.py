"""One model, from its recipe and its rows to an artifact."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch

from linnet import evaluation
from linnet.artifact import Artifact, Layer, Manifest
from linnet.data.dataset import Dataset
from linnet.errors import Diverged
from linnet.networks._base import Network
from linnet.networks.build import layers
from linnet.objectives._base import Objective
from linnet.parallel import World
from linnet.recipe import Recipe, objective_name
from linnet.record import Record, Step

CERTIFICATE = ("converged", "gradient_max", "objective", "gap", "penalty", "rank", "condition")


def fit(
    recipe: Recipe,
    train: Dataset,
    valid: Dataset,
    *,
    world: World | None = None,
    record: Record | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
) -> Artifact:
    """Fit the one model of a resolved recipe; ``valid`` may have no rows.

    The parameters kept are those with the lowest validation loss among the complete steps (each
    epoch, each penalty, not the start), or the last ones where there are no validation rows.
    ``start`` is the state of such a network, to go on from.
    """
    world, record = world or World(), record or Record()
    began = time.monotonic()
    (model,) = recipe.model
    network, objective = recipe.build(train.schema)
    method = recipe.begin(network, objective, train, world, start)
    valid = valid.to(world.device)
    record.write("begin", model=model, steps=method.steps)
    mean = RunningMean()
    best: tuple[float, Step, dict[str, torch.Tensor], dict[str, float]] | None = None
    stale, reason, index, epoch = 0, None, 0, 0
    for step in method:
        index, epoch = step.index, step.epoch
        mean.add(step)
        if recipe.log_due(step.index, step.epoch, step.complete) and step.values:
            values = mean.take(step)
            record.write("step", model=model, step=index, epoch=epoch, **values)
            _refuse_non_finite(values, index)
        if not step.complete:
            continue
        scores = evaluation.measure(network, objective, valid) if len(valid) else {}
        if scores:
            record.write("evaluate", model=model, step=index, epoch=epoch, valid=scores)
        loss = scores.get("loss", -float(index))  # without validation rows the last is kept
        if math.isnan(loss):
            raise Diverged(_diverged(index))
        if index == 0 and step.reason is None:
            continue  # where the curve starts, but nothing that was fitted
        if best is None or loss < best[0]:
            state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            best, stale = (loss, step, state, scores), 0
        elif len(valid):
            stale += 1
        if step.reason is not None:
            reason = step.reason
        if stale >= method.patience:
            reason = f"no better validation loss {stale} times in a row"
            break
    assert best is not None
    _, step, state, scores = best
    network.load_state_dict(state)
    network.eval().cpu()
    if not all(tensor.isfinite().all() for tensor in network.state_dict().values()):
        raise Diverged(_diverged(index))
    if step.reason is not None:
        reason = step.reason  # the line's certificate belongs to the penalty that was kept
    elif step.index != index:
        reason = f"{reason}; best at epoch {step.epoch} of {epoch}"
    facts: dict[str, Any] = {
        "converged": None,
        "reason": reason,
        "steps": index,
        "best_step": step.index,
    }
    if "gradient_max" in step.values:
        certificate: dict[str, float | None] = {
            key: number if math.isfinite(number := _number(step.values[key])) else None
            for key in CERTIFICATE
            if key in step.values
        }
        facts |= {**certificate, "converged": bool(certificate.get("converged"))}
        facts.setdefault("gap", None)
    else:
        facts |= {"best_epoch": step.epoch, "epochs": epoch}
    record.write("fit", model=model, **facts)
    provenance = {"seconds": round(time.monotonic() - began, 3)}
    held = {"valid": scores} if scores else {}
    data = {"train_rows": len(train), "valid_rows": len(valid)}
    return wrap(recipe, network, objective, train, facts, held, data, provenance)


def wrap(
    recipe: Recipe,
    network: Network,
    objective: Objective,
    train: Dataset,
    facts: dict[str, Any],
    scores: dict[str, Any],
    data: dict[str, Any],
    provenance: dict[str, Any],
) -> Artifact:
    """A fitted network as an artifact."""
    (model,) = recipe.model
    manifest = Manifest(
        model=model,
        objective=objective_name(train.schema),
        network=network.spec.plain(),
        dtype=recipe.dtype if recipe.dtype != "auto" else "float32",
        layers=tuple(Layer(**layer) for layer in layers(network, train.schema.dtype)),
        schema_=train.schema,
        recipe=recipe.plain(),
        fit=facts,
        scores=scores,
        data=data,
        provenance=provenance,
    )
    return Artifact(manifest, network, objective)


class RunningMean:
    """The row-weighted mean of the training loss since it was last taken; waits for no device."""

    def __init__(self) -> None:
        self.total: torch.Tensor | float = 0.0
        self.rows: torch.Tensor | float = 0.0

    def add(self, step: Step) -> None:
        """Take in one step."""
        if "loss_sum" in step.values:
            self.total = self.total + _wide(step.values["loss_sum"])
            self.rows = self.rows + _wide(step.values["rows"])

    def take(self, step: Step) -> dict[str, float]:
        """The values of a step to be written, its sums replaced by the mean; then start anew."""
        values = {k: _number(v) for k, v in step.values.items() if k not in ("loss_sum", "rows")}
        if "loss_sum" in step.values:
            values = {"loss": _number(self.total) / _number(self.rows), **values}
            self.total = self.rows = 0.0
        return values


def _wide(value: torch.Tensor | float) -> torch.Tensor | float:
    if not isinstance(value, torch.Tensor) or value.device.type == "mps":  # it has no float64
        return value
    return value.double()


def _number(value: torch.Tensor | float) -> float:
    return value.item() if isinstance(value, torch.Tensor) else value


def _refuse_non_finite(values: dict[str, float], index: int) -> None:
    if not math.isfinite(values.get("loss", 0.0)):
        raise Diverged(_diverged(index))


def _diverged(index: int) -> str:
    return f"the loss is no longer finite at step {index}; try a smaller lr, a tenth of it say"

"""One model, from its recipe and its rows to an artifact."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from linnet import evaluation
from linnet.artifact import Artifact, Layer, Manifest
from linnet.checks.finding import Finding
from linnet.checks.module import check_parameters
from linnet.data.dataset import Dataset
from linnet.errors import Blocked, Diverged, LinnetWarning
from linnet.networks._base import Network
from linnet.networks.build import layers
from linnet.networks.scaling import Scaling
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
    module: nn.Module | None = None,
) -> Artifact:
    """Fit the one model of a resolved recipe; ``valid`` may have no rows.

    The parameters kept are those with the lowest validation loss among the complete steps (each
    epoch, each penalty, not the start), or the last ones where there are no validation rows.
    ``start`` is the state of such a network, to go on from; ``module`` the user's own for the model
    "custom", which is trained in place.
    """
    world, record = world or World(), record or Record()
    began = time.monotonic()
    (model,) = recipe.model
    recipe.check(train.schema)
    train, valid = recipe.weigh(train, valid)
    network, objective = recipe.build(train.schema, module)
    heed(check_parameters(network), record, model)
    method = recipe.begin(network, objective, train, world, start)
    valid = valid.to(world.device)
    record.write("begin", model=model, steps=method.steps)
    heed(recipe.findings(network, objective, train), record, model)
    losses = Losses()
    best: tuple[float, Step, dict[str, torch.Tensor], dict[str, float]] | None = None
    stale, reason, index, epoch = 0, None, 0, 0
    for step in method:
        ended = step.epoch > epoch or step.reason is not None
        index, epoch = step.index, step.epoch
        losses.add(step)
        if recipe.log_due(step, ended=ended) and step.values:
            values = {**losses.take(step), **method.watch()}
            losses.largest = max(losses.largest, values["gradient_max"])
            record.write("step", model=model, step=index, epoch=epoch, **values)
        if not step.complete:
            continue
        losses.check()
        scores = evaluation.measure(method.scored, objective, valid) if len(valid) else {}
        if scores:
            record.write("evaluate", model=model, step=index, epoch=epoch, valid=scores)
        loss = scores.get("loss", -float(index))  # without validation rows the last is kept
        if not math.isfinite(loss):
            raise losses.diverged(index, "validation losses")
        if index == 0 and step.reason is None:
            continue  # where the curve starts, but nothing that was fitted
        if best is None or loss < best[0]:
            state = {name: tensor.clone() for name, tensor in method.scored.state_dict().items()}
            best, stale = (loss, step, state, scores), 0
        elif len(valid):
            stale += 1
        if step.reason is not None:
            reason = step.reason
        if stale >= method.patience:
            reason = f"no better validation loss {stale} times in a row"
            break
        method.observe(loss if scores else losses.since_complete())
    assert best is not None
    _, step, state, scores = best
    network.load_state_dict(state)
    if method.finish(network) and scores:
        scores = evaluation.measure(network, objective, valid)
    network.eval().cpu()
    for parameter in network.parameters():
        parameter.grad = None
    if not all(tensor.isfinite().all() for tensor in network.state_dict().values()):
        raise losses.diverged(index, "weights")
    if step.reason is not None:
        reason = step.reason  # the line's certificate belongs to the penalty that was kept
    elif step.index != index:
        reason = f"{reason}; best at epoch {step.epoch} of {epoch}"
    facts: dict[str, Any] = {
        "converged": None,
        "reason": reason,
        "steps": index,
        "best_step": step.index,
        **method.facts,
    }
    for layer in network.children():
        if isinstance(layer, Scaling):
            facts["scaling"] = layer.describe(bytes=train.schema.example == "picture")
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


def heed(findings: list[Finding], record: Record, model: str | None = None) -> None:
    """Record what was found, warn of all but notes, and stop where one blocks."""
    for finding in findings:
        record.write("finding", model=model, severity=finding.severity, text=str(finding))
    for finding in findings:
        text = str(finding) if model is None else f"{model}: {finding}"
        if finding.blocks:
            raise Blocked(text)
        if finding.severity == "warning":
            warnings.warn(text, LinnetWarning, stacklevel=3)


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


class Losses:
    """The training losses since they were last written; waits for no device until then."""

    def __init__(self) -> None:
        self.pending: list[tuple[int, torch.Tensor, torch.Tensor | float]] = []
        self.total = self.rows = 0.0
        self.stretch_total = self.stretch_rows = 0.0
        self.largest = 0.0
        self.rate: float | None = None

    def add(self, step: Step) -> None:
        """Take in one step."""
        if "loss_sum" in step.values:
            loss, rows = step.values["loss_sum"], step.values["rows"]
            self.pending.append((step.index, torch.as_tensor(loss), rows))
            self.rate = _number(step.values["lr"]) if "lr" in step.values else None

    def take(self, step: Step) -> dict[str, float]:
        """The values of a step to be written, its sums replaced by the row-weighted mean of all
        losses since the last time."""
        values = {k: _number(v) for k, v in step.values.items() if k not in ("loss_sum", "rows")}
        if "loss_sum" in step.values:
            self.check()
            values = {"loss": self.total / self.rows, **values}
            self.total = self.rows = 0.0
        return values

    def check(self) -> None:
        """Raise ``Diverged`` with the step at which a loss was first no longer finite."""
        if not self.pending:
            return
        losses = torch.stack([loss for _, loss, _ in self.pending]).cpu().double()
        bad = torch.nonzero(~losses.isfinite())
        if len(bad):
            raise self.diverged(self.pending[int(bad[0])][0], "training losses")
        rows = sum(_number(rows) for _, _, rows in self.pending)
        total = float(losses.sum())
        self.total, self.rows = self.total + total, self.rows + rows
        self.stretch_total, self.stretch_rows = self.stretch_total + total, self.stretch_rows + rows
        self.pending.clear()

    def since_complete(self) -> float:
        """The mean since the last time this was asked."""
        mean = self.stretch_total / self.stretch_rows if self.stretch_rows else math.inf
        self.stretch_total = self.stretch_rows = 0.0
        return mean

    def diverged(self, index: int, what: str) -> Diverged:
        """The error, with what to try."""
        steep = f"; the largest gradient before it was {self.largest:.3g}" if self.largest else ""
        rate = "" if self.rate is None else f" (lr was {self.rate:.3g})"
        return Diverged(
            f"the {what} are no longer finite at step {index}{steep}; try a smaller lr, a tenth of "
            f"it say{rate}, or clip=1, and look for inputs of very different sizes"
        )


def _number(value: torch.Tensor | float) -> float:
    return value.item() if isinstance(value, torch.Tensor) else value

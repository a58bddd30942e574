"""One model, from its recipe and its rows to an artifact."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from linnet.core import memory
from linnet.core.parallel import World
from linnet.core.record import Record, Step
from linnet.data.batches import Batches
from linnet.data.dataset import Dataset
from linnet.errors import Blocked, Diverged, LinnetWarning
from linnet.fit.artifact import Artifact, Layer, Manifest
from linnet.fit.checkpoint import Checkpoints
from linnet.fit.recipe import Recipe, objective_name
from linnet.insight import evaluation
from linnet.insight.checks.finding import Finding
from linnet.insight.checks.module import check_parameters
from linnet.networks.base import Network
from linnet.networks.build import layers
from linnet.networks.method import Method
from linnet.networks.scaling import Scaling
from linnet.objectives.base import Objective

CERTIFICATE = ("converged", "gradient_max", "objective", "gap", "penalty", "rank", "condition")

WATCHED, WATCH_EVERY = 100, 50
"""Of the steps that are written the first hundred, and then every fiftieth and those that end an
epoch, say how large the gradient is: to find out costs as much as all the rest of a record."""

SEEN_ROWS = 2_000
"""Training rows that are scored as the validation rows are, at most as many as those: the gap
between the two is what over-fitting is told from. On MNIST it takes a hundredth of an epoch."""


def fit(
    recipe: Recipe,
    train: Dataset,
    valid: Dataset,
    *,
    world: World | None = None,
    record: Record | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
    module: nn.Module | None = None,
    checkpoints: Checkpoints | None = None,
    resume: Mapping[str, Any] | None = None,
) -> Artifact:
    """Fit the one model of a resolved recipe; ``valid`` may have no rows.

    The parameters kept are those with the lowest validation loss among the complete steps (each
    epoch, each penalty, not the start), or the last ones where there are no validation rows.
    ``start`` is the state of such a network, to go on from; ``module`` the user's own for the model
    "custom", which is trained in place. ``checkpoints`` are made when they are due; ``resume`` is
    the state in one of them: the fit goes on, to the same bits.
    """
    world, record = world or World(), record or Record()
    began = time.monotonic()
    (model,) = recipe.model
    recipe.check(train.schema)
    train, valid = recipe.weigh(train, valid)
    network, objective = recipe.build(train.schema, module)
    if resume is None:
        heed(check_parameters(network), record, model)
    method = recipe.begin(network, objective, train, world, start)
    valid = valid.to(world.device)
    seen = train.take(_spread(len(train), min(SEEN_ROWS, len(valid)))).to(world.device)
    losses, best, spent = Losses(method.batch), Best(), Spent()
    reason, index, epoch, earlier = None, 0, 0, 0.0
    if resume is None:
        record.write("begin", model=model, steps=method.steps)
        heed(recipe.findings(network, objective, train), record, model)
    else:
        method.restore(resume["method"])
        losses, best = Losses(method.batch, **resume["losses"]), Best(**resume["best"])
        spent = Spent(**resume["spent"])
        reason, index, epoch, earlier = resume["at"]
    step: Step
    for step in heeding(method, checkpoints):
        ended = step.epoch > epoch or step.reason is not None
        index, epoch = step.index, step.epoch
        losses.add(step)
        if recipe.log_due(step, ended=ended) and step.values:
            values = losses.take(step)  # waits for the step
            with spent.on("record"):
                if step.index <= WATCHED or step.index % WATCH_EVERY == 0 or step.complete:
                    values |= method.watch()
                losses.largest = max(losses.largest, values.get("gradient_max", 0.0))
                record.write("step", model=model, step=index, epoch=epoch, **values)
        if step.complete:
            losses.check()
            scores, learned = {}, {}
            with spent.on("evaluate"):
                if len(valid):
                    scores = evaluation.measure(method.scored, objective, valid)
                if scores and record.writes:
                    learned = evaluation.measure(method.scored, objective, seen)
            if scores:
                record.write(
                    "evaluate", model=model, step=index, epoch=epoch, valid=scores, train=learned
                )
            if index:
                record.write("spent", model=model, step=index, **spent.told(method))
            loss = scores.get("loss", -float(index))  # without validation rows the last is kept
            if not math.isfinite(loss):
                raise losses.diverged(index, "validation losses")
            reason = step.reason or reason
            given = start is not None and method.steps is not None  # weights of a net
            if index or step.reason is not None or given:  # else nothing is fitted yet
                best.judge(loss, step, method.scored, scores)
                if best.stale >= method.patience:
                    reason = f"no better validation loss {best.stale} times in a row"
                    break
                method.observe(loss if scores else losses.since_complete())
        if checkpoints is not None and checkpoints.due(step):
            losses.look()
            with spent.on("record"):
                checkpoints.save(
                    {
                        "model": model,
                        "method": method.state(),
                        "losses": losses.plain(),
                        "best": best.plain(),
                        "spent": spent.plain(method),
                        "at": [reason, index, epoch, earlier + time.monotonic() - began],
                        "events": record.count,
                        "seconds": record.seconds,
                    }
                )
    assert best.step is not None
    step, scores = best.step, best.scores
    network.load_state_dict(best.state)
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
    provenance = {"seconds": round(earlier + time.monotonic() - began, 3)}
    held = {"valid": scores} if scores else {}
    data = {"train_rows": len(train), "valid_rows": len(valid)}
    return wrap(recipe, network, objective, train, facts, held, data, provenance)


def heeding(method: Method, checkpoints: Checkpoints | None) -> Iterator[Step]:
    """The steps of a fit, during which a wish to stop is heeded."""
    if checkpoints is None:
        yield from method
        return
    with checkpoints.heeding():
        yield from method


def _spread(rows: int, most: int) -> torch.Tensor:
    """At most ``most`` numbers of ``rows`` rows, evenly spread."""
    return torch.arange(0, rows, -(-rows // most)) if most else torch.empty(0, dtype=torch.int64)


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


class Spent:
    """Where the seconds of a fit go: two readings of the clock where a step is written or scored.

    On a device that works by itself a step's time is what the processor waits for it, and that of
    a batch what it takes to ask for it.
    """

    def __init__(
        self, all: float = 0.0, batches: float = 0.0, evaluate: float = 0.0, record: float = 0.0
    ) -> None:
        """The seconds of a part that went on earlier."""
        self._began = time.perf_counter() - all
        self._batches = batches
        self._seconds = {"evaluate": evaluate, "record": record}

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Counts what is done within."""
        began = time.perf_counter()
        yield
        self._seconds[part] += time.perf_counter() - began

    def plain(self, method: Method) -> dict[str, float]:
        """The seconds so far, as this is made of."""
        made = getattr(method, "batches", None)
        batches = self._batches + (made.seconds if isinstance(made, Batches) else 0.0)
        return {"all": time.perf_counter() - self._began, "batches": batches, **self._seconds}

    def told(self, method: Method) -> dict[str, float | int | None]:
        """Seconds so far: ``batches`` (making them), ``steps`` (forward, backward, update),
        ``evaluate``, ``record`` (checkpoints too); and ``memory``, the bytes held now."""
        parts = self.plain(method)
        rest = parts.pop("all") - sum(parts.values())
        seconds: dict[str, float | None] = {}
        seconds |= {key: round(value, 6) for key, value in {**parts, "steps": rest}.items()}
        seconds["batches"] = seconds["batches"] or None  # a solver makes none
        return {**seconds, "memory": memory.resident()}


@dataclass
class Best:
    """The complete step with the least validation loss: what it was, and the network then."""

    loss: float = math.inf
    step: Step | None = None
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    stale: int = 0
    """Complete steps in a row that were no better."""

    def __post_init__(self) -> None:
        if isinstance(self.step, Mapping):
            self.step = Step(**self.step)

    def judge(self, loss: float, step: Step, network: nn.Module, scores: dict[str, float]) -> None:
        """Take in a complete step."""
        if self.step is not None and not loss < self.loss:
            self.stale += 1
            return
        self.loss, self.step, self.scores, self.stale = loss, step, scores, 0
        self.state = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def plain(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {**vars(self), "step": None if self.step is None else vars(self.step)}


@dataclass
class Losses:
    """The training losses since they were last written; waits for no device until then."""

    batch: Callable[[int], Sequence[int]] = lambda step: ()
    """The rows of a step's batch, asked for where its loss is not finite."""
    pending: list[tuple[int, torch.Tensor, torch.Tensor | float]] = field(default_factory=list)
    total: float = 0.0
    rows: float = 0.0
    stretch_total: float = 0.0
    stretch_rows: float = 0.0
    largest: float = 0.0
    rate: float | None = None

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

    def look(self) -> list[float]:
        """The losses not yet written; raises ``Diverged`` with the step at which one was first no
        longer finite."""
        if not self.pending:
            return []
        losses: list[float] = torch.stack([loss for _, loss, _ in self.pending]).tolist()
        for (index, _, _), loss in zip(self.pending, losses, strict=True):
            if not math.isfinite(loss):
                error = self.diverged(index, "training losses")
                error.rows = self.batch(index)
                raise error
        return losses

    def check(self) -> None:
        """Take in the losses not yet written, as ``look`` finds them."""
        losses = self.look()
        if not losses:
            return
        rows = sum(_number(rows) for _, _, rows in self.pending)
        total = math.fsum(losses)
        self.total, self.rows = self.total + total, self.rows + rows
        self.stretch_total, self.stretch_rows = self.stretch_total + total, self.stretch_rows + rows
        self.pending.clear()

    def plain(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {name: value for name, value in vars(self).items() if name != "batch"}

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

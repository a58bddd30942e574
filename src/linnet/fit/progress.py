"""The state that a fit keeps between its steps. A checkpoint holds the same state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from linnet.core import events, memory
from linnet.core.record import Reason, Record, Step
from linnet.data.batches import Batches
from linnet.errors import Diverged, LostRank
from linnet.networks.method import Method

WATCHED, WATCH_EVERY = 100, 50
"""Written steps show the largest entry of the gradient if they are among the first hundred steps,
are a fiftieth step, or are complete. It costs as much as all the rest of a record."""


@dataclass(frozen=True)
class Judge:
    """Another score than the validation loss chooses the weights and ends the fit.

    ``score`` gives it for the raw predictions (rows, outputs) of the validation rows; higher is
    better. One that is not above the best so far by ``delta`` counts as no better.
    """

    score: Callable[[torch.Tensor], float]
    delta: float = 0.0


class Progress:
    """The progress of a fit: its losses, best step, seconds, last step, and why it stopped."""

    def __init__(
        self,
        model: str,
        method: Method,
        record: Record,
        *,
        given: bool = False,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """``given``: the initial weights come from another run, so they may be the best ones.
        ``state`` is the "progress" of ``plain()``, from which to continue."""
        state = state or {"index": 0, "epoch": 0, "reason": None, "seconds": 0.0}
        self.model, self.method, self.record, self.given = model, method, record, given
        self.judged: Judge | None = None
        self.losses = Losses(method.batch, **state.get("losses", {}))
        self.best = Best(**state.get("best", {}))
        self.spent = Spent(**state.get("spent", {}))
        self.index: int = state["index"]
        self.epoch: int = state["epoch"]
        self.reason: Reason | None = state["reason"]
        self._began: float = time.monotonic() - state["seconds"]

    @property
    def seconds(self) -> float:
        """The seconds since the fit began, without the time between a stop and a resume."""
        return time.monotonic() - self._began

    @property
    def stale(self) -> bool:
        """Whether early stopping is due."""
        return self.best.stale >= self.method.patience

    @contextmanager
    def told(self) -> Iterator[None]:
        """A block in which the error of a lost rank says after which step the fit stopped."""
        try:
            yield
        except LostRank as error:
            error.add(f"{self.model} stopped after step {self.index:,}")
            raise

    def add(self, step: Step) -> None:
        """Add a step."""
        self.index, self.epoch = step.index, step.epoch
        self.losses.add(step)

    def write(self, step: Step) -> None:
        """Write a step to the record; waits for the device."""
        values = self.losses.take(step)
        with self.spent.on("record"):
            if step.own <= WATCHED or step.own % WATCH_EVERY == 0 or step.complete:
                values |= self.method.watch()
            self.losses.largest = max(self.losses.largest, values.get("gradient_max", 0.0))
            self.record.write(
                events.Step(
                    model=self.model,
                    step=self.index,
                    epoch=self.epoch,
                    member=step.member,
                    values=values,
                )
            )

    def judge(self, step: Step, valid: dict[str, float], train: dict[str, float]) -> None:
        """Add the scores of a complete step: of validation rows and of some training rows.

        Without validation rows both are empty, and the last step counts as the best.
        """
        if valid:
            self.record.write(
                events.Evaluate(
                    model=self.model,
                    step=self.index,
                    epoch=self.epoch,
                    member=step.member,
                    valid=valid,
                    train=train,
                )
            )
        if self.index:
            self.record.write(self.spent.event(self.model, self.index, self.method))
        loss = valid.get("loss", -float(self.index))
        if not math.isfinite(loss):
            raise self.losses.diverged(self.index, "validation losses")
        self.reason = step.reason or self.reason
        if not (self.index or step.reason is not None or self.given):
            return  # nothing is fitted yet
        if not self.method.chooses:
            self.best.keep(step, valid)
            self.method.observe(self.losses.since_complete())
            return
        what, delta, value = "loss", 0.0, loss
        if self.judged is not None and valid:
            what, delta, value = "score", self.judged.delta, -valid["score"]
        self.best.judge(value, step, self.method.scored, valid, delta)
        if self.stale:
            words = f"no better validation {what} {self.best.stale} times in a row"
            self.reason = Reason(words, "early_stopping")
        else:
            self.method.observe(loss if valid else self.losses.since_complete())

    def plain(self) -> dict[str, Any]:
        """The content of a checkpoint: this state, the method's state, the length of the record."""
        return {
            "model": self.model,
            "method": self.method.state(),
            "progress": {
                "losses": self.losses.plain(),
                "best": self.best.plain(),
                "spent": self.spent.plain(self.method),
                "index": self.index,
                "epoch": self.epoch,
                "reason": self.reason,
                "seconds": self.seconds,
            },
            "events": self.record.count,
            "seconds": self.record.seconds,
        }


class Spent:
    """How the seconds of a fit divide: the clock is read before and after scoring or writing.

    A GPU works asynchronously: there, the time of steps is the time that the processor waits for
    it, and the time of batches is only the time to request them.
    """

    def __init__(
        self, all: float = 0.0, batches: float = 0.0, evaluate: float = 0.0, record: float = 0.0
    ) -> None:
        """The arguments are the seconds spent before a resume."""
        self._began = time.perf_counter() - all
        self._batches = batches
        self._seconds = {"evaluate": evaluate, "record": record}

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Add the time of the block to ``part``."""
        began = time.perf_counter()
        yield
        self._seconds[part] += time.perf_counter() - began

    def plain(self, method: Method) -> dict[str, float]:
        """The seconds so far, as arguments of ``Spent``."""
        made = getattr(method, "batches", None)
        batches = self._batches + (made.seconds if isinstance(made, Batches) else 0.0)
        return {"all": time.perf_counter() - self._began, "batches": batches, **self._seconds}

    def event(self, model: str, step: int, method: Method) -> events.Spent:
        """Seconds so far: ``batches`` (making them), ``steps`` (forward, backward, update),
        ``evaluate``, ``record`` (checkpoints too); and ``memory``, the bytes in use now."""
        parts = self.plain(method)
        rest = parts.pop("all") - sum(parts.values())
        return events.Spent(
            model=model,
            step=step,
            batches=round(parts["batches"], 6) or None,  # a solver makes none
            evaluate=round(parts["evaluate"], 6),
            record=round(parts["record"], 6),
            steps=round(rest, 6),
            memory=memory.resident(),
        )


@dataclass
class Best:
    """The complete step with the lowest validation loss, and the weights after it."""

    loss: float = math.inf
    step: Step | None = None
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    stale: int = 0
    """How many complete steps in a row were no better."""

    def __post_init__(self) -> None:
        if isinstance(self.step, Mapping):
            self.step = Step(**self.step)

    def judge(
        self,
        loss: float,
        step: Step,
        network: nn.Module,
        scores: dict[str, float],
        delta: float = 0.0,
    ) -> None:
        """Compare a complete step with the best one so far; it is stale if it is not lower by
        ``delta``."""
        lower = self.step is None or loss < self.loss
        self.stale = 0 if lower and loss <= self.loss - delta else self.stale + 1
        if not lower:
            return
        self.loss, self.step, self.scores = loss, step, scores
        self.state = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def keep(self, step: Step, scores: dict[str, float]) -> None:
        """Take a step as the best, whatever its scores; its weights are those of the network when
        the fit ends."""
        self.step, self.scores = step, scores

    def plain(self) -> dict[str, Any]:
        """The part of a checkpoint that describes this."""
        return {**vars(self), "step": None if self.step is None else vars(self.step)}


@dataclass
class Losses:
    """The training losses since the last written step; until it is written, no device is waited
    for."""

    batch: Callable[[int], Sequence[int]] = lambda step: ()
    """Returns the rows of a step's batch; called if its loss is not finite."""
    pending: list[tuple[int, torch.Tensor, torch.Tensor | float]] = field(default_factory=list)
    total: float = 0.0
    rows: float = 0.0
    stretch_total: float = 0.0
    stretch_rows: float = 0.0
    largest: float = 0.0
    rate: float | None = None

    def add(self, step: Step) -> None:
        """Add one step."""
        if "loss_sum" in step.values:
            loss, rows = step.values["loss_sum"], step.values["rows"]
            self.pending.append((step.index, torch.as_tensor(loss), rows))
            self.rate = number(step.values["lr"]) if "lr" in step.values else None

    def take(self, step: Step) -> dict[str, float]:
        """The values to write for a step. The row-weighted mean of all losses since the last call
        replaces its sums."""
        values = {k: number(v) for k, v in step.values.items() if k not in ("loss_sum", "rows")}
        if "loss_sum" in step.values:
            self.check()
            values = {"loss": self.total / self.rows, **values}
            self.total = self.rows = 0.0
        return values

    def look(self) -> list[float]:
        """The losses that are not yet written; raises ``Diverged`` at the first one that is not
        finite."""
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
        """Add the losses that are not yet written to the sums; raises as ``look`` does."""
        losses = self.look()
        if not losses:
            return
        rows = sum(number(rows) for _, _, rows in self.pending)
        total = math.fsum(losses)
        self.total, self.rows = self.total + total, self.rows + rows
        self.stretch_total, self.stretch_rows = self.stretch_total + total, self.stretch_rows + rows
        self.pending.clear()

    def plain(self) -> dict[str, Any]:
        """The part of a checkpoint that describes this."""
        return {name: value for name, value in vars(self).items() if name != "batch"}

    def since_complete(self) -> float:
        """The mean loss since the last call of this method."""
        mean = self.stretch_total / self.stretch_rows if self.stretch_rows else math.inf
        self.stretch_total = self.stretch_rows = 0.0
        return mean

    def diverged(self, index: int, what: str) -> Diverged:
        """The error, with advice."""
        steep = f"; the largest gradient before it was {self.largest:.3g}" if self.largest else ""
        rate = "" if self.rate is None else f" (lr was {self.rate:.3g})"
        return Diverged(
            f"the {what} are no longer finite at step {index}{steep}; try a smaller lr, such as a "
            f"tenth of it{rate}, or clip=1, and look for inputs of very different sizes"
        )


def number(value: torch.Tensor | float) -> float:
    """A number as a float; it may still be on the device."""
    return float(value.item()) if isinstance(value, torch.Tensor) else value

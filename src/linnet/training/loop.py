"""The mini-batch loop."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from linnet.data.batches import Batches
from linnet.networks._base import Network
from linnet.objectives._base import Objective
from linnet.randomness import derive
from linnet.record import Step
from linnet.registry import lookup
from linnet.training import OPTIMIZERS, SCHEDULES
from linnet.training.optimizers import Settings


class Train:
    """A fit by mini-batches: an iterator of steps; each has taken one batch.

    A step's values are sums over its rows, ``loss_sum`` and ``rows`` (the sum of weights), so that
    means over any stretch weigh every row alike. An epoch's last step is ``complete``. The global
    generators are as they were when the loop ends.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        batches: Batches,
        *,
        optimizer: str,
        settings: Settings,
        schedule: str,
        epochs: int,
        patience: int,
        seed: int,
        units: torch.Tensor | None = None,
        plateau: float | None = None,
    ) -> None:
        self.network = network
        self.objective = objective
        self.batches = batches
        self.optimizer: torch.optim.Optimizer = lookup(OPTIMIZERS, optimizer, "optimizer")(
            network.parameters(), settings
        )
        self.lr = settings.lr
        self.schedule = lookup(SCHEDULES, schedule, "schedule")
        self.epochs = epochs
        self.steps = epochs * len(batches)
        self.patience = patience
        self.seed = seed
        self.units = units
        """Raw predictions and targets are divided by these (outputs,) before the loss that is
        minimised: the targets' deviations, so that a learning rate means the same for every
        target."""
        self.plateau = plateau
        """Where the mean loss (in those units) of ``patience`` epochs in a row is not this much
        below the best one, training stops. To find out it waits for the device once an epoch."""

    def __iter__(self) -> Iterator[Step]:
        device = self.batches.data.x.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield from self._steps(device)

    def _steps(self, device: torch.device) -> Iterator[Step]:
        # the device's own generator; on a CPU this way costs a hundredth of torch.manual_seed
        manual_seed = (
            torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
        )
        yield Step(0, complete=True)
        per_epoch = len(self.batches)
        index, best, stale = 0, math.inf, 0
        for epoch in range(self.epochs):
            sums: list[tuple[torch.Tensor, torch.Tensor | float]] = []
            for batch, (x, y, weight) in enumerate(self.batches.epoch(epoch), start=1):
                lr = self.lr * self.schedule(index / self.steps)
                for group in self.optimizer.param_groups:
                    group["lr"] = lr
                manual_seed(derive(self.seed, "dropout", index))
                self.network.train()
                raw = self.network(x)
                shown = self.objective.loss(raw, y)
                loss = shown
                if self.units is not None:
                    shown, y = shown.detach(), y.reshape(raw.shape)
                    loss = self.objective.loss(raw / self.units, y / self.units)
                if weight is not None:
                    shown, loss = shown * weight, loss * weight
                total = loss.sum()
                rows = len(x) if weight is None else weight.sum().clamp(min=1e-30)
                self.optimizer.zero_grad()
                (total / rows).backward()
                self.optimizer.step()
                index += 1
                last = batch == per_epoch
                reason = None
                if self.plateau is not None:
                    sums.append((total.detach(), rows))
                if last and self.plateau is not None:
                    mean = sum(float(t) for t, _ in sums) / sum(float(r) for _, r in sums)
                    stale = stale + 1 if mean > best - self.plateau else 0
                    best = min(best, mean)
                    if stale > self.patience:
                        reason = f"the training loss is no lower {stale} epochs in a row"
                if last and epoch == self.epochs - 1 and reason is None:
                    reason = f"all {self.epochs} epochs done"
                yield Step(
                    index,
                    {"loss_sum": shown.detach().sum(), "rows": rows, "lr": lr},
                    epoch=epoch + last,
                    complete=last,
                    reason=reason,
                )
            if reason is not None:
                return

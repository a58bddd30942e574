"""The mini-batch loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from linnet.core.randomness import derive
from linnet.core.record import Step
from linnet.core.registry import lookup
from linnet.data.augment import Augment
from linnet.data.batches import Batches
from linnet.net import OPTIMIZERS, SCHEDULES
from linnet.net.averaging import Average
from linnet.net.captured import Captured
from linnet.net.fused import Fused
from linnet.net.norms import recompute_norms
from linnet.net.optimizers import Settings
from linnet.net.perceptron import Perceptron
from linnet.net.schedules import Pace, Plateau, warmed
from linnet.net.update import Autograd, Loss, Optimizer, Rows, Update
from linnet.networks.base import Network
from linnet.networks.cnn import CNN
from linnet.networks.method import Method
from linnet.networks.mlp import MLP
from linnet.objectives.base import Objective


@dataclass(frozen=True)
class Plan:
    """All that training is told.

    ``evaluate_every`` counts steps, None is each epoch; ``patience`` the evaluations in a row that
    may be no better. ``clip`` bounds the norm of the gradient. Where the mean training loss of more
    than ``patience`` epochs in a row is not ``min_delta`` (over the target's variance) below the
    best one, training stops: to find out it waits for the device once an epoch. ``mean`` divides a
    batch's losses by the sum of its weights, else they are summed.
    """

    optimizer: str
    settings: Settings
    epochs: int
    schedule: str = "constant"
    pace: Pace = field(default_factory=Pace)
    evaluate_every: int | None = None
    patience: int = 10
    min_delta: float | None = None
    clip: float | None = None
    mean: bool = True
    averaging: str = "none"
    average_decay: float = 0.999
    recompute_norm: bool = False
    precision: str = "full"


class Train(Method):
    """A fit by mini-batches: an iterator of steps; each has taken one batch.

    A step's values are sums over its rows, ``loss_sum`` and ``rows`` (the sum of weights), so that
    means over any stretch weigh every row alike. The step after which the network is to be scored
    is ``complete``; ``scored`` is then the network to score: the one that trains, or the average.
    The global generators are as they were when the loop ends.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        batches: Batches,
        plan: Plan,
        *,
        seed: int,
        units: Tensor | None = None,
        augment: Augment | None = None,
    ) -> None:
        self.network = network
        self.batches = batches
        self.plan = plan
        self.seed = seed
        self.augment = augment
        self.steps = plan.epochs * len(batches)
        self.patience = plan.patience
        self.optimizer: Optimizer = lookup(OPTIMIZERS, plan.optimizer, "optimizer")(
            network.parameters(), plan.settings
        )
        loss = Loss(objective, plan.mean, units)
        self.update = choose_update(network, loss, self.optimizer, plan, batches.size)
        self.schedule = lookup(SCHEDULES, plan.schedule, "schedule")
        self.plateau = Plateau(plan.pace)
        self.index = 0
        """Steps done."""

        self._begun = self._over = False
        self._best, self._stale = math.inf, 0
        self._sums: list[tuple[Tensor, Rows]] = []
        self.scored = network
        self.average: Average[Network] | None = None
        if plan.averaging != "none":
            self.average = Average(network, plan.averaging, plan.average_decay)
            self.scored = self.average.network

    def state(self) -> dict[str, Any]:
        plateau = self.plateau
        found: dict[str, Any] = {
            "index": self.index,
            "over": self._over,
            "network": dict(self.network.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "plateau": [plateau.factor, plateau.best, plateau.stale],
            "best": self._best,
            "stale": self._stale,
            "sums": [list(pair) for pair in self._sums],
        }
        if self.average is not None:
            found["average"] = [self.average.count, dict(self.average.network.state_dict())]
        return found

    def restore(self, state: Mapping[str, Any]) -> None:
        self.index, self._over, self._begun = state["index"], state["over"], True
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.plateau.factor, self.plateau.best, self.plateau.stale = state["plateau"]
        self._best, self._stale = state["best"], state["stale"]
        self._sums = [(total, rows) for total, rows in state["sums"]]
        if self.average is not None:
            self.average.count, weights = state["average"]
            self.average.network.load_state_dict(weights)

    def observe(self, loss: float) -> None:
        """Take in the validation loss of a complete step."""
        if self.plan.schedule == "plateau":
            self.plateau.observe(loss)

    def watch(self) -> dict[str, float]:
        """``gradient_max``, the largest entry of the last gradient; waits for the device."""
        every = [p.grad for p in self.network.parameters() if p.grad is not None]
        ends = [end for gradient in every if gradient.numel() for end in gradient.aminmax()]
        return {"gradient_max": float(torch.stack(ends).abs().max())}

    def batch(self, step: int) -> list[int]:
        epoch, batch = divmod(step - 1, len(self.batches))
        rows: list[int] = self.batches.rows(epoch)[batch].tolist()
        return rows

    def finish(self, network: Network) -> bool:
        """Recompute the statistics of batch norms where that is asked for; whether it was done."""
        if not self.plan.recompute_norm:
            return False
        recompute_norms(network, self.batches.data.x)
        return True

    def __iter__(self) -> Iterator[Step]:
        device = self.batches.data.x.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield from self._steps(device)

    def _rate(self, index: int) -> float:
        """The learning rate of the step after ``index`` of them."""
        plan, done = self.plan, index / len(self.batches)
        factor = self.schedule(done, plan.epochs, plan.pace) * self.plateau.factor
        if plan.pace.warmup:
            factor *= warmed(done + 1 / len(self.batches), plan.pace)
        return float(plan.settings.lr * factor)

    def _steps(self, device: torch.device) -> Iterator[Step]:
        seed = seeder(self.network, device)
        if self._over:
            return
        if not self._begun:
            yield Step(0, complete=True)
        plan, per_epoch = self.plan, len(self.batches)
        every = plan.evaluate_every or per_epoch
        index = self.index
        self.network.train()
        for epoch in range(index // per_epoch, plan.epochs):
            done = index % per_epoch
            sums = self._sums if done else []
            self._sums = sums
            for batch, (x, y, weight) in enumerate(self.batches.epoch(epoch, done), start=done + 1):
                rate = self._rate(index)
                for group in self.optimizer.param_groups:
                    if isinstance(group["lr"], Tensor):
                        group["lr"].fill_(rate)
                    else:
                        group["lr"] = rate
                if self.augment is not None:
                    x = self.augment(x, self.seed, index)
                if seed is not None:
                    seed(derive(self.seed, "dropout", index))
                shown, total, rows = self.update(x, y, weight)
                self.index = index = index + 1
                last = batch == per_epoch
                reason = None
                if plan.min_delta is not None:
                    sums.append((total, rows))
                if last and plan.min_delta is not None:
                    mean = sum(float(t) for t, _ in sums) / sum(float(r) for _, r in sums)
                    self._stale = self._stale + 1 if mean > self._best - plan.min_delta else 0
                    self._best = min(self._best, mean)
                    if self._stale > plan.patience:
                        reason = f"the training loss is no lower {self._stale} epochs in a row"
                if index == self.steps and reason is None:
                    reason = f"all {plan.epochs} epochs done"
                complete = index % every == 0 or reason is not None
                self._over = reason is not None
                if self.average is not None:
                    epochs = epoch + 1 if last else index / per_epoch
                    self.average.step(epochs, plan.epochs, complete=complete)
                yield Step(
                    index,
                    {"loss_sum": shown, "rows": rows, "lr": rate},
                    epoch=epoch + last,
                    complete=complete,
                    reason=reason,
                )
                if reason is not None:
                    return


def choose_update(
    network: Network, loss: Loss, optimizer: Optimizer, plan: Plan, size: int
) -> Update:
    """The quickest way to the same numbers."""
    if Perceptron.suits(network, optimizer) and plan.precision == "full":
        assert isinstance(network, MLP) and isinstance(optimizer, Fused)
        return Perceptron(network, loss, optimizer, plan.clip)
    eager = Autograd(network, loss, optimizer, plan.clip, half=plan.precision == "bfloat16")
    fixed = isinstance(network, (MLP, CNN))  # modules of the user's own may look at the data
    if fixed and all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups):
        return Captured(eager, size)
    return eager


def seeder(network: nn.Module, device: torch.device) -> Callable[[int], object] | None:
    """What seeds the device's own generator before a step; None where no layer draws from it.

    Modules that are not PyTorch's own may draw.
    """
    quiet = (
        nn.Linear, nn.Conv2d, nn.Flatten, nn.Identity, nn.Sequential, nn.MaxPool2d,
        nn.BatchNorm1d, nn.BatchNorm2d, nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.SELU,
        nn.GELU, nn.SiLU, nn.Softplus,
    )  # fmt: skip
    own = type(network).__module__.startswith("linnet.networks.")
    parts = [m for m in network.modules() if not type(m).__module__.startswith("linnet.networks.")]
    if own and all(type(module) in quiet for module in parts):
        return None
    # on a CPU this way costs a hundredth of torch.manual_seed
    return torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed

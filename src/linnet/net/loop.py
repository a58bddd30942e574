"""The mini-batch loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from linnet.core import memory
from linnet.core.parallel import World
from linnet.core.randomness import borrowed, derive
from linnet.core.record import Reason, Step
from linnet.core.registry import load, lookup
from linnet.data.augment import Augment
from linnet.data.batches import Batches, sizes_of
from linnet.data.dataset import Dataset
from linnet.data.weights import smooth
from linnet.net import OPTIMIZERS, SCHEDULES
from linnet.net.averaging import Average
from linnet.net.captured import Captured
from linnet.net.finder import find_rate
from linnet.net.norms import batch_norms, recompute_norms
from linnet.net.optimizers import Choice
from linnet.net.schedules import SMALLEST, Plateau, Schedule, warmed
from linnet.net.settings import NetSettings
from linnet.net.together import Parts, Rows, Together
from linnet.net.update import Autograd, Loss, Optimizer, QuickUpdate, Update
from linnet.networks.base import Network
from linnet.networks.method import Method
from linnet.objectives.base import Objective


def begin(
    network: Network,
    objective: Objective,
    train: Dataset,
    settings: NetSettings,
    *,
    seed: int,
    world: World,
    start: object = None,
) -> Train:
    """The method that fits a net to the rows ``train`` by mini-batches.

    The settings have no "auto" left; for ``lr="find"`` the learning rate is searched here.
    ``network`` has the initial weights.
    """
    assert isinstance(settings.batch_size, int) and isinstance(settings.shift, int)
    assert isinstance(settings.flip, bool)
    network.to(world.device)
    train = train.to(world.device)
    parameter = next(network.parameters())
    if parameter.device.type == "cpu":
        need = sum(each.numel() * each.element_size() for each in network.parameters())
        what = "training (a gradient, two moments and the best weights beside the weights)"
        memory.require(4 * need, what, "smaller widths")
    fill = train.x[:1000].float().mean().item()
    augment = Augment(settings.shift, settings.flip, settings.cutout, fill) or None
    if settings.label_smoothing:
        train = replace(train, y=smooth(train, settings.label_smoothing).to(parameter.dtype))
    together = (
        None if world.size == 1 else Together(world, network, mean=settings.reduction == "mean")
    )
    pairs = bool(batch_norms(network))
    batches = Batches(train, settings.batch_size, seed, pairs=pairs)
    if together is not None:
        batches = Parts(train, settings.batch_size, seed, pairs=pairs)
        batches.together, batches.whole = together, augment is not None

    def make(network: Network, settings: NetSettings) -> Train:
        return Train(
            network, objective, batches, settings,
            seed=seed, units=network.units, augment=augment, together=together,
        )  # fmt: skip

    if settings.lr != "find":
        return make(network, settings)
    rate = find_rate(make, network, settings)
    method = make(network, settings.model_copy(update={"lr": rate}))
    method.facts = {"lr_found": rate}
    return method


class Train(Method):
    """A fit by mini-batches: an iterator of steps; each step is one batch.

    The values of a step are sums over its rows, ``loss_sum`` and ``rows`` (the sum of weights), so
    a mean over several steps gives every row the same weight. After a ``complete`` step the network
    should be scored; ``scored`` is then the network that trains, or its average. Every step leaves
    the global random generator of the CPU as it was; that of CUDA is restored when the loop ends.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        batches: Batches,
        settings: NetSettings,
        *,
        seed: int,
        units: Tensor | None = None,
        augment: Augment | None = None,
        together: Together | None = None,
    ) -> None:
        assert isinstance(settings.epochs, int) and isinstance(settings.patience, int)
        self.network = network
        self.batches = batches
        self.settings = settings
        self.epochs = settings.epochs
        self.seed = seed
        self.augment, self.together = augment, together
        self.steps = settings.epochs * len(batches)
        self.patience = settings.patience
        choice: Choice = lookup(OPTIMIZERS, settings.optimizer, "optimizer")
        self.optimizer: Optimizer = choice(network.parameters(), settings)
        loss = Loss(objective, settings.reduction == "mean", units)
        self.update = choose_update(network, loss, self.optimizer, settings, batches.size, together)
        self.schedule: Schedule = lookup(SCHEDULES, settings.schedule, "schedule")
        self.plateau = Plateau(settings)
        searches = isinstance(self.optimizer, torch.optim.LBFGS)  # draws the same several times
        known = type(network).__module__.startswith("linnet.networks.") and not network.own
        self._turns = known and not searches and batches.data.x.device.type == "cpu"
        self.index = 0
        """How many steps are done."""

        self._begun = self._over = False
        self._best, self._stale = math.inf, 0
        self._sums: list[tuple[Tensor, Rows]] = []
        self.scored = network
        self.average: Average[Network] | None = None
        if settings.averaging != "none":
            self.average = Average(network, settings.averaging, settings.average_decay)
            self.scored = self.average.network

    def state(self) -> dict[str, Any]:
        plateau = self.plateau
        found: dict[str, Any] = {
            "index": self.index,
            "over": self._over,
            "network": dict(self.network.state_dict()),
            "named": self.settings.optimizer,
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
        if state["named"] != self.settings.optimizer:
            raise ValueError(f"the optimizer was {state['named']}")
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
        """Tell the schedule the validation loss of a complete step."""
        if self.settings.schedule == "plateau":
            self.plateau.observe(loss)

    def steps_of(self, rows: int) -> int:
        return self.epochs * len(sizes_of(rows, self.batches.size, pairs=self.batches.pairs))

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
        """Recompute the statistics of batch norms if the settings ask for it; returns whether it
        was done."""
        if not self.settings.recompute_norm:
            return False
        recompute_norms(network, self.batches.data.x)
        return True

    def __iter__(self) -> Iterator[Step]:
        if self.together is None:
            yield from self._seeded()
            return
        with self.together.layers(self.network):
            yield from self._seeded()

    def _seeded(self) -> Iterator[Step]:
        device = self.batches.data.x.device
        if device.type != "cuda":
            yield from self._steps(device)
            return
        with torch.random.fork_rng([device]):
            yield from self._steps(device)

    def _rate(self, index: int) -> float:
        """The learning rate of the step after the first ``index`` steps."""
        settings, done = self.settings, index / len(self.batches)
        assert isinstance(settings.lr, float)
        factor = self.schedule(done, self.epochs, settings) * self.plateau.factor
        if settings.warmup:
            factor *= warmed(done + 1 / len(self.batches), settings)
        return float(settings.lr * factor)

    def _steps(self, device: torch.device) -> Iterator[Step]:
        seed = seeder(self.network, device)
        if self._over:
            return
        if not self._begun:
            yield Step(0, complete=True)
        per_epoch = len(self.batches)
        every = self.settings.evaluate_every.steps(per_epoch)
        index = self.index
        self.network.train()
        for epoch in range(index // per_epoch, self.epochs):
            done = index % per_epoch
            if not done:
                self._sums = []
            for batch, (x, y, weight) in enumerate(self.batches.epoch(epoch, done), start=done + 1):
                rate = self._set_rate(index)
                if self.augment is not None:
                    x = self.augment(x, self.seed, index)
                    if self.together is not None:
                        x, y, weight = self.together.take(x, y, weight)
                if seed is None:
                    shown, total, rows = self.update(x, y, weight)
                else:
                    with borrowed(restored=device.type != "cuda"):
                        seed(derive(self.seed, "dropout", index))
                        if self.together is not None and self._turns:
                            self.together.draw(self.seed, index, self.batches.sizes)
                        shown, total, rows = self.update(x, y, weight)
                self.index = index = index + 1
                last = batch == per_epoch
                reason = self._reason(total, rows, last=last)
                complete = index % every == 0 or reason is not None
                self._over = reason is not None
                if self.average is not None:
                    epochs = epoch + 1 if last else index / per_epoch
                    self.average.step(epochs, self.epochs, complete=complete)
                values = {"loss_sum": shown, "rows": rows, "lr": rate}
                yield Step(index, values, epoch + last, complete, reason, last)
                if reason is not None:
                    return

    def _set_rate(self, index: int) -> float:
        """Set the optimiser's learning rate for the step after the first ``index`` steps."""
        rate = self._rate(index)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        return rate

    def _reason(self, total: Tensor, rows: Rows, *, last: bool) -> Reason | None:
        """Why training stops after a step with these sums, ``last`` of its epoch; None: it goes
        on."""
        delta, reason = self.settings.min_delta, None
        if delta is not None:
            self._sums.append((total, rows))
        if last and delta is not None:
            mean = sum(float(t) for t, _ in self._sums) / sum(float(r) for _, r in self._sums)
            self._stale = self._stale + 1 if mean > self._best - delta else 0
            self._best = min(self._best, mean)
            slower = self.settings.schedule == "adaptive" and self._rate(self.index) > SMALLEST
            if self._stale > self.patience and slower:
                self.plateau.factor *= self.settings.gamma
                self._stale = 0
            elif self._stale > self.patience:
                words = f"the training loss is no lower {self._stale} epochs in a row"
                reason = Reason(words, "no_progress")
        if self.index == self.steps and reason is None:
            reason = Reason(f"all {self.epochs} epochs done", "epochs")
        return reason


def choose_update(
    network: Network,
    loss: Loss,
    optimizer: Optimizer,
    settings: NetSettings,
    size: int,
    together: Together | None = None,
) -> Update:
    """The fastest update that gives the same numbers; with ``together`` one that adds up those of
    the ranks."""
    half, clip = settings.precision == "bfloat16", settings.clip
    if network.update is not None and not half:
        quick: type[QuickUpdate] = load(network.update)
        if quick.suits(network, optimizer) and (together is None or hasattr(quick, "together")):
            update = quick(network, loss, optimizer, clip)
            update.together = together
            return update
    eager = Autograd(network, loss, optimizer, clip, half=half)
    eager.together = together
    if (
        together is None
        and network.captured
        and all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups)
    ):
        return Captured(eager, size)
    return eager


def seeder(network: nn.Module, device: torch.device) -> Callable[[int], object] | None:
    """A function that seeds the device's random generator before a step; None if no layer uses it.

    A module that is not in PyTorch may use it.
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
    # on a CPU this takes a hundredth of the time of torch.manual_seed
    return torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed

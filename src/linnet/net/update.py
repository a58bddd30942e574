"""One update of the weights from one batch: forward, backward, optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from linnet.net.fused import Fused
from linnet.net.together import Rows, Together
from linnet.objectives.base import Objective

Optimizer = torch.optim.Optimizer | Fused


class Update(Protocol):
    """One update from one batch. Returns three values from before the update: the sum of the losses
    to report, the sum of the losses that are minimised, and the sum of the weights. It does not
    wait for the device."""

    def __call__(self, x: Tensor, y: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Rows]:
        """``x`` is (rows, *inputs), ``y`` as the objective takes it, ``weight`` (rows,) or None."""


class QuickUpdate(Update, Protocol):
    """A faster update that a network names; it gives the same bits as ``Autograd``."""

    together: Together | None
    """The ranks whose parts of a batch are added up; a network's own update may lack it, and is
    then not used with ranks."""

    def __init__(
        self, network: Any, loss: Loss, optimizer: Any, clip: float | None = None
    ) -> None: ...

    @staticmethod
    def suits(network: nn.Module, optimizer: Optimizer) -> bool:
        """Whether this update can be used for this network with this optimiser."""


@dataclass(frozen=True)
class Loss:
    """The loss that is minimised: the objective's loss, summed over a batch.

    ``mean`` divides the sum by the sum of the batch's weights. Raw predictions and targets are
    first divided by ``units`` (outputs,), the standard deviations of the targets, so that a
    learning rate means the same for every target. The reported loss stays in the target's own unit.
    """

    objective: Objective
    mean: bool = True
    units: Tensor | None = None

    def __call__(
        self, raw: Tensor, y: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor, Rows, Tensor]:
        """The two sums and the weights of ``Update``, and the value to differentiate."""
        losses = shown = self.objective.loss(raw, y)
        if self.units is not None:
            shown = shown.detach()
            losses = self.objective.loss(raw / self.units, y.reshape(raw.shape) / self.units)
        if weight is not None:
            weight = weight.to(losses.dtype)
            shown, losses = shown * weight, losses * weight
        total = losses.sum()
        rows = float(len(raw)) if weight is None else weight.sum().clamp(min=1e-30)
        seen = total if self.units is None else shown.sum()
        return seen.detach(), total.detach(), rows, total / rows if self.mean else total


class Autograd:
    """Any network and any optimiser."""

    together: Together | None = None

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        optimizer: Optimizer,
        clip: float | None = None,
        *,
        half: bool = False,
    ) -> None:
        """``half`` computes the network's matrix products in bfloat16; all else keeps its dtype."""
        self.network = network
        self.loss = loss
        self.half = half
        self.optimizer = optimizer
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.clip = clip

    def __call__(self, x: Tensor, y: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Rows]:
        if isinstance(self.optimizer, torch.optim.LBFGS):
            return self._search(self.optimizer, x, y, weight)
        shown, total, rows, goal = self.loss(self._raw(x), y, weight)
        sums = self._differentiate(goal, shown, total, rows)
        self.optimizer.step()
        return sums

    def _raw(self, x: Tensor) -> Tensor:
        if not self.half:
            raw: Tensor = self.network(x)
            return raw
        with torch.autocast(x.device.type, torch.bfloat16):
            raw = self.network(x)
        return raw.to(self.parameters[0].dtype)

    def _differentiate(
        self, goal: Tensor, shown: Tensor, total: Tensor, rows: Rows
    ) -> tuple[Tensor, Tensor, Rows]:
        """Set the gradients of ``goal``; returns the sums over the whole batch."""
        for parameter in self.parameters:
            parameter.grad = None
        goal.backward()
        sums = shown, total, rows
        if self.together is not None:
            sums = self.together.add(self.parameters, sums)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        return sums

    def _search(
        self, optimizer: torch.optim.LBFGS, x: Tensor, y: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor, Rows]:
        """A step of L-BFGS; its line search evaluates the objective several times, each time with
        the same dropout."""
        first: list[tuple[Tensor, Tensor, Rows]] = []
        cuda = x.device.type == "cuda"
        draw, back = (
            (torch.cuda.get_rng_state, torch.cuda.set_rng_state)
            if cuda
            else (torch.get_rng_state, torch.set_rng_state)
        )
        state = draw()

        def closure() -> Tensor:
            back(state)
            shown, total, rows, goal = self.loss(self._raw(x), y, weight)
            first.append(self._differentiate(goal, shown, total, rows))
            if self.together is None:
                return goal.detach()
            _, total, rows = first[-1]
            return total / rows if self.loss.mean else total

        optimizer.step(closure)
        return first[0]

"""Three or more classes: the cross-entropy of one logit per class."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from linnet.objectives.base import Objective, Target
from linnet.objectives.simplex import feasible


class Softmax(Objective):
    """``loss = logsumexp(raw) - sum(y raw)``; ``y`` is codes (rows,) or probabilities."""

    classifies = True
    quadratic = False
    free = True

    @classmethod
    def suits(cls, target: Target) -> bool:
        return target.task == "classification" and len(target.classes) > 2

    @classmethod
    def outputs(cls, target: Target) -> int:
        return len(target.classes)

    def loss(self, raw: Tensor, y: Tensor) -> Tensor:
        if y.dim() == 1:
            return F.cross_entropy(raw, y, reduction="none")
        return F.cross_entropy(raw, y.to(raw.dtype), reduction="none")

    def gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        p = raw.softmax(1)
        if y.dim() == 1:
            p[torch.arange(len(y), device=y.device), y] -= 1
            return p
        return p - y.to(raw.dtype)

    def loss_and_gradient(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Both in simple operations: on a CPU, PyTorch's softmax takes twice as long if there are
        few classes."""
        below = raw - raw.amax(1, keepdim=True)
        if y.dim() == 1:
            code = y[:, None]
            right = below.gather(1, code)[:, 0]
        else:
            y = y.to(raw.dtype)
            right = (below * y).sum(1)
        p = below.exp_()
        total = p.sum(1, keepdim=True)
        p /= total
        loss = total[:, 0].log() - right
        if y.dim() == 1:
            one = torch.ones((), dtype=raw.dtype, device=raw.device)
            return loss, p.scatter_add_(1, code, -one.expand_as(code))
        return loss, p.sub_(y)

    def curvature(self, raw: Tensor, y: Tensor, direction: Tensor) -> Tensor:
        p = raw.softmax(1)
        return p * (direction - (p * direction).sum(1, keepdim=True))

    def diagonal(self, raw: Tensor) -> Tensor:
        p = raw.softmax(1)
        return p * (1 - p)

    def dual(
        self,
        raw: Tensor,
        y: Tensor,
        weight: Tensor | None,
        everywhere: Callable[[Tensor], Tensor],
        change: Tensor | None = None,
    ) -> tuple[Tensor, Tensor] | None:
        share = (F.one_hot(y, raw.shape[1]) if y.dim() == 1 else y).to(raw.dtype)
        moved, lack = feasible(raw.log_softmax(1), share, weight, everywhere, change)
        return self.gradient(raw, y) + moved, lack

    def mean(self, raw: Tensor) -> Tensor:
        return raw.softmax(1)

    def probabilities(self, raw: Tensor) -> Tensor:
        return raw.softmax(1)

    def link(self, mean: Tensor) -> Tensor:
        logits = mean.clamp(min=1e-12).log()
        return logits - logits.mean()

"""Two classes: the cross-entropy of one logit."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from linnet.objectives.base import Objective, Target
from linnet.objectives.simplex import feasible


class Logistic(Objective):
    """``loss = log(1 + exp(raw)) - y raw`` with one output.

    ``y`` (rows,) is 0, 1 or between, or ``y`` is (rows, 2): the probabilities of both classes.
    """

    classifies = True
    quadratic = False

    @classmethod
    def suits(cls, target: Target) -> bool:
        return target.task == "classification" and len(target.classes) == 2

    @classmethod
    def outputs(cls, target: Target) -> int:
        return 1

    def loss(self, raw: Tensor, y: Tensor) -> Tensor:
        logit, share = raw[:, 0], _share(y).to(raw.dtype)  # in a form that never cancels
        return -share * F.logsigmoid(logit) - (1 - share) * F.logsigmoid(-logit)

    def gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        share = _share(y).to(raw.dtype)
        right, wrong = raw[:, 0].sigmoid(), (-raw[:, 0]).sigmoid()
        return ((1 - share) * right - share * wrong).unsqueeze(1)

    def curvature(self, raw: Tensor, y: Tensor, direction: Tensor) -> Tensor:
        return raw.sigmoid() * (-raw).sigmoid() * direction

    def diagonal(self, raw: Tensor) -> Tensor:
        return raw.sigmoid() * (-raw).sigmoid()

    def dual(
        self,
        raw: Tensor,
        y: Tensor,
        weight: Tensor | None,
        everywhere: Callable[[Tensor], Tensor],
        change: Tensor | None = None,
    ) -> tuple[Tensor, Tensor] | None:
        log_p = F.logsigmoid(torch.cat([-raw, raw], 1))
        own = _share(y).to(raw.dtype)
        share = torch.stack([1 - own, own], 1)
        both = None if change is None else torch.cat([-change, change], 1)
        moved, lack = feasible(log_p, share, weight, everywhere, both)
        return self.gradient(raw, y) + moved[:, 1:], lack

    def mean(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()

    def probabilities(self, raw: Tensor) -> Tensor:
        return torch.cat([(-raw).sigmoid(), raw.sigmoid()], dim=1)

    def link(self, mean: Tensor) -> Tensor:
        return mean.clamp(1e-12, 1 - 1e-12).logit()


def _share(y: Tensor) -> Tensor:
    """The probability of the second class."""
    return y if y.dim() == 1 else y[:, 1]

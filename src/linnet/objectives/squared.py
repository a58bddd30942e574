"""Half the squared error."""

import torch
from torch import Tensor

from linnet.objectives.base import Objective, Target


class Squared(Objective):
    """``loss = sum over outputs of (raw - y)**2 / 2``; the link is the identity."""

    classifies = False
    quadratic = True

    @classmethod
    def suits(cls, target: Target) -> bool:
        return target.task == "regression"

    @classmethod
    def outputs(cls, target: Target) -> int:
        return len(target.targets)

    def loss(self, raw: Tensor, y: Tensor) -> Tensor:
        return self.gradient(raw, y).square().sum(1) / 2

    def gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        return raw - y.reshape(raw.shape)

    def curvature(self, raw: Tensor, y: Tensor, direction: Tensor) -> Tensor:
        return direction

    def diagonal(self, raw: Tensor) -> Tensor:
        return torch.ones_like(raw)

    def mean(self, raw: Tensor) -> Tensor:
        return raw

    def probabilities(self, raw: Tensor) -> Tensor:
        raise TypeError("the squared objective predicts numbers, not classes")

    def link(self, mean: Tensor) -> Tensor:
        return mean

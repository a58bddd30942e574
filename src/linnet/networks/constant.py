"""The baseline: the same prediction for every row."""

import torch
from torch import Tensor, nn

from linnet.core.language import marked
from linnet.networks.base import Network
from linnet.networks.specs import ConstantSpec


class Constant(Network):
    """One bias per output; the inputs are not used."""

    title = marked("the constant")
    convex = True
    method = "linnet.line.solve:begin_constant"
    folded = "linnet.line.folds:Folds"

    Spec = ConstantSpec

    def __init__(self, spec: ConstantSpec) -> None:
        super().__init__(spec)
        self.bias = nn.Parameter(torch.zeros(spec.outputs))

    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        """Nothing to draw: the fit computes the bias."""

    def forward(self, x: Tensor) -> Tensor:
        return self.bias.expand(len(x), -1)

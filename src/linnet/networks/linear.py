"""The line: linear, logistic or softmax regression, depending on the objective."""

from math import prod

import torch
from torch import Tensor, nn

from linnet.core.language import marked
from linnet.networks.base import Network
from linnet.networks.first import affine
from linnet.networks.scaling import Scaling
from linnet.networks.specs import LinearSpec


class Linear(Network):
    """``raw = flatten(scaling(x)) @ weight.T + bias``."""

    title = marked("the line")
    convex = True
    method = "linnet.line.solve:begin"
    folded = "linnet.line.folds:Folds"
    weights = "linear.weight", "any"

    Spec = LinearSpec

    def __init__(self, spec: LinearSpec) -> None:
        super().__init__(spec)
        self.scaling = Scaling(spec.scale, spec.inputs)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(prod(spec.inputs), spec.outputs)

    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        self.scaling.fit(x)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def features(self, x: Tensor) -> Tensor:
        """The scaled inputs (rows, inputs) of the linear layer."""
        flat: Tensor = self.flatten(self.scaling(x))
        return flat

    def forward(self, x: Tensor) -> Tensor:
        return affine(self.linear, self.features(x))

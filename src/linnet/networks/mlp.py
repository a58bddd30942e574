"""The perceptron: layers of ``Linear`` with an activation between them."""

from itertools import pairwise
from math import prod
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from linnet.networks._base import Network, NetworkSpec
from linnet.networks.scaling import Rescaling, Scale, Scaling

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
}

GAINS: dict[str, Literal["tanh", "sigmoid", "linear"]] = {
    "tanh": "tanh",
    "logistic": "sigmoid",
    "identity": "linear",
}


class MLP(Network):
    """``scaling -> (Linear -> activation -> dropout) for each width -> Linear``.

    For regression the outputs are deviations from the target's mean, rescaled by the last layer.
    """

    class Spec(NetworkSpec):
        """Widths of the hidden layers, and what stands between them."""

        scale: Scale
        widths: tuple[int, ...] = Field(min_length=1, max_length=100)
        activation: Literal["relu", "tanh", "logistic", "identity"]
        dropout: float = Field(ge=0, lt=1)
        rescale: bool

    def __init__(self, spec: "MLP.Spec") -> None:
        super().__init__(spec)
        self.activation = spec.activation
        self.scaling = Scaling(spec.scale, spec.inputs)
        self.flatten = nn.Flatten()
        layers: list[nn.Module] = []
        widths = (prod(spec.inputs), *spec.widths)
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), ACTIVATIONS[spec.activation]()]
            if spec.dropout:
                layers.append(nn.Dropout(spec.dropout))
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear(widths[-1], spec.outputs)
        self.rescaling = Rescaling(spec.outputs) if spec.rescale else nn.Identity()

    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        """Statistics from the rows; weights by He et al. (2015) for ReLU, Glorot and Bengio (2010)
        for the others and the output; biases zero."""
        self.scaling.fit(x)
        if isinstance(self.rescaling, Rescaling) and y is not None:
            self.rescaling.fit(y, weight)
        for module in self.hidden:
            if isinstance(module, nn.Linear):
                if self.activation == "relu":
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                else:
                    gain = nn.init.calculate_gain(GAINS[self.activation])
                    nn.init.xavier_normal_(module.weight, gain, generator=generator)
                nn.init.zeros_(module.bias)
        nn.init.xavier_normal_(self.output.weight, generator=generator)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        raw: Tensor = self.rescaling(self.output(self.hidden(self.flatten(self.scaling(x)))))
        return raw

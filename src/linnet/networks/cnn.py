"""A small convolutional network for pictures."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from linnet.core.language import marked
from linnet.networks.activations import ACTIVATIONS, draw_all
from linnet.networks.base import Network
from linnet.networks.scaling import Rescaling, Scaling
from linnet.networks.specs import CNNSpec


class CNN(Network):
    """``scaling -> (Conv 3 x 3 -> [norm] -> pool 2 x 2 -> activation) for each of channels ->
    [dropout] -> Linear``.

    Channels are last in memory, which takes two thirds of the time on a CPU. Pooling comes before
    the activation: for a monotonic activation the result is the same, with a quarter of the work.
    For regression the last layer rescales the outputs, which are deviations from the target's mean.
    """

    title = marked("the convolutional net")
    takes = "picture"
    defaults: ClassVar[Mapping[str, Any]] = {"batch_norm": True}
    norm_rate = 5.0
    captured = True
    weights = "hidden.0.weight", "picture"

    Spec = CNNSpec

    def __init__(self, spec: CNNSpec) -> None:
        super().__init__(spec)
        activation = ACTIVATIONS[spec.activation]
        self.scaling = Scaling(spec.scale, spec.inputs)
        colours, height, width = spec.inputs
        layers: list[nn.Module] = []
        for before, after in pairwise((colours, *spec.channels)):
            layers.append(nn.Conv2d(before, after, 3, padding=1, bias=not spec.batch_norm))
            if spec.batch_norm:
                layers.append(nn.BatchNorm2d(after))
            layers += [nn.MaxPool2d(2), activation.module()]
            height, width = height // 2, width // 2
        self.hidden = nn.Sequential(*layers)
        self.hidden.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.flatten = nn.Flatten()
        self.dropout = activation.dropout(spec.dropout) if spec.dropout else nn.Identity()
        self.output = nn.Linear(spec.channels[-1] * height * width, spec.outputs)
        self.rescaling = Rescaling(spec.outputs) if spec.rescale else nn.Identity()

    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        """Compute the scaling from the rows; draw weights for the activation; biases are zero."""
        assert isinstance(self.spec, CNNSpec)
        self.scaling.fit(x)
        if isinstance(self.rescaling, Rescaling) and y is not None:
            self.rescaling.fit(y, weight)
        draw_all(self.hidden, self.output, self.spec.activation, generator)

    def forward(self, x: Tensor) -> Tensor:
        pictures = self.scaling(x).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.flatten(self.hidden(pictures))
        raw: Tensor = self.rescaling(self.output(self.dropout(features)))
        return raw

    @property
    def multiplications(self) -> float:
        _, height, width = self.spec.inputs
        total = float(self.output.weight.numel())
        for layer in self.hidden:
            if isinstance(layer, nn.Conv2d):
                total += layer.weight.numel() * height * width
            elif isinstance(layer, nn.MaxPool2d):
                height, width = height // 2, width // 2
        return total

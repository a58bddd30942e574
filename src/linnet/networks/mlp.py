"""The perceptron: layers of ``Linear`` with an activation between them."""

from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from linnet.core.language import marked
from linnet.networks.activations import ACTIVATIONS, draw_all
from linnet.networks.base import Network
from linnet.networks.embedding import Periodic, embedding
from linnet.networks.first import affine
from linnet.networks.scaling import Bounds, Rescaling, Scaling
from linnet.networks.specs import MLPSpec


class MLP(Network):
    """``scaling -> bounds -> (Linear [norm] activation [dropout]) for each width -> Linear``.

    With an embedding of numbers, the first linear layer has more inputs: those that the embedding
    makes of the scaled numbers. Training begins with the same predictions as without it: the
    weights of a piecewise embedding are zero, or those of the first layer for a periodic one. So
    numbers far from most training rows do little harm. For regression the last layer rescales the
    outputs, which are deviations from the target's mean.
    """

    title = marked("the perceptron")
    update = "linnet.net.perceptron:Perceptron"
    captured = True
    weights = "hidden.0.weight", "picture"

    Spec = MLPSpec

    def __init__(self, spec: MLPSpec) -> None:
        super().__init__(spec)
        activation = ACTIVATIONS[spec.activation]
        self.scaling = Scaling(spec.scale, spec.inputs)
        self.bounds = Bounds(spec.inputs) if spec.scale == "standard" else nn.Identity()
        self.flatten = nn.Flatten()
        self.embedding = None if spec.embedding is None else embedding(spec.embedding)
        layers: list[nn.Module] = []
        added = 0 if self.embedding is None else self.embedding.width
        widths = (prod(spec.inputs) + added, *spec.widths)
        for before, after in pairwise(widths):
            layers.append(nn.Linear(before, after, bias=not spec.batch_norm))  # a norm has a bias
            if spec.batch_norm:
                layers.append(nn.BatchNorm1d(after))
            layers.append(activation.module())
            if spec.dropout:
                layers.append(activation.dropout(spec.dropout))
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear(widths[-1], spec.outputs)
        self.rescaling = Rescaling(spec.outputs) if spec.rescale else nn.Identity()

    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        """Compute the scaling from the rows; draw weights for the activation; biases are zero."""
        assert isinstance(self.spec, MLPSpec)
        self.scaling.fit(x)
        if isinstance(self.bounds, Bounds):
            self.bounds.fit(x, self.scaling)
        if isinstance(self.rescaling, Rescaling) and y is not None:
            self.rescaling.fit(y, weight)
        added = 0 if self.embedding is None else self.embedding.width
        draw_all(self.hidden, self.output, self.spec.activation, generator, added)
        if self.embedding is not None:
            self.embedding.fit(self.bounds(self.scaling(x)), generator)
            if isinstance(self.embedding, Periodic):
                with torch.no_grad():
                    next(self.hidden.parameters())[:, -added:] = 0

    def forward(self, x: Tensor) -> Tensor:
        inputs = self.flatten(self.bounds(self.scaling(x)))
        first, *others = self.hidden
        assert isinstance(first, nn.Linear)
        added = None if self.embedding is None else self.embedding(inputs)
        values = affine(first, inputs, added)
        for layer in others:
            values = layer(values)
        raw: Tensor = self.rescaling(self.output(values))
        return raw

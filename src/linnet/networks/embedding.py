"""Embeddings of numbers: a net sees each number of a table as several, not as one alone.

A perceptron that gets one standardised number per column learns steps and thresholds slowly. An
embedding gives it ``size`` more inputs for each column, a function of the column's number that is
learnt: Gorishniy, Rubachev and Babenko (2022), "On Embeddings for Numerical Features in Tabular
Deep Learning". The number itself stays an input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from linnet.core.randomness import drawn
from linnet.data.coded import Coded
from linnet.networks.specs import PeriodicSpec, PiecewiseSpec

NARROW = 1e-6
"""A bin that is narrower than this, in the unit of scaled numbers, is joined with the next."""


class Embedding(nn.Module):
    """For each embedded column, ``features(number) @ weight``, with weights (columns, features,
    size) that are learnt."""

    places: Tensor

    def __init__(self, spec: PiecewiseSpec | PeriodicSpec, features: int) -> None:
        super().__init__()
        self.spec = spec
        columns = len(spec.numbers)
        self.width = columns * spec.size
        """How many inputs it adds."""
        self.weight = nn.Parameter(torch.zeros(columns, features, spec.size))
        self.register_buffer("places", torch.tensor(spec.numbers), persistent=False)

    def numbers(self, x: Tensor) -> Tensor:
        """The numbers (columns, rows) that are embedded, of scaled rows ``x`` (rows, width)."""
        if isinstance(x, Coded):
            plain, places = x.numbers, torch.searchsorted(x.places, self.places)
        else:
            plain, places = x, self.places
        return plain.index_select(1, places).T

    def features(self, numbers: Tensor) -> Tensor:
        """The features (columns, rows, features) of numbers (columns, rows)."""
        raise NotImplementedError

    def fit(self, x: Tensor, generator: torch.Generator) -> None:
        """Set features and weights as they are before training, from scaled training rows ``x``
        (rows, width) and ``generator``."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """The additional inputs (rows, columns * size) of scaled rows ``x`` (rows, width)."""
        values = torch.bmm(self.features(self.numbers(x)), self.weight)
        return values.transpose(0, 1).flatten(1)


class Piecewise(Embedding):
    """A piecewise-linear function of each number.

    ``bins`` quantiles of the training rows (of 100,000 of them, if they are more) divide a column
    into bins with as many rows each; equal ones count once, so a column of few different numbers
    has fewer bins. A feature is 0 below its bin, 1 above it, and rises linearly within: the
    encoding of Gorishniy et al. (2022), section 3.2. A column with a single bin, such as one of
    zeros and ones, has no features. The weights are zero at first, so training begins with the
    same predictions as without the embedding.
    """

    low: Tensor
    rate: Tensor

    def __init__(self, spec: PiecewiseSpec) -> None:
        super().__init__(spec, spec.bins)
        shape = len(spec.numbers), spec.bins
        self.register_buffer("low", torch.zeros(shape))
        self.register_buffer("rate", torch.zeros(shape))  # 1 / width of a bin; 0 for no bin

    def fit(self, x: Tensor, generator: torch.Generator) -> None:
        """Compute the edges of the bins from scaled training rows ``x`` (rows, width)."""
        nn.init.zeros_(self.weight)
        self.low.zero_()
        self.rate.zero_()
        shares = np.linspace(0, 1, self.low.shape[1] + 1)
        some = x[torch.from_numpy(drawn(len(x), generator.initial_seed(), "bins"))]
        for column, numbers in enumerate(self.numbers(some).double().cpu().numpy()):
            edges = np.unique(np.quantile(numbers, shares))
            edges = edges[np.diff(edges, prepend=-np.inf) > NARROW]
            if len(edges) > 2:
                self.low[column, : len(edges) - 1] = torch.from_numpy(edges[:-1])
                self.rate[column, : len(edges) - 1] = torch.from_numpy(1 / np.diff(edges))

    def features(self, numbers: Tensor) -> Tensor:
        return ((numbers[:, :, None] - self.low[:, None]) * self.rate[:, None]).clamp(0, 1)


class Periodic(Embedding):
    """``relu(features(number) @ weight + bias)``; the features are cosines and sines of the number
    times frequencies that are learnt: Gorishniy et al. (2022), section 3.3, "PLR".

    The frequencies are drawn with the deviation ``sigma``, weights and biases evenly up to
    ``features ** -0.5``, as PyTorch draws those of a linear layer.
    """

    def __init__(self, spec: PeriodicSpec) -> None:
        super().__init__(spec, 2 * spec.frequencies)
        self.sigma = spec.sigma
        self.frequency = nn.Parameter(torch.zeros(len(spec.numbers), spec.frequencies))
        self.bias = nn.Parameter(torch.zeros(self.width))

    @torch.no_grad()
    def fit(self, x: Tensor, generator: torch.Generator) -> None:
        """Draw all in float32, so that a net in float64 begins where one in float32 does."""

        def empty(tensor: Tensor) -> Tensor:
            return torch.empty_like(tensor, dtype=torch.float32)

        bound = self.weight.shape[1] ** -0.5
        self.frequency.copy_(empty(self.frequency).normal_(0, self.sigma, generator=generator))
        self.weight.copy_(empty(self.weight).uniform_(-bound, bound, generator=generator))
        self.bias.copy_(empty(self.bias).uniform_(-bound, bound, generator=generator))

    def features(self, numbers: Tensor) -> Tensor:
        angle = numbers[:, :, None] * (2 * math.pi * self.frequency)[:, None]
        return torch.cat([angle.cos(), angle.sin()], 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(super().forward(x) + self.bias)


def described(
    kind: str, numbers: Sequence[int], *, size: int, bins: int, frequencies: int, sigma: float
) -> dict[str, Any] | None:
    """The specification, as plain values, of the embedding ``kind`` of the columns ``numbers``;
    None where there is none."""
    if kind == "none" or not numbers:
        return None
    own = {"bins": bins} if kind == "piecewise" else {"frequencies": frequencies, "sigma": sigma}
    return {"kind": kind, "numbers": list(numbers), "size": size, **own}


def embedding(spec: PiecewiseSpec | PeriodicSpec) -> Embedding:
    """The embedding of this specification, without its weights."""
    return Piecewise(spec) if isinstance(spec, PiecewiseSpec) else Periodic(spec)

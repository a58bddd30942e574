"""What the rivals made of PyTorch share: the network, and how it predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from problem import WIDTHS, Predict, scaled
from torch import nn


def perceptron(
    widths: Sequence[int] = WIDTHS, activation: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """784 inputs to 10 outputs, with PyTorch's own initial weights."""
    layers: list[nn.Module] = []
    for before, after in pairwise((784, *widths)):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers, nn.Linear((784, *widths)[-1], 10))


def predictor(model: nn.Module, prepare: Callable[[np.ndarray], np.ndarray] = scaled) -> Predict:
    """How a module predicts, all rows at once."""

    @torch.no_grad()
    def predict(x: np.ndarray) -> np.ndarray:
        training = model.training
        model.eval()
        codes = model(torch.from_numpy(prepare(x))).argmax(1).numpy()
        model.train(training)
        return codes

    return predict

"""The plain loop over tensors that PyTorch's users write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from problem import BATCH, LR, MOMENTUM, WIDTHS, Predict, Task, Tick, scaled
from torch import nn

from rivals._torch import perceptron, predictor


def train(
    task: Task,
    tick: Tick,
    widths: Sequence[int] = WIDTHS,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> Predict:
    """Normalised float32 rows in memory, indexed by a permutation; no loss is read."""
    torch.manual_seed(task.seed)
    x, y = torch.from_numpy(scaled(task.x)), torch.from_numpy(task.y)
    model = perceptron(widths, activation)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    predict = predictor(model)
    for _ in range(task.epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        tick(predict)
    return predict

"""skorch's ``NeuralNetClassifier``, with the callbacks that it has by default."""

from __future__ import annotations

from typing import Any

import skorch
import torch
from problem import BATCH, LR, MOMENTUM, Predict, Task, Tick, scaled, unit
from skorch.callbacks import Callback
from torch import nn

from rivals._torch import perceptron


class Ticks(Callback):
    """Calls ``tick`` at the end of each epoch."""

    def __init__(self, tick: Tick, prepare: Any) -> None:
        self.tick, self.prepare = tick, prepare

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        self.tick(lambda x: net.predict(self.prepare(x)))


def run(task: Task, tick: Tick, module: nn.Module, prepare: Any, **settings: Any) -> Predict:
    """The fit."""
    net = skorch.NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        max_epochs=task.epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
        callbacks=[("tick", Ticks(tick, prepare))],
        **settings,
    )
    net.fit(prepare(task.x), task.y)
    return lambda x: net.predict(prepare(x))


def train(task: Task, tick: Tick) -> Predict:
    """The shared recipe."""
    torch.manual_seed(task.seed)
    settings = {"optimizer": torch.optim.SGD, "optimizer__momentum": MOMENTUM}
    return run(task, tick, perceptron(), scaled, lr=LR, batch_size=BATCH, **settings)


def example(task: Task, tick: Tick, hidden: int, dropout: float) -> Predict:
    """Its MNIST notebook: one hidden layer, SGD at 0.1 in batches of 128.

    On all rows and shuffled, where that holds out a fifth, scores it after each epoch, and keeps
    the order.
    """
    torch.manual_seed(task.seed)
    module = nn.Sequential(
        nn.Linear(784, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 10)
    )
    return run(task, tick, module, unit, optimizer=torch.optim.SGD, lr=0.1, batch_size=128)

"""Lightning: ``Trainer`` without logger, checkpoints, progress bar and summary."""

from __future__ import annotations

import logging
import warnings

import lightning as L
import torch
from problem import BATCH, LR, MOMENTUM, Predict, Task, Tick, scaled
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from rivals import loader
from rivals._torch import perceptron, predictor


class Classifier(L.LightningModule):
    """A network with SGD as shared, or Adam at ``adam``."""

    def __init__(self, network: nn.Module, adam: float | None = None) -> None:
        super().__init__()
        self.network = network
        self.adam = adam

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.adam is not None:
            return torch.optim.Adam(self.parameters(), lr=self.adam)
        return torch.optim.SGD(self.parameters(), lr=LR, momentum=MOMENTUM)


class Ticks(L.Callback):
    """Calls ``tick`` at the end of each epoch."""

    def __init__(self, tick: Tick, predict: Predict) -> None:
        self.tick, self.predict = tick, predict

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.tick(self.predict)


def run(task: Task, tick: Tick, model: Classifier, data: DataLoader, predict: Predict) -> Predict:
    """The fit."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = L.Trainer(
        max_epochs=task.epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Ticks(tick, predict)],
    )
    trainer.fit(model, data)
    return predict


def train(task: Task, tick: Tick) -> Predict:
    """The shared recipe, over a ``TensorDataset`` in a ``DataLoader``."""
    torch.manual_seed(task.seed)
    x, y = torch.from_numpy(scaled(task.x)), torch.from_numpy(task.y)
    data = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
    model = Classifier(perceptron())
    return run(task, tick, model, data, predictor(model))


def example(task: Task, tick: Tick, hidden: int, lr: float) -> Predict:
    """Its MNIST tutorial: two layers of ``hidden``, dropout 0.1, Adam, transforms per picture.

    On all rows, where that holds out 5,000 and scores them after each epoch.
    """
    torch.manual_seed(task.seed)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, 10),
    )  # fmt: skip
    model = Classifier(network, adam=lr)
    data = DataLoader(loader.Pictures(task.x, task.y), batch_size=64, shuffle=True)
    return run(task, tick, model, data, loader.predictor(model))

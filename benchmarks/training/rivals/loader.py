"""The scripts that tutorials write: a data set of single pictures, transforms, a DataLoader.

There is no CPU build of torchvision for this PyTorch, so its ``MNIST``, ``ToTensor`` and
``Normalize`` are written out here, doing per picture what they do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from problem import BATCH, LR, MEAN, MOMENTUM, SD, Predict, Task, Tick
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from rivals._torch import perceptron


def to_tensor(picture: Image.Image) -> Tensor:
    """A picture as (1, height, width) from 0 to 1."""
    values = torch.from_numpy(np.array(picture, np.uint8, copy=True))
    values = values.view(picture.size[1], picture.size[0], 1)
    return values.permute(2, 0, 1).contiguous().to(torch.float32).div(255)


def normalize(picture: Tensor) -> Tensor:
    """Less the mean, by the deviation, channel by channel."""
    picture = picture.clone()
    mean = torch.as_tensor((MEAN,), dtype=picture.dtype, device=picture.device)
    deviation = torch.as_tensor((SD,), dtype=picture.dtype, device=picture.device)
    if (deviation == 0).any():
        raise ValueError("a deviation of 0")
    return picture.sub_(mean.view(-1, 1, 1)).div_(deviation.view(-1, 1, 1))


class Pictures(Dataset[tuple[Tensor, int]]):
    """One picture at a time."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.transforms = (to_tensor, normalize)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture, code = self.x[index], int(self.y[index])
        value = Image.fromarray(picture.numpy())
        for transform in self.transforms:
            value = transform(value)
        return value, code


def predictor(model: nn.Module) -> Predict:
    """Predicts through a loader too, in batches of 1,000."""

    @torch.no_grad()
    def predict(x: np.ndarray) -> np.ndarray:
        training = model.training
        model.eval()
        pictures = Pictures(x, np.zeros(len(x), np.int64))
        parts = [model(batch).argmax(1) for batch, _ in DataLoader(pictures, batch_size=1000)]
        model.train(training)
        return torch.cat(parts).numpy()

    return predict


def run(
    task: Task,
    tick: Tick,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    batch: int = BATCH,
    workers: int = 0,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    criterion: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
) -> Predict:
    """The loop."""
    pictures = Pictures(task.x, task.y)
    loader = DataLoader(
        pictures,
        batch_size=batch,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,  # as on Linux by default
    )
    predict = predictor(model)
    for _ in range(task.epochs):
        model.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        if scheduler is not None:
            scheduler.step()
        tick(predict)
    return predict


def train(task: Task, tick: Tick, workers: int = 0) -> Predict:
    """The shared recipe."""
    torch.manual_seed(task.seed)
    model = nn.Sequential(nn.Flatten(), perceptron())
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    return run(task, tick, model, optimizer, workers=workers)


def softmax(task: Task, tick: Tick, batch: int, lr: float, momentum: float) -> Predict:
    """Softmax regression."""
    torch.manual_seed(task.seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    return run(task, tick, model, optimizer, batch=batch)


def cnn(task: Task, tick: Tick) -> Predict:
    """PyTorch's basic MNIST example; its order is shuffled, which that does on a GPU only."""
    torch.manual_seed(task.seed)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.25), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, 10), nn.LogSoftmax(1),
    )  # fmt: skip
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    return run(task, tick, model, optimizer, scheduler=scheduler, criterion=nn.functional.nll_loss)

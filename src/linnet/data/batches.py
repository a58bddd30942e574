"""Batches by index: the data whole on the device, nothing done per sample in Python."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from linnet.data.dataset import Dataset
from linnet.randomness import generator


class Batches:
    """Shuffled batches of a data set; their order is a function of (seed, epoch) alone."""

    def __init__(self, data: Dataset, size: int, seed: int) -> None:
        self.data = data
        self.size = min(size, len(data))
        self.seed = seed

    def __len__(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return -(-len(self.data) // self.size)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Every row once, as (x, y, weight)."""
        order = torch.randperm(len(self.data), generator=generator(self.seed, "batches", epoch))
        data = self.data
        for rows in order.to(data.x.device).split(self.size):
            yield data.x[rows], data.y[rows], None if data.weight is None else data.weight[rows]

"""Batches by index: all data is on the device, and no Python code runs per sample."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import torch
from torch import Tensor

from linnet.core.randomness import generator
from linnet.data.dataset import Dataset


class Batches:
    """Shuffled batches of a data set; their order is a function of (seed, epoch) alone.

    The last batch of an epoch may be smaller. With ``pairs`` no batch is a single row, for which
    batch norm has no deviation: a single last row joins the batch before.
    """

    def __init__(self, data: Dataset, size: int, seed: int, *, pairs: bool = False) -> None:
        self.data = data
        self.size = min(size, len(data))
        self.seed = seed
        self.pairs = pairs
        self.sizes = sizes_of(len(data), self.size, pairs=pairs)
        self.seconds = 0.0
        """Processor time spent on making batches so far."""

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.sizes)

    def rows(self, epoch: int, device: torch.device | None = None) -> tuple[Tensor, ...]:
        """The numbers (rows,) of each batch's rows."""
        order = torch.randperm(len(self.data), generator=generator(self.seed, "batches", epoch))
        batches: tuple[Tensor, ...] = order.to(device).split(self.sizes)
        return batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """The batches of an epoch as (x, y, weight), without the first ``start``."""
        data = self.data
        for rows in self.rows(epoch, data.x.device)[start:]:
            began = perf_counter()
            weight = None if data.weight is None else data.weight.index_select(0, rows)
            batch = data.x.index_select(0, rows), data.y.index_select(0, rows), weight
            self.seconds += perf_counter() - began
            yield batch


def sizes_of(rows: int, size: int, *, pairs: bool) -> list[int]:
    """The numbers of rows in the batches of an epoch."""
    size = min(size, rows)
    whole, rest = divmod(rows, size)
    joins = pairs and rest == 1
    sizes = [size] * whole + ([] if not rest or joins else [rest])
    sizes[-1] += joins
    return sizes

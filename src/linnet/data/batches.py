"""Batches by index: all data is on the device, and no Python code runs per sample."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import torch
from torch import Tensor

from linnet.core.randomness import generator
from linnet.data.coded import Coded
from linnet.data.dataset import Dataset

BLOCK_BYTES = 1 << 20
"""The bytes of consecutive rows of a store that are read together."""

WINDOW = 64
"""The blocks of a store whose rows are shuffled together."""


class Batches:
    """Shuffled batches of a data set; their order is a function of (seed, epoch) alone.

    Rows of a store are not read one by one from all over the disk: blocks of ``BLOCK_BYTES`` are
    taken in a random order, and shuffled within a window of ``WINDOW`` of them. Its training rows
    are shuffled once, so that this is as good as a full shuffle.

    The last batch of an epoch may be smaller. With ``pairs`` no batch is a single row, for which
    batch norm has no deviation: a single last row joins the batch before.
    """

    def __init__(self, data: Dataset, size: int, seed: int, *, pairs: bool = False) -> None:
        self.data = data
        self.size = min(size, len(data))
        self.seed = seed
        self.pairs = pairs
        self.sizes = sizes_of(len(data), self.size, pairs=pairs)
        held = sum(part[:1].numel() * part.itemsize for part in _parts(data.x))
        self._block = max(1, BLOCK_BYTES // max(1, held))
        self.seconds = 0.0
        """Processor time spent on making batches so far."""

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.sizes)

    def rows(self, epoch: int, device: torch.device | None = None) -> tuple[Tensor, ...]:
        """The numbers (rows,) of each batch's rows."""
        draws = generator(self.seed, "batches", epoch)
        order = (
            torch.randperm(len(self.data), generator=draws)
            if self.data.mapped is None
            else (in_blocks(len(self.data), self._block, draws))
        )
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


def in_blocks(rows: int, block: int, draws: torch.Generator) -> Tensor:
    """Row numbers (rows,) in an order for a store: blocks of ``block`` rows in a random order, and
    the rows of each ``WINDOW`` of them shuffled."""
    order = torch.randperm(-(-rows // block), generator=draws)
    found = []
    for some in order.split(WINDOW):
        numbers = (some[:, None] * block + torch.arange(block)).flatten()
        numbers = numbers[numbers < rows]
        found.append(numbers[torch.randperm(len(numbers), generator=draws)])
    return torch.cat(found)


def _parts(x: Tensor) -> tuple[Tensor, ...]:
    return x.parts() if isinstance(x, Coded) else (x,)


def sizes_of(rows: int, size: int, *, pairs: bool) -> list[int]:
    """The numbers of rows in the batches of an epoch."""
    size = min(size, rows)
    whole, rest = divmod(rows, size)
    joins = pairs and rest == 1
    sizes = [size] * whole + ([] if not rest or joins else [rest])
    sizes[-1] += joins
    return sizes

"""Several ranks in tests: processes of one group, on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from linnet.core.parallel import World
from linnet.line import solve


@contextmanager
def one_thread() -> Iterator[None]:
    """A block in which this process has one thread, as each rank has: bits depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def sampling(rows: int) -> Iterator[None]:
    """A block in which the line's first sample has so many rows, in this process."""
    before = solve.SAMPLE
    solve.SAMPLE = rows
    try:
        yield
    finally:
        solve.SAMPLE = before


def together(size: int, work: Callable[..., Any], *args: Any, threads: int = 1) -> list[Any]:
    """What ``work(world, *args)`` gives on each of ``size`` ranks: tensors and plain values."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_rank, (folder, size, work, args, threads), nprocs=size)  # type: ignore[attr-defined, no-untyped-call]
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(size)]


def _rank(
    rank: int, folder: str, size: int, work: Callable[..., Any], args: Any, threads: int
) -> None:
    torch.set_num_threads(threads if threads > 0 else rank + 1)
    os.environ["OMP_NUM_THREADS"] = "1"
    store = dist.FileStore(f"{folder}/meet", size)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    words = dist.PrefixStore("linnet", store)  # type: ignore[attr-defined]
    world = World(rank, size, store=words)
    torch.save(work(world, *args), f"{folder}/{rank}.pt")
    dist.destroy_process_group()

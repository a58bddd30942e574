"""One process or many: the only module that uses ``torch.distributed`` and chooses a device."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
import torch.distributed as dist

from linnet.core.registry import suggest
from linnet.errors import RecipeError, WorkError


@dataclass(frozen=True)
class World:
    """The processes that fit one model together; alone, every method is the identity.

    Under torchrun each rank holds a share of the rows and every sum runs over all of them.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of ``value`` over all ranks, equal to the bit on each, also without rows."""
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value


ENOUGH = 10_000_000
"""The multiplications of a step from which several threads share them. Threads wait for each other
at the end of every operation, and beside other processes for a whole slice of time: where there is
less to do, one thread takes as long on a quiet machine and a hundredth of it on a busy one
(``benchmarks/busy``)."""


@contextmanager
def threads_for(multiplications: float) -> Iterator[int]:
    """A block in which one thread of PyTorch and of NumPy's BLAS computes if a step has less than
    ``ENOUGH`` multiplications, else as many as before; gives the number of PyTorch's.

    So the number, on which the last bits depend, is a function of the size of the work and of the
    number that was set. It is never raised, and in a thread that is not the main one it is left
    alone, as other threads may be computing. It is as before when the block ends.
    """
    before = torch.get_num_threads()
    main = threading.current_thread() is threading.main_thread()
    if multiplications >= ENOUGH or not main:
        yield before
        return
    lowered = [(blas, count) for blas in _blas() if (count := blas.get_num_threads()) > 1]
    if before > 1:
        torch.set_num_threads(1)
    for blas, _ in lowered:
        blas.set_num_threads(1)
    try:
        yield 1
    finally:
        for blas, count in lowered:
            blas.set_num_threads(count)
        if before > 1:
            torch.set_num_threads(before)


@cache
def _blas() -> tuple[Any, ...]:
    """The linear algebra libraries of NumPy and SciPy."""
    import scipy.linalg.blas  # noqa: F401  so that its library is among them
    from threadpoolctl import ThreadpoolController

    return tuple(lib for lib in ThreadpoolController().lib_controllers if lib.user_api == "blas")


def choose_device(name: str) -> torch.device:
    """The device called ``name``: "auto" is CUDA if there is one, else the CPU.

    A device that does not exist is an error: linnet never falls back to the CPU in silence.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kinds = ("auto", "cpu", "cuda", "mps")
    kind, _, index = name.partition(":")
    if kind == "gpu":
        raise RecipeError(f'unknown device "{name}"; did you mean "cuda"?')
    if kind not in kinds or (index and not index.isdecimal()) or (index and kind != "cuda"):
        raise RecipeError(f'unknown device "{name}"; {suggest(kind, kinds)} (cuda:1 picks one)')
    if kind == "cuda":
        count = torch.cuda.device_count()
        if not torch.cuda.is_available() or int(index or 0) >= count:
            raise WorkError(
                f"device {name} was asked for, but PyTorch {torch.__version__} sees {count} CUDA "
                "devices here; use --device cpu, or install a CUDA build and a matching driver"
            )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise WorkError(f"device mps was asked for, but PyTorch {torch.__version__} sees none here")
    return torch.device(name)

"""All randomness is a function of (seed, purpose), so it can be repeated without stored state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, such as ``derive(0, "batches", epoch)``."""
    key = "\0".join(map(str, (seed, *purpose))).encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "little") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A separate CPU generator for one purpose; the global generators stay untouched."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *purpose))


_GLOBAL = threading.RLock()


@contextmanager
def borrowed(*, restored: bool = True) -> Iterator[None]:
    """A block that may seed the global generators and draw from them, as dropout does.

    Such blocks of several threads run one after the other, and each leaves the generator of the CPU
    as it was; so what one draws does not depend on the others. Without ``restored`` the caller sees
    to the generators.
    """
    import torch

    with _GLOBAL:
        state = torch.get_rng_state() if restored else None
        try:
            yield
        finally:
            if state is not None:
                torch.set_rng_state(state)

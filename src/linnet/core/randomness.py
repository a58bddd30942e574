"""All randomness is a function of (seed, purpose), so it can be repeated without stored state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

SAMPLE = 100_000
"""Quartiles, medians and the edges of bins are those of at most this many training rows."""


AT_ONCE = 1 << 20
"""The rows whose hashes are made at once."""


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, such as ``derive(0, "batches", epoch)``."""
    key = "\0".join(map(str, (seed, *purpose))).encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "little") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A separate CPU generator for one purpose; the global generators stay untouched."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *purpose))


def drawn(count: int, seed: int, *purpose: str | int) -> np.ndarray[Any, Any]:
    """The numbers, int64 and rising, of at most ``SAMPLE`` of ``count`` rows.

    Those with the least hash of (seed, purpose) and their own number: so parts of the rows can be
    looked at one after the other, in any order. The hash is that of SplitMix64, Steele, Lea and
    Flood (2014), "Fast splittable pseudorandom number generators".
    """
    import numpy as np

    if count <= SAMPLE:
        return np.arange(count)
    least, found = np.empty(0, np.uint64), np.empty(0, np.int64)
    for start in range(0, count, AT_ONCE):
        stop = min(start + AT_ONCE, count)
        z = np.concatenate([least, _hashes(start, stop, seed, *purpose)])
        numbers = np.concatenate([found, np.arange(start, stop)])
        kept = np.argpartition(z, SAMPLE)[:SAMPLE] if len(z) > SAMPLE else slice(None)
        least, found = z[kept], numbers[kept]
    return np.sort(found)


def chosen(
    start: int, stop: int, share: float, seed: int, *purpose: str | int
) -> np.ndarray[Any, Any]:
    """Which of the rows with these numbers are drawn, (rows,): each with the probability ``share``,
    by its number alone."""
    found: np.ndarray[Any, Any] = _hashes(start, stop, seed, *purpose) < min(share, 1) * 2.0**64
    return found


def _hashes(start: int, stop: int, seed: int, *purpose: str | int) -> np.ndarray[Any, Any]:
    """A number of 64 bits for each row number."""
    import numpy as np

    z = (np.arange(start, stop, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(derive(seed, *purpose))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


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

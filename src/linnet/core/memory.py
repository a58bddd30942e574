"""How much memory is free, checked before it is allocated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linnet.errors import DataError, WorkError

GROUP = Path("/sys/fs/cgroup")

LEAST_SPACE = 1_000_000_000
"""Bytes of addresses that PyTorch, NumPy and SciPy take when imported, measured on Linux."""

EXHAUSTED = ("out of memory", "not enough memory", "can't allocate memory")
"""Parts of PyTorch's messages when a device, or the machine, has no more memory."""


def available() -> int | None:
    """Bytes that this process can still allocate; None if that is unknown.

    This is the smaller of the free memory of the system and that of the control group.
    """
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        try:
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        except (OSError, ValueError, AttributeError):
            return None
    for folder in groups("memory"):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            try:
                total = (folder / limit).read_text().strip()
                if total != "max":
                    found.append(max(0, int(total) - int((folder / used).read_text())))
            except (OSError, ValueError):
                continue
    return min(found, default=None)


def groups(controller: str) -> list[Path]:
    """The folders with the limits of this process's control group and of its parents.

    Both versions of control groups; the folders need not exist.
    """
    found = [GROUP, GROUP / controller]
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, names, place = [*line.split(":", 2), "", ""][:3]
        if not names or controller in names.split(","):
            folder = GROUP / (controller if names else "") / place.strip("/")
            found += [folder, *(each for each in folder.parents if each.is_relative_to(GROUP))]
    return list(dict.fromkeys(found))


def cores() -> float | None:
    """The number of cores that the control group allows; None without a limit."""
    found = []
    for folder in groups("cpu"):
        try:
            quota, period = (folder / "cpu.max").read_text().split()
            if quota != "max":
                found.append(int(quota) / int(period))
        except (OSError, ValueError):
            pass
        try:
            granted = int((folder / "cpu.cfs_quota_us").read_text())
            if granted > 0:
                found.append(granted / int((folder / "cpu.cfs_period_us").read_text()))
        except (OSError, ValueError):
            continue
    return min(found, default=None)


def resident() -> int | None:
    """Bytes of memory that this process uses now; None if the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def require_space() -> None:
    """Raise ``WorkError`` if this process may map less memory than the libraries take
    (``ulimit -v``): some of them never return from a lack of it."""
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
    except ImportError:  # Windows
        return
    if 0 <= most < LEAST_SPACE:
        raise WorkError(
            f"this process may map {most / 1e9:.2f} GB of memory (ulimit -v), and the libraries "
            f"alone take about {LEAST_SPACE / 1e9:.2f} GB; allow more"
        )


def require(need: int, what: str, remedy: str = "fewer rows or columns (drop=...)") -> None:
    """Raise before an allocation of ``need`` bytes for ``what`` that would not fit."""
    have = available()
    if have is not None and need > have:
        raise DataError(
            f"{what} needs about {need / 1e9:,.2f} GB of memory, and {have / 1e9:,.2f} GB are "
            f"free; give {remedy}, or a machine with more memory"
        )


@contextmanager
def guarded(what: str, remedy: str) -> Iterator[None]:
    """Turn a lack of memory, of the machine or of a device, into a one-line WorkError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # PyTorch's own is a RuntimeError
        text = str(error)
        if not isinstance(error, MemoryError) and not any(each in text for each in EXHAUSTED):
            raise
        why = text.partition("\n")[0] or "nothing more is known"
        raise WorkError(f"{what} ran out of memory: {why}; {remedy}") from error

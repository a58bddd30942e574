"""How much memory there is, asked before it is taken."""

from __future__ import annotations

import os
from pathlib import Path

from linnet.errors import DataError

GROUP = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that this process may still take: the system's free ones and the control group's, the
    least of both; None where that cannot be known."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        try:
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        except (OSError, ValueError, AttributeError):
            return None
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            total = (GROUP / limit).read_text().strip()
            if total != "max":
                found.append(max(0, int(total) - int((GROUP / used).read_text())))
        except (OSError, ValueError):
            continue
    return min(found, default=None)


def resident() -> int | None:
    """Bytes of memory that this process holds now; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def require(need: int, what: str) -> None:
    """Refuse, before it is taken, what does not fit: ``need`` bytes for ``what``."""
    have = available()
    if have is not None and need > have:
        raise DataError(
            f"{what} needs about {need / 1e9:,.2f} GB of memory, and {have / 1e9:,.2f} GB are "
            "free; give fewer rows or columns (drop=...), or a machine with more memory"
        )

"""How much memory there is, asked before it is taken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linnet.errors import DataError, WorkError

GROUP = Path("/sys/fs/cgroup")

EXHAUSTED = ("out of memory", "not enough memory", "can't allocate memory")
"""What PyTorch says of a device, and of the machine, whose memory is at its end."""


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
    """Where the limits stand of this process's control group and of those around it, by either
    version of them; folders that may not be there."""
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
    """The cores that the control group grants, if it limits them."""
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
    """Bytes of memory that this process holds now; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def require(need: int, what: str, remedy: str = "fewer rows or columns (drop=...)") -> None:
    """Refuse, before it is taken, what does not fit: ``need`` bytes for ``what``."""
    have = available()
    if have is not None and need > have:
        raise DataError(
            f"{what} needs about {need / 1e9:,.2f} GB of memory, and {have / 1e9:,.2f} GB are "
            f"free; give {remedy}, or a machine with more memory"
        )


@contextmanager
def guarded(what: str, remedy: str) -> Iterator[None]:
    """Say in one line that ``what`` ran out of memory, of the machine or of a device."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # PyTorch's own is a RuntimeError
        text = str(error)
        if not isinstance(error, MemoryError) and not any(each in text for each in EXHAUSTED):
            raise
        why = text.partition("\n")[0] or "nothing more is known"
        raise WorkError(f"{what} ran out of memory: {why}; {remedy}") from error

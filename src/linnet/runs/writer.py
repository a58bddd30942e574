"""Which process writes a run, and whether it still does.

A process id alone does not name a process: ids are used again, and in containers every run may have
the same one. So a writer is named by its machine, the machine's last start, the space of process
ids that it lives in, its id, and when it started.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

PLACE = ("host", "boot_id", "namespace")
"""The keys that say where a process runs; process ids mean the same only in the same place."""

PS_SECONDS = 5


def this() -> dict[str, Any]:
    """This process: ``host``, ``boot_id``, ``namespace``, ``pid`` and ``started``; what the system
    does not give is None."""
    pid = os.getpid()
    return {**_place(), "pid": pid, "started": _own_start(pid)}


def lives(status: Mapping[str, Any]) -> bool | None:
    """Whether the process that ``status`` names with the keys of ``this`` still runs; None if that
    cannot be known here: it ran elsewhere, or the system does not tell when a process started."""
    pid = status.get("pid")
    here = _place()
    if os.name != "posix" or type(pid) is not int or pid < 1:
        return None
    if any(status.get(key) != here[key] for key in PLACE):
        return None
    if not alive(pid):
        return False
    before, now = status.get("started"), started(pid)
    return None if before is None or now is None else before == now


def _place() -> dict[str, str | None]:
    return {"host": platform.node(), "boot_id": boot_id(), "namespace": _namespace()}


@cache
def _own_start(pid: int) -> str | None:
    return started(pid)


def started(pid: int) -> str | None:
    """When a process of this machine started, as the system says it; None if it does not.

    On Linux these are clock ticks since the start of the machine (proc(5), field 22 of ``stat``);
    on other systems of POSIX a date, from ``ps``.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    try:
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True,
            timeout=PS_SECONDS, stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def alive(pid: int) -> bool:
    """Whether a process of this machine runs; it may belong to another user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:  # a zombie process (state Z) has ended
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


def boot_id() -> str | None:
    """The identity of this machine's last start; None if the system does not give it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _namespace() -> str | None:
    """The space of process ids: each container has its own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None

"""The machine, versions and code of a run: what is needed to repeat it."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from linnet import __version__

PACKAGES = (
    "narwhals", "numpy", "pillow", "polars", "pydantic", "safetensors", "scikit-learn", "scipy",
    "torch",
)  # fmt: skip
"""Packages on which a result may depend."""

GIT_SECONDS = 5
"""If git does not answer within this time, the repository is left out."""

MAX_DIFF_BYTES = 256 << 20


@cache
def versions() -> dict[str, str]:
    """The versions of linnet, Python, and the packages on which a result may depend."""
    found = {"linnet": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Processor, cores, memory in bytes, and the accelerators that PyTorch sees."""
    import torch

    bound = getattr(os, "sched_getaffinity", None)
    facts: dict[str, Any] = {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores_bound": len(bound(0)) if bound else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerators": [],
    }
    try:
        facts["memory"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        facts["memory"] = None
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        facts["accelerators"] = [torch.cuda.get_device_name(index) for index in range(count)]
    return facts


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def repository(folder: Path | None = None) -> dict[str, Any] | None:
    """The state of the git repository around ``folder`` (the working directory), or None.

    ``commit``; ``dirty``: whether files differ from it; ``changes``: a sha256 of the differences,
    and of the names and contents of untracked files. A repository can name hooks, monitors and diff
    programs; none of them is run.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if top is None or commit is None:
        return None
    root = Path(os.fsdecode(top.rstrip(b"\n")))
    diff = _git(root, "diff", "HEAD", "--no-ext-diff", "--no-textconv", "--binary")
    unknown = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    if diff is None or unknown is None:
        return {"commit": commit.decode().strip(), "dirty": None, "changes": None}
    digest = hashlib.sha256(diff[:MAX_DIFF_BYTES])
    for name in unknown.split(b"\0")[:-1]:
        digest.update(name + b"\0")
        path = root / os.fsdecode(name)
        try:
            if path.is_file() and not path.is_symlink() and path.stat().st_size < MAX_DIFF_BYTES:
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError:
            continue
    dirty = bool(diff or unknown)
    return {
        "commit": commit.decode().strip(),
        "dirty": dirty,
        "changes": digest.hexdigest() if dirty else None,
    }


def _git(folder: Path | None, *words: str) -> bytes | None:
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=GIT_SECONDS, stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None

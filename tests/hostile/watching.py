"""An audit hook that tells what no reading of a file may do.

While ``watch(roots)`` is on, in every thread of this process: code that is compiled or run and is
no installed module's, an import of a module outside the packages that linnet needs, a process, a
socket, a change of the file system, a file opened outside the roots, or opened to be written.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import linnet

PACKAGES = {
    "PIL", "annotated_types", "click", "markdown_it", "mdurl", "pygments", "rich", "shellingham",
    "typer", "dateutil", "google", "linnet", "matplotlib", "mpmath", "narwhals",
    "numpy", "packaging", "pandas", "plotly", "polars", "_polars_runtime_32", "_polars_runtime_64",
    "_polars_runtime_compat", "pyarrow", "pydantic", "pydantic_core", "pytz", "safetensors",
    "scipy", "six", "sklearn", "sympy", "torch", "torchgen", "typing_extensions",
    "typing_inspection", "tzdata", "zoneinfo",
}  # fmt: skip
"""What linnet needs, or looks for beside what it needs."""

UNWANTED = {"pickle.find_class", "os.system", "os.exec", "os.fork", "os.forkpty", "os.spawn",
            "os.posix_spawn", "os.startfile", "subprocess.Popen", "pty.spawn", "ctypes.dlopen",
            "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod",
            "os.chown", "os.truncate", "os.utime", "os.chdir", "shutil.rmtree",
            "shutil.move", "shutil.copyfile",
            "webbrowser.open", "urllib.Request"}  # fmt: skip

INSTALLED = tuple(
    os.path.join(os.path.realpath(place), "")
    for place in {sys.prefix, sys.base_prefix, *(p for p in sys.path if "python3" in p)}
)
SYSTEM = ("/proc/", "/sys/", "/dev/null", "/dev/urandom", "/etc/localtime", "/usr/share/zoneinfo/")
OURS = os.path.join(os.path.realpath(Path(linnet.__file__).parent), "")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class _Hook:
    """The one hook of this process: hooks cannot be taken out again."""

    def __init__(self) -> None:
        self.roots: tuple[str, ...] | None = None
        self.seen: list[str] = []
        self._added = False

    def add(self) -> None:
        if not self._added:
            sys.addaudithook(self)
            self._added = True

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.roots is None:
            return
        found = self._unwanted(event, arguments)
        if found:
            self.seen.append(found)

    def _unwanted(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        if event == "open":
            return self._opened(*arguments)
        if event in UNWANTED or event.startswith("socket."):
            return f"{event} {arguments!r:.200}"
        if event == "import":
            top = str(arguments[0]).partition(".")[0]
            known = top in PACKAGES or top in sys.stdlib_module_names
            return None if known else f"import {arguments[0]}"
        if event == "exec":
            code = arguments[0]
            name = code.co_filename if isinstance(code, CodeType) else "<text>"
            return None if _installed(name) else f"exec of {name}"
        if event == "compile":
            name = arguments[1]
            name = os.fsdecode(name) if isinstance(name, (str, bytes)) else str(name)
            return None if _installed(name) else f"compile of {name}: {arguments[0]!r:.100}"
        return None

    def _opened(self, path: Any, mode: Any, flags: Any) -> str | None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return None  # a descriptor that is open
        assert self.roots is not None
        place = os.path.realpath(os.fsdecode(path))
        if isinstance(flags, int) and flags & WRITES and place != os.devnull:
            return f"open {place} to write"
        if place.startswith((*self.roots, *INSTALLED, *SYSTEM, OURS)):
            return None
        return f"open {place}, which is outside"


def _installed(name: str) -> bool:
    """Whether code is that of a module on this machine, or made by one while it is imported."""
    if name.startswith("<frozen "):
        return True
    if os.path.realpath(name).startswith((*INSTALLED, OURS)):
        return True
    return name in ("<string>", "<unknown>") and _importing()


def _importing() -> bool:
    """Whether a module is being imported: the standard library's own ``exec`` of named tuples and
    data classes is part of that."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
    return False


_hook = _Hook()


@contextmanager
def watch(*roots: Path) -> Iterator[list[str]]:
    """What was unwanted while it was on, as lines of text; files below ``roots`` may be read."""
    _hook.add()
    before = _hook.roots
    _hook.seen = []
    _hook.roots = tuple(os.path.join(os.path.realpath(root), "") for root in roots) + tuple(
        os.path.realpath(root) for root in roots
    )
    try:
        yield _hook.seen
    finally:
        _hook.roots = before


def temporary() -> Path:
    """Where temporary files of this process are."""
    return Path(tempfile.gettempdir())


def is_clean(seen: Sequence[str]) -> bool:
    return not seen

"""The run directory: its files and status, and the list of runs. Its files need no linnet."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import sys
import threading
import warnings
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from linnet.core import files
from linnet.core.files import Place
from linnet.core.limits import MAX_INFO, MAX_METRICS, MAX_STATUS
from linnet.core.text import cut
from linnet.errors import InputError, Interrupted, LinnetWarning, WorkError
from linnet.insight.task import task_in

FORMAT = 1
ROOT = Path("runs")
RECIPE, RUN, SPLIT = "recipe.toml", "run.json", "split.safetensors"
HEARTBEAT_SECONDS = 2.0
SILENT_SECONDS = 30.0
"""A run on another machine counts as crashed if its last heartbeat is older than this."""

MAX_ERROR = 4000
"""The most letters of the error in ``status.json``."""

EVENTS, STATUS, METRICS = "events.jsonl", "status.json", "metrics.json"
LEARNING = "learning_curve.json"


def create(out: Path | None, data: str, model: str) -> Path:
    """A new, empty run directory: ``out``, or the next free ``runs/<data>-<model>-<n>``."""
    if out is None:
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{data}-{model}").strip("._-")
        number = 1
        while True:
            path = ROOT / f"{stem[:100]}-{number}"
            try:
                path.mkdir(parents=True)
                files.sync_folder(path.parent)
                return path
            except FileExistsError:
                number += 1
            except OSError as error:
                raise WorkError(f"{path}: cannot make this folder: {error.strerror}") from error
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(
                f"{out} exists and is not empty; name a new folder with --out, or remove it first"
            )
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"{out}: cannot make this folder: {error.strerror}") from error
    files.sync_folder(out.parent)
    return out


def now() -> str:
    """The date and time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_status(path: Path, state: str, error: str | None = None) -> None:
    """Replace ``status.json``: ``state`` is running, finished, stopped or failed."""
    files.write_json(
        path / STATUS,
        {
            "format": FORMAT,
            "state": state,
            "heartbeat": now(),
            "host": platform.node(),
            "boot_id": boot_id(),
            "pid": os.getpid(),
            "error": error,
        },
    )


def check_free(path: Path) -> None:
    """Refuse a run that another process is writing, according to its heartbeat. On the same machine
    the lock on its record (``files.append``) prevents this too."""
    if state_of(path)[0] == "running":
        status = files.read_json(path / STATUS, MAX_STATUS)
        raise InputError(
            f"{path} is being written by process {status.get('pid')} on {status.get('host')}; wait "
            f"for its end, or stop it first; if it has ended for certain, remove {path / STATUS}"
        )


class Heartbeat:
    """A thread that keeps ``status.json`` fresh during a run; at the end it writes how it ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        write_status(self._path, "running")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if error is None:
            write_status(self._path, "finished")
        else:
            asked = isinstance(error, Interrupted) or not isinstance(error, Exception)
            state = "stopped" if asked else "failed"
            write_status(self._path, state, cut(f"{type(error).__name__}: {error}", MAX_ERROR))

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(WorkError):  # other writes report a full disk
                write_status(self._path, "running")


def follow(path: Path, sink: str) -> None:
    """Start ``linnet runs sync --follow`` of the run in ``path`` to ``sink``.

    It is a process in a session of its own: if the run is stopped, it still sends all that was
    written. Nothing waits for it.
    """
    words = ["runs", "sync", str(path.resolve()), "--to", sink, "--follow"]
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "linnet", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        warnings.warn(f"no sync to {sink}: {error}", LinnetWarning, stacklevel=2)
        return
    threading.Thread(target=process.wait, name=f"sync {sink}", daemon=True).start()


def state_of(path: Place) -> tuple[str | None, str | None]:
    """The state of the run in ``path`` and its error; "crashed" if its process has ended.

    A crash is known at once on the same machine, if it was not restarted since. Otherwise a run
    counts as crashed after ``SILENT_SECONDS`` without a heartbeat.
    """
    try:
        status = files.read_json(path / STATUS, MAX_STATUS)
    except InputError:
        return None, None
    if not isinstance(status, dict):
        return None, None
    state, error = (status.get(key) for key in ("state", "error"))
    if not isinstance(state, str) or not isinstance(error, str | None):
        return None, None
    if state != "running":
        return state, error
    here = (status.get("host"), status.get("boot_id")) == (platform.node(), boot_id())
    pid = status.get("pid")
    if here and isinstance(pid, int):
        crashed = not alive(pid)
    else:
        try:
            beat = datetime.fromisoformat(str(status.get("heartbeat")))
            crashed = (datetime.now(UTC) - beat).total_seconds() > SILENT_SECONDS
        except (TypeError, ValueError):
            crashed = True
    return ("crashed", error) if crashed else (state, error)


def alive(pid: int) -> bool:
    """Whether a process on this machine is running; it may belong to another user."""
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


def read_metrics(path: Place) -> dict[str, Any]:
    """``metrics.json`` of the run in ``path``; raises ``InputError`` if it is missing or newer."""
    if isinstance(path, Path) and not path.exists():
        raise InputError(f"there is no run {path}")
    if not (path / METRICS).is_file():
        raise InputError(f"{path} holds no {METRICS}: not a run of linnet, or not finished")
    metrics: dict[str, Any] = files.read_json(path / METRICS, MAX_METRICS)
    if not isinstance(metrics, dict) or not isinstance(metrics.get("format"), int):
        raise InputError(f"{path / METRICS}: no format number; expected {FORMAT}")
    if metrics["format"] > FORMAT:
        raise InputError(
            f"{path / METRICS}: written in format {metrics['format']}; this linnet reads up to "
            f"{FORMAT}: upgrade linnet"
        )
    from linnet.runs import validation  # pydantic takes a while to import

    validation.metrics(metrics, str(path / METRICS))
    return metrics


def read_info(path: Place) -> dict[str, Any]:
    """``run.json`` of the run in ``path``."""
    from linnet.runs import validation

    info: dict[str, Any] = files.read_json(path / RUN, MAX_INFO)
    validation.info(info, str(path / RUN))
    return info


def list_runs(root: Path) -> list[dict[str, Any]]:
    """The runs directly in ``root``, oldest first, each with its state and chosen model's score."""
    rows = []
    if not root.is_dir():
        return []
    for path in sorted(root.iterdir()):
        if not (path / STATUS).is_file():
            continue
        try:
            rows.append(describe(path))
        except InputError as error:
            rows.append(unreadable(path, error))
    return sorted(rows, key=lambda row: str(row["created"] or ""))


def unreadable(path: Place, error: InputError) -> dict[str, Any]:
    """The row of a run whose files are not those of a run; ``error`` says what is wrong."""
    known = {"name": path.name, "path": str(path), "state": "unreadable", "error": str(error)}
    return known | dict.fromkeys(("created", "data", "chosen", "metric", "value"))


def describe(path: Place) -> dict[str, Any]:
    """A run as one row: name, state, data, date, and the chosen model's score if it has one."""
    state, error = state_of(path)
    run = read_info(path) if (path / RUN).is_file() else {}
    metrics = read_metrics(path) if (path / METRICS).is_file() else {}
    chosen = metrics.get("chosen")
    test = metrics.get("models", {}).get(chosen, {}).get("test", {})
    task = task_in(test)
    return {
        "name": path.name,
        "path": str(path),
        "state": state,
        "error": error,
        "created": run.get("created"),
        "data": run.get("data", {}).get("name"),
        "chosen": chosen,
        "metric": None if task is None else task.score,
        "value": None if task is None else test[task.score],
    }

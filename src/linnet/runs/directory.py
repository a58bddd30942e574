"""The run directory: its files and status, and the list of runs. Its files need no linnet."""

from __future__ import annotations

import contextlib
import os
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
from linnet.core.text import cut, stem
from linnet.errors import InputError, Interrupted, LinnetWarning, WorkError
from linnet.insight.task import task_in
from linnet.runs import writer

FORMAT = 1
ROOT = Path("runs")
RECIPE, RUN, SPLIT = "recipe.toml", "run.json", "split.safetensors"
ROWS = "rows.safetensors"
"""The fingerprints of its rows by part; see ``linnet.runs.lineage``."""

HEARTBEAT_SECONDS = 2.0
SILENT_SECONDS = 30.0
"""A run on another machine counts as crashed if its last heartbeat is older than this."""

MOST_LETTERS = 200
"""A longer path is cut in a message."""

NEWER = "newer"
"""The state of a run that a later linnet wrote."""

MAX_ERROR = 4000
"""The most letters of the error in ``status.json``."""

EVENTS, STATUS, METRICS = "events.jsonl", "status.json", "metrics.json"
LEARNING = "learning_curve.json"
PREDICTIONS, HELD = "predictions", "held"
"""The folders of predictions of test rows, and of the rows that chose: validation rows, or training
rows out of fold."""
FOLDS = "folds"
"""The folder of the models that test a run with ``test=folds``, each fitted without one fold."""


def model_of(fold: int, model: str) -> str:
    """The name of the file of a model in ``FOLDS``; ``fold`` is the one that it has not seen."""
    return f"{model}-{fold}.safetensors"


def create(out: Path | None, data: str, model: str) -> Path:
    """A new, empty run directory: ``out``, or the next free ``runs/<data>-<model>-<n>``."""
    if out is None:
        _make(ROOT)
        name = "-".join(filter(None, (stem(data), stem(model))))
        number = 1
        while True:
            path = ROOT / f"{name}-{number}"
            if _make(path, again=False):
                return path
            number += 1
    try:
        if os.path.lexists(out) and (not out.is_dir() or any(out.iterdir())):
            raise InputError(
                f"{_shown(out)} exists and is not empty; name a new folder with --out, or remove "
                "it first"
            )
    except OSError as error:
        raise WorkError(f"{_shown(out)}: cannot read this folder: {error.strerror}") from error
    _make(out)
    return out


def _make(path: Path, *, again: bool = True) -> bool:
    """Make a folder, and those above it; it may exist if ``again``. Returns whether it was made;
    raises ``WorkError`` if it cannot be."""
    try:
        path.mkdir(parents=again, exist_ok=again)
    except FileExistsError:
        if not again:
            return False
        what = "a link to nothing" if path.is_symlink() else "a file"
        raise WorkError(f"{_shown(path)} is {what}, not a folder; remove or rename it") from None
    except OSError as error:
        raise WorkError(f"{_shown(path)}: cannot make this folder: {error.strerror}") from error
    files.sync_folder(path.parent)
    return True


def _shown(path: Path) -> str:
    return cut(str(path), MOST_LETTERS)


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
            **writer.this(),
            "error": error,
        },
    )


def check_free(path: Path) -> None:
    """Refuse a run that another process is writing. On the same machine the lock on its record
    (``files.append``) prevents this too. Refuse also a run of a later linnet."""
    state, error = state_of(path)
    if state == NEWER:
        raise InputError(str(error))
    if state == "running":
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
    """The state of the run in ``path`` and its error; "crashed" if its process has ended, and
    "newer" if a later linnet wrote it.

    Where the process is known to live or not (``writer.lives``), that decides. Otherwise a run
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
    if "format" in status:
        try:
            files.check_format(status, FORMAT, path / STATUS)
        except InputError as newer:
            return NEWER, str(newer)
    if state != "running":
        return state, error
    lives = writer.lives(status)
    if lives is None:
        lives = not _silent(status.get("heartbeat"))
    return (state, error) if lives else ("crashed", error)


def _silent(heartbeat: Any) -> bool:
    """Whether the last heartbeat is long ago, or is none."""
    try:
        beat = datetime.fromisoformat(str(heartbeat))
        age = (datetime.now(UTC) - beat).total_seconds()
    except (TypeError, ValueError):
        return True
    return age > SILENT_SECONDS


def holds(path: Place, name: str) -> bool:
    """Whether the run in ``path`` has a file ``name``; raises ``InputError`` if there is no run, or
    its folder may not be entered."""
    try:
        if (path / name).is_file():
            return True
        if isinstance(path, Path) and not path.exists():
            raise InputError(f"there is no run {path}")
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror or error}") from error
    return False


def read_metrics(path: Place) -> dict[str, Any]:
    """``metrics.json`` of the run in ``path``; raises ``InputError`` if it is missing or newer."""
    if not holds(path, METRICS):
        raise InputError(f"{path} holds no {METRICS}: not a run of linnet, or not finished")
    metrics: dict[str, Any] = files.read_json(path / METRICS, MAX_METRICS)
    files.check_format(metrics, FORMAT, path / METRICS)
    from linnet.runs import validation  # pydantic takes a while to import

    validation.metrics(metrics, str(path / METRICS))
    return metrics


def read_info(path: Place) -> dict[str, Any]:
    """``run.json`` of the run in ``path``."""
    from linnet.runs import validation

    if not holds(path, RUN):
        raise InputError(f"{path} holds no {RUN}: not a run of linnet, or not a whole one")
    info: dict[str, Any] = files.read_json(path / RUN, MAX_INFO)
    files.check_format(info, FORMAT, path / RUN)
    validation.info(info, str(path / RUN))
    return info


def read_split(path: Place) -> dict[str, Any]:
    """The row numbers of the training, validation and test part of the run in ``path``, as int64
    tensors."""
    return _read_split(path)[0]


def read_fold(path: Place) -> Any:
    """The fold of each training row of the run in ``path``, int8 (rows,); None if it has none."""
    return _read_split(path)[1]


def _read_split(path: Place) -> tuple[dict[str, Any], Any]:
    """The parts of the rows, and the folds of the training rows."""
    import torch

    parts = read_tensors(path / SPLIT)
    fold = parts.pop("fold", None)
    if set(parts) != {"train", "valid", "test"} or any(
        rows.dtype != torch.int64 or rows.dim() != 1 or (rows < 0).any() for rows in parts.values()
    ):
        raise InputError(f"{path / SPLIT}: expected the row numbers train, valid and test")
    if fold is not None and (
        fold.dtype != torch.int8 or fold.shape != parts["train"].shape or (fold < 0).any()
    ):
        raise InputError(f"{path / SPLIT}: expected a fold from 0 for each training row")
    return {part: parts[part] for part in ("train", "valid", "test")}, fold


def read_tensors(path: Place) -> dict[str, Any]:
    """The tensors of a file of a run; raises ``InputError`` if it is missing, damaged or newer."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = files.read(path)
        tensors: dict[str, Any] = load(content)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot read: {error}") from error
    length = int.from_bytes(content[:8], "little")
    header = files.loads(content[8 : 8 + length], str(path))
    about = header.get("__metadata__", {}).get("linnet", "{}")
    files.check_format(files.loads(about, str(path)), FORMAT, path)
    return tensors


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
    return known | dict.fromkeys(("created", "data", "chosen", "metric", "value", "valid"))


def describe(path: Place) -> dict[str, Any]:
    """A run as one row: name, state, data, date, and the chosen model's score on test rows
    (``value``) and on validation rows (``valid``), if it has them; ``metric`` is its name."""
    state, error = state_of(path)
    run = read_info(path) if (path / RUN).is_file() else {}
    metrics = read_metrics(path) if (path / METRICS).is_file() else {}
    chosen = metrics.get("chosen")
    test = metrics.get("models", {}).get(chosen, {}).get("test", {})
    valid = metrics.get("models", {}).get(chosen, {}).get("valid", {})
    task, held = task_in(test), task_in(valid)
    known = task or held
    return {
        "name": path.name,
        "path": str(path),
        "state": state,
        "error": error,
        "created": run.get("created"),
        "data": run.get("data", {}).get("name"),
        "chosen": chosen,
        "metric": None if known is None else known.score,
        "value": None if task is None else test[task.score],
        "valid": None if held is None else held.of(valid),
    }

"""Send a run's record to a sink; continue where the last process stopped.

The record is ``events.jsonl`` and the windows beside it, ``visdom-*.jsonl``. The positions up to
which they were sent are in ``.sync-<name>.json`` in the run's directory, which is written after the
sink has flushed. So a process that is stopped and started again sends nothing twice. A process that
was killed sends the events of its last two seconds again. Training knows nothing of this process.
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from linnet.core import files
from linnet.core.events import Event, Start
from linnet.core.history import drop_undone
from linnet.errors import InputError, LinnetWarning, RecipeError, WorkError
from linnet.integrations.sinks import find, missing
from linnet.integrations.sinks.base import Sink
from linnet.runs import directory
from linnet.runs.archive import run_place
from linnet.runs.events import read_new

POLL_SECONDS = 0.5
COMMIT_SECONDS = 2.0
STARTING_SECONDS = 10.0
"""The seconds to wait until a followed run reports that it runs."""
PATIENCE_SECONDS = 60.0
"""The seconds for which a failed call to a service is repeated before the sync gives up."""


def follow(
    run: Path,
    name: str,
    options: Mapping[str, str] | None = None,
    *,
    live: bool = False,
    patience: float = PATIENCE_SECONDS,
) -> int:
    """Send the new events of ``run`` to the sink ``name``; returns the number of events sent.

    ``live`` continues until the run has ended. If the service fails, the call is repeated for
    ``patience`` seconds, then this raises WorkError. Wrong options and missing packages are errors
    at once.
    """
    sink = find(name)()
    options = dict(options or {})
    for option in options:
        if option not in sink.options:
            known = ", ".join(sink.options) or "none"
            raise RecipeError(f'the sink "{name}" has no option "{option}"; it has: {known}')
    place = run_place(run)  # raises if it cannot be read
    if not os.path.isdir(run):
        raise InputError(
            f"{run} is not a folder; sync writes its position into the run's folder, so it cannot "
            "use a zip: unpack it"
            if place != run or run.exists()
            else f"there is no run {run}"
        )
    begun = time.monotonic()
    while live and (directory.state_of(run)[0] is None or not _records(run)):
        if time.monotonic() - begun > STARTING_SECONDS:
            break
        time.sleep(POLL_SECONDS)
    if not _records(run):
        raise InputError(f"{run} holds no {directory.EVENTS}: not a run of linnet")
    sending = _Sending(run, name, sink, patience)
    sending.attempt("open", lambda: sink.open(run, options))
    try:
        while True:
            going = live and directory.state_of(run)[0] == "running"
            sent = sending.count
            sending.send()
            if not going and sending.count == sent:
                break
            if going:
                time.sleep(POLL_SECONDS)
    except BaseException:
        with contextlib.suppress(Exception):
            sink.close()
        raise
    sending.attempt("close", sink.close)
    return sending.count


def _records(run: Path) -> list[Path]:
    found = [run / directory.EVENTS, *sorted(run.glob("visdom-*.jsonl"))]
    return [path for path in found if path.is_file()]


class _Sending:
    """The position in each file: a byte offset, and the number of events sent after it."""

    def __init__(self, run: Path, name: str, sink: Sink, patience: float) -> None:
        self._run, self._name, self._sink, self._patience = run, name, sink, patience
        self._path = run / f".sync-{name}.json"
        self._places: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            self._places = dict(files.read_json(self._path)["files"])
        self._committed = time.monotonic()
        self.count = 0

    def send(self) -> None:
        """Send all complete new lines."""
        for path in _records(self._run):
            start = {"offset": 0, "sent": 0, "wall": path.stat().st_mtime, "env": ""}
            place = self._places.setdefault(path.name, start)
            while True:
                events, end = read_new(path, place["offset"])
                if end == place["offset"]:
                    break
                self._send(events, place)
                place.update(offset=end, sent=0)
                self._commit()

    def _send(self, events: list[Event], place: dict[str, Any]) -> None:
        counted = {id(event) for event in drop_undone(events, whole=False)}
        try:
            for index, event in enumerate(events):
                if index < place["sent"]:
                    continue
                if isinstance(event, Start):
                    env = "" if event.env is None else str(event.env)
                    place.update(wall=_wall(event, place["wall"]), env=env)
                if id(event) in counted:
                    self._write(event, place)
                place["sent"] = index + 1
                if time.monotonic() - self._committed > COMMIT_SECONDS:
                    self._commit()
        except (KeyboardInterrupt, WorkError):
            self._commit()
            raise

    def _write(self, event: Event, place: dict[str, Any]) -> None:
        line = {**event.plain(), "wall": place["wall"] + (event.time or 0.0), "env": place["env"]}
        self.attempt("write", lambda: self._sink.write(line))
        self.count += 1

    def _commit(self) -> None:
        """The service has everything: store the positions in the run's directory."""
        self.attempt("flush", self._sink.flush)
        files.write_json(self._path, {"format": 1, "files": self._places})
        self._committed = time.monotonic()

    def attempt(self, what: str, call: Callable[[], None]) -> None:
        """Make ``call``; if the service fails, warn and try again, with growing waits."""
        begun, wait = time.monotonic(), 0.5
        while True:
            try:
                call()
                return
            except ModuleNotFoundError as error:
                raise WorkError(missing(self._name, str(error.name))) from error
            except InputError:
                raise
            except Exception as error:
                text = f"{self._name}: {what} failed: {type(error).__name__}: {error}"
                left = self._patience - (time.monotonic() - begun)
                if left <= 0:
                    raise WorkError(
                        f"{text}; given up after {self._patience:g} s. The run is not affected; "
                        f"linnet runs sync {self._run} --to {self._name} continues from here"
                    ) from error
                warnings.warn(f"{text}; trying again", LinnetWarning, stacklevel=2)
                time.sleep(min(wait, left))
                wait *= 2


def _wall(start: Start, otherwise: float) -> float:
    """The start of a record, in seconds since 1970."""
    try:
        begun = datetime.fromisoformat(str(start.wall)).timestamp()
    except ValueError:
        return otherwise
    return begun - (start.time or 0.0)

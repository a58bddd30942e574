"""The record of a run: events are appended to one file, ``events.jsonl``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.core import events, files
from linnet.core.events import Plain

if TYPE_CHECKING:
    from torch import Tensor

Event = Plain
"""The argument of ``echo``: an event in the form of its line."""


@dataclass(frozen=True)
class Step:
    """One step of a fit.

    ``values`` may be tensors on the device: they become numbers only when written. ``complete``
    says that a stretch has ended whose parameters are worth scoring (step 0, an epoch, one penalty
    of the line's path); ``last`` that an epoch has ended; ``reason`` says why the stretch or the
    fit stopped, with the remedy if there is one.
    """

    index: int
    values: Mapping[str, Tensor | float] = field(default_factory=dict)
    epoch: int = 0
    complete: bool = False
    reason: str | None = None
    last: bool = False

    @property
    def ended(self) -> bool:
        """Whether an epoch, a stretch or the fit has ended."""
        return self.last or self.reason is not None


class Record:
    """Writes events, one JSON line each; the lines are not buffered in this process.

    Writing waits for the device. ``Record()`` writes nothing. ``echo`` is called with every event,
    for a progress display in the same process; it cannot change the fit.
    """

    def __init__(
        self,
        path: Path | None = None,
        echo: Callable[[Event], None] | None = None,
        *,
        alone: bool = False,
    ) -> None:
        """``alone``: raise an error if another process is writing the file."""
        self._file = files.append(path, alone=alone) if path else None
        self._echo = echo
        self._start = time.monotonic()
        self.count = 0
        """The number of events, without those that a resume has undone."""

    def go_on(self, count: int, seconds: float, **values: Any) -> None:
        """Continue after the first ``count`` events, the last of them at ``seconds``; later events
        are undone. ``values`` are further fields of the "resume" event that is written."""
        self._start = time.monotonic() - seconds
        self.write(events.Resume(events=count, **values))
        self.count = count

    @property
    def seconds(self) -> float:
        """The seconds since the run began, without the time between a stop and a resume."""
        return time.monotonic() - self._start

    def sync(self) -> None:
        """Sync the file to disk, so that its events survive a power failure."""
        if self._file is not None:
            files.sync(self._file)

    @property
    def writes(self) -> bool:
        """Whether events are written to a file or passed to ``echo``."""
        return self._file is not None or self._echo is not None

    def write(self, event: events.Event | str, **values: Any) -> None:
        """Append one event, with the seconds since the run began.

        ``event`` is an event, or its kind; then ``values`` are its fields by name.
        """
        if not self.writes:
            return
        if isinstance(event, str):
            event = events.of({"event": event, **values})
        line: Event = {"event": event.kind, "time": round(self.seconds, 6)}
        for key, value in event.plain().items():
            if key not in line and value is not None:
                line[key] = _number(value)
        if self._file is not None:
            files.write_line(self._file, files.dumps(line).encode() + b"\n")
        self.count += 1
        if self._echo is not None:
            self._echo(line)

    def close(self) -> None:
        """Close the file; a closed record writes nothing."""
        if self._file is not None:
            self._file.close()
        self._file = self._echo = None


def _number(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _number(item) for key, item in value.items()}
    return value.item() if hasattr(value, "item") else value

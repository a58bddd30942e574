"""The record of a run: events are appended to one file, ``events.jsonl``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from linnet.core import events, files
from linnet.core.events import Plain

if TYPE_CHECKING:
    from torch import Tensor

Event = Plain
"""The argument of ``echo``: an event in the form of its line."""


Kind = Literal[
    "converged",  # the gradient is within its tolerance
    "rounding",  # as far down as the dtype can tell
    "stuck",  # rounding stops progress before that
    "max_iter",
    "separation",
    "epochs",  # all of them are done
    "no_progress",  # the training loss falls no more
    "early_stopping",  # the validation loss falls no more
]
"""Why a fit stopped."""


class Reason(str):
    """Why a fit stopped: words for people, and its kind for code."""

    kind: Kind

    def __new__(cls, words: str, kind: Kind) -> Self:
        """``words`` and ``kind``."""
        reason = super().__new__(cls, words)
        reason.kind = kind
        return reason

    @property
    def converged(self) -> bool:
        """Whether a convex fit is at its optimum."""
        return self.kind in ("converged", "rounding")


@dataclass(frozen=True)
class Step:
    """One step of a fit.

    ``values`` may be tensors on the device: they become numbers only when written. ``complete``
    says that a stretch has ended whose parameters are worth scoring (step 0, an epoch, one penalty
    of the line's path); ``last`` that an epoch has ended; ``reason`` says why the stretch or the
    fit stopped, with the remedy if there is one. In a fit by folds ``member`` is the number of the
    member that is fitted, and ``before`` the steps of the members before it.
    """

    index: int
    values: Mapping[str, Tensor | float] = field(default_factory=dict)
    epoch: int = 0
    complete: bool = False
    reason: Reason | None = None
    last: bool = False
    member: int | None = None
    before: int = 0

    @property
    def own(self) -> int:
        """The number of the step in the fit of its member."""
        return self.index - self.before

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

    def write(self, event: events.Event) -> None:
        """Append one event, with the seconds since the run began."""
        if not self.writes:
            return
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

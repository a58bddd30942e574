"""What a fit tells: events in, one append-only ``events.jsonl`` out."""

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
"""What ``echo`` is handed: an event as its line has it."""


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
    fit stopped, with the remedy if there is one.
    """

    index: int
    values: Mapping[str, Tensor | float] = field(default_factory=dict)
    epoch: int = 0
    complete: bool = False
    reason: Reason | None = None
    last: bool = False

    @property
    def ended(self) -> bool:
        """Whether an epoch, a stretch or the fit has ended."""
        return self.last or self.reason is not None


class Record:
    """Writes events, one JSON line each, with the system as soon as written.

    The one place that waits for the device. ``Record()`` writes nothing. ``echo`` is handed every
    event written, for a progress display in the same process; it decides nothing.
    """

    def __init__(
        self,
        path: Path | None = None,
        echo: Callable[[Event], None] | None = None,
        *,
        alone: bool = False,
    ) -> None:
        """``alone``: refused while another process writes the file so."""
        self._file = files.append(path, alone=alone) if path else None
        self._echo = echo
        self._start = time.monotonic()
        self.count = 0
        """Events that count: those written, without those that a resume took back."""

    def go_on(self, count: int, seconds: float, **values: Any) -> None:
        """Go on after the first ``count`` events, the last of them at ``seconds``: those after them
        are taken back. ``values`` are further fields of the event that says so."""
        self._start = time.monotonic() - seconds
        self.write(events.Resume(events=count, **values))
        self.count = count

    @property
    def seconds(self) -> float:
        """Since the run began, the time between a kill and a resume left out."""
        return time.monotonic() - self._start

    def sync(self) -> None:
        """Make what was written last through a power cut."""
        if self._file is not None:
            files.sync(self._file)

    @property
    def writes(self) -> bool:
        """Whether anything becomes of what is written."""
        return self._file is not None or self._echo is not None

    def write(self, event: events.Event) -> None:
        """Append one event with the seconds since the record was opened."""
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

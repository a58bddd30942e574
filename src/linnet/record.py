"""What a fit tells: steps in, one append-only ``events.jsonl`` out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet import files

if TYPE_CHECKING:
    from torch import Tensor

Event = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One step of a fit.

    ``values`` may be tensors on the device: they become numbers only when written. ``complete``
    says that a stretch has ended whose parameters are worth scoring (step 0, an epoch, one penalty
    of the line's path); ``reason`` says why the stretch or the fit stopped, with the remedy
    if there is one.
    """

    index: int
    values: Mapping[str, Tensor | float] = field(default_factory=dict)
    epoch: int = 0
    complete: bool = False
    reason: str | None = None


class Record:
    """Writes events, one JSON line each, with the system as soon as written.

    The one place that waits for the device. ``Record()`` writes nothing. ``echo`` is handed every
    event written, for a progress display in the same process; it decides nothing.
    """

    def __init__(
        self, path: Path | None = None, echo: Callable[[Event], None] | None = None
    ) -> None:
        self._file = files.append(path) if path else None
        self._echo = echo
        self._start = time.monotonic()

    def write(self, event: str, **values: Any) -> None:
        """Append one event with the seconds since the record was opened."""
        if self._file is None and self._echo is None:
            return
        line: Event = {"event": event, "time": round(time.monotonic() - self._start, 6)}
        line.update({key: _number(value) for key, value in values.items() if value is not None})
        if self._file is not None:
            self._file.write(files.dumps(line).encode() + b"\n")
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

"""Progress on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from linnet.record import Event

SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Shows the events of a record as they come."""

    def __init__(self) -> None:
        self._last = 0.0
        self._loss: float | None = None
        self._bar: Any = None
        self._task: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.fields[model]:<9}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        kind = event["event"]
        if kind == "finding" and event["severity"] == "warning":
            about = f"{event['model']}: " if "model" in event else ""
            warning = f"warning: {about}{event['text']}"
            if self._bar:
                self._bar.console.print(warning, markup=False, highlight=False)
            else:
                print(warning, file=sys.stderr, flush=True)
        if kind not in ("begin", "step", "evaluate", "fit"):
            return
        if kind == "step":
            self._loss = event["loss"]
        elif kind == "begin":
            self._loss = None
        words = _words(event, self._loss)
        if self._bar:
            self._draw(event, words)
        elif kind == "fit":
            print(f"{event['model']}: {event['reason']}", file=sys.stderr, flush=True)
        elif kind == "evaluate" and time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            print(f"{event['model']}: {words}", file=sys.stderr, flush=True)

    def _draw(self, event: Event, words: str) -> None:
        if event["event"] == "begin":
            total = event.get("steps")
            self._task = self._bar.add_task("", total=total, model=event["model"])
        elif event["event"] == "fit":
            done = max(1, event["steps"])
            self._bar.update(self._task, completed=done, total=done, description=words)
        elif event["event"] == "step" and "penalty" in event:
            self._bar.update(self._task, description=words)
        elif event["event"] == "step":
            self._bar.update(self._task, completed=event["step"])
        else:
            self._bar.update(self._task, description=words)


def _words(event: Event, training: float | None) -> str:
    if event["event"] == "fit":
        return str(event["reason"])
    if event["event"] == "step" and "penalty" in event:
        return (
            f"step {event['step']}, penalty {event['penalty']:.0e}, gradient "
            f"{event['gradient_max']:.1e}"
        )
    if event["event"] != "evaluate":
        return ""
    valid = event["valid"]
    headline = (
        f"accuracy {100 * valid['accuracy']:.2f} %"
        if "accuracy" in valid
        else f"RMSE {valid['rmse']:.4g}"
    )
    where = f"epoch {event['epoch']}" if event["epoch"] else f"step {event['step']}"
    learned = "" if training is None else f"training loss {training:.4f}, "
    return f"{where}: {learned}validation loss {valid['loss']:.4f}, {headline}"

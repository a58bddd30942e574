"""The base class of sinks: it turns events into calls of one service."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnet.core import files
from linnet.core.record import Event
from linnet.runs import directory

NOT_VALUES = ("event", "time", "wall", "env", "model", "step", "epoch")


class Sink:
    """One service. `open` is called once, then `write` for each event, `flush` now and then.

    If the service does not accept something, the sink raises an exception; the call is then
    repeated. So a call must not send only a part of an event and return. `write` interprets an
    event and calls the methods below it. A sink overrides those that it needs, or `write` itself.
    """

    options: tuple[str, ...] = ()
    """The settings that `open` understands."""

    def open(self, run: Path, options: Mapping[str, str]) -> None:
        """Connect to the service; continue where an earlier process with the same run stopped."""
        raise NotImplementedError

    def write(self, event: Event) -> None:
        """Send one event of the record; ``wall`` is its time in seconds since 1970.

        Events of windows (`linnet.integrations.compat.windows`) have ``env`` too, their
        environment.
        """
        kind, wall = event["event"], float(event["wall"])
        model, step = str(event.get("model")), event.get("step", 0)
        if kind == "step":
            self.scalars(_numbers(f"{model}/train", event), step, wall)
        elif kind == "evaluate":
            seen = event.get("train")
            learned = {**seen, "loss": None} if isinstance(seen, dict) else None
            self.scalars(_numbers(f"{model}/train", learned), step, wall)
            self.scalars(_numbers(f"{model}/valid", event.get("valid")), step, wall)
        elif kind == "test":
            self.summary(_numbers(f"{model}/test", event.get("test")), wall)
        elif kind in ("finding", "fit"):
            tag = "finding" if kind == "finding" else f"{model}/fit"
            self.text(tag, str(event.get("text", event.get("reason"))), 0, wall)
        elif kind == "end":
            self.end(wall)
        elif kind == "line":
            for line in event.get("lines", []):
                tag = f"{event['env']}/{event['win']}/{line['name']}"
                for x, y in zip(line["x"], line["y"], strict=True):
                    at, value = number(x), number(y)
                    if at is not None and abs(at) < 2**53 and value is not None:
                        self.scalars({tag: value}, round(at), wall)
        elif kind == "text":
            self.text(f"{event['env']}/{event['win']}", str(event["text"]), _seconds(event), wall)
        elif kind == "image":
            self.picture(f"{event['env']}/{event['win']}", event, _seconds(event), wall)

    def scalars(self, values: dict[str, float], step: int, wall: float) -> None:
        """Values of one step, by name: ``<model>/train/loss``, ``<model>/valid/accuracy``, ..."""

    def summary(self, values: dict[str, float], wall: float) -> None:
        """A model's scores on test rows, by name: ``<model>/test/accuracy``, ..."""

    def text(self, tag: str, text: str, step: int, wall: float) -> None:
        """A text; for a text of a window, ``step`` is the seconds since its program began."""

    def picture(self, tag: str, event: Event, step: int, wall: float) -> None:
        """A picture: the event's ``file`` in the run's directory; ``step`` as in `text`."""

    def end(self, wall: float) -> None:
        """The run has ended, and ``metrics.json`` exists."""

    def flush(self) -> None:
        """Send everything that is buffered: all events count as sent when this returns."""

    def close(self) -> None:
        """The last call. `linnet.runs.directory.state_of` gives the state of the run."""


def number(value: Any) -> float | None:
    """A number of the record, also NaN or infinity; None if ``value`` is not a number."""
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


def _numbers(prefix: str, values: Any) -> dict[str, float]:
    """The single numbers in ``values``; names get the ``prefix``."""
    if not isinstance(values, dict):
        return {}
    found = {k: number(v) for k, v in values.items() if k not in NOT_VALUES}
    return {f"{prefix}/{key}": value for key, value in found.items() if value is not None}


def _seconds(event: Event) -> int:
    return round(number(event.get("time")) or 0)


def recipe(run: Path) -> dict[str, bool | int | float | str]:
    """The run's recipe as a flat dict, with lists as text; empty if the run has none."""
    path = run / directory.RECIPE
    if not path.is_file():
        return {}
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        key: value if isinstance(value, (bool, int, float, str)) else files.dumps(value)
        for key, value in content.items()
    }


def identity(run: Path) -> str:
    """16 hexadecimal digits that identify the run at the service: a hash of name and run.json."""
    path = run / directory.RUN
    facts = path.read_bytes() if path.is_file() else str(run.absolute()).encode()
    return hashlib.sha256(run.absolute().name.encode() + b"\0" + facts).hexdigest()[:16]


def picture_path(run: Path, event: Event) -> Path | None:
    """The picture that an event names, if it belongs to the run and still exists."""
    folder = (run / "media").resolve()
    path = (run / str(event.get("file"))).resolve()
    return path if path.parent == folder and path.is_file() else None

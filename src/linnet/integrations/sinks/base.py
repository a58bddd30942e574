"""The base class of sinks: it turns events into calls of one service."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnet.core import events, files
from linnet.core.events import Plain
from linnet.runs import directory

NOT_VALUES = ("time", "wall", "env", "epoch")
"""What an event may hold beside its fields that is no value of a curve."""


class Sink:
    """One service. `open` is called once, then `write` for each event, `flush` now and then.

    If the service does not accept something, the sink raises an exception; the call is then
    repeated. So a call must not send only a part of an event and return. `write` interprets an
    event and calls the methods below it. A sink overrides those that it needs, or `write` itself.
    """

    options: tuple[str, ...] = ()
    """The settings that `open` understands."""

    packages: tuple[str, ...] = ()
    """The packages that `open` imports. Where one is missing, a run to this sink does not begin."""

    def open(self, run: Path, options: Mapping[str, str]) -> None:
        """Connect to the service; continue where an earlier process with the same run stopped."""
        raise NotImplementedError

    def write(self, event: Plain) -> None:
        """Send one event of the record, a dict: ``event`` says what it is, ``wall`` is its time in
        seconds since 1970, ``env`` the environment of the windows of a program
        (`linnet.integrations.compat.windows`).
        """
        wall = float(event["wall"])
        match events.of(event):
            case events.Step() as step:
                self.scalars(_numbers(f"{step.model}/train", step.values), step.step, wall)
            case events.Evaluate() as scored:
                learned = {**scored.train, "loss": None} if scored.train is not None else None
                self.scalars(_numbers(f"{scored.model}/train", learned), scored.step, wall)
                self.scalars(_numbers(f"{scored.model}/valid", scored.valid), scored.step, wall)
            case events.Test() | events.Yardstick() as tested:
                self.summary(_numbers(f"{tested.model}/test", tested.test), wall)
            case events.Finding() as finding:
                self.text("finding", finding.text, 0, wall)
            case events.Fit() as fit:
                self.text(f"{fit.model}/fit", str(fit.reason), 0, wall)
            case events.End():
                self.end(wall)
            case events.Line(kind="line") as drawn:
                for line in drawn.lines or []:
                    self._points_of(f"{event['env']}/{drawn.win}/{line['name']}", line, wall)
            case events.Text() as shown:
                self.text(f"{event['env']}/{shown.win}", str(shown.text), _seconds(event), wall)
            case events.Image() as image:
                self.picture(f"{event['env']}/{image.win}", event, _seconds(event), wall)

    def _points_of(self, tag: str, line: Mapping[str, Any], wall: float) -> None:
        """The points of a program's line that have a step and a value."""
        for x, y in zip(line["x"], line["y"], strict=True):
            at, value = number(x), number(y)
            if at is not None and abs(at) < 2**53 and value is not None:
                self.scalars({tag: value}, round(at), wall)

    def scalars(self, values: dict[str, float], step: int, wall: float) -> None:
        """Values of one step, by name: ``<model>/train/loss``, ``<model>/valid/accuracy``, ..."""

    def summary(self, values: dict[str, float], wall: float) -> None:
        """A model's scores on test rows, by name: ``<model>/test/accuracy``, ..."""

    def text(self, tag: str, text: str, step: int, wall: float) -> None:
        """A text; for a text of a window, ``step`` is the seconds since its program began."""

    def picture(self, tag: str, event: Plain, step: int, wall: float) -> None:
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


def _numbers(prefix: str, values: Mapping[str, Any] | None) -> dict[str, float]:
    """The single numbers among ``values``, under ``prefix``."""
    found = {k: number(v) for k, v in (values or {}).items() if k not in NOT_VALUES}
    return {f"{prefix}/{key}": value for key, value in found.items() if value is not None}


def _seconds(event: Plain) -> int:
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


def picture_path(run: Path, event: Plain) -> Path | None:
    """The picture that an event names, if it belongs to the run and still exists."""
    folder = (run / "media").resolve()
    path = (run / str(event.get("file"))).resolve()
    return path if path.parent == folder and path.is_file() else None

"""Read the windows that a program showed through ``linnet.compat.visdom``.

An *environment* is a set of windows with a name. It is one append-only file of events in a run's
directory, ``visdom-<env>.jsonl``; this module reads its state after the last event. All text in it
comes from a program: escape it before you show it.

The events, each with ``time`` (seconds since the last "start") and ``win`` (the window's name):

- ``start``: ``env``, ``wall`` (ISO 8601), ``format``
- ``line``, ``scatter``: ``lines``, a list of ``{name, x, y[, z, labels]}``; ``update`` is "append"
  or "replace" (only these lines), or absent (the whole window is new); with "remove", ``name``
- ``bar``: ``lines`` as above, where ``x`` may be names
- ``heatmap``: ``z``, a list of rows; ``update`` is "replace" or "appendRow", "appendColumn",
  "prependRow", "prependColumn"; or "remove"
- ``image``: ``file`` (in the run's directory), ``width`` and ``height`` in pixels, ``append``
- ``text``: ``text``, ``append``
- ``close``: without ``win``, all windows

All except "close" may have ``opts``, unchanged from the program.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linnet.core import events, files
from linnet.core.events import Event
from linnet.core.files import Place
from linnet.runs.events import read_kept

MEDIA = "media"
PICTURE = re.compile(rf"{MEDIA}/[0-9a-f]{{1,64}}\.png")
"""The pattern of the picture files: folder and name."""

Numbers = list[float]


@dataclass
class Line:
    """One named line, set of points or set of bars; ``x``, ``y`` and ``z`` have one length.

    A number may be NaN or infinite. ``points``: draw points without a line. ``labels`` are texts
    beside the points.
    """

    name: str
    x: list[Any] = field(default_factory=list)
    y: Numbers = field(default_factory=list)
    z: Numbers | None = None
    labels: list[str] | None = None
    points: bool = False


@dataclass
class Picture:
    """A picture: its file below the run's directory, its size in pixels, its caption."""

    file: str
    width: int
    height: int
    caption: str | None = None
    time: float = 0.0


@dataclass
class Window:
    """The state of one window.

    ``kind`` is "lines" (lines and points), "bars", "heatmap", "pictures" or "text"; only the field
    of that kind is set. The last of ``pictures`` is the current one; earlier ones are kept, oldest
    first. ``matrix`` is a list of rows; ``rows`` and ``columns`` are their names, if given.
    """

    name: str
    kind: str
    opts: dict[str, Any] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    matrix: list[Numbers] = field(default_factory=list)
    rows: list[str] | None = None
    columns: list[str] | None = None
    pictures: list[Picture] = field(default_factory=list)
    text: str = ""

    @property
    def title(self) -> str:
        """The title that the program gave, else the window's name."""
        return str(self.opts.get("title") or self.name)


def file_name(env: str) -> str:
    """``visdom-<env>.jsonl``, with the folder name's safe characters."""
    return f"{folder_name(env)}.jsonl"


def folder_name(env: str) -> str:
    """``visdom-<env>`` as a valid name of a file or folder, different for every ``env``."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", env)[:80]
    if plain != env:
        plain += "-" + hashlib.sha256(env.encode(errors="replace")).hexdigest()[:8]
    return f"visdom-{plain}"


def environments(run: Place) -> dict[str, Place]:
    """The environments in a run's directory: name and file of each."""
    found = {}
    for path in records(run):
        env = _env(path)
        if env is not None:
            found[env] = path
    return found


def records(run: Place) -> list[Place]:
    """The files of environments in a run's directory."""
    found = (path for path in run.iterdir() if re.fullmatch(r"visdom-.*\.jsonl", path.name))
    return sorted(found, key=lambda path: path.name)


def _env(path: Place) -> str | None:
    """The name in the first event of ``path``."""
    with files.opened(path) as file:
        line = file.readline(1 << 20)
    try:
        plain = files.loads(line, str(path))
    except ValueError:
        return None
    return str(plain["env"]) if isinstance(plain, dict) and "env" in plain else None


def windows(path: Place | str) -> dict[str, Window]:
    """The windows of the environment in the file ``path``, by name, oldest first."""
    path = Path(path) if isinstance(path, str) else path
    state: dict[str, Window] = {}
    for part in read_kept(path):
        for event in part:
            replay(state, event)
    return state


def replay(state: dict[str, Window], event: Event) -> None:
    """Update ``state`` with one event; an invalid event is skipped."""
    with contextlib.suppress(KeyError, TypeError, ValueError, ArithmeticError):
        _replay(state, event)


def _replay(state: dict[str, Window], event: Event) -> None:
    match event:
        case events.Close(win=None):
            state.clear()
        case events.Close():
            state.pop(str(event.win), None)
        case events.Line():
            _lines(state, event)
        case events.Heatmap(update="remove"):
            state.pop(str(event.win), None)
        case events.Heatmap():
            _paint(_window(state, event, "heatmap", event.update is not None), event)
        case events.Image(file=str(file), width=int(width), height=int(height)):
            if event.time is None or not PICTURE.fullmatch(file):
                return
            caption = (event.opts or {}).get("caption")
            words = None if caption is None else str(caption)
            picture = Picture(file, width, height, words, float(event.time))
            _window(state, event, "pictures", True).pictures.append(picture)
        case events.Text(text=str(text)):
            window = _window(state, event, "text", bool(event.append))
            text = re.sub(r"<br\s*/?>", "\n", text)
            window.text = f"{window.text}\n{text}" if event.append else text


def _lines(state: dict[str, Window], event: events.Line) -> None:
    """Draw lines, points or bars, or remove one of them."""
    if event.update == "remove":
        if (window := state.get(str(event.win))) is not None:
            window.lines = [line for line in window.lines if line.name != event.name]
        return
    kind = "bars" if isinstance(event, events.Bar) else "lines"
    window = _window(state, event, kind, event.update is not None)
    for line in event.lines or ():
        _draw(window, line, event.update == "append", isinstance(event, events.Scatter))


def _window(state: dict[str, Window], event: events.Drawn, kind: str, keep: bool) -> Window:
    """The existing window, if it shall be kept and has this kind; else a new one in its place."""
    name, opts = str(event.win), dict(event.opts or {})
    if keep and name in state and state[name].kind == kind:
        state[name].opts.update(opts)
    else:
        state[name] = Window(name, kind, opts)
    return state[name]


def _draw(window: Window, new: Mapping[str, Any], append: bool, points: bool) -> None:
    name = str(new["name"])
    line = next((line for line in window.lines if line.name == name), None)
    if line is None:
        line = Line(name, points=points)
        window.lines.append(line)
    elif not append:
        line.x, line.y, line.z, line.labels, line.points = [], [], None, None, points
    line.x += [x if window.kind == "bars" and isinstance(x, str) else float(x) for x in new["x"]]
    line.y += map(float, new["y"])
    if "z" in new:
        line.z = (line.z or []) + [float(z) for z in new["z"]]
    if "labels" in new:
        line.labels = (line.labels or []) + [str(label) for label in new["labels"]]


def _paint(window: Window, event: events.Heatmap) -> None:
    z: list[Numbers] = [[float(value) for value in row] for row in event.z or ()]
    rows, columns = (None if names is None else [*names] for names in (event.rows, event.columns))
    where = event.update or "replace"
    if where == "replace" or not window.matrix:
        window.matrix, window.rows, window.columns = z, rows, columns
    elif where in ("appendRow", "prependRow"):
        window.matrix = _join(window.matrix, z, where == "prependRow")
        if window.rows and rows:
            window.rows = _join(window.rows, rows, where == "prependRow")
    else:
        front = where == "prependColumn"
        window.matrix = [_join(a, b, front) for a, b in zip(window.matrix, z, strict=True)]
        if window.columns and columns:
            window.columns = _join(window.columns, columns, front)


def _join(old: list[Any], new: list[Any], front: bool) -> list[Any]:
    return new + old if front else old + new

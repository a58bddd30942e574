"""The windows of programs that draw with ``linnet.compat.visdom``, read while they change."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any

from linnet.core import files
from linnet.core.events import Close, Drawn, Event, Image, Start
from linnet.core.text import cut
from linnet.errors import LinnetError
from linnet.integrations.compat import draw, windows
from linnet.integrations.compat.windows import Line, Window
from linnet.runs import events

Json = dict[str, Any]
Name = tuple[str, str]
"""The name of a window: its environment and its own name."""

MAX_FILES = 10
MAX_WINDOWS = 100
"""The most windows of an environment: those that changed last are kept."""

MAX_KEPT = 20_000
"""The most points of a line that are kept; a longer line is thinned, and its peaks are kept."""

MAX_PICTURES = 200
"""The most pictures of a window that a page can show, evenly spaced; ten times as many are kept."""

MAX_TEXT = 10_000
"""The last letters of a text are shown, at most this many; ten times as many are kept."""

MAX_PICTURE_BYTES = 16 << 20
MAX_SIDE = 1 << 14
PNG = b"\x89PNG\r\n\x1a\n"

READ_BYTES = 1 << 20
READ_SECONDS = 0.5


class _File:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.inode = self.offset = 0
        self.env = ""
        self.state: dict[str, Window] = {}


class Windows:
    """The windows of one run. Each has a number, and the version of its last change; versions count
    the changes of all windows."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._files: dict[Path, _File] = {}
        self._begin()

    def _begin(self) -> None:
        self.key = secrets.token_hex(8)
        """Numbers and versions are valid only together with this key."""

        self._version = 0
        self._number: dict[Name, int] = {}
        self._changed: dict[Name, int] = {}
        self._pictures: set[str] = set()
        self._files.clear()

    def read(self) -> bool:
        """Read new events, for at most about ``READ_SECONDS``; returns whether there is more."""
        end = time.monotonic() + READ_SECONDS
        for path in paths(self._run):
            file = self._files.setdefault(path, _File(path))
            try:
                about = path.stat()
            except OSError:
                continue
            if (file.inode and about.st_ino != file.inode) or about.st_size < file.offset:
                self._begin()  # another file in its place
                return True
            file.inode = about.st_ino
            while about.st_size > file.offset:
                try:
                    found, offset = events.read_new(path, file.offset, READ_BYTES)
                except LinnetError:
                    break
                if offset <= file.offset:
                    break
                file.offset = offset
                self._take(file, found)
                if time.monotonic() > end:
                    return True
        return False

    def _take(self, file: _File, found: list[Event]) -> None:
        touched: dict[str, None] = {}
        for event in found:
            if isinstance(event, Start) and not file.env:
                file.env = str(event.env)
            windows.replay(file.state, event)
            if isinstance(event, (Drawn, Close)) and event.win is not None:
                touched[str(event.win)] = None
            if isinstance(event, Image):
                self._pictures.add(str(event.file))
        for win in touched:
            if win in file.state:
                _bound(file.state[win])
                name = file.env, win
                self._version += 1
                self._changed[name] = self._version
                self._number.setdefault(name, len(self._number))
        if len(file.state) > MAX_WINDOWS:
            oldest = sorted(file.state, key=lambda win: self._changed.get((file.env, win), 0))
            for win in oldest[:-MAX_WINDOWS]:
                del file.state[win]
        self._changed = {
            name: version
            for name, version in self._changed.items()
            if name[0] != file.env or name[1] in file.state
        }

    def news(self, after: int, key: str, most: int) -> Json:
        """The windows that changed after the version ``after`` of ``key``, oldest change first, in
        at most ``most`` bytes; ``there`` are the numbers of all windows, in order of creation."""
        if key != self.key:
            after = 0
        there = {(f.env, w): window for f in self._files.values() for w, window in f.state.items()}
        changed = sorted((v, name) for name, v in self._changed.items() if v > after)
        found: list[Json] = []
        size, more = 0, False
        for version, name in changed:
            if name not in there:
                continue
            told = _told(there[name], {"n": self._number[name], "env": clip(name[0])}, most // 2)
            length = len(files.dumps(told))
            if found and size + length > most:
                more = True
                break
            found.append(told)
            size, after = size + length, version
        numbers = sorted(self._number[name] for name in self._changed if name in there)
        return {"key": self.key, "at": after, "more": more, "there": numbers, "windows": found}

    def picture(self, name: str) -> bytes | None:
        """The PNG file of a picture that was shown, by its name without folder and suffix."""
        file = f"{windows.MEDIA}/{name}.png"
        if file not in self._pictures or not windows.PICTURE.fullmatch(file):
            return None
        path = self._run / file
        try:
            if path.is_symlink() or path.stat().st_size > MAX_PICTURE_BYTES:
                return None
            content = path.read_bytes()
        except OSError:
            return None
        sides = (int.from_bytes(content[place : place + 4]) for place in (16, 20))
        return content if content.startswith(PNG) and max(sides) <= MAX_SIDE else None


def paths(run: Path) -> list[Path]:
    """The record files of a run's environments."""
    try:
        return [path for path in windows.records(run) if isinstance(path, Path)][:MAX_FILES]
    except OSError:
        return []


def size(run: Path) -> int:
    """The total size of these files; it grows whenever there are new events."""
    total = 0
    for path in paths(run):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


def _bound(window: Window) -> None:
    """Drop what is never shown of a window, so that its memory is bounded."""
    for line in window.lines:
        count = min(len(line.x), len(line.y))
        if count > MAX_KEPT:
            _keep(line, draw.thin(line.y[:count], MAX_KEPT // 2))
    if len(window.pictures) > 10 * MAX_PICTURES:
        window.pictures[:-1] = window.pictures[:-1:2]
    window.text = window.text[-10 * MAX_TEXT :]


def _keep(line: Line, places: Any) -> None:
    line.x, line.y = [line.x[i] for i in places], [line.y[i] for i in places]
    if line.z is not None:
        line.z = [line.z[i] for i in places]
    if line.labels is not None:
        line.labels = [line.labels[i] for i in places]


def _told(window: Window, about: Json, most: int) -> Json:
    """A window in the form that the page draws, of at most ``most`` bytes."""
    about = {
        **about, "name": clip(window.name), "title": clip(window.title), "kind": window.kind
    }  # fmt: skip
    if window.kind == "text":
        text = window.text
        cut = len(text) > MAX_TEXT
        return {**about, "text": "…" + text[-MAX_TEXT:] if cut else text}
    if window.kind == "pictures":
        return {**about, "pictures": _pictures(window)}
    for points in (draw.MAX_POINTS, 500, 150, 50):
        told = {**about, **draw.figure(window, points)}
        if len(files.dumps(told)) <= most:
            return told
    return {**about, "kind": "text", "text": "too large to show"}


def _pictures(window: Window) -> list[Json]:
    found, kept = window.pictures, window.pictures
    if len(found) > MAX_PICTURES:
        kept = [found[i * (len(found) - 1) // (MAX_PICTURES - 1)] for i in range(MAX_PICTURES)]
    return [
        {
            "id": picture.file.removeprefix(f"{windows.MEDIA}/").removesuffix(".png"),
            "width": picture.width,
            "height": picture.height,
            "time": draw.number(picture.time),
            "caption": None if picture.caption is None else clip(picture.caption, 60),
        }
        for picture in kept
    ]


def clip(text: str, most: int = 200) -> str:
    """A name that is not too long."""
    return cut(text, most)

"""Reading a record, bytes to events: while it grows, and with a torn last line."""

from __future__ import annotations

import json
import os

from linnet.core import files
from linnet.core.events import Event, parse, step
from linnet.core.files import Place
from linnet.core.history import drop_undone
from linnet.errors import DataError

MAX_READ_BYTES = 64 << 20
"""What is read at once of a file that may be of any length."""

_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def read_new(path: Place, offset: int = 0, most: int = MAX_READ_BYTES) -> tuple[list[Event], int]:
    """The next whole lines of ``path`` from byte ``offset``, and where those after them begin.

    Of a long file ``most`` bytes are read, or one line that is longer: ask again until the offset
    stays. A last line without its end is left for the next time. A line that is no event is passed
    over: the rest of a record is worth more than none.
    """
    try:
        with files.opened(path) as file:
            size = file.seek(0, os.SEEK_END)
            if size < offset:  # another file in its place
                offset = 0
            file.seek(offset)
            content = file.read(most)
            if b"\n" not in content:
                content += file.read(MAX_READ_BYTES - len(content))
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    end = content.rfind(b"\n") + 1
    if not end and len(content) == MAX_READ_BYTES:
        end = len(content)  # no event is that long
    try:
        lines: list[str] | list[bytes] = content[:end].decode().split("\n")
    except UnicodeDecodeError:  # somewhere: each line is judged alone
        lines = content[:end].split(b"\n")
    found = []
    for line in lines:
        event = _quickly(line) if isinstance(line, str) else None
        try:
            found.append(parse(files.loads(line, str(path))) if event is None else event)
        except ValueError:
            continue
    return found, offset + end


def _quickly(line: str) -> Event | None:
    """A step in a flat line, as strictly as ``files.loads`` and ``parse`` read it, in a third of
    the time; else None.

    As many colons as keys: none of them stands twice, in a text, or in an object within.
    """
    try:
        plain, end = _scan(line, 0)
    except (ValueError, StopIteration, RecursionError):
        return None
    flat = end == len(line) and type(plain) is dict and line.count(":") == len(plain)
    return step(plain) if flat and "NaN" not in line else None


def read_all(path: Place) -> list[Event]:
    """Every event, without those that a resume took back."""
    events: list[Event] = []
    offset = 0
    while True:
        more, end = read_new(path, offset)
        events += more
        if end == offset:
            return drop_undone(events)
        offset = end

"""Read a record's bytes as events, also while it grows and if its last line is incomplete."""

from __future__ import annotations

import json
import os

from linnet.core import files
from linnet.core.events import Event, Start, parse, step
from linnet.core.files import Place
from linnet.core.history import drop_undone
from linnet.errors import DataError
from linnet.runs.directory import FORMAT

MAX_READ_BYTES = 64 << 20
"""The most bytes that are read at once."""

_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def read_new(path: Place, offset: int = 0, most: int = MAX_READ_BYTES) -> tuple[list[Event], int]:
    """The events of the next complete lines of ``path`` from byte ``offset``, and the next offset.

    Of a long file ``most`` bytes are read, or one line if it is longer: call again until the offset
    does not change. An incomplete last line is left for the next call. A line that is not an event
    is skipped, so that the rest of a damaged record can be read. Raises ``DataError`` for a record
    of a later linnet.
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
        end = len(content)  # skip it: no event is this long
    try:
        lines: list[str] | list[bytes] = content[:end].decode().split("\n")
    except UnicodeDecodeError:  # decode each line alone, and skip the damaged ones
        lines = content[:end].split(b"\n")
    found = []
    for line in lines:
        event = _quickly(line) if isinstance(line, str) else None
        try:
            found.append(parse(files.loads(line, str(path))) if event is None else event)
        except ValueError:
            continue
    for event in found:
        if isinstance(event, Start) and type(event.format) is int and event.format > FORMAT:
            files.check_format({"format": event.format}, FORMAT, path, DataError)
    return found, offset + end


def _quickly(line: str) -> Event | None:
    """Read a line with a step as strictly as ``files.loads`` and ``parse``, in a third of the time;
    None for other lines.

    A line with as many colons as keys has no key twice, no colon in a text and no nested object.
    """
    try:
        plain, end = _scan(line, 0)
    except (ValueError, StopIteration, RecursionError):
        return None
    flat = end == len(line) and type(plain) is dict and line.count(":") == len(plain)
    return step(plain) if flat and "NaN" not in line else None


def read_all(path: Place) -> list[Event]:
    """All events, without those that a resume has undone."""
    events: list[Event] = []
    offset = 0
    while True:
        more, end = read_new(path, offset)
        events += more
        if end == offset:
            return drop_undone(events)
        offset = end

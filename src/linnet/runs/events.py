"""Read a record's bytes as events, also while it grows and if its last line is incomplete."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import BinaryIO

from linnet.core import files
from linnet.core.events import Event, Resume, Start, parse, step
from linnet.core.files import Place
from linnet.core.history import History, drop_undone
from linnet.core.limits import MAX_EVENT
from linnet.errors import DataError
from linnet.runs.directory import FORMAT

MAX_READ_BYTES = MAX_EVENT.bytes
"""The most bytes that are read at once; a longer line is no event, and is skipped."""

PART_BYTES = 1 << 20
"""The bytes of a part of a record."""

MAX_BY_STEP = 100_000
"""The most events of a record that was resumed at a step, and does not say after how many."""

RESUME = b'"resume"'

MAX_STEP_LETTERS = 20_000
"""A longer line is read more carefully: it may be long because it was made to cost much."""

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
            return _next(file, path, offset, most)
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error


def _next(file: BinaryIO, path: Place, offset: int, most: int) -> tuple[list[Event], int]:
    """As ``read_new``, of an open file; raises OSError."""
    size = file.seek(0, os.SEEK_END)
    if size < offset:  # another file in its place
        offset = 0
    file.seek(offset)
    content = file.read(most)
    if b"\n" not in content:
        content += file.read(MAX_READ_BYTES - len(content))
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
            found.append(parse(files.loads(line, str(path), MAX_EVENT)) if event is None else event)
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
    if len(line) > MAX_STEP_LETTERS:
        return None
    try:
        plain, end = _scan(line, 0)
    except (ValueError, StopIteration, RecursionError):
        return None
    flat = end == len(line) and type(plain) is dict and line.count(":") == len(plain)
    return step(plain) if flat and "NaN" not in line else None


def read_all(path: Place) -> list[Event]:
    """All events, without those that a resume has undone."""
    return [event for part in read_kept(path) for event in part]


def history(path: Place) -> History:
    """The whole record as a history; no more than a part of its events is held at once."""
    found = History()
    for part in read_kept(path):
        found.extend(part)
    return found


def read_kept(path: Place) -> Iterator[list[Event]]:
    """The events in parts, without those that a resume has undone.

    A record with a resume is read twice: first to count which events are undone.
    """
    if not _resumed(path):
        yield from _parts(path)
        return
    kept = _Kept()
    for place, event in enumerate(event for part in _parts(path) for event in part):
        kept.take(place, event)
    if kept.by_step:
        if place >= MAX_BY_STEP:
            raise DataError(
                f"{path}: it was resumed without a count of events, and has more than "
                f"{MAX_BY_STEP:,} (MAX_BY_STEP); linnet writes no such record"
            )
        yield drop_undone([event for part in _parts(path) for event in part])
        return
    place = 0
    for part in _parts(path):
        yield kept.among(part, place)
        place += len(part)


class _Kept:
    """Which events of a record count, by their place in it, as ranges."""

    def __init__(self) -> None:
        self.by_step = False
        """Whether a resume says only at which step it was."""

        self._ranges: list[tuple[int, int]] = []
        self._count = 0

    def take(self, place: int, event: Event) -> None:
        """The next event of the record; a resume undoes all after the first ``events``."""
        if not isinstance(event, Resume):
            start = place
            if self._ranges and self._ranges[-1][1] == place:
                start = self._ranges.pop()[0]
            self._ranges.append((start, place + 1))
            self._count += 1
            return
        self.by_step |= event.events is None
        while self._ranges and self._count > (event.events or 0):
            start, stop = self._ranges.pop()
            left = max(0, stop - start - (self._count - (event.events or 0)))
            self._count -= stop - start - left
            if left:
                self._ranges.append((start, start + left))

    def among(self, part: list[Event], place: int) -> list[Event]:
        """Those of a part of the record that count; its first event is at ``place``."""
        found: list[Event] = []
        for start, stop in self._ranges:
            if start < place + len(part) and stop > place:
                found += part[max(0, start - place) : stop - place]
        return found


def _parts(path: Place) -> Iterator[list[Event]]:
    """All events of a record, in parts. It is opened once: opening a member of a zip unpacks it."""
    offset = 0
    try:
        with files.opened(path) as file:
            while True:
                found, end = _next(file, path, offset, PART_BYTES)
                yield found
                if end == offset:
                    return
                offset = end
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error


def _resumed(path: Place) -> bool:
    """Whether a record may hold a resume: its bytes name one."""
    before = b""
    try:
        with files.opened(path) as file:
            while more := file.read(PART_BYTES):
                if RESUME in before + more:
                    return True
                before = more[-len(RESUME) :]
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    return False

"""Reading ``events.jsonl``: while it grows, with a torn last line, and after a resume."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from linnet import files
from linnet.errors import DataError
from linnet.record import Event

MAX_READ_BYTES = 64 << 20
"""What is read at once of a file that may be of any length."""


def read_new(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """The whole lines of ``path`` from byte ``offset``, and where the next one begins.

    A last line without its end is left for the next time. A line that is no event is passed over:
    the rest of a record is worth more than none.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < offset:  # another file in its place
                offset = 0
            file.seek(offset)
            content = file.read(MAX_READ_BYTES)
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    end = content.rfind(b"\n") + 1
    if not end and len(content) == MAX_READ_BYTES:
        end = len(content)  # no event is that long
    found = []
    for line in content[:end].splitlines():
        try:
            event = files.loads(line, str(path))
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            found.append(event)
    return found, offset + end


def read_all(path: Path) -> list[Event]:
    """Every event, without those that a resume took back."""
    events: list[Event] = []
    offset = 0
    while True:
        more, end = read_new(path, offset)
        events += more
        if end == offset:
            return without_undone(events)
        offset = end


def without_undone(events: Iterable[Event]) -> list[Event]:
    """The events as they count: a "resume" at a step takes back what its model did after it."""
    kept: list[Event] = []
    for event in events:
        if event["event"] == "resume":
            kept = [earlier for earlier in kept if not _undone(earlier, event)]
        else:
            kept.append(event)
    return kept


def _undone(earlier: Event, resume: Event) -> bool:
    step, most = earlier.get("step"), resume.get("step", 0)
    same = earlier.get("model") == resume.get("model")
    return same and isinstance(step, int) and step > most


def series(events: Iterable[Event]) -> dict[str, dict[str, dict[str, list[Any]]]]:
    """What was written of each model, as lists of equal length.

    By model, then "train" (``step, epoch, time, loss, lr``, ...) and "valid" (``step, epoch, time,
    loss, accuracy`` or ``rmse``); a value that an event lacks is None.
    """
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for event in events:
        if event["event"] not in ("step", "evaluate") or "model" not in event:
            continue
        parts = rows.setdefault(str(event["model"]), {"train": [], "valid": []})
        row = {k: v for k, v in event.items() if k not in ("event", "model", "valid")}
        if event["event"] == "evaluate":
            held = event.get("valid")
            parts["valid"].append({**row, **(held if isinstance(held, dict) else {})})
        else:
            parts["train"].append(row)
    result: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for model, parts in rows.items():
        result[model] = {}
        for part, found in parts.items():
            keys = list(dict.fromkeys(key for row in found for key in row))
            result[model][part] = {key: [row.get(key) for row in found] for key in keys}
    return result

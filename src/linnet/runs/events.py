"""Reading ``events.jsonl``: while it grows, with a torn last line, and after a resume."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from typing import Any

from linnet.core import files
from linnet.core.files import Place
from linnet.core.record import Event
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
        if event is None:
            try:
                event = files.loads(line, str(path))
            except ValueError:
                continue
        if isinstance(event, dict) and isinstance(event.get("event"), str) and _sound(event):
            found.append(event)
    return found, offset + end


MAX_WHOLE = 2**53
"""Whole numbers beyond it are none that anything counted."""

LARGEST = 1e300

NOT_FINITE = ("NaN", "Infinity", "-Infinity")
"""How strict JSON tells of numbers that are not finite."""

_WHOLE = ("step", "epoch", "steps", "best_step", "events")
_TEXT = ("model", "text", "reason", "severity", "wall")
_SCORES = ("valid", "train")
_ROWS = ("step", "evaluate")


def _sound(found: Event) -> bool:
    """Whether a line of ``events.jsonl`` is one that can be worked with."""
    if _usual(found):
        return True
    rows = found["event"] in _ROWS
    if rows and "step" not in found:
        return False
    seconds = found["event"] == "spent"  # its "steps" are the seconds of them
    for key, value in found.items():
        kind = type(value)
        if key in _WHOLE and not (seconds and key == "steps"):
            if value is not None and (kind is not int or not 0 <= value <= MAX_WHOLE):
                return False
            if value is None and key == "step":
                return False
        elif key in _TEXT:
            if kind is not str:
                return False
        elif key in _SCORES:
            if kind is not dict or not all(map(_number, value.values())):
                return False
        elif (rows or key == "time") and not _number(value) and kind not in (bool, type(None)):
            if key == "event":
                continue
            return False
    return found["event"] != "finding" or "text" in found


def _usual(found: Event) -> bool:
    """Whether it is a step as a fit writes it, which is told in a third of the time."""
    if found["event"] != "step" or type(found.get("step")) is not int:
        return False
    values = found.values()
    floats = [value for value in values if type(value) is float]
    whole = [value for value in values if type(value) is int]
    return (
        len(floats) + len(whole) + 2 == len(found)
        and type(found.get("model")) is str
        and type(found.get("epoch", 0)) is int
        and 0 <= min(whole) <= max(whole) <= MAX_WHOLE
        and (not floats or -LARGEST <= min(floats) <= max(floats) <= LARGEST)
    )


def _number(value: Any) -> bool:
    if type(value) in (int, float):
        return bool(-LARGEST <= value <= LARGEST)
    return value in NOT_FINITE if type(value) is str else False


def _quickly(line: str) -> Event | None:
    """A flat event, as strictly as ``files.loads`` reads it, in half the time; else None.

    As many colons as keys: none of them stands twice, in a text, or in an object within.
    """
    try:
        event, end = _scan(line, 0)
    except (ValueError, StopIteration, RecursionError):
        return None
    if end != len(line) or type(event) is not dict or line.count(":") != len(event) or "[" in line:
        return None
    values = event.values()
    if math.inf in values or -math.inf in values or "NaN" in line:
        return None
    return event


def read_all(path: Place) -> list[Event]:
    """Every event, without those that a resume took back."""
    events: list[Event] = []
    offset = 0
    while True:
        more, end = read_new(path, offset)
        events += more
        if end == offset:
            return without_undone(events)
        offset = end


def without_undone(events: Iterable[Event], *, whole: bool = True) -> list[Event]:
    """The events as they count. Of a whole record a "resume" takes back all after the first so many
    ``events``; where it does not say how many, and of a part of a record, what its model did after
    its ``step``."""
    kept: list[Event] = []
    for event in events:
        if event["event"] == "resume":
            count = event.get("events") if whole else None
            if type(count) is int and count >= 0:
                kept = kept[:count]
            else:
                kept = [earlier for earlier in kept if not _undone(earlier, event)]
        else:
            kept.append(event)
    return kept


def _undone(earlier: Event, resume: Event) -> bool:
    step, most = earlier.get("step"), resume.get("step", 0)
    same = earlier.get("model") == resume.get("model")
    return same and isinstance(step, int) and step > most


Parts = dict[str, dict[str, list[Any]]]
"""Of one model: "train" and "valid", and in each the values by name."""


def series(events: Iterable[Event]) -> dict[str, Parts]:
    """What was written of each model, as lists of equal length.

    By model, then "train" (``step, epoch, time, loss, lr``, ..., and ``accuracy`` or ``rmse`` of
    the training rows that were scored) and "valid" (``step, epoch, time, loss, accuracy`` or
    ``rmse``); a value that an event lacks is None. The training loss is the mean over the steps as
    they were taken.
    """
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for event in events:
        if event["event"] not in ("step", "evaluate") or "model" not in event:
            continue
        parts = rows.setdefault(str(event["model"]), {"train": [], "valid": []})
        row = {k: v for k, v in event.items() if k not in ("event", "model", "valid", "train")}
        if event["event"] == "evaluate":
            held = event.get("valid")
            parts["valid"].append({**row, **(held if isinstance(held, dict) else {})})
            seen = event.get("train")
            if isinstance(seen, dict) and seen:
                scores = {key: value for key, value in seen.items() if key != "loss"}
                parts["train"].append({**row, **scores})
        else:
            parts["train"].append(row)
    result: dict[str, Parts] = {}
    for model, parts in rows.items():
        result[model] = {}
        for part, found in parts.items():
            keys = list(dict.fromkeys(key for row in found for key in row))
            result[model][part] = {key: [row.get(key) for row in found] for key in keys}
    return result


def joined(before: Parts, own: Parts, step: int) -> Parts:
    """Two series of a model as one: ``own`` began where ``before`` was at ``step``."""
    last = {"step": step}
    for key in ("epoch", "time"):
        reached = [
            value
            for part in before.values()
            for at, value in zip(part.get("step", ()), part.get(key, ()), strict=False)
            if at <= step and value is not None
        ]
        last[key] = max(reached, default=0)
    result: Parts = {}
    for name in dict.fromkeys([*before, *own]):
        first, second = before.get(name, {}), own.get(name, {})
        keep = [place for place, at in enumerate(first.get("step", ())) if at <= step]
        more = [place for place, at in enumerate(second.get("step", ())) if at > 0]
        result[name] = {
            key: [first[key][place] if key in first else None for place in keep]
            + [
                _later(second[key][place], last.get(key)) if key in second else None
                for place in more
            ]
            for key in dict.fromkeys([*first, *second])
        }
    return result


def _later(value: Any, by: float | None) -> Any:
    return value if by is None or value is None else value + by

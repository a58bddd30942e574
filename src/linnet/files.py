"""The only place that writes, flushes, fsyncs and renames; and strict JSON."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, BinaryIO

from linnet.errors import InputError, WorkError

Json = Any
"""What strict JSON holds: dict, list, str, int, float, bool, None."""

MAX_JSON_DEPTH = 100


def write(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, or leave it as it was: never half of either.

    The bytes go to a temporary file in the same folder, are flushed and fsynced, and renamed; then
    the folder is fsynced.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise WorkError(f"{path}: cannot write {len(content):,} bytes: {reason}") from error
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` last through a power cut, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def append(path: Path) -> BinaryIO:
    """``path``, open to append whole lines, unbuffered: a line is with the system once written."""
    try:
        return open(path, "ab", buffering=0)
    except OSError as error:
        raise WorkError(f"{path}: cannot open to append: {error.strerror}") from error


def plain(value: Json) -> Json:
    """``value`` with non-finite numbers as the strings "NaN", "Infinity", "-Infinity"."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dumps(value: Json) -> str:
    """Strict JSON on one line, keys in the order given."""
    try:
        return _ENCODE(value)
    except ValueError:  # a number that is not finite
        return _ENCODE(plain(value))


def canonical(value: Json) -> bytes:
    """The one spelling of ``value`` as strict JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(
        plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
    )
    return text.encode()


def pretty(value: Json) -> str:
    """Strict JSON for people: indented, keys in the order given, a final newline."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def loads(content: bytes | str, source: str) -> Json:
    """Parse strict JSON; ``source`` is named in errors.

    Refused: duplicate keys, NaN and infinities, numbers out of range, deep nesting, bad UTF-8.
    """

    def pairs(items: list[tuple[str, Json]]) -> dict[str, Json]:
        result = dict(items)
        if len(result) != len(items):
            keys = [key for key, _ in items]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{source}: the JSON key {twice!r} stands twice in one object")
        return result

    def constant(name: str) -> Json:
        raise InputError(f"{source}: {name} is not JSON; expected a finite number")

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise InputError(f"{source}: the number {text} is out of range")
        return value

    try:
        text = content.decode() if isinstance(content, bytes) else content
        if _depth(text) > MAX_JSON_DEPTH:
            raise InputError(
                f"{source}: JSON nested deeper than {MAX_JSON_DEPTH} levels (MAX_JSON_DEPTH)"
            )
        return json.loads(
            text, object_pairs_hook=pairs, parse_constant=constant, parse_float=number
        )
    except InputError:
        raise
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise InputError(f"{source}: not JSON: {error}") from error


def _depth(text: str) -> int:
    """An upper bound on the nesting of JSON text (brackets inside strings count too)."""
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return 0
    deepest = depth = 0
    inside = escaped = False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def read_json(path: Path) -> Json:
    """The strict JSON in ``path``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error
    return loads(content, str(path))


def write_json(path: Path, value: Json) -> None:
    """Replace ``path`` by ``value`` as strict JSON for people."""
    write(path, pretty(value).encode())

"""The only place that writes, flushes, fsyncs and renames; and strict JSON."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import stat
import zipfile
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from linnet.errors import InputError, WorkError

Json = Any
"""What strict JSON holds: dict, list, str, int, float, bool, None."""

MAX_JSON_DEPTH = 100
MAX_JSON_BYTES = 64 << 20
"""Of a file of JSON that is read whole."""

Place = Path | zipfile.Path
"""A file or a folder: on disk, or within a zip that is held in memory (``runs.archive``)."""


def opened(place: Place) -> BinaryIO:
    """``place``, open to read; raises OSError, also of a damaged zip, and of what is no plain file:
    a pipe would never end."""
    if isinstance(place, Path):
        file = open(place, "rb", opener=_at_once)  # noqa: SIM115
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "it is no plain file")
        return file
    try:
        size = place.root.getinfo(place.at).file_size
        with place.root.open(place.at) as member:
            return BytesIO(member.read(size))  # never more than it declares
    except KeyError:
        raise FileNotFoundError(None, "the zip holds no such file") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise OSError(None, f"the zip is damaged: {str(error)[:200]}") from error


def _at_once(path: str, flags: int) -> int:
    """Open a path without waiting for whoever is at a pipe's other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class About(NamedTuple):
    """What tells whether a file is another, or has changed."""

    inode: int
    size: int
    changed: int


def about(place: Place) -> About:
    """Of a file; raises OSError. What is within a zip never changes."""
    if isinstance(place, Path):
        found = place.stat()
        return About(found.st_ino, found.st_size, found.st_mtime_ns)
    try:
        return About(1, place.root.getinfo(place.at).file_size, 1)
    except KeyError:
        raise FileNotFoundError(None, "the zip holds no such file") from None


def read(place: Place) -> bytes:
    """All of the file; raises OSError."""
    with opened(place) as file:
        return file.read()


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
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
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


def append(path: Path, *, alone: bool = False) -> BinaryIO:
    """``path``, open to append whole lines, unbuffered: a line is with the system once written.

    Where the last line there is has no end, as a killed writer leaves it, it gets one.
    ``alone`` locks the file against others who do until it is closed, or this process ends.
    """
    try:
        file = open(path, "a+b", buffering=0)  # noqa: SIM115
        if alone and not _lock(file):
            file.close()
            raise InputError(f"{path}: another process writes it; wait for its end, or stop it")
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        return file
    except OSError as error:
        raise WorkError(f"{path}: cannot open to append: {error.strerror}") from error


def _lock(file: BinaryIO) -> bool:
    """Whether no other process has ``file`` locked; then this one has."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # Windows, or a disk without locks: a heartbeat has to tell
        return True
    return True


def write_line(file: BinaryIO, line: bytes) -> None:
    """Append a whole line; where the disk takes but a part of it, the file is cut back."""
    try:
        written = file.write(line)
        if written != len(line):
            file.truncate(os.fstat(file.fileno()).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise WorkError(
            f"{file.name}: cannot write {len(line):,} bytes: {error.strerror}; free some room, and "
            "linnet train --resume goes on from the last checkpoint"
        ) from error


def sync(file: BinaryIO) -> None:
    """Make what was written last through a power cut."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        raise WorkError(f"{file.name}: cannot be made to last: {error.strerror}") from error


def make_folder(path: Path) -> None:
    """The folder ``path``, there or made, lasting."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise WorkError(f"{path}: cannot make this folder: {error.strerror}") from error
    sync_folder(path.parent)


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


def pretty(value: Json, *, ascii: bool = False) -> str:
    """Strict JSON for people: indented, keys in the order given, a final newline."""
    return json.dumps(plain(value), ensure_ascii=ascii, allow_nan=False, indent=2) + "\n"


def loads(content: bytes | str, source: str) -> Json:
    """Parse strict JSON; ``source`` is named in errors.

    Refused: duplicate keys, NaN and infinities, numbers out of range, deep nesting, bad UTF-8.
    """

    def pairs(items: list[tuple[str, Json]]) -> dict[str, Json]:
        result = dict(items)
        if len(result) != len(items):
            twice = Counter(key for key, _ in items).most_common(1)[0][0]
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


def read_json(path: Place) -> Json:
    """The strict JSON in ``path``."""
    try:
        with opened(path) as file:
            content = file.read(MAX_JSON_BYTES + 1)
        if len(content) > MAX_JSON_BYTES:
            raise InputError(f"{path}: more than {MAX_JSON_BYTES:,} bytes (MAX_JSON_BYTES)")
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error
    return loads(content, str(path))


def write_json(path: Path, value: Json) -> None:
    """Replace ``path`` by ``value`` as strict JSON for people; half characters, as the name of a
    file may hold, become "?"."""
    write(path, pretty(value).encode(errors="replace"))

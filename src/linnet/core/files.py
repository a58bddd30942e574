"""The only module that writes, flushes, fsyncs and renames files; also strict JSON."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import secrets
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from linnet.core.limits import MAX_JSON, MAX_JSON_DEPTH, MAX_JSON_KEYS, Limit
from linnet.core.text import cut, literal
from linnet.errors import InputError, WorkError

Json = Any
"""A value of strict JSON: dict, list, str, int, float, bool, None."""

Place = Path | zipfile.Path
"""A file or a folder, on disk or inside a zip in memory (``runs.archive``)."""


def opened(place: Place) -> BinaryIO:
    """Open ``place`` for reading.

    Raises OSError, also for a damaged zip, and for anything but a regular file: a pipe would never
    end.
    """
    if isinstance(place, Path):
        file = open(place, "rb", opener=_at_once)  # noqa: SIM115
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "it is no plain file")
        return file
    try:
        size = place.root.getinfo(place.at).file_size
        with place.root.open(place.at) as member:
            return BytesIO(member.read(size))  # not more than the declared size
    except KeyError:
        raise FileNotFoundError(None, "the zip holds no such file") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise OSError(None, f"the zip is damaged: {str(error)[:200]}") from error


def not_a_link(path: str, flags: int) -> int:
    """Open a path to write, but not through a symbolic link at its end."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _at_once(path: str, flags: int) -> int:
    """Open a path; for a pipe, do not wait for its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class About(NamedTuple):
    """The facts of a file that change if it is replaced or modified."""

    inode: int
    size: int
    changed: int


def about(place: Place) -> About:
    """The facts about a file; raises OSError. A file inside a zip never changes."""
    if isinstance(place, Path):
        found = place.stat()
        return About(found.st_ino, found.st_size, found.st_mtime_ns)
    try:
        return About(1, place.root.getinfo(place.at).file_size, 1)
    except KeyError:
        raise FileNotFoundError(None, "the zip holds no such file") from None


def read(place: Place) -> bytes:
    """The whole content of a file; raises OSError."""
    with opened(place) as file:
        return file.read()


def write(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, or leave it as it was, never half written.

    The content goes to a temporary file in the same folder, whose name nobody knows before and
    which is new: no link that waits there is followed. The file is flushed, fsynced and renamed;
    then the folder is fsynced.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb", opener=not_a_link) as file:
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


_TEMPORARY: list[tempfile.TemporaryDirectory[str]] = []
"""Folders that are removed when this process ends."""


def temporary(blocks: Iterable[bytes], name: str) -> Path:
    """A new file called ``name``, in a folder of its own, that this process removes when it ends;
    raises OSError."""
    folder = tempfile.TemporaryDirectory(prefix="linnet-")
    _TEMPORARY.append(folder)
    path = Path(folder.name) / name
    with open(path, "xb") as file:
        for block in blocks:
            file.write(block)
    return path


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut, if the system supports it."""
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
    """Open ``path`` to append whole lines, without a buffer: each write reaches the system.

    If the last line has no line end (its writer was killed), add one. ``alone`` locks the file
    against other writers that lock it, until it is closed or this process ends.
    """
    try:
        file = open(path, "a+b", buffering=0)  # noqa: SIM115
        if alone and not _lock(file):
            file.close()
            raise InputError(
                f"{path}: another process writes to it; wait until it ends, or stop it"
            )
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        return file
    except OSError as error:
        raise WorkError(f"{path}: cannot open to append: {error.strerror}") from error


def _lock(file: BinaryIO) -> bool:
    """Try to lock ``file``; False if another process has locked it."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # Windows, or a disk without locks: the heartbeat decides
        return True
    return True


def write_line(file: BinaryIO, line: bytes) -> None:
    """Append a whole line; if the disk takes only a part of it, cut the file back."""
    try:
        written = file.write(line)
        if written != len(line):
            file.truncate(os.fstat(file.fileno()).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise WorkError(
            f"{file.name}: cannot write {len(line):,} bytes: {error.strerror}; free some space, "
            "then linnet train --resume continues from the last checkpoint"
        ) from error


def sync(file: BinaryIO) -> None:
    """Make the written data survive a power cut."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        raise WorkError(f"{file.name}: cannot sync to disk: {error.strerror}") from error


def fresh(path: Path) -> BinaryIO:
    """Open a new file to write, with a buffer; raises OSError, also if it is there."""
    return open(path, "xb", opener=not_a_link)


@contextlib.contextmanager
def nameless(folder: Path, size: int) -> Iterator[str]:
    """A new file of ``size`` bytes in ``folder``, which loses its name when the block ends: it is
    gone when nothing has it open or mapped. Raises ``WorkError`` if the disk lacks the space."""
    left = free(folder)
    if left is not None and size > left:
        raise WorkError(
            f"{folder}: {size / 1e9:,.1f} GB are needed there for a time, and {left / 1e9:,.1f} GB "
            "are free"
        )
    path = folder / f".{secrets.token_hex(8)}.scratch"
    try:
        with open(path, "xb", opener=not_a_link) as file:
            file.truncate(size)
        yield str(path)
    except OSError as error:
        raise WorkError(f"{folder}: cannot write: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_for_a_time(folder: Path) -> Iterator[Path]:
    """A new folder in ``folder``, removed when the block ends; raises OSError."""
    path = folder / f".{secrets.token_hex(8)}.tmp"
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def flush(file: BinaryIO) -> None:
    """Make what was written survive a power cut; raises OSError."""
    file.flush()
    os.fsync(file.fileno())


def move_folder(temporary: Path, path: Path) -> None:
    """Give a folder that is whole its name; if another process was faster, its folder stays."""
    try:
        os.rename(temporary, path)
    except OSError:
        if not path.is_dir():
            raise
    sync_folder(path.parent)


def free(folder: Path) -> int | None:
    """The free bytes of the disk on which ``folder`` is, or will be; None if that is unknown."""
    for place in (folder, *folder.absolute().parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


def make_folders(path: Path) -> None:
    """Make the folder ``path``, and those above it, if they do not exist."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"{path}: cannot make this folder: {error.strerror}") from error


def make_folder(path: Path) -> None:
    """Make the folder ``path`` if it does not exist, so that it survives a power cut."""
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
    """Strict JSON on one line; the keys keep their order."""
    try:
        return _ENCODE(value)
    except ValueError:  # a number that is not finite
        return _ENCODE(plain(value))


def canonical(value: Json) -> bytes:
    """``value`` as canonical strict JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(
        plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
    )
    return text.encode()


def pretty(value: Json, *, ascii: bool = False) -> str:
    """Strict JSON for people: indented, keys in their order, a newline at the end."""
    return json.dumps(plain(value), ensure_ascii=ascii, allow_nan=False, indent=2) + "\n"


def loads(content: bytes | str, source: str, limit: Limit = MAX_JSON) -> Json:
    """Parse strict JSON; errors name ``source``.

    Refused: duplicate keys, NaN and infinities, numbers out of range, deep nesting, objects of very
    many keys, bad UTF-8; and before anything is parsed, more bytes or values than ``limit``.
    """
    if (wrong := beyond(content, limit)) is not None:
        raise InputError(f"{source}: {wrong}")

    def pairs(items: list[tuple[str, Json]]) -> dict[str, Json]:
        if len(items) > MAX_JSON_KEYS:
            raise InputError(
                f"{source}: an object of {len(items):,} keys; at most {MAX_JSON_KEYS:,} "
                "(MAX_JSON_KEYS)"
            )
        result = dict(items)
        if len(result) != len(items):
            twice = Counter(key for key, _ in items).most_common(1)[0][0]
            raise InputError(f"{source}: the JSON key {literal(twice)} occurs twice in one object")
        return result

    def constant(name: str) -> Json:
        raise InputError(f"{source}: {name} is not JSON; expected a finite number")

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise InputError(f"{source}: the number {cut(text, 60)} is out of range")
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
        raise InputError(f"{source}: not JSON: {cut(str(error), 200)}") from error


def beyond(content: bytes | str, limit: Limit) -> str | None:
    """What of a JSON text is beyond ``limit``, in words; None if nothing is."""
    if len(content) > limit.bytes:
        return f"more than {limit.bytes:,} bytes ({limit.name}_BYTES)"
    if isinstance(content, bytes):
        values = sum(map(content.count, (b",", b"[", b"{")))
    else:
        values = sum(map(content.count, ",[{"))
    if values > limit.values:  # a value is the first of its list or object, or follows a comma
        return f"more than {limit.values:,} values ({limit.name}_VALUES)"
    return None


def _depth(text: str) -> int:
    """The nesting of JSON text; an upper bound where the text is no JSON."""
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return 0
    deepest = depth = 0
    for bracket in re.sub(_NO_BRACKETS, "", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def check_format(
    value: Json, known: int, source: object, error: type[InputError] = InputError
) -> None:
    """Raise ``error`` unless ``value`` is an object whose "format" is a whole number from 1 to
    ``known``: a file of a later linnet may mean something else by the same words."""
    found = value.get("format") if isinstance(value, dict) else None
    if type(found) is not int or found < 1:
        raise error(f"{source}: no format number; expected {known}")
    if found > known:
        raise error(
            f"{source}: written in format {found}; this linnet reads up to {known}: upgrade linnet"
        )


_NO_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[^"\[\]{}]++', re.DOTALL)
"""A string, also one that does not end; or text between strings and brackets."""


def read_json(path: Place, limit: Limit = MAX_JSON) -> Json:
    """The strict JSON in ``path``, within ``limit``."""
    try:
        with opened(path) as file:
            content = file.read(limit.bytes + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error
    return loads(content, str(path), limit)


def write_json(path: Path, value: Json, limit: Limit = MAX_JSON) -> None:
    """Replace ``path`` by ``value`` as strict JSON for people, within ``limit``.

    Half characters, which names of files may hold, become "?".
    """
    content = pretty(value).encode(errors="replace")
    if (wrong := beyond(content, limit)) is not None:
        raise WorkError(f"{path}: not written, because linnet would not read it again: {wrong}")
    write(path, content)

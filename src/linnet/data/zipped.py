"""A zip of a folder is read as that folder: it is unpacked for as long as it is read."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from linnet.core.text import of_path
from linnet.data.dataset import Dataset
from linnet.data.table import Table, Warned
from linnet.errors import DataError, LinnetError

MAX_RATIO = 200
"""The most bytes that a byte of a zip may become, beyond ``SMALL_BYTES``: pictures become about as
many, tables 20 at most. Deflate itself reaches 1,032."""

SMALL_BYTES = 64 << 20
MAX_FILES = 5_000_000
LITTER = "__MACOSX"


def is_zip(place: object) -> bool:
    """Whether it is the path of a zip, by its name and its first bytes."""
    if not isinstance(place, (str, Path)) or Path(place).suffix.lower() != ".zip":
        return False
    try:
        with open(place, "rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False


@contextmanager
def unpacked(place: Path) -> Iterator[Path]:
    """The folder that the zip ``place`` holds, or the file if it holds but one, in a temporary
    folder that is gone afterwards. Errors of linnet from within name the zip instead.

    Raises ``DataError`` for a damaged zip, for names that lead out of it, for links, and for a zip
    that would not fit on the disk or swells too much.
    """
    with tempfile.TemporaryDirectory(prefix="linnet-", ignore_cleanup_errors=True) as top:
        folder = Path(top) / place.stem
        folder.mkdir()
        names = _unpack(place, folder)
        inside = folder / names[0] if len(names) == 1 else folder
        if is_zip(inside):
            raise DataError(f"{of_path(place)}: a zip in a zip; unpack it, and give the inner one")
        try:
            yield inside
        except LinnetError as error:
            told = str(error.args[0]) if error.args else ""
            error.args = (_named(told, folder, place), *error.args[1:])
            raise


def named(found: Dataset | Table, folder: Path, place: Path) -> Dataset | Table:
    """What was read from the unpacked ``folder``, with remarks that name the zip ``place``."""
    notes = tuple(
        Warned(_named(note.what, folder, place), _named(note.remedy, folder, place))
        if isinstance(note, Warned)
        else _named(note, folder, place)
        for note in found.notes
    )
    return replace(found, name=_named(found.name, folder, place), notes=notes)


def _named(text: str, folder: Path, place: Path) -> str:
    top = folder if folder.is_dir() else folder.parent
    return text.replace(of_path(top), of_path(place))


def _unpack(place: Path, folder: Path) -> list[str]:
    """Write the files of a zip into ``folder``; returns their names."""
    try:
        with zipfile.ZipFile(place) as packed:
            members = _wanted(place, packed.infolist())
            _check_room(place, members, folder)
            for name, member in members.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, open(target, "xb") as file:
                    shutil.copyfileobj(source, file)
    except FileExistsError as error:
        raise DataError(f"{of_path(place)}: {error.filename!r} is in this zip twice") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        if isinstance(error, LinnetError):
            raise
        raise DataError(f"{of_path(place)}: a damaged zip: {error}; copy it again") from error
    except OSError as error:
        raise DataError(f"{of_path(place)}: cannot unpack: {error.strerror or error}") from error
    return list(members)


def _wanted(place: Path, members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The files of a zip by name, without hidden ones and macOS's own."""
    if len(members) > MAX_FILES:
        raise DataError(f"{of_path(place)}: {len(members):,} files; at most {MAX_FILES:,}")
    found = {}
    for member in members:
        name = member.filename.replace("\\", "/")  # as some Windows programs write it
        parts = PurePosixPath(name).parts
        wrong = None
        if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0] or "\0" in name:
            wrong = "has a name that points outside of it"
        elif stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            wrong = "is a link or a device"
        elif member.flag_bits & 0x1:
            wrong = "is encrypted"
        if wrong is not None:
            raise DataError(
                f"{of_path(place)}: {name[:200]!r} in this zip {wrong}; unpack it yourself, and "
                "give the folder"
            )
        if not name.endswith("/") and LITTER not in parts and not parts[-1].startswith("."):
            found["/".join(parts)] = member
    if not found:
        raise DataError(f"{of_path(place)}: this zip holds no files")
    return found


def _check_room(place: Path, members: dict[str, zipfile.ZipInfo], folder: Path) -> None:
    """Raise if the files are too large for the disk, or for the zip that they come from."""
    need = sum(member.file_size for member in members.values())
    given = place.stat().st_size
    if need > SMALL_BYTES and need > MAX_RATIO * given:
        raise DataError(
            f"{of_path(place)}: {given:,} bytes that become {need:,}, more than {MAX_RATIO} times "
            "as many (MAX_RATIO); if you trust it, unpack it yourself, and give the folder"
        )
    free = shutil.disk_usage(folder).free
    if need > free:
        raise DataError(
            f"{of_path(place)}: takes {need:,} bytes when unpacked, and {free:,} are free in "
            f"{tempfile.gettempdir()}; set TMPDIR to a folder with more room"
        )

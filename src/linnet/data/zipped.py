"""A zip of a folder is read as that folder: it is unpacked for as long as it is read."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Unpacked:
    """What a zip holds: the folder ``inside``, or the file if it holds but one, somewhere below the
    temporary folder ``top``."""

    zip: Path
    top: Path
    inside: Path

    def told(self, text: str) -> str:
        """The text, with paths that begin with the zip."""
        return text.replace(of_path(self.top), of_path(self.zip))

    def named(self, found: Dataset | Table) -> Dataset | Table:
        """What was read from ``inside``; its name and its remarks name the zip."""
        notes = tuple(
            Warned(self.told(note.what), self.told(note.remedy))
            if isinstance(note, Warned)
            else self.told(note)
            for note in found.notes
        )
        own = of_path(self.inside.name)
        name = self.zip.stem if found.name == own and self.inside.is_dir() else found.name
        return replace(found, name=of_path(name), notes=notes)


@contextmanager
def unpacked(place: Path) -> Iterator[Unpacked]:
    """What the zip ``place`` holds, unpacked for as long as it is read. Single folders around all
    of it are opened. Errors of linnet from within name the zip.

    Raises ``DataError`` for a damaged zip, for names that lead out of it, for links, and for a zip
    that would not fit on the disk or swells too much.
    """
    with tempfile.TemporaryDirectory(prefix="linnet-", ignore_cleanup_errors=True) as folder:
        top = Path(folder) / place.stem
        top.mkdir()
        names = _unpack(place, top)
        inside = top / names[0] if len(names) == 1 else top
        while inside.is_dir() and len(each := list(inside.iterdir())) == 1 and each[0].is_dir():
            (inside,) = each
        if is_zip(inside):
            raise DataError(f"{of_path(place)}: a zip in a zip; unpack it, and give the inner one")
        found = Unpacked(place, top, inside)
        try:
            yield found
        except LinnetError as error:
            told = str(error.args[0]) if error.args else ""
            error.args = (found.told(told), *error.args[1:])
            raise


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
    except FileExistsError:
        raise DataError(f"{of_path(place)}: a file of this zip is a folder, too") from None
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
        name = "/".join(parts)
        if member.is_dir() or LITTER in parts or parts[-1].startswith("."):
            continue
        if name in found:
            raise DataError(f"{of_path(place)}: {name[:200]!r} is in this zip twice")
        found[name] = member
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

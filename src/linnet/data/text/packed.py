"""Text in packed files: gzip, bzip2, xz, and a zip that holds one table.

What a file is follows from its first bytes. Unpacking goes block by block, and never takes more
memory than a bound; how much text comes out is bounded in ``lines.Stream``.
"""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from linnet.core.text import listed
from linnet.errors import DataError

ENDINGS = (".gz", ".bz2", ".xz")

FIRST = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"PK\x03\x04": "zip"}
"""The first bytes of each kind of packed file."""

MAX_XZ_MEMORY = 256 << 20
"""A file of xz that needs more memory to unpack is refused; those of ``xz -9`` need 65 MB."""

MAX_ZIP_LIST_BYTES = 4 << 20
"""A zip whose list of members is longer is not looked into."""

UTF_8 = 0x800
"""The flag of a member of a zip whose name is UTF-8 (APPNOTE 4.4.4)."""

BLOCK = 1 << 16
END, END_BYTES, END_64 = b"PK\x05\x06", 22, b"PK\x06\x07"
"""The last record of a zip, its length, and the one before it of 64-bit sizes (APPNOTE 4.3)."""

TABLES = (".csv", ".tsv", ".tab", ".data", ".dat", ".jsonl", ".ndjson")
PLAIN = ".txt"
"""The endings of tables in a zip; one of ``PLAIN`` is the table if there is no other."""

BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, ValueError)
"""What is raised for damaged files."""


@dataclass(frozen=True)
class Inside:
    """The file in a packed file, or the plain file itself: its ``name``, and of a zip its
    ``member`` and the names of the ``others``."""

    name: str
    member: zipfile.ZipInfo | None = None
    others: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return Path(self.name).stem

    def notes(self) -> tuple[str, ...]:
        """What is left out of a zip."""
        if not self.others:
            return ()
        return (f"of the zip {self.name} is read, and left out: {listed(self.others, 5)}",)


def inside(path: Path) -> Inside | None:
    """The file in ``path`` by its name; None for a zip that does not hold exactly one table."""
    name = path.name
    for ending in ENDINGS:
        if name.lower().endswith(ending):
            return Inside(name[: -len(ending)])
    if not name.lower().endswith(".zip"):
        return Inside(name)
    try:
        with open(path, "rb") as file:
            return _table_in(file, path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None


def _table_in(file: BinaryIO, path: Path) -> Inside | None:
    """The only table in the zip ``path``."""
    if not is_small(file):
        return None
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if not _is_junk(member.filename)]
    for endings in (TABLES, (PLAIN,)):
        found = [member for member in members if member.filename.lower().endswith(endings)]
        if found:
            break
    if len(found) != 1 or any(map(_is_picture, members)):
        return None
    others = tuple(member.filename for member in members if member is not found[0])
    name = PurePosixPath(found[0].filename).name
    if not (name.isascii() or found[0].flag_bits & UTF_8):  # in an encoding that nothing tells
        name = path.stem + PurePosixPath(name).suffix
    return Inside(name, found[0], others)


def is_small(file: BinaryIO) -> bool:
    """Whether the list of members at the end of a zip is short, and without sizes of 64 bits."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - END_BYTES - 0xFFFF - 20)
    file.seek(start)
    tail = file.read()
    file.seek(0)
    place = tail.rfind(END)
    if place < 0 or len(tail) < place + END_BYTES or tail[max(0, place - 20) :].startswith(END_64):
        return False
    return int.from_bytes(tail[place + 12 : place + 16], "little") <= MAX_ZIP_LIST_BYTES


def _is_junk(name: str) -> bool:
    """Whether a member is a folder, or one of the files that systems add."""
    last = PurePosixPath(name).name
    junk = (
        name.endswith("/") or last.startswith(".") or last.lower() in ("thumbs.db", "desktop.ini")
    )
    return junk or name.startswith("__MACOSX/")


def _is_picture(member: zipfile.ZipInfo) -> bool:
    pictures = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
    return member.filename.lower().endswith(pictures)


class Unpacked:
    """The bytes of an open file, unpacked if it is packed: ``kind`` is "" or says how."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._raw = file
        self._path = path
        self._size: int | None = None
        self.made = 0
        self._file: Any = file
        file.seek(0)
        head = file.read(6)
        file.seek(0)
        self.kind = next((kind for first, kind in FIRST.items() if head.startswith(first)), "")
        if self.kind == "gzip":
            self._file = gzip.GzipFile(fileobj=file)
        elif self.kind == "bzip2":
            self._file = _Blocks(file, self._library("bz2").BZ2Decompressor)
        elif self.kind == "xz":
            lzma = self._library("lzma")
            self._file = _Blocks(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_MEMORY))
        elif self.kind == "zip":
            try:
                self._file = self._member()
            except DataError:
                raise
            except (*BROKEN, NotImplementedError, RuntimeError) as error:
                raise self._broken(str(error)) from error

    def _library(self, name: str) -> Any:
        """A module of the standard library, which not every Python is built with."""
        try:
            return import_module(name)
        except ImportError as error:
            raise DataError(
                f"{self._path}: this Python was built without {name}, so it cannot unpack "
                f"{self.kind}; unpack the file yourself and give the text"
            ) from error

    def _member(self) -> Any:
        """The table in a zip; raises DataError if it cannot be unpacked."""
        found = (
            _table_in(self._raw, self._path) if self._path.name.lower().endswith(".zip") else None
        )
        if found is None or found.member is None:
            raise DataError(
                f"{self._path}: begins as a zip, or as an Excel workbook, and not as text; give it "
                "the ending of what it is (.zip, .xlsx)"
            )
        member = found.member
        if member.flag_bits & 1:
            raise self._broken(f"{member.filename} is encrypted; unpack it yourself")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._broken(f"{member.filename} is neither stored nor deflated")
        self._raw.seek(0)
        self._size = member.compress_size
        return zipfile.ZipFile(self._raw).open(member)

    def read(self, size: int) -> bytes:
        """``size`` bytes, or what is left; raises DataError for a damaged file."""
        try:
            data: bytes = self._file.read(size)
        except BROKEN as error:
            after = f"after {self.made:,} unpacked bytes: {error}"
            raise self._broken(after) from error
        self.made += len(data)
        return data

    @property
    def given(self) -> int:
        """The bytes of the file that were unpacked so far, at most."""
        return self._raw.tell() if self._size is None else self._size

    def _broken(self, why: str) -> DataError:
        return DataError(f"{self._path}: broken {self.kind}: {why}; fetch or copy it again")


class _Blocks:
    """Unpacks one stream after another, as much as is asked for."""

    def __init__(self, file: BinaryIO, make: Callable[[], Any]) -> None:
        self._file = file
        self._make = make
        self._decoder = make()

    def read(self, size: int) -> bytes:
        """``size`` bytes, or what is left."""
        found: list[bytes] = []
        while size > 0:
            feed = b""
            if self._decoder.eof:
                feed = (self._decoder.unused_data or self._file.read(BLOCK)).lstrip(b"\0")
                if not feed:
                    break
                self._decoder = self._make()
            elif self._decoder.needs_input and not (feed := self._file.read(BLOCK)):
                raise EOFError("it ends within the packed text")
            try:
                found.append(self._decoder.decompress(feed, size))
            except MemoryError:
                raise
            except Exception as error:  # bz2 and lzma each have their own for damaged data
                raise ValueError(str(error)) from error
            size -= len(found[-1])
        return b"".join(found)

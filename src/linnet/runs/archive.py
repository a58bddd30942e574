"""A run as one portable zip file: write it, and read it without unpacking it on disk."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path, PurePosixPath

from linnet.core import files
from linnet.core.files import Place
from linnet.errors import InputError
from linnet.runs import directory

LEFT_OUT = ("checkpoints",)
TIME = (1980, 1, 1, 0, 0, 0)
"""The time of every member of a zip, so that the same run gives the same bytes."""

MAX_ZIP_BYTES = 1 << 30
MAX_UNPACKED_BYTES = 1 << 30
MAX_RATIO = 25
"""The most bytes that a byte of a zip may become, in a member of more than ``MAX_SMALL_BYTES``: the
texts of a run become 10 at most, so that reading a small zip costs little."""

MAX_SMALL_BYTES = 4 << 20
MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 4 << 20
"""The most bytes of the list of members at the end of a zip."""

END, END_BYTES, END_64 = b"PK\x05\x06", 22, b"PK\x06\x07"
"""The signature of the last record of a zip, its length without a comment, and the signature of the
record before it in a zip with 64-bit sizes (PKWARE's APPNOTE 4.3)."""


def run_place(path: Path) -> Place:
    """The place of a run's files: the folder ``path``, or the inside of the zip ``path``.

    A zip is read into memory and checked first: its sizes, and that every name is that of a plain
    file inside it. Nothing is written to disk. The path of another file is returned unchanged.
    Raises ``InputError``.
    """
    try:
        if not path.is_file():
            return path
        with open(path, "rb") as file:
            if file.read(2) != b"PK":
                return path
            if path.suffix.lower() != ".zip" and not zipfile.is_zipfile(path):
                return path  # the caller reports that it is not a model
            size = file.seek(0, 2)
            if size > MAX_ZIP_BYTES:
                raise InputError(
                    f"{path}: {size:,} bytes; a zip of a run has at most {MAX_ZIP_BYTES:,} "
                    "(MAX_ZIP_BYTES); unpack it yourself and give the folder"
                )
            file.seek(0)
            content = file.read(size + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error
    if _of_64_bits(path, content):
        return path
    try:
        packed = zipfile.ZipFile(BytesIO(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: a damaged zip: {error}") from error
    packed.filename = str(path)  # the name in messages
    members = packed.infolist()
    names = [member.filename for member in members]
    tops = {name.partition("/")[0] for name in names}
    top = f"{tops.pop()}/" if len(tops) == 1 and directory.RUN not in names else ""
    if f"{top}{directory.RUN}" not in names:
        return path  # another kind of zip: the caller reports what it expected
    _check_all(path, members)
    return zipfile.Path(packed, top)


def _check_all(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse members that are no run's files, are there twice, or are too large when unpacked."""
    names = Counter(member.filename for member in members)
    for member in members:
        _check(path, member)
        if names[member.filename] > 1:
            raise InputError(f"{path}: {member.filename!r} is in this zip twice")
    total = sum(member.file_size for member in members)
    if total > MAX_UNPACKED_BYTES:
        raise InputError(
            f"{path}: {total:,} bytes when unpacked; at most {MAX_UNPACKED_BYTES:,} "
            "(MAX_UNPACKED_BYTES)"
        )
    for member in members:
        if _swells(member.file_size, member.compress_size):
            raise InputError(
                f"{path}: {member.filename!r} in this zip swells from {member.compress_size:,} to "
                f"{member.file_size:,} bytes, more than {MAX_RATIO} times (MAX_RATIO); if you "
                "trust it, unpack it yourself and give the folder"
            )


def _of_64_bits(path: Path, content: bytes) -> bool:
    """Whether it is a zip with 64-bit sizes, as PyTorch writes but linnet does not; raises
    ``InputError`` if its list of members is missing or too long."""
    place = content.rfind(END, max(0, len(content) - END_BYTES - 0xFFFF))
    if content[-END_BYTES:].startswith(END):
        place = len(content) - END_BYTES
    if place < 0 or len(content) < place + END_BYTES:
        raise InputError(f"{path}: a damaged zip: its end is missing; copy it again")
    length = int.from_bytes(content[place + 12 : place + 16], "little")
    count = int.from_bytes(content[place + 10 : place + 12], "little")
    if END_64 in content[max(0, place - 20) : place]:
        return True
    if count > MAX_MEMBERS or length > MAX_DIRECTORY_BYTES:
        raise InputError(
            f"{path}: too many files for a zip of a run; at most {MAX_MEMBERS:,} (MAX_MEMBERS), "
            f"their list at most {MAX_DIRECTORY_BYTES:,} bytes (MAX_DIRECTORY_BYTES)"
        )
    return False


def _swells(size: int, packed: int) -> bool:
    """Whether a member is larger than a small one, and much larger than in the zip."""
    return size > MAX_SMALL_BYTES and size > MAX_RATIO * packed


def _check(path: Path, member: zipfile.ZipInfo) -> None:
    """Refuse a member that is not a plain file or folder inside the zip, or cannot be read."""
    name, parts = member.filename, PurePosixPath(member.filename).parts
    plain = "/".join(parts) == name.rstrip("/") and not name.endswith("//")
    wrong = None
    if not parts or not plain or ".." in parts or parts[0] == "/" or "\\" in name:
        wrong = "a name that points outside the zip"
    elif not name.isprintable() or ":" in parts[0]:
        wrong = "not the name of a file"
    elif stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        wrong = "a link or a device"
    elif member.flag_bits & 0x1:
        wrong = "encrypted"
    elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        wrong = "compressed by a method other than stored or deflated"
    if wrong is not None:
        raise InputError(f"{path}: {name[:200]!r} in this zip is {wrong}; expected a run's files")


def model_place(path: Path, model: str | None = None) -> Place:
    """The model file for ``path``: itself, or if it is a run, its chosen model or ``model``."""
    place = run_place(path)
    if place == path and path.is_file():
        from linnet.fit.artifact import read_manifest  # pydantic takes a while to import

        if model is not None and (found := read_manifest(path).model) != model:
            raise InputError(f'{path} is the model "{found}", and not "{model}": name its run')
        return path
    if isinstance(place, Path) and not place.exists():
        raise InputError(f"there is no run or model file {place}")
    metrics = directory.read_metrics(place)
    name = model or metrics["chosen"]
    if name not in metrics["models"]:
        known = ", ".join(metrics["models"])
        raise InputError(f'{path} has no model "{name}"; it has {known}')
    return place / f"{name}.safetensors"


def pack(run: Path, out: Path, notebook: Path | None = None) -> int:
    """Write the run in ``run`` as a zip to ``out``; returns the number of files in it.

    It holds all files of the run except checkpoints, a ``requirements.txt`` with the exact
    versions, and the ``notebook`` or script, if given. Links are not followed.
    """
    info = directory.read_info(run)
    directory.read_metrics(run)  # raises an error if the run is not finished
    members = {
        path.relative_to(run).as_posix(): path
        for path in sorted(run.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and path.relative_to(run).parts[0] not in LEFT_OUT
    }
    versions = info.get("versions", {})
    lines = [f"{name}=={version}\n" for name, version in versions.items() if name != "python"]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in members.items():
            content = path.read_bytes()
            large = len(content) > MAX_SMALL_BYTES
            swells = large and _swells(len(content), len(zlib.compress(content)))
            method = zipfile.ZIP_STORED if swells else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name, TIME), content, method)
        archive.writestr(zipfile.ZipInfo("requirements.txt", TIME), "".join(lines))
        if notebook is not None:
            try:
                content = notebook.read_bytes()
            except OSError as error:
                raise InputError(f"{notebook}: cannot read: {error.strerror}") from error
            archive.writestr(zipfile.ZipInfo(f"notebook/{notebook.name}", TIME), content)
        count = len(archive.namelist())
    files.write(out, buffer.getvalue())
    return count

"""Download known data sets: the only module of linnet that uses the network by itself.

A file gets its name only after its sha256 is checked, so it does not matter which mirror sent it,
or through which computers it came.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import socket
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any, BinaryIO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from linnet.core import files
from linnet.core.registry import suggest
from linnet.data.known import KNOWN, Known, RemoteFile, cache
from linnet.errors import DataError, FetchError, WorkError

TIMEOUT = 30.0
CHUNK = 1 << 18

MAX_MEMBER_BYTES = 1 << 28
"""Larger members of an archive are refused."""

Progress = Callable[[str, int, int], None]


def fetch(
    name: str,
    *,
    mirrors: Sequence[str] | None = None,
    folder: Path | None = None,
    progress: Progress = lambda file, done, total: None,
) -> Path:
    """Download the known data set ``name`` into ``folder`` (the user's cache), and check it.

    A correct file is not fetched again; a partial one is continued. Each mirror is tried in turn.
    ``progress`` is called with a file's name, its bytes so far, and its size.
    """
    if name not in KNOWN:
        raise DataError(f'"{name}" cannot be fetched; {suggest(name, KNOWN)}')
    known = KNOWN[name]
    folder = folder or cache() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"{folder}: cannot make this folder: {error.strerror}") from error
    if known.members and all((folder / member).is_file() for member in known.members):
        return folder
    for file in known.files:
        _fetch_file(file, folder, mirrors or known.mirrors, progress)
    if known.members:
        _unpack(folder / known.files[0].name, known, folder)
    return folder


def _fetch_file(file: RemoteFile, folder: Path, mirrors: Sequence[str], progress: Progress) -> None:
    target, part = folder / file.name, folder / f"{file.name}.part"
    if target.is_file() and _wrong(target, file) is None:
        progress(file.name, file.size, file.size)
        return
    if part.is_symlink():  # not ours
        part.unlink()
    failures = []
    for mirror in mirrors:
        address = mirror.rstrip("/") + "/" + file.name
        resumed = part.is_file()
        wrong = _attempt(address, part, file, progress)
        if wrong and resumed and not part.is_file():  # perhaps the old part was wrong: start again
            wrong = _attempt(address, part, file, progress)
        if wrong is None:
            _install(part, target)
            return
        failures.append(f"{address}: {wrong}")
    raise FetchError(
        f"{file.name}: no mirror gave it. {'; '.join(failures)}. Try again later (the download "
        f"then continues), or put the file into {folder} by hand"
    )


def _attempt(address: str, part: Path, file: RemoteFile, progress: Progress) -> str | None:
    """The error of one mirror, or None. A ``part`` that cannot be continued is removed."""
    try:
        _download(address, part, file, progress)
        wrong = _wrong(part, file)
        if wrong is not None:
            part.unlink()
        return wrong
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__


def _install(part: Path, target: Path) -> None:
    """Give a checked file its name: as ``files.write``, for content that is already on disk."""
    try:
        with open(part, "rb+") as done:
            os.fsync(done.fileno())
        os.replace(part, target)
    except OSError as error:
        raise WorkError(f"{target}: cannot write: {error.strerror}") from error
    files.sync_folder(target.parent)


HERE = ("127.0.0.1", "::1", "localhost")
"""The names of this machine, which a user may give as a mirror."""


def _refuse_insecure(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme == "https":
        return
    if parts.scheme != "http" or parts.hostname not in HERE:
        raise ValueError(f"only https, or http on this machine, is allowed; not {address}")


def _refuse_inside(address: str) -> None:
    """Refuse an address of this machine or of a private network, by its name or by what it stands
    for: a mirror must not choose what is asked there."""
    host = urlsplit(address).hostname or ""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError) as error:
        raise ValueError(f"redirects to {host}, which has no address: {error}") from None
    for each in found:
        place = ip_address(each.partition("%")[0])
        inner = getattr(place, "ipv4_mapped", None) or place
        if not inner.is_global or inner.is_multicast:
            raise ValueError(f"redirects to {host}, which is inside a network ({each})")


class _Redirects(HTTPRedirectHandler):
    """Follows a redirect only to an address that linnet would accept itself. From the internet it
    leads nowhere into this machine or a private network."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        _refuse_insecure(newurl)
        if urlsplit(req.full_url).hostname not in HERE:
            _refuse_inside(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(address: str, part: Path, file: RemoteFile, progress: Progress) -> None:
    """Download the rest of ``part``; start again if the server cannot continue."""
    _refuse_insecure(address)
    most = file.size if not file.decompressed else file.size + 65536  # gzip may grow it
    have = part.stat().st_size if part.is_file() else 0
    if have == most:
        return
    if have > most:
        part.unlink()
        have = 0
    headers = {"User-Agent": "linnet", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        answer = build_opener(_Redirects).open(Request(address, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416 and have:  # the part is complete: its checksum decides
            return
        raise
    with answer:
        if have and answer.status != 206:  # the server sends all of it again
            have = 0
        declared = answer.headers.get("Content-Length", "")
        total = have + int(declared) if declared.isdecimal() else None
        if total is not None and total > most:
            part.unlink(missing_ok=True)
            raise ValueError(f"offers {total:,} bytes; expected at most {most:,}")
        with open(part, "ab" if have else "wb", opener=files.not_a_link) as out:
            while chunk := answer.read(CHUNK):
                have += len(chunk)
                if have > most:
                    part.unlink()
                    raise ValueError(f"sent more than the expected {most:,} bytes")
                out.write(chunk)
                progress(file.name, have, max(total or file.size, have))
    if total is not None and have < total:
        raise ValueError(f"broke off after {have:,} of {total:,} bytes")


def _wrong(path: Path, file: RemoteFile) -> str | None:
    """The fault of the content of ``path``; None if its checksum is right."""
    digest = hashlib.sha256()
    size = 0
    try:
        with open(path, "rb") as raw:
            for chunk in _chunks(raw, file.decompressed):
                size += len(chunk)
                if size > file.size:
                    return f"holds more than the expected {file.size:,} bytes"
                digest.update(chunk)
    except (EOFError, OSError, zlib.error) as error:  # a broken gzip is an OSError too
        return f"cannot be read: {error}"
    if digest.hexdigest() != file.sha256:
        return f"its sha256 is {digest.hexdigest()}; expected {file.sha256}"
    return None


def _chunks(raw: BinaryIO, decompressed: bool) -> Iterator[bytes]:
    source = gzip.GzipFile(fileobj=raw) if decompressed else raw
    while chunk := source.read(CHUNK):
        yield chunk


def _unpack(archive: Path, known: Known, folder: Path) -> None:
    """Take the expected members out of an archive by name, then remove the archive.

    No path of the archive is used, and no file is written before all members are read.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for entry in tar:
                member = entry.name.rsplit("/", 1)[-1]
                if member not in known.members or member in found or not entry.isreg():
                    continue
                if entry.size > MAX_MEMBER_BYTES:
                    raise FetchError(
                        f"{archive}: {member} declares {entry.size:,} bytes; at most "
                        f"{MAX_MEMBER_BYTES:,} (MAX_MEMBER_BYTES)"
                    )
                content = tar.extractfile(entry)
                assert content is not None
                found[member] = content.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise FetchError(f"{archive}: cannot be unpacked: {error}") from error
    missing = set(known.members) - found.keys()
    if missing:
        raise FetchError(f"{archive}: has no {', '.join(sorted(missing))}")
    for member in known.members:
        files.write(folder / member, found[member])
    archive.unlink()

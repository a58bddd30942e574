"""Standard input as a place: ``-``, as in ``cat a.csv | linnet train - --target y``."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from linnet.core import memory
from linnet.data.text.packed import Unpacked
from linnet.errors import DataError

PLACE = "-"
NAME = "stdin"
SHOWN = "standard input"

GONE = "standard input, which is not to be found again"

BLOCK = 1 << 20

Found = TypeVar("Found")


def read(work: Callable[[Path], Found]) -> Found:
    """What ``work`` makes of a file with all of standard input; its errors name the latter."""
    path = _kept()
    try:
        return work(path)
    except DataError as error:
        raise DataError(str(error).replace(str(path), SHOWN)) from error


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
"""Removed when this process ends: a sweep reads the data once for each of its runs."""


@functools.cache
def _kept() -> Path:
    """A temporary file with all of standard input, whose ending says what it is.

    Raises DataError if there is nothing, or more bytes than free memory: the table would not fit.
    """
    stream = None if sys.stdin is None else sys.stdin.buffer
    if stream is None or stream.closed or stream.isatty():
        raise DataError(
            f"{SHOWN} is a terminal; give a file, or: cat FILE.csv | linnet ... {PLACE}"
        )
    try:
        folder = tempfile.TemporaryDirectory(prefix="linnet-")
        _FOLDERS.append(folder)
        path = Path(folder.name) / NAME
        taken = asked = 0
        with open(path, "xb") as file:
            while data := stream.read(BLOCK):
                taken += len(data)
                if taken >= asked:
                    memory.require(taken, f"{SHOWN}, of which {taken:,} bytes are read,")
                    asked = 2 * taken
                file.write(data)
        if not taken:
            raise DataError(f"{SHOWN} is empty; expected a table with one row per line")
        return path.rename(path.with_name(NAME + _ending(path)))
    except OSError as error:
        raise DataError(f"{SHOWN}: cannot keep it: {error.strerror or error}") from error


def _ending(path: Path) -> str:
    """The ending of the kind that the first bytes of a file tell; Parquet needs none."""
    with open(path, "rb") as file:
        head = file.read(8)
        if head.startswith(b"PAR1"):
            return ""
        if head.startswith(b"ARROW1"):
            return ".arrow"
        if head.startswith(b"PK"):
            return ".xlsx" if zipfile.is_zipfile(file) and _is_workbook(path) else ".zip"
        return ".jsonl" if Unpacked(file, path).read(BLOCK).lstrip()[:1] == b"{" else ".csv"


def _is_workbook(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - BLOCK))
        return b"xl/workbook.xml" in file.read()

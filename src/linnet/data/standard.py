"""Standard input as a place: ``-``, as in ``cat a.csv | linnet train - --target y``."""

from __future__ import annotations

import functools
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from linnet.core import files, memory
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
    if isinstance(path, DataError):
        raise path
    try:
        return work(path)
    except DataError as error:
        raise DataError(str(error).replace(str(path), SHOWN)) from error


@functools.cache
def _kept() -> Path | DataError:
    """A temporary file with all of standard input, whose ending says what it is; kept until this
    process ends, as a sweep reads the data once for each of its runs.

    Or the error, for every later call too: there is nothing, it cannot be kept, or it takes more
    bytes than free memory, so that the table would not fit.
    """
    stream = None if sys.stdin is None else sys.stdin.buffer
    if stream is None or stream.closed or stream.isatty():
        return DataError(
            f"{SHOWN} is a terminal; give a file, or: cat FILE.csv | linnet ... {PLACE}"
        )
    try:
        path = files.temporary(_blocks(stream), NAME)
        if not path.stat().st_size:
            return DataError(f"{SHOWN} is empty; expected a table with one row per line")
        return path.rename(path.with_name(NAME + _ending(path)))
    except DataError as error:
        return error
    except OSError as error:
        return DataError(f"{SHOWN}: cannot keep it: {error.strerror or error}")


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """What comes, block by block; raises DataError when it is more than the free memory."""
    taken = asked = 0
    while data := stream.read(BLOCK):
        taken += len(data)
        if taken >= asked:
            memory.require(taken, f"{SHOWN}, of which {taken:,} bytes are read,")
            asked = 2 * taken
        yield data


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

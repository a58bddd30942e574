"""NumPy archives: ``.npz`` with ``X, y`` or ``x_train, y_train, x_test, y_test``.

linnet does not use NumPy's own reader. It follows NEP 1 (numpy.lib.format) and reads only numbers
and text, so nothing in a file can be evaluated or unpickled. It creates an array only if the
declared size matches the bytes.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from linnet.core import memory
from linnet.data.dataset import Dataset
from linnet.data.reading import Reading
from linnet.data.source import Array, assemble
from linnet.errors import DataError

MAX_NPZ_BYTES = 64 << 30
"""An archive that declares more decompressed bytes than this is refused."""

MAX_NPZ_ARRAYS = 1_000
MAX_NPY_HEADER_BYTES = 10_000
MAX_NPY_DIMENSIONS = 32

MAX_DEFLATE_RATIO = 1_032
"""Deflate cannot compress more (zlib's technical notes)."""

MAGIC = b"\x93NUMPY"
VERSIONS = [bytearray((major, 0)) for major in (1, 2, 3)]
HEADER = re.compile(
    r"""\{\s*['"]descr['"]\s*:\s*['"](?P<dtype>[<>|=]?[a-zA-Z]\d{0,9})['"]\s*,"""
    r"""\s*['"]fortran_order['"]\s*:\s*(?P<fortran>True|False)\s*,"""
    r"""\s*['"]shape['"]\s*:\s*\((?P<shape>[\dL,\s]*)\)\s*,?\s*\}\s*"""
)
KINDS = {"b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8"}
LAST_CODE, SURROGATES = 0x10FFFF, (0xD800, 0xDFFF)
"""Unicode's last code point, and the code points that text cannot hold."""

Header = tuple[np.dtype[Any], tuple[int, ...], Literal["F", "C"], int]
"""What ``_header`` returns."""


class Arrays:
    """A file whose name ends in ``.npz``."""

    def matches(self, place: object) -> bool:
        return isinstance(place, Path) and place.suffix.lower() == ".npz" and place.is_file()

    def read(self, place: Path, reading: Reading) -> Dataset:
        return from_mapping(_load(place), place.stem, str(place), reading)


def from_mapping(arrays: dict[str, Array], name: str, place: str, reading: Reading) -> Dataset:
    """``X, y``, or ``x_train, y_train`` with or without ``x_test, y_test``; any case of letters."""
    given: dict[str, Array] = {}
    for key, value in arrays.items():
        if key.lower() in given:
            raise DataError(f'{place}: "{key}" occurs twice, with and without capitals')
        given[key.lower()] = value
    if {"x", "y"} <= given.keys():
        return assemble(given["x"], given["y"], name=name, reading=reading)
    if not {"x_train", "y_train"} <= given.keys():
        raise DataError(
            f"{place}: holds {', '.join(arrays) or 'nothing'}; expected X and y, or x_train, "
            "y_train, x_test, y_test"
        )
    if ("x_test" in given) != ("y_test" in given):
        raise DataError(f"{place}: has only one of x_test and y_test; expected both or neither")
    for key in given.keys() & {"x_train", "y_train", "x_test", "y_test"}:
        if not given[key].ndim:
            raise DataError(f"{place}: {key} is a single value; expected one for each row")
    if "x_test" not in given:
        return assemble(given["x_train"], given["y_train"], name=name, reading=reading)
    return _with_test(given, name, place, reading)


def _with_test(given: dict[str, Array], name: str, place: str, reading: Reading) -> Dataset:
    """The training rows, then the test rows; raises if their forms are not the same."""
    parts = (given["x_train"], given["x_test"]), (given["y_train"], given["y_test"])
    for what, (train, test) in zip("xy", parts, strict=True):
        if train.shape[1:] != test.shape[1:] or train.dtype.kind != test.dtype.kind:
            raise DataError(
                f"{place}: {what}_train is {train.dtype} {train.shape[1:]} a row, {what}_test "
                f"{test.dtype} {test.shape[1:]}; expected the same"
            )
    if len(given["x_test"]) != len(given["y_test"]):
        raise DataError(
            f"{place}: {len(given['x_test'])} test examples, but {len(given['y_test'])} targets"
        )
    tests = len(given["x_test"])
    x, y = (np.concatenate(pair) for pair in parts)
    if len(x) - tests != len(y) - tests:
        raise DataError(f"{place}: {len(x) - tests} examples, but {len(y) - tests} targets")
    return assemble(x, y, name=name, test_rows=tests, reading=reading)


def _load(path: Path) -> dict[str, Array]:
    """All arrays of the archive; raises DataError for objects, which only pickle can read."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                _check(path, entries, size)
                return {
                    entry.filename.removesuffix(".npy"): _array(path, archive, entry)
                    for entry in entries
                }
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror or error}") from error
    except (
        ValueError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error,
    ) as error:  # zipfile raises these for a damaged file  # fmt: skip
        if isinstance(error, DataError):
            raise
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path}: cannot be read as .npz: {why}; expected plain arrays written by numpy.savez "
        "(Python objects are refused)"
    )


def _check(path: Path, entries: list[zipfile.ZipInfo], size: int) -> None:
    """Raise, before any array is read, if the arrays cannot be in a file of ``size`` bytes, or
    would not fit into memory."""
    if len(entries) > MAX_NPZ_ARRAYS:
        raise DataError(
            f"{path}: holds {len(entries):,} arrays; at most {MAX_NPZ_ARRAYS:,} (MAX_NPZ_ARRAYS)"
        )
    names = [entry.filename for entry in entries]
    for entry in entries:
        name = entry.filename[:200]
        if names.count(entry.filename) > 1:
            raise _unreadable(path, f"{name!r} occurs twice")
        if not name.endswith(".npy") or not name.isprintable():
            raise _unreadable(path, f"its member {name!r} is not a .npy file")
        packed = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: MAX_DEFLATE_RATIO}
        ratio = packed.get(entry.compress_type)
        if ratio is None or entry.flag_bits & 1:
            raise _unreadable(path, f"{name!r} is encrypted, or not stored or deflated")
        if entry.file_size > ratio * entry.compress_size:
            raise _unreadable(
                path, f"{name!r} declares {entry.file_size:,} bytes in {entry.compress_size:,}"
            )
    if sum(entry.compress_size for entry in entries) > size:
        raise _unreadable(path, f"its arrays declare more bytes than its {size:,}")
    declared = sum(entry.file_size for entry in entries)
    if declared > MAX_NPZ_BYTES:
        raise DataError(
            f"{path}: declares {declared:,} bytes; at most {MAX_NPZ_BYTES:,} (MAX_NPZ_BYTES)"
        )
    memory.require(declared, str(path))


def _array(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    """One ``.npy``, writable, in this machine's byte order."""
    with archive.open(entry) as member:
        content = bytearray(member.read(entry.file_size))  # not more than the declared size
    name = entry.filename
    if len(content) != entry.file_size:
        raise _unreadable(path, f"{name} ends after {len(content):,} of {entry.file_size:,} bytes")
    dtype, shape, order, begin = _header(path, name, content)
    need = dtype.itemsize * prod(shape)
    if need != len(content) - begin:
        raise _unreadable(
            path, f"{name} of shape {shape} needs {need:,} bytes, holds {len(content) - begin:,}"
        )
    if not need:
        raise DataError(f"{path}: {name} of shape {shape} has no rows, or no columns")
    flat = np.frombuffer(content, dtype, offset=begin)
    flat = flat.astype(dtype.newbyteorder("="), copy=False)
    if dtype.kind == "U" and _no_text(flat.view(np.uint32)):
        raise _unreadable(path, f"{name} holds text that is not Unicode")
    if dtype.kind == "b" and flat.view(np.uint8).max() > 1:
        raise _unreadable(path, f"{name} holds booleans that are neither 0 nor 1")
    return flat.reshape(shape, order=order)


def _header(path: Path, name: str, content: bytearray) -> Header:
    """The type, shape and order of a ``.npy``, and where its values begin."""
    if content[:6] != MAGIC or content[6:8] not in VERSIONS:
        raise _unreadable(path, f"{name} does not begin as a .npy of version 1 to 3")
    begin = 10 if content[6] == 1 else 12  # the end of the header length, 2 or 4 bytes
    length = int.from_bytes(content[8:begin], "little")
    if length > min(MAX_NPY_HEADER_BYTES, len(content) - begin):
        raise _unreadable(
            path, f"the header of {name} declares {length:,} bytes; at most "
            f"{MAX_NPY_HEADER_BYTES:,} (MAX_NPY_HEADER_BYTES)",
        )  # fmt: skip
    header = content[begin : begin + length].decode("latin-1")
    match = HEADER.fullmatch(header)
    if match is None:
        raise _unreadable(path, f"the header of {name} is {header.strip()[:100]!r}")
    kind = match["dtype"].lstrip("<>|=")
    if kind.startswith("O"):
        raise _unreadable(path, f"{name} holds Python objects")
    if kind not in KINDS and not re.fullmatch("U([1-9][0-9]{0,5})", kind):
        raise _unreadable(
            path, f"{name} is of the kind {match['dtype']!r}; expected numbers or text"
        )
    sizes = [part.strip().removesuffix("L") for part in match["shape"].split(",")]
    if sizes[-1] == "":
        sizes.pop()
    if any(not part.isdecimal() or len(part) > 18 for part in sizes):
        raise _unreadable(path, f"the shape of {name} is ({match['shape'][:100]})")
    shape = tuple(map(int, sizes))
    if len(shape) > MAX_NPY_DIMENSIONS:
        raise _unreadable(
            path, f"{name} has {len(shape)} dimensions; at most {MAX_NPY_DIMENSIONS} "
            "(MAX_NPY_DIMENSIONS)",
        )  # fmt: skip
    order: Literal["F", "C"] = "F" if match["fortran"] == "True" else "C"
    return np.dtype(match["dtype"]), shape, order, begin + length


def _no_text(codes: Array) -> bool:
    least, most = SURROGATES
    return bool(codes.max() > LAST_CODE or ((codes >= least) & (codes <= most)).any())

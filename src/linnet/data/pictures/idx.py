"""Folders of four IDX files, the format of MNIST, plain or gzip.

The format, by its authors: two zero bytes, a byte for the type of number, a byte for the number of
dimensions, then the sizes as big-endian 32-bit numbers, then the data.
"""

from __future__ import annotations

import gzip
import io
import zlib
from math import prod
from pathlib import Path

import numpy as np

from linnet.core import memory
from linnet.data.dataset import Dataset
from linnet.data.reading import Label, Reading
from linnet.data.source import Array, assemble
from linnet.errors import DataError

PARTS = {"train": "train", "test": "t10k"}

MAX_DEFLATE_RATIO = 1_032
"""Deflate cannot compress more (zlib's technical notes), so a file's size bounds its content."""

KINDS = {
    9: "signed bytes",
    11: "16-bit",
    12: "32-bit",
    13: "32-bit floating",
    14: "64-bit floating",
}


class Idx:
    """A folder with ``train-images-idx3-ubyte`` and so on, or with ``raw/`` or ``MNIST/raw/``."""

    def matches(self, place: object) -> bool:
        return isinstance(place, Path) and place.is_dir() and find_folder(place) is not None

    def read(
        self, place: Path, reading: Reading, classes: tuple[Label, ...] | None = None
    ) -> Dataset:
        folder = find_folder(place)
        assert folder is not None
        parts = [_read_part(folder, part, classes) for part in PARTS if _has(folder, part)]
        shapes = [images.shape[1:] for images, _ in parts]
        if len(set(shapes)) > 1:
            raise DataError(f"{folder}: training pictures are {shapes[0]}, test ones {shapes[1]}")
        tests = len(parts[1][0]) if len(parts) > 1 else 0
        images = np.concatenate([images for images, _ in parts])
        labels = np.concatenate([labels for _, labels in parts])
        return assemble(
            images,
            labels,
            name=place.name,
            classes=classes,
            target="label",
            test_rows=tests,
            reading=reading.decided("classification"),
        )


def find_folder(place: Path) -> Path | None:
    """The folder below ``place`` with the training pictures, also in torchvision's layout."""
    for folder in (place, place / "raw", place / "MNIST" / "raw"):
        if find(folder, "train", "images") is not None:
            return folder
    return None


def find(folder: Path, part: str, what: str) -> Path | None:
    stem = f"{PARTS[part]}-{what}"
    number = 3 if what == "images" else 1
    for middle in ("-", "."):
        for ending in ("", ".gz"):
            path = folder / f"{stem}{middle}idx{number}-ubyte{ending}"
            if path.is_file():
                return path
    return None


def _has(folder: Path, part: str) -> bool:
    images, labels = (find(folder, part, what) for what in ("images", "labels"))
    if (images is None) != (labels is None):
        raise DataError(f"{folder}: {images or labels} has no {'labels' if images else 'images'}")
    return images is not None


def _read_part(folder: Path, part: str, classes: tuple[Label, ...] | None) -> tuple[Array, Array]:
    paths = [find(folder, part, what) for what in ("images", "labels")]
    assert paths[0] and paths[1]
    images, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if len(images) != len(labels):
        raise DataError(
            f"{paths[0]} holds {len(images):,} images, but {paths[1].name} {len(labels):,} labels"
        )
    if not len(images):
        raise DataError(f"{paths[0]}: no images")
    if classes is not None and labels.max() >= len(classes):
        row = int(np.argmax(labels >= len(classes)))
        raise DataError(
            f"{paths[1]}: row {row} has the label {labels[row]}; expected 0 to {len(classes) - 1}"
        )
    return images, labels


def read_idx(path: Path, dimensions: int) -> Array:
    """The uint8 array in one IDX file; its first bytes, not its name, say whether it is gzip."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            size = path.stat().st_size
            if packed:
                with gzip.GzipFile(fileobj=file) as inner:
                    return _parse(inner, path, dimensions, size * MAX_DEFLATE_RATIO)
            return _parse(file, path, dimensions, size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: broken gzip: {error}; fetch or copy it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror or error}") from error


def _parse(file: io.BufferedIOBase, path: Path, dimensions: int, most: int) -> Array:
    head = file.read(4 + 4 * dimensions)
    expected = bytes((0, 0, 8, dimensions))
    what = {1: "labels", 3: "images"}
    if len(head) < 4:
        raise DataError(f"{path}: {len(head)} bytes; an IDX file begins with 4 bytes of magic")
    if head[:4] != expected:
        found = f"magic 0x{head[:4].hex()}; expected 0x{expected.hex()}"
        if head[:3] == expected[:3] and head[3] in what:
            found += f": this holds {what[head[3]]}, not {what[dimensions]}"
        elif head[:2] == b"\0\0" and head[2] in KINDS:
            found += f": {KINDS[head[2]]} numbers; only unsigned bytes are read"
        raise DataError(f"{path}: {found}")
    if len(head) < 4 + 4 * dimensions:
        raise DataError(f"{path}: ends within its sizes, after {len(head)} bytes")
    shape = tuple(np.frombuffer(head, ">u4", offset=4).tolist())
    need = prod(shape)
    if need > most - len(head):  # raised before memory is allocated
        raise _short(path, shape, what[dimensions], most - len(head))
    memory.require(need, str(path))
    content = bytearray(need)
    have = 0
    view = memoryview(content)
    while have < need:
        count = file.readinto(view[have:])
        if not count:
            break
        have += count
    if have < need:
        raise _short(path, shape, what[dimensions], have)
    if file.read(1):
        raise DataError(f"{path}: bytes follow the {need:,} that its sizes declare")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _short(path: Path, shape: tuple[int, ...], what: str, most: int) -> DataError:
    rows = most // max(1, prod(shape[1:]))
    return DataError(
        f"{path}: declares {shape[0]:,} {what}, holds {rows:,} at most ({most:,} of {prod(shape):,}"
        " bytes); fetch or copy it again"
    )

"""Folders of CIFAR's binary version: a byte or two of labels, then 3 x 32 x 32 bytes of picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from linnet.core import memory
from linnet.data.dataset import Dataset
from linnet.data.reading import Label, Reading
from linnet.data.source import Array, assemble
from linnet.errors import DataError

PIXELS = 3 * 32 * 32
NAMES = {1: "batches.meta.txt", 2: "fine_label_names.txt"}
CLASSES = {1: 10, 2: 100}


class Cifar:
    """A folder with ``data_batch_1.bin`` ... ``test_batch.bin``, or ``train.bin``, ``test.bin``.

    Also below ``cifar-10-batches-bin`` or ``cifar-100-binary``, the folders in the archives.
    """

    def matches(self, place: object) -> bool:
        return isinstance(place, Path) and place.is_dir() and find(place) is not None

    def read(
        self, place: Path, reading: Reading, classes: tuple[Label, ...] | None = None
    ) -> Dataset:
        found = find(place)
        assert found is not None
        folder, labels = found
        if not labels:
            raise DataError(
                f"{folder}: holds CIFAR's Python version, whose files are pickles and could run "
                "code; give the binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz)"
            )
        batches = len(list(folder.glob("data_batch_*.bin")))  # numbered from 1, without a gap
        train = [folder / f"data_batch_{number}.bin" for number in range(1, batches + 1)]
        if labels == 2:
            train = [folder / "train.bin"]
        test = folder / ("test_batch.bin" if labels == 1 else "test.bin")
        if not test.is_file():
            raise DataError(f"{test}: not there; expected the test pictures beside {train[0].name}")
        names = classes or _names(folder / NAMES[labels]) or tuple(range(CLASSES[labels]))
        parts = [_read(path, labels, len(names)) for path in (*train, test)]
        return assemble(
            np.concatenate([pictures for pictures, _ in parts]),
            np.concatenate([codes for _, codes in parts]),
            name=place.name,
            classes=names,
            target="label",
            test_rows=len(parts[-1][0]),
            reading=reading,
        )


def find(place: Path) -> tuple[Path, int] | None:
    """The folder with the files, and the number of labels per picture; 0 means pickles."""
    below = ("", "cifar-10-batches-bin", "cifar-100-binary")
    pickles = ("cifar-10-batches-py", "cifar-100-python")
    for folder in (place / name for name in (*below, *pickles)):
        if (folder / "data_batch_1.bin").is_file():
            return folder, 1
        if (folder / "train.bin").is_file():
            return folder, 2
        if (folder / "data_batch_1").is_file() or _is_pickle(folder / "train"):
            return folder, 0
    return None


def _is_pickle(path: Path) -> bool:
    """Whether a file begins like a pickle (protocol 2 and later); nothing more is read."""
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            return file.read(1) == b"\x80"
    except OSError:
        return False


def _read(path: Path, labels: int, classes: int) -> tuple[Array, Array]:
    """The pictures and (fine) labels in one file."""
    try:
        memory.require(path.stat().st_size, str(path))
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    if content[:1].tobytes() == b"\x80" and len(content) % (labels + PIXELS):
        raise DataError(f"{path}: a pickle, which could run code; give CIFAR's binary version")
    if not len(content) or len(content) % (labels + PIXELS):
        raise DataError(
            f"{path}: {len(content):,} bytes; expected a multiple of {labels + PIXELS:,}, a "
            "picture and its label, and at least one"
        )
    rows = content.reshape(-1, labels + PIXELS)
    codes = rows[:, labels - 1]
    if codes.max() >= classes:
        row = int(np.argmax(codes >= classes))
        raise DataError(
            f"{path}: row {row} has the label {codes[row]}; expected 0 to {classes - 1}"
        )
    return rows[:, labels:].reshape(-1, 3, 32, 32), codes


def _names(path: Path) -> tuple[str, ...] | None:
    """The class names, one per line; None if there is no file."""
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    names = [line.strip() for line in lines if line.strip()]
    if len(names) < 2 or len(set(names)) != len(names):
        raise DataError(f"{path}: expected a different class name on each line")
    return tuple(names)

"""NumPy archives: ``.npz`` with ``X, y`` or ``x_train, y_train, x_test, y_test``."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from linnet.data.dataset import Dataset
from linnet.data.reading import Reading
from linnet.data.sources._source import Array, assemble
from linnet.errors import DataError

MAX_NPZ_BYTES = 64 << 30
"""An archive that declares more decompressed bytes than this is refused."""


class Arrays:
    """A file whose name ends in ``.npz``."""

    def matches(self, place: object) -> bool:
        return isinstance(place, Path) and place.suffix.lower() == ".npz" and place.is_file()

    def read(self, place: Path, reading: Reading) -> Dataset:
        return from_mapping(_load(place), place.stem, str(place))


def from_mapping(arrays: dict[str, Array], name: str, place: str) -> Dataset:
    """``X, y``, or ``x_train, y_train`` with or without ``x_test, y_test``, in any case."""
    given = {key.lower(): value for key, value in arrays.items()}
    if {"x", "y"} <= given.keys():
        return assemble(given["x"], given["y"], name=name)
    if not {"x_train", "y_train"} <= given.keys():
        raise DataError(
            f"{place}: holds {', '.join(arrays) or 'nothing'}; expected X and y, or x_train, "
            "y_train, x_test, y_test"
        )
    x, y, tests = given["x_train"], given["y_train"], 0
    if ("x_test" in given) != ("y_test" in given):
        raise DataError(f"{place}: has only one of x_test and y_test; expected both or neither")
    if "x_test" in given:
        parts = (x, given["x_test"]), (y, given["y_test"])
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
    return assemble(x, y, name=name, test_rows=tests)


def _load(path: Path) -> dict[str, Array]:
    """Every array of the archive; objects, which only pickle can read, are refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(entry.file_size for entry in archive.infolist())
        if declared > MAX_NPZ_BYTES:
            raise DataError(
                f"{path}: declares {declared:,} bytes; at most {MAX_NPZ_BYTES:,} (MAX_NPZ_BYTES)"
            )
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except DataError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError, NotImplementedError) as e:
        raise DataError(
            f"{path}: cannot be read as .npz: {e}; expected plain arrays written by numpy.savez "
            "(Python objects are refused)"
        ) from e

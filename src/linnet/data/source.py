"""The contract of a source, and the one way from arrays to a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from linnet.data.dataset import Dataset
from linnet.data.reading import Label, Reading
from linnet.data.schema import Schema, unit_pixels
from linnet.data.table import Table
from linnet.errors import DataError

Array = np.ndarray[Any, Any]

MAX_INTEGER_CLASSES = 100
"""Whole numbers with more distinct values than this are a regression target, not classes."""

SUM_TOLERANCE = 1e-4
"""How far the probabilities of a soft target may be from summing to 1."""


class Source(Protocol):
    """Reads one kind of place; never trains."""

    def matches(self, place: object) -> bool:
        """Whether the source can read ``place``; decided without reading it."""

    def read(self, place: Any, reading: Reading) -> Dataset | Table:
        """All data in ``place``; errors name file and row. A table is not yet encoded."""


def assemble(
    x: Array,
    y: Array,
    *,
    name: str,
    columns: Sequence[str] | None = None,
    classes: Sequence[Label] | None = None,
    target: str = "y",
    test_rows: int = 0,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Arrays as a data set.

    ``x`` is (rows, columns), or pictures as (rows, height, width), (rows, channels, height, width)
    or (rows, height, width, channels) with 1 or 3 channels. ``y`` is (rows,) labels or numbers,
    (rows, targets) numbers, or, if its rows are probabilities, (rows, classes) soft targets. If
    ``classes`` is given, ``y`` holds class codes.
    """
    if x.ndim == 0 or not len(x):
        raise DataError(f"{name}: no rows")
    if y.ndim == 0 or len(x) != len(y):
        raise DataError(f"{name}: {len(x)} examples, but {len(y) if y.ndim else 0} targets")
    for what, array in (("the examples are", x), ("the targets are", y)):
        if array.dtype.kind not in ("buif" if array is x else "buifUT"):
            raise DataError(f"{name}: {what} {array.dtype}; expected numbers")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            place = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(array)))
            raise DataError(
                f"{name}: {what} {array[place]} at {place} (row {place[0]}), expected finite "
                "numbers"
            )
    pixels = "byte"
    if x.ndim == 2:
        example = "row"
        x = x.astype(np.float64 if x.dtype == np.float64 or x.dtype.kind in "biu" else np.float32)
        columns = tuple(columns or (f"c{index}" for index in range(x.shape[1])))
    else:
        example, columns = "picture", ()
        x, pixels, noted = _pictures(x, name)
        notes += noted
    task, labels, kind, codes = _target(y, name, classes)
    targets: tuple[str, ...] = (target,)
    if task == "regression" and codes.ndim == 2:
        targets = tuple(f"{target}{index}" for index in range(codes.shape[1]))
    schema = Schema.parse(
        {
            "example": example,
            "shape": x.shape[1:],
            "dtype": x.dtype.name,
            "pixels": pixels,
            "columns": columns,
            "task": task,
            "targets": targets,
            "classes": labels,
            "class_kind": kind,
        },
        name,
        DataError,
    )
    return Dataset(
        x=tensor(x), y=tensor(codes), schema=schema, test_rows=test_rows, name=name, notes=notes
    )


def tensor(array: Array) -> torch.Tensor:
    """``array`` as a tensor; it shares the memory if that is writable, else it is a copy."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _pictures(x: Array, name: str) -> tuple[Array, str, tuple[str, ...]]:
    """Pictures as (rows, channels, height, width), as uint8 if that is exact."""
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4:
        first, last = x.shape[1] in (1, 3), x.shape[3] in (1, 3)
        if first == last:
            raise DataError(
                f"{name}: pictures of shape {x.shape[1:]}; expected 1 or 3 channels, first or "
                "last, and not both"
            )
        x = x if first else np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    else:
        raise DataError(
            f"{name}: examples of shape {x.shape[1:]}; expected (columns,) or pictures: (height, "
            "width), (channels, height, width), (height, width, channels)"
        )
    if x.dtype == np.uint8:
        return x, "byte", ()
    if x.dtype.kind == "f":
        exact = unit_pixels(x)
        if exact is not None and x.max() <= 1:
            return exact, "unit", (f"pixels are k/255 as {x.dtype}: kept as uint8 k",)
        kept = x.astype(np.float64 if x.dtype == np.float64 else np.float32)
        return kept, "byte", (f"pixels are {x.dtype} but not k/255: kept as {kept.dtype}",)
    if x.min() < 0 or x.max() > 255:
        raise DataError(f"{name}: pixels from {x.min()} to {x.max()}; expected 0 to 255")
    return x.astype(np.uint8), "byte", (f"pixels came as {x.dtype}: kept as uint8",)


def _target(
    y: Array, name: str, classes: Sequence[Label] | None
) -> tuple[str, tuple[Label, ...], str | None, Array]:
    """Targets as (task, classes, their kind, int64 codes or floating numbers)."""
    if classes is not None and y.ndim == 1:
        outside = np.nonzero((y < 0) | (y >= len(classes)))[0]
        if len(outside):
            raise DataError(
                f"{name}: row {outside[0]} has the label {y[outside[0]]}; expected 0 to "
                f"{len(classes) - 1}"
            )
        kind = {bool: "bool", int: "int", float: "float", str: "text"}[type(classes[0])]
        return "classification", tuple(classes), kind, y.astype(np.int64)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.dtype.kind == "f":
        sums = y.sum(axis=1)
        if (y >= 0).all() and (y <= 1).all() and y.shape[1] > 1:
            wrong = np.nonzero(np.abs(sums - 1) > SUM_TOLERANCE)[0]
            if len(wrong):
                raise DataError(
                    f"{name}: y has {y.shape[1]} columns in 0..1, which means probabilities of "
                    f"classes, but row {wrong[0]} sums to {sums[wrong[0]]:.6g}, not 1"
                )
            return "classification", tuple(range(y.shape[1])), "int", y
        return "regression", (), None, y
    if y.ndim == 2 and y.dtype.kind in "iu":
        return "regression", (), None, y.astype(np.float64)
    if y.ndim != 1:
        raise DataError(f"{name}: targets of shape {y.shape[1:]} a row; expected a number or label")
    if y.dtype.kind == "f":
        return "regression", (), None, y
    values, codes = np.unique(y, return_inverse=True)
    if y.dtype.kind in "iu" and (len(values) > MAX_INTEGER_CLASSES or len(values) == len(y)):
        return "regression", (), None, y.astype(np.float64)
    kind = {"b": "bool", "i": "int", "u": "int"}.get(y.dtype.kind, "text")
    return "classification", tuple(values.tolist()), kind, codes.reshape(-1).astype(np.int64)

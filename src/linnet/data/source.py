"""The contract of a source, and the one way from arrays to a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from linnet.core.registry import suggest
from linnet.data import targets
from linnet.data.dataset import Dataset
from linnet.data.pictures.ground import blank
from linnet.data.reading import Again, Label, Reading, sides
from linnet.data.schema import Schema, unit_pixels
from linnet.data.table import Table, Warned
from linnet.errors import DataError

Array = np.ndarray[Any, Any]

SUM_TOLERANCE = 1e-4
"""How far the probabilities of a soft target may be from summing to 1."""

MAX_WHOLE = 2**53
"""Above this, float64 does not hold every whole number."""

KINDS = {bool: "bool", int: "int", float: "float", str: "text"}
"""The kinds of class labels."""

PLAIN = Reading()


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
    reading: Reading = PLAIN,
    where: Callable[[int], str] = "row {}".format,
) -> Dataset:
    """Arrays as a data set.

    ``x`` is (rows, columns), or pictures as (rows, height, width), (rows, channels, height, width)
    or (rows, height, width, channels) with 1 or 3 channels. ``y`` is (rows,) labels or numbers;
    (rows, classes) with a single 1 in each row, or probabilities; or (rows, targets) numbers.
    ``reading.task`` overrides what ``linnet.data.targets`` makes of it. If ``classes`` is given,
    ``y`` holds class codes. ``where`` names a row.
    """
    _check(x, y, name)
    pixels = "byte"
    if x.ndim == 2:
        example = "row"
        if _scales(reading):
            raise DataError(f"{name}: size={reading.size} is for pictures, and these are rows")
        notes += _inexact(x)
        x = _floating(x)
        columns = tuple(columns or (f"c{index}" for index in range(x.shape[1])))
    else:
        example, columns = "picture", ()
        if reading.task == "auto":
            _refuse_batches(x, y, name)
        x, pixels, noted = _pictures(x, name)
        x = _scaled(x, reading, name)
        notes += (*noted, *blank(x, where))
    found = _target(y, name, target, classes, reading)
    schema = Schema.parse(
        {
            "example": example,
            "shape": x.shape[1:],
            "dtype": x.dtype.name,
            "pixels": pixels,
            "fit": reading.fit if example == "picture" and _scales(reading) else None,
            "columns": columns,
            "task": found.task,
            "targets": found.names,
            "classes": found.classes,
            "class_kind": found.kind,
        },
        name,
        DataError,
    )
    return Dataset(
        x=tensor(x),
        y=tensor(found.values),
        schema=schema,
        test_rows=test_rows,
        name=name,
        notes=(*notes, *found.notes),
    )


def _check(x: Array, y: Array, name: str) -> None:
    """Raise if examples and targets are no numbers, or not equally many."""
    if x.ndim == 0:
        raise DataError(f"{name}: the examples are a single value; expected one for each row")
    if not len(x):
        raise DataError(f"{name}: no rows")
    if 0 in x.shape:
        raise DataError(f"{name}: examples of shape {x.shape[1:]}, which hold no number")
    if y.ndim == 0 or len(x) != len(y):
        raise DataError(f"{name}: {len(x)} examples, but {len(y) if y.ndim else 0} targets")
    for what, array in (("the examples are", x), ("the targets are", y)):
        if array.dtype.kind not in ("buif" if array is x else "buifUT"):
            table = "; for columns of text or dates give a data frame" if array is x else ""
            raise DataError(f"{name}: {what} {array.dtype}; expected numbers{table}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            place = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(array)))
            raise DataError(
                f"{name}: {what} {array[place]} at {place} (row {place[0]}), expected finite "
                "numbers: fill in what is missing, or leave such rows out"
            )


def _refuse_batches(x: Array, y: Array, name: str) -> None:
    """Raise if ``x`` (batches, rows, ...) and ``y`` (batches, rows) seem to hold batches."""
    if x.ndim < 3 or y.ndim != 2 or y.shape[1] < 2 or x.shape[1] != y.shape[1]:
        return
    if (y >= 0).all() and (np.abs(y.sum(1) - 1.0) <= SUM_TOLERANCE).all():  # of classes
        return
    each = y.shape[1]
    raise DataError(
        f"{name}: X is {x.shape} and y {y.shape}: are these {len(x):,} batches of {each} rows? "
        f"expected X.reshape({len(x) * each}, ...) and y.reshape(-1); if they are pictures with "
        f"{each} numbers each, set task=regression"
    )


def _inexact(x: Array) -> tuple[str, ...]:
    """A warning if whole numbers are too large to be told apart in float64."""
    if x.dtype.kind not in "iu" or x.dtype.itemsize < 8 or not x.size:
        return ()
    large = np.flatnonzero((x.max(0) > MAX_WHOLE) | (x.min(0) < -MAX_WHOLE))
    if not len(large):
        return ()
    return (
        Warned(
            f"column {large[0]} has whole numbers beyond 2**53, which float64 cannot tell apart",
            "leave the column out if it is an identifier",
        ),
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
            clear = ": take the transparent ground out first" if 4 in x.shape[1::2] else ""
            raise DataError(
                f"{name}: pictures of shape {x.shape[1:]}; expected 1 or 3 channels, first or "
                f"last, and not both{clear}"
            )
        x = x if first else np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    elif x.ndim == 1:
        raise DataError(
            f"{name}: the examples have one dimension; expected (rows, columns): for one column "
            "X.reshape(-1, 1)"
        )
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
        kept = _floating(x)
        return kept, "byte", (f"pixels are {x.dtype} but not k/255: kept as {kept.dtype}",)
    if x.min() < 0 or x.max() > 255:
        raise DataError(f"{name}: pixels from {x.min()} to {x.max()}; expected 0 to 255")
    return x.astype(np.uint8), "byte", (f"pixels came as {x.dtype}: kept as uint8",)


def _scales(reading: Reading) -> bool:
    """Whether all pictures are scaled: where a size is given, and of a model where it was."""
    return bool(reading.size) and (not isinstance(reading, Again) or reading.scaled)


def _scaled(x: Array, reading: Reading, name: str) -> Array:
    """Pictures (rows, channels, height, width) of the size of ``reading``."""
    wanted = sides(reading.size)
    if wanted is None or not _scales(reading) or x.shape[2:] == wanted:
        return x
    if x.dtype != np.uint8:
        raise DataError(
            f"{name}: its pixels are {x.dtype}; size={reading.size} scales pictures of whole "
            "numbers 0 to 255: scale them yourself, and leave out size"
        )
    from linnet.data.pictures.picture import fitted  # Pillow, only for this

    return np.stack([fitted(picture, wanted, reading.fit) for picture in x])


class Target(NamedTuple):
    """Targets: their names, what they are, and int64 class codes or floating-point numbers."""

    task: targets.Task
    names: tuple[str, ...]
    values: Array
    classes: tuple[Label, ...] = ()
    kind: str | None = None
    notes: tuple[str, ...] = ()


def _target(
    y: Array, name: str, target: str, classes: Sequence[Label] | None, reading: Reading
) -> Target:
    """What the targets ``y`` are."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if classes is not None and y.ndim == 1:
        return _coded(y, name, target, tuple(classes), reading.task)
    if y.ndim == 2 and y.dtype.kind in "buif":
        return _several(y, name, target, reading.task)
    if y.ndim != 1:
        raise DataError(
            f"{name}: targets of shape {y.shape[1:]} a row, {y.dtype}; expected a number or a label"
        )
    task, notes = targets.task_of(y, reading.task, target, name)
    if task == "regression":
        return Target(task, (target,), _floating(y), notes=notes)
    values, codes = np.unique(y, return_inverse=True)
    if isinstance(reading, Again) and reading.labels:
        return _known(values, codes, name, target, reading.labels)
    if len(values) < 2:
        raise DataError(
            f"{name}: the target {target!r} is {values[0]} in every row, so there is nothing to "
            f"predict; classification needs two classes, found {len(values)}"
        )
    if values.dtype.kind in "UT":
        _refuse_alike(values, codes.reshape(-1), name, target)
    values = values.astype(np.int64) if values.dtype.kind == "f" else values
    kind = {"b": "bool", "i": "int", "u": "int"}.get(values.dtype.kind, "text")
    codes = codes.reshape(-1).astype(np.int64)
    return Target(task, (target,), codes, tuple(values.tolist()), kind, notes)


def _refuse_alike(values: Array, codes: Array, name: str, target: str) -> None:
    """Raise if classes differ at most in case or spaces, as for tables."""
    import polars

    from linnet.data.kinds import same_but_case  # polars is slow to load

    same = same_but_case(polars.Series(values.tolist(), dtype=polars.String))
    if not same:
        return
    row = int(np.flatnonzero(codes == values.tolist().index(same[1]))[0])
    raise DataError(
        f"{name}: the classes {same[0]!r} and {same[1]!r} of {target!r} differ at most in case or "
        f"spaces ({same[1]!r} first at row {row}); write each class in one way"
    )


def _known(
    values: Array, codes: Array, name: str, target: str, labels: tuple[Label, ...]
) -> Target:
    """Labels of a model's classes: ``values[codes]``."""
    place = {label: code for code, label in enumerate(labels)}
    for index, value in enumerate(values.tolist()):
        if value not in place:
            row = int(np.flatnonzero(codes.reshape(-1) == index)[0])
            raise DataError(
                f"{name}, row {row}: the label {value!r} is not among the classes; "
                f"{suggest(str(value), [str(label) for label in labels])}"
            )
    known = np.array([place[value] for value in values.tolist()], np.int64)[codes.reshape(-1)]
    return Target("classification", (target,), known, labels, KINDS[type(labels[0])])


def _coded(
    y: Array, name: str, target: str, classes: tuple[Label, ...], task: targets.Asked
) -> Target:
    """Codes of known classes."""
    if task == "regression":
        raise DataError(
            f"{name}: the target {target!r} holds classes; expected numbers for task=regression"
        )
    outside = np.nonzero((y < 0) | (y >= len(classes)))[0]
    if len(outside):
        raise DataError(
            f"{name}: row {outside[0]} has the label {y[outside[0]]}; expected 0 to "
            f"{len(classes) - 1}"
        )
    return Target("classification", (target,), y.astype(np.int64), classes, KINDS[type(classes[0])])


def _several(y: Array, name: str, target: str, task: targets.Asked) -> Target:
    """Columns: one for each class, with a single 1 or with probabilities; or numbers."""
    names = tuple(range(y.shape[1]))
    if targets.one_hot(y, task, name):
        return Target("classification", (target,), y.argmax(1).astype(np.int64), names, "int")
    if task != "regression" and y.dtype.kind == "f" and (y >= 0).all() and (y <= 1).all():
        sums = y.sum(axis=1)
        wrong = np.nonzero(np.abs(sums - 1) > SUM_TOLERANCE)[0]
        if len(wrong):
            raise DataError(
                f"{name}: y has {y.shape[1]} columns in 0..1, which means probabilities of "
                f"classes, but row {wrong[0]} sums to {sums[wrong[0]]:.6g}, not 1; to predict them "
                "as numbers, set task=regression"
            )
        return Target("classification", (target,), _floating(y), names, "int")
    if task == "classification":
        raise DataError(
            f"{name}: y has {y.shape[1]} columns; expected for classes one label a row, a single 1 "
            "a row, or probabilities"
        )
    several = tuple(f"{target}{index}" for index in names)
    return Target("regression", several, _floating(y))


def _floating(y: Array) -> Array:
    """Numbers in float32, if they have no more digits, else in float64."""
    return y.astype(np.float32 if y.dtype in (np.float16, np.float32) else np.float64)

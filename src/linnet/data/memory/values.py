"""One value of data in memory as an array; what cannot be one is refused by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from decimal import Decimal
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

from linnet.core.text import cut, literal
from linnet.errors import DataError

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]


def as_array(value: Any, what: str) -> Array:
    """``value`` as numbers, booleans or text; ``what`` names it in messages.

    Python objects become one of these if all of them are alike: numbers, text, or truth values.
    """
    if _is_tensor(type(value)):
        return _of_tensor(value, what)
    if type(value).__module__.startswith("PIL."):
        return _of_picture(value, what)
    _refuse(value, what)
    if isinstance(value, (list, tuple)) and value and _alone(value[0]):
        return _made(lambda: np.stack([as_array(one, what) for one in value]), value, what)
    array = _made(lambda: np.asarray(value), value, what)
    if array.dtype.kind == "O":
        array = _plain(array, value, what)
    if array.dtype.kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{what}: holds bytes that are not text in UTF-8") from None
    if array.dtype.kind not in "buifUT":
        raise DataError(f"{what}: holds {array.dtype}; expected {_wanted(array)}")
    return array


def _is_tensor(kind: type) -> bool:
    """Whether it is a tensor of PyTorch, which need not be imported."""
    torch = sys.modules.get("torch")
    return torch is not None and issubclass(kind, torch.Tensor)


def _alone(value: Any) -> bool:
    """Whether NumPy would not make the right array of it, among others."""
    return _is_tensor(type(value)) or type(value).__module__.startswith("PIL.")


def _refuse(value: Any, what: str) -> None:
    """Raise for what NumPy would take for something else."""
    if type(value).__module__.startswith("scipy.sparse"):
        raise DataError(
            f"{what}: a sparse matrix ({type(value).__name__}); give its .toarray() if that fits "
            "into memory, or use linnet.LinearRegression, Ridge or LogisticRegression, which take "
            "it as it is"
        )
    if isinstance(value, (Iterator, Set, Mapping)):
        raise DataError(
            f"{what}: a {type(value).__name__}; expected an array: make a list of it first"
        )
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        count = int(np.ma.getmaskarray(value).sum())
        raise DataError(
            f"{what}: {count:,} values are masked; fill them in (.filled(...)), or leave such rows "
            "out"
        )


def _of_tensor(value: torch.Tensor, what: str) -> Array:
    import torch

    if value.is_meta:
        raise DataError(f"{what}: a tensor on the device meta, which holds no values")
    if value.layout != torch.strided:
        raise DataError(f"{what}: a sparse tensor; expected a dense one: .to_dense()")
    if value.is_complex() or value.is_quantized:
        raise DataError(f"{what}: a tensor of {value.dtype}; expected numbers: floats or integers")
    value = value.detach().cpu()
    if value.is_floating_point() and value.dtype not in (torch.float16, torch.float64):
        value = value.float()  # NumPy has no bfloat16
    return value.resolve_neg().numpy()


def _of_picture(value: Any, what: str) -> Array:
    """A picture of Pillow as a file with it would be read."""
    from linnet.data.pictures.picture import GREY, convert

    try:
        return convert(value, 1 if value.mode in GREY else 3)
    except (ValueError, OSError) as error:
        raise DataError(f"{what}: a picture that cannot be read: {error}") from error


def _made(make: Any, value: Any, what: str) -> Array:
    """What NumPy makes of ``value``; its errors in linnet's words."""
    try:
        array: Array = make()
    except DataError:
        raise
    except Exception as error:  # whatever an object of somebody else's raises
        lengths = _lengths(value)
        if len(set(lengths)) > 1:
            row = next(row for row, length in enumerate(lengths) if length != lengths[0])
            raise _ragged(what, lengths[0], row, lengths[row]) from None
        raise DataError(
            f"{what}: a {type(value).__name__} that is no array: {cut(str(error), 200)}"
        ) from error
    return array


def _lengths(value: Any) -> list[int]:
    """The numbers of values in each row; empty if there are no rows."""
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return []
    return [len(row) if hasattr(row, "__len__") else 1 for row in value]


def _ragged(what: str, first: int, row: int, length: int) -> DataError:
    return DataError(
        f"{what}: row 0 has {first} values, row {row} has {length}; expected as many in each"
    )


def _plain(array: Array, value: Any, what: str) -> Array:
    """An array of Python objects as numbers, text or truth values."""
    if not array.ndim:
        raise DataError(f"{what}: a {type(value).__name__}; expected an array")
    flat = array.ravel().tolist()
    kinds = {kind: _kind(kind) for kind in set(map(type, flat))}
    found = set(kinds.values())
    if "rows" in found:
        lengths = [len(one) if hasattr(one, "__len__") else 1 for one in flat]
        row = next((row for row, length in enumerate(lengths) if length != lengths[0]), 0)
        if array.ndim == 1 and not row:
            return as_array([as_array(one, what) for one in flat], what)
        raise _ragged(what, lengths[0], row, lengths[row])
    for index, one in enumerate(flat):
        missing = kinds[type(one)] == "missing" or ("text" in found and one != one)
        if missing or kinds[type(one)] == "other":
            raise DataError(
                f"{what}: holds {'no value' if missing else literal(one)} at "
                f"{_place(index, array)}; expected "
                f"{'a value everywhere: leave such rows out' if missing else 'numbers or text'}"
            )
    if len(found) > 1 and found != {"number", "boolean"}:
        one = next(index for index, one in enumerate(flat) if kinds[type(one)] == "text")
        raise DataError(
            f"{what}: mixes text and numbers: {literal(str(flat[one]))} at {_place(one, array)}; "
            "expected one of the two; for columns of both, give a data frame"
        )
    dtype = (
        {"text": np.str_, "boolean": np.bool_}.get(next(iter(found))) if len(found) == 1 else None
    )
    if dtype is None:
        dtype = np.int64 if all(isinstance(one, (int, np.integer)) for one in flat) else np.float64
    try:
        return np.array(flat, dtype).reshape(array.shape)
    except OverflowError:
        return np.array([float(one) for one in flat]).reshape(array.shape)


def _kind(kind: type) -> str:
    """What values of this type are."""
    if issubclass(kind, (bool, np.bool_)):
        return "boolean"
    if issubclass(kind, str):
        return "text"
    if issubclass(kind, (complex, np.complexfloating)):
        return "other"
    if issubclass(kind, (Number, np.number, Decimal)):
        return "number"
    if issubclass(kind, (list, tuple, np.ndarray)) or _is_tensor(kind):
        return "rows"
    return "missing" if kind.__name__ in ("NoneType", "NAType", "NaTType") else "other"


def _place(index: int, array: Array) -> str:
    row, *rest = (int(one) for one in np.unravel_index(index, array.shape))
    return f"row {row}" + "".join(f", column {one}" for one in rest)


def _wanted(array: Array) -> str:
    """What was expected instead of an array of this kind."""
    if array.dtype.kind in "mM":
        return "numbers: give a data frame, whose dates are read"
    if array.dtype.kind == "V":
        return "numbers: give a data frame of its columns"
    return "numbers" if array.dtype.kind != "c" else "real numbers"

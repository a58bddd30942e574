"""Whether targets are classes or numbers: one rule for files, data frames and arrays.

Text and booleans are classes, fractions are numbers. Whole numbers, of any type, are classes if
there are two different ones, or at most ``MAX_CODES`` with ``ROWS_A_CLASS`` rows each on average;
else they are numbers. Rows of zeros and a single one are classes too, one for each column.
``task`` overrides the rule.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from linnet.core.text import counted, literal
from linnet.data.table import Warned
from linnet.errors import DataError

Task = Literal["classification", "regression"]
Asked = Literal["auto", "classification", "regression"]
Array = np.ndarray[Any, Any]

MAX_CODES = 20
"""Whole numbers with more different values than this are numbers to predict, not classes."""

ROWS_A_CLASS = 5
"""With more than two values, whole numbers are classes only with this many rows each on average."""

DOUBTFUL = 100
"""Up to this many different whole numbers are taken for numbers with a warning."""


def task_of(values: Array, asked: Asked, name: str, where: str) -> tuple[Task, tuple[str, ...]]:
    """The task for the targets ``values`` (rows,), without missing ones; and notes about it.

    ``values`` are text, booleans or finite numbers. ``name`` is the name of the target, ``where``
    that of the data. Raises ``DataError`` if ``asked`` is impossible: classes cannot be fractions,
    numbers cannot be text.
    """
    if values.dtype.kind not in "iuf":
        if asked == "regression" and values.dtype.kind != "b":
            raise DataError(
                f"{where}: the target {name!r} holds {literal(values.tolist()[0])}, which is not a "
                "number; expected numbers for regression, or one target of classes"
            )
        return ("regression" if asked == "regression" else "classification"), ()
    fractions = np.flatnonzero(values % 1 != 0) if values.dtype.kind == "f" else values[:0]
    if asked == "classification" and len(fractions):
        raise DataError(
            f"{where}: the target {name!r} holds fractions, such as {values[fractions[0]]}: no "
            "classes; say --task regression"
        )
    if asked != "auto":
        return asked, ()
    if len(fractions):
        return "regression", ()
    different = len(np.unique(values))
    if different <= 2:
        return ("classification" if len(values) > different else "regression"), ()
    several = len(values) >= ROWS_A_CLASS * different
    what = f"{name!r} has {different} different whole numbers"
    if different <= MAX_CODES and several:
        note = f"{what}: treated as classes (to predict a number: --task regression)"
        return "classification", (note,)
    if different <= DOUBTFUL and several:
        told = f"{what}: taken as numbers to predict, as there are more than {MAX_CODES}"
        return "regression", (Warned(told, "if they are classes, set task=classification"),)
    return "regression", ()


def one_hot(values: Array, asked: Asked, where: str) -> bool:
    """Whether the targets ``values`` (rows, columns) are classes, one column each: zeros, and a
    single one in every row.

    Raises ``DataError`` for zeros and ones with several ones in a row: several labels a row are not
    supported. ``asked="regression"`` takes both as numbers.
    """
    if asked == "regression" or values.ndim != 2 or values.shape[1] < 2:
        return False
    if not ((values == 0) | (values == 1)).all():
        return False
    ones = values.astype(np.int64).sum(1)
    wrong = np.flatnonzero(ones != 1)
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{where}: the {values.shape[1]} targets are zeros and ones, and row {row} has "
            f"{counted(int(ones[row]), 'one')}: several labels a row are not supported; expected "
            "one 1 in each row (classes); train a model for each label, y[:, 0] and so on, or say "
            "--task regression to predict each as a number"
        )
    return True

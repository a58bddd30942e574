"""Predictions for the rows of a data set, and as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from linnet.core.text import percent
from linnet.errors import InputError
from linnet.insight.conformal import FOLDS

if TYPE_CHECKING:
    from torch import Tensor

    from linnet.insight.conformal import Calibration

Array = np.ndarray[Any, Any]

PLACES = ("second", "third", "fourth", "fifth")
"""The columns of the most probable classes after the prediction, where classes are many."""


@dataclass(frozen=True)
class Predictions:
    """Predictions for some rows of a data set; ``row`` are the row numbers, from 0, ``files`` the
    names of their files, if they are pictures from files. ``interval`` has the lower and the upper
    ends of intervals for numbers, ``sets`` says which classes are in the set of each row, if a
    level was asked for. ``kept`` are columns of the data, by name."""

    row: Tensor | Array  # (rows,) int64
    y: Array | None  # labels (rows,), or numbers (rows,) or (rows, targets)
    prediction: Array
    p: Array | None  # (rows, classes); of many classes the largest, (rows, TOP)
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    top: Array | None = None  # of many classes the most probable ones, (rows, TOP)
    interval: tuple[Array, Array] | None = None  # each of the shape of the prediction
    sets: Array | None = None  # (rows, classes), true for a class in the set
    kept: Mapping[str, Array] = field(default_factory=dict)  # each (rows,)

    def __repr__(self) -> str:
        classes = f" of {len(self.classes):,} classes" if self.p is not None else ""
        return f"Predictions({len(self.row):,} rows{classes})"

    def within(self, calibration: Calibration, level: float) -> Predictions:
        """The same with intervals, or sets of classes, that hold with the probability ``level``,
        and notes on what does not hold. Raises ``InputError`` if too few rows calibrate it."""
        used, rows = calibration.level(level), sum(calibration.rows)
        rows = rows if calibration.classifies else calibration.rows[0]
        what = "sets" if calibration.classifies else "intervals"
        by = f"{rows:,} test rows, which taught and chose nothing"
        if FOLDS in calibration.notes:
            by = f"{rows:,} rows out of fold"
        told = [
            f"the {what} hold for {percent(used)} of rows like those that calibrate them: {by}",
            *calibration.notes,
        ]
        if not calibration.classifies:
            ends = calibration.interval(self.prediction, level)
            return replace(self, interval=ends, notes=(*self.notes, *told))
        assert self.p is not None
        sets = calibration.sets(self.p, level)
        return replace(self, sets=sets.inside, notes=(*self.notes, *told, *sets.notes))

    def keeping(self, columns: Mapping[str, Sequence[Any]]) -> Predictions:
        """The same with further columns (rows,) in front; raises ``InputError`` for one that has
        the name of a column of predictions."""
        own = self.columns()
        for name in columns:
            if name in own:
                raise InputError(
                    f'the column "{name}" cannot be kept: predictions have a column of this name'
                )
        kept = {name: np.array(list(values), object) for name, values in columns.items()}
        return replace(self, kept=kept)

    @property
    def members(self) -> Array | None:
        """The set of each row, (rows,), as a list of the names of its classes."""
        if self.sets is None:
            return None
        names, found = np.array(self.classes, object), np.empty(len(self.sets), object)
        for row, inside in enumerate(self.sets):
            found[row] = names[inside].tolist()
        return found

    def columns(self) -> dict[str, Array]:
        """What is ``kept``, then ``row`` or ``file``, ``y``, ``prediction``, with intervals ``low``
        and ``high``, with sets ``set``, and ``p_<class>``, each (rows,). Of more than ``MANY``
        classes ``p``, the probability of the prediction, and ``second``, ``p_second`` to ``fifth``,
        ``p_fifth``: the most probable other classes."""
        columns: dict[str, Array] = {**self.kept, "row": np.asarray(self.row)}
        if self.files:
            columns = {**self.kept, "file": np.array(self.files, object)}
        low, high = (None, None) if self.interval is None else self.interval
        named = {
            "y": self.y, "prediction": self.prediction, "low": low, "high": high,
            "set": self.members,
        }  # fmt: skip
        for name, values in named.items():
            if values is None:
                continue
            if values.ndim == 1:
                columns[name] = values
            else:
                columns |= {f"{name}_{index}": column for index, column in enumerate(values.T)}
        if self.top is not None and self.p is not None:
            columns["p"] = self.p[:, 0]
            for place, word in enumerate(PLACES, start=1):
                columns |= {word: self.top[:, place], f"p_{word}": self.p[:, place]}
        elif self.p is not None:
            columns |= {f"p_{name}": self.p[:, i] for i, name in enumerate(self.classes)}
        return columns

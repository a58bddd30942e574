"""Predictions for the rows of a data set, and as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray[Any, Any]

PLACES = ("second", "third", "fourth", "fifth")
"""The columns of the most probable classes after the prediction, where classes are many."""


@dataclass(frozen=True)
class Predictions:
    """Predictions for some rows of a data set; ``row`` are the row numbers, from 0, ``files`` the
    names of their files, if they are pictures from files."""

    row: Tensor | Array  # (rows,) int64
    y: Array | None  # labels (rows,), or numbers (rows,) or (rows, targets)
    prediction: Array
    p: Array | None  # (rows, classes); of many classes the largest, (rows, TOP)
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    top: Array | None = None  # of many classes the most probable ones, (rows, TOP)

    def __repr__(self) -> str:
        classes = f" of {len(self.classes):,} classes" if self.p is not None else ""
        return f"Predictions({len(self.row):,} rows{classes})"

    def columns(self) -> dict[str, Array]:
        """``row`` or ``file``, ``y``, ``prediction`` and ``p_<class>``, each (rows,). Of more than
        ``MANY`` classes ``p``, the probability of the prediction, and ``second``, ``p_second`` to
        ``fifth``, ``p_fifth``: the most probable other classes."""
        columns: dict[str, Array] = {"row": np.asarray(self.row)}
        if self.files:
            columns = {"file": np.array(self.files, object)}
        for name, values in (("y", self.y), ("prediction", self.prediction)):
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

"""Common helpers of the checks: columns and targets one by one, chance, words for rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from linnet.core.text import listed
from linnet.data.dataset import Dataset
from linnet.data.reading import Kind

Array = np.ndarray[Any, Any]

CHANCE = 1e-6
"""A finding is reported only if a shuffled table would show it with a smaller probability than
this, divided by the number of checked columns (Bonferroni)."""

MAX_COLUMNS = 2_000
"""The most columns that are checked one by one."""

TOGETHER = 8
"""The columns that are copied out of rows together: as many as a cache line holds."""

BLOCK = 1 << 12
"""The rows that are copied together, so that they stay in the cache."""

MAX_TARGETS = 20
"""The most targets that columns are compared with."""

SAMPLE = 1_000
"""The rows that are checked first: they are enough for most columns."""


@dataclass(frozen=True)
class Feature:
    """A column of the examples: ``values`` (rows,) in float64, NaN where missing."""

    name: str
    kind: Kind
    values: Array
    categories: tuple[str, ...] = ()

    def label(self, value: float) -> str:
        """A value as text for people."""
        if self.kind == "boolean":
            return "yes" if value else "no"
        if not self.categories:
            return number(value)
        known = 0 <= value < len(self.categories)
        return self.categories[int(value)] if known else "(unknown)"


class Target:
    """One target: class codes, or numbers (rows,)."""

    def __init__(self, name: str, values: Array, classes: tuple[str, ...] = ()) -> None:
        self.name, self.values, self.classes = name, values, classes

    @cached_property
    def _coded(self) -> tuple[Array, Array]:
        different, codes = np.unique(self.values, return_inverse=True)
        return different, codes

    @property
    def codes(self) -> Array:
        """Whole numbers (rows,) from 0, one for each different value."""
        return self.values if self.classes else self._coded[1]

    @property
    def count(self) -> int:
        """The number of possible values."""
        return len(self.classes) if self.classes else len(self._coded[0])

    def label(self, code: int) -> str:
        """The value with this code, as text for people."""
        return self.classes[code] if self.classes else number(self._coded[0][code])


def features(data: Dataset) -> Iterator[Feature]:
    """The first ``MAX_COLUMNS`` columns of a table or of rows of numbers; pictures have none."""
    schema = data.schema
    if schema.example == "picture":
        return
    fields = {field.name: field for field in schema.fields if schema.example == "record"}
    x = data.x.detach().cpu().numpy()
    for index, name in enumerate(schema.columns[:MAX_COLUMNS]):
        if index % TOGETHER == 0:
            some = _columns(x[:, index : index + TOGETHER])
        values = some[index % TOGETHER]
        field = fields.get(name)
        if field is None:
            yield Feature(name, "number", values)
        else:
            yield Feature(name, field.kind, values, field.categories)


def _columns(x: Array) -> Array:
    """The columns of rows, each contiguous: without a copy if possible, else copied by blocks of
    rows, three times as fast as all rows at once (measured)."""
    if x.dtype == np.float64 and x.T.flags.c_contiguous:
        return x.T
    columns = np.empty((x.shape[1], len(x)))
    for start in range(0, len(x), BLOCK):
        columns[:, start : start + BLOCK] = x[start : start + BLOCK].T
    return columns


def targets(data: Dataset) -> list[Target]:
    """The targets: class codes, or each column of numbers or probabilities."""
    schema, y = data.schema, data.y.detach().cpu().numpy()
    if not y.size:
        return []
    if schema.task == "classification" and not data.soft:
        return [Target(schema.targets[0], y, schema.names)]
    names = [f"{schema.targets[0]}={label}" for label in schema.names] or list(schema.targets)
    wide = y.reshape(len(y), -1).astype(np.float64)
    several = [Target(name, wide[:, i]) for i, name in enumerate(names[:MAX_TARGETS])]
    return [target for target in several if np.isfinite(target.values).all()]


def sample(rows: int, most: int = SAMPLE) -> slice:
    """At most ``most`` of ``rows`` rows, evenly spread."""
    return slice(None, None, -(-rows // most) or 1)


def pairs(rows: Array, columns: Array, height: int, width: int) -> tuple[Array, Array, Array]:
    """The counts of the pairs of codes that occur: (codes, codes, counts)."""
    keys = rows * width + columns
    if height * width <= 1 << 20:
        counts = np.bincount(keys, minlength=height * width)
        found = np.nonzero(counts)[0]
        counts = counts[found]
    else:
        found, counts = np.unique(keys, return_counts=True)
    return found // width, found % width, counts


def log_chance(rows: Array, columns: Array, counts: Array) -> float:
    """The log of the probability that shuffling one of two codes gives exactly this table of
    ``pairs``: the product of the factorials of its margins, divided by those of its cells and of
    the total (Fisher, The Design of Experiments, 1935)."""
    margins = (np.bincount(codes, weights=counts) for codes in (rows, columns))
    over = sum(map(_log_factorials, margins))
    return over - _log_factorials(counts) - _log_factorials(np.array([counts.sum()]))


def _log_factorials(numbers: Array) -> float:
    return float(torch.lgamma(torch.from_numpy(numbers + 1.0)).sum())


def quoted(names: Sequence[str], most: int = 8) -> str:
    """The first names in quotes; characters that cannot be printed are escaped."""
    return listed([repr(name) for name in names], most)


def leave_out(data: Dataset, name: str) -> str:
    """The remedy for a column that should not be an input."""
    return "leave it out" + (f" (drop={name})" if data.schema.example == "record" else "")


def number(value: float) -> str:
    """A number with all its written digits."""
    return f"{value:.12g}"

"""Partial dependence: how the mean prediction changes with the value of a column.

All rows are given the same value of a column, and the predictions are averaged; so for each value
of a grid (Friedman 2001, "Greedy function approximation: a gradient boosting machine", Annals of
Statistics 29, 1189-1232, section 8.2). The rows are those that taught nothing. A value that seldom
goes with the other columns of a row is predicted all the same: where columns are strongly
correlated, a curve says what the model does, and not what there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from linnet.core.events import LARGEST
from linnet.core.text import figure
from linnet.errors import InputError
from linnet.insight.evaluation import predict_raw
from linnet.insight.fields import Field, fields_of, fixed, named
from linnet.insight.plain import count, real, true, word, words

if TYPE_CHECKING:
    from torch import Tensor, nn

    from linnet.data.schema import Schema
    from linnet.objectives.base import Objective

Array = np.ndarray[Any, Any]

POINTS = 20
"""The values of a number."""

ENDS = 0.05, 0.95
"""The quantiles of a number between which the values lie, as in scikit-learn."""

MOST_CATEGORIES = 12
"""Of more categories, those of the most rows are shown."""

MOST_ROWS = 1_000
"""The rows over which predictions are averaged, evenly taken from all."""

PAIR_POINTS, PAIR_ROWS, PAIR_FIELDS = 8, 200, 4
"""The strongest pair is sought among so many columns, on so few rows and values."""


class Grid(NamedTuple):
    """The values of a column: ``values`` are numbers, or texts of categories; ``blocks`` (values,
    columns) are the encoded columns of ``field`` for each."""

    name: str
    field: Field
    values: tuple[Any, ...]
    blocks: Array

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers, and not categories."""
        return self.field.kind in ("number", "date")


@dataclass(frozen=True)
class Dependence:
    """The mean prediction by the value of one column, or of two.

    ``values`` are those of each column. ``curves`` are by model, (outputs, values) or (outputs,
    values, values): probabilities of the classes in ``outputs`` (of two classes, the second alone),
    or numbers in the unit of the targets. ``ordered`` says for each column whether its values are
    numbers.
    """

    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    ordered: tuple[bool, ...]
    outputs: tuple[str, ...]
    curves: Mapping[str, Array]
    rows: int
    classifies: bool

    def __repr__(self) -> str:
        shown = ", ".join(self.curves)
        ends = [f"{min(c.ravel()):.4g} to {max(c.ravel()):.4g}" for c in self.curves.values()]
        what = "P" if self.classifies else "mean"
        return (
            f"Dependence on {' and '.join(self.columns)}, {self.rows:,} rows: {what} of "
            f"{', '.join(self.outputs)}; {shown}: {'; '.join(ends)}"
        )

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON; ``Dependence.parse`` is the inverse."""
        return {
            "columns": list(self.columns),
            "values": [list(each) for each in self.values],
            "ordered": list(self.ordered),
            "outputs": list(self.outputs),
            "curves": {name: curve.tolist() for name, curve in self.curves.items()},
            "rows": self.rows,
            "classifies": self.classifies,
        }

    @classmethod
    def parse(cls, plain: Mapping[str, Any]) -> Dependence:
        """From ``plain``, which may come from anyone; raises ``ValueError`` or another error of
        values if it is none."""
        columns, ordered = words(plain["columns"]), tuple(map(true, plain["ordered"]))
        values = tuple(
            tuple(map(real if numbers else word, each))
            for numbers, each in zip(ordered, plain["values"], strict=True)
        )
        outputs = words(plain["outputs"])
        shape = (len(outputs), *map(len, values))
        curves = {
            word(name): np.array(curve, np.float64) for name, curve in plain["curves"].items()
        }
        if not len(columns) == len(values) <= 2 or not curves or 0 in shape:
            raise ValueError("a dependence on no column, or of no model")
        for curve in curves.values():
            if curve.shape != shape or not np.isfinite(curve).all():
                raise ValueError(f"a curve of the shape {curve.shape}; expected {shape}")
            if not (np.abs(curve) <= LARGEST).all():
                raise ValueError("a mean prediction that is too large")
        return cls(
            columns, values, ordered, outputs, curves, count(plain["rows"]),
            true(plain["classifies"]),
        )  # fmt: skip


class Model(NamedTuple):
    """A model whose dependence is drawn."""

    network: nn.Module
    objective: Objective


def grid(x: Tensor, schema: Schema, name: str, points: int = POINTS) -> Grid:
    """The values of a column of encoded rows ``x``, by its name, or by that of a part of a date:
    "when.hour".

    A number has ``points`` equally spaced values between its 5 % and 95 % quantiles, or all its
    values if it has fewer; a category has the values of the most rows. Raises ``InputError`` for an
    unknown name, and for a date without a part.
    """
    fields = fields_of(schema)
    part = 0
    for field in fields:
        if field.column is not None and name in (own := field.column.names):
            part = own.index(name)
            if field.kind == "date" and part < len(field.column.parts):
                return _numbers(name, field, part, field.numbers(x), points)
    found = named(fields, name)
    if found.kind == "date" and found.column is not None:
        parts = ", ".join(f"{name}.{each}" for each in found.column.parts)
        raise InputError(f'the column "{name}" is a date: name a part of it, {parts}')
    if found.kind == "category":
        return _categories(found, found.codes(x))
    present = ~found.absent(x)
    numbers = found.numbers(x)[present] if present.any() else found.numbers(x)
    if found.kind == "boolean":
        blocks = np.zeros((2, found.end - found.start))
        blocks[1, 0] = 1.0
        return Grid(name, found, ("false", "true"), blocks)
    return _numbers(name, found, 0, numbers, points)


def _numbers(name: str, field: Field, part: int, numbers: Array, points: int) -> Grid:
    """The grid of a number, or of a part of a date, whose other parts stay as they are (NaN)."""
    own = numbers[:, part]
    values = np.unique(own)
    if len(values) >= points:
        low, high = (_quantile(own, share) for share in ENDS)
        if low < high:
            values = np.linspace(low, high, points)
    blocks = np.zeros((len(values), field.end - field.start))
    if field.kind == "date":
        blocks[:] = np.nan
    blocks[:, part] = values
    return Grid(name, field, tuple(values.tolist()), blocks)


def _quantile(values: Array, share: float) -> float:
    """Cunnane's (1978) approximately unbiased quantile, that of scikit-learn's grid (Hyndman and
    Fan 1996, "Sample quantiles in statistical packages", The American Statistician 50, 361-365)."""
    place = len(values) * share + 0.4 + 0.2 * share
    below = int(np.clip(np.floor(place), 1, len(values) - 1))
    part = float(np.clip(place - below, 0, 1))
    ordered = np.sort(values)
    return float((1 - part) * ordered[below - 1] + part * ordered[below])


def _categories(field: Field, codes: Array) -> Grid:
    counts = np.bincount(codes[codes >= 0], minlength=len(field.labels))
    most = np.sort(np.argsort(-counts, kind="stable")[:MOST_CATEGORIES])
    most = most[counts[most] > 0] if counts.any() else most
    return Grid(
        field.name, field, tuple(field.labels[code] for code in most), np.eye(len(counts))[most]
    )


def dependence(
    models: Mapping[str, Model], x: Tensor, schema: Schema, grids: Sequence[Grid]
) -> Dependence:
    """The partial dependence of each model on the columns of one or two ``grids``, over encoded
    rows ``x`` that taught nothing (at most ``MOST_ROWS`` of them)."""
    rows = _some(x, MOST_ROWS)
    curves = {name: _curve(model, rows, grids)[0] for name, model in models.items()}
    first = next(iter(models.values())).objective
    outputs = schema.targets if not first.classifies else schema.names
    if first.classifies and len(outputs) == 2:
        outputs = outputs[1:]
        curves = {name: curve[1:] for name, curve in curves.items()}
    return Dependence(
        tuple(each.name for each in grids), tuple(each.values for each in grids),
        tuple(each.ordered for each in grids), outputs, curves, len(rows), first.classifies,
    )  # fmt: skip


def _some(x: Tensor, most: int) -> Tensor:
    """At most ``most`` rows, evenly taken."""
    return x[:: -(-len(x) // most)] if len(x) > most else x


def _curve(model: Model, x: Tensor, grids: Sequence[Grid]) -> tuple[Array, Array]:
    """The mean predictions, and the mean raw predictions, (outputs, values, ...)."""
    means, raws = [], []
    shape = [len(each.values) for each in grids]
    for places in np.ndindex(*shape):
        rows = x
        for each, place in zip(grids, places, strict=True):
            rows = _with(rows, each, each.blocks[place])
        raw = predict_raw(model.network, rows)
        told = model.objective
        mean = told.probabilities(raw) if told.classifies else told.mean(raw)
        means.append(mean.mean(0).cpu().numpy())
        raws.append(raw.mean(0).cpu().numpy())
    return tuple(np.stack(each, 1).reshape(-1, *shape) for each in (means, raws))  # type: ignore[return-value]


def _with(x: Tensor, each: Grid, block: Array) -> Tensor:
    """Rows with one value of a column; parts of a date that are NaN stay as they are."""
    if not np.isnan(block).any():
        return fixed(x, each.field, block)
    for part in np.flatnonzero(~np.isnan(block)):
        at = each.field.start + int(part)
        x = fixed(x, Field(each.name, at, at + 1), block[part : part + 1])
    return x


class Pair(NamedTuple):
    """Two columns, and the ``strength`` of their interaction."""

    columns: tuple[str, str]
    strength: float


def strongest_pair(model: Model, x: Tensor, schema: Schema, names: Sequence[str]) -> Pair | None:
    """The two columns of ``names`` that interact most in the model; None if there are none.

    The strength is the root mean square of what the dependence of the *raw* predictions on both
    columns is beyond the sum of the two single ones, over the grid (the numerator of the H
    statistic, Friedman and Popescu 2008, "Predictive learning via rule ensembles", Annals of
    Applied Statistics 2, 916-954, on a grid of equally weighted values). A line has none: its raw
    predictions are sums.
    """
    rows = _some(x, PAIR_ROWS)
    grids = {name: grid(x, schema, name, PAIR_POINTS) for name in names[:PAIR_FIELDS]}
    grids = {name: each for name, each in grids.items() if len(each.values) > 1}
    found = []
    for one, other in combinations(grids, 2):
        raw = _curve(model, rows, (_fewer(grids[one]), _fewer(grids[other])))[1]
        raw = raw - raw.mean(1, keepdims=True) - raw.mean(2, keepdims=True)
        raw = raw - raw.mean((1, 2), keepdims=True)
        found.append(Pair((one, other), float(np.sqrt((raw**2).mean()))))
    return max(found, key=lambda pair: pair.strength, default=None)


def _fewer(each: Grid) -> Grid:
    """A grid of at most ``PAIR_POINTS`` values."""
    step = -(-len(each.values) // PAIR_POINTS)
    return each._replace(values=each.values[::step], blocks=each.blocks[::step])


def shown(values: Sequence[Any]) -> list[str]:
    """The values of a column as text."""
    return [figure(value) if isinstance(value, float) else str(value) for value in values]

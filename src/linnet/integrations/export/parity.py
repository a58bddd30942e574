"""Parity: whether an exported model predicts what the model predicts that it came from.

Both predict the run's held-out rows and ``made`` ones. A file is written only if the largest
difference is within the limit, and says how large it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from linnet.data.column import Column
from linnet.errors import LinnetError, LinnetWarning, WorkError
from linnet.fit.artifact import Artifact
from linnet.integrations.export.export import Source
from linnet.integrations.export.made import MISSING_DATE, Feed, made

if TYPE_CHECKING:
    from linnet.data.dataset import Dataset

Array = np.ndarray[Any, Any]

LIMITS = {"float32": 1e-5, "float64": 1e-9}
"""The largest difference of a probability, by the dtype of the model. Numbers are compared in the
deviation of the target, or in a larger unit for numbers that are far from the mean, or large."""

LARGE = 50
"""A predicted number is known to a few parts in 10 million, in float32; so a number that is more
than this many deviations of the target is compared in a part of its size."""

BLOCK = 2048
"""How many rows are predicted at once."""

Answer = tuple[list[Any] | None, Array]
"""Labels (rows,) and probabilities (rows, classes); None and numbers (rows, targets)."""

Predict = Callable[[Feed], Answer]
"""An exported model, as a function of raw examples."""


@dataclass(frozen=True)
class Parity:
    """How well two models agree: on how many ``held`` rows of the ``part`` of the run, and how many
    ``made`` ones, the ``largest`` difference, and its ``limit``. ``ties`` are rows with another
    label, whose two most probable classes are closer than the limit, or whose probability is so
    close to the threshold. ``why`` says why there are no
    held-out rows. ``by`` is what computed the exported model."""

    held: int
    part: str | None
    made: int
    largest: float
    limit: float
    ties: int
    by: str
    why: str | None = None

    def plain(self) -> dict[str, Any]:
        """The same as JSON."""
        return asdict(self)

    def words(self, classifies: bool) -> tuple[str, ...]:
        """The same in sentences."""
        what = "a probability" if classifies else "a number, in deviations of the target,"
        rows = f"{self.made:,} made rows"
        if self.held:
            rows = f"{self.held:,} {self.part} rows and {rows}"
        found = [
            f"the same predictions by {self.by}: on {rows} the largest difference of {what} is "
            f"{self.largest:.2g} (at most {self.limit:g})"
        ]
        if self.ties:
            found.append(
                f"{self.ties:,} rows have another label: their two most probable classes are "
                f"closer than {self.limit:g}"
            )
        if self.why is not None:
            found.append(f"compared on made rows alone: {self.why}")
        return tuple(found)


def measure(source: Source, predict: Predict, by: str) -> Parity:
    """Compare ``predict`` with the model of ``source``; raises ``WorkError`` if they differ."""
    model = source.artifact
    compared = _Compared(model, predict)
    held, part, why = 0, None, None
    try:
        rows = held_out(source)
    except (LinnetError, OSError) as error:
        why = str(error)
    else:
        part = rows[0]
        for feed in rows[1]:
            held += compared.add(feed)
    invented = made(model.schema, model.module)
    for feed in blocks(invented):
        compared.add(feed)
    for row in range(min(8, rows_of(invented))):  # one by one
        compared.add({name: values[row : row + 1] for name, values in invented.items()})
    limit = compared.limit
    if not compared.largest <= limit or compared.wrong:
        raise WorkError(
            f"not written: {by} does not predict what the model predicts: the largest difference "
            f"is {compared.largest:.2g} (at most {limit:g}), and {compared.wrong:,} rows have "
            "another label; the model's weights may be too large for its dtype: train with "
            "dtype=float64"
        )
    count = rows_of(invented)
    largest = float(f"{compared.largest:.3g}")
    return Parity(held, part, count, largest, limit, compared.ties, by, why)


def limit_of(model: Artifact) -> float:
    """The limit for a model; a module of the user's own may be narrower than the data."""
    narrow = any(
        parameter.is_floating_point() and parameter.dtype != torch.float64
        for parameter in model.module.parameters()
    )
    return LIMITS["float32" if narrow else "float64"]


class _Compared:
    """What was found so far."""

    def __init__(self, model: Artifact, predict: Predict) -> None:
        self.model, self.predict = model, predict
        self.limit = limit_of(model)
        self.largest, self.wrong, self.ties = 0.0, 0, 0
        units = model.module.units
        self.unit: Array | None = None if units is None else units.detach().cpu().double().numpy()
        self.mean: Array | None = None

    def add(self, feed: Feed) -> int:
        """Compare the predictions of these rows; returns how many they are."""
        labels, expected = answer(self.model, feed)
        given, found = self.predict(feed)
        count = len(expected)
        if found.shape != expected.shape:
            self.largest = np.inf
            return count
        if labels is None:
            self._worse(np.abs(found - expected) / self._units(expected))
            return count
        self._worse(np.abs(found - expected))
        other = np.array([one != two for one, two in zip(labels, given or [], strict=True)], bool)
        cut = self.model.manifest.cut
        if cut is None:
            two = np.sort(expected[other], axis=1)[:, -2:]
            close = two[:, 1] - two[:, 0] <= self.limit
        else:
            close = np.abs(expected[other, 1] - cut) <= self.limit
        self.ties += int(close.sum())
        self.wrong += int((~close).sum())
        return count

    def _worse(self, difference: Array) -> None:
        largest = float(difference.max(initial=0.0))
        self.largest = np.inf if np.isnan(largest) else max(self.largest, largest)

    def _units(self, expected: Array) -> Array:
        """The unit in which each number (rows, targets) is compared."""
        if self.unit is None:
            self.unit = expected.std(0)
        if self.mean is None:
            self.mean = expected.mean(0)
        units = np.maximum(np.abs(expected - self.mean), np.abs(expected) / LARGE)
        units = np.maximum(units, self.unit)
        found: Array = np.where(units > 0, units, 1.0)
        return found


def answer(model: Artifact, feed: Feed) -> Answer:
    """What the model itself predicts, by the way of its own data frames and arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinnetWarning)  # unknown categories are meant here
        raw = model.raw(framed(model, feed))
    labels = model.decide(raw)
    if model.objective.classifies:
        return labels.tolist(), model.objective.probabilities(raw).numpy()
    return None, labels.reshape(len(raw), -1)


def framed(model: Artifact, feed: Feed) -> Any:
    """Raw examples as a data frame, or as an array."""
    if not model.schema.fields:
        return feed["x"]
    import polars as pl

    columns = []
    for column in model.schema.fields:
        if not column.used:
            continue
        values = feed[column.name][:, 0]
        if column.kind == "date":
            absent = values == MISSING_DATE
            moments = np.where(absent, 0, values) * 1_000_000
            series = pl.Series(column.name, moments).cast(pl.Datetime("us"))
            series = series.scatter(np.flatnonzero(absent), None)
        elif values.dtype.kind == "O":
            series = pl.Series(column.name, values.tolist(), dtype=pl.String)
        else:
            series = pl.Series(column.name, values).fill_nan(None)
        columns.append(series)
    return pl.DataFrame(columns)


def blocks(feed: Feed) -> Iterator[Feed]:
    """Raw examples, ``BLOCK`` rows at a time."""
    for start in range(0, rows_of(feed), BLOCK):
        yield {name: values[start : start + BLOCK] for name, values in feed.items()}


def rows_of(feed: Mapping[str, Array]) -> int:
    """The number of rows."""
    return len(next(iter(feed.values())))


def held_out(source: Source) -> tuple[str, Iterator[Feed]]:
    """The rows that the run tested with, or without such the validation rows, or else the training
    rows, read again: the name of the part, and raw examples some rows at a time.

    Raises ``LinnetError`` or ``OSError`` if they are not there.
    """
    run = source.run
    if run is None:
        raise WorkError("a model file alone has no rows")
    split = run.split()
    part = next(part for part in ("test", "valid", "train") if len(split[part]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinnetWarning)
        draft = run.draft(source.data, source.name)
    rows = split[part].numpy()

    def every() -> Iterator[Feed]:
        for start in range(0, len(rows), BLOCK):
            yield _feed(draft, rows[start : start + BLOCK])

    return {"valid": "validation", "train": "training"}.get(part, part), every()


def _feed(draft: Dataset, rows: Array) -> Feed:
    """Some rows of a data set before encoding, as raw examples."""
    x = draft.x[rows].numpy()
    if not draft.schema.fields:
        return {"x": x}
    used = [column for column in draft.schema.fields if column.used]
    return {column.name: _raw(column, x[:, index]) for index, column in enumerate(used)}


def _raw(column: Column, record: Array) -> Array:
    """The raw values (rows, 1) of a record of a column."""
    absent = np.isnan(record)
    if column.kind == "date":
        seconds = np.floor(np.where(absent, 0, record)).astype(np.int64)
        return np.where(absent, MISSING_DATE, seconds)[:, None]
    if column.kind != "category":
        return record[:, None]
    codes = np.where(absent, len(column.categories), record).astype(np.int64)
    known: list[Any] = [*column.categories, ""]
    if column.numeric:
        return np.array([*map(float, column.categories), np.nan])[codes][:, None]
    return np.array(known, object)[codes][:, None]

"""Rows that nobody measured, to compare an exported model with the one that it came from.

They go where data seldom goes: each column missing, categories that were not in training, numbers
and dates at the ends of their range and beyond, and many rows drawn from all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from linnet.data.column import Column
from linnet.data.schema import Schema
from linnet.networks.base import Network
from linnet.networks.scaling import Scaling

Array = np.ndarray[Any, Any]

Feed = dict[str, Array]
"""Raw examples by column, (rows, 1) each: numbers and booleans as float64 with NaN for missing,
dates as int64 seconds since 1970 with ``MISSING_DATE``, categories as text with "" or, if they are
numbers, as float64. Examples that are no table are "x" alone, (rows, *shape)."""

MISSING_DATE = -(1 << 63)
"""The int64 that stands for a missing date: NumPy's NaT."""

DRAWN = 10_000
"""How many rows are drawn, unless examples are large."""

MAX_BYTES = 256 << 20
"""The most bytes of made examples that are no tables."""

UNKNOWN = "a category that was not in training"
UNKNOWN_NUMBER = 1e9 + 0.5

SHARE = 0.05
"""The share of drawn values that are missing, and of categories that are unknown."""


def made(schema: Schema, network: Network, seed: int = 0) -> Feed:
    """Made examples for a model; the last ``DRAWN`` ones are drawn with ``seed``."""
    random = np.random.default_rng(seed)
    centre, spread = _scales(network, schema)
    if not schema.fields:
        return {"x": _examples(schema, centre, spread, random)}
    feed: Feed = {}
    used = [column for column in schema.fields if column.used]
    several = [_values(column, place, centre, spread) for column, place in _placed(used)]
    rows = 1 + sum(map(len, several))
    start = 1
    for column, values in zip(used, several, strict=True):
        first = np.full(rows, values[0], values.dtype)
        first[start : start + len(values)] = values
        start += len(values)
        drawn = _drawn(column, values, random)
        feed[column.name] = np.concatenate([first, drawn])[:, None]
    return feed


def _placed(used: Sequence[Column]) -> list[tuple[Column, int]]:
    """Columns, each with the place of its first encoded column."""
    places = np.cumsum([0, *(len(column.names) for column in used)]).tolist()
    return list(zip(used, places, strict=False))


def _scales(network: Network, schema: Schema) -> tuple[Array, Array]:
    """About the mean and the deviation of each input, by the scaling of the network."""
    size = int(np.prod(schema.shape))
    for module in network.modules():
        if isinstance(module, Scaling):
            shift, factor = (
                np.broadcast_to(each.detach().cpu().double().numpy().reshape(-1), size)
                for each in (module.shift, module.factor)
            )
            return shift, 1 / np.where(factor == 0, 1, factor)
    return np.zeros(size), np.ones(size)


def _values(column: Column, place: int, centre: Array, spread: Array) -> Array:
    """The values of a column that are tried one by one; the first is an ordinary one, and the
    second means missing."""
    if column.kind == "category":
        known = column.categories
        if column.numeric:
            numbers = [float(each) for each in known]
            return np.array([*(numbers[:1] or [0.0]), np.nan, *numbers[-1:], UNKNOWN_NUMBER])
        return np.array([*(known[:1] or ["a"]), "", *known[-1:], UNKNOWN], object)
    if column.kind == "boolean":
        return np.array([1.0, np.nan, 0.0])
    low, high = range_of(column, place, centre, spread)
    width = high - low or max(1.0, abs(low))
    some = [(low + high) / 2, np.nan, low, high, low - width, high + width]
    if column.kind == "date":
        whole = [MISSING_DATE if np.isnan(each) else int(each) for each in some]
        return np.array([*whole, int(high) + 86_399], np.int64)
    return np.array([*some, low - 100 * width, high + 100 * width])


def range_of(column: Column, place: int, centre: Array, spread: Array) -> tuple[float, float]:
    """The least and the largest number, or seconds of a date, of training rows; of a model that
    does not say, about them."""
    if column.range is not None:
        return column.range
    if column.kind == "date":
        year = min(max(int(column.fill[0]), 1), 9998)
        return tuple(  # type: ignore[return-value]
            datetime(each, 1, 1, tzinfo=UTC).timestamp() for each in (year, year + 1)
        )
    return float(centre[place] - 3 * spread[place]), float(centre[place] + 3 * spread[place])


def _drawn(column: Column, values: Array, random: np.random.Generator) -> Array:
    """``DRAWN`` values of a column."""
    found: Array
    if column.kind in ("category", "boolean"):
        found = values[:1].repeat(DRAWN)
        known: Sequence[Any] = column.categories or values[:1].tolist()
        if column.kind == "boolean":
            known = (0.0, 1.0)
        elif column.numeric:
            known = [float(each) for each in column.categories] or [0.0]
        found = np.array(known, values.dtype)[random.integers(0, len(known), DRAWN)]
        if column.kind == "category":
            found[random.random(DRAWN) < SHARE] = values[-1]
    else:
        low, high = sorted(float(each) for each in values[2:4])
        share = random.uniform(-0.1, 1.1, DRAWN)
        found = (low * (1 - share) + high * share).astype(values.dtype)
    found[random.random(DRAWN) < SHARE] = values[1]
    return found


def _examples(schema: Schema, centre: Array, spread: Array, random: np.random.Generator) -> Array:
    """Pictures, or rows of numbers without names: even ones, noise, and noise of large patches."""
    size = centre.size * np.dtype(schema.dtype).itemsize
    count = int(min(DRAWN, max(64, MAX_BYTES // size)))
    if schema.dtype == "uint8":
        return _pictures(
            schema, int(np.ceil((centre + 3 * spread).max().clip(1, 255))), count, random
        )
    several = np.array([0.0, 1.0, -1.0, 10.0, -10.0])
    z = random.normal(size=(count, centre.size)) * random.choice([0.5, 1.0, 3.0], (count, 1))
    z[: len(several)] = several[:, None]
    numbers: Array = (centre + spread * z).reshape(count, *schema.shape).astype(schema.dtype)
    return numbers


def _pictures(schema: Schema, high: int, count: int, random: np.random.Generator) -> Array:
    """Pictures whose pixels are 0 to ``high``, three deviations above the mean of training: beyond
    it, a net in float32 is not sure of its own last digits."""
    height, width = schema.shape[1:]
    patches = random.integers(0, high + 1, (count, schema.shape[0], 7, 7), np.uint8)
    rows, columns = (np.arange(side) * 7 // side for side in (height, width))
    found: Array = patches[:, :, rows[:, None], columns]
    noisy = len(found[1::2])
    found[1::2] = random.integers(0, high + 1, (noisy, *schema.shape), np.uint8)
    found[0], found[1], found[2] = 0, high, high // 2
    return found

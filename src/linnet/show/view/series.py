"""Curves of any length in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from linnet.core.events import LARGEST
from linnet.core.history import Columns, Part
from linnet.core.text import cut

BUCKETS = 800
MAX_POINTS = 2 * BUCKETS + 1
"""The most points of a curve: the smallest and the largest value of each bucket, and the last
point."""

Key = tuple[str, str, str]
"""The key of a curve: the model, "train" or "valid", and the name of the value."""

MAX_SERIES = 100
"""The most curves of one run."""

MAX_LETTERS = 300
"""The most letters of a name that is shown."""

RATE_SECONDS = 0.05
"""The shortest time over which samples per second are computed."""

PLACE = ("step", "epoch", "time", "event", "model", "valid", "converged", "member")
"""Keys that are not values of a curve."""

Point = tuple[int, int, float, float]
"""One written value: its number in the curve, its step, its time in seconds, and the value."""


def _value(point: Point) -> float:
    return point[3]


class Bucket:
    """A group of points in a row, of which the smallest and the largest are kept. ``offset`` is the
    end of the record when the last of them was read."""

    __slots__ = ("high", "low", "offset")

    def __init__(self, low: Point, high: Point, offset: int) -> None:
        self.low, self.high, self.offset = low, high, offset

    def points(self) -> list[Point]:
        """The one or two points that are kept, in order."""
        return [self.low] if self.low == self.high else sorted((self.low, self.high))


class Series:
    """A curve of at most ``MAX_POINTS`` points.

    Each bucket stands for ``stride`` points. If more than ``BUCKETS`` buckets were needed, each two
    are merged. So peaks are kept, and adding a point costs the same at any length.
    """

    def __init__(self) -> None:
        self.stride = 1
        self.offset = 0
        self._merged = 0
        self._count = 0
        self._new: list[tuple[int, float, float]] = []
        self._buckets: list[Bucket] = []
        self._last: Point | None = None

    def extend(self, points: Iterable[tuple[int, float, float]]) -> None:
        """Add points (step, seconds, value); ``settle`` puts them into buckets."""
        self._new.extend(points)

    def settle(self, offset: int) -> None:
        """Put the new points into buckets; they were read from the record up to byte ``offset``."""
        points, self._new = self._new, []
        if not points:
            return
        while self._count + len(points) > BUCKETS * self.stride:
            self._merge(offset)
        values = [value for _, _, value in points]
        at = 0
        while at < len(points):
            filled = self._count % self.stride
            part = values[at : at + self.stride - filled]
            place = at + part.index(min(part))
            low = (self._count + place - at, *points[place])
            place = at + part.index(max(part))
            high = low if low[3] == values[place] else (self._count + place - at, *points[place])
            if filled:
                bucket = self._buckets[-1]
                bucket.low = min(bucket.low, low, key=_value)
                bucket.high = max(bucket.high, high, key=_value)
                bucket.offset = offset
            else:
                self._buckets.append(Bucket(low, high, offset))
            at += len(part)
            self._count += len(part)
        self._last = (self._count - 1, *points[-1])
        self.offset = offset

    def _merge(self, offset: int) -> None:
        pairs = zip(self._buckets[::2], self._buckets[1::2], strict=False)
        alone = self._buckets[-1:] if len(self._buckets) % 2 else []
        self._buckets = [
            Bucket(
                min(a.low, b.low, key=_value),
                max(a.high, b.high, key=_value),
                b.offset,
            )
            for a, b in pairs
        ] + alone
        self.stride *= 2
        self._merged = offset

    def since(self, offset: int) -> tuple[int, list[Point]]:
        """The changes after the record's byte ``offset``: a position in the curve, and the points
        that replace all points from this position on."""
        first = 0
        if offset >= self._merged:
            first = len(self._buckets)
            while first and self._buckets[first - 1].offset > offset:
                first -= 1
        start = sum(1 if b.low == b.high else 2 for b in self._buckets[:first])
        points = [point for bucket in self._buckets[first:] for point in bucket.points()]
        if self._last is not None and (not points or points[-1] != self._last):
            points.append(self._last)
        return start, points


class Bounded:
    """The curves of one run, by key, which a ``History`` fills. ``batch`` is the number of rows of
    a step, if it is known; then samples per second are computed."""

    def __init__(self) -> None:
        self.series: dict[Key, Series] = {}
        self.batch: float | None = None
        self.samples: dict[str, float] = {}
        """The last number of samples per second, by model."""

        self._rates: dict[str, tuple[float, int]] = {}

    def put(self, model: str, part: Part, columns: Columns) -> None:
        """Add points of a model; points without a time are ignored."""
        times, steps = columns.get("time"), columns["step"]
        if times is None or not are_numbers(times):
            return
        model = shortened(model)
        for name, values in columns.items():
            series = self._series(model, "valid" if part == "valid" else "train", name, values)
            if series is None:
                continue
            points = zip(steps, times, values, strict=True)
            if are_numbers(values):
                series.extend(points)
            else:
                series.extend(point for point in points if number(point[2]) is not None)
        if part == "valid":
            self._rates[model] = times[-1], steps[-1]
        elif part == "step" and "lr" in columns and self.batch is not None:
            self._rate(model, steps, times)

    def settle(self, offset: int) -> None:
        """Settle all curves; their points were read from the record up to byte ``offset``."""
        for series in self.series.values():
            series.settle(offset)

    def _series(self, model: str, part: str, name: str, values: Sequence[Any]) -> Series | None:
        """The curve of a value; None if it is not the value of a curve, or has no number yet."""
        key = model, part, shortened(name)
        if key in self.series:
            return self.series[key]
        if name in PLACE or len(self.series) >= MAX_SERIES:
            return None
        if all(number(value) is None for value in values):
            return None
        return self.series.setdefault(key, Series())

    def _rate(self, model: str, steps: Sequence[int], times: Sequence[float]) -> None:
        """Add samples per second since the last time; the time of evaluations is left out."""
        before, done = self._rates.get(model, (times[0], steps[0]))
        for step, at in zip(steps, times, strict=True):
            if at - before >= RATE_SECONDS:
                if step > done and self.batch:
                    rate = self.batch * (step - done) / (at - before)
                    self.samples[model] = rate
                    series = self._series(model, "train", "samples", (rate,))
                    if series is not None and number(rate) is not None:
                        series.extend([(step, at, rate)])
                before, done = at, step
        self._rates[model] = (before, done)


def number(value: Any) -> float | None:
    """``value`` if it is a number within ``LARGEST``; else None."""
    held = type(value) in (int, float) and -LARGEST < value < LARGEST
    return value if held else None


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether each value is such a number; none can be NaN, which strict JSON does not allow."""
    plain = {int, float}.issuperset(map(type, values))
    return plain and min(values) > -LARGEST and max(values) < LARGEST


def shortened(text: str, most: int = MAX_LETTERS) -> str:
    """A text that is not too long."""
    return cut(text, most)

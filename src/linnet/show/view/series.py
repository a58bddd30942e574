"""One curve in bounded memory, however long it grows."""

from __future__ import annotations

from collections.abc import Iterable

BUCKETS = 800
MAX_POINTS = 2 * BUCKETS + 1
"""Of a curve: the least and the largest value of each bucket, and the last point."""

Point = tuple[int, int, float, float]
"""One value that was written: the how manieth, at which step, after how many seconds, the value."""


def _value(point: Point) -> float:
    return point[3]


class Bucket:
    """A stretch of points, of which the least and the largest stay; ``offset``: where the record
    ended when the last of them was read."""

    __slots__ = ("high", "low", "offset")

    def __init__(self, low: Point, high: Point, offset: int) -> None:
        self.low, self.high, self.offset = low, high, offset

    def points(self) -> list[Point]:
        """One or two, in order."""
        return [self.low] if self.low == self.high else sorted((self.low, self.high))


class Series:
    """A curve of at most ``MAX_POINTS`` points.

    Each bucket holds ``stride`` points; where more than ``BUCKETS`` would be needed, each two
    become one. So peaks stay, and adding a point costs the same at any length.
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
        """Points: step, seconds, value; they count once they are settled."""
        self._new.extend(points)

    def settle(self, offset: int) -> None:
        """Put what was added, read from the record's bytes before ``offset``, into buckets."""
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
        """What changed after the record's byte ``offset``: the points from the one at that place
        on, which replace all that were there."""
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

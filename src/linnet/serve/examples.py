"""An example of what a model takes, made of what its training rows had."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from linnet.data.column import Column
from linnet.data.schema import Schema


def example(schema: Schema) -> Any:
    """One row or picture as JSON."""
    if schema.fields:
        return {field.name: value(field) for field in schema.fields if field.used}
    if schema.example == "picture":
        if schema.columns:
            return dict.fromkeys(schema.columns, 0)
        ground = schema.ground[0] if schema.ground else 0
        dark: Any = ground if schema.dtype == "uint8" else 0.0
        for size in reversed(schema.shape):
            dark = [dark] * size
        return dark
    return dict.fromkeys(schema.columns, 0.0) if schema.columns else [0.0] * schema.shape[0]


def value(field: Column) -> Any:
    """A usual value of a column: the median, or the most frequent category; null if none is
    known."""
    typical = field.typical
    if field.kind == "category":
        if not field.categories:
            return None
        category = field.categories[0 if typical is None else int(typical)]
        return whole(float(category)) if field.numeric else category
    if field.kind == "boolean":
        return bool(typical)
    if field.kind == "date":
        return None if typical is None else date(typical, field.timed)
    if typical is None:
        return field.fill[0] if field.fill else None
    return whole(typical)


def whole(number: float) -> float:
    """The number, as an integer if it is one."""
    return int(number) if number.is_integer() else number


def date(seconds: float, timed: bool) -> str:
    """Seconds since 1970 as a date, or a date with a time of day."""
    found = datetime.fromtimestamp(seconds, UTC)
    return found.strftime("%Y-%m-%dT%H:%M:%S" if timed else "%Y-%m-%d")

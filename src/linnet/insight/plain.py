"""Values of a JSON that may come from anyone: each is of its type, or raises ``ValueError``."""

from __future__ import annotations

from typing import Any

from linnet.core.events import MAX_WHOLE, is_number


def real(value: Any) -> float:
    """A number, also "NaN" and "Infinity"; at most ``LARGEST`` otherwise."""
    if not is_number(value):
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    return float(value)


def count(value: Any) -> int:
    """A whole number from 0."""
    if type(value) is not int or not 0 <= value <= MAX_WHOLE:
        raise ValueError(f"{str(value)[:40]!r} is not a count")
    return value


def word(value: Any, *known: str) -> str:
    """A text; one of ``known``, if there are any."""
    if type(value) is not str or (known and value not in known):
        raise ValueError(f"{str(value)[:40]!r} is not {' or '.join(known) or 'a text'}")
    return value


def true(value: Any) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise ValueError(f"{str(value)[:40]!r} is not true or false")
    return value


def words(value: Any) -> tuple[str, ...]:
    """A list of texts, at least one."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"{str(value)[:40]!r} is not a list of texts")
    return tuple(map(word, value))


def pair(value: Any) -> tuple[float, float]:
    """The ends of an interval."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{str(value)[:40]!r} is not an interval")
    return real(value[0]), real(value[1])

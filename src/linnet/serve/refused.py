"""A request that is not answered as it wished."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from linnet.core.text import cut
from linnet.errors import CellError, LinnetError

MOST_GIVEN = 200
"""The most letters of a wrong value in an answer."""


class Refused(Exception):
    """A request is refused with a status, a message, more ``facts`` for programs, and headers."""

    def __init__(
        self,
        status: int,
        message: str,
        facts: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.facts, self.headers = dict(facts or {}), dict(headers or {})


def of_input(error: LinnetError) -> Refused:
    """An error of linnet about the input of a request."""
    facts = {}
    if isinstance(error, CellError):
        facts = {
            "row": error.row,
            "column": error.column,
            "given": _plain(error.given),
            "expected": error.expected,
        }
    return Refused(422, str(error), facts)


def _plain(value: Any) -> Any:
    """A wrong value as JSON has it, cut where it is long."""
    if value is None or isinstance(value, (bool, int)):
        return value if not isinstance(value, int) or abs(value) < 1 << 64 else cut(str(value), 60)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return cut(value if isinstance(value, str) else repr(value), MOST_GIVEN, "...")

"""What a server of models accepts, so that no request takes its time or its memory."""

from __future__ import annotations

from dataclasses import dataclass

from linnet.core.limits import Limit

MAX_VALUES = 2_000_000
"""The most values in a JSON body."""

MAX_ANSWER = 2_000_000
"""The most probabilities in an answer: rows times classes."""

INLINE_BYTES = 16 << 10
"""A body of JSON of at most this size is computed in the event loop, if its model is a light one:
another thread would cost more than the work."""

INLINE_PARAMETERS = 1 << 20
"""A model of more parameters is not light."""

BLOCK, HEAVY_BLOCK = 1024, 32
"""The rows after which work looks whether its request has ended; the second for models that are not
light. Every protocol cuts the same rows at the same places, and so gives the same numbers."""

HELD_BYTES = 256 << 20
"""The most bytes of bodies and answers that a process holds at once."""

THREADS = 2
"""The most threads that compute what is not computed in the event loop; no more than cores."""

RETRY_SECONDS = 1
"""When to come again, in an answer 503."""


@dataclass(frozen=True)
class Limits:
    """What the user may set: the most bytes of a body, the most rows in it, the seconds until an
    answer, the most requests that wait for a thread, and the most connections."""

    body: int = 16 << 20
    rows: int = 100_000
    seconds: float = 30.0
    waiting: int = 32
    connections: int = 1000

    @property
    def json(self) -> Limit:
        """The same for JSON."""
        return Limit("MAX_BODY", self.body, MAX_VALUES)

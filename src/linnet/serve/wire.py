"""A connection to the server: what is slow is ended, and how many there are is bounded.

uvicorn has a time limit between requests alone. Here a connection is at each time in one of five
states, and one task of the server (``sweep``) ends those that have been too long in theirs.
"""

from __future__ import annotations

import asyncio
from typing import Any

IDLE, HEAD, BODY, WORK, REST = range(5)
"""What a connection waits for: a request, the rest of its head, the rest of its body, its answer,
the rest of a body that is answered already."""

SECONDS = {IDLE: 75.0, HEAD: 10.0, BODY: 30.0, REST: 5.0}
"""The longest time in each state. The answer has a limit of its own, ``Limits.seconds``."""

SEND_SECONDS = 30.0
"""The longest time in which the other side reads nothing."""

HEAD_BYTES = 64 << 10
"""The most bytes of the head of a request."""

SWEEP_SECONDS = 0.5


def wire(most: int) -> type[asyncio.Protocol]:
    """The class of connections, at most ``most`` of them: uvicorn's HTTP/1.1 by httptools where it
    is installed, else by h11."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Fast
    except ImportError:
        from uvicorn.protocols.http.h11_impl import H11Protocol

        return type("Wire", (_H11, _Wire, H11Protocol), {"most": most})
    return type("Wire", (_HttpTools, _Wire, Fast), {"most": most})


def sweep(connections: set[Any], now: float) -> None:
    """End the connections that have been too long in their state."""
    for each in list(connections):
        each.sweep(now)


class _Wire:
    """What is added to uvicorn's classes of connections."""

    most = 1000
    state, since = IDLE, 0.0
    slow: float | None = None
    """Since when the other side does not read."""
    head = 0
    """The bytes that have come without a part of a body, since the last part or request."""
    seen: Any = None
    """The request that is known already."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    connections: set[Any]
    cycle: Any

    def connection_made(self, transport: Any) -> None:
        """A new connection: where there are too many, the one ends that has waited longest."""
        super().connection_made(transport)  # type: ignore[misc]
        self._enter(IDLE)
        if len(self.connections) > self.most:
            waiting = [each for each in self.connections if each.state != WORK]
            min(waiting, key=lambda each: each.since, default=self).transport.abort()

    def _enter(self, state: int) -> None:
        self.state, self.since = state, self.loop.time()

    def came(self, size: int) -> None:
        """Bytes have come, and are read."""
        cycle = self.cycle
        if cycle is not self.seen:
            self.seen = cycle
            self._enter(BODY if cycle.more_body else WORK)
            self.head = 0
        elif self.state == BODY and not cycle.more_body:
            self._enter(WORK)
        elif self.state != WORK:
            self.head += size
            if self.head > HEAD_BYTES:
                self.transport.abort()

    def on_response_complete(self) -> None:
        """A request is answered."""
        cycle = self.cycle
        self._enter(REST if cycle is not None and cycle.more_body else IDLE)
        super().on_response_complete()  # type: ignore[misc]

    def send_400_response(self, msg: str) -> None:
        """What has come is not HTTP."""
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.abort()
            return
        try:
            super().send_400_response(msg)  # type: ignore[misc]
        except Exception:  # h11, where an answer was sent before the body was whole
            self.transport.abort()

    def pause_writing(self) -> None:
        """The other side does not read as fast as messages come."""
        super().pause_writing()  # type: ignore[misc]
        self.slow = self.loop.time()

    def resume_writing(self) -> None:
        """The other side has read."""
        super().resume_writing()  # type: ignore[misc]
        self.slow = None

    def sweep(self, now: float) -> None:
        """End the connection if it has been too long in its state."""
        late = self.state != WORK and now - self.since > SECONDS[self.state]
        if late or (self.slow is not None and now - self.slow > SEND_SECONDS):
            self.transport.abort()


class _HttpTools(_Wire):
    def data_received(self, data: bytes) -> None:
        if self.state == IDLE:
            self._enter(HEAD)
        super().data_received(data)  # type: ignore[misc]
        self.came(len(data))

    def on_body(self, body: bytes) -> None:
        self.head = -len(body)
        super().on_body(body)  # type: ignore[misc]


class _H11(_Wire):
    """h11 has a bound on the head of its own."""

    def data_received(self, data: bytes) -> None:
        if self.state == IDLE:
            self._enter(HEAD)
        super().data_received(data)  # type: ignore[misc]

    def handle_events(self) -> None:
        super().handle_events()  # type: ignore[misc]
        if self.cycle is not None:
            self.came(0)

"""A connection to the live page: what is slow is ended, before and after a request is known."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""A connection that waits for a request, or for the rest of one, is ended after this time."""

SEND_SECONDS = 30.0
"""A connection whose other side reads nothing is ended after this time. Until then it holds at most
one message and asyncio's buffer of 64 kB."""

MAX_WAITING = 64
"""The most connections that wait for a request: one more ends the one that has waited longest. So
who sends half of a request, without a token, locks nobody out."""

_waiting: WeakKeyDictionary[Any, dict[Wire, asyncio.TimerHandle]] = WeakKeyDictionary()
"""The connections of each server that wait, the oldest first, with the timers that end them."""


class Wire(H11Protocol):
    """uvicorn's HTTP/1.1, which has no time limit for the head of a request or for a reader."""

    _slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection: it waits for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._go()
        self._read_again()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Bytes have come: perhaps the rest of a request."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self.cycle.response_complete:
            self._go()

    def on_response_complete(self) -> None:
        """A request is answered: the connection waits for the next, or for the rest of this one."""
        self._wait()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The other side does not read as fast as messages come."""
        super().pause_writing()
        if self._slow is None:
            self._slow = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The other side has read."""
        super().resume_writing()
        self._read_again()

    def _read_again(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _wait(self) -> None:
        self._go()
        waiting = _waiting.setdefault(self.server_state, {})
        if len(waiting) >= MAX_WAITING:
            next(iter(waiting)).end()
        waiting[self] = self.loop.call_later(HEAD_SECONDS, self.end)

    def _go(self) -> None:
        timer = _waiting.get(self.server_state, {}).pop(self, None)
        if timer is not None:
            timer.cancel()

    def end(self) -> None:
        """End the connection at once."""
        self._go()
        self.transport.abort()

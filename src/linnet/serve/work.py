"""Where a request is computed: in the event loop, or in one of few threads, within a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from linnet.serve.limits import RETRY_SECONDS, THREADS, Limits
from linnet.serve.refused import Refused

T = TypeVar("T")


class Ended(Exception):
    """The request of some work has ended, so the work ends, too."""


class Flag:
    """Whether the request of some work has ended."""

    __slots__ = ("down",)

    def __init__(self) -> None:
        self.down = False

    def check(self) -> None:
        """Raise ``Ended`` if the request has ended."""
        if self.down:
            raise Ended


def _cores() -> int:
    """The cores that this process may use: two threads on one core take a fifth longer than one,
    because neither stays in its cache."""
    bound = getattr(os, "sched_getaffinity", None)
    return len(bound(0)) if bound else os.cpu_count() or 1


class Work:
    """A few threads, with a bound on what waits for them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(min(THREADS, _cores()), thread_name_prefix="linnet-serve")
        self.waiting = 0
        """The work that waits or is computed, also where its request has ended."""

    async def run(self, job: Callable[[Flag], T], gone: Callable[[], Awaitable[Any]]) -> T:
        """The result of ``job`` from a thread.

        Raises ``Refused``: 503 if too much waits already, 504 if the time is over. ``gone`` ends
        when the client has gone; then this raises ``Ended``. In both cases the work ends, at the
        latest after the block of rows that it is at.
        """
        if self.waiting >= self._limits.waiting:
            raise busy()
        flag = Flag()

        def guarded() -> T:
            flag.check()
            return job(flag)

        self.waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, guarded)
        future.add_done_callback(self._done)
        left = asyncio.ensure_future(gone())
        try:
            await asyncio.wait(
                {future, left},
                timeout=self._limits.seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if future.done():
                return future.result()
            if left.done():
                raise Ended
            raise Refused(
                504,
                f"no answer within {self._limits.seconds:g} seconds (--timeout), and the work was "
                "ended; send fewer rows at once",
            )
        finally:
            flag.down = True
            left.cancel()

    def _done(self, future: asyncio.Future[Any]) -> None:
        self.waiting -= 1
        if not future.cancelled():
            future.exception()  # the one who asked may have gone

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def busy() -> Refused:
    """Too much work waits."""
    return Refused(
        503,
        "too many requests wait already; come again",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )

"""Ctrl-C and SIGTERM while a run goes on."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linnet.fit.checkpoint import Stop


@contextmanager
def interruptible() -> "Iterator[Stop]":
    """While this goes on, SIGINT and SIGTERM ask to stop after the next step, where a fit goes on,
    or else stop it here; a second one ends the process at once."""
    from linnet.errors import Interrupted
    from linnet.fit.checkpoint import Stop

    stop = Stop()

    def asked(number: int, frame: object) -> None:
        if stop.signal is not None:
            os._exit(128 + number)
        stop.signal = number
        if not stop.heeded:
            raise Interrupted(number)
        with suppress(OSError):  # nobody may read it
            os.write(2, b"\nsaving, then stopping; once more stops at once\n")

    before = {
        number: signal.signal(number, asked)
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) != signal.SIG_IGN  # in the background, of nohup
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

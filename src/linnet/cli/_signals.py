"""Ctrl-C and SIGTERM during a run."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linnet.fit.checkpoint import Stop


@contextmanager
def ignored() -> Iterator[None]:
    """In this block SIGINT and SIGTERM do nothing: of several ranks one heeds them, and the others
    end when it has."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interruptible() -> "Iterator[Stop]":
    """In this block SIGINT and SIGTERM request a stop after the next step of the fit; if no fit is
    in progress, they raise ``Interrupted``. A second signal ends the process at once."""
    from linnet.errors import Interrupted
    from linnet.fit.checkpoint import Stop

    stop = Stop()

    def asked(number: int, frame: object) -> None:
        if number == signal.SIGTERM and "TORCHELASTIC_RUN_ID" in os.environ:
            stop.signal = number  # a launcher ends its ranks, perhaps because one of them is lost,
            return  # which the next sum over the ranks finds out
        if stop.signal is not None:
            os._exit(128 + number)
        stop.signal = number
        if not stop.heeded:
            raise Interrupted(number)
        with suppress(OSError):  # standard error may be closed
            os.write(2, b"\nsaving, then stopping; Ctrl-C again stops at once\n")

    before = {
        number: signal.signal(number, asked)
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) != signal.SIG_IGN  # nohup and background jobs ignore it
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

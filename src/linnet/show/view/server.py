"""Serve the live page until nobody needs it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from linnet.runs import writer
from linnet.show.view.app import Page
from linnet.show.view.guard import Guard
from linnet.show.view.wire import Wire

IDLE_SECONDS = 60.0


def serve(
    root: Path,
    listener: socket.socket,
    token: str,
    *,
    pid: int | None = None,
    idle: bool = False,
) -> None:
    """Serve the page of ``root`` at ``listener``, until Ctrl-C or a signal.

    With ``idle`` it ends by itself when the process ``pid`` has ended and there was no request for
    ``IDLE_SECONDS``.
    """
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(root, listener, token, pid, idle))


def configure(application: ASGIApp) -> uvicorn.Config:
    """uvicorn's settings: HTTP/1.1 with time limits, no log, open streams do not delay its end."""
    return uvicorn.Config(
        application, loop="asyncio", http=Wire, ws="none", lifespan="off", log_config=None,
        access_log=False, server_header=False, proxy_headers=False, limit_concurrency=200,
        timeout_graceful_shutdown=1,
    )  # fmt: skip


async def _serve(
    root: Path, listener: socket.socket, token: str, pid: int | None, idle: bool
) -> None:
    page = Page(root)
    server = uvicorn.Server(configure(Guard(page, token, listener.getsockname()[1])))
    watch = asyncio.create_task(_watch(server, page, pid, idle))
    try:
        await server.serve(sockets=[listener])
    finally:
        watch.cancel()
        await page.end()


async def _watch(server: uvicorn.Server, page: Page, pid: int | None, idle: bool) -> None:
    """End the server when nobody needs it, and its streams when it ends."""
    while not server.should_exit:
        await asyncio.sleep(0.2)
        if idle and not page.streams and time.monotonic() - page.asked > IDLE_SECONDS:
            server.should_exit = pid is None or not writer.alive(pid)
    page.ending = True

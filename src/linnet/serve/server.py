"""Run a server: one process, or several that share an address."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from linnet.core.text import counted, say
from linnet.errors import InputError, LinnetError
from linnet.serve.app import Service
from linnet.serve.models import Model, load, load_all
from linnet.serve.settings import BACKLOG, Settings, bind
from linnet.serve.wire import SWEEP_SECONDS, sweep, wire

WATCH_SECONDS = 1.0
"""How often the files of the models are looked at."""

SPARE_FILES = 64
"""The open files that are not connections."""

QUICK_SECONDS = 5.0
"""A process that ended sooner than this after its begin is started again later, not at once."""


class Server(uvicorn.Server):
    """uvicorn's server, with what linnet's has besides: it ends what is slow, takes newer models,
    and ends with the code 0 after a signal."""

    def __init__(self, config: uvicorn.Config, service: Service, settings: Settings) -> None:
        super().__init__(config)
        self._service, self._settings = service, settings
        self._tasks: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._tasks.append(asyncio.create_task(self._sweep()))
        if self._settings.watch:
            self._tasks.append(asyncio.create_task(watch(self._service, self._settings)))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is in flight, and end."""
        await super().shutdown(sockets)
        for task in self._tasks:
            task.cancel()
        self._service.work.close()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            sweep(self.server_state.connections, loop.time())

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM: first it is not ready, after the time to drain it ends; SIGINT: it ends. Again:
        it ends without waiting for requests."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def asked(number: int) -> None:
            if self._service.stopping:
                self.should_exit = self.force_exit = True
                return
            self._service.stopping = True
            if number == signal.SIGTERM and self._settings.drain:
                loop.call_later(self._settings.drain, self._end)
            else:
                self._end()

        def handler(number: int, frame: object) -> None:
            loop.call_soon_threadsafe(asked, number)

        before = {
            number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)

    def _end(self) -> None:
        self.should_exit = True


async def watch(service: Service, settings: Settings) -> None:
    """Take newer files of the models as they come. A file that is being written, or is bad, changes
    nothing: the model before it goes on."""
    loop = asyncio.get_running_loop()
    taken = {given.name: _seen(given.seen) for given in settings.models}
    before = dict(taken)
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        for given in settings.models:
            now = _seen(given.seen)
            still = now == before[given.name]  # nobody writes just now
            before[given.name] = now
            if now is None or now == taken[given.name] or not still:
                continue
            taken[given.name] = now
            try:
                found = await loop.run_in_executor(None, load, given, settings.network)
                if found.sha256 == service.models[given.name].sha256:
                    continue
                service.models.newer(given.name, found)
            except LinnetError as error:
                say(f"warning: {given.name}: {error}", error=True)
                continue
            service.changed()
            say(f"{given.name}: a newer model, sha256 {found.sha256[:12]}")


def _seen(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except OSError:
        return None


def configure(service: Service) -> uvicorn.Config:
    """uvicorn's settings: no log of requests, no header that names the server."""
    limits = service.limits
    return uvicorn.Config(
        service, http=wire(limits.connections), loop=_loop(), ws="none", lifespan="off",
        log_config=None, log_level="critical", access_log=False, server_header=False,
        proxy_headers=False, timeout_keep_alive=75, backlog=BACKLOG,
        timeout_graceful_shutdown=int(limits.seconds) + 5,
    )  # fmt: skip


def _loop() -> str:
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return "asyncio"
    return "uvloop"


def run(settings: Settings) -> int:
    """Serve until a signal; returns the exit code."""
    if settings.workers > 1:
        return _supervise(settings)
    with bind(settings.host, settings.port) as listener:
        _work(settings, listener, told=True)
    return 0


def _work(settings: Settings, listener: socket.socket, *, told: bool) -> None:
    """Load the models, and serve them at a socket."""
    _room(settings.limits.connections)
    models = load_all(settings.models, settings.network)
    _one_thread()
    port = listener.getsockname()[1]
    service = Service(models, settings.guard(port), settings.limits)
    server = Server(configure(service), service, settings)
    listener.listen(BACKLOG)
    if told:
        _tell(settings, service, port)
    server.run(sockets=[listener])


def _tell(settings: Settings, service: Service, port: int) -> None:
    """What is served, and where."""
    for model in service.models.values():
        say(_line(model))
        for note in model.absent:
            say(f"note: {note}", error=True)
    address = settings.address(port)
    if settings.token is not None:
        say(f"serving at {address}: the token is needed; the page is {address}?token=TOKEN")
    else:
        say(f"serving at {address}: /predict, /v2, /invocations; /docs says how, / is a page")
    if settings.workers > 1:
        say(f"{counted(settings.workers, 'process')} (--workers)")


def _line(model: Model) -> str:
    runtime = model.runtime
    return (
        f"{model.name}: {runtime.manifest.model} of {runtime.manifest.data.get('name')}, "
        f"{model.schema.words}; {runtime.engine}, sha256 {model.version}"
    )


def _room(connections: int) -> None:
    """Allow this process as many open files as it may have connections."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = connections + SPARE_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _one_thread() -> None:
    """One thread for each product of matrices: requests are what runs side by side."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


class _Process:
    """One of several processes."""

    def __init__(self, number: int) -> None:
        self.number, self.pid, self.begun = number, 0, 0.0


def _supervise(settings: Settings) -> int:
    """Start the processes, start one again that has ended, and end them all at a signal."""
    if not hasattr(os, "fork") or not hasattr(socket, "SO_REUSEPORT"):
        raise InputError("--workers needs a system with fork and SO_REUSEPORT, such as Linux")
    with bind(settings.host, settings.port, shared=True) as held:
        # It does not listen: it keeps the port, and each process listens at it for itself.
        port = held.getsockname()[1]
        return _Supervisor(settings, port).run()


class _Supervisor:
    def __init__(self, settings: Settings, port: int) -> None:
        self._settings, self._port = settings, port
        self._processes = [_Process(number) for number in range(settings.workers)]
        self._ending = False
        self._code = 0

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked)
        for process in self._processes:
            self._start(process)
        while any(process.pid for process in self._processes):
            try:
                pid, status = os.wait()
            except ChildProcessError:
                break
            except InterruptedError:
                continue
            for process in self._processes:
                if process.pid == pid:
                    process.pid = 0
                    self._ended(process, pid, os.waitstatus_to_exitcode(status))
        return self._code

    def _asked(self, number: int, frame: object) -> None:
        self._ending = True
        for process in self._processes:
            if process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM if number == signal.SIGTERM else number)

    def _start(self, process: _Process) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        numbers = (signal.SIGINT, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # none is lost between the two
        process.begun = time.monotonic()
        process.pid = os.fork()
        if process.pid == 0:
            for number in numbers:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
            os._exit(self._child(process.number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

    def _child(self, number: int) -> int:
        try:
            with bind(self._settings.host, self._port, shared=True) as listener:
                _work(self._settings, listener, told=number == 0)
        except LinnetError as error:
            say(f"error: {error}", error=True)
            return error.exit_code
        except BaseException as error:
            say(f"error: {type(error).__name__}: {error}", error=True)
            return 1
        return 0

    def _ended(self, process: _Process, pid: int, code: int) -> None:
        if self._ending:
            return
        if code == 2:  # the request was wrong: it will not become right
            self._code, self._ending = code, True
            self._asked(signal.SIGTERM, None)
            return
        how = f"by signal {-code}" if code < 0 else f"with the code {code}"
        say(f"warning: process {pid} ended {how}; started again", error=True)
        if time.monotonic() - process.begun < QUICK_SECONDS:
            time.sleep(1)
        if not self._ending:
            self._start(process)

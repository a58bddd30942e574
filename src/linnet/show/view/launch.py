"""Start the live page: its socket, its address, and its separate process, the viewer."""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import subprocess
import sys
import threading
import warnings
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from linnet.core import files
from linnet.core.language import VARIABLE, current
from linnet.data.known import cache
from linnet.errors import LinnetError, LinnetWarning, WorkError

HOST = "127.0.0.1"
FIRST_PORT, PORTS = 49152, 16384
"""The range of dynamic ports; the default port of a folder is one of them."""

BACKLOG = 64
KEY_BYTES = 32

_started: dict[Path, tuple[subprocess.Popen[bytes], str]] = {}
"""The viewers that this process started, with their addresses."""


def start(root: str | os.PathLike[str], *, pid: int | None = None, port: int = 0) -> str | None:
    """Start the viewer of ``root``, a folder of runs or one run; returns the page's address.

    The viewer is another process, in a session of its own. It ends when the process ``pid`` has
    ended and no page has sent a request for a minute. This function does not wait until the viewer
    is ready; a browser that is earlier gets its answer later. If this process has started a viewer
    of ``root`` that still answers, it is not started again. If the viewer cannot be started, a
    warning says why, and the result is None.
    """
    path = Path(root).resolve()
    if not port and path in _started:
        process, address = _started[path]
        if process.poll() is None and _answers(address):  # it may have ended a moment ago
            return address
    try:
        with bind(path, port) as listener:
            token = token_of(path, listener.getsockname()[1])
            address = address_of(listener, token)
            words = [str(path), f"--descriptor={listener.fileno()}"]
            words += [] if pid is None else [f"--pid={pid}"]
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "linnet.show.view", *words],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=(listener.fileno(),), start_new_session=True,
                env={**os.environ, VARIABLE: current()},
            )  # fmt: skip
        assert process.stdin is not None
        with process.stdin as pipe:  # not an argument, which other users may read
            pipe.write(token.encode() + b"\n")
    except (OSError, ValueError, LinnetError) as error:
        warnings.warn(f"no live page: {error}", LinnetWarning, stacklevel=2)
        return None
    _started[path] = process, address
    threading.Thread(target=process.wait, name="viewer", daemon=True).start()
    return address


def bind(root: Path, port: int = 0) -> socket.socket:
    """A socket that listens on the loopback interface at ``port``. By default it is the folder's
    own port, so that a viewer that is started again has the same address, or else any port."""
    own = FIRST_PORT + int.from_bytes(sha256(os.fsencode(root)).digest()[:4]) % PORTS
    wanted = [port] if port else [own, 0]
    for number in wanted:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name == "posix":  # on Windows another process could then use the port too
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, number))
            listener.listen(BACKLOG)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
                route.connect(listener.getsockname())  # sends nothing; fails without the interface
            return listener
        except OSError as error:
            listener.close()
            if number == wanted[-1]:
                place = f"{HOST}:{port}" if port else HOST
                raise WorkError(f"cannot listen at {place}: {error.strerror or error}") from error
    raise AssertionError


def address_of(listener: socket.socket, token: str) -> str:
    """The address of the page, with the token."""
    return f"http://{HOST}:{listener.getsockname()[1]}/?token={token}"


def _answers(address: str) -> bool:
    """Whether a process still listens at this address."""
    place = urlsplit(address)
    try:
        socket.create_connection((HOST, place.port), timeout=1).close()
    except OSError:
        return False
    return True


def token_of(root: Path, port: int) -> str:
    """The secret in the address of ``root`` at ``port``: 96 bits in 16 letters, so that the address
    fits a line of a terminal. It is the same for a viewer that is started again, so that an open
    page still works."""
    message = f"{port}\n".encode() + os.fsencode(root)
    return urlsafe_b64encode(hmac.new(_key(), message, sha256).digest()[:12]).decode()


def _key() -> bytes:
    """The user's key. It is made at the first use, in a folder that others cannot read; if it
    cannot be saved, it is a new key each time."""
    folder = cache() / "view"
    path = folder / "key"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            about = folder.stat()
            if about.st_uid != os.getuid() or about.st_mode & 0o077:
                return secrets.token_bytes(KEY_BYTES)
        if path.is_file() and len(key := path.read_bytes()) == KEY_BYTES:
            return key
        key = secrets.token_bytes(KEY_BYTES)
        files.write(path, key)
        return key
    except (OSError, LinnetError):
        return secrets.token_bytes(KEY_BYTES)

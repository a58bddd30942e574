"""What a server is told: its models, its address, who may ask."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linnet.errors import InputError, WorkError
from linnet.serve.guard import LOOPBACK, MIN_TOKEN, Guard
from linnet.serve.limits import Limits
from linnet.serve.models import Given

if TYPE_CHECKING:
    from torch import nn

PORT = 8000
TOKEN = "LINNET_TOKEN"
"""The variable of the environment that holds the token; the command line can be read by others."""

BACKLOG = 1024


@dataclass(frozen=True)
class Settings:
    """A server as the command line describes it."""

    models: Sequence[Given]
    host: str = LOOPBACK[0]
    port: int = PORT
    token: str | None = None
    names: Sequence[str] = ()
    watch: bool = False
    workers: int = 1
    drain: float = 1.0
    limits: Limits = field(default_factory=Limits)
    network: nn.Module | None = None

    @property
    def local(self) -> bool:
        """Whether only this machine can ask."""
        return self.host in LOOPBACK

    def guard(self, port: int) -> Guard:
        """Who may ask, of a server at ``port``."""
        names = {*LOOPBACK, *(name.lower() for name in self.names)}
        if not self.local:
            names |= {self.host.lower(), socket.gethostname().lower()}
        return Guard(frozenset(names), not self.local, self.token, port)

    def address(self, port: int) -> str:
        """The address for a browser on this machine."""
        host = LOOPBACK[0] if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def token_of(given: str | None, without: bool, host: str) -> str | None:
    """The token from the command line or the environment; raises ``InputError`` where other
    machines can ask and there is neither a token nor ``--no-token``."""
    token = given or os.environ.get(TOKEN) or None
    if token is not None and without:
        raise InputError("there is a token, and --no-token: give one of the two")
    if token is None:
        if host not in LOOPBACK and not without:
            raise InputError(
                f"--host {host}: other machines could ask; set {TOKEN} (or --token) to a secret of "
                f"at least {MIN_TOKEN} letters, or say --no-token"
            )
        return None
    if not re.fullmatch(rf"[A-Za-z0-9._~+/=-]{{{MIN_TOKEN},512}}", token):
        raise InputError(
            f"the token must have {MIN_TOKEN} to 512 letters, digits and ._~+/=-; for example: "
            "openssl rand -hex 24"
        )
    return token


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket at this address, which does not listen yet. ``shared``: other processes of this
    user may have the same address, and the system shares the connections out."""
    try:
        family, kind, proto, _, place = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, proto)
    except OSError as error:
        raise WorkError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error
    try:
        if os.name == "posix":  # on Windows another process could then use the port too
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind(place)
    except OSError as error:
        found.close()
        raise WorkError(
            f"cannot listen at {host}:{port}: {error.strerror or error}; another --port, or 0 for "
            "any"
        ) from error
    return found

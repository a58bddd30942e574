"""Who may ask: only this machine, or who has the token; and no page of another site."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from linnet.serve.refused import Refused

LOOPBACK = ("127.0.0.1", "localhost", "::1")
OPEN = frozenset({"/v2/health/live", "/v2/health/ready", "/ping", "/health"})
"""What is answered without the token: probes, which tell nothing but that the server is there."""

ONCE = (b"host", b"origin", b"content-length", b"content-type", b"authorization")
"""Headers that a request has once at most."""

MIN_TOKEN = 16
MOST_KNOWN = 64
"""The most values of ``Host`` that are remembered."""

Headers = Mapping[bytes, bytes]


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers of a request by name; raises ``Refused`` where one is there twice that must
    not. Cookies are joined."""
    raw = list(raw)
    found = dict(raw)
    if len(found) != len(raw):
        names = [name for name, _ in raw]
        for name in ONCE:
            if names.count(name) > 1:
                raise Refused(400, f"the header {name.decode()} is there twice")
        if names.count(b"cookie") > 1:
            found[b"cookie"] = b"; ".join(value for name, value in raw if name == b"cookie")
    return found


@dataclass(frozen=True)
class Guard:
    """Checks the headers of requests.

    ``names`` are the host names that a request may be for, at any port, because a tunnel may use
    another one: this prevents DNS rebinding, in which the name of another site resolves to this
    machine. With ``addresses`` any IP address is also accepted: no name, so nothing can be
    rebound. ``port`` is in the name of the cookie, because all ports of a host share cookies.
    """

    names: frozenset[str]
    addresses: bool = False
    token: str | None = None
    port: int = 0
    _known: dict[bytes, bool] = field(default_factory=dict)

    @property
    def cookie(self) -> str:
        """The name of the cookie."""
        return f"linnet-{self.port}"

    def check(self, path: str, query: bytes, headers: Headers) -> str | None:
        """Raise ``Refused``, or return the cookie that is to be set."""
        host = headers.get(b"host")
        if host is None:
            raise Refused(400, "expected one Host")
        if not self._right(host):
            raise Refused(
                421, "the host name in the request is not one of this server; start it with "
                "--allowed-host NAME to answer to another name",
            )  # fmt: skip
        origin = headers.get(b"origin")
        if origin is not None:
            self._check_origin(origin, host)
        elif headers.get(b"sec-fetch-site") == b"cross-site":
            raise Refused(403, "requests from another site are refused")
        if self.token is None or path in OPEN:
            return None
        return self._check_token(path, query, headers)

    def _check_origin(self, origin: bytes, host: bytes) -> None:
        scheme, _, place = origin.lower().partition(b"://")
        if scheme not in (b"http", b"https") or place != host.lower():
            raise Refused(403, "requests from another site are refused")

    def _check_token(self, path: str, query: bytes, headers: Headers) -> str | None:
        given = headers.get(b"authorization", b"")
        if given[:7].lower() == b"bearer ":
            if self._same(given[7:].strip()):
                return None
        elif b"authorization" not in headers:
            if path == "/" and (asked := dict(parse_qsl(query.decode("latin-1"))).get("token")):
                if self._same(asked.encode()):
                    return f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            elif self._same(self._held(headers)):
                return None
        raise Refused(
            401,
            "expected the server's token: Authorization: Bearer TOKEN, or for the page the address "
            "/?token=TOKEN",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _same(self, given: bytes) -> bool:
        assert self.token is not None
        return hmac.compare_digest(given, self.token.encode())

    def _held(self, headers: Headers) -> bytes:
        for part in headers.get(b"cookie", b"").split(b";"):
            name, _, value = part.strip().partition(b"=")
            if name == self.cookie.encode():
                return value
        return b""

    def _right(self, host: bytes) -> bool:
        """Whether a request may be for this ``Host``."""
        found = self._known.get(host)
        if found is None:
            found = self._allowed(host.decode("latin-1").lower())
            if len(self._known) < MOST_KNOWN:
                self._known[host] = found
        return found

    def _allowed(self, host: str) -> bool:
        name, colon, port = host.rpartition(":")
        if not colon or host.endswith("]"):
            name, port = host, "0"
        if not (port.isascii() and port.isdigit()):
            return False
        bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
        if bare in self.names:
            return True
        if not self.addresses:
            return False
        try:
            ipaddress.ip_address(bare)
        except ValueError:
            return False
        return True

"""Access control: only this machine, only with the secret address, and only reading."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnet.show.view.headers import HEADERS

NAMES = ("127.0.0.1", "localhost")
"""The host names in a request that are accepted, at any port, because a tunnel may use another one.
This prevents DNS rebinding: the name of another site that resolves to this machine is refused."""


class Guard:
    """Accepts requests that have the token, or the cookie that was set for the token."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._cookie = f"linnet-{port}"  # cookies of one host are shared by all its ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = _refusal(scope)
        given = _given(scope) if refusal is None else None
        if refusal is None and not self._right(given or self._held(scope)):
            refusal = 403, "open the address that linnet printed: it contains the key to this page"
        fresh = refusal is None and given is not None

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
                if fresh:
                    cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                    headers.append("Set-Cookie", cookie)
            await send(message)

        if refusal is None:
            await self._app(scope, receive, answer)
        else:
            status, text = refusal
            more = {"Connection": "close"} | ({"Allow": "GET"} if status == 405 else {})
            await PlainTextResponse(text, status, headers=more)(scope, receive, answer)

    def _right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _held(self, scope: Scope) -> str:
        return cookie_parser("; ".join(_all(scope, b"cookie"))).get(self._cookie, "")


def _refusal(scope: Scope) -> tuple[int, str] | None:
    hosts, origins = _all(scope, b"host"), _all(scope, b"origin")
    if len(hosts) != 1:
        return 400, "expected one Host"
    host = hosts[0].lower()
    name, _, port = host.partition(":")
    if name not in NAMES or not (port == "" or (port.isascii() and port.isdigit())):
        return 421, "the host name is not that of this page"
    if len(origins) > 1 or (origins and origins[0].lower() != f"http://{host}"):
        return 403, "requests from another site are refused"
    if scope["method"] != "GET":
        return 405, "only GET is allowed"
    return None


def _given(scope: Scope) -> str | None:
    """The token in the address that linnet printed."""
    if scope["path"] != "/":
        return None
    pairs = parse_qsl(scope["query_string"].decode("latin-1"))
    return dict(pairs).get("token")


def _all(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]

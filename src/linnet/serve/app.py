"""The server's answers: where a request goes, and in which form its answer or its error is.

It speaks ASGI itself: a framework would take as much time as the prediction of a row.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from linnet import __version__
from linnet.core.text import literal, say
from linnet.data.rows import QUICK, NotQuick
from linnet.errors import LinnetError
from linnet.serve import mlflow, plain, v2
from linnet.serve.answers import dumps
from linnet.serve.guard import Guard, Headers, headers_of
from linnet.serve.inputs import JSON, Body, media, too_deep
from linnet.serve.limits import HELD_BYTES, INLINE_BYTES, Limits
from linnet.serve.manual import POLICY, manual
from linnet.serve.models import Model, Models
from linnet.serve.openapi import openapi
from linnet.serve.refused import Refused, of_input
from linnet.serve.work import Ended, Flag, Work, busy
from linnet.show.view.headers import HEADERS

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Job = Callable[[Model, Body, Limits, Flag], bytes]

PART_BYTES = 64 << 10
"""A longer answer is sent in parts, each when the one before it was taken."""

LINGER_SECONDS = 1.0
"""How long a client that has sent too much may go on before it is answered."""

HTML, TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"

_QUIET = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_ALWAYS = [
    (name.lower().encode(), value.encode())
    for name, value in {**HEADERS, "Content-Security-Policy": _QUIET}.items()
] + [(b"cache-control", b"no-store")]
_JSON = [*_ALWAYS, (b"content-type", JSON.encode())]

GET, POST = ("GET", "HEAD"), ("POST",)


@dataclass(frozen=True)
class Reply:
    """An answer: its content, type, status and further headers."""

    content: bytes
    type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Place:
    """What is at a path: the methods, and either a ready answer or a job for a model."""

    methods: tuple[str, ...]
    reply: Callable[[], Reply] | None = None
    job: Job | None = None
    model: Model | None = None


class Service:
    """The ASGI application of some models."""

    def __init__(self, models: Models, guard: Guard, limits: Limits) -> None:
        self.models, self.limits = models, limits
        self.stopping = False
        """Whether the server is about to end: then it is not ready, but still answers."""
        self.work = Work(limits)
        self._guard = guard
        self._held = 0
        self._pages: dict[str, Reply] = {}
        self._places: dict[str, Place] = {}
        self.changed()

    def changed(self) -> None:
        """Some model is another one: forget what was made of the one before it."""
        self._pages = {}
        places = {
            "/": Place(GET, self._kept("/", self._page)),
            "/docs": Place(GET, self._kept("/docs", self._manual)),
            "/openapi.json": Place(GET, self._kept("/openapi.json", self._openapi)),
            "/models": Place(GET, lambda: Reply(dumps({"models": plain.listing(self.models)}))),
            "/predict": Place(POST, None, plain.predict, self.models.default),
            "/try": Place(POST, None, plain.attempt, self.models.default),
            "/invocations": Place(POST, None, mlflow.invoke, self.models.default),
            "/ping": Place(GET, self._ping),
            "/health": Place(GET, self._ping),
            "/version": Place(GET, lambda: Reply(__version__.encode(), TEXT)),
            "/v2": Place(GET, lambda: Reply(dumps(v2.SERVER))),
            "/v2/health/live": Place(GET, lambda: Reply(dumps({"live": True}))),
            "/v2/health/ready": Place(GET, self._ready),
        }
        for name, model in self.models.items():
            places[f"/models/{name}/predict"] = Place(POST, None, plain.predict, model)
            for version in ("", f"/versions/{model.version}"):
                places |= self._of_model(f"/v2/models/{name}{version}", model)
        self._places = places

    def _of_model(self, start: str, model: Model) -> dict[str, Place]:
        return {
            start: Place(GET, lambda: Reply(dumps(v2.metadata(model)))),
            f"{start}/ready": Place(GET, lambda: self._ready({"name": model.name})),
            f"{start}/infer": Place(POST, None, v2.infer, model),
        }

    def _kept(self, path: str, make: Callable[[], Reply]) -> Callable[[], Reply]:
        """``make``, called once for each set of models."""

        def reply() -> Reply:
            found = self._pages.get(path)
            if found is None:
                found = self._pages[path] = make()
            return found

        return reply

    def _page(self) -> Reply:
        from linnet.integrations.export import page

        model = self.models.default
        found = page.document(list(model.all), served=True, name=model.name)
        return Reply(found.encode(), HTML, 200, {"Content-Security-Policy": page.policy(found)})

    def _manual(self) -> Reply:
        content = manual(self.models, self.limits)
        return Reply(content, HTML, 200, {"Content-Security-Policy": POLICY})

    def _openapi(self) -> Reply:
        told = openapi(self.models, self.limits, token=self._guard.token is not None)
        return Reply(json.dumps(told, indent=1, allow_nan=False).encode())

    def _ready(self, about: Mapping[str, Any] | None = None) -> Reply:
        status = 503 if self.stopping else 200
        return Reply(dumps({**(about or {}), "ready": not self.stopping}), status=status)

    def _ping(self) -> Reply:
        return Reply(b"\n", TEXT, 503 if self.stopping else 200)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        cookie, held = None, 0
        try:
            headers = headers_of(scope["headers"])
            cookie = self._guard.check(path, scope["query_string"], headers)
            place = self._place(path, scope["method"])
            if place.reply is not None:
                reply = place.reply()
            else:
                held = self._hold(headers)
                reply = await self._computed(place, headers, receive)
        except Refused as refused:
            reply = _error(path, refused)
        except LinnetError as error:
            reply = _error(path, of_input(error))
        except RecursionError:
            reply = _error(path, too_deep())
        except Ended:
            self._held -= held
            return
        except Exception as error:
            _tell(path, error)
            what = "the server failed; its standard error says why"
            reply = _error(path, Refused(500, what))
        except BaseException:
            self._held -= held
            raise
        more = len(reply.content)
        self._held += more
        try:
            await _send(reply, cookie, send)
        finally:
            self._held -= held + more

    def _place(self, path: str, method: str) -> Place:
        place = self._places.get(path)
        if place is None:
            raise self._nothing(path)
        if method not in place.methods:
            raise Refused(
                405, f"{path[:100]} takes {place.methods[0]}, not {method[:20]}",
                headers={"Allow": ", ".join(place.methods)},
            )  # fmt: skip
        return place

    def _nothing(self, path: str) -> Refused:
        for start in ("/v2/models/", "/models/"):
            if path.startswith(start):
                name, _, rest = path.removeprefix(start).partition("/")
                model = plain.named(self.models, name)
                if rest.startswith("versions/"):
                    return Refused(404, f"there is no such version; there is {model.version}")
        return Refused(404, f"there is nothing at {literal(path)}; /docs lists what there is")

    def _hold(self, headers: Headers) -> int:
        """Count the bytes of a body before it comes; raises ``Refused``."""
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refused(415, "the body is compressed; send it as it is")
        declared = headers.get(b"content-length")
        size = self.limits.body if b"transfer-encoding" in headers else 0
        if declared is not None:
            size = int(declared) if declared.isdigit() and len(declared) < 20 else 1 << 62
        if size > self.limits.body:
            raise self._too_large()
        if self._held + size > HELD_BYTES:
            raise busy()
        self._held += size
        return size

    def _too_large(self) -> Refused:
        return Refused(
            413,
            f"the body has more than {self.limits.body:,} bytes (--max-mb); send fewer rows "
            "at once",
        )

    async def _computed(self, place: Place, headers: Headers, receive: Receive) -> Reply:
        """The answer of a model: here, or in a thread, if it takes more than a moment."""
        kind, parameters = media(headers.get(b"content-type", b"").decode("latin-1"))
        if v2.BINARY.encode() in headers:
            raise v2.no_binary()
        content = await self._content(receive)
        model, job = place.model, place.job
        assert model is not None and job is not None
        body = Body(content, kind, parameters)
        if model.light and len(content) <= INLINE_BYTES and kind == JSON:
            quick = QUICK.set(True)
            try:
                return Reply(job(model, body, self.limits, Flag()))
            except NotQuick:
                pass
            finally:
                QUICK.reset(quick)

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        found = await self.work.run(lambda flag: job(model, body, self.limits, flag), gone)
        return Reply(found)

    async def _content(self, receive: Receive) -> bytes:
        """The body of a request."""
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Ended
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.limits.body:
                await _linger(receive)
                raise self._too_large()
            more = message.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)


async def _linger(receive: Receive) -> None:
    """Take what a client still sends, for ``LINGER_SECONDS``, and forget it.

    A connection that is closed with bytes unread is reset, and the answer may be lost with it.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass


def _error(path: str, refused: Refused) -> Reply:
    """An error in the form of the protocol of its path."""
    status, told = refused.status, {"error": refused.message, **refused.facts}
    if path.startswith("/v2"):
        told = {"error": refused.message}
        status = 400 if status == 422 else status
    elif path == "/invocations":
        code = "BAD_REQUEST" if status in (400, 422) else "INTERNAL_ERROR"
        told = {"error_code": code, "message": refused.message}
        status = 400 if status == 422 else status
    return Reply(dumps(told), JSON, status, refused.headers)


def _tell(path: str, error: Exception) -> None:
    """What went wrong in linnet itself, on standard error."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    say(f"error: {path[:100]}: {type(error).__name__}: {error} at {where}", error=True)
    sys.stderr.flush()


async def _send(reply: Reply, cookie: str | None, send: Send) -> None:
    """Send an answer, a long one in parts."""
    content = reply.content
    if reply.type == JSON and not reply.headers and cookie is None:
        headers = [*_JSON, (b"content-length", b"%d" % len(content))]
    else:
        given = {name.lower().encode(): text.encode() for name, text in reply.headers.items()}
        headers = [(name, given.pop(name, value)) for name, value in _ALWAYS]
        headers += [*given.items(), (b"content-type", reply.type.encode())]
        headers.append((b"content-length", b"%d" % len(content)))
        if cookie is not None:
            headers.append((b"set-cookie", cookie.encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    for start in range(0, len(content) or 1, PART_BYTES):
        last = start + PART_BYTES >= len(content)
        part = content if last and not start else content[start : start + PART_BYTES]
        await send({"type": "http.response.body", "body": part, "more_body": not last})

"""The answers to the page's requests: its files, a stream of news, the scores of a run, a panel.

No request names a path; runs are named by ids, which the stream gives.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from linnet.core import files
from linnet.figures import plotly
from linnet.figures.colors import COLORS
from linnet.runs.directory import LEARNING, METRICS
from linnet.show.view import panels
from linnet.show.view.follower import Folder, Follower
from linnet.show.view.series import Point

STATIC = Path(__file__).parent / "static"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}

POLL_SECONDS = 0.5
ENDING_SECONDS = 0.2
QUIET_SECONDS = 10.0
"""After this time without news an empty comment is sent, so that a lost connection is noticed."""

MAX_STREAMS = 32
MAX_SHOWN = 50
FIRST_SHOWN = 20
"""A page that has not chosen runs gets the curves of this many: running runs, then the newest."""

MAX_MESSAGE_BYTES = 64 << 10
CHUNK = 1000
"""The most points in a message; each has at most 50 bytes."""

MAX_KEPT_BYTES = 64 << 20
"""The most bytes of panels that are kept in memory."""


class Page:
    """The application; ``asked`` is the time of the last request, ``streams`` the number of open
    pages."""

    def __init__(self, root: Path) -> None:
        self.folder = Folder(root)
        self.ending = False
        self.streams = 0
        self.asked = time.monotonic()
        self._lock = threading.Lock()
        self._looked = -POLL_SECONDS
        self._read: dict[str, float] = {}
        self._panels: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._computing = asyncio.Semaphore(1)
        self._app = Starlette(
            routes=[
                Route("/", self._file("page.html")),
                Route("/page.css", self._file("page.css")),
                Route("/page.js", self._file("page.js")),
                Route("/plotly.js", self._plotly),
                Route("/stream", self._stream),
                Route("/run", self._run),
                Route("/panel", self._panel),
                Route("/windows", self._windows),
                Route("/picture", self._picture),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked = time.monotonic()
        await self._app(scope, receive, send)

    @staticmethod
    def _file(name: str) -> Any:
        content = (STATIC / name).read_bytes()

        async def answer(request: Request) -> Response:
            return Response(content, media_type=KINDS[Path(name).suffix])

        return answer

    async def _plotly(self, request: Request) -> Response:
        path = plotly.script()
        if path is None:
            return PlainTextResponse("Plotly is not installed: pip install plotly", 404)
        return FileResponse(
            path, media_type="text/javascript", headers={"Cache-Control": "private, max-age=3600"}
        )

    async def _run(self, request: Request) -> Response:
        run = self.folder.runs.get(request.query_params.get("id", ""))
        if run is None:
            return PlainTextResponse("there is no such run", 404)

        def detail() -> bytes:
            with self._lock:
                return files.dumps(run.detail()).encode()

        return Response(await asyncio.to_thread(detail), media_type="application/json")

    async def _windows(self, request: Request) -> Response:
        query = request.query_params
        run, after = self.folder.runs.get(query.get("id", "")), query.get("after", "")
        if run is None:
            return PlainTextResponse("there is no such run", 404)
        number = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0

        def news() -> bytes:
            with self._lock:
                behind = run.windows.read()
                found = run.windows.news(number, query.get("key", ""), MAX_MESSAGE_BYTES - 12_000)
                return files.dumps({**found, "more": found["more"] or behind}).encode()

        return Response(await asyncio.to_thread(news), media_type="application/json")

    async def _picture(self, request: Request) -> Response:
        query = request.query_params
        run = self.folder.runs.get(query.get("id", ""))
        content = None
        if run is not None:
            content = await asyncio.to_thread(run.windows.picture, query.get("name", ""))
        if content is None:
            return PlainTextResponse("there is no such picture", 404)
        return Response(
            content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"}
        )

    async def _panel(self, request: Request) -> Response:
        query = request.query_params
        run = self.folder.runs.get(query.get("id", ""))
        kind, model = query.get("kind", ""), query.get("model", "")
        if run is None or kind not in panels.KINDS:
            return PlainTextResponse("there is no such panel", 404)
        try:
            made = files.about(run.place / METRICS).changed
            if (run.place / LEARNING).is_file():  # it may come later
                made += files.about(run.place / LEARNING).changed
        except OSError:
            told = "available when the run has finished"
            if (state := (run.row or {}).get("state")) != "running":
                told = f"not available: the run is {state}, and has no scores"
            return Response(files.dumps({"problem": told}), media_type="application/json")
        key = (run.id, kind, model, made)
        if key not in self._panels:
            if not await self._unless_ending(self._keep(key, run.path)):
                return PlainTextResponse("the viewer is ending", 503)
            if key not in self._panels:
                return Response(b'{"problem":"too large to show"}', media_type="application/json")
        self._panels.move_to_end(key)
        return Response(self._panels[key], media_type="application/json")

    async def _keep(self, key: tuple[Any, ...], run: Path) -> None:
        """Make a panel and keep it; only one is made at a time."""
        _, kind, model, _ = key
        async with self._computing:
            if key not in self._panels:
                self._panels[key] = await panels.compute(run, kind, model)
                while sum(map(len, self._panels.values())) > MAX_KEPT_BYTES:
                    self._panels.popitem(last=False)

    async def _unless_ending(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do some work, unless the server ends before; returns whether it was done."""
        task = asyncio.create_task(work)
        while not (await asyncio.wait((task,), timeout=ENDING_SECONDS))[0]:
            if self.ending:
                task.cancel()
        if not task.cancelled():
            task.result()
        return not task.cancelled()

    async def _stream(self, request: Request) -> Response:
        if self.streams >= MAX_STREAMS:
            return PlainTextResponse("too many pages are open", 503)
        query = request.query_params
        given = query.get("runs")
        wanted = None if given is None else given.split(",")[:MAX_SHOWN]
        after = request.headers.get("Last-Event-ID") or query.get("after", "")
        return StreamingResponse(
            self._events(wanted, _offsets(after)), media_type="text/event-stream"
        )

    async def _events(
        self, wanted: list[str] | None, offsets: dict[str, int]
    ) -> AsyncIterator[bytes]:
        """The messages that the page does not have yet, then new ones, at most twice a second."""
        self.streams += 1
        try:
            yield b"retry: 1000\n\n"
            yield _message("hello", {"root": str(self.folder.root), "colors": COLORS})
            rows: dict[str, bytes] = {}
            nows: dict[str, bytes] = {}
            spoken = time.monotonic()
            first = True
            while not self.ending:
                runs = await asyncio.to_thread(self._look)
                news = [_message("gone", {"id": id}) for id in rows if id not in runs]
                rows = {id: row for id, row in rows.items() if id in runs}
                news += [m for run in runs.values() if (m := _row(run)) != rows.get(run.id)]
                rows |= {run.id: _row(run) for run in runs.values()}
                if wanted is None:
                    wanted = _first(runs.values())
                    news.append(_message("shown", {"runs": wanted}))
                for message in news:
                    yield message
                changed = bool(news) or first
                behind = False
                for id in wanted:
                    if id not in runs or self.ending:
                        continue
                    more, offsets[id], unread = await asyncio.to_thread(
                        self._news, runs[id], offsets.get(id, 0)
                    )
                    behind = behind or unread
                    if (now := _now(runs[id])) != nows.get(id):
                        nows[id] = now
                        more.append(now)
                    for message in more:
                        yield message
                    changed = changed or bool(more)
                if changed:
                    yield _message("tick", {}, ",".join(f"{i}:{n}" for i, n in offsets.items()))
                    spoken = time.monotonic()
                elif time.monotonic() - spoken > QUIET_SECONDS:
                    yield b":\n\n"
                    spoken = time.monotonic()
                first = False
                await asyncio.sleep(0 if behind else POLL_SECONDS)
        finally:
            self.streams -= 1
            self.asked = time.monotonic()

    def _look(self) -> dict[str, Follower]:
        with self._lock:
            if time.monotonic() - self._looked >= POLL_SECONDS:
                self.folder.look()
                self._looked = time.monotonic()
            return self.folder.runs

    def _news(self, run: Follower, offset: int) -> tuple[list[bytes], int, bool]:
        """The run's curves after byte ``offset`` of its record, the offset of its end, and whether
        there is more to read."""
        with self._lock:
            behind = False
            if time.monotonic() - self._read.get(run.id, -POLL_SECONDS) >= POLL_SECONDS:
                behind = run.read()
                self._read[run.id] = -POLL_SECONDS if behind else time.monotonic()
            found = []
            if not run.began <= offset <= run.offset:
                if offset:
                    found.append(_message("reset", {"id": run.id}))
                offset = 0
            for (model, part, name), series in run.series.items():
                if series.offset > offset:
                    about = {"id": run.id, "model": model, "part": part, "name": name}
                    start, points = series.since(offset)
                    found += _series(about, start, points)
            return found, run.offset, behind


def _first(runs: Iterable[Follower]) -> list[str]:
    def order(run: Follower) -> tuple[bool, str]:
        row = run.row or {}
        return row.get("state") == "running", str(row.get("created"))

    return [run.id for run in sorted(runs, key=order, reverse=True)[:FIRST_SHOWN]]


def _offsets(text: str) -> dict[str, int]:
    """The offsets in an id of the stream, ``id:bytes,id:bytes``; invalid parts are ignored."""
    pairs = (part.partition(":") for part in text[:8192].split(","))
    return {
        id: int(number)
        for id, _, number in pairs
        if id and number.isascii() and number.isdigit() and len(number) < 16
    }


def _row(run: Follower) -> bytes:
    """The run's row of the table; with fewer facts if it is too long for a message."""
    row = dict(run.row or {})
    while len(message := _message("run", row)) > MAX_MESSAGE_BYTES:
        facts = list(row["facts"].items())
        row["facts"] = dict(facts[: len(facts) // 2])
    return message


def _now(run: Follower) -> bytes:
    state = (run.row or {}).get("state")
    now = run.now if state == "running" else {k: v for k, v in run.now.items() if k == "best"}
    about = {"id": run.id, "now": now, "version": run.version, "epochs": run.units}
    return _message("now", about)


def _series(about: Mapping[str, str], start: int, points: list[Point]) -> list[bytes]:
    """Messages with points of a curve; they replace all points from the position ``start`` on."""
    return [
        _message(
            "series",
            {
                **about,
                "start": start + begin,
                "step": [point[1] for point in part],
                "time": [float(f"{point[2]:.9g}") for point in part],
                "value": [float(f"{point[3]:.6g}") for point in part],
            },
        )
        for begin in range(0, len(points), CHUNK)
        for part in (points[begin : begin + CHUNK],)
    ]


def _message(event: str, data: Mapping[str, Any], id: str | None = None) -> bytes:
    """A server-sent event; its JSON contains no line breaks."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    line = "" if id is None else f"id: {id}\n"
    return f"event: {event}\n{line}data: {text}\n\n".encode()

"""The answers to the page's requests: its files, a stream of news, the scores of a run, a panel.

No request names a path; runs are named by ids, which the stream gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from linnet.core import files
from linnet.figures import plotly
from linnet.figures.colors import COLORS
from linnet.runs.directory import LEARNING, METRICS
from linnet.show.view import panels, words
from linnet.show.view.follower import MAX_MESSAGE_BYTES, Folder, Follower
from linnet.show.view.follower import message as _message
from linnet.show.view.series import Key, Point, Series

Result = TypeVar("Result")

STATIC = Path(__file__).parent / "static"
NARROW = Path(__file__).parents[1] / "narrow.js"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}

POLL_SECONDS = 0.5
IDLE_POLL_SECONDS = 4.0
"""Without news and without a run that is open, looks become this rare."""

ENDING_SECONDS = 0.2
WAKE_SECONDS = 1.0
"""A stream without news looks this often whether the server ends."""

QUIET_SECONDS = 10.0
"""After this time without news an empty comment is sent, so that a lost connection is noticed."""

MAX_STREAMS = 32
MAX_SHOWN = 50
FIRST_SHOWN = 20
"""A page that has not chosen runs gets the curves of this many of one data set and task: running
runs, then the newest."""

MAX_SHARED_BYTES = 32 << 20
"""The most bytes of points of curves that are kept as they are sent, for the next page."""

CHUNK = 1000
"""The most points in a message; each has at most 50 bytes."""

MAX_KEPT_BYTES = 64 << 20
"""The most bytes of panels that are kept in memory."""


class _Stream(StreamingResponse):
    """A stream; ``closed`` is called when it has ended, however it ends."""

    def __init__(self, content: AsyncIterator[bytes], closed: Callable[[], None]) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._closed = closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._closed()


class Page:
    """The application; ``asked`` is the time of the last request, ``streams`` the number of open
    pages.

    While a page is open, one task looks at the runs and reads the records that pages show. The
    streams wait for its news, and share what they send. All of this is done in one thread, so that
    it needs no locks, and many pages cannot do more at once than one.
    """

    def __init__(self, root: Path) -> None:
        self.folder = Folder(root)
        self.ending = False
        self.streams = 0
        self.asked = time.monotonic()
        self.looks = 0
        """The number of looks that have begun; ``_done`` is that of the last one that ended."""

        self._done = 0
        self._version = 0
        self._news = asyncio.Event()
        self._looked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._wanted: Counter[str] = Counter()
        self._worker = ThreadPoolExecutor(1, "viewer")
        self._shared: OrderedDict[tuple[Series, int, int], list[bytes]] = OrderedDict()
        self._held = 0
        self._panels: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._computing = asyncio.Semaphore(1)
        self._maker = panels.Maker()
        self._app = Starlette(
            routes=[
                Route("/", self._file(STATIC / "page.html")),
                Route("/page.css", self._file(STATIC / "page.css")),
                Route("/page.js", self._file(STATIC / "page.js")),
                Route("/narrow.js", self._file(NARROW)),
                Route("/plotly.js", self._plotly),
                Route("/stream", self._stream),
                Route("/run", self._run),
                Route("/panel", self._panel),
                Route("/windows", self._windows),
                Route("/picture", self._picture),
            ]
        )

    async def end(self) -> None:
        """End the process that makes panels."""
        self.ending = True
        await self._maker.end()

    async def _do(self, work: Callable[..., Result], *given: Any) -> Result:
        """Do some work in the one thread."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *given)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked = time.monotonic()
        await self._app(scope, receive, send)

    @staticmethod
    def _file(path: Path) -> Any:
        content = path.read_bytes()
        if path.suffix == ".html":
            content = words.translate(content.decode()).encode()

        async def answer(request: Request) -> Response:
            return Response(content, media_type=KINDS[path.suffix])

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

        unread = run.offset == 0

        def detail() -> bytes:
            if unread:  # the record has the titles of the models
                run.read()
            return files.dumps(run.detail()).encode()

        if (run.row or {}).get("metric"):  # its panels will be asked for
            await self._maker.begin()
        told = await self._do(detail)
        if unread:
            self._version += 1
            self._news = _told(self._news)
        return _json(told)

    async def _windows(self, request: Request) -> Response:
        query = request.query_params
        run, after = self.folder.runs.get(query.get("id", "")), query.get("after", "")
        if run is None:
            return PlainTextResponse("there is no such run", 404)
        number = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0

        def news() -> bytes:
            behind = run.windows.read()
            found = run.windows.news(number, query.get("key", ""), MAX_MESSAGE_BYTES - 12_000)
            return files.dumps({**found, "more": found["more"] or behind}).encode()

        return _json(await self._do(news))

    async def _picture(self, request: Request) -> Response:
        query = request.query_params
        run = self.folder.runs.get(query.get("id", ""))
        content = None
        if run is not None:
            content = await self._do(run.windows.picture, query.get("name", ""))
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
        return _json(self._panels[key])

    async def _keep(self, key: tuple[Any, ...], run: Path) -> None:
        """Make a panel and keep it; only one is made at a time."""
        _, kind, model, _ = key
        async with self._computing:
            if key not in self._panels:
                self._panels[key] = await self._maker.compute(run, kind, model)
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
        self.streams += 1  # here, and not when the stream begins: many may ask at once
        query = request.query_params
        given = query.get("runs")
        wanted = None if given is None else given.split(",")[:MAX_SHOWN]
        after = request.headers.get("Last-Event-ID") or query.get("after", "")
        watched: list[str] = []

        def closed() -> None:
            self.streams -= 1
            self.asked = time.monotonic()
            self._wanted.subtract(watched)
            self._wanted += Counter()  # without those that nobody wants

        return _Stream(self._events(wanted, _offsets(after), watched), closed)

    async def _events(
        self, wanted: list[str] | None, offsets: dict[str, int], watched: list[str]
    ) -> AsyncIterator[bytes]:
        """The messages that the page does not have yet, then new ones, at most twice a second.
        ``watched`` becomes the runs whose records are read for it."""
        yield b"retry: 1000\n\n"
        yield _message("hello", {"root": str(self.folder.root), "colors": COLORS})
        if wanted is None:
            await self._look()
            wanted = _first(self.folder.runs.values())
            first = [_message("shown", {"runs": wanted})]
        else:
            first = []
        watched += wanted
        self._wanted.update(wanted)
        await self._look()
        rows: dict[str, bytes] = {}
        nows: dict[str, bytes] = {}
        spoken = time.monotonic()
        version = None
        while not self.ending:
            if version == self._version:
                if time.monotonic() - spoken > QUIET_SECONDS:
                    yield b":\n\n"
                    spoken = time.monotonic()
                await _within(self._news, WAKE_SECONDS)
                continue
            changed = version is None
            version = self._version
            for message in [*self._rows(rows), *first]:
                yield message
                changed = True
            first = []
            async for message in self._shown(wanted, offsets, nows):
                yield message
                changed = True
            if changed:
                yield _message("tick", {}, ",".join(f"{i}:{n}" for i, n in offsets.items()))
                spoken = time.monotonic()

    def _rows(self, rows: dict[str, bytes]) -> list[bytes]:
        """The rows of the table that are not in ``rows``; they are shared by all pages."""
        runs = self.folder.runs
        gone = [id for id in rows if id not in runs]
        new = {id: run.message for id, run in runs.items() if rows.get(id) is not run.message}
        for id in gone:
            del rows[id]
        rows |= new
        return [*(_message("gone", {"id": id}) for id in gone), *new.values()]

    async def _shown(
        self, wanted: Iterable[str], offsets: dict[str, int], nows: dict[str, bytes]
    ) -> AsyncIterator[bytes]:
        """The news of the runs that a page shows."""
        for id in wanted:
            run = self.folder.runs.get(id)
            if run is None or self.ending:
                continue
            async for message in self._curves(run, offsets):
                yield message
            if (now := _now(run)) != nows.get(id):
                nows[id] = now
                yield now

    async def _curves(self, run: Follower, offsets: dict[str, int]) -> AsyncIterator[bytes]:
        """The run's curves after its byte in ``offsets``, which becomes the end of its record. A
        slow page holds no more than the messages of one curve."""
        before, end = offsets.get(run.id, 0), run.offset
        if before == end:
            return
        if not run.began <= before <= end:
            if before:
                yield _message("reset", {"id": run.id})
            before = 0
        for key, series in list(run.series.items()):
            if series.offset > before:
                for message in await self._do(self._points, run, key, series, before):
                    yield message
        offsets[run.id] = end

    def _points(self, run: Follower, key: Key, series: Series, before: int) -> list[bytes]:
        """The messages with a curve's points after a byte of the record; made once for all pages
        that are as far."""
        place = series, before, series.offset
        found = self._shared.get(place)
        if found is None:
            model, part, name = key
            start, points = series.since(before)
            about = {"id": run.id, "model": model, "part": part, "name": name}
            found = self._shared[place] = _series(about, start, points)
            self._held += sum(map(len, found))
            while self._held > MAX_SHARED_BYTES and len(self._shared) > 1:
                self._held -= sum(map(len, self._shared.popitem(last=False)[1]))
        self._shared.move_to_end(place)
        return found

    async def _look(self) -> None:
        """Wait until the runs were looked at after now."""
        number = self.looks + 1
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        self._hurry.set()
        while self._done < number and not self.ending:
            await _within(self._looked, WAKE_SECONDS)

    async def _watch(self) -> None:
        """Look at the runs, and read what is shown, while a page is open. If nothing happens, the
        looks become rare."""
        wait = POLL_SECONDS
        while self.streams and not self.ending:
            self._hurry.clear()
            self.looks += 1
            number = self.looks
            news, behind = await self._do(self._work, [*self._wanted])
            self._done = number
            if news:
                self._version += 1
                self._news = _told(self._news)
            self._looked = _told(self._looked)
            busy = news or any(run.open for run in self.folder.runs.values())
            wait = POLL_SECONDS if busy else min(2 * wait, IDLE_POLL_SECONDS)
            await _within(self._hurry, 0 if behind else wait)

    def _work(self, wanted: list[str]) -> tuple[bool, bool]:
        """One look. Returns whether there is news, and whether there is more to read."""
        news = self.folder.look()
        behind = False
        for id in wanted:
            if (run := self.folder.runs.get(id)) is not None:
                before = run.offset, run.began, run.version
                behind |= run.read()
                news |= before != (run.offset, run.began, run.version)
        return news, behind


def _told(event: asyncio.Event) -> asyncio.Event:
    """Wake all who wait for an event; a new one for the next time."""
    event.set()
    return asyncio.Event()


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most some seconds; in each case let others go on."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    await asyncio.sleep(0)


def _json(content: bytes) -> Response:
    """An answer in JSON, sent in parts: a page that does not read holds one part in memory."""

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(content), MAX_MESSAGE_BYTES):
            yield content[start : start + MAX_MESSAGE_BYTES]

    return StreamingResponse(
        parts(), media_type="application/json", headers={"Content-Length": str(len(content))}
    )


def _first(runs: Iterable[Follower]) -> list[str]:
    """The runs of the same data and task as the newest, those that run before others."""

    def order(run: Follower) -> tuple[bool, str]:
        row = run.row or {}
        return row.get("state") == "running", str(row.get("created"))

    found = sorted(runs, key=order, reverse=True)
    alike = [run.id for run in found if run.group == found[0].group]
    return alike[:FIRST_SHOWN]


def _offsets(text: str) -> dict[str, int]:
    """The offsets in an id of the stream, ``id:bytes,id:bytes``; invalid parts are ignored."""
    pairs = (part.partition(":") for part in text[:8192].split(","))
    return {
        id: int(number)
        for id, _, number in pairs
        if id and number.isascii() and number.isdigit() and len(number) < 16
    }


def _now(run: Follower) -> bytes:
    state = (run.row or {}).get("state")
    now = run.now if state == "running" else {k: v for k, v in run.now.items() if k == "best"}
    about = {"id": run.id, "now": now, "version": run.version}
    about |= {"epochs": run.units, "folds": run.folds, "titles": run.titles}
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

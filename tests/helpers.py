"""What tests of several rooms share: running commands, waiting, comparing, and what is refused."""

from __future__ import annotations

import contextlib
import http.client
import importlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

import linnet
from linnet.core.events import Event as TypedEvent
from linnet.core.record import Event, Record
from linnet.data.table import Table
from linnet.errors import DataError, LinnetError
from linnet.runs import directory

TESTS = Path(__file__).parent
ROOT = TESTS.parent
"""The repository."""

LINNET = [sys.executable, "-P", "-m", "linnet"]
"""The command, as a process of its own."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""Variables of the environment for a process of its own."""

SMALL_NET = [
    "--model", "mlp", "--set", "epochs=20", "--set", "widths=8", "--set", "checkpoint_every=10",
    "--no-report", "--no-view",
]  # fmt: skip
"""Options of ``linnet train`` for a net that is quickly fitted, with several checkpoints."""

ONE_LINE = ["--model", "linear", "--set", "penalty=0.01", "--no-report", "--no-view"]
"""Options of ``linnet train`` for a line alone, with one penalty."""

posix = pytest.mark.skipif(os.name != "posix", reason="what POSIX has")


# commands


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def seen(written: str) -> list[str]:
    """The lines on a terminal, without colours and moves of the cursor."""
    return [
        line.rstrip() for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*\w", "", written))
    ]


def command(
    *words: object, cwd: Path | None = None, columns: int = 120, terminal: bool = False
) -> Done:
    """Run ``linnet`` in this process: importing torch anew each time would take most of the time.

    It runs in the folder ``cwd``, for so many columns; what it prints goes to a ``terminal``, or
    else is piped.
    """
    from linnet.cli import main

    out, err = (Screen(), Screen()) if terminal else (io.StringIO(), io.StringIO())
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        if cwd is not None:
            patch.chdir(cwd)
        patch.setattr(sys, "argv", ["linnet", *map(str, words)])
        patch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    return Done(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def in_process(*words: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run ``linnet`` in a process of its own; ``more`` goes to ``subprocess.run``, and the
    variables in ``env`` are added to this process's own."""
    environment = {**os.environ, **ONE_THREAD, **more.pop("env", {})}
    settings: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 120}
    return subprocess.run([*LINNET, *map(str, words)], **{**settings, "env": environment, **more})


def python_path(*folders: Path) -> str:
    """``PYTHONPATH`` for a process of its own that imports what this one can, and ``folders``."""
    return os.pathsep.join([*map(str, folders), *filter(None, sys.path)])


# waiting and interrupting


def wait_until(done: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until ``done()`` is true; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not done within {seconds} s"
        time.sleep(0.02)


def at_event(
    monkeypatch: pytest.MonkeyPatch, count: int, event: str, act: Callable[[], None]
) -> None:
    """Call ``act`` when the ``count``-th event of this kind is written to a record."""
    write, seen = Record.write, 0

    def written(record: Record, told: TypedEvent) -> None:
        nonlocal seen
        write(record, told)
        seen += told.kind == event
        if told.kind == event and seen == count:
            act()

    monkeypatch.setattr(Record, "write", written)


# what is refused


def refusal(
    read: Callable[..., object],
    *given: Any,
    error: type[LinnetError] = DataError,
    **settings: Any,
) -> str:
    """The message with which ``read(*given, **settings)`` is refused: one short line."""
    with pytest.raises(error) as caught:
        read(*given, **settings)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 2000
    return message


# comparing


def same_state(one: nn.Module, two: nn.Module) -> bool:
    """Whether all parameters and buffers of two modules have the same names and the same bits."""
    first, second = one.state_dict(), two.state_dict()
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def assert_same_tables(one: Table, two: Table) -> None:
    """Columns of two tables have the same names, types and values, in the same order."""
    assert list(one.columns) == list(two.columns)
    for name, column in one.columns.items():
        assert column.dtype == two.columns[name].dtype, name
        assert column.equals(two.columns[name], null_equal=True), name


def weights_of(run: Path, model: str = "mlp") -> dict[str, bytes]:
    """The bytes of a model's parameters and buffers, by name, from a run's folder."""
    state = linnet.load(run, model).module.state_dict()
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}


def without_clock(events: list[Event]) -> list[Event]:
    """Events without times, and without those that say only how long something took."""
    return [
        {key: value for key, value in event.items() if key not in ("time", "wall")}
        for event in events
        if event["event"] != "spent"
    ]


# files of a run


def state_of(run: Path) -> str | None:
    """ "running", "finished", "stopped", "failed" or "crashed"; None where nothing tells."""
    return directory.state_of(run)[0]


def events_of(run: Path) -> list[Event]:
    """The lines of a run's record, each parsed; linnet's own reader has no part in it."""
    text = (run / "events.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def append_events(run: Path, *events: object) -> None:
    """Append lines to the record of the run in this folder."""
    with open(run / "events.jsonl", "a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


# notebooks and browsers


def run_notebook(
    book: Any, folder: Path, *, timeout: int, env: dict[str, str] | None = None
) -> Any:
    """Run a notebook's cells in a kernel that works in ``folder``: the notebook with its outputs.
    Skips where nbclient or ipykernel is missing."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    resources = {"metadata": {"path": str(folder)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the notebook's own machinery
        client = nbclient.NotebookClient(
            book, timeout=timeout, kernel_name="python3", resources=resources
        )
        return client.execute(**({} if env is None else {"env": env}))


def chromium() -> str:
    """Where Chromium is; skips where there is none, or no Playwright."""
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    place = shutil.which("chromium")
    if place is None:
        pytest.skip("there is no chromium")
    return place


@contextlib.contextmanager
def open_browser() -> Iterator[Any]:
    """A Chromium that Playwright drives; skips as ``chromium`` does."""
    place = chromium()
    with importlib.import_module("playwright.sync_api").sync_playwright() as play:
        browser = play.chromium.launch(executable_path=place, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class ParsedPage(HTMLParser):
    """A page of HTML: its tags, addresses, words and tables, and its scripts by their ids. No tag
    may have a handler of events."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.scripts: dict[str, str] = {}
        self.words: list[str] = []
        self.tables: list[list[list[str]]] = []
        self._script: str | None = None
        self._cell = False
        self.feed(text)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(name)
        given = dict(attributes)
        assert not [key for key in given if key.startswith("on")]
        self.links += [str(given[key]) for key in ("src", "href") if key in given]
        self._script = given.get("id") if name == "script" else None
        if name == "table":
            self.tables.append([])
        elif name == "tr":
            self.tables[-1].append([])
        elif name in ("td", "th"):
            self.tables[-1][-1].append("")
            self._cell = True

    def handle_endtag(self, name: str) -> None:
        self._script = None
        if name in ("td", "th"):
            self._cell = False

    def handle_data(self, text: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + text
        else:
            self.words.append(text)
            if self._cell:
                self.tables[-1][-1][-1] += text

    def table(self, *heads: str) -> list[list[str]]:
        """The rows of the one table whose head begins with these words."""
        (found,) = [t for t in self.tables if t and tuple(t[0][: len(heads)]) == heads]
        return found[1:]


class Site:
    """The live page of a folder of runs, served in a thread, and requests to it."""

    def __init__(self, root: Path, port: int = 0) -> None:
        import uvicorn

        from linnet.show.view import guard, launch, server
        from linnet.show.view.app import Page

        self.listener = launch.bind(root, port)
        self.port = self.listener.getsockname()[1]
        self.token = "a" * 40
        self.cookie = f"linnet-{self.port}={self.token}"
        self.page = Page(root)
        self.server = uvicorn.Server(
            server.configure(guard.Guard(self.page, self.token, self.port))
        )
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True
        )
        self.thread.start()

    def close(self) -> None:
        self.page.ending = self.server.should_exit = True
        self.thread.join(10)
        self.listener.close()

    def raw(self, text: str) -> bytes:
        """The answer to a request as it is, up to where the other side closes."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as line:
            line.sendall(text.encode("latin-1"))
            found = b""
            while chunk := line.recv(1 << 16):
                found += chunk
            return found

    def status(self, path: str = "/", method: str = "GET", *more: str, host: str = "") -> int:
        host = host or f"Host: 127.0.0.1:{self.port}"
        lines = [f"{method} {path} HTTP/1.1", host, "Connection: close", *more, "", ""]
        return int(self.raw("\r\n".join(lines)).split(b" ", 2)[1])

    def get(self, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        line.request("GET", path, headers={"Cookie": self.cookie, **headers})
        answer = line.getresponse()
        content = answer.read()
        line.close()
        return answer.status, answer.headers, content

    def stream(
        self, path: str = "/stream", **headers: str
    ) -> Generator[dict[str, Any], None, None]:
        """The stream's events, as they come."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        line.request("GET", path, headers={"Cookie": self.cookie, **headers})
        answer = line.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        try:
            block: list[bytes] = []
            while row := answer.readline():
                if row != b"\n":
                    block.append(row.rstrip(b"\n"))
                    continue
                fields = dict(part.decode().split(": ", 1) for part in block if b": " in part)
                if "event" in fields:
                    size = sum(len(part) + 1 for part in block) + 1
                    data = json.loads(fields["data"])
                    kind, id = fields["event"], fields.get("id")
                    yield {"event": kind, "id": id, "size": size, "data": data}
                block = []
        finally:
            line.close()

    def until(self, kind: str, path: str = "/stream", **headers: str) -> list[dict[str, Any]]:
        """What comes up to the first event of a kind."""
        found = []
        for event in self.stream(path, **headers):
            found.append(event)
            if event["event"] == kind:
                break
        return found

"""What the tests of the server share: small models, a server in a thread or a process, requests."""

from __future__ import annotations

import contextlib
import csv
import http.client
import io
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from helpers import LINNET, ONE_THREAD, command
from linnet.serve.app import Service
from linnet.serve.limits import Limits
from linnet.serve.models import given, load_all
from linnet.serve.server import Server, configure
from linnet.serve.settings import Settings, bind

JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}
QUICK = ["--no-report", "--no-view", "--set", "epochs=3", "--set", "widths=8"]


# models


def mixed(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with a column of each kind, some values missing."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        age = round(rng.uniform(18, 80), 2)
        rows.append(
            {
                "age": age if rng.random() < 0.9 else None,
                "rooms": rng.randrange(1, 9),
                "town": rng.choice(["Bern", "Genève", "Zürich", "a, b"]),
                "member": rng.random() < 0.5,
                "since": f"20{rng.randrange(10, 24)}-{rng.randrange(1, 13):02}-11",
                "answer": "yes" if age + rng.gauss(0, 10) > 50 else "no",
                "number": number,
            }
        )
    return rows


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(list(rows[0]))
    for row in rows:
        values = ("" if v is None else str(v).lower() if isinstance(v, bool) else v
                  for v in row.values())  # fmt: skip
        writer.writerow(values)
    return out.getvalue()


def train(folder: Path, data: str, name: str, *more: str) -> Path:
    done = command("train", data, *QUICK, "--out", name, *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / name


def a_table(folder: Path, name: str = "table", seed: int = 0) -> Path:
    """A run on ``mixed`` rows, to predict ``answer``."""
    (folder / f"{name}.csv").write_text(as_csv(mixed(240, seed)), "utf-8")
    return train(folder, f"{name}.csv", name, "--target", "answer", "--set", "drop=number")


def rows_of(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Rows as a client sends them."""
    left_out = ("answer", "number")
    return [{k: v for k, v in row.items() if k not in left_out} for row in mixed(count, seed)]


def tensors_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as tensors of the Open Inference Protocol."""
    kinds = {"age": "FP64", "rooms": "INT64", "town": "BYTES", "member": "BOOL", "since": "BYTES"}
    return [
        {"name": name, "shape": [len(rows)], "datatype": kind, "data": [row[name] for row in rows]}
        for name, kind in kinds.items()
    ]


def png(pixels: Any) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(out, "PNG")
    return out.getvalue()


def form(*files: tuple[str, bytes], boundary: str = "xyz") -> tuple[bytes, dict[str, str]]:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{i}"\r\n'
        f"Content-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for i, (kind, content) in enumerate(files)
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


# servers


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def json(self) -> Any:
        def refuse(name: str) -> Any:
            raise AssertionError(f"{name} is no JSON")

        return json.loads(self.content, parse_constant=refuse)


class Running:
    """A server, and requests to it."""

    port: int
    process: subprocess.Popen[str]

    def ask(
        self, path: str, body: Any = None, *, method: str | None = None, **headers: str
    ) -> Answer:
        """One request; a body that is no text or bytes is sent as JSON."""
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent = {**JSON, **sent}
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = body.encode() if isinstance(body, str) else body
            line.request(method or ("GET" if body is None else "POST"), path, content, sent)
            answer = line.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            line.close()

    def raw(self, content: bytes, seconds: float = 60) -> bytes:
        """All that comes back to bytes, until the other side closes."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as line:
            with contextlib.suppress(OSError):
                line.sendall(content)
            found = b""
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                while chunk := line.recv(1 << 16):
                    found += chunk
            return found


class Here(Running):
    """A server in a thread of this process."""

    def __init__(self, *runs: object, limits: Limits | None = None, **more: Any) -> None:
        self.settings = Settings(
            given([str(run) for run in runs], None), port=0, limits=limits or Limits(), **more
        )
        self.listener = bind("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        models = load_all(self.settings.models, self.settings.network)
        guard = self.settings.guard(self.port)
        self.service = Service(models, guard, self.settings.limits)
        self.server = Server(configure(self.service), self.service, self.settings)
        self.listener.listen(1024)
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True
        )
        self.thread.start()
        until(lambda: self.server.started)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(60)
        self.listener.close()
        assert not self.thread.is_alive()


class There(Running):
    """A server in a process of its own, as the command starts it."""

    def __init__(
        self, *words: object, ready: bool = True, port: int = 0, **environment: str
    ) -> None:
        self.process = subprocess.Popen(
            [*LINNET, "serve", *map(str, words), "--port", str(port)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **ONE_THREAD, **environment},
        )  # fmt: skip
        self.told: list[str] = []
        assert self.process.stdout is not None
        while ready and (line := self.process.stdout.readline()):
            self.told.append(line.rstrip("\n"))
            if line.startswith("serving at http"):
                self.port = int(line.split("/")[2].rpartition(":")[2])
                break
        else:
            assert not ready, self.process.communicate(timeout=10)
        if ready:
            until(self.healthy)

    def healthy(self) -> bool:
        with contextlib.suppress(OSError):
            return self.ask("/v2/health/ready").status in (200, 401)
        return False

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; returns the exit code and what stood on standard error."""
        self.process.send_signal(number)
        _, told = self.process.communicate(timeout=60)
        return self.process.returncode, told

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        with contextlib.suppress(ValueError):  # the streams are closed already
            self.process.communicate(timeout=60)

    def memory(self) -> int:
        """The resident bytes of the process."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) * 1024


@contextlib.contextmanager
def here(*runs: object, **more: Any) -> Iterator[Here]:
    found = Here(*runs, **more)
    try:
        yield found
    finally:
        found.close()


@contextlib.contextmanager
def there(*words: object, **more: Any) -> Iterator[There]:
    found = There(*words, **more)
    try:
        yield found
    finally:
        found.close()


def until(right: Any, seconds: float = 60) -> None:
    """Wait until ``right`` returns something true."""
    end = time.monotonic() + seconds
    while not right():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)

"""What a server bears: large and slow bodies, many connections, much work at once."""

import contextlib
import inspect
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Here, There, as_csv, form, here, rows_of, there, until

from linnet.data.rows import Slow as Slow_
from linnet.fit.runtime import Answers, Encoded, Runtime
from linnet.serve import app, limits, models, server, wire
from linnet.serve.limits import Limits

pytest_plugins = ("served",)

MANY = rows_of(40)


def predicted(found: Any) -> int:
    return len(found.json["predictions"])


def test_more_bytes_than_allowed_are_refused_before_they_come(site: Here) -> None:
    head = (
        f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        "Content-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", site.port), 30) as line:
        line.sendall(head.encode())
        answer = line.recv(1 << 16)
    assert b"413" in answer.split(b"\r\n")[0] and b"--max-mb" in answer
    for length in ("-1", "x", "9" * 40, "1e3", "+5"):
        raw = site.raw(head.replace("10000000000", length).encode() + b"{}", 10)
        assert raw.split(b" ", 2)[1] in (b"400", b"413"), length


def test_more_bytes_than_allowed_in_chunks_are_refused(table: Path) -> None:
    with here(table, limits=Limits(body=1 << 16)) as own:
        head = (
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{own.port}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", own.port), 30) as line:
            line.sendall(head.encode())
            with contextlib.suppress(OSError):
                for _ in range(40):
                    line.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
            answer = line.recv(1 << 16)
        assert b"413" in answer.split(b"\r\n")[0]
        assert own.ask("/predict", MANY[:1]).status == 200
        until(lambda: own.service._held == 0)


def test_more_rows_than_allowed_are_refused(table: Path) -> None:
    with here(table, limits=Limits(rows=30)) as own:
        assert predicted(own.ask("/predict", MANY[:30])) == 30
        columns = {name: [row[name] for row in MANY] for name in MANY[0]}
        tensors = [
            {"name": name, "shape": [40], "datatype": kind, "data": columns[name]}
            for name, kind in (("age", "FP64"), ("rooms", "INT64"), ("town", "BYTES"),
                               ("member", "BOOL"), ("since", "BYTES"))
        ]  # fmt: skip
        for path, body, kind in (
            ("/predict", json.dumps(MANY), "application/json"),
            ("/predict", json.dumps(columns), "application/json"),
            ("/predict", as_csv(MANY), "text/csv"),
            ("/invocations", as_csv(MANY), "text/csv"),
            ("/invocations", json.dumps({"dataframe_records": MANY}), "application/json"),
            ("/v2/models/table/infer", json.dumps({"inputs": tensors}), "application/json"),
        ):
            answer = own.ask(path, body, Content_Type=kind)
            assert answer.status == 413 and b"--max-rows" in answer.content, path


def test_more_values_than_allowed_are_refused_before_they_are_parsed(site: Here) -> None:
    for body in ("[" + "[]," * limits.MAX_VALUES + "1]", "[" + "0," * limits.MAX_VALUES + "0]"):
        answer = site.ask("/predict", body, Content_Type="application/json")
        assert answer.status == 413 and "VALUES" in answer.json["error"]


def test_a_compressed_body_is_refused(site: Here) -> None:
    answer = site.ask("/predict", MANY, Content_Encoding="gzip")
    assert answer.status == 415 and "compressed" in answer.json["error"]


# ---- work


class Slow:
    """Takes the place of a model's answers: each block of rows waits until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.blocks, self.go = 0, threading.Event()
        monkeypatch.setattr(models, "BLOCK", 10)
        monkeypatch.setattr(models, "HEAVY_BLOCK", 10)
        monkeypatch.setattr(app, "INLINE_BYTES", 1000)
        real = Runtime.answers

        def answers(runtime: Runtime, encoded: Encoded) -> Answers:
            if len(encoded) == 10:
                self.blocks += 1
                self.go.wait(0.1)
            return real(runtime, encoded)

        monkeypatch.setattr(Runtime, "answers", answers)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    found = Slow(monkeypatch)
    yield found
    found.go.set()


def test_work_that_takes_too_long_is_ended(table: Path, slow: Slow) -> None:
    rows = rows_of(1000)
    with here(table, limits=Limits(seconds=0.35)) as own:
        answer = own.ask("/predict", rows)
        assert answer.status == 504 and "0.35 seconds" in answer.json["error"]
        until(lambda: own.service.work.waiting == 0)
        blocks = slow.blocks
        assert 0 < blocks < 20  # of 100
        time.sleep(0.3)
        assert slow.blocks == blocks
        slow.go.set()
        assert predicted(own.ask("/predict", rows)) == 1000


def test_work_ends_when_the_client_has_gone(table: Path, slow: Slow) -> None:
    body = json.dumps(rows_of(1000)).encode()
    with here(table) as own:
        head = (
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/json\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", own.port), 30) as line:
            line.sendall(head.encode() + body)
            until(lambda: slow.blocks > 0)
        until(lambda: own.service.work.waiting == 0)
        assert slow.blocks < 50  # of 100
        until(lambda: own.service._held == 0)


def test_too_much_work_is_told_to_come_again(table: Path, slow: Slow) -> None:
    rows = rows_of(50)
    with here(table, limits=Limits(waiting=3)) as own:
        found: list[Any] = []

        def ask() -> None:
            found.append(own.ask("/predict", rows))

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        until(lambda: slow.blocks > 0)
        # others are answered meanwhile
        assert own.ask("/v2/health/ready").status == 200
        assert predicted(own.ask("/predict", rows[0])) == 1
        for thread in threads:
            thread.join(60)
        by_status = {status: [a for a in found if a.status == status] for status in (200, 503)}
        assert len(by_status[200]) + len(by_status[503]) == 12
        assert len(by_status[200]) >= 3 and len(by_status[503]) >= 1
        assert all(answer.headers["Retry-After"] == "1" for answer in by_status[503])
        assert len({answer.content for answer in by_status[200]}) == 1


def test_what_needs_a_data_frame_is_not_done_in_the_event_loop(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Odd texts go the way of polars, whose import takes a second."""
    threads: list[str] = []
    real = Slow_._records

    def records(self: Any, given: list[Any]) -> Any:
        threads.append(threading.current_thread().name)
        return real(self, given)

    monkeypatch.setattr(Slow_, "_records", records)
    with here(table) as own:
        assert own.service.models.default.light
        answer = own.ask("/predict", {**MANY[0], "age": "forty"})
        assert answer.status == 422 and answer.json["column"] == "age"
        assert own.ask("/predict", {**MANY[0], "since": "11/03/2012 "}).status in (200, 422)
    assert threads and all(name.startswith("linnet-serve") for name in threads)


def test_bodies_that_do_not_fit_into_memory_together_are_told_to_come_again(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "HELD_BYTES", 3000)
    with here(table) as own:
        head = (
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{own.port}\r\n"
            "Content-Type: application/json\r\nContent-Length: 2500\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", own.port), 30) as line:
            line.sendall(head.encode())
            until(lambda: own.service._held == 2500)
            answer = own.ask("/predict", MANY[:10])
            assert answer.status == 503 and answer.headers["Retry-After"] == "1"
        until(lambda: own.service._held == 0)
        assert own.ask("/predict", MANY[:10]).status == 200


def test_a_fault_of_the_server_is_told_and_the_next_request_answered(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("a fault of mine")

    with here(table) as own:
        with monkeypatch.context() as patch:
            patch.setattr(Runtime, "answers", fails)
            answer = own.ask("/predict", MANY[0])
        assert answer.status == 500 and "mine" not in answer.json["error"]
        assert own.ask("/predict", MANY[0]).status == 200
    assert "a fault of mine" in capsys.readouterr().err


# ---- connections


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short limits of time."""
    hurry(monkeypatch)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(
        wire, "SECONDS", {wire.IDLE: 1.0, wire.HEAD: 0.5, wire.BODY: 0.5, wire.REST: 0.5}
    )


START = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "begin",
    [b"", START, START + b"Content-Length: 500\r\n\r\n[",
     START + b"Transfer-Encoding: chunked\r\n\r\n"],
)  # fmt: skip
def test_a_client_that_sends_a_byte_now_and_then_is_ended(
    table: Path, quick: None, begin: bytes
) -> None:
    with here(table) as own, socket.create_connection(("127.0.0.1", own.port), 30) as line:
        line.sendall(begin)
        ended = False
        for _ in range(200):
            try:
                line.sendall(b"1")
                line.settimeout(0.05)
                ended = line.recv(100) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
        assert ended
        assert own.ask("/predict", MANY[0]).status == 200
        until(lambda: own.service._held == 0)


def test_a_connection_that_asks_nothing_is_ended(table: Path, quick: None) -> None:
    with here(table) as own, socket.create_connection(("127.0.0.1", own.port), 30) as line:
        assert line.recv(100) == b""


def test_a_client_that_reads_nothing_is_ended(
    table: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "SEND_SECONDS", 0.5)
    body = json.dumps(rows_of(20_000)).encode()
    with here(table) as own, socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", own.port))
        line.sendall(START + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        until(lambda: own.service.work.waiting > 0)
        until(lambda: own.service.work.waiting == 0)
        until(lambda: not own.server.server_state.connections)
        until(lambda: own.service._held == 0)
        assert own.ask("/predict", MANY[0]).status == 200


def test_a_head_without_end_is_refused(site: Here) -> None:
    for more in (b"x" * 70_000, b"A: b\r\n" * 20_000, b"A: " + b"b" * 300_000):
        raw = site.raw(START + more, 20)
        assert raw == b"" or raw.split(b" ", 2)[1] == b"400"
    assert site.ask("/predict", MANY[0]).status == 200


def test_what_is_no_http_is_refused(site: Here) -> None:
    for content in (
        b"\0\0\0\0", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        START + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        START + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        START + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):  # fmt: skip
        raw = site.raw(content + b"\r\n\r\n", 20)
        assert raw == b"" or raw.split(b" ", 2)[1] in (b"400", b"501", b"505"), content
    assert site.ask("/predict", MANY[0]).status == 200


def test_requests_one_after_another_on_one_connection(site: Here) -> None:
    one = json.dumps(MANY[0]).encode()
    request = START + b"Content-Length: %d\r\n\r\n" % len(one) + one
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    raw = site.raw(request * 20 + last)
    assert raw.count(b"HTTP/1.1 200 OK") == 21
    assert raw.count(site.ask("/predict", MANY[0]).content) == 21


@pytest.mark.slow
def test_without_the_extra(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """h11 and asyncio in the place of httptools and uvloop, and no forms."""
    for name in ("httptools", "uvloop", "python_multipart"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "uvicorn.protocols.http.httptools_impl", raising=False)
    with here(table, limits=Limits(body=1 << 16)) as own:
        kind: Any = own.server.config.http
        assert any(each.__module__.endswith("h11_impl") for each in inspect.getmro(kind))
        wanted = own.ask("/predict", MANY)
        assert predicted(wanted) == 40
        body, headers = form(("image/png", b"x"))
        assert own.ask("/predict", body, **headers).status == 415
        content = json.dumps(MANY).encode()
        request = START + b"Content-Length: %d\r\n\r\n" % len(content) + content
        last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
        raw = own.raw(request * 3 + last)
        assert raw.count(wanted.content) == 4
        chunks = b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b" " * 4096 + b"\r\n"
        assert b" 413 " in own.raw(START + chunks + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 30)
        assert b" 413 " in own.raw(START + b"Content-Length: 10000000000\r\n\r\n{")
        for bad in (b"\0\0\r\n\r\n", START + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"):
            assert own.raw(bad)[9:12] in (b"400", b"")
        assert own.raw(START + b"x" * 70_000)[9:12] in (b"400", b"")
        assert own.ask("/predict", MANY).content == wanted.content
        hurry(monkeypatch)
        assert own.raw(START) == b""  # ended, because the rest of the head does not come
        assert own.raw(START + b"Content-Length: 500\r\n\r\n[") == b""
        assert own.raw(b"") == b""
        until(lambda: own.service._held == 0)


def hold(own: There, count: int) -> list[socket.socket]:
    """So many connections that ask nothing, or half of something."""
    held = []
    for number in range(count):
        line = socket.create_connection(("127.0.0.1", own.port), 30)
        if number % 2:
            line.sendall(START)
        held.append(line)
    return held


@pytest.mark.parametrize("count", [pytest.param(500), pytest.param(10_000, marks=pytest.mark.soak)])
def test_idle_connections_keep_nobody_out(table: Path, count: int) -> None:
    resource = pytest.importorskip("resource", reason="limits of POSIX")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} open files are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    held: list[socket.socket] = []
    try:
        with there(table) as own:
            own.ask("/predict", MANY[0])
            before = own.memory()
            held = hold(own, count)
            for _ in range(20):
                assert own.ask("/predict", MANY[0]).status == 200
            assert own.memory() - before < 100 << 20
            assert own.end()[0] == 0
    finally:
        for line in held:
            line.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

"""How a server begins and ends: signals, several processes, newer models."""

import json
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from serving import Here, Running, There, a_table, here, rows_of, there, train, until

from helpers import posix
from linnet.runs.run import load
from linnet.serve import server
from linnet.serve.models import difference

pytest_plugins = ("served",)

pytestmark = posix
ROWS = rows_of(5)
START = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def whole(line: socket.socket) -> bytes:
    found = b""
    while chunk := line.recv(1 << 16):
        found += chunk
    return found


@pytest.mark.slow
def test_sigterm_in_the_middle_of_a_request(table: Path) -> None:
    """Not ready first; the request in flight is answered; then the end, with the code 0."""
    body = json.dumps(ROWS).encode()
    with there(table, "--drain", "2") as own:
        wanted = own.ask("/predict", ROWS).content
        with socket.create_connection(("127.0.0.1", own.port), 60) as line:
            line.sendall(START + b"Content-Length: %d\r\n\r\n" % len(body) + body[:20])
            until(lambda: own.ask("/v2/health/ready").status == 200)
            own.process.send_signal(signal.SIGTERM)
            until(lambda: own.ask("/v2/health/ready").status == 503)
            assert own.ask("/v2/health/live").status == 200
            assert own.ask("/ping").status == 503
            assert own.ask("/predict", ROWS).content == wanted  # until it ends
            until(lambda: refused(own))
            assert own.process.poll() is None
            line.sendall(body[20:])
            answer = whole(line)
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(wanted)
        assert own.process.wait(60) == 0
        assert own.process.communicate()[1] == ""


def refused(own: Running) -> bool:
    try:
        socket.create_connection(("127.0.0.1", own.port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_code_0(iris: Path, number: int) -> None:
    with there(iris, "--drain", "0") as own:
        assert own.told[0].startswith("iris: linear")
        held = socket.create_connection(("127.0.0.1", own.port), 30)  # asks nothing
        assert own.end(number) == (0, "")
        held.close()


def test_a_second_signal_does_not_wait(iris: Path) -> None:
    with there(iris, "--drain", "60") as own:
        own.process.send_signal(signal.SIGTERM)
        until(lambda: own.ask("/v2/health/ready").status == 503)
        assert own.end(signal.SIGTERM)[0] == 0


def test_an_address_in_use_is_told(iris: Path) -> None:
    with there(iris) as own:
        other = There(iris, port=own.port, ready=False)
        _, told = other.process.communicate(timeout=60)
        assert other.process.returncode == 1
        assert "cannot listen" in told and "--port" in told and "Traceback" not in told


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="what Linux has")
def test_a_process_that_is_killed_is_started_again(iris: Path) -> None:
    flower = [5.1, 3.5, 1.4, 0.2]
    with there(iris, "--workers", "2") as own:
        until(lambda: len(children(own.process.pid)) == 2)
        wanted = own.ask("/predict", flower).content
        first, second = children(own.process.pid)
        os.kill(second, signal.SIGKILL)
        until(lambda: second not in children(own.process.pid))
        for _ in range(20):
            assert own.ask("/predict", flower).content == wanted
        until(lambda: len(children(own.process.pid)) == 2)
        assert first in children(own.process.pid)
        for _ in range(20):
            assert own.ask("/predict", flower).content == wanted
        code, told = own.end()
        assert code == 0 and "ended by signal 9" in told and str(second) in told
        for pid in (first, second):
            assert not Path(f"/proc/{pid}").exists()


def test_processes_that_cannot_begin_end_the_server(tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    own = There(tmp_path / "bad.safetensors", "--workers", "2", ready=False)
    _, told = own.process.communicate(timeout=60)
    assert own.process.returncode == 2 and "not a safetensors file" in told


# ---- newer models


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WATCH_SECONDS", 0.05)


def put(content: bytes, place: Path) -> None:
    """Replace a file at once."""
    new = place.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, place)


class Asking:
    """Requests without end, from a thread: each must be answered, by one model or the other."""

    def __init__(self, own: Here) -> None:
        self.own, self.ended = own, False
        self.found: list[Any] = []
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.ended:
            self.found.append(self.own.ask("/predict", ROWS))

    def close(self) -> set[str]:
        self.ended = True
        self.thread.join(60)
        assert all(answer.status == 200 for answer in self.found)
        return {answer.json["sha256"] for answer in self.found}


def test_a_newer_file_is_taken_without_losing_a_request(
    table: Path, tmp_path: Path, often: None, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = a_table(tmp_path, "newer", seed=7)
    old, new = ((run / "linear.safetensors").read_bytes() for run in (table, newer))
    place = tmp_path / "model.safetensors"
    place.write_bytes(old)
    with here(f"m={place}", watch=True) as own:
        before = own.ask("/predict", ROWS).json["sha256"]
        version = own.ask("/v2/models/m").json["versions"]
        asking = Asking(own)
        until(lambda: asking.found)
        put(new, place)
        until(lambda: own.ask("/models").json["models"][0]["sha256"] != before)
        assert own.ask("/v2/models/m").json["versions"] != version
        assert own.ask(f"/v2/models/m/versions/{version[0]}").status == 404
        shas = asking.close()
        after = own.ask("/predict", ROWS).json
        assert shas <= {before, after["sha256"]}
        assert after["sha256"] == load(place).manifest.provenance["sha256"]
    assert "a newer model" in capsys.readouterr().out


def test_a_bad_or_half_written_file_changes_nothing(
    table: Path, tmp_path: Path, often: None, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (table / "linear.safetensors").read_bytes()
    place = tmp_path / "model.safetensors"
    place.write_bytes(content)
    with here(place, watch=True) as own:
        wanted = own.ask("/predict", ROWS).content
        told = ""
        for bad in (b"", content[: len(content) // 2], content[:-4] + b"1234", b"{}"):
            put(bad, place)
            end = time.monotonic() + 30
            while not told and time.monotonic() < end:
                assert own.ask("/predict", ROWS).content == wanted
                told = capsys.readouterr().err
            assert "warning: model:" in told
            told = ""
        place.unlink()
        time.sleep(0.3)
        assert own.ask("/predict", ROWS).content == wanted


def test_another_schema_is_refused_and_said(
    table: Path, iris: Path, tmp_path: Path, often: None, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "current"
    place.symlink_to(table)
    with here(place, watch=True) as own:
        wanted = own.ask("/predict", ROWS).content
        other = tmp_path / "other"
        other.symlink_to(iris)
        os.replace(other, place)
        told = ""

        def said() -> bool:
            nonlocal told
            told += capsys.readouterr().err
            return bool(told)

        until(said)
        assert "not taken" in told and "goes on" in told
        assert own.ask("/predict", ROWS).content == wanted


def test_what_counts_as_the_same_schema(table: Path, iris: Path, tmp_path: Path) -> None:
    newer = a_table(tmp_path, "newer", seed=7)
    first = load(table).schema
    assert difference(first, load(newer).schema) is None
    assert "the target" in str(difference(first, load(iris).schema))
    lines = [f"{i % 7},{i % 5},{i % 3},{'yes' if i % 7 > 3 else 'no'}" for i in range(120)]
    (tmp_path / "x.csv").write_text("\n".join(["age,rooms,more,answer", *lines]) + "\n")
    other = train(tmp_path, "x.csv", "x", "--target", "answer", "--model", "linear")
    told = str(difference(first, load(other).schema))
    assert "the columns" in told and "town (category)" in told and "more (" in told


def test_a_run_is_watched_as_a_whole(table: Path, tmp_path: Path) -> None:
    from linnet.serve.models import Given

    run = tmp_path / "run"
    shutil.copytree(table, run)
    given = Given("run", run)
    before = given.seen()
    os.utime(run / "linear.safetensors", (1, 1))
    assert given.seen() != before

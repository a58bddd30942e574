"""Downloading, against a server on this machine."""

import gzip
import hashlib
import http.client
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest

from linnet.data import known
from linnet.data.fetch import _Redirects, fetch
from linnet.data.known import Known, RemoteFile
from linnet.errors import DataError, FetchError

CONTENT = bytes(range(256)) * 3000
PACKED = gzip.compress(CONTENT)


class Server(ThreadingHTTPServer):
    """Serves ``files``; ``manner`` says how badly; ``asked`` notes each path and range."""

    files: dict[str, bytes]
    manner: str = "ranges"
    asked: list[tuple[str, str | None]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, name = self.server, self.path.rsplit("/", 1)[-1]
        asked = self.headers.get("Range")
        server.asked.append((name, asked))
        if name not in server.files or server.manner == "missing":
            self.send_error(404)
            return
        content, start = server.files[name], 0
        if asked and server.manner == "ranges":
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
        else:
            self.send_response(200)
        length = len(content) - start
        self.send_header("Content-Length", str(length * (10**6 if server.manner == "huge" else 1)))
        self.end_headers()
        stop = len(content) // 2 if server.manner == "cut" else len(content)
        self.wfile.write(content[start:stop])

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.files, server.asked = {"a.gz": PACKED, "b.bin": CONTENT}, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def things(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    files = (
        RemoteFile("a.gz", digest, len(CONTENT), decompressed=True),
        RemoteFile("b.bin", digest, len(CONTENT)),
    )
    monkeypatch.setitem(known.KNOWN, "things", Known("", ("things",), (0, 1), (), files))


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/data/"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_files_are_fetched_checked_and_not_fetched_again(server: Server, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    place = fetch(
        "things", mirrors=[address(server)], folder=tmp_path / "t",
        progress=lambda *event: told.append(event),
    )  # fmt: skip
    assert names(place) == {"a.gz", "b.bin"}
    assert (place / "a.gz").read_bytes() == PACKED and (place / "b.bin").read_bytes() == CONTENT
    assert told[-1] == ("b.bin", len(CONTENT), len(CONTENT))
    server.asked.clear()
    fetch("things", mirrors=[address(server)], folder=place)
    assert server.asked == []
    (place / "b.bin").write_bytes(b"damaged")
    fetch("things", mirrors=[address(server)], folder=place)
    assert [name for name, _ in server.asked] == ["b.bin"]
    assert (place / "b.bin").read_bytes() == CONTENT


def test_it_goes_to_the_cache_by_default(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fetch("things", mirrors=[address(server)]) == tmp_path / "linnet" / "things"
    assert known.find("things") == tmp_path / "linnet" / "things"


@pytest.mark.parametrize("manner", ["ranges", "no ranges"])
def test_a_broken_download_is_gone_on_with(manner: str, server: Server, tmp_path: Path) -> None:
    server.manner = "cut"
    with pytest.raises(FetchError, match="broke off after"):
        fetch("things", mirrors=[address(server)], folder=tmp_path)
    assert names(tmp_path) == {"a.gz.part"}
    half = (tmp_path / "a.gz.part").stat().st_size
    assert half == len(PACKED) // 2
    server.manner = manner
    server.asked.clear()
    fetch("things", mirrors=[address(server)], folder=tmp_path)
    assert server.asked[0] == ("a.gz", f"bytes={half}-")
    assert (tmp_path / "a.gz").read_bytes() == PACKED
    assert names(tmp_path) == {"a.gz", "b.bin"}


def test_a_part_that_is_whole_already_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(PACKED)
    fetch("things", mirrors=[address(server)], folder=tmp_path)
    assert (tmp_path / "a.gz").read_bytes() == PACKED


def test_a_wrong_content_is_thrown_away_and_the_next_mirror_tried(
    server: Server, tmp_path: Path
) -> None:
    other = Server(("127.0.0.1", 0), Handler)
    other.files = {"a.gz": gzip.compress(CONTENT[1:] + b"x"), "b.bin": CONTENT[1:] + b"x"}
    other.asked = []
    thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with pytest.raises(FetchError, match="its sha256 is"):
            fetch("things", mirrors=[address(other)], folder=tmp_path)
        assert names(tmp_path) == set()
        fetch("things", mirrors=[address(other), address(server)], folder=tmp_path)
    finally:
        other.shutdown()
        thread.join()
        other.server_close()
    assert (tmp_path / "b.bin").read_bytes() == CONTENT


def test_dead_and_lying_mirrors_are_named(server: Server, tmp_path: Path) -> None:
    server.manner = "missing"
    with pytest.raises(FetchError) as caught:
        fetch("things", mirrors=["http://127.0.0.1:1/", address(server)], folder=tmp_path)
    said = str(caught.value)
    assert "127.0.0.1:1/a.gz" in said and "refused" in said and "404" in said
    assert f"put the file into {tmp_path} by hand" in said
    server.manner = "huge"
    with pytest.raises(FetchError, match="expected at most"):
        fetch("things", mirrors=[address(server)], folder=tmp_path)
    assert names(tmp_path) == set()


def test_archives_give_their_members_by_name_only(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in ("dir/one.bin", "../escape.bin", "dir/two.bin", "/abs.bin"):
            entry = tarfile.TarInfo(name)
            entry.size = 5
            tar.addfile(entry, io.BytesIO(b"12345"))
        link = tarfile.TarInfo("dir/three.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    content = buffer.getvalue()
    server.files["x.tar.gz"] = content
    file = RemoteFile("x.tar.gz", hashlib.sha256(content).hexdigest(), len(content))
    entry_of = ("one.bin", "two.bin")
    monkeypatch.setitem(known.KNOWN, "x", Known("", ("x",), (0, 1), (), (file,), entry_of))
    fetch("x", mirrors=[address(server)], folder=tmp_path / "x")
    assert names(tmp_path / "x") == {"one.bin", "two.bin"} and names(tmp_path) == {"x"}
    server.asked.clear()
    fetch("x", mirrors=[address(server)], folder=tmp_path / "x")
    assert server.asked == []
    both = ("one.bin", "three.bin")
    monkeypatch.setitem(known.KNOWN, "x", Known("", ("x",), (0, 1), (), (file,), both))
    with pytest.raises(FetchError, match=r"has no three\.bin"):
        fetch("x", mirrors=[address(server)], folder=tmp_path / "y")


def test_unknown_names_are_told() -> None:
    with pytest.raises(DataError, match='did you mean "mnist"'):
        fetch("minst")


def test_what_is_published_is_well_formed() -> None:
    for name in ("mnist", "fashion_mnist", "kmnist", "cifar10"):
        entry = known.KNOWN[name]
        assert entry.mirrors and entry.classes and entry.files
        for file in entry.files:
            assert len(bytes.fromhex(file.sha256)) == 32 and file.size > 1000


def test_mnists_checksums_are_those_of_the_data(mnist_folder: Path) -> None:
    for file in known.KNOWN["mnist"].files:
        content = gzip.decompress((mnist_folder / file.name).read_bytes())
        assert len(content) == file.size
        assert hashlib.sha256(content).hexdigest() == file.sha256


class Odd(Handler):
    """Sends in chunks, without a length; or sends elsewhere."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        if self.server.manner == "elsewhere":
            self.send_response(302)
            self.send_header("Location", f"http://example.invalid/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        content = self.server.files[name]
        for start in range(0, len(content), 5000):
            piece = content[start : start + 5000]
            self.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
        if self.server.manner != "cut":
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True


@pytest.fixture
def other() -> Iterator[Server]:
    other = Server(("127.0.0.1", 0), Odd)
    other.files, other.asked = {"a.gz": PACKED, "b.bin": CONTENT}, []
    thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield other
    other.shutdown()
    thread.join()
    other.server_close()


def test_a_server_that_tells_no_length_will_do(other: Server, tmp_path: Path) -> None:
    fetch("things", mirrors=[address(other)], folder=tmp_path)
    assert names(tmp_path) == {"a.gz", "b.bin"}
    (tmp_path / "b.bin").unlink()
    other.manner = "cut"
    with pytest.raises(FetchError):
        fetch("things", mirrors=[address(other)], folder=tmp_path)
    assert not (tmp_path / "b.bin").exists()


def test_only_https_and_this_machine(other: Server, tmp_path: Path) -> None:
    other.manner = "elsewhere"
    given = [address(other), "http://example.invalid/", "file:///etc/", "ftp://127.0.0.1/"]
    with pytest.raises(FetchError) as caught:
        fetch("things", mirrors=given, folder=tmp_path)
    assert str(caught.value).count("only https, or http on this machine") == 4
    assert names(tmp_path) == set()
    for entry in known.KNOWN.values():
        assert all(mirror.startswith("https://") for mirror in entry.mirrors)


def test_a_part_of_another_mirrors_file_does_not_spoil_a_good_mirror(
    server: Server, tmp_path: Path
) -> None:
    half = gzip.compress(CONTENT, 1)
    (tmp_path / "a.gz.part").write_bytes(half[: len(half) // 2])
    (tmp_path / "b.bin.part").write_bytes(b"junk" * 9)
    fetch("things", mirrors=[address(server)], folder=tmp_path)
    assert names(tmp_path) == {"a.gz", "b.bin"}
    assert [asked for _, asked in server.asked] == [f"bytes={len(half) // 2}-", None,
                                                    "bytes=36-", None]  # fmt: skip


def test_a_whole_part_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "b.bin.part").write_bytes(CONTENT)
    fetch("things", mirrors=[address(server)], folder=tmp_path)
    assert [name for name, _ in server.asked] == ["a.gz"]
    (tmp_path / "b.bin").unlink()
    (tmp_path / "b.bin.part").write_bytes(CONTENT + b"too long")
    fetch("things", mirrors=[address(server)], folder=tmp_path)
    assert (tmp_path / "b.bin").read_bytes() == CONTENT


def test_a_gzip_bomb_is_not_unpacked_beyond_its_size(server: Server, tmp_path: Path) -> None:
    server.files["a.gz"] = gzip.compress(bytes(10**7))
    with pytest.raises(FetchError, match="holds more than the expected 768,000 bytes"):
        fetch("things", mirrors=[address(server)], folder=tmp_path)
    assert names(tmp_path) == set()


def test_an_interrupted_fetch_is_not_found(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("LINNET_DATA", raising=False)
    for left in ({"a.gz": PACKED}, {}):  # b.bin is missing, and both
        server.files = left
        with pytest.raises(FetchError):
            fetch("things", mirrors=[address(server)])
        with pytest.raises(DataError, match="Type: linnet data fetch things"):
            known.find("things")
    server.files = {"a.gz": PACKED, "b.bin": CONTENT}
    assert known.find("things") if fetch("things", mirrors=[address(server)]) else False


def test_the_last_file_is_the_one_that_a_source_knows_the_folder_by() -> None:
    for name in ("mnist", "fashion_mnist", "kmnist"):
        assert known.KNOWN[name].files[-1].name == "train-images-idx3-ubyte.gz"
    assert known.KNOWN["cifar10"].members[-1] == "data_batch_1.bin"


def test_a_broken_off_connection_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linnet.data.fetch.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call, says nothing
        mirror = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(FetchError, match="timed out"):
            fetch("things", mirrors=[mirror], folder=tmp_path)


def redirected(source: str, target: str) -> object:
    """What becomes of a redirect from one address to another."""
    return _Redirects().redirect_request(
        Request(source), io.BytesIO(), 302, "Found", http.client.HTTPMessage(), target
    )


@pytest.mark.parametrize(
    "target",
    ["https://127.0.0.1/x", "https://localhost/x", "https://[::1]/x", "https://10.1.2.3/",
     "https://192.168.0.1/x", "https://172.16.0.9/", "https://169.254.169.254/latest/meta-data",
     "https://0.0.0.0/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1]/", "https://[fd00::1]/",
     "https://2130706433/", "https://127.1/", "https://0x7f000001/", "https://100.64.0.1/",
     "http://127.0.0.1/x", "https://224.0.0.1/", "https:///x"],
)  # fmt: skip
def test_a_redirect_leads_from_the_internet_into_no_network(target: str) -> None:
    with pytest.raises(ValueError, match=r"inside a network|no address"):
        redirected("https://example.org/data/a.gz", target)


def test_other_redirects_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    def addresses(*_: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", ("93.184.216.34", 0)), (0, 0, 0, "", ("2606:2800:220:1::1", 0, 0, 0))]

    assert redirected("http://127.0.0.1:1/a", "http://127.0.0.1:2/b")  # the user named this machine
    monkeypatch.setattr("socket.getaddrinfo", addresses)
    assert redirected("https://example.org/a", "https://mirror.example/b")
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [*addresses(), (0, 0, 0, "", ("::1", 0))])
    with pytest.raises(ValueError, match="inside a network"):
        redirected("https://example.org/a", "https://mirror.example/b")


def test_a_link_that_waits_for_a_download_is_not_followed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"kept")
    (tmp_path / "out" / "a.gz.part").symlink_to(victim)
    fetch("things", mirrors=[address(server)], folder=tmp_path / "out")
    assert victim.read_bytes() == b"kept" and not (tmp_path / "out" / "a.gz").is_symlink()

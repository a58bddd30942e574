"""Who may ask: this machine, or who has the token; no page of another site."""

import re
from pathlib import Path

import pytest
from serving import Here, here, rows_of

from helpers import command
from linnet.errors import InputError
from linnet.serve import settings
from linnet.serve.guard import Guard
from linnet.show.view.headers import HEADERS

pytest_plugins = ("served",)

TOKEN = "s3cret-s3cret-s3cret"


def test_another_host_is_refused(site: Here) -> None:
    for host in (f"127.0.0.1:{site.port}", f"localhost:{site.port}", "localhost", "[::1]:80"):
        assert site.ask("/models", Host=host).status == 200, host
    for host in (
        "evil.example", f"evil.example:{site.port}", "127.0.0.1.evil.example", "10.0.0.1", "",
        "127.0.0.1:x", "a@127.0.0.1", "[::1", "localhost:80:80", "127.1", "\u0131.example",
    ):  # fmt: skip
        answer = site.ask("/models", Host=host.encode("utf-8").decode("latin-1"))
        assert answer.status in (400, 421), host
    raw = site.raw(b"GET /models HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert raw.split(b" ", 2)[1] == b"400"
    own = f"Host: 127.0.0.1:{site.port}\r\n".encode()
    raw = site.raw(b"GET /models HTTP/1.1\r\n" + own + own + b"Connection: close\r\n\r\n")
    assert raw.split(b" ", 2)[1] == b"400"


def test_a_page_of_another_site_is_refused(site: Here) -> None:
    own = f"http://127.0.0.1:{site.port}"
    host = own.removeprefix("http://")
    assert site.ask("/predict", rows_of(1), Origin=own, Host=host).status == 200
    for origin in ("http://evil.example", "null", f"{own}.evil.example", "", "file://", own[:-1]):
        answer = site.ask("/predict", rows_of(1), Origin=origin, Host=host)
        assert answer.status == 403, origin
    assert site.ask("/models", Sec_Fetch_Site="cross-site").status == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded"):  # a form can send these
        assert site.ask("/predict", '{"age": 1}', Content_Type=kind).status == 415


def test_every_answer_has_the_headers(site: Here) -> None:
    for path in ("/predict", "/docs", "/models", "/nothing", "/v2/health/live", "/ping"):
        headers = site.ask(path).headers
        for name, value in HEADERS.items():
            assert headers[name] == value or name == "Content-Security-Policy", (path, name)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert "Server" not in headers and "Access-Control-Allow-Origin" not in headers


def test_with_a_token_nobody_else_may_ask(table: Path) -> None:
    with here(table, token=TOKEN) as own:
        for path in ("/predict", "/v2/models/table/infer", "/invocations", "/try"):
            answer = own.ask(path, rows_of(1))
            assert answer.status == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
            assert TOKEN not in answer.content.decode()
        for path in ("/", "/docs", "/openapi.json", "/models", "/v2", "/version", "/nothing"):
            assert own.ask(path).status == 401, path
        for path in ("/v2/health/live", "/v2/health/ready", "/ping", "/health"):
            assert own.ask(path).status == 200, path
        for given in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "):
            assert own.ask("/predict", rows_of(1), Authorization=given).status == 200
        for given in ("Bearer", "Bearer x", f"Basic {TOKEN}", TOKEN, "Bearer \xe9", ""):
            assert own.ask("/predict", rows_of(1), Authorization=given).status == 401, given
        assert own.ask(f"/models?token={TOKEN}").status == 401
        assert own.ask("/models", Cookie=f"linnet-{own.port}={TOKEN}").status == 200
        assert own.ask("/models", Cookie=f"a=b; linnet-{own.port}=x").status == 401
        assert own.ask("/openapi.json", Authorization=f"Bearer {TOKEN}").json["security"]


def test_the_token_in_the_address_of_the_page_becomes_a_cookie() -> None:
    guard = Guard(frozenset({"localhost"}), token=TOKEN, port=7)
    headers = {b"host": b"localhost"}
    cookie = guard.check("/", f"token={TOKEN}".encode(), headers)
    assert cookie is not None
    assert set(cookie.split("; ")) == {
        f"linnet-7={TOKEN}", "HttpOnly", "SameSite=Strict", "Path=/"}  # fmt: skip
    held = {**headers, b"cookie": cookie.split(";")[0].encode()}
    assert guard.check("/predict", b"", held) is None


def test_other_hosts_are_named() -> None:
    own = settings.Settings([], host="0.0.0.0", token=TOKEN, names=["Model.example"])
    guard = own.guard(80)
    for host in (
        b"10.1.2.3:80",
        b"[fe80::1]",
        b"model.example",
        b"MODEL.example:443",
        b"127.0.0.1",
    ):
        assert guard.check("/ping", b"", {b"host": host}) is None
    behind = {b"host": b"model.example", b"origin": b"https://model.example"}
    assert guard.check("/ping", b"", behind) is None
    with pytest.raises(Exception, match="host name"):
        guard.check("/ping", b"", {b"host": b"evil.example"})


def test_another_host_wants_a_token_or_the_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.TOKEN, raising=False)
    assert settings.token_of(None, False, "127.0.0.1") is None
    assert settings.token_of(None, True, "0.0.0.0") is None
    with pytest.raises(InputError, match="--no-token"):
        settings.token_of(None, False, "0.0.0.0")
    with pytest.raises(InputError, match="one of the two"):
        settings.token_of(TOKEN, True, "0.0.0.0")
    for bad in ("short", "with space with space", "é" * 20, "x" * 600, 'quote"quote"quote"'):
        with pytest.raises(InputError, match="16 to 512"):
            settings.token_of(bad, False, "0.0.0.0")
    monkeypatch.setenv(settings.TOKEN, TOKEN)
    assert settings.token_of(None, False, "0.0.0.0") == TOKEN


def test_the_command_refuses_what_it_cannot_serve(table: Path, tmp_path: Path) -> None:
    for words, told in (
        (["missing"], "there is no run or model file"),
        ([table, table], "two models have the name 'table'"),
        ([f"a/b={table}"], "cannot stand in an address"),
        ([table, "--host", "0.0.0.0"], "--no-token"),
        ([table, "--model", "forest"], "forest"),
        ([table, "--network", "x.py:Net"], "no Python file"),
        ([table, "--host", "203.0.113.1", "--no-token"], "cannot listen"),  # kept for documents
    ):
        done = command("serve", *words, "--port", 0, cwd=tmp_path)
        assert done.returncode in (1, 2), words
        assert re.search(told, done.stderr), done.stderr
        assert "Traceback" not in done.stderr

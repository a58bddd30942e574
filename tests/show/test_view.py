"""The live page: who may ask, what is sent, how runs are followed, and when it ends."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from helpers import ParsedPage, Site, append_events, open_browser
from linnet.core import files
from linnet.core.html import ICON
from linnet.core.language import current, language
from linnet.errors import LinnetWarning, WorkError
from linnet.figures.colors import COLORS
from linnet.runs import directory, events, writer
from linnet.show.view import app, follower, launch, panels, server, wire, words
from linnet.show.view.follower import Folder, Follower
from linnet.show.view.series import BUCKETS, MAX_POINTS, Series

HOSTILE = "<img src=x onerror=alert(1)>"


def step(index: int, **more: Any) -> dict[str, Any]:
    event = {"event": "step", "time": index * 0.01, "model": "mlp", "step": index, "epoch": 0}
    return {**event, "loss": 1 / (index + 1), **more}


def a_run(root: Path, name: str, state: str = "running", **recipe: Any) -> Path:
    path = root / name
    path.mkdir(parents=True)
    directory.write_status(path, state)
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in recipe.items())
    (path / "recipe.toml").write_text(lines)
    append_events(path, {"event": "begin", "time": 0, "model": "mlp", "steps": 100})
    return path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    opened = Site(tmp_path / "runs")
    yield opened
    opened.close()


@pytest.fixture
def root(site: Site) -> Path:
    site.page.folder.root.mkdir()
    return site.page.folder.root


def curve(found: list[dict[str, Any]], name: str = "loss", part: str = "train") -> list[Any]:
    """The points that a page holds after these events."""
    points: list[Any] = []
    for event in found:
        data = event["data"]
        if event["event"] == "reset":
            points = []
        if event["event"] == "series" and (data["name"], data["part"]) == (name, part):
            assert len(points) >= data["start"]
            points[data["start"] :] = zip(data["step"], data["value"], strict=True)
    return points


# ---- who may ask


def test_a_page_is_given_to_who_has_the_token_alone(site: Site) -> None:
    assert site.status("/") == 403
    assert site.status("/?token=") == 403
    assert site.status(f"/?token={'b' * 40}") == 403
    assert site.status("/?token=%C3%A9") == 403
    assert site.status(f"/page.js?token={site.token}") == 403
    assert site.status(f"/?token={site.token}") == 200
    assert site.status("/", "GET", f"Cookie: {site.cookie}") == 200
    assert site.status("/", "GET", f"Cookie: linnet-{site.port}=no") == 403
    assert site.status("/", "GET", f'Cookie: a="; b; {{}}; {site.cookie}') == 200
    assert site.status(f"/?token={'b' * 40}", "GET", f"Cookie: {site.cookie}") == 403
    for path in (
        "/page.js", "/narrow.js", "/page.css", "/plotly.js", "/stream", "/run?id=a", "/panel?id=a",
        "/windows?id=a", "/picture?id=a",
    ):  # fmt: skip
        assert site.status(path) == 403


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(site: Site) -> None:
    _, headers, _ = site.get(f"/?token={site.token}", Cookie="")
    name, *attributes = headers["Set-Cookie"].split("; ")
    assert name == site.cookie
    assert set(attributes) == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert site.get("/")[1]["Set-Cookie"] is None


def test_a_foreign_host_is_refused(site: Site) -> None:
    allowed = f"Cookie: {site.cookie}"
    for host in (f"127.0.0.1:{site.port}", f"localhost:{site.port}", "localhost:8000", "127.0.0.1"):
        assert site.status("/", "GET", allowed, host=f"Host: {host}") == 200
    for host in (
        "evil.example", f"evil.example:{site.port}", "127.0.0.1.evil.example", "localhost.evil",
        "127.0.0.1:80@evil", "[::1]", "0.0.0.0", "127.0.0.1:x", "a@127.0.0.1", "127.1", "",
    ):  # fmt: skip
        assert site.status("/", "GET", allowed, host=f"Host: {host}") in (400, 421), host


def test_a_missing_or_second_host_is_refused(site: Site) -> None:
    host = f"Host: 127.0.0.1:{site.port}"
    cookie = f"Cookie: {site.cookie}"
    assert site.status("/", "GET", cookie, host=f"{host}\r\nHost: evil.example") == 400
    assert site.status("/", "GET", cookie, host=f"{host}\r\n{host}") == 400
    assert site.status("/", "GET", cookie, host="X-Host: 127.0.0.1") == 400
    assert site.raw(f"GET / HTTP/1.0\r\n{cookie}\r\n\r\n").split(b" ")[1] == b"400"


def test_a_foreign_origin_is_refused(site: Site) -> None:
    cookie = f"Cookie: {site.cookie}"
    assert site.status("/", "GET", cookie, f"Origin: http://127.0.0.1:{site.port}") == 200
    for origin in (
        "http://evil.example", "null", "", f"https://127.0.0.1:{site.port}", "http://127.0.0.1:1",
        f"http://localhost:{site.port}", f"http://127.0.0.1:{site.port}.evil.example",
    ):  # fmt: skip
        assert site.status("/", "GET", cookie, f"Origin: {origin}") == 403, origin
    twice = [f"Origin: http://127.0.0.1:{site.port}"] * 2
    assert site.status("/", "GET", cookie, *twice) == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_nothing_but_reading(site: Site, method: str) -> None:
    for path in ("/", "/stream", "/run", "/panel", "/windows", "/picture"):
        assert site.status(path, method, f"Cookie: {site.cookie}") == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/page.js", "/static/../app.py",
        "//etc/passwd", "/page.js/..", "/..\\..\\x", "/%00", "/runs/a/events.jsonl", "/app.py",
        "/page.html", "/run/../page.js", "/.",
    ],
)  # fmt: skip
def test_no_path_leads_out(site: Site, path: str) -> None:
    assert site.status(path, "GET", f"Cookie: {site.cookie}") == 404


def test_runs_go_by_the_ids_that_were_given(site: Site, root: Path) -> None:
    a_run(root, "one")
    found = site.until("tick")
    (id,) = [event["data"]["id"] for event in found if event["event"] == "run"]
    assert site.get(f"/run?id={id}")[0] == 200
    for other in ("one", "../one", "%2e%2e%2fone", str(root / "one"), id[:-1], ""):
        assert site.get(f"/run?id={other}")[0] == 404
        assert site.get(f"/panel?id={other}&kind=weights")[0] == 404
    assert site.get(f"/panel?id={id}&kind=../weights")[0] == 404
    assert "when the run has finished" in json.loads(site.get(f"/panel?id={id}&kind=weights")[2])[
        "problem"]  # fmt: skip


def test_every_answer_has_the_headers(site: Site) -> None:
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    for path, cookie in (("/", None), ("/page.js", None), ("/no", None), ("/", "none")):
        _, headers, _ = site.get(path, **({"Cookie": cookie} if cookie else {}))
        assert headers.get_all("Content-Security-Policy") == [policy]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Access-Control-Allow-Origin"] is None
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] is None


def test_the_page_holds_no_code_of_its_own_and_asks_nobody_else(site: Site) -> None:
    content = site.get("/")[2].decode()
    assert f'<link rel="icon" href="{ICON}">' in content
    parsed = ParsedPage(content)  # refuses handlers of events
    assert "style" not in parsed.tags and "http" not in content
    assert set(parsed.scripts) == {"words"} and json.loads(parsed.scripts["words"]) == {}
    scripts = "".join(
        site.get(f"/{name}")[2].decode() for name in ("page.js", "narrow.js", "page.css")
    )
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "://"):
        assert word not in scripts, word


def test_each_text_of_the_page_is_asked_of_the_language_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script, page = ((app.STATIC / f"page.{end}").read_text() for end in ("js", "html"))
    asked = re.findall(r'(?<![\w.])t\(("(?:[^"\\]|\\.)*")', script)
    assert len(asked) == len(re.findall(r"(?<![\w.])t\(", script))  # literals alone
    marked = {*words.MARK.findall(page)} - {"words", "language", "icon"}
    assert sorted(words.texts()) == sorted({*map(json.loads, asked), *marked})
    monkeypatch.setattr(words, "tr", lambda text: text.upper() if current() == "zh" else text)
    with language("zh"):
        made = words.translate(page)
    assert '<html lang="zh">' in made and "<h2>RUNS</h2>" in made and "{{" not in made
    assert json.loads(ParsedPage(made).scripts["words"])["loading …"] == "LOADING …"


def test_the_script_for_figures_is_that_of_plotly(site: Site) -> None:
    status, headers, content = site.get("/plotly.js")
    assert status == 200 and len(content) > 1 << 20 and b"plotly.js" in content[:200]
    assert headers["Content-Type"].startswith("text/javascript")
    assert "private" in headers["Cache-Control"]


# ---- what is sent


def test_the_table_comes_first_then_curves(site: Site, root: Path) -> None:
    path = a_run(root, "one", "finished", lr=0.1)
    append_events(path, *(step(i) for i in range(50)))
    found = site.until("tick")
    kinds = [event["event"] for event in found]
    assert kinds[:3] == ["hello", "run", "shown"] and "series" in kinds
    row = found[1]["data"]
    assert (row["name"], row["state"], row["facts"]) == ("one", "finished", {"lr": 0.1})
    assert curve(found) == [(i, float(f"{1 / (i + 1):.6g}")) for i in range(50)]


def test_a_stream_goes_on_where_it_was(site: Site, root: Path) -> None:
    path = a_run(root, "one")
    append_events(path, *(step(i) for i in range(30)))
    before = site.until("tick")
    last = before[-1]["id"]
    assert last.endswith(f":{(path / 'events.jsonl').stat().st_size}")
    append_events(path, *(step(i) for i in range(30, 35)))
    for again in (
        site.until("tick", **{"Last-Event-ID": last}),
        site.until("tick", f"/stream?runs={last.split(':')[0]}&after={last}"),
    ):
        sent = [event["data"] for event in again if event["event"] == "series"]
        assert [data["step"] for data in sent] == [[30, 31, 32, 33, 34]]
        assert [point for point, _ in curve(before + again)] == list(range(35))


def test_a_wrong_id_of_a_stream_is_passed_over(site: Site, root: Path) -> None:
    path = a_run(root, "one")
    append_events(path, step(0))
    id = Follower(path, "one").id
    for wrong in ("x", ":", f"{id}:-1", f"{id}:99999999", f"{id}:1e9", ",,,", f"{id}:" + "9" * 99):
        found = site.until("tick", f"/stream?runs={id}&after={wrong}")
        assert len(curve(found)) == 1


def test_news_come_by_themselves(site: Site, root: Path) -> None:
    path = a_run(root, "one")
    append_events(path, step(0))
    seen: list[dict[str, Any]] = []
    ticks = 0
    for event in site.stream():
        seen.append(event)
        ticks += event["event"] == "tick"
        if event["event"] != "tick":
            continue
        if ticks == 1:
            append_events(path, step(1), step(2))
        elif ticks == 2:
            assert len(curve(seen)) == 3
            a_run(root, "two")
        elif ticks == 3:
            break
    names = [event["data"]["name"] for event in seen if event["event"] == "run"]
    assert names == ["one", "two"]


def test_a_torn_line_waits_for_its_end(tmp_path: Path) -> None:
    path = a_run(tmp_path, "one")
    append_events(path, step(0))
    whole = json.dumps(step(1)) + "\n"
    with open(path / "events.jsonl", "a") as file:
        file.write(whole[:20])
    run = Follower(path, "one")
    run.look()
    run.read()
    first = run.offset
    assert len(run.series["mlp", "train", "loss"].since(0)[1]) == 1
    with open(path / "events.jsonl", "a") as file:
        file.write(whole[20:])
    run.read()
    assert run.offset == first + len(whole)
    assert len(run.series["mlp", "train", "loss"].since(0)[1]) == 2


def test_a_killed_trainer_is_a_crash_at_the_next_look(site: Site, root: Path) -> None:
    trainer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    path = a_run(root, "one")
    status = files.read_json(path / "status.json")
    about = {"pid": trainer.pid, "started": writer.started(trainer.pid)}
    files.write_json(path / "status.json", {**status, **about})
    states = []
    for event in site.stream():
        if event["event"] == "run":
            states.append(event["data"]["state"])
            if len(states) == 1:
                trainer.kill()
                trainer.wait()
            else:
                break
    assert states == ["running", "crashed"]


def test_a_failed_run_tells_why(tmp_path: Path) -> None:
    path = a_run(tmp_path, "one")
    directory.write_status(path, "failed", f"Diverged: {HOSTILE}")
    run = Follower(path, "one")
    run.look()
    assert run.row is not None
    assert (run.row["state"], run.row["error"]) == ("failed", f"Diverged: {HOSTILE}")


def test_names_are_sent_as_data(site: Site, root: Path) -> None:
    names = [HOSTILE, "x" * 240, "שלום \U0001f600", "a\nevent: run\ndata: {}", "%2e%2e"]
    for name in names:
        path = a_run(root, name, "finished", target=HOSTILE)
        append_events(path, {**step(0), "model": HOSTILE, HOSTILE: 1.0})
    found = site.until("tick")
    rows = [event["data"] for event in found if event["event"] == "run"]
    assert {row["name"] for row in rows} == set(names)
    assert {row["facts"]["target"] for row in rows} == {HOSTILE}
    curves = {(e["data"]["model"], e["data"]["name"]) for e in found if e["event"] == "series"}
    assert (HOSTILE, HOSTILE) in curves


def test_a_message_is_small_however_long_the_run(site: Site, root: Path) -> None:
    path = a_run(root, "one", "finished", **{f"key{i}" * 20: "é" * 5000 for i in range(300)})
    long = "\u0001" * 400
    events = [
        {
            **step(10**12 + i),
            "model": long,
            long: -1.23456e-200 * (i % 7),
            "time": 1e200 + i * 1e190,
        }
        for i in range(20_000)
    ]
    append_events(path, *events)
    found = site.until("tick")
    series = [event for event in found if event["event"] == "series"]
    assert len({(e["data"]["model"], e["data"]["part"]) for e in series}) == 1
    assert max(event["size"] for event in found) <= 64 << 10
    for name in {event["data"]["name"] for event in series}:
        assert BUCKETS // 2 < len(curve(found, name)) <= MAX_POINTS <= 2000


def test_a_resume_takes_back_what_it_undid(site: Site, root: Path) -> None:
    path = a_run(root, "one")
    append_events(path, *(step(i) for i in range(30)))
    before = site.until("tick")
    append_events(
        path, {"event": "resume", "time": 0, "model": "mlp", "step": 9}, step(10, loss=7.0)
    )
    again = site.until("tick", **{"Last-Event-ID": before[-1]["id"]})
    assert "reset" in [event["event"] for event in again]
    points = curve(before + again)
    assert [place for place, _ in points] == list(range(11)) and points[-1][1] == 7.0


def test_another_file_in_its_place_begins_anew(tmp_path: Path) -> None:
    path = a_run(tmp_path, "one")
    append_events(path, *(step(i) for i in range(30)))
    run = Follower(path, "one")
    run.look()
    run.read()
    (path / "events.jsonl").unlink()
    append_events(path, *(step(i) for i in range(5)))
    run.read()
    assert len(run.series["mlp", "train", "loss"].since(0)[1]) == 5
    assert run.began == run.offset


def test_events_that_are_no_good_are_passed_over(tmp_path: Path) -> None:
    path = a_run(tmp_path, "one")
    append_events(
        path,
        step(0), {"event": "step"}, {"event": "step", "model": 3}, step(1, step="x"),
        step(1, time=None), step(1, step=True), step(2**60), step(0, step=-1), step(1, loss="NaN"),
        step(1, loss=[1]), {"event": "evaluate", "model": "mlp", "step": 1, "valid": 3},
        {"event": "finding", "text": {"a": 1}}, {"event": "fit", "model": "mlp", "reason": [1]},
        {"event": "test", "model": "mlp", "test": 5}, {"event": "resume"}, step(2),
    )  # fmt: skip
    run = Follower(path, "one")
    run.look()
    run.read()
    steps = [point[1] for point in run.series["mlp", "train", "loss"].since(0)[1]]
    assert steps == [0, 2]
    files.dumps(run.detail())


def test_runs_that_cannot_be_read_do_not_hide_others(site: Site, root: Path) -> None:
    for name, content in (("a", "{"), ("b", "[]"), ("c", '{"format": 99}'), ("d", "null")):
        path = a_run(root, name, "finished")
        (path / "metrics.json").write_text(content)
        (path / "run.json").write_text(content)
    (a_run(root, "e") / "status.json").write_text("{")
    (a_run(root, "f") / "recipe.toml").write_text("= =")
    a_run(root, "good", "finished", lr=0.5)
    rows = {e["data"]["name"]: e["data"] for e in site.until("tick") if e["event"] == "run"}
    assert set(rows) == {"a", "b", "c", "d", "e", "f", "good"}
    assert "cannot be read" in rows["c"]["error"]
    for row in rows.values():
        site_answer = site.get(f"/run?id={row['id']}")
        assert site_answer[0] == 200, row["name"]
        json.loads(site_answer[2])


def test_runs_of_a_sweep_and_one_run_alone_are_found(tmp_path: Path) -> None:
    a_run(tmp_path, "one")
    a_run(tmp_path / "sweep", "lr=0.1")
    (tmp_path / "other").mkdir()
    for place, names in (
        (tmp_path, {"one", "sweep/lr=0.1"}),
        (tmp_path / "one", {"one"}),
        (tmp_path / "no", set()),
    ):
        folder = Folder(place)
        folder.look()
        assert {run.name for run in folder.runs.values()} == names


def test_scores_of_a_running_run_are_told(tmp_path: Path) -> None:
    path = a_run(tmp_path, "one", batch_size=64)
    for index, loss in enumerate((3.0, 2.0, 1.0, 1.5)):
        append_events(path, *(step(index * 10 + i, epoch=index, lr=0.1) for i in range(10)))
        valid = {"loss": loss, "accuracy": 0.0}
        append_events(
            path, {**step(index * 10 + 10, epoch=index + 1), "event": "evaluate", "valid": valid}
        )
    run = Follower(path, "one")
    run.look()
    run.read()
    assert run.now["steps"] == 100 and run.now["valid"] == {"loss": 1.5, "accuracy": 0.0}
    assert run.detail()["models"]["mlp"]["valid"]["loss"] == 1.0
    assert run.units["mlp"] == 10
    rates = [point[3] for point in run.series["mlp", "train", "samples"].since(0)[1]]
    assert rates and all(5000 < rate < 8000 for rate in rates)  # 64 rows in 0.01 s


def by_folds(path: Path, *, ended: bool) -> None:
    """Append a fit of two members of two epochs, 10 steps each."""
    append_events(path, {"event": "begin", "time": 0, "model": "mlp", "steps": 40, "members": 2})
    for index, loss in enumerate((3.0, 2.0, 0.5, 2.5, 1.5)):
        at, number = 10 * index, int(index > 2)
        epoch = index - 2 * number
        place = {"epoch": epoch, "member": number}
        append_events(
            path,
            *(step(i, epoch=epoch - 1, member=number) for i in range(max(1, at - 9), at)),
            {"event": "evaluate", "time": at / 100, "model": "mlp", "step": at, **place,
             "valid": {"loss": loss, "accuracy": 0.5}},
        )  # fmt: skip
    if ended:
        append_events(
            path,
            {"event": "evaluate", "time": 1, "model": "mlp", "step": 40, "epoch": 2,
             "valid": {"loss": 1.0, "accuracy": 0.75}},
            {"event": "fit", "time": 1, "model": "mlp", "reason": "2 members", "members": 2},
        )  # fmt: skip


def test_a_fit_by_folds_is_told_by_its_members(tmp_path: Path) -> None:
    path = a_run(tmp_path, "one")
    by_folds(path, ended=False)
    run = Follower(path, "one")
    run.look()
    run.read()
    assert run.folds == {"mlp": {"starts": [0, 20]}} and run.units["mlp"] == 10
    assert (run.now["member"], run.now["members"]) == (1, 2)
    assert "best" not in run.now  # the scores of one member are not the net's
    assert "valid" not in run.detail()["models"]["mlp"]
    done = a_run(tmp_path, "two")
    by_folds(done, ended=True)
    run = Follower(done, "two")
    run.look()
    run.read()
    assert run.folds == {"mlp": {"starts": [0, 20], "kept": 40}}
    assert run.now["best"] == {"loss": 1.0, "accuracy": 0.75}
    assert run.detail()["models"]["mlp"]["valid"]["by"] == "folds"


def test_the_best_score_of_a_crashed_run_is_told(site: Site, root: Path) -> None:
    path = a_run(root, "one", "failed")
    for index, loss in enumerate((3.0, 1.0, 2.0)):
        scores = {"loss": loss, "accuracy": 1 / loss}
        event = {"event": "evaluate", "model": "mlp", "step": index, "time": index}
        append_events(path, {**event, "valid": scores})
    found = site.until("tick")
    (now,) = (event["data"]["now"] for event in found if event["event"] == "now")
    assert now == {"best": {"loss": 1.0, "accuracy": 1.0}}
    panel = json.loads(site.get(f"/panel?id={found[1]['data']['id']}&kind=weights")[2])
    assert panel["problem"] == "not available: the run is failed, and has no scores"


def test_a_learning_curve_that_comes_later_is_told(tmp_path: Path) -> None:
    run = Follower(a_run(tmp_path, "one", "finished"), "one")
    run.look()
    before = run.version
    assert run.detail()["learning"] is False
    (tmp_path / "one" / "learning_curve.json").write_text("{}")
    run.look()
    assert run.detail()["learning"] is True and run.version > before


def test_a_large_confusion_matrix_is_cut_to_the_classes_with_most_errors(tmp_path: Path) -> None:
    from linnet.show.view.follower import MAX_CLASSES

    path = a_run(tmp_path, "one")
    count = 100
    matrix = [[5 if i == j else 0 for j in range(count)] for i in range(count)]
    matrix[90][99] = 7
    test = {"confusion": matrix, "classes": list(range(count))}
    append_events(path, {"event": "test", "time": 1, "model": "mlp", "test": test})
    run = Follower(path, "one")
    run.look()
    run.read()
    found = run.detail()["models"]["mlp"]["test"]
    assert len(found["confusion"]) == len(found["shown"]) == MAX_CLASSES
    assert {90, 99} <= set(found["shown"])
    assert found["confusion"][found["shown"].index(90)][found["shown"].index(99)] == 7


def test_where_the_time_of_a_fit_went_is_told(tmp_path: Path) -> None:
    path = a_run(tmp_path, "one")
    spent = {"event": "spent", "time": 1, "model": "mlp", "step": 9, "batches": 0.5, "steps": 2.0}
    append_events(path, {**spent, "steps": 1.0}, {**spent, "evaluate": "NaN", "memory": 1 << 30})
    run = Follower(path, "one")
    run.look()
    run.read()
    assert run.detail()["spent"] == {"mlp": {"batches": 0.5, "steps": 2.0}}
    assert [point[3] for point in run.series["mlp", "train", "memory"].since(0)[1]] == [1 << 30]


def test_flat_events_are_read_as_strictly_as_others(tmp_path: Path) -> None:
    good = {"event": "other", "a": 1, "b": 0.25, "c": "\u00e9 \u2028", "d": None, "e": True}
    lines = [
        json.dumps(good), json.dumps({**good, "c": "x: y"}), json.dumps({**good, "a": {"b": 1}}),
        json.dumps({**good, "c": "NaN"}), '{"event":"a","x":1e999}', '{"event":"a","x":-1e999}',
        '{"event":"a","x":NaN}', '{"event":"a","x":Infinity}', '{"event":"a","a":1,"a":2}',
        '{"event":"a","a":1,"a":": "}', '{"event":"a"}{}', '{"event":"a"},{"event":"b"}',
        '{"event":"a"', "[1]", "", " ", '{"event":"a"}\r', '{"event":"a","x":' + "1" * 5000 + "}",
        '{"event":"a","x":' + "[" * 200 + "]" * 200 + "}", '{"event":1}', '{"event":"a",}',
        '{"event":"a","x":"\t"}', '{"event" :"a"}', '{"event":"a","x":[1e999]}',
    ]  # fmt: skip
    expected = []
    for line in lines:
        with contextlib.suppress(ValueError):
            event = files.loads(line, "line")
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                expected.append(event)
    path = tmp_path / "events.jsonl"
    path.write_bytes("\n".join([*lines, ""]).encode())
    assert [event.plain() for event in events.read_new(path)[0]] == expected and len(expected) == 6
    path.write_bytes(b'{"event":"a"}\n{"event":"\xff"}\n{"event":"b"}\n')
    assert [event.kind for event in events.read_new(path)[0]] == ["a", "b"]


def test_a_long_record_is_read_in_parts(tmp_path: Path) -> None:
    path = a_run(tmp_path, "one")
    append_events(
        path, *(step(i) for i in range(300)), {"event": "x", "long": "y" * 5000}, step(300)
    )
    parts: list[Any] = []
    offset = 0
    while True:
        found, end = events.read_new(path / "events.jsonl", offset, 1000)
        if end == offset:
            break
        assert end - offset <= 1000 or any("long" in event.values for event in found)
        parts += found
        offset = end
    assert parts == events.read_all(path / "events.jsonl") and len(parts) == 303


def test_a_record_that_takes_long_is_shown_while_it_is_read(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_run(root, "one", "finished")
    append_events(path, *(step(i) for i in range(500)))
    monkeypatch.setattr(follower, "READ_BYTES", 1 << 14)
    monkeypatch.setattr(follower, "READ_SECONDS", 0)
    seen: list[dict[str, Any]] = []
    lengths = []
    for event in site.stream():
        seen.append(event)
        if event["event"] == "tick":
            lengths.append(len(curve(seen)))
            if lengths[-1] == 500:
                break
    assert len(lengths) > 2 and lengths == sorted(lengths)


def test_steps_of_any_form_are_taken_one_by_one(tmp_path: Path) -> None:
    path = a_run(tmp_path, "one")
    append_events(
        path, {**step(0), "loss": "NaN"}, step(1), {**step(2), "step": "2"},
        {**step(3), "time": None}, {**step(4), "epoch": "x"}, {**step(5), "loss": 10**400},
        {**step(6), "step": -1}, step(7),
    )  # fmt: skip
    run = Follower(path, "one")
    run.look()
    run.read()
    points = run.series["mlp", "train", "loss"].since(0)[1]
    assert [point[1] for point in points] == [1, 7]


# ---- windows of programs


def test_windows_and_pictures_are_given_by_the_ids_of_runs(site: Site, root: Path) -> None:
    from linnet.compat.visdom import Visdom

    path = a_run(root, "one")
    viz = Visdom(run=path)
    viz.image([[0.0, 1.0]], win="x")
    (row,) = [e["data"] for e in site.until("tick") if e["event"] == "run"]
    assert row["windows"] == (path / "visdom-main.jsonl").stat().st_size
    news = json.loads(site.get(f"/windows?id={row['id']}&after=x&key=")[2])
    (window,) = news["windows"]
    name = window["pictures"][0]["id"]
    status, headers, content = site.get(f"/picture?id={row['id']}&name={name}")
    assert status == 200 and headers["Content-Type"] == "image/png"
    assert content == (path / "media" / f"{name}.png").read_bytes()
    for query in (f"id={row['id']}&name=../status", f"id=one&name={name}", f"name={name}", ""):
        assert site.get(f"/picture?{query}")[0] == 404
    assert site.get("/windows?id=../one")[0] == 404


# ---- one curve


def test_a_curve_keeps_its_peaks_and_its_ends() -> None:
    series = Series()
    for index in range(50_000):
        value = 100.0 if index == 31_234 else -50.0 if index == 7 else (index * 7919 % 100) / 100
        series.extend([(index, index / 10, value)])
        if index % 1000 == 999 or index % 7 == 0:
            series.settle(index + 1)
    _, points = series.since(0)
    assert len(points) <= MAX_POINTS
    assert [point[0] for point in points] == sorted(point[0] for point in points)
    assert {100.0, -50.0} <= {point[3] for point in points}
    assert points[-1][1] == 49_999


def test_what_is_sent_in_parts_is_what_is_sent_at_once() -> None:
    held: list[Any] = []
    series, seen = Series(), 0
    for index in range(20_000):
        series.extend([(index, 0.0, float(index * 7919 % 1000))])
        if index % 37 == 0:
            series.settle(index + 1)
            start, points = series.since(seen)
            assert start <= len(held)
            held[start:] = points
            seen = index + 1
    series.settle(20_000)
    start, points = series.since(seen)
    held[start:] = points
    whole = Series()
    for index in range(20_000):
        whole.extend([(index, 0.0, float(index * 7919 % 1000))])
    whole.settle(20_000)
    assert held == whole.since(0)[1] == series.since(0)[1]
    assert len(points) < 40


# ---- starting and ending


def test_the_trainer_gets_an_address_that_answers_and_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    a_run(tmp_path, "one")
    viewers: list[subprocess.Popen[bytes]] = []

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *words: Any, **more: Any) -> None:
            super().__init__(*words, **more)
            viewers.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    addresses = []
    for _ in range(2):  # the second stands for one that is started again: an open page goes on
        address = launch.start(tmp_path, pid=os.getpid())
        assert address is not None
        addresses.append(address)
        place = urlsplit(address)
        line = http.client.HTTPConnection(place.netloc, timeout=30)
        line.request("GET", f"{place.path}?{place.query}")
        answer = line.getresponse()
        assert answer.status == 200 and b"linnet" in answer.read()
        line.close()
        viewer = viewers[-1]
        assert os.getsid(viewer.pid) == viewer.pid != os.getsid(0)
        assert place.query.split("=")[1] not in str(viewer.args)
        viewer.terminate()
        viewer.wait(10)
    assert addresses[0] == addresses[1]


def test_the_address_lasts_and_its_key_is_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    token = launch.token_of(Path("/a"), 1)
    assert launch.token_of(Path("/a"), 1) == token and len(token) == 16
    assert len({token, launch.token_of(Path("/a"), 2), launch.token_of(Path("/b"), 1)}) == 3
    folder = tmp_path / "linnet" / "view"
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o755)  # who made it so may know the key
    assert launch.token_of(Path("/a"), 1) != launch.token_of(Path("/a"), 1)


def test_a_page_that_cannot_be_opened_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> None:
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(socket.socket, "bind", none)
    with pytest.warns(LinnetWarning, match="no live page: .*Cannot assign"):
        assert launch.start(tmp_path) is None


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with launch.bind(tmp_path) as first, launch.bind(tmp_path) as second:
        taken = first.getsockname()[1]
        assert taken != second.getsockname()[1]
        with pytest.raises(WorkError, match=f"127.0.0.1:{taken}"):
            launch.bind(tmp_path, taken)


def test_the_viewer_ends_when_nobody_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.5)
    trainer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with launch.bind(tmp_path) as listener:
        thread = threading.Thread(
            target=server.serve, args=(tmp_path, listener, "t"),
            kwargs={"pid": trainer.pid, "idle": True}, daemon=True,
        )  # fmt: skip
        thread.start()
        time.sleep(1.5)
        assert thread.is_alive()  # the trainer goes on
        trainer.kill()
        trainer.wait()
        thread.join(10)
        assert not thread.is_alive()


def test_an_open_page_does_not_hold_the_server(site: Site, root: Path) -> None:
    stream = site.stream()
    next(stream)
    site.page.ending = site.server.should_exit = True
    site.thread.join(5)
    assert not site.thread.is_alive()
    stream.close()


def test_too_many_streams_are_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MAX_STREAMS", 1)
    stream = site.stream()
    next(stream)
    assert site.get("/stream")[0] == 503
    stream.close()


def test_the_bound_of_streams_holds_for_many_at_once(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MAX_STREAMS", 3)
    request = f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {site.cookie}\r\n\r\n"
    lines = [socket.create_connection(("127.0.0.1", site.port), 10) for _ in range(20)]
    for line in lines:
        line.sendall(request.encode())
    found = [line.recv(12) for line in lines]
    assert found.count(b"HTTP/1.1 200") == 3 and found.count(b"HTTP/1.1 503") == 17
    for line in lines:
        line.close()
    ends(lambda: site.page.streams == 0)


def ends(done: Any) -> None:
    """Wait until something holds; a test that waits for ever fails."""
    for _ in range(1000):
        if done():
            return
        time.sleep(0.02)
    raise AssertionError


def test_half_of_a_request_locks_nobody_out_and_is_ended(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAX_WAITING", 8)
    head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    body = b"GET /page.js HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    halves = []
    for number in range(300):
        line = socket.create_connection(("127.0.0.1", site.port), 10)
        line.sendall(head if number % 2 else body)
        halves.append(line)
        if number % 100 == 99:
            assert site.get("/")[0] == 200
    ends(lambda: len(site.server.server_state.connections) <= 8)
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.2)
    for _ in range(8):
        line = socket.create_connection(("127.0.0.1", site.port), 10)
        line.sendall(head)
        halves.append(line)
    ends(lambda: not site.server.server_state.connections)
    for line in halves:
        line.close()


def test_a_connection_that_goes_on_is_not_ended(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.5)
    stream = site.stream()
    next(stream)
    line = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    for _ in range(3):
        line.request("GET", "/", headers={"Cookie": site.cookie})
        assert line.getresponse().read()
    time.sleep(0.8)
    a_run(root, "one")
    assert any(event["event"] == "run" for event in stream)
    line.close()
    stream.close()


def test_who_does_not_read_is_ended(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "SEND_SECONDS", 0.2)
    site.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    path = a_run(root, "one")
    append_events(path, *({**step(i), **{f"v{j}": i / 7 for j in range(30)}} for i in range(500)))
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(("127.0.0.1", site.port))
    request = f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {site.cookie}\r\n\r\n"
    line.sendall(request.encode())
    assert line.recv(12) == b"HTTP/1.1 200"
    assert site.page.streams == 1
    ends(lambda: site.page.streams == 0)
    line.close()
    assert site.until("tick")


def test_what_many_pages_show_is_read_and_written_once(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_run(root, "one")
    append_events(path, *(step(i, lr=0.1) for i in range(50)))
    counts: dict[str, int] = {}

    def counted(place: Any, name: str) -> None:
        made = getattr(place, name)

        def call(*given: Any) -> Any:
            counts[name] = counts.get(name, 0) + 1
            return made(*given)

        monkeypatch.setattr(place, name, call)

    counted(events, "read_new")
    counted(app, "_series")
    counted(follower, "_row")
    pages = [site.stream() for _ in range(6)]
    for page in pages:
        found = []
        for event in page:
            found.append(event)
            if event["event"] == "tick":
                break
        assert len(curve(found)) == 50
    assert counts["_series"] == 2 and counts["read_new"] == 1 and counts["_row"] == 1
    append_events(path, step(50, lr=0.1))
    for page in pages:
        found = []
        for event in page:
            found.append(event)
            if event["event"] == "tick":
                break
        sent = [event["data"]["step"] for event in found if event["event"] == "series"]
        assert sent == [[50], [50]]
        page.close()
    assert counts == {"_series": 4, "read_new": 2, "_row": 1}


def test_a_folder_that_does_not_change_costs_almost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        a_run(tmp_path, f"done{number}", "finished")
    a_run(tmp_path, "open")
    folder = Folder(tmp_path)
    assert folder.look() and len(folder.runs) == 31
    looked: list[str] = []
    listed: list[Path] = []
    look, folders = Follower.look, follower._folders

    def counted_look(run: Follower) -> None:
        looked.append(run.name)
        look(run)

    def counted_folders(path: Path, seen: dict[Path, float]) -> list[Path]:
        listed.append(path)
        return folders(path, seen)

    monkeypatch.setattr(Follower, "look", counted_look)
    monkeypatch.setattr(follower, "_folders", counted_folders)
    for _ in range(follower.RARELY - 1):
        assert not folder.look()
    assert looked == ["open"] * (follower.RARELY - 1) and listed == []
    assert not folder.look() and len(looked) == follower.RARELY - 1 + 31  # all, now and then
    a_run(tmp_path, "new", "finished")
    assert folder.look() and len(folder.runs) == 32
    directory.write_status(tmp_path / "open", "finished")
    assert folder.look() and not folder.look() and folder.runs


def test_without_a_page_nothing_is_looked_at(site: Site, root: Path) -> None:
    a_run(root, "one", "finished")
    assert site.until("tick")
    ends(lambda: site.page.streams == 0)
    ends(lambda: site.page._watcher is None or site.page._watcher.done())
    looks = site.page.looks
    assert site.get("/")[0] == 200
    time.sleep(1.2)
    assert site.page.looks == looks


def test_a_page_is_told_the_colours_of_figures(site: Site, root: Path) -> None:

    (hello,) = (event["data"] for event in site.until("tick") if event["event"] == "hello")
    assert hello["colors"] == list(COLORS)


def test_a_viewer_that_does_not_answer_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = []
    for _ in range(2):
        with launch.bind(tmp_path) as listener:  # its process is not yet known to have ended
            gone = launch.address_of(listener, "t")
            ending = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
            monkeypatch.setitem(launch._started, tmp_path, (ending, gone))
            found.append(launch.start(tmp_path) == gone)
        found.append(launch.start(tmp_path) == gone)
        ending.communicate(b"\n")
        viewer, _ = launch._started[tmp_path]
        viewer.terminate()
        viewer.wait(10)
    assert found == [True, False] * 2


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, linnet.show.view.server, linnet.cli.view\n"
        "heavy = {'torch', 'sklearn', 'numpy', 'polars', 'plotly', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


# ---- panels of a finished run


def test_a_panel_that_is_made_does_not_hold_the_server(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (a_run(root, "one", "finished") / "metrics.json").write_text("{}")
    begun, ended = threading.Event(), threading.Event()

    async def compute(*_: Any) -> bytes:
        try:
            begun.set()
            await asyncio.sleep(60)
        finally:
            ended.set()
        return b""

    monkeypatch.setattr(panels.Maker, "compute", compute)
    found = site.until("tick")
    (id,) = (event["data"]["id"] for event in found if event["event"] == "run")
    answers: list[int] = []
    asking = [
        threading.Thread(
            target=lambda kind=kind: answers.append(site.get(f"/panel?id={id}&kind={kind}")[0])
        )
        for kind in ("weights", "mistakes")
    ]
    for thread in asking:
        thread.start()
    assert begun.wait(10)
    site.close()
    for thread in asking:
        thread.join(10)
    assert answers == [503, 503] and ended.is_set()
    assert not site.thread.is_alive() and not caplog.records


@pytest.mark.slow
def test_panels_of_a_finished_run(site: Site, root: Path) -> None:
    import linnet

    linnet.train("iris", model="linear", out=root / "iris")
    found = site.until("tick")
    (row,) = [event["data"] for event in found if event["event"] == "run"]
    assert row["state"] == "finished" and row["metric"] == "accuracy"
    detail = json.loads(site.get(f"/run?id={row['id']}")[2])
    test = files.read_json(root / "iris" / "metrics.json")["models"]["linear"]["test"]
    assert detail["models"]["linear"]["test"] == {**test, "shown": [0, 1, 2]}
    for kind in ("calibration", "weights"):
        panel = json.loads(site.get(f"/panel?id={row['id']}&kind={kind}&model=linear")[2])
        assert panel["data"] and panel["layout"], kind
    panel = json.loads(site.get(f"/panel?id={row['id']}&kind=mistakes")[2])
    assert len(panel["columns"]["row"]) == round((1 - test["accuracy"]) * test["rows"])
    panel = json.loads(site.get(f"/panel?id={row['id']}&kind=mistakes&model=..%2fx")[2])
    assert 'has no model "../x"' in panel["problem"]
    panel = json.loads(site.get(f"/panel?id={row['id']}&kind=residuals")[2])
    assert "problem" in panel


# ---- a real browser


@pytest.fixture
def browser() -> Iterator[Any]:
    """Chromium; skips where there is none, or no Playwright."""
    with open_browser() as opened:
        yield opened


class Seen:
    """A page in a browser, what it asked for, and what it complained of."""

    def __init__(self, browser: Any, site: Site) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 1600})
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(f"http://127.0.0.1:{site.port}/?token={site.token}")

    def quiet(self, site: Site) -> bool:
        own = (f"http://127.0.0.1:{site.port}/", "data:", "blob:")
        return not self.complaints and all(url.startswith(own) for url in self.asked)

    def wait(self, script: str, seconds: float = 30) -> Any:
        """Until a script gives something true (``wait_for_function`` needs eval, which the page's
        policy forbids)."""
        end = time.monotonic() + seconds
        while not (found := self.page.evaluate(script)):
            assert time.monotonic() < end, f"still not: {script}\n{self.page.inner_text('body')}"
            self.page.wait_for_timeout(50)
        return found


@pytest.mark.slow
def test_a_browser_sees_a_live_run_grow_and_crash(site: Site, root: Path, browser: Any) -> None:
    trainer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        path = a_run(root, "one", lr=0.1)
        status = files.read_json(path / "status.json")
        files.write_json(
            path / "status.json",
            {**status, "pid": trainer.pid, "started": writer.started(trainer.pid)},
        )
        append_events(path, *(step(i, lr=0.1) for i in range(20)))
        seen = Seen(browser, site)
        drawn = "document.querySelector('#plot-loss .main-svg') && "
        drawn += "document.getElementById('plot-loss').data[0].x.length"
        assert seen.wait(drawn) == 20
        append_events(path, *(step(i, lr=0.1) for i in range(20, 60)))
        seen.wait("document.getElementById('plot-loss').data[0].x.length === 60")
        a_run(root, "two", "finished", lr=0.2)
        append_events(root / "two", *(step(i) for i in range(5)))
        seen.wait("document.querySelector('#table').textContent.includes('two')")
        seen.page.check("[aria-label='draw two']")
        seen.wait("document.getElementById('legend').textContent.includes('two · mlp')")
        trainer.kill()
        trainer.wait()
        seen.wait("document.querySelector('#table .crashed')", 10)
        assert seen.quiet(site), (seen.complaints, seen.asked)
    finally:
        trainer.kill()


@pytest.mark.slow
def test_a_browser_shows_hostile_names_as_text(site: Site, root: Path, browser: Any) -> None:
    for name in (HOSTILE, "x" * 240, "\u202eשלום \U0001f600", "%{x}<b>bold</b>"):
        path = a_run(root, name, "failed", target=HOSTILE)
        directory.write_status(path, "failed", HOSTILE)
        append_events(path, *({**step(i), "model": HOSTILE} for i in range(5)))
    seen = Seen(browser, site)
    seen.wait("document.querySelector('#plot-loss .main-svg')")
    assert seen.page.locator("#table tbody tr").count() == 4
    assert seen.page.locator("main img, main b, header img").count() == 0
    seen.page.set_viewport_size({"width": 390, "height": 844})
    seen.wait("document.documentElement.scrollWidth <= 390")
    assert seen.quiet(site), (seen.complaints, seen.asked)


@pytest.mark.slow
def test_a_browser_draws_each_member_by_its_own_epochs(
    site: Site, root: Path, browser: Any
) -> None:
    by_folds(a_run(root, "one", "failed"), ended=True)
    seen = Seen(browser, site)
    seen.wait("document.querySelector('#plot-log_loss .main-svg')")
    drawn = "document.getElementById('plot-log_loss').data"
    held = seen.wait(f"{drawn}.find((line) => line.line && line.line.dash === 'dash')")
    assert held["x"] == [0, 1, 2, None, 1, 2, None, 2]  # then the scores of all rows
    assert held["y"] == [3, 2, 0.5, None, 2.5, 1.5, None, 1]
    (star,) = seen.page.evaluate(f"{drawn}.filter((line) => line.mode === 'markers')")
    assert (star["x"], star["y"]) == ([2], [1]) and star["hoverinfo"] == "skip"
    told = seen.page.inner_text("#strokes")
    assert "out of fold" in told and "kept" in told and "each member of the net" in told
    assert seen.quiet(site), (seen.complaints, seen.asked)


@pytest.mark.slow
def test_a_browser_shows_scores_and_what_differs_in_long_names(
    site: Site, root: Path, browser: Any
) -> None:
    for index in range(14):
        name = f"widths=[64],seed={index},optimizer=adamw,schedule=onecycle,decay=0.01,dropout=0.5"
        path = a_run(root, name, "failed")
        append_events(path, *(step(i) for i in range(5)))
        scores = {"loss": 1.0, "accuracy": 0.5}
        append_events(
            path, {"event": "evaluate", "model": "mlp", "step": 4, "time": 1, "valid": scores}
        )
    seen = Seen(browser, site)
    seen.wait("document.querySelector('#plot-log_loss .main-svg')")
    legend = [button.inner_text() for button in seen.page.query_selector_all("#legend button")]
    assert sorted(legend) == sorted(f"…seed={index},… · mlp" for index in range(14))
    swatches = "[...document.querySelectorAll('#legend .swatch')].map((x) => x.style.background)"
    assert len(set(seen.page.evaluate(swatches))) == min(14, len(COLORS))
    assert ("more lines than colours" in seen.page.inner_text("#strokes")) == (len(COLORS) < 14)
    seen.page.set_viewport_size({"width": 390, "height": 844})
    row = "document.querySelector('#table tbody tr')"
    seen.wait(f"{row}.children[3].textContent === '50.00 % validation'")
    right = seen.page.evaluate(f"{row}.children[3].getBoundingClientRect().right")
    assert right <= 390 and seen.page.evaluate(f"{row}.offsetHeight") < 120
    assert seen.quiet(site), (seen.complaints, seen.asked)


@pytest.mark.slow
def test_a_browser_filters_mistakes_and_goes_on_after_a_restart(
    site: Site, root: Path, browser: Any
) -> None:
    import linnet

    run = linnet.train("digits", model="linear", out=root / "digits")
    test = run.metrics["models"]["linear"]["test"]
    confusion = test["confusion"]
    i, j = next((i, j) for i in range(10) for j in range(10) if i != j and confusion[i][j])
    seen = Seen(browser, site)
    seen.wait("document.querySelector('#confusion td')")
    seen.page.locator("#mistakes").scroll_into_view_if_needed()
    wrong = sum(map(sum, confusion)) - sum(confusion[k][k] for k in range(10))
    seen.wait(f"document.querySelectorAll('#mistakes figure img').length === {wrong}", 60)
    cell = seen.page.locator(f"#confusion td[data-i='{i}'][data-j='{j}']")
    cell.click()
    count = "document.querySelectorAll('#mistakes figure').length"
    assert seen.page.evaluate(count) == confusion[i][j]
    cell.focus()
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate(count) == wrong
    seen.page.keyboard.press("ArrowUp" if i else "ArrowDown")
    seen.page.keyboard.press("Enter")
    k = i - 1 if i else 1
    assert seen.page.evaluate(count) == (0 if k == j else confusion[k][j])
    assert seen.quiet(site), (seen.complaints, seen.asked)
    port = site.port
    site.close()
    seen.wait("document.getElementById('link').textContent.includes('trying again')")
    again = Site(root, port)
    try:
        seen.wait("document.getElementById('link').textContent === 'live'")
        a_run(root, "later")
        seen.wait("document.querySelector('#table').textContent.includes('later')")
    finally:
        again.close()


PROGRAM = """
import sys, time
import numpy as np
from linnet.compat.visdom import Visdom

viz = Visdom()
viz.line([0.0], [0.0], win="loss", opts=dict(title=sys.argv[1], legend=["<b>loss</b>"]))
for step in range(1, 4):
    viz.image(np.full((8, 8), step * 60, np.uint8), win="x", opts=dict(caption=f"epoch {step}"))
viz.text(f"{sys.argv[1]}<br>two", win="told", opts=dict(title="told"))
print("ready", flush=True)
for step in map(int, sys.stdin):
    viz.line([1 / step], [step], win="loss", update="append")
    viz.image(np.full((8, 8), 200, np.uint8), win="x", opts=dict(caption=f"epoch {step + 3}"))
    viz.text(f"step {step}", win="told", append=True)
"""


@pytest.mark.slow
def test_a_browser_shows_windows_that_grow_and_slides_through_their_pictures(
    site: Site, root: Path, browser: Any
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, HOSTILE], cwd=root.parent, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert program.stdin is not None and program.stdout is not None
    try:
        assert program.stdout.readline() == "ready\n"
        seen = Seen(browser, site)
        plot = "document.querySelector('.window .plot')"
        count = f"{plot} && {plot}.data && {plot}.data[0].x.length"
        assert seen.wait(count) == 1
        seen.wait("document.querySelector('#table .running')")
        program.stdin.write("1\n2\n")
        program.stdin.flush()
        seen.wait(f"{plot}.data[0].x.length === 3")
        text = "document.querySelector('.window pre').textContent"
        seen.wait(f"{text}.endsWith('step 2')")
        assert seen.page.evaluate(text) == f"{HOSTILE}\ntwo\nstep 1\nstep 2"
        slider = seen.page.locator(".window input[type=range]")
        seen.wait("document.querySelector('.window input[type=range]').max === '5'")
        assert slider.input_value() == "5"  # the newest
        note = "document.querySelector('.window img').parentNode.querySelector('p').textContent"
        source = seen.page.locator(".window img").get_attribute("src")
        slider.focus()
        for key, place in (("ArrowLeft", 4), ("Home", 1), ("ArrowRight", 2)):
            seen.page.keyboard.press(key)
            assert slider.input_value() == str(place)
            assert seen.page.evaluate(note).startswith(f"{place} of 5 · after ")
            assert seen.page.evaluate(note).endswith(f"epoch {place}")
        assert slider.get_attribute("aria-valuetext") == seen.page.evaluate(note)
        assert seen.page.locator(".window img").get_attribute("src") != source
        seen.wait("document.querySelector('.window img').naturalWidth === 8")
        program.stdin.write("3\n")
        program.stdin.flush()
        seen.wait("document.querySelector('.window input[type=range]').max === '6'")
        assert slider.input_value() == "2"  # who went back stays there
        assert slider.evaluate("node => node === document.activeElement")
        assert seen.page.locator(".window h3 img, .window pre img").count() == 0
        program.kill()
        program.wait()
        seen.wait("document.querySelector('#table .crashed')", 10)
        for width, scheme in ((390, "dark"), (1280, "light")):
            seen.page.emulate_media(color_scheme=scheme)
            seen.page.set_viewport_size({"width": width, "height": 844})
            seen.wait(f"document.documentElement.scrollWidth <= {width}")
        assert seen.quiet(site), (seen.complaints, seen.asked)
    finally:
        program.kill()
        program.communicate()


@pytest.mark.slow
def test_a_browser_saves_what_it_shows_from_the_keyboard(
    site: Site, root: Path, browser: Any
) -> None:
    path = a_run(root, "a,b", "finished")
    append_events(path, *(step(i, lr=0.1) for i in range(3)))
    seen = Seen(browser, site)
    seen.wait("document.querySelector('#plot-loss .modebar-btn[tabindex]')")
    found = {}
    for kind in ("PNG", "SVG", "CSV"):
        button = seen.page.locator(f"#plot-loss .modebar-btn[aria-label*='{kind}']")
        button.focus()
        with seen.page.expect_download() as waiting:
            seen.page.keyboard.press("Enter")
        found[kind] = Path(waiting.value.path()).read_bytes()
    assert found["PNG"].startswith(b"\x89PNG") and b"<svg" in found["SVG"][:200]
    assert found["CSV"].decode().splitlines()[:2] == [
        "run,model,part,step,seconds,loss", '"a,b",mlp,train,0,0,1',
    ]  # fmt: skip
    assert seen.quiet(site), (seen.complaints, seen.asked)

"""Windows of programs that draw with the drop-in for Visdom, on the page and in the report."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linnet.compat.visdom import Visdom
from linnet.core import files
from linnet.integrations.compat import draw
from linnet.integrations.compat import windows as kept
from linnet.integrations.compat.windows import Line, Window
from linnet.runs import directory
from linnet.show.report.page import write
from linnet.show.view import windows as followed
from linnet.show.view.windows import Windows

EVIL = "<img src=x onerror=alert(1)>%{x}"
MOST = 60_000


def a_run(path: Path) -> Path:
    path.mkdir(parents=True)
    directory.write_status(path, "finished")
    return path


def everything(windows: Windows, after: int = 0) -> tuple[dict[int, dict[str, Any]], int]:
    """The windows that a page holds, and the version it has come to."""
    while windows.read():
        pass
    found: dict[int, dict[str, Any]] = {}
    key = windows.key
    while True:
        news = windows.news(after, key, MOST)
        assert len(files.dumps(news)) < 64 << 10
        found |= {window["n"]: window for window in news["windows"]}
        after = news["at"]
        if not news["more"]:
            return {n: found[n] for n in news["there"] if n in found}, after


def by_name(found: dict[int, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {window["name"]: window for window in found.values()}


def test_a_page_is_sent_what_changed(tmp_path: Path) -> None:
    viz = Visdom(run=a_run(tmp_path / "run"))
    viz.line([1.0], [0.0], win="loss", opts={"title": "the loss", "xlabel": "step"})
    viz.text("hello", win="told")
    windows = Windows(tmp_path / "run")
    found, at = everything(windows)
    assert [window["title"] for window in found.values()] == ["the loss", "told"]
    assert by_name(found)["told"]["text"] == "hello"
    viz.line([0.5], [1.0], win="loss", update="append")
    found, at = everything(windows, at)
    (window,) = found.values()
    assert window["data"][0]["x"] == [0, 1] and window["data"][0]["y"] == [1, 0.5]
    assert window["layout"]["xaxis"]["title"]["text"] == "step"
    assert everything(windows, at) == ({}, at)
    viz.close("loss")
    assert windows.read() is False
    assert len(windows.news(at, windows.key, MOST)["there"]) == 1


def test_a_viewer_that_was_restarted_sends_everything_again(tmp_path: Path) -> None:
    viz = Visdom(run=a_run(tmp_path / "run"))
    viz.text("a", win="a")
    first, second = Windows(tmp_path / "run"), Windows(tmp_path / "run")
    _, at = everything(first)
    second.read()
    news = second.news(at, first.key, MOST)
    assert news["key"] != first.key and len(news["windows"]) == 1


def test_a_file_in_the_place_of_another_begins_anew(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    viz = Visdom(run=run)
    viz.text("old " * 100, win="a")
    windows = Windows(run)
    everything(windows)
    key = windows.key
    path = run / kept.file_name("main")
    other = path.with_suffix(".new")
    event = {"event": "text", "time": 0, "win": "b", "text": "new"}
    other.write_text(
        json.dumps({"event": "start", "env": "main"}) + "\n" + json.dumps(event) + "\n"
    )
    other.replace(path)
    found, _ = everything(windows)
    assert windows.key != key and list(by_name(found)) == ["b"]


@pytest.mark.slow
def test_what_is_sent_stays_small_however_much_is_drawn(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    viz = Visdom(run=run)
    viz.line(np.random.default_rng(0).normal(size=(20_000, 30)), win="many lines")
    viz.line(np.random.default_rng(0).normal(size=(30, 90)), win="too many lines")
    viz.scatter(
        np.random.default_rng(1).normal(size=(5_000, 3)), win="points",
        opts={"textlabels": [f"{i} {EVIL * 20}" for i in range(5_000)]},
    )  # fmt: skip
    viz.heatmap(np.random.default_rng(2).normal(size=(400, 700)), win="heat")
    viz.text("word " * 50_000, win="long")
    for name in range(150):
        viz.text("x" * 3_000, win=f"text {name} {'long ' * 100}")
    for place in range(600):
        viz.image(np.full((2, 2), place % 256, np.uint8), win="x", opts={"store_history": True})
    windows = Windows(run)
    found, _ = everything(windows)
    assert len(found) == followed.MAX_WINDOWS
    named = by_name(found)
    assert len(named["x"]["pictures"]) == followed.MAX_PICTURES
    for window in windows._files.values():
        for held in window.state.values():
            assert all(len(line.x) <= followed.MAX_KEPT for line in held.lines)
            assert len(held.text) <= 10 * followed.MAX_TEXT


def test_the_state_of_a_line_that_grows_is_bounded_and_keeps_its_peaks(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    viz = Visdom(run=run)
    windows = Windows(run)
    for part in range(4):
        y = np.zeros(15_000)
        y[7_000] = 10.0 + part
        viz.line(y, np.arange(15_000) + 15_000 * part, win="a", update="append")
        found, _ = everything(windows)
    (window,) = found.values()
    assert {10, 11, 12, 13} <= set(window["data"][0]["y"])
    assert window["data"][0]["x"][-1] == 59_999
    assert len(window["data"][0]["x"]) <= draw.MAX_POINTS


def test_a_picture_is_given_by_its_name_alone(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    viz = Visdom(run=run)
    viz.image(np.zeros((4, 4)), win="x")
    windows = Windows(run)
    found, _ = everything(windows)
    (window,) = found.values()
    name = window["pictures"][0]["id"]
    content = windows.picture(name)
    assert content is not None and content.startswith(followed.PNG)
    secret = run / "media" / "abc.png"
    secret.write_bytes(followed.PNG)
    for wrong in ("", "../status", "abc", f"../media/{name}", f"{name}.png", name[:-1], "a\0b"):
        assert windows.picture(wrong) is None
    (run / "media" / f"{name}.png").write_bytes(b"<svg onload=alert(1)>")
    assert windows.picture(name) is None
    (run / "media" / f"{name}.png").unlink()
    (run / "media" / f"{name}.png").symlink_to(run / "status.json")
    assert windows.picture(name) is None


def test_lines_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    events = [
        {"event": "start", "time": 0, "env": "main"},
        {"event": "line", "time": 0, "win": "a", "lines": [{"name": "1", "x": [1], "y": "no"}]},
        {"event": "line", "time": 0, "win": {"a": 1}, "lines": 3},
        {"event": "image", "time": 0, "win": "p", "file": "../x.png", "width": 1, "height": 1},
        {"event": "heatmap", "time": 0, "win": "h", "z": [[1, 2], [3]]},
        {"event": "heatmap", "time": 0, "win": "e", "z": []},
        {"event": "bar", "time": 0, "win": "b", "lines": [{"name": "1", "x": ["a"], "y": [2, 2]}]},
        {"event": "text", "time": 0, "win": "t", "text": "kept", "opts": {"title": ["x"]}},
        {"event": "line", "time": 0, "win": "odd", "lines": [{"name": "1", "x": [1], "y": [2]}],
         "opts": {"dash": "no", "linecolor": [[1, 2]], "markersize": "x", "xtickmin": "a",
                  "ytype": 3, "showlegend": 1, "xlabel": {"a": 1}, "fillarea": "x"}},
    ]  # fmt: skip
    path = run / kept.file_name("main")
    path.write_text("not json\n" + "".join(json.dumps(event) + "\n" for event in events))
    found, _ = everything(Windows(run))
    assert by_name(found)["t"]["text"] == "kept" and "p" not in by_name(found)
    assert by_name(found)["odd"]["data"][0]["y"] == [2]
    write([run], tmp_path / "report.html")
    write([run], tmp_path / "static.html", static=True)


def test_a_figure_says_what_the_window_holds() -> None:
    line = Line("a", [1.0, 2.0, 3.0], [0.5, math.nan, math.inf])
    window = Window("w", "lines", {"ytype": "log", "xtickmin": 0, "xtickmax": 9}, [line])
    found = draw.figure(window)
    (trace,) = found["data"]
    assert trace["x"] == [1, 2, 3] and trace["y"] == [0.5, None, None]
    assert trace["mode"] == "lines+markers"  # a single point is seen
    assert found["layout"]["yaxis"]["type"] == "log"
    assert found["layout"]["xaxis"]["range"] == [0, 9]
    assert found["layout"]["showlegend"] is False
    window.lines.append(Line(EVIL, [1.0], [1.0]))
    found = draw.figure(window)
    assert found["layout"]["showlegend"] is True
    assert "<" not in json.dumps(found).replace("&lt;", "")
    heat = draw.figure(Window("h", "heatmap", matrix=[[1.0, 2.0]], columns=["a", "a"], rows=["r"]))
    assert len(set(heat["data"][0]["x"])) == 2  # two columns of one name stay two
    large = [[float(i)] * 200 for i in range(100)]
    heat = draw.figure(Window("h", "heatmap", matrix=large), 500)
    assert "mean of" in heat["left_out"]
    assert np.mean(heat["data"][0]["z"]) == pytest.approx(49.5, abs=2)


def test_thinning_keeps_ends_and_peaks() -> None:
    values = [float(i % 7) for i in range(10_000)]
    values[5_001], values[777] = 100.0, -100.0
    places = draw.thin(values, 200)
    assert len(places) <= 200 and list(places) == sorted(set(places))
    assert {0, 777, 5_001, 9_999} <= set(places)
    assert draw.thin([math.nan] * 1_000, 100)[-1] == 999
    assert list(draw.thin(values[:5], 10)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("static", [False, True])
def test_the_report_of_a_program_has_its_windows(tmp_path: Path, static: bool) -> None:
    run = a_run(tmp_path / "run")
    viz = Visdom(run=run)
    viz.line([[1, 2], [3, 4]], [1, 2], win="l", opts={"title": EVIL, "legend": [EVIL, "b"]})
    viz.scatter(np.random.default_rng(0).normal(size=(20, 3)), win="s")
    viz.bar([[1, 2], [3, 4]], win="b", opts={"rownames": ["a", EVIL], "stacked": True})
    viz.heatmap([[1, 2], [3, 4]], win="h", opts={"rownames": ["r", EVIL]})
    viz.text(EVIL, win="t")
    for place in range(20):
        viz.image(np.full((8, 8), place, np.uint8), win="x", opts={"caption": f"epoch {place}"})
    target = tmp_path / "report.html"
    write([run], target, static=static)
    text = target.read_text()
    assert "<img src=x" not in text and "&lt;img src=x" in text
    assert "epoch 19" in text
    slides = len(re.findall(r"<figcaption>", text))
    assert slides == (1 if static else 12)
    assert ('type="range"' in text) is not static


def test_the_report_holds_no_more_pictures_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linnet.show.report import windows

    run = a_run(tmp_path / "run")
    viz = Visdom(run=run)
    noise = np.random.default_rng(0)
    for _ in range(5):
        viz.image(noise.integers(0, 256, (3, 100, 100), np.uint8), win="x")
    monkeypatch.setattr(windows, "MAX_PICTURE_BYTES", 70_000)
    write([run], tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().count("data:image/png") == 3  # one is the icon

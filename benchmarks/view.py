"""What the live page costs, and how soon it stands.

    python benchmarks/view.py [--points N] [--runs N] [--report RUN]

1. What starting the viewer takes of the trainer's time: at most 50 ms.
2. From the start to the page's shell (status, scores, the table of runs): at most 1 s.
3. With Plotly's script run, 20 runs of 20,000 points: how long painting them takes, at most 1 s;
   and when all their points had come, of records that the viewer had not read before, and of the
   same ones asked for again.
4. The largest message: at most 64 KB.

5. Of a page of 100 runs the first panel, such as the calibration, within 1 s of its being asked for
   of a viewer that is warm; only with --report, whose run stands among the others.
6. The report of RUN (an MNIST run): its text within 0.5 s, its figures within 2.5 s of its being
   opened; and its static report, at most 500 KB.

2 and 3 are told by the page itself, in Chromium driven by Playwright; without them 1 and 4 alone.
Times are of one machine at one moment: compare those of one run with each other.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import math
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from linnet.runs import directory
from linnet.show.view import start

STARTS = 5
OPENINGS = 3


def make(root: Path, runs: int, points: int) -> None:
    """Finished runs, as ``linnet train`` leaves them, without models."""
    for number in range(runs):
        path = root / f"mnist-auto-{number + 1}"
        path.mkdir(parents=True)
        noise = random.Random(number)
        rate = 0.0005 * (number % 4 + 1)
        recipe = f'data = "mnist"\nseed = {number}\nbatch_size = 128\nepochs = 50\nlr = {rate}\n'
        (path / "recipe.toml").write_text(recipe)
        created = f"2026-01-{number % 28 + 1:02d}T10:00:00+00:00"
        (path / "run.json").write_text(json.dumps({"format": 1, "created": created}))
        with open(path / "events.jsonl", "w") as file:
            for index in range(points):
                loss = 0.05 + 2.3 * math.exp(-8 * index / points) * (0.9 + 0.2 * noise.random())
                event = {
                    "event": "step", "time": index / 250, "model": "mlp", "step": 10 * index,
                    "epoch": 50 * index // points, "loss": loss, "lr": rate,
                    "gradient_max": noise.random(),
                }  # fmt: skip
                file.write(json.dumps(event, separators=(",", ":")) + "\n")
        directory.write_status(path, "finished")


def viewer_of(root: Path) -> int:
    """The process that serves ``root``."""
    for _ in range(40):  # it may not have begun yet
        for path in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if path.name.isdigit() and str(root).encode() in (path / "cmdline").read_bytes():
                    return int(path.name)
        time.sleep(0.05)
    raise RuntimeError("the viewer has ended")


def end(root: Path) -> None:
    process = viewer_of(root)
    os.kill(process, signal.SIGTERM)
    while Path(f"/proc/{process}").exists():
        time.sleep(0.05)
    time.sleep(1)  # until linnet.show.view knows of it


def begin(root: Path) -> tuple[str, float]:
    """An address, and the seconds it took."""
    began = time.perf_counter()
    address = start(root, pid=os.getpid())
    took = time.perf_counter() - began
    assert address is not None
    return address, took


def largest_message(address: str) -> tuple[int, int, float]:
    """Of a page that is opened: bytes of the largest message, of all, and the seconds it took."""
    place = urlsplit(address)
    line = http.client.HTTPConnection(place.netloc, timeout=600)
    line.request("GET", f"/?{place.query}")
    answer = line.getresponse()
    answer.read()
    cookie = str(answer.headers["Set-Cookie"]).split(";")[0]
    began = time.perf_counter()
    line.request("GET", "/stream", headers={"Cookie": cookie})
    answer = line.getresponse()
    largest = size = total = 0
    last = False
    while row := answer.readline():
        size += len(row)
        last = last or row == b"event: tick\n"
        if row == b"\n":
            largest, total, size = max(largest, size), total + size, 0
            if last:
                break
    line.close()
    return largest, total, time.perf_counter() - began


def open_page(browser: Any, address: str) -> dict[str, float]:
    """When what stood, in seconds since the page was asked for; ``curves`` is the longest
    painting."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    foreign: list[str] = []
    here = f"http://{urlsplit(address).netloc}/"
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((here, "data:", "blob:"))
            else foreign.append(request.url)
        ),
    )
    asked = time.time()
    page.goto(address)
    there = "(name) => performance.getEntriesByName(name).length > 0"
    while not all(page.evaluate(there, name) for name in ("complete", "plotly", "curves")):
        page.wait_for_timeout(200)
    page.wait_for_timeout(3000)
    found: dict[str, float] = page.evaluate(
        """() => {
        const times = Object.fromEntries(performance.getEntriesByType('mark').map(
            (mark) => [mark.name, (mark.startTime + performance.timeOrigin) / 1000]));
        const curves = performance.getEntriesByName('curves').map((one) => one.duration / 1000);
        return {...times, curves: Math.max(...curves)};
        }"""
    )
    page.close()
    if foreign:
        raise SystemExit(f"asked of others: {foreign}")
    return {name: at if name == "curves" else at - asked for name, at in found.items()}


OPENED = """new Promise((done) => {
    const text = performance.getEntriesByName("first-contentful-paint")[0];
    const wait = () => {
        const places = [...document.querySelectorAll(".figure")];
        if (places.every((place) => place.querySelector(".main-svg"))) {
            requestAnimationFrame(() => setTimeout(() => done([
                (text || performance.getEntriesByType("paint")[0]).startTime / 1000,
                performance.now() / 1000])));
        } else setTimeout(wait, 20);
    };
    wait();
})"""
"""When the text of a report stood, and all its figures, in seconds since it was opened."""


def report(browser: Any, run: Path, folder: Path) -> None:
    """How soon the report of a run stands, and how large a static one is."""
    from linnet.show.report.page import write

    for static in (False, True):
        write([run], folder / f"report{static}.html", static=static)
    found = []
    for _ in range(OPENINGS):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto((folder / "reportFalse.html").as_uri(), wait_until="commit")
        page.wait_for_load_state("domcontentloaded")
        found.append(page.evaluate(OPENED))
        page.close()
    text, figures = (statistics.median(times) for times in zip(*found, strict=True))
    size = (folder / "reportTrue.html").stat().st_size
    print(f"report: text at {text:.2f} s of at most 0.5, figures at {figures:.2f} s of at most 2.5")
    print(f"static report: {size / 1000:.0f} KB of at most 500")


def panel(address: str, name: str) -> tuple[float, float]:
    """Seconds until the first panel of a run came, of a viewer whose page was just opened, and of
    one that is warm."""
    place = urlsplit(address)
    line = http.client.HTTPConnection(place.netloc, timeout=600)

    def ask(path: str, **headers: str) -> tuple[Any, bytes]:
        line.request("GET", path, headers=headers)
        answer = line.getresponse()
        return answer, answer.read()

    answer, _ = ask(f"/?{place.query}")
    cookie = str(answer.headers["Set-Cookie"]).split(";")[0]
    stream = http.client.HTTPConnection(place.netloc, timeout=600)
    stream.request("GET", "/stream", headers={"Cookie": cookie})
    rows = stream.getresponse()
    run = None
    while run is None and (row := rows.readline()):
        if row.startswith(b"data: ") and json.loads(row[6:]).get("name") == name:
            run = json.loads(row[6:])["id"]
    ask(f"/run?id={run}", Cookie=cookie)
    took = []
    for kind in ("calibration", "intervals"):
        began = time.perf_counter()
        ask(f"/panel?id={run}&kind={kind}&model=", Cookie=cookie)
        took.append(time.perf_counter() - began)
    for each in (line, stream):
        each.close()
    return took[0], took[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--report", type=Path, help="a finished run, such as one on MNIST")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "runs"
        make(root, given.runs, given.points)
        print(f"{given.runs} runs of {given.points:,} points; Python {sys.version.split()[0]}")
        starts = []
        for _ in range(STARTS):
            address, took = begin(root)
            starts.append(1000 * took)
            end(root)
        print(
            f"starting the viewer: {statistics.median(starts):.1f} ms (largest {max(starts):.1f}) "
            "of at most 50"
        )
        address, _ = begin(root)
        largest, total, seconds = largest_message(address)
        print(f"largest message: {largest:,} bytes of at most {64 << 10:,}")
        print(f"all points: {total:,} bytes, read for the first time in {seconds:.1f} s")
        end(root)
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        try:
            from playwright.sync_api import sync_playwright
        except ImportError:
            chromium = None
        if chromium is None:
            print("no Chromium or no Playwright: what the page shows is not timed")
            return
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            began = time.time()
            address, _ = begin(root)
            first_at = time.time() - began
            first = open_page(browser, address)
            again = open_page(browser, address)
            print(
                f"shell: {first_at + first['shell']:.2f} s after the start, of at most 1; "
                f"{again['shell']:.2f} s after the page is asked for of a viewer that runs"
            )
            for name, page in (("first", first), ("again", again)):
                print(
                    f"{name}: Plotly's script had run at {page['plotly']:.2f} s, all points had "
                    f"come at {page['complete']:.2f} s; painting took {page['curves']:.2f} s of at "
                    "most 1"
                )
            if given.report is not None:
                report(browser, given.report, Path(folder))
            browser.close()
        end(root)
        if given.report is not None:
            many = Path(folder).resolve() / "hundred"
            make(many, 99, 100)
            shutil.copytree(given.report, many / "told")
            first, warm = panel(begin(many)[0], "told")
            print(f"first panel of 100 runs: {first:.2f} s cold, {warm:.2f} s warm, of at most 1")
            end(many)


if __name__ == "__main__":
    main()

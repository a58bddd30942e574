"""Pictures of the live page, the report and the page on data, to look at.

    python benchmarks/pictures.py [SCENE...] [--out pictures]

Each scene is a folder of runs, made once in OUT/runs and found again later: a net on MNIST (digits
where LINNET_DATA holds no mnist), diabetes, a table of two classes, ten runs of a sweep with long
names, one run that goes on beside one that crashed, and windows drawn by Visdom's calls. Of each
the whole live page and every section of it, the report with and without script, and the page on its
data are taken in light and dark, 390 and 1,280 pixels wide: OUT/SCENE/WHAT-WIDTH-SCHEME.png, with
OUT/index.html to look through them.

Fails where a page complained on its console, asked another machine, or is wider than 390 pixels.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import linnet
from linnet.runs import directory
from linnet.show.report.page import write
from linnet.show.view import start

WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
HEIGHT = 900
SETTLED = 3
"""A page is done when it is the same so many times, a quarter of a second apart."""


def here(name: str) -> bool:
    """Whether LINNET_DATA holds it."""
    return (Path(os.environ.get("LINNET_DATA", "")) / name).exists()


# ---- runs


def mnist(root: Path) -> str:
    data = "mnist" if here("mnist") else "digits"
    linnet.train(data, epochs=4, penalty=[0.01, 0.001], out=root / f"{data}-auto-1")
    return data


def diabetes(root: Path) -> str:
    linnet.train("diabetes", out=root / "diabetes-auto-1")
    return "diabetes"


def two(root: Path) -> str:
    if here("titanic.csv"):
        data = str(Path(os.environ["LINNET_DATA"]) / "titanic.csv")
        linnet.train(data, target="survived", out=root / "titanic-auto-1")
        return data
    linnet.train("breast_cancer", out=root / "breast_cancer-auto-1")
    return "breast_cancer"


def ten(root: Path) -> str:
    for number in range(10):
        rate, widths = 1e-4 * 4 ** (number % 5), [256, 128] if number < 5 else [64]
        name = f"lr={rate:.4g},widths={widths},optimizer=adamw,schedule=onecycle,seed={number}"
        linnet.train("digits", lr=rate, widths=widths, seed=number, epochs=6, out=root / name)
    return "digits"


def live(root: Path) -> str:
    """A run that goes on and one that crashed: what a whole one had written by then."""
    whole = linnet.train("digits", model="mlp", epochs=30, out=root.parent / "whole").path
    lines = (whole / directory.EVENTS).read_text().splitlines(keepends=True)
    for name, share in (("digits-mlp-1", 0.4), ("digits-mlp-2", 0.7)):
        (root / name).mkdir()
        for file in (directory.RECIPE, directory.RUN, directory.SPLIT):
            shutil.copy(whole / file, root / name / file)
        (root / name / directory.EVENTS).write_text("".join(lines[: int(share * len(lines))]))
    shutil.rmtree(whole)
    return "digits"


def beat(root: Path) -> None:
    """One of them by this process, the other by one that is gone."""
    child = subprocess.Popen(["true"])
    child.wait()
    for name, process in (("digits-mlp-1", child.pid), ("digits-mlp-2", os.getpid())):
        directory.write_status(root / name, "running")
        status = json.loads((root / name / directory.STATUS).read_text())
        (root / name / directory.STATUS).write_text(json.dumps({**status, "pid": process}))


def visdom(root: Path) -> str:
    done = [sys.executable, "-P", str(Path(__file__).resolve()), "--windows"]
    subprocess.run(done, cwd=root, check=True)
    for path in (root / "runs").iterdir():
        path.rename(root / path.name)
    (root / "runs").rmdir()
    return "digits"


def windows() -> None:
    """Visdom's calls, as programs that learn pictures make them."""
    from sklearn.datasets import load_digits

    from linnet.compat.visdom import Visdom

    viz, draws = Visdom(), np.random.default_rng(0)
    pictures = load_digits().images[:64, None] * 16.0
    viz.line([0.0], [0.0], win="train_loss", opts={"title": "train loss"})
    for step in range(1, 400):
        loss = 2.3 * math.exp(-step / 80) + 0.1 * draws.random()
        viz.line([loss], [step], win="train_loss", update="append")
        if step % 40 == 0:
            both = [[loss, 1 - loss / 2.4]]
            opts = {"title": "loss & acc", "legend": ["loss", "acc"]}
            viz.line(both, [step], win="test", update="append", opts=opts)
            viz.images(pictures[step // 10 : step // 10 + 16], nrow=8, win="x", opts={"title": "x"})
            viz.text(f"epoch {step // 40}<br>{draws.integers(0, 10, 16)}", win="pred")
    viz.image(pictures[0, 0].repeat(8, 0).repeat(8, 1), win="one", opts={"caption": "a nought"})
    groups = draws.integers(1, 4, 300)
    points = draws.normal(size=(300, 2)) + 2 * groups[:, None]
    viz.scatter(points, groups, win="points", opts={"title": "points", "legend": ["a", "b", "c"]})
    viz.bar([3, 1, 2], win="bars", opts={"title": "bars", "rownames": ["one", "two", "three"]})
    viz.histogram(draws.normal(size=2000), win="histogram", opts={"title": "histogram"})
    viz.heatmap(draws.random((10, 12)), win="heat", opts={"title": "heat map"})
    viz.text("a line of text", win="<b>&lt;hostile&gt;</b>", opts={"title": "<i>no markup</i>"})


SCENES: dict[str, Callable[[Path], str]] = {
    "mnist": mnist,
    "diabetes": diabetes,
    "two-classes": two,
    "ten": ten,
    "live": live,
    "visdom": visdom,
}


def made(name: str, root: Path) -> str:
    """Make the runs of a scene, or find them; the place of their data."""
    note = root.with_suffix(".txt")
    if not note.is_file():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        note.write_text(SCENES[name](root))
    if name == "live":
        beat(root)
    return note.read_text()


# ---- pictures


class Camera:
    """Takes pages, and keeps what is wrong with them."""

    def __init__(self, browser: Any, out: Path) -> None:
        self.browser = browser
        self.out = out
        self.taken: list[str] = []
        self.wrong: list[str] = []

    def take(self, address: str, what: str, *, sections: bool) -> None:
        """The whole page and, where asked for, each of its sections, in every width and scheme."""
        for width in WIDTHS:
            for scheme in SCHEMES:
                self._take(address, what, width, scheme, sections)

    def _take(self, address: str, what: str, width: int, scheme: str, sections: bool) -> None:
        page = self.browser.new_page(
            viewport={"width": width, "height": HEIGHT}, color_scheme=scheme
        )
        own = (address.split("?")[0], "data:", "blob:")
        name = f"{what}, {width}, {scheme}"

        def complain(text: str) -> None:
            self.wrong.append(f"{name}: {text}")

        page.on("console", lambda message: complain(f"console: {message.text}"))
        page.on("pageerror", lambda error: complain(f"error: {error}"))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(own) else complain(f"asked for {request.url}")
            ),
        )
        page.goto(address)
        page.wait_for_timeout(2000)  # Plotly's script is read
        settle(page)
        place = 0
        while place < page.evaluate("document.documentElement.scrollHeight"):
            page.evaluate(f"scrollTo(0, {place})")  # some figures are drawn when they are seen
            page.wait_for_timeout(150)
            place += HEIGHT // 2
        settle(page)
        across = page.evaluate("document.documentElement.scrollWidth")
        if across > width:
            complain(f"{across} pixels wide")
        page.evaluate("scrollTo(0, 0)")
        self._picture(page, f"{what}-all", width, scheme, full_page=True)
        for section in page.query_selector_all("main section") if sections else []:
            if section.is_visible():
                self._picture(section, f"{what}-{section.get_attribute('id')}", width, scheme)
        page.close()

    def _picture(self, of: Any, what: str, width: int, scheme: str, **more: Any) -> None:
        path = self.out / f"{what}-{width}-{scheme}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        of.screenshot(path=path, timeout=120_000, **more)
        self.taken.append(path.relative_to(self.out).as_posix())


def settle(page: Any, seconds: float = 20) -> None:
    """Until the page no longer changes, and has all that it asked for."""
    script = """() => {
        const parts = [...document.querySelectorAll("main section")];
        const waits = parts.some((part) => part.checkVisibility() && !part.textContent.trim());
        return waits || document.body.innerText.includes("loading …") ? Math.random() : [
            document.documentElement.scrollHeight, document.querySelectorAll("*").length,
            [...document.images].filter((image) => image.complete).length].join();
    }"""
    before, same, end = "", 0, time.monotonic() + seconds
    while same < SETTLED and time.monotonic() < end:
        page.wait_for_timeout(250)
        now = page.evaluate(script)
        before, same = now, same + 1 if now == before else 0


def scene(camera: Camera, name: str, out: Path) -> None:
    """All pictures of a scene."""
    root = (out / "runs" / name).resolve()
    place = made(name, root)
    address = start(root, pid=os.getpid())
    if address is None:
        raise SystemExit("there is no live page")
    camera.take(address, f"{name}/page", sections=True)
    runs = [path for path in sorted(root.iterdir()) if (path / directory.METRICS).is_file()]
    for static in (False, True):
        if runs:
            file = root.parent / f"{name}-{'static' if static else 'report'}.html"
            write(runs, file, static=static)
            camera.take(file.as_uri(), f"{name}/{file.stem.split('-')[-1]}", sections=False)
    if name in ("mnist", "diabetes", "two-classes"):
        file = root.parent / f"{name}-data.html"
        words = [sys.executable, "-P", "-m", "linnet", "data", "show", place, "--view"]
        words += ["--target", "survived"] * place.endswith("titanic.csv")
        words += ["--out", str(file)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        camera.take(file.as_uri(), f"{name}/data", sections=False)


def index(taken: list[str], out: Path) -> None:
    """A page of all pictures, small; a click shows one as it is."""
    style = (
        "body{font:14px sans-serif;margin:1rem}section{display:flex;flex-wrap:wrap;gap:.5rem}"
        "figure{margin:0;width:18rem}img{width:100%;height:16rem;object-fit:contain;"
        "object-position:top left;border:1px solid #999}"
    )
    body = ""
    for name in dict.fromkeys(path.split("/")[0] for path in taken):
        body += f"<h2>{html.escape(name)}</h2><section>"
        for path in (path for path in taken if path.split("/")[0] == name):
            label, link = html.escape(path.split("/")[1]), html.escape(path)
            body += f'<figure><a href="{link}"><img loading="lazy" src="{link}" alt=""></a>{label}'
            body += "</figure>"
        body += "</section>"
    page = f'<!doctype html><meta charset="utf-8"><title>pictures</title><style>{style}</style>'
    (out / "index.html").write_text(page + body)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window; ends with a word where there is none."""
    place = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        place = None
    if place is None:
        raise SystemExit("this needs Chromium (apt-get install chromium) and Playwright")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=place, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", nargs="*", help=f"by default all: {', '.join(SCENES)}")
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--windows", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.windows:
        windows()
        return
    if unknown := set(given.scenes) - set(SCENES):
        parser.error(f"no scene {', '.join(sorted(unknown))}")
    with chromium() as browser:
        camera = Camera(browser, given.out)
        for name in given.scenes or SCENES:
            before = len(camera.taken)
            scene(camera, name, given.out)
            print(f"{name}: {len(camera.taken) - before} pictures", flush=True)
    taken = sorted(path.relative_to(given.out).as_posix() for path in given.out.glob("*/*.png"))
    index(taken, given.out)
    for text in camera.wrong:
        print(text, file=sys.stderr)
    print(f"{len(camera.taken)} pictures, {len(camera.wrong)} complaints: {given.out}/index.html")
    if camera.wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

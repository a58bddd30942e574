"""The pictures and the verdict in the README, from one run: the live page while MNIST trains, then
its report, and what the command printed.

    python benchmarks/readme.py [--out docs/pictures]

Trains MNIST as `linnet train mnist` does ($LINNET_DATA must hold it), takes the live page in the
middle of the net's training and the report at the end, each in light and dark (GitHub shows the one
that suits the reader), and puts what the command printed below `$ linnet train mnist` in README.md
and README.zh-CN.md, long lines folded. A page is cut after its curves, and the loss of the live one
shown on a log scale. Fails where a picture is larger than 300 KB.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

from pictures import SCHEMES, chromium, here, settle
from PIL import Image

from linnet.runs import directory
from linnet.show.view import start

WIDTH = 1280
SCALE = 2
"""Pixels of the picture for each of the page: sharp on a dense screen."""
LARGEST = 300_000
EPOCH = 6
"""Of the net's twelve: the live page is taken after it."""
FOLDED = 110
READMES = ("README.md", "README.zh-CN.md")
COMMAND = "$ linnet train mnist\n"


def epoch(events: Path) -> int:
    """The last epoch that the net has ended."""
    if not events.is_file():
        return 0
    whole = [line for line in events.read_text().splitlines(keepends=True) if line.endswith("\n")]
    told = [json.loads(line) for line in whole if '"model":"mlp"' in line]
    return max([told_of["epoch"] for told_of in told if told_of.get("valid")], default=0)


def take(browser: Any, address: str, last: str, path: Path, *, log: bool) -> None:
    """The page from its top to the end of `last`, as PATH-light.png and PATH-dark.png."""
    for scheme in SCHEMES:
        page = browser.new_page(
            viewport={"width": WIDTH, "height": 900},
            color_scheme=scheme,
            device_scale_factor=SCALE,
        )
        page.goto(address)
        page.wait_for_timeout(3000)  # Plotly's script is read
        if log:
            page.locator("#log").check()
        settle(page, 5)  # a page that is live never rests
        box = page.locator(last).first.bounding_box()
        height = int(box["y"] + box["height"] + 8)
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.wait_for_timeout(1000)
        shot = Image.open(io.BytesIO(page.screenshot()))
        page.close()
        file = path.with_name(f"{path.name}-{scheme}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        shot.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
        size = file.stat().st_size
        print(f"{file}: {shot.width} x {shot.height}, {size:,} bytes", flush=True)
        if size > LARGEST:
            raise SystemExit(f"{file} is larger than {LARGEST:,} bytes")


def put(printed: str) -> None:
    """What the command printed, below it in the READMEs."""
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    folded = [part for line in lines for part in textwrap.wrap(line, FOLDED) or [""]]
    told = "\n".join(folded)
    for name in READMES:
        path = Path(__file__).parent.parent / name
        before, after = path.read_text("utf-8").split(COMMAND)
        path.write_text(before + COMMAND + told + after[after.index("\n```") :], "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    given = parser.parse_args()
    if not here("mnist"):
        raise SystemExit("this needs MNIST: LINNET_DATA should be the folder above mnist/")
    with tempfile.TemporaryDirectory(prefix="linnet-") as place, chromium() as browser:
        root = Path(place).resolve() / "runs"
        root.mkdir()
        run = root / "mnist-auto-1"
        words = [sys.executable, "-P", "-m", "linnet", "train", "mnist", "--no-view"]
        words += ["--out", f"runs/{run.name}"]
        train = subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, text=True)
        while epoch(run / directory.EVENTS) < EPOCH and train.poll() is None:
            time.sleep(1)
        if train.poll() is None and (address := start(root, pid=os.getpid())) is not None:
            take(browser, address, "section#curves", given.out / "live", log=True)
        else:
            raise SystemExit("there was no live page")
        printed, _ = train.communicate()
        if train.returncode:
            raise SystemExit(train.returncode)
        report = (run / "report.html").as_uri()
        take(browser, report, "#figure0", given.out / "report", log=False)
    put(printed)
    print(printed)


if __name__ == "__main__":
    main()

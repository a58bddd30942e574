"""Without a network: training, the page and the report need none."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import LINNET, ONE_THREAD, chromium

UP = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:  # ip link set lo up
    fcntl.ioctl(line, 0x8914, struct.pack("16sh", b"lo", 0x49))
"""

LOOK = (
    UP
    + """
import json, os, re, subprocess, sys
from playwright.sync_api import sync_playwright

chromium, out, *words = sys.argv[1:]
trainer = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
address = next(
    found[0] for line in trainer.stderr if (found := re.search("http://127[^ ]*", line.strip()))
)
asked, said = [], []
with sync_playwright() as play:
    browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    page.locator("#table tr", has_text="finished").wait_for(timeout=120_000)
    page.locator("#curves .main-svg").first.wait_for(timeout=60_000)
    trainer.communicate()
    page.goto("file://" + out + "/report.html")
    page.locator(".main-svg").first.wait_for(timeout=60_000)
    browser.close()
host = address.split("?")[0]
foreign = [url for url in asked if not url.startswith((host, "data:", "blob:", "file://" + out))]
print(json.dumps({"rc": trainer.returncode, "asked": len(asked), "foreign": foreign, "said": said}))
"""
)


@pytest.fixture
def alone() -> list[str]:
    """What runs a command in a network namespace without any interface but a loopback that is
    down; skips where that is not allowed."""
    prefix = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"]).returncode:
        pytest.skip("no network namespace can be made here")
    return prefix


def run(words: list[str], seconds: float = 240) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        words, capture_output=True, text=True, timeout=seconds, env={**os.environ, **ONE_THREAD}
    )


@pytest.mark.slow
@pytest.mark.multiprocess
def test_without_even_a_loopback_all_but_the_page_works(alone: list[str], tmp_path: Path) -> None:
    out = tmp_path / "runs" / "digits"
    words = [*LINNET, "train", "digits", "--view", "--out", str(out), "--set", "epochs=2"]
    done = run([*alone, *words])
    assert done.returncode == 0, done.stderr
    assert "no live page: cannot listen at 127.0.0.1" in done.stderr
    assert "http://127" not in done.stderr + done.stdout
    assert (out / "report.html").stat().st_size > 1_000_000
    for static in ([], ["--static"]):
        done = run(
            [*alone, *LINNET, "report", str(out), *static, "--out", str(tmp_path / "r.html")]
        )
        assert done.returncode == 0, done.stderr
    done = run([*alone, *LINNET, "view", str(tmp_path / "runs")], 30)
    assert done.returncode == 1 and "cannot listen at 127.0.0.1" in done.stderr


@pytest.mark.slow
@pytest.mark.multiprocess
def test_with_a_loopback_alone_a_browser_sees_the_run_and_asks_nobody_else(
    alone: list[str], tmp_path: Path
) -> None:
    place = chromium()
    if subprocess.run([*alone, sys.executable, "-c", UP]).returncode:
        pytest.skip("the loopback of a network namespace cannot be set up here")
    out = tmp_path / "runs" / "digits"
    words = [*LINNET, "train", "digits", "--view", "--out", str(out), "--set", "epochs=2"]
    done = run([*alone, sys.executable, "-c", LOOK, place, str(out), *words])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rc"] == 0 and found["asked"] >= 5
    assert found["foreign"] == [] and found["said"] == []

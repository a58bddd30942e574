"""The pages, as axe-core judges them: for who sees little, or has no mouse."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

import linnet
from helpers import Site, chromium, open_browser
from linnet.cli import app
from linnet.show.report.page import write

AXE = "axe-core@4.14.1"
"""An npm package; without npm, or without a network, the test is skipped."""

LOOKS = ((1280, "light"), (390, "dark"))

JUDGED = """axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations
    .filter((each) => ["serious", "critical"].includes(each.impact))
    .map((each) => [each.id, each.nodes.map((node) => node.target.join(" "))]))"""

UNREACHED = """[...document.querySelectorAll("button, select, input, a[href], summary, [onclick]")]
    .filter((one) => one.checkVisibility() && one.tabIndex < 0).map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    chromium()
    folder, npm = tmp_path_factory.mktemp("axe"), shutil.which("npm")
    if npm is None:
        pytest.skip("no npm")
    words = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", AXE]
    if subprocess.run(words, capture_output=True, timeout=300).returncode:
        pytest.skip(f"npm cannot install {AXE}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def places(axe: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of live page, report and page of data."""
    root = tmp_path_factory.mktemp("accessible")
    linnet.train("breast_cancer", epochs=2, widths=[8], out=root / "runs" / "one")
    write([root / "runs" / "one"], root / "report.html")
    words = ["data", "show", "breast_cancer", "--out", str(root / "data.html")]
    assert CliRunner().invoke(app, words).exit_code == 0
    site = Site(root / "runs")
    try:
        live = f"http://127.0.0.1:{site.port}/?token={site.token}"
        files = {name: (root / f"{name}.html").as_uri() for name in ("report", "data")}
        yield {"live": live, **files}
    finally:
        site.close()


def seen(browser: Any, address: str, width: int, scheme: str) -> tuple[Any, list[str]]:
    """A page that was looked through from top to bottom, and what it complained of."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page, said = context.new_page(), []
    own = (address.split("?")[0], "data:", "blob:")
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(own) else said.append(asked.url))
    page.goto(address)
    for _ in range(60):
        if "loading …" not in page.inner_text("body") and page.query_selector(".main-svg"):
            break
        for top in range(0, page.evaluate("document.documentElement.scrollHeight"), 700):
            page.evaluate(f"scrollTo(0, {top})")
            page.wait_for_timeout(50)
    return page, said


@pytest.mark.slow
@pytest.mark.parametrize("name", ("live", "report", "data"))
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_screen(
    name: str, axe: str, places: dict[str, str]
) -> None:
    with open_browser() as browser:
        for width, scheme in LOOKS:
            page, said = seen(browser, places[name], width, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.evaluate(axe)
            assert page.evaluate(JUDGED) == []
            assert page.evaluate(UNREACHED) == []
            assert said == []

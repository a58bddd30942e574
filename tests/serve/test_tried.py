"""The page at ``/`` of a real server, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import Here, here, rows_of

from helpers import open_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as found:
        yield found


class Visit:
    """The page of a server in a browser; it may ask that server alone."""

    def __init__(self, browser: Any, server: Here, query: str = "", **context: Any) -> None:
        self.errors: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.sent: list[Any] = []
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console", lambda told: self.errors.append(told.text) if told.type == "error" else None
        )
        self.page.on("request", self._asked)
        self.start = f"http://127.0.0.1:{server.port}/"
        self.page.goto(self.start + query)

    def _asked(self, request: Any) -> None:
        self.asked.append((request.method, request.url))
        if request.method == "POST":
            self.sent.append(request.post_data_json)

    def last(self) -> Any:
        """What the page asks last, once it asks no more."""
        before = 0
        while before != len(self.sent) or not before:
            before = len(self.sent)
            self.page.wait_for_timeout(600)
        return self.sent[-1]

    def says(self, part: str) -> None:
        """Wait until the first model says this."""
        self.page.locator(".says >> nth=0", has_text=part).wait_for(timeout=20_000)

    def close(self) -> None:
        assert self.errors == []
        assert all(url.startswith(self.start) for _, url in self.asked)
        self.context.close()


def likely(share: float) -> str:
    return ">99.99 %" if 0.9999 < share < 1 else f"{share:.2%}".replace("%", " %")


def test_a_row_of_a_table(browser: Any, site: Here) -> None:
    visit = Visit(browser, site)
    visit.page.locator(".bars li").first.wait_for()
    for age, town in ((33.5, "Bern"), (71, "Zürich")):
        visit.page.get_by_label("age", exact=True).fill(str(age))
        visit.page.get_by_label("town", exact=True).select_option(label=town)
        visit.page.get_by_label("member", exact=True).select_option(label="yes")
        (row,) = visit.last()["rows"]
        assert row["age"] == age and row["town"] == town and row["member"] is True
        assert row.keys() == rows_of(1)[0].keys()
        (told,) = site.ask("/predict", [row]).json["predictions"]
        visit.says(likely(max(told["probabilities"].values())))
        visit.says(str(told["prediction"]))
    assert "answer = yes" in visit.page.locator("#why-text").inner_text()
    assert "Answers come from this server" in visit.page.locator("#where").inner_text()
    assert {method for method, _ in visit.asked} == {"GET", "POST"}
    visit.close()


def test_a_drawing(browser: Any, digits: Path) -> None:
    with here(digits) as server:
        visit = Visit(browser, server)
        box = visit.page.locator("#board").bounding_box()
        visit.page.mouse.move(box["x"] + 100, box["y"] + 30)
        visit.page.mouse.down()
        visit.page.mouse.move(box["x"] + 100, box["y"] + 200, steps=5)
        visit.page.mouse.up()
        picture = np.array(visit.last())
        assert picture.shape == (1, 8, 8) and picture.max() >= 12
        told = server.ask("/predict", picture.tolist()).json["predictions"]
        visit.says(str(told[0]["prediction"]))
        assert "speaks for it" in visit.page.locator("#why").inner_text()
        visit.close()


def test_numbers_and_rows_of_numbers(browser: Any, numbers: Path, iris: Path) -> None:
    with here(numbers) as server:
        visit = Visit(browser, server, viewport={"width": 390, "height": 844})
        visit.says("c")
        assert re.search(r"c\s+\S+\s+d\s+\S+", visit.page.locator(".says").first.inner_text())
        visit.close()
    with here(iris) as server:
        visit = Visit(browser, server)
        visit.page.get_by_label("petal length (cm)", exact=True).fill("1.2")
        visit.page.get_by_label("petal width (cm)", exact=True).fill("0.2")
        visit.says("setosa")
        visit.close()


def test_with_a_token(browser: Any, iris: Path) -> None:
    """The address with the token opens the page, and a cookie goes with its requests."""
    with here(iris, token="s" * 32) as server:
        assert server.ask("/").status in (401, 403)
        visit = Visit(browser, server, "?token=" + "s" * 32)
        visit.page.get_by_label("petal length (cm)", exact=True).fill("1.2")
        visit.page.get_by_label("petal width (cm)", exact=True).fill("0.2")
        visit.says("setosa")
        visit.close()

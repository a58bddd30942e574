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
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console", lambda told: self.errors.append(told.text) if told.type == "error" else None
        )
        self.page.on("request", lambda each: self.asked.append((each.method, each.url)))
        self.start = f"http://127.0.0.1:{server.port}/"
        self.page.goto(self.start + query)

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
        with visit.page.expect_response("**/try") as asked:
            visit.page.get_by_label("rooms", exact=True).fill(str(int(age) % 7))
        row = asked.value.request.post_data_json["rows"][0]
        assert row["age"] == age and row["town"] == town and row.keys() == rows_of(1)[0].keys()
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
        with visit.page.expect_response("**/try") as asked:
            visit.page.mouse.move(box["x"] + 100, box["y"] + 30)
            visit.page.mouse.down()
            visit.page.mouse.move(box["x"] + 100, box["y"] + 200, steps=5)
            visit.page.mouse.up()
        visit.page.wait_for_timeout(500)
        picture = np.array(asked.value.request.post_data_json)
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

"""An HTML page in one file: its security policy, its style, and its figures."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from linnet.core.html import ICON, Html, data, join, tag
from linnet.core.language import current, tr
from linnet.errors import LinnetError
from linnet.figures._style import MARGIN
from linnet.figures.figure import CONFIG, Figure, plotly_script
from linnet.show.report.html import scroll

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)

STYLE, SCRIPT, FILTER = map(Path(__file__).with_name, ("report.css", "figures.js", "filter.js"))
NARROW = Path(__file__).parents[1] / "narrow.js"
WIDTH, COLOURS = 900, 32
"""The largest width and number of colours of a picture in a static report."""

BARE = 28
"""Pixels above a figure whose title is a paragraph above it."""


class Document:
    """Collects the figures and numbers of a page while its parts are made.

    ``static``: figures are pictures without scripts.
    """

    def __init__(self, *, static: bool = False) -> None:
        self.static = static
        self.numbers: dict[str, Any] = {}
        """The JSON in the page, for other programs."""
        self._figures: list[dict[str, Any]] = []
        self._parts: list[tuple[str, str]] = []
        self._heads = 0

    def head(self, title: str) -> Html:
        """The heading of a part, which the table of contents leads to."""
        self._heads += 1
        anchor = f"part{self._heads}"
        self._parts.append((anchor, title))
        return tag("h2", title, id=anchor)

    def contents(self) -> Html:
        """Links to the parts whose headings were made since the last time."""
        parts, self._parts = self._parts, []
        links = [tag("li", tag("a", title, href=f"#{anchor}")) for anchor, title in parts]
        return tag("nav", tag("ol", *links), aria_label=tr("Contents"), class_="contents")

    def figure(self, title: str, make: Callable[[], Figure]) -> Html:
        """A figure under ``title``; the figure's own title becomes a paragraph, which can wrap. If
        the figure cannot be made, the paragraph says why."""
        head = self.head(title)
        try:
            figure = make()
        except LinnetError as error:
            return join([head, tag("p", str(error), class_="none")])
        buttons, figure = _switch(figure)
        if figure.layout.get("margin", {}).get("t") == MARGIN["t"]:  # it holds only the title
            told = tag("p", figure.title, class_="none") if figure.title else ""
            head = join([head, told])
            bare = {**figure.layout, "title": {"text": ""}}
            bare["margin"] = {**bare["margin"], "t": BARE}
            bare["height"] = bare.get("height", 420) - MARGIN["t"] + BARE
            figure = replace(figure, layout=bare)
        if self.static:
            from linnet.figures.static import draw

            picture = base64.b64encode(_small(draw(figure, "png"))).decode()
            source = f"data:image/png;base64,{picture}"
            kind = None if figure.layout.get("images") else "chart"
            return join(
                [head, scroll(tag("img", src=source, alt=title, class_=kind), "drawn", title)]
            )
        self._figures.append({**figure.plain(), "config": CONFIG})
        number = len(self._figures) - 1
        changes = [
            tag("button", one["label"], type="button", data_figure=number, data_change=index)
            for index, one in enumerate(buttons)
        ]
        self._figures[-1]["changes"] = [one["args"][0] for one in buttons]
        row = tag("p", *changes, class_="switch") if changes else Html()
        place = tag("div", class_="figure", id=f"figure{number}", role="group", aria_label=title)
        return join([head, row, place])

    def page(self, title: str, body: Html) -> str:
        """The page as one HTML file."""
        style = Html(STYLE.read_text(encoding="utf-8"))
        head = [
            Html('<meta charset="utf-8">'),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", f"{title} · linnet"),
            Html(f'<link rel="icon" href="{ICON}">'),
            tag("style", style),
        ]
        scripts = [tag("script", data(self.numbers), type="application/json", id="numbers")]
        if not self.static:
            scripts.append(tag("script", Html(FILTER.read_text(encoding="utf-8"))))
        if self._figures:
            scripts += [
                tag("script", data(self._figures), type="application/json", id="figures"),
                tag("script", Html(plotly_script().replace("</script", "<\\/script"))),
                *(
                    tag("script", Html(path.read_text(encoding="utf-8")))
                    for path in (NARROW, SCRIPT)
                ),
            ]
        page = tag(
            "html", tag("head", *head), tag("body", tag("main", body), *scripts), lang=current()
        )
        return f"<!doctype html>\n{page}\n"


def _switch(figure: Figure) -> tuple[list[dict[str, Any]], Figure]:
    """The buttons of a figure, which a page shows above it, and the figure without them."""
    menus = figure.layout.get("updatemenus", ())
    if not menus:
        return [], figure
    bare = {key: value for key, value in figure.layout.items() if key != "updatemenus"}
    bare["height"] = bare["height"] - (bare["margin"]["t"] - MARGIN["t"])
    bare["margin"] = {**bare["margin"], "t": MARGIN["t"]}
    return menus[0]["buttons"], replace(figure, layout=bare)


def _small(png: bytes) -> bytes:
    """A picture at most ``WIDTH`` wide in ``COLOURS`` colours: a third of the bytes."""
    from PIL import Image

    with Image.open(BytesIO(png)) as image:
        picture = image.convert("RGB")
    picture.thumbnail((WIDTH, 10 * WIDTH))
    out = BytesIO()
    picture.quantize(COLOURS).save(out, "PNG", optimize=True)
    return out.getvalue()

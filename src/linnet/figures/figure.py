"""A figure: its Plotly description as plain dicts, and the numbers it shows."""

from __future__ import annotations

import base64
import csv
import html
import importlib.util
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linnet.core import files
from linnet.errors import InputError, WorkError, printable
from linnet.figures.plotly import script

CONFIG = {"displaylogo": False, "responsive": True, "typesetMath": False}
"""Settings of Plotly's script for every figure: a dollar sign in a name starts no formula."""

DRAWN = (".png", ".svg", ".pdf")
KINDS = (*DRAWN, ".csv", ".json", ".html")

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline';
 style-src 'unsafe-inline'; img-src data: blob:">
<link rel="icon" href="data:,">
<title>%(title)s</title>
<style>:root { color-scheme: light dark } body { margin: 0.5rem }</style></head>
<body><div id="figure"></div>
<script type="application/json" id="numbers">%(numbers)s</script>
<script>%(script)s</script>
<script>
const figure = JSON.parse(document.getElementById("numbers").textContent);
Plotly.newPlot("figure", figure.data, figure.layout, figure.config);
</script></body></html>
"""


@dataclass(frozen=True)
class Figure:
    """A figure that notebooks can show.

    ``data`` are Plotly's traces, ``layout`` its layout: dicts, lists, text, finite numbers, None.
    ``columns`` are all the numbers behind it, not rounded, as lists of equal length by name.
    """

    data: list[dict[str, Any]]
    layout: dict[str, Any]
    columns: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The title as plain text."""
        return html.unescape(str(self.layout.get("title", {}).get("text", "")))

    def __repr__(self) -> str:
        rows = len(next(iter(self.columns.values()), []))
        return printable(f"Figure({self.title!r}, {rows:,} rows of {', '.join(self.columns)})")

    def plain(self) -> dict[str, Any]:
        """``data`` and ``layout`` in the form that Plotly's script takes."""
        return {"data": self.data, "layout": self.layout}

    def csv(self) -> str:
        """The numbers as CSV, with a header."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(zip(*self.columns.values(), strict=True))
        return out.getvalue()

    def page(self) -> str:
        """An HTML page with the figure and everything it needs, including Plotly's script."""
        numbers = files.dumps({**self.plain(), "config": CONFIG}).replace("<", "\\u003c")
        title = html.escape(self.title)
        return PAGE % {"title": title, "numbers": numbers, "script": plotly_script()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the figure in the format of the file's ending: .png .svg .pdf .csv .json or .html.

        matplotlib draws pictures, on white. Raises ``InputError`` for another ending and
        ``WorkError`` if a package is missing.
        """
        place = Path(path)
        kind = place.suffix.lower()
        if kind in DRAWN:
            from linnet.figures.static import draw

            content = draw(self, kind.removeprefix("."))
        elif kind == ".csv":
            content = self.csv().encode()
        elif kind == ".json":
            content = (files.dumps(self.plain()) + "\n").encode()
        elif kind == ".html":
            content = self.page().encode()
        else:
            raise InputError(f"{place}: unknown ending; expected one of {', '.join(KINDS)}")
        files.write(place, content)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Plotly's description and, if matplotlib is installed, a picture for front ends without
        Plotly, such as GitHub's pages of notebooks."""
        bundle: dict[str, Any] = {
            "application/vnd.plotly.v1+json": {**self.plain(), "config": CONFIG},
            "text/plain": repr(self),
        }
        if importlib.util.find_spec("matplotlib") is not None:
            from linnet.figures.static import draw

            bundle["image/png"] = base64.b64encode(draw(self, "png")).decode()
        return bundle


def plotly_script() -> str:
    """Plotly's script, read from its Python package without importing it."""
    path = script()
    if path is None:
        raise WorkError("Plotly's script is missing; it comes with: pip install plotly")
    return path.read_text(encoding="utf-8")

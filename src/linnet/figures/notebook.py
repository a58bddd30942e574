"""Small HTML for notebooks: tables and curves without script, for light and dark, all escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from linnet.core.html import Html, join, put
from linnet.core.text import cut, figure
from linnet.figures._curves import decimate
from linnet.figures._style import numbers
from linnet.figures.colors import COLORS

WIDTH, HEIGHT, EDGE = 140.0, 32.0, 2.0
"""The width and height of a curve, in pixels."""

MOST_POINTS, MOST_LETTERS = 120, 400
"""The most points of a curve, and the most letters of a cell."""

CELL = "text-align:left;vertical-align:middle;padding:2px 12px 2px 0"
HEAD = f"{CELL};font-weight:bold;border-bottom:1px solid rgba(128,128,128,0.6)"
NUMBER = f"{CELL};text-align:right;white-space:nowrap"
TABLE = "border-collapse:collapse;border:none;margin:4px 0"


def paragraph(*content: Any) -> Html:
    """A line of text."""
    return Html(f'<p style="margin:4px 0">{join(content)}</p>')


def table(headings: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Html:
    """A table; numbers have four digits and are aligned right. Without headings, the first cell of
    each row is its heading."""

    def cell(value: Any, style: str = CELL) -> str:
        if isinstance(value, float):
            return f'<td style="{NUMBER}">{figure(value)}</td>'
        return f'<td style="{style}">{_short(value)}</td>'

    rows = [list(row) for row in rows]
    head = "".join(
        f'<th style="{HEAD}{";text-align:right" * any(isinstance(row[i], float) for row in rows)}">'
        f"{_short(value)}</th>"
        for i, value in enumerate(headings)
    )
    head = f"<thead>{_row(head)}</thead>" if head else ""
    first = CELL if headings else f"{CELL};font-weight:bold;white-space:nowrap"
    body = "".join(_row(cell(name, first) + "".join(map(cell, rest))) for name, *rest in rows)
    return Html(f'<table style="{TABLE}">{head}<tbody>{body}</tbody></table>')


def _short(value: Any) -> Html:
    """A cell's value; a long text is cut."""
    return value if isinstance(value, Html) else put(cut(str(value), MOST_LETTERS))


def _row(cells: str) -> str:
    return f'<tr style="background:none">{cells}</tr>'


def curve(lines: Mapping[str, tuple[Sequence[Any], Sequence[Any]]]) -> Html:
    """A picture of curves by name, each its positions and values (points,); validation is dashed.

    Values that are not finite are left out, and so are curves of one point. Without any curve, the
    result is empty.
    """
    found = {}
    for name, line in lines.items():
        x, y = map(numbers, line)
        held = np.isfinite(x) & np.isfinite(y)
        if held.sum() > 1:
            found[name] = x[held], y[held]
    if not found:
        return Html("")
    x, y = (np.concatenate([line[side] for line in found.values()]) for side in (0, 1))
    left, low = x.min(), y.min()
    across, up = float(np.ptp(x)) or 1.0, float(np.ptp(y)) or 1.0
    drawn = ""
    for name, (at, values) in found.items():
        kept = decimate(values, MOST_POINTS)
        right = EDGE + (WIDTH - 2 * EDGE) * (at[kept] - left) / across
        down = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (values[kept] - low) / up
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(right, down, strict=True))
        dash = ' stroke-dasharray="4 3"' if name.startswith("validation") else ""
        drawn += (
            f'<polyline points="{points}" fill="none" stroke="{COLORS[0]}" stroke-width="1.5"'
            f"{dash}/>"
        )
    summary = "; ".join(
        f"{name} from {figure(v[0])} to {figure(v[-1])}" for name, (_, v) in found.items()
    )
    size = f'width="{WIDTH:g}" height="{HEIGHT:g}" viewBox="0 0 {WIDTH:g} {HEIGHT:g}"'
    return Html(
        f'<svg {size} role="img" aria-label="{escape(summary)}" style="vertical-align:middle">'
        f"<title>{escape(summary)}</title>{drawn}</svg>"
    )

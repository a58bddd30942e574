"""What all figures share: colours, names as text, axes, layout."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Json = dict[str, Any]

COLORS = (
    "#3c96ff", "#c3871e", "#a51eb4", "#2d6a6a", "#c30f0f", "#ff3cc3", "#788778", "#8700ff",
)  # fmt: skip
"""Each has a contrast of 3 or more with white and with #111111, and any two are at least 0.1 apart
in OKLab, also to eyes without one of the three cones (Machado et al. 2009): found by search. Okabe
and Ito's have 0.08, and some of them fade on white."""

INK = "#7a7a7a"
"""Of text: a contrast of 4.3 with white and with #111111."""

GRID = "rgba(128,128,128,0.25)"
SEQUENTIAL = [[0.0, "#d6e6f4"], [1.0, "#1f6fb4"]]
DIVERGING = [[0.0, "#2166ac"], [0.5, "#f2f2f2"], [1.0, "#b2182b"]]
CLEAR = "rgba(0,0,0,0)"

MAX_NAME = 40
"""Characters of a name that a figure shows."""


def color(index: int) -> str:
    """The colour of the ``index``-th curve; after the last the first comes again."""
    return COLORS[index % len(COLORS)]


def text(name: object, most: int = MAX_NAME) -> str:
    """A name as text that Plotly shows as it is: no markup, one line, the middle of a long one left
    out, as names often differ at the end."""
    plain = "".join(c if c.isprintable() else " " for c in str(name)[: 100 * most])
    if len(plain) > most:
        tail = most // 3
        plain = plain[: most - tail - 1] + "…" + plain[-tail:]
    return html.escape(plain, quote=False)


def numbers(values: Iterable[Any]) -> Array:
    """Values of events as float64, NaN for None and for text that is no number."""

    def number(value: Any) -> float:
        try:
            return float(value)  # also "NaN", "Infinity" and "-Infinity"
        except (TypeError, ValueError, OverflowError):
            return float("nan")

    values = list(values)
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.array([number(value) for value in values], dtype=np.float64)


def short(values: Array, digits: int = 6) -> list[float | None]:
    """Numbers for a figure, with so many significant digits; None where they are not finite."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values.tolist()]


def axis(title: str, **more: Any) -> Json:
    """An axis; ``title`` is text that is ready for Plotly."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": INK,
        "automargin": True,
        **more,
    }


def layout(title: str, **more: Any) -> Json:
    """A layout without a background of its own; ``title`` is text that is ready for Plotly."""
    return {
        "title": {"text": title, "x": 0, "xref": "paper", "font": {"size": 14}},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"color": INK, "size": 12},
        "hoverlabel": {"namelength": -1},
        "modebar": {"bgcolor": CLEAR, "color": INK, "activecolor": COLORS[0]},
        "margin": {"l": 60, "r": 20, "t": 48, "b": 48},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        **more,
    }


def note(words: str, **more: Any) -> Json:
    """An annotation without an arrow; ``words`` is text that is ready for Plotly."""
    return {"text": words, "showarrow": False, **more}

"""The common parts of all figures: colours, names as text, axes, layout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from linnet.figures.colors import COLORS

Array = np.ndarray[Any, Any]
Json = dict[str, Any]

INK = "#7a7a7a"
"""The colour of text: a contrast of 4.3 with white and with #111111."""

GRID = "rgba(128,128,128,0.25)"
SEQUENTIAL = [[0.0, "#d6e6f4"], [1.0, "#1f6fb4"]]
DIVERGING = [[0.0, "#2f78c8ff"], [0.5, "#2f78c800"], [0.5, "#d6303f00"], [1.0, "#d6303fff"]]
"""Values near 0 have the colour of the paper, light or dark."""

CLEAR = "rgba(0,0,0,0)"

MARGIN = {"l": 60, "r": 20, "t": 48, "b": 48}
"""The pixels around the panels; above them is only the title."""


def color(index: int) -> str:
    """The colour of the ``index``-th curve; after the last colour the first is used again."""
    return COLORS[index % len(COLORS)]


def numbers(values: Iterable[Any]) -> Array:
    """Values of events as float64, NaN for None and for text that is not a number."""

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
    """Numbers for a figure with this many significant digits; None for those not finite."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values.tolist()]


def axis(title: str, **more: Any) -> Json:
    """An axis; ``title`` is text in Plotly's form."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": INK,
        "automargin": True,
        **more,
    }


def layout(title: str, **more: Any) -> Json:
    """A layout without a background; ``title`` is text in Plotly's form."""
    return {
        "title": {"text": title, "x": 0, "xref": "paper", "font": {"size": 14}},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"color": INK, "size": 12},
        "hoverlabel": {"namelength": -1},
        "modebar": {"bgcolor": CLEAR, "color": INK, "activecolor": COLORS[0]},
        "margin": dict(MARGIN),
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        **more,
    }


def note(words: str, **more: Any) -> Json:
    """An annotation without an arrow; ``words`` is text in Plotly's form."""
    return {"text": words, "showarrow": False, **more}

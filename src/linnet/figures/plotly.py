"""What Plotly's script takes, without importing Plotly or NumPy: its path, and names as text."""

from __future__ import annotations

import html
import importlib.util
from pathlib import Path

MAX_NAME = 40
"""The most characters of a name that a figure shows."""


def script() -> Path | None:
    """Plotly's script in its Python package; None if it is not installed."""
    found = importlib.util.find_spec("plotly")
    for folder in (found and found.submodule_search_locations) or ():
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    return None


def text(name: object, most: int = MAX_NAME) -> str:
    """A name as text that Plotly shows unchanged: no markup, one line. The middle of a long name is
    left out, because names often differ at the end."""
    plain = "".join(c if c.isprintable() else " " for c in str(name)[: 100 * most])
    if len(plain) > most:
        tail = most // 3
        plain = plain[: most - tail - 1] + "…" + plain[-tail:]
    return html.escape(plain, quote=False)

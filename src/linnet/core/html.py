"""HTML from plain values, escaped: names of classes, columns and runs are hostile input."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any


class Html(str):
    """Text that is already HTML; all other text is escaped when it is inserted."""


def put(value: Any) -> Html:
    """``value`` as HTML."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def join(content: Iterable[Any]) -> Html:
    """Pieces one after another."""
    return Html("".join(put(piece) for piece in content))


def tag(name: str, /, *content: Any, **attributes: Any) -> Html:
    """``<name attributes>content</name>``; attributes that are None are left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{join(content)}</{name}>")

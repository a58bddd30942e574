"""HTML from plain values, escaped: names of classes, columns and runs are hostile input."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from linnet.core import files


class Html(str):
    """Text that is already HTML; all other text is escaped when it is inserted."""


CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that no page may hold: controls, marks that turn text around, half characters."""


def plain(value: Any) -> str:
    """``value`` as escaped text; controls are shown as Python writes them."""
    return escape(CONTROLS.sub(lambda found: repr(found[0])[1:-1], str(value)))


def put(value: Any) -> Html:
    """``value`` as HTML."""
    return value if isinstance(value, Html) else Html(plain(value))


def join(content: Iterable[Any]) -> Html:
    """Pieces one after another."""
    return Html("".join(put(piece) for piece in content))


def tag(name: str, /, *content: Any, **attributes: Any) -> Html:
    """``<name attributes>content</name>``; attributes that are None are left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{plain(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{join(content)}</{name}>")


def data(value: Any) -> Html:
    """``value`` as strict JSON that is safe inside a script element."""
    text = files.dumps(value)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Html(text)

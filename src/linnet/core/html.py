"""HTML from plain values, escaped: names of classes, columns and runs are hostile input."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from linnet.core import files

ICON = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAABgAAAAYBAMAAAASWSDLAAAAMFBMVEUVZMIWY70VZsHx9fsAAAD701VYkNIS"
    "Y7wWZcaVuOKzqXTNuG4AAP8Af38VYr0VY7+A+gdxAAAAEHRSTlP+/kb/AP//IiL///8BAka0HaQUwwAAAPZJ"
    "REFUeNpNkLFKw1AYRs9/b2gbEPNfhNJBIc5dCnZxEQcHkQZxcROcnDP7FIIvUN/AxVHo4OAkBZ10UDcX6Q1I"
    "m5iGOLQFz/TBgTN8ksz2zveBtd/NKx5SljQHwUEuCkDt+xzLyuhPsL2cgt+wX+QAtLvTqVmJpAIDOIXOuAJi"
    "FQS53hExBiKNJBqe1Qtzd4LdRZ2xWszK6q3Xj5/CwlBze9qzNwwXtfk93elFChJ7396yrx5BDEjCy5G6CAx0"
    "xlVZ+tqDIbusPrShHrAq7nA0eS5AhBR1KAraDN4lq8ncBPi2n3NxYYswbPmGHa0/5guaofy/6g99ZlBT/l5b"
    "FAAAAABJRU5ErkJggg=="
)
"""The icon of linnet's pages: a line and three points."""


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

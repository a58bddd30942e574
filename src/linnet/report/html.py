"""HTML from plain values, escaped: names of classes, columns and runs are hostile input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from linnet import files


class Html(str):
    """Text that is HTML already; all other text is escaped where it is put in."""


def put(value: Any) -> Html:
    """``value`` as HTML."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def tag(name: str, /, *content: Any, **attributes: Any) -> Html:
    """``<name attributes>content</name>``; of attributes those that are None are left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{join(content)}</{name}>")


def join(content: Iterable[Any]) -> Html:
    """Pieces one after another."""
    return Html("".join(put(piece) for piece in content))


def table(headings: Sequence[Any], rows: Iterable[Sequence[Any]], **attributes: Any) -> Html:
    """A table; cells that are numbers stand to the right."""
    head = tag("tr", *(tag("th", heading, scope="col") for heading in headings))
    body = [
        tag(
            "tr",
            *(
                tag("td", shown(cell), class_="n" if isinstance(cell, (int, float)) else None)
                for cell in row
            ),
        )
        for row in rows
    ]
    inner = tag("table", tag("thead", head), tag("tbody", *body), **attributes)
    return tag("div", inner, class_="scroll")


def shown(value: Any) -> Any:
    """A cell's value for people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value


def data(value: Any) -> Html:
    """``value`` as strict JSON that may stand inside a script element."""
    text = files.dumps(value)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Html(text)

"""HTML from plain values. All text is escaped: names of classes, columns and runs are untrusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from linnet.core import files

SHORT = 40
"""The most letters of a text that is not wrapped in a table: that of a score with its interval."""


class Html(str):
    """Text that is HTML already; all other text is escaped when it is inserted."""


class Fixed(float):
    """A proportion that is always shown with four decimals."""


def put(value: Any) -> Html:
    """``value`` as HTML."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def tag(name: str, /, *content: Any, **attributes: Any) -> Html:
    """``<name attributes>content</name>``; attributes that are None are left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{join(content)}</{name}>")


def join(content: Iterable[Any]) -> Html:
    """The pieces, joined without a separator."""
    return Html("".join(put(piece) for piece in content))


def table(
    headings: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    *,
    blocks: bool = False,
) -> Html:
    """A table; numbers are aligned right, and short cells are not wrapped.

    ``blocks``: on a narrow screen each row becomes a block, with its first cell on top and the
    others below, each beside its heading.
    """
    cells = [list(zip(row, headings, strict=True)) for row in rows]
    numeric = {heading for row in cells for cell, heading in row if _kind(cell) == "n"}
    head = (tag("th", h, scope="col", class_="n" if h in numeric else None) for h in headings)
    body = [
        tag(
            "tr",
            *(
                tag("td", shown(cell), class_=_kind(cell), data_head=heading if blocks else None)
                for cell, heading in row
            ),
        )
        for row in cells
    ]
    whole = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body))
    return scroll(whole, "blocks" if blocks else "")


def scroll(inner: Html, kind: str = "") -> Html:
    """A box that scrolls if its content is wider than the screen; a shadow shows that it does."""
    return tag("div", inner, class_=f"scroll {kind}".strip())


def _kind(cell: Any) -> str | None:
    """The CSS class of a cell: "n" for a number, "long" for a text that may be wrapped."""
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return "n"
    return "long" if len(str(shown(cell))) > SHORT else None


def shown(value: Any) -> Any:
    """The value of a cell, formatted for people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Fixed):
        return f"{value:.4f}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value


def data(value: Any) -> Html:
    """``value`` as strict JSON that is safe inside a script element."""
    text = files.dumps(value)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Html(text)

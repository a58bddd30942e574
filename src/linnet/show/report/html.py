"""HTML from plain values, escaped: names of classes, columns and runs are hostile input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from linnet.core import files

SHORT = 40
"""Letters of a text that is never broken in a table: of a score with its interval."""


class Html(str):
    """Text that is HTML already; all other text is escaped where it is put in."""


class Fixed(float):
    """A share that is shown with four decimals, as those beside it are."""


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


def table(
    headings: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    *,
    blocks: bool = False,
) -> Html:
    """A table; cells that are numbers stand to the right, and short ones in one line.

    ``blocks``: on a narrow screen each row stands as a block of its own, its first cell on top and
    the others below, each beside its heading.
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
    """What may be wider than the screen, with a shadow where it goes on."""
    return tag("div", inner, class_=f"scroll {kind}".strip())


def _kind(cell: Any) -> str | None:
    """The class of a cell: of a number, or of a text that is long enough to be broken."""
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return "n"
    return "long" if len(str(shown(cell))) > SHORT else None


def shown(value: Any) -> Any:
    """A cell's value for people."""
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
    """``value`` as strict JSON that may stand inside a script element."""
    text = files.dumps(value)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Html(text)

"""The tables of the report, and its numbers as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from linnet.core.html import Html, tag
from linnet.core.language import tr
from linnet.core.text import cell, numeric

SHORT = 40
"""The most letters of a text that is not wrapped in a table: that of a score with its interval."""


class Fixed(float):
    """A proportion that is always shown with four decimals."""


class Long(str):
    """A text that may be wrapped, however short it is."""


class Share(Fixed):
    """A proportion with a bar of its length."""


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
    numeric = {heading for row in cells for one, heading in row if _kind(one) == "n"}
    head = (tag("th", h, scope="col", class_="n" if h in numeric else None) for h in headings)
    body = [
        tag(
            "tr",
            *(
                tag(
                    "td",
                    _bar(one),
                    shown(one),
                    class_="n" if one is None and heading in numeric else _kind(one),
                    data_head=heading if blocks else None,
                )
                for one, heading in row
            ),
        )
        for row in cells
    ]
    top = tag("thead", tag("tr", *head)) if any(headings) else Html()
    label = ", ".join(str(heading) for heading in headings[:3] if heading)
    return scroll(tag("table", top, tag("tbody", *body)), "blocks" if blocks else "", label)


def _bar(value: Any) -> Html:
    if not isinstance(value, Share) or not 0 <= value <= 1:
        return Html()
    return tag("span", class_="share", style=f"width:{3 * value:.2f}rem")


def scroll(inner: Html, kind: str = "", label: str = "") -> Html:
    """A box that scrolls if its content is wider or higher than it; a shadow shows that it does.
    The keyboard reaches it, and ``label`` says what it is."""
    name = label or tr("table")
    return tag(
        "div", inner, class_=f"scroll {kind}".strip(), tabindex=0, role="group", aria_label=name
    )


def _kind(value: Any) -> str | None:
    """The CSS class of a cell: "n" for a number, "long" for a text that may be wrapped."""
    if numeric(value):
        return "n"
    if value is None:
        return "void"
    return "long" if isinstance(value, Long) or len(str(shown(value))) > SHORT else None


def shown(value: Any) -> Any:
    """The value of a cell, formatted for people."""
    return f"{value:.4f}" if isinstance(value, Fixed) else cell(value)

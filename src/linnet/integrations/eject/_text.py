"""Pieces of code as text."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise

from linnet.errors import printable

WIDTH = 100


def code(text: str, **pieces: str) -> str:
    """``text`` without its indentation, with each ``$name`` replaced by a piece. All lines of the
    piece get the indentation of the line with the name. A line with only an empty piece is
    removed."""
    lines = []
    for line in textwrap.dedent(text).strip("\n").split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        shown = {k: textwrap.indent(v, indent).removeprefix(indent) for k, v in pieces.items()}
        whole = re.sub(r"\$(\w+)", partial(_piece, shown), line)
        if whole.strip() or not line.strip().startswith("$"):
            lines.append(whole.rstrip())
    return "\n".join(lines)


def _piece(pieces: Mapping[str, str], match: re.Match[str]) -> str:
    return pieces[match[1]]


def quoted(text: str) -> str:
    """Any string as a Python literal in double quotes; what does not print is escaped."""
    return printable(json.dumps(text, ensure_ascii=False), spaces=False)


def plain(text: str) -> str:
    """Text from a file, made safe for a docstring: it cannot end it."""
    return "".join(letter for letter in text if letter.isprintable() and letter not in '"\\')


def commas(values: Iterable[object]) -> str:
    """Values with commas between them."""
    return ", ".join(map(str, values))


def spread(start: str, items: Sequence[str], end: str, indent: int = 0) -> str:
    """``start``, items with commas, ``end``: on one line if it fits, else on several; the first
    line is indented by ``indent``."""
    body = commas(items)
    if indent + len(start) + len(body) + len(end) <= WIDTH:
        return f"{start}{body}{end}"
    if indent + 4 + len(body) <= WIDTH and not end.startswith(("}", "]")):
        return f"{start}\n    {body}\n{end}"
    return f"{start}\n" + "".join(f"    {item},\n" for item in items) + end


def script(*sections: str) -> str:
    """Join sections: two empty lines around definitions, one between other sections."""
    kept = [section.strip("\n") for section in sections if section.strip()]
    text = kept[0]
    for before, section in pairwise(kept):
        defines = section.startswith(("def ", "class ", "@")) or _ends_in_block(before)
        text += ("\n\n\n" if defines else "\n\n") + section
    return text + "\n"


def _ends_in_block(section: str) -> bool:
    """Whether a section ends inside a function or class."""
    for line in reversed(section.split("\n")):
        if line and not line[0].isspace() and line[0] not in ")]}":
            return line.startswith(("def ", "class ", "@"))
    return False

"""Numbers, names and lists as text."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import IO, Any

from linnet.errors import printable


def say(text: object = "", *, error: bool = False) -> None:
    """Print one line, made safe for a terminal, on standard output, or on standard ``error``.

    Nothing else in linnet prints, except strict JSON, TOML and Python, which escape by their own
    rules, and Rich, which gets the text from ``printable``.
    """
    stream: IO[str] = sys.stderr if error else sys.stdout
    print(printable(text), file=stream, flush=True)


def percent(share: float) -> str:
    """A share as a percentage with two decimals."""
    return f"{100 * share:.2f} %"


def plural(count: int, word: str) -> str:
    """``word``, in the plural unless ``count`` is 1."""
    if count == 1:
        return word
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("s") else f"{word}s"


def counted(count: int, word: str) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{count:,} {plural(count, word)}"


def cut(text: str, most: int, end: str = "…") -> str:
    """The text, at most ``most`` characters of it, with ``end`` where the rest was cut off."""
    return text if len(text) <= most else text[: most - len(end)] + end


def literal(value: object) -> str:
    """A value as Python writes it, cut after 60 characters."""
    return cut(repr(value), 60, "...")


def listed(items: Collection[object], most: int) -> str:
    """The first ``most`` items."""
    return ", ".join(map(str, islice(items, most))) + (", ..." if len(items) > most else "")


def of_path(path: str | Path) -> str:
    """A path as text that can be printed and stored, also if its bytes are not UTF-8."""
    return os.fsencode(path).decode(errors="replace")


MOST_STEM_BYTES = 100
"""The most bytes of a name that linnet gives to a file or folder: systems allow 255."""

UNSEEN = "\u115f\u1160\u3164\uffa0"
"""Letters that show nothing: the fillers of Hangul."""


def stem(text: str) -> str:
    """``text`` as a part of the name of a new file or folder, safe in shells, addresses and pages.

    Letters, their marks, and digits of all scripts stay, in the form NFC; so do ``_``, ``.`` and
    ``-`` within. Anything else, however much of it, becomes one ``_``. Cut after
    ``MOST_STEM_BYTES`` bytes of UTF-8; may be empty.
    """
    plain = "".join(
        sign if sign in "_.-" or _written(sign) else "\0"
        for sign in unicodedata.normalize("NFC", text)
    )
    name = re.sub("\0+", "_", plain)
    return name.strip("._-").encode()[:MOST_STEM_BYTES].decode(errors="ignore").strip("._-")


def _written(sign: str) -> bool:
    """Whether it is a letter, the mark of one, or a digit, that can be seen."""
    return unicodedata.category(sign)[0] in "LMN" and sign not in UNSEEN


def cell(value: Any) -> Any:
    """A value of a table for people: numbers and truth values as text, others as they are."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value

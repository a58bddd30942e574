"""Numbers, names and lists as text."""

from __future__ import annotations

import math
import os
import re
import sys
import unicodedata
from collections.abc import Collection
from itertools import islice
from typing import IO, Any

from linnet.errors import printable

WIDTH = 80
"""The columns of a terminal that does not say how many it has."""

CHINESE = re.compile(
    r"(?<=[\u3001-\u9fff\uff00-\uffef])(?<!（)(?![，。；：、？！）％]|$)|(?<=\w)(?=[（\u4e00-\u9fff])"
)
"""Where a line of Chinese may end: after a character that is no opening bracket, and before one."""

WHOLE = 1e12
"""Numbers from a thousand to this are shown as whole numbers, larger ones as powers of ten."""


def say(text: object = "", *, error: bool = False, indent: int = 0) -> None:
    """Print one message, made safe for a terminal, on standard output, or on standard ``error``.

    In a terminal it is broken between words at the terminal's width; lines after the first begin
    with ``indent`` spaces. Elsewhere it is one line.

    Nothing else in linnet prints, except strict JSON, TOML and Python, which escape by their own
    rules, and Rich, which gets the text from ``printable``.
    """
    stream: IO[str] = sys.stderr if error else sys.stdout
    message = printable(text)
    if stream.isatty():
        message = "\n".join(wrapped(message, width_of(stream), indent))
    print(message, file=stream, flush=True)


def width_of(stream: IO[str]) -> int:
    """The columns of the terminal of ``stream``; the variable ``COLUMNS`` overrides it."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """``text`` in lines of at most ``width`` columns of a terminal, broken between words, but not
    before a %; lines after the first begin with ``indent`` spaces. Chinese is broken between
    characters, but not before a mark that ends something.

    A longer word, such as an address or a path, has a line of its own, and is not broken.
    """
    lines, line = [], ""
    words = [CHINESE.split(word) for word in re.split(" (?!%)", text.lstrip(" "))]
    start = text[: len(text) - len(text.lstrip(" "))]
    for between, part in ((" " * (n == 0), part) for word in words for n, part in enumerate(word)):
        longer = f"{line}{between}{part}" if line else f"{start}{part}"
        if line and columns(longer) > width:
            lines.append(line)
            longer = f"{start}{part}"
        line, start = longer, " " * min(indent, width // 2)
    return [*lines, line]


def columns(text: str) -> int:
    """How many columns of a terminal ``text`` takes: two for a wide character, such as a Chinese
    one, and none for an accent that is a character of its own."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def figure(value: float, digits: int = 4) -> str:
    """A number for people: ``0.0125``, ``54.31``, ``18,574``.

    It has ``digits`` significant digits, and all of them before the point: a number from 1,000 up
    is whole, and has commas. Only below 0.0001 and from ``WHOLE`` up it is written with a power of
    ten.
    """
    value = up(value)
    if not math.isfinite(value) or abs(value) < 1 or abs(value) >= WHOLE:
        return f"{value:z.{digits}g}"
    places = max(0, digits - len(str(int(abs(value)))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def up(value: float) -> float:
    """A number a hair further from 0, so that a tie is rounded away from 0. The live page does the
    same: else it would show an accuracy of 29 in 32 rows as 90.63 %, and the verdict as 90.62 %."""
    far = value * (1 + sys.float_info.epsilon)
    return far if math.isfinite(far) else value


def fixed(value: float) -> str:
    """A number that changes as one looks, such as a loss: four decimals, from 1,000 up none."""
    return f"{up(value):.4f}" if abs(value) < 1000 else figure(value)


def percent(share: float) -> str:
    """A share as a percentage with two decimals."""
    return f"{up(100 * share):z.2f} %"


def likely(probability: float) -> str:
    """A probability as a percentage with two decimals: ``99.97 %``; ``<0.01 %`` and ``>99.99 %``
    where these would be 0 or 100 and the probability is not."""
    if 0 < probability < 0.0001:
        return "<0.01 %"
    return ">99.99 %" if 0.9999 < probability < 1 else percent(probability)


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


def of_path(path: str | os.PathLike[str]) -> str:
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


def numeric(value: Any) -> bool:
    """Whether a cell of a table is a number or a percentage, which stand right."""
    if isinstance(value, str):
        return value.endswith(" %") and value[0] in "0123456789<>-"
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def cell(value: Any) -> Any:
    """A value of a table for people: numbers and truth values as text, others as they are."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return figure(value)
    return value

"""The language of what people read: English in the code, others from a catalogue of strings.

The catalogues are those of the standard library's gettext: ``words/<language>/LC_MESSAGES/
linnet.po`` for people, ``linnet.mo`` beside it for the program. Records, recipes and every JSON of
a run are not translated.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from linnet.errors import InputError

LANGUAGES = ("en", "zh")
"""The languages there are; the first is that of the code."""

VARIABLE = "LINNET_LANG"
"""The environment variable that names a language where no option does."""

_CATALOGUES = Path(__file__).with_name("words")
_chosen: ContextVar[str | None] = ContextVar("language", default=None)


def tr(text: str, /, **values: object) -> str:
    """``text`` in the language that is in force, with ``values`` put at its ``{placeholders}``.

    A text that the catalogue lacks stays English. Without ``values`` braces are left as they are.
    """
    language = current()
    found = text
    if text and language != LANGUAGES[0]:
        found = _catalogue(language).gettext(text)
    return found.format(**values) if values else found


def trn(one: str, many: str, count: int, /, **values: object) -> str:
    """``one`` if the count is 1, else ``many``, in the language that is in force; both have the
    place ``{n}`` for the count."""
    language, found = current(), one if count == 1 else many
    if language != LANGUAGES[0]:
        found = _catalogue(language).ngettext(one, many, count)
    return found.format(n=f"{count:,}", **values)


def marked(text: str) -> str:
    """``text`` itself; the catalogue gets it, for a ``tr`` elsewhere that does not name it."""
    return text


def current() -> str:
    """The language in force: the innermost ``language``, else ``LINNET_LANG``, else English.

    Raises:
        InputError: ``LINNET_LANG`` names a language that there is not.
    """
    return _chosen.get() or known(os.environ.get(VARIABLE) or LANGUAGES[0], VARIABLE)


@contextmanager
def language(name: str | None) -> Iterator[None]:
    """Let ``tr`` speak ``name`` inside the block; None changes nothing.

    Raises:
        InputError: there is no such language.
    """
    token = _chosen.set(_chosen.get() if name is None else known(name, "lang"))
    try:
        yield
    finally:
        _chosen.reset(token)


def known(name: str, what: str) -> str:
    """The language ``name`` as linnet calls it: ``zh`` for zh_CN, zh-CN and zh_CN.UTF-8 too."""
    short = name.replace("_", "-").split("-")[0].split(".")[0].lower()
    if short not in LANGUAGES:
        raise InputError(f"{what}={name}: expected one of {', '.join(LANGUAGES)}")
    return short


@cache
def _catalogue(name: str) -> gettext.NullTranslations:
    return gettext.translation("linnet", _CATALOGUES, [name], fallback=True)

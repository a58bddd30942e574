"""Tables of parts: a plain dict, name -> "module:attribute", imported only when looked up."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from linnet.errors import RecipeError

LISTED = 30
"""The most names in a message."""


def suggest(name: str, names: Iterable[str]) -> str:
    """``did you mean "x"?`` for the nearest of ``names``, else a list of them."""
    known = sorted(names)
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    more = ", ..." if len(known) > LISTED else ""
    return f'did you mean "{close[0]}"?' if close else f"known: {', '.join(known[:LISTED])}{more}"


def lookup(table: Mapping[str, str], name: str, kind: str) -> Any:
    """The object that ``table`` lists under ``name``; the message calls it ``kind`` ("solver")."""
    if name not in table:
        raise RecipeError(f'unknown {kind} "{name}"; {suggest(name, table)}')
    module, attribute = table[name].split(":")
    return getattr(import_module(module), attribute)

"""Tables of parts: a plain dict, name -> "module:attribute"; a part is imported when looked up.

Other packages add parts by entry points, in a group with the table's name (``linnet.networks``,
``linnet.objectives``, ``linnet.solvers``, ``linnet.sources``). Such a part is imported only after
the user has named it (``allow``), so a file that linnet reads cannot cause an import.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from linnet.core.text import listed
from linnet.errors import RecipeError

LISTED = 30
"""The most names in a message."""

_allowed: set[str] = set()


def allow(names: Iterable[str]) -> None:
    """Allow imports of the parts with these names from other packages, until this process ends.
    Names that no package has are ignored."""
    _allowed.update(names)


def suggest(name: str, names: Iterable[str]) -> str:
    """``did you mean "x"?`` for the most similar of ``names``, or else a list of them."""
    known = sorted(names)
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else f"known: {listed(known, LISTED)}"


def others(group: str) -> dict[str, str]:
    """The parts of installed packages: name -> "module:attribute"; imports nothing."""
    return {point.name: point.value for point in entry_points(group=group)}


def allowed(group: str) -> dict[str, str]:
    """Those of ``others`` that the user has named; without a name nothing is searched."""
    if not _allowed:
        return {}
    return {name: place for name, place in others(group).items() if name in _allowed}


def known(table: Mapping[str, str], name: str, kind: str, group: str | None = None) -> None:
    """Raise ValueError for a name that neither the table nor another package has."""
    if name not in table and not (group and name in others(group)):
        raise ValueError(f'unknown {kind} "{name}"; {suggest(name, table)}')


def lookup(table: Mapping[str, str], name: str, kind: str, group: str | None = None) -> Any:
    """The object with the name ``name`` in ``table``, or in ``group`` if the user has named it.

    Raises ``RecipeError``, whose message calls it a ``kind`` ("solver").
    """
    place = table.get(name)
    if place is None and group is not None:
        place = others(group).get(name)
        if place is not None and name not in _allowed:
            raise RecipeError(
                f'the {kind} "{name}" is code of another package, {place.split(":")[0]}, which is '
                f'used only if you name it yourself: plugins=["{name}"], or --plugin {name}'
            )
    if place is None:
        raise RecipeError(f'unknown {kind} "{name}"; {suggest(name, table)}')
    return load(place)


def load(place: str) -> Any:
    """The object at "module:attribute"; never call it with a place from a file."""
    module, attribute = place.split(":")
    return getattr(import_module(module), attribute)

"""Check whether a run may be resumed: only with the same data, recipe, versions and threads.

Its data and its parts stay as they are, whatever is allowed: else it would be tested on rows that
it was trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from linnet.core.files import Place, canonical
from linnet.core.registry import suggest
from linnet.errors import InputError, RecipeError
from linnet.fit.recipe import Recipe
from linnet.fit.settings import read_recipe
from linnet.runs import directory

FREE = ("checkpoint_every", "data")
"""Settings that may differ: they change no result. The data is compared by its fingerprint."""

DIVIDING = ("test", "valid", "folds", "split", "group", "time")
"""Settings that divide the rows into parts."""

KEPT = (*DIVIDING, "data")
"""What cannot be allowed to differ."""

VERSIONS = ("linnet", "torch", "numpy")
"""Packages of which another version may give other bits."""


def recipe_of(path: Place) -> Recipe:
    """The resolved recipe of the run in ``path``."""
    place = path / directory.RECIPE
    if not directory.holds(path, directory.RECIPE):
        raise InputError(
            f"{path} holds no {directory.RECIPE}: not a run, or one that ended before training; "
            "remove it and start again"
        )
    return Recipe.make(read_recipe(place), str(place))


def identity(recipe: Recipe) -> str:
    """A sha256 of the settings that change a result."""
    plain = {key: value for key, value in recipe.plain().items() if key not in FREE}
    return hashlib.sha256(canonical(plain)).hexdigest()


def differences(
    path: Path,
    recipe: Recipe,
    fingerprint: str,
    threads: int,
    versions: Mapping[str, str],
    ranks: int = 1,
) -> dict[str, str]:
    """The differences between the run in ``path`` and now, by name, with both values.

    ``fingerprint`` is that of the data, ``ranks`` the number of processes that train together.
    """
    found = {**changed_settings(path, recipe), **changed_data(path, fingerprint)}
    info = directory.read_info(path)
    if info.get("threads") != threads:
        found["threads"] = f"{threads}, and was {info.get('threads')}"
    if info.get("ranks", 1) != ranks:
        found["ranks"] = f"{ranks}, and was {info.get('ranks', 1)}"
    for name in VERSIONS:
        old = info.get("versions", {}).get(name)
        if old != versions.get(name):
            found[name] = f"{versions.get(name)}, and was {old}"
    return found


def changed_data(path: Path, fingerprint: str) -> dict[str, str]:
    """The difference "data", if the data of the run in ``path`` has another fingerprint."""
    same = directory.read_info(path).get("data", {}).get("fingerprint") == fingerprint
    return {} if same else {"data": "not the data of the run: its fingerprint differs"}


def changed_settings(path: Path, recipe: Recipe) -> dict[str, str]:
    """The settings in which ``recipe`` differs from the recipe of the run in ``path``."""
    before, now = recipe_of(path).plain(), recipe.plain()
    return {
        key: f"{now.get(key)}, and was {before.get(key)}"
        for key in dict.fromkeys([*before, *now])
        if key not in FREE and before.get(key) != now.get(key)
    }


def check(path: Path, found: Mapping[str, str], allow: Sequence[str]) -> None:
    """Raise ``InputError`` if there are differences that ``allow`` does not name, or that cannot be
    allowed."""
    names = [name for name in Recipe.model_fields if name not in KEPT] + [
        "threads",
        "ranks",
        *VERSIONS,
    ]
    for name in allow:
        if name in (*KEPT, "split"):
            raise RecipeError(
                f'cannot allow "{name}": a run that goes on keeps its data and its parts, so that '
                "it is not tested on rows that it was trained on; train a new run"
            )
        if name not in names:
            raise RecipeError(
                f'cannot allow "{name}": there is no such setting; {suggest(name, names)}'
            )
    refused = [name for name in found if name not in allow]
    if not refused:
        return
    lines = "; ".join(f"{name} is {found[name]}" for name in refused)
    fixed = [name for name in refused if name in KEPT]
    then = "continue with another result: " + " ".join(f"--allow {name}" for name in refused)
    if fixed:
        then = f"train a new run: a run that goes on keeps its {' and '.join(fixed)}"
    raise InputError(
        f"{path} cannot continue with the same result: {lines}. Change it back, or {then}"
    )

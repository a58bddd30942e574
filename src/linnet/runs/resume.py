"""May a run go on? Only as what it was: the same data, recipe, versions and threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from linnet.core.files import Place
from linnet.core.registry import suggest
from linnet.errors import InputError, RecipeError
from linnet.fit.recipe import Recipe
from linnet.fit.settings import read_recipe
from linnet.runs import directory

FREE = ("checkpoint_every", "data")
"""Settings that change no number; whether the data is the same, its fingerprint says."""

VERSIONS = ("linnet", "torch", "numpy")
"""Of which another one may give other bits."""


def recipe_of(path: Place) -> Recipe:
    """The resolved recipe of the run in ``path``."""
    place = path / directory.RECIPE
    if not path.is_dir():
        raise InputError(f"there is no run {path}")
    if not place.is_file():
        raise InputError(
            f"{path} holds no {directory.RECIPE}: no run, or one that ended before it began; "
            "remove it and start anew"
        )
    return Recipe.make(read_recipe(place), str(place))


def differences(
    path: Path, recipe: Recipe, data: Mapping[str, Any], threads: int, versions: Mapping[str, str]
) -> dict[str, str]:
    """In what going on would differ from how the run in ``path`` began: by name, both values.

    ``data`` has the ``fingerprint`` of the data and that of its ``split``.
    """
    before, now = recipe_of(path).plain(), recipe.plain()
    found = {
        key: f"{now.get(key)}, and was {before.get(key)}"
        for key in dict.fromkeys([*before, *now])
        if key not in FREE and before.get(key) != now.get(key)
    }
    if not (path / directory.RUN).is_file():
        return found  # it ended before it said more
    info = directory.read_info(path)
    made = info.get("data", {})
    if made.get("fingerprint") != data["fingerprint"]:
        found["data"] = "not what the run was made with: its fingerprint is another"
    elif made.get("split") != data["split"]:
        found["split"] = "another division of the rows"
    if info.get("threads") != threads:
        found["threads"] = f"{threads}, and was {info.get('threads')}"
    for name in VERSIONS:
        old = info.get("versions", {}).get(name)
        if old != versions.get(name):
            found[name] = f"{versions.get(name)}, and was {old}"
    return found


def check(path: Path, found: Mapping[str, str], allow: Sequence[str]) -> None:
    """Refuse to go on with differences that are not allowed by name."""
    names = (*Recipe.model_fields, "data", "split", "threads", *VERSIONS)
    for name in allow:
        if name not in names:
            raise RecipeError(
                f'nothing is called "{name}" that could be allowed; {suggest(name, names)}'
            )
    refused = [name for name in found if name not in allow]
    if refused:
        lines = "; ".join(f"{name} is {found[name]}" for name in refused)
        given = " ".join(f"--allow {name}" for name in refused)
        raise InputError(
            f"{path} cannot go on as it was: {lines}. Make it the same, or go on all the same, to "
            f"other numbers: {given}"
        )

"""Check whether a run may be resumed: only with the same data, recipe, versions and threads."""

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
"""Settings that may differ: they change no result. The data is compared by its fingerprint."""

VERSIONS = ("linnet", "torch", "numpy")
"""Packages of which another version may give other bits."""


def recipe_of(path: Place) -> Recipe:
    """The resolved recipe of the run in ``path``."""
    place = path / directory.RECIPE
    if not path.is_dir():
        raise InputError(f"there is no run {path}")
    if not place.is_file():
        raise InputError(
            f"{path} holds no {directory.RECIPE}: not a run, or one that ended before training; "
            "remove it and start again"
        )
    return Recipe.make(read_recipe(place), str(place))


def differences(
    path: Path, recipe: Recipe, data: Mapping[str, Any], threads: int, versions: Mapping[str, str]
) -> dict[str, str]:
    """The differences between the run in ``path`` and now, by name, with both values.

    ``data`` has the ``fingerprint`` of the data and that of its ``split``.
    """
    before, now = recipe_of(path).plain(), recipe.plain()
    found = {
        key: f"{now.get(key)}, and was {before.get(key)}"
        for key in dict.fromkeys([*before, *now])
        if key not in FREE and before.get(key) != now.get(key)
    }
    if not (path / directory.RUN).is_file():
        return found  # it ended before it wrote more
    info = directory.read_info(path)
    made = info.get("data", {})
    if made.get("fingerprint") != data["fingerprint"]:
        found["data"] = "not the data of the run: its fingerprint differs"
    elif made.get("split") != data["split"]:
        found["split"] = "another split of the rows"
    if info.get("threads") != threads:
        found["threads"] = f"{threads}, and was {info.get('threads')}"
    for name in VERSIONS:
        old = info.get("versions", {}).get(name)
        if old != versions.get(name):
            found[name] = f"{versions.get(name)}, and was {old}"
    return found


def check(path: Path, found: Mapping[str, str], allow: Sequence[str]) -> None:
    """Raise ``InputError`` if there are differences that ``allow`` does not name."""
    names = (*Recipe.model_fields, "data", "split", "threads", *VERSIONS)
    for name in allow:
        if name not in names:
            raise RecipeError(
                f'cannot allow "{name}": there is no such setting; {suggest(name, names)}'
            )
    refused = [name for name in found if name not in allow]
    if refused:
        lines = "; ".join(f"{name} is {found[name]}" for name in refused)
        given = " ".join(f"--allow {name}" for name in refused)
        raise InputError(
            f"{path} cannot continue with the same result: {lines}. Change it back, or continue "
            f"with another result: {given}"
        )

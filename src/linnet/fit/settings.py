"""Settings as people write them: a TOML file, ``key=value``, several values for a sweep."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from itertools import product
from typing import Any

from linnet.core import files
from linnet.core.files import Place
from linnet.errors import RecipeError
from linnet.fit.recipe import Recipe

TEXTS = {
    "data", "target", "drop", "missing", "split", "group", "time", "separator", "decimal",
    "encoding", "comment",
}  # fmt: skip
"""Keys whose values are text, even if they look like numbers."""

MAX_RECIPE_BYTES = 1 << 20
"""The most bytes of a TOML file; recipes have a few hundred."""


def read_recipe(path: Place) -> dict[str, Any]:
    """The settings in a TOML file."""
    try:
        with files.opened(path) as file:
            content = file.read(MAX_RECIPE_BYTES + 1)
        if len(content) > MAX_RECIPE_BYTES:
            raise RecipeError(f"{path}: more than {MAX_RECIPE_BYTES:,} bytes (MAX_RECIPE_BYTES)")
        return tomllib.loads(content.decode())
    except RecipeError:
        raise
    except RecursionError as error:
        raise RecipeError(f"{path}: not the TOML of a recipe: nested too deeply") from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot read: {error.strerror}") from error
    except ValueError as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error


def sweep(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The settings for each combination, where keys that take one value have a list of values."""
    many = {
        key: value
        for key, value in settings.items()
        if isinstance(value, list) and key in Recipe.model_fields and not Recipe.takes_several(key)
    }
    return [settings | dict(zip(many, values, strict=True)) for values in product(*many.values())]


def read_settings(texts: Sequence[str]) -> dict[str, Any]:
    """``key=value`` texts as on the command line, as settings. Commas make a list; numbers and
    booleans are recognised; ``columns.NAME=kind`` gives the kind of a column."""
    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if key.startswith("columns."):
            key, equals, value = text.rpartition("=")
            settings.setdefault("columns", {})[key.removeprefix("columns.")] = value.strip()
            continue
        if not equals or not key:
            raise RecipeError(f'--set {text}: expected key=value, such as "epochs=10"')
        parts = [part for part in value.split(",") if part]
        if key in TEXTS:
            several = key in ("target", "drop", "missing") and len(parts) > 1
            settings[key] = parts if several else value
        else:
            settings[key] = [_scalar(part) for part in parts] if "," in value else _scalar(value)
    return settings


def _scalar(text: str) -> bool | int | float | str:
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

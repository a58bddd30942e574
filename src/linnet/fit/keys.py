"""The keys of a recipe, for people: the default of each, what it takes, and what it says.

Defaults and values are those of the fields; what a key says is the docstring below its field.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from json import dumps
from typing import Any, NamedTuple

from linnet.core.closed import Closed
from linnet.core.registry import suggest
from linnet.data.reading import Reading
from linnet.errors import InputError
from linnet.fit.recipe import AUTO, Recipe, Watching
from linnet.line import SOLVERS
from linnet.line.settings import LineSettings
from linnet.net import OPTIMIZERS, SCHEDULES
from linnet.net.settings import NetSettings
from linnet.networks import BASELINE, NETWORKS
from linnet.objectives import OBJECTIVES

PARTS: Mapping[type[Closed], str] = {
    Recipe: "The data and the models",
    Reading: "How the data is read",
    LineSettings: "The line",
    NetSettings: "The nets",
    Watching: "The record",
}
"""The parts of a recipe, and their titles."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "model": (AUTO, *(name for name in NETWORKS if name != BASELINE)),
    "objective": ("auto", *OBJECTIVES),
    "solver": ("auto", *SOLVERS),
    "optimizer": tuple(OPTIMIZERS),
    "schedule": tuple(SCHEDULES),
}
"""The names that keys take, where other packages may add some."""


class Key(NamedTuple):
    """A key of a recipe: its name, the title of its part, its default as ``--set`` takes it ("": it
    has none), the values that it takes, and what it says."""

    name: str
    part: str
    default: str
    takes: str
    says: str


def keys() -> list[Key]:
    """All keys of a recipe."""
    usual = Recipe().plain()
    schema = Recipe.model_json_schema()["properties"]
    return [
        Key(name, title, written(usual[name]), takes(name, schema[name]), says)
        for part, title in PARTS.items()
        for name, says in _said(part)
    ]


def named(name: str) -> Key:
    """The key with this name; raises ``InputError`` if there is none."""
    known = {key.name: key for key in keys()}
    if name not in known:
        raise InputError(f'unknown key "{name}"; {suggest(name, known)}')
    return known[name]


def _said(part: type[Closed]) -> Iterator[tuple[str, str]]:
    """The fields that a class itself has, each with the docstring below it."""
    (body,) = ast.parse(inspect.getsource(part)).body
    assert isinstance(body, ast.ClassDef)
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            text = str(after.value.value) if told else ""  # type: ignore[attr-defined]
            yield field.target.id, " ".join(text.split())


def written(value: Any) -> str:
    """A value as ``--set`` takes it; "" for none."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(written, value))
    if value is None or value == {}:
        return ""
    return value if isinstance(value, str) else dumps(value)


def takes(name: str, schema: Mapping[str, Any]) -> str:
    """The values of a key in words, from its JSON schema."""
    kinds = list(dict.fromkeys([*CHOICES.get(name, ())] or _kinds(schema)))
    return " or ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)


def _kinds(schema: Mapping[str, Any]) -> Iterator[str]:
    """The values, or kinds of values, of a key."""
    kind = schema.get("type")
    if "examples" in schema:
        yield f"such as {' or '.join(map(str, schema['examples']))}"
    elif "enum" in schema or "const" in schema:
        yield from schema.get("enum", [schema.get("const")])
    elif "anyOf" in schema:
        among = [each for each in schema["anyOf"] if each.get("type") != "null"]
        anything = {"type": "boolean"} in among and {"type": "string"} in among
        limits = {key: schema[key] for key in ("gt", "ge") if key in schema}
        for each in [] if anything else among:
            if each != {"type": "integer"}:  # a number is there too
                yield from _kinds({**each, **limits})
        yield from ["a value"] if anything else []
    elif kind == "array":
        (each,) = _kinds(schema.get("items") or schema["prefixItems"][0])
        number = "two" if "prefixItems" in schema else "one or more"
        yield f"{number} {MANY.sub(lambda found: found[2] + 's', each)}"
    elif kind == "object":
        yield from _kinds(schema["additionalProperties"])
    elif kind in ("integer", "number"):
        yield ("a whole number" if kind == "integer" else "a number") + _range(schema)
    else:
        yield from {"boolean": ("true", "false"), "string": ("text",)}[str(kind)]


MANY = re.compile("^(a )?(text|value|whole number|number)")
"""What is many in a list."""

WORDS = {
    "minimum": "from", "ge": "from", "exclusiveMinimum": "above", "gt": "above",
    "maximum": "to", "exclusiveMaximum": "to below",
}  # fmt: skip
"""The limits of a number, in words."""


def _range(schema: Mapping[str, Any]) -> str:
    """The limits of a number, but for those that only the machine has."""
    found = ((word, schema[key]) for key, word in WORDS.items() if key in schema)
    return "".join(f" {word} {limit:,}" for word, limit in found if limit < 1 << 32)

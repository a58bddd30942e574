"""What a schema says and each request needs, worked out once for each model."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from linnet.fit.runtime import Runtime


class Facts(NamedTuple):
    """``names``: the classes as text; ``targets``: what is predicted; ``known``: the names that a
    row may have, used or not; ``tabular``: whether rows have names of columns."""

    names: tuple[str, ...]
    targets: tuple[str, ...]
    known: frozenset[str]
    tabular: bool


_FACTS: WeakKeyDictionary[Runtime, Facts] = WeakKeyDictionary()


def facts(runtime: Runtime) -> Facts:
    """The facts of a model."""
    found = _FACTS.get(runtime)
    if found is None:
        schema = runtime.schema
        fields = (field.name for field in schema.fields)
        known = frozenset((*schema.targets, *fields, *schema.columns))
        found = _FACTS[runtime] = Facts(schema.names, schema.targets, known, schema.tabular)
    return found

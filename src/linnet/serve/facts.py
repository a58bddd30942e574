"""What a schema says and each request needs, worked out once for each model."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from linnet.fit.runtime import Runtime


class Facts(NamedTuple):
    """``names``: the classes as text; ``targets``: what is predicted; ``tabular``: whether rows
    have names of columns."""

    names: tuple[str, ...]
    targets: tuple[str, ...]
    tabular: bool


_FACTS: WeakKeyDictionary[Runtime, Facts] = WeakKeyDictionary()


def facts(runtime: Runtime) -> Facts:
    """The facts of a model."""
    found = _FACTS.get(runtime)
    if found is None:
        schema = runtime.schema
        found = _FACTS[runtime] = Facts(schema.names, schema.targets, schema.tabular)
    return found

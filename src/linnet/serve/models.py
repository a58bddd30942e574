"""The models that a server has, by name."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.core.files import Place
from linnet.core.text import listed, stem
from linnet.errors import InputError, ModelError
from linnet.fit import runtime
from linnet.fit.runtime import Runtime
from linnet.networks import OWN
from linnet.runs import archive, directory
from linnet.serve.limits import BLOCK, HEAVY_BLOCK, INLINE_PARAMETERS

if TYPE_CHECKING:
    from torch import nn

    from linnet.data.schema import Schema

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A name that stands in an address as it is."""

MODEL_ENDING, RUN_ENDING = ".safetensors", ".zip"


@dataclass(frozen=True)
class Given:
    """A model as the user names it: its name in addresses, the run, zip or file, and which model of
    a run, None for the chosen one."""

    name: str
    path: Path
    model: str | None = None

    def seen(self) -> tuple[tuple[str, int, int, int], ...]:
        """What tells that the files have changed: their names, times, sizes and numbers."""
        found = []
        for path in self._files():
            about = path.stat()
            found.append((path.name, about.st_mtime_ns, about.st_size, about.st_ino))
        return tuple(found)

    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        names = [*self.path.glob(f"*{MODEL_ENDING}"), self.path / directory.METRICS]
        return sorted(path for path in names if path.exists())


@dataclass(frozen=True)
class Model:
    """A model that answers: ``runtime``, and for the page the ``others`` of its run. ``absent`` are
    models of the run that cannot be shown beside it, with the reasons."""

    given: Given
    runtime: Runtime
    others: tuple[Runtime, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.given.name

    @property
    def schema(self) -> Schema:
        return self.runtime.schema

    @cached_property
    def sha256(self) -> str:
        return self.runtime.sha256

    @property
    def version(self) -> str:
        """The version in protocols that have one: the begin of the sha256."""
        return self.sha256[:12]

    @cached_property
    def light(self) -> bool:
        """Whether a few rows take well under a millisecond."""
        layers = self.runtime.manifest.layers
        return (
            self.runtime.engine == "numpy"
            and self.runtime.manifest.model != "cnn"
            and sum(layer.parameters for layer in layers) <= INLINE_PARAMETERS
        )

    @property
    def block(self) -> int:
        """The rows after which work looks whether its request has ended."""
        return BLOCK if self.light else HEAVY_BLOCK

    @property
    def all(self) -> tuple[Runtime, ...]:
        """The chosen model, and the others of its run."""
        return (self.runtime, *self.others)


def given(texts: Sequence[str], model: str | None) -> list[Given]:
    """The models that the user names by ``PATH`` or ``NAME=PATH``, each name once."""
    found: list[Given] = []
    for text in texts:
        name, equals, path = text.partition("=")
        if equals and not os.path.lexists(text):
            if not NAME.fullmatch(name):
                raise InputError(
                    f"{text}: the name {name!r} cannot stand in an address; expected letters, "
                    "digits, _, . and -"
                )
        else:
            path = text
            name = _named(Path(path))
        if any(name == other.name for other in found):
            raise InputError(f"two models have the name {name!r}; name one of them: NAME={path}")
        found.append(Given(name, Path(path), model))
    return found


def _named(path: Path) -> str:
    """The name of a model by its path: that of the run, or of the file."""
    last = path.resolve().name
    for ending in (MODEL_ENDING, RUN_ENDING):
        last = last.removesuffix(ending)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem(last)).strip("-._")
    return name or "model"


def load(given: Given, network: nn.Module | None = None) -> Model:
    """The model from its files; ``network`` is the user's own module, for a model that is one."""
    place = archive.model_place(given.path, given.model)
    first = _runtime(place, network)
    if place == given.path:
        return Model(given, first)
    inside = archive.run_place(given.path)
    others, absent = [], []
    for name in directory.read_metrics(inside)["models"]:
        if name == first.manifest.model:
            continue
        try:
            others.append(_runtime(inside / f"{name}{MODEL_ENDING}", network))
        except ModelError as error:
            absent.append(f"{given.name}: {name} is not shown on the page: {error}")
    return Model(given, first, tuple(others), tuple(absent))


def _runtime(place: Place, network: nn.Module | None) -> Runtime:
    from linnet.fit.artifact import read_manifest

    own = network is not None and read_manifest(place).model == OWN
    return runtime.load(place, copy.deepcopy(network) if own else None)


def difference(old: Schema, new: Schema) -> str | None:
    """What a client of the ``old`` model would see change, in words; None if its requests stay
    right and its answers keep their form. Categories and ranges may differ: they were learnt."""
    pairs = {
        "the task": (old.task, new.task),
        "the target": (old.targets, new.targets),
        "the classes": (old.classes, new.classes),
        "the examples": (old.example, new.example),
    }
    if old.fields or new.fields:
        pairs["the columns"] = (_columns(old), _columns(new))
    else:
        pairs["the shape"] = (old.shape, new.shape)
        pairs["the columns"] = (old.columns, new.columns)
    for what, (before, after) in pairs.items():
        if before != after:
            return f"{what}: {_shown(before, after)} before, {_shown(after, before)} now"
    return None


def _columns(schema: Schema) -> tuple[str, ...]:
    used = [field for field in schema.fields if field.used]
    return tuple(f"{field.name} ({field.kind})" for field in used)


def _shown(some: object, others: object) -> str:
    """What differs of two values, or of two tuples the parts that the other one lacks."""
    if isinstance(some, tuple) and isinstance(others, tuple) and set(some) != set(others):
        return listed([each for each in some if each not in others], 5) or "none of these"
    return listed(some, 5) if isinstance(some, tuple) else str(some)


class Models(dict[str, Model]):
    """The models by name; the first is the default. A model is replaced by one assignment, so that
    a request keeps the one it began with."""

    @property
    def default(self) -> Model:
        return next(iter(self.values()))

    def newer(self, name: str, found: Model) -> None:
        """Take a newer model of this name; raises ``InputError`` if it has another form."""
        if (what := difference(self[name].schema, found.schema)) is not None:
            raise InputError(
                f"{found.given.path}: not taken, because it differs in {what}; the model before it "
                "goes on. Start the server again to serve it"
            )
        self[name] = replace(found, given=self[name].given)


def load_all(givens: Sequence[Given], network: nn.Module | None = None) -> Models:
    """All models, in order."""
    found: Mapping[str, Model] = {given.name: load(given, network) for given in givens}
    return Models(found)

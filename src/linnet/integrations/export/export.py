"""``linnet export``: write a finished model as a file that others can use."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.core import registry
from linnet.core.files import Place
from linnet.core.registry import lookup
from linnet.errors import InputError, WorkError
from linnet.fit import artifact, runtime
from linnet.fit.artifact import Artifact
from linnet.fit.runtime import Runtime
from linnet.integrations.export import ENDINGS, FORMS, PACKAGES
from linnet.networks import OWN
from linnet.runs import archive
from linnet.runs.run import Run

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Source:
    """The model that is written: ``name`` of ``run``, or of a file alone, whose ``run`` is None.

    ``path`` is the model's file. ``network`` is the user's own module, for the model "custom".
    ``data`` is the run's data, if it was an object in Python.
    """

    run: Run | None
    name: str
    path: Place
    network: nn.Module | None = None
    data: Any = None

    @cached_property
    def runtime(self) -> Runtime:
        """The model, for prediction alone."""
        return runtime.load(self.path, self._module(self.name))

    @cached_property
    def artifact(self) -> Artifact:
        """The model with its module."""
        return artifact.load(self.path, self._module(self.name))

    @property
    def beside(self) -> tuple[Place, ...]:
        """The files of the run's other models, in the run's order."""
        if self.run is None:
            return ()
        names = [name for name in self.run.scores.models if name != self.name]
        return tuple(self.run.place / f"{name}.safetensors" for name in names)

    def _module(self, name: str) -> nn.Module | None:
        """A copy of the user's own module, where the model is one."""
        import copy

        return copy.deepcopy(self.network) if name == OWN else None


@dataclass(frozen=True)
class Exported:
    """What was written to ``path``: ``told`` are sentences about it, ``facts`` the same as JSON."""

    path: Path
    told: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def export(
    run: Run | str | os.PathLike[str],
    to: str,
    *,
    out: str | os.PathLike[str] | None = None,
    model: str | None = None,
    network: nn.Module | None = None,
    data: Any = None,
    plugins: Sequence[str] = (),
) -> Path:
    """Write the chosen model of a run, or ``model``, in the form ``to``; returns the path.

    ``to`` is "onnx" (one file from raw columns or pixels to probabilities), "mlflow" (a folder) or
    "page" (one HTML file). ``run`` may also be a zip of a run, or a model's file. Without ``out``
    the name is made of those of the run and the model, in the working directory. If the model was
    trained from a module of your own, pass such a module as ``network``. ``data`` is the run's
    data, if it was an object in Python: the written file is compared with the model on its rows.

    Raises ``InputError`` for what the form cannot hold, and ``WorkError`` if a package is missing,
    or if what was written does not predict as the model does; then there is no file.
    """
    found = exported(run, to, out=out, model=model, network=network, data=data, plugins=plugins)
    return found.path


def exported(
    run: Run | str | os.PathLike[str],
    to: str,
    *,
    out: str | os.PathLike[str] | None = None,
    model: str | None = None,
    network: nn.Module | None = None,
    data: Any = None,
    plugins: Sequence[str] = (),
) -> Exported:
    """The same as ``export``, with what is to be said about the file."""
    if to not in FORMS:
        raise InputError(f'cannot export to "{to}"; {registry.suggest(to, FORMS)}')
    require(to, PACKAGES.get(to, ()))
    if to == "onnx" and network is not None:
        require("a module of your own as ONNX", ["onnxscript"], "onnxscript")
    registry.allow(plugins)
    found = source(run, model, network, data)
    place = _out(found, to) if out is None else Path(out)
    if not place.parent.is_dir():
        raise InputError(f"{place}: there is no folder {place.parent}; make it first")
    write: Callable[[Source, Path], Exported] = lookup(FORMS, to, "form")
    return write(found, place)


def source(
    run: Run | str | os.PathLike[str],
    model: str | None = None,
    network: nn.Module | None = None,
    data: Any = None,
) -> Source:
    """The model ``model`` of a run, a zip of a run or a model's file; by default the chosen one."""
    given = run.path if isinstance(run, Run) else Path(run)
    place = archive.model_place(given, model)
    if place == given:  # a model's file
        name = artifact.read_manifest(place).model
        return Source(None, name, place, network, data)
    whole = run if isinstance(run, Run) else Run(given)
    return Source(whole, model or whole.chosen, place, network, data)


def require(what: str, packages: Sequence[str], install: str | None = None) -> None:
    """Raise ``WorkError`` if a package is missing, with the command that installs it: ``install``,
    or the extra of the same name."""
    absent = [name for name in packages if find_spec(name) is None]
    if absent:
        wanted = install or f"'linnet[{what}]'"
        raise WorkError(f"{what} needs the package {absent[0]}: pip install {wanted}")


def _out(source: Source, to: str) -> Path:
    """The name of the file, if none is given; it must be new."""
    known = Path(str(source.path)).stem
    stem = known if source.run is None else f"{source.run.name}-{source.name}"
    place = Path(f"{stem}{ENDINGS[to]}")
    if place.exists() or place.is_symlink():
        raise InputError(f"{place} exists; remove it, or name another file: --out NAME (out=...)")
    return place


def written(place: Path, content: bytes) -> int:
    """Replace the file ``place`` by ``content``; returns its bytes."""
    from linnet.core import files

    if place.is_dir():
        raise InputError(f"{place} is a folder; expected the name of a file")
    files.write(place, content)
    return len(content)

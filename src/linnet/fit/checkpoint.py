"""Checkpoints: the state of a fit on disk, from which a run can continue.

A checkpoint is one ``.safetensors`` file, written atomically: the tensors, and all other state as
JSON. Only the same version of linnet can read it, and it is not a model file. The newest checkpoint
is the one with the largest number; file times are not used. The checkpoint before it is kept too,
and is used if the newest is damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.core import files
from linnet.core.events import Finding
from linnet.core.every import Every
from linnet.core.record import Reason, Record, Step
from linnet.errors import InputError, Interrupted, LinnetWarning, ModelError, WorkError
from linnet.fit import artifact

if TYPE_CHECKING:
    from torch import Tensor, nn

    from linnet.fit.artifact import Artifact

FOLDER = "checkpoints"
FORMAT = 1
KEPT = 2

EPOCH_SECONDS = 5.0
"""By default a checkpoint is written at the end of an epoch, if the last one is older than this."""

MOST_SECONDS = 30.0
"""If the last checkpoint is older than this, one is written after any step."""

NAME = re.compile(r"(\d{8})\.safetensors")


BY_DEFAULT = Every()


class Stop:
    """A request to stop. A fit stops after its next step, when it has written a checkpoint."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.heeded = False
        """Whether a fit is in progress that will obey the request."""


@dataclass(frozen=True)
class Owner:
    """The run that a checkpoint belongs to: its id, the fingerprints of its data and of its split,
    and the identity of its recipe. ``recipes`` are those that the run has had."""

    run: str = ""
    data: str = ""
    split: str = ""
    recipe: str = ""
    recipes: tuple[str, ...] = ()

    def plain(self) -> dict[str, str]:
        """What a checkpoint holds of it."""
        return {"run": self.run, "data": self.data, "split": self.split, "recipe": self.recipe}

    def check(self, found: Any, path: Path) -> None:
        """Raise ``InputError`` if a checkpoint belongs to another run."""
        found = found if isinstance(found, dict) else {}
        wrong = [key for key in ("run", "data", "split") if found.get(key) != getattr(self, key)]
        if self.recipes and found.get("recipe") not in self.recipes:
            wrong.append("recipe")
        if wrong:
            raise InputError(
                f"{path}: a checkpoint of another run: its {' and '.join(wrong)} "
                f"{'is' if len(wrong) == 1 else 'are'} not this run's; put the run's own "
                f"checkpoints back, or remove {path.parent} to begin the fits anew"
            )


class Checkpoints:
    """The checkpoints of a run, in ``folder``; ``every`` is a recipe's ``checkpoint_every``.

    Each names its ``owner``, and holds the state of a fit and the names of the models that are
    ``done``. It also counts the events of ``record``; these are synced to disk before the
    checkpoint is written. If a checkpoint cannot be written, the record gets a finding.
    """

    def __init__(
        self,
        folder: Path,
        every: Every = BY_DEFAULT,
        stop: Stop | None = None,
        record: Record | None = None,
        owner: Owner | None = None,
    ) -> None:
        self.folder = folder
        self.owner = owner or Owner()
        self.stop = stop
        self.record = record or Record()
        self.done: dict[str, str] = {}
        """The models that are fitted, with the sha256 of their files in ``folder``. Each is saved
        before a checkpoint names it."""

        self.held: dict[str, Tensor] = {}
        """The raw predictions of held-out rows of the models that were fitted by folds."""

        self._unsaved: list[Artifact] = []
        self._every = every
        self._number = max(map(_number, kept(folder)), default=0)
        self._saved = time.monotonic()

    def keep(self, model: Artifact, state: Mapping[str, Any]) -> None:
        """Add a fitted model; write a checkpoint if the last one is old."""
        self.keep_again(model)
        if self.due(Step(0, complete=True)):
            self.save({**state, "model": None})

    def keep_again(self, model: Artifact) -> None:
        """Add a fitted model to those of the next checkpoint."""
        self._unsaved.append(model)
        if model.held is not None:
            self.held[model.manifest.model] = model.held

    def place(self, model: str) -> Path:
        """The file of a model that is done."""
        return self.folder / f"{model}.safetensors"

    def load(
        self, model: str, sha256: str, network: nn.Module | None, held: Tensor | None = None
    ) -> Artifact | None:
        """A model that a checkpoint says is done, with what it has ``held``; None, with a warning,
        if its file is not the one that the checkpoint means. It must then be fitted again, to the
        same result."""
        path = self.place(model)
        try:
            if hashlib.sha256(files.read(path)).hexdigest() != sha256:
                raise ModelError(f"{path}: not the file that the checkpoint was made with")
            found = artifact.load(path, network)
        except (OSError, ModelError) as error:
            what = f"{path}: cannot read" if isinstance(error, OSError) else error
            text = f"{what}; {model} is fitted again"
            warnings.warn(text, LinnetWarning, stacklevel=2)
            return None
        self.done[model] = sha256
        if held is not None:
            self.held[model] = held
        return replace(found, held=held)

    @contextlib.contextmanager
    def heeding(self) -> Iterator[None]:
        """Mark a fit in progress: it writes a checkpoint before it stops."""
        if self.stop is None:
            yield
            return
        self.stop.heeded = True
        try:
            yield
        finally:
            self.stop.heeded = False

    def due(self, step: Step) -> bool:
        """Whether a checkpoint should be written after ``step``."""
        if self.stop is not None and self.stop.signal is not None:
            return True
        if self._every.unit == "steps":
            return step.index > 0 and self._every.due(step)
        age = time.monotonic() - self._saved
        if self._every.unit == "seconds":
            return age >= self._every.number
        return age >= MOST_SECONDS or (step.complete and age >= EPOCH_SECONDS)

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint of ``state``; if the disk refuses, warn and continue.

        Then raises ``Interrupted`` if a stop was requested.
        """
        self.record.sync()
        try:
            self.write(state)
        except WorkError as error:
            self._saved = time.monotonic()
            text = f"not saved: {error}; the checkpoint before it is kept; training continues"
            self.record.write(Finding(model=state["model"], severity="warning", text=text))
            warnings.warn(text, LinnetWarning, stacklevel=2)
            if self.stop is not None and self.stop.signal is not None:
                raise Interrupted(self.stop.signal) from error
            return
        if self.stop is not None and self.stop.signal is not None:
            raise Interrupted(self.stop.signal)

    def write(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint of ``state``: numbers, text, lists, mappings and tensors."""
        import torch
        from safetensors.torch import save

        files.make_folder(self.folder)
        while self._unsaved:
            name = self._unsaved[0].manifest.model
            self._unsaved[0].save(self.place(name))
            self.done[name] = hashlib.sha256(files.read(self.place(name))).hexdigest()
            self._unsaved.pop(0)
        tensors: dict[str, Tensor] = {}
        plain = {
            "format": FORMAT,
            "of": self.owner.plain(),
            "state": encode({**state, "done": self.done, "held": self.held}, tensors),
            "provenance": {},
        }
        copies = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()  # safetensors cannot store shared tensors
        }
        content = {name: artifact.bytes_of(tensor) for name, tensor in copies.items()}
        plain["provenance"] = {"sha256": artifact.digest(plain, content)}
        path = self.folder / f"{self._number + 1:08d}.safetensors"
        files.write(path, save(copies, {"linnet": files.canonical(plain).decode()}))
        self._number += 1
        self._saved = time.monotonic()
        for old in kept(self.folder)[:-KEPT]:
            old.unlink(missing_ok=True)


def newest(folder: Path, owner: Owner | None = None) -> dict[str, Any] | None:
    """The state in the newest undamaged checkpoint in ``folder``; warns of each damaged one.

    Raises ``InputError`` for a checkpoint of another run than ``owner``, or of a later format.
    """
    for path in reversed(kept(folder)):
        try:
            return read(path, owner)
        except ModelError as error:
            text = f"{error}; the checkpoint before it is used"
            warnings.warn(text, LinnetWarning, stacklevel=2)
    return None


def read(path: Path, owner: Owner | None = None) -> dict[str, Any]:
    """The state in a checkpoint of the run ``owner``."""
    plain, entries, begin, size = artifact.read_header(path)
    if isinstance(plain, dict) and type(plain.get("format")) is int:
        files.check_format(plain, FORMAT, path)
    if not isinstance(plain, dict) or plain.keys() != {"format", "of", "state", "provenance"}:
        raise ModelError(f"{path}: not a checkpoint of linnet")
    made = plain["provenance"]
    parts = artifact.read_parts(path, entries, begin, size)
    if not isinstance(made, dict) or artifact.digest(plain, parts) != made.get("sha256"):
        raise ModelError(f"{path}: damaged: the sha256 in it is not that of its content")
    if owner is not None:
        owner.check(plain["of"], path)
    try:
        state = decode(plain["state"], artifact.tensors_of(entries, parts))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: no state of a fit") from error
    if not isinstance(state, dict):
        raise ModelError(f"{path}: no state of a fit")
    return state


def encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    """``value`` as strict JSON. Its tensors are added to ``tensors`` under new names."""
    import torch

    if isinstance(value, torch.Tensor):
        if not value.numel():
            return {"empty": [str(value.dtype).removeprefix("torch."), list(value.shape)]}
        name = f"t{len(tensors)}"
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, Reason):
        return {"reason": [str(value), value.kind]}
    if isinstance(value, Mapping):
        pairs = [[encode(key, tensors), encode(item, tensors)] for key, item in value.items()]
        return {"map": pairs}
    if isinstance(value, tuple):
        return {"tuple": [encode(item, tensors) for item in value]}
    if isinstance(value, list):
        return [encode(item, tensors) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of ``encode``."""
    import torch

    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return tensors[held].clone()  # where tensors usually lie: some kernels' bits depend on it
    if kind == "empty":
        name, shape = held
        if name not in artifact.DTYPES:
            raise ValueError(name)
        return torch.empty(shape, dtype=getattr(torch, name))
    if kind == "reason":
        words, why = held
        return Reason(words, why)
    if kind == "map":
        return {decode(key, tensors): decode(item, tensors) for key, item in held}
    if kind == "tuple":
        return tuple(decode(item, tensors) for item in held)
    return float(held)


def kept(folder: Path) -> list[Path]:
    """The checkpoints in ``folder``, the newest last."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))


def _number(path: Path) -> int:
    return int(path.name.partition(".")[0])

"""A finished run, and models from wherever they lie."""

from __future__ import annotations

import copy
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet import artifact, files
from linnet.artifact import Artifact
from linnet.runs import directory

if TYPE_CHECKING:
    from torch import nn


class Run:
    """What ``linnet train`` left in a directory."""

    def __init__(self, path: str | os.PathLike[str], network: nn.Module | None = None) -> None:
        """``network`` is the code of the model "custom", where the run has one."""
        self.path = Path(path)
        self._network = network
        self.metrics: dict[str, Any] = directory.read_metrics(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def chosen(self) -> str:
        """The name of the model with the best validation loss."""
        return str(self.metrics["chosen"])

    @property
    def verdict(self) -> str:
        """Does the net earn its place? In words."""
        return str(self.metrics["verdict"])

    @cached_property
    def model(self) -> Artifact:
        """The chosen model."""
        return self.models[self.chosen]

    @cached_property
    def models(self) -> dict[str, Artifact]:
        """Every model of the run, by name; of a module of your own, a copy."""
        return {
            name: artifact.load(
                self.path / f"{name}.safetensors",
                copy.deepcopy(self._network) if name == "custom" else None,
            )
            for name in self.metrics["models"]
        }

    @cached_property
    def info(self) -> dict[str, Any]:
        """``run.json``: command, data, versions, hardware."""
        info: dict[str, Any] = files.read_json(self.path / directory.RUN)
        return info

    def split(self) -> dict[str, Any]:
        """Row numbers, int64 tensors, of the training, validation and test part."""
        from safetensors.torch import load_file

        parts: dict[str, Any] = load_file(self.path / directory.SPLIT)
        return parts


def load(
    place: str | os.PathLike[str], model: str | None = None, *, network: nn.Module | None = None
) -> Artifact:
    """The model in a file, or of a run the chosen one, or the one named ``model``.

    ``network`` is the code of a model that was trained from a module of your own: such a module,
    which takes the file's numbers.
    """
    return artifact.load(directory.model_path(Path(place), model), network)

"""A finished model that only predicts: from raw rows or pictures to answers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linnet.core.files import Place
from linnet.errors import DataError, LinnetWarning
from linnet.fit import artifact
from linnet.fit.artifact import Artifact, Manifest

if TYPE_CHECKING:
    from torch import nn

    from linnet.data.schema import Schema

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Examples as the network takes them, and what is to be said of them."""

    x: Any
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Answers:
    """``prediction``: a label or a number (with several targets a list of numbers) for each row, as
    plain Python values; ``p`` (rows, classes) in float64, None for numbers."""

    prediction: list[Any]
    p: Array | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Term:
    """What one column of a table adds to the line's raw prediction of one row, by output."""

    name: str
    value: Any
    terms: tuple[float, ...]


class Runtime:
    """A model for prediction alone."""

    def __init__(self, model: Artifact) -> None:
        self._model = model
        self.engine: Literal["numpy", "torch"] = "torch"

    @property
    def manifest(self) -> Manifest:
        return self._model.manifest

    @property
    def schema(self) -> Schema:
        return self._model.schema

    @property
    def sha256(self) -> str:
        """The sha256 that stands in the model's file."""
        return str(self.manifest.provenance["sha256"])

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> Encoded:
        """Rows of a table, each a mapping from the names of columns to values as JSON has them."""
        import polars as pl

        fields = [field.name for field in self.schema.fields if field.used]
        names = fields or list(self.schema.columns)
        for number, row in enumerate(rows):
            if absent := [name for name in names if name not in row]:
                raise DataError(f"row {number}: the column {absent[0]!r} is missing")
        frame = pl.DataFrame({name: [row[name] for row in rows] for name in names}, strict=False)
        return self._encoded(frame)

    def arrays(self, raw: Any) -> Encoded:
        """Pictures or rows of numbers, one or a batch, as nested lists or an array."""
        return self._encoded(np.asarray(raw))

    def files(self, contents: Sequence[bytes]) -> Encoded:
        """Pictures as the bytes of PNG or JPEG files."""
        import tempfile

        from linnet.experiment.predict import for_model

        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, content in enumerate(contents):
                paths.append(Path(folder) / f"{number}.png")
                paths[-1].write_bytes(content)
            data = for_model(self._model, paths, labelled=False)
        return Encoded(data.x.numpy(), data.notes)

    def text(self, content: bytes) -> Encoded:
        """Rows of a table as the bytes of a CSV file with a line of names."""
        import io

        import polars as pl

        return self._encoded(pl.read_csv(io.BytesIO(content), infer_schema_length=None))

    def raw(self, x: Any) -> Array:
        """Raw predictions (rows, outputs) in float64 of encoded examples."""
        import torch

        from linnet.insight.evaluation import predict_raw

        return predict_raw(self._model.module, torch.from_numpy(x)).numpy()

    def answers(self, encoded: Encoded) -> Answers:
        """Labels or numbers, and probabilities, of encoded examples."""
        import torch

        raw = torch.from_numpy(self.raw(encoded.x))
        shares = None
        if self._model.objective.classifies:
            shares = self._model.objective.probabilities(raw).numpy()
        return Answers(self._model.decide(raw).tolist(), shares, encoded.notes)

    def terms(self, encoded: Encoded) -> list[Term] | None:
        """Of a line, what each column adds to the raw prediction of the first row; else None."""
        return None

    def tensors(self) -> Mapping[str, Array]:
        """The tensors in the model's file, by name."""
        state = self._model.module.state_dict()
        return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}

    def _encoded(self, raw: Any) -> Encoded:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", LinnetWarning)
            x = self.schema.encode(raw)
        return Encoded(x.numpy(), tuple(str(each.message) for each in told))


def load(
    path: str | os.PathLike[str] | Place,
    network: nn.Module | None = None,
    *,
    engine: Literal["auto", "numpy", "torch"] = "auto",
) -> Runtime:
    """The model in a ``.safetensors`` file, checked as ``artifact.load`` checks it."""
    return Runtime(artifact.load(path, network))

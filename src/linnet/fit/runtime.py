"""A finished model that only predicts: from raw rows or pictures to answers.

linnet's own networks are computed in NumPy (``linnet.networks.arrays``), so that a program that
serves tables imports neither PyTorch nor polars. A module of the user's own, a large convolutional
net, and the parts of other packages need PyTorch. A runtime may be called by several threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from linnet.core.files import Place
from linnet.core.text import listed
from linnet.data.codes import Codes
from linnet.data.columns import strangers
from linnet.data.pictures.ground import blank
from linnet.data.rows import Encoder
from linnet.errors import DataError, InputError, ModelError
from linnet.fit.artifact import Manifest, open_model, reading_of
from linnet.networks import arrays, shapes
from linnet.objectives import arrays as links

if TYPE_CHECKING:
    from torch import nn

    from linnet.data.schema import Schema
    from linnet.fit.artifact import Artifact
    from linnet.insight.conformal import Calibration

Array = np.ndarray[Any, Any]
Engine = Literal["numpy", "torch"]

KINDS: dict[str, Any] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}
"""The dtypes of the tensors of linnet's own networks, by their names in safetensors."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Examples as the network takes them, what is to be said of them, and the values of the first
    row by column, as they were given."""

    x: Any
    notes: tuple[str, ...] = ()
    first: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Answers:
    """``prediction``: a label or a number (with several targets a list of numbers) for each row, as
    plain Python values; ``p`` (rows, classes) in float64, None for numbers."""

    prediction: list[Any]
    p: Array | None
    notes: tuple[str, ...] = ()


class Term(NamedTuple):
    """What one column of a table adds to the line's raw prediction of one row, by output."""

    name: str
    value: Any
    terms: tuple[float, ...]


class Runtime:
    """A model for prediction alone; ``load`` makes one.

    ``compute`` turns encoded rows into raw predictions (rows, outputs) in float64.
    """

    def __init__(
        self,
        manifest: Manifest,
        engine: Engine,
        compute: arrays.Forward,
        link: links.Link,
        tensors: Callable[[], Mapping[str, Array]],
    ) -> None:
        self.manifest = manifest
        self.engine: Engine = engine
        self.schema: Schema = manifest.schema_
        self._compute, self._link = compute, link
        self.tensors = tensors
        """Gives the tensors in the model's file, by name."""
        self._encoder: Encoder | None = None
        self._cut = manifest.cut

    @cached_property
    def calibration(self) -> Calibration:
        """What makes intervals or sets of answers; raises ``InputError`` if the model has none."""
        return self.manifest.calibrated()

    @property
    def sha256(self) -> str:
        """The sha256 that stands in the model's file."""
        return str(self.manifest.provenance["sha256"])

    def __repr__(self) -> str:
        about = self.manifest
        return f"Runtime({about.model!r} of {about.data.get('name')}, by {self.engine})"

    # from raw input to encoded examples

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> Encoded:
        """Rows of a table, each a mapping from the names of columns to values as JSON has them;
        raises ``CellError`` for a wrong value. See ``linnet.data.rows``."""
        if self.schema.example == "picture" and not self.schema.columns:
            raise InputError(
                "the model takes pictures, not rows with names; give arrays of pixels, or PNG or "
                "JPEG files"
            )
        if self._encoder is None:
            self._encoder = Encoder(self.schema)
        x, notes = self._encoder.encode(rows)
        return Encoded(x, notes, rows[0])

    def arrays(self, raw: Any) -> Encoded:
        """Pictures or rows of numbers, one or a batch, as nested lists or an array."""
        if self.schema.fields:
            names = [field.name for field in self.schema.fields if field.used]
            raise InputError(
                "the model takes rows of a table by the names of their columns, not arrays: "
                f"{listed(names, 20)}"
            )
        x = self.schema.encode_array(raw)
        told = self.schema.look(x)
        return Encoded(x, () if told is None else (told,))

    def files(self, contents: Sequence[bytes]) -> Encoded:
        """Pictures as the bytes of PNG or JPEG files; with the notes of ``linnet predict``."""
        from linnet.data.pictures.files import read_files, takes_files
        from linnet.data.pictures.picture import Held

        if not contents:
            raise DataError("no pictures; expected at least one")
        takes_files(self.schema)
        names = (
            ["the picture"]
            if len(contents) == 1
            else [f"picture {i}" for i in range(len(contents))]
        )
        held = [Held(name, content) for name, content in zip(names, contents, strict=True)]
        reading = reading_of(self.manifest).model_copy(update={"on_bad": "fail"})
        found = read_files(held, "the pictures", reading)
        x = self.schema.encode_array(found.pictures)
        told = self.schema.look(x)
        notes = (*found.notes, *blank(found.pictures, lambda row: names[row]))
        return Encoded(x, (*map(str, notes), *(() if told is None else (told,))))

    def text(self, content: bytes) -> Encoded:
        """Rows of a table as the bytes of a CSV file, read as the training data was."""
        from linnet.data.text.reader import read_bytes

        schema = self.schema
        if schema.example == "picture" and not schema.columns:
            raise InputError("the model takes pictures, not a table; give PNG or JPEG files")
        reading = reading_of(self.manifest).model_copy(
            update={"target": schema.targets, "on_bad": "fail", "drop": ()}
        )
        table = read_bytes(content, "the table", schema.reading(reading))
        notes = list(map(str, table.notes))
        names = [field.name for field in schema.fields] or list(schema.columns)
        notes += strangers(table.columns, (*names, *schema.targets))
        first = {name: series[0] for name, series in table.columns.items()}
        if schema.tabular:
            x, told = schema.table_arrays(table)
            return Encoded(x, (*notes, *told), first)
        rows = [
            dict(zip(table.columns, values, strict=True))
            for values in zip(*(series.to_list() for series in table.columns.values()), strict=True)
        ]
        return Encoded(self.rows(rows).x, tuple(notes), first)

    # from encoded examples to answers

    def raw(self, x: Any) -> Array:
        """Raw predictions (rows, outputs) in float64 of encoded examples."""
        return self._compute(x)

    def answers(self, encoded: Encoded) -> Answers:
        """Labels or numbers, and probabilities, of encoded examples."""
        raw = self._compute(encoded.x)
        if not self._link.classifies:
            numbers = self._link.mean(raw)
            numbers = numbers[:, 0] if numbers.shape[1] == 1 else numbers
            return Answers(numbers.tolist(), None, encoded.notes)
        p = self._link.probabilities(raw)
        classes = self.schema.classes
        cut = self._cut
        codes = p.argmax(1) if cut is None else (p[:, 1] >= cut).astype(np.int64)
        labels = [classes[code] for code in codes.tolist()]
        return Answers(labels, p, encoded.notes)

    def terms(self, encoded: Encoded) -> list[Term] | None:
        """Of a line on rows, what each column adds to the raw prediction of the first row, compared
        with the mean of the training rows (of 0/1 columns with 0); else None."""
        compute = self._compute
        if not isinstance(compute, arrays.Line) or self.schema.example != "row":
            return None
        found = compute.terms(encoded.x)
        first = encoded.first or {}
        used = [(field.name, len(field.names)) for field in self.schema.fields if field.used]
        used = used or [
            (name, 1) for name in self.schema.columns or map(str, range(self.schema.shape[0]))
        ]
        terms, start = [], 0
        for name, width in used:
            total = found[start : start + width].sum(0)
            value = first.get(name) if encoded.first is not None else encoded.x[0][start].item()
            terms.append(Term(name, value, tuple(total.tolist())))
            start += width
        return terms


def load(
    path: str | os.PathLike[str] | Place,
    network: nn.Module | None = None,
    *,
    engine: Literal["auto", "numpy", "torch"] = "auto",
) -> Runtime:
    """The model in a ``.safetensors`` file, checked as ``artifact.load`` checks it.

    ``network`` is the module of a model that was trained from the user's own. ``engine`` "auto"
    takes NumPy where it can compute the model, else PyTorch.
    """
    if engine != "torch" and network is None:
        found = quick(path)
        if found is not None:
            return found
        if engine == "numpy":
            raise ModelError(f"{path}: PyTorch alone computes this model: give engine='auto'")
    from linnet.fit import artifact

    return in_torch(artifact.load(path, network))


def quick(path: str | os.PathLike[str] | Place) -> Runtime | None:
    """The model of a file, checked and computed without PyTorch; None where that cannot be."""
    opened = open_model(path)
    manifest = opened.manifest
    link = links.find(manifest.objective)
    if link is None or manifest.model not in shapes.SPECS:
        return None
    opened.check(link)
    plan = shapes.plan(manifest.model, manifest.network, str(opened.path))
    if plan is None or arrays.beyond(plan):
        return None
    kind = {"float32": "F32", "float64": "F64"}[manifest.dtype]
    wanted = {
        name: ("I64" if tensor.whole else kind, tensor.shape)
        for name, tensor in plan.tensors().items()
    }
    tensors = {}
    for name, part in opened.parts(wanted).items():
        entry = opened.entries[name]
        tensors[name] = np.frombuffer(part, KINDS[entry.dtype]).reshape(entry.shape)
        if not np.isfinite(tensors[name]).all():
            raise opened.not_finite(name)
    opened.check_layers(plan.table())
    return Runtime(manifest, "numpy", arrays.forward(plan, tensors), link, lambda: tensors)


def in_torch(model: Artifact) -> Runtime:
    """A model that is computed by PyTorch, one call after the other."""
    import torch

    from linnet.insight.evaluation import predict_raw

    turn = threading.Lock()

    def compute(x: Any) -> Array:
        if isinstance(x, Codes):
            from linnet.data.coded import coded

            given: Any = coded(x)
        else:
            given = torch.from_numpy(np.require(x, requirements=["C", "W"]))
        with turn:
            return predict_raw(model.module, given).cpu().numpy()

    def tensors() -> dict[str, Array]:
        state = model.module.state_dict()
        return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}

    return Runtime(model.manifest, "torch", compute, _Link(model), tensors)


class _Link:
    """The link of an objective in PyTorch, which may be one of another package."""

    def __init__(self, model: Artifact) -> None:
        self._objective = model.objective
        self.classifies: bool = model.objective.classifies
        self.suits, self.outputs = model.objective.suits, model.objective.outputs

    def mean(self, raw: Array) -> Array:
        import torch

        return self._objective.mean(torch.from_numpy(raw)).numpy()

    def probabilities(self, raw: Array) -> Array:
        import torch

        return self._objective.probabilities(torch.from_numpy(raw)).numpy()

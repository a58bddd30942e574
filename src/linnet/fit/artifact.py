"""A model as one file of tensors and a manifest. The file contains no code.

The file is a ``.safetensors`` with exactly one metadata key, ``linnet``: the manifest as canonical
strict JSON. Loading parses the file, checks it (names, shapes, dtypes, finite values, sha256, a
closed set of networks), and only then builds the network. Reading the manifest needs no torch.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import ConfigDict, Field, JsonValue

from linnet.core import files
from linnet.core.closed import Closed
from linnet.core.files import Place
from linnet.core.limits import MAX_HEADER, MAX_MANIFEST
from linnet.data.reading import Again, Reading
from linnet.data.schema import Schema
from linnet.errors import DataError, InputError, ModelError, WorkError, printable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from linnet.networks.base import Network
    from linnet.objectives.base import Objective, Target

FORMAT = 1
MAX_DIMENSIONS = 32
DTYPES = {
    "float32": ("F32", 4),
    "float64": ("F64", 8),
    "float16": ("F16", 2),
    "bfloat16": ("BF16", 2),
    "int64": ("I64", 8),
    "int32": ("I32", 4),
    "int16": ("I16", 2),
    "int8": ("I8", 1),
    "uint8": ("U8", 1),
    "bool": ("BOOL", 1),
}
"""For each dtype of PyTorch its name in safetensors and the bytes of one number."""

ITEM_BYTES = dict(DTYPES.values())

MAGICS = {
    b"PK\x03\x04": "a zip archive (PyTorch's .pt, .npz or .keras)",
    b"\x80": "a pickle (.pkl, .joblib or an old .pt)",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip file",
}


class Layer(Closed):
    """One layer of a network; ``output`` is the shape of its output for one example."""

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    trainable: int


class Manifest(Closed):
    """All facts about a model except its weights. Two runs of one recipe differ in ``provenance``
    only."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    format: Literal[1] = 1
    model: str
    objective: str
    network: dict[str, JsonValue]
    dtype: Literal["float32", "float64"]
    layers: tuple[Layer, ...]
    shown: tuple[str, Literal["any", "picture"]] | None = None
    """The tensor whose weights can be shown, and the kind of examples for which they mean
    something."""
    schema_: Schema = Field(alias="schema")
    recipe: dict[str, JsonValue]
    fit: dict[str, JsonValue]
    scores: dict[str, JsonValue]
    data: dict[str, JsonValue]
    provenance: dict[str, JsonValue]

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield from (("model", self.model), ("objective", self.objective), ("dtype", self.dtype))
        yield "data", self.data.get("name")

    def plain(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True)
class Artifact:
    """A fitted model: ``module`` is the real ``nn.Module``, in evaluation mode."""

    manifest: Manifest
    module: Network
    objective: Objective
    held: Tensor | None = None
    """After a fit by folds, the raw predictions (training rows, outputs) in float64, each by
    weights that the row's fold has not taught; it is in no file."""

    def __repr__(self) -> str:
        from linnet.insight.task import tested

        about = self.manifest
        words = f"{about.model!r} of {about.data.get('name')}: {self.schema.words}"
        scores = tested(about.scores.get("test"))
        return printable(f"Artifact({words}{f'; {scores}' if scores else ''})")

    @property
    def schema(self) -> Schema:
        """The description of an example and of the target."""
        return self.manifest.schema_

    def raw(self, x: Any) -> Tensor:
        """Raw predictions (rows, outputs) in float64, of one example or a batch."""
        from linnet.insight.evaluation import predict_raw

        return predict_raw(self.module, self.schema.encode(x))

    def predict(self, x: Any) -> np.ndarray[Any, Any]:
        """Labels (rows,), or numbers (rows,) or (rows, targets), of one example or a batch."""
        return self.decide(self.raw(x))

    def predict_proba(self, x: Any) -> np.ndarray[Any, Any]:
        """The probability of each class, (rows, classes), of one example or a batch."""
        if not self.objective.classifies:
            raise InputError(f"{self.manifest.model} predicts numbers; use predict")
        return self.objective.probabilities(self.raw(x)).cpu().numpy()

    def score(self, x: Any, y: Any) -> float:
        """Accuracy of the labels that are predicted for examples ``x``, with true labels ``y``
        (rows,); or R2 of numbers ``y``, (rows,) or (rows, targets), of several targets the mean: as
        scikit-learn's estimators have it. Raises ``DataError`` for an unknown label."""
        import numpy as np

        predicted, true = self.predict(x), np.asarray(y)
        if self.schema.task == "regression":
            from sklearn.metrics import r2_score

            return float(r2_score(true, predicted))
        if true.shape != predicted.shape:
            raise DataError(f"y has the shape {true.shape}; expected {predicted.shape}: labels")
        codes = self.schema.encode_labels(true)
        return float((codes == self.schema.encode_labels(predicted)).double().mean())

    def decide(self, raw: Tensor) -> np.ndarray[Any, Any]:
        """Turn raw predictions (rows, outputs) into labels or numbers."""
        return decide(self.schema, self.objective, raw)

    def layers(self) -> list[dict[str, Any]]:
        """Each layer's name, kind, output shape, and counts of all and of trainable parameters."""
        return [layer.plain() for layer in self.manifest.layers]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file atomically: the whole file, or nothing."""
        from safetensors.torch import save

        state = {k: v.detach().cpu().contiguous() for k, v in self.module.state_dict().items()}
        places = Counter(tensor.data_ptr() for tensor in state.values())
        tensors = {  # safetensors cannot store shared tensors
            name: tensor.clone() if places[tensor.data_ptr()] > 1 else tensor
            for name, tensor in state.items()
        }
        manifest = self.manifest.plain()
        manifest["provenance"].pop("sha256", None)
        content = {name: bytes_of(tensor) for name, tensor in tensors.items()}
        manifest["provenance"]["sha256"] = digest(manifest, content)
        text = files.canonical(manifest).decode()
        if (wrong := files.beyond(text, MAX_MANIFEST)) is not None:
            raise WorkError(f"{path}: not written, because linnet would not read it again: {wrong}")
        files.write(Path(path), save(tensors, {"linnet": text}))


def decide(schema: Schema, objective: Objective, raw: Tensor) -> np.ndarray[Any, Any]:
    """Turn raw predictions (rows, outputs) into labels or numbers."""
    if objective.classifies:
        from linnet.insight.shares import decided

        return schema.decode(decided(objective, raw))
    numbers = objective.mean(raw).cpu().numpy()
    return numbers[:, 0] if numbers.shape[1] == 1 else numbers


def bytes_of(tensor: Tensor) -> bytes:
    """The bytes of a contiguous tensor on the CPU."""
    import torch

    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


def digest(manifest: dict[str, Any], content: Mapping[str, bytes | memoryview]) -> str:
    """The sha256 of the manifest (without the sha256 itself) and of the tensors, sorted by name."""
    provenance = {k: v for k, v in manifest["provenance"].items() if k != "sha256"}
    result = hashlib.sha256(files.canonical({**manifest, "provenance": provenance}))
    for name in sorted(content):
        result.update(name.encode() + b"\0")
        result.update(content[name])
    return result.hexdigest()


@dataclass(frozen=True)
class Entry:
    """The dtype, shape and byte range of a tensor, as the header gives them."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def read_manifest(path: str | os.PathLike[str] | Place) -> Manifest:
    """Read and check the manifest only; the tensors are not read."""
    place = _place(path)
    return _manifest(read_header(place)[0], place)


def load(path: str | os.PathLike[str] | Place, network: nn.Module | None = None) -> Artifact:
    """Parse and check the file in ``path``, then build the model; raises ``ModelError``.

    A file holds numbers, never code. If the model was trained from the user's own module, pass such
    a module as ``network``; it then receives the weights in the file.
    """
    import torch

    from linnet.networks import find as find_network
    from linnet.networks.build import build, layers
    from linnet.objectives import find

    opened = open_model(path)
    path, manifest, source = opened.path, opened.manifest, str(opened.path)
    try:
        objective = find(manifest.objective)
    except InputError as error:
        raise ModelError(f"{path}: {error}") from None
    opened.check(objective)
    spec = manifest.network
    if network is not None and not find_network(manifest.model).own:
        raise ModelError(
            f"{path}: a {manifest.model} is built from the file alone; leave out network="
        )
    with torch.device("meta"):
        empty = build(manifest.model, spec, manifest.dtype, source, network)
    wanted = {
        name: (DTYPES[str(tensor.dtype).removeprefix("torch.")][0], tuple(tensor.shape))
        for name, tensor in empty.state_dict().items()
    }
    parts = opened.parts(wanted)
    built = build(manifest.model, spec, manifest.dtype, source, network)
    tensors = tensors_of(opened.entries, parts)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise opened.not_finite(name)
    opened.check_layers(layers(built, manifest.schema_.dtype))
    built.load_state_dict(tensors)
    return Artifact(manifest, built.eval(), objective)


class Suited(Protocol):
    """An objective, or the part of one that predicts."""

    def suits(self, target: Target) -> bool:
        """Whether it can be fitted to this target."""

    def outputs(self, target: Target) -> int:
        """The number of raw predictions for each row."""


@dataclass(frozen=True)
class Opened:
    """A model file whose header and manifest are checked, and nothing else yet."""

    path: Place
    plain: Any
    manifest: Manifest
    entries: Mapping[str, Entry]
    begin: int
    size: int

    def check(self, objective: Suited) -> None:
        """Raise if the manifest's objective does not suit its schema, or its network either."""
        path, manifest = self.path, self.manifest
        schema, outputs = manifest.schema_, manifest.network.get("outputs")
        if not objective.suits(schema):
            raise ModelError(
                f"{path}: its objective, {manifest.objective}, does not suit its schema"
            )
        if outputs != objective.outputs(schema):
            raise ModelError(
                f"{path}: its network has {outputs} outputs; expected {objective.outputs(schema)}"
            )
        if manifest.network.get("inputs") != list(schema.shape):
            raise ModelError(
                f"{path}: the network takes {manifest.network.get('inputs')}, the schema gives "
                f"{list(schema.shape)}"
            )

    def parts(self, wanted: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, memoryview]:
        """The bytes of each tensor, which must have the ``wanted`` dtypes and shapes, by name, and
        with the manifest the sha256 that stands in it."""
        given = {name: (entry.dtype, entry.shape) for name, entry in self.entries.items()}
        for name in sorted(wanted.keys() | given.keys()):
            if wanted.get(name) != given.get(name):
                raise ModelError(
                    f'{self.path}: tensor "{name}" is {given.get(name, "missing")}; expected '
                    f"{wanted.get(name, 'none of that name')}"
                )
        parts = read_parts(self.path, self.entries, self.begin, self.size)
        if digest(self.plain, parts) != self.manifest.provenance.get("sha256"):
            raise ModelError(
                f"{self.path}: the sha256 in its manifest is not that of its content: the file was "
                "damaged or edited; copy it again from where it was made"
            )
        return parts

    def not_finite(self, name: str) -> ModelError:
        return ModelError(f'{self.path}: tensor "{name}" holds numbers that are not finite')

    def check_layers(self, table: list[dict[str, Any]]) -> None:
        """Raise if the manifest's table of layers is not that of its network."""
        if table != [layer.plain() for layer in self.manifest.layers]:
            raise ModelError(f"{self.path}: its table of layers is not that of its network")


def open_model(path: str | os.PathLike[str] | Place) -> Opened:
    """Read and check the header and the manifest of a file; raises ``ModelError``."""
    place = _place(path)
    plain, entries, begin, size = read_header(place)
    return Opened(place, plain, _manifest(plain, place), entries, begin, size)


def reading_of(manifest: Manifest) -> Again:
    """How to read data for a model: as its training data was, the same target and classes."""
    recipe, schema = manifest.recipe, manifest.schema_
    reading = Again.parse({k: recipe[k] for k in Reading.model_fields if k in recipe}, "recipe")
    labels = schema.classes if reading.positive is None and reading.classes is None else ()
    reading = reading.model_copy(update={"labels": labels, "task": schema.task})
    if schema.example != "picture":
        return reading
    channels, height, width = schema.shape
    same = {"size": f"{height}x{width}", "scaled": schema.fit is not None}
    return reading.model_copy(update={"channels": channels, **same})


def _place(path: str | os.PathLike[str] | Place) -> Place:
    return path if isinstance(path, Place) else Path(path)


def read_parts(
    path: Place, entries: Mapping[str, Entry], begin: int, size: int
) -> dict[str, memoryview]:
    """The bytes of each tensor."""
    try:
        with files.opened(path) as file:
            file.seek(begin)
            content = bytearray(file.read(size))
    except OSError as error:
        raise ModelError(f"{path}: cannot read: {error.strerror or error}") from error
    if len(content) != size:
        raise ModelError(f"{path}: changed while it was read; expected {size} bytes of tensors")
    view = memoryview(content)
    return {name: view[entry.start : entry.stop] for name, entry in entries.items()}


def tensors_of(entries: Mapping[str, Entry], parts: Mapping[str, memoryview]) -> dict[str, Tensor]:
    """The tensors, which share the memory of ``parts``."""
    import torch

    kinds = {code: getattr(torch, name) for name, (code, _) in DTYPES.items()}
    return {
        name: torch.frombuffer(parts[name], dtype=kinds[entry.dtype]).reshape(entry.shape)
        for name, entry in entries.items()
    }


def _manifest(plain: Any, path: Place) -> Manifest:
    """The manifest from the parsed JSON of a file."""
    files.check_format(plain, FORMAT, path, ModelError)
    return Manifest.parse(plain, f"{path}: manifest", ModelError)


def read_header(path: Place) -> tuple[Any, dict[str, Entry], int, int]:
    """The JSON in the metadata key "linnet" of a safetensors file, and the entry of each tensor.

    Also returns the byte at which the tensors begin, and how many bytes they have.
    """
    try:
        with files.opened(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            head = file.read(8)
            length = int.from_bytes(head, "little")
            text = file.read(length) if length <= min(MAX_HEADER.bytes, size - 8) else b""
    except OSError as error:
        raise ModelError(f"{path}: cannot read: {error.strerror}") from error
    if not text.startswith(b"{"):
        kind = next((kind for magic, kind in MAGICS.items() if head.startswith(magic)), None)
        raise ModelError(
            f"{path}: {kind or 'not a safetensors file'}, not a model of linnet; expected a "
            f".safetensors file that linnet wrote, its header at most {MAX_HEADER.bytes:,} bytes "
            "(MAX_HEADER_BYTES); other formats can run code, so they are never opened"
        )
    try:
        header = files.loads(text, f"{path}: header", MAX_HEADER)
        metadata = header.get("__metadata__")
        if not isinstance(metadata, dict) or set(metadata) != {"linnet"}:
            raise ModelError(
                f'{path}: safetensors, but not of linnet: expected exactly the metadata "linnet"'
            )
        body = metadata["linnet"]
        if not isinstance(body, str):
            raise ModelError(f"{path}: the manifest is not a text")
        del header["__metadata__"]
        plain = files.loads(body, f"{path}: manifest", MAX_MANIFEST)
    except ModelError:
        raise
    except InputError as error:
        raise ModelError(str(error)) from None
    begin = 8 + length
    return plain, _entries(header, path, size - begin), begin, size - begin


def _entries(header: dict[str, Any], path: Place, size: int) -> dict[str, Entry]:
    """The tensors of a header; they must cover ``size`` bytes without gaps or overlaps."""
    entries = {}
    for name, value in header.items():
        fault = f'{path}: tensor "{name}"'
        if not name.replace(".", "").replace("_", "").isalnum() or not name.isascii():
            raise ModelError(f"{path}: linnet writes no tensor with the name {name!r}")
        if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
            raise ModelError(f"{fault} must have exactly dtype, shape and data_offsets")
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        whole = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
        whole = whole and len(shape) <= MAX_DIMENSIONS
        if not whole or any(type(n) is not int or not 0 <= n < 2**63 for n in [*shape, *offsets]):
            raise ModelError(
                f"{fault}: shape and data_offsets must be whole numbers from 0, of at most "
                f"{MAX_DIMENSIONS} dimensions (MAX_DIMENSIONS)"
            )
        if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
            raise ModelError(
                f"{fault} is {repr(dtype)[:80]}; expected one of {', '.join(ITEM_BYTES)}"
            )
        need = ITEM_BYTES[dtype]
        for number in shape:
            need *= number
        if offsets[1] - offsets[0] != need or not need:
            raise ModelError(f"{fault} of shape {shape} needs {need} bytes, its offsets {offsets}")
        entries[name] = Entry(dtype, tuple(shape), *offsets)
    position = 0
    for entry in sorted(entries.values(), key=lambda entry: entry.start):
        if entry.start != position:
            raise ModelError(f"{path}: tensors overlap or leave a hole at byte {position}")
        position = entry.stop
    if position != size:
        raise ModelError(f"{path}: {size:,} bytes of tensors; its header declares {position:,}")
    return entries

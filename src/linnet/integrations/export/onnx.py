"""One file of ONNX: from raw columns or pixels to labels and probabilities.

What the graph takes and gives stands in its metadata, which is JSON: ``linnet`` (the model's
manifest), ``inputs``, ``outputs``, ``classes`` and ``parity``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from linnet.core import files
from linnet.data.schema import Schema
from linnet.errors import InputError, WorkError
from linnet.fit.artifact import Artifact, Manifest
from linnet.integrations.export import parity
from linnet.integrations.export._encoder import Input, encoded, inputs
from linnet.integrations.export._graph import OPSET, Graph
from linnet.integrations.export._networks import raw
from linnet.integrations.export.export import Exported, Source, written
from linnet.integrations.export.made import Feed
from linnet.integrations.export.parity import Answer
from linnet.networks.custom import Custom

OBJECTIVES = ("squared", "logistic", "softmax")
"""The objectives that can be written."""

OUTPUTS = {
    "label": "the most probable class",
    "probabilities": "the probability of each class, in the order of the metadata's classes",
    "prediction": "the predicted numbers",
}


def export(source: Source, out: Path) -> Exported:
    """Write the model as a file of ONNX, if it predicts the same; see ``linnet.export``."""
    import onnxruntime

    model = source.artifact
    graph = build(model, str(source.path))
    by = f"onnxruntime {onnxruntime.__version__}"
    found = parity.measure(source, opened(content_of(graph), model), by)
    content = content_of(graph, parity=found.plain())
    opened(content, model)
    size = written(out, content)
    about = f"{out}: {size:,} bytes, opset {graph.opset_import[0].version}, IR {graph.ir_version}"
    facts = {"bytes": size, "sha256": model.manifest.provenance["sha256"], "parity": found.plain()}
    return Exported(out, (about, *found.words(model.objective.classifies)), facts)


def build(model: Artifact, where: str = "the model") -> Any:
    """The model as ONNX's ModelProto, with all metadata but ``parity``; raises ``InputError`` for
    what ONNX cannot hold."""
    from onnx import checker

    manifest, schema = model.manifest, model.schema
    if manifest.objective not in OBJECTIVES:
        raise InputError(
            f'{where}: ONNX cannot hold the objective "{manifest.objective}" of another package; '
            f"it can hold {', '.join(OBJECTIVES)}"
        )
    given = inputs(schema)
    names = _outputs(model, {each.name for each in given})
    graph = Graph([*(each.name for each in given), *names])
    rows = encoded(graph, schema, given)
    opset = OPSET
    value = raw(graph, model.module, rows, manifest.dtype)
    if value is None and isinstance(model.module, Custom):
        from linnet.integrations.export import _own

        value, opset = _own.raw(graph, model.module, rows, manifest.dtype, where)
    if value is None:
        raise InputError(
            f'{where}: ONNX cannot hold "{manifest.model}", a network of another package; it can '
            "hold constant, linear, mlp, cnn and, with network=, a module of your own"
        )
    _answer(graph, model, value, names)
    made = graph.model(_named(manifest), opset)
    notes = {
        "linnet": described(manifest),
        "classes": list(schema.classes),
        "inputs": [each.plain() for each in given],
        "outputs": [{"name": name, "about": _about(model, name.rstrip("_"))} for name in names],
    }
    for key, note in notes.items():
        _note(made, key, note)
    checker.check_model(made)
    return made


def _about(model: Artifact, name: str) -> str:
    """What an output is, in words."""
    if name == "label" and model.decision is not None:
        second, cut = model.schema.names[1], model.decision.threshold
        return f"{second!r} where its probability is at least {cut:.9g}, else the other class"
    return OUTPUTS[name]


def described(manifest: Manifest) -> dict[str, Any]:
    """The manifest as JSON, without what only the machine of the run knows."""
    plain = manifest.plain()
    plain["recipe"]["data"] = plain["data"].get("name")
    plain["provenance"].pop("platform", None)
    return plain


def _named(manifest: Manifest) -> str:
    return f"linnet {manifest.model} of {manifest.data.get('name')}"


def _note(made: Any, key: str, note: Any) -> None:
    entry = made.metadata_props.add()
    entry.key, entry.value = key, files.canonical(note).decode()


def content_of(made: Any, **notes: Any) -> bytes:
    """The bytes of a model, with more metadata."""
    import onnx

    whole = onnx.ModelProto()
    whole.CopyFrom(made)
    for key, note in notes.items():
        _note(whole, key, note)
    content: bytes = whole.SerializeToString(deterministic=True)
    return content


def _outputs(model: Artifact, taken: set[str]) -> list[str]:
    """The names of the outputs; a column of the same name adds a "_" to one."""
    plain = ("label", "probabilities") if model.objective.classifies else ("prediction",)
    names = []
    for name in plain:
        while name in taken:
            name += "_"
        names.append(name)
    return names


def _answer(graph: Graph, model: Artifact, value: str, names: list[str]) -> None:
    """The outputs, in float64, of raw predictions (rows, outputs)."""
    schema: Schema = model.schema
    if model.manifest.dtype != "float64":
        value = graph.cast(value, "float64")
    if not model.objective.classifies:
        graph.output(value, names[0], "float64", (len(schema.targets),))
        return
    if model.manifest.objective == "logistic":  # as two sigmoids: 1 - p would lose small ones
        both = graph.node("Sigmoid", graph.node("Neg", value)), graph.node("Sigmoid", value)
        shares = graph.joined(both)
    else:
        shares = graph.node("Softmax", value, axis=1)
    cut = model.manifest.cut
    if cut is None:
        best = graph.node("ArgMax", shares, axis=1, keepdims=0)
    else:
        one = graph.constant(np.array(1, np.int64))
        second = graph.node("Gather", shares, one, axis=1)
        at = graph.constant(np.array(cut, np.float64))
        best = graph.cast(graph.node("GreaterOrEqual", second, at), "int64")
    kind = {"text": "text", "int": "int64", "float": "float64", "bool": "bool"}[
        str(schema.class_kind)
    ]
    dtype = object if kind == "text" else kind
    labels = np.array(schema.classes, dtype)
    graph.output(graph.node("Gather", graph.constant(labels), best), names[0], kind, ())
    graph.output(shares, names[1], "float64", (len(schema.classes),))


def opened(content: bytes, model: Artifact) -> parity.Predict:
    """The file in onnxruntime, as a function of raw examples."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1  # the same bits each time
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, settings, ["CPUExecutionProvider"])
    except Exception as error:
        raise WorkError(f"not written: onnxruntime cannot open it: {error}") from error
    given: list[Input] = inputs(model.schema)

    def predict(feed: Feed) -> Answer:
        named = {
            each.name: feed["x" if each.column is None else each.column.name] for each in given
        }
        answers = session.run(None, named)
        if len(answers) == 1:
            return None, np.asarray(answers[0])
        return np.asarray(answers[0]).tolist(), np.asarray(answers[1])

    return predict

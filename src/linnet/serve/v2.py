"""The Open Inference Protocol, version 2, with tensors in JSON: ``/v2``.

https://github.com/kserve/open-inference-protocol: a table has one tensor for each column, of shape
(rows) or (rows, 1); rows of numbers and pictures are one tensor, ``input``. The answer has the
tensors ``prediction`` and, of classes, ``probabilities``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from linnet import __version__
from linnet.core.text import listed, literal
from linnet.data.schema import Schema
from linnet.fit.runtime import Answers, Encoded
from linnet.serve.answers import answers, dumps
from linnet.serve.inputs import (
    JSON,
    Body,
    of_array,
    of_records,
    parsed,
    too_many,
    unknown_type,
    within,
)
from linnet.serve.limits import Limits
from linnet.serve.models import Model
from linnet.serve.refused import Refused
from linnet.serve.work import Flag

INPUT, PREDICTION, PROBABILITIES = "input", "prediction", "probabilities"
INTEGERS = tuple(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
FLOATS = ("FP16", "FP32", "FP64")
KINDS = {"number": "FP64", "boolean": "BOOL", "category": "BYTES", "date": "BYTES"}
"""The datatype of a column in the metadata. A request may use another one: a number is taken as a
category, if the categories are numbers, and texts as a cell of CSV would be."""

LABELS = {"int": "INT64", "float": "FP64", "bool": "BOOL", "text": "BYTES"}
MAX_DIMENSIONS = 8
BINARY = "inference-header-content-length"
"""A header of the binary extension, which linnet does not have."""

SERVER = {"name": "linnet", "version": __version__, "extensions": []}


def metadata(model: Model) -> dict[str, Any]:
    """``GET /v2/models/NAME``."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": f"linnet_{model.runtime.engine}",
        "inputs": [
            {"name": name, "datatype": kind, "shape": shape}
            for name, kind, shape in inputs_of(model.schema)
        ],
        "outputs": [
            {"name": name, "datatype": kind, "shape": shape}
            for name, kind, shape in outputs_of(model.schema)
        ],
    }


def inputs_of(schema: Schema) -> list[tuple[str, str, list[int]]]:
    """Name, datatype and shape of each tensor that a model takes; -1 is the number of rows."""
    if schema.fields:
        return [(field.name, KINDS[field.kind], [-1]) for field in schema.fields if field.used]
    if schema.tabular:
        return [(name, "UINT8", [-1]) for name in schema.columns]
    kind = {"uint8": "UINT8", "float32": "FP32", "float64": "FP64"}[schema.dtype]
    return [(INPUT, kind, [-1, *schema.shape])]


def outputs_of(schema: Schema) -> list[tuple[str, str, list[int]]]:
    """The same of each tensor in an answer."""
    if schema.class_kind is None:
        more = [len(schema.targets)] if len(schema.targets) > 1 else []
        return [(PREDICTION, "FP64", [-1, *more])]
    return [
        (PREDICTION, LABELS[schema.class_kind], [-1]),
        (PROBABILITIES, "FP64", [-1, len(schema.classes)]),
    ]


def infer(model: Model, body: Body, limits: Limits, flag: Flag) -> bytes:
    """``POST /v2/models/NAME/infer``."""
    if body.type not in (JSON, ""):
        raise unknown_type(body.type, [JSON])
    value = parsed(body.content, limits)
    if not isinstance(value, dict):
        raise Refused(400, f"the body is {literal(value)}; expected an object with inputs")
    id = value.get("id")
    if id is not None and not isinstance(id, str):
        raise Refused(400, f"the id is {literal(id)}; expected a text")
    wanted = _wanted(model.schema, value.get("outputs"))
    encoded = _encoded(model, _tensors(value.get("inputs")), limits)
    found = answers(model.runtime, within(encoded, limits), model.block, flag)
    answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if id is not None:
        answer["id"] = id
    answer["parameters"] = _parameters(model, found)
    answer["outputs"] = [_output(model.schema, name, found) for name in wanted]
    return dumps(answer)


def _wanted(schema: Schema, given: Any) -> list[str]:
    """The names of the outputs that a request asks for; without any, all."""
    known = [name for name, _, _ in outputs_of(schema)]
    if given is None or given == []:
        return known
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise Refused(400, "outputs is no list of objects with a name")
    for each in given:
        if each.get("name") not in known:
            raise Refused(
                400, f"there is no output {literal(each.get('name'))}; there is {', '.join(known)}"
            )
        if _parameter(each, "binary_data"):
            raise no_binary()
    return [str(each["name"]) for each in given]


def no_binary() -> Refused:
    """A request with tensors that are no JSON."""
    return Refused(400, "tensors are JSON here; the binary extension is not served")


def _parameter(holder: Mapping[str, Any], name: str) -> Any:
    parameters = holder.get("parameters")
    return parameters.get(name) if isinstance(parameters, dict) else None


def _tensors(given: Any) -> dict[str, tuple[str, list[int], list[Any]]]:
    """The datatype, the shape and the flat values of each tensor of a request, by its name."""
    if not isinstance(given, list) or not given:
        raise Refused(400, "inputs is missing; expected a list of tensors")
    found = {}
    for each in given:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise Refused(400, f"an input is {literal(each)}; expected an object with a name")
        name = each["name"]
        if name in found:
            raise Refused(400, f"the input {literal(name)} is there twice")
        if _parameter(each, "binary_data_size") is not None:
            raise no_binary()
        found[name] = _tensor(name, each)
    return found


def _tensor(name: str, given: Mapping[str, Any]) -> tuple[str, list[int], list[Any]]:
    where = f"the input {literal(name)}"
    kind, shape, data = given.get("datatype"), given.get("shape"), given.get("data")
    if kind not in (*INTEGERS, *FLOATS, "BOOL", "BYTES"):
        raise Refused(400, f"{where} has the datatype {literal(kind)}; expected BYTES, BOOL, ...")
    if (
        not isinstance(shape, list)
        or not 0 < len(shape) <= MAX_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 1 << 32 for size in shape)
    ):
        raise Refused(400, f"{where} has the shape {literal(shape)}; expected a list of sizes")
    if not isinstance(data, list):
        raise Refused(400, f"{where} has the data {literal(data)}; expected a list")
    values = _flat(data)
    if len(values) != math.prod(shape):
        raise Refused(
            400, f"{where} has {len(values):,} values, its shape {shape} means {math.prod(shape):,}"
        )
    right = _RIGHT.get(str(kind), _whole)
    for place, value in enumerate(values):
        if value is not None and not right(value):
            raise Refused(
                400, f"{where}, value {place}: {literal(value)} is no {kind}", {"row": place}
            )
    return str(kind), shape, values


def _whole(value: Any) -> bool:
    return type(value) is int


def _number(value: Any) -> bool:
    return type(value) in (int, float)


_RIGHT = {
    "BYTES": lambda value: isinstance(value, str),
    "BOOL": lambda value: isinstance(value, bool) or (type(value) is int and value in (0, 1)),
    **dict.fromkeys(FLOATS, _number),
}


def _flat(values: list[Any]) -> list[Any]:
    """The values of nested lists, in order."""
    while any(isinstance(each, list) for each in values):
        flat: list[Any] = []
        for each in values:
            flat += each if isinstance(each, list) else [each]
        values = flat
    return values


def _encoded(
    model: Model, tensors: Mapping[str, tuple[str, list[int], list[Any]]], limits: Limits
) -> Encoded:
    """The rows or pictures of a request."""
    names = [name for name, _, _ in inputs_of(model.schema)]
    absent = [name for name in names if name not in tensors]
    if absent:
        raise Refused(
            400, f"the input {literal(absent[0])} is missing; expected {listed(names, 20)}"
        )
    if names == [INPUT]:
        kind, shape, values = tensors[INPUT]
        if shape[0] > limits.rows and len(shape) > 1:
            raise too_many(shape[0], limits)
        if any(value is None for value in values):
            raise Refused(400, f"the input {INPUT!r} has a null; expected numbers")
        return of_array(model.runtime, _array(kind, values).reshape(shape), limits)
    rows = tensors[names[0]][1][0]
    columns: dict[str, list[Any]] = {}
    for name, (kind, shape, values) in tensors.items():
        if shape not in ([rows], [rows, 1]):
            raise Refused(
                400, f"the input {literal(name)} has the shape {shape}; expected [{rows}], as many "
                "rows as the others",
            )  # fmt: skip
        columns[name] = [
            None if value is None else bool(value) for value in values
        ] if kind == "BOOL" else values  # fmt: skip
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return of_records(model.runtime, records, limits)


def _array(kind: str, values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Numbers of a tensor: whole ones as they are, others in float64."""
    try:
        if kind in FLOATS:
            return np.array(values, np.float64)
        if kind == "BYTES":
            raise Refused(400, f"the input {INPUT!r} is BYTES; expected numbers")
        return np.array(values)
    except OverflowError:
        raise Refused(400, f"the input {INPUT!r} has a number out of range") from None


def _parameters(model: Model, found: Answers) -> dict[str, str]:
    """What the protocol has no place for, as texts: parameters are no lists."""
    told = {"sha256": model.sha256}
    if found.p is not None:
        told["classes"] = dumps(list(model.schema.names)).decode()
    if found.notes:
        told["notes"] = dumps(list(found.notes)).decode()
    return told


def _output(schema: Schema, name: str, found: Answers) -> dict[str, Any]:
    kind = {each: kind for each, kind, _ in outputs_of(schema)}[name]
    rows = len(found.prediction)
    if name == PROBABILITIES:
        assert found.p is not None
        return {
            "name": name,
            "datatype": kind,
            "shape": list(found.p.shape),
            "data": found.p.ravel().tolist(),
        }
    data, shape = found.prediction, [rows]
    if schema.class_kind is None and len(schema.targets) > 1:
        data, shape = [value for row in data for value in row], [rows, len(schema.targets)]
    return {"name": name, "datatype": kind, "shape": shape, "data": data}

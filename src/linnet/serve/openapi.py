"""``/openapi.json``: the requests and the answers, with the columns of the server's own models."""

from __future__ import annotations

from typing import Any

from linnet import __version__
from linnet.core.text import listed
from linnet.data.column import Column
from linnet.data.schema import Schema
from linnet.serve.examples import date, example
from linnet.serve.inputs import CSV, JSON, MULTIPART, PICTURES
from linnet.serve.limits import Limits
from linnet.serve.models import Model, Models

MOST_CATEGORIES = 50
"""The most categories of a column that stand in the description."""

Json = dict[str, Any]


def openapi(models: Models, limits: Limits, *, token: bool) -> Json:
    """The description in OpenAPI 3.1."""
    paths: Json = {"/predict": {"post": _predict(models.default, "the default model")}}
    parts: Json = dict(_COMMON)
    for model in models.values():
        parts |= {f"{model.name}.row": _row(model.schema), f"{model.name}.answer": _answer(model)}
        about = _predict(model, f"the model {model.name}")
        paths[f"/models/{model.name}/predict"] = {"post": about}
        paths[f"/v2/models/{model.name}"] = {"get": _get("The tensors of the model.")}
        paths[f"/v2/models/{model.name}/ready"] = {"get": _get("Whether the model is ready.")}
        paths[f"/v2/models/{model.name}/infer"] = {"post": _infer(model)}
    paths |= {
        "/models": {"get": _get("The models.")},
        "/invocations": {"post": _invocations(models.default)},
        "/v2": {"get": _get("The server's name and version.")},
        "/v2/health/live": {"get": _get("Whether the server lives.")},
        "/v2/health/ready": {"get": _get("Whether the server takes requests.")},
        "/ping": {"get": _get("Whether the server takes requests.")},
        "/version": {"get": _get("The version of linnet.")},
    }
    told: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": f"linnet: {', '.join(models)}",
            "version": __version__,
            "description": f"A body has at most {limits.body:,} bytes and {limits.rows:,} rows; an "
            f"answer comes within {limits.seconds:g} seconds.",
        },
        "paths": paths,
        "components": {"schemas": parts},
    }
    if token:
        told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        told["security"] = [{"token": []}]
    return told


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _get(summary: str) -> Json:
    return {"summary": summary, "responses": {"200": {"description": "yes"}}}


def _errors() -> Json:
    def error(what: str) -> Json:
        return {"description": what, "content": {JSON: {"schema": _reference("error")}}}

    return {
        "400": error("The body cannot be read."),
        "413": error("The body is too large, or has too many rows."),
        "415": error("The body is of a type that is not taken."),
        "422": error("A value is wrong: of which row and column, and what was expected."),
        "503": error("Too many requests wait; come again after the seconds in Retry-After."),
        "504": error("The answer took too long, and the work was ended."),
    }


def _predict(model: Model, what: str) -> Json:
    row, schema = _reference(f"{model.name}.row"), model.schema
    shown = example(schema)
    content: Json = {
        JSON: {
            "schema": {"anyOf": [row, {"type": "array", "items": row, "minItems": 1}]},
            "example": shown,
        }
    }
    if schema.example == "picture":
        content |= {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURES}
        form = {"type": "array", "items": {"type": "string", "format": "binary"}}
        content[MULTIPART] = {"schema": {"type": "object", "properties": {"file": form}}}
    if schema.tabular:
        content[CSV] = {"schema": {"type": "string"}}
    answer = {"description": "The predictions.", "content": {
        JSON: {"schema": _reference(f"{model.name}.answer")}}}  # fmt: skip
    return {
        "summary": f"Predict with {what}: {schema.words}.",
        "parameters": [_LEVEL],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": answer, **_errors()},
    }


def _infer(model: Model) -> Json:
    return {
        "summary": f"Predict with {model.name} by the Open Inference Protocol, tensors in JSON.",
        "requestBody": {"required": True, "content": {JSON: {"schema": {"type": "object"}}}},
        "responses": {"200": {"description": "The output tensors."}},
    }


def _invocations(model: Model) -> Json:
    return {
        "summary": "Predict with the default model by MLflow's protocol.",
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {"type": "object"},
                    "example": {"dataframe_records": [example(model.schema)]}
                    if model.schema.tabular
                    else {"instances": [example(model.schema)]},
                },
                CSV: {"schema": {"type": "string"}},
            },
        },
        "responses": {"200": {"description": "The predictions."}},
    }


def _row(schema: Schema) -> Json:
    """One row or picture."""
    if schema.fields:
        used = [field for field in schema.fields if field.used]
        return {
            "type": "object",
            "properties": {field.name: column(field) for field in used},
            "required": [field.name for field in used],
            "example": example(schema),
        }
    number = {"type": "integer", "minimum": 0, "maximum": 255}
    if schema.example == "row" or schema.dtype != "uint8":
        number = {"type": "number"}
    if schema.columns:
        return {
            "type": "object",
            "properties": dict.fromkeys(schema.columns, number),
            "required": list(schema.columns),
        }
    found: Json = number
    for size in reversed(schema.shape):
        found = {"type": "array", "items": found, "minItems": size, "maxItems": size}
    return found


def column(field: Column) -> Json:
    """A column of a table: its type, and in words what the training rows had."""
    kinds = {"number": "number", "boolean": "boolean", "date": "string", "category": "string"}
    types = [kinds[field.kind]]
    told: Json = {}
    words: list[str] = [field.kind]
    if field.kind == "category":
        if field.numeric:
            types.insert(0, "number")
        told["examples"] = list(field.categories[:MOST_CATEGORIES])
        words.append(f"in training {listed(field.categories, MOST_CATEGORIES)}")
    if field.kind == "date":
        told["format"] = "date-time" if field.timed else "date"
    if field.range is not None:
        low, high = field.range
        if field.kind == "date":
            words.append(f"in training from {date(low, field.timed)} to {date(high, field.timed)}")
        else:
            words.append(f"in training from {low:.10g} to {high:.10g}")
    return {"type": [*types, "null"], "description": "; ".join(words), **told}


def _answer(model: Model) -> Json:
    schema = model.schema
    row: Json = {"type": "object", "properties": {"prediction": _prediction(schema)}}
    if schema.class_kind is not None:
        row["properties"]["probabilities"] = {
            "type": "object",
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
            "description": f"by class: {listed(schema.names, MOST_CATEGORIES)}",
        }
        row["properties"]["set"] = {
            "type": "array",
            "items": {"type": "string"},
            "description": "the classes of the set, if interval asks for one",
        }
    else:
        ends: Json = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        if len(schema.targets) > 1:
            ends = {"type": "object", "properties": dict.fromkeys(schema.targets, ends)}
        row["properties"]["interval"] = ends
    return {
        "type": "object",
        "properties": {
            "model": {"const": model.name},
            "sha256": {"type": "string"},
            "predictions": {"type": "array", "items": row},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
    }


def _prediction(schema: Schema) -> Json:
    if schema.class_kind is None:
        number = {"type": ["number", "null"]}
        if len(schema.targets) == 1:
            return number
        return {"type": "object", "properties": dict.fromkeys(schema.targets, number)}
    kind = {"int": "integer", "float": "number", "bool": "boolean", "text": "string"}
    found: Json = {"type": kind[schema.class_kind]}
    if len(schema.classes) <= MOST_CATEGORIES:
        found["enum"] = list(schema.classes)
    return found


_LEVEL: Json = {
    "name": "interval",
    "in": "query",
    "required": False,
    "description": "A level: with each prediction comes an interval, or a set of classes, that "
    "holds with this probability.",
    "schema": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "example": 0.9,
}

_COMMON: Json = {
    "error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {"type": "string"},
            "row": {"type": "integer"},
            "column": {"type": "string"},
            "given": {},
            "expected": {"type": "string"},
        },
    }
}

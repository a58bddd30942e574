"""linnet's own protocol: ``/predict``, and ``/try`` for the page."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from linnet.core.text import literal
from linnet.fit.runtime import Runtime
from linnet.networks import LINE
from linnet.serve.answers import answers, dumps, surely, told
from linnet.serve.inputs import Body, encoded
from linnet.serve.limits import Limits
from linnet.serve.models import Model, Models
from linnet.serve.refused import Refused
from linnet.serve.work import Flag

TITLES = {
    "constant": "the constant",
    "linear": "the line",
    "mlp": "the perceptron",
    "cnn": "the convolutional net",
    "custom": "your network",
}
"""What people call the models; a model of another package has its own name."""


def predict(model: Model, body: Body, limits: Limits, flag: Flag) -> bytes:
    """The answer to ``POST /predict``: the same form for one row and for many."""
    runtime, level = model.runtime, level_of(body.query)
    found = answers(runtime, encoded(runtime, body, limits), model.block, flag)
    predictions, notes = told(runtime, found), list(found.notes)
    if level is not None:
        sure, more = surely(runtime, found, level)
        key = "interval" if found.p is None else "set"
        for row, each in zip(predictions, sure, strict=True):
            row[key] = each
        notes += more
    answer = {"model": model.name, "sha256": model.sha256, "predictions": predictions}
    return dumps({**answer, "notes": notes})


def level_of(query: bytes) -> float | None:
    """The level in ``?interval=0.9``; raises ``Refused`` for what is no number."""
    if not query:
        return None
    given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get("interval")
    if given is None:
        return None
    try:
        return float(given)
    except ValueError:
        raise Refused(422, f"interval is {literal(given)}; expected a level, such as 0.9") from None


def attempt(model: Model, body: Body, limits: Limits, flag: Flag) -> bytes:
    """The answer to ``POST /try``: what each model of the run says of one row, and what each column
    adds to the line's answer."""
    shown, terms = [], None
    for runtime in model.all:
        rows = encoded(runtime, body, limits)
        if len(rows) != 1:
            raise Refused(422, f"{len(rows):,} rows; the page tries one row at a time")
        found = answers(runtime, rows, model.block, flag)
        name = runtime.manifest.model
        shown.append(
            {
                "name": name,
                "title": TITLES.get(name, name),
                "chosen": runtime is model.runtime,
                "prediction": None,
                "probabilities": None,
                **told(runtime, found)[0],
                "notes": list(found.notes),
            }
        )
        if name == LINE:
            terms = _terms(runtime, rows)
    return dumps({"models": shown, "terms": terms})


def _terms(runtime: Runtime, rows: Any) -> list[dict[str, Any]] | None:
    found = runtime.terms(rows)
    if found is None:
        return None
    outputs = outputs_of(runtime)
    return [
        {
            "name": term.name,
            "value": term.value,
            "terms": dict(zip(outputs, term.terms, strict=True)),
        }
        for term in found
    ]


def outputs_of(runtime: Runtime) -> tuple[str, ...]:
    """The names of a model's raw predictions: of two classes the second one, else the classes or
    the targets."""
    schema = runtime.schema
    count = runtime.manifest.network.get("outputs")
    names = schema.names or schema.targets
    return names[1:] if count == 1 and len(names) == 2 else names


def listing(models: Models) -> list[dict[str, Any]]:
    """All models, the default first."""
    return [
        {
            "name": model.name,
            "model": model.runtime.manifest.model,
            "sha256": model.sha256,
            "engine": model.runtime.engine,
            "data": str(model.runtime.manifest.data.get("name")),
            "about": model.schema.words,
            "targets": list(model.schema.targets),
            "classes": list(model.schema.classes),
        }
        for model in models.values()
    ]


def named(models: Models, name: str) -> Model:
    """The model of this name; raises ``Refused``."""
    try:
        return models[name]
    except KeyError:
        known = ", ".join(models)
        raise Refused(404, f"there is no model {literal(name)}; there is {known}") from None

"""``/docs``: the requests of the server's own models on one page, which loads nothing else."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256

from linnet import __version__
from linnet.core.html import Html, join, tag
from linnet.core.text import cut
from linnet.serve.examples import example
from linnet.serve.limits import Limits
from linnet.serve.models import Model, Models
from linnet.serve.openapi import column
from linnet.serve.v2 import inputs_of, outputs_of

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 0 auto; padding: 1rem }
p { overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .75rem; border: 1px solid #8886 }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1.5rem 0 }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0 }
code, pre { font: 14px/1.45 ui-monospace, monospace }
"""

POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + b64encode(sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The policy of this page: its own style, and nothing else."""

MOST_EXAMPLE = 2000
"""The most letters of an example."""

PATHS = (
    ("POST /predict", "the default model: JSON, CSV, a PNG or JPEG file, or a form with files"),
    ("POST /predict?interval=0.9", "the same with intervals, or sets of classes"),
    ("POST /models/NAME/predict", "the model NAME"),
    ("GET /models", "the models"),
    ("POST /v2/models/NAME/infer", "the Open Inference Protocol, tensors in JSON"),
    ("GET /v2, /v2/models/NAME, /v2/models/NAME/ready", "its metadata"),
    ("GET /v2/health/live, /v2/health/ready", "probes"),
    ("POST /invocations", "MLflow's protocol, with the default model"),
    ("GET /ping, /health, /version", "MLflow's probes"),
    ("GET /openapi.json", "all of this for programs, in OpenAPI 3.1"),
    ("GET /", "a page to try the default model"),
)


def manual(models: Models, limits: Limits) -> bytes:
    """The page."""
    bounds = (
        f"A body has at most {limits.body:,} bytes and {limits.rows:,} rows; an answer comes "
        f"within {limits.seconds:g} seconds. 422 names the row, the column, the value given and "
        "what was expected; 503 says when to come again."
    )
    rows = join(tag("tr", tag("td", tag("code", path)), tag("td", what)) for path, what in PATHS)
    body = join(
        [
            tag("h1", f"linnet {__version__}"),
            tag("table", rows),
            tag("p", bounds),
            *(_about(model, index == 0) for index, model in enumerate(models.values())),
        ]
    )
    head = join(
        [
            Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width">'),
            tag("title", "linnet: requests"),
            Html(f"<style>{STYLE}</style>"),
        ]
    )
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'
    return page.encode()


def _about(model: Model, default: bool) -> Html:
    schema = model.schema
    path = "/predict" if default else f"/models/{model.name}/predict"
    shown = json.dumps(example(schema), ensure_ascii=False)
    call = f"curl -H 'Content-Type: application/json' http://HOST:PORT{path} -d \\\n'{shown}'"
    parts = [
        tag("h2", model.name),
        tag("p", schema.words),
        tag("p", f"sha256 {model.sha256}"),
        tag("pre", cut(call, MOST_EXAMPLE)),
    ]
    if schema.fields:
        cells = [
            tag("tr", tag("td", tag("code", field.name)), tag("td", column(field)["description"]))
            for field in schema.fields
            if field.used
        ]
        parts.append(tag("table", tag("tr", tag("th", "column"), tag("th", "values")), *cells))
    tensors = [
        tag("tr", tag("td", kind), tag("td", tag("code", name)), tag("td", f"{datatype} {shape}"))
        for kind, found in (("in", inputs_of(schema)), ("out", outputs_of(schema)))
        for name, datatype, shape in found[:100]
    ]
    parts.append(tag("table", tag("tr", tag("th", "tensor"), tag("th"), tag("th")), *tensors))
    return join(parts)

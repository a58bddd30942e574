"""The page on which a person tries a model: one HTML file, which computes or asks a server.

It holds the schema of an example and what is known of each model, as JSON. The file that ``linnet
export`` writes also holds the models' numbers, and computes by itself (``static/evaluate.js``);
``linnet serve`` sends the same page without them, which asks the server for each answer.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linnet.core.html import Html, join, tag
from linnet.core.html import data as as_data
from linnet.errors import InputError
from linnet.figures.colors import COLORS
from linnet.fit import artifact, runtime
from linnet.fit.artifact import Manifest
from linnet.fit.runtime import Runtime
from linnet.networks import BASELINE, LINE

if TYPE_CHECKING:
    from linnet.data.schema import Schema
    from linnet.integrations.export.export import Exported, Source

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("evaluate.js", "lay.js", "parts.js", "draw.js", "form.js", "try.js")
"""The scripts of the page, in their order; the first two are free of any page."""

TITLES = {
    "constant": "the constant",
    "linear": "the line",
    "mlp": "the perceptron",
    "cnn": "the convolutional net",
}
"""The networks that the page computes, and what they are called."""

OBJECTIVES = ("squared", "logistic", "softmax")
"""The objectives whose link the page computes."""

MAX_PARAMETERS = 8 << 20
"""The most parameters of a model in a page: 42 MB of text."""

MAX_DRAWN = 1 << 18
"""The most weights of a line whose pixels a served page draws: 1.3 MB of text."""

SHOWN = ("accuracy", "accuracy_interval", "rmse", "rmse_interval", "r2", "loss", "rows", "by")
"""What the page tells of the scores on test rows."""

LETTERS = str.maketrans("<>&", ",./")
"""Letters of base 85 that HTML gives a meaning, and those that stand for them."""

_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src {styles}; img-src data: blob:; "
    "connect-src {connect}; base-uri 'none'; form-action 'none'"
)


def export(source: Source, out: Path) -> Exported:
    """Write the page of a model, and of its run's other models that the page can compute."""
    from linnet.integrations.export.export import Exported, written

    if (why := lacking(artifact.read_manifest(source.path))) is not None:
        raise InputError(f"{source.path}: no page: {why}")
    models, left = [source.runtime], []
    for place in source.beside:
        about = artifact.read_manifest(place)
        if (why := lacking(about)) is not None:
            left.append(f"left out: {why}")
        elif about.model != BASELINE:
            models.append(runtime.load(place))
    about = models[0].manifest
    name = str(about.data.get("name")) if source.run is None else source.run.name
    html = document(models, served=False, name=name)
    size = written(out, html.encode())
    told = f"{out}: {size / 1e6:.2f} MB, opens in any browser, offline"
    names = [model.manifest.model for model in models]
    return Exported(out, (told, *left), {"bytes": size, "models": names})


def lacking(about: Manifest) -> str | None:
    """Why the page cannot compute a model, in words; None if it can."""
    schema = about.schema_
    if about.model not in TITLES:
        return (
            f'the model "{about.model}" is a network that is not linnet\'s own, and a page holds '
            f"no code but its own: it can compute {', '.join(TITLES)}"
        )
    if about.objective not in OBJECTIVES:
        return (
            f'the objective "{about.objective}" is not linnet\'s own; a page can compute '
            f"{', '.join(OBJECTIVES)}"
        )
    if schema.example == "picture" and (schema.dtype != "uint8" or schema.shape[0] not in (1, 3)):
        return (
            f'the model "{about.model}" learned from pictures of {schema.dtype} with '
            f"{schema.shape[0]} channels, and a page makes pictures of whole numbers 0 to 255, in "
            "grey or three colours"
        )
    size = sum(layer.parameters for layer in about.layers)
    if size > MAX_PARAMETERS:
        return (
            f'the model "{about.model}" has {size:,} parameters, and a page holds at most '
            f"{MAX_PARAMETERS:,} (MAX_PARAMETERS): export it to ONNX, or train a smaller one"
        )
    return None


def document(models: Sequence[Runtime], *, served: bool, name: str) -> str:
    """The page about ``models``, which have one schema, the chosen one first; ``name`` is that of
    the model or the run. The constant, which answers all rows alike, is shown only if it is chosen.

    With ``served`` the page asks the server that sent it (``POST try``), and holds no numbers but
    the weights of a line on pictures, which it draws. Raises ``InputError`` for a model that the
    page cannot compute, if it must.
    """
    first, *others = models
    models = [first, *(each for each in others if each.manifest.model != BASELINE)]
    if not served:
        for model in models:
            if (why := lacking(model.manifest)) is not None:
                raise InputError(f"no page: {why}")
    schema = models[0].schema
    facts = {
        "served": served,
        "name": name,
        "data": models[0].manifest.data.get("name"),
        "schema": _described(schema),
        "start": _start(models, schema),
        "models": [_about(model, number) for number, model in enumerate(models)],
    }
    packed = [
        tag("script", Html(_packed(model)), type="text/plain", id=f"numbers{number}")
        for number, model in enumerate(models)
        if not served or _drawn(model)
    ]
    style = Html((STATIC / "try.css").read_text(encoding="utf-8"))
    script = Html("".join((STATIC / each).read_text(encoding="utf-8") for each in SCRIPTS))
    body = [
        Html((STATIC / "try.html").read_text(encoding="utf-8")),
        tag("script", as_data(facts), type="application/json", id="facts"),
        *packed,
        tag("script", script),
    ]
    head = [Html('<meta charset="utf-8">')]
    if not served:
        content = _policy([script], [style], "'none'")
        head.append(tag("meta", http_equiv="Content-Security-Policy", content=content))
    head += [
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{name}: try it (linnet)"),
        tag("style", style),
    ]
    page = tag("html", tag("head", *head), tag("body", join(body)), lang="en")
    return f"<!doctype html>\n{page}\n"


def policy(html: str) -> str:
    """The Content-Security-Policy with which a server sends a page of ``document``: its own script
    and style, by their sha256, and requests to the server alone."""
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    return _policy(scripts, styles, "'self'") + "; frame-ancestors 'none'"


def _policy(scripts: Sequence[str], styles: Sequence[str], connect: str) -> str:
    return _POLICY.format(scripts=_hashes(scripts), styles=_hashes(styles), connect=connect)


def _hashes(texts: Sequence[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in texts)
    return " ".join(f"'sha256-{digest.decode()}'" for digest in digests)


def _described(schema: Schema) -> dict[str, Any]:
    """What the page needs of a schema: the used columns alone, and the classes as text."""
    plain = schema.plain()
    keys = "example", "shape", "dtype", "fit", "ground", "layout", "missing", "task", "targets"
    rows = schema.example == "row"
    return {
        **{key: plain[key] for key in keys},
        "classes": list(schema.names),
        "fields": [
            field for field, about in zip(plain["fields"], schema.fields, strict=True) if about.used
        ],
        "columns": list(schema.columns) if rows and not schema.fields else [],
    }


def _about(model: Runtime, number: int) -> dict[str, Any]:
    """What the page tells of a model, and what it needs to compute it."""
    about = model.manifest
    test = about.scores.get("test")
    return {
        "name": about.model,
        "title": TITLES.get(about.model, about.model),
        "line": about.model == LINE,
        "chosen": number == 0,
        "kind": about.model,
        "objective": about.objective,
        "cut": about.cut,
        "spec": about.network,
        "dtype": about.dtype,
        "tensors": [[name, array.size] for name, array in _tensors(model).items()],
        "sha256": model.sha256,
        "color": COLORS[number % len(COLORS)],
        "test": {k: test[k] for k in SHOWN if k in test} if isinstance(test, dict) else None,
    }


def _tensors(model: Runtime) -> Mapping[str, np.ndarray[Any, Any]]:
    """The tensors of a model that are numbers with a point, by name."""
    found = {name: np.asarray(array) for name, array in model.tensors().items()}
    return {name: array for name, array in found.items() if array.dtype.kind == "f"}


def _packed(model: Runtime) -> str:
    """The numbers of a model in its dtype, one tensor after the other, in base 85: five letters for
    four bytes, where base 64 has sixteen for twelve."""
    dtype = np.dtype(model.manifest.dtype).newbyteorder("<")
    content = b"".join(array.astype(dtype).tobytes() for array in _tensors(model).values())
    return base64.b85encode(content).decode().translate(LETTERS)


def _drawn(model: Runtime) -> bool:
    """Whether the page draws what each pixel adds to a model."""
    size = sum(array.size for array in _tensors(model).values())
    line = model.manifest.model == LINE and model.schema.example == "picture"
    return line and size <= MAX_DRAWN


def _start(models: Sequence[Runtime], schema: Schema) -> list[float]:
    """With what the form begins for rows of numbers without a table: their means in training, where
    a model standardises them, else zeros."""
    if schema.example != "row" or schema.fields:
        return []
    for model in models:
        shift = _tensors(model).get("scaling.shift")
        if shift is not None and shift.size == prod(schema.shape):
            return [float(f"{value:.4g}") for value in shift.ravel().tolist()]
    return [0.0] * prod(schema.shape)

"""The page to try a model: what it computes, against the models themselves, by Node."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from helpers import ParsedPage, refusal
from numpy.testing import assert_allclose
from torch import nn

import linnet
from linnet.data.column import Column
from linnet.data.pictures.picture import fitted
from linnet.data.schema import Schema
from linnet.errors import InputError
from linnet.fit import runtime
from linnet.fit.artifact import Artifact, Manifest
from linnet.fit.runtime import Runtime
from linnet.integrations.export import page
from linnet.networks import NETWORKS, find
from linnet.networks.activations import ACTIVATIONS
from linnet.networks.build import build, layers
from linnet.objectives import OBJECTIVES
from linnet.objectives import find as find_objective

Array = np.ndarray[Any, Any]

PLAIN = "".join((page.STATIC / name).read_text("utf-8") for name in page.SCRIPTS[:2])
"""The scripts that compute: they need no page."""

READ = """
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const {facts} = given, schema = facts?.schema;
const models = (facts?.models ?? []).map((model, i) => {
  const tensors = tensorsOf(model.tensors, model.dtype, given.numbers[i]);
  return {...model, tensors, predict: network({...model, tensors}, schema.dtype)};
});
const typed = (x) => schema.dtype === "uint8" ? Uint8Array.from(x)
  : schema.dtype === "float64" ? Float64Array.from(x) : Float32Array.from(x);
const answers = (x) => models.map((model) => {
  const raw = Array.from(model.predict(x));
  return {raw, p: probabilities(model.objective, raw)};
});
const tell = (value) => process.stdout.write(JSON.stringify(value));
"""

ON_ARRAYS = "tell(given.examples.map((x) => answers(typed(x))));"
ON_ROWS = """
tell(given.rows.map((row) => {
  const {x, notes, wrong} = encoded(schema, new Map(Object.entries(row)));
  return {x: Array.from(x), notes: Object.fromEntries(notes), wrong: Object.fromEntries(wrong), answers: answers(x)};
}));
"""


def node(script: str, given: Mapping[str, Any] | None = None) -> Any:
    """What ``script`` tells after the scripts that compute; skips where Node is missing."""
    place = shutil.which("node")
    if place is None:
        pytest.skip("there is no Node, which runs the page's scripts here")
    done = subprocess.run(
        [place, "-e", PLAIN + READ + script],
        input=json.dumps(given or {}), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def parts(html: str) -> dict[str, Any]:
    """The facts and the packed numbers in a page."""
    scripts = ParsedPage(html).scripts
    found = sorted(
        (name for name in scripts if name.startswith("numbers")), key=lambda n: int(n[7:])
    )
    return {"facts": json.loads(scripts["facts"]), "numbers": [scripts[name] for name in found]}


def random_model(
    folder: Path, kind: str, spec: dict[str, Any], schema: Schema, objective: str, dtype: str
) -> Runtime:
    """A model of random numbers, as a file that was written and read again."""
    found = find_objective(objective)
    whole = {"inputs": list(schema.shape), "outputs": found.outputs(schema), **spec}
    if "member" in whole:
        whole["member"] = {**{k: whole[k] for k in ("inputs", "outputs")}, **whole["member"]}
    module = build(kind, whole, dtype)
    generator = torch.Generator().manual_seed(1)
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if name.endswith(("running_var", "factor", "rate")):
            drawn = drawn.abs() + 0.5
        if name.endswith("scaling.factor") and schema.dtype == "uint8":
            drawn = drawn / 100
        if name.endswith("bounds.low"):
            drawn = -drawn.abs() - 0.5
        if name.endswith("bounds.high"):
            drawn = drawn.abs() + 0.5
        if name.endswith(".weight") and tensor.dim() > 1:
            drawn = drawn / tensor[0].numel() ** 0.5
        tensor.copy_(drawn)
    manifest = Manifest(
        model=kind, objective=objective, network=whole, dtype=dtype,  # type: ignore[arg-type]
        layers=tuple(layers(module, schema.dtype)),  # type: ignore[arg-type]
        schema=schema, recipe={}, fit={}, scores={}, data={"name": "made"}, provenance={},
    )  # fmt: skip
    path = folder / f"{kind}.safetensors"
    Artifact(manifest, module.eval(), found).save(path)
    return runtime.load(path)


def rows_of(count: int, dtype: str = "float32", classes: int = 3, targets: int = 1) -> Schema:
    """A schema of rows of numbers; with 0 classes of numbers to predict."""
    task: dict[str, Any] = {"task": "regression", "targets": tuple(f"t{i}" for i in range(targets))}
    if classes:
        labels = tuple(f"c{i}" for i in range(classes))
        task = {
            "task": "classification",
            "targets": ("y",),
            "classes": labels,
            "class_kind": "text",
        }
    return Schema(example="row", shape=(count,), dtype=dtype, **task)  # type: ignore[arg-type]


def pictures_of(*shape: int, **more: Any) -> Schema:
    about: dict[str, Any] = {"task": "classification", "targets": ("y",), "class_kind": "int"}
    return Schema(
        example="picture", shape=shape, dtype="uint8", **{**about, "classes": (0, 1, 2), **more}
    )


def agree(model: Runtime, x: Array) -> None:
    """The page's answers for encoded examples are the model's own."""
    given = parts(page.document([model], served=False, name="made"))
    found = node(ON_ARRAYS, {**given, "examples": [each.ravel().tolist() for each in x]})
    raw = model.raw(x)
    p = model.answers(runtime.Encoded(x)).p
    wide = model.manifest.dtype == "float64"
    size = max(1.0, float(np.abs(raw).max()))
    ours = np.array([each[0]["raw"] for each in found])
    assert_allclose(ours, raw, rtol=0, atol=(1e-10 if wide else 1e-5) * size)
    if p is None:
        return
    shares = np.array([each[0]["p"] for each in found])
    assert_allclose(shares, p, rtol=0, atol=1e-10 if wide else 1e-5)
    best = np.sort(p, 1)
    clear = best[:, -1] - best[:, -2] > 1e-5
    assert (shares.argmax(1) == p.argmax(1))[clear].all()


MLP = {"scale": "standard", "widths": [9, 7], "activation": "relu", "batch_norm": False, "dropout": 0.0, "rescale": False}  # fmt: skip
PIECEWISE = {"kind": "piecewise", "numbers": [0, 2, 4], "size": 3, "bins": 5}
PERIODIC = {"kind": "periodic", "numbers": [1, 2], "size": 4, "frequencies": 6, "sigma": 0.5}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("constant", {}),
        ("linear", {"scale": "none"}),
        ("linear", {"scale": "pixel"}),
        ("linear", {"scale": "standard"}),
        ("mlp", MLP),
        ("mlp", {**MLP, "scale": "none"}),
        ("mlp", {**MLP, "batch_norm": True, "dropout": 0.3}),
        ("mlp", {**MLP, "dropout": 0.3, "embedding": PIECEWISE}),
        ("mlp", {**MLP, "batch_norm": True, "embedding": PERIODIC}),
        ("mlp", {"members": 3, "member": {**MLP, "embedding": PIECEWISE}}),
    ],
)
def test_rows_of_numbers(dtype: str, kind: str, spec: dict[str, Any], tmp_path: Path) -> None:
    model = random_model(tmp_path, kind, spec, rows_of(5, dtype), "softmax", dtype)
    x = np.random.default_rng(0).normal(size=(12, 5)).astype(dtype)
    x[0] *= 100  # beyond all bounds
    agree(model, x)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, tmp_path: Path) -> None:
    schema = rows_of(4, "float64", classes=2)
    model = random_model(
        tmp_path, "mlp", {**MLP, "activation": name}, schema, "logistic", "float64"
    )
    x = np.random.default_rng(0).normal(size=(20, 4)) * np.logspace(-3, 2, 20)[:, None]
    agree(model, x)


def test_a_wide_row_in_a_narrow_model(tmp_path: Path) -> None:
    """Rows of float64 go into a model of float32: they are scaled before they are rounded."""
    model = random_model(
        tmp_path, "linear", {"scale": "standard"}, rows_of(3, "float64"), "softmax", "float32"
    )
    shift = model.tensors()["scaling.shift"]
    agree(model, np.random.default_rng(0).normal(size=(8, 3)) * 1e-6 + shift + 0.3)


@pytest.mark.parametrize("targets", [1, 3])
def test_numbers(targets: int, tmp_path: Path) -> None:
    schema = rows_of(4, classes=0, targets=targets)
    x = np.random.default_rng(0).normal(size=(9, 4)).astype("float32")
    agree(random_model(tmp_path, "mlp", {**MLP, "rescale": True}, schema, "squared", "float32"), x)
    agree(random_model(tmp_path, "linear", {"scale": "standard"}, schema, "squared", "float32"), x)


CNN = {"scale": "pixel", "channels": [3, 4], "activation": "relu", "batch_norm": True, "dropout": 0.1, "rescale": False}  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 6)])
@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("linear", {"scale": "pixel"}),
        ("linear", {"scale": "standard"}),
        ("mlp", {**MLP, "scale": "pixel"}),
        ("mlp", {**MLP, "scale": "standard"}),
        ("cnn", CNN),
        ("cnn", {**CNN, "batch_norm": False, "activation": "gelu", "scale": "standard"}),
        ("cnn", {"members": 2, "member": CNN}),
    ],
)
def test_pictures(shape: tuple[int, ...], kind: str, spec: dict[str, Any], tmp_path: Path) -> None:
    model = random_model(tmp_path, kind, spec, pictures_of(*shape), "softmax", "float32")
    x = np.random.default_rng(0).integers(0, 256, (10, *shape), dtype=np.uint8)
    agree(model, x)

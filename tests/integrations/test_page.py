"""The page to try a model: what it computes, against the models themselves, by Node."""

from __future__ import annotations

import base64
import contextlib
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
from numpy.testing import assert_allclose
from torch import nn

import linnet
import linnet.core.text
from helpers import ParsedPage, command, open_browser, refusal
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
  const [said, refused] = [notes, wrong].map((each) => Object.fromEntries(each));
  return {x: Array.from(x), notes: said, wrong: refused, answers: answers(x)};
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


def _scale(spec: dict[str, Any]) -> Any:
    return spec.get("member", spec).get("scale")


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
        plain = name.endswith(("scaling.shift", "scaling.factor")) and _scale(whole) == "none"
        if plain or not tensor.is_floating_point():
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
    manifest = Manifest.parse(
        {
            "model": kind,
            "objective": objective,
            "network": whole,
            "dtype": dtype,
            "layers": layers(module, schema.dtype),
            "schema": schema.plain(),
            **{part: {} for part in ("recipe", "fit", "scores", "provenance")},
            "data": {"name": "made"},
        },
        "made",
    )
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
    return Schema(example="row", shape=(count,), dtype=dtype, **task)


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


MLP = {
    "scale": "standard", "widths": [9, 7], "activation": "relu", "batch_norm": False,
    "dropout": 0.0, "rescale": False,
}  # fmt: skip
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


CNN = {
    "scale": "pixel", "channels": [3, 4], "activation": "relu", "batch_norm": True,
    "dropout": 0.1, "rescale": False,
}  # fmt: skip


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


# tables


def frame() -> pl.DataFrame:
    """A table with columns of every kind that is used."""
    generator = np.random.default_rng(3)
    count = 240
    size = np.round(generator.normal(50, 12, count), 1)
    size[:6] = 5e6  # far from all others
    days = generator.integers(0, 9000, count)
    part: dict[str, Any] = {
        "size": size,
        "holes": [None if i % 7 == 0 else float(i % 31) / 3 for i in range(count)],
        "kind": [("oak", "ash", "elm")[i % 3] for i in range(count)],
        "place": [f"p{i % 40 if i % 2 else 0}" for i in range(count)],
        "lost": [None if i % 9 == 0 else ("up", "down")[i % 2] for i in range(count)],
        "grade": [int(i % 5) for i in range(count)],
        "open": [("yes", "no")[i * i % 7 % 2] for i in range(count)],
        "maybe": [None if i % 11 == 0 else bool(i % 3) for i in range(count)],
        "day": [f"{np.datetime64('1999-03-01') + int(day)}" for day in days],
        "moment": [
            f"{np.datetime64('2001-01-01T00:00:00') + int(61 * day)}".replace("T", " ")
            for day in days
        ],
    }
    part["y"] = [
        ("no", "yes")[int(k == "oak" or (g > 3 and s > 40))]
        for k, g, s in zip(part["kind"], part["grade"], size, strict=True)
    ]
    return pl.DataFrame(part)


TYPICAL: dict[str, Any] = {
    "size": 48.5, "holes": 3.25, "kind": "ash", "place": "p0", "lost": "up", "grade": 3,
    "open": True, "maybe": False, "day": "2004-02-29", "moment": "2001-05-06T07:08:09",
}  # fmt: skip
CHANGES: list[dict[str, Any]] = [
    {},
    {"size": None}, {"size": -1e9}, {"size": 1234567.891}, {"size": "47.25"},
    {"holes": None}, {"holes": 0},
    {"kind": None}, {"kind": "beech"}, {"kind": "oak"},
    {"place": "p3"}, {"place": "p39"}, {"place": "nowhere"}, {"place": None},
    {"lost": None}, {"lost": "sideways"},
    {"grade": "0"}, {"grade": 17}, {"grade": None},
    {"open": False}, {"open": None}, {"maybe": None}, {"maybe": True},
    {"day": None}, {"day": "1969-12-31"}, {"day": "1971-01-01"},
    {"moment": None}, {"moment": "1999-12-31T23:59:59"}, {"moment": "2020-02-03T00:00:01"},
]  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    """A run on a table with columns of every kind: a line and a net with an embedding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return linnet.train(
            frame(), target="y", model=["linear", "mlp"], penalty=0.01, widths=[6],
            epochs=2, yardstick="none",
            max_categories=8, columns={"grade": "category", "size": "number"},
            embedding="piecewise", out=tmp_path_factory.mktemp("runs") / "table", echo=False,
        )  # fmt: skip


def loaded(run: linnet.Run, *names: str) -> list[Runtime]:
    return [runtime.load(run.path / f"{name}.safetensors") for name in names]


def test_rows_of_a_table(table: linnet.Run) -> None:
    """Each row is encoded to the bit as the model encodes it, and answered alike."""
    models = loaded(table, "mlp", "linear")
    kinds = {field.kind for field in models[0].schema.fields}
    assert kinds == {"number", "category", "boolean", "date"}
    assert any(field.other for field in models[0].schema.fields)
    assert any(field.ends for field in models[0].schema.fields)
    given = parts(page.document(models, served=False, name="table"))
    rows = [{**TYPICAL, **change} for change in CHANGES]
    found = node(ON_ROWS, {**given, "rows": rows})
    for row, change, ours in zip(rows, CHANGES, found, strict=True):
        assert ours["wrong"] == {}, change
        for model, answer in zip(models, ours["answers"], strict=True):
            theirs = model.rows([row])
            x = theirs.x[0]
            assert np.asarray(ours["x"], x.dtype).tobytes() == x.tobytes(), change
            p = model.answers(theirs).p
            assert p is not None
            assert_allclose(answer["p"], p[0], rtol=0, atol=1e-5)
        said = set(ours["notes"])
        assert said <= set(change)
        noted = [note for note in theirs.notes if "0 rows" not in note]
        assert bool(noted) <= bool(said), (change, noted)


def test_what_the_page_says_of_values(table: linnet.Run) -> None:
    given = parts(page.document(loaded(table, "linear"), served=False, name="table"))
    told = {
        ("size", -1e9): "far from all usual numbers: counts as missing, "
        "and the median of training stands in",
        ("holes", None): "missing: the mean of training stands in, and a mark says so",
        ("kind", "beech"): "in no training row: counts as no category",
        ("kind", None): "missing, as in no training row: counts as no category",
        ("place", "nowhere"): "counts as one of the rare categories",
        ("lost", None): "",
        ("open", None): "missing, as in no training row: the mean of training stands in",
    }  # fmt: skip
    rows = [{**TYPICAL, name: value} for name, value in told]
    for (name, value), ours in zip(told, node(ON_ROWS, {**given, "rows": rows}), strict=True):
        assert ours["notes"].get(name, "") == told[name, value]
    wrong: list[tuple[str, Any, str]] = [
        ("size", "much", "a number"), ("size", "", "a number"), ("size", 1e39, "too large"),
        ("day", "", "a date"), ("day", "soon", "a date"),
    ]  # fmt: skip
    rows = [{**TYPICAL, name: value} for name, value, _ in wrong]
    for (name, value, why), ours in zip(wrong, node(ON_ROWS, {**given, "rows": rows}), strict=True):
        far = name == "size" and value == 1e39
        assert far or why in ours["wrong"][name], (name, value)


def test_the_terms_of_a_line_sum_to_its_answer(table: linnet.Run) -> None:
    (model,) = loaded(table, "linear")
    given = parts(page.document([model], served=False, name="table"))
    rows = [{**TYPICAL, **change} for change in CHANGES]
    found = node(
        "tell(given.rows.map((row) => terms(models[0], schema, "
        "encoded(schema, new Map(Object.entries(row))).x, [])));",
        {**given, "rows": rows},
    )
    bias = model.tensors()["linear.bias"]
    for row, ours in zip(rows, found, strict=True):
        encoded = model.rows([row])
        assert [term["name"] for term in ours] == list(TYPICAL)
        total = bias + np.sum([term["terms"] for term in ours], axis=0)
        assert_allclose(total, model.raw(encoded.x)[0], atol=1e-5)
        theirs = model.terms(encoded)
        if theirs is not None:
            assert [term.name for term in theirs] == list(TYPICAL)
            assert_allclose([t["terms"] for t in ours], [t.terms for t in theirs], atol=1e-5)


def test_values_that_mean_missing(tmp_path: Path) -> None:
    fields = (Column(name="a", kind="number", fill=(2.5,), missing=True),)
    schema = Schema(
        example="row", shape=(2,), dtype="float32", columns=("a", "a (missing)"), fields=fields,
        missing=("-999", "none yet"), task="regression", targets=("y",),
    )  # fmt: skip
    model = random_model(tmp_path, "linear", {"scale": "none"}, schema, "squared", "float32")
    given = parts(page.document([model], served=False, name="x"))
    rows = [{"a": value} for value in (1, -999, "-999.0", "none yet", None)]
    found = node(ON_ROWS, {**given, "rows": rows})
    assert [each["x"] for each in found] == [[1, 0], *[[2.5, 1]] * 4]


# pictures in files


@pytest.mark.parametrize("how", ["pad", "crop"])
@pytest.mark.parametrize("size", [(40, 61), (7, 5), (28, 90), (300, 200)])
def test_pictures_are_scaled_as_in_training(how: Any, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (3, *size), dtype=np.uint8)
    picture[:, : size[0] // 2] = 40
    ours = node(
        "tell(fitted(given.layers.map((l) => Uint8Array.from(l)), given.size, [32, 24], given.how)"
        ".map((l) => Array.from(l)));",
        {"layers": [each.ravel().tolist() for each in picture], "size": size, "how": how},
    )
    theirs = fitted(picture, (32, 24), how).reshape(3, -1)
    assert np.abs(np.array(ours) - theirs.astype(int)).max() <= 1


LAY = """
const lay = (photo, schema) => {
  const {x, notes, told} = fromPhoto({...photo, data: Uint8ClampedArray.from(photo.data)}, schema);
  return {x: Array.from(x), notes, told};
};
tell(given.photos.map((photo) => lay(photo, given.schema)));
"""


def photo(picture: Array, alpha: int = 255) -> dict[str, Any]:
    """A grey picture (height, width), or one in colour, as a browser gives its pixels."""
    grey = np.repeat(picture[..., None], 3, 2) if picture.ndim == 2 else picture
    data = np.concatenate([grey, np.full((*grey.shape[:2], 1), alpha)], 2)
    return {"data": data.ravel().tolist(), "height": grey.shape[0], "width": grey.shape[1]}


def digit(side: int = 28) -> Array:
    """A seven in white on black whose ink lies as in MNIST."""
    x = np.zeros((side, side), np.uint8)
    x[4:7, 7:21] = 255
    for row in range(7, 24):
        x[row, 19 - (row - 7) // 2 : 22 - (row - 7) // 2] = 255
    return x


BOX: dict[str, Any] = {"side": 20, "centre": "box"}
MNIST_LIKE: dict[str, Any] = {"shape": [1, 28, 28], "ground": [0, 255], "layout": BOX, "fit": None}


def test_photos_of_ink_are_laid_out_as_the_training_pictures() -> None:
    """Dark ink on an unevenly lit sheet, large or small, with a speck of dust, becomes the same
    picture."""
    from PIL import Image

    own = digit()
    light = 255 - own
    large = np.asarray(
        Image.fromarray(light[3:25, 6:23]).resize((170, 220), Image.Resampling.BICUBIC)
    )
    sheet = np.full((420, 560), 255, np.uint8)
    sheet[100:320, 60:230] = large
    shade = np.linspace(0.95, 0.6, 560)[None] * np.linspace(1, 0.85, 420)[:, None]
    lit = (sheet * shade).astype(np.uint8)
    lit[395:398, 520:523] = 90
    white = np.full((420, 560), 25, np.uint8)
    white[100:320, 60:230] = np.maximum(255 - large, 25)
    given = [photo(own), photo(light), photo(lit), photo(white), photo(np.full((50, 50), 200))]
    same, turned, sheet_, board, empty = node(LAY, {"photos": given, "schema": MNIST_LIKE})
    assert same["x"] == own.ravel().tolist() and same["notes"] == []
    assert turned["x"] == own.ravel().tolist()
    for found, notes in ((turned, 1), (sheet_, 1), (board, 0)):
        x = np.array(found["x"]).reshape(28, 28)
        assert len(found["notes"]) == notes, found["notes"]
        assert all("turned round" in note for note in found["notes"])
        assert np.corrcoef(x.ravel(), own.ravel())[0, 1] > 0.8
        rows = np.nonzero((x > 100).any(1))[0]
        assert (
            rows.max() - rows.min() in (18, 19) and abs((rows.min() + rows.max()) / 2 - 13.5) <= 1
        )
    assert "hardly any ink" in empty["notes"][0] and set(empty["x"]) == {0}


def test_pictures_in_colour_and_without_a_ground() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (60, 90, 3))
    schema: dict[str, Any] = {"shape": [3, 32, 32], "ground": None, "layout": None, "fit": None}
    small = colour[:32, :32]
    cut, same = node(LAY, {"photos": [photo(colour), photo(small)], "schema": schema})
    theirs = fitted(colour.transpose(2, 0, 1).astype(np.uint8), (32, 32), "crop")
    assert np.abs(np.array(cut["x"]) - theirs.ravel().astype(int)).max() <= 1
    assert cut["notes"] == [] and "90 x 60" in cut["told"] and "cut off" in cut["told"]
    assert same["x"] == small.transpose(2, 0, 1).ravel().tolist() and same["told"] == ""
    schema = {"shape": [3, 32, 32], "ground": [0, 255], "layout": None, "fit": "pad"}
    (light,) = node(LAY, {"photos": [photo(np.full((40, 40), 250))], "schema": schema})
    assert "light edge" in light["notes"][0]


def test_what_is_drawn_on_a_transparent_ground() -> None:
    ink = np.zeros((40, 40, 4), np.uint8)
    ink[8:32, 18:22] = (0, 0, 0, 255)
    data = {"data": ink.ravel().tolist(), "height": 40, "width": 40}
    (found,) = node(LAY, {"photos": [data], "schema": MNIST_LIKE})
    x = np.array(found["x"]).reshape(28, 28)
    assert x[14, 13] > 200 and x[0, 0] == 0 and "turned round" in found["notes"][0]


@pytest.mark.parametrize("centre", ["mass", "box"])
@pytest.mark.parametrize("side", [0.05, 0.3, 1.0])
def test_drawings_are_laid_out_as_the_training_pictures(centre: str, side: float) -> None:
    """A large, a small and a dot-like drawing fill the same box, with a pen as thick."""
    strokes = [
        [[0.1, 0.1], [0.1 + 0.5 * side, 0.1]],
        [[0.1 + 0.5 * side, 0.1], [0.1 + 0.1 * side, 0.1 + 0.8 * side]],
    ]
    schema = {**MNIST_LIKE, "ground": [16, 0], "layout": {"side": 20, "centre": centre}}
    found = node(
        "tell(Array.from(fromStrokes(given.strokes, given.schema).x));",
        {"strokes": strokes, "schema": schema},
    )
    ink = (16 - np.array(found, float).reshape(28, 28)) / 16
    assert ink.min() == 0 and ink.max() == 1
    rows, columns = (np.nonzero(ink.max(axis) >= 0.3)[0] for axis in (1, 0))
    tall = rows.max() - rows.min() + 1
    assert tall in (20, 21) if side > 0.1 else tall < 10
    place = np.arange(28) + 0.5
    if centre == "mass":
        assert abs(ink.sum(1) @ place / ink.sum() - 14) < 0.1
        assert abs(ink.sum(0) @ place / ink.sum() - 14) < 0.1
    else:
        assert abs((rows.min() + rows.max() + 1) / 2 - 14) <= 0.5
        assert abs((columns.min() + columns.max() + 1) / 2 - 14) <= 0.5


# the document


def test_the_page_is_one_file(table: linnet.Run) -> None:
    html = page.document(loaded(table, "mlp", "linear"), served=False, name="table")
    assert ParsedPage(html).links == ["#answer"]
    assert not re.search(
        r"https?:|//[a-z]",
        re.sub(r"<script type.*?</script>|^\s*//.*$| // .*$", "", html, flags=re.S | re.M),
    )
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', html)
    assert "connect-src &#x27;none&#x27;" in policy and "unsafe" not in policy
    served = page.document(loaded(table, "mlp", "linear"), served=True, name="table")
    assert "http-equiv" not in served and parts(served)["numbers"] == []
    assert "connect-src 'self'" in page.policy(served)
    for digest in re.findall(r"'sha256-(.*?)'", page.policy(served)):
        assert digest.replace("+", "&#x2B;") in policy or digest in policy


def test_the_numbers_are_those_of_the_model(tmp_path: Path) -> None:
    for dtype in ("float32", "float64"):
        model = random_model(
            tmp_path, "mlp", {**MLP, "batch_norm": True}, rows_of(5, dtype), "softmax", dtype
        )
        given = parts(page.document([model], served=False, name="x"))
        found = node(
            "tell(Object.fromEntries([...models[0].tensors].map(([k, v]) => [k, Array.from(v)])));",
            given,
        )
        tensors = {k: v for k, v in model.tensors().items() if v.dtype.kind == "f"}
        assert found.keys() == tensors.keys()
        for name, values in tensors.items():
            assert np.asarray(found[name], values.dtype).tobytes() == values.tobytes()


def test_mnist_models_take_three_megabytes(tmp_path: Path) -> None:
    """The line, the perceptron of 512 and 256 and the cnn in one page."""
    schema = pictures_of(1, 28, 28, classes=tuple(range(10)))
    linear = random_model(tmp_path, "linear", {"scale": "pixel"}, schema, "softmax", "float32")
    mlp = random_model(
        tmp_path,
        "mlp",
        {**MLP, "scale": "pixel", "widths": [512, 256]},
        schema,
        "softmax",
        "float32",
    )
    cnn = random_model(
        tmp_path, "cnn", {**CNN, "channels": [16, 32, 64]}, schema, "softmax", "float32"
    )
    html = page.document([cnn, mlp, linear], served=False, name="mnist")
    assert len(html.encode()) <= 3_000_000
    served = page.document([cnn, mlp, linear], served=True, name="mnist")
    assert len(served.encode()) <= 150_000
    assert len(parts(served)["numbers"]) == 1  # the line's, which are drawn


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raw: torch.Tensor = self.layer(x)
        return raw


def test_what_a_page_cannot_compute_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def document(model: Runtime) -> str:
        return page.document([model], served=False, name="x")

    schema = Schema(
        example="picture", shape=(1, 4, 4), dtype="float32", task="regression", targets=("y",)
    )
    model = random_model(tmp_path, "linear", {"scale": "pixel"}, schema, "squared", "float32")
    assert "pictures of float32" in refusal(document, model, error=InputError)
    model = random_model(tmp_path, "linear", {"scale": "none"}, rows_of(5), "softmax", "float32")
    monkeypatch.setattr(page, "MAX_PARAMETERS", 10)
    assert "18 parameters" in refusal(document, model, error=InputError)
    monkeypatch.undo()
    x = np.random.default_rng(0).normal(size=(60, 5)).astype("float32")
    run = linnet.train(
        (x, x[:, :3].argmax(1)),
        network=Own(),
        epochs=1,
        out=tmp_path / "own",
        echo=False,
        yardstick="none",
    )
    own = runtime.load(run.path / "custom.safetensors", Own())
    told = refusal(document, own, error=InputError)
    assert '"custom"' in told and "linear, mlp, cnn" in told
    assert page.document([own], served=True, name="x")  # the server computes it
    out = linnet.export(run, "page", model="linear", out=tmp_path / "x.html")  # without the other
    assert [model["name"] for model in parts(out.read_text("utf-8"))["facts"]["models"]] == [
        "linear"
    ]
    told = refusal(linnet.export, run, "page", model="custom", error=InputError)
    assert '"custom"' in told  # before the module is asked for


def test_export_writes_the_page(
    table: linnet.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model and the run's others, without the constant; what a page cannot hold is left out."""
    out = linnet.export(table, "page", model="mlp", out=tmp_path / "page.html")
    html = out.read_text("utf-8")
    facts = parts(html)["facts"]
    assert [model["name"] for model in facts["models"]] == ["mlp", "linear"]
    assert [model["chosen"] for model in facts["models"]] == [True, False]
    assert facts["name"] == "table" and facts["models"][0]["test"]["accuracy_interval"]
    (size,) = {
        sum(layer.parameters for layer in model.manifest.layers)
        for model in loaded(table, "linear")
    }
    monkeypatch.setattr(page, "MAX_PARAMETERS", size)
    done = command("export", table.path, "--to", "page", "--model", "linear", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "offline" in done.stdout and 'left out: the model "mlp" has' in done.stdout
    assert len(parts(out.read_text("utf-8"))["facts"]["models"]) == 1


def test_the_page_knows_linnets_own_parts() -> None:
    assert {*page.TITLES, "custom"} == set(NETWORKS)
    assert {name: find(name).title for name in page.TITLES} == page.TITLES
    assert set(page.OBJECTIVES) == set(OBJECTIVES)
    assert base64.b85encode(bytes(range(256)) * 16).decode().translate(page.LETTERS).isascii()


# in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as found:
        yield found


class Opened:
    """A page of ``document`` in Chromium, from a file and without a network."""

    def __init__(self, browser: Any, html: str, folder: Path, **context: Any) -> None:
        place = folder / "page.html"
        place.write_text(html, "utf-8")
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.context = browser.new_context(offline=True, **context)
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console", lambda told: self.errors.append(told.text) if told.type == "error" else None
        )
        self.page.goto(place.as_uri())

    def settle(self) -> None:
        """Wait until what was done has been drawn."""
        frames = """(n) => new Promise((done) => {
            const next = () => (n-- ? requestAnimationFrame(next) : done());
            next(); })"""
        self.page.evaluate(frames, 4)

    def says(self) -> list[str]:
        """What each model says, in large letters."""
        self.settle()
        found: list[str] = self.page.locator(".says").all_inner_texts()
        return found

    def draw(self, *points: tuple[float, float]) -> None:
        """A line on the drawing area, in shares of it."""
        box = self.page.locator("#board").bounding_box()
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*at[0])
        self.page.mouse.down()
        for each in at[1:]:
            self.page.mouse.move(*each, steps=6)
        self.page.mouse.up()

    def seen(self) -> Array:
        """The pixels that the models see, (height, width)."""
        script = """() => { const seen = document.getElementById("seen");
            const {data} = seen.getContext("2d").getImageData(0, 0, seen.width, seen.height);
            return Array.from(data); }"""
        return np.array(self.page.evaluate(script)).reshape(28, 28, 4)[..., 0]

    def close(self) -> None:
        """No error was told, nothing was asked for but the page, and it fits into the window."""
        assert self.errors == []
        assert [url for url in self.requests if not url.startswith(("file:", "blob:"))] == []
        assert len(self.requests) == 1
        over = """() => [...document.querySelectorAll("*")].filter((node) =>
            node.getBoundingClientRect().right > window.innerWidth + 0.5).map(
            (node) => node.outerHTML.slice(0, 200))"""
        assert self.page.evaluate(over) == []
        wide, inner = self.page.evaluate(
            "[document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert wide <= inner
        self.context.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens pages, and checks at the end that they were well."""
    all_: list[Opened] = []

    def open_(models: Sequence[Runtime], **context: Any) -> Opened:
        html = page.document(models, served=False, name="tried")
        all_.append(Opened(browser, html, tmp_path, **context))
        return all_[-1]

    yield open_
    for each in all_:
        each.close()


PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.mark.slow
@pytest.mark.parametrize("context", [{}, {**PHONE, "color_scheme": "dark"}])
def test_the_form_moves_the_answer(
    context: dict[str, Any], table: linnet.Run, opened: Callable[..., Opened]
) -> None:
    models = loaded(table, "mlp", "linear")
    tried = opened(models, **context)
    tried.says()
    begin = [field.typical for field in models[0].schema.fields if field.used]
    assert None not in begin
    for label, value in (
        ("size", "41.5"),
        ("kind", "oak"),
        ("open", "no"),
        ("day", "2010-05-06"),
        ("grade", "4"),
    ):
        field = tried.page.get_by_label(label, exact=True)
        if field.evaluate("node => node.tagName") == "SELECT":
            field.select_option(label=value)
        else:
            field.fill(value)
    row = {**TYPICAL, "size": 41.5, "kind": "oak", "open": False, "day": "2010-05-06", "grade": 4}
    for name in [field.name for field in models[0].schema.fields if field.used]:
        if row[name] == TYPICAL[name]:  # as the form begins
            shown = tried.page.get_by_label(name, exact=True)
            value = shown.evaluate(
                "node => node.tagName === 'SELECT' ? node.selectedOptions[0].label : node.value"
            )
            row[name] = {"yes": True, "no": False}.get(value, value)
    for model, said in zip(models, tried.says(), strict=True):
        answers = model.answers(model.rows([{**row, "holes": float(row["holes"])}]))
        assert answers.p is not None
        assert said == f"{answers.prediction[0]} {answers.p.max():.2%}".replace("%", " %")
    tried.page.get_by_label("size is missing").check()
    assert "the median of training stands in" in tried.page.locator(".fields").inner_text()
    tried.page.get_by_label("size is missing").uncheck()
    tried.page.get_by_label("size", exact=True).fill("many")
    assert tried.page.locator("#problem").inner_text().startswith("size: expected a number")
    assert tried.page.get_by_label("size", exact=True).get_attribute("aria-invalid") == "true"
    tried.page.locator("#reset").click()
    assert not tried.page.locator("#problem").is_visible()
    tried.page.locator("#live", has_text="the perceptron: ").wait_for(state="attached")
    terms = tried.page.locator(".terms li")
    assert 6 <= terms.count() <= 10 and "the constant" in terms.last.inner_text()


def test_the_form_by_the_keyboard(table: linnet.Run, opened: Callable[..., Opened]) -> None:
    """Every control is reached by Tab, in order, and seen when it has the focus."""
    tried = opened(loaded(table, "linear"), **PHONE)
    before = tried.says()
    labels = []
    for _ in range(40):
        tried.page.keyboard.press("Tab")
        about = tried.page.evaluate(
            """() => { const n = document.activeElement;
            if (n === document.body) return null;
            return [n.getAttribute("aria-label") || n.labels?.[0]?.innerText || n.innerText,
              getComputedStyle(n).outlineStyle]; }"""
        )
        if about is None:
            break
        labels.append(about[0])
        assert about[1] != "none" or "Skip" in about[0], about
        if about[0] == "size, slider":
            tried.page.keyboard.press("End")
    wanted = [
        "Skip to the answer",
        "Typical row",
        "size is missing",
        "size",
        "size, slider",
        "kind",
    ]
    assert [label for label in labels if label in wanted] == wanted
    assert tried.says() != before


def test_a_drawing_a_photo_and_keys(tmp_path: Path, opened: Callable[..., Opened]) -> None:
    from PIL import Image

    schema = pictures_of(1, 28, 28, ground=(0, 255), layout={"side": 20, "centre": "mass"})
    linear = random_model(tmp_path, "linear", {"scale": "pixel"}, schema, "softmax", "float32")
    cnn = random_model(tmp_path, "cnn", CNN, schema, "softmax", "float32")
    tried = opened([cnn, linear], color_scheme="dark")
    assert tried.says() == ["–", "–"]
    tried.draw((0.3, 0.2), (0.7, 0.2), (0.4, 0.8))
    said, seen = tried.says(), tried.seen()
    assert seen.max() == 255 and seen[0].max() == 0
    for model, each in zip((cnn, linear), said, strict=True):
        answers = model.answers(model.arrays(seen.astype(np.uint8)[None]))
        assert answers.p is not None
        assert each.split()[0] == str(answers.prediction[0])
        assert f"{answers.p.max():.2%}".replace("%", " %") in each or "99.99" in each
    assert "speaks for it" in tried.page.locator("#why").inner_text()
    tried.page.get_by_role("button", name="Undo").click()
    assert tried.says() == ["–", "–"] and not tried.page.locator("#why").is_visible()

    dark_on_light = Image.fromarray(255 - np.pad(digit(), 60))
    dark_on_light.save(tmp_path / "photo.png")
    tried.page.set_input_files("#file", tmp_path / "photo.png")
    tried.page.locator("#picture-notes li").first.wait_for()
    assert "turned round" in tried.page.locator("#picture-notes").inner_text()
    assert tried.says() != ["–", "–"] and tried.seen().max() > 200 > tried.seen()[:3].max()
    (tmp_path / "none.png").write_bytes(b"no picture")
    tried.page.set_input_files("#file", tmp_path / "none.png")
    tried.page.locator("#picture-notes .problem").wait_for()
    tried.page.get_by_role("button", name="Clear").click()
    assert tried.says() == ["–", "–"]

    tried.page.locator("#board").focus()
    keys = ["ArrowUp"] * 9 + [" "] + ["ArrowDown"] * 18 + [" "]
    for key in keys:
        tried.page.keyboard.press(key)
    tried.settle()
    upright = tried.seen() > 128
    assert upright.any(1).sum() >= 18 and upright.any(0).sum() <= 5
    tried.page.keyboard.press("Backspace")
    assert tried.says() == ["–", "–"]


def test_numbers_of_several_targets_and_many_columns(
    tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    schema = rows_of(300, classes=0, targets=3)
    linear = random_model(tmp_path, "linear", {"scale": "standard"}, schema, "squared", "float32")
    tried = opened([linear], **PHONE)
    raw = linear.raw(np.asarray([page._start([linear], schema)], "float32"))[0]
    (said,) = tried.says()
    for target, value in zip(schema.targets, raw, strict=True):
        assert re.search(rf"{target}\s+(.+)", said).group(1) == linnet.core.text.figure(value)  # type: ignore[union-attr]
    assert tried.page.locator(".field").count() == 40
    tried.page.locator("#search").fill("column 222")
    tried.page.locator(".field").nth(1).wait_for(state="detached")
    tried.page.get_by_label("column 222", exact=True).fill("1000")
    assert tried.says() != [said]
    assert "column 222 = 1,000" in tried.page.locator(".terms li").first.inner_text()
    tried.page.get_by_label("Target").select_option("t2")
    assert "adds to t2" in tried.page.locator("#why-text").inner_text()


def test_many_classes(tmp_path: Path, opened: Callable[..., Opened]) -> None:
    schema = rows_of(4, classes=40)
    tried = opened(
        [random_model(tmp_path, "linear", {"scale": "none"}, schema, "softmax", "float32")]
    )
    bars = tried.page.locator(".bars li")
    assert bars.count() == 6 and "35 others: " in bars.last.inner_text()


HOSTILE = (
    "</script><script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "a\u202egnp.exe",
    "&lt;b&gt;",
    "",
)


def test_hostile_names_stay_text(tmp_path: Path, opened: Callable[..., Opened]) -> None:
    fields = [
        Column(name=name or "x", kind="category", categories=HOSTILE, other=True)
        for name in HOSTILE
    ]
    columns = tuple(name for field in fields for name in field.names)
    schema = Schema(
        example="row", shape=(len(columns),), dtype="float32", columns=columns,
        fields=tuple(fields), task="classification", targets=(HOSTILE[0],),
        classes=HOSTILE, class_kind="text",
    )  # fmt: skip
    model = random_model(tmp_path, "linear", {"scale": "none"}, schema, "softmax", "float32")
    tried = opened([model])
    tried.says()
    for list_ in tried.page.locator(".fields select").all():
        list_.select_option("another")
    assert tried.page.evaluate("window.hit") is None
    assert tried.page.locator("img").count() == 0
    text = tried.page.locator("body").inner_text()
    assert (
        HOSTILE[0] in text
        and HOSTILE[3] in text
        and "\u202e" not in text
        and "a\\u202egnp.exe" in text
    )


@pytest.mark.slow
def test_a_three_is_called_a_three(
    mnist_folder: Path, tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    """A 3, a 7 and a 0 that are drawn by script, each in its own size and place, by a line and a
    net of 12,000 training digits."""
    import gzip

    x, y = (
        np.frombuffer(gzip.decompress((mnist_folder / f"{name}.gz").read_bytes())[start:], np.uint8)
        for name, start in (("train-images-idx3-ubyte", 16), ("train-labels-idx1-ubyte", 8))
    )
    run = linnet.train(
        (x.reshape(-1, 1, 28, 28)[:12_000], y[:12_000]), model=["linear", "mlp"], penalty=0.001,
        widths=[128], epochs=4, out=tmp_path / "run", echo=False, yardstick="none",
    )  # fmt: skip
    models = loaded(run, "mlp", "linear")
    assert models[0].schema.layout is not None and models[0].schema.layout.centre == "mass"
    tried = opened(models)
    three = [(0.3, 0.25), (0.42, 0.15), (0.6, 0.15), (0.7, 0.28), (0.62, 0.42), (0.48, 0.48)]
    three += [(0.66, 0.54), (0.74, 0.7), (0.62, 0.85), (0.42, 0.86), (0.28, 0.75)]
    seven = [(0.1, 0.6), (0.3, 0.6), (0.2, 0.95)]
    zero = [(0.7 + 0.12 * np.sin(t), 0.3 - 0.2 * np.cos(t)) for t in np.linspace(0, 2 * np.pi, 20)]
    for label, points in (("3", three), ("7", seven), ("0", zero)):
        tried.page.locator("#clear").click() if label != "3" else None
        tried.draw(*points)
        assert [said.split()[0] for said in tried.says()] == [label, label]


# asking a server


def answer(model: Runtime, row: dict[str, Any]) -> dict[str, Any]:
    """What a server answers of one model."""
    found = model.answers(model.rows([row]))
    assert found.p is not None
    return {
        "name": model.manifest.model,
        "title": "the line",
        "chosen": True,
        "prediction": found.prediction[0],
        "probabilities": dict(zip(model.schema.names, found.p[0].tolist(), strict=True)),
        "notes": ["told by the server"],
    }


@pytest.mark.slow
def test_a_page_that_asks(table: linnet.Run, browser: Any) -> None:
    """Answers come from the server; a late one does not replace a newer one; a busy server is asked
    again, and an error is told."""
    models = loaded(table, "mlp", "linear")
    html = page.document(models, served=True, name="served")
    asked: list[dict[str, Any]] = []
    late: list[Any] = []

    def site(route: Any) -> None:
        if route.request.method == "GET":
            headers = {"Content-Security-Policy": page.policy(html)}
            route.fulfill(body=html, content_type="text/html; charset=utf-8", headers=headers)
            return
        (row,) = route.request.post_data_json["rows"]
        asked.append(row)
        if row["size"] == 1:
            late.append(route)
        elif row["size"] == 2 and [each["size"] for each in asked].count(2) == 1:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"error": "busy"})
        elif row["size"] == 3:
            route.fulfill(status=422, json={"error": "row 0, column 'size': too odd"})
        else:
            told = [answer(model, row) for model in models]
            outputs = [{"name": "size", "value": row["size"], "terms": {"yes": 0.25}}]
            route.fulfill(json={"models": told, "terms": outputs})

    context = browser.new_context()
    context.route("http://127.0.0.1:9/**", site)
    tried = context.new_page()
    errors: list[str] = []
    tried.on("pageerror", lambda error: errors.append(str(error)))
    tried.goto("http://127.0.0.1:9/")

    def said(size: str, part: str, *, selector: str = ".says >> nth=0") -> None:
        tried.get_by_label("size", exact=True).fill(size)
        tried.locator(selector, has_text=part).wait_for(timeout=10_000)

    def wanted(row: dict[str, Any]) -> str:
        share: float = max(answer(models[0], row)["probabilities"].values())
        return f"{share:.2%}".replace("%", " %")

    tried.locator("#notes li").wait_for()
    assert asked[0].keys() == TYPICAL.keys()
    assert tried.locator("#notes").inner_text() == "told by the server"
    assert "+0.25" in tried.locator("#why-body").inner_text()
    said("70.5", wanted({**asked[0], "size": 70.5}))
    said("2", wanted({**asked[0], "size": 2}))
    said("3", "too odd", selector="#problem")
    tried.get_by_label("size", exact=True).fill("1")
    while not late:
        tried.wait_for_timeout(50)
    new = wanted({**asked[0], "size": 60})
    said("60", new)
    old = [answer(model, {**asked[0], "size": 1}) for model in models]
    with contextlib.suppress(Exception):  # the page has given it up
        late[0].fulfill(json={"models": old, "terms": None})
    tried.wait_for_timeout(300)
    assert new in tried.locator(".says").first.inner_text()
    assert errors == []
    context.close()

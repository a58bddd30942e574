"""A model file: what is saved comes back, and nothing else is let in."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import linnet
from linnet.core.files import canonical
from linnet.errors import ModelError
from linnet.fit import artifact, runtime
from linnet.fit.artifact import load, read_manifest

LOADERS: dict[str, Callable[[Path], Any]] = {"torch": artifact.load, "numpy": runtime.load}
BOTH = pytest.mark.parametrize("loader", LOADERS.values(), ids=LOADERS)
"""What is refused, is refused by both ways to a model, in the same words."""

FAST: dict[str, Any] = {"epochs": 2, "widths": [8], "penalty": [0.1]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, linnet.Run]:
    root = tmp_path_factory.mktemp("runs")
    return {name: linnet.train(name, out=root / name, **FAST) for name in ("digits", "diabetes")}


@pytest.fixture(scope="module")
def good(runs: dict[str, linnet.Run]) -> bytes:
    return (runs["digits"].path / "linear.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["digits", "diabetes"])
@pytest.mark.parametrize("model", ["constant", "linear", "mlp"])
def test_a_round_trip_keeps_every_bit(
    name: str, model: str, runs: dict[str, linnet.Run], tmp_path: Path
) -> None:
    first = load(runs[name].path / f"{model}.safetensors")
    first.save(tmp_path / "again.safetensors")
    again = load(tmp_path / "again.safetensors")
    x = linnet.read(name).x
    assert torch.equal(first.raw(x), again.raw(x))
    original = (runs[name].path / f"{model}.safetensors").read_bytes()
    assert (tmp_path / "again.safetensors").read_bytes() == original
    assert not again.module.training
    assert again.manifest.dtype == ("float32" if name == "digits" else "float64")


@pytest.mark.parametrize(("name", "tolerance"), [("digits", 1e-5), ("diabetes", 1e-12)])
@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_row_by_row_equals_all_at_once(
    name: str, tolerance: float, model: str, runs: dict[str, linnet.Run]
) -> None:
    artifact = runs[name].models[model]
    data = linnet.read(name)
    if name == "digits":
        together, unit = artifact.predict_proba(data.x), 1.0
        single = np.concatenate([artifact.predict_proba(x) for x in data.x])
    else:
        together, unit = artifact.predict(data.x), data.y.std().item()
        single = np.concatenate([artifact.predict(x) for x in data.x])
    assert np.abs(together - single).max() <= tolerance * unit


def parts(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The header, the manifest and the tensors of a good file."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["linnet"]), content[8 + length :]


def join(header: dict[str, Any] | str, manifest: dict[str, Any] | str, body: bytes) -> bytes:
    if isinstance(header, dict):
        text = manifest if isinstance(manifest, str) else canonical(manifest).decode()
        header = json.dumps({**header, "__metadata__": {"linnet": text}})
    raw = header.encode()
    return len(raw).to_bytes(8, "little") + raw + body


def signed(header: dict[str, Any], manifest: dict[str, Any], body: bytes) -> bytes:
    """A file whose sha256 is right, whatever else is wrong with it."""
    manifest["provenance"].pop("sha256", None)
    digest = hashlib.sha256(canonical(manifest))
    for name in sorted(key for key in header if key != "__metadata__"):
        begin, end = header[name]["data_offsets"]
        digest.update(name.encode() + b"\0" + body[begin:end])
    manifest["provenance"]["sha256"] = digest.hexdigest()
    return join(header, manifest, body)


Edit = Callable[[dict[str, Any], dict[str, Any], bytes], bytes]


def manifest_with(**changes: Any) -> Edit:
    """Change the manifest by dotted keys (``__`` for a dot), and sign it anew."""

    def edit(header: dict[str, Any], manifest: dict[str, Any], body: bytes) -> bytes:
        for key, value in changes.items():
            *path, last = key.split("__")
            place = manifest
            for step in path:
                place = place[step]
            place[last] = value
        return signed(header, manifest, body)

    return edit


def header_with(name: str, **changes: Any) -> Edit:
    def edit(header: dict[str, Any], manifest: dict[str, Any], body: bytes) -> bytes:
        header[name] = {**header.get(name, {}), **changes}
        return join(header, manifest, body)

    return edit


def renamed(header: dict[str, Any], manifest: dict[str, Any], body: bytes) -> bytes:
    header["../../etc/x"] = header.pop("linear.bias")
    return join(header, manifest, body)


def duplicate(header: dict[str, Any], manifest: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header)
    entry = f'"linear.bias": {json.dumps(header["linear.bias"])}'
    return join(text[:-1] + ", " + entry + "}", manifest, body)


def nan(header: dict[str, Any], manifest: dict[str, Any], body: bytes) -> bytes:
    return signed(header, manifest, np.float32("nan").tobytes() + body[4:])


FAULTS: dict[str, tuple[Edit, str]] = {
    "truncated": (lambda h, m, b: join(h, m, b[:-4]), "its header declares"),
    "trailing byte": (lambda h, m, b: join(h, m, b + b"\0"), "its header declares"),
    "flipped byte": (
        lambda h, m, b: join(h, m, bytes([b[0] ^ 1]) + b[1:]),
        "sha256 in its manifest is not that of its content",
    ),
    "edited manifest": (
        lambda h, m, b: join(h, {**m, "scores": {"valid": {"accuracy": 1.0}}}, b),
        "sha256 in its manifest is not that of its content",
    ),
    "tensor named twice": (duplicate, "occurs twice"),
    "path for a name": (renamed, "linnet writes no tensor with the name"),
    "hole": (header_with("extra", dtype="F32", shape=[1], data_offsets=[9000, 9004]), "a hole"),
    "overlap": (header_with("extra", dtype="F32", shape=[1], data_offsets=[0, 4]), "overlap"),
    "negative offset": (
        header_with("linear.bias", data_offsets=[-4, 36]), "whole numbers from 0"
    ),
    "huge shape": (
        header_with("linear.bias", shape=[10**9, 10**9]), "needs 4000000000000000000 bytes"
    ),
    "strange dtype": (header_with("linear.bias", dtype="F8_E4M3"), "expected one of F32, F64"),
    "unknown field": (header_with("linear.bias", code="x"), "exactly dtype, shape"),
    "second metadata key": (
        lambda h, m, b: join(
            json.dumps({**h, "__metadata__": {"linnet": canonical(m).decode(), "x": "y"}}), m, b
        ),
        'exactly the metadata "linnet"',
    ),
    "leading space": (lambda h, m, b: join(" " + json.dumps(h), m, b), "not a safetensors file"),
    "infinite number": (
        lambda h, m, b: join(h, canonical(m).decode().replace('"best_step":', '"x":1e400,"y":'), b),
        "out of range",
    ),
    "deep manifest": (lambda h, m, b: join(h, "[" * 200 + "]" * 200, b), "MAX_JSON_DEPTH"),
    "manifest with a key twice": (
        lambda h, m, b: join(h, '{"format":1,"format":1}', b), "occurs twice"
    ),
    "newer format": (manifest_with(format=2), "written in format 2; this linnet reads up to 1"),
    "unknown key": (manifest_with(run="os.system"), 'unknown key "run"'),
    "unknown network": (manifest_with(model="os.system"), 'unknown network "os.system"'),
    "unknown objective": (manifest_with(objective="hinge"), 'unknown objective "hinge"'),
    "other outputs": (manifest_with(network__outputs=3), "3 outputs; expected 10"),
    "other inputs": (manifest_with(network__inputs=[1, 9, 9]), "the schema gives"),
    "negative width": (
        manifest_with(schema__shape=[1, -8, 8], network__inputs=[1, -8, 8]), "holds no number"
    ),
    "classes too few": (manifest_with(schema__classes=[0, 1, 2]), "10 outputs; expected 3"),
    "class twice": (manifest_with(schema__classes=[0] * 10), "a class is listed twice"),
    "a threshold for ten classes": (
        manifest_with(decision={
            "by": "f1", "costs": [1.0, 1.0], "threshold": 0.3, "rows": 9, "of": "validation"
        }), "a threshold decides between two classes; it has 10"
    ),
    "strange calibration": (manifest_with(calibration__kind="guess"), "unknown kind 'guess'"),
    "falling calibration": (
        manifest_with(calibration__thresholds=[[0.5, 0.4]] * 10), "the thresholds do not rise"
    ),
    "calibration of others": (
        manifest_with(calibration__names=list("abcdefghij")), "is not that of its classes"
    ),
    "false layers": (manifest_with(layers=[]), "its table of layers is not that of its network"),
    "not finite": (nan, "not finite"),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_a_tampered_file_is_refused_by_name(
    fault: str, loader: Callable[[Path], Any], good: bytes, tmp_path: Path
) -> None:
    edit, message = FAULTS[fault]
    path = tmp_path / "model.safetensors"
    path.write_bytes(edit(*parts(good)))
    with pytest.raises(ModelError) as caught:
        loader(path)
    assert message in str(caught.value) and str(path) in str(caught.value)
    with pytest.raises(ModelError) as other:
        load(path)
    assert str(other.value) == str(caught.value)


@BOTH
def test_huge_widths_are_refused_before_they_take_memory(
    loader: Callable[[Path], Any], runs: dict[str, linnet.Run], tmp_path: Path
) -> None:
    content = (runs["digits"].path / "mlp.safetensors").read_bytes()
    (tmp_path / "m").write_bytes(manifest_with(network__widths=[10**6, 10**6])(*parts(content)))
    with pytest.raises(ModelError, match="parameters; at most"):
        loader(tmp_path / "m")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"PK\x03\x04", "zip"),
        (b"\x80\x04\x95", "pickle"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x1f\x8b\x08", "gzip"),
    ],
)
@BOTH
def test_other_formats_are_refused_by_their_first_bytes(
    loader: Callable[[Path], Any], head: bytes, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "model.pt").write_bytes(head + bytes(1000))
    with pytest.raises(ModelError, match=kind):
        loader(tmp_path / "model.pt")


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    import pickle

    canary = tmp_path / "canary"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (canary,))

    (tmp_path / "a.pt").write_bytes(pickle.dumps(Payload()))
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Payload(), protocol=0))
    for name in ("a.pt", "b.pt"):
        for loader in LOADERS.values():
            with pytest.raises(ModelError):
                loader(tmp_path / name)
    assert not canary.exists()


def test_nothing_is_imported_because_a_file_names_it(good: bytes, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(manifest_with(model="antigravity:x")(*parts(good)))
    for loader in LOADERS.values():
        with pytest.raises(ModelError, match="unknown network"):
            loader(tmp_path / "m")
    assert "antigravity" not in sys.modules


def test_files_that_are_no_models_at_all(tmp_path: Path) -> None:
    for content in (b"", b"abc", bytes(8), b"\xff" * 100, (10).to_bytes(8, "little") + b"{" * 10):
        (tmp_path / "m").write_bytes(content)
        for loader in LOADERS.values():
            with pytest.raises(ModelError):
                loader(tmp_path / "m")
    for loader in LOADERS.values():
        with pytest.raises(ModelError, match="cannot read"):
            loader(tmp_path)


def test_the_mnist_line_has_7850_parameters() -> None:
    from linnet.networks.build import build, layers

    spec = {"inputs": [1, 28, 28], "outputs": 10, "scale": "pixel"}
    rows = layers(build("linear", spec, "float32"), "uint8")
    assert sum(row["parameters"] for row in rows) == 7850
    assert [(row["name"], row["output"]) for row in rows] == [
        ("scaling", [1, 28, 28]), ("flatten", [784]), ("linear", [10]),
    ]  # fmt: skip


def test_layers_and_manifest_agree(runs: dict[str, linnet.Run]) -> None:
    run = runs["digits"]
    plain = read_manifest(run.path / "mlp.safetensors").plain()
    assert plain["layers"] == run.models["mlp"].layers()
    assert sum(layer["parameters"] for layer in plain["layers"]) == 64 * 8 + 8 + 8 * 10 + 10


def test_a_header_of_any_length_is_read(good: bytes, tmp_path: Path) -> None:
    """The first byte is the header's length: 0x80 there is no pickle, 0x50 no zip."""
    header, manifest, body = parts(good)
    seen = set()
    for extra in range(64):
        manifest["recipe"]["data"] = "digits" + "x" * extra
        content = signed(header, manifest, body)
        seen.add(content[0])
        (tmp_path / "m").write_bytes(content)
        load(tmp_path / "m")
    assert len(seen) == 64

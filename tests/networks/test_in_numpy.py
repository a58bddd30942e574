"""What predicts without PyTorch is what the modules are: tensors, layers and numbers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from linnet.data.coded import Coded
from linnet.data.codes import Codes
from linnet.errors import ModelError
from linnet.networks import NETWORKS, arrays, shapes
from linnet.networks.activations import ACTIVATIONS
from linnet.networks.base import Network
from linnet.networks.build import build, layers
from linnet.networks.scaling import Scaling

ROW, PICTURE = [6], [2, 9, 8]
PIECEWISE = {"kind": "piecewise", "numbers": [0, 2, 5], "size": 4, "bins": 7}
PERIODIC = {"kind": "periodic", "numbers": [1, 3], "size": 3, "frequencies": 4, "sigma": 0.3}
WIDE_BINS = {"kind": "piecewise", "numbers": [0, 5], "size": 1, "bins": 30}


def mlp(**changes: Any) -> dict[str, Any]:
    plain = {
        "inputs": ROW, "outputs": 3, "scale": "standard", "widths": [16, 8], "activation": "relu",
        "batch_norm": False, "dropout": 0.0, "rescale": False, "embedding": None,
    }  # fmt: skip
    return {**plain, **changes}


def cnn(**changes: Any) -> dict[str, Any]:
    plain = {
        "inputs": PICTURE, "outputs": 3, "scale": "pixel", "channels": [4, 6], "activation": "relu",
        "batch_norm": True, "dropout": 0.0, "rescale": False,
    }  # fmt: skip
    return {**plain, **changes}


SPECS: dict[str, tuple[str, dict[str, Any]]] = {
    "constant": ("constant", {"inputs": ROW, "outputs": 2}),
    **{
        f"line {scale} {len(inputs)}": (
            "linear", {"inputs": inputs, "outputs": 3, "scale": scale}
        )
        for scale, inputs in itertools.product(("none", "pixel", "standard"), (ROW, PICTURE))
    },
    **{f"mlp {name}": ("mlp", mlp(activation=name)) for name in ACTIVATIONS},
    **{f"cnn {name}": ("cnn", cnn(activation=name)) for name in ACTIVATIONS},
    "mlp pictures": ("mlp", mlp(inputs=PICTURE, scale="pixel", batch_norm=True, dropout=0.1)),
    "mlp pictures one by one": ("mlp", mlp(inputs=PICTURE)),
    "mlp unscaled": ("mlp", mlp(scale="none", rescale=True, outputs=2)),
    "mlp selu": ("mlp", mlp(activation="selu", dropout=0.2, widths=[5])),
    "mlp piecewise": ("mlp", mlp(embedding=PIECEWISE, rescale=True, dropout=0.2)),
    "mlp wide bins": ("mlp", mlp(embedding=WIDE_BINS)),
    "mlp periodic": ("mlp", mlp(embedding=PERIODIC, batch_norm=True, widths=[7])),
    "cnn plain": ("cnn", cnn(batch_norm=False, dropout=0.3, rescale=True, channels=[5])),
    "cnn standard": ("cnn", cnn(scale="standard", activation="selu", dropout=0.3, outputs=1)),
    "cnn unscaled": ("cnn", cnn(scale="none", channels=[3, 4, 5])),
}  # fmt: skip


def mean_of(spec: dict[str, Any], members: int = 3) -> dict[str, Any]:
    shared = {key: spec[key] for key in ("inputs", "outputs")}
    return {**shared, "members": members, "member": spec}


for _name in ("line standard 1", "line pixel 3", "mlp piecewise", "mlp periodic", "mlp wide bins"):
    SPECS[f"mean of {_name}"] = (SPECS[_name][0], mean_of(SPECS[_name][1]))
SPECS["mean of cnn"] = ("cnn", mean_of(cnn(), 2))
SPECS["mean of mlp selu"] = ("mlp", mean_of(SPECS["mlp selu"][1], 2))
SPECS["mean of constant"] = ("constant", mean_of(SPECS["constant"][1], 2))
EACH = pytest.mark.parametrize("name", SPECS)


def examples(spec: dict[str, Any], rows: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    shape = rows, *spec["inputs"]
    if len(spec["inputs"]) == 3:
        return torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
    return torch.randn(shape, generator=draw, dtype=torch.float64) * 3 + 2


def network_of(name: str, dtype: str) -> Network:
    """A network whose members have different weights, none of them at its beginning."""
    kind, spec = SPECS[name]
    network = build(kind, spec, dtype)
    x = examples(spec, 50, 1)
    x = x if x.dtype == torch.uint8 else x.to(getattr(torch, dtype))
    draw = torch.Generator().manual_seed(2)
    parts = getattr(network, "each", [network])
    for number, part in enumerate(parts):
        y = torch.randn((40, spec["outputs"]), generator=draw).double()
        part.start(x[number : number + 40], y, None, draw)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=draw))
        for key, buffer in network.named_buffers():
            if key.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5, generator=draw)
        for part in network.modules():
            if isinstance(part, Scaling) and part.scale == "none":  # which looks at neither
                part.shift.fill_(3)
                part.factor.fill_(2)
    return network.eval()


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tensors_and_layers_follow_from_the_specification(name: str, dtype: str) -> None:
    kind, spec = SPECS[name]
    found = shapes.plan(kind, spec, "test")
    assert found is not None
    network = build(kind, spec, dtype)
    learnt = {key for key, _ in network.named_parameters()}
    expected = {
        key: (tuple(tensor.shape), key in learnt, tensor.dtype == torch.int64)
        for key, tensor in network.state_dict().items()
    }
    assert {key: tuple(tensor) for key, tensor in found.tensors().items()} == expected
    assert found.table() == layers(network, "uint8" if len(spec["inputs"]) == 3 else dtype)


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_numbers_are_those_of_the_module(name: str, dtype: str) -> None:
    kind, spec = SPECS[name]
    network = network_of(name, dtype)
    plan = shapes.plan(kind, spec, "test")
    assert plan is not None
    tensors = {key: tensor.numpy() for key, tensor in network.state_dict().items()}
    compute = arrays.forward(plan, tensors)
    x = examples(spec, 300)
    x = x if x.dtype == torch.uint8 else x.to(getattr(torch, dtype))
    with torch.no_grad():
        expected = network(x).double().numpy()
    found = compute(x.numpy())
    assert found.dtype == np.float64 and found.shape == expected.shape
    unit = max(1.0, float(np.abs(expected).max()))
    assert np.abs(found - expected).max() <= (2e-6 if dtype == "float32" else 1e-13) * unit
    alone = np.concatenate([compute(x[row : row + 1].numpy()) for row in range(8)])
    assert np.abs(alone - expected[:8]).max() <= (2e-6 if dtype == "float32" else 1e-13) * unit


@pytest.mark.parametrize("embedding", [None, PIECEWISE, PERIODIC], ids=["none", "pw", "periodic"])
@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("everywhere", [False, True])
def test_coded_rows(
    embedding: dict[str, Any] | None, kind: str, members: int, everywhere: bool
) -> None:
    width, places = 20, [0, 1, 2, 3, 5, 19]
    draw = np.random.default_rng(0)
    codes = np.stack([draw.choice([4, 6, 7, 8, 20], 60), draw.integers(9, 19, 60)], 1)
    codes[0], codes[1] = (4, 9), (6, 18)
    if everywhere:
        codes[:, 0] = 4
    parts = (
        torch.from_numpy(draw.normal(size=(60, 6)).astype(np.float32)),
        torch.from_numpy(codes.astype(np.int32)), torch.tensor(places),
    )  # fmt: skip
    x = Coded(*parts, width)
    if kind == "linear":
        spec: dict[str, Any] = {"inputs": [width], "outputs": 2, "scale": "standard"}
    else:
        spec = mlp(inputs=[width], embedding=embedding)
    whole = spec if members == 1 else mean_of(spec, members)
    network = build(kind, whole, "float32")
    generator = torch.Generator().manual_seed(0)
    for part in getattr(network, "each", [network]):
        part.start(x[:40], None, None, generator)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        expected = network.eval()(x).numpy()
    plan = shapes.plan(kind, whole, "test")
    assert plan is not None
    compute = arrays.forward(plan, {k: v.numpy() for k, v in network.state_dict().items()})
    given = Codes(parts[0].numpy(), parts[1].numpy(), parts[2].numpy(), width)
    assert np.abs(compute(given) - expected).max() <= 3e-6
    assert np.abs(compute(given[3:4]) - expected[3:4]).max() <= 3e-6
    assert np.abs(compute(given.dense()) - expected).max() <= 3e-6


@pytest.mark.parametrize("name", [name for name in SPECS if "line " in name])
def test_terms_of_a_line_sum_to_its_prediction(name: str) -> None:
    kind, spec = SPECS[name]
    plan = shapes.plan(kind, spec, "test")
    assert plan is not None
    state = network_of(name, "float64").state_dict()
    line = arrays.forward(plan, {key: tensor.numpy() for key, tensor in state.items()})
    assert isinstance(line, arrays.Line)
    x = examples(spec, 2).numpy()
    one, two = (line.terms(x[row : row + 1]) for row in range(2))
    assert one.shape == (x[0].size, 3)
    change = line(x[1:]) - line(x[:1])
    assert np.allclose((two - one).sum(0), change[0], rtol=1e-12, atol=1e-12)


def test_every_network_of_linnet_is_known_or_needs_its_code() -> None:
    assert set(shapes.SPECS) | {"custom"} == set(NETWORKS)
    assert shapes.plan("custom", {}, "test") is None
    assert set(shapes.MODULES) == set(ACTIVATIONS) == set(arrays.ACTIVATIONS)
    for name, kind in ACTIVATIONS.items():
        assert shapes.MODULES[name] == kind.module.__name__


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widths": [10**6, 10**6]}, "parameters; at most"),
        ({"widths": []}, "widths"),
        ({"activation": "step"}, "activation"),
        ({"embedding": {**PIECEWISE, "numbers": [0, 6]}}, "must rise, below 6"),
        ({"code": "x"}, 'unknown key "code"'),
    ],
)
@pytest.mark.parametrize("members", [False, True])
def test_impossible_specifications_are_refused_in_the_same_words(
    changes: dict[str, Any], words: str, members: bool
) -> None:
    spec = mean_of(mlp(**changes)) if members else mlp(**changes)
    said = []
    for make in (lambda: build("mlp", spec, "float32", "x"), lambda: shapes.plan("mlp", spec, "x")):
        with pytest.raises(ModelError) as caught:
            make()
        said.append(str(caught.value))
    assert said[0] == said[1] and words in said[0]


@pytest.mark.parametrize("changes", [{"outputs": 4}, {"inputs": [5]}, {"members": 2, "member": {}}])
def test_members_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    spec = mean_of(mlp())
    spec["member"] = {**mlp(), **changes}
    said = []
    for make in (lambda: build("mlp", spec, "float32", "x"), lambda: shapes.plan("mlp", spec, "x")):
        with pytest.raises(ModelError) as caught:
            make()
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_large_convolutional_net_is_left_to_pytorch() -> None:
    spec = cnn(inputs=[3, 96, 96], channels=[64, 128, 256])
    plan = shapes.plan("cnn", spec, "test")
    assert plan is not None and arrays.multiplications(plan) > arrays.MOST
    network = build("cnn", spec, "float32")
    assert arrays.multiplications(plan) == network.multiplications
    assert arrays.beyond(plan)
    small = shapes.plan("cnn", cnn(), "test")
    assert small is not None and not arrays.beyond(small)

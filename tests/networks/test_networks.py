"""Every network keeps its contract; scaling is its first layer."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from linnet.core.randomness import generator
from linnet.errors import ModelError
from linnet.networks import NETWORKS
from linnet.networks.base import Network
from linnet.networks.build import build, layers
from linnet.networks.scaling import Rescaling, Scaling

SPECS: dict[str, dict[str, Any]] = {
    "constant": {},
    "linear": {"scale": "pixel"},
    "mlp": {
        "scale": "pixel", "widths": [16, 8], "activation": "tanh", "batch_norm": True,
        "dropout": 0.5, "rescale": False,
    },
    "cnn": {
        "scale": "pixel", "channels": [4, 6], "activation": "tanh", "batch_norm": True,
        "dropout": 0.5, "rescale": False,
    },
    "custom": {"scale": "pixel", "rescale": False, "module": "Sequential"},
}  # fmt: skip


def own(name: str, dtype: str = "float32") -> nn.Module | None:
    """The user's module where the network is one."""
    if name != "custom":
        return None
    with torch.random.fork_rng(devices=[]):
        layers = nn.Flatten(), nn.Linear(192, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 5)
        return nn.Sequential(*layers).to(getattr(torch, dtype))


def make(name: str, dtype: str = "float32", **changes: Any) -> Network:
    spec = {"inputs": [3, 8, 8], "outputs": 5, **SPECS[name], **changes}
    network = build(name, spec, dtype, module=own(name, dtype))
    x = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8)
    network.start(x, None, None, generator(0, "weights"))
    return network


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_bytes_go_in_and_raw_predictions_come_out(name: str, dtype: str) -> None:
    x = torch.randint(0, 256, (7, 3, 8, 8), dtype=torch.uint8)
    before = x.clone()
    network = make(name, dtype).eval()
    raw = network(x)
    assert raw.shape == (7, 5) and raw.dtype == getattr(torch, dtype)
    assert torch.equal(x, before)
    floats = x.to(torch.float64)
    kept = floats.clone()
    assert torch.allclose(network(floats), raw, atol=1e-5)
    assert torch.equal(floats, kept)


@pytest.mark.parametrize("name", NETWORKS)
def test_building_and_listing_layers_change_nothing(name: str) -> None:
    network = make(name).train()
    state = torch.get_rng_state()
    rows = layers(network, "uint8")
    assert network.training
    assert sum(row["parameters"] for row in rows) == sum(p.numel() for p in network.parameters())
    assert sum(row["trainable"] for row in rows) == sum(row["parameters"] for row in rows)
    build(name, network.spec.plain(), "float32", module=own(name))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NETWORKS)
def test_listing_layers_leaves_every_tensor(name: str) -> None:
    network = make(name).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    layers(network, "uint8")
    for key, value in network.state_dict().items():
        assert torch.equal(before[key], value), key


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_weights_are_a_function_of_the_seed(name: str) -> None:
    one, two = make(name), make(name)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_perceptrons_layers_stand_in_order(batch_norm: bool, dropout: float) -> None:
    network = make("mlp", batch_norm=batch_norm, dropout=dropout)
    block = ["Linear", "BatchNorm1d", "Tanh", "Dropout"]
    kept = [True, batch_norm, True, bool(dropout)]
    expected = [name for name, keep in zip(block, kept, strict=True) if keep] * 2
    hidden = list(network.get_submodule("hidden").children())
    assert [type(layer).__name__ for layer in hidden] == expected
    # a norm has a shift of its own, so the layer before it has none
    biases = [layer.bias is not None for layer in hidden if isinstance(layer, nn.Linear)]
    assert biases == [not batch_norm] * 2


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_cnns_layers_stand_in_order(batch_norm: bool) -> None:
    network = make("cnn", batch_norm=batch_norm)
    block = ["Conv2d", "BatchNorm2d", "MaxPool2d", "Tanh"]
    expected = [name for name in block if batch_norm or name != "BatchNorm2d"] * 2
    hidden = list(network.get_submodule("hidden").children())
    assert [type(layer).__name__ for layer in hidden] == expected
    assert isinstance(network.get_submodule("dropout"), nn.Dropout)
    assert network.state_dict()["output.weight"].shape == (5, 6 * 2 * 2)


@pytest.mark.parametrize("size", [8, 9, 11])
def test_a_cnn_takes_sides_that_are_no_power_of_two(size: int) -> None:
    x = torch.randint(0, 256, (4, 1, size, size + 2), dtype=torch.uint8)
    network = build("cnn", {"inputs": [1, size, size + 2], "outputs": 2, **SPECS["cnn"]}, "float32")
    network.start(x, None, None, generator(0, "weights"))
    assert network(x).shape == (4, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": [8]}, "a cnn takes pictures"),
        ({"inputs": [1, 3, 8]}, "at least 4 x 4, or give fewer channels"),
        ({"channels": [1] * 4}, "at least 16 x 16"),
        ({"channels": []}, '"channels"'),
        ({"channels": [0]}, "channels"),
        ({"channels": [-1]}, "channels"),
    ],
)
def test_an_impossible_cnn_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        build("cnn", {"inputs": [1, 8, 8], "outputs": 2, **SPECS["cnn"], **changes}, "float32")
    assert message in str(caught.value)


def test_a_custom_network_without_its_module_is_refused() -> None:
    with pytest.raises(ModelError, match="Sequential, and files hold no code"):
        build("custom", {"inputs": [8], "outputs": 2, **SPECS["custom"]}, "float32")


def test_a_custom_network_is_the_module_itself_behind_the_scaling() -> None:
    module = own("custom")
    assert module is not None
    before = {key: value.clone() for key, value in module.state_dict().items()}
    spec = {"inputs": [3, 8, 8], "outputs": 5, **SPECS["custom"]}
    network = build("custom", spec, "float32", module=module)
    x = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8)
    network.start(x, None, None, generator(0, "weights"))
    assert network.get_submodule("module") is module
    for key, value in module.state_dict().items():
        assert torch.equal(before[key], value)
    network.eval()
    scaled = (x - x.float().mean()) / x.float().std(correction=0)
    assert torch.allclose(network(x), module(scaled), atol=1e-5)


def test_two_outputs_for_two_classes_become_the_one_logit() -> None:
    module = nn.Linear(4, 2)
    spec = {"inputs": [4], "outputs": 1, **SPECS["custom"], "scale": "none"}
    network = build("custom", spec, "float32", module=module)
    x = torch.randn(6, 4)
    raw = network(x)
    assert raw.shape == (6, 1)
    p = torch.cat([1 - raw.sigmoid(), raw.sigmoid()], 1)
    assert torch.allclose(p, module(x).softmax(1), atol=1e-6)


def test_a_custom_regression_is_in_the_targets_unit() -> None:
    module = nn.Linear(4, 1)
    nn.init.zeros_(module.weight)
    nn.init.ones_(module.bias)
    spec = {"inputs": [4], "outputs": 1, **SPECS["custom"], "scale": "none", "rescale": True}
    network = build("custom", spec, "float32", module=module)
    y = torch.tensor([[1.0], [3.0], [5.0]], dtype=torch.float64)
    network.start(torch.randn(3, 4), y, None, generator(0, "weights"))
    assert network(torch.randn(2, 4)).tolist() == [[pytest.approx(3 + np.sqrt(8 / 3))]] * 2


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("activation", "scale"), [("relu", 2 / 64), ("tanh", 25 / 9 * 2 / 264)])
def test_initial_weights_have_the_deviation_their_source_gives(
    activation: str, scale: float, batch_norm: bool
) -> None:
    """He: 2 / fan_in. Glorot and Bengio: gain**2 times 2 / (fan_in + fan_out), gain 5/3."""
    spec = {**SPECS["mlp"], "widths": [200], "activation": activation, "batch_norm": batch_norm}
    network = build("mlp", {"inputs": [64], "outputs": 2, **spec}, "float64")
    network.start(torch.randn(10, 64), None, None, generator(0, "weights"))
    weight = network.state_dict()["hidden.0.weight"]
    assert weight.square().mean().item() == pytest.approx(scale, rel=0.05)
    assert not network.state_dict()["hidden.1.bias" if batch_norm else "hidden.0.bias"].any()


def test_scaling_statistics_equal_numpys() -> None:
    x = np.random.default_rng(0).normal(1e4, [1e-3, 1, 50, 0], size=(5000, 4))
    layer = Scaling("standard", (4,)).double()
    layer.fit(torch.tensor(x))
    assert layer.shift.numpy() == pytest.approx(x.mean(0), rel=1e-12)
    assert layer.factor.numpy()[:3] == pytest.approx(1 / x.std(0)[:3], rel=1e-5)
    assert layer.factor[3] == 1  # a constant column stays what it is: zero
    scaled = layer(torch.tensor(x))
    assert not scaled[:, 3].any() and scaled[:, :3].std(0, correction=0).numpy() == pytest.approx(1)
    pixels = torch.randint(0, 256, (50, 1, 4, 4), dtype=torch.uint8)
    layer = Scaling("pixel", (1, 4, 4))
    layer.fit(pixels)
    scaled = layer(pixels)
    assert scaled.mean().abs() < 1e-6 and scaled.std(correction=0).item() == pytest.approx(1)


def test_rescaling_brings_back_the_targets_unit() -> None:
    y = torch.tensor([[1.0, 10], [3, 10], [5, 10]], dtype=torch.float64)
    layer = Rescaling(2).double()
    layer.fit(y)
    assert layer(torch.zeros(1, 2, dtype=torch.float64)).tolist() == [[3, 10]]
    assert layer.factor.tolist() == pytest.approx([np.sqrt(8 / 3), 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": 0}, '"outputs" is 0'),
        ({"inputs": [10**6, 10**6]}, "their product"),
        ({"widths": []}, '"widths"'),
        ({"widths": [2.5]}, '"widths.0" is 2.5'),
        ({"widths": [0]}, '"widths.0" is 0'),
        ({"widths": [-1]}, '"widths.0" is -1'),
        ({"dropout": 1}, '"dropout" is 1'),
        ({"activation": "os.system"}, "\"activation\" is 'os.system'"),
        ({"hooks": 1}, 'unknown key "hooks"'),
    ],
)
def test_an_impossible_specification_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        build("mlp", {"inputs": [4], "outputs": 2, **SPECS["mlp"], **changes}, "float32")
    assert message in str(caught.value)

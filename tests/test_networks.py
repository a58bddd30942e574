"""Every network keeps its contract; scaling is its first layer."""

from typing import Any

import numpy as np
import pytest
import torch

from linnet.errors import ModelError
from linnet.networks import NETWORKS
from linnet.networks._base import Network
from linnet.networks.build import build, layers
from linnet.networks.scaling import Rescaling, Scaling
from linnet.randomness import generator

SPECS: dict[str, dict[str, Any]] = {
    "constant": {},
    "linear": {"scale": "pixel"},
    "mlp": {
        "scale": "pixel", "widths": [16, 8], "activation": "tanh", "dropout": 0.5, "rescale": False
    },
}  # fmt: skip


def make(name: str, dtype: str = "float32", **changes: Any) -> Network:
    spec = {"inputs": [3, 8, 8], "outputs": 5, **SPECS[name], **changes}
    network = build(name, spec, dtype)
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
    build(name, network.spec.plain(), "float32")
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_are_a_function_of_the_seed() -> None:
    one, two = make("mlp"), make("mlp")
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("activation", "scale"), [("relu", 2 / 64), ("tanh", 25 / 9 * 2 / 264)])
def test_initial_weights_have_the_deviation_their_source_gives(
    activation: str, scale: float
) -> None:
    """He: 2 / fan_in. Glorot and Bengio: gain**2 times 2 / (fan_in + fan_out), gain 5/3."""
    spec = {**SPECS["mlp"], "widths": [200], "activation": activation}
    network = build("mlp", {"inputs": [64], "outputs": 2, **spec}, "float64")
    network.start(torch.randn(10, 64), None, None, generator(0, "weights"))
    weight = network.state_dict()["hidden.0.weight"]
    assert weight.square().mean().item() == pytest.approx(scale, rel=0.05)
    assert not network.state_dict()["hidden.0.bias"].any()


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
        ({"dropout": 1}, '"dropout" is 1'),
        ({"activation": "os.system"}, "\"activation\" is 'os.system'"),
        ({"hooks": 1}, 'unknown key "hooks"'),
    ],
)
def test_an_impossible_specification_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        build("mlp", {"inputs": [4], "outputs": 2, **SPECS["mlp"], **changes}, "float32")
    assert message in str(caught.value)

"""The first layer of a net for codes of categories: the same function, the same gradient."""

import pytest
import torch
from torch import Tensor, nn

from linnet.data.coded import Coded
from linnet.net import OPTIMIZERS
from linnet.net.perceptron import Perceptron
from linnet.net.settings import NetSettings
from linnet.net.update import Autograd, Loss
from linnet.networks.embedding import described
from linnet.networks.first import affine, gradient
from linnet.networks.mlp import MLP
from linnet.networks.scaling import FARTHEST
from linnet.objectives import find

ROWS, WIDTH = 64, 30


def inputs(unseen: int | None = None) -> Coded:
    """Rows with two numbers and two fields of categories; no row has the category ``unseen``."""
    draw = torch.Generator().manual_seed(0)
    first = torch.randint(1, 20, (ROWS,), generator=draw)
    first[first == unseen] = 1
    second = torch.randint(21, WIDTH + 1, (ROWS,), generator=draw)  # WIDTH: none
    numbers = 3 + 5 * torch.randn(ROWS, 2, generator=draw)
    return Coded(numbers, torch.stack([first, second], 1).int(), torch.tensor([0, 20]), WIDTH)


def net(x: Tensor, scale: str = "standard", dropout: float = 0.0, embedding: str = "none") -> MLP:
    spec = MLP.Spec(
        inputs=(WIDTH,), outputs=3, scale=scale, widths=(8, 5), activation="relu",
        batch_norm=False, dropout=dropout, rescale=False,
        embedding=described(embedding, (0, 20), size=3, bins=4, frequencies=5, sigma=0.5),
    )  # fmt: skip
    network = MLP(spec)
    network.start(x, None, None, torch.Generator().manual_seed(1))
    return network


def test_the_linear_layer_and_its_gradient_are_those_of_the_dense_rows() -> None:
    x, layer = inputs(), nn.Linear(WIDTH, 6)
    raw = affine(layer, x)
    assert torch.allclose(raw, layer(x.dense()), atol=1e-5)
    g = torch.randn(ROWS, 6, generator=torch.Generator().manual_seed(2))
    raw.backward(g)
    out = torch.full_like(layer.weight, 7.0)
    gradient(x, g, out)
    dense = g.T @ x.dense()
    assert layer.weight.grad is not None
    assert torch.allclose(out, dense, atol=1e-4) and torch.allclose(
        layer.weight.grad, dense, atol=1e-4
    )


@pytest.mark.parametrize("scale", ["standard", "pixel", "none"])
def test_scaling_and_bounds_learn_the_same_and_do_the_same(scale: str) -> None:
    x = inputs(unseen=4)
    mine, dense = net(x, scale), net(x.dense(), scale)
    for name, tensor in mine.state_dict().items():
        assert torch.allclose(tensor, dense.state_dict()[name], rtol=1e-6), name
    codes = x.codes.clone()
    codes[:5, 0] = 4  # a category of no training row counts as none
    new = Coded(x.numbers * 2, codes, x.places, WIDTH)
    assert torch.allclose(mine(new), dense(new.dense()), atol=1e-5)
    if scale == "standard":
        assert isinstance(mine.bounds(mine.scaling(new)), Coded)


@pytest.mark.parametrize("coded", [True, False])
def test_no_input_is_further_from_its_mean_than_ten_deviations(coded: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    numbers = torch.randn(400, 2, generator=draw)
    numbers[0, 1] = 900.0  # one wrong number of 400 is nearly 20 deviations away
    codes = torch.randint(1, 20, (400, 1), generator=draw).int()
    x = Coded(numbers, codes, torch.tensor([0, 20]), WIDTH)
    network = net(x if coded else x.dense())
    free = network.scaling(x.dense())
    assert free[0, 20] > 19
    seen = network.bounds(network.scaling(x if coded else x.dense()))
    assert isinstance(seen, Coded) == coded
    seen = seen.dense() if isinstance(seen, Coded) else seen
    assert seen[0, 20] == FARTHEST == 10
    seen[0, 20] = free[0, 20]
    assert torch.equal(seen, free)  # all others are as they were


def test_a_category_of_all_training_rows_counts_for_all_rows() -> None:
    x = inputs()
    codes = x.codes.clone()
    codes[:, 0] = 7
    mine = net(Coded(x.numbers, codes, x.places, WIDTH))
    dense = net(Coded(x.numbers, codes, x.places, WIDTH).dense())
    assert torch.allclose(mine(x), dense(x.dense()), atol=1e-5)


@pytest.mark.parametrize("embedding", ["none", "piecewise", "periodic"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_steps_by_hand_and_by_autograd_lead_to_the_weights_of_the_dense_rows(
    optimizer: str, embedding: str
) -> None:
    x, y = inputs(), torch.randint(0, 3, (ROWS,), generator=torch.Generator().manual_seed(3))
    ended = []
    for kind, rows in ((Perceptron, x), (Autograd, x), (Autograd, x.dense())):
        network = net(rows, embedding=embedding)
        settings = NetSettings(optimizer=optimizer, lr=0.01, weight_decay=0.0)
        made = OPTIMIZERS[optimizer]
        from linnet.core.registry import lookup

        choice = lookup(OPTIMIZERS, optimizer, "optimizer") if isinstance(made, str) else made
        update = kind(network, Loss(find("softmax")), choice(network.parameters(), settings))
        for start in range(0, ROWS, 16):
            update(rows[start : start + 16], y[start : start + 16], None)
        ended.append(network.state_dict())
    for name, tensor in ended[2].items():
        for other in ended[:2]:
            assert torch.allclose(other[name], tensor, atol=2e-5), name

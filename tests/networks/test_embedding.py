"""Embeddings of numbers: what they compute, and how training begins."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import linnet
from linnet.core.randomness import generator
from linnet.data.coded import Coded
from linnet.data.schema import Schema
from linnet.errors import ModelError, RecipeError
from linnet.networks.build import build, layers
from linnet.networks.embedding import Embedding, Periodic, Piecewise, described
from linnet.networks.mlp import MLP
from linnet.networks.specs import PiecewiseSpec

KINDS = ("piecewise", "periodic")
NUMBERS = (0, 2, 3)
WIDTH = 6


def rows(count: int = 200) -> Tensor:
    """Numbers: normal, crooked, of few different values; and 0/1 columns between them."""
    draw = np.random.default_rng(0)
    x = draw.integers(0, 2, (count, WIDTH)).astype(np.float32)
    x[:, 0] = draw.normal(50, 9, count)
    x[:, 2] = np.exp(2 * draw.normal(size=count))
    x[:, 3] = draw.integers(0, 4, count)
    return torch.from_numpy(x)


def net(kind: str, x: Tensor | None = None, dtype: str = "float32", **changes: Any) -> MLP:
    about = described(kind, NUMBERS, size=5, bins=8, frequencies=7, sigma=0.5)
    spec = {
        "inputs": [WIDTH], "outputs": 3, "scale": "standard", "widths": [16, 8],
        "activation": "relu", "batch_norm": False, "dropout": 0.0, "rescale": False,
        "embedding": about, **changes,
    }  # fmt: skip
    network = build("mlp", spec, dtype)
    assert isinstance(network, MLP)
    network.start(rows() if x is None else x, None, None, generator(0, "weights"))
    return network


def shaken(network: MLP) -> MLP:
    """The same net with an embedding that is not zero."""
    assert network.embedding is not None
    draw = torch.Generator().manual_seed(3)
    nn.init.normal_(network.embedding.weight, generator=draw)
    with torch.no_grad():
        next(network.hidden.parameters())[:, WIDTH:].normal_(generator=draw)
    return network


def encoded(x: np.ndarray[Any, Any], edges: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Gorishniy et al. (2022), equation 1, for numbers within the edges, written out."""
    found = np.zeros((len(x), len(edges) - 1))
    for row, number in enumerate(x):
        for bin_, (low, high) in enumerate(pairwise(edges)):
            if number >= high:
                found[row, bin_] = 1
            elif number >= low:
                found[row, bin_] = (number - low) / (high - low)
    return found


def test_piecewise_features_are_those_of_the_papers_formula() -> None:
    x = rows()
    network = net("piecewise")
    layer = network.embedding
    assert isinstance(layer, Piecewise)
    scaled = network.bounds(network.scaling(x))
    features = layer.features(layer.numbers(scaled))
    assert features.shape == (3, 200, 8)
    bins = []
    for index, column in enumerate(NUMBERS):
        numbers = scaled[:, column].double().numpy()
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, 9)))
        bins.append(len(edges) - 1)
        wanted = encoded(numbers, edges)
        assert features[index, :, : bins[-1]].numpy() == pytest.approx(wanted, abs=1e-5)
        assert not features[index, :, bins[-1] :].any()  # of bins that the column does not have
    assert bins == [8, 8, 3]  # four different numbers have three bins between them


def test_the_features_agree_with_rtdl_num_embeddings() -> None:
    """Four numbers in the bins -1, 0, 0.5, 2, as ``PiecewiseLinearEncoding`` of the package
    rtdl_num_embeddings 0.0.12 gives them."""
    layer = Piecewise(PiecewiseSpec(kind="piecewise", numbers=(0,), size=1, bins=3))
    layer.low.copy_(torch.tensor([[-1.0, 0.0, 0.5]]))
    layer.rate.copy_(1 / torch.tensor([[1.0, 0.5, 1.5]]))
    features = layer.features(torch.tensor([[-1.0, -0.25, 0.125, 1.7]]))
    wanted = [[0, 0, 0], [0.75, 0, 0], [1, 0.25, 0], [1, 1, 0.8]]
    assert features[0].tolist() == [pytest.approx(row) for row in wanted]


def test_periodic_features_are_cosines_and_sines_of_frequencies_of_this_deviation() -> None:
    about = described("periodic", NUMBERS, size=5, bins=8, frequencies=2_000, sigma=0.3)
    network = net("periodic", embedding=about)
    layer = network.embedding
    assert isinstance(layer, Periodic)
    assert layer.frequency.std().item() == pytest.approx(0.3, rel=0.02)
    x = torch.tensor([[0.3], [-1.0], [2.0]])
    angle = 2 * np.pi * layer.frequency.detach().double().numpy() * x.double().numpy()
    wanted = np.concatenate([np.cos(angle), np.sin(angle)], 1)
    assert layer.features(x)[:, 0].detach().numpy() == pytest.approx(wanted, abs=1e-4)


def test_a_periodic_embedding_is_that_of_the_papers_formula() -> None:
    """Linear and ReLU after the features, for each column alone; drawn as a linear layer is."""
    network = net("periodic")
    layer = network.embedding
    assert isinstance(layer, Periodic)
    scaled = network.bounds(network.scaling(rows(20)))
    made = layer(scaled).detach().numpy()
    features = layer.features(layer.numbers(scaled)).detach().double().numpy()
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    for column in range(len(NUMBERS)):
        part = slice(5 * column, 5 * column + 5)
        wanted = np.maximum(features[column] @ weight[column] + bias[part], 0)
        assert made[:, part] == pytest.approx(wanted, abs=1e-5)
    bound = 14**-0.5
    for drawn in (weight, bias):
        assert 0.8 * bound < np.abs(drawn).max() <= bound and abs(drawn.mean()) < bound / 2
    assert all(parameter.requires_grad for parameter in layer.parameters())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_training_begins_as_without_the_embedding(kind: str, dtype: str) -> None:
    plain, mine = net("none", dtype=dtype), net(kind, dtype=dtype)
    ours, theirs = mine.state_dict(), plain.state_dict()
    assert ours["hidden.0.weight"].shape == (16, WIDTH + 15)
    assert torch.equal(ours["hidden.0.weight"][:, :WIDTH], theirs["hidden.0.weight"])
    assert torch.equal(ours["hidden.2.weight"], theirs["hidden.2.weight"])
    assert torch.equal(ours["output.weight"], theirs["output.weight"])
    assert torch.allclose(mine(rows()), plain(rows()), atol=1e-6)
    added = ours["hidden.0.weight"][:, WIDTH:]
    if kind == "periodic":
        assert not added.any() and ours["embedding.weight"].abs().min() > 0
        return
    assert added.square().mean().item() == pytest.approx(2 / 15, rel=0.25)  # He et al. (2015)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    network = shaken(net(kind, dtype="float64", activation="tanh"))
    layer = network.embedding
    assert layer is not None
    x, y = rows(20), torch.arange(20) % 3
    names = [f"embedding.{name}" for name, _ in layer.named_parameters()]

    def loss(*given: Tensor) -> Tensor:
        raw = torch.func.functional_call(network, dict(zip(names, given, strict=True)), (x,))
        return nn.functional.cross_entropy(raw, y)

    given = [parameter.detach().clone().requires_grad_() for parameter in layer.parameters()]
    assert torch.autograd.gradcheck(loss, given)
    assert all(part.abs().max() > 0 for part in torch.autograd.grad(loss(*given), given))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_net_is_a_function_of_the_seed_and_keeps_its_dtype(kind: str, dtype: str) -> None:
    one, two = net(kind, dtype=dtype), net(kind, dtype=dtype)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name]), name
        assert tensor.dtype == getattr(torch, dtype) and tensor.isfinite().all()
    assert one(rows()).dtype == getattr(torch, dtype)
    narrow = net(kind).state_dict()
    for name, tensor in one.state_dict().items():
        assert torch.allclose(tensor.float(), narrow[name], rtol=1e-4, atol=1e-5), name


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_beyond_those_of_training_count_as_the_furthest(kind: str) -> None:
    network = shaken(net(kind))
    x = rows()
    x[0, 0], x[1, 0] = 1e6, x[:, 0].max()
    x[0, 1:] = x[1, 1:]
    raw = shaken(net(kind, x[1:]))(x)
    assert torch.equal(raw[0], raw[1])
    assert network(x).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_coded_rows_give_what_dense_rows_give(kind: str) -> None:
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(1, 7, (64, 1), generator=draw).int()  # 6: the category of no column
    codes[codes == 5] = 4
    numbers = 3 + 5 * torch.randn(64, 2, generator=draw)
    x = Coded(numbers, codes, torch.tensor([0, 5]), WIDTH)
    about = described(kind, (0, 5), size=5, bins=8, frequencies=7, sigma=0.5)
    networks = [shaken(net(kind, given, embedding=about)) for given in (x, x.dense())]
    raws = [network(given) for network, given in zip(networks, (x, x.dense()), strict=True)]
    assert torch.allclose(raws[0], raws[1], atol=1e-5)
    for raw in raws:
        raw.square().sum().backward()
    for one, two in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert one.grad is not None and two.grad is not None
        assert torch.allclose(one.grad, two.grad, atol=1e-3)


def test_a_column_of_two_numbers_passes_as_it_is() -> None:
    x = rows()
    x[:, 3] = (x[:, 3] > 1).float()
    layer = net("piecewise", x).embedding
    assert isinstance(layer, Piecewise)
    assert not layer.features(torch.linspace(-1, 2, 9).expand(3, 9))[2].any()


def test_the_table_of_layers_has_it_and_counts_its_weights() -> None:
    network = net("piecewise")
    (row,) = [row for row in layers(network, "float32") if row["name"] == "embedding"]
    assert row == {
        "name": "embedding", "kind": "Piecewise", "output": [15], "parameters": 120,
        "trainable": 120,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": "none"}, "standardised columns"),
        ({"numbers": [0, 6]}, "below 6"),
        ({"numbers": [2, 0]}, "must rise"),
        ({"numbers": [0, 0]}, "must rise"),
        ({"numbers": []}, "numbers"),
        ({"bins": 1}, "bins"),
        ({"size": 0}, "size"),
        ({"kind": "other"}, "embedding"),
        ({"frequencies": 3}, "frequencies"),
    ],
)
def test_an_impossible_embedding_is_refused(changes: dict[str, Any], message: str) -> None:
    about = described("piecewise", NUMBERS, size=5, bins=8, frequencies=7, sigma=0.5)
    assert about is not None
    scale = {"scale": changes.pop("scale", "standard")}
    with pytest.raises(ModelError, match=message):
        net("piecewise", embedding={**about, **changes}, **scale)


def test_the_numbers_of_a_table_are_its_columns_of_numbers_and_dates() -> None:
    import polars

    rows = 60
    frame = polars.DataFrame(
        {
            "when": polars.date_range(
                polars.date(2020, 1, 1), polars.date(2020, 2, 29), eager=True
            ),
            "colour": ["red", "green", "blue"] * 20,
            "size": [None if n % 17 == 0 else n / 7 for n in range(rows)],
            "fine": [n % 2 == 0 for n in range(rows)],
            "price": [float(n * n % 31) for n in range(rows)],
        }
    )
    data = linnet.read(frame, target="price")
    run = linnet.train(data, epochs=1, model="mlp", embedding="piecewise", folds=1)
    schema: Schema = run.models["mlp"].schema
    names = [schema.columns[place] for place in schema.numbers]
    assert names == ["when.year", "when.month", "when.day", "when.weekday", "size"]
    layer = run.models["mlp"].module.get_submodule("embedding")
    assert isinstance(layer, Embedding) and layer.spec.numbers == schema.numbers


def test_an_embedding_where_there_are_no_columns_of_numbers_is_refused_or_left_out() -> None:
    with pytest.raises(RecipeError, match="these are pictures"):
        linnet.train("digits", embedding="piecewise")
    with pytest.raises(RecipeError, match="use scaling=standard"):
        linnet.train("iris", embedding="periodic", scaling="none")

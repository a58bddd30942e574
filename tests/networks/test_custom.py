"""A module of the user's own: trained unchanged, checked first, kept as numbers alone."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import linnet
from helpers import command, events_of
from linnet.core.registry import lookup
from linnet.data.dataset import Dataset
from linnet.errors import Blocked, DataError, InputError, LinnetWarning, ModelError, RecipeError
from linnet.experiment.evaluate import evaluate
from linnet.fit.artifact import read_manifest
from linnet.fit.begin import build
from linnet.fit.resolve import resolve
from linnet.fit.settings import read_recipe
from linnet.insight.checks.finding import Finding
from linnet.insight.checks.module import check_module
from linnet.networks.custom import Custom
from linnet.objectives import OBJECTIVES

FAST: dict[str, Any] = {"epochs": 3, "penalty": [0.01], "lr": 0.01}

Array = np.ndarray[Any, Any]


# Networks as learning notes on PyTorch write them.


class Raw(nn.Module):
    """Tensors of its own and nothing else."""

    def __init__(self, hidden: int = 32, size: float = 0.1) -> None:
        super().__init__()
        self.w1 = nn.Parameter(size * torch.randn(hidden, 64))
        self.b1 = nn.Parameter(torch.zeros(1, hidden))
        self.w2 = nn.Parameter(size * torch.randn(10, hidden))
        self.b2 = nn.Parameter(torch.zeros(1, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(x.size(0), -1)
        x = F.relu(x @ self.w1.t() + self.b1)
        return x @ self.w2.t() + self.b2


class InPlace(nn.Module):
    """An activation in place in an ``nn.Sequential``."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(inplace=True), nn.Linear(32, 10))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x.view(x.size(0), -1))
        return out


class Lenet(nn.Module):
    """Convolutions, a batch norm, pooling, dropout, and a log-softmax at the end."""

    def __init__(self, side: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(16 * (side // 4) ** 2, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return F.log_softmax(self.fc(self.drop(x.flatten(1))), dim=1)


def linear(net: nn.Sequential, index: int) -> nn.Linear:
    layer = net[index]
    assert isinstance(layer, nn.Linear)
    return layer


def sequential(inputs: int = 64, outputs: int = 10, hidden: int = 16) -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    )


class Shift(nn.Module):
    """Adds numbers of its own, which do not train."""

    def __init__(self, by: Tensor) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return x + self.by


class Given(nn.Module):
    """A layer ``fc`` of 64 inputs, and a forward as given."""

    def __init__(self, run: Callable[[nn.Module, Tensor], Any], outputs: int = 10) -> None:
        super().__init__()
        self.fc = nn.Linear(64, outputs)
        self.run = run

    def forward(self, x: Tensor) -> Any:
        return self.run(self.fc, x)


# What several tests share.


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """One thread, whatever the command line sets: these nets are too small for more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return linnet.read("digits")


@pytest.fixture(scope="module")
def cancer() -> Dataset:
    return linnet.read("breast_cancer")


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[linnet.Run, Lenet]:
    """A run of the line and a convolutional net on digits, and the net."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = Lenet()
    path = tmp_path_factory.mktemp("runs") / "lenet"
    return linnet.train("digits", network=net, out=path, **{**FAST, "epochs": 8}), net


def train(data: Any, net: nn.Module, out: Path, **settings: Any) -> linnet.Run:
    """Without the line, for time."""
    return linnet.train(
        data, network=net, out=out / "run", **{"model": "custom", **FAST, **settings}
    )


def of_net(run: Path, kind: str) -> list[dict[str, Any]]:
    """The module's events of a kind."""
    return [e for e in events_of(run) if e["event"] == kind and e.get("model") == "custom"]


def wrapped(module: nn.Module, data: Dataset, scale: str = "auto") -> Custom:
    """The module as a recipe wraps it, its scaling fitted."""
    recipe = linnet.Recipe(model=("custom",), device="cpu")
    recipe = resolve(recipe, data, data.split(test=0.2, valid=None, seed=0))
    if scale != "auto":
        recipe = recipe.override({"scaling": scale})
    network, _ = build(recipe, data.schema, module)
    y = data.y.double().reshape(len(data), -1) if data.schema.task == "regression" else None
    network.start(data.x, y, None, torch.Generator())
    assert isinstance(network, Custom)
    return network


def check(module: nn.Module, data: Dataset, rows: int = 64) -> list[Finding]:
    name = {"regression": "squared"}.get(data.schema.task) or (
        "logistic" if len(data.schema.classes) == 2 else "softmax"
    )
    objective = lookup(OBJECTIVES, name, "objective")()
    return check_module(wrapped(module, data), objective, data.x[:rows], data.y[:rows])


def blocked(module: nn.Module, data: Dataset) -> str:
    """The text of the one finding, which blocks."""
    (finding,) = check(module, data)
    assert finding.blocks and "; " in str(finding)
    return str(finding)


def warned(module: nn.Module, data: Dataset) -> str:
    """The text of the one finding, which does not block."""
    (finding,) = check(module, data)
    assert not finding.blocks and finding.what and finding.remedy
    return str(finding)


def line_of_numbers(targets: int = 1) -> Dataset:
    random = np.random.default_rng(0)
    x = random.normal(3.0, 2.0, (300, 5))
    y = x @ random.normal(size=(5, targets)) + 50 + 0.1 * random.normal(size=(300, targets))
    return linnet.read((x, y[:, 0] if targets == 1 else y))


# Networks from learning notes train unchanged.


@pytest.mark.parametrize("make", [Raw, InPlace, sequential, Lenet])
def test_a_network_from_notes_trains_unchanged(
    make: Callable[[], nn.Module], tmp_path: Path
) -> None:
    net = make()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    run = train("digits", net, tmp_path, epochs=8)
    scores = run.metrics["models"]
    assert list(scores) == ["constant", "custom"]
    assert scores["custom"]["test"]["accuracy"] > 0.9
    assert all(not torch.equal(before[name], p) for name, p in net.named_parameters())
    assert not net.training and all(p.grad is None for p in net.parameters())
    assert of_net(run.path, "finding") == []


def test_the_line_stands_beside_a_network_and_the_verdict_speaks_of_it(
    lenet: tuple[linnet.Run, Lenet],
) -> None:
    run, _ = lenet
    assert list(run.metrics["models"]) == ["constant", "linear", "custom"]
    assert run.metrics["comparisons"][0]["pair"] == ["custom", "linear"]
    assert "your network" in run.verdict.lower()


def test_a_log_softmax_at_the_end_changes_no_probability(
    lenet: tuple[linnet.Run, Lenet], digits: Dataset
) -> None:
    run, _ = lenet
    raw = run.models["custom"].raw(digits.x[:50])
    shares = run.models["custom"].predict_proba(digits.x[:50])
    np.testing.assert_allclose(shares, raw.exp().numpy(), rtol=1e-6)


def test_mnist_by_lenet(mnist_folder: Path, tmp_path: Path) -> None:
    images = np.frombuffer(
        _gunzipped(mnist_folder / "train-images-idx3-ubyte"), np.uint8, 1200 * 784, 16
    )
    labels = np.frombuffer(_gunzipped(mnist_folder / "train-labels-idx1-ubyte"), np.uint8, 1200, 8)
    data = images.reshape(1200, 1, 28, 28).copy(), labels.astype(np.int64)
    run = train(data, Lenet(28), tmp_path, epochs=2)
    assert run.models["custom"].schema.shape == (1, 28, 28)
    assert run.metrics["models"]["custom"]["test"]["accuracy"] > 0.75


def _gunzipped(path: Path) -> bytes:
    import gzip

    return path.read_bytes() if path.is_file() else gzip.open(f"{path}.gz").read()


def test_a_float32_line_on_a_float64_table_gives_what_the_line_gives(tmp_path: Path) -> None:
    """A user writes nn.Linear and has a table of float64: he need not know of dtypes."""
    data = linnet.read("diabetes")
    net = nn.Linear(10, 1)
    run = linnet.train(data, network=net, out=tmp_path / "run", epochs=30, lr=0.02, penalty=[1e-4])
    assert net.weight.dtype == torch.float32 and data.x.dtype == torch.float64
    line, own = (run.metrics["models"][name]["test"]["rmse"] for name in ("linear", "custom"))
    assert own == pytest.approx(line, rel=0.1)
    train_rows = run.split()["train"]
    x, y = data.x[train_rows], data.y[train_rows]
    with torch.no_grad():
        scaled = (data.x - x.mean(0)) / x.std(0, correction=0)
        wanted = net(scaled.float()).double()[:, 0] * y.std(correction=0) + y.mean()
    np.testing.assert_allclose(run.models["custom"].predict(data.x), wanted, rtol=1e-6)
    assert run.models["custom"].manifest.dtype == "float64"


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_network_computes_in_its_own_dtype(
    kind: torch.dtype, digits: Dataset, cancer: Dataset
) -> None:
    for data, net in ((digits, sequential().to(kind)), (cancer, sequential(30, 1).to(kind))):
        network = wrapped(net, data)
        assert network.examples(data.x[:3]).dtype == kind
        assert network(data.x[:3]).dtype == kind and check(net, data) == []


def test_several_targets(tmp_path: Path) -> None:
    data = line_of_numbers(targets=2)
    run = train(data, nn.Linear(5, 2), tmp_path, epochs=40, lr=0.05)
    assert run.metrics["models"]["custom"]["test"]["r2"] > 0.95
    assert run.models["custom"].predict(data.x[:4]).shape == (4, 2)


@pytest.mark.parametrize("outputs", [1, 2])
def test_two_classes_by_one_output_or_two(outputs: int, cancer: Dataset, tmp_path: Path) -> None:
    net = sequential(30, outputs)
    run = train("breast_cancer", net, tmp_path, epochs=10)
    model = run.models["custom"]
    assert run.metrics["models"]["custom"]["test"]["accuracy"] > 0.9
    with torch.no_grad():
        out = net(model.module.examples(cancer.x))  # type: ignore[operator]
    second = torch.sigmoid(out[:, 0]) if outputs == 1 else torch.softmax(out, 1)[:, 1]
    shares = model.predict_proba(cancer.x)
    np.testing.assert_allclose(shares[:, 1], second.numpy(), atol=1e-6)
    np.testing.assert_allclose(shares.sum(1), 1.0, atol=1e-12)
    labels = np.array(cancer.schema.classes)[(second > 0.5).long().numpy()]
    assert (model.predict(cancer.x) == labels).all()
    assert (labels == cancer.schema.decode(cancer.y)).mean() > 0.9  # the second is not the first


@pytest.mark.parametrize("outputs", [1, 2])
def test_soft_targets_of_two_classes(outputs: int, cancer: Dataset, tmp_path: Path) -> None:
    net = sequential(30, outputs)
    run = train("breast_cancer", net, tmp_path, epochs=5, label_smoothing=0.1)
    assert run.metrics["models"]["custom"]["test"]["accuracy"] > 0.85


# The model is the module, and the file holds its numbers.


def test_predictions_are_the_module_on_scaled_pictures(digits: Dataset, tmp_path: Path) -> None:
    net = sequential()
    run = train("digits", net, tmp_path)
    pixels = digits.x[run.split()["train"]].double()
    scaled = (digits.x.double() - pixels.mean()) / pixels.std(correction=0)
    with torch.no_grad():
        wanted = net(scaled.float())
    raw = run.models["custom"].raw(digits.x)
    np.testing.assert_allclose(raw.numpy(), wanted.numpy(), atol=1e-4)
    test = run.split()["test"]
    hits = (wanted.argmax(1)[test] == digits.y[test]).double().mean().item()
    assert run.metrics["models"]["custom"]["test"]["accuracy"] == pytest.approx(hits, abs=1e-12)


def test_a_file_gives_back_every_bit(lenet: tuple[linnet.Run, Lenet], digits: Dataset) -> None:
    run, net = lenet
    fresh = Lenet()
    model = linnet.load(run.path, "custom", network=fresh)
    mine, theirs = net.state_dict(), fresh.state_dict()
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        assert tensor.dtype == theirs[name].dtype and torch.equal(tensor, theirs[name]), name
    counted = fresh.norm.num_batches_tracked
    assert counted is not None and counted.dtype == torch.int64 and counted > 0
    raws = (run.models["custom"].raw(digits.x[:99]), model.raw(digits.x[:99]))
    assert torch.equal(*raws)
    assert not fresh.training


def test_a_module_saved_again_gives_the_same_file(
    lenet: tuple[linnet.Run, Lenet], tmp_path: Path
) -> None:
    run, _ = lenet
    file = run.path / "custom.safetensors"
    linnet.load(file, network=Lenet()).save(tmp_path / "again.safetensors")
    assert file.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_the_file_names_the_class_and_holds_no_code(lenet: tuple[linnet.Run, Lenet]) -> None:
    manifest = read_manifest(lenet[0].path / "custom.safetensors")
    assert manifest.model == "custom" and manifest.network["module"] == "Lenet"
    kinds = {layer.name: layer.kind for layer in manifest.layers}
    assert kinds["module.norm"] == "BatchNorm2d" and kinds["module.fc"] == "Linear"


def test_loading_without_the_code_names_the_class(lenet: tuple[linnet.Run, Lenet]) -> None:
    file = lenet[0].path / "custom.safetensors"
    for place, name in ((file, None), (lenet[0].path, "custom")):
        with pytest.raises(ModelError, match=r"Lenet, and files hold no code.*network="):
            linnet.load(place, name)
    with pytest.raises(ModelError, match="Lenet"):
        _ = linnet.Run(lenet[0].path).models
    assert linnet.Run(lenet[0].path, Lenet()).models.keys() == {"constant", "linear", "custom"}


class Wider(Lenet):
    def __init__(self) -> None:
        super().__init__()
        self.conv2 = nn.Conv2d(8, 17, 3, padding=1)


@pytest.mark.parametrize(
    ("other", "tensor"),
    [(Wider(), "module.conv2.bias"), (sequential(), "module.1.bias"), (Lenet(12), "module.fc.w")],
)
def test_loading_another_module_names_the_tensor(
    lenet: tuple[linnet.Run, Lenet], other: nn.Module, tensor: str
) -> None:
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(ModelError, match=f'tensor "{tensor}'):
        linnet.load(lenet[0].path / "custom.safetensors", network=other)
    assert all(torch.equal(before[name], value) for name, value in other.state_dict().items())


def test_loading_in_another_dtype_names_the_tensor(lenet: tuple[linnet.Run, Lenet]) -> None:
    with pytest.raises(ModelError, match=r'tensor "module\.conv1\.bias" is \(.F32.*F64'):
        linnet.load(lenet[0].path / "custom.safetensors", network=Lenet().double())


def test_loading_the_same_tensors_with_another_activation_is_refused(tmp_path: Path) -> None:
    run = train("digits", sequential(), tmp_path)
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
    with pytest.raises(ModelError, match="table of layers"):
        linnet.load(run.path, "custom", network=other)


def test_an_edited_file_is_refused_before_the_module_takes_it(
    lenet: tuple[linnet.Run, Lenet], tmp_path: Path
) -> None:
    content = bytearray((lenet[0].path / "custom.safetensors").read_bytes())
    content[-3] ^= 1
    file = tmp_path / "edited.safetensors"
    file.write_bytes(content)
    fresh = Lenet()
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    with pytest.raises(ModelError, match="sha256"):
        linnet.load(file, network=fresh)
    assert all(torch.equal(before[name], value) for name, value in fresh.state_dict().items())


def test_a_network_for_a_file_of_linnets_own_is_refused(tmp_path: Path) -> None:
    run = linnet.train("digits", model="mlp", out=tmp_path / "run", widths=[8], epochs=1)
    with pytest.raises(ModelError, match="a mlp is built from the file alone; leave out network="):
        linnet.load(run.path, "mlp", network=sequential())


def test_a_class_is_not_taken_for_a_module(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"network=Raw is not an nn\.Module; .*Raw\(\)"):
        linnet.train("digits", network=Raw, out=tmp_path / "run", **FAST)  # type: ignore[arg-type]


# The command line knows of it, and refuses by name.


def test_inspect_needs_no_code(lenet: tuple[linnet.Run, Lenet]) -> None:
    path = lenet[0].path
    code, out, err = command("inspect", path / "custom.safetensors", cwd=path)
    assert code == 0 and err == ""
    assert "custom, softmax, float32" in out and "module.conv1" in out
    parameters = sum(p.numel() for p in Lenet().parameters())
    assert f"{parameters:,}" in out or str(parameters) in out
    code, out, _ = command("inspect", path, "--model", "custom", "--json", cwd=path)
    assert code == 0 and json.loads(out)["network"]["module"] == "Lenet"


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "RUN", "digits", "--model", "custom"],
        ["evaluate", "RUN/custom.safetensors", "digits"],
        ["predict", "RUN", "digits", "--model", "custom"],
        ["predict", "RUN/custom.safetensors", "digits", "--rows", "0"],
    ],
)
def test_the_command_line_refuses_what_needs_code(
    lenet: tuple[linnet.Run, Lenet], words: list[str]
) -> None:
    path = lenet[0].path
    code, out, err = command(*(word.replace("RUN", str(path)) for word in words), cwd=path)
    assert code == 2 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    assert "Lenet" in err and "network=" in err


@pytest.mark.parametrize("what", ["evaluate", "predict"])
def test_the_command_line_still_serves_the_line_beside_it(
    lenet: tuple[linnet.Run, Lenet], what: str
) -> None:
    path = lenet[0].path
    code, out, err = command(what, path, "digits", "--model", "linear", "--json", cwd=path)
    assert code == 0 and err == "" and json.loads(out)


@pytest.mark.parametrize(
    "words",
    [["digits", "--model", "custom"], ["--config", "it.toml"], ["digits", "--set", "model=custom"]],
)
def test_no_words_reach_a_module(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "it.toml").write_text('data = "digits"\nmodel = ["linear", "custom"]\n')
    code, out, err = command("train", *words, cwd=tmp_path)
    assert code == 2 and out == "" and err.count("\n") == 1
    assert "custom" in err and "from Python" in err and "network=Net()" in err
    assert not (tmp_path / "runs").exists()


def test_python_without_a_module_is_refused_alike(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="network=Net"):
        linnet.train("digits", model="custom", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_recipe_of_a_run_says_custom_and_goes_on_from_python(
    lenet: tuple[linnet.Run, Lenet], tmp_path: Path
) -> None:
    settings = read_recipe(lenet[0].path / "recipe.toml")
    recipe = linnet.Recipe.make(settings)
    assert recipe.model == ("linear", "custom")
    torch.manual_seed(0)
    again = linnet.train(recipe=recipe, network=Lenet(), out=tmp_path / "again")
    mine, theirs = (run.metrics["models"]["custom"]["valid"]["loss"] for run in (lenet[0], again))
    assert mine == theirs  # the same start, dropout and order of rows


# A module that has been trained already.


def test_training_goes_on_from_the_weights_it_is_given(digits: Dataset, tmp_path: Path) -> None:
    net = sequential()
    first = train("digits", net, tmp_path / "first", epochs=2, lr=2e-3)
    half = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    second = train("digits", net, tmp_path / "second", epochs=8)
    start, *_, last = of_net(second.path, "evaluate")
    known = first.metrics["models"]["custom"]["valid"]["loss"]
    assert start["step"] == 0 and start["valid"]["loss"] == pytest.approx(known, rel=1e-9)
    assert last["valid"]["loss"] < 0.7 * known
    tests = [run.metrics["models"]["custom"]["test"]["log_loss"] for run in (first, second)]
    assert tests[1] < 0.7 * tests[0]
    assert not torch.equal(half["1.weight"], net.state_dict()["1.weight"])


def test_no_weight_is_drawn_anew(tmp_path: Path) -> None:
    net = Lenet()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    train("digits", net, tmp_path, epochs=1, lr=1e-12)
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter, before[name], atol=1e-7, rtol=1e-6)


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    net = sequential()
    net[1].requires_grad_(False)
    before = linear(net, 1).weight.detach().clone()
    train("digits", net, tmp_path)
    assert torch.equal(linear(net, 1).weight, before) and not linear(net, 1).weight.requires_grad
    assert linear(net, 3).weight.requires_grad


def test_an_unused_parameter_is_named_and_stays(tmp_path: Path) -> None:
    net = sequential()
    spare = nn.Linear(3, 3)
    net.register_module("spare", spare)
    net.forward = nn.Sequential(*list(net)[:4]).forward  # type: ignore[method-assign]
    before = spare.weight.detach().clone()
    with pytest.warns(LinnetWarning, match=r"custom: no gradient reaches spare\.weight, spare\.b"):
        run = train("digits", net, tmp_path)
    (event,) = of_net(run.path, "finding")
    assert event["text"].startswith("no gradient reaches spare.weight, spare.bias; ")
    assert torch.equal(spare.weight, before)
    assert "module.spare.weight" in run.models["custom"].module.state_dict()


def test_a_module_that_works_in_place_leaves_the_data_alone(tmp_path: Path) -> None:
    def forward(fc: nn.Module, x: Tensor) -> Tensor:
        x -= 1.0
        out: Tensor = fc(x)
        return out

    random = np.random.default_rng(0)
    x = random.normal(size=(200, 64)).astype(np.float32)
    kept = x.copy()
    data = linnet.read((x, (x[:, 0] > 0).astype(np.int64)))
    run = train(data, Given(forward, 1), tmp_path, scaling="none")
    assert np.array_equal(data.x.numpy(), kept)
    first = run.models["custom"].raw(data.x)
    assert torch.equal(first, run.models["custom"].raw(data.x))


# The check: what blocks.


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_no_softmax_in_front_of_cross_entropy_falls_below_the_floor(classes: int) -> None:
    """The number told, against PyTorch: by what is best, by chance, and by going downhill."""
    floor = math.log(math.e + classes - 1) - 1
    truth = torch.arange(classes)
    sure = torch.eye(classes, dtype=torch.float64)
    assert F.cross_entropy(sure, truth).item() == pytest.approx(floor, abs=1e-12)
    shares = torch.distributions.Dirichlet(torch.full((classes,), 0.05, dtype=torch.float64))
    drawn = shares.sample((4000,))
    assert F.cross_entropy(drawn, torch.randint(classes, (4000,)), reduction="none").min() >= floor
    logits = torch.zeros(classes, classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        loss = F.cross_entropy(logits.softmax(1), truth)
        loss.backward()
        optimizer.step()
    assert floor < loss.item() < floor + 1e-3
    if classes == 10:
        assert f"{floor:.4f}" == "1.4612"


@pytest.mark.parametrize(
    "end", [nn.Softmax(dim=1), nn.Sequential(nn.LogSoftmax(dim=1), nn.Softmax(dim=1))]
)
def test_a_softmax_at_the_end_blocks(end: nn.Module, digits: Dataset, tmp_path: Path) -> None:
    text = blocked(nn.Sequential(sequential(), end), digits)
    assert "already a softmax" in text and "could not fall below 1.4612" in text
    assert "return the values before the softmax" in text
    net = nn.Sequential(sequential(), end)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(Blocked, match=r"custom: its outputs are already a softmax") as raised:
        train("digits", net, tmp_path)
    assert raised.value.exit_code == 1
    (event,) = of_net(tmp_path / "run", "finding")
    assert event["text"] == text and of_net(tmp_path / "run", "step") == []
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "failed" and status["error"].startswith("Blocked: custom: ")
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_softmax_of_two_classes_blocks_with_its_own_floor(cancer: Dataset) -> None:
    text = blocked(nn.Sequential(sequential(30, 2), nn.Softmax(dim=1)), cancer)
    assert f"{math.log(1 + math.exp(-1)):.4f}" in text


@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_sigmoid_at_the_end_blocks(functional: bool, outputs: int, cancer: Dataset) -> None:
    class Functional(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            for layer in self:
                x = layer(x)
            return torch.sigmoid(x).view(-1, outputs)

    body = sequential(30, outputs)
    net = Functional(*body) if functional else nn.Sequential(body, nn.Sigmoid())
    assert "already a sigmoid" in blocked(net, cancer)


def test_a_softmax_in_evaluation_mode_alone_blocks(digits: Dataset) -> None:
    class Serving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = sequential()

        def forward(self, x: Tensor) -> Tensor:
            raw: Tensor = self.body(x)
            return raw if self.training else raw.softmax(1)

    text = blocked(Serving(), digits)
    assert text.startswith("in evaluation mode its outputs are already a softmax")


def test_a_module_in_evaluation_mode_is_looked_at_as_it_will_train(digits: Dataset) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = sequential()

        def forward(self, x: Tensor) -> Tensor:
            raw: Tensor = self.body(x)
            return raw.softmax(1) if self.training else raw

    text = blocked(Odd().eval(), digits)
    assert text.startswith("its outputs are already a softmax")


def test_one_output_that_begins_at_1_is_no_softmax(cancer: Dataset) -> None:
    net = sequential(30, 1)
    with torch.no_grad():
        linear(net, 3).weight.zero_()
        linear(net, 3).bias.fill_(1.0)
    assert check(net, cancer) == []


def test_logarithms_of_softmax_and_sigmoid_are_no_softmax_and_no_sigmoid(
    digits: Dataset, cancer: Dataset
) -> None:
    assert check(nn.Sequential(sequential(), nn.LogSoftmax(dim=1)), digits) == []
    assert check(nn.Sequential(sequential(30, 1), nn.LogSigmoid()), cancer) == []


def test_what_is_between_0_and_1_by_chance_is_no_sigmoid(digits: Dataset, cancer: Dataset) -> None:
    for net, data in ((sequential(), digits), (sequential(30, 1), cancer)):
        with torch.no_grad():
            linear(net, 3).weight.mul_(0.01)
            linear(net, 3).bias.fill_(0.5)
        out = net(wrapped(net, data).examples(data.x[:64]))
        assert out.min() > 0 and out.max() < 1
        assert check(net, data) == []


def test_a_sigmoid_inside_or_for_numbers_is_fine(digits: Dataset) -> None:
    inside = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Sigmoid(), nn.Linear(16, 10))
    assert check(inside, digits) == []
    numbers = line_of_numbers()
    assert check(nn.Sequential(nn.Linear(5, 1), nn.Sigmoid()), numbers) == []


@pytest.mark.parametrize("width", [16, 128])
def test_a_view_that_makes_other_rows_blocks(width: int, digits: Dataset) -> None:
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(width, 10)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.fc(x.view(-1, width))
            return out

    text = blocked(Views(), digits)
    assert f"64 rows of shape (1, 8, 8) go in and {64 * 64 // width} come out" in text
    assert "rows are mixed" in text and "flatten(1)" in text


def test_rows_that_are_mixed_without_a_change_of_their_number_block(digits: Dataset) -> None:
    """``view(64, -1).t()`` has the right shape and the wrong numbers in every row."""
    text = blocked(Given(lambda fc, x: fc(x.reshape(64, -1).t())), digits)
    assert "depend on the other rows" in text and "rows are mixed" in text
    text = blocked(Given(lambda fc, x: fc((x - x.mean(0)).flatten(1))), digits)
    assert "depend on the other rows" in text


def test_norms_over_a_batch_are_not_taken_for_mixed_rows(digits: Dataset) -> None:
    for norm in (nn.BatchNorm1d(16), nn.LayerNorm(16), nn.GroupNorm(4, 16)):
        net = sequential()
        net.insert(2, norm)
        assert check(net, digits) == []
    net = sequential()
    net.insert(2, nn.BatchNorm1d(16, track_running_stats=False))
    assert "in evaluation mode" in blocked(net, digits)


def test_a_module_for_one_size_of_batch_blocks(digits: Dataset) -> None:
    text = blocked(Given(lambda fc, x: fc(x.view(64, -1))), digits)
    assert "in evaluation mode its forward fails on a batch of 32: RuntimeError" in text
    text = blocked(Given(lambda fc, x: fc(x.squeeze().flatten(1))), digits)
    assert "fails on a batch of 1: RuntimeError" in text and "squeeze" in text


def test_one_dimension_would_broadcast(cancer: Dataset) -> None:
    numbers = line_of_numbers()
    for data, inputs in ((numbers, 5), (cancer, 30)):
        net = nn.Sequential(nn.Linear(inputs, 1), nn.Flatten(0))
        text = blocked(net, data)
        assert "shape (64,), expected (64, 1), which would broadcast" in text
        assert "no squeeze" in text
        assert check(net[0], data) == []


@pytest.mark.parametrize("outputs", [1, 2, 9, 11])
def test_another_number_of_outputs_blocks(outputs: int, digits: Dataset) -> None:
    text = blocked(sequential(64, outputs), digits)
    assert f"shape (64, {outputs}), expected (64, 10)" in text


def test_two_outputs_for_one_number_block() -> None:
    assert "expected (64, 1)" in blocked(nn.Linear(5, 2), line_of_numbers())


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda fc, x: (fc(x.flatten(1)), x), "it returns a tuple; return one tensor, (rows, 10)"),
        (lambda fc, x: {"out": fc(x.flatten(1))}, "it returns a dict"),
        (lambda fc, x: None, "it returns a NoneType"),
        (lambda fc, x: fc(x.flatten(1)).sum(), "64 rows of shape (1, 8, 8) go in and none come"),
        (lambda fc, x: fc(x), "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
        (lambda fc, x: [x][1], "IndexError: list index out of range"),
        (lambda fc, x: fc(x.flatten(1)) / 0, "its first outputs are not finite"),
        (lambda fc, x: fc(x.flatten(1)).detach(), "its backward pass fails: "),
        (lambda fc, x: fc(x.flatten(1)).round().long(), "its backward pass fails: "),
    ],
)
def test_a_forward_that_cannot_be_trained_blocks(
    run: Callable[[nn.Module, Tensor], Any], words: str, digits: Dataset
) -> None:
    assert words in blocked(Given(run), digits)


def test_a_forward_that_fails_blocks_the_run_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Blocked) as raised:
        train("digits", nn.Linear(63, 10), tmp_path)
    text = str(raised.value)
    assert "\n" not in text and "batch of shape (64, 1, 8, 8) and dtype torch.float32" in text


def test_no_parameters_block(digits: Dataset) -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :10]

    class Hidden(nn.Module):
        """A python list hides its layers from PyTorch."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(64, 10)]

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.layers[0](x.flatten(1))
            return out

    for net in (Nothing(), Hidden()):
        text = blocked(net, digits)
        assert "it has no parameters; " in text and "nn.ModuleList" in text
    assert "requires_grad is False for all" in blocked(Raw().requires_grad_(False), digits)


def test_several_devices_block(digits: Dataset) -> None:
    net = sequential()
    net[3] = nn.Linear(16, 10, device="meta")
    text = blocked(net, digits)
    assert "several devices: cpu, meta" in text and "module.to(device)" in text
    assert "no values" in blocked(sequential().to("meta"), digits)


def test_an_activation_in_place_that_breaks_a_gradient_is_named(digits: Dataset) -> None:
    def net(*inplace: bool) -> nn.Sequential:
        first, second, third = inplace
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 16), nn.ReLU(inplace=first), nn.Linear(16, 16),
            nn.Sigmoid(), nn.ReLU(inplace=second), nn.Linear(16, 16), nn.Tanh(),
            nn.LeakyReLU(inplace=third), nn.Linear(16, 10),
        )  # fmt: skip

    assert check(net(False, False, False), digits) == []
    assert check(net(True, False, False), digits) == []  # in place, and harmless
    text = blocked(net(True, True, False), digits)
    assert "its layer 5 (ReLU) overwrites" in text and "ReLU() without inplace=True" in text
    text = blocked(net(True, True, True), digits)
    assert "its layer 5 (ReLU), 8 (LeakyReLU) overwrites" in text
    before = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Sigmoid(), nn.ReLU(inplace=True))
    after = nn.Sequential(nn.Linear(16, 16), nn.ReLU(inplace=True), nn.Linear(16, 10))
    text = blocked(nn.Sequential(before, after), digits)
    assert "its layer 0.3 (ReLU) overwrites" in text


def test_an_operation_in_place_that_is_no_layer_is_told(digits: Dataset) -> None:
    text = blocked(Given(lambda fc, x: F.relu_(torch.sigmoid(fc(x.flatten(1))) - 1).exp_()), digits)
    assert "its backward pass fails" in text and "operations in place" in text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mask", torch.full((2,), -math.inf), "not finite; register it with persistent=False"),
        ("nothing", torch.zeros(0), "is empty; register it with persistent=False"),
        ("waves", torch.zeros(2, dtype=torch.complex64), "has complex numbers"),
        ("größe", torch.zeros(2), "cannot be a name in a file"),
    ],
)
def test_what_no_file_could_hold_blocks_before_training(
    name: str, value: Tensor, words: str, digits: Dataset, tmp_path: Path
) -> None:
    net = sequential()
    net.register_buffer(name, value)
    assert words in blocked(net, digits)
    with pytest.raises(Blocked, match=name):
        train("digits", net, tmp_path)
    net = sequential()
    net.register_buffer(name, value, persistent=False)
    assert check(net, digits) == []


def test_other_states_that_no_file_could_hold_block(digits: Dataset) -> None:
    class Extra(nn.Sequential):
        def get_extra_state(self) -> dict[str, int]:
            return {"version": 1}

    assert "_extra_state" in blocked(Extra(sequential()), digits)
    dashed = nn.ModuleDict({"my-layer": nn.Linear(64, 10)})
    assert '"my-layer.weight" cannot be a name' in blocked(dashed, digits)
    net = sequential()
    with torch.no_grad():
        linear(net, 1).weight[0, 0] = math.nan
    assert "initial weights" in blocked(net, digits)


def test_a_lazy_layer_blocks_until_a_batch_has_gone_through(digits: Dataset) -> None:
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
    assert '"1.weight" has no shape yet' in blocked(net, digits)
    net(torch.zeros(2, 1, 8, 8))
    assert check(net, digits) == []


def test_a_module_that_cannot_be_copied_blocks(digits: Dataset) -> None:
    net = Raw()
    net.made = net.w1.t() @ net.w1
    assert "cannot be copied" in blocked(net, digits)


# The check: what is worth a word.


def test_layers_without_an_activation_between_are_a_line(digits: Dataset, tmp_path: Path) -> None:
    class RawLine(Raw):
        def forward(self, x: Tensor) -> Tensor:
            return (x.flatten(1) @ self.w1.t() + self.b1) @ self.w2.t() + self.b2

    def stack(*between: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), *between, nn.Linear(16, 10))

    convolutions = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.AvgPool2d(2), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4, 10)
    )
    lines = [
        stack(), stack(nn.Dropout(0.5)), stack(nn.BatchNorm1d(16)), RawLine(), convolutions,
        nn.Sequential(stack(), nn.LogSoftmax(dim=1)), stack(nn.Identity()).double(),
    ]  # fmt: skip
    for net in lines:
        text = warned(net, digits)
        assert "no activation: the net is a line" in text and "the model linear" in text
    assert "its 3 linear layers" in warned(convolutions, digits)
    net = stack()
    net.register_forward_pre_hook(lambda module, given: given[0].sub_(1.0))  # in place
    assert "the net is a line" in warned(net, digits)
    with pytest.warns(LinnetWarning, match="custom: between its 2 linear layers"):
        run = train("digits", stack(), tmp_path)
    (event,) = of_net(run.path, "finding")
    assert "the net is a line" in event["text"]


def test_what_is_no_line_is_not_called_one(digits: Dataset) -> None:
    def stack(*between: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), *between, nn.Linear(16, 10))

    nets = [
        Raw(), InPlace(), Lenet(), stack(nn.ReLU()), stack(nn.BatchNorm1d(16), nn.ReLU()),
        stack(nn.Dropout(0.5), nn.ReLU(), nn.Dropout(0.5)), stack(nn.LayerNorm(16)),
        stack(nn.Tanh()), stack(nn.GELU()), stack(nn.LeakyReLU(0.2, inplace=True)),
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10)),
    ]  # fmt: skip
    for net in nets:
        assert check(net, digits) == [], net
        assert check(net.eval(), digits) == [], net


def test_one_layer_is_a_line_and_meant_so(digits: Dataset) -> None:
    class OneLayer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(0.01 * torch.randn(10, 64))
            self.b = nn.Parameter(torch.zeros(1, 10))  # two dimensions, and no layer

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1) @ self.w.t() + self.b

    for net in (OneLayer(), nn.Sequential(nn.Flatten(), nn.Linear(64, 10))):
        assert check(net, digits) == []


def test_small_weights_do_not_make_an_activation_a_line(digits: Dataset) -> None:
    for activation in (nn.Tanh(), nn.GELU(), nn.Softplus()):
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), activation, nn.Linear(16, 10))
        with torch.no_grad():
            linear(net, 1).weight.mul_(1e-3)
        assert check(net, digits) == []
    net = sequential()
    nn.init.zeros_(linear(net, 3).weight)  # a common start: even guesses
    assert check(net, digits) == []


def test_a_first_loss_far_above_even_guesses_is_told(digits: Dataset, tmp_path: Path) -> None:
    net = Raw(size=1.0)
    network = wrapped(net, digits)
    with torch.no_grad():
        loss = F.cross_entropy(net(network.examples(digits.x[:64])), digits.y[:64]).item()
    text = warned(net, digits)
    assert loss > 4.7 and f"its first loss is {loss:.3g}; equal probabilities have 2.3" in text
    assert "initial weights are too large" in text
    assert check(Raw(size=0.05), digits) == []
    with pytest.warns(LinnetWarning, match="custom: its first loss is"):
        run = train("digits", Raw(size=1.0), tmp_path)
    assert len(of_net(run.path, "finding")) == 1


def test_a_first_loss_of_two_classes_is_measured_by_their_guesses(cancer: Dataset) -> None:
    net = sequential(30, 2)
    net.append(Shift(torch.tensor([0.0, 5.0])))
    assert "equal probabilities have 0.693" in warned(net, cancer)


def test_large_numbers_are_no_large_loss() -> None:
    net = nn.Linear(5, 1)
    with torch.no_grad():
        net.bias.fill_(1000.0)
    assert check(net, line_of_numbers()) == []


def test_dropout_that_does_not_end_is_told(digits: Dataset) -> None:
    def forever(fc: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = fc(F.dropout(x.flatten(1)))
        return out

    text = warned(Given(forever), digits)
    assert "differ from call to call" in text and "training=self.training" in text


def test_several_findings_come_together(digits: Dataset, tmp_path: Path) -> None:
    class Poor(Raw):
        def forward(self, x: Tensor) -> Tensor:
            return (x.flatten(1) @ self.w1.t()) @ self.w2.t() + self.b2

    found = check(Poor(size=1.0), digits)
    words = ("the net is a line", "its first loss is", "no gradient reaches b1")
    assert len(found) == 3 and all(w in f.what for w, f in zip(words, found, strict=True))
    with pytest.warns(LinnetWarning) as caught:
        run = train("digits", Poor(size=1.0), tmp_path)
    assert Counter(w.category for w in caught)[LinnetWarning] == 3
    assert len(of_net(run.path, "finding")) == 3


# The check leaves everything as it is.


def _fails(fc: nn.Module, x: Tensor) -> Tensor:
    torch.rand(3)
    raise ValueError("no")


def _breaks(fc: nn.Module, x: Tensor) -> Tensor:
    return F.dropout(torch.sigmoid(fc(x.flatten(1)))).mul_(2).exp_().mul_(0.5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        Raw, Lenet, InPlace, lambda: nn.Sequential(Lenet(), nn.Softmax(dim=1)),
        lambda: Given(_fails), lambda: Given(_breaks),
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(64, 9), nn.Sigmoid(), nn.ReLU(inplace=True), nn.Linear(9, 10)
        ),
    ],
)  # fmt: skip
def test_a_check_changes_no_bit(
    make: Callable[[], nn.Module], training: bool, digits: Dataset
) -> None:
    net = make().train(training)
    for parameter in net.parameters():
        parameter.grad = torch.randn_like(parameter)
    network = wrapped(net, digits).train(training)
    x, y = digits.x[:64].clone(), digits.y[:64].clone()
    objective = lookup(OBJECTIVES, "softmax", "objective")()

    def everything() -> list[Tensor]:
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        places = [torch.tensor(p.data_ptr()) for p in network.parameters()]
        modes = [torch.tensor([m.training, getattr(m, "inplace", False)]) for m in net.modules()]
        generator = torch.get_rng_state()
        state = network.state_dict().values()
        return [t.clone() for t in (*state, *gradients, *places, *modes, generator, x, y)]

    before = everything()
    check_module(network, objective, x, y)
    after = everything()
    assert len(before) == len(after) > 6
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


def test_a_check_sees_few_rows(digits: Dataset) -> None:
    for rows in (1, 2, 3):
        assert check(sequential(), digits, rows) == []


def test_training_is_the_same_to_the_bit_twice(tmp_path: Path) -> None:
    states: list[dict[str, Tensor]] = []
    for name in ("one", "two"):
        torch.manual_seed(3)
        net = Lenet()
        torch.rand(len(name) * len(states))  # where the global generator stands does not matter
        train("digits", net, tmp_path / name, epochs=1)
        states.append(net.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# What the first modules of users would have broken.


@pytest.mark.parametrize("kind", ["frozen", "none", "meta", "lazy"])
def test_what_cannot_be_placed_blocks_the_run(kind: str, tmp_path: Path) -> None:
    nets = {
        "frozen": Raw().requires_grad_(False),
        "none": nn.Flatten(),
        "meta": Raw().to("meta"),
        "lazy": nn.Sequential(nn.Flatten(), nn.LazyLinear(10)),
    }
    with pytest.raises(Blocked):
        train("digits", nets[kind], tmp_path)


def test_an_unused_parameter_alone_in_its_group_stays(tmp_path: Path) -> None:
    net = Raw()  # all of its own parameters have two dimensions, and so one weight decay
    spare = nn.Parameter(torch.ones(3))
    net.register_parameter("spare", spare)
    with pytest.warns(LinnetWarning, match="no gradient reaches spare"):
        train("digits", net, tmp_path)
    assert torch.equal(spare, torch.ones(3))


def test_a_recurrent_network_trains(tmp_path: Path) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 16, batch_first=True)
            self.fc = nn.Linear(16, 10)

        def forward(self, x: Tensor) -> Tensor:
            states, _ = self.lstm(x.squeeze(1))
            out: Tensor = self.fc(states[:, -1])
            return out

    run = train("digits", Recurrent(), tmp_path)
    assert "custom" in run.models


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    net.append(nn.Linear(64, 10))
    linear(net, 3).weight = linear(net, 1).weight
    run = train("digits", net, tmp_path)
    kept = run.models["custom"].module.state_dict()
    assert torch.equal(kept["module.1.weight"], linear(net, 1).weight)
    assert torch.equal(kept["module.3.weight"], linear(net, 1).weight)


def test_parameters_beside_layers_are_counted(tmp_path: Path) -> None:
    net = Raw()
    net.head = nn.Linear(10, 10)
    net.register_forward_hook(lambda module, given, out: module.head(out))
    run = train("digits", net, tmp_path)
    told = sum(layer["parameters"] for layer in run.models["custom"].layers())
    assert told == sum(p.numel() for p in net.parameters())


def test_auto_and_a_network_are_the_line_and_the_network(tmp_path: Path) -> None:
    run = linnet.train("digits", network=sequential(), model="auto", out=tmp_path / "run", **FAST)
    assert list(run.metrics["models"]) == ["constant", "linear", "custom"]
    assert run.model.manifest.model == "custom"  # what was given, whichever model was chosen
    assert linnet.Run(run.path).chosen in ("linear", "custom")
    data, rows = linnet.read("digits"), run.split()["test"]
    for name, model in run.models.items():
        test = run.scores.models[name].test
        assert test is not None
        assert model.score(data.x[rows], data.y[rows]) == pytest.approx(test.accuracy)
    assert run.score(data.x[rows], data.y[rows]) == run.model.score(data.x[rows], data.y[rows])
    with pytest.raises(DataError, match="the label 11 is not among the classes"):
        run.score(data.x[:1], [11])
    with pytest.raises(DataError, match=r"y has the shape \(2,\)"):
        run.score(data.x[:1], [1, 1])


def test_an_earlier_run_does_not_take_back_a_module(tmp_path: Path) -> None:
    net = sequential()
    first = train("digits", net, tmp_path / "first")
    train("digits", net, tmp_path / "second")
    trained = linear(net, 1).weight.detach().clone()
    _ = first.models
    assert torch.equal(linear(net, 1).weight, trained)


def test_a_refused_module_keeps_its_weights(tmp_path: Path) -> None:
    run = train("digits", sequential(), tmp_path)
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
    before = linear(other, 1).weight.detach().clone()
    with pytest.raises(ModelError):
        linnet.load(run.path, "custom", network=other)
    assert torch.equal(linear(other, 1).weight, before)


def test_evaluate_scores_the_line_beside_a_module_of_ones_own(tmp_path: Path) -> None:
    """Its code is not in the file: it is left out by name, and the others are scored."""
    run = linnet.train(
        "iris", network=nn.Linear(4, 3), model=("linear", "custom"), epochs=2, out=tmp_path / "r"
    )
    found = evaluate(run.path, "iris")
    assert set(found["models"]) == {"constant", "linear"}
    assert "custom is left out" in found["data"]["notes"][-1]
    test = found["models"]["linear"]["test"]
    assert test["accuracy"] == run.metrics["models"]["linear"]["test"]["accuracy"]


class HalfListed(nn.Module):
    """One layer that is registered, and others in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.rest = [nn.ReLU(), nn.Linear(8, 3)]

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        return x


def test_layers_that_are_not_registered_are_found(tmp_path: Path) -> None:
    """They would not be trained, and a module that takes the file's numbers would lack them."""
    with pytest.raises(
        Blocked, match=r"uses 2 tensors .* of shape \(3, 8\), \(3,\): .*nn\.ModuleList"
    ):
        linnet.train("iris", network=HalfListed(), model="custom", out=tmp_path / "r")
    frozen = HalfListed()
    for layer in frozen.rest:
        layer.requires_grad_(False)  # on purpose: nothing is missing but what does not train
    linnet.train("iris", network=frozen, model="custom", epochs=1, out=tmp_path / "s")


class Own(nn.Module):
    """A module whose only part happens to have the name that wrappers use."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.module(x)
        return out


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")  # type: ignore[return-value]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "wrap", [compiled, nn.DataParallel, lambda module: compiled(nn.DataParallel(module))]
)
@pytest.mark.parametrize("make", [lambda: nn.Sequential(nn.Linear(4, 3)), Own])
def test_a_wrapped_module_is_saved_under_its_plain_names(
    wrap: Any, make: Any, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(90, 4)), np.arange(90) % 3
    module = make()
    settings: dict[str, Any] = {"model": "custom", "epochs": 2, "batch_size": 30, "lr": 0.01}
    start = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    run = linnet.train((X, y), network=wrap(module), out=tmp_path / "wrapped", **settings)
    path = tmp_path / "wrapped" / "custom.safetensors"
    names = {f"module.{name}" for name in start}
    assert {name for name in run.models["custom"].module.state_dict() if "module" in name} == names
    assert read_manifest(path).network["module"] == type(module).__qualname__
    expected = run.models["custom"].predict_proba(X)
    for other in (make(), wrap(make())):
        assert np.array_equal(linnet.load(path, network=other).predict_proba(X), expected)
    plain = make()
    plain.load_state_dict(start)
    again = linnet.train((X, y), network=plain, out=tmp_path / "plain", **settings)
    assert np.array_equal(again.models["custom"].predict_proba(X), expected)

"""Parts of others: a network and an objective in one file each go all the way, and no part of
another package is imported because a file names it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import Field
from sklearn.metrics import mean_poisson_deviance
from torch import Tensor, nn

import linnet
from helpers import Site, command, weights_of
from linnet.core import registry
from linnet.errors import InputError, Interrupted, ModelError, RecipeError
from linnet.experiment.evaluate import evaluate
from linnet.fit.checkpoint import Stop
from linnet.networks import NETWORKS
from linnet.networks.activations import ACTIVATIONS, draw
from linnet.networks.base import Network, NetworkSpec
from linnet.networks.scaling import Scale, Scaling
from linnet.objectives import OBJECTIVES
from linnet.objectives.base import Objective, Score, Target

pytestmark = pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")

# a network, in one file


class Toy(Network):
    """One hidden layer of sines."""

    title = "the toy"

    class Spec(NetworkSpec):
        """Its width, from the recipe's key of that name."""

        scale: Scale
        widths: tuple[int, ...] = Field(min_length=1, max_length=1)

    def __init__(self, spec: Toy.Spec) -> None:
        super().__init__(spec)
        self.scaling = Scaling(spec.scale, spec.inputs)
        self.first = nn.Linear(spec.inputs[0], spec.widths[0])
        self.output = nn.Linear(spec.widths[0], spec.outputs)
        self.rescaling = nn.Identity()

    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        self.scaling.fit(x)
        for layer in (self.first, self.output):
            draw(layer.weight, ACTIVATIONS["tanh"], generator)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        raw: Tensor = self.output(self.first(self.scaling(x)).sin())
        return raw


# an objective, in one file


class Poisson(Objective):
    """``loss = exp(raw) - y raw + y log y - y``, summed over the outputs; ``y`` are counts."""

    classifies = False
    quadratic = False
    scores: ClassVar[Mapping[str, Score]] = {"deviance": Score(mean_poisson_deviance, "lower")}

    @classmethod
    def suits(cls, target: Target) -> bool:
        return target.task == "regression"

    @classmethod
    def outputs(cls, target: Target) -> int:
        return len(target.targets)

    def loss(self, raw: Tensor, y: Tensor) -> Tensor:
        y = y.reshape(raw.shape)
        return (raw.exp() - y * raw + torch.xlogy(y, y) - y).sum(1)

    def gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        return raw.exp() - y.reshape(raw.shape)

    def curvature(self, raw: Tensor, y: Tensor, direction: Tensor) -> Tensor:
        return raw.exp() * direction

    def diagonal(self, raw: Tensor) -> Tensor:
        return raw.exp()

    def dual(self, raw: Tensor, y: Any, weight: Any, everywhere: Any, change: Any = None) -> Any:
        m, y = raw.exp(), y.reshape(raw.shape)
        share = torch.ones_like(m[0])
        if weight is not None:
            share = everywhere(weight @ y) / everywhere(weight @ m)
        return share * m - y, (m * (torch.xlogy(share, share) - share + 1)).sum(1)

    def mean(self, raw: Tensor) -> Tensor:
        return raw.exp()

    def probabilities(self, raw: Tensor) -> Tensor:
        raise TypeError("counts have no classes")

    def link(self, mean: Tensor) -> Tensor:
        return mean.clamp(min=1e-12).log()


SETTINGS: dict[str, Any] = {
    "target": "count", "model": ["linear", "toy"], "objective": "poisson", "widths": [8],
    "epochs": 6, "task": "regression",
}  # fmt: skip


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(NETWORKS, "toy", f"{__name__}:Toy")
    monkeypatch.setitem(OBJECTIVES, "poisson", f"{__name__}:Poisson")
    yield


@pytest.fixture
def counts(tmp_path: Path) -> str:
    """A table of counts, whose logarithm is a line and a wave."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(600, 3))
    mean = np.exp(1 + x @ [0.5, -0.3, 0.0] + np.sin(2 * x[:, 2]))
    frame = pl.DataFrame(x, schema=["a", "b", "c"]).with_columns(count=draws.poisson(mean) + 0.0)
    frame.write_csv(tmp_path / "counts.csv")
    return str(tmp_path / "counts.csv")


def test_a_toy_network_and_a_toy_objective_go_all_the_way(
    parts: None, counts: str, tmp_path: Path
) -> None:
    """Each is one class and one row of its table; nothing else in linnet knows of them."""
    root = tmp_path / "runs"
    run = linnet.train(counts, out=root / "one", **SETTINGS)
    models = run.metrics["models"]
    assert set(models) == {"constant", "linear", "toy"} and "The toy" in run.verdict
    deviances = [models[name]["test"]["deviance"] for name in ("constant", "linear", "toy")]
    assert deviances[1] < deviances[0] and all(value > 0 for value in deviances)
    assert models["linear"]["fit"]["converged"] and models["linear"]["fit"]["gap"] < 1e-3

    again = evaluate(run.path, counts)["models"]
    assert {name: each["test"] for name, each in again.items()} == {
        name: each["test"] for name, each in models.items()
    }
    done = command("predict", run.path, counts, "--rows", "0,1", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["rows"][0]["prediction"] > 0

    assert command("report", run.path).returncode == 0
    page = (run.path / "report.html").read_text()
    assert ">toy" in page and "test deviance" in page and f"{deviances[2]:.4g}" in page
    with pytest.raises(InputError, match=r'weights of "toy".*linear'):
        run.weights("toy")

    other = linnet.train(counts, out=root / "two", **{**SETTINGS, "widths": [4]})
    assert linnet.compare(run, other)["widths"] == [[8], [4]]
    with pytest.raises(InputError, match='eject cannot write "toy"'):
        linnet.eject(run, model="toy")
    with pytest.raises(InputError, match='cannot write the objective "poisson"'):
        linnet.eject(run, model="linear")

    site = Site(root)
    try:
        found = [e["data"] for e in site.until("tick") if e["event"] == "run"]
        assert {row["name"] for row in found} == {"one", "two"}
        for row in found:
            status, _, content = site.get(f"/run?id={row['id']}")
            assert status == 200 and b"The toy" in content
    finally:
        site.close()


@pytest.mark.slow
def test_a_toy_goes_on_to_the_same_bits(parts: None, counts: str, tmp_path: Path) -> None:
    whole = linnet.train(counts, out=tmp_path / "whole", **SETTINGS)
    stop, seen = Stop(), 0

    def after_a_while(event: dict[str, Any]) -> None:
        nonlocal seen
        seen += event["event"] == "step" and event["model"] == "toy"
        if seen == 40:
            stop.signal = 2

    with pytest.raises(Interrupted):
        linnet.train(counts, out=tmp_path / "r", echo=after_a_while, stop=stop, **SETTINGS)
    run = linnet.train(resume=tmp_path / "r")
    assert weights_of(run.path, "toy") == weights_of(whole.path, "toy")
    assert run.metrics["models"]["toy"]["test"] == whole.metrics["models"]["toy"]["test"]


# a package with entry points, whose import would be seen


CANARY = """
from pathlib import Path
Path({seen!r}).write_text("imported")
from linnet.networks.mlp import MLP
from linnet.objectives.squared import Squared
from linnet.line.lbfgs import LBFGS
from linnet.data.text.csv import Csv

class Net(MLP):
    title = "the canary"
    update = None
"""


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that brings a part of every kind; the file that its import writes."""
    place, seen = tmp_path / "site", tmp_path / "seen"
    info = place / "canary-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: canary\nVersion: 1.0\n")
    groups = {"networks": "Net", "objectives": "Squared", "solvers": "LBFGS", "sources": "Csv"}
    lines = [f"[linnet.{group}]\ncanary = canary_parts:{part}" for group, part in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (place / "canary_parts.py").write_text(CANARY.format(seen=str(seen)))
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setattr(registry, "_allowed", set())
    yield seen
    sys.modules.pop("canary_parts", None)


SMALL: dict[str, Any] = {"epochs": 2, "widths": [4], "penalty": [0.1]}


def test_a_part_that_the_user_names_is_used(canary: Path, tmp_path: Path) -> None:
    run = linnet.train("iris", out=tmp_path / "r", model=["linear", "canary"], **SMALL)
    assert canary.is_file() and "The canary" in run.verdict


@pytest.mark.parametrize("key", ["model", "objective", "solver"])
def test_a_recipe_that_names_a_part_imports_nothing(canary: Path, tmp_path: Path, key: str) -> None:
    place = tmp_path / "recipe.toml"
    value = '["canary"]' if key == "model" else '"canary"'
    place.write_text(f"{key} = {value}\nwidths = [4]\nepochs = 2\n")
    words = ["train", "diabetes", "--config", place, "--no-report", "--out", tmp_path / "r"]
    refused = command(*words)
    assert refused.returncode == 2 and "--plugin canary" in refused.stderr
    assert 'plugins=["canary"]' in refused.stderr and not canary.exists()
    allowed = command(*words, "--plugin", "canary")
    assert allowed.returncode == 0, allowed.stderr
    assert canary.exists()


def test_a_model_and_a_run_that_name_a_part_import_nothing(
    canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = linnet.train("iris", out=tmp_path / "r", model=["linear", "canary"], **SMALL)
    canary.unlink()
    sys.modules.pop("canary_parts")
    monkeypatch.setattr(registry, "_allowed", set())
    with pytest.raises(ModelError, match=r'network "canary".*plugins=\["canary"\]'):
        linnet.load(run.path, "canary")
    with pytest.raises(RecipeError, match="--plugin canary"):
        linnet.train("iris", linnet.Recipe(model=("canary",)))
    refused = command("evaluate", run.path, "iris")
    assert refused.returncode == 2 and "--plugin canary" in refused.stderr
    assert command("report", run.path, "--out", tmp_path / "r.html").returncode == 0
    assert not canary.exists()
    assert linnet.load(run.path, "canary", plugins=["canary"]).manifest.model == "canary"
    assert canary.exists()


def test_a_source_is_asked_only_when_it_is_named(canary: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,y\n" + "".join(f"{n},{n}\n" for n in range(30)))
    linnet.read(str(tmp_path / "a.csv"), "y")
    assert not canary.exists()
    assert len(linnet.read(str(tmp_path / "a.csv"), "y", plugins=["canary"])) == 30
    assert canary.exists()

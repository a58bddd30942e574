"""Several ranks train a run: it is the run of one process."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
from torch import nn

import linnet
from linnet.core.parallel import World
from linnet.errors import DataError, LinnetError, RecipeError
from linnet.runs.resume import recipe_of
from ranks import one_thread, together

SETTINGS: dict[str, Any] = {
    "echo": False, "dtype": "float64", "folds": 1, "shares": 8, "yardstick": "none", "epochs": 3,
}  # fmt: skip


class Net(nn.Module):
    """A module of one's own with batch norm, and with dropout of numbers and of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 12, bias=False), nn.BatchNorm1d(12), nn.Dropout(0.3, inplace=True),
            nn.Tanh(), nn.Unflatten(1, (4, 3)), nn.Dropout1d(0.2), nn.Flatten(), nn.Linear(12, 3),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raw: torch.Tensor = self.layers(x)
        return raw


def table(rows: int = 203) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    y = np.arange(rows) % 3
    return random.normal(size=(rows, 6)) + y[:, None], y


def pictures() -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    y = np.arange(90) % 2
    x = random.integers(0, 200, size=(90, 1, 12, 12)) + 50 * y[:, None, None, None]
    return x.astype(np.uint8), y


def numbers() -> polars.DataFrame:
    random = np.random.default_rng(2)
    x = random.normal(size=150)
    return polars.DataFrame(
        {
            "a": x,
            "kind": random.choice(["one", "two", "three"], 150),
            "y": 3 * x + random.normal(size=150),
        }
    )


def custom() -> nn.Module:
    torch.manual_seed(0)
    return Net().double()


RUNS: dict[str, dict[str, Any]] = {
    # 147 training rows: the last batch has 3, of which three ranks have one each
    "table": {"data": table, "model": ["linear", "mlp"], "batch_size": 16, "widths": [8],
              "dropout": 0.2, "class_weight": "balanced", "clip": 1.0},
    "lone": {"data": table, "model": "mlp", "batch_size": 73, "widths": [8], "embedding": "none",
             "averaging": "ema", "reduction": "sum", "lr": 1e-3},  # the last batch has one row
    "pictures": {"data": pictures, "model": "cnn", "channels": [4, 6], "batch_norm": False,
                 "batch_size": 25, "shift": 1, "flip": True, "dropout": 0.3},
    "numbers": {"data": numbers, "target": "y", "model": ["linear", "mlp"], "batch_size": 32,
                "lr": "find"},
    "own": {"data": table, "model": "custom", "network": custom, "batch_size": 20},
    "norm": {"data": pictures, "model": ["mlp", "cnn"], "channels": [4], "batch_norm": True,
             "batch_size": 28, "widths": [6], "shift": 0, "recompute_norm": True},
    "search": {"data": table, "model": "mlp", "widths": [4], "optimizer": "lbfgs", "dropout": 0.0,
               "batch_size": "all", "embedding": "none"},
}  # fmt: skip


def trained(world: World, folder: str) -> list[str]:
    """Train each run; returns what went wrong on this rank."""
    warnings.simplefilter("ignore")
    wrong = []
    for name, given in RUNS.items():
        settings = {**SETTINGS, **given}
        if "network" in settings:
            settings["network"] = settings["network"]()
        data = settings.pop("data")()
        run = linnet.train(data, out=Path(folder) / name, world=world, **settings)
        if (run is None) == world.lead:
            wrong.append(f"{name}: {run}")
    return wrong


def close(one: Any, two: Any, place: str, tol: float) -> None:
    """Both are equal but for rounding; clocks are left out."""
    if isinstance(one, dict):
        assert one.keys() == two.keys(), place
        for key in one.keys() - {"seconds"}:
            close(one[key], two[key], f"{place}.{key}", tol)
    elif isinstance(one, list):
        assert len(one) == len(two), place
        for number, (a, b) in enumerate(zip(one, two, strict=True)):
            close(a, b, f"{place}[{number}]", tol)
    elif isinstance(one, float) and isinstance(two, float):
        assert one == pytest.approx(two, rel=tol, abs=tol / 100), place
    else:
        assert one == two, place


@pytest.mark.multiprocess
@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_run_of_several_ranks_is_that_of_one_process(size: int, tmp_path: Path) -> None:
    with one_thread():
        assert trained(World(), str(tmp_path / "one")) == []
    assert together(size, trained, str(tmp_path / "many")) == [[]] * size
    compare(tmp_path, size)


def compare(place: Path, size: int) -> None:
    for name, given in RUNS.items():
        network = given["network"]() if "network" in given else None
        one = linnet.Run(place / "one" / name, network)
        many = linnet.Run(place / "many" / name, given["network"]() if network else None)
        assert recipe_of(one.path) == recipe_of(many.path), name
        assert many.info["ranks"] == size and "ranks" not in one.info
        told = [(event["event"], event.get("step")) for event in one.events()]
        assert told == [(event["event"], event.get("step")) for event in many.events()], name
        for model, artifact in one.models.items():
            other = many.models[model].module.state_dict()
            for key, tensor in artifact.module.state_dict().items():
                if model in ("constant", "linear"):
                    assert torch.equal(tensor, other[key]), (name, model, key)
                else:
                    tol = 1e-6 if name == "search" else 1e-12  # its line search enlarges rounding
                    assert torch.allclose(tensor, other[key], rtol=tol, atol=tol), (name, key)
            where = f"predictions/{model}.parquet"
            mine, theirs = (polars.read_parquet(run.path / where) for run in (one, many))
            assert mine["row"].equals(theirs["row"]) and mine["y"].equals(theirs["y"])
        close(one.metrics, many.metrics, name, 1e-5 if name == "search" else 1e-10)
        assert sorted(p.name for p in one.path.rglob("*")) == sorted(
            p.name for p in many.path.rglob("*")
        ), name


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 4), nn.SyncBatchNorm(4), nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raw: torch.Tensor = self.layers(x)
        return raw


def refused(world: World, folder: str) -> dict[str, tuple[str, str]]:
    """The errors on this rank, for what several ranks cannot do and for what is wrong on one."""
    warnings.simplefilter("ignore")
    x, y = table()
    broken = x.copy()
    if not world.lead:
        broken[5, 2] = np.nan
    cases: dict[str, tuple[Any, dict[str, Any]]] = {
        "norm": ((x, y), {"model": "custom", "network": Normed()}),
        "folds": ((x, y), {"folds": 5}),
        "test": ((x, y), {"test": "folds"}),
        "shares": ((x, y), {"shares": 1, "model": "linear", "penalty": 0.1}),
        "broken": ((broken, y), {"model": "linear"}),
        "other": ((x + 0.1 * world.rank, y), {"model": "linear"}),
        "key": ((x, y), {"modle": "linear"}),
    }
    found = {}
    for name, (data, settings) in cases.items():
        try:
            linnet.train(
                data, out=Path(folder) / name, world=world, echo=False, yardstick="none", **settings
            )
            found[name] = ("", "")
        except LinnetError as error:
            found[name] = (type(error).__name__, str(error))
    return found


@pytest.mark.slow
@pytest.mark.multiprocess
def test_what_is_refused_or_wrong_on_one_rank_is_told_on_all(tmp_path: Path) -> None:
    first, second = together(2, refused, str(tmp_path))
    assert first == second
    assert "SyncBatchNorm has no form for ranks" in first["norm"][1]
    assert first["folds"] == (RecipeError.__name__, first["folds"][1])
    assert "folds=5 goes with one process" in first["folds"][1]
    assert "test=folds goes with one process" in first["test"][1]
    assert first["shares"] == ("", "")  # one share cannot be divided: it becomes eight
    x, y = table()
    x[5, 2] = np.nan
    with pytest.raises(DataError) as alone:
        linnet.train((x, y), out=tmp_path / "alone", model="linear", echo=False)
    assert first["broken"] == ("DataError", str(alone.value))
    assert "rank 1 has read other data than rank 0" in first["other"][1]
    assert 'unknown key "modle"' in first["key"][1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["norm", "shares"]


def test_the_group_that_is_there_is_joined_and_left_alone() -> None:
    found = together(2, joined)
    assert found == [(0, 2, True), (1, 2, True)]


def joined(world: World) -> tuple[int, int, bool]:
    import torch.distributed as dist

    with linnet.ranks() as same:
        total = same.sum(torch.ones(()))
    assert total == 2
    return same.rank, same.size, dist.is_initialized()


def test_alone_there_is_one_rank() -> None:
    with linnet.ranks() as world:
        assert world == World() and world.lead
        assert world.tell({"a": 1.5}) == {"a": 1.5}
        assert torch.equal(world.sum(torch.ones(3)), torch.ones(3))
    with pytest.raises(ZeroDivisionError), world.agreed():
        1 / 0  # noqa: B018

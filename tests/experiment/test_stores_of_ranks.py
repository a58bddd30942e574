"""Ranks make a store together, and train from it what one process trains from it."""

from __future__ import annotations

import os
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

import linnet
from linnet.core import parallel
from linnet.core.parallel import World
from linnet.data import store
from linnet.errors import LinnetError
from linnet.fit.settings import read_recipe
from ranks import one_thread, together

ROWS = 603
SETTINGS: dict[str, Any] = {
    "echo": False, "dtype": "float64", "folds": 1, "shares": 8, "yardstick": "none", "epochs": 2,
}  # fmt: skip

RUNS: dict[str, dict[str, Any]] = {
    "rows.csv": {"target": "y", "model": ["linear", "mlp"], "batch_size": 64, "widths": [8]},
    "shards": {"target": "y", "model": "linear"},
    "pictures": {"model": "cnn", "channels": [4], "batch_size": 16, "shift": 1},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table as text and in two files, and a folder of pictures."""
    folder = tmp_path_factory.mktemp("data")
    draws = np.random.default_rng(0)
    x = draws.normal(size=(ROWS, 2))
    word = draws.integers(0, 3, ROWS)
    table = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "w": [f"word {k}" for k in word]})
    table = table.with_columns(y=pl.Series(np.where(x[:, 0] + word + x[:, 1] > 1, "yes", "no")))
    table.write_csv(folder / "rows.csv")
    (folder / "shards").mkdir()
    table[:400].write_parquet(folder / "shards" / "0.parquet")
    table[400:].write_parquet(folder / "shards" / "1.parquet")
    for number, name in enumerate(("dark", "light")):
        (folder / "pictures" / name).mkdir(parents=True)
        for row in range(40):
            pixels = draws.integers(60 * number, 160 + 60 * number, (8, 8)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{row}.png")
    return folder


def trained(world: World, place: str, out: str) -> list[Any]:
    """Train each run; returns how often this rank made a store, and what went wrong."""
    warnings.simplefilter("ignore")
    make, times = store._make, []

    def counted(*args: Any) -> None:
        times.append(1)
        make(*args)

    setattr(store, "_make", counted)  # noqa: B010
    for name, settings in RUNS.items():
        run = linnet.train(
            Path(place) / name, out=Path(out) / name, store=f"{out}/store", world=world,
            **{**SETTINGS, **settings},
        )  # fmt: skip
        if (run is None) == world.lead:
            return [-1, name]
    return [len(times)]


@pytest.mark.slow
@pytest.mark.multiprocess
def test_ranks_train_from_one_store_what_one_process_does(place: Path, tmp_path: Path) -> None:
    with one_thread():
        assert trained(World(), str(place), str(tmp_path / "one")) == [len(RUNS)]
    assert together(2, trained, str(place), str(tmp_path / "two")) == [[len(RUNS)], [0]]
    for name in RUNS:
        one, two = (linnet.Run(tmp_path / each / name) for each in ("one", "two"))
        stores = [read_recipe(run.path / "recipe.toml")["store"] for run in (one, two)]
        assert stores == [str(tmp_path / each / "store") for each in ("one", "two")]
        assert one.info["data"]["fingerprint"] == two.info["data"]["fingerprint"]
        for model, artifact in one.models.items():
            other = two.models[model].module.state_dict()
            for key, tensor in artifact.module.state_dict().items():
                if model in ("constant", "linear"):
                    assert torch.equal(tensor, other[key]), (name, key)
                else:
                    assert torch.allclose(tensor, other[key], rtol=1e-12, atol=1e-12), (name, key)
            where = f"predictions/{model}.parquet"
            mine, theirs = (pl.read_parquet(run.path / where) for run in (one, two))
            assert mine["row"].equals(theirs["row"]) and mine["y"].equals(theirs["y"])
    assert not list((tmp_path / "two" / "store").rglob("*.scratch"))


SECONDS = 4.0
"""After so long a rank that does not answer counts as lost."""


def decided(world: World, place: str, out: str) -> list[Any]:
    """Rank 1 alone has no memory; then rank 0; then rank 0 is slow, and then it fails."""
    warnings.simplefilter("ignore")
    os.environ["XDG_CACHE_HOME"] = f"{out}/cache"
    settings: dict[str, Any] = {
        **SETTINGS, "target": "y", "model": "linear", "penalty": 0.1, "world": world,
    }  # fmt: skip
    found: list[Any] = []
    for number, full in enumerate((1, 0)):
        setattr(store, "fits", lambda _, full=full: world.rank != full)  # noqa: B010
        run = linnet.train(f"{place}/rows.csv", out=f"{out}/{number}", **settings)
        found.append(None if run is None else run.info["data"]["fingerprint"])
    make = store._make

    def slow(*args: Any) -> None:
        time.sleep(2.5 * SECONDS)
        make(*args)

    setattr(store, "_make", slow)  # noqa: B010
    linnet.train(f"{place}/rows.csv", out=f"{out}/slow", store=f"{out}/slow store", **settings)
    shutil.copy(f"{place}/rows.csv", f"{out}/broken{world.rank}.csv")
    with open(f"{out}/broken0.csv", "a") as file:
        file.write("1,2\n" if world.lead else "")
    try:
        linnet.train(f"{out}/broken0.csv", out=f"{out}/no", store=f"{out}/s", **settings)
    except LinnetError as error:
        found += [type(error).__name__, str(error), error.silent]
    return found


@pytest.mark.multiprocess
@pytest.mark.slow
def test_rank_0_decides_and_the_others_wait(place: Path, tmp_path: Path) -> None:
    first, second = together(2, decided, str(place), str(tmp_path), timeout=SECONDS)
    assert second[:2] == [None, None]
    assert first[0] != first[1]  # in memory, then in the store, whose rows are shuffled
    assert (tmp_path / "cache" / "linnet" / "store").is_dir()
    assert first[2:4] == second[2:4] and "broken0.csv: line 605 has 2 fields" in first[3]
    assert (first[4], second[4]) == (False, True)
    assert (tmp_path / "slow" / "metrics.json").is_file() and not (tmp_path / "no").exists()


def test_one_process_waits_for_nobody() -> None:
    assert World().wait(lambda: 3) == 3 and World().wait(None) is None
    assert parallel.BEAT < parallel.TIMEOUT / 4

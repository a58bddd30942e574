"""The ranks of a Ray cluster train a run: needs ``ray[train]``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch

import linnet
from helpers import posix
from ranks import one_thread

pytest.importorskip("ray.train.torch")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of Ray
@pytest.mark.multiprocess
@posix
def test_the_workers_of_ray_train_one_run(tmp_path: Path) -> None:
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    random = np.random.default_rng(0)
    x = random.normal(size=(240, 3))
    y = (x[:, 0] + random.normal(size=240) > 0).astype(int)
    columns = {name: x[:, number] for number, name in enumerate("abc")}
    polars.DataFrame({**columns, "y": y}).write_csv(tmp_path / "table.csv")
    settings: dict[str, Any] = {
        "target": "y", "model": ["linear", "mlp"], "epochs": 2, "widths": [4], "shares": 8,
        "dtype": "float64", "folds": 1, "yardstick": "none", "echo": False,
    }  # fmt: skip

    def work() -> None:
        with linnet.ranks() as world:
            run = linnet.train(
                f"{tmp_path}/table.csv", out=f"{tmp_path}/run", world=world, **settings
            )
            told = {"size": world.size, "run": run is not None}
            (tmp_path / f"{world.rank}.json").write_text(json.dumps(told))

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        TorchTrainer(
            work,
            scaling_config=ScalingConfig(num_workers=2),
            torch_config=TorchConfig(backend="gloo"),
            run_config=RunConfig(storage_path=str(tmp_path / "ray")),
        ).fit()
    finally:
        ray.shutdown()
    for rank in (0, 1):
        told = json.loads((tmp_path / f"{rank}.json").read_text())
        assert told == {"size": 2, "run": rank == 0}
    with one_thread():
        alone = linnet.train(tmp_path / "table.csv", out=tmp_path / "alone", **settings)
    many = linnet.Run(tmp_path / "run")
    for name, tol in (("linear", 0.0), ("mlp", 1e-12)):
        other = many.models[name].module.state_dict()
        for key, tensor in alone.models[name].module.state_dict().items():
            assert torch.allclose(tensor, other[key], rtol=tol, atol=tol), (name, key)

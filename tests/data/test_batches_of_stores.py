"""Batches of a store: each row once an epoch, read in blocks; as good as a full shuffle."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import linnet
from linnet.core.randomness import generator
from linnet.data import batches
from linnet.data.batches import Batches, in_blocks
from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.errors import DataError


@pytest.mark.parametrize(("rows", "block"), [(1000, 7), (1000, 1000), (1000, 3000), (1, 5)])
def test_each_row_comes_once_and_windows_are_whole_blocks(
    monkeypatch: pytest.MonkeyPatch, rows: int, block: int
) -> None:
    monkeypatch.setattr(batches, "WINDOW", 4)
    order = in_blocks(rows, block, generator(0, "t"))
    assert order.sort().values.equal(torch.arange(rows))
    window = set((order[: 4 * block] // block).tolist())
    assert len(window) <= 4 + 1  # the last block may be short, and then one more begins
    if rows > 4 * block:
        assert not order[: 4 * block].equal(order[: 4 * block].sort().values)


def test_the_order_is_a_function_of_seed_and_epoch(tmp_path: Path) -> None:
    x, y = torch.arange(500.0)[:, None], torch.zeros(500)
    about = {"example": "row", "shape": [1], "dtype": "float32", "columns": ["x"],
             "task": "regression", "targets": ["y"]}  # fmt: skip
    data = Dataset(x, y, Schema.parse(about, "t", DataError), mapped=tmp_path)
    made = [Batches(data, 64, seed) for seed in (0, 0, 1)]
    orders = [[torch.cat(each.rows(epoch)) for epoch in (0, 1)] for each in made]
    assert orders[0][0].equal(orders[1][0])
    assert not orders[0][0].equal(orders[0][1])
    assert not orders[0][0].equal(orders[2][0])
    held = torch.cat([batch[0] for batch in made[0].epoch(0)])[:, 0].long()
    assert held.equal(orders[0][0])


@pytest.mark.slow
def test_a_folder_sorted_by_class_trains_a_net_as_a_full_shuffle_does(
    tmp_path: Path, mnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MNIST in 49 numbers, sorted by digit; windows of a tenth of the rows, as if it were large."""
    data = linnet.read(mnist_folder)
    x = torch.nn.functional.avg_pool2d(data.x.float(), 4).flatten(1).round().numpy()
    table = pl.DataFrame({f"x{k}": x[:, k] for k in range(x.shape[1])}).with_columns(
        part=pl.Series(np.where(np.arange(len(x)) < 60_000, "train", "test")),
        digit=pl.Series([f"digit {k}" for k in data.y.tolist()]),
    ).sort("digit", maintain_order=True)  # fmt: skip
    (tmp_path / "rows").mkdir()
    for k in range(7):
        table[k * 10_000 : (k + 1) * 10_000].write_parquet(tmp_path / "rows" / f"{k}.parquet")
    monkeypatch.setattr(batches, "BLOCK_BYTES", 600 * 4 * x.shape[1])
    monkeypatch.setattr(batches, "WINDOW", 10)
    settings: dict[str, Any] = {
        "target": "digit", "split": "part", "model": "mlp", "widths": [64], "epochs": 4,
        "yardstick": "none", "echo": False, "batch_size": 128,
    }  # fmt: skip
    found = [
        np.mean([
            linnet.train(tmp_path / "rows", out=tmp_path / f"run{seed}{store}", seed=seed,
                         store=store, **settings).metrics["models"]["mlp"]["test"]["accuracy"]
            for seed in range(3)
        ])
        for store in (None, str(tmp_path / "store"))
    ]  # fmt: skip
    print("accuracy in memory and from the store:", found)
    assert found[1] > found[0] - 0.002

"""Thousands of categories: the same models as from their 0/1 columns, in little memory."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
from typer.testing import CliRunner

import linnet
from linnet.cli import app
from linnet.core import memory
from linnet.data import columns
from linnet.data.coded import Coded
from linnet.data.codes import WIDE
from linnet.errors import DataError, InputError, LinnetWarning
from linnet.experiment.predict import predict
from linnet.fit import room
from linnet.fit.checkpoint import Stop
from linnet.integrations.eject import eject
from linnet.runs.run import Run

ROWS, TOWNS = 900, 60


class Asked(Stop):
    """A request to stop after some steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    @property
    def signal(self) -> int | None:
        self.steps -= 1
        return 2 if self.steps < 0 else None

    @signal.setter
    def signal(self, value: int | None) -> None: ...


def table(place: Path, task: str) -> Path:
    """Numbers, gaps, a date, two columns of categories, some of them rare."""
    draw = np.random.default_rng(0)
    town, kind = draw.integers(0, TOWNS, ROWS), draw.integers(0, 3, ROWS)
    x = draw.normal(size=ROWS)
    z = draw.normal(size=TOWNS)[town] + x + 0.5 * kind + 0.1 * draw.normal(size=ROWS)
    frame = {
        "x": [None if i % 50 == 7 else v for i, v in enumerate(x)],
        "town": [None if i % 70 == 3 else f"t{c:02d}" for i, c in enumerate(town)],
        "kind": [f"k{c}" for c in kind],
        "day": [f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}" for i in range(ROWS)],
        "y": z if task == "regression" else np.where(z > 0, "yes", "no"),
    }
    path = place / f"{task}.csv"
    polars.DataFrame(frame).write_csv(path)
    return path


def trained(path: Path, out: Path, wide: int, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Run:
    monkeypatch.setattr(columns, "WIDE", wide)
    settings = {"target": "y", "epochs": 3, "widths": (16,), "dropout": 0.0, **more}
    return linnet.train(path, out=out, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_codes_and_columns_give_the_same_models(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path, task)
    dense = trained(path, tmp_path / "dense", 1_000, monkeypatch)
    coded = trained(path, tmp_path / "coded", 10, monkeypatch)
    model = coded.models["linear"]
    assert model.schema == dense.models["linear"].schema and model.schema.coded
    assert model.manifest.recipe["solver"] == "newton_cg"
    for name, tol in (("linear", 2e-3), ("mlp", 2e-4)):
        mine, other = (run.models[name].module.state_dict() for run in (coded, dense))
        assert mine.keys() == other.keys()
        for key, tensor in mine.items():
            size = other[key].abs().max().clamp(min=1)
            assert (tensor - other[key]).abs().max() < tol * size, (name, key)
    fit, same = (run.metrics["models"]["linear"]["fit"] for run in (coded, dense))
    assert fit["converged"] and fit["penalty"] == same["penalty"]
    assert fit["objective"] == pytest.approx(same["objective"], rel=1e-6)
    assert 0 <= fit["gap"] < 1e-4
    score = "rmse" if task == "regression" else "accuracy"
    for name in ("linear", "mlp"):
        ours, theirs = (run.metrics["models"][name]["test"][score] for run in (coded, dense))
        assert ours == pytest.approx(theirs, abs=0.01)


@pytest.mark.slow
def test_all_that_reads_a_run_takes_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = table(tmp_path, "classification"), tmp_path / "run"
    run = trained(path, out, 10, monkeypatch)
    runner = CliRunner()

    def told(*words: str) -> str:
        result = runner.invoke(app, [*words])
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.stdout

    new = tmp_path / "new.csv"
    polars.read_csv(path).head(30).with_columns(polars.lit("elsewhere").alias("town")).write_csv(
        new
    )
    rows = json.loads(told("predict", str(out), str(path), "--json"))["rows"]
    model = linnet.load(out)
    frame = polars.read_csv(path)
    assert isinstance(model.schema.encode(frame), Coded)
    shares = model.predict_proba(frame)
    assert [row["p_yes"] for row in rows] == pytest.approx(shares[:, 1].tolist(), abs=1e-9)
    dense = model.schema.encode(frame)
    assert isinstance(dense, Coded)
    assert np.abs(model.predict_proba(dense.dense().numpy()) - shares).max() < 1e-6
    with pytest.warns(LinnetWarning, match="30 rows of unknown categories"):
        assert predict(out, new).prediction.shape == (30,)
    scores = json.loads(told("evaluate", str(out), str(path), "--json"))
    assert scores["data"]["part"] == "test"
    kept = run.metrics["models"]["mlp"]["test"]["accuracy"]
    assert scores["models"]["mlp"]["test"]["accuracy"] == kept
    for words in (["report", str(out)], ["inspect", str(out)], ["runs", "show", str(out)]):
        told(*words)
    assert run.mistakes().data and run.examples().data and run.weights().data
    with pytest.raises(InputError, match=r"eject cannot write a model of \d+ columns"):
        eject.eject(out)


@pytest.mark.slow
def test_other_nets_take_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of one's own gets plain tensors; batch norms, averages and L-BFGS take codes."""
    path = table(tmp_path, "classification")
    seen = []

    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(70, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(type(x))
            raw: torch.Tensor = self.linear(x)
            return raw

    module = Own()
    settings: dict[str, Any] = {"target": "y", "epochs": 2, "max_iter": 20, "widths": (8,)}
    monkeypatch.setattr(columns, "WIDE", 10)
    linnet.train(path, out=tmp_path / "own", network=module, **settings)
    assert set(seen) == {torch.Tensor}
    more: dict[str, Any] = {"batch_norm": True, "recompute_norm": True, "averaging": "ema"}
    run = linnet.train(path, out=tmp_path / "norm", model="mlp", **more, **settings)
    again = linnet.train(path, out=tmp_path / "lbfgs", model="mlp", optimizer="lbfgs", **settings)
    for each in (run, again):
        assert math.isfinite(each.metrics["models"]["mlp"]["test"]["log_loss"])
    found = linnet.read(path, target="y")
    assert isinstance(found.x, Coded) and found.describe()["range"][1] == found.x.dense().max()


@pytest.mark.slow
def test_a_run_goes_on_and_a_run_starts_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path, "classification")
    whole = trained(path, tmp_path / "whole", 10, monkeypatch)
    with pytest.raises(linnet.errors.Interrupted):
        linnet.train(
            path, out=tmp_path / "part", target="y", epochs=3, widths=(16,), dropout=0.0,
            stop=Asked(12),
        )  # fmt: skip
    again = linnet.train(resume=tmp_path / "part")
    for name in ("linear", "mlp"):
        mine, other = (run.models[name].module.state_dict() for run in (again, whole))
        assert all((mine[key] == other[key]).all() for key in other), name
    child = linnet.train(parent=tmp_path / "whole", out=tmp_path / "child", epochs=1)
    assert child.metrics["models"]["linear"]["fit"]["converged"]


def test_the_estimate_before_a_fit_sees_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the table is not enough room for its parts and the scaled rows."""
    path = table(tmp_path, "regression")
    encoded = ROWS * 70 * 4
    monkeypatch.setattr(memory, "available", lambda: 2 * encoded)
    monkeypatch.setattr(room, "ASKED_BYTES", 0)
    with pytest.raises(DataError, match=r"a line of 1 target and \d+ columns needs about"):
        trained(path, tmp_path / "run", 1_000, monkeypatch)
    assert not (tmp_path / "run").exists()


CHILD = """
import sys
import linnet
linnet.train(sys.argv[1], out=sys.argv[2], target="y", max_categories=10_000, epochs=1,
    columns={"town": "category"}, widths=(32,))
lines = open("/proc/self/status").read().splitlines()  # ru_maxrss has the parent's too
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_thousands_of_categories_take_little_memory(tmp_path: Path) -> None:
    """60,000 rows of 6,000 categories: the 0/1 columns alone would be 1.4 GB."""
    draw = np.random.default_rng(0)
    rows, towns = 60_000, 6_000
    town = draw.permutation(np.arange(rows) % towns)
    y = draw.normal(size=towns)[town] + draw.normal(size=rows)
    frame = {"town": [f"t{c}" for c in town], "x": draw.normal(size=rows), "y": y}
    polars.DataFrame(frame).write_parquet(tmp_path / "wide.parquet")
    words = [sys.executable, "-c", CHILD, str(tmp_path / "wide.parquet"), str(tmp_path / "run")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1_000_000 and towns > WIDE

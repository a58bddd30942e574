"""``linnet export``: the command, what is refused, MLflow's folder."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import linnet
from helpers import command, refusal
from linnet.errors import InputError, WorkError
from linnet.integrations.export import FORMS, export, made, pyfunc
from linnet.integrations.export.export import exported
from linnet.runs.run import Run


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer made rows, for speed."""
    monkeypatch.setattr(made, "DRAWN", 200)


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    random = np.random.default_rng(0)
    size, colour = random.normal(size=200), random.choice(["red", "blue"], 200)
    score = size + (colour == "red") + random.normal(0, 0.5, 200)
    return pl.DataFrame(
        {
            "size": [None if index % 9 == 0 else each for index, each in enumerate(size.tolist())],
            "colour": colour,
            "price": [f"${each:,.2f}" for each in random.uniform(1, 5000, 200)],
            "day": [f"{each:02}.05.2024" for each in random.integers(1, 29, 200)],
            "y": np.where(score > 0.5, "good", "bad"),
        }
    )


@pytest.fixture(scope="module")
def run(table: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    table.write_csv(folder / "things.csv")
    return linnet.train(folder / "things.csv", target="y", model="linear", yardstick="none",
                        out=folder / "things", dates="dmy")  # fmt: skip


# the command


def test_the_command(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    done = command("export", run.path, "--to", "onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("things-linear.onnx: ") and "40 test rows" in second
    assert [path.name for path in tmp_path.iterdir()] == ["things-linear.onnx"]
    again = command("export", run.path, "--to", "onnx", cwd=tmp_path)
    assert again.returncode == 2 and "things-linear.onnx exists; remove it" in again.stderr
    named = command("export", run.path, "--to", "onnx", "--out", "things-linear.onnx", "--json",
                    cwd=tmp_path)  # fmt: skip
    told = json.loads(named.stdout)
    assert told["path"] == "things-linear.onnx" and told["parity"]["held"] == 40
    lone = command("export", run.path / "constant.safetensors", "--to", "onnx", cwd=tmp_path)
    assert lone.returncode == 0 and (tmp_path / "constant.onnx").is_file()


def test_in_python(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = linnet.export(run, "onnx", out=tmp_path / "a.onnx", model="constant")
    assert path == tmp_path / "a.onnx" and path.stat().st_size > 1000


def test_what_is_refused(run: Run, tmp_path: Path) -> None:
    said = refusal(exported, run, "onxx", error=InputError)
    assert 'did you mean "onnx"?' in said
    assert "there is no folder" in refusal(
        exported, run, "page", error=InputError, out=tmp_path / "none" / "a.html"
    )
    assert "has no model" in refusal(exported, run, "page", error=InputError, model="cnn")
    full = tmp_path / "full"
    full.mkdir()
    (full / "a").touch()
    assert "expected a new folder" in refusal(exported, run, "mlflow", error=InputError, out=full)


def test_a_missing_package_is_named_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(export, "find_spec", lambda name: None if "onnx" in name else find(name))
    said = refusal(exported, tmp_path / "no such run", "onnx", error=WorkError)
    assert said == "onnx needs the package onnx: pip install 'linnet[onnx]'"
    monkeypatch.setattr(export, "find_spec", lambda name: None if "script" in name else find(name))
    said = refusal(exported, tmp_path / "no such run", "onnx", error=WorkError)
    assert said == "onnx needs the package onnxscript: pip install 'linnet[onnx]'"


@pytest.mark.parametrize("given", ["net.py", ":Net", "net.py:Not", "none.py:Net", "bad.py:Net",
                                   "net.py:number"])  # fmt: skip
def test_a_network_that_cannot_be_made(given: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("number = 3\n")
    (tmp_path / "bad.py").write_text("raise OSError('gone')\n")
    done = command("export", run.path, "--to", "page", "--network", given, cwd=tmp_path)
    assert done.returncode == 2 and f"--network {given}" in done.stderr
    assert not list(tmp_path.glob("*.html"))


def test_every_form_is_there() -> None:
    for place in FORMS.values():
        module, name = place.split(":")
        assert callable(getattr(importlib.import_module(module), name))


# MLflow


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linnet.export(run, "mlflow", out=tmp_path_factory.mktemp("mlflow") / "model")


@pytest.mark.slow
def test_the_folder(folder: Path, run: Run) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "MLmodel", "conda.yaml", "input_example.json", "model.safetensors", "python_env.yaml",
        "requirements.txt", "serving_input_example.json",
    ]  # fmt: skip
    assert (folder / "model.safetensors").read_bytes() == (
        run.path / "linear.safetensors"
    ).read_bytes()
    lines = (folder / "MLmodel").read_text().splitlines()
    (inputs,) = (line for line in lines if line.startswith('  "inputs": '))
    told = {each["name"]: each["type"] for each in json.loads(json.loads(inputs[12:]))}
    assert told == {"size": "double", "colour": "string", "price": "string", "day": "string"}


def test_the_same_bytes_each_time(folder: Path, run: Run, tmp_path: Path) -> None:
    again = linnet.export(run, "mlflow", out=tmp_path / "again")
    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_what_mlflow_imports(folder: Path, run: Run, table: pl.DataFrame) -> None:
    pandas = pytest.importorskip("pandas")
    model = pyfunc._load_pyfunc(folder / "model.safetensors")
    frame = table.drop("y")[:20].to_pandas()
    found = model.predict(frame)
    assert list(found) == ["prediction", "p_bad", "p_good"]
    expected = run.model.predict_proba(table.drop("y")[:20])
    np.testing.assert_allclose(found[["p_bad", "p_good"]].to_numpy(), expected, atol=1e-6)
    one: dict[str, Any] = {"size": np.nan, "colour": None, "price": "$1,000.00", "day": pandas.NaT}
    assert model.predict(pandas.DataFrame([one]))["prediction"][0] in ("good", "bad")
    refusal(model.predict, frame, {"top": 3}, error=InputError)


def test_by_mlflow_itself(folder: Path, table: pl.DataFrame, run: Run) -> None:
    if importlib.util.find_spec("mlflow") is None or importlib.util.find_spec("pandas") is None:
        pytest.skip("mlflow is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        from mlflow import pyfunc as theirs

        loads = hasattr(theirs, "load_model")
    if not loads:
        pytest.skip("mlflow-skinny alone loads no models")
    model = theirs.load_model(str(folder))
    frame = table.drop("y")[:20].to_pandas()
    assert model.predict(frame)["prediction"].tolist() == run.model.predict(
        table.drop("y")[:20]
    ).tolist()  # fmt: skip
    assert len(model.predict(model.input_example)) == 1

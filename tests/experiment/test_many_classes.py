"""Thousands of classes: small files in bounded memory, or refused before the work."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import linnet
from linnet.cli import app
from linnet.core import memory
from linnet.core.limits import MAX_MANIFEST
from linnet.errors import DataError, InputError
from linnet.fit import room
from linnet.insight import evaluation
from linnet.insight.task import MAX_CONFUSION
from linnet.runs.run import Run

CLASSES = 260


def rows(classes: int, each: int = 3) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(classes), each)
    x = np.stack([labels % 40, labels // 40, np.arange(len(labels)) % 7], axis=1).astype(float)
    return x, np.array([f"c{label}" for label in labels])


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "runs" / "one"
    path.parent.mkdir()
    linnet.train(rows(CLASSES), model="linear", out=path, max_iter=3, penalty=1.0)
    return path


def test_a_run_of_very_many_classes_is_small_and_can_be_read(many: Path) -> None:
    found = Run(many)
    test = found.metrics["models"]["linear"]["test"]
    assert "confusion" not in test and len(test["recall"]) == CLASSES
    assert test["confusion_left_out"] == "260 classes; at most 200 (MAX_CONFUSION)"
    assert found.scores.models["linear"].test is not None and found.model.schema.classes
    assert found.reasons() is not None and found.calibration().columns
    with pytest.raises(InputError, match=r"no confusion matrix of 260 classes.*MAX_CONFUSION"):
        found.confusion()
    for name in ("metrics.json", "linear.safetensors", "events.jsonl"):
        assert (many / name).stat().st_size < 2_000_000, name
    assert CliRunner().invoke(app, ["runs", "show", str(many)]).exit_code == 0
    result = CliRunner().invoke(app, ["report", str(many), "--out", str(many.parent / "r.html")])
    assert result.exit_code == 0 and "no confusion matrix" in (many.parent / "r.html").read_text()


def test_the_confusion_matrix_of_few_classes_is_asked_for(many: Path, tmp_path: Path) -> None:
    linnet.train("iris", model="linear", out=tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    del metrics["models"]["linear"]["test"]["confusion"]
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(InputError, match="expected a confusion matrix of 3 classes"):
        Run(tmp_path / "run")
    assert MAX_CONFUSION < CLASSES


def test_one_run_that_cannot_be_read_is_named_and_the_others_are_listed(many: Path) -> None:
    bad = many.parent / "bad"
    bad.mkdir()
    for name in ("status.json", "run.json"):
        (bad / name).write_bytes((many / name).read_bytes())
    (bad / "metrics.json").write_text('{"format": 1, "models": [')
    for more in ([], ["--where", "chosen=linear"], ["--sort", "created"]):
        result = CliRunner().invoke(app, ["runs", "list", str(many.parent), *more])
        assert result.exit_code == 0 and "one" in result.stdout, (more, result.stderr)
        assert ("unreadable" in result.stdout) == ("--where" not in more)
        if "--where" not in more:
            assert "bad/metrics.json: not JSON" in result.stderr
    found = json.loads(CliRunner().invoke(app, ["runs", "list", str(many.parent), "--json"]).stdout)
    assert {row["name"]: row["state"] for row in found} == {"one": "finished", "bad": "unreadable"}


def refused(match: str, **settings: object) -> None:
    with pytest.raises(DataError, match=match):
        linnet.train(rows(CLASSES), model="linear", max_iter=1, **settings)  # type: ignore[arg-type]
    assert not Path("runs").exists()


def test_what_would_not_fit_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(room, "MAX_PREDICTIONS", 10_000)
        refused(r"test rows for 260 classes are .* numbers.*MAX_PREDICTIONS")
    with monkeypatch.context() as patch:
        patch.setattr(room, "ASKED_BYTES", 0)
        patch.setattr(memory, "available", lambda: 1_000_000)
        refused(r"a line of 260 classes and 3 columns needs about")
    with monkeypatch.context() as patch:
        patch.setattr(room, "MAX_MANIFEST", MAX_MANIFEST._replace(values=200))
        refused(r"MAX_MANIFEST_VALUES.*would be too long to be read again")


def test_predictions_of_many_classes_take_the_memory_of_their_numbers(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, _ = rows(CLASSES)
    path = tmp_path / "rows.csv"
    lines = ["x0,x1,x2", *(",".join(f"{value:g}" for value in row) for row in x[:60])]
    path.write_text("\n".join(lines))
    model = linnet.load(many)
    monkeypatch.setattr(evaluation, "BATCH", 7)
    parts = evaluation.predict_raw(model.module, model.schema.encode(x[:60]))
    monkeypatch.setattr(evaluation, "BATCH", 60)
    whole = evaluation.predict_raw(model.module, model.schema.encode(x[:60]))
    assert parts.shape == (60, CLASSES) and (parts - whole).abs().max() < 1e-4
    monkeypatch.setattr(evaluation, "ASKED_BYTES", 0)
    monkeypatch.setattr(memory, "available", lambda: 60 * CLASSES * 8 - 1)
    with pytest.raises(DataError, match="predictions of 60 rows needs about"):
        evaluation.predict_raw(model.module, model.schema.encode(x[:60]))


def test_json_of_very_many_predictions_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linnet.train("iris", model="linear", out=tmp_path / "run")
    monkeypatch.setattr(sys.modules["linnet.cli.predict"], "MAX_JSON_NUMBERS", 100)
    words = ["predict", str(tmp_path / "run"), "iris", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2 and "MAX_JSON_NUMBERS" in result.stderr
    assert CliRunner().invoke(app, [*words, "--rows", "1,2"]).exit_code == 0

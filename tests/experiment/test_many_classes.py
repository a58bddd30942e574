"""Thousands of classes: small files in bounded memory, or refused before the work."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars
import pytest
from typer.testing import CliRunner

import linnet
from linnet.cli import app
from linnet.core import memory
from linnet.core.limits import MAX_MANIFEST
from linnet.errors import DataError, InputError
from linnet.experiment.predict import predict
from linnet.figures import calibration
from linnet.fit import room
from linnet.insight import evaluation
from linnet.insight.task import MAX_CONFUSION
from linnet.runs.run import Run

CLASSES = 260


def rows(classes: int, each: int = 3) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(classes), each)
    x = np.stack([labels % 40, labels % 13, np.arange(len(labels)) % 7], axis=1).astype(float)
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
        patch.setattr(room, "MAX_PREDICTIONS", 1_000)
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


def test_of_many_classes_the_most_probable_ones_and_the_truth_are_kept(
    many: Path,
) -> None:
    """Whoever reads them finds what all probabilities would say."""
    frame = polars.read_parquet(many / "predictions" / "linear.parquet")
    x, y = rows(CLASSES)
    chosen = frame["row"].to_numpy()
    model = linnet.load(many)
    p = model.predict_proba(x[chosen])
    codes = np.array([model.schema.names.index(label) for label in y[chosen]])
    order = np.argsort(-p, axis=1, kind="stable")[:, :5]
    assert np.array_equal(frame["top"].to_numpy(), order)
    assert np.abs(frame["p"].to_numpy() - np.take_along_axis(p, order, 1)).max() < 1e-6
    each = np.arange(len(codes))
    assert np.abs(frame["p_y"].to_numpy() - p[each, codes]).max() < 1e-6
    assert (frame["prediction"].to_numpy() == model.predict(x[chosen])).all()
    found, whole = Run(many).calibration(), calibration(codes, p, range(CLASSES))
    assert found.columns["rows"] == whole.columns["rows"]
    assert found.layout["title"]["text"] == whole.layout["title"]["text"]
    assert len(Run(many).mistakes(data=rows(CLASSES)).data) > 0

    told = predict(many, (x[chosen], y[chosen])).columns()
    assert list(told)[:5] == ["row", "y", "prediction", "p", "second"] and len(told) == 12
    assert (told["prediction"] == frame["prediction"].to_numpy()).all()
    assert np.allclose(told["p_fifth"], frame["p"].to_numpy()[:, 4])


@pytest.mark.parametrize(
    "change",
    [{"top": None}, {"p_y": None}, {"p_y": polars.lit("a")}, {"top": polars.col("p")}],
    ids=["no top", "no p_y", "text", "top of numbers"],
)
def test_predictions_that_are_not_those_of_many_classes_are_refused(
    many: Path, tmp_path: Path, change: dict[str, polars.Expr | None]
) -> None:
    shutil.copytree(many, tmp_path / "run")
    path = tmp_path / "run" / "predictions" / "linear.parquet"
    frame = polars.read_parquet(path)
    for name, value in change.items():
        frame = frame.drop(name) if value is None else frame.with_columns(value.alias(name))
    frame.write_parquet(path)
    with pytest.raises(InputError, match=r"classes|probabilities"):
        Run(tmp_path / "run").calibration()


@pytest.mark.slow
def test_the_line_of_bulky_predictions_is_the_same_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32, with the certificate in pieces, without a checkpoint within a penalty."""
    penalty = (1e-2, 1e-3)
    found = []
    for name, bulky in (("few", 10_000_000), ("bulky", 10_000)):
        monkeypatch.setattr("linnet.line.problem.BULKY", bulky)
        monkeypatch.setattr("linnet.line.problem.PART", 10_000)
        run = linnet.train(
            rows(60, each=7), model="linear", out=tmp_path / name, penalty=penalty, dtype="float32"
        )
        fit = run.metrics["models"]["linear"]["fit"]
        found.append((fit, run.models["linear"].module.state_dict()["linear.weight"]))
    (few, weight), (bulk, other) = found
    assert bulk["converged"] and bulk["objective"] == pytest.approx(few["objective"], rel=1e-6)
    assert 0 < bulk["gap"] < 1e-3 and (weight - other).abs().max() < 1e-2 * weight.abs().max()

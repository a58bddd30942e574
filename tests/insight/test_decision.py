"""A threshold as the rule of labels: chosen on rows that taught nothing, kept in the model's file,
the same wherever the model predicts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open

import linnet
from helpers import command
from linnet.errors import InputError, ModelError, RecipeError
from linnet.experiment import outer
from linnet.experiment.evaluate import evaluate
from linnet.fit import artifact, runtime
from linnet.fit.checkpoint import Owner
from linnet.fit.recipe import Recipe
from linnet.insight import thresholds
from linnet.integrations.export import page

ROWS = 300
LINE: dict[str, Any] = {"model": "linear", "penalty": 0.1, "target": "y", "yardstick": "none"}


def table(seed: int = 0) -> pl.DataFrame:
    """Rows with a rare second class."""
    numbers = np.random.default_rng(seed)
    x, kind = numbers.normal(size=ROWS), numbers.choice(["a", "b", "c"], ROWS)
    up = x - (kind == "b") + 0.7 * numbers.normal(size=ROWS) > 1
    return pl.DataFrame({"x": x, "kind": kind, "y": np.where(up, "yes", "no")})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    folder = tmp_path_factory.mktemp("decision")
    table().write_csv(folder / "t.csv")
    return linnet.train(
        str(folder / "t.csv"), decide="cost", costs=(1, 4), folds=1, out=folder / "run",
        echo=False, **LINE,
    )  # fmt: skip


def test_the_rule_is_the_threshold_of_the_rows_that_chose(run: linnet.Run) -> None:
    rule, found = run.model.decision, run.threshold("cost", (1, 4))
    assert rule is not None and found.by_rows == rule.of == "validation"
    assert rule.threshold == found.choice.chosen.threshold != 0.5
    told = run.metrics["models"]["linear"]["test"]["decision"]
    assert told["chosen"] == found.test.chosen.plain()
    assert told["cost_interval"] == list(found.test.cost_interval)
    assert "chosen by mean cost on 48 validation rows" in told["rule"]
    held = run.scores.models["linear"].test
    assert held is not None and held.decision is not None
    assert held.decision.chosen.cost == told["chosen"]["cost"]
    plain = linnet.train(
        run.data_place(), folds=1, out=run.path.parent / "plain", echo=False, **LINE
    )
    ours, theirs = (each.metrics["models"]["linear"]["test"] for each in (run, plain))
    assert {**theirs, "decision": told} == ours  # all else is as without a rule
    assert plain.model.decision is None


def test_labels_are_the_same_wherever_it_predicts(run: linnet.Run, tmp_path: Path) -> None:
    cut = run.model.manifest.cut
    frame = table(seed=1).drop("y")
    p = run.model.predict_proba(frame)[:, 1]
    labels = np.where(p >= cut, "yes", "no").tolist()
    assert labels != np.where(p >= 0.5, "yes", "no").tolist()
    assert run.model.predict(frame).tolist() == labels
    quick = runtime.quick(run.path / "linear.safetensors")
    assert quick is not None
    assert quick.answers(quick.rows(frame.to_dicts())).prediction == labels
    for given in (frame, table(seed=1)):  # without PyTorch; with a target that takes PyTorch
        given.write_csv(tmp_path / "new.csv")
        done = command("predict", run.path, tmp_path / "new.csv", "--out", tmp_path / "p.csv")
        assert done.returncode == 0, done.stderr
        assert pl.read_csv(tmp_path / "p.csv")["prediction"].to_list() == labels
    kept = pl.read_parquet(run.path / "predictions" / "linear.parquet")
    own = np.array(kept["p"].to_list())[:, 1]
    assert kept["prediction"].to_list() == np.where(own >= cut, "yes", "no").tolist()
    told = run.metrics["models"]["linear"]["test"]["decision"]["chosen"]
    assert (kept["y"] == kept["prediction"]).mean() == pytest.approx(told["accuracy"])
    scores = evaluate(run.path, run.data_place())["models"]["linear"]["test"]
    assert scores["decision"]["chosen"] == told


def test_exports_say_it(run: linnet.Run, tmp_path: Path) -> None:
    session = pytest.importorskip("onnxruntime").InferenceSession(
        linnet.export(run, "onnx", out=tmp_path / "m.onnx").read_bytes()
    )
    frame = table(seed=1)
    feed = {"x": frame["x"].to_numpy()[:, None], "kind": frame["kind"].to_numpy()[:, None]}
    label, _ = session.run(None, feed)
    assert label.tolist() == run.model.predict(frame.drop("y")).tolist()
    notes = session.get_modelmeta().custom_metadata_map
    assert "'yes' where its probability is at least" in notes["outputs"]
    linnet.export(run, "mlflow", out=tmp_path / "folder")
    html = page.document([runtime.load(run.path / "linear.safetensors")], served=False, name="m")
    assert f'"cut":{run.model.manifest.cut}' in html.replace(" ", "")
    with pytest.raises(InputError, match="eject cannot write decide=cost"):
        linnet.eject(run)
    done = command("inspect", run.path)
    assert "decides for 'yes' from a probability of" in done.stdout


def test_with_folds_each_fold_is_decided_by_the_others(tmp_path: Path) -> None:
    """Of ``test=folds`` the labels are those of the thresholds that the other folds chose."""
    run = linnet.train(table(), test="folds", decide="f1", out=tmp_path / "r", echo=False, **LINE)
    rule = run.model.decision
    assert rule is not None and rule.of == "out-of-fold" and rule.rows == ROWS
    kept = pl.read_parquet(run.path / "predictions" / "linear.parquet")
    p = np.array(kept["p"].to_list())[:, 1]
    cuts = set()
    for fold in range(5):
        own = (kept["fold"] == fold).to_numpy()
        called = (kept["prediction"] == "yes").to_numpy()[own]
        low, high = p[own][called].min(), p[own][~called].max()
        assert high < low  # one threshold a fold
        cuts.add((high, low))
    assert max(high for high, _ in cuts) > min(low for _, low in cuts)  # and not the same for all
    told = run.metrics["models"]["linear"]["test"]["decision"]
    right = ((kept["y"] == "yes") & (kept["prediction"] == "yes")).sum()
    assert told["chosen"]["true_positive"] == right
    one = outer.Tested({"linear": torch.zeros(3, 1)}, 1.0, {"linear": torch.full((3,), 0.25)})
    outer._keep(tmp_path / "fold.safetensors", one, Owner())  # as a run that is resumed reads it
    found = outer._kept(tmp_path / "fold.safetensors", Owner())
    assert found is not None and found.cuts["linear"].tolist() == [0.25] * 3
    assert list(found.raws) == ["linear"]


def test_what_is_no_threshold_is_refused(run: linnet.Run, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"decide": "cost"}, "costs=1,5"), ({"costs": (1, 2)}, "costs=1,5"),
        ({"decide": "cost", "costs": (0, 0)}, "above 0"), ({"decide": "median"}, "argmax"),
    ]  # fmt: skip
    for settings, words in wrong:
        with pytest.raises(RecipeError, match=words):
            Recipe().override(settings)
    other = Recipe(decide="cost", costs=(1, 5)).override({"decide": "argmax"})
    assert other.costs is None  # costs go with their rule
    asked: list[tuple[Any, dict[str, Any], str]] = [
        ("iris", {}, "this data has 3 classes"), ("diabetes", {}, "this data has numbers"),
        (table(), {"target": "y", "folds": 1, "valid": 0}, "needs rows to choose a threshold by"),
        (table(), {"target": "y", "class_weight": (0, 1)}, "leaves one out"),
    ]  # fmt: skip
    for data, settings, words in asked:
        with pytest.raises(RecipeError, match=words):
            linnet.train(data, decide="f1", out=tmp_path / "r", echo=False, **settings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": 3.0}, "less than or equal to 2"), ({"threshold": "0.5"}, "number"),
        ({"by": "luck"}, "f1"), ({"costs": [-1.0, 1.0]}, "greater than or equal to 0"),
        ({"rows": 1}, "greater than or equal to 2"), ({"code": "x"}, "decision.code"),
    ],
)  # fmt: skip
def test_a_hostile_rule_is_refused(
    change: dict[str, Any], words: str, run: linnet.Run, tmp_path: Path
) -> None:
    with safe_open(run.path / "linear.safetensors", "np") as file:
        plain = json.loads(file.metadata()["linnet"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    plain["decision"] |= change
    content = {name: tensor.tobytes() for name, tensor in tensors.items()}
    plain["provenance"]["sha256"] = artifact.digest(plain, content)
    from safetensors.numpy import save_file

    save_file(tensors, tmp_path / "m.safetensors", {"linnet": json.dumps(plain)})
    for load in (linnet.load, runtime.quick):
        with pytest.raises(ModelError, match=words):
            load(tmp_path / "m.safetensors")


def test_a_threshold_for_each_row() -> None:
    y, p = np.array([1, 0, 1, 0]), np.array([0.4, 0.4, 0.6, 0.6])
    cuts = np.array([0.3, 0.5, 0.7, 0.5])
    cut = thresholds.cut_at(y, p, cuts)
    assert cut[1:5] == (1, 1, 1, 1) and cut.threshold == 0.5
    assert thresholds.score(y, p, cuts).chosen == cut


def test_the_rule_of_a_manifest_needs_no_pytorch() -> None:
    code = "import sys, linnet.insight.decision, linnet.fit.runtime; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

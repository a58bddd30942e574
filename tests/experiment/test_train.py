"""The whole training, end to end, on small data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch

import linnet
from helpers import events_of
from linnet.data.dataset import Dataset
from linnet.errors import DataError, Diverged, InputError, LinnetWarning, RecipeError
from linnet.fit.artifact import read_manifest
from linnet.fit.recipe import Recipe
from linnet.fit.settings import read_recipe, read_settings

FAST: dict[str, Any] = {"epochs": 3, "widths": [16], "penalty": [0.1, 0.01]}


def tensors(path: Path) -> dict[str, bytes]:
    """The files of tensors of a run, without their manifests."""
    result = {}
    for file in sorted(path.glob("*.safetensors")):
        content = file.read_bytes()
        result[file.name] = content[8 + int.from_bytes(content[:8], "little") :]
    return result


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    return linnet.train("digits", out=tmp_path_factory.mktemp("runs") / "digits", **FAST)


def test_a_run_holds_all_its_files(digits: linnet.Run) -> None:
    names = {str(path.relative_to(digits.path)) for path in digits.path.rglob("*")}
    assert names == {
        "recipe.toml", "run.json", "split.safetensors", "rows.safetensors", "events.jsonl",
        "status.json",
        "metrics.json", "constant.safetensors", "linear.safetensors", "mlp.safetensors",
        "predictions", "predictions/constant.parquet", "predictions/linear.parquet",
        "predictions/mlp.parquet",
    }  # fmt: skip
    assert json.loads((digits.path / "status.json").read_text())["state"] == "finished"
    info = digits.info
    assert info["data"]["rows"] == 1797 and info["threads"] == torch.get_num_threads()


def test_metrics_say_what_the_design_says(digits: linnet.Run) -> None:
    metrics = digits.metrics
    assert list(metrics["models"]) == ["constant", "linear", "mlp"]
    line, net = metrics["models"]["linear"], metrics["models"]["mlp"]
    assert line["fit"]["converged"] is True and line["fit"]["gradient_max"] <= 1e-6
    assert 0 <= line["fit"]["gap"] < 1e-6 and net["fit"]["converged"] is None
    for scores in metrics["models"].values():
        low, high = scores["test"]["accuracy_interval"]
        assert low < scores["test"]["accuracy"] < high
        assert sum(map(sum, scores["test"]["confusion"])) == scores["test"]["rows"] == 360
        assert {"seconds", "steps", "reason"} <= scores["fit"].keys()
    assert line["test"]["accuracy"] > 0.9
    assert metrics["models"]["constant"]["test"]["accuracy"] < 0.2
    losses = {name: scores["valid"]["loss"] for name, scores in metrics["models"].items()}
    assert metrics["chosen"] == min(losses, key=lambda name: losses[name])
    assert "than the line" in digits.verdict


def test_every_curve_starts_before_training(digits: linnet.Run) -> None:
    events = events_of(digits.path)
    assert events[0]["event"] == "start" and events[-1]["event"] == "end"
    for model in ("constant", "linear", "mlp"):
        scored = [e for e in events if e["event"] == "evaluate" and e["model"] == model]
        assert scored[0]["step"] == 0
        steps = [e["step"] for e in events if e["event"] == "step" and e["model"] == model]
        assert steps == sorted(set(steps))
    epochs = [e["epoch"] for e in events if e["event"] == "evaluate" and e["model"] == "mlp"]
    assert epochs == [0, 1, 2, 3]
    assert sum(e["event"] == "test" for e in events) == 3  # once per model


def test_the_recorded_loss_is_the_mean_over_the_rows_since_the_last(tmp_path: Path) -> None:
    """With one record an epoch and a rate of nearly zero, the mean is the loss over all rows."""
    run = linnet.train(
        "digits", model="mlp", epochs=1, widths=[8], dropout=0, lr=1e-12, weight_decay=0,
        batch_size=100, log_every="1 epoch", out=tmp_path / "r",
    )  # fmt: skip
    events = events_of(run.path)
    (step,) = [e for e in events if e["event"] == "step" and e["model"] == "mlp"]
    data = linnet.read("digits").take(run.split()["train"])
    model = run.models["mlp"]
    raw = model.raw(data.x.numpy())
    expected = model.objective.loss(raw, data.y).mean().item()
    assert step["step"] == 12 and abs(step["loss"] - expected) < 1e-5


def test_same_seed_same_bits_and_other_seed_others(digits: linnet.Run, tmp_path: Path) -> None:
    again = linnet.train("digits", out=tmp_path / "again", **FAST)
    other = linnet.train("digits", out=tmp_path / "other", seed=1, **FAST)
    assert tensors(again.path) == tensors(digits.path)
    for name in ("constant", "linear", "mlp"):
        file = f"{name}.safetensors"
        one, two = (read_manifest(run.path / file).plain() for run in (digits, again))
        one.pop("provenance"), two.pop("provenance")  # when and how fast it was made
        assert one == two
        if name != "constant":  # the shares of the classes do not depend on the seed
            assert tensors(other.path)[file] != tensors(digits.path)[file]


def test_the_resolved_recipe_repeats_the_run(digits: linnet.Run, tmp_path: Path) -> None:
    recipe = Recipe.make(read_recipe(digits.path / "recipe.toml"))
    assert "auto" not in {str(recipe.plain()[key]) for key in ("penalty", "epochs", "valid", "tol")}
    again = linnet.train(recipe=recipe, out=tmp_path / "again")
    assert tensors(again.path) == tensors(digits.path)
    assert (again.path / "recipe.toml").read_text() == (digits.path / "recipe.toml").read_text()


def test_saved_models_predict_as_before(digits: linnet.Run) -> None:
    data = linnet.read("digits").take(digits.split()["test"])
    table = polars.read_parquet(digits.path / "predictions" / "mlp.parquet")
    model = linnet.load(digits.path, "mlp")
    assert table["row"].to_list() == digits.split()["test"].tolist()
    assert table["prediction"].to_list() == model.predict(data.x).tolist()
    assert (np.array(table["p"].to_list()) == model.predict_proba(data.x)).all()
    rows = np.concatenate([model.predict_proba(x) for x in data.x])
    assert np.abs(rows - model.predict_proba(data.x)).max() <= 1e-5


def test_the_split_is_recoverable_and_stratified(digits: linnet.Run) -> None:
    parts = digits.split()
    rows = torch.cat([parts["train"], parts["valid"], parts["test"]])
    assert torch.equal(rows.sort().values, torch.arange(1797))
    data = linnet.read("digits")
    share = torch.bincount(data.y[parts["test"]]) / len(parts["test"])
    assert (share - torch.bincount(data.y) / len(data)).abs().max() < 0.005


def test_the_line_is_scikit_learns(digits: linnet.Run) -> None:
    from sklearn.linear_model import LogisticRegression

    data = linnet.read("digits")
    train, test = (data.take(digits.split()[name]) for name in ("train", "test"))
    line = digits.models["linear"]
    features = line.module.features(train.x).double().numpy()  # type: ignore[operator]
    alpha = line.manifest.fit["penalty"]
    peer = LogisticRegression(C=1 / (alpha * len(train)), tol=1e-8, max_iter=5000)  # type: ignore
    peer.fit(features, train.y.numpy())
    mine = line.predict_proba(test.x)
    theirs = peer.predict_proba(line.module.features(test.x).double().numpy())  # type: ignore
    assert np.abs(mine - theirs).max() < 1e-4


def test_regression_and_its_verdict(tmp_path: Path) -> None:
    run = linnet.train("diabetes", out=tmp_path / "b", **FAST)
    test = run.metrics["models"]["linear"]["test"]
    assert {"rmse", "mae", "r2", "rows", "rmse_interval"} == test.keys()
    assert test["r2"] > 0.3
    line = run.models["linear"]
    data = linnet.read("diabetes")
    together, one = line.predict(data.x), np.concatenate([line.predict(x) for x in data.x])
    assert np.abs(together - one).max() <= 1e-12 * data.y.std().item()
    (comparison, *_) = run.metrics["comparisons"]
    assert comparison["pair"] == ["mlp", "linear"]
    assert comparison["test"] == "paired t"


@pytest.mark.parametrize("rows", [3, 5])
def test_too_few_rows_are_all_fitted_and_no_score_is_claimed(rows: int, tmp_path: Path) -> None:
    x = np.arange(1.0, rows + 1)[:, None]
    run = linnet.train((x, 2 * x[:, 0]), out=tmp_path / "r")
    assert list(run.metrics["models"]) == ["constant", "linear"]
    assert "no score is claimed" in run.verdict
    assert all("test" not in scores for scores in run.metrics["models"].values())
    assert run.model.predict([[4.0]]) == pytest.approx(8.0, abs=1e-9)
    assert run.score([[4.0], [5.0]], [8.0, 10.0]) == pytest.approx(1)


def test_two_targets_at_once(tmp_path: Path) -> None:
    x = np.array([[73, 67, 43], [91, 88, 64], [87, 134, 58], [102, 43, 37], [69, 96, 70.0]])
    y = np.array([[56, 70], [81, 101], [119, 133], [22, 37], [103, 119.0]])
    run = linnet.train((x, y), out=tmp_path / "r")
    design = np.hstack([x, np.ones((5, 1))])
    exact = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    assert np.abs(run.model.predict(x) - exact).max() < 1e-6


def test_constant_columns_and_constant_targets(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    x[:, 1] = 7
    with pytest.raises(DataError, match="so there is nothing to predict"):
        linnet.read((x, np.full(60, 5.0)))
    run = linnet.train((x, np.full(60, 5.0)), task="regression", out=tmp_path / "r", **FAST)
    assert np.isfinite(run.model.predict(x)).all()
    assert run.models["linear"].predict(x) == pytest.approx(np.full(60, 5.0))


def test_soft_targets(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 4))
    logits = x @ random.normal(size=(4, 3))
    y = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    run = linnet.train((x, y), out=tmp_path / "r", **FAST)
    assert run.models["linear"].manifest.objective == "softmax"
    assert np.abs(run.models["linear"].predict_proba(x) - y).mean() < 0.15


def test_classes_and_positive(tmp_path: Path) -> None:
    some = linnet.train("digits", classes=[3, 7], model="linear", out=tmp_path / "some")
    assert some.model.schema.classes == (3, 7) and some.model.manifest.objective == "logistic"
    rest = linnet.train("digits", positive=5, model="linear", out=tmp_path / "rest")
    assert rest.model.schema.names == ("not 5", "5")
    from linnet.experiment.evaluate import evaluate

    for run in (some, rest):
        again = evaluate(run.path, "digits")["models"]["linear"]["test"]
        assert again == run.metrics["models"]["linear"]["test"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widhts": [3]}, 'unknown key "widhts"; did you mean "widths"'),
        ({"model": "mpl"}, 'unknown model "mpl"; did you mean "mlp"'),
        ({"optimizer": "adamv"}, 'unknown optimizer "adamv"; did you mean "adam'),
        ({"epochs": 0}, '"epochs'),
        ({"lr": "fast"}, "\"lr\" is 'fast'"),
        ({"device": "gpu"}, 'did you mean "cuda"'),
        ({"solver": "least_squares"}, "needs a quadratic objective"),
        ({"classes": [3]}, "keeps 1 class"),
        ({"positive": 11}, 'no class "11"'),
        ({"valid": 5000}, "leaves none to train on"),
        ({"target": "price"}, 'no target "price"'),
    ],
)
def test_impossible_settings_are_refused(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        linnet.train("digits", out=tmp_path / "r", **settings)
    assert message in str(caught.value)
    assert not (tmp_path / "r").exists()


def test_a_run_is_never_overwritten(digits: linnet.Run) -> None:
    before = (digits.path / "metrics.json").read_bytes()
    with pytest.raises(InputError, match="exists and is not empty"):
        linnet.train("digits", out=digits.path)
    assert (digits.path / "metrics.json").read_bytes() == before


def test_a_diverged_run_says_so_and_keeps_no_model(tmp_path: Path) -> None:
    with pytest.warns(LinnetWarning), pytest.raises(Diverged, match="no longer finite at step"):
        linnet.train(
            "digits", model="mlp", optimizer="sgd", lr=1e10, schedule="constant",
            out=tmp_path / "r",
        )  # fmt: skip
    status = json.loads((tmp_path / "r" / "status.json").read_text())
    assert status["state"] == "failed" and "smaller lr" in status["error"]
    assert not list((tmp_path / "r").glob("mlp.safetensors"))


def test_unknown_places_name_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='"digit"; did you mean "digits"'):
        linnet.read("digit")
    (tmp_path / "x.bin").write_bytes(b"abc")
    with pytest.raises(DataError, match="a file of no known kind"):
        linnet.read(str(tmp_path / "x.bin"))
    with pytest.raises(DataError, match="cannot read data of the type int"):
        linnet.read(3)


def test_a_missing_data_set_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINNET_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(DataError) as caught:
        linnet.read("mnist")
    assert f"{tmp_path}/mnist" in str(caught.value)
    assert f"{tmp_path}/MNIST/raw" in str(caught.value)
    assert "linnet data fetch mnist" in str(caught.value)


def test_recipes_read_and_write() -> None:
    assert read_settings(["widths=512,256", "lr=1e-3"]) == {"widths": [512, 256], "lr": 0.001}
    assert read_settings(["schedule=constant"]) == {"schedule": "constant"}
    assert read_settings(["columns.a=b=text", "drop=1,2", "missing=-9"]) == {
        "columns": {"a=b": "text"},
        "drop": ["1", "2"],
        "missing": "-9",
    }
    with pytest.raises(RecipeError, match="expected key=value"):
        read_settings(["epochs"])
    recipe = Recipe.make({"widths": 64, "classes": [0, "x", True], "lr": 1, "seed": 2**62})
    import tomllib

    assert Recipe.make(tomllib.loads(recipe.toml())) == recipe
    assert recipe.widths == (64,) and recipe.model == ("auto",)


def test_the_global_generators_stay_as_they_were(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    linnet.train("iris", out=tmp_path / "r", **FAST)
    assert torch.equal(before, torch.get_rng_state())


def mnist_shaped() -> Dataset:
    x = np.random.default_rng(0).integers(0, 256, (120, 28, 28), dtype=np.uint8)
    return linnet.read((x, np.arange(120) % 10))


def cifar_shaped() -> Dataset:
    x = np.random.default_rng(0).integers(0, 256, (120, 3, 32, 32), dtype=np.uint8)
    return linnet.read((x, np.arange(120) % 10))


@pytest.mark.parametrize("make", [mnist_shaped, cifar_shaped])
def test_one_loop_for_pictures_of_every_shape(make: Any, tmp_path: Path) -> None:
    data = make()
    assert data.x.dtype == torch.uint8 and data.y.dtype == torch.int64
    assert data.x.shape[1:] == data.schema.shape and data.x.dim() == 4
    run = linnet.train(data, out=tmp_path / "r", **FAST)
    one = run.model.predict(data.x[0].numpy())
    assert one.shape == (1,) and one[0] in data.schema.classes
    layers = run.models["linear"].layers()
    size = int(np.prod(data.schema.shape))
    assert sum(layer["parameters"] for layer in layers) == 10 * size + 10
    if data.schema.shape[0] == 1:
        assert (run.model.predict(data.x[0, 0]) == one).all()


@pytest.mark.slow
def test_mnist_reaches_what_is_promised(mnist_folder: Path, tmp_path: Path) -> None:
    from linnet.experiment.evaluate import evaluate

    run = linnet.train("mnist", out=tmp_path / "r")
    line, net = run.metrics["models"]["linear"], run.metrics["models"]["mlp"]
    assert line["fit"]["converged"] and line["fit"]["gradient_max"] <= 1e-5
    assert line["test"]["accuracy"] >= 0.920
    assert net["test"]["accuracy"] >= 0.983
    assert sum(layer["parameters"] for layer in run.models["linear"].layers()) == 7850
    again = evaluate(run.path, "mnist")
    for name, scores in run.metrics["models"].items():
        assert again["models"][name]["test"] == scores["test"]


def test_noise_gets_a_converged_line_that_does_not_earn_its_place(tmp_path: Path) -> None:
    """The constant is best here; the line kept is still one that was solved."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(100, 200)), random.normal(size=100)
    run = linnet.train((x, y), out=tmp_path / "r", epochs=3, widths=[16])
    line = run.metrics["models"]["linear"]["fit"]
    assert line["converged"] and line["penalty"] >= 1


def test_training_rows_are_scored_beside_the_validation_rows(tmp_path: Path) -> None:
    run = linnet.train("digits", epochs=3, out=tmp_path / "r")
    split, dataset = run.split(), linnet.read("digits")
    train, valid = (run.history().series()["mlp"][part] for part in ("train", "valid"))
    scored = {
        step: accuracy
        for step, accuracy in zip(train["step"], train["accuracy"], strict=True)
        if accuracy is not None
    }
    assert list(scored) == valid["step"]
    rows = split["train"][:: -(-len(split["train"]) // len(split["valid"]))]
    assert len(rows) <= len(split["valid"])
    labels = dataset.schema.decode(dataset.codes[rows])
    found = (run.models["mlp"].predict(dataset.x[rows]) == labels).mean()
    assert scored[run.metrics["models"]["mlp"]["fit"]["best_step"]] == pytest.approx(found)
    solid = [
        trace["name"]
        for trace in run.curves().data
        if trace.get("yaxis") == "y2" and trace.get("line", {}).get("dash") == "solid"
    ]
    assert solid == ["line, training (level of its best)", "perceptron, training"]

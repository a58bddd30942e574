"""The yardstick of a run: boosted trees beside the models."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

import linnet
from linnet.core import events
from linnet.data.coded import Coded
from linnet.data.read import read_draft
from linnet.errors import RecipeError
from linnet.fit.prepare import prepare
from linnet.fit.recipe import Recipe
from linnet.insight import yardstick
from linnet.runs.run import Run

QUICK: dict[str, Any] = {"epochs": 2, "echo": False}


def table(rows: int = 400, many: int = 3) -> pl.DataFrame:
    """Numbers with missing ones, a category with missing ones, a date, a boolean; y has a step."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, rows))
    kinds = random.integers(0, many, rows)
    y = 2.0 * (a > 0.3) + b * (kinds == 1) + 0.1 * random.normal(size=rows)
    return pl.DataFrame(
        {
            "a": a,
            "b": [None if i % 11 == 0 else value for i, value in enumerate(b.tolist())],
            "kind": [None if i % 17 == 0 else f"k{kind:03}" for i, kind in enumerate(kinds)],
            "day": pl.Series([f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(rows)]),
            "yes": random.random(rows) < 0.5,
            "y": y,
        },
        strict=False,
    )


def prepared(frame: pl.DataFrame, **settings: Any) -> Any:
    ready = prepare(frame, Recipe.make({"target": "y", **settings}))
    return ready, *(ready.data.take(ready.parts[name]) for name in ("train", "test"))


def test_the_trees_see_the_columns_as_they_were_before_encoding() -> None:
    frame = table()
    ready, train, _ = prepared(frame)
    seen = yardstick._Columns.learnt(train)
    found = seen.of(train.x)
    assert seen.categorical == [False, False, True, False, False, False, False, False]
    kept = frame[train_rows := ready.parts["train"].tolist()]
    for place, name in ((0, "a"), (1, "b"), (6, "yes")):
        own = kept[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        if name != "yes":
            assert np.allclose(found[:, place], own.astype(np.float32), equal_nan=True)
    codes = kept["kind"].str.slice(1).cast(pl.Float64).fill_null(np.nan).to_numpy()
    assert np.array_equal(found[:, 2], codes, equal_nan=True)
    assert np.array_equal(found[:, 4], [1 + row % 12 for row in train_rows])
    assert np.array_equal(found[:, -1], kept["yes"].cast(pl.Float64).to_numpy())


def test_the_scores_are_those_of_scikit_learn_on_the_training_rows_alone(tmp_path: Path) -> None:
    frame = table()
    run = linnet.train(frame, target="y", out=tmp_path / "r", seed=3, folds=1, **QUICK)
    assert list(run.models) == ["constant", "linear", "mlp"]
    split = {name: rows.tolist() for name, rows in run.split().items()}
    day = frame["day"].str.to_date()
    x = np.column_stack(
        [
            frame["a"].cast(pl.Float32),
            frame["b"].cast(pl.Float32).fill_null(np.nan),
            frame["kind"].str.slice(1).cast(pl.Float64).fill_null(np.nan),
            day.dt.year(), day.dt.month(), day.dt.day(), day.dt.weekday() - 1,
            frame["yes"].cast(pl.Float64),
        ]
    )  # fmt: skip
    theirs = HistGradientBoostingRegressor(categorical_features=[2], random_state=3)
    y = frame["y"].to_numpy()
    theirs.fit(x[split["train"]], y[split["train"]])
    kept = pl.read_parquet(run.path / "predictions" / "trees.parquet")
    assert kept["row"].to_list() == split["test"]
    expected = theirs.predict(x[split["test"]])
    assert np.abs(kept["prediction"].to_numpy() - expected).max() < 1e-5
    own = run.yardstick
    assert own is not None and own.test is not None and own.valid is not None
    rmse = np.sqrt(np.mean((y[split["test"]] - expected) ** 2))
    assert own.test.rmse == pytest.approx(rmse, rel=1e-5)
    held = np.mean((y[split["valid"]] - theirs.predict(x[split["valid"]])) ** 2)
    assert own.valid.rmse == pytest.approx(np.sqrt(held), rel=1e-5)
    assert own.valid.loss == pytest.approx(held / 2, rel=1e-5)
    assert not (run.path / "trees.safetensors").exists() and run.chosen != "trees"
    pairs = [each["pair"] for each in run.metrics["comparisons"]]
    assert pairs == [["mlp", "linear"], ["trees", "linear"], ["trees", "mlp"]]
    told = [each for each in run.events() if each["event"] == "yardstick"]
    assert len(told) == 1 and told[0]["test"]["rmse"] == own.test.rmse
    assert run.history().title("trees") == "boosted trees"
    assert list(run.history().models) == ["constant", "linear", "mlp"]


def test_where_trees_find_a_step_and_the_models_do_not_the_run_says_so(tmp_path: Path) -> None:
    frame = table(2000)
    run = linnet.train(frame, target="y", out=tmp_path / "r", model="linear", echo=False)
    assert "Boosted trees, the yardstick, have RMSE" in run.verdict
    assert "better than the line" in run.verdict
    (why,) = [claim for claim in run.reasons() if claim.cause == "line at its optimum"]
    assert "it lacks interactions or steps" in why.text and "mlp" in why.remedy
    net = linnet.train(frame, target="y", out=tmp_path / "n", **QUICK)
    (why,) = [claim for claim in net.reasons() if claim.cause == "trees are better"]
    assert why.model == net.chosen
    assert "that neither the line nor the perceptron has found" in why.text


def test_classes_have_probabilities_and_weights_count(tmp_path: Path) -> None:
    frame = table().with_columns(y=pl.when(pl.col("y") > 2).then(pl.lit("high")).otherwise(
        pl.when(pl.col("y") < 0).then(pl.lit("low")).otherwise(pl.lit("mid"))
    ))  # fmt: skip
    _, train, test = prepared(frame, class_weight="balanced")
    trees = yardstick.fit(train, 0)
    raw = trees.predict_raw(test)
    p = raw.softmax(1).numpy()
    x = trees.seen.of(train.x)
    kind = HistGradientBoostingClassifier(categorical_features=trees.seen.categorical)
    theirs = kind.set_params(random_state=0).fit(x, train.y.numpy())
    assert np.abs(p - theirs.predict_proba(trees.seen.of(test.x))).max() < 1e-12
    run = linnet.train(
        frame,
        target="y",
        class_weight="balanced",
        out=tmp_path / "r",
        **QUICK,
    )
    weights = len(train) / (3 * np.bincount(train.y.numpy()))
    theirs.fit(x, train.y.numpy(), sample_weight=weights[train.y.numpy()])
    kept = pl.read_parquet(run.path / "predictions" / "trees.parquet")
    expected = theirs.predict_proba(trees.seen.of(test.x))
    assert np.abs(np.array(kept["p"].to_list()) - expected).max() < 1e-9


def test_a_class_that_no_training_row_has_is_not_impossible() -> None:
    data = linnet.read("iris")
    trees = yardstick.fit(data.take(torch.arange(100)), 0)
    raw = trees.predict_raw(data)
    assert raw.shape == (150, 3) and raw.isfinite().all()
    assert raw[:, 2].max() == pytest.approx(np.log(np.finfo(float).eps))


def test_more_categories_than_scikit_learn_takes_share_a_code() -> None:
    names = [f"k{kind:03}" for kind in range(300) for _ in range(3 if kind < 254 else 2)]
    random = np.random.default_rng(0)
    frame = pl.DataFrame({"kind": names, "a": random.normal(size=len(names))})
    frame = frame.with_columns(y=pl.col("a") * 2)
    for drop, kind in (((), torch.Tensor), (("a",), torch.Tensor)):
        recipe = Recipe.make({"target": "y", "drop": list(drop), "max_categories": 400})
        draft = read_draft(frame, recipe)
        data = draft.learn(torch.arange(len(draft)), 400)
        assert isinstance(data.x, kind)
        codes = yardstick._Columns.learnt(data).of(data.x)[:, 0]
        assert codes.max() == 254 and len(np.unique(codes)) == 255
        assert len({code for code, name in zip(codes, names, strict=True) if name >= "k254"}) == 1
    assert yardstick.fit(data, 0).predict_raw(data).isfinite().all()


def test_rows_of_very_many_categories_are_not_expanded() -> None:
    random = np.random.default_rng(1)
    codes = random.integers(0, 1_500, 4_000)
    few = random.integers(0, 3, 4_000)
    frame = pl.DataFrame(
        {
            "many": [f"k{code:04}" for code in codes],
            "few": [f"f{code}" for code in few],
            "a": random.normal(size=4_000),
        }
    ).with_columns(y=pl.col("a"))
    draft = read_draft(frame, Recipe.make({"target": "y", "columns": {"many": "category"}}))
    data = draft.learn(torch.arange(3_000), 5_000)
    assert isinstance(data.x, Coded)
    seen = yardstick._Columns.learnt(data.take(torch.arange(3_000)))
    found = seen.of(data.x)
    assert np.array_equal(found[:, 1], few) and np.allclose(found[:, 2], frame["a"].to_numpy())
    assert np.isnan(found[3_000:, 0]).any() and found[np.isfinite(found)].max() <= 254


@pytest.mark.parametrize("value", ["none", "auto"])
def test_without_a_yardstick_a_run_is_as_it_was(value: str, tmp_path: Path) -> None:
    """``yardstick=none``; and pictures, which have none."""
    data: Any = table() if value == "none" else "digits"
    settings: dict[str, Any] = {"target": "y"} if value == "none" else {"model": "linear"}
    run = linnet.train(data, yardstick=value, out=tmp_path / "r", **settings, **QUICK)
    assert run.metrics["yardstick"] == {} and run.yardstick is None
    assert not (run.path / "predictions" / "trees.parquet").exists()
    assert all("trees" not in each["pair"] for each in run.metrics["comparisons"])
    assert "yardstick" not in run.verdict


def test_a_yardstick_for_pictures_is_refused() -> None:
    with pytest.raises(RecipeError, match="yardstick=trees goes with tables"):
        prepare("digits", Recipe.make({"yardstick": "trees"}))


def test_why_there_is_no_yardstick() -> None:
    data = linnet.read("iris")
    assert yardstick.why_not(data) is None
    assert yardstick.why_not(data.take(torch.arange(50))) == "the training rows are of one class"
    soft = linnet.read(
        (data.x.numpy(), torch.nn.functional.one_hot(data.y).numpy() * 0.8 + 0.2 / 3)
    )
    assert soft.soft and "the targets are probabilities" in str(yardstick.why_not(soft))


def test_a_run_goes_on_where_there_can_be_none_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yardstick, "MOST_OUTPUTS", 2)
    run = linnet.train("iris", model="linear", out=tmp_path / "r", echo=False)
    assert run.yardstick is not None and run.yardstick.test is None
    assert "3 classes; boosted trees are fitted for at most 2" in str(run.yardstick.why)
    assert run.metrics["comparisons"] == [] and "yardstick" not in run.verdict
    told = [each for each in run.events() if each["event"] == "yardstick"]
    assert told[0]["why"] == run.yardstick.why


def test_several_targets_each_have_their_trees() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 3))
    y = np.column_stack([x[:, 0] > 0, x[:, 1] * 3]) * 1.5
    data = linnet.read((x, y))
    trees = yardstick.fit(data, 0)
    raw = trees.predict_raw(data)
    assert raw.shape == (300, 2) and len(trees.estimators) == 2
    one = HistGradientBoostingRegressor(random_state=0).fit(data.x.numpy(), y[:, 1])
    assert np.abs(raw[:, 1].numpy() - one.predict(data.x.numpy())).max() < 1e-12


def test_auto_leaves_out_what_would_take_minutes() -> None:
    schema = linnet.read("iris").schema
    assert yardstick.auto(schema, 100, 30) == "trees"
    assert yardstick.auto(schema, 100, 0) == "none"
    assert yardstick.auto(schema, 10_000_000, 30) == "none"
    assert yardstick.auto(linnet.read("digits").schema, 100, 30) == "none"


@pytest.mark.slow
def test_a_run_that_goes_on_has_the_same_yardstick(tmp_path: Path) -> None:
    """Killed while it was tested: everything but the checkpoints of its models is lost."""
    frame = table()
    frame.write_csv(tmp_path / "t.csv")
    whole = linnet.train(tmp_path / "t.csv", target="y", out=tmp_path / "a", **QUICK)
    again = tmp_path / "b"

    def cut(event: Any) -> None:
        if event["event"] == "yardstick":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        linnet.train(tmp_path / "t.csv", target="y", out=again, epochs=2, echo=cut)
    assert not (again / "metrics.json").exists()
    resumed = linnet.train(resume=again, echo=False)
    assert resumed.metrics["comparisons"] == whole.metrics["comparisons"]
    own, before = (r.metrics["yardstick"]["trees"] for r in (resumed, whole))
    assert own["test"] == before["test"] and own.keys() == before.keys() == {"test", "fit"}
    files = [r.path / "predictions" / "trees.parquet" for r in (resumed, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert sum(each["event"] == "yardstick" for each in resumed.events()) == 1


def test_the_report_the_page_and_the_notebook_show_it(tmp_path: Path) -> None:
    run = linnet.train(table(), target="y", out=tmp_path / "r", folds=1, **QUICK)
    from linnet.show.report.page import write
    from linnet.show.view.follower import _yardstick

    write([run.path], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "boosted trees (yardstick)" in page and "boosted trees against line" in page
    assert "p-values after Holm's correction for 3 comparisons" in page.replace("&#x27;", "'")
    assert "(trees)" in run._repr_html_() and "the yardstick" in run._repr_html_()
    event = events.parse(next(e for e in run.events() if e["event"] == "yardstick"))
    assert isinstance(event, events.Yardstick)
    live = _yardstick(event)["trees"]
    saved = run.metrics["yardstick"]["trees"]
    assert live["test"] == saved["test"] and live["valid"] == saved["valid"]
    shutil.copytree(run.path, tmp_path / "copy")
    metrics = json.loads((tmp_path / "copy" / "metrics.json").read_text())
    metrics["yardstick"]["trees"]["test"]["rmse_interval"] = [1]
    (tmp_path / "copy" / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(linnet.LinnetError, match="rmse_interval"):
        _ = Run(tmp_path / "copy").scores


@pytest.mark.slow
def test_importing_linnet_does_not_import_scikit_learn() -> None:
    code = (
        "import sys, linnet, linnet.experiment.train, linnet.fit.resolve; "
        "print([m for m in sys.modules if m.split('.')[0] in ('sklearn', 'threadpoolctl')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"

"""What a run says of its columns, its slices, its threshold and its intervals, and the file that
keeps it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import linnet
from helpers import ParsedPage
from linnet import figures
from linnet.errors import DataError, InputError
from linnet.insight import conformal
from linnet.insight.evaluation import predict_raw
from linnet.insight.importance import importance
from linnet.insight.thresholds import choose
from linnet.networks.mean import Mean
from linnet.runs import insights
from linnet.show.report.page import write

ROWS = 400


def table() -> pl.DataFrame:
    numbers = np.random.default_rng(0)
    x, hour = numbers.normal(size=ROWS), numbers.integers(0, 24, ROWS)
    kind = np.array(["a", "b", "c"])[numbers.integers(0, 3, ROWS)]
    up = x + (hour > 12) - (kind == "b") + 0.5 * numbers.normal(size=ROWS) > 0.8
    return pl.DataFrame(
        {"x": x, "hour": hour.astype(float), "kind": kind, "y": np.where(up, "yes", "no")}
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    folder = tmp_path_factory.mktemp("insights")
    table().write_csv(folder / "table.csv")
    return linnet.train(
        str(folder / "table.csv"), target="y", epochs=3, widths=[8], folds=1, yardstick="none",
        columns={"hour": "number"}, out=folder / "run", echo=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    folder = tmp_path_factory.mktemp("folds")
    table().write_csv(folder / "table.csv")
    return linnet.train(
        str(folder / "table.csv"), target="y", model="linear", test="folds", folds=1, penalty=0.01,
        columns={"hour": "number"}, yardstick="none", out=folder / "run", echo=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    out = tmp_path_factory.mktemp("numbers") / "run"
    return linnet.train("diabetes", model="linear", out=out, echo=False, yardstick="none")


def test_importance_is_of_the_test_rows(run: linnet.Run) -> None:
    found = run.importance("linear")
    model = run.models["linear"]
    rows = run.draft().take(run.split()["test"]).conform(model.schema)
    assert found == importance(model.module, model.objective, rows)
    assert found.rows == run.metrics["models"]["linear"]["test"]["rows"]
    assert {each.columns[0] for each in found} == {"x", "hour", "kind"}
    assert found["x"].significant
    with pytest.raises(DataError, match="is not the data of the run"):
        run.importance(data=table().with_columns(pl.col("x") * 2))


def test_dependence_has_the_line_beside_the_chosen_model(run: linnet.Run) -> None:
    found = run.dependence("hour")
    assert list(found.curves) == insights.models_of(run) and found.curves["linear"].shape == (1, 20)
    rising = np.diff(found.curves["linear"][0])
    assert (rising > 0).all() and found.outputs == ("yes",)
    assert run.dependence("hour", "kind").curves["linear"].shape == (1, 8, 3)
    with pytest.raises(InputError, match="on one column or on two, not on 3"):
        run.dependence("x", "hour", "kind")
    with pytest.raises(InputError, match='no column "hours"; did you mean "hour"'):
        run.dependence("hours")


def test_slices_add_up_to_the_test_score(run: linnet.Run) -> None:
    found = run.slices("linear")
    whole = run.metrics["models"]["linear"]["test"]["accuracy"]
    assert found.whole == pytest.approx(whole)
    kinds = [each for each in found if each.column == "kind"]
    assert sum(e.rows * e.score for e in kinds) == pytest.approx(whole * found.rows)


def test_the_threshold_is_chosen_on_validation_rows(run: linnet.Run) -> None:
    found = run.threshold(model="linear")
    model = run.models["linear"]
    held = run.draft().take(run.split()["valid"]).conform(model.schema)
    p = model.objective.probabilities(predict_raw(model.module, held.x))[:, 1].numpy()
    assert found.choice == choose(held.codes.numpy() == 1, p) and found.by_rows == "validation"
    kept = run.path / "held" / "linear.parquet"
    away = kept.rename(kept.with_suffix(".away"))  # as of an earlier linnet: read from the data
    assert run.threshold(model="linear") == found
    away.rename(kept)
    test = run.metrics["models"]["linear"]["test"]
    assert found.test.half.accuracy == pytest.approx(test["accuracy"])
    assert found.test.half.f1 == pytest.approx(test["f1"][1])
    dear = run.threshold("cost", (1, 20), model="linear")
    assert dear.choice.chosen.threshold < found.choice.chosen.threshold
    assert set(run.roc().columns["model"]) == {"line"} and insights.models_of(run) == ["linear"]


def test_with_folds_the_threshold_is_chosen_out_of_fold(tmp_path: Path) -> None:
    run = linnet.train(
        table(), target="y", model="linear", folds=4, penalty=0.1, echo=False, yardstick="none",
        out=tmp_path / "run",
    )  # fmt: skip
    found = run.threshold()
    held = pl.read_parquet(run.path / "held" / "linear.parquet")
    assert found.by_rows == "out-of-fold" and set(held["fold"]) == {0, 1, 2, 3}
    assert held["row"].to_list() == run.split()["train"].tolist()
    p = np.array(held["p"].to_list())[:, 1]
    assert found.choice == choose((held["y"] == "yes").to_numpy(), p)


def test_intervals_are_those_of_the_test_rows(run: linnet.Run, numbers: linnet.Run) -> None:
    held = numbers._predictions("linear")
    found = numbers.intervals()
    assert found == conformal.numbers(held["y"], held["prediction"], ["progression"])
    low, high = found.interval(held["prediction"], 0.9)
    assert ((low <= held["y"]) & (held["y"] <= high)).mean() >= 0.9
    assert numbers.intervals(scaled=True).kind == "scaled"
    sets = run.intervals("linear")
    assert sets.kind == "by class" and sets.names == ("no", "yes")
    assert sum(sets.rows) == run.metrics["models"]["linear"]["test"]["rows"]
    shares = [each.share for each in insights.coverage(numbers, "linear", scaled=False)]
    assert len(shares) >= 5 and shares == sorted(shares)


def test_with_test_folds_each_row_is_judged_by_a_model_that_has_not_seen_it(
    folds: linnet.Run, tmp_path: Path
) -> None:
    kept = folds._predictions("linear")
    fold, test = kept["fold"], folds.metrics["models"]["linear"]["test"]
    models = insights.fold_models(folds, "linear", 5)
    for number, model in enumerate(models):
        p = model.predict_proba(table().filter(pl.Series(fold == number)))
        assert p == pytest.approx(kept["p"][fold == number], abs=1e-6)
    found = folds.importance()
    assert found.rows == ROWS and found.base == pytest.approx(test["log_loss"])
    assert found["x"].significant and {each.name for each in found} == {"x", "hour", "kind"}
    parts = folds.slices()
    assert parts.whole == pytest.approx(test["accuracy"]) and parts.rows == ROWS
    assert parts.folds == found.folds == 5
    assert folds.dependence("hour").rows == ROWS
    assert folds.intervals().notes == (conformal.FOLDS,)
    sets, p = folds.cv_plus(), np.stack([each.predict_proba(table()) for each in models])
    y = (kept["y"] == "yes").astype(int)
    own = conformal.CrossCalibration(y, kept["p"], fold, ("no", "yes"), True)
    assert np.array_equal(sets.sets(table(), 0.9).inside, own.sets(p, 0.9).inside)
    assert sets.notes == ()
    plain = insights.collect(folds)
    assert plain["why"] == {} and plain["importance"]["linear"] == found.plain()
    parsed: dict[str, Any] = insights.parsed(plain)
    assert parsed["importance"]["linear"] == found and parsed["slices"]["linear"].folds == 5
    assert "each predicted without its fold" in figures.importance(parsed["importance"]).title
    other = shutil.copytree(folds.path, tmp_path / "run")
    (other / "folds" / "linear-3.safetensors").unlink()
    for call in (linnet.Run(other).importance, linnet.Run(other).slices, linnet.Run(other).cv_plus):
        with pytest.raises(InputError, match="folds/ does not hold the model of each fold"):
            call()
    assert linnet.Run(other).dependence("hour").rows == ROWS


@pytest.mark.parametrize(
    "change",
    [
        {"drop": "p"}, {"drop": "y"}, {"p": [1.0]}, {"p": "high"}, {"p": [0.5, float("nan")]},
        {"fold": -1}, {"fold": "one"}, {"fold": 2**40}, {"y": 7}, {"row": 0.5},
    ],
    ids=str,
)  # fmt: skip
def test_predictions_of_rows_that_chose_are_refused_by_name(
    folds: linnet.Run, tmp_path: Path, change: dict[str, Any]
) -> None:
    """``held/`` and ``predictions/`` may come from anyone."""
    other = shutil.copytree(folds.path, tmp_path / "run")
    for folder in ("held", "predictions"):
        path = other / folder / "linear.parquet"
        frame = pl.read_parquet(folds.path / "predictions" / "linear.parquet")
        if "drop" in change:
            frame = frame.drop(change["drop"])
        else:
            frame = frame.with_columns(**{name: pl.lit(value) for name, value in change.items()})
        path.parent.mkdir(exist_ok=True)
        frame.write_parquet(path)
    calls: list[Callable[[], object]] = [linnet.Run(other).cv_plus, linnet.Run(other).slices]
    calls += [linnet.Run(other).threshold] if "fold" not in change else []
    refused = 0
    for call in calls:
        try:
            call()
        except InputError as error:
            refused += 1
            assert len(str(error)) < 1000
    assert refused
    (other / "held" / "linear.parquet").write_bytes(b"PAR1")
    with pytest.raises((InputError, DataError), match=r"linear\.parquet"):
        linnet.Run(other)._predictions("linear", "held")


def test_cv_plus_by_the_members_of_a_net(tmp_path: Path) -> None:
    run = linnet.train(
        "diabetes", model="mlp", folds=3, epochs=2, widths=[4], out=tmp_path / "run", echo=False,
        yardstick="none",
    )  # fmt: skip
    held = pl.read_parquet(run.path / "held" / "mlp.parquet")
    x = linnet.read("diabetes").x.numpy()
    low, high = run.cv_plus("mlp").interval(x[:7], 0.9)
    mean = run.models["mlp"]
    assert isinstance(mean.module, Mean)
    new = np.stack([replace(mean, module=each).predict(x[:7]) for each in mean.module.each])
    y, prediction, fold = (held[name].to_numpy() for name in ("y", "prediction", "fold"))
    ends = conformal.cv_plus(y, prediction, fold, new, 0.9)
    assert np.array_equal(low, ends[0]) and np.array_equal(high, ends[1]) and len(low) == 7


def test_residuals_and_penalties(run: linnet.Run, numbers: linnet.Run) -> None:
    test = numbers.metrics["models"]["linear"]["test"]
    assert f"MAE {test['mae']:.4g}" in numbers.errors().title
    path = run.penalties()
    chosen = run.metrics["models"]["linear"]["fit"]["penalty"]
    star = path.columns["chosen"].index(True)
    assert path.columns["penalty"][star] == pytest.approx(chosen)
    assert path.columns["loss"][star] == min(path.columns["loss"])
    model = run.models["linear"]
    weights = model.module.state_dict()["linear.weight"][0].tolist()
    shown = [path.columns[f"coefficient {name}"][star] for name in model.schema.columns]
    assert shown == pytest.approx(weights, rel=1e-5)
    assert len(path.columns) == 3 + len(weights)
    folded = numbers.penalties()
    assert "means over the folds" in folded.title and len(folded.columns) == 3 + 10
    at = folded.columns["chosen"].index(True)
    whole = numbers.models["linear"].module.state_dict()["linear.weight"][0].tolist()
    means = [folded.columns[f"coefficient {name}"][at] for name in numbers.model.schema.columns]
    assert means == pytest.approx(whole, rel=0.3, abs=3)  # other rows, nearly the same
    assert sum(folded.columns["chosen"]) == 1 and "out-of-fold" in folded.title
    with pytest.raises(InputError, match=r"errors\(\) is for numbers"):
        run.errors()


def test_a_path_without_coefficients_shows_the_loss(run: linnet.Run, tmp_path: Path) -> None:
    """As of an earlier linnet; and values that make no sense are passed over."""
    whole = insights.penalties(run)
    assert whole.coefficients is not None and np.isfinite(whole.coefficients).all()
    lines = (run.path / "events.jsonl").read_text().splitlines()
    path = [json.loads(line) for line in lines if '"coefficients"' in line]
    assert {each["penalty"] for each in path} == set(whole.penalty) and len(path) > 2
    other = shutil.copytree(run.path, tmp_path / "run")
    wrong: list[Any] = [
        {"places": [0] * 5}, {"places": ["0", 1, 2, 3, 4]}, {"places": [0, 1, 2, 3, 10**9]},
        {"coefficients": [0.0]}, {"coefficients": ["NaN"] * 5}, {"coefficients": [1e308] * 5},
        {"penalty": -1.0}, {"penalty": "Infinity"}, {"total": 10**6}, {"total": None},
        {"places": list(range(10**4)), "coefficients": [1.0] * 10**4, "total": 10**4},
    ]  # fmt: skip
    for change in ({}, *wrong):
        kept = [line for line in lines if '"coefficients"' not in line]
        if change:
            kept += [json.dumps({**each, **change}) for each in path]
        (other / "events.jsonl").write_text("\n".join(kept) + "\n")
        found = insights.penalties(linnet.Run(other))
        assert (found.penalty, found.loss) == (whole.penalty, whole.loss)
        assert found.coefficients is None, change
        assert len(linnet.Run(other).penalties().columns) == 3


def test_what_a_task_does_not_have_is_refused(
    run: linnet.Run, numbers: linnet.Run, folds: linnet.Run, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="a threshold is for classes"):
        numbers.threshold()
    iris = linnet.train("iris", model="linear", out=tmp_path / "iris", echo=False, penalty=0.1)
    with pytest.raises(InputError, match="for two classes, and this run has 3"):
        iris.threshold()
    with pytest.raises(InputError, match="no path of penalties"):
        iris.penalties()
    digits = linnet.train("digits", model="linear", out=tmp_path / "d", echo=False, penalty=1.0)
    with pytest.raises(InputError, match="takes pictures; importance"):
        digits.importance()
    none = shutil.copytree(folds.path, tmp_path / "none")
    held = none / "predictions" / "linear.parquet"
    pl.read_parquet(held).drop("fold").write_parquet(held)
    with pytest.raises(InputError, match="has no test rows, and rows that taught"):
        linnet.Run(none).importance()
    pl.read_parquet(held).with_columns(fold=pl.lit(3)).write_parquet(held)
    with pytest.raises(InputError, match="does not name each fold from 0 to the last"):
        linnet.Run(none).cv_plus()
    with pytest.raises(InputError, match=r'those of "linear" are not kept: intervals\(\) has'):
        numbers.cv_plus()


def test_the_report_keeps_what_it_needs_of_the_rows(run: linnet.Run, tmp_path: Path) -> None:
    """The second report, when the data is gone, shows the same numbers."""
    kept = run.path / insights.FILE
    kept.unlink(missing_ok=True)
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    write([run.path], first)
    plain = json.loads(kept.read_text())
    assert set(plain["importance"]) == set(insights.models_of(run)) and plain["why"] == {}
    data = Path(run.data_place())
    moved = data.rename(data.with_suffix(".gone"))
    try:
        write([run.path], second)
        for page in (first, second):
            words = " ".join(ParsedPage(page.read_text()).words)
            for title in (
                "Which columns matter?", "How do predictions depend on them?",
                "For whom does it fail?", "ROC, and precision against recall", "Thresholds",
                "How sure is each prediction?", "The path of penalties of the line",
            ):  # fmt: skip
                assert title in words, title
            assert plain["threshold"]["words"] in words
        told = insights.read(run.place)
        assert (
            told is not None
            and told["importance"]["linear"].plain() == (plain["importance"]["linear"])
        )
    finally:
        moved.rename(data)
    broken: dict[str, Any] = {**plain, "importance": {"linear": {"columns": 3}}}
    kept.write_text(json.dumps(broken))
    with pytest.raises(InputError, match="remove it, and it is made again"):
        insights.read(run.place)
    write([run.path], first)  # says so, and goes on
    assert "remove it, and it is made again" in " ".join(ParsedPage(first.read_text()).words)
    kept.write_text(json.dumps({**plain, "of": {}}))
    assert insights.read(run.place) is None
    kept.unlink()

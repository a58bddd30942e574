"""Rows that depend on each other: intervals and tests by group and by time, through all doors."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import linnet
from helpers import command
from linnet.core.statistics import blocks, of_share, of_size, paired
from linnet.experiment.evaluate import evaluate
from linnet.experiment.learning_curve import learning_curve
from linnet.runs.run import Run

QUICK: dict[str, Any] = {"epochs": 2, "widths": [4], "lr": 0.01}


def table(shops: int = 30, rows: int = 12) -> pl.DataFrame:
    """Numbers ``y`` and classes ``c``; each shop has an offset that no column shows. ``t`` is the
    row number, and ``year`` changes every 60 rows."""
    random = np.random.default_rng(0)
    shop = np.repeat(np.arange(shops), rows)
    x = random.standard_normal((len(shop), 2))
    y = x @ [1.0, 2.0] + 2 * random.standard_normal(shops)[shop]
    y += random.standard_normal(len(shop))
    return pl.DataFrame(
        {
            "a": x[:, 0], "b": x[:, 1], "shop": [f"shop {i}" for i in shop],
            "t": np.arange(len(shop)), "year": 2000 + np.arange(len(shop)) // 60,
            "y": y, "c": np.where(y > 0, "yes", "no"),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def by_group(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("group")
    table().drop("c", "t", "year").write_csv(folder / "shops.csv")
    return linnet.train(
        folder / "shops.csv", target="y", group="shop", test=0.4, out=folder / "run", **QUICK
    )


@pytest.fixture(scope="module")
def by_time(tmp_path_factory: pytest.TempPathFactory) -> Run:
    drop = ["y", "shop", "year"]
    folder = tmp_path_factory.mktemp("time")
    return linnet.train(table(), target="c", time="t", drop=drop, out=folder / "run", **QUICK)


def predictions(run: Run, model: str) -> pl.DataFrame:
    return pl.read_parquet(run.path / "predictions" / f"{model}.parquet")


def test_intervals_and_tests_of_numbers_are_over_groups(by_group: Run) -> None:
    tests = {name: scores["test"] for name, scores in by_group.metrics["models"].items()}
    rests = {"by": "group", "column": "shop", "units": 12}
    squares = {}
    for name, test in tests.items():
        held = predictions(by_group, name)
        shops = table()["shop"].to_numpy()[held["row"].to_numpy()]
        assert len(np.unique(shops)) == held["group"].n_unique() == 12
        assert (held.group_by("group").agg(pl.len())["len"] == 12).all()
        squares[name] = (held["y"] - held["prediction"]).to_numpy() ** 2
        low, high = np.sqrt(of_size(squares[name], shops))
        assert test["rmse_interval"] == pytest.approx([low, high], rel=1e-9)
        assert test["interval"] == rests
    independent = np.sqrt(of_size(squares["linear"]))
    low, high = tests["linear"]["rmse_interval"]
    assert high - low > 1.5 * (independent[1] - independent[0])
    comparison = by_group.metrics["comparisons"][0]
    found = paired(squares["linear"] - squares["mlp"], shops, "group")
    assert comparison["test"] == "paired t" and comparison["interval"] == rests
    assert comparison["difference_interval"] == pytest.approx(list(found.interval), rel=1e-9)
    assert comparison["p_value"] == pytest.approx(found.p_value, rel=1e-6)
    assert comparison["pair"] == ["mlp", "linear"]
    assert found.why is None or comparison["why"] == found.why


def test_intervals_and_tests_of_classes_are_over_blocks_of_time(by_time: Run) -> None:
    rests = {"by": "time", "column": "t", "units": 5}
    held = {name: predictions(by_time, name) for name in ("linear", "mlp")}
    right = {name: (each["y"] == each["prediction"]).to_numpy() for name, each in held.items()}
    code = blocks(held["linear"]["row"].to_numpy())
    for name, each in held.items():
        test = by_time.metrics["models"][name]["test"]
        assert test["interval"] == rests
        assert each["group"].to_list() == code.tolist()
        assert test["accuracy_interval"] == pytest.approx(list(of_share(right[name], code)))
    comparison = by_time.metrics["comparisons"][0]
    assert comparison["interval"] == rests and comparison["test"] == "paired t"
    assert comparison["pair"] == ["mlp", "linear"]
    assert comparison["only_right"][0] == (right["mlp"] & ~right["linear"]).sum()
    found = paired(right["mlp"] - right["linear"].astype(float), code)
    assert comparison["difference"] == pytest.approx(found.mean)
    chance = comparison["p_adjusted"] >= 0.05
    assert comparison["significant"] == (found.why is None and not chance)


def test_a_run_without_groups_or_times_has_no_such_key(tmp_path: Path) -> None:
    run = linnet.train("iris", out=tmp_path / "run", **QUICK)
    assert all("interval" not in each["test"] for each in run.metrics["models"].values())
    assert all("interval" not in each for each in run.metrics["comparisons"])
    assert "group" not in predictions(run, "linear").columns
    assert run.scores.models["linear"].test.interval is None  # type: ignore[union-attr]


def test_evaluate_and_the_terminal_say_on_what_intervals_rest(by_group: Run) -> None:
    test = by_group.metrics["models"]["linear"]["test"]
    again = evaluate(by_group.path, by_group.path.parent / "shops.csv")
    assert again["models"]["linear"]["test"] == test
    said = (
        "the 95 % intervals, and the tests, take 12 groups of 'shop' as independent, not the rows"
    )
    assert again["data"]["notes"] == [said]
    without = evaluate(by_group.path, table().drop("shop", "c", "t", "year"))
    assert "interval" not in without["models"]["linear"]["test"]
    assert "the intervals take the rows as independent" in without["data"]["notes"][-1]
    assert without["models"]["linear"]["test"]["rmse_interval"] != test["rmse_interval"]
    for words in (["runs", "show", "run"], ["evaluate", "run", "shops.csv"]):
        told = command(*words, cwd=by_group.path.parent).stdout.replace("\n", " ")
        assert said in told


def test_a_learning_curve_has_intervals_over_groups(by_group: Run) -> None:
    curve = learning_curve(by_group)
    assert curve.interval is not None
    assert (curve.interval.by, curve.interval.column, curve.interval.units) == ("group", "shop", 4)
    point = curve.points["linear"][-1]
    assert point.score_interval is not None and point.loss_interval is not None
    assert 0 < point.loss_interval[0] < point.loss < point.loss_interval[1]
    assert by_group.learning_curve().title.endswith("95 % intervals over 4 groups")


def test_calibration_has_intervals_over_groups(by_time: Run) -> None:
    shown = by_time.calibration("linear")
    assert shown.title.endswith("72 rows in 5 groups")
    held = predictions(by_time, "linear")
    p = np.array(held["p"].to_list())
    fullest = int(np.argmax(shown.columns["rows"]))
    low, high = shown.columns["low"][fullest], shown.columns["high"][fullest]
    inside = (p[:, 1] > low) & (p[:, 1] <= high)
    right = (held["y"] == by_time.metrics["models"]["linear"]["test"]["classes"][1]).to_numpy()
    expected = of_share(right[inside], held["group"].to_numpy()[inside])
    ends = [shown.columns[f"accuracy_{end}"][fullest] for end in ("low", "high")]
    assert ends == pytest.approx(list(expected))


def test_of_one_group_there_is_no_interval_and_no_claim(tmp_path: Path) -> None:
    """The last year is all that is tested."""
    frame = table().drop("shop", "t")
    drop, out = ["c"], tmp_path / "run"
    run = linnet.train(frame, target="y", time="year", drop=drop, test=60, out=out, **QUICK)
    read = Run(run.path)
    test, comparison = read.metrics["models"]["linear"]["test"], read.metrics["comparisons"][0]
    assert test["interval"] == {"by": "time", "column": "year", "units": 1}
    assert test["rmse_interval"] == [0.0, "Infinity"]
    assert (comparison["significant"], comparison["why"]) == (False, "too few blocks")
    told = command("runs", "show", "run", cwd=tmp_path)
    assert told.returncode == 0 and "there is no 95 % interval" in told.stdout.replace("\n", " ")
    curve = learning_curve(read, data=frame)
    assert all(point.score_interval is None for point in curve.points["linear"])
    assert not curve.changes["linear"] and "no intervals" in curve.notes[-1]
    assert read.learning_curve().title == "60 validation rows of one group or time: no intervals"


def test_a_column_that_puts_rows_into_parts_leaves_them_independent(tmp_path: Path) -> None:
    part = np.resize(["train", "train", "valid", "test"], 360)
    frame = table().drop("shop", "t", "year", "c").with_columns(part=pl.Series(part))
    run = linnet.train(frame, target="y", split="part", out=tmp_path / "run", **QUICK)
    test = run.metrics["models"]["linear"]["test"]
    held = predictions(run, "linear")
    squares = (held["y"] - held["prediction"]).to_numpy() ** 2
    assert "interval" not in test and "group" not in held.columns
    assert test["rmse_interval"] == pytest.approx(np.sqrt(of_size(squares)).tolist(), rel=1e-9)

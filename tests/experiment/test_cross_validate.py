"""Cross-validation: what is tested has not been seen, in Python and in runs that stop and go on."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import linnet
from helpers import in_process
from linnet.core.statistics import OUT_OF_FOLD_PAIR, of_share, of_size, out_of_fold
from linnet.data.read import read_draft
from linnet.errors import Interrupted, LinnetError
from linnet.experiment import outer
from linnet.experiment.cross_validate import CrossValidation
from linnet.experiment.outer import Outer
from linnet.fit.prepare import prepare
from linnet.fit.recipe import Recipe
from linnet.show.report.page import write

ROOT = Path(__file__).parents[2]

QUICK: dict[str, Any] = {"epochs": 2, "widths": [4], "lr": 0.01}
LINE: dict[str, Any] = {"model": "linear", "yardstick": "none"}


def numbers(rows: int = 60) -> pl.DataFrame:
    """Numbers ``y``, which the columns ``a`` and ``c`` decide, with noise."""
    random = np.random.default_rng(0)
    a, c = random.standard_normal(rows), random.integers(0, 3, rows)
    y = a + c + random.standard_normal(rows)
    return pl.DataFrame({"a": a, "c": [f"kind {i}" for i in c], "y": y})


def classes(rows: int = 60) -> pl.DataFrame:
    """Classes ``y``, which the column ``a`` decides, with noise."""
    random = np.random.default_rng(1)
    a = random.standard_normal(rows)
    y = np.where(a + random.standard_normal(rows) > 0.5, "yes", "no")
    return pl.DataFrame({"a": a, "b": random.standard_normal(rows), "y": y})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    folder = tmp_path_factory.mktemp("folds")
    classes().write_csv(folder / "table.csv")
    place = folder / "table.csv"
    return linnet.train(place, target="y", test="folds", out=folder / "run", **QUICK)


@pytest.fixture(scope="module")
def line() -> CrossValidation:
    return linnet.cross_validate(numbers(), target="y", **LINE)


def outer_of(frame: pl.DataFrame, **settings: Any) -> Outer:
    ready = prepare(frame, Recipe.make({"target": "y", "test": "folds", **LINE, **settings}))
    assert ready.draft is not None
    return Outer.of(ready.draft, ready.recipe, 5)


# what is tested has not been seen


def test_what_a_row_is_says_nothing_about_its_own_prediction() -> None:
    """Another target changes the predictions of rows in other folds, and of none in its own."""
    frame = numbers()
    one = outer_of(frame)
    changed = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(1000.0).otherwise(pl.col("y")).alias("y")
    )
    two = outer_of(changed)
    assert torch.equal(one.fold, two.fold)
    before, after = (each.tested().raws["linear"][:, 0] for each in (one, two))
    own = one.fold == one.fold[7]
    assert torch.equal(before[own], after[own])
    assert (before[~own] != after[~own]).all()


def test_a_fold_is_encoded_and_scaled_by_the_other_rows() -> None:
    frame = numbers().with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("rare")).otherwise(pl.col("c")).alias("c")
    )
    made = outer_of(frame)
    own = int(made.fold[7])
    for number in range(made.count):
        ready = made.ready(number)
        (known,) = (each.categories for each in ready.data.schema.fields if each.name == "c")
        assert ("rare" in known) == (number != own)
        assert sorted(torch.cat(list(ready.parts.values())).tolist()) == list(range(60))
        assert ready.parts["test"].tolist() == (made.fold == number).nonzero()[:, 0].tolist()


def test_it_is_a_fit_for_each_fold(line: CrossValidation) -> None:
    """Of a fold, the prediction is that of a run on the other rows with these inner folds."""
    made = outer_of(numbers())
    raw = made.test(2).raws["linear"]
    ready = made.ready(2)
    train = ready.data.take(ready.parts["train"])
    assert ready.fold is not None and len(ready.fold) == len(train) == 48
    from linnet.fit.fit import fit
    from linnet.fit.resolve import only
    from linnet.insight.evaluation import predict_raw

    model = fit(only(ready.recipe, "linear"), train, ready.fold)
    assert torch.equal(raw, predict_raw(model.module, ready.data.x[ready.parts["test"]]))


def test_validation_rows_shrink_with_the_rows() -> None:
    made = outer_of(numbers(100), valid=0.25)
    assert isinstance(made.recipe.valid, (int, float))
    assert [len(rows) for rows in made.ready(0).parts.values()] == [60, 20, 20]


def test_groups_are_tested_whole() -> None:
    frame = numbers(90).with_columns(pl.Series("shop", [f"s{i // 6}" for i in range(90)]))
    found = linnet.cross_validate(frame, target="y", group="shop", **LINE)
    for shop in range(15):
        assert len(set(found.fold[6 * shop : 6 * shop + 6].tolist())) == 1
    test = found.models["linear"]
    assert test["interval"] == {"by": "group", "column": "shop", "units": 15}


# the scores


def test_scores_are_those_of_the_out_of_fold_predictions(line: CrossValidation) -> None:
    frame = numbers()
    raw = outer_of(frame).tested().raws["linear"][:, 0].numpy()
    squares = (raw - frame["y"].to_numpy()) ** 2
    test = line.models["linear"]
    assert test["rmse"] == pytest.approx(np.sqrt(squares.mean()))
    ends = np.sqrt(of_size(squares, spread=out_of_fold(5)))
    assert test["rmse_interval"] == pytest.approx(list(ends))
    usual = np.sqrt(of_size(squares))
    assert ends[0] < usual[0] < usual[1] < ends[1]
    each = [np.sqrt(squares[line.fold == number].mean()) for number in range(5)]
    assert test["folds"] == pytest.approx(each) and test["by"] == "folds" and test["rows"] == 60
    assert test["rmse"] < line.models["constant"]["rmse"]


def test_as_an_object_it_is_a_line_a_text_and_a_table(line: CrossValidation) -> None:
    assert repr(line).startswith("CrossValidation('frame', 60 rows, 5 folds: constant RMSE ")
    assert "\n" not in repr(line) and line.folds == 5
    rows = line.table()
    assert [row["model"] for row in rows] == ["constant", "linear"]
    assert rows[1]["low"] < rows[1]["rmse"] < rows[1]["high"] and len(rows[1]["folds"]) == 5
    assert "by cross-validation over 5 folds" in line.verdict
    assert line.verdict in str(line) and line._repr_html_().count("<tr") == 3
    with pytest.raises(AttributeError):
        line.rows = 3  # type: ignore[misc]


def test_a_class_of_few_rows_is_tested() -> None:
    frame = classes().with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("rare")).otherwise(pl.col("y")).alias("y")
    )
    found = linnet.cross_validate(frame, target="y", model="linear", folds=4)
    assert found.folds == 4 and np.isfinite(found.models["linear"]["log_loss"])
    assert found.models["linear"]["classes"] == ["no", "rare", "yes"]
    assert found.yardstick["trees"]["support"][1] == 1


# a run


def test_a_run_has_the_scores_of_cross_validate(run: linnet.Run) -> None:
    found = linnet.cross_validate(classes(), target="y", **QUICK)
    for name in ("constant", "linear", "mlp"):
        assert run.metrics["models"][name]["test"] == found.models[name]
    assert run.metrics["yardstick"]["trees"]["test"] == found.yardstick["trees"]
    assert run.metrics["comparisons"] == list(found.comparisons)
    assert "by cross-validation over 5 folds" in run.verdict
    assert run.scores.models["mlp"].test is not None and run.scores.models["mlp"].test.by == "folds"
    assert "60 rows by folds" in repr(run.model)


def test_its_models_are_fitted_to_all_rows(run: linnet.Run) -> None:
    parts = run.split()
    assert parts["train"].tolist() == list(range(60)) and not len(parts["test"])
    held = linnet.train(classes(), target="y", test=0.2, out=run.path.parent / "held", **QUICK)
    assert run.models["mlp"].manifest.data["train_rows"] == 60
    assert held.models["mlp"].manifest.data["train_rows"] == 48


def test_its_predictions_are_of_all_rows(run: linnet.Run) -> None:
    for name in ("linear", "mlp", "trees"):
        found = pl.read_parquet(run.path / "predictions" / f"{name}.parquet")
        assert found["row"].to_list() == list(range(60))
        assert found["y"].to_list() == classes()["y"].to_list()
        assert sorted(found["fold"].value_counts()["count"]) == [12] * 5
        right = (found["y"] == found["prediction"]).to_numpy()
        every = {**run.metrics["models"], **run.metrics["yardstick"]}
        test = every[name]["test"]
        assert test["accuracy"] == right.mean()
        assert test["accuracy_interval"] == pytest.approx(of_share(right, spread=out_of_fold(5)))
    assert run.confusion() and run.calibration() and run.mistakes()


def test_people_are_told_that_it_was_tested_by_folds(run: linnet.Run) -> None:
    told = in_process("runs", "show", run.path).stdout
    assert "5 folds (95 % interval)" in told and "by cross-validation over 5 folds" in told
    assert "1.1 times as wide" in told
    report = run.path / "report.html"
    write([run.path], report)
    text = report.read_text("utf-8")
    assert "5 folds (95 % interval)" in text and "1.1 times as wide" in text


def test_its_record_says_how_far_it_is(run: linnet.Run) -> None:
    told = [each for each in run.events() if each["event"] == "fold"]
    assert [each["done"] for each in told] == list(range(1, 16))
    assert told[-1] | {"time": 0} == {
        "event": "fold", "time": 0, "model": "mlp", "fold": 5, "folds": 5, "done": 15, "fits": 15,
    }  # fmt: skip


def test_a_run_that_stops_among_the_folds_goes_on_to_the_same(
    run: linnet.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Outer.test
    tested: list[int] = []

    def stops(self: Outer, number: int, record: Any = None, models: Any = None) -> Any:
        if number == 3 and not tested.count(3):
            tested.append(3)
            raise Interrupted(2)
        tested.append(number)
        return real(self, number, record, models)

    monkeypatch.setattr(Outer, "test", stops)
    place, out = run.path.parent / "table.csv", tmp_path / "run"
    with pytest.raises(Interrupted, match="Continue with: linnet train --resume"):
        linnet.train(place, target="y", test="folds", out=out, **QUICK)
    spoiled = out / "checkpoints" / "fold-1.safetensors"
    content = bytearray(spoiled.read_bytes())
    content[-1] ^= 1
    spoiled.write_bytes(content)
    tested.clear()
    tested.append(3)
    again = linnet.train(resume=out)
    assert tested == [3, 1, 3, 4]  # the damaged one too
    for kind in ("models", "yardstick"):
        for name, each in run.metrics[kind].items():
            assert again.metrics[kind][name]["test"] == each["test"]
    assert again.metrics["comparisons"] == run.metrics["comparisons"]
    assert not (out / "checkpoints").exists()
    for name in ("linear", "mlp"):
        one, other = (each.path / "predictions" / f"{name}.parquet" for each in (run, again))
        assert pl.read_parquet(one).equals(pl.read_parquet(other))
        for fold in range(5):
            file = Path("folds") / f"{name}-{fold}.safetensors"
            mine, theirs = (load_file(each.path / file) for each in (run, again))
            assert all(torch.equal(mine[key], theirs[key]) for key in mine) and mine


def test_a_run_from_its_weights_is_not_tested_on_the_rows_they_have_seen(run: linnet.Run) -> None:
    later = linnet.train(parent=run.path, out=run.path.parent / "later", epochs=1)
    assert "No rows were kept for a test" in later.verdict
    with pytest.raises(LinnetError, match="have seen the rows of every fold"):
        linnet.train(parent=run.path, test="folds", out=run.path.parent / "never")


# refusals


@pytest.mark.parametrize(
    ("frame", "settings", "words"),
    [
        (numbers(24), {}, "there are 24 rows, and they need 25"),
        (numbers().with_columns(t=pl.int_range(60)), {"time": "t"}, "with time the rows that test"),
        (
            numbers().with_columns(part=pl.Series(["train"] * 40 + ["test"] * 20)),
            {"split": "part"},
            "the data names its own parts",
        ),
        (
            numbers().with_columns(g=pl.int_range(60) % 4),
            {"group": "g", "folds": 1},
            "different groups",
        ),
    ],
)
def test_data_that_folds_do_not_suit_is_refused(
    frame: pl.DataFrame, settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(LinnetError, match=words):
        linnet.train(frame, target="y", test="folds", out=tmp_path / "run", **LINE, **settings)
    assert not (tmp_path / "run").exists()


def test_pictures_and_modules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LinnetError, match="they are for tables, and these are pictures"):
        linnet.cross_validate("digits", model="linear")
    net = torch.nn.Linear(2, 1)
    with pytest.raises(LinnetError, match="a module of your own is trained once"):
        linnet.train(classes(), target="y", test="folds", network=net, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"folds": 2.5}, "a whole number from 2"),
        ({"folds": 1}, "expected 2 to 127 folds"),
        ({"folds": 61}, "no more than there are different rows"),
        ({"test": 0.2}, "leave out test"),
        ({"recipe": "y"}, "expected a Recipe"),
        ({"model": "nothing"}, "nothing"),
    ],
)
def test_arguments_without_a_meaning_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(LinnetError, match=words):
        linnet.cross_validate(numbers(), **{"target": "y", **LINE, **given})


def test_the_draft_is_kept_for_folds_alone() -> None:
    settings = {"target": "y", **LINE}
    assert prepare(numbers(), Recipe.make(settings)).draft is None
    kept = prepare(numbers(), Recipe.make({**settings, "test": "folds"})).draft
    assert kept is not None and len(kept) == len(read_draft(numbers(), Recipe.make(settings)))


# how often the intervals hold


@pytest.mark.slow
def test_intervals_hold_the_error_of_the_model_that_is_fitted_to_all_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The short form of ``benchmarks/tables/coverage.py``: 40 tables of 150 rows."""
    place = ROOT / "benchmarks" / "tables" / "coverage.py"
    spec = importlib.util.spec_from_file_location("tables_coverage", place)
    assert spec is not None and spec.loader is not None
    coverage = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, coverage)
    spec.loader.exec_module(coverage)
    counts = coverage.Counts()
    for number in range(40):
        coverage.measure(counts, number, 150, bool(number % 4 < 2), net=False)
    assert counts.share(f"holds {out_of_fold(5):.2f}") >= 90
    assert counts.share("honest") >= 90
    assert counts.share(f"false {OUT_OF_FOLD_PAIR:.2f}") <= 6
    held = [counts.share(f"holds {spread:.2f}") for spread in coverage.SPREADS]
    assert held == sorted(held)
    assert outer.OUTER == 5

"""The learning curve: parts within parts, validation rows alone, the run's own fit at the end."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import linnet
from linnet.cli import app
from linnet.core import files
from linnet.core.every import Every
from linnet.core.history import History
from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.data.split import Division
from linnet.errors import DataError, InputError
from linnet.experiment.learning_curve import MIN_ROWS, learning_curve, nested, same_steps
from linnet.figures import learning_curve as figure
from linnet.figures.static import draw
from linnet.fit.fit import fit
from linnet.fit.recipe import Recipe
from linnet.fit.settings import read_recipe
from linnet.insight.diagnosis import MOST_WORTH, WORTH, diagnose
from linnet.runs.curve import read
from linnet.runs.directory import LEARNING, read_fold

EVIL = "<img src=x onerror=alert(1)>"


def table(path: Path, rows: int = 240, poisoned: Any = ()) -> Path:
    """A CSV of two classes; of the rows numbered ``poisoned`` the numbers are rubbish."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(rows, 3))
    y = (x[:, 0] + 0.5 * draws.normal(size=rows) > 0).astype(int)
    kind = draws.choice(["a", "b", "c"], rows)
    for row in poisoned:
        x[row], y[row], kind[row] = 1000.0 + row, 1 - y[row], "a"
    frame = pl.DataFrame({"u": x[:, 0], "v": x[:, 1], "w": x[:, 2], "kind": kind, "y": y})
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    path = tmp_path_factory.mktemp("learning") / "digits"
    run = linnet.train("digits", epochs=3, widths=[16], out=path)
    learning_curve(run)
    return run


def rows_of(codes: list[int], kind: str | None = None, values: list[int] | None = None) -> Dataset:
    """Training rows with the given class codes, and perhaps a division."""
    y = torch.tensor(codes)
    schema = Schema(
        example="row", shape=(1,), columns=("u",), dtype="float32", task="classification",
        targets=("y",), classes=tuple(range(max(codes) + 1)), class_kind="int",
    )  # fmt: skip
    division = kind and Division(kind, "g", torch.tensor(values))  # type: ignore[arg-type]
    return Dataset(torch.zeros(len(y), 1), y, schema, division=division or None)


def test_parts_lie_within_each_other_and_keep_every_class() -> None:
    codes = [0] * 700 + [1] * 290 + [2] * 10
    drawn, parts = nested(rows_of(codes), seed=3)
    assert drawn == "classes" and [len(part) for part in parts] == [125, 250, 500]
    for part, larger in pairwise(parts):
        assert set(part.tolist()) < set(larger.tolist())
    for part in parts:
        assert part.tolist() == sorted(part.tolist())
        counts = torch.tensor(codes)[part].bincount(minlength=3).tolist()
        expected = [len(part) * share for share in (0.7, 0.29, 0.01)]
        assert all(abs(n - e) <= 1 for n, e in zip(counts, expected, strict=True))
        assert min(counts) >= 1
    again, other = nested(rows_of(codes), seed=3)[1], nested(rows_of(codes), seed=4)[1]
    assert all(torch.equal(a, b) for a, b in zip(parts, again, strict=True))
    assert not torch.equal(parts[0], other[0])


def test_groups_stay_whole() -> None:
    groups = [row // 7 for row in range(700)]
    drawn, parts = nested(rows_of([0, 1] * 350, "group", groups), seed=0)
    assert drawn == "groups"
    assert all(abs(len(part) - size) < 7 for part, size in zip(parts, (87, 175, 350), strict=True))
    for part in parts:
        chosen = {groups[row] for row in part.tolist()}
        assert len(part) == 7 * len(chosen)
    assert set(parts[0].tolist()) < set(parts[1].tolist()) < set(parts[2].tolist())


def test_of_a_division_by_time_the_latest_rows_are_taken() -> None:
    times = [(row * 37) % 400 // 2 for row in range(400)]  # two rows of each time, in disorder
    drawn, parts = nested(rows_of([0, 1] * 200, "time", times), seed=0)
    assert drawn == "latest"
    for part, size in zip(parts, (50, 100, 200), strict=True):
        assert len(part) == size
        assert min(times[row] for row in part.tolist()) == 200 - size // 2


def test_two_groups_give_no_part_twice() -> None:
    _, parts = nested(rows_of([0, 1] * 50, "group", [0, 0, 1, 1] * 25), seed=0)
    assert [len(part) for part in parts] == [50]


def test_as_many_steps_on_fewer_rows() -> None:
    recipe = Recipe.make({"model": "mlp", "batch_size": 50, "epochs": 12, "warmup": 2})
    part = same_steps(recipe, 600, 4800)
    steps = part.epochs * math.ceil(600 / 50) if isinstance(part.epochs, int) else 0
    assert (
        steps == 12 * math.ceil(4800 / 50)
        and part.evaluate_every == Every(96, "steps")
        and part.warmup == 16
    )
    whole = same_steps(recipe, 4800, 4800)
    assert (whole.epochs, whole.evaluate_every) == (12, Every(96, "steps"))
    line = recipe.override({"model": "linear"})
    assert same_steps(line, 600, 4800) is line
    falls = recipe.override({"schedule": "step", "step_size": 5, "evaluate_every": "2 epochs"})
    assert same_steps(falls, 600, 4800).step_size == 40
    assert same_steps(falls, 600, 4800).evaluate_every == Every(192, "steps")


def test_the_end_of_the_curve_is_the_run(digits: linnet.Run) -> None:
    curve = read(digits.path)
    assert curve is not None and curve.drawn == "classes" and curve.notes == ()
    for name, scores in digits.metrics["models"].items():
        points = curve.points[name]
        assert [point.rows for point in points] == [143, 287, 575, 1150]
        assert (points[-1].loss, points[-1].score) == (
            scores["valid"]["loss"],
            scores["valid"]["accuracy"],
        )
        for point in points:
            assert point.loss_interval is not None and point.score_interval is not None
            assert point.loss_interval[0] < point.loss < point.loss_interval[1]
            assert point.score_interval[0] <= point.score <= point.score_interval[1]
        assert [change.before for change in curve.changes[name]] == [143, 287, 575]
        for point, change in zip(points, curve.changes[name], strict=False):
            assert math.isclose(change.fall, point.loss - points[-1].loss, abs_tol=1e-9)
            assert change.fall_interval[0] < change.fall < change.fall_interval[1]
    assert curve.points["linear"][0].loss > curve.points["linear"][-1].loss
    assert curve.points["mlp"][0].penalty is None
    assert (
        curve.points["linear"][-1].penalty == digits.metrics["models"]["linear"]["fit"]["penalty"]
    )


def test_it_is_the_same_again_and_kept(digits: linnet.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    path = digits.path / LEARNING
    first = path.read_bytes()
    path.unlink()
    learning_curve(digits)
    assert path.read_bytes() == first
    monkeypatch.setattr("linnet.experiment.learning_curve.fit", None)
    assert learning_curve(digits) == read(digits.path)
    assert json.loads(first)["format"] == 1


def test_one_of_another_recipe_or_split_does_not_count(digits: linnet.Run, tmp_path: Path) -> None:
    path = digits.path / LEARNING
    plain = json.loads(path.read_text())
    kept = path.read_bytes()
    try:
        files.write_json(path, {**plain, "of": {**plain["of"], "recipe.toml": "0" * 64}})
        assert read(digits.path) is None
        with pytest.raises(InputError, match=r"linnet report .* --learning-curve"):
            digits.learning_curve()
        files.write_json(path, {**plain, "format": 2})
        with pytest.raises(InputError, match="format 2; this linnet reads up to 1"):
            read(digits.path)
        files.write_json(path, {**plain, "points": [EVIL]})
        with pytest.raises(InputError, match="points"):
            read(digits.path)
    finally:
        path.write_bytes(kept)


def test_test_rows_are_not_touched(tmp_path: Path) -> None:
    place = table(tmp_path / "t.csv")
    run = linnet.train(
        str(place), target="y", epochs=4, widths=[8], out=tmp_path / "run", model=["linear", "mlp"]
    )
    clean = learning_curve(run)
    (run.path / LEARNING).unlink()
    test = run.split()["test"].tolist()
    assert test
    table(place, poisoned=test)
    with pytest.raises(DataError, match="fingerprint differs"):
        learning_curve(run)
    info = json.loads((run.path / "run.json").read_text())
    recipe = Recipe.make(read_recipe(run.path / "recipe.toml"))
    dataset = linnet.data.read.read_draft(str(place), recipe)
    dataset = dataset.learn(run.split()["train"], recipe.max_categories)
    info["data"]["fingerprint"] = dataset.fingerprint()
    files.write_json(run.path / "run.json", info)
    assert learning_curve(linnet.Run(run.path)) == clean


def test_a_part_learns_its_columns_from_its_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(table(tmp_path / "t.csv"))
    run = linnet.train(place, target="y", model="linear", folds=1, out=tmp_path / "run")
    seen = []

    def spy(recipe: Recipe, train: Dataset, valid: Dataset, **more: Any) -> Any:
        assert train.schema == valid.schema and len(valid) == len(run.split()["valid"])
        assert train.schema.classes == run.model.schema.classes
        if recipe.model == ("linear",):
            model = fit(recipe, train, valid, **more)
            mean = model.module.state_dict()["scaling.shift"].double()
            assert torch.allclose(mean[:3], train.x[:, :3].double().mean(0), atol=1e-5)
            seen.append(len(train))
            return model
        return fit(recipe, train, valid, **more)

    monkeypatch.setattr("linnet.experiment.learning_curve.fit", spy)
    learning_curve(run)
    rows = len(run.split()["train"])
    assert seen == [n for n in (rows // 8, rows // 4, rows // 2) if n >= MIN_ROWS]


@pytest.mark.slow
def test_too_few_rows_are_left_out_and_said(tmp_path: Path) -> None:
    place = str(table(tmp_path / "t.csv", rows=90))
    run = linnet.train(place, target="y", model="linear", folds=1, out=tmp_path / "run")
    curve = learning_curve(run)
    rows = len(run.split()["train"])
    assert [point.rows for point in curve.points["linear"]] == [rows // 2, rows]
    assert curve.notes == (
        f"not fitted on {rows // 8} rows: fewer than 20",
        f"not fitted on {rows // 4} rows: fewer than 20",
    )
    done = CliRunner().invoke(app, ["report", str(run.path), "--static"])
    assert done.exit_code == 0
    assert f"not fitted on {rows // 8} rows" in (run.path / "report.html").read_text()


def test_regression_by_groups(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    x = draws.normal(size=(400, 2))
    frame = pl.DataFrame({"u": x[:, 0], "v": x[:, 1], "g": [f"g{i // 5}" for i in range(400)]})
    frame = frame.with_columns(y=pl.Series(x @ [1.0, 2.0] + draws.normal(size=400)))
    run = linnet.train(frame, target="y", group="g", model="linear", folds=1, out=tmp_path / "run")
    with pytest.raises(InputError, match=r"trained on data in memory.*data="):
        learning_curve(run)
    with pytest.raises(DataError, match="fingerprint differs"):
        learning_curve(run, data=frame.with_columns(u=pl.col("u") + 1))
    curve = learning_curve(run, data=frame)
    assert curve.score == "rmse" and curve.drawn == "groups"
    points = curve.points["linear"]
    assert points[-1].score == run.metrics["models"]["linear"]["valid"]["rmse"]
    assert math.isclose(points[-1].loss, points[-1].score ** 2 / 2, rel_tol=1e-9)
    assert "RMSE" in str(run.learning_curve().layout["yaxis2"]["title"])


def test_class_weights_weigh_the_same_at_every_size(tmp_path: Path) -> None:
    run = linnet.train(
        "breast_cancer", model="linear", class_weight="balanced", folds=1, out=tmp_path / "run"
    )
    curve = learning_curve(run)
    changes, points = curve.changes["linear"], curve.points["linear"]
    for each in changes:
        assert math.isclose(each.loss_before - each.loss, each.fall, abs_tol=1e-7)
    assert points[-1].loss == run.metrics["models"]["linear"]["valid"]["loss"]


def test_of_a_run_by_folds_one_fold_scores_and_the_others_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(table(tmp_path / "t.csv"))
    run = linnet.train(place, target="y", model="linear", out=tmp_path / "run")
    kept, train = read_fold(run.path), run.split()["train"]
    assert kept is not None
    truth, seen = pl.read_csv(place)["u"].to_torch(), []

    def spy(recipe: Recipe, train: Dataset, fold: torch.Tensor, **more: Any) -> Any:
        seen.append((train, fold))
        return fit(recipe, train, fold, **more)

    monkeypatch.setattr("linnet.experiment.learning_curve.fit", spy)
    curve = learning_curve(run)
    scoring = truth[train[kept == 0]].float()
    others = int((kept > 0).sum())
    assert [point.rows for point in curve.points["linear"]] == [
        n for n in (others // 8, others // 4, others // 2, others) if n >= MIN_ROWS
    ]
    assert curve.valid_rows == len(scoring) and others + len(scoring) == len(train)
    for rows, fold in seen:
        assert not torch.isin(rows.x[:, 0], scoring).any()
        assert set(fold.tolist()) == {1, 2, 3, 4} and len(fold) == len(rows)
    few = linnet.train(place, target="y", model="linear", folds=2, out=tmp_path / "few")
    with pytest.raises(InputError, match="folds=3 or more"):
        learning_curve(few)


def test_what_cannot_have_one_is_refused(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    own = linnet.train("iris", network=net, epochs=1, out=tmp_path / "own")
    with pytest.raises(InputError, match=r"module of your own.*model=linear"):
        learning_curve(own)
    bare = linnet.train("iris", model="linear", valid=0, out=tmp_path / "bare")
    with pytest.raises(InputError, match="this run has none"):
        learning_curve(bare)
    done = CliRunner().invoke(app, ["report", str(tmp_path / "bare"), "--learning-curve"])
    assert done.exit_code == 2 and "validation rows" in done.stderr
    assert not (tmp_path / "bare" / "report.html").exists()
    for run in (own, bare):
        with pytest.raises(InputError, match="no learning curve yet"):
            run.learning_curve()


def test_the_command_makes_it_once_for_each_run(tmp_path: Path) -> None:
    for name in ("iris", "wine"):
        linnet.train(name, model="linear", out=tmp_path / name)
    words = ["report", str(tmp_path / "iris"), str(tmp_path / "wine"), "--learning-curve", "--out"]
    done = CliRunner().invoke(app, [*words, str(tmp_path / "r.html")])
    assert done.exit_code == 0, done.stderr
    assert "linear on" in done.stderr
    for name in ("iris", "wine"):
        (claim,) = [c for c in linnet.Run(tmp_path / name).reasons() if "ore data" in c.text]
        assert f"{tmp_path / name}: {claim}" in done.stdout
    page = (tmp_path / "r.html").read_text()
    assert page.count(">Would more data help?</h2>") == 2
    again = CliRunner().invoke(app, [*words, str(tmp_path / "s.html")])
    assert again.stderr == "" and again.stdout.splitlines()[:-1] == done.stdout.splitlines()[:-1]


def test_a_report_shows_it_when_it_is_there(digits: linnet.Run, tmp_path: Path) -> None:
    from linnet.show.report.page import write
    from linnet.show.view.panels import KINDS, make

    write([digits.path], tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "Would more data help?" in text and "the test rows are not used" in text
    for claim in digits.reasons():
        assert str(claim).replace("'", "&#x27;") in text
    assert "learning" in KINDS
    assert make(digits, "learning", "")["data"] == digits.learning_curve().data


def test_the_figure_shows_the_points(digits: linnet.Run) -> None:
    curve = read(digits.path)
    assert curve is not None
    shown = digits.learning_curve()
    names = [trace["name"] for trace in shown.data]
    assert names == ["linear", "mlp", "linear", "mlp"]  # loss, then accuracy; no constant
    for trace in shown.data:
        assert trace["customdata"] == [143, 287, 575, 1150]
        assert np.allclose(trace["x"], trace["customdata"], rtol=0.03)
    loss, accuracy = shown.data[0], shown.data[2]
    points = curve.points["linear"]
    assert np.allclose(loss["y"], [point.loss for point in points], rtol=1e-5)
    assert np.allclose(accuracy["y"], [100 * point.score for point in points], rtol=1e-5)
    low = np.array(loss["y"]) - loss["error_y"]["arrayminus"]
    assert np.allclose(low, [(point.loss_interval or (0,))[0] for point in points], rtol=1e-4)
    assert shown.layout["xaxis"]["type"] == "log"
    assert shown.layout["xaxis"]["ticktext"] == ["143", "287", "575", "1,150"]
    assert shown.columns["rows"] == 3 * [143, 287, 575, 1150]
    assert shown.columns["loss"][-1] == digits.metrics["models"]["mlp"]["valid"]["loss"]
    pytest.importorskip("matplotlib")
    assert draw(shown, "png").startswith(b"\x89PNG")


def test_names_in_the_figure_are_text() -> None:
    point = {"rows": 10, "loss": 1.0, "loss_interval": (0.5, 2.0), "score": 0.5}
    shown = figure({EVIL: [{**point, "score_interval": (0.4, 0.6)}]}, "accuracy", 100)
    assert "<" not in json.dumps(shown.plain()) and EVIL in shown.columns["model"]
    with pytest.raises(InputError):
        figure({}, "rmse", 0)


def change(before: int, fall: float, low: float, high: float) -> dict[str, Any]:
    """A change of a loss of 1 between ``before`` rows and 1,000."""
    return {
        "before": before, "rows": 1000, "loss_before": 1.0, "loss": 1.0 - fall, "fall": fall,
        "fall_interval": [low, high],
    }  # fmt: skip


def twice(share: float) -> float:
    """The fall of a loss of 1 that fell by a share two times."""
    return 1 - (1 - share) ** 2


@pytest.mark.parametrize(
    ("last", "longer", "cause"),
    [
        ((0.2, 0.1, 0.3), (0.3, 0.2, 0.4), "more rows help"),
        ((0.2, -0.1, 0.5), (0.3, 0.2, 0.4), "more rows help"),
        ((1.01 * WORTH, -0.1, 0.2), (twice(1.01 * WORTH), 0.001, 0.3), "more rows help"),
        ((0.2, -0.1, 0.4), (0.3, -0.001, 0.6), "more rows unclear"),
        ((0.01, -0.2, 0.3), (0.3, 0.2, 0.4), "more rows unclear"),
        ((0.01, -0.2, 0.99 * MOST_WORTH), (0.3, 0.2, 0.4), "more rows hardly help"),
        ((0.01, -0.2, 0.3), (0.01, -0.2, twice(0.99 * MOST_WORTH)), "more rows hardly help"),
        ((-0.02, -0.04, 0.01), (0.01, -0.02, 0.03), "more rows hardly help"),
        ((-0.3, -1.5, 0.3), (-0.2, -1.5, 0.4), "more rows unclear"),
    ],
)
def test_what_changes_mean(last: Any, longer: Any, cause: str) -> None:
    changes = [change(125, 0.9, 0.8, 0.95), change(250, *longer), change(500, *last)]
    (claim,) = diagnose(History(), changes={"constant": changes, "mlp": changes, "linear": []})
    assert (claim.cause, claim.model) == (cause, "mlp")
    assert claim.figures["fall"] == pytest.approx(last[0])
    assert twice(claim.figures["long fall low"]) == pytest.approx(longer[1])
    assert (claim.figures["rows before"], claim.figures["rows long before"]) == (500.0, 250.0)
    assert "help mlp" in claim.text and "between 500 and 1,000 rows" in claim.text


def test_one_change_is_told_of_once() -> None:
    (claim,) = diagnose(History(), changes={"linear": [change(500, 0.2, 0.1, 0.3)]})
    assert claim.cause == "more rows help" and claim.text.count("95 % interval") == 1


@pytest.mark.slow
def test_a_line_on_few_columns_is_flat_and_a_net_on_mnist_is_steep(tmp_path: Path) -> None:
    draws = np.random.default_rng(5)
    x = draws.normal(size=(3000, 5))
    y = x @ draws.normal(size=5) + draws.normal(size=3000)
    flat = linnet.train((x, y), model="linear", out=tmp_path / "flat")
    learning_curve(flat, data=(x, y))
    assert "more rows hardly help" in [claim.cause for claim in flat.reasons()]
    data = linnet.read("mnist")
    rows = torch.randperm(60_000, generator=torch.Generator().manual_seed(0))[:2500]
    some = data.x[rows, 0].numpy(), data.y[rows].numpy()
    steep = linnet.train(some, model="mlp", widths=[64], valid=0.4, out=tmp_path / "steep")
    curve = learning_curve(steep, data=some)
    assert ("more rows help", "mlp") in [(c.cause, c.model) for c in steep.reasons()]
    losses = [point.loss for point in curve.points["mlp"]]
    assert losses == sorted(losses, reverse=True)

"""Tables: kinds of columns, encoding, targets, divisions, and models that take them by name."""

import json
import os
import warnings
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars as pl
import pyarrow
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from typer.testing import CliRunner

import linnet
from linnet.cli import app
from linnet.core import memory
from linnet.data.read import read_draft
from linnet.data.reading import Reading
from linnet.data.survey import MAX_CATEGORIES
from linnet.errors import DataError, InputError, LinnetWarning, RecipeError
from linnet.experiment.evaluate import evaluate
from linnet.experiment.predict import predict

Values = Mapping[str, Any]
DRAWS = np.random.default_rng(0)
ROWS = 200
PARTS = ("train", "valid", "test")


def data_file(name: str) -> Path:
    root = os.environ.get("LINNET_DATA")
    if not root or not (Path(root) / name).is_file():
        pytest.skip(f"LINNET_DATA does not point at a folder with {name}")
    return Path(root) / name


def titanic() -> pandas.DataFrame:
    return pandas.read_csv(data_file("titanic.csv"))


def adult() -> pandas.DataFrame:
    frame = pandas.read_csv(
        data_file("adult.data"), header=None, skipinitialspace=True, na_values="?",
        keep_default_na=False,
    )  # fmt: skip
    frame.columns = [f"c{index}" for index in range(15)]
    return frame


def frame(**changes: Any) -> pl.DataFrame:
    """A table of every kind, its target ``y``; a column changed, or left out if None."""
    draws = np.random.default_rng(1)
    values: dict[str, Any] = {
        "number": draws.normal(size=ROWS).round(3),
        "colour": draws.choice(["red", "green", "blue"], ROWS),
        "open": draws.choice(["yes", "no"], ROWS),
        "when": [f"2024-0{1 + row % 9}-1{row % 10}" for row in range(ROWS)],
        "name": [f"Somebody the {row}th" for row in range(ROWS)],
        "ticket": [f"A{row * 7919}" for row in range(ROWS)],
        "same": ["x"] * ROWS,
        "level": draws.integers(1, 4, ROWS),
        "y": draws.choice(["good", "bad"], ROWS),
    }
    return pl.DataFrame({k: v for k, v in (values | changes).items() if v is not None})


def kinds(table: pl.DataFrame, **settings: Any) -> dict[str, str]:
    data = read_draft(table, Reading.parse({"target": ["y"], **settings}, "test"))
    return {field.name: field.kind for field in data.schema.fields}


# Kinds


def test_every_kind_is_found() -> None:
    assert kinds(frame()) == {
        "number": "number", "colour": "category", "open": "boolean", "when": "date",
        "name": "text", "ticket": "identifier", "same": "constant", "level": "category",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 3] * 6, "number"),  # too few rows to say that 1, 2, 3 are codes
        ([1, 2, 3] * 20, "category"),
        ([1.0, 2.0, 3.0, None] * 30, "category"),
        ([1.5, 2.0, 3.0] * 20, "number"),
        ([0, 1] * 30, "number"),
        (list(range(6)) * 30, "number"),
        ([7, None] * 30, "number"),
        (["on", None] * 30, "category"),
        (["on", "off"] * 30, "category"),
        (["yes", "No"] * 30, "boolean"),
        (["T", "f"] * 30, "boolean"),
        ([True, False, None] * 30, "boolean"),
        ([True] * 60, "constant"),
        ([None] * 60, "constant"),
        (["2024-02-29", "2023-12-31"] * 30, "date"),
        (["2024-02-29 10:00", "2023-12-31 09:30"] * 30, "date"),
        (["2024-02-29T10:00:00Z", "2023-12-31T09:30:00.5Z"] * 30, "date"),
        (["29.02.2024", "31.12.2023"] * 30, "date"),
        (["13/02/2024", "01/12/2023"] * 30, "date"),
        (["02/13/2024", "12/01/2023"] * 30, "date"),
        (["2024-02-29T10:00:00+01:00", "2023-12-31T09:30:00Z"] * 30, "date"),
        (["Feb 29, 2024", "31-Dec-23"] * 30, "date"),
        (["10:30", "9:15 PM"] * 30, "number"),
        (["$1,200.50", "(45)", "-"] * 30, "number"),
        (["12 kg", "7.5 kg"] * 30, "category"),  # two words may be names: 2WD and 4WD
        ([date(2024, 1, 1), date(2024, 1, 2)] * 30, "date"),
        ([f"code{n}" for n in range(60)], "identifier"),
        ([f"some words {n}" for n in range(60)], "text"),
        (["a", "b", "c", "d", "e", "f"], "identifier"),
        (["a", "b", "c", "a", "b", "c"], "category"),
    ],
)
def test_the_kind_is_what_the_values_say(values: list[Any], kind: str) -> None:
    table = pl.DataFrame({"v": values, "n": DRAWS.normal(size=len(values))}, strict=False)
    table = table.with_columns(y=pl.Series(DRAWS.integers(0, 2, len(values)) * 0.5))
    assert kinds(table)["v"] == kind


@pytest.mark.parametrize("name", ["id", "user_id", "Unnamed: 0", "rownumber", "ID"])
def test_whole_numbers_that_name_rows_are_identifiers(name: str) -> None:
    assert kinds(frame(**{name: DRAWS.permutation(ROWS) * 7}))[name] == "identifier"
    assert kinds(frame(**{name: np.arange(ROWS) // 2}))[name] == "number"  # not all different
    assert kinds(frame(count=np.arange(ROWS)))["count"] == "number"


def test_kinds_are_declared_and_columns_dropped() -> None:
    found = kinds(frame(), columns={"level": "number", "name": "category"}, drop=["open", "when"])
    assert found["level"] == "number" and found["name"] == "category" and "open" not in found
    with pytest.raises(DataError, match="row 0, column 'colour': 'red' is not a number"):
        kinds(frame(), columns={"colour": "number"})
    with pytest.raises(DataError, match="'colour': 'red' is not a date, but the column is decl"):
        kinds(frame(colour=["red"] * 100 + ["blue"] * 100), columns={"colour": "date"})
    with pytest.raises(DataError, match='did you mean "colour"'):
        kinds(frame(), columns={"color": "category"})
    with pytest.raises(DataError, match='did you mean "colour"'):
        kinds(frame(), drop=["color"])
    with pytest.raises(RecipeError, match="categoric"):
        linnet.read(frame(), "y", columns={"colour": "categoric"})


def test_a_date_among_dates_that_is_none_is_refused_by_row() -> None:
    dates = [f"2024-01-{1 + row % 28:02}" for row in range(ROWS)]
    dates[150] = "soon"
    with pytest.raises(DataError, match=r"row 150.*'when'.*'soon'.*199 of the column's 200"):
        kinds(frame(when=dates))
    days = ["01/02/2024", "03/04/2024"] * 100
    with pytest.raises(DataError, match=r"the day or the month first.*dates=dmy or --set dates=m"):
        kinds(frame(when=days))
    assert kinds(frame(when=days), dates="dmy")["when"] == "date"
    assert kinds(frame(when=days), columns={"when": "category"})["when"] == "category"


def test_too_many_categories_are_refused_or_left_out() -> None:
    many = [f"c{n}" for n in range(MAX_CATEGORIES + 1)] * 2
    rows = len(many)
    table = pl.DataFrame({"v": many, "n": DRAWS.normal(size=rows), "y": np.arange(rows) % 2})
    assert kinds(table)["v"] in ("text", "identifier")
    with pytest.raises(DataError, match=r"10,001 different values.*MAX_CATEGORIES"):
        kinds(table, columns={"v": "category"})


# Encoding


def test_each_kind_becomes_numbers() -> None:
    table = pl.DataFrame(
        {
            "n": [1.0, None, 4.0, 1.0] * 10,
            "c": ["b", "a", None, "b"] * 10,
            "b": ["yes", "no", "no", None] * 10,
            "d": [datetime(1969, 12, 31, 12), datetime(2024, 2, 29), None, datetime(2000, 1, 3)]
            * 10,
            "y": [1.0, 2.5] * 20,
        }
    )
    data = linnet.read(table, "y")
    assert data.schema.columns == (
        "n", "n (missing)", "c=a", "c=b", "c=(missing)", "b", "b (missing)",
        "d.year", "d.month", "d.day", "d.weekday", "d.hour", "d (missing)",
    )  # fmt: skip
    expected: list[list[float]] = [
        [1, 0, 0, 1, 0, 1, 0, 1969, 12, 31, 2, 12, 0],
        [2, 1, 1, 0, 0, 0, 0, 2024, 2, 29, 3, 0, 0],
        [4, 0, 0, 0, 1, 0, 0, 5993 / 3, 5, 21, 5 / 3, 4, 1],
        [1, 0, 0, 1, 0, 1 / 3, 1, 2000, 1, 3, 0, 0, 0],
    ]
    assert np.allclose(data.x[:4].numpy(), expected)
    assert torch.equal(data.x[:4].repeat(10, 1), data.x)


def test_the_encoding_is_learnt_from_training_rows_alone(tmp_path: Path) -> None:
    part = np.where(
        np.arange(ROWS) < 150, "train", np.where(np.arange(ROWS) < 170, "valid", "TEST")
    )
    number = np.where(np.arange(ROWS) < 150, 1.0, 100.0)
    number[0] = 3.0
    colour = np.where(np.arange(ROWS) < 150, "red", "violet").astype(object)
    colour[1] = "blue"
    table = frame(part=part, number=number, colour=colour.tolist(), same=None)
    missing = table.with_columns(number=pl.when(pl.col("number") < 2).then(pl.col("number")))
    with pytest.warns(LinnetWarning, match="not like training"):  # as it is made
        run = linnet.train(missing, target="y", split="part", model="linear", out=tmp_path / "r")
    assert [len(run.split()[name]) for name in PARTS] == [150, 20, 30]
    fields = {field.name: field for field in run.model.schema.fields}
    assert fields["number"].fill == (1.0,) and fields["number"].missing
    assert fields["colour"].categories == ("blue", "red") and not fields["colour"].missing
    assert "part" not in fields
    about = [note for note in run.info["data"]["notes"] if "'part'" in note]
    assert about == ["'part' splits the rows, and is left out of the examples"]


def test_what_training_never_saw_is_counted(tmp_path: Path) -> None:
    model = linnet.train(frame(), target="y", model="linear", out=tmp_path / "r").model
    new = frame(colour=["violet"] * 3 + ["red"] * 197)
    with pytest.warns(LinnetWarning, match="'colour' has 3 rows of unknown categories, treated"):
        model.predict(new)
    gone = frame().with_columns(number=pl.when(pl.col("number") > 1).then(pl.col("number")))
    with pytest.warns(
        LinnetWarning, match=r"'number' has \d+ missing values.*imputed with the mean"
    ):
        model.predict(gone)


def test_named_values_are_missing_wherever_they_come_from(tmp_path: Path) -> None:
    table = frame(number=[-9.0, 1.0, 2.5, 4.0] * 50)
    table.write_csv(tmp_path / "t.csv")
    for place in (table, tmp_path / "t.csv"):
        data = linnet.read(place, "y", missing="-9")
        assert data.x[:, :2].unique(dim=0).tolist() == [[1, 0], [2.5, 0], [2.5, 1], [4, 0]]
        assert torch.equal(data.schema.encode(table), data.x)


def test_rare_categories_share_a_place() -> None:
    names = [f"c{n % 40}" for n in range(400)] + ["often"] * 100
    table = pl.DataFrame({"c": names, "y": np.arange(500) % 2})
    data = linnet.read(table, "y", max_categories=5)
    assert data.schema.columns == ("c=c0", "c=c1", "c=c10", "c=often", "c=(other)")
    assert data.x.sum(1).eq(1).all() and data.x[:, 4].sum() == 400 - 30
    with pytest.warns(LinnetWarning, match="treated as rare ones"):
        row = data.schema.encode(pl.DataFrame({"c": ["new"]}))
    assert row.tolist() == [[0, 0, 0, 0, 1]]


def test_large_numbers_keep_their_digits() -> None:
    close = 1.7e9 + DRAWS.integers(0, 1000, ROWS)
    assert linnet.read(frame(number=close), "y").x.dtype == torch.float64
    assert linnet.read(frame(), "y").x.dtype == torch.float32


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")
@pytest.mark.parametrize("name", ["titanic.csv", "adult.data"])
def test_all_ways_in_encode_alike(name: str, tmp_path: Path) -> None:
    path = data_file(name)
    target = "survived" if name == "titanic.csv" else "c14"
    flags = [] if name == "titanic.csv" else ["--no-header"]
    words = ["train", str(path), "--target", target, *flags, "--model", "linear"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "r")])
    assert done.exit_code == 0, done.output
    run = linnet.Run(tmp_path / "r")
    model, parts = run.model, run.split()
    table = titanic() if name == "titanic.csv" else adult()
    frames = {
        "pandas": table,
        "polars": pl.from_pandas(table),
        "pyarrow": pyarrow.Table.from_pandas(table, preserve_index=False),
    }
    encoded = {kind: model.schema.encode(each) for kind, each in frames.items()}
    for each in encoded.values():
        assert torch.equal(each, encoded["pandas"])
    reading = Reading(target=(target,), header=name == "titanic.csv")
    data = read_draft(path, reading).learn(parts["train"])
    assert data.schema.fields == model.schema.fields
    assert torch.equal(data.x, encoded["pandas"])
    rows = parts["train"].numpy()
    for kind, each in frames.items():
        part = (
            each.take(rows)
            if kind == "pyarrow"
            else each[rows]
            if kind == "polars"
            else each.iloc[rows]
        )
        labels = table[target].iloc[rows]
        part = (
            part.drop(columns=target)
            if kind == "pandas"
            else part.drop(target)
            if kind == "polars"
            else part.drop_columns([target])
        )
        own = linnet.LogisticRegression(max_iter=2).fit
        with pytest.warns(Warning):  # it is not given the steps to converge
            fitted = own(part, labels)
        assert fitted._table is not None
        assert fitted.coef_.shape[1] == len(fitted.get_feature_names_out())
        assert np.isfinite(fitted.predict_proba(part)).all()


# As scikit-learn's pipelines


def split_of(run: linnet.Run, table: pandas.DataFrame) -> list[pandas.DataFrame]:
    split = run.split()
    return [table.iloc[split[name].numpy()] for name in PARTS]


@pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")
@pytest.mark.parametrize("seed", range(3))
def test_titanics_line_is_scikit_learns(seed: int, tmp_path: Path) -> None:
    table = titanic()
    run = linnet.train(
        data_file("titanic.csv"), target="survived", model="linear", seed=seed, out=tmp_path / "r"
    )
    kinds = {field.name: field.kind for field in run.model.schema.fields}
    assert kinds["name"] == "text" and kinds["ticket"] == kinds["cabin"] == "identifier"
    train, _, test = split_of(run, table)
    assert len(test) == 179
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    encode = make_column_transformer(
        (numbers, ["age", "sibsp", "parch", "fare"]),
        (OneHotEncoder(handle_unknown="ignore"), ["pclass", "sex", "embarked"]),
    )
    penalty: Any = run.model.manifest.fit["penalty"]
    line = LogisticRegression(C=1 / (penalty * len(train)), tol=1e-10, max_iter=5_000)
    theirs = make_pipeline(encode, line).fit(train, train.survived).predict(test)
    assert (run.model.predict(test) != theirs).sum() <= 2


@pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")
@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
def test_adults_line_is_scikit_learns(seed: int, tmp_path: Path) -> None:
    table = adult()
    run = linnet.train(
        data_file("adult.data"), header=False, target="c14", model="linear", seed=seed,
        out=tmp_path / "r",
    )  # fmt: skip
    assert run.model.schema.classes == ("<=50K", ">50K")
    assert {"c1=(missing)", "c6=(missing)", "c13=(missing)"} <= set(run.model.schema.columns)
    train, valid, test = split_of(run, table)
    numbers = [name for name in table.columns if table[name].dtype.kind in "if"]
    others = [name for name in table.columns[:-1] if name not in numbers]
    encode = make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), others)
    )
    tried = []
    for power in range(2, 7):
        line = LogisticRegression(C=10.0**power / len(train), max_iter=3_000)
        theirs = make_pipeline(encode, line).fit(train, train.c14)
        loss = log_loss(valid.c14, theirs.predict_proba(valid))
        tried.append((loss, float((theirs.predict(test) == test.c14).mean())))
    accuracy = run.metrics["models"]["linear"]["test"]["accuracy"]
    assert abs(accuracy - min(tried)[1]) <= 0.003


def test_diamonds_line_is_scikit_learns(tmp_path: Path) -> None:
    table = pandas.read_csv(data_file("diamonds.csv"))
    run = linnet.train(
        data_file("diamonds.csv"), target="price", model="linear", out=tmp_path / "r"
    )
    assert run.model.schema.task == "regression"
    train, _, test = split_of(run, table)
    encode = make_column_transformer(
        (StandardScaler(), ["carat", "depth", "table", "x", "y", "z"]),
        (OneHotEncoder(), ["cut", "color", "clarity"]),
    )
    theirs = make_pipeline(encode, Ridge()).fit(train, train.price).score(test, test.price)
    assert abs(run.metrics["models"]["linear"]["test"]["r2"] - theirs) <= 0.002


@pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")
@pytest.mark.parametrize(
    "seeds", [pytest.param(1, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.soak)]
)
def test_the_nets_of_the_real_tables(seeds: int, tmp_path: Path) -> None:
    for name, target, least, header in (
        ("adult.data", "c14", 0.850, False),
        ("diamonds.csv", "price", 0.975, True),
    ):
        found: dict[str, list[float]] = {"linear": [], "mlp": []}
        for seed in range(seeds):
            run = linnet.train(
                data_file(name), target=target, header=header, seed=seed,
                out=tmp_path / f"{name}{seed}",
            )  # fmt: skip
            for model, scores in found.items():
                test = run.metrics["models"][model]["test"]
                scores.append(test["accuracy"] if "accuracy" in test else test["r2"])
        assert np.mean(found["mlp"]) >= max(least, float(np.mean(found["linear"])))


# Targets


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["b", "a"] * 50, "classification", ("a", "b")),
        ([1, 0] * 50, "classification", (0, 1)),
        ([3.0, 1.0, 2.0, 1.0] * 25, "classification", (1, 2, 3)),
        ([True, False] * 50, "classification", (False, True)),
        (["true", "false"] * 50, "classification", ("false", "true")),
        (list(range(100)), "regression", ()),
        (list(range(25)) * 4, "regression", ()),
        ([0.5, 1.0] * 50, "regression", ()),
        ([2, 4, 6] * 2, "regression", ()),
    ],
)
def test_the_task_is_decided_by_the_target(
    values: list[Any], task: str, classes: tuple[Any, ...]
) -> None:
    table = pl.DataFrame({"x": DRAWS.normal(size=len(values)), "y": values})
    schema = linnet.read(table, "y").schema
    assert (schema.task, schema.classes) == (task, classes)


def test_the_task_is_overridden_and_refused_with_a_hint() -> None:
    table = frame(y=DRAWS.integers(0, 3, ROWS))
    data = linnet.read(table, "y", task="regression")
    assert data.schema.task == "regression" and data.y.dtype == torch.float64
    assert "treated as classes" in linnet.read(table, "y").notes[-1]
    with pytest.raises(DataError, match=r"'y' holds '(good|bad)', which is not a number"):
        linnet.read(frame(), "y", task="regression")
    with pytest.raises(DataError, match=r"holds fractions.*--task regression"):
        linnet.read(frame(), "number", task="classification")


@pytest.mark.parametrize(
    ("changes", "target", "message"),
    [
        ({}, None, "which column is to be predicted.*--target COLUMN.*number, colour"),
        ({}, "z", 'has no column "z"'),
        ({}, "colou", 'did you mean "colour"'),
        ({"y": ["x"] * ROWS}, "y", "one class, 'x'; expected two or more"),
        ({"y": [1.5] * ROWS}, "y", "is 1.5 in every row: there is nothing to predict"),
        ({"y": pl.Series([None] * ROWS, dtype=pl.String)}, "y", "missing in every row"),
        ({"y": [f"n{row}" for row in range(ROWS)]}, "y", "200 of the 200 classes.*one row"),
        ({"y": [date(2024, 1, 1 + row % 28) for row in range(ROWS)]}, "y", "holds dates"),
        ({}, ("number", "number"), "named twice"),
        ({}, ("number", "colour"), "'colour' holds '.*not a number"),
    ],
)
def test_a_target_that_cannot_be_is_refused(changes: Values, target: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        linnet.read(frame(**changes), target)


def test_rows_without_a_target_are_counted_and_left_out() -> None:
    y = [None if row in (7, 9) else "ab"[row % 2] for row in range(ROWS)]
    data = linnet.read(frame(y=y), "y")
    assert len(data) == ROWS - 2
    assert "2 rows have no target and are left out, the first at row 7" in data.notes
    kept = [row for row in range(ROWS) if y[row] is not None]
    assert torch.equal(data.x[:, 0], linnet.read(frame(), "y").x[kept, 0])


def test_a_class_of_one_row_is_counted_and_trained_on(tmp_path: Path) -> None:
    y = ["a", "b"] * 99 + ["a", "rare"]
    with pytest.warns(LinnetWarning, match="1 class with few.*'rare' 1"):
        run = linnet.train(frame(y=y), target="y", model="linear", out=tmp_path / "r")
    assert ROWS - 1 in run.split()["train"]
    assert "1 of 3 classes have one row, kept for training" in run.info["data"]["notes"]


def test_several_targets_of_numbers(tmp_path: Path) -> None:
    x = DRAWS.normal(size=(ROWS, 2))
    table = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "apples": x @ [1, 2], "oranges": x @ [3, -1]})
    run = linnet.train(table, target=["apples", "oranges"], model="linear", out=tmp_path / "r")
    assert run.model.schema.targets == ("apples", "oranges")
    assert run.metrics["models"]["linear"]["test"]["r2"] > 0.999
    assert run.model.predict(table.head(3)).shape == (3, 2)
    table.write_csv(tmp_path / "t.csv")
    out = tmp_path / "c"
    words = ["train", str(tmp_path / "t.csv"), "--target", "apples,oranges", "--model", "linear"]
    assert CliRunner().invoke(app, [*words, "--out", str(out)]).exit_code == 0
    assert linnet.Run(out).metrics["models"]["linear"]["test"]["r2"] > 0.999


# Divisions


def test_no_group_is_in_two_parts(tmp_path: Path) -> None:
    group = DRAWS.integers(0, 25, ROWS)
    run = linnet.train(
        frame(patient=group), target="y", group="patient", model="linear", out=tmp_path / "r"
    )
    split = run.split()
    parts = [set(group[split[name].numpy()]) for name in PARTS]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert sum(len(rows) for rows in run.split().values()) == ROWS
    assert 20 <= len(run.split()["test"]) <= 60
    assert "patient" not in [field.name for field in run.model.schema.fields]
    with pytest.raises(RecipeError, match="group=patient: 1 different value"):
        linnet.train(frame(patient=[1] * ROWS), target="y", group="patient", out=tmp_path / "s")


def test_training_is_on_the_past(tmp_path: Path) -> None:
    days = DRAWS.integers(0, 60, ROWS)
    when = [str(np.datetime64("2024-01-01") + int(day)) for day in days]
    run = linnet.train(
        frame(when=when), target="y", time="when", model="linear", out=tmp_path / "r"
    )
    split = run.split()
    train, valid, test = (days[split[name].numpy()] for name in PARTS)
    assert train.max() < valid.min() and valid.max() < test.min()
    assert abs(len(test) - 40) <= 10
    assert "when.month" in run.model.schema.columns
    gone = [None if row == 5 else day for row, day in enumerate(when)]
    with pytest.raises(DataError, match="row 5: 'when' is missing"):
        linnet.train(frame(when=gone), target="y", time="when", out=tmp_path / "s")


def test_divisions_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="'part' has 'later' at row 0; expected train, valid or test"
    ):
        linnet.train(frame(part=["later"] * ROWS), target="y", split="part", out=tmp_path / "a")
    with pytest.raises(DataError, match="puts no row into train"):
        linnet.train(frame(part=["test"] * ROWS), target="y", split="part", out=tmp_path / "a")
    with pytest.raises(DataError, match=r"only one column.*split=part and group=level"):
        linnet.train(
            frame(part=["train"] * ROWS), target="y", split="part", group="level",
            out=tmp_path / "a",
        )  # fmt: skip
    with pytest.raises(DataError, match="'y' is the target"):
        linnet.train(frame(), target="y", group="y", out=tmp_path / "a")
    with pytest.raises(DataError, match='has no column "tine"'):
        linnet.train(frame(time=np.arange(ROWS)), target="y", time="tine", out=tmp_path / "a")
    with pytest.raises(RecipeError, match="group=x is for tables, and digits is not a table"):
        linnet.train("digits", group="x", out=tmp_path / "a")
    assert not (tmp_path / "a").exists()


# A finished model on tables


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    frame().write_csv(folder / "t.csv")
    linnet.train(folder / "t.csv", target="y", model="linear", out=folder / "r")
    return folder


def test_evaluation_gives_the_runs_own_scores(made: Path) -> None:
    run = linnet.Run(made / "r")
    again = evaluate(made / "r", made / "t.csv")
    assert again["data"]["part"] == "test"
    own = {name: {"test": scores["test"]} for name, scores in run.metrics["models"].items()}
    assert again["models"] == own
    assert len(run.info["data"]["split"]) == len(run.info["data"]["fingerprint"]) == 64


def test_columns_go_by_name(made: Path, tmp_path: Path) -> None:
    table = frame()
    usual = predict(made / "r", made / "t.csv")
    names = list(reversed(table.columns))
    table.select(names).with_columns(more=pl.lit("<b>")).write_csv(tmp_path / "u.csv")
    other = predict(made / "r", tmp_path / "u.csv")
    for mine, theirs in ((usual.p, other.p), (usual.y, other.y)):
        assert mine is not None and theirs is not None and np.array_equal(mine, theirs)
    assert other.notes == ("columns that the model does not know: 'more'",)
    table.drop("colour", "open").write_csv(tmp_path / "v.csv")
    with pytest.raises(
        DataError, match=r"the columns 'colour', 'open' are missing; it has 'number'"
    ):
        predict(made / "r", tmp_path / "v.csv")
    table.with_columns(number=pl.lit("low")).write_csv(tmp_path / "w.csv")
    with pytest.raises(DataError, match=r"line 2: the column 'number' has 'low', expected"):
        predict(made / "r", tmp_path / "w.csv")
    with pytest.raises(DataError, match=r"row 0: the column 'number' has 'low', expected a number"):
        linnet.load(made / "r").predict(table.with_columns(number=pl.lit("low")))
    with pytest.raises(
        DataError, match=r"row 0: the column 'open' has 'maybe', expected yes or no"
    ):
        linnet.load(made / "r").predict(table.with_columns(open=pl.lit("maybe")))
    with pytest.raises(DataError, match=r"the column 'when' has 'soon', expected a date"):
        linnet.load(made / "r").predict(table.with_columns(when=pl.lit("soon")))
    with pytest.raises(InputError, match="give a data frame with the columns number, colour"):
        linnet.load(made / "r").predict(np.zeros((2, 5)))


def test_rows_without_labels_are_predicted(made: Path, tmp_path: Path) -> None:
    table = frame()
    table.drop("y").write_csv(tmp_path / "u.csv")
    assert predict(made / "r", tmp_path / "u.csv").y is None
    with pytest.raises(DataError, match="the target 'y' is missing"):
        evaluate(made / "r", tmp_path / "u.csv")
    some = ["good", "", "strange", *["bad"] * (ROWS - 3)]
    table.with_columns(y=pl.Series(some)).write_csv(tmp_path / "v.csv")
    found = predict(made / "r", tmp_path / "v.csv")
    assert found.y is not None and found.y[:4].tolist() == ["good", None, None, "bad"]
    with pytest.raises(DataError, match=r"line 4: the label 'strange' is not among the classes"):
        evaluate(made / "r", tmp_path / "v.csv")
    some[2] = ""
    table.with_columns(y=pl.Series(some)).write_csv(tmp_path / "w.csv")
    with pytest.warns(LinnetWarning, match="trained the models"):
        scored = evaluate(made / "r", tmp_path / "w.csv")["data"]
    assert scored["rows"] == ROWS - 2 and "2 rows have no target" in scored["notes"][0]


def test_chosen_classes_and_one_against_the_rest(tmp_path: Path) -> None:
    table = frame(y=DRAWS.choice(["a", "b", "c"], ROWS))
    two = linnet.train(table, target="y", classes=["a", "c"], model="linear", out=tmp_path / "2")
    again = evaluate(tmp_path / "2", table)
    assert again["models"]["linear"]["test"] == two.metrics["models"]["linear"]["test"]
    rest = linnet.train(table, target="y", positive="b", model="linear", out=tmp_path / "p")
    assert rest.model.schema.classes == ("not b", "b")
    again = evaluate(tmp_path / "p", table)
    assert again["models"]["linear"]["test"] == rest.metrics["models"]["linear"]["test"]


def test_predictions_are_files_that_no_spreadsheet_runs(tmp_path: Path) -> None:
    names = ["=1+1", "@x", " -2+3", "fine"]
    table = pl.DataFrame({"x": DRAWS.normal(size=ROWS), "y": DRAWS.choice(names, ROWS)})
    table.write_csv(tmp_path / "t.csv")
    linnet.train(tmp_path / "t.csv", target="y", model="linear", out=tmp_path / "r")
    for name in ("p.csv", "p.parquet"):
        words = ["predict", str(tmp_path / "r"), str(tmp_path / "t.csv"), "--out"]
        done = CliRunner().invoke(app, [*words, str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    text = (tmp_path / "p.csv").read_text()
    cells = {cell for line in text.splitlines() for cell in line.split(",")}
    assert "'=1+1" in cells and "'@x" in cells and "fine" in cells
    assert not any(cell.startswith(("=", "@")) for cell in cells)
    kept = pl.read_parquet(tmp_path / "p.parquet")
    assert set(kept["y"]) == {"=1+1", "@x", "-2+3", "fine"}


def test_a_table_that_will_not_fit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1_000)
    with pytest.raises(DataError, match=r"needs about 0\.00 GB.*are free; give fewer rows"):
        linnet.read(frame(), "y")


def test_no_column_left_is_refused() -> None:
    table = frame().select("name", "same", "y")
    with pytest.raises(DataError, match=r"no column is left to learn from: name \(text\), same"):
        linnet.read(table, "y")


# Estimators


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_estimators_take_any_frame(kind: str, tmp_path: Path) -> None:
    table = frame().with_columns(number=pl.when(pl.col("number") < 1).then(pl.col("number")))
    makers: dict[str, Callable[[pl.DataFrame], Any]] = {
        "pandas": lambda t: pandas.DataFrame(t.to_dict(as_series=False)),
        "polars": lambda t: t,
        "pyarrow": lambda t: t.to_arrow(),
    }
    make = makers[kind]
    x, y = make(table.drop("y")), table["y"].to_numpy()
    with pytest.warns(LinnetWarning, match=r"left out.*'name'"):
        model = linnet.LogisticRegression().fit(x, y)
    assert model.n_features_in_ == 8 and list(model.feature_names_in_) == table.drop("y").columns
    assert model.coef_.shape == (1, len(model.artifact_.schema.columns))
    model.save(tmp_path / "m.safetensors")
    for again in (
        linnet.load(tmp_path / "m.safetensors"),
        type(model).load(tmp_path / "m.safetensors"),
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*missing values where training had none")
            assert (again.predict(x) == model.predict(x)).all()
    assert "colour=red" in model.artifact_.schema.columns
    with pytest.raises(InputError, match="give a data frame with 'number'"):
        model.predict(np.zeros((2, 8)))
    numbers = make(table.select(pl.col("level").cast(pl.Float64), a=pl.col("number").fill_null(0)))
    plain = linnet.LogisticRegression().fit(numbers, y)
    assert plain.coef_.shape == (1, 2) and list(plain.feature_names_in_) == ["level", "a"]


# The command line


def test_data_show_tells_of_columns(tmp_path: Path) -> None:
    frame().write_csv(tmp_path / "t.csv")
    shown = CliRunner().invoke(app, ["data", "show", str(tmp_path / "t.csv"), "--target", "y"])
    assert shown.exit_code == 0, shown.output
    for word in ("colour", "category", "identifier", "left out, as they are text: 'name'", "good"):
        assert word in shown.stdout
    words = ["data", "show", str(tmp_path / "t.csv"), "--json", "--set", "columns.level=number"]
    told = json.loads(CliRunner().invoke(app, words).stdout)
    level = next(column for column in told["table"] if column["name"] == "level")
    assert level == {
        "name": "level", "kind": "number", "rows": ROWS, "missing": 0, "distinct": 3,
        "range": [1, 3], "examples": level["examples"], "notes": [],
    }  # fmt: skip
    assert len(level["examples"]) == 3


def test_a_header_that_looks_like_data_is_told_of(tmp_path: Path) -> None:
    frame().write_csv(tmp_path / "t.csv", include_header=False)
    done = CliRunner().invoke(app, ["train", str(tmp_path / "t.csv"), "--target", "c8"])
    assert done.exit_code == 2 and "--no-header" in done.stderr


def test_inspect_tells_of_columns(made: Path) -> None:
    done = CliRunner().invoke(app, ["inspect", str(made / "r")])
    assert "made from a table's columns: number (number), colour (category), open" in done.stdout


def test_flags_are_short_for_keys(tmp_path: Path) -> None:
    frame().write_csv(tmp_path / "t.csv", include_header=False)
    words = ["train", str(tmp_path / "t.csv"), "--no-header", "--target", "c8", "--group", "c7"]
    words += [
        "--set",
        "columns.c1=text",
        "--set",
        "drop=c2,c3",
        "--set",
        "missing=-9",
        "--seed",
        "3",
    ]
    words += ["--task", "classification", "--on-bad", "skip", "--model", "linear", "--print-recipe"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    for line in (
        'target = [\n    "c8",\n]', "header = false", 'group = "c7"', '[columns]\nc1 = "text"',
        'drop = [\n    "c2",\n    "c3",\n]', 'missing = [\n    "-9",\n]', 'on_bad = "skip"',
    ):  # fmt: skip
        assert line in done.stdout


def test_of_many_columns_that_are_missing_the_first_are_named(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    names = [f"c{index:02}" for index in range(30)]
    table = pl.DataFrame({name: draws.normal(size=60) for name in names})
    table = table.with_columns(y=pl.Series(np.arange(60) % 2))
    model = linnet.train(table, target="y", model="linear", penalty=0.1, out=tmp_path / "r").model
    with pytest.raises(DataError) as caught:
        model.predict(table.select(names[9:]))
    absent, present = ", ".join(map(repr, names[:8])), ", ".join(map(repr, names[9:29]))
    assert str(caught.value).endswith(f": the columns {absent} are missing; it has {present}")

"""Data frames: one rule, which does not depend on what these rows miss."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score

import linnet
from linnet.errors import InputError, LinnetWarning

COUNT = 120
random = np.random.default_rng(0)
FRAME = pandas.DataFrame(
    {
        "a": random.normal(size=COUNT),
        "k": random.integers(0, 4, COUNT),
        "flag": random.random(COUNT) < 0.5,
        "colour": random.choice(["red", "blue", "green"], COUNT),
        "day": pandas.date_range("2024-01-01", periods=COUNT),
    }
)
Y = (FRAME.a + 2.0 * FRAME.k - FRAME.flag + (FRAME.colour == "red")).to_numpy()
NAMES = ["a", "k", "flag", "colour=blue", "colour=green", "colour=red"]
NAMES += [f"day.{part}" for part in ("year", "month", "day", "weekday")]

LINES: dict[str, Any] = {
    "LinearRegression": linnet.LinearRegression(),
    "Ridge": linnet.Ridge(),
    "MLPRegressor": linnet.MLPRegressor((4,), max_iter=2, random_state=0),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
every = pytest.mark.parametrize("name", LINES)
cells = pytest.mark.parametrize("column", ["a", "k", "flag", "colour", "day"])
frames = pytest.mark.parametrize("frame", [pandas.DataFrame, polars.from_pandas])


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """Nothing is told where nothing was left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", LinnetWarning)
        yield


def missing(column: str, *rows: int) -> Any:
    """The frame without some cells; whole numbers stay so."""
    frame = FRAME.astype({"k": "Int64", "flag": "boolean"})
    frame.loc[list(rows), column] = None
    return frame


@every
@cells
@frames
def test_one_missing_cell_changes_no_layout(name: str, column: str, frame: Any) -> None:
    whole = clone(LINES[name]).fit(frame(missing(column)), Y)
    model = clone(LINES[name]).fit(frame(missing(column, 5)), Y)
    for one in (whole, model):
        assert one.get_feature_names_out().tolist() == NAMES
        assert one.n_features_in_ == 5 and one.feature_names_in_.tolist() == list(FRAME)
        if hasattr(one, "coef_"):
            assert one.coef_.shape == (len(NAMES),)
    assert whole.artifact_.manifest.dtype == model.artifact_.manifest.dtype


@cells
@pytest.mark.parametrize("kept", [list(FRAME), ["a", "k"], ["a", "k", "flag"]])
def test_folds_that_miss_nothing_agree_with_those_that_do(column: str, kept: list[str]) -> None:
    """Only the first fold's rows miss a value, so one model never saw one."""
    if column not in kept:
        return
    X = missing(column, 2, 7)[kept]
    folds = KFold(3)
    scores = cross_val_score(linnet.Ridge(), X, Y, cv=folds, error_score="raise")
    assert np.isfinite(scores).all()
    assert np.isfinite(cross_val_predict(linnet.Ridge(), X, Y, cv=folds)).all()


def test_missing_numbers_are_the_mean_of_the_fit_and_missing_text_is_no_category() -> None:
    X, gaps = FRAME.drop(columns="day"), FRAME.drop(columns="day").astype({"k": float})
    model = linnet.LinearRegression().fit(X, Y)
    gaps.loc[0, ["a", "k"]] = np.nan
    gaps.loc[1, "colour"] = None
    filled = X.astype({"k": float}).copy()
    filled.loc[0, ["a", "k"]] = X.a.mean(), X.k.mean()
    expected = model.predict(filled)
    colour = dict(zip(model.get_feature_names_out(), model.coef_, strict=True))
    expected[1] -= colour[f"colour={X.colour[1]}"]
    assert model.predict(gaps) == pytest.approx(expected, abs=1e-9)
    plain = linnet.LinearRegression().fit(X[["a", "k"]], Y)
    assert plain.predict(gaps[["a", "k"]]) == pytest.approx(plain.predict(filled[["a", "k"]]))


def test_rows_of_no_weight_do_not_say_what_a_missing_number_is() -> None:
    X = FRAME[["a", "k"]].astype(float)
    X.loc[3, "a"], X.loc[4, "a"] = np.nan, 100.0
    weight = np.arange(COUNT) != 4
    model = linnet.Ridge().fit(X, Y, weight)
    mean = X.a[weight].mean()
    gap = pandas.DataFrame({"a": [np.nan, mean], "k": [1.0, 1.0]})
    assert model.predict(gap)[0] == pytest.approx(model.predict(gap)[1], rel=1e-12)


def test_a_frame_of_numbers_is_what_its_array_is() -> None:
    X = FRAME[["a", "k"]]
    model, other = linnet.Ridge().fit(X, Y), linnet.Ridge().fit(X.to_numpy(), Y)
    assert np.array_equal(model.coef_, other.coef_)
    assert np.array_equal(model.predict(X), other.predict(X.to_numpy()))
    with pytest.raises(ValueError, match="same order"):
        model.predict(X[["k", "a"]])
    with pytest.raises(ValueError, match="NaN"):
        other.predict(np.array([[np.nan, 1.0]]))
    with pytest.raises(ValueError, match="infinity"):
        model.predict(X.replace(1, np.inf))


@every
@frames
def test_what_is_left_out_is_told_and_so_are_unknown_categories(name: str, frame: Any) -> None:
    X = FRAME[["a", "colour"]].assign(id=[f"person {i}" for i in range(COUNT)])
    with pytest.warns(LinnetWarning, match=r"left out.*'id'"):
        model = clone(LINES[name]).fit(frame(X), Y)
    assert model.get_feature_names_out().tolist() == ["a", *NAMES[3:6]]
    other = X.head(3).assign(colour=["red", "pink", "blue"])
    with pytest.warns(LinnetWarning, match=r"'colour' has 1 row of unknown"):
        assert np.isfinite(model.predict(frame(other))).all()
    with pytest.raises(InputError, match="give a data frame"):
        model.predict(X.to_numpy())


@every
def test_partial_fit_keeps_the_encoding_of_its_first_call(name: str) -> None:
    X = FRAME.drop(columns="day")
    model = clone(LINES[name])
    for rows in (slice(0, 50), slice(50, COUNT)):
        model.partial_fit(X[rows], Y[rows])
    assert model.get_feature_names_out().tolist() == NAMES[:6]
    if name != "MLPRegressor":
        expected = clone(model).fit(X, Y)
        assert model.predict(X) == pytest.approx(expected.predict(X), rel=1e-6)
    with pytest.warns(LinnetWarning, match="unknown"):
        model.partial_fit(X.head(3).assign(colour="pink"), Y[:3])


@every
def test_files_hold_the_rule(name: str, tmp_path: Path) -> None:
    for X in (FRAME, FRAME[["a", "k"]], FRAME[["a", "k"]].rename(columns={"a": 0, "k": 1})):
        model = clone(LINES[name]).fit(X, Y)
        model.save(path := tmp_path / "model.safetensors")
        again = type(model).load(path)
        gaps = X.astype(dict.fromkeys(X.columns[1:2], float))
        gaps.iloc[0, 1] = np.nan
        assert np.array_equal(again.predict(gaps), model.predict(gaps))
        assert hasattr(again, "feature_names_in_") == hasattr(model, "feature_names_in_")
        assert again.get_feature_names_out().tolist() == list(model.artifact_.schema.columns)
        assert np.array_equal(linnet.load(path).predict(X), model.predict(X))


def test_names_of_coefficients_without_a_frame() -> None:
    model = linnet.Ridge().fit(FRAME[["a", "k"]].to_numpy(), Y)
    assert model.get_feature_names_out().tolist() == ["x0", "x1"]
    frame = FRAME[["a", "flag"]].assign(text=np.where(FRAME.k > 1, "high", "low"))
    named = linnet.LinearRegression().fit(frame.drop(columns="text"), Y)
    assert named.coef_table()["term"].tolist() == ["(intercept)", "a", "flag"]

"""Conformal intervals and sets against their formulas, MAPIE's, and how often they hold."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from linnet.errors import InputError
from linnet.insight import conformal
from linnet.insight.conformal import (
    LEVELS,
    Calibration,
    CrossCalibration,
    Scale,
    coverage,
    cv_plus,
    rows_needed,
)


class Identity:
    """A fitted model of scikit-learn whose predictions are its first column, or its columns."""

    def __init__(self, classes: int = 0) -> None:
        self.classes_ = np.arange(classes)
        self.fitted_ = True

    def fit(self, X: Any, y: Any) -> "Identity":
        return self

    def predict(self, X: Any) -> Any:
        return X.argmax(1) if len(self.classes_) else X[:, 0]

    def predict_proba(self, X: Any) -> Any:
        return X


def drawn(rows: int, seed: int = 0) -> tuple[Any, Any]:
    """Numbers and their predictions; the error grows with the prediction."""
    numbers = np.random.default_rng(seed)
    prediction = numbers.uniform(1, 10, rows)
    return prediction + prediction * numbers.normal(size=rows), prediction


def chances(rows: int, seed: int = 0) -> tuple[Any, Any]:
    """Class codes and probabilities of three classes, the third of which is rare and hard."""
    numbers = np.random.default_rng(seed)
    y = numbers.choice(3, rows, p=[0.6, 0.3, 0.1])
    raw = numbers.normal(size=(rows, 3)) + np.array([2.0, 1.5, 0.5])[y][:, None] * np.eye(3)[y]
    p = np.exp(raw)
    return y, p / p.sum(1, keepdims=True)


def test_the_threshold_by_hand() -> None:
    scores = np.array([5.0, 1, 4, 2, 3, 9, 8, 7, 6])
    assert conformal.threshold(scores, 0.9) == 9  # ceil(10 * 0.9) = 9
    assert conformal.threshold(scores, 0.5) == 5
    with pytest.raises(InputError, match=r"needs 9 rows to calibrate it, and there are 8"):
        conformal.threshold(scores[1:], 0.9)
    with pytest.raises(InputError, match="a level is between 0 and 1"):
        conformal.threshold(scores, 1.0)
    assert [rows_needed(level) for level in (0.5, 0.9, 0.95, 0.99)] == [1, 9, 19, 99]


@pytest.mark.parametrize("level", LEVELS)
def test_a_threshold_exists_from_the_fewest_rows_on(level: float) -> None:
    least = rows_needed(level)
    assert conformal.rank(least, level) <= least
    assert least == 1 or conformal.rank(least - 1, level) > least - 1


def test_it_equals_mapie_for_numbers() -> None:
    regression = pytest.importorskip("mapie.regression")
    scores = pytest.importorskip("mapie.conformity_scores")
    y, prediction = drawn(101)
    new = np.linspace(0, 12, 30)
    for level in (0.5, 0.8, 0.9, 0.95):
        theirs = regression.SplitConformalRegressor(
            Identity(), confidence_level=level, prefit=True
        ).conformalize(prediction[:, None], y)
        _, ends = theirs.predict_interval(new[:, None])
        low, high = conformal.numbers(y, prediction, ["y"]).interval(new, level)
        assert np.abs(low - ends[:, 0, 0]).max() < 1e-10
        assert np.abs(high - ends[:, 1, 0]).max() < 1e-10

        found = conformal.numbers(y, prediction, ["y"], scaled=True)

        sizes = Identity()
        sizes.predict = lambda X, scale=found.scales[0]: scale(X[:, 0])  # type: ignore[method-assign,misc]
        scaled = scores.ResidualNormalisedScore(residual_estimator=sizes, prefit=True)
        theirs = regression.SplitConformalRegressor(
            Identity(), confidence_level=level, conformity_score=scaled, prefit=True
        ).conformalize(prediction[1::2, None], y[1::2])
        _, ends = theirs.predict_interval(new[:, None])
        low, high = found.interval(new, level)
        assert np.abs(low - ends[:, 0, 0]).max() < 1e-10
        assert np.abs(high - ends[:, 1, 0]).max() < 1e-10


@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset")
def test_it_equals_mapie_for_classes() -> None:
    classification = pytest.importorskip("mapie.classification")
    y, p = chances(200)
    _, new = chances(300, seed=1)
    for level in (0.6, 0.8, 0.9, 0.95):
        found = conformal.classes(y, p, "abc", by_class=False)
        theirs = classification.SplitConformalClassifier(
            Identity(3), confidence_level=level, conformity_score="lac", prefit=True
        ).conformalize(p, y)
        _, sets = theirs.predict_set(new)
        own = found.sets(new, level)
        assert np.array_equal(own.inside, sets[:, :, 0])
        # One threshold for each class: MAPIE, asked about the rows of that class alone.
        found = conformal.classes(y, p, "abc")
        for code in range(3):
            rows = y == code
            theirs = classification.SplitConformalClassifier(
                Identity(3), confidence_level=level, conformity_score="lac", prefit=True
            )
            assert rows.sum() >= rows_needed(level)
            theirs.conformalize(p[rows], y[rows])
            _, sets = theirs.predict_set(new)
            own = found.sets(new, level)
            assert np.array_equal(own.inside[:, code], sets[:, code, 0])


def test_it_equals_mapie_by_folds() -> None:
    regression = pytest.importorskip("mapie.regression")
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import PredefinedSplit

    numbers = np.random.default_rng(3)
    x = numbers.normal(size=(60, 2))
    y = x @ [1.0, 2.0] + numbers.normal(size=60)
    fold, new = np.arange(60) % 4, numbers.normal(size=(25, 2))
    models = [LinearRegression().fit(x[fold != k], y[fold != k]) for k in range(4)]
    held = np.array([models[k].predict(row[None])[0] for k, row in zip(fold, x, strict=True)])
    for level in (0.8, 0.9):
        for method in ("plus", "base"):
            theirs = regression.CrossConformalRegressor(
                LinearRegression(), confidence_level=level, method=method, cv=PredefinedSplit(fold)
            ).fit_conformalize(x, y)
            told, ends = theirs.predict_interval(new)
            if method == "plus":
                own = np.stack([model.predict(new) for model in models])
                low, high = cv_plus(y, held, fold, own, level)
                both = CrossCalibration(
                    np.stack([y, -y], 1), np.stack([held, -held], 1), fold, ("y", "minus"), False
                )
                every = both.interval(np.stack([own, -own], 2), level)
                for end, one in zip(every, (low, high), strict=True):
                    assert np.array_equal(end[:, 0], one)
                assert np.array_equal(-every[0][:, 1], high)
            else:
                found = conformal.numbers(y, held, ["y"], fold=fold)
                assert found.notes == (conformal.FOLDS,)
                low, high = found.interval(told, level)
            assert np.abs(low - ends[:, 0, 0]).max() < 1e-10
            assert np.abs(high - ends[:, 1, 0]).max() < 1e-10
    with pytest.raises(InputError, match="needs 99 rows"):
        cv_plus(y, held, fold, own, 0.99)


@pytest.mark.parametrize("rows", [60, 101, 200])
def test_sets_by_folds_equal_mapies(rows: int) -> None:
    """MAPIE asks for (1 - level)(n - 1) scores, the theorem for more than (1 - level)(n + 1) - 1:
    the same whole number but for some n, where its sets are smaller. Here they are the same."""
    classification = pytest.importorskip("mapie.classification")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit

    numbers = np.random.default_rng(3)
    y = numbers.choice(3, rows, p=[0.5, 0.3, 0.2])
    x, new = np.eye(3)[y] + numbers.normal(size=(rows, 3)), numbers.normal(size=(25, 3))
    fold = np.arange(rows) % 4
    models = [LogisticRegression().fit(x[fold != k], y[fold != k]) for k in range(4)]
    p = np.stack([model.predict_proba(x) for model in models])
    found = CrossCalibration(y, p[fold, np.arange(rows)], fold, tuple("abc"), True)
    own = np.stack([model.predict_proba(new) for model in models])
    for level in (0.7, 0.8, 0.9, 0.95):
        least = (1 - level) * (rows + 1) - 1
        assert np.ceil(round((1 - level) * (rows - 1), 9)) == np.floor(round(least, 9)) + 1
        theirs = classification.CrossConformalClassifier(
            LogisticRegression(), confidence_level=level, conformity_score="lac",
            cv=PredefinedSplit(fold),
        ).fit_conformalize(x, y)  # fmt: skip
        _, sets = theirs.predict_set(new, agg_scores="crossval")
        assert np.array_equal(found.sets(own, level, by_class=False).inside, sets[:, :, 0])


def test_sets_by_folds_of_each_class() -> None:
    """As sums over all training rows of a class, and always a class of too few rows."""
    y, p = chances(200)
    y = np.where(y == 2, np.where(np.arange(200) < 30, 2, 0), y)
    fold, (_, new) = np.arange(200) % 5, chances(90, seed=1)
    every = np.stack([np.roll(new, k, axis=0) for k in range(5)])
    found = CrossCalibration(y, p, fold, tuple("abc"), True)
    for level in (0.6, 0.9):
        sets = found.sets(every, level)
        for code in range(3):
            own = np.flatnonzero(y == code)
            scores = 1 - p[own, code]
            counts = (scores[:, None] >= 1 - every[fold[own]][:, :, code]).sum(0)
            few = len(own) < rows_needed(level)
            right = np.full(90, True) if few else counts > (1 - level) * (len(own) + 1) - 1 + 1e-9
            assert np.array_equal(sets.inside[:, code], right)
            assert ("abc"[code] in sets.always) == few
    assert (y == 2).sum() < 9 and sets.always == ("c",)


def test_what_does_not_fit_has_no_sets_by_folds() -> None:
    y, p = chances(40)
    fold = np.arange(40) % 4
    found = CrossCalibration(y, p, fold, tuple("abc"), True, "time")
    assert found.folds == 4 and found.notes == (conformal.TIME,)
    with pytest.raises(InputError, match=r"expected \(folds, rows, outputs\): \(4, rows, 3\)"):
        found.sets(np.zeros((3, 5, 3)), 0.9)
    with pytest.raises(InputError, match="needs 99 rows"):
        found.sets(np.zeros((4, 5, 3)), 0.99)
    with pytest.raises(InputError, match="makes sets, not intervals"):
        found.interval(np.zeros((4, 5, 3)), 0.9)
    for wrong in (
        {"fold": fold + 1}, {"fold": fold[1:]}, {"y": y - 1}, {"held": p[:, :2]},
        {"held": p * np.nan}, {"names": ("a",)}, {"classifies": False},
    ):  # fmt: skip
        with pytest.raises(InputError):
            replace(found, **wrong)


def test_intervals_hold_as_often_as_is_asked() -> None:
    """Over 200 draws of 50 rows: between 0.9 and 0.9 + 1 / 51, less the error of the mean."""
    held: dict[bool, list[float]] = {False: [], True: []}
    wide = []
    for seed in range(200):
        y, prediction = drawn(350, seed)
        for scaled in (False, True):
            found = conformal.numbers(y[:100], prediction[:100], ["y"], scaled=scaled)
            told = coverage(found, y[100:], prediction[100:], 0.9)
            held[scaled].append(told.share)
        low, high = found.interval(np.array([2.0, 9.0]), 0.9)
        wide.append((high - low)[1] / (high - low)[0])
    assert 0.89 <= np.mean(held[False]) <= 0.92
    assert 0.89 <= np.mean(held[True]) <= 0.93
    assert np.mean(wide) > 2  # the error at 9 is 4.5 times that at 2


def test_each_class_is_in_its_sets_as_often_as_is_asked() -> None:
    each: dict[bool, list[tuple[float, ...]]] = {False: [], True: []}
    for seed in range(100):
        y, p = chances(1500, seed)
        for by_class in (False, True):
            found = conformal.classes(y[:500], p[:500], "abc", by_class=by_class)
            each[by_class].append(coverage(found, y[500:], p[500:], 0.9).each)
    alone = np.mean(each[True], axis=0)
    assert np.abs(alone - 0.9).max() < 0.03
    assert np.mean(each[False], axis=0)[2] < 0.8  # the rare class pays for the others


def test_no_set_is_surprising_without_a_word() -> None:
    y, p = np.zeros(50, int), np.tile([0.98, 0.01, 0.01], (50, 1))
    found = conformal.classes(y, p, "abc", by_class=False)
    sets = found.sets(np.array([[0.99, 0.005, 0.005], [0.5, 0.3, 0.2]]), 0.9)
    assert sets.inside.tolist() == [[True, False, False], [False, False, False]]
    assert sets.filled.tolist() == [[True, False, False], [True, False, False]]
    assert sets.empty.tolist() == [False, True]
    assert sets.notes == [
        "1 set is empty, because no class is probable enough: look at such rows, or take the most "
        "probable class (filled)"
    ]
    few = conformal.Sets(~np.eye(3, dtype=bool)[[0]], np.array([False]), np.array([0]))
    assert few.notes == [
        "1 set lacks the most probable class: each class has its own threshold, so that a rare one "
        "is in the sets of its rows as often as a common one"
    ]
    sets = conformal.classes(y, p, "abc").sets(p[:1], 0.9)
    assert sets.always == ("b", "c") and sets.inside.all() and "b, c" in sets.notes[0]


def test_too_few_rows_are_refused() -> None:
    y, prediction = drawn(18)
    found = conformal.numbers(y, prediction, ["y"])
    found.interval(prediction, 0.9)
    words = "holds 95.00 % of new rows needs 19 rows to calibrate it, and there are 18: ask for "
    with pytest.raises(InputError, match=words + "less, at most 0.947"):
        found.interval(prediction, 0.95)
    with pytest.raises(InputError, match=r"largest level is 0\.999"):
        found.interval(prediction, 0.9999)
    with pytest.raises(InputError, match="needs 99 rows"):
        conformal.classes(*chances(50), "abc").sets(chances(3)[1], 0.99)
    with pytest.raises(InputError, match="not finite"):
        conformal.numbers(y, np.full(18, np.nan), ["y"])


def test_a_level_between_two_of_the_table_is_the_upper_one() -> None:
    y, prediction = drawn(200)
    found = conformal.numbers(y, prediction, ["y"])
    assert found.level(0.9) == 0.9 and found.level(0.905) == 0.91 and found.level(0.4) == 0.5
    assert found.at(0.905) == found.at(0.91)


def test_several_targets_and_dependent_rows() -> None:
    y, prediction = drawn(60)
    both = np.stack([y, 2 * y], 1), np.stack([prediction, 2 * prediction], 1)
    found = conformal.numbers(*both, ["a", "b"], by="time", scaled=True)
    low, high = found.interval(both[1], 0.8)
    assert (high - low)[:, 1] == pytest.approx(2 * (high - low)[:, 0])
    assert found.notes == (conformal.TIME,)
    assert conformal.numbers(y, prediction, ["a"], by="group").notes == (conformal.GROUPS,)


def test_a_calibration_is_stored_as_it_is() -> None:
    y, prediction = drawn(400)
    for found in (
        conformal.numbers(y, prediction, ["y"], scaled=True, by="time"),
        conformal.classes(*chances(300), "abc"),
    ):
        plain = json.loads(json.dumps(found.plain()))
        assert Calibration.parse(plain) == found
        assert len(json.dumps(plain)) < 8_000
        for key, value in (
            ("thresholds", [[2.0, 1.0]]), ("kind", "wide"), ("levels", [0.9]), ("rows", []),
            ("rows", [10**400] * len(found.rows)), ("rows", [5] * len(found.rows)),
            ("thresholds", [["x"]]), ("format", 2), ("scales", [{"at": [1], "size": [0]}]),
        ):  # fmt: skip
            with pytest.raises(InputError, match="calibration of intervals cannot be read"):
                Calibration.parse({**plain, key: value})
        del plain["names"]
        with pytest.raises(InputError, match="cannot be read"):
            Calibration.parse(plain)


def test_a_scale_is_above_zero_and_known_everywhere() -> None:
    scale = Scale.learnt(np.zeros(5), np.zeros(5))
    assert scale(np.array([-1.0, 9.0])).tolist() == [1.0, 1.0]
    y, prediction = drawn(1000)
    scale = Scale.learnt(y, prediction)
    assert len(scale.at) == 10 and scale(np.array([-5.0]))[0] == scale.size[0]


def test_half_of_the_rows_judges_the_other_half() -> None:
    y, prediction = drawn(2000)
    found, told = conformal.crossed(y, prediction, ["y"], 0.9, classifies=False, scaled=True)
    assert 0.87 < told.share < 0.93 and told.rows == 2000 and told.width and not told.each
    assert found.rows == (1000,)
    y, p = chances(2000)
    found, told = conformal.crossed(y, p, "abc", 0.9, classifies=True, scaled=False)
    assert 0.87 < told.share < 0.93 and len(told.each) == 3 and 1 <= (told.size or 0) <= 3

"""Slices: their scores, a broken one that is found, and none where there is none."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy import stats

import linnet
from linnet.core.statistics import wilson
from linnet.data.dataset import Dataset
from linnet.data.split import Division
from linnet.errors import InputError
from linnet.insight.slices import (
    MANY,
    OTHERS,
    Cut,
    Slices,
    by_numbers,
    by_texts,
    cuts_of,
    of_errors,
    slices,
)
from linnet.objectives.logistic import Logistic
from linnet.objectives.squared import Squared


def table(rows: int, seed: int) -> Dataset:
    """Six columns of numbers and categories that say nothing of an error; class codes."""
    numbers = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            **{f"n{i}": numbers.normal(size=rows) for i in range(3)},
            **{f"c{i}": np.array(list("abcdefgh"))[numbers.integers(0, 8, rows)] for i in range(3)},
            "part": np.where(numbers.random(rows) < 0.05, "broken", "whole"),
            "y": np.where(numbers.random(rows) < 0.5, "yes", "no"),
        }
    )
    return linnet.read(frame, target="y")


def answers(data: Dataset, seed: int, wrong: Any) -> torch.Tensor:
    """Log-odds that are wrong in a share ``wrong`` (rows,) of the rows."""
    numbers = np.random.default_rng(seed)
    sign = np.where(numbers.random(len(data)) < wrong, -1.0, 1.0)
    return torch.tensor((2.0 * data.y.numpy() - 1) * sign)[:, None]


def test_a_broken_slice_is_found_first_and_none_without_one() -> None:
    first = named = 0
    for seed in range(20):
        data = table(2000, seed)
        cuts = cuts_of(data.x, data.schema)
        part = next(cut for cut in cuts if cut.column == "part")
        broken = part.codes == part.labels.index("broken")
        found = slices(Logistic(), answers(data, seed, np.where(broken, 0.4, 0.1)), data, cuts)
        worst = found.slices[0]
        first += worst.column == "part" and worst.value == "broken" and worst.worse
        whole = slices(Logistic(), answers(data, seed + 100, 0.1), data, cuts)
        named += bool(whole.worse)
        assert whole.tested == len(whole) == 3 * 4 + 3 * 8 + 2
    assert first >= 19 and named <= 1


def test_a_slice_of_large_squared_errors_is_found() -> None:
    data = table(2000, 1)
    numbers = np.random.default_rng(0)
    cuts = cuts_of(data.x, data.schema)
    part = next(cut for cut in cuts if cut.column == "part")
    broken = part.codes == part.labels.index("broken")
    errors = (numbers.normal(size=2000) * np.where(broken, 3.0, 1.0)) ** 2
    found = of_errors(errors, cuts, classifies=False)
    worst = found.slices[0]
    assert (worst.column, worst.value) == ("part", "broken") and worst.worse
    assert worst.score == pytest.approx(np.sqrt(errors[broken].mean()))
    assert worst.rest == pytest.approx(np.sqrt(errors[~broken].mean()))
    rest = next(each for each in found if each.value == "whole")
    assert not rest.worse and rest.why == "better than the rest"
    assert found.whole == pytest.approx(np.sqrt(errors.mean()))


def test_the_scores_of_a_slice_and_its_test() -> None:
    """Where errors are of no skew, the test is Welch's."""
    numbers = np.random.default_rng(0)
    errors = numbers.uniform(1, 2, 400)
    inside = np.arange(400) < 200
    errors[inside] += 0.05
    cut = Cut("half", ("one", "other"), (~inside).astype(np.int64))
    found = of_errors(errors, [cut], classifies=False).slices[0]
    theirs = stats.ttest_ind(errors[inside], errors[~inside], equal_var=False)
    assert found.value == "one" and found.excess == pytest.approx(
        errors[inside].mean() - errors[~inside].mean()
    )
    assert found.p_value == pytest.approx(theirs.pvalue, rel=0.1)
    low, high = theirs.confidence_interval()
    assert found.excess_interval == pytest.approx((low, high), rel=0.05)
    assert found.p_adjusted == pytest.approx(min(1.0, 2 * (found.p_value or 0)))
    data = table(300, 0)
    raw = answers(data, 0, 0.2)
    right = (raw[:, 0] > 0).numpy() == (data.y == 1).numpy()
    cut = by_texts("who", ["a" if row < 100 else None for row in range(300)])
    told = {each.value: each for each in slices(Logistic(), raw, data, [cut])}
    assert set(told) == {"a", "(missing)"}
    assert told["a"].score == right[:100].mean()
    assert told["a"].interval == wilson(int(right[:100].sum()), 100)


def test_quarters_of_numbers() -> None:
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, np.nan])
    cut = by_numbers("n", values)
    assert cut.labels == ("1 to 2", "3 to 4", "5 to 6", "7 to 8", "(missing)")
    assert cut.codes.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    cut = by_numbers("n", np.array([0.0] * 90 + list(range(1, 11))))
    assert cut.labels == ("0", "1 to 10") or cut.labels[0] == "0"
    assert by_numbers("n", np.array([3.0, 1, 3])).labels == ("1", "3")
    assert by_numbers("n", np.full(3, np.nan)).labels == ("(missing)",)
    assert (by_numbers("n", np.array([0.0, 0, 0, 0, 5, 6, 7])).codes[:4] == 0).all()


def test_cuts_of_every_kind_of_column() -> None:
    days = np.datetime64("2024-01-01") + np.arange(100).astype("timedelta64[D]")
    frame = pl.DataFrame(
        {
            "when": days,
            "yes": np.arange(100) % 2 == 0,
            "word": [None if row % 10 == 0 else "ab"[row % 2] for row in range(100)],
            "many": [f"k{row % 45}" for row in range(100)],
            "y": np.arange(100.0),
        }
    )
    data = linnet.read(frame, target="y", columns={"many": "category"})
    cuts = {cut.column: cut for cut in cuts_of(data.x, data.schema)}
    assert cuts["when"].labels[0] == "2024-01-01 to 2024-01-25"
    assert cuts["yes"].labels == ("false", "true")
    assert cuts["yes"].codes.tolist() == [1, 0] * 50
    assert cuts["word"].labels == ("a", "b", "(missing)")
    assert (cuts["word"].codes == 2).sum() == 10
    assert len(cuts["many"].labels) <= MANY + 1
    found = by_texts("many", [f"k{row % 45}" for row in range(100)])
    assert found.labels[-1] == OTHERS and len(found.labels) == MANY + 1
    assert (found.codes >= 0).all() and set(found.codes) == set(range(MANY + 1))


def test_few_rows_and_groups() -> None:
    data = table(200, 0)
    raw = answers(data, 0, 0.2)
    cut = Cut("small", ("few", "rest"), (np.arange(200) >= 29).astype(np.int64))
    found = slices(Logistic(), raw, data, [cut])
    assert [each.why for each in found] == ["too few rows"] * 2 and found.tested == 0
    grouped = replace(data, division=Division("group", "who", torch.arange(200) // 20))
    cut = Cut("half", ("a", "b"), (np.arange(200) // 20 % 2).astype(np.int64))
    alone = slices(Logistic(), raw, data, [cut]).slices[0]
    by = slices(Logistic(), raw, grouped, [cut]).slices[0]
    assert by.score == alone.score and by.interval != alone.interval
    assert by.p_value != alone.p_value
    with pytest.raises(InputError, match="a cut has not the 200 rows"):
        slices(Logistic(), raw, data, [Cut("x", ("a",), np.zeros(3, np.int64))])


def test_slices_are_stored_as_they_are() -> None:
    data = table(300, 0)
    found = slices(Logistic(), answers(data, 0, 0.2), data, cuts_of(data.x, data.schema))
    plain = json.loads(json.dumps(found.plain()))
    assert Slices.parse(plain) == found
    assert len(found.plain(5)["slices"]) == 5
    y = torch.arange(300.0)
    numbers = replace(
        data, y=y, schema=data.schema.model_copy(update={"task": "regression", "classes": ()})
    )
    told = slices(Squared(), y[:, None].double() + 1, numbers, cuts_of(data.x, data.schema))
    assert told.score == "rmse" and told.whole == 1 and not told.worse

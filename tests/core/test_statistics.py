"""Intervals and the paired test: exact cases, what they must not depend on, how often they hold."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from linnet.core.statistics import (
    FEW,
    MIN_GROUPS,
    MIN_ROWS,
    Interval,
    blocks,
    of_mean,
    of_share,
    of_size,
    out_of_fold,
    paired,
    wilson,
)

Array = np.ndarray[Any, Any]
T = stats.t.ppf(0.975, 11)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def coverage(interval: Callable[[np.random.Generator], Interval], true: float, n: int) -> float:
    """The share of ``n`` intervals of fresh rows that hold the true value."""
    found = [interval(random(seed)) for seed in range(n)]
    return float(np.mean([low <= true <= high for low, high in found]))


def jackknife(values: Array, groups: Array) -> tuple[float, float]:
    """The mean over rows, and its deviation by leaving out a group at a time, the long way."""
    codes = np.unique(groups)
    without = np.array([values[groups != code].mean() for code in codes])
    squares = ((without - values.mean()) ** 2).sum()
    return float(values.mean()), float(np.sqrt((len(codes) - 1) / len(codes) * squares))


def in_groups(values: Array, groups: int, seed: int = 1) -> Array:
    return random(seed).integers(0, groups, len(values))


# exact cases


def test_without_skewness_an_interval_of_a_mean_is_students() -> None:
    half = random().standard_normal(6)
    values = 3 + np.concatenate([half, -half])
    expected = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert of_mean(values) == pytest.approx(expected, rel=1e-8)


def test_with_skewness_it_is_widened_to_halls() -> None:
    """Hall's cubic g(T) = T + aT²/3 + a²T³/27 + a/6, where a is skewness / root n, is the quantile
    of t at the upper end, which is the farther one for a long tail to the right."""
    values = random().exponential(size=12)
    low, high = of_mean(values)
    error = stats.sem(values)
    student = values.mean() - T * error
    a = stats.skew(values, bias=False) / np.sqrt(12)
    t = (values.mean() - high) / error
    assert t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6 == pytest.approx(-T, rel=1e-9)
    assert low == pytest.approx(student, rel=1e-12) and high - values.mean() > T * error


@pytest.mark.parametrize("rows", [1, 2, 5, FEW - 1])
def test_few_rows_have_at_least_the_exact_interval_of_normal_errors(rows: int) -> None:
    squares = random(rows).standard_normal(rows) ** 2
    low, high = of_size(squares)
    ends = squares.sum() / stats.chi2.ppf([0.975, 0.025], rows)
    assert low <= ends[0] * (1 + 1e-9) and high >= ends[1] * (1 - 1e-9)
    if rows == 1:
        assert (low, high) == pytest.approx(tuple(ends))


def test_of_many_rows_all_intervals_are_the_normal_one() -> None:
    squares = random().standard_normal(10**6) ** 2
    normal = stats.norm.interval(0.95, squares.mean(), stats.sem(squares))
    assert of_size(squares) == pytest.approx(normal, rel=1e-5)
    assert of_mean(squares) == pytest.approx(normal, rel=1e-5)


def test_the_deviation_over_groups_is_the_jackknifes() -> None:
    values = random().standard_normal(100) + 5
    groups = in_groups(values, 6)
    mean, error = jackknife(values, groups)
    low, high = of_mean(values, groups)
    sizes = np.bincount(groups)
    df = sizes.sum() ** 2 / (sizes**2).sum() - 1
    reach = stats.t.ppf(0.975, df) * error
    assert low <= mean - reach * (1 - 1e-9) and high >= mean + reach * (1 - 1e-9)
    assert max(mean - low, high - mean) < 3 * reach


def test_with_equal_groups_it_is_the_t_interval_of_their_means() -> None:
    half = random().standard_normal(6)
    means = np.concatenate([half, -half])
    values = (means[:, None] + random(1).standard_normal((12, 40))).ravel()
    values = (values.reshape(12, 40) - values.reshape(12, 40).mean(1, keepdims=True)).ravel()
    values += np.repeat(means, 40)
    expected = stats.t.interval(0.95, 11, 0, stats.sem(means))
    assert of_mean(values, np.repeat(np.arange(12), 40)) == pytest.approx(expected, abs=1e-9)


def test_an_accuracy_over_groups_by_hand() -> None:
    """Four groups of ten rows with 5, 7, 9 and 7 right: the mean 0.7 has the deviation
    sqrt(0.02667 / 4), and so Wilson's interval is that of 31.5 * (1.96 / 3.182)² = 11.95 rows."""
    right = np.concatenate([np.arange(10) < hits for hits in (5, 7, 9, 7)])
    rows = 0.7 * 0.3 / (0.08 / 3 / 4) * (1.959964 / 3.182446) ** 2
    wide = wilson(0.7 * rows, rows)
    student = 3.182446 * np.sqrt(0.08 / 3 / 4)  # the shares are symmetric, so Hall's is Student's
    low, high = of_share(right, np.repeat(np.arange(4), 10))
    assert low == pytest.approx(min(wide[0], 0.7 - student), rel=1e-5)
    assert high == pytest.approx(max(wide[1], 0.7 + student), rel=1e-5)


def test_where_all_is_right_each_group_counts_as_one_row() -> None:
    groups = np.repeat(np.arange(12), 40)
    assert of_share(np.ones(480, bool), groups) == pytest.approx(wilson(12, 12))
    assert of_share(np.zeros(480, bool), groups) == pytest.approx(wilson(0, 12))


def test_one_group_says_nothing_of_others() -> None:
    values, one = random().standard_normal(50), np.zeros(50, int)
    assert of_share(values > 0, one) == (0.0, 1.0)
    assert of_size(values**2, one) == (0.0, float("inf"))
    assert of_mean(values, one) == (float("-inf"), float("inf"))
    assert of_mean(values[:1]) == (float("-inf"), float("inf"))


def test_independent_rows_have_wilsons_interval() -> None:
    right = random().random(77) < 0.8
    assert of_share(right) == wilson(int(right.sum()), 77)
    exact = stats.binomtest(int(right.sum()), 77).proportion_ci(method="wilson")
    assert of_share(right) == pytest.approx((exact.low, exact.high))


# what they do not depend on


@pytest.mark.parametrize("interval", [of_size, of_mean])
def test_intervals_do_not_depend_on_order_scale_codes_or_copies(
    interval: Callable[..., Interval],
) -> None:
    values = random().exponential(size=40)
    groups = in_groups(values, 7)
    found = interval(values, groups)
    order = random(2).permutation(40)
    assert interval(values[order], groups[order]) == pytest.approx(found, rel=1e-12)
    assert interval(values, 1000 - 3 * groups) == pytest.approx(found, rel=1e-12)
    assert interval(values, np.array(list("abcdefg"))[groups]) == pytest.approx(found, rel=1e-12)
    for scale in (2.0**-900, 2.0**900):
        assert interval(scale * values, groups) == tuple(scale * end for end in found)
    copies = interval(np.repeat(values, 5), np.repeat(groups, 5))
    assert copies == pytest.approx(found, rel=1e-12)
    rows = np.arange(40)
    alone = interval(values, rows)
    assert interval(np.repeat(values, 5), np.repeat(rows, 5)) == pytest.approx(alone, rel=1e-12)
    assert alone == pytest.approx(interval(values), rel=1e-12)  # a row is a group of one
    weight = random(3).integers(1, 4, 40)
    repeated = np.repeat(rows, weight)
    expected = interval(values[repeated], repeated)
    assert interval(values, None, weight.astype(float)) == pytest.approx(expected, rel=1e-12)
    some = np.concatenate([values, [1e9]]), None, np.concatenate([weight.astype(float), [0.0]])
    assert interval(*some) == pytest.approx(expected, rel=1e-12)  # a row of weight 0 is no row


def test_accuracy_of_wrong_rows_is_the_mirror_of_that_of_right_rows() -> None:
    right = random().random(60) < 0.8
    groups = in_groups(right, 6)
    low, high = of_share(right, groups)
    assert of_share(~right, groups) == pytest.approx((1 - high, 1 - low))


def test_values_at_the_edge() -> None:
    assert of_size(np.zeros(5)) == of_mean(np.zeros(5)) == (0.0, 0.0)
    assert of_mean(np.full(40, 3.0)) == (3.0, 3.0)
    assert np.isnan(of_size(np.array([1.0, np.inf]))).all()
    found = paired(np.array([1.0, np.nan] * 10))
    assert (found.p_value, found.why) == (1.0, "errors are not finite")
    for tiny in (1e-300, 1e300):
        low, high = of_size(tiny * np.arange(1.0, 9))
        assert 0 < low < 4.5 * tiny < high < np.inf


def test_blocks_hold_consecutive_times_and_about_equally_many_rows() -> None:
    times = random().permutation(1000) / 7
    found = blocks(times)
    assert np.bincount(found).tolist() == [100] * 10
    assert (np.diff(found[times.argsort()]) >= 0).all()
    assert np.bincount(blocks(np.arange(20))).tolist() == [4] * 5
    days = np.repeat(np.arange(30), 50)
    assert np.bincount(blocks(days)).tolist() == [300] * 5  # 30 days, not 1,500 rows
    assert len(np.unique(blocks(np.repeat([2024, 2025, 2026], 100)))) == 3
    assert not blocks(np.full(9, 5.0)).any()


# the paired test


def test_a_difference_is_significant_where_students_and_halls_intervals_leave_out_0() -> None:
    for seed in range(200):
        differences = random(seed).exponential(size=15) - 0.6
        found = paired(differences)
        low, high = found.interval
        assert (found.p_value < 0.05) == (low > 0 or high < 0)
        assert found.p_value >= stats.ttest_1samp(differences, 0).pvalue * (1 - 1e-9)


def test_there_is_no_claim_from_few_rows_or_groups() -> None:
    clear = 100 + random().standard_normal(MIN_ROWS)
    assert paired(clear).why is None
    found = paired(clear[:-1])
    assert found.p_value < 1e-6 and found.why == "too few rows"
    rows = np.repeat(clear[:MIN_GROUPS], 40)
    groups = np.repeat(np.arange(MIN_GROUPS), 40)
    assert paired(rows, groups, "group").why is None
    few = groups > 0
    assert paired(rows[few], groups[few], "group").why == "too few groups"
    assert paired(rows[few], groups[few], "block").why == "too few blocks"
    assert paired(np.ones(1)).why == "too few rows"


@pytest.mark.parametrize("place", [0, 7, 39])
def test_there_is_no_claim_from_one_row(place: int) -> None:
    """39 differences that just fail to show anything, and one that decides."""
    others = np.concatenate([np.full(20, 1.0), np.full(19, -0.65)]) + 0.07
    assert 0.05 <= paired(others).p_value < 0.06 and paired(others).why == "may be chance"
    whole = np.insert(others, place, 1.5)
    assert paired(whole).p_value < 0.05
    assert paired(whole).why == paired(-whole).why == "rests on one row"
    repeated, rows = np.repeat(whole, 3), np.repeat(np.arange(40), 3)
    assert paired(repeated, rows, "group").why == "rests on one group"
    assert paired(np.repeat(whole, 2)).why is None


def test_a_claim_holds_without_any_row_the_long_way() -> None:
    kinds = set()
    for seed in range(60):
        differences = random(seed).standard_normal(12) + 0.9
        found = paired(differences)
        if found.p_value >= 0.05:
            continue
        others = [paired(np.delete(differences, row)) for row in range(12)]
        holds = all(other.p_value < 0.05 for other in others)
        assert (found.why is None) == holds
        kinds.add(holds)
    assert kinds == {True, False}


# how often they hold


@pytest.mark.parametrize("rows", [4, 10, 20, 30, 100])
def test_an_interval_of_rmse_holds_as_often_as_it_says(rows: int) -> None:
    """Within the error of 1,000 repetitions, 0.7 %; chi-square alone is exact for normal errors."""
    assert coverage(lambda r: of_size(r.standard_normal(rows) ** 2), 1.0, 1000) >= 0.93


@pytest.mark.parametrize(("rows", "least"), [(5, 0.89), (10, 0.89), (20, 0.92), (100, 0.92)])
def test_an_interval_of_an_accuracy_holds_as_often_as_it_says(rows: int, least: float) -> None:
    """By all that may happen, not by samples: accuracies from 5 to 95 %, and bins of a
    calibration, which are Wilson's too."""
    hits, true = np.arange(rows + 1), np.linspace(0.05, 0.95, 181)[:, None]
    low, high = wilson(hits, rows)
    holds = (stats.binom.pmf(hits, rows, true) * ((low <= true) & (true <= high))).sum(1)
    assert holds.min() >= least and 0.945 <= holds.mean() <= 0.96


@pytest.mark.parametrize(("rows", "least"), [(30, 0.83), (1000, 0.90)])
def test_with_lognormal_errors_it_holds_more_often_than_the_bootstrap(
    rows: int, least: float
) -> None:
    """The percentile bootstrap covers 70 % and 87 % there."""
    true = float(np.exp(2))
    assert coverage(lambda r: of_size(r.lognormal(size=rows) ** 2), true, 600) >= least


def twelve_groups(r: np.random.Generator) -> tuple[Array, Array]:
    """Twelve groups of 40 rows: each row's group, and the group's normal offset (rows,)."""
    groups = np.repeat(np.arange(12), 40)
    return groups, r.standard_normal(12)[groups]


def test_intervals_hold_for_groups_of_rows() -> None:
    def rmse(r: np.random.Generator) -> Interval:
        groups, offset = twelve_groups(r)
        return of_size((2 * offset + r.standard_normal(480)) ** 2, groups)

    def accuracy(r: np.random.Generator) -> Interval:
        groups, offset = twelve_groups(r)
        return of_share(0.5 * offset + r.standard_normal(480) < 1, groups)

    assert coverage(rmse, 5.0, 1000) >= 0.92
    assert coverage(accuracy, float(stats.norm.cdf(1 / np.sqrt(1.25))), 1000) >= 0.93


@pytest.mark.parametrize(("memory", "least"), [(0.5, 0.93), (0.9, 0.92)])
def test_intervals_hold_for_rows_in_time(memory: float, least: float) -> None:
    from scipy.signal import lfilter

    code = blocks(np.arange(500))

    def errors(r: np.random.Generator) -> Array:
        new = r.standard_normal(700) * np.sqrt(1 - memory**2)
        found: Array = lfilter([1], [1, -memory], new)[200:]
        return found

    assert coverage(lambda r: of_size(errors(r) ** 2, code), 1.0, 800) >= least
    assert coverage(lambda r: of_share(errors(r) < 0.8416212, code), 0.8, 800) >= least


NULLS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "normal": lambda r, n: r.standard_normal(n),
    "t of 3": lambda r, n: r.standard_t(3, n),
    "Cauchy": lambda r, n: r.standard_t(1, n),
    "squares": lambda r, n: r.standard_normal(n) ** 2 - r.standard_normal(n) ** 2,
    "skew": lambda r, n: 1 - r.exponential(size=n),
}


@pytest.mark.parametrize("rows", [MIN_ROWS, 30])
@pytest.mark.parametrize("name", NULLS)
def test_chance_is_called_significant_at_most_as_often_as_allowed(name: str, rows: int) -> None:
    found = [paired(NULLS[name](random(seed), rows)).why is None for seed in range(1000)]
    assert np.mean(found) <= 0.05


def test_chance_is_not_significant_in_groups_and_in_time_either() -> None:
    def grouped(seed: int) -> bool:
        groups, offset = twelve_groups(random(seed))
        return paired(offset + random(seed + 10**6).standard_normal(480), groups).why is None

    few = np.repeat(np.arange(MIN_GROUPS), 40)

    def smallest(seed: int) -> bool:
        return paired(random(seed).standard_normal(MIN_GROUPS)[few], few, "group").why is None

    assert np.mean([grouped(seed) for seed in range(1000)]) <= 0.05
    assert np.mean([smallest(seed) for seed in range(1000)]) <= 0.05


def test_what_is_different_is_found() -> None:
    """A shift of half a deviation on 100 rows, and of one on 12 groups."""
    rows = [paired(random(seed).standard_normal(100) + 0.5).why is None for seed in range(200)]
    assert np.mean(rows) > 0.95

    def grouped(seed: int) -> bool:
        groups, offset = twelve_groups(random(seed))
        return paired(1 + offset, groups, "group").why is None

    assert np.mean([grouped(seed) for seed in range(300)]) > 0.6


# out-of-fold rows


def test_more_folds_leave_less_to_add() -> None:
    assert out_of_fold(5) == pytest.approx(np.sqrt(1 + 0.2 / 0.8))
    assert out_of_fold(2) > out_of_fold(5) > out_of_fold(10) > 1


@pytest.mark.parametrize("spread", [1.2, 2**0.5])
def test_a_larger_standard_error_is_that_of_fewer_rows(spread: float) -> None:
    right = random().random(200) < 0.8
    low, high = of_share(right, spread=spread)
    assert (low, high) == pytest.approx(wilson(right.sum() / spread**2, 200 / spread**2))
    values = random().standard_normal(200)
    usual, wide = of_mean(values), of_mean(values, spread=spread)
    mean = values.mean()
    assert wide == pytest.approx([mean + spread * (end - mean) for end in usual])


def test_of_two_copies_of_each_row_it_is_the_interval_of_one() -> None:
    """What a spread of root 2 undoes: rows that count twice."""
    right, squares = random().random(500) < 0.9, random(1).standard_normal(500) ** 2
    assert of_share(np.repeat(right, 2), spread=2**0.5) == pytest.approx(of_share(right))
    one, two = of_size(squares), of_size(np.repeat(squares, 2), spread=2**0.5)
    assert two == pytest.approx(one, rel=2e-2)
    before, after = paired(squares - 0.7), paired(np.repeat(squares - 0.7, 2), spread=2**0.5)
    assert after.p_value == pytest.approx(before.p_value, rel=0.2) and before.p_value < 0.1


@pytest.mark.parametrize("groups", [None, 6, 40])
@pytest.mark.parametrize("rows", [12, 80])
def test_intervals_grow_with_the_spread(groups: int | None, rows: int) -> None:
    codes = None if groups is None else in_groups(np.empty(rows), groups)
    values = random().standard_normal(rows)
    every: list[Callable[[float], Interval]] = [
        lambda spread: of_share(values > 0.3, codes, spread),
        lambda spread: of_size(values**2, codes, spread=spread),
        lambda spread: of_mean(values, codes, spread=spread),
    ]
    for of in every:
        low, high = zip(*(of(spread) for spread in (1.0, 1.2, 1.5)), strict=True)
        assert list(low) == sorted(low, reverse=True) and list(high) == sorted(high)
        assert high[2] - low[2] > high[0] - low[0]
    chances = [paired(values + 0.3, codes, spread=spread).p_value for spread in (1.0, 1.2, 1.5)]
    assert chances == sorted(chances)

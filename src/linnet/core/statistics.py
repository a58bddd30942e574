"""Confidence intervals of proportions and means, and a paired test.

Rows may depend on each other within groups. Then a group is one observation: the mean of all rows
is the ratio of two sums over groups, and its deviation is the jackknife's, which leaves out a group
at a time. Rows that are independent are groups of one. All of it is a formula: nothing is drawn at
random, and the order of the rows does not matter. ``benchmarks/coverage.py`` simulates how often
each interval holds the true value.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
Z = 1.959963984540054
"""The quantile of the normal distribution for a two-sided interval with this confidence."""

FEW = 30
"""With fewer independent rows, an interval of a mean square is not narrower than that of normal
errors, which is exact for them: so few rows do not show how heavy the tails are."""

MIN_ROWS = 10
MIN_GROUPS = 5
"""With fewer independent rows, or fewer groups, no difference is called significant."""

MIN_BLOCKS = 5

OUT_OF_FOLD_PAIR = 1.3
"""The standard error of the mean difference of two models over out-of-fold rows, as a multiple of
that of as many test rows (see ``out_of_fold``). What two models have in common cancels out in a
difference, and what each fit is by chance does not, so it counts for more: of two equally good
trees, 11 to 15 % of the usual tests call one better with 150 rows, and 5 to 6 % with this
factor."""

Array = np.ndarray[Any, Any]
Interval = tuple[float, float]


def out_of_fold(folds: int) -> float:
    """The standard error of a score of out-of-fold rows, as a multiple of that of as many test
    rows: the root of 1 + (rows of a fold) / (rows of the others).

    The models of two folds have most of their training rows in common, so the errors of all rows
    depend on each other; and the model that is then fitted to all rows has an error of its own,
    which the folds do not see. An interval that ignores this holds the error of that model too
    rarely (Bates, Hastie and Tibshirani 2024, "Cross-validation: what does it estimate and how well
    does it do it?", J. Am. Stat. Assoc. 119, 1434-1445). How much is missing cannot be estimated
    from one table without hundreds of fits more. Nadeau and Bengio (2003, "Inference for the
    generalization error", Machine Learning 52, 239-281) add this share of the variance for each
    fold, which is too much: their intervals hold it in 98 to 100 %. Added once, they hold it as
    often as they should: ``benchmarks/tables/coverage.py``.
    """
    return float(np.sqrt(folds / (folds - 1)))


def wilson(hits: Any, rows: Any) -> tuple[Any, Any]:
    """Wilson's (1927) confidence interval of the proportion ``hits / rows``, of numbers or arrays.

    J. Am. Stat. Assoc. 22, 209-212; ``scipy.stats.binomtest`` gives the same numbers.
    """
    share = hits / rows
    whole = 2 * (rows + Z**2)
    centre = (2 * rows * share + Z**2) / whole
    half = Z / whole * np.sqrt(4 * rows * share * (1 - share) + Z**2)
    low = np.where(np.asarray(hits) == 0, 0.0, centre - half)
    high = np.where(np.asarray(hits) == rows, 1.0, centre + half)
    return (low, high) if low.ndim else (float(low), float(high))


def blocks(times: Array) -> Array:
    """The number of the block (rows,) of each row, by its time (rows,): blocks of consecutive times
    with about equally many rows.

    For n different times there are n^(1/3) blocks, but at least ``MIN_BLOCKS`` (or n). So blocks
    grow with n faster than their number, and become independent of each other if what happens at
    one time is forgotten later. Rows of one time are in one block.
    """
    _, place, sizes = np.unique(times, return_inverse=True, return_counts=True)
    count = min(len(sizes), max(MIN_BLOCKS, round(len(sizes) ** (1 / 3))))
    middle = sizes.cumsum() - sizes / 2
    block = (middle * count / len(times)).astype(np.int64)
    numbers: Array = np.unique(block, return_inverse=True)[1][place]
    return numbers


class _Mean(NamedTuple):
    """A mean over rows: of all groups, or (arrays) without each group in turn.

    ``error`` is the standard deviation of the mean, ``lean`` the skewness of a group's part in it,
    divided by the root of the number of groups, ``df`` this number less one. If groups differ in
    size, the number is that of equal groups with the same sum of squares (Kish 1965).
    """

    value: Any
    error: Any
    lean: Any
    df: Any

    def wider(self, spread: float) -> _Mean:
        """The same mean with ``spread`` times the error."""
        return self._replace(error=self.error * spread)

    @property
    def reach(self) -> Any:
        """The quantile of Student's t for a two-sided interval."""
        from scipy.special import stdtrit

        return stdtrit(self.df, 1 - TAIL)

    def skewed(self) -> tuple[Any, Any]:
        """Hall's (1992) interval, which the skewness moves towards the longer tail, with quantiles
        of t. J. R. Stat. Soc. B 54, 221-228, formula (g1)."""

        def end(reach: Any) -> Any:
            off = reach - self.lean / 6
            root = np.cbrt(1 + self.lean * off)
            return self.value - self.error * 3 * off / (root**2 + root + 1)

        return end(self.reach), end(-self.reach)

    def statistic(self) -> Any:
        """The number of deviations from 0 to the mean: Student's, or Hall's where it is nearer to
        0; 0 if the two have different signs."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            t = np.where(self.value == 0, 0.0, self.value / self.error)
            bent = t + self.lean * t**2 / 3 + self.lean**2 * t**3 / 27 + self.lean / 6
        bent = np.where(np.isfinite(t), bent, t)
        nearer = np.where(np.abs(bent) < np.abs(t), bent, t)
        return np.where(np.sign(bent) == np.sign(t), nearer, 0.0)


class _Groups(NamedTuple):
    """The sum of the values, and the number (or weight) of rows, of each group (groups,)."""

    sums: Array
    sizes: Array

    @classmethod
    def of(cls, values: Array, groups: Array | None, weight: Array | None = None) -> _Groups:
        """The groups of ``values`` (rows,) with the codes ``groups`` (rows,), or each row a group.
        Rows of weight 0 are left out."""
        sizes = np.ones(len(values)) if weight is None else weight
        values = values * sizes
        if groups is not None:
            _, place = np.unique(groups, return_inverse=True)
            values, sizes = np.bincount(place, values), np.bincount(place, sizes)
        return cls(values[sizes > 0], sizes[sizes > 0])

    def mean(self, *, without_each: bool = False) -> _Mean:
        """The mean of all groups, or the means without each group; needs two groups more than are
        left out."""
        sums, sizes = self
        count = len(sums) - without_each
        total = sizes.sum()
        middle = sums.sum() / total
        off = sums - middle * sizes
        rest = total - sizes if without_each else total
        shift = off / rest if without_each else 0.0  # the mean of all minus that without a group
        # A group with many of the rows draws the mean to itself; the jackknife undoes that.
        larger = (1 - 1 / len(sums)) / (1 - sizes / total)
        off, scaled = off * larger, sizes * larger
        own = off + shift * scaled if without_each else 0.0
        squares = (off @ off) + 2 * shift * (off @ scaled) + shift**2 * (scaled @ scaled) - own**2
        squares = np.maximum(squares, 1e-14 * (off @ off))  # what rounding leaves of nothing
        cubes = (off**3).sum() + 3 * shift * (off**2 @ scaled) + 3 * shift**2 * (off @ scaled**2)
        cubes = cubes + shift**3 * (scaled**3).sum() - own**3
        error = np.sqrt(count / (count - 1) * squares) / rest
        even = rest**2 / (sizes @ sizes - (sizes**2 if without_each else 0.0))
        lean = cubes * 0.0
        if count > 2:
            skewness = cubes / count / np.where(squares > 0, squares / count, 1.0) ** 1.5
            lean = skewness * np.sqrt(count * (count - 1)) / (count - 2) / np.sqrt(even)
        return _Mean(middle - shift, error, lean, np.maximum(even - 1, 1))


def _scaled(values: Array) -> tuple[Array, float]:
    """``values`` divided by a power of two, so that no power of them is beyond float64; and that
    power."""
    largest = float(np.abs(values).max())
    exponent = int(np.frexp(largest)[1]) if np.isfinite(largest) else 0
    return np.ldexp(values.astype(np.float64), -exponent), float(np.ldexp(1.0, exponent))


def of_share(right: Array, groups: Array | None = None, spread: float = 1.0) -> Interval:
    """The interval of the share of rows that are right, from ``right`` (rows,), true or false, and
    the group of each row (rows,).

    Independent rows: Wilson's. Groups: Wilson's for as many independent rows as would have the
    share's deviation, less the uncertainty of this deviation (Korn and Graubard 1998), widened to
    Hall's. If all rows are right, or none, then each group counts as one row. The interval is that
    of a standard error ``spread`` times as large.
    """
    if groups is None:
        return wilson(int(right.sum()) / spread**2, len(right) / spread**2)
    found = _Groups.of(right.astype(np.float64), groups)
    if len(found.sums) < 2:
        return 0.0, 1.0
    mean = found.mean().wider(spread)
    share = mean.value
    if 0 < share < 1:
        rows = len(right) / spread**2
        if mean.error > 0:
            rows = min(rows, share * (1 - share) / mean.error**2 * (Z / mean.reach) ** 2)
    else:
        rows = (mean.df + 1) / spread**2
    low, high = wilson(share * rows, rows)
    skewed = mean.skewed()
    return max(0.0, float(min(low, skewed[0]))), min(1.0, float(max(high, skewed[1])))


def of_size(
    values: Array,
    groups: Array | None = None,
    weight: Array | None = None,
    spread: float = 1.0,
) -> Interval:
    """The interval of the mean of numbers that are not negative, such as squared errors (rows,);
    ``groups`` and ``weight`` are (rows,). It is that of a standard error ``spread`` times as large.

    The lower end is Student's in logarithms, the upper one Hall's, or Student's in logarithms to
    the second order where this is larger. With fewer than ``FEW`` independent rows it is widened to
    the interval of squares of normal numbers, by chi-square. One group alone gives 0 to infinity.
    """
    if not np.isfinite(values).all():
        return float("nan"), float("nan")
    values, unit = _scaled(values)
    found = _Groups.of(values, groups, weight)
    count, total = len(found.sums), float(found.sums.sum())
    if not total:
        return 0.0, 0.0
    ends = []
    if count > 1:
        mean = found.mean().wider(spread)
        part = float(mean.reach * mean.error / mean.value)
        ends += [mean.value * np.exp(-part), mean.value * (1 + part + part**2 / 2)]
        ends += [max(float(end), ends[0]) for end in mean.skewed()]
    if count < FEW and groups is None and weight is None:
        from scipy.special import chdtri

        fewer, total = count / spread**2, total / spread**2
        ends += [total / chdtri(fewer, TAIL), total / chdtri(fewer, 1 - TAIL)]
    return (float(min(ends)) * unit, float(max(ends)) * unit) if ends else (0.0, float("inf"))


def of_mean(
    values: Array,
    groups: Array | None = None,
    weight: Array | None = None,
    spread: float = 1.0,
) -> Interval:
    """The interval of the mean of any numbers (rows,): Student's, widened to Hall's, of a standard
    error ``spread`` times as large. One group, or one row, alone gives minus infinity to
    infinity."""
    if not np.isfinite(values).all():
        return float("nan"), float("nan")
    values, unit = _scaled(values)
    found = _Groups.of(values, groups, weight)
    if len(found.sums) < 2:
        return float("-inf"), float("inf")
    low, high = _widest(found.mean().wider(spread))
    return low * unit, high * unit


def _widest(mean: _Mean) -> Interval:
    low, high = mean.skewed()
    reach = mean.reach * mean.error
    return min(float(low), float(mean.value - reach)), max(float(high), float(mean.value + reach))


def of_error(values: Array, groups: Array | None = None, weight: Array | None = None) -> float:
    """The standard error of the mean of finite numbers (rows,), by the jackknife over groups; with
    one group, or one row, alone it is infinite."""
    values, unit = _scaled(values)
    found = _Groups.of(values, groups, weight)
    return float(found.mean().error) * unit if len(found.sums) > 1 else float("inf")


class Paired(NamedTuple):
    """The mean of differences, its interval, the probability of one as far from 0 by chance, and
    ``why`` it is not significant (None if it is)."""

    mean: float
    interval: Interval
    p_value: float
    why: str | None


def paired(
    differences: Array, groups: Array | None = None, unit: str = "row", spread: float = 1.0
) -> Paired:
    """Is the mean of ``differences`` (rows,) other than 0? ``groups`` are (rows,); ``unit`` is the
    word for a group, or for a row; the standard error is taken ``spread`` times as large.

    Significant is what Student's test and Hall's both call so, with any one group left out too, if
    there are ``MIN_ROWS`` rows, or ``MIN_GROUPS`` groups.
    """
    mean, interval = float(differences.mean()), of_mean(differences, groups, spread=spread)
    if not np.isfinite(differences).all():
        return Paired(mean, interval, 1.0, "errors are not finite")
    found = _Groups.of(_scaled(differences)[0], groups)
    count = len(found.sums)
    p = _p_value(found.mean().wider(spread)) if count > 1 else 1.0
    why = None
    if count < (MIN_ROWS if groups is None else MIN_GROUPS):
        why = too_few(unit)
    elif p >= 1 - CONFIDENCE:
        why = "may be chance"
    else:
        others = found.mean(without_each=True).wider(spread)
        left = np.sign(mean) * others.statistic()
        nearest = _Mean(left.min(), 1.0, 0.0, np.min(others.df))
        if nearest.value <= 0 or _p_value(nearest) >= 1 - CONFIDENCE:
            why = f"rests on one {unit}"
    return Paired(mean, interval, p, why)


def _p_value(mean: _Mean) -> float:
    """The probability of a mean as far from 0 if the true mean is 0: the larger of Student's and
    Hall's. It is below 0.05 where both intervals leave out 0."""
    from scipy.special import stdtr

    return float(2 * stdtr(mean.df, -np.abs(mean.statistic())))


def too_few(unit: str) -> str:
    """Why there is no claim: too few rows, groups or blocks."""
    return f"too few {unit}s"

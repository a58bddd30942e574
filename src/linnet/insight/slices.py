"""For whom the model fails: its score on parts of the rows, beside that on all other rows.

A slice is one category of a column, or a quarter of a number's rows. Its *excess* is the mean error
of its rows less that of all others: of classes the share of wrong rows, of numbers the squared
error. The test of no excess is that of a difference of two means of separate rows, by the jackknife
(``linnet.core.statistics``), and over groups or blocks of time where rows depend on each other.
Holm's correction is over all slices that were looked at, so that searching many of them names one
by chance in 5 % of the cases at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from linnet.core.language import tr
from linnet.core.statistics import CONFIDENCE, Paired, of_share, of_size, paired
from linnet.core.text import figure, percent
from linnet.data.column import MISSING
from linnet.errors import InputError
from linnet.insight.claims import Chance
from linnet.insight.fields import Field, fields_of
from linnet.insight.pairs import holm
from linnet.insight.shares import decided
from linnet.insight.task import CHANCE

if TYPE_CHECKING:
    from torch import Tensor

    from linnet.data.dataset import Dataset
    from linnet.data.schema import Schema
    from linnet.objectives.base import Objective

Array = np.ndarray[Any, Any]

MIN_ROWS = 30
"""A slice of fewer rows, or one that leaves fewer, is not tested: too few for any claim."""

QUARTERS = 4

MANY = 30
"""Of more categories, the others share a slice."""

OTHERS, UNKNOWN = "(all others)", "(unknown)"


class Cut(NamedTuple):
    """A column that divides the rows: the code of each row's slice (rows,), -1 for none, and the
    ``labels`` of the slices."""

    column: str
    labels: tuple[str, ...]
    codes: Array


class Slice(NamedTuple):
    """The score of one slice: accuracy (0 to 1), or RMSE in the unit of the target, with its 95 %
    ``interval``; ``rest`` is that of all other rows.

    ``excess`` is the mean error of the slice less that of the rest, with its 95 %
    ``excess_interval``. ``p_value`` is that of no excess, ``p_adjusted`` Holm's. ``worse`` says
    whether the slice is significantly worse than the rest; ``why`` says why not. Without a test
    ``excess`` and what follows from it are None.
    """

    column: str
    value: str
    rows: int
    score: float
    interval: tuple[float, float]
    rest: float | None = None
    excess: float | None = None
    excess_interval: tuple[float, float] | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    worse: bool = False
    why: str | None = None

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON."""
        told = self._asdict()
        pair = self.excess_interval
        told["interval"] = list(self.interval)
        told["excess_interval"] = None if pair is None else list(pair)
        return {key: value for key, value in told.items() if value is not None}


@dataclass(frozen=True)
class Slices:
    """The slices of all rows, the worst first: by the lower end of the interval of the excess.

    ``score`` is "accuracy" or "rmse"; ``whole`` that of all ``rows``; ``tested`` the number of
    slices with a test, for which Holm's correction is."""

    slices: tuple[Slice, ...]
    score: str
    whole: float
    rows: int
    tested: int

    def __iter__(self) -> Any:
        return iter(self.slices)

    def __len__(self) -> int:
        return len(self.slices)

    @property
    def worse(self) -> tuple[Slice, ...]:
        """The slices that are significantly worse than the rest."""
        return tuple(each for each in self.slices if each.worse)

    def told(self, each: Slice) -> str:
        """The score of a slice with its interval."""
        low, high = each.interval
        if self.score == "accuracy":
            value, ends = percent(each.score), (f"{100 * low:.2f}", f"{100 * high:.2f}")
        else:
            value, ends = figure(each.score), (figure(low), figure(high))
        return tr("{value} ({low} to {high})", value=value, low=ends[0], high=ends[1])

    def words(self, each: Slice) -> str:
        """The score of a slice with its interval, and whether it is worse than the rest."""
        told = self.told(each)
        if each.why == "too few rows":
            return tr("{one}; {other}", one=told, other=tr("too few rows"))
        if not each.worse:
            return told
        return tr("{score}; worse, {chance}", score=told, chance=Chance.of(each.p_adjusted))

    def plain(self, most: int | None = None) -> dict[str, Any]:
        """As a dict for JSON, with the ``most`` worst slices; ``Slices.parse`` is the inverse."""
        told = {key: getattr(self, key) for key in ("score", "whole", "rows", "tested")}
        return {**told, "slices": [each.plain() for each in self.slices[:most]]}

    @classmethod
    def parse(cls, plain: Mapping[str, Any]) -> Slices:
        """From ``plain``."""

        def one(each: Mapping[str, Any]) -> Slice:
            told: dict[str, Any] = {}
            for key in Slice._fields:
                if key not in each:
                    continue
                if key in ("interval", "excess_interval"):
                    low, high = map(float, each[key])
                    told[key] = low, high
                elif key in ("column", "value", "why"):
                    told[key] = str(each[key])
                else:
                    told[key] = each[key] if key in ("rows", "worse") else float(each[key])
            return Slice(**{**told, "rows": int(told["rows"]), "worse": bool(told["worse"])})

        told = {key: plain[key] for key in ("score", "whole", "rows", "tested")}
        return cls(tuple(map(one, plain["slices"])), **told)


def cuts_of(x: Tensor, schema: Schema) -> list[Cut]:
    """The cuts by each column of encoded rows: by category, by quarter of a number or a date, true
    or false; missing values are a slice of their own. Raises ``InputError`` for pictures."""
    return [_cut(field, x) for field in fields_of(schema)]


def _cut(field: Field, x: Tensor) -> Cut:
    if field.kind == "category":
        codes = field.codes(x)
        cut = _grouped(field.name, field.labels, codes)
        return _marked(cut, codes < 0, UNKNOWN)
    absent = field.absent(x)
    if field.kind == "boolean":
        codes = (field.numbers(x)[:, 0] > 0.5).astype(np.int64)
        return _marked(Cut(field.name, ("false", "true"), codes), absent)
    numbers = field.numbers(x)
    if field.kind != "date":
        return by_numbers(field.name, np.where(absent, np.nan, numbers[:, 0]))
    days = numbers[:, :3] @ np.array([372.0, 31.0, 1.0])

    def told(day: float) -> str:
        year, rest = divmod(day - 32, 372)
        return f"{year:.0f}-{rest // 31 + 1:02.0f}-{rest % 31 + 1:02.0f}"

    return by_numbers(field.name, np.where(absent, np.nan, days), told)


def by_numbers(column: str, values: Array, told: Any = figure) -> Cut:
    """The cut by the quarters of numbers (rows,); NaN is missing. Equal numbers are together, so a
    column of few different numbers has fewer slices. ``told`` writes a number as text."""
    present = ~np.isnan(values)
    own = values[present]
    if not len(own):
        return Cut(column, (MISSING,), np.zeros(len(values), np.int64))
    kinds = np.unique(own)
    if len(kinds) <= QUARTERS:
        codes = np.searchsorted(kinds, np.where(present, values, kinds[0]))
        return _marked(Cut(column, tuple(map(told, kinds)), codes), ~present)
    shares = np.arange(1, QUARTERS) / QUARTERS
    ends = np.unique(np.quantile(own, shares, method="inverted_cdf"))
    ends = ends[ends < kinds[-1]]
    codes = np.searchsorted(ends, np.where(present, values, kinds[0]), side="left")
    labels = []
    for code in range(len(ends) + 1):
        part = own[codes[present] == code]
        low, high = told(float(part.min())), told(float(part.max()))
        labels.append(low if low == high else f"{low} to {high}")
    return _marked(Cut(column, tuple(labels), codes), ~present)


def by_texts(column: str, values: Sequence[str | None]) -> Cut:
    """The cut by texts (rows,); None is missing."""
    labels, codes = np.unique([MISSING if v is None else v for v in values], return_inverse=True)
    return _grouped(column, tuple(map(str, labels)), codes.astype(np.int64))


def _marked(cut: Cut, absent: Array, label: str = MISSING) -> Cut:
    """The cut, with the ``absent`` rows as a slice of their own."""
    if not absent.any():
        return cut
    codes = np.where(absent, len(cut.labels), cut.codes)
    return Cut(cut.column, (*cut.labels, label), codes)


def _grouped(column: str, labels: tuple[str, ...], codes: Array) -> Cut:
    """The cut by categories; of more than ``MANY``, those of the fewest rows share a slice."""
    if len(labels) <= MANY:
        return Cut(column, labels, codes)
    counts = np.bincount(codes[codes >= 0], minlength=len(labels))
    kept = np.sort(np.argsort(-counts, kind="stable")[:MANY])
    new = np.full(len(labels) + 1, MANY)
    new[kept], new[-1] = np.arange(MANY), -1
    return Cut(column, (*(labels[code] for code in kept), OTHERS), new[codes])


def slices(
    objective: Objective, raw: Tensor, data: Dataset, cuts: Sequence[Cut], spread: float = 1.0
) -> Slices:
    """The scores of raw predictions (rows, outputs) of ``data`` on each slice of the ``cuts``, the
    worst first. ``spread`` is the factor of standard errors for out-of-fold rows."""
    if objective.classifies:
        right = (decided(objective, raw) == data.codes.to(raw.device)).cpu().numpy()
        errors = 1.0 - right
    else:
        y = data.y.double().reshape(len(data), -1)
        errors = (objective.mean(raw) - y).square().mean(1).cpu().numpy()
    units = data.units()
    groups = None if units is None else units.codes
    word = "row" if units is None else units.word
    return of_errors(errors, cuts, groups, word, spread, classifies=objective.classifies)


def of_errors(
    errors: Array,
    cuts: Sequence[Cut],
    groups: Array | None = None,
    unit: str = "row",
    spread: float = 1.0,
    *,
    classifies: bool,
) -> Slices:
    """The slices by the error of each row (rows,): 0 or 1, or squared; ``groups`` (rows,) are the
    codes of rows that may depend on each other, and ``unit`` the word for one of them."""
    if any(len(cut.codes) != len(errors) for cut in cuts) or not len(errors):
        raise InputError(f"a cut has not the {len(errors):,} rows of the predictions")

    def score(own: Array) -> float:
        return float(1 - own.mean() if classifies else np.sqrt(own.mean()))

    def interval(own: Array, codes: Array | None) -> tuple[float, float]:
        if classifies:
            return of_share(own == 0, codes, spread)
        low, high = of_size(own, codes, None, spread)
        return float(np.sqrt(low)), float(np.sqrt(high))

    found: list[tuple[Slice, Paired | None]] = []
    for cut in cuts:
        for code, label in enumerate(cut.labels):
            inside = cut.codes == code
            rows = int(inside.sum())
            if not rows:
                continue
            own, codes = errors[inside], None if groups is None else groups[inside]
            told = Slice(cut.column, label, rows, score(own), interval(own, codes))
            tested = None
            if min(rows, len(errors) - rows) >= MIN_ROWS:
                told = told._replace(rest=score(errors[~inside]))
                tested = paired(_excess(errors, inside), groups, unit, spread)
            found.append((told, tested))
    p_values = [tested.p_value for _, tested in found if tested is not None]
    adjusted = iter(holm(p_values))
    every = [
        one._replace(why="too few rows") if tested is None else _tested(one, tested, next(adjusted))
        for one, tested in found
    ]
    every.sort(key=_order)
    whole = score(errors)
    name = "accuracy" if classifies else "rmse"
    return Slices(tuple(every), name, whole, len(errors), len(p_values))


def _order(each: Slice) -> tuple[bool, float]:
    """Tested slices first, by the lower end of their excess."""
    if each.excess_interval is None:
        return True, float(each.rows)
    return False, -each.excess_interval[0]


def _excess(errors: Array, inside: Array) -> Array:
    """Numbers (rows,) whose mean is the difference of the mean errors inside and outside, and whose
    deviation is its jackknife's."""
    rows, own = len(errors), int(inside.sum())
    rest = rows - own
    means = errors[inside].mean(), errors[~inside].mean()
    part = np.where(
        inside,
        (errors - means[0]) / np.sqrt(own * (own - 1)),
        (means[1] - errors) / np.sqrt(rest * (rest - 1)),
    )
    return np.asarray(means[0] - means[1] + np.sqrt(rows * (rows - 1)) * part)


def _tested(one: Slice, tested: Paired, p: float) -> Slice:
    why = tested.why
    if why is None and tested.mean <= 0:
        why = "better than the rest"
    elif why is None and p >= 1 - CONFIDENCE:
        why = CHANCE
    low, high = tested.interval
    return one._replace(
        excess=tested.mean, excess_interval=(float(low), float(high)), p_value=tested.p_value,
        p_adjusted=p, worse=why is None, why=why,
    )  # fmt: skip

"""How wide each prediction is: conformal intervals for numbers, sets of classes for classes.

Split conformal prediction (Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random
world"; Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018, "Distribution-free predictive inference
for regression", J. Am. Stat. Assoc. 113, 1094-1111): n rows that chose nothing, neither weights nor
penalty nor epoch nor model, are predicted, and each has a *conformity score*, large where the
prediction is far off. The threshold for a level is the k-th smallest score, k = ceil((n + 1)
level). A new row, exchangeable with these n, has a score up to it with a probability of at least
the level, and of at most level + 1/(n + 1) without ties. With k above n there is no such score.

Scores: of numbers |y - prediction|, or this divided by a scale that depends on the prediction
(``Scale``); of classes 1 - p(true class) (Sadinle, Lei and Wasserman 2019, "Least ambiguous
set-valued classifiers with bounded error levels", J. Am. Stat. Assoc. 114, 223-234), with one
threshold for all classes or one for each, from its own rows (there, section 3.1), so that each
class is in the set of its rows as often as is asked.

With folds there are no such rows, but each row has a prediction without its fold. ``cv_plus`` is
the CV+ of Barber, Candès, Ramdas and Tibshirani (2021, "Predictive inference with the jackknife+",
Annals of Statistics 49, 486-507), which needs the models of all folds for a new row:
``CrossCalibration``. Where these are gone, ``numbers`` and ``classes`` take out-of-fold predictions
in place of held-out ones; this is their "CV": it holds as often in practice, and has no guarantee.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from linnet.core.text import counted, listed, percent
from linnet.errors import InputError

Array = np.ndarray[Any, Any]
Kind = Literal["absolute", "scaled", "classes", "by class"]

LEVELS: tuple[float, ...] = tuple(
    number / 1000 for number in (*range(500, 1000, 10), *range(991, 1000))
)
"""The levels of which a calibration keeps the thresholds: whole percents from 50 %, and tenths of a
percent from 99 %."""

KNOTS = 10
"""The most predictions at which the scale of residuals is known."""

MIN_ROWS_A_KNOT = 20

MOST_PAIRS = 4_000_000
"""The most pairs of a training row and a new row that CV+ looks at at once: 32 MB."""

TIME = (
    "the rows are in time, so new rows are not exchangeable with those that calibrate: how often "
    "the intervals hold is not given, if things change"
)
GROUPS = (
    "rows of one group may depend on each other: how often the intervals hold is given on average "
    "over such groups, not for each group"
)
FOLDS = (
    "calibrated by out-of-fold predictions, of models that were fitted without the row's fold: "
    "this holds as often in practice, but no theorem says so"
)


def rank(rows: int, level: float) -> int:
    """The rank of the threshold among the scores of ``rows`` rows: ceil((rows + 1) level)."""
    return math.ceil(_exact((rows + 1) * level))


def rows_needed(level: float) -> int:
    """The fewest rows for which the threshold exists: 9 for 90 %, 19 for 95 %."""
    return math.ceil(_exact(level / (1 - level)))


def _exact(number: float) -> float:
    """A number without its rounding error: 0.9 times 10 is 9."""
    return float(round(number, 9))


def threshold(scores: Array, level: float) -> float:
    """The threshold for a level, by conformity scores (rows,). Raises ``InputError`` for a level
    that is not between 0 and 1, and if there are too few rows."""
    _check(level)
    number = rank(len(scores), level)
    if number > len(scores):
        raise InputError(_too_few(len(scores), level))
    return float(np.partition(scores, number - 1)[number - 1])


def _check(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"a level is between 0 and 1, such as 0.9; this is {level}")


def _too_few(rows: int, level: float) -> str:
    return (
        f"an interval that holds {percent(level)} of new rows needs {rows_needed(level)} rows to "
        f"calibrate it, and there are {rows}: ask for less, at most "
        f"{math.floor(1000 * rows / (rows + 1)) / 1000:g}, or hold out more rows"
    )


@dataclass(frozen=True)
class Scale:
    """The typical size of a residual by the prediction: ``size`` at the predictions ``at``, both
    (knots,), between them linear, outside of them constant."""

    at: tuple[float, ...]
    size: tuple[float, ...]

    def __call__(self, prediction: Array) -> Array:
        """The scale at each prediction, of the same shape."""
        return np.asarray(np.interp(prediction, self.at, self.size))

    @classmethod
    def learnt(cls, y: Array, prediction: Array) -> Scale:
        """The mean absolute residual of rows (rows,) that calibrate nothing, in parts with equally
        many rows by the prediction; at least a hundredth of the mean of all."""
        sizes = np.abs(y - prediction)
        order = np.argsort(prediction, kind="stable")
        parts = np.array_split(order, max(1, min(KNOTS, len(order) // MIN_ROWS_A_KNOT)))
        least = 0.01 * float(sizes.mean()) or 1.0
        at = [float(prediction[part].mean()) for part in parts]
        size = [max(least, float(sizes[part].mean())) for part in parts]
        return cls(tuple(at), tuple(size))


@dataclass(frozen=True)
class Calibration:
    """What turns predictions into intervals or sets: a small object, which ``plain`` makes JSON of.

    ``kind`` is "absolute" or "scaled" for numbers, and "classes" (one threshold) or "by class" for
    classes. ``names`` are the targets, or the classes. ``rows`` are the numbers of rows behind the
    thresholds: one for all, or one for each of ``names``. ``thresholds`` has, for each of them, the
    thresholds at ``LEVELS`` that exist. ``notes`` say what does not hold.
    """

    kind: Kind
    names: tuple[str, ...]
    rows: tuple[int, ...]
    thresholds: tuple[tuple[float, ...], ...]
    scales: tuple[Scale, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def classifies(self) -> bool:
        """Whether it makes sets of classes, and not intervals."""
        return self.kind in ("classes", "by class")

    @property
    def highest(self) -> float:
        """The highest level that enough rows calibrate; 0 if there is none."""
        return max((LEVELS[len(each) - 1] for each in self.thresholds if each), default=0.0)

    def level(self, asked: float) -> float:
        """The level of ``LEVELS`` that is used for ``asked``: itself, or the next one above.

        Raises ``InputError`` if there is none, or if too few rows calibrate it."""
        _check(asked)
        used = next((level for level in LEVELS if level >= asked - 1e-9), None)
        if used is None:
            raise InputError(f"the largest level is {LEVELS[-1]:g}; this is {asked:g}")
        if rank(max(self.rows), used) > max(self.rows):
            raise InputError(_too_few(max(self.rows), asked))
        return used

    def at(self, asked: float) -> Array:
        """The threshold of each target or class for a level; infinite for a class of too few
        rows."""
        place = LEVELS.index(self.level(asked))
        return np.array(
            [each[place] if place < len(each) else math.inf for each in self.thresholds]
        )

    def interval(self, prediction: Array, level: float) -> tuple[Array, Array]:
        """The lower and the upper end for predictions (rows,) or (rows, targets), in the target's
        unit: each target's interval holds with the probability ``level``, and not all at once."""
        if self.classifies:
            raise InputError("this calibration is for classes: it makes sets, not intervals")
        half = self.at(level)
        if np.ndim(prediction) == 1:
            half = half[0]
        if self.scales:
            wide = [
                scale(own)
                for scale, own in zip(
                    self.scales, np.reshape(prediction, (len(prediction), -1)).T, strict=True
                )
            ]
            half = half * np.stack(wide, 1).reshape(np.shape(prediction))
        return prediction - half, prediction + half

    def sets(self, p: Array, level: float) -> Sets:
        """The sets of classes for probabilities (rows, classes)."""
        if not self.classifies:
            raise InputError("this calibration is for numbers: it makes intervals, not sets")
        if p.ndim != 2 or p.shape[1] != len(self.names):
            raise InputError(f"p is {p.shape}; expected (rows, {len(self.names)})")
        inside: Array = np.asarray(1 - p <= self.at(level))
        empty = np.logical_not(inside.any(1))
        always = [
            name for name, most in zip(self.names, self.thresholds, strict=False)
            if self.kind == "by class" and len(most) <= LEVELS.index(self.level(level))
        ]  # fmt: skip
        return Sets(inside, empty, p.argmax(1), tuple(always))

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON; ``Calibration.parse`` is the inverse."""
        return {
            "format": 1,
            "kind": self.kind,
            "names": list(self.names),
            "rows": list(self.rows),
            "levels": list(LEVELS),
            "thresholds": [list(each) for each in self.thresholds],
            "scales": [{"at": list(each.at), "size": list(each.size)} for each in self.scales],
            "notes": list(self.notes),
        }

    @classmethod
    def parse(cls, plain: Mapping[str, Any]) -> Calibration:
        """From ``plain``, which may come from anyone; raises ``InputError`` if it is none."""
        try:
            if plain["format"] != 1 or tuple(plain["levels"]) != LEVELS:
                raise ValueError("its format or its levels are of a later linnet")
            found = cls(
                plain["kind"],
                tuple(map(str, plain["names"])),
                tuple(map(int, plain["rows"])),
                tuple(tuple(map(float, each)) for each in plain["thresholds"]),
                tuple(
                    Scale(tuple(map(float, each["at"])), tuple(map(float, each["size"])))
                    for each in plain["scales"]
                ),
                tuple(map(str, plain["notes"])),
            )
            _check_whole(found)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"the calibration of intervals cannot be read: {error}") from None
        return found


def _check_whole(found: Calibration) -> None:
    """Raise ``ValueError`` if the parts of a calibration do not fit each other."""
    if found.kind not in ("absolute", "scaled", "classes", "by class"):
        raise ValueError(f"unknown kind {found.kind!r}")
    own = 1 if found.kind == "classes" else len(found.names)
    if len(found.thresholds) != own or len(found.rows) != own or not found.names:
        raise ValueError(f"expected thresholds of {own}")
    if len(found.scales) != (own if found.kind == "scaled" else 0):
        raise ValueError("the scales are not those of its targets")
    for each in found.thresholds:
        if len(each) > len(LEVELS) or not all(map(math.isfinite, each)):
            raise ValueError("a threshold is not finite")
        if list(each) != sorted(each):
            raise ValueError("the thresholds do not rise")
    for rows, each in zip(found.rows, found.thresholds, strict=True):
        if not 0 <= rows < 1 << 53 or len(each) != len(_ranks(rows)):
            raise ValueError(f"expected the thresholds of {rows} rows")
    for scale in found.scales:
        _check_scale(scale)


def _check_scale(scale: Scale) -> None:
    """Raise ``ValueError`` if it is no scale."""
    numbers = (*scale.at, *scale.size)
    if len(scale.at) != len(scale.size) or not scale.at or len(scale.at) > KNOTS:
        raise ValueError("a scale has no sizes for its predictions")
    if not all(map(math.isfinite, numbers)) or min(scale.size) <= 0:
        raise ValueError("a scale is not above 0")
    if list(scale.at) != sorted(scale.at):
        raise ValueError("the predictions of a scale do not rise")


@dataclass(frozen=True)
class Sets:
    """Sets of classes: ``inside`` (rows, classes) is true for the classes of each set.

    Where no class is probable enough, the set is empty, and ``empty`` (rows,) is true: a model that
    is right more often than is asked has such rows, and only so the sets hold as often as is asked.
    ``filled`` has the most probable class (``top``, codes (rows,)) in their place. ``always`` are
    the classes that too few rows calibrate: they are in every set.
    """

    inside: Array
    empty: Array
    top: Array
    always: tuple[str, ...] = ()

    @property
    def filled(self) -> Array:
        """The sets (rows, classes), none of them empty: they hold at least as often."""
        found = self.inside.copy()
        found[self.empty, self.top[self.empty]] = True
        return found

    @property
    def notes(self) -> list[str]:
        """What to say of them; nothing if each set is what the formula gives."""
        found = []
        if number := int(self.empty.sum()):
            verb = "is" if number == 1 else "are"
            found.append(
                f"{counted(number, 'set')} {verb} empty, because no class is probable enough: look "
                "at such rows, or take the most probable class (filled)"
            )
        without = ~self.inside[np.arange(len(self.top)), self.top] & ~self.empty
        if number := int(without.sum()):
            verb = "lacks" if number == 1 else "lack"
            found.append(
                f"{counted(number, 'set')} {verb} the most probable class: each class has its own "
                "threshold, so that a rare one is in the sets of its rows as often as a common one"
            )
        if self.always:
            found.append(
                f"too few rows calibrate {listed(self.always, 5)}, so every set has "
                f"{'it' if len(self.always) == 1 else 'them'}"
            )
        return found


def _kept(scores: Array) -> tuple[float, ...]:
    """The thresholds of scores (rows,) at ``LEVELS``, as far as they exist."""
    ordered = np.sort(scores)
    return tuple(float(ordered[number - 1]) for number in _ranks(len(scores)))


def _ranks(rows: int) -> list[int]:
    """The ranks of the thresholds at ``LEVELS``, as far as they exist."""
    return [number for level in LEVELS if (number := rank(rows, level)) <= rows]


def numbers(
    y: Array,
    prediction: Array,
    targets: Sequence[str],
    *,
    scaled: bool = False,
    by: Literal["group", "time"] | None = None,
    fold: Array | None = None,
) -> Calibration:
    """The calibration of intervals by numbers ``y`` and their predictions, (rows,) or (rows,
    targets), of rows that chose nothing; or of all rows, each predicted without its ``fold``
    (rows,).

    ``scaled`` divides residuals by a scale that every second row teaches, by the prediction; the
    other rows calibrate. ``by`` says how rows depend on each other. Raises ``InputError`` if the
    numbers do not fit, are not finite, or if there is no row to calibrate.
    """
    y, prediction = (np.asarray(each, np.float64) for each in (y, prediction))
    if y.shape != prediction.shape or not y.size:
        raise InputError(f"y is {y.shape} and the predictions {prediction.shape}; expected one")
    y, prediction = y.reshape(len(y), -1), prediction.reshape(len(y), -1)
    if y.shape[1] != len(targets):
        raise InputError(f"{y.shape[1]} columns of numbers for {len(targets)} targets")
    if not (np.isfinite(y).all() and np.isfinite(prediction).all()):
        raise InputError("a number or a prediction is not finite, so no interval can be calibrated")
    scales: tuple[Scale, ...] = ()
    if scaled:
        if len(y) < 2:
            raise InputError("scaled residuals need two rows or more: one half teaches the scale")
        teach, y, own, prediction = y[::2], y[1::2], prediction[::2], prediction[1::2]
        scales = tuple(map(Scale.learnt, teach.T, own.T))
    scores = np.abs(y - prediction)
    if scales:
        scores /= np.stack([scale(p) for scale, p in zip(scales, prediction.T, strict=True)], 1)
    return Calibration(
        "scaled" if scaled else "absolute",
        tuple(targets),
        (len(y),) * len(targets),
        tuple(map(_kept, scores.T)),
        scales,
        _notes(by, fold),
    )


def classes(
    y: Array,
    p: Array,
    names: Sequence[Any],
    *,
    by_class: bool = True,
    by: Literal["group", "time"] | None = None,
    fold: Array | None = None,
) -> Calibration:
    """The calibration of sets by class codes ``y`` (rows,) and probabilities ``p`` (rows, classes)
    of rows that chose nothing; or of all rows, each predicted without its ``fold`` (rows,).

    ``by_class``: a threshold for each class. A class of too few rows is then in every set, and
    ``Sets.notes`` says so. Raises ``InputError`` if codes and probabilities do not fit.
    """
    y, p = np.asarray(y), np.asarray(p, np.float64)
    if p.ndim != 2 or y.shape != p.shape[:1] or p.shape[1] != len(names) or not len(y):
        raise InputError(f"y is {y.shape} and p {p.shape} for {len(names)} classes")
    if y.min() < 0 or y.max() >= len(names) or not np.isfinite(p).all():
        raise InputError("a class code is unknown, or a probability not finite")
    scores = 1 - p[np.arange(len(y)), y]
    parts = [scores[y == code] for code in range(len(names))] if by_class else [scores]
    return Calibration(
        "by class" if by_class else "classes",
        tuple(map(str, names)),
        tuple(map(len, parts)),
        tuple(map(_kept, parts)),
        notes=_notes(by, fold),
    )


def _notes(by: str | None, fold: Array | None) -> tuple[str, ...]:
    told = {"time": TIME, "group": GROUPS}
    return tuple(([told[by]] if by in told else []) + ([] if fold is None else [FOLDS]))


@dataclass(frozen=True)
class CrossCalibration:
    """What turns the predictions of the models of all folds for a new row into CV+ intervals or
    sets.

    ``y`` are the numbers (rows, targets) or the class codes (rows,) of the training rows, ``held``
    their predictions (rows, targets) or probabilities (rows, classes) without their ``fold``
    (rows,), from 0; ``names`` the targets or classes. Of new rows exchangeable with these n, and
    models chosen without them, at least 2 level - 1 - sqrt(2/n) are inside (Barber et al.,
    theorem 4); in practice about ``level``. Raises ``InputError`` if the parts do not fit.
    """

    y: Array
    held: Array
    fold: Array
    names: tuple[str, ...]
    classifies: bool
    by: Literal["group", "time"] | None = None
    """How rows depend on each other."""

    def __post_init__(self) -> None:
        shape = self.held.shape
        fits = len(shape) == 2 and shape[1] == len(self.names) and shape[0] > 0
        fits = fits and self.y.shape == (shape[:1] if self.classifies else shape)
        fits = fits and self.fold.shape == shape[:1]
        if not fits or not np.array_equal(np.unique(self.fold), np.arange(self.folds)):
            raise InputError("numbers, out-of-fold predictions and folds do not fit each other")
        if not np.isfinite(self.held).all() or not np.isfinite(self.y).all():
            raise InputError("a number or an out-of-fold prediction is not finite")
        if self.classifies and (self.y.min() < 0 or self.y.max() >= len(self.names)):
            raise InputError("a class code is unknown")

    @property
    def folds(self) -> int:
        """The number of folds."""
        return int(self.fold.max()) + 1 if len(self.fold) else 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What does not hold."""
        return _notes(self.by, None)

    def _check(self, new: Array) -> None:
        if new.ndim != 3 or len(new) != self.folds or new.shape[2] != len(self.names):
            raise InputError(
                f"the predictions of new rows are {new.shape}; expected (folds, rows, outputs): "
                f"({self.folds}, rows, {len(self.names)})"
            )

    def interval(self, new: Array, level: float) -> tuple[Array, Array]:
        """The lower and the upper end, (rows, targets) each, by the predictions ``new`` (folds,
        rows, targets) of the model without each fold. Raises ``InputError`` for classes, and below
        the number of rows at which an interval exists."""
        if self.classifies:
            raise InputError("this calibration is for classes: it makes sets, not intervals")
        self._check(new)
        step = max(1, MOST_PAIRS // len(self.y))
        low, high = np.empty(new.shape[1:]), np.empty(new.shape[1:])
        for target in range(len(self.names)):
            own, held = self.y[:, target], self.held[:, target]
            for start in range(0, new.shape[1], step):
                part = slice(start, start + step)
                low[part, target], high[part, target] = cv_plus(
                    own, held, self.fold, new[:, part, target], level
                )
        return low, high

    def sets(self, new: Array, level: float, *, by_class: bool = True) -> Sets:
        """The sets of classes by the probabilities ``new`` (folds, rows, classes) of the model
        without each fold.

        With s = 1 - p as the score of a class, and k(i) the fold of training row i, class c is in
        the set if more than (1 - level)(n + 1) - 1 of n training rows have a score of at least
        s(new row, c) of the model without k(i) (Romano, Sesia and Candès 2020, "Classification with
        valid and adaptive coverage", NeurIPS 33, section 2.3). ``by_class``: n are the rows of c.
        """
        if not self.classifies:
            raise InputError("this calibration is for numbers: it makes intervals, not sets")
        _check(level)
        self._check(new)
        if rank(len(self.y), level) > len(self.y):
            raise InputError(_too_few(len(self.y), level))
        inside = np.empty(new.shape[1:], bool)
        always = []
        scores = 1 - self.held[np.arange(len(self.y)), self.y]
        for code, name in enumerate(self.names):
            own = self.y == code if by_class else np.ones(len(self.y), bool)
            least = _exact((1 - level) * (int(own.sum()) + 1) - 1)
            if least < 0:
                always.append(name)
            counts = np.zeros(new.shape[1], np.int64)
            for number in range(self.folds):
                held = np.sort(scores[own & (self.fold == number)])
                counts += len(held) - np.searchsorted(held, 1 - new[number, :, code], side="left")
            inside[:, code] = counts > least
        mean = new.mean(0)
        return Sets(inside, np.logical_not(inside.any(1)), mean.argmax(1), tuple(always))


def cv_plus(y: Array, held: Array, fold: Array, new: Array, level: float) -> tuple[Array, Array]:
    """The CV+ interval of new rows: the lower and the upper end, (new rows,) each.

    ``y`` (rows,) are the numbers of the training rows, ``held`` (rows,) their predictions without
    their ``fold`` (rows,), and ``new`` (folds, new rows) those of the new rows by the model without
    each fold. The ends are the floor((1 - level)(n + 1))-th smallest of ``new[fold] - residual``
    and the ceil(level (n + 1))-th smallest of ``new[fold] + residual``. The interval holds with at
    least 2 level - 1 - sqrt(2/n), and in practice about ``level``. Raises ``InputError`` if they do
    not exist.
    """
    _check(level)
    residuals = np.abs(y - held)
    rows = len(residuals)
    upper = rank(rows, level)
    lower = math.floor(_exact((1 - level) * (rows + 1)))
    if upper > rows or lower < 1:
        raise InputError(_too_few(rows, level))
    own = new[fold]  # (rows, new rows)
    low = np.sort(own - residuals[:, None], axis=0)[lower - 1]
    high = np.sort(own + residuals[:, None], axis=0)[upper - 1]
    return low, high


@dataclass(frozen=True)
class Coverage:
    """How often sets or intervals hold, and how wide they are: ``share`` of ``rows``, and ``width``
    (the unit of the target) or the mean number of classes, ``size``; ``each`` class's share."""

    level: float
    share: float
    rows: int
    width: float | None = None
    size: float | None = None
    each: tuple[float, ...] = ()


def coverage(found: Calibration, y: Array, told: Array, level: float) -> Coverage:
    """How often a calibration holds on other rows: ``y`` (rows,) numbers or class codes, ``told``
    their predictions (rows,) or probabilities (rows, classes)."""
    if not found.classifies:
        low, high = found.interval(told, level)
        inside = (low <= y) & (y <= high)
        return Coverage(level, float(inside.mean()), len(y), width=float((high - low).mean()))
    sets = found.sets(told, level).inside
    inside = sets[np.arange(len(y)), y]
    each = [
        float(inside[y == code].mean()) if (y == code).any() else math.nan
        for code in range(sets.shape[1])
    ]
    size = float(sets.sum(1).mean())
    return Coverage(level, float(inside.mean()), len(y), size=size, each=tuple(each))


def crossed(
    y: Array, told: Array, names: Sequence[Any], level: float, *, classifies: bool, scaled: bool
) -> tuple[Calibration, Coverage]:
    """The calibration by all rows, and how often one by half of the rows held on the other half:
    the mean of both ways. Rows (rows,) and predictions as in ``numbers`` and ``classes``."""

    def made(part: slice | Array) -> Calibration:
        if classifies:
            return classes(y[part], told[part], names)
        return numbers(y[part], told[part], [str(name) for name in names], scaled=scaled)

    halves = [np.arange(len(y)) // 2 % 2 == side for side in (0, 1)]
    both = [
        coverage(made(halves[side]), y[halves[1 - side]], told[halves[1 - side]], level)
        for side in (0, 1)
    ]

    def mean(values: Sequence[float | None]) -> float | None:
        return None if None in values else float(np.mean([v for v in values if v is not None]))

    first = both[0]
    each = tuple(
        float(np.nanmean(pair)) if not all(map(math.isnan, pair)) else math.nan
        for pair in zip(*(one.each for one in both), strict=True)
    )
    merged = replace(
        first, share=float(np.mean([one.share for one in both])), rows=len(y), each=each,
        width=mean([one.width for one in both]), size=mean([one.size for one in both]),
    )  # fmt: skip
    return made(slice(None)), merged

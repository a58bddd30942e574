"""Diagnosis: why are the scores of a run not better? The reasons in words, from its record.

The diagnosis does not read the data or the models. It uses the events, the scores and, for classes,
the predicted probabilities of the test rows. Losses are divided by the validation loss of the best
constant, so that a threshold means the same for every target. The progress of a fit is measured by
the sum of its learning rates: when the rate falls, the loss falls more slowly, but it has not
necessarily converged. The thresholds were set with ``benchmarks/diagnosis.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from linnet.core.events import number
from linnet.core.history import Fit, History
from linnet.core.language import language, tr
from linnet.core.statistics import Z, wilson
from linnet.core.text import cut, listed
from linnet.errors import printable
from linnet.insight.claims import (
    R2,
    Bound,
    Columns,
    Count,
    Estimate,
    Fall,
    Falls,
    Figure,
    Number,
    Plain,
    Points,
    Rough,
    Rows,
    Sentence,
    Share,
    Size,
    TestRows,
    ValidRows,
    within,
)
from linnet.insight.pairs import YARDSTICK, YARDSTICK_TITLE, between
from linnet.insight.verdict import together
from linnet.networks import BASELINE, LINE

Array = NDArray[np.float64]
Cause = Literal[
    "rate too high",
    "rate too low",
    "stopped short",
    "under-fitting",
    "over-fitting",
    "line at its optimum",
    "few classes",
    "wrong labels",
    "parts differ",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
Notice = Literal[
    "columns left out", "penalty at the end", "no net for pictures", "trees are better"
]
"""What may be behind a score: columns that no model has seen, a path of penalties whose best one is
the first or the last, pictures of which no net saw the places of the pixels, or steps and
interactions that boosted trees find and the models do not."""
Prospect = Literal["more rows help", "more rows hardly help", "more rows unclear"]
"""The result of a learning curve; it is not a cause."""

SPIKE = 2.0
"""The training loss has a spike if it is this many times its start value in most of five written
steps in a row."""
SWING = 0.15
"""Validation losses oscillate if they go up and down by this share of the constant's loss."""
BEHIND = 0.14
"""A net is behind the line if its gain over the constant is smaller than the line's gain by this
share of the line's gain."""
HARDLY = 0.125
"""A loss hardly moved if it made less than this share of the way to the line's loss."""
LEFT = 0.001
"""A line stopped short if its optimality gap is this share of the constant's loss."""
AT_OPTIMUM = 0.01
"""A line is at its optimum if its optimality gap is at most this share of its own training loss:
all that could be gained."""
FALLING = 0.035
"""A loss is still falling if it fell in the last fifth of training by this share of its distance to
the line's loss."""
RISE = 0.15
GAP = 0.25
"""Over-fitting: the validation loss rose by ``RISE``, or is ``GAP`` above the training loss."""
STILL = 0.01
"""A smaller penalty than the smallest may be better if the validation loss fell by this share of
the constant's at the last one; a larger one than the largest, if it is this far from the
constant's."""
HIGH = 0.5
"""The learning rate is high from this share of its highest value on. Before that, in the warm-up, a
validation loss that rises is no over-fitting."""
PATIENCE = ("early_stopping", "no_progress")
"""The fit ended because its loss did not fall for several epochs."""
SIZES = {"mlp": "widths", "cnn": "channels"}
"""The setting of the size of a network."""
SHRUNK = 0.2
"""The penalty is too large if its term is this share of the line's gain over the constant. For a
squared error, the coefficients are then at most three quarters of those without a penalty."""
UNEXPLAINED = 0.5
"""Columns that were left out are named if this share of the variance is not explained."""
LITTLE = 0.005
"""Of pictures, a share of mistakes that no other net need better."""
MUCH_ERROR, LOW_R2 = 0.05, 0.9
"""In a run without nets, the line is said to be at its optimum if its error is larger than this, or
its R2 smaller."""
FAR_BETTER = 2.5
"""If a net's error is this many times smaller, better fitting cannot help the line."""
CHANCE = 1e-4
"""A difference counts as sure if its p-value is below this."""
NATURAL, NATURAL_TWO = 0.08, 0.22
"""If classes overlap, this share of the mistakes may be in the more confident half of the rows. The
second number is for two classes, which often overlap everywhere."""
UNSURE = 0.35
"""A model cannot judge labels if it expects this share of mistakes in the more confident half."""
OWN, TIMES = 0.12, 2.0
"""Nor can a model that is not good enough: if labels are wrong at random, their share is that of
the mistakes in the more confident half, and the other mistakes are the model's own. These must be
at most ``OWN`` of the rows and at most ``TIMES`` the share of wrong labels."""
HALF = 0.5
"""Nor one whose mistakes are more than this share of those of the most frequent class."""
JUDGED = 100
"""With fewer test rows, labels are not judged."""
WORTH = 0.05
"""More rows help if twice the rows reduced the validation loss by this share, both in the last
doubling and on average over the last two, and the interval of this average is above 0. They hardly
help if one of the two shares was smaller, and an interval ends below ``MOST_WORTH``."""
MOST_WORTH = 0.1


@dataclass(frozen=True, kw_only=True)
class Claim(Sentence):
    """One result of the diagnosis of a model.

    ``text`` is a sentence; ``remedy`` says what to try, with the key of the recipe if there is one.
    ``figures`` are the numbers behind the claim, by name. ``rows`` are the row numbers it is
    about, the most suspicious first. ``text`` can hold names of classes and models
    that users chose: escape it in HTML.
    """

    cause: Cause | Notice | Prospect
    remedy: str
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        with language(self.language):
            return tr("{one}; {other}", one=self.text, other=self.remedy)

    def __repr__(self) -> str:
        return f"Claim({self.model!r}, {self.cause!r}: {cut(self.text, 100)!r})"


class Reasons(list[Claim]):
    """Claims that are printed as sentences."""

    def __str__(self) -> str:
        return "\n".join(f"- {printable(claim)}" for claim in self) or tr("no reason found")

    __repr__ = __str__


class Predictions(NamedTuple):
    """The predictions of a classifier for the test rows: the row numbers ``row`` and class codes
    ``y``, both (rows,), and the probabilities ``p`` (rows, classes)."""

    row: NDArray[np.int64]
    y: NDArray[np.int64]
    p: Array


def typical_probability(log_loss: float) -> float:
    """e^-loss: the geometric mean of the probabilities that were given to the right class."""
    return math.exp(-log_loss)


@np.errstate(over="ignore", invalid="ignore")  # a fit may have diverged
def diagnose(
    history: History,
    metrics: Mapping[str, Any] | None = None,
    predictions: Mapping[str, Predictions] | None = None,
    *,
    valid_rows: int | None = None,
    error: str | None = None,
    changes: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    recipes: Mapping[str, Mapping[str, Any]] | None = None,
    left_out: Mapping[str, Sequence[str]] | None = None,
    pictures: bool = False,
) -> list[Claim]:
    """The reasons why the models of a run are not better, the most important first; empty if all is
    well.

    ``history`` is the history of the run's events; ``metrics`` is ``metrics.json``, if the run has
    one; ``predictions`` are by model; ``valid_rows`` is from ``run.json``, ``error`` from
    ``status.json``. For a run that is not finished, or failed, fewer reasons can be given. With the
    ``changes`` of the run's learning curve, the result also says whether more rows would help.
    With the ``recipes`` of the models, no remedy names what a recipe already has. ``left_out`` are
    the columns that no model has seen, by kind: they are named first. ``pictures``: the examples
    are pictures.

    A model has at most one claim about its fit, and at most one about its test rows.
    """
    run = _Run(history, metrics or {}, recipes or {})
    claims: list[Claim | None] = []
    for name, curve in run.models.items():
        if name not in (BASELINE, LINE):
            last = name == [*run.models][-1] and not run.scores
            claims.append(_net(run, curve, error if last else None))
    claims.append(_line(run) or _path(run))
    chosen = str(run.metrics.get("chosen"))
    test = run.test(chosen)
    if test:
        held = (predictions or {}).get(chosen)
        fitted_well = not any(claim is not None and claim.model == chosen for claim in claims)
        claims.append(
            _parts(run, chosen, valid_rows)
            or (_labels(run, chosen, held) if held is not None and fitted_well else None)
            or _classes(run, chosen)
        )
    claims.append(_left_out(run, chosen, [claim for claim in claims if claim], left_out or {}))
    claims.append(_no_places(run, chosen) if pictures else None)
    claims.append(_trees(run, chosen))
    found = sorted((claim for claim in claims if claim), key=lambda claim: _WEIGHT[claim.cause])
    told = {name: each for name, each in (changes or {}).items() if each and name != BASELINE}
    prospects = (_prospect(run, name, each) for name, each in told.items())
    return [*found, *(claim for claim in prospects if claim)]


class _Run:
    """What the claims are made of: the curves of each model, ``metrics.json`` and the recipes."""

    def __init__(
        self,
        history: History,
        metrics: Mapping[str, Any],
        recipes: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.history, self.metrics, self.recipes = history, metrics, recipes
        begun = (fit for fit in history.models.values() if fit.begin is not None)
        self.models = {fit.model: _Curve(fit) for fit in begun}
        self.scores: Mapping[str, Any] = metrics.get("models", {})
        self.comparisons: Sequence[Mapping[str, Any]] = metrics.get("comparisons", [])

    def test(self, model: str) -> Mapping[str, Any]:
        """The scores of a model's test rows; empty if there are none."""
        return self.scores.get(model, {}).get("test") or {}

    def yardstick(self) -> Mapping[str, Any]:
        """The scores of the yardstick's test rows; empty if there are none."""
        return self.metrics.get("yardstick", {}).get(YARDSTICK, {}).get("test") or {}

    def better(self, one: str, other: str) -> bool:
        """Whether the paired test shows a model, or the yardstick, to be better than another."""
        found = between(self.comparisons, one, other) or {}
        return found.get("better") == one and bool(found.get("significant"))

    def setting(self, model: str, key: str) -> Any:
        """A setting of a model's recipe; None if it is not known."""
        return self.recipes.get(model, {}).get(key)

    def unit(self, curve: _Curve) -> float:
        """The loss of the best constant on the validation rows, or else the first loss of the
        curve."""
        constant = self.models.get(BASELINE, curve)
        starts = [*constant.valid[:1], *constant.loss[:1], *curve.valid[:1], *curve.loss[:1]]
        return next((float(loss) for loss in starts if 0 < loss < math.inf), 1.0)

    def line_loss(self) -> float | None:
        """The validation loss of the line with the best penalty."""
        line = self.models.get(LINE)
        if line is None or len(line.valid) < 2:
            return None
        loss = float(line.valid[line.best])
        return loss if math.isfinite(loss) else None

    def claim(
        self,
        cause: Cause | Notice | Prospect,
        model: str,
        form: str,
        remedy: str,
        evidence: Mapping[str, Figure | Estimate | None],
        *,
        names: Mapping[str, str] | None = None,
        rows: Sequence[int] = (),
    ) -> Claim | None:
        """A claim; ``{model}`` in its form is the model's title. None if a figure that the form
        names is not known; other figures that are not known are left out."""
        known = {name: figure for name, figure in evidence.items() if figure is not None}
        titles = {"model": tr(self.history.title(model)), **(names or {})}
        try:
            return Claim(model, form, known, titles, cause=cause, remedy=remedy, rows=tuple(rows))
        except KeyError:
            return None


_WEIGHT: dict[str, int] = {
    cause: weight
    for weight, cause in enumerate(
        (
            "columns left out", "rate too high", "parts differ", "wrong labels", "rate too low",
            "stopped short",
            "over-fitting", "under-fitting", "trees are better", "few classes",
            "line at its optimum",
            "penalty at the end", "no net for pictures",
        )
    )
}  # fmt: skip


# the events of one model


class _Curve:
    """One model's fit as arrays: ``loss`` (written steps,) is the mean training loss since the
    written step before, ``valid`` (evaluations,) the validation loss."""

    def __init__(self, fit: Fit) -> None:
        self.name = fit.model
        self.fit = fit.end
        self.writings = fit.table("step")
        self.step = _column(self.writings, "step")
        self.loss = _column(self.writings, "loss")
        self.rate = _column(self.writings, "lr")
        evaluations = fit.table("valid")
        self.at = _column(evaluations, "step")
        self.epoch = _column(evaluations, "epoch")
        self.valid = _column(evaluations, "loss")

    @property
    def members(self) -> bool:
        """Whether the curves are means over members, each fitted without one fold of the rows."""
        return self.fit is not None and "members" in self.fit.values

    @property
    def best(self) -> int:
        """The index of the best evaluation after the start, or of the last one if the last weights
        are kept; 0 if there is none."""
        if self.members:
            return max(0, len(self.valid) - 1)
        losses = np.where(np.isnan(self.valid[1:]), math.inf, self.valid[1:])
        return 1 + int(losses.argmin()) if len(losses) else 0

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which written steps have the weights that are kept."""
        best = None if self.members or self.fit is None else self.fit.best_step
        return np.asarray(self.step == (self.step[-1] if best is None else best))

    def reached(self) -> int:
        """The index of the first evaluation, not counting the start, by which the learning rate had
        been high: ``HIGH`` of its highest value."""
        highest = np.nanmax(self.rate) if np.isfinite(self.rate).any() else math.nan
        high = self.step[self.rate >= HIGH * highest]
        return int(np.searchsorted(self.at[1:], high[0])) if len(high) else 0

    @property
    def rising(self) -> bool:
        """Whether the learning rate was still rising at the end: the fit ended in its warm-up."""
        rates = self.rate[np.isfinite(self.rate)]
        return len(rates) > 1 and bool(rates[-1] == rates.max() and rates[-1] > rates[-2])

    def training(self, start: float, end: float) -> float:
        """The mean training loss of the steps after ``start`` up to ``end``. If no step was written
        between them, it is the last loss that was written before ``end``."""
        inside = (self.step > start) & (self.step <= end)
        if not inside.any():
            return float(next(iter(self.loss[self.step <= end][::-1]), math.nan))
        widths = np.diff(self.step, prepend=0.0)[inside].clip(min=1.0)
        return float(np.average(self.loss[inside], weights=widths))

    def after(self, share: float) -> float:
        """The validation loss after ``share`` of the sum of learning rates."""
        widths = np.diff(self.step, prepend=0.0)
        gone = np.interp(self.at, self.step, np.cumsum(self.rate * widths))
        return float(np.interp(share * gone[-1], gone, self.valid))

    def swing(self) -> float:
        """How far the validation losses of the second half go up and down, on average."""
        half = self.valid[max(1, len(self.valid) // 2 - 1) :]
        if len(half) < 3:
            return 0.0
        moves = np.diff(half)
        turns = np.sign(moves[1:]) != np.sign(moves[:-1])
        least = np.minimum(abs(moves[1:]), abs(moves[:-1]))
        return float(np.where(turns, least, 0.0).mean())


def _column(table: Mapping[str, Sequence[Any]], key: str) -> Array:
    """A column (rows,) of a table as float64; NaN if a row has no such number."""
    steps = table.get("step", ())
    return np.array([number(value) for value in table.get(key, [None] * len(steps))], np.float64)


# nets


def _net(run: _Run, net: _Curve, error: str | None) -> Claim | None:
    """The main reason why a net is not better."""
    if not len(net.loss):
        return None
    unit = run.unit(net)
    short = _shortfall(run, net, unit)
    high = _rate_too_high(run, net, unit, short, error)
    if high is not None:
        return high
    if len(net.valid) < 3 or not np.isfinite(net.valid[-1]):
        return None
    over = _net_over_fits(run, net, unit)
    if net.rising:
        stopped = net.fit is not None and net.fit.stopped in PATIENCE
        return _warming(run, net) if stopped and (over or short) else None
    if over is not None or net.fit is None:
        return over
    return _unfinished(run, net, unit, short)


def _shortfall(run: _Run, net: _Curve, unit: float) -> bool | None:
    """Whether the net is worse than the line, by the paired test or by far; None without a line."""
    line = run.line_loss()
    if line is None or len(net.valid) < 2:
        return None
    missing = (net.valid[net.best] - line) / max(unit - line, 0.05 * unit)
    comparison = between(run.comparisons, net.name, LINE) or {}
    # squared errors of a line that fits by itself are surely smaller by a hair: that is no reason
    counted = comparison.get("better") == LINE and comparison.get("test") != "paired t"
    surely = counted and number(comparison.get("p_value", 1)) < CHANCE
    return bool(missing > (BEHIND / 10 if surely else BEHIND))


def _rate_too_high(
    run: _Run, net: _Curve, unit: float, short: bool | None, error: str | None
) -> Claim | None:
    finite = net.loss[np.isfinite(net.loss)]
    rates = net.rate[np.isfinite(net.rate)]
    start = max([unit, *net.loss[:1], *net.valid[:1]])
    width = min(5, len(finite))
    top = float(np.median(_windows(finite, width), axis=1).max()) if width else math.inf
    end = net.training(0.9 * net.step[-1], net.step[-1])
    highest = float(finite.max()) if len(finite) else math.inf
    swing = net.swing()
    if error is not None and error.startswith("Diverged"):
        how = tr("the loss was no longer finite after step {last step}")
    elif short is False:
        return None
    elif not math.isfinite(end):
        how = tr("its training loss was not finite at the end")
    elif end > 1.1 * unit and (top > SPIKE * start or 0 < net.best < len(net.valid) - 1):
        how = tr(
            "its training loss is {training loss at the end}, but the best constant has {loss of "
            "the constant}"
        )
    elif top > SPIKE * start or (highest > 5 * start and end > 0.9 * unit):
        how = tr(
            "its training loss jumped to {highest training loss}, from {loss at the start} at the "
            "start, and it ended at {training loss at the end}"
        )
    elif swing > SWING * unit:
        how = tr(
            "its validation loss goes up and down by {swing of the validation loss} from "
            "evaluation to evaluation"
        )
    else:
        return None
    rate = Rough.of(rates.max()) if len(rates) else None
    form = tr("the learning rate of {model} ({learning rate}) is too high: {how}")
    if rate is None:
        form = tr("the learning rate of {model} is too high: {how}")
    remedy = tr("try a tenth or a hundredth of it, or lr=find")
    if not _find(run, net):
        remedy = tr("try a tenth or a hundredth of it")
    return run.claim(
        "rate too high",
        net.name,
        within(form, how=how),
        remedy,
        {
            "learning rate": rate,
            "last step": Count.of(net.step[-1]),
            "loss at the start": Number.of(start),
            "highest training loss": Number.of(highest),
            "training loss at the end": Number.of(end),
            "loss of the constant": Number.of(unit),
            "swing of the validation loss": Rough.of(swing),
        },
    )


def _find(run: _Run, net: _Curve) -> bool:
    """Whether lr=find was not tried."""
    return bool(run.setting(net.name, "lr") != "find")


def _windows(values: Array, width: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(values, width)


def _net_over_fits(run: _Run, net: _Curve, unit: float) -> Claim | None:
    """The training loss kept falling, but the validation loss rose or stayed far above it."""
    training = np.array([net.training(*pair) for pair in zip(net.at, net.at[1:], strict=False)])
    valid, epochs = net.valid[1:], net.epoch[1:]
    first = net.reached()
    training, valid, epochs = training[first:], valid[first:], epochs[first:]
    if not (len(valid) and np.isfinite(valid).all() and np.isfinite(training).all()):
        return None
    least, last, end = float(valid.min()), float(np.median(valid[-3:])), float(training[-1])
    rose = last - least > RISE * unit and last > 1.2 * least
    apart = last - end > GAP * unit and last > 2 * end
    if rose:
        since = int(np.argmax(valid <= least + 0.02 * unit))
        how = tr(
            "its validation loss has risen from {least validation loss} to {validation loss at the "
            "end}"
        )
    else:
        since = int(np.argmax(valid - training > GAP / 2 * unit))
        # it may be lowest at the end
        how = tr("its validation loss stays at {validation loss at the end}")
    before = float(training[since])
    if not (rose or apart) or not end < min(last, before):
        return None
    known = rose and np.isfinite(epochs).all()
    form = tr(
        "{model} over-fits: its training loss fell further, from {training loss then} to {training "
        "loss at the end}, but {how}"
    )
    if known:
        form = tr(
            "{model} over-fits since epoch {epoch}: its training loss fell further, from {training "
            "loss then} to {training loss at the end}, but {how}"
        )
    if net.fit and known and not net.members:
        how = within(tr("{how} (the weights of epoch {best epoch} are kept)"), how=how)
    return run.claim(
        "over-fitting",
        net.name,
        within(form, how=how),
        _regularise(net),
        {
            "epoch": Count.of(epochs[since]),
            "best epoch": Count.of(net.epoch[net.best]),
            "training loss then": Number.of(before),
            "training loss at the end": Number.of(end),
            "least validation loss": Number.of(least),
            "validation loss at the end": Number.of(last),
        },
    )


def _regularise(net: _Curve) -> str:
    """What helps a net that over-fits; fewer epochs, if its last weights are kept."""
    smaller = _smaller(net)
    if net.members:
        return tr(
            "try more rows, stronger dropout or weight_decay, fewer epochs, or {smaller}",
            smaller=smaller,
        )
    return tr("try more rows, stronger dropout or weight_decay, or {smaller}", smaller=smaller)


def _smaller(net: _Curve) -> str:
    key = SIZES.get(net.name)
    return tr("a smaller network") if key is None else tr("smaller {setting}", setting=key)


def _larger(net: _Curve) -> str:
    key = SIZES.get(net.name)
    return tr("a larger network") if key is None else tr("larger {setting}", setting=key)


def _warming(run: _Run, net: _Curve) -> Claim | None:
    """A net that was stopped while its learning rate still rose."""
    return run.claim(
        "stopped short",
        net.name,
        tr(
            "{model} stopped short, in its warm-up: its learning rate was still rising, to "
            "{learning rate}, when training was stopped after epoch {epoch}, as the loss did not "
            "fall"
        ),
        tr("set a larger patience, or a schedule and warmup that rise sooner"),
        {
            "learning rate": Rough.of(net.rate.max()),
            "epoch": Count.of(net.epoch[-1]),
            "least validation loss": Number.of(net.valid[net.best]),
            "validation loss at the end": Number.of(net.valid[-1]),
        },
    )


def _unfinished(run: _Run, net: _Curve, unit: float, short: bool | None) -> Claim | None:
    """A net that is worse than the line: too slow, too short or too small."""
    if short is False:
        return None
    line = run.line_loss()
    start, end = float(net.valid[0]), float(net.valid[-1])
    goal = line or 0.0
    came = (start - end) / (start - goal) if start > goal else 1.0
    first, last = net.after(0) - net.after(1 / 3), net.after(2 / 3) - net.after(1)
    tail = net.after(0.8) - net.after(1)
    end_training = net.training(0.9 * net.step[-1], net.step[-1])
    figures: dict[str, Figure | Estimate | None] = {
        "learning rate": Rough.of(net.rate.max()),
        "validation loss at the start": Number.of(start),
        "validation loss at the end": Number.of(end),
        "validation loss of the line": None if line is None else Number.of(line),
        "loss of the constant": Number.of(unit),
    }
    if (came < HARDLY or end > unit) and last > first / 2 > 0 and end < start:
        form = tr(
            "the learning rate of {model} ({learning rate}) is too low: its validation loss fell "
            "only from {validation loss at the start} to {validation loss at the end}, and it was "
            "still falling at the end"
        )
        if end > unit:
            form = tr(
                "the learning rate of {model} ({learning rate}) is too low: its validation loss "
                "fell only from {validation loss at the start} to {validation loss at the end} "
                "(the best constant has {loss of the constant}), and it was still falling at the "
                "end"
            )
        remedy = tr("try a rate ten or a hundred times as large, or lr=find")
        if not _find(run, net):
            remedy = tr("try a rate ten or a hundred times as large")
        return run.claim(
            "rate too low",
            net.name,
            form,
            remedy,
            {
                **figures,
                "fall in the first third": Number.of(first),
                "fall in the last third": Number.of(last),
            },
        )
    if not short:
        return None
    below, more = _below(run, net.name, goal, end)
    figures |= more
    if tail > FALLING * (end - goal) and end < net.valid.min() + 0.02 * unit:
        form = tr(
            "{model} stopped short, {below}: its validation loss was still falling, by {fall in "
            "the last fifth} in the last fifth of training"
        )
        return run.claim(
            "stopped short",
            net.name,
            within(form, below=below),
            _longer(run, net),
            {**figures, "fall in the last fifth": Rough.of(tail)},
        )
    if end_training < goal:
        return None  # it fits the training rows well enough
    less = [
        tr("less {setting}", setting=key)
        for key in ("weight_decay", "dropout")
        if run.setting(net.name, key) is None or run.setting(net.name, key) > 0
    ]
    form = tr(
        "{model} under-fits, {below}: its training loss ({training loss at the end}) is no lower "
        "than the validation loss of the line ({validation loss of the line}), and its validation "
        "loss ({validation loss at the end}) hardly falls any more"
    )
    return run.claim(
        "under-fitting",
        net.name,
        within(form, below=below),
        tr("give it {what}", what=together([_larger(net), *less], tr("{one} or {other}"))),
        {**figures, "training loss at the end": Number.of(end_training)},
    )


def _longer(run: _Run, net: _Curve) -> str:
    """What helps a net that stopped short."""
    patience = net.fit is not None and net.fit.stopped in PATIENCE
    if _find(run, net):
        if patience:
            return tr("give it a larger patience, or a higher lr (lr=find)")
        return tr("give it more epochs, or a higher lr (lr=find)")
    if patience:
        return tr("give it a larger patience, or a higher lr")
    return tr("give it more epochs, or a higher lr")


def _below(
    run: _Run, name: str, line: float, end: float
) -> tuple[str, dict[str, Figure | Estimate | None]]:
    """How much worse a net is than the line, in words and as figures: accuracy, RMSE or loss."""
    for part, rows in (("test", tr("test rows")), ("valid", tr("validation rows"))):
        theirs, own = (run.scores.get(model, {}).get(part) or {} for model in (LINE, name))
        for key, kind in (("accuracy", Share), ("rmse", Size)):
            a, b = kind.of(theirs.get(key)), kind.of(own.get(key))
            if a is None or b is None:
                continue
            word = "accuracy" if key == "accuracy" else "RMSE"
            figures: dict[str, Figure | Estimate | None] = {
                f"{part} {word} of the line": a,
                f"{part} {word}": b,
            }
            form = ""
            if key == "accuracy" and a.value > b.value:
                figures["points"] = Points.of(100 * (a.value - b.value))
                form = tr("at {score} accuracy, {points} below that of the line on the {rows}")
            if key == "rmse" and b.value > a.value:
                figures["excess"] = Rough.of(b.value - a.value)
                form = tr("at an RMSE of {score}, {excess} above that of the line on the {rows}")
            if form:
                return within(form, score=f"{{{part} {word}}}", rows=rows), figures
    words = tr(
        "at a validation loss of {validation loss at the end}, {excess} above that of the line"
    )
    return words, {"excess": Rough.of(end - line)}


# the line


def _line(run: _Run) -> Claim | None:
    """The main reason why the line is not better: its penalty, its solver, or that it is linear."""
    line, baseline = run.models.get(LINE), run.models.get(BASELINE)
    if line is None or line.fit is None or len(line.valid) < 2 or not len(line.step):
        return None
    if baseline is None or not len(baseline.loss):
        return None
    unit, constant = run.unit(line), float(baseline.loss[0])
    penalties = _column(line.writings, "penalty")
    kept = line.kept
    penalty = float(penalties[kept][-1]) if kept.any() else math.nan
    train = float(line.loss[kept][-1]) if kept.any() else math.nan
    valid = float(line.valid[line.best])
    objective = float(_column(line.writings, "objective")[kept][-1]) if kept.any() else math.nan
    share = (objective - train) / (constant - train) if constant > train else 0.0
    figures = {
        "penalty": Plain.of(penalty),
        "training loss": Number.of(train),
        "validation loss": Number.of(valid),
        "loss of the constant": Number.of(constant),
        "share of the penalty in what is gained": Size.of(share),
    }
    several = len(np.unique(penalties[np.isfinite(penalties)])) > 1
    if penalty > 0 and penalty <= penalties.min() and share > SHRUNK:
        return run.claim(
            "under-fitting",
            LINE,
            tr(
                "{model} under-fits: its penalty ({penalty}) is too large: the training loss is "
                "{training loss}, and the best constant has {loss of the constant}"
            ),
            tr("try penalties below those that were tried")
            if several
            else tr("try a smaller penalty, or penalty=auto"),
            figures,
        )
    if penalty >= penalties.max() and valid - train > GAP * unit and valid > 2 * train:
        form = tr(
            "{model} over-fits: its training loss is {training loss}, its validation loss "
            "{validation loss}"
        )
        if several:
            form = tr(
                "{model} over-fits, with the largest of the penalties that were tried ({penalty}): "
                "its training loss is {training loss}, its validation loss {validation loss}"
            )
        return run.claim(
            "over-fitting",
            LINE,
            form,
            tr("try penalties above it, more rows or fewer columns")
            if several
            else tr("try a larger penalty, or penalty=auto"),
            figures,
        )
    gap = line.fit.gap
    if gap is None or not gap >= 0:
        return None
    if gap >= LEFT * unit:
        return _stopped_line(run, line, figures, gap)
    if not line.fit.converged or valid - train > GAP * unit or not gap <= AT_OPTIMUM * train:
        return None
    return _optimum(run, figures, gap)


def _path(run: _Run) -> Claim | None:
    """A path of penalties whose best one is its largest, if the line is not the constant by now, or
    its smallest, if the loss still fell."""
    line = run.models.get(LINE)
    if line is None or line.fit is None or len(line.valid) < 3 or not line.kept.any():
        return None
    penalties = _column(line.writings, "penalty")
    penalty, tried = float(penalties[line.kept][-1]), np.unique(penalties[np.isfinite(penalties)])
    if len(tried) < 2 or not penalty > 0:
        return None
    unit, loss = run.unit(line), line.valid[line.best]
    fell = line.valid[line.best - 1] - loss > STILL * unit
    if penalty == tried[-1] and abs(loss - unit) > STILL * unit:
        form = tr(
            "the best penalty of {model} ({penalty}) is the largest of those that were tried: a "
            "larger one may be better"
        )
        remedy = tr("try larger ones too (penalty=NUMBER,NUMBER)")
    elif penalty == tried[0] and fell:
        form = tr(
            "the best penalty of {model} ({penalty}) is the smallest of those that were tried: a "
            "smaller one may be better"
        )
        remedy = tr("try smaller ones too (penalty=NUMBER,NUMBER)")
    else:
        return None
    return run.claim(
        "penalty at the end",
        LINE,
        form,
        remedy,
        {"penalty": Plain.of(penalty), "validation loss": Number.of(loss)},
    )


def _stopped_line(
    run: _Run, line: _Curve, figures: Mapping[str, Figure | None], gap: float
) -> Claim | None:
    """A line that is not at its optimum. If classes can be separated, there is none."""
    stopped = None if line.fit is None else line.fit.stopped
    if stopped == "separation":
        return None
    wide = run.setting(LINE, "dtype") == "float64"
    remedy = tr("scale the columns") if wide else tr("compute in float64 (dtype=float64)")
    if stopped not in ("stuck", "rounding", "converged"):
        remedy = tr("give it more steps (max_iter)")
    return run.claim(
        "stopped short",
        LINE,
        tr("{model} stopped short: its objective is up to {gap} above the optimum"),
        remedy,
        {**figures, "gap": Rough.of(gap)},
    )


class _Error(NamedTuple):
    """The error of a model on the test rows: ``share`` is a number from 0, ``what`` its name,
    ``word`` the name of its score, ``form`` its form in a sentence, and ``score`` the score."""

    share: float
    what: str
    word: str
    form: str
    score: Figure


def _error(test: Mapping[str, Any]) -> _Error | None:
    accuracy, r2 = Share.of(test.get("accuracy")), R2.of(test.get("r2"))
    if accuracy is not None:
        form = tr("accuracy {figure}")
        return _Error(1 - accuracy.value, "test error", "accuracy", form, accuracy)
    if r2 is not None:
        what = "share of the test variance not explained"
        return _Error(1 - r2.value, what, "R2", "R2 {figure}", r2)
    return None


def _optimum(run: _Run, figures: Mapping[str, Figure | None], gap: float) -> Claim | None:
    """The line is at the optimum of its training loss, but its test score is not good. The
    certificate is of the training loss alone: it bounds no score."""
    own = _error(run.test(LINE))
    if own is None:
        return None
    better = {}
    for name in run.models:
        error = _error(run.test(name))
        if error is not None and run.better(name, LINE):
            better[name] = error
    score = within(own.form, figure=f"{{test {own.word}}}")
    form = tr("no line fits the training rows better; on the test rows {model} has {score}")
    if gap:
        form = tr(
            "no line fits the training rows better: its training loss, with the penalty, is at "
            "most {gap} above the lowest; on the test rows {model} has {score}"
        )
    form = within(form, score=score)
    evidence = {
        **figures,
        "gap": Bound.of(gap),
        f"test {own.word}": own.score,
        own.what: Size.of(own.share),
    }
    name, least = min(better.items(), key=lambda item: item[1].share, default=("", own))
    if least.share < own.share / FAR_BETTER:
        title = tr(run.history.title(name))
        evidence |= {
            f"{least.word} of {name}": least.score,
            f"{least.what} of {name}": Size.of(least.share),
        }
        form = within(tr("{form}, and {other} has {number}"), form=form)
        form = within(form, number=f"{{{least.word} of {name}}}")
        remedy = tr("use {model}", model=title)
        return run.claim(
            "line at its optimum", LINE, form, remedy, evidence, names={"other": title}
        )
    alone = set(run.models) <= {BASELINE, LINE}
    trees = _error(run.yardstick())
    if alone and trees is not None:
        return _beside_trees(run, own, trees, form, evidence)
    if alone and own.share > (MUCH_ERROR if own.what == "test error" else 1 - LOW_R2):
        remedy = tr("try a net (model=mlp), or further columns")
        return run.claim("line at its optimum", LINE, form, remedy, evidence)
    return None


def _beside_trees(
    run: _Run,
    own: _Error,
    trees: _Error,
    form: str,
    evidence: Mapping[str, Figure | Estimate | None],
) -> Claim | None:
    """A line alone beside the yardstick, which shows whether what is missing is linear."""
    known = {**evidence, f"{trees.word} of the trees": trees.score}
    told = f"{{{trees.word} of the trees}}"
    if run.better(YARDSTICK, LINE):
        more = tr("{form}, and boosted trees have {trees}: it lacks interactions or steps")
        form = within(more, form=form, trees=told)
        return run.claim("line at its optimum", LINE, form, tr("try a net (model=mlp)"), known)
    if own.share > (MUCH_ERROR if own.what == "test error" else 1 - LOW_R2):
        more = tr(
            "{form}, and boosted trees are not shown to be better ({trees}): a net may not be "
            "either"
        )
        form = within(more, form=form, trees=told)
        remedy = tr("try further columns or rows")
        return run.claim("line at its optimum", LINE, form, remedy, known)
    return None


def _trees(run: _Run, chosen: str) -> Claim | None:
    """Boosted trees that are clearly better than the chosen model, where a net was tried too."""
    nets = [name for name in run.models if name not in (BASELINE, LINE)]
    own, trees = _error(run.test(chosen)), _error(run.yardstick())
    if not nets or own is None or trees is None or not run.better(YARDSTICK, chosen):
        return None
    who = [f"{{title of {name}}}" for name in (LINE, *nets) if name in run.models]
    form = tr(
        "{trees} have {their score}, and {model} has {score}: there are interactions or steps in "
        "the columns that {who} has not found"
    )
    if len(who) > 1:
        form = tr(
            "{trees} have {their score}, and {model} has {score}: there are interactions or steps "
            "in the columns that neither {who} has found"
        )
    scores = {
        "score": within(own.form, figure=f"{{test {own.word}}}"),
        "their score": within(own.form, figure=f"{{{own.word} of the trees}}"),
    }
    return run.claim(
        "trees are better",
        chosen,
        within(form, who=together(who, tr("{one} nor {other}")), **scores),
        tr("try more epochs, larger widths or more rows; or use boosted trees for these columns"),
        {
            f"{own.word} of the trees": trees.score,
            f"test {own.word}": own.score,
            f"{own.what} of the trees": Size.of(trees.share),
            own.what: Size.of(own.share),
        },
        names={
            "trees": tr(YARDSTICK_TITLE),
            **{f"title of {name}": tr(run.history.title(name)) for name in (LINE, *nets)},
        },
    )


def _left_out(
    run: _Run, chosen: str, claims: Sequence[Claim], columns: Mapping[str, Sequence[str]]
) -> Claim | None:
    """The columns that no model has seen, if a score is low or a model is said to be too simple."""
    count = sum(map(len, columns.values()))
    simple = any(claim.cause in ("line at its optimum", "under-fitting") for claim in claims)
    error = _error(run.test(chosen))
    low = error is not None and error.word == "R2" and error.share > UNEXPLAINED
    if not count or not (simple or low):
        return None
    names = {
        kind: listed([cut(repr(name), 60, "...") for name in some], 8)
        for kind, some in columns.items()
    }
    shown = ", ".join(f"{{{kind} columns}} ({kind})" for kind in columns)
    form = tr("{count} were left out, so no model has seen them: {columns}")
    if count == 1:
        form = tr("{count} was left out, so no model has seen it: {columns}")
    return run.claim(
        "columns left out",
        chosen,
        within(form, columns=shown),
        tr(
            "if one holds numbers, dates or categories, say so (columns.NAME=number, date or "
            "category), and look at how its values are written"
        ),
        {"count": Columns.of(count)},
        names={f"{kind} columns": text for kind, text in names.items()},
    )


def _no_places(run: _Run, chosen: str) -> Claim | None:
    """No net was fitted but those whose layers have widths, which see no places."""
    nets = [name for name in run.models if name not in (BASELINE, LINE)]
    error = _error(run.test(chosen))
    well = error is not None and error.share <= LITTLE
    if not nets or well or any(SIZES.get(name) != "widths" for name in nets):
        return None
    return run.claim(
        "no net for pictures",
        nets[-1],
        tr(
            "{model} does not know which pixels are neighbours; on pictures a convolutional net "
            "(cnn) often does better"
        ),
        tr("try --model linear,cnn"),
        {},
    )


# test rows


def _classes(run: _Run, model: str) -> Claim | None:
    """The smallest set of classes with half of all mistakes, if these classes have a minority of
    the rows and a far larger error than the other classes."""
    test = run.test(model)
    if "confusion" not in test:
        return None
    confusion = np.array(test["confusion"], dtype=np.float64)
    support, wrong = confusion.sum(axis=1), confusion.sum(axis=1) - confusion.diagonal()
    mistakes, rows = wrong.sum(), support.sum()
    order = np.argsort(-wrong, kind="stable")
    count = int(np.searchsorted(np.cumsum(wrong[order]), mistakes / 2)) + 1
    few = order[:count]
    share, part = wrong[few].sum() / max(mistakes, 1.0), support[few].sum() / max(rows, 1.0)
    rate = wrong[few].sum() / max(support[few].sum(), 1.0)
    rest = (mistakes - wrong[few].sum()) / max(rows - support[few].sum(), 1.0)
    many = count > max(1, len(support) // 3) or part > 0.4
    least = 0.15 if len(support) > 2 else 0.6  # the rarer of two overlapping classes: worse recall
    if many or mistakes < 8 or rate < least or rate < 4 * rest:
        return None
    if _tail(int(wrong[few].sum()), int(mistakes), min(1.0, 1.5 * part)) > CHANCE:
        return None
    labels = [_label(test["classes"][code]) for code in sorted(few)]
    figures: dict[str, Figure | Estimate | None] = {
        "share of the mistakes": Share.of(share),
        "share of the rows": Share.of(part),
        "their error": Share.of(rate),
        "error of the other classes": Share.of(rest),
    }
    for code, label in zip(sorted(few), labels, strict=True):
        figures[f"recall of {label}"] = Share.of(test["recall"][code])
    form = tr(
        "few classes cause the error of {model}: {classes} have {share of the mistakes} of the "
        "mistakes with {share of the rows} of the test rows; {their error} of their rows are "
        "predicted wrongly, {error of the other classes} of the others"
    )
    if count == 1:
        form = tr(
            "few classes cause the error of {model}: {classes} has {share of the mistakes} of the "
            "mistakes with {share of the rows} of the test rows; {their error} of its rows are "
            "predicted wrongly, {error of the other classes} of the others"
        )
    remedy = tr("look at these rows and their labels; try more of them")
    if run.setting(model, "class_weight") is None:
        remedy = tr(
            "look at these rows and their labels; try more of them, or class_weight=balanced"
        )
    return run.claim(
        "few classes",
        model,
        form,
        remedy,
        figures,
        names={"classes": together(labels, tr("{one} and {other}"))},
    )


def _labels(run: _Run, model: str, held: Predictions) -> Claim | None:
    """Rows whose labels look wrong: confident mistakes, far from the border between two classes.

    If classes overlap, most mistakes are in rows of low confidence. If labels are wrong at random,
    mistakes are everywhere. So the mistakes in the more confident half of the rows are counted. The
    rows are named by confident learning: the probability of another class is at least the mean
    probability that the rows of this other class have for it (Northcutt, Jiang and Chuang 2021,
    "Confident learning", Journal of Artificial Intelligence Research 70).
    """
    row, y, p = (np.asarray(part) for part in held)
    if len(y) < JUDGED or p.ndim != 2 or not np.isfinite(p).all():
        return None
    wrong = p.argmax(axis=1) != y
    order = np.argsort(-p.max(axis=1), kind="stable")
    top = order[: len(order) // 2]
    found, mistakes = int(wrong[top].sum()), int(wrong.sum())
    if found < 5:
        return None
    rate, rest = found / len(top), (mistakes - found) / (len(y) - len(top))
    natural = NATURAL_TWO if p.shape[1] == 2 else NATURAL
    unsure = float(1 - p.max(axis=1)[top].mean())
    own = mistakes / len(y) - rate
    usual = 1 - np.bincount(y.astype(np.int64), minlength=1).max() / len(y)
    if unsure > UNSURE or own > min(OWN, TIMES * rate) or mistakes > HALF * usual * len(y):
        return None
    if _tail(found, mistakes, natural) > 0.01:
        return None
    mean = np.array([p[y == k, k].mean() if (y == k).any() else 2.0 for k in range(p.shape[1])])
    above = np.where(p >= mean, p, -1.0)
    other = above.argmax(axis=1)
    suspect = (above.max(axis=1) > 0) & (other != y)
    each = np.arange(len(y))
    sure = p[each, other] - p[each, y]
    rows = [int(row[i]) for i in np.argsort(-sure, kind="stable") if suspect[i]]
    return run.claim(
        "wrong labels",
        model,
        tr(
            "{suspicious rows} of {test rows} may be wrongly labelled: {model} is wrong in {error "
            "of the more confident half} even of the half of the rows of which it is most "
            "confident ({error of the other half} of the others), where overlapping classes would "
            "cause almost no mistakes"
        ),
        tr("look at these rows and correct their labels, and those of the training rows"),
        {
            "suspicious rows": Count.of(len(rows)),
            "test rows": TestRows.of(len(y)),
            "error of the more confident half": Share.of(rate),
            "error of the other half": Share.of(rest),
            "error the more confident half expects": Share.of(unsure),
            "error but for wrong labels": Share.of(max(own, 0.0)),
        },
        rows=rows,
    )


def _parts(run: _Run, model: str, valid_rows: int | None) -> Claim | None:
    """Validation and test scores that differ by more than chance allows.

    Accuracies are compared by the two-proportion z test. Mean squared errors are compared by the
    interval of the test rows, scaled to the number of validation rows. Both need rows that are
    independent: with groups or blocks of time there is no claim.
    """
    valid, test = run.scores.get(model, {}).get("valid"), run.test(model)
    if not valid or not valid_rows or test.get("interval"):
        return None
    found = _accuracies(valid, test, valid_rows) or _errors(valid, test, valid_rows)
    if found is None:
        return None
    one, two, deviation = found
    a, b = one.value.value, two.value.value
    apart = one.high.value < two.low.value or two.high.value < one.low.value
    z = abs(a - b) / deviation if deviation > 0 else 0.0
    if not apart or math.erfc(z / math.sqrt(2)) > CHANCE:
        return None
    what = "accuracy" if isinstance(one.value, Share) else "RMSE"
    form = tr(
        "validation and test rows differ for {model}: {validation score} on {validation rows}, "
        "{test score} on {test rows}, a larger difference than chance allows"
    )
    score = tr("accuracy {figure}") if what == "accuracy" else "RMSE {figure}"
    scores = {
        f"{part} score": within(score, figure=f"{{{part} {what}}}")
        for part in ("validation", "test")
    }
    return run.claim(
        "parts differ",
        model,
        within(form, **scores),
        tr("run linnet doctor; split the rows again, by group or time if they have one"),
        {
            f"validation {what}": one,
            f"test {what}": two,
            "validation rows": ValidRows.of(valid_rows),
            "test rows": TestRows.of(test.get("rows")),
            "z": Size.of(z),
        },
    )


Parts = tuple[Estimate, Estimate, float]
"""The scores of two parts, and the deviation of their difference by chance."""


def _accuracies(valid: Mapping[str, Any], test: Mapping[str, Any], valid_rows: int) -> Parts | None:
    a = Share.of(valid.get("accuracy"))
    two = Estimate.of(Share, test.get("accuracy"), test.get("accuracy_interval"))
    rows = TestRows.of(test.get("rows"))
    if a is None or rows is None or not isinstance(two, Estimate):
        return None
    one = Estimate(a, *map(Share, wilson(a.value * valid_rows, valid_rows)))
    pooled = (a.value * valid_rows + two.value.value * rows.value) / (valid_rows + rows.value)
    parts = 1 / valid_rows + 1 / rows.value
    return one, two, math.sqrt(max(pooled * (1 - pooled), 1e-12) * parts)


def _errors(valid: Mapping[str, Any], test: Mapping[str, Any], valid_rows: int) -> Parts | None:
    first = Size.of(valid.get("rmse"))
    two = Estimate.of(Size, test.get("rmse"), test.get("rmse_interval"))
    rows = TestRows.of(test.get("rows"))
    if first is None or rows is None or not isinstance(two, Estimate):
        return None
    a, b = first.value, two.value.value
    low, high = two.low.value, two.high.value
    own = (high * high - low * low) / (2 * Z)  # deviation of the mean square
    scale = a / b * (a / b) * math.sqrt(rows.value / valid_rows) if b > 0 else 0.0
    deviation = math.hypot(own, own * scale) / max(a + b, 1e-300)  # of the difference of roots
    spread = Z * own * scale
    if not math.isfinite(deviation + a * a):
        return None
    ends = (math.sqrt(max(a * a - spread, 0)), math.sqrt(a * a + spread))
    return Estimate(first, *map(Size, ends)), two, deviation


def _tail(found: int, of: int, chance: float) -> float:
    """The binomial probability of at least ``found`` out of ``of``, each with ``chance``."""
    if found <= 0 or chance >= 1:
        return 1.0
    total = 0.0
    for k in range(found, of + 1):
        choose = math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
        total += math.exp(choose + k * math.log(chance) + (of - k) * math.log1p(-chance))
    return min(1.0, total)


# the learning curve


def _prospect(run: _Run, model: str, changes: Sequence[Mapping[str, Any]]) -> Claim | None:
    """Would more rows help? Compares the validation loss with all rows to that with half of the
    rows and, as one fit may be lucky, to that with a quarter; each as a share per doubling."""
    last, longer = (_Share.of(change) for change in (changes[-1], changes[-2:][0]))
    if last is None or longer is None:
        return None
    least = min(last.fall, longer.fall)
    how = tr(
        "for twice as many training rows its validation loss {fall} between {rows before} and "
        "{rows}"
    )
    if longer != last:
        how = tr(
            "for twice as many training rows its validation loss {fall} between {rows before} and "
            "{rows}, and {long fall} between {rows long before} and {rows}"
        )
    cause: Prospect = "more rows unclear"
    form = tr("it is not clear whether more data would help {model}: {how}")
    remedy = tr("give it more validation rows")
    if longer.low > 0 and least >= WORTH:
        cause = "more rows help"
        form, remedy = tr("more data would help {model}: {how}"), tr("label or collect more rows")
    elif least < WORTH and min(last.high, longer.high) < MOST_WORTH:
        cause = "more rows hardly help"
        form = tr("more data would hardly help {model}: {how}")
        remedy = tr("try other columns or models")
    return run.claim(
        cause,
        model,
        within(form, how=how),
        remedy,
        {
            "rows before": Count.of(last.before),
            "rows": Rows.of(last.rows),
            "fall": last.figure,
            "rows long before": Count.of(longer.before),
            "long fall": longer.figure,
        },
    )


class _Share(NamedTuple):
    """The share by which the loss fell per doubling of the rows, between ``before`` rows and all
    ``rows``, and the 95 % confidence interval of this share over validation rows."""

    before: int
    rows: int
    fall: float
    low: float
    high: float

    @classmethod
    def of(cls, change: Mapping[str, Any]) -> _Share | None:
        """None if there was no loss that could fall by a share."""
        before, rows = int(change["before"]), int(change["rows"])
        loss = number(change["loss_before"])
        if not 0 < before < rows or not loss > 0:
            return None
        doublings = math.log2(rows / before)

        def share(fall: float) -> float:
            left = max(1 - fall / loss, 0.0)  # the share of the loss that is left
            return -math.expm1(min(math.log(left) / doublings, 700.0)) if left else 1.0

        falls = (change["fall"], *change["fall_interval"])
        return cls(before, rows, *(share(number(fall)) for fall in falls))

    @property
    def figure(self) -> Estimate | Figure | None:
        """The fall with its interval."""
        return Falls.of(Fall, self.fall, [self.low, self.high])


# words


def _label(label: Any) -> str:
    """A class's name on one line, cut if it is long."""
    text = repr(label) if isinstance(label, str) else str(label)
    return cut(text, 60, "...")

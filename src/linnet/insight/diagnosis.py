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
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from linnet.core.events import number
from linnet.core.history import Fit, History
from linnet.core.statistics import wilson
from linnet.core.text import cut, percent
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
"""A line that did not converge stopped short if its optimality gap is this share of the loss."""
FALLING = 0.035
"""A loss is still falling if it fell in the last fifth of training by this share of its distance to
the line's loss."""
RISE = 0.15
GAP = 0.25
"""Over-fitting: the validation loss rose by ``RISE``, or is ``GAP`` above the training loss."""
SHRUNK = 0.2
"""The penalty is too large if its term is this share of the line's gain over the constant. For a
squared error, the coefficients are then at most three quarters of those without a penalty."""
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
JUDGED = 100
"""With fewer test rows, labels are not judged."""
WORTH = 0.05
"""More rows help if twice the rows reduced the validation loss by this share, both in the last
doubling and on average over the last two, and the interval of this average is above 0. They hardly
help if one of the two shares was smaller, and an interval ends below ``MOST_WORTH``."""
MOST_WORTH = 0.1


@dataclass(frozen=True)
class Claim:
    """One result of the diagnosis of a model.

    ``text`` is a sentence; ``remedy`` says what to try, with the key of the recipe if there is one.
    ``figures`` are the numbers behind the claim, by name. ``rows`` are the row numbers it is
    about, the most suspicious first. ``text`` can hold names of classes and models
    that users chose: escape it in HTML.
    """

    cause: Cause | Prospect
    model: str
    text: str
    remedy: str
    figures: Mapping[str, float]
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}"


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
) -> list[Claim]:
    """The reasons why the models of a run are not better, the most important first; empty if all is
    well.

    ``history`` is the history of the run's events; ``metrics`` is ``metrics.json``, if the run has
    one; ``predictions`` are by model; ``valid_rows`` is from ``run.json``, ``error`` from
    ``status.json``. For a run that is not finished, or failed, fewer reasons can be given. With the
    ``changes`` of the run's learning curve, the result also says whether more rows would help.
    """
    begun = (fit for fit in history.models.values() if fit.begin is not None)
    models = {fit.model: _Curve(fit, history) for fit in begun}
    metrics = metrics or {}
    scores = metrics.get("models", {})
    comparisons = metrics.get("comparisons", {})
    claims = []
    line = models.get(LINE)
    for name, curve in models.items():
        if name in (BASELINE, LINE):
            continue
        failed = error if name == [*models][-1] and not scores else None
        claim = _net(curve, models, comparisons.get(name, {}), scores, failed)
        if claim is not None:
            claims.append(claim)
    if line is not None:
        claim = _line(line, models, comparisons, scores)
        if claim is not None:
            claims.append(claim)
    chosen = str(metrics.get("chosen"))
    own = scores.get(chosen, {})
    if "test" in own:
        held = (predictions or {}).get(chosen)
        if held is not None and not any(claim.model == chosen for claim in claims):
            claims += _labels(chosen, held)
        claims += _classes(chosen, own["test"])
        claims += _parts(chosen, own.get("valid"), own["test"], valid_rows)
    claims.sort(key=lambda claim: _WEIGHT[claim.cause])
    told = {name: each for name, each in (changes or {}).items() if each and name != BASELINE}
    claims += [_prospect(name, each) for name, each in told.items()]
    return [_titled(claim, history.title(claim.model)) for claim in claims]


_WEIGHT: dict[str, int] = {
    cause: weight
    for weight, cause in enumerate(
        (
            "rate too high", "parts differ", "wrong labels", "rate too low", "stopped short",
            "over-fitting", "under-fitting", "few classes", "line at its optimum",
        )
    )
}  # fmt: skip


# the events of one model


class _Curve:
    """One model's fit as arrays: ``loss`` (written steps,) is the mean training loss since the
    written step before, ``valid`` (evaluations,) the validation loss."""

    def __init__(self, fit: Fit, history: History) -> None:
        self.name = fit.model
        self.title = history.title(fit.model)
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
    def best(self) -> int:
        """The index of the best evaluation after the start; 0 if there is none."""
        return 1 + int(self.valid[1:].argmin()) if len(self.valid) > 1 else 0

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


def _net(
    net: _Curve,
    models: Mapping[str, _Curve],
    comparison: Mapping[str, Any],
    scores: Mapping[str, Any],
    error: str | None,
) -> Claim | None:
    """The main reason why a net is not better."""
    if not len(net.loss):
        return None
    unit, line = _unit(models, net), _line_loss(models)
    short = _shortfall(net, line, unit, comparison)
    high = _rate_too_high(net, unit, short, error)
    if high is not None:
        return high
    if len(net.valid) < 3:
        return None
    over = _net_over_fits(net, unit)
    if over is not None or net.fit is None:
        return over
    return _unfinished(net, unit, line, short, scores)


def _unit(models: Mapping[str, _Curve], curve: _Curve) -> float:
    """The loss of the best constant on the validation rows, or else the first loss of the curve."""
    constant = models.get(BASELINE, curve)
    starts = [*constant.valid[:1], *constant.loss[:1], *curve.valid[:1], *curve.loss[:1]]
    return next((float(loss) for loss in starts if 0 < loss < math.inf), 1.0)


def _line_loss(models: Mapping[str, _Curve]) -> float | None:
    """The validation loss of the line with the best penalty."""
    line = models.get(LINE)
    return None if line is None or len(line.valid) < 2 else float(line.valid[line.best])


def _shortfall(
    net: _Curve, line: float | None, unit: float, comparison: Mapping[str, Any]
) -> bool | None:
    """Whether the net is worse than the line, by the paired test or by far; None without a line."""
    if line is None or len(net.valid) < 2:
        return None
    missing = (net.valid[net.best] - line) / max(unit - line, 0.05 * unit)
    surely = comparison.get("better") == "line" and number(comparison.get("p_value", 1)) < CHANCE
    return bool(missing > (BEHIND / 10 if surely else BEHIND))


def _rate_too_high(net: _Curve, unit: float, short: bool | None, error: str | None) -> Claim | None:
    finite = net.loss[np.isfinite(net.loss)]
    rates = net.rate[np.isfinite(net.rate)]
    start = max([unit, *net.loss[:1], *net.valid[:1]])
    width = min(5, len(finite))
    top = float(np.median(_windows(finite, width), axis=1).max()) if width else math.inf
    end = net.training(0.9 * net.step[-1], net.step[-1])
    highest = float(finite.max()) if len(finite) else math.inf
    figures = {
        "learning rate": float(rates.max()) if len(rates) else math.nan,
        "loss at the start": start,
        "highest training loss": highest,
        "training loss at the end": end,
        "loss of the constant": unit,
    }
    swing = net.swing()
    if error is not None and error.startswith("Diverged"):
        how = f"the loss was no longer finite after step {net.step[-1]:.0f}"
    elif short is False:
        return None
    elif end > 1.1 * unit and (top > SPIKE * start or 0 < net.best < len(net.valid) - 1):
        how = f"its training loss is {end:.4g}, but the best constant has {unit:.4g}"
    elif top > SPIKE * start or (highest > 5 * start and end > 0.9 * unit):
        how = f"its training loss jumped to {highest:.4g}, from "
        how += f"{start:.4g} at the start, and it ended at {end:.4g}"
    elif swing > SWING * unit:
        figures["swing of the validation loss"] = swing
        how = f"its validation loss goes up and down by {swing:.3g} from evaluation to evaluation"
    else:
        return None
    rate = f" ({figures['learning rate']:.3g})" if len(rates) else ""
    return _claim(
        "rate too high",
        net,
        f"the learning rate of {{}}{rate} is too high: {how}",
        "try a tenth or a hundredth of it, or lr=find",
        figures,
    )


def _windows(values: Array, width: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(values, width)


def _net_over_fits(net: _Curve, unit: float) -> Claim | None:
    """The training loss kept falling, but the validation loss rose or stayed far above it."""
    training = np.array([net.training(*pair) for pair in zip(net.at, net.at[1:], strict=False)])
    valid, epochs = net.valid[1:], net.epoch[1:]
    least, last, end = float(valid.min()), float(np.median(valid[-3:])), float(training[-1])
    rose = last - least > RISE * unit and last > 1.2 * least
    apart = last - end > GAP * unit and last > 2 * end
    if rose:
        since = int(np.argmax(valid <= least + 0.02 * unit))
        how = f"has risen from {least:.4g} to {last:.4g}"
    else:
        since = int(np.argmax(valid - training > GAP / 2 * unit))
        how = f"stays at {last:.4g}"
    before = float(training[since])
    if not (rose or apart) or not end < min(last, before):
        return None
    kept = f" (the weights of epoch {epochs[valid.argmin()]:.0f} are kept)" if net.fit else ""
    return _claim(
        "over-fitting",
        net,
        f"{{}} over-fits since epoch {epochs[since]:.0f}: its training loss fell further, from "
        f"{before:.4g} to {end:.4g}, but its validation loss {how}{kept}",
        "try more rows, dropout or weight_decay, or smaller widths",
        {
            "epoch": float(epochs[since]),
            "training loss then": before,
            "training loss at the end": end,
            "least validation loss": least,
            "validation loss at the end": last,
        },
    )


def _unfinished(
    net: _Curve,
    unit: float,
    line: float | None,
    short: bool | None,
    scores: Mapping[str, Any],
) -> Claim | None:
    """A net that is worse than the line: too slow, too short or too small."""
    if short is False:
        return None
    start, end = float(net.valid[0]), float(net.valid[-1])
    goal = line or 0.0
    came = (start - end) / (start - goal) if start > goal else 1.0
    first, last = net.after(0) - net.after(1 / 3), net.after(2 / 3) - net.after(1)
    figures = {
        "learning rate": float(net.rate.max()),
        "validation loss at the start": start,
        "validation loss at the end": end,
    }
    if line is not None:
        figures["validation loss of the line"] = line
    if (came < HARDLY or end > unit) and last > first / 2 > 0:
        worse = f" (the best constant has {unit:.4g})" if end > unit else ""
        return _claim(
            "rate too low",
            net,
            f"the learning rate of {{}} ({figures['learning rate']:.3g}) is too low: its "
            f"validation loss fell only from {start:.4g} to {end:.4g}{worse}, and it was still "
            "falling at the end",
            "try a rate ten or a hundred times as large, or lr=find",
            {**figures, "fall in the first third": first, "fall in the last third": last},
        )
    if not short:
        return None
    tail = net.after(0.8) - net.after(1)
    figures["fall in the last fifth"] = tail
    below, points = _below(net.name, goal, end, scores)
    figures |= points
    if tail > FALLING * (end - goal) and end < net.valid.min() + 0.02 * unit:
        return _claim(
            "stopped short",
            net,
            f"{{}} stopped short, {below} the line's optimum: its validation loss was still "
            f"falling, by {tail:.3g} in the last fifth of training",
            "give it more epochs, or a higher lr (lr=find)",
            figures,
        )
    end_training = net.training(0.9 * net.step[-1], net.step[-1])
    figures |= {"training loss at the end": end_training, "loss of the constant": unit}
    if end_training < goal:
        return None  # it fits the training rows well enough
    return _claim(
        "under-fitting",
        net,
        f"{{}} under-fits, {below} the line's optimum: neither its training loss "
        f"({end_training:.4g}) nor its validation loss ({end:.4g}) is still falling",
        "give it larger widths, less weight_decay or less dropout",
        figures,
    )


def _below(
    name: str, line: float, end: float, scores: Mapping[str, Any]
) -> tuple[str, dict[str, float]]:
    """How much worse a net is than the line, in words and as figures: accuracy, RMSE or loss."""
    for part in ("test", "valid"):
        pair = [scores.get(model, {}).get(part, {}) for model in (LINE, name)]
        if all("accuracy" in score for score in pair):
            theirs, own = (float(score["accuracy"]) for score in pair)
            if theirs > own:
                figures = {f"{part} accuracy of the line": theirs, f"{part} accuracy": own}
                points = 100 * (theirs - own)
                words = f"at {percent(own)} accuracy, {points:.1f} points below"
                return words, {"points": points, **figures}
        elif all("rmse" in score for score in pair):
            theirs, own = (float(score["rmse"]) for score in pair)
            if own > theirs:
                figures = {f"{part} RMSE of the line": theirs, f"{part} RMSE": own}
                return f"at an RMSE of {own:.4g}, {own - theirs:.3g} above", figures
    return f"at a validation loss of {end:.4g}, {end - line:.3g} above", {}


# the line


def _line(
    line: _Curve,
    models: Mapping[str, _Curve],
    comparisons: Mapping[str, Any],
    scores: Mapping[str, Any],
) -> Claim | None:
    """The main reason why the line is not better: its penalty, its solver, or that it is linear."""
    known = BASELINE in models and len(models[BASELINE].loss)
    if line.fit is None or len(line.valid) < 2 or not len(line.step) or not known:
        return None
    unit, constant = _unit(models, line), float(models[BASELINE].loss[0])
    penalties = _column(line.writings, "penalty")
    best = line.fit.best_step
    kept = line.step == (line.step[-1] if best is None else best)
    penalty = float(penalties[kept][-1]) if kept.any() else math.nan
    train = float(line.loss[kept][-1]) if kept.any() else math.nan
    valid = float(line.valid[line.best])
    objective = float(_column(line.writings, "objective")[kept][-1]) if kept.any() else math.nan
    figures = {
        "penalty": penalty,
        "training loss": train,
        "validation loss": valid,
        "loss of the constant": constant,
    }
    share = (objective - train) / (constant - train) if constant > train else 0.0
    if penalty > 0 and penalty <= penalties.min() and share > SHRUNK:
        return _claim(
            "under-fitting",
            line,
            f"{{}} under-fits: its penalty ({penalty:g}) is too large: the training loss is "
            f"{train:.4g}, and the best constant has {constant:.4g}",
            "try a smaller penalty, or penalty=auto",
            {**figures, "share of the penalty in what is gained": share},
        )
    if penalty >= penalties.max() and valid - train > GAP * unit and valid > 2 * train:
        return _claim(
            "over-fitting",
            line,
            f"{{}} over-fits: its training loss is {train:.4g}, its validation loss {valid:.4g}",
            "try a larger penalty, or penalty=auto",
            figures,
        )
    gap = line.fit.gap
    if not line.fit.converged:
        if gap is None or gap < LEFT * unit:
            return None
        return _claim(
            "stopped short",
            line,
            f"{{}} stopped short: its objective is up to {gap:.3g} above the optimum",
            "give it more steps (max_iter)",
            {**figures, "gap": gap},
        )
    if valid - train > GAP * unit:
        return None
    alone = set(models) <= {BASELINE, LINE}
    return _optimum(line, models, figures, gap, comparisons, scores, alone=alone)


class _Error(NamedTuple):
    """The error of a model on the test rows: ``share`` is a number from 0, ``what`` its name, and
    ``score`` the score in words."""

    share: float
    what: str
    score: str


def _error(scores: Mapping[str, Any]) -> _Error | None:
    test = scores.get("test", {})
    if "accuracy" in test:
        accuracy = float(test["accuracy"])
        return _Error(1 - accuracy, "test error", percent(accuracy))
    if "r2" in test and math.isfinite(r2 := float(test["r2"])):
        return _Error(1 - r2, "share of the test variance not explained", f"R2 {r2:.3f}")
    return None


def _optimum(
    line: _Curve,
    models: Mapping[str, _Curve],
    figures: dict[str, float],
    gap: float | None,
    comparisons: Mapping[str, Any],
    scores: Mapping[str, Any],
    *,
    alone: bool,
) -> Claim | None:
    """The line is at its optimum, but its scores are not good."""
    own = _error(scores.get(LINE, {}))
    if own is None:
        return None
    better = {}
    for name, found in comparisons.items():
        error = _error(scores.get(name, {}))
        if found.get("better") == "net" and found.get("significant") and error is not None:
            better[name] = error
    left = "" if gap is None else f" (its objective is at most {gap:.2g} above it)"
    head = f"{{}} is at its optimum{left} and cannot do better than {own.score}"
    figures = {**figures, **({} if gap is None else {"gap": gap}), own.what: own.share}
    name, least = min(better.items(), key=lambda item: item[1].share, default=("", own))
    if least.share < own.share / FAR_BETTER:
        title = models[name].title if name in models else name
        figures[f"{least.what} of {title}"] = least.share
        text = f"{head}: a linear model of these inputs cannot explain the rest"
        text += f"; {title} has {least.score}"
        return _claim("line at its optimum", line, text, f"use {title}", figures)
    if alone and own.share > (MUCH_ERROR if own.what == "test error" else 1 - LOW_R2):
        return _claim(
            "line at its optimum",
            line,
            f"{head}: another solver, learning rate or number of steps does not help",
            "try a net (model=mlp), or further columns",
            figures,
        )
    return None


# test rows


def _classes(model: str, test: Mapping[str, Any]) -> list[Claim]:
    """The smallest set of classes with half of all mistakes, if these classes have a minority of
    the rows and a far larger error than the other classes."""
    if "confusion" not in test:
        return []
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
        return []
    if _tail(int(wrong[few].sum()), int(mistakes), min(1.0, 1.5 * part)) > CHANCE:
        return []
    names = " and ".join(_label(test["classes"][code]) for code in sorted(few))
    figures = {
        "share of the mistakes": share,
        "share of the rows": part,
        "their error": rate,
        "error of the other classes": rest,
    }
    for code in sorted(few):
        figures[f"recall of {_label(test['classes'][code])}"] = float(test["recall"][code])
    verb, whom = ("has", "its") if count == 1 else ("have", "their")
    text = (
        f"few classes cause the error of {{}}: {names} {verb} {percent(share)} of the mistakes "
        f"with {percent(part)} of the test rows; {percent(rate)} of {whom} rows are predicted "
        f"wrongly, {percent(rest)} of the others"
    )
    remedy = "look at these rows and their labels; try more of them, or class_weight=balanced"
    return [_claim("few classes", model, text, remedy, figures)]


def _labels(model: str, held: Predictions) -> list[Claim]:
    """Rows whose labels look wrong: confident mistakes, far from the border between two classes.

    If classes overlap, most mistakes are in rows of low confidence. If labels are wrong at random,
    mistakes are everywhere. So the mistakes in the more confident half of the rows are counted. The
    rows are named by confident learning: the probability of another class is at least the mean
    probability that the rows of this other class have for it (Northcutt, Jiang and Chuang 2021,
    "Confident learning", Journal of Artificial Intelligence Research 70).
    """
    row, y, p = (np.asarray(part) for part in held)
    if len(y) < JUDGED or p.ndim != 2:
        return []
    wrong = p.argmax(axis=1) != y
    order = np.argsort(-p.max(axis=1), kind="stable")
    top = order[: len(order) // 2]
    found, mistakes = int(wrong[top].sum()), int(wrong.sum())
    if found < 5:
        return []
    rate, rest = found / len(top), (mistakes - found) / (len(y) - len(top))
    natural = NATURAL_TWO if p.shape[1] == 2 else NATURAL
    unsure = float(1 - p.max(axis=1)[top].mean())
    if unsure > UNSURE or _tail(found, mistakes, natural) > 0.01:
        return []
    mean = np.array([p[y == k, k].mean() if (y == k).any() else 2.0 for k in range(p.shape[1])])
    above = np.where(p >= mean, p, -1.0)
    other = above.argmax(axis=1)
    suspect = (above.max(axis=1) > 0) & (other != y)
    each = np.arange(len(y))
    sure = p[each, other] - p[each, y]
    rows = [int(row[i]) for i in np.argsort(-sure, kind="stable") if suspect[i]]
    text = (
        f"{len(rows)} of {len(y):,} test rows look wrongly labelled: {{}} is wrong in "
        f"{percent(rate)} even of the half of the rows of which it is most confident "
        f"({percent(rest)} of the others), where overlapping classes would cause almost no mistakes"
    )
    figures = {
        "suspicious rows": len(rows),
        "test rows": len(y),
        "error of the more confident half": rate,
        "error of the other half": rest,
        "error the more confident half expects": unsure,
    }
    remedy = "look at these rows and correct their labels, and those of the training rows"
    return [_claim("wrong labels", model, text, remedy, figures, tuple(rows))]


def _parts(
    model: str,
    valid: Mapping[str, Any] | None,
    test: Mapping[str, Any],
    valid_rows: int | None,
) -> list[Claim]:
    """Validation and test scores that differ by more than chance allows.

    Accuracies are compared by the two-proportion z test. Mean squared errors are compared by the
    interval of the test rows, scaled to the number of validation rows. Both take rows as
    independent: with groups or times there is no claim.
    """
    if not valid or not valid_rows or "interval" in test:
        return []
    rows = int(test["rows"])
    if "accuracy" in test:
        a, b = float(valid["accuracy"]), float(test["accuracy"])
        pooled = (a * valid_rows + b * rows) / (valid_rows + rows)
        deviation = math.sqrt(max(pooled * (1 - pooled), 1e-12) * (1 / valid_rows + 1 / rows))
        intervals = (*wilson(a * valid_rows, valid_rows), *map(float, test["accuracy_interval"]))
        what, words = "accuracy", [percent(value) for value in (a, *intervals[:2], b)]
        words += [percent(value) for value in intervals[2:]]
    else:
        a, b = float(valid["rmse"]), float(test["rmse"])
        low, high = (float(value) for value in test["rmse_interval"])
        own = (high * high - low * low) / (2 * 1.96)  # deviation of the test rows' mean square
        scale = a / b * (a / b) * math.sqrt(rows / valid_rows) if b > 0 else 0.0
        deviation = math.hypot(own, own * scale) / max(a + b, 1e-300)  # of the difference of roots
        spread = 1.96 * own * scale
        if not math.isfinite(deviation + a * a):
            return []
        intervals = (math.sqrt(max(a * a - spread, 0)), math.sqrt(a * a + spread), low, high)
        what = "RMSE"
        words = [f"{value:.4g}" for value in (a, *intervals[:2], b, *intervals[2:])]
    apart = intervals[1] < intervals[2] or intervals[3] < intervals[0]
    z = abs(a - b) / deviation if deviation > 0 else 0.0
    if not apart or math.erfc(z / math.sqrt(2)) > CHANCE:
        return []
    text = (
        f"validation and test rows differ for {{}}: {what} {words[0]} ({words[1]} to "
        f"{words[2]}) on {valid_rows:,} validation rows, {words[3]} ({words[4]} to {words[5]}) on "
        f"{rows:,} test rows, a larger difference than chance allows"
    )
    figures = {
        f"validation {what}": a,
        "validation low": intervals[0],
        "validation high": intervals[1],
        f"test {what}": b,
        "test low": intervals[2],
        "test high": intervals[3],
        "z": z,
    }
    remedy = "run linnet doctor; split the rows again, by group or time if they have one"
    return [_claim("parts differ", model, text, remedy, figures)]


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


def _prospect(model: str, changes: Sequence[Mapping[str, Any]]) -> Claim:
    """Would more rows help? Compares the validation loss with all rows to that with half of the
    rows and, as one fit may be lucky, to that with a quarter; each as a share per doubling."""
    last, longer = (_Share.of(change) for change in (changes[-1], changes[-2:][0]))
    figures = {
        "rows before": last.before,
        "rows": last.rows,
        "fall": last.fall,
        "fall low": last.low,
        "fall high": last.high,
        "rows long before": longer.before,
        "long fall": longer.fall,
        "long fall low": longer.low,
        "long fall high": longer.high,
    }
    least = min(last.fall, longer.fall)
    how = f"for twice as many training rows its validation loss {last}"
    how += f", and {longer}" if longer != last else ""
    if longer.low > 0 and least >= WORTH:
        text, remedy = f"more data would help {{}}: {how}", "label or collect more rows"
        return _claim("more rows help", model, text, remedy, figures)
    if least < WORTH and min(last.high, longer.high) < MOST_WORTH:
        text, remedy = f"more data would hardly help {{}}: {how}", "try other columns or models"
        return _claim("more rows hardly help", model, text, remedy, figures)
    text = f"it is not clear whether more data would help {{}}: {how}"
    return _claim("more rows unclear", model, text, "give it more validation rows", figures)


class _Share(NamedTuple):
    """The share by which the loss fell per doubling of the rows, between ``before`` rows and all
    ``rows``, and the 95 % confidence interval of this share over validation rows."""

    before: int
    rows: int
    fall: float
    low: float
    high: float

    @classmethod
    def of(cls, change: Mapping[str, Any]) -> _Share:
        before, rows = int(change["before"]), int(change["rows"])
        loss, doublings = float(change["loss_before"]), math.log2(rows / before)

        def share(fall: float) -> float:
            left = max(1 - fall / max(loss, 1e-300), 0.0)  # the share of the loss that is left
            return -math.expm1(min(math.log(left) / doublings, 700.0)) if left else 1.0

        falls = (change["fall"], *change["fall_interval"])
        return cls(before, rows, *(share(float(fall)) for fall in falls))

    def __str__(self) -> str:
        went = "fell" if self.fall >= 0 else "rose"
        where = f"between {self.before:,} and {self.rows:,} rows"
        interval = f"95 % interval of the fall {100 * self.low:.1f} to {100 * self.high:.1f}"
        return f"{went} by {100 * abs(self.fall):.1f} % {where} ({interval})"


# words


def _label(label: Any) -> str:
    """A class's name on one line, cut if it is long."""
    text = repr(label) if isinstance(label, str) else str(label)
    return cut(text, 60, "...")


def _claim(
    cause: Cause | Prospect,
    model: _Curve | str,
    text: str,
    remedy: str,
    figures: Mapping[str, float],
    rows: tuple[int, ...] = (),
) -> Claim:
    """A claim; ``{}`` in its text stands for the model."""
    name = model if isinstance(model, str) else model.name
    plain = {key: float(value) for key, value in figures.items()}
    return Claim(cause, name, text, remedy, plain, rows)


def _titled(claim: Claim, title: str) -> Claim:
    """The claim, with the title of its model in place of ``{}``."""
    text = claim.text.replace("{}", title, 1)
    return replace(claim, text=text[0].upper() + text[1:])

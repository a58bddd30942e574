"""The history of a run: events become curves, and the state of each fit.

``History.of(events)`` takes a whole record. ``extend`` takes the next events of a record that
grows; then ``curves`` can store the points in another way, for example in bounded memory.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, Literal, Protocol, Self

from linnet.core import events
from linnet.core.events import MAX_WHOLE, Event, number
from linnet.core.text import cut

MAX_TITLE = 80
"""The most letters of a model's title."""

MAX_FITS = 1_000
MAX_FINDINGS = 10_000
MAX_PENALTIES = 100
"""The most penalties of a path whose coefficients are kept."""

MAX_NAMES = 200
"""The most names of values of a fit: a column is as long as the fit, whoever made up its name."""

MEMBER = "member"
"""The column of the member of a fit by folds to which a point belongs."""

Part = Literal["step", "train", "valid", "spent"]
"""A part of the points of a fit: measurements of steps, scores of training rows, scores of
validation rows, or the time and memory used."""

Columns = Mapping[str, Sequence[Any]]
"""Values by name, each a column (events,): ``step``; ``time`` and ``epoch``, if they are known;
then the measurements."""

Parts = dict[str, dict[str, list[Any]]]
"""The curves of one model: "train" and "valid", and in each the values by name."""


class Curves(Protocol):
    """Stores the points of a history."""

    def put(self, model: str, part: Part, columns: Columns) -> None:
        """Add points of a model."""


@dataclass
class Fit:
    """The fit of one model so far: the last event of each kind."""

    model: str
    begin: events.Begin | None = None
    step: events.Step | None = None
    scores: events.Evaluate | None = None
    best: events.Evaluate | None = None
    """The evaluation with the lowest validation loss; that of the start counts only if it is the
    only one. Of a fit by folds, when it has ended, the last one: that of all rows."""

    spent: events.Spent | None = None
    end: events.Fit | None = None
    test: events.Test | None = None
    at: int = 0
    """The last step in the record."""

    epoch: int | None = None
    unit: float = math.inf
    """The number of steps of an epoch. Steps within an epoch give a larger ratio of steps to
    epochs, so the smallest ratio is the exact one."""

    path: dict[float, events.Coefficients] = field(default_factory=dict)
    """The coefficients at each penalty of a path, by the penalty, as they were first written."""

    last: float = math.nan
    """The time of the last event of the fit itself, in seconds."""

    starts: dict[int, int] = field(default_factory=dict)
    """In a fit by folds, the steps before each member's first."""

    points: list[tuple[Part, Columns]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    """The names of the values that are kept in ``points``."""

    @property
    def total(self) -> int | None:
        """The number of steps of the whole fit, if it is known."""
        return None if self.begin is None else self.begin.steps

    @property
    def folded(self) -> bool:
        """Whether it is a fit by folds that has ended."""
        return self.end is not None and not {"folds", "members"}.isdisjoint(self.end.values)

    @property
    def seconds(self) -> float:
        """The seconds from its begin to its last event; NaN if one of the two is not known."""
        begin = None if self.begin is None else self.begin.time
        return self.last - (math.nan if begin is None else begin)

    def table(self, *parts: Part) -> dict[str, list[Any]]:
        """The points of some parts as columns of equal length; None for a missing value. Of a fit
        by folds they are the means over the members, each by the steps of its own."""
        found = _table(columns for part, columns in self.points if part in parts)
        return _means(found, self.starts) if MEMBER in found else found

    def enter(self, member: int) -> None:
        """Note where the steps of a member begin."""
        self.starts.setdefault(member, self.at if self.starts else 0)

    def reach(self, steps: Sequence[int], epochs: Sequence[int] | None) -> None:
        """Set the last step and epoch, and the steps of an epoch."""
        self.at = steps[-1]
        if epochs:
            self.epoch = epochs[-1]
            lengths = [at / epoch for at, epoch in zip(steps, epochs, strict=True) if at and epoch]
            self.unit = min(self.unit, min(lengths, default=math.inf))

    def trace(self, event: events.Coefficients) -> None:
        """Add the coefficients at a penalty; values that make no sense are passed over."""
        if event.sound and len(self.path) < MAX_PENALTIES:
            self.path.setdefault(number(event.penalty), event)

    def judge(self, event: events.Evaluate) -> None:
        """Add scores of validation rows."""
        self.scores = event
        least = math.nan if self.best is None else loss(self.best)
        if self.best is None or not self.best.step or math.isnan(least) or loss(event) < least:
            self.best = event


def loss(event: events.Evaluate) -> float:
    """The validation loss; NaN if there is none."""
    return number((event.valid or {}).get("loss"))


class History:
    """The events of a run as fits, curves and findings.

    Without ``curves`` each fit stores its points. ``fits`` and ``findings`` are the largest numbers
    of each that are kept.
    """

    def __init__(
        self, curves: Curves | None = None, *, fits: int = MAX_FITS, findings: int = MAX_FINDINGS
    ) -> None:
        self.fits: list[Fit] = []
        """The fits, in the order in which they began."""

        self.models: dict[str, Fit] = {}
        """The last fit of each model."""

        self.findings: list[events.Finding] = []
        self.yardstick: events.Yardstick | None = None
        self.now: Fit | None = None
        """The fit to which the last events belong."""

        self.changes = 0
        """Counts all events except steps that changed something, such as scores and findings."""

        self._curves = curves
        self._most = fits
        self._most_findings = findings

    @classmethod
    def of(cls, record: Iterable[Event]) -> Self:
        """The history of a whole record, without the events that a resume has undone."""
        history = cls()
        history.extend(drop_undone(record))
        return history

    def extend(self, found: Iterable[Event]) -> None:
        """Add the next events. Steps with the same values are added column by column, because there
        can be very many."""
        for key, alike in groupby(found, _alike):
            if key is None:
                for event in alike:
                    self.take(event)
            else:
                self._steps(list(alike))  # type: ignore[arg-type]

    def take(self, event: Event) -> None:
        """Add the next event."""
        match event:
            case events.Step():
                self._steps([event])
            case events.Evaluate(model=str(model)):
                self._evaluate(self._fit(model), event)
            case events.Coefficients(model=str(model)):
                self._fit(model).trace(event)
            case events.Begin(model=str(model)):
                self._fit(model, event)
            case events.Finding():
                self.changes += 1
                if len(self.findings) < self._most_findings:
                    self.findings.append(event)
            case events.Spent(model=str(model)):
                self._spend(self._fit(model), event)
            case events.Fit(model=str(model)):
                fit = self._fit(model)
                fit.end, fit.last = event, _seconds(event)
                if fit.folded:
                    fit.best = fit.scores
                self.changes += 1
            case events.Test(model=str(model)):
                self._known(model).test = event
                self.changes += 1
            case events.Yardstick():
                self.yardstick = event
                self.changes += 1

    def title(self, model: str) -> str:
        """The title of a model in reports: "the perceptron"; its name if the record has none."""
        yardstick = self.yardstick
        if yardstick is not None and yardstick.model == model and yardstick.title is not None:
            return cut(yardstick.title, MAX_TITLE)
        fit = self.models.get(model)
        begin = None if fit is None else fit.begin
        found = model if begin is None or begin.title is None else begin.title
        return cut(found, MAX_TITLE)

    def series(self) -> dict[str, Parts]:
        """The curves of each model, as lists of equal length.

        By model, then "train" (``time, step, epoch, loss, lr``, ..., and ``accuracy`` or ``rmse``
        of the training rows that were scored) and "valid" (``time, step, epoch, loss, accuracy`` or
        ``rmse``). A missing value is None. The training loss is the mean over the steps during
        training.
        """
        found: dict[str, list[tuple[Columns, Columns]]] = {}
        for fit in self.fits:
            if any(part != "spent" for part, _ in fit.points):
                found.setdefault(fit.model, []).append(
                    (fit.table("step", "train"), fit.table("valid"))
                )
        return {
            model: {
                "train": _table(train for train, _ in own if train),
                "valid": _table(valid for _, valid in own if valid),
            }
            for model, own in found.items()
        }

    def _known(self, model: str, begin: events.Begin | None = None) -> Fit:
        """The last fit of a model; a new one if there is none, or if one begins."""
        fit = self.models.get(model)
        if fit is None or begin is not None:
            fit = Fit(model, begin)
            if len(self.fits) < self._most:
                self.fits.append(fit)
                self.models[model] = fit
        return fit

    def _fit(self, model: str, begin: events.Begin | None = None) -> Fit:
        """The current fit."""
        fit = self.now
        if fit is None or fit.model != model or begin is not None:
            fit = self._known(model, begin)
            self.now = fit
        if begin is not None:
            fit.last = _seconds(begin)
        return fit

    def _put(self, fit: Fit, part: Part, columns: Columns) -> None:
        if self._curves is None:
            new = (name for name in columns if name not in fit.names)
            fit.names.update(list(islice(new, MAX_NAMES - len(fit.names))))
            kept = {name: _packed(columns[name]) for name in columns if name in fit.names}
            fit.points.append((part, kept))
        else:
            self._curves.put(fit.model, part, columns)

    def _steps(self, alike: list[events.Step]) -> None:
        """Add steps of one model with the same values."""
        last = alike[-1]
        if last.model is None:
            return
        fit = self._fit(last.model)
        times, steps, epochs, values = zip(*map(_COLUMNS, alike), strict=True)
        known = last.epoch is not None
        columns: dict[str, Sequence[Any]] = {"time": times} if last.time is not None else {}
        columns |= {"step": steps, "epoch": epochs} if known else {"step": steps}
        if last.member is not None:
            fit.enter(last.member)
            columns |= {MEMBER: [last.member] * len(alike)}
        measured = zip(*(each.values() for each in values), strict=True)
        columns.update(zip(last.values, measured, strict=True))
        fit.step, fit.last = last, _seconds(last)
        fit.reach(steps, epochs if known else None)
        self._put(fit, "step", {k: v for k, v in columns.items() if k not in ("valid", "train")})

    def _evaluate(self, fit: Fit, event: events.Evaluate) -> None:
        place = _place(event) | {key: [value] for key, value in event.values.items()}
        if event.valid is not None:
            fit.judge(event)
        fit.last = _seconds(event)
        if event.member is not None:
            fit.enter(event.member)
            place |= {MEMBER: [event.member]}
        fit.reach([event.step], None if event.epoch is None else [event.epoch])
        self.changes += 1
        valid = {key: [value] for key, value in (event.valid or {}).items()}
        self._put(fit, "valid", {**place, **valid})
        if event.train:  # the curve of the training loss comes from the steps
            train = {key: [value] for key, value in event.train.items() if key != "loss"}
            self._put(fit, "train", {**place, **train})

    def _spend(self, fit: Fit, event: events.Spent) -> None:
        fit.spent = event
        self.changes += 1
        if event.step is not None:
            fit.reach([event.step], None)
            self._put(fit, "spent", {**_place(event), "memory": [event.memory]})


def _packed(values: Sequence[Any]) -> Sequence[Any]:
    """The same values in less memory, where they are many floats or many whole numbers."""
    if len(values) < 16:
        return values
    kinds = set(map(type, values))
    if kinds == {float}:
        return array("d", values)
    if kinds == {int} and min(values) >= -MAX_WHOLE and max(values) <= MAX_WHOLE:
        return array("q", values)
    return values


_COLUMNS = attrgetter("time", "step", "epoch", "values")


def _alike(event: Event) -> tuple[Any, ...] | None:
    """A key that is equal for steps that can be added together; None for other events."""
    if type(event) is not events.Step:
        return None
    return event.model, event.member, event.time is None, event.epoch is None, *event.values


def _place(event: Event) -> dict[str, Sequence[Any]]:
    """The time, step and epoch of an event, as columns of one row."""
    known = {name: getattr(event, name, None) for name in ("time", "step", "epoch")}
    return {name: [value] for name, value in known.items() if value is not None}


def _seconds(event: Event) -> float:
    return math.nan if event.time is None else event.time


def _table(blocks: Iterable[Columns]) -> dict[str, list[Any]]:
    """Blocks of columns, joined one below the other."""
    table: dict[str, list[Any]] = {}
    rows = 0
    for columns in blocks:
        more = len(columns["step"])
        for name, values in columns.items():
            column = table.get(name)
            if column is None:
                column = table[name] = []
            column.extend([None] * (rows - len(column)))
            column.extend(values)
        rows += more
    for column in table.values():
        column.extend([None] * (rows - len(column)))
    return table


def _means(table: Mapping[str, list[Any]], starts: Mapping[int, int]) -> dict[str, list[Any]]:
    """The means of the columns over the members of a fit, by the steps of their own; the time is
    that of the first one, and ``members`` their number. What belongs to no member is left out."""
    places: dict[int, list[int]] = {}
    for place, (at, member) in enumerate(zip(table["step"], table[MEMBER], strict=True)):
        if member is not None:
            places.setdefault(at - starts.get(member, 0), []).append(place)
    order = sorted(places)
    found: dict[str, list[Any]] = {}
    for name, column in table.items():
        if name == "step":
            found[name] = order
        elif name in ("time", "epoch"):
            found[name] = [column[places[at][0]] for at in order]
        elif name != MEMBER:
            found[name] = [_mean([column[place] for place in places[at]]) for at in order]
    found["members"] = [len(places[at]) for at in order]
    return found


def _mean(values: Sequence[Any]) -> Any:
    """The mean of the values that are known; one value stays as it is."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return known[0] if known else None
    return math.fsum(map(number, known)) / len(known)


def drop_undone(record: Iterable[Event], *, whole: bool = True) -> list[Event]:
    """The events that count, without those that a resume has undone.

    In a ``whole`` record a "resume" undoes all after the first ``events`` events. In a part of a
    record, or if it does not give ``events``, it undoes its model's events after its ``step``.
    """
    kept: list[Event] = []
    for event in record:
        if not isinstance(event, events.Resume):
            kept.append(event)
        elif whole and event.events is not None:
            kept = kept[: event.events]
        else:
            kept = [earlier for earlier in kept if not _undone(earlier, event)]
    return kept


def _undone(earlier: Event, resume: events.Resume) -> bool:
    line = earlier.plain()
    step, model = line.get("step"), line.get("model")
    return model == resume.model and isinstance(step, int) and step > (resume.step or 0)


def join(before: Parts, own: Parts, step: int) -> Parts:
    """Join two series of a model: ``own`` began from the state of ``before`` at ``step``."""
    last = {"step": step}
    for key in ("epoch", "time"):
        reached = [
            value
            for part in before.values()
            for at, value in zip(part.get("step", ()), part.get(key, ()), strict=False)
            if at <= step and value is not None
        ]
        last[key] = max(reached, default=0)
    result: Parts = {}
    for name in dict.fromkeys([*before, *own]):
        first, second = before.get(name, {}), own.get(name, {})
        keep = [place for place, at in enumerate(first.get("step", ())) if at <= step]
        more = [place for place, at in enumerate(second.get("step", ())) if at > 0]
        result[name] = {
            key: [first[key][place] if key in first else None for place in keep]
            + [
                _later(second[key][place], last.get(key)) if key in second else None
                for place in more
            ]
            for key in dict.fromkeys([*first, *second])
        }
    return result


def _later(value: Any, by: float | None) -> Any:
    return value if by is None or value is None else value + by

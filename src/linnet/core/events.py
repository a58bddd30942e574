"""The events of a record, one frozen class for each kind.

A record is a file with one event per line: ``events.jsonl`` of a run, and ``visdom-<env>.jsonl`` of
the windows beside it. ``Event.plain()`` is the content of a line; ``parse`` is the inverse, for
lines that may come from anyone. A field is None if its line lacks it. Keys of a line that are not
fields of its class are kept in ``values``: the measurements of a step, and keys of a later linnet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from linnet.errors import DataError

Plain = dict[str, Any]
"""An event in the form of its line: ``event``, its kind, and ``time``, then the rest."""

MAX_WHOLE = 2**53
"""Larger whole numbers are not accepted as counts."""

LARGEST = 1e300

MAX_COEFFICIENTS = 128
"""The most coefficients of an event: those of a usual table."""

NOT_FINITE = ("NaN", "Infinity", "-Infinity")
"""Numbers that are not finite, as texts in strict JSON."""


def is_number(value: Any) -> bool:
    """Whether a value of a record is a number; a text such as "NaN" counts as one."""
    if type(value) in (int, float):
        return bool(-LARGEST <= value <= LARGEST)
    return value in NOT_FINITE if type(value) is str else False


def number(value: Any) -> float:
    """A value of a record as a number, also a text such as "Infinity"; NaN if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _kept(holds: Callable[[Any], bool], **more: Any) -> Any:
    """A field; a value that it cannot hold stays in ``values``."""
    return field(metadata={"holds": holds}, **more)


def _of(*kinds: type) -> Any:
    """A field for values of exactly these types, or None."""
    return _kept(lambda value: type(value) in kinds, default=None)


def _any() -> Any:
    """A field for a value of any type."""
    return _kept(lambda value: value is not None, default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event. ``time`` is in seconds since the run began; None before the event is written."""

    time: float | None = _of(int, float)
    values: Mapping[str, Any] = field(default_factory=dict)
    """The other values of the line, by name, in order."""

    _kind: ClassVar[str] = ""

    @property
    def kind(self) -> str:
        """The kind of the event, as its line names it."""
        return self._kind

    def plain(self) -> Plain:
        """The event in the form of its line, without the fields that are None."""
        line: Plain = {"event": self.kind}
        for name in _FIELDS[type(self)]:
            value = getattr(self, name)
            if value is not None:
                line[name] = value
        line.update(self.values)
        return line


@dataclass(frozen=True, kw_only=True, slots=True)
class Other(Event):
    """An event that this linnet does not know."""

    event: str

    @property
    def kind(self) -> str:
        """The kind of the event, as its line names it."""
        return self.event


@dataclass(frozen=True, kw_only=True, slots=True)
class Start(Event):
    """A record begins, at the date and time ``wall`` (ISO 8601). It is the record of a run on
    ``data``, or of the environment ``env`` of windows."""

    _kind: ClassVar[str] = "start"

    format: int | None = _any()
    wall: str | None = _of(str)
    data: str | None = _any()
    env: str | None = _any()


@dataclass(frozen=True, kw_only=True, slots=True)
class Begin(Event):
    """The fit of ``model`` begins; reports call the model ``title``. ``steps`` is the number of
    steps, if it is known; ``members`` how many networks are fitted, each without one fold."""

    _kind: ClassVar[str] = "begin"

    model: str | None = _of(str)
    steps: int | None = _of(int)
    title: str | None = _of(str)
    members: int | None = _of(int)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step(Event):
    """A written step of a fit; it also stands for the steps before it that were not written.
    ``values`` are its measurements: ``loss``, ``lr``, ``gradient_max``, ``objective``, ``penalty``
    and so on. In a fit by folds ``step`` counts the steps of all members, and ``epoch`` those of
    this ``member``."""

    _kind: ClassVar[str] = "step"

    model: str | None = _of(str)
    step: int = _kept(lambda value: type(value) is int)
    epoch: int | None = _of(int)
    member: int | None = _of(int)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluate(Event):
    """Scores of validation rows, and of some training rows, after a step. In a fit by folds the
    validation rows are those of the ``member``'s own fold; without a member, all training rows,
    each scored by weights that its fold has not taught."""

    _kind: ClassVar[str] = "evaluate"

    model: str | None = _of(str)
    step: int = _kept(lambda value: type(value) is int)
    epoch: int | None = _of(int)
    member: int | None = _of(int)
    valid: Mapping[str, Any] | None = _of(dict)
    train: Mapping[str, Any] | None = _of(dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Coefficients(Event):
    """The coefficients of a convex ``model`` at a ``penalty`` of its path, after a ``step``: of all
    ``total`` the ``coefficients`` of the largest amounts, and the ``places`` of these. The place of
    the coefficient of a column for an output is output * columns + column."""

    _kind: ClassVar[str] = "coefficients"

    model: str | None = _of(str)
    step: int | None = _of(int)
    penalty: float | None = _kept(is_number, default=None)
    total: int | None = _of(int)
    places: Sequence[int] | None = _of(list)
    coefficients: Sequence[float] | None = _of(list)

    @property
    def sound(self) -> bool:
        """Whether the values fit each other: as many different places below ``total`` as finite
        coefficients, at most ``MAX_COEFFICIENTS``, and a penalty above 0."""
        places, found, total = self.places or (), self.coefficients or (), self.total or 0
        return (
            0 < len(places) == len(found) <= MAX_COEFFICIENTS
            and all(type(place) is int and 0 <= place < total <= MAX_WHOLE for place in places)
            and len(set(places)) == len(places)
            and all(type(one) in (int, float) and -LARGEST <= one <= LARGEST for one in found)
            and 0 < number(self.penalty) <= LARGEST
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent(Event):
    """How the seconds of a fit up to a step divide, and the bytes of memory in use then."""

    _kind: ClassVar[str] = "spent"

    model: str | None = _of(str)
    step: int | None = _of(int)
    batches: float | None = _kept(is_number, default=None)
    evaluate: float | None = _kept(is_number, default=None)
    record: float | None = _kept(is_number, default=None)
    steps: float | None = _kept(is_number, default=None)
    memory: int | None = _of(int)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding(Event):
    """A finding of a check of the data or of ``model``; ``severity`` is "note" or "warning"."""

    _kind: ClassVar[str] = "finding"

    model: str | None = _of(str)
    severity: str | None = _of(str)
    text: str = _kept(lambda value: type(value) is str)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit(Event):
    """The fit of ``model`` has ended; ``values`` are the method's facts and certificate."""

    _kind: ClassVar[str] = "fit"

    model: str | None = _of(str)
    converged: bool | None = _of(bool)
    reason: str | None = _of(str)
    stopped: str | None = _of(str)
    steps: int | None = _of(int)
    best_step: int | None = _of(int)

    @property
    def gap(self) -> float | None:
        """For a convex model, an upper bound on how far the objective is above the optimum."""
        gap = self.values.get("gap")
        return None if gap is None else number(gap)


@dataclass(frozen=True, kw_only=True, slots=True)
class Test(Event):
    """The scores of ``model`` on test rows."""

    _kind: ClassVar[str] = "test"

    model: str | None = _of(str)
    test: Mapping[str, Any] | None = _of(dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold(Event):
    """In a cross-validation, ``model`` has been fitted without ``fold``, from 1, of ``folds``, and
    has predicted its rows; ``done`` of ``fits`` such fits are done."""

    _kind: ClassVar[str] = "fold"

    model: str | None = _of(str)
    fold: int | None = _of(int)
    folds: int | None = _of(int)
    done: int | None = _of(int)
    fits: int | None = _of(int)


@dataclass(frozen=True, kw_only=True, slots=True)
class Yardstick(Event):
    """The scores of ``model``, which is no model of the run, and which reports call ``title``, on
    test and validation rows, and the ``seconds`` of its fit; or ``why`` there are none."""

    _kind: ClassVar[str] = "yardstick"

    model: str | None = _of(str)
    title: str | None = _of(str)
    valid: Mapping[str, Any] | None = _of(dict)
    test: Mapping[str, Any] | None = _of(dict)
    seconds: float | None = _of(int, float)
    why: str | None = _of(str)


@dataclass(frozen=True, kw_only=True, slots=True)
class Diverged(Event):
    """A fit diverged on a batch of these ``rows`` of the data."""

    _kind: ClassVar[str] = "diverged"

    rows: Sequence[int] | None = _of(list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resume(Event):
    """The run is resumed after its first ``events`` events, at a ``step`` of ``model``, with the
    settings that ``changed``. The events after those are undone."""

    _kind: ClassVar[str] = "resume"

    events: int | None = _of(int)
    model: str | None = _of(str)
    step: int | None = _of(int)
    wall: str | None = _of(str)
    changed: Mapping[str, str] | None = _of(dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class End(Event):
    """The run has ended, and ``chosen`` is its best model."""

    _kind: ClassVar[str] = "end"

    chosen: str | None = _any()


@dataclass(frozen=True, kw_only=True, slots=True)
class Line(Event):
    """Lines in the window ``win`` of a program, with the program's ``opts``.

    ``update`` is "append" or "replace" (only these ``lines``), or "remove" (the line ``name``).
    Without it the whole window is new.
    """

    _kind: ClassVar[str] = "line"

    win: str | None = _any()
    update: str | None = _of(str)
    lines: Sequence[Mapping[str, Any]] | None = _of(list)
    opts: Mapping[str, Any] | None = _of(dict)
    name: str | None = _of(str)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scatter(Line):
    """Points, with the same fields as lines."""

    _kind: ClassVar[str] = "scatter"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar(Line):
    """Bars, with the same fields as lines."""

    _kind: ClassVar[str] = "bar"


@dataclass(frozen=True, kw_only=True, slots=True)
class Heatmap(Event):
    """A heatmap of the numbers ``z``, a list of rows."""

    _kind: ClassVar[str] = "heatmap"

    win: str | None = _any()
    update: str | None = _of(str)
    z: Sequence[Sequence[float]] | None = _of(list)
    rows: Sequence[str] | None = _of(list)
    columns: Sequence[str] | None = _of(list)
    opts: Mapping[str, Any] | None = _of(dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Image(Event):
    """A picture: its ``file`` in the run's directory, its size in pixels."""

    _kind: ClassVar[str] = "image"

    win: str | None = _any()
    append: bool | None = _any()
    file: str | None = _of(str)
    width: int | None = _of(int)
    height: int | None = _of(int)
    opts: Mapping[str, Any] | None = _of(dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Text(Event):
    """A text in a window; ``append`` adds it below the text that is there."""

    _kind: ClassVar[str] = "text"

    win: str | None = _any()
    append: bool | None = _any()
    text: str | None = _of(str)
    opts: Mapping[str, Any] | None = _of(dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Close(Event):
    """The window ``win`` is closed; without ``win``, all windows are closed."""

    _kind: ClassVar[str] = "close"

    win: str | None = _any()


Drawn = Line | Heatmap | Image | Text
"""The events that draw in a window."""


KINDS: dict[str, type[Event]] = {
    made._kind: made
    for made in (
        Start, Begin, Step, Evaluate, Coefficients, Spent, Finding, Fit, Fold, Test, Yardstick,
        Diverged, Resume, End, Line, Scatter, Bar, Heatmap, Image, Text, Close,
    )
}  # fmt: skip
"""The classes, by kind."""

_FIELDS: dict[type[Event], dict[str, Callable[[Any], bool]]] = {
    made: {
        each.name: each.metadata["holds"]
        for each in fields(made)
        if each.name not in ("event", "values")
    }
    for made in [*KINDS.values(), Other]
}
"""The fields of each class in the order of its lines, each with a test of its values."""


def of(plain: Mapping[str, Any]) -> Event:
    """The event of a line that this process made, and so trusts; the key ``event`` is its kind."""
    made = KINDS.get(plain["event"], Other)
    holds = _FIELDS[made]
    known: Plain = {"event": plain["event"]} if made is Other else {}
    rest: Plain = {}
    for key, value in plain.items():
        if key in holds and holds[key](value):
            known[key] = value
        elif key != "event":
            rest[key] = value
    return made(**known, values=rest)


def parse(plain: Any) -> Event:
    """Check a line of a record and return its event; raises ``DataError`` if it is not valid."""
    if not isinstance(plain, dict) or not isinstance(plain.get("event"), str):
        raise DataError('a line of a record must be an object whose "event" is a text')
    found = step(plain)
    if found is not None:
        return found
    if not _usual(plain) and (problem := _problem(plain)) is not None:
        raise DataError(f"an event {plain['event'][:80]!r} with {problem}")
    return of(plain)


_PLACE = frozenset(("event", "time", "model", "step", "epoch"))
_new = object.__new__
_set_time, _set_values, _set_model, _set_step, _set_epoch, _set_member = (
    getattr(Step, name).__set__ for name in ("time", "values", "model", "step", "epoch", "member")
)


def step(plain: Plain) -> Step | None:
    """The event of a usual step, in a third of the time of ``parse``; None if it is not usual.

    A record can have very many steps, so this sets the fields by hand, without the class's
    ``__init__``.
    """
    if plain.get("event") != "step":
        return None
    try:
        time, model, at, epoch = plain["time"], plain["model"], plain["step"], plain["epoch"]
    except KeyError:
        return None
    if not (
        type(at) is type(epoch) is int
        and 0 <= at <= MAX_WHOLE
        and 0 <= epoch <= MAX_WHOLE
        and type(time) is float
        and -LARGEST <= time <= LARGEST
        and type(model) is str
    ):
        return None
    values = {key: value for key, value in plain.items() if key not in _PLACE}
    for value in values.values():
        if type(value) is not float or not -LARGEST <= value <= LARGEST:
            return None
    event = _new(Step)
    _set_time(event, time)
    _set_values(event, values)
    _set_model(event, model)
    _set_step(event, at)
    _set_epoch(event, epoch)
    _set_member(event, None)
    return event


_WHOLE = (
    "step",
    "epoch",
    "steps",
    "best_step",
    "events",
    "member",
    "members",
    "fold",
    "folds",
    "done",
    "fits",
)
_TEXT = ("model", "text", "reason", "severity", "wall")
_SCORES = ("valid", "train")
_ROWS = ("step", "evaluate")


def _problem(plain: Plain) -> str | None:
    """Why a line is not valid, in words; None if it is valid."""
    kind = plain["event"]
    rows = kind in _ROWS
    for key, value in plain.items():
        found = type(value)
        if key in _WHOLE and not (kind == "spent" and key == "steps"):  # these are seconds
            if value is None and key != "step":
                continue
            if found is not int or not 0 <= value <= MAX_WHOLE:
                return f"a {key} that is not a count"
        elif key in _TEXT:
            if found is not str:
                return f"a {key} that is not a text"
        elif key in _SCORES:
            if found is not dict or not all(map(is_number, value.values())):
                return f"a {key} that does not hold numbers only"
        elif key == "event" or not (rows or key == "time") or found in (bool, type(None)):
            continue
        elif not is_number(value):
            return f"a {key[:80]!r} that is not a number"
    needed = "step" if rows else "text" if kind == "finding" else None
    return None if needed is None or needed in plain else f"no {needed}"


def _usual(plain: Plain) -> bool:
    """Whether it is a step of a model and all its other values are numbers, of any name."""
    if plain["event"] != "step" or type(plain.get("model")) is not str:
        return False
    return type(plain.get("step")) is type(plain.get("epoch", 0)) is int and all(
        (type(value) is int and 0 <= value <= MAX_WHOLE)
        or (type(value) is float and -LARGEST <= value <= LARGEST)
        for key, value in plain.items()
        if key not in ("event", "model")
    )

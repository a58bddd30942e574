"""The content of a run's ``learning_curve.json``: scores by the number of training rows."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field, model_validator

from linnet.core import files
from linnet.core.closed import Closed
from linnet.core.events import LARGEST, MAX_WHOLE
from linnet.core.files import Place
from linnet.errors import InputError
from linnet.runs import directory

FORMAT = 1

Rows = Annotated[int, Field(ge=1, le=MAX_WHOLE)]
Finite = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Interval = tuple[Finite, Finite]


class Point(Closed):
    """The scores of one model, fitted on ``rows`` training rows, on the run's validation rows.

    ``loss`` is the mean loss, computed as in the fit; ``score`` is the accuracy or the RMSE. The
    intervals are 95 % confidence intervals over validation rows; None if all of these are of one
    group, which says nothing of others. ``penalty`` is the line's, chosen for these rows.
    """

    rows: Rows
    loss: Finite
    loss_interval: Interval | None
    score: Finite
    score_interval: Interval | None
    penalty: Finite | None = None


class Change(Closed):
    """The decrease of a model's validation loss from ``before`` training rows to all ``rows``: the
    mean of the differences on the same validation rows, and its 95 % confidence interval."""

    before: Rows
    rows: Rows
    loss_before: Finite
    loss: Finite
    fall: Finite
    fall_interval: Interval

    @model_validator(mode="after")
    def _more(self) -> Change:
        if self.rows <= self.before:
            raise ValueError(f"{self.rows} rows are not more than {self.before}")
        return self


class Rests(Closed):
    """On what intervals rest if rows depend on each other: ``units`` groups, or blocks of
    consecutive times, by the values of ``column``."""

    by: Literal["group", "time"]
    column: str
    units: Rows


class LearningCurve(Closed):
    """A learning curve. ``points`` and ``changes`` are by model, from few rows to all; ``notes``
    say what was left out and why. ``drawn`` says how rows were drawn: at random, class by class,
    whole groups, or the latest. ``interval`` says on what the intervals rest, if not on independent
    rows. ``of`` are the sha256 of files of the run to which it belongs."""

    format: Literal[1] = 1
    of: dict[str, str]
    score: Literal["accuracy", "rmse"]
    valid_rows: Rows
    drawn: Literal["random", "classes", "groups", "latest"]
    interval: Rests | None = None
    points: dict[str, tuple[Point, ...]]
    changes: dict[str, tuple[Change, ...]]
    notes: tuple[str, ...] = ()


def belongs(place: Place) -> dict[str, str]:
    """The sha256 of the run's recipe, split and metrics."""
    names = (directory.RECIPE, directory.SPLIT, directory.METRICS)
    try:
        return {name: hashlib.sha256(files.read(place / name)).hexdigest() for name in names}
    except OSError as error:
        raise InputError(f"{place}: cannot read: {error.strerror}") from error


def read(place: Place) -> LearningCurve | None:
    """The learning curve of the run in ``place``; None if it has none, or if the curve belongs to
    another recipe, split or result."""
    path = place / directory.LEARNING
    if not path.is_file():
        return None
    plain = files.read_json(path)
    found = plain.get("format") if isinstance(plain, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise InputError(
            f"{path}: written in format {found}; this linnet reads up to {FORMAT}: upgrade linnet"
        )
    curve = LearningCurve.parse(plain, str(path))
    return curve if curve.of == belongs(place) else None

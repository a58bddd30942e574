"""What ``learning_curve.json`` of a run holds: its models' scores by how many rows they had."""

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


class Point(Closed):
    """One model, fitted on ``rows`` of the training rows, on the run's validation rows.

    ``loss`` is the mean, as the fit has it; ``score`` the accuracy or the RMSE; the intervals hold
    95 % over validation rows. ``penalty`` is the line's, chosen anew.
    """

    rows: Rows
    loss: Finite
    loss_interval: tuple[Finite, Finite]
    score: Finite
    score_interval: tuple[Finite, Finite]
    penalty: Finite | None = None


class Change(Closed):
    """By how much a model's validation loss fell from ``before`` training rows to all ``rows``: the
    mean of the differences on the same validation rows, and their 95 % interval."""

    before: Rows
    rows: Rows
    loss_before: Finite
    loss: Finite
    fall: Finite
    fall_interval: tuple[Finite, Finite]

    @model_validator(mode="after")
    def _more(self) -> Change:
        if self.rows <= self.before:
            raise ValueError(f"from {self.before} to {self.rows} rows there are no more of them")
        return self


class LearningCurve(Closed):
    """``points`` and ``changes`` are by model, from few rows to all; ``notes`` say what was left
    out and why. ``drawn`` is how rows were: at random, class by class, whole groups, or the latest.
    ``of`` are the sha256 of the run's files that it belongs to."""

    format: Literal[1] = 1
    of: dict[str, str]
    score: Literal["accuracy", "rmse"]
    valid_rows: Rows
    drawn: Literal["random", "classes", "groups", "latest"]
    points: dict[str, tuple[Point, ...]]
    changes: dict[str, tuple[Change, ...]]
    notes: tuple[str, ...] = ()


def belongs(place: Place) -> dict[str, str]:
    """The sha256 of the files that say which rows were fitted, how, and with what result."""
    names = (directory.RECIPE, directory.SPLIT, directory.METRICS)
    try:
        return {name: hashlib.sha256(files.read(place / name)).hexdigest() for name in names}
    except OSError as error:
        raise InputError(f"{place}: cannot read: {error.strerror}") from error


def read(place: Place) -> LearningCurve | None:
    """The learning curve of the run whose files are in ``place``; None where it has none, or one of
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

"""Checks of the files of a run, which may come from anyone.

The keys named here must have the type and size that their readers expect. Other keys are allowed,
so that a later linnet can write more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from linnet.core.closed import at_first, explain, told
from linnet.core.events import LARGEST, MAX_WHOLE
from linnet.core.files import canonical
from linnet.core.limits import MAX_FOLDS
from linnet.data.reading import Label
from linnet.data.schema import MAX_CLASSES
from linnet.errors import InputError
from linnet.insight.task import MAX_CONFUSION

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
"""The name of a model, and so of its files; it cannot point outside the run."""

Whole = Annotated[int, Field(ge=0, le=MAX_WHOLE)]
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)] | Literal["NaN", "Infinity", "-Infinity"]
Share = Annotated[float, Field(ge=-1e-9, le=1 + 1e-9)]


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not a name of a model")
    return text


Name = Annotated[str, AfterValidator(_name)]

Shape = TypeVar("Shape", bound=BaseModel)


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return at_first(handler(source))

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        return told(self)


class Rests(_Open):
    """On what an interval or a test rests if rows depend on each other: ``units`` groups, or blocks
    of consecutive times, by the values of ``column``."""

    by: Literal["group", "time"]
    column: str
    units: Annotated[int, Field(ge=1, le=MAX_WHOLE)]


class Counts(_Open):
    """What one threshold does to rows."""

    threshold: Annotated[float, Field(ge=0, le=2)]
    accuracy: Share
    f1: Share
    cost: Annotated[float, Field(ge=0, le=LARGEST)]


class Decided(_Open):
    """What the threshold of a model's labels does to test rows, beside what 0.5 does."""

    by: Literal["f1", "cost"]
    chosen: Counts
    half: Counts
    rule: str
    words: str


if TYPE_CHECKING:
    MaybeDecided = Decided | None
else:
    MaybeDecided = Decided


class Test(_Open):
    """Scores of test rows: for classes those with ``accuracy``, for numbers those with ``rmse``."""

    rows: Annotated[int, Field(ge=1, le=MAX_WHOLE)]
    by: Literal["folds"] | None = None
    folds: Annotated[list[Number], Field(min_length=2, max_length=MAX_FOLDS)] | None = None
    """The headline score of each fold, if the scores are of out-of-fold rows."""
    accuracy: Share | None = None
    accuracy_interval: tuple[Share, Share] | None = None
    interval: Rests | None = None
    log_loss: Number | None = None
    classes: Annotated[list[Label], Field(min_length=2, max_length=MAX_CLASSES)] | None = None
    precision: list[Share] | None = None
    recall: list[Share] | None = None
    f1: list[Share] | None = None
    support: list[Number] | None = None
    confusion: list[list[Whole]] | None = None
    decision: MaybeDecided = None
    """If a threshold decides between two classes, what it does; the scores beside it are of the
    more probable class."""
    rmse: Number | None = None
    rmse_interval: tuple[Number, Number] | None = None
    mae: Number | None = None
    r2: Number | None = None

    @model_validator(mode="after")
    def _whole(self) -> Test:
        if (self.by is None) != (self.folds is None):
            raise ValueError("expected a score of each fold")
        if self.accuracy is None:
            if None in (self.rmse, self.rmse_interval, self.mae, self.r2) or self.classes:
                raise ValueError("expected all scores of classes, or all scores of numbers")
            return self
        counts = (self.precision, self.recall, self.f1, self.support)
        if self.accuracy_interval is None or self.log_loss is None or self.classes is None:
            raise ValueError("expected all scores of classes")
        size = len(self.classes)
        if len({(type(label), label) for label in self.classes}) != size or self.rmse is not None:
            raise ValueError("a class is listed twice")
        if any(part is None or len(part) != size for part in counts):
            raise ValueError(f"expected a number for each of {size} classes")
        if self.confusion is None:
            if size <= MAX_CONFUSION:
                raise ValueError(f"expected a confusion matrix of {size} classes")
        elif len(self.confusion) != size or any(len(row) != size for row in self.confusion):
            raise ValueError(f"expected a confusion matrix of {size} rows and columns")
        return self


class Fit(_Open):
    """The facts about a fit."""

    reason: str
    seconds: Annotated[float, Field(ge=0, le=LARGEST)]
    threads: Whole | None = None
    steps: Whole
    best_step: Whole
    stopped: str | None = None
    converged: bool | None = None
    best_epoch: Whole | None = None
    epochs: Whole | None = None
    gap: Number | None = None
    gradient_max: Number | None = None
    objective: Number | None = None
    penalty: Number | None = None


class Valid(_Open):
    """Scores of validation rows."""

    loss: Number
    accuracy: Share | None = None
    rmse: Number | None = None


if TYPE_CHECKING:
    MaybeTest = Test | None
    MaybeValid = Valid | None
else:  # a file may leave it out, and holds no null
    MaybeTest = Test
    MaybeValid = Valid


class Model(_Open):
    """Scores of a model; without rows the key is missing, and not null."""

    fit: Fit
    valid: MaybeValid = None
    test: MaybeTest = None

    @model_validator(mode="after")
    def _alike(self) -> Model:
        if self.valid is not None and self.test is not None:
            kinds = [(each.accuracy is None, each.rmse is None) for each in (self.valid, self.test)]
            if kinds[0] != kinds[1]:
                raise ValueError("validation and test rows have different scores")
        return self


class Comparison(_Open):
    """The paired test of two models, or of a model and the yardstick."""

    pair: tuple[Name, Name]
    test: str
    significant: bool
    better: Name | None = None
    p_value: Share | None = None
    p_adjusted: Share | None = None
    only_right: tuple[Whole, Whole] | None = None
    difference: Number | None = None
    difference_interval: tuple[Number, Number] | None = None
    why: str | None = None
    interval: Rests | None = None

    @model_validator(mode="after")
    def _different(self) -> Comparison:
        if self.pair[0] == self.pair[1] or self.better not in (None, *self.pair):
            raise ValueError("a pair is two models, one of which may be better")
        return self


class Timed(_Open):
    """How long the fit of the yardstick took."""

    seconds: Annotated[float, Field(ge=0, le=LARGEST)]
    threads: Whole | None = None


class Yardstick(_Open):
    """Scores of the yardstick; or why there are none."""

    fit: Timed | None = None
    valid: MaybeValid = None
    test: MaybeTest = None
    why: str | None = None

    @model_validator(mode="after")
    def _something(self) -> Yardstick:
        if (self.test is None or self.fit is None) == (self.why is None):
            raise ValueError("expected the scores of the yardstick, or why there are none")
        return self


class Choice(_Open):
    """How the chosen model was chosen; without rows to choose by, all is None."""

    by: Literal["validation", "folds"] | None = None
    rows: Whole | None = None
    lowest: str | None = None
    behind: Number | None = None
    standard_error: Number | None = None


class Metrics(_Open):
    """``metrics.json``."""

    format: int
    chosen: str
    verdict: str
    models: Annotated[dict[str, Model], Field(min_length=1, max_length=100)]
    choice: Choice = Field(default_factory=Choice)
    yardstick: Annotated[dict[str, Yardstick], Field(max_length=1)] = Field(default_factory=dict)
    comparisons: Annotated[list[Comparison], Field(max_length=10_000)] = Field(default_factory=list)

    @field_validator("models", "yardstick")
    @classmethod
    def _names(cls, models: dict[str, Any]) -> dict[str, Any]:
        for name in models:
            if not NAME.fullmatch(name):
                raise ValueError(f"{name[:80]!r} is not a name of a model")
        return models

    @model_validator(mode="after")
    def _chosen(self) -> Metrics:
        if self.chosen not in self.models:
            raise ValueError(f"the chosen model, {self.chosen[:80]!r}, is not among its models")
        known = {*self.models, *self.yardstick}
        strange = [name for each in self.comparisons for name in each.pair if name not in known]
        if strange:
            raise ValueError(f"a comparison names {strange[0]!r}, which is not among its models")
        if self.yardstick.keys() & self.models.keys():
            raise ValueError("a model has the name of the yardstick")
        return self


class Data(_Open):
    """The run's data."""

    name: str | None = None
    place: str | None = None
    fingerprint: str | None = None
    split: str | None = None
    rows: Whole | None = None
    train_rows: Whole | None = None
    valid_rows: Whole | None = None
    test_rows: Whole | None = None
    notes: list[str] = Field(default_factory=list)


class Git(_Open):
    """The state of the code."""

    commit: str | None = None
    dirty: bool | None = None
    changes: str | None = None


class Hardware(_Open):
    """The machine."""

    processor: str | None = None
    threads: Whole | None = None


class Info(_Open):
    """``run.json``."""

    created: str | None = None
    command: list[str] = Field(default_factory=list)
    data: Data = Field(default_factory=Data)
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: Hardware = Field(default_factory=Hardware)
    git: Git | None = None
    directory: str | None = None
    parent: str | None = None


def metrics(value: Any, source: str) -> Metrics:
    """Check and parse ``metrics.json``; errors name ``source``."""
    models = value.get("models") if isinstance(value, dict) else None
    if isinstance(models, dict):  # without rows, a dict of scores is empty
        shown = {name: _filled(scores) for name, scores in models.items()}
        return _sound(Metrics, {**value, "models": shown}, source)
    return _sound(Metrics, value, source)


def _filled(scores: Any) -> Any:
    return {k: v for k, v in scores.items() if v != {}} if isinstance(scores, dict) else scores


def info(value: Any, source: str) -> Info:
    """Check and parse ``run.json``; errors name ``source``."""
    return _sound(Info, value, source)


def _sound(shape: type[Shape], value: Any, source: str) -> Shape:
    try:
        return shape.model_validate_json(canonical(value), strict=True)
    except ValidationError as invalid:
        raise InputError(
            f"{source}: {explain(invalid, shape)}; the file was changed: copy the run again"
        ) from None
    except UnicodeEncodeError:
        raise InputError(f"{source}: a text in it is not valid Unicode") from None

"""How to read data: the part of a recipe that sources use."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field

from linnet.core.closed import Closed, Several

Kind = Literal["number", "category", "boolean", "date", "text", "identifier", "constant"]
"""The kind of a column. Text, identifiers and constants are left out of the examples."""

Label = bool | int | float | str

MISSING = (
    "", "?", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "null", "Null", "NULL",
)  # fmt: skip
"""Text that means a missing value; spaces around it do not matter."""

ABSENT = (
    "-", "--", "---", ".", "..", "...", "\u2026", "none", "nil", "na", "n/a", "n.a.",
    "n.a", "n/d", "nd", "nan", "-nan", "null", "(null)", "nat", "unknown", "missing",
    "not available", "not applicable", "#n/a", "#value!", "#div/0!", "#ref!", "#num!", "#name?",
    "#null!",
)  # fmt: skip
"""Text in any case of letters that means a missing value where the other values of a column are
numbers or dates."""


Names = Annotated[tuple[str, ...], Several()]

Fit = Literal["pad", "crop"]
"""How a picture of another shape comes to a size: whole, with its edges repeated beside it; or
filled, with what is over cut off on both sides."""

Size = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
    Field(pattern=r"^([1-9][0-9]{0,3}(x[1-9][0-9]{0,3})?)?$"),
]
"""Height and width, as ``48x64``, or the side of a square; "" is as the pictures are."""


def sides(size: str) -> tuple[int, int] | None:
    """Height and width of a ``Size``."""
    if not size:
        return None
    height, _, width = size.partition("x")
    return int(height), int(width or height)


class Reading(Closed):
    """What to read, and how. Names of columns are exact.

    ``classes`` keeps only the rows of these classes; ``positive`` predicts one class against all
    others. ``size`` is the size to which pictures are scaled, ``48x64`` (height and width) or
    ``64``; ``fit`` says how.

    The fields below ``task`` are for tables only. ``missing`` are more values that mean missing.
    ``decimal`` is the decimal mark of numbers in text, ``dates`` the order of year, month and day;
    "auto" finds the one that fits all values of a column. ``separator`` and ``encoding`` are for
    text files; "auto" detects them. So are ``skip``, the number of lines to leave out at the
    beginning, and ``comment``, the character with which lines begin that are left out.
    ``pictures`` says that the other columns of a row are the pixels of a picture, as ``28x28``
    (height and width) or ``3x32x32`` (channels first). ``split``, ``group`` and ``time`` name the
    column that splits the rows: by its values train, valid and test; with each group in one part;
    with the training rows before all others in time.
    """

    target: Annotated[tuple[str, ...] | None, Several()] = None
    classes: Annotated[tuple[Label, ...] | None, Several()] = None
    positive: Label | None = None
    on_bad: Literal["fail", "skip"] = "fail"
    size: Size = ""
    fit: Fit = "pad"
    task: Literal["auto", "classification", "regression"] = "auto"
    columns: dict[str, Kind] = Field(default_factory=dict)
    drop: Names = ()
    missing: Names = ()
    max_categories: Annotated[int, Field(ge=2, le=10_000)] = 100
    split: str | None = None
    group: str | None = None
    time: str | None = None
    header: bool = True
    separator: Literal["auto"] | Annotated[str, Field(min_length=1, max_length=1)] = "auto"
    decimal: Literal["auto", ".", ","] = "auto"
    dates: Literal["auto", "ymd", "dmy", "mdy"] = "auto"
    encoding: str = "auto"
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    comment: Annotated[str, Field(pattern=r"^[!-~]?$")] = ""
    pictures: Annotated[str, Field(pattern=r"^([1-9][0-9]{0,3}(x[1-9][0-9]{0,3}){1,2})?$")] = ""

    @property
    def empty(self) -> frozenset[str]:
        """All text that means a missing value."""
        return frozenset((*MISSING, *self.missing))

    def decided(self, task: Literal["classification", "regression"]) -> Self:
        """The same, with this task unless another is set."""
        return self if self.task != "auto" else self.model_copy(update={"task": task})

    def table_only(self) -> dict[str, Any]:
        """The settings that are not at their default and apply to tables only."""
        plain = {key: getattr(self, key) for key in Reading.model_fields}
        names = list(Reading.model_fields)
        return {
            key: plain[key]
            for key in names[names.index("task") :]
            if plain[key] != getattr(Reading(), key)
        }


class Again(Reading):
    """How to read data for a model: as its training data was. ``labels`` are its classes, which
    need not all occur; ``channels`` those of its pictures, whose ``size`` is always given.
    ``scaled``: its training pictures were scaled, too."""

    labels: tuple[Label, ...] = ()
    channels: Literal[1, 3] | None = None
    scaled: bool = False

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
    Field(pattern=r"^([1-9][0-9]{0,3}(x[1-9][0-9]{0,3})?)?$", examples=["64", "48x64"]),
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

    The fields from ``task`` on are for tables only, those from ``separator`` on for text files.
    """

    target: Annotated[tuple[str, ...] | None, Several()] = None
    """The column to predict, or several columns of numbers."""
    classes: Annotated[tuple[Label, ...] | None, Several()] = None
    """Keep only the rows of these classes."""
    positive: Label | None = None
    """Predict this class against all others."""
    on_bad: Literal["fail", "skip"] = "fail"
    """What to do with an invalid row or picture."""
    size: Size = ""
    """The size to which pictures are scaled: the side of a square, or height and width; without
    it they stay as they are."""
    fit: Fit = "pad"
    """How a picture of another shape comes to this size: ``pad`` repeats its edges beside it,
    ``crop`` cuts off what is over."""
    task: Literal["auto", "classification", "regression"] = "auto"
    """What the target is; ``auto``: decided from its values."""
    columns: dict[str, Kind] = Field(default_factory=dict)
    """The kind of a column, where another one was found: ``--set columns.NAME=category``."""
    drop: Names = ()
    """Columns that are left out."""
    missing: Names = ()
    """More values that mean missing."""
    max_categories: Annotated[int, Field(ge=2, le=10_000)] = 100
    """One-hot encoding: the most columns for the categories of one column; the rarest
    categories share one."""
    split: str | None = None
    """The column that assigns each row to train, valid or test."""
    group: str | None = None
    """The column of groups: all rows of one group stay in one part."""
    time: str | None = None
    """The time column: train on the past, test on the latest rows."""
    header: bool = True
    """Whether the first line of a text file holds the column names."""
    separator: Literal["auto"] | Annotated[str, Field(min_length=1, max_length=1)] = "auto"
    """The character between the values of a text file; ``auto``: detected."""
    decimal: Literal["auto", ".", ","] = "auto"
    """The decimal mark of numbers in text, the other one separates thousands; ``auto``: what
    fits all values of a column."""
    dates: Literal["auto", "ymd", "dmy", "mdy"] = "auto"
    """The order of year, month and day of dates in text; ``auto``: what fits all values of a
    column."""
    encoding: str = "auto"
    """The encoding of a text file, such as utf-8, gbk or cp1252; ``auto``: detected."""
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """How many lines at the beginning of a text file are left out, whatever they hold."""
    comment: Annotated[str, Field(pattern=r"^[!-~]?$", examples=["#"])] = ""
    """A character, such as #: the lines of a text file that begin with it are left out."""
    pictures: Annotated[
        str,
        Field(
            pattern=r"^([1-9][0-9]{0,3}(x[1-9][0-9]{0,3}){1,2})?$", examples=["28x28", "3x32x32"]
        ),
    ] = ""
    """The columns are the pixels of pictures of this size: height and width, or channels,
    height and width."""

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

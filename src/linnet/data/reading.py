"""How a place is to be read: the part of a recipe that sources know."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from linnet.core.closed import Closed, Several

Kind = Literal["number", "category", "boolean", "date", "text", "identifier", "constant"]
"""What a column of a table is. Text, identifiers and constants are left out of the examples."""

Label = bool | int | float | str

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL")
"""Values of text that mean that there is none, spaces around them aside."""


Names = Annotated[tuple[str, ...], Several()]


class Reading(Closed):
    """What to read from a place, and how. The names of columns are exact.

    ``classes`` keeps the rows of these alone; ``positive`` makes one class against all others.

    Those below ``task`` go with tables only. ``missing`` are more values that mean missing;
    ``separator``, ``decimal`` and ``encoding`` are of text files, and are found where "auto".
    ``split``, ``group`` and ``time`` name the column that divides the rows: by its values train,
    valid and test; so that no group is in two parts; so that training is on the past.
    """

    target: Annotated[tuple[str, ...] | None, Several()] = None
    classes: Annotated[tuple[Label, ...] | None, Several()] = None
    positive: Label | None = None
    on_bad: Literal["fail", "skip"] = "fail"
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
    encoding: str = "auto"

    @property
    def empty(self) -> frozenset[str]:
        """Every value of text that means missing."""
        return frozenset((*MISSING, *self.missing))

    def table_only(self) -> dict[str, Any]:
        """The settings given that only a table can follow."""
        plain = {key: getattr(self, key) for key in Reading.model_fields}
        names = list(Reading.model_fields)
        return {
            key: plain[key]
            for key in names[names.index("task") :]
            if plain[key] != getattr(Reading(), key)
        }

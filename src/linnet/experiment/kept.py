"""Columns of a table that go with its predictions, as they are written in the data."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from linnet.core.registry import suggest
from linnet.data.reading import Again
from linnet.errors import InputError

if TYPE_CHECKING:
    import polars


def as_text(reading: Again, names: Iterable[str]) -> Again:
    """How to read the table for these columns alone, as text where it is a file of text."""
    kinds: Any = dict.fromkeys(names, "text")
    return reading.model_copy(update={"columns": kinds, "drop": ()})


def as_written(series: polars.Series) -> list[Any]:
    """The values of a column: text, or numbers as people write them (7, not 7.0), or dates as text;
    None where one is missing."""
    values = series.to_list()
    if any(hasattr(value, "isoformat") for value in values):
        return [None if value is None else value.isoformat(" ") if hasattr(value, "hour")
                else value.isoformat() for value in values]  # fmt: skip
    if all(value is None or (type(value) is float and value.is_integer()) for value in values):
        return [None if value is None else int(value) for value in values]
    return values


def check_columns(
    names: Sequence[str], known: Collection[str], data: str, files: Sequence[str] = ()
) -> None:
    """Raise ``InputError`` for a column that the data does not have."""
    for name in names:
        if files or not known:
            why = "these are pictures, and the name of the file stands beside each prediction"
            why = why if files else "it is no table"
            raise InputError(f'{data} has no column "{name}": {why}')
        if name not in known:
            raise InputError(f'{data} has no column "{name}"; {suggest(name, list(known))}')

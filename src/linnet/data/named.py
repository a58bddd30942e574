"""Files of a folder whose names say which part of the data they are: train.csv, test.csv."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from linnet.data.reading import Again, Reading
from linnet.data.split import part_of
from linnet.data.table import Table

WORDS = ("train", "valid", "test")

PARTED = "the names of the files say which part of the data each is: train, validation or test"


def divided(table: Table, names: Sequence[str], sizes: Sequence[int], reading: Reading) -> Table:
    """The table of all files, with a column that says the part of each row, if the names of all
    files do, and the settings do not split the rows otherwise.

    ``names`` are those of the files, in the order of the rows, of which each has one of ``sizes``.
    """
    import polars

    asked = reading.split or reading.group or reading.time
    parts = part_names(names)
    if asked or isinstance(reading, Again) or None in parts or not {0, 2} <= set(parts):
        return table
    column = "part"
    while column in table.columns:
        column += "_"
    words = [
        polars.Series([WORDS[part or 0]] * size, dtype=polars.String)
        for part, size in zip(parts, sizes, strict=True)
    ]
    columns = {**table.columns, column: polars.concat(words, rechunk=True).alias(column)}
    note = PARTED
    given = {**table.given, "split": column}
    return replace(table, columns=columns, given=given, notes=(*table.notes, note))


def part_names(names: Sequence[str]) -> list[int | None]:
    """The part that each file's name tells: 0, 1 or 2 for train, valid and test."""
    return [_part(name) for name in names]


def _part(name: str) -> int | None:
    """The part that the name of a file tells, as one of its words: ``titanic_train.csv``."""
    words = [name.partition(".")[0], *re.split(r"[ _.-]+", name)]
    found = {part_of(word) for word in words} - {None}
    return found.pop() if len(found) == 1 else None

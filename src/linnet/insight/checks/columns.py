"""Columns without information: left out, constant, or the number of the row."""

from __future__ import annotations

import numpy as np

from linnet.core.text import counted
from linnet.data.column import LEFT_OUT
from linnet.data.dataset import Dataset
from linnet.data.split import Split
from linnet.insight.checks._look import (
    MAX_COLUMNS,
    Array,
    Feature,
    features,
    leave_out,
    number,
    quoted,
)
from linnet.insight.checks.finding import Finding

ROWS = 20
"""With fewer rows, numbers may increase by one from row to row by chance."""

REASONS = {
    "text": ("text", "models here read numbers, categories and dates"),
    "identifier": (
        "identifiers",
        "a value that is different in every row cannot help to predict new rows",
    ),
    "constant": ("constant", "a value that is the same in every row cannot help to predict"),
}


def columns(data: Dataset, split: Split | None) -> list[Finding]:
    """Notes about columns; a number that counts the rows is a warning."""
    return [*_counting(data), *_left_out(data), *_constant(data), *_unseen(data)]


def _left_out(data: Dataset) -> list[Finding]:
    division = data.division.column if data.division else None
    found = []
    for kind in LEFT_OUT:
        names = [f.name for f in data.schema.fields if f.kind == kind and f.name != division]
        if not names:
            continue
        what, why = REASONS[kind]
        remedy = "nothing to do, unless one is something else (columns.NAME=category)"
        found.append(
            Finding(
                f"{counted(len(names), 'column')} left out as {what}: {quoted(names)}",
                remedy,
                "note",
                where=f"{'column' if len(names) == 1 else 'columns'} {quoted(names)}",
                count=len(names),
                why=why,
            )
        )
    return found


def _constant(data: Dataset) -> list[Finding]:
    names = [f.name for f in features(data) if len(data) > 1 and (f.values == f.values[0]).all()]
    if not names:
        return []
    return [
        Finding(
            f"{counted(len(names), 'column')} with one value in all {len(data):,} rows: "
            f"{quoted(names)}",
            "nothing to do, unless they should vary",
            "note",
            where=f"{'column' if len(names) == 1 else 'columns'} {quoted(names)}",
            count=len(names),
            why="a value that is the same in every row cannot help to predict",
        )
    ]


def _counting(data: Dataset) -> list[Finding]:
    """Columns that number the rows: whole numbers that rise or fall by one from row to row, or each
    once in any order."""
    if len(data) < ROWS or len(data.schema.columns) < 2:
        return []
    timed = data.division.column if data.division and data.division.kind == "time" else None
    found = []
    for feature in features(data):
        if feature.kind != "number" or feature.name == timed:
            continue
        where, count = f"column {feature.name!r}", len(data)
        first, last = number(feature.values[0]), number(feature.values[-1])
        if _running(feature):
            found.append(
                Finding(
                    f"the column {feature.name!r} counts the rows, from {first} to {last}",
                    leave_out(data, feature.name) + "; if it is a time, train on the past "
                    f"(time={feature.name})",
                    where=where,
                    count=count,
                    why="it gives the position of a row in the file, which new rows do not have",
                )
            )
        elif _numbering(feature.values):
            low, high = number(feature.values.min()), number(feature.values.max())
            found.append(
                Finding(
                    f"the column {feature.name!r} has each whole number from {low} to {high} once",
                    f"if it is an identifier or a rank, {leave_out(data, feature.name)}",
                    "note",
                    where=where,
                    count=count,
                    why="the column may just number the rows",
                )
            )
    return found


def _running(feature: Feature) -> bool:
    values = feature.values
    step = values[1] - values[0]
    if abs(step) != 1 or values[0] % 1 or values[ROWS - 1] != values[0] + step * (ROWS - 1):
        return False
    return bool((np.diff(values) == step).all())


def _numbering(values: Array) -> bool:
    low, high = values.min(), values.max()  # NaN where any is missing
    if not (high - low == len(values) - 1 and low % 1 == 0) or (values % 1).any():
        return False
    return bool((np.bincount((values - low).astype(np.int64)) == 1).all())


def _unseen(data: Dataset) -> list[Finding]:
    count = len(data.schema.columns)
    if count <= MAX_COLUMNS or data.schema.example == "picture":
        return []
    return [
        Finding(
            f"of {count:,} columns only the first {MAX_COLUMNS:,} were checked one by one",
            "nothing to do, unless the others matter more",
            "note",
            count=count - MAX_COLUMNS,
            why="checking more would take long",
        )
    ]

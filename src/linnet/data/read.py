"""From a place to a data set: the first source that matches the place reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from linnet.core.registry import allow, allowed, lookup, suggest
from linnet.data import BUILTIN, GROUP, SOURCES, known, standard, zipped
from linnet.data.dataset import Dataset
from linnet.data.draft import draft
from linnet.data.reading import Again, Reading, sides
from linnet.data.table import Table, warn_of
from linnet.errors import DataError, RecipeError


def read(
    place: Any,
    target: str | Sequence[str] | None = None,
    *,
    plugins: Sequence[str] = (),
    **settings: Any,
) -> Dataset:
    """Read ``place``: a known name, a file, a folder, a data frame, or data in memory.

    ``target`` names the column, or columns of numbers, to predict. ``settings`` are the keys of a
    recipe about reading, such as ``drop="id"`` or ``columns={"zip": "category"}``. A table is
    encoded with means and categories of all its rows; ``train`` uses those of the training rows.
    ``plugins`` are the names of sources of other packages, which are asked first.
    """
    allow(plugins)
    if hasattr(target, "shape"):
        raise RecipeError("the target is given by name; give arrays together: read((X, y))")
    plain = {**settings, **({} if target is None else {"target": target})}
    reading = Reading.parse(plain, "read", RecipeError)
    data = read_draft(place, reading)
    warn_of(data.notes)
    return data.learn(torch.arange(len(data)), reading.max_categories)


def read_draft(place: Any, reading: Reading) -> Dataset:
    """The data in ``place``, with the rows that ``reading`` selects; a table as records."""
    found = read_raw(place, reading)
    if isinstance(found, Table):
        if reading.size and not isinstance(reading, Again):
            raise RecipeError(
                f"size={reading.size} is for pictures, and {found.name} is a table; the size of "
                "pictures in its rows is told by pictures=28x28"
            )
        found = draft(found, reading.model_copy(update=found.given))
        return found.select(reading.classes, reading.positive)
    check_heeded(found, reading)
    return found.select(reading.classes, reading.positive)


def check_heeded(found: Dataset, reading: Reading) -> None:
    """Raise if ``reading`` has settings that data without columns does not take."""
    _check_size(found, reading)
    for key, value in reading.table_only().items():
        if key == "task":
            if value == found.schema.task:  # the source has heeded it
                continue
            raise RecipeError(f"task={value}: {found.name} is {found.schema.task}")
        raise RecipeError(f"{key}={value} is for tables, and {found.name} is not a table")


def _check_size(data: Dataset, reading: Reading) -> None:
    """Raise if pictures are not of the size that was asked for."""
    if isinstance(reading, Again):
        return
    if not reading.size and reading.fit != Reading().fit:
        raise RecipeError(f"fit={reading.fit} says how pictures are scaled: give their size, too")
    if reading.size and data.schema.shape[1:] != sides(reading.size):
        raise RecipeError(
            f"size={reading.size} does not suit {data.name}, whose examples were read as "
            f"{data.schema.shape}: read it with that size"
        )


def read_raw(place: Any, reading: Reading) -> Dataset | Table:
    """All data in ``place``; a table as its columns."""
    if isinstance(place, Dataset):
        return place
    if isinstance(place, str) and place == standard.PLACE:
        return standard.read(lambda path: read_raw(path, reading))
    name, classes = None, None
    if isinstance(place, (str, os.PathLike)):
        _reach(place)
    if isinstance(place, str) and place in known.KNOWN:
        name, classes = place, known.KNOWN[place].classes
        place = known.find(place)
    if (matched := source_of(place)) is not None:
        _, source, place = matched
        if name:
            data: Dataset = source.read(place, reading, classes=classes)
            return replace(data, name=name)
        found: Dataset | Table = source.read(place, reading)
        if isinstance(found, Dataset):
            check_target(found, reading)
        return found
    if zipped.is_zip(place):
        with zipped.unpacked(Path(place)) as found_in:
            return found_in.named(read_raw(found_in.inside, reading))
    raise DataError(_unreadable(place))


def source_of(place: Any) -> tuple[str, Any, Any] | None:
    """The name of the first source that can read ``place``, the source, and the place as it takes
    it; None if there is none."""
    for kind in (*allowed(GROUP), *SOURCES):
        source = lookup(SOURCES, kind, "source", GROUP)()
        for candidate in (place, Path(place)) if isinstance(place, str) else (place,):
            if source.matches(candidate):
                return kind, source, candidate
    return None


def check_target(data: Dataset, reading: Reading) -> None:
    """Raise if a target is named that the data does not have."""
    for target in reading.target or ():
        if not isinstance(reading, Again) and target not in data.schema.targets:
            near = suggest(target, data.schema.targets)
            raise DataError(f'{data.name} has no target "{target}"; {near}')


def _reach(place: str | os.PathLike[str]) -> None:
    """Raise for an impossible path: too long, in a folder without permission, or a link loop."""
    try:
        os.stat(place)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        shown = str(place)[:300].encode(errors="replace").decode()
        raise DataError(f"{shown}: cannot read: {reason}") from None


def _unreadable(place: Any) -> str:
    if not isinstance(place, (str, os.PathLike)):
        what = f"cannot read data of the type {type(place).__name__}"
        if isinstance(place, list) and place and isinstance(place[0], Mapping):
            return f"{what} of rows; make a data frame of it: pandas.DataFrame(rows)"
        if isinstance(place, list) and len(place) in (2, 4) and hasattr(place[0], "shape"):
            return f"{what}; give a tuple of the arrays: (X, y)"
        if hasattr(place, "shape"):
            return f"{what} without its target; give both in a tuple: (X, y)"
        return (
            f"{what}; expected a name, a path, a data frame, (X, y), a mapping of arrays, a torch "
            "data set or loader, or a list of (example, target)"
        )
    path = Path(place)
    names = [*BUILTIN, *known.KNOWN]
    if not path.exists():
        return f'there is no file, folder or data set "{place}"; {suggest(str(place), names)}'
    if path.is_fifo():
        return f"{place}: a pipe of no known kind; give what it brings to standard input: -"
    kind = "folder" if path.is_dir() else "file"
    return (
        f"{place}: a {kind} of no known kind; expected a .csv, .tsv, .jsonl, .parquet, .arrow, "
        ".xlsx or .npz file, or a folder of IDX files, of CIFAR's binary files, of tables with the "
        "same columns, or of one folder of pictures per class, or a .zip of one of these"
    )

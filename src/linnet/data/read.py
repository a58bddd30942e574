"""From a place to a data set: the first source that knows the place reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from linnet.data import BUILTIN, SOURCES, known
from linnet.data.dataset import Dataset
from linnet.errors import DataError
from linnet.registry import lookup, suggest


def read(place: Any, target: str | None = None) -> Dataset:
    """Everything in ``place``: a known name, a file, a folder, or data in memory."""
    if isinstance(place, Dataset):
        return place
    name, classes = None, None
    if isinstance(place, str) and place in known.KNOWN:
        name, classes = place, known.KNOWN[place].classes
        place = known.find(place)
    for kind in SOURCES:
        source = lookup(SOURCES, kind, "source")()
        for candidate in (place, Path(place)) if isinstance(place, str) else (place,):
            if source.matches(candidate):
                dataset: Dataset = (
                    source.read(candidate, target, classes=classes)
                    if name
                    else source.read(candidate, target)
                )
                if target is not None and target not in dataset.schema.targets:
                    raise DataError(
                        f'{dataset.name} has no target "{target}"; '
                        f"{suggest(target, dataset.schema.targets)}"
                    )
                return Dataset(**{**vars(dataset), "name": name}) if name else dataset
    raise DataError(_unreadable(place))


def _unreadable(place: Any) -> str:
    if not isinstance(place, (str, os.PathLike)):
        return (
            f"a {type(place).__name__} is no data; expected a name, a path, (X, y), a mapping of "
            "arrays, or a torch data set or loader"
        )
    path = Path(place)
    names = [*BUILTIN, *known.KNOWN]
    if not path.exists():
        return f'there is no file, folder or data set "{place}"; {suggest(str(place), names)}'
    kind = "folder" if path.is_dir() else "file"
    return (
        f"{place}: a {kind} of no known kind; expected a folder of IDX files, of CIFAR's binary "
        "files, or of one folder of pictures per class, or a .npz file"
    )

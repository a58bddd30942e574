"""Pictures from files, on disk or in memory: one size, the channels of a model, and remarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from linnet.core.text import counted, listed, of_path
from linnet.data.pictures.picture import Head, Place, head, open_grey, open_picture
from linnet.data.pictures.sizes import check_room, one_size
from linnet.data.reading import Again, Reading, sides
from linnet.data.table import Warned
from linnet.errors import DataError, InputError

if TYPE_CHECKING:
    from linnet.data.schema import Schema

Array = np.ndarray[Any, Any]
T = TypeVar("T")


def takes_files(schema: Schema) -> None:
    """Raise ``InputError`` if a model of this schema cannot be given files of pictures."""
    if schema.example != "picture":
        raise InputError(f"the model takes rows of {len(schema.columns)} columns, not pictures")
    if schema.dtype != "uint8":
        raise InputError(
            f"the model learned from pictures of {schema.dtype}, not of whole numbers 0 to 255 as "
            "files hold them; prepare them as in training, and give arrays: load(RUN).predict(x)"
        )


class Files(NamedTuple):
    """Pictures of one size from files: uint8 (rows, channels, height, width); which of the files
    they are, (files,) bool; and remarks."""

    pictures: Array
    read: Array
    notes: tuple[str, ...]


def read_files(paths: Sequence[Place], place: str | Path, reading: Reading) -> Files:
    """The pictures in ``paths``, which are in ``place``.

    Their size is that of ``reading``, or else the one that all of them have. They have as many
    channels as they need, or as a model takes.
    """
    bad: list[str] = []
    skip = reading.on_bad == "skip"
    heads = [_attempt(head, path, bad, skip) for path in paths]
    good = [index for index, facts in enumerate(heads) if facts is not None]
    known = [facts for facts in heads if facts is not None]
    if not good:
        raise _none(place, bad)
    sizes = [facts.size for facts in known]
    wanted = sides(reading.size)
    height, width = wanted or one_size([paths[index] for index in good], sizes, place)
    channels = reading.channels if isinstance(reading, Again) else None
    channels = channels or (1 if all(facts.grey for facts in known) else 3)
    check_room(place, len(good), (channels, height, width), sizes)
    pictures = np.empty((len(good), channels, height, width), np.uint8)
    read = np.zeros(len(paths), bool)
    coloured: list[Place] = []

    def opened(path: Place) -> Array:
        return open_picture(path, channels, wanted, reading.fit)

    def greyed(path: Place) -> Array:
        picture, colour = open_grey(path, wanted, reading.fit)
        coloured.extend([path] if colour else [])
        return picture

    row = 0
    for index, facts in zip(good, known, strict=True):
        method = greyed if channels == 1 and not facts.grey else opened
        picture = _attempt(method, paths[index], bad, skip)
        if picture is None:
            continue
        if picture.shape != pictures.shape[1:]:
            raise DataError(f"{of_path(paths[index])}: changed while it was read; read it again")
        pictures[row] = picture
        read[index] = True
        row += 1
    if not row:
        raise _none(place, bad)
    kept = [(path, facts) for path, facts in zip(paths, heads, strict=True) if facts is not None]
    notes = _scaled(kept, (width, height), reading)
    notes += _several([of_path(path) for path, facts in kept if facts.several]) + _grey(coloured)
    if bad:
        notes += (f"{len(bad):,} pictures cannot be read and were skipped: {'; '.join(bad)}",)
    return Files(pictures[:row], read, notes)


def _scaled(
    kept: list[tuple[Place, Head]], size: tuple[int, int], reading: Reading
) -> tuple[str, ...]:
    """A note if pictures were scaled; a warning, if those that trained the model were not."""
    found = [(path, facts.size) for path, facts in kept if facts.size != size]
    if not found:
        return ()
    how = "their edges repeated" if reading.fit == "pad" else "cut to fill it"
    (path, first), *_ = found
    what = (
        f"{counted(len(found), 'picture')} of another size scaled to {size[0]} x {size[1]}, {how}; "
        f"the first, {of_path(path)}, is {first[0]} x {first[1]}"
    )
    if isinstance(reading, Again) and not reading.scaled:
        advice = "the training pictures were not scaled, so prepare these as those were"
        return (Warned(what, advice),)
    return (what,)


def _several(names: list[str]) -> tuple[str, ...]:
    """A warning if files hold several pictures."""
    if not names:
        return ()
    return (
        Warned(
            f"{counted(len(names), 'file')} with several pictures, of which the first is used: "
            f"{listed(names, 3)}",
            "save the others as files of their own, if they count",
        ),
    )


def _attempt(read: Callable[[Place], T], path: Place, bad: list[str], skip: bool) -> T | None:
    """What ``read`` gives for a picture; with ``skip``, None if it is bad, which is added."""
    try:
        return read(path)
    except DataError as error:
        if not skip:
            raise
        bad.append(str(error))
        return None


def _none(place: str | Path, bad: list[str]) -> DataError:
    return DataError(f"{of_path(place)}: none of its pictures can be read; the first: {bad[0]}")


def _grey(coloured: Sequence[Place]) -> tuple[str, ...]:
    """A warning if pictures in colour are read as grey, because the model takes grey."""
    if not coloured:
        return ()
    return (
        Warned(
            f"{counted(len(coloured), 'picture')} in colour, the first {of_path(coloured[0])}: the "
            "model takes grey",
            "their luminance is used; convert them as the training pictures were",
        ),
    )

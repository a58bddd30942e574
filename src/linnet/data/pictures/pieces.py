"""Pictures that do not fit into memory: a folder, or a zip of one, is decoded once onto a disk."""

from __future__ import annotations

import hashlib
import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from linnet.core import files
from linnet.core.text import of_path
from linnet.data import zipped
from linnet.data.dataset import Dataset
from linnet.data.parquet.parquet import stamp_of
from linnet.data.pictures.folder import Folder
from linnet.data.pictures.picture import ENDINGS, Held, head
from linnet.data.pictures.picture import Place as Picture
from linnet.data.read import check_heeded, check_target
from linnet.data.reading import Reading, sides
from linnet.data.store import vector
from linnet.errors import DataError, WorkError

Array = np.ndarray[Any, Any]

LOOKED_AT = 64
"""The pictures by whose sizes it is estimated what all of them take."""

TIMES = 6
"""How often the pixels of pictures are in memory while a line is fitted to them: as they are, by
parts, and scaled, in float32."""


COPIES = 2.2
"""The copies of the pixels that are on the disk while a store is made: in their order, and
shuffled; and of the test part once more while it is put in its place."""


class Pictures:
    """A folder of pictures that ``Folder`` reads, or a zip of one, decoded onto a disk."""

    def __init__(self, place: Path, reading: Reading) -> None:
        self.place, self.reading = place, reading
        self.name = of_path(place.name)
        self._zip = zipped.is_zip(place)
        self._found = [] if self._zip else list(_walk(place))

    @staticmethod
    def matches(place: Path) -> bool:
        """Whether it is a folder of pictures, by the names of its files, or a zip of one."""
        if zipped.is_zip(place):
            return bool(_members(place))
        return place.is_dir() and Folder().matches(place)

    @property
    def facts(self) -> list[Any]:
        """What tells these files from others: names, sizes and times of change."""
        if self._zip:
            return [self.name, stamp_of(self.place)]
        digest = hashlib.sha256()
        for path in self._found:
            told = [os.fsencode(os.path.relpath(path, self.place)).hex(), stamp_of(path)]
            digest.update(files.canonical(told))
        return [self.name, digest.hexdigest()]

    def fits(self, have: int) -> bool:
        """Whether the pixels fit into ``have`` bytes while models are fitted; by some of them."""
        every: Sequence[Any] = _members(self.place) if self._zip else self._pictures
        some = every[:: max(1, len(every) // LOOKED_AT)]
        pixels, channels = [0], [1]
        for picture in _held(self.place, some) if self._zip else some:
            try:
                told = head(picture)
            except DataError:
                continue  # it is read, and told of, like the others
            pixels.append(math.prod(told.size))
            channels.append(1 if told.grey else 3)
        wanted = sides(self.reading.size)
        each = math.prod(wanted) if wanted else max(pixels)
        return TIMES * len(every) * max(channels) * each < have

    @property
    def _pictures(self) -> list[Path]:
        return [path for path in self._found if path.name.lower().endswith(ENDINGS)]

    @contextmanager
    def ready(self, folder: Path) -> Iterator[Dataset]:
        """A block with the pictures as a data set in their order, whose pixels are in a file in
        ``folder`` that goes with the last use of them."""

        def room(shape: tuple[int, ...]) -> Array:
            need, free = COPIES * math.prod(shape), files.free(folder)
            if free is not None and need > free:
                raise WorkError(
                    f"{of_path(self.place)}: its pixels take {need / 1e9:,.1f} GB in {folder} "
                    f"while the store is made, and {free / 1e9:,.1f} GB are free there; give "
                    "another disk (store=DIR), or a smaller size (size=...)"
                )
            files.make_folders(folder)
            pixels: Array = vector(folder, shape, torch.uint8).numpy()
            return pixels

        with zipped.unpacked(self.place) if self._zip else nullcontext() as inner:
            inside = self.place if inner is None else inner.inside
            found = Folder().read(inside, self.reading, room=room)
            check_target(found, self.reading)
            named = found if inner is None else inner.named(found)
            assert isinstance(named, Dataset)
            check_heeded(named, self.reading)
        yield named


def _walk(place: Path) -> Iterator[Path]:
    """All files below a folder, in one order."""
    for folder, folders, names in os.walk(place):
        folders.sort(key=os.fsencode)
        yield from (Path(folder, name) for name in sorted(names, key=os.fsencode))


def _members(place: Path) -> list[zipfile.ZipInfo]:
    """The pictures in a zip, by their names."""
    try:
        with zipfile.ZipFile(place) as packed:
            return [each for each in packed.infolist() if each.filename.lower().endswith(ENDINGS)]
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


def _held(place: Path, members: Sequence[zipfile.ZipInfo]) -> Iterator[Picture]:
    """Some pictures of a zip, in memory."""
    with zipfile.ZipFile(place) as packed:
        for member in members:
            try:
                content = packed.read(member)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError):
                continue
            yield Held(member.filename, content, Path(member.filename).suffix)

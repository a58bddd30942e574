"""Data sets known by name: what they are, where they may lie, what their files must hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from linnet.errors import DataError


@dataclass(frozen=True)
class RemoteFile:
    """One file to fetch. ``sha256`` is of the decompressed content, or of the file as it comes."""

    name: str
    sha256: str
    size: int
    decompressed: bool = False


@dataclass(frozen=True)
class Known:
    """A data set that can be fetched: ``layouts`` are the folders below a root where it may lie."""

    summary: str
    layouts: tuple[str, ...]
    classes: tuple[str, ...] | tuple[int, ...]
    mirrors: tuple[str, ...]
    files: tuple[RemoteFile, ...]


KNOWN: dict[str, Known] = {
    "mnist": Known(
        summary="70,000 handwritten digits of 28 x 28, 10 classes",
        layouts=("mnist", "MNIST/raw"),
        classes=tuple(range(10)),
        mirrors=(),
        files=(),
    ),
}


def roots() -> list[Path]:
    """The folders that are searched for known names: ``$LINNET_DATA``, then the user's cache."""
    given = os.environ.get("LINNET_DATA")
    return [*([Path(given)] if given else []), cache()]


def cache() -> Path:
    """Where ``linnet data fetch`` puts things: ``$XDG_CACHE_HOME/linnet`` or ``~/.cache/linnet``."""
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path(os.path.expanduser("~/.cache"))) / "linnet"


def find(name: str) -> Path:
    """The folder that holds the known data set ``name``; if none does, where it was looked for."""
    places = [root / layout for root in roots() for layout in KNOWN[name].layouts]
    for place in places:
        if place.is_dir() and any(place.iterdir()):
            return place
    looked = ", ".join(map(str, places))
    hint = "" if os.environ.get("LINNET_DATA") else ", or set LINNET_DATA to the folder above it"
    raise DataError(
        f"{name} is not here; looked in {looked}. Type: linnet data fetch {name}{hint}"
    )

"""Folders of pictures, one sub-folder per class."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from linnet.data.dataset import Dataset
from linnet.data.schema import Label
from linnet.data.sources._source import Array, assemble
from linnet.errors import DataError

ENDINGS = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}

MAX_PICTURE_PIXELS = 50_000_000
"""A picture whose header declares more pixels is refused before it is decoded."""

MAX_FOLDER_BYTES = 64 << 30
"""A folder whose pictures would take more bytes in memory is refused."""


class Folder:
    """A folder with a sub-folder of PNG or JPEG files per class, or such below ``train``, ``test``.

    Classes, and the pictures of a class, come in the order of their names' bytes. The set is grey
    if every picture is (1 bit, 8 or 16 bits), else colour: palettes, CMYK and the like become RGB;
    16 bits are scaled to 8; transparency is laid on black; a camera's EXIF rotation is applied. All
    pictures must have one size. Other files, and links that lead out of the folder, are skipped
    and counted.
    """

    def matches(self, place: object) -> bool:
        return isinstance(place, Path) and place.is_dir() and _looks_like_classes(place)

    def read(
        self, place: Path, target: str | None, classes: tuple[Label, ...] | None = None
    ) -> Dataset:
        split = (place / "train").is_dir() and _looks_like_classes(place / "train")
        skipped: list[str] = []
        parts = [_scan(place / "train" if split else place, place, skipped)]
        if split and (place / "test").is_dir():
            parts.append(_scan(place / "test", place, skipped))
            if list(parts[0]) != list(parts[1]):
                differing = sorted(set(parts[0]) ^ set(parts[1]))
                raise DataError(
                    f"{place}: train and test do not have the same classes; only one has "
                    f"{', '.join(differing)}"
                )
        names = list(parts[0])
        paths = [path for part in parts for files in part.values() for path in files]
        codes = [code for part in parts for code, files in enumerate(part.values()) for _ in files]
        tests = sum(map(len, parts[1].values())) if len(parts) > 1 else 0
        notes: tuple[str, ...] = ()
        if skipped:
            notes = (f"{len(skipped):,} files are no pictures and were skipped: {skipped[0]} ...",)
        return assemble(
            _read_all(paths),
            np.array(codes, np.int64),
            name=place.name,
            classes=names,
            target="label",
            test_rows=tests,
            notes=notes,
        )


def open_picture(path: Path, channels: int) -> Array:
    """The picture in ``path`` as uint8 (channels, height, width); 1 channel is grey, 3 are RGB."""
    try:
        with open(path, "rb") as file, Image.open(file, formats=FORMATS) as image:
            _refuse_large(path, image)
            image.load()
            if image.format == "PNG":  # Pillow is content with a picture that was cut short
                file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
                if b"IEND" not in file.read():
                    raise EOFError("it ends before its end mark")
            array = _convert(ImageOps.exif_transpose(image), channels)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as error:
        raise _broken(path, error) from error
    return array


def _looks_like_classes(place: Path) -> bool:
    """Whether a folder has sub-folders with a picture, or such below ``train``."""
    folders = [Path(entry.path) for entry in _entries(place) if entry.is_dir()]
    if place / "train" in folders and _looks_like_classes(place / "train"):
        return True
    return any(
        entry.name.lower().endswith(ENDINGS) for folder in folders for entry in _entries(folder)
    )


def _scan(place: Path, top: Path, skipped: list[str]) -> dict[str, list[Path]]:
    """The pictures of each class, by its name, both in the order of their names' bytes."""
    found: dict[str, list[Path]] = {}
    inside = os.path.realpath(top) + os.sep
    for folder in sorted(_entries(place), key=lambda entry: os.fsencode(entry.name)):
        if folder.name.startswith(".") or not folder.is_dir():
            skipped.append(folder.name)
            continue
        name = os.fsencode(folder.name).decode(errors="replace")
        same = next((other for other in found if other.casefold() == name.casefold()), None)
        if same is not None:
            raise DataError(
                f"{place}: the classes {same!r} and {name!r} differ at most in case; rename one"
            )
        paths = []
        for entry in sorted(_entries(Path(folder.path)), key=lambda e: os.fsencode(e.name)):
            hidden = entry.name.startswith(".") or not entry.name.lower().endswith(ENDINGS)
            regular = not hidden and stat.S_ISREG(os.stat(entry.path).st_mode)
            if regular and os.path.realpath(entry.path).startswith(inside):
                paths.append(Path(entry.path))
            else:
                skipped.append(f"{name}/{os.fsencode(entry.name).decode(errors='replace')}")
        if not paths:
            raise DataError(f"{folder.path}: a class without a picture; add some, or remove it")
        found[name] = paths
    if len(found) < 2:
        raise DataError(
            f"{place}: {len(found)} class folder; expected a sub-folder for each of two or more "
            "classes"
        )
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"{folder}: cannot read: {error.strerror}") from error


def _read_all(paths: list[Path]) -> Array:
    """All pictures as uint8 (rows, channels, height, width), of one size."""
    heads = [_head(path) for path in paths]
    size = heads[0][0]
    for path, (other, _) in zip(paths, heads, strict=True):
        if other != size:
            raise DataError(
                f"{path} is {other[0]} x {other[1]} pixels, {paths[0]} {size[0]} x {size[1]}; "
                "expected one size: resize the pictures first"
            )
    channels = 1 if all(grey for _, grey in heads) else 3
    width, height = size
    need = len(paths) * channels * height * width
    if need > MAX_FOLDER_BYTES:
        raise DataError(
            f"{paths[0].parent.parent}: its pictures take {need:,} bytes; at most "
            f"{MAX_FOLDER_BYTES:,} (MAX_FOLDER_BYTES)"
        )
    pictures = np.empty((len(paths), channels, height, width), np.uint8)
    for row, path in enumerate(paths):
        picture = open_picture(path, channels)
        if picture.shape != pictures.shape[1:]:
            raise DataError(f"{path}: changed while it was read")
        pictures[row] = picture
    return pictures


def _head(path: Path) -> tuple[tuple[int, int], bool]:
    """Size as (width, height) once turned upright, and whether the picture is grey."""
    try:
        with open(path, "rb") as file, Image.open(file, formats=FORMATS) as image:
            _refuse_large(path, image)
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # EXIF's Orientation
            width, height = image.size
            return (height, width) if turned else (width, height), image.mode in GREY
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise _broken(path, error) from error


def _refuse_large(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PICTURE_PIXELS:
        raise DataError(
            f"{path}: declares {width:,} x {height:,} pixels; at most {MAX_PICTURE_PIXELS:,} "
            "(MAX_PICTURE_PIXELS)"
        )


def _broken(path: Path, error: Exception) -> DataError:
    reason = "no PNG or JPEG by its content" if "cannot identify" in str(error) else str(error)
    return DataError(f"{path}: not a readable picture: {reason}; replace or remove it")


def _convert(image: Image.Image, channels: int) -> Array:
    if image.mode.startswith("I") or image.mode == "F":
        deep: np.ndarray[Any, Any] = np.asarray(image, dtype=np.int64)
        grey = (np.clip(deep, 0, 65535) + 128) // 257
        return np.repeat(grey.astype(np.uint8)[None], channels, axis=0)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    array = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))

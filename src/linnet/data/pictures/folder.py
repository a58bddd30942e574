"""Folders of pictures, one sub-folder per class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from linnet.core.text import listed, of_path
from linnet.data.dataset import Dataset
from linnet.data.reading import Label, Reading
from linnet.data.source import Array, assemble
from linnet.errors import DataError

ENDINGS = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
PNG_END = b"IEND\xaeB`\x82"

Turn = Image.Transpose
TURNS = {
    2: Turn.FLIP_LEFT_RIGHT,
    3: Turn.ROTATE_180,
    4: Turn.FLIP_TOP_BOTTOM,
    5: Turn.TRANSPOSE,
    6: Turn.ROTATE_270,
    7: Turn.TRANSVERSE,
    8: Turn.ROTATE_90,
}
"""How to turn a picture upright, by EXIF's Orientation."""

SIDEWAYS = {TURNS[orientation] for orientation in (5, 6, 7, 8)}

MAX_PICTURE_PIXELS = 50_000_000
"""A picture whose header declares more pixels is refused before it is decoded."""

MAX_FOLDER_BYTES = 64 << 30
"""A folder whose pictures would take more bytes in memory is refused."""


class Folder:
    """A folder with a sub-folder of PNG or JPEG files per class, also below ``train``, ``test``.

    Classes, and the pictures of a class, are ordered by the bytes of their names. The pictures are
    grey if all are (1, 8 or 16 bits), else colour; palettes, CMYK and so on become RGB. 16-bit grey
    is divided by 257 and rounded; 16-bit colour is cut to the upper 8 bits. Transparent pixels get
    a black background. The EXIF rotation is applied. Of an animation the first picture is used.
    All pictures must have one size. Other files, hidden files, and links that lead out of the
    folder or nowhere are skipped and counted.
    """

    def matches(self, place: object) -> bool:
        if not isinstance(place, Path) or not place.is_dir():
            return False
        return _has_classes(place) or _has_classes(place / "train")

    def read(
        self, place: Path, reading: Reading, classes: tuple[Label, ...] | None = None
    ) -> Dataset:
        split = _has_classes(place / "train")
        skipped: list[str] = []
        if split:
            names = {of_path(entry.name) for entry in _entries(place)}
            skipped += sorted(names - {"train", "test"})
        parts = [_scan(place / "train" if split else place, place, skipped)]
        if split and (place / "test").is_dir():
            parts.append(_scan(place / "test", place, skipped))
            if list(parts[0]) != list(parts[1]):
                differing = sorted(set(parts[0]) ^ set(parts[1]))
                raise DataError(
                    f"{of_path(place)}: train and test do not have the same classes; only one has "
                    f"{', '.join(differing)}"
                )
        paths = [path for part in parts for files in part.values() for path in files]
        codes = np.array(
            [code for part in parts for code, files in enumerate(part.values()) for _ in files],
            np.int64,
        )
        first = sum(map(len, parts[0].values()))
        pictures, read, bad = _read_all(paths, skip=reading.on_bad == "skip")
        notes: tuple[str, ...] = ()
        if skipped:
            named = listed(skipped, 3)
            notes = (f"{len(skipped):,} files are no pictures and were skipped: {named}",)
        if bad:
            notes += (f"{len(bad):,} pictures cannot be read and were skipped: {'; '.join(bad)}",)
        return assemble(
            pictures,
            codes[read],
            name=of_path(place.name),
            classes=list(parts[0]),
            target="label",
            test_rows=int(read[first:].sum()),
            notes=notes,
        )


def open_picture(path: Path, channels: int) -> Array:
    """The picture in ``path`` as uint8 (channels, height, width); 1 channel is grey, 3 are RGB."""
    with _opened(path) as (file, image):
        if image.format == "PNG":  # Pillow would decode a truncated or damaged one
            file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
            if PNG_END not in file.read():
                raise EOFError("it ends before its end mark")
            image.verify()  # every checksum; afterwards the picture must be opened again
            file.seek(0)
            image = Image.open(file, formats=FORMATS)
        image.load()
        turn = _turn(image)
        return _convert(image if turn is None else image.transpose(turn), channels)


def _has_classes(place: Path) -> bool:
    """Whether a folder has a sub-folder with pictures, by their names; nothing is opened."""
    if not place.is_dir():
        return False
    return any(
        entry.name.lower().endswith(ENDINGS)
        for folder in _entries(place)
        if _is_folder(folder)
        for entry in _entries(Path(folder.path))
    )


def _scan(place: Path, top: Path, skipped: list[str]) -> dict[str, list[Path]]:
    """The pictures of each class; classes and pictures are ordered by the bytes of their names."""
    found: dict[str, list[Path]] = {}
    folded: dict[str, str] = {}
    inside = os.path.join(os.path.realpath(top), "")
    for folder in _entries(place):
        name = of_path(folder.name)
        if name.startswith(".") or not _is_folder(folder) or _leads_out(folder, inside):
            skipped.append(name)
            continue
        same = folded.setdefault(name.casefold(), name)
        if same in found:
            raise DataError(
                f"{of_path(place)}: the classes {same!r} and {name!r} differ at most in case; "
                "rename one"
            )
        found[name] = []
        for entry in _entries(Path(folder.path)):
            hidden = entry.name.startswith(".") or not entry.name.lower().endswith(ENDINGS)
            if hidden or not _is_file(entry) or _leads_out(entry, inside):
                skipped.append(f"{name}/{of_path(entry.name)}")
            else:
                found[name].append(Path(entry.path))
        if not found[name]:
            raise DataError(
                f"{of_path(folder.path)}: a class without a picture; add some, or remove it"
            )
    if len(found) < 2:
        raise DataError(
            f"{of_path(place)}: {len(found)} class folder; expected a sub-folder for each of two "
            "or more classes"
        )
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _leads_out(entry: os.DirEntry[str], inside: str) -> bool:
    return entry.is_symlink() and not os.path.realpath(entry.path).startswith(inside)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, ordered by the bytes of their names."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise DataError(f"{of_path(folder)}: cannot read: {error.strerror}") from error


def _read_all(paths: list[Path], *, skip: bool) -> tuple[Array, Array, list[str]]:
    """All pictures as uint8 (rows, channels, height, width), of one size.

    Also returns which of the paths they are (paths,), and the errors of the pictures that ``skip``
    left out.
    """
    bad: list[str] = []
    heads: list[tuple[tuple[int, int], bool] | None] = []
    for path in paths:
        try:
            heads.append(_head(path))
        except DataError as error:
            if not skip:
                raise
            bad.append(str(error))
            heads.append(None)
    read = np.array([head is not None for head in heads])
    good = [(path, head) for path, head in zip(paths, heads, strict=True) if head is not None]
    if not good:
        raise DataError(f"{of_path(paths[0].parent.parent)}: none of its pictures can be read")
    size = good[0][1][0]
    for path, (other, _) in good:
        if other != size:
            raise DataError(
                f"{of_path(path)} is {other[0]} x {other[1]} pixels, {of_path(good[0][0])} "
                f"{size[0]} x {size[1]}; expected one size: resize the pictures first"
            )
    channels = 1 if all(grey for _, (_, grey) in good) else 3
    width, height = size
    need = len(good) * channels * height * width
    if need > MAX_FOLDER_BYTES:
        raise DataError(
            f"{of_path(paths[0].parent.parent)}: its pictures take {need:,} bytes; at most "
            f"{MAX_FOLDER_BYTES:,} (MAX_FOLDER_BYTES)"
        )
    pictures = np.empty((len(good), channels, height, width), np.uint8)
    row = 0
    for index in np.nonzero(read)[0].tolist():
        try:
            picture = open_picture(paths[index], channels)
        except DataError as error:
            if not skip:
                raise
            bad.append(str(error))
            read[index] = False
            continue
        if picture.shape != pictures.shape[1:]:
            raise DataError(f"{of_path(paths[index])}: changed while it was read; read it again")
        pictures[row] = picture
        row += 1
    return pictures[:row], read, bad


def _head(path: Path) -> tuple[tuple[int, int], bool]:
    """The size (width, height) of the upright picture, and whether it is grey."""
    with _opened(path) as (_, image):
        width, height = image.size
        grey = image.mode in GREY
        if width != height and _turn(image) in SIDEWAYS:  # for this Pillow decodes a PNG
            width, height = height, width
        return (width, height), grey


def _turn(image: Image.Image) -> Turn | None:
    return TURNS.get(image.getexif().get(0x0112, 1))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, Image.Image]]:
    """Open a picture without decoding it, and check its size.

    Every error of Pillow about a bad file, also inside the block, becomes a ``DataError``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF data; sizes are checked here
            with open(path, "rb") as file, Image.open(file, formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PICTURE_PIXELS:
                    raise _too_large(path, f"{width:,} x {height:,}")
                yield file, image
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, "far too many") from error
    except Exception as error:  # Pillow's decoders raise many kinds
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "its content is neither PNG nor JPEG" if unknown else str(error)
        raise DataError(
            f"{of_path(path)}: not a readable picture: {reason}; replace or remove it"
        ) from error


def _too_large(path: Path, found: str) -> DataError:
    return DataError(
        f"{of_path(path)}: declares {found} pixels; at most {MAX_PICTURE_PIXELS:,} "
        "(MAX_PICTURE_PIXELS): make it smaller, or remove it"
    )


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

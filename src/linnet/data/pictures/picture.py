"""One picture file, as an array: formats, the way up, transparency, grey and colour."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from linnet.core.text import of_path
from linnet.data.reading import Fit
from linnet.errors import DataError

Array = np.ndarray[Any, Any]

USUAL = ("PNG", "JPEG")
FORMATS = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".jpe", ".jfif"), USUAL),
    ".bmp": (*USUAL, "BMP"),
    ".gif": (*USUAL, "GIF"),
    ".tif": (*USUAL, "TIFF"),
    ".tiff": (*USUAL, "TIFF"),
    ".webp": (*USUAL, "WEBP"),
}
"""The formats that a file may have, by the ending of its name: a decoder that is seldom wanted is
only given files that carry its name."""

ENDINGS = tuple(FORMATS)

UNREAD = (
    ".avif", ".dcm", ".dng", ".eps", ".exr", ".hdr", ".heic", ".heif", ".ico", ".j2k", ".jp2",
    ".jxl", ".nef", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psd", ".raw", ".svg", ".tga",
)  # fmt: skip
"""Endings of pictures that are not read."""

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

LIGHT = 192
"""What is drawn on a transparent ground is laid on white; if the mean luminance of its visible
pixels is at least this, of 255, it would hardly be seen there, and is laid on black."""


@dataclass(frozen=True)
class Held:
    """A file that is held in memory, under a ``name`` for messages."""

    name: str
    content: bytes = field(repr=False)
    suffix: str = ""

    def __fspath__(self) -> str:
        return self.name


Place = Path | Held

DRAFT = 2
"""A JPEG may be decoded at a half, a quarter or an eighth of its size, if that leaves at least this
many times the sides that are wanted."""


def open_picture(
    path: Place, channels: int, sides: tuple[int, int] | None = None, how: Fit = "pad"
) -> Array:
    """The picture in ``path`` as uint8 (channels, height, width); 1 channel is grey, 3 are RGB.

    It is scaled to ``sides``, height and width, if they are given; see ``fitted``.
    """
    with _opened(path) as (file, image):
        if image.format == "PNG":  # Pillow would decode a truncated or damaged one
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            if PNG_END not in file.read():
                raise EOFError("it ends before its end mark")
            image.verify()  # every checksum; afterwards the picture must be opened again
            file.seek(0)
            image = Image.open(file, formats=USUAL)
        if sides is not None:
            image.draft(None, (DRAFT * max(sides), DRAFT * max(sides)))  # of a JPEG only
        image.load()
        turn = _turn(image)
        found = convert(image if turn is None else image.transpose(turn), channels)
        return found if sides is None else fitted(found, sides, how)


def fitted(picture: Array, sides: tuple[int, int], how: Fit) -> Array:
    """A picture (channels, height, width) scaled to ``sides``; its proportions stay as they are.

    "pad" scales it until it fits in, and repeats its edges for the rest; "crop" scales it until it
    fills the sides, and cuts off the rest. Both keep its centre. The filter is Pillow's bilinear
    one, which on the way down takes the mean over all pixels that become one.
    """
    old = picture.shape[1:]
    if old == sides:
        return picture
    ratios = [new / side for new, side in zip(sides, old, strict=True)]
    ratio = min(ratios) if how == "pad" else max(ratios)
    height, width = (max(1, round(ratio * side)) for side in old)
    scaled = np.stack(
        [
            np.asarray(Image.fromarray(layer).resize((width, height), Image.Resampling.BILINEAR))
            for layer in picture
        ]
    )
    top, left = ((new - side) // 2 for new, side in zip(sides, (height, width), strict=True))
    if how == "crop":
        return scaled[:, -top : sides[0] - top, -left : sides[1] - left]
    around = ((top, sides[0] - height - top), (left, sides[1] - width - left))
    return np.pad(scaled, ((0, 0), *around), mode="edge")


def open_grey(path: Place, sides: tuple[int, int] | None, how: Fit) -> tuple[Array, bool]:
    """The picture in ``path`` as grey (1, height, width), and whether it was in colour."""
    picture = open_picture(path, 3, sides, how)
    grey = convert(Image.fromarray(picture.transpose(1, 2, 0)), 1)
    return grey, bool((picture != picture[:1]).any())


class Head(NamedTuple):
    """What a file says of its picture: the upright size (width, height), whether it is grey, and
    whether more pictures follow."""

    size: tuple[int, int]
    grey: bool
    several: bool = False


def head(path: Place) -> Head:
    """What the file says of its picture, which is not decoded."""
    with _opened(path) as (_, image):
        width, height = image.size
        grey = image.mode in GREY
        if width != height and _turn(image) in SIDEWAYS:  # for this Pillow decodes a PNG
            width, height = height, width
        # a phone adds a small or a deep copy to its JPEG, which is then an MPO
        several = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
        return Head((width, height), grey, several)


def convert(image: Image.Image, channels: int) -> Array:
    """A decoded picture as uint8 (channels, height, width).

    16-bit grey is divided by 257 and rounded. A transparent ground becomes white or black; see
    ``LIGHT``. Raises ValueError for numbers that are no pixels of 8 or 16 bits.
    """
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; expected 8 or 16 bits")
    if image.mode.startswith("I"):
        image = _narrowed(image)
    if image.has_transparency_data:
        image = _laid(image.convert("RGBA"))
    array = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _narrowed(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, as 8 bits."""
    deep: np.ndarray[Any, Any] = np.asarray(image, dtype=np.int64)
    low, high = int(deep.min()), int(deep.max())
    if low < 0 or high > 65535:
        raise ValueError(f"its pixels are from {low} to {high}; expected 0 to 65535 (16 bits)")
    grey = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # the one value that is transparent
        visible = Image.fromarray(np.where(deep == clear, 0, 255).astype(np.uint8))
        return Image.merge("LA", [grey, visible])
    return grey


def _laid(image: Image.Image) -> Image.Image:
    """A picture of mode RGBA on the ground on which it can be seen."""
    visible = np.asarray(image.getchannel("A"), np.int64)
    ink = np.asarray(image.convert("L"), np.int64)  # the luminance of each pixel's own colour
    light = visible.any() and (ink * visible).sum() >= LIGHT * visible.sum()
    ground = (0, 0, 0, 255) if light else (255, 255, 255, 255)
    return Image.alpha_composite(Image.new("RGBA", image.size, ground), image)


def _turn(image: Image.Image) -> Turn | None:
    if image.format == "TIFF":  # Pillow turns it
        return None
    return TURNS.get(image.getexif().get(0x0112, 1))


@contextmanager
def _opened(path: Place) -> Iterator[tuple[BinaryIO, Image.Image]]:
    """Open a picture without decoding it, and check its size.

    Every error of Pillow about a bad file, also inside the block, becomes a ``DataError``.
    """
    formats = FORMATS.get(path.suffix.lower(), USUAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF data; sizes are checked here
            with _file(path) as file, Image.open(file, formats=formats) as image:
                width, height = image.size
                if width * height > MAX_PICTURE_PIXELS:
                    raise _too_large(path, f"{width:,} x {height:,}")
                yield file, image
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, "far too many") from error
    except Exception as error:  # Pillow's decoders raise many kinds
        *others, last = formats
        words = f"no {', '.join(others)} or {last}" if len(formats) > 2 else "neither PNG nor JPEG"
        unknown = isinstance(error, UnidentifiedImageError)
        reason = f"its content is {words}" if unknown else str(error)
        raise DataError(
            f"{of_path(path)}: not a readable picture: {reason}; replace or remove it"
        ) from error


def _file(path: Place) -> BinaryIO:
    return BytesIO(path.content) if isinstance(path, Held) else open(path, "rb")


def _too_large(path: Place, found: str) -> DataError:
    return DataError(
        f"{of_path(path)}: declares {found} pixels; at most {MAX_PICTURE_PIXELS:,} "
        "(MAX_PICTURE_PIXELS): make it smaller, or remove it"
    )

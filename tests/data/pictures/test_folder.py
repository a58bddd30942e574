"""Folders of pictures: conversions, what is skipped, and each fault told with its file."""

import os
import random
import struct
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import linnet
from helpers import refusal
from linnet.data.memory.arrays import Arrays
from linnet.data.pictures import files
from linnet.data.pictures.cifar import Cifar
from linnet.data.pictures.folder import Folder
from linnet.data.pictures.picture import Head, head, open_picture
from linnet.data.reading import Reading
from linnet.data.split import part_of
from linnet.data.table import Warned
from linnet.errors import DataError, LinnetWarning
from linnet.insight.checks.doctor import examine

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (5, 4), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (5, 4, 3), dtype=np.uint8)
ORIENTATION = 0x0112


def save(array: np.ndarray[Any, Any], path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def two(place: Path) -> Path:
    """A good folder of two classes with a picture each."""
    for name in "ab":
        save(GREY, place / name / "0.png")
    return place


def refused(place: Path) -> str:
    return refusal(Folder().read, place, Reading())


def png(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(99)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_pictures_equal_an_npz_of_their_pixels(shape: tuple[int, ...], tmp_path: Path) -> None:
    pictures = RANDOM.integers(0, 256, (28, *shape), dtype=np.uint8)
    classes = ["10", "9", "Z", "a", "é"]  # in the order of their bytes, as are the names below
    names = ["1.png", "10.PNG", "B.png", "_.png", "a.png", "à.png"]
    chosen = [(code, name) for code in range(5) for name in names][:28]
    for picture, (code, name) in zip(pictures, chosen, strict=True):
        save(picture, tmp_path / "p" / classes[code] / name)
    codes = np.array([code for code, _ in chosen])
    np.savez(tmp_path / "a.npz", X=pictures, y=codes)
    found, arrays = (
        Folder().read(tmp_path / "p", Reading()),
        Arrays().read(tmp_path / "a.npz", Reading()),
    )
    assert found.x.numpy().tobytes() == arrays.x.numpy().tobytes()
    assert found.x.dtype == arrays.x.dtype and found.x.shape == arrays.x.shape
    assert found.y.tolist() == arrays.y.tolist() and found.y.dtype == arrays.y.dtype
    assert found.schema.classes == tuple(classes) and found.notes == ()


def test_train_and_test_and_what_lies_beside_them(tmp_path: Path) -> None:
    for part in ("train", "test", "beside"):
        two(tmp_path / part)
    data = Folder().read(tmp_path, Reading())
    assert len(data) == 4 and data.test_rows == 2 and data.y.tolist() == [0, 1, 0, 1]
    assert "2 pictures skipped: 2 in beside;" in data.notes[0]
    save(GREY, tmp_path / "train" / "c" / "0.png")
    assert "do not have the same classes; only one has c" in refused(tmp_path)


LAYOUTS: dict[str, tuple[dict[str, str], list[int]]] = {
    "parts": ({"train": "train", "test": "test"}, [4, 0, 2]),
    "a validation part": ({"train": "train", "val": "val", "test": "test"}, [4, 2, 2]),
    "capitals": ({"train": "TRAIN", "val": "Valid", "test": "Test"}, [4, 2, 2]),
    "other words": ({"train": "training", "val": "validation", "test": "testing"}, [4, 2, 2]),
    "development": ({"train": "Training_Set", "val": "dev", "test": "test_set"}, [4, 2, 2]),
    "one folder around": ({"train": "archive/data/train", "val": "archive/data/val"}, [4, 2, 0]),
    "doubled": ({"train": "training_set/training_set", "test": "test_set/test_set"}, [4, 0, 2]),
    "inside the parts": ({"train": "train/images", "val": "val/images"}, [4, 2, 0]),
    "no parts, wrapped": ({"train": "flowers/pictures"}, [4, 0, 0]),
}
"""Where the folders of the classes are, by part; and the rows of each part."""


@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_parts_of_a_folder_are_found_by_the_words_of_a_split_column(
    kind: str, tmp_path: Path
) -> None:
    places, rows = LAYOUTS[kind]
    for part, place in places.items():
        two(tmp_path / place)
        if part == "train":
            for name in "ab":
                save(COLOUR[:, :, 0], tmp_path / place / name / "1.png")
    (tmp_path / "__MACOSX").mkdir()
    save(GREY, tmp_path / "__MACOSX" / "a" / "._0.png")
    assert Folder().matches(tmp_path)
    data = Folder().read(tmp_path, Reading())
    parts = [0] * rows[0] + [1] * rows[1] + [2] * rows[2]
    assert data.schema.classes == ("a", "b") and len(data) == sum(rows)
    assert data.test_rows == rows[2] and not any(type(note) is Warned for note in data.notes)
    if rows[1]:
        assert data.division is not None and data.division.values.tolist() == parts
        split = data.split(test=0.2, valid=None, seed=0)
        assert split.valid.tolist() == list(range(4, 6)) and len(split.test) == rows[2]
    else:
        assert data.division is None
    for word, number in {"val": 1, "Dev": 1, "TESTING": 2, "train": 0, "extra": None}.items():
        assert part_of(word) == number  # as a split column has them


def test_a_part_that_is_missing_is_drawn_from_the_training_rows(tmp_path: Path) -> None:
    for part, count in (("train", 30), ("val", 5)):
        for name in "ab":
            for row in range(count):
                picture = RANDOM.integers(0, 256, (5, 4), dtype=np.uint8)
                save(picture, tmp_path / part / name / f"{row}.png")
    split = linnet.read(tmp_path).split(test=0.2, valid=None, seed=0)
    assert split.valid.tolist() == list(range(60, 70)) and len(split.test) == 12
    assert set(split.test.tolist()) < set(range(60)) and len(split.train) == 48


def test_classes_may_have_the_name_of_a_part(tmp_path: Path) -> None:
    for name in ("bus", "car", "train"):
        save(GREY, tmp_path / name / "0.png")
    assert Folder().read(tmp_path, Reading()).schema.classes == ("bus", "car", "train")


def test_pictures_that_are_left_out_are_a_warning_that_names_them(tmp_path: Path) -> None:
    two(tmp_path / "train")
    for row in range(3):
        save(GREY, tmp_path / "test" / f"{row}.png")  # without classes
        save(GREY, tmp_path / "more" / "deep" / f"{row}.png")
    save(GREY, tmp_path / "loose.png")
    (tmp_path / "train" / "a" / "phone.HEIC").write_bytes(b"x")
    (tmp_path / "labels").mkdir()
    for row in range(12):
        (tmp_path / "labels" / f"{row}.txt").write_text("1")
    data = Folder().read(tmp_path, Reading())
    lost, others = data.notes
    assert len(data) == 2 and type(lost) is Warned and type(others) is str
    for words in ("8 pictures skipped", "3 in more", "3 in test", "1 in .", "1 as .heic"):
        assert words in lost
    assert "labels (a folder of 12 files)" in others
    with pytest.warns(LinnetWarning, match="8 pictures skipped"):
        linnet.read(tmp_path)
    findings = [found for found in examine(data) if found.severity == "warning"]
    assert any("8 pictures skipped" in found.what for found in findings)


FOLDERS: dict[str, tuple[list[str], str]] = {
    "no classes": (["0.png", "1.png"], "holds pictures, but no folders of classes"),
    "parts without classes": (["train/0.png", "test/0.png"], "expected test/CLASS/picture.png"),
    "one class": (["train/images/0.png", "train/labels/0.txt"], "1 folder with pictures, 'images'"),
    "a part twice": (
        ["train/a/0.png", "train/b/0.png", "Training/a/0.png"], "are both the training part"
    ),
    "unread": (["a/0.heic", "a/1.heic", "b/0.heic"], "2 .heic files, which linnet does not read"),
    "one unread": (["a/0.png", "c/0.png", "b/0.avif"], "but 1 .avif file, which linnet does not"),
    "other classes": (
        ["train/a/0.png", "train/b/0.png", "val/a/0.png", "val/c/0.png"], "only one has b, c"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_without_classes_is_refused_by_what_it_holds(kind: str, tmp_path: Path) -> None:
    files, words = FOLDERS[kind]
    for name in files:
        if name.endswith(".png"):
            save(GREY, tmp_path / name)
        else:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
    assert words in refusal(linnet.read, tmp_path)


ENDINGS = (".bmp", ".gif", ".GIF", ".tif", ".TIFF", ".webp", ".WebP", ".jfif", ".PNG")


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_usual_formats_are_read_under_their_own_name(ending: str, tmp_path: Path) -> None:
    options = {"lossless": True} if ending.lower() == ".webp" else {}
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(GREY).save(tmp_path / name / f"0{ending}", **options)  # type: ignore[arg-type]
    data = Folder().read(tmp_path, Reading())
    far = 40 if ending == ".jfif" else 0
    assert (np.abs(data.x.numpy().astype(int) - GREY) <= far).all()


@pytest.mark.parametrize("form", ["BMP", "GIF", "TIFF", "WEBP"])
def test_a_decoder_meets_only_files_of_its_own_name(form: str, tmp_path: Path) -> None:
    path = two(tmp_path) / "a" / "1.png"
    Image.fromarray(COLOUR).save(path, format=form)
    whole = path.read_bytes()
    for ending in {"bmp", "gif", "tif", "webp"} - {form.lower().replace("ff", "f")}:
        path.unlink(missing_ok=True)
        path = path.with_suffix(f".{ending}")
        path.write_bytes(whole)
        assert (
            f"its content is no PNG, JPEG or {'TIFF' if ending == 'tif' else ending.upper()}"
            in (refused(tmp_path))
        )


@pytest.mark.parametrize("ending", ["bmp", "gif", "tif", "webp"])
def test_damage_of_the_other_formats_is_a_data_error(ending: str, tmp_path: Path) -> None:
    path = save(RANDOM.integers(0, 256, (30, 30, 3), dtype=np.uint8), tmp_path / f"a.{ending}")
    whole, right = path.read_bytes(), open_picture(path, 3)
    chance = random.Random(0)
    for _ in range(200):
        changed = bytearray(whole)
        changed[chance.randrange(min(len(whole), 200))] = chance.choice((0, 1, 128, 255))
        path.write_bytes(changed)
        for read in (head, lambda path: open_picture(path, 3)):
            with suppress(DataError):
                read(path)
    for end in range(0, len(whole), 37):
        path.write_bytes(whole[:end])
        with suppress(DataError):  # what is cut off may be no pixel
            assert (open_picture(path, 3) == right).all()


@pytest.mark.parametrize("ending", ["png", "gif", "tif", "webp"])
def test_files_of_several_pictures_are_told(ending: str, tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())]
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
    path = two(tmp_path) / "a" / f"1.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    data = Folder().read(tmp_path, Reading())
    assert (data.x[1].numpy() == GREY).all()
    (note,) = [note for note in data.notes if type(note) is Warned]
    assert note.startswith("1 file with several pictures, of which the first is used: ")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_tiff_is_turned_once(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turned = {3: GREY[::-1, ::-1], 6: np.rot90(GREY, -1), 8: np.rot90(GREY)}.get(orientation, GREY)
    path = save(GREY, tmp_path / "a.tif", exif=exif)
    assert head(path) == (turned.shape[::-1], True, False)
    assert (open_picture(path, 1)[0] == turned).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (GREY / np.float32(255), "floating-point numbers"),
        (GREY.astype(np.int32) * 1000, "0 to 65535"),
    ],
)
def test_numbers_that_are_no_pixels_are_refused(
    array: np.ndarray[Any, Any], words: str, tmp_path: Path
) -> None:
    path = two(tmp_path) / "a" / "1.tif"
    Image.fromarray(array).save(path)
    assert words in refused(tmp_path)


OPAQUE = np.where(GREY > 99, 255, 0).astype(np.uint8)
PALETTE = Image.fromarray(COLOUR).quantize(8)

CONVERSIONS: dict[str, tuple[Image.Image, np.ndarray[Any, Any]]] = {
    "1 bit": (Image.fromarray(GREY > 127), np.where(GREY > 127, 255, 0)[None]),
    "16 bits": (Image.fromarray(GREY.clip(1, 254).astype(np.uint16) * 257 + 128),
                GREY.clip(1, 254)[None]),
    "16 bits, low": (Image.fromarray(GREY.clip(1).astype(np.uint16) * 257 - 128),
                     GREY.clip(1)[None]),
    "grey and alpha": (Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(OPAQUE)]),
                       np.where(GREY > 99, GREY, 0)[None]),  # the mean of these is above 192
    "colour": (Image.fromarray(COLOUR), COLOUR.transpose(2, 0, 1)),
    "colour and alpha": (Image.fromarray(np.dstack([COLOUR, OPAQUE])),
                         np.where(GREY > 99, COLOUR.transpose(2, 0, 1), 255)),
    "palette": (PALETTE, np.asarray(PALETTE.convert("RGB")).transpose(2, 0, 1)),
}  # fmt: skip


@pytest.mark.parametrize("kind", CONVERSIONS)
def test_every_kind_of_picture_has_one_conversion(kind: str, tmp_path: Path) -> None:
    image, expected = CONVERSIONS[kind]
    for name in "ab":
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "0.png")
    data = Folder().read(tmp_path, Reading())
    assert (data.x.numpy() == expected).all() and data.schema.shape == expected.shape
    served = open_picture(tmp_path / "a" / "0.png", channels=len(expected))
    assert served.dtype == np.uint8 and (served == expected).all()
    both = open_picture(tmp_path / "a" / "0.png", channels=3)
    assert both.shape == (3, 5, 4) and (len(expected) == 3 or (both == expected).all())


INKS = {
    "black": (0, 255),
    "dark": (90, 255),
    "grey": (150, 255),
    "pale": (200, 0),
    "white": (255, 0),
}


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "L with a colour", "16 bits with a colour"])
@pytest.mark.parametrize("ink", INKS)
def test_what_is_drawn_on_a_transparent_ground_can_be_seen(
    mode: str, ink: str, tmp_path: Path
) -> None:
    """On white, and light ink on black; what colour the transparent pixels hide does not matter."""
    value, ground = INKS[ink]
    drawn = np.zeros((6, 6), bool)
    drawn[1:4, 2] = True
    for hidden in (0, 255):
        grey = np.where(drawn, value, hidden if "colour" not in mode else 7).astype(np.uint8)
        alpha, clear = Image.fromarray(np.where(drawn, 255, 0).astype(np.uint8)), 7
        image: Image.Image = Image.fromarray(grey)
        options: dict[str, Any] = {"transparency": clear} if "colour" in mode else {}
        if mode in ("LA", "RGBA"):
            image = Image.merge("LA", [image, alpha]).convert(mode)
        elif mode == "P":
            image = Image.fromarray(drawn.astype(np.uint8), "L").convert("P")
            image.putpalette([hidden] * 3 + [value] * 3)
            options = {"transparency": 0}
        elif "16" in mode:
            image = Image.fromarray(grey.astype(np.uint16) * 257)
            options = {"transparency": 7 * 257}
        image.save(tmp_path / "a.png", **options)
        for channels in (1, 3):
            seen = open_picture(tmp_path / "a.png", channels)
            assert (seen == np.where(drawn, value, ground)).all()


def test_a_picture_without_a_visible_pixel_is_told(tmp_path: Path) -> None:
    place = two(tmp_path)
    Image.new("LA", (4, 5), (0, 0)).save(place / "b" / "1.png")
    data = Folder().read(place, Reading())
    assert "1 picture with one colour everywhere: of 3 the first is b/1.png" in data.notes[0]
    with pytest.warns(LinnetWarning, match="one colour everywhere"):
        linnet.read(place)


def test_one_picture_in_colour_makes_all_of_them_colour(tmp_path: Path) -> None:
    place = two(tmp_path)
    Image.fromarray(COLOUR).convert("CMYK").save(place / "b" / "1.jpg", quality=100)
    data = Folder().read(place, Reading())
    assert data.schema.shape == (3, 5, 4)
    assert (data.x[:2].numpy() == GREY).all()
    assert np.abs(data.x[2].numpy().astype(int) - COLOUR.transpose(2, 0, 1)).mean() < 40


@pytest.mark.parametrize("orientation", range(10))
def test_pictures_come_upright(orientation: int, tmp_path: Path) -> None:
    upright: dict[int, np.ndarray[Any, Any]] = {
        2: GREY[:, ::-1], 3: GREY[::-1, ::-1], 4: GREY[::-1], 5: GREY.T,
        6: np.rot90(GREY, -1), 7: GREY[::-1, ::-1].T, 8: np.rot90(GREY),
    }  # fmt: skip
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for name in "ab":
        save(GREY, tmp_path / name / "0.png", exif=exif)
    data = Folder().read(tmp_path, Reading())
    assert (data.x[0, 0].numpy() == upright.get(orientation, GREY)).all()


def test_what_is_no_picture_of_a_class_is_skipped_and_counted(tmp_path: Path) -> None:
    place, outside = two(tmp_path / "p"), tmp_path / "outside"
    save(GREY, outside / "1.png")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt", ".hidden.png"):
        (place / "a" / name).write_bytes(b"x")
    (place / "a" / "deeper").mkdir()
    (place / "a" / "folder.png").mkdir()
    os.mkfifo(place / "a" / "fifo.png")
    (place / "a" / "out.png").symlink_to(outside / "1.png")
    (place / "a" / "nowhere.png").symlink_to("nothing.png")
    (place / "a" / "itself.png").symlink_to("itself.png")
    (place / "class_outside").symlink_to(outside)
    (place / "itself").symlink_to("itself")
    (place / ".git").mkdir()
    open(os.fsencode(place) + b"/st\xffray.txt", "wb").close()
    (place / "a" / "inside.png").symlink_to("../b/0.png")
    data = Folder().read(place, Reading())
    assert len(data) == 3 and data.y.tolist() == [0, 0, 1]
    lost, others = data.notes
    assert lost.startswith("3 pictures skipped: 3 as links that lead out") and type(lost) is Warned
    for words in ("2 .txt files", "3 hidden files", "a/deeper (an empty folder)", "2 outward links",
                  "1 special .png"):  # fmt: skip
        assert words in others
    " ".join(data.notes).encode()


def test_a_train_that_leads_back_ends(tmp_path: Path) -> None:
    (two(tmp_path) / "train").symlink_to(".")
    assert Folder().matches(tmp_path)
    assert len(Folder().read(tmp_path, Reading())) == 2


def test_names_that_are_no_utf8_can_be_shown(tmp_path: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/top\xff"))
    save(GREY, place / os.fsdecode(b"a\xff") / "0.png")
    save(GREY, place / "b\nc" / os.fsdecode(b"-\xfe.png"))
    data = Folder().read(place, Reading())
    assert data.name == "top�" and data.schema.classes == ("a�", "b\nc")
    save(GREY, place / os.fsdecode(b"a\xfe") / "0.png")
    said = refused(place)
    assert "differ at most in case" in said
    said.encode()


def test_faulty_classes_are_refused(tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    save(GREY, alone / "a" / "0.png")
    assert "1 folder with pictures, 'a'; expected a sub-folder for each of two" in refused(alone)
    empty = two(tmp_path / "empty")
    (empty / "c").mkdir()
    assert str(empty / "c") in refused(empty) and "without a picture" in refused(empty)
    alike = two(tmp_path / "alike")
    save(GREY, alike / "A" / "0.png")
    assert "the classes 'A' and 'a' differ at most in case; rename one" in refused(alike)


def test_sizes_that_differ_name_both_files(tmp_path: Path) -> None:
    place = two(tmp_path)
    save(GREY[:3], place / "b" / "1.png")
    said = refused(place)
    assert said.startswith(f"{place}: its pictures have 2 sizes, from 4 x 3 (b/1.png) to 4 x 5 (")
    assert f"linnet train {place} --set size=5x4 (the median is 4 x 5)" in said


@pytest.mark.parametrize("side", [7_100, 10_000, 13_370, 20_000, 2**31 - 1])
def test_a_picture_of_too_many_pixels_is_refused_by_its_header(side: int, tmp_path: Path) -> None:
    path = two(tmp_path) / "a" / "1.png"
    path.write_bytes(png(side, side))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        said = refused(tmp_path)
    assert said.startswith(f"{path}: declares ") and "(MAX_PICTURE_PIXELS)" in said
    assert not heard


def test_contents_that_are_no_whole_picture_are_refused(tmp_path: Path) -> None:
    path = two(tmp_path) / "a" / "1.png"
    path.write_bytes(b"<html><body>404</body></html>")
    assert str(path) in refused(tmp_path) and "its content is neither PNG nor JPEG" in refused(
        tmp_path
    )
    for kind in ("GIF", "BMP", "TIFF", "PPM", "EPS"):  # never given to other decoders
        Image.fromarray(COLOUR).save(path, format=kind)
        assert "neither PNG nor JPEG" in refused(tmp_path)
    for ending in ("png", "jpg"):
        whole = save(GREY, tmp_path / f"whole.{ending}").read_bytes()
        path.write_bytes(whole)
        Folder().read(tmp_path, Reading())
        for end in range(len(whole)):
            path.write_bytes(whole[:end])
            with pytest.raises(DataError, match=r"1\.png: not a readable picture"):
                open_picture(path, 1)


def test_a_changed_bit_never_passes_as_another_picture_of_a_png(tmp_path: Path) -> None:
    path = save(GREY, tmp_path / "a.png")
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with suppress(DataError):
            assert (open_picture(path, 1) == GREY).all()


@pytest.mark.slow
def test_damage_is_a_data_error_and_nothing_else(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010E] = 6, "description"
    chance = random.Random(0)
    for ending in ("png", "jpg"):
        path = save(COLOUR, tmp_path / f"a.{ending}", exif=exif)
        whole = path.read_bytes()
        for _ in range(600):
            changed = bytearray(whole)
            for _ in range(chance.choice((1, 1, 3))):
                changed[chance.randrange(min(len(whole), 160))] = chance.choice((0, 1, 128, 255))
            path.write_bytes(changed)
            for read in (head, lambda path: open_picture(path, 3)):
                try:
                    read(path)
                except DataError as error:
                    assert str(path) in str(error)


def test_a_picture_that_changes_or_goes_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, first_pass = two(tmp_path), head

    def changing(path: Path) -> Any:
        result = first_pass(path)
        save(GREY[:2], path)
        return result

    monkeypatch.setattr(files, "head", changing)
    assert "changed while it was read" in refused(place)
    monkeypatch.setattr(files, "head", lambda path: (path.unlink(), Head((4, 5), True))[1])
    assert "No such file" in refused(place) and str(place) in refused(two(place))


def test_places_of_other_kinds_are_left_to_others(tmp_path: Path) -> None:
    assert Folder().matches(two(tmp_path / "good"))
    two(tmp_path / "split" / "train")
    assert "lie deeper than in folders of classes, such as good/a/0.png" in refused(tmp_path)
    assert Folder().matches(tmp_path / "split")
    for name in ("train-images-idx3-ubyte", "data_batch_1.bin", "test_batch.bin"):
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / name).write_bytes(b"x")
    (tmp_path / "files" / "raw").mkdir()
    assert Cifar().matches(tmp_path / "files") and not Folder().matches(tmp_path / "files")
    assert not Folder().matches(tmp_path / "none") and not Folder().matches("digits")
    assert not Folder().matches(tmp_path / "files" / "data_batch_1.bin")

"""Pictures of several sizes: what is proposed, how they are scaled, and that models do the same."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
from PIL import Image, ImageOps
from typer.testing import CliRunner

import linnet
from helpers import refusal
from linnet.cli import app
from linnet.data.pictures.folder import Folder
from linnet.data.pictures.picture import fitted, open_picture
from linnet.data.pictures.sizes import proposed
from linnet.data.reading import Reading
from linnet.errors import DataError, InputError, LinnetWarning, RecipeError
from linnet.experiment.evaluate import evaluate
from linnet.experiment.predict import predict

DRAW = np.random.default_rng(0)
SIZES = [(40, 30), (30, 40), (64, 64), (100, 20), (17, 23), (200, 150)]
ENDINGS = ["png", "jpg", "webp", "bmp", "tif", "gif"]
FAST: dict[str, Any] = {
    "epochs": 2,
    "channels": [4, 8],
    "penalty": 0.01,
    "model": ["linear", "cnn"],
}


def photo(kind: str, size: tuple[int, int], number: int) -> Image.Image:
    """A warm or a cold picture with some noise; some are grey, or of other kinds."""
    width, height = size
    array = DRAW.integers(0, 60, (height, width, 3))
    array[..., 0 if kind == "warm" else 2] += 180
    image = Image.fromarray(array.astype(np.uint8))
    forms = ["RGB", "P", "RGBA", "L", "RGB", "RGB"]
    return image.convert(forms[number % len(forms)])


def put(image: Image.Image, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jpg" and image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    image.save(path, **options)
    return path


def album(place: Path, each: int = 18) -> Path:
    """Photos of two classes, of many sizes, kinds and formats; some were taken sideways."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("warm", "cold"):
        for number in range(each):
            image = photo(kind, SIZES[number % len(SIZES)], number)
            path = place / kind / f"{number:02}.{ENDINGS[number % len(ENDINGS)]}"
            put(image, path, **({"exif": exif} if path.suffix == ".jpg" else {}))
    return place


def typed(*words: Any) -> tuple[int, str, str]:
    """The exit code of a command, and what it printed at a terminal of 80 columns."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "80"})
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        ([(28, 28)] * 5 + [(30, 28)], "28"),  # nearly all have a size
        ([(48, 32)] * 5 + [(9, 9)], "32x48"),  # height first
        ([(4032, 3024), (3024, 4032), (640, 480)], "64"),
        ([(1920, 1080), (1280, 720), (640, 360)], "48x88"),  # the area of 64 x 64
        ([(30, 20), (31, 22), (29, 28)], "24"),
        ([(200, 12), (300, 12), (100, 12)], "16x200"),
        ([(5, 4), (4, 5), (3, 3)], "8"),
        ([(4032, 3024)] * 9 + [(3024, 4032)], "64"),
    ],
)
def test_the_size_that_is_proposed(sizes: list[tuple[int, int]], size: str) -> None:
    assert proposed(sizes) == size
    assert Reading(size=size)  # the setting takes it


def test_sizes_that_differ_are_refused_with_a_command_that_works(tmp_path: Path) -> None:
    place = album(tmp_path / "my photos")
    code, _, said = typed("train", place, "--out", tmp_path / "r")
    assert code == 2 and "its pictures have 5 sizes, from 17 x 23 (cold/04.tif)" in said
    assert "to 200 x 150 (" in said and "width x height. Give one size for all" in said, said
    command = said.split("linnet ")[1].split(" (the median")[0]
    assert command == f"train '{place}' --set size=32x48"
    words = ["train", place, "--set", command.split("--set ")[1], "--set", "epochs=1"]
    code, _, said = typed(*words, "--model", "linear", "--out", tmp_path / "r")
    assert code == 0, said
    assert linnet.load(tmp_path / "r").schema.shape == (3, 32, 48)


@pytest.mark.parametrize("how", ["pad", "crop"])
def test_a_picture_is_scaled_around_its_centre(how: Any) -> None:
    tall = DRAW.integers(0, 256, (3, 90, 60), dtype=np.uint8)
    image = Image.fromarray(tall.transpose(1, 2, 0))
    found = fitted(tall, (32, 32), how).transpose(1, 2, 0)
    if how == "crop":
        theirs = ImageOps.fit(image, (32, 32), Image.Resampling.BILINEAR)
        assert found.shape == (32, 32, 3)
        assert np.abs(found.astype(int) - np.asarray(theirs)).mean() < 3
    else:
        theirs = ImageOps.contain(image, (32, 32), Image.Resampling.BILINEAR)
        left = (32 - theirs.width) // 2
        assert (found[:, left : left + theirs.width] == np.asarray(theirs)).all()
        assert (found[:, :left] == found[:, left : left + 1]).all()  # its edges, repeated
        assert (found[:, left + theirs.width :] == found[:, -1:]).all()
    assert fitted(tall, (90, 60), how) is tall


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (33, 32), (31, 64), (64, 31)])
@pytest.mark.parametrize("how", ["pad", "crop"])
def test_any_size_comes_to_any_other(size: tuple[int, int], how: Any) -> None:
    picture = DRAW.integers(0, 256, (1, *size), dtype=np.uint8)
    for sides in ((32, 32), (8, 50), (50, 8), (1, 1)):
        found = fitted(picture, sides, how)
        assert found.shape == (1, *sides) and found.dtype == np.uint8
        assert picture.min() <= found.min() and found.max() <= picture.max()


@pytest.mark.parametrize("how", ["pad", "crop"])
def test_an_album_is_learned_and_every_way_to_predict_agrees(how: str, tmp_path: Path) -> None:
    place = album(tmp_path / "album")
    run = linnet.train(place, size="24x32", fit=how, out=tmp_path / "r", **FAST)
    model = linnet.load(run.path)
    assert model.schema.shape == (3, 24, 32) and model.schema.fit == how
    with pytest.warns(LinnetWarning, match="trained the models"):
        scores = evaluate(run.path, place, part="all")["models"]
    assert scores["linear"]["test"]["accuracy"] > 0.9
    whole = predict(run.path, place)
    files = sorted((place / "cold").iterdir()) + sorted((place / "warm").iterdir())
    alone = predict(run.path, files)
    assert alone.p is not None and whole.p is not None and (alone.p == whole.p).all()
    assert [Path(name).name for name in alone.files] == [path.name for path in files]
    assert alone.files == tuple(map(str, files)) and alone.y is None
    arrays = [open_picture(path, 3) for path in files]
    assert (model.predict_proba(arrays) == whole.p).mean() > 0.8  # all but drafts of JPEGs
    for path, p in list(zip(files, whole.p, strict=True))[:6]:
        with Image.open(path) as image:
            one = model.predict_proba([image])
        assert np.abs(one - p).max() < 0.1
    colour = arrays[0].transpose(1, 2, 0)
    assert (model.predict_proba(colour) == model.predict_proba(arrays[0])).all()
    code, _, said = typed("report", run.path, "--out", tmp_path / "r.html")
    assert code == 0 and (tmp_path / "r.html").stat().st_size > 10_000, said


def test_a_size_is_for_pictures_of_any_kind_and_for_nothing_else(tmp_path: Path) -> None:
    x, y = DRAW.integers(0, 256, (60, 20, 30), dtype=np.uint8), np.arange(60) % 2
    data = linnet.read((x, y), size=16)
    assert data.x.shape == (60, 1, 16, 16) and data.schema.fit == "pad"
    assert (data.x[7].numpy() == fitted(x[7][None], (16, 16), "pad")).all()
    assert linnet.read("digits", size="12x9", fit="crop").x.shape == (1797, 1, 12, 9)
    frame = polars.DataFrame({"a": x.reshape(60, -1)[:, 0], "y": y})
    for place, words in (
        ("iris", "size=16 is for pictures, and these are rows"),
        (frame, "size=16 is for pictures, and frame is a table"),
        ((x.reshape(60, -1), y), "size=16 is for pictures, and these are rows"),
        ((x.astype(np.float32) / 7, y), "size=16 scales pictures of whole numbers 0 to 255"),
        (linnet.read((x, y)), "size=16 does not suit arrays"),
    ):
        with pytest.raises(InputError, match=words):
            linnet.read(place, size=16)
    with pytest.raises(RecipeError, match="fit=crop says how pictures are scaled: give their size"):
        linnet.read("digits", fit="crop")
    for size in ("0", "16x", "axb", "16x16x3", "99999"):
        with pytest.raises(RecipeError, match='"size"'):
            linnet.read("digits", size=size)


def test_a_model_without_a_size_scales_files_with_a_warning_and_refuses_arrays(
    tmp_path: Path,
) -> None:
    x, y = DRAW.integers(0, 256, (60, 9, 9), dtype=np.uint8), np.arange(60) % 2
    run = linnet.train((x, y), model="linear", penalty=0.1, out=tmp_path / "r")
    put(Image.fromarray(np.kron(x[0], np.ones((3, 3), np.uint8))), tmp_path / "large.png")
    with pytest.warns(LinnetWarning, match="scaled to 9 x 9, their edges repeated; the first, "):
        found = predict(run.path, tmp_path / "large.png")
    assert found.prediction == linnet.load(run.path).predict(x[0])
    with pytest.raises(DataError, match="train with a size"):
        linnet.load(run.path).predict(x[:, :8])


def test_a_size_survives_settings_resume_and_eject(tmp_path: Path) -> None:
    place = album(tmp_path / "album", 12)
    code, _, said = typed(
        "train", place, "--set", "size=16", "--set", "fit=crop", "--model", "linear",
        "--out", tmp_path / "r",
    )  # fmt: skip
    assert code == 0, said
    recipe = (tmp_path / "r" / "recipe.toml").read_text()
    assert 'size = "16"' in recipe and 'fit = "crop"' in recipe
    assert linnet.train(resume=tmp_path / "r").path == tmp_path / "r"
    child = linnet.train(parent=tmp_path / "r", model="linear", penalty=0.1, out=tmp_path / "c")
    assert linnet.load(child.path).schema.fit == "crop"
    with pytest.raises(InputError, match=r"add --data encoded\.npz"):
        linnet.eject(tmp_path / "r", "tensors", model="linear")
    assert linnet.eject(tmp_path / "r", "tensors", model="linear", encoded=tmp_path / "e.npz")


def test_phone_photos_of_two_frames_are_one_picture(tmp_path: Path) -> None:
    """Phones put a second picture, for depth or light, behind a JPEG: an MPO."""
    for kind in ("warm", "cold"):
        for number in range(3):
            path = tmp_path / "p" / kind / f"{number}.jpg"
            put(
                photo(kind, (32, 24), 0), path, format="MPO", save_all=True,
                append_images=[photo(kind, (8, 6), 0)],
            )  # fmt: skip
            assert path.read_bytes()[:2] == b"\xff\xd8"
    data = Folder().read(tmp_path / "p", Reading())
    assert data.x.shape == (6, 3, 24, 32) and data.notes == ()


def test_large_jpegs_are_decoded_small_and_look_the_same(tmp_path: Path) -> None:
    y, x = np.mgrid[0:1200, 0:1600]
    smooth = np.stack([x / 7, y / 5, (x + y) / 11], -1).astype(np.uint8)
    path = put(Image.fromarray(smooth), tmp_path / "a.jpg", quality=95)
    found = open_picture(path, 3, (48, 64))
    whole = fitted(open_picture(path, 3), (48, 64), "pad")
    assert found.shape == (3, 48, 64)
    assert np.abs(found.astype(int) - whole).mean() < 2


def test_too_large_pictures_are_refused_with_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("warm", "cold"):
        put(Image.new("RGB", (2000, 1700)), tmp_path / kind / "0.png")
    said = refusal(Folder().read, tmp_path, Reading())
    assert "10,200,000 numbers each; at most 10,000,000" in said and "--set size=64" in said
    monkeypatch.setattr("linnet.core.memory.available", lambda: 1000)
    said = refusal(Folder().read, tmp_path, Reading(size="32"))
    assert "2 pictures of 32 x 32 pixels needs about" in said and "size=64" in said


def test_mixed_json(tmp_path: Path) -> None:
    place = album(tmp_path / "album", 12)
    linnet.train(place, size=16, model="linear", penalty=0.1, out=tmp_path / "r")
    code, out, _ = typed("predict", tmp_path / "r", place / "warm", "--json")
    found = json.loads(out)
    assert code == 0 and len(found["pictures"]) == 12 and found["classes"] == ["cold", "warm"]
    assert torch.tensor([each["probabilities"] for each in found["pictures"]]).shape == (12, 2)

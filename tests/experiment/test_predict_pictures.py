"""Folders of pictures to predict: with the model's classes, with others, with none; in zips."""

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import linnet
from linnet.cli import app
from linnet.errors import DataError, InputError, LinnetWarning
from linnet.experiment.evaluate import evaluate
from linnet.experiment.predict import predict

DIGITS = load_digits()
PICTURES = (DIGITS.images * 15.9).astype(np.uint8)
FEW = np.flatnonzero(DIGITS.target < 3)[:120]


def put(place: Path, picture: Any) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(place)
    return place


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a folder of pictures of the classes "0", "1", "2"."""
    work = tmp_path_factory.mktemp("work")
    for row in FEW:
        put(work / "digits" / str(DIGITS.target[row]) / f"{row}.png", PICTURES[row])
    return linnet.train(work / "digits", model="linear", penalty=0.01, out=work / "r").path


def said(*words: Any) -> tuple[int, str, str]:
    """What a command printed at a terminal of 80 columns."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "80"})
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


def right(model: Path, rows: Any) -> list[str]:
    return [str(label) for label in linnet.load(model).predict(PICTURES[list(rows)])]


def test_a_folder_of_unlabelled_pictures_is_a_table_of_its_files(
    model: Path, tmp_path: Path
) -> None:
    for row in FEW[:30]:
        put(tmp_path / "new" / f"{row:04}.png", PICTURES[row])
    (tmp_path / "new" / "notes.txt").write_text("taken on a Monday")
    code, out, err = said("predict", model, tmp_path / "new")
    assert code == 0 and "the first 20 of 30 rows" in out
    assert "file" in out and "0000.png" in out and "prediction" in out and "row " not in out
    assert max(map(len, out.splitlines())) <= 80
    assert "note: skipped, as no pictures: 1 .txt file (notes.txt)" in err
    for name in ("p.csv", "p.parquet"):
        assert said("predict", model, tmp_path / "new", "--out", tmp_path / name)[0] == 0
    csv, parquet = polars.read_csv(tmp_path / "p.csv"), polars.read_parquet(tmp_path / "p.parquet")
    assert csv.columns == parquet.columns == ["file", "prediction", "p_0", "p_1", "p_2"]
    assert csv["file"].to_list() == [f"{row:04}.png" for row in FEW[:30]]
    assert parquet["prediction"].to_list() == right(model, FEW[:30])


def test_labels_that_the_model_does_not_know_are_only_noted(model: Path, tmp_path: Path) -> None:
    for row in FEW[:12]:
        put(tmp_path / "new" / str(DIGITS.target[row]) / f"{row}.png", PICTURES[row])
    seven = np.flatnonzero(DIGITS.target == 7)[:3]
    for row in seven:
        put(tmp_path / "new" / "seven" / f"{row}.png", PICTURES[row])
    code, out, err = said("predict", model, tmp_path / "new", "--json")
    found = json.loads(out)["pictures"]
    assert (
        code == 0 and len(found) == 15 and "'seven' is the name of a folder, but of no class" in err
    )
    assert [one["y"] for one in found if one["file"].startswith("seven/")] == [None] * 3
    known = [one for one in found if not one["file"].startswith("seven/")]
    assert all(one["y"] == one["file"][0] == one["prediction"] for one in known)
    with pytest.raises(DataError, match="the folder 'seven' is not among the classes"):
        evaluate(model, tmp_path / "new")


@pytest.mark.parametrize(
    "names",
    [
        ["{}.png"],
        ["monday/{}.png", "tuesday/{}.png"],  # folders that are no classes
        ["2024/may/{}.png", "2024/june/{}.png", "2025/{}.png"],
        ["{}.png", "more/{}.png"],
        ["train/a/{}.png", "test/a/{}.png"],
    ],
)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_every_picture_is_predicted_wherever_it_lies(
    names: list[str], form: str, model: Path, tmp_path: Path
) -> None:
    for number, row in enumerate(FEW[:12]):
        put(tmp_path / "new" / names[number % len(names)].format(row), PICTURES[row])
    place = tmp_path / "new"
    if form == "zip":
        place = tmp_path / "new.zip"
        with zipfile.ZipFile(place, "w") as file:
            for path in (tmp_path / "new").rglob("*.png"):
                file.write(path, path.relative_to(tmp_path))
    found = predict(model, place)
    rows = [int(Path(name).stem) for name in found.files]
    assert sorted(rows) == FEW[:12].tolist() and found.y is None
    assert found.prediction.tolist() == right(model, rows)


def test_a_labelled_folder_keeps_its_labels_and_rows(model: Path) -> None:
    place = model.parent / "digits"
    found = predict(model, place)
    assert found.y is not None and found.y.tolist() == sorted(found.y.tolist())
    assert len(found.row) == 120
    assert [name.split("/")[0] for name in found.files] == found.y.tolist()
    some = predict(model, place, rows=(5, 100))
    assert some.files == (found.files[5], found.files[100])
    assert some.prediction.tolist() == found.prediction[[5, 100]].tolist()
    assert len(predict(model, place, part="test").row) == 24


def test_what_cannot_be_predicted_is_refused_by_name(model: Path, tmp_path: Path) -> None:
    good = put(tmp_path / "good.png", PICTURES[0])
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    for places, words in (
        ([good, tmp_path / "gone.png"], "there is no picture"),
        ([good, tmp_path / "t.csv"], "is not a picture; give pictures, or one data set"),
        ([tmp_path / "gone.png"], "there is no file, folder or data set"),
        ([tmp_path / "photo.heic"], "linnet does not read .heic: convert it to PNG"),
    ):
        code, _, err = said("predict", model, *places)
        assert code == 2 and words in err, err
    iris = linnet.train("iris", model="linear", penalty=0.1, out=tmp_path / "iris").path
    code, _, err = said("predict", iris, good)
    assert code == 2 and "the model takes rows of 4 columns, not pictures" in err
    code, _, err = said("predict", iris, "iris", "--invert")
    assert code == 2 and "only pictures of whole numbers 0 to 255 can be inverted" in err
    code, _, err = said("train", good)
    assert code == 2 and "one picture, and no folder; expected a folder for each class" in err
    unit = linnet.train(
        (DIGITS.images / 17.3, DIGITS.target), model="linear", penalty=0.1, out=tmp_path / "f"
    ).path
    with pytest.raises(InputError, match="learned from pictures of float64"):
        predict(unit, [good])


def test_a_known_name_is_no_folder_and_a_table_is_no_picture(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "digits" / "0.png", PICTURES[0])
    own = linnet.train("digits", model="linear", penalty=0.1, out=tmp_path / "r").path
    assert len(predict(own, "digits").row) == 1797
    assert len(predict(own, "./digits").row) == 1
    rows = np.random.default_rng(0).random((30, 4)), np.array(["0", "1"] * 15)
    with pytest.raises(DataError, match="holds rows; the model takes pictures"):
        evaluate(model, rows)


def test_a_broken_picture_is_named_or_left_out(model: Path, tmp_path: Path) -> None:
    for row in FEW[:4]:
        put(tmp_path / "new" / f"{row}.png", PICTURES[row])
    (tmp_path / "new" / "bad.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"bad\.png: not a readable picture"):
        predict(model, tmp_path / "new")
    skipping = linnet.train(
        model.parent / "digits", model="linear", penalty=0.01, on_bad="skip", out=tmp_path / "s"
    )
    found = predict(skipping.path, tmp_path / "new")
    assert len(found.files) == 4 and any("bad.png" in note for note in found.notes)


def test_grey_models_tell_of_colour_and_blank_pictures_in_folders(
    model: Path, tmp_path: Path
) -> None:
    put(tmp_path / "new" / "colour.png", np.dstack([PICTURES[0], PICTURES[1], PICTURES[2]]))
    put(tmp_path / "new" / "blank.png", np.zeros((8, 8), np.uint8))
    with pytest.warns(LinnetWarning) as heard:
        predict(model, tmp_path / "new")
    told = " ".join(str(each.message) for each in heard)
    assert "1 picture in colour" in told and "colour.png: the model takes grey" in told
    assert "one colour everywhere" in told and "blank.png" in told


def test_a_known_name_that_is_a_folder_here_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINNET_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    code, _, err = said("train", "cifar10")
    assert code == 2 and "linnet data fetch cifar10" in err and "Here is" not in err
    (tmp_path / "kmnist.zip").write_bytes(b"PK")
    for row in FEW[:40]:
        put(tmp_path / "cifar10" / str(DIGITS.target[row]) / f"{row}.png", PICTURES[row])
    code, _, err = said("train", "cifar10")
    assert code == 2 and "Here is a folder of that name" in err and err.endswith("type ./cifar10")
    code, _, err = said("train", "kmnist")
    assert code == 2 and "Here is a file of that name" in err and err.endswith("./kmnist.zip")
    code, _, err = said("train", "./cifar10", "--model", "linear", "--out", "r")
    assert code == 0, err

"""Prediction and evaluation: nothing is taken for what the model does not know, in silence."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import linnet
from linnet.cli import app
from linnet.errors import DataError, LinnetWarning
from linnet.experiment.evaluate import evaluate
from linnet.experiment.predict import predict

DIGITS = load_digits()
PICTURES = (DIGITS.images * 15.9).astype(np.uint8)
FEW = np.flatnonzero(DIGITS.target < 3)[:120]


def put(place: Path, picture: Any) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(place)
    return place


def linear(place: Any, out: Path, **settings: Any) -> Path:
    return linnet.train(place, model="linear", penalty=0.01, out=out, **settings).path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of grey pictures of 8 x 8, of the classes 0, 1, 2."""
    return linear((PICTURES[FEW], DIGITS.target[FEW]), tmp_path_factory.mktemp("r") / "r")


def said(*words: Any) -> tuple[int, str, str]:
    """The exit code of a command, and what it printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


def test_a_folder_of_pictures_without_classes_is_predicted_by_name(
    model: Path, tmp_path: Path
) -> None:
    for row in FEW[:6]:
        put(tmp_path / "new" / f"{row}.png", PICTURES[row])
    code, out, _ = said("predict", model, tmp_path / "new", "--json")
    found = json.loads(out)["pictures"]
    names = sorted(f"{row}.png" for row in FEW[:6])
    assert code == 0 and [Path(one["file"]).name for one in found] == names
    right = linnet.load(model).predict(PICTURES[[int(name[:-4]) for name in names]])
    assert [one["prediction"] for one in found] == right.tolist()
    code, out, _ = said("predict", model, tmp_path / "new", "--rows", "2", "--json")
    assert code == 0 and [one["file"] for one in json.loads(out)["pictures"]] == names[2:3]


@pytest.mark.parametrize("what", ["pictures", "data"])
def test_out_writes_what_its_ending_says(what: str, model: Path, tmp_path: Path) -> None:
    if what == "pictures":
        for row in range(3):
            put(tmp_path / "new" / f"{row}.png", PICTURES[row])
        place, first = tmp_path / "new", ["file", "prediction"]
    else:
        np.savez(tmp_path / "a.npz", X=PICTURES[FEW], y=DIGITS.target[FEW])
        place, first = tmp_path / "a.npz", ["row", "y", "prediction"]
    columns = [*first, "p_0", "p_1", "p_2"]
    for name in ("p.csv", "p.PARQUET", "p.json"):
        assert said("predict", model, place, "--out", tmp_path / name)[0] == 0
    csv, parquet = polars.read_csv(tmp_path / "p.csv"), polars.read_parquet(tmp_path / "p.PARQUET")
    rows = json.loads((tmp_path / "p.json").read_text())["rows"]
    assert csv.columns == parquet.columns == list(rows[0]) == columns
    assert csv["prediction"].to_list() == [row["prediction"] for row in rows]
    for name in ("p.xlsx", "p.tsv", "p", "p.csv.gz"):
        code, _, err = said("predict", model, place, "--out", tmp_path / name)
        assert code == 2 and ".csv, .parquet, .json" in err and not (tmp_path / name).exists()


def test_what_cannot_be_seen_in_a_picture_is_told(model: Path, tmp_path: Path) -> None:
    clear = put(tmp_path / "clear.png", Image.new("LA", (8, 8), (0, 0)))
    colour = put(tmp_path / "colour.png", np.dstack([PICTURES[0], PICTURES[1], PICTURES[2]]))
    alike = put(tmp_path / "alike.png", np.dstack([PICTURES[0]] * 3))
    code, _, err = said("predict", model, clear, colour, alike)
    assert code == 0 and "1 picture with one colour everywhere" in err and "clear.png" in err
    assert "1 picture in colour, the first" in err and "colour.png: the model takes grey" in err
    assert said("predict", model, alike)[2] == ""
    code, _, err = said("predict", model, put(tmp_path / "large.png", np.eye(9, dtype=np.uint8)))
    assert code == 0 and "1 picture of another size scaled to 8 x 8" in err and "is 9 x 9" in err


def test_ink_on_a_transparent_ground_is_the_same_at_train_and_predict(tmp_path: Path) -> None:
    for row in FEW:
        ink = Image.fromarray(PICTURES[row])
        drawn = Image.merge("LA", [Image.new("L", ink.size, 0), ink])
        put(tmp_path / "ink" / str(DIGITS.target[row]) / f"{row}.png", drawn)
    model = linear(tmp_path / "ink", tmp_path / "r")
    scores = evaluate(model, tmp_path / "ink")["models"]["linear"]["test"]
    assert scores["accuracy"] > 0.95
    files = [tmp_path / "ink" / str(DIGITS.target[row]) / f"{row}.png" for row in FEW[:9]]
    found = json.loads(said("predict", model, *files, "--json")[1])["pictures"]
    assert [one["prediction"] for one in found] == [str(DIGITS.target[row]) for row in FEW[:9]]


def test_folders_are_read_as_the_model_knows_pictures(model: Path, tmp_path: Path) -> None:
    rows = FEW[DIGITS.target[FEW] == 1][:9]
    for row in rows:  # one class of three, named as text
        put(tmp_path / "one" / "1" / f"{row}.png", np.dstack([PICTURES[row]] * 3))
    with pytest.warns(LinnetWarning, match="trained the models"):
        scores = evaluate(model, tmp_path / "one")["models"]["linear"]["test"]
    assert scores["rows"] == 9 and scores["accuracy"] == 1
    put(tmp_path / "one" / "1" / "x.png", np.dstack([PICTURES[0], PICTURES[1], PICTURES[2]]))
    with pytest.warns(LinnetWarning, match=r"1 picture in colour, the first .*x\.png"):
        predict(model, tmp_path / "one")
    put(tmp_path / "new" / "unsorted" / "0.png", PICTURES[0])
    with pytest.raises(DataError, match="'unsorted' is not among the classes; known: 0, 1, 2"):
        evaluate(model, tmp_path / "new")


def test_grey_arrays_fit_a_model_of_colour_and_not_the_other_way(
    model: Path, tmp_path: Path
) -> None:
    y = DIGITS.target[FEW]
    colour = linear((np.stack([PICTURES[FEW]] * 3, 1), y), tmp_path / "r")
    assert evaluate(colour, (PICTURES[FEW], y))["models"]["linear"]["test"]["accuracy"] > 0.95
    alike = evaluate(model, (np.stack([PICTURES[FEW]] * 3, 1), y))
    assert alike["data"]["part"] == "test" and alike["data"]["rows"] == 24  # the run's own data
    mixed = np.stack([PICTURES[FEW], PICTURES[FEW][::-1], PICTURES[FEW]], 1)
    with pytest.raises(DataError, match="in colour; the model takes grey ones"):
        evaluate(model, (mixed, y))


def test_a_model_of_normalised_pictures_takes_no_bytes(tmp_path: Path) -> None:
    y = DIGITS.target[FEW]
    normal = (PICTURES[FEW] / np.float32(255) - 0.3) / 0.4
    model = linear((normal.astype(np.float32), y), tmp_path / "r")
    with pytest.raises(DataError, match="the model learned from float32, in another unit"):
        evaluate(model, (PICTURES[FEW], y))
    code, _, err = said("predict", model, put(tmp_path / "a.png", PICTURES[0]))
    assert code == 2 and "learned from pictures of float32" in err


def test_the_model_says_whether_targets_are_classes_or_numbers(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(100, 3))
    numbers = linear((x, x @ [1, 2, 3]), tmp_path / "numbers")
    whole = (x @ [1, 2, 3]).round().clip(-1, 1)
    assert evaluate(numbers, (x, whole))["models"]["linear"]["test"]["rows"] == 100
    classes = linear((x, x[:, 0] > 0), tmp_path / "classes")
    for y in (np.ones(5, bool), np.ones(5, int), np.ones(5)):
        assert predict(classes, (x[:5], y)).y is not None
    with pytest.raises(DataError, match="row 1: the label 7 is not among the classes"):
        predict(classes, (x[:2], [1, 7]))
    with pytest.raises(DataError, match="holds fractions"):
        evaluate(classes, (x, x[:, 0]))


def test_a_frame_with_its_target_beside_it_is_evaluated(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=100)
    frame = pandas.DataFrame({"a": x, "b": ["m", "f"] * 50})
    y = pandas.Series(np.where(x > 0, "yes", "no"), name="answer")
    model = linear((frame, y), tmp_path / "r")
    first = evaluate(model, (frame, y))
    assert first["models"]["linear"]["test"]["accuracy"] > 0.9
    assert evaluate(model, (frame, y.to_numpy()))["models"] == first["models"]
    assert evaluate(model, frame.assign(answer=y))["models"] == first["models"]
    assert predict(model, frame).y is None
    torch.testing.assert_close(
        torch.from_numpy(predict(model, frame).p), torch.from_numpy(predict(model, (frame, y)).p)
    )

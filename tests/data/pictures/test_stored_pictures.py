"""Pictures in a store: those of the same folder in memory, in shuffled order."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import linnet
from linnet.core import files
from linnet.data import store
from linnet.data.dataset import Dataset
from linnet.data.pictures import ground
from linnet.data.pictures.pieces import Pictures
from linnet.data.read import read_draft
from linnet.data.reading import Reading
from linnet.data.split import Split
from linnet.data.store import Stored
from linnet.errors import DataError, RecipeError, WorkError

SETTINGS = {"seed": 3, "max_categories": 100}
EACH = 40
"""The pictures of a class."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of small drawings on black, and a file that is no picture."""
    draws = np.random.default_rng(0)
    place: Path = tmp_path_factory.mktemp("pictures") / "drawn"
    for number, name in enumerate(("cross", "dot", "line")):
        (place / name).mkdir(parents=True)
        for row in range(EACH):
            picture = np.zeros((10, 8), np.uint8)
            picture[3 + number : 5 + number, 3:6] = draws.integers(100, 255, (2, 3))
            Image.fromarray(picture).save(place / name / f"{row:03}.png")
    (place / "line" / "notes.txt").write_text("about")
    return place


def divide(data: Dataset) -> Split:
    return data.split(test=0.2, valid=None, seed=3)


def both(place: Path, out: Path, reading: Reading) -> tuple[Dataset, Split, Stored]:
    """The data in memory with its split, and the store."""
    drafted = read_draft(place, reading)
    split = divide(drafted)
    assert Pictures.matches(place)
    found = store.stored(Pictures(place, reading), reading, out, divide, SETTINGS)
    return drafted.learn(split.train, 100, 3), split, found


def in_order(rows: Dataset) -> list[Any]:
    return sorted([y, *x] for x, y in zip(rows.x.flatten(1).tolist(), rows.y.tolist(), strict=True))


@pytest.mark.parametrize(
    "settings", [{}, {"classes": ("dot", "line"), "positive": "dot"}, {"size": "6", "fit": "crop"}]
)
@pytest.mark.parametrize("bucket", [1 << 11, 1 << 27])
def test_the_parts_hold_the_pictures_of_the_folder(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    bucket: int,
) -> None:
    monkeypatch.setattr(store, "BUCKET", bucket)
    monkeypatch.setattr(ground, "BLOCK", 7)
    whole, split, found = both(folder, tmp_path / "s", Reading(**settings))
    assert found.data.schema == whole.schema and whole.schema.ground is not None
    assert found.data.notes == whole.notes and found.data.name == whole.name
    assert len(found.seen) == len(whole) and found.seen.schema.example == "picture"
    for part, rows in zip(found.split, split, strict=True):
        assert in_order(found.data.take(part)) == in_order(whole.take(rows))
    for part, rows in zip(found.split[1:], split[1:], strict=True):
        assert found.data.take(part).fingerprint() == whole.take(rows).fingerprint()
    assert not found.data.take(found.split.train).x.equal(whole.take(split.train).x)


def test_bad_pictures_and_parts_are_as_in_memory(folder: Path, tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        shutil.copytree(folder, tmp_path / "parts" / part)
    content = (tmp_path / "parts/train/dot/003.png").read_bytes()
    (tmp_path / "parts/train/dot/003.png").write_bytes(content[:-20])
    with pytest.raises(DataError, match="not a readable picture"):
        both(tmp_path / "parts", tmp_path / "s", Reading())
    reading = Reading(on_bad="skip")
    whole, split, found = both(tmp_path / "parts", tmp_path / "s", reading)
    assert list(map(len, found.split)) == list(map(len, split)) == [119, 120, 120]
    assert found.data.notes == whole.notes and "cannot be read" in str(whole.notes)
    assert len(list((tmp_path / "s").iterdir())) == 1


def test_a_zip_is_decoded_too_and_found_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(shutil.make_archive(str(tmp_path / "drawn"), "zip", folder))
    whole, _, found = both(place, tmp_path / "s", Reading())
    assert found.data.name == whole.name == "drawn" and found.data.notes == whole.notes
    monkeypatch.setattr(store, "_make", lambda *_: pytest.fail("it is made twice"))
    again = store.stored(Pictures(place, Reading()), Reading(), tmp_path / "s", divide, SETTINGS)
    assert again.data.fingerprint() == found.data.fingerprint()


def test_what_fits_follows_from_the_sizes_of_some_pictures(folder: Path, tmp_path: Path) -> None:
    need = 6 * 3 * EACH * 8 * 10
    place = Path(shutil.make_archive(str(tmp_path / "drawn"), "zip", folder))
    for found in (Pictures(folder, Reading()), Pictures(place, Reading())):
        assert found.fits(need + 1) and not found.fits(need)
    assert Pictures(folder, Reading(size="4")).fits(need // 4)


def test_a_full_disk_and_settings_of_tables_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecipeError, match=r"drop=.*is for tables"):
        both(folder, tmp_path / "s", Reading(drop=("x",)))
    monkeypatch.setattr(files, "free", lambda _: 1000)
    with pytest.raises(WorkError, match=r"while the store is made, and .* GB are free there"):
        both(folder, tmp_path / "s", Reading())
    assert not (tmp_path / "s").exists()


def test_a_line_from_the_store_has_the_scores_of_the_line_in_memory(
    folder: Path, tmp_path: Path
) -> None:
    runs = [
        linnet.train(folder, out=tmp_path / f"run{number}", model="linear", yardstick="none",
                     echo=False, folds=1, store=place, dtype="float64", tol=1e-10)
        for number, place in enumerate((None, str(tmp_path / "s")))
    ]  # fmt: skip
    one, other = (run.metrics["models"]["linear"]["test"] for run in runs)
    assert other["accuracy"] == one["accuracy"]
    assert other["log_loss"] == pytest.approx(one["log_loss"], rel=1e-6)
    assert not list((tmp_path / "s").rglob("*.scratch"))

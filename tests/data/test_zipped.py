"""A zip of a folder is read as that folder; a hostile zip is refused before it is unpacked."""

import os
import stat
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image

import linnet
from helpers import command, refusal
from linnet.data import zipped
from linnet.errors import DataError, LinnetWarning
from linnet.experiment.evaluate import evaluate
from linnet.experiment.predict import predict

DRAW = np.random.default_rng(0)


def album(place: Path, each: int = 12) -> Path:
    for number in range(each):
        for kind, base in (("cold", 20), ("warm", 200)):
            path = place / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(DRAW.integers(base, base + 50, (8, 8), np.uint8)).save(path)
    return place


def packed(folder: Path, place: Path, inside: str = "") -> Path:
    """All files of a folder as a zip, below the folder ``inside``."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, Path(inside) / path.relative_to(folder))
    return place


def left() -> list[str]:
    return [name for name in os.listdir(tempfile.gettempdir()) if name.startswith("linnet-")]


@pytest.mark.parametrize("inside", ["", "photos", "a/b"])
@pytest.mark.parametrize("parts", [False, True])
def test_a_zip_of_pictures_is_the_folder(inside: str, parts: bool, tmp_path: Path) -> None:
    if parts:
        album(tmp_path / "p" / "train")
        album(tmp_path / "p" / "test", 3)
    else:
        album(tmp_path / "p")
    place = packed(tmp_path / "p", tmp_path / "photos.zip", inside)
    with zipfile.ZipFile(place, "a") as file:
        file.writestr("__MACOSX/._x.png", b"")
        file.writestr(".DS_Store", b"")
    before = left()
    one, two = linnet.read(place), linnet.read(tmp_path / "p")
    assert one.x.equal(two.x) and one.y.equal(two.y) and one.schema == two.schema
    assert one.test_rows == two.test_rows == (6 if parts else 0)
    assert one.name == "photos" and left() == before
    assert linnet.read(str(place)).fingerprint() == two.fingerprint()


def test_a_zip_is_trained_evaluated_reported_and_predicted(tmp_path: Path) -> None:
    album(tmp_path / "p" / "train")
    album(tmp_path / "p" / "test", 4)
    packed(tmp_path / "p", tmp_path / "photos.zip", "photos")
    done = command(
        "train", "photos.zip", "--model", "linear", "--set", "penalty=0.1", "--out", "r",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r" / "report.html").stat().st_size > 10_000
    scores = evaluate(tmp_path / "r", tmp_path / "photos.zip")
    assert scores["data"]["part"] == "test" and scores["data"]["rows"] == 8
    assert scores["models"]["linear"]["test"]["accuracy"] == 1
    new = album(tmp_path / "new" / "deep")
    for number, path in enumerate(sorted(new.rglob("*.png"))):
        path.rename(tmp_path / "new" / f"{number:02}.png")
    place = packed(tmp_path / "new", tmp_path / "new.zip")
    found = predict(tmp_path / "r", place)
    assert found.files == tuple(f"{number:02}.png" for number in range(24)) and found.y is None
    assert found.prediction.tolist() == ["cold"] * 12 + ["warm"] * 12


def test_other_folders_and_single_files_come_in_zips_too(tmp_path: Path) -> None:
    frame = polars.DataFrame(
        {"a": range(40), "b": [row % 7 for row in range(40)], "y": [1, 0] * 20}
    )
    frame.write_csv(tmp_path / "t.csv")
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as file:
        file.write(tmp_path / "t.csv", "some/t.csv")
    assert linnet.read(tmp_path / "t.csv.zip", "y").x.equal(linnet.read(tmp_path / "t.csv", "y").x)
    folder = tmp_path / "idx"
    folder.mkdir()
    for part, rows in (("train", 20), ("t10k", 10)):
        head = bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in (rows, 4, 4))
        pixels = DRAW.integers(0, 256, rows * 16, np.uint8).tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + pixels)
        head = bytes((0, 0, 8, 1)) + rows.to_bytes(4, "big")
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + bytes([0, 1] * (rows // 2)))
    place = packed(folder, tmp_path / "idx.zip", "mnist")
    data = linnet.read(place)
    assert data.x.equal(linnet.read(folder).x) and data.test_rows == 10


def test_errors_and_remarks_name_the_zip(tmp_path: Path) -> None:
    album(tmp_path / "p")
    (tmp_path / "p" / "warm" / "bad.png").write_bytes(b"no picture")
    place = packed(tmp_path / "p", tmp_path / "photos.zip")
    said = refusal(linnet.read, place)
    assert said.startswith(f"{place}/warm/bad.png: not a readable picture"), said
    data = linnet.read(place, on_bad="skip")
    assert any(f"{place}/warm/bad.png" in note for note in data.notes)
    (tmp_path / "p" / "warm" / "bad.png").unlink()
    Image.new("L", (9, 9), 3).save(tmp_path / "p" / "warm" / "x.png")
    said = refusal(linnet.read, packed(tmp_path / "p", tmp_path / "other.zip"))
    assert f"linnet train {tmp_path / 'other.zip'} --set size=8 " in said
    with pytest.warns(LinnetWarning, match="1 picture skipped"):
        (tmp_path / "p" / "warm" / "x.png").rename(tmp_path / "p" / "x.png")
        linnet.read(packed(tmp_path / "p", tmp_path / "third.zip"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme").write_text("nothing")
    (tmp_path / "empty" / "more").write_text("nothing")
    assert "a folder of no known kind" in refusal(
        linnet.read, packed(tmp_path / "empty", tmp_path / "e.zip")
    )


def _link(file: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("cold/link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    file.writestr(info, "/etc/passwd")


HOSTILE: dict[str, tuple[Any, str]] = {
    "outside": (lambda file: file.writestr("../x.png", b"x"), "points outside of it"),
    "from the root": (lambda file: file.writestr("/tmp/x.png", b"x"), "points outside of it"),
    "backslashes": (lambda file: file.writestr("a\\..\\..\\x.png", b"x"), "points outside of it"),
    "drive": (lambda file: file.writestr("C:/x.png", b"x"), "points outside of it"),
    "link": (_link, "is a link or a device"),
    "twice": (lambda file: file.writestr("cold/0.png", b"x"), "is in this zip twice"),
    "file and folder": (lambda file: file.writestr("cold/0.png/x.png", b"x"), "is a folder, too"),
    "long": (lambda file: file.writestr("x" * 300 + ".png", b"x"), "cannot unpack"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_names_that_do_harm_are_refused(kind: str, tmp_path: Path) -> None:
    make, words = HOSTILE[kind]
    place = packed(album(tmp_path / "p"), tmp_path / "photos.zip")
    with zipfile.ZipFile(place, "a") as file, pytest.warns() if kind == "twice" else _quiet():
        make(file)
    before = left()
    said = refusal(linnet.read, place)
    assert words in said and str(place) in said and left() == before
    assert not (tmp_path.parent / "x.png").exists()


class _quiet:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def test_zips_that_swell_are_damaged_or_nested_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/x.png", bytes(1 << 20))
        file.writestr("b/x.png", bytes(1 << 20))
    monkeypatch.setattr(zipped, "SMALL_BYTES", 1 << 20)
    assert "more than 200 times as many (MAX_RATIO)" in refusal(linnet.read, bomb)
    place = packed(album(tmp_path / "p"), tmp_path / "photos.zip")
    content = place.read_bytes()
    for end in range(4, len(content), len(content) // 40):
        place.write_bytes(content[:end])
        with pytest.raises(DataError, match=r"photos\.zip"):
            linnet.read(place)
    damaged = bytearray(content)
    damaged[90] ^= 255
    place.write_bytes(damaged)
    with pytest.raises(DataError, match=r"photos\.zip"):
        linnet.read(place)
    place.write_bytes(content)
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.write(place, "photos.zip")
    assert "a zip in a zip" in refusal(linnet.read, tmp_path / "outer.zip")
    monkeypatch.setattr(zipped, "MAX_FILES", 3)
    assert "files; at most 3" in refusal(linnet.read, place)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    monkeypatch.setattr(zipped, "MAX_FILES", 300)
    assert "are free in" in refusal(linnet.read, place)


def test_an_encrypted_zip_is_told(tmp_path: Path) -> None:
    place = packed(album(tmp_path / "p"), tmp_path / "photos.zip")
    content = bytearray(place.read_bytes())
    at = content.find(b"PK\x01\x02")
    content[at + 8] |= 1  # the flag in the list of members
    place.write_bytes(content)
    assert "is encrypted; unpack it yourself" in refusal(linnet.read, place)

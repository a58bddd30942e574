"""A run's zip is taken wherever a run is, read in memory; a zip that is none of ours is refused."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import linnet
from linnet.cli import app
from linnet.errors import InputError, ModelError
from linnet.experiment.evaluate import evaluate
from linnet.experiment.train import repeat
from linnet.runs import archive, directory, query
from linnet.runs.repeat import agreement
from linnet.runs.run import Run
from linnet.show.report import page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zips") / "own"
    linnet.train("digits", model="linear", out=path)
    return path


@pytest.fixture(scope="module")
def packed(folder: Path) -> Path:
    out = folder.with_name("own.zip")
    archive.pack(folder, out)
    return out


def test_a_zip_says_what_its_folder_says(folder: Path, packed: Path) -> None:
    one, two = Run(folder), Run(packed)
    assert two.name == "own"
    assert two.metrics == one.metrics
    assert two.info == one.info
    assert two.events() == one.events()
    assert [str(claim) for claim in two.reasons()] == [str(claim) for claim in one.reasons()]
    for part, rows in one.split().items():
        assert torch.equal(rows, two.split()[part])
    weight = one.model.module.state_dict()["linear.weight"]
    assert torch.equal(weight, two.model.module.state_dict()["linear.weight"])
    for make in (Run.curves, Run.confusion, Run.calibration, Run.mistakes, Run.weights):
        assert make(two).plain() == make(one).plain()
    assert "own" in two._repr_html_()


def test_a_zip_is_taken_wherever_a_run_is(folder: Path, packed: Path, tmp_path: Path) -> None:
    assert evaluate(packed, "digits") == evaluate(folder, "digits")
    x = linnet.read("digits").x[:5]
    assert (linnet.load(packed).predict(x) == linnet.load(folder).predict(x)).all()
    one, two = (query.facts(archive.run_place(path)) for path in (folder, packed))
    assert {**one, "name": ""} == {**two, "name": ""}
    out = tmp_path / "report.html"
    page.write([packed, folder], out)
    assert "own" in out.read_text(encoding="utf-8")
    for words in (
        ["runs", "show", str(packed), "--json"],
        ["inspect", str(packed), "--json"],
        ["runs", "compare", str(packed), str(folder), "--json"],
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (words, result.output)
        assert json.loads(result.stdout)
    again = repeat(packed, out=tmp_path / "again")
    assert agreement(archive.run_place(packed), again.path)["agrees"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["own", "own.zip"]


def test_a_folder_packed_by_another_program_is_a_run(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.mkdir("own")
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                out.write(file, f"own/{file.relative_to(folder)}")
    assert Run(path).metrics == Run(folder).metrics
    assert Run(path).models.keys() == Run(folder).models.keys()


def test_a_sync_of_a_zip_says_to_unpack_it(packed: Path) -> None:
    result = CliRunner().invoke(app, ["runs", "sync", str(packed), "--to", "tensorboard"])
    assert result.exit_code == 2
    assert "cannot use a zip: unpack it" in result.stderr


def made(change: Callable[[zipfile.ZipFile], Any], path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("run.json", "{}")
        change(out)
    return path


def member(name: str, **given: Any) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for key, value in given.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda z: z.writestr("../out", "x"), "points outside the zip"),
        (lambda z: z.writestr("a/../../out", "x"), "points outside the zip"),
        (lambda z: z.writestr("/etc/passwd", "x"), "points outside the zip"),
        (lambda z: z.writestr("a//b", "x"), "points outside the zip"),
        (lambda z: z.writestr("a/./b", "x"), "points outside the zip"),
        (lambda z: z.writestr("/", ""), "points outside the zip"),
        (lambda z: z.writestr("..\\out", "x"), "points outside the zip"),
        (lambda z: z.writestr("C:out", "x"), "not the name of a file"),
        (lambda z: z.writestr("a\x1b[31m", "x"), "not the name of a file"),
        (lambda z: z.writestr(member("l", external_attr=0o120777 << 16), "/"), "link or a device"),
        (lambda z: z.writestr(member("d", external_attr=0o060666 << 16), ""), "link or a device"),
        (lambda z: z.writestr("x", "x", zipfile.ZIP_BZIP2), "stored or deflated"),
        (lambda z: z.writestr("x", "x", zipfile.ZIP_LZMA), "stored or deflated"),
    ],
)
def test_a_zip_of_anything_but_plain_files_is_refused(
    tmp_path: Path, change: Callable[[zipfile.ZipFile], Any], words: str
) -> None:
    path = made(change, tmp_path / "bad.zip")
    with pytest.raises(InputError, match=words):
        Run(path)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = made(lambda z: z.writestr("run.json", "{}"), tmp_path / "twice.zip")
    with pytest.raises(InputError, match=r"'run\.json' is in this zip twice"):
        Run(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = made(lambda z: z.writestr("x", "x"), tmp_path / "secret.zip")
    content = bytearray(path.read_bytes())
    place = content.rfind(b"PK\x01\x02")
    content[place + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="encrypted"):
        Run(path)


def test_limits_of_a_zip_hold(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value, words in (
        ("MAX_ZIP_BYTES", 1000, "MAX_ZIP_BYTES"),
        ("MAX_UNPACKED_BYTES", 1000, "when unpacked"),
        ("MAX_MEMBERS", 3, "MAX_MEMBERS"),
        ("MAX_DIRECTORY_BYTES", 30, "MAX_DIRECTORY_BYTES"),
    ):
        with monkeypatch.context() as patch, pytest.raises(InputError, match=words):
            patch.setattr(archive, name, value)
            Run(packed)


@pytest.mark.slow
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("run.json", "{}")
        with out.open("metrics.json", "w", force_zip64=False) as file:
            for _ in range(1100):
                file.write(bytes(1 << 20))
    assert path.stat().st_size < 2 << 20
    with pytest.raises(InputError, match="MAX_UNPACKED_BYTES"):
        Run(path)


def test_a_member_that_lies_about_its_size_is_damaged(packed: Path, tmp_path: Path) -> None:
    content = bytearray(packed.read_bytes())
    with zipfile.ZipFile(io.BytesIO(content)) as archived:
        size = archived.getinfo("metrics.json").file_size
    at = content.rfind(b"metrics.json") - 46
    assert content[at : at + 4] == b"PK\x01\x02"
    content[at + 24 : at + 28] = struct.pack("<I", size - 10)
    path = tmp_path / "lies.zip"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        Run(path)


@pytest.mark.slow
def test_any_damage_to_a_zip_is_a_refusal_or_changes_nothing(folder: Path, tmp_path: Path) -> None:
    """Bytes changed or cut away, everywhere: an error of ours, or the same run."""
    small = tmp_path / "small"
    small.mkdir()
    for name in (directory.RUN, directory.METRICS, directory.STATUS, directory.RECIPE):
        (small / name).write_bytes((folder / name).read_bytes())
    path = tmp_path / "small.zip"
    archive.pack(small, path)
    whole, metrics = path.read_bytes(), Run(folder).metrics
    refused = 0
    for place in range(0, len(whole), 7):
        for damaged in (
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :],
        ):
            path.write_bytes(damaged)
            try:
                run = Run(path)
                found = run.metrics
                assert run.info["format"] == 1
            except InputError:
                refused += 1
                continue
            assert found == metrics
    assert refused > len(whole) // 7


def test_another_zip_is_no_run_and_no_model(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.ones(2)}, path)
    with pytest.raises(ModelError, match="zip archive"):
        linnet.load(path)
    with pytest.raises(InputError, match="not a run of linnet"):
        Run(path)


def test_the_live_page_shows_a_zip(packed: Path, folder: Path) -> None:
    from linnet.show.view.follower import Folder

    shown, own = Folder(packed), Folder(folder)
    for each in (shown, own):
        each.look()
        for run in each.runs.values():
            run.read()
    (one,), (two,) = shown.runs.values(), own.runs.values()
    assert (one.name, one.row and one.row["state"]) == ("own", "finished")
    assert one.series.keys() == two.series.keys() and one.series
    assert one.detail()["models"] == two.detail()["models"]

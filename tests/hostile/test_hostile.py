"""Files made to do harm: pipes, devices, links, bombs, pickles, lies about sizes, odd names.

Every refusal is that of the real reader or command, while ``watching`` looks on: nothing of a file
is run, imported or followed, and nothing is written.
"""

import io
import json
import os
import pickle
import random
import socket
import stat
import struct
import subprocess
import sys
import tarfile
import threading
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import linnet
from fuzzing import csv_seeds, idx_seeds, lay, npz_seeds, parquet_seeds, picture_seeds
from helpers import ROOT, TESTS
from linnet.cli import app
from linnet.core import memory
from linnet.core.limits import Limit
from linnet.data.memory import arrays
from linnet.data.pictures import sizes
from linnet.errors import InputError, LinnetError, ModelError, RecipeError
from linnet.fit import artifact
from linnet.fit.settings import read_recipe
from linnet.runs import archive, directory, events
from linnet.runs.run import Run
from watching import watch

shaped = pytest.mark.skipif(
    not hasattr(directory, "read_info"), reason="the files of runs are not yet checked by sound"
)


def refused(place: Path, read: Callable[[Path], object], *roots: Path) -> str:
    """The one message of a refusal, which names the place; nothing unwanted was done."""
    root = place if place.is_dir() else place.parent
    with watch(root, *roots) as seen, pytest.raises(LinnetError) as caught:
        read(place)
    said = str(caught.value)
    assert seen == []
    assert place.name in said and "\n" not in said and len(said) < 2000
    said.encode()
    return said


def ends(read: Callable[[], object], seconds: float = 20) -> None:
    """That it ends at all: what waits at a pipe would never."""
    done = threading.Thread(target=read, daemon=True)
    done.start()
    done.join(seconds)
    assert not done.is_alive()


class Payload:
    """A pickle that would touch a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file that no reading may touch."""
    path = tmp_path_factory.mktemp("canary") / "touched"
    yield path
    assert not path.exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "run"
    linnet.train("iris", model="linear", out=path)
    return path


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A run of one's own to spoil."""
    import shutil

    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


# ------------------------------------------------------------------------ the hook that looks on


def test_the_hook_tells_of_all_that_is_unwanted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    deeds: list[tuple[Callable[[], object], str]] = [
        (lambda: exec("1"), "exec of"),
        (lambda: eval("1 + 1"), "compile of"),
        (lambda: pickle.loads(pickle.dumps(Payload(tmp_path / "x"))), "pickle.find_class"),
        (lambda: subprocess.run(["true"], check=True), "subprocess.Popen"),
        (lambda: os.system("true"), "os.system"),
        (lambda: socket.socket().close(), "socket."),
        (lambda: (tmp_path / "in" / "x").write_text("x"), "to write"),
        (lambda: Path("/etc/passwd").read_text(), "outside"),
        (lambda: os.mkdir(tmp_path / "in" / "y"), "os.mkdir"),
    ]
    for deed, word in deeds:
        with watch(tmp_path / "in") as seen:
            deed()
        assert any(word in line for line in seen), word
    with watch(tmp_path / "in") as seen, pytest.raises(ModuleNotFoundError):
        __import__("not_a_module_of_linnet")
    assert seen == ["import not_a_module_of_linnet"]


# ------------------------------------------------------------------------------- special files


def special(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "itself":
        path.symlink_to(path.name)
    else:
        here = os.getcwd()
        os.chdir(path.parent)  # the path of a socket is short
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path.name)
        finally:
            os.chdir(here)


KINDS = ("pipe", "device", "folder", "socket", "itself")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.npz", "a.data"])
def test_a_place_that_is_no_file_is_refused_and_not_waited_for(
    kind: str, name: str, tmp_path: Path
) -> None:
    special(tmp_path / name, kind)

    def read() -> None:
        said = refused(tmp_path / name, linnet.read)
        words = "Too many levels of symbolic links" if kind == "itself" else "of no known kind"
        assert words in said

    read()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_idx_or_cifar_that_is_none_is_not_opened(kind: str, tmp_path: Path) -> None:
    lay(tmp_path / "idx", idx_seeds(tmp_path)[0])
    special(tmp_path / "idx" / "train-labels-idx1-ubyte", kind)
    assert "has no labels" in refused(tmp_path / "idx", linnet.read)
    ten = tmp_path / "ten"
    ten.mkdir()
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (ten / name).write_bytes(bytes(3073))
    special(ten / "test_batch.bin", kind)
    assert "test_batch.bin: not there" in refused(ten, linnet.read)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    special(path, kind)

    def read() -> None:
        said = refused(path, linnet.load)
        assert "no run" in said or "not a run" in said or "no metrics.json" in said

    ends(read)


@shaped
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    ["events.jsonl", "status.json", "run.json", "metrics.json", "split.safetensors",
     "linear.safetensors", "recipe.toml", "predictions/linear.parquet"],
)  # fmt: skip
def test_a_file_of_a_run_that_is_none_is_not_waited_for(kind: str, name: str, copy: Path) -> None:
    special(copy / name, kind)
    reads: list[Callable[[], object]] = [
        lambda: Run(copy).metrics, lambda: Run(copy).info, lambda: Run(copy).split(),
        lambda: Run(copy).model, lambda: Run(copy).events(), lambda: Run(copy).confusion(),
        lambda: Run(copy).calibration(), lambda: directory.describe(copy),
        lambda: read_recipe(copy / "recipe.toml"),
    ]  # fmt: skip

    def all_of_them() -> None:
        for read in reads:
            try:
                read()
            except LinnetError:
                continue

    ends(all_of_them)


# ------------------------------------------------------------------------------------ A: pictures


def test_gzip_says_how_much_of_a_file_is_there(tmp_path: Path) -> None:
    import gzip

    whole = gzip.compress(idx_seeds(tmp_path)[0]["train-images-idx3-ubyte"] + bytes(5000))
    seed = idx_seeds(tmp_path)[0]
    lay(tmp_path / "idx", {**seed, "train-images-idx3-ubyte": whole})
    assert "bytes follow the 96 that its sizes declare" in refused(tmp_path / "idx", linnet.read)
    (tmp_path / "idx" / "train-images-idx3-ubyte").write_bytes(
        gzip.compress(seed["train-images-idx3-ubyte"][:-12])
    )
    said = refused(tmp_path / "idx", linnet.read)
    assert "declares 8 images, holds 7 at most (84 of 96 bytes)" in said


def test_what_does_not_fit_in_memory_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path / "idx", idx_seeds(tmp_path)[0])
    lay(tmp_path / "npz", npz_seeds(tmp_path)[0])
    (tmp_path / "ten").mkdir()
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (tmp_path / "ten" / name).write_bytes(bytes(3073))
    monkeypatch.setattr(memory, "available", lambda: 50)
    for name in ("idx", "npz/a.npz", "ten"):
        said = refused(tmp_path / name, linnet.read, tmp_path)
        assert "needs about" in said and "are free" in said


def test_numbers_with_a_point_in_idx_are_refused_by_name(tmp_path: Path) -> None:
    content = bytes((0, 0, 13, 3)) + struct.pack(">3I", 1, 1, 1) + struct.pack(">f", float("nan"))
    lay(tmp_path / "idx", {**idx_seeds(tmp_path)[0], "train-images-idx3-ubyte": content})
    said = refused(tmp_path / "idx", linnet.read)
    assert "magic 0x00000d03; expected 0x00000803: 32-bit floating numbers" in said


# ---------------------------------------------------------------------------- B: image folders


def pictures(place: Path) -> Path:
    lay(place, picture_seeds(place)[0])
    return place


ALIENS = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch x) (w) file\n",
    "psd": b"8BPS\0\1" + bytes(100),
    "fits": b"SIMPLE  =                    T".ljust(2880),
    "html": b"<html><script>alert(1)</script></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
    "pdf": b"%PDF-1.4\n1 0 obj\n",
    "webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "ico": b"\0\0\1\0\1\0",
    "pickle": pickle.dumps(Payload(Path("/nowhere"))),
}
for _format in ("GIF", "TIFF", "BMP", "PPM", "TGA", "PCX", "JPEG2000"):
    _out = io.BytesIO()
    try:
        Image.new("RGB", (6, 5)).save(_out, _format)
    except (OSError, KeyError):  # this Pillow cannot write it
        continue
    ALIENS[_format.lower()] = _out.getvalue()


@pytest.mark.parametrize("kind", ALIENS)
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_another_format_named_png_meets_no_decoder(kind: str, ending: str, tmp_path: Path) -> None:
    place = pictures(tmp_path / "p")
    (place / "a" / f"x.{ending}").write_bytes(ALIENS[kind])
    with watch(place) as seen, pytest.raises(LinnetError) as caught:
        linnet.read(place)
    assert (
        seen == []
        and f"x.{ending}: not a readable picture: its content is neither PNG nor JPEG"
        in str(caught.value)
    )
    assert len(linnet.read(place, on_bad="skip")) == 2


def test_a_folder_of_too_many_pixels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "MAX_FOLDER_BYTES", 179)
    said = refused(pictures(tmp_path / "p"), linnet.read)
    assert "take 180 bytes; at most 179 (MAX_FOLDER_BYTES)" in said


@pytest.mark.parametrize(
    "name", ["a\nb.png", "\U0001f600.png", "-rf.png", "x" * 251 + ".png", "e\u0301.png",
             "'\"`$(x).png", "\x1b[31m.png", "<b>.png"],
)  # fmt: skip
def test_a_picture_of_any_name_is_read_and_named(name: str, tmp_path: Path) -> None:
    place = pictures(tmp_path / "p")
    (place / "a" / name).write_bytes((place / "b" / "plain.png").read_bytes())
    assert len(linnet.read(place)) == 3
    (place / "a" / name).write_bytes(b"x")
    result = CliRunner().invoke(app, ["data", "show", str(place)])
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "not a readable picture" in result.stderr


def test_files_that_may_not_be_read_are_named(tmp_path: Path) -> None:
    """By an unprivileged user: root may read all."""
    place = pictures(tmp_path / "p")
    lay(tmp_path / "idx", idx_seeds(tmp_path)[0])
    lay(tmp_path / "npz", npz_seeds(tmp_path)[0])
    lay(tmp_path / "csv", csv_seeds(tmp_path)[0])
    lay(tmp_path / "parquet", parquet_seeds(tmp_path)[0])
    closed = ["p/b/plain.png", "idx/train-images-idx3-ubyte", "npz/a.npz", "csv/a.csv",
              "parquet/a.parquet"]  # fmt: skip
    for name in closed:
        (tmp_path / name).chmod(0)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.getuid() and path != Path("/tmp") and "pytest" in str(path):
            path.chmod(0o755)
    reads = [place, *(tmp_path / name for name in ("idx", *closed[2:]))]
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        for path, name in zip(reads, closed, strict=True):
            with pytest.raises(LinnetError) as caught:
                linnet.read(path)
            said = str(caught.value)
            assert Path(name).name in said or "of no known kind" in said
            assert "ermission denied" in said or "of no known kind" in said, said
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.slow
def test_a_folder_of_very_many_pictures_takes_little_memory(tmp_path: Path) -> None:
    """100,000 names of one picture: memory for the names, and 15 bytes of pixels each."""
    place = pictures(tmp_path / "p")
    first = place / "b" / "plain.png"
    (place / "a" / "grey.png").unlink()
    for number in range(100_000):
        if number % 20_000 == 0:  # a file has at most 65,000 names
            source = place / "ab"[number % 2] / f"s{number}.png"
            source.write_bytes(first.read_bytes())
        else:
            os.link(source, place / "ab"[number % 2] / f"{number}.png")
    code = (
        "import linnet, resource, sys\n"
        "base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"data = linnet.read({str(place)!r})\n"
        "print(len(data), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, held = map(int, done.stdout.split())
    assert count == 100_001 and held < 400_000  # kilobytes, torch's own among them


# ------------------------------------------------------------------------- npz: no pickle, no eval


def npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members.items():
            out.writestr(f"{name}.npy", content)
    return path


def npy(header: str, body: bytes = b"", version: int = 1) -> bytes:
    raw = header.encode("latin-1")
    size = len(raw).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + size + raw + body


def header(descr: str = "'<f8'", shape: str = "(2, 1)", fortran: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"


GOOD = npy(header(), struct.pack("<2d", 1, 2))

NPY_FAULTS: dict[str, tuple[bytes, str]] = {
    "objects": (npy(header("'|O'"), b"x" * 16), "holds Python objects"),
    "records": (npy(header("[('a', '<f8')]"), bytes(16)), "the header of X.npy is"),
    "complex numbers": (npy(header("'<c16'"), bytes(32)), "expected numbers or text"),
    "dates": (npy(header("'<M8'"), bytes(16)), "expected numbers or text"),
    "wide text": (npy(header("'<U999999999'"), bytes(16)), "expected numbers or text"),
    "code for a shape": (npy(header(shape="(__import__('os').getpid(),)")), "the header of X.npy"),
    "deep": (npy(header(shape="(" * 4000 + ")" * 4000)), "the header of X.npy is"),
    "huge": (npy(header(shape=f"({2**62}, {2**62})"), bytes(16)), "is (4611686018427387904"),
    "large": (npy(header(shape="(1000000000, 1000)"), bytes(16)),
              "needs 8,000,000,000,000 bytes, holds 16"),
    "negative": (npy(header(shape="(-2, 1)"), bytes(16)), "the header of X.npy is"),
    "short": (npy(header(), bytes(15)), "needs 16 bytes, holds 15"),
    "long": (npy(header(), bytes(17)), "needs 16 bytes, holds 17"),
    "no columns": (npy(header(shape="(2, 0)")), "has no rows, or no columns"),
    "header beyond the end": (b"\x93NUMPY\1\0\xff\xff{", "MAX_NPY_HEADER_BYTES"),
    "long header": (npy(header() + " " * 20_000, bytes(16), 2), "MAX_NPY_HEADER_BYTES"),
    "many dimensions": (npy(header(shape="(" + "1, " * 33 + ")"), bytes(8)), "MAX_NPY_DIMENSIONS"),
    "later version": (b"\x93NUMPY\4\0" + GOOD[8:], "of version 1 to 3"),
    "no npy": (b"x" * 40, "does not begin as a .npy"),
    "half characters": (npy(header("'<U1'"), struct.pack("<2I", 0xD800, 65)), "not Unicode"),
    "beyond characters": (npy(header("'<U1'"), struct.pack("<2I", 0x110000, 65)), "not Unicode"),
    "strange truth": (npy(header("'|b1'"), b"\1\7"), "neither 0 nor 1"),
}  # fmt: skip


@pytest.mark.parametrize("fault", NPY_FAULTS)
def test_an_array_that_is_none_is_refused_by_name(fault: str, tmp_path: Path) -> None:
    content, message = NPY_FAULTS[fault]
    assert message in refused(npz(tmp_path / "a.npz", X=content, y=GOOD), linnet.read)


@pytest.mark.parametrize("dtype", [">f4", "<f2", ">i8", "|u1", "|b1", "<U3", ">U2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_kind_are_read_as_numpy_reads_them(
    dtype: str, order: Any, tmp_path: Path
) -> None:
    given = np.array([[1, 0], [0, 1], [1, 1]]).astype(dtype, order=order)
    np.savez(tmp_path / "a.npz", a=given, b=given[:, 0], c=given[0, 0])
    found = arrays._load(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as expected:
        for name in "abc":
            assert found[name].dtype == expected[name].dtype.newbyteorder("=")
            assert np.array_equal(found[name], expected[name])
            assert found[name].flags.writeable


def lied(path: Path, place: int, form: str, value: int) -> Path:
    """An archive whose list of members has another number at a ``place`` of its first entry."""
    content = bytearray(npz(path, X=GOOD, y=GOOD).read_bytes())
    at = content.find(b"PK\1\2") + place
    struct.pack_into(form, content, at, value)
    path.write_bytes(content)
    return path


def test_an_archive_that_lies_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    for place, form, value, message in [
        (8, "<H", 1, "encrypted, or not stored or deflated"),
        (10, "<H", 12, "encrypted, or not stored or deflated"),
        (16, "<I", 0, "Bad CRC-32"),
        (20, "<I", 2**31, "declare more bytes than its"),
        (24, "<I", 2**31, "'X.npy' declares 2,147,483,648 bytes in"),
        (24, "<I", 50, "Bad CRC-32"),
    ]:
        assert message in refused(lied(path, place, form, value), linnet.read)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as out:
        out.writestr("X.npy", GOOD)
        out.writestr("X.npy", GOOD)
    assert "occurs twice" in refused(path, linnet.read)
    assert "twice, with and without capitals" in refused(
        npz(path, X=GOOD, x=GOOD, y=GOOD), linnet.read
    )
    npz(path, X=GOOD, y=GOOD)
    monkeypatch.setattr(arrays, "MAX_NPZ_BYTES", 100)
    assert "(MAX_NPZ_BYTES)" in refused(path, linnet.read)
    monkeypatch.setattr(arrays, "MAX_NPZ_ARRAYS", 1)
    assert "(MAX_NPZ_ARRAYS)" in refused(path, linnet.read)


def test_a_bomb_of_an_npz_holds_no_more_than_it_declares(tmp_path: Path) -> None:
    """40 MB of zeros behind a declared size of a few bytes are never unpacked."""
    import tracemalloc

    path = npz(tmp_path / "a.npz", X=npy(header(shape="(5000000, 1)"), bytes(40_000_000)), y=GOOD)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.find(b"PK\1\2") + 24, 96)
    path.write_bytes(content)
    tracemalloc.start()
    try:
        refused(path, linnet.read)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------------------------ C: tables


def table(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "x/" * 3000, "\ud800.csv", "-rf", "nul"])
def test_a_place_of_any_name_is_refused(name: str) -> None:
    with watch(Path.cwd()) as seen, pytest.raises(LinnetError) as caught:
        linnet.read(name)
    assert seen == [] and "\n" not in str(caught.value)


def test_numbers_that_float32_cannot_hold(tmp_path: Path) -> None:
    rows = "".join(f"{i % 7},{i % 3},{'yn'[i % 2]}\n" for i in range(60))
    path = table(tmp_path / "a.csv", "a,b,y\n" + rows)
    made = linnet.train(path, target="y", model="linear", out=tmp_path / "run")
    assert made.model.schema.dtype == "float32"
    with pytest.raises(InputError, match=r"the column 'a' holds a number of the size 1e\+300"):
        made.model.predict(polars.DataFrame({"a": [1e300], "b": [2.0]}))
    data = linnet.read(table(tmp_path / "b.csv", "a,b,y\n1e300,1,y\n" + rows), "y")
    assert data.schema.dtype == "float64" and data.x.isfinite().all()


def test_one_name_in_two_spellings_is_refused(tmp_path: Path) -> None:
    one, two = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    path = table(tmp_path / "a.csv", f"{one},{two},y\n1,2,3\n4,5,6\n")
    assert "in two forms of Unicode" in refused(path, lambda p: linnet.read(p, "y"))
    polars.DataFrame({one: [1], two: [2], "y": [3]}).write_parquet(tmp_path / "a.parquet")
    said = refused(tmp_path / "a.parquet", lambda p: linnet.read(p, "y"))
    assert "spelled with other code points" in said


ODD = ["__proto__", "constructor", "<script>alert(1)</script>", "x" * 4096, " a b ",
       "\u202egnp", "=cmd|' /C calc'!A0", "../../x", "é\U0001f600", "os.system", "{0.__class__}",
       "%s%n"]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_column_of_any_name_goes_through_training_to_prediction(
    name: str, tmp_path: Path
) -> None:
    values = [f'"{name}",b,y', *(f"{i % 7},{i % 3},{'yn'[i % 2]}" for i in range(60))]
    path = table(tmp_path / "a.csv", "\n".join(values) + "\n")
    made = linnet.train(path, target="y", model="linear", out=tmp_path / "run")
    assert made.model.schema.columns[0].startswith(name.strip())
    assert len(made.model.predict(polars.DataFrame({name.strip(): [1.0], "b": [2.0]}))) == 1
    page = (
        (tmp_path / "run" / "report.html") if (tmp_path / "run" / "report.html").exists() else None
    )
    assert page is None or "<script>alert" not in page.read_text()


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("a,y\n1,2\n", {"target": "z"}, 'a has no column "z"; known: a, y'),
        ("a,y\n1,2\n3,4\n", {"target": "y", "drop": ["y"]}, '"y"'),
        ("a,y\n1,x\n2,x\n3,x\n", {"target": "y"}, "one"),
        ("y\n1\n2\n3\n", {"target": "y"}, "no column"),
    ],
)
def test_a_target_that_is_not_there_or_says_nothing_is_refused(
    text: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = table(tmp_path / "a.csv", text)
    with watch(tmp_path) as seen, pytest.raises(InputError) as caught:
        linnet.read(path, **settings)
    assert seen == [] and message in str(caught.value)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), "zeros", "two columns"])
def test_weights_that_cannot_be_are_refused(weight: Any) -> None:
    X, y = np.arange(12.0).reshape(6, 2) % 5, np.arange(6) % 2
    weights = {"zeros": np.zeros(6), "two columns": np.ones((6, 2))}.get(weight)
    if weights is None:
        weights = np.array([1, 1, weight, 1, 1, 1])
    for model in (linnet.LogisticRegression(), linnet.Ridge()):
        with pytest.raises(ValueError):
            model.fit(X, y, sample_weight=weights)


# ------------------------------------------------------------------------------------- D: models


def test_a_tar_is_no_model(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "m.tar", "w") as out:
        out.addfile(tarfile.TarInfo("../../x"))
    said = refused(tmp_path / "m.tar", linnet.load)
    assert "not a safetensors file" in said and "other formats can run code" in said


def tampered(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    length = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + length])
    change(head)
    raw = json.dumps(head).encode()
    return len(raw).to_bytes(8, "little") + raw + content[8 + length :]


def test_a_header_that_would_take_long_is_refused_at_once(run: Path, tmp_path: Path) -> None:
    good = (run / "linear.safetensors").read_bytes()
    path = tmp_path / "m.safetensors"
    name = "linear.bias"
    for change, message in [
        (lambda h: h[name].update(dtype={}), "expected one of F32"),
        (lambda h: h[name].update(dtype=["F32"]), "expected one of F32"),
        (lambda h: h[name].update(shape=[10**4000] * 3), "MAX_DIMENSIONS"),
        (lambda h: h[name].update(shape=[1] * 100_000), "MAX_DIMENSIONS"),
        (lambda h: h[name].update(shape=[2**63, 2**63]), "whole numbers from 0"),
        (lambda h: h[name].update(shape=[True, 3]), "whole numbers from 0"),
        (lambda h: h[name].update(data_offsets=[0, 2**64]), "whole numbers from 0"),
        (lambda h: h.update({f"t{i}": h[name] for i in range(2000)}), "overlap"),
    ]:  # fmt: skip
        path.write_bytes(tampered(good, change))
        began = time.monotonic()
        assert message in refused(path, linnet.load)
        assert time.monotonic() - began < 10


def test_limits_of_a_models_header_hold(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes((run / "linear.safetensors").read_bytes())
    for name in ("MAX_HEADER", "MAX_MANIFEST"):
        for part in ("bytes", "values"):
            with monkeypatch.context() as patch:
                patch.setattr(artifact, name, getattr(artifact, name)._replace(**{part: 10}))
                assert f"{name}_{part.upper()}" in refused(path, linnet.load)


def test_half_a_character_in_a_manifest_is_refused(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"

    def change(head: dict[str, Any]) -> None:
        text = head["__metadata__"]["linnet"]
        head["__metadata__"]["linnet"] = text.replace('"model":"linear"', '"model":"\\ud800"')

    path.write_bytes(tampered((run / "linear.safetensors").read_bytes(), change))
    assert "half a character" in refused(path, linnet.load)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_half_a_model_or_half_a_run_is_named_and_kept(share: float, copy: Path) -> None:
    path = copy / "linear.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert path.name in refused(copy, lambda place: Run(place).models)
    assert path.exists()
    path.unlink()
    said = refused(copy, lambda place: Run(place).models)
    assert "linear.safetensors: cannot read: No such file" in said
    (copy / "metrics.json").unlink()
    assert "metrics.json" in refused(copy, linnet.load)


def test_loading_while_another_saves_gives_one_or_the_other(run: Path, tmp_path: Path) -> None:
    models = [linnet.load(run, name) for name in ("constant", "linear")]
    path = tmp_path / "m.safetensors"
    models[0].save(path)
    ended = threading.Event()

    def save() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            models[number % 2].save(path)

    writer = threading.Thread(target=save)
    writer.start()
    try:
        found = set()
        for _ in range(100):
            try:
                found.add(linnet.load(path).manifest.model)
            except ModelError as error:  # header of one and tensors of the other: seen, refused
                assert "sha256" in str(error) or "changed while it was read" in str(error)
    finally:
        ended.set()
        writer.join()
    assert found <= {"constant", "linear"} and found


@shaped
@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "C:\\x", "\\\\?\\x", "a\0b", "", ".", "a/b", "CON.x", "-rf", "x" * 300],
)
def test_a_model_whose_name_leads_elsewhere_is_refused(name: str, copy: Path) -> None:
    metrics = json.loads((copy / "metrics.json").read_text())
    metrics["models"][name] = metrics["models"]["linear"]
    (copy / "metrics.json").write_text(json.dumps(metrics))
    assert "is not a name of a model" in refused(copy, lambda place: Run(place).models)


METRICS_FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no models": (lambda m: m.update(models={}), '"models"'),
    "models a list": (lambda m: m.update(models=[1]), '"models"'),
    "chosen unknown": (lambda m: m.update(chosen="mlp"), "is not among its models"),
    "chosen a list": (lambda m: m.update(chosen=["linear"]), '"chosen"'),
    "no reason": (lambda m: m["models"]["linear"]["fit"].pop("reason"), "reason"),
    "score of text": (lambda m: m["models"]["linear"]["test"].update(accuracy="1"), "accuracy"),
    "score too large": (lambda m: m["models"]["linear"]["test"].update(accuracy=7), "accuracy"),
    "ragged": (lambda m: m["models"]["linear"]["test"]["confusion"][0].pop(), "matrix of 3"),
    "counts too large": (
        lambda m: m["models"]["linear"]["test"]["confusion"][0].__setitem__(0, 2**70), "confusion"
    ),
    "class twice": (
        lambda m: m["models"]["linear"]["test"].update(classes=["a", "a", "b"]), "listed twice"
    ),
    "an interval of one": (
        lambda m: m["models"]["linear"]["test"].update(accuracy_interval=[0.5]), "interval"
    ),
    "an interval over no group": (
        lambda m: m["models"]["linear"]["test"].update(
            interval={"by": "group", "column": "shop", "units": 0}
        ),
        "interval.units",
    ),
    "a reason that is no text": (
        lambda m: m["comparisons"].append(
            {"pair": ["linear", "constant"], "test": "t", "significant": False, "why": 1}
        ),
        "why",
    ),
    "a comparison with a model that is not there": (
        lambda m: m["comparisons"].append(
            {"pair": ["linear", "mlp"], "test": "McNemar", "significant": False}
        ),
        "not among its models",
    ),
    "a yardstick that is a model": (
        lambda m: m.update(yardstick={"linear": {"why": "-"}}, comparisons=[]),
        "the name of the yardstick",
    ),
    "a yardstick without scores": (
        lambda m: m.update(yardstick={"trees": {}}),
        "expected the scores of the yardstick",
    ),
}  # fmt: skip


@shaped
@pytest.mark.parametrize("fault", METRICS_FAULTS)
def test_scores_that_cannot_be_are_refused_by_name(fault: str, copy: Path) -> None:
    change, message = METRICS_FAULTS[fault]
    metrics = json.loads((copy / "metrics.json").read_text())
    change(metrics)
    (copy / "metrics.json").write_text(json.dumps(metrics))
    said = refused(copy, Run)
    assert message in said and "metrics.json" in said and "the file was changed" in said


@shaped
def test_a_file_of_json_too_long_to_be_ours_is_not_read(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in (Limit("MAX_METRICS", 10, 1000), Limit("MAX_METRICS", 10_000, 10)):
        monkeypatch.setattr("linnet.runs.directory.MAX_METRICS", limit)
        assert "MAX_METRICS_" in refused(copy, Run)


@shaped
def test_keys_twice_among_very_many_are_found_quickly(tmp_path: Path) -> None:
    from linnet.core import files

    keys = ",".join(f'"k{i}":0' for i in range(40_000))
    (tmp_path / "a.json").write_text(f'{{{keys},"k39999":1}}')
    began = time.monotonic()
    assert "'k39999' occurs twice" in refused(tmp_path / "a.json", files.read_json)
    assert time.monotonic() - began < 10


@shaped
def test_a_member_of_a_zip_holds_no_more_than_it_declares(run: Path, tmp_path: Path) -> None:
    """200 MB of spaces behind a declared size of a few bytes are never unpacked."""
    import resource

    path = tmp_path / "r.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("run.json", "{}")
        out.writestr("metrics.json", b" " * 200_000_000)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.rfind(b"metrics.json") - 46 + 24, 50)
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, Run)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@shaped
def test_events_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    good = {"event": "step", "model": "mlp", "step": 1, "epoch": 0, "time": 0.5, "loss": 1.0}
    changes: list[dict[str, Any]] = [
        {"model": []}, {"step": "1"}, {"step": -1}, {"step": 2**60}, {"loss": {}},
        {"loss": 10**400}, {"time": []}, {"epoch": None, "step": None},
        {"event": "evaluate", "valid": []},
        {"event": "evaluate", "valid": {"loss": [1]}},
        {"event": "finding", "severity": 1},
    ]  # fmt: skip
    wrong = [{**good, **change} for change in changes]
    path.write_text("".join(json.dumps(event) + "\n" for event in [*wrong, good]))
    with watch(tmp_path) as seen:
        assert [event.plain() for event in events.read_all(path)] == [good]
    assert seen == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b"x = " + b"{a=" * 5000, "nested too deeply"),
        (b"\xff\xfe", "not TOML"),
        (b"seed = 1\nseed = 2\n", "not TOML"),
        (b"seed = " + b"9" * 5000, "not TOML"),
        (b"x = " + b"1" * 2_000_000, "MAX_RECIPE_BYTES"),
    ],
)
def test_a_recipe_that_is_none_is_refused(text: bytes, message: str, tmp_path: Path) -> None:
    path = table(tmp_path / "r.toml", text)
    with watch(tmp_path) as seen, pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert seen == [] and message in str(caught.value) and str(path) in str(caught.value)


# ------------------------------------------------------------------------------------- pickles


def test_pickles_stay_dead_wherever_they_are(canary: Path, run: Path, tmp_path: Path) -> None:
    payload = pickle.dumps(Payload(canary))
    torch.save({"weight": torch.ones(2), "x": Payload(canary)}, tmp_path / "m.pt")
    (tmp_path / "old.pt").write_bytes(payload)
    (tmp_path / "m.joblib").write_bytes(payload)
    (tmp_path / "packed.joblib").write_bytes(zlib.compress(payload))
    (tmp_path / "m.safetensors").write_bytes(payload)
    for name, word in [
        ("m.pt", "a zip archive"), ("old.pt", "a pickle"), ("m.joblib", "a pickle"),
        ("packed.joblib", "not a safetensors file"), ("m.safetensors", "a pickle"),
    ]:  # fmt: skip
        assert word in refused(tmp_path / name, linnet.load)
    objects = np.array([Payload(canary), None], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    assert "of no known kind" in refused(tmp_path / "a.npy", linnet.read)
    np.savez(tmp_path / "a.npz", X=objects, y=np.arange(2))
    assert "Python objects are refused" in refused(tmp_path / "a.npz", linnet.read)
    np.savez(tmp_path / "b.npz", X=np.ones((2, 1)), y=np.arange(2), extra=objects)
    assert "Python objects are refused" in refused(tmp_path / "b.npz", linnet.read)
    for name in ("data_batch_1", "data_batch_1.bin"):
        place = tmp_path / name.replace(".", "-")
        place.mkdir()
        (place / name).write_bytes(payload)
        (place / "test_batch.bin").write_bytes(bytes(3073))
        said = refused(place, linnet.read)
        assert "could run code" in said and "binary version" in said


def test_a_pickle_in_a_models_metadata_is_text(canary: Path, run: Path, tmp_path: Path) -> None:
    from base64 import b64encode

    text = b64encode(pickle.dumps(Payload(canary))).decode()
    good = (run / "linear.safetensors").read_bytes()
    path = tmp_path / "m.safetensors"
    path.write_bytes(tampered(good, lambda h: h["__metadata__"].update(pickle=text)))
    assert 'exactly the metadata "linnet"' in refused(path, linnet.load)
    path.write_bytes(tampered(good, lambda h: h["__metadata__"].update(linnet=text)))
    assert "not JSON" in refused(path, linnet.load)


def test_a_pickle_in_a_parquets_metadata_is_not_looked_at(canary: Path, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    payload = pickle.dumps(Payload(canary))
    meta = {"ARROW:extension:name": "arrow.py_extension_type",
            b"ARROW:extension:metadata": payload}  # fmt: skip
    field = pyarrow.field("a", pyarrow.float64(), metadata=meta)
    schema = pyarrow.schema([field, pyarrow.field("y", pyarrow.float64())], {b"pandas": payload})
    data = pyarrow.table([np.arange(9.0), np.arange(9.0)], schema=schema)
    pyarrow.parquet.write_table(data, tmp_path / "a.parquet")
    with watch(tmp_path) as seen:
        try:
            assert len(linnet.read(tmp_path / "a.parquet", "y")) == 9
        except InputError as error:
            assert "a.parquet" in str(error)
    assert seen == []


def test_pickles_in_a_runs_zip_stay_dead(canary: Path, run: Path, tmp_path: Path) -> None:
    payload = pickle.dumps(Payload(canary))
    path = tmp_path / "r.zip"
    archive.pack(run, path)
    with zipfile.ZipFile(path, "a") as out:
        out.writestr("data.pkl", payload)
        out.writestr("checkpoints/1.pt", payload)
        out.writestr("sitecustomize.py", f"open({str(canary)!r}, 'w')")
    with watch(tmp_path) as seen:
        assert Run(path).model.manifest.model == "linear"
    assert seen == []
    with zipfile.ZipFile(path, "w") as out:
        for name in ("run.json", "metrics.json", "linear.safetensors"):
            out.writestr(name, payload)
    assert "metrics.json: not JSON" in refused(path, Run)


# --------------------------------------------------------------------------------- the commands


@pytest.mark.slow
def test_commands_refuse_hostile_files_in_one_line(canary: Path, run: Path, tmp_path: Path) -> None:
    payload = pickle.dumps(Payload(canary))
    names = ["a.csv", "a.parquet", "a.npz", "m.safetensors", "r.zip", "r.toml", "a.pt"]
    for name in names:
        (tmp_path / name).write_bytes(payload + random.Random(name).randbytes(100))
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx" / "train-images-idx3-ubyte").write_bytes(payload)
    for name in [*names, "pipe.csv", "idx"]:
        path = str(tmp_path / name)
        for words in (["data", "show", path, "--target", "y"], ["doctor", path], ["inspect", path],
                      ["predict", path, "iris"], ["predict", str(run), path],
                      ["runs", "show", path], ["train", "iris", "--config", path]):  # fmt: skip
            if name == "pipe.csv" and words[0] == "train" and shaped.args[0]:
                continue  # files.opened waits at a pipe
            with watch(tmp_path, run) as seen:
                result = CliRunner().invoke(app, words)
            assert seen == [], (words, seen)
            assert result.exit_code in (1, 2), words
            assert "Traceback" not in result.output
            if result.exit_code == 2 and "Usage" not in result.stderr:
                assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "pipe.csv", "idx"])
    assert stat.S_ISFIFO((tmp_path / "pipe.csv").stat().st_mode)


def test_far_too_many_classes_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"{i},c{i // 2}\n" for i in range(40_000))
    path = table(tmp_path / "a.csv", "a,y\n" + rows)
    with pytest.raises(InputError, match=r"20,000 classes; at most 10,000 \(MAX_CLASSES\)"):
        linnet.read(path, "y")


def test_every_test_that_the_page_on_reliability_names_is_there() -> None:
    import re

    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    known = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named and named - known == set()
    code = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "src" / "linnet").rglob("*.py")
    )
    limits = set(re.findall(r"`(MAX_\w+)`", page))
    assert limits and {limit for limit in limits if not re.search(rf"\b{limit}\b", code)} == set()

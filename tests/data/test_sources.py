"""Every source: a round trip, and each fault told with file and place."""

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import linnet
from helpers import refusal
from linnet.data import BUILTIN, SOURCES
from linnet.data.dataset import Dataset

RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.integers(0, 256, (30, 5, 4), dtype=np.uint8)
LABELS = (np.arange(30) % 3).astype(np.uint8)


def idx(array: np.ndarray[Any, Any], code: int = 8) -> bytes:
    head = bytes((0, 0, code, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def write_idx(folder: Path, **changes: bytes | None) -> Path:
    """A folder of four good IDX files, with some replaced, or left out if None."""
    folder.mkdir(exist_ok=True)
    content: dict[str, bytes | None] = {
        "train_images": idx(PICTURES[:20]), "train_labels": idx(LABELS[:20]),
        "t10k_images": idx(PICTURES[20:]), "t10k_labels": idx(LABELS[20:]),
    }  # fmt: skip
    for key, value in (content | changes).items():
        part, what = key.split("_")
        if value is not None:
            number = 3 if what == "images" else 1
            (folder / f"{part}-{what}-idx{number}-ubyte").write_bytes(value)
    return folder


def write_cifar(folder: Path, rows: int = 4) -> np.ndarray[Any, Any]:
    folder.mkdir(exist_ok=True)
    pictures = RANDOM.integers(0, 256, (6 * rows, 3, 32, 32), dtype=np.uint8)
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    for batch, name in enumerate(names):
        part = pictures[batch * rows : (batch + 1) * rows].reshape(rows, -1)
        labels = (np.arange(rows, dtype=np.uint8) % 10)[:, None]
        (folder / name).write_bytes(np.hstack([labels, part]).tobytes())
    return pictures


def write_folder(folder: Path, ending: str = "png") -> Path:
    for row, (picture, label) in enumerate(zip(PICTURES, LABELS, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / str(label) / f"{row:03}.{ending}")
    return folder


def places(tmp: Path) -> dict[str, Any]:
    """A good place for every source."""
    np.savez(tmp / "a.npz", X=PICTURES, y=LABELS)
    write_cifar(tmp / "cifar")
    return {
        "builtin": "digits",
        "memory": (PICTURES, LABELS),
        "arrays": tmp / "a.npz",
        "idx": write_idx(tmp / "idx"),
        "cifar": tmp / "cifar",
        "folder": write_folder(tmp / "folder"),
        **write_tables(tmp),
    }


TABLES = ("frames", "parquet", "arrow", "csv", "jsonl", "several")

OTHERS = ("excel",)
"""Sources that need another package: see ``test_excel``."""


def write_tables(tmp: Path) -> dict[str, Any]:
    """The same rows as a frame, and in files of every kind."""
    frame = polars.DataFrame({"pixel": PICTURES[:, 0, 0], "label": LABELS})
    frame.write_parquet(tmp / "a.parquet")
    frame.write_ipc(tmp / "a.arrow")
    frame.write_csv(tmp / "a.csv")
    frame.write_ndjson(tmp / "a.jsonl")
    (tmp / "several").mkdir()
    frame.head(10).write_csv(tmp / "several" / "1.csv")
    frame.tail(20).write_csv(tmp / "several" / "2.csv")
    files = {"parquet": "a.parquet", "arrow": "a.arrow", "csv": "a.csv", "jsonl": "a.jsonl"}
    places = {name: tmp / file for name, file in files.items()}
    return {"frames": frame, **places, "several": tmp / "several"}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    data = linnet.read(write_tables(tmp_path)[name], "label", task="classification")
    assert data.x.dtype == torch.float32 and data.schema.columns == ("pixel",)
    assert (data.x[:, 0].numpy() == PICTURES[:, 0, 0]).all() and (data.y.numpy() == LABELS).all()
    assert data.schema.classes == (0, 1, 2)


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in (*TABLES, *OTHERS)])
def test_every_source_gives_the_same_kind_of_data(name: str, tmp_path: Path) -> None:
    data = linnet.read(places(tmp_path)[name])
    assert data.x.dtype == torch.uint8 and data.x.dim() == 4
    assert data.y.dtype == torch.int64 and data.y.shape == (len(data.x),)
    assert data.x.shape[1:] == data.schema.shape
    assert data.y.max() < len(data.schema.classes)
    if name in ("memory", "arrays", "idx"):
        assert (data.x[:, 0].numpy() == PICTURES).all() and (data.y.numpy() == LABELS).all()
        assert data.schema.classes == (0, 1, 2)
    assert data.test_rows == {"idx": 10, "cifar": 4}.get(name, 0)


@pytest.mark.parametrize("name", BUILTIN)
def test_builtin_sets_are_what_their_summary_says(name: str) -> None:
    data = linnet.read(name)
    assert BUILTIN[name].startswith(f"{len(data):,} ")
    assert data.x.dtype == (torch.uint8 if name == "digits" else torch.float64)


IDX_FAULTS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "wrong magic": ({"train_images": b"\x01\x02\x03\x04" + bytes(99)}, "expected 0x00000803"),
    "labels for images": ({"train_images": idx(LABELS)}, "this holds labels, not images"),
    "images for labels": ({"train_labels": idx(PICTURES)}, "this holds images, not labels"),
    "floats": ({"train_images": idx(PICTURES, 13)}, "32-bit floating numbers; only unsigned"),
    "huge sizes": (
        {"train_images": bytes((0, 0, 8, 3)) + struct.pack(">3I", *[2**31 - 1] * 3)},
        "declares 2,147,483,647 images, holds 0 at most",
    ),
    "truncated": ({"train_images": idx(PICTURES[:20])[:-25]}, "declares 20 images, holds 18"),
    "trailing": ({"train_labels": idx(LABELS[:20]) + b"x"}, "bytes follow the 20"),
    "empty": ({"train_images": idx(PICTURES[:0]), "train_labels": idx(LABELS[:0])}, "no images"),
    "no bytes": ({"train_images": b""}, "0 bytes; an IDX file begins with"),
    "ends in sizes": ({"train_images": idx(PICTURES)[:9]}, "ends within its sizes, after 9"),
    "counts differ": ({"train_labels": idx(LABELS[:7])}, "holds 20 images, but"),
    "sizes differ": ({"t10k_images": idx(PICTURES[20:, :3])}, "training pictures are (5, 4), test"),
    "no labels": ({"t10k_labels": None}, "has no labels"),
    "gzip cut": ({"train_images": gzip.compress(idx(PICTURES[:20]))[:-20]}, "broken gzip"),
    "gzip crc": (
        {"train_images": gzip.compress(idx(PICTURES[:20]))[:-8] + b"12345678"}, "broken gzip"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", IDX_FAULTS)
def test_idx_faults_are_told(fault: str, tmp_path: Path) -> None:
    changes, message = IDX_FAULTS[fault]
    said = refusal(linnet.read, write_idx(tmp_path / "idx", **changes))
    assert message in said and str(tmp_path) in said


def test_a_gzip_bomb_of_an_idx_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    head = bytes((0, 0, 8, 3)) + struct.pack(">3I", 10**6, 10**3, 10**3)
    said = refusal(
        linnet.read, write_idx(tmp_path / "idx", train_images=gzip.compress(head + bytes(1000)))
    )
    assert "declares 1,000,000 images, holds" in said


def test_labels_outside_the_known_classes_name_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = LABELS[:20].copy()
    labels[13] = 250
    write_idx(tmp_path / "mnist", train_labels=idx(labels))
    assert 250 in linnet.read(tmp_path / "mnist").schema.classes  # a folder: as it is
    monkeypatch.setenv("LINNET_DATA", str(tmp_path))
    assert "row 13 has the label 250; expected 0 to 9" in refusal(linnet.read, "mnist")


def test_gzip_is_told_by_content_and_torchvisions_layout_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "MNIST").mkdir()
    raw = write_idx(tmp_path / "MNIST" / "raw", train_images=gzip.compress(idx(PICTURES[:20])))
    (raw / "train-labels-idx1-ubyte").rename(raw / "train-labels-idx1-ubyte.gz")
    plain = linnet.read(write_idx(tmp_path / "plain"))
    for place in (raw, tmp_path, tmp_path / "MNIST"):
        assert torch.equal(linnet.read(place).x, plain.x)
    monkeypatch.setenv("LINNET_DATA", str(tmp_path))
    known = linnet.read("mnist")
    assert torch.equal(known.x, plain.x) and known.name == "mnist"
    assert known.schema.classes == tuple(range(10))


def save(tmp_path: Path, **arrays: Any) -> Path:
    np.savez(tmp_path / "a.npz", **arrays)
    return tmp_path / "a.npz"


def test_npz_with_a_test_part_and_channels_last(tmp_path: Path) -> None:
    x = RANDOM.integers(0, 256, (12, 6, 6, 3), dtype=np.uint8)
    place = save(tmp_path, x_train=x[:8], y_train=np.arange(8) % 2, x_test=x[8:],
                 y_test=np.arange(4) % 2)  # fmt: skip
    data = linnet.read(place)
    assert data.test_rows == 4 and data.schema.shape == (3, 6, 6)
    assert (data.x.numpy() == x.transpose(0, 3, 1, 2)).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.ones(3)}, "holds a; expected X and y"),
        ({"X": np.ones((3, 2)), "y": np.ones(4)}, "3 examples, but 4 targets"),
        ({"X": np.ones((0, 2)), "y": np.ones(0)}, "no rows"),
        ({"X": np.array([[1.0], [np.nan]]), "y": np.ones(2)}, "nan at (1, 0) (row 1)"),
        ({"X": np.ones((2, 2)), "y": np.array([[0.5, 0.5], [0.5, 0.4]])}, "row 1 sums to 0.9"),
        ({"X": np.array([None, 1]), "y": np.ones(2)}, "Python objects are refused"),
        ({"X": np.ones((4, 3, 5, 3), np.uint8), "y": np.arange(4)}, "first or last"),
        ({"X": np.full((4, 5, 5), 300), "y": np.arange(4) % 2}, "pixels from 300 to 300"),
        ({"x_train": np.ones((3, 2)), "y_train": np.ones(3), "x_test": np.ones((3, 2))},
         "only one of x_test and y_test"),
        ({"x_train": np.ones((3, 2)), "y_train": np.ones(3), "x_test": np.ones((3, 1)),
          "y_test": np.ones(3)}, "x_train is float64 (2,) a row, x_test"),
        ({"X": np.ones((3, 2)), "y": np.array(["a", "a", "a"])}, "needs two classes, found 1"),
    ],
)  # fmt: skip
def test_npz_faults_are_told(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert message in refusal(linnet.read, save(tmp_path, **arrays))


def test_an_npz_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04" + bytes(50))
    assert "cannot be read as .npz" in refusal(linnet.read, tmp_path / "a.npz")
    good = save(tmp_path, X=np.ones((9, 2)), y=np.arange(9.0)).read_bytes()
    (tmp_path / "a.npz").write_bytes(good[:-40])
    assert "cannot be read as .npz" in refusal(linnet.read, tmp_path / "a.npz")


def test_tasks_are_told_from_the_target() -> None:
    x = np.ones((200, 1))
    for y, task in [
        (np.arange(200) % 3, "classification"),
        (np.arange(200), "regression"),
        (np.arange(200) / 2, "regression"),
        (np.arange(200) % 2 == 0, "classification"),
        (np.array(["a", "b"] * 100), "classification"),
        (np.ones((200, 2)) * [1, 5], "regression"),
    ]:
        assert linnet.read((x, y)).schema.task == task


def test_torch_data_sets_and_loaders_are_read_once_in_their_order() -> None:
    x, y = torch.tensor(PICTURES)[:, None], torch.tensor(LABELS.astype(np.int64))
    inner = TensorDataset(x.float() / 255, y)
    for place in (inner, DataLoader(inner, batch_size=7)):
        data = linnet.read(place)
        assert torch.equal(data.x, x) and torch.equal(data.y, y)
        assert "30 examples, float32" in " ".join(data.notes)
    shuffled = linnet.read(DataLoader(inner, batch_size=7, shuffle=True))
    assert torch.equal(shuffled.x, x) and torch.equal(shuffled.y, y)


def test_an_endless_data_set_is_refused_by_name() -> None:
    class Endless(IterableDataset[tuple[float, int]]):
        def __iter__(self) -> Iterator[tuple[float, int]]:
            while True:
                yield 1.0, 0

    for place in (Endless(), DataLoader(Endless())):
        assert "Endless has no items by number, so it may never end" in refusal(linnet.read, place)
    assert "item 0 is a Tensor" in refusal(linnet.read, DataLoader(torch.ones(3)))  # type: ignore[arg-type]


@pytest.mark.slow
def test_mnist_as_a_folder_of_pictures_trains(mnist_folder: Path, tmp_path: Path) -> None:
    data = linnet.read(mnist_folder)
    rows = torch.arange(0, 60_000, 60)
    part: Dataset = data.take(rows)
    for row, (x, y) in enumerate(zip(part.x, part.y.tolist(), strict=True)):
        (tmp_path / "p" / str(y)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[0].numpy()).save(tmp_path / "p" / str(y) / f"{row:05}.png")
    order = torch.argsort(part.y, stable=True)
    np.savez(tmp_path / "a.npz", X=part.x[order].numpy(), y=part.y[order].numpy())
    pictures, arrays = linnet.read(tmp_path / "p"), linnet.read(tmp_path / "a.npz")
    assert pictures.x.numpy().tobytes() == arrays.x.numpy().tobytes()
    assert torch.equal(pictures.y, arrays.y)
    run = linnet.train(tmp_path / "p", epochs=10, penalty=[0.1, 0.01], out=tmp_path / "r")
    assert run.metrics["models"]["linear"]["test"]["accuracy"] > 0.75

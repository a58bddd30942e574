"""CIFAR's binary files: what is read, and each fault told with file and row."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers import refusal
from linnet.data.pictures.cifar import Cifar
from linnet.data.reading import Reading

RANDOM = np.random.default_rng(0)
NAMES = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def batch(rows: int, labels: int = 1, classes: int = 10) -> np.ndarray[Any, Any]:
    """Rows of label bytes and pixels; the last label byte counts up from 0."""
    content = RANDOM.integers(0, 256, (rows, labels + 3072), dtype=np.uint8)
    content[:, labels - 1] = np.arange(rows) % classes
    return content


def write_ten(folder: Path, batches: int = 5, rows: int = 4) -> np.ndarray[Any, Any]:
    """A CIFAR-10 folder; returns its rows in the order in which they are to come."""
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{number}.bin" for number in range(1, batches + 1)), "test_batch.bin"]
    parts = [batch(rows) for _ in names]
    for name, part in zip(names, parts, strict=True):
        (folder / name).write_bytes(part.tobytes())
    return np.concatenate(parts)


def refused(place: Path) -> str:
    assert Cifar().matches(place)
    return refusal(Cifar().read, place, Reading())


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin"])
def test_rows_come_in_order_and_the_test_batch_last(below: str, tmp_path: Path) -> None:
    rows = write_ten(tmp_path / "c" / below, batches=11, rows=1)  # batch 10 after 9, not after 1
    assert Cifar().matches(tmp_path / "c")
    data = Cifar().read(tmp_path / "c", Reading())
    assert data.x.dtype == torch.uint8 and data.x.shape == (12, 3, 32, 32)
    assert (data.x.numpy().reshape(12, -1) == rows[:, 1:]).all()
    assert data.y.dtype == torch.int64 and data.y.tolist() == rows[:, 0].tolist()
    assert data.test_rows == 1 and data.schema.classes == tuple(range(10))


def test_names_of_classes_come_from_the_folder_unless_given(tmp_path: Path) -> None:
    write_ten(tmp_path / "c")
    (tmp_path / "c" / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    assert Cifar().read(tmp_path / "c", Reading()).schema.classes == tuple(NAMES)
    given = tuple(range(10))
    assert Cifar().read(tmp_path / "c", Reading(), classes=given).schema.classes == given
    (tmp_path / "c" / "batches.meta.txt").write_text("cat\ncat\n")
    assert "a different class name on each line" in refused(tmp_path / "c")


def test_of_a_hundred_the_fine_label_counts(tmp_path: Path) -> None:
    train, test = batch(120, labels=2, classes=100), batch(3, labels=2)
    (tmp_path / "train.bin").write_bytes(train.tobytes())
    (tmp_path / "test.bin").write_bytes(test.tobytes())
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"name {n}" for n in range(100)))
    data = Cifar().read(tmp_path, Reading())
    assert data.y.tolist() == [*(row % 100 for row in range(120)), 0, 1, 2]
    assert (data.x[:120].numpy().reshape(120, -1) == train[:, 2:]).all()
    assert data.test_rows == 3 and data.schema.classes[99] == "name 99"


def test_faults_name_the_file_and_the_row(tmp_path: Path) -> None:
    write_ten(tmp_path / "c")
    path = tmp_path / "c" / "data_batch_3.bin"
    good = path.read_bytes()
    wrong = batch(4)
    wrong[2, 0] = 10
    for content, message in [
        (good[:-1], "12,291 bytes; expected a multiple of 3,073"),
        (good + b"x", "12,293 bytes; expected a multiple of 3,073"),
        (b"", "0 bytes; expected a multiple of 3,073, a picture and its label, and at least one"),
        (wrong.tobytes(), "row 2 has the label 10; expected 0 to 9"),
        (b"\x80\x04" + good, "a pickle, which could run code; give CIFAR's binary version"),
    ]:
        path.write_bytes(content)
        said = refused(tmp_path / "c")
        assert message in said and str(path) in said
    path.unlink()  # a batch too few in the middle; not four batches instead of five
    (path.parent / "data_batch_4.bin").rename(path.parent / "data_batch_6.bin")
    assert str(path) in refused(tmp_path / "c")
    path.write_bytes(good)
    (tmp_path / "c" / "test_batch.bin").unlink()
    assert "test_batch.bin: not there" in refused(tmp_path / "c")


@pytest.mark.parametrize("name", ["data_batch_1", "train"])
def test_the_python_version_is_refused_and_runs_nothing(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (canary,)

    (tmp_path / "py").mkdir()
    (tmp_path / "py" / name).write_bytes(pickle.dumps(Payload()))
    said = refused(tmp_path / "py")
    assert "pickles" in said and "give the binary version (cifar-10-binary.tar.gz" in said
    assert not canary.exists()


def test_other_folders_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "data.bin").write_bytes(b"x")
    assert not Cifar().matches(tmp_path) and not Cifar().matches(tmp_path / "none")
    assert not Cifar().matches("cifar10")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "train").write_bytes(b"no pickle")
    assert not Cifar().matches(tmp_path / "t")

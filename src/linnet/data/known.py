"""Data sets known by name: their description, folders, files and checksums."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from linnet.errors import DataError


@dataclass(frozen=True)
class RemoteFile:
    """One file to fetch. ``sha256`` is that of the file, or of its decompressed content."""

    name: str
    sha256: str
    size: int
    decompressed: bool = False


@dataclass(frozen=True)
class Known:
    """A data set that can be fetched; ``layouts`` are the folders below a root where it may be.

    The address of a file is one of ``mirrors`` plus the file's name. If the file is an archive,
    ``members`` are its members to unpack. Files and members are written in this order. A source
    recognises the folder by the last one, so it never reads an incomplete download.
    """

    summary: str
    layouts: tuple[str, ...]
    classes: tuple[str, ...] | tuple[int, ...]
    mirrors: tuple[str, ...]
    files: tuple[RemoteFile, ...]
    members: tuple[str, ...] = ()


IDX_FILES = (
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
)


def _idx_files(*facts: tuple[str, int], decompressed: bool = False) -> tuple[RemoteFile, ...]:
    """The four files with their checksums and sizes, in the order of ``IDX_FILES``."""
    return tuple(
        RemoteFile(name, sha256, size, decompressed)
        for name, (sha256, size) in zip(IDX_FILES, facts, strict=True)
    )


KNOWN: dict[str, Known] = {
    "mnist": Known(
        summary="70,000 handwritten digits of 28 x 28, 10 classes",
        layouts=("mnist", "MNIST/raw"),
        classes=tuple(range(10)),
        # pytorch/vision, torchvision/datasets/mnist.py; tensorflow/datasets,
        # tensorflow_datasets/url_checksums/mnist.txt; PaddlePaddle/Paddle,
        # python/paddle/vision/datasets/mnist.py: a mirror in Beijing
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://dataset.bj.bcebos.com/mnist/",
        ),
        # checksums of the decompressed files, computed from the data itself
        files=_idx_files(
            ("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 7_840_016),
            ("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 10_008),
            ("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 60_008),
            ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", 47_040_016),
            decompressed=True,
        ),
    ),
    "fashion_mnist": Known(
        summary="70,000 pictures of clothing of 28 x 28, 10 classes",
        layouts=("fashion_mnist", "FashionMNIST/raw"),
        # pytorch/vision, torchvision/datasets/mnist.py
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        # keras-team/keras, keras/src/datasets/fashion_mnist.py; zalandoresearch/fashion-mnist
        mirrors=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        # tensorflow/datasets, tensorflow_datasets/url_checksums/fashion_mnist.txt; the same in
        # keras-team/keras, keras/src/datasets/fashion_mnist.py
        files=_idx_files(
            ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
            ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
            ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
            ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
        ),
    ),
    "kmnist": Known(
        summary="70,000 handwritten Kuzushiji of 28 x 28, 10 classes",
        layouts=("kmnist", "KMNIST/raw"),
        # pytorch/vision, torchvision/datasets/mnist.py
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        # ankane/torchvision-ruby, lib/torchvision/datasets/kmnist.rb (the host that
        # rois-codh/kmnist, download_data.py, names with http)
        mirrors=("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        # tensorflow/datasets, tensorflow_datasets/datasets/kmnist/checksums.tsv; the same in
        # ankane/torchvision-ruby, lib/torchvision/datasets/kmnist.rb
        files=_idx_files(
            ("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5", 3_041_136),
            ("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c", 5_120),
            ("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17", 29_497),
            ("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4", 18_165_135),
        ),
    ),
    "cifar10": Known(
        summary="60,000 colour pictures of 32 x 32, 10 classes",
        layouts=("cifar10", "cifar-10-batches-bin", "CIFAR10/cifar-10-batches-bin"),
        # keras-team/keras, keras/src/datasets/cifar10.py
        classes=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        # the first as in the checksum's source; callummcdougall/ARENA_3.0, issue 359: it leads to
        # the second
        mirrors=("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
        # tensorflow/datasets, tensorflow_datasets/url_checksums/cifar10.txt; the same in
        # ankane/torchvision-ruby, lib/torchvision/datasets/cifar10.rb
        files=(
            RemoteFile(
                "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                170_052_171,
            ),
        ),
        members=(
            "batches.meta.txt",
            "test_batch.bin",
            *(f"data_batch_{number}.bin" for number in (5, 4, 3, 2, 1)),
        ),
    ),
}


def roots() -> list[Path]:
    """The folders that are searched for known names: ``$LINNET_DATA``, then the user's cache."""
    given = os.environ.get("LINNET_DATA")
    return [*([Path(given)] if given else []), cache()]


def cache() -> Path:
    """The folder of ``fetch``: ``$XDG_CACHE_HOME/linnet`` or ``~/.cache/linnet``."""
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path(os.path.expanduser("~/.cache"))) / "linnet"


def find(name: str) -> Path:
    """The folder of the known data set ``name``; raises DataError with the folders searched."""
    places = [root / layout for root in roots() for layout in KNOWN[name].layouts]
    for place in places:
        if _holds(place, KNOWN[name]):
            return place
    looked = ", ".join(map(str, places))
    hint = "" if os.environ.get("LINNET_DATA") else ", or set LINNET_DATA to the folder above it"
    fetch = f"Type: linnet data fetch {name}{hint}"
    raise DataError(f"{name} is not here; looked in {looked}. {fetch}{_beside(name)}")


def _beside(name: str) -> str:
    """What in the working directory may have been meant: a folder or a file of that name."""
    try:
        found = sorted(place.name for place in Path().iterdir() if place.name.split(".")[0] == name)
    except OSError:
        return ""
    if not found:
        return ""
    there = ", ".join(f"./{each}" for each in found[:3])
    kind = "folder" if Path(found[0]).is_dir() else "file"
    return (
        f". Here is a {kind} of that name, which is not what linnet knows by it: to read it, type "
        f"{there}"
    )


def _holds(place: Path, known: Known) -> bool:
    """Whether ``place`` holds more than the files of an interrupted ``fetch``."""
    expected = [file.name for file in known.files] + list(known.members)
    try:
        names = {entry.name for entry in place.iterdir()}
    except OSError:
        return False
    left = {name for name in names if name.startswith(".") or name.endswith(".part")}
    return expected[-1] in names or bool(names - left - set(expected))

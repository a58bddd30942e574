"""Data in memory: arrays, tensors, frames with a target apart, PyTorch data sets and loaders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from linnet.data.dataset import Dataset
from linnet.data.memory.arrays import from_mapping
from linnet.data.memory.beside import beside
from linnet.data.memory.frames import Frames
from linnet.data.memory.loaders import read_examples
from linnet.data.memory.values import as_array
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.errors import DataError

PAIR = ("x", "y")
PARTS = ("x_train", "y_train", "x_test", "y_test")


class Memory:
    """``(X, y)``, ``(X, y, X_test, y_test)``, ``((X, y), (X_test, y_test))``, a mapping of arrays,
    a torch data set or loader, or a list of ``(example, target)``. ``X`` may be a data frame: then
    it is read as one, and ``y`` is its target."""

    def matches(self, place: object) -> bool:
        return isinstance(place, (tuple, Mapping, TorchDataset, DataLoader)) or _is_items(place)

    def read(self, place: Any, reading: Reading) -> Dataset | Table:
        if isinstance(place, (DataLoader, TorchDataset, list)):
            return read_examples(place, reading)
        given = dict(place) if isinstance(place, Mapping) else _named(place)
        name = "the mapping" if isinstance(place, Mapping) else "the tuple"
        if any(Frames().matches(value) for key, value in given.items() if _is_x(key)):
            return beside(given, reading)
        arrays = {str(key): as_array(value, f"{name}, {key}") for key, value in given.items()}
        return from_mapping(arrays, "arrays", name, reading)


def _is_items(place: object) -> bool:
    """Whether it is a list of pairs, as a data set would give them one by one."""
    if not isinstance(place, list) or not place:
        return False
    return all(isinstance(item, tuple) and len(item) == 2 for item in place)


def _is_x(key: object) -> bool:
    return str(key).lower() in ("x", "x_train")


def _named(place: tuple[Any, ...]) -> dict[str, Any]:
    """The parts of a tuple by name."""
    if len(place) == 2 and all(map(_is_pair, place)):
        place = (*place[0], *place[1])
    keys = {2: PAIR, 4: PARTS}.get(len(place))
    if keys is None:
        raise DataError(
            f"a tuple of {len(place)}; expected (X, y), (X, y, X_test, y_test), or ((X, y), "
            "(X_test, y_test))"
        )
    return dict(zip(keys, place, strict=True))


def _is_pair(value: object) -> bool:
    """Whether it is (X, y): a tuple or list of two arrays, and not two rows of numbers."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return False
    return hasattr(value[0], "shape") and (hasattr(value[1], "shape") or isinstance(value[1], list))

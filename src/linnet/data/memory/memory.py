"""Data in memory: arrays, tensors, and PyTorch data sets and loaders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from linnet.data.dataset import Dataset
from linnet.data.memory.arrays import from_mapping
from linnet.data.reading import Reading
from linnet.data.source import Array, assemble
from linnet.errors import DataError


class Memory:
    """``(X, y)``, ``(X, y, X_test, y_test)``, a mapping of arrays, a torch data set or loader."""

    def matches(self, place: object) -> bool:
        return isinstance(place, (tuple, Mapping, TorchDataset, DataLoader))

    def read(self, place: Any, reading: Reading) -> Dataset:
        name = type(place).__name__
        if isinstance(place, DataLoader):
            return self._examples(place, "DataLoader", batched=place.batch_size is not None)
        if isinstance(place, TorchDataset):
            return self._examples(place, name, batched=False)
        if isinstance(place, Mapping):
            arrays = {key: _array(value) for key, value in place.items()}
            return from_mapping(arrays, "arrays", "the mapping")
        keys = {2: ("x", "y"), 4: ("x_train", "y_train", "x_test", "y_test")}.get(len(place))
        if keys is None:
            raise DataError(f"a tuple of {len(place)}; expected (X, y) or (X, y, X_test, y_test)")
        arrays = {key: _array(value) for key, value in zip(keys, place, strict=True)}
        return from_mapping(arrays, "arrays", "the tuple")

    def _examples(self, place: Any, name: str, batched: bool) -> Dataset:
        """Read a torch data set or loader once, in its order."""
        inner = place.dataset if isinstance(place, DataLoader) else place
        if isinstance(inner, IterableDataset) or not isinstance(inner, Sized):
            raise DataError(
                f"{type(inner).__name__} has no length, so it may never end; give a map-style data "
                "set (with __len__ and __getitem__), or arrays"
            )
        items: Iterable[Any]
        items = place if isinstance(place, DataLoader) else (place[i] for i in range(len(inner)))
        xs, ys = [], []
        for index, item in enumerate(items):
            if not isinstance(item, (tuple, list)) or len(item) != 2:
                raise DataError(
                    f"{name}: item {index} is a {type(item).__name__}; expected (example, target)"
                )
            x, y = _array(item[0]), _array(item[1])
            xs.append(x if batched else x[None])
            ys.append(y if batched else y[None])
        if not xs:
            raise DataError(f"{name}: no rows")
        shapes = {x.shape[1:] for x in xs}
        if len(shapes) > 1:
            raise DataError(f"{name}: examples of shapes {sorted(shapes)}; expected one shape")
        x, y = np.concatenate(xs), np.concatenate(ys)
        note = (
            f"read once, in order, from {name}: {len(x):,} examples, {x.dtype}, targets {y.dtype}"
        )
        if isinstance(place, DataLoader) and isinstance(
            place.sampler, torch.utils.data.RandomSampler
        ):
            note += "; the loader shuffles, so another read gives another order"
        classes = getattr(inner, "classes", None)
        if y.dtype.kind not in "iu" or y.ndim != 1 or not isinstance(classes, (list, tuple)):
            classes = None
        return assemble(x, y, name=name, classes=classes, notes=(note,))


def _array(value: Any) -> Array:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value)

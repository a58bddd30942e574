"""PyTorch data sets and loaders: a row is what the data set's own item is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
    default_convert,
)

from linnet.core.text import listed
from linnet.data.dataset import Dataset
from linnet.data.memory.values import as_array
from linnet.data.reading import Reading
from linnet.data.source import SUM_TOLERANCE, Array, assemble
from linnet.data.table import Warned
from linnet.errors import DataError

Collate = Callable[[list[Any]], Any]


def read_examples(place: Any, reading: Reading) -> Dataset:
    """Read a torch data set, or that of a loader, once and in its own order.

    Each row is one item, never a batch: ``batch_size``, ``drop_last``, ``shuffle`` do not matter. A
    sampler that names each row at most once says which rows are read; of one that repeats rows
    the whole data set is read. A ``collate_fn`` is given one item at a time.
    """
    loader = place if isinstance(place, DataLoader) else None
    inner = place if loader is None else loader.dataset
    name, own = type(place).__name__, type(inner).__name__
    if isinstance(inner, IterableDataset) or not hasattr(inner, "__getitem__"):
        raise DataError(
            f"{own} has no items by number, so it may never end; give a map-style data set (with "
            "__len__ and __getitem__), or arrays"
        )
    if not isinstance(inner, Sized):
        raise DataError(f"{own} has no length; give a data set with __len__, or arrays")
    rows, notes = _rows(loader, len(inner), own)
    if not len(rows):
        raise DataError(f"{name}: no rows")
    collate = None if loader is None else loader.collate_fn
    if collate in (default_collate, default_convert):
        collate = None
    if type(inner) is TensorDataset and collate is None:
        _check_item(inner[0], 0, own)
        x, y = (as_array(tensor, own)[rows] for tensor in inner.tensors)
        if x.ndim > 2 and y.ndim == 2 and x.shape[1] == y.shape[1]:
            _refuse_batches(list(x), list(y), own)
    else:
        x, y = _items(inner, rows, own, collate)
    told = f"read once, in order, from {name}: {len(x):,} examples, {x.dtype}, targets {y.dtype}"
    return assemble(
        x, y, name=name, classes=_classes(inner, y), notes=(told, *notes), reading=reading
    )


def _rows(loader: Any, count: int, own: str) -> tuple[Array, tuple[str, ...]]:
    """The numbers of the rows to read, in order, and notes on what the loader leaves out."""
    everything = np.arange(count)
    if loader is None:
        return everything, ()
    sampler = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    notes: tuple[str, ...] = ()
    while type(sampler) is BatchSampler:
        if sampler.drop_last and count % sampler.batch_size:
            notes = ("drop_last is for a loop of batches: all rows are read",)
        sampler = sampler.sampler
    if _all(sampler, count):
        return everything, notes
    word = type(sampler).__name__
    named: set[int] = set()
    with torch.random.fork_rng(devices=[]):
        for row in _numbers(sampler, word):
            if not -count <= row < count:
                raise DataError(f"{word} names the row {row}; {own} has {count:,} rows")
            if row % count in named:
                repeats = Warned(
                    f"the loader's {word} repeats rows: each row of {own} is read once",
                    "weigh classes with class_weight=balanced",
                )
                return everything, (*notes, repeats)
            named.add(row % count)
    if len(named) < count:
        left = Warned(
            f"the loader's {word} names {len(named):,} of the {count:,} rows of {own}: the others "
            "are left out",
            "give the data set itself, if all rows are meant",
        )
        notes = (*notes, left)
    return np.array(sorted(named), np.int64), notes


def _all(sampler: Any, count: int) -> bool:
    """Whether a sampler surely names each row once."""
    if type(sampler) is SequentialSampler:
        return len(sampler) == count
    if type(sampler) is RandomSampler and not sampler.replacement:
        return len(sampler.data_source) == sampler.num_samples == count
    return False


def _numbers(sampler: Any, word: str) -> Iterator[int]:
    """The row numbers that a sampler gives, alone or in batches."""
    for given in sampler:
        if isinstance(given, Integral):
            yield int(given)
        elif isinstance(given, torch.Tensor):
            yield from given.reshape(-1).tolist()
        elif isinstance(given, Iterable) and not isinstance(given, (str, Mapping)):
            yield from _numbers(given, word)
        else:
            raise DataError(f"{word} gives a {type(given).__name__}; expected row numbers")


def _items(inner: Any, rows: Array, own: str, collate: Collate | None) -> tuple[Array, Array]:
    """The items (rows, ...) of a data set, and their targets."""
    xs, ys = [], []
    for index in rows.tolist():
        item = _item(inner, index, own, collate)
        _check_item(item, index, own)
        x, y = (as_array(part, f"{own}, item {index}") for part in item)
        if collate is not None:
            if not (x.ndim and y.ndim and len(x) == len(y) == 1):
                raise DataError(
                    f"{own}, item {index}: of one item the loader's collate_fn makes examples of "
                    f"shape {x.shape} and targets of shape {y.shape}; expected one row of each"
                )
            x, y = x[0], y[0]
        xs.append(x)
        ys.append(np.asarray(y))
    shapes = {x.shape for x in xs}
    _refuse_batches(xs, ys, own)
    if len(shapes) > 1:
        raise DataError(
            f"{own}: examples of shapes {listed(sorted(shapes), 5)}; expected one shape"
        )
    if len({y.shape for y in ys}) > 1:
        found = listed(sorted({y.shape for y in ys}), 5)
        raise DataError(f"{own}: targets of shapes {found}; expected one shape")
    return np.stack(xs), np.stack(ys)


def _item(inner: Any, index: int, own: str, collate: Collate | None) -> Any:
    try:
        item = inner[index]
        return item if collate is None else collate([item])
    except Exception as error:
        raise DataError(
            f"{own}: its item {index} cannot be read: {type(error).__name__}: {error}"
        ) from error


def _check_item(item: Any, index: int, own: str) -> None:
    """Raise if an item is not an example and its target."""
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return
    expected = "expected (example, target)"
    if isinstance(item, Mapping):
        keys = listed([repr(key) for key in item], 8)
        first, second = (*map(repr, item), "...", "...")[:2]
        what = f"a dict of {keys}; {expected}: [(item[{first}], item[{second}]) for item in data]"
    elif isinstance(item, (tuple, list)):
        extra = ": [(item[0], item[1]) for item in data], if these are the two"
        extra = extra if len(item) > 2 else ""
        what = f"a {type(item).__name__} of {len(item)}; {expected}{extra}"
    else:
        what = f"a {type(item).__name__}; {expected}"
    raise DataError(f"{own}: item {index} is {what}")


def _refuse_batches(xs: list[Array], ys: list[Array], own: str) -> None:
    """Raise if the items are batches: as many targets as examples in each, and these are not one
    label as zeros and a one, nor probabilities."""
    for x, y in zip(xs, ys, strict=True):
        if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
            return
    if len({y.shape for y in ys}) == 1 and all(y.dtype.kind in "buif" for y in ys):
        y = np.stack(ys).astype(np.float64)
        if (y >= 0).all() and (np.abs(y.sum(1) - 1) <= SUM_TOLERANCE).all():
            return
    raise DataError(
        f"{own}: each item holds {len(xs[0])} examples and {len(ys[0])} targets, so it is a batch; "
        "expected one example and its target an item: give the data set without its batches, or "
        "arrays"
    )


def _classes(inner: Any, y: Array) -> list[str] | None:
    """The names of the classes that a data set tells; those of the set that it is a part of."""
    while not hasattr(inner, "classes") and hasattr(inner, "dataset"):
        inner = inner.dataset
    names = getattr(inner, "classes", None)
    if y.dtype.kind not in "iu" or y.ndim != 1 or not isinstance(names, (list, tuple)):
        return None
    if len(names) < 2 or not all(isinstance(name, str) for name in names):
        return None
    return [str(name) for name in names]

"""Torch data sets and loaders: a row is what the data set's own item is, never a batch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

import linnet
from helpers import refusal
from linnet.errors import LinnetWarning

X = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32))
Y = (X[:, 0] > 0).long()
PAIRS = TensorDataset(X, Y)


class Items(Dataset[Any]):
    """Items that a function makes of their number."""

    def __init__(self, item: Callable[[int], Any], rows: int = 40) -> None:
        self.item, self.rows = item, rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> Any:
        return self.item(index)


class Endless(Sampler[int]):
    def __iter__(self) -> Iterator[int]:
        while True:
            yield from range(40)


def stacked(items: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack([x for x, _ in items]), torch.stack([y for _, y in items])


def of_dicts(items: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack([one["x"] for one in items]), torch.stack([one["y"] for one in items])


LOADERS: dict[str, Any] = {
    "the set": PAIRS,
    "pairs": Items(lambda index: (X[index], int(Y[index]))),
    "lists": Items(lambda index: [X[index].tolist(), Y[index]]),
    "batches": DataLoader(PAIRS, batch_size=7),
    "the last batch dropped": DataLoader(PAIRS, batch_size=7, drop_last=True),
    "shuffled": DataLoader(PAIRS, batch_size=7, shuffle=True, drop_last=True),
    "a batch sampler": DataLoader(PAIRS, batch_sampler=BatchSampler(range(40), 8, False)),
    "a random batch sampler": DataLoader(
        PAIRS, batch_sampler=BatchSampler(RandomSampler(PAIRS), 7, True)
    ),
    "batches from the sampler": DataLoader(
        PAIRS, sampler=BatchSampler(SequentialSampler(PAIRS), 8, False), batch_size=None
    ),
    "no batches": DataLoader(PAIRS, batch_size=None),
    "a collate function": DataLoader(PAIRS, batch_size=8, collate_fn=stacked),
    "dicts and a collate function": DataLoader(
        Items(lambda index: {"x": X[index], "y": Y[index]}), batch_size=8, collate_fn=of_dicts
    ),
    "parts together": ConcatDataset([Subset(PAIRS, range(30)), Subset(PAIRS, range(30, 40))]),
    "a list": DataLoader([(x, y) for x, y in zip(X, Y, strict=True)]),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", LOADERS)
def test_every_loader_gives_the_rows_of_its_data_set(kind: str) -> None:
    data = linnet.read(LOADERS[kind])
    assert torch.equal(data.x.float(), X) and torch.equal(data.y, Y)
    assert data.schema.example == "row" and data.schema.classes == (0, 1)


def test_reading_a_loader_draws_from_no_global_generator() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for sampler in (RandomSampler(PAIRS), SubsetRandomSampler(range(40))):
        linnet.read(DataLoader(PAIRS, sampler=sampler))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "sampler",
    [SubsetRandomSampler(range(10, 30)), range(10, 30), SequentialSampler(range(20))],
)  # fmt: skip
def test_a_sampler_that_leaves_out_rows_is_heeded_and_told(sampler: Any) -> None:
    with pytest.warns(LinnetWarning, match="names 20 of the 40 rows of TensorDataset"):
        data = linnet.read(DataLoader(PAIRS, sampler=sampler))
    first = 0 if isinstance(sampler, SequentialSampler) else 10
    assert torch.equal(data.x, X[first : first + 20])


@pytest.mark.parametrize(
    "sampler",
    [WeightedRandomSampler([1.0] * 40, 400), RandomSampler(PAIRS, replacement=True), Endless()],
)  # fmt: skip
def test_of_a_sampler_that_repeats_rows_each_is_read_once(sampler: Any) -> None:
    with pytest.warns(LinnetWarning, match="repeats rows: each row of TensorDataset is read once"):
        data = linnet.read(DataLoader(PAIRS, sampler=sampler))
    assert torch.equal(data.x, X)


def test_pictures_with_one_label_as_a_vector_are_no_batches() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
    data = linnet.read(Items(lambda index: (pictures[index], np.eye(4)[index % 4])))
    assert data.schema.shape == (1, 4, 4) and data.y.tolist() == [0, 1, 2, 3] * 10


def test_class_names_of_a_part_are_those_of_the_whole() -> None:
    whole = TensorDataset(X, Y)
    whole.classes = ["no", "yes"]  # type: ignore[attr-defined]
    assert linnet.read(Subset(whole, range(30))).schema.classes == ("no", "yes")


BATCHES = Items(lambda index: (X[8 * index : 8 * index + 8], Y[8 * index : 8 * index + 8]), 5)
REFUSED: dict[str, tuple[Any, str]] = {
    "items that are batches": (BATCHES, "each item holds 8 examples and 8 targets"),
    "a loader of them": (DataLoader(BATCHES, batch_size=None), "so it is a batch"),
    "batches of two lengths": (
        Items(lambda i: (X[7 * i : 7 * i + 7], Y[7 * i : 7 * i + 7]), 6), "so it is a batch"
    ),
    "tensors of batches": (
        TensorDataset(X.reshape(5, 8, 6), Y.reshape(5, 8)), "so it is a batch"
    ),
    "arrays of batches": ((X.reshape(5, 8, 6), Y.reshape(5, 8)), "are these 5 batches of 8 rows"),
    "three tensors": (
        TensorDataset(X, Y, Y),
        "item 0 is a tuple of 3; expected (example, target): [(item[0], item[1]) for item in data]",
    ),
    "one tensor": (TensorDataset(X), "item 0 is a tuple of 1"),
    "dicts": (Items(lambda index: {"image": X[index]}), "item 0 is a dict of 'image'"),
    "no pairs": (DataLoader(torch.ones(3)), "item 0 is a Tensor"),  # type: ignore[arg-type]
    "an item that fails": (Items(lambda index: ((X[0], 1),)[index - 9]), "0 cannot be read: Index"),
    "a collate function that turns": (
        DataLoader(PAIRS, collate_fn=lambda items: (stacked(items)[0].T, stacked(items)[1])),
        "makes examples of shape (6, 1)",
    ),
    "a sampler beyond the end": (DataLoader(PAIRS, sampler=[3, 40]), "names the row 40"),
    "a sampler of names": (
        DataLoader(PAIRS, sampler=["a"]), "gives a str; expected row numbers"
    ),
    "rows of two shapes": (
        Items(lambda index: (X[index, : 5 + index % 2], Y[index])), "examples of shapes (5,), (6,)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_row_is_refused_by_name(kind: str) -> None:
    place, words = REFUSED[kind]
    assert words in refusal(linnet.read, place)


def test_a_stream_of_a_known_length_is_refused_too() -> None:
    class Stream(IterableDataset[Any]):
        def __len__(self) -> int:
            return 40

        def __iter__(self) -> Iterator[Any]:
            return iter(PAIRS)

    assert "Stream has no items by number" in refusal(linnet.read, DataLoader(Stream()))

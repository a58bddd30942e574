"""Folds: balanced, stratified, by seed; groups and copies are never cut."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import linnet
from linnet.data import split as splitting
from linnet.data.fingerprints import copies
from linnet.data.split import Division, folds, split
from linnet.errors import RecipeError


def drawn(codes: Any, rows: int, *, k: int = 5, seed: int = 0, **more: Any) -> Tensor:
    codes = None if codes is None else torch.as_tensor(codes)
    more = {key: torch.as_tensor(value) for key, value in more.items()}
    return folds(codes, rows, k=k, seed=seed, purpose="test", **more)


def spread(numbers: Tensor, k: int) -> int:
    """By how much the largest fold is larger than the smallest."""
    sizes = torch.bincount(numbers.long(), minlength=k)
    return int(sizes.max() - sizes.min())


@given(
    codes=st.lists(st.integers(0, 6), min_size=10, max_size=120),
    k=st.integers(2, 10),
    seed=st.integers(0, 3),
)
@settings(deadline=None)
def test_sizes_and_classes_differ_by_one_row_at_most(codes: list[int], k: int, seed: int) -> None:
    found = drawn(codes, len(codes), k=k, seed=seed)
    assert found.dtype == torch.int8 and spread(found, k) <= 1
    for code in set(codes):
        own = found[torch.tensor(codes) == code]
        assert spread(own, k) <= 1
        assert len(own.unique()) == min(k, len(own))  # a rare class is in as many as it has rows
    assert torch.equal(found, drawn(codes, len(codes), k=k, seed=seed))


@given(
    units=st.lists(st.integers(0, 30), min_size=20, max_size=150),
    twins=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=6),
    k=st.integers(2, 5),
)
@settings(deadline=None)
def test_groups_and_copies_are_never_cut(
    units: list[int], twins: list[tuple[int, int]], k: int
) -> None:
    rows = len(units)
    first = torch.arange(rows)
    for one, other in twins:
        first[first == first[max(one, other)]] = first[min(one, other)].clone()
    codes = torch.arange(rows) % 3
    try:
        found = drawn(codes, rows, k=k, units=units, copies=first)
    except RecipeError as error:
        assert len(set(units)) < k + len(twins) and "no more than there are" in str(error)
        return
    for number in (torch.tensor(units), first):
        for each in number.unique():
            assert len(found[number == each].unique()) == 1
    assert len(found.unique()) == k  # none is empty


def test_groups_alike_are_spread_evenly() -> None:
    """40 groups of 5 rows of one class each: the same classes and sizes in every fold."""
    units = torch.arange(200) // 5
    codes = units % 2
    found = drawn(codes, 200, k=5, units=units)
    table = torch.zeros(5, 2)
    table.index_put_((found.long(), codes), torch.ones(200), accumulate=True)
    assert (table == 20).all()


def test_single_rows_fill_up_what_a_large_group_leaves() -> None:
    units = torch.arange(100).clamp(min=15)  # one group of 16 rows, 84 of one
    found = drawn(None, 100, k=5, units=units)
    assert spread(found, 5) == 0


def test_folds_differ_by_seed_and_purpose() -> None:
    one, other = drawn(None, 50, seed=0), drawn(None, 50, seed=1)
    assert not torch.equal(one, other)
    assert not torch.equal(one, folds(None, 50, k=5, seed=0, purpose="inner"))


@pytest.mark.parametrize("k", [1, 5, 128])
def test_too_few_sets_or_too_many_folds_are_refused(k: int) -> None:
    with pytest.raises(RecipeError, match="no more than there are different groups"):
        drawn(None, 200, k=k, units=torch.arange(200) % 4)


def test_a_row_without_twin_is_its_own_copy_and_a_twin_points_to_the_first() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[30], x[40], x[41] = x[10], x[10], x[20]
    y = x[:, 0].copy()
    y[41] = 7.0  # another target: no copy
    found = copies(linnet.read((x, y)))
    expected = torch.arange(50)
    expected[[30, 40]] = 10
    assert torch.equal(found, expected)


def test_rows_of_few_possible_values_are_no_copies() -> None:
    """Else a fold would hold all rows of one kind, and the others none."""
    draws = np.random.default_rng(1)
    x, y = draws.integers(0, 3, (300, 3)), draws.integers(0, 2, 300)
    found = copies(linnet.read((x.astype(float), y)))
    assert torch.equal(found, torch.arange(300))


@pytest.mark.parametrize("division", [False, True])
@pytest.mark.parametrize("classes", [False, True])
def test_very_many_rows_are_split_block_by_block(
    monkeypatch: pytest.MonkeyPatch, classes: bool, division: bool
) -> None:
    monkeypatch.setattr(splitting, "MANY", 1_000)
    monkeypatch.setattr(splitting, "BLOCK", 300)
    rows = 5_001
    codes = torch.zeros(rows, dtype=torch.int8)
    codes[::10], codes[7:9] = 1, 2
    given = torch.zeros(rows, dtype=torch.int64)
    given[4_000:] = 1
    column = Division("split", "part", given) if division else None
    several = codes if classes else None

    def drawn(seed: int) -> Any:
        return split(
            several, rows, own=0, division=column, test=0.2, valid=None if division else 0.1,
            seed=seed,
        )  # fmt: skip

    found, again, other = drawn(0), drawn(0), drawn(1)
    assert torch.cat(found).sort().values.equal(torch.arange(rows))
    assert all((part.diff() > 0).all() for part in found)
    count = 800 if division else 1_001  # of the training rows that the column gives
    assert len(found.test) == count
    assert all(a.equal(b) for a, b in zip(found, again, strict=True))
    assert not found.test.equal(other.test)
    assert 1_001 >= len(found.valid) >= 400
    if division:
        assert found.valid.equal(torch.arange(4_000, rows))
    blocks = torch.bincount(found.test // 300)
    assert blocks[:13].amax() - blocks[:13].amin() <= 3  # each block gives its share
    if classes:
        ones = (codes[found.test] == 1).double().mean().item()
        assert abs(ones - 0.1) < 0.002
        assert (codes[found.train] == 2).any()

"""Rows that keep the codes of their categories: a tensor that is never written out as a whole."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from linnet.core import memory
from linnet.data import columns
from linnet.data.coded import Coded
from linnet.data.column import Column
from linnet.data.dataset import moments
from linnet.errors import DataError


def coded() -> Coded:
    draw = torch.Generator().manual_seed(0)
    numbers = torch.randn(40, 2, generator=draw)
    first = torch.randint(1, 4, (40,), generator=draw)
    second = torch.randint(5, 10, (40,), generator=draw)  # 9 is the width: none of its categories
    codes = torch.stack([first, second], 1).int()
    return Coded(numbers, codes, torch.tensor([0, 4]), 9)


CHOICES: dict[str, Callable[[Tensor], Tensor]] = {
    "a slice": lambda x: x[2:5],
    "every second row": lambda x: x[::2],
    "row numbers": lambda x: x[torch.tensor([3, 3, 1])],
    "a mask": lambda x: x[torch.arange(40) % 3 == 0],
    "no row": lambda x: x[:0],
    "index_select": lambda x: x.index_select(0, torch.tensor([0, 39])),
    "split": lambda x: x.split(7)[5],
    "chunk": lambda x: x.chunk(3)[2],
    "another dtype": lambda x: x.double(),
    "to": lambda x: x.to("cpu", torch.float64),
    "detach": lambda x: x.detach(),
}

OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "some columns": lambda x: x[:, 1:5],
    "one row": lambda x: x[3],
    "columns by number": lambda x: x.index_select(1, torch.tensor([8, 0])),
    "a product": lambda x: x @ torch.ones(9, 2),
    "a sum of rows": lambda x: x.sum(0),
    "together": lambda x: torch.cat([x, x]),
    "a clamp": lambda x: x.clamp(-1, 1),
}


@pytest.mark.parametrize("name", CHOICES)
def test_chosen_rows_are_codes_again_and_equal_those_of_the_tensor(name: str) -> None:
    x = coded()
    for mode in (torch.enable_grad, torch.inference_mode):
        with mode():
            found = CHOICES[name](x)
            assert isinstance(found, Coded)
            assert torch.equal(found.dense(), CHOICES[name](x.dense()))


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_operation_sees_the_tensor(name: str) -> None:
    found = OTHERS[name](coded())
    assert not isinstance(found, Coded)
    assert torch.equal(found, OTHERS[name](coded().dense()))


def test_what_is_known_without_the_tensor_equals_what_it_says() -> None:
    x = coded()
    assert x.shape == (40, 9) and len(x) == 40 and "40 rows x 9 columns" in repr(x)
    low, high = x.ends()
    assert torch.equal(low, x.dense().amin(0)) and torch.equal(high, x.dense().amax(0))
    assert moments(x) == pytest.approx(moments(x.dense()), rel=1e-12)


def test_a_tensor_that_would_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 2_000_000
    codes = torch.zeros((rows, 1), dtype=torch.int32)
    x = Coded(torch.zeros(rows, 0), codes, torch.zeros(0, dtype=torch.int64), 9_000)
    monkeypatch.setattr(memory, "available", lambda: 10_000_000_000)
    with pytest.raises(DataError, match=r"a table of 2,000,000 rows and 9,000 columns needs about"):
        x.sum()


@pytest.mark.parametrize("wide", [0, 1_000])
def test_records_are_encoded_alike_as_codes_and_as_columns(
    wide: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown and missing categories, rare ones, a field of one category, a date, gaps."""
    fields = [
        Column(name="a", kind="number", fill=(0.5,), missing=True),
        Column(name="b", kind="category", categories=("x", "y", "z"), missing=True),
        Column(name="one", kind="category", categories=("only",)),
        Column(name="c", kind="category", categories=("u", "v"), other=True),
        Column(name="d", kind="date", fill=(1.0, 2.0, 3.0, 4.0)),
    ]
    nan = np.nan
    records = np.array(
        [[1.0, 0, 0, 1, 0], [nan, 2, -1, -1, 86400.0], [2.0, nan, nan, nan, nan], [3, -1, 0, 0, 9]]
    )
    monkeypatch.setattr(columns, "WIDE", wide)
    found = columns.encoded(fields, records, "float64", fields)
    assert isinstance(found, Coded) == (wide == 0)
    plain = columns.expand(fields, records, "float64", fields)
    assert torch.equal(found.dense() if isinstance(found, Coded) else found, torch.tensor(plain))
    if isinstance(found, Coded):
        assert found.codes.shape == (4, 2)  # the field of one category is a column of numbers

"""The line sees the codes of categories as it sees their columns."""

import pytest
import torch

from linnet.data import coded
from linnet.line.certificate import certify
from linnet.line.problem import LinearProblem
from linnet.line.rows import Coded, Dense, Rows
from linnet.objectives import find

ROWS, WIDTH = 300, 23


def inputs(dtype: torch.dtype = torch.float64) -> coded.Coded:
    draw = torch.Generator().manual_seed(1)
    numbers = torch.randn(ROWS, 3, generator=draw).to(dtype)
    first = torch.randint(1, 12, (ROWS,), generator=draw)
    second = torch.randint(14, WIDTH + 1, (ROWS,), generator=draw)  # WIDTH: none
    codes = torch.stack([first, second], 1).int()
    return coded.Coded(numbers, codes, torch.tensor([0, 12, 13]), WIDTH)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_sums_and_blocks_are_those_of_the_dense_rows(dtype: torch.dtype) -> None:
    x = inputs(dtype)
    mine, dense = Coded.of(x), Dense(x.dense())
    draw = torch.Generator().manual_seed(2)
    theta = torch.randn(WIDTH, 4, generator=draw).double()
    residual = torch.randn(ROWS, 4, generator=draw).to(dtype)
    some, tol = torch.tensor([5, 0, 299]), 1e-6 if dtype == torch.float32 else 1e-14
    every = torch.arange(WIDTH)

    def same(rows: Rows, others: Rows) -> None:
        assert rows.shape == others.shape and rows.dtype == others.dtype
        weight = residual[: len(rows)]
        for one, other in (
            (rows @ theta, others @ theta),
            (rows.transposed(weight), others.transposed(weight)),
            (rows.squares(weight.abs()), others.squares(weight.abs())),
        ):
            assert one.dtype == other.dtype and (one - other).abs().max() < tol * ROWS
        assert torch.equal(rows.block(slice(2, 9)), others.block(slice(2, 9)))
        for one, other in zip(rows.spread(every), others.spread(every), strict=True):
            assert torch.equal(one, other)

    same(mine, dense)
    same(mine.take(some), dense.take(some))
    same(mine.wide(), dense.wide())
    assert mine.numbers < dense.numbers / 4


@pytest.mark.parametrize("name", ["squared", "logistic", "softmax"])
def test_the_certificate_is_that_of_the_dense_rows(name: str) -> None:
    objective, x = find(name), inputs()
    draw = torch.Generator().manual_seed(3)
    outputs = 4 if name == "softmax" else 1
    y = torch.randint(0, max(2, outputs), (ROWS,), generator=draw)
    y = y.double() if name == "squared" else y
    theta = 0.1 * torch.randn(WIDTH + 1, outputs, generator=draw).double()
    found = []
    for rows in (Coded.of(x), Dense(x.dense())):
        problem = LinearProblem(objective, rows, y, outputs=outputs, alpha=0.1)
        found.append(certify(problem, theta))
    mine, dense = found
    assert mine is not None and dense is not None and mine.gap is not None
    assert mine.objective == pytest.approx(dense.objective, rel=1e-12)
    # without a matrix of moments the bound is that of strong convexity, and no lower
    assert dense.gap is not None and mine.gap >= dense.gap * (1 - 1e-9)
    if name != "squared":
        assert mine.gap < 3 * dense.gap  # so few unknowns get a step of Newton where rows are dense

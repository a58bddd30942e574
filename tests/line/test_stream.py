"""Least squares from one pass over parts: the coefficients of one copy of all rows."""

import numpy as np
import pytest
import torch

from linnet.errors import DataError
from linnet.line.moments import Moments
from linnet.line.stream import least_squares, moments_of


def rows(count: int = 50_000, inputs: int = 12, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(count, inputs, generator=draws, dtype=torch.float64)
    x = x * torch.logspace(-2, 2, inputs, dtype=torch.float64) + 50
    y = x @ torch.randn(inputs, 2, generator=draws, dtype=torch.float64)
    return x, y + torch.randn(count, 2, generator=draws, dtype=torch.float64)


@pytest.mark.parametrize("sizes", [[50_000], [1, 49_999], [16_384, 16_384, 17_232], [625] * 80])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_parts_give_the_coefficients_of_the_whole(sizes: list[int], alpha: float) -> None:
    x, y = rows()
    found = least_squares(zip(x.split(sizes), y.split(sizes), strict=True), alpha=alpha)
    whole = Moments.of(x, y, None, intercept=True, home=x.device).solve(alpha)
    assert torch.allclose(found.theta, whole.theta, rtol=1e-10, atol=1e-10)
    centred = x - x.mean(0)
    gram = centred.T @ centred / len(x) + alpha * torch.eye(x.shape[1], dtype=torch.float64)
    exact = np.linalg.solve(gram, (centred.T @ (y - y.mean(0)) / len(x)))
    assert np.allclose(found.theta[:-1], exact, rtol=1e-9, atol=1e-10)


def test_sorted_parts_with_unlike_means_lose_no_digits() -> None:
    x, y = rows()
    order = x[:, -1].argsort()
    x, y = x[order], y[order]
    found = least_squares(zip(x.split(1000), y.split(1000), strict=True))
    shuffled = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    whole = least_squares([(x[shuffled], y[shuffled])])
    assert torch.allclose(found.theta, whole.theta, rtol=1e-9, atol=1e-9)


def test_a_column_that_is_constant_in_each_part_counts() -> None:
    x, y = rows(3000, 3)
    x[:, 1] = torch.arange(3000) // 1000
    merged = moments_of(zip(x.split(1000), y.split(1000), strict=True))
    whole = Moments.of(x, y, None, intercept=True, home=x.device)
    assert torch.allclose(merged.xx, whole.xx, rtol=1e-9)
    x[:, 1] = 7.3
    assert moments_of(zip(x.split(1000), y.split(1000), strict=True)).xx[1].abs().max() == 0


def test_columns_that_are_nearly_dependent_are_refused() -> None:
    x, y = rows()
    x[:, 1] = x[:, 0] + 1e-9 * x[:, 1]
    with pytest.raises(DataError, match="nearly dependent"):
        least_squares([(x, y)])
    assert least_squares([(x, y)], alpha=0.1).theta.isfinite().all()
    with pytest.raises(DataError, match="no rows"):
        least_squares([])

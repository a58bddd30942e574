"""Least squares from second moments: one pass over the rows, then only (inputs, inputs)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from linnet.core.parallel import World
from linnet.errors import ColumnError, DataError
from linnet.line.rows import Dense, Rows

EPS = torch.finfo(torch.float64).eps

BLOCK = 16384
"""Rows per product. Sums within it have the dtype of the rows, sums of blocks are float64."""

FAR = 8.0
"""If a mean is this many deviations away from the mean of the first block, the rows are read again:
the sums may have lost two digits."""

WELL = 1e6
"""Up to this condition number, the factor of the scaled Gram matrix is accurate to 1e-9."""

ILL = 1e11
"""Above this condition number the Gram matrix is too inaccurate: the rows are factorised
(``Triangle``)."""


class Solution(NamedTuple):
    """Coefficients (inputs + 1, outputs), and facts about the inputs."""

    theta: Tensor
    rank: int
    condition: float
    """The condition number of the centred inputs with the penalty below them: the root of that of
    the Gram matrix. Columns are scaled to one length first, except on a path of penalties."""


@dataclass(frozen=True)
class Moments:
    """Centred sums over rows, in float64; merging them is exact, so rows may come in chunks.

    ``xx`` (inputs, inputs), ``xy`` (inputs, outputs), ``yy`` (outputs,), of total weight ``total``.
    """

    total: float
    mean_x: Tensor
    mean_y: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor
    intercept: bool = True
    world: World = field(default_factory=World, repr=False, compare=False)
    """The ranks that have them all: rank 0 decides whatever rounding could decide differently."""
    _cache: dict[str, Tensor] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        x: Rows | Tensor,
        y: Tensor,
        weight: Tensor | None,
        *,
        intercept: bool,
        home: torch.device,
        check: bool = True,
    ) -> Moments:
        """The moments of ``x`` (rows, inputs) and ``y`` (rows, outputs), read once.

        Before its product, each block is shifted by the weighted means of the first block, so
        float32 keeps its digits up to means of 1e4 deviations. The rest of the means is removed
        from the sums. If the first block was far from the others, the rows are read once more,
        shifted by the means themselves. A column that is constant has moments of exactly zero.
        ``check`` raises for sums that are not finite; else they show in the result.
        """
        x = x if isinstance(x, Rows) else Dense(x)
        shift = _first_means(x, y, weight, home) if intercept else None
        found = cls._shifted(x, y, weight, shift, home, check)
        if shift is None:
            return found
        shift = shift.to(x.dtype).double()
        means = torch.cat([found.mean_x, found.mean_y])
        squares = torch.cat([found.xx.diagonal(), found.yy]) / found.total
        off = (means - shift).abs()
        if (off > torch.maximum(FAR * squares.sqrt(), 64 * EPS * means.abs())).any():
            found = cls._shifted(x, y, weight, means, home, check)
        return found._constants(x)

    @classmethod
    def _shifted(
        cls,
        x: Rows,
        y: Tensor,
        weight: Tensor | None,
        shift: Tensor | None,
        home: torch.device,
        check: bool,
    ) -> Moments:
        """The moments, by sums of products of the rows less ``shift`` (inputs + outputs,)."""
        inputs, outputs = x.shape[1], y.shape[1]
        width = inputs + outputs + 1
        intercept = shift is not None
        if shift is None:
            shift = torch.zeros(width - 1, dtype=torch.float64, device=home)
        near = torch.cat([shift, shift.new_zeros(1)]).to(x.dtype).to(x.device)
        shift = near.to(home).double()
        block = near.new_empty((min(BLOCK, len(x)), width))
        block[:, -1] = 1
        sums = torch.zeros((width, width), dtype=torch.float64, device=home)
        for rows, held in x.blocks(BLOCK):
            part = block[: len(held)]
            torch.sub(held, near[:inputs], out=part[:, :inputs])
            part[:, inputs:-1] = y[rows] - shift[inputs:-1].to(y)
            heavy = part if weight is None else part * weight[rows, None].to(part)
            sums += (part.T @ heavy).to(home)
        if check:
            _check(sums.diagonal()[:-1], inputs, x.dtype)
        total = sums[-1, -1].item()
        mean = sums[-1, :-1] / total if intercept and total else torch.zeros_like(sums[-1, :-1])
        centred = sums[:-1, :-1] - total * torch.outer(mean, mean)
        mean = mean + shift[:-1] if intercept else mean
        return cls(
            total,
            mean[:inputs],
            mean[inputs:],
            centred[:inputs, :inputs],
            centred[:inputs, inputs:],
            centred[inputs:, inputs:].diagonal().clamp(min=0),
            intercept,
        )

    def _constants(self, x: Rows) -> Moments:
        """The same moments, with exact zeros for the columns that are constant."""
        variance = self.xx.diagonal() / self.total
        value, constant = constants(x, self.mean_x, variance, self.world)
        if not constant.any():
            return self
        kept = (~constant).double()
        return replace(
            self,
            mean_x=torch.where(constant, value, self.mean_x),
            xx=self.xx * torch.outer(kept, kept),
            xy=self.xy * kept[:, None],
        )

    def __add__(self, other: Moments) -> Moments:
        """The moments of both sets of rows together: Chan, Golub and LeVeque (1983)."""
        total = self.total + other.total
        share = other.total / total if self.intercept else 0.0
        x, y = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        between = self.total * share
        return Moments(
            total,
            self.mean_x + share * x,
            self.mean_y + share * y,
            self.xx + other.xx + between * torch.outer(x, x),
            self.xy + other.xy + between * torch.outer(x, y),
            self.yy + other.yy + between * y * y,
            self.intercept,
        )

    @staticmethod
    def everywhere(parts: Sequence[Moments], x: Rows, world: World, count: int) -> Moments:
        """The moments of the rows of all ranks together, from those of each share of this one, and
        all its inputs ``x``."""
        if count == 1:
            return parts[0]
        first = parts[0]
        inputs = len(first.mean_x)
        sums = world.tree_sum(
            (
                torch.cat([part.mean_x, part.mean_y, part.mean_x.new_ones(1)]) * part.total
                for part in parts
            ),
            count,
        )
        total = sums[-1].item()
        means = sums[:-1] / total

        def around(part: Moments) -> Tensor:
            """The squares (inputs + 1, inputs + outputs) around the means of all."""
            off = torch.cat([part.mean_x, part.mean_y]) - means
            square = torch.cat([part.xx, part.xy], 1) + part.total * torch.outer(off[:inputs], off)
            last = torch.cat([torch.zeros_like(part.mean_x), part.yy])
            last[inputs:] += part.total * off[inputs:].square()
            return torch.cat([square, last[None]])

        squares = world.tree_sum(map(around, parts), count)
        _check(torch.cat([squares.diagonal(), squares[inputs, inputs:]]), inputs, x.dtype)
        found = Moments(
            total,
            means[:inputs],
            means[inputs:],
            squares[:inputs, :inputs],
            squares[:inputs, inputs:],
            squares[inputs, inputs:],
            first.intercept,
            world,
        )
        return found._constants(x) if first.intercept else found

    def value_and_gradient(self, theta: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
        """The objective ``mean of |residual|^2 / 2 + alpha/2 |w|^2`` and its gradient."""
        w = theta[:-1]
        short = self.xx @ w - self.xy
        bias = theta[-1] + self.mean_x @ w - self.mean_y  # the mean residual
        squares = (w * (short - self.xy)).sum() + self.yy.sum()
        value = squares / (2 * self.total) + (bias.square().sum() + alpha * w.square().sum()) / 2
        inputs = short / self.total + torch.outer(self.mean_x, bias) + alpha * w
        return value, torch.cat([inputs, bias[None]])

    def solve(self, alpha: float) -> Solution:
        """The coefficients for one penalty; if the inputs do not determine them, those of least
        norm.

        The first penalty uses a Cholesky factor, further ones the eigenvectors, computed once.
        """
        alpha = float(alpha)
        if self._cache.setdefault("first", torch.tensor(alpha, dtype=torch.float64)) == alpha:
            factor, scale = self.factor(alpha)
            if factor is not None:
                w = self.apply(factor, scale, self.xy / self.total)
                return self._solution(w, len(w), self.condition**0.5)
        if "values" not in self._cache:
            values, vectors = self.world.same(*torch.linalg.eigh(self.xx / self.total))
            right = vectors.T @ (self.xy / self.total)
            self._cache.update(values=values.clamp(min=0), vectors=vectors, right=right)
        values = self._cache["values"]
        floor = values.sum().item() * 2e-16
        known = values > floor
        inverse = torch.where(known | (alpha > floor), 1 / (values + alpha), 0.0)
        w = self._cache["vectors"] @ (inverse[:, None] * self._cache["right"])
        bent = values + alpha
        condition = (bent.max() / bent.min()).sqrt().item() if len(w) else 1.0
        return self._solution(w, int(known.sum()), condition)

    def factor(self, alpha: float) -> tuple[Tensor | None, Tensor]:
        """The Cholesky factor of the Gram matrix plus penalty, scaled to a unit diagonal, and the
        scale (inputs,); None if it is too inaccurate."""
        key = f"factor {alpha}"
        if key not in self._cache:
            matrix = self.xx / self.total
            matrix.diagonal().add_(alpha)
            diagonal = matrix.diagonal()
            scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
            matrix = matrix * torch.outer(scale, scale)
            factor, failed = torch.linalg.cholesky_ex(matrix)
            condition = float("inf") if failed else _condition(matrix, factor)
            if self.world.size > 1:
                known = torch.tensor(condition, dtype=torch.float64, device=factor.device)
                factor, known = self.world.same(factor, known)
                condition = known.item()
            for old in [name for name in self._cache if name.startswith("factor ")]:
                del self._cache[old]
            self._cache.update({key: factor, "scale": scale, "condition": torch.tensor(condition)})
        good = self._cache["condition"].item() < ILL
        return self._cache[key] if good else None, self._cache["scale"]

    @staticmethod
    def apply(factor: Tensor, scale: Tensor, right: Tensor) -> Tensor:
        """The solution for one or more right-hand sides (inputs, outputs)."""
        return scale[:, None] * torch.cholesky_solve(scale[:, None] * right, factor)

    @property
    def condition(self) -> float:
        """The condition number of the last factorised (scaled Gram matrix plus penalty)."""
        return self._cache["condition"].item()

    def _solution(self, w: Tensor, rank: int, condition: float) -> Solution:
        return Solution(torch.cat([w, (self.mean_y - self.mean_x @ w)[None]]), rank, condition)


def _check(sums: Tensor, inputs: int, dtype: torch.dtype) -> None:
    """Raise for the first column of inputs, or for the target, whose sum of squares (inputs +
    outputs,) is not finite."""
    if sums.isfinite().all():
        return
    column = int((~sums.isfinite()).nonzero()[0])
    what = (
        "a number is missing (NaN), infinite, or too large for the sums of "
        f"{str(dtype).removeprefix('torch.')}; replace it, or divide the column"
    )
    raise ColumnError(column, what) if column < inputs else DataError(f"the target: {what}")


def constants(x: Rows, mean: Tensor, variance: Tensor, world: World) -> tuple[Tensor, Tensor]:
    """The numbers of the columns that are constant (inputs,), and which columns are (inputs,).

    Columns whose deviation may be nothing but rounding are compared number by number, on all ranks.
    """
    value, constant = mean.clone(), torch.zeros_like(mean, dtype=torch.bool)
    share = 1e4 * torch.finfo(x.dtype).eps
    few = (variance <= (share * mean).square()).nonzero()[:, 0]
    if len(few) and (len(x) or world.size > 1):
        low, high = spread_of(x, few, world)
        same = few[low == high]
        value[same], constant[same] = low[low == high], True
    return value, constant


def spread_of(x: Rows, columns: Tensor, world: World) -> tuple[Tensor, Tensor]:
    """The least and the largest number of some columns over all ranks, (columns,) in float64."""
    if world.size == 1:
        return x.spread(columns)
    if len(x):
        low, high = x.spread(columns)
    else:
        high = torch.full(columns.shape, -torch.inf, dtype=torch.float64, device=x.home)
        low = -high
    less, most = world.most(torch.stack([-low, high]))
    return -less, most


def _first_means(x: Rows, y: Tensor, weight: Tensor | None, home: torch.device) -> Tensor:
    """The weighted means (inputs + outputs,) of the first block of rows."""
    shift = torch.zeros(x.shape[1] + y.shape[1], dtype=torch.float64, device=home)
    if not len(x):
        return shift
    rows = slice(0, BLOCK)
    block, targets = x.block(rows), y[rows].to(home).double()
    if weight is None:
        parts = block.mean(0).to(home).double(), targets.mean(0)
    else:
        share = weight[rows].to(home).double()
        share = share / share.sum()
        parts = (share.to(block) @ block).to(home).double(), share @ targets
    return torch.cat(parts)


def _condition(matrix: Tensor, factor: Tensor) -> float:
    """The condition number of a symmetric matrix, by ten steps of the power method on it and on
    its inverse."""
    if not len(matrix):
        return 1.0
    start = torch.linspace(1, 2, len(matrix), dtype=matrix.dtype, device=matrix.device)[:, None]
    start[1::2] *= -1
    largest, inverse = start, start
    for _ in range(10):
        largest = matrix @ largest
        high = largest.norm()
        largest = largest / high
        inverse = torch.cholesky_solve(inverse, factor)
        low = inverse.norm()
        inverse = inverse / low
    return float(high * low)

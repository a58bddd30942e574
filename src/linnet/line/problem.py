"""A linear model and its data as one function of the coefficients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from linnet.core.parallel import World
from linnet.data.store import vector
from linnet.errors import ColumnError
from linnet.line import compact
from linnet.line.moments import EPS, Moments, constants, spread_of
from linnet.line.rows import BLOCK, BULKY, SMALL, Coded, Dense, Rows, Sparse
from linnet.line.triangle import Triangle
from linnet.objectives.base import Objective

PART = 1 << 18
"""The raw predictions of a block."""

PRIOR = 5
"""In a sample, each coefficient gets a penalty like that of this many additional rows."""

OFFSET = {torch.float32: 1e4, torch.float64: 1e5}
"""If the mean of an input is this many deviations away from zero, its mean is taken off before any
product: else the digits of the products would be those of the mean."""


class Columns(NamedTuple):
    """Mean and deviation (inputs,) of each input, in float64; without an intercept, the mean is 0
    and the deviation is around 0."""

    mean: Tensor
    deviation: Tensor


@dataclass(frozen=True)
class Coordinates:
    """How a solver's coefficients are related to those of the inputs ``x``: it sees
    ``(x - shift) @ basis``. ``shift`` is (inputs,), ``basis`` (inputs, fewer) with orthonormal
    columns; without either, both are the same."""

    shift: Tensor | None = None
    basis: Tensor | None = None

    def inward(self, theta: Tensor) -> Tensor:
        """The solver's coefficients (fewer + 1, outputs) for those of the inputs."""
        w, bias = theta[:-1], theta[-1:]
        if self.shift is not None:
            bias = bias + self.shift @ w
        return torch.cat([w if self.basis is None else self.basis.T @ w, bias])

    def outward(self, theta: Tensor) -> Tensor:
        """The coefficients of the inputs (inputs + 1, outputs) for those of the solver."""
        w, bias = theta[:-1], theta[-1:]
        w = w if self.basis is None else self.basis @ w
        if self.shift is not None:
            bias = bias - self.shift @ w
        return torch.cat([w, bias])

    def gradient(self, gradient: Tensor) -> Tensor:
        """The gradient by the coefficients of the inputs for that by those of the solver."""
        w, bias = gradient[:-1], gradient[-1:]
        w = w if self.basis is None else self.basis @ w
        if self.shift is not None:
            w = w + self.shift[:, None] * bias
        return torch.cat([w, bias])


class LinearProblem:
    """loss(theta) = sum_i w_i objective(x_i @ theta, y_i) / sum_i w_i + alpha/2 |theta no bias|^2

    ``x`` is (rows, inputs) float32 or float64, ``weight`` (rows,) or None for ones. ``theta`` is
    (inputs + 1, outputs) in float64. Its last row is the bias, which is not penalised, and stays
    zero without ``intercept``. Products with ``x`` and raw predictions have the dtype of ``x``; all
    sums over rows, and everything computed from them, are in float64. Sums run over all ranks of
    ``world``, so every solver is a distributed solver.

    Each rank holds ``x``, its own rows, as some of ``count`` shares of all rows; ``lengths`` are
    the numbers of rows in each of its shares, by default one share a rank. A share is summed as one
    process would sum its rows, and shares are added in a fixed tree (``World.tree_sum``). So the
    same shares give the same bits on any number of ranks.

    If ``x`` has a ``folder``, its rows are those of a store and may not fit into memory: what has a
    number a row is in mapped files too, and a sample is the first rows, as they stand in random
    order.

    Rows of weight 0 are left out here, before anything is computed, so they cannot steer even the
    rounding. Only the ratios of the weights matter: they are divided by a power of two, so that
    weights of any size have all their digits.
    """

    def __init__(
        self,
        objective: Objective,
        x: Rows | Tensor,
        y: Tensor,
        weight: Tensor | None = None,
        *,
        outputs: int,
        alpha: float = 0.0,
        intercept: bool = True,
        world: World | None = None,
        lengths: Sequence[int] | None = None,
        count: int | None = None,
    ) -> None:
        self.objective = objective
        self.world = world or World()
        self.count = count or self.world.size
        rows = x if isinstance(x, Rows) else Dense(x)
        self.folder = rows.folder
        lengths = [len(rows)] if lengths is None else lengths
        if weight is not None:
            rows, y, weight, lengths = _weighted(rows, y, weight, self.world, lengths)
        self.shares = _slices(lengths)
        """The rows of each share of this rank."""
        self.held = _parts(rows, self.shares)
        """Its inputs."""
        self.x = rows
        self.stored = rows.dtype
        """The dtype of the rows as they were given: coefficients are stored in it."""
        self.y = y if objective.classifies or rows.device.type == "mps" else y.double()
        self.given = weight  # (rows,) in float64
        self.weight = None if weight is None else weight.to(rows.dtype).to(rows.device)
        self.outputs = outputs
        self.alpha = alpha
        self.extra: Tensor | float = 0.0
        """An additional penalty (inputs, 1) for each input, besides ``alpha``; samples have one."""
        self.intercept = intercept
        self.home = rows.home
        """The device of coefficients and sums; MPS has no float64."""
        self._inverse: Tensor | None = None  # the inverse scale in which gradients are judged
        self._data: dict[str, Any] = {}  # computed from the data alone, shared by all penalties
        self._count()

    def _count(self) -> None:
        """Set the number of rows, the sum of their weights, and how many numbers the inputs are,
        over all ranks."""

        def leaf(x: Rows, rows: slice) -> Tensor:
            count = float(len(x))
            weight = count if self.weight is None else self._sum(self.weight[rows]).item()
            return torch.tensor([count, weight, x.numbers], dtype=torch.float64, device=self.home)

        self.rows, self.total, self.numbers = map(float, self.summed(leaf).tolist())

    def at(self, alpha: float) -> LinearProblem:
        """The same data with another penalty; results that depend on the data only are shared."""
        other = copy(self)
        other.alpha = alpha
        other._inverse = None
        return other

    def take(self, every: Sequence[Tensor], rows: int) -> LinearProblem:
        """Some rows of each share, about ``rows`` in total, with the same penalty per row.

        Each coefficient gets an additional penalty, like that of ``PRIOR`` rows: a few rows of the
        sample must not decide about a column that is zero in nearly all rows.
        """
        chosen = torch.cat(
            [one.sort().values + share.start for one, share in zip(every, self.shares, strict=True)]
        ).to(self.x.device)
        return self._sample(self.x.take(chosen), chosen, rows, [len(one) for one in every])

    def some(self, rows: slice) -> LinearProblem:
        """The same as ``take`` for consecutive rows of the only share, without a copy of them."""
        count = rows.stop - rows.start
        return self._sample(self.x.part(rows), rows, count, [count])

    def _sample(
        self, x: Rows, chosen: Tensor | slice, rows: int, lengths: list[int]
    ) -> LinearProblem:
        part = LinearProblem(
            self.objective,
            x,
            self.y[chosen],
            None if self.weight is None else self.weight[chosen],
            outputs=self.outputs,
            alpha=self.alpha * self.rows / rows,
            intercept=self.intercept,
            world=self.world,
            lengths=lengths,
            count=self.count,
        )
        part.extra = self.columns.deviation[:, None].square() * (PRIOR / rows)
        return part

    @property
    def ridge(self) -> Tensor | float:
        """The factor of half the square of each coefficient."""
        return self.alpha + self.extra

    def posed(self) -> tuple[LinearProblem, Coordinates]:
        """The same problem as a solver should see it, and how its coefficients are related.

        Up to ``SMALL`` numbers, and ``BULKY`` raw predictions, products are in float64. With fewer
        rows than inputs, the inputs are given in a basis of the (centred) rows: the best
        coefficients (without a penalty, those of least norm) are linear combinations of them, so
        there are fewer unknowns. If means are
        large beside deviations (``OFFSET``), they are taken off.
        """
        inputs = self.x.shape[1]
        if isinstance(self.x, Dense) and self.rows < inputs:
            return self._rotated()
        narrow = self.x.dtype != torch.float64 and self.x.device.type != "mps"
        few = self.numbers <= SMALL and not self.bulky
        problem = self.widened() if narrow and few else self
        x = problem.x
        if not self.intercept or not isinstance(x, Dense) or self.x.device.type == "mps":
            return problem, Coordinates()
        mean, deviation = problem.columns
        if not ((deviation > 0) & (mean.abs() > OFFSET[x.dtype] * deviation)).any():
            return problem, Coordinates()
        return self._with(Dense(x.x, mean, torch.float64)), Coordinates(mean)

    def widened(self) -> LinearProblem:
        """The same problem with products in float64."""
        x = self.x
        small = isinstance(x, Dense) and self.numbers <= SMALL and x.shift is None
        return self._with(Dense(x.x.double()) if small and isinstance(x, Dense) else x.wide())

    def _rotated(self) -> tuple[LinearProblem, Coordinates]:
        """The problem in a basis (inputs, rows) of the rows."""
        wide = self.x.wide()
        block = self.world.gather(wide.block(slice(0, len(wide))).to(self.home))
        given = None if self.given is None else self.world.gather(self.given)
        shift = None
        if self.intercept and len(block):
            shift = _mean(block, given)
            block = block - shift
            rest = _mean(block, given)  # what rounding has left
            shift, block = shift + rest, block - rest
        basis, triangle = torch.linalg.qr(block.T)
        if self.world.size > 1:
            basis, triangle = self.world.same(basis, triangle)
            shift = None if shift is None else self.world.same(shift)
        if not triangle.isfinite().all():
            self.check()
        size = triangle.diagonal().abs()
        tiny = max(len(block), self.x.shape[1]) * EPS
        if len(block) and size.min() <= tiny * size.max():  # some rows are combinations of others
            u, s, vt = self.world.same(*torch.linalg.svd(triangle, full_matrices=False))
            kept = s > tiny * s.amax()
            basis, triangle = basis @ u[:, kept], s[kept, None] * vt[kept]
        rows = triangle.T[self._place()].contiguous()
        return self._with(Dense(rows.to(self.x.device))), Coordinates(shift, basis)

    def _place(self) -> slice:
        """Where the rows of this rank are among those of all."""
        lengths = self.world.gather(torch.tensor([len(self.x)], device=self.home)).tolist()
        before = sum(lengths[: self.world.rank])
        return slice(before, before + len(self.x))

    def _with(self, x: Rows) -> LinearProblem:
        """The same problem with other inputs for the same rows."""
        other = copy(self)
        other.x, other.held = x, _parts(x, self.shares)
        if self.given is not None:
            other.weight = self.given.to(x.dtype).to(x.device)
        other._data, other._inverse = {}, None
        other._count()
        return other

    @property
    def constant(self) -> Tensor:
        """The coefficients (inputs + 1, outputs) of the best constant prediction."""
        theta = torch.zeros(
            (self.x.shape[1] + 1, self.outputs), dtype=torch.float64, device=self.home
        )
        if not self.intercept:
            return theta

        def leaf(x: Rows, rows: slice) -> Tensor:
            # the gradient at zero is the prediction at zero minus the target
            short = theta.new_zeros(self.outputs)
            for _, y, weight in self.parts(rows):
                zero = theta.new_zeros((len(y), self.outputs))
                gradient = self.objective.gradient(zero, y.to(self.home))
                heavy = gradient if weight is None else gradient * self._wide(weight)[:, None]
                short += heavy.sum(0)
            return short

        mean = self.objective.mean(theta[-1:])[0] - self.summed(leaf) / self.total
        theta[-1] = self.objective.link(mean)
        return theta

    @property
    def unit(self) -> float:
        """The unit of the loss: the variance of the target; 1 for classes."""
        if not self.objective.quadratic:
            return 1.0
        if "unit" not in self._data:
            self._data["unit"] = self._variance()
        return float(self._data["unit"])

    def _variance(self) -> float:
        """The variance of the targets, all together, around their means; without an intercept,
        around zero. What is left of a constant target is rounding: then it is 1."""
        y = self.y.reshape(len(self.x), self.outputs).to(self.home).double()
        heavy = torch.ones_like(y[:, 0]) if self.given is None else self.given
        mean = y.new_zeros(self.outputs)
        if self.intercept:
            mean = self.summed(lambda x, rows: heavy[rows] @ y[rows]) / self.total
        squares = self.summed(lambda x, rows: heavy[rows] @ (y[rows] - mean).square())
        variance = self.world.number((squares / self.total).sum().item())
        return variance if variance > (64 * EPS * mean).square().sum().item() else 1.0

    @property
    def columns(self) -> Columns:
        """Mean and deviation of the inputs; raises for a column that is not finite."""
        if "columns" not in self._data:
            self._data["columns"] = self._columns()
        found: Columns = self._data["columns"]
        return found

    def check(self) -> None:
        """Raise for a column with numbers that are not finite, or too large to sum up."""
        _ = self.columns

    def _columns(self) -> Columns:
        inputs = self.x.shape[1]
        if self.objective.quadratic and inputs <= self.rows and self.compact:
            variance = self.moments.xx.diagonal() / self.moments.total
            return self._large(Columns(self.moments.mean_x, variance.clamp(min=0).sqrt()))
        if isinstance(self.x, (Sparse, Coded)):
            mean, square = self._sums(None)
        else:
            shift = self._first()
            mean, square = self._sums(shift)
        if not square.isfinite().all():
            column = int((~square.isfinite()).nonzero()[0])
            raise ColumnError(
                column,
                "a number is missing (NaN), infinite, or too large for sums in "
                f"{str(self.x.dtype).removeprefix('torch.')}; replace it, or divide the column",
            )
        if not self.intercept:
            return self._large(Columns(torch.zeros_like(mean), square.sqrt()))
        variance = (square - mean.square()).clamp(min=0)
        if not isinstance(self.x, (Sparse, Coded)):
            mean = mean + self._wide(shift)
        mean, constant = constants(self.x, mean, variance, self.world)
        return self._large(Columns(mean, torch.where(constant, 0.0, variance.sqrt())))

    def _first(self) -> Tensor:
        """About the mean (inputs,) of the inputs, from the first rows of each share."""

        def leaf(x: Rows, rows: slice) -> Tensor:
            block = x.block(slice(0, BLOCK))
            if not self.intercept or not len(block):
                return block.new_zeros(x.shape[1])
            if self.weight is None:
                return block.mean(0)
            heavy = self.weight[rows][:BLOCK]
            return (heavy / heavy.sum()) @ block

        found = self.summed(leaf)
        return found if self.count == 1 else found / self.count

    def _sums(self, shift: Tensor | None) -> tuple[Tensor, Tensor]:
        """The weighted means (inputs,) of the inputs less ``shift``, and of their squares."""

        def plain(x: Rows, rows: slice) -> Tensor:
            ones = torch.ones((len(x), 1), dtype=x.dtype, device=x.device)
            heavy = ones if self.weight is None else self.weight[rows][:, None]
            return torch.stack([x.transposed(heavy)[:, 0], x.squares(heavy)[:, 0]])

        def shifted(x: Rows, rows: slice) -> Tensor:
            assert shift is not None
            sums = torch.zeros((2, len(shift)), dtype=torch.float64, device=self.home)
            ones = shift.new_ones(min(BLOCK, len(x)))
            own = None if self.weight is None else self.weight[rows]
            for some, held in x.blocks(BLOCK):
                block = held - shift
                weight = ones[: len(block)] if own is None else own[some]
                sums[0] += self._wide(weight @ block)
                sums[1] += self._wide(weight @ block.square_())
            return sums

        mean, square = self.summed(plain if shift is None else shifted) / self.total
        return mean, square

    def _large(self, found: Columns) -> Columns:
        """The columns; raises if one varies so little that its squares lose their digits."""
        least = 16 * torch.finfo(self.stored).tiny ** 0.5
        few = (found.deviation < least).nonzero().flatten()
        if len(few) and self.rows:
            low, high = spread_of(self.x, few, self.world)
            spread = high - low
            small = few[(spread > 0) & (spread < least) & (found.mean[few].abs() < least)]
            if len(small):
                raise ColumnError(
                    int(small[0]),
                    f"its numbers are all within {least:.1g} of 0, too small for sums in "
                    f"{str(self.stored).removeprefix('torch.')}; give it another unit: multiply "
                    "the column",
                )
        return found

    # the objective and its derivatives

    def raw(self, theta: Tensor) -> Tensor:
        """Raw predictions (rows, outputs) in the dtype of ``x``."""
        w = theta[:-1]
        if self.folder is not None and self.bulky:
            raw = vector(self.folder, (len(self.x), self.outputs), self.x.dtype)
            for x, rows in zip(self.held, self.shares, strict=True):
                x.into(w, raw[rows])
        else:
            raw = self.x @ w if len(self.held) == 1 else torch.cat([x @ w for x in self.held])
        return raw.add_(theta[-1].to(raw)) if self.intercept else raw

    def like(self, rows: Tensor) -> Tensor:
        """An empty tensor of this shape and dtype, which has numbers for each row."""
        if self.folder is None or not self.bulky:
            return torch.empty_like(rows)
        return vector(self.folder, rows.shape, rows.dtype)

    def value(self, raw: Tensor) -> Tensor:
        """The mean loss of raw predictions, without the penalty."""

        def leaf(rows: slice, y: Tensor, weight: Tensor | None) -> Tensor:
            loss = self.objective.loss(raw[rows], y)
            return self._sum(loss if weight is None else loss * weight)

        return self._total(leaf) / self.total

    def penalty(self, theta: Tensor) -> Tensor:
        """``alpha/2 |theta without bias|^2``, half the product of ``theta`` with itself; as rank 0
        computes it."""
        result: Tensor = self.world.same(self.penalty_product(theta, theta)) / 2
        return result

    def penalty_product(self, one: Tensor, other: Tensor) -> Tensor:
        """The penalty's second derivative between two directions."""
        result: Tensor = (self.ridge * one[:-1] * other[:-1]).sum()
        return result

    def value_and_residual(self, raw: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The mean loss, and each row's weighted derivative by its raw predictions, in ``out`` if
        that is given."""
        residual = self.like(raw) if out is None else out

        def leaf(rows: slice, y: Tensor, weight: Tensor | None) -> Tensor:
            return self._losses(raw[rows], y, weight, residual[rows])

        return self._total(leaf) / self.total, residual

    def _losses(self, raw: Tensor, y: Tensor, weight: Tensor | None, out: Tensor) -> Tensor:
        """The sum of the weighted losses of some rows; their derivatives go into ``out``."""
        loss, gradient = self.objective.loss_and_gradient(raw, y)
        if weight is not None:
            loss, gradient = loss * weight, gradient * weight[:, None]
        out.copy_(gradient)
        return self._sum(loss)

    def value_and_gradient(self, theta: Tensor, raw: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The objective and its gradient; one product with ``x`` if ``raw`` is given, else two."""
        value, residual = self.value_and_residual(self.raw(theta) if raw is None else raw)
        return value + self.penalty(theta), self.gradient(theta, residual)

    def gradient(self, theta: Tensor, residual: Tensor) -> Tensor:
        """The gradient (inputs + 1, outputs) of the objective, from the weighted residuals."""
        gradient = self.transpose(residual)
        gradient[:-1] += self.ridge * theta[:-1]
        return gradient

    def transpose(self, residual: Tensor) -> Tensor:
        """``[x, 1]' residual / sum(w)`` (inputs + 1, outputs), over all ranks."""

        def leaf(x: Rows, rows: slice) -> Tensor:
            own = residual[rows]
            inputs = x.transposed(own)
            bias = inputs.new_zeros(self.outputs)
            if self.intercept and self.bulky:  # a sum in float64 has a copy in it
                for some, _, _ in self.parts(rows):
                    bias += self._sum(residual[some], 0)
            elif self.intercept:
                bias = self._sum(own, 0)
            return torch.cat([inputs, bias[None]])

        return self.summed(leaf) / self.total

    def value_and_slope(
        self, raw: Tensor, move: Tensor, out: Tensor | None = None
    ) -> tuple[Tensor, Tensor, float]:
        """``value_and_residual``, and the derivative of the mean loss along ``move`` (rows,
        outputs), as one sum over all ranks."""
        residual = self.like(raw) if out is None else out

        def leaf(rows: slice, y: Tensor, weight: Tensor | None) -> Tensor:
            loss = self._losses(raw[rows], y, weight, residual[rows])
            return torch.stack([loss, self._sum(residual[rows] * move[rows])])

        value, slope = self._total(leaf, 2)
        return value / self.total, residual, float(slope) / self.total

    def bend(self, raw: Tensor, move: Tensor) -> float:
        """The second derivative of the mean loss at ``raw`` along ``move``."""

        def leaf(rows: slice, y: Tensor, weight: Tensor | None) -> Tensor:
            bent = self.objective.curvature(raw[rows], y, move[rows]) * move[rows]
            return self._sum(bent if weight is None else bent * weight[:, None])

        return float(self._total(leaf)) / self.total

    @property
    def leverage(self) -> Tensor:
        """The leverage (rows,) of each row: the mean of 1 and its squared length divided by the
        mean squared length, with inputs centred and scaled to unit deviation."""
        if "leverage" not in self._data:
            mean, deviation = self.columns
            scale = torch.where(deviation > 0, 1 / deviation, 0.0).to(self.x.dtype)
            scale, shift = scale.to(self.x.device), mean.to(self.x.dtype).to(self.x.device)
            found = self.like(scale.new_empty(1).expand(len(self.x)))
            for x, share in zip(self.held, self.shares, strict=True):
                for rows, block in x.blocks(BLOCK):
                    found[share][rows] = (block - shift).mul_(scale).square_().sum(1)
            inputs = max(1, int((deviation > 0).sum()))
            self._data["leverage"] = found.div_(inputs).add_(1).div_(2)
        result: Tensor = self._data["leverage"]
        return result

    def bends(self, raw: Tensor) -> Tensor:
        """The weighted second derivatives of each row by its raw predictions, (rows, outputs)."""
        result = self.like(raw)
        for rows, _, weight in self.parts():
            diagonal = self.objective.diagonal(raw[rows])
            result[rows] = diagonal if weight is None else diagonal * weight[:, None]
        return result

    def weighed(self, weight: Tensor, values: Tensor) -> Tensor:
        """The sums over rows of ``values`` (rows, outputs) times ``weight`` (rows,)."""
        return self.summed(lambda x, rows: weight[rows] @ values[rows])

    def scaled(self, gradient: Tensor) -> float:
        """The largest entry of a gradient in the scale of the columns; it decides convergence.

        The inputs are centred and divided by ``sqrt(deviation^2 + alpha)``, so the result does not
        depend on units. A constant column does not count: the bias stands for it.
        """
        mean, deviation = self.columns
        if self._inverse is None:
            scale = (deviation.square() + self.alpha).sqrt()
            self._inverse = torch.where(scale > 0, 1 / scale, 0.0)[:, None]
        centred = (gradient[:-1] - mean[:, None] * gradient[-1]) * self._inverse
        both = torch.cat([centred, gradient[-1:]]).abs()
        return both.amax().item() if both.numel() else 0.0

    @property
    def moments(self) -> Moments:
        """The second moments of inputs and targets, in one pass over the rows."""
        if "moments" not in self._data:
            y = self.y.reshape(len(self.x), self.outputs)
            parts = [
                Moments.of(
                    x, y[rows], None if self.weight is None else self.weight[rows],
                    intercept=self.intercept, home=self.home, check=self.count == 1,
                )
                for x, rows in zip(self.held, self.shares, strict=True)
            ]  # fmt: skip
            self._data["moments"] = Moments.everywhere(parts, self.x, self.world, self.count)
        result: Moments = self._data["moments"]
        return result

    def triangle(self, targets: Tensor, shift: Tensor) -> Triangle:
        """The triangle of the rows, with ``targets`` (rows, outputs) beside them, less ``shift``
        (inputs + outputs,): each share has one, and all of them are folded once more."""
        parts = [
            Triangle.of(
                x, targets[rows], None if self.given is None else self.given[rows], shift,
                intercept=self.intercept,
            )
            for x, rows in zip(self.held, self.shares, strict=True)
        ]  # fmt: skip
        return Triangle.everywhere(parts, self.world, self.count)

    @property
    def bulky(self) -> bool:
        """Whether the raw predictions are many (``BULKY``), or the rows are those of a store."""
        stored = self.folder is not None and self.numbers > SMALL
        return stored or self.rows * self.outputs > BULKY

    def pieces(self) -> Iterator[tuple[slice, LinearProblem]]:
        """All rows of the problem, with itself; of several shares, one at a time; if its raw
        predictions are many, some rows at a time. Sums over the rows of a piece, by this process
        alone, are still divided by the whole weight, so those of all pieces add up."""
        if self.count > 1:
            every: Iterable[tuple[slice, Rows]] = zip(self.shares, self.held, strict=True)
        elif not self.bulky:
            yield slice(0, len(self.x)), self
            return
        else:
            step = max(1, PART // self.outputs)
            starts = range(0, len(self.x), step)
            slices = [slice(start, min(start + step, len(self.x))) for start in starts]
            every = ((rows, self.x.part(rows)) for rows in slices)
        for rows, x in every:
            piece = copy(self)
            piece.world, piece.count, piece.shares = World(), 1, [slice(0, len(x))]
            piece.folder = None
            piece.x, piece.y, piece.held = x, self.y[rows], [x]
            if self.given is not None and self.weight is not None:
                piece.given, piece.weight = self.given[rows], self.weight[rows]
            piece._data, piece._inverse = {}, None
            yield rows, piece

    def added(self, every: Iterable[Sequence[Tensor]]) -> list[Tensor]:
        """The same for several sums, of pieces that come one after the other: what is kept of many
        would split the memory that each piece frees."""
        if self.count > 1:
            return [self.over_pieces(each) for each in zip(*every, strict=True)]
        result: list[Tensor] = []
        for some in every:
            result = [a + b for a, b in zip(result, some, strict=True)] if result else list(some)
        return result

    def over_pieces(self, every: Sequence[Tensor]) -> Tensor:
        """The sum over all ranks of what the ``pieces`` gave."""
        if self.count > 1:
            return self.world.tree_sum(every, self.count)
        result = every[0]
        for one in every[1:]:
            result = result + one
        return result

    @property
    def compact(self) -> bool:
        """Whether a matrix (inputs, inputs) for each output is small enough to be made; else
        solvers work with products of the data, as always where the inputs are codes."""
        return not isinstance(self.x, Coded) and compact(
            self.objective.quadratic, self.x.shape[1], self.outputs
        )

    def separates(self, raw: Tensor) -> bool:
        """Whether in ``raw`` the largest prediction of every row is that of its own class."""
        if self.y.dim() != 1:
            return False

        def leaf(rows: slice, y: Tensor, weight: Tensor | None) -> Tensor:
            some = raw[rows]
            if self.outputs == 1:
                right = torch.where(y == 1, some[:, 0], -some[:, 0])
            else:
                own = some.gather(1, y[:, None])
                right = own[:, 0] - some.scatter(1, y[:, None], -math.inf).amax(1)
            return self._sum(right <= 0)

        return float(self._total(leaf)) == 0

    # sums

    def parts(self, share: slice | None = None) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Blocks of rows whose raw predictions fit into a core's cache; targets and weights too.
        Those of one share, or of all of this rank."""
        step = max(1, PART // self.outputs)
        for one in self.shares if share is None else [share]:
            for start in range(one.start, one.stop, step):
                rows = slice(start, min(start + step, one.stop))
                yield rows, self.y[rows], None if self.weight is None else self.weight[rows]

    def _wide(self, value: Tensor) -> Tensor:
        return value.to(self.home).double()

    def _sum(self, value: Tensor | None, dim: int | None = None) -> Tensor:
        """The sum over all entries, or over rows, in float64."""
        assert value is not None
        result: Tensor = value.to(self.home).sum(dim=dim, dtype=torch.float64)
        return result

    def summed(self, leaf: Callable[[Rows, slice], Tensor]) -> Tensor:
        """The sum over all shares of all ranks of what ``leaf`` gives for the inputs of one share,
        and the place of its rows among those of this rank."""
        every = (leaf(x, rows) for x, rows in zip(self.held, self.shares, strict=True))
        return self.world.tree_sum(every, self.count)

    def _total(self, leaf: Callable[[slice, Tensor, Tensor | None], Tensor], *shape: int) -> Tensor:
        """The sum over all ranks of what ``leaf`` gives for each of the ``parts``."""

        def share(x: Rows, rows: slice) -> Tensor:
            total = torch.zeros(shape, dtype=torch.float64, device=self.home)
            for part in self.parts(rows):
                total += leaf(*part)
            return total

        return self.summed(share)


def _slices(lengths: Sequence[int]) -> list[slice]:
    """Consecutive rows of some lengths."""
    ends = list(accumulate(lengths))
    return [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def _parts(x: Rows, shares: Sequence[slice]) -> list[Rows]:
    """The inputs of each share."""
    return [x] if len(shares) == 1 else [x.part(rows) for rows in shares]


def _mean(block: Tensor, weight: Tensor | None) -> Tensor:
    """The weighted mean (inputs,) of rows in float64."""
    if weight is None:
        return block.mean(0)
    share = weight.to(block)
    return (share / share.sum()) @ block


def _weighted(
    x: Rows, y: Tensor, weight: Tensor, world: World, lengths: Sequence[int]
) -> tuple[Rows, Tensor, Tensor, Sequence[int]]:
    """The rows of weight above 0, their targets, their weights (rows,) in float64, and the lengths
    of their shares; the weights are divided by a power of two, about the largest one."""
    heavy = weight.to(x.home).double()
    largest = heavy.amax() if len(heavy) else heavy.new_zeros(())
    top = world.most(largest).item()
    if top > 0:
        heavy = heavy / 2.0 ** math.floor(math.log2(top))
    kept = heavy.to(x.dtype) > 0
    if not kept.all():
        chosen = kept.nonzero()[:, 0]
        x, y, heavy = x.take(chosen.to(x.device)), y[chosen.to(y.device)], heavy[chosen]
        lengths = [int(part.sum()) for part in kept.split(list(lengths))]
    return x, y, heavy, lengths

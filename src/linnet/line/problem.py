"""A linear model and its data as one function of the coefficients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from linnet.core.parallel import World
from linnet.errors import ColumnError
from linnet.line.moments import Moments
from linnet.objectives.base import Objective

BLOCK = 4096
"""The rows of a block, where all rows are visited in turn."""


PART = 1 << 18
"""The raw predictions of a block."""

PRIOR = 5
"""In a sample, each coefficient gets a penalty like that of this many additional rows."""


class Columns(NamedTuple):
    """Mean and deviation (inputs,) of each input, in float64; without an intercept, the mean is 0
    and the deviation is around 0."""

    mean: Tensor
    deviation: Tensor


class LinearProblem:
    """loss(theta) = sum_i w_i objective(x_i @ theta, y_i) / sum_i w_i + alpha/2 |theta no bias|^2

    ``x`` is (rows, inputs) float32 or float64, ``weight`` (rows,) or None for ones. ``theta`` is
    (inputs + 1, outputs) in float64. Its last row is the bias, which is not penalised, and stays
    zero without ``intercept``. Products with ``x`` and raw predictions have the dtype of ``x``; all
    sums over rows, and everything computed from them, are in float64. Sums run over all ranks of
    ``world``, so every solver is a distributed solver.
    """

    def __init__(
        self,
        objective: Objective,
        x: Tensor,
        y: Tensor,
        weight: Tensor | None = None,
        *,
        outputs: int,
        alpha: float = 0.0,
        intercept: bool = True,
        world: World | None = None,
    ) -> None:
        self.objective = objective
        self.x = x
        self.y = y if objective.classifies or x.device.type == "mps" else y.double()
        self.weight = None if weight is None else weight.to(x.dtype)
        self.outputs = outputs
        self.alpha = alpha
        self.extra: Tensor | float = 0.0
        """An additional penalty (inputs, 1) for each input, besides ``alpha``; samples have one."""
        self.intercept = intercept
        self.world = world or World()
        self.home = torch.device("cpu") if x.device.type == "mps" else x.device
        """The device of coefficients and sums; MPS has no float64."""
        self._inverse: Tensor | None = None  # the inverse scale in which gradients are judged
        self._data: dict[str, Any] = {}  # computed from the data alone, shared by all penalties
        both = [float(len(x)), len(x) if weight is None else self._sum(self.weight).item()]
        rows, total = self._everywhere(torch.tensor(both, dtype=torch.float64)).tolist()
        self.rows, self.total = float(rows), float(total)

    def at(self, alpha: float) -> LinearProblem:
        """The same data with another penalty; results that depend on the data only are shared."""
        other = copy(self)
        other.alpha = alpha
        other._inverse = None
        return other

    def take(self, chosen: Tensor, rows: int) -> LinearProblem:
        """Some rows of each rank, ``rows`` in total, with the same penalty per row.

        Each coefficient gets an additional penalty, like that of ``PRIOR`` rows: a few rows of the
        sample must not decide about a column that is zero in nearly all rows.
        """
        chosen = chosen.sort().values.to(self.x.device)
        part = LinearProblem(
            self.objective,
            self.x[chosen],
            self.y[chosen],
            None if self.weight is None else self.weight[chosen],
            outputs=self.outputs,
            alpha=self.alpha * self.rows / rows,
            intercept=self.intercept,
            world=self.world,
        )
        part.extra = self.columns.deviation[:, None].square() * (PRIOR / rows)
        return part

    @property
    def ridge(self) -> Tensor | float:
        """The factor of half the square of each coefficient."""
        return self.alpha + self.extra

    def rotated(self) -> tuple[LinearProblem, Tensor | None]:
        """With fewer rows than inputs, the same problem in a basis (inputs, rows) of the rows, and
        the basis; else the problem itself.

        The best coefficients (without a penalty, those of least norm) are linear combinations of
        rows. So with ``x' = basis @ r``, ``x @ basis`` is the same problem with fewer unknowns.
        """
        rows, inputs = self.x.shape
        if rows >= inputs or self.world.size > 1:
            return self, None
        basis, triangle = torch.linalg.qr(self.x.T.to(self.home).double())
        if not triangle.isfinite().all():
            self.check()
        size = triangle.diagonal().abs()
        tiny = inputs * torch.finfo(self.x.dtype).eps
        if rows and size.min() <= tiny * size.max():  # some rows are combinations of others
            u, s, vt = torch.linalg.svd(triangle)
            kept = s > tiny * s.max()
            basis, triangle = basis @ u[:, kept], s[kept, None] * vt[kept]
        other = copy(self)
        other.x = triangle.T.to(self.x).contiguous()
        other._data, other._inverse = {}, None
        return other, basis

    @property
    def constant(self) -> Tensor:
        """The coefficients (inputs + 1, outputs) of the best constant prediction."""
        theta = torch.zeros(
            (self.x.shape[1] + 1, self.outputs), dtype=torch.float64, device=self.home
        )
        if not self.intercept:
            return theta
        # the gradient at zero is the prediction at zero minus the target
        short = theta.new_zeros(self.outputs)
        for _, y, weight in self._parts():
            zero = theta.new_zeros((len(y), self.outputs))
            gradient = self.objective.gradient(zero, y.to(self.home))
            heavy = gradient if weight is None else gradient * self._wide(weight)[:, None]
            short += heavy.sum(0)
        mean = self.objective.mean(theta[-1:])[0] - self._everywhere(short) / self.total
        theta[-1] = self.objective.link(mean)
        return theta

    @property
    def unit(self) -> float:
        """The unit of the loss: the variance of the target; 1 for classes."""
        if not self.objective.quadratic:
            return 1.0
        return (self.moments.yy.sum() / self.moments.total).item() or 1.0

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
        if self.objective.quadratic:
            variance = self.moments.xx.diagonal() / self.moments.total
            return self._large(Columns(self.moments.mean_x, variance.clamp(min=0).sqrt()))
        inputs = self.x.shape[1]
        shift = self.x.new_zeros(inputs)
        if self.intercept and len(self.x):
            shift = self.x[:BLOCK].mean(0)
        if self.world.size > 1:
            shift = self.world.sum(shift) / self.world.size
        sums = torch.zeros((2, inputs), dtype=torch.float64, device=self.home)
        ones = self.x.new_ones(min(BLOCK, len(self.x)))
        for start in range(0, len(self.x), BLOCK):
            block = self.x[start : start + BLOCK] - shift
            heavy = ones[: len(block)] if self.weight is None else self.weight[start:][:BLOCK]
            sums[0] += self._wide(heavy @ block)
            sums[1] += self._wide(heavy @ block.square_())
        mean, square = self._everywhere(sums) / self.total
        if not square.isfinite().all():
            column = int((~square.isfinite()).nonzero()[0])
            raise ColumnError(
                column,
                "a number is missing (NaN), infinite, or too large for sums in "
                f"{str(self.x.dtype).removeprefix('torch.')}; replace it, or divide the column",
            )
        if not self.intercept:
            return self._large(Columns(torch.zeros_like(mean), square.sqrt()))
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        return self._large(Columns(mean + self._wide(shift), deviation))

    def _large(self, found: Columns) -> Columns:
        """The columns; raises if one varies so little that its squares lose their digits."""
        least = 16 * torch.finfo(self.x.dtype).tiny ** 0.5
        few = (found.deviation < least).nonzero().flatten()
        if len(few) and len(self.x):
            held = self.x[:, few.to(self.x.device)]
            spread = self._wide(held.amax(0)) - self._wide(held.amin(0))
            small = few[(spread > 0) & (spread < least) & (found.mean[few].abs() < least)]
            if len(small):
                raise ColumnError(
                    int(small[0]),
                    f"its numbers are all within {least:.1g} of 0, too small for sums in "
                    f"{str(self.x.dtype).removeprefix('torch.')}; give it another unit: multiply "
                    "the column",
                )
        return found

    # the objective and its derivatives

    def raw(self, theta: Tensor) -> Tensor:
        """Raw predictions (rows, outputs) in the dtype of ``x``."""
        theta = theta.to(self.x.dtype).to(self.x.device)
        raw = self.x @ theta[:-1]
        return raw.add_(theta[-1]) if self.intercept else raw

    def value(self, raw: Tensor) -> Tensor:
        """The mean loss of raw predictions, without the penalty."""
        total = torch.zeros((), dtype=torch.float64, device=self.home)
        for rows, y, weight in self._parts():
            loss = self.objective.loss(raw[rows], y)
            total += self._sum(loss if weight is None else loss * weight)
        return self._everywhere(total) / self.total

    def penalty(self, theta: Tensor) -> Tensor:
        """``alpha/2 |theta without bias|^2``, half the product of ``theta`` with itself."""
        return self.penalty_product(theta, theta) / 2

    def penalty_product(self, one: Tensor, other: Tensor) -> Tensor:
        """The penalty's second derivative between two directions."""
        result: Tensor = (self.ridge * one[:-1] * other[:-1]).sum()
        return result

    def value_and_residual(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss, and each row's weighted derivative by its raw predictions."""
        total = torch.zeros((), dtype=torch.float64, device=self.home)
        residual = torch.empty_like(raw)
        for rows, y, weight in self._parts():
            loss, gradient = self.objective.loss_and_gradient(raw[rows], y)
            if weight is not None:
                loss, gradient = loss * weight, gradient * weight[:, None]
            total += self._sum(loss)
            residual[rows] = gradient
        return self._everywhere(total) / self.total, residual

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
        # residual' x is twice as fast as x' residual if there are few outputs
        inputs = self._wide(residual.to(self.x.dtype).T @ self.x).T
        bias = self._sum(residual, 0) if self.intercept else inputs.new_zeros(self.outputs)
        return self._everywhere(torch.cat([inputs, bias[None]])) / self.total

    def slope(self, residual: Tensor, move: Tensor) -> float:
        """The derivative of the mean loss along ``move``."""
        total = torch.zeros((), dtype=torch.float64, device=self.home)
        for rows, _, _ in self._parts():
            total += self._sum(residual[rows] * move[rows])
        return float(self._everywhere(total)) / self.total

    def bend(self, raw: Tensor, move: Tensor) -> float:
        """The second derivative of the mean loss at ``raw`` along ``move``."""
        total = torch.zeros((), dtype=torch.float64, device=self.home)
        for rows, y, weight in self._parts():
            bent = self.objective.curvature(raw[rows], y, move[rows]) * move[rows]
            total += self._sum(bent if weight is None else bent * weight[:, None])
        return float(self._everywhere(total)) / self.total

    @property
    def leverage(self) -> Tensor:
        """The leverage (rows,) of each row: the mean of 1 and its squared length divided by the
        mean squared length, with inputs centred and scaled to unit deviation."""
        if "leverage" not in self._data:
            mean, deviation = self.columns
            scale = torch.where(deviation > 0, 1 / deviation, 0.0).to(self.x)
            shift = mean.to(self.x)
            squares = [
                (self.x[start : start + BLOCK] - shift).mul_(scale).square_().sum(1)
                for start in range(0, len(self.x), BLOCK)
            ]
            inputs = max(1, int((deviation > 0).sum()))
            self._data["leverage"] = torch.cat(squares or [self.x[:0, 0]]).div_(inputs).add_(1) / 2
        found: Tensor = self._data["leverage"]
        return found

    def bends(self, raw: Tensor) -> Tensor:
        """The weighted second derivatives of each row by its raw predictions, (rows, outputs)."""
        result = torch.empty_like(raw)
        for rows, _, weight in self._parts():
            diagonal = self.objective.diagonal(raw[rows])
            result[rows] = diagonal if weight is None else diagonal * weight[:, None]
        return result

    def total_of(self, values: Tensor) -> float:
        """The sum of all entries over all ranks."""
        return float(self._everywhere(self._sum(values)))

    def scaled(self, gradient: Tensor) -> float:
        """The largest entry of a gradient in the scale of the columns; it decides convergence.

        The inputs are centred and divided by ``sqrt(deviation^2 + alpha)``, so the result does not
        depend on units. If the deviation of a column is lost in rounding, its mean is used.
        """
        if gradient.numel() == 0:
            return 0.0
        mean, deviation = self.columns
        if self._inverse is None:
            floor = torch.finfo(self.x.dtype).eps ** 0.5 * mean
            scale = (deviation.square() + self.alpha + floor.square()).sqrt()
            self._inverse = torch.where(scale > 0, 1 / scale, 1.0)[:, None]
        centred = (gradient[:-1] - mean[:, None] * gradient[-1]) * self._inverse
        return max(centred.abs().max().item(), gradient[-1].abs().max().item())

    @property
    def moments(self) -> Moments:
        """The second moments of inputs and targets, in one pass over the rows."""
        if "moments" not in self._data:
            y = self.y.reshape(len(self.x), self.outputs)
            found = Moments.of(self.x, y, self.weight, intercept=self.intercept, home=self.home)
            self._data["moments"] = found.everywhere(self.world)
        result: Moments = self._data["moments"]
        return result

    def gap(self, theta: Tensor) -> float | None:
        """An upper bound on ``loss(theta)`` minus the optimum, up to rounding.

        With the best bias, the objective is ``alpha``-strongly convex in the coefficients, so it
        exceeds the optimum by at most |gradient|^2 / (2 alpha): the duality gap at the dual point
        of the residuals. Without a penalty, None. For a quadratic objective the value is exact.
        """
        if self.objective.quadratic:
            return self.moments.gap(theta, self.alpha)
        if not self.alpha:
            return None
        value, _ = self.value_and_gradient(theta)
        best = theta.clone()
        raw = self.raw(theta)
        if self.intercept:
            bend = self.objective.total_curvature(raw, self.weight)
            inverse = torch.linalg.pinv(self._everywhere(self._wide(bend)) / self.total)
            for _ in range(10):
                _, residual = self.value_and_residual(raw)
                slope = self._everywhere(self._sum(residual, 0)) / self.total
                if slope.abs().max() < 0.01 * torch.finfo(raw.dtype).eps:
                    break
                step = inverse @ slope
                best[-1] -= step
                raw = raw - step.to(raw)
        lower, gradient = self.value_and_gradient(best)
        bound = gradient[:-1].square().sum() / (2 * self.alpha)
        # no loss is below zero, so the objective itself is a bound too
        return min(max((value - lower + bound).item(), 0.0), value.item())

    def separates(self, raw: Tensor) -> bool:
        """Whether in ``raw`` the largest prediction of every row is that of its own class."""
        if self.y.dim() != 1:
            return False
        if self.outputs == 1:
            right = torch.where(self.y == 1, raw[:, 0], -raw[:, 0])
        else:
            own = raw.gather(1, self.y[:, None])
            right = own[:, 0] - raw.scatter(1, self.y[:, None], -math.inf).amax(1)
        if self.weight is not None:
            right = right[self.weight > 0]
        wrong = torch.tensor(float((right <= 0).sum()), dtype=torch.float64, device=self.home)
        return self._everywhere(wrong).item() == 0

    # sums

    def _parts(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Blocks of rows whose raw predictions fit into a core's cache; targets and weights too."""
        step = max(1, PART // self.outputs)
        for start in range(0, len(self.x), step):
            rows = slice(start, start + step)
            yield rows, self.y[rows], None if self.weight is None else self.weight[rows]

    def _wide(self, value: Tensor) -> Tensor:
        return value.to(self.home).double()

    def _sum(self, value: Tensor | None, dim: int | None = None) -> Tensor:
        """The sum over all entries, or over rows, in float64."""
        assert value is not None
        result: Tensor = value.to(self.home).sum(dim=dim, dtype=torch.float64)
        return result

    def _everywhere(self, value: Tensor) -> Tensor:
        return self.world.sum(value)

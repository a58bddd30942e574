"""An estimate of the Hessian that is easy to invert, so that few steps are enough."""

from __future__ import annotations

import torch
from torch import Tensor

from linnet.core.randomness import generator
from linnet.errors import Diverged
from linnet.line import cost
from linnet.line.problem import LinearProblem
from linnet.line.rows import BLOCK, Rows

LIFT = {torch.float32: 1e-5, torch.float64: 1e-11}
"""The share of its diagonal that is added to a matrix so that its Cholesky factor exists; if it
still does not, a hundred times that share."""

SMALL = 1_500
"""Above this many coefficients the factors are in float32, because they only guide the steps."""

CHUNK = 1 << 22
"""The number of values that are gathered at once."""


class Curvature:
    """The Hessian at one point, as one block for each output; for one output it is complete. Where
    so many blocks would be too large (``LinearProblem.compact``), one, their mean, is for all.

    ``solve`` applies the inverse of the blocks to a gradient. A block is a sum over rows of
    ``w h z z'``, where ``h`` is the second derivative of the row's loss and ``z`` the inputs,
    centred and scaled to unit deviation, so units do not matter. If there are many rows, a sample
    is drawn: the probability of a row is proportional to ``w h`` and its leverage, and its weight
    is the inverse (Drineas and Mahoney 2016, Commun. ACM 59(6), 80-90). Few rows are enough,
    because uncertain and unusual rows contain most of the information. ``builds`` is the number of
    estimates before; each draws other rows. ``more`` multiplies the size of the sample, up to 30
    rows for each coefficient.
    """

    def __init__(
        self, problem: LinearProblem, raw: Tensor, builds: int = 0, more: float = 1.0
    ) -> None:
        mean, deviation = problem.columns
        self.shift = mean
        spread = (deviation.square() + problem.alpha).sqrt()
        self.scale = torch.where(spread > 0, 1 / spread, 1.0)
        self.intercept = problem.intercept
        self.free = problem.objective.free
        size = _bytes(problem)
        self.dtype = torch.float32 if size == 4 else torch.float64
        ridge = (problem.ridge * self.scale[:, None].square())[:, 0]
        ridge = torch.cat([ridge, ridge.new_tensor([0.0 if self.intercept else 1.0])])
        terms = _terms(problem)
        most = max(terms, 30.0 * _groups(problem) * (len(mean) + 1))
        matrices = self._blocks(problem, raw, min(more * terms, most), builds)
        matrices = matrices.to(problem.home)
        diagonal = matrices.diagonal(dim1=1, dim2=2)
        diagonal.add_(ridge.to(self.dtype))
        lift, failed = LIFT[self.dtype], torch.tensor(True)
        while failed.any():
            if lift > 1e9:
                raise Diverged("the Hessian is no longer finite; divide columns of huge numbers")
            diagonal.mul_(1 + lift).add_(lift * diagonal.mean(1, keepdim=True) + 1e-30)
            self.factors, failed = torch.linalg.cholesky_ex(matrices)
            lift *= 100
        self.price = cost.solve(self.factors.numel(), size)
        """The cost of a ``solve``, in nominal seconds."""

    @staticmethod
    def cost(problem: LinearProblem) -> float:
        """The cost of the estimate itself, in nominal seconds."""
        size, width, groups = _bytes(problem), problem.x.shape[1] + 1, _groups(problem)
        terms = min(_terms(problem), problem.rows * groups)
        exact = terms >= problem.rows * groups
        moments = cost.grams(problem, terms, 0 if exact else groups, size)
        return moments + groups * cost.factor(width, size)

    def solve(self, gradient: Tensor) -> Tensor:
        """The inverse times a gradient (inputs + 1, outputs)."""
        inputs = self.scale[:, None] * (gradient[:-1] - torch.outer(self.shift, gradient[-1]))
        right = torch.cat([inputs, gradient[-1:]]).to(self.dtype)
        if len(self.factors) == right.shape[1]:
            step = torch.cholesky_solve(right.T[:, :, None], self.factors)[:, :, 0].T.double()
        else:
            step = torch.cholesky_solve(right, self.factors[0]).double()
        if self.free:
            step = step - step.mean(1, keepdim=True)
        w = self.scale[:, None] * step[:-1]
        bias = step[-1] - self.shift @ w if self.intercept else torch.zeros_like(step[-1])
        return torch.cat([w, bias[None]])

    def _blocks(self, problem: LinearProblem, raw: Tensor, count: float, builds: int) -> Tensor:
        """``sum over rows of w h z z' / sum(w)``, (outputs or 1, inputs + 1, inputs + 1).

        From a sample of about ``count`` rows in total, or from all rows if there are fewer.
        """
        outputs = _groups(problem)
        bends = problem.bends(raw)
        if outputs < problem.outputs:
            bends = bends.mean(1, keepdim=True)
        rate = 0.0
        if count < problem.rows * outputs:
            total = problem.weighed(problem.leverage, bends).sum(dtype=torch.float64).item()
            rate = count / total if total > 0 else 0.0

        def leaf(number: int, x: Rows, rows: slice) -> Tensor:
            if count >= problem.rows * outputs:
                return self._exact(x, bends[rows])
            random = generator(builds, "curvature", number)
            return self._drawn(x, bends[rows], problem.leverage[rows], rate, random)

        numbers = problem.world.held(problem.count)
        every = zip(numbers, problem.held, problem.shares, strict=True)
        return problem.world.tree_sum((leaf(*one) for one in every), problem.count).div_(
            problem.total
        )

    def _augmented(self, block: Tensor) -> Tensor:
        """Rows (rows, inputs), centred and scaled, with a last column for the intercept."""
        shift, scale = (part.to(block) for part in (self.shift, self.scale))
        z = (block - shift).mul_(scale).to(self.dtype)
        return torch.cat([z, z.new_full((len(z), 1), 1.0 if self.intercept else 0.0)], 1)

    def _exact(self, x: Rows, bends: Tensor) -> Tensor:
        """``sum over rows of w h z z'`` for all rows of a share."""
        rows, width, outputs = len(x), x.shape[1] + 1, bends.shape[1]
        blocks = torch.zeros((outputs, width, width), dtype=self.dtype, device=x.device)
        step = max(1, CHUNK // width)
        part = max(1, CHUNK // (width * max(1, min(step, rows))))
        heavy = bends.to(self.dtype).T
        for start in range(0, rows, step):
            z = self._augmented(x.block(slice(start, start + step)))
            for k in range(0, outputs, part):
                w = heavy[k : k + part, start : start + step, None]
                blocks[k : k + part] += torch.matmul((w * z).mT, z)
        return blocks

    def _drawn(
        self, x: Rows, bends: Tensor, leverage: Tensor, rate: float, random: torch.Generator
    ) -> Tensor:
        """An estimate of ``_exact`` from a sample of the rows of a share."""
        rows, width, outputs = len(x), x.shape[1] + 1, bends.shape[1]
        blocks = torch.zeros((outputs, width, width), dtype=self.dtype, device=x.device)
        for k in range(outputs):
            found: list[Tensor] = []
            chances: list[Tensor] = []
            for start in range(0, rows, CHUNK):
                some = slice(start, min(start + CHUNK, rows))
                chance = (rate * bends[some, k] * leverage[some]).clamp_(max=1)
                drawn = torch.rand(len(chance), generator=random, dtype=torch.float32)
                taken = (drawn.to(x.device) < chance).nonzero()[:, 0]
                found.append(taken + start)
                chances.append(chance[taken])
            chosen = torch.cat(found) if rows else torch.arange(0, device=x.device)
            root = (bends[chosen, k] / torch.cat(chances or [leverage])).sqrt_().to(self.dtype)
            step = max(1, CHUNK // width)
            for some, factor in zip(chosen.split(step), root.split(step), strict=True):
                z = self._augmented(x.block(some)).mul_(factor[:, None])
                blocks[k].addmm_(z.T, z)
        # a column that is zero in nearly all rows may be zero in the whole sample
        exact = torch.zeros((outputs, width), dtype=self.dtype, device=x.device)
        heavy = bends.to(self.dtype).T
        for start in range(0, rows, BLOCK):
            some = slice(start, start + BLOCK)
            exact += heavy[:, some] @ self._augmented(x.block(some)).square_()
        diagonal = blocks.diagonal(dim1=1, dim2=2)
        diagonal.copy_(torch.maximum(diagonal, exact))
        return blocks


def _groups(problem: LinearProblem) -> int:
    """The number of blocks."""
    return problem.outputs if problem.compact else 1


def _bytes(problem: LinearProblem) -> int:
    """The bytes of a number in the factors."""
    return 4 if problem.x.shape[1] * problem.outputs > SMALL else problem.x.bytes


def _terms(problem: LinearProblem) -> float:
    """The size of the sample, for all outputs together: it costs as much as a step or two, with at
    least 3 and at most 100 rows for each coefficient."""
    width = problem.x.shape[1] + 1
    enough = 1.5 * cost.step(problem) / cost.term(width, _bytes(problem))
    every = float(width * _groups(problem))
    return min(max(3 * every, enough), 100 * every)

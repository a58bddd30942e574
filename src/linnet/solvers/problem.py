"""A linear model and its data as one function of the coefficients."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from linnet.objectives._base import Objective
from linnet.parallel import World


class Gram(NamedTuple):
    """``(X - mean)' W (X - mean) / sum(w)`` (inputs, inputs) and ``mean`` (inputs,), in float64."""

    matrix: Tensor
    mean: Tensor


class LinearProblem:
    """loss(theta) = sum_i w_i objective(x_i @ theta, y_i) / sum_i w_i + alpha/2 |theta no bias|^2

    ``x`` is (rows, inputs) float32 or float64, ``weight`` (rows,) or None for ones. ``theta`` is
    (inputs + 1, outputs) in float64, its last row the bias, which is not penalised. Products with
    ``x`` run in its dtype; everything else, and every sum over rows, in float64. Sums run over all
    ranks of ``world``, so every solver is a distributed solver.
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
        world: World | None = None,
    ) -> None:
        self.objective = objective
        self.x = x
        self.y = y.double() if y.is_floating_point() else y
        self.weight = None if weight is None else weight.double()
        self.outputs = outputs
        self.alpha = alpha
        self.world = world or World()
        self._data: dict[str, Any] = {}  # computed of the data alone, shared by all penalties
        rows = torch.tensor(float(len(x)), dtype=torch.float64, device=x.device)
        self.total = self.world.sum(rows if self.weight is None else self.weight.sum())

    def at(self, alpha: float) -> LinearProblem:
        """The same data under another penalty; what was computed of the data is shared."""
        other = copy(self)
        other.alpha = alpha
        other.__dict__.pop("factor", None)
        return other

    @property
    def constant(self) -> Tensor:
        """The coefficients (inputs + 1, outputs) of the best constant prediction."""
        theta = self.x.new_zeros((self.x.shape[1] + 1, self.outputs), dtype=torch.float64)
        theta[-1] = self.objective.constant(self.y, self.weight, self.outputs)
        return theta

    @property
    def unit(self) -> float:
        """What losses are measured in: the target's mean square deviation; 1 for classes."""
        if not self.objective.quadratic:
            return 1.0
        if "unit" not in self._data:
            self._data["unit"] = 2 * self.value(self.raw(self.constant)).item() or 1.0
        return float(self._data["unit"])

    def raw(self, theta: Tensor) -> Tensor:
        """Raw predictions (rows, outputs) in float64."""
        return self.product(theta[:-1]) + theta[-1]

    def product(self, coefficients: Tensor) -> Tensor:
        """``x @ coefficients`` in float64, the bias left out."""
        return (self.x @ coefficients.to(self.x.dtype)).double()

    def value(self, raw: Tensor) -> Tensor:
        """The mean loss at ``raw``, without the penalty."""
        loss = self.objective.loss(raw, self.y)
        return self.world.sum(self._weighted(loss).sum()) / self.total

    def value_and_gradient(self, theta: Tensor, raw: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The objective and its gradient; with ``raw`` known, one product with ``x``, else two."""
        raw = self.raw(theta) if raw is None else raw
        value = self.value(raw) + self.alpha / 2 * theta[:-1].square().sum()
        residual = self._weighted(self.objective.gradient(raw, self.y))
        gradient = self.transpose(residual)
        gradient[:-1] += self.alpha * theta[:-1]
        return value, gradient

    def hessian_product(self, theta: Tensor, direction: Tensor) -> Tensor:
        """The Hessian at ``theta`` times ``direction`` (inputs + 1, outputs); nothing is formed."""
        moved = self.raw(direction)
        result = self.transpose(
            self._weighted(self.objective.curvature(self.raw(theta), self.y, moved))
        )
        result[:-1] += self.alpha * direction[:-1]
        return result

    def transpose(self, residual: Tensor) -> Tensor:
        """``[x, 1]' residual / sum(w)`` (inputs + 1, outputs), over all ranks."""
        inputs = (self.x.T @ residual.to(self.x.dtype)).double()
        both = torch.cat([inputs, residual.sum(0, keepdim=True)])
        return self.world.sum(both) / self.total

    def slope_and_curvature(self, raw: Tensor, move: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative of the mean loss at ``raw`` along ``move``."""
        slope = (self._weighted(self.objective.gradient(raw, self.y)) * move).sum()
        bend = self._weighted(self.objective.curvature(raw, self.y, move)) * move
        both = self.world.sum(torch.stack([slope, bend.sum()])) / self.total
        return both[0], both[1]

    @property
    def gram(self) -> Gram:
        """The second moments of the inputs about their mean, accumulated block by block.

        Each block is shifted by a common origin before the product in its own dtype, so float32
        blocks keep their digits when means are large; the remaining mean is removed afterwards.
        """
        if "gram" not in self._data:
            self._data["gram"] = self._gram()
        found: Gram = self._data["gram"]
        return found

    def _gram(self) -> Gram:
        inputs = self.x.shape[1]
        origin = self.world.sum(self.x[:4096].double().sum(0)) / self.world.sum(
            torch.tensor(float(len(self.x[:4096])), dtype=torch.float64, device=self.x.device)
        )
        shift = origin.to(self.x.dtype)
        products = self.x.new_zeros((inputs, inputs), dtype=torch.float64)
        sums = self.x.new_zeros(inputs, dtype=torch.float64)
        weights = self.weight.split(4096) if self.weight is not None else None
        for index, block in enumerate(self.x.split(4096)):
            block = block - shift
            heavy = block if weights is None else block * weights[index].to(block.dtype)[:, None]
            products += (block.T @ heavy).double()
            sums += heavy.double().sum(0)
        mean = self.world.sum(sums) / self.total
        matrix = self.world.sum(products) / self.total - torch.outer(mean, mean)
        return Gram(matrix, mean + shift.double())

    @property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues (ascending) and eigenvectors of the Gram matrix."""
        if "spectrum" not in self._data:
            self._data["spectrum"] = torch.linalg.eigh(self.gram.matrix)
        values, vectors = self._data["spectrum"]
        return values, vectors

    @cached_property
    def factor(self) -> Tensor:
        """Cholesky's factor of ``bound * Gram + alpha I``, lifted a little so that it exists."""
        matrix = self.objective.bound * self.gram.matrix
        lift = self.alpha + 1e-9 * matrix.diagonal().mean().item() + 1e-300
        matrix.diagonal().add_(lift)
        factor: Tensor = torch.linalg.cholesky(matrix)
        return factor

    def newton(self, gradient: Tensor) -> Tensor:
        """``H^+ gradient`` for a quadratic objective: minus the step to the optimum.

        The pseudo-inverse: where the inputs do not determine the coefficients, of least norm.
        """
        values, vectors = self.spectrum
        floor = values[-1] * len(values) * torch.finfo(self.x.dtype).eps
        known = torch.full_like(values, True, dtype=torch.bool) if self.alpha else values > floor
        inverse = torch.where(known, 1 / (values.clamp(min=0) + self.alpha), 0.0)
        return self.centred(gradient, lambda g: vectors @ (inverse[:, None] * (vectors.T @ g)), 1.0)

    def centred(self, gradient: Tensor, solve: Callable[[Tensor], Tensor], bend: float) -> Tensor:
        """Apply ``solve`` to the coefficients of centred inputs, and ``1 / bend`` to their bias.

        With the inputs centred the bias does not depend on the other coefficients.
        """
        mean = self.gram.mean
        bias = gradient[-1]
        inputs = solve(gradient[:-1] - torch.outer(mean, bias))
        return torch.cat([inputs, (bias / bend - mean @ inputs)[None]])

    def gap(self, theta: Tensor) -> float | None:
        """An upper bound on ``loss(theta)`` minus the optimum, up to rounding.

        With the bias solved for, the objective is ``alpha``-strongly convex in the coefficients, so
        it exceeds the optimum by at most |gradient|^2 / (2 alpha): the duality gap at the dual
        point that the residuals give. A quadratic objective has an exact value. Else,
        without a penalty, None.
        """
        value, gradient = self.value_and_gradient(theta)
        if self.objective.quadratic:
            return max((gradient * self.newton(gradient)).sum().item() / 2, 0.0)
        if not self.alpha:
            return None
        best = theta.clone()
        raw = self.raw(theta)
        for _ in range(20):
            residual = self._weighted(self.objective.gradient(raw, self.y))
            slope = self.world.sum(residual.sum(0)) / self.total
            if slope.abs().max() < 1e-15:
                break
            # the Hessian by the bias, a column for each unit direction
            bends = []
            for unit in torch.eye(self.outputs, dtype=torch.float64, device=raw.device):
                bent = self.objective.curvature(raw, self.y, unit.expand_as(raw))
                bends.append(self.world.sum(self._weighted(bent).sum(0)) / self.total)
            step = torch.linalg.pinv(torch.stack(bends), hermitian=True) @ slope
            best[-1] -= step
            raw = raw - step
        lower, gradient = self.value_and_gradient(best)
        bound = gradient[:-1].square().sum() / (2 * self.alpha)
        return max((value - lower + bound).item(), 0.0)

    def _weighted(self, rows: Tensor) -> Tensor:
        if self.weight is None:
            return rows
        return rows * (self.weight if rows.dim() == 1 else self.weight[:, None])

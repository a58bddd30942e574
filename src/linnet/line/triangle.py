"""Least squares from the rows themselves: a QR decomposition, folded block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from linnet.core.parallel import World
from linnet.line.moments import BLOCK, Solution
from linnet.line.rows import Rows

EPS = torch.finfo(torch.float64).eps

UNIT = 2.0**-53
"""The relative error of one operation in float64."""

FAINT = 1e-12
"""A direction that moves predictions by less than this share along a column leaves it alone."""

CONSTANT = 32 * EPS
"""A column is constant if centring leaves at most this share of its length."""


@dataclass(frozen=True)
class Triangle:
    """The triangular factor R of the weighted rows ``sqrt(w) [1, x - shift, y - shift]``, float64.

    It holds all that least squares needs, with the accuracy of the rows, whose condition number is
    the root of that of their second moments. Blocks of rows fold into it one after the other (Chan
    1982, ACM TOMS 8, 72-83), so rows may come in parts. Without an intercept there is no column of
    ones, and nothing is shifted.
    """

    r: Tensor  # (up to width, width)
    shift: Tensor  # (inputs + outputs,)
    inputs: int
    rows: int
    total: float
    intercept: bool

    @classmethod
    def of(
        cls, x: Rows, y: Tensor, weight: Tensor | None, shift: Tensor, *, intercept: bool
    ) -> Triangle:
        """The triangle of rows ``x`` (rows, inputs) and ``y`` (rows, outputs), read once."""
        inputs = x.shape[1]
        shift = shift if intercept else torch.zeros_like(shift)
        width = int(intercept) + len(shift)
        r = torch.zeros((0, width), dtype=torch.float64, device=x.home)
        for rows, block in x.wide().blocks(BLOCK):
            targets = y[rows].to(x.home).double()
            ones = [targets.new_ones((len(targets), 1))] if intercept else []
            part = torch.cat([*ones, block - shift[:inputs], targets - shift[inputs:]], 1)
            if weight is not None:
                part = part * weight[rows, None].to(x.home).double().sqrt()
            r = _fold(r, part)
        total = float(len(x)) if weight is None else weight.sum(dtype=torch.float64).item()
        return cls(r, shift, inputs, len(x), total, intercept)

    def __add__(self, other: Triangle) -> Triangle:
        """The triangle of both sets of rows together, shifted as the first one."""
        lower = other.r
        if self.intercept:
            move = torch.outer(lower[:, 0], other.shift - self.shift)
            lower = torch.cat([lower[:, :1], lower[:, 1:] + move], 1)
        return replace(
            self,
            r=_fold(self.r, lower),
            rows=self.rows + other.rows,
            total=self.total + other.total,
        )

    @staticmethod
    def everywhere(parts: Sequence[Triangle], world: World, count: int) -> Triangle:
        """The triangle of the rows of all ranks, from those of each share of this one, all with the
        same shift: they are stacked and folded once more (Demmel et al. 2012, SIAM J. Sci. Comput.
        34, A206-A239). Rank 0 does it, so that all have the same bits."""
        if count == 1:
            return parts[0]
        width = int(parts[0].intercept) + len(parts[0].shift)
        room = parts[0].r.new_zeros((len(parts), width, width))
        for place, part in zip(room, parts, strict=True):
            place[: len(part.r)] = part.r
        every = world.gather(room).reshape(-1, width)
        sums = world.tree_sum(
            (every.new_tensor([float(part.rows), part.total]) for part in parts), count
        )
        return replace(
            parts[0],
            r=world.same(_fold(every[:0], every)),
            rows=int(sums[0].item()),
            total=float(sums[1].item()),
        )

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """The factor of the centred inputs (up to inputs, inputs), that of the targets beside it,
        and the rest below them. What is left of a constant column is rounding, and set to zero."""
        first = int(self.intercept)
        last = first + self.inputs
        r = self.r[first:last, first:last]
        if self.intercept and len(self.r):
            whole = self.r[:, first:last].norm(dim=0)
            r = torch.where(r.norm(dim=0) > CONSTANT * whole, r, 0.0)
        return r, self.r[first:last, last:], self.r[last:, last:]

    def solve(self, alpha: float) -> tuple[Solution, Tensor, Tensor]:
        """The solution for a penalty, accurate up to a condition number of 1e15, the objective
        there, and its gradient (inputs + 1, outputs).

        Columns are scaled to one length first, so that units do not matter; singular values below
        rounding count as zero. What the rows then leave open is chosen so that the coefficients
        themselves have the least norm.
        """
        r, right, rest = self.parts()
        inputs = self.inputs
        tiny = EPS * max(inputs, self.rows)
        whole, both = r, right
        if alpha:
            below = (alpha * self.total) ** 0.5 * torch.eye(inputs, dtype=r.dtype, device=r.device)
            whole = torch.cat([r, below])
            both = torch.cat([right, right.new_zeros((inputs, right.shape[1]))])
        scale, u, s, vt = _scaled(whole)
        known = s > s.amax() * tiny if len(s) else s > 0
        inverse = torch.where(known, 1 / s, 0.0)
        w = scale[:, None] * (vt.T @ (inverse[:, None] * (u.T @ both)))
        if int(known.sum()) < inputs:
            # directions that the rows do not determine, for the unscaled columns
            null = torch.linalg.qr(vt[known].T, mode="complete").Q[:, int(known.sum()) :]
            null = torch.where(null.abs() > FAINT, null, 0.0)  # else a tiny column would be huge
            free = torch.linalg.qr(scale[:, None] * null).Q
            w = w - free @ (free.T @ w)
        plain = _scaled(r)[2] if alpha else s
        rank = int((plain > plain.amax() * tiny).sum()) if len(plain) else 0
        full = len(s) == inputs and bool(known.all())
        condition = (s.amax() / s.amin()).item() if full and inputs else 1.0 if full else torch.inf
        short = r @ w - right
        squares = short.square().sum() + rest.square().sum()
        value = squares / (2 * self.total) + alpha / 2 * w.square().sum()
        bias = self._bias(w)
        gradient = torch.cat([r.T @ short / self.total + alpha * w, torch.zeros_like(bias)[None]])
        return Solution(torch.cat([w, bias[None]]), rank, condition), value, gradient

    def gap(self, theta: Tensor, alpha: float) -> float:
        """An upper bound on how far the objective at ``theta`` (inputs + 1, outputs) is above its
        optimum: ``distance`` of the residuals."""
        w = theta[:-1]
        spread = self.r[:, int(self.intercept) :] @ self._beside(w)
        first = self.r.new_zeros(0)
        if self.intercept:
            first = self.r[0, 0] * (theta[-1] - self._bias(w))
        below = slice(int(self.intercept), None)
        r = self.parts()[0]
        found = distance(r, spread[below], alpha, self.total, w)
        size = (self.r.norm(dim=0)[int(self.intercept) :, None] * self._beside(w).abs()).sum(0)
        size = size + self.total**0.5 * theta[-1].abs()
        error = UNIT * (self.inputs + 4) * size.norm().item()
        value = self.value(theta, alpha).item()
        if found is None:
            return value
        whole = (found + error) ** 2 + (first.norm().item() + error) ** 2
        return float(min(whole / (2 * self.total), value))

    def _bias(self, w: Tensor) -> Tensor:
        if not self.intercept:
            return w.new_zeros(w.shape[1])
        top, last = self.r[0], 1 + self.inputs
        bias = (top[last:] - top[1:last] @ w) / top[0]
        return bias + self.shift[self.inputs :] - self.shift[: self.inputs] @ w

    def value(self, theta: Tensor, alpha: float) -> Tensor:
        """The objective at ``theta`` (inputs + 1, outputs)."""
        w = theta[:-1]
        squares = (self.r[:, int(self.intercept) :] @ self._beside(w)).square().sum()
        if self.intercept:
            off = self.r[0, 0] * (theta[-1] - self._bias(w))
            first = self.r[0, 1:] @ self._beside(w)
            squares = squares - first.square().sum() + off.square().sum()
        return squares / (2 * self.total) + alpha / 2 * w.square().sum()

    def _beside(self, w: Tensor) -> Tensor:
        return torch.cat([w, -torch.eye(w.shape[1], dtype=w.dtype, device=w.device)])


def distance(r: Tensor, residual: Tensor, alpha: float, total: float, w: Tensor) -> float | None:
    """The length of the projection of residuals on the space of the inputs, plus rounding.

    ``r`` (up to inputs, inputs) is the factor of the centred inputs, ``residual`` (as many or more,
    outputs) are the residuals beside it and below; ``alpha`` is the penalty of the coefficients
    ``w`` (inputs, outputs). Half its square by ``total`` is how far the objective is above the
    optimum. None if the columns of ``r`` depend on each other up to rounding: then nothing is
    known of some directions.
    """
    inputs = r.shape[1]
    along, whole = residual[: len(r)], residual.norm().item()
    if alpha:
        root = (alpha * total) ** 0.5
        r = torch.cat([r, root * torch.eye(inputs, dtype=r.dtype, device=r.device)])
        along = torch.cat([along, root * w])
        whole = math.hypot(whole, root * w.norm().item())
    lengths = r.norm(dim=0) if len(r) else r.new_zeros(inputs)
    u, s, _ = torch.linalg.svd(r / torch.where(lengths > 0, lengths, 1.0), full_matrices=False)
    top = s.amax() if len(s) else s.sum()
    tiny = 64 * UNIT * (inputs + 8) * top
    known = s > tiny
    if int(known.sum()) < min(len(s), int((lengths > 0).sum())):
        return None
    parts = (u.T @ along)[known]
    # each direction is known up to rounding, worse if its singular value is small
    blur = (tiny / s[known]).clamp(max=1.0)
    return float(parts.norm().item() + whole * blur.norm().item())


def _fold(r: Tensor, part: Tensor) -> Tensor:
    folded: Tensor = torch.linalg.qr(torch.cat([r, part]), mode="r").R
    return folded


def _scaled(r: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The scale (inputs,) that gives the columns one length, and the SVD of the scaled columns."""
    lengths = r.square().sum(0).sqrt() if len(r) else r.new_zeros(r.shape[1])
    scale = torch.where(lengths > 0, 1 / lengths, 1.0)
    u, s, vt = torch.linalg.svd(r * scale, full_matrices=False)
    return scale, u, s, vt

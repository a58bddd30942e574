"""The certificate of a line: how far its objective can be above the optimum.

It is computed in float64 from the rows and from the coefficients as they are stored, by another way
than the answer. Bounds on rounding are part of it, so the true distance is not larger (tested
against arithmetic of 60 digits).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from linnet.line.problem import LinearProblem
from linnet.line.rows import SMALL, Dense, Rows
from linnet.line.triangle import UNIT, distance

LONG = float(np.finfo(np.longdouble).eps) / 2
"""That of one operation in long double, which some processors have."""

SAFE = 0.05
"""Second moments serve as the metric if their relative error is at most this; else the rows are
factorised."""


class Certificate(NamedTuple):
    """The objective at the coefficients as they are stored, and an upper bound on how far it is
    above the optimum; None if there is no bound."""

    objective: float
    gap: float | None


def certify(problem: LinearProblem, theta: Tensor) -> Certificate | None:
    """The certificate of ``theta`` (inputs + 1, outputs), the coefficients as they are stored, for
    the inputs of the problem; None on a device without float64.

    For squared errors the gap is the exact distance plus rounding. For classes with a penalty it is
    a duality gap; without a penalty there may be no optimum, and there is no bound. The objective
    itself is a bound too, as no loss is below zero.
    """
    if problem.x.device.type == "mps":
        return None
    wide = problem if problem.x.dtype == torch.float64 else problem.widened()
    if problem.objective.quadratic:
        short, error = _residual(wide, theta)
        square = _root(wide, short).square().sum().item()
        value = square / 2 + wide.penalty(theta).item()
        found = _squared(problem, wide, theta, short, error)
        most = value + error * math.sqrt(square) + error**2 / 2
    else:
        raw, error = _raw(wide, theta)
        parts = ([piece.value(_at(piece, theta, raw, rows))] for rows, piece in wide.pieces())
        value = (wide.added(parts)[0] + wide.penalty(theta)).item()
        found = _dual(wide, theta, raw, error) if wide.alpha else None
        most = value * (1 + 1e-12) + UNIT * problem.outputs
    if found is None:
        return Certificate(value, None)
    gap = min(found, most)
    return Certificate(max(value, gap), gap)


MOST_UNKNOWNS = 300
"""With at most this many coefficients, the certificate for classes solves a Newton step."""


# squared errors


def _squared(
    problem: LinearProblem, wide: LinearProblem, theta: Tensor, residual: Tensor, error: float
) -> float | None:
    """The distance from the optimum: half the mean square of the projection of the residuals (rows,
    outputs) on the space of the inputs, with the penalty as further rows below them. ``wide`` is
    the same problem in float64, ``error`` the root mean square of what rounding does to them."""
    narrow = problem.rows > problem.x.shape[1]
    if (narrow and not problem.compact) or (not narrow and problem.alpha):
        return _strong(wide, theta, residual, error)  # no matrix of all inputs
    large = problem.numbers > SMALL and narrow
    if large:
        found = _by_moments(problem, wide, theta, residual, error)
        if found is not None:
            return found
    if not isinstance(problem.x, Dense):
        return _strong(wide, theta, residual, error)
    return _by_rows(wide, theta, residual, error)


def _by_rows(problem: LinearProblem, theta: Tensor, residual: Tensor, error: float) -> float:
    """The distance by a QR decomposition of the rows, in which the residuals are the targets."""
    w, inputs = theta[:-1], problem.x.shape[1]
    mean = _mean(problem)
    shift = torch.cat([mean, mean.new_zeros(problem.outputs)])
    folded = problem.triangle(residual, shift)
    r, along, rest = folded.parts()
    both = torch.cat([along, rest])
    found = distance(r, both, problem.alpha, problem.total, w)
    if found is None:
        kept = _independent(problem, r)
        if kept is None:
            return math.inf  # what looks like one column too many may be a column of its own
        found = distance(r[:, kept], both, problem.alpha, problem.total, w[kept])
        if found is None:
            return math.inf
    error = error * math.sqrt(problem.total)
    off = folded.r[0, 1 + inputs :].norm().item() + error if problem.intercept else 0.0
    return float(((found + error) ** 2 + off**2) / (2 * problem.total))


def _by_moments(
    problem: LinearProblem, wide: LinearProblem, theta: Tensor, residual: Tensor, error: float
) -> float | None:
    """The distance by the gradient from the rows, in the metric of the second moments; None if
    these are not accurate enough."""
    moments = problem.moments
    factor, scale = moments.factor(problem.alpha)
    loss = moments.condition * 4 * torch.finfo(problem.x.dtype).eps
    if factor is None or loss > SAFE:
        return None
    heavy = residual if wide.given is None else residual * _ones(wide)[:, None]
    gradient = wide.gradient(theta, heavy)
    inputs = gradient[:-1] - torch.outer(moments.mean_x, gradient[-1])
    half = torch.linalg.solve_triangular(factor, scale[:, None] * inputs, upper=False)
    size = _root(wide, residual).norm().item()
    error = error + 64 * UNIT * size * math.sqrt(moments.condition * len(scale))
    short = half.norm().item() + error
    bias = gradient[-1].norm().item() + error if problem.intercept else 0.0
    return float((short**2 / (1 - loss) ** 2 + bias**2) / 2)


def _strong(problem: LinearProblem, theta: Tensor, residual: Tensor, error: float) -> float | None:
    """The bound by strong convexity, |gradient|^2 / (2 alpha), at the best bias."""
    if not problem.alpha:
        return None
    weight, off = _ones(problem), residual.new_zeros(problem.outputs)
    if problem.intercept:
        off = problem.weighed(weight, residual) / problem.total
    heavy = (residual - off) * weight[:, None]
    gradient = problem.summed(lambda x, rows: x.transposed(heavy[rows]))
    gradient = gradient / problem.total + problem.alpha * theta[:-1]
    size = _length(problem, gradient, _root(problem, residual - off), theta)
    return float(size**2 / (2 * problem.alpha) + (off.norm().item() + error) ** 2 / 2)


def _independent(problem: LinearProblem, r: Tensor) -> Tensor | None:
    """The columns that the others are sums of, exactly, in the numbers as they are; None if the
    columns depend on each other only up to rounding.

    ``r`` is the factor of the centred columns. Only sums of columns times powers of two are looked
    for, such as copies, and all indicators of a category, which sum to one. Sums of floats are
    exact if adding their rounding errors changes nothing (Knuth's two-sum).
    """
    if not isinstance(problem.x, Dense) or problem.numbers > SMALL:
        return None
    from scipy.linalg import qr

    lengths = r.norm(dim=0).cpu().numpy()
    live = np.flatnonzero(lengths > 0)
    rows = problem.world.gather(problem.x.block(slice(None))).cpu().numpy()
    scaled = r.cpu().numpy()[:, live] / lengths[live]
    triangle, order = qr(scaled, mode="r", pivoting=True)
    sizes = np.abs(triangle.diagonal())
    kept = int((sizes > 1e-12 * sizes.max(initial=0.0)).sum())
    first, later = live[order[:kept]], live[order[kept:]]
    share = np.linalg.solve(triangle[:kept, :kept], triangle[:kept, kept:])
    small = np.abs(share) < 1e-6
    share = share * lengths[later] / lengths[first][:, None]
    power = np.exp2(np.round(np.log2(np.maximum(np.abs(share), 1e-300))))
    share = np.where(small, 0.0, np.sign(share) * power)
    for place, column in enumerate(later):
        used = np.flatnonzero(share[:, place])
        if not _constant(
            rows[:, column], rows[:, first[used]], share[used, place], problem.intercept
        ):
            return None
    return torch.from_numpy(np.sort(first)).to(r.device)


def _constant(column: np.ndarray, others: np.ndarray, factors: np.ndarray, intercept: bool) -> bool:
    """Whether ``column - others @ factors`` is one number in all rows, exactly."""
    total, error = column.copy(), np.zeros_like(column)
    for other, factor in zip(others.T, factors, strict=True):
        term = -factor * other
        new = total + term
        back = new - total
        error = error + ((total - (new - back)) + (term - back))
        total = new
    first = total[0] if intercept else 0.0
    return bool((total == first).all() and (error == 0).all())


# classes


def _dual(problem: LinearProblem, theta: Tensor, raw: Tensor | None, error: float) -> float | None:
    """The duality gap near the probabilities that the coefficients predict.

    For any probabilities q whose weighted sums are those of the targets (with an intercept), the
    objective is above its optimum by at most ``mean KL(q | p) + |g|^2 / (2 alpha)``, where p are
    the predicted probabilities, and g is the gradient with q in place of p: Fenchel's duality, in
    a form without cancellation. p itself serves as q, its sums put right; but if the penalty is
    small, so that ``|g|^2 / (2 alpha)`` is much, the q that a Newton step predicts is better.
    """
    first = _bound(problem, theta, raw, error, None)
    if first is None:
        return first
    unknowns = (problem.x.shape[1] + 1) * problem.outputs
    if unknowns > MOST_UNKNOWNS or not isinstance(problem.x, Dense) or raw is None:
        return first
    second = _bound(problem, theta, raw, error, _newton(problem, theta, raw))
    return first if second is None or not second < first else second


def _at(piece: LinearProblem, theta: Tensor, raw: Tensor | None, rows: slice) -> Tensor:
    """The raw predictions of a piece: its ``rows`` of ``raw`` if that is known."""
    return piece.raw(theta) if raw is None else raw[rows]


def _bound(
    problem: LinearProblem, theta: Tensor, raw: Tensor | None, blur: float, change: Tensor | None
) -> float | None:
    """The duality gap with probabilities near those of ``raw`` plus ``change``. If ``raw`` is not
    known, it goes over the rows twice, piece by piece: for the sums, and with them."""
    everywhere = _sums(problem, theta, raw, change)

    def parts() -> Iterator[list[Tensor]]:
        for rows, piece in problem.pieces():
            weight, seen = _ones(piece), _at(piece, theta, raw, rows)
            y = piece.y.to(seen.device)
            wish = None if change is None else change[rows]
            found = piece.objective.dual(
                seen, y, weight if problem.intercept else None, everywhere, wish
            )
            if found is None:
                raise _NoBound
            residual, lack = found
            moved = piece.objective.gradient(seen, y) - residual
            yield [
                piece.x.transposed(residual * weight[:, None]),
                weight @ residual.square(),
                weight @ moved.square(),
                weight @ lack,
            ]

    try:
        gradient, square, off, above = problem.added(parts())
    except _NoBound:
        return None
    gradient = gradient / problem.total + problem.alpha * theta[:-1]
    size = _length(problem, gradient, (square / problem.total).sqrt(), theta)
    far = (off / problem.total).sqrt().norm().item()
    biases = UNIT * (problem.rows + 4) * theta[-1].abs().sum().item() if problem.intercept else 0.0
    lacking = above.item() / problem.total
    return float(lacking + blur * far + blur**2 + biases + size**2 / (2 * problem.alpha))


class _NoBound(Exception):
    """The objective has no dual point near these predictions."""


def _sums(
    problem: LinearProblem, theta: Tensor, raw: Tensor | None, change: Tensor | None
) -> Callable[[Tensor], Tensor]:
    """What stands for ``everywhere`` piece by piece: in the order in which a dual point asks for
    sums over the rows of a piece, those over all rows. Where all rows are one piece, it is that."""
    if problem.count == 1 and raw is not None:
        return lambda value: value

    def parts() -> Iterator[list[Tensor]]:
        for rows, piece in problem.pieces():
            asked: list[Tensor] = []

            def note(value: Tensor, asked: list[Tensor] = asked) -> Tensor:
                asked.append(value)
                return value

            seen, wish = _at(piece, theta, raw, rows), None if change is None else change[rows]
            y, weight = piece.y.to(seen.device), _ones(piece) if problem.intercept else None
            piece.objective.dual(seen, y, weight, note, wish)
            yield asked

    turn = cycle(problem.added(parts()))
    return lambda value: next(turn)


def _newton(problem: LinearProblem, theta: Tensor, raw: Tensor) -> Tensor:
    """How a Newton step from ``theta`` would change the residuals, to first order."""
    weight, y, k = _ones(problem), problem.y.to(raw.device), problem.outputs
    mean, last = _mean(problem), float(problem.intercept)
    x = problem.x.block(slice(None)) - (mean if problem.intercept else 0.0)
    z = torch.cat([x, x.new_full((len(x), 1), last)], 1)
    width, total = z.shape[1], problem.total
    units = torch.eye(k, dtype=raw.dtype, device=raw.device)
    columns = [problem.objective.curvature(raw, y, unit.expand_as(raw)) for unit in units]
    bent = torch.stack(columns, 2) * weight[:, None, None]  # (rows, outputs, outputs)
    hessian = problem.summed(
        lambda x, rows: torch.einsum("rkl,ri,rj->ikjl", bent[rows], z[rows], z[rows])
    )
    hessian = (hessian / total).reshape(width * k, width * k)
    ridge = torch.full((width,), problem.alpha, dtype=raw.dtype, device=raw.device)
    ridge[-1] = 0.0
    hessian.diagonal().add_(ridge.repeat_interleave(k))
    heavy = problem.objective.gradient(raw, y) * weight[:, None]
    gradient = problem.summed(lambda x, rows: z[rows].T @ heavy[rows]) / total
    gradient[:-1] += problem.alpha * theta[:-1]
    size = hessian.diagonal().clamp(min=1e-300).rsqrt()
    inverse = torch.linalg.pinv(hessian * torch.outer(size, size), rtol=1e-13, hermitian=True)
    step = (size * (inverse @ (size * gradient.reshape(-1)))).reshape(width, k)
    step = problem.world.same(step)
    return -problem.objective.curvature(raw, y, z @ step)


# rounding


def _ones(problem: LinearProblem) -> Tensor:
    if problem.given is not None:
        return problem.given.to(problem.x.device)
    if problem.folder is not None:  # one number stands for all
        return torch.ones((), dtype=torch.float64).expand(len(problem.x))
    return torch.ones(len(problem.x), dtype=torch.float64, device=problem.x.device)


def _root(problem: LinearProblem, values: Tensor) -> Tensor:
    """The roots of the weighted mean squares of each column of ``values`` (rows, columns)."""
    ones = _ones(problem)
    if problem.folder is None:
        return (problem.weighed(ones, values.square()) / problem.total).sqrt()

    def leaf(x: Rows, share: slice) -> Tensor:
        total = values.new_zeros(values.shape[1])
        for rows, _, _ in problem.parts(share):
            total += ones[rows] @ values[rows].square()
        return total

    return (problem.summed(leaf) / problem.total).sqrt()


def _mean(problem: LinearProblem) -> Tensor:
    """The weighted means of the inputs (inputs,)."""
    ones = _ones(problem)[:, None]
    return problem.summed(lambda x, rows: x.transposed(ones[rows])[:, 0]) / problem.total


def _sizes(problem: LinearProblem) -> Tensor:
    """The roots of the weighted mean squares of the inputs (inputs,)."""
    ones = _ones(problem)[:, None]
    square = problem.summed(lambda x, rows: x.squares(ones[rows])[:, 0])
    return (square / problem.total).sqrt()


def _residual(problem: LinearProblem, theta: Tensor) -> tuple[Tensor, float]:
    """Raw predictions less targets (rows, outputs), and a bound on the root mean square of their
    rounding errors."""
    y = problem.y.reshape(len(problem.x), problem.outputs).to(problem.x.device)
    sized = _size(problem, theta) + _root(problem, y).norm().item()
    width = problem.x.shape[1] + 4
    if not _long(problem):
        return problem.raw(theta).sub_(y), UNIT * width * sized
    short = torch.from_numpy((_product(problem, theta) - y.numpy()).astype(np.float64))
    return short, LONG * width * sized + UNIT * _root(problem, short).norm().item()


def _raw(problem: LinearProblem, theta: Tensor) -> tuple[Tensor | None, float]:
    """Raw predictions (rows, outputs), None if they are many; and a bound as that of
    ``_residual``."""
    width, sized = problem.x.shape[1] + 4, _size(problem, theta)
    if problem.bulky:
        return None, UNIT * width * sized
    if not _long(problem):
        return problem.raw(theta), UNIT * width * sized
    raw = torch.from_numpy(_product(problem, theta).astype(np.float64))
    return raw, LONG * width * sized + UNIT * _root(problem, raw).norm().item()


def _size(problem: LinearProblem, theta: Tensor) -> float:
    """The root mean square of the terms that add up to raw predictions."""
    terms = (_sizes(problem)[:, None] * theta[:-1].abs()).sum(0)
    return float(terms.norm().item() + theta[-1].norm().item())


def _long(problem: LinearProblem) -> bool:
    """Whether raw predictions are computed in the long double of the processor: where it has one,
    for dense rows that are few."""
    small = isinstance(problem.x, Dense) and problem.numbers <= SMALL
    return LONG < UNIT and small and problem.x.device.type == "cpu"


def _product(problem: LinearProblem, theta: Tensor) -> Any:
    x = problem.x.block(slice(None)).numpy().astype(np.longdouble)
    return x @ theta[:-1].numpy().astype(np.longdouble) + theta[-1].numpy()


def _length(problem: LinearProblem, gradient: Tensor, root: Tensor, theta: Tensor) -> float:
    """The length of a gradient, with a bound on its rounding errors added; ``root`` (outputs,) are
    the roots of the weighted mean squares of the residuals."""
    summed = UNIT * (problem.rows + 4) * torch.outer(_sizes(problem), root)
    added = 2 * UNIT * problem.alpha * theta[:-1].abs()
    return float((gradient.abs() + summed + added).norm().item())

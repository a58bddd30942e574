"""The certificate of a line: how far its objective can be above the optimum.

It is computed in float64 from the rows and from the coefficients as they are stored, by another way
than the answer. Bounds on rounding are part of it, so the true distance is not larger (tested
against arithmetic of 60 digits).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from linnet.line.problem import LinearProblem
from linnet.line.rows import SMALL, Dense, Rows
from linnet.line.triangle import Triangle

UNIT = 2.0**-53
"""The relative error of one operation in float64."""

SAFE = 0.05
"""Second moments serve as the metric if their relative error is at most this; else the rows are
factorised."""


def gap(problem: LinearProblem, theta: Tensor) -> float | None:
    """An upper bound on ``loss(theta)`` minus the optimum of ``problem``; None if there is none.

    ``theta`` (inputs + 1, outputs) are the coefficients as they are stored, for the inputs of the
    problem. For squared errors the bound is the exact distance plus rounding. For classes with a
    penalty it is a duality gap; without a penalty there may be no optimum, and there is no bound.
    The objective itself is a bound too, as no loss is below zero.
    """
    if problem.x.device.type == "mps":
        return None  # it has no float64
    wide = problem if problem.x.dtype == torch.float64 else problem.widened()
    if problem.objective.quadratic:
        found = _squared(problem, wide, theta)
    else:
        found = _dual(wide, theta) if wide.alpha else None
    if found is None:
        return None
    value = wide.value(wide.raw(theta)) + wide.penalty(theta)
    return float(min(found, value.item()))


MOST_UNKNOWNS = 300
"""With at most this many coefficients, the certificate for classes solves a Newton step."""


# squared errors


def _squared(problem: LinearProblem, wide: LinearProblem, theta: Tensor) -> float | None:
    """The distance from the optimum: half the mean square of the residuals' projection on the
    space of the inputs, with the penalty as further rows below them. ``wide`` is the same problem
    in float64."""
    if not problem.compact and problem.rows > problem.x.shape[1]:
        return _strong(wide, theta)
    large = problem.numbers > SMALL and problem.rows > problem.x.shape[1]
    if large or problem.world.size > 1:
        found = _by_moments(problem, wide, theta)
        if found is not None or problem.world.size > 1:
            return found
    if not isinstance(problem.x, Dense):
        return _strong(wide, theta)
    return _by_rows(wide, theta)


def _by_rows(problem: LinearProblem, theta: Tensor) -> float:
    """The distance by a QR decomposition of the rows, in which the residuals are the targets."""
    x, w, inputs = problem.x, theta[:-1], problem.x.shape[1]
    raw = problem.raw(theta)
    y = problem.y.reshape(raw.shape)
    weight = problem.given
    mean = _mean(problem)
    shift = torch.cat([mean, mean.new_zeros(problem.outputs)])
    folded = Triangle.of(x, raw - y, weight, shift, intercept=problem.intercept)
    r, along, rest = folded.parts()
    whole = math.sqrt(along.square().sum().item() + rest.square().sum().item())
    bias = folded.r[0, 1 + inputs :] if problem.intercept else raw.new_zeros(0)
    if problem.alpha:
        root = (problem.alpha * problem.total) ** 0.5
        below = root * torch.eye(inputs, dtype=r.dtype, device=r.device)
        r, along = torch.cat([r, below]), torch.cat([along, root * w])
        whole = math.hypot(whole, root * w.norm().item())
    lengths = r.norm(dim=0) if len(r) else r.new_zeros(inputs)
    u, s, _ = torch.linalg.svd(r / torch.where(lengths > 0, lengths, 1.0), full_matrices=False)
    s = s.clamp(min=0)
    top = s.amax() if len(s) else s.sum()
    known = s > 64 * UNIT * (inputs + 8) * top
    null = int((lengths > 0).sum()) - int(known.sum())
    if int((~known & (s > 0)).sum()) and not _dependent(x, lengths, null, problem.intercept):
        return math.inf  # what looks like one column too many may be a column of its own
    parts = (u.T @ along)[known].abs()
    # each direction is known up to rounding, more so if its singular value is small
    blur = (64 * UNIT * (inputs + 8) * top / s[known]).clamp(max=1.0)
    turned = (parts.square().sum().sqrt() + whole * blur.norm()).item()
    error = turned + _raw_error(problem, theta) * math.sqrt(problem.total)
    off = bias.norm().item() + _bias_error(problem, theta)
    return float((error**2 + off**2) / (2 * problem.total))


def _by_moments(problem: LinearProblem, wide: LinearProblem, theta: Tensor) -> float | None:
    """The distance by the gradient from the rows, in the metric of the second moments; None if
    these are not accurate enough."""
    moments = problem.moments
    factor, scale = moments.factor(problem.alpha)
    loss = moments.condition * 4 * torch.finfo(problem.x.dtype).eps
    if factor is None or loss > SAFE:
        return None
    value, gradient = wide.value_and_gradient(theta)
    inputs = gradient[:-1] - torch.outer(moments.mean_x, gradient[-1])
    half = torch.linalg.solve_triangular(factor, scale[:, None] * inputs, upper=False)
    sums = 64 * UNIT * math.sqrt(2 * value.item() * moments.condition * len(scale))
    error = _raw_error(wide, theta) + sums
    short = half.norm().item() + error
    bias = gradient[-1].norm().item() + error if problem.intercept else 0.0
    return float((short**2 / (1 - loss) ** 2 + bias**2) / 2)


def _strong(problem: LinearProblem, theta: Tensor) -> float | None:
    """The bound by strong convexity, |gradient|^2 / (2 alpha), at the best bias."""
    if not problem.alpha:
        return None
    raw = problem.raw(theta)
    y = problem.y.reshape(raw.shape)
    weight = _ones(problem)
    residual = raw - y
    off = residual.new_zeros(problem.outputs)
    if problem.intercept:
        off = problem.everywhere(weight @ residual) / problem.total
    gradient = problem.everywhere(problem.x.transposed((residual - off) * weight[:, None]))
    gradient = gradient / problem.total + problem.alpha * theta[:-1]
    size = _length(problem, gradient, residual - off, theta)
    error = _raw_error(problem, theta)
    return float(size**2 / (2 * problem.alpha) + (off.norm().item() + error) ** 2 / 2)


def _dependent(x: Rows, lengths: Tensor, count: int, intercept: bool) -> bool:
    """Whether ``count`` columns are sums of others, exactly, in the numbers as they are.

    Only sums of columns times powers of two are looked for, such as copies, and all indicators of
    a category, which sum to one. Sums of floats are exact if adding their rounding errors changes
    nothing (Knuth's two-sum).
    """
    if not isinstance(x, Dense) or x.numbers > SMALL or count <= 0:
        return count <= 0
    from scipy.linalg import qr

    rows = x.x.to(torch.float64).cpu().numpy()
    live = np.flatnonzero(lengths.cpu().numpy() > 0)
    block = rows[:, live]
    mean = block.mean(0) if intercept else np.zeros(len(live))
    centred = block - mean
    size = np.linalg.norm(centred, axis=0)
    r, order = qr(centred / np.where(size > 0, size, 1), mode="r", pivoting=True)
    kept = len(live) - count
    first, later = order[:kept], order[kept:]
    share = np.linalg.lstsq(r[:kept, :kept], r[:kept, kept:], rcond=None)[0]
    share = share * size[later] / size[first][:, None]
    least = 1e-6 * size[later] / size[first][:, None]
    power = np.exp2(np.round(np.log2(np.maximum(np.abs(share), 1e-300))))
    share = np.where(np.abs(share) > least, np.sign(share) * power, 0.0)
    return all(
        _constant(block[:, column], block[:, first[used]], share[used, place], intercept)
        for place, column in enumerate(later)
        for used in [np.flatnonzero(share[:, place])]
    )


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


def _dual(problem: LinearProblem, theta: Tensor) -> float | None:
    """The duality gap near the probabilities that the coefficients predict.

    For any probabilities q whose weighted sums are those of the targets (with an intercept), the
    objective is above its optimum by at most ``mean KL(q | p) + |g|^2 / (2 alpha)``, where p are
    the predicted probabilities, and g is the gradient with q in place of p: Fenchel's duality, in
    a form without cancellation. p itself serves as q, its sums put right; but if the penalty is
    small, so that ``|g|^2 / (2 alpha)`` is much, the q that a Newton step predicts is better.
    """
    raw = problem.raw(theta)
    first = _bound(problem, theta, raw, None)
    if first is None or problem.world.size > 1:
        return first
    unknowns = (problem.x.shape[1] + 1) * problem.outputs
    if unknowns > MOST_UNKNOWNS or not isinstance(problem.x, Dense):
        return first
    second = _bound(problem, theta, raw, _newton(problem, theta, raw))
    return first if second is None or not second < first else second


def _bound(
    problem: LinearProblem, theta: Tensor, raw: Tensor, change: Tensor | None
) -> float | None:
    """The duality gap with probabilities near those of ``raw`` plus ``change``."""
    weight, y = _ones(problem), problem.y.to(raw.device)
    sums = weight if problem.intercept else None
    found = problem.objective.dual(raw, y, sums, problem.everywhere, change)
    if found is None:
        return None
    residual, lack = found
    gradient = problem.x.transposed(residual * weight[:, None])
    gradient = problem.everywhere(gradient) / problem.total + problem.alpha * theta[:-1]
    size = _length(problem, gradient, residual, theta)
    blur = _raw_error(problem, theta)
    off = _root(problem, problem.objective.gradient(raw, y) - residual).norm().item()
    biases = UNIT * (problem.rows + 4) * theta[-1].abs().sum().item() if problem.intercept else 0.0
    above = problem.everywhere(weight @ lack).item() / problem.total
    return float(above + blur * off + blur**2 + biases + size**2 / (2 * problem.alpha))


def _newton(problem: LinearProblem, theta: Tensor, raw: Tensor) -> Tensor:
    """How a Newton step from ``theta`` would change the residuals, to first order."""
    weight, y, k = _ones(problem), problem.y.to(raw.device), problem.outputs
    mean, last = _mean(problem), float(problem.intercept)
    x = problem.x.block(slice(None)) - (mean if problem.intercept else 0.0)
    z = torch.cat([x, x.new_full((len(x), 1), last)], 1)
    width = z.shape[1]
    units = torch.eye(k, dtype=raw.dtype, device=raw.device)
    columns = [problem.objective.curvature(raw, y, unit.expand_as(raw)) for unit in units]
    bent = torch.stack(columns, 2) * weight[:, None, None]  # (rows, outputs, outputs)
    hessian = torch.einsum("rkl,ri,rj->ikjl", bent, z, z) / problem.total
    hessian = hessian.reshape(width * k, width * k)
    ridge = torch.full((width,), problem.alpha, dtype=raw.dtype, device=raw.device)
    ridge[-1] = 0.0
    hessian.diagonal().add_(ridge.repeat_interleave(k))
    gradient = z.T @ (problem.objective.gradient(raw, y) * weight[:, None]) / problem.total
    gradient[:-1] += problem.alpha * theta[:-1]
    size = hessian.diagonal().clamp(min=1e-300).rsqrt()
    inverse = torch.linalg.pinv(hessian * torch.outer(size, size), rtol=1e-13, hermitian=True)
    step = (size * (inverse @ (size * gradient.reshape(-1)))).reshape(width, k)
    return -problem.objective.curvature(raw, y, z @ step)


# rounding


def _ones(problem: LinearProblem) -> Tensor:
    if problem.given is not None:
        return problem.given.to(problem.x.device)
    return torch.ones(len(problem.x), dtype=torch.float64, device=problem.x.device)


def _root(problem: LinearProblem, values: Tensor) -> Tensor:
    """The roots of the weighted mean squares of each column of ``values`` (rows, columns)."""
    return (problem.everywhere(_ones(problem) @ values.square()) / problem.total).sqrt()


def _mean(problem: LinearProblem) -> Tensor:
    """The weighted means of the inputs (inputs,)."""
    return problem.x.transposed(_ones(problem)[:, None])[:, 0] / problem.total


def _sizes(problem: LinearProblem) -> Tensor:
    """The roots of the weighted mean squares of the inputs (inputs,)."""
    square = problem.everywhere(problem.x.squares(_ones(problem)[:, None])[:, 0])
    return (square / problem.total).sqrt()


def _raw_error(problem: LinearProblem, theta: Tensor) -> float:
    """A bound on the root mean square of the rounding errors of raw predictions less targets."""
    width = problem.x.shape[1] + 4
    size = (_sizes(problem)[:, None] * theta[:-1].abs()).sum(0).norm() + theta[-1].norm()
    size = size.item()
    if problem.objective.quadratic:
        size += _root(problem, problem.y.reshape(len(problem.x), -1).double()).norm().item()
    return float(UNIT * width * size)


def _bias_error(problem: LinearProblem, theta: Tensor) -> float:
    return _raw_error(problem, theta) * math.sqrt(problem.total) if problem.intercept else 0.0


def _length(problem: LinearProblem, gradient: Tensor, residual: Tensor, theta: Tensor) -> float:
    """The length of a gradient, with a bound on its rounding errors added."""
    root = _root(problem, residual)
    summed = UNIT * (problem.rows + 4) * torch.outer(_sizes(problem), root)
    added = 2 * UNIT * problem.alpha * theta[:-1].abs()
    return float((gradient.abs() + summed + added).norm().item())

"""Few numbers: the line in NumPy, to its optimum, in about a millisecond.

An operation of PyTorch takes 3 to 10 microseconds before it computes anything, one of NumPy about
one. With few rows nothing else counts, so here the normal equations are solved with refinement, and
Newton's method takes the whole Hessian. Where that is not accurate (ill-conditioned inputs, numbers
that are not finite, coefficients without limit) the answer is None, and the general solvers are
asked, who also say what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg.lapack import dpocon, dpotrf, dpotrs, dtrtrs

from linnet.line.moments import WELL

Array = np.ndarray[Any, Any]

FEW = 200_000
"""The most numbers of the inputs."""

UNKNOWNS = 300
"""Up to this many coefficients, Newton's method takes the whole Hessian."""

NEWTON = 30
"""The steps of Newton's method before the general solvers are asked."""

PRODUCTS = 1_000
"""The products with the Hessian, in all steps together, before the general solvers are asked."""

EPS = float(np.finfo(np.float64).eps)
TINY = 1e-280
UNEQUAL = 1e-9
"""The least weight of a row beside the largest."""


class Found(NamedTuple):
    """A line at its optimum: ``theta`` (inputs + 1, outputs), the last row the intercept; the
    largest entry of the gradient there, in the scale of the columns (``LinearProblem.scaled``);
    and the bound ``within`` which it is.

    ``path`` has the coefficients at the start and after each step, as the solver sees them;
    ``outward`` makes those of the inputs of them.
    """

    theta: Array
    largest: float
    within: float
    path: tuple[Array, ...]
    outward: Callable[[Array], Array]


class _Centred(NamedTuple):
    """Inputs less their means (rows, inputs), the means, and the variances (inputs,)."""

    x: Array
    mean: Array
    variance: Array


def _centred(x: Array, share: Array, intercept: bool) -> _Centred | None:
    """The inputs with the weighted means taken off; None for numbers out of range.

    A column that is constant becomes exactly zero.
    """
    if not intercept:
        variance = share @ (x * x)
        return _Centred(x, np.zeros(x.shape[1]), variance) if _sound(variance) else None
    mean = share @ x
    centred = x - mean
    variance = share @ (centred * centred)
    if not _sound(variance):
        return None
    few = np.flatnonzero(variance <= (1e4 * EPS * mean) ** 2)
    for column in few:
        values = x[:, column]
        if (values != values[0]).any():
            return None
        mean[column], variance[column], centred[:, column] = values[0], 0.0, 0.0
    return _Centred(centred, mean, variance)


def _sound(variance: Array) -> bool:
    """Whether no column is too large or too small for squares; zeros are sound."""
    return bool((((variance >= TINY) & (variance < math.inf)) | (variance == 0)).all())


def _shares(weight: Array | None, rows: int) -> Array | None:
    """The weights as shares of their sum; None if they are too different for sums."""
    if weight is None:
        return np.full(rows, 1 / rows)
    weight = weight / weight.max()
    return weight / weight.sum() if weight.min() > UNEQUAL else None


def _factor(matrix: Array) -> Array | None:
    """The Cholesky factor of a matrix; None if its condition number is above ``WELL``."""
    if not len(matrix):
        return matrix
    norm = np.abs(matrix).sum(0).max()
    factor, failed = dpotrf(matrix, lower=1, overwrite_a=1)
    if failed:
        return None
    share, failed = dpocon(factor, norm, uplo="L")
    return factor if not failed and share * WELL > 1 else None


def _solve(factor: Array, right: Array) -> Array:
    return dpotrs(factor, right, lower=1)[0] if len(factor) else right


# squared errors


@np.errstate(all="ignore")
def squares(
    x: Array, y: Array, weight: Array | None, *, alpha: float, intercept: bool, tol: float
) -> Found | None:
    """The coefficients that minimise ``mean |y - x w - b|^2 / 2 + alpha / 2 |w|^2``; without a
    penalty, those of least norm. ``tol`` is in units of the target's deviation.

    ``x`` is (rows, inputs), ``y`` (rows, outputs), both float64; ``weight`` (rows,) above 0 or
    None. By Cholesky's factor of the Gram matrix, of the inputs or of the rows, whichever is
    smaller, refined with the residuals.
    """
    share = _shares(weight, len(x)) if len(x) else None
    made = None if share is None else _centred(x, share, intercept)
    if share is None or made is None:
        return None
    level = share @ y if intercept else np.zeros(y.shape[1])
    short = y - level
    solve = _by_columns if len(x) >= x.shape[1] else _by_rows
    w = solve(made, short, share, alpha, intercept)
    if w is None or not np.isfinite(w).all():
        return None
    rest = short - made.x @ w
    bias = level - made.mean @ w
    if intercept:
        bias = bias + share @ rest
    gradient = made.x.T @ (share[:, None] * rest) - alpha * w
    scale = np.sqrt(made.variance + alpha)
    largest = np.abs(gradient / np.where(scale > 0, scale, 1.0)[:, None]).max(initial=0.0)
    within = tol * (math.sqrt((share @ (short * short)).sum()) or 1.0)
    if not largest <= within:
        return None
    first = np.vstack([np.zeros_like(w), level])
    theta = np.vstack([w, bias])
    return Found(theta, float(largest), within, (first, theta), lambda one: one)


def _by_columns(
    made: _Centred, short: Array, share: Array, alpha: float, intercept: bool
) -> Array | None:
    heavy = made.x * share[:, None]
    gram = heavy.T @ made.x
    diagonal = made.variance + alpha
    live = diagonal > 0
    if (diagonal[live] < TINY).any():
        return None
    scale = np.where(live, diagonal, 1.0) ** -0.5
    gram.flat[:: len(gram) + 1] = np.where(live, diagonal, 1.0)
    factor = _factor(gram * np.outer(scale, scale))
    if factor is None:
        return None
    w = np.zeros((len(scale), short.shape[1]))
    right = heavy.T @ short
    for _ in range(3):
        w = w + scale[:, None] * _solve(factor, scale[:, None] * right)
        right = heavy.T @ (short - made.x @ w) - alpha * w
    return w


def _by_rows(
    made: _Centred, short: Array, share: Array, alpha: float, intercept: bool
) -> Array | None:
    root = np.sqrt(share)[:, None]
    x, y = made.x * root, short * root
    factor = _kernel(x, root, alpha, intercept)
    if factor is None:
        return None
    a, w = np.zeros_like(y), np.zeros((x.shape[1], y.shape[1]))
    for _ in range(2):
        a = a + _solve(factor, y - x @ w - alpha * a)
        w = x.T @ a
    return w


def _kernel(x: Array, root: Array, alpha: float, intercept: bool) -> Array | None:
    """The Cholesky factor of ``x x' + alpha`` (rows, rows). Centred rows depend on each other: what
    they leave open gets a unit of its own, which no residual has a part of."""
    gram = x @ x.T
    top = gram.diagonal().mean()
    if not TINY < top < 1 / TINY:
        return None
    gram.flat[:: len(gram) + 1] += alpha
    if intercept:
        gram += (top / (root * root).sum()) * (root @ root.T)
    return _factor(gram)


# classes


@np.errstate(all="ignore")
def classes(
    x: Array,
    y: Array,
    weight: Array | None,
    *,
    outputs: int,
    alpha: float,
    intercept: bool,
    tol: float,
    start: Array | None = None,
) -> Found | None:
    """The coefficients that minimise the mean loss of classes plus ``alpha / 2 |w|^2``.

    ``x`` is (rows, inputs) float64; ``y`` (rows,) class codes; ``outputs`` 1 (logistic) or the
    number of classes (softmax). Solved when the largest entry of the gradient, in the scale of the
    columns, is within ``tol``. ``start`` is (inputs + 1, outputs).
    """
    share = _shares(weight, len(x)) if alpha and len(x) else None
    made = None if share is None else _centred(x, share, intercept)
    if share is None or made is None:
        return None
    narrow = (x.shape[1] + 1) * outputs <= UNKNOWNS
    if narrow:
        scale = (made.variance + alpha) ** -0.5
        inputs, measure = made.x * scale, np.ones(len(scale))
    else:
        if len(x) >= x.shape[1] or weight is not None:
            return None
        factor = _kernel(made.x, np.ones((len(x), 1)), 0.0, intercept)
        if factor is None:
            return None
        # in a basis of the rows; its unit for what they leave open is that of the intercept
        inputs = np.tril(factor)
        scale, measure = np.ones(len(x)), (share @ inputs**2 + alpha) ** -0.5
    problem = _Classes(inputs, y, share, alpha * scale * scale, outputs, intercept, measure)
    u = problem.constant()
    if start is not None and narrow:
        given = np.vstack([start[:-1] / scale[:, None], start[-1:] + made.mean @ start[:-1]])
        given[-1] *= intercept
        u = min(u, given, key=lambda one: problem.value(problem.raw(one), one))
    found = problem.solve(u, tol, narrow)
    if found is None:
        return None
    path, largest = found

    def outward(u: Array) -> Array:
        w, bias = scale[:, None] * u[:-1], u[-1]
        if not narrow:
            w = made.x.T @ dtrtrs(factor, u[:-1], lower=1, trans=1)[0]
            bias = bias + intercept * (share @ (inputs @ u[:-1]))  # the unit of the intercept
        return np.vstack([w, bias - made.mean @ w])

    return Found(outward(path[-1]), largest, tol, path, outward)


class _Classes:
    """The objective in coefficients ``u`` (inputs + 1, outputs), with its derivatives."""

    def __init__(
        self,
        inputs: Array,
        y: Array,
        share: Array,
        ridge: Array,
        outputs: int,
        intercept: bool,
        measure: Array,
    ) -> None:
        self.z = np.hstack([inputs, np.full((len(inputs), 1), float(intercept))])
        self.share = share[:, None]
        self.ridge = np.append(ridge, 0.0)[:, None]
        self.measure = np.append(measure, 1.0)[:, None]
        self.outputs, self.intercept = outputs, intercept
        if outputs == 1:
            self.y = y[:, None].astype(np.float64)
        else:
            self.y = np.zeros((len(y), outputs))
            self.y[np.arange(len(y)), y] = 1.0

    def constant(self) -> Array:
        """The best constant prediction."""
        u = np.zeros((self.z.shape[1], self.outputs))
        if self.intercept:
            mean = np.clip((self.share * self.y).sum(0), 1e-12, 1 - 1e-12)
            u[-1] = np.log(mean) - (np.log1p(-mean) if self.outputs == 1 else np.log(mean).mean())
        return u

    def raw(self, u: Array) -> Array:
        return self.z @ u

    def value(self, raw: Array, u: Array) -> float:
        """The objective."""
        if self.outputs == 1:
            loss = np.logaddexp(0, np.where(self.y > 0.5, -raw, raw))
        else:
            top = raw.max(1, keepdims=True)
            loss = np.log(np.exp(raw - top).sum(1, keepdims=True)) + top
            loss = loss - (raw * self.y).sum(1, keepdims=True)
        return float((self.share * loss).sum() + (self.ridge * u * u).sum() / 2)

    def mean(self, raw: Array) -> Array:
        """The predicted probabilities: of the second class, or of all."""
        if self.outputs == 1:
            small = np.exp(-np.abs(raw))
            right: Array = np.where(raw >= 0, 1.0, small) / (1 + small)
            return right
        p: Array = np.exp(raw - raw.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        return p

    def solve(self, u: Array, tol: float, whole: bool) -> tuple[tuple[Array, ...], float] | None:
        """Newton's method from ``u``: the coefficients at each step, and the largest entry of the
        last gradient; None if that does not come within ``tol``."""
        raw, path = self.raw(u), [u]
        value, left = self.value(raw, u), PRODUCTS
        for _ in range(NEWTON):
            p = self.mean(raw)
            gradient = self.z.T @ (self.share * (p - self.y)) + self.ridge * u
            largest = float(np.abs(gradient * self.measure).max())
            if largest <= tol:
                return tuple(path), largest
            if whole:
                step = self.direct(p, gradient)
            else:
                step, left = self.conjugate(p, gradient, largest, left)
            if step is None:
                return None
            slope = float((gradient * step).sum())
            length, move = 1.0, self.raw(step)
            rounding = 8 * EPS * abs(value)
            while True:
                trial = self.value(raw + length * move, u + length * step)
                if trial <= value + 1e-4 * length * slope + rounding:
                    break
                length /= 2
                if length < 1e-8:
                    return None
            u, raw, value = u + length * step, raw + length * move, trial
            path.append(u)
        return None

    def direct(self, p: Array, gradient: Array) -> Array | None:
        """Newton's step, by the Cholesky factor of the Hessian."""
        width, k = self.z.shape[1], self.outputs
        if k == 1:
            hessian = self.z.T @ (self.share * p * (1 - p) * self.z)
        else:
            heavy = p[:, :, None] * self.z[:, None, :]
            flat = (heavy * np.sqrt(self.share)[:, :, None]).reshape(len(p), k * width)
            hessian = -(flat.T @ flat)
            blocks = (heavy * self.share[:, :, None]).transpose(1, 2, 0) @ self.z
            for place in range(k):
                rows = slice(place * width, (place + 1) * width)
                hessian[rows, rows] += blocks[place]
            if self.intercept:  # one number added to all intercepts changes nothing
                hessian[width - 1 :: width, width - 1 :: width] += 1.0 / k
        ridge = np.tile(self.ridge[:, 0], k)
        if not self.intercept:
            ridge[width - 1 :: width] = 1.0
        hessian.flat[:: len(hessian) + 1] += ridge
        factor, failed = dpotrf(hessian, lower=1, overwrite_a=1)
        if failed:
            return None
        step: Array = -dpotrs(factor, gradient.T.reshape(-1, 1), lower=1)[0]
        return step.reshape(k, width).T

    def conjugate(
        self, p: Array, gradient: Array, largest: float, left: int
    ) -> tuple[Array | None, int]:
        """Newton's step by conjugate gradients, as far as it pays to know it, and how many products
        with the Hessian are left."""
        least = max(1e-4, min(0.1, largest**0.5)) * math.sqrt((gradient * gradient).sum())
        step, rest = np.zeros_like(gradient), -gradient
        along, now = rest, float((rest * rest).sum())
        while math.sqrt(now) > least:
            if not left:
                return None, 0
            left -= 1
            move = self.raw(along)
            if self.outputs == 1:
                bent = p * (1 - p) * move
            else:
                bent = p * (move - (p * move).sum(1, keepdims=True))
            bent = self.z.T @ (self.share * bent) + self.ridge * along
            curved = float((along * bent).sum())
            if not curved > 0:
                break
            length = now / curved
            step, rest = step + length * along, rest - length * bent
            before, now = now, float((rest * rest).sum())
            along = rest + (now / before) * along
        return (step if step.any() else -gradient), left

"""Objectives and optima of small linear models in arithmetic of sixty digits."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np

Array = np.ndarray[Any, Any]
mpmath.mp.dps = 60


def exact(values: Array) -> Array:
    """The same numbers as mpmath's."""
    found: Array = np.vectorize(mpmath.mpf, otypes=[object])(np.asarray(values, float).tolist())
    return found


class Exact:
    """A linear model of at most 30 rows: ``kind`` is "squared", "logistic" or "softmax"."""

    def __init__(
        self, kind: str, x: Array, y: Array, weight: Array, alpha: float, intercept: bool
    ) -> None:
        kept = np.asarray(weight) > 0
        ones = np.full((int(kept.sum()), 1), float(intercept))
        self.x = exact(np.concatenate([np.asarray(x, np.float64)[kept], ones], 1))
        self.kind, self.alpha = kind, mpmath.mpf(float(alpha))
        self.weight = exact(np.asarray(weight)[kept])
        self.weight = self.weight / self.weight.sum()
        y = np.asarray(y)[kept]
        if kind == "squared":
            self.y = exact(y.reshape(len(y), -1))
        else:
            self.classes = int(y.max()) + 1 if kind == "softmax" else 1
            self.y = exact(np.eye(self.classes)[y] if kind == "softmax" else y[:, None])
        self.outputs = self.y.shape[1]
        self.free = np.array([*[True] * (self.x.shape[1] - 1), intercept])

    def value(self, theta: Array) -> Any:
        """The objective at ``theta`` (inputs + 1, outputs)."""
        raw = self.x @ theta
        if self.kind == "squared":
            loss = ((raw - self.y) ** 2).sum(1) / 2
        else:
            loss = self._log_total(raw) - (raw * self.y).sum(1)
        return (self.weight * loss).sum() + self.alpha / 2 * (theta[:-1] ** 2).sum()

    def best(self, theta: Array) -> Any:
        """The optimum; for classes by Newton's method from ``theta``."""
        if self.kind == "squared":
            return self.value(self._newton(exact(np.zeros_like(theta, np.float64))))
        theta, value = exact(theta), self.value(exact(theta))
        for _ in range(100):
            step = self._newton(theta) - theta
            length = mpmath.mpf(1)
            while self.value(theta + length * step) > value and length > mpmath.mpf(2) ** -60:
                length /= 2
            new = self.value(theta + length * step)
            if not value - new > mpmath.mpf(10) ** -45 * (1 + abs(value)):
                return min(new, value)
            theta, value = theta + length * step, new
        return value

    def _log_total(self, raw: Array) -> Array:
        """The logarithm of the sum of the exponentials of each row; that of two classes has a
        second logit of zero."""
        top = [max(row.max(), 0) if self.outputs == 1 else row.max() for row in raw]
        add = 1 if self.outputs == 1 else 0
        return np.array(
            [
                t + mpmath.log(sum(_exp(r - t) for r in row) + add * _exp(-t))
                for row, t in zip(raw, top, strict=True)
            ],
            dtype=object,
        )

    def _newton(self, theta: Array) -> Array:
        """One Newton step; directions that change nothing stay as they are."""
        raw, k, width = self.x @ theta, self.outputs, self.x.shape[1]
        if self.kind == "squared":
            p, blocks = raw, [np.eye(k).astype(object)] * len(raw)
        else:
            total = self._log_total(raw)
            p = np.array([[_exp(r - t) for r in row] for row, t in zip(raw, total, strict=True)])
            blocks = [np.diag(row) - np.outer(row, row) for row in p]
        residual = self.weight[:, None] * (p - self.y)
        gradient = self.x.T @ residual
        gradient[:-1] = gradient[:-1] + self.alpha * theta[:-1]
        gradient[~self.free] = mpmath.mpf(0)
        size = width * k
        hessian = exact(np.zeros((size, size)))
        for row, w, block in zip(self.x, self.weight, blocks, strict=True):
            hessian = hessian + w * np.kron(np.outer(row, row), block)
        ridge = np.repeat([*[self.alpha] * (width - 1), mpmath.mpf(0)], k)
        hessian = hessian + np.diag(ridge)
        return theta - _solve(hessian, gradient.reshape(-1)).reshape(theta.shape)


def _exp(value: Any) -> Any:
    """The exponential of a number that is not above zero, nothing if that is below 1e-200."""
    return mpmath.exp(value) if value > -460 else mpmath.mpf(0)


def _solve(matrix: Array, right: Array) -> Array:
    """The solution of a positive semidefinite system, by elimination with the largest pivots."""
    scale = np.array([1 / mpmath.sqrt(d) if d > 0 else mpmath.mpf(1) for d in matrix.diagonal()])
    a, b = matrix * np.outer(scale, scale), right * scale
    rest, order = list(range(len(b))), []
    while rest:
        pivot = max(rest, key=lambda i: a[i, i])
        if a[pivot, pivot] < mpmath.mpf(10) ** -40:
            break
        rest.remove(pivot)
        order.append(pivot)
        for i in rest:
            factor = a[i, pivot] / a[pivot, pivot]
            if factor:
                a[i] = a[i] - factor * a[pivot]
                b[i] = b[i] - factor * b[pivot]
    result = np.array([mpmath.mpf(0)] * len(b))
    for pivot in reversed(order):
        done = [j for j in order[order.index(pivot) + 1 :]]
        rest_of = sum((a[pivot, j] * result[j] for j in done), mpmath.mpf(0))
        result[pivot] = (b[pivot] - rest_of) / a[pivot, pivot]
    found: Array = result * scale
    return found

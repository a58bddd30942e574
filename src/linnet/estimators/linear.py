"""Linear and ridge regression."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.errors import ColumnError, InputError
from linnet.estimators._base import Array, Regressor, _tensor, _weights
from linnet.estimators._inference import Explained
from linnet.fit.artifact import Artifact
from linnet.fit.begin import build
from linnet.fit.fit import wrap
from linnet.fit.recipe import Recipe
from linnet.line.rows import Dense
from linnet.line.triangle import Triangle


class _LeastSquares(Explained, Regressor):
    """``coef_`` is (features,), or (targets, features) if ``y`` is (rows, targets)."""

    sums = True
    models = ("linear",)
    fit_intercept: bool

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Fit to ``X`` (rows, features) and ``y`` (rows,) or (rows, targets).

        A ``sample_weight`` of 2 means the same as the row twice. Validation rows are only scored,
        in ``history_``. Raises ``ValueError`` for missing or infinite values and wrong shapes.
        """
        X = self._rows(X, reset=True)
        numbers = self._numbers(X, y)
        weight = _weights(sample_weight, X)
        valid = None
        if X_val is not None:
            held = self._rows(X_val, reset=False)
            valid = held, self._numbers(held, y_val)
        total = float(len(X)) if weight is None else float(weight.sum())
        settings = self._settings(total)
        self._fit(settings, X, numbers, weight, self._schema(numbers), valid)
        self._triangle: Triangle | None = None
        self._keep(X, np.asarray(y, dtype=np.float64), weight)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to these rows and all rows of earlier calls, as accurately as ``fit`` to all at once.

        Only a triangular factor of the rows is kept, (features, features); a call costs a QR
        decomposition of it and of the new rows. ``fit`` forgets earlier rows.
        """
        first = getattr(self, "_triangle", None) is None
        X = self._rows(X, reset=first)
        numbers = self._numbers(X, y)
        weight = _weights(sample_weight, X)
        new = _fold(X, numbers.reshape(len(X), -1), weight, self.fit_intercept)
        if self._triangle is None:
            self._triangle = new
        elif self._triangle.shift.shape != new.shift.shape:
            count = len(self._triangle.shift) - X.shape[1]
            raise InputError(f"y has {len(new.shift) - X.shape[1]} targets, earlier rows {count}")
        else:
            self._triangle = self._triangle + new
        triangle = self._triangle
        settings = self._settings(triangle.total)
        (alpha,) = settings["penalty"]
        solution, _, gradient = triangle.solve(alpha)
        schema = Schema(
            example="row",
            shape=(X.shape[1],),
            dtype=str(X.dtype),
            columns=tuple(map(str, getattr(self, "feature_names_in_", range(X.shape[1])))),
            **self._schema(numbers),
        )
        recipe = Recipe().override({"scaling": "none", "dtype": str(X.dtype), **settings})
        network, objective = build(recipe, schema)
        weights = network.get_parameter("linear.weight"), network.get_parameter("linear.bias")
        with torch.no_grad():
            weights[0].copy_(solution.theta[:-1].T)
            weights[1].copy_(solution.theta[-1])
        stored = torch.cat([weights[0].detach().T, weights[1].detach()[None]]).double()
        facts = {
            "converged": True,
            "reason": "converged: solved from a triangular factor of all rows so far",
            "stopped": "converged",
            "steps": 1,
            "gradient_max": gradient.abs().max().item(),
            "objective": triangle.value(stored, alpha).item(),
            "gap": triangle.gap(stored, alpha),
            "penalty": alpha,
            "rank": float(solution.rank),
            "condition": solution.condition if np.isfinite(solution.condition) else None,
        }
        rows = Dataset(_tensor(X[:0]), numbers[:0], schema)
        self._take(wrap(recipe, network.eval(), objective, rows, facts, {}, {}, {}))
        self.history_: list[dict[str, Any]] = []
        self._forget()
        return self

    def _settings(self, total: float) -> dict[str, Any]:
        return {
            "model": ("linear",),
            "solver": "least_squares",
            "penalty": (self._penalty() / total,),
            "intercept": bool(self.fit_intercept),
            "tol": 1e-6,
        }

    def _penalty(self) -> float:
        """The factor of ``|coef|^2`` beside the sum of squared residuals."""
        return 0.0

    def _take(self, model: Artifact) -> None:
        super()._take(model)
        facts: dict[str, Any] = dict(model.manifest.fit)
        coef, intercept = coefficients(model)
        self.coef_: Array = coef[0] if self._flat else coef
        self.intercept_: Any = intercept[0] if self._flat else intercept
        self.gradient_max_ = facts.get("gradient_max")
        self.objective_ = facts.get("objective")
        self.gap_ = facts.get("gap")
        self.rank_ = None if facts.get("rank") is None else int(facts["rank"])
        self.condition_ = np.inf if facts.get("condition") is None else facts["condition"]


class LinearRegression(_LeastSquares):
    """Ordinary least squares, ``min sum of w (y - X coef - intercept)^2``, solved exactly.

    If the columns of ``X`` do not determine the coefficients, those of least norm are taken.

    Parameters: ``fit_intercept``; ``device``: "cpu", "cuda", "cuda:1", "mps".

    After ``fit``, besides the attributes of every estimator: ``coef_``, ``intercept_``; ``rank_``
    of the centred ``X``; ``condition_``, its condition number with all columns scaled to one length
    (infinite if the rank is not full); ``objective_``, the weighted mean of half the squared
    residuals; ``gradient_max_``, the largest entry of its gradient; ``gap_``, how far it is above
    the optimum. ``X`` and ``y`` are kept (not copied, not pickled) for ``summary()``.
    """

    def __init__(self, *, fit_intercept: bool = True, device: str = "cpu") -> None:
        self.fit_intercept = fit_intercept
        self.device = device


class Ridge(_LeastSquares):
    """Ridge regression, ``min sum of w (y - X coef - intercept)^2 + alpha |coef|^2``, exactly.

    Parameters: ``alpha``, not below zero; ``fit_intercept``; ``device``.

    After ``fit`` it has the attributes of ``LinearRegression``. ``objective_`` is scikit-learn's
    objective divided by twice the sum of weights: the mean of half the squared residuals plus
    ``alpha / (2 sum(w)) |coef|^2``. ``condition_`` includes the penalty.
    """

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, device: str = "cpu"
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.device = device

    def _penalty(self) -> float:
        if not 0 <= self.alpha < np.inf:
            raise InputError(f"alpha is {self.alpha}; expected a number from 0")
        return float(self.alpha)


def _fold(X: Array, y: Tensor, weight: Array | None, intercept: bool) -> Triangle:
    """The triangle of the rows of weight above 0, shifted by their means."""
    if weight is not None and not (weight > 0).all():
        kept = weight > 0
        X, y, weight = X[kept], y[torch.from_numpy(kept)], weight[kept]
    x, heavy = _tensor(X), None if weight is None else _tensor(weight)
    share = torch.ones(len(x), dtype=torch.float64) if heavy is None else heavy
    share = share / share.sum()
    rows = Dense(x)
    means = torch.cat([rows.wide().transposed(share[:, None])[:, 0], share @ y])
    folded = Triangle.of(rows, y, heavy, means, intercept=intercept)
    if not folded.r.isfinite().all():
        column = int((~folded.r.isfinite()).any(0).nonzero()[0]) - int(intercept)
        what = "a number is missing (NaN), infinite, or too large for sums; replace it"
        raise ColumnError(column, what) if column < x.shape[1] else InputError(f"y: {what}")
    return folded


def coefficients(model: Artifact) -> tuple[Array, Array]:
    """The coefficients (outputs, features) and intercepts (outputs,) for the unscaled columns."""
    state = model.module.state_dict()
    weight, bias = state["linear.weight"].cpu(), state["linear.bias"].cpu()
    if model.manifest.network["scale"] != "none":
        wide: Tensor = weight.double() * state["scaling.factor"].cpu().double()
        bias = (
            bias.double() - wide @ state["scaling.shift"].cpu().double().expand(wide.shape[1])
        ).to(bias.dtype)
        weight = wide.to(weight.dtype)
    return weight.numpy().copy(), bias.numpy().copy()

"""Linear and ridge regression."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.errors import InputError
from linnet.estimators._base import Array, Regressor, _tensor, _weights
from linnet.estimators._inference import Explained
from linnet.fit.artifact import Artifact
from linnet.fit.begin import build
from linnet.fit.fit import wrap
from linnet.fit.recipe import Recipe
from linnet.line.moments import Moments


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
        self._moments: Moments | None = None
        self._keep(X, np.asarray(y, dtype=np.float64), weight)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to these rows and all rows of earlier calls, exactly as if they came at once.

        Only the second moments of the rows, (features, features), are kept. ``fit`` forgets earlier
        rows.
        """
        first = getattr(self, "_moments", None) is None
        X = self._rows(X, reset=first)
        numbers = self._numbers(X, y)
        weight = _weights(sample_weight, X)
        targets = numbers.reshape(len(X), -1)
        new = Moments.of(
            _tensor(X),
            targets,
            None if weight is None else _tensor(weight),
            intercept=self.fit_intercept,
            home=torch.device("cpu"),
        )
        if first or self._moments is None:
            self._moments = new
        elif self._moments.xy.shape != new.xy.shape:
            raise InputError(
                f"y has {targets.shape[1]} targets, earlier rows {self._moments.xy.shape[1]}"
            )
        else:
            self._moments = self._moments + new
        moments = self._moments
        settings = self._settings(moments.total)
        (alpha,) = settings["penalty"]
        solution = moments.solve(alpha)
        value, gradient = moments.value_and_gradient(solution.theta, alpha)
        schema = Schema(
            example="row",
            shape=(X.shape[1],),
            dtype=str(X.dtype),
            columns=tuple(map(str, getattr(self, "feature_names_in_", range(X.shape[1])))),
            **self._schema(numbers),
        )
        recipe = Recipe().override({"scaling": "none", "dtype": str(X.dtype), **settings})
        network, objective = build(recipe, schema)
        with torch.no_grad():
            network.get_parameter("linear.weight").copy_(solution.theta[:-1].T)
            network.get_parameter("linear.bias").copy_(solution.theta[-1])
        facts = {
            "converged": True,
            "reason": "converged: solved from the moments of all rows so far",
            "stopped": "converged",
            "steps": 1,
            "gradient_max": gradient.abs().max().item(),
            "objective": value.item(),
            "gap": 0.0,
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

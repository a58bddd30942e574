"""Linear and ridge regression."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from linnet.data.dataset import Dataset
from linnet.errors import ColumnError, InputError
from linnet.estimators._base import Array, Regressor, _tensor, _weights
from linnet.estimators._inference import Explained
from linnet.fit.artifact import Artifact
from linnet.fit.begin import build
from linnet.fit.fit import wrap
from linnet.fit.recipe import Recipe
from linnet.line.rows import Dense
from linnet.line.triangle import Triangle

WORDS: dict[str, Any] = {
    "fit_intercept": ["boolean"],
    "copy_X": ["boolean"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "positive": ["boolean"],
}


class _LeastSquares(Explained, Regressor):
    """``coef_`` is (features,), or (targets, features) if ``y`` is (rows, targets)."""

    sums = True
    models = ("linear",)
    fit_intercept: bool
    _triangle: Triangle | None = None
    positive: bool

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Fit to ``X`` (rows, features) and ``y`` (rows,) or (rows, targets).

        A ``sample_weight`` of 2 means the same as the row twice. Validation rows are only scored,
        in ``history_``. Raises ``ValueError`` for missing or infinite values and wrong shapes.
        """
        self._check()
        X = self._rows(X, reset=True, weight=sample_weight)
        numbers = self._numbers(X, y)
        X = self._wide(X, numbers)
        weight = _weights(sample_weight, X)
        valid = None
        if X_val is not None:
            held = self._rows(X_val, reset=False)
            valid = held, self._numbers(held, y_val)
        total = float(X.shape[0]) if weight is None else float(weight.sum())
        penalties = self._penalties(1 if numbers.dim() == 1 else numbers.shape[1])
        if len(set(penalties)) == 1:
            settings = self._settings(total)
            self._fit(settings, X, numbers, weight, self._schema(numbers), valid)
        else:
            self._fit_each([alpha / total for alpha in penalties], X, numbers, weight)
        self._triangle = None
        self._keep(X, np.asarray(y, dtype=np.float64), weight, always=not self._penalty())
        return self

    def _fit_each(
        self, penalties: list[float], X: Array, numbers: Tensor, weight: Array | None
    ) -> None:
        """Fit each target with its own penalty, and join the models."""
        models, history = [], []
        for place, alpha in enumerate(penalties):
            settings = {**self._settings(1.0), "penalty": (alpha,)}
            target = numbers[:, place]
            self._fit(settings, X, target, weight, self._schema(target))
            models.append(self.artifact_)
            history += self.history_
        schema = self.described(X, self._schema(numbers))
        recipe = Recipe.make(
            {**models[0].manifest.recipe, "penalty": tuple(dict.fromkeys(penalties))}
        )
        network, objective = build(recipe, schema)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(torch.cat([model.module.get_parameter(name) for model in models]))
        every: list[dict[str, Any]] = [dict(model.manifest.fit) for model in models]
        facts = {**every[0], **next((fit for fit in every if not fit["converged"]), {})}
        facts |= {key: sum(fit[key] for fit in every) for key in ("objective", "gap")}
        facts |= {key: max(fit[key] for fit in every) for key in ("gradient_max", "steps")}
        facts |= {"rank": min(fit["rank"] for fit in every), "penalty": None}
        conditions = [fit["condition"] for fit in every]
        facts["condition"] = None if None in conditions else max(conditions)
        rows = Dataset(_tensor(X[:0]), numbers[:0], schema)
        data = dict(models[0].manifest.data)
        self._take(wrap(recipe, network.eval(), objective, rows, facts, {}, data, {}))
        self.history_ = history

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to these rows and all rows of earlier calls, as accurately as ``fit`` to all at once.

        Only a triangular factor of the rows is kept, (features, features); a call costs a QR
        decomposition of it and of the new rows. ``fit`` forgets earlier rows.
        """
        self._check()
        first = self._triangle is None
        X = self._rows(X, reset=first, weight=sample_weight)
        numbers = self._numbers(X, y)
        weight = _weights(sample_weight, X)
        if issparse(X):
            raise InputError("partial_fit takes dense rows, or small sparse ones; fit takes all")
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
        schema = self.described(X, self._schema(numbers))
        recipe = Recipe().override({"scaling": "none", "dtype": str(X.dtype), **settings})
        recipe = recipe.override({"solver": "least_squares"})
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
            "solver": "auto",
            "penalty": (self._penalty() / total,),
            "intercept": bool(self.fit_intercept),
            "tol": 1e-6,
        }

    def _check(self) -> None:
        """Raise for settings that are wrong or not offered."""
        self._validate_params()
        if self.positive:
            raise InputError(
                "positive=True (no coefficient below 0) is not offered; use scikit-learn's "
                f"{type(self).__name__}(positive=True)"
            )

    def _penalty(self) -> float:
        """The factor of ``|coef|^2`` beside the sum of squared residuals; the largest if each
        target has its own."""
        return max(self._penalties(None))

    def _penalties(self, targets: int | None) -> list[float]:
        """The factors of ``|coef|^2``: one, or one for each target."""
        return [0.0]

    def _shown(self, values: Array) -> Any:
        values = super()._shown(values)
        if not self._flat:
            return values
        return values if values.ndim == 1 and self._column else values[0]

    def _take(self, model: Artifact) -> None:
        super()._take(model)
        facts: dict[str, Any] = dict(model.manifest.fit)
        self.rank_ = None if facts.get("rank") is None else int(facts["rank"])
        self.condition_ = np.inf if facts.get("condition") is None else facts["condition"]


class LinearRegression(_LeastSquares):
    """Ordinary least squares, ``min sum of w (y - X coef - intercept)^2``, solved exactly.

    If the columns of ``X`` do not determine the coefficients, those of least norm are taken.

    Parameters: ``fit_intercept``; ``device``: "cpu", "cuda", "cuda:1", "mps". ``copy_X``, ``tol``
    and ``n_jobs`` are scikit-learn's and change nothing: ``X`` is never written to, and the
    solution is exact. ``positive=True`` is refused.

    After ``fit``, besides the attributes of every estimator: ``coef_``, ``intercept_``; ``rank_``
    of the centred ``X``; ``condition_``, its condition number with all columns scaled to one length
    (infinite if the rank is not full); ``objective_``, the weighted mean of half the squared
    residuals; ``gradient_max_``, the largest entry of its gradient; ``gap_``, how far it is above
    the optimum. ``X`` and ``y`` are kept (not copied, not pickled) for ``summary()``.
    """

    _parameter_constraints = {**WORDS, "n_jobs": [None, Integral]}  # noqa: RUF012

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        tol: float = 1e-6,
        n_jobs: int | None = None,
        positive: bool = False,
        device: str = "cpu",
    ) -> None:
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.tol = tol
        self.n_jobs = n_jobs
        self.positive = positive
        self.device = device


class Ridge(_LeastSquares):
    """Ridge regression, ``min sum of w (y - X coef - intercept)^2 + alpha |coef|^2``, exactly.

    Parameters: ``alpha``, not below zero, or one for each target; ``fit_intercept``; ``device``.
    ``copy_X``, ``max_iter``, ``tol``, ``solver`` and ``random_state`` are scikit-learn's and change
    nothing, as every solver seeks the one solution, which is found exactly; ``solver_`` is the one
    that was named. ``positive=True`` and
    ``solver="lbfgs"``, which is for it, are refused.

    After ``fit`` it has the attributes of ``LinearRegression``. ``objective_`` is scikit-learn's
    objective divided by twice the sum of weights: the mean of half the squared residuals plus
    ``alpha / (2 sum(w)) |coef|^2``. ``condition_`` includes the penalty. As in scikit-learn, for a
    ``y`` of one column (rows, 1) ``coef_`` is (features,), and predictions are (rows,).
    """

    _parameter_constraints = {  # noqa: RUF012
        **WORDS,
        "alpha": [Interval(Real, 0, None, closed="left"), "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "solver": [
            StrOptions({"auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs"})
        ],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int | None = None,
        tol: float = 1e-4,
        solver: str = "auto",
        positive: bool = False,
        random_state: Any = None,
        device: str = "cpu",
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.solver = solver
        self.positive = positive
        self.random_state = random_state
        self.device = device

    @property
    def solver_(self) -> str:
        """The solver that was named; the solution is the same for all."""
        if not hasattr(self, "converged_"):
            raise AttributeError("Ridge has no solver_ before fit")
        return self.solver

    def _check(self) -> None:
        super()._check()
        if self.solver == "lbfgs":
            raise InputError(
                'solver="lbfgs" of Ridge is for positive=True, which is not offered; use '
                'solver="auto"'
            )

    def _numbers(self, X: Array, y: Any) -> Tensor:
        numbers = super()._numbers(X, y)
        self._column = numbers.dim() == 2 and numbers.shape[1] == 1
        self._flat = self._flat or self._column
        return numbers

    def _penalties(self, targets: int | None) -> list[float]:
        try:
            given = np.atleast_1d(np.asarray(self.alpha, dtype=np.float64)).ravel()
        except (TypeError, ValueError):
            raise InputError(f"alpha is {self.alpha!r}; expected numbers from 0") from None
        if not ((given >= 0) & (given < np.inf)).all() or not len(given):
            raise InputError(f"alpha is {self.alpha}; expected numbers from 0")
        if targets is not None and len(given) not in (1, targets):
            raise InputError(
                "Number of targets and number of penalties do not correspond: "
                f"{len(given)} != {targets}; give one alpha, or one for each target"
            )
        return [float(alpha) for alpha in given]


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

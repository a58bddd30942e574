"""Logistic regression: two classes, or many by softmax."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from linnet.errors import InputError, LinnetWarning
from linnet.estimators._base import Array, Classifier
from linnet.estimators._inference import Explained

LEAST = 1e-300
"""A ``tol`` of 0 is this: the fit goes on until rounding stops it."""


class LogisticRegression(Explained, Classifier):
    """Logistic regression solved to its optimum, for columns of any scale, without any settings.

    It minimises scikit-learn's objective, ``C sum of w loss + |coef|^2 / 2``. The loss is the
    negative logarithm of the probability of the row's class, and ``w`` is the sample weight times
    the class weight; the intercepts are not penalised. For two classes there is one row of
    coefficients, for more (softmax) one for each class.

    Parameters: ``C``, above zero, ``numpy.inf`` for no penalty; ``tol``, the largest gradient entry
    of the mean loss plus penalty, in the scale of the columns, at which the fit has converged, by
    default 1e-11 in float64 and 1e-6 in float32; ``fit_intercept``; ``class_weight``, a mapping or
    "balanced"; ``max_iter``; ``penalty``, "l2", or None for no penalty; ``warm_start``, to start
    from the coefficients of the last fit; ``verbose``, to show progress, in a notebook as a table
    that is updated in place; ``device``.

    Some words are scikit-learn's and change nothing, as every way ends at the one optimum:
    ``solver``, ``random_state``, ``n_jobs``, ``l1_ratio=0``, and ``intercept_scaling``.
    ``solver="liblinear"`` warns, because scikit-learn's then penalises the intercept; only it has
    ``dual=True``.
    ``penalty="l1"``, and ``"elasticnet"`` with an ``l1_ratio`` above 0, are refused.

    After ``fit``: ``classes_``, ``coef_`` (1 or classes, features), ``intercept_``, and the
    certificate: ``converged_``, ``stop_reason_``, ``n_iter_``; ``objective_``, scikit-learn's
    objective divided by ``C sum(w)``: the mean loss plus ``|coef|^2 / (2 C sum(w))``;
    ``gradient_max_``, the largest entry of its gradient; ``gap_``, an upper bound on how far it
    is above its optimum (None without a penalty).

    ``y`` may also be rows of probabilities (rows, classes); then ``classes_`` are the column
    numbers.
    """

    models = ("linear",)
    sums = True

    _parameter_constraints = {  # noqa: RUF012
        "C": [Interval(Real, 0, None, closed="right")],
        "penalty": [StrOptions({"l1", "l2", "elasticnet"}), None],
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), None],
        "dual": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "fit_intercept": ["boolean"],
        "intercept_scaling": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
        "solver": [
            StrOptions({"lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"})
        ],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        C: float = 1.0,
        *,
        penalty: str | None = "l2",
        l1_ratio: float | None = None,
        dual: bool = False,
        tol: float | None = None,
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        class_weight: Any = None,
        random_state: Any = None,
        solver: str = "lbfgs",
        max_iter: int = 5000,
        warm_start: bool = False,
        verbose: bool = False,
        n_jobs: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.C = C
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.device = device

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Fit to ``X`` (rows, features) and ``y`` (rows,), or (rows, classes) of probabilities.

        A ``sample_weight`` of 2 means the same as the row twice. Validation rows are only scored,
        in ``history_``. Warns (``ConvergenceWarning``) if the fit did not converge, with the reason
        and what to do. Raises ``ValueError`` for missing or infinite values and wrong shapes.
        """
        self._check()
        X = self._rows(X, reset=True, weight=sample_weight)
        codes, weight = self._codes(X, y, sample_weight, self.class_weight)
        valid = None
        if X_val is not None:
            held = self._rows(X_val, reset=False)
            valid = held, self._more_codes(held, y_val)
        total = float(X.shape[0]) if weight is None else float(weight.sum())
        wide = X.dtype == np.float64 and not self.device.startswith("mps")
        recipe = {
            "model": ("linear",),
            "solver": "auto",
            "penalty": (self._penalty() / total,),
            "intercept": bool(self.fit_intercept),
            "tol": (1e-11 if wide else 1e-6) if self.tol is None else self.tol or LEAST,
            "max_iter": self.max_iter,
        }
        self._fit(recipe, X, codes, weight, self._schema(), valid, self._start(X))
        self._keep(X, codes.numpy(), weight, always=not self._penalty())
        return self

    def _check(self) -> None:
        """Raise for settings that are wrong or not offered, warn of those that change meaning."""
        self._validate_params()
        if self.dual and self.solver != "liblinear":
            raise InputError(
                f"Solver {self.solver} supports only dual=False, got dual=True; leave it, as both "
                "ways end at the same optimum"
            )
        mixed = self.penalty == "elasticnet" and self.l1_ratio is None
        if self.penalty == "l1" or self.l1_ratio or mixed:
            what = f"l1_ratio={self.l1_ratio}" if self.l1_ratio else f'penalty="{self.penalty}"'
            raise InputError(
                f'{what} is not offered: linnet has the penalty "l2" and None; for coefficients of '
                'exactly 0 use scikit-learn\'s LogisticRegression with solver="saga"'
            )
        if self.penalty is None and self.C != 1:
            warnings.warn(
                f"penalty=None: there is no penalty, so C={self.C} has no effect",
                LinnetWarning,
                stacklevel=3,
            )
        if self.solver == "liblinear" and self.fit_intercept:
            warnings.warn(
                "scikit-learn's liblinear penalises the intercept; linnet does not, like "
                "scikit-learn's other solvers",
                LinnetWarning,
                stacklevel=3,
            )

    def _start(self, X: Array) -> dict[str, Tensor] | None:
        """The state of the last fit, if the fit shall start from it and the shapes agree."""
        if not self.warm_start or not hasattr(self, "module_"):
            return None
        state: dict[str, Tensor] = dict(self.module_.state_dict())
        outputs = 1 if len(self.classes_) == 2 else len(self.classes_)
        return state if state["linear.weight"].shape == (outputs, X.shape[1]) else None

    def _penalty(self) -> float:
        return 0.0 if np.inf == self.C or self.penalty is None else 1 / self.C

    def _penalised(self) -> str:
        return f"C = {self.C}"

    def _kind(self) -> dict[str, Any]:
        task = "logistic" if len(self.coef_) == 1 else "softmax"
        return {"task": task, "classes": self.classes_.tolist()}

    def _targets(self, X: Array, y: Any) -> Array:
        targets: Array = self._more_codes(X, y).numpy()
        return targets

    def _counted(self, steps: int) -> Any:
        return np.array([steps])

"""Logistic regression: two classes, or many by softmax."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from torch import Tensor

from linnet.errors import InputError
from linnet.estimators._base import Array, Classifier
from linnet.estimators._inference import Explained
from linnet.estimators.linear import coefficients
from linnet.fit.artifact import Artifact


class LogisticRegression(Explained, Classifier):
    """Logistic regression solved to its optimum, for columns of any scale, without any settings.

    It minimises scikit-learn's objective, ``C sum of w loss + |coef|^2 / 2``. The loss is the
    negative logarithm of the probability of the row's class, and ``w`` is the sample weight times
    the class weight; the intercepts are not penalised. For two classes there is one row of
    coefficients, for more (softmax) one for each class.

    Parameters: ``C``, above zero, ``numpy.inf`` for no penalty; ``tol``, the largest gradient entry
    of the mean loss plus penalty, in the scale of the columns, at which the fit has converged, by
    default 1e-11 in float64 and 1e-6 in float32; ``fit_intercept``; ``class_weight``, a mapping or
    "balanced"; ``random_state``, not used, only for scikit-learn's interface; ``max_iter``;
    ``warm_start``, to start from the coefficients of the last fit; ``verbose``, to show progress,
    in a notebook as a table that is updated in place; ``device``.

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

    def __init__(
        self,
        C: float = 1.0,
        *,
        tol: float | None = None,
        fit_intercept: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
        max_iter: int = 5000,
        warm_start: bool = False,
        verbose: bool = False,
        device: str = "cpu",
    ) -> None:
        self.C = C
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.random_state = random_state
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose
        self.device = device

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Fit to ``X`` (rows, features) and ``y`` (rows,), or (rows, classes) of probabilities.

        A ``sample_weight`` of 2 means the same as the row twice. Validation rows are only scored,
        in ``history_``. Warns (``ConvergenceWarning``) if the fit did not converge, with the reason
        and what to do. Raises ``ValueError`` for missing or infinite values and wrong shapes.
        """
        X = self._rows(X, reset=True)
        if not self.C > 0:
            raise InputError(f"C is {self.C}; expected a number above 0 (numpy.inf: no penalty)")
        codes, weight = self._codes(X, y, sample_weight, self.class_weight)
        valid = None
        if X_val is not None:
            held = self._rows(X_val, reset=False)
            valid = held, self._more_codes(held, y_val)
        total = float(len(X)) if weight is None else float(weight.sum())
        wide = X.dtype == np.float64 and not self.device.startswith("mps")
        recipe = {
            "model": ("linear",),
            "solver": "lbfgs",
            "penalty": (self._penalty() / total,),
            "intercept": bool(self.fit_intercept),
            "tol": (1e-11 if wide else 1e-6) if self.tol is None else self.tol,
            "max_iter": self.max_iter,
        }
        self._fit(recipe, X, codes, weight, self._schema(), valid, self._start(X))
        self._keep(X, codes.numpy(), weight)
        return self

    def _start(self, X: Array) -> dict[str, Tensor] | None:
        """The state of the last fit, if the fit shall start from it and the shapes agree."""
        if not self.warm_start or not hasattr(self, "module_"):
            return None
        state: dict[str, Tensor] = dict(self.module_.state_dict())
        outputs = 1 if len(self.classes_) == 2 else len(self.classes_)
        return state if state["linear.weight"].shape == (outputs, X.shape[1]) else None

    def _penalty(self) -> float:
        return 0.0 if np.inf == self.C else 1 / self.C

    def _penalised(self) -> str:
        return f"C = {self.C}"

    def _kind(self) -> dict[str, Any]:
        task = "logistic" if len(self.coef_) == 1 else "softmax"
        return {"task": task, "classes": self.classes_.tolist()}

    def _targets(self, X: Array, y: Any) -> Array:
        targets: Array = self._more_codes(X, y).numpy()
        return targets

    def _take(self, model: Artifact) -> None:
        super()._take(model)
        facts: dict[str, Any] = dict(model.manifest.fit)
        self.coef_, self.intercept_ = coefficients(model)
        self.n_iter_ = np.array([self.n_iter_])
        self.gradient_max_ = facts.get("gradient_max")
        self.objective_ = facts.get("objective")
        self.gap_ = facts.get("gap")

"""Standard errors for the estimators that have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from linnet.errors import InputError
from linnet.estimators._base import Array, _weights
from linnet.estimators._line import Line
from linnet.insight.inference import Inference, NoInference, infer


class Explained(Line):
    """Keeps a reference to the rows of an unpenalised fit, for its standard errors."""

    fit_intercept: bool

    def summary(
        self,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        robust: str | None = None,
        level: float = 0.95,
    ) -> Inference:
        """Standard errors, t or z, p, confidence intervals, log likelihood, AIC and BIC; prints as
        text.

        They are for the rows of ``fit``; after ``load`` or in another process, pass these rows
        again. ``robust`` is "HC0", "HC1", "HC2" or "HC3". Raises ``NoInference`` (a
        ``ValueError``), with the reason, if a penalty, separation or rank makes them invalid.
        """
        check_is_fitted(self)
        if self._penalty():
            raise NoInference(
                f"the model is penalised ({self._penalised()}), and these standard errors are "
                "not valid for penalised coefficients; fit again without a penalty"
            )
        if X is None:
            kept = self._kept
            if kept is None:
                raise InputError(
                    "the rows of the fit are not available (the model was loaded, unpickled, or "
                    "fitted in parts); pass them: summary(X, y)"
                )
            X, y, weight = kept
        else:
            X = self._rows(X, reset=False)
            weight = _weights(sample_weight, X)
            y = self._targets(X, y)
        if issparse(X):
            raise NoInference(
                "the rows are sparse, and too many to be made dense; standard errors need a matrix "
                "(features, features)"
            )
        named = self._table is not None or hasattr(self, "feature_names_in_")
        return infer(
            X,
            y,
            np.atleast_2d(self.coef_),
            np.atleast_1d(self.intercept_),
            weight=weight,
            names=self._columns(X.shape[1]) if named else None,
            fit_intercept=bool(self.fit_intercept),
            robust=robust,
            level=level,
            **self._kind(),
        )

    def coef_table(
        self,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        robust: str | None = None,
        level: float = 0.95,
    ) -> Any:
        """The coefficients in ``summary`` as a pandas data frame."""
        return self.summary(X, y, sample_weight, robust=robust, level=level).to_frame()

    def _penalty(self) -> float:
        raise NotImplementedError

    def _penalised(self) -> str:
        return f"alpha = {getattr(self, 'alpha', 0)}"

    def _kind(self) -> dict[str, Any]:
        return {"task": "squared"}

    def _targets(self, X: Array, y: Any) -> Array:
        return np.asarray(y, dtype=np.float64)

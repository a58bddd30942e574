"""The coefficients of the three lines, which are those of the module: there is one truth."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from linnet.core.events import Plain
from linnet.core.parallel import threads_for
from linnet.errors import InputError
from linnet.estimators import _few
from linnet.estimators._base import Array, Estimator, _tensor, kept
from linnet.estimators._few import Few
from linnet.fit.artifact import Artifact
from linnet.fit.progress import Judge
from linnet.insight.evaluation import BATCH
from linnet.line.certificate import certify
from linnet.line.problem import LinearProblem
from linnet.line.rows import SMALL, Dense, Sparse
from linnet.objectives.base import Objective
from linnet.show.progress import shown

BY_HAND = "the coefficients were set by hand, so nothing is known of how good they are"
CERTIFICATE = ("gradient_max", "objective", "gap")
AT_ONCE = 10_000
"""So few multiplications never take more than one thread."""

LATER = (
    "artifact_",
    "module_",
    "history_",
    "gradient_max_",
    "objective_",
    "rank_",
    "condition_",
)
"""The attributes that a fit to few rows makes on first access."""


class Line(Estimator):
    """``coef_`` and ``intercept_`` are read off ``module_``, as arrays that cannot be written into.

    Setting one writes it to the module, so predictions, pickles and files have the new numbers; the
    certificate is then withdrawn. ``X`` may be a SciPy matrix or array, CSR or CSC.
    """

    sparse = True
    _kept: Any = None
    """The rows of the fit, targets and weights: not copied, not pickled."""
    _gap: float | None = None
    _few: Few | None = None
    """A fit to few rows, before anything more than its coefficients was asked for."""

    def __getattr__(self, name: str) -> Any:
        """What a fit to few rows makes on first access."""
        if name in LATER and self._few is not None:
            self._finish()
            return getattr(self, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _finish(self, heard: Callable[[Plain], None] | None = None) -> None:
        """Make the artifact, the module and the record of a fit to few rows."""
        few = self._few
        if few is not None:
            history: list[Plain] = []
            schema = self.described(few.X, few.schema)
            self._take(few.artifact(schema, kept(history, heard)))
            self.history_ = history

    def _fit(
        self,
        recipe: dict[str, Any],
        X: Any,
        y: Tensor,
        weight: Array | None,
        schema: dict[str, Any],
        valid: tuple[Array, Tensor] | None = None,
        start: dict[str, Tensor] | None = None,
        judge: Judge | None = None,
    ) -> None:
        few = None
        if judge is None and self._device == "cpu" and not issparse(X):
            few = _few.fit(recipe, X, y, weight, schema, valid, start)
        if few is None:
            super()._fit(recipe, X, y, weight, schema, valid, start, judge)
            return
        for name in LATER:
            self.__dict__.pop(name, None)
        self._few = few
        self.converged_, self.stop_reason_ = True, few.reason
        self.n_iter_ = self._counted(max(1, few.steps))
        if self.verbose:
            with shown(True) as heard:
                self._finish(heard)

    @property
    def _objective(self) -> Objective:
        return super()._objective if self._few is None else self._few.objective

    def _raw(self, X: Any) -> tuple[Tensor, Any]:
        few = self._few
        if few is None:
            return super()._raw(X)
        X = self._rows(X, reset=False)
        if issparse(X) or len(X) > BATCH:
            self._finish()
            return super()._raw(X)
        wider = X.dtype if few.weight.dtype != torch.float64 else np.dtype(np.float64)
        rows = _tensor(X).to(few.weight.dtype)
        work = len(X) * few.weight.numel()
        with nullcontext() if work < AT_ONCE else threads_for(work):
            return torch.nn.functional.linear(rows, few.weight, few.bias).double(), wider

    @property
    def gap_(self) -> float | None:
        """An upper bound on how far ``objective_`` is above its optimum, from the rows, in float64;
        None if there is none. After a fit to more than a million numbers it is computed on first
        access, while the rows are at hand."""
        check_is_fitted(self, "artifact_")
        facts: dict[str, Any] = dict(self.artifact_.manifest.fit)
        if self._gap is None and self._kept is not None and facts["converged"] is not None:
            self._gap = self._certify(float(facts["penalty"]))
        return self._gap

    def _certify(self, alpha: float) -> float | None:
        X, y, weight = self._kept
        objective = self.artifact_.objective
        if not objective.quadratic and not alpha:
            return None
        state = self.module_.state_dict()
        weights = state["linear.weight"], state["linear.bias"]
        problem = LinearProblem(
            objective,
            Sparse(X) if issparse(X) else Dense(torch.from_numpy(X)),
            torch.from_numpy(y),
            None if weight is None else torch.from_numpy(weight),
            outputs=len(weights[1]),
            alpha=alpha,
            intercept=bool(self.artifact_.manifest.recipe["intercept"]),
        )
        theta = torch.cat([weights[0].T, weights[1][None]]).cpu().double()
        found = certify(problem, theta)
        return None if found is None else found.gap

    @property
    def coef_(self) -> Any:
        """The coefficients for the columns of ``X``."""
        return self._shown(self._numbers_of("coef_")[0])

    @coef_.setter
    def coef_(self, value: Any) -> None:
        self._set("coef_", value, "linear.weight")

    @property
    def intercept_(self) -> Any:
        """The intercept of each output."""
        return self._shown(self._numbers_of("intercept_")[1])

    @intercept_.setter
    def intercept_(self, value: Any) -> None:
        self._set("intercept_", value, "linear.bias")

    def _numbers_of(self, name: str) -> tuple[Array, Array]:
        if self._few is not None:
            return self._few.weight.numpy().copy(), self._few.bias.numpy().copy()
        if "artifact_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {name} before fit")
        return coefficients(self.artifact_)

    def _keep(self, X: Any, y: Array, weight: Array | None, *, always: bool) -> None:
        """Keep the rows, if they are needed later."""
        numbers = X.nnz if issparse(X) else X.size
        self._kept = (X, y, weight) if always or numbers > SMALL else None

    def _forget(self) -> None:
        self._kept = None

    def __getstate__(self) -> Any:
        self._finish()
        state = dict(super().__getstate__())
        state.pop("_kept", None)
        return state

    def _shown(self, values: Array) -> Any:
        """Coefficients (outputs, features) or intercepts (outputs,) in the shape of the estimator's
        attribute."""
        values.setflags(write=False)
        return values

    def _set(self, name: str, value: Any, parameter: str) -> None:
        check_is_fitted(self, "artifact_")
        now = getattr(self, name)
        given = np.array(value, dtype=now.dtype)
        if given.shape != np.shape(now) or not np.isfinite(given).all():
            raise InputError(
                f"{name} has the shape {np.shape(now)} and finite numbers; cannot set it to the "
                f"shape {given.shape} or to numbers that are not finite: fit a new estimator"
            )
        if self.artifact_.manifest.network["scale"] != "none":
            raise InputError(
                f"this model scales its inputs, so {name} cannot be set; fit a new one"
            )
        target = self.module_.get_parameter(parameter)
        with torch.no_grad():
            target.copy_(torch.from_numpy(given).reshape(target.shape))
        facts = {**self.artifact_.manifest.fit, **dict.fromkeys(CERTIFICATE)}
        facts |= {"converged": None, "reason": BY_HAND, "stopped": None}
        manifest = self.artifact_.manifest.model_copy(update={"fit": facts})
        self._take(replace(self.artifact_, manifest=manifest))

    def _take(self, model: Artifact) -> None:
        self._few = None
        super()._take(model)
        facts: dict[str, Any] = dict(model.manifest.fit)
        self.gradient_max_, self.objective_ = facts.get("gradient_max"), facts.get("objective")
        self._gap = facts.get("gap")


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

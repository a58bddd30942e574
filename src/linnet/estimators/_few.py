"""A line fitted to few rows in NumPy; its module, its artifact and its record are made on demand.

Making them takes longer than the fit, and a grid search asks for none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from linnet.core.events import Begin, Evaluate, Step
from linnet.core.parallel import threads_for
from linnet.core.record import Record
from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.fit.artifact import Artifact
from linnet.fit.begin import build
from linnet.fit.fit import SEEN_ROWS, ended, spread, wrap
from linnet.fit.recipe import Recipe
from linnet.insight.evaluation import measure
from linnet.line.base import State
from linnet.line.certificate import certify
from linnet.line.few import FEW, Found, classes, squares
from linnet.line.least_squares import LeastSquares
from linnet.line.problem import LinearProblem
from linnet.networks.base import Network
from linnet.objectives import find
from linnet.objectives.base import Objective

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Few:
    """A fit, with copies of its rows: users may change theirs before they ask for the rest."""

    objective: Objective
    recipe: dict[str, Any]
    schema: dict[str, Any]
    X: Array
    y: Tensor
    share: Array | None
    valid: tuple[Array, Tensor] | None
    """Rows that are only scored."""
    found: Found
    weight: Tensor
    """(outputs, inputs), as stored."""
    bias: Tensor

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.found.path) - 1

    @property
    def reason(self) -> str:
        """Why the fit stopped."""
        largest, within = self.found.largest, self.found.within
        return f"converged: the largest gradient entry, {largest:.1e}, is within {within:.1e}"

    def artifact(self, schema: Schema, record: Record) -> Artifact:
        """The model; the record of its fit is written as if it were fitted now."""
        (alpha,) = self.recipe["penalty"]
        settings = {"scaling": "none", "dtype": schema.dtype, "device": "cpu", **self.recipe}
        recipe = Recipe().override(settings)
        network, objective = build(recipe, schema)
        share = None if self.share is None else torch.from_numpy(self.share)
        rows = Dataset(torch.from_numpy(self.X), self.y, schema, share)
        problem = LinearProblem(
            objective, rows.x, rows.y, share,
            outputs=len(self.bias), alpha=alpha, intercept=recipe.intercept,
        )  # fmt: skip
        stored = torch.cat([self.weight.T, self.bias[None]])
        found = certify(problem, stored.double())
        assert found is not None
        certificate = {"objective": found.objective, "gap": found.gap, **self._rank(problem)}
        record.write(Begin(model="linear", title=network.title))
        scores: dict[str, float] = {}
        for index, u in enumerate(self.found.path):
            last = index == self.steps
            theta = stored if last else torch.from_numpy(self.found.outward(u))
            with torch.no_grad():
                network.get_parameter("linear.weight").copy_(theta[:-1].T)
                network.get_parameter("linear.bias").copy_(theta[-1])
            values = _values(problem, theta.double())
            if last:
                certificate = {"gradient_max": values["gradient_max"], **certificate}
                certificate["penalty"] = alpha
                values |= {"converged": 1.0, **certificate}
            record.write(Step(model="linear", step=index, epoch=0, values=values))
            if self.valid is not None and index in (0, self.steps):
                scores = self._scores(network, objective, rows, schema, record, index)
        facts = {
            "converged": True,
            "reason": self.reason,
            "stopped": "converged",
            "steps": self.steps,
            "best_step": self.steps,
            "scaling": {"kind": "none"},
            **certificate,
        }
        record.write(ended("linear", facts))
        counts = {
            "train_rows": len(rows),
            "valid_rows": 0 if self.valid is None else len(self.valid[1]),
        }
        none = rows.take(torch.empty(0, dtype=torch.int64))
        by_part = {"valid": scores} if scores else {}
        return wrap(recipe, network.eval(), objective, none, facts, by_part, counts, {})

    def _scores(
        self,
        network: Network,
        objective: Objective,
        rows: Dataset,
        schema: Schema,
        record: Record,
        index: int,
    ) -> dict[str, float]:
        """The scores of the validation rows after a step; those of training rows are recorded."""
        assert self.valid is not None
        held = Dataset(torch.from_numpy(self.valid[0]), self.valid[1], schema)
        scores = measure(network, objective, held)
        seen = rows.take(spread(len(rows), min(SEEN_ROWS, len(held))))
        train = measure(network, objective, seen)
        record.write(Evaluate(model="linear", step=index, epoch=0, valid=scores, train=train))
        return scores

    def _rank(self, problem: LinearProblem) -> dict[str, Any]:
        """Rank and condition number, of squared errors."""
        if not problem.objective.quadratic:
            return {}
        posed, _ = problem.posed()
        theta = posed.constant
        start = State(theta, *posed.moments.value_and_gradient(theta, problem.alpha))
        solution = LeastSquares().step(posed, start).solution
        assert solution is not None
        full = solution.rank == self.X.shape[1] or problem.alpha > 0
        condition = solution.condition if full and np.isfinite(solution.condition) else None
        return {"rank": float(solution.rank), "condition": condition}


def _tiny(X: Array) -> bool:
    """Whether numbers of float32 are too small to be squared in it: they are refused by name."""
    if X.dtype != np.float32:
        return False
    top = np.abs(X).max(0, initial=0.0)
    return bool(((top > 0) & (top < 16 * np.finfo(X.dtype).tiny ** 0.5)).any())


def _values(problem: LinearProblem, theta: Tensor) -> dict[str, float]:
    value, gradient = problem.value_and_gradient(theta)
    return {
        "loss": (value - problem.penalty(theta)).item(),
        "objective": value.item(),
        "gradient_max": gradient.abs().max().item(),
        "penalty": problem.alpha,
    }


def fit(
    recipe: dict[str, Any],
    X: Array,
    y: Tensor,
    share: Array | None,
    schema: dict[str, Any],
    valid: tuple[Array, Tensor] | None,
    start: dict[str, Tensor] | None,
) -> Few | None:
    """The line of ``recipe`` for ``X`` (rows, inputs), ``y`` codes (rows,), or numbers (rows,) or
    (rows, outputs), and weights ``share`` (rows,); None if the general way must be gone. ``schema``
    is the part of the target."""
    soft = y.is_floating_point() and "classes" in schema
    if X.size > FEW or soft or _tiny(X):
        return None
    objective, outputs = find("squared"), 1 if y.dim() == 1 else y.shape[1]
    if count := len(schema.get("classes", ())):
        objective, outputs = (find("logistic"), 1) if count == 2 else (find("softmax"), count)
    rows, targets, heavy = X, y.numpy(), share
    if heavy is not None and not (heavy > 0).all():
        kept = heavy > 0
        rows, targets, heavy = rows[kept], targets[kept], heavy[kept]
    wide = rows.astype(np.float64, copy=False)
    (alpha,) = recipe["penalty"]
    same: dict[str, Any] = {
        "alpha": alpha, "intercept": recipe["intercept"], "tol": recipe["tol"],
    }  # fmt: skip
    theta = None
    if start is not None:
        theta = np.vstack([start["linear.weight"].numpy().T, start["linear.bias"].numpy()])
    with threads_for(0):
        if y.is_floating_point():
            found = squares(wide, targets.reshape(len(targets), outputs), heavy, **same)
        else:
            found = classes(wide, targets, heavy, outputs=outputs, start=theta, **same)
    if found is None or len(found.path) - 1 > recipe.get("max_iter", len(found.path)):
        return None
    stored = torch.from_numpy(found.theta.astype(X.dtype))
    if not stored.isfinite().all():
        return None
    weight, bias = stored[:-1].T.contiguous(), stored[-1].contiguous()
    held = None if valid is None else (valid[0].astype(X.dtype), valid[1].clone())
    share = None if share is None else share.copy()
    return Few(objective, recipe, schema, X.copy(), y.clone(), share, held, found, weight, bias)

"""A line fitted to few rows in NumPy; its module, its artifact and its record are made on demand.

Making them takes longer than the fit, and a grid search asks for none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from linnet.core.events import Plain
from linnet.core.parallel import threads_for
from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.fit.artifact import Artifact
from linnet.fit.begin import build
from linnet.fit.fit import wrap
from linnet.fit.recipe import Recipe
from linnet.line.base import State
from linnet.line.certificate import certify
from linnet.line.few import FEW, Found, classes, squares
from linnet.line.least_squares import LeastSquares
from linnet.line.problem import LinearProblem
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

    def artifact(self, schema: Schema) -> tuple[Artifact, list[Plain]]:
        """The model and the record of its fit, a dict for each step."""
        (alpha,) = self.recipe["penalty"]
        settings = {"scaling": "none", "dtype": schema.dtype, "device": "cpu", **self.recipe}
        recipe = Recipe().override(settings)
        network, objective = build(recipe, schema)
        with torch.no_grad():
            network.get_parameter("linear.weight").copy_(self.weight)
            network.get_parameter("linear.bias").copy_(self.bias)
        problem = LinearProblem(
            objective, torch.from_numpy(self.X), self.y,
            None if self.share is None else torch.from_numpy(self.share),
            outputs=len(self.bias), alpha=alpha, intercept=recipe.intercept,
        )  # fmt: skip
        facts = {
            "converged": True,
            "reason": self.reason,
            "stopped": "converged",
            "steps": self.steps,
            "best_step": self.steps,
            "scaling": {"kind": "none"},
        }
        history = [self._step(problem, index, u) for index, u in enumerate(self.found.path)]
        stored = torch.cat([self.weight.T, self.bias[None]]).double()
        found = certify(problem, stored)
        assert found is not None
        facts |= {"gradient_max": history[-1]["gradient_max"], "objective": found.objective}
        facts |= {"gap": found.gap, "penalty": alpha, **self._rank(problem)}
        rows = Dataset(torch.from_numpy(self.X[:0]), self.y[:0], schema)
        counts = {"train_rows": len(self.X), "valid_rows": 0}
        return wrap(recipe, network.eval(), objective, rows, facts, {}, counts, {}), history

    def _step(self, problem: LinearProblem, index: int, u: Array) -> Plain:
        theta = torch.from_numpy(self.found.outward(u))
        value, gradient = problem.value_and_gradient(theta)
        return {
            "event": "step",
            "model": "linear",
            "step": index,
            "epoch": 0,
            "loss": (value - problem.penalty(theta)).item(),
            "objective": value.item(),
            "gradient_max": gradient.abs().max().item(),
            "penalty": problem.alpha,
        }

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


def fit(
    recipe: dict[str, Any],
    X: Array,
    y: Tensor,
    share: Array | None,
    schema: dict[str, Any],
    start: dict[str, Tensor] | None,
) -> Few | None:
    """The line of ``recipe`` for ``X`` (rows, inputs), ``y`` codes (rows,), or numbers (rows,) or
    (rows, outputs), and weights ``share`` (rows,); None if the general way must be gone. ``schema``
    is the part of the target."""
    soft = y.is_floating_point() and "classes" in schema
    if X.size > FEW or soft:
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
    return Few(objective, recipe, schema, X.copy(), y, share, found, weight, bias)

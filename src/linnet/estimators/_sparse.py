"""Sparse rows for the three lines: they are never made dense, unless they are small."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from torch import Tensor

from linnet.core.record import Record
from linnet.data.dataset import Dataset
from linnet.errors import InputError
from linnet.fit.artifact import Artifact
from linnet.fit.begin import build
from linnet.fit.fit import certificate, facts_of, wrap
from linnet.fit.progress import Progress
from linnet.fit.recipe import Recipe
from linnet.line.newton import NewtonCG
from linnet.line.problem import LinearProblem
from linnet.line.rows import SMALL, Sparse
from linnet.line.solve import Solve
from linnet.networks.linear import Linear

FEW = 4_000_000
"""Sparse rows of at most this many numbers, zeros included, are made dense: 32 MB."""

DENSE = 0.2
"""So are rows of which this share is not zero, if they are at most ``MOST`` numbers: products with
a sparse matrix are then slower than with a dense one."""

MOST = 100_000_000


def rows(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Checked sparse rows: an array (rows, features) if they are small, else CSR of float64 or
    float32."""
    if not estimator.sparse:
        raise InputError(
            f"{type(estimator).__name__} takes dense rows, and X is sparse; the lines take sparse "
            "rows (LogisticRegression, LinearRegression, Ridge); X.toarray() makes X dense"
        )
    found = validate_data(
        estimator, X, reset=reset, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32]
    ).tocsr()
    numbers = found.shape[0] * found.shape[1]
    if numbers <= FEW or (numbers <= MOST and found.count_nonzero() >= DENSE * numbers):
        return found.toarray()
    if estimator.device not in ("cpu", "auto"):
        raise InputError(
            f'device="{estimator.device}": large sparse rows are computed on the CPU; use '
            'device="cpu"'
        )
    if not found.has_canonical_format:
        found = found.copy()  # the user's own rows are only read
        found.sum_duplicates()
    return found


def fit(
    estimator: Any,
    recipe: dict[str, Any],
    X: Any,
    y: Tensor,
    weight: Any,
    schema: dict[str, Any],
    start: dict[str, Tensor] | None,
    record: Record,
) -> Artifact:
    """The line fitted to CSR rows, by products with them; the manifest has no names of columns."""
    described = estimator.described(X, schema, names=False)
    settings = {"scaling": "none", "dtype": described.dtype, "device": "cpu", **recipe}
    resolved = Recipe().override({**settings, "solver": "newton_cg"})
    network, objective = build(resolved, described)
    assert isinstance(network, Linear)
    heavy = None if weight is None else torch.from_numpy(np.ascontiguousarray(weight))
    problem = LinearProblem(
        objective, Sparse(X), y, heavy,
        outputs=network.spec.outputs, intercept=resolved.intercept,
    )  # fmt: skip
    theta = None
    if start is not None:
        theta = torch.cat([start["linear.weight"].T, start["linear.bias"][None]]).double()
    penalties, tol = resolved.penalty, resolved.tol
    assert penalties != "auto" and tol != "auto"
    method: Any = Solve(
        network, problem, NewtonCG(), penalties=penalties, tol=tol, max_iter=resolved.max_iter,
        theta=theta,
    )  # fmt: skip
    method.certify = X.nnz <= SMALL
    progress = Progress("linear", method, record)
    for step in method:
        progress.add(step)
        progress.write(step)
        if step.complete:
            progress.judge(step, {}, {})
    assert progress.best.step is not None
    facts = facts_of(progress, progress.best.step) | certificate(progress.best.step)
    shape = (0, described.shape[0])
    none = Dataset(torch.zeros(shape, dtype=getattr(torch, described.dtype)), y[:0], described)
    data = {"train_rows": X.shape[0], "valid_rows": 0}
    return wrap(resolved, network.eval(), objective, none, facts, {}, data, {})


def raw(module: torch.nn.Module, X: Any) -> Tensor:
    """Raw predictions (rows, outputs) in float64 of a line without scaling, for CSR rows."""
    weight, bias = (module.get_parameter(f"linear.{name}") for name in ("weight", "bias"))
    product = X @ weight.detach().numpy().T.astype(np.float64)
    return torch.from_numpy(np.asarray(product)) + bias.detach().double()

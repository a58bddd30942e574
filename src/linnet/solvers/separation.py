"""Whether classes can be told apart without error: without a penalty there is no optimum then."""

from __future__ import annotations

import torch
from torch import Tensor

from linnet.solvers.problem import BLOCK, LinearProblem

NULL = 1e-10
"""An eigenvalue below this share of the largest counts as zero."""

DECIDED = 1e-4
"""A row with a residual below this, and below what the tolerance can see, counts as decided."""


def separated(problem: LinearProblem, raw: Tensor, tol: float) -> bool:
    """Whether the classes are separated, completely or for some rows (quasi-completely).

    Completely where ``raw`` gives each row's own class the largest prediction. Else, at what looks
    like an optimum, by a direction that leaves every undecided row as it is and only raises decided
    ones: Albert and Anderson (1984), Biometrika 71, 1-10. It is looked for class by class in the
    null space of the undecided rows.
    """
    if problem.y.dim() != 1:
        return False
    if problem.separates(raw):
        return True
    _, residual = problem.value_and_residual(raw)
    sight = min(DECIDED, 10 * tol * problem.total)
    weight = torch.ones_like(raw[:, 0]) if problem.weight is None else problem.weight
    counts = weight > 0
    open_ = residual.abs() > sight * weight[:, None]
    if problem.total_of((~open_[counts]).double()) == 0:
        return False
    full = _null(problem, counts)
    columns = []
    for k in range(problem.outputs):
        null = _null(problem, open_[:, k] & counts)
        toward = torch.where(problem.y == (k if problem.outputs > 1 else 1), 1.0, -1.0)
        pull = problem.transpose((toward * counts)[:, None].to(raw).expand_as(raw))[:, 0]
        inside = null @ (null.T @ pull)
        columns.append(inside - full @ (full.T @ inside))
    direction = torch.stack(columns, 1)
    move = problem.raw(direction)
    largest = move.abs().max().item() if move.numel() else 0.0
    size = direction.abs().max().item()
    return largest > 1e-6 * size > 0 and problem.separates(move, 1e-6)


def _null(problem: LinearProblem, rows: Tensor) -> Tensor:
    """A basis (inputs + 1, directions) of what does not move the raw predictions of ``rows``.

    In the scale of the inputs as they are; found in that of centred, scaled ones.
    """
    mean, deviation = problem.columns
    scale = torch.where(deviation > 0, 1 / deviation, 0.0)
    width = len(mean) + 1
    gram = torch.zeros((width, width), dtype=torch.float64, device=problem.home)
    last = 1.0 if problem.intercept else 0.0
    for start in range(0, len(rows), BLOCK):
        x = problem.x[start : start + BLOCK][rows[start : start + BLOCK]].to(problem.home).double()
        z = torch.cat([(x - mean) * scale, x.new_full((len(x), 1), last)], 1)
        gram += z.T @ z
    values, vectors = torch.linalg.eigh(problem.world.sum(gram))
    null = vectors[:, values <= NULL * max(values[-1].item(), 1.0)]
    if not problem.intercept:
        null = null * (1 - torch.eye(width, dtype=torch.float64, device=problem.home)[:, -1:])
    w = scale[:, None] * null[:-1]
    back = torch.cat([w, null[-1:] - mean[None] @ w])
    return torch.linalg.qr(back).Q if back.shape[1] else back

"""Separation: a linear model classifies without error, so without a penalty there is no optimum."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from linnet.line.problem import BLOCK, LinearProblem

NULL = 1e-10
"""An eigenvalue below this share of the largest counts as zero."""

MOST = 20_000_000
"""The most numbers in the linear programme; larger ones are not solved."""

DECIDED = 1e-4
"""A row is decided if its residual is below this, and below a limit from the tolerance."""


def separated(problem: LinearProblem, raw: Tensor, tol: float) -> bool:
    """Whether the classes are separated, completely or for some rows (quasi-completely).

    Separation is complete if in ``raw`` the largest prediction of each row is that of its own
    class. It is quasi-complete if for some class there is a direction that does not change the
    undecided rows, and moves all other rows only towards their classes (Albert and Anderson 1984,
    Biometrika 71, 1-10). Linear programming finds it (Konis 2007, thesis, Oxford), on one process
    and for at most ``MOST`` numbers; ``raw`` must be near an optimum.
    """
    if problem.y.dim() != 1:
        return False
    if problem.separates(raw):
        return True
    if problem.world.size > 1:
        return False
    _, residual = problem.value_and_residual(raw)
    sight = min(DECIDED, 10 * tol * problem.total)
    weight = torch.ones_like(raw[:, 0]) if problem.weight is None else problem.weight
    counts = weight > 0
    in_doubt = residual.abs() > sight * weight[:, None]
    for k in range(problem.outputs):
        decided = counts & ~in_doubt[:, k]
        if decided.any():
            null = _null(problem, counts & in_doubt[:, k])
            x = problem.x[decided].to(problem.home).double()
            if not 0 < null.shape[1] * len(x) <= MOST:
                continue
            own = problem.y[decided] == (k if problem.outputs > 1 else 1)
            toward = (x @ null[:-1] + null[-1]) * torch.where(own, 1.0, -1.0)[:, None]
            if _moves(toward):
                return True
    return False


def _moves(toward: Tensor) -> bool:
    """Whether some combination of the columns (rows, directions) is above zero in some row, and
    below zero in none."""
    largest = toward.abs().amax(0)
    toward = toward[:, largest > 1e-9 * max(largest.max().item(), 1e-300)]
    if not toward.shape[1]:
        return False
    toward = (toward / toward.abs().amax(0)).cpu()
    from scipy.optimize import linprog  # its import takes half a second

    found = linprog(
        -toward.mean(0).numpy(),
        A_ub=-toward.numpy(),
        b_ub=np.full(len(toward), 1e-9),
        bounds=(-1, 1),
    )
    return bool(found.status == 0 and -found.fun > 1e-6)


def _null(problem: LinearProblem, rows: Tensor) -> Tensor:
    """A basis (inputs + 1, directions) of the directions that do not change the raw predictions of
    ``rows``.

    It is for the unscaled inputs, but computed with centred, scaled ones.
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

"""Separation: a linear model classifies without error, so without a penalty there is no optimum."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from linnet.data.store import vector
from linnet.line.problem import LinearProblem
from linnet.line.rows import BLOCK, Dense, Rows

NULL = 1e-9
"""A singular value of columns of one length, below this share of the largest, counts as zero."""

FAR = (10.0, 1e3, 1e5)
"""How far the raw predictions of the rows move, at most, to see that the loss falls all the way."""

EPS = torch.finfo(torch.float64).eps

MOST = 20_000_000
"""The most numbers in the linear programme; larger ones are not solved."""

DECIDED = 1e-4
"""A row is decided if its residual is below this, and below a limit from the tolerance."""


def separated(problem: LinearProblem, raw: Tensor, tol: float) -> bool:
    """Whether the classes are separated, completely or for some rows (quasi-completely).

    Separation is complete if in ``raw`` the largest prediction of each row is that of its own
    class. It is quasi-complete if for some class there is a direction that does not change the
    undecided rows, and moves all other rows only towards their classes (Albert and Anderson 1984,
    Biometrika 71, 1-10). Linear programming finds it (Konis 2007, thesis, Oxford), on rank 0
    and for at most ``MOST`` numbers; ``raw`` must be near an optimum.
    """
    if problem.y.dim() != 1:
        return False
    if problem.separates(raw):
        return True
    world = problem.world
    _, residual = problem.value_and_residual(raw)
    weight = torch.ones_like(raw[:, 0]) if problem.weight is None else problem.weight
    in_doubt = residual.abs() > (DECIDED * weight).clamp(max=10 * tol * problem.total)[:, None]
    for k in range(problem.outputs):
        decided = ~in_doubt[:, k]
        count = int(world.sum(decided.sum()))
        if count and problem.compact:
            null = _null(problem, in_doubt[:, k])
            if not 0 < null.shape[1] * count <= MOST:
                continue
            own = problem.y[decided] == (k if problem.outputs > 1 else 1)
            toward = _products(problem, decided, null) * torch.where(own, 1.0, -1.0)[:, None]
            along = _along(problem, toward)
            if along is not None and _falls(problem, raw, k, null @ along):
                return True
    return False


def _falls(problem: LinearProblem, raw: Tensor, k: int, direction: Tensor) -> bool:
    """Whether the loss of all rows falls, or stays, along a direction of class ``k`` all the way:
    else what looks like separation is rounding."""
    wide = problem.x.wide()
    move = (wide @ direction[:-1, None])[:, 0] + direction[-1]
    largest = problem.world.most(move.abs().amax() if len(move) else move.new_zeros(()))
    if not largest > 0:
        return False
    raw = raw.double()
    before = problem.value(raw).item()
    for far in FAR:
        moved = raw.clone()
        moved[:, k] += move * (far / largest)
        after = problem.value(moved).item()
        if after > before * (1 + 1e-7):
            return False
        before = after
    return True


def _along(problem: LinearProblem, toward: Tensor) -> Tensor | None:
    """``_moves`` for the rows of all ranks, as rank 0 finds it."""
    world = problem.world
    if world.size == 1:
        return _moves(toward)
    every = world.gather(toward)
    found = _moves(every) if world.lead else None
    told = world.tell(None if found is None else found.tolist())
    return None if told is None else every.new_tensor(told)


def _moves(toward: Tensor) -> Tensor | None:
    """A combination of the columns (rows, directions) that is above zero in some row, and below
    zero in none; None if there is none."""
    wide = toward.shape[1]
    largest = toward.abs().amax(0)
    used = largest > 1e-9 * max(largest.max().item(), 1e-300)
    toward = toward[:, used]
    if not toward.shape[1]:
        return None
    size = toward.abs().amax(0)
    toward = (toward / size).cpu()
    from scipy.optimize import linprog  # its import takes half a second

    found = linprog(
        -toward.mean(0).numpy(),
        A_ub=-toward.numpy(),
        b_ub=np.full(len(toward), 1e-9),
        bounds=(-1, 1),
    )
    if found.status != 0 or -found.fun <= 1e-6:
        return None
    along = torch.zeros(wide, dtype=torch.float64, device=size.device)
    along[used] = torch.from_numpy(found.x).to(size) / size
    return along


def _products(problem: LinearProblem, rows: Tensor, null: Tensor) -> Tensor:
    """How directions (inputs + 1, directions) change the raw predictions of some rows."""
    if problem.folder is not None:
        return _taken(problem, rows).wide() @ null[:-1] + null[-1]
    return problem.x.wide().block(rows.nonzero()[:, 0]).to(problem.home) @ null[:-1] + null[-1]


def _taken(problem: LinearProblem, rows: Tensor) -> Rows:
    """Some rows; those of a store in a mapped file, as they may be many."""
    chosen = rows.nonzero()[:, 0]
    if problem.folder is None:
        return problem.x.take(chosen)
    held = vector(problem.folder, (len(chosen), problem.x.shape[1]), problem.x.dtype)
    for start in range(0, len(chosen), BLOCK):
        some = slice(start, start + BLOCK)
        held[some] = problem.x.block(chosen[some])
    return Dense(held)


def _null(problem: LinearProblem, rows: Tensor) -> Tensor:
    """A basis (inputs + 1, directions) of the directions that do not change the raw predictions of
    ``rows``.

    It is for the unscaled inputs, but computed with columns that are centred, and scaled to one
    length in these very rows: a huge number in another row must not make them look like zero.
    """
    held = _taken(problem, rows).wide()
    if problem.world.size > 1:  # they are few
        every = held.block(slice(0, len(held))).to(problem.home)
        held = Dense(problem.world.gather(every))
    count, width = len(held), held.shape[1]
    mean = torch.zeros(width, dtype=torch.float64, device=problem.home)
    if problem.intercept and count:
        mean = held.transposed(mean.new_ones((count, 1)))[:, 0] / count
    square = mean.new_zeros(width)
    for _, block in held.blocks():
        square += (block - mean).square().sum(0)
    length = square.sqrt()
    live = length > 64 * EPS * count**0.5 * mean.abs()
    scale = torch.where(live, 1 / length, 1.0)
    last = (1.0 if problem.intercept else 0.0) / max(1, count) ** 0.5
    r = mean.new_zeros((0, width + 1))
    for _, block in held.blocks():
        z = torch.where(live, (block - mean) * scale, 0.0)
        part = torch.cat([z, z.new_full((len(z), 1), last)], 1)
        r = torch.linalg.qr(torch.cat([r, part]), mode="r").R
    _, s, vt = torch.linalg.svd(r, full_matrices=True)
    s, vt = problem.world.same(s, vt)
    known = int((s > NULL * s.amax()).sum()) if len(s) else 0
    null = vt[known:].T
    if not problem.intercept:
        null = null * (1 - torch.eye(len(null), dtype=null.dtype, device=null.device)[:, -1:])
    w = scale[:, None] * null[:-1]
    back = torch.cat([w, null[-1:] * last - mean[None] @ w])
    if not back.shape[1]:
        return back
    basis: Tensor = problem.world.same(torch.linalg.qr(back / back.norm(dim=0).clamp(min=1e-300)).Q)
    return basis

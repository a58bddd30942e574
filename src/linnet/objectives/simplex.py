"""Probabilities with given sums: what a dual bound for classes needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def balanced(p: Tensor, found: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities near ``p`` (rows, classes), whose weighted sums over rows are ``found``, with
    the weighted sums ``sums`` instead (classes,).

    Every row of ``p`` sums to 1, and ``sums`` to the sum of the weights, as ``found``. Columns
    that sum to too much are made smaller; what rows and columns then lack is shared out in
    proportion (Altschuler, Weed and Rigollet 2017, NeurIPS, algorithm 2). Returns the new ones, and
    their change.
    """
    excess = (found - sums).clamp(min=0)
    less = torch.where(found > 0, excess / found, 0.0)  # the share that each column gives up
    given = p * less
    lacking_row = given.sum(1)
    lacking_column = (sums - found).clamp(min=0)
    total = lacking_column.sum()
    change = -given
    if total > 0:
        change = change + torch.outer(lacking_row, lacking_column / total)
    return p + change, change


def feasible(
    log_p: Tensor,
    share: Tensor,
    weight: Tensor | None,
    everywhere: Callable[[Tensor], Tensor],
    change: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """How probabilities (rows, classes) change so that their weighted sums are those of ``share``,
    the probabilities of the targets, if ``weight`` (rows,) is given; and for each row the
    divergence from the old ones. ``change`` is a wish for the change."""
    p = log_p.exp()
    moved = torch.zeros_like(p)
    if change is not None:
        q = (p + change).clamp(min=0)
        moved = torch.where(p + change >= 0, change, -p)
        moved = moved - q * ((q.sum(1, keepdim=True) - 1) / q.sum(1, keepdim=True))
    if weight is not None:
        q = (p + moved).clamp(min=0)
        moved = moved + balanced(q, everywhere(weight @ q), everywhere(weight @ share))[1]
    elif change is None:
        return moved, torch.zeros_like(p[:, 0])
    return moved, divergence((p + moved).clamp(min=0), log_p, moved)


def divergence(q: Tensor, log_p: Tensor, change: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of ``q`` from ``p`` of each row, (rows,), never below zero.

    ``q`` is ``p + change``; all are (rows, classes). Small changes are exact: the terms are those
    of ``q log(q / p) - q + p``, each of which is not negative.
    """
    p = log_p.exp()
    ratio = torch.where(p > 0, change / p, 0.0)
    small = ratio.abs() < 0.5
    near = p * ((1 + ratio) * torch.where(small, ratio, 0.0).log1p() - ratio)
    far = torch.special.xlogy(q, q) - q * log_p.clamp(min=-1e5) - change
    return torch.where(small & (p > 0), near, far).clamp(min=0).sum(1)

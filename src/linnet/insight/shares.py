"""The probabilities of classes as a run keeps them: all, or of very many classes the largest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from linnet.objectives.base import Objective

    Array = np.ndarray[Any, Any]

MANY = 200
"""Of more classes, a run and ``linnet predict`` keep the largest probabilities of each row."""

TOP = 5
"""How many they keep."""

STORED = 2 * TOP + 2
"""The numbers that ``kept`` has of a row of many classes."""

PART = 1 << 20
"""The raw predictions that are gone through at once."""


def by_rows(function: Callable[..., Tensor], raw: Tensor, *others: Tensor) -> Tensor:
    """``function`` of raw predictions (rows, outputs) and others (rows, ...), which gives something
    for each row; many predictions are gone through some rows at a time."""
    import torch

    step = max(1, PART // max(1, raw[:1].numel()))
    if len(raw) <= step:
        return function(raw, *others)
    starts = range(0, len(raw), step)
    every = (raw, *others)
    return torch.cat([function(*(each[at : at + step] for each in every)) for at in starts])


def decided(objective: Objective, raw: Tensor, cut: float | Tensor | None = None) -> Tensor:
    """The code of the most probable class of each row, (rows,); with ``cut``, one or (rows,), the
    second of two classes where its probability is at least that."""
    import torch

    if cut is None:
        return by_rows(lambda part: objective.probabilities(part).argmax(1), raw)
    cuts = torch.as_tensor(cut, dtype=torch.float64, device=raw.device).expand(len(raw))
    return by_rows(lambda part, own: (objective.probabilities(part)[:, 1] >= own).long(), raw, cuts)


def top(objective: Objective, raw: Tensor) -> tuple[Array, Array]:
    """The ``TOP`` most probable classes of each row, the first one as it is decided, and their
    probabilities: (rows, TOP) each."""
    found = by_rows(lambda part: _top(objective.probabilities(part)), raw)
    return found[:, TOP:].long().numpy(), found[:, :TOP].numpy()


def _top(p: Tensor) -> Tensor:
    """The largest probabilities and their codes, (rows, 2 TOP); of equal ones the first."""
    import torch

    order = p.sort(dim=1, descending=True, stable=True)
    return torch.cat([order.values[:, :TOP], order.indices[:, :TOP].to(p)], 1)


def kept(objective: Objective, raw: Tensor, codes: Tensor) -> dict[str, Array]:
    """What a run keeps of the probabilities of rows, by column; ``codes`` (rows,) are the true
    classes.

    ``p`` are all probabilities (rows, classes). If there are more than ``MANY`` classes, ``p`` are
    the largest ones (rows, TOP) of the classes ``top``; ``p_y`` is the probability of the true
    class, and ``p_squares`` the sum of the squares of all of them, (rows,) each.
    """
    if raw.shape[1] <= MANY and objective.probabilities(raw[:1]).shape[1] <= MANY:
        return {"p": objective.probabilities(raw).numpy()}

    def own(part: Tensor, code: Tensor) -> Tensor:
        import torch

        p = objective.probabilities(part)
        return torch.stack([p.gather(1, code[:, None])[:, 0], p.square().sum(1)], 1)

    classes, p = top(objective, raw)
    about = by_rows(own, raw, codes).numpy()
    return {"p": p, "top": classes, "p_y": about[:, 0], "p_squares": about[:, 1]}


def narrow(found: Mapping[str, Array], y: Array) -> tuple[Array, Array, float]:
    """Class codes and probabilities of the same calibration for what ``kept`` has of many classes:
    the classes are renamed in each row, in the order of their probability, and the true one is the
    last if it is not among the largest. Also the part of Brier's score that the others add."""
    import numpy as np

    p, own = found["p"], found["p_y"]
    same = found["top"] == y[:, None]
    inside = same.any(1)
    place = np.where(inside, same.argmax(1), p.shape[1])
    last = np.where(inside, 0.0, own)
    others = found["p_squares"] - (p**2).sum(1) - last**2
    return place, np.column_stack([p, last]), float(others.clip(min=0).mean())

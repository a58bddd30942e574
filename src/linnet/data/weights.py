"""What becomes weights and targets before any objective: class weights and label smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from linnet.data.dataset import Dataset
from linnet.errors import RecipeError


def weigh(class_weight: str | Sequence[float] | None, *parts: Dataset) -> list[Dataset]:
    """The parts, their rows weighted by class; "balanced" is by the first one's counts:
    rows / (classes * rows of the class), as scikit-learn has it. Rows of weight 0 are left out."""
    weighted = [_heavy(part) for part in _weighted(class_weight, parts)]
    if class_weight is not None and not len(weighted[0]):
        raise RecipeError("class_weight leaves no row with a weight above 0")
    return weighted


def weighty(class_weight: str | Sequence[float] | None, part: Dataset) -> Tensor:
    """Which rows of a part ``weigh`` keeps, bool (rows,)."""
    (found,) = _weighted(class_weight, (part,))
    return torch.ones(len(part), dtype=torch.bool) if found.weight is None else found.weight > 0


def _weighted(
    class_weight: str | Sequence[float] | None, parts: Sequence[Dataset]
) -> list[Dataset]:
    """The parts with all their rows."""
    if class_weight is None:
        return list(parts)
    by_class = _by_class(class_weight, parts[0])
    weighted = []
    for part in parts:
        weight = part.y.double() @ by_class if part.soft else by_class[part.y]
        if part.weight is not None:
            weight = weight * part.weight
        weighted.append(replace(part, weight=weight))
    return weighted


def _heavy(part: Dataset) -> Dataset:
    """The rows of weight above 0: the others must not even steer scaling and rounding."""
    if part.weight is None or bool((part.weight > 0).all()):
        return part
    return part.take((part.weight > 0).nonzero()[:, 0])


def _by_class(class_weight: str | Sequence[float], first: Dataset) -> Tensor:
    """The weight of each class, (classes,) in float64."""
    classes = len(first.schema.classes)
    if isinstance(class_weight, str):
        counts = torch.bincount(first.codes, minlength=classes).double()
        return len(first) / (classes * counts.clamp(min=1))
    if len(class_weight) != classes:
        raise RecipeError(
            f"class_weight has {len(class_weight)} weights for {classes} classes: "
            f"{', '.join(first.schema.names[:10])}"
        )
    return torch.tensor(class_weight, dtype=torch.float64)


def smooth(data: Dataset, share: float) -> Tensor:
    """The targets of ``data`` with ``share`` of each row spread evenly over all classes: the
    probability of the second of two (rows,), or (rows, classes); Szegedy et al. (2016)."""
    classes = len(data.schema.classes)
    y = data.y.double() if data.soft else one_hot(data.y, classes).double()
    y = (1 - share) * y + share / classes
    return y[:, 1] if classes == 2 else y

"""The links of the objectives in NumPy: what a model needs to predict, without PyTorch.

``tests/objectives/test_objectives.py`` holds them against the objectives themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from linnet.objectives import OBJECTIVES

if TYPE_CHECKING:
    from linnet.objectives.base import Target

Array = np.ndarray[Any, Any]


class Link(Protocol):
    """The part of an ``Objective`` that predicts; see there."""

    @property
    def classifies(self) -> bool:
        """Whether it predicts classes."""

    def suits(self, target: Target) -> bool:
        """Whether it can be fitted to this target."""

    def outputs(self, target: Target) -> int:
        """The number of raw predictions for each row."""

    def mean(self, raw: Array) -> Array:
        """The means that raw predictions in float64 say, (rows, outputs)."""

    def probabilities(self, raw: Array) -> Array:
        """The probability of each class, (rows, classes), of raw predictions in float64."""


@dataclass(frozen=True)
class Squared:
    """Numbers: raw predictions are the means."""

    classifies: bool = False

    def suits(self, target: Target) -> bool:
        return target.task == "regression"

    def outputs(self, target: Target) -> int:
        return len(target.targets)

    def mean(self, raw: Array) -> Array:
        return raw

    def probabilities(self, raw: Array) -> Array:
        raise TypeError("the squared objective predicts numbers, not classes")


@dataclass(frozen=True)
class Logistic:
    """Two classes, one logit."""

    classifies: bool = True

    def suits(self, target: Target) -> bool:
        return target.task == "classification" and len(target.classes) == 2

    def outputs(self, target: Target) -> int:
        return 1

    def mean(self, raw: Array) -> Array:
        return self.probabilities(raw)[:, 1:]

    def probabilities(self, raw: Array) -> Array:
        if len(raw) == 1:  # NumPy takes ten times as long for one row
            tiny = math.exp(-abs(raw[0, 0]))
            pair = tiny / (1 + tiny), 1 / (1 + tiny)
            return np.array([pair if raw[0, 0] > 0 else pair[::-1]])
        small = np.exp(-np.abs(raw))  # never too large
        less, more = small / (1 + small), 1 / (1 + small)
        first = np.where(raw > 0, less, more)
        return np.concatenate([first, np.where(raw > 0, more, less)], 1)


@dataclass(frozen=True)
class Softmax:
    """Three classes or more, a logit for each."""

    classifies: bool = True

    def suits(self, target: Target) -> bool:
        return target.task == "classification" and len(target.classes) > 2

    def outputs(self, target: Target) -> int:
        return len(target.classes)

    def mean(self, raw: Array) -> Array:
        return self.probabilities(raw)

    def probabilities(self, raw: Array) -> Array:
        p: Array = np.exp(raw - raw.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        return p


LINKS: dict[str, Link] = {"squared": Squared(), "logistic": Logistic(), "softmax": Softmax()}


def find(name: str) -> Link | None:
    """The link of the objective with this name; None if another package adds it, or none does."""
    return LINKS.get(name) if name in OBJECTIVES else None

"""Learning-rate schedules: each gives a factor by which the setting ``lr`` is multiplied.

A schedule is a function of the epochs done (with fractions), of the number of epochs, and of the
settings: ``gamma`` is the factor of each decrease, ``step_size`` the number of epochs between
decreases. For "plateau", ``step_size`` is the number of evaluations in a row that may be no better
before a decrease. "plateau" depends on the scores, so it is a class with a state: ``Plateau``.
"adaptive" multiplies its factor by ``gamma`` where ``min_delta`` would end the training, until the
rate is within ``SMALLEST``: scikit-learn's ``learning_rate="adaptive"`` has a ``gamma`` of 1/5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import cos, pi

from linnet.net.settings import NetSettings

RISE = 0.25
"""The share of training in which the one-cycle rate rises."""

THRESHOLD = 1e-4
"""A loss counts as better if it is below the best one by at least this share of it, as in PyTorch's
``ReduceLROnPlateau``."""


SMALLEST = 1e-6
"""The learning rate at which "adaptive" ends the training, as in scikit-learn."""

Schedule = Callable[[float, int, NetSettings], float]


def constant(done: float, epochs: int, settings: NetSettings) -> float:
    """The same rate throughout."""
    return 1.0


def step(done: float, epochs: int, settings: NetSettings) -> float:
    """Times ``gamma`` every ``step_size`` epochs, as ``torch.optim.lr_scheduler.StepLR``."""
    return float(settings.gamma ** (int(done) // settings.step_size))


def exponential(done: float, epochs: int, settings: NetSettings) -> float:
    """Times ``gamma`` every epoch, as ``torch.optim.lr_scheduler.ExponentialLR``."""
    return float(settings.gamma ** int(done))


def cosine(done: float, epochs: int, settings: NetSettings) -> float:
    """Down to 0 as half a cosine over all steps: Loshchilov and Hutter (2017), SGDR, without
    restarts; as ``torch.optim.lr_scheduler.CosineAnnealingLR``."""
    return (1 + cos(pi * done / epochs)) / 2


def one_cycle(done: float, epochs: int, settings: NetSettings) -> float:
    """The rate rises from a 25th to the full rate in the first quarter of the steps, then falls to
    0 as a cosine.

    Smith and Topin (2019), Super-convergence. PyTorch's default also starts at a 25th.
    """
    progress = done / epochs
    if progress < RISE:
        return 1 / 25 + (1 - 1 / 25) * (1 - cos(pi * progress / RISE)) / 2
    return (1 + cos(pi * (progress - RISE) / (1 - RISE))) / 2


def inverse(done: float, epochs: int, settings: NetSettings) -> float:
    """Divided by ``(1 + step_size * epochs done) ** gamma``; with ``step_size`` the number of rows,
    as scikit-learn's ``learning_rate="invscaling"``."""
    return float((1 + settings.step_size * int(done)) ** -settings.gamma)


def warmed(done: float, settings: NetSettings) -> float:
    """The factor of the warm-up: a linear rise over ``warmup`` epochs, 1 after it."""
    return 1.0 if done >= settings.warmup else done / settings.warmup


class Plateau:
    """Times ``gamma`` when more than ``step_size`` losses in a row were no better than the best,
    as ``torch.optim.lr_scheduler.ReduceLROnPlateau``."""

    def __init__(self, settings: NetSettings) -> None:
        self.settings = settings
        self.factor = 1.0
        self.best = math.inf
        self.stale = 0

    def observe(self, loss: float) -> None:
        """Add the loss of an evaluation."""
        if loss < self.best * (1 - THRESHOLD):
            self.best, self.stale = loss, 0
        else:
            self.stale += 1
        if self.stale > self.settings.step_size:
            self.factor *= self.settings.gamma
            self.stale = 0

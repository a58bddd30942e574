"""The learning rate as a factor of its setting, by progress through training from 0 to 1."""

from math import cos, pi

WARM_UP = 0.25
"""The share of the steps in which one-cycle rises."""


def constant(progress: float) -> float:
    """The rate as set, throughout."""
    return 1.0


def one_cycle(progress: float) -> float:
    """Up from a 25th to the full rate in a quarter of the steps, then down to 0 as a cosine.

    After Smith and Topin (2019), Super-convergence; their start at a 25th is PyTorch's default too.
    """
    if progress < WARM_UP:
        return 1 / 25 + (1 - 1 / 25) * (1 - cos(pi * progress / WARM_UP)) / 2
    return (1 + cos(pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2

"""The learning-rate finder."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Protocol

from linnet.core.record import Step
from linnet.data.batches import Batches
from linnet.errors import Diverged
from linnet.net.schedules import Schedule
from linnet.net.settings import NetSettings
from linnet.networks.base import Network

STEPS = 100
LOWEST, HIGHEST = 1e-6, 10.0
SMOOTHING = 0.9
DIVERGED = 4.0
"""The search ends when the smoothed loss is this many times the lowest one."""


class Trial(Protocol):
    """A training loop whose learning rate can be set."""

    batches: Batches
    schedule: Schedule

    def __iter__(self) -> Iterator[Step]:
        """Train step by step."""


def find_rate(
    make: Callable[[Network, NetSettings], Trial], network: Network, settings: NetSettings
) -> float:
    """Raise the learning rate at every step; return a tenth of the rate with the lowest loss.

    This is the range test of Smith (2017), Cyclical learning rates, on a copy of ``network``: 100
    steps from 1e-6 to 10, each rate a constant factor above the one before. The tenth is from
    fastai. Raises ``Diverged`` if no rate lowers the loss.
    """
    alone = {"lr": 1.0, "schedule": "constant", "min_delta": None, "averaging": "none"}
    longer = {"warmup": 0.0, "epochs": STEPS}
    trial = make(copy.deepcopy(network), settings.model_copy(update={**alone, **longer}))
    per_epoch = len(trial.batches)
    growth = (HIGHEST / LOWEST) ** (1 / (STEPS - 1))
    trial.schedule = lambda done, epochs, settings: LOWEST * growth ** round(done * per_epoch)
    smoothed, least, found = 0.0, math.inf, LOWEST
    for step in trial:
        if not step.values:
            continue
        loss = float(step.values["loss_sum"]) / float(step.values["rows"])
        smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * loss
        mean = smoothed / (1 - SMOOTHING**step.index)
        if not math.isfinite(mean) or mean > DIVERGED * least or step.index > STEPS:
            break
        if mean < least:
            least, found = mean, float(step.values["lr"])
    if found == LOWEST:
        raise Diverged(
            f"lr=find: no learning rate from {LOWEST:g} to {HIGHEST:g} lowers the loss; look at "
            "the scaling of the inputs, or give lr a number"
        )
    return float(f"{found / 10:.2g}")

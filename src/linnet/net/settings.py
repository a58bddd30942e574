"""The settings of the nets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from linnet.core.closed import Closed, Several
from linnet.core.every import Every, EveryEpochs
from linnet.core.registry import known
from linnet.net import OPTIMIZERS, OPTIONS, SCHEDULES
from linnet.networks import Embedding
from linnet.networks.specs import Activation

Some = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
Sizes = Annotated[Literal["auto"] | Some, Several()]


class NetSettings(Closed):
    """The layers of a net and how it is trained: a part of the recipe, which the training loop
    uses directly.

    A net on a table may embed its columns of numbers (``linnet.networks.embedding``): ``bins`` is
    for ``embedding="piecewise"``, ``frequencies`` and ``sigma`` are for "periodic"; each column
    becomes ``embedding_size`` more inputs.

    With ``min_delta``, training also stops if for more than ``patience`` epochs in a row the mean
    training loss (divided by the target's variance) is not lower than the best one by at least
    ``min_delta``. For this the loop waits for the device once an epoch.
    """

    # layers
    widths: Sizes = "auto"
    channels: Sizes = "auto"
    activation: Literal["auto"] | Activation = "auto"
    embedding: Literal["auto"] | Embedding = "auto"
    embedding_size: Annotated[int, Field(ge=1)] = 8
    bins: Annotated[int, Field(ge=2, le=1_000)] = 24
    frequencies: Annotated[int, Field(ge=1)] = 24
    sigma: Annotated[float, Field(gt=0)] = 0.5
    dropout: Literal["auto"] | Annotated[float, Field(ge=0, lt=1)] = "auto"
    batch_norm: Literal["auto"] | bool = "auto"
    recompute_norm: bool = False
    precision: Literal["full", "bfloat16"] = "full"
    # batches
    batch_size: Literal["auto", "all"] | Annotated[int, Field(ge=1)] = "auto"
    shift: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"
    flip: Literal["auto"] | bool = "auto"
    cutout: Annotated[int, Field(ge=0)] = 0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    reduction: Literal["mean", "sum"] = "mean"
    # optimiser; None is PyTorch's own default
    optimizer: str = "adamw"
    lr: Literal["auto", "find"] | Annotated[float, Field(gt=0)] = "auto"
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    dampening: Annotated[float, Field(ge=0, le=1)] | None = None
    nesterov: bool | None = None
    betas: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] | None,
        Several(alone=False),
    ] = None
    eps: Annotated[float, Field(gt=0)] | None = None
    alpha: Annotated[float, Field(ge=0, lt=1)] | None = None
    weight_decay: Literal["auto"] | Annotated[float, Field(ge=0)] = "auto"
    clip: Annotated[float, Field(gt=0)] | None = None
    # number of epochs, learning-rate schedule, early stopping
    epochs: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    schedule: str = "one_cycle"
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    step_size: Annotated[int, Field(ge=1)] = 5
    warmup: Annotated[float, Field(ge=0)] = 0.0
    averaging: Literal["none", "ema", "mean"] = "none"
    average_decay: Annotated[float, Field(gt=0, lt=1)] = 0.999
    evaluate_every: EveryEpochs = Every(1, "epochs")
    patience: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    min_delta: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _optimizer(self) -> NetSettings:
        known(OPTIMIZERS, self.optimizer, "optimizer")
        known(SCHEDULES, self.schedule, "schedule")
        for key, takers in OPTIONS.items():
            given = getattr(self, key) not in (None, "auto", 0.0)
            if given and self.optimizer not in takers:
                raise ValueError(
                    f"{key} goes with optimizer {' or '.join(takers)}; {self.optimizer} has none"
                )
        if self.nesterov and (not self.momentum or self.dampening):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")
        return self

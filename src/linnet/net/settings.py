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
    uses directly. With ``min_delta`` the loop waits for the device once an epoch."""

    # layers
    widths: Sizes = "auto"
    """The widths of the hidden layers of ``mlp``; ``auto``: 512,256, for few rows 256,128."""
    channels: Sizes = "auto"
    """The channels of the convolutions of ``cnn``; ``auto``: 16,32,64, for colour 32,64,128 or
    more."""
    activation: Literal["auto"] | Activation = "auto"
    """The function between two layers; ``auto``: ``silu`` for tables, else ``relu``."""
    embedding: Literal["auto"] | Embedding = "auto"
    """What ``mlp`` sees of a column of numbers, beside the number: ``piecewise`` (a
    piecewise-linear function of it), ``periodic`` (waves), or ``none``; ``auto``: ``piecewise``
    below 10,000 training rows of a fit, else ``periodic``; ``none`` with more than 200 columns
    of numbers or with another ``scaling``."""
    embedding_size: Annotated[int, Field(ge=1)] = 8
    """The further inputs for each embedded column."""
    bins: Annotated[int, Field(ge=2, le=1_000)] = 24
    """For ``piecewise``: the bins of a column, with equally many training rows in each."""
    frequencies: Annotated[int, Field(ge=1)] = 24
    """For ``periodic``: the random frequencies of a column, each with a sine and a cosine."""
    sigma: Annotated[float, Field(gt=0)] = 0.5
    """For ``periodic``: the standard deviation of the frequencies, in periods for one standard
    deviation of the column."""
    dropout: Literal["auto"] | Annotated[float, Field(ge=0, lt=1)] = "auto"
    """The dropout rate; ``auto``: 0.3 for few rows, and for classes in tables below 10,000
    training rows, 0.5 for classes in larger tables; 0 for regression; 0.2 for pictures."""
    batch_norm: Literal["auto"] | bool = "auto"
    """Whether there are batch-norm layers; ``auto``: for ``cnn``."""
    recompute_norm: bool = False
    """At the end, compute the statistics of batch norm again, from all training rows."""
    precision: Literal["full", "bfloat16"] = "full"
    """The number format of matrix products; ``full`` is ``dtype``."""
    # batches
    batch_size: Literal["auto", "all"] | Annotated[int, Field(ge=1)] = "auto"
    """Rows of a batch; ``auto``: 16 to 128, by the number of rows."""
    shift: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"
    """Augmentation: the most pixels by which pictures are shifted; ``auto``: a 28th of the
    side, for colour an eighth."""
    flip: Literal["auto"] | bool = "auto"
    """Augmentation: mirror pictures at random; ``auto``: those in colour, if the training rows
    allow it."""
    cutout: Annotated[int, Field(ge=0)] = 0
    """Augmentation: the side of a square hole in pictures, in pixels."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of a target that is spread over all classes."""
    reduction: Literal["mean", "sum"] = "mean"
    """Whether the loss of a batch is the mean or the sum of its rows' losses."""
    # optimiser; None is PyTorch's own default
    optimizer: str = "adamw"
    """The rule that turns a gradient into a change of the weights: those of ``torch.optim``."""
    lr: Literal["auto", "find"] | Annotated[float, Field(gt=0)] = "auto"
    """The learning rate; ``find``: by a short trial; ``auto``: depends on the optimiser."""
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    """For ``sgd`` and ``rmsprop``. The default of this key and of those down to ``alpha`` is
    that of ``torch.optim``."""
    dampening: Annotated[float, Field(ge=0, le=1)] | None = None
    """For ``sgd``."""
    nesterov: bool | None = None
    """For ``sgd``."""
    betas: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] | None,
        Several(alone=False),
    ] = None
    """For ``adam``, ``adamw`` and ``adamax``."""
    eps: Annotated[float, Field(gt=0)] | None = None
    """For ``adam``, ``adamw``, ``adagrad``, ``adamax`` and ``rmsprop``."""
    alpha: Annotated[float, Field(ge=0, lt=1)] | None = None
    """For ``rmsprop``: the decay of its running average."""
    weight_decay: Literal["auto"] | Annotated[float, Field(ge=0)] = "auto"
    """Regularisation of the weights; ``auto``: for ``adamw`` 0.01, for few rows 1; else 0."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Clip the norm of the gradient to this."""
    # number of epochs, learning-rate schedule, early stopping
    epochs: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """The number of epochs; ``auto``: 12 to 200, by the number of rows."""
    schedule: str = "one_cycle"
    """The learning-rate schedule."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The factor of each decrease of the learning rate."""
    step_size: Annotated[int, Field(ge=1)] = 5
    """Epochs between two decreases."""
    warmup: Annotated[float, Field(ge=0)] = 0.0
    """Epochs of linear warm-up."""
    averaging: Literal["none", "ema", "mean"] = "none"
    """``ema`` of the weights, or their ``mean`` over the last quarter of the epochs."""
    average_decay: Annotated[float, Field(gt=0, lt=1)] = 0.999
    """The decay of ``ema`` per step."""
    evaluate_every: EveryEpochs = Every(1, "epochs")
    """Steps or epochs between evaluations on validation rows."""
    patience: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Early stopping: the number of evaluations in a row without a better validation loss;
    ``auto``: 10, for tables as many as ``epochs`` where the ``schedule`` falls to 0
    (``one_cycle``, ``cosine``). With ``folds`` there are no validation rows, and no early
    stopping."""
    min_delta: Annotated[float, Field(ge=0)] | None = None
    """Also stop if for more than ``patience`` epochs in a row the mean training loss, divided
    by the target's variance, has not fallen by this much."""

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

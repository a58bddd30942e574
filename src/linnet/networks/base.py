"""The contract of a network and of its specification."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from linnet.networks.scaling import Rescaling
from linnet.networks.specs import NetworkSpec

__all__ = ["Network", "NetworkSpec"]


class Network(nn.Module, ABC):
    """``x`` (rows, *inputs) in its original dtype -> ``raw`` (rows, outputs).

    Scaling is the first layer, so prediction uses the same scaling as training. A new network has
    zeros or ones as weights; ``start`` sets them. The class says what else linnet must know of the
    network: nothing elsewhere asks for a network by its name.
    """

    Spec: ClassVar[type[NetworkSpec]]
    title: ClassVar[str] = "the net"
    """What reports call it: "the perceptron"."""
    takes: ClassVar[Literal["any", "picture"]] = "any"
    """The examples that it can be given."""
    convex: ClassVar[bool] = False
    """Whether its fit has one optimum, which a certificate speaks of."""
    own: ClassVar[bool] = False
    """Whether it wraps a module of the user's own, which no file brings."""
    method: ClassVar[str] = "linnet.net.loop:begin"
    """How it is fitted: "module:function", which returns a ``Method``; see ``line/solve.py`` and
    ``net/loop.py`` for what such a function is given."""
    folded: ClassVar[str] = "linnet.net.folds:begin"
    """The same for a fit by folds of the training rows: see ``net/folds.py``."""
    defaults: ClassVar[Mapping[str, Any]] = {"batch_norm": False}
    """What "auto" means for it, by key of the recipe; other keys mean the same for all."""
    norm_rate: ClassVar[float] = 1.0
    """With batch norm the learning rate is by default this many times the optimiser's."""
    update: ClassVar[str | None] = None
    """A quicker way to the same step, "module:Class", where one is written."""
    captured: ClassVar[bool] = False
    """Whether a step on CUDA may be replayed as a graph: what it does never depends on the data."""
    weights: ClassVar[tuple[str, Literal["any", "picture"]] | None] = None
    """The tensor of its first layer, and on which examples its weights say something one by one."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        """Compute the scaling from the training rows ``x`` (and for regression from the targets
        ``y`` (rows, outputs)), weighted by ``weight`` (rows,); draw initial weights from
        ``generator``. It sets parameters and buffers alone: of several ranks the first does it, and
        sends them to the others."""

    @property
    def units(self) -> Tensor | None:
        """For regression the deviations of the targets (outputs,), in which a loss is minimised."""
        last = getattr(self, "rescaling", None)
        return last.factor if isinstance(last, Rescaling) else None

    @property
    def multiplications(self) -> float:
        """About how many multiplications the prediction of one row takes: by default, one for each
        weight."""
        return float(sum(weight.numel() for weight in self.parameters() if weight.dim() > 1))

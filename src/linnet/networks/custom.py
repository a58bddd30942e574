"""The user's own module, from Python: linnet scales its inputs and trains it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from linnet.core.language import marked
from linnet.data.coded import Coded
from linnet.errors import InputError
from linnet.networks.base import Network
from linnet.networks.scaling import Rescaling, Scaling
from linnet.networks.specs import NetworkSpec, Scale

WRAPPED = ("_orig_mod", "module")
"""Where ``torch.compile``'s and ``DataParallel``'s wrappers keep the module."""

PLAIN = (nn.Linear, nn.Bilinear, nn.BatchNorm1d, nn.LayerNorm, nn.PReLU)
"""Layers that use each weight about once for an example; their lazy forms are not among them."""


def unwrapped(module: nn.Module) -> nn.Module:
    """The module within the wrappers of ``torch.compile``, ``DataParallel`` and its like, which
    would put their own names before those of its parameters."""
    parts = getattr(module, "_modules", {})
    for name in WRAPPED:
        inner = parts.get(name)
        if len(parts) == 1 and isinstance(inner, nn.Module) and _wraps(module):
            return unwrapped(inner)
    return module


def _wraps(module: nn.Module) -> bool:
    """Whether a module is one of PyTorch's wrappers."""
    return any(
        kind.__module__.startswith(("torch._dynamo.", "torch.nn.parallel.", "torch.distributed."))
        for kind in type(module).__mro__
    )


class Custom(Network):
    """``scaling -> module``; for regression the outputs are then rescaled to the target's unit.

    ``module`` takes scaled examples in its own dtype, pictures as (rows, channels, height, width),
    and returns raw predictions (rows, outputs), without softmax or sigmoid. For two classes it may
    return two outputs; their difference is the logit. It keeps its own initial weights.

    A module that ``torch.compile`` or ``DataParallel`` has wrapped is computed as it is, and has
    the names of the module within, so that a file of one can be loaded by the other.
    """

    title = marked("your network")
    own = True

    class Spec(NetworkSpec):
        """The name of the module's class, for people only: nothing imports it."""

        scale: Scale
        rescale: bool
        module: str

    def __init__(self, spec: Custom.Spec, module: nn.Module) -> None:
        super().__init__(spec)
        if not isinstance(module, nn.Module):
            name = module.__name__ if isinstance(module, type) else f"a {type(module).__name__}"
            remedy = f"give an instance, {name}()" if isinstance(module, type) else "give one"
            raise InputError(f"network={name} is not an nn.Module; {remedy}")
        self.scaling = Scaling(spec.scale, spec.inputs)
        self.module = unwrapped(module)
        vars(self)["_computes"] = module  # no part of this one, so it adds no names
        self.rescaling = Rescaling(spec.outputs) if spec.rescale else nn.Identity()

    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        """Compute the scaling from the rows; the module stays as it is."""
        self.scaling.fit(x)
        if isinstance(self.rescaling, Rescaling) and y is not None:
            self.rescaling.fit(y, weight)

    def examples(self, x: Tensor) -> Tensor:
        """The input of the module: scaled, in its own dtype. It never shares the caller's memory,
        which an in-place operation would change."""
        dtypes = (p.dtype for p in self.module.parameters() if p.is_floating_point())
        scaled: Tensor = self.scaling(x)
        scaled = scaled.dense() if isinstance(scaled, Coded) else scaled
        scaled = scaled.to(next(dtypes, scaled.dtype))
        return scaled.clone() if scaled is x else scaled

    def forward(self, x: Tensor) -> Tensor:
        raw: Tensor = vars(self)["_computes"](self.examples(x))
        logit = self.spec.outputs == 1 and not isinstance(self.rescaling, Rescaling)
        if logit and raw.dim() == 2 and raw.shape[1] == 2:
            raw = raw[:, 1:] - raw[:, :1]
        rescaled: Tensor = self.rescaling(raw)
        return rescaled

    @property
    def multiplications(self) -> float:
        """Known where all weights are those of linear layers and norms; else without limit."""
        heavy = [one for one in self.module.modules() if any(True for _ in one.parameters(False))]
        if all(type(one) in PLAIN for one in heavy):
            return super().multiplications
        return math.inf

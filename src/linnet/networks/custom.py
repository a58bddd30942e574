"""A module of the user's own, from Python: linnet scales what goes in, and trains it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from linnet.errors import InputError
from linnet.networks.base import Network, NetworkSpec
from linnet.networks.scaling import Rescaling, Scale, Scaling


class Custom(Network):
    """``scaling -> module``; for regression the outputs are then rescaled as the target is.

    ``module`` takes scaled examples in its own dtype, pictures as (rows, channels, height, width),
    and returns raw predictions (rows, outputs): no softmax, no sigmoid. For two classes it may
    return two outputs; their difference is the one logit. Its initial weights are its own.
    """

    title = "your network"
    own = True

    class Spec(NetworkSpec):
        """The module's class is named, for people: no file can have it imported."""

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
        self.module = module
        self.rescaling = Rescaling(spec.outputs) if spec.rescale else nn.Identity()

    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        """Statistics from the rows; the module stays as it is."""
        self.scaling.fit(x)
        if isinstance(self.rescaling, Rescaling) and y is not None:
            self.rescaling.fit(y, weight)

    def examples(self, x: Tensor) -> Tensor:
        """What the module is given: scaled, in its own dtype, and never the caller's memory, which
        an operation in place would change."""
        dtypes = (p.dtype for p in self.module.parameters() if p.is_floating_point())
        scaled: Tensor = self.scaling(x)
        scaled = scaled.to(next(dtypes, scaled.dtype))
        return scaled.clone() if scaled is x else scaled

    def forward(self, x: Tensor) -> Tensor:
        raw: Tensor = self.module(self.examples(x))
        logit = self.spec.outputs == 1 and not isinstance(self.rescaling, Rescaling)
        if logit and raw.dim() == 2 and raw.shape[1] == 2:
            raw = raw[:, 1:] - raw[:, :1]
        rescaled: Tensor = self.rescaling(raw)
        return rescaled

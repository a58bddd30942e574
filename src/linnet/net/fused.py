"""SGD, Adam and AdamW on a CPU: PyTorch's fused kernels, called without ``torch.optim``.

The results have the same bits as those of ``torch.optim`` with ``fused=True``. This saves the
bookkeeping of ``torch.optim`` at every step, and at the first step a second, in which it imports
PyTorch's compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Fused:
    """An optimiser over ``param_groups``: dicts of "params" and options, as in ``torch.optim``.

    For SGD ``moments`` holds the momentum of each parameter; for Adam it holds the first moment,
    the second moment and the number of steps. A parameter without a gradient is not changed.
    """

    def __init__(self, kind: type[torch.optim.Optimizer], groups: list[dict[str, Any]]) -> None:
        self.param_groups = groups
        self.steps = 0
        self.moments: list[tuple[list[Tensor], ...]] = []
        sgd = kind is torch.optim.SGD
        for group in groups:
            every: list[nn.Parameter] = group["params"]
            if sgd:
                buffers = [torch.zeros_like(p) for p in every] if group["momentum"] else []
                self.moments.append((buffers,))
            else:
                first, second = ([torch.zeros_like(p) for p in every] for _ in range(2))
                self.moments.append((first, second, [torch.zeros(()) for _ in every]))
        self._adam: Callable[..., Any] | None = None
        if not sgd:
            self._adam = torch._fused_adamw_ if kind is torch.optim.AdamW else torch._fused_adam_

    def state_dict(self) -> dict[str, Any]:
        """The state that changes from step to step; the learning rate is not in it, as it is set
        before every step."""
        return {"steps": self.steps, "moments": [list(map(list, each)) for each in self.moments]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that ``state_dict()`` gave."""
        self.steps = state["steps"]
        for mine, given in zip(self.moments, state["moments"], strict=True):
            for here, there in zip(mine, given, strict=True):
                torch._foreach_copy_(here, there) if here else None

    @torch.no_grad()
    def step(self) -> None:
        """One update from the gradients of the parameters."""
        for group, moments in zip(self.param_groups, self.moments, strict=True):
            every = group["params"]
            gradients = [parameter.grad for parameter in every]
            if any(gradient is None for gradient in gradients):
                some = [i for i, gradient in enumerate(gradients) if gradient is not None]
                every, gradients = [every[i] for i in some], [gradients[i] for i in some]
                moments = tuple([each[i] for i in some] if each else each for each in moments)
            if not every:
                continue
            if self._adam is None:
                torch._fused_sgd_(
                    every,
                    gradients,
                    moments[0],
                    weight_decay=group["weight_decay"],
                    momentum=group["momentum"],
                    lr=group["lr"],
                    dampening=group["dampening"],
                    nesterov=group["nesterov"],
                    maximize=False,
                    is_first_step=not self.steps and group["momentum"] > 0,
                )
            else:
                torch._foreach_add_(moments[2], 1)
                self._adam(
                    every,
                    gradients,
                    moments[0],
                    moments[1],
                    [],
                    moments[2],
                    amsgrad=False,
                    lr=group["lr"],
                    beta1=group["betas"][0],
                    beta2=group["betas"][1],
                    weight_decay=group["weight_decay"],
                    eps=group["eps"],
                    maximize=False,
                )
        self.steps += 1

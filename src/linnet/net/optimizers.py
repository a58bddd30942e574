"""PyTorch's optimisers with the settings of a recipe; fused ones, where PyTorch has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from linnet.net import OPTIONS
from linnet.net.fused import Fused
from linnet.net.settings import NetSettings
from linnet.net.update import Optimizer


@dataclass(frozen=True)
class Choice:
    """An optimiser of ``torch.optim``: its class and its defaults in linnet."""

    name: str
    kind: type[torch.optim.Optimizer]
    lr: float
    weight_decay: float = 0.0
    defaults: dict[str, Any] | None = None
    """PyTorch's defaults, if PyTorch has a fused kernel; else None."""
    whole: bool = False
    """Whether each step should use all rows, because gradients of different batches mislead it."""

    def __call__(self, parameters: Iterable[nn.Parameter], settings: NetSettings) -> Optimizer:
        """The optimiser of the trainable parameters. Weight decay applies to weights, not to biases
        and norms. In the settings no "auto" or "find" is left."""
        assert isinstance(settings.lr, float) and isinstance(settings.weight_decay, float)
        every = [parameter for parameter in parameters if parameter.requires_grad]
        device = every[0].device
        takes = [key for key, takers in OPTIONS.items() if self.name in takers]
        given = {key: getattr(settings, key) for key in takes if key != "weight_decay"}
        options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        if self.kind is torch.optim.LBFGS:
            return torch.optim.LBFGS(every, settings.lr, line_search_fn="strong_wolfe")
        weights, others = ([p for p in every if (p.dim() > 1) == one] for one in (True, False))
        decay = settings.weight_decay
        groups: list[dict[str, Any]] = [{"params": every}]
        if "weight_decay" in takes:
            groups[0]["weight_decay"] = 0.0
        if decay:
            groups = [
                {"params": weights, "weight_decay": decay},
                {"params": others, "weight_decay": 0.0},
            ]
        groups = [group for group in groups if group["params"]]
        if self.defaults is not None and device.type == "cpu":
            return Fused(
                self.kind, [{"lr": settings.lr, **self.defaults, **options, **g} for g in groups]
            )
        options["lr"] = settings.lr
        if self.defaults is not None and device.type == "cuda":
            options |= {"fused": True, "lr": torch.tensor(settings.lr, device=device)}
            if self.kind is not torch.optim.SGD:
                options["capturable"] = True  # a CUDA graph of the step needs this
        return self.kind(groups, **options)


MOMENTS = {"betas": (0.9, 0.999), "eps": 1e-8}

sgd = Choice(
    "sgd", torch.optim.SGD, lr=0.1, defaults={"momentum": 0.0, "dampening": 0.0, "nesterov": False}
)
adam = Choice("adam", torch.optim.Adam, lr=2e-3, defaults=MOMENTS)
adamw = Choice("adamw", torch.optim.AdamW, lr=2e-3, weight_decay=0.01, defaults=MOMENTS)
adagrad = Choice("adagrad", torch.optim.Adagrad, lr=1e-2)
adamax = Choice("adamax", torch.optim.Adamax, lr=2e-3)
asgd = Choice("asgd", torch.optim.ASGD, lr=1e-2)
rmsprop = Choice("rmsprop", torch.optim.RMSprop, lr=1e-3)
rprop = Choice("rprop", torch.optim.Rprop, lr=1e-2, whole=True)
lbfgs = Choice("lbfgs", torch.optim.LBFGS, lr=1.0, whole=True)

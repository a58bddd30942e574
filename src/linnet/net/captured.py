"""The update on a CUDA device as a CUDA graph: recorded once, then replayed without Python."""

from __future__ import annotations

import torch
from torch import Tensor

from linnet.net.together import Rows
from linnet.net.update import Autograd

WARM_UP = 3
"""The number of ordinary updates before one is recorded; PyTorch's CUDA graphs need them."""


class Captured:
    """``Autograd`` on a CUDA device as a graph, for batches of ``size`` rows; batches of another
    size go to ``eager``.

    The operations of the network must not depend on the data, so only linnet's own networks are
    recorded. The learning rate is a tensor on the device. See PyTorch's notes on CUDA graphs.
    """

    def __init__(self, eager: Autograd, size: int) -> None:
        self.eager = eager
        self.size = size
        self.warm = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: tuple[Tensor, Tensor, Tensor | None] | None = None
        self.outputs: tuple[Tensor, Tensor, Rows] | None = None
        self.gradients: list[Tensor | None] = []

    def __call__(self, x: Tensor, y: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Rows]:
        if len(x) != self.size:
            return self.eager(x, y, weight)
        if self.warm < WARM_UP:
            return self._aside(x, y, weight)
        if self.graph is None:
            self._record(x, y, weight)
        assert self.graph is not None and self.inputs is not None and self.outputs is not None
        for place, value in zip(self.inputs, (x, y, weight), strict=True):
            if place is not None and value is not None:
                place.copy_(value)
        self.graph.replay()
        for parameter, gradient in zip(self.eager.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        shown, total, rows = self.outputs
        kept = rows.clone() if isinstance(rows, Tensor) else rows
        return shown.clone(), total.clone(), kept

    def _aside(self, x: Tensor, y: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Rows]:
        """An ordinary update, on a separate stream."""
        self.warm += 1
        stream = torch.cuda.Stream(x.device)
        stream.wait_stream(torch.cuda.current_stream(x.device))
        with torch.cuda.stream(stream):
            result = self.eager(x, y, weight)
        torch.cuda.current_stream(x.device).wait_stream(stream)
        return result

    def _record(self, x: Tensor, y: Tensor, weight: Tensor | None) -> None:
        """Record an update; recording computes nothing."""
        self.inputs = (x.clone(), y.clone(), None if weight is None else weight.clone())
        for parameter in self.eager.parameters:
            parameter.grad = None
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.outputs = self.eager(*self.inputs)
        self.gradients = [parameter.grad for parameter in self.eager.parameters]

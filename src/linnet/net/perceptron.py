"""The perceptron's update, written by hand: the same bits as autograd gives, without its overhead.

It applies the chain rule with the kernels that autograd itself calls, in the same order. The memory
of the gradients is allocated once. It serves only a plain perceptron on a CPU. An embedding of
numbers, a few small tensors before the first layer, is left to autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from linnet.data.coded import Coded
from linnet.net.fused import Fused
from linnet.net.together import Rows, Together
from linnet.net.update import Loss, Optimizer
from linnet.networks import first
from linnet.networks.mlp import MLP
from linnet.networks.scaling import Rescaling
from linnet.objectives.softmax import Softmax

aten = torch.ops.aten


@dataclass(frozen=True)
class Kernels:
    """The kernels of an activation. ``forward`` takes the input; ``backward`` takes the gradient
    and the input, or the output if ``by_output``."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]
    by_output: bool


KERNELS: dict[type[nn.Module], Kernels] = {
    nn.ReLU: Kernels(torch.relu_, lambda g, a: aten.threshold_backward(g, a, 0), True),
    nn.Tanh: Kernels(torch.tanh_, aten.tanh_backward, True),
    nn.Sigmoid: Kernels(torch.sigmoid_, aten.sigmoid_backward, True),
    nn.LeakyReLU: Kernels(
        lambda z: aten.leaky_relu(z, 0.01),
        lambda g, z: aten.leaky_relu_backward(g, z, 0.01, False),
        False,
    ),
    nn.GELU: Kernels(aten.gelu, aten.gelu_backward, False),
    nn.SiLU: Kernels(aten.silu, aten.silu_backward, False),
}


class Layer:
    """The tensors of a linear layer, shared with its module and updated in place."""

    __slots__ = ("bias", "bias_gradient", "transposed", "weight", "weight_gradient")

    def __init__(
        self, weight: Tensor, bias: Tensor, weight_gradient: Tensor, bias_gradient: Tensor
    ) -> None:
        self.weight, self.transposed, self.bias = weight, weight.t(), bias
        self.weight_gradient, self.bias_gradient = weight_gradient, bias_gradient

    def product(self, x: Tensor, added: Tensor | None) -> Tensor:
        """The outputs; ``Coded`` inputs are without those ``added``."""
        if isinstance(x, Coded):
            return first.product(self.weight, self.bias, x, added)
        return torch.addmm(self.bias, x, self.transposed)

    def differentiate(self, x: Tensor, g: Tensor, added: Tensor | None) -> None:
        """Write the gradients of weight and bias by that of the outputs ``g``."""
        if isinstance(x, Coded):
            first.gradient(x, g, self.weight_gradient, added)
        else:
            torch.mm(g.t(), x, out=self.weight_gradient)
        torch.sum(g, 0, out=self.bias_gradient)


class Perceptron:
    """The update of a plain perceptron by SGD, Adam or AdamW on a CPU."""

    together: Together | None = None

    def __init__(
        self,
        network: MLP,
        loss: Loss,
        optimizer: Fused,
        clip: float | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.network = network
        self.loss = loss
        self.clip = clip
        self.parameters = list(network.parameters())
        self.embedding = [] if network.embedding is None else list(network.embedding.parameters())
        self.layers = []
        for linear in [m for m in (*network.hidden, network.output) if isinstance(m, nn.Linear)]:
            weight, bias = linear.weight, linear.bias
            weight.grad, bias.grad = torch.zeros_like(weight), torch.zeros_like(bias)
            self.layers.append(Layer(weight.detach(), bias.detach(), weight.grad, bias.grad))
        self.kernels = [KERNELS[type(m)] for m in network.hidden if type(m) in KERNELS]
        self.keep = 1 - max([m.p for m in network.hidden if isinstance(m, nn.Dropout)], default=0.0)
        plain = loss.mean and loss.units is None and loss.objective
        self.codes = type(plain) is Softmax

    @staticmethod
    def suits(network: nn.Module, optimizer: Optimizer) -> bool:
        """Whether this update can be used: every layer has kernels here, and all layers train."""
        if type(network) is not MLP or not isinstance(optimizer, Fused):
            return False
        known = (nn.Linear, nn.Dropout, *KERNELS)
        plain = all(type(module) in known for module in network.hidden)
        return plain and all(p.requires_grad for p in network.parameters())

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Rows]:
        network, layers, keep = self.network, self.layers, self.keep
        a, embedded = self._inputs(x)
        added = None if embedded is None else embedded.detach()
        inputs, saved, masks = [a], [], []
        for layer, kernel in zip(layers, self.kernels, strict=False):
            z = layer.product(a, added)
            a = kernel.forward(z)
            saved.append(a if kernel.by_output else z)
            if keep < 1:
                if self.together is None:
                    mask = torch.empty_like(a).bernoulli_(keep).div_(keep)
                else:
                    mask = self.together.mask(a, keep)
                masks.append(mask)
                a = a * mask
            inputs.append(a)
        raw = torch.addmm(layers[-1].bias, a, layers[-1].transposed)
        if isinstance(network.rescaling, Rescaling):
            raw = network.rescaling(raw)
        shown, total, rows, g = self._differentiate(raw, y, weight)
        if isinstance(network.rescaling, Rescaling):
            g = g * network.rescaling.factor
        for index in range(len(layers) - 1, -1, -1):
            layer = layers[index]
            layer.differentiate(inputs[index], g, added)
            if index:
                g = torch.mm(g, layer.weight)
                if masks:
                    g = g * masks[index - 1]
                g = self.kernels[index - 1].backward(g, saved[index - 1])
            elif embedded is not None:
                embedded.backward(first.passed(inputs[0], g, layer.weight, embedded.shape[1]))
        sums: tuple[Tensor, Tensor, Rows] = shown, total, rows
        if self.together is not None:
            sums = self.together.add(self.parameters, sums)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        return sums

    def _inputs(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The inputs of the first layer, and those among them that are embedded, which autograd
        follows; ``Coded`` inputs are without these."""
        network = self.network
        a: Tensor = network.flatten(network.bounds(network.scaling(x)))
        if network.embedding is None:
            return a, None
        for parameter in self.embedding:
            parameter.grad = None
        with torch.enable_grad():
            embedded: Tensor = network.embedding(a)
        return (a if isinstance(a, Coded) else first.joined(a, embedded.detach())), embedded

    def _differentiate(
        self, raw: Tensor, y: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor, Rows, Tensor]:
        """The sums of ``Update``, and the gradient with respect to the raw predictions."""
        if self.codes and weight is None and y.dim() == 1:
            count = float(len(raw))
            log_p = torch.log_softmax(raw, 1)
            code = y[:, None]
            total = -log_p.gather(1, code).sum()
            g = torch.zeros_like(raw).scatter_(1, code, -1 / count)
            return total, total, count, aten._log_softmax_backward_data(g, log_p, 1, raw.dtype)
        with torch.enable_grad():
            leaf = raw.requires_grad_()
            shown, total, rows, goal = self.loss(leaf, y, weight)
            (g,) = torch.autograd.grad(goal, leaf)
        return shown, total, rows, g

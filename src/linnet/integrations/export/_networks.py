"""linnet's own networks as nodes of ONNX: from encoded rows to raw predictions.

Constants have the dtype of the network. The norms after linear layers and convolutions are folded
into their weights, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from linnet.integrations.export._encoder import Rows
from linnet.integrations.export._graph import Graph
from linnet.networks.base import Network
from linnet.networks.cnn import CNN
from linnet.networks.constant import Constant
from linnet.networks.embedding import Embedding, Periodic, Piecewise
from linnet.networks.linear import Linear
from linnet.networks.mean import Mean
from linnet.networks.mlp import MLP
from linnet.networks.scaling import Bounds, Rescaling, Scaling

Array = np.ndarray[Any, Any]


def raw(graph: Graph, network: Network, rows: Rows, dtype: str) -> str | None:
    """The raw predictions (rows, outputs) of a network in ``dtype``; None for a network that is not
    linnet's own."""
    if isinstance(network, Mean):
        return _mean(graph, network, rows, dtype)
    for kind, write in WRITTEN.items():
        if type(network) is kind:
            return write(graph, network, rows, dtype)
    return None


def _mean(graph: Graph, network: Mean, rows: Rows, dtype: str) -> str | None:
    total: str | None = None
    for member in network.each:
        made = raw(graph, member, rows, dtype)
        if made is None:
            return None
        total = made if total is None else graph.node("Add", total, made)
    assert total is not None
    return graph.node("Div", total, graph.constant(np.array(len(network.members), dtype)))


def _constant(graph: Graph, network: Constant, rows: Rows, dtype: str) -> str:
    shape = graph.node("Shape", rows.given, start=0, end=1)
    outputs = graph.constant(np.array([len(network.bias)], np.int64))
    bias = graph.constant(array(network.bias)[None])
    return graph.node("Expand", bias, graph.node("Concat", shape, outputs, axis=0))


def _linear(graph: Graph, network: Linear, rows: Rows, dtype: str) -> str:
    numbers = scaled(graph, network.scaling, rows, dtype)
    weight, bias = array(network.linear.weight), array(network.linear.bias)
    return affine(graph, rows, numbers, weight, bias, _ends(network.scaling, rows))


def _mlp(graph: Graph, network: MLP, rows: Rows, dtype: str) -> str:
    numbers = scaled(graph, network.scaling, rows, dtype)
    bounds = network.bounds if isinstance(network.bounds, Bounds) else None
    if bounds is not None and numbers is not None:
        low, high = (
            graph.constant(array(end).reshape(-1)[list(rows.places)][None])
            for end in (bounds.low, bounds.high)
        )
        numbers = graph.node("Min", graph.node("Max", numbers, low), high)
    added = None
    if network.embedding is not None:
        assert numbers is not None
        added = _embedded(graph, network.embedding, rows, numbers)
    layers = list(network.hidden)
    values: str | None = None
    while layers:
        linear = layers.pop(0)
        assert isinstance(linear, nn.Linear)
        norm = layers.pop(0) if layers and isinstance(layers[0], nn.BatchNorm1d) else None
        weight, bias = _folded(linear, norm)
        if values is None:
            ends = _ends(network.scaling, rows, bounds)
            values = affine(graph, rows, numbers, weight, bias, ends, added)
        else:
            values = _gemm(graph, values, weight, bias)
        values = activated(graph, layers.pop(0), values, dtype)
        if layers and not isinstance(layers[0], nn.Linear):
            layers.pop(0)  # dropout does nothing in evaluation
    assert values is not None
    return _output(graph, network, values)


def _cnn(graph: Graph, network: CNN, rows: Rows, dtype: str) -> str:
    x = scaled_pictures(graph, network.scaling, rows, dtype)
    layers, size = list(network.hidden), network.spec.inputs
    while layers:
        convolution = layers.pop(0)
        assert isinstance(convolution, nn.Conv2d)
        norm = layers.pop(0) if isinstance(layers[0], nn.BatchNorm2d) else None
        weight, bias = _folded(convolution, norm)
        x = _convolved(graph, x, weight, bias, size)
        x = graph.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        layers.pop(0)
        x = activated(graph, layers.pop(0), x, dtype)
        size = len(weight), size[1] // 2, size[2] // 2
    return _output(graph, network, graph.node("Flatten", x))


WRITTEN: dict[type[Network], Callable[..., str]] = {
    Constant: _constant, Linear: _linear, MLP: _mlp, CNN: _cnn,
}  # fmt: skip
"""How each network is written."""


def array(tensor: Tensor) -> Array:
    """The numbers of a tensor, in its dtype."""
    found: Array = tensor.detach().cpu().numpy()
    return found


# the first layers: scaling, ends, codes


def scaled(graph: Graph, scaling: Scaling, rows: Rows, dtype: str) -> str | None:
    """The numbers of encoded rows (rows, places) after ``scaling``; None if there are none."""
    if rows.numbers is None:
        return None
    places = list(rows.places)
    return _scaled(
        graph, scaling, rows.numbers, rows.dtype, dtype, lambda x: x.reshape(-1)[places][None]
    )


def scaled_pictures(graph: Graph, scaling: Scaling, rows: Rows, dtype: str) -> str:
    """Pictures (rows, channels, height, width), or rows, as they were given, after ``scaling``."""
    return _scaled(graph, scaling, rows.given, rows.dtype, dtype, lambda x: x[None])


def _scaled(
    graph: Graph,
    scaling: Scaling,
    value: str,
    given: str,
    dtype: str,
    shaped: Callable[[Array], Array],
) -> str:
    """``(x - shift) * factor``, computed as ``Scaling`` does: bytes in the dtype of the network,
    numbers in the wider of theirs and its own."""
    if scaling.scale == "none" or given == "uint8":
        value, given = graph.cast(value, dtype), dtype
    if scaling.scale == "none":
        return value
    wide = "float64" if "float64" in (given, dtype) else "float32"
    value = value if given == wide else graph.cast(value, wide)
    shift, factor = array(scaling.shift).astype(wide), array(scaling.factor).astype(wide)
    if scaling.scale == "standard":
        shift, factor = shaped(shift), shaped(factor)
    if shift.any():
        value = graph.node("Sub", value, graph.constant(shift))
    if (factor != 1).any():
        value = graph.node("Mul", value, graph.constant(factor))
    return value if wide == dtype else graph.cast(value, dtype)


Ends = tuple[Array, Array]
"""What each encoded column of a category is after scaling and bounds, where it is 0 and where it is
1: (width,) each, in float64."""


def _ends(scaling: Scaling, rows: Rows, bounds: Bounds | None = None) -> Ends | None:
    if rows.codes is None:
        return None
    shift = np.broadcast_to(array(scaling.shift).reshape(-1), rows.width).astype(float)
    factor = np.broadcast_to(array(scaling.factor).reshape(-1), rows.width).astype(float)
    zero, one = (0 - shift) * factor, (1 - shift) * factor
    if bounds is None:
        return zero, one
    low, high = array(bounds.low).astype(float), array(bounds.high).astype(float)
    return zero.clip(low, high), one.clip(low, high)


def affine(
    graph: Graph,
    rows: Rows,
    numbers: str | None,
    weight: Array,
    bias: Array,
    ends: Ends | None,
    added: str | None = None,
) -> str:
    """``x @ weight.T + bias`` of encoded rows: a product with their numbers and the inputs
    ``added``, and for their codes, rows of the transposed weight."""
    places = list(rows.places)
    columns = weight[:, [*places, *range(rows.width, weight.shape[1])]]
    table = None
    if rows.codes is not None and ends is not None:
        zero, one = ends
        hot = np.ones(rows.width, bool)
        hot[places] = False
        own = weight[:, : rows.width].astype(float)
        bias = (bias + own[:, hot] @ zero[hot]).astype(weight.dtype)
        table = np.zeros((rows.width + 1, len(weight)), weight.dtype)  # the last is of no category
        table[:-1][hot] = (own * (one - zero)).T[hot]
    parts = [part for part in (numbers, added) if part is not None]
    total = None
    if parts:
        total = _gemm(graph, graph.joined(parts), columns, bias)
    if table is not None and rows.codes is not None:
        some = graph.node("Gather", graph.constant(table), rows.codes, axis=0)
        axes = graph.constant(np.array([1], np.int64))
        some = graph.node("ReduceSum", some, axes, keepdims=0)
        total = graph.node("Add", some, total or graph.constant(bias[None]))
    assert total is not None
    return total


def _embedded(graph: Graph, embedding: Embedding, rows: Rows, numbers: str) -> str:
    """The additional inputs that an embedding makes of scaled numbers (rows, places)."""
    own = [rows.places.index(number) for number in embedding.spec.numbers]
    some = graph.chosen(numbers, own, len(rows.places))
    columns = graph.node("Transpose", some, perm=[1, 0])
    last = graph.constant(np.array([2], np.int64))
    columns = graph.node("Unsqueeze", columns, last)  # (columns, rows, 1)
    if isinstance(embedding, Piecewise):
        low, rate = (
            graph.constant(array(each)[:, None]) for each in (embedding.low, embedding.rate)
        )
        features = graph.node("Mul", graph.node("Sub", columns, low), rate)
        kind = array(embedding.low).dtype
        ends = (graph.constant(np.array(end, kind)) for end in (0, 1))
        features = graph.node("Clip", features, *ends)
    else:
        assert isinstance(embedding, Periodic)
        frequency = array(2 * math.pi * embedding.frequency)[:, None]
        angle = graph.node("Mul", columns, graph.constant(frequency))
        features = graph.node(
            "Concat", _cosine(graph, angle, frequency.dtype), graph.node("Sin", angle), axis=2
        )
    values = graph.node("MatMul", features, graph.constant(array(embedding.weight)))
    values = graph.node("Transpose", values, perm=[1, 0, 2])
    values = graph.node(
        "Reshape", values, graph.constant(np.array([-1, embedding.width], np.int64))
    )
    if isinstance(embedding, Periodic):
        values = graph.node("Add", values, graph.constant(array(embedding.bias)[None]))
        values = graph.node("Relu", values)
    return values


def _cosine(graph: Graph, angle: str, dtype: Any) -> str:
    """The cosine; in float64 the sine a quarter of a turn on, as older runtimes have no other."""
    if dtype == np.float32:
        return graph.node("Cos", angle)
    return graph.node("Sin", graph.node("Add", angle, graph.constant(np.array(math.pi / 2))))


# the other layers


def _folded(layer: nn.Linear | nn.Conv2d, norm: Any) -> tuple[Array, Array]:
    """Weight and bias of a layer, and of the norm behind it."""
    weight = array(layer.weight)
    if norm is None:
        assert layer.bias is not None
        return weight, array(layer.bias)
    mean, variance, scale, shift = (
        array(each).astype(float)
        for each in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    scale = scale / np.sqrt(variance + norm.eps)
    before = np.zeros(len(weight)) if layer.bias is None else array(layer.bias).astype(float)
    each = scale.reshape(-1, *[1] * (weight.ndim - 1))
    dtype = weight.dtype
    return (weight * each).astype(dtype), (shift + (before - mean) * scale).astype(dtype)


def _gemm(graph: Graph, values: str, weight: Array, bias: Array) -> str:
    """``values @ weight.T + bias``."""
    return graph.node("Gemm", values, graph.constant(weight), graph.constant(bias), transB=1)


def _output(graph: Graph, network: MLP | CNN, values: str) -> str:
    """The last layers: linear, and for numbers back to the unit of the target."""
    last = network.output
    values = _gemm(graph, values, array(last.weight), array(last.bias))
    return rescaled(graph, network.rescaling, values)


def rescaled(graph: Graph, rescaling: nn.Module, values: str) -> str:
    """Raw predictions in the unit of the target."""
    if not isinstance(rescaling, Rescaling):
        return values
    values = graph.node("Mul", values, graph.constant(array(rescaling.factor)[None]))
    return graph.node("Add", values, graph.constant(array(rescaling.shift)[None]))


def _convolved(graph: Graph, x: str, weight: Array, bias: Array, size: Sequence[int]) -> str:
    """A convolution of 3 x 3 of pictures of ``size`` (channels, height, width).

    In float64, for which runtimes have no convolution, it is a product: with the nine pictures that
    are the given one moved by a pixel, behind each other.
    """
    if weight.dtype == np.float32:
        given = graph.constant(weight), graph.constant(bias)
        return graph.node("Conv", x, *given, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    channels, height, width = size
    pads = graph.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    wide = graph.node("Pad", x, pads)
    axes = graph.constant(np.array([2, 3], np.int64))
    moved = []
    for down in range(3):
        for right in range(3):
            start = graph.constant(np.array([down, right], np.int64))
            end = graph.constant(np.array([down + height, right + width], np.int64))
            moved.append(graph.node("Slice", wide, start, end, axes))
    flat = graph.constant(np.array([0, 9 * channels, height * width], np.int64))
    columns = graph.node("Reshape", graph.joined(moved), flat)
    matrix = weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)
    made = graph.node("MatMul", graph.constant(matrix), columns)
    made = graph.node("Add", made, graph.constant(bias[:, None]))
    shape = graph.constant(np.array([0, len(weight), height, width], np.int64))
    return graph.node("Reshape", made, shape)


# activations


def activated(graph: Graph, activation: nn.Module, x: str, dtype: str) -> str:
    """An activation of linnet's table, of operators that runtimes have in both dtypes."""

    def number(value: float) -> str:
        return graph.constant(np.array(value, dtype))

    name = type(activation).__name__
    if name in ("ReLU", "Tanh", "Sigmoid"):
        return graph.node({"ReLU": "Relu"}.get(name, name), x)
    if isinstance(activation, nn.LeakyReLU):
        return graph.node("Max", x, graph.node("Mul", x, number(activation.negative_slope)))
    if name == "SELU":
        less = graph.node("Exp", graph.node("Min", x, number(0)))
        less = graph.node("Mul", graph.node("Sub", less, number(1)), number(ALPHA))
        more = graph.node("Add", graph.node("Max", x, number(0)), less)
        return graph.node("Mul", more, number(SCALE))
    if name == "SiLU":  # not by Sigmoid: onnxruntime to 1.30 fuses that, for float32 alone
        below = graph.node("Add", graph.node("Exp", graph.node("Neg", x)), number(1))
        return graph.node("Div", x, below)
    if name == "Softplus":
        small = graph.node("Exp", graph.node("Neg", graph.node("Abs", x)))
        small = graph.node("Log", graph.node("Add", small, number(1)))
        return graph.node("Add", graph.node("Max", x, number(0)), small)
    if name == "GELU":
        share = _erf(graph, graph.node("Mul", x, number(0.5**0.5)), dtype)
        share = graph.node("Mul", graph.node("Add", share, number(1)), number(0.5))
        return graph.node("Mul", x, share)
    assert name == "Identity"
    return x


def _erf(graph: Graph, x: str, dtype: str) -> str:
    """The error function. For float64, in which runtimes have none, it is the integral by the rule
    of Gauss and Legendre with ``NODES`` nodes, which is right to 1e-14."""
    if dtype == "float32":
        return graph.node("Erf", x)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    ends = (graph.constant(np.array(end)) for end in (-6.0, 6.0))  # beyond, it is 1
    x = graph.node("Clip", x, *ends)
    last = graph.constant(np.array([-1], np.int64))
    points = graph.node("Mul", graph.node("Unsqueeze", x, last), graph.constant((nodes + 1) / 2))
    heights = graph.node("Exp", graph.node("Neg", graph.node("Mul", points, points)))
    mean = graph.node("MatMul", heights, graph.constant(weights[:, None] / math.sqrt(math.pi)))
    return graph.node("Mul", x, graph.node("Squeeze", mean, last))


NODES = 24

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805
"""The constants of SELU: Klambauer et al. (2017)."""

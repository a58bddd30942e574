"""The forward computations of linnet's own networks in NumPy, for those who only predict.

All that depends on the weights alone is prepared once: batch norms and the rescaling of the outputs
are part of the linear layers beside them, a piecewise embedding is part of the first layer, and the
members of a ``Mean`` are stacked, so that each step is one product for all of them. So the sums are
rounded in another order than in PyTorch, in the same dtype; a line is computed in float64.
``tests/networks/test_in_numpy.py`` holds them against the modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from linnet.data.codes import Codes
from linnet.networks.shapes import Plan
from linnet.networks.specs import CNNSpec, LinearSpec, MLPSpec, PeriodicSpec, PiecewiseSpec

Array = np.ndarray[Any, Any]
Tensors = Mapping[str, Array]
Forward = Callable[[Any], Array]
"""Encoded rows, an array or ``Codes``, to raw predictions (rows, outputs) in float64."""

FEW = 16
"""So many rows are computed for all members of a mean at once, ..."""

BATCH = 256
"""... and more of them so many at a time, for one member after the other: they stay in a cache."""

MOST = 150_000_000
"""A convolutional net of more multiplications for a picture is left to PyTorch: it might take more
than 20 ms on one core, at 7.5 thousand million a second."""

FOLDED = 8
"""An embedding of at most this many bins for each of its inputs is part of the first layer."""

EPSILON = 1e-5
"""What PyTorch's batch norm adds to a variance."""


def beyond(plan: Plan) -> bool:
    """Whether a network is left to PyTorch, which is much quicker."""
    return isinstance(plan.member, CNNSpec) and multiplications(plan) > MOST


def forward(plan: Plan, tensors: Tensors) -> Forward:
    """The computation of a network."""
    parts = _members(plan, tensors)
    if getattr(plan.member, "scale", None) == "none":  # the module does not look at these, either
        for part in parts:
            part["scaling.shift"] = np.zeros_like(part["scaling.shift"])
            part["scaling.factor"] = np.ones_like(part["scaling.factor"])
    if isinstance(plan.member, MLPSpec):
        return Perceptron(plan.member, parts)
    if isinstance(plan.member, CNNSpec):
        return Convolutional(plan.member, parts)
    if isinstance(plan.member, LinearSpec):
        return Line(parts)
    return Constant(parts)


def _members(plan: Plan, tensors: Tensors) -> list[dict[str, Array]]:
    """The tensors of each member."""
    if plan.members is None:
        return [dict(tensors)]
    starts = [f"members.{number}." for number in range(plan.members)]
    return [
        {name.removeprefix(start): tensors[name] for name in tensors if name.startswith(start)}
        for start in starts
    ]


def multiplications(plan: Plan) -> int:
    """About how many multiplications one example takes."""
    total = 0
    for layer in plan.each:
        weight = layer.tensors.get("weight")
        if weight is not None and len(weight.shape) > 1:
            area = math.prod(layer.output[1:]) if layer.kind == "Conv2d" else 1
            total += math.prod(weight.shape) * area
    return total * (plan.members or 1)


class Constant:
    """The same for every row."""

    def __init__(self, members: Sequence[Tensors]) -> None:
        self._bias = np.mean([member["bias"].astype(np.float64) for member in members], 0)

    def __call__(self, x: Any) -> Array:
        return np.tile(self._bias, (len(x), 1))


class Line:
    """``(x - shift) @ weight + bias`` in float64: the mean of lines is a line."""

    def __init__(self, members: Sequence[Tensors]) -> None:
        each = [{key: value.astype(np.float64) for key, value in one.items()} for one in members]
        inputs = each[0]["linear.weight"].shape[1]
        shifts = [np.broadcast_to(one["scaling.shift"].reshape(-1), inputs) for one in each]
        self._shift: Array = np.mean(shifts, 0)
        weights, biases = [], []
        for one, shift in zip(each, shifts, strict=True):
            weight = one["linear.weight"].T * one["scaling.factor"].reshape(-1, 1)
            weights.append(weight)
            biases.append(one["linear.bias"] + (self._shift - shift) @ weight)
        self._weight: Array = np.mean(weights, 0)
        self._bias: Array = np.mean(biases, 0)
        # of rows with codes, which are not scaled
        plain = [one["linear.weight"].T for one in each]
        self._table = np.concatenate([np.mean(plain, 0), np.zeros((1, len(self._bias)))])

    def __call__(self, x: Any) -> Array:
        if isinstance(x, Codes):
            places = x.places
            raw: Array = (x.numbers - self._shift[places]) @ self._weight[places] + self._bias
            for codes in x.codes.T:
                raw += self._table[codes]
            return raw
        found: Array = (x.reshape(len(x), -1) - self._shift) @ self._weight + self._bias
        return found

    def terms(self, x: Any) -> Array:
        """What each encoded column adds to the raw predictions of the first row, (columns,
        outputs)."""
        if not isinstance(x, Codes):
            own: Array = (x[0].reshape(-1) - self._shift)[:, None] * self._weight
            return own
        found = np.zeros_like(self._table)
        found[x.places] = (x.numbers[0] - self._shift[x.places])[:, None] * self._weight[x.places]
        found[x.codes[0]] = self._table[x.codes[0]]
        return found[:-1]


class Inputs(NamedTuple):
    """How the inputs of a first layer come from encoded numbers: ``(x - shift) * factor``, from
    ``low`` to ``high``, in float64: (members, 1, inputs) each. Bounds are None where there are
    none. ``source`` (inputs,) are the numbers that they come from; None if it is each once."""

    source: Array | None
    shift: Array
    factor: Array
    low: Array | None
    high: Array | None

    def take(self, source: Array, kept: Array) -> Inputs:
        """The inputs ``kept``, from other places."""
        low = None if self.low is None else self.low[:, :, kept]
        high = None if self.high is None else self.high[:, :, kept]
        return Inputs(source, self.shift[:, :, kept], self.factor[:, :, kept], low, high)

    def of(self, x: Array, member: slice, dtype: Any) -> Array:
        """The inputs (members, rows, inputs) of encoded numbers (rows, numbers)."""
        values = (x if self.source is None else x.take(self.source, 1)) - self.shift[member]
        values *= self.factor[member]
        if self.low is not None and self.high is not None:
            np.maximum(values, self.low[member], out=values)
            np.minimum(values, self.high[member], out=values)
        found: Array = values.astype(dtype, copy=False)
        return found


class Perceptron:
    """Arrays are (members, rows, ...): a few rows are computed for all members at once, more of
    them for one member after the other, as one stays in a cache."""

    def __init__(self, spec: MLPSpec, members: Sequence[Tensors]) -> None:
        self._act = ACTIVATIONS[spec.activation]
        self._spec, self._members = spec, len(members)
        self._dtype = members[0]["output.weight"].dtype
        self._inputs = _scaled(spec, members)
        layers = [_stacked(layer) for layer in zip(*map(_linears, members), strict=True)]
        self._embedding: _Embedding | None = None
        if isinstance(spec.embedding, PiecewiseSpec) and spec.embedding.bins <= (
            FOLDED * spec.embedding.size
        ):
            self._inputs, layers[0] = _folded(spec.embedding, members, self._inputs, layers[0])
        elif spec.embedding is not None:
            self._embedding = _Embedding(spec.embedding, members)
        weight, bias = layers[-1]
        layers[-1] = weight / len(members), bias / len(members)
        self._layers = [tuple(part.astype(self._dtype) for part in layer) for layer in layers]
        self._bias = bias.sum(0).astype(self._dtype) / len(members)
        self._coded: _Coded | None = None

    def __call__(self, x: Any) -> Array:
        if isinstance(x, Codes):
            if self._spec.scale == "pixel":
                return self(x.dense())
            if self._coded is None:
                self._coded = _Coded(self._inputs, self._layers[0], self._spec, x)
        else:
            x = x.reshape(len(x), -1)
        with np.errstate(over="ignore", under="ignore"):
            if len(x) <= FEW:
                return self._part(x, slice(None)).astype(np.float64)
            raw = np.zeros((len(x), self._spec.outputs))
            for start in range(0, len(x), BATCH):
                rows = slice(start, start + BATCH)
                for member in range(self._members):
                    raw[rows] += self._part(x[rows], slice(member, member + 1))
        return raw

    def _part(self, x: Any, member: slice) -> Array:
        """The raw predictions (rows, outputs) of some members, divided by the number of all."""
        weight, bias = self._layers[0]
        coded = self._coded if isinstance(x, Codes) else None
        inputs, numbers = self._inputs, x
        if coded is not None:
            weight, bias, inputs, numbers = coded.weight, coded.bias, coded.inputs, x.numbers
        values = inputs.of(numbers, member, self._dtype)
        if self._embedding is not None:
            places = None if coded is None else coded.embedded
            values = np.concatenate([values, self._embedding(values, places, member)], 2)
        values = np.matmul(values, weight[member])
        values += bias[member]
        if coded is not None:
            for codes in x.codes.T:
                values += coded.table[member][:, codes]
        for weight, bias in self._layers[1:-1]:
            values = np.matmul(self._act(values), weight[member])
            values += bias[member]
        weight, bias = self._layers[-1]
        values = self._act(values)
        if len(values) == 1:
            found: Array = values[0] @ weight[member][0] + bias[member][0]
            return found
        joined = values.transpose(1, 0, 2).reshape(values.shape[1], -1)
        found = joined @ weight.reshape(-1, weight.shape[2]) + self._bias
        return found


def _scaled(spec: MLPSpec, members: Sequence[Tensors]) -> Inputs:
    """The scaled and bounded inputs."""

    def each(name: str) -> Array:
        return np.stack([one[name].astype(np.float64).reshape(1, -1) for one in members])

    ends = (each("bounds.low"), each("bounds.high")) if spec.scale == "standard" else (None, None)
    return Inputs(None, each("scaling.shift"), each("scaling.factor"), *ends)


class _Coded:
    """The first layer for coded rows: a code c adds ``table[:, c]`` (members, outputs)."""

    def __init__(self, inputs: Inputs, layer: tuple[Array, ...], spec: MLPSpec, x: Codes) -> None:
        weight, bias = layer
        members, every, outputs = weight.shape
        zero, one = np.zeros((members, x.width)), np.ones((members, x.width))
        if inputs.low is not None and inputs.high is not None:  # what 0 and 1 become
            ends = inputs.low[:, 0, : x.width], inputs.high[:, 0, : x.width]
            zero, one = (np.minimum(np.maximum(value, ends[0]), ends[1]) for value in (zero, one))
        coded = np.ones(x.width, bool)
        coded[x.places] = False
        own = np.where(coded[:, None], weight[:, : x.width], 0)
        self.bias = (bias + np.einsum("mw,mwo->mo", zero, own)[:, None]).astype(bias.dtype)
        steps = (own * (one - zero)[..., None]).astype(weight.dtype)
        self.table = np.concatenate([steps, np.zeros((members, 1, outputs), weight.dtype)], 1)
        kept = np.concatenate([x.places, np.arange(x.width, every)])
        self.weight = weight[:, kept]
        source = np.arange(len(x.places))
        if inputs.source is not None:
            behind = np.searchsorted(x.places, inputs.source[x.width :])
            source = np.concatenate([source, behind])
        wide = inputs.shift.shape[2] > 1
        self.inputs = inputs.take(source, kept[: len(source)]) if wide else inputs
        self.embedded = None
        if spec.embedding is not None:
            self.embedded = np.searchsorted(x.places, np.array(spec.embedding.numbers))


def _linears(member: Tensors) -> list[tuple[Array, Array]]:
    """The linear layers of a member in float64, (inputs, outputs) and (outputs,) each, with the
    norms behind them and, in the last one, the rescaling."""
    found = []
    for place in _hidden(member):
        weight = member[f"hidden.{place}.weight"].astype(np.float64).T
        scale, shift = _norm(member, place, weight.shape[1])
        found.append((weight * scale, shift))
    weight = member["output.weight"].astype(np.float64).T
    bias = member["output.bias"].astype(np.float64)
    if "rescaling.factor" in member:
        factor = member["rescaling.factor"].astype(np.float64)
        weight, bias = weight * factor, bias * factor + member["rescaling.shift"]
    return [*found, (weight, bias)]


def _hidden(member: Tensors) -> list[int]:
    """The places of the linear or convolutional layers."""
    places = [
        int(name.split(".")[1])
        for name, tensor in member.items()
        if name.startswith("hidden.") and name.endswith(".weight") and tensor.ndim > 1
    ]
    return sorted(places)


def _norm(member: Tensors, place: int, outputs: int) -> tuple[Array, Array]:
    """By what each output of a hidden layer is multiplied, and what is added then, (outputs,)."""
    if f"hidden.{place}.bias" in member:
        return np.ones(outputs), member[f"hidden.{place}.bias"].astype(np.float64)
    names = ("weight", "bias", "running_mean", "running_var")
    weight, bias, mean, variance = (
        member[f"hidden.{place + 1}.{name}"].astype(np.float64) for name in names
    )
    scale = weight / np.sqrt(variance + EPSILON)
    return scale, bias - mean * scale


def _stacked(layers: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """A layer of all members: (members, inputs, outputs) and (members, 1, outputs)."""
    return np.stack([weight for weight, _ in layers]), np.stack([bias[None] for _, bias in layers])


def _folded(
    spec: PiecewiseSpec, members: Sequence[Tensors], inputs: Inputs, layer: tuple[Array, Array]
) -> tuple[Inputs, tuple[Array, Array]]:
    """The features of a piecewise embedding as more inputs, and the first layer that takes them;
    those of bins that no member has are left out."""
    names = ("low", "rate", "weight")
    low, rate, weight = (
        np.stack([one[f"embedding.{name}"].astype(np.float64) for one in members]) for name in names
    )
    first, bias = layer
    plain = first.shape[1] - len(spec.numbers) * spec.size
    after = first[:, plain:].reshape(len(members), len(spec.numbers), spec.size, -1)
    joined = np.matmul(weight, after)  # (members, columns, bins, outputs)
    columns, bins = np.nonzero((rate != 0).any(0))
    folded = np.concatenate([first[:, :plain], joined[:, columns, bins]], 1)
    source = np.array(spec.numbers)[columns]
    begin, slope = (part[:, None, columns, bins] for part in (low, rate))
    shift, factor = inputs.shift[:, :, source], inputs.factor[:, :, source]
    assert inputs.low is not None and inputs.high is not None
    ends = [((end[:, :, source] - begin) * slope).clip(0, 1) for end in (inputs.low, inputs.high)]
    flat = factor == 0  # a number that says nothing is 0 when it is scaled
    shift = shift + np.divide(begin, factor, out=np.zeros_like(begin), where=~flat)
    level = ((0.0 - begin) * slope).clip(*ends) if len(columns) else begin
    more = shift, factor * slope, *(np.where(flat, level, end) for end in ends)
    own = inputs.shift, inputs.factor, inputs.low, inputs.high
    parts = [np.concatenate(pair, 2) for pair in zip(own, more, strict=True)]
    every = np.concatenate([np.arange(plain), source])
    return Inputs(every, *parts), (folded, bias)


class _Embedding:
    """The inputs that an embedding adds, (members, rows, columns * size)."""

    def __init__(self, spec: PiecewiseSpec | PeriodicSpec, members: Sequence[Tensors]) -> None:
        self._numbers = np.array(spec.numbers)
        self._periodic = isinstance(spec, PeriodicSpec)
        names = ("frequency", "bias") if self._periodic else ("low", "rate")
        self._one, self._two, self._weight = (
            np.stack([one[f"embedding.{name}"] for one in members]) for name in (*names, "weight")
        )

    def __call__(self, values: Array, numbers: Array | None, member: slice) -> Array:
        places = self._numbers if numbers is None else numbers
        one, two, weight = self._one[member], self._two[member], self._weight[member]
        each = values[:, :, places].transpose(0, 2, 1)[..., None]  # (members, columns, rows, 1)
        if self._periodic:
            angle = each * (2 * math.pi * one)[:, :, None]
            features = np.concatenate([np.cos(angle), np.sin(angle)], 3)
        else:
            features = ((each - one[:, :, None]) * two[:, :, None]).clip(0, 1)
        found: Array = np.matmul(features, weight).transpose(0, 2, 1, 3)
        found = found.reshape(*found.shape[:2], -1)
        return np.maximum(found + two[:, None], 0) if self._periodic else found


class Convolutional:
    """Pictures with channels last; a convolution is one product with all squares of 3 x 3."""

    def __init__(self, spec: CNNSpec, members: Sequence[Tensors]) -> None:
        self._spec = spec
        self._act = ACTIVATIONS[spec.activation]
        self._dtype = members[0]["output.weight"].dtype
        self._members = [self._prepared(member) for member in members]

    def _prepared(self, member: Tensors) -> tuple[Array, Array, list[tuple[Array, Array]]]:
        """The scaling (channels last), and the layers; the last one takes channels last."""
        spec = self._spec
        layers = []
        for place in _hidden(member):
            weight = member[f"hidden.{place}.weight"].astype(np.float64)
            scale, shift = _norm(member, place, len(weight))
            weight = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)) * scale
            layers.append((weight, shift))
        *_, (weight, bias) = _linears({k: v for k, v in member.items() if k[:6] != "hidden"})
        halved = [size >> len(spec.channels) for size in spec.inputs[1:]]
        weight = weight.reshape(spec.channels[-1], *halved, -1).transpose(1, 2, 0, 3)
        layers.append((weight.reshape(-1, weight.shape[-1]), bias))
        scaling = [
            one.transpose(1, 2, 0) if one.ndim == 3 else one
            for one in (member["scaling.shift"], member["scaling.factor"])
        ]
        narrow = [(each.astype(self._dtype), more.astype(self._dtype)) for each, more in layers]
        return scaling[0], scaling[1], narrow

    def __call__(self, x: Array) -> Array:
        raw = np.empty((len(x), self._spec.outputs))
        rows = max(1, BATCH // 16)
        with np.errstate(over="ignore", under="ignore"):
            for start in range(0, len(x), rows):
                some = x[start : start + rows].transpose(0, 2, 3, 1)
                each = [self._part(some, *member) for member in self._members]
                raw[start : start + rows] = np.mean(each, 0)
        return raw

    def _part(
        self, x: Array, shift: Array, factor: Array, layers: list[tuple[Array, Array]]
    ) -> Array:
        values = x if self._spec.scale == "none" else (x - shift) * factor
        values = values.astype(self._dtype, copy=False)
        for weight, bias in layers[:-1]:
            values = self._act(_pooled(_convolved(values, weight) + bias))
        weight, bias = layers[-1]
        return values.reshape(len(values), -1) @ weight + bias


def _convolved(x: Array, weight: Array) -> Array:
    """A convolution of 3 x 3 with zeros around pictures (rows, height, width, channels)."""
    rows, height, width, channels = x.shape
    wide = np.zeros((rows, height + 2, width + 2, channels), x.dtype)
    wide[:, 1:-1, 1:-1] = x
    squares = np.empty((rows, height, width, 9, channels), x.dtype)
    for place in range(9):
        top, left = divmod(place, 3)
        squares[:, :, :, place] = wide[:, top : top + height, left : left + width]
    found = squares.reshape(-1, 9 * channels) @ weight
    return found.reshape(rows, height, width, -1)


def _pooled(x: Array) -> Array:
    """The largest of each square of 2 x 2; an odd edge is left out."""
    height, width = (size // 2 * 2 for size in x.shape[1:3])
    tall = np.maximum(x[:, 0:height:2, :width], x[:, 1:height:2, :width])
    found: Array = np.maximum(tall[:, :, 0::2], tall[:, :, 1::2])
    return found


def _sigmoid(x: Array) -> Array:
    e = np.negative(x)
    np.exp(e, out=e)
    e += 1
    found: Array = np.reciprocal(e, out=e)
    return found


def _silu(x: Array) -> Array:
    e = np.negative(x)
    np.exp(e, out=e)
    e += 1
    found: Array = np.divide(x, e, out=e)
    return found


def _gelu(x: Array) -> Array:
    from scipy.special import erf  # NumPy has none

    found: Array = 0.5 * x * (1 + erf(x.astype(np.float64) / math.sqrt(2)))
    return found.astype(x.dtype)


def _selu(x: Array) -> Array:
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    found: Array = np.maximum(x, 0) * scale + np.expm1(np.minimum(x, 0)) * (alpha * scale)
    return found


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.maximum(x, 0.01 * x),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "selu": _selu,
    "gelu": _gelu,
    "silu": _silu,
    "softplus": lambda x: np.logaddexp(x, x.dtype.type(0)),
    "identity": lambda x: x,
}
"""The activations of ``linnet.networks.activations``."""

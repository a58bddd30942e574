"""The tensors and the layers of a network, from its specification alone, without PyTorch.

``tests/networks/test_in_numpy.py`` holds them against the modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

from linnet.errors import ModelError
from linnet.networks.specs import (
    MAX_PARAMETERS,
    CNNSpec,
    ConstantSpec,
    LinearSpec,
    MeanSpec,
    MLPSpec,
    NetworkSpec,
    PeriodicSpec,
    PiecewiseSpec,
)

SPECS: dict[str, type[NetworkSpec]] = {
    "constant": ConstantSpec,
    "linear": LinearSpec,
    "mlp": MLPSpec,
    "cnn": CNNSpec,
}
"""The networks that are known here, by name."""

MODULES = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "softplus": "Softplus",
    "identity": "Identity",
}
"""The class of each activation."""


class Tensor(NamedTuple):
    """``whole``: int64 in every network; else in its dtype. ``learnt``: a parameter, no buffer."""

    shape: tuple[int, ...]
    learnt: bool = True
    whole: bool = False


class Layer(NamedTuple):
    """A layer in the order of the computation, with its own ``tensors``; ``output`` is the shape
    for one example. A layer that is not ``named`` is the network itself."""

    name: str
    kind: str
    output: tuple[int, ...]
    tensors: dict[str, Tensor]
    named: bool = True


class Plan(NamedTuple):
    """What a specification means: the parsed one, for a mean that of a member and how many there
    are, and the layers of one."""

    spec: NetworkSpec
    member: NetworkSpec
    members: int | None
    each: tuple[Layer, ...]

    def layers(self) -> list[tuple[str, Layer]]:
        """All layers with the beginning of their names in the state."""
        if self.members is None:
            return [("", layer) for layer in self.each]
        return [
            (f"members.{number}.", layer) for number in range(self.members) for layer in self.each
        ]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by their names in the state."""
        return {
            f"{start}{layer.name}.{name}" if layer.named else f"{start}{name}": tensor
            for start, layer in self.layers()
            for name, tensor in layer.tensors.items()
        }

    def table(self) -> list[dict[str, Any]]:
        """The table of layers, as a manifest has it."""
        found = []
        for start, layer in self.layers():
            learnt = sum(prod(one.shape) for one in layer.tensors.values() if one.learnt)
            name = start + layer.name if layer.named else (start.rstrip(".") or layer.name)
            found.append(
                {
                    "name": name,
                    "kind": layer.kind,
                    "output": list(layer.output),
                    "parameters": learnt,
                    "trainable": learnt,
                }
            )
        return found


def plan(kind: str, spec: dict[str, Any], source: str) -> Plan | None:
    """What the specification of a network of this ``kind`` means; None if only a module can say it.

    Raises ``ModelError`` in the words of ``linnet.networks.build.build``.
    """
    if kind not in SPECS:
        return None
    if "members" in spec:
        return _mean(kind, spec, source)
    parsed = SPECS[kind].parse(spec, source, ModelError)
    found = Plan(parsed, parsed, None, tuple(LAYERS[kind](parsed)))
    size = sum(prod(tensor.shape) for tensor in found.tensors().values())
    if size > MAX_PARAMETERS:
        raise ModelError(f"{source}: {size:,} parameters; at most {MAX_PARAMETERS:,}")
    return found


def _mean(kind: str, spec: dict[str, Any], source: str) -> Plan | None:
    parsed = MeanSpec.parse(spec, source, ModelError)
    member = parsed.member
    check_member(parsed, source)
    found = plan(kind, member, source)
    return None if found is None else Plan(parsed, found.spec, parsed.members, found.each)


def check_member(parsed: MeanSpec, source: str) -> None:
    """Raise if the members of a mean do not fit to it."""
    member: dict[str, Any] = parsed.member
    for key, value in (("inputs", list(parsed.inputs)), ("outputs", parsed.outputs)):
        found = member.get(key)
        if (list(found) if isinstance(found, (list, tuple)) else found) != value:
            raise ModelError(f"{source}: its members have {key} {found}, and it has {value}")
    if "members" in member:
        raise ModelError(f"{source}: a member is a mean of networks itself")


def _constant(spec: ConstantSpec) -> Iterator[Layer]:
    yield Layer("constant", "Constant", (spec.outputs,), {"bias": Tensor((spec.outputs,))}, False)


def _scaling(spec: LinearSpec | MLPSpec | CNNSpec) -> Layer:
    shape = spec.inputs if spec.scale == "standard" else (1,)
    buffers = {name: Tensor(shape, learnt=False) for name in ("shift", "factor")}
    return Layer("scaling", "Scaling", spec.inputs, buffers)


def _affine(name: str, before: int, after: int, bias: bool = True) -> Layer:
    tensors = {"weight": Tensor((after, before)), **({"bias": Tensor((after,))} if bias else {})}
    return Layer(name, "Linear", (after,), tensors)


def _norm(name: str, kind: str, output: tuple[int, ...]) -> Layer:
    size = (output[0],)
    tensors = {name: Tensor(size) for name in ("weight", "bias")}
    tensors |= {name: Tensor(size, learnt=False) for name in ("running_mean", "running_var")}
    tensors["num_batches_tracked"] = Tensor((), learnt=False, whole=True)
    return Layer(name, kind, output, tensors)


def _last(spec: MLPSpec | CNNSpec, before: int) -> Iterator[Layer]:
    yield _affine("output", before, spec.outputs)
    size = (spec.outputs,)
    buffers = {name: Tensor(size, learnt=False) for name in ("shift", "factor")}
    kind = "Rescaling" if spec.rescale else "Identity"
    yield Layer("rescaling", kind, size, buffers if spec.rescale else {})


def _linear(spec: LinearSpec) -> Iterator[Layer]:
    yield _scaling(spec)
    yield Layer("flatten", "Flatten", (prod(spec.inputs),), {})
    yield _affine("linear", prod(spec.inputs), spec.outputs)


def width(spec: PiecewiseSpec | PeriodicSpec | None) -> int:
    """How many inputs an embedding adds."""
    return 0 if spec is None else len(spec.numbers) * spec.size


def _embedding(spec: PiecewiseSpec | PeriodicSpec) -> Layer:
    columns = len(spec.numbers)
    if isinstance(spec, PiecewiseSpec):
        tensors = {"weight": Tensor((columns, spec.bins, spec.size))}
        tensors |= {name: Tensor((columns, spec.bins), learnt=False) for name in ("low", "rate")}
        return Layer("embedding", "Piecewise", (width(spec),), tensors)
    tensors = {
        "weight": Tensor((columns, 2 * spec.frequencies, spec.size)),
        "frequency": Tensor((columns, spec.frequencies)),
        "bias": Tensor((width(spec),)),
    }
    return Layer("embedding", "Periodic", (width(spec),), tensors)


def _mlp(spec: MLPSpec) -> Iterator[Layer]:
    yield _scaling(spec)
    ends = {name: Tensor(spec.inputs, learnt=False) for name in ("low", "high")}
    bounded = spec.scale == "standard"
    yield Layer("bounds", "Bounds" if bounded else "Identity", spec.inputs, ends if bounded else {})
    yield Layer("flatten", "Flatten", (prod(spec.inputs),), {})
    if spec.embedding is not None:
        yield _embedding(spec.embedding)
    place = 0
    widths = (prod(spec.inputs) + width(spec.embedding), *spec.widths)
    for before, after in pairwise(widths):
        yield _affine(f"hidden.{place}", before, after, not spec.batch_norm)
        place += 1
        if spec.batch_norm:
            yield _norm(f"hidden.{place}", "BatchNorm1d", (after,))
            place += 1
        yield Layer(f"hidden.{place}", MODULES[spec.activation], (after,), {})
        place += 1
        if spec.dropout:
            yield Layer(f"hidden.{place}", dropout(spec), (after,), {})
            place += 1
    yield from _last(spec, widths[-1])


def dropout(spec: MLPSpec | CNNSpec) -> str:
    """The class of a dropout that suits the activation."""
    return "AlphaDropout" if spec.activation == "selu" else "Dropout"


def _cnn(spec: CNNSpec) -> Iterator[Layer]:
    yield _scaling(spec)
    colours, tall, wide = spec.inputs
    place = 0
    for before, after in pairwise((colours, *spec.channels)):
        tensors = {"weight": Tensor((after, before, 3, 3))}
        tensors |= {} if spec.batch_norm else {"bias": Tensor((after,))}
        yield Layer(f"hidden.{place}", "Conv2d", (after, tall, wide), tensors)
        place += 1
        if spec.batch_norm:
            yield _norm(f"hidden.{place}", "BatchNorm2d", (after, tall, wide))
            place += 1
        tall, wide = tall // 2, wide // 2
        yield Layer(f"hidden.{place}", "MaxPool2d", (after, tall, wide), {})
        yield Layer(f"hidden.{place + 1}", MODULES[spec.activation], (after, tall, wide), {})
        place += 2
    features = spec.channels[-1] * tall * wide
    yield Layer("flatten", "Flatten", (features,), {})
    yield Layer("dropout", dropout(spec) if spec.dropout else "Identity", (features,), {})
    yield from _last(spec, features)


LAYERS: dict[str, Callable[[Any], Iterator[Layer]]] = {
    "constant": _constant,
    "linear": _linear,
    "mlp": _mlp,
    "cnn": _cnn,
}

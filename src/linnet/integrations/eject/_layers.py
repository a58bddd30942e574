"""A network in three styles: raw tensors, a class, ``nn.Sequential``.

Each style defines ``state``, a dict of all tensors that shares their memory, and ``parameters``,
the weights and biases, in the order of ``linnet.networks``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, Literal

from linnet.integrations.eject._text import WIDTH, code, commas, spread
from linnet.networks.activations import ACTIVATIONS
from linnet.networks.embedding import NARROW

Style = Literal["tensors", "module", "sequential"]

FUNCTIONS = {
    "relu": "F.relu({})",
    "leaky_relu": "F.leaky_relu({})",
    "tanh": "torch.tanh({})",
    "sigmoid": "torch.sigmoid({})",
    "selu": "F.selu({})",
    "gelu": "F.gelu({})",
    "silu": "F.silu({})",
    "softplus": "F.softplus({})",
    "identity": "{}",
}
"""Each activation as a call."""


@dataclass(frozen=True)
class Layer:
    """A layer with weights; ``run`` is its name in the run's file."""

    kind: Literal["linear", "conv", "norm"]
    number: int
    run: str
    sizes: tuple[int, ...]
    bias: bool = True

    @property
    def name(self) -> str:
        return f"{self.kind}{self.number}"

    def make(self, net: Plan) -> str:
        """The code that makes its module."""
        if self.kind == "norm":
            return f"nn.BatchNorm{'2d' if net.kind == 'cnn' else '1d'}({commas(self.sizes)})"
        bias = "" if self.bias else ", bias=False"
        if self.kind == "conv":
            return f"nn.Conv2d({commas(self.sizes)}, 3, padding=1{bias})"
        return f"nn.Linear({commas(self.sizes)}{bias})"


@dataclass(frozen=True)
class Embedded:
    """An embedding of numbers before the first layer, by the values of its specification."""

    spec: Mapping[str, Any]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of what is learnt, in the order of ``linnet.networks.embedding``."""
        return ("weight",) if self.spec["kind"] == "piecewise" else ("weight", "frequency", "bias")

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of all tensors."""
        buffers = ("low", "rate") if self.spec["kind"] == "piecewise" else ()
        return (*self.parameters, *buffers)

    @property
    def width(self) -> int:
        """How many inputs it adds."""
        return len(self.spec["numbers"]) * int(self.spec["size"])

    def shape(self, tensor: str) -> tuple[int, ...]:
        columns, size = len(self.spec["numbers"]), self.spec["size"]
        piecewise = self.spec["kind"] == "piecewise"
        features = self.spec["bins"] if piecewise else 2 * self.spec["frequencies"]
        if tensor == "weight":
            return columns, features, size
        if tensor == "bias":
            return (columns * size,)
        return columns, self.spec["bins"] if piecewise else self.spec["frequencies"]


@dataclass(frozen=True)
class Plan:
    """The layers of a network in order, and the operations between them."""

    kind: Literal["linear", "mlp", "cnn"]
    layers: tuple[Layer, ...]
    activation: str = "identity"
    dropout: float = 0.0
    norm: bool = False
    embedding: Embedded | None = None

    @property
    def draws(self) -> bool:
        """Whether a step draws random numbers."""
        return self.dropout > 0

    @property
    def modes(self) -> bool:
        """Whether training differs from evaluation."""
        return self.draws or self.norm


def plan(kind: str, spec: Mapping[str, Any]) -> Plan:
    """The plan of one of linnet's own networks."""
    inputs, outputs = spec["inputs"], spec["outputs"]
    if kind == "linear":
        return Plan("linear", (Layer("linear", 1, "linear", (prod(inputs), outputs)),))
    norm, layers, place, embedding = spec["batch_norm"], [], 0, None
    if kind == "mlp":
        about = spec.get("embedding")
        embedding = None if about is None else Embedded(about)
        added = 0 if embedding is None else embedding.width
        sizes = (prod(inputs) + added, *spec["widths"])
        step = 2 + norm + bool(spec["dropout"])
        first: Literal["linear", "conv"] = "linear"
    else:
        sizes, step, first = (inputs[0], *spec["channels"]), 3 + norm, "conv"
    for number, (before, after) in enumerate(pairwise(sizes), start=1):
        layers.append(Layer(first, number, f"hidden.{place}", (before, after), not norm))
        if norm:
            layers.append(Layer("norm", number, f"hidden.{place + 1}", (after,)))
        place += step
    last = sizes[-1]
    if kind == "cnn":
        halved = 2 ** len(spec["channels"])
        last *= (inputs[1] // halved) * (inputs[2] // halved)
    number = len(sizes) if kind == "mlp" else 1
    layers.append(Layer("linear", number, "output", (last, outputs)))
    return Plan("mlp" if kind == "mlp" else "cnn", tuple(layers), spec["activation"],
                spec["dropout"], norm, embedding)  # fmt: skip


def written(net: Plan, style: Style) -> str:
    """The code of the network, of ``state`` and of ``parameters``."""
    made = {"tensors": _tensors, "module": _module, "sequential": _sequential}[style](net)
    return made if net.embedding is None else f"{_embedding(net.embedding, style)}\n\n\n{made}"


def _numbers(numbers: Sequence[int]) -> str:
    """The code of the columns of numbers."""
    first, last = numbers[0], numbers[-1]
    if list(numbers) == list(range(first, last + 1)):
        return f"NUMBERS = torch.arange({first}, {last + 1})"
    start, body = "NUMBERS = torch.tensor(", f"[{commas(numbers)}]"
    if len(start) + len(body) < WIDTH:
        return f"{start}{body})"
    if len(body) > WIDTH - 4:
        body = "[\n" + "".join(f"        {number},\n" for number in numbers) + "    ]"
    return f"{start}\n    {body}\n)"


def _embedding(embedding: Embedded, style: Style) -> str:
    """The code of an embedding: a function, and for modules a class that holds its tensors."""
    if embedding.spec["kind"] == "piecewise":
        about, more = "a piecewise-linear function of it", ""
        features = "features = ((numbers - low[:, None]) * rate[:, None]).clamp(0, 1)"
    else:
        about, more = "waves of it, then linear and ReLU", "values = torch.relu(values + bias)"
        features = (
            "angle = numbers * (2 * math.pi * frequency)[:, None]\n"
            "features = torch.cat([angle.cos(), angle.sin()], 2)"
        )
    function = code(
        '''
        $numbers


        def embedded(x, $tensors):
            """Behind the inputs, for each number of NUMBERS $about."""
            numbers = x.index_select(1, NUMBERS).T[:, :, None]
            $features
            values = torch.bmm(features, weight).transpose(0, 1).flatten(1)
            $more
            return torch.cat([x, values], 1)
        ''',
        tensors=", ".join(embedding.tensors), about=about, features=features, more=more,
        numbers=_numbers(embedding.spec["numbers"]),
    )  # fmt: skip
    if style == "tensors":
        return function
    made = [
        f"self.{name} = nn.Parameter(torch.zeros({commas(embedding.shape(name))}))"
        if name in embedding.parameters
        else f'self.register_buffer("{name}", torch.zeros({commas(embedding.shape(name))}))'
        for name in embedding.tensors
    ]
    module = code(
        """
        class Embedding(nn.Module):
            def __init__(self):
                super().__init__()
                $made

            def forward(self, x):
                return embedded(x, $given)
        """,
        made="\n".join(made),
        given=", ".join(f"self.{name}" for name in embedding.tensors),
    )
    return f"{function}\n\n\n{module}"


def names(net: Plan, style: Style) -> dict[str, str]:
    """The name in the run's file of each tensor in ``state``."""
    found = {}
    if net.embedding is not None:
        prefix = {"tensors": "e_", "module": "embedding.", "sequential": "0."}[style]
        found = {f"{prefix}{name}": f"embedding.{name}" for name in net.embedding.tensors}
    for index, layer in enumerate(net.layers):
        parts = ["weight", "bias"] if layer.bias else ["weight"]
        parts += ["running_mean", "running_var"] if layer.kind == "norm" else []
        for part in parts:
            found[_named(net, style, index, part)] = f"{layer.run}.{part}"
    return found


def _named(net: Plan, style: Style, index: int, part: str) -> str:
    layer = net.layers[index]
    if style == "tensors":
        return _tensor(layer, part)
    if style == "module":
        return f"{layer.name}.{part}"
    return f"{_places(net)[index]}.{part}"


def _tensor(layer: Layer, part: str) -> str:
    """The name of a tensor: w1, b1; for convolutions c1, d1; for norms g1, h1, m1, v1."""
    letters = {
        "linear": {"weight": "w", "bias": "b"},
        "conv": {"weight": "c", "bias": "d"},
        "norm": {"weight": "g", "bias": "h", "running_mean": "m", "running_var": "v"},
    }[layer.kind]
    return f"{letters[part]}{layer.number}"


def _steps(net: Plan, style: Style) -> list[tuple[int | None, str]]:
    """The operations on ``x`` in order: (number of a layer or None, code)."""
    steps: list[tuple[int | None, str]] = []
    inside = style == "sequential"
    final = len(net.layers) - 1
    if net.embedding is not None:
        given = ", ".join(f"e_{name}" for name in net.embedding.tensors)
        calls = {"tensors": f"embedded(x, {given})", "module": "self.embedding(x)"}
        steps.append((None, calls.get(style, "Embedding()")))
    for index, layer in enumerate(net.layers):
        if net.kind == "cnn" and index == final:
            steps.append((None, "nn.Flatten()" if inside else "x.flatten(1)"))
            if net.dropout:
                steps.append((None, _dropped(net, style)))
        steps.append((index, ""))
        if index == final or (net.norm and layer.kind != "norm"):
            continue
        if net.kind == "cnn":
            steps.append((None, "nn.MaxPool2d(2)" if inside else "F.max_pool2d(x, 2)"))
        if net.activation != "identity":
            activation = f"nn.{ACTIVATIONS[net.activation].module.__name__}()"
            steps.append((None, activation if inside else FUNCTIONS[net.activation].format("x")))
        if net.kind == "mlp" and net.dropout:
            steps.append((None, _dropped(net, style)))
    return steps


def _dropped(net: Plan, style: Style) -> str:
    kind = ACTIVATIONS[net.activation].dropout.__name__
    if style == "sequential":
        return f"nn.{kind}({net.dropout!r})"
    call = "F.alpha_dropout" if kind == "AlphaDropout" else "F.dropout"
    return f"{call}(x, {net.dropout!r}, {'self.' if style == 'module' else ''}training)"


def _places(net: Plan) -> dict[int, int]:
    """The position of each layer in the ``nn.Sequential``."""
    steps = _steps(net, "sequential")
    return {index: place for place, (index, _) in enumerate(steps) if index is not None}


def _tensors(net: Plan) -> str:
    made, calls, parameters, state = [], [], [], []
    if net.embedding is not None:
        for name in net.embedding.tensors:
            made.append(f"e_{name} = torch.zeros({commas(net.embedding.shape(name))})")
        state += [f"e_{name}" for name in net.embedding.tensors]
        parameters += [f"e_{name}" for name in net.embedding.parameters]
    for layer in net.layers:
        weight, bias = _tensor(layer, "weight"), _tensor(layer, "bias")
        if layer.kind == "norm":
            mean, variance = _tensor(layer, "running_mean"), _tensor(layer, "running_var")
            (width,) = layer.sizes
            made.append(f"{weight}, {bias} = torch.ones({width}), torch.zeros({width})")
            made.append(f"{mean}, {variance} = torch.zeros({width}), torch.ones({width})")
            state += [weight, bias, mean, variance]
            parameters += [weight, bias]
            continue
        before, after = layer.sizes
        if layer.kind == "conv":
            made.append(
                f"{weight} = torch.empty({after}, {before}, 3, 3)"
                ".to(memory_format=torch.channels_last)"
            )
        else:
            made.append(f"{weight} = torch.empty({after}, {before})")
        if layer.bias:
            made.append(f"{bias} = torch.zeros({after})")
        state += [weight, *([bias] if layer.bias else [])]
        parameters += [weight, *([bias] if layer.bias else [])]
    for index, step in _steps(net, "tensors"):
        if index is None:
            calls.append(f"x = {step}")
            continue
        layer = net.layers[index]
        weight, bias = _tensor(layer, "weight"), _tensor(layer, "bias")
        if layer.kind == "norm":
            mean, variance = _tensor(layer, "running_mean"), _tensor(layer, "running_var")
            calls.append(f"x = F.batch_norm(x, {mean}, {variance}, {weight}, {bias}, training)")
        elif layer.kind == "conv":
            given = bias if layer.bias else "None"
            calls.append(f"x = F.conv2d(x, {weight}, {given}, padding=1)")
        else:
            given = f", {bias}" if layer.bias else ""
            calls.append(f"x = F.linear(x, {weight}{given})")
    calls[-1] = calls[-1].replace("x = ", "return ", 1)
    argument = ", training=False" if net.modes else ""
    held = [f'"{name}": {name}.detach()' for name in state]
    return code(
        """
        # the network; F.linear(x, w, b) is x @ w.T + b

        $made
        $parameters
        for parameter in parameters:
            parameter.requires_grad_()
        $state


        def model(x$argument):
            $calls
        """,
        made="\n".join(made),
        state=spread("state = {", held, "}  # shares their memory"),
        parameters=spread("parameters = [", parameters, "]"),
        argument=argument,
        calls="\n".join(calls),
    )


def _module(net: Plan) -> str:
    made = ["self.embedding = Embedding()"] * (net.embedding is not None)
    made += [f"self.{layer.name} = {layer.make(net)}" for layer in net.layers]
    calls = []
    for index, step in _steps(net, "module"):
        if index is None:
            calls.append(f"x = {step}")
        else:
            calls.append(f"x = self.{net.layers[index].name}(x)")
    calls[-1] = calls[-1].replace("x = ", "return ", 1)
    name = {"linear": "Line", "mlp": "Perceptron", "cnn": "CNN"}[net.kind]
    return code(
        """
        # the network


        class $name(nn.Module):
            def __init__(self):
                super().__init__()
                $made

            def forward(self, x):
                $calls


        model = $name()$last
        state = model.state_dict()  # shares the model's memory
        parameters = list(model.parameters())
        """,
        name=name,
        last=_last(net),
        made="\n".join(made),
        calls="\n".join(calls),
    )


def _sequential(net: Plan) -> str:
    made = [
        step if index is None else net.layers[index].make(net)
        for index, step in _steps(net, "sequential")
    ]
    return code(
        """
        # the network

        model = nn.Sequential(
            $made
        )$last
        state = model.state_dict()  # shares the model's memory
        parameters = list(model.parameters())
        """,
        made="\n".join(f"{each}," for each in made),
        last=_last(net),
    )


def _last(net: Plan) -> str:
    """The code that puts channels last in memory, which is quicker on a CPU."""
    return ".to(memory_format=torch.channels_last)" if net.kind == "cnn" else ""


def drawn(net: Plan, style: Style, *, wide: bool) -> str:
    """The code that draws the initial weights; ``wide``: of a net in float64."""
    hidden = [
        _weight(net, style, index)
        for index, layer in enumerate(net.layers[:-1])
        if layer.kind != "norm"
    ]
    biases = [
        _weight(net, style, index, "bias")
        for index, layer in enumerate(net.layers)
        if layer.bias and layer.kind != "norm"
    ]
    activation = ACTIVATIONS[net.activation]
    first = "# in float32, so that a net in float64 begins from the same weights\n" * wide
    first += "draw = torch.empty_like(weight, dtype=torch.float32)\n" * wide
    name = "draw" if wide else "weight"
    if activation.fan == "in":
        about = "He et al. (2015): signals keep their size"
        draw = f'{first}nn.init.kaiming_normal_({name}, nonlinearity="linear", generator=draws)'
        draw += f"\n{name} *= {activation.gain!r}" if activation.gain != 1 else ""
    else:
        about = "Glorot and Bengio (2010): signals keep their size"
        draw = f"{first}nn.init.xavier_normal_({name}, {activation.gain!r}, generator=draws)"
    draw += "\nweight.copy_(draw)" * wide
    last = _weight(net, style, len(net.layers) - 1)
    final = f"nn.init.xavier_normal_({last}, generator=draws)"
    if wide:
        final = f"draw = torch.empty_like({last}, dtype=torch.float32)\n"
        final += f"{last}.copy_(nn.init.xavier_normal_(draw, generator=draws))"
    if net.embedding is not None:
        begin = _weight(net, style, 0)
        zeros = spread("for bias in [", biases, "]:", 4)
        return _drawn_embedded(net, style, about, draw, final, [begin, *hidden[1:]], zeros)
    return code(
        """
        # initial weights, a function of SEED; $about

        draws = generator("weights", "$kind")
        with torch.no_grad():
            $hidden
                $draw
            $final
            $biases
                bias.zero_()
        """,
        about=about,
        kind=net.kind,
        hidden=spread("for weight in [", hidden, "]:", 4),
        biases=spread("for bias in [", biases, "]:", 4),
        draw=draw,
        final=final,
    )


def _drawn_embedded(
    net: Plan, style: Style, about: str, draw: str, final: str, hidden: list[str], biases: str
) -> str:
    """The code of ``drawn`` for a net with an embedding: the first layer's columns of what it adds
    are drawn last, as a matrix of their own."""
    embedding = net.embedding
    assert embedding is not None
    before, after = net.layers[0].sizes
    words = {run.split(".")[1]: here for here, run in names(net, style).items()
             if run.startswith("embedding.")}  # fmt: skip
    if style == "module":
        words = {name: f"model.{here}" for name, here in words.items()}
    elif style == "sequential":
        words = {name: f"model[0].{name}" for name in words}
    if embedding.spec["kind"] == "piecewise":
        added = ""
        fit = code(
            """
            # the edges of the bins: quantiles of the training rows; equal ones count once
            shares = np.linspace(0, 1, $bins + 1)
            for column, numbers in enumerate(scale(x_train)[:, NUMBERS].T.double().numpy()):
                edges = np.unique(np.quantile(numbers, shares))
                edges = edges[np.diff(edges, prepend=-np.inf) > $narrow]
                bins = len(edges) - 1
                if bins > 1:
                    $low[column, :bins] = torch.from_numpy(edges[:-1])
                    $rate[column, :bins] = torch.from_numpy(1 / np.diff(edges))
            """,
            bins=str(embedding.spec["bins"]), narrow=repr(NARROW), low=words["low"],
            rate=words["rate"],
        )  # fmt: skip
    else:
        added = "added.zero_()  # training begins as without the embedding"
        fit = code(
            """
            bound = $bound
            draw = torch.empty_like($frequency, dtype=torch.float32)
            $frequency.copy_(draw.normal_(0, $sigma, generator=draws))
            for weight in [$weight, $bias]:
                draw = torch.empty_like(weight, dtype=torch.float32)
                weight.copy_(draw.uniform_(-bound, bound, generator=draws))
            """,
            bound=repr((2 * embedding.spec["frequencies"]) ** -0.5),
            sigma=repr(embedding.spec["sigma"]),
            **words,
        )
    return code(
        """
        # initial weights, a function of SEED; $about


        def start(weight):
            $draw


        draws = generator("weights", "$kind")
        with torch.no_grad():
            own, added = torch.empty($after, $own), torch.empty($after, $width)
            $hidden
                start(weight)
            $final
            start(added)
            $added
            $first.copy_(torch.cat([own, added], 1))
            $biases
                bias.zero_()
            $fit
        """,
        about=about, draw=draw, kind=net.kind, after=str(after), added=added, first=hidden[0],
        own=str(before - embedding.width), width=str(embedding.width), final=final, biases=biases,
        hidden=spread("for weight in [", ["own", *hidden[1:]], "]:", 4), fit=fit,
    )  # fmt: skip


def _weight(net: Plan, style: Style, index: int, part: str = "weight") -> str:
    """A layer's tensor as an expression."""
    name = _named(net, style, index, part)
    if style == "sequential":
        place, _ = name.split(".")
        return f"model[{place}].{part}"
    return name if style == "tensors" else f"model.{name}"

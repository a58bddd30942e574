"""Check a user's own module before its first step: one batch forward and backward."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from linnet.core.randomness import borrowed
from linnet.insight.checks.finding import Finding
from linnet.networks.custom import Custom
from linnet.objectives.base import Objective

HIGH = 2.0
"""The first loss is reported if it is this many times the loss of equal probabilities."""

APART = 1e-2
"""Outputs that differ by more than this share of the largest one differ not only by rounding."""


def check_module(network: Custom, objective: Objective, x: Tensor, y: Tensor) -> list[Finding]:
    """The faults of the module for this objective, from the rows ``x`` and ``y``.

    It uses a copy; weights, buffers and the global generators stay as they are.
    """
    found = check_parameters(network)
    if found:
        return found
    devices = [x.device] if x.device.type == "cuda" else []
    with borrowed(), torch.random.fork_rng(devices):
        try:
            trial = copy.deepcopy(network).train()
        except Exception as error:  # tensors that are not leaves, open files, locks
            return [
                Finding(
                    f"the module cannot be copied: {_first_line(error)}",
                    "make tensors that __init__ computes a Parameter or a buffer",
                    severity="stop",
                )
            ]
        return _tried(trial, objective, x, y)


def check_parameters(network: nn.Module) -> list[Finding]:
    """Whether a user's module has parameters that can be trained; skipped for other networks."""
    return _placed(network) or _kept(network.module) if isinstance(network, Custom) else []


def _placed(network: Custom) -> list[Finding]:
    parameters = list(network.module.parameters())
    devices = {str(parameter.device) for parameter in parameters}
    if len(devices) > 1:
        return [
            Finding(
                f"its parameters are on several devices: {', '.join(sorted(devices))}",
                "move it as a whole, module.to(device)",
                severity="stop",
            )
        ]
    if devices == {"meta"}:
        return [
            Finding(
                "its parameters have no values: they are on the meta device",
                "create it outside torch.device('meta')",
                severity="stop",
            )
        ]
    if not any(parameter.requires_grad for parameter in parameters):
        frozen = " that train (requires_grad is False for all)" if parameters else ""
        return [
            Finding(
                f"it has no parameters{frozen}",
                "register tensors as nn.Parameter in a submodule or attribute; a list of layers "
                "must be an nn.ModuleList",
                severity="stop",
            )
        ]
    return []


def _kept(module: nn.Module) -> list[Finding]:
    """Findings about state that a model file cannot hold."""
    for name, value in module.state_dict(keep_vars=True).items():
        aside = "register it with persistent=False, or do not make it a buffer"
        if not isinstance(value, Tensor):
            what, remedy = "is not a tensor; a file holds only tensors", "keep it out of the state"
        elif is_lazy(value):
            what, remedy = "has no shape yet", "run one batch through the module first"
        elif not name.replace(".", "").replace("_", "").isalnum() or not name.isascii():
            what, remedy = "cannot be a name in a file", "use only letters, digits and _"
        elif value.is_complex() or not value.numel():
            what, remedy = "is empty" if not value.numel() else "has complex numbers", aside
        elif not value.isfinite().all():
            trains = isinstance(value, nn.Parameter)
            what = "holds numbers that are not finite"
            remedy = "look at its initial weights" if trains else aside
        else:
            continue
        return [Finding(f'its state "{name}" {what}', remedy, severity="stop")]
    return []


def _tried(trial: Custom, objective: Objective, x: Tensor, y: Tensor) -> list[Finding]:
    shape, dtype = tuple(x.shape), trial.examples(x).dtype
    try:
        out = trial.module(trial.examples(x))
    except Exception as error:  # the user's own code may raise anything
        return [
            Finding(
                f"its forward fails on a batch of shape {shape} and dtype {dtype}: {_named(error)}",
                "it must take scaled examples of this shape in this dtype",
                severity="stop",
            )
        ]
    found = _shaped(out, trial, objective, len(x), shape)
    if found:
        return found
    strange = _unregistered(out, trial.module)
    if strange:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in strange[:5])
        return [
            Finding(
                f"its forward uses {len(strange)} tensors that need a gradient but are not its "
                f"parameters, of shape {shapes}: they would be neither trained nor saved",
                "a list of layers must be an nn.ModuleList, a tensor an nn.Parameter",
                severity="stop",
            )
        ]
    if not out.isfinite().all():
        return [Finding("its first outputs are not finite", "look at its initial weights", "stop")]
    try:
        loss = _differentiated(trial, objective, x, y)
    except Exception as error:
        return [_backward(trial, objective, x, y, error)]
    unused = [
        name for name, p in trial.module.named_parameters() if p.requires_grad and p.grad is None
    ]
    found = _squashed(out, objective) or _evaluated(trial, objective, x)
    if any(finding.blocks for finding in found):
        return found
    found += _straight(trial, objective, trial.examples(x))
    even = math.log(max(2, trial.spec.outputs))
    if objective.classifies and loss > HIGH * even:
        found.append(
            Finding(
                f"its first loss is {loss:.3g}; equal probabilities have {even:.3g}",
                "the initial weights are too large; smaller ones, or a norm, train better",
            )
        )
    if unused:
        found.append(
            Finding(
                f"no gradient reaches {', '.join(unused[:5])}",
                "forward does not use them, or detaches their results",
            )
        )
    return found


def _unregistered(out: Tensor, module: nn.Module) -> list[Tensor]:
    """The leaves of the graph of ``out`` that need a gradient and are not the module's."""
    known = {id(parameter) for parameter in module.parameters()}
    found: dict[int, Tensor] = {}
    seen, nodes = set(), [out.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor) and id(leaf) not in known:
            found[id(leaf)] = leaf
        nodes += [before for before, _ in node.next_functions]
    return list(found.values())


def _differentiated(trial: Custom, objective: Objective, x: Tensor, y: Tensor) -> float:
    """The mean loss, after a backward pass."""
    raw = trial(x)
    loss = objective.loss(raw, y.to(raw.dtype) if y.is_floating_point() else y).mean()
    loss.backward()
    return loss.item()


def _shaped(
    out: object, trial: Custom, objective: Objective, rows: int, shape: tuple[int, ...]
) -> list[Finding]:
    wanted = trial.spec.outputs
    if not isinstance(out, Tensor):
        what = f"it returns a {type(out).__name__}"
        return [Finding(what, f"return one tensor, (rows, {wanted})", severity="stop")]
    given = tuple(out.shape)
    if not given or given[0] != rows:
        return [
            Finding(
                f"{rows} rows of shape {shape[1:]} go in and {given[0] if given else 'none'} come "
                "out: rows are mixed",
                "reshape with x.flatten(1), which keeps the rows, not with view(-1, n)",
                severity="stop",
            )
        ]
    allowed = {wanted, 2} if objective.classifies and wanted == 1 else {wanted}
    if len(given) != 2 or given[1] not in allowed:
        broadcast = len(given) == 1 and wanted == 1
        why = ", which would broadcast against the targets" if broadcast else ""
        remedy = "keep the last dimension: no squeeze" if broadcast else "correct its last layer"
        return [
            Finding(
                f"its outputs have the shape {given}, expected ({rows}, {wanted}){why}",
                remedy,
                severity="stop",
            )
        ]
    return []


def _squashed(out: Tensor, objective: Objective) -> list[Finding]:
    """Outputs that are already a softmax or a sigmoid."""
    if not objective.classifies:
        return []
    kinds = _last_operations(out)
    out = out.detach()
    sums = out.sum(1)
    unit = bool((out >= 0).all() and (out <= 1).all())
    if unit and out.shape[1] > 1 and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        floor = math.log(math.e + out.shape[1] - 1) - 1
        return [
            Finding(
                "its outputs are already a softmax; the loss applies another one, and could not "
                f"fall below {floor:.4f}",
                "return the values before the softmax; predict_proba gives probabilities",
                severity="stop",
            )
        ]
    if unit and any("Sigmoid" in kind for kind in kinds):
        return [
            Finding(
                "its outputs are already a sigmoid; the loss applies another one",
                "return the values before the sigmoid; predict_proba gives probabilities",
                severity="stop",
            )
        ]
    return []


def _last_operations(out: Tensor) -> list[str]:
    """The names of the last operations that made ``out``, without those that only reshape."""
    node, names = out.grad_fn, list[str]()
    while node is not None and len(names) < 4:
        names.append(node.name())
        reshapes = ("View", "Squeeze", "Reshape", "Alias", "Clone", "Unsqueeze", "ToCopy")
        if not any(word in names[-1] for word in reshapes):
            break
        node = node.next_functions[0][0] if node.next_functions else None
    return names


def _evaluated(trial: Custom, objective: Objective, x: Tensor) -> list[Finding]:
    """Check that in evaluation mode the output of a row depends only on that row, for any batch
    size."""
    module = trial.module.eval()
    whole: Tensor | None = None
    for rows in sorted({len(x), len(x) // 2, 1} - {0}, reverse=True):
        try:
            out = module(trial.examples(x[:rows]))
        except Exception as error:  # the user's own code may raise anything
            what = f"in evaluation mode its forward fails on a batch of {rows}: {_named(error)}"
            remedy = "it must take any number of rows: no view(64, -1), no squeeze() of all sizes"
            return [Finding(what, remedy, severity="stop")]
        found = _shaped(out, trial, objective, rows, tuple(x.shape))
        if not found and whole is None:
            found = _squashed(out, objective)
        if found:
            return [Finding(f"in evaluation mode {f.what}", f.remedy, f.severity) for f in found]
        if whole is None:
            whole = out.detach()
            if not torch.equal(whole, module(trial.examples(x))):
                return [
                    Finding(
                        "in evaluation mode its outputs differ from call to call",
                        "use nn.Dropout, or give F.dropout training=self.training",
                    )
                ]
        elif (out - whole[:rows]).abs().max() > APART * whole.abs().max():
            return [
                Finding(
                    "in evaluation mode the outputs of a row depend on the other rows of its "
                    "batch: rows are mixed",
                    "reshape with x.flatten(1), which keeps the rows; a norm must keep running "
                    "statistics",
                    severity="stop",
                )
            ]
    return []


@torch.no_grad()
def _straight(trial: Custom, objective: Objective, scaled: Tensor) -> list[Finding]:
    """Several layers that together are a linear model: the output half way between two rows is half
    way between their outputs.

    It is also tested far outside, where no activation is nearly linear.
    """
    module = trial.module.eval()
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    layers = sum(isinstance(layer, kinds) for layer in module.modules())
    weights = sum(parameter.squeeze().dim() > 1 for parameter in module.parameters())
    half = len(scaled) // 2
    if max(layers, weights) < 2 or not half:
        return []

    def out(x: Tensor) -> Tensor:
        raw: Tensor = module(x.clone()).double()
        free = objective.classifies and raw.shape[1] > 1  # a log-softmax shifts whole rows
        return raw - raw.mean(1, keepdim=True) if free else raw

    for size in (1.0, 100.0):
        one, two = size * scaled[:half], size * scaled[half : 2 * half]
        ends, between = (out(one) + out(two)) / 2, out((one + two) / 2)
        length = (out(one) - out(two)).abs().max()
        if not length > 0 or not (ends - between).abs().max() <= 1e-4 * length:
            return []
    return [
        Finding(
            f"between its {max(layers, weights)} linear layers is no activation: the net is a line",
            "add one, such as nn.ReLU(), or use the model linear, which is solved exactly",
        )
    ]


def _backward(
    trial: Custom, objective: Objective, x: Tensor, y: Tensor, error: Exception
) -> Finding:
    """The reason why the backward pass failed; names the in-place layers that break it."""
    what = f"its backward pass fails: {_first_line(error)}"
    if "inplace" not in str(error) and "in-place" not in str(error):
        return Finding(what, "every operation of forward must have a gradient", severity="stop")

    def works() -> bool:
        try:
            _differentiated(trial, objective, x, y)
        except RuntimeError:
            return False
        return True

    layers = {n: m for n, m in trial.module.named_modules() if getattr(m, "inplace", False)}
    for layer in layers.values():
        layer.inplace = False
    broken = {}
    if works():
        for name, layer in layers.items():
            layer.inplace = True
            if not works():
                broken[name] = type(layer).__name__
            layer.inplace = False
    if not broken:
        return Finding(
            what, "replace operations in place, such as x += y, relu_(x)", severity="stop"
        )
    names = ", ".join(f"{name} ({kind})" for name, kind in broken.items())
    kind = next(iter(broken.values()))
    return Finding(
        f"its layer {names} overwrites what a gradient still needs",
        f"make it {kind}() without inplace=True",
        severity="stop",
    )


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__

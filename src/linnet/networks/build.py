"""From a specification to a module, and from a module to a table of its layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from linnet.core import memory
from linnet.core.randomness import borrowed
from linnet.errors import InputError, ModelError
from linnet.networks import find
from linnet.networks.base import Network
from linnet.networks.mean import Mean
from linnet.networks.shapes import check_member
from linnet.networks.specs import MAX_PARAMETERS

DTYPES = {"uint8": torch.uint8, "float32": torch.float32, "float64": torch.float64}


def build(
    kind: str,
    spec: dict[str, Any],
    dtype: str,
    source: str = "network",
    module: nn.Module | None = None,
) -> Network:
    """The network ``kind`` of this specification, without its weights; with "members" in the
    specification, the ``Mean`` of so many of them.

    ``module`` is the user's own module, for the kind "custom"; its dtypes stay as they are. All
    others are first built without memory, to refuse more than ``MAX_PARAMETERS`` parameters.
    """
    try:
        make = find(kind)
    except InputError as error:
        raise ModelError(f"{source}: {error}") from None
    if "members" in spec and "members" not in make.Spec.model_fields:
        return _mean(kind, spec, dtype, source)
    parsed = make.Spec.parse(spec, source, ModelError)
    if make.own:
        if module is None:
            raise ModelError(
                f'{source}: "{kind}" is a module of your own, {spec["module"]}, and files hold no '
                "code: pass the module in Python, network=..., to linnet.train or linnet.load"
            )
        custom: Network = make(parsed, module)  # type: ignore[call-arg]
        custom.scaling.to(DTYPES[dtype])
        custom.rescaling.to(DTYPES[dtype])
        return custom
    with torch.device("meta"):
        size = sum(tensor.numel() for tensor in make(parsed).state_dict().values())
    if size > MAX_PARAMETERS:
        raise ModelError(f"{source}: {size:,} parameters; at most {MAX_PARAMETERS:,}")
    need = size * DTYPES[dtype].itemsize
    memory.require(need, f"{source}: a network of {size:,} parameters", "smaller widths")
    with borrowed():  # nn.Linear draws weights that nobody uses
        return make(parsed).to(DTYPES[dtype])


def _mean(kind: str, spec: dict[str, Any], dtype: str, source: str) -> Mean:
    """The mean of several networks."""
    parsed = Mean.Spec.parse(spec, source, ModelError)
    check_member(parsed, source)
    if find(kind).own:
        raise ModelError(f'{source}: "{kind}" is a module of your own, which has no members')
    return Mean(parsed, [build(kind, parsed.member, dtype, source) for _ in range(parsed.members)])


def layers(network: Network, dtype: str) -> list[dict[str, Any]]:
    """For each layer: name, kind, output shape without the rows, parameters, trained parameters.

    One example of zeros in the data's ``dtype`` goes through the network, which stays as it was.
    """
    rows: list[dict[str, Any]] = []

    def watch(name: str, module: nn.Module) -> RemovableHandle:
        def note(module: nn.Module, _: object, output: object) -> None:
            if isinstance(output, (tuple, list)) and output:  # recurrent layers return states
                output = output[0]
            parameters = list(module.parameters(recurse=False))
            rows.append(
                {
                    "name": name,
                    "kind": type(module).__name__,
                    "output": list(output.shape[1:]) if isinstance(output, Tensor) else [],
                    "parameters": sum(parameter.numel() for parameter in parameters),
                    "trainable": sum(p.numel() for p in parameters if p.requires_grad),
                }
            )

        return module.register_forward_hook(note)

    hooks = [
        watch(name or type(module).__name__.lower(), module)
        for name, module in network.named_modules()
        if not list(module.children()) or list(module.parameters(recurse=False))
    ]
    device = next(network.parameters()).device
    example = torch.zeros((1, *network.spec.inputs), dtype=DTYPES[dtype], device=device)
    training = network.training
    with torch.no_grad():
        network.eval()(example)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return rows

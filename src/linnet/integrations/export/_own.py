"""A module of the user's own as nodes of ONNX, by PyTorch's exporter."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from linnet.errors import InputError
from linnet.integrations.export._encoder import Rows
from linnet.integrations.export._graph import Graph
from linnet.integrations.export._networks import rescaled, scaled, scaled_pictures
from linnet.networks.custom import Custom
from linnet.networks.scaling import Rescaling

OPSET = 18
"""The operators that PyTorch's exporter writes at least."""

EXAMPLES = 2
"""With one example, the number of rows would be fixed in many networks."""

PREFIX = "own."


def raw(graph: Graph, network: Custom, rows: Rows, dtype: str, where: str) -> tuple[str, int]:
    """The raw predictions (rows, outputs), and the version of the operators."""
    if (rows.codes is None and rows.numbers == rows.given) or not _flat(network):
        x = scaled_pictures(graph, network.scaling, rows, dtype)
    else:
        x = _dense(graph, network, rows, dtype)
    example = _example(network)
    inner = str(example.dtype).removeprefix("torch.")
    if inner != dtype:
        x = graph.cast(x, inner)
    made = _exported(network.module, example, where)
    value = _merged(graph, made, x)
    outputs = _outputs(network.module, example)
    if not isinstance(network.rescaling, Rescaling) and network.spec.outputs == 1 and outputs == 2:
        second, first = (
            graph.node("Gather", value, graph.constant(np.array([one], np.int64)), axis=1)
            for one in (1, 0)
        )
        value = graph.node("Sub", second, first)
    if inner != dtype:
        value = graph.cast(value, dtype)
    return rescaled(graph, network.rescaling, value), max(
        opset.version for opset in made.opset_import if opset.domain == ""
    )


def _flat(network: Custom) -> bool:
    """Whether an example is a row."""
    return len(network.spec.inputs) == 1


def _dense(graph: Graph, network: Custom, rows: Rows, dtype: str) -> str:
    """Encoded rows of a table (rows, width): zeros, into which numbers and ones are written."""
    numbers = scaled(graph, network.scaling, rows, dtype)
    if rows.codes is None and numbers is not None and list(rows.places) == list(range(rows.width)):
        return numbers
    count = graph.node("Shape", rows.given, start=0, end=1)

    def every(values: str, width: int) -> str:
        """One row for all rows."""
        wanted = graph.constant(np.array([width], np.int64))
        return graph.node("Expand", values, graph.node("Concat", count, wanted, axis=0))

    zeros = graph.constant(np.zeros((1, 1), dtype))
    dense = every(zeros, rows.width + 1)  # the last column is that of no category
    if numbers is not None:
        places = every(graph.constant(np.array([rows.places], np.int64)), len(rows.places))
        dense = graph.node("ScatterElements", dense, places, numbers, axis=1)
    if rows.codes is not None:
        shape = graph.node("Shape", rows.codes)
        ones = graph.node("Expand", graph.constant(np.ones((1, 1), dtype)), shape)
        dense = graph.node("ScatterElements", dense, rows.codes, ones, axis=1)
    return graph.node("Gather", dense, graph.constant(np.arange(rows.width)), axis=1)


@torch.no_grad()
def _example(network: Custom) -> Tensor:
    """What the module is given for examples of zeros."""
    return network.examples(torch.zeros(EXAMPLES, *network.spec.inputs))


@torch.no_grad()
def _outputs(module: nn.Module, example: Tensor) -> int:
    found: Tensor = module(example)
    return found.shape[1]


def _exported(module: nn.Module, example: Tensor, where: str) -> Any:
    """The module as ONNX's ModelProto."""
    rows = ({0: torch.export.Dim.DYNAMIC},)
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=rows,
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:
        first = str(error.__cause__ or error).strip().splitlines()
        raise InputError(
            f"{where}: PyTorch's exporter cannot write {type(module).__name__} as ONNX: "
            f"{first[0] if first else type(error).__name__}; write its forward of operations that "
            "PyTorch can export, or serve it with linnet serve --network"
        ) from error
    finally:
        logging.disable(before)
    assert program is not None
    return program.model_proto


def _merged(graph: Graph, made: Any, x: str) -> str:
    """The nodes of ``made`` behind the value ``x``; returns the name of its output."""
    from onnx import compose, inliner

    inner = inliner.inline_local_functions(made).graph if made.functions else made.graph
    inner = compose.add_prefix_graph(inner, PREFIX)
    for node in inner.node:
        for index, name in enumerate(node.input):
            if name == inner.input[0].name:
                node.input[index] = x
        graph.nodes.append(node)
    graph.constants += inner.initializer
    found: str = inner.output[0].name
    return found

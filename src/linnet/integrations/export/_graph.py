"""A graph of ONNX, as it is written: values have names, nodes compute one from others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from linnet.errors import InputError

Array = np.ndarray[Any, Any]

OPSET, ML_OPSET, IR = 17, 3, 8
"""What runtimes since 2022 take: the operators, those of ai.onnx.ml, and the form of the file."""

ML = "ai.onnx.ml"

MAX_BYTES = (1 << 31) - 1
"""A file of ONNX is one message of protobuf, which is no larger."""


class Graph:
    """The nodes, constants, inputs and outputs, in order. ``taken`` are names for inputs and
    outputs, which no value between them gets."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._taken = set(taken)
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._bytes = 0

    def name(self, what: str) -> str:
        """A name that no other value has."""
        count = 0
        while (name := f"{what}.{count}") in self._taken:
            count += 1
        self._taken.add(name)
        return name

    def node(self, operator: str, *values: str, domain: str = "", **settings: Any) -> str:
        """A node with one output; returns the name of that."""
        from onnx import helper

        made = self.name(operator)
        self.nodes.append(
            helper.make_node(operator, values, [made], name=made, domain=domain, **settings)
        )
        return made

    def constant(self, values: Array) -> str:
        """The name of a constant; equal ones are stored once."""
        from onnx import TensorProto, helper, numpy_helper

        values = np.asarray(values)
        text = values.dtype.kind in "UO"
        content = repr(values.tolist()).encode() if text else values.tobytes()
        key = (values.dtype.str, values.shape, content)
        if key in self._known:
            return self._known[key]
        self._bytes += len(content)
        if self._bytes > MAX_BYTES:
            raise InputError(
                f"the weights have more than {MAX_BYTES:,} bytes, the most that a file of ONNX "
                "holds; train a smaller model"
            )
        name = self.name("constant")
        if text:
            letters = [str(each).encode() for each in values.reshape(-1).tolist()]
            strings: Any = letters
            made = helper.make_tensor(name, TensorProto.STRING, values.shape, strings)
        else:
            made = numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name)
        self.constants.append(made)
        self._known[key] = name
        return name

    def cast(self, value: str, dtype: str) -> str:
        """``value`` in another dtype."""
        return self.node("Cast", value, to=code(dtype))

    def joined(self, values: Sequence[str]) -> str:
        """Values (rows, ...) beside each other."""
        return values[0] if len(values) == 1 else self.node("Concat", *values, axis=1)

    def chosen(self, value: str, columns: Sequence[int], width: int) -> str:
        """Some of the ``width`` columns of a value (rows, width), in this order."""
        if list(columns) == list(range(width)):
            return value
        return self.node("Gather", value, self.constant(np.array(columns, np.int64)), axis=1)

    def input(self, name: str, dtype: str, shape: Sequence[int]) -> str:
        """An input of any number of rows; ``shape`` is that of one."""
        from onnx import helper

        self.inputs.append(helper.make_tensor_value_info(name, code(dtype), ["rows", *shape]))
        return name

    def output(self, value: str, name: str, dtype: str, shape: Sequence[int]) -> None:
        """``value`` as an output."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self.outputs.append(helper.make_tensor_value_info(name, code(dtype), ["rows", *shape]))

    def model(self, name: str, opset: int = OPSET) -> Any:
        """The graph as ONNX's ModelProto."""
        from onnx import helper

        from linnet import __version__

        made = helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid(ML, ML_OPSET)]
        return helper.make_model(
            made,
            opset_imports=opsets,
            ir_version=IR,
            producer_name="linnet",
            producer_version=__version__,
        )


def code(dtype: str) -> int:
    """ONNX's number for a dtype of NumPy, or "text"."""
    from onnx import TensorProto, helper

    if dtype == "text":
        return int(TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

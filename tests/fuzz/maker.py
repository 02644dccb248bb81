"""A small ONNX graph that grows node by node, its types and shapes known all the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import edge_values


class DoesNotFit(Exception):
    """What a scene asked for is not to be had in this graph, or is not valid ONNX."""


@dataclass(frozen=True)
class Value:
    """A value of the graph; `array` is what it holds if it is constant."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    array: np.ndarray | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)


FLOATS = (np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.float64))
LARGEST = 4096
"""Elements of a value."""


class Maker:
    """A graph under construction for one operator set, drawn from `rng`."""

    def __init__(self, rng: np.random.Generator, opset: int) -> None:
        self.rng = rng
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.functions: list[onnx.FunctionProto] = []
        self.inputs: list[Value] = []
        self.overridable: list[Value] = []
        self.values: list[Value] = []
        self.types: dict[str, onnx.TypeProto] = {}
        self._number = 0

    def name(self, word: str) -> str:
        self._number += 1
        return f"{word}{self._number}"

    def choice(self, items: Sequence):
        return items[int(self.rng.integers(len(items)))]

    def coin(self, chance: float = 0.5) -> bool:
        return bool(self.rng.random() < chance)

    def integer(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def input(self, dtype: np.dtype, shape: tuple[int, ...]) -> Value:
        value = Value(self.name("x"), np.dtype(dtype), shape)
        self.inputs.append(value)
        self.values.append(value)
        return value

    def constant(self, array, dtype: np.dtype | None = None, *, fixed: bool = False) -> Value:
        """An initialiser, or a Constant node; rarely one that a caller may override.

        Args:
            array: What it holds.
            dtype: Of which type, if not the array's.
            fixed: Whether no caller may.
        """
        array = np.asarray(array, dtype)
        value = Value(self.name("c"), array.dtype, array.shape, array)
        tensor = numpy_helper.from_array(array, value.name)
        if self.coin(0.25):
            self.nodes.append(helper.make_node("Constant", [], [value.name], value=tensor))
        else:
            self.weights.append(tensor)
            if not fixed and self.coin(0.02):
                self.overridable.append(value)
        return value

    def scalar(self, dtype: np.dtype, shape: tuple[int, ...] = ()) -> Value:
        return self.constant(np.broadcast_to(edge_values.scalar(self.rng, dtype), shape).copy())

    def weight(self, dtype: np.dtype, *shape: int) -> Value:
        return self.constant(edge_values.weight(self.rng, dtype, shape))

    def indices(self, numbers: Sequence[int]) -> Value:
        return self.constant(np.array(numbers, np.int64))

    def pick(self, *, dtypes: Sequence[np.dtype] | None = None, ranks: Sequence[int] | None = None):
        """A value of one of the types and ranks, mostly a late one."""
        fitting = [
            value
            for value in self.values
            if (dtypes is None or value.dtype in dtypes) and (ranks is None or value.rank in ranks)
        ]
        if not fitting:
            raise DoesNotFit
        return fitting[-1] if self.coin(0.6) else self.choice(fitting)

    def add(self, op_type: str, inputs: Sequence[Value | None], *, outputs: int = 1, **attributes):
        """Add a node; its first output, or all of them where there are several.

        Raises:
            DoesNotFit: ONNX shape inference refuses it, or a shape is not known or too large.
        """
        names = [self.name("v") for _ in range(outputs)]
        read = ["" if value is None else value.name for value in inputs]
        while read and not read[-1]:
            read.pop()
        node = helper.make_node(op_type, read, names, name=self.name("n"), **attributes)
        made = self._infer(node, [value for value in inputs if value is not None])
        self.nodes.append(node)
        self.values.extend(value for value in made if value is not None)
        return made[0] if outputs == 1 else made

    def _infer(self, node: onnx.NodeProto, inputs: Sequence[Value]) -> list[Value]:
        types = {value.name: _type_of(value) for value in inputs}
        data = {
            value.name: numpy_helper.from_array(value.array)
            for value in inputs
            if value.array is not None
        }
        try:
            found = onnx.shape_inference.infer_node_outputs(
                onnx.defs.get_schema(node.op_type, self.opset, ""),
                node,
                types,
                data,
                opset_imports=[helper.make_opsetid("", self.opset)],
            )
        except Exception as error:
            raise DoesNotFit(str(error)) from error
        return [_value_of(name, found.get(name)) for name in node.output if name]

    def model(self, *, symbolic: bool = False) -> onnx.ModelProto:
        """The graph; values that nothing reads are its outputs, and sometimes others too."""
        read = {name for node in self.nodes for name in node.input}
        produced = [
            name for node in self.nodes if node.op_type != "Constant" for name in node.output
        ]
        known = {value.name: value for value in self.values}
        wanted = [
            known[name]
            for name in produced
            if name in known and (name not in read or self.coin(0.08))
        ]
        if not wanted:
            raise DoesNotFit
        inputs = [_info(value, symbolic=symbolic) for value in self.inputs]
        inputs += [_info(value) for value in self.overridable]
        outputs = [
            helper.make_tensor_value_info(
                value.name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.rank
            )
            for value in wanted
        ]
        graph = helper.make_graph(self.nodes, "fuzz", inputs, outputs, self.weights)
        imports = [helper.make_opsetid("", self.opset)]
        imports += [helper.make_opsetid(each.domain, 1) for each in self.functions[:1]]
        return helper.make_model(
            graph,
            opset_imports=imports,
            functions=self.functions,
            ir_version=10 if self.opset >= 21 else 8,
        )


def _type_of(value: Value) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(
        helper.np_dtype_to_tensor_dtype(value.dtype), list(value.shape)
    )


def _info(value: Value, *, symbolic: bool = False) -> onnx.ValueInfoProto:
    shape: list = list(value.shape)
    if symbolic and shape:
        shape[0] = f"N{shape[0]}"
    return helper.make_tensor_value_info(
        value.name, helper.np_dtype_to_tensor_dtype(value.dtype), shape
    )


def _value_of(name: str, kind: onnx.TypeProto | None) -> Value | None:
    if kind is None:
        raise DoesNotFit
    if not kind.HasField("tensor_type"):
        return None  # a sequence: scenes with such keep track themselves
    tensor = kind.tensor_type
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    if tensor.elem_type in (TensorProto.UNDEFINED, TensorProto.STRING) or None in dims:
        raise DoesNotFit
    if not tensor.HasField("shape") or int(np.prod(dims)) > LARGEST or min(dims, default=0) < 0:
        raise DoesNotFit
    return Value(name, helper.tensor_dtype_to_np_dtype(tensor.elem_type), tuple(dims))

"""Operators that move elements: ONNX Runtime says where from, on the elements' places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.printer import attribute_text
from lprc.core.proof.tensors import Inputs, Tensor
from lprc.core.proof.terms import ZERO, NotProvedError, Terms
from lprc.core.running.isolated_session import IsolatedSession
from lprc.core.running.numerics import RunError

_DATA = {"Concat": None, "Pad": (0, 2)}
"""Which inputs hold what is moved, where that is not the first alone; None for all."""


@dataclass
class Mover:
    """Runs such operators, each with the same sizes once.

    What is moved has other numbers each time and the places are the same: an operator that moves
    can't tell one element from another. Its operands that say how to move must be constant.
    """

    opset: int
    _places: dict[Any, list[NDArray[np.int64]]] = field(default_factory=dict)

    def move(self, node: ir.Node, inputs: Inputs, terms: Terms) -> list[Tensor]:
        """What a node of the main ONNX domain puts out.

        Raises:
            NotProvedError: An operand varies, or ONNX Runtime does not run the node on float64.
        """
        if editing.attribute(node, "value", 0.0):
            raise NotProvedError(f"{node.op_type} with a number as an attribute")
        moved = _DATA.get(node.op_type, (0,))
        data = [
            (index, tensor)
            for index, tensor in enumerate(inputs)
            if tensor is not None and (moved is None or index in moved)
        ]
        if not data:
            raise NotProvedError(f"{node.op_type} moves nothing")
        controls = {
            index: terms.numbers(tensor.ids, f"an operand of {node.op_type}").astype(
                tensor.dtype.numpy() if tensor.dtype is not None else np.int64
            )
            for index, tensor in enumerate(inputs)
            if tensor is not None and all(index != place for place, _ in data)
        }
        sizes = {index: tensor.ids.shape for index, tensor in data}
        places = self._cached(node, len(inputs), sizes, controls)
        pool = np.concatenate([[ZERO], *(tensor.ids.reshape(-1) for _, tensor in data)])
        dtype = data[0][1].dtype
        return [Tensor(pool[place], dtype) for place in places]

    def _cached(
        self,
        node: ir.Node,
        count: int,
        sizes: dict[int, tuple[int, ...]],
        controls: dict[int, NDArray[Any]],
    ) -> list[NDArray[np.int64]]:
        said = tuple(
            (name, attribute_text(value, in_full=True))
            for name, value in sorted(node.attributes.items())
        )
        told = tuple(
            (i, str(array.dtype), array.shape, array.tobytes()) for i, array in controls.items()
        )
        key = (node.op_type, said, len(node.outputs), count, tuple(sizes.items()), told)
        if key not in self._places:
            self._places[key] = self._run(node, count, sizes, controls)
        return self._places[key]

    def _run(
        self,
        node: ir.Node,
        count: int,
        sizes: dict[int, tuple[int, ...]],
        controls: dict[int, NDArray[Any]],
    ) -> list[NDArray[np.int64]]:
        """The places of the outputs' elements in all that is moved; 0 for a zero that is put in."""
        arrays: dict[str, NDArray[np.float64]] = {}
        first = 1
        for index, shape in sizes.items():
            size = int(np.prod(shape, dtype=np.int64))
            arrays[f"i{index}"] = np.arange(first, first + size, dtype=np.float64).reshape(shape)
            first += size
        model = _alone(node, count, arrays, controls, self.opset)
        try:
            outputs = IsolatedSession(model).run(arrays)
        except RunError as error:
            raise NotProvedError(f"{node.op_type} does not run alone: {error.message}") from error
        return [outputs[f"o{index}"].astype(np.int64) for index in range(len(node.outputs))]


def _alone(
    node: ir.Node,
    count: int,
    arrays: dict[str, NDArray[np.float64]],
    controls: dict[int, NDArray[Any]],
    opset: int,
) -> ir.Model:
    values: list[ir.Value | None] = []
    for index in range(count):
        name = f"i{index}"
        if name in arrays:
            shape, kind = ir.Shape(arrays[name].shape), ir.TensorType(ir.DataType.DOUBLE)
            values.append(ir.Value(name=name, shape=shape, type=kind))
        elif index in controls:
            tensor = ir.Tensor(controls[index], name=name)
            values.append(
                ir.Value(
                    name=name,
                    shape=ir.Shape(controls[index].shape),
                    type=ir.TensorType(tensor.dtype),
                    const_value=tensor,
                )
            )
        else:
            values.append(None)
    outputs = [
        ir.Value(name=f"o{index}", type=ir.TensorType(ir.DataType.DOUBLE))
        for index in range(len(node.outputs))
    ]
    alone = ir.node(node.op_type, values, dict(node.attributes), outputs=outputs, name="node")
    given = [value for value in values if value is not None]
    graph = ir.Graph(
        [value for value in given if not value.is_initializer() and value.const_value is None],
        outputs,
        nodes=[alone],
        initializers=[value for value in given if value.const_value is not None],
        opset_imports={"": opset},
        name="moving",
    )
    return ir.Model(graph, ir_version=10)

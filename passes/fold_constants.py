"""Nodes that do not depend on the inputs, computed now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir

from lprc.core.graph import constants, editing
from lprc.core.graph.operators import QDQ, RANDOM
from lprc.core.options import option
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.running.numerics import RunError
from lprc.passes._constants.node_values import evaluate, output_types, type_bytes
from lprc.passes._constants.shape_values import Element, ShapeValues, dimensions

_NEVER = RANDOM | {"Constant"}
_QUANTISED = QDQ | {"DynamicQuantizeLinear"}
_SHRINKING = frozenset(("Compress", "NonZero", "Unique"))
"""Their results depend on values, but are never much larger than their inputs."""


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Evaluate nodes whose inputs are constant, and shape arithmetic on known dimensions.

    ONNX Runtime evaluates, as many nodes in one run as can be. A Reshape to a computed shape of
    which all dimensions but one are known gets a constant shape; so does an Expand of which those
    not known are its input's.

    Random operators, control flow and operators of other domains stay, and so do QuantizeLinear
    and DequantizeLinear: they say where a graph is quantised. Nodes whose results would make the
    model larger by more than `max-bytes` altogether stay too.

    Enters subgraphs.
    """

    name = "fold-constants"
    contract = exact_everywhere
    max_bytes: int = option(4_000_000, "how many bytes larger the model may become")
    fold_qdq: bool = option(False, "evaluate QuantizeLinear and DequantizeLinear too")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Fold each graph in one sweep, then the shapes of Reshape and Expand in another."""
        opsets = dict(model.graph.opset_imports)
        before = len(context.rewrites)
        never = _NEVER if self.fold_qdq else _NEVER | _QUANTISED
        folder = _Folder(context, opsets, self.max_bytes, never)
        for graph in editing.graphs(model):
            folder.fold(graph)
            _settle_shapes(graph, context)
            _give_range_scalars(graph, context)
        if len(context.rewrites) > before and (model.ir_version or 0) < 4:
            # Only since version 4 may an initialiser not be an input.
            model.ir_version = 4


@dataclass
class _Folder:
    """One sweep's state.

    Attributes:
        budget: How many bytes the model may still grow by.
        pending: Nodes that are chosen and not yet evaluated, in topological order.
        sizes: The bytes of what `pending` puts out, by the value's id.
        types: Its types, by the value's name.
    """

    context: PassContext
    opsets: Mapping[str, int]
    budget: int
    never: frozenset[str]
    pending: list[ir.Node] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)
    types: dict[str, onnx.TypeProto] = field(default_factory=dict)

    def fold(self, graph: ir.Graph) -> None:
        """Fold what can be in `graph`; not in its subgraphs."""
        shape_values = ShapeValues()
        for node in list(graph):
            if node.graph is not graph:
                continue
            if not self._fold_shape(node, shape_values) and self._is_candidate(node):
                self._choose(node)
        self._flush()

    def _fold_shape(self, node: ir.Node, shape_values: ShapeValues) -> bool:
        shape_value = shape_values.visit(node)
        array = shape_value.array() if shape_value is not None else None
        output = node.outputs[0]
        if array is None or output.is_graph_output() or not output.uses():
            return False
        if not self.context.rewrite(node, f"is {array.tolist()}"):
            return False
        constants.become_initializer(output, constants.tensor_of(array, output.name or ""))
        editing.remove_dead([node])
        return True

    def _is_candidate(self, node: ir.Node) -> bool:
        if node.domain not in editing.ONNX_DOMAIN or node.op_type in self.never:
            return False
        if not any(value.uses() or value.is_graph_output() for value in node.outputs):
            return False
        if not all(value is None or self._is_constant(value) for value in node.inputs):
            return False
        return not any(
            attribute.type in _NOT_PLAIN or attribute.ref_attr_name is not None
            for attribute in node.attributes.values()
        ) and all(_is_tensor(value) for value in node.outputs)

    def _is_constant(self, value: ir.Value) -> bool:
        if id(value) in self.sizes:
            return True
        return not value.is_graph_input() and ir.convenience.get_const_tensor(value) is not None

    def _choose(self, node: ir.Node) -> None:
        if any(value.is_graph_output() for value in node.outputs):
            self.context.skip(node, "is a graph output")
            return
        types, output_size = self._results(node)
        if output_size is None and self.pending:
            # How large it becomes may depend on what is pending.
            self._flush()
            if not all(value is None or self._is_constant(value) for value in node.inputs):
                return
            types, output_size = self._results(node)
        inputs = {id(value): value for value in node.inputs if value is not None}.values()
        if output_size is None:
            if node.op_type not in _SHRINKING:
                self.context.skip(node, "the result's size is not known")
                return
            # NonZero puts out an int64 for each axis where its input may be a bool.
            output_size = 8 * (editing.rank(node.inputs[0]) or 8) * sum(map(self._size, inputs))
        growth = max(
            0, output_size - sum(self._size(value) for value in inputs if _is_freed(value))
        )
        if growth > self.budget:
            self.context.skip(node, "the result is too large")
        elif self.context.rewrite(node, "evaluated"):
            self.budget -= growth
            self.pending.append(node)
            for value in node.outputs:
                self.sizes[id(value)] = output_size
                self.types[value.name or ""] = types.get(value.name or "", onnx.TypeProto())

    def _results(self, node: ir.Node) -> tuple[dict[str, onnx.TypeProto], int | None]:
        """The types of what the node puts out, and its size in bytes."""
        types = output_types(node, self.opsets, self.types)
        sizes = [type_bytes(types.get(value.name)) for value in node.outputs if value.name]
        known = [size for size in sizes if size is not None]
        return types, sum(known) if len(known) == len(sizes) else None

    def _size(self, value: ir.Value) -> int:
        if id(value) in self.sizes:
            return self.sizes[id(value)]
        tensor = ir.convenience.get_const_tensor(value)
        return 0 if tensor is None else constants.tensor_bytes(tensor)

    def _flush(self) -> None:
        """Evaluate what is pending."""
        nodes, self.pending = self.pending, []
        self.sizes.clear()
        self.types.clear()
        arrays: dict[str, np.ndarray] = {}
        self._evaluate(nodes, arrays)
        for node in nodes:
            for value in node.outputs:
                if value.name in arrays and value.uses():
                    tensor = constants.tensor_of(arrays[value.name], value.name)
                    constants.become_initializer(value, tensor)
        editing.remove_dead(reversed(nodes))

    def _evaluate(self, nodes: list[ir.Node], arrays: dict[str, np.ndarray]) -> None:
        """Evaluate all of `nodes` at once or, where ONNX Runtime can't, halves of them."""
        inside = {id(node) for node in nodes}
        wanted = [
            value
            for node in nodes
            for value in node.outputs
            if any(id(use.node) not in inside for use in value.uses())
        ]
        if not wanted:
            return
        try:
            arrays.update(evaluate(nodes, wanted, self.opsets, arrays))
        except RunError:
            if len(nodes) == 1:
                self.context.withdraw(nodes[0], "ONNX Runtime can't evaluate it")
                return
            self._evaluate(nodes[: len(nodes) // 2], arrays)
            self._evaluate(nodes[len(nodes) // 2 :], arrays)


_NOT_PLAIN = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
_NO_TENSORS = (ir.SequenceType, ir.OptionalType, ir.SparseTensorType)


def _is_tensor(value: ir.Value) -> bool:
    return not isinstance(value.type, _NO_TENSORS)


def _give_range_scalars(graph: ir.Graph, context: PassContext) -> None:
    """Make scalars of vectors of one number that Range reads.

    The standard wants scalars; ONNX Runtime refuses the vectors as soon as they are constants.
    """
    for node in graph:
        if not editing.is_op(node, "Range"):
            continue
        for index, value in enumerate(node.inputs):
            array = editing.constant(value)
            if value is None or array is None or array.shape != (1,):
                continue
            if context.rewrite(node, "reads a scalar"):
                scalar = editing.add_initializer(graph, f"{value.name}_scalar", array.reshape(()))
                node.replace_input_with(index, scalar)
                editing.remove_dead_initializer(value)


def _is_freed(value: ir.Value) -> bool:
    """Whether nothing needs `value` any more once its one user is evaluated."""
    return len(value.consumers()) <= 1 and not value.is_graph_output()


def _settle_shapes(graph: ir.Graph, context: PassContext) -> None:
    """Give Reshape and Expand constant shapes where they know the dimensions that we don't."""
    values = ShapeValues()
    for node in list(graph):
        values.visit(node)
        settle = _SETTLE.get(node.op_type) if node.domain in editing.ONNX_DOMAIN else None
        if settle is None or editing.attribute(node, "allowzero", 0):
            continue
        target = values.of(editing.input_at(node, 1))
        shape = None if target is None else settle(target.elements, node.inputs[0])
        if shape is None or not context.rewrite(node, f"the shape is {shape}"):
            continue
        producer = node.inputs[1].producer() if node.inputs[1] is not None else None
        hint = f"{node.name}_shape"
        array = np.array(shape, dtype=np.int64)
        node.replace_input_with(1, editing.add_initializer(graph, hint, array))
        editing.remove_dead([producer])


def _expanded(target: tuple[Element, ...], data: ir.Value | None) -> list[int] | None:
    """`target` with 1, which changes nothing, for dimensions that `data` has there already."""
    dims = dimensions(data)
    if dims is None or all(isinstance(element, int) for element in target):
        return None
    settled = [
        element if isinstance(element, int) else 1 if _is_at(dims, axis, element) else None
        for axis, element in enumerate(target, len(dims) - len(target))
    ]
    numbers = [size for size in settled if size is not None]
    return numbers if len(numbers) == len(settled) else None


def _constant_shape(target: tuple[Element, ...], data: ir.Value | None) -> list[int] | None:
    """`target` with 0 for a dimension of `data` in the same place, and -1 for one other.

    None where it is constant already, or where more dimensions than one would be -1.
    """
    numbers = [element for element in target if isinstance(element, int)]
    if len(numbers) == len(target) or any(number == 0 or number < -1 for number in numbers):
        return None
    dims = dimensions(data) or ()
    settled = [
        element if isinstance(element, int) else 0 if _is_at(dims, axis, element) else -1
        for axis, element in enumerate(target)
    ]
    return settled if settled.count(-1) <= 1 else None


def _is_at(dims: tuple[Element, ...], axis: int, element: Element) -> bool:
    return element is not None and 0 <= axis < len(dims) and dims[axis] == element


_SETTLE = {"Reshape": _constant_shape, "Expand": _expanded}

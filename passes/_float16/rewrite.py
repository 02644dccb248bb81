"""Float16 and float32 forms of values, and the nodes that use the one or the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.passes._float16.placement import is_widening
from lprc.passes._float16.ports import half_inputs, half_outputs, is_float
from lprc.passes._float16.scales import level_pairs, raise_scales

_FLOAT16, _FLOAT = ir.DataType.FLOAT16, ir.DataType.FLOAT
_TYPE_ATTRIBUTES = {"Cast": "to", "DequantizeLinear": "output_dtype"}


@dataclass
class Rewriter:
    """Moves nodes of one graph to float16, with at most one Cast a value each way."""

    graph: ir.Graph
    opset: int
    _after: dict[ir.Node, ir.Node | None] = field(init=False)
    _first: ir.Node | None = field(init=False)
    _made_half: dict[ir.Value, ir.Value] = field(default_factory=dict)
    _made_single: dict[ir.Value, ir.Value] = field(default_factory=dict)
    _stale: list[ir.Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        nodes = list(self.graph)
        self._first = nodes[0] if nodes else None
        self._after = dict(zip(nodes, [*nodes[1:], None], strict=True))

    def convert(self, half: set[ir.Node], half_io: Iterable[ir.Value]) -> None:
        """Let `half` compute in float16 and give `half_io` that type; all else stays float32.

        Args:
            half: Nodes that allow it.
            half_io: Graph inputs, and graph outputs that nodes make.
        """
        nodes, public = list(self.graph), set(half_io)
        self._stale += raise_scales(self.graph, [node for node in nodes if node in half])
        types = [
            _FLOAT16 if value in public and is_float(value) else value.dtype
            for value in self.graph.outputs
        ]
        inputs = {node: dict(half_inputs(node, self.opset)) for node in nodes if node in half}
        turned = [value for node in nodes if node in half for value in self._turn(node)]
        for value in self.graph.inputs:
            if value in public:
                _make_half_type(value)
                turned.append(value)
        for node in nodes:
            if node in half:
                self._feed_half(node, inputs[node])
        for value in turned:
            self._feed_others(value, half, inputs)
        self._settle_outputs(types)
        for value in self._made_half:
            editing.remove_dead_initializer(value)
        self._stale += level_pairs(self.graph)
        editing.remove_dead(self._stale)

    def _turn(self, node: ir.Node) -> list[ir.Value]:
        """Give the outputs of `node` float16; its inputs are not changed yet."""
        found = list(half_outputs(node, self.opset))
        attribute = _TYPE_ATTRIBUTES.get(node.op_type)
        if attribute is not None and editing.attribute(node, attribute, 0) == int(_FLOAT):
            node.attributes[attribute] = ir.AttrInt64(attribute, int(_FLOAT16))
        for value in found:
            _make_half_type(value)
        return found

    def _feed_half(self, node: ir.Node, inputs: dict[int, ir.Value]) -> None:
        for index, value in inputs.items():
            if is_float(value):
                node.replace_input_with(index, self._half_of(value, node))

    def _feed_others(
        self, value: ir.Value, half: set[ir.Node], inputs: dict[ir.Node, dict[int, ir.Value]]
    ) -> None:
        """Give float32 to the users of `value` that need it; `value` is float16 now."""
        for use in list(value.uses()):
            node, index = use.node, use.idx
            if node.graph is self.graph:
                if node in half and index in inputs[node]:
                    continue
                if self._takes_either(node, value):
                    continue
            node.replace_input_with(index, self._single_of(value, node))

    def _takes_either(self, node: ir.Node, value: ir.Value) -> bool:
        if value in self._made_single and node is self._made_single[value].producer():
            return True
        if editing.is_op(node, "Shape", "Size"):
            return True
        if self._is_narrowing(node):
            self._replace(node, value)
            return True
        return editing.is_op(node, "Cast") and not is_float(node.outputs[0])

    def _half_of(self, value: ir.Value, user: ir.Node) -> ir.Value:
        """The float16 form of a float32 value."""
        if value not in self._made_half:
            self._made_half[value] = self._make_half(value, user)
        return self._made_half[value]

    def _make_half(self, value: ir.Value, user: ir.Node) -> ir.Value:
        array, producer = editing.constant(value), value.producer()
        if array is not None:
            with np.errstate(over="ignore"):
                half = array.astype(np.float16)
            if producer is not None:
                self._stale.append(producer)
            return editing.add_initializer(self.graph, f"{value.name}_f16", half)
        if is_widening(producer):
            assert producer is not None
            assert producer.inputs[0] is not None
            self._stale.append(producer)
            return producer.inputs[0]
        half_value = self._cast(value, _cast_source(value), _FLOAT16, user)
        for use in list(value.uses()):
            if use.node is not half_value.producer() and self._is_narrowing(use.node):
                self._replace(use.node, half_value)
        if producer is not None:
            self._stale.append(producer)
        return half_value

    def _is_narrowing(self, node: ir.Node) -> bool:
        """Whether `node` is a Cast to float16."""
        return (
            node.graph is self.graph
            and editing.is_op(node, "Cast")
            and node.outputs[0].dtype == _FLOAT16
        )

    def _replace(self, cast: ir.Node, half: ir.Value) -> None:
        editing.replace_value(cast.outputs[0], half)
        self._stale.append(cast)

    def _single_of(self, value: ir.Value, user: ir.Node) -> ir.Value:
        """The float32 form of a float16 value."""
        if value not in self._made_single:
            self._made_single[value] = self._cast(value, value, _FLOAT, user)
        return self._made_single[value]

    def _cast(
        self, value: ir.Value, source: ir.Value, dtype: ir.DataType, user: ir.Node | None
    ) -> ir.Value:
        """A Cast of `source` right behind the node that makes `value`."""
        producer = value.producer()
        assert self._first is not None
        before = self._first if producer is None else self._after[producer]
        origin = producer or user or self._first
        cast_value = editing.new_node(
            "Cast",
            [source],
            before=before or origin,
            sources=[origin],
            attributes={"to": int(dtype)},
            name=f"{value.name}_to_{_short(dtype)}",
            dtype=dtype,
            shape=value.shape,
        )
        cast_value.metadata_props.update(value.metadata_props)
        if before is None:
            cast = cast_value.producer()
            assert cast is not None
            self.graph.remove(cast)
            self.graph.append(cast)
        return cast_value

    def _settle_outputs(self, types: Sequence[ir.DataType | None]) -> None:
        """Give graph outputs the types that they are to have, under the names that they have."""
        for index, (value, dtype) in enumerate(zip(self.graph.outputs, types, strict=True)):
            if value.dtype == dtype or dtype is None:
                continue
            if dtype == _FLOAT:
                other = self._made_single.get(value) or self._cast(value, value, dtype, None)
            elif value in self._made_half and not is_widening(value.producer()):
                other = self._made_half[value]
            else:
                other = self._cast(value, _cast_source(value), dtype, None)
            name = value.name
            assert name is not None
            value.name = editing.fresh_name(self.graph, f"{name}_{_short(value.dtype)}")
            other.name = name
            self.graph.outputs[index] = other


def _make_half_type(value: ir.Value) -> None:
    # Not `value.dtype = …`: a copy of the graph, or another value, may share the type's object.
    value.type = ir.TensorType(_FLOAT16)


def _cast_source(value: ir.Value) -> ir.Value:
    """The value that a Cast of `value` may cast instead: the input of the Cast that makes it."""
    producer = value.producer()
    if producer is None or not editing.is_op(producer, "Cast"):
        return value
    return producer.inputs[0] or value


def _short(dtype: ir.DataType | None) -> str:
    return "f16" if dtype == _FLOAT16 else "f32"

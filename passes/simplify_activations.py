"""Merge chains of Relu and Clip, and drop those that never act."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.clip_bounds import Bounds, clip_bounds
from lprc.core.graph.operators import MOVES
from lprc.core.passing.contract import exact_if_finite
from lprc.core.passing.pass_base import Pass, PassContext

_NEVER_NEGATIVE = ("Relu", "Sigmoid", "Softmax", "Abs", "Exp", "HardSigmoid", "Softplus")
# A Concat has several inputs; a maximum is one of its elements.
_CARRIERS = MOVES - {"Concat"} | {"MaxPool", "GlobalMaxPool"}
_FLOATS = frozenset(
    [ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE]
)


@dataclass(frozen=True)
class SimplifyActivations(Pass):
    """Merge Relu and Clip chains; drop a Relu or Clip that never changes its input.

    A Relu behind Relu, Sigmoid, Softmax and the like does nothing, also with pools or reshapes
    between. ``Clip(0, ∞)`` is Relu, ``Clip(-∞, ∞)`` nothing, LeakyRelu with slope 0 is Relu, and
    two Clips, or a Relu and a Clip, are one Clip; for finite numbers, see the contract. Integers
    stay as they are: ONNX has no Relu of most of them, and their bounds are no floats.

    Enters subgraphs.
    """

    name = "simplify-activations"
    contract = exact_if_finite
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Rewrite in one sweep, inputs first."""
        opset = editing.opset_version(model)
        for graph in editing.graphs(model):
            for node in list(graph):
                if node.graph is not graph:
                    continue
                if editing.is_op(node, "Relu", "Clip"):
                    _simplify(node, opset, context)
                elif editing.is_op(node, "LeakyRelu") and editing.attribute(node, "alpha") == 0:
                    _as_relu(node, opset, context)


def _simplify(node: ir.Node, opset: int, context: PassContext) -> None:
    value = node.inputs[0]
    if value is None or (value.dtype is not None and value.dtype not in _FLOATS):
        return
    bounds = _bounds(node)
    if bounds is None:
        context.skip(node, "bounds are not constant")
        return
    if bounds[0] > bounds[1]:
        return
    if _covers(bounds, _range(value)):
        if not _is_pinned(node, value) and context.rewrite(node, f"never changes {value.name}"):
            editing.replace_value(node.outputs[0], value)
            editing.remove_dead([node])
    elif value.dtype is None:
        context.skip(node, "the type is not known")
    else:
        _merge_chain(node, value, bounds, opset, context)


def _merge_chain(
    node: ir.Node, value: ir.Value, bounds: Bounds, opset: int, context: PassContext
) -> None:
    start, merged = _merge(value, bounds)
    if start is not value:
        note = "merged with the one before"
    elif node.op_type == "Clip" and merged == (0.0, np.inf):
        note = "is Relu"
    else:
        return
    if not _is_writable(merged, opset):
        context.skip(node, "the bounds are no float32, as Clip's attributes are below opset 11")
    elif context.rewrite(node, note):
        _put(node, start, merged, opset)


def _as_relu(node: ir.Node, opset: int, context: PassContext) -> None:
    if context.rewrite(node, "is Relu"):
        _put(node, node.inputs[0], (0.0, np.inf), opset)


def _is_pinned(node: ir.Node, value: ir.Value) -> bool:
    public = value.is_graph_input() or value.is_graph_output() or value.graph is not node.graph
    return node.outputs[0].is_graph_output() and public


def _merge(value: ir.Value, bounds: Bounds) -> tuple[ir.Value, Bounds]:
    """Where the chain of Relu and Clip that ends with `bounds` begins, and its bounds as one."""
    producer = value.producer()
    while producer is not None and editing.is_op(producer, "Relu", "Clip"):
        if not editing.is_private(value):
            break  # the inner one stays anyway
        inner = _bounds(producer)
        source = producer.inputs[0]
        if inner is None or inner[0] > inner[1] or source is None or source.dtype != value.dtype:
            break
        # min(max(x, a), b) of an interval [c, d] clips to where they overlap, or to its edge.
        low, high = (float(np.clip(bound, *bounds)) for bound in inner)
        value, bounds, producer = source, (low, high), source.producer()
    return value, bounds


def _bounds(node: ir.Node) -> Bounds | None:
    return (0.0, np.inf) if node.op_type == "Relu" else clip_bounds(node)


def _covers(bounds: Bounds, span: Bounds) -> bool:
    return bounds[0] <= span[0] and span[1] <= bounds[1]


def _range(value: ir.Value) -> Bounds:
    """An interval that `value` surely lies in, if it is finite."""
    producer = value.producer()
    while producer is not None and editing.is_op(producer, *_CARRIERS):
        if not _keeps_range(producer):
            return -np.inf, np.inf
        source = producer.inputs[0]
        producer = source.producer() if source is not None else None
    # Abs of the least integer is that integer.
    is_typed = value.dtype is not None or not editing.is_op(producer, "Abs")
    if is_typed and editing.is_op(producer, *_NEVER_NEGATIVE):
        bounded = producer is not None and producer.op_type in ("Sigmoid", "Softmax", "HardSigmoid")
        return 0.0, 1.0 if bounded else np.inf
    if producer is not None and editing.is_op(producer, "Clip"):
        bounds = _bounds(producer)
        if bounds is not None and bounds[0] <= bounds[1]:
            return bounds
    return -np.inf, np.inf


def _keeps_range(node: ir.Node) -> bool:
    """Whether no window of a MaxPool may be padding alone: that gives the lowest number."""
    return node.op_type != "MaxPool" or (
        not any(editing.attribute(node, "pads", ()))
        and editing.attribute(node, "auto_pad", "NOTSET") in ("NOTSET", "VALID")
        and not editing.attribute(node, "ceil_mode", 0)
    )


def _is_writable(bounds: Bounds, opset: int) -> bool:
    return opset >= 11 or all(float(np.float32(bound)) == bound for bound in bounds)


def _put(node: ir.Node, value: ir.Value | None, bounds: Bounds, opset: int) -> None:
    """A Relu or Clip of `value` in the place of `node`."""
    assert value is not None
    chain = [node]
    inner = node.inputs[0].producer() if node.inputs[0] is not None else None
    while (
        inner is not None and inner.outputs[0] is not value and editing.is_op(inner, "Relu", "Clip")
    ):
        chain.append(inner)
        inner = inner.inputs[0].producer() if inner.inputs[0] is not None else None
    output, attributes = node.outputs[0], {}
    limits: list[ir.Value | None] = []
    if bounds != (0.0, np.inf) and opset >= 11:
        limits = _limits(node, value, bounds)
    elif bounds != (0.0, np.inf):
        named = zip(("min", "max"), bounds, strict=True)
        attributes = {word: bound for word, bound in named if np.isfinite(bound)}
    new = editing.new_node(
        "Relu" if bounds == (0.0, np.inf) else "Clip",
        [value, *limits],
        before=node,
        sources=chain,
        attributes=attributes,
        shape=output.shape,
    )
    editing.replace_value(output, new)
    editing.remove_dead([node])


def _limits(node: ir.Node, value: ir.Value, bounds: Bounds) -> list[ir.Value | None]:
    """Clip's inputs for the bounds; none for one that is infinite."""
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    limits = [
        None
        if np.isinf(bound)
        else editing.add_initializer(graph, f"{node.name}.{end}", _scalar(bound, value))
        for end, bound in zip(("min", "max"), bounds, strict=True)
    ]
    while limits and limits[-1] is None:
        limits.pop()
    return limits


def _scalar(bound: float, value: ir.Value) -> NDArray[np.generic]:
    assert value.dtype is not None
    return np.array(bound, dtype=value.dtype.numpy())

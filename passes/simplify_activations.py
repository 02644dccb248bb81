"""Merge chains of Relu and Clip, and drop those that never act."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.operators import MOVES
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext

_NEVER_NEGATIVE = ("Relu", "Sigmoid", "Softmax", "Abs", "Exp", "HardSigmoid", "Softplus")
# A Concat has several inputs; a maximum is one of its elements.
_CARRIERS = MOVES - {"Concat"} | {"MaxPool", "GlobalMaxPool"}


@dataclass(frozen=True)
class SimplifyActivations(Pass):
    """Merge Relu and Clip chains; drop a Relu or Clip that never changes its input.

    A Relu behind Relu, Sigmoid, Softmax and the like does nothing, also with pools or reshapes
    between. ``Clip(0, ∞)`` is Relu, ``Clip(-∞, ∞)`` nothing, LeakyRelu with slope 0 is Relu, and
    two Clips, or a Relu and a Clip, are one Clip. NaN stays NaN in all of them.

    Enters subgraphs.
    """

    name = "simplify-activations"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Rewrite in one sweep, inputs first."""
        for graph in editing.graphs(model):
            for node in list(graph):
                if node.graph is not graph:
                    continue
                if editing.is_op(node, "Relu", "Clip"):
                    _simplify(node, context)
                elif editing.is_op(node, "LeakyRelu") and editing.attribute(node, "alpha") == 0:
                    _as_relu(node, context)


def _simplify(node: ir.Node, context: PassContext) -> None:
    value = node.inputs[0]
    bounds = _bounds(node)
    if bounds is None:
        context.skip(node, "bounds are not constant")
        return
    if value is None or bounds[0] > bounds[1]:
        return
    if _covers(bounds, _range(value)):
        if not _is_pinned(node, value) and context.rewrite(node, f"never changes {value.name}"):
            editing.replace_value(node.outputs[0], value)
            editing.remove_dead([node])
        return
    if value.dtype is None:
        context.skip(node, "the type is not known")
        return
    start, merged = _merge(value, bounds)
    if start is not value:
        note = "merged with the one before"
    elif node.op_type == "Clip" and merged == (0.0, np.inf):
        note = "is Relu"
    else:
        return
    if context.rewrite(node, note):
        _put(node, start, merged)


def _as_relu(node: ir.Node, context: PassContext) -> None:
    if context.rewrite(node, "is Relu"):
        _put(node, node.inputs[0], (0.0, np.inf))


def _is_pinned(node: ir.Node, value: ir.Value) -> bool:
    public = value.is_graph_input() or value.is_graph_output() or value.graph is not node.graph
    return node.outputs[0].is_graph_output() and public


def _merge(value: ir.Value, bounds: tuple[float, float]) -> tuple[ir.Value, tuple[float, float]]:
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
        low, high = (float(np.clip(each, *bounds)) for each in inner)
        value, bounds, producer = source, (low, high), source.producer()
    return value, bounds


def _bounds(node: ir.Node) -> tuple[float, float] | None:
    if node.op_type == "Relu":
        return 0.0, np.inf
    if "min" in node.attributes or "max" in node.attributes:
        return editing.attribute(node, "min", -np.inf), editing.attribute(node, "max", np.inf)
    found = []
    for index, default in ((1, -np.inf), (2, np.inf)):
        value = editing.input_at(node, index)
        number = default if value is None else editing.scalar(value)
        if number is None:
            return None
        found.append(number)
    low, high = found
    return None if np.isnan(low) or np.isnan(high) else (low, high)


def _covers(bounds: tuple[float, float], span: tuple[float, float]) -> bool:
    return bounds[0] <= span[0] and span[1] <= bounds[1]


def _range(value: ir.Value) -> tuple[float, float]:
    """An interval that `value` surely lies in (or is NaN)."""
    producer = value.producer()
    while producer is not None and editing.is_op(producer, *_CARRIERS):
        if producer.op_type == "MaxPool" and any(editing.attribute(producer, "pads", ())):
            break  # a window of padding alone would be -∞
        source = producer.inputs[0]
        producer = source.producer() if source is not None else None
    if editing.is_op(producer, *_NEVER_NEGATIVE):
        bounded = producer is not None and producer.op_type in ("Sigmoid", "Softmax", "HardSigmoid")
        return 0.0, 1.0 if bounded else np.inf
    if producer is not None and editing.is_op(producer, "Clip"):
        bounds = _bounds(producer)
        if bounds is not None and bounds[0] <= bounds[1]:
            return bounds
    return -np.inf, np.inf


def _put(node: ir.Node, value: ir.Value | None, bounds: tuple[float, float]) -> None:
    """A Relu or Clip of `value` in the place of `node`."""
    assert value is not None
    chain = [node]
    inner = node.inputs[0].producer() if node.inputs[0] is not None else None
    while (
        inner is not None and inner.outputs[0] is not value and editing.is_op(inner, "Relu", "Clip")
    ):
        chain.append(inner)
        inner = inner.inputs[0].producer() if inner.inputs[0] is not None else None
    output = node.outputs[0]
    if bounds == (0.0, np.inf):
        new = editing.new_node("Relu", [value], before=node, sources=chain, shape=output.shape)
    else:
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
        new = editing.new_node(
            "Clip", [value, *limits], before=node, sources=chain, shape=output.shape
        )
    editing.replace_value(output, new)
    editing.remove_dead([node])


def _scalar(bound: float, value: ir.Value) -> NDArray[np.generic]:
    assert value.dtype is not None
    return np.array(bound, dtype=value.dtype.numpy())

"""What does not depend on the inputs, computed now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core import editing
from lprc.core.contract import exact
from lprc.core.evaluate import evaluate
from lprc.core.numerics import RunError
from lprc.core.options import option
from lprc.core.pass_base import Pass, PassContext
from lprc.core.shape_values import ShapeValues

_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli")
_NEVER = frozenset((*_RANDOM, "Multinomial", "Dropout"))
_QUANTISED = frozenset(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"))


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Evaluate nodes whose inputs are constant, and shape arithmetic on known dimensions.

    ONNX Runtime evaluates, all nodes of a graph in one run. Random operators, control flow,
    QuantizeLinear and DequantizeLinear (they say where a graph is quantised) and operators of
    other domains stay. So does what would make the model larger by more than `max-bytes`.

    Enters subgraphs.
    """

    name = "fold-constants"
    contract = exact
    max_bytes: int = option(1_000_000, "how many bytes larger than its inputs a result may be")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Fold each graph: first the shape arithmetic, then the rest."""
        for graph in editing.graphs(model):
            _fold_shapes(graph, context)
            chosen = self._choose(graph, context)
            if chosen:
                _fold(graph, chosen, dict(model.graph.opset_imports), context)

    def _choose(self, graph: ir.Graph, context: PassContext) -> list[ir.Node]:
        """The nodes to evaluate, in topological order."""
        chosen: list[ir.Node] = []
        folded: dict[int, int] = {}
        for node in graph:
            sizes = [_constant_bytes(value, folded) for value in node.inputs if value is not None]
            if None in sizes or not _may_fold(node) or (not sizes and node.op_type == "Constant"):
                continue
            if any(value.is_graph_output() for value in node.outputs):
                context.skip(node, "is a graph output")
                continue
            made = _output_bytes(node)
            taken = sum(size for size in sizes if size is not None)
            if (made is None and taken > self.max_bytes) or (
                made is None and node.op_type in _UNBOUNDED
            ):
                context.skip(node, "the result's size is not known")
            elif made is not None and made > taken + self.max_bytes:
                context.skip(node, "the result is too large")
            elif context.rewrite(node, "evaluated"):
                chosen.append(node)
                for value in node.outputs:
                    folded[id(value)] = made if made is not None else taken
        return chosen


_UNBOUNDED = frozenset(
    [
        "ConstantOfShape",
        "Expand",
        "Tile",
        "Range",
        "Pad",
        "Resize",
        "Upsample",
        "OneHot",
        "EyeLike",
        "Gather",
        "GatherND",
        "MatMul",
        "Gemm",
        "Einsum",
        "CenterCropPad",
        "Col2Im",
    ]
)
"""Operators whose result can be far larger than their inputs."""


def _may_fold(node: ir.Node) -> bool:
    if node.domain not in editing.ONNX_DOMAIN or node.op_type in _NEVER | _QUANTISED:
        return False
    if "Sequence" in node.op_type or "Optional" in node.op_type:
        return False
    plain = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    return not any(
        attribute.type in plain or attribute.ref_attr_name is not None
        for attribute in node.attributes.values()
    )


def _constant_bytes(value: ir.Value, folded: dict[int, int]) -> int | None:
    """The size of an initialiser or of what will be one; None if it is not constant."""
    if id(value) in folded:
        return folded[id(value)]
    if value.is_graph_input() or not value.is_initializer() or value.const_value is None:
        return None
    return value.const_value.nbytes


def _output_bytes(node: ir.Node) -> int | None:
    total = 0
    for value in node.outputs:
        shape = editing.static_shape(value)
        if shape is None or value.dtype is None or value.dtype == ir.DataType.STRING:
            return None
        total += int(np.prod(shape, dtype=object) * max(1.0, value.dtype.itemsize))
    return total


def _fold_shapes(graph: ir.Graph, context: PassContext) -> None:
    values = ShapeValues()
    for node in list(graph):
        found = values.visit(node)
        if found is None or any(element is None for element in found):
            continue
        output = node.outputs[0]
        if output.is_graph_output() or not output.uses():
            continue
        rank = _rank_of_shape_value(node)
        if rank is not None and context.rewrite(node, f"is {found}"):
            array = np.array(found, dtype=np.int64)
            _replace(graph, node, [array.reshape(()) if rank == 0 else array])


def _rank_of_shape_value(node: ir.Node) -> int | None:
    known = editing.rank(node.outputs[0])
    if known is not None:
        return known
    return {"Shape": 1, "Size": 0, "Concat": 1, "Slice": 1}.get(node.op_type)


def _fold(
    graph: ir.Graph, nodes: list[ir.Node], opsets: dict[str, int], context: PassContext
) -> None:
    inside = {id(node) for node in nodes}
    wanted = [
        value
        for node in nodes
        for value in node.outputs
        if any(id(use.node) not in inside for use in value.uses())
    ]
    try:
        arrays = evaluate(nodes, wanted, opsets)
    except RunError:
        arrays = _one_by_one(nodes, opsets, context)
    for node in nodes:
        names = [value.name for value in node.outputs]
        if all(
            name in arrays or not value.uses()
            for name, value in zip(names, node.outputs, strict=True)
        ):
            _replace(graph, node, [arrays.get(name or "") for name in names])
    editing.remove_dead(reversed(nodes))


def _one_by_one(
    nodes: Sequence[ir.Node], opsets: dict[str, int], context: PassContext
) -> dict[str, NDArray[Any]]:
    """Evaluate what can be, where a node among them can't (say, for want of a kernel)."""
    arrays: dict[str, NDArray[Any]] = {}
    done: list[ir.Node] = []
    failed: set[int] = set()
    for node in nodes:
        needed = [value.producer() for value in node.inputs if value is not None]
        if any(id(each) in failed for each in needed if each is not None):
            failed.add(id(node))
            continue
        try:
            arrays.update(evaluate([*done, node], list(node.outputs), opsets))
            done.append(node)
        except RunError:
            failed.add(id(node))
            context.withdraw(node, "ONNX Runtime can't evaluate it")
    return arrays


def _replace(graph: ir.Graph, node: ir.Node, arrays: Sequence[NDArray[Any] | None]) -> None:
    for value, array in zip(node.outputs, arrays, strict=True):
        if array is not None and value.uses():
            constant = editing.add_initializer(graph, f"{value.name}_value", array)
            ir.convenience.replace_all_uses_with(value, constant)
    editing.remove_dead([node])

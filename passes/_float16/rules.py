"""Why a node must stay in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import range_of
from lprc.core.graph.normalization import is_training_normalization
from lprc.core.graph.operators import QDQ, SOFTMAX
from lprc.core.graph.provenance import origins
from lprc.passes._float16.fits import range_misfit, weight_misfit
from lprc.passes._float16.operands import (
    is_away_from_zero,
    is_square,
    is_unsafe_cast,
    summed_elements,
)
from lprc.passes._float16.operators import KNOWN, NEVER, STEEP, SUMS
from lprc.passes._float16.ports import half_inputs, half_outputs, has_unknown_types, is_float
from lprc.passes._float16.scales import scale_misfit

NO_RANGE = "may overflow: no known range"
SMALL_OPERAND = "a small operand loses digits"

_SCATTERS = ("ScatterElements", "ScatterND")

_LARGE_FACTOR = 1024.0
"""A factor that takes what is larger than 64 out of float16."""


@dataclass(frozen=True)
class Kept:
    """The nodes that the user wants to stay in float32, and how careful to be.

    Attributes:
        ops: Operator types.
        nodes: Names of nodes or of source nodes.
        margin: How many times its recorded range a value may take.
        max_reduced: How many elements a reduction may sum in float16.
        half_scales: Whether Q/DQ may have float16 scales.
    """

    ops: frozenset[str]
    nodes: frozenset[str]
    margin: float
    max_reduced: int
    half_scales: bool = True


@dataclass
class Rules:
    """Judges nodes one by one; the answers on weights are remembered."""

    kept: Kept
    opset: int
    _weights: dict[ir.Value, str | None] = field(default_factory=dict)

    def reason(self, node: ir.Node) -> str | None:
        """Why `node`, which has a float32 input or output, stays in float32; None if it need not.

        Looks at the node and its own inputs and outputs only.
        """
        checks: tuple[Callable[[ir.Node], str | None], ...] = (
            self._by_option,
            self._by_form,
            self._by_operator,
            self._by_sum,
            self._by_operands,
            self._by_range,
            self._by_weight,
        )
        return next((reason for check in checks if (reason := check(node))), None)

    def _by_option(self, node: ir.Node) -> str | None:
        if node.op_type in self.kept.ops:
            return "kept by keep-ops"
        if node.op_type in QDQ and not self.kept.half_scales:
            return "kept by scales=float32"
        names = {node.name, *origins(node)}
        return None if self.kept.nodes.isdisjoint(names) else "kept by keep-nodes"

    def _by_form(self, node: ir.Node) -> str | None:
        graphs = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
        if any(attribute.type in graphs for attribute in node.attributes.values()):
            return "has a subgraph"
        if node.domain not in editing.ONNX_DOMAIN:
            return "operator of another domain"
        if has_unknown_types(node, self.opset):
            return "the type is not known"
        if not any(half_inputs(node, self.opset)) and not any(half_outputs(node, self.opset)):
            return "no float16 form in this opset"
        return None

    def _by_operator(self, node: ir.Node) -> str | None:
        if node.op_type in NEVER:
            return NEVER[node.op_type]
        if node.op_type not in KNOWN:
            return "no rule for this operator"
        if node.op_type == "BatchNormalization" and is_training_normalization(node):
            return "normalises by statistics"
        if node.op_type in _SCATTERS and editing.attribute(node, "reduction", "none") != "none":
            return "accumulates without bound"
        makers = (value.producer() for _, value in half_inputs(node, self.opset))
        if any(is_unsafe_cast(maker) for maker in (node, *makers)):
            return "integers of unknown range"
        return None

    def _by_sum(self, node: ir.Node) -> str | None:
        if node.op_type not in SUMS:
            return None
        elements = summed_elements(node)
        if elements is None:
            return "sums an unknown number of elements"
        return "sums too many elements" if elements > self.kept.max_reduced else None

    def _by_operands(self, node: ir.Node) -> str | None:
        if self._may_overflow(node) and not self._ranges_are_known(node):
            return NO_RANGE
        if editing.is_op(node, "Div", "Log", "Reciprocal") and not is_away_from_zero(node):
            return SMALL_OPERAND
        return None

    def _may_overflow(self, node: ir.Node) -> bool:
        if node.op_type in STEEP or node.op_type in SOFTMAX or is_square(node):
            return True
        if node.op_type not in ("Mul", "Div"):
            return False
        divides = node.op_type == "Div"
        for value in node.inputs[1:] if divides else node.inputs:
            array = editing.constant(value)
            if array is None:
                if divides:
                    return True
                continue
            factors = np.abs(array[np.isfinite(array) & (array != 0)])
            if divides:
                factors = 1 / factors
            if factors.size and float(factors.max()) > _LARGE_FACTOR:
                return True
        return False

    def _ranges_are_known(self, node: ir.Node) -> bool:
        return all(
            editing.constant(value) is not None or range_of(value) is not None
            for value in _present(node)
            if is_float(value)
        )

    def _by_range(self, node: ir.Node) -> str | None:
        inputs = (value for _, value in half_inputs(node, self.opset))
        values = (*inputs, *half_outputs(node, self.opset))
        return next(
            (
                reason
                for value in values
                if (reason := range_misfit(range_of(value), self.kept.margin))
            ),
            None,
        )

    def _by_weight(self, node: ir.Node) -> str | None:
        if node.op_type in QDQ:
            return scale_misfit(node)
        for index, value in half_inputs(node, self.opset):
            # A bound of Clip may become Inf: it then bounds nothing, and did so before.
            if (node.op_type != "Clip" or index == 0) and (reason := self._weight_misfit(value)):
                return reason
        return None

    def _weight_misfit(self, value: ir.Value) -> str | None:
        if value not in self._weights:
            array = editing.constant(value)
            self._weights[value] = None if array is None else weight_misfit(array)
        return self._weights[value]


def _present(node: ir.Node) -> Iterable[ir.Value]:
    yield from (value for value in node.inputs if value is not None)
    yield from (value for value in node.outputs if value.name)

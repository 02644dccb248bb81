"""Half precision where it is safe, float32 where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import range_of
from lprc.core.graph.node_names import check_names
from lprc.core.options import option
from lprc.core.passing.contract import approximate, lossy
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._float16.fits import range_misfit
from lprc.passes._float16.neighbours import add_dequantised, add_statistics
from lprc.passes._float16.placement import INDIFFERENT, Placement, is_candidate, regions
from lprc.passes._float16.ports import half_inputs, half_outputs, is_float
from lprc.passes._float16.rewrite import Rewriter
from lprc.passes._float16.rules import Kept, Rules


@dataclass(frozen=True)
class ConvertFloat16(Pass):
    """Compute in float16 wherever ranges and precision allow it, with few Casts between.

    Weights become float16 initialisers. A node stays in float32 if its values, by the ranges that
    ``calibrate`` recorded, overflow float16 or fall below its normal numbers, or if its weights
    do; without ranges, also if its operator is known to overflow (squares, Exp, Pow, Softmax).
    Normalisation, sums over many elements such as LPRNet's mean(f²), and what applies their
    results stay in float32 always. So does control flow; subgraphs are not entered.

    From opset 19 on, QuantizeLinear and DequantizeLinear get float16 scales, and no Cast comes
    between them and the linear operators that they feed. Weight scales below float16's normal
    numbers are raised to 2^-14 where that hardly moves the weight. ONNX Runtime before 1.30
    truncates in a float16 QuantizeLinear; ``scales=float32`` is for it, and for older opsets.

    The runtime is taken to add up Conv, Gemm and MatMul in float32, as tensor cores do.
    """

    name = "convert-fp16"
    # Each operator rounds by 2^-11; 40 in a row that all err one way make 2e-2.
    contract = approximate(2e-2)

    keep_io: bool = option(True, "graph inputs and outputs stay float32, with Casts behind them")
    keep_ops: tuple[str, ...] = option((), "operator types that stay in float32")
    keep_nodes: tuple[str, ...] = option((), "nodes, or source nodes, that stay in float32")
    margin: float = option(2.0, "how many times its calibrated range a value may take")
    max_reduced: int = option(64, "how many elements a sum, mean or Softmax may take in float16")
    scales: Literal["float16", "float32"] = option(
        "float16", "type of Q/DQ scales: float32 ones are exact, and have Casts around them"
    )
    promise: Literal["outputs", "accuracy"] = option(
        "outputs",
        "what is held to: with Q/DQ in the graph, where rounding flips integers, accuracy",
    )

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            ValueError: `margin` is below 1 or `max_reduced` is negative.
        """
        if not self.margin >= 1:
            raise ValueError("margin is below 1")
        if self.max_reduced < 0:
            raise ValueError("max-reduced is negative")
        if self.promise == "accuracy":
            object.__setattr__(self, "contract", lossy("accuracy"))  # of this pass, not the class

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Convert the main graph.

        Raises:
            UsageError: `keep_nodes` names a node that the model does not have.
        """
        graph, opset = model.graph, editing.opset_version(model)
        if opset < 13:
            context.skip(None, "opset is older than 13")
            return
        check_names(graph, self.keep_nodes, "convert-fp16{keep-nodes}")
        kept = Kept(
            frozenset(self.keep_ops),
            frozenset(self.keep_nodes),
            self.margin,
            self.max_reduced,
            self.scales == "float16",
        )
        rules = Rules(kept, opset)
        candidates = [node for node in graph if is_candidate(node)]
        reasons = {node: reason for node in candidates if (reason := rules.reason(node))}
        add_statistics(candidates, reasons)
        if kept.half_scales:
            add_dequantised(candidates, reasons)
        half_io = set() if self.keep_io else set(self._convertible_io(graph, context))
        half = Placement(candidates, reasons, half_io, opset).half() if candidates else set()
        for node in candidates:
            if node in reasons:
                context.skip(node, reasons[node])
            elif node not in half and node.op_type not in INDIFFERENT:
                context.skip(node, "fewer Casts in float32")
        half, half_io = _announced(graph, half, half_io, opset, context)
        if half or half_io:
            Rewriter(graph, opset).convert(half, half_io)

    def _convertible_io(self, graph: ir.Graph, context: PassContext) -> Iterator[ir.Value]:
        for value in dict.fromkeys((*graph.inputs, *graph.outputs)):
            if not is_float(value) or value.is_initializer():
                continue
            reason = range_misfit(range_of(value), self.margin)
            if reason is None:
                yield value
            else:
                context.skip(value.producer(), f"graph input or output: {reason}")


def _announced(
    graph: ir.Graph,
    half: set[ir.Node],
    half_io: set[ir.Value],
    opset: int,
    context: PassContext,
) -> tuple[set[ir.Node], set[ir.Value]]:
    """As much of `half` and `half_io` as may be rewritten."""
    allowed_io = set()
    for value in graph.inputs:
        if value in half_io and context.rewrite(None, f"input {value.name} in float16"):
            allowed_io.add(value)
    allowed: set[ir.Node] = set()
    for region in regions(
        half, graph, lambda node: (value for _, value in half_inputs(node, opset))
    ):
        count = "1 node" if len(region) == 1 else f"{len(region)} nodes"
        if context.rewrite(region[0], f"{count} in float16"):
            allowed.update(region)
    for value in graph.outputs:
        if value not in half_io or value in allowed_io:
            continue
        producer = value.producer()
        if producer is None or producer.op_type == "Constant":
            continue
        is_half = producer in allowed and value in half_outputs(producer, opset)
        if is_half or context.rewrite(producer, "output in float16"):
            allowed_io.add(value)
    return allowed, allowed_io

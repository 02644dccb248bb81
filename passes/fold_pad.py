"""Pad with zeros, done by the Conv or pool behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.provenance import inherit
from lprc.core.passing.contract import exact_if_finite
from lprc.core.passing.pass_base import Pass, PassContext

_PADDING = ("Conv", "AveragePool", "MaxPool")


@dataclass(frozen=True)
class FoldPad(Pass):
    """Let a Conv or pool pad what a Pad in front pads for it alone.

    The Pad puts constants around the spatial axes: zeros for a Conv or AveragePool, -Inf for a
    MaxPool. An AveragePool then counts them (``count_include_pad``); one that pads by itself must
    do so already. Pools that round their output up stay, and so does a pool whose windows would
    start in the padding alone, which ONNX Runtime refuses.

    Enters subgraphs.
    """

    name = "fold-pad"
    contract = exact_if_finite
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Fold each Pad that can be; skip those in front of a Conv or pool that can't."""
        for graph in editing.graphs(model):
            for node in list(graph):
                if editing.is_op(node, "Pad") and node.graph is graph:
                    _fold(node, context)


def _fold(node: ir.Node, context: PassContext) -> None:
    user = editing.sole_user(node.outputs[0])
    if user is None or not editing.is_op(user, *_PADDING) or user.graph is not node.graph:
        return
    if user.inputs[0] is not node.outputs[0]:
        return
    pads = _spatial_pads(node, user)
    reason = pads if isinstance(pads, str) else _why_not(user, pads)
    if reason is not None:
        context.skip(node, reason)
    elif context.rewrite(node, f"done by {user.name}"):
        total = np.add(_own_pads(user, len(pads)), pads).tolist()
        user.attributes.pop("auto_pad", None)
        user.attributes["pads"] = ir.AttrInt64s("pads", total)
        if user.op_type == "AveragePool":
            user.attributes["count_include_pad"] = ir.AttrInt64("count_include_pad", 1)
        inherit(user, [node])
        source = node.inputs[0]
        assert source is not None
        editing.replace_value(node.outputs[0], source)
        editing.remove_dead([node])


def _spatial_pads(node: ir.Node, user: ir.Node) -> list[int] | str:
    """How many elements to add in front of and behind each spatial axis, or why that is not all."""
    array = editing.constant(editing.input_at(node, 1))
    numbers = (
        editing.attribute(node, "pads") if array is None else list(map(int, array.reshape(-1)))
    )
    rank = editing.rank(node.inputs[0])
    if numbers is None or rank is None or editing.input_at(node, 3) is not None:
        return "the pads or their axes are not known"
    if len(numbers) != 2 * rank:
        return "the pads or their axes are not known"
    if editing.attribute(node, "mode", "constant") != "constant":
        return "it does not pad with a constant"
    if _fill(node) != (-np.inf if user.op_type == "MaxPool" else 0.0):
        return "the constant is not what the operator pads with"
    front, behind = numbers[:rank], numbers[rank:]
    if any(front[:2] + behind[:2]) or min(numbers, default=0) < 0:
        return "it pads the batch or channels, or takes away"
    return [int(number) for number in front[2:] + behind[2:]]


def _fill(node: ir.Node) -> float | None:
    value = editing.input_at(node, 2)
    number = editing.attribute(node, "value", 0.0) if value is None else editing.scalar(value)
    return None if number is None else float(number)


def _why_not(user: ir.Node, pads: list[int]) -> str | None:
    if editing.attribute(user, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return "the operator pads by its own rule"
    if user.op_type == "Conv":
        return None
    if editing.attribute(user, "ceil_mode", 0):
        return "the pool rounds its output up"
    own = _own_pads(user, len(pads))
    counts = bool(editing.attribute(user, "count_include_pad", 0))
    if user.op_type == "AveragePool" and any(own) and not counts:
        return "the pool leaves out what it pads itself"
    kernel = [*editing.attribute(user, "kernel_shape")] * 2
    if any(have + more >= size for have, more, size in zip(own, pads, kernel, strict=True)):
        return "the pool pads as far as its window is long"
    return None


def _own_pads(user: ir.Node, count: int) -> list[int]:
    given = editing.attribute(user, "pads")
    valid = editing.attribute(user, "auto_pad", "NOTSET") == "VALID"
    return [0] * count if given is None or valid else list(given)

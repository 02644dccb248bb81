"""Older operator sets, raised to the one that the other passes are written for."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_ir as ir

from lprc.core.graph import editing, shapes
from lprc.core.graph.origin_map import OriginMap
from lprc.core.graph.vendor_conversion import convert_version
from lprc.core.options import option
from lprc.core.passing.contract import exact_if_finite
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._forms.opset_repairs import known_values, repair


@dataclass(frozen=True)
class ConvertOpset(Pass):
    """Raise an ONNX operator set older than `minimum` to `version` (onnx.version_converter).

    The other passes are right from 13 on, so a newer one stays as it is. Large weights do not go
    through the converter. Nodes keep their names; one that the converter adds comes from the node
    that it feeds.
    """

    name = "convert-opset"
    contract = exact_if_finite
    version: int = option(20, "the version to raise to")
    minimum: int = option(13, "the oldest version that stays")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Convert the whole model at once, or leave it alone and say why."""
        old = editing.opset_version(model)
        if old >= min(self.minimum, self.version):
            return
        reason = _why_not(model, old)
        if reason is not None:
            context.skip(None, reason)
            return
        try:
            values_before = known_values(model)
            converted = convert_version(shapes.skeleton(model), self.version)
            reason = repair(converted, values_before, old)
            onnx.checker.check_model(converted)
        except _FAILURES as error:
            reason = f"opset {old} can't be converted: {_first_line(error)}"
        if reason is not None:
            context.skip(None, reason)
        elif context.rewrite(None, f"from opset {old}"):
            _take_over(model, ir.serde.deserialize_model(converted))


_FAILURES = (
    RuntimeError,
    ValueError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)


def _why_not(model: ir.Model, old: int) -> str | None:
    """Why a model must stay as it is that onnx.version_converter would give another meaning."""
    if model.functions:
        return "the model has functions: inline-functions runs first"
    for node in model.graph.all_nodes():
        if old < 9 and editing.is_op(node, "Scan"):
            # onnx.version_converter keeps Scan's batch, which opset 9 took away.
            return "Scan of opset 8 has a batch"
        masks = node.outputs[1:] if old < 12 and editing.is_op(node, "Dropout") else ()
        if any(mask.uses() or mask.is_graph_output() for mask in masks):
            return "the mask of Dropout has another meaning since opset 12"
    return None


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    # The converter's messages begin with the C++ source that raised them.
    return text.rpartition("Assertion ")[2][:160]


def _take_over(model: ir.Model, converted: ir.Model) -> None:
    """Make the converted graph `model`'s own, with the weights, names and origins of the old."""
    old, new = model.graph, converted.graph
    origin_map = OriginMap(model)
    taken = {node.name for node in old.all_nodes() if node.name}
    old_inputs = {value.name for value in old.inputs}
    for value in [value for value in new.inputs if value.name not in old_inputs]:
        new.inputs.remove(value)
        _adopt(new, value, old.initializers[str(value.name)].const_value)
    for value in new.inputs:
        initializer = old.initializers.get(value.name or "")
        if initializer is not None and not value.is_initializer():
            _adopt(new, value, initializer.const_value)
    new.name = old.name
    new.metadata_props.update(old.metadata_props)
    model.graph = new
    # IR version 10 came with opset 21; what an older version allowed, a newer one does too.
    model.ir_version = max(model.ir_version or 0, converted.ir_version or 0)
    origin_map.restore(model)
    _name_new_nodes(new, taken)


def _adopt(graph: ir.Graph, value: ir.Value, tensor: ir.TensorProtocol | None) -> None:
    value.const_value = tensor
    graph.register_initializer(value)


def _name_new_nodes(graph: ir.Graph, taken: set[str]) -> None:
    for number, node in enumerate(graph.all_nodes()):
        if node.name:
            continue
        name = f"{node.op_type}_opset_{number}"
        while name in taken:
            name += "_"
        node.name = name
        taken.add(name)

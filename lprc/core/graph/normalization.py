"""BatchNormalization that does more than its name says."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.graph import editing


def is_training_normalization(node: ir.Node) -> bool:
    """Whether a BatchNormalization normalises by the statistics of its input.

    Since opset 14 an attribute says so; before, that the node has more outputs than one.
    """
    return bool(editing.attribute(node, "training_mode", 0)) or any(
        value.name for value in node.outputs[1:]
    )

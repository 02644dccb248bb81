"""The channels that pruning left to each layer, written down beside the model as it was before."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from lprc.core.passing.reference import reference
from lprc.passes._pruning.edits import Keep
from lprc.passes._pruning.trace import Trace


def record(model: ir.Model, trace: Trace, keep: Keep) -> None:
    """Write down which output channels of each layer stay."""
    before = reference(model)
    assert before is not None
    for layer in trace.layers:
        name = layer.node.outputs[0].name
        if layer.outputs is None or name is None:
            continue
        kept = np.flatnonzero(keep[layer.outputs])
        if len(kept) < layer.outputs.size or name in before.kept:
            before.kept[name] = before.kept[name][kept] if name in before.kept else kept

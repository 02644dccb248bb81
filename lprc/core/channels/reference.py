"""The model as it was before channels were removed, for those who repair what is left."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from lprc.core import model_io
from lprc.core.channels.edits import Keep
from lprc.core.channels.trace import Trace
from lprc.core.channels.union import Ids

_KEY = "lprc.reference"


@dataclass
class Reference:
    """What the model was.

    Attributes:
        model: A copy of it.
        kept: For outputs of layers that lost channels, by name: which are left.
    """

    model: ir.Model
    kept: dict[str, Ids] = field(default_factory=dict)


def reference(model: ir.Model) -> Reference | None:
    """What `model` was before the first pass that removed channels in this run; None if none did.

    It is not written into files.
    """
    found = model.meta.get(_KEY)
    return found if isinstance(found, Reference) else None


def remember(model: ir.Model) -> None:
    """Keep a copy of `model`, unless there is one already; call it before changing the model."""
    if reference(model) is None:
        model.meta[_KEY] = Reference(model_io.from_proto(model_io.to_proto(model)))


def restore(model: ir.Model, found: Reference) -> None:
    """Let `model`, which was read from a file, have the reference that it had before."""
    model.meta[_KEY] = found


def record(model: ir.Model, trace: Trace, keep: Keep) -> None:
    """Write down which output channels of each layer stay."""
    found = reference(model)
    assert found is not None
    for layer in trace.layers:
        name = layer.node.outputs[0].name
        if layer.outputs is None or name is None:
            continue
        kept = np.flatnonzero(keep[layer.outputs])
        if len(kept) < layer.outputs.size or name in found.kept:
            found.kept[name] = found.kept[name][kept] if name in found.kept else kept

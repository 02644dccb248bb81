"""Run one pass on a model, as the manager does."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from lprc.core.graph import editing, provenance
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.running.numerics import Arrays


def apply_pass(
    model: ir.Model, item: Pass, *, calibration: Sequence[Arrays] = (), limit: int | None = None
) -> PassContext:
    context = PassContext(rewrite_limit=limit, calibration=calibration)
    provenance.stamp(model)
    editing.share_names(model)
    item.run(model, context)
    return context

"""Run one pass on a model, as the manager does."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from lprc.core import editing, provenance
from lprc.core.numerics import Arrays
from lprc.core.pass_base import Pass, PassContext


def apply_pass(
    model: ir.Model, item: Pass, *, calibration: Sequence[Arrays] = (), limit: int | None = None
) -> PassContext:
    context = PassContext(rewrite_limit=limit, calibration=calibration)
    provenance.stamp(model)
    editing.share_names(model)
    item.run(model, context)
    return context

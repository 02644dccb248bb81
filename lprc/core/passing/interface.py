"""What a whole pipeline does to a model's inputs and outputs, found without running all of it."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.graph import editing, provenance
from lprc.core.passing.pass_base import PassContext
from lprc.core.passing.pipeline import Pipeline
from lprc.core.passing.translation import Translation, Translations


def translations_of(model: ir.Model, pipeline: Pipeline) -> Translations:
    """How inputs and outputs of `model` become those of what `pipeline` makes of it.

    Only the passes that change the interface run, on a copy: those between leave inputs and outputs
    as they are.

    Raises:
        LprcError: One of them can't be applied to the model.
    """
    parts: list[Translation] = []
    copy = model.clone()
    provenance.stamp(copy)
    for item in pipeline.passes:
        if not item.changes_interface:
            continue
        part, context = item.translation(copy), PassContext()
        editing.share_names(copy)
        item.run(copy, context)
        if part is not None and context.rewrites:
            parts.append(part)
    return Translations(parts)

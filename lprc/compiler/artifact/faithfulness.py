"""What excuses an artefact whose outputs are not those of its lowered graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from lprc.core.quantization.recognise import quantized_form
from lprc.core.running.as_true import farther_from_float
from lprc.core.running.decisions import decided_outputs, share_of_others
from lprc.core.running.found_boxes import outputs_of_boxes, share_of_other_boxes
from lprc.core.running.noise import beyond_rounding
from lprc.core.running.numerics import Arrays, OutputDelta, rounding
from lprc.core.running.runner import Runs


def unexplained(
    far: list[OutputDelta],
    runs: Sequence[tuple[Arrays, Arrays, Arrays]],
    tolerance: float,
    *,
    lowered: ir.Model,
    reference: Runs,
    source: Callable[[], Runs] | None,
) -> tuple[list[OutputDelta], list[OutputDelta]]:
    """Those of `far` that nothing excuses; and those that only rounding may, the former among them.

    Of an output that follows from comparing scores, such as a mask, a share of `tolerance` of the
    elements may be others; of boxes, those that have that share of all scores.

    Args:
        far: Outputs that moved by more than `tolerance`.
        runs: Inputs, the lowered graph's outputs and the artefact's.
        tolerance: As of `OutputDelta.within`.
        lowered: The graph.
        reference: It, loaded.
        source: Opens the float model, which a quantised artefact may be as near to; None where it
            is not at hand.
    """
    decided = decided_outputs(lowered) if far else frozenset()
    boxes = outputs_of_boxes(lowered) if far else frozenset()
    alike = [
        delta
        for delta in far
        if (delta.name in decided and share_of_others(delta.name, runs) <= tolerance)
        or (delta.name in boxes and share_of_other_boxes(delta.name, runs) <= tolerance)
    ]
    excused = {delta.name for delta in alike}
    far = [delta for delta in far if delta.name not in excused]
    if far and source is not None and quantized_form(lowered) is not None:
        pairs = [(wanted, outputs) for _, wanted, outputs in runs]
        far = farther_from_float(far, pairs, [sample for sample, _, _ in runs], source)
    bad = beyond_rounding(runs, tolerance, reference, rounding(lowered)) if far else []
    return [delta for delta in bad if delta.name not in excused], [*far, *alike]

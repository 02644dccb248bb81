"""Outputs that follow from comparing floats, so that a last digit may decide between two of them.

A class, a mask, a text or a list of boxes does not move a little when scores do: it stays, or it is
another one. How many elements are others tells then what a distance tells of scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import COMPARISONS
from lprc.core.graph.subgraphs import values_read
from lprc.core.running.numerics import Arrays

_CHOOSES = frozenset({"ArgMax", "ArgMin", "NonMaxSuppression", "NonZero", "TopK"})
"""Operators that put out places by comparing values."""

_ARRANGES = frozenset({"NonMaxSuppression", "TopK"})
"""Those that decide in which order floats come, too."""


def decided_outputs(model: ir.Model) -> frozenset[str]:
    """The outputs, by name, that scores decide.

    Those are integers and Booleans behind a comparison of floats, and floats that were put into an
    order by one.
    """
    decided: set[ir.Value] = set()
    arranged: set[ir.Value] = set()
    for node in model.graph:
        read = list(values_read(node))
        if _decides(node) or not decided.isdisjoint(read):
            decided.update(node.outputs)
        if editing.is_op(node, *_ARRANGES) or not arranged.isdisjoint(read):
            arranged.update(node.outputs)
    return frozenset(
        str(value.name)
        for value in model.graph.outputs
        if value in (arranged if value.dtype in _FLOATS else decided)
    )


_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)


def _decides(node: ir.Node) -> bool:
    if editing.is_op(node, *_CHOOSES):
        return True
    of_floats = bool(node.inputs) and node.inputs[0] is not None and node.inputs[0].dtype in _FLOATS
    to_integers = editing.is_op(node, "Cast") and node.outputs[0].dtype not in _FLOATS
    return of_floats and (to_integers or editing.is_op(node, *COMPARISONS))


def share_of_others(name: str, runs: Sequence[tuple[Arrays, Arrays, Arrays]]) -> float:
    """Which part of a decided output's elements differs, over several runs; 1 for other shapes.

    Floats differ where they are apart by more than a thousandth.

    Args:
        name: The output.
        runs: Inputs, the outputs that were wanted, and those that came.
    """
    different = total = 0
    for _, wanted, came in runs:
        left, right = np.asarray(wanted[name]), np.asarray(came.get(name))
        if left.shape != right.shape or left.dtype != right.dtype:
            return 1.0
        apart = ~np.isclose(left, right, 1e-3, 1e-6) if left.dtype.kind == "f" else left != right
        different, total = different + int(apart.sum()), total + left.size
    return different / max(total, 1)

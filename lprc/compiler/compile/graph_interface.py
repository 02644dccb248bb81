"""What a graph takes and gives, for tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.running.numerics import Session
from lprc.core.tasks.interface import Interface, Run


def interface_of_graph(model: ir.Model, where: str, run: Run | None = None) -> Interface:
    """The interface of a graph.

    Args:
        model: The graph.
        where: What to call it in errors.
        run: Runs it; None loads it in ONNX Runtime where a task asks for it.
    """
    inputs = [value for value in model.graph.inputs if not value.is_initializer()]
    return Interface(
        inputs={
            str(value.name): tuple(
                editing.dimension(value, axis) for axis in range(editing.rank(value) or 0)
            )
            for value in inputs
        },
        dtypes={str(value.name): _dtype(value) for value in inputs},
        outputs=[str(value.name) for value in model.graph.outputs],
        where=where,
        run=run or (lambda arrays: Session(model).run(arrays)),
    )


def _dtype(value: ir.Value) -> np.dtype[Any]:
    try:
        return np.dtype(value.dtype.numpy()) if value.dtype is not None else np.dtype(object)
    except TypeError:  # a type that numpy does not have
        return np.dtype(object)

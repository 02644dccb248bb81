"""Sizes that a graph leaves open: which they are, and samples that show them to torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import torch

from lprc.core.torch_graph.inference import graph_inputs


def open_axes(model: ir.Model) -> list[dict[int, str]]:
    """For each input its axes without a fixed size, with a name that equal sizes share."""
    return [
        {
            axis: _name(size, f"{value.name}:{axis}")
            for axis, size in enumerate(value.shape or ())
            if not isinstance(size, int)
        }
        for value in graph_inputs(model)
    ]


def repeated(sample: Mapping[str, np.ndarray], model: ir.Model, times: int) -> list[torch.Tensor]:
    """The sample in the order of the inputs, with open sizes of 1 made `times` as large.

    torch takes a size of 1 that it sees for a fixed one.
    """
    tensors = []
    for value, axes in zip(graph_inputs(model), open_axes(model), strict=True):
        array = np.asarray(sample[str(value.name)])
        for axis in axes:
            if array.shape[axis] == 1:
                array = np.repeat(array, times, axis)
        tensors.append(torch.from_numpy(np.array(array, order="C")))
    return tensors


def exported_dimensions(model: ir.Model) -> tuple[dict[int, torch.export.Dim], ...] | None:
    """What `torch.export` is told of open sizes; None where there are none."""
    axes = open_axes(model)
    if not any(axes):
        return None
    names = list(dict.fromkeys(name for by_axis in axes for name in by_axis.values()))
    dimensions = {name: torch.export.Dim(f"size_{at}", min=1) for at, name in enumerate(names)}
    return tuple({axis: dimensions[name] for axis, name in by_axis.items()} for by_axis in axes)


def _name(size: ir.SymbolicDim, place: str) -> str:
    return place if size.value is None else str(size.value)

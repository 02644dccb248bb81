"""The operators that make one table of a detector's output: a row for each place of a box."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from lprc.core.tasks.arrangement import Arrangement
from lprc.passes._images.operators import Operators


def arranged(way: Arrangement, tail: Operators, value: ir.Value, name: str) -> ir.Value:
    """The output `value` as float32 [N, places, channels]."""
    assert value.shape is not None
    if way.split is not None:
        value = _reshape(tail, value, f"{name}_split", way.split)
    if way.order is not None:
        assert value.shape is not None
        shape = [value.shape[axis] for axis in way.order]
        attributes = {"perm": list(way.order)}
        value = tail.add("Transpose", [value], f"{name}_turned", shape, attributes=attributes)
    assert value.shape is not None
    if tuple(value.shape)[1:] != way.shape:
        value = _reshape(tail, value, f"{name}_places", way.shape)
    return value


def _reshape(tail: Operators, value: ir.Value, name: str, shape: Sequence[int]) -> ir.Value:
    assert value.shape is not None
    wanted = tail.integers(f"{name}_shape", [0, *shape])
    return tail.add("Reshape", [value, wanted], name, [value.shape[0], *shape])

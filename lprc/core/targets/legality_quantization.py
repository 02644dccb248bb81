"""Rules about single QuantizeLinear and DequantizeLinear nodes: their types, scales and axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.operators import SINCE
from lprc.core.graph.provenance import describe
from lprc.core.quantization.qdq import (
    Qdq,
    element_type,
    is_bias,
    qdq,
    role,
    weight_axis,
)
from lprc.core.targets.legality_finding import Check, Finding, nodes


def _each(model: ir.Model, details: Callable[[Qdq], Iterator[str]]) -> Iterator[Finding]:
    for node in nodes(model):
        found = qdq(node)
        if found is not None:
            for detail in details(found):
                yield describe(node), f" ({detail})"


def _zero_point(model: ir.Model, allowed: str) -> Iterator[Finding]:
    return _each(model, lambda node: _zero_point_details(node, allowed))


def _zero_point_details(node: Qdq, allowed: str) -> Iterator[str]:
    if node.zero_point is None:
        return
    said = element_type(node.zero_point)
    others = [("the quantised values", node.dtype)]
    if node.quantizes:
        attribute = editing.attribute(node.node, "output_dtype", 0)
        others = [("output_dtype", ir.DataType(attribute) if attribute else None)]
        others.append(("the result", node.output.dtype))
    for what, dtype in others:
        if said is not None and dtype is not None and said != dtype:
            yield f"the zero point is {said.name}, {what} {dtype.name}"
    array = editing.constant(node.zero_point)
    if array is None:
        yield f"the zero point '{node.zero_point.name}' is not constant"
        return
    shape = editing.static_shape(node.scale)
    if shape is not None and shape != array.shape and not array.size == np.prod(shape) == 1:
        yield f"the zero point has shape {list(array.shape)}, the scale {list(shape)}"
    # ONNX knows no other zero point of these; ONNX Runtime refuses one.
    always = node.dtype is not None and (
        node.dtype == ir.DataType.INT32 or node.dtype.is_floating_point()
    )
    wrong = np.flatnonzero(array.astype(np.float32))
    if wrong.size and (allowed == "zero" or always):
        yield f"zero point {_elements(array.astype(np.float32), wrong)}"


def _elements(array: NDArray[Any], wrong: NDArray[Any]) -> str:
    """The first of the elements `wrong` of `array`, where it is, and how many more there are."""
    text = f"{array.reshape(-1)[wrong[0]]:.6g}"
    if array.size > 1:
        text += f" at element {wrong[0]} of {array.size}"
    return text + (f", and {wrong.size - 1} more" if wrong.size > 1 else "")


def _types(
    model: ir.Model, activations: tuple[str, ...], weights: tuple[str, ...]
) -> Iterator[Finding]:
    def details(node: Qdq) -> Iterator[str]:
        which = role(node)
        if node.dtype is None or which == "bias":  # a bias has a rule of its own
            return
        allowed = activations if which == "activation" else weights
        if node.dtype.name in allowed:
            return
        unsaid = (
            node.quantizes
            and node.zero_point is None
            and not editing.attribute(node.node, "output_dtype", 0)
        )
        why = ": without a zero point ONNX means UINT8" if unsaid else ""
        article = "an activation" if which == "activation" else "a weight"
        yield f"{article} of {node.dtype.name}{why}"

    return _each(model, details)


def _scale(model: ir.Model, float16: bool) -> Iterator[Finding]:
    return _each(model, lambda node: _scale_details(node, float16))


def _scale_details(node: Qdq, float16: bool) -> Iterator[str]:
    array = editing.constant(node.scale)
    if array is None:
        yield f"the scale '{node.scale.name if node.scale else ''}' is not constant"
        return
    dtype = array.dtype
    wide = array.astype(np.float64)
    for wrong, what in ((~np.isfinite(wide), "not finite"), (wide <= 0, "not positive")):
        if wrong.any():
            yield f"scale {_elements(wide, np.flatnonzero(wrong))}, which is {what}"
            return
    if float16 and dtype != np.float16:
        with np.errstate(over="ignore"):
            narrow = wide.astype(np.float16).astype(np.float64)
        for wrong, what in (
            (narrow == 0, "0"),
            (np.isinf(narrow), "infinite"),
            (narrow < _SMALLEST_NORMAL["FLOAT16"], "subnormal"),
        ):
            if wrong.any():
                yield f"scale {_elements(wide, np.flatnonzero(wrong))}, {what} as FLOAT16"
                return
    name = ir.DataType.from_numpy(dtype).name
    subnormal = wide < _SMALLEST_NORMAL.get(name, 0.0)
    if subnormal.any():
        yield f"scale {_elements(wide, np.flatnonzero(subnormal))}, subnormal as {name}"


_SMALLEST_NORMAL = {"FLOAT": 2.0**-126, "BFLOAT16": 2.0**-126, "FLOAT16": 2.0**-14}


def _axis(model: ir.Model, axes: str, blocks: str) -> Iterator[Finding]:
    opset = editing.opset_version(model)
    return _each(model, lambda node: _axis_details(node, axes, blocks, opset))


def _axis_details(node: Qdq, axes: str, blocks: str, opset: int) -> Iterator[str]:
    shape = editing.static_shape(node.scale)
    if shape is None or (node.block_size == 0 and np.prod(shape) == 1):
        return
    if node.block_size < 0 or (node.block_size == 0 and len(shape) > 1):
        yield f"a scale of shape {list(shape)} with block_size {node.block_size}"
        return
    if node.block_size and opset < 21:
        yield f"block_size needs opset 21, the model has {opset}"
    sizes = node.sizes
    if sizes is None:
        yield "the rank of what it quantises is unknown"
        return
    rank = len(sizes)
    if not -rank <= node.axis < rank:
        yield f"axis {node.axis} of {rank} dimensions"
        return
    axis = node.axis % rank
    yield from _scale_shape(node, axis, shape, sizes)
    where = blocks if node.block_size else axes
    what = "blocks" if node.block_size else "a scale for each element of an axis"
    if where == "none":
        yield f"{what} of axis {axis}" if node.block_size else f"{what}, {axis}"
    elif where == "weights" and role(node) == "activation":
        yield f"{what} on an activation"
    elif where == "weights":
        misplaced = _misplaced(node, axis, rank)
        if misplaced:
            yield misplaced


def _scale_shape(
    node: Qdq, axis: int, shape: tuple[int, ...], sizes: list[int | None]
) -> Iterator[str]:
    if not node.block_size:
        if sizes[axis] is not None and sizes[axis] != shape[0]:
            yield f"{shape[0]} scales, but axis {axis} has {sizes[axis]} elements"
        return
    wanted = [
        size if size is None or dimension != axis else -(-size // node.block_size)
        for dimension, size in enumerate(sizes)
    ]
    if len(shape) != len(wanted) or any(
        size is not None and size != actual for size, actual in zip(wanted, shape, strict=True)
    ):
        yield f"a scale of shape {list(shape)}, not {wanted}, for blocks of {node.block_size}"


def _misplaced(node: Qdq, axis: int, rank: int) -> str | None:
    """Why the scales of a constant do not lie as the operators that read it need them.

    Scales for each element belong on the output channels; blocks belong on the other axis of a
    matrix, along which it is summed.
    """
    pending = [(node.output, axis)]
    while pending:
        value, current = pending.pop()
        for reader, index in value.uses():
            if editing.is_op(reader, "DequantizeLinear") and index == 0:
                pending.append((reader.outputs[0], current))
            elif editing.is_op(reader, "Transpose"):
                order = editing.attribute(reader, "perm", list(range(rank))[::-1])
                pending.append((reader.outputs[0], list(order).index(current)))
            elif not is_bias(reader, index):
                wanted = weight_axis(reader, index, rank)
                if wanted is None:
                    return f"read by {describe(reader)}, of which it is no weight"
                if (current == wanted) == bool(node.block_size):
                    word = "along" if node.block_size else "not"
                    return f"axis {current}, {word} {wanted}, of the weight of {describe(reader)}"
    return None


def _opset(model: ir.Model) -> Iterator[Finding]:
    opset = editing.opset_version(model)

    def details(node: Qdq) -> Iterator[str]:
        for what, needed in _needs(node):
            if opset < needed:
                yield f"{what} needs opset {needed}, the model has {opset}"

    return _each(model, details)


_SINCE = {
    **dict.fromkeys(("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"), 19),
    **dict.fromkeys(("INT4", "UINT4", "INT16", "UINT16"), 21),
    "FLOAT4E2M1": 23,
    **dict.fromkeys(("INT2", "UINT2"), 25),
}
_SCALE_SINCE = {"FLOAT16": 19, "BFLOAT16": 19, "FLOAT8E8M0": 24}


def _needs(node: Qdq) -> Iterator[tuple[str, int]]:
    """What `node` uses, with the operator set that brought it."""
    yield node.node.op_type, SINCE[node.node.op_type]
    if node.dtype is not None and node.dtype.name in _SINCE:
        yield node.dtype.name, _SINCE[node.dtype.name]
    scale = element_type(node.scale)
    if scale is not None and scale.name in _SCALE_SINCE:
        yield f"a scale of {scale.name}", _SCALE_SINCE[scale.name]
    shape = editing.static_shape(node.scale)
    if shape is not None and len(shape) == 1 and shape[0] > 1:
        yield "a scale for each element of an axis", 13
    since = {"axis": 13, "block_size": 21, "output_dtype": 21 if node.quantizes else 23}
    since["precision"] = 23
    for name, version in since.items():
        if name in node.node.attributes:
            yield name, version


CHECKS: dict[str, Check] = {
    "qdq-zero-point": _zero_point,
    "qdq-types": _types,
    "qdq-scale": _scale,
    "qdq-axis": _axis,
    "qdq-opset": _opset,
}
"""By the rule that they check."""

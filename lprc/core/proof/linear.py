"""Sums of products, and reductions, as terms: a dot of two rows, or a maximum of many elements."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.reduction import reduced_axes
from lprc.core.proof.normalization import batch_normalization
from lprc.core.proof.patches import Geometry, geometry, patches, require_small, stuffed
from lprc.core.proof.tensors import Inputs
from lprc.core.proof.terms import Ids, NotProvedError, Terms

Rule = Callable[[ir.Node, Inputs, Terms], Ids]


def _given(inputs: Inputs, index: int) -> Ids | None:
    tensor = inputs[index] if index < len(inputs) else None
    return None if tensor is None else tensor.ids


def _required(inputs: Inputs, index: int) -> Ids:
    ids = _given(inputs, index)
    if ids is None:
        raise NotProvedError("an input is missing")
    return ids


def _row_numbers(ids: Ids, terms: Terms) -> Ids:
    """A row of each last axis: [..., n] to [...]."""
    return terms.rows(ids.reshape(-1, ids.shape[-1])).reshape(ids.shape[:-1])


def _plus(ids: Ids, bias: Ids | None, terms: Terms) -> Ids:
    return ids if bias is None else terms.apply("add", ids, bias)


def _channel_bias(bias: Ids | None, rank: int) -> Ids | None:
    return None if bias is None else bias.reshape(-1, *[1] * (rank - 2))


def _conv(node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    value, weight = _required(inputs, 0), _required(inputs, 1)
    windows = geometry(node, value.shape[2:], weight.shape[2:])
    return _convolved(value, weight, _given(inputs, 2), windows, _groups(node), terms)


def conv_of_patch(node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    """A Conv of one window of its input."""
    value, weight = _required(inputs, 0), _required(inputs, 1)
    rank = value.ndim - 2
    ones, zeros = (1,) * rank, (0,) * rank
    windows = Geometry(weight.shape[2:], ones, ones, zeros, zeros)
    return _convolved(value, weight, _given(inputs, 2), windows, _groups(node), terms)


def _groups(node: ir.Node) -> int:
    return int(editing.attribute(node, "group", 1))


def _convolved(
    value: Ids, weight: Ids, bias: Ids | None, windows: Geometry, groups: int, terms: Terms
) -> Ids:
    spread = patches(value, windows)
    batch, channels, *space, size = spread.shape
    grouped = spread.reshape(batch, groups, channels // groups, -1, size)
    rows = grouped.transpose(0, 1, 3, 2, 4).reshape(batch, groups, -1, channels // groups * size)
    if rows.shape[-1] != math.prod(weight.shape[1:]):
        raise NotProvedError("the weight does not fit the input")
    factors = weight.reshape(groups, weight.shape[0] // groups, -1)
    right, left = _row_numbers(rows, terms), _row_numbers(factors, terms)
    require_small(batch * weight.shape[0] * math.prod(space))
    result = terms.apply("dot", left[None, :, :, None], right[:, :, None, :])
    result = result.reshape(batch, weight.shape[0], *space)
    return _plus(result, _channel_bias(bias, result.ndim), terms)


def _conv_transpose(node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    """A Conv with a turned kernel of the input with zeros between."""
    value, weight = _required(inputs, 0), _required(inputs, 1)
    if editing.attribute(node, "output_shape") is not None:
        raise NotProvedError("ConvTranspose with output_shape is not interpreted")
    if editing.attribute(node, "auto_pad", "NOTSET") != "NOTSET":
        raise NotProvedError("ConvTranspose with auto_pad is not interpreted")
    kernel, groups = weight.shape[2:], _groups(node)
    rank = len(kernel)
    strides = list(editing.attribute(node, "strides") or [1] * rank)
    dilations = list(editing.attribute(node, "dilations") or [1] * rank)
    pads = list(editing.attribute(node, "pads") or [0] * 2 * rank)
    more = list(editing.attribute(node, "output_padding") or [0] * rank)
    spans = [(size - 1) * dilation for size, dilation in zip(kernel, dilations, strict=True)]
    front = [span - pad for span, pad in zip(spans, pads[:rank], strict=True)]
    behind = [span - pad + extra for span, pad, extra in zip(spans, pads[rank:], more, strict=True)]
    backwards = (slice(None), slice(None), *[slice(None, None, -1)] * rank)
    turned = weight[backwards]
    split = turned.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    swapped = np.swapaxes(split, 1, 2).reshape(-1, weight.shape[0] // groups, *kernel)
    windows = Geometry(kernel, (1,) * rank, tuple(dilations), tuple(front), tuple(behind))
    bias = _given(inputs, 2)
    return _convolved(stuffed(value, strides), swapped, bias, windows, groups, terms)


def _product(left: Ids, right: Ids, terms: Terms) -> Ids:
    """[..., M, K] times [..., K, N]."""
    rows = _row_numbers(left, terms)
    columns = _row_numbers(np.swapaxes(right, -1, -2), terms)
    require_small(rows.size * columns.shape[-1])
    return terms.apply("dot", columns[..., None, :], rows[..., :, None])


def _matmul(_node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    left, right = _required(inputs, 0), _required(inputs, 1)
    vectors = left.ndim == 1, right.ndim == 1
    result = _product(
        left[None, :] if vectors[0] else left, right[:, None] if vectors[1] else right, terms
    )
    result = result[..., 0] if vectors[1] else result
    if not vectors[0]:
        return result
    return result[..., 0] if vectors[1] else result[..., 0, :]


def _gemm(node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    left, right = _required(inputs, 0), _required(inputs, 1)
    left = left.T if editing.attribute(node, "transA", 0) else left
    right = right.T if editing.attribute(node, "transB", 0) else right
    added = _given(inputs, 2)
    result = _scaled(_product(left, right, terms), node, "alpha", terms)
    return _plus(result, None if added is None else _scaled(added, node, "beta", terms), terms)


def _scaled(ids: Ids, node: ir.Node, name: str, terms: Terms) -> Ids:
    factor = Fraction(float(np.float32(editing.attribute(node, name, 1.0))))
    return ids if factor == 1 else terms.apply("mul", ids, np.array(terms.constant(factor)))


def _mean_of(rows: Ids, counts: Ids, terms: Terms) -> Ids:
    """The sums of `rows` [..., n] over `counts` [...]."""
    numbers, which = np.unique(counts, return_inverse=True)
    shares = [terms.constant(Fraction(1, int(count))) for count in numbers]
    weights = np.array([[share] * rows.shape[-1] for share in shares], np.int64)
    factors = terms.rows(weights)[which].reshape(counts.shape)
    return terms.apply("dot", factors, _row_numbers(rows, terms))


def _average_pool(node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    value = _required(inputs, 0)
    windows = geometry(node, value.shape[2:], editing.attribute(node, "kernel_shape"))
    spread = patches(value, windows)
    if editing.attribute(node, "count_include_pad", 0):
        counts = np.full(spread.shape[:-1], spread.shape[-1])
    else:
        counts = (patches(np.ones_like(value), windows) == 1).sum(axis=-1)
    if not counts.all():
        raise NotProvedError("a window of padding alone")
    return _mean_of(spread, counts, terms)


def _max_pool(node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    value = _required(inputs, 0)
    windows = geometry(node, value.shape[2:], editing.attribute(node, "kernel_shape"))
    lowest = terms.constant("-inf")
    spread = patches(value, windows, lowest)
    if (spread == lowest).all(axis=-1).any():
        raise NotProvedError("a window of padding alone")
    return _of_rows("max", spread, terms)


def _lp_pool(node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    value = _required(inputs, 0)
    windows = geometry(node, value.shape[2:], editing.attribute(node, "kernel_shape"))
    name = ("LpPool", editing.attribute(node, "p", 2))
    return _of_rows(name, patches(value, windows), terms)


def _of_rows(operator: str | tuple[str, int], rows: Ids, terms: Terms) -> Ids:
    return terms.apply_rows(operator, rows.reshape(-1, rows.shape[-1])).reshape(rows.shape[:-1])


def _over_space(rule: Callable[[Ids, Terms], Ids]) -> Rule:
    def over(_node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
        value = _required(inputs, 0)
        rank = value.ndim
        return rule(value.reshape(*value.shape[:2], -1), terms).reshape(
            *value.shape[:2], *[1] * (rank - 2)
        )

    return over


def _reduction(node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    value = _required(inputs, 0)
    axes = reduced_axes(node, value.ndim)
    if axes is None:
        raise NotProvedError(f"the axes of {node.op_type} are not constant")
    if not axes:
        return value
    last = np.moveaxis(value, axes, range(-len(axes), 0))
    rows = last.reshape(*last.shape[: value.ndim - len(axes)], -1)
    if not rows.shape[-1]:
        raise NotProvedError(f"{node.op_type} of nothing")
    result = _REDUCED[node.op_type](rows, terms)
    if editing.attribute(node, "keepdims", 1):
        return result.reshape(
            [1 if axis in axes else size for axis, size in enumerate(value.shape)]
        )
    return result


def _mean(rows: Ids, terms: Terms) -> Ids:
    return _mean_of(rows, np.full(rows.shape[:-1], rows.shape[-1]), terms)


def _sum(rows: Ids, terms: Terms) -> Ids:
    return _mean_of(rows, np.ones(rows.shape[:-1], np.int64), terms)


def _largest(rows: Ids, terms: Terms) -> Ids:
    return _of_rows("max", rows, terms)


def _smallest(rows: Ids, terms: Terms) -> Ids:
    return _of_rows("min", rows, terms)


_REDUCED = {
    "ReduceMax": _largest, "ReduceMean": _mean, "ReduceMin": _smallest, "ReduceSum": _sum,
}  # fmt: skip


RULES: dict[str, Rule] = {
    "AveragePool": _average_pool,
    "BatchNormalization": batch_normalization,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "GlobalAveragePool": _over_space(_mean),
    "GlobalMaxPool": _over_space(_largest),
    "LpPool": _lp_pool,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    **dict.fromkeys(_REDUCED, _reduction),
}
"""Operators that add up, or take the largest of, many elements."""

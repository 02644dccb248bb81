"""N:M sparsity of weights: N values that are not zero in each M along the input channels.

The form that sparse tensor cores take with 2:4 (Mishra et al., "Accelerating Sparse Deep Neural
Networks", 2021, https://arxiv.org/abs/2104.08378).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.operators import LINEAR


@dataclass(frozen=True)
class Pattern:
    """At most `kept` of each `group` neighbouring input channels are not zero.

    Raises:
        ValueError: It is none: nothing is kept, or nothing is left out.
    """

    kept: int
    group: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 1 <= self.kept < self.group:
            raise ValueError(f"a pattern keeps at least 1 and not all of a group, not {self}")

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """The pattern written as ``2:4``.

        Raises:
            ValueError: The text is none.
        """
        kept, colon, group = text.partition(":")
        if not (colon and kept.isdecimal() and group.isdecimal()):
            raise ValueError(f"'{text}' is no pattern such as 2:4 or 1:4")
        return cls(int(kept), int(group))

    def __str__(self) -> str:
        """As it is parsed."""
        return f"{self.kept}:{self.group}"


@dataclass(frozen=True)
class Weight:
    """The weight of a linear operator.

    Attributes:
        node: The operator.
        array: The weight, in float or quantised.
        axis: Of its input channels.
    """

    node: ir.Node
    array: NDArray[Any]
    axis: int

    @property
    def density(self) -> float:
        """The fraction of elements that are not zero; 0 of no elements."""
        return float(np.count_nonzero(self.array)) / max(1, self.array.size)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """Those of the common patterns that it has, the sparsest first."""
        return tuple(each for each in COMMON if self.has_pattern(each.kept, each.group))

    def has_pattern(self, kept: int, group: int) -> bool:
        """Whether at most `kept` of each `group` input channels are not zero.

        A weight whose input channels are no multiple of `group` does not have it.
        """
        rows = np.moveaxis(self.array, self.axis, -1)
        if not rows.size or rows.shape[-1] % group:
            return False
        grouped = rows.reshape(*rows.shape[:-1], -1, group)
        return bool((np.count_nonzero(grouped, axis=-1) <= kept).all())


def why_not(node: ir.Node, inputs: int, pattern: Pattern) -> str | None:
    """Why sparse kernels can't multiply by a weight in `pattern`; None where they can.

    Args:
        node: The operator.
        inputs: Its input channels (of one group, for Conv).
        pattern: In groups of input channels.
    """
    if not editing.is_op(node, *SPARSE):
        return f"no sparse kernels for {node.op_type}"
    if inputs == 1:
        return "a depthwise Conv has one input channel a group"
    if inputs < pattern.group:
        return "fewer input channels than a group of the pattern"
    if inputs % pattern.group:
        return f"its input channels are no multiple of {pattern.group}"
    return None


# No runtime has a sparse kernel for ConvTranspose.
SPARSE = LINEAR - {"ConvTranspose"}
"""Operators whose weights runtimes multiply by sparsely."""

COMMON = (Pattern(1, 4), Pattern(2, 4))
"""The patterns that are looked for."""


def weights(model: ir.Model) -> Iterator[Weight]:
    """The constant weights of Conv, Gemm and MatMul, behind DequantizeLinear too, in graph order.

    Only those of which a group of input channels is multiplied at once: a depthwise Conv has one.
    """
    for graph in editing.graphs(model):
        for node in graph:
            found = weight_of(node) if editing.is_op(node, *SPARSE) else None
            if found is not None and found.array.shape[found.axis] != 1:
                yield found


def is_sparse(model: ir.Model, share: float = 0.5) -> bool:
    """Whether so much of the weights' elements is in weights with a common pattern."""
    found = list(weights(model))
    sparse = sum(weight.array.size for weight in found if weight.patterns)
    return sparse > 0 and sparse >= share * sum(weight.array.size for weight in found)


def weight_of(node: ir.Node) -> Weight | None:
    """The constant weight of a Conv, Gemm or MatMul, behind DequantizeLinear too; None of none."""
    for index in (1,) if node.op_type == "Conv" else (1, 0):
        array = _constant(editing.input_at(node, index))
        if array is not None and array.ndim >= 2:
            return Weight(node, array, _input_axis(node, index, array.ndim))
    return None


def _constant(value: ir.Value | None) -> NDArray[Any] | None:
    producer = None if value is None else value.producer()
    if producer is not None and editing.is_op(producer, "DequantizeLinear"):
        value = editing.input_at(producer, 0)
    return editing.constant(value)


def _input_axis(node: ir.Node, index: int, rank: int) -> int:
    if node.op_type == "Conv":
        return 1
    if node.op_type == "Gemm":
        transposed = bool(editing.attribute(node, "transB" if index else "transA", 0))
        return index if transposed else 1 - index
    return rank - 2 if index else rank - 1

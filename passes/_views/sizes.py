"""Dimensions as products of numbers and names, so that shapes can be compared where not known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import RESHAPES, UNARY

_INVENTED = "\N{NULL}"
"""What names begin with that stand for dimensions of which the graph says nothing."""


@dataclass(frozen=True)
class Size:
    """A dimension: ``factor`` times the dimensions named by `symbols`, which are sorted."""

    factor: int
    symbols: tuple[str, ...] = ()

    @property
    def number(self) -> int | None:
        """The dimension, if nothing of it is only named."""
        return None if self.symbols else self.factor

    @property
    def name(self) -> str | None:
        """The dimension's name, if the graph has one for it."""
        plain = self.factor == 1 and len(self.symbols) == 1
        return self.symbols[0] if plain and not self.symbols[0].startswith(_INVENTED) else None


ONE = Size(1)

Shape = tuple[Size, ...]


def product(sizes: Sequence[Size]) -> Size:
    """The number of elements."""
    symbols = sorted(symbol for size in sizes for symbol in size.symbols)
    return Size(math.prod(size.factor for size in sizes), tuple(symbols))


def quotient(dividend: Size, divisor: Size) -> Size | None:
    """``dividend / divisor`` where that is whole whatever the named dimensions are; else None."""
    symbols, others = Counter(dividend.symbols), Counter(divisor.symbols)
    if not divisor.factor or dividend.factor % divisor.factor or not others <= symbols:
        return None
    return Size(dividend.factor // divisor.factor, tuple(sorted((symbols - others).elements())))


class Sizes:
    """The shapes of the values of one graph, as far as inference and element counts give them.

    ``Reshape(x, [20, -1, 8])`` of ``[20, batch, 32]`` is ``[20, 4 batch, 8]``, which ONNX has no
    word for. A shape that is known stays known: values must not be given another one meanwhile.
    """

    def __init__(self) -> None:
        # The values are kept: a number that identifies a dead one may come again.
        self._known: dict[int, tuple[ir.Value, Shape | None]] = {}

    def of(self, value: ir.Value | None) -> Shape | None:
        """The shape of `value`; None where its rank is not known, or a dimension is 0."""
        if value is None:
            return None
        if id(value) not in self._known:
            self._known[id(value)] = (value, self._infer(value))
        return self._known[id(value)][1]

    def _infer(self, value: ir.Value) -> Shape | None:
        if value.shape is None or 0 in value.shape:
            return None
        sizes = [_size(value, axis) for axis in range(len(value.shape))]
        unknown = [axis for axis, size in enumerate(sizes) if size is None]
        if unknown:
            derived = self._derived(value, sizes, unknown)
            sizes = [size or other for size, other in zip(sizes, derived, strict=True)]
        return tuple(
            size or Size(1, (f"{_INVENTED}{id(value)}.{axis}",)) for axis, size in enumerate(sizes)
        )

    def _derived(
        self, value: ir.Value, sizes: list[Size | None], unknown: list[int]
    ) -> Sequence[Size | None]:
        nothing = [None] * len(sizes)
        node = value.producer()
        if node is None or node.domain not in editing.ONNX_DOMAIN or not node.inputs:
            return nothing
        if node.op_type == "Transpose":
            before, perm = self.of(node.inputs[0]), permutation(node)
            if before is None or perm is None or not len(before) == len(perm) == len(sizes):
                return nothing
            return [before[axis] for axis in perm]
        if node.op_type in UNARY:
            before = self.of(node.inputs[0])
            return before if before is not None and len(before) == len(sizes) else nothing
        if node.op_type in RESHAPES and len(unknown) == 1:
            before = self.of(node.inputs[0])
            numbered = product([size for size in sizes if size is not None])
            rest = None if before is None else quotient(product(before), numbered)
            return [rest if axis == unknown[0] else None for axis in range(len(sizes))]
        return nothing


def _size(value: ir.Value, axis: int) -> Size | None:
    assert value.shape is not None
    dim = value.shape[axis]
    if isinstance(dim, int):
        return Size(dim)
    return None if dim.value is None else Size(1, (str(dim.value),))


def permutation(node: ir.Node) -> list[int] | None:
    """The axes of a Transpose, in full; None where neither they nor the rank are known."""
    perm = editing.attribute(node, "perm")
    if perm is not None:
        return [int(axis) for axis in perm]
    rank = editing.rank(node.inputs[0])
    return None if rank is None else list(reversed(range(rank)))


def nodes_with_sizes(model: ir.Model) -> Iterator[tuple[ir.Node, Sizes]]:
    """The nodes of every graph, inputs first, with what is known of their graph's sizes.

    Those that a rewrite removed meanwhile are left out; all are below operator set 13, where axes
    and shapes are attributes.
    """
    if editing.opset_version(model) < 13:
        return
    for graph in editing.graphs(model):
        sizes = Sizes()
        for node in list(graph):
            if node.graph is graph:
                yield node, sizes

"""What each ONNX operator is to a proof, and what a node puts out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import (
    BROADCAST,
    MAKES_SEQUENCE,
    MOVES,
    RANDOM,
    READS_SEQUENCE,
    SINCE,
    UNARY,
    WITH_SUBGRAPHS,
)
from lprc.core.proof import linear
from lprc.core.proof.elementwise import function_name, map_elements
from lprc.core.proof.moving import Mover
from lprc.core.proof.tensors import Inputs, Tensor
from lprc.core.proof.terms import OPAQUE_MARK, Ids, NotProvedError, Terms


class Meaning(Enum):
    """How an operator becomes terms."""

    MOVES = "an exact map of places"
    ELEMENTS = "arithmetic or an uninterpreted function of the elements at one place"
    SUMS = "sums of products, or the largest, of many elements"
    SHAPES = "constants, of shapes alone"
    OPAQUE = "an uninterpreted function of whole tensors"
    REFUSED = "nothing: random, a sequence, or with graphs inside"


_SHAPES = frozenset({"ConstantOfShape", "Shape", "Size"})
_OPTIONAL = frozenset({"Optional", "OptionalGetElement", "OptionalHasElement"})
_REFUSED = (RANDOM - {"Dropout"}) | WITH_SUBGRAPHS | MAKES_SEQUENCE | READS_SEQUENCE | _OPTIONAL
# Both put zeros, or one given number, beside what they move.
_MOVES = MOVES | {"Pad", "Trilu"}


def meaning(op_type: str) -> Meaning:
    """How an operator of the ONNX domain becomes terms; unknown ones are opaque."""
    if op_type in _REFUSED:
        return Meaning.REFUSED
    if op_type in _MOVES:
        return Meaning.MOVES
    if op_type in linear.RULES:
        return Meaning.SUMS
    if op_type in UNARY | BROADCAST:
        return Meaning.ELEMENTS
    return Meaning.SHAPES if op_type in _SHAPES else Meaning.OPAQUE


MEANINGS = {op_type: meaning(op_type) for op_type in SINCE}
"""Of every operator of the table."""


@dataclass(frozen=True)
class Surroundings:
    """What a node's output depends on besides its inputs.

    Attributes:
        terms: The table.
        mover: Runs operators that move.
        shape_of: The sizes of a value; raises `NotProvedError` where they are not known.
        dtype_of: The element type of a value, if it is known.
        one_patch: Whether a Conv's input is but one of its windows.
    """

    terms: Terms
    mover: Mover
    shape_of: Callable[[ir.Value], tuple[int, ...]]
    dtype_of: Callable[[ir.Value], ir.DataType | None]
    one_patch: bool = False


def evaluate(node: ir.Node, inputs: Inputs, around: Surroundings) -> list[Tensor]:
    """What a node puts out, as many outputs as are understood.

    Raises:
        NotProvedError: It can't be said.
    """
    kind = MEANINGS.get(node.op_type, Meaning.OPAQUE)
    if node.domain not in editing.ONNX_DOMAIN:
        kind = Meaning.OPAQUE
    if kind is Meaning.REFUSED:
        raise NotProvedError(f"{node.op_type} is not interpreted")
    dtype = around.dtype_of(node.outputs[0])
    if kind is Meaning.MOVES:
        return around.mover.move(node, inputs, around.terms)
    if kind is Meaning.ELEMENTS:
        return map_elements(node, inputs, around.terms, dtype)
    if kind is Meaning.SHAPES:
        return [Tensor(_shapes(node, inputs, around.terms), dtype)]
    if around.one_patch and editing.is_op(node, "Conv"):
        return [Tensor(linear.conv_of_patch(node, inputs, around.terms), dtype)]
    if kind is Meaning.SUMS and not any(tensor.is_integer for tensor in inputs[:1] if tensor):
        return [Tensor(linear.RULES[node.op_type](node, inputs, around.terms), dtype)]
    return _opaque(node, inputs, around)


def _shapes(node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    given = inputs[0]
    assert given is not None
    if node.op_type == "Size":
        return terms.constants(np.array(given.ids.size))
    if node.op_type == "Shape":
        start, end = (editing.attribute(node, name) for name in ("start", "end"))
        return terms.constants(np.array(given.ids.shape[start:end], np.int64))
    sizes = terms.numbers(given.ids, "the shape").astype(np.int64)
    value = editing.attribute(node, "value")
    number = np.zeros(1) if value is None else value.numpy()
    return np.broadcast_to(terms.constants(number.reshape(-1)[0]), tuple(sizes.tolist()))


def _opaque(node: ir.Node, inputs: Inputs, around: Surroundings) -> list[Tensor]:
    """Results of which nothing is known but that the same operands give the same."""
    terms = around.terms
    kinds = tuple(
        None if tensor is None else (tensor.ids.shape, str(tensor.dtype)) for tensor in inputs
    )
    rows = [terms.rows(tensor.ids.reshape(1, -1))[0] for tensor in inputs if tensor is not None]
    outputs = []
    for index, value in enumerate(node.outputs):
        if not value.name:
            break
        shape = around.shape_of(value)
        name = function_name(node, kinds, around.mover.opset, index, OPAQUE_MARK)
        places = terms.constants(np.arange(int(np.prod(shape)), dtype=np.int64))
        operands = [np.array(row) for row in rows]
        ids = terms.apply(name, places, *operands).reshape(shape)
        outputs.append(Tensor(ids, around.dtype_of(value)))
    return outputs

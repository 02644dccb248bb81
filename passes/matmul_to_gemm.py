"""MatMul and the Add of its bias, as Gemm."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import RESHAPES
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._views import views
from lprc.passes._views.sizes import Shape, Sizes, nodes_with_sizes, product


@dataclass(frozen=True)
class MatMulToGemm(Pass):
    """Make a Gemm of a MatMul by a constant matrix and the Add of a constant bias.

    A Gemm takes matrices. Where the MatMul takes more axes, a reshape must stand in front of it and
    one behind the Add, each for it alone: they then shape the Gemm's matrices. Shapes must be known
    (``infer-shapes``). Operator set 13 or later.

    Enters subgraphs.
    """

    name = "matmul-to-gemm"
    contract = exact
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Rewrite each pair that fits."""
        for node, sizes in nodes_with_sizes(model):
            if editing.is_op(node, "Add"):
                _rewrite(node, sizes, context)


def _rewrite(add: ir.Node, sizes: Sizes, context: PassContext) -> None:
    left, right = add.inputs
    multiplied, bias = (left, right) if _is_matmul(left) else (right, left)
    matmul = multiplied.producer() if multiplied is not None else None
    if multiplied is None or matmul is None or not editing.is_op(matmul, "MatMul"):
        return
    if matmul.graph is not add.graph or not editing.is_private(multiplied):
        return
    weight, bias_array = editing.constant(matmul.inputs[1]), editing.constant(bias)
    if weight is None or weight.ndim != 2 or weight.dtype.kind != "f" or bias_array is None:
        return
    if bias_array.shape not in ((weight.shape[1],), (1, weight.shape[1])):
        context.skip(add, "it adds no bias")
        return
    rank = editing.rank(matmul.inputs[0])
    if rank == 2:
        _matrix(add, matmul, bias, context)
    elif rank is not None and rank > 2 and bias_array.ndim == 1:
        _batched(add, matmul, bias, sizes, context)


def _is_matmul(value: ir.Value | None) -> bool:
    return value is not None and editing.is_op(value.producer(), "MatMul")


def _matrix(add: ir.Node, matmul: ir.Node, bias: ir.Value | None, context: PassContext) -> None:
    if context.rewrite(add, f"one Gemm with {matmul.name}"):
        gemm = _gemm(matmul.inputs[0], matmul, add, bias)
        gemm.shape = add.outputs[0].shape
        editing.replace_value(add.outputs[0], gemm)
        editing.remove_dead([add])


def _batched(
    add: ir.Node, matmul: ir.Node, bias: ir.Value | None, sizes: Sizes, context: PassContext
) -> None:
    behind = editing.sole_user(add.outputs[0])
    value = matmul.inputs[0]
    front = value.producer() if value is not None else None
    if behind is None or front is None or value is None or not editing.is_private(value):
        return
    if not editing.is_op(front, *RESHAPES) or not editing.is_op(behind, *RESHAPES):
        return
    if behind.inputs[0] is not add.outputs[0] or not front.graph is behind.graph is add.graph:
        return
    source, matrix, last = front.inputs[0], _matrix_of(value, sizes), sizes.of(behind.outputs[0])
    if source is None or matrix is None or last is None or not _fits(source, matrix, sizes):
        context.skip(add, "the shapes around it are not known")
        return
    columns = sizes.of(add.outputs[0])
    if columns is None or not views.can_view((matrix[0], columns[-1]), last):
        context.skip(add, "the shapes around it are not known")
        return
    if context.rewrite(add, f"one Gemm with {matmul.name}, between {front.name} and {behind.name}"):
        flat = views.new_view(source, matrix, before=matmul, from_nodes=[front], sizes=sizes)
        gemm = _gemm(flat, matmul, add, bias)
        gemm.shape = ir.Shape(views.written((matrix[0], columns[-1])))
        shaped = views.new_view(gemm, last, before=behind, from_nodes=[behind], sizes=sizes)
        assert shaped is not None
        editing.replace_value(behind.outputs[0], shaped)
        editing.remove_dead([behind])


def _matrix_of(value: ir.Value, sizes: Sizes) -> Shape | None:
    """All axes but the last as one."""
    shape = sizes.of(value)
    return None if shape is None else (product(shape[:-1]), shape[-1])


def _fits(source: ir.Value, matrix: Shape, sizes: Sizes) -> bool:
    old = sizes.of(source)
    return old is not None and product(old) == product(matrix) and views.can_view(old, matrix)


def _gemm(
    matrix: ir.Value | None, matmul: ir.Node, add: ir.Node, bias: ir.Value | None
) -> ir.Value:
    return editing.new_node(
        "Gemm", [matrix, matmul.inputs[1], bias], before=add, sources=[matmul, add]
    )

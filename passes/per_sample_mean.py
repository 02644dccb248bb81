"""Means over a whole batch, taken for each sample instead."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import BROADCAST, RANDOM, UNARY
from lprc.core.graph.reduction import reduce_mean, reduced_axes
from lprc.core.options import option
from lprc.core.passing.contract import exact_at_batch
from lprc.core.passing.pass_base import Pass, PassContext

# A Clip must have constant bounds; what is random maps no element by itself.
_CARRIES = UNARY - RANDOM - {"Clip"}


@dataclass(frozen=True)
class PerSampleMean(Pass):
    """Let a ReduceMean over the batch, such as LPRNet's mean(f²), reduce each sample by itself.

    A batch of n then gives what n batches of 1 give, which a mean over the batch doesn't. At
    batch 1 nothing changes. Only a mean that is broadcast against tensors of the same batch
    (Div, Mul, Add, Sub), perhaps after Squeeze, Sqrt or a scalar epsilon, is rewritten.
    """

    name = "per-sample-mean"
    contract = exact_at_batch(1)

    batch_axis: int = option(0, "the axis that counts samples")

    def __post_init__(self) -> None:
        """Refuse an axis that no tensor has.

        Raises:
            ValueError: `batch_axis` is negative.
        """
        if self.batch_axis < 0:
            raise ValueError("batch-axis is negative")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Rewrite each ReduceMean over the batch; see the class."""
        opset = editing.opset_version(model)
        for graph in editing.graphs(model):
            for node in list(graph):
                if not editing.is_op(node, "ReduceMean"):
                    continue
                mean = self._inspect(node)
                if mean is None:
                    continue
                if mean.reason:
                    context.skip(node, mean.reason)
                elif context.rewrite(node, f"mean over axes {_text(mean.axes)}"):
                    _rewrite(node, mean, opset)

    def _inspect(self, node: ir.Node) -> _Mean | None:
        """The mean that would replace `node`; None if it doesn't reduce the batch."""
        source = node.inputs[0]
        rank = editing.rank(source)
        if source is None or source.shape is None or rank is None:
            return _Mean(reason="rank is unknown")
        axes = reduced_axes(node, rank)
        if axes is None:
            return _Mean(reason="axes are not constant")
        if self.batch_axis not in axes:
            return None
        kept = tuple(axis for axis in axes if axis != self.batch_axis)
        mean = _Mean(axes=kept)
        batch = source.shape[self.batch_axis]
        if isinstance(batch, int) and batch > 1:
            # The promise holds at batch 1 alone, which this graph can't run at.
            mean.reason = "batch is fixed at more than 1"
        elif not kept:
            mean.reason = "mean over the batch alone"
        elif len(axes) < rank and not editing.attribute(node, "keepdims", 1):
            mean.reason = "keepdims=0 over some axes"
        else:
            mean.follow(node, source.shape, self.batch_axis, is_scalar=len(axes) == rank)
        return mean


@dataclass
class _Mean:
    """A mean and the values that are computed from it alone, up to where it is broadcast."""

    axes: tuple[int, ...] = ()
    reason: str | None = None
    reshapes: list[ir.Node] = field(default_factory=list)
    carriers: list[ir.Node] = field(default_factory=list)

    def follow(self, node: ir.Node, like: ir.Shape, batch_axis: int, *, is_scalar: bool) -> None:
        pending, seen = [node], {node}
        while pending and self.reason is None:
            value = pending.pop().outputs[0]
            if value.is_graph_output():
                self.reason = "mean is a graph output"
                return
            for user, index in ((use.node, use.idx) for use in value.uses()):
                if user.graph is not node.graph:
                    self.reason = "mean is used in a subgraph"
                elif not self._is_sink(user, index, like, batch_axis) and user not in seen:
                    self._carry_on(user, index, value, len(like), is_scalar=is_scalar)
                    seen.add(user)
                    pending.append(user)

    def _carry_on(
        self, user: ir.Node, index: int, value: ir.Value, rank: int, *, is_scalar: bool
    ) -> None:
        """Note a user that computes something from the mean alone."""
        if is_scalar and editing.is_op(user, "Squeeze", "Reshape"):
            if _makes_one_element(user, index):
                self.reshapes.append(user)
                return
        elif _carries(user, value, rank):
            self.carriers.append(user)
            return
        self.reason = f"mean feeds {user.op_type}"

    @staticmethod
    def _is_sink(user: ir.Node, index: int, like: ir.Shape, batch_axis: int) -> bool:
        if not editing.is_op(user, *BROADCAST) or len(user.inputs) != 2:
            return False
        other = user.inputs[1 - index]
        if other is None or other.shape is None or len(other.shape) != len(like):
            return False
        batch = like[batch_axis]
        is_known = isinstance(batch, int) or batch.value is not None
        return is_known and other.shape[batch_axis] == batch


def _makes_one_element(user: ir.Node, index: int) -> bool:
    if index != 0:
        return False
    if editing.is_op(user, "Squeeze"):
        return True
    target = editing.constant(editing.input_at(user, 1))
    return target is not None and all(dim in (1, -1) for dim in target.reshape(-1).tolist())


def _carries(user: ir.Node, value: ir.Value, rank: int) -> bool:
    """Whether `user` maps each element of the mean by itself."""
    if editing.is_op(user, *_CARRIES):
        return True
    others = [item for item in user.inputs if item is not None and item is not value]
    if not all(
        editing.scalar(other) is not None and (editing.rank(other) or 0) <= rank for other in others
    ):
        return False
    return editing.is_op(user, *BROADCAST, "Clip")


def _rewrite(node: ir.Node, batch_mean: _Mean, opset: int) -> None:
    source = node.inputs[0]
    assert source is not None
    mean = reduce_mean(source, batch_mean.axes, instead_of=node, opset=opset)
    editing.replace_value(node.outputs[0], mean, before=node)
    for user in batch_mean.carriers:
        user.outputs[0].shape = mean.shape
    for user in batch_mean.reshapes:
        inner = user.inputs[0]
        assert inner is not None
        editing.replace_value(user.outputs[0], inner, before=user)
    editing.remove_dead([node, *batch_mean.reshapes])


def _text(axes: tuple[int, ...]) -> str:
    return ", ".join(map(str, axes))

"""The proof that channels were removed and nothing else: the same graph with them zeroed."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.onnx_io import model_io
from lprc.core.running.numerics import Arrays, compare, run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes._pruning.channel_groups import ChannelGroups
from lprc.passes._pruning.edits import Keep
from lprc.passes._pruning.removal import remove
from lprc.passes._pruning.trace import Trace


def zeroed(model: ir.Model, trace: Trace, keep: Keep) -> ir.Model:
    """A copy of `model` in which every value is multiplied by 0 where its atoms are gone.

    Args:
        model: What `trace` is of.
        trace: Which value has which channels.
        keep: bool [atoms].
    """
    copy = model_io.from_proto(model_io.to_proto(model))
    editing.share_names(copy)
    twins = dict(zip(model.graph, list(copy.graph), strict=True))
    for node, twin in twins.items():
        for value, output in zip(node.outputs, twin.outputs, strict=True):
            _mask(copy.graph, value, output, trace, keep)
    return copy


def _mask(graph: ir.Graph, value: ir.Value, output: ir.Value, trace: Trace, keep: Keep) -> None:
    axes = {axis: keep[labels] for axis, labels in trace.of(value).items()}
    gone = {axis: kept for axis, kept in axes.items() if not kept.all()}
    if not gone:
        return
    dtype = output.dtype or value.dtype
    mask = np.ones([1] * (editing.rank(value) or 0), dtype.numpy() if dtype else np.float32)
    for axis, kept in gone.items():
        shape = [1] * mask.ndim
        shape[axis] = -1
        mask = mask * kept.astype(mask.dtype).reshape(shape)
    users = list(output.uses())
    factor = editing.add_initializer(graph, f"{output.name}_mask", mask)
    node = ir.node("Mul", [output, factor], name=editing.fresh_name(graph, "mask"))
    node.outputs[0].name = editing.fresh_name(graph, f"{output.name}_masked")
    producer = output.producer()
    assert producer is not None
    graph.insert_after(producer, node)
    for use in users:
        use.node.replace_input_with(use.idx, node.outputs[0])


def assert_removed(model: ir.Model, groups: ChannelGroups, kept: np.ndarray) -> None:
    """Remove all groups but those in `kept`, and prove that nothing else has changed.

    Args:
        model: Changed in place.
        groups: Of `model`.
        kept: bool [groups].
    """
    keep = groups.atoms(kept)
    expected = zeroed(model, groups.trace, keep)
    inputs = random_inputs(model, seed=1, batch=2)
    remove(groups.trace, keep)
    assert_equal(model, expected, inputs)


def assert_equal(model: ir.Model, expected: ir.Model, inputs: Arrays) -> None:
    """Both give the same; `model` is valid with the shapes that it states."""
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    for delta in compare(run(expected, inputs), run(model, inputs)):
        assert delta.within(1e-4), delta

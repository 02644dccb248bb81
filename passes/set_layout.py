"""The layout in which inputs are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.options import option
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._images.chain import Chain
from lprc.passes._images.moved_input import MovedInputs
from lprc.passes._images.network_input import Readers, chosen_input
from lprc.passes._images.pixels import Layout

_IMAGES = (3, 4, 5)
"""Dimensions of a batch of lines, images and volumes with channels."""


@dataclass(frozen=True)
class SetLayout(Pass):
    """Let inputs take their channels last (or first), whatever the network computes in.

    One Transpose stands behind each such input. Transposes that read it are merged with it, and
    those that it undoes are gone.
    """

    name = "set-layout"
    contract = exact_everywhere
    changes_interface = True
    layout: Layout = option(
        "NHWC", "of the inputs from then on; NHWC: the network takes channels first so far"
    )
    inputs: tuple[str, ...] = option((), "these inputs; none means all of 3 to 5 dimensions")

    def translation(self, model: ir.Model) -> MovedInputs:
        """The inputs' axes in the new order.

        Raises:
            UsageError: As of `run`.
        """
        chosen = self._chosen(model)
        return MovedInputs({str(value.name): self._permutation(value) for value in chosen}, {})

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Change the layout of all, or of none.

        Raises:
            UsageError: There is no such input, or it has other than 3 to 5 dimensions.
        """
        chosen = self._chosen(model)
        names = ", ".join(str(value.name) for value in chosen)
        if not chosen:
            context.skip(None, "no input has 3 to 5 dimensions")
        elif context.rewrite(None, f"{names}: {self.layout}"):
            for value in chosen:
                _transpose(model.graph, value, self._permutation(value))

    def _chosen(self, model: ir.Model) -> list[ir.Value]:
        if not self.inputs:
            return [
                value
                for value in model.graph.inputs
                if not value.is_initializer() and editing.rank(value) in _IMAGES and _is_read(value)
            ]
        where = "set-layout{inputs}"
        chosen = [chosen_input(model, name, where) for name in dict.fromkeys(self.inputs)]
        for value in chosen:
            if editing.rank(value) not in _IMAGES:
                raise UsageError(
                    f"input '{value.name}' has {editing.rank(value)} dimensions, not 3 to 5",
                    where=where,
                    hint="name only inputs that have a batch, channels and a place",
                )
            if not _is_read(value):
                raise UsageError(
                    f"input '{value.name}' is read by no node alone",
                    where=where,
                    hint="leave it out: it is an output too, or nothing needs it",
                )
        return chosen

    def _permutation(self, value: ir.Value) -> tuple[int, ...]:
        """The old axes in the order of the new ones."""
        rank = editing.rank(value)
        assert rank is not None
        places = range(2, rank)
        return (0, *places, 1) if self.layout == "NHWC" else (0, rank - 1, *range(1, rank - 1))


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) and not value.is_graph_output()


def _transpose(graph: ir.Graph, value: ir.Value, permutation: Sequence[int]) -> None:
    """Let `value` take its axes as `permutation` says, and everything else what it took so far."""
    readers = Readers.of(value)
    shape = value.shape
    assert shape is not None
    value.shape = ir.Shape([shape[axis] for axis in permutation])
    back = [permutation.index(axis) for axis in range(len(permutation))]
    merged = [node for node, _ in readers.uses if _merge(graph, node, value, back)]
    rest = Readers(value, tuple(use for use in readers.uses if use[0] not in merged))
    if rest.uses:
        chain = Chain(graph, value, rest.uses[0][0])
        chain.transpose(back)
        rest.read(chain.value)


def _merge(graph: ir.Graph, node: ir.Node, value: ir.Value, back: Sequence[int]) -> bool:
    """Let a Transpose of the input do both; whether it is one."""
    if not editing.is_op(node, "Transpose") or node.graph is not graph:
        return False
    own = editing.attribute(node, "perm", list(reversed(range(len(back)))))
    both = [back[axis] for axis in own]
    output = node.outputs[0]
    if both == sorted(both) and not output.is_graph_output():
        editing.replace_value(output, value)
        editing.remove_dead([node])
    else:
        node.attributes["perm"] = ir.AttrInt64s("perm", both)
    return True

"""Channels that a network has stopped using."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.weight_sparsity import is_sparse
from lprc.core.options import option
from lprc.core.passing.contract import exact_up_to_2_24
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.passes._channels.absorption import Absorption, CannotAbsorbError, absorb, plan_absorption
from lprc.passes._channels.axes import channel_slice, make_contiguous
from lprc.passes._channels.coupled_values import BlockedError, ChannelGroup, apply
from lprc.passes._channels.levels import Levels, constant_rows, conv_levels, in_order, levels_of

Order = NDArray[np.int64]


@dataclass(frozen=True)
class EliminateConstantChannels(Pass):
    """Remove channels that do not depend on the input, and let their consumers absorb them.

    Weight decay drives the scale of unused BatchNormalization channels to zero ("Network Slimming",
    Liu et al., ICCV 2017, does it on purpose). Once folded, such a channel is its bias everywhere.
    A channel that is zero behind the activation goes from every consumer; another constant goes
    into the biases of the Convs that read it. Where a consumer can take no bias (a padded Conv, a
    statistic over channels), all constant channels are merged into one, exactly.

    Runtimes that compute on several channels at once pad what has another number. `multiple`
    keeps some constant channels, of a Conv and of a Slice of it, so that they need not; where there
    are too few of them to fill up with, none.

    Works through channelwise operators, Slices, Concats and means over channels. Enters subgraphs.
    """

    name = "eliminate-constant-channels"
    contract = exact_up_to_2_24
    not_after = reasons(
        {State.GROUPS: "moving input channels breaks up N:M groups, without keep-sparse=true"}
    )

    multiple: int = option(1, "keep a multiple of this many channels, where there are enough")
    keep_sparse: bool = option(False, "leave a model alone whose weights are N:M sparse already")

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: A `multiple` below 1.
        """
        if self.multiple < 1:
            raise ValueError(f"multiple must be at least 1, not {self.multiple}")

    def refusals(self) -> Mapping[State, str]:
        """None with `keep-sparse`."""
        return {} if self.keep_sparse else self.not_after

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Remove channels; see the class."""
        if self.keep_sparse and is_sparse(model):
            context.skip(None, "the weights are sparse in groups of input channels")
            return
        for graph in editing.graphs(model):
            candidates = [node for node in graph if _candidate(node)]
            if not candidates:
                continue
            levels: dict[ir.Value, Levels] = {}
            _update(list(graph), levels)
            for node in candidates:
                _eliminate(node, levels, context, self.multiple)


def _candidate(node: ir.Node) -> bool:
    if not editing.is_op(node, "Conv") or editing.attribute(node, "group", 1) != 1:
        return False
    rows = constant_rows(node)
    return rows is not None and len(rows) > 1 and bool(rows.any())


def _update(nodes: list[ir.Node], levels: dict[ir.Value, Levels]) -> None:
    for node in nodes:
        found = levels_of(node, levels) if node.outputs else None
        if found is not None:
            levels[node.outputs[0]] = found
        elif node.outputs:
            levels.pop(node.outputs[0], None)


def _eliminate(
    node: ir.Node, levels: dict[ir.Value, Levels], context: PassContext, multiple: int
) -> None:
    rows, own = constant_rows(node), conv_levels(node)
    if rows is None or own is None or not rows.any():
        return
    if rows.all():
        context.skip(node, "every channel is constant")
        return
    reasons = []
    for choice in _choices(rows, own):
        absorption = choice.absorption(own)
        try:
            group = _plan(node, absorption, levels)
        except (BlockedError, CannotAbsorbError) as error:
            reasons.append(str(error))
            continue
        if absorption.kept.all():
            continue
        more = choice.keeping(_rounded_up(absorption.kept, group, multiple)).absorption(own)
        if not np.array_equal(more.kept, absorption.kept):
            # A channel that stays may block what none did: a Slice that it interleaves.
            with contextlib.suppress(BlockedError, CannotAbsorbError):
                group, absorption = _plan(node, more, levels), more
        gone = int((~absorption.kept).sum())
        if not gone:
            context.skip(node, "every channel is kept for the multiple")
        elif context.rewrite(node, f"{gone} of {len(rows)} channels"):
            _rewrite(node, group, absorption, levels)
        return
    context.skip(node, reasons[0] if reasons else "a coupled channel is not constant")


@dataclass(frozen=True)
class _Choice:
    """The channels that stay, and those that are merged into the first of them.

    The channel that they become has the `power`-th root of the sum of their levels to that power.
    """

    kept: NDArray[np.bool_]
    merged: Order | None = None
    power: Literal[1, 2] = 1

    def keeping(self, kept: NDArray[np.bool_]) -> _Choice:
        """With more channels, which are no longer merged."""
        if self.merged is None:
            return _Choice(kept)
        first = self.merged[:1]
        rest = self.merged[1:]
        return _Choice(kept, np.concatenate([first, rest[~kept[rest]]]), self.power)

    def absorption(self, own: Levels) -> Absorption:
        """What it means for a Conv that has the levels `own`."""
        if self.merged is None:
            return Absorption(kept=self.kept.copy())
        levels = own.level[self.merged]
        level = levels.sum() if self.power == 1 else np.sqrt(np.square(levels).sum())
        return Absorption(
            kept=self.kept.copy(),
            merged=self.merged,
            representative=int(self.merged[0]),
            level=float(level),
        )


def _choices(rows: NDArray[np.bool_], own: Levels) -> list[_Choice]:
    """The choices, the best first: remove all, merge into one, remove those that are zero."""
    positive = rows & (np.maximum(own.level, 0.0) > 0)
    choices = [_Choice(~rows)]
    if positive.sum() > 1:
        merged = np.flatnonzero(positive)
        kept = ~rows
        kept[merged[0]] = True
        choices += [_Choice(kept, merged, 2), _Choice(kept, merged, 1)]
    # Which levels are zero behind the activation shows only there.
    choices.append(_Choice(~rows | positive))
    return choices


def _rounded_up(kept: NDArray[np.bool_], group: ChannelGroup, multiple: int) -> NDArray[np.bool_]:
    """`kept` with more channels: a multiple in each Slice of them, and then in all."""
    kept = kept.copy()
    order, settled = np.flatnonzero(kept), np.zeros(len(kept), bool)
    slices = [
        channel_slice(slice_node)
        for slice_node in group.slices
        if _reads(slice_node, group, order, len(kept))
    ]
    taken = sorted(
        (taken_slice.indices for taken_slice in slices if taken_slice is not None), key=len
    )
    for indices in [*taken, np.arange(len(kept))]:
        inside = np.zeros(len(kept), bool)
        inside[indices] = True
        spare = np.flatnonzero(inside & ~kept & ~settled)
        missing = -int(kept[inside].sum()) % multiple
        if missing <= len(spare):
            kept[spare[:missing]] = True
            settled |= inside
    return kept


def _reads(node: ir.Node, group: ChannelGroup, order: Order, count: int) -> bool:
    """Whether the channels of what `node` reads are those of the Conv that the group is made of."""
    value = node.inputs[0]
    known = None if value is None else group.of.get(value)
    return (
        known is not None and np.array_equal(known, order) and editing.dimension(value, 1) == count
    )


def _plan(node: ir.Node, absorption: Absorption, levels: dict[ir.Value, Levels]) -> ChannelGroup:
    """Fill in `absorption`, and find the group; it may keep more channels than were asked for.

    Raises:
        BlockedError: A channel can't go.
        CannotAbsorbError: A consumer can't do without one.
    """
    group = _group(node, absorption, levels)
    if not absorption.kept.all():
        _check_representative(node, group, absorption, levels)
        plan_absorption(node, group, absorption, levels)
    return group


def _group(node: ir.Node, absorption: Absorption, levels: dict[ir.Value, Levels]) -> ChannelGroup:
    """The coupled values; what is not constant in one of them is kept in all, at most 3 times."""
    value = node.outputs[0]
    for _ in range(3):
        group = ChannelGroup()
        group.assign(value, np.flatnonzero(absorption.kept))
        moving = np.zeros(len(absorption.kept), bool)
        for coupled, order in group.of.items():
            coupled_levels = levels.get(coupled)
            count = editing.dimension(coupled, 1)
            gone = np.ones(count or 0, bool)
            gone[order] = False
            bad = gone if coupled_levels is None else gone & np.isnan(coupled_levels.level)
            if bad.any() and count != len(moving):
                raise BlockedError("a coupled channel is not constant")
            if bad.any():
                moving |= bad
        if not moving.any():
            return group
        if absorption.merged is not None:
            raise BlockedError("a coupled channel is not constant")
        absorption.kept |= moving
    raise BlockedError("a coupled channel is not constant")


def _check_representative(
    node: ir.Node, group: ChannelGroup, absorption: Absorption, levels: dict[ir.Value, Levels]
) -> None:
    """Make sure that whatever reads the representative is in the group, and reads a constant."""
    if absorption.merged is None:
        return
    kept = absorption.kept.copy()
    kept[absorption.representative] = False
    without = Absorption(kept=kept.copy())
    touched = _group(node, without, levels)
    if not np.array_equal(without.kept, kept) or touched.of.keys() != group.of.keys():
        raise BlockedError("a coupled channel is not constant")


def _rewrite(
    node: ir.Node, group: ChannelGroup, absorption: Absorption, levels: dict[ir.Value, Levels]
) -> None:
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    touched = {value: levels[value] for value in group.of if value in levels}
    absorb(node, group, absorption)

    replacements: list[tuple[ir.Value, ir.Value]] = []

    def make_weight(value: ir.Value, array: NDArray[np.float32]) -> ir.Value:
        replacements.append((editing.add_initializer(graph, str(value.name), array), value))
        return replacements[-1][0]

    apply(group, make_weight)
    for new, old in replacements:
        if old.producer() is None:
            editing.inherit_name(new, old)
    sliced = [
        make_contiguous(slice_node, first, len(group.slice_orders[slice_node]))
        for slice_node, first in group.slices.items()
    ]
    for value, old_levels in touched.items():
        levels[value] = old_levels.take(group.of[value])
    behind = [use.node for value in [*group.of, *sliced] for use in value.uses()]
    _update(in_order([node, *behind]), levels)

"""Which channels can go together, from what a trace found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph.provenance import origins
from lprc.passes._pruning.balance import balance
from lprc.passes._pruning.edits import Keep
from lprc.passes._pruning.trace import Source, Trace
from lprc.passes._pruning.tracing import trace_channels
from lprc.passes._pruning.union import Ids, components, signatures


@dataclass(frozen=True)
class ChannelClass:
    """Groups that are in the same layers, and so can be chosen from freely.

    Attributes:
        units: The groups: one stays or goes with all of its atoms.
        sources: The operators that make their channels.
        width: How many channels of the first source one group is.
    """

    units: Ids
    sources: tuple[Source, ...]
    width: int

    @property
    def name(self) -> str:
        """The name of the first operator."""
        return self.sources[0].node.name or self.sources[0].node.op_type


@dataclass(frozen=True)
class ChannelGroups:
    """The groups of a graph.

    Attributes:
        trace: The trace of the graph that they were read from.
        unit: For each atom its group.
        count: The number of groups.
        classes: Those that may go, by where they are.
        blocked: Operators of which no channel may go, and why.
    """

    trace: Trace
    unit: Ids
    count: int
    classes: tuple[ChannelClass, ...]
    blocked: tuple[tuple[ir.Node, str], ...]

    def atoms(self, kept: NDArray[np.bool_]) -> Keep:
        """For each atom whether it stays, from the same for each group."""
        return np.asarray(kept[self.unit])


def channel_groups(graph: ir.Graph, exclude: Collection[str] = ()) -> ChannelGroups:
    """Find the groups.

    Args:
        graph: The main graph.
        exclude: Names of operators, or of what they came from, whose output channels must stay.
    """
    trace, exclude = trace_channels(graph), frozenset(exclude)
    for source in trace.sources:
        if not exclude.isdisjoint((source.node.name, *origins(source.node))):
            trace.protect(source.node, "excluded by option", [source.labels])
    root = balance(trace, lambda: _components(trace))
    _, unit = np.unique(root, return_inverse=True)
    unit = unit.astype(np.int64).reshape(-1)
    count = int(unit.max(initial=-1)) + 1
    reason = _reasons(trace, unit, count)
    has_source = np.zeros(count, bool)
    for source in trace.sources:
        has_source[unit[source.labels]] = True
    free = has_source & (reason < 0)
    _keep_one(trace, unit, free)
    return ChannelGroups(
        trace, unit, count, _classes(trace, unit, free, count), _blocked(trace, unit, free, reason)
    )


def _components(trace: Trace) -> Ids:
    none: Ids = np.zeros(0, np.int64)
    left = np.concatenate([none, *(pair[0] for pair in trace.joined)])
    right = np.concatenate([none, *(pair[1] for pair in trace.joined)])
    return components(trace.count, left, right)


def _reasons(trace: Trace, unit: Ids, count: int) -> Ids:
    """For each group the index of the protection that holds it; -1 for none."""
    reason = np.full(count, -1, np.int64)
    # The last one written wins, so the first to protect is written last.
    for index in range(len(trace.protections) - 1, -1, -1):
        reason[unit[trace.protections[index].labels]] = index
    return reason


def _keep_one(trace: Trace, unit: Ids, free: NDArray[np.bool_]) -> None:
    """A group that is all that there is of a value must stay."""
    for labels in [source.labels for source in trace.sources] + trace.parts:
        units = unit[labels]
        if units.size and (units == units[0]).all():
            free[units[0]] = False


def _classes(
    trace: Trace, unit: Ids, free: NDArray[np.bool_], count: int
) -> tuple[ChannelClass, ...]:
    arrays = [unit[source.labels] for source in trace.sources] + [
        unit[part] for part in trace.parts
    ]
    signature = signatures(count, arrays)
    members: dict[int, list[Source]] = {}
    for source in trace.sources:
        for key in np.unique(signature[unit[source.labels]]).tolist():
            members.setdefault(key, []).append(source)
    chosen = np.flatnonzero(free)
    order = np.argsort(signature[chosen], kind="stable")
    sorted_units = chosen[order]
    cuts = np.flatnonzero(np.diff(signature[sorted_units])) + 1
    classes = []
    for units in np.split(sorted_units, cuts) if sorted_units.size else []:
        sources = tuple(members[int(signature[units[0]])])
        width = int((unit[sources[0].labels] == units[0]).sum())
        classes.append(ChannelClass(units, sources, width))
    return tuple(sorted(classes, key=lambda channel_class: int(channel_class.sources[0].labels[0])))


def _blocked(
    trace: Trace, unit: Ids, free: NDArray[np.bool_], reason: Ids
) -> tuple[tuple[ir.Node, str], ...]:
    blocked_nodes = []
    for source in trace.sources:
        units = unit[source.labels]
        if free[units].any():
            continue
        unit_reasons = reason[units][reason[units] >= 0]
        text = (
            trace.protections[int(unit_reasons[0])].reason
            if unit_reasons.size
            else "one group of channels"
        )
        blocked_nodes.append((source.node, text))
    return tuple(blocked_nodes)

"""Which node of a graph ends vendor code's process, or takes it without end."""

from __future__ import annotations

import time
from collections.abc import Callable

import onnx

from lprc.core.process.warm_child import ChildError, RefusedError, time_limit

SECONDS = 5.0
"""A beginning of a graph that takes longer is taken for one that takes too long."""

_TOTAL_SECONDS = 60.0


def guilty_node(
    data: bytes, work: Callable[[bytes, float], object], *, expired: bool
) -> str | None:
    """The first node whose addition to the beginning of the graph ends the process, as text.

    Args:
        data: The graph.
        work: Does with a graph, in the process and within that many seconds, what ended it.
        expired: Whether it took too long, rather than crashed.

    Returns:
        None where the graph can't be cut, or no beginning ends.
    """
    model = onnx.load_from_string(data)
    nodes = list(model.graph.node)
    deadline = time.monotonic() + _TOTAL_SECONDS

    def ends(count: int) -> bool:
        try:
            work(_beginning(model, nodes[:count]), min(SECONDS, time_limit()))
        except RefusedError:
            return False
        except ChildError as error:
            return error.expired == expired
        return False

    good, bad = 0, len(nodes)
    while bad - good > 1 and time.monotonic() < deadline:
        middle = (good + bad) // 2
        if ends(middle):
            bad = middle
        else:
            good = middle
    if bad - good != 1 or not ends(bad):
        return None
    node = nodes[bad - 1]
    return f"node '{node.name or node.output[0]}' ({node.op_type})"


def _beginning(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> bytes:
    """The graph of `nodes`, which puts out what the last of them does."""
    beginning = onnx.ModelProto()
    beginning.CopyFrom(model)
    del beginning.graph.node[:], beginning.graph.output[:]
    beginning.graph.node.extend(nodes)
    types = {info.name: info for info in [*model.graph.value_info, *model.graph.output]}
    beginning.graph.output.extend(
        types.get(name, onnx.ValueInfoProto(name=name)) for name in nodes[-1].output if name
    )
    data: bytes = beginning.SerializeToString()
    return data

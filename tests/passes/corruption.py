"""Rewrites corrupted on purpose: each a small, typical mistake that moves an output."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from proved_cases import RewrittenGraph

from lprc.core.graph import editing
from lprc.core.onnx_io.model_io import to_bytes
from lprc.core.passing.contract import EXACT_TOLERANCE
from lprc.core.running.isolated_session import IsolatedSession
from lprc.core.running.numerics import RunError, compare

Mistake = Callable[[ir.Node, random.Random], str | None]
"""Makes a mistake at a node and says which; None where it can't make it there."""

TRIES = 12
"""Mistakes to try for one corrupted rewrite; many can't run, or change nothing."""

_OTHER = {
    "Add": "Sub", "Sub": "Add", "Mul": "Add", "Div": "Mul", "Max": "Min", "Min": "Max",
    "Relu": "Neg", "MaxPool": "AveragePool", "AveragePool": "MaxPool", "ReduceMean": "ReduceMax",
    "Sigmoid": "Tanh",
}  # fmt: skip


def corrupted(rewrite: RewrittenGraph, chance: random.Random) -> tuple[str, ir.Model] | None:
    """The graph behind a rewrite with a mistake in it that ONNX Runtime sees.

    Returns:
        The mistake in words, and the graph; None where none of the tries gave one.
    """
    before = _outputs(rewrite, rewrite.before)
    for _ in range(TRIES):
        model = rewrite.after.clone()
        nodes = _near(rewrite, model)
        if not nodes:
            return None
        what = chance.choice(_MISTAKES)(chance.choice(nodes), chance)
        if what is None:
            continue
        for graph in editing.graphs(model):
            for node in graph:
                for value in node.outputs:
                    if not value.is_graph_output():
                        value.shape = None
        after = _outputs(rewrite, model)
        if before is not None and after is not None and _differ(before, after):
            return what, model
    return None


def _near(rewrite: RewrittenGraph, model: ir.Model) -> list[ir.Node]:
    """The nodes of the main graph that are new or read something new; all, where none is."""
    old = {
        node.name: [value.name if value is not None else None for value in node.inputs]
        for node in rewrite.before.graph
    }
    new = [
        node
        for node in model.graph
        if old.get(node.name)
        != [value.name if value is not None else None for value in node.inputs]
    ]
    return new or list(model.graph)


def _outputs(rewrite: RewrittenGraph, model: ir.Model) -> list[dict[str, np.ndarray]] | None:
    try:
        session = IsolatedSession(to_bytes(model))
        return [session.run(_inputs(rewrite, seed)) for seed in range(3)]
    except (RunError, ValueError):
        return None


def _inputs(rewrite: RewrittenGraph, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    arrays = {}
    for value in rewrite.before.graph.inputs:
        if value.name in rewrite.sizes and value.dtype is not None:
            kind = value.dtype.numpy()
            array = 3 * generator.standard_normal(rewrite.sizes[value.name])
            whole = np.abs(np.round(array)).clip(0, 1) if np.dtype(kind).kind in "iub" else array
            arrays[value.name] = np.asarray(whole).astype(kind)
    return arrays


def _differ(before: list[dict[str, np.ndarray]], after: list[dict[str, np.ndarray]]) -> bool:
    return any(
        delta.mismatch is not None or not delta.within(EXACT_TOLERANCE)
        for one, other in zip(before, after, strict=True)
        for delta in compare(one, other)
    )


def _constant(node: ir.Node, chance: random.Random) -> str | None:
    """One number of a constant moves, by a tenth or by one."""
    places = [i for i, value in enumerate(node.inputs) if editing.constant(value) is not None]
    if not places:
        return None
    place = chance.choice(places)
    array = np.array(editing.constant(node.inputs[place]))
    if not array.size or array.dtype.kind not in "if":
        return None
    flat = array.reshape(-1)
    index = chance.randrange(flat.size)
    step = chance.choice([1, -1]) if array.dtype.kind == "i" else chance.choice([0.1, -1.0])
    flat[index] = flat[index] + step
    _replace_input(node, place, array)
    return f"{node.op_type}: element {index} of input {place} moved by {step}"


def _replace_input(node: ir.Node, place: int, array: np.ndarray) -> None:
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    node.replace_input_with(place, editing.add_initializer(graph, "corrupted", array))


def _permuted_constant(node: ir.Node, chance: random.Random) -> str | None:
    """Two numbers of a constant change places."""
    places = [i for i, value in enumerate(node.inputs) if editing.constant(value) is not None]
    if not places:
        return None
    place = chance.choice(places)
    array = np.array(editing.constant(node.inputs[place]))
    if array.size < 2:
        return None
    flat = array.reshape(-1)
    first, second = chance.sample(range(flat.size), 2)
    flat[[first, second]] = flat[[second, first]]
    _replace_input(node, place, array)
    return f"{node.op_type}: elements {first} and {second} of input {place} change places"


def _attribute(node: ir.Node, chance: random.Random) -> str | None:
    names = [
        name
        for name, value in node.attributes.items()
        if value.type in (ir.AttributeType.INT, ir.AttributeType.INTS, ir.AttributeType.FLOAT)
    ]
    if not names:
        return None
    name = chance.choice(sorted(names))
    value = node.attributes[name].value
    if isinstance(value, float):
        new = ir.AttrFloat32(name, value + chance.choice([0.5, -0.25]))
    elif isinstance(value, int):
        new = ir.AttrInt64(name, value + chance.choice([1, -1]))
    else:
        numbers = list(value)
        if len(numbers) > 1 and chance.random() < 0.7:
            i, j = chance.sample(range(len(numbers)), 2)
            numbers[i], numbers[j] = numbers[j], numbers[i]
        elif numbers:
            numbers[chance.randrange(len(numbers))] += chance.choice([1, -1])
        new = ir.AttrInt64s(name, numbers)
    node.attributes[name] = new
    return f"{node.op_type}: {name} {value} becomes {new.value}"


def _dropped(node: ir.Node, chance: random.Random) -> str | None:
    source = node.inputs[0] if node.inputs else None
    if source is None or editing.constant(source) is not None:
        return None
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    if editing.stays_public(node.outputs[0], source):
        return None
    what = f"{node.op_type} is left out"
    editing.replace_value(node.outputs[0], source)
    editing.remove_dead([node])
    return what


def _doubled(node: ir.Node, chance: random.Random) -> str | None:
    """An operator that a rewrite forgot is there: Relu or Neg behind the node."""
    op_type = chance.choice(["Relu", "Neg", "Sigmoid"])
    output = node.outputs[0]
    users = list(output.uses())
    if not users:
        return None
    new = editing.new_node(op_type, [output], before=users[0].node, sources=[node])
    for use in users:
        use.node.replace_input_with(use.idx, new)
    return f"a {op_type} behind {node.op_type}"


def _swapped(node: ir.Node, chance: random.Random) -> str | None:
    if len(node.inputs) < 2 or None in node.inputs[:2]:
        return None
    first, second = node.inputs[:2]
    node.replace_input_with(0, second)
    node.replace_input_with(1, first)
    return f"{node.op_type}: its operands change places"


def _renamed(node: ir.Node, chance: random.Random) -> str | None:
    other = _OTHER.get(node.op_type)
    if other is None:
        return None
    what = f"{node.op_type} becomes {other}"
    node.op_type = other
    if other in ("AveragePool", "MaxPool"):
        node.attributes.pop("count_include_pad", None)
        node.attributes.pop("storage_order", None)
    return what


def _rewired(node: ir.Node, chance: random.Random) -> str | None:
    """An input is taken from another place."""
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    others = [value for value in graph.inputs if value not in node.inputs]
    for earlier in graph:
        if earlier is node:
            break
        others += [value for value in earlier.outputs if value not in node.inputs]
    places = [
        i
        for i, value in enumerate(node.inputs)
        if value is not None and editing.constant(value) is None
    ]
    if not others or not places:
        return None
    new = chance.choice(others)
    node.replace_input_with(chance.choice(places), new)
    return f"{node.op_type} reads {new.name}"


_MISTAKES: tuple[Mistake, ...] = (
    _constant, _permuted_constant, _attribute, _dropped, _doubled, _swapped, _renamed, _rewired,
)  # fmt: skip

"""Small, safe steps that rewrites are made of."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.graph.operators import WITH_SUBGRAPHS
from lprc.core.graph.provenance import inherit

ONNX_DOMAIN = ("", "ai.onnx")


def graphs(model: ir.Model) -> Iterator[ir.Graph]:
    """The main graph, then every subgraph of control flow in it; not the functions."""
    yield model.graph
    yield from subgraphs(model.graph)


def subgraphs(graph: ir.Graph) -> Iterator[ir.Graph]:
    """Every graph inside `graph`, at any depth; much faster than onnx-ir's general traversal."""
    pending = [graph]
    while pending:
        for node in pending.pop():
            if node.op_type not in WITH_SUBGRAPHS and node.domain in ONNX_DOMAIN:
                continue
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.GRAPH:
                    inner = [attribute.value]
                elif attribute.type == ir.AttributeType.GRAPHS:
                    inner = list(attribute.value)
                else:
                    continue
                yield from inner
                pending += inner


def opset_version(model: ir.Model) -> int:
    """The version of the ONNX operator set that the main graph imports; 1 if it imports none."""
    imports = model.graph.opset_imports
    return next((imports[domain] for domain in ONNX_DOMAIN if domain in imports), 1)


def is_op(node: ir.Node | None, *op_types: str) -> bool:
    """Whether `node` is one of the ONNX operators `op_types` (and of no other domain)."""
    return node is not None and node.domain in ONNX_DOMAIN and node.op_type in op_types


def constant(value: ir.Value | None) -> np.ndarray | None:
    """The array that `value` always has: an initialiser's or a Constant node's; else None.

    An initialiser that is also a graph input is a default, which a caller may override.
    """
    if value is None or value.is_graph_input():
        return None
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None or tensor.dtype == ir.DataType.STRING:
        return None
    return tensor.numpy()


def scalar(value: ir.Value | None) -> Any:
    """The one element of a constant that has one element, as a Python number; else None."""
    array = constant(value)
    return array.item() if array is not None and array.size == 1 else None


def attribute(node: ir.Node, name: str, default: Any = None) -> Any:
    """The value of a node's attribute, as Python data; `default` where it is absent.

    Raises:
        ValueError: The attribute refers to an attribute of the enclosing function.
    """
    attr = node.attributes.get(name)
    if attr is None:
        return default
    if attr.ref_attr_name is not None:
        raise ValueError(f"attribute '{name}' refers to a function's attribute")
    return attr.value


def input_at(node: ir.Node, index: int) -> ir.Value | None:
    """A node's input by position; None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def static_shape(value: ir.Value | None) -> tuple[int, ...] | None:
    """The shape of `value` if every dimension is known; else None."""
    shape = _shape(value)
    if shape is None:
        return None
    dims = [dim for dim in shape if isinstance(dim, int)]
    return tuple(dims) if len(dims) == len(shape) else None


def dimension(value: ir.Value | None, axis: int) -> int | None:
    """One dimension of `value` if it is known; else None."""
    shape = _shape(value)
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    size = shape[axis]
    return size if isinstance(size, int) else None


def rank(value: ir.Value | None) -> int | None:
    """The number of dimensions of `value` if it is known; else None."""
    shape = _shape(value)
    return None if shape is None else len(shape)


def _shape(value: ir.Value | None) -> ir.Shape | tuple[int, ...] | None:
    """What is written, or for a Constant node of which nothing is written what it puts out."""
    if value is None or value.shape is not None:
        return None if value is None else value.shape
    array = constant(value) if is_op(value.producer(), "Constant") else None
    return None if array is None else array.shape


def sole_user(value: ir.Value) -> ir.Node | None:
    """The one node that uses `value` once, if nothing else sees `value`; else None."""
    if value.is_graph_output() or len(value.uses()) != 1:
        return None
    (use,) = value.uses()
    return use.node


def is_private(value: ir.Value | None) -> bool:
    """Whether only one input of one node in the whole model sees `value`."""
    return value is not None and sole_user(value) is not None


def fresh_name(graph: ir.Graph, hint: str) -> str:
    """`hint`, or `hint_1`, `hint_2` …: a name that no value and no node of the model has yet."""
    taken: _Names | None = graph.meta.get(_TAKEN)
    if taken is None:
        taken = graph.meta[_TAKEN] = _Names([graph, *subgraphs(graph)])
    name, suffix = hint, 0
    while name in taken.found:
        suffix += 1
        name = f"{hint}_{suffix}"
    taken.found.add(name)
    return name


_TAKEN = "lprc.taken_names"


def share_names(model: ir.Model) -> None:
    """Make `fresh_name` see the names of all of `model`'s graphs; the manager calls it per pass."""
    everywhere = list(graphs(model))
    taken = _Names(everywhere)
    for graph in everywhere:
        graph.meta[_TAKEN] = taken


class _Names:
    """All names in some graphs, gathered when the first is asked for: most passes make none."""

    def __init__(self, where: list[ir.Graph]) -> None:
        self._where = where

    @functools.cached_property
    def found(self) -> set[str]:
        taken: set[str] = set()
        for graph in self._where:
            taken.update(value.name for value in graph.inputs if value.name)
            taken.update(graph.initializers)
            for node in graph:
                taken.add(node.name or "")
                taken.update(value.name for value in node.outputs if value.name)
        return taken


def add_initializer(graph: ir.Graph, hint: str, array: np.ndarray) -> ir.Value:
    """Register `array` as a new initialiser of `graph`, under a fresh name made from `hint`."""
    name = fresh_name(graph, hint)
    # Not ascontiguousarray: it would make [1] of a scalar's [].
    tensor = ir.Tensor(np.asarray(array, order="C"), name=name)
    value = ir.Value(
        name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def new_node(
    op_type: str,
    inputs: Sequence[ir.Value | None],
    *,
    before: ir.Node,
    sources: Iterable[ir.Node],
    attributes: Mapping[str, Any] | None = None,
    name: str | None = None,
    dtype: ir.DataType | None = None,
    shape: ir.Shape | Sequence[Any] | None = None,
) -> ir.Value:
    """Insert a new one-output node and return its output.

    Args:
        op_type: An operator of the ONNX domain.
        inputs: The node's inputs; None for one that is left out.
        before: The node to insert it in front of, in that node's graph.
        sources: The nodes it stands for; it inherits their origins.
        attributes: Attribute values as Python data.
        name: What to name the node and its output after; by default the first source.
        dtype: The output's element type, if known; by default that of the first input.
        shape: The output's shape, if known.
    """
    sources = list(sources)
    graph = before.graph
    assert isinstance(graph, ir.Graph)
    hint = name or f"{sources[0].name or sources[0].op_type}_{op_type.lower()}"
    if dtype is None and inputs and inputs[0] is not None:
        dtype = inputs[0].dtype
    if shape is not None and not isinstance(shape, ir.Shape):
        shape = ir.Shape(shape)
    output = ir.Value(
        name=fresh_name(graph, f"{hint}_out"),
        shape=shape,
        type=None if dtype is None else ir.TensorType(dtype),
    )
    node = ir.node(
        op_type, inputs, attributes or {}, outputs=[output], name=fresh_name(graph, hint)
    )
    inherit(node, sources)
    graph.insert_before(before, node)
    return output


def replace_value(old: ir.Value, new: ir.Value, *, before: ir.Node | None = None) -> None:
    """Let everything that uses `old`, graph outputs included, use `new` instead.

    A graph output keeps its name. Where `new` can't take the name (it is public itself, or
    belongs to an outer graph) an Identity node carries it.

    Args:
        old: The value to replace; its producer stays and can then be removed.
        new: The value to use instead.
        before: Where to insert the Identity; by default in front of the producer of `old`.
    """
    if old is new:
        return
    if old.is_graph_output():
        producer = old.producer()
        anchor = before or producer
        public = new.is_graph_output() or new.is_graph_input() or new.is_initializer()
        if public or new.graph is not old.graph:
            assert anchor is not None
            sources = [producer] if producer is not None else [anchor]
            new = new_node("Identity", [new], before=anchor, sources=sources, shape=new.shape)
        name, old.name = old.name, None
        new.name = name
        if new.shape is None:
            new.shape = old.shape
        if new.type is None:
            new.type = old.type
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)


def stays_public(output: ir.Value, same_as: ir.Value) -> bool:
    """Whether an Identity would have to take the place of what makes `output`.

    That is where `output` and `same_as` are both seen from outside: two public values stay two.
    """
    public = same_as.is_graph_input() or same_as.is_graph_output() or same_as.is_initializer()
    return output.is_graph_output() and (public or same_as.graph is not output.graph)


def remove_dead(candidates: Iterable[ir.Node | None]) -> None:
    """Remove those of `candidates` that nothing uses, and then what only they kept alive.

    Initialisers that lose their last use go too. Nodes with subgraphs are left to ``dead-code``.
    """
    pending = [node for node in candidates if node is not None]
    while pending:
        node = pending.pop()
        if not isinstance(node.graph, ir.Graph) or not _is_dead(node):
            continue
        inputs = [value for value in node.inputs if value is not None]
        node.graph.remove(node, safe=True)
        for value in inputs:
            producer = value.producer()
            if producer is not None:
                pending.append(producer)
            else:
                remove_dead_initializer(value)


def _is_dead(node: ir.Node) -> bool:
    return not any(output.uses() or output.is_graph_output() for output in node.outputs)


def inherit_name(new: ir.Value, old: ir.Value) -> None:
    """Give the initialiser `new` the name of `old`, which it replaces, once `old` is gone."""
    graph = new.graph
    if isinstance(graph, ir.Graph) and old.name is not None and old.name not in graph.initializers:
        new.name = old.name


def remove_dead_initializer(value: ir.Value | None) -> None:
    """Unregister `value` if it is an initialiser that nothing uses or exposes any more."""
    if value is None or value.uses() or value.is_graph_output() or value.is_graph_input():
        return
    graph = value.graph
    if value.is_initializer() and isinstance(graph, ir.Graph) and value.name is not None:
        del graph.initializers[value.name]


def axes_of(node: ir.Node) -> list[int] | None:
    """The axes of a Squeeze, Unsqueeze or Reduce* node, as an input or an attribute.

    Returns:
        The axes as they are written; empty where the node names none; None if they are not
        constant.
    """
    if "axes" in node.attributes:
        return [int(axis) for axis in attribute(node, "axes")]
    value = input_at(node, 1)
    if value is None:
        return []
    array = constant(value)
    return None if array is None else [int(axis) for axis in array.reshape(-1)]

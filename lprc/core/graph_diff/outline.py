"""A model as it is at one moment: names, edges and tensors, without a copy of any weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from lprc.core.graph.annotations import Range, range_of
from lprc.core.graph.editing import ONNX_DOMAIN
from lprc.core.graph.printer import attribute_text, tensor_hash, type_text
from lprc.core.graph.provenance import KEY, origins

Hashes = dict[int, tuple[ir.TensorProtocol, str]]
"""Hashes of tensors by identity; the tensor stands beside its hash so that it stays alive."""


@dataclass(eq=False, slots=True)
class ValueOutline:
    """A value: an input, an initialiser or what a node puts out.

    Attributes:
        name: Empty where it has none.
        type: Element type and shape as text, for instance ``f32[N,3]``; ``?`` if unknown.
        range: The recorded range of an activation.
        producer: The node that puts it out.
        index: Which output of the producer it is.
        is_input: Whether it is an input of its graph or function.
        tensor: An initialiser's tensor.
        digest: The hash of `tensor`; empty without one.
        users: The nodes that use it, and as which input, in the graph's order.
    """

    name: str
    type: str = "?"
    range: Range | None = None
    producer: NodeOutline | None = None
    index: int = 0
    is_input: bool = False
    tensor: ir.TensorProtocol | None = None
    digest: str = ""
    users: list[tuple[NodeOutline, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AttributeOutline:
    """An attribute: `key` is equal where it is, `text` is for people."""

    key: str
    text: str


@dataclass(eq=False, slots=True)
class NodeOutline:
    """A node.

    Attributes:
        name: Empty where it has none.
        operator: The operator, with its domain unless that is ONNX's, and its overload.
        origins: Names of the source nodes that it came from.
        has_provenance: Whether `origins` were recorded; else they are its own name.
        attributes: By name, those that hold graphs left out.
        bodies: Subgraphs by what they are called: ``then_branch``, or ``name[1]`` in a list.
        inputs: None where one is left out.
        outputs: All of them.
    """

    name: str
    operator: str
    origins: tuple[str, ...]
    has_provenance: bool
    attributes: dict[str, AttributeOutline]
    bodies: dict[str, BodyOutline]
    inputs: list[ValueOutline | None] = field(default_factory=list)
    outputs: list[ValueOutline] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Its name, or that of its first output that has one."""
        return self.name or next((value.name for value in self.outputs if value.name), "(unnamed)")


@dataclass(eq=False, slots=True)
class BodyOutline:
    """A graph, a subgraph or a function's body; nodes in the graph's order."""

    inputs: list[ValueOutline]
    outputs: list[ValueOutline]
    initializers: list[ValueOutline]
    nodes: list[NodeOutline]
    imports: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class ModelOutline:
    """A model.

    Attributes:
        graph: The main graph.
        functions: Bodies by ``domain.name``, with ``:overload`` where there is one.
        ir_version: Of the file format.
        hashes: Of its initialisers, for the next outline of the same model.
    """

    graph: BodyOutline
    functions: dict[str, BodyOutline]
    ir_version: int
    hashes: Hashes


def outline(model: ir.Model, *, previous: ModelOutline | None = None) -> ModelOutline:
    """Outline `model`; later changes of the model don't reach the outline.

    Passes replace tensors and never write into them, so tensors are shared and not copied.

    Args:
        model: The model.
        previous: An outline of the same model before; tensors that stayed are not hashed again.
    """
    reader = _Reader({} if previous is None else previous.hashes)
    return ModelOutline(
        graph=reader.body(model.graph),
        functions={
            _qualified(*function.identifier()): reader.body(function)
            for _, function in sorted(model.functions.items())
        },
        ir_version=model.ir_version,
        hashes=reader.hashes,
    )


def _qualified(domain: str, name: str, overload: str) -> str:
    operator = name if domain in ONNX_DOMAIN else f"{domain}.{name}"
    return f"{operator}:{overload}" if overload else operator


class _Reader:
    """Makes one outline per value, by identity: subgraphs use the values of outer graphs."""

    def __init__(self, known: Hashes) -> None:
        self.hashes: Hashes = {}
        self._known = known
        self._values: dict[int, ValueOutline] = {}

    def body(self, body: ir.Graph | ir.Function) -> BodyOutline:
        inputs = [self._value(value) for value in body.inputs]
        for value in inputs:
            value.is_input = True
        initializers = []
        if isinstance(body, ir.Graph):
            initializers = [self._initializer(value) for value in body.initializers.values()]
        nodes = [self._node(node) for node in body]
        outline = BodyOutline(
            inputs=inputs,
            outputs=[self._value(value) for value in body.outputs],
            initializers=initializers,
            nodes=nodes,
            imports={domain or "onnx": version for domain, version in body.opset_imports.items()},
        )
        if isinstance(body, ir.Function):
            outline.attributes = {
                name: "required" if attribute.value is None else attribute_text(attribute)
                for name, attribute in body.attributes.items()
            }
        return outline

    def _value(self, value: ir.Value) -> ValueOutline:
        found = self._values.get(id(value))
        if found is None:
            found = ValueOutline(value.name or "", type_text(value), range_of(value))
            self._values[id(value)] = found
        return found

    def _initializer(self, value: ir.Value) -> ValueOutline:
        found = self._value(value)
        tensor = value.const_value
        if tensor is not None:
            known = self._known.get(id(tensor))
            found.tensor = tensor
            found.digest = tensor_hash(tensor) if known is None else known[1]
            self.hashes[id(tensor)] = (tensor, found.digest)
        return found

    def _node(self, node: ir.Node) -> NodeOutline:
        attributes: dict[str, AttributeOutline] = {}
        bodies: dict[str, BodyOutline] = {}
        for attribute in node.attributes.values():
            graphs = list(_graphs(attribute))
            if not graphs:
                attributes[attribute.name] = _attribute(attribute)
            for title, graph in graphs:
                bodies[title] = self.body(graph)
        outline = NodeOutline(
            name=node.name or "",
            operator=_qualified(node.domain, node.op_type, node.overload),
            origins=origins(node),
            has_provenance=KEY in node.metadata_props,
            attributes=attributes,
            bodies=bodies,
        )
        for slot, value in enumerate(node.inputs):
            used = None if value is None else self._value(value)
            outline.inputs.append(used)
            if used is not None:
                used.users.append((outline, slot))
        for index, value in enumerate(node.outputs):
            output = self._value(value)
            output.producer, output.index = outline, index
            outline.outputs.append(output)
        return outline


def _attribute(attribute: ir.Attr) -> AttributeOutline:
    text = attribute_text(attribute)
    # 1 and 1.0 print alike.
    return AttributeOutline(f"{attribute.type}:{attribute_text(attribute, in_full=True)}", text)


def _graphs(attribute: ir.Attr) -> Iterator[tuple[str, ir.Graph]]:
    if attribute.ref_attr_name is not None:
        return
    if attribute.type == ir.AttributeType.GRAPH:
        yield attribute.name, attribute.value
    elif attribute.type == ir.AttributeType.GRAPHS:
        for number, graph in enumerate(attribute.value):
            yield f"{attribute.name}[{number}]", graph

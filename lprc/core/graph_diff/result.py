"""What differs between two models, as data; everything in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Existence = Literal["added", "removed", "changed"]


@dataclass(frozen=True)
class NodeReference:
    """A node of one of the two models.

    Attributes:
        body: Where it is: empty for the main graph, else ``if_1.then_branch`` or ``function f``.
        name: Its name, or its first output's.
        operator: The operator, with a domain other than ONNX's.
        origins: Names of the source nodes that it came from.
    """

    body: str
    name: str
    operator: str
    origins: tuple[str, ...]


@dataclass(frozen=True)
class RemovedNode:
    """A node that only the model before has.

    Attributes:
        node: The node.
        folded_into: Operators of nodes that both models have and that now stand for it too.
        replaced_by: Operators of added nodes that come from it.
        became_initializer: Whether what it put out is an initialiser now.
    """

    node: NodeReference
    folded_into: tuple[str, ...] = ()
    replaced_by: tuple[str, ...] = ()
    became_initializer: bool = False


@dataclass(frozen=True)
class AddedNode:
    """A node that only the model after has; `made_from` are the operators that it stands for."""

    node: NodeReference
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class AttributeChange:
    """An attribute before and after, as text; None where it is absent."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class ChangedNode:
    """A node with other attributes (or outputs left out); `before` and `after` may be renamed."""

    before: NodeReference
    after: NodeReference
    attributes: tuple[AttributeChange, ...]


@dataclass(frozen=True)
class Source:
    """Where a value comes from.

    Attributes:
        value: Its name.
        kind: An operator, ``input``, ``initialiser`` or ``nothing`` for an input left out.
    """

    value: str
    kind: str


@dataclass(frozen=True)
class Rewiring:
    """An input of a node, or an output of a graph, that comes from elsewhere.

    Attributes:
        user: The node after; None for an output of the graph.
        body: Where it is.
        slot: Which input of the node, or which output of the graph.
        before: Where it came from.
        after: Where it comes from.
    """

    user: NodeReference | None
    body: str
    slot: int
    before: Source
    after: Source


@dataclass(frozen=True)
class ValueChange:
    """A value whose type, shape or recorded range changed.

    Attributes:
        body: Where it is.
        name: Its name after.
        kind: The operator that puts it out, or ``input``.
        type_before: Element type and shape, for instance ``f32[N,3]``; ``?`` if unknown.
        type_after: The same after.
        range_before: Recorded range ``(low, high)``, or None.
        range_after: The same after.
    """

    body: str
    name: str
    kind: str
    type_before: str
    type_after: str
    range_before: tuple[float, float] | None
    range_after: tuple[float, float] | None


@dataclass(frozen=True)
class TensorStatistics:
    """An initialiser's tensor.

    Attributes:
        type: Element type and shape.
        bytes: Its size.
        minimum: Of its values; None where they are not numbers, or there are none.
        maximum: Of its values.
        mean: Of its values, summed in float64.
        sparsity: The fraction of zeros, 0 to 1.
    """

    type: str
    bytes: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    sparsity: float | None = None


@dataclass(frozen=True)
class InitializerChange:
    """An initialiser that is new, gone or holds something else.

    Attributes:
        body: Where it is.
        name: Its name after; before, where it is gone.
        what: Which of the three.
        users: Operators of the nodes that use it.
        before: None where it is new.
        after: None where it is gone.
        snr_db: The power of the tensor before over that of the change, in dB; None where the
            shapes differ, or the values are not real numbers or all equal.
        reordered: Whether it holds the same values in another order.
    """

    body: str
    name: str
    what: Existence
    users: tuple[str, ...]
    before: TensorStatistics | None
    after: TensorStatistics | None
    snr_db: float | None = None
    reordered: bool = False


@dataclass(frozen=True)
class InterfaceChange:
    """An input or output of a graph, an opset import, a function or the IR version.

    Attributes:
        body: Where it is.
        what: ``input``, ``output``, ``opset``, ``function``, ``function attribute`` or
            ``IR version``.
        name: Its name after; before, where it is gone.
        before: What it was, as text; None where it is new.
        after: What it is; None where it is gone.
    """

    body: str
    what: str
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Renaming:
    """A node, value or initialiser with another name: no difference in what is computed."""

    body: str
    what: Literal["node", "value", "initialiser"]
    before: str
    after: str


@dataclass(frozen=True)
class GraphDifference:
    """All that differs between two models.

    Attributes:
        nodes_before: How many nodes the model before has, those of subgraphs and functions too.
        nodes_after: The same after.
        interface: Inputs, outputs, opset imports, functions, IR version.
        removed: Nodes that are gone.
        added: Nodes that are new.
        changed: Nodes with other attributes.
        rewired: Inputs of nodes and outputs of graphs that come from elsewhere.
        values: Types, shapes and ranges.
        initializers: Weights.
        renamed: Names of nodes, values and initialisers inside; not of inputs and outputs.
    """

    nodes_before: int
    nodes_after: int
    interface: tuple[InterfaceChange, ...] = ()
    removed: tuple[RemovedNode, ...] = ()
    added: tuple[AddedNode, ...] = ()
    changed: tuple[ChangedNode, ...] = ()
    rewired: tuple[Rewiring, ...] = ()
    values: tuple[ValueChange, ...] = ()
    initializers: tuple[InitializerChange, ...] = ()
    renamed: tuple[Renaming, ...] = field(default=())

    @property
    def same(self) -> bool:
        """Whether the models are the same but for names inside."""
        return not (
            self.interface
            or self.removed
            or self.added
            or self.changed
            or self.rewired
            or self.values
            or self.initializers
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the page in a frame, whose style stays inside."""
        from html import escape

        from lprc.core.graph_diff.html import html_page

        page = escape(html_page(self, "before", "after"), quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:30em;border:0"></iframe>'

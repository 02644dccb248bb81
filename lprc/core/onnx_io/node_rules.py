"""Rules of ONNX that its own checker leaves to runtimes, some of which crash where they break.

They are told from a node's attributes, and from the shapes of graph inputs, initialisers and
constants. Shapes that a file declares for inner values are not relied on: they are often stale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import onnx

from lprc.core.graph.operators import CONVOLUTIONS, POOLS
from lprc.core.onnx_io.bodies import ONNX_DOMAINS, Body, blame, with_versions
from lprc.core.onnx_io.tensor_rules import type_name

MAX_WINDOW = 2**30
"""Elements of a pooling or convolution window; kernels run without end on larger ones."""

_TYPE_ATTRIBUTES = frozenset({"to", "dtype", "stash_type", "output_datatype"})
_HEADS_LIMIT = 2**31


@dataclass(frozen=True)
class Site:
    """A node and what is known of what it reads.

    Attributes:
        node: The node.
        version: The version of the operator set that it is of.
        attributes: Its attributes' values by name; those that refer to a function's are left out.
        shapes: Sizes by value name, None for one that is not known.
    """

    node: onnx.NodeProto
    version: int
    attributes: Mapping[str, Any]
    shapes: Mapping[str, tuple[int | None, ...]]

    def shape(self, index: int) -> tuple[int | None, ...] | None:
        """The shape of an input, None where there is none or it is not known."""
        name = self.node.input[index] if index < len(self.node.input) else ""
        return self.shapes.get(name) if name else None

    def rank(self, index: int) -> int | None:
        """The rank of an input, None where it is not known."""
        shape = self.shape(index)
        return None if shape is None else len(shape)

    def length(self, index: int) -> int | None:
        """The length of an input that is a list of numbers; None where it is not known."""
        shape = self.shape(index)
        return shape[0] if shape is not None and len(shape) == 1 else None


Rule = Callable[[Site], str | None]


def check_nodes(proto: onnx.ModelProto, where: str) -> None:
    """Refuse nodes of the ONNX domain that break a rule.

    Raises:
        InvalidModelError: Naming the node.
    """
    local = {(function.domain, function.name) for function in proto.functions}
    for body, version in with_versions(proto):
        shapes = _shapes(body)
        for node in body.node:
            if node.domain not in ONNX_DOMAINS or (node.domain, node.op_type) in local:
                continue
            site = Site(node, version, _values(node), shapes)
            wrong = _problem(site)
            if wrong is not None:
                raise blame(node, wrong, where)


def _shapes(body: Body) -> dict[str, tuple[int | None, ...]]:
    shapes: dict[str, tuple[int | None, ...]] = {}
    if isinstance(body, onnx.GraphProto):
        for value in body.input:
            kind = value.type.tensor_type
            if value.type.HasField("tensor_type") and kind.HasField("shape"):
                shapes[value.name] = tuple(
                    dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim
                )
        shapes.update((tensor.name, tuple(tensor.dims)) for tensor in body.initializer)
    for node in body.node:
        if node.op_type == "Constant" and len(node.attribute) == 1 and node.output:
            constant = node.attribute[0]
            if constant.name == "value":
                shapes[node.output[0]] = tuple(constant.t.dims)
            elif constant.name == "value_ints":
                shapes[node.output[0]] = (len(constant.ints),)
    return shapes


def _values(node: onnx.NodeProto) -> dict[str, Any]:
    kinds = onnx.AttributeProto
    fields = {kinds.INT: "i", kinds.FLOAT: "f", kinds.INTS: "ints"}
    return {
        attribute.name: getattr(attribute, fields[attribute.type])
        for attribute in node.attribute
        if attribute.type in fields and not attribute.ref_attr_name
    }


def _problem(site: Site) -> str | None:
    for name in _TYPE_ATTRIBUTES & site.attributes.keys():
        number = site.attributes[name]
        if isinstance(number, int) and type_name(number) is None:
            return f"attribute '{name}' is {number}, which is no element type"
    rule = _RULES.get(site.node.op_type)
    return rule(site) if rule is not None else None


def _constant(site: Site) -> str | None:
    count = len(site.node.attribute)
    return None if count == 1 else f"it must have one value, and has {count or 'none'}"


def _no_gaps(site: Site) -> str | None:
    """An input left out is written as an empty name, which only optional inputs may be."""
    gaps = [index for index, name in enumerate(site.node.input) if not name]
    return f"its input {gaps[0]} is left out, and is not optional" if gaps else None


def _window(site: Site) -> str | None:
    """Kernel, strides, dilations and pads speak of the same axes."""
    lists = {
        name: list(site.attributes[name])
        for name in ("kernel_shape", "strides", "dilations")
        if name in site.attributes
    }
    for name, sizes in lists.items():
        if any(size < 1 for size in sizes):
            return f"{name} {sizes} has a size below 1"
    lengths = {name: len(sizes) for name, sizes in lists.items()}
    if len(site.attributes.get("pads", ())) % 2:
        return "pads has an odd number of sizes"
    if "pads" in site.attributes:
        lengths["pads"] = len(site.attributes["pads"]) // 2
    first = next(iter(lengths.items()), None)
    for name, length in lengths.items():
        if first is not None and length != first[1]:
            return f"{first[0]} is for {first[1]} axes and {name} for {length}"
    if prod(lists.get("kernel_shape", ())) > MAX_WINDOW:
        return f"its window {lists['kernel_shape']} has more than {MAX_WINDOW} elements"
    return _window_rank(site, first)


def _window_rank(site: Site, first: tuple[str, int] | None) -> str | None:
    # The legacy exporter of torch writes MaxPool so, and `legalize` repairs it.
    rank = None if site.node.op_type == "MaxPool" else site.rank(0)
    if rank is None:
        return None
    if rank < 3:
        return f"its input has {rank} dimensions, and must have at least 3"
    if first is not None and first[1] != rank - 2:
        return f"{first[0]} is for {first[1]} axes, and its input has {rank - 2} after channels"
    return None


def _slice(site: Site) -> str | None:
    names = ("starts", "ends", "axes", "steps")
    if site.version < 10:
        lengths = {n: len(site.attributes[n]) for n in names if n in site.attributes}
        axes = list(site.attributes.get("axes", ()))
    else:
        for index, name in enumerate(names, 1):
            if site.rank(index) not in (None, 1):
                return f"{name} has {site.rank(index)} dimensions, and must have one"
        input_lengths = {name: site.length(index) for index, name in enumerate(names, 1)}
        lengths = {name: length for name, length in input_lengths.items() if length is not None}
        axes = []
    for name, length in lengths.items():
        if length != next(iter(lengths.values())):
            return f"{next(iter(lengths))} has {next(iter(lengths.values()))} numbers, " + (
                f"and {name} has {length}"
            )
    rank = site.rank(0)
    if rank is not None and max(lengths.values(), default=0) > rank:
        return f"it slices {max(lengths.values())} axes, and its input has {rank}"
    return _axes_problem(axes, rank)


def _split(site: Site) -> str | None:
    outputs = len(site.node.output)
    asked = site.attributes.get("num_outputs")
    if asked is not None and asked != outputs:
        return f"num_outputs is {asked}, and it has {outputs} outputs"
    attribute = site.attributes.get("split")
    parts = site.length(1) if attribute is None else len(attribute)
    if parts is not None and parts != outputs:
        return f"it is split into {parts} parts, and has {outputs} outputs"
    return _axis(site)


def _transpose(site: Site) -> str | None:
    order = site.attributes.get("perm")
    if order is None:
        return None
    if sorted(order) != list(range(len(order))):
        return f"perm {list(order)} is no permutation"
    rank = site.rank(0)
    if rank is not None and rank != len(order):
        return f"perm is for {len(order)} axes, and its input has {rank}"
    return None


def _squeeze(site: Site) -> str | None:
    """By ONNX an empty list squeezes nothing; ONNX Runtime takes it for none at all."""
    given = site.attributes.get("axes")
    count = site.length(1) if given is None else len(given)
    shape = site.shape(0)
    if count != 0 or (shape is not None and None not in shape and 1 not in shape):
        return None
    return (
        "its axes are an empty list, which squeezes nothing by ONNX and every axis of size 1 "
        "in ONNX Runtime; name the axes, or leave the list out"
    )


def _axis(site: Site) -> str | None:
    axis = site.attributes.get("axis")
    return None if axis is None else _axes_problem([axis], site.rank(0))


def _concat(site: Site) -> str | None:
    return _no_gaps(site) or _axis(site)


def _axes_problem(axes: Sequence[int], rank: int | None) -> str | None:
    for axis in axes:
        if rank is not None and not -rank <= axis < rank:
            return f"axis {axis} is outside of its input's {rank}"
    return None


def _random_normal(site: Site) -> str | None:
    scale = site.attributes.get("scale", 1.0)
    if isfinite(scale) and scale > 0:
        return None
    return f"its scale is {scale:g}, and a standard deviation is above 0"


def _random_uniform(site: Site) -> str | None:
    low, high = site.attributes.get("low", 0.0), site.attributes.get("high", 1.0)
    if isfinite(low) and isfinite(high) and low <= high:
        return None
    return f"it draws from {low:g} to {high:g}, which is no range"


def _attention(site: Site) -> str | None:
    heads = {name: site.attributes.get(f"{name}_num_heads") for name in ("q", "kv")}
    for name, count in heads.items():
        if count is not None and not 1 <= count < _HEADS_LIMIT:
            return f"{name}_num_heads is {count}"
    for index, name in enumerate(("q", "kv", "kv")):
        shape, count = site.shape(index), heads[name]
        width = shape[2] if shape is not None and len(shape) == 3 else None
        if width is not None and count is not None and width % count:
            return f"input {index} is {width} wide, which {name}_num_heads {count} does not divide"
    return None


def _convolution(site: Site) -> str | None:
    """The bias has a number for each channel that the weights make."""
    wrong = _window(site)
    weight, bias = site.shape(1), site.shape(2)
    if wrong is not None or weight is None or bias is None or len(weight) < 3:
        return wrong
    channels = weight[0]
    if site.node.op_type == "ConvTranspose":
        channels = None if weight[1] is None else weight[1] * site.attributes.get("group", 1)
    if len(bias) != 1 or (None not in (channels, bias[0]) and channels != bias[0]):
        return f"its bias has the shape {list(bias)}, and its weights make {channels} channels"
    return None


def _branches(site: Site) -> str | None:
    outputs = len(site.node.output)
    for attribute in site.node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH and len(attribute.g.output) != outputs:
            made = len(attribute.g.output)
            return f"{attribute.name} has {made} outputs, and it has {outputs}"
    return None


def _scan(site: Site) -> str | None:
    """ONNX Runtime makes room for as many inputs as it says, before it looks how many there are."""
    scanned, inputs = site.attributes.get("num_scan_inputs"), len(site.node.input)
    if scanned is None or 1 <= scanned <= inputs:
        return None
    return f"num_scan_inputs is {scanned}, and it has {inputs} inputs"


_RULES: dict[str, Rule] = {
    **dict.fromkeys(("Einsum", "Max", "Mean", "Min", "SequenceConstruct", "Sum"), _no_gaps),
    **dict.fromkeys(CONVOLUTIONS | POOLS, _window),
    **dict.fromkeys(("Conv", "ConvTranspose"), _convolution),
    "If": _branches,
    **dict.fromkeys(
        ("ArgMax", "ArgMin", "Gather", "GatherElements", "ScatterElements", "TopK"), _axis
    ),
    **dict.fromkeys(("RandomNormal", "RandomNormalLike"), _random_normal),
    **dict.fromkeys(("RandomUniform", "RandomUniformLike"), _random_uniform),
    "Attention": _attention,
    "Concat": _concat,
    "Constant": _constant,
    "Scan": _scan,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
}

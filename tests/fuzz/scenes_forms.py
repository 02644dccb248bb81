"""Scenes of forms that exporters write: channel pools, slices of channels, sequences, functions."""

from __future__ import annotations

import numpy as np
from onnx import AttributeProto, TensorProto, helper

from .maker import FLOATS, DoesNotFit, Maker, Value
from .scenes_layout import END, _with_axes
from .scenes_windows import F32, conv


def pool_over_channels(m: Maker) -> None:
    """MaxPool over channels between Unsqueeze and Squeeze, or between Transposes."""
    value = m.pick(dtypes=[F32], ranks=[4])
    if m.coin(0.6):
        volume = _with_axes(m, "Unsqueeze", value, [1], 5)
        kernel = [m.integer(1, 3) for _ in range(3)]
        attributes: dict = {"strides": [m.integer(1, 2) for _ in range(3)]}
        if m.coin(0.3):
            attributes["pads"] = [0, *(m.integer(0, 1) for _ in range(2))] * 2
        if m.coin(0.2):
            attributes["ceil_mode"] = 1
        pooled = m.add("MaxPool", [volume], kernel_shape=kernel, **attributes)
        _with_axes(m, "Squeeze", pooled, [1], 5)
        return
    perm = m.choice([[0, 2, 3, 1], [0, 2, 1, 3], [0, 3, 2, 1]])
    moved = m.add("Transpose", [value], perm=perm)
    pooled = m.add(
        "MaxPool",
        [moved],
        kernel_shape=[m.integer(1, 3), m.integer(1, 3)],
        strides=[m.integer(1, 2), m.integer(1, 2)],
    )
    m.add("Transpose", [pooled], perm=[int(axis) for axis in np.argsort(perm)])


def sliced_channels(m: Maker) -> None:
    """A Conv whose channels are sliced, at once or behind something elementwise."""
    value = conv(m)
    if m.opset < 10 or value.shape[1] < 2:
        raise DoesNotFit
    for _ in range(m.integer(0, 2)):
        kind = m.choice(["Relu", "Neg", "Add", "MaxPool", "AveragePool", "BatchNormalization"])
        if kind == "Add":
            constant = m.weight(value.dtype, 1, value.shape[1], *[1] * (value.rank - 2))
            value = m.add(kind, [value, constant])
        elif kind in ("MaxPool", "AveragePool"):
            axes = value.rank - 2
            value = m.add(kind, [value], kernel_shape=[m.integer(1, 2) for _ in range(axes)])
        elif kind == "BatchNormalization":
            constants = [m.constant(np.abs(m.rng.standard_normal(value.shape[1])).astype(value.dtype))
                         for _ in range(4)]  # fmt: skip
            value = m.add(kind, [value, *constants])
        else:
            value = m.add(kind, [value])
    taken = [_channel_slice(m, value) for _ in range(m.integer(1, 2))]
    if m.coin(0.4):
        m.add("GlobalMaxPool", [value])
    for part in taken:
        if m.coin() and part.shape[1]:
            conv(m, part)


def _channel_slice(m: Maker, value: Value) -> Value:
    start, end = m.choice([(0, END), (1, END), (-2, END), (0, -1), (-1, -END), (0, 2), (3, 1)])
    step = m.choice([1, 1, 2, 3]) if end != -END else m.choice([-1, -2])
    axis = m.choice([1, 1 - value.rank])
    bounds = [m.indices([number]) for number in (start, end, axis, step)]
    return m.add("Slice", [value, *bounds])


def sliced_space(m: Maker) -> None:
    value = m.pick(dtypes=FLOATS, ranks=[3, 4])
    kind = m.choice(["Relu", "Sigmoid", "Add", "Mul", "Clip", "Conv", "Max", "PRelu", "Cast"])
    if kind in ("Add", "Mul", "Max", "PRelu"):
        shape = m.choice(
            [(), value.shape, value.shape[-1:], (value.shape[1], *[1] * (value.rank - 2))]
        )
        inputs = [value, m.weight(value.dtype, *shape)]
        value = m.add(kind, inputs if kind == "PRelu" or m.coin(0.7) else inputs[::-1])
    elif kind == "Conv":
        value = conv(m, value, pointwise=True)
    elif kind == "Cast":
        value = m.add(kind, [value], to=TensorProto.FLOAT)
    elif kind == "Clip" and m.opset >= 11:
        value = m.add(kind, [value, m.scalar(value.dtype)])
    else:
        value = m.add(kind if kind != "Clip" else "Relu", [value])
    if m.opset < 10:
        raise DoesNotFit
    axis = m.integer(0, value.rank - 1)
    bounds = m.choice([(0, 1, 1), (-1, -END, -1), (1, END, 2), (5, 2, 1), (-2, END, 1)])
    numbers = (bounds[0], bounds[1], axis, bounds[2])
    m.add("Slice", [value, *(m.indices([number]) for number in numbers)])


def sequence(m: Maker) -> None:
    """SplitToSequence or SequenceConstruct, and what reads it."""
    if m.opset < 11:
        raise DoesNotFit
    value = m.pick(dtypes=[F32], ranks=[2, 3, 4])
    name = m.name("s")
    if m.coin():
        axis = m.integer(-value.rank, value.rank - 1)
        size = value.shape[axis]
        if size < 1:
            raise DoesNotFit
        kept = m.integer(0, 1)
        part = m.integer(1, size)
        sizes = [part] * (size // part) + ([size % part] if size % part else [])
        if m.coin(0.3):
            part, sizes = None, [1] * size
        # With sizes given keepdims has no meaning, but for ONNX Runtime it has.
        kept = 1 if part else kept
        inputs = [value.name] + ([m.constant(np.array(part, np.int64)).name] if part else [])
        m.nodes.append(helper.make_node(
            "SplitToSequence", inputs, [name], name=m.name("n"), axis=axis, keepdims=kept
        ))  # fmt: skip
        whole = list(value.shape)
        shapes = []
        for one in sizes:
            shape = list(whole)
            shape[axis] = one
            if part is None and not kept:
                del shape[axis % value.rank]
            shapes.append(tuple(shape))
    else:
        others = [m.pick(dtypes=[F32], ranks=[value.rank]) for _ in range(m.integer(0, 2))]
        shapes = [each.shape for each in (value, *others)]
        read = [each.name for each in (value, *others)]
        m.nodes.append(helper.make_node("SequenceConstruct", read, [name], name=m.name("n")))
    _read_sequence(m, name, shapes)


def _read_sequence(m: Maker, name: str, shapes: list[tuple[int, ...]]) -> None:
    kind = m.choice(["at", "at", "length", "concat"])
    output = m.name("v")
    if kind == "at":
        index = m.integer(-len(shapes), len(shapes) - 1)
        position = m.constant(np.array(index, np.int64)).name
        m.nodes.append(helper.make_node("SequenceAt", [name, position], [output], name=m.name("n")))
        m.values.append(Value(output, F32, shapes[index]))
    elif kind == "length":
        m.nodes.append(helper.make_node("SequenceLength", [name], [output], name=m.name("n")))
        m.values.append(Value(output, np.dtype(np.int64), ()))
    else:
        rank = len(shapes[0])
        if any(shape != shapes[0] for shape in shapes) or rank == 0:
            return
        m.nodes.append(helper.make_node(
            "ConcatFromSequence", [name], [output], name=m.name("n"), axis=0, new_axis=1
        ))  # fmt: skip
        m.values.append(Value(output, F32, (len(shapes), *shapes[0])))


def function_call(m: Maker) -> None:
    """A call of a function of the model's own, with an attribute."""
    value = m.pick(dtypes=[F32])
    if m.opset < 14:
        raise DoesNotFit
    name = f"F{len(m.functions)}"
    inner = helper.make_node("LeakyRelu", ["a"], ["t"], name="inner")
    inner.attribute.add(name="alpha", type=AttributeProto.FLOAT, ref_attr_name="slope")
    outer = helper.make_node(m.choice(["Relu", "Neg", "Identity"]), ["t"], ["b"], name="outer")
    m.functions.append(helper.make_function(
        "local", name, ["a"], ["b"], [inner, outer], [helper.make_opsetid("", m.opset)], ["slope"]
    ))  # fmt: skip
    output = m.name("v")
    slope = float(m.choice([0.0, 0.25, 2.0]))
    m.nodes.append(helper.make_node(
        name, [value.name], [output], name=m.name("n"), domain="local", slope=slope
    ))  # fmt: skip
    m.values.append(Value(output, value.dtype, value.shape))


def branches(m: Maker) -> None:
    """An If whose branches read a value from outside, with an idle node in one."""
    value = m.pick(dtypes=[F32])
    if m.opset < 11:
        raise DoesNotFit
    condition = m.constant(np.array(m.coin()))
    graphs = []
    for kind in ("then", "else"):
        inner = m.name("b")
        nodes = [helper.make_node("Relu", [value.name], [f"{inner}r"], name=m.name("n"))]
        last = m.choice(["Identity", "Relu", "Neg", "Abs"])
        nodes.append(helper.make_node(last, [f"{inner}r"], [inner], name=m.name("n")))
        info = helper.make_tensor_value_info(inner, TensorProto.FLOAT, list(value.shape))
        graphs.append(helper.make_graph(nodes, kind, [], [info]))
    output = m.name("v")
    m.nodes.append(helper.make_node(
        "If", [condition.name], [output], name=m.name("n"), then_branch=graphs[0],
        else_branch=graphs[1],
    ))  # fmt: skip
    m.values.append(Value(output, value.dtype, value.shape))


def quantised(m: Maker) -> None:
    value = m.pick(dtypes=[F32])
    if m.opset < 10:
        raise DoesNotFit
    scale = m.constant(np.array(m.choice([0.1, 1.0, 2.0**-7]), np.float32))
    zero = m.constant(np.array(m.integer(0, 5), m.choice([np.int8, np.uint8])))
    stored = m.add("QuantizeLinear", [value, scale, zero])
    m.add("DequantizeLinear", [stored, scale, zero])


SCENES = [
    pool_over_channels, sliced_channels, sliced_channels, sliced_space, sliced_space, sequence,
    function_call, branches, quantised,
]  # fmt: skip

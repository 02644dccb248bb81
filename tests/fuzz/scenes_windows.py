"""Scenes of pools, convolutions, reductions and normalisation."""

from __future__ import annotations

import numpy as np

from . import edge_values
from .maker import FLOATS, DoesNotFit, Maker, Value

F32 = np.dtype(np.float32)
SPATIAL = [3, 4, 5]


def pool(m: Maker) -> None:
    """Any pool; the window may be larger than what it reads."""
    kind = m.choice(["AveragePool", "AveragePool", "AveragePool", "MaxPool", "LpPool"])
    dtypes = [F32, np.dtype(np.int8), np.dtype(np.uint8)] if kind == "MaxPool" else [F32]
    value = m.pick(dtypes=[*dtypes, *FLOATS], ranks=SPATIAL)
    axes = value.rank - 2
    kernel = [m.choice([1, 1, 2, 2, 3, 4, 4, 6]) for _ in range(axes)]
    if m.coin(0.1):
        kernel = [1] * axes
    attributes: dict = {"kernel_shape": kernel}
    if m.coin(0.7):
        attributes["strides"] = [m.choice([1, 1, 2, 2, 3]) for _ in range(axes)]
    if m.coin(0.4):
        # ONNX Runtime refuses pads as large as the window.
        attributes["pads"] = [min(m.choice([0, 0, 1, 2]), size - 1) for size in kernel * 2]
    elif m.coin(0.4):
        attributes["auto_pad"] = m.choice(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
    if m.opset >= 10 and m.coin(0.3):
        attributes["ceil_mode"] = 1
    if kind == "AveragePool" and m.coin(0.4):
        attributes["count_include_pad"] = 1
    first = {"AveragePool": 19, "MaxPool": 10, "LpPool": 18}[kind]
    if m.opset >= first and m.coin(0.15):
        attributes["dilations"] = [m.choice([1, 2]) for _ in range(axes)]
    m.add(kind, [value], outputs=2 if kind == "MaxPool" and m.coin(0.1) else 1, **attributes)


def global_pool(m: Maker) -> None:
    value = m.pick(dtypes=FLOATS, ranks=SPATIAL)
    m.add(m.choice(["GlobalAveragePool", "GlobalMaxPool"]), [value])


def conv(m: Maker, value: Value | None = None, *, pointwise: bool = False) -> Value:
    value = value or m.pick(dtypes=FLOATS, ranks=SPATIAL)
    channels, axes = value.shape[1], value.rank - 2
    if channels == 0:
        raise DoesNotFit
    groups = m.choice([1, 1, 1, channels, 2 if channels % 2 == 0 else 1])
    if pointwise:
        groups = 1
    kernel = [1] * axes if pointwise or m.coin() else [m.choice([1, 2, 3]) for _ in range(axes)]
    outputs = groups * m.integer(1, 3)
    inputs = [value, m.weight(value.dtype, outputs, channels // groups, *kernel)]
    if m.coin(0.6):
        inputs.append(m.weight(value.dtype, outputs))
    attributes: dict = {"group": groups}
    if m.coin(0.4):
        attributes["kernel_shape"] = kernel
    if not pointwise and m.coin(0.4):
        attributes["pads"] = [m.choice([0, 1]) for _ in range(2 * axes)]
    elif not pointwise and m.coin(0.2):
        attributes["auto_pad"] = m.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    if not pointwise and m.coin(0.2):
        attributes["strides"] = [2] * axes
    return m.add("Conv", inputs, **attributes)


def conv_transpose(m: Maker) -> Value:
    value = m.pick(dtypes=FLOATS, ranks=SPATIAL)
    channels, axes = value.shape[1], value.rank - 2
    if channels == 0:
        raise DoesNotFit
    groups = m.choice([1, 1, channels])
    outputs = m.integer(1, 3)
    inputs = [value, m.weight(value.dtype, channels, outputs, *[m.choice([1, 2])] * axes)]
    if m.coin():
        inputs.append(m.weight(value.dtype, outputs * groups))
    return m.add("ConvTranspose", inputs, group=groups)


def gemm(m: Maker) -> Value:
    value = m.pick(dtypes=FLOATS, ranks=[2])
    inner = value.shape[1]
    if inner == 0:
        raise DoesNotFit  # ONNX Runtime leaves what it puts out as it finds it
    outputs = m.integer(1, 3)
    transposed = m.coin()
    shape = (outputs, inner) if transposed else (inner, outputs)
    inputs = [value, m.weight(value.dtype, *shape)]
    if m.coin(0.6):
        shapes = [
            (outputs,),
            (1, outputs),
            (1,),
            (),
            (value.shape[0], 1),
            (value.shape[0], outputs),
        ]
        inputs.append(m.weight(value.dtype, *m.choice(shapes)))
    elif m.opset < 11:
        raise DoesNotFit
    attributes = {
        "alpha": float(m.choice([1.0, 0.5, 0.0])),
        "beta": float(m.choice([1.0, 0.0, 2.0])),
    }
    return m.add("Gemm", inputs, transB=int(transposed), **(attributes if m.coin(0.4) else {}))


def matmul(m: Maker) -> Value:
    value = m.pick(dtypes=FLOATS, ranks=[1, 2, 3, 4])
    outputs = m.integer(1, 3)
    if value.shape[-1] == 0:
        raise DoesNotFit
    made = m.add("MatMul", [value, m.weight(value.dtype, value.shape[-1], outputs)])
    if m.coin(0.5):
        made = m.add("Add", [made, m.weight(value.dtype, outputs)])
    return made


def affine(m: Maker) -> None:
    """A linear operator with arithmetic or BatchNormalization before or behind it."""
    make = m.choice([conv, conv, conv, conv_transpose, gemm, matmul])
    if m.coin(0.3):
        _arithmetic(m, m.pick(dtypes=FLOATS, ranks=[2, 3, 4]), axis=1)
    value = make(m)
    for _ in range(m.integer(1, 2)):
        if value.rank >= 2 and m.coin(0.35):
            value = batch_normalization(m, value)
        else:
            value = _arithmetic(m, value, axis=-1 if make is matmul else 1)


def _arithmetic(m: Maker, value: Value, *, axis: int) -> Value:
    shapes = [(), (1,), (1,) * value.rank, (1,) * (value.rank + 1)]
    if value.rank:
        whole = [1] * value.rank
        whole[axis] = value.shape[axis]
        shapes += [tuple(whole), tuple(whole), tuple(whole[1:])] * 2
        shapes.append(value.shape)
    shape = m.choice(shapes)
    kind = m.choice(["Add", "Sub", "Mul", "Div"])
    if m.coin(0.5):
        constant = m.constant(edge_values.weight(m.rng, value.dtype, shape))
    else:
        constant = m.scalar(value.dtype, shape)
    inputs = [value, constant] if m.coin(0.75) else [constant, value]
    return m.add(kind, inputs)


def batch_normalization(m: Maker, value: Value | None = None) -> Value:
    """BatchNormalization, also in training mode, in each form that ever said so."""
    value = value or m.pick(dtypes=FLOATS, ranks=[2, 3, 4])
    dtype, channels = value.dtype, value.shape[1]
    scale, bias, mean = (m.weight(dtype, channels) for _ in range(3))
    spread = np.abs(edge_values.weight(m.rng, dtype, (channels,)).astype(np.float64))
    variance = m.constant(np.minimum(spread, np.finfo(dtype).max).astype(dtype))
    attributes: dict = {"epsilon": float(m.choice([1e-5, 1e-3, 0.0]))} if m.coin() else {}
    training = m.coin(0.15)
    if training:
        # ONNX Runtime writes over the statistics: nothing else must have an equal constant.
        mean, variance = (m.constant(1 + m.rng.random(channels).astype(dtype)) for _ in range(2))
    outputs = 1
    if training and m.opset >= 14:
        attributes["training_mode"], outputs = 1, 3
    elif training:
        outputs = 5
    made = m.add(
        "BatchNormalization", [value, scale, bias, mean, variance], outputs=outputs, **attributes
    )
    if outputs == 1:
        return made
    # ONNX Runtime's running statistics are not the same twice.
    m.values = [value for value in m.values if value not in made[1:]]
    return made[0]


def reduction(m: Maker, value: Value | None = None) -> None:
    value = value or m.pick(dtypes=FLOATS, ranks=[1, 2, 3, 4])
    kind = m.choice(
        ["ReduceMean", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd"]
    )
    count = m.integer(0, value.rank)
    axes = sorted({int(axis) for axis in m.rng.choice(value.rank, count, replace=False)})
    if m.opset >= 11 and m.coin(0.3):
        axes = [axis - value.rank for axis in axes]
    attributes = {"keepdims": m.integer(0, 1)} if m.coin() else {}
    as_input = m.opset >= (13 if kind == "ReduceSum" else 18)
    if not as_input:
        m.add(kind, [value], **attributes, **({"axes": axes} if axes else {}))
        return
    # ONNX Runtime reduces nothing of what is empty then, whatever the axes.
    if m.coin(0.3) and 0 not in value.shape:
        attributes["noop_with_empty_axes"] = 1
    m.add(kind, [value, m.indices(axes) if axes or m.coin() else None], **attributes)


def mean_of_conv(m: Maker) -> None:
    """A 1×1 Conv and a mean of what it puts out."""
    value = conv(m, pointwise=m.coin(0.8))
    kind = m.choice(["ReduceMean", "GlobalAveragePool", "AveragePool"])
    if kind == "ReduceMean":
        reduction(m, value)
    elif kind == "GlobalAveragePool":
        m.add(kind, [value])
    else:
        axes = value.rank - 2
        m.add(
            kind,
            [value],
            kernel_shape=[m.integer(1, 4) for _ in range(axes)],
            strides=[m.integer(1, 2) for _ in range(axes)],
            count_include_pad=m.integer(0, 1),
            **({"pads": [m.integer(0, 1) for _ in range(2 * axes)]} if m.coin() else {}),
        )


def dead_channels(m: Maker) -> None:
    """A Conv some rows of which are zero or tiny, what follows, and a Conv that reads it."""
    value = m.pick(dtypes=[F32, F32, *FLOATS], ranks=[4])
    channels = value.shape[1]
    if not channels:
        raise DoesNotFit
    outputs = m.integer(2, 6)
    weight = m.rng.standard_normal((outputs, channels, 1, 1))
    rows = m.rng.random(outputs) < 0.6
    weight[rows] *= m.choice([0.0, 0.0, 1e-10, 1e-12, 1e-20, 1e-35])
    weight[~rows] *= m.choice([1.0, 1.0, 1e3, 1e12 if value.dtype.itemsize > 2 else 1.0])
    bias = m.rng.standard_normal(outputs) * m.choice([0.0, 1.0, 1.0])
    inputs = [value, m.constant(weight.astype(value.dtype)), m.constant(bias.astype(value.dtype))]
    made = m.add("Conv", inputs)
    for _ in range(m.integer(0, 2)):
        kind = m.choice(["Relu", "Relu", "Sub", "Mul", "LeakyRelu", "Clip", "MaxPool", "Sigmoid"])
        if kind in ("Sub", "Mul"):
            number = (
                bias if kind == "Sub" else m.rng.standard_normal(outputs) * 1e12 ** m.rng.random()
            )
            if value.dtype.itemsize == 2:
                number = bias
            made = m.add(kind, [made, m.constant(number.reshape(1, -1, 1, 1).astype(value.dtype))])
        elif kind == "MaxPool":
            made = m.add(kind, [made], kernel_shape=[3, 3], pads=[1] * 4)
        elif kind == "Clip" and m.opset < 11:
            made = m.add(kind, [made], min=-1.0, max=1.0)
        else:
            made = m.add(kind, [made])
    last = conv(m, made, pointwise=m.coin(0.7))
    if m.coin(0.4):
        _arithmetic(m, last, axis=1)


SCENES = [
    pool, pool, global_pool, conv, affine, affine, batch_normalization, reduction, mean_of_conv,
    dead_channels, dead_channels,
]  # fmt: skip

"""Scenes of operators that map element by element."""

from __future__ import annotations

import numpy as np

from . import edge_values
from .maker import FLOATS, DoesNotFit, Maker, Value

F32 = np.dtype(np.float32)


def clip(m: Maker) -> None:
    """Clip in the form of the operator set: attributes, or inputs that may be left out."""
    value = m.pick()
    if m.opset < 11:
        if value.dtype not in FLOATS:
            raise DoesNotFit
        bounds = {}
        for word in ("min", "max"):
            if m.coin(0.7):
                bounds[word] = float(edge_values.scalar(m.rng, F32))
        m.add("Clip", [value], **bounds)
        return
    bounds = [_bound(m, value.dtype) if m.coin(0.7) else None for _ in range(2)]
    m.add("Clip", [value, *bounds])


def _bound(m: Maker, dtype: np.dtype) -> Value:
    return m.constant(edge_values.scalar(m.rng, dtype))


def proper_clip(m: Maker) -> None:
    """A Clip whose bounds are finite and in order."""
    value = m.pick(dtypes=FLOATS)
    low = float(m.choice([-1, 0, 0, 0.5, 2]))
    high = low + float(m.choice([0, 1, 5.5]))
    if m.opset < 11:
        m.add("Clip", [value], min=low, max=high)
        return
    bounds = [m.constant(np.array(bound, value.dtype)) for bound in (low, high)]
    kept = m.integer(0, 3)
    m.add("Clip", [value, bounds[0] if kept != 1 else None, bounds[1] if kept != 2 else None])


def activation(m: Maker) -> None:
    value = m.pick()
    kind = m.choice(["Relu", "Relu", "Relu", "LeakyRelu", "Sigmoid", "Abs", "HardSigmoid"] * 2 + [
        "Exp", "Softmax", "Softplus", "Neg", "Tanh", "Sqrt", "Elu", "Sign", "PRelu", "Identity",
        "ThresholdedRelu", "Reciprocal", "HardSwish", "Log",
    ])  # fmt: skip
    attributes = {}
    if kind in ("LeakyRelu", "Elu", "ThresholdedRelu") and m.coin(0.8):
        attributes["alpha"] = float(m.choice([0.0, -0.0, 0.0, 0.1, 1.0, -0.5]))
    if kind == "HardSigmoid" and m.coin(0.5):
        attributes = {
            "alpha": float(m.choice([0.2, -1.0, 3.0])), "beta": float(m.choice([0.5, 0.0, -2.0]))
        }  # fmt: skip
    inputs = [value]
    if kind == "PRelu":
        inputs.append(m.weight(value.dtype, *m.choice([(1,), value.shape[1:2], value.shape])))
    m.add(kind, inputs, **attributes)


def neutral(m: Maker) -> None:
    """A binary operator with a constant, often the neutral element, of some shape."""
    value = m.pick()
    kind = m.choice(["Add", "Sub", "Mul", "Div", "Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"])
    shapes = [(), (1,), (1,) * (value.rank + 1), (1,) * value.rank, value.shape, value.shape[-1:]]
    if value.rank > 1:
        shapes += [(value.shape[1], *[1] * (value.rank - 2)), (3, *[1] * value.rank)]
    shape = m.choice(shapes)
    if m.coin(0.8) and value.dtype.kind != "b":
        number = m.choice([0.0, 1.0, -0.0]) if value.dtype.kind == "f" else m.choice([0, 1])
        constant = m.constant(np.full(shape, number, value.dtype))
    else:
        constant = m.scalar(value.dtype, shape)
    if kind == "Div" and value.dtype.kind in "iu" and not np.asarray(constant.array).all():
        raise DoesNotFit
    inputs = [value, constant] if m.coin(0.75) else [constant, value]
    if kind == "Div" and value.dtype.kind in "iu" and inputs[0] is constant:
        raise DoesNotFit
    m.add(kind, inputs)


def power(m: Maker) -> None:
    value = m.pick(dtypes=[*FLOATS, np.dtype(np.int32), np.dtype(np.int64)])
    dtype = value.dtype if m.opset < 12 or m.coin(0.6) else m.choice([F32, np.dtype(np.int64)])
    exponent = np.array(m.choice([2, 2, 2, 3, 1, 0, 0.5]), dtype)
    shape = m.choice([(), (1,), (1,) * (value.rank + 1), value.shape])
    m.add("Pow", [value, m.constant(np.full(shape, exponent, dtype))])


def two_values(m: Maker) -> None:
    left = m.pick()
    right = m.pick(dtypes=[left.dtype])
    kind = m.choice(["Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean", "Div"])
    if kind == "Div" and left.dtype.kind in "iu":
        raise DoesNotFit
    m.add(kind, [left, right])


def variadic(m: Maker) -> None:
    """Sum, Max, Min, Mean of one."""
    m.add(m.choice(["Sum", "Max", "Min", "Mean"]), [m.pick()])


def cast(m: Maker) -> None:
    value = m.pick()
    from onnx import helper

    kinds = [value.dtype, value.dtype, *FLOATS, np.dtype(np.int64), np.dtype(np.int32)]
    target = m.choice(kinds)
    if target.kind in "iu" and value.dtype.kind == "f":
        raise DoesNotFit  # what becomes of NaN and of numbers too large is not defined
    to = helper.np_dtype_to_tensor_dtype(target)
    if m.opset >= 15 and m.coin(0.4):
        m.add("CastLike", [value, m.scalar(target, (1,)) if target.kind != "b" else value])
    else:
        m.add("Cast", [value], to=to)


def dropout(m: Maker) -> None:
    value = m.pick(dtypes=FLOATS)
    outputs = m.integer(1, 2)
    if m.opset < 12:
        m.add("Dropout", [value], outputs=outputs, ratio=float(m.choice([0.0, 0.5])))
        return
    ratio = m.constant(np.array(0.5, np.float32)) if m.coin() else None
    training = m.constant(np.array(False), fixed=True) if m.coin() else None
    m.add("Dropout", [value, ratio, training], outputs=outputs)


def repeat(m: Maker) -> None:
    """A node again, with the same inputs and attributes: a common subexpression."""
    candidates = [n for n in m.nodes if n.op_type != "Constant" and len(n.output) == 1]
    known = {value.name: value for value in m.values}
    candidates = [n for n in candidates if n.output[0] in known]
    if not candidates:
        raise DoesNotFit
    node = m.choice(candidates)
    copy = type(node)()
    copy.CopyFrom(node)
    copy.name = m.name("n")
    copy.output[0] = m.name("v")
    m.nodes.append(copy)
    old = known[node.output[0]]
    m.values.append(Value(copy.output[0], old.dtype, old.shape, old.array))


def same_constant(m: Maker) -> None:
    """Two adds of constants that are equal, or equal but for the sign of zero or the type."""
    value = m.pick(dtypes=FLOATS)
    zero = m.choice([0.0, -0.0, 1.0])
    for number in (zero, m.choice([0.0, -0.0, 1.0])):
        m.add("Mul", [value, m.constant(np.array(number, value.dtype))])


SCENES = [
    clip, clip, proper_clip, activation, activation, neutral, neutral, power, two_values, variadic,
    cast, dropout, repeat, repeat, same_constant,
]  # fmt: skip

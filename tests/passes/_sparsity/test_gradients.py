"""Gradients against finite differences in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.core.onnx_io.model_io import from_proto
from lprc.core.running.numerics import Session
from lprc.passes._sparsity.gradients import NoGradientError, gradient_model

CASES = {
    "conv": "y = Conv(x, w, b)",
    "strided": "y = Conv<strides=[2,3], pads=[1,0,2,1]>(x, w, b)",
    "dilated": "y = Conv<dilations=[2,1], pads=[1,1,0,0]>(x, w, b)",
    "behind": "a = Conv(x, w, b) r = Relu(a) y = Conv<strides=[2,2], pads=[1,0,0,0]>(r, v)",
    "behind dilated": "a = Conv(x, w, b) y = Conv<dilations=[2,1]>(a, v)",
    "max pool": "a = Conv(x, w, b) y = MaxPool<kernel_shape=[3,2], strides=[1,2], pads=[1,0,1,0]>(a)",
    "average pool": "a = Conv(x, w, b) y = AveragePool<kernel_shape=[2,3], strides=[2,2]>(a)",
    "slice": "a = Conv(x, w, b) y = Slice(a, first, last, axis)",
    "binary": "a = Conv(x, w, b) c = Mul(a, a) d = Add(c, a) e = Sub(d, k) f = Mul(e, k) y = Div(f, two)",
    "global statistic": "a = Conv(x, w, b) s = Mul(a, a) m = ReduceMean(s, axes) n = Add(m, two) y = Div(a, n)",
    "mean without axes kept": "a = Conv(x, w, b) y = ReduceMean<keepdims=0>(a, axis)",
    "concat": "a = Conv(x, w, b) r = Relu(a) y = Concat<axis=1>(r, a, r)",
    "squeeze": "a = Conv(x, w, b) m = ReduceMean(a, axis) q = Squeeze(m, axis) u = Unsqueeze(q, axis) i = Identity(u) y = Flatten(i)",
}  # fmt: skip


def build(body):
    generator = np.random.default_rng(0)
    arrays = {
        "w": generator.standard_normal((6, 4, 3, 2)),
        "b": generator.standard_normal(6),
        "v": generator.standard_normal((5, 6, 2, 3)),
        "k": generator.standard_normal((6, 1, 1)),
        "g": generator.standard_normal((3, 2, 1, 1)),
        "two": np.array(2.0),
    }
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 20]> g (float[N,4,9,8] x) => (float[a] y) '
        "<int64[1] first = {1}, int64[1] last = {-2}, int64[1] axis = {1}, "
        f"int64[3] axes = {{1, 2, 3}}> {{ {body} }}"
    )
    rank = 2 if "Flatten" in body else 3 if "keepdims=0" in body else 4
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("y", 1, [None] * rank))
    for name, array in arrays.items():
        tensor = onnx.numpy_helper.from_array(array.astype(np.float32), name)
        model.graph.initializer.append(tensor)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2]), "steps"))
    used = {name for node in model.graph.node for name in node.input}
    names = [name for name in ("w", "b", "v") if name in used]
    return from_proto(model), names, {name: arrays[name].astype(np.float32) for name in names}


@pytest.mark.parametrize("name", CASES)
def test_finite_differences(name):
    source, names, values = build(CASES[name])
    proto = gradient_model(source, names, 2)
    onnx.checker.check_model(proto)
    session = Session(proto.SerializeToString())
    generator = np.random.default_rng(1)
    x = generator.standard_normal((2, 4, 9, 8)).astype(np.float32)

    (value,) = [each for each in proto.graph.input if each.name == "seed.y"]
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    seed = generator.standard_normal(shape).astype(np.float32)

    def outputs(given):
        return session.run({"x": x, "seed.y": seed, **given})

    found = outputs(values)
    for weight in names:
        direction = generator.standard_normal(values[weight].shape).astype(np.float32)
        step = np.float32(1e-3)
        up = outputs({**values, weight: values[weight] + step * direction})["y"]
        down = outputs({**values, weight: values[weight] - step * direction})["y"]
        slope = float(((up.astype(np.float64) - down) * seed).sum()) / (2 * float(step))
        wanted = float((found[f"gradient.{weight}"].astype(np.float64) * direction).sum())
        size = np.abs(found[f"gradient.{weight}"]).sum()
        assert abs(slope - wanted) < 0.01 * max(abs(wanted), 0.05 * size), (weight, slope, wanted)
        assert abs(wanted) > 1e-3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("a = Conv(x, w, b) y = Erf(a)", "no gradient of Erf"),
        ("a = Conv(x, w, b) y = Conv<group=3>(a, g)", "no gradient of grouped Conv"),
        ("y = Conv<auto_pad=\"SAME_UPPER\">(x, w, b)", "with automatic padding"),
        ("a = Conv(x, w, b) y = MaxPool<kernel_shape=[2,2], storage_order=1>(a)", "column-major"),
        ("a = Conv(x, w, b) y = AveragePool<kernel_shape=[2,2], pads=[1,1,0,0]>(a)", "AveragePool that pads"),
        ("a = Conv(x, w, b) y = Slice(a, first, last, axis, steps)", "Slice with a step"),
    ],
)  # fmt: skip
def test_what_has_no_gradient(body, message):
    source, names, _ = build(body)
    with pytest.raises(NoGradientError, match=message):
        gradient_model(source, names, 2)

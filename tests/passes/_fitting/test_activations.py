"""Activations from one layer to the next, against a run of the whole graph."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.core.errors import DataError
from lprc.core.graph import editing
from lprc.core.onnx_io.model_io import from_proto, to_proto
from lprc.core.running.numerics import run
from lprc.passes._fitting import activations
from lprc.passes._fitting.activations import Activations

GRAPHS = {
    "chain": "a = Conv(x, v) r = Relu(a) b = Conv(r, w) c = Conv(b, w) y = Relu(c)",
    "residual": "a = Conv(x, v) r = Relu(a) b = Conv(r, w) s = Add(r, b) c = Conv(s, w) y = Add(c, r)",
    "two branches": "a = Conv(x, v) b = Conv(a, w) c = Conv(a, w) s = Add(b, c) y = Conv(s, w)",
    "input used late": "a = Conv(x, v) b = Conv(a, w) m = ReduceMean(x) c = Conv(b, w) y = Add(c, m)",
    "constant node": "k = Constant<value_float = 2.0>() a = Conv(x, v) b = Mul(a, k) c = Conv(b, w) y = Mul(c, k)",
    "sequence": "a = Conv(x, v) q = SequenceConstruct(a, a) b = Conv(a, w) c = ConcatFromSequence<axis = 0>(q) d = Conv(c, w) y = Conv(d, w)",
    "body": "a = Conv(x, v) b = Conv(a, w) t = ReduceSum<keepdims = 0>(b) z = Cast<to = 9>(t) "
            "d = If(z) <then_branch = g1 () => (p) { p = Conv(a, w) }, else_branch = g2 () => (q) { q = Relu(a) }> "
            "c = Conv(d, w) y = Relu(c)",
}  # fmt: skip


def build(name):
    text = f'<ir_version: 10, opset_import: ["" : 20]> g (float[1,2,s,6] x) => (float[a,b,c,d] y) {{ {GRAPHS[name]} }}'
    proto = onnx.parser.parse_model(text)
    generator = np.random.default_rng(0)
    for weight, shape in (("v", (4, 2, 1, 1)), ("w", (4, 4, 1, 1))):
        array = generator.standard_normal(shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, weight))
    return from_proto(proto)


def samples(count=5):
    generator = np.random.default_rng(1)
    shapes = [(1, 2, 4 + number % 2, 6) for number in range(count)]
    return [{"x": generator.standard_normal(shape).astype(np.float32)} for shape in shapes]


def whole(model, name, sample):
    """A value, by a run of everything."""
    if name in sample:
        return sample[name]
    proto = to_proto(model)
    del proto.graph.output[:]
    proto.graph.output.add(name=name)
    return run(proto.SerializeToString(), sample)[name]


@pytest.mark.parametrize("budget", [0, 2500, 1 << 20])
@pytest.mark.parametrize("name", GRAPHS)
def test_each_layer_behind_those_that_changed(name, budget):
    model, data = build(name), samples()
    seen, exact = Activations(model, data, budget=budget), Activations(build(name), data)
    original = build(name)
    convs = [node for node in model.graph if node.op_type == "Conv"]
    twins = [node for node in exact._model.graph if node.op_type == "Conv"]
    for number, (node, twin) in enumerate(zip(convs, twins, strict=True)):
        for sample, found in zip(data, seen.before(node), strict=True):
            wanted = whole(model, node.inputs[0].name, sample)
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        for sample, found in zip(data, exact.behind(twin), strict=True):
            wanted = whole(original, twin.outputs[0].name, sample)
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        changed = editing.constant(node.inputs[1]) + np.float32(number + 1)
        node.replace_input_with(1, editing.add_initializer(model.graph, "changed", changed))


def test_no_node_runs_twice(monkeypatch):
    model, data = build("residual"), samples()
    operators = []

    def counted(proto, names, *rest, **options):
        operators.extend(node.op_type for node in proto.graph.node)
        return observe_names(proto, names, *rest, **options)

    observe_names = activations.observe_names
    monkeypatch.setattr(activations, "observe_names", counted)
    seen = Activations(model, data)
    for node in [node for node in model.graph if node.op_type == "Conv"]:
        assert len(list(seen.before(node))) == len(data)
    assert sorted(operators) == ["Add", "Conv", "Conv", "Relu"]


def test_what_is_not_finite():
    model, data = build("chain"), samples()
    data[2]["x"][0, 0, 0, 0] = np.nan
    node = list(model.graph)[2]
    with pytest.raises(DataError, match="activation 'r' at calibration sample 3"):
        list(Activations(model, data).before(node))
    assert len(list(Activations(model, data, check=False).before(node))) == 5
    with pytest.raises(DataError, match="calibration data are needed"):
        list(Activations(model, []).before(node))

"""Graphs print the same way whatever the order of their parts, and their hash misses nothing."""

from __future__ import annotations

import time

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lprc.core.graph.printer import model_hash, model_text
from lprc.core.graph.provenance import set_origins

HEAD = '<ir_version: 9, opset_import: ["" : 20, "f" : 1]>\n'

TEXT = (
    HEAD
    + """
g (float[N,2] x, bool c) => (float[N,2] y)
<float[2] w = {1.5,2}, float[9] v = {1,2,3,4,5,6,7,8,9}> {
    [n1] a = Add(x, w)
    [n2] b = LeakyRelu<alpha=0.1>(a)
    [n3] d = f.F<k=2>(b)
    [n4] e = Clip(d, , w)
    [n5] y = If(c) <
        then_branch = t () => (float[N,2] z) { z = Neg(e) },
        else_branch = e () => (float[N,2] q) { k = Constant<value=float[2]{1,2}>() q = Mul(d,k) }
    >
}
<domain: "f", opset_import: ["" : 20]> F <k> (p) => (r) { r = Relu(p) }
"""
)

PRINTED = """\
opset onnx 20, f 1
graph (%x: f32[N,2], %c: bool[]) -> (%y: f32[N,2])
  %v = f32[9] #7874ab
  %w = f32[2] {1.5, 2}
  %a: ? = Add(%x, %w)
  %b: ? = LeakyRelu(%a) {alpha=0.1}
  %d: ? = f.F(%b) {k=2}
  %e: ? = Clip(%d, -, %w)
  %y: f32[N,2] = If(%c)
    else_branch () -> (%q: f32[N,2])
      %k: ? = Constant() {value=f32[2] {1, 2}}
      %q: f32[N,2] = Mul(%d, %k)
    then_branch () -> (%z: f32[N,2])
      %z: f32[N,2] = Neg(%e)
function f.F (%p) -> (%r) {k}, opset onnx 20
  %r: ? = Relu(%p)
"""


def model_of(body: str) -> ir.Model:
    return ir.from_onnx_text(HEAD + body)


def test_text():
    assert model_text(ir.from_onnx_text(TEXT)) == PRINTED


def test_origins_are_shown_when_asked_for():
    model = model_of("g (float[2] x) => (float[2] y) { [n] y = Neg(x) }")
    set_origins(model.graph[0], ["conv1", "bn1"])
    assert "Neg(%x)\n" in model_text(model)
    assert "Neg(%x)  # conv1, bn1\n" in model_text(model, show_origins=True)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.float32([0.1, 1e-7, 3, np.inf, np.nan]), "f32[5] {0.1, 1e-07, 3, inf, nan}"),
        (np.float64([0.1, 1 / 3]), "f64[2] {0.1, 0.333333333}"),
        (np.int64(7), "i64[] {7}"),
        (np.array([True, False]), "bool[2] {True, False}"),
        (np.zeros((0, 3), np.float16), "f16[0,3] {}"),
        (np.arange(8, dtype=np.uint8), "u8[8] {0, 1, 2, 3, 4, 5, 6, 7}"),
        (np.array([1, 2], ir.DataType.BFLOAT16.numpy()), "bf16[2] {1, 2}"),
        (np.array([-1, 2], ir.DataType.INT4.numpy()), "int4[2] {-1, 2}"),
        (np.zeros((2, 5), np.float32), "f32[2,5] #"),
    ],
)
def test_small_tensors_print_their_values(array, text):
    model = model_of("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    tensor = ir.tensor(np.asarray(array))
    model.graph.register_initializer(ir.Value(name="w", const_value=tensor))
    assert f"  %w = {text}" in model_text(model)


def test_strings_and_odd_names_are_quoted():
    body = 'g (float[2] x) => (float[2] "a b") { "a b" = Neg(x) s = Constant<value_strings=["a,b", "c"]>() }'
    text = model_text(model_of(body))
    assert '%"a b": f32[2] = Neg(%x)' in text
    assert '{value_strings=["a,b",c]}' in text


@given(st.randoms(use_true_random=False), st.integers(1, 30))
def test_the_order_of_nodes_does_not_matter(random, size):
    x = ir.Value(name="x", shape=ir.Shape([2]), type=ir.TensorType(ir.DataType.FLOAT))
    values, nodes = [x], []
    for number in range(size):
        inputs = [random.choice(values), random.choice(values)]
        node = ir.node("Add", inputs, name=f"n{number}")
        node.outputs[0].name = f"v{number}"
        nodes.append(node)
        values.append(node.outputs[0])
    model = ir.Model(ir.Graph([x], [values[-1]], nodes=nodes, opset_imports={"": 20}), ir_version=9)
    text, digest = model_text(model), model_hash(model)
    model.graph.sort()
    shuffled = list(model.graph)
    random.shuffle(shuffled)
    model.graph.remove(shuffled)
    model.graph.extend(shuffled)
    assert (model_text(model), model_hash(model)) == (text, digest)
    order = [line.split(":")[0].strip() for line in text.splitlines() if " = Add" in line]
    position = {name: index for index, name in enumerate(order)}
    for line in text.splitlines():
        if " = Add" in line:
            made = line.split(":")[0].strip()
            used = line[line.index("(") + 1 : line.index(")")].split(", ")
            assert all(position.get(name, -1) < position[made] for name in used)


def test_nodes_on_a_cycle_are_printed_too():
    model = model_of("g (float[2] x) => (float[2] y) { a = Add(x, x) b = Neg(a) y = Neg(b) }")
    first, second, _ = model.graph
    first.replace_input_with(1, second.outputs[0])
    assert "%a: ? = Add(%x, %b)" in model_text(model)


CHANGES = {
    "op type": lambda m: setattr(m.graph[1], "op_type", "Elu"),
    "domain": lambda m: setattr(m.graph[1], "domain", "other"),
    "node name": lambda m: setattr(m.graph[1], "name", "renamed"),
    "value name": lambda m: setattr(m.graph[1].outputs[0], "name", "renamed"),
    "input name": lambda m: setattr(m.graph.inputs[0], "name", "renamed"),
    "type": lambda m: setattr(m.graph[0].outputs[0], "type", ir.TensorType(ir.DataType.FLOAT)),
    "shape": lambda m: setattr(m.graph.inputs[0], "shape", ir.Shape([3, 2])),
    "symbol": lambda m: setattr(m.graph.inputs[0], "shape", ir.Shape(["M", 2])),
    "attribute": lambda m: set_attribute(m.graph[1], ir.AttrFloat32("alpha", 0.1000001)),
    "attribute's type": lambda m: set_attribute(m.graph[1], ir.AttrString("alpha", "0.1")),
    "input": lambda m: m.graph[0].replace_input_with(1, m.graph.inputs[0]),
    "left out input": lambda m: m.graph[3].replace_input_with(2, None),
    "opset": lambda m: m.graph.opset_imports.update({"": 19}),
    "function's opset": lambda m: function(m).opset_imports.update({"": 19}),
    "function's body": lambda m: setattr(function(m)[0], "op_type", "Neg"),
    "weight": lambda m: set_weight(m, "v", [1, 2, 3, 4, 5, 6, 7, 8, 9.000001]),
    "small weight": lambda m: set_weight(m, "w", [1.5, 2.0000002]),
    "new weight": lambda m: m.graph.register_initializer(
        ir.Value(name="new", const_value=ir.tensor(np.float32([1])))
    ),
    "constant in a subgraph": lambda m: set_attribute(
        inner(m)[0], ir.AttrTensor("value", ir.tensor(np.float32([1, 2.0000002])))
    ),
    "node in a subgraph": lambda m: setattr(inner(m)[1], "op_type", "Div"),
}


def set_attribute(node: ir.Node, attribute: ir.Attr) -> None:
    node.attributes[attribute.name] = attribute


def set_weight(model: ir.Model, name: str, values: list[float]) -> None:
    model.graph.initializers[name].const_value = ir.tensor(np.float32(values))


def function(model: ir.Model) -> ir.Function:
    (found,) = model.functions.values()
    return found


def inner(model: ir.Model) -> ir.Graph:
    return model.graph[4].attributes["else_branch"].value


@pytest.mark.parametrize("change", CHANGES)
def test_the_hash_sees(change):
    model = ir.from_onnx_text(TEXT)
    before = model_hash(model)
    CHANGES[change](model)
    assert model_hash(model) != before


def test_the_hash_sees_large_constants_and_float64_in_full():
    hashes = set()
    for last in (1.0, 1.0 + 2**-52, 1.0 + 2**-51):
        model = model_of(
            "g (float[2] x) => (float[2] y) { y = Neg(x) c = Constant() d = Constant() }"
        )
        small, large = np.float64([last]), np.float64([*range(20), last])
        set_attribute(model.graph[1], ir.AttrTensor("value", ir.tensor(small)))
        hashes.add(model_hash(model))
        set_attribute(model.graph[2], ir.AttrTensor("value", ir.tensor(large)))
        hashes.add(model_hash(model))
    assert len(hashes) == 6


def test_the_hash_does_not_see_documentation_and_metadata():
    model = ir.from_onnx_text(TEXT)
    before = model_hash(model)
    model.doc_string = model.graph.doc_string = model.graph[0].doc_string = "documented"
    model.graph[0].metadata_props["key"] = model.metadata_props["key"] = "value"
    model.producer_name = "someone"
    set_origins(model.graph[1], ["conv1"])
    assert model_hash(model) == before


def chain(size: int) -> ir.Model:
    value = x = ir.Value(name="x", shape=ir.Shape([2]), type=ir.TensorType(ir.DataType.FLOAT))
    nodes = []
    for number in range(size):
        nodes.append(ir.node("Add", [value, x], name=f"n{number}"))
        value = nodes[-1].outputs[0]
        value.name = f"v{number}"
    return ir.Model(ir.Graph([x], [value], nodes=nodes, opset_imports={"": 20}), ir_version=9)


def test_ten_thousand_nodes_take_well_below_a_second():
    model = chain(10_000)
    started = time.process_time()
    model_text(model)
    model_hash(model)
    assert time.process_time() - started < 1.0

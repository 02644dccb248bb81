from __future__ import annotations

import math

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.graph import editing, operators, provenance
from lprc.core.graph.annotations import RANGE, Range, set_range
from lprc.core.onnx_io import model_io
from lprc.core.quantization import placement
from lprc.core.quantization.placement import Plan, plan
from lprc.core.quantization.placement_ranges import ALIGN_LIMIT, SHARE_LIMIT
from lprc.core.quantization.placement_rules import Rules

WEIGHTS = {
    "w": (4, 4, 1, 1), "wt": (4, 2, 1, 1), "w8": (4, 8, 1, 1), "w12": (4, 12, 1, 1),
    "wide": (8, 4, 1, 1), "d": (4, 1, 1), "g": (6, 4), "gt": (4, 6),
}  # fmt: skip
CONSTANTS = (
    "float zero = {0.0}, float six = {6.0}, int64[1] from0 = {0}, int64[1] to2 = {2},"
    " int64[1] axis1 = {1}, int64[2] flat = {1,-1}, float[4] scales = {1.0,1.0,2.0,2.0}"
)


def network(
    body: str, outputs: str = "y", opset: int = 20, **ranges: tuple[float, float]
) -> ir.Model:
    """A graph with the range [-1, 1] on every activation that `ranges` does not name."""
    declared = ", ".join(f"float[] {name}" for name in outputs.split(", "))
    text = f"""<ir_version: 9, opset_import: ["" : {opset}]>
    g (float[1,4,4,4] x, float[1,4,4,4] x2, float[1,4] m, bool flag) => ({declared})
    <{CONSTANTS}> {{ {body} }}"""
    proto = onnx.parser.parse_model(text)
    for name, shape in WEIGHTS.items():
        array = np.linspace(0.5, 1, math.prod(shape), dtype=np.float32).reshape(shape)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    provenance.stamp(model)
    for value in [*model.graph.inputs, *(value for node in model.graph for value in node.outputs)]:
        if value.dtype == ir.DataType.FLOAT:
            set_range(value, Range(*ranges.get(value.name, (-1.0, 1.0))))
    return model


def inputs(found: Plan) -> list[str]:
    """What is quantised, as ``reader<-value``."""
    return [f"{node.outputs[0].name}<-{node.inputs[index].name}" for node, index in found.inputs]


def ranges(found: Plan) -> dict[str, tuple[float, float]]:
    return {value.name: (known.low, known.high) for value, known in found.ranges.items()}


def carriers(found: Plan) -> list[str]:
    return [node.op_type for node in found.carriers]


def reasons(found: Plan) -> list[str]:
    return [reason for _, reason in found.skips]


@pytest.mark.parametrize(
    "activation", ["Relu(a)", "LeakyRelu(a)", "Sigmoid(a)", "Clip(a, zero, six)"]
)
def test_never_between_a_conv_and_its_activation(activation):
    found = plan(network(f"a = Conv(x, w) r = {activation} y = Conv(r, w)"), Rules())
    assert inputs(found) == ["a<-x", "y<-r"]


def test_sharing_does_not_put_a_pair_between_a_conv_and_its_activation():
    found = plan(
        network("a = Conv(x, w) r = Relu(a) i = Conv(a, w) y = Add(r, i)"), Rules(share=True)
    )
    assert inputs(found) == ["a<-x", "i<-a"]
    assert {value.name for value in found.shared} == {"x"}


def test_linear_operators():
    body = "a = ConvTranspose(x, w) i = Gemm(m, gt) j = Gemm<transB=1>(m, g) y = MatMul(m, gt)"
    assert inputs(plan(network(body), Rules())) == ["a<-x", "i<-m", "j<-m", "y<-m"]


def test_a_constant_on_the_left():
    found = plan(network("i = Transpose(m) a = MatMul(g, i) y = Gemm(g, i)"), Rules(carriers=()))
    assert inputs(found) == ["a<-i", "y<-i"]


def test_matmul_of_two_activations():
    found = plan(network("i = Transpose(m) y = MatMul(m, i)"), Rules(carriers=()))
    assert inputs(found) == ["y<-m", "y<-i"]


def test_only_the_operators_of_the_rules():
    body = "a = Conv(x, w) i = GlobalAveragePool(a) y = MatMul(m, gt)"
    assert inputs(plan(network(body), Rules(operators=("GlobalAveragePool",)))) == ["i<-a"]


CARRIED = {
    "MaxPool": "MaxPool<kernel_shape=[2,2]>(i)",
    "Reshape": "Reshape(i, flat)",
    "Slice": "Slice(i, from0, to2, axis1)",
    "Transpose": "Transpose<perm=[0,1,3,2]>(i)",
    "Resize": 'Resize<mode="nearest">(i,,scales)',
    "Split": "Split<axis=2, num_outputs=2>(i)",
}


@pytest.mark.parametrize("op", CARRIED)
def test_what_moves_elements_carries(op):
    reader = {"Slice": "Conv(c, wt)", "Reshape": "MatMul(c, gt)"}.get(op, "Conv(c, w)")
    made = "c, rest" if op == "Split" else "c"
    body = f"i = Relu({'m' if op == 'Reshape' else 'x'}) {made} = {CARRIED[op]} y = {reader}"
    found = plan(network(body, i=(-4.0, 4.0), c=(0.0, 2.0)), Rules())
    assert carriers(found) == [op]
    assert inputs(found) == ["y<-c", "c<-i"]
    # What a reader of the float tensor would need does not count.
    assert ranges(found) == {"c": (0.0, 2.0), "i": (0.0, 2.0)}


def test_carriers_that_a_target_does_not_have():
    found = plan(
        network("i = Relu(x) c = MaxPool<kernel_shape=[2,2]>(i) y = Conv(c, w)"), Rules(carriers=())
    )
    assert inputs(found) == ["y<-c"]


NOT_CARRIED = {
    "linear Resize": 'c = Resize<mode="linear">(i,,scales)',
    "MaxPool with Indices": "c, n = MaxPool<kernel_shape=[2,2]>(i) o = Cast<to=1>(n)",
    "AveragePool": "c = AveragePool<kernel_shape=[2,2]>(i)",
}


@pytest.mark.parametrize("form", NOT_CARRIED)
def test_what_makes_new_elements_does_not_carry(form):
    outputs = "y, o" if "o =" in NOT_CARRIED[form] else "y"
    found = plan(network(f"i = Relu(x) {NOT_CARRIED[form]} y = Conv(c, w)", outputs), Rules())
    assert inputs(found) == ["y<-c"]


def test_max_pool_with_indices_that_nobody_reads_carries():
    found = plan(
        network("i = Relu(x) c, n = MaxPool<kernel_shape=[2,2]>(i) y = Conv(c, w)"), Rules()
    )
    assert carriers(found) == ["MaxPool"]


def test_branches_of_a_concat_share_one_range():
    # As in a U-Net: the skip is also read at its own level.
    body = (
        "a = Conv(x, w) r = Relu(a) p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(r) i = Conv(p, w)"
        ' j = Resize<mode="nearest">(i,,scales) c = Concat<axis=1>(r, j) y = Conv(c, w8)'
    )
    known = {"r": (0.0, 3.0), "p": (0.0, 3.0), "i": (-2.0, 5.0), "j": (-2.0, 5.0), "c": (-2.0, 5.0)}
    found = plan(network(body, **known), Rules())
    assert carriers(found) == ["MaxPool", "Resize", "Concat"]
    assert len({ranges(found)[name] for name in ("r", "p", "i", "j", "c")}) == 1
    assert ranges(found)["c"] == (-2.0, 5.0)


def test_a_concat_with_an_input_that_has_no_range_does_not_carry():
    model = network("c = Concat<axis=1>(x, x2) y = Conv(c, w8)")
    del model.graph.inputs[1].metadata_props[RANGE]
    assert inputs(plan(model, Rules())) == ["y<-c"]


ADD = "a = Conv(x, w) i = Relu(x) j = Add(a, i) y = Relu(j)"


def test_residual():
    assert inputs(plan(network(ADD), Rules())) == ["a<-x"]
    assert inputs(plan(network(ADD), Rules(residual="skip"))) == ["a<-x", "j<-i"]
    assert inputs(plan(network(ADD), Rules(residual="both"))) == ["a<-x", "j<-a", "j<-i"]
    assert inputs(plan(network(ADD.replace("(a, i)", "(i, a)")), Rules(residual="skip"))) == [
        "a<-x", "j<-i",
    ]  # fmt: skip


def test_with_linear_operators_on_both_sides_the_earlier_one_is_the_skip():
    body = "a = Conv(x, w) i = Conv(x2, w) y = Add(a, i)"
    assert inputs(plan(network(body), Rules(residual="skip"))) == ["a<-x", "i<-x2", "y<-a"]


@pytest.mark.parametrize(
    "body",
    ["a = Conv(x, w) y = Add(a, d)", "a = Conv(x, w) i = GlobalAveragePool(x) y = Add(a, i)"],
    ids=["of a constant", "that broadcasts"],
)
def test_an_add_that_is_no_residual(body):
    assert inputs(plan(network(body), Rules(residual="both"))) == ["a<-x"]


def test_an_excluded_residual():
    body = "[conv] a = Conv(x, w) [sum] y = Add(a, x2)"
    assert inputs(plan(network(body), Rules(residual="both", exclude=("sum",)))) == ["a<-x"]


def test_share():
    body = "i = Relu(x) a = Conv(i, w) j = Sigmoid(i) y = Mul(a, j)"
    assert plan(network(body), Rules()).shared == set()
    found = plan(network(body), Rules(share=True))
    assert {value.name for value in found.shared} == {"i"}


@pytest.mark.parametrize(("reach", "shared"), [(SHARE_LIMIT, True), (SHARE_LIMIT * 1.01, False)])
def test_a_range_is_shared_up_to_a_limit(reach, shared):
    # The Slice reads all of i, the Conv behind it only what the Slice leaves.
    body = "i = Relu(x) c = Slice(i, from0, to2, axis1) a = Conv(c, wt) j = Sigmoid(i) y = Neg(j)"
    found = plan(network(body, "y, a", i=(0.0, reach), c=(0.0, 1.0)), Rules(share=True))
    assert {value.name for value in found.shared} == ({"i"} if shared else set())
    high = reach if shared else 1.0
    assert ranges(found) == {"c": (0.0, high), "i": (0.0, high)}


def test_outputs():
    body = "a = Conv(x, w) r = Relu(a) i = Conv(r, w) j = Sigmoid(i) k = GlobalAveragePool(j) y = Conv(k, w)"
    found = plan(network(body), Rules(outputs=True))
    # The last Conv's output leaves the graph, so that it stays float.
    assert reasons(found) == ["its output leaves the graph in float"]
    assert inputs(found) == ["a<-x", "i<-r"]
    assert [value.name for value in found.outputs] == ["r", "j"]
    assert set(ranges(found)) == {"x", "r", "j"}


ACTIVATED = {op: f"{op}(a)" for op in operators.ACTIVATIONS} | {"PRelu": "PRelu(a, d)"}


@pytest.mark.parametrize("op", sorted(ACTIVATED))
def test_what_a_linear_operator_puts_out_is_quantised_behind_its_activation(op):
    body = f"a = Conv(x, w) r = {ACTIVATED[op]} i = GlobalAveragePool(r) y = Conv(i, w)"
    found = plan(network(body, opset=24), Rules(outputs=True))
    assert [value.name for value in found.outputs] == ["r"]
    body = f"a = Conv(x, w) r = {ACTIVATED[op]} i = Conv(a, w) y = Add(r, i)"
    shared = plan(network(body, opset=24), Rules(share=True)).shared
    assert [value.name for value in shared] == ["x"]


ORT = Rules(outputs=True, fused=("Relu",), float_inputs=("Softmax",))


@pytest.mark.parametrize("op", sorted(set(ACTIVATED) - {"Clip", "Relu"}))
def test_an_output_in_front_of_an_activation_that_is_not_fused(op):
    body = f"a = Conv(x, w) r = {ACTIVATED[op]} i = Conv(r, w) y = GlobalAveragePool(i)"
    found = plan(network(body, opset=24), ORT)
    assert [value.name for value in found.outputs] == ["a", "i"]
    assert inputs(found) == ["a<-x", "i<-r"]
    assert set(ranges(found)) == {"x", "a", "r", "i"}


@pytest.mark.parametrize(("low", "output"), [(0.0, "r"), (-1.0, "a")])
def test_a_clip_is_fused_where_nothing_is_negative_behind_it(low, output):
    body = "a = Conv(x, w) r = Clip(a, zero, six) y = GlobalAveragePool(r)"
    found = plan(network(body, r=(low, 1.0)), ORT)
    assert [value.name for value in found.outputs] == [output]
    any_clip = plan(network(body, r=(low, 1.0)), Rules(outputs=True, fused=("Clip",)))
    assert [value.name for value in any_clip.outputs] == ["r"]


def test_an_output_that_leaves_through_an_activation_that_is_not_fused():
    found = plan(network("a = Conv(x, w) y = Sigmoid(a)"), ORT)
    assert reasons(found) == ["its output leaves the graph in float"]


@pytest.mark.parametrize("between", ["", "t = Transpose<perm=[0,1,3,2]>(s) "])
def test_a_softmax_reads_float_from_a_matmul(between):
    read = "t" if between else "s"
    body = f"s = MatMul(x, x2) {between}p = Softmax({read}) o = MatMul(p, x) y = Neg(o)"
    found = plan(network(body), ORT)
    assert [value.name for value in found.outputs] == ["o"]
    assert inputs(found) == ["s<-x", "s<-x2", "o<-p", "o<-x"]
    others = plan(network(body), Rules(outputs=True))
    assert [value.name for value in others.outputs] == ["s", "o"]


@pytest.mark.parametrize(
    "body",
    [
        "s = MatMul(x, x2) p = Softmax(s) o = MatMul(p, s) y = Neg(o)",
        "s = Conv(x, w) p = Softmax(s) o = MatMul(p, x) y = Neg(o)",
    ],
    ids=["another reads it too", "a Conv, which would compute in float"],
)
def test_an_output_in_front_of_a_softmax_that_is_quantised(body):
    assert [value.name for value in plan(network(body), ORT).outputs] == ["s", "o"]


def test_a_large_product_whose_output_leaves_the_graph_puts_out_float(monkeypatch):
    # g has 6 × 4 weights.
    monkeypatch.setattr(placement, "LARGE", 24)
    found = plan(network("y = Gemm<transB=1>(m, g)"), Rules(outputs=True))
    assert inputs(found) == ["y<-m"]
    assert not found.outputs
    assert not found.skips
    monkeypatch.setattr(placement, "LARGE", 25)
    found = plan(network("y = Gemm<transB=1>(m, g)"), Rules(outputs=True))
    assert not found.inputs
    assert reasons(found) == ["its output leaves the graph in float"]


def test_an_output_that_leaves_through_a_carrier():
    found = plan(network("a = Conv(x, w) y = Transpose(a)"), Rules(outputs=True))
    assert reasons(found) == ["its output leaves the graph in float"]


def test_an_output_that_nobody_reads():
    found = plan(network("y = Relu(x) a = Conv(x, w)"), Rules(outputs=True))
    assert inputs(found) == ["a<-x"]
    assert not found.outputs


def test_excluded_by_its_own_name_and_by_its_source():
    body = "[one] a = Conv(x, w) [two] i = Conv(a, w) [three] y = Conv(i, w)"
    model = network(body)
    model.graph[1].name = "renamed"
    found = plan(model, Rules(exclude=("two", "three")))
    assert inputs(found) == ["a<-x"]
    assert reasons(found) == ["excluded", "excluded"]


def test_a_float16_graph_is_left_alone():
    text = """<ir_version: 9, opset_import: ["" : 20]>
    g (float16[1,1,2,2] x) => (float16[1,1,2,2] y) <float16[1,1,1,1] w = {1}> { y = Conv(x, w) }"""
    model = model_io.from_proto(onnx.parser.parse_model(text))
    set_range(model.graph.inputs[0], Range(-1, 1))
    found = plan(model, Rules())
    assert not found.inputs
    assert reasons(found) == ["its input is not float32"]


def test_a_weight_that_is_computed():
    found = plan(network("i = Relu(x2) y = Conv(x, i)"), Rules())
    assert not found.inputs
    assert reasons(found) == ["its weight is not constant"]


def test_no_range():
    model = network("a = Conv(x, w) y = Conv(a, w)")
    del model.graph.inputs[0].metadata_props[RANGE]
    found = plan(model, Rules())
    assert inputs(found) == ["y<-a"]
    assert reasons(found) == ["no range is recorded for its input"]


def test_subgraphs_are_left_alone():
    body = (
        "a = Conv(x, w) y = If(flag) <then_branch = t1 () => (float[1,4,4,4] j) { j = Conv(a, w) },"
        " else_branch = t2 () => (float[1,4,4,4] k) { k = Neg(a) }>"
    )
    assert inputs(plan(network(body), Rules(share=True))) == ["a<-x"]


def test_recurrent_operators_are_left_alone():
    text = """<ir_version: 9, opset_import: ["" : 20]>
    g (float[2,1,3] x, float[1,8,3] w, float[1,8,2] r) => (float[2,1,1,2] y) {
        y = LSTM<hidden_size=2>(x, w, r)
    }"""
    model = model_io.from_proto(onnx.parser.parse_model(text))
    set_range(model.graph.inputs[0], Range(-1, 1))
    assert plan(model, Rules()) == Plan()


def test_a_group_covers_all_that_its_readers_read():
    body = (
        "i = Relu(x) c = Transpose<perm=[0,1,3,2]>(i) a = Conv(c, w) j = Conv(i, w) y = Add(a, j)"
    )
    found = plan(network(body, i=(0.0, 5.0), c=(-1.0, 2.0)), Rules())
    assert ranges(found) == {"c": (-1.0, 5.0), "i": (-1.0, 5.0)}


def test_ranges_that_make_no_sense_count_as_none():
    model = network("y = Conv(x, w)")
    for text in ("[1, 0]", "[0, Infinity]", "[NaN, 1]", "nonsense", "[1]", "null"):
        model.graph.inputs[0].metadata_props[RANGE] = text
        assert reasons(plan(model, Rules())) == ["no range is recorded for its input"]


def test_a_plan_is_the_same_twice():
    body = "i = Relu(x) c = Concat<axis=1>(i, x2) a = Conv(c, w8) j = Conv(i, w) y = Add(a, j)"
    first, second = (plan(network(body), Rules(residual="both", share=True)) for _ in range(2))
    assert inputs(first) == inputs(second)
    assert list(ranges(first).items()) == list(ranges(second).items())
    assert editing.is_op(first.carriers[0], "Concat")


def test_a_rescaler_keeps_a_scale_of_its_own_for_each_input_and_output():
    model = network(
        "a = Relu(x) c = Concat<axis = 1>(a, x2) y = Conv(c, w8)",
        a=(0.0, 1.0),
        x2=(-4.0, 2.0),
        c=(-4.0, 2.0),
    )
    found = plan(model, Rules(rescalers=("Concat",)))
    assert ranges(found) == {"c": (-4.0, 2.0), "a": (0.0, 1.0), "x2": (-4.0, 2.0)}
    together = plan(model, Rules())
    assert set(ranges(together).values()) == {(-4.0, 2.0)}


SWISH = "a = Conv(x, w) s = Sigmoid(a) r = Mul(a, s) "
BETWEEN = Rules(outputs=True, fused=("Relu",), between=("Mul", "Sigmoid", "GlobalAveragePool"))


def test_what_stands_between_quantised_operators():
    gate = "p = GlobalAveragePool(r) q = Conv(p, w) e = Sigmoid(q) o = Mul(r, e) "
    found = plan(network(f"{SWISH}{gate} i = Conv(o, w) y = Neg(i)"), BETWEEN)
    assert inputs(found) == [
        "a<-x", "s<-a", "r<-a", "r<-s", "p<-r", "q<-p", "e<-q", "o<-r", "o<-e", "i<-o",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        f"{SWISH} y = Identity(r)",
        f"{SWISH} y = Neg(r)",
        "s = Sigmoid(x2) r = Mul(x2, s) i = Neg(r) y = Conv(i, w)",
        "i = Neg(x2) s = Sigmoid(i) r = Mul(x2, s) y = Conv(r, w)",
    ],
    ids=["leaves the graph", "is read by float", "both sides", "reads float"],
)
def test_what_does_not_stand_between_quantised_operators(body):
    found = plan(network(body), BETWEEN)
    assert not [use for use in inputs(found) if use.startswith(("s<-", "r<-"))]


def test_what_stands_between_carries_too():
    body = "a = Conv(x, wide) b, c = Split<axis=1, num_outputs=2>(a) s = Sigmoid(b) r = Mul(c, s) "
    found = plan(network(body + "i = Conv(r, w) y = Neg(i)"), BETWEEN)
    assert inputs(found) == ["a<-x", "s<-b", "r<-c", "r<-s", "i<-r", "b<-a"]


def test_what_is_excluded_does_not_stand_between():
    body = f"{SWISH.replace('r =', '[product] r =')} i = Conv(r, w) y = Neg(i)"
    rules = Rules(outputs=True, fused=("Relu",), between=BETWEEN.between, exclude=("product",))
    # What only it would have read in integers stays float as well.
    assert inputs(plan(network(body), rules)) == ["a<-x", "i<-r"]


def concat_ranges(**recorded: tuple[float, float]) -> dict[str, tuple[float, float]]:
    body = "a = Conv(x, w) b = Conv(x2, w) c = Concat<axis=1>(a, b) y = Conv(c, w8)"
    return ranges(plan(network(body, **recorded), Rules(rescalers=("Concat",))))


def test_a_concat_does_not_rescale_what_only_it_reads():
    together = concat_ranges(a=(0.0, 4.0), b=(0.0, 1.0), c=(0.0, 3.0))
    assert together["a"] == together["b"] == together["c"] == (0.0, 4.0)


def test_a_concat_takes_no_zero_of_a_relu_away():
    apart = concat_ranges(a=(0.0, 4.0), b=(-1.0, 1.0), c=(-1.0, 4.0))
    assert apart["a"] == (0.0, 4.0)
    assert apart["b"] == apart["c"] == (-1.0, 4.0)


@pytest.mark.parametrize(("reach", "aligned"), [(ALIGN_LIMIT, True), (ALIGN_LIMIT * 1.01, False)])
def test_what_others_read_too_is_aligned_up_to_a_limit(reach, aligned):
    body = "a = Conv(x, w) b = Conv(x2, w) c = Concat<axis=1>(a, b) y = Conv(c, w8) o = Conv(b, w)"
    model = network(body, "y, o", a=(0.0, reach), b=(0.0, 1.0), c=(0.0, reach))
    found = ranges(plan(model, Rules(rescalers=("Concat",))))
    assert found["b"] == (0.0, reach if aligned else 1.0)


def test_concats_of_concats_are_aligned_as_one():
    body = (
        "a = Conv(x, w) b = Conv(x2, w) c = Concat<axis=1>(a, b) o = Concat<axis=1>(c, x)"
        " y = Conv(o, w12)"
    )
    model = network(body, a=(0.0, 1.0), b=(0.0, 2.0), c=(0.0, 2.0), o=(0.0, 5.0), x=(0.0, 5.0))
    found = ranges(plan(model, Rules(rescalers=("Concat",))))
    assert {found[name] for name in "abcox"} == {(0.0, 5.0)}

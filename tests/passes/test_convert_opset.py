from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.graph import editing
from lprc.core.graph.provenance import origins
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.process.warm_child import VENDOR, ChildError
from lprc.core.running.numerics import compare, run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes import convert_opset


def convert(text, pipeline="convert-opset", *, runs=True):
    model = ir.from_onnx_text(text) if isinstance(text, str) else text
    inputs = random_inputs(model)
    before = run(model, inputs) if runs else {}
    (record,) = PassManager(Pipeline.parse(pipeline), [ChangeDetection()]).run(model)
    onnx.checker.check_model(model_io.to_proto(model))
    if runs:
        assert all(delta.within(1e-4) for delta in compare(before, run(model, inputs)))
    return model, record


def header(opset, ir_version=4):
    return f'<ir_version: {ir_version}, opset_import: ["" : {opset}]>'


OLD_FORMS = {
    "Squeeze": "(float[1,2] x) => (float[2] y) { y = Squeeze<axes = [0]>(x) }",
    "Unsqueeze": "(float[2] x) => (float[1,2] y) { y = Unsqueeze<axes = [0]>(x) }",
    "Softmax": "(float[1,2,3] x) => (float[1,2,3] y) { y = Softmax<axis = 1>(x) }",
    "LogSoftmax": "(float[1,2,3] x) => (float[1,2,3] y) { y = LogSoftmax<axis = 1>(x) }",
    "Slice": "(float[4] x) => (float[2] y) { y = Slice<starts = [1], ends = [3]>(x) }",
    "Clip": "(float[4] x) => (float[4] y) { y = Clip<min = 0.0, max = 6.0>(x) }",
    "Pad": "(float[4] x) => (float[6] y) { y = Pad<pads = [1, 1]>(x) }",
    "Dropout": "(float[2] x) => (float[2] y) { d, m = Dropout<ratio = 0.5>(x) y = Relu(d) }",
    "ReduceMean": "(float[1,2,3] x) => (float[1,1,1] y) { y = ReduceMean<axes = [1, 2]>(x) }",
    "ReduceSum": "(float[1,2,3] x) => (float[1,1,1] y) { y = ReduceSum<axes = [1, 2]>(x) }",
    "Split": "(float[4] x) => (float[2] y) { a, b = Split(x) y = Add(a, b) }",
    "TopK": "(float[4] x) => (float[2] y, int64[2] i) { y, i = TopK<k = 2>(x) }",
    "Scatter": "(float[1,5] x) => (float[1,5] y) <int64[1,2] i = {1, 3}, float[1,2] u = {7, 8}>"
    " { y = Scatter<axis = 1>(x, i, u) }",
    "Upsample": '(float[1,1,2,2] x) => (float[1,1,4,4] y) <float[4] s = {1, 1, 2, 2}>'
    ' { y = Upsample<mode = "nearest">(x, s) }',
    "BatchNormalization": "(float[1,2,3] x) => (float[1,2,3] y) <float[2] s = {1, 2}, "
    "float[2] v = {2, 3}> { y = BatchNormalization<epsilon = 0.001>(x, s, s, s, v) }",
}  # fmt: skip


@pytest.mark.parametrize("op_type", OLD_FORMS)
def test_forms_of_opset_9_mean_the_same(op_type):
    model, record = convert(f"{header(9)} g {OLD_FORMS[op_type]}")
    assert editing.opset_version(model) == 20
    assert [rewrite.note for rewrite in record.rewrites] == ["from opset 9"]
    # Whatever the converter made of the node, it came from it.
    assert {name for node in model.graph for name in origins(node)} <= {
        *(node.name for node in ir.from_onnx_text(f"{header(9)} g {OLD_FORMS[op_type]}").graph),
        f"{op_type}_0",
        "Relu_1",
        "Add_1",
    }
    assert all(origins(node) and node.name for node in model.graph)


def test_names_origins_and_other_metadata_stay():
    model = ir.from_onnx_text(
        f"""{header(11)} g (float[1,2] x) => (float[2] y) {{
            [relu] a = Relu(x)
            [squeeze] y = Squeeze<axes = [0]>(a)
        }}"""
    )
    model.graph[0].metadata_props["note"] = "kept"
    model, _ = convert(model)
    (relu,) = [node for node in model.graph if node.op_type == "Relu"]
    assert relu.name == "relu"
    assert relu.metadata_props["note"] == "kept"
    assert {node.op_type: origins(node) for node in model.graph} == {
        "Relu": ("relu",),
        "Constant": ("squeeze",),
        "Squeeze": ("squeeze",),
    }


def test_subgraphs_are_converted():
    model, _ = convert(
        f"""{header(11)} g (bool c, float[1,2] x) => (float[2] y) {{
            y = If (c) <
                then_branch = t () => (float[2] a) {{ [inner] a = Squeeze<axes = [0]>(x) }},
                else_branch = e () => (float[2] b) {{ b = Squeeze<axes = [0]>(x) }}
            >
        }}"""
    )
    assert {origins(node) for node in model.graph.all_nodes() if node.name == "inner"} == {
        ("inner",)
    }


def test_overridable_initialisers_stay_overridable():
    model, _ = convert(
        f"{header(9, 3)} g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {{1, 2}}> "
        "{ y = Add(x, w) }"
    )
    assert [value.name for value in model.graph.inputs] == ["x", "w"]
    assert list(model.graph.initializers) == ["w"]


@pytest.mark.parametrize("overridable", [True, False])
def test_large_weights_do_not_pass_through_the_converter(monkeypatch, overridable):
    weight = np.arange(1000, dtype=np.float32)
    proto = onnx.parser.parse_model(
        f"{header(9)} g (float[1000] x{', float[1000] w' if overridable else ''}) "
        "=> (float[1000] y) { y = Add(x, w) }"
    )
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    seen = []
    original = convert_opset.convert_version

    def spy(light, version):
        seen.append(light.ByteSize())
        return original(light, version)

    monkeypatch.setattr(convert_opset, "convert_version", spy)
    model = ir.from_proto(proto)
    tensor = model.graph.initializers["w"].const_value
    model, _ = convert(model)
    assert seen[0] < weight.nbytes
    assert model.graph.initializers["w"].const_value is tensor
    assert len(model.graph.inputs) == (2 if overridable else 1)


def test_a_converter_that_crashes_leaves_the_model(monkeypatch):
    """There is no graph that crashes it today: a stand-in does."""

    call = VENDOR.call

    def crash(function, *arguments, **more):
        if function.endswith("convert_version"):
            raise ChildError("crashed (SIGSEGV)", expired=False)
        return call(function, *arguments, **more)

    monkeypatch.setattr(VENDOR, "call", crash)
    model, record = convert(f"{header(9)} g (float[2] x) => (float[2] y) {{ y = Relu(x) }}")
    assert model.graph.opset_imports[""] == 9
    assert "onnx.version_converter crashed (SIGSEGV)" in record.skips[0].reason


def test_the_legacy_max_pool_of_lprnet_passes_through():
    """Three kernel sizes on four dimensions: torch's exporter wrote it, and it is invalid."""
    model, record = convert(
        f"""{header(9)} g (float[1,4,6,6] x) => (float[1,2,4,4] y) {{
            a = Relu(x)
            [pool] p = MaxPool<kernel_shape = [1, 3, 3], strides = [2, 1, 1]>(a)
            y = Relu(p)
        }}""",
        runs=False,
    )
    assert record.changed
    assert [node.name for node in model.graph if node.op_type == "MaxPool"] == ["pool"]


@pytest.mark.parametrize(
    ("opset", "pipeline", "after"),
    [
        (21, "convert-opset", 21),
        (20, "convert-opset", 20),
        (13, "convert-opset{version=13}", 13),
        (11, "convert-opset{version=13}", 13),
        (9, "convert-opset{version=18}", 18),
    ],
)
def test_versions(opset, pipeline, after):
    text = f"{header(opset, 8)} g (float[2] x) => (float[2] y) {{ y = Relu(x) }}"
    model, record = convert(text, pipeline)
    assert editing.opset_version(model) == after
    assert record.changed == (opset != after)


def test_an_operator_of_another_domain_stays():
    model, _ = convert(
        """<ir_version: 4, opset_import: ["" : 9, "custom" : 1]>
        g (float[4] x) => (float[4] y) { [foo] a = custom.Foo(x) y = Relu(a) }""",
        runs=False,
    )
    assert next((node.domain, node.name) for node in model.graph) == ("custom", "foo")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            """<ir_version: 8, opset_import: ["" : 11, "local" : 1]>
            g (float[2] x) => (float[2] y) { y = local.f(x) }
            <domain: "local", opset_import: ["" : 11]> f (a) => (b) { b = Neg(a) }""",
            "the model has functions: inline-functions runs first",
        ),
        (
            f"""{header(6)} g (float[2,3] x, float[3] z) => (float[2,3] y) {{
                y = Dropout<ratio = 0.5>(x)
            }}""",
            None,
        ),
        (
            f"""{header(9)} g (float[1,1,2,2] x, float[4] s) => (float[N,M,K,L] y) {{
                y = NotAnOperator(x, s)
            }}""",
            "opset 9 can't be converted: ",
        ),
    ],
)
def test_what_can_not_be_converted_stays(text, reason):
    model = ir.from_onnx_text(text)
    before = editing.opset_version(model)
    (record,) = PassManager(Pipeline.parse("convert-opset"), [ChangeDetection()]).run(model)
    if reason is None:
        assert record.changed
        return
    assert not record.changed
    assert [skip.reason.startswith(reason) for skip in record.skips] == [True]
    assert editing.opset_version(model) == before


@pytest.mark.parametrize("dtype", ["float16", "float"])
def test_a_pad_of_an_unknown_type(dtype):
    """Beside float32 alone nothing else can be padded; beside float16 that is not known."""
    model = ir.from_onnx_text(
        f"""<ir_version: 4, opset_import: ["" : 9, "custom" : 1]>
        g ({dtype}[4] x) => ({dtype}[N] y) {{ a = custom.Foo(x) [pad] y = Pad<pads = [1, 1]>(a) }}"""
    )
    (record,) = PassManager(Pipeline.parse("convert-opset"), [ChangeDetection()]).run(model)
    assert [skip.reason for skip in record.skips] == (
        ["Pad 'pad': the type of what it reads is not known"] if dtype == "float16" else []
    )


@pytest.mark.parametrize(
    ("scales", "reason"),
    [
        ("s", "Resize 'resize': its scales are not constant, and say how opset 10 rounds"),
        ("c", "Resize 'resize': it enlarges and reduces, for which opset 10 rounds in two ways"),
    ],
)
def test_a_nearest_resize_of_opset_10_that_no_attribute_says(scales, reason):
    model = ir.from_onnx_text(
        f"""{header(10)} g (float[1,1,4,4] x, float[4] s) => (float[A,B,C,D] y)
        <float[4] c = {{1, 1, 2, 0.5}}> {{ [resize] y = Resize(x, {scales}) }}"""
    )
    (record,) = PassManager(Pipeline.parse("convert-opset"), [ChangeDetection()]).run(model)
    assert [skip.reason for skip in record.skips] == [reason]

"""``lprc explain``: from a name in an engine, a graph or the source to what passes did and why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.compiler.artifact.engine_layers import engine_layers
from lprc.compiler.artifact.pass_log import FILE, read_log
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.explain.explanation import explain
from lprc.core.errors import InvalidModelError, UsageError
from lprc.core.graph.annotations import Range, set_range
from lprc.core.passing.pipeline import Pipeline
from lprc.core.quantization.around import around

NETWORK = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,3,12,12] x) => (float[N,8,8,8] y)
<float[8] scale = {1,2,3,4,1,2,3,4}, float[8] bias = {0,1,0,1,0,1,0,1},
 float[8] mean = {0,0,1,1,0,0,1,1}, float[8] var = {1,1,2,2,1,1,2,2}> {
    [first] a = Conv(x, w)
    [norm] n = BatchNormalization(a, scale, bias, mean, var)
    [relu] r = Relu(n)
    [kept] s = Conv(r, v)
    [last] y = Softmax<axis=1>(s)
}"""
PIPELINE = "infer-shapes,fold-bn,calibrate,insert-qdq{scheme=symmetric,exclude=kept}"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    proto = onnx.parser.parse_model(NETWORK)
    for name, shape in (("w", (8, 3, 3, 3)), ("v", (8, 8, 3, 3))):
        array = generator.standard_normal(shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    path = tmp_path_factory.mktemp("source") / "net.onnx"
    onnx.save(proto, path)
    return path


@pytest.fixture(scope="module")
def artefact(source: Path) -> Path:
    generator = np.random.default_rng(1)
    samples = [
        {"x": generator.standard_normal((1, 3, 12, 12)).astype(np.float32)} for _ in range(8)
    ]
    out = source.parent / "out"
    settings = {"calibration": samples}
    compile_model(compile_request(source, "ov-int8", out, passes=PIPELINE, **settings))
    return out


def test_a_node_of_the_lowered_graph(artefact):
    found = explain(artefact, "first")
    assert found.match == "node"
    (node,) = found.nodes
    assert (node.operator, node.origins) == ("Conv", ("first", "norm"))
    assert (node.precision, node.why_float) == ("int8", None)
    activation, weight = (each for each in node.quantization if each.node)
    assert (activation.value, activation.role, activation.zero_point) == ("x", "activation", (0, 0))
    assert (weight.role, weight.dtype, weight.axis, weight.scales) == ("weight", "INT8", 0, 8)
    step = activation.scale[0]
    assert activation.range == pytest.approx((-128 * step, 127 * step))
    events = [(each.pass_name, each.rewrote) for each in found.events]
    assert events[0] == ("fold-bn", True)
    assert {name for name, _ in events} == {"fold-bn", "insert-qdq"}


def test_why_a_node_is_in_float(artefact):
    found = explain(artefact, "kept")
    (node,) = found.nodes
    assert (node.precision, node.why_float) == ("float", "insert-qdq: excluded")
    assert [each.note for each in found.events if not each.rewrote] == ["excluded"]
    (option,) = found.exclusions
    assert (option.pass_name, option.excluded) == ("insert-qdq", True)


def test_a_source_node_that_was_folded(artefact):
    found = explain(artefact, "norm")
    assert (found.match, [node.name for node in found.nodes]) == ("source node", ["first"])
    assert ("norm", "folded into first") in [(each.node, each.note) for each in found.events]


def test_a_value_and_an_initialiser(artefact):
    value = explain(artefact, "r")
    assert (value.match, [node.name for node in value.nodes]) == ("value", ["relu"])
    # Those that read it decide whether it is quantised.
    (option,) = value.exclusions
    assert option.text.endswith("exclude=kept}")
    assert [node.name for node in explain(artefact, "v").nodes] == ["kept"]


def test_a_layer_of_an_openvino_engine(artefact):
    layers = {layer.name: layer for layer in engine_layers(artefact)}
    split = next(name for name in layers if name.startswith("first/"))
    found = explain(artefact, split)
    assert (found.match, [node.name for node in found.nodes]) == ("engine layer", ["first"])
    assert {layer.name for layer in found.layers} >= {split, "first"}
    assert layers[split].kind == "Convolution"


def test_a_layer_of_a_tensorrt_engine(artefact, tmp_path):
    folder = tmp_path / "engine"
    shutil.copytree(artefact, folder)
    (folder / "model.xml").unlink()
    tensor = {"name": "t", "shape": [1], "type": "Int8", "format": "Row"}
    layer = {
        "name": "__myl_1", "type": "cask", "inputs": [tensor, tensor], "constants": [],
        "outputs": [{**tensor, "type": "Float"}], "kernel": "k", "nodes": ["first", "relu"],
    }  # fmt: skip
    (folder / "layers.json").write_text(json.dumps({"layers": [layer]}))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["emitter"] = {"float": [{"node": "relu", "why": "no kernel"}]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = explain(folder, "__myl_1")
    assert (found.match, [node.name for node in found.nodes]) == ("engine layer", ["first", "relu"])
    (engine,) = found.layers
    assert (engine.reads, engine.writes) == (("Int8",), ("Float",))
    assert [entry["why"] for entry in found.engine] == ["no kernel"]
    (folder / "layers.json").write_text("{}")
    with pytest.raises(InvalidModelError, match=r"layers\.json"):
        explain(folder, "first")


def test_a_node_that_vanished(tmp_path):
    text = """<ir_version: 9, opset_import: ["" : 20]>
    g (float[4] x) => (float[4] y) { [same] s = Identity(x) [used] y = Relu(s) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    compile_model(
        compile_request(tmp_path / "m.onnx", "onnx", tmp_path / "out", passes="eliminate-identity")
    )
    found = explain(tmp_path / "out", "same")
    assert (found.match, found.nodes) == ("vanished node", ())
    assert [each.pass_name for each in found.events] == ["eliminate-identity"]


def test_the_exclusion_that_is_told_works(source, artefact, tmp_path):
    (option,) = explain(artefact, "first").exclusions
    assert option.help == "nodes that keep float inputs, by name or source name"
    pipeline = ",".join([*PIPELINE.split(",")[:3], option.text])
    samples = [{"x": np.full((1, 3, 12, 12), each, np.float32)} for each in range(8)]
    compile_model(compile_request(source, "onnx-qdq", tmp_path / "out", passes=pipeline, calibration=samples, emit="onnx"))  # fmt: skip
    (node,) = explain(tmp_path / "out", "first").nodes
    assert (node.precision, node.why_float) == ("float", "insert-qdq: excluded")


def test_a_pipeline_that_does_not_quantise(source, tmp_path):
    compile_model(compile_request(source, "onnx", tmp_path / "out", passes="fold-bn"))
    (node,) = explain(tmp_path / "out", "kept").nodes
    assert node.why_float == "no pass of the pipeline quantises"
    assert explain(tmp_path / "out", "kept").exclusions == ()
    assert explain(tmp_path / "out", "kept").events == ()


def test_a_bare_model_has_no_log(source):
    found = explain(source, "kept")
    assert found.events is None
    assert found.layers == ()
    assert [node.why_float for node in found.nodes] == [None]
    texts = {each.pass_name: each.text for each in found.exclusions}
    assert texts["insert-qdq"] == "insert-qdq{exclude=kept}"
    assert {"adaround", "insert-qdq", "prune-channels", "sparsify"} <= set(texts)
    for text in texts.values():
        Pipeline.parse(text)


def test_the_lowered_file_of_an_artefact_has_its_log(artefact):
    assert explain(artefact / "lowered.onnx", "kept").events == explain(artefact, "kept").events


def test_an_unknown_name(lprc, artefact):
    with pytest.raises(UsageError, match=r"did you mean 'first'") as caught:
        explain(artefact, "firts")
    assert caught.value.where == str(artefact)
    with pytest.raises(UsageError, match=r"lprc inspect --layers"):
        explain(artefact, "0")
    done = lprc("explain", artefact, "kepd", check=False)
    assert done.returncode == 2
    assert "did you mean 'kept'" in done.stderr


def test_for_people_and_as_json(lprc, artefact, source):
    text = lprc("explain", artefact, "kept").stdout
    for part in (
        "kept: a node of the lowered graph",
        "float (not quantised: insert-qdq: excluded)",
        "left alone: excluded",
        "exclude=kept} (it is excluded already)",
    ):
        assert part in text
    document = json.loads(lprc("explain", artefact, "first", "--json").stdout)
    assert document["nodes"][0]["quantization"][1]["scales"] == 8
    assert document["events"][0]["what"] == "rewrote"
    assert document["exclusions"][0]["pass_name"] == "insert-qdq"
    assert "this is none" in lprc("explain", source, "kept").stdout


def test_a_pipeline_of_another_version_does_not_hide_the_rest(artefact, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(artefact, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["pipeline"] = manifest["pipeline"].replace("fold-bn", "fold-batchnorm")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = explain(folder, "kept")
    assert found.exclusions == ()
    assert "unknown pass 'fold-batchnorm'" in found.problem
    assert found.nodes[0].why_float == "insert-qdq: excluded"


def test_a_hint_is_one_printable_line(tmp_path):
    node = onnx.helper.make_node("Relu", ["x"], ["y"], name="hostile\x1b[31m\nnode")
    kinds = [onnx.helper.make_tensor_value_info(each, 1, [2]) for each in "xy"]
    graph = onnx.helper.make_graph([node], "g", kinds[:1], kinds[1:])
    opsets = [onnx.helper.make_opsetid("", 20)]
    proto = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.save(proto, tmp_path / "m.onnx")
    with pytest.raises(UsageError) as caught:
        explain(tmp_path / "m.onnx", "hostile")
    assert caught.value.hint == "did you mean 'hostile\\x1b[31m\\nnode'?"


# The log


def test_the_log_is_listed_whole_and_reproducible(source, artefact, tmp_path):
    manifest = json.loads((artefact / "manifest.json").read_text())
    assert FILE in manifest["files"]
    events = read_log(artefact)
    for number, entry in enumerate(manifest["passes"]):
        mine = [each for each in events if each.position == number]
        assert sum(each.rewrote for each in mine) == entry["rewrites"]
        assert sum(not each.rewrote for each in mine) == sum(entry["skips"].values())
    for name in ("one", "two"):
        compile_model(compile_request(source, "onnx", tmp_path / name, passes="fold-bn"))
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"schema": 1}', '{"schema": 2, "passes": []}', '{"schema":1,"passes":[{}]}'],
)
def test_a_damaged_log(tmp_path, text):
    assert read_log(tmp_path) is None
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InvalidModelError, match=r"passes\.json"):
        read_log(tmp_path)


# Q/DQ around a node


def node_of(text: str, name: str) -> ir.Node:
    model = ir.from_onnx_text(f'<ir_version: 9, opset_import: ["" : 20]> {text}')
    return next(node for node in model.graph if node.name == name)


def test_values_are_found_through_what_moves_elements():
    node = node_of(
        """g (float[1,4,6,6] x) => (float[1,36,4] y)
        <float s = {0.5}, uint8 z = {10}, float t = {2}, int8 o = {0}> {
            q = QuantizeLinear(x, s, z)
            d = DequantizeLinear(q, s, z)
            t1 = Transpose<perm=[0,2,3,1]>(d)
            [r] y0 = Relu(t1)
            q1 = QuantizeLinear(y0, t, o)
            y = DequantizeLinear(q1, t, o) }""",
        "r",
    )
    before, after = around(node)
    assert (before.value, before.dtype, before.zero_point) == ("x", "UINT8", (10, 10))
    assert before.range == (-5.0, 122.5)
    assert (after.role, after.dtype, after.range) == ("output", "INT8", (-256.0, 254.0))


def test_an_operator_on_integers_says_it_itself():
    node = node_of(
        """g (uint8[1,1,4,4] x, uint8[1,1,2,2] w) => (uint8[1,1,3,3] y)
        <float s = {0.5}, uint8 z = {0}> { [c] y = QLinearConv(x, s, z, w, s, z, s, z) }""",
        "c",
    )
    assert [(each.role, each.value) for each in around(node)] == [
        ("activation", "x"), ("weight", "w"), ("output", "y"),
    ]  # fmt: skip
    assert {each.range for each in around(node)} == {(0.0, 127.5)}


def test_a_scale_that_is_not_constant():
    node = node_of(
        """g (float[4] x, float s) => (float[4] y) <uint8 z = {0}> {
            q = QuantizeLinear(x, s, z)
            d = DequantizeLinear(q, s, z)
            [r] y = Relu(d) }""",
        "r",
    )
    (found,) = around(node)
    assert (found.dtype, found.scales, found.scale, found.range) == ("UINT8", 0, None, None)


def test_a_recorded_range():
    node = node_of("g (float[4] x) => (float[4] y) { [r] y = Relu(x) }", "r")
    set_range(node.outputs[0], Range(-1, 2))
    (found,) = around(node)
    assert (found.role, found.node, found.range) == ("output", "", (-1.0, 2.0))

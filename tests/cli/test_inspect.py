"""``lprc inspect``: what a model is, of any kind, and which targets take it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lprc.compiler.explain.inspection import inspect_model
from lprc.core.errors import InvalidModelError, UsageError
from lprc.core.quantization.coverage import Coverage
from lprc.core.targets.target import target_names

HEADER = '<ir_version: 9, opset_import: ["" : 20]>'

QUANTISED = """g (float[1,4,6,6] x) => (float[1,8,4,4] y)
<float s = {0.5}, int8 z = {0}, float[8] b = {0,0,0,0,0,0,0,0}> {
    xq = QuantizeLinear(x, s, z)
    xd = DequantizeLinear(xq, s, z)
    wd = DequantizeLinear(w, s, z)
    [both] a = Conv(xd, wd, b)
    [half] c = Conv<pads=[1,1,1,1]>(a, vd)
    vd = DequantizeLinear(v, s, z)
    [none] y = Conv(c, u)
}"""


def saved(path: Path, text: str, **weights: np.ndarray) -> Path:
    proto = onnx.parser.parse_model(f"{HEADER} {text}")
    for name, array in weights.items():
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.save(proto, path)
    return path


@pytest.fixture
def quantised(tmp_path: Path) -> Path:
    text = QUANTISED.replace(
        "    [half] c = Conv<pads=[1,1,1,1]>(a, vd)\n    vd = DequantizeLinear(v, s, z)\n",
        "    vd = DequantizeLinear(v, s, z)\n    [half] c = Conv<pads=[1,1,1,1]>(a, vd)\n",
    )
    sparse = np.tile(np.array([1, 0, 0, 2], np.int8), (8, 1)).reshape(8, 4, 1, 1)
    return saved(
        tmp_path / "q.onnx", text,
        w=np.repeat(np.repeat(sparse, 3, 2), 3, 3),
        v=np.ones((8, 8, 3, 3), np.int8),
        u=np.ones((8, 8, 1, 1), np.float32),
    )  # fmt: skip


def test_for_people(lprc, bundled):
    found = lprc("inspect", bundled, "--layers").stdout
    for text in (
        "opset        ai.onnx 20",
        "input        image: FLOAT[batch,3,24,94]",
        "MACs         134,917,920",
        "0 of 16 weights are 2:4, 14 can be",
        "dimensions that are not known count as 1",
        "backbone.20/Conv          Conv      [1,34,4,18]",
        "its input channels are no multiple of 4",
    ):
        assert text in found
    rows = {line.split()[0]: line for line in found.splitlines() if line}
    assert set(target_names()) <= set(rows)
    assert "legal" in rows["openvino-fp32"]
    assert "1 violation " in rows["tvm-fp32"]


def test_json(lprc, quantised):
    document = json.loads(lprc("inspect", quantised, "--json").stdout)
    assert document["inputs"] == [{"name": "x", "dtype": "FLOAT", "shape": [1, 4, 6, 6]}]
    assert document["opsets"] == {"ai.onnx": 20}
    assert document["operators"] == {"Conv": 3, "DequantizeLinear": 3, "QuantizeLinear": 1}
    assert document["statistics"]["macs"] == 16 * 8 * 36 + 16 * 8 * 72 + 16 * 8 * 8
    assert document["quantisation"]["operators"] == {
        "Conv": {"all": 3, "quantized": 1, "weights_only": 1}
    }
    assert document["files"] == {"q.onnx": quantised.stat().st_size}
    first, *others = document["layers"]
    assert (first["node"], first["density"], first["patterns"]) == ("both", 0.5, ["2:4"])
    assert [each["node"] for each in others] == ["half", "none"]
    targets = {each["target"]: each for each in document["targets"]}
    assert set(targets) == set(target_names())
    assert all(each["legal"] == (each["violations"] == 0) for each in targets.values())
    illegal = targets["tensorrt-sparse-int8"]
    assert (illegal["legal"], len(illegal["first"])) == (False, min(3, illegal["violations"]))
    assert all(each["message"] and each["remedy"] for each in illegal["first"])


def test_integer_operators_are_covered(tmp_path):
    text = """g (uint8[1,3,6,6] x) => (uint8[1,8,4,4] y) <float s = {0.5}, uint8 z = {0}> {
        y = QLinearConv(x, s, z, w, s, z, s, z) }"""
    found = inspect_model(saved(tmp_path / "m.onnx", text, w=np.ones((8, 3, 3, 3), np.uint8)))
    assert found.coverage == {"Conv": Coverage(1, 1, 0)}
    assert found.quantized is not None


CONTROL = {
    "lstm": (
        "g (float[5,1,4] x) => (float[5,1,1,3] y) { y = LSTM<hidden_size=3>(x, w, r) }",
        {"w": (1, 12, 4), "r": (1, 12, 3)},
        5 * 12 * 7,
    ),
    "if": (
        """g (bool c, float[2,4] x) => (float[2,3] y) { y = If (c) <
            then_branch = t () => (float[2,3] p) { p = MatMul(x, w) },
            else_branch = e () => (float[2,3] q) { q = MatMul(x, w) }> }""",
        {"w": (4, 3)},
        48,
    ),
    "loop": (
        """g (float[2,3] x) => (float[2,3] y) <int64 n = {4}, bool on = {1}> {
            y = Loop (n, on, x) <body = b (int64 i, bool c, float[2,3] h)
                => (bool d, float[2,3] k) { d = Identity(c) k = MatMul(h, w) }> }""",
        {"w": (3, 3)},
        18,
    ),
}


@pytest.mark.parametrize("kind", CONTROL)
def test_recurrence_and_control_flow(tmp_path, kind):
    text, shapes, macs = CONTROL[kind]
    weights = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    found = inspect_model(saved(tmp_path / "m.onnx", text, **weights))
    assert found.statistics.macs == macs
    assert [each.target for each in found.legality] == target_names()
    json.dumps(found.document(), allow_nan=False)


def test_external_weights_count(tmp_path):
    text = "g (float[1,100] x) => (float[1,100] y) { y = MatMul(x, w) }"
    plain = saved(tmp_path / "m.onnx", text, w=np.ones((100, 100), np.float32))
    path = tmp_path / "external.onnx"
    onnx.save(onnx.load(plain), path, save_as_external_data=True, location="weights.bin",
              size_threshold=0)  # fmt: skip
    found = inspect_model(path)
    assert found.files == {"external.onnx": path.stat().st_size, "weights.bin": 40_000}
    assert found.statistics.nonzero_parameters == 10_000


def test_an_artefact_is_its_lowered_graph(lprc, small, tmp_path):
    out = tmp_path / "out"
    lprc("compile", small, "--target", "ov-fp32", "-o", out, "-q")
    found = lprc("inspect", out).stdout
    assert str(out / "lowered.onnx") in found
    assert "artefact     openvino-fp32" in found
    assert inspect_model(out / "manifest.json").model == str(out / "lowered.onnx")
    with pytest.raises(UsageError, match=r"not an ONNX file .*name the folder"):
        inspect_model(out / "model.xml")
    (out / "lowered.onnx").unlink()
    with pytest.raises(InvalidModelError, match=r"'lowered\.onnx' is missing"):
        inspect_model(out)


def test_what_is_no_model(lprc, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no onnx")
    empty = tmp_path / "folder"
    empty.mkdir()
    for path in (broken, empty, tmp_path / "missing.onnx"):
        done = lprc("inspect", path, check=False)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith(f"error: {path}")


def test_a_target_that_cannot_be_loaded_does_not_hide_the_others(small, monkeypatch):
    from lprc.compiler.explain import inspection

    def broken(name: str):
        raise UsageError("can't load it", where=name)

    monkeypatch.setattr(inspection, "target", broken)
    found = inspect_model(small).legality
    assert [each.target for each in found] == target_names()
    assert not any(each.legal for each in found)
    assert found[0].problem == f"{found[0].target}: can't load it"


def test_ten_thousand_nodes(tmp_path):
    count = 10_000
    nodes = [
        helper.make_node("Conv" if i % 2 else "Relu", [f"v{i}", *["w"] * (i % 2)], [f"v{i + 1}"])
        for i in range(count)
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("v0", TensorProto.FLOAT, ["N", 4, 8, 8])],
        [helper.make_tensor_value_info(f"v{count}", TensorProto.FLOAT, ["N", 4, 8, 8])],
        [numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32), "w")],
    )
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "m.onnx")
    started = time.process_time()
    found = inspect_model(tmp_path / "m.onnx")
    assert time.process_time() - started < 20
    assert found.statistics.macs == count // 2 * 4 * 4 * 64

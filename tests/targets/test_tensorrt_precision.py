"""Whether an engine computes in int8 what the graph asks for, and what happens where it does not."""

from __future__ import annotations

import json

import onnx_ir as ir
import pytest
from engines import QUANTIZED, SMALL, emitted, saved

from lprc.core.errors import IllegalForTargetError
from lprc.targets.tensorrt_precision import document, precisions, unmet


def layer(*types, nodes=("conv",), kind="correlation"):
    return {"type": kind, "nodes": list(nodes), "inputs": [{"type": each} for each in types]}


def found(*layers, text=QUANTIZED, skips=None):
    (only,) = precisions(ir.from_onnx_text(text), layers, skips or {})
    return only


@pytest.mark.parametrize(
    ("layers", "is_int8", "types"),
    [
        ([layer("Int8")], True, ("Int8",)),
        ([layer("Half")], False, ("Half",)),
        # A residual that is added in float makes it a float layer.
        ([layer("Int8", "Float")], False, ("Int8", "Float")),
        ([layer("Int8"), layer("Float")], False, ("Int8", "Float")),
        # What quantises its input and adds its bias stands for it too, but does not compute it.
        ([layer("Float", kind="kgen"), layer("Int8"), layer("Half", kind="Reformat")], True, ("Int8",)),
        # Unless nothing else does.
        ([layer("Float", kind="kgen")], False, ("Float",)),
        ([layer("Int8", kind="kgen")], True, ("Int8",)),
        ([layer("Int8", nodes=["other"])], False, ()),
        ([], False, ()),
    ],
)  # fmt: skip
def test_what_an_operator_is_computed_in(layers, is_int8, types):
    only = found(*layers)
    assert (only.asked, only.is_int8, only.types) == (True, is_int8, types)
    assert (unmet([only]) == []) == is_int8


def test_the_document_says_what_is_not_int8_and_why():
    assert document([found(layer("Int8"))]) == {
        "operators": {"Conv": {"all": 1, "asked": 1, "int8": 1}},
        "float": [],
    }
    refused = document([found(layer("Float"))])
    assert refused["operators"]["Conv"] == {"all": 1, "asked": 1, "int8": 0}
    assert refused["float"] == [
        {
            "node": "conv",
            "sources": ["conv"],
            "operator": "Conv",
            "asked": "int8",
            "reads": ["Float"],
            "why": "TensorRT has no int8 kernel for it on this GPU, or on the weakest of several",
        }
    ]
    (silent,) = document([found()])["float"]
    assert silent["why"] == "no layer of the engine says that it stands for it"
    (left,) = document([found(text=SMALL)])["float"]
    assert (left["asked"], left["why"]) == ("float", "not quantised in the lowered graph")
    (skipped,) = document([found(text=SMALL, skips={"conv": "its input is not calibrated"})])[
        "float"
    ]
    assert skipped["why"] == "its input is not calibrated"


def test_a_pool_of_volumes_has_no_int8_kernel_and_is_not_missed():
    text = """<ir_version: 9, opset_import: ["" : 20]>
    g (int8[1,2,4,4,4] q) => (float[1,2,2,2,2] y)
    <float s = {0.1}> {
        x = DequantizeLinear(q, s)
        [pool] y = MaxPool<kernel_shape = [2, 2, 2], strides = [2, 2, 2]>(x)
    }"""
    pool = found(layer("Float", nodes=["pool"]), text=text)
    assert (pool.asked, pool.is_int8, unmet([pool])) == (True, False, [])
    (described,) = document([pool])["float"]
    assert described["why"] == "TensorRT pools volumes in float, which picks the same elements"
    flat = found(
        layer("Float", nodes=["pool"]),
        text=text.replace(",4,4,4]", ",4,4]")
        .replace(",2,2,2]", ",2,2]")
        .replace("2, 2, 2", "2, 2"),
    )
    assert unmet([flat]) == [flat]


SILENT = (
    "node 'conv' (Conv): int8 in the graph, but the engine reads Float",
    "build for a GPU with int8 kernels for it, or leave it out: insert-qdq{exclude=…}",
)


def test_int8_that_is_silently_float_fails(tmp_path):
    """TensorRT-RTX 1.7 has no int8 convolutions before compute capability 8.0, and says nothing."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source = saved(QUANTIZED, tmp_path / "m.onnx")
    with pytest.raises(IllegalForTargetError) as caught:
        emitted(source, "trt-int8", tmp_path / "out", compute_capability="75")
    assert caught.value.exit_code == 4
    assert SILENT[0] in caught.value.message
    assert caught.value.hint == f"{SILENT[1]}, or -O unmet=warn"
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_or_warns_by_choice(tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source = saved(QUANTIZED, tmp_path / "m.onnx")
    compiled = emitted(source, "trt-int8", tmp_path / "out", compute_capability="75", unmet="warn")
    assert SILENT[0] in compiled.emitted.warnings
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert SILENT[0] in manifest["warnings"]
    assert manifest["options"] == {"compute-capability": ["75"], "unmet": ["warn"]}
    assert manifest["emitter"]["operators"] == {"Conv": {"all": 1, "asked": 1, "int8": 0}}
    assert (
        manifest["emitter"]["float"][0]["why"]
        == "TensorRT has no int8 kernel for it on this GPU, or on the weakest of several"
    )


def test_the_same_graph_is_int8_where_there_are_kernels(tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source = saved(QUANTIZED, tmp_path / "m.onnx")
    report = emitted(source, "trt-int8", tmp_path / "out", compute_capability="86").emitted.report
    assert report["operators"] == {"Conv": {"all": 1, "asked": 1, "int8": 1}}
    assert report["float"] == []

"""The layers of an engine are read from the builder's log and from the engine's inspector."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from lprc.targets.tensorrt_scripts.builder_log import make_log
from lprc.targets.tensorrt_scripts.engine_layers import from_inspector, from_log

CONV = (
    "Name: conv1_myl0_2, LayerType: correlation, Inputs: [ { Name: x, Dimensions: [1,3,24,94], "
    "Layout: NCHW, Datatype: Int8, Format: Row major }, { Name: r, Dimensions: [], "
    "Datatype: Half, Format: Linear }], Constants: [ { Name: w, Dimensions: [4,3,3,3], "
    "Datatype: Int8, Format: Row major }], Outputs: [ { Name: y, Dimensions: [1,4,24,94], "
    "Datatype: Half, Format: Row major }], TacticName: sm80_conv, StreamId: 0, Metadata: "
)
TENSOR = {"shape": [1, 4, 24, 94], "type": "Half", "format": "Row major", "name": "y"}


def test_a_line_of_the_log():
    (layer,) = from_log([f"{CONV}[ONNX Layer: conv1]"])
    assert {key: layer[key] for key in ("name", "type", "kernel", "nodes")} == {
        "name": "conv1_myl0_2",
        "type": "correlation",
        "kernel": "sm80_conv",
        "nodes": ["conv1"],
    }
    assert [(each["name"], each["shape"], each["type"]) for each in layer["inputs"]] == [
        ("x", [1, 3, 24, 94], "Int8"),
        ("r", [], "Half"),
    ]
    assert [each["name"] for each in layer["constants"]] == ["w"]
    assert layer["outputs"] == [TENSOR]


@pytest.mark.parametrize("separator", ["", "\x1e", "\x1f"])
def test_several_nodes_in_one_layer(separator):
    names = ["a", "b]c", "d, LayerType: e", "[ONNX f", "g\u2028h"]
    metadata = separator.join(f"[ONNX Layer: {name}]" for name in names)
    (layer,) = from_log([CONV + metadata])
    assert layer["nodes"] == names


def test_what_the_builder_made_of_a_node_is_not_in_its_name():
    metadata = "[ONNX Layer: a]__gemm_from_conv1x1\x1f[ONNX Layer: b]\x1f[ONNX Layer: a]"
    (layer,) = from_log([CONV + metadata])
    assert layer["nodes"] == ["a", "b"]
    assert from_log([CONV])[0]["nodes"] == []


def test_lines_that_are_no_layers_are_passed_over():
    assert from_log(["", "Layers:", "Name: x", "Bindings:"]) == []


@pytest.mark.parametrize("separator", ["", "\x1e", "\x1f", "\x1d"])
def test_the_log_keeps_whole_layers(separator, capsys):
    """The separator is an end of line to str.splitlines."""
    log = make_log(SimpleNamespace(ILogger=object), "quiet")
    lines = [f"{CONV}[ONNX Layer: a]{separator}[ONNX Layer: b]"] * 2
    log.log(4, "\n".join(["Layers:", *lines]))
    assert log.layers == lines
    log.log(1, "wrong")
    log.log(2, "careful")
    log.log(3, "Total Weights Memory: 435544 bytes")
    log.log(3, "Total Activation Memory: 12 bytes")
    assert (log.errors, log.warnings) == (["wrong"], ["careful"])
    assert log.memory == {"weights_bytes": 435544, "activation_bytes": 12}
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [("quiet", "0"), ("warning", "012"), ("info", "0123"), ("verbose", "01234")],
)
def test_what_the_log_shows(verbosity, shown, capsys):
    log = make_log(SimpleNamespace(ILogger=object), verbosity)
    for level in range(5):
        log.log(level, str(level))
    assert "".join(capsys.readouterr().err.split()) == shown


def inspected(**tensor):
    return {
        "Layers": [
            {
                "Name": "conv1 + relu1",
                "LayerType": "CaskConvolution",
                "Inputs": [
                    {"Name": "x", "Location": "Device", "Dimensions": [1, 3, 4, 5], **tensor}
                ],
                "Outputs": [],
                "ParameterType": "Convolution",
                "Weights": {"Type": "Int8", "Count": 9},
                "TacticName": "sm80_xmma_fprop_implicit_gemm_interleaved_i8i8_i8i32",
                "Metadata": "[ONNX Layer: conv1]\u001e[ONNX Layer: relu1]",
            }
        ],
        "Bindings": ["x", "y"],
    }


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        ({"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}, "Int8"),
        ({"Format/Datatype": "Row major linear FP16 format"}, "Half"),
        ({"Format/Datatype": "Row major linear FP32"}, "Float"),
        ({"Format/Datatype": "Row major linear BFloat16"}, "BFloat16"),
        ({"Format/Datatype": "Row major linear BF16"}, "BFloat16"),
        ({"Format/Datatype": "Row major linear FP8"}, "FP8"),
        ({"Format/Datatype": "Row major linear UInt8 format"}, ""),
        ({"Format": "Row major", "Datatype": "Int8"}, "Int8"),
        ({"Format": "Row major"}, ""),
    ],
)
def test_the_inspectors_json(tensor, expected):
    """As TensorRT's developer guide shows it, "Engine Inspector"."""
    (layer,) = from_inspector(json.dumps(inspected(**tensor)))
    assert (layer["type"], layer["nodes"]) == ("CaskConvolution", ["conv1", "relu1"])
    (read,) = layer["inputs"]
    assert (read["name"], read["shape"], read["type"]) == ("x", [1, 3, 4, 5], expected)
    assert (layer["constants"], layer["outputs"]) == ([], [])


def test_an_engine_without_detailed_layers_has_none():
    """Names only, as engines built without detailed profiling verbosity."""
    assert from_inspector('{"Layers": ["conv1 + relu1"], "Bindings": []}') == []
    assert from_inspector("{}") == []

"""TensorRT engines in tests, built from graphs that are lowered once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx

from lprc.cli.root import main
from lprc.compiler.compile.model import Compiled, compile_model
from lprc.compiler.compile.request import compile_request

TARGETS = ("trt-fp32", "trt-fp16", "trt-int8", "trt-int8-fp16")

SMALL = """<ir_version: 10, opset_import: ["" : 21]>
g (float[N,4,8,8] x) => (float[N,4,8,8] y) <float[4,4,1,1] w = {
 1, 2, 3, 4, -1, -2, -3, -4, 0.5, 0.25, 1.5, -0.5, 2, 0, 0, 1}> {
    [conv] c = Conv (x, w)
    [relu] y = Relu (c)
}"""

QUANTIZED = """<ir_version: 10, opset_import: ["" : 21]>
g (float[N,4,8,8] x) => (float[N,4,8,8] y)
<float s = {0.05}, int8 z = {0}, float ws = {0.03}, float[4] b = {1, 2, 3, 4}, int8[4,4,1,1] w = {
 1, 2, 3, 4, -1, -2, -3, -4, 5, 25, 15, -5, 20, 0, 0, 1}> {
    [q] xq = QuantizeLinear (x, s, z)
    [dq] xd = DequantizeLinear (xq, s, z)
    [wdq] wd = DequantizeLinear (w, ws)
    [conv] c = Conv (xd, wd, b)
    [relu] y = Relu (c)
}"""


def saved(text: str, path: Path, *replacements: tuple[str, str]) -> Path:
    """A model as text, with parts of it replaced, as a file."""
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def texts(options: dict[str, str | tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Options as the command line reads them."""
    return {
        key.replace("_", "-"): (value,) if isinstance(value, str) else value
        for key, value in options.items()
    }


def emitted(lowered: Path, target: str, out: Path, emit="engine", **options) -> Compiled:
    """Emit a graph that is lowered already, or needs no lowering."""
    return compile_model(
        compile_request(
            lowered, target, out, passes="", emit=emit, options=texts(options), verify="off"
        )
    )


def layers(out: Path) -> list[dict]:
    """What the engine in the folder `out` is made of."""
    return json.loads((out / "layers.json").read_text(encoding="utf-8"))["layers"]


def types(layer: dict) -> set[str]:
    """The types of what a layer reads and writes, without constants."""
    return {tensor["type"] for tensor in layer["inputs"] + layer["outputs"]}


def refused(monkeypatch, capsys, *arguments: str | Path) -> tuple[int, str]:
    """The exit code and the message of ``lprc`` with these arguments, in this process."""
    monkeypatch.setattr(sys, "argv", ["lprc", *map(str, arguments)])
    try:
        main([*map(str, arguments)])
    except SystemExit as ended:
        return int(ended.code or 0), capsys.readouterr().err
    raise AssertionError("it did not end")

"""A pipeline of the shipped models, and stages of small graphs, whose interface alone matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnx.parser

from lprc.compiler.bundle.stages import Stage
from lprc.compiler.compile.graph_interface import interface_of_graph
from lprc.compiler.frames.pipeline_file import EdgeTable
from lprc.core.onnx_io.model_io import load
from lprc.core.targets.target import target
from lprc.core.tasks.task_file import parse_task

MODELS = Path(__file__).parents[3] / "models"

PIPELINE = f"""
[models.detector]
model = "{MODELS}/plate_detector.onnx"
target = "ov-fp16"
task = "plate-detector"

[models.reader]
model = "{MODELS}/lprnet_synthetic.onnx"
target = "ov-fp32"
task = "synthetic"

[[edges]]
from = "detector"
to = "reader"
margin = [0.06, 0.12]
min-size = [16, 6]
min-score = 0.4
top-k = 8
"""
"""The shipped detector and reader."""

_TYPES = {"float": 1, "int32": 6, "int64": 7}

DETECTOR = """
task = "detection"
[input]
width = 64
height = 32
color = "RGB"
[output]
classes = ["car", "bus"]
"""

READER = """
task = "plates"
[input]
width = 64
height = 32
color = "RGB"
[output]
alphabet = "AB京"
"""


def graph(
    path: Path, outputs: dict[str, tuple[int, ...]], kind: str = "float", taken: str = "float"
) -> Path:
    """A graph of images [N, 3, 32, 64] with outputs of those sizes behind the batch."""
    shapes = {name: ",".join(map(str, sizes)) for name, sizes in outputs.items()}
    given = ", ".join(f"{kind}[N,{sizes}] {name}" for name, sizes in shapes.items())
    lines = []
    for name, sizes in shapes.items():
        lines += [
            f"{name}_sizes = Constant<value = int64[{sizes.count(',') + 1}] {{{sizes}}}>()",
            f"{name}_shape = Concat<axis = 0>(batch, {name}_sizes)",
            f"{name}_wide = Expand(zero, {name}_shape)",
            f"{name} = Cast<to = {_TYPES[kind]}>({name}_wide)",
        ]
    text = f"""<ir_version: 9, opset_import: ["" : 20]>
      net ({taken}[N,3,32,64] image) => ({given}) {{
        all = Shape(image)
        first = Constant<value = int64[1] {{0}}>()
        batch = Gather<axis = 0>(all, first)
        floats = Cast<to = 1>(image)
        zero = ReduceMin<keepdims = 0>(floats)
        {chr(10).join(lines)}
      }}"""
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def stage(path: Path, task: str, outputs: dict[str, tuple[int, ...]], **changes: Any) -> Stage:
    """A stage of a graph that is written to `path`.

    Args:
        path: The graph's file.
        task: The text of its task file.
        outputs: As of `graph`, whose other arguments are ``kind`` and ``taken``.
        changes: Other attributes.
    """
    written = graph(path, outputs, changes.pop("kind", "float"), changes.pop("taken", "float"))
    parsed = parse_task(task, name="given", where="given.toml")
    where = f"pipeline.toml: models.{path.stem}"
    loaded = load(written)
    interface = interface_of_graph(loaded, where)
    given = {
        "name": path.stem,
        "number": 1,
        "source": None,
        "edge": None,
        "onward": (),
        "task": parsed.fitted(interface),
        "task_name": "given",
        "target": target("trt-fp16"),
        "lowered": written,
        "graph": loaded,
        "interface": interface,
        "batch": 4,
        "where": where,
        **changes,
    }
    return Stage(**given)


def edge(**keys: Any) -> EdgeTable:
    """An edge from ``net`` to ``reader``; keys as they are written in the file."""
    return EdgeTable.model_validate({"from": "net", "to": "reader", **keys})

"""A plug-in with planted bugs, as an installed package, and models to go wrong on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

SOURCE = '''
from dataclasses import dataclass

import numpy as np

from lprc.core.graph import editing
from lprc.core.passing.contract import exact, lossy
from lprc.core.options import option
from lprc.core.passing.pass_base import Pass


@dataclass(frozen=True)
class MulToDiv(Pass):
    """Turn every Mul by a constant into a Div by its reciprocal."""

    name = "mul-to-div"
    contract = exact
    wrong: tuple[str, ...] = option((), "nodes to get wrong")
    together: bool = option(False, "whether only all of them together are wrong")

    def run(self, model, context):
        left = len(self.wrong)
        for node in list(model.graph):
            if node.op_type != "Mul":
                continue
            if not context.rewrite(node, "a Div by the reciprocal"):
                continue
            weight = (1.0 / editing.constant(node.inputs[1])).astype(np.float32)
            if node.name in self.wrong:
                left -= 1
                if not self.together or left == 0:
                    weight = weight.copy()
                    weight[0] *= -1.5
            new = editing.new_node(
                "Div",
                [node.inputs[0], editing.add_initializer(model.graph, "r", weight)],
                before=node, sources=[node], shape=node.outputs[0].shape,
            )
            editing.replace_value(node.outputs[0], new)
            editing.remove_dead([node])


@dataclass(frozen=True)
class LossyMul(MulToDiv):
    """The same, as a lossy pass."""

    name = "lossy-mul"
    contract = lossy("accuracy")


@dataclass(frozen=True)
class CalibratedMul(MulToDiv):
    """The same, but only where there are samples of the graph's own inputs."""

    name = "calibrated-mul"
    reads_calibration = True

    def run(self, model, context):
        names = {value.name for value in model.graph.inputs}
        if len(context.calibration) and all(set(each) == names for each in context.calibration):
            super().run(model, context)
'''


def install(folder: Path) -> Path:
    """Lay the plug-in out in `folder` as pip would; the folder belongs on ``sys.path``."""
    (folder / "planted_passes.py").write_text(SOURCE)
    info = folder / "planted-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[lprc.passes]\nmul-to-div = planted_passes:MulToDiv\nlossy-mul = planted_passes:LossyMul\ncalibrated-mul = planted_passes:CalibratedMul\n"
    )
    return folder


def chain(path: Path, count: int) -> Path:
    """`count` times Mul by a constant and Neg, in a row."""
    generator = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    for index in range(count):
        array = generator.uniform(0.8, 1.2, 4).astype(np.float32)
        weights.append(numpy_helper.from_array(array, f"w{index}"))
        nodes.append(helper.make_node("Mul", [value, f"w{index}"], [f"m{index}"], f"mul{index}"))
        nodes.append(helper.make_node("Neg", [f"m{index}"], [f"n{index}"], f"neg{index}"))
        value = f"n{index}"
    nodes.append(helper.make_node("Identity", [value], ["y"], "last"))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 4])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path)
    return path

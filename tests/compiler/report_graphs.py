"""Models and findings that the report's tests share."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from lprc.compiler.compile.optimize import optimize
from lprc.compiler.compile.settings import Execution, Observation
from lprc.compiler.measure.pass_costs import PassCost
from lprc.compiler.report.findings import Findings
from lprc.compiler.report.history import History
from lprc.core.costs.statistics import model_statistics
from lprc.core.instruments.pass_statistics import SOURCE
from lprc.core.onnx_io.model_io import from_proto
from lprc.core.passing.pipeline import Pipeline

HOSTILE = "</script><img src=x onerror=alert(1)>"
MANIFEST = {"lprc": "0", "tools": {"onnx": "1"}, "warnings": []}


def residual_chain(nodes: int) -> ir.Model:
    """Blocks of Conv, BatchNormalization, Relu, Identity and an Add around them."""
    made = []
    value = "x"
    for block in range(nodes // 5):
        scope = f"stage.{block // 20}/block.{block % 20}"
        names = [f"b{block}_{at}" for at in range(5)]
        norm = ["scale", "zero", "zero", "scale"]
        for at, (op, inputs) in enumerate(
            [
                ("Conv", [value, f"w{block % 7}"]),
                ("BatchNormalization", [names[0], *norm]),
                ("Relu", [names[1]]),
                ("Identity", [names[2]]),
                ("Add", [names[3], value]),
            ]
        ):
            made.append(helper.make_node(op, inputs, [names[at]], name=f"{scope}/{op}"))
        value = names[4]
    made.append(helper.make_node("Relu", [value], ["y"], name="head/Relu"))
    generator = np.random.default_rng(0)
    weights = {f"w{at}": generator.standard_normal((4, 4, 1, 1)) * 0.01 for at in range(7)}
    weights |= {"scale": np.ones(4), "zero": np.zeros(4)}
    graph = helper.make_graph(
        made,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])],
        [
            numpy_helper.from_array(array.astype(np.float32), name)
            for name, array in weights.items()
        ],
    )
    imports = [helper.make_opsetid("", 18)]
    return from_proto(helper.make_model(graph, opset_imports=imports, ir_version=9))


def hostile() -> ir.Model:
    """A model in which every name tries to leave its element."""
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18]> g (float[1,4] x) => (float[1,4] y)'
        "{ a = Identity(x) b = Relu(a) y = Neg(b) }"
    )
    model = from_proto(proto)
    for node in model.graph:
        node.name = f"{HOSTILE}{node.op_type}"
        for value in node.outputs:
            value.name = f"{value.name}{HOSTILE}"
    return model


def findings(model: ir.Model, pipeline: str, **others) -> Findings:
    """What `pipeline` does to `model`."""
    history = History()
    settings = {
        "execution": Execution(verify="off"),
        "observation": Observation(instruments=(history,)),
    }
    optimized = optimize(model, Pipeline.parse(pipeline), **settings)
    given = {"source": "chain.onnx", "target": "onnx", "manifest": MANIFEST} | others
    return Findings(optimized=optimized, steps=history.steps, **given)


def measured_findings(model: ir.Model, pipeline: str) -> Findings:
    """The same with every column of the table of passes filled, as ``--stats`` does."""
    unmeasured = findings(model, pipeline)
    graphs = {step.position: step.model for step in unmeasured.steps}
    held = graphs[None]
    costs = [PassCost(SOURCE, "source", changed=False, statistics=model_statistics(held))]
    for record in unmeasured.optimized.records:
        held = graphs.get(record.position, held)
        costs.append(
            PassCost(
                record.position,
                record.text,
                record.changed,
                statistics=model_statistics(held),
                error=1.2e-7,
                error_to_source=1.1e-6,
                accuracy=0.9833,
                median_ms=111.937,
                peak_bytes=312_000_000,
            )
        )
    unmeasured.optimized.costs[:] = costs
    return unmeasured

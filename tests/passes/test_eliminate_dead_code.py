from __future__ import annotations

import onnx
import onnx_ir as ir

from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import PassContext
from lprc.core.passing.pipeline import Pipeline
from lprc.passes.eliminate_dead_code import EliminateDeadCode

HEADER = '<ir_version: 9, opset_import: ["" : 20]>'


def test_a_dead_chain_and_its_weights_go(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] y) <float[2] w = {{1, 2}}, float[2] unused = {{1, 2}}> {{
            a = Mul(x, w)
            b = Neg(a)
            y = Relu(x)
        }}""",
        EliminateDeadCode(),
    )
    assert done.ops == ["Relu"]
    assert not done.model.graph.initializers
    assert [rewrite.note for rewrite in done.context.rewrites] == [
        *["nothing uses it"] * 2,
        "nothing uses w",
        "nothing uses unused",
    ]


def test_what_outputs_need_stays_and_so_do_unused_inputs(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x, float[2] unused, float[2] w) => (float[2] y, float[2] z) <float[2] w = {{1, 2}}> {{
            y = Relu(x)
            z = Neg(y)
        }}""",
        EliminateDeadCode(),
    )
    assert not done.context.rewrites
    assert len(done.model.graph.inputs) == 3


def test_one_used_output_keeps_a_node(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[4] x) => (float[2] y) {{
            a, b = Split<axis = 0, num_outputs = 2>(x)
            y = Relu(b)
        }}""",
        EliminateDeadCode(),
    )
    assert not done.context.rewrites


def test_dead_nodes_in_a_subgraph_free_outer_ones(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (bool c, float[2] x) => (float[2] y) {{
            only_for_dead = Sqrt(x)
            y = If (c) <
                then_branch = t () => (float[2] a) {{ dead = Neg(only_for_dead) a = Relu(x) }},
                else_branch = e () => (float[2] b) {{ b = Neg(x) }}
            >
        }}""",
        EliminateDeadCode(),
    )
    assert [node.op_type for node in done.model.graph.all_nodes()] == ["If", "Relu", "Neg"]


def test_a_dead_if_lets_go_of_what_it_captures(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (bool c, float[2] x) => (float[2] y) <float[2] w = {{1, 2}}> {{
            captured = Mul(x, w)
            dead = If (c) <
                then_branch = t () => (float[2] a) {{ a = Relu(captured) }},
                else_branch = e () => (float[2] b) {{ b = Neg(captured) }}
            >
            y = Relu(x)
        }}""",
        EliminateDeadCode(),
    )
    assert done.ops == ["Relu"]
    assert not done.model.graph.initializers


FUNCTIONS = """<ir_version: 9, opset_import: ["" : 20, "local" : 1, "unused" : 3]>
g (float[2] x) => (float[2] y) { y = local.used(x) }
<domain: "local", opset_import: ["" : 20, "local" : 1]>
used (a) => (b) { b = local.inner(a) }
<domain: "local", opset_import: ["" : 20]>
inner (a) => (b) { b = Neg(a) }
<domain: "local", opset_import: ["" : 20, "local" : 1]>
never (a) => (b) { b = local.nor_this(a) }
<domain: "local", opset_import: ["" : 20]>
nor_this (a) => (b) { b = Neg(a) }
"""


def test_functions_and_operator_sets_that_nothing_uses_go():
    model = ir.from_onnx_text(FUNCTIONS)
    (record,) = PassManager(Pipeline.parse("eliminate-dead-code"), [ChangeDetection()]).run(model)
    assert [name for _, name, _ in model.functions] == ["used", "inner"]
    assert dict(model.graph.opset_imports) == {"": 20, "local": 1}
    assert [rewrite.note for rewrite in record.rewrites] == [
        "2 functions are never called",
        "no operator is from unused",
    ]
    onnx.checker.check_model(model_io.to_proto(model))


def test_a_rewrite_limit_leaves_a_valid_graph():
    text = f"{HEADER} g (float[2] x) => (float[2] y) {{ a = Neg(x) b = Neg(a) y = Relu(x) }}"
    for limit, left in ((0, 3), (1, 2), (2, 1)):
        model = ir.from_onnx_text(text)
        EliminateDeadCode().run(model, PassContext(rewrite_limit=limit))
        assert len(model.graph) == left
        onnx.checker.check_model(model_io.to_proto(model))

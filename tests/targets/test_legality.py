"""Rules are checked on the graph alone; a violation names the node and its source."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from lprc.core.errors import UsageError
from lprc.core.graph.provenance import set_origins
from lprc.core.targets.legality import check
from lprc.core.targets.rules import rule_from_table

TEXTS = {"message": "what is wrong", "remedy": "what to do"}


def rule(name, **parameters):
    return rule_from_table({"rule": name, **TEXTS, **parameters}, "test.toml")


def model(body, *, opset=18, domains=""):
    return ir.from_onnx_text(f'<ir_version: 9, opset_import: ["" : {opset}{domains}]>\n{body}')


def found(graph, *rules):
    return [(each.rule, each.place, each.message) for each in check(graph, rules)]


SMALL = "g (float[N,2] x) => (float[N,2] y) { [relu] y = Relu(x) }"


@pytest.mark.parametrize(("opset", "legal"), [(12, False), (13, True), (20, True), (21, False)])
def test_opset_range(opset, legal):
    violations = found(model(SMALL, opset=opset), rule("opset-range", minimum=13, maximum=20))
    if legal:
        assert not violations
    else:
        assert violations == [
            ("opset-range", "model", f"what is wrong (opset {opset}, not 13 to 20)")
        ]


def test_domains_also_in_branches():
    graph = model(
        """g (float[2] x, bool c) => (float[2] y) {
            y = If (c) <
                then_branch = t () => (float[2] p) { [mine] p = acme.Foo(x) },
                else_branch = e () => (float[2] q) { [theirs] q = com.microsoft.Gelu(x) }
            >
        }""",
        domains=', "acme" : 1, "com.microsoft" : 1',
    )
    assert found(graph, rule("domains", allowed=["com.microsoft"])) == [
        ("domains", "node 'mine' (Foo)", "what is wrong (domain 'acme')")
    ]


def test_refused_operators_name_the_source_node():
    graph = model(SMALL)
    set_origins(graph.graph[0], ["conv1", "relu1"])
    assert found(graph, rule("refused-operators", refused=["Relu"])) == [
        ("refused-operators", "node 'relu' (Relu, from conv1, relu1)", "what is wrong")
    ]
    assert not found(graph, rule("refused-operators", refused=["Selu"]))


def test_element_types_of_the_signature():
    graph = model("g (float[2] x, double[2] z) => (float[2] y) { y = Relu(x) }")
    assert found(graph, rule("element-types", allowed=["FLOAT"])) == [
        ("element-types", "'z'", "what is wrong (DOUBLE)")
    ]


def test_kernel_rank():
    body = (
        "g (float[1,2,5,5] x) => (float[1,2,3,3] y) {{ [pool] y = MaxPool<kernel_shape=[{}]>(x) }}"
    )
    assert not found(model(body.format("3,3")), rule("kernel-rank"))
    assert found(model(body.format("1,3,3")), rule("kernel-rank")) == [
        ("kernel-rank", "node 'pool' (MaxPool)", "what is wrong (3 kernel sizes, 4 dimensions)")
    ]


def test_no_functions():
    graph = ir.from_onnx_text("""
        <ir_version: 9, opset_import: ["" : 18, "local" : 1]>
        g (float[2] x) => (float[2] y) { y = local.f(x) }
        <opset_import: ["" : 18], domain: "local"> f (a) => (b) { b = Relu(a) }
    """)
    assert [rule_name for rule_name, _, _ in found(graph, rule("no-functions"))] == ["no-functions"]
    assert not found(model(SMALL), rule("no-functions"))


def test_unknown_rule():
    with pytest.raises(UsageError, match=r"test\.toml: unknown rule 'opset' \(known: "):
        rule("opset")


def test_rule_without_a_remedy():
    with pytest.raises(UsageError, match="rule 'no-functions': key 'remedy' is missing"):
        rule_from_table({"rule": "no-functions", "message": "x"}, "test.toml")

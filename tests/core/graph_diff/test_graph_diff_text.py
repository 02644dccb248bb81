"""Differences as people and programs read them."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import onnx_ir as ir
import pytest

from lprc.core.graph_diff.compare import diff_models
from lprc.core.graph_diff.html import html_page
from lprc.core.graph_diff.result import GraphDifference
from lprc.core.graph_diff.text import (
    SCREEN,
    WIDTH,
    as_text,
    document,
    summary_lines,
    unified_lines,
)

HEAD = '<ir_version: 9, opset_import: ["" : 20]>\ng (float[N,4] x) => (float[N,4] y) '
BEFORE = (
    HEAD
    + """<float[4] w = {1,2,3,4}> {
    [a] p = Mul(x, w) [b] q = Relu(p) [c] r = Elu<alpha=0.5>(q) [d] s = Neg(r) [e] t = Neg(s)
    [f] y = Softmax<axis=1>(t) }"""
)
AFTER = (
    HEAD
    + """<float[4] w = {1,2,0,4}> {
    [a] p = Mul(x, w) [b] q = Relu(p) [new] n = Tanh(q) [c] r = Elu<alpha=0.25>(n)
    [f] y = Softmax<axis=1>(r) }"""
)


@pytest.fixture
def difference() -> GraphDifference:
    return diff_models(ir.from_onnx_text(BEFORE), ir.from_onnx_text(AFTER))


def test_unified(difference):
    assert (
        as_text(unified_lines(difference))
        == """\
6 → 5 nodes: 2 removed, 1 added, 1 changed, 2 rewired, 1 initialiser
- 2 × Neg removed: d, e
+ Tanh: new
~ Elu alpha 0.5 → 0.25: c
~ Elu input 0: Relu → Tanh: c (q → n)
~ Softmax input 0: Neg → Elu: f (t → r)
~ initialiser of Mul changed (SNR 5.2 dB, zeros 0% → 25%): w (f32[4] (1 to 4, mean 2.5) → f32[4] (0…
"""
    )


def test_unified_with_every_difference(difference):
    text = as_text(unified_lines(difference, limit=None))
    assert "- 2 × Neg removed\n    d\n    e\n" in text
    assert (
        "    w: f32[4] (1 to 4, mean 2.5) → f32[4] (0 to 4, mean 1.75, 25.0% zeros); SNR 5.2 dB\n"
        in text
    )


def test_summary(difference):
    assert (
        as_text(summary_lines(difference))
        == """\
6 → 5 nodes: 2 removed, 1 added, 1 changed, 2 rewired, 1 initialiser
  removed: 2 Neg
  added: 1 Tanh
  changed: 1 Elu
  rewired: 1 Elu, 1 Softmax
  initialisers: 1 changed (16 B → 16 B)
"""
    )


def test_no_difference():
    same = diff_models(ir.from_onnx_text(BEFORE), ir.from_onnx_text(BEFORE))
    assert as_text(unified_lines(same)) == "6 nodes: no difference\n"
    assert document(same)["same"] is True


def test_the_document_is_json_with_all_of_it(difference):
    read = json.loads(json.dumps(document(difference), allow_nan=False))
    assert read["same"] is False
    assert [each["node"]["name"] for each in read["removed"]] == ["d", "e"]
    assert read["changed"][0]["attributes"] == [{"name": "alpha", "before": "0.5", "after": "0.25"}]
    assert read["rewired"][0]["before"] == {"value": "q", "kind": "Relu"}
    (weight,) = read["initializers"]
    assert weight["after"]["sparsity"] == 0.25
    assert weight["snr_db"] == pytest.approx(5.2, abs=0.05)


def many(kinds: int) -> GraphDifference:
    """As many kinds of removed nodes."""
    lines = " ".join(f"[n{i}] o{i} = acme.Op{i}(x)" for i in range(kinds))
    head = HEAD.replace('"" : 20', '"" : 20, "acme" : 1')
    return diff_models(
        ir.from_onnx_text(f"{head}{{ {lines} y = Relu(x) }}"),
        ir.from_onnx_text(f"{head}{{ y = Relu(x) }}"),
    )


@pytest.mark.parametrize("kinds", [1, SCREEN, SCREEN + 1, 500])
def test_a_screen_holds_any_difference(kinds):
    lines = unified_lines(many(kinds))
    assert len(lines) <= SCREEN + 2
    assert all(len(line.text) <= WIDTH for line in lines)
    assert ("more removed" in lines[-1].text) == (kinds > SCREEN)
    assert len(unified_lines(many(kinds), limit=None)) == 1 + 2 * kinds


HOSTILE = '</li><script>alert("x")</script><img src=x onerror=alert(1)>&\x1b[31m\n'


def hostile() -> GraphDifference:
    before, after = ir.from_onnx_text(BEFORE), ir.from_onnx_text(AFTER)
    for model in (before, after):
        for node in model.graph:
            node.name = f"{HOSTILE}{node.name}"
            node.outputs[0].name = f"{HOSTILE}{node.outputs[0].name}"
        weight = model.graph.initializers["w"]
        weight.name = f"{HOSTILE}w"
        model.graph.inputs[0].name = HOSTILE + str(model is after)
    after.graph[2].op_type = HOSTILE
    after.graph[3].attributes["alpha"] = ir.AttrString("alpha", HOSTILE)
    after.graph[3].attributes[HOSTILE] = ir.AttrInt64(HOSTILE, 1)
    after.graph.opset_imports[HOSTILE] = 1
    return diff_models(before, after)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.found.add(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_hostile_names_are_text_in_html():
    page = html_page(hostile(), HOSTILE, f"'\"{HOSTILE}")
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.found <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "code",
        "details", "summary", "span", "ul", "li",
    }  # fmt: skip
    assert tags.attributes <= {"lang", "charset", "name", "content", "http-equiv", "class"}
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page.split("</h1>")[1]


def test_the_page_needs_nothing_else(difference):
    page = html_page(difference, "a.onnx", "b.onnx")
    assert "://" not in page
    assert "default-src 'none'" in page
    assert "2 × Neg removed" in page
    assert page.count("<li>") == 2 + 1 + 1 + 2 + 1
    assert page == html_page(difference, "a.onnx", "b.onnx")


def test_hostile_names_take_no_lines_and_no_control_of_the_terminal():
    for limit in (SCREEN, None):
        for line in unified_lines(hostile(), limit=limit):
            assert line.text.isprintable()
    for line in summary_lines(hostile()):
        assert line.text.isprintable()

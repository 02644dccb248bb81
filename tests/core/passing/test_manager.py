"""The manager runs passes in order, tells instruments, and keeps the record straight."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph.provenance import origins
from lprc.core.options import option
from lprc.core.passing.contract import approximate, exact, exact_at_batch, lossy
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pipeline import Pipeline

TEXT = """
<ir_version: 9, opset_import: ["" : 20]>
g (float[2] x) => (float[2] y) { [first] a = Neg(x) [second] b = Neg(a) [third] y = Neg(b) }
"""


@dataclass(frozen=True)
class Rename(Pass):
    """Turn every Neg into an Abs, but for the node called `keep`."""

    name = "rename"
    contract = exact
    keep: str = option("", "a node to leave alone")

    def run(self, model: ir.Model, context: PassContext) -> None:
        for node in model.graph:
            if node.name == self.keep:
                context.skip(node, "asked to keep it")
            elif node.op_type == "Neg" and context.rewrite(node, "became an Abs"):
                node.op_type = "Abs"


class Log(Instrument):
    def __init__(self):
        self.events = []

    def start(self, model, pipeline):
        self.events.append(f"start {pipeline}")

    def before_pass(self, model, item, position):
        self.events.append(f"before {position} {model.graph[0].op_type}")

    def after_pass(self, model, item, record):
        self.events.append(f"after {position_text(record)} {model.graph[0].op_type}")

    def finish(self, model, records):
        self.events.append(f"finish {len(records)}")


def position_text(record):
    return f"{record.position} {'changed' if record.changed else 'unchanged'}"


def test_records_and_instruments():
    log = Log()
    model = ir.from_onnx_text(TEXT)
    manager = PassManager(Pipeline((Rename(keep="second"), Rename(keep="second"))), [log])
    first, second = manager.run(model)
    assert [rewrite.node for rewrite in first.rewrites] == ["first", "third"]
    assert [(skip.node, skip.reason) for skip in first.skips] == [("second", "asked to keep it")]
    assert (first.changed, second.changed) == (True, False)
    assert first.text == "rename{keep=second}"
    assert log.events == [
        "start rename{keep=second},rename{keep=second}",
        "before 0 Neg",
        "after 0 changed Abs",
        "before 1 Abs",
        "after 1 unchanged Abs",
        "finish 2",
    ]


def test_every_source_node_is_its_own_origin():
    model = ir.from_onnx_text(TEXT)
    PassManager(Pipeline(())).run(model)
    assert [origins(node) for node in model.graph] == [("first",), ("second",), ("third",)]
    assert all("lprc.origin" in node.metadata_props for node in model.graph)


def test_a_rewrite_limit_stops_after_that_many():
    model = ir.from_onnx_text(TEXT)
    context = PassContext(rewrite_limit=2)
    Rename().run(model, context)
    assert [node.op_type for node in model.graph] == ["Abs", "Abs", "Neg"]
    assert len(context.rewrites) == 2


def test_contracts_in_words():
    assert [
        str(each) for each in (exact, exact_at_batch(1), approximate(0.01), lossy("accuracy"))
    ] == [
        "exact",
        "exact at batch 1",
        "approximate(0.01)",
        "lossy(accuracy)",
    ]


def test_rewrites_are_limited_by_position():
    model = ir.from_onnx_text(TEXT)
    pipeline = Pipeline((Rename(keep="third"), Rename()))
    first, second = PassManager(pipeline, rewrite_limits={0: 1}).run(model)
    assert [rewrite.node for rewrite in first.rewrites] == ["first"]
    assert [rewrite.node for rewrite in second.rewrites] == ["second", "third"]


def test_some_rewrites_are_allowed_and_only_those_count_towards_the_limit():
    model = ir.from_onnx_text(TEXT)
    allowed = {0: lambda rewrite: rewrite.node != "first"}
    manager = PassManager(Pipeline((Rename(),)), rewrites_allowed=allowed, rewrite_limits={0: 1})
    (record,) = manager.run(model)
    assert [rewrite.node for rewrite in record.rewrites] == ["second"]
    assert [node.op_type for node in model.graph] == ["Neg", "Abs", "Neg"]

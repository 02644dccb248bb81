"""What passes changed is printed, in LLVM's manner."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
import pytest

from lprc.core.errors import UsageError
from lprc.core.graph_diff.text import Line
from lprc.core.instruments.print_changes import PrintChanges, Printing
from lprc.core.passing.contract import lossy
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pipeline import Pipeline

SCALE = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,3] x) => (float[N,3] y) <float[3] w = {1,2,3}> { [mul] y = Mul(x, w) }"""


def made(factor: float, name: str = "scale") -> Pass:
    """A pass that multiplies the weight, or leaves all as it is."""

    def body(self, model: ir.Model, context: PassContext) -> None:
        if factor != 1 and context.rewrite(model.graph[0], "scaled"):
            (value,) = model.graph.initializers.values()
            array = value.const_value.numpy()
            value.const_value = ir.tensor((array * factor).astype(array.dtype), name=value.name)

    parts = {"name": name, "contract": lossy("accuracy"), "run": body, "__doc__": name}
    return dataclass(frozen=True)(type("Made", (Pass,), parts))()


def go(text: str, passes: list[Pass], *instruments: Instrument) -> None:
    PassManager(Pipeline(tuple(passes)), instruments).run(ir.from_onnx_text(text))


PASSES = [made(1, "idle"), made(1.5), made(1, "also-idle")]


def printed(**options) -> list[str]:
    lines: list[Line] = []
    go(SCALE, PASSES, PrintChanges(Printing(lines.append, **options)))
    return [line.text for line in lines]


CHANGE = "~ initialiser of Mul changed (SNR 6.0 dB): w (f32[3] (1 to 3, mean 2) → f32[3] (1.5 to 4.5, mean 3)…"


def test_a_pass_that_changed_nothing_is_one_line():
    assert printed(changed="diff") == [
        "*** 1 idle: no change ***",
        "*** 2 scale ***",
        "1 node: 1 initialiser",
        CHANGE,
        "*** 3 also-idle: no change ***",
    ]


def test_quiet_leaves_it_out():
    lines = printed(changed="quiet")
    assert lines[0] == "*** 2 scale ***"
    assert not any("no change" in line for line in lines)
    assert len(lines) == 3


def test_summary_counts():
    assert printed(changed="summary") == [
        "*** 1 idle: no change ***",
        "*** 2 scale ***",
        "1 node: 1 initialiser",
        "  initialisers: 1 changed (12 B → 12 B)",
        "*** 3 also-idle: no change ***",
    ]


@pytest.mark.parametrize(("when", "value"), [("before", "{1, 2, 3}"), ("after", "{1.5, 3, 4.5}")])
def test_the_model_around_a_pass(when, value):
    lines = printed(**{when: ("scale",)})
    assert lines[0] == f"*** model {when} 2 scale ***"
    assert lines[1:3] == ["opset onnx 20", "graph (%x: f32[N,3]) -> (%y: f32[N,3])"]
    assert lines[3] == f"  %w = f32[3] {value}"
    assert lines[4].startswith("  %y: f32[N,3] = Mul(%x, %w)")
    assert len(lines) == 5


def test_a_pass_that_is_not_there():
    instrument = PrintChanges(Printing(print, after=("fold-bm",)))
    with pytest.raises(UsageError, match="unknown pass 'fold-bm'") as caught:
        go(SCALE, PASSES, instrument)
    assert caught.value.hint == "did you mean 'fold-bn'?"
    assert caught.value.where == "--print-after"


def test_a_pass_that_the_pipeline_leaves_out():
    instrument = PrintChanges(Printing(print, before=("fold-bn",)))
    with pytest.raises(UsageError, match="not in the pipeline") as caught:
        go(SCALE, PASSES, instrument)
    assert caught.value.hint == "one of also-idle, idle, scale"


def test_changes_are_those_of_each_pass_and_not_of_all():
    lines: list[Line] = []
    passes = [made(2), made(1.5)]
    go(SCALE, passes, PrintChanges(Printing(lines.append, changed="quiet")))
    texts = [line.text for line in lines if "SNR" in line.text]
    assert ["SNR 0.0 dB" in texts[0], "SNR 6.0 dB" in texts[1]] == [True, True]


def test_what_looks_at_the_model_is_told_to_the_manager():
    (idle, scale, _) = Pipeline(tuple(PASSES)).passes
    around = PrintChanges(Printing(print, before=("scale",)))
    assert (around.reads(idle), around.reads(scale)) == (False, True)
    assert PrintChanges(Printing(print, changed="quiet")).reads(idle)

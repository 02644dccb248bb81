"""Wrong orders are refused before anything runs, with both passes and the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

import onnx_ir as ir
import pytest

from lprc.core.builtin import PASSES, TARGETS
from lprc.core.errors import UsageError
from lprc.core.passing.contract import exact
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.core.passing.pass_registry import pass_class
from lprc.core.passing.pipeline import Pipeline
from lprc.core.targets.target import target

LEAVES = {
    State.SPARSE: "sparsify{pattern=unstructured}",
    State.GROUPS: "sparsify",
    State.RANGES: "calibrate",
    State.GRID: "adaround",
    State.CORRECTED: "correct-bias",
    State.QUANTIZED: "quantize-weights",
    State.QDQ: "insert-qdq",
}
"""A pass that leaves each state."""

RULES = {
    "prune-channels": ("SPARSE", "RANGES", "GRID", "QUANTIZED", "QDQ"),
    "reconstruct": ("SPARSE", "RANGES", "GRID", "QUANTIZED", "QDQ"),
    "sparsify": ("RANGES", "GRID", "QUANTIZED", "QDQ"),
    "calibrate": ("QDQ",),
    "adaround": ("QUANTIZED", "QDQ"),
    "correct-bias": ("QUANTIZED", "QDQ"),
    "equalize": ("GRID", "QUANTIZED", "QDQ"),
    "smooth-quant": ("GRID", "QUANTIZED", "QDQ"),
    "eliminate-constant-channels": ("GROUPS",),
    "reorder-channels": ("GROUPS",),
}


@pytest.mark.parametrize(
    ("name", "state"), [(name, State[state]) for name in RULES for state in RULES[name]]
)
def test_each_wrong_order_names_both_passes_and_the_reason(name, state):
    reason = pass_class(name)().refusals()[state]
    earlier = LEAVES[state].partition("{")[0]
    with pytest.raises(UsageError, match=f"{name} after {earlier}: {re.escape(reason)}") as found:
        Pipeline.parse(f"fold-bn,{LEAVES[state]},eliminate-dead-code,{name}")
    assert found.value.hint == f"put {name} in front of {earlier}"
    Pipeline.parse(f"{name},{LEAVES[state]}")


def test_every_rule_stands_in_the_table_above():
    found = {name: tuple(s.name for s in pass_class(name).not_after) for name in PASSES}
    assert {name: rules for name, rules in found.items() if rules} == RULES
    leaving = {state for name in PASSES for state in pass_class(name).leaves}
    assert leaving == set(LEAVES) == set(State)


@pytest.mark.parametrize("name", TARGETS)
def test_the_pipelines_of_all_targets_are_in_order(name):
    assert Pipeline.parse(target(name).pipeline).passes


@pytest.mark.parametrize(
    "text",
    [
        "prune-channels,reconstruct,prune-channels,reconstruct",
        "prune-channels,reconstruct,sparsify,calibrate,adaround,correct-bias,insert-qdq",
        "adaround{bits=4},adaround,quantize-weights",
        "calibrate,smooth-quant,insert-qdq",
        "calibrate{method=percentile},insert-qdq,convert-fp16",
        "sparsify{exclude=a},sparsify",
        "sparsify,eliminate-constant-channels{keep-sparse=true},reorder-channels{keep-sparse=true}",
        "sparsify{pattern=unstructured},eliminate-constant-channels,reorder-channels",
        "quantize-weights,calibrate,insert-qdq",
        "insert-qdq,quantize-weights,eliminate-constant-channels",
    ],
)
def test_these_orders_make_sense(text):
    Pipeline.parse(text)


@dataclass(frozen=True)
class Thirds(Pass):
    """A third party's pass that leaves groups."""

    name = "thirds"
    contract = exact
    leaves = (State.GROUPS,)
    not_after = reasons({State.GROUPS: "they are there already"})

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Do nothing."""


def test_passes_of_others_take_part_and_nothing_runs():
    with pytest.raises(UsageError, match="thirds after thirds: they are there already"):
        PassManager(Pipeline((Thirds(), Thirds())))
    with pytest.raises(UsageError, match="reorder-channels after thirds"):
        Pipeline((Thirds(), pass_class("reorder-channels")()))

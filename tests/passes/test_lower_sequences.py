"""Sequences of known length become Split, Squeeze and Concat; the others stay, with a reason."""

from __future__ import annotations

import io
import logging
import time
import warnings

import onnx
import pytest
from hypothesis import given, settings
from random_splits import splits

from lprc.core.onnx_io import model_io
from lprc.core.passing.pass_base import PassContext
from lprc.core.running.numerics import compare, run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes.lower_sequences import LowerSequences

SEQUENCE_OPS = {
    "SplitToSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase",
    "SequenceInsert", "SequenceLength", "ConcatFromSequence",
}  # fmt: skip

CONSTANTS = (
    "int64 zero = {0}, int64 one = {1}, int64 two = {2}, int64 four = {4}, int64 last = {-1},"
    " int64 before = {-5}, int64[2] parts = {1,3}, int64[2] short = {1,2}, int64[2] under = {-1,5},"
    " int64[1] whole = {4}, int64[3] none = {2,0,2}"
)


def network(
    body: str,
    *,
    x: str = "N,4,3",
    outputs: str = "float[A,B,C] y",
    extra: str = "",
    opset: int = 20,
) -> str:
    return f"""<ir_version: 9, opset_import: ["" : {opset}]>
    g (float[{x}] x, int64 i, bool flag{extra}) => ({outputs}) <{CONSTANTS}> {{ {body} }}"""


LOWERED = {
    "sizes": ("s = SplitToSequence<axis=1>(x, parts) y = SequenceAt(s, one)", ["Split"]),
    "sizes ignore keepdims": (
        "s = SplitToSequence<axis=1, keepdims=0>(x, parts) y = SequenceAt(s, one)",
        ["Split"],
    ),
    "an empty part": ("s = SplitToSequence<axis=1>(x, none) y = SequenceAt(s, one)", ["Split"]),
    "a chunk size": ("s = SplitToSequence<axis=-2>(x, two) y = SequenceAt(s, last)", ["Split"]),
    "a chunk of everything": (
        "r = Relu(x) s = SplitToSequence<axis=1>(r, four) y = SequenceAt(s, zero)",
        ["Relu"],
    ),
    "everything, from input to output": (
        "s = SplitToSequence<axis=1>(x, whole) y = SequenceAt(s, zero)",
        ["Identity"],
    ),
    "no sizes": ("s = SplitToSequence<axis=2>(x) y = SequenceAt(s, two)", ["Split"]),
    "Identity between": (
        "s = SplitToSequence<axis=1>(x, two) t = Identity(s) y = SequenceAt(t, one)",
        ["Split"],
    ),
    "Concat of all": (
        "s = SplitToSequence<axis=1>(x, two) y = ConcatFromSequence<axis=2>(s)",
        ["Split", "Concat"],
    ),
    "two readers, one of them a subgraph": (
        "s = SplitToSequence<axis=1>(x, two) a = SequenceAt(s, zero)"
        " b = If(flag) <then_branch = t1 () => (float[A,B,C] c) { c = SequenceAt(s, one) },"
        " else_branch = t2 () => (float[A,B,C] d) { e = SequenceAt(s, one) d = Neg(e) }>"
        " y = Add(a, b)",
        ["Split", "If", "Add"],
    ),
    "SequenceConstruct and SequenceAt": (
        "a = Relu(x) s = SequenceConstruct(x, a) y = SequenceAt(s, one)",
        ["Relu"],
    ),
    "what comes out of one sequence goes into another": (
        "s = SplitToSequence<axis=1>(x, two) a = SequenceAt(s, zero) b = SequenceAt(s, one)"
        " t = SequenceConstruct(b, a) c = SequenceAt(t, zero) y = Neg(c)",
        ["Split", "Neg"],
    ),
    "insert and erase, with another reader of the shorter sequence": (
        "r = Relu(x) s = SequenceConstruct(x, r) t = SequenceInsert(s, r, last)"
        " u = SequenceErase(t, one) a = ConcatFromSequence<axis=1>(t)"
        " b = ConcatFromSequence<axis=1>(u) c = SequenceAt(s, one) y = Concat<axis=1>(a, b, c)",
        ["Relu", "Concat", "Concat", "Concat"],
    ),
}


@pytest.mark.parametrize("form", LOWERED)
def test_sequences_go(rewrite, form):
    body, ops = LOWERED[form]
    found = rewrite(network(body), LowerSequences())
    assert found.ops == ops
    assert not found.reasons


def test_no_sizes_and_no_keepdims(rewrite):
    body = "s = SplitToSequence<axis=-2, keepdims=0>(x) y = SequenceAt(s, last)"
    found = rewrite(network(body, outputs="float[A,B] y"), LowerSequences())
    assert found.ops == ["Split", "Squeeze"]


@pytest.mark.parametrize("axis", [-4, -1, 0, 1, 3])
def test_concat_on_a_new_axis(rewrite, axis):
    body = (
        "s = SplitToSequence<axis=1>(x, two) a = SequenceLength(s)"
        f" b = ConcatFromSequence<axis={axis}, new_axis=1>(s) c = Cast<to=1>(a) y = Mul(b, c)"
    )
    found = rewrite(network(body, outputs="float[A,B,C,D] y"), LowerSequences())
    assert found.ops == ["Split", "Unsqueeze", "Unsqueeze", "Concat", "Cast", "Mul"]


def test_sizes_need_no_dimension(rewrite):
    body = "s = SplitToSequence<axis=1>(x, parts) y = SequenceAt(s, one)"
    text = network(body, x="N,C,3").replace("parts = {1,3}", "parts = {1,1}")
    assert rewrite(text, LowerSequences()).ops == ["Split"]


def test_the_length_of_an_empty_sequence(rewrite):
    body = "s = SequenceEmpty() a = SequenceLength(s) y = Add(a, i)"
    assert rewrite(network(body, outputs="int64 y"), LowerSequences()).ops == ["Add"]


def test_the_names_and_number_of_outputs_stay(rewrite):
    body = "s = SplitToSequence<axis=1>(x, two) y = SequenceAt(s, one) z = SequenceAt(s, last)"
    outputs = "float[A,B,C] y, float[D,E,F] z"
    found = rewrite(network(body, outputs=outputs), LowerSequences())
    assert sorted(found.ops) == ["Identity", "Split"]
    assert [value.name for value in found.model.graph.outputs] == ["y", "z"]


SPLIT = "s = SplitToSequence<axis=1>"
SKIPPED = {
    "SequenceAt: the index is not constant": SPLIT + "(x, two) j = Sub(i, i) y = SequenceAt(s, j)",
    "SequenceAt: the index is out of range": SPLIT + "(x, two) y = SequenceAt(s, two)",
    "SplitToSequence: the sizes are not constant": "j = Add(i, two)"
    " s = SplitToSequence<axis=1>(x, j) y = SequenceAt(s, zero)",
    "SplitToSequence: the sizes do not add up": SPLIT + "(x, short) y = SequenceAt(s, zero)",
    "SplitToSequence: the chunk size is not positive": SPLIT + "(x, zero) y = SequenceAt(s, zero)",
    "SplitToSequence: the dimension is not known": "s = SplitToSequence(x, two)"
    " y = SequenceAt(s, zero)",
    "SplitToSequence: the axis is out of range": "s = SplitToSequence<axis=3>(x, parts)"
    " y = SequenceAt(s, zero)",
    "SplitToSequence: keepdims is 0 beside a chunk size": "s = SplitToSequence<axis=1, keepdims=0>"
    "(x, one) y = SequenceAt(s, zero)",
    "SplitToSequence: there are more than max-parts parts": "s = SplitToSequence<axis=2>(x)"
    " y = SequenceAt(s, zero)",
    "SequenceErase: the position is not constant": "r = SequenceConstruct(x) j = Sub(i, i)"
    " s = SequenceErase(r, j) t = SequenceInsert(s, x) y = SequenceAt(t, zero)",
    "SequenceInsert: the position is out of range": "r = SequenceConstruct(x)"
    " s = SequenceInsert(r, x, two) y = SequenceAt(s, zero)",
    "SequenceErase: the position is out of range": "r = SequenceEmpty() s = SequenceErase(r)"
    " t = Identity(s) y = SequenceAt(t, zero)",
    "ConcatFromSequence: the sequence is empty": "s = SequenceEmpty()"
    " y = ConcatFromSequence<axis=0>(s)",
    "SequenceAt: the sequence is not known": "y = SequenceAt(q, zero)",
    "SequenceConstruct: the sequence is a graph output": "z = SequenceConstruct(x)"
    " y = SequenceAt(z, zero)",
}  # fmt: skip


@pytest.mark.parametrize("reason", SKIPPED)
def test_what_stays(reason):
    body = SKIPPED[reason]
    outputs = "float[A,B,C] y" + (", seq(float[A,B,C]) z" if " z = " in f" {body}" else "")
    text = network(body, outputs=outputs, extra=", seq(float[N,4,3]) q")
    unchanged(text, LowerSequences(max_parts=2), [reason])


def unchanged(text: str, item: LowerSequences, reasons: list[str]) -> None:
    proto = onnx.parser.parse_model(text)
    after, context = model_io.from_proto(proto), PassContext()
    item.run(after, context)
    assert [f"{skip.op_type}: {skip.reason}" for skip in context.skips] == reasons
    assert not context.rewrites
    assert model_io.to_bytes(after) == model_io.to_bytes(model_io.from_proto(proto))


def test_every_way_out_of_a_sequence_counts():
    """One reader that needs the sequence keeps it, and all that it is made of."""
    body = (
        "s = SplitToSequence<axis=1>(x, two) a = SequenceAt(s, zero) t = SequenceInsert(s, x)"
        " m = SequenceMap <body = b (float[A,B,C] e) => (float[A,B,C] f) { f = Neg(e) }> (t)"
        " c = SequenceAt(m, one) y = Add(a, c)"
    )
    reasons = [
        "SequenceAt: the sequence is not known",
        "SequenceMap: SequenceMap reads the sequence",
    ]
    unchanged(network(body), LowerSequences(), reasons)


def test_negative_sizes_that_add_up_and_indices_below_range():
    for body, reason in (
        ("(x, under) y = SequenceAt(s, zero)", "SplitToSequence: the sizes do not add up"),
        ("(x, two) y = SequenceAt(s, before)", "SequenceAt: the index is out of range"),
    ):
        unchanged(network(SPLIT + body), LowerSequences(), [reason])


def test_max_parts_counts_given_sizes_too():
    text = network(SPLIT + "(x, parts) y = SequenceAt(s, zero)")
    reason = "SplitToSequence: there are more than max-parts parts"
    unchanged(text, LowerSequences(max_parts=1), [reason])


def test_old_operator_sets_stay():
    text = network(SPLIT + "(x, two) a = Identity(x) y = SequenceAt(s, zero)", opset=12)
    reasons = [f"{op}: opset is below 13" for op in ("SplitToSequence", "SequenceAt")]
    unchanged(text, LowerSequences(), reasons)


def test_bisection_may_stop_between_two_readers():
    text = network(SPLIT + "(x, two) a = SequenceAt(s, zero) b = SequenceAt(s, one) y = Sub(a, b)")
    before = model_io.from_proto(onnx.parser.parse_model(text))
    inputs = random_inputs(before)
    for limit, ops in (
        (1, ["Split", "SplitToSequence", "SequenceAt", "Sub"]),
        (2, ["Split", "Sub"]),
    ):
        after = model_io.from_proto(onnx.parser.parse_model(text))
        LowerSequences().run(after, PassContext(rewrite_limit=limit))
        assert [node.op_type for node in after.graph] == ops
        assert compare(run(before, inputs), run(after, inputs))[0].max_abs == 0


def test_a_list_that_grows_long_takes_linear_time():
    count = 5000
    steps = " ".join(f"s{n + 1} = SequenceInsert(s{n}, x)" for n in range(count))
    body = f"s0 = SequenceEmpty() {steps} y = ConcatFromSequence<axis=0>(s{count})"
    model = model_io.from_proto(onnx.parser.parse_model(network(body)))
    started = time.process_time()
    LowerSequences().run(model, PassContext())
    assert time.process_time() - started < 5
    assert [len(node.inputs) for node in model.graph] == [count]


@settings(max_examples=150, deadline=None)
@given(splits())
def test_random_splits_put_out_the_same(model):
    before, after, context = model_io.from_proto(model), model_io.from_proto(model), PassContext()
    LowerSequences().run(after, context)
    assert not context.skips
    assert not SEQUENCE_OPS & {node.op_type for node in after.graph}
    onnx.checker.check_model(model_io.to_proto(after), full_check=True)
    inputs = random_inputs(before)
    for delta in compare(run(before, inputs), run(after, inputs)):
        assert delta.mismatch is None, delta
        assert delta.max_abs == 0


def exported(module) -> onnx.ModelProto:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    buffer, dims = io.BytesIO(), ({0: torch.export.Dim("n", min=1)},)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(), (torch.randn(2, 8, 6, 6),), buffer, dynamo=True,
                dynamic_shapes=dims, optimize=False, verbose=False,
            )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    return onnx.load_from_string(buffer.getvalue())


def test_a_shuffle_net_block_of_torch():
    torch = pytest.importorskip("torch")

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Conv2d(4, 4, 3, padding=1, groups=4)

        def forward(self, x):
            left, right = x.chunk(2, 1)
            first, second, third = torch.split(self.inner(right).relu(), [1, 2, 1], 1)
            x = torch.cat([left, third, second, first], 1)
            n, c, h, w = x.shape
            return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)

    proto = exported(Block())
    before, after, context = model_io.from_proto(proto), model_io.from_proto(proto), PassContext()
    assert {"SplitToSequence", "SequenceAt"} <= {node.op_type for node in before.graph}
    LowerSequences().run(after, context)
    ops = [node.op_type for node in after.graph]
    assert ops.count("Split") == 2
    assert not SEQUENCE_OPS & set(ops)
    assert not context.skips
    inputs = random_inputs(before, batch=3)
    for delta in compare(run(before, inputs), run(after, inputs)):
        assert delta.within(1e-6), delta

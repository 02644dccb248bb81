"""Graphs that end ONNX Runtime's process are refused with their node, and others run as ever."""

from __future__ import annotations

import gc

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.process.warm_child import VENDOR
from lprc.core.running import isolated_session
from lprc.core.running.isolated_session import IsolatedSession
from lprc.core.running.numerics import RunError, Session

GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[2, 3] x, int64[1] i) => (float[2, 3] y, seq(float[2, 3]) s, float[1, 3] row)
{ y = Relu(x)  s = SequenceConstruct(x, y)  row = Gather(x, i) }
"""

CRASHING = """
<ir_version: 8, opset_import: ["" : 13]>
g (int32[3] x) => (int32[3] z)
{ a = Neg(x)  b = Add(a, x)  [guilty] c = Max(b, a, "")  d = Neg(c)  z = Add(d, d) }
"""
"""ONNX Runtime 1.31 reads the missing input."""

HANGING = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1, 1, 3000, 3000] x) => (float[1, 1, 3000, 3000] y)
{ a = Relu(x)  [slow] b = LpPool<kernel_shape = [2999, 2999], auto_pad = "SAME_UPPER">(a)  y = Neg(b) }
"""


def data(text):
    return onnx.parser.parse_model(text).SerializeToString()


def test_it_gives_what_a_session_here_gives():
    inputs = {"x": np.float32([[-1, 2, 3], [4, -5, 6]]), "i": np.array([1])}
    here, there = Session(data(GRAPH)), IsolatedSession(data(GRAPH))
    assert (there.input_names, there.output_names) == (here.input_names, here.output_names)
    wanted, given = here.run(inputs), there.run(inputs)
    assert list(given) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(given[name], value)
    assert IsolatedSession(ir.from_proto(onnx.parser.parse_model(GRAPH))).run(inputs)["y"].any()


def test_a_file(tmp_path):
    (tmp_path / "m.onnx").write_bytes(data(GRAPH))
    session = IsolatedSession(tmp_path / "m.onnx", optimize=True, threads=2)
    assert session.input_names == ["x", "i"]


def test_what_it_refuses():
    with pytest.raises(RunError, match="can't load the graph"):
        IsolatedSession(b"no model")
    with pytest.raises(RunError, match=r"can't run the graph.*'x'|Missing Input"):
        IsolatedSession(data(GRAPH)).run({})


def test_a_crash_is_told_of_by_its_node():
    healthy = IsolatedSession(data(GRAPH))
    with pytest.raises(RunError) as caught:
        IsolatedSession(data(CRASHING)).run({"x": np.ones(3, np.int32)})
    assert "ONNX Runtime crashed (SIG" in caught.value.message
    assert "in node 'guilty' (Max)" in caught.value.message
    # The process is another one now, and the session is loaded there again.
    assert healthy.run({"x": np.ones((2, 3), np.float32), "i": np.array([0])})["y"].all()


def test_a_kernel_without_end_is_told_of_by_its_node():
    session = IsolatedSession(data(HANGING))
    with pytest.raises(RunError, match="took more than 1 s") as caught:
        session.run_within({"x": np.ones((1, 1, 3000, 3000), np.float32)}, 1)
    assert "in node 'slow' (LpPool)" in caught.value.message
    assert "LPRC_RUN_SECONDS" in caught.value.hint


def test_sessions_that_nobody_holds_are_forgotten():
    session = IsolatedSession(data(GRAPH))
    number = (session._number, session._generation)
    del session
    gc.collect()
    assert number in isolated_session._GONE
    IsolatedSession(data(GRAPH))
    assert number not in isolated_session._GONE
    assert VENDOR.generation >= number[1]

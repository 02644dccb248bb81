"""The passes that merge nodes that only move elements, on random chains of them."""

from __future__ import annotations

import hypothesis
import pytest
from random_views import models

from lprc.core.graph.operators import MOVES
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.random_inputs import random_inputs

PIPELINE = "infer-shapes, eliminate-identity, merge-transposes, merge-reshapes, merge-slices, merge-concats"


@pytest.mark.parametrize("dynamic", [False, True])
def test_random_chains_keep_their_outputs_and_never_grow(dynamic):
    @hypothesis.settings(max_examples=150, deadline=None)
    @hypothesis.given(models(dynamic=dynamic))
    def check(proto):
        model = model_io.from_proto(proto)
        before = len(model.graph)
        verify = Verify("each", inputs=[random_inputs(model, seed=0, batch=2)])
        PassManager(Pipeline.parse(PIPELINE), [verify]).run(model)
        assert not verify.warnings
        assert len(model.graph) <= before

    check()


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(models(dynamic=False))
def test_no_two_reshapes_in_a_row_are_left_of_known_shapes(proto):
    model = model_io.from_proto(proto)
    # Reshapes that go may bring Transposes together, and the other way round.
    while any(record.changed for record in PassManager(Pipeline.parse(PIPELINE)).run(model)):
        pass
    for node in model.graph:
        value = node.inputs[0]
        inner = value.producer()
        if inner is None or value.is_graph_output() or len(value.uses()) > 1:
            continue
        pair = {inner.op_type, node.op_type}
        assert not pair <= {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}
        assert pair != {"Transpose"}
        assert node.op_type in MOVES | {"Abs"}

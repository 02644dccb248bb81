"""Folding into linear operators keeps the outputs, whatever the attributes."""

from __future__ import annotations

import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_linear import affine, batch_normalization, convolutions, gemms

from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io.model_io import from_proto
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import RunError, random_inputs, run

LIMITS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
folded = {"fold-bn": 0, "fold-affine": 0}


def check(proto: onnx.ModelProto, passes: str) -> None:
    model = from_proto(proto)
    try:
        run(model, random_inputs(model))
    except RunError:
        assume(False)  # a kernel that is larger than its input, or a case ORT has no kernel for
    records = PassManager(Pipeline.parse(passes), [ChangeDetection(), Verify("each")]).run(model)
    folded[passes] += sum(len(record.rewrites) for record in records)


@LIMITS
@given(st.one_of(convolutions(batch_normalization), gemms(batch_normalization)))
def test_batch_normalization(proto):
    check(proto, "fold-bn")


@LIMITS
@given(st.one_of(convolutions(affine), gemms(affine)))
def test_affine(proto):
    check(proto, "fold-affine")


@pytest.mark.parametrize("passes", folded)
def test_the_random_graphs_were_worth_it(passes):
    if not folded[passes]:
        pytest.skip("another worker ran them")
    assert folded[passes] >= 50

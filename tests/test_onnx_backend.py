"""Every operator test that onnx ships means the same after the exact passes, or is refused."""

from __future__ import annotations

import functools

import onnx_backend_cases as backend
import pytest

from lprc.core.targets.target import target


@functools.cache
def _pipeline():
    # per-sample-mean says itself that it changes what a batch means.
    texts = target("openvino-fp32").pipeline.split(",")
    return ",".join(text for text in texts if text != "per-sample-mean")


@pytest.mark.parametrize("kind", backend.KINDS)
def test_shipped_operator_tests(kind):
    counts, wrong = {}, []
    for case in backend.cases(kind):
        for variant in filter(None, (case, backend.frozen(case))):
            outcome = backend.outcome(variant, _pipeline())
            counts[outcome.verdict] = counts.get(outcome.verdict, 0) + 1
            if outcome.verdict == "different":
                wrong.append(f"{variant.name}: {outcome.reason}")
    assert not wrong
    # Most run; were ONNX Runtime to refuse them all, the test would prove nothing.
    assert counts["same"] > 2 * (counts.get("not run", 0) + counts.get("refused", 0))

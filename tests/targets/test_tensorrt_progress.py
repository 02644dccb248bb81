"""Long builds say how far they are."""

from __future__ import annotations

import pytest
from engines import SMALL, saved

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request


def test_steps_of_the_build(tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    told: list[tuple[float, int]] = []
    compile_model(
        compile_request(
            saved(SMALL, tmp_path / "m.onnx"),
            "trt-fp32",
            tmp_path / "out",
            passes="",
            verify="off",
            progress=lambda done, total: told.append((done, total)),
        )
    )
    assert told
    assert all(0 < done <= total for done, total in told)

"""Artefacts that compile runs beside the lowered graph, in a process that they may end."""

from __future__ import annotations

import gc

import numpy as np
import onnx
import pytest

from lprc.compiler.runners import isolated_runner
from lprc.compiler.runners.isolated_runner import IsolatedRunner
from lprc.core.errors import InvalidModelError
from lprc.core.process.warm_child import VENDOR
from lprc.core.running.numerics import RunError
from lprc.core.running.runner import OpenJob
from lprc.core.targets.runtimes import runtime

GRAPH = """<ir_version: 8, opset_import: ["" : 17]>
g (float[2] x) => (float[2] y) { y = Neg(x) }"""
CRASHING = """<ir_version: 8, opset_import: ["" : 13]>
g (int32[3] x) => (int32[3] z) { a = Neg(x) z = Max(a, a, "") }"""
"""ONNX Runtime 1.31 reads the missing input."""


def opened(folder, text):
    path = folder / "model.onnx"
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return IsolatedRunner(runtime("onnxruntime"), OpenJob(path))


def test_it_runs_and_does_so_again_when_the_process_was_lost(tmp_path):
    runner = opened(tmp_path, GRAPH)
    for _ in range(2):
        assert runner.run({"x": np.float32([1, -2])})["y"].tolist() == [-1, 2]
        VENDOR.close()


def test_what_the_runtime_refuses(tmp_path):
    with pytest.raises(InvalidModelError, match="ONNX Runtime can't load it"):
        opened(tmp_path, GRAPH.replace("Neg", "Nag"))
    with pytest.raises(RunError, match="can't run it"):
        opened(tmp_path, GRAPH).run({"x": np.float32([1])})


def test_a_crash_is_an_error(tmp_path):
    with pytest.raises((RunError, InvalidModelError), match="ONNX Runtime crashed"):
        opened(tmp_path, CRASHING).run({"x": np.int32([1, 2, 3])})


def test_models_are_let_go_of(tmp_path):
    number = opened(tmp_path, GRAPH)._number
    gc.collect()
    assert (number, VENDOR.generation) in isolated_runner._GONE
    opened(tmp_path, GRAPH)
    assert number not in [gone for gone, _ in isolated_runner._GONE]  # the process was told

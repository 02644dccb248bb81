"""A float16 graph that crashes ONNX Runtime's optimiser runs here (it did end the process)."""

from __future__ import annotations

import subprocess
import sys

import onnx
from small_networks import Recurrent, exported

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request

PROBE = """
import sys
from pathlib import Path
from lprc.core.running.runner import OpenJob
from lprc.core.targets.runtimes import runtime
from lprc.core.running.numerics import Session
runtime("ort").open(OpenJob(Path(sys.argv[1])))
Session(Path(sys.argv[1]).read_bytes(), optimize=True)
"""


def test_a_float16_conv_in_front_of_an_lstm(tmp_path):
    onnx.save(exported(Recurrent, "export"), tmp_path / "source.onnx")
    # To the lowered ONNX only: comparing the artefact would be the crash itself.
    compile_model(compile_request(tmp_path / "source.onnx", "onnx", tmp_path / "out", then="convert-fp16", emit="onnx", verify="off"))  # fmt: skip
    lowered = tmp_path / "out" / "lowered.onnx"
    done = subprocess.run([sys.executable, "-c", PROBE, lowered], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

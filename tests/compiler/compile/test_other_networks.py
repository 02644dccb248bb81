"""Networks that are not LPRNet compile, keep their outputs, and lose what can be folded."""

from __future__ import annotations

import onnx
import pytest
from small_networks import NETWORKS, exported

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.compile.settings import Observation
from lprc.core.onnx_io.model_io import load
from lprc.core.running.numerics import Session
from lprc.core.running.random_inputs import random_inputs
from lprc.core.running.signal_to_noise import SignalToNoise

STRICT = {"verify": "each", "observation": Observation(check_passes=True)}


@pytest.mark.parametrize("exporter", ["export", "trace"])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_compiles_for_both_runtimes(network, exporter, tmp_path, capfd):
    source = tmp_path / "source.onnx"
    onnx.save(exported(network, exporter), source)
    for target in ("ort-fp32", "ov-fp32"):
        compiled = compile_model(compile_request(source, target, tmp_path / target, **STRICT))
        assert not compiled.optimized.warnings
        assert all(delta.within(1e-4) for delta in compiled.deltas)
        lowered = onnx.load(tmp_path / target / "lowered.onnx")
        operators = {node.op_type for node in lowered.graph.node}
        assert not operators & {"BatchNormalization", "CastLike", "Constant", "Identity", "Dropout"}
        batch = lowered.graph.input[0].type.tensor_type.shape.dim[0]
        assert batch.dim_param, "the batch stays symbolic"


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_int8_stays_close_in_both_runtimes(network, tmp_path):
    """The least is 41.8 dB; NNCF has 13 to 34 dB on networks of these kinds."""
    source = tmp_path / "source.onnx"
    onnx.save(exported(network, "export"), source)
    model = load(source)
    samples = [random_inputs(model, seed=seed, batch=1) for seed in range(24)]
    settings = {
        "verify": "each",
        "calibration": samples[:16],
        "inputs": samples[:2],
        "observation": Observation(check_passes=True),
    }
    reference = Session(source.read_bytes())
    for target in ("ort-int8", "ov-int8", "onnx-qdq"):
        compile_model(compile_request(source, target, tmp_path / target, **settings))
        runner, ratio = open_artifact(tmp_path / target).runner(), SignalToNoise()
        for inputs in samples[16:]:
            ratio.add(reference.run(inputs), runner.run(inputs))
        assert ratio.decibels > 35, target
        lowered = onnx.load(tmp_path / target / "lowered.onnx")
        assert "QuantizeLinear" in {node.op_type for node in lowered.graph.node}

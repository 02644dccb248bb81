"""Networks that are not LPRNet compile, keep their outputs, and lose what can be folded."""

from __future__ import annotations

import onnx
import pytest
from zoo import NETWORKS, exported

from lprc.compiler.compile import compile_model
from lprc.compiler.optimize import Settings

STRICT = Settings(verify="each", check_passes=True)


@pytest.mark.parametrize("exporter", ["export", "trace"])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_compiles_for_both_runtimes(network, exporter, tmp_path, capfd):
    source = tmp_path / "source.onnx"
    onnx.save(exported(network, exporter), source)
    for target in ("ort-fp32", "ov-fp32"):
        compiled = compile_model(source, target, tmp_path / target, settings=STRICT)
        assert not compiled.optimized.warnings
        assert all(delta.within(1e-4) for delta in compiled.emitted)
        lowered = onnx.load(tmp_path / target / "lowered.onnx")
        operators = {node.op_type for node in lowered.graph.node}
        assert not operators & {"BatchNormalization", "CastLike", "Constant", "Identity", "Dropout"}
        batch = lowered.graph.input[0].type.tensor_type.shape.dim[0]
        assert batch.dim_param, "the batch stays symbolic"

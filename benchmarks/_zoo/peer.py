"""Another tool on one network, in a process of its own.

python benchmarks/_zoo/peer.py nncf|quantize_static|onnxsim|onnxslim SOURCE CALIBRATION OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    """Write what the tool makes of the network."""
    kind, source, calibration, out = sys.argv[1], *map(Path, sys.argv[2:])
    if kind == "onnxsim":
        import onnxsim

        onnx.save(onnxsim.simplify(onnx.load(source), check_n=0)[0], out)
        return
    if kind == "onnxslim":
        import onnxslim

        onnx.save(onnxslim.slim(onnx.load(source)), out)
        return
    from _quantization_peers import nncf_int8, ort_int8

    samples = [dict(np.load(path)) for path in sorted(calibration.glob("*.npz"))]
    if kind == "nncf":
        nncf_int8(source, samples, out, preset="performance", fast_bias_correction=True)
    else:
        ort_int8(source, samples, out, scheme="U8S8")


if __name__ == "__main__":
    main()

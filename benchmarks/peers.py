"""LPRNet compiled by lprc beside the raw export, onnxsim and onnxslim, in the same runtime.

    python benchmarks/peers.py model.onnx [--rounds 400] [--repeats 3]

All models of one runtime are measured in turn in one process (A B C A B C …); the ratio is the
median over the rounds of a model's latency over the raw export's.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import onnx
import onnxsim
import onnxslim

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.measure.bench import bench

TARGETS = {"openvino": "openvino-fp32", "ort": "ort-fp32"}


def main() -> None:
    """Print one row a model and runtime."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = onnx.load(arguments.model)
        onnx.save(onnxsim.simplify(source, check_n=0)[0], folder / "onnxsim.onnx")
        onnx.save(onnxslim.slim(onnx.load(arguments.model)), folder / "onnxslim.onnx")
        for backend, target in TARGETS.items():
            ours = folder / target
            compile_model(compile_request(arguments.model, target, ours, verify="off"))
            models = {
                "raw export": f"{arguments.model}@{backend}",
                "onnxsim": f"{folder / 'onnxsim.onnx'}@{backend}",
                "onnxslim": f"{folder / 'onnxslim.onnx'}@{backend}",
                f"lprc {target}": str(ours),
            }
            runs = [
                bench(list(models.values()), rounds=arguments.rounds)
                for _ in range(arguments.repeats)
            ]
            for index, label in enumerate(models):
                rows = [run[index] for run in runs]
                ratios = sorted(row.ratio_to_first for row in rows)
                median = statistics.median(row.median_ms for row in rows)
                print(
                    f"{backend:9} {label:22} {median:7.3f} ms  ratio "
                    f"{statistics.median(ratios):.3f} [{ratios[0]:.3f}–{ratios[-1]:.3f}]"
                )


if __name__ == "__main__":
    main()

"""An artefact run beside its source, in a process of its own; prints one JSON document.

python benchmarks/_zoo/verdict.py SOURCE ARTEFACT SAMPLES
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

Outputs = Mapping[str, NDArray[Any]]

THREADS = 2
SMALL_ERROR = 1e-3
ROUNDING = 8 * 2.0**-23
"""How far inputs are moved, relative to themselves, to see what rounding alone does."""


def main() -> None:
    """Print how far the artefact is from the source on held-out samples."""
    source, artefact, folder = map(Path, sys.argv[1:])
    samples = [dict(np.load(path)) for path in sorted(folder.glob("*.npz"))]
    expected = _source_outputs(source, samples)
    measured = _artefact_outputs(artefact, samples)
    document: dict[str, Any] = distance(expected, measured)
    if document.get("error", 0.0) > SMALL_ERROR:
        moved = _source_outputs(source, [_rounded_otherwise(sample) for sample in samples])
        document["rounding"] = distance(expected, moved).get("error", 0.0)
    lowered = artefact / "lowered.onnx" if artefact.is_dir() else artefact
    if lowered.suffix == ".onnx":
        document["nodes"] = count_nodes(onnx.load(lowered, load_external_data=False).graph)
    document["warnings"] = _warnings(artefact)
    print(json.dumps(document))


def _rounded_otherwise(sample: Outputs) -> Outputs:
    """Floats larger or smaller by `ROUNDING`."""
    generator = np.random.default_rng(0)
    return {
        name: (array * (1 + generator.choice([-ROUNDING, ROUNDING], array.shape))).astype(
            array.dtype
        )
        if array.dtype.kind == "f"
        else array
        for name, array in sample.items()
    }


def distance(expected: list[Outputs], measured: list[Outputs]) -> dict[str, Any]:
    """Outputs of the source and the artefact, a sample each, compared.

    Returns:
        ``snr_db``, of the worst float output over all samples (1000 where all are the same);
        ``error``, the largest difference over the largest value of that output; ``integers``, the
        share of integers and booleans that are the same; ``problem``, where they can't be compared.
    """
    worst_snr, worst_error, same, total = 1000.0, 0.0, 0, 0
    for name in expected[0]:
        if any(name not in outputs for outputs in measured):
            return {"problem": f"output '{name}' is missing"}
        pairs = [(a[name], b[name]) for a, b in zip(expected, measured, strict=True)]
        shapes = [(a.shape, b.shape) for a, b in pairs if a.shape != b.shape]
        if shapes:
            return {"problem": f"output '{name}' is {shapes[0][1]} instead of {shapes[0][0]}"}
        if pairs[0][0].dtype.kind != "f":
            same += sum(int((a == b).sum()) for a, b in pairs)
            total += sum(a.size for a, _ in pairs)
            continue
        left = np.concatenate([a.reshape(-1) for a, _ in pairs]).astype(np.float64)
        right = np.concatenate([b.reshape(-1) for _, b in pairs]).astype(np.float64)
        finite = np.isfinite(left)
        if not np.isfinite(right[finite]).all():
            return {"problem": f"output '{name}' has values that are not finite"}
        noise = np.square(left[finite] - right[finite]).sum()
        signal = np.square(left[finite]).sum()
        if noise > 0:
            snr = 10 * math.log10(max(signal, 1e-300) / noise)
            worst_snr = min(worst_snr, snr)
            scale = max(float(np.abs(left[finite]).max()), 1e-30)
            worst_error = max(worst_error, float(np.abs(left - right)[finite].max()) / scale)
    return {
        "snr_db": round(worst_snr, 2),
        "error": worst_error,
        "integers": same / total if total else 1.0,
    }


def count_nodes(graph: onnx.GraphProto) -> int:
    """Nodes of a graph and of the graphs inside its nodes; Constants are not counted."""
    inner = sum(
        count_nodes(subgraph)
        for node in graph.node
        for attribute in node.attribute
        for subgraph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs)
    )
    return inner + sum(node.op_type != "Constant" for node in graph.node)


def _source_outputs(source: Path, samples: list[Outputs]) -> list[Outputs]:
    """The source as it is, without ONNX Runtime's own optimisations."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _session_outputs(source, samples, options)


def _session_outputs(
    model: Path, samples: list[Outputs], options: ort.SessionOptions
) -> list[Outputs]:
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 4
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return [dict(zip(names, session.run(None, dict(sample)), strict=True)) for sample in samples]


def _artefact_outputs(artefact: Path, samples: list[Outputs]) -> list[Outputs]:
    """In its runtime; an engine of TensorRT's needs a GPU, so its lowered graph runs."""
    if artefact.suffix == ".xml":
        import openvino as ov

        model = ov.Core().compile_model(artefact, "CPU", {"INFERENCE_NUM_THREADS": THREADS})
        return [
            {output.get_any_name(): array for output, array in model(dict(sample)).items()}
            for sample in samples
        ]
    if artefact.suffix == ".onnx":
        return _session_outputs(artefact, samples, ort.SessionOptions())
    from lprc.compiler.artifact.artifact import open_artifact

    opened = open_artifact(str(artefact))
    if opened.backend.startswith("tensorrt"):
        return _session_outputs(artefact / "lowered.onnx", samples, ort.SessionOptions())
    runner = opened.runner(threads=THREADS)
    return [runner.run(dict(sample)) for sample in samples]


def _warnings(artefact: Path) -> list[str]:
    manifest = artefact / "manifest.json"
    if not manifest.is_file():
        return []
    warnings = json.loads(manifest.read_text(encoding="utf-8")).get("warnings") or []
    return [str(warning) for warning in warnings]


if __name__ == "__main__":
    main()

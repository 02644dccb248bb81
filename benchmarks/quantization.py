"""INT8 of lprc beside NNCF's and ONNX Runtime's, from the same float model and calibration data.

    python benchmarks/quantization.py                       # everything; LPRC_DATA names the plates
    python benchmarks/quantization.py lprnet --rounds 400 --repeats 5 --json lprnet.json
    python benchmarks/quantization.py resnet mobilenet unet espnet
    python benchmarks/quantization.py lprnet --model m.onnx --calib DIR --data DIR --rows "NNCF raw"

Prints one Markdown table for each network and runtime. All models of one table are measured in
turn in one process (A B C A B C …); *int8 / this* is the latency of lprc's INT8 artefact over that
row's, median [least – most] of the repeats: below 1, lprc's is faster. Networks other than LPRNet
are trained here, the first time, and kept in the system's temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from _quantization_data import UNLABELLED
from _quantization_networks import NETWORKS, Network, exported
from _quantization_peers import ERRORS, SCHEMES, Sample, nncf_int8, nncf_weights, ort_int8
from numpy.typing import NDArray

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.calibration import ImageSamples
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.optimize import optimize_file
from lprc.compiler.compile.request import compile_request
from lprc.compiler.compile.settings import VerifyMode
from lprc.compiler.measure.bench import bench
from lprc.compiler.measure.evaluation import evaluate
from lprc.core.onnx_io.model_io import load
from lprc.core.targets.target import target
from lprc.core.tasks.task_file import BY_MODEL

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LPRC_DATA", ROOT.parent / "shared" / "lprnet"))

LEGALISED = """
inline-functions, freeze-initializers, convert-opset, lift-constants, infer-shapes,
lower-cast-like, fold-constants, legalize, infer-shapes, fold-constants, eliminate-identity,
fold-bn, fold-affine, eliminate-dead-code
"""
"""What any compiler does first: valid, BatchNormalizations folded, nothing of lprc's own."""

OPSET_21 = "convert-opset{version=21,minimum=21}"
"""Int4 came with it."""

OURS = {"openvino": "ov-int8", "ort": "ort-int8"}
Make = Callable[[Path], str]


@dataclass(frozen=True)
class Job:
    """A row to be: how its artefact is made in a folder of its own, and where it runs."""

    name: str
    runtime: str
    make: Make


@dataclass(frozen=True)
class Row:
    """A model and what was measured of it; latencies in milliseconds, sizes in bytes."""

    network: str
    runtime: str
    name: str
    artefact: str = ""
    seconds: float = 0.0
    failure: str = ""
    size: int = 0
    quality: dict[str, float] = field(default_factory=dict)
    median_ms: float = 0.0
    ratio: tuple[float, float, float] = (0.0, 0.0, 0.0)


def main() -> None:
    """Print the tables."""
    arguments = _arguments()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="lprc-quantization-") as name:
        for network in arguments.networks or ["lprnet", *NETWORKS]:
            folder = Path(name) / network
            folder.mkdir()
            network_rows = (
                _lprnet(folder, arguments)
                if network == "lprnet"
                else _other(NETWORKS[network], network, folder, arguments)
            )
            for runtime in OURS:
                of_runtime = [row for row in network_rows if row.runtime == runtime]
                measured = _measured(of_runtime, arguments)
                print(_table(measured), flush=True)
                rows += measured
    if arguments.json is not None:
        document = {"machine": _machine(), "rows": [vars(row) for row in rows]}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ["lprnet", *NETWORKS]
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(names))
    parser.add_argument("--model", type=Path, help="LPRNet as ONNX, rather than --weights")
    parser.add_argument("--weights", type=Path, default=DATA / "Final_LPRNet_model.pth")
    parser.add_argument("--calib", type=Path, default=DATA / "calib")
    parser.add_argument("--data", type=Path, default=DATA / "val")
    parser.add_argument("--rounds", type=int, default=200, help="measured runs of each model")
    parser.add_argument("--repeats", type=int, default=3, help="how often all of that is done")
    parser.add_argument("--samples", type=int, default=128, help="calibration images of the others")
    parser.add_argument("--images", type=int, default=500, help="test images of the others")
    parser.add_argument("--rows", action="append", help="only rows whose name contains this")
    parser.add_argument("--cache", type=Path, help="where trained networks stay")
    parser.add_argument("--json", type=Path, help="write everything there too")
    arguments = parser.parse_args()
    unknown = set(arguments.networks) - set(names)
    if unknown:
        parser.error(f"unknown network: {', '.join(sorted(unknown))}; known: {', '.join(names)}")
    return arguments


def _lprnet(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    """LPRNet: plate accuracy on labelled data."""
    source = arguments.model or _exported_lprnet(arguments.weights, folder)
    samples = ImageSamples(arguments.calib, BY_MODEL, load(source), str(source))
    jobs = _jobs(source, samples) + _weight_only(source)
    graphs = {"legalised": folder / "legalised.onnx", "lowered": folder / "lowered.onnx"}
    optimize_file(source, LEGALISED, graphs["legalised"])
    optimize_file(source, target("ov-fp32").pipeline, graphs["lowered"])
    for name, graph in graphs.items():
        jobs += _nncf_jobs(graph, list(samples), f"NNCF {name}")
    rows = [_made(job, "lprnet", folder) for job in _chosen(jobs, arguments)]
    return [
        replace(row, quality={"accuracy": evaluate(row.artefact, arguments.data).accuracy})
        if not row.failure
        else row
        for row in rows
    ]


def _exported_lprnet(weights: Path, folder: Path) -> Path:
    from lprc.models.checkpoint import load_checkpoint
    from lprc.models.export import export_onnx

    export_onnx(load_checkpoint(weights), folder / "lprnet.onnx")
    return folder / "lprnet.onnx"


def _other(network: Network, name: str, folder: Path, arguments: argparse.Namespace) -> list[Row]:
    """A network trained here: agreement with its own float32 logits on images it has not seen."""
    source = exported(network, cache=arguments.cache)
    calibration, _ = network.task(arguments.samples, seed=1)
    samples: list[Sample] = [{"image": image[None]} for image in calibration]
    images, classes = network.task(arguments.images, seed=3)
    expected = _logits(str(source), images)
    jobs = _jobs(source, samples)
    rows = [_made(job, name, folder) for job in _chosen(jobs, arguments)]
    return [
        replace(row, quality=agreement(_logits(row.artefact, images), expected, classes))
        if not row.failure
        else row
        for row in rows
    ]


def _logits(artefact: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
    runner = open_artifact(artefact).runner()
    return np.concatenate(
        [runner.run({"image": image[None]})[runner.outputs[0]] for image in images]
    )


def agreement(
    logits: NDArray[np.float32], expected: NDArray[np.float32], classes: NDArray[np.int64]
) -> dict[str, float]:
    """How near logits are to the float model's.

    Args:
        logits: Logits [N, classes, …].
        expected: The float model's.
        classes: The right ones, [N, …]; `UNLABELLED` does not count.

    Returns:
        ``cosine`` (mean over the images), ``SNR dB`` (over all of them), ``top-1 agreement`` with
        the float model, ``accuracy``, and for pixels ``mean IoU`` with the float model's classes.
    """
    a, b = (array.reshape(len(array), -1).astype(np.float64) for array in (logits, expected))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    named, wanted = logits.argmax(1), expected.argmax(1)
    quality = {
        "cosine": float(((a * b).sum(1) / norms).mean()),
        "SNR dB": float(10 * np.log10((b**2).sum() / max(((a - b) ** 2).sum(), 1e-30))),
        "top-1 agreement": float((named == wanted).mean()),
        "accuracy": float((named == classes)[classes != UNLABELLED].mean()),
    }
    if classes.ndim > 1:
        quality["mean IoU"] = _mean_iou(named, wanted)
    return quality


def _mean_iou(named: NDArray[np.int64], wanted: NDArray[np.int64]) -> float:
    both = [((named == each) & (wanted == each)).sum() for each in np.unique(wanted)]
    either = [((named == each) | (wanted == each)).sum() for each in np.unique(wanted)]
    return float(np.mean(np.array(both) / np.array(either)))


def _jobs(source: Path, samples: Sequence[Sample]) -> list[Job]:
    """The rows that every network has."""
    listed: list[Sample] = [dict(sample) for sample in samples]
    jobs = [
        Job("lprc ov-int8", "openvino", partial(_lprc, source, "ov-int8", samples)),
        Job("lprc ov-int8-fp16", "openvino", partial(_lprc, source, "ov-int8-fp16", samples)),
        Job("raw export, float32", "openvino", lambda _: f"{source}@openvino"),
        Job("lprc ov-fp32", "openvino", partial(_lprc, source, "ov-fp32", ())),
        *_nncf_jobs(source, listed, "NNCF raw"),
        Job("lprc ort-int8", "ort", partial(_lprc, source, "ort-int8", samples)),
        Job("raw export, float32", "ort", lambda _: str(source)),
        Job("lprc ort-fp32", "ort", partial(_lprc, source, "ort-fp32", ())),
    ]
    jobs += [
        Job(f"ORT quantize_static {scheme}", "ort", partial(_ort_static, source, listed, scheme))
        for scheme in SCHEMES
    ]
    return jobs + [
        Job(f"lprc {name}", "ort", partial(_lowered, source, name, samples))
        for name in ("tensorrt-int8", "onnx-qdq")
    ]


def _nncf_jobs(source: Path, samples: list[Sample], name: str) -> list[Job]:
    return [
        Job(
            f"{name} {preset}{'' if fast else ', full bias correction'}",
            "openvino",
            partial(_nncf, source, samples, preset, fast),
        )
        for preset in ("performance", "mixed")
        for fast in (True, False)
    ]


def _weight_only(source: Path) -> list[Job]:
    """Weights of fewer bits, float arithmetic; ONNX Runtime's own is for MatMul and Gather only."""
    pipeline = target("ov-fp32").pipeline.strip()
    widths = {8: "quantize-weights", 4: f"{OPSET_21}, quantize-weights{{bits=4}}"}
    ours = [
        Job(
            f"lprc ov-fp32, {bits}-bit weights",
            "openvino",
            # Not verified: OpenVINO quantises the activations of such MatMuls by itself.
            partial(_lprc, source, "ov-fp32", (), passes=f"{pipeline}, {passes}", verify="off"),
        )
        for bits, passes in widths.items()
    ]
    return ours + [
        Job(f"NNCF raw compress_weights {mode}", "openvino", partial(_nncf_weights, source, mode))
        for mode in ("int8_asym", "int8_sym", "int4_sym")
    ]


def _lprc(
    source: Path,
    name: str,
    samples: Sequence[Sample],
    folder: Path,
    *,
    passes: str | None = None,
    verify: VerifyMode = "final",
) -> str:
    request = compile_request(
        source, name, folder / "out", passes=passes, calibration=samples, verify=verify
    )
    compile_model(request)
    return str(folder / "out")


def _lowered(source: Path, name: str, samples: Sequence[Sample], folder: Path) -> str:
    """Without the target's SDK: what it would be given, in ONNX Runtime."""
    request = compile_request(source, name, folder / "out", calibration=samples, emit="onnx")
    compile_model(request)
    return f"{folder / 'out' / 'lowered.onnx'}@ort"


def _nncf(source: Path, samples: list[Sample], preset: str, fast: bool, folder: Path) -> str:
    out = folder / "nncf.xml"
    return str(nncf_int8(source, samples, out, preset=preset, fast_bias_correction=fast))


def _nncf_weights(source: Path, mode: str, folder: Path) -> str:
    return str(nncf_weights(source, folder / "nncf.xml", mode=mode))


def _ort_static(source: Path, samples: list[Sample], scheme: str, folder: Path) -> str:
    return str(ort_int8(source, samples, folder / "static.onnx", scheme=scheme))


def _chosen(jobs: list[Job], arguments: argparse.Namespace) -> list[Job]:
    """Those that `--rows` asks for, and lprc's INT8, which ratios are to; it stands first."""
    return [
        job
        for job in jobs
        if job.name == f"lprc {OURS[job.runtime]}"
        or not arguments.rows
        or any(text in job.name for text in arguments.rows)
    ]


def _made(job: Job, network: str, parent: Path) -> Row:
    row = Row(network, job.runtime, job.name)
    folder = Path(tempfile.mkdtemp(dir=parent))
    if sys.stderr.isatty():
        print(f"{network}: {job.name} …", file=sys.stderr)
    started = time.perf_counter()
    if job.name.startswith("lprc"):
        artefact = job.make(folder)  # a failure of ours is no row
    else:
        try:
            artefact = job.make(folder)
        except ERRORS as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return replace(row, failure=lines[0][:120])
    seconds = time.perf_counter() - started
    return replace(row, artefact=artefact, seconds=seconds, size=open_artifact(artefact).size_bytes)


def _measured(rows: list[Row], arguments: argparse.Namespace) -> list[Row]:
    """With latencies, of all in turn."""
    running = [row for row in rows if not row.failure]
    runs = [
        bench([row.artefact for row in running], rounds=arguments.rounds)
        for _ in range(arguments.repeats)
    ]
    done = {}
    for index, row in enumerate(running):
        ratios = sorted(1 / run[index].ratio_to_first for run in runs)
        done[row.name] = replace(
            row,
            median_ms=statistics.median(run[index].median_ms for run in runs),
            ratio=(statistics.median(ratios), ratios[0], ratios[-1]),
        )
    return [done.get(row.name, row) for row in rows]


def _table(rows: list[Row]) -> str:
    first = rows[0]
    names = list(first.quality)
    columns = [*names, "size, kB", "median, ms", "int8 / this", "quantised in, s"]
    lines = [
        f"\n### {first.network}, {first.runtime}\n",
        f"| model | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for row in rows:
        if row.failure:
            lines.append(f"| {row.name} | {row.failure} |")
            continue
        low, high = row.ratio[1:]
        cells = [_digits(name, row.quality[name]) for name in names]
        cells += [f"{row.size / 1000:.0f}", f"{row.median_ms:.3f}"]
        cells += [f"{row.ratio[0]:.3f} [{low:.3f}–{high:.3f}]", f"{row.seconds:.1f}"]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _digits(name: str, value: float) -> str:
    return f"{value:.1f}" if name == "SNR dB" else f"{value:.4f}"


def _machine() -> dict[str, Any]:
    names = ("nncf", "onnxruntime", "openvino", "onnx", "torch")
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in names},
    }


if __name__ == "__main__":
    main()

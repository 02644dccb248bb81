"""TensorRT engines on a GPU: outputs, accuracy, latency and throughput beside torch; the GPU tests.

    python benchmarks/gpu.py --weights Final_LPRNet_model.pth --data ../shared/lprnet -o gpu.json

Needs a GPU, torch with CUDA, TensorRT-RTX and cuda-bindings, and no network. It compiles LPRNet, a
detector (384x640) and a U-Net (256x256) to every ``trt-*`` precision, compares each engine with
ONNX Runtime on the lowered graph, counts the plates that it reads, and times all ways of running a
network in turn. Each section is written to the JSON file when it ends, so that an interrupted run
keeps what it measured. Exits with 1 where an engine's outputs are wrong.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _gpu_contestants import (
    Contestant,
    engine,
    onnxruntime_cuda,
    torch_compiled,
    torch_eager,
    torch_graph,
)
from _gpu_networks import GpuNetwork, networks

from lprc.compiler.compile.calibration import ImageSamples
from lprc.compiler.measure.evaluation import evaluate
from lprc.core.errors import LprcError
from lprc.core.onnx_io.model_io import load
from lprc.core.running.runner import OpenJob
from lprc.core.targets.runtimes import runtime
from lprc.core.targets.target import target
from lprc.core.tasks.task_file import task_choice
from lprc.targets.tensorrt_scripts import cuda_device, run_engine
from lprc.targets.tensorrt_scripts.engine import Engine

TARGETS = ("trt-fp32", "trt-fp16", "trt-int8", "trt-int8-fp16")
BATCHES = (1, 64)
ROUNDS = 30
"""Turns of each contestant; ten runs a turn, of which the first three are not counted."""


class Deadline:
    """Says when the time that the user gave is over."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + minutes * 60

    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()


def compiled(network: GpuNetwork, name: str, calib: Path, folder: Path) -> dict[str, Any]:
    """Run ``lprc compile`` as users do; what it said, where it refused."""
    out = folder / f"{network.name}-{name}"
    command = [
        *(sys.executable, "-m", "lprc", "compile", str(network.path), "--target", name, "-q"),
        *("--calib", str(calib), "-o", str(out), "-O", f"batch=1/1/{max(BATCHES)}"),
    ]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    row = {"target": name, "seconds": round(time.perf_counter() - started, 2)}
    if done.returncode:
        return {**row, "error": done.stderr.strip().splitlines()[-2:]}
    engine_bytes = (out / "model.engine").stat().st_size
    return {**row, "folder": str(out), "engine_bytes": engine_bytes}


def checked(row: dict[str, Any], image: np.ndarray[Any, Any]) -> dict[str, Any]:
    """`row` with the engine's largest difference from ONNX Runtime on the lowered graph."""
    out = Path(row["folder"])
    on_gpu = runtime("tensorrt").open(OpenJob(out / "model.engine"))
    reference = runtime("ort").open(OpenJob(out / "lowered.onnx"))
    differences = []
    for batch in (1, 3, 8):
        (name,) = reference.inputs
        inputs = {name: image[:batch].astype(reference.dtypes[name])}
        wanted, given = reference.run(inputs), on_gpu.run(inputs)
        differences += [run_engine.difference(wanted[key], given[key])[1] for key in wanted]
    tolerance = target(row["target"]).tolerance
    return {**row, "difference": max(differences), "tolerance": tolerance}


def accuracy(row: dict[str, Any], data: Path) -> dict[str, Any]:
    """Plates read exactly, by the engine and by ONNX Runtime on the lowered graph."""
    out = Path(row["folder"])
    for key, artefact in (("gpu", str(out)), ("lowered", f"{out / 'lowered.onnx'}@ort")):
        row[f"accuracy_{key}"] = evaluate(
            artefact, data / "val", task=task_choice("lprnet"), batch=8
        ).accuracy
    return row


def contestants(
    network: GpuNetwork, engines: list[dict[str, Any]], image: np.ndarray[Any, Any]
) -> Iterator[Callable[[], Contestant | None]]:
    """All ways of running `network` on `image`; each made when it is called.

    torch's come with a copy of the module, as moving it changes it.
    """
    for row in engines:
        loaded = Engine(Path(row["folder"]) / "model.engine")
        yield lambda row=row, loaded=loaded: engine(row["target"], loaded, image)
    module = network.module
    yield lambda: torch_eager("torch eager fp32", copy.deepcopy(module), image)
    for label, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
        yield lambda label=label, dtype=dtype: torch_graph(
            f"torch CUDA graph {label}", copy.deepcopy(module), image, dtype
        )
    yield lambda: torch_compiled("torch.compile fp16", copy.deepcopy(module), image, torch.float16)
    yield lambda: onnxruntime_cuda("onnxruntime CUDA fp32", network.path, image)


def timed(given: list[Contestant], rounds: int) -> list[dict[str, Any]]:
    """Medians of latencies, taken in turn: A B C A B C …; ratios are to torch eager's."""
    latencies: list[list[float]] = [[] for _ in given]
    device: list[list[float]] = [[] for _ in given]
    for _ in range(rounds):
        for index, contestant in enumerate(given):
            taken = []
            for _ in range(10):
                started = time.perf_counter()
                contestant.run()
                taken.append(time.perf_counter() - started)
            latencies[index].append(statistics.median(taken[3:]) * 1e3)
            if contestant.device_ms is not None:
                device[index].append(contestant.device_ms(20))
    base = next(i for i, contestant in enumerate(given) if contestant.name == "torch eager fp32")
    return [
        {
            "name": contestant.name,
            "latency_ms": statistics.median(latencies[index]),
            "device_ms": statistics.median(device[index]) if device[index] else None,
            "ratio_to_torch_eager": statistics.median(
                mine / other for mine, other in zip(latencies[index], latencies[base], strict=True)
            ),
            "cuda_graph": contestant.cuda_graph,
        }
        for index, contestant in enumerate(given)
    ]


def measured(
    network: GpuNetwork, engines: list[dict[str, Any]], image: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """One batch's timings; a contestant that fails is named with its error."""
    ready, failed = [], {}
    for make in contestants(network, engines, image):
        try:
            contestant = make()
        except (RuntimeError, LprcError, cuda_device.EngineError) as error:
            failed[f"contestant {len(ready) + len(failed)}"] = str(error).splitlines()[0]
            continue
        if contestant is not None:
            ready.append(contestant)
    return {"batch": len(image), "rows": timed(ready, ROUNDS), "failed": failed}


def gpu_tests(folder: Path) -> dict[str, Any]:
    """The tests that are marked ``gpu``."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, "tests/targets"], capture_output=True, text=True, check=False)
    (folder / "gpu_tests.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    lines = done.stdout.strip().splitlines()
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return {"returncode": done.returncode, "summary": lines[-1:] or [""], "failures": failures}


def images(network: GpuNetwork, calib: Path, count: int) -> np.ndarray[Any, Any]:
    """Float32 [count, C, H, W]: plates for LPRNet, smooth random images for the others."""
    if network.name == "lprnet":
        samples = ImageSamples(calib, task_choice("lprnet"), load(network.path), str(network.path))
        return np.concatenate([samples[i % len(samples)]["image"] for i in range(count)])
    return _smooth(network, count)


def _smooth(network: GpuNetwork, count: int) -> np.ndarray[Any, Any]:
    generator = torch.Generator().manual_seed(count)
    channels, height, width = network.size
    coarse = torch.randn(count, channels, height // 16, width // 16, generator=generator)
    size = (height, width)
    fine = torch.nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
    return fine.numpy()


def calibration(network: GpuNetwork, data: Path, folder: Path) -> Path:
    """A folder that ``--calib`` takes."""
    if network.name == "lprnet":
        return data / "calib"
    path = folder / f"{network.name}-calib.npz"
    np.savez(path, image=_smooth(network, 16))
    return path


def network_document(
    network: GpuNetwork, data: Path, folder: Path, deadline: Deadline
) -> dict[str, Any]:
    """Everything about one network."""
    calib = calibration(network, data, folder)
    rows = [compiled(network, name, calib, folder) for name in TARGETS]
    image = images(network, calib, max(BATCHES))
    usable = []
    for index, row in enumerate(rows):
        if "folder" not in row:
            continue
        try:
            rows[index] = checked(row, image)
            usable.append(rows[index])
        except LprcError as error:
            rows[index]["error"] = [error.message, error.hint or ""]
    if network.name == "lprnet":
        for row in usable:
            accuracy(row, data)
    timings = [
        measured(network, usable, image[:batch]) for batch in BATCHES if deadline.left() > 30
    ]
    return {"engines": rows, "timings": timings}


def main() -> int:
    """Measure, write, compare with the tolerances."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, help="an LPRNet checkpoint")
    parser.add_argument("--data", type=Path, default=Path("../shared/lprnet"))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--networks", default="lprnet,detector,unet")
    parser.add_argument("--tests", action="store_true", help="run the tests marked gpu, too")
    parser.add_argument("-o", "--out", type=Path, default=Path("gpu.json"))
    arguments = parser.parse_args()
    try:
        device = cuda_device.devices()[0]
        versions = cuda_device.versions(cuda_device.tensorrt_module())
    except cuda_device.EngineError as error:
        print(f"error: {error.message}\nhint: {error.remedy}", file=sys.stderr)
        return 71
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    deadline = Deadline(arguments.minutes)
    document: dict[str, Any] = {"device": device, "versions": versions, "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as scratch:
        chosen = arguments.networks.split(",")
        for network in networks(Path(scratch), arguments.weights):
            if network.name in chosen:
                document[network.name] = network_document(
                    network, arguments.data, Path(scratch), deadline
                )
                arguments.out.write_text(json.dumps(document, indent=1), encoding="utf-8")
                print(json.dumps(document[network.name], indent=1), flush=True)
    if arguments.tests:
        document["gpu_tests"] = gpu_tests(arguments.out.parent)
        print(json.dumps(document["gpu_tests"], indent=1))
    arguments.out.write_text(json.dumps(document, indent=1), encoding="utf-8")
    rows = [row for name in chosen for row in document[name]["engines"]]
    return int(any(row.get("difference", 0) > row.get("tolerance", 0) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
